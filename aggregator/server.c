#include "aggregator/server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/intake.h"
#include "base/log.h"
#include "base/text.h"
#include "wire/channel.h"

/* What waits to be stored: per agent two frames of the greatest size, over all as much as a burst of many. */
#define PEER_PENDING_MAX (8u << 20)
#define TOTAL_PENDING_MAX (64u << 20)
/* Stored with one sync of the disk; more would only make the first of them wait longer. */
#define GROUP_ITEMS_MAX 64
#define GROUP_BYTES_MAX (16u << 20)
/* Answers are short: who lets them pile up does not read. */
#define ANSWERS_MAX (256u << 10)
/* How long peers have to hang up when the aggregator stops. */
#define FAREWELL_MS 2000

struct peer {
	struct fp_server *server;
	struct fp_channel *channel; /* NULL when closed */
	struct peer *next, *previous;
	bool greeted; /* HELLO came */
	bool leaving; /* refused or replaced: nothing more is taken from it */
	bool held; /* paused */
	uint8_t agent[16];
	size_t pending; /* bytes that wait or are being stored */
	unsigned items; /* that name this peer */
	bool closed;
	uint64_t acked, to_ack;
};

/* An item and whose it is. */
struct entry {
	struct fp_intake_item item; /* first: the intake sees only this */
	struct peer *peer;
	struct entry *next;
};

struct fp_server {
	uv_tcp_t listener;
	uv_timer_t farewell;
	uv_work_t work;
	struct fp_server_options options;
	struct fp_intake *intake;
	struct peer *peers;
	struct entry *head, **tail; /* waiting */
	size_t pending; /* bytes over all peers */
	struct entry *group[GROUP_ITEMS_MAX]; /* being stored */
	size_t n_group;
	bool working, closing;
	unsigned handles; /* not yet closed */
	void (*closed)(void *arg);
	void *closed_arg;
	struct fp_server_counts counts;
	char address[FP_ADDRESS_TEXT_SIZE];
};

static void begin_group(struct fp_server *server);

/* --- the end ------------------------------------------------------------------ */

static void on_handle_closed(uv_handle_t *handle)
{
	struct fp_server *server = handle->data;

	if (--server->handles > 0)
		return;
	fp_intake_free(server->intake);
	server->closed(server->closed_arg);
	free(server);
}

static void end_when_done(struct fp_server *server)
{
	if (!server->closing || server->working || server->peers)
		return;
	if (!uv_is_closing((uv_handle_t *)&server->farewell))
		uv_close((uv_handle_t *)&server->farewell, on_handle_closed);
}

static void free_entry(struct entry *entry)
{
	struct peer *peer = entry->peer;

	peer->pending -= entry->item.len;
	peer->server->pending -= entry->item.len;
	peer->items--;
	free(entry->item.frame);
	free(entry);
}

static void free_peer_when_done(struct peer *peer)
{
	struct fp_server *server = peer->server;

	if (!peer->closed || peer->items > 0)
		return;
	if (peer->next)
		peer->next->previous = peer->previous;
	if (peer->previous)
		peer->previous->next = peer->next;
	else
		server->peers = peer->next;
	free(peer);
}

/* Forgets what waits of a peer: it sends that again when it comes back. */
static void drop_waiting(struct peer *peer)
{
	struct fp_server *server = peer->server;
	struct entry **link = &server->head;

	while (*link) {
		struct entry *entry = *link;

		if (entry->peer != peer) {
			link = &entry->next;
			continue;
		}
		*link = entry->next;
		free_entry(entry);
	}
	server->tail = link;
}

/* --- answers ------------------------------------------------------------------- */

static void send_away(struct peer *peer, enum fp_refusal code, const char *reason)
{
	struct fp_buffer out = FP_BUFFER_INIT;

	if (peer->leaving || peer->closed)
		return;
	peer->leaving = true;
	fp_message_refuse(&out, code, reason);
	fp_channel_send(peer->channel, &out);
	fp_buffer_done(&out);
	drop_waiting(peer);
	fp_channel_finish(peer->channel);
}

static void answer(struct peer *peer, const struct fp_buffer *message)
{
	if (peer->closed || peer->leaving)
		return;
	if (fp_channel_queued(peer->channel) > ANSWERS_MAX || fp_channel_send(peer->channel, message) < 0)
		fp_channel_close(peer->channel);
}

static void log_refused(const struct peer *peer, const struct fp_intake_item *item)
{
	char agent[33];

	fp_hex(item->agent, sizeof(item->agent), agent);
	fp_log(item->code == FP_REFUSE_STORE ? FP_LOG_ERROR : FP_LOG_WARNING, "batch refused",
	       "peer=\"%s\" agent=%s number=%" PRIu64 " code=%s reason=\"%s\"", fp_channel_peer(peer->channel), agent,
	       item->number, fp_refusal_name(item->code), item->reason);
}

static void judge(struct entry *entry)
{
	struct peer *peer = entry->peer;
	struct fp_server_counts *counts = &peer->server->counts;
	struct fp_intake_item *item = &entry->item;
	struct fp_buffer out = FP_BUFFER_INIT;

	switch (item->verdict) {
	case FP_VERDICT_STORED:
		counts->stored++;
		counts->events += item->events;
		peer->to_ack = item->number > peer->to_ack ? item->number : peer->to_ack;
		break;
	case FP_VERDICT_KNOWN:
		counts->known++;
		peer->to_ack = item->number > peer->to_ack ? item->number : peer->to_ack;
		break;
	case FP_VERDICT_GREETED:
		fp_message_welcome(&out, &item->welcome);
		answer(peer, &out);
		fp_buffer_done(&out);
		break;
	case FP_VERDICT_REFUSED:
	case FP_VERDICT_NONE:
		counts->refused += item->frame != NULL;
		/* what follows a refused batch of the same connection is refused with it: one line for all */
		if (!peer->leaving && !peer->closed) {
			log_refused(peer, item);
			send_away(peer, item->code, item->reason);
		}
		break;
	}
}

static void acknowledge(struct peer *peer)
{
	struct fp_buffer out = FP_BUFFER_INIT;

	if (peer->to_ack <= peer->acked)
		return;
	peer->acked = peer->to_ack;
	fp_message_ack(&out, peer->acked);
	answer(peer, &out);
	fp_buffer_done(&out);
}

static void say_farewell(struct fp_server *server)
{
	for (struct peer *peer = server->peers; peer; peer = peer->next)
		send_away(peer, FP_REFUSE_LEAVING, "the aggregator stops");
}

/* --- storing --------------------------------------------------------------------- */

static void release_held(struct fp_server *server)
{
	struct peer *next;

	for (struct peer *peer = server->peers; peer; peer = next) {
		next = peer->next;
		if (!peer->held || peer->closed || peer->leaving)
			continue;
		if (peer->pending > PEER_PENDING_MAX / 2 || server->pending > TOTAL_PENDING_MAX / 2)
			continue;
		peer->held = false;
		fp_channel_resume(peer->channel);
	}
}

static void store_group(uv_work_t *work)
{
	struct fp_server *server = work->data;
	struct fp_intake_item *items[GROUP_ITEMS_MAX];

	for (size_t i = 0; i < server->n_group; i++)
		items[i] = &server->group[i]->item;
	fp_intake_take(server->intake, items, server->n_group);
}

static void group_stored(uv_work_t *work, int status)
{
	struct fp_server *server = work->data;

	server->working = false;
	for (size_t i = 0; i < server->n_group; i++)
		judge(server->group[i]);
	for (size_t i = 0; i < server->n_group; i++) {
		struct peer *peer = server->group[i]->peer;

		acknowledge(peer);
		free_entry(server->group[i]);
		free_peer_when_done(peer);
	}
	server->n_group = 0;
	if (!server->closing) {
		release_held(server);
		begin_group(server);
	} else {
		say_farewell(server);
	}
	end_when_done(server);
}

static void begin_group(struct fp_server *server)
{
	size_t bytes = 0;

	if (server->working || !server->head)
		return;
	while (server->head && server->n_group < GROUP_ITEMS_MAX && bytes < GROUP_BYTES_MAX) {
		struct entry *entry = server->head;

		server->head = entry->next;
		if (!server->head)
			server->tail = &server->head;
		bytes += entry->item.len;
		server->group[server->n_group++] = entry;
	}
	server->working = true;
	server->work.data = server;
	if (uv_queue_work(server->listener.loop, &server->work, store_group, group_stored) < 0)
		abort(); /* only a wrong argument makes it fail */
}

static int add_item(struct peer *peer, const uint8_t *frame, size_t len)
{
	struct fp_server *server = peer->server;
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return -ENOMEM;
	if (frame) {
		entry->item.frame = malloc(len);
		if (!entry->item.frame) {
			free(entry);
			return -ENOMEM;
		}
		memcpy(entry->item.frame, frame, len);
		entry->item.len = len;
	}
	memcpy(entry->item.agent, peer->agent, sizeof(peer->agent));
	entry->peer = peer;
	*server->tail = entry;
	server->tail = &entry->next;
	peer->items++;
	peer->pending += entry->item.len;
	server->pending += entry->item.len;
	begin_group(server);
	return 0;
}

/* --- peers --------------------------------------------------------------------- */

static int on_hello(struct peer *peer, const struct fp_message *message)
{
	struct fp_server *server = peer->server;
	struct fp_hello hello;
	char agent[33];

	fp_hello_read(message, &hello);
	if (!fp_hello_supported(&hello)) {
		fp_log(FP_LOG_WARNING, "agent refused", "peer=\"%s\" format=%u schema=%u reason=\"other version\"",
		       fp_channel_peer(peer->channel), hello.format, hello.schema);
		send_away(peer, FP_REFUSE_VERSION, "this aggregator takes batches of another version");
		return 0;
	}
	for (struct peer *other = server->peers, *next; other; other = next) {
		next = other->next;
		if (other != peer && other->greeted && memcmp(other->agent, hello.agent, sizeof(hello.agent)) == 0)
			send_away(other, FP_REFUSE_REPLACED, "the same agent has connected anew");
	}
	memcpy(peer->agent, hello.agent, sizeof(hello.agent));
	peer->greeted = true;
	fp_channel_expect(peer->channel, 1u << FP_MESSAGE_BATCH | 1u << FP_MESSAGE_REFUSE);
	fp_hex(hello.agent, sizeof(hello.agent), agent);
	fp_log(FP_LOG_INFO, "agent connected", "peer=\"%s\" agent=%s", fp_channel_peer(peer->channel), agent);
	return add_item(peer, NULL, 0);
}

static int on_message(void *arg, const struct fp_message *message)
{
	struct peer *peer = arg;
	struct fp_server *server = peer->server;
	struct fp_refuse refused;
	int r;

	if (message->type == FP_MESSAGE_HELLO)
		return on_hello(peer, message);
	if (message->type == FP_MESSAGE_REFUSE) {
		fp_refuse_read(message, &refused);
		fp_log(FP_LOG_WARNING, "agent gave up", "peer=\"%s\" reason=\"%s\"", fp_channel_peer(peer->channel),
		       refused.text);
		return -ECONNABORTED;
	}
	server->counts.batches++;
	server->counts.bytes += message->len;
	r = add_item(peer, message->body, message->len);
	if (r < 0)
		return r;
	if (peer->pending > PEER_PENDING_MAX || server->pending > TOTAL_PENDING_MAX) {
		peer->held = true;
		fp_channel_pause(peer->channel);
	}
	return 0;
}

static void on_open(void *arg)
{
}

static void on_closed(void *arg, int error, const char *reason)
{
	struct peer *peer = arg;
	struct fp_server *server = peer->server;

	if (error == UV_EOF || error == 0 || error == -EPIPE)
		fp_log(peer->greeted ? FP_LOG_INFO : FP_LOG_DEBUG, "connection closed", "peer=\"%s\"",
		       fp_channel_peer(peer->channel));
	else
		fp_log(FP_LOG_WARNING, "connection ended", "peer=\"%s\" reason=\"%s\"",
		       fp_channel_peer(peer->channel), reason);
	peer->closed = true;
	peer->channel = NULL;
	server->counts.open--;
	drop_waiting(peer);
	free_peer_when_done(peer);
	if (!server->closing)
		release_held(server);
	end_when_done(server);
}

static const struct fp_channel_calls peer_calls = {on_open, on_message, on_closed};

/* Takes the connection only to close it: left alone it would wait in the backlog. */
static void turn_away(struct fp_server *server)
{
	uv_tcp_t *tcp = malloc(sizeof(*tcp));

	server->counts.refused_connections++;
	if (!tcp)
		return;
	uv_tcp_init(server->listener.loop, tcp);
	uv_accept((uv_stream_t *)&server->listener, (uv_stream_t *)tcp);
	uv_close((uv_handle_t *)tcp, (uv_close_cb)free);
	/* at powers of two, so that a flood of connections is no flood of lines */
	if ((server->counts.refused_connections & (server->counts.refused_connections - 1)) == 0)
		fp_log(FP_LOG_WARNING, "too many connections", "open=%u refused=%" PRIu64, server->counts.open,
		       server->counts.refused_connections);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct fp_server *server = listener->data;
	struct fp_channel_options options = {.tls = server->options.tls,
					     .accepted = 1u << FP_MESSAGE_HELLO,
					     .timeout_ms = server->options.timeout_ms,
					     .calls = &peer_calls};
	struct peer *peer;

	if (status < 0) {
		fp_log(FP_LOG_ERROR, "cannot take a connection", "reason=\"%s\"", uv_strerror(status));
		return;
	}
	peer = server->counts.open < server->options.max_connections ? calloc(1, sizeof(*peer)) : NULL;
	if (!peer) {
		turn_away(server);
		return;
	}
	options.arg = peer;
	peer->server = server;
	if (fp_channel_accept(listener, &options, &peer->channel) < 0) {
		free(peer);
		return;
	}
	peer->next = server->peers;
	if (peer->next)
		peer->next->previous = peer;
	server->peers = peer;
	server->counts.connections++;
	server->counts.open++;
}

/* --- life ----------------------------------------------------------------------- */

static void name_address(struct fp_server *server)
{
	struct sockaddr_storage address = {0};
	int len = sizeof(address);

	uv_tcp_getsockname(&server->listener, (struct sockaddr *)&address, &len);
	fp_sockaddr_text((struct sockaddr *)&address, server->address);
}

static void on_farewell(uv_timer_t *timer)
{
	struct fp_server *server = timer->data;

	for (struct peer *peer = server->peers; peer; peer = peer->next)
		if (!peer->closed)
			fp_channel_close(peer->channel);
}

static void on_unborn(void *arg)
{
}

int fp_server_new(uv_loop_t *loop, const struct fp_server_options *options, struct fp_server **ret_server)
{
	struct fp_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return -ENOMEM;
	server->options = *options;
	server->tail = &server->head;
	r = fp_intake_new(options->store, &server->intake);
	if (r < 0) {
		free(server);
		return r;
	}
	uv_tcp_init(loop, &server->listener);
	uv_timer_init(loop, &server->farewell);
	server->listener.data = server->farewell.data = server;
	server->handles = 2;
	r = uv_tcp_bind(&server->listener, options->listen, 0);
	if (r == 0)
		r = uv_listen((uv_stream_t *)&server->listener, 128, on_connection);
	if (r < 0) {
		fp_server_close(server, on_unborn, NULL);
		return r;
	}
	name_address(server);
	*ret_server = server;
	return 0;
}

const char *fp_server_address(const struct fp_server *server)
{
	return server->address;
}

const struct fp_server_counts *fp_server_counts(const struct fp_server *server)
{
	return &server->counts;
}

void fp_server_close(struct fp_server *server, void (*closed)(void *arg), void *arg)
{
	if (server->closing)
		return;
	server->closing = true;
	server->closed = closed;
	server->closed_arg = arg;
	uv_close((uv_handle_t *)&server->listener, on_handle_closed);
	uv_timer_start(&server->farewell, on_farewell, FAREWELL_MS, FAREWELL_MS);
	/* whoever has something in the group being stored gets its answer first, see group_stored */
	if (!server->working)
		say_farewell(server);
	end_when_done(server);
}

#include "agent/uplink/uplink.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/uplink/spool.h"
#include "base/cleanup.h"
#include "wire/channel.h"

#define RETRY_FIRST_MS 100
#define RETRY_MS 5000
#define TIMEOUT_MS 30000
/* A refusal is not over in a moment: somebody has to look. */
#define REFUSED_FACTOR 6

/*
 * Sent and not acknowledged: enough to keep a link busy while the aggregator
 * syncs its disk, and a bound for what is in memory here.
 */
#define WINDOW_BYTES (4u << 20)

enum state {
	IDLE, /* waits for the timer */
	RESOLVING,
	CONNECTING,
	GREETING, /* HELLO sent */
	CONNECTED,
};

struct fp_uplink {
	uv_loop_t *loop;
	uv_timer_t timer; /* to connect again; while connected: for the answer */
	uv_work_t sync;
	uv_getaddrinfo_t resolve;
	struct fp_spool_unsafe syncing;
	int sync_result;
	struct fp_spool *spool;
	struct fp_tls *tls;
	struct fp_channel *channel;
	const struct fp_uplink_calls *calls;
	void *arg;
	char *host, *port;
	unsigned retry_max, timeout, retry, attempt;
	enum state state;
	bool closing, sync_running, resolving, timer_open;
	uint64_t next; /* number to send next */
	size_t in_flight; /* bytes sent and not acknowledged */
	char refused[256]; /* why this connection is of no use; "" while it is */
	int noticed; /* last notice, -1: none */
	char noticed_text[256];
};

static void connect_now(struct fp_uplink *uplink);

static void notice(struct fp_uplink *uplink, enum fp_uplink_notice what, const char *text)
{
	if (uplink->noticed == (int)what && strcmp(uplink->noticed_text, text) == 0)
		return;
	uplink->noticed = (int)what;
	snprintf(uplink->noticed_text, sizeof(uplink->noticed_text), "%s", text);
	if (uplink->calls->notice)
		uplink->calls->notice(uplink->arg, what, text);
}

/* --- the end ------------------------------------------------------------------- */

static void destroy(struct fp_uplink *uplink)
{
	fp_spool_close(uplink->spool);
	fp_tls_free(uplink->tls);
	free(uplink->host);
	free(uplink->port);
	free(uplink);
}

static void end_when_done(struct fp_uplink *uplink)
{
	if (!uplink->closing || uplink->channel || uplink->sync_running || uplink->resolving || uplink->timer_open)
		return;
	if (uplink->calls->closed)
		uplink->calls->closed(uplink->arg);
	destroy(uplink);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct fp_uplink *uplink = handle->data;

	uplink->timer_open = false;
	end_when_done(uplink);
}

void fp_uplink_close(struct fp_uplink *uplink)
{
	if (!uplink || uplink->closing)
		return;
	uplink->closing = true;
	uv_close((uv_handle_t *)&uplink->timer, on_timer_closed);
	if (uplink->channel)
		fp_channel_close(uplink->channel);
	if (uplink->resolving)
		uv_cancel((uv_req_t *)&uplink->resolve);
}

/* --- sending --------------------------------------------------------------------- */

/* This connection is of no use; the reason is told once it is closed. */
static void give_up(struct fp_uplink *uplink, const char *reason)
{
	if (!uplink->refused[0])
		snprintf(uplink->refused, sizeof(uplink->refused), "%s", reason);
	fp_channel_close(uplink->channel);
}

static void on_no_answer(uv_timer_t *timer)
{
	struct fp_uplink *uplink = timer->data;

	/* not a refusal: the connection is tried anew soon */
	fp_channel_close(uplink->channel);
}

static void expect_answer(struct fp_uplink *uplink)
{
	if (uplink->in_flight > 0)
		uv_timer_start(&uplink->timer, on_no_answer, uplink->timeout, 0);
	else
		uv_timer_stop(&uplink->timer);
}

static int send_one(struct fp_uplink *uplink, const struct fp_spool_entry *entry)
{
	struct fp_buffer frame = FP_BUFFER_INIT, message = FP_BUFFER_INIT;
	char reason[96];
	int r = fp_spool_read(uplink->spool, entry->number, &frame);

	if (r < 0) {
		snprintf(reason, sizeof(reason), "batch %" PRIu64 " in the spool cannot be read: %s", entry->number,
			 r == -EBADMSG ? "it is damaged" : strerror(-r));
		notice(uplink, FP_UPLINK_DISK, reason);
		give_up(uplink, reason);
	} else {
		fp_message_batch(&message, (uint8_t *)frame.data, frame.len);
		r = fp_channel_send(uplink->channel, &message);
		if (r < 0)
			fp_channel_close(uplink->channel);
	}
	fp_buffer_done(&frame);
	fp_buffer_done(&message);
	return r;
}

static void send_more(struct fp_uplink *uplink)
{
	size_t before = uplink->in_flight;

	if (uplink->state != CONNECTED || uplink->closing)
		return;
	while (uplink->in_flight < WINDOW_BYTES) {
		const struct fp_spool_entry *entry = fp_spool_entry(uplink->spool, uplink->next);

		if (!entry || !entry->safe || send_one(uplink, entry) < 0)
			break;
		uplink->next++;
		uplink->in_flight += entry->len;
	}
	if (before == 0)
		expect_answer(uplink);
}

static void sync_disk(uv_work_t *work)
{
	struct fp_uplink *uplink = work->data;

	uplink->sync_result = fp_spool_sync(&uplink->syncing);
}

static void begin_sync(struct fp_uplink *uplink);

static void disk_synced(uv_work_t *work, int status)
{
	struct fp_uplink *uplink = work->data;

	uplink->sync_running = false;
	if (uplink->sync_result < 0) {
		char text[96];

		snprintf(text, sizeof(text), "cannot sync the spool: %s", strerror(-uplink->sync_result));
		notice(uplink, FP_UPLINK_DISK, text);
	}
	/* even then: a disk that fails is a reason to get the evidence away from it */
	fp_spool_synced(uplink->spool, &uplink->syncing);
	if (uplink->closing) {
		end_when_done(uplink);
		return;
	}
	begin_sync(uplink);
	send_more(uplink);
}

static void begin_sync(struct fp_uplink *uplink)
{
	if (uplink->sync_running || uplink->closing || !fp_spool_unsafe(uplink->spool, &uplink->syncing))
		return;
	uplink->sync.data = uplink;
	uplink->sync_running = uv_queue_work(uplink->loop, &uplink->sync, sync_disk, disk_synced) == 0;
}

/* Everything up to the number is stored.  False when that cannot be. */
static bool acknowledged(struct fp_uplink *uplink, uint64_t number)
{
	const struct fp_spool_entry *oldest = fp_spool_oldest(uplink->spool);
	uint64_t before = fp_spool_bytes(uplink->spool), gone;
	char text[96];
	int r;

	if (!oldest || number < oldest->number)
		return true; /* known */
	if (number >= uplink->next)
		return false;
	r = fp_spool_acked(uplink->spool, number);
	if (r < 0) {
		snprintf(text, sizeof(text), "cannot remove batches from the spool: %s", strerror(-r));
		notice(uplink, FP_UPLINK_DISK, text);
	}
	gone = before - fp_spool_bytes(uplink->spool);
	uplink->in_flight -= gone < uplink->in_flight ? gone : uplink->in_flight;
	return true;
}

/* --- messages -------------------------------------------------------------------- */

/* Whether what the aggregator has is the beginning of our chain; else why not. */
static bool fits(struct fp_uplink *uplink, const struct fp_welcome *welcome, char *reason, size_t size)
{
	const struct fp_spool_entry *oldest = fp_spool_oldest(uplink->spool), *same;
	uint8_t head_hash[FP_BATCH_HASH_SIZE];
	const uint8_t *hash;
	uint64_t head, from;

	fp_spool_head(uplink->spool, &head, head_hash);
	from = oldest ? oldest->number : head + 1;
	if (welcome->last > head) {
		snprintf(reason, size, "it has batch %" PRIu64 " of this agent, the spool ends with %" PRIu64,
			 welcome->last, head);
		return false;
	}
	if (welcome->last + 1 < from) {
		snprintf(reason, size,
			 "its store ends with batch %" PRIu64 " of this agent, the spool begins with %" PRIu64
			 " (another store?)",
			 welcome->last, from);
		return false;
	}
	same = fp_spool_entry(uplink->spool, welcome->last);
	hash = same ? same->hash : welcome->last == head && head > 0 ? head_hash : NULL;
	if (hash && memcmp(hash, welcome->hash, FP_BATCH_HASH_SIZE) != 0) {
		snprintf(reason, size, "it has another batch %" PRIu64 " of this agent", welcome->last);
		return false;
	}
	return true;
}

static void report_drained(struct fp_uplink *uplink)
{
	if (fp_spool_pending(uplink->spool) == 0 && uplink->calls->drained)
		uplink->calls->drained(uplink->arg);
}

static void on_welcome(struct fp_uplink *uplink, const struct fp_message *message)
{
	bool had = fp_spool_pending(uplink->spool) > 0;
	struct fp_welcome welcome;
	char reason[160];

	fp_welcome_read(message, &welcome);
	if (!fits(uplink, &welcome, reason, sizeof(reason))) {
		give_up(uplink, reason);
		return;
	}
	uplink->state = CONNECTED;
	uplink->retry = RETRY_FIRST_MS;
	uplink->next = welcome.last + 1;
	uplink->in_flight = 0;
	fp_channel_expect(uplink->channel, 1u << FP_MESSAGE_ACK | 1u << FP_MESSAGE_REFUSE);
	acknowledged(uplink, welcome.last);
	notice(uplink, FP_UPLINK_CONNECTED, fp_channel_peer(uplink->channel));
	send_more(uplink);
	if (had)
		report_drained(uplink);
}

static int on_message(void *arg, const struct fp_message *message)
{
	struct fp_uplink *uplink = arg;
	struct fp_refuse refused;
	char reason[FP_REFUSE_TEXT_MAX + 32];

	if (uplink->closing)
		return 0;
	switch (message->type) {
	case FP_MESSAGE_WELCOME:
		on_welcome(uplink, message);
		return 0;
	case FP_MESSAGE_ACK:
		if (!acknowledged(uplink, fp_ack_read(message)))
			return -EBADMSG;
		expect_answer(uplink);
		send_more(uplink);
		report_drained(uplink);
		return 0;
	default:
		fp_refuse_read(message, &refused);
		if (refused.code == FP_REFUSE_STORE || refused.code == FP_REFUSE_LEAVING) {
			/* passes by itself */
			notice(uplink, FP_UPLINK_AWAY, refused.text);
			fp_channel_close(uplink->channel);
			return 0;
		}
		snprintf(reason, sizeof(reason), "it refuses: %s", refused.text);
		give_up(uplink, reason);
		return 0;
	}
}

/* --- connecting ------------------------------------------------------------------ */

static void on_retry(uv_timer_t *timer)
{
	connect_now(timer->data);
}

/* Between half and all of the delay, so that agents that lost the same aggregator do not come back as one. */
static void connect_later(struct fp_uplink *uplink, bool refused)
{
	unsigned delay = refused ? REFUSED_FACTOR * uplink->retry_max : uplink->retry, random = 0;

	if (uplink->closing)
		return;
	uplink->state = IDLE;
	uplink->retry = uplink->retry * 2 < uplink->retry_max ? uplink->retry * 2 : uplink->retry_max;
	uv_random(NULL, NULL, &random, sizeof(random), 0, NULL);
	uv_timer_start(&uplink->timer, on_retry, delay / 2 + random % (delay / 2 + 1), 0);
}

static void on_open(void *arg)
{
	struct fp_uplink *uplink = arg;
	struct fp_buffer hello = FP_BUFFER_INIT;

	uplink->state = GREETING;
	fp_message_hello(&hello, fp_spool_agent(uplink->spool));
	if (fp_channel_send(uplink->channel, &hello) < 0)
		fp_channel_close(uplink->channel);
	fp_buffer_done(&hello);
}

static void on_closed(void *arg, int error, const char *reason)
{
	struct fp_uplink *uplink = arg;
	bool refused = uplink->refused[0] != '\0';

	uplink->channel = NULL;
	if (uplink->closing) {
		end_when_done(uplink);
		return;
	}
	if (refused)
		notice(uplink, FP_UPLINK_REFUSED, uplink->refused);
	else if (uplink->noticed != FP_UPLINK_AWAY)
		notice(uplink, FP_UPLINK_AWAY, error ? reason : "it does not answer");
	uplink->refused[0] = '\0';
	connect_later(uplink, refused);
}

static const struct fp_channel_calls channel_calls = {on_open, on_message, on_closed};

static void connect_to(struct fp_uplink *uplink, const struct sockaddr *address)
{
	struct fp_channel_options options = {.tls = uplink->tls,
					     .peer = uplink->host,
					     .accepted = 1u << FP_MESSAGE_WELCOME | 1u << FP_MESSAGE_REFUSE,
					     .timeout_ms = uplink->timeout,
					     .calls = &channel_calls,
					     .arg = uplink};
	int r;

	uplink->state = CONNECTING;
	r = fp_channel_connect(uplink->loop, address, &options, &uplink->channel);
	if (r < 0) {
		uplink->channel = NULL;
		notice(uplink, FP_UPLINK_AWAY, uv_strerror(r));
		connect_later(uplink, false);
	}
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
	struct fp_uplink *uplink = request->data;
	struct addrinfo *address = list;
	unsigned n = 0;

	uplink->resolving = false;
	if (uplink->closing) {
		uv_freeaddrinfo(list);
		end_when_done(uplink);
		return;
	}
	if (status < 0 || !list) {
		notice(uplink, FP_UPLINK_AWAY, status < 0 ? uv_strerror(status) : "the name has no address");
		uv_freeaddrinfo(list);
		connect_later(uplink, false);
		return;
	}
	/* a name with several addresses: another one with each attempt */
	for (struct addrinfo *a = list; a; a = a->ai_next)
		n++;
	for (unsigned i = uplink->attempt++ % n; i > 0; i--)
		address = address->ai_next;
	connect_to(uplink, address->ai_addr);
	uv_freeaddrinfo(list);
}

static void connect_now(struct fp_uplink *uplink)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
	int r;

	uplink->state = RESOLVING;
	uplink->resolve.data = uplink;
	r = uv_getaddrinfo(uplink->loop, &uplink->resolve, on_resolved, uplink->host, uplink->port, &hints);
	uplink->resolving = r == 0;
	if (r < 0) {
		notice(uplink, FP_UPLINK_AWAY, uv_strerror(r));
		connect_later(uplink, false);
	}
}

/* --- opening --------------------------------------------------------------------- */

/* "host:port", "[address]:port" */
static int split_address(struct fp_uplink *uplink, const char *address)
{
	const char *colon = strrchr(address, ':');
	size_t len = colon ? (size_t)(colon - address) : 0;

	if (len == 0 || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) || strlen(colon + 1) > 5)
		return -EINVAL;
	if (address[0] == '[' && address[len - 1] == ']') {
		address++;
		len -= 2;
	}
	uplink->host = strndup(address, len);
	uplink->port = strdup(colon + 1);
	return uplink->host && uplink->port ? 0 : -ENOMEM;
}

static int prepare(struct fp_uplink *uplink, const struct fp_uplink_options *options, char error[256])
{
	bool some = options->tls_ca || options->tls_cert || options->tls_key;
	int r;

	if (options->address) {
		r = split_address(uplink, options->address);
		if (r < 0) {
			snprintf(error, 256, "%.150s is not HOST:PORT", options->address);
			return r;
		}
	}
	if (some && !(options->tls_ca && options->tls_cert && options->tls_key)) {
		snprintf(error, 256, "TLS needs an authority, a certificate and its key");
		return -EINVAL;
	}
	if (some) {
		r = fp_tls_new(false, options->tls_ca, options->tls_cert, options->tls_key, &uplink->tls, error);
		if (r < 0)
			return r;
	}
	return fp_spool_open(options->spool, options->spool_limit ? options->spool_limit : FP_UPLINK_SPOOL_LIMIT,
			     &uplink->spool, error);
}

int fp_uplink_open(uv_loop_t *loop, const struct fp_uplink_options *options, const struct fp_uplink_calls *calls,
		   void *arg, struct fp_uplink **ret_uplink, char ret_error[256])
{
	static const struct fp_uplink_calls no_calls;
	struct fp_uplink *uplink = calloc(1, sizeof(*uplink));
	int r;

	snprintf(ret_error, 256, "out of memory");
	if (!uplink)
		return -ENOMEM;
	r = prepare(uplink, options, ret_error);
	if (r < 0) {
		destroy(uplink);
		return r;
	}
	uplink->loop = loop;
	uplink->calls = calls ? calls : &no_calls;
	uplink->arg = arg;
	uplink->noticed = -1;
	uplink->retry = RETRY_FIRST_MS;
	uplink->retry_max = options->retry_ms ? options->retry_ms : RETRY_MS;
	uplink->timeout = options->timeout_ms ? options->timeout_ms : TIMEOUT_MS;
	uv_timer_init(loop, &uplink->timer);
	uplink->timer.data = uplink;
	uplink->timer_open = true;
	if (uplink->host)
		uv_timer_start(&uplink->timer, on_retry, 0, 0);
	begin_sync(uplink);
	ret_error[0] = '\0';
	*ret_uplink = uplink;
	return 0;
}

const uint8_t *fp_uplink_agent(const struct fp_uplink *uplink)
{
	return fp_spool_agent(uplink->spool);
}

void fp_uplink_head(const struct fp_uplink *uplink, uint64_t *ret_number, uint8_t ret_hash[FP_BATCH_HASH_SIZE])
{
	fp_spool_head(uplink->spool, ret_number, ret_hash);
}

unsigned fp_uplink_damaged(const struct fp_uplink *uplink)
{
	return fp_spool_damaged(uplink->spool);
}

int fp_uplink_put(struct fp_uplink *uplink, const uint8_t *frame, size_t len, uint64_t number)
{
	uint8_t hash[FP_BATCH_HASH_SIZE];
	uint64_t head;
	int r;

	fp_spool_head(uplink->spool, &head, hash);
	if (uplink->closing || number != head + 1)
		return -EINVAL;
	r = fp_spool_put(uplink->spool, frame, len);
	if (r < 0)
		return r;
	begin_sync(uplink);
	return 0;
}

uint64_t fp_uplink_pending(const struct fp_uplink *uplink)
{
	return fp_spool_pending(uplink->spool);
}

uint64_t fp_uplink_pending_bytes(const struct fp_uplink *uplink)
{
	return fp_spool_bytes(uplink->spool);
}

/* Sockets in the evidence: streams by addresses and base, ends of unix sockets. */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buffer.h"
#include "base/text.h"
#include "base/array.h"
#include "stitcher/evidence.h"

/* Characters: of an address that has many names (a content network's) the first are named. */
#define PEER_NAMES_MAX 128

static bool is_loopback(uint64_t hi, uint64_t lo)
{
	return hi == 0 && (lo == 1 || lo >> 24 == 0xffff7f);
}

static int find_endpoint(struct fp_evidence *evidence, const struct fp_endpoint *endpoint, uint32_t *ret_endpoint)
{
	uint64_t key[] = {endpoint->hi, endpoint->lo, endpoint->port, endpoint->netns, endpoint->boot};
	int r = fp_intern_add(&evidence->endpoints_by, key, sizeof(key), ret_endpoint);

	if (r <= 0)
		return r;
	if (!FP_ARRAY_ROOM(evidence->endpoints, *ret_endpoint, evidence->endpoints_room))
		return -ENOMEM;
	evidence->endpoints[*ret_endpoint] = *endpoint;
	return 0;
}

static int find_path(struct fp_evidence *evidence, const struct fp_path *path, uint32_t *ret_path)
{
	int r = fp_intern_add(&evidence->paths_by, path, sizeof(*path), ret_path);

	if (r <= 0)
		return r;
	if (!FP_ARRAY_ROOM(evidence->paths, *ret_path, evidence->paths_room))
		return -ENOMEM;
	evidence->paths[*ret_path] = *path;
	return 0;
}

/* The opener's SYN counts for one end and not for the other: bases that differ by one name the same stream. */
static int find_stream(struct fp_evidence *evidence, const struct fp_path *path, uint32_t base, uint32_t *ret_stream)
{
	struct fp_stream key = {.base = base};
	int r = find_path(evidence, path, &key.path);

	if (r < 0)
		return r;
	for (int off = 0; base && off < 3; off++) {
		struct fp_stream near = {key.path, off == 0 ? base : off == 1 ? base - 1 : base + 1};

		*ret_stream = fp_intern_find(&evidence->streams_by, &near, sizeof(near));
		if (near.base && *ret_stream != FP_NONE)
			return 0;
	}
	r = fp_intern_add(&evidence->streams_by, &key, sizeof(key), ret_stream);
	if (r <= 0)
		return r;
	if (!FP_ARRAY_ROOM(evidence->streams, *ret_stream, evidence->streams_room))
		return -ENOMEM;
	evidence->streams[*ret_stream] = key;
	return 0;
}

int fp_evidence_unix_end(struct fp_evidence *evidence, struct fp_item *item, uint64_t ino, uint32_t *ret_end)
{
	const struct fp_source *source = fp_item_source(evidence, item);
	struct {
		uint64_t boot, ino;
	} key = {source->boot, ino};
	int r;

	if (!ino)
		return 0;
	r = fp_intern_add(&evidence->unix_by, &key, sizeof(key), ret_end);
	if (r < 0)
		return r;
	if (r == 1) {
		if (!FP_ARRAY_ROOM(evidence->unix_ends, *ret_end, evidence->unix_room))
			return -ENOMEM;
		evidence->unix_ends[*ret_end] = (struct fp_unix_end){source->boot, source->host, ino, FP_NONE};
	}
	item->kind = FP_ITEM_UNIX;
	return 0;
}

/* Whoever still sees its peer tells us both ends: the other may outlive the link. */
static int add_unix(struct fp_evidence *evidence, const struct fp_event *event, struct fp_item *item)
{
	int r = fp_evidence_unix_end(evidence, item, event->ino, &item->object);

	item->peer = FP_NONE;
	if (r < 0 || item->kind != FP_ITEM_UNIX || !event->remote_lo || event->remote_lo == event->ino)
		return r;
	r = fp_evidence_unix_end(evidence, item, event->remote_lo, &item->peer);
	if (r < 0)
		return r;
	if (evidence->unix_ends[item->object].peer == FP_NONE)
		evidence->unix_ends[item->object].peer = item->peer;
	if (evidence->unix_ends[item->peer].peer == FP_NONE)
		evidence->unix_ends[item->peer].peer = item->object;
	return 0;
}

static int find_streams(struct fp_evidence *evidence, const struct fp_event *event, uint32_t boot, struct fp_item *item)
{
	bool near = is_loopback(event->local_hi, event->local_lo) || is_loopback(event->remote_hi, event->remote_lo);
	bool is_tcp = event->protocol == IPPROTO_TCP;
	struct fp_endpoint local = {event->local_hi, event->local_lo, near ? event->netns : 0, near ? boot + 1 : 0,
				    (uint16_t)event->local_port};
	struct fp_endpoint remote = {event->remote_hi, event->remote_lo, local.netns, local.boot,
				     (uint16_t)event->remote_port};
	struct fp_path out = {.protocol = (uint8_t)event->protocol}, in;
	int r = find_endpoint(evidence, &local, &out.from);

	if (r == 0)
		r = find_endpoint(evidence, &remote, &out.to);
	if (r < 0)
		return r;
	in = (struct fp_path){out.to, out.from, out.protocol};
	r = find_stream(evidence, &out, is_tcp ? (uint32_t)event->tx_base : 0, &item->object);
	if (r == 0)
		r = find_stream(evidence, &in, is_tcp ? (uint32_t)event->rx_base : 0, &item->peer);
	return r;
}

static int recall_streams(struct fp_evidence *evidence, const struct fp_event *event, uint32_t boot, struct fp_item *item)
{
	const uint64_t key[12] = {boot,		    event->ino,	       event->netns,	  event->protocol,
				  event->local_hi,  event->local_lo,   event->local_port, event->remote_hi,
				  event->remote_lo, event->remote_port, event->tx_base,	  event->rx_base};
	struct fp_socket_memory *memory;
	int r;

	if (!evidence->sockets)
		evidence->sockets = calloc(FP_SOCKET_MEMORY, sizeof(*evidence->sockets));
	if (!evidence->sockets)
		return -ENOMEM;
	memory = &evidence->sockets[event->ino % FP_SOCKET_MEMORY];
	if (!memory->is_set || memcmp(memory->key, key, sizeof(key)) != 0) {
		r = find_streams(evidence, event, boot, item);
		if (r < 0)
			return r;
		memcpy(memory->key, key, sizeof(key));
		memory->out = item->object;
		memory->in = item->peer;
		memory->is_set = true;
	}
	item->object = memory->out;
	item->peer = memory->in;
	return 0;
}

int fp_evidence_socket(struct fp_evidence *evidence, const struct fp_event *event, struct fp_item *item)
{
	int r;

	if (event->family == AF_UNIX)
		return add_unix(evidence, event, item);
	if (event->family != AF_INET && event->family != AF_INET6)
		return 0;
	r = recall_streams(evidence, event, fp_item_source(evidence, item)->boot, item);
	if (r < 0)
		return r;
	item->kind = FP_ITEM_STREAM;
	item->value = (uint32_t)(event->type == FP_EVENT_TYPE_RECEIVE ? event->rx_end : event->tx_end);
	return 0;
}

int fp_evidence_url(struct fp_evidence *evidence, const struct fp_event *event, uint32_t *ret_text)
{
	struct fp_buffer url = FP_BUFFER_INIT;
	char server[FP_ADDRESS_TEXT_SIZE];
	size_t len = 0;
	int r;

	while (len < event->url.len && event->url.data[len] != '?' && event->url.data[len] != '#')
		len++;
	fp_endpoint_text(event->remote_hi, event->remote_lo, (uint16_t)event->remote_port, server);
	fp_buffer_add_text(&url, "http://");
	if (event->host_name.len)
		fp_buffer_add(&url, event->host_name.data, event->host_name.len);
	else
		fp_buffer_add_text(&url, server);
	fp_buffer_add(&url, event->url.data, len);
	r = fp_buffer_error(&url);
	if (r == 0)
		r = fp_evidence_text(evidence, (struct fp_str){url.data, url.len}, ret_text);
	fp_buffer_done(&url);
	return r;
}

/* ip:port; a server on loopback is another one in each network namespace. */
static void add_server(const struct fp_evidence *evidence, const struct fp_event *event, const struct fp_item *item,
		       struct fp_buffer *out)
{
	char server[FP_ADDRESS_TEXT_SIZE];

	fp_endpoint_text(event->remote_hi, event->remote_lo, (uint16_t)event->remote_port, server);
	fp_buffer_add_text(out, server);
	if (is_loopback(event->remote_hi, event->remote_lo))
		fp_buffer_add_format(out, "@%" PRIu64 ".%" PRIu32, event->netns, fp_item_source(evidence, item)->boot);
}

static int take_text(struct fp_evidence *evidence, struct fp_buffer *text, uint32_t *ret_text)
{
	int r = fp_buffer_error(text);

	if (r == 0)
		r = fp_evidence_text(evidence, (struct fp_str){text->data, text->len}, ret_text);
	fp_buffer_done(text);
	return r;
}

int fp_evidence_server(struct fp_evidence *evidence, const struct fp_event *event, const struct fp_item *item,
		       uint32_t *ret_text)
{
	struct fp_buffer name = FP_BUFFER_INIT;

	add_server(evidence, event, item, &name);
	return take_text(evidence, &name, ret_text);
}

int fp_evidence_key(struct fp_evidence *evidence, const struct fp_event *event, const struct fp_item *item,
		    uint32_t *ret_text)
{
	struct fp_buffer key = FP_BUFFER_INIT;

	if (strcmp(fp_text(evidence, *ret_text), "?") == 0)
		return 0;
	add_server(evidence, event, item, &key);
	fp_buffer_add_format(&key, "/%s", fp_text(evidence, *ret_text));
	return take_text(evidence, &key, ret_text);
}

/* Several names of one address are all named, as long as there are few. */
int fp_evidence_lookup(struct fp_evidence *evidence, const struct fp_event *event)
{
	uint64_t key[] = {event->remote_hi, event->remote_lo};
	struct fp_buffer names = FP_BUFFER_INIT;
	uint32_t address, name, *known;
	int r = fp_evidence_text(evidence, event->host_name, &name);

	if (r == 0)
		r = fp_intern_add(&evidence->lookups_by, key, sizeof(key), &address);
	if (r < 0)
		return r;
	if (!FP_ARRAY_ROOM(evidence->lookups, address, evidence->lookups_room))
		return -ENOMEM;
	known = &evidence->lookups[address];
	if (r == 1 || !*known) {
		*known = name;
	} else if (!strstr(fp_text(evidence, *known), fp_text(evidence, name)) &&
		   strlen(fp_text(evidence, *known)) < PEER_NAMES_MAX) {
		fp_buffer_add_format(&names, "%s, %s", fp_text(evidence, *known), fp_text(evidence, name));
		r = fp_buffer_error(&names);
		if (r == 0)
			r = fp_evidence_text(evidence, (struct fp_str){names.data, names.len}, known);
		fp_buffer_done(&names);
	}
	return r < 0 ? r : 0;
}

const char *fp_evidence_names(const struct fp_evidence *evidence, uint64_t hi, uint64_t lo)
{
	uint64_t key[] = {hi, lo};
	uint32_t address = fp_intern_find(&evidence->lookups_by, key, sizeof(key));

	return address == FP_NONE ? NULL : fp_text(evidence, evidence->lookups[address]);
}

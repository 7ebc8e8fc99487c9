/*
 * Requests that no watchdog marks: where a container's watchdog is a stock one,
 * or the function is a plain HTTP server, a request begins when its head is read
 * on a connection from outside and bears an id, and ends when its answer is
 * written.  What is read with it is its own by rule `header`, never exact: the
 * bytes on the wire are the caller's word.
 *
 * A stock watchdog passes the request on over a connection within the container.
 * That begins nothing: by the id it is one of those in flight here; where several
 * bear it, it is any of them.
 *
 * A client may ask again on a connection before it was answered.  Then both are in
 * flight there, the oldest first, and what is sent on it is any of theirs; each whole
 * answer is the oldest's, as HTTP demands.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/attribute_saved.h"
#include "base/text.h"

/* As of the watchdog's marks: a UUID has 36, clients may send anything. */
#define CALL_ID_MAX 128
/* Asked on one connection before any answer; of a client that asks more, the oldest is no longer followed. */
#define PIPELINED_MAX 32

/* A request that was read on a connection and not answered yet, by the server's socket. */
struct wire_request {
	uint64_t ino;
	uint64_t cgroup;
	uint8_t id[FP_REQUEST_ID_SIZE];
	char call_id[CALL_ID_MAX];
	size_t len;
	struct wire_request *later; /* asked on the same connection, before this one was answered */
	UT_hash_handle hh; /* the oldest's of a connection */
};

/* The oldest of its connection; the next one takes its place. */
static void forget(struct fp_attributor *a, struct wire_request *request)
{
	struct wire_request *later = request->later;

	HASH_DEL(a->wire_requests, request);
	free(request);
	if (later)
		HASH_ADD(hh, a->wire_requests, ino, sizeof(later->ino), later);
}

static unsigned n_waiting(const struct wire_request *oldest)
{
	unsigned n = 0;

	for (; oldest; oldest = oldest->later)
		n++;
	return n;
}

/* All that wait for an answer on the connection of the oldest: a new reference, or NULL. */
static struct fp_idset *waiting(const struct wire_request *oldest)
{
	uint8_t ids[PIPELINED_MAX][FP_REQUEST_ID_SIZE];
	unsigned n = 0;

	for (const struct wire_request *request = oldest; request && n < PIPELINED_MAX; request = request->later)
		memcpy(ids[n++], request->id, FP_REQUEST_ID_SIZE);
	return n ? fp_idset_new((const uint8_t(*)[FP_REQUEST_ID_SIZE])ids, n) : NULL;
}

/* What the head alone told was the watchdog's to tell: it marks the same requests, and ends them. */
void fp_attribute_header_yield(struct fp_attributor *a, struct container *container, uint64_t time)
{
	struct wire_request *request, *next;

	HASH_ITER(hh, a->wire_requests, request, next)
		while (request && request->cgroup == container->cgroup) {
			struct wire_request *later = request->later;
			int place = fp_state_find_in_flight(container, request->id);

			if (place >= 0) {
				fp_state_leave(a, container, place, time);
				a->stats.ended++;
			}
			forget(a, request);
			request = later;
		}
}

void fp_attribute_header_done(struct fp_attributor *a)
{
	while (a->wire_requests)
		forget(a, a->wire_requests);
}

size_t fp_header_entries(const struct fp_attributor *a, size_t *ret_size)
{
	*ret_size = sizeof(struct wire_request);
	return HASH_COUNT(a->wire_requests);
}

/* The oldest: its answer is not waited for any more, and it is over for all that anybody knows. */
void fp_header_forget(struct fp_attributor *a)
{
	struct wire_request *request = a->wire_requests;
	struct container *container = fp_state_container(a, &request->cgroup);
	int place = container ? fp_state_find_in_flight(container, request->id) : -1;

	if (place >= 0)
		fp_state_leave(a, container, place, a->now);
	fp_state_tell_forgotten(a, request->cgroup);
	forget(a, request);
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

/*
 * An id of its own, the same whenever the same events are read: the moment in ns,
 * the place in the stream and the socket, stirred so that a few digits name it; and of
 * several heads that were read at once, which of them it is.
 */
static void make_id(const struct fp_event *event, unsigned nth, uint8_t id[FP_REQUEST_ID_SIZE])
{
	uint64_t hi = mix(event->time + 0x9e3779b97f4a7c15 + nth), lo;

	hi ^= mix(event->process_start ^ event->netns << 32);
	lo = mix(hi ^ event->ino) ^ mix(event->rx_end << 32 ^ event->rx_base ^ event->remote_port << 16);
	memcpy(id, &hi, sizeof(hi));
	memcpy(id + sizeof(hi), &lo, sizeof(lo));
	id[6] = 0x80 | (id[6] & 0x0f); /* UUID version 8: made up here */
	id[8] = 0x80 | (id[8] & 0x3f);
}

static bool is_loopback(uint64_t hi, uint64_t lo)
{
	return hi == 0 && (lo == 1 || lo >> 24 == 0xffff7f);
}

/* Do both ends lie within the container? */
static bool is_inside(const struct fp_event *event)
{
	return is_loopback(event->remote_hi, event->remote_lo) ||
	       (event->remote_hi == event->local_hi && event->remote_lo == event->local_lo);
}

static bool bears(const struct wire_request *request, struct fp_str call_id)
{
	size_t len = call_id.len < CALL_ID_MAX ? call_id.len : CALL_ID_MAX;

	return request->len == len && memcmp(request->call_id, call_id.data, len) == 0;
}

/* Those in flight in the container that bear the id; the caller's reference, or NULL. */
static struct fp_idset *find_bearers(struct fp_attributor *a, const struct container *container, struct fp_str call_id)
{
	uint8_t ids[FP_IN_FLIGHT_MAX][FP_REQUEST_ID_SIZE];
	struct wire_request *request, *next;
	unsigned n = 0;

	HASH_ITER(hh, a->wire_requests, request, next)
		for (; request; request = request->later)
			if (request->cgroup == container->cgroup && bears(request, call_id) && n < FP_IN_FLIGHT_MAX)
				memcpy(ids[n++], request->id, FP_REQUEST_ID_SIZE);
	return n ? fp_idset_new((const uint8_t(*)[FP_REQUEST_ID_SIZE])ids, n) : NULL;
}

static void set_context(struct container *container, struct channel *sock, struct fp_idset *ids, bool is_server)
{
	bool sure = ids->n == 1;

	fp_context_set(&sock->context, ids, sure ? FP_ATTRIBUTION_DERIVED : FP_ATTRIBUTION_AMBIGUOUS,
		       sure ? FP_RULE_HEADER : FP_RULE_IN_FLIGHT, container->epoch);
	sock->doubts = container->doubts; /* whatever was before, this is known now */
	sock->passes_on = !is_server;
	sock->pipelined = is_server && !sure;
}

/* What the connection is for, now that another waits on it or one has been answered. */
static int set_waiting(struct fp_attributor *a, struct container *container, struct channel *sock, uint64_t ino)
{
	struct wire_request *oldest;
	struct fp_idset *ids;

	HASH_FIND(hh, a->wire_requests, &ino, sizeof(ino), oldest);
	if (!oldest)
		return 0;
	ids = waiting(oldest);
	if (!ids)
		return -ENOMEM;
	set_context(container, sock, ids, true);
	fp_idset_release(ids);
	return 0;
}

/* Behind those that wait on its connection, if any do. */
static void append(struct fp_attributor *a, struct wire_request *request)
{
	struct wire_request *oldest;

	HASH_FIND(hh, a->wire_requests, &request->ino, sizeof(request->ino), oldest);
	if (!oldest) {
		HASH_ADD(hh, a->wire_requests, ino, sizeof(request->ino), request);
		return;
	}
	while (oldest->later)
		oldest = oldest->later;
	oldest->later = request;
}

static void make_event(const struct fp_event *event, enum fp_event_type type, const uint8_t id[FP_REQUEST_ID_SIZE],
		       struct fp_event *ret)
{
	*ret = (struct fp_event){.type = type, .time = event->time, .start = event->time, .cpu = event->cpu,
				 .cgroup = event->cgroup, .tgid = event->tgid, .tid = event->tid,
				 .process_start = event->process_start, .exec_id = event->exec_id, .turn = event->turn,
				 .unit = FP_UNIT_REQUEST, .attribution = FP_ATTRIBUTION_DERIVED, .rule = FP_RULE_HEADER,
				 .request = {(const char *)id, FP_REQUEST_ID_SIZE}};
}

static int end_request(struct fp_attributor *a, struct wire_request *request, const struct fp_event *event, unsigned status,
		       struct fp_event *ret_end)
{
	struct container *container = fp_state_container(a, &request->cgroup);
	int place = container ? fp_state_find_in_flight(container, request->id) : -1;

	if (place >= 0) {
		fp_state_leave(a, container, place, event->time);
		container->unmarked |= !container->has_watchdog;
		a->stats.ended++;
	}
	memcpy(a->wire_ended, request->id, FP_REQUEST_ID_SIZE);
	make_event(event, FP_EVENT_TYPE_END, a->wire_ended, ret_end);
	ret_end->status = status;
	forget(a, request);
	return 1;
}

/* How many heads the event had brought before this one. */
static unsigned nth_of(struct fp_attributor *a, const struct fp_event *event)
{
	if (a->asked.ino != event->ino || a->asked.time != event->time)
		a->asked.n = 0;
	a->asked.ino = event->ino;
	a->asked.time = event->time;
	return a->asked.n++;
}

static int begin_request(struct fp_attributor *a, struct container *container, struct channel *sock,
			 const struct fp_event *event, const struct fp_asked *asked, struct fp_event *ret_begin)
{
	struct wire_request *request = calloc(1, sizeof(*request));
	int r;

	if (!request)
		return -ENOMEM;
	request->ino = event->ino;
	request->cgroup = event->cgroup;
	request->len = asked->call_id.len < CALL_ID_MAX ? asked->call_id.len : CALL_ID_MAX;
	memcpy(request->call_id, asked->call_id.data, request->len);
	make_id(event, nth_of(a, event), request->id);
	append(a, request);
	r = set_waiting(a, container, sock, event->ino);
	if (r < 0)
		return r;
	if (fp_state_enter(container, request->id, event->time) < 0)
		fp_state_tell_forgotten(a, container->cgroup);
	container->begun = true;
	a->stats.begun++;
	make_event(event, FP_EVENT_TYPE_BEGIN, request->id, ret_begin);
	ret_begin->call_id = (struct fp_str){request->call_id, request->len};
	ret_begin->traceparent = asked->traceparent;
	ret_begin->method = asked->method;
	ret_begin->url = asked->url;
	ret_begin->forwarded = asked->forwarded;
	fp_endpoint_text(event->remote_hi, event->remote_lo, (uint16_t)event->remote_port, a->wire_peer);
	ret_begin->peer = (struct fp_str){a->wire_peer, strlen(a->wire_peer)};
	return 1;
}

int fp_attributor_asked(struct fp_attributor *a, const struct fp_event *event, const struct fp_asked *asked,
			struct fp_event ret[FP_ASKED_EVENTS])
{
	struct channel_key key = {FP_OBJECT_SOCKET, event->ino};
	struct container *container = fp_state_container(a, &event->cgroup);
	bool is_server = event->type == FP_EVENT_TYPE_RECEIVE, inside = is_inside(event);
	struct wire_request *former;
	struct fp_idset *bearers;
	struct channel *sock;
	int n = 0, r;

	if (a->whole_run || !container || container->has_watchdog || (!is_server && !inside))
		return container ? 0 : -ENOMEM;
	sock = fp_state_channel(a, &key);
	if (!sock)
		return -ENOMEM;
	HASH_FIND(hh, a->wire_requests, &event->ino, sizeof(event->ino), former);
	/* one of which nothing was answered yet still waits: its client asks ahead */
	if (former && (sock->answering || !asked->call_id.len || n_waiting(former) >= PIPELINED_MAX))
		n = end_request(a, former, event, 0, &ret[0]);
	sock->answering = false;
	/* nothing of the request before holds for this one, whoever asks it */
	fp_context_clear(&sock->context);
	sock->passes_on = sock->pipelined = false;
	if (!asked->call_id.len)
		return n;
	bearers = inside ? find_bearers(a, container, asked->call_id) : NULL;
	if (bearers) {
		set_context(container, sock, bearers, is_server);
		fp_idset_release(bearers);
	} else if (is_server) {
		r = begin_request(a, container, sock, event, asked, &ret[n]);
		if (r < 0)
			return r;
		n += r;
	}
	/* a server's process that was forked while another was served */
	if (is_server)
		fp_handed_strange(a, container, NULL, event, &sock->context, NULL);
	return n;
}

int fp_attributor_answered(struct fp_attributor *a, const struct fp_event *event, unsigned status, struct fp_event *ret_end)
{
	struct channel_key key = {FP_OBJECT_SOCKET, event->ino};
	struct container *container = fp_state_container(a, &event->cgroup);
	struct wire_request *request;
	struct channel *sock;

	HASH_FIND(hh, a->wire_requests, &event->ino, sizeof(event->ino), request);
	if (!request)
		return 0;
	end_request(a, request, event, status, ret_end);
	HASH_FIND(hh, a->channels, &key, sizeof(key), sock);
	if (sock && container && sock->pipelined) {
		int r = set_waiting(a, container, sock, event->ino);

		if (r < 0)
			return r;
	}
	if (sock)
		sock->answering = false;
	return 1;
}

/* --- over a restart ----------------------------------------------------------------- */

struct wire_request *fp_header_next(const struct fp_attributor *a, const struct wire_request *request)
{
	struct wire_request *oldest;

	if (!request)
		return a->wire_requests;
	if (request->later)
		return request->later;
	HASH_FIND(hh, a->wire_requests, &request->ino, sizeof(request->ino), oldest);
	return oldest ? oldest->hh.next : NULL;
}

void fp_header_save(const struct wire_request *request, struct fp_buffer *out)
{
	fp_buffer_add_varint(out, request->ino);
	fp_buffer_add_varint(out, request->cgroup);
	fp_buffer_add(out, request->id, sizeof(request->id));
	fp_buffer_add_varint(out, request->len);
	fp_buffer_add(out, request->call_id, request->len);
}

int fp_header_restore(struct fp_attributor *a, struct fp_saved *in)
{
	struct wire_request *request = calloc(1, sizeof(*request));
	uint64_t len;

	if (!request)
		return -ENOMEM;
	request->ino = fp_saved_get(in);
	request->cgroup = fp_saved_get(in);
	fp_saved_bytes(in, request->id, sizeof(request->id));
	len = fp_saved_get(in);
	if (len > CALL_ID_MAX)
		in->bad = true;
	request->len = in->bad ? 0 : (size_t)len;
	fp_saved_bytes(in, request->call_id, request->len);
	if (in->bad) {
		free(request);
		return -EBADMSG;
	}
	append(a, request);
	return 0;
}

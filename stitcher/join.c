#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/array.h"
#include "stitcher/build.h"
#include "stitcher/join.h"

/* A call waits in the gateway at most that long before its function begins. */
#define WAIT_MAX (600 * FP_NS_PER_SEC)
/* HTTP requests sent from one address and port, in order. */
struct caller {
	uint32_t *messages; /* items */
	size_t n, room;
};

struct join {
	struct fp_build *build;
	struct fp_intern by_endpoint;
	struct caller *callers;
	size_t callers_room;
};

static void join_done(struct join *join)
{
	for (uint32_t i = 0; i < fp_intern_count(&join->by_endpoint); i++)
		free(join->callers[i].messages);
	free(join->callers);
	fp_intern_done(&join->by_endpoint);
}

struct endpoint_key {
	uint64_t hi, lo, port;
};

static int add_message(struct join *join, const struct fp_item *item, uint32_t number)
{
	const struct fp_evidence *evidence = join->build->evidence;
	const struct fp_endpoint *from =
		&evidence->endpoints[evidence->paths[evidence->streams[item->object].path].from];
	struct endpoint_key key = {from->hi, from->lo, from->port};
	struct caller *caller;
	uint32_t at;
	int r = fp_intern_add(&join->by_endpoint, &key, sizeof(key), &at);

	if (r < 0)
		return r;
	if (r == 1) {
		if (!FP_ARRAY_ROOM(join->callers, at, join->callers_room)) {
			join->by_endpoint.n_keys--; /* so that join_done looks at what is there */
			return -ENOMEM;
		}
		join->callers[at] = (struct caller){0};
	}
	caller = &join->callers[at];
	if (!FP_ARRAY_ROOM(caller->messages, caller->n, caller->room))
		return -ENOMEM;
	caller->messages[caller->n++] = number;
	return 0;
}

static int by_start(const void *a, const void *b, void *arg)
{
	const struct fp_build *build = arg;
	const struct fp_item *x = &build->evidence->items[*(const uint32_t *)a];
	const struct fp_item *y = &build->evidence->items[*(const uint32_t *)b];
	uint64_t p = fp_build_wall(build, x, x->start), q = fp_build_wall(build, y, y->start);

	if (p != q)
		return p < q ? -1 : 1;
	return x->time < y->time ? -1 : x->time > y->time;
}

static void sort_messages(struct join *join)
{
	for (uint32_t i = 0; i < fp_intern_count(&join->by_endpoint); i++)
		qsort_r(join->callers[i].messages, join->callers[i].n, sizeof(uint32_t), by_start, join->build);
}

static uint32_t boot_of(const struct fp_build *build, const struct fp_item *item)
{
	return fp_item_source(build->evidence, item)->boot;
}

/* Can this message be the call that the request is, going by what they say? */
static bool fits(const struct fp_build *build, const struct fp_item *message, const struct fp_item *begin, bool forwarded)
{
	const struct fp_evidence *evidence = build->evidence;
	const struct fp_message *m = &evidence->messages[message->detail];
	const struct fp_begin *b = &evidence->begins[begin->detail];
	const struct fp_reply *reply = &build->replies[message->detail];
	const char *url = fp_text(evidence, m->url);

	if (build->joined[message->detail] != FP_NONE)
		return false;
	/* anybody can name an address as the caller's, but not the id that the gateway gave the call made from there */
	if (reply->call_id && b->call_id && reply->call_id != b->call_id)
		return false;
	if (!forwarded)
		return !b->url || !m->url || fp_join_same_path(url, fp_text(evidence, b->url));
	return fp_build_names_function(build, message, begin);
}

/* How many of the caller's messages were sent no later than `time`. */
static size_t count_until(const struct fp_build *build, const struct caller *caller, uint64_t time)
{
	size_t low = 0, high = caller->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct fp_item *message = &build->evidence->items[caller->messages[middle]];

		if (fp_build_wall(build, message, message->start) <= time)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * The nearest message at or before the begin.  Where the clocks are not the same
 * those within the tolerance are taken in the order of the connection first.
 */
static uint32_t find_message(const struct fp_build *build, const struct caller *caller, const struct fp_item *begin,
			     bool forwarded)
{
	const struct fp_evidence *evidence = build->evidence;
	uint64_t time = fp_build_wall(build, begin, begin->time);
	uint32_t found = FP_NONE;

	for (size_t i = count_until(build, caller, time + FP_JOIN_SKEW_MAX); i > 0; i--) {
		const struct fp_item *message = &evidence->items[caller->messages[i - 1]];
		uint64_t sent = fp_build_wall(build, message, message->start);
		bool same_clock = boot_of(build, message) == boot_of(build, begin);

		if (sent + WAIT_MAX < time || (found != FP_NONE && (same_clock || sent + FP_JOIN_SKEW_MAX < time)))
			break;
		if (same_clock && sent > time)
			continue;
		if (fits(build, message, begin, forwarded)) {
			found = caller->messages[i - 1];
			if (same_clock)
				break;
		}
	}
	return found;
}

static void join_request(struct join *join, uint32_t text, bool forwarded, uint32_t number)
{
	struct fp_build *build = join->build;
	struct fp_request_state *request = &build->requests[number];
	const struct fp_item *begin = &build->evidence->items[request->begin];
	struct fp_endpoint endpoint;
	struct endpoint_key key;
	uint32_t at;

	if (request->message != FP_NONE || fp_join_endpoint(fp_text(build->evidence, text), &endpoint) < 0)
		return;
	key = (struct endpoint_key){endpoint.hi, endpoint.lo, endpoint.port};
	at = fp_intern_find(&join->by_endpoint, &key, sizeof(key));
	if (at == FP_NONE)
		return;
	request->message = find_message(build, &join->callers[at], begin, forwarded);
	if (request->message == FP_NONE)
		return;
	request->join = forwarded ? "forwarded-address" : "peer-address";
	build->joined[build->evidence->items[request->message].detail] = number;
	build->counts.joined++;
}

/* Connections whose messages are all calls of recorded functions say nothing more than those calls. */
static void note_roles(struct fp_build *build)
{
	const struct fp_evidence *evidence = build->evidence;

	for (size_t i = 0; i < evidence->n_items; i++) {
		const struct fp_item *item = &evidence->items[i];

		if (item->type != FP_EVENT_TYPE_MESSAGE || item->kind != FP_ITEM_STREAM || fp_rule_is_own(item->rule))
			continue;
		if (evidence->messages[item->detail].app == FP_APP_HTTP_RESPONSE)
			continue;
		if (build->joined[item->detail] == FP_NONE) {
			build->links[item->object].other++;
		} else {
			build->links[item->object].joined++;
			build->path_roles[evidence->streams[item->object].path].is_joined = true;
		}
	}
}

int fp_build_join(struct fp_build *build)
{
	const struct fp_evidence *evidence = build->evidence;
	struct join join = {.build = build};
	int r = fp_build_replies(build);

	fp_intern_init(&join.by_endpoint, SIZE_MAX);
	for (size_t i = 0; r >= 0 && i < evidence->n_items; i++) {
		const struct fp_item *item = &evidence->items[build->order[i]];

		/* what the function was sent by its watchdog is no call of its own */
		if (item->type == FP_EVENT_TYPE_MESSAGE && item->kind == FP_ITEM_STREAM &&
		    evidence->messages[item->detail].app == FP_APP_HTTP_REQUEST && !fp_rule_is_own(item->rule))
			r = add_message(&join, item, build->order[i]);
	}
	if (r >= 0)
		sort_messages(&join);
	for (size_t i = 0; r >= 0 && i < evidence->n_items; i++) {
		uint32_t number = build->order[i];
		const struct fp_item *item = &evidence->items[number];
		const struct fp_begin *begin;

		if (item->type != FP_EVENT_TYPE_BEGIN || build->requests[fp_unit_request(item->unit)].begin != number)
			continue;
		begin = &evidence->begins[item->detail];
		join_request(&join, begin->forwarded, true, fp_unit_request(item->unit));
		join_request(&join, begin->peer, false, fp_unit_request(item->unit));
		r = fp_build_progress(build, "join", i, evidence->n_items);
	}
	join_done(&join);
	if (r >= 0)
		r = fp_build_join_names(build);
	if (r >= 0)
		note_roles(build);
	return r < 0 ? r : 0;
}

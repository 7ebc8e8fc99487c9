/*
 * Callers that no address tells: of calls that are made later by a queue, of
 * results that a queue hands on, and behind a gateway whose word for the
 * caller's address is missing or was copied from another call.  What tells them
 * is the id that the gateway gave the call and said in its answer.  Ids can be
 * repeated by anybody, so a name joins only what it leaves no choice in.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "stitcher/build.h"
#include "stitcher/join.h"

/* Calls, or requests, of one name that are compared with each other; of a name that is borne by more nothing is said. */
#define NAMESAKES_MAX 256

bool fp_build_sent_before(const struct fp_build *build, const struct fp_item *message, const struct fp_item *item,
			  uint64_t time)
{
	uint64_t sent = fp_build_wall(build, message, message->start), then = fp_build_wall(build, item, time);
	bool same_clock = fp_item_source(build->evidence, message)->boot == fp_item_source(build->evidence, item)->boot;

	return sent <= then || (!same_clock && sent - then <= FP_JOIN_SKEW_MAX);
}

const struct fp_item *fp_build_result(const struct fp_build *build, const struct fp_request_state *request)
{
	return &build->evidence->items[request->first_return != FP_NONE ? request->first_return : request->end];
}

bool fp_build_names_function(const struct fp_build *build, const struct fp_item *message, const struct fp_item *begin)
{
	const struct fp_evidence *evidence = build->evidence;
	uint32_t function = evidence->containers[begin->container].function;

	return !function ||
	       fp_join_names_function(fp_text(evidence, evidence->messages[message->detail].url), fp_text(evidence, function));
}

static bool is_later(const struct fp_build *build, const struct fp_item *message)
{
	return fp_join_is_later(fp_text(build->evidence, build->evidence->messages[message->detail].url));
}

bool fp_build_is_answered(const struct fp_build *build, const struct fp_request_state *request)
{
	const struct fp_evidence *evidence = build->evidence;
	const struct fp_item *message;
	uint32_t answered, ended = request->end == FP_NONE ? 0 : evidence->items[request->end].value;

	if (request->message == FP_NONE)
		return false;
	message = &evidence->items[request->message];
	if (build->answers[message->detail] == FP_NONE || is_later(build, message))
		return false;
	answered = build->replies[message->detail].status;
	return !answered || !ended || answered == ended;
}

/* --- what was answered ----------------------------------------------------------- */

/* The questions on a connection that wait for an answer. */
struct waiting {
	uint32_t message, n;
};

/* An answer is the one question's that waits for it; where several do, it is nobody's. */
static void note_message(struct fp_build *build, struct waiting *waiting, const struct fp_item *item, uint32_t number)
{
	const struct fp_message *message = &build->evidence->messages[item->detail];

	if (message->app == FP_APP_HTTP_REQUEST) {
		waiting->message = item->detail;
		waiting->n++;
	} else if (message->app == FP_APP_HTTP_RESPONSE) {
		if (waiting->n == 1)
			build->replies[waiting->message] = (struct fp_reply){number, message->call_id, message->status};
		waiting->n = 0;
	}
}

int fp_build_replies(struct fp_build *build)
{
	const struct fp_evidence *evidence = build->evidence;
	fp_cleanup(fp_freep) struct waiting *waiting =
		calloc((size_t)fp_intern_count(&evidence->streams_by) + 1, sizeof(*waiting));

	build->replies = malloc((evidence->n_messages + 1) * sizeof(*build->replies));
	if (!waiting || !build->replies)
		return -ENOMEM;
	for (size_t i = 0; i < evidence->n_messages; i++)
		build->replies[i] = (struct fp_reply){.item = FP_NONE};
	for (size_t i = 0; i < evidence->n_items; i++) {
		const struct fp_item *item = &evidence->items[build->order[i]];

		if (item->type == FP_EVENT_TYPE_MESSAGE && item->kind == FP_ITEM_STREAM && !fp_rule_is_own(item->rule))
			note_message(build, &waiting[item->object], item, build->order[i]);
	}
	return 0;
}

/* --- names ------------------------------------------------------------------------ */

struct named {
	uint32_t name; /* text */
	uint32_t item; /* a message or a BEGIN */
};

struct names {
	struct named *messages, *begins; /* without a partner yet; each by name, then in order of time */
	size_t n_messages, n_begins, messages_room, begins_room;
};

static void names_done(struct names *names)
{
	free(names->messages);
	free(names->begins);
}

static int by_name(const void *a, const void *b, void *arg)
{
	const struct named *x = a, *y = b;
	const uint32_t *place = arg;

	if (x->name != y->name)
		return x->name < y->name ? -1 : 1;
	return place[x->item] < place[y->item] ? -1 : place[x->item] > place[y->item];
}

static int collect(const struct fp_build *build, struct names *names, uint32_t number)
{
	const struct fp_evidence *evidence = build->evidence;
	const struct fp_item *item = &evidence->items[number];

	if (item->type == FP_EVENT_TYPE_MESSAGE && build->joined[item->detail] == FP_NONE) {
		uint32_t name = build->replies[item->detail].call_id;

		if (!name)
			return 0;
		if (!FP_ARRAY_ROOM(names->messages, names->n_messages, names->messages_room))
			return -ENOMEM;
		names->messages[names->n_messages++] = (struct named){name, number};
	} else if (item->type == FP_EVENT_TYPE_BEGIN) {
		const struct fp_request_state *request = &build->requests[fp_unit_request(item->unit)];
		uint32_t name = evidence->begins[item->detail].call_id;

		if (!name || request->begin != number || request->message != FP_NONE)
			return 0;
		if (!FP_ARRAY_ROOM(names->begins, names->n_begins, names->begins_room))
			return -ENOMEM;
		names->begins[names->n_begins++] = (struct named){name, number};
	}
	return 0;
}

static int collect_all(const struct fp_build *build, struct names *names)
{
	size_t n = build->evidence->n_items;
	fp_cleanup(fp_freep) uint32_t *place = malloc((n + 1) * sizeof(*place));
	int r = place ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < n; i++) {
		place[build->order[i]] = (uint32_t)i;
		r = collect(build, names, build->order[i]);
	}
	if (r < 0)
		return r;
	if (names->n_messages)
		qsort_r(names->messages, names->n_messages, sizeof(struct named), by_name, place);
	if (names->n_begins)
		qsort_r(names->begins, names->n_begins, sizeof(struct named), by_name, place);
	return 0;
}

/* Does the gateway's word for the caller's address say nothing against the message: is it missing, or its caller's own? */
static bool is_address_copied(const struct fp_build *build, const struct fp_item *message, const struct fp_begin *begin)
{
	uint32_t caller = fp_unit_request(message->unit);

	if (!begin->forwarded)
		return true;
	return caller != FP_NONE && build->requests[caller].begin != FP_NONE &&
	       build->evidence->begins[build->evidence->items[build->requests[caller].begin].detail].forwarded ==
		       begin->forwarded;
}

/*
 * Can the message, which was answered under the name of the BEGIN, be its call?
 * A caller that waits has its answer after the begin.  Where the caller chose the
 * name itself anybody may know it, so the addresses must not speak against it.
 */
static bool can_be(const struct fp_build *build, const struct fp_item *message, const struct fp_item *begin)
{
	const struct fp_evidence *evidence = build->evidence;
	const struct fp_message *m = &evidence->messages[message->detail];
	const struct fp_item *reply = &evidence->items[build->replies[message->detail].item];

	if (build->joined[message->detail] != FP_NONE || !fp_build_names_function(build, message, begin) ||
	    !fp_build_sent_before(build, message, begin, begin->time))
		return false;
	if (is_later(build, message))
		return true;
	return fp_build_sent_before(build, begin, reply, reply->last) &&
	       (!m->call_id || is_address_copied(build, message, &evidence->begins[begin->detail]));
}

/* Requests and calls of one name. */
struct namesakes {
	const struct named *messages, *begins;
	size_t n_messages, n_begins;
};

static bool fits(const struct fp_build *build, const struct namesakes *them, size_t message, size_t begin)
{
	const struct fp_item *items = build->evidence->items;

	return build->requests[fp_unit_request(items[them->begins[begin].item].unit)].message == FP_NONE &&
	       can_be(build, &items[them->messages[message].item], &items[them->begins[begin].item]);
}

static void join(struct fp_build *build, const struct namesakes *them, size_t message, size_t begin)
{
	const struct fp_item *items = build->evidence->items;
	uint32_t number = fp_unit_request(items[them->begins[begin].item].unit);

	build->requests[number].message = them->messages[message].item;
	build->requests[number].join = "call-id";
	build->joined[items[them->messages[message].item].detail] = number;
	build->counts.joined++;
}

static bool same_caller(const struct fp_item *a, const struct fp_item *b)
{
	return a->process == b->process && a->exec_id == b->exec_id && a->unit == b->unit && a->candidates == b->candidates;
}

/*
 * What can be said of one request: its first possible message when all that are
 * possible are of one caller, which no more requests than messages lay claim to.
 */
static bool join_one(struct fp_build *build, const struct namesakes *them, size_t begin)
{
	const struct fp_item *items = build->evidence->items;
	size_t first = SIZE_MAX, possible = 0, rivals = 0;

	for (size_t m = 0; m < them->n_messages; m++) {
		if (!fits(build, them, m, begin))
			continue;
		if (first == SIZE_MAX)
			first = m;
		else if (!same_caller(&items[them->messages[first].item], &items[them->messages[m].item]))
			return false;
		possible++;
	}
	for (size_t b = 0; possible && b < them->n_begins; b++) {
		size_t m = 0;

		while (m < them->n_messages && !(same_caller(&items[them->messages[first].item], &items[them->messages[m].item]) &&
						 fits(build, them, m, b)))
			m++;
		rivals += m < them->n_messages;
	}
	if (!possible || rivals > possible)
		return false;
	join(build, them, first, begin);
	return true;
}

static int note_maybe(struct fp_build *build, const struct namesakes *them, size_t begin)
{
	struct fp_request_state *request =
		&build->requests[fp_unit_request(build->evidence->items[them->begins[begin].item].unit)];

	request->maybe_at = (uint32_t)build->n_maybe;
	for (size_t m = 0; m < them->n_messages; m++) {
		if (!fits(build, them, m, begin))
			continue;
		if (!FP_ARRAY_ROOM(build->maybe, build->n_maybe, build->maybe_room))
			return -ENOMEM;
		build->maybe[build->n_maybe++] = them->messages[m].item;
		request->maybe_n++;
	}
	return 0;
}

static int join_namesakes(struct fp_build *build, const struct namesakes *them)
{
	bool changed = true;
	int r = 0;

	if (them->n_begins > NAMESAKES_MAX || them->n_messages > NAMESAKES_MAX)
		return 0;
	/* each that is joined can leave others no choice */
	while (changed) {
		changed = false;
		for (size_t b = 0; b < them->n_begins; b++)
			changed |= join_one(build, them, b);
	}
	for (size_t b = 0; r >= 0 && b < them->n_begins; b++)
		r = note_maybe(build, them, b);
	return r;
}

static size_t run_of(const struct named *named, size_t n)
{
	size_t run = 0;

	while (run < n && named[run].name == named[0].name)
		run++;
	return run;
}

static int join_calls(struct fp_build *build, const struct names *names)
{
	size_t m = 0, b = 0;
	int r = 0;

	while (r >= 0 && m < names->n_messages && b < names->n_begins) {
		struct namesakes them = {&names->messages[m], &names->begins[b], run_of(&names->messages[m], names->n_messages - m),
					 run_of(&names->begins[b], names->n_begins - b)};

		if (them.messages[0].name == them.begins[0].name)
			r = join_namesakes(build, &them);
		if (them.messages[0].name <= them.begins[0].name)
			m += them.n_messages;
		if (them.messages[0].name >= them.begins[0].name)
			b += them.n_begins;
	}
	return r;
}

/* --- results that are handed on ------------------------------------------------------ */

/* Who called, as far as the addresses say: the queue, for what it calls. */
static bool same_address(const struct fp_build *build, const struct fp_begin *a, const struct fp_begin *b)
{
	uint64_t hi[2], lo[2];

	return fp_join_address(fp_text(build->evidence, a->forwarded ? a->forwarded : a->peer), &hi[0], &lo[0]) == 0 &&
	       fp_join_address(fp_text(build->evidence, b->forwarded ? b->forwarded : b->peer), &hi[1], &lo[1]) == 0 &&
	       hi[0] == hi[1] && lo[0] == lo[1];
}

/* Was this request, which was made later, answered when the other began, and do both come from the same queue under one name? */
static bool hands_on(const struct fp_build *build, const struct fp_request_state *request, const struct fp_item *begin)
{
	const struct fp_evidence *evidence = build->evidence;

	return request->message != FP_NONE && is_later(build, &evidence->items[request->message]) &&
	       request->end != FP_NONE &&
	       fp_build_sent_before(build, fp_build_result(build, request), begin, begin->time) &&
	       same_address(build, &evidence->begins[evidence->items[request->begin].detail], &evidence->begins[begin->detail]);
}

/* Joined in the meantime, so no longer among those without a partner, but under the same name. */
static void join_callbacks(struct fp_build *build, const struct named *begins, size_t n)
{
	const struct fp_evidence *evidence = build->evidence;

	if (n > NAMESAKES_MAX)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct fp_item *begin = &evidence->items[begins[i].item];
		struct fp_request_state *request = &build->requests[fp_unit_request(begin->unit)];
		uint32_t found = FP_NONE, several = 0;

		if (request->message != FP_NONE || request->maybe_n)
			continue;
		for (size_t j = 0; j < n; j++) {
			uint32_t other = fp_unit_request(evidence->items[begins[j].item].unit);

			if (j == i || !hands_on(build, &build->requests[other], begin))
				continue;
			found = other;
			several++;
		}
		if (several != 1)
			continue;
		request->callback_of = found;
		request->join = "callback";
		build->counts.joined++;
	}
}

int fp_build_join_names(struct fp_build *build)
{
	struct names names = {0};
	int r = collect_all(build, &names);

	if (r >= 0)
		r = join_calls(build, &names);
	for (size_t b = 0; r >= 0 && b < names.n_begins;) {
		size_t n = run_of(&names.begins[b], names.n_begins - b);

		join_callbacks(build, &names.begins[b], n);
		b += n;
	}
	names_done(&names);
	return r < 0 ? r : 0;
}

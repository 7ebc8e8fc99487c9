#include "stitcher/streams.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "stitcher/build.h"

/*
 * Overlaps of one receive.  Honest receives overlap a few sends of few requests;
 * ranges that claim whole streams over and over end here.
 */
#define OVERLAPS_MAX 256

/* The spans of all streams, stream by stream, sends and receives apart. */
struct table {
	size_t *send_at, *receive_at; /* by stream, and one more */
	struct fp_span *sends, *receives;
};

static void table_done(struct table *table)
{
	free(table->send_at);
	free(table->receive_at);
	free(table->sends);
	free(table->receives);
}

static bool moves_bytes(const struct fp_item *item)
{
	return item->kind == FP_ITEM_STREAM && item->bytes && item->result >= 0 &&
	       (item->type == FP_EVENT_TYPE_SEND || item->type == FP_EVENT_TYPE_RECEIVE);
}

bool fp_build_is_call(const struct fp_build *build, const struct fp_item *item)
{
	const struct fp_link *out = &build->links[item->object], *in = &build->links[item->peer];

	return (out->joined && !out->other) || (in->joined && !in->other);
}

static int table_make(const struct fp_build *build, struct table *table)
{
	const struct fp_evidence *evidence = build->evidence;
	size_t n_streams = fp_intern_count(&evidence->streams_by), n_sends = 0, n_receives = 0;

	table->send_at = calloc(n_streams + 2, sizeof(*table->send_at));
	table->receive_at = calloc(n_streams + 2, sizeof(*table->receive_at));
	if (!table->send_at || !table->receive_at)
		return -ENOMEM;
	for (size_t i = 0; i < evidence->n_items; i++) {
		const struct fp_item *item = &evidence->items[i];

		if (!moves_bytes(item))
			continue;
		if (item->type == FP_EVENT_TYPE_SEND)
			table->send_at[item->object + 2]++;
		else
			table->receive_at[item->peer + 2]++;
	}
	for (size_t i = 2; i < n_streams + 2; i++) {
		n_sends += table->send_at[i];
		n_receives += table->receive_at[i];
		table->send_at[i] = n_sends;
		table->receive_at[i] = n_receives;
	}
	table->sends = malloc((n_sends + 1) * sizeof(*table->sends));
	table->receives = malloc((n_receives + 1) * sizeof(*table->receives));
	if (!table->sends || !table->receives)
		return -ENOMEM;
	/* each start is counted up to the next one's as the spans go in, in order of time */
	for (size_t i = 0; i < evidence->n_items; i++) {
		const struct fp_item *item = &evidence->items[build->order[i]];
		struct fp_span span = {item->bytes, item->value, build->order[i], build->order[i], item->unit};

		if (!moves_bytes(item))
			continue;
		if (item->type == FP_EVENT_TYPE_SEND)
			table->sends[table->send_at[item->object + 1]++] = span;
		else
			table->receives[table->receive_at[item->peer + 1]++] = span;
	}
	return 0;
}

static int add_overlap(struct fp_build *build, uint32_t item, uint32_t unit, uint64_t bytes)
{
	if (build->overlap_n[item] == 0)
		build->overlap_at[item] = (uint32_t)build->n_overlaps;
	for (uint32_t i = 0; i < build->overlap_n[item]; i++) {
		struct fp_overlap *there = &build->overlaps[build->overlap_at[item] + i];

		if (there->unit == unit) {
			there->bytes += bytes;
			return 0;
		}
	}
	if (build->overlap_n[item] >= OVERLAPS_MAX)
		return 0;
	if (build->n_overlaps >= FP_NONE)
		return -EFBIG;
	if (!FP_ARRAY_ROOM(build->overlaps, build->n_overlaps, build->overlaps_room))
		return -ENOMEM;
	build->overlaps[build->n_overlaps++] = (struct fp_overlap){unit, bytes};
	build->overlap_n[item]++;
	return 0;
}

/* The last of the sends only if its last byte was received. */
static int bound_send(struct fp_build *build, const struct fp_span *sends, const struct fp_span *receive)
{
	const struct fp_item *items = build->evidence->items;
	const struct fp_item *send = &items[receive->high >= sends->high ? sends->last_item : sends->item];

	return fp_build_bound(build, send, send->start, &items[receive->item], items[receive->item].last);
}

static int match_ranges(struct fp_build *build, struct fp_span *sends, size_t n_sends, struct fp_span *receives,
			size_t n_receives, uint32_t base)
{
	fp_spans_unwrap(sends, n_sends, base);
	fp_spans_unwrap(receives, n_receives, base);
	n_sends = fp_spans_settle(sends, n_sends);
	for (size_t i = 0; i < n_receives; i++) {
		const struct fp_span *receive = &receives[i];
		size_t first = fp_spans_find(sends, n_sends, receive->low);

		for (size_t j = first; j < n_sends && j - first < OVERLAPS_MAX && sends[j].low < receive->high; j++) {
			uint64_t low = sends[j].low > receive->low ? sends[j].low : receive->low;
			uint64_t high = sends[j].high < receive->high ? sends[j].high : receive->high;
			int r = add_overlap(build, receive->item, sends[j].unit, high - low);

			if (r >= 0)
				r = bound_send(build, &sends[j], receive);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* Datagrams have no positions: a receive may be of any send before it. */
static int match_times(struct fp_build *build, const struct fp_span *sends, size_t n_sends,
		       const struct fp_span *receives, size_t n_receives)
{
	const struct fp_item *items = build->evidence->items;
	uint32_t units[OVERLAPS_MAX];
	size_t n_units = 0, next = 0;

	for (size_t i = 0; i < n_receives; i++) {
		const struct fp_item *receive = &items[receives[i].item];
		uint64_t until = fp_build_wall(build, receive, receive->time);

		for (; next < n_sends; next++) {
			const struct fp_item *send = &items[sends[next].item];
			size_t at = 0;

			if (fp_build_wall(build, send, send->start) > until)
				break;
			while (at < n_units && units[at] != send->unit)
				at++;
			if (at == n_units && n_units < OVERLAPS_MAX)
				units[n_units++] = send->unit;
		}
		for (size_t j = 0; j < n_units; j++) {
			int r = add_overlap(build, receives[i].item, units[j], receive->bytes);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* The answer to a message comes with the first bytes that its connection gives afterwards. */
static void find_answer(struct fp_build *build, const struct table *table, const struct fp_item *message)
{
	const struct fp_item *items = build->evidence->items;
	const struct fp_span *receives = table->receives + table->receive_at[message->peer];
	size_t low = 0, high = table->receive_at[message->peer + 1] - table->receive_at[message->peer], n = high;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (items[receives[middle].item].time <= message->time)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < n)
		build->answers[message->detail] = receives[low].item;
}

static int find_answers(struct fp_build *build, const struct table *table)
{
	const struct fp_evidence *evidence = build->evidence;

	build->answers = malloc((evidence->n_messages + 1) * sizeof(*build->answers));
	if (!build->answers)
		return -ENOMEM;
	for (size_t i = 0; i < evidence->n_messages; i++)
		build->answers[i] = FP_NONE;
	for (size_t i = 0; i < evidence->n_items; i++)
		if (evidence->items[i].type == FP_EVENT_TYPE_MESSAGE && evidence->items[i].kind == FP_ITEM_STREAM &&
		    evidence->messages[evidence->items[i].detail].app != FP_APP_HTTP_RESPONSE)
			find_answer(build, table, &evidence->items[i]);
	return 0;
}

int fp_build_streams(struct fp_build *build)
{
	const struct fp_evidence *evidence = build->evidence;
	uint32_t n_streams = fp_intern_count(&evidence->streams_by);
	struct table table = {0};
	int r = table_make(build, &table);

	build->overlap_at = calloc(evidence->n_items + 1, sizeof(*build->overlap_at));
	build->overlap_n = calloc(evidence->n_items + 1, sizeof(*build->overlap_n));
	if (!build->overlap_at || !build->overlap_n)
		r = -ENOMEM;
	if (r >= 0)
		r = find_answers(build, &table);
	for (uint32_t i = 0; r >= 0 && i < n_streams; i++) {
		struct fp_span *sends = table.sends + table.send_at[i], *receives = table.receives + table.receive_at[i];
		size_t n_sends = table.send_at[i + 1] - table.send_at[i];
		size_t n_receives = table.receive_at[i + 1] - table.receive_at[i];

		build->links[i].is_received = n_receives > 0;
		if (!n_sends || !n_receives)
			continue;
		if (evidence->paths[evidence->streams[i].path].protocol == IPPROTO_TCP)
			r = match_ranges(build, sends, n_sends, receives, n_receives, evidence->streams[i].base);
		else
			r = match_times(build, sends, n_sends, receives, n_receives);
		if (r >= 0)
			r = fp_build_progress(build, "streams", i, n_streams);
	}
	table_done(&table);
	return r < 0 ? r : 0;
}

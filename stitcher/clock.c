#include "stitcher/clock.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "stitcher/build.h"

void fp_clock_solve(const struct fp_clock_bound *bounds, size_t n_bounds, int64_t *corrections, size_t n)
{
	for (size_t i = 0; i < n; i++)
		corrections[i] = 0;
	for (size_t round = 0; round < n; round++) {
		bool changed = false;

		for (size_t i = 0; i < n_bounds; i++) {
			const struct fp_clock_bound *bound = &bounds[i];
			int64_t least;

			if (bound->at_least > FP_CLOCK_CORRECTION_MAX || bound->at_least < -FP_CLOCK_CORRECTION_MAX)
				continue;
			least = corrections[bound->from] + bound->at_least;
			if (least > FP_CLOCK_CORRECTION_MAX)
				least = FP_CLOCK_CORRECTION_MAX;
			if (least <= corrections[bound->to])
				continue;
			corrections[bound->to] = least;
			changed = true;
		}
		if (!changed)
			return;
	}
}

int fp_build_bound(struct fp_build *build, const struct fp_item *from, uint64_t start, const struct fp_item *to,
		   uint64_t last)
{
	uint32_t key[2] = {fp_item_source(build->evidence, from)->boot, fp_item_source(build->evidence, to)->boot}, number;
	int64_t at_least;
	int r;

	if (key[0] == key[1])
		return 0;
	at_least = (int64_t)fp_build_wall(build, from, start) - (int64_t)fp_build_wall(build, to, last);
	r = fp_intern_add(&build->bounds_by, key, sizeof(key), &number);
	if (r < 0)
		return r;
	if (!FP_ARRAY_ROOM(build->bounds, number, build->bounds_room))
		return -ENOMEM;
	if (r == 1 || at_least > build->bounds[number].at_least)
		build->bounds[number] = (struct fp_clock_bound){key[0], key[1], at_least};
	return 0;
}

/*
 * A request begins after it was called, and its answer is read after it began and
 * after the function first sent of it.  Not after it ended: a caller can have read
 * it all before the watchdog comes to say so.
 */
static int bound_request(struct fp_build *build, const struct fp_request_state *request)
{
	const struct fp_evidence *evidence = build->evidence;
	const struct fp_item *message, *begin = &evidence->items[request->begin];
	int r;

	if (request->message == FP_NONE)
		return 0;
	message = &evidence->items[request->message];
	r = fp_build_bound(build, message, message->start, begin, begin->time);
	if (r >= 0 && request->end != FP_NONE && fp_build_is_answered(build, request)) {
		const struct fp_item *first = request->first_return == FP_NONE ? begin : &evidence->items[request->first_return];
		const struct fp_item *answer = &evidence->items[build->answers[message->detail]];

		r = fp_build_bound(build, first, first->start, answer, answer->last);
	}
	return r;
}

/* Where messages went both ways, each way bounds the difference from one side. */
static int note_skews(struct fp_build *build)
{
	struct fp_evidence *evidence = build->evidence;
	uint32_t n = fp_intern_count(&build->bounds_by);

	free(evidence->skews);
	evidence->n_skews = 0;
	evidence->skews = malloc((n + 1) * sizeof(*evidence->skews));
	if (!evidence->skews)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct fp_clock_bound *bound = &build->bounds[i];
		uint32_t key[2] = {bound->to, bound->from}, back = fp_intern_find(&build->bounds_by, key, sizeof(key));

		/* what contradicts itself is no estimate: a clock was set meanwhile */
		if (back != FP_NONE && bound->at_least <= -build->bounds[back].at_least)
			evidence->skews[evidence->n_skews++] = (struct fp_skew){bound->from, bound->to, bound->at_least,
										-build->bounds[back].at_least};
	}
	return 0;
}

int fp_build_correct(struct fp_build *build)
{
	struct fp_evidence *evidence = build->evidence;
	size_t n = fp_intern_count(&evidence->boots_by);
	fp_cleanup(fp_freep) int64_t *corrections = malloc((n + 1) * sizeof(*corrections));
	int changed = 0, r = corrections ? 0 : -ENOMEM;

	for (uint32_t i = 0; r >= 0 && i < fp_intern_count(&evidence->requests); i++)
		r = bound_request(build, &build->requests[i]);
	if (r >= 0)
		r = note_skews(build);
	if (r < 0)
		return r;
	fp_clock_solve(build->bounds, fp_intern_count(&build->bounds_by), corrections, n);
	for (size_t i = 0; i < n; i++) {
		evidence->boots[i].correction = corrections[i];
		changed |= corrections[i] != 0;
	}
	return changed;
}

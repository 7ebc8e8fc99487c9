/*
 * What is known to be missing: what agents counted as lost, and batches that
 * never arrived.  Each becomes a gap, tied to the requests that ran then.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/array.h"
#include "stitcher/build.h"

/*
 * A loss is noticed some time after it happened: the agent asks the kernel's
 * counters at every round of its reading.
 */
#define NOTICE_LAG (FP_NS_PER_SEC / 5)
/* Losses of one cause and place that follow each other this closely are one gap. */
#define SAME_GAP FP_NS_PER_SEC

struct losses {
	struct fp_build *build;
	struct fp_intern by_place;
	uint32_t *newest; /* by place: its newest gap */
	size_t newest_room;
	uint32_t *order; /* requests by `first` */
	uint64_t *reach; /* the latest end among the first i + 1 of them */
	size_t n;
};

static int add_gap(struct losses *losses, const struct fp_gap *gap)
{
	struct fp_build *build = losses->build;
	uint32_t key[] = {gap->boot, gap->host, gap->container, gap->request, gap->cause}, place;
	int r = fp_intern_add(&losses->by_place, key, sizeof(key), &place);

	if (r < 0)
		return r;
	if (r == 0) {
		struct fp_gap *newest = &build->gaps[losses->newest[place]];

		if (gap->first <= newest->last + SAME_GAP && gap->last + SAME_GAP >= newest->first) {
			if (!fp_loss_is_hook(gap->cause))
				newest->lost = newest->lost > INT64_MAX - gap->lost ? INT64_MAX : newest->lost + gap->lost;
			if (gap->last > newest->last)
				newest->last = gap->last;
			if (gap->first < newest->first)
				newest->first = gap->first;
			return 0;
		}
	}
	if (!FP_ARRAY_ROOM(losses->newest, place, losses->newest_room) ||
	    !FP_ARRAY_ROOM(build->gaps, build->n_gaps, build->gaps_room))
		return -ENOMEM;
	losses->newest[place] = (uint32_t)build->n_gaps;
	build->gaps[build->n_gaps++] = *gap;
	return 0;
}

static int add_lost(struct losses *losses, const struct fp_item *item)
{
	struct fp_build *build = losses->build;
	const struct fp_source *source = fp_item_source(build->evidence, item);
	bool whole_host = build->evidence->containers[item->container].cgroup == 0;
	struct fp_gap gap = {
		.boot = source->boot,
		.host = source->host,
		.container = whole_host ? FP_NONE : item->container,
		.request = fp_unit_request(item->unit),
		.cause = item->value,
		.batch = item->batch,
		.index = item->index,
		.first = fp_build_wall(build, item, item->start > NOTICE_LAG ? item->start - NOTICE_LAG : 0),
		.last = fp_build_wall(build, item, item->last),
		.lost = item->bytes > INT64_MAX ? INT64_MAX : item->bytes,
	};

	return add_gap(losses, &gap);
}

static int by_number(const void *a, const void *b, void *arg)
{
	const struct fp_evidence *evidence = arg;
	const struct fp_batch_ref *x = &evidence->batches[*(const uint32_t *)a], *y = &evidence->batches[*(const uint32_t *)b];
	uint32_t p = evidence->sources[x->source].agent, q = evidence->sources[y->source].agent;

	if (p != q)
		return p < q ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

/* An agent numbers its batches without holes: one that is not there holds an unknown number of events, at least one. */
static int add_batches(struct losses *losses)
{
	struct fp_build *build = losses->build;
	const struct fp_evidence *evidence = build->evidence;
	fp_cleanup(fp_freep) uint32_t *order = malloc((evidence->n_batches + 1) * sizeof(*order));
	int r = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < evidence->n_batches; i++)
		order[i] = (uint32_t)i;
	qsort_r(order, evidence->n_batches, sizeof(*order), by_number, (void *)evidence);
	for (size_t i = 1; r >= 0 && i < evidence->n_batches; i++) {
		const struct fp_batch_ref *before = &evidence->batches[order[i - 1]], *after = &evidence->batches[order[i]];
		const struct fp_source *source = &evidence->sources[after->source], *was = &evidence->sources[before->source];
		struct fp_gap gap = {.boot = source->boot, .host = source->host, .container = FP_NONE, .request = FP_NONE,
				     .cause = FP_LOSS_SEQUENCE, .batch = order[i], .missing_batches = true};

		if (source->agent != was->agent || after->number <= before->number + 1)
			continue;
		gap.lost = after->number - before->number - 1;
		gap.first = fp_evidence_wall(evidence, was->boot, before->last_time);
		gap.last = fp_evidence_wall(evidence, source->boot, after->first_time);
		if (gap.first > gap.last) {
			uint64_t first = gap.last;

			gap.last = gap.first;
			gap.first = first;
		}
		r = add_gap(losses, &gap);
	}
	return r;
}

static int add_unread(struct losses *losses)
{
	const struct fp_evidence *evidence = losses->build->evidence;
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < evidence->n_batches; i++) {
		const struct fp_batch_ref *batch = &evidence->batches[i];
		const struct fp_source *source = &evidence->sources[batch->source];
		struct fp_gap gap = {.boot = source->boot, .host = source->host, .container = FP_NONE, .request = FP_NONE,
				     .cause = FP_LOSS_INVALID, .batch = i, .lost = batch->unread};

		if (!batch->unread)
			continue;
		gap.first = fp_evidence_wall(evidence, source->boot, batch->first_time);
		gap.last = fp_evidence_wall(evidence, source->boot, batch->last_time);
		if (gap.last < gap.first)
			gap.last = gap.first;
		r = add_gap(losses, &gap);
	}
	return r;
}

/* --- which requests a gap concerns ------------------------------------------- */

static int by_begin(const void *a, const void *b, void *arg)
{
	const struct fp_request_state *requests = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	if (requests[x].first != requests[y].first)
		return requests[x].first < requests[y].first ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* A request that was not seen to end may still have been running. */
static uint64_t end_of(const struct fp_request_state *request)
{
	return request->end == FP_NONE ? UINT64_MAX : request->last;
}

static int order_requests(struct losses *losses)
{
	struct fp_build *build = losses->build;
	uint32_t n = fp_intern_count(&build->evidence->requests);

	losses->order = malloc(((size_t)n + 1) * sizeof(*losses->order));
	losses->reach = malloc(((size_t)n + 1) * sizeof(*losses->reach));
	if (!losses->order || !losses->reach)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		losses->order[i] = i;
	qsort_r(losses->order, n, sizeof(*losses->order), by_begin, build->requests);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t end = end_of(&build->requests[losses->order[i]]);

		losses->reach[i] = i && losses->reach[i - 1] > end ? losses->reach[i - 1] : end;
	}
	losses->n = n;
	return 0;
}

static bool concerns(const struct fp_build *build, const struct fp_gap *gap, uint32_t number)
{
	const struct fp_request_state *request = &build->requests[number];
	const struct fp_source *source = &build->evidence->sources[request->source];

	if (gap->request != FP_NONE)
		return gap->request == number;
	if (end_of(request) < gap->first || source->boot != gap->boot || source->host != gap->host)
		return false;
	return gap->container == FP_NONE || request->container == FP_NONE || gap->container == request->container;
}

static int tie(struct fp_build *build, const struct fp_gap *gap, uint32_t node, uint32_t request)
{
	struct fp_op op = {.first = gap->first, .last = gap->last, .count = 1, .unit = FP_UNIT_FIRST_REQUEST + request,
			   .batch = gap->batch, .index = gap->index, .kind = FP_EDGE_MISSING, .from = node};
	struct fp_request_state *state = &build->requests[request];
	int r = fp_build_request_node(build, request, &op.to);

	if (r < 0)
		return r;
	state->lost = state->lost > INT64_MAX - gap->lost ? INT64_MAX : state->lost + gap->lost;
	return fp_graph_add(&build->graph, &op);
}

static int tie_gap(struct losses *losses, uint32_t number)
{
	struct fp_build *build = losses->build;
	const struct fp_gap *gap = &build->gaps[number];
	size_t low = 0, high = losses->n;
	uint32_t node;
	int r = fp_graph_node(&build->graph, FP_NODE_GAP, number, 0, 0, &node);

	if (r < 0)
		return r;
	if (gap->container != FP_NONE && build->evidence->containers[gap->container].known)
		fp_graph_touch(&build->graph, node, gap->container);
	if (gap->request != FP_NONE)
		return tie(build, gap, node, gap->request);
	while (low < high) { /* how many began before it was over */
		size_t middle = low + (high - low) / 2;

		if (build->requests[losses->order[middle]].first <= gap->last)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; r >= 0 && i > 0 && losses->reach[i - 1] >= gap->first; i--)
		if (concerns(build, gap, losses->order[i - 1]))
			r = tie(build, gap, node, losses->order[i - 1]);
	return r;
}

int fp_build_losses(struct fp_build *build)
{
	const struct fp_evidence *evidence = build->evidence;
	struct losses losses = {.build = build};
	int r = 0;

	fp_intern_init(&losses.by_place, SIZE_MAX);
	for (size_t i = 0; r >= 0 && i < evidence->n_items; i++)
		if (evidence->items[build->order[i]].type == FP_EVENT_TYPE_LOST)
			r = add_lost(&losses, &evidence->items[build->order[i]]);
	if (r >= 0)
		r = add_batches(&losses);
	if (r >= 0)
		r = add_unread(&losses);
	if (r >= 0)
		r = order_requests(&losses);
	for (size_t i = 0; r >= 0 && i < build->n_gaps; i++) {
		r = tie_gap(&losses, (uint32_t)i);
		if (r >= 0)
			r = fp_build_progress(build, "losses", i, build->n_gaps);
	}
	fp_intern_done(&losses.by_place);
	free(losses.newest);
	free(losses.order);
	free(losses.reach);
	return r < 0 ? r : 0;
}

#include "stitcher/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stitcher/array.h"

/*
 * An operation takes effect at some moment between `first` and `last`, so it
 * counts as a flow when it begins and again when it is over.  Operations are
 * taken up as they begin; those that are not over yet wait in a heap.  Each node
 * counts what began or ended to flow in, and out; an edge can take in another
 * operation if the two counts that matter stand where they stood.
 */
struct edge {
	uint32_t row; /* in rows[] */
	uint32_t into_source, out_of_target; /* as they stood when the row last grew */
};

struct merge {
	struct fp_graph *graph;
	uint32_t *in, *out; /* by node */
	uint32_t *order; /* operations by `first` */
	uint32_t *heap; /* operations under way, by `last` */
	size_t n_heap;
	struct fp_intern by_key;
	struct edge *edges; /* by number in by_key */
	size_t edges_room;
	struct fp_op *rows;
	size_t n_rows, rows_room;
};

static void merge_done(struct merge *merge)
{
	free(merge->in);
	free(merge->out);
	free(merge->order);
	free(merge->heap);
	fp_intern_done(&merge->by_key);
	free(merge->edges);
	free(merge->rows);
}

static int by_first(const void *a, const void *b, void *arg)
{
	const struct fp_op *ops = arg, *x = &ops[*(const uint32_t *)a], *y = &ops[*(const uint32_t *)b];

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	if (x->last != y->last)
		return x->last < y->last ? -1 : 1;
	return x < y ? -1 : x > y;
}

static void flow(struct merge *merge, const struct fp_op *op)
{
	merge->in[op->to]++;
	merge->out[op->from]++;
}

static int finish(struct merge *merge, const struct fp_op *op)
{
	struct {
		uint32_t from, to, unit, candidates, attributes, kind, attribution, rule;
	} key = {op->from, op->to, op->unit, op->candidates, op->attributes, op->kind, op->attribution, op->rule};
	uint32_t number;
	struct edge *edge;
	int r = fp_intern_add(&merge->by_key, &key, sizeof(key), &number);

	if (r < 0)
		return r;
	if (!FP_ARRAY_ROOM(merge->edges, number, merge->edges_room))
		return -ENOMEM;
	edge = &merge->edges[number];
	if (r == 0 && edge->into_source == merge->in[op->from] && edge->out_of_target == merge->out[op->to]) {
		struct fp_op *row = &merge->rows[edge->row];

		if (op->first < row->first)
			row->first = op->first;
		if (op->last > row->last)
			row->last = op->last;
		row->count = row->count > UINT32_MAX - op->count ? UINT32_MAX : row->count + op->count;
		row->bytes = row->bytes > INT64_MAX - op->bytes ? INT64_MAX : row->bytes + op->bytes;
	} else {
		if (!FP_ARRAY_ROOM(merge->rows, merge->n_rows, merge->rows_room))
			return -ENOMEM;
		edge->row = (uint32_t)merge->n_rows;
		merge->rows[merge->n_rows++] = *op;
	}
	edge->into_source = merge->in[op->from];
	edge->out_of_target = merge->out[op->to];
	flow(merge, op);
	return 0;
}

static bool ends_before(const struct merge *merge, uint32_t a, uint32_t b)
{
	const struct fp_op *x = &merge->graph->ops[a], *y = &merge->graph->ops[b];

	return x->last != y->last ? x->last < y->last : a < b;
}

static void heap_push(struct merge *merge, uint32_t op)
{
	size_t at = merge->n_heap++;

	while (at > 0 && ends_before(merge, op, merge->heap[(at - 1) / 2])) {
		merge->heap[at] = merge->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	merge->heap[at] = op;
}

static uint32_t heap_pop(struct merge *merge)
{
	uint32_t top = merge->heap[0], last = merge->heap[--merge->n_heap];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= merge->n_heap)
			break;
		if (child + 1 < merge->n_heap && ends_before(merge, merge->heap[child + 1], merge->heap[child]))
			child++;
		if (!ends_before(merge, merge->heap[child], last))
			break;
		merge->heap[at] = merge->heap[child];
		at = child;
	}
	merge->heap[at] = last;
	return top;
}

/* Ends all that is over before `time`. */
static int finish_until(struct merge *merge, uint64_t time)
{
	int r = 0;

	while (r == 0 && merge->n_heap && merge->graph->ops[merge->heap[0]].last < time)
		r = finish(merge, &merge->graph->ops[heap_pop(merge)]);
	return r;
}

static int merge_all(struct merge *merge)
{
	struct fp_graph *graph = merge->graph;
	int r = 0;

	for (size_t i = 0; i < graph->n_ops; i++)
		merge->order[i] = (uint32_t)i;
	qsort_r(merge->order, graph->n_ops, sizeof(*merge->order), by_first, graph->ops);
	for (size_t i = 0; r == 0 && i < graph->n_ops; i++) {
		const struct fp_op *op = &graph->ops[merge->order[i]];

		r = finish_until(merge, op->first);
		flow(merge, op);
		heap_push(merge, merge->order[i]);
	}
	while (r == 0 && merge->n_heap)
		r = finish(merge, &graph->ops[heap_pop(merge)]);
	return r;
}

int fp_merge(struct fp_graph *graph)
{
	size_t n_nodes = fp_graph_nodes(graph);
	struct merge merge = {.graph = graph};
	int r;

	if (graph->n_ops > FP_NONE)
		return -EFBIG;
	merge.in = calloc(n_nodes + 1, sizeof(*merge.in));
	merge.out = calloc(n_nodes + 1, sizeof(*merge.out));
	merge.order = malloc((graph->n_ops + 1) * sizeof(*merge.order));
	merge.heap = malloc((graph->n_ops + 1) * sizeof(*merge.heap));
	fp_intern_init(&merge.by_key, SIZE_MAX);
	r = merge.in && merge.out && merge.order && merge.heap ? merge_all(&merge) : -ENOMEM;
	if (r == 0) {
		for (size_t i = 0; i < merge.n_rows; i++)
			merge.order[i] = (uint32_t)i;
		if (merge.n_rows)
			qsort_r(merge.order, merge.n_rows, sizeof(*merge.order), by_first, merge.rows);
		for (size_t i = 0; i < merge.n_rows; i++)
			graph->ops[i] = merge.rows[merge.order[i]];
		graph->n_ops = merge.n_rows;
	}
	merge_done(&merge);
	return r;
}

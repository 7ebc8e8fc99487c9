#include "stitcher/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/*
 * An operation takes effect at some moment between `first` and `last`, so it
 * counts as a flow when it begins and again when it is over.  Operations are
 * taken up as they begin; those that are not over yet wait in a heap.  Each node
 * counts what began or ended to flow in, and out; an edge can take in another
 * operation if the two counts that matter stand where they stood.
 */
struct edge {
	uint32_t row; /* in rows[]; FP_NONE: free */
	uint32_t into_source, out_of_target; /* as they stood when the row last grew */
};

/* Edges that may still grow are found by a hash of what they are; when two fall together the older stays as it is. */
#define EDGES_MAX (1u << 20)

struct place {
	uint64_t first, last;
	uint32_t op;
};

struct merge {
	struct fp_graph *graph;
	uint32_t *in, *out; /* by node */
	struct place *order; /* operations by `first` */
	struct place *heap; /* operations under way, by `last` */
	size_t n_heap, heap_room;
	struct edge *edges;
	uint32_t edges_mask;
	struct fp_op *rows;
	size_t n_rows, rows_room;
};

static void merge_done(struct merge *merge)
{
	free(merge->in);
	free(merge->out);
	free(merge->order);
	free(merge->heap);
	free(merge->edges);
	free(merge->rows);
}

static int by_first(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	if (x->last != y->last)
		return x->last < y->last ? -1 : 1;
	return x->op < y->op ? -1 : x->op > y->op;
}

/* Operations come nearly in order: often there is nothing to sort. */
static void sort(struct place *order, const struct fp_op *ops, size_t n)
{
	bool sorted = true;

	for (size_t i = 0; i < n; i++) {
		order[i] = (struct place){ops[i].first, ops[i].last, (uint32_t)i};
		sorted = sorted && (i == 0 || by_first(&order[i - 1], &order[i]) < 0);
	}
	if (!sorted)
		qsort(order, n, sizeof(*order), by_first);
}

static void flow(struct merge *merge, const struct fp_op *op)
{
	merge->in[op->to]++;
	merge->out[op->from]++;
}

static bool is_same_edge(const struct fp_op *a, const struct fp_op *b)
{
	return a->from == b->from && a->to == b->to && a->kind == b->kind && a->attribution == b->attribution &&
	       a->rule == b->rule && a->unit == b->unit && a->candidates == b->candidates && a->attributes == b->attributes;
}

static struct edge *edge_of(struct merge *merge, const struct fp_op *op)
{
	uint64_t hash = op->from * 0x9e3779b97f4a7c15ull ^ op->to * 0xc2b2ae3d27d4eb4full ^
			((uint64_t)op->unit << 8 | op->kind) * 0x165667b19e3779f9ull;

	return &merge->edges[(hash ^ hash >> 29 ^ hash >> 43) & merge->edges_mask];
}

static void grow(struct fp_op *row, const struct fp_op *op)
{
	if (op->first < row->first)
		row->first = op->first;
	if (op->last > row->last)
		row->last = op->last;
	row->count = row->count > UINT32_MAX - op->count ? UINT32_MAX : row->count + op->count;
	row->bytes = op->bytes > INT64_MAX || row->bytes > INT64_MAX - op->bytes ? INT64_MAX : row->bytes + op->bytes;
}

static int finish(struct merge *merge, const struct fp_op *op)
{
	struct edge *edge = edge_of(merge, op);

	if (edge->row != FP_NONE && edge->into_source == merge->in[op->from] &&
	    edge->out_of_target == merge->out[op->to] && is_same_edge(&merge->rows[edge->row], op)) {
		grow(&merge->rows[edge->row], op);
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

static bool ends_before(const struct place *a, const struct place *b)
{
	return a->last != b->last ? a->last < b->last : a->op < b->op;
}

static int heap_push(struct merge *merge, const struct place *place)
{
	size_t at = merge->n_heap;

	if (!FP_ARRAY_ROOM(merge->heap, at, merge->heap_room))
		return -ENOMEM;
	merge->n_heap++;
	while (at > 0 && ends_before(place, &merge->heap[(at - 1) / 2])) {
		merge->heap[at] = merge->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	merge->heap[at] = *place;
	return 0;
}

static uint32_t heap_pop(struct merge *merge)
{
	uint32_t op = merge->heap[0].op;
	struct place last = merge->heap[--merge->n_heap];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= merge->n_heap)
			break;
		if (child + 1 < merge->n_heap && ends_before(&merge->heap[child + 1], &merge->heap[child]))
			child++;
		if (!ends_before(&merge->heap[child], &last))
			break;
		merge->heap[at] = merge->heap[child];
		at = child;
	}
	merge->heap[at] = last;
	return op;
}

/* Ends all that is over before `time`. */
static int finish_until(struct merge *merge, uint64_t time)
{
	int r = 0;

	while (r == 0 && merge->n_heap && merge->heap[0].last < time)
		r = finish(merge, &merge->graph->ops[heap_pop(merge)]);
	return r;
}

static int merge_all(struct merge *merge)
{
	struct fp_graph *graph = merge->graph;
	int r = 0;

	memset(merge->edges, 0xff, ((size_t)merge->edges_mask + 1) * sizeof(*merge->edges));
	sort(merge->order, graph->ops, graph->n_ops);
	for (size_t i = 0; r == 0 && i < graph->n_ops; i++) {
		r = finish_until(merge, merge->order[i].first);
		flow(merge, &graph->ops[merge->order[i].op]);
		if (r == 0)
			r = heap_push(merge, &merge->order[i]);
	}
	while (r == 0 && merge->n_heap)
		r = finish(merge, &graph->ops[heap_pop(merge)]);
	return r;
}

int fp_merge(struct fp_graph *graph)
{
	size_t n_nodes = fp_graph_nodes(graph), n_edges = 64;
	struct merge merge = {.graph = graph};
	int r;

	if (graph->n_ops >= FP_NONE)
		return -EFBIG;
	while (n_edges < EDGES_MAX && n_edges < graph->n_ops)
		n_edges *= 2;
	merge.edges_mask = (uint32_t)n_edges - 1;
	merge.edges = malloc(n_edges * sizeof(*merge.edges));
	merge.in = calloc(n_nodes + 1, sizeof(*merge.in));
	merge.out = calloc(n_nodes + 1, sizeof(*merge.out));
	merge.order = malloc((graph->n_ops + 1) * sizeof(*merge.order));
	r = merge.in && merge.out && merge.order && merge.edges ? merge_all(&merge) : -ENOMEM;
	if (r == 0) {
		sort(merge.order, merge.rows, merge.n_rows);
		for (size_t i = 0; i < merge.n_rows; i++)
			graph->ops[i] = merge.rows[merge.order[i].op];
		graph->n_ops = merge.n_rows;
	}
	merge_done(&merge);
	return r;
}

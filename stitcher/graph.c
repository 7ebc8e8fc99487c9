#include "stitcher/graph.h"

#include <errno.h>
#include <stdlib.h>

#include "base/array.h"

#define GRAPH_BYTES_MAX (8ull << 30)

struct meaning {
	uint32_t kind, a, b, c;
};

void fp_graph_init(struct fp_graph *graph)
{
	*graph = (struct fp_graph){0};
	fp_intern_init(&graph->by_meaning, GRAPH_BYTES_MAX);
	fp_intern_init(&graph->attributes, GRAPH_BYTES_MAX);
}

void fp_graph_done(struct fp_graph *graph)
{
	fp_intern_done(&graph->by_meaning);
	fp_intern_done(&graph->attributes);
	free(graph->nodes);
	free(graph->ops);
	*graph = (struct fp_graph){0};
}

int fp_graph_node(struct fp_graph *graph, enum fp_node_kind kind, uint32_t a, uint32_t b, uint32_t c, uint32_t *ret_node)
{
	struct meaning meaning = {kind, a, b, c};
	int r = fp_intern_add(&graph->by_meaning, &meaning, sizeof(meaning), ret_node);

	if (r <= 0)
		return r;
	if (!FP_ARRAY_ROOM(graph->nodes, *ret_node, graph->nodes_room))
		return -ENOMEM;
	graph->nodes[*ret_node] = (struct fp_gnode){
		.a = a, .b = b, .c = c, .container = FP_NONE, .extra = FP_NONE, .kind = (uint8_t)kind, .first = UINT64_MAX};
	return 1;
}

uint32_t fp_graph_find(const struct fp_graph *graph, enum fp_node_kind kind, uint32_t a, uint32_t b, uint32_t c)
{
	struct meaning meaning = {kind, a, b, c};

	return fp_intern_find(&graph->by_meaning, &meaning, sizeof(meaning));
}

static void widen(struct fp_gnode *node, const struct fp_op *op)
{
	if (op->first < node->first)
		node->first = op->first;
	if (op->last > node->last)
		node->last = op->last;
}

int fp_graph_add(struct fp_graph *graph, const struct fp_op *op)
{
	if (op->from == op->to)
		return 0;
	if (!FP_ARRAY_ROOM(graph->ops, graph->n_ops, graph->ops_room))
		return -ENOMEM;
	graph->ops[graph->n_ops++] = *op;
	widen(&graph->nodes[op->from], op);
	widen(&graph->nodes[op->to], op);
	return 0;
}

void fp_graph_touch(struct fp_graph *graph, uint32_t node, uint32_t container)
{
	uint32_t *mine = &graph->nodes[node].container;

	if (container == FP_NONE || *mine == container)
		return;
	*mine = *mine == FP_NONE ? container : FP_SEVERAL;
}

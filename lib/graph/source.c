#include "graph/source.h"

#include <string.h>

static int graph_node(void *arg, uint64_t id, fp_store_node_fn fn, void *fn_arg)
{
	const struct fp_graph_node *node = fp_graph_find_node(arg, id);

	return node ? fn(fn_arg, &node->row) : 0;
}

static int graph_edges(struct fp_graph *graph, bool into, uint64_t id, fp_store_edge_fn fn, void *fn_arg)
{
	const struct fp_graph_node *node = fp_graph_find_node(graph, id);
	const uint32_t *edges;
	ssize_t n;

	if (!node)
		return 0;
	n = into ? fp_graph_edges_into(graph, node->index, &edges) : fp_graph_edges_out_of(graph, node->index, &edges);
	for (ssize_t i = 0; i < n; i++) {
		int r = fn(fn_arg, &fp_graph_edge(graph, edges[i])->row);

		if (r != 0)
			return r;
	}
	return n < 0 ? (int)n : 0;
}

static int graph_edges_into(void *arg, uint64_t node, fp_store_edge_fn fn, void *fn_arg)
{
	return graph_edges(arg, true, node, fn, fn_arg);
}

static int graph_edges_out_of(void *arg, uint64_t node, fp_store_edge_fn fn, void *fn_arg)
{
	return graph_edges(arg, false, node, fn, fn_arg);
}

static int graph_nodes_by_key(void *arg, const char *prefix, fp_store_node_fn fn, void *fn_arg)
{
	const struct fp_graph *graph = arg;
	size_t len = strlen(prefix);

	for (size_t i = 0; i < fp_graph_nodes(graph); i++) {
		const struct fp_graph_node *node = fp_graph_node(graph, i);
		int r = strncmp(node->row.key, prefix, len) == 0 ? fn(fn_arg, &node->row) : 0;

		if (r != 0)
			return r;
	}
	return 0;
}

struct fp_source fp_source_of_graph(struct fp_graph *graph)
{
	return (struct fp_source){
		.node = graph_node,
		.edges_into = graph_edges_into,
		.edges_out_of = graph_edges_out_of,
		.nodes_by_key = graph_nodes_by_key,
		.arg = graph,
	};
}

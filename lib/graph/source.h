/*
 * Where a slice reads the graph from: a store, a graph in memory, or either with
 * possible edges added (possible.h).  A source is asked only for what the slice
 * touches, so the cost of an answer is that of the answer.
 *
 * Callbacks are those of store.h: the row lives during the call, a non-zero
 * return stops and is given back.  A callback does not ask the source again.
 */
#ifndef FP_GRAPH_SOURCE_H
#define FP_GRAPH_SOURCE_H

#include "graph/graph.h"

struct fp_source {
	/* The node with the id; no call when there is none. */
	int (*node)(void *arg, uint64_t id, fp_store_node_fn fn, void *fn_arg);
	/* Edges that end, or begin, at a node; in any order. */
	int (*edges_into)(void *arg, uint64_t node, fp_store_edge_fn fn, void *fn_arg);
	int (*edges_out_of)(void *arg, uint64_t node, fp_store_edge_fn fn, void *fn_arg);
	/* Nodes whose key begins with the text. */
	int (*nodes_by_key)(void *arg, const char *prefix, fp_store_node_fn fn, void *fn_arg);
	void *arg;
};

struct fp_source fp_source_of_store(struct fp_store *store);
struct fp_source fp_source_of_graph(struct fp_graph *graph);

#endif

/*
 * The shortest causal path between two sets of nodes of a graph in memory: the
 * one with fewest edges among those that time allows.  Called by `faasprov path`
 * on the part of the graph that lies between the two.
 *
 * Fewest edges and time pull apart: the way with fewest edges may arrive too late
 * to go on.  So the graph is unrolled in time: each node stands once for each
 * time at which something could leave or reach it, waiting costs nothing and an
 * edge costs one; nodes are split there as in slices (flow.h).  In that graph the shortest path is found by igraph; it is the
 * only place that uses igraph.
 */
#ifndef FP_GRAPH_PATH_H
#define FP_GRAPH_PATH_H

#include "graph/graph.h"

/*
 * Limit of the unrolled graph.  Merged rows have nothing between their first and
 * last time that matters to their ends, so it has about two states per edge.
 */
#define FP_PATH_STATES_MAX 4000000

/*
 * `from` and `to` are indexes of nodes.  *ret_edges (to be freed) are the indexes
 * of the path's edges in order; a count of 0 is a node that is in both sets.
 * A count, -ENOENT when there is no path, -E2BIG when the unrolled graph would be
 * too large, -ENOMEM.
 */
ssize_t fp_path_shortest(struct fp_graph *graph, const uint32_t *from, size_t n_from, const uint32_t *to, size_t n_to,
			 uint32_t **ret_edges);

#endif

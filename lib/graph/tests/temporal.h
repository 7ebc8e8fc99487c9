/*
 * Random temporal graphs for the tests of slices and paths, and the plain truth
 * about them: every (node, time) that a time-respecting walk can be at, found by
 * trying all of them.
 */
#ifndef FP_GRAPH_TESTS_TEMPORAL_H
#define FP_GRAPH_TESTS_TEMPORAL_H

#include "graph/graph.h"

#define NODES_MAX 12
#define TIMES 24 /* times are 0 .. TIMES - 1 */
#define EDGES_MAX 64
#define CANDIDATES 3 /* "a", "b", "c" */

/* A small generator of its own: the same seed gives the same graph on every machine. */
unsigned random_next(uint64_t *state, unsigned below);

/* Node with id `id`; its key is "<kind>:<id>" unless one is given. */
void add_node(struct fp_graph *graph, uint64_t id, enum fp_node_kind kind, const char *key);
void add_edge(struct fp_graph *graph, uint64_t id, uint64_t from, uint64_t to, uint64_t first, uint64_t last);

/* Nodes 1 .. n; edges with ids from 1. */
struct random_options {
	unsigned n_nodes, n_edges, longest; /* longest edge in time */
	bool terminals; /* some nodes are clients and hosts */
	bool doubts; /* some are ambiguous units, and edges have candidates */
	bool contents; /* some are files that are truncated, and objects that hosts gave to requests */
};

struct fp_graph *random_graph(uint64_t *state, const struct random_options *options);

struct truth {
	bool node[NODES_MAX + 1]; /* by id: a walk can be there */
	bool edge[EDGES_MAX + 1]; /* by id: a walk takes it */
};

/* Routine writes are followed, too (rows.h). */
extern bool truth_all_writers;

/* All walks from the node at the time of at most `depth` edges (0: any number). */
void truth_find(struct fp_graph *graph, enum fp_slice_direction direction, uint64_t start, uint64_t time, unsigned depth,
		struct truth *ret_truth);
/* Fewest edges of a time-respecting walk between two nodes, -1 when there is none. */
int truth_distance(struct fp_graph *graph, uint64_t from, uint64_t to);

#endif

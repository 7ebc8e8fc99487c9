/*
 * A small part of the provenance graph in memory: what a slice found.  Made by
 * lib/graph/slice.h, read by the query tool and its renderers.  Never holds the
 * whole graph of a store and never reads one.
 *
 * Nodes and edges are those of the store (same ids), copied with their strings;
 * each is in the graph once.  An edge's ends are added before it.  Indexes count
 * from 0 in the order of adding and stay valid while the graph lives.
 */
#ifndef FP_GRAPH_GRAPH_H
#define FP_GRAPH_GRAPH_H

#include "base/cleanup.h"
#include "store/store.h"

enum fp_slice_direction {
	FP_SLICE_BACKWARD = 1, /* what caused it */
	FP_SLICE_FORWARD = 2, /* what it caused */
};

/* Nodes and edges that no store has get ids from here on (lib/graph/possible.h). */
#define FP_POSSIBLE_ID (1ull << 63)

struct fp_graph_node {
	struct fp_store_node row;
	uint8_t slices; /* which slices it is in: enum fp_slice_direction, or-ed */
	bool start; /* a slice began here */
	uint32_t held_back; /* of an object: routine writes that a slice did not follow (rows.h) */
	uint32_t index;
};

struct fp_graph_edge {
	struct fp_store_edge row;
	uint32_t from, to; /* indexes of nodes */
	uint8_t slices;
	uint32_t index;
};

struct fp_graph;

/* 0 or -ENOMEM. */
int fp_graph_new(struct fp_graph **ret_graph);
struct fp_graph *fp_graph_free(struct fp_graph *graph);
FP_DEFINE_CLEANUP(struct fp_graph, fp_graph_free)

/*
 * Adds a copy unless a node (edge) with the id is there; gives what is there then.
 * 0, -ENOMEM; for edges -ENOENT when an end is not in the graph.
 */
int fp_graph_add_node(struct fp_graph *graph, const struct fp_store_node *row, struct fp_graph_node **ret_node);
int fp_graph_add_edge(struct fp_graph *graph, const struct fp_store_edge *row, struct fp_graph_edge **ret_edge);

size_t fp_graph_nodes(const struct fp_graph *graph);
size_t fp_graph_edges(const struct fp_graph *graph);
struct fp_graph_node *fp_graph_node(const struct fp_graph *graph, size_t index);
struct fp_graph_edge *fp_graph_edge(const struct fp_graph *graph, size_t index);
/* By the store's id; NULL when not in the graph. */
struct fp_graph_node *fp_graph_find_node(const struct fp_graph *graph, uint64_t id);
struct fp_graph_edge *fp_graph_find_edge(const struct fp_graph *graph, uint64_t id);

/*
 * Indexes of the edges into (out of) a node, ordered by first; the list belongs
 * to the graph and lives until something is added.  A count or -ENOMEM.
 */
ssize_t fp_graph_edges_into(struct fp_graph *graph, uint32_t node, const uint32_t **ret_edges);
ssize_t fp_graph_edges_out_of(struct fp_graph *graph, uint32_t node, const uint32_t **ret_edges);

/* Possible, not proven: added by the conservative mode. */
static inline bool fp_graph_possible(uint64_t id)
{
	return id >= FP_POSSIBLE_ID;
}

/* A process's unit of operations that several requests could have done. */
bool fp_graph_ambiguous(const struct fp_store_node *row);
/* Calls fn for each candidate of an edge, as its hex id; stops at a non-zero return and gives it back. */
int fp_graph_each_candidate(const struct fp_store_edge *row, int (*fn)(void *arg, const char *id, size_t len), void *arg);

/* Shown in slices and not passed through: nobody recorded what happens inside. */
static inline bool fp_graph_terminal(enum fp_node_kind kind)
{
	return kind == FP_NODE_CLIENT || kind == FP_NODE_HOST;
}

#endif

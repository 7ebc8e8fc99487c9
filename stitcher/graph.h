/*
 * The graph while it is made: nodes by what they stand for, and single
 * operations between them in no order.  merge.h puts operations together into
 * edges, emit.h gives nodes and edges their keys, labels and numbers.
 */
#ifndef FP_STITCHER_GRAPH_H
#define FP_STITCHER_GRAPH_H

#include "schema/schema.h"
#include "stitcher/intern.h"

/* `container` of a node that several containers touch */
#define FP_SEVERAL (FP_NONE - 1)

/* Sides of a stream or unix socket: what was sent there, or what came from a sender nobody recorded. */
enum fp_side { FP_SIDE_SENT = 1, FP_SIDE_RECEIVED = 2 };

/*
 * What a, b, c are:
 *   CLIENT, REQUEST  request
 *   PROCESS          process, exec id, unit
 *   FILE             file, how many files of the same inode number and generation were there before it
 *   PIPE             file, 0          or unix end, enum fp_side
 *   SOCKET           stream, unit, enum fp_side
 *   OBJECT           text of the name, enum fp_app, 0 or (name unknown) stream + 1
 *   HOST             endpoint
 *   GAP              number of the gap
 *   FINDING          enum fp_finding, container, unit
 */
struct fp_gnode {
	uint32_t a, b, c;
	uint32_t container;
	uint32_t extra; /* of FILE, PIPE: head of its paths, newest first; FP_NONE */
	uint32_t number; /* in the finished graph, from 1; 0: no edge leads there */
	uint8_t kind;
	uint64_t first, last; /* wall clock */
};

struct fp_op {
	uint64_t first, last, bytes; /* wall clock: when it can have taken effect, when it was over */
	uint32_t from, to;
	uint32_t count;
	uint32_t unit, candidates;
	uint32_t batch, index; /* its event */
	uint32_t attributes; /* text, JSON */
	uint8_t kind, attribution, rule;
};

struct fp_graph {
	struct fp_intern by_meaning, attributes;
	struct fp_gnode *nodes;
	struct fp_op *ops;
	size_t n_ops, nodes_room, ops_room;
};

void fp_graph_init(struct fp_graph *graph);
void fp_graph_done(struct fp_graph *graph);
/* 1 new, 0 known, -ENOMEM, -EFBIG. */
int fp_graph_node(struct fp_graph *graph, enum fp_node_kind kind, uint32_t a, uint32_t b, uint32_t c, uint32_t *ret_node);
/* The node, or FP_NONE. */
uint32_t fp_graph_find(const struct fp_graph *graph, enum fp_node_kind kind, uint32_t a, uint32_t b, uint32_t c);
/* An operation; widens the times of its nodes.  One from a node to itself is nothing.  0 or -ENOMEM. */
int fp_graph_add(struct fp_graph *graph, const struct fp_op *op);
/* The node is (also) of this container. */
void fp_graph_touch(struct fp_graph *graph, uint32_t node, uint32_t container);

static inline uint32_t fp_graph_nodes(const struct fp_graph *graph)
{
	return fp_intern_count(&graph->by_meaning);
}

#endif

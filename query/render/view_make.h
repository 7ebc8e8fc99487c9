/*
 * Between view.c (a view of everything), view_roles.c (what can be folded without
 * losing a connection) and fold.c (what makes a view small enough).  Private to
 * the view.
 */
#ifndef FP_QUERY_RENDER_VIEW_MAKE_H
#define FP_QUERY_RENDER_VIEW_MAKE_H

#include "query/render/view.h"

enum fp_view_role {
	FP_VIEW_NODE,
	FP_VIEW_WIRE, /* becomes an edge between its ends */
	FP_VIEW_DEAD_END, /* a pipe nothing reads: becomes a line of the process that wrote it */
	FP_VIEW_IMAGE, /* a file of the image: becomes a line of the processes that used it */
};

struct fp_view_maker {
	const struct fp_answer *answer;
	struct fp_graph *graph;
	struct fp_view *view;
	uint32_t n;
	uint8_t *role; /* by node of the graph: enum fp_view_role */
	uint32_t *group; /* which node it is one with; a forest */
	uint32_t *view_of; /* by group */
	size_t edges_size;
};

static inline bool fp_view_is_kind(const struct fp_view_maker *maker, uint32_t node, enum fp_node_kind kind)
{
	return fp_graph_node(maker->graph, node)->row.kind == kind;
}

static inline const struct fp_graph_edge *fp_view_edge_at(const struct fp_view_maker *maker, uint32_t edge)
{
	return fp_graph_edge(maker->graph, edge);
}

/* The node that stands for the whole group. */
uint32_t fp_view_group(struct fp_view_maker *maker, uint32_t node);
/* Fills `role` and `group`.  0 or -ENOMEM. */
int fp_view_find_roles(struct fp_view_maker *maker);
/* Takes another edge into one that stands for several; one that stands for none becomes it. */
void fp_view_add_to_edge(struct fp_view_edge *into, const struct fp_view_edge *edge);
/* Merges parallel edges and drops loops; the array is sorted by time afterwards. */
void fp_view_merge_edges(struct fp_view *view);
/* Appends; 0 or -ENOMEM. */
int fp_view_list_add(uint32_t **list, size_t *n, size_t *size, uint32_t item);
/* The node is one of those asked for by expression, not only part of a request. */
bool fp_view_pinned(const struct fp_answer *answer, const struct fp_graph_node *node);
/* Folds until no more than `max_nodes` are left.  0 or -ENOMEM. */
int fp_view_fold(struct fp_view *view, size_t max_nodes);

#endif

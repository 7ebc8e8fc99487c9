/*
 * Between view.c (what loses no connection) and fold.c (what makes a view small
 * enough).  Private to the view.
 */
#ifndef FP_QUERY_RENDER_VIEW_MAKE_H
#define FP_QUERY_RENDER_VIEW_MAKE_H

#include "query/render/view.h"

/* Merges parallel edges and drops loops; the array is sorted by time afterwards. */
void fp_view_merge_edges(struct fp_view *view);
/* Appends; 0 or -ENOMEM. */
int fp_view_list_add(uint32_t **list, size_t *n, size_t *size, uint32_t item);
/* The node is one of those asked for by expression, not only part of a request. */
bool fp_view_pinned(const struct fp_answer *answer, const struct fp_graph_node *node);
/* Folds until no more than `max_nodes` are left.  0 or -ENOMEM. */
int fp_view_fold(struct fp_view *view, size_t max_nodes);

#endif

/*
 * What stands on nodes, edges and frames of a picture: Graphviz's HTML-like
 * labels and tooltips, with everything in them escaped.  Pure text; knows
 * nothing of cgraph.
 */
#ifndef FP_QUERY_RENDER_LABELS_H
#define FP_QUERY_RENDER_LABELS_H

#include "base/buffer.h"
#include "query/render/view.h"

/* Labels are HTML-like, without the enclosing <>. */
void fp_label_node(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_node *node);
void fp_label_cluster(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_cluster *cluster);
/* The frame around a call from outside and all it led to. */
void fp_label_root(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_cluster *cluster);
/* An edge, and what comes back the other way when that is drawn with it (else NULL). */
void fp_label_edge(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_edge *edge,
		   const struct fp_view_edge *back);
/* Question, completeness, what is folded, and how to read the picture. */
void fp_label_title(struct fp_buffer *out, const struct fp_view *view);

/* Tooltips are escStrings. */
void fp_tooltip_node(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_node *node);
void fp_tooltip_edge(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_edge *edge);

#endif

/*
 * A view as a Graphviz graph, and that graph as text or picture.  The only place
 * that uses cgraph and gvc.
 */
#ifndef FP_QUERY_RENDER_DOT_H
#define FP_QUERY_RENDER_DOT_H

#include "query/render/view.h"

/* How much trouble to take over the layout; each further one is faster and plainer. */
enum fp_layout {
	FP_LAYOUT_FULL, /* dot, curved edges */
	FP_LAYOUT_PLAIN, /* dot, straight edges, few rounds of optimisation */
	FP_LAYOUT_PACKED, /* osage: frames packed, edges drawn over them */
	FP_LAYOUTS
};

/* The graph in Graphviz's language, not laid out.  0, -ENOMEM or -EIO. */
int fp_dot_write(const struct fp_view *view, FILE *out);
/* The laid-out picture ("svg", "png") in this process; may take very long.  0 or negative errno. */
int fp_dot_draw(const struct fp_view *view, enum fp_layout layout, const char *format, FILE *out);

#endif

/*
 * Pictures, in bounded time.  A layout that runs away or dies on a graph nobody
 * has thought of must not take the answer with it: it runs in a child process
 * under a time limit, and a plainer one is tried when it fails.
 */
#ifndef FP_QUERY_RENDER_PICTURE_H
#define FP_QUERY_RENDER_PICTURE_H

#include "query/render/dot.h"

/* Seconds for the first layout; each further one gets half as long. */
#define FP_PICTURE_SECONDS 30

/*
 * Writes the picture ("svg", "png") to `out`.  *ret_layout is the layout that it
 * took.  0; -ETIMEDOUT or what the last child failed with when none came through.
 */
int fp_picture_write(const struct fp_view *view, const char *format, unsigned seconds, FILE *out,
		     enum fp_layout *ret_layout);

#endif

/*
 * Numbers for the objects of a cgraph graph, in the order in which they are
 * named.  cgraph's own are addresses in memory, and it writes subgraphs in the
 * order of their numbers: with them the same view is another file on each run.
 */
#ifndef FP_QUERY_RENDER_IDS_H
#define FP_QUERY_RENDER_IDS_H

#include <graphviz/cgraph.h>

/* To be given to agopen. */
Agdisc_t *fp_ids_discipline(void);

#endif

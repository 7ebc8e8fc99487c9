/*
 * Operations put together into edges, without changing any slice: operations of
 * one edge become one as long as nothing flowed into its source nor out of its
 * target between them (docs/graph.md, "Merging").
 */
#ifndef FP_STITCHER_MERGE_H
#define FP_STITCHER_MERGE_H

#include "stitcher/graph.h"

/* Replaces graph->ops by what is left, ordered by `first`.  0, -ENOMEM or -EFBIG. */
int fp_merge(struct fp_graph *graph);

#endif

/*
 * Slices: everything that caused a node, or that it caused, as far as time
 * allows (docs/graph.md, "Slices").  Called by the query tool; reads a source
 * lazily and adds what it finds to a graph; two slices added to one graph are
 * their union.
 *
 * Backward from (node, t): each edge into it with `first` <= t, from whose
 * source the search goes on at min(t, `last`).  Forward: each edge out of it
 * with `last` >= t, on to its target at max(t, `first`).  What reaches a node
 * at a better time (backward: later, forward: earlier) reaches all that any
 * other time would.  Times only get worse along a path, so a queue ordered by
 * time, best first, takes each node once and with its final time, and reads each
 * node's edges once.  With a limit on the depth a shorter path may be worth more
 * than a better time: then the search goes layer by layer and takes a node again
 * when a layer improves its time.
 *
 * Clients and unrecorded hosts are shown and not passed through, unless they are
 * where the slice starts.  What cannot flow through a node although time would let
 * it is told by flow.h: for the search, such a node is several places.
 */
#ifndef FP_GRAPH_SLICE_H
#define FP_GRAPH_SLICE_H

#include "graph/source.h"

/*
 * Larger slices are refused: nobody reads a million edges, and they are about
 * 300 MB in memory.  --since, --until and --depth make a slice smaller.
 */
#define FP_SLICE_EDGES_MAX 1000000

struct fp_slice_options {
	unsigned depth; /* edges from the start; 0: no limit */
	uint64_t since, until; /* only what overlaps this time; until 0: no limit */
	size_t edges_max; /* of the whole graph; 0: FP_SLICE_EDGES_MAX */
	bool all_writers; /* routine writes of a table are followed, too (rows.h) */
};

struct fp_slice_start {
	uint64_t node;
	uint64_t time; /* backward: until when, forward: from when */
	/* At an ambiguous unit: only what this request (in hex) can have done.  NULL: all of it. */
	const char *candidate;
	bool beside; /* not asked about itself: the node is not marked as one where the slice began */
};

/*
 * Adds one slice to the graph.  0; -ENOENT when a start is not in the source;
 * -E2BIG when the graph would have more edges than allowed (what was found so far
 * is in the graph and is not a slice); -ENOMEM; what the source returns.
 */
int fp_slice(const struct fp_source *source, enum fp_slice_direction direction, const struct fp_slice_start *starts,
	     size_t n_starts, const struct fp_slice_options *options, struct fp_graph *graph);

#endif

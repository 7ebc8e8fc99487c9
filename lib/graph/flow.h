/*
 * What can flow through a node from one edge to another, beyond what time says:
 * the rules of docs/graph.md that slices and paths share.  A search splits a node
 * into as many places as the rules tell apart.
 *
 *   ambiguous unit  what went in for one candidate comes out for the same one
 *   file            opening with truncation ends what was written before, so its
 *                   content has versions; what is not content (mode, name) goes on
 *   object          what a host that nobody records gave to one request (host →
 *                   object `get`) goes to the process of that request;
 *                   what a statement wrote, to reads that may be of the same rows (rows.h)
 */
#ifndef FP_GRAPH_FLOW_H
#define FP_GRAPH_FLOW_H

#include "graph/graph.h"

/* The edge opened the file with truncation. */
bool fp_flow_truncates(const struct fp_store_edge *row);
/* Between an unrecorded host and an object: given to one request. */
bool fp_flow_is_given(const struct fp_store_node *to, const struct fp_store_edge *row);

/*
 * The versions of a file's content: version k is what may be seen from the moment
 * when truncation k was surely over until the next one was.
 */
struct fp_versions {
	struct fp_truncation {
		uint64_t first, last;
	} *list; /* truncation k is list[k - 1]; by last */
	size_t n, size;
};

void fp_versions_done(struct fp_versions *versions);
/* Takes an edge into the file into account, when it truncates.  0 or -ENOMEM. */
int fp_versions_add(struct fp_versions *versions, const struct fp_store_edge *row);
/* To be called after the last of them. */
void fp_versions_sort(struct fp_versions *versions);
/* The version that is seen at the time. */
size_t fp_versions_at(const struct fp_versions *versions, uint64_t time);
/* From when and until when a version is seen. */
uint64_t fp_versions_begin(const struct fp_versions *versions, size_t version);
uint64_t fp_versions_end(const struct fp_versions *versions, size_t version);
/* What the edge did to the file is part of the version. */
bool fp_versions_has(const struct fp_versions *versions, size_t version, const struct fp_store_edge *row);

#endif

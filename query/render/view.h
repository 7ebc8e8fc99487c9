/*
 * What a person is shown of an answer: few enough nodes to take in at once, and
 * nothing hidden without being said.  Made from an answer, written by report.c
 * (text) and dot.c (pictures); JSON keeps everything and names what was folded.
 *
 * Folding follows rules about what nodes are and how they are connected, never
 * about what they are called:
 *   files   that nothing in the slice wrote, renamed or chmod'ed are the image's;
 *           those that one process read or loaded become a line of that process
 *   execs   a process that did nothing but exec is one with what it became
 *   serving a request and the process that serves it are one: the cluster says
 *           the request
 *   wires   a socket becomes an edge between its ends, as does a pipe within one
 *           request; a pipe that nothing reads becomes a line of its writer; parallel operations become one edge (kinds, count, bytes,
 *           from when until when)
 * These lose no connection.  When more nodes are left than wanted, then (fold.c)
 *   alike   nodes of one kind in one request with the same neighbours become one
 *   leaves  nodes of one kind in one request that hang on the same process
 *   units   whole requests, those furthest from the question first; then the
 *           requests of one function
 *   rest    what is furthest from the question
 * Links between requests and the requests asked about are folded last.
 */
#ifndef FP_QUERY_RENDER_VIEW_H
#define FP_QUERY_RENDER_VIEW_H

#include "query/answer.h"

#define FP_NO_CLUSTER SIZE_MAX

/* One unit that something in the view belongs to: a request, or a process outside any. */
struct fp_view_cluster {
	ssize_t request; /* index in the answer's requests, -1: outside any request */
	const struct fp_store_node *sample; /* a node of it: function, instance, host, unit */
	size_t root; /* cluster of the outermost caller; itself when it has none */
	size_t parent; /* cluster of the caller, or FP_NO_CLUSTER */
	size_t n_nodes; /* how many nodes of the view are in it; folding may leave none */
	bool asked; /* asked about */
};

struct fp_view_node {
	enum fp_node_kind kind;
	char *label; /* for people, not yet cleaned */
	uint32_t *members; /* nodes of the answer's graph; the first is the one it is named after */
	size_t n_members, members_size;
	uint32_t *files; /* files of the image folded into this process */
	size_t n_files, files_size;
	uint32_t *dead; /* pipes that this process wrote and nothing here reads */
	size_t n_dead, dead_size;
	uint64_t dead_bytes;
	size_t cluster; /* or FP_NO_CLUSTER: stands between requests */
	uint64_t first;
	bool link, start, request; /* request: its own request node is in it */
	bool folded; /* several things: the label says which */
};

struct fp_view_edge {
	uint32_t from, to; /* of the view */
	uint32_t kinds; /* bits: 1 << enum fp_edge_kind */
	uint64_t first, last, count, bytes;
	enum fp_attribution attribution; /* the weakest of what it stands for */
	uint32_t rules; /* bits: 1 << enum fp_rule */
	const char *candidates; /* of one ambiguous operation, in hex; the graph's */
	bool possible;
	uint8_t slices;
	size_t n; /* rows it stands for */
	const struct fp_store_edge *sample; /* the first of them */
};

struct fp_view {
	const struct fp_answer *answer;
	struct fp_view_node *nodes;
	size_t n_nodes;
	struct fp_view_edge *edges; /* in order of time */
	size_t n_edges;
	struct fp_view_cluster *clusters; /* requests in order of time, then the others */
	size_t n_clusters;
	size_t n_files; /* files of the image in all */
	size_t n_folded; /* nodes that are one with others because there were too many */
};

/* `max_nodes` 0: no limit.  0 or -ENOMEM. */
int fp_view_new(const struct fp_answer *answer, size_t max_nodes, struct fp_view **ret_view);
struct fp_view *fp_view_free(struct fp_view *view);
FP_DEFINE_CLEANUP(struct fp_view, fp_view_free)

#endif

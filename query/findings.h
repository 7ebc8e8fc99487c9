/*
 * Findings: what calls for a look, as the stitcher found it (docs/graph.md,
 * "Findings").  They are nodes of the graph; here they are gathered, each with the
 * processes that made it and the edges that lead to the evidence, for `flag`,
 * `requests` and every answer.
 */
#ifndef FP_QUERY_FINDINGS_H
#define FP_QUERY_FINDINGS_H

#include <jansson.h>

#include "base/buffer.h"
#include "query/rows.h"
#include "graph/graph.h"

struct fp_answer;

/* All of the store, into a graph of their own.  0 or what the store says, -ENOMEM. */
int fp_findings_all(struct fp_store *store, struct fp_graph *findings);
/* Those of the requests in the answer, and of its processes that are of no request. */
int fp_findings_of_answer(const struct fp_answer *answer, struct fp_store *store, struct fp_graph *findings);
/* Is the node a finding, and not a process that made one? */
static inline bool fp_finding_is(const struct fp_graph_node *node)
{
	return node->row.kind == FP_NODE_FINDING;
}
size_t fp_findings_count(const struct fp_graph *findings);

/* How many findings there are of each request: as its own, or as of one of several that could have done it. */
struct fp_finding_counts {
	struct fp_finding_of {
		uint8_t request[FP_REQUEST_ID_SIZE];
		uint32_t node;
	} *list; /* sorted, each pair once */
	size_t n, size;
};
int fp_finding_counts_make(struct fp_graph *findings, struct fp_finding_counts *ret_counts);
void fp_finding_counts_done(struct fp_finding_counts *counts);
size_t fp_finding_counts_of(const struct fp_finding_counts *counts, const uint8_t request[FP_REQUEST_ID_SIZE]);

/* "watchdog-signalled: SIGTERM, by node[45] of pay, 3 times"; clean. */
int fp_finding_text(struct fp_graph *findings, const struct fp_graph_node *node, struct fp_buffer *out);
/* One finding with its nodes and edges; NULL when out of memory. */
json_t *fp_finding_json(struct fp_graph *findings, const struct fp_graph_node *node);

#endif

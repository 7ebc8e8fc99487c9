/*
 * What --stats says, as one JSON document for each agent (docs/capture.md, "Counters"),
 * and that document as a table.  Pure but for the process's own memory, which it asks the kernel about.
 */
#ifndef FP_AGENT_STATS_H
#define FP_AGENT_STATS_H

#include <jansson.h>
#include <stdio.h>

#include "agent/capture_look.h"
#include "agent/pipeline.h"
#include "agent/tally.h"

/* Of an agent that lives. */
struct fp_stats_agent {
	const char *node, *cgroup, *output; /* output: the aggregator's address, or the store */
	struct fp_pipeline_stats pipeline;
	const struct fp_failure_count *failures;
	uint64_t batch; /* number of the newest */
	bool spools;
	uint64_t memory_limit, kernel_memory; /* bytes: of all, and of maps and programs with the ring */
	uint64_t pending, pending_bytes, spool_limit; /* batches not acknowledged */
};

/* `agent` NULL: it is dead, and `tally` is what it knew.  A new reference, NULL without memory. */
json_t *fp_stats_document(const struct fp_look *look, const struct fp_tally *tally, const struct fp_stats_agent *agent);
/* Containers and requests up to `top` lines each. */
void fp_stats_print(const json_t *document, unsigned top, FILE *out);

#endif

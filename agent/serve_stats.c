/* What a running agent says of itself to --stats. */
#include <stdlib.h>
#include <string.h>

#include "agent/capture_look.h"
#include "agent/serve.h"
#include "agent/stats.h"

char *fp_serve_say_stats(void *arg)
{
	struct serve *serve = arg;
	struct fp_stats_agent agent = {.node = serve->host.name, .cgroup = serve->cgroup.path};
	struct fp_look look;
	json_t *document;
	char *text = NULL;

	agent.output = serve->options.store ? serve->options.store : serve->options.uplink.address;
	agent.batch = fp_batcher_kept(serve->batcher);
	agent.spools = serve->uplink != NULL;
	if (serve->uplink) {
		agent.pending = fp_uplink_pending(serve->uplink);
		agent.pending_bytes = fp_uplink_pending_bytes(serve->uplink);
		agent.spool_limit = serve->options.uplink.spool_limit ? serve->options.uplink.spool_limit
								      : FP_UPLINK_SPOOL_LIMIT;
	}
	fp_pipeline_stats(serve->pipeline, &agent.pipeline);
	agent.failures = fp_pipeline_failures(serve->pipeline);
	agent.memory_limit = serve->memory.limit;
	agent.kernel_memory = serve->memory.kernel;
	if (fp_capture_look(serve->capture, &look) == 0) {
		document = fp_stats_document(&look, &serve->tally, &agent);
		json_object_set_new(document, "tables", fp_serve_say_memory(serve));
		text = document ? json_dumps(document, JSON_COMPACT) : NULL;
		json_decref(document);
	}
	fp_look_done(&look);
	return text;
}

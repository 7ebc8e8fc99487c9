/*
 * Where `run` and `replay` put what they see: straight into a store, without an
 * aggregator.
 */
#ifndef FP_AGENT_SINK_H
#define FP_AGENT_SINK_H

#include "agent/batcher.h"
#include "store/store.h"

struct fp_sink {
	struct fp_store *store;
	struct fp_batcher *batcher;
};

/*
 * Opens or creates the store, under a fresh agent id, or (`agent` not NULL) to go on with the
 * chain of that agent.  On failure ret_error says why.
 */
int fp_sink_open(const char *url, const struct fp_host *host, const uint8_t agent[16], struct fp_sink *ret_sink,
		 char ret_error[256]);
/* A fp_event_fn body: adds one event. */
int fp_sink_add(struct fp_sink *sink, const struct fp_event *event);
/* What has not been flushed is forgotten. */
void fp_sink_discard(struct fp_sink *sink);
/* Flushes and closes; 0 or the first error. */
int fp_sink_close(struct fp_sink *sink);

#endif

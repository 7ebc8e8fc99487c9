#include "agent/sink.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static int put_frame(void *arg, const struct fp_batch_header *header, const uint8_t *frame, size_t len)
{
	struct fp_sink *sink = arg;
	struct fp_batch *batch = NULL;
	int r = fp_batch_open(frame, len, &batch);

	if (r == 0)
		r = fp_store_put_batch(sink->store, frame, len, batch);
	fp_batch_free(batch);
	return r < 0 ? r : 0;
}

int fp_sink_open(const char *url, const struct fp_host *host, const uint8_t agent[16], struct fp_sink *ret_sink,
		 char ret_error[256])
{
	uint8_t fresh[16], hash[FP_BATCH_HASH_SIZE] = {0};
	uint64_t number = 0;
	int r;

	memset(ret_sink, 0, sizeof(*ret_sink));
	if (!agent && getrandom(fresh, sizeof(fresh), 0) != sizeof(fresh)) {
		snprintf(ret_error, 256, "no random numbers: %s", strerror(errno));
		return -EIO;
	}
	r = fp_store_open(url, FP_STORE_CREATE, &ret_sink->store, ret_error);
	if (r < 0)
		return r;
	if (agent)
		r = fp_store_last_batch(ret_sink->store, agent, &number, hash);
	if (r == 0)
		r = fp_batcher_new(host, agent ? agent : fresh, number, hash, put_frame, ret_sink, &ret_sink->batcher);
	if (r < 0) {
		snprintf(ret_error, 256, "%s", strerror(-r));
		ret_sink->store = fp_store_close(ret_sink->store);
	}
	return r;
}

int fp_sink_add(struct fp_sink *sink, const struct fp_event *event)
{
	return fp_batcher_add(sink->batcher, event);
}

void fp_sink_discard(struct fp_sink *sink)
{
	sink->batcher = fp_batcher_free(sink->batcher);
}

int fp_sink_close(struct fp_sink *sink)
{
	int r = sink->batcher ? fp_batcher_flush(sink->batcher) : 0;

	sink->batcher = fp_batcher_free(sink->batcher);
	sink->store = fp_store_close(sink->store);
	return r;
}

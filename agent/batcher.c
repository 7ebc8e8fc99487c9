#include "agent/batcher.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fp_batcher {
	struct fp_batch_writer *writer;
	struct fp_batch_header header; /* of the next batch */
	fp_batcher_frame_fn fn;
	void *arg;
	bool waits; /* for flush() */
};

int fp_batcher_new(const struct fp_host *host, const uint8_t agent[16], uint64_t number,
		   const uint8_t hash[FP_BATCH_HASH_SIZE], fp_batcher_frame_fn fn, void *arg,
		   struct fp_batcher **ret_batcher)
{
	struct fp_batcher *batcher = calloc(1, sizeof(*batcher));
	int r;

	if (!batcher)
		return -ENOMEM;
	r = fp_batch_writer_new(&batcher->writer);
	if (r < 0) {
		free(batcher);
		return r;
	}
	memcpy(batcher->header.agent, agent, sizeof(batcher->header.agent));
	memcpy(batcher->header.boot, host->boot, sizeof(batcher->header.boot));
	memcpy(batcher->header.host, host->name, sizeof(batcher->header.host));
	memcpy(batcher->header.previous, hash, FP_BATCH_HASH_SIZE);
	batcher->header.clock_offset = host->clock_offset;
	batcher->header.number = number + 1;
	batcher->fn = fn;
	batcher->arg = arg;
	*ret_batcher = batcher;
	return 0;
}

struct fp_batcher *fp_batcher_free(struct fp_batcher *batcher)
{
	if (!batcher)
		return NULL;
	fp_batch_writer_free(batcher->writer);
	free(batcher);
	return NULL;
}

int fp_batcher_flush(struct fp_batcher *batcher)
{
	uint8_t hash[FP_BATCH_HASH_SIZE];
	const uint8_t *frame;
	size_t len;
	int r;

	if (fp_batch_writer_events(batcher->writer) == 0)
		return 0;
	r = fp_batch_writer_finish(batcher->writer, &batcher->header, &frame, &len, hash);
	if (r < 0)
		return r;
	r = batcher->fn(batcher->arg, &batcher->header, frame, len);
	if (r != 0)
		return r < 0 ? r : 0;
	/* only a frame that was taken is part of the chain */
	memcpy(batcher->header.previous, hash, sizeof(hash));
	batcher->header.number++;
	return 0;
}

int fp_batcher_add(struct fp_batcher *batcher, const struct fp_event *event)
{
	int r = fp_batch_writer_add(batcher->writer, event);

	if (r == -ENOSPC) {
		r = fp_batcher_flush(batcher);
		if (r == 0)
			r = fp_batch_writer_add(batcher->writer, event);
	}
	if (r < 0)
		return r;
	return fp_batcher_is_full(batcher) && !batcher->waits ? fp_batcher_flush(batcher) : 0;
}

void fp_batcher_wait_for_flush(struct fp_batcher *batcher)
{
	batcher->waits = true;
}

bool fp_batcher_is_full(const struct fp_batcher *batcher)
{
	return fp_batch_writer_body_size(batcher->writer) >= FP_BATCHER_BODY_TARGET;
}

uint64_t fp_batcher_number(const struct fp_batcher *batcher)
{
	return batcher->header.number - (fp_batch_writer_events(batcher->writer) == 0);
}

uint64_t fp_batcher_kept(const struct fp_batcher *batcher)
{
	return batcher->header.number - 1;
}

const uint8_t *fp_batcher_agent(const struct fp_batcher *batcher)
{
	return batcher->header.agent;
}

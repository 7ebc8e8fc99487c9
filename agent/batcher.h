/*
 * Collects events into batches and hands the frames on, chained one to the next.
 */
#ifndef FP_AGENT_BATCHER_H
#define FP_AGENT_BATCHER_H

#include <stdbool.h>

#include "agent/host.h"
#include "wire/batch.h"

/*
 * A body of this size goes off.  Large enough to compress well and to make a
 * transaction worth it, small enough that little waits in memory.
 */
#define FP_BATCHER_BODY_TARGET (256u << 10)

struct fp_batcher;

/*
 * Takes a finished frame: 0; 1 when there is no room for it (its events are then
 * lost, its number is used again); negative errno, which add and flush give back.
 */
typedef int (*fp_batcher_frame_fn)(void *arg, const struct fp_batch_header *header, const uint8_t *frame, size_t len);

/* The chain goes on after `number` (0: at its begin) with that frame's hash. */
int fp_batcher_new(const struct fp_host *host, const uint8_t agent[16], uint64_t number,
		   const uint8_t hash[FP_BATCH_HASH_SIZE], fp_batcher_frame_fn fn, void *arg,
		   struct fp_batcher **ret_batcher);
struct fp_batcher *fp_batcher_free(struct fp_batcher *batcher);
int fp_batcher_add(struct fp_batcher *batcher, const struct fp_event *event);
/*
 * From now on a body that has its size waits for flush(), so that a batch ends where
 * its owner wants; one that cannot grow any more still goes off by itself.
 */
void fp_batcher_wait_for_flush(struct fp_batcher *batcher);
/* The body has its size. */
bool fp_batcher_is_full(const struct fp_batcher *batcher);
/* Number of the newest batch when flush() has been called and the frame was taken. */
uint64_t fp_batcher_number(const struct fp_batcher *batcher);
/* Number of the newest batch that was taken; 0: none. */
uint64_t fp_batcher_kept(const struct fp_batcher *batcher);
const uint8_t *fp_batcher_agent(const struct fp_batcher *batcher);
/* Sends off what is there, however little. */
int fp_batcher_flush(struct fp_batcher *batcher);

#endif

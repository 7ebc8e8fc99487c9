/*
 * Batches on disk between being made and being acknowledged.  Used by the
 * uplink alone; one process at a time; does no networking.
 *
 * Folder (0700):
 *   agent-id              32 hex digits; made once
 *   lock                  locked while a process has the spool
 *   <20 digits>.batch     frame of that number, not acknowledged
 *   <20 digits>.acked     the newest acknowledged one: the end of the chain when
 *                         nothing else is left
 *   damaged-<20 digits>   what a crash of the machine left half-written
 *   new                   being written
 *
 * Invariants: numbers have no holes; each frame names the hash of the one
 * before; a frame is written whole under `new` and renamed, so that the death
 * of the process at any instant leaves it or not.  Against a crash of the
 * machine it is safe after fp_spool_sync; whoever sends only what is safe never
 * has to take a number back.
 */
#ifndef FP_AGENT_UPLINK_SPOOL_H
#define FP_AGENT_UPLINK_SPOOL_H

#include "base/buffer.h"
#include "wire/batch.h"

struct fp_spool;

struct fp_spool_entry {
	uint64_t number;
	size_t len;
	uint8_t hash[FP_BATCH_HASH_SIZE];
	bool safe; /* on disk for good */
};

/*
 * Makes the folder and id where missing, and reads what is there.  `limit`:
 * bytes of frames not acknowledged.  -EBUSY another process has it; on failure
 * ret_error says why.
 */
int fp_spool_open(const char *folder, uint64_t limit, struct fp_spool **ret_spool, char ret_error[256]);
struct fp_spool *fp_spool_close(struct fp_spool *spool);
const uint8_t *fp_spool_agent(const struct fp_spool *spool);
/* Number (0: none yet) and hash of the newest frame, acknowledged or not. */
void fp_spool_head(const struct fp_spool *spool, uint64_t *ret_number, uint8_t ret_hash[FP_BATCH_HASH_SIZE]);
/* Frames found damaged when it was opened, and moved aside. */
unsigned fp_spool_damaged(const struct fp_spool *spool);

/* Frames not acknowledged, oldest first. */
size_t fp_spool_pending(const struct fp_spool *spool);
uint64_t fp_spool_bytes(const struct fp_spool *spool);
const struct fp_spool_entry *fp_spool_oldest(const struct fp_spool *spool);
/* NULL when the number is not pending. */
const struct fp_spool_entry *fp_spool_entry(const struct fp_spool *spool, uint64_t number);

/*
 * Adds the next frame.  0; -EINVAL when it is not the next of this agent's
 * chain; -ENOSPC when the limit or the disk is reached (nothing has changed:
 * the number is still free); other errors of the file system.
 */
int fp_spool_put(struct fp_spool *spool, const uint8_t *frame, size_t len);
/* Appends the frame to `out`.  -EBADMSG when it is not as it was written. */
int fp_spool_read(struct fp_spool *spool, uint64_t number, struct fp_buffer *out);
/* Drops everything up to the number, which is pending, and keeps that one as .acked. */
int fp_spool_acked(struct fp_spool *spool, uint64_t number);

/* What is not safe yet, for fp_spool_sync in another thread; false when all is. */
struct fp_spool_unsafe {
	int folder; /* the spool's: it stays open until the sync is over */
	uint64_t first, last; /* numbers */
};
bool fp_spool_unsafe(const struct fp_spool *spool, struct fp_spool_unsafe *ret_unsafe);
/* Touches the disk alone.  0 or negative errno. */
int fp_spool_sync(const struct fp_spool_unsafe *unsafe);
void fp_spool_synced(struct fp_spool *spool, const struct fp_spool_unsafe *unsafe);

#endif

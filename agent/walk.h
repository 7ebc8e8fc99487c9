/*
 * Processes that come into what is recorded while it is recorded: the ring tells of each (MOVED), and what they are and hold
 * is walked then, one after the other, by existing.h.  Used by serve and run, who
 * hand over each record and ask for the next piece when the ring is empty.
 */
#ifndef FP_AGENT_WALK_H
#define FP_AGENT_WALK_H

#include "agent/existing.h"

/* Who waits to be walked: as many as can come between two drains. */
#define FP_WALK_WAITING_MAX 1024

struct fp_walk {
	struct fp_existing *existing; /* owned; NULL: the kernel does not let us */
	struct {
		uint64_t tgid, start, exec_id;
	} waiting[FP_WALK_WAITING_MAX];
	unsigned n;
	bool begun; /* a walk is on its way */
	bool all; /* the owner walks everybody, and will come to these then */
};

void fp_walk_done(struct fp_walk *walk);
/*
 * Is the record of somebody who came?  1: he will be walked (or waits already); 0: it is not; -ENOSPC, -ENOTSUP: he cannot be,
 * which is a loss (FP_LOSS_EXISTING) of his container.
 */
int fp_walk_note(struct fp_walk *walk, const void *record, size_t len);
/* Is there something to be walked? */
static inline bool fp_walk_waits(const struct fp_walk *walk)
{
	return walk->begun || walk->n;
}
/* Hands over the next records; how many, 0 when nothing is left, negative errno of the walk or of fn. */
int fp_walk_step(struct fp_walk *walk, fp_capture_record_fn fn, void *arg);

#endif

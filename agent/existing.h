/*
 * What was there before it was recorded: processes, what
 * they run, and what their descriptors are, as records of state (PRESENT, HELD,
 * CONNECTED; lib/schema/events.def).  They come from the kernel's iterators in pieces,
 * beside the ring and without numbers; docs/capture.md says why they agree with what the
 * ring says.  Called once everything is attached, and through walk.h when a process comes later.
 */
#ifndef FP_AGENT_EXISTING_H
#define FP_AGENT_EXISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/capture.h"

struct fp_existing;

struct fp_existing_options {
	uint64_t root_cgroup; /* these three as in fp_capture_options */
	int root_level;
	int container_level;
};

/* Loads the programs.  0; -EPERM or others from libbpf where the kernel does not let us: ret_error says why. */
int fp_existing_open(const struct fp_existing_options *options, struct fp_existing **ret_existing, char ret_error[256]);
struct fp_existing *fp_existing_free(struct fp_existing *existing);
/* Bytes that the kernel charges for it; of NULL 0. */
uint64_t fp_existing_memory(const struct fp_existing *existing);

/*
 * Each begins a walk, and ends one that has not come to its end.  0 or negative errno.
 * Of all, when recording has begun: who starts after that is told by the ring.
 */
int fp_existing_begin(struct fp_existing *existing);
/* Of a command that waits for its exec: what that closes, and what it runs until then, is ours. */
int fp_existing_begin_inherited(struct fp_existing *existing);
/*
 * Of one process, which is recorded only since it came, with exec_id; nothing when it is not, or is there no more.  What it
 * has mapped is told only when it runs the same program still: of a later one the ring has told.
 */
int fp_existing_begin_process(struct fp_existing *existing, uint64_t tgid, uint64_t start, uint64_t exec_id);
/*
 * Hands over the next records, some hundreds, made at this moment; how many, or 0 at the end.  A
 * negative return of fn ends it and is given back; positive ones mean nothing here.
 */
int fp_existing_read(struct fp_existing *existing, fp_capture_record_fn fn, void *arg);

#endif

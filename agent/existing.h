/*
 * What was there before recording began: the processes of the recorded cgroup, what
 * they run, and what their descriptors are, as records of state (PRESENT, HELD,
 * CONNECTED; lib/schema/events.def).  They come from the kernel's iterators in pieces,
 * beside the ring and without numbers; docs/capture.md says why they agree with what the
 * ring says.  Called by serve and run once everything is attached.
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
	/* A command that waits for its exec: what that closes, and what it runs until then, is ours. */
	bool before_exec;
};

/*
 * To be called when recording has begun: who starts after that is told by the ring.  0; -EPERM or
 * others from libbpf where the kernel does not let us: ret_error says why.
 */
int fp_existing_open(const struct fp_existing_options *options, struct fp_existing **ret_existing, char ret_error[256]);
/*
 * Hands over the next records, some hundreds, made at this moment; how many, or 0 at the end.  A
 * negative return of fn ends it and is given back; positive ones mean nothing here.
 */
int fp_existing_read(struct fp_existing *existing, fp_capture_record_fn fn, void *arg);
struct fp_existing *fp_existing_free(struct fp_existing *existing);

#endif

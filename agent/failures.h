/*
 * Failed calls: each is counted by container, operation and error; what matters to
 * an investigator (usual.h says what does not) is handed on, repetitions made one
 * event: of a process in a unit the same operation with the same error on the same
 * name, address or process.  Used by the reducer alone.  Nothing flows in a call
 * that failed, so no order between it and what was done has to be kept.
 *
 * Who tries many names is told with FP_FAILURE_NAMES_MAX of them between two
 * flushes; those behind are counted in one event without a name.
 */
#ifndef FP_AGENT_FAILURES_H
#define FP_AGENT_FAILURES_H

#include "agent/hash.h"
#include "agent/reduce.h"

#define FP_FAILURE_NAMES_MAX 16
/* Rows of counts; what finds no place among them is in the row of cgroup 0 and operation 0. */
#define FP_FAILURE_COUNTS_MAX 4096

struct fp_failure_count {
	struct fp_failure_key {
		uint64_t cgroup, operation;
		int64_t result; /* negative */
	} key;
	uint64_t count, told; /* told: as events */
	UT_hash_handle hh;
};

struct fp_failures;

int fp_failures_new(fp_own_event_fn fn, void *arg, struct fp_failures **ret_failures);
struct fp_failures *fp_failures_free(struct fp_failures *failures);

/* Counts the event; it is held back, counted in one that is held, or dropped as usual.  Its strings are copied. */
int fp_failures_add(struct fp_failures *failures, const struct fp_event *event);
/* Counts it, and hands it on as it is; `usual` says whether anybody has to look at it. */
int fp_failures_pass(struct fp_failures *failures, struct fp_event *event);
/* Hands on all that is held. */
int fp_failures_flush(struct fp_failures *failures);

/* All counts (hh.next), in no order; NULL: nothing has failed. */
const struct fp_failure_count *fp_failures_counts(const struct fp_failures *failures);

#endif

/*
 * Merges repeated reads, writes, sends and receives of one process on one object
 * for one request into one event with first, last, count and bytes.  Any other
 * event of that process cuts, and whatever another process does to that object or
 * at the other end of it, unless both only read.  So no flow crosses in between, and
 * every slice is the same with and without.  Failed calls, in which nothing flows, go
 * a way of their own (failures.h).  Pure.
 */
#ifndef FP_AGENT_REDUCE_H
#define FP_AGENT_REDUCE_H

#include "schema/schema.h"

struct fp_reducer;

/* Gets events with strings that live during the call; 0 or negative errno, which stops and is given back. */
typedef int (*fp_event_fn)(void *arg, const struct fp_event *event);
/* The same of events that whoever gets them may change. */
typedef int (*fp_own_event_fn)(void *arg, struct fp_event *event);

int fp_reducer_new(fp_own_event_fn fn, void *arg, struct fp_reducer **ret_reducer);
/* From now on every event is handed on as it is, at once.  To be called before the first. */
void fp_reducer_set_raw(struct fp_reducer *reducer);
/* What is held back is lost: flush first. */
struct fp_reducer *fp_reducer_free(struct fp_reducer *reducer);
/* The event is changed: it is counted, and the callback may do more. */
int fp_reducer_add(struct fp_reducer *reducer, struct fp_event *event);
/* Hands on everything that is held back. */
int fp_reducer_flush(struct fp_reducer *reducer);
/* Failed calls so far (failures.h); NULL: none. */
struct fp_failure_count;
const struct fp_failure_count *fp_reducer_failures(const struct fp_reducer *reducer);

#endif

/*
 * Merges repeated reads, writes, sends and receives of one process on one object
 * for one request into one event with first, last, count and bytes.  Any other
 * event of that process cuts, so nothing flowed into or out of it in between and
 * every slice is the same with and without.  Pure.
 */
#ifndef FP_AGENT_REDUCE_H
#define FP_AGENT_REDUCE_H

#include "schema/schema.h"

struct fp_reducer;

/* Gets events with strings that live during the call; 0 or negative errno, which stops and is given back. */
typedef int (*fp_event_fn)(void *arg, const struct fp_event *event);

int fp_reducer_new(fp_event_fn fn, void *arg, struct fp_reducer **ret_reducer);
/* What is held back is lost: flush first. */
struct fp_reducer *fp_reducer_free(struct fp_reducer *reducer);
int fp_reducer_add(struct fp_reducer *reducer, const struct fp_event *event);
/* Hands on everything that is held back. */
int fp_reducer_flush(struct fp_reducer *reducer);

#endif

/*
 * The conservative reading of a graph: what a process may have kept in its own
 * memory from one unit to another, which nobody can see from outside.
 *
 * Wraps a source.  Each process that has units gets one more node, its memory:
 * every unit writes it and reads it during its whole life.  What reaches what
 * through it is exactly "from each unit to each unit in time order", with as
 * many edges as there are units instead of their square.  The node has kind
 * object and key `memory:<process>`, its edges are put and get; their ids are
 * from FP_POSSIBLE_ID on, which tells them from what was recorded.
 */
#ifndef FP_GRAPH_POSSIBLE_H
#define FP_GRAPH_POSSIBLE_H

#include "graph/source.h"

struct fp_possible;

/* `base` is copied; what it refers to outlives the wrapper.  0 or -ENOMEM. */
int fp_possible_new(const struct fp_source *base, struct fp_possible **ret_possible);
struct fp_possible *fp_possible_free(struct fp_possible *possible);
FP_DEFINE_CLEANUP(struct fp_possible, fp_possible_free)
struct fp_source fp_possible_source(struct fp_possible *possible);

/* How much of a process node's key names the process without the unit: bytes with the last colon, 0 when it has none. */
size_t fp_process_key_length(const char *key);

#endif

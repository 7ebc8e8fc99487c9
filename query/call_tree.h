/*
 * The requests that a request called, and those that these called: one piece of
 * work, spread over functions.  A slice backward starts at all of them, for what
 * caused something that was done on the request's behalf is part of its story
 * even when no byte of it came back.
 */
#ifndef FP_QUERY_CALL_TREE_H
#define FP_QUERY_CALL_TREE_H

#include "query/rows.h"

/* Requests of one tree.  Deeper than any real workflow; a tree that is larger is cut there. */
#define FP_CALL_TREE_MAX 65536

/*
 * Adds to `tree`, which holds the requests to begin with, all that they called.
 * Reads their nodes only.  0, -ENOMEM, what the store returns.
 */
int fp_call_tree(struct fp_store *store, struct fp_requests *tree);

#endif

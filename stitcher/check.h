/*
 * Compares the graph in a store with the one that is made of its evidence, row
 * by row, by digests: nobody's word is taken for what the graph should be.
 * Used by program.c; does no I/O but through the store.
 */
#ifndef FP_STITCHER_CHECK_H
#define FP_STITCHER_CHECK_H

#include "stitcher/stitch.h"

struct fp_check;

/* 0 or -ENOMEM. */
int fp_check_new(struct fp_check **ret_check);
struct fp_check *fp_check_free(struct fp_check *check);
FP_DEFINE_CLEANUP(struct fp_check, fp_check_free)
/* The graph as it should be goes in here. */
struct fp_stitch_sink fp_check_sink(struct fp_check *check);

/* What differs: the table ("node", "edge", "request", "loss"), how ("missing", "changed", "added"), and the id of the node or edge. */
typedef void (*fp_check_fn)(void *arg, const char *table, const char *how, uint64_t id);
/* Reads the whole graph of the store and tells each row that differs.  How many did, or negative errno. */
int64_t fp_check_compare(struct fp_check *check, struct fp_store *store, fp_check_fn fn, void *arg);

#endif

/*
 * For tests that need a store with something in it: folders that go away again,
 * and chains of batches as an agent makes them.  Every failure is a failed
 * cmocka assertion.
 */
#ifndef FP_STORE_TESTS_UTIL_H
#define FP_STORE_TESTS_UTIL_H

#include "store/store.h"

/* cmocka fixtures: *state is the path of an empty folder, removed with all that is in it. */
int fp_folder_setup(void **state);
int fp_folder_teardown(void **state);
/* "<folder>/<name>" in one of eight buffers that take turns. */
const char *fp_folder_path(void **state, const char *name);
/* Names in the folder, sorted, separated by spaces. */
const char *fp_folder_list(void **state);

struct fp_chain {
	struct fp_batch_header header; /* of the next batch */
	struct fp_batch_writer *writer;
	uint8_t request[FP_REQUEST_ID_SIZE]; /* of the events; zero: none */
};

/* A new agent whose id is filled with `agent`. */
void fp_chain_init(struct fp_chain *chain, uint8_t agent);
void fp_chain_done(struct fp_chain *chain);
/* The next batch of the chain, with n events of the cgroup; the frame is the caller's to free. */
uint8_t *fp_chain_next(struct fp_chain *chain, unsigned n, uint64_t cgroup, size_t *ret_len);
/* Stores a frame; what fp_store_put_batch returned. */
int fp_chain_put(struct fp_store *store, const uint8_t *frame, size_t len);
/* Makes and stores `batches` batches of n events. */
void fp_chain_store(struct fp_chain *chain, struct fp_store *store, unsigned batches, unsigned n);

#endif

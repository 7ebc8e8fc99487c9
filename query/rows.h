/*
 * Copies of store rows that outlive the callback that gave them: requests and
 * losses of an answer.  (Nodes and edges are kept in a fp_graph.)
 */
#ifndef FP_QUERY_ROWS_H
#define FP_QUERY_ROWS_H

#include "store/store.h"

struct fp_requests {
	struct fp_store_request *rows; /* strings are owned */
	size_t n, size;
	uint32_t *by_id; /* indexes in order of ids; made by sorting, NULL while rows are being added */
};

struct fp_losses {
	struct fp_store_loss *rows;
	size_t n, size;
};

/* Callbacks for the store: `arg` is the list.  0 or -ENOMEM. */
int fp_requests_add(void *arg, const struct fp_store_request *row);
int fp_losses_add(void *arg, const struct fp_store_loss *row);
void fp_requests_done(struct fp_requests *requests);
void fp_losses_done(struct fp_losses *losses);
/* Index of the request, or -1; fast once the list is sorted. */
ssize_t fp_requests_find(const struct fp_requests *requests, const uint8_t id[FP_REQUEST_ID_SIZE]);
/* By begin, then by id.  0 or -ENOMEM. */
int fp_requests_sort(struct fp_requests *requests);
/* Index of the outermost caller that is in the list. */
size_t fp_requests_root(const struct fp_requests *requests, size_t index);

#endif

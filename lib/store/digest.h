/*
 * Sixteen bytes for all that a row of the graph says (BLAKE2b): two rows that
 * say the same have the same, others have not.  For comparing graphs without
 * holding two of them; a row as it was put and as it is read again say the same.
 */
#ifndef FP_STORE_DIGEST_H
#define FP_STORE_DIGEST_H

#include "store/store.h"

#define FP_STORE_DIGEST_SIZE 16

void fp_store_digest_node(const struct fp_store_node *row, uint8_t ret_digest[FP_STORE_DIGEST_SIZE]);
void fp_store_digest_edge(const struct fp_store_edge *row, uint8_t ret_digest[FP_STORE_DIGEST_SIZE]);
void fp_store_digest_request(const struct fp_store_request *row, uint8_t ret_digest[FP_STORE_DIGEST_SIZE]);
void fp_store_digest_loss(const struct fp_store_loss *row, uint8_t ret_digest[FP_STORE_DIGEST_SIZE]);

#endif

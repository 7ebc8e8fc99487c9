/*
 * What an engine of the store implements: the operations of store.h, one for
 * one.  store.c picks the engine by the URL, refuses writes on a handle opened
 * for reading and wrong arguments, and hands everything else on; an engine
 * embeds struct fp_store as its first member and fills `error` whenever it
 * returns a negative number of its own.  Used by lib/store alone.
 */
#ifndef FP_STORE_ENGINE_H
#define FP_STORE_ENGINE_H

#include "store/store.h"

#define FP_STORE_ERROR_SIZE 256

struct fp_store {
	const struct fp_store_engine *engine;
	enum fp_store_mode mode;
	char error[FP_STORE_ERROR_SIZE];
};

struct fp_store_engine {
	const char *scheme; /* what stands before ':' in a URL */
	/* On failure the sentence is in `error`. */
	int (*open)(const char *path, enum fp_store_mode mode, struct fp_store **ret_store,
		    char error[FP_STORE_ERROR_SIZE]);
	void (*close)(struct fp_store *store);
	int (*check)(struct fp_store *store);
	int (*check_batch)(struct fp_store *store, uint64_t id, const struct fp_batch *batch, size_t len);
	int (*check_graph)(struct fp_store *store);
	int (*sealed)(struct fp_store *store, bool reading);
	int (*set_cache)(struct fp_store *store, size_t bytes);

	int (*group_begin)(struct fp_store *store);
	int (*group_commit)(struct fp_store *store);
	int (*group_abort)(struct fp_store *store);
	int (*put_batch)(struct fp_store *store, const uint8_t *frame, size_t len, struct fp_batch *batch);
	int (*last_batch)(struct fp_store *store, const uint8_t agent[16], uint64_t *ret_number,
			  uint8_t ret_hash[FP_BATCH_HASH_SIZE]);
	int (*each_batch)(struct fp_store *store, uint64_t after, fp_store_batch_fn fn, void *arg);
	int (*batches_of_request)(struct fp_store *store, const uint8_t request[FP_REQUEST_ID_SIZE],
				  fp_store_batch_fn fn, void *arg);
	int (*batches_of_instance)(struct fp_store *store, const char *host, const uint8_t boot[16], uint64_t cgroup,
				   fp_store_batch_fn fn, void *arg);
	int (*batches_between)(struct fp_store *store, uint64_t since, uint64_t until, fp_store_batch_fn fn, void *arg);
	int (*totals)(struct fp_store *store, struct fp_store_totals *ret_totals);

	int (*graph_begin)(struct fp_store *store);
	int (*graph_put_node)(struct fp_store *store, const struct fp_store_node *node);
	int (*graph_put_edge)(struct fp_store *store, const struct fp_store_edge *edge);
	int (*graph_put_request)(struct fp_store *store, const struct fp_store_request *request);
	int (*graph_put_loss)(struct fp_store *store, const struct fp_store_loss *loss);
	int (*graph_commit)(struct fp_store *store, uint64_t stitched_batch);
	int (*graph_abort)(struct fp_store *store);

	int (*node)(struct fp_store *store, uint64_t id, fp_store_node_fn fn, void *arg);
	int (*each_node)(struct fp_store *store, fp_store_node_fn fn, void *arg);
	int (*find_nodes)(struct fp_store *store, enum fp_node_kind kind, const char *text, fp_store_node_fn fn,
			  void *arg);
	int (*nodes_by_key)(struct fp_store *store, const char *prefix, fp_store_node_fn fn, void *arg);
	int (*nodes_of_request)(struct fp_store *store, const uint8_t request[FP_REQUEST_ID_SIZE], fp_store_node_fn fn,
				void *arg);
	int (*edges_into)(struct fp_store *store, uint64_t node, fp_store_edge_fn fn, void *arg);
	int (*edges_out_of)(struct fp_store *store, uint64_t node, fp_store_edge_fn fn, void *arg);
	int (*each_edge)(struct fp_store *store, fp_store_edge_fn fn, void *arg);
	int (*find_requests)(struct fp_store *store, const char *name, fp_store_request_fn fn, void *arg);
	int (*each_request)(struct fp_store *store, fp_store_request_fn fn, void *arg);
	int (*each_loss)(struct fp_store *store, uint64_t since, uint64_t until, fp_store_loss_fn fn, void *arg);
};

extern const struct fp_store_engine fp_store_sqlite;

#endif

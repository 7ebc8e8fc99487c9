#include "store/engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct fp_store_engine *const engines[] = {&fp_store_sqlite};

/* The engine of a URL and what stands behind its scheme; a text without a scheme is a path. */
static const struct fp_store_engine *engine_of(const char *url, const char **ret_rest)
{
	for (size_t i = 0; i < sizeof(engines) / sizeof(engines[0]); i++) {
		size_t len = strlen(engines[i]->scheme);

		if (strncmp(url, engines[i]->scheme, len) == 0 && url[len] == ':') {
			*ret_rest = url + len + 1;
			return engines[i];
		}
	}
	*ret_rest = url;
	return strstr(url, "://") ? NULL : engines[0];
}

int fp_store_open(const char *url, enum fp_store_mode mode, struct fp_store **ret_store, char ret_error[256])
{
	char ignored[FP_STORE_ERROR_SIZE], *error = ret_error ? ret_error : ignored;
	const struct fp_store_engine *engine;
	const char *rest;

	*ret_store = NULL;
	error[0] = '\0';
	engine = engine_of(url, &rest);
	if (!engine || !*rest) {
		snprintf(error, FP_STORE_ERROR_SIZE, "%.200s: %s", url,
			 engine ? "a store needs a path" : "no engine for such a store");
		return engine ? -EINVAL : -ENOTSUP;
	}
	return engine->open(rest, mode, ret_store, error);
}

struct fp_store *fp_store_close(struct fp_store *store)
{
	if (store)
		store->engine->close(store);
	return NULL;
}

const char *fp_store_error(const struct fp_store *store)
{
	return store->error;
}

int fp_store_check(struct fp_store *store)
{
	return store->engine->check(store);
}

int fp_store_check_batch(struct fp_store *store, uint64_t batch_id, const struct fp_batch *batch, size_t len)
{
	return store->engine->check_batch(store, batch_id, batch, len);
}

int fp_store_check_graph(struct fp_store *store)
{
	return store->engine->check_graph(store);
}

int fp_store_sealed(struct fp_store *store, bool reading)
{
	return store->engine->sealed(store, reading);
}

int fp_store_set_cache(struct fp_store *store, size_t bytes)
{
	if (bytes < FP_STORE_CACHE_MIN)
		return -EINVAL;
	return store->engine->set_cache(store, bytes);
}

static int fail(struct fp_store *store, int error, const char *sentence)
{
	snprintf(store->error, sizeof(store->error), "%s", sentence);
	return error;
}

/* 0 or -EROFS. */
static int writable(struct fp_store *store)
{
	return store->mode == FP_STORE_READ ? fail(store, -EROFS, "the store was opened for reading only") : 0;
}

#define WRITE(store, call)             \
	do {                           \
		int r = writable(store); \
		return r < 0 ? r : (call); \
	} while (0)

int fp_store_group_begin(struct fp_store *store)
{
	WRITE(store, store->engine->group_begin(store));
}

int fp_store_group_commit(struct fp_store *store)
{
	WRITE(store, store->engine->group_commit(store));
}

int fp_store_group_abort(struct fp_store *store)
{
	WRITE(store, store->engine->group_abort(store));
}

int fp_store_put_batch(struct fp_store *store, const uint8_t *frame, size_t len, struct fp_batch *batch)
{
	WRITE(store, store->engine->put_batch(store, frame, len, batch));
}

int fp_store_last_batch(struct fp_store *store, const uint8_t agent[16], uint64_t *ret_number,
			uint8_t ret_hash[FP_BATCH_HASH_SIZE])
{
	return store->engine->last_batch(store, agent, ret_number, ret_hash);
}

int fp_store_each_batch(struct fp_store *store, uint64_t after, fp_store_batch_fn fn, void *arg)
{
	return store->engine->each_batch(store, after, fn, arg);
}

int fp_store_batches_of_request(struct fp_store *store, const uint8_t request[FP_REQUEST_ID_SIZE],
				fp_store_batch_fn fn, void *arg)
{
	return store->engine->batches_of_request(store, request, fn, arg);
}

int fp_store_batches_of_instance(struct fp_store *store, const char *host, const uint8_t boot[16], uint64_t cgroup,
				 fp_store_batch_fn fn, void *arg)
{
	return store->engine->batches_of_instance(store, host, boot, cgroup, fn, arg);
}

int fp_store_batches_between(struct fp_store *store, uint64_t since, uint64_t until, fp_store_batch_fn fn, void *arg)
{
	return store->engine->batches_between(store, since, until, fn, arg);
}

int fp_store_totals(struct fp_store *store, struct fp_store_totals *ret_totals)
{
	return store->engine->totals(store, ret_totals);
}

int fp_store_graph_begin(struct fp_store *store)
{
	WRITE(store, store->engine->graph_begin(store));
}

int fp_store_graph_put_node(struct fp_store *store, const struct fp_store_node *node)
{
	if (node->id == 0 || node->id > INT64_MAX || !node->key || !fp_node_kind_name(node->kind))
		return fail(store, -EINVAL, "a node needs an id, a kind and a key");
	WRITE(store, store->engine->graph_put_node(store, node));
}

int fp_store_graph_put_edge(struct fp_store *store, const struct fp_store_edge *edge)
{
	if (edge->id == 0 || edge->id > INT64_MAX || !fp_edge_kind_name(edge->kind))
		return fail(store, -EINVAL, "an edge needs an id and a kind");
	WRITE(store, store->engine->graph_put_edge(store, edge));
}

int fp_store_graph_put_request(struct fp_store *store, const struct fp_store_request *request)
{
	WRITE(store, store->engine->graph_put_request(store, request));
}

int fp_store_graph_put_loss(struct fp_store *store, const struct fp_store_loss *loss)
{
	WRITE(store, store->engine->graph_put_loss(store, loss));
}

int fp_store_graph_commit(struct fp_store *store, uint64_t stitched_batch)
{
	WRITE(store, store->engine->graph_commit(store, stitched_batch));
}

int fp_store_graph_abort(struct fp_store *store)
{
	WRITE(store, store->engine->graph_abort(store));
}

int fp_store_node(struct fp_store *store, uint64_t id, fp_store_node_fn fn, void *arg)
{
	return store->engine->node(store, id, fn, arg);
}

int fp_store_each_node(struct fp_store *store, fp_store_node_fn fn, void *arg)
{
	return store->engine->each_node(store, fn, arg);
}

int fp_store_find_nodes(struct fp_store *store, enum fp_node_kind kind, const char *text, fp_store_node_fn fn, void *arg)
{
	if (!*text)
		return fail(store, -EINVAL, "nodes are found by a text that is not empty");
	return store->engine->find_nodes(store, kind, text, fn, arg);
}

int fp_store_nodes_by_key(struct fp_store *store, const char *prefix, fp_store_node_fn fn, void *arg)
{
	return store->engine->nodes_by_key(store, prefix, fn, arg);
}

int fp_store_nodes_of_request(struct fp_store *store, const uint8_t request[FP_REQUEST_ID_SIZE], fp_store_node_fn fn,
			      void *arg)
{
	return store->engine->nodes_of_request(store, request, fn, arg);
}

int fp_store_edges_into(struct fp_store *store, uint64_t node, fp_store_edge_fn fn, void *arg)
{
	return store->engine->edges_into(store, node, fn, arg);
}

int fp_store_edges_out_of(struct fp_store *store, uint64_t node, fp_store_edge_fn fn, void *arg)
{
	return store->engine->edges_out_of(store, node, fn, arg);
}

int fp_store_each_edge(struct fp_store *store, fp_store_edge_fn fn, void *arg)
{
	return store->engine->each_edge(store, fn, arg);
}

int fp_store_find_requests(struct fp_store *store, const char *name, fp_store_request_fn fn, void *arg)
{
	return store->engine->find_requests(store, name, fn, arg);
}

int fp_store_each_request(struct fp_store *store, fp_store_request_fn fn, void *arg)
{
	return store->engine->each_request(store, fn, arg);
}

int fp_store_each_loss(struct fp_store *store, uint64_t since, uint64_t until, fp_store_loss_fn fn, void *arg)
{
	return store->engine->each_loss(store, since, until, fn, arg);
}

#include "query/call_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct numbers {
	uint64_t *list;
	size_t n, size;
};

static int add_number(struct numbers *numbers, uint64_t number)
{
	if (numbers->n == numbers->size) {
		size_t size = numbers->size ? numbers->size * 2 : 64;
		uint64_t *list = realloc(numbers->list, size * sizeof(*list));

		if (!list)
			return -ENOMEM;
		numbers->list = list;
		numbers->size = size;
	}
	numbers->list[numbers->n++] = number;
	return 0;
}

static int add_process(void *arg, const struct fp_store_node *row)
{
	return row->kind == FP_NODE_PROCESS ? add_number(arg, row->id) : 0;
}

static int add_called(void *arg, const struct fp_store_edge *row)
{
	return row->kind == FP_EDGE_CALLS ? add_number(arg, row->to) : 0;
}

struct called {
	uint8_t id[FP_REQUEST_ID_SIZE];
	bool is_request;
};

static int take_request(void *arg, const struct fp_store_node *row)
{
	struct called *called = arg;

	called->is_request = row->kind == FP_NODE_REQUEST && row->has_request;
	if (called->is_request)
		memcpy(called->id, row->request, sizeof(called->id));
	return 0;
}

static int add_same(void *arg, const struct fp_store_request *row)
{
	struct fp_requests *tree = arg;

	return fp_requests_find(tree, row->id) < 0 ? fp_requests_add(tree, row) : 0;
}

static int add_request(struct fp_store *store, uint64_t node, struct fp_requests *tree)
{
	char hex[2 * FP_REQUEST_ID_SIZE + 1];
	struct called called = {.is_request = false};
	int r = fp_store_node(store, node, take_request, &called);

	if (r < 0 || !called.is_request || fp_requests_find(tree, called.id) >= 0)
		return r;
	fp_hex(called.id, sizeof(called.id), hex);
	return fp_store_find_requests(store, hex, add_same, tree);
}

static int add_calls_of(struct fp_store *store, size_t index, struct fp_requests *tree)
{
	struct numbers processes = {0}, called = {0};
	int r = fp_store_nodes_of_request(store, tree->rows[index].id, add_process, &processes);

	for (size_t i = 0; r >= 0 && i < processes.n; i++)
		r = fp_store_edges_out_of(store, processes.list[i], add_called, &called);
	for (size_t i = 0; r >= 0 && i < called.n; i++)
		r = add_request(store, called.list[i], tree);
	free(processes.list);
	free(called.list);
	return r;
}

int fp_call_tree(struct fp_store *store, struct fp_requests *tree)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < tree->n && tree->n < FP_CALL_TREE_MAX; i++)
		r = add_calls_of(store, i, tree);
	return r;
}

#include "graph/possible.h"

#include <errno.h>
#include <string.h>

#include "base/buffer.h"

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->unhashed = true)
#include <uthash.h>

/* The memory of one process. */
struct memory {
	uint64_t id;
	struct fp_store_node row;
	char *process; /* key of the process up to the unit */
	char *key, *label, *function, *instance, *host;
	size_t units;
	bool unhashed;
	UT_hash_handle by_process, by_id;
};

struct fp_possible {
	struct fp_source base;
	struct memory *by_process, *by_id;
	uint64_t made;
};

size_t fp_process_key_length(const char *key)
{
	const char *colon = key ? strrchr(key, ':') : NULL;

	return colon && strncmp(key, "process:", 8) == 0 && colon > key + 7 ? (size_t)(colon - key) + 1 : 0;
}

int fp_possible_new(const struct fp_source *base, struct fp_possible **ret_possible)
{
	struct fp_possible *possible = calloc(1, sizeof(*possible));

	if (!possible)
		return -ENOMEM;
	possible->base = *base;
	*ret_possible = possible;
	return 0;
}

static void memory_free(struct memory *memory)
{
	free(memory->process);
	free(memory->key);
	free(memory->label);
	free(memory->function);
	free(memory->instance);
	free(memory->host);
	free(memory);
}

struct fp_possible *fp_possible_free(struct fp_possible *possible)
{
	struct memory *memory, *next;

	if (!possible)
		return NULL;
	HASH_CLEAR(by_id, possible->by_id);
	HASH_ITER(by_process, possible->by_process, memory, next) {
		HASH_DELETE(by_process, possible->by_process, memory);
		memory_free(memory);
	}
	free(possible);
	return NULL;
}

/* One unit of the process: widens the memory's life; the first one gives its description. */
static int add_unit(void *arg, const struct fp_store_node *unit)
{
	struct memory *memory = arg;

	if (unit->kind != FP_NODE_PROCESS || fp_process_key_length(unit->key) != strlen(memory->process))
		return 0;
	if (memory->units++ == 0) {
		memory->row.first = unit->first;
		memory->row.last = unit->last;
		if (asprintf(&memory->label, "memory of %s", unit->label ? unit->label : "a process") < 0)
			memory->label = NULL;
		memory->function = unit->function ? strdup(unit->function) : NULL;
		memory->instance = unit->instance ? strdup(unit->instance) : NULL;
		memory->host = unit->host ? strdup(unit->host) : NULL;
		return 0;
	}
	if (unit->first < memory->row.first)
		memory->row.first = unit->first;
	if (unit->last > memory->row.last)
		memory->row.last = unit->last;
	return 0;
}

static int memory_new(struct fp_possible *possible, const char *unit_key, size_t len, struct memory **ret_memory)
{
	struct memory *memory = calloc(1, sizeof(*memory));
	int r;

	if (!memory)
		return -ENOMEM;
	memory->process = strndup(unit_key, len);
	if (!memory->process || asprintf(&memory->key, "memory:%.*s", (int)len - 9, unit_key + 8) < 0) {
		memory->key = NULL;
		memory_free(memory);
		return -ENOMEM;
	}
	memory->id = FP_POSSIBLE_ID | ++possible->made;
	r = possible->base.nodes_by_key(possible->base.arg, memory->process, add_unit, memory);
	memory->row.id = memory->id;
	memory->row.kind = FP_NODE_OBJECT;
	memory->row.key = memory->key;
	memory->row.label = memory->label;
	memory->row.function = memory->function;
	memory->row.instance = memory->instance;
	memory->row.host = memory->host;
	HASH_ADD_KEYPTR(by_process, possible->by_process, memory->process, len, memory);
	if (!memory->unhashed)
		HASH_ADD(by_id, possible->by_id, id, sizeof(uint64_t), memory);
	*ret_memory = memory;
	return r < 0 ? r : memory->unhashed ? -ENOMEM : 0;
}

/* The memory that a unit shares with others, or NULL when it is the only one. */
static int memory_of(struct fp_possible *possible, const char *unit_key, struct memory **ret_memory)
{
	size_t len = fp_process_key_length(unit_key);
	struct memory *memory = NULL;
	int r;

	*ret_memory = NULL;
	if (len == 0)
		return 0;
	HASH_FIND(by_process, possible->by_process, unit_key, len, memory);
	if (!memory) {
		r = memory_new(possible, unit_key, len, &memory);
		if (r < 0)
			return r;
	}
	if (memory->units > 1)
		*ret_memory = memory;
	return 0;
}

static struct memory *memory_by_id(struct fp_possible *possible, uint64_t id)
{
	struct memory *memory;

	HASH_FIND(by_id, possible->by_id, &id, sizeof(id), memory);
	return memory;
}

static struct fp_store_edge possible_edge(const struct memory *memory, const struct fp_store_node *unit, bool put)
{
	return (struct fp_store_edge){
		.id = FP_POSSIBLE_ID | unit->id << 1 | put,
		.from = put ? unit->id : memory->id,
		.to = put ? memory->id : unit->id,
		.kind = put ? FP_EDGE_PUT : FP_EDGE_GET,
		.first = unit->first,
		.last = unit->last < unit->first ? unit->first : unit->last,
		.count = 1,
	};
}

struct unit_copy {
	struct fp_store_node row;
	char *key;
};

static int copy_unit(void *arg, const struct fp_store_node *node)
{
	struct unit_copy *copy = arg;

	if (node->kind != FP_NODE_PROCESS || !node->key)
		return 0;
	copy->row = *node;
	copy->key = strdup(node->key);
	return copy->key ? 0 : -ENOMEM;
}

/* The edge between one unit and its memory, when it has one. */
static int edge_of_unit(struct fp_possible *possible, uint64_t id, bool put, fp_store_edge_fn fn, void *fn_arg)
{
	struct unit_copy copy = {0};
	struct memory *memory = NULL;
	int r = possible->base.node(possible->base.arg, id, copy_unit, &copy);

	if (r >= 0 && copy.key)
		r = memory_of(possible, copy.key, &memory);
	free(copy.key);
	if (r >= 0 && memory) {
		struct fp_store_edge edge = possible_edge(memory, &copy.row, put);

		r = fn(fn_arg, &edge);
	}
	return r;
}

struct memory_edges {
	const struct memory *memory;
	bool put;
	fp_store_edge_fn fn;
	void *fn_arg;
};

static int edge_of_memory(void *arg, const struct fp_store_node *unit)
{
	const struct memory_edges *edges = arg;
	struct fp_store_edge edge;

	if (unit->kind != FP_NODE_PROCESS || fp_process_key_length(unit->key) != strlen(edges->memory->process))
		return 0;
	edge = possible_edge(edges->memory, unit, edges->put);
	return edges->fn(edges->fn_arg, &edge);
}

static int possible_node(void *arg, uint64_t id, fp_store_node_fn fn, void *fn_arg)
{
	struct fp_possible *possible = arg;
	struct memory *memory;

	if (!fp_graph_possible(id))
		return possible->base.node(possible->base.arg, id, fn, fn_arg);
	memory = memory_by_id(possible, id);
	return memory ? fn(fn_arg, &memory->row) : 0;
}

static int possible_edges(struct fp_possible *possible, bool into, uint64_t id, fp_store_edge_fn fn, void *fn_arg)
{
	const struct fp_source *base = &possible->base;
	int r;

	if (fp_graph_possible(id)) {
		struct memory_edges edges = {memory_by_id(possible, id), into, fn, fn_arg};

		return edges.memory ? base->nodes_by_key(base->arg, edges.memory->process, edge_of_memory, &edges) : 0;
	}
	r = into ? base->edges_into(base->arg, id, fn, fn_arg) : base->edges_out_of(base->arg, id, fn, fn_arg);
	return r != 0 ? r : edge_of_unit(possible, id, !into, fn, fn_arg);
}

static int possible_edges_into(void *arg, uint64_t node, fp_store_edge_fn fn, void *fn_arg)
{
	return possible_edges(arg, true, node, fn, fn_arg);
}

static int possible_edges_out_of(void *arg, uint64_t node, fp_store_edge_fn fn, void *fn_arg)
{
	return possible_edges(arg, false, node, fn, fn_arg);
}

static int possible_nodes_by_key(void *arg, const char *prefix, fp_store_node_fn fn, void *fn_arg)
{
	const struct fp_possible *possible = arg;

	return possible->base.nodes_by_key(possible->base.arg, prefix, fn, fn_arg);
}

struct fp_source fp_possible_source(struct fp_possible *possible)
{
	return (struct fp_source){
		.node = possible_node,
		.edges_into = possible_edges_into,
		.edges_out_of = possible_edges_out_of,
		.nodes_by_key = possible_nodes_by_key,
		.arg = possible,
	};
}

#include "graph/graph.h"

#include <errno.h>
#include <string.h>

/* An insertion that runs out of memory must be an error, not an exit. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->unhashed = true)
#include <uthash.h>

#include "base/array.h"

#define CHUNK_SIZE 65536

struct chunk {
	struct chunk *next;
	size_t used, size;
	char data[];
};

struct node_entry {
	struct fp_graph_node node;
	UT_hash_handle hh;
	bool unhashed;
};

struct edge_entry {
	struct fp_graph_edge edge;
	UT_hash_handle hh;
	bool unhashed;
};

/* Edges by one of their ends: those of node n are list[offset[n]] .. list[offset[n + 1]]. */
struct adjacency {
	uint32_t *offset, *list;
};

struct fp_graph {
	struct chunk *chunks; /* nodes, edges and strings: all live as long as the graph */
	struct node_entry **nodes, *nodes_by_id;
	struct edge_entry **edges, *edges_by_id;
	size_t n_nodes, n_edges, nodes_size, edges_size;
	struct adjacency into, out_of;
};

static void *keep(struct fp_graph *graph, size_t size)
{
	struct chunk *chunk = graph->chunks;
	void *data;

	size = (size + 15) & ~(size_t)15;
	if (!chunk || chunk->size - chunk->used < size) {
		size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;

		chunk = malloc(sizeof(*chunk) + room);
		if (!chunk)
			return NULL;
		*chunk = (struct chunk){.next = graph->chunks, .size = room};
		graph->chunks = chunk;
	}
	data = chunk->data + chunk->used;
	chunk->used += size;
	return memset(data, 0, size);
}

/* Replaces a borrowed string by a copy. */
static bool keep_text(struct fp_graph *graph, const char **text)
{
	size_t size;
	char *copy;

	if (!*text)
		return true;
	size = strlen(*text) + 1;
	copy = keep(graph, size);
	if (copy)
		memcpy(copy, *text, size);
	*text = copy;
	return copy;
}

static void adjacency_done(struct adjacency *adjacency)
{
	free(adjacency->offset);
	free(adjacency->list);
	*adjacency = (struct adjacency){0};
}

int fp_graph_new(struct fp_graph **ret_graph)
{
	struct fp_graph *graph = calloc(1, sizeof(*graph));

	if (!graph)
		return -ENOMEM;
	*ret_graph = graph;
	return 0;
}

struct fp_graph *fp_graph_free(struct fp_graph *graph)
{
	if (!graph)
		return NULL;
	HASH_CLEAR(hh, graph->nodes_by_id);
	HASH_CLEAR(hh, graph->edges_by_id);
	while (graph->chunks) {
		struct chunk *chunk = graph->chunks;

		graph->chunks = chunk->next;
		free(chunk);
	}
	adjacency_done(&graph->into);
	adjacency_done(&graph->out_of);
	free(graph->nodes);
	free(graph->edges);
	free(graph);
	return NULL;
}

int fp_graph_add_node(struct fp_graph *graph, const struct fp_store_node *row, struct fp_graph_node **ret_node)
{
	struct fp_graph_node *node = fp_graph_find_node(graph, row->id);
	struct node_entry *entry;

	if (node) {
		*ret_node = node;
		return 0;
	}
	if (!FP_ARRAY_ROOM(graph->nodes, graph->n_nodes, graph->nodes_size))
		return -ENOMEM;
	entry = keep(graph, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	node = &entry->node;
	node->row = *row;
	if (!keep_text(graph, &node->row.key) || !keep_text(graph, &node->row.label) ||
	    !keep_text(graph, &node->row.function) || !keep_text(graph, &node->row.instance) ||
	    !keep_text(graph, &node->row.host) || !keep_text(graph, &node->row.attributes))
		return -ENOMEM;
	HASH_ADD(hh, graph->nodes_by_id, node.row.id, sizeof(uint64_t), entry);
	if (entry->unhashed)
		return -ENOMEM;
	node->index = (uint32_t)graph->n_nodes;
	graph->nodes[graph->n_nodes++] = entry;
	adjacency_done(&graph->into);
	adjacency_done(&graph->out_of);
	*ret_node = node;
	return 0;
}

int fp_graph_add_edge(struct fp_graph *graph, const struct fp_store_edge *row, struct fp_graph_edge **ret_edge)
{
	struct fp_graph_edge *edge = fp_graph_find_edge(graph, row->id);
	struct fp_graph_node *from, *to;
	struct edge_entry *entry;

	if (edge) {
		*ret_edge = edge;
		return 0;
	}
	from = fp_graph_find_node(graph, row->from);
	to = fp_graph_find_node(graph, row->to);
	if (!from || !to)
		return -ENOENT;
	if (!FP_ARRAY_ROOM(graph->edges, graph->n_edges, graph->edges_size))
		return -ENOMEM;
	entry = keep(graph, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	edge = &entry->edge;
	*edge = (struct fp_graph_edge){.row = *row, .from = from->index, .to = to->index};
	if (!keep_text(graph, &edge->row.candidates) || !keep_text(graph, &edge->row.attributes))
		return -ENOMEM;
	HASH_ADD(hh, graph->edges_by_id, edge.row.id, sizeof(uint64_t), entry);
	if (entry->unhashed)
		return -ENOMEM;
	edge->index = (uint32_t)graph->n_edges;
	graph->edges[graph->n_edges++] = entry;
	adjacency_done(&graph->into);
	adjacency_done(&graph->out_of);
	*ret_edge = edge;
	return 0;
}

size_t fp_graph_nodes(const struct fp_graph *graph)
{
	return graph->n_nodes;
}

size_t fp_graph_edges(const struct fp_graph *graph)
{
	return graph->n_edges;
}

struct fp_graph_node *fp_graph_node(const struct fp_graph *graph, size_t index)
{
	return &graph->nodes[index]->node;
}

struct fp_graph_edge *fp_graph_edge(const struct fp_graph *graph, size_t index)
{
	return &graph->edges[index]->edge;
}

struct fp_graph_node *fp_graph_find_node(const struct fp_graph *graph, uint64_t id)
{
	struct node_entry *entry;

	HASH_FIND(hh, graph->nodes_by_id, &id, sizeof(id), entry);
	return entry ? &entry->node : NULL;
}

struct fp_graph_edge *fp_graph_find_edge(const struct fp_graph *graph, uint64_t id)
{
	struct edge_entry *entry;

	HASH_FIND(hh, graph->edges_by_id, &id, sizeof(id), entry);
	return entry ? &entry->edge : NULL;
}

static int compare_edges(const void *a, const void *b, void *arg)
{
	const struct fp_graph *graph = arg;
	const struct fp_store_edge *x = &graph->edges[*(const uint32_t *)a]->edge.row;
	const struct fp_store_edge *y = &graph->edges[*(const uint32_t *)b]->edge.row;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Counting sort by end, then by time within each node. */
static int adjacency_make(struct fp_graph *graph, bool into, struct adjacency *ret_adjacency)
{
	struct adjacency made = {
		.offset = calloc(graph->n_nodes + 2, sizeof(uint32_t)),
		.list = malloc((graph->n_edges + 1) * sizeof(uint32_t)),
	};

	if (!made.offset || !made.list) {
		adjacency_done(&made);
		return -ENOMEM;
	}
	for (size_t i = 0; i < graph->n_edges; i++) {
		const struct fp_graph_edge *edge = &graph->edges[i]->edge;

		made.offset[(into ? edge->to : edge->from) + 2]++;
	}
	for (size_t i = 2; i < graph->n_nodes + 2; i++)
		made.offset[i] += made.offset[i - 1];
	for (size_t i = 0; i < graph->n_edges; i++) {
		const struct fp_graph_edge *edge = &graph->edges[i]->edge;

		made.list[made.offset[(into ? edge->to : edge->from) + 1]++] = (uint32_t)i;
	}
	for (size_t i = 0; i < graph->n_nodes; i++)
		qsort_r(made.list + made.offset[i], made.offset[i + 1] - made.offset[i], sizeof(uint32_t), compare_edges,
			graph);
	*ret_adjacency = made;
	return 0;
}

static ssize_t adjacent(struct fp_graph *graph, bool into, uint32_t node, const uint32_t **ret_edges)
{
	struct adjacency *adjacency = into ? &graph->into : &graph->out_of;

	if (!adjacency->offset && adjacency_make(graph, into, adjacency) < 0)
		return -ENOMEM;
	*ret_edges = adjacency->list + adjacency->offset[node];
	return (ssize_t)(adjacency->offset[node + 1] - adjacency->offset[node]);
}

ssize_t fp_graph_edges_into(struct fp_graph *graph, uint32_t node, const uint32_t **ret_edges)
{
	return adjacent(graph, true, node, ret_edges);
}

ssize_t fp_graph_edges_out_of(struct fp_graph *graph, uint32_t node, const uint32_t **ret_edges)
{
	return adjacent(graph, false, node, ret_edges);
}

bool fp_graph_ambiguous(const struct fp_store_node *row)
{
	const char *colon = row->kind == FP_NODE_PROCESS && row->key ? strrchr(row->key, ':') : NULL;

	return colon && strcmp(colon, ":ambiguous") == 0;
}

int fp_graph_each_candidate(const struct fp_store_edge *row, int (*fn)(void *arg, const char *id, size_t len), void *arg)
{
	int r = 0;

	for (const char *at = row->candidates; r == 0 && at && *at;) {
		size_t len = strcspn(at, ",");

		if (len > 0)
			r = fn(arg, at, len);
		at += len + (at[len] == ',');
	}
	return r;
}

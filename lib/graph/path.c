#include "graph/path.h"

#include <errno.h>
#include <string.h>

#include <igraph/igraph.h>

/* The times at which a node stands in the unrolled graph. */
struct times {
	uint64_t *list;
	size_t n, size;
	size_t first_state; /* number of its first state */
};

struct moment {
	uint32_t node;
	uint64_t time;
};

struct unrolled {
	struct fp_graph *graph;
	struct times *times; /* by index of node */
	size_t n_states;
	struct moment *todo; /* moments whose consequences are not yet drawn */
	size_t n_todo, todo_size;
	/* arcs: pairs of states, their weights, and which edge of the graph each one is */
	igraph_vector_int_t arcs;
	igraph_vector_t weights;
	uint32_t *edge_of_arc;
	size_t n_arcs, arcs_size;
};

#define NO_EDGE UINT32_MAX

static int from_igraph(igraph_error_t error)
{
	return error == IGRAPH_SUCCESS ? 0 : error == IGRAPH_ENOMEM ? -ENOMEM : -EINVAL;
}

static int grow(void *array, size_t used, size_t *size, size_t item)
{
	size_t wanted = *size ? *size * 2 : 8;
	void *bigger;

	if (used < *size)
		return 0;
	bigger = realloc(*(void **)array, wanted * item);
	if (!bigger)
		return -ENOMEM;
	*(void **)array = bigger;
	*size = wanted;
	return 0;
}

/* Where a time is, or would be, in the sorted list. */
static size_t position(const struct times *times, uint64_t time)
{
	size_t low = 0, high = times->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (times->list[middle] < time)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int add_moment(struct unrolled *unrolled, uint32_t node, uint64_t time)
{
	struct times *times = &unrolled->times[node];
	size_t at = position(times, time);

	if (at < times->n && times->list[at] == time)
		return 0;
	if (++unrolled->n_states > FP_PATH_STATES_MAX)
		return -E2BIG;
	if (grow(&times->list, times->n, &times->size, sizeof(*times->list)) < 0 ||
	    grow(&unrolled->todo, unrolled->n_todo, &unrolled->todo_size, sizeof(*unrolled->todo)) < 0)
		return -ENOMEM;
	memmove(times->list + at + 1, times->list + at, (times->n - at) * sizeof(*times->list));
	times->list[at] = time;
	times->n++;
	unrolled->todo[unrolled->n_todo++] = (struct moment){node, time};
	return 0;
}

/*
 * Every edge can be taken when it begins, and whenever something is at its source
 * while it goes on; its target then has that moment too.
 */
static int find_moments(struct unrolled *unrolled)
{
	struct fp_graph *graph = unrolled->graph;
	int r = 0;

	for (size_t i = 0; r == 0 && i < fp_graph_edges(graph); i++) {
		const struct fp_graph_edge *edge = fp_graph_edge(graph, i);

		r = add_moment(unrolled, edge->from, edge->row.first);
		if (r == 0)
			r = add_moment(unrolled, edge->to, edge->row.first);
	}
	while (r == 0 && unrolled->n_todo > 0) {
		struct moment moment = unrolled->todo[--unrolled->n_todo];
		const uint32_t *out;
		ssize_t n = fp_graph_edges_out_of(graph, moment.node, &out);

		if (n < 0)
			return (int)n;
		for (ssize_t i = 0; r == 0 && i < n; i++) {
			const struct fp_graph_edge *edge = fp_graph_edge(graph, out[i]);

			if (edge->row.first < moment.time && moment.time <= edge->row.last)
				r = add_moment(unrolled, edge->to, moment.time);
		}
	}
	return r;
}

static int add_arc(struct unrolled *unrolled, size_t from, size_t to, uint32_t edge)
{
	int r = grow(&unrolled->edge_of_arc, unrolled->n_arcs, &unrolled->arcs_size, sizeof(uint32_t));

	if (r < 0)
		return r;
	unrolled->edge_of_arc[unrolled->n_arcs++] = edge;
	r = from_igraph(igraph_vector_int_push_back(&unrolled->arcs, (igraph_integer_t)from));
	if (r == 0)
		r = from_igraph(igraph_vector_int_push_back(&unrolled->arcs, (igraph_integer_t)to));
	if (r == 0)
		r = from_igraph(igraph_vector_push_back(&unrolled->weights, edge == NO_EDGE ? 0 : 1));
	return r;
}

static int add_arcs_of_edge(struct unrolled *unrolled, const struct fp_graph_edge *edge)
{
	const struct times *from = &unrolled->times[edge->from], *to = &unrolled->times[edge->to];
	int r = 0;

	for (size_t i = position(from, edge->row.first); r == 0 && i < from->n && from->list[i] <= edge->row.last; i++)
		r = add_arc(unrolled, from->first_state + i, to->first_state + position(to, from->list[i]), edge->index);
	return r;
}

/* States are numbered node by node; then come one source before `from` and one sink behind `to`. */
static int add_arcs(struct unrolled *unrolled, const uint32_t *from, size_t n_from, const uint32_t *to, size_t n_to)
{
	size_t state = 0;
	int r = 0;

	for (size_t node = 0; r == 0 && node < fp_graph_nodes(unrolled->graph); node++) {
		unrolled->times[node].first_state = state;
		state += unrolled->times[node].n;
		for (size_t i = 1; r == 0 && i < unrolled->times[node].n; i++)
			r = add_arc(unrolled, unrolled->times[node].first_state + i - 1,
				    unrolled->times[node].first_state + i, NO_EDGE);
	}
	for (size_t i = 0; r == 0 && i < fp_graph_edges(unrolled->graph); i++)
		r = add_arcs_of_edge(unrolled, fp_graph_edge(unrolled->graph, i));
	for (size_t i = 0; r == 0 && i < n_from; i++)
		if (unrolled->times[from[i]].n > 0)
			r = add_arc(unrolled, state, unrolled->times[from[i]].first_state, NO_EDGE);
	for (size_t i = 0; r == 0 && i < n_to; i++) {
		const struct times *times = &unrolled->times[to[i]];

		if (times->n > 0)
			r = add_arc(unrolled, times->first_state + times->n - 1, state + 1, NO_EDGE);
	}
	return r;
}

static ssize_t collect(const struct unrolled *unrolled, const igraph_vector_int_t *path, uint32_t **ret_edges)
{
	igraph_integer_t n = igraph_vector_int_size(path);
	uint32_t *edges;
	ssize_t n_edges = 0;

	if (n == 0)
		return -ENOENT;
	edges = malloc((size_t)n * sizeof(*edges));
	if (!edges)
		return -ENOMEM;
	for (igraph_integer_t i = 0; i < n; i++) {
		uint32_t edge = unrolled->edge_of_arc[VECTOR(*path)[i]];

		if (edge != NO_EDGE)
			edges[n_edges++] = edge;
	}
	*ret_edges = edges;
	return n_edges;
}

/* The graph is built in one go: igraph copies it on every later change. */
static ssize_t solve(struct unrolled *unrolled, uint32_t **ret_edges)
{
	igraph_integer_t source = (igraph_integer_t)unrolled->n_states;
	igraph_vector_int_t path;
	igraph_t graph;
	ssize_t n;
	int r = from_igraph(igraph_vector_int_init(&path, 0));

	if (r < 0)
		return r;
	r = from_igraph(igraph_create(&graph, &unrolled->arcs, source + 2, IGRAPH_DIRECTED));
	if (r == 0) {
		r = from_igraph(igraph_get_shortest_path_dijkstra(&graph, NULL, &path, source, source + 1,
								  &unrolled->weights, IGRAPH_OUT));
		igraph_destroy(&graph);
	}
	n = r < 0 ? r : collect(unrolled, &path, ret_edges);
	igraph_vector_int_destroy(&path);
	return n;
}

static ssize_t unroll(struct unrolled *unrolled, const uint32_t *from, size_t n_from, const uint32_t *to, size_t n_to,
		      uint32_t **ret_edges)
{
	int r = from_igraph(igraph_vector_int_init(&unrolled->arcs, 0));

	if (r < 0)
		return r;
	r = from_igraph(igraph_vector_init(&unrolled->weights, 0));
	if (r == 0) {
		ssize_t n;

		r = find_moments(unrolled);
		if (r == 0)
			r = add_arcs(unrolled, from, n_from, to, n_to);
		n = r < 0 ? r : solve(unrolled, ret_edges);
		igraph_vector_destroy(&unrolled->weights);
		igraph_vector_int_destroy(&unrolled->arcs);
		return n;
	}
	igraph_vector_int_destroy(&unrolled->arcs);
	return r;
}

static bool in_both(const uint32_t *from, size_t n_from, const uint32_t *to, size_t n_to)
{
	for (size_t i = 0; i < n_from; i++)
		for (size_t j = 0; j < n_to; j++)
			if (from[i] == to[j])
				return true;
	return false;
}

ssize_t fp_path_shortest(struct fp_graph *graph, const uint32_t *from, size_t n_from, const uint32_t *to, size_t n_to,
			 uint32_t **ret_edges)
{
	struct unrolled unrolled = {.graph = graph};
	igraph_error_handler_t *errors;
	igraph_warning_handler_t *warnings;
	ssize_t n;

	*ret_edges = NULL;
	if (in_both(from, n_from, to, n_to))
		return 0;
	unrolled.times = calloc(fp_graph_nodes(graph) + 1, sizeof(*unrolled.times));
	if (!unrolled.times)
		return -ENOMEM;
	/* Without this igraph ends the program when it meets an error. */
	errors = igraph_set_error_handler(igraph_error_handler_ignore);
	warnings = igraph_set_warning_handler(igraph_warning_handler_ignore);
	n = unroll(&unrolled, from, n_from, to, n_to, ret_edges);
	igraph_set_error_handler(errors);
	igraph_set_warning_handler(warnings);
	for (size_t i = 0; i < fp_graph_nodes(graph); i++)
		free(unrolled.times[i].list);
	free(unrolled.times);
	free(unrolled.todo);
	free(unrolled.edge_of_arc);
	return n;
}

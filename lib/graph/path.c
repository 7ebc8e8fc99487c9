#include "graph/path.h"

#include <errno.h>
#include <string.h>

#include <igraph/igraph.h>

#include "base/array.h"
#include "graph/flow.h"
#include "graph/rows.h"

/* A node, split as flow.h's rules need it. */
struct place {
	const void *who; /* a candidate in an edge's list, or the request that an object was given to; NULL: as for all */
	size_t len;
	size_t version; /* of a file */
	struct fp_str rows; /* of an object: what was written to these */
	/* the times at which it stands in the unrolled graph */
	uint64_t *times;
	size_t n, size;
	size_t first_state; /* number of its first state */
	size_t first_link; /* of those that begin here */
};

/* An edge from place to place. */
struct link {
	uint32_t from, to, edge;
	uint64_t first, last; /* when it can be taken */
	uint64_t begin; /* before that there is nothing at `to` */
};

struct moment {
	uint32_t place;
	uint64_t time;
};

struct unrolled {
	struct fp_graph *graph;
	struct place *places;
	size_t n_places, places_size;
	struct fp_versions *versions; /* by node */
	uint32_t *first_place; /* by node; those of node n end where those of n + 1 begin */
	struct link *links; /* ordered by where they begin */
	size_t n_links, links_size;
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

/* --- places and links ----------------------------------------------------- */

struct splitter {
	struct unrolled *unrolled;
	uint32_t node;
};

static int add_place(struct unrolled *unrolled, const void *who, size_t len, size_t version)
{
	if (unrolled->n_places >= FP_PATH_STATES_MAX)
		return -E2BIG;
	if (!FP_ARRAY_ROOM(unrolled->places, unrolled->n_places, unrolled->places_size))
		return -ENOMEM;
	unrolled->places[unrolled->n_places++] = (struct place){.who = who, .len = len, .version = version};
	return 0;
}

static bool is_place_of(const struct place *place, const void *who, size_t len)
{
	return place->who && place->len == len && memcmp(place->who, who, len) == 0;
}

static int add_who(void *arg, const char *who, size_t len)
{
	const struct splitter *splitter = arg;
	struct unrolled *unrolled = splitter->unrolled;

	for (size_t i = unrolled->first_place[splitter->node]; i < unrolled->n_places; i++)
		if (is_place_of(&unrolled->places[i], who, len))
			return 0;
	return add_place(unrolled, who, len, 0);
}

static bool is_rows_of(const struct place *place, struct fp_str rows)
{
	return place->rows.len == rows.len && (rows.len == 0 || memcmp(place->rows.data, rows.data, rows.len) == 0);
}

static int add_rows(struct unrolled *unrolled, uint32_t node, struct fp_str rows)
{
	int r;

	for (size_t i = unrolled->first_place[node]; i < unrolled->n_places; i++)
		if (!unrolled->places[i].who && is_rows_of(&unrolled->places[i], rows))
			return 0;
	r = add_place(unrolled, NULL, 0, 0);
	if (r == 0)
		unrolled->places[unrolled->n_places - 1].rows = rows;
	return r;
}

/* Splits a node by what an edge into it says. */
static int split(struct splitter *splitter, const struct fp_store_node *node, const struct fp_store_edge *row)
{
	if (node->kind == FP_NODE_FILE)
		return fp_versions_add(&splitter->unrolled->versions[splitter->node], row);
	if (fp_flow_is_given(node, row))
		return add_who(splitter, (const char *)row->request, FP_REQUEST_ID_SIZE);
	if (node->kind == FP_NODE_OBJECT && row->kind == FP_EDGE_PUT)
		return add_rows(splitter->unrolled, splitter->node, fp_rows_of(row));
	return fp_graph_ambiguous(node) ? fp_graph_each_candidate(row, add_who, splitter) : 0;
}

static int find_places(struct unrolled *unrolled)
{
	struct fp_graph *graph = unrolled->graph;
	uint32_t n = (uint32_t)fp_graph_nodes(graph);
	int r = 0;

	unrolled->first_place = calloc(n + 1, sizeof(*unrolled->first_place));
	unrolled->versions = calloc(n + 1, sizeof(*unrolled->versions));
	if (!unrolled->first_place || !unrolled->versions)
		return -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		const struct fp_store_node *node = &fp_graph_node(graph, i)->row;
		struct splitter splitter = {unrolled, i};
		const uint32_t *into;
		ssize_t n_into = fp_graph_edges_into(graph, i, &into);

		if (n_into < 0)
			return (int)n_into;
		unrolled->first_place[i] = (uint32_t)unrolled->n_places;
		r = add_place(unrolled, NULL, 0, 0);
		for (ssize_t j = 0; r == 0 && j < n_into; j++)
			r = split(&splitter, node, &fp_graph_edge(graph, into[j])->row);
		fp_versions_sort(&unrolled->versions[i]);
		for (size_t version = 1; r == 0 && version <= unrolled->versions[i].n; version++)
			r = add_place(unrolled, NULL, 0, version);
	}
	unrolled->first_place[n] = (uint32_t)unrolled->n_places;
	return r;
}

static int is_named(void *arg, const char *id, size_t len)
{
	return is_place_of(arg, id, len);
}

/* Whether the edge can be taken from the place, and when. */
static bool leaves(const struct unrolled *unrolled, const struct fp_graph_edge *edge, const struct place *place,
		   struct link *link)
{
	const struct fp_versions *versions = &unrolled->versions[edge->from];
	uint64_t begin = fp_versions_begin(versions, place->version), end = fp_versions_end(versions, place->version);
	const struct fp_store_edge *row = &edge->row;

	link->first = link->first > begin ? link->first : begin;
	link->last = link->last < end ? link->last : end;
	if (place->rows.len)
		return row->kind != FP_EDGE_GET || fp_rows_meet(place->rows, fp_rows_of(row));
	if (!place->who)
		return true;
	if (fp_graph_node(unrolled->graph, edge->from)->row.kind == FP_NODE_OBJECT)
		return row->kind == FP_EDGE_GET && row->has_request && is_place_of(place, row->request, FP_REQUEST_ID_SIZE);
	return !row->candidates || fp_graph_each_candidate(row, is_named, (void *)place);
}

/* Whether it leads to the place, and from when on. */
static bool enters(const struct unrolled *unrolled, const struct fp_graph_edge *edge, const struct place *place,
		   struct link *link)
{
	const struct fp_store_node *node = &fp_graph_node(unrolled->graph, edge->to)->row;
	const struct fp_versions *versions = &unrolled->versions[edge->to];
	uint64_t end = fp_versions_end(versions, place->version);
	const struct fp_store_edge *row = &edge->row;

	link->begin = fp_versions_begin(versions, place->version);
	link->last = link->last < end ? link->last : end;
	if (node->kind == FP_NODE_FILE)
		return link->begin <= end && fp_versions_has(versions, place->version, row);
	if (fp_flow_is_given(node, row))
		return is_place_of(place, row->request, FP_REQUEST_ID_SIZE);
	if (node->kind == FP_NODE_OBJECT)
		return !place->who && is_rows_of(place, row->kind == FP_EDGE_PUT ? fp_rows_of(row) : (struct fp_str){0});
	if (!fp_graph_ambiguous(node) || !row->candidates)
		return !place->who;
	return place->who && fp_graph_each_candidate(row, is_named, (void *)place);
}

static int add_links(struct unrolled *unrolled, const struct fp_graph_edge *edge)
{
	const uint32_t *first = unrolled->first_place;

	for (uint32_t from = first[edge->from]; from < first[edge->from + 1]; from++)
		for (uint32_t to = first[edge->to]; to < first[edge->to + 1]; to++) {
			struct link link = {from, to, edge->index, edge->row.first, edge->row.last, 0};

			if (!leaves(unrolled, edge, &unrolled->places[from], &link) ||
			    !enters(unrolled, edge, &unrolled->places[to], &link) || link.first > link.last)
				continue;
			if (unrolled->n_links >= FP_PATH_STATES_MAX)
				return -E2BIG;
			if (!FP_ARRAY_ROOM(unrolled->links, unrolled->n_links, unrolled->links_size))
				return -ENOMEM;
			unrolled->links[unrolled->n_links++] = link;
		}
	return 0;
}

static int compare_links(const void *a, const void *b)
{
	const struct link *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	if (x->edge != y->edge)
		return x->edge < y->edge ? -1 : 1;
	return x->to < y->to ? -1 : x->to > y->to;
}

static int find_links(struct unrolled *unrolled)
{
	size_t link = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < fp_graph_edges(unrolled->graph); i++)
		r = add_links(unrolled, fp_graph_edge(unrolled->graph, i));
	if (r < 0 || unrolled->n_links == 0)
		return r;
	qsort(unrolled->links, unrolled->n_links, sizeof(*unrolled->links), compare_links);
	for (size_t i = 0; i < unrolled->n_places; i++) {
		unrolled->places[i].first_link = link;
		while (link < unrolled->n_links && unrolled->links[link].from == i)
			link++;
	}
	return 0;
}

static uint64_t arrival(const struct link *link, uint64_t time)
{
	return time > link->begin ? time : link->begin;
}

/* --- states --------------------------------------------------------------- */

/* Where a time is, or would be, in the sorted list. */
static size_t position(const struct place *place, uint64_t time)
{
	size_t low = 0, high = place->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (place->times[middle] < time)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int add_moment(struct unrolled *unrolled, uint32_t number, uint64_t time)
{
	struct place *place = &unrolled->places[number];
	size_t at = position(place, time);

	if (at < place->n && place->times[at] == time)
		return 0;
	if (++unrolled->n_states > FP_PATH_STATES_MAX)
		return -E2BIG;
	if (!FP_ARRAY_ROOM(place->times, place->n, place->size) ||
	    !FP_ARRAY_ROOM(unrolled->todo, unrolled->n_todo, unrolled->todo_size))
		return -ENOMEM;
	memmove(place->times + at + 1, place->times + at, (place->n - at) * sizeof(*place->times));
	place->times[at] = time;
	place->n++;
	unrolled->todo[unrolled->n_todo++] = (struct moment){number, time};
	return 0;
}

/*
 * Every link can be taken when it begins, and whenever something is at its source
 * while it goes on; its target then has that moment too.
 */
static int find_moments(struct unrolled *unrolled)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < unrolled->n_links; i++) {
		const struct link *link = &unrolled->links[i];

		r = add_moment(unrolled, link->from, link->first);
		if (r == 0)
			r = add_moment(unrolled, link->to, arrival(link, link->first));
	}
	while (r == 0 && unrolled->n_todo > 0) {
		struct moment moment = unrolled->todo[--unrolled->n_todo];

		for (size_t i = unrolled->places[moment.place].first_link;
		     r == 0 && i < unrolled->n_links && unrolled->links[i].from == moment.place; i++) {
			const struct link *link = &unrolled->links[i];

			if (link->first < moment.time && moment.time <= link->last)
				r = add_moment(unrolled, link->to, arrival(link, moment.time));
		}
	}
	return r;
}

static int add_arc(struct unrolled *unrolled, size_t from, size_t to, uint32_t edge)
{
	int r = FP_ARRAY_ROOM(unrolled->edge_of_arc, unrolled->n_arcs, unrolled->arcs_size) ? 0 : -ENOMEM;

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

static int add_arcs_of_link(struct unrolled *unrolled, const struct link *link)
{
	const struct place *from = &unrolled->places[link->from], *to = &unrolled->places[link->to];
	int r = 0;

	for (size_t i = position(from, link->first); r == 0 && i < from->n && from->times[i] <= link->last; i++)
		r = add_arc(unrolled, from->first_state + i,
			    to->first_state + position(to, arrival(link, from->times[i])), link->edge);
	return r;
}

static int add_waiting(struct unrolled *unrolled)
{
	size_t state = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < unrolled->n_places; i++) {
		struct place *place = &unrolled->places[i];

		place->first_state = state;
		state += place->n;
		for (size_t j = 1; r == 0 && j < place->n; j++)
			r = add_arc(unrolled, place->first_state + j - 1, place->first_state + j, NO_EDGE);
	}
	return r;
}

/* States are numbered place by place; then come one source before `from` and one sink behind `to`. */
static int add_arcs(struct unrolled *unrolled, const uint32_t *from, size_t n_from, const uint32_t *to, size_t n_to)
{
	size_t source = unrolled->n_states;
	int r = add_waiting(unrolled);

	for (size_t i = 0; r == 0 && i < unrolled->n_links; i++)
		r = add_arcs_of_link(unrolled, &unrolled->links[i]);
	for (size_t i = 0; r == 0 && i < n_from; i++)
		for (uint32_t j = unrolled->first_place[from[i]]; r == 0 && j < unrolled->first_place[from[i] + 1]; j++)
			if (unrolled->places[j].n > 0 && !unrolled->places[j].who && !unrolled->places[j].rows.len)
				r = add_arc(unrolled, source, unrolled->places[j].first_state, NO_EDGE);
	for (size_t i = 0; r == 0 && i < n_to; i++)
		for (uint32_t j = unrolled->first_place[to[i]]; r == 0 && j < unrolled->first_place[to[i] + 1]; j++)
			if (unrolled->places[j].n > 0)
				r = add_arc(unrolled, unrolled->places[j].first_state + unrolled->places[j].n - 1, source + 1,
					    NO_EDGE);
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

		r = find_places(unrolled);
		if (r == 0)
			r = find_links(unrolled);
		if (r == 0)
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
	/* Without this igraph ends the program when it meets an error. */
	errors = igraph_set_error_handler(igraph_error_handler_ignore);
	warnings = igraph_set_warning_handler(igraph_warning_handler_ignore);
	n = unroll(&unrolled, from, n_from, to, n_to, ret_edges);
	igraph_set_error_handler(errors);
	igraph_set_warning_handler(warnings);
	for (size_t i = 0; i < unrolled.n_places; i++)
		free(unrolled.places[i].times);
	for (size_t i = 0; unrolled.versions && i < fp_graph_nodes(graph); i++)
		fp_versions_done(&unrolled.versions[i]);
	free(unrolled.versions);
	free(unrolled.places);
	free(unrolled.first_place);
	free(unrolled.links);
	free(unrolled.todo);
	free(unrolled.edge_of_arc);
	return n;
}

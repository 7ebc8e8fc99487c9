#include "graph/tests/temporal.h"
#include "graph/rows.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

unsigned random_next(uint64_t *state, unsigned below)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)((*state >> 33) % below);
}

void add_node(struct fp_graph *graph, uint64_t id, enum fp_node_kind kind, const char *key)
{
	char made[32];
	struct fp_graph_node *node;
	struct fp_store_node row = {.id = id, .kind = kind, .key = key, .label = "x", .last = TIMES - 1};

	if (!key) {
		snprintf(made, sizeof(made), "%s:%u", fp_node_kind_name(kind), (unsigned)id);
		row.key = made;
	}
	assert_int_equal(fp_graph_add_node(graph, &row, &node), 0);
}

void add_edge(struct fp_graph *graph, uint64_t id, uint64_t from, uint64_t to, uint64_t first, uint64_t last)
{
	struct fp_graph_edge *edge;
	struct fp_store_edge row = {
		.id = id, .from = from, .to = to, .kind = FP_EDGE_WRITE, .first = first, .last = last, .count = 1};

	assert_int_equal(fp_graph_add_edge(graph, &row, &edge), 0);
}

/* The same text for the same set: rows borrow it. */
static const char *candidates_text(unsigned set)
{
	static const char *const texts[1 << CANDIDATES] = {NULL, "a", "b", "a,b", "c", "a,c", "b,c", "a,b,c"};

	return texts[set];
}

static unsigned candidates_of(const struct fp_store_edge *edge)
{
	unsigned set = 0;

	for (const char *at = edge->candidates; at && *at; at++)
		if (*at != ',')
			set |= 1u << (*at - 'a');
	return set;
}

static enum fp_node_kind random_kind(uint64_t *state, const struct random_options *options, unsigned i, char key[40])
{
	*key = '\0';
	if (options->terminals && random_next(state, 5) == 0)
		return random_next(state, 2) ? FP_NODE_CLIENT : FP_NODE_HOST;
	if (options->doubts && random_next(state, 2) == 0) {
		snprintf(key, 40, "process:h:b:1:%u:0:ambiguous", i);
		return FP_NODE_PROCESS;
	}
	if (options->contents && random_next(state, 3) == 0)
		return FP_NODE_OBJECT;
	return FP_NODE_FILE;
}

static void random_content(uint64_t *state, const struct fp_graph *graph, struct fp_store_edge *row)
{
	static const char *const rows[] = {NULL, "{\"method\":\"M\",\"rows\":\"a:n001\"}", "{\"rows\":\"a:n002\"}",
					   "{\"rows\":\"b:s002,a:n001\"}", "{\"rows\":\"*\"}", "{\"rows\":\"*\"}"};
	enum fp_node_kind from = fp_graph_find_node(graph, row->from)->row.kind;
	enum fp_node_kind to = fp_graph_find_node(graph, row->to)->row.kind;

	row->kind = from == FP_NODE_OBJECT || to == FP_NODE_OBJECT ? random_next(state, 3) ? FP_EDGE_GET : FP_EDGE_PUT :
		    to == FP_NODE_FILE			       ? random_next(state, 5) ? FP_EDGE_WRITE : FP_EDGE_CHMOD :
								 FP_EDGE_READ;
	if (row->kind == FP_EDGE_WRITE && row->first > 0 && random_next(state, 3) == 0)
		row->attributes = "{\"open\":\"truncated\"}";
	if (row->kind == FP_EDGE_PUT || row->kind == FP_EDGE_GET)
		row->attributes = rows[random_next(state, row->kind == FP_EDGE_PUT ? 4 : 6)];
	row->has_request = random_next(state, 4) > 0;
	row->request[0] = row->has_request ? (uint8_t)(1 + random_next(state, 3)) : 0;
}

struct fp_graph *random_graph(uint64_t *state, const struct random_options *options)
{
	struct fp_graph *graph;

	assert_int_equal(fp_graph_new(&graph), 0);
	for (unsigned i = 1; i <= options->n_nodes; i++) {
		char key[40];
		enum fp_node_kind kind = random_kind(state, options, i, key);

		add_node(graph, i, kind, *key ? key : NULL);
	}
	for (unsigned i = 1; i <= options->n_edges; i++) {
		unsigned first = random_next(state, TIMES), last = first + random_next(state, options->longest);
		struct fp_store_edge *row;

		add_edge(graph, i, 1 + random_next(state, options->n_nodes), 1 + random_next(state, options->n_nodes), first,
			 last < TIMES ? last : TIMES - 1);
		row = &fp_graph_find_edge(graph, i)->row;
		if (options->doubts)
			row->candidates = candidates_text(random_next(state, 1 << CANDIDATES));
		if (options->contents)
			random_content(state, graph, row);
	}
	return graph;
}

/* The content of the file at the time holds what the edge wrote, unless it was truncated in between. */
static bool still_there(struct fp_graph *graph, const struct fp_store_edge *in, uint64_t time)
{
	uint64_t last = 0, first = 0;

	if (in->kind != FP_EDGE_WRITE)
		return true;
	for (size_t i = 0; i < fp_graph_edges(graph); i++) {
		const struct fp_store_edge *row = &fp_graph_edge(graph, i)->row;

		/* The latest that was surely over; of those over at once, the one that began last. */
		if (row->to == in->to && row->kind == FP_EDGE_WRITE && row->attributes && row->last <= time &&
		    (row->last > last || (row->last == last && row->first > first))) {
			last = row->last;
			first = row->first;
		}
	}
	return last == 0 || in->last >= first;
}

bool truth_all_writers;

/* Of how many requests are writes like this one, until then?  Those alike have the same attributes in random graphs. */
static unsigned written_alike(struct fp_graph *graph, const struct fp_store_edge *put, uint64_t until)
{
	bool seen[4] = {false};

	for (size_t i = 0; i < fp_graph_edges(graph); i++) {
		const struct fp_store_edge *row = &fp_graph_edge(graph, i)->row;

		if (row->to == put->to && row->kind == FP_EDGE_PUT && row->first <= until && row->attributes == put->attributes)
			seen[row->has_request ? row->request[0] : 0] = true;
	}
	return seen[0] + seen[1] + seen[2] + seen[3];
}

/* What was put may be what is got. */
static bool in_rows(struct fp_graph *graph, const struct fp_store_edge *put, const struct fp_store_edge *get)
{
	const char *a = put->attributes ? strstr(put->attributes, "a:n00") : NULL;
	const char *b = get->attributes ? strstr(get->attributes, "a:n00") : NULL;

	if (a && b && a[5] != b[5])
		return false;
	return truth_all_writers || !get->attributes || !strchr(get->attributes, '*') ||
	       written_alike(graph, put, get->last) < FP_ROUTINE_REQUESTS;
}

/* What came in by the one edge may leave, at the time, by the other. */
static bool goes_together(struct fp_graph *graph, const struct fp_store_edge *in, const struct fp_store_edge *out,
			  uint64_t time)
{
	const struct fp_store_node *row = &fp_graph_find_node(graph, in->to)->row;

	if (fp_graph_ambiguous(row) && in->candidates && out->candidates)
		return candidates_of(in) & candidates_of(out);
	if (row->kind == FP_NODE_FILE)
		return still_there(graph, in, time);
	if (row->kind == FP_NODE_OBJECT && in->kind == FP_EDGE_PUT && out->kind == FP_EDGE_GET)
		return in_rows(graph, in, out);
	if (row->kind == FP_NODE_OBJECT && in->kind == FP_EDGE_GET && in->has_request)
		return out->kind == FP_EDGE_GET && out->has_request && out->request[0] == in->request[0];
	return true;
}

/* Walks that end with an edge, taken at a time. */
struct walks {
	bool taken[EDGES_MAX + 1][TIMES];
};

/* A walk that came to `here` by `before` (NULL: begins there) at the time goes on by all edges that it may. */
static bool go_on(struct fp_graph *graph, enum fp_slice_direction direction, uint64_t here,
		  const struct fp_store_edge *before, uint64_t time, struct walks *after)
{
	bool backward = direction == FP_SLICE_BACKWARD, news = false;

	for (size_t i = 0; i < fp_graph_edges(graph); i++) {
		const struct fp_store_edge *edge = &fp_graph_edge(graph, i)->row;

		if ((backward ? edge->to : edge->from) != here)
			continue;
		for (uint64_t at = edge->first; at <= edge->last; at++) {
			if (backward ? at > time : at < time)
				continue;
			if (before && !(backward ? goes_together(graph, edge, before, time) :
						   goes_together(graph, before, edge, at)))
				continue;
			news |= !after->taken[edge->id][at];
			after->taken[edge->id][at] = true;
		}
	}
	return news;
}

/* One step of all walks at once; true when it led to something new. */
static bool step(struct fp_graph *graph, enum fp_slice_direction direction, uint64_t start, const struct walks *before,
		 struct walks *after)
{
	bool news = false;

	for (size_t i = 0; i < fp_graph_edges(graph); i++) {
		const struct fp_store_edge *edge = &fp_graph_edge(graph, i)->row;
		uint64_t here = direction == FP_SLICE_BACKWARD ? edge->from : edge->to;

		if (here != start && fp_graph_terminal(fp_graph_find_node(graph, here)->row.kind))
			continue;
		for (uint64_t time = edge->first; time <= edge->last; time++)
			if (before->taken[edge->id][time])
				news |= go_on(graph, direction, here, edge, time, after);
	}
	return news;
}

void truth_find(struct fp_graph *graph, enum fp_slice_direction direction, uint64_t start, uint64_t time, unsigned depth,
		struct truth *ret_truth)
{
	struct walks before, after = {0};
	unsigned steps = 1;
	bool news = go_on(graph, direction, start, NULL, time, &after);

	while (news && steps++ != depth) {
		before = after;
		news = step(graph, direction, start, &before, &after);
	}
	*ret_truth = (struct truth){0};
	ret_truth->node[start] = true;
	for (uint64_t id = 1; id <= fp_graph_edges(graph); id++)
		for (time = 0; time < TIMES; time++)
			if (after.taken[id][time]) {
				const struct fp_store_edge *edge = &fp_graph_find_edge(graph, id)->row;

				ret_truth->edge[id] = true;
				ret_truth->node[edge->from] = ret_truth->node[edge->to] = true;
			}
}

int truth_distance(struct fp_graph *graph, uint64_t from, uint64_t to)
{
	struct truth truth;

	if (from == to)
		return 0;
	for (unsigned depth = 1; depth <= TIMES * EDGES_MAX; depth++) {
		struct truth longer;

		truth_find(graph, FP_SLICE_FORWARD, from, 0, depth, &truth);
		if (truth.node[to])
			return (int)depth;
		/* Nothing more comes with all the time in the world. */
		truth_find(graph, FP_SLICE_FORWARD, from, 0, 0, &longer);
		if (!longer.node[to])
			return -1;
	}
	return -1;
}

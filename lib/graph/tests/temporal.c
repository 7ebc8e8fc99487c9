#include "graph/tests/temporal.h"

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

struct fp_graph *random_graph(uint64_t *state, const struct random_options *options)
{
	struct fp_graph *graph;

	assert_int_equal(fp_graph_new(&graph), 0);
	for (unsigned i = 1; i <= options->n_nodes; i++) {
		enum fp_node_kind kind = FP_NODE_FILE;
		char key[40] = "";

		if (options->terminals && random_next(state, 5) == 0)
			kind = random_next(state, 2) ? FP_NODE_CLIENT : FP_NODE_HOST;
		else if (options->doubts && random_next(state, 2) == 0) {
			kind = FP_NODE_PROCESS;
			snprintf(key, sizeof(key), "process:h:b:1:%u:0:ambiguous", i);
		}
		add_node(graph, i, kind, *key ? key : NULL);
	}
	for (unsigned i = 1; i <= options->n_edges; i++) {
		unsigned first = random_next(state, TIMES), last = first + random_next(state, options->longest);

		add_edge(graph, i, 1 + random_next(state, options->n_nodes), 1 + random_next(state, options->n_nodes), first,
			 last < TIMES ? last : TIMES - 1);
		if (options->doubts)
			fp_graph_find_edge(graph, i)->row.candidates = candidates_text(random_next(state, 1 << CANDIDATES));
	}
	return graph;
}

/* A walk that is at one end of the edge as `candidate` may take it. */
static bool may_take(const struct fp_store_edge *edge, unsigned candidate)
{
	return candidate == 0 || !edge->candidates || candidates_of(edge) & 1u << (candidate - 1);
}

static bool arrive(struct fp_graph *graph, const struct fp_store_edge *edge, uint64_t there, uint64_t time,
		   struct truth *after)
{
	bool doubt = fp_graph_ambiguous(&fp_graph_find_node(graph, there)->row) && edge->candidates, news = false;

	for (unsigned candidate = 0; candidate <= CANDIDATES; candidate++) {
		if (doubt ? candidate == 0 || !may_take(edge, candidate) : candidate > 0)
			continue;
		news |= !after->at[there][candidate][time];
		after->at[there][candidate][time] = true;
	}
	return news;
}

/* One step of all walks at once; true when it led to something new. */
static bool step(struct fp_graph *graph, enum fp_slice_direction direction, uint64_t start, const struct truth *before,
		 struct truth *after)
{
	bool backward = direction == FP_SLICE_BACKWARD, news = false;

	for (size_t i = 0; i < fp_graph_edges(graph); i++) {
		const struct fp_store_edge *edge = &fp_graph_edge(graph, i)->row;
		uint64_t here = backward ? edge->to : edge->from, there = backward ? edge->from : edge->to;

		if (here != start && fp_graph_terminal(fp_graph_find_node(graph, here)->row.kind))
			continue;
		for (unsigned state = 0; state < (CANDIDATES + 1) * TIMES; state++) {
			unsigned candidate = state / TIMES;
			uint64_t time = state % TIMES, next = time;

			if (!before->at[here][candidate][time] || !may_take(edge, candidate) ||
			    (backward ? edge->first > time : edge->last < time))
				continue;
			if (backward ? edge->last < time : edge->first > time)
				next = backward ? edge->last : edge->first;
			after->edge[edge->id] = true;
			news |= arrive(graph, edge, there, next, after);
		}
	}
	return news;
}

bool truth_has(const struct truth *truth, uint64_t node)
{
	for (unsigned candidate = 0; candidate <= CANDIDATES; candidate++)
		for (uint64_t time = 0; time < TIMES; time++)
			if (truth->at[node][candidate][time])
				return true;
	return false;
}

void truth_find(struct fp_graph *graph, enum fp_slice_direction direction, uint64_t start, uint64_t time, unsigned depth,
		struct truth *ret_truth)
{
	struct truth before, after = {0};
	unsigned steps = 0;

	after.at[start][0][time] = true;
	do {
		before = after;
		steps++;
	} while (step(graph, direction, start, &before, &after) && steps != depth);
	*ret_truth = after;
}

int truth_distance(struct fp_graph *graph, uint64_t from, uint64_t to)
{
	struct truth before, after = {0};
	int distance = 0;

	after.at[from][0][0] = true;
	for (;;) {
		if (truth_has(&after, to))
			return distance;
		before = after;
		distance++;
		if (!step(graph, FP_SLICE_FORWARD, from, &before, &after))
			return -1;
	}
}

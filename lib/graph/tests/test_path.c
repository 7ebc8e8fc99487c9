/* The shortest causal path, by hand and against all walks of random graphs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <errno.h>

#include <cmocka.h>

#include "graph/path.h"
#include "graph/tests/temporal.h"

/* The way with two edges comes too late; the one with three is in time. */
static void fewest_edges_among_those_in_time(void **state)
{
	uint32_t from = 0, to = 3, *edges;
	struct fp_graph *graph;

	assert_int_equal(fp_graph_new(&graph), 0);
	for (uint64_t id = 1; id <= 4; id++)
		add_node(graph, id, FP_NODE_FILE, NULL);
	add_edge(graph, 1, 1, 3, 9, 9);
	add_edge(graph, 2, 1, 2, 2, 2);
	add_edge(graph, 3, 2, 3, 3, 4);
	add_edge(graph, 4, 3, 4, 5, 6);
	assert_int_equal(fp_path_shortest(graph, &from, 1, &to, 1, &edges), 3);
	assert_int_equal(edges[0], 1);
	assert_int_equal(edges[1], 2);
	assert_int_equal(edges[2], 3);
	free(edges);
	assert_int_equal(fp_path_shortest(graph, &to, 1, &from, 1, &edges), -ENOENT);
	assert_int_equal(fp_path_shortest(graph, &to, 1, &to, 1, &edges), 0);
	fp_graph_free(graph);
}

/* The path is connected, in time, and as long as it says. */
static void check_path(struct fp_graph *graph, uint32_t from, uint32_t to, const uint32_t *edges, ssize_t n)
{
	uint64_t time = 0;

	for (ssize_t i = 0; i < n; i++) {
		const struct fp_graph_edge *edge = fp_graph_edge(graph, edges[i]);

		assert_int_equal(edge->from, from);
		assert_true(edge->row.last >= time);
		if (edge->row.first > time)
			time = edge->row.first;
		from = edge->to;
	}
	assert_int_equal(from, to);
}

static void random_graphs_agree_with_all_walks(void **state)
{
	uint64_t seed = 3;
	unsigned found = 0;

	truth_all_writers = true;
	for (unsigned round = 0; round < 1500; round++) {
		unsigned n = 2 + random_next(&seed, NODES_MAX - 2);
		struct random_options options = {.n_nodes = n, .n_edges = 1 + random_next(&seed, 30),
						 .longest = 1 + random_next(&seed, 8), .doubts = round % 2, .contents = round % 3 == 0};
		struct fp_graph *graph = random_graph(&seed, &options);
		uint32_t from = random_next(&seed, n), to = random_next(&seed, n), *edges;
		int wanted = truth_distance(graph, from + 1, to + 1);
		ssize_t got = fp_path_shortest(graph, &from, 1, &to, 1, &edges);

		assert_int_equal(got, wanted < 0 ? -ENOENT : wanted);
		if (got > 0) {
			check_path(graph, from, to, edges, got);
			found++;
		}
		free(edges);
		fp_graph_free(graph);
	}
	assert_true(found > 300);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fewest_edges_among_those_in_time),
		cmocka_unit_test(random_graphs_agree_with_all_walks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

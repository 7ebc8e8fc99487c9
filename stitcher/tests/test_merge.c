/*
 * A slice over merged edges equals one over the single operations: shown on
 * small random graphs, for every node, time and direction.  Where operations
 * overlap in time a merged slice may hold more, never less.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stitcher/merge.h"

#define NODES 6
#define OPS 24
#define TIMES 40
#define ROUNDS 800

static uint32_t seed;

static uint32_t dice(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* bit i: node i is in the slice */
static unsigned slice(const struct fp_op *ops, size_t n, uint32_t start, uint64_t time, bool backward)
{
	int64_t at[NODES];
	bool changed = true;
	unsigned set = 0;

	for (int i = 0; i < NODES; i++)
		at[i] = INT64_MIN;
	at[start] = backward ? (int64_t)time : -(int64_t)time; /* larger is reached earlier in the search */
	while (changed) {
		changed = false;
		for (size_t i = 0; i < n; i++) {
			uint32_t here = backward ? ops[i].to : ops[i].from, there = backward ? ops[i].from : ops[i].to;
			int64_t first = backward ? (int64_t)ops[i].first : -(int64_t)ops[i].last;
			int64_t last = backward ? (int64_t)ops[i].last : -(int64_t)ops[i].first;
			int64_t next;

			if (at[here] == INT64_MIN || first > at[here])
				continue;
			next = at[here] < last ? at[here] : last;
			if (next > at[there]) {
				at[there] = next;
				changed = true;
			}
		}
	}
	for (int i = 0; i < NODES; i++)
		if (at[i] != INT64_MIN)
			set |= 1u << i;
	return set;
}

static void make_random(struct fp_graph *graph, struct fp_op *singles, bool intervals)
{
	uint32_t node;

	fp_graph_init(graph);
	for (uint32_t i = 0; i < NODES; i++)
		assert_int_equal(fp_graph_node(graph, FP_NODE_FILE, i, 0, 0, &node), 1);
	for (uint32_t i = 0; i < OPS; i++) {
		struct fp_op op = {.from = dice(NODES), .count = 1, .bytes = 10, .kind = 1 + dice(2)};

		op.to = (op.from + 1 + dice(NODES - 1)) % NODES;
		/* repetition is what merging is for */
		if (i && dice(2)) {
			op.from = singles[i - 1].from;
			op.to = singles[i - 1].to;
			op.kind = singles[i - 1].kind;
		}
		op.last = 2 + i;
		op.first = intervals ? op.last - dice((uint32_t)op.last) % 4 : op.last;
		singles[i] = op;
		assert_int_equal(fp_graph_add(graph, &op), 0);
	}
}

static void check_random(bool intervals)
{
	size_t merged = 0;

	for (int round = 0; round < ROUNDS; round++) {
		struct fp_op singles[OPS];
		struct fp_graph graph;
		uint64_t count = 0, bytes = 0;

		make_random(&graph, singles, intervals);
		assert_int_equal(fp_merge(&graph), 0);
		merged += OPS - graph.n_ops;
		for (size_t i = 0; i < graph.n_ops; i++) {
			count += graph.ops[i].count;
			bytes += graph.ops[i].bytes;
			assert_true(i == 0 || graph.ops[i - 1].first <= graph.ops[i].first);
		}
		assert_int_equal(count, OPS);
		assert_int_equal(bytes, 10 * OPS);
		for (uint32_t node = 0; node < NODES; node++)
			for (uint64_t time = 0; time < TIMES; time++)
				for (int backward = 0; backward < 2; backward++) {
					unsigned single = slice(singles, OPS, node, time, backward);
					unsigned whole = slice(graph.ops, graph.n_ops, node, time, backward);

					assert_int_equal(single & ~whole, 0);
					if (!intervals)
						assert_int_equal(single, whole);
				}
		fp_graph_done(&graph);
	}
	/* and it does merge */
	assert_true(merged > ROUNDS * 3);
}

static void test_slices_are_equal(void **state)
{
	seed = 1;
	check_random(false);
}

static void test_slices_lose_nothing_when_operations_overlap(void **state)
{
	seed = 2;
	check_random(true);
}

static void test_different_edges_stay_apart(void **state)
{
	struct fp_graph graph;
	struct fp_op op = {.from = 0, .to = 1, .count = 1, .kind = FP_EDGE_READ, .first = 1, .last = 1, .unit = 7};
	uint32_t node;

	fp_graph_init(&graph);
	for (uint32_t i = 0; i < 2; i++)
		fp_graph_node(&graph, FP_NODE_FILE, i, 0, 0, &node);
	for (int i = 0; i < 3; i++)
		fp_graph_add(&graph, &op);
	op.unit = 8;
	fp_graph_add(&graph, &op);
	op.attribution = FP_ATTRIBUTION_AMBIGUOUS;
	fp_graph_add(&graph, &op);
	op.attributes = 3;
	fp_graph_add(&graph, &op);
	op.kind = FP_EDGE_WRITE;
	fp_graph_add(&graph, &op);
	assert_int_equal(fp_merge(&graph), 0);
	assert_int_equal(graph.n_ops, 5);
	assert_int_equal(graph.ops[0].count, 3);
	fp_graph_done(&graph);
}

static void test_nothing_to_merge(void **state)
{
	struct fp_graph graph;

	fp_graph_init(&graph);
	assert_int_equal(fp_merge(&graph), 0);
	assert_int_equal(graph.n_ops, 0);
	fp_graph_done(&graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slices_are_equal),
		cmocka_unit_test(test_slices_lose_nothing_when_operations_overlap),
		cmocka_unit_test(test_different_edges_stay_apart),
		cmocka_unit_test(test_nothing_to_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a slice means, on hand-made graphs, and against all walks of random ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>
#include <errno.h>

#include <cmocka.h>

#include "graph/possible.h"
#include "graph/slice.h"
#include "graph/tests/temporal.h"

static struct fp_graph *slice_with(struct fp_graph *graph, enum fp_slice_direction direction, uint64_t node,
				   uint64_t time, const struct fp_slice_options *options)
{
	struct fp_source source = fp_source_of_graph(graph);
	struct fp_slice_start start = {.node = node, .time = time};
	struct fp_graph *slice;

	assert_int_equal(fp_graph_new(&slice), 0);
	assert_int_equal(fp_slice(&source, direction, &start, 1, options, slice), 0);
	return slice;
}

static struct fp_graph *slice_of(struct fp_graph *graph, enum fp_slice_direction direction, uint64_t node, uint64_t time)
{
	return slice_with(graph, direction, node, time, &(struct fp_slice_options){0});
}

static bool has_node(const struct fp_graph *slice, uint64_t id)
{
	return fp_graph_find_node(slice, id) != NULL;
}

/* A file written at 5 and read at 3 and 9: only the later reader depends on the writer. */
static void backward_never_runs_against_time(void **state)
{
	struct fp_graph *graph, *slice;

	assert_int_equal(fp_graph_new(&graph), 0);
	for (uint64_t id = 1; id <= 4; id++)
		add_node(graph, id, id == 2 ? FP_NODE_FILE : FP_NODE_PROCESS, NULL);
	add_edge(graph, 1, 1, 2, 5, 5);
	add_edge(graph, 2, 2, 3, 3, 3);
	add_edge(graph, 3, 2, 4, 9, 9);
	slice = slice_of(graph, FP_SLICE_BACKWARD, 3, TIMES - 1);
	assert_false(has_node(slice, 1));
	fp_graph_free(slice);
	slice = slice_of(graph, FP_SLICE_BACKWARD, 4, TIMES - 1);
	assert_true(has_node(slice, 1));
	assert_false(has_node(slice, 3));
	fp_graph_free(slice);
	slice = slice_of(graph, FP_SLICE_FORWARD, 1, 0);
	assert_true(has_node(slice, 4));
	assert_false(has_node(slice, 3));
	fp_graph_free(slice);
	fp_graph_free(graph);
}

/* Two requests of one client: neither is in the other's slice. */
static void client_is_shown_and_not_passed(void **state)
{
	struct fp_graph *graph, *slice;

	assert_int_equal(fp_graph_new(&graph), 0);
	add_node(graph, 1, FP_NODE_CLIENT, NULL);
	add_node(graph, 2, FP_NODE_REQUEST, NULL);
	add_node(graph, 3, FP_NODE_REQUEST, NULL);
	add_edge(graph, 1, 1, 2, 1, 1);
	add_edge(graph, 2, 2, 1, 2, 2);
	add_edge(graph, 3, 1, 3, 3, 3);
	slice = slice_of(graph, FP_SLICE_BACKWARD, 3, TIMES - 1);
	assert_true(has_node(slice, 1));
	assert_false(has_node(slice, 2));
	fp_graph_free(slice);
	/* Asked for by name, it is passed. */
	slice = slice_of(graph, FP_SLICE_BACKWARD, 1, TIMES - 1);
	assert_true(has_node(slice, 2));
	fp_graph_free(slice);
	fp_graph_free(graph);
}

static void compare_with_truth(struct fp_graph *graph, enum fp_slice_direction direction, uint64_t start, uint64_t time,
			       unsigned depth)
{
	struct fp_slice_options options = {.depth = depth, .all_writers = truth_all_writers};
	struct fp_graph *slice = slice_with(graph, direction, start, time, &options);
	struct truth truth;

	truth_find(graph, direction, start, time, depth, &truth);
	for (uint64_t id = 1; id <= fp_graph_nodes(graph); id++) {
		bool reached = truth.node[id];

		if (reached != has_node(slice, id))
			fail_msg("node %u: all walks say %d", (unsigned)id, reached);
	}
	for (uint64_t id = 1; id <= fp_graph_edges(graph); id++)
		if (truth.edge[id] != (fp_graph_find_edge(slice, id) != NULL))
			fail_msg("edge %u: all walks say %d", (unsigned)id, truth.edge[id]);
	fp_graph_free(slice);
}

static void random_graphs_agree_with_all_walks(void **state)
{
	uint64_t seed = 1;

	for (unsigned round = 0; round < 3000; round++) {
		unsigned n = 2 + random_next(&seed, NODES_MAX - 2);
		struct random_options options = {.n_nodes = n, .n_edges = 1 + random_next(&seed, 40),
						 .longest = 1 + random_next(&seed, 8), .terminals = round % 2,
						 .doubts = round % 3 == 0, .contents = round % 5 < 2};
		struct fp_graph *graph = random_graph(&seed, &options);
		enum fp_slice_direction direction = round % 4 < 2 ? FP_SLICE_BACKWARD : FP_SLICE_FORWARD;

		truth_all_writers = round % 7 == 0;
		compare_with_truth(graph, direction, 1 + random_next(&seed, n), random_next(&seed, TIMES), 0);
		compare_with_truth(graph, direction, 1 + random_next(&seed, n), random_next(&seed, TIMES),
				   1 + random_next(&seed, 5));
		fp_graph_free(graph);
	}
}

/* --- merging -------------------------------------------------------------- */

struct single {
	uint64_t from, to, first, last;
	uint64_t row; /* the merged row it is in */
};

/* Something flows into `from` or out of `to` while [first, last] goes on, besides edges from one to the other. */
static bool disturbed(const struct single *all, unsigned n, uint64_t from, uint64_t to, uint64_t first, uint64_t last)
{
	for (unsigned i = 0; i < n; i++)
		if ((all[i].to == from || all[i].from == to) && all[i].first <= last && all[i].last >= first)
			return true;
	return false;
}

/* Merges as docs/graph.md says; returns the merged graph. */
static struct fp_graph *merge(struct single *singles, unsigned n, unsigned n_nodes)
{
	struct single rows[256];
	struct fp_graph *graph;
	unsigned n_rows = 0;

	assert_int_equal(fp_graph_new(&graph), 0);
	for (unsigned i = 1; i <= n_nodes; i++)
		add_node(graph, i, FP_NODE_FILE, NULL);
	for (unsigned i = 0; i < n; i++) {
		struct single *single = &singles[i];
		unsigned row;

		for (row = 0; row < n_rows; row++) {
			uint64_t first = single->first < rows[row].first ? single->first : rows[row].first;
			uint64_t last = single->last > rows[row].last ? single->last : rows[row].last;

			if (rows[row].from != single->from || rows[row].to != single->to ||
			    disturbed(singles, n, single->from, single->to, first, last))
				continue;
			rows[row].first = first;
			rows[row].last = last;
			break;
		}
		if (row == n_rows)
			rows[n_rows++] = *single;
		single->row = row + 1;
	}
	for (unsigned i = 0; i < n_rows; i++)
		add_edge(graph, i + 1, rows[i].from, rows[i].to, rows[i].first, rows[i].last);
	return graph;
}

static void slices_over_merged_rows_are_those_over_single_ones(void **state)
{
	uint64_t seed = 7;
	unsigned merged_rows = 0;

	for (unsigned round = 0; round < 2000; round++) {
		unsigned n_nodes = 3 + random_next(&seed, 6), n = 5 + random_next(&seed, 60);
		struct fp_graph *graph, *merged;
		struct single singles[65];

		assert_int_equal(fp_graph_new(&graph), 0);
		for (unsigned i = 1; i <= n_nodes; i++)
			add_node(graph, i, FP_NODE_FILE, NULL);
		for (unsigned i = 0; i < n; i++) {
			struct single *single = &singles[i];

			single->from = 1 + random_next(&seed, n_nodes);
			single->to = 1 + single->from % n_nodes; /* few pairs, so that rows meet */
			single->first = random_next(&seed, TIMES);
			single->last = single->first + (single->first + 1 < TIMES ? random_next(&seed, 2) : 0);
			add_edge(graph, i + 1, single->from, single->to, single->first, single->last);
		}
		merged = merge(singles, n, n_nodes);
		merged_rows += n - (unsigned)fp_graph_edges(merged);
		for (uint64_t start = 1; start <= n_nodes; start++)
			for (uint64_t time = 0; time < TIMES; time += 5) {
				enum fp_slice_direction direction = time % 2 ? FP_SLICE_BACKWARD : FP_SLICE_FORWARD;
				struct fp_graph *one = slice_of(graph, direction, start, time);
				struct fp_graph *other = slice_of(merged, direction, start, time);

				for (uint64_t id = 1; id <= n_nodes; id++)
					assert_int_equal(has_node(one, id), has_node(other, id));
				for (unsigned i = 0; i < n; i++)
					if (fp_graph_find_edge(one, i + 1))
						assert_non_null(fp_graph_find_edge(other, singles[i].row));
				fp_graph_free(one);
				fp_graph_free(other);
			}
		fp_graph_free(merged);
		fp_graph_free(graph);
	}
	assert_true(merged_rows > 1000); /* the test would mean nothing if nothing was merged */
}

/* --- options -------------------------------------------------------------- */

static void window_leaves_out_what_does_not_touch_it(void **state)
{
	struct fp_slice_options options = {.since = 8, .until = 12};
	struct fp_graph *graph, *slice;

	assert_int_equal(fp_graph_new(&graph), 0);
	for (uint64_t id = 1; id <= 4; id++)
		add_node(graph, id, FP_NODE_FILE, NULL);
	add_edge(graph, 1, 1, 3, 2, 7);
	add_edge(graph, 2, 2, 3, 2, 9);
	add_edge(graph, 3, 4, 3, 13, 14);
	slice = slice_with(graph, FP_SLICE_BACKWARD, 3, TIMES - 1, &options);
	assert_false(has_node(slice, 1));
	assert_true(has_node(slice, 2));
	assert_false(has_node(slice, 4));
	fp_graph_free(slice);
	fp_graph_free(graph);
}

static void too_large_a_slice_is_an_error(void **state)
{
	struct fp_slice_options options = {.edges_max = 9};
	struct fp_slice_start start = {.node = 2, .time = TIMES - 1};
	struct fp_graph *graph, *slice;
	struct fp_source source;

	assert_int_equal(fp_graph_new(&graph), 0);
	assert_int_equal(fp_graph_new(&slice), 0);
	add_node(graph, 1, FP_NODE_FILE, NULL);
	add_node(graph, 2, FP_NODE_FILE, NULL);
	for (unsigned i = 1; i <= 10; i++)
		add_edge(graph, i, 1, 2, i, i);
	source = fp_source_of_graph(graph);
	assert_int_equal(fp_slice(&source, FP_SLICE_BACKWARD, &start, 1, &options, slice), -E2BIG);
	slice = fp_graph_free(slice);
	assert_int_equal(fp_graph_new(&slice), 0);
	options.edges_max = 10;
	assert_int_equal(fp_slice(&source, FP_SLICE_BACKWARD, &start, 1, &options, slice), 0);
	start.node = 99;
	assert_int_equal(fp_slice(&source, FP_SLICE_BACKWARD, &start, 1, &options, slice), -ENOENT);
	fp_graph_free(slice);
	fp_graph_free(graph);
}

/* --- possible edges ------------------------------------------------------- */

static struct fp_graph *two_units(void)
{
	struct fp_graph_node *node;
	struct fp_graph *graph;

	assert_int_equal(fp_graph_new(&graph), 0);
	add_node(graph, 1, FP_NODE_PROCESS, "process:h:b:1:77:0:aaaa");
	add_node(graph, 2, FP_NODE_PROCESS, "process:h:b:1:77:0:bbbb");
	add_node(graph, 3, FP_NODE_PROCESS, "process:h:b:1:78:0:cccc");
	node = fp_graph_find_node(graph, 1);
	node->row.first = 2, node->row.last = 5;
	node = fp_graph_find_node(graph, 2);
	node->row.first = 8, node->row.last = 11;
	return graph;
}

static void units_are_joined_only_by_the_conservative_mode(void **state)
{
	struct fp_graph *graph = two_units(), *slice;
	struct fp_source base = fp_source_of_graph(graph), source;
	struct fp_slice_start later = {.node = 2, .time = 20}, earlier = {.node = 1, .time = 20}, alone = {.node = 3};
	struct fp_slice_options options = {0};
	struct fp_possible *possible;

	slice = slice_of(graph, FP_SLICE_BACKWARD, 2, 20);
	assert_int_equal(fp_graph_nodes(slice), 1);
	fp_graph_free(slice);
	assert_int_equal(fp_possible_new(&base, &possible), 0);
	source = fp_possible_source(possible);
	assert_int_equal(fp_graph_new(&slice), 0);
	assert_int_equal(fp_slice(&source, FP_SLICE_BACKWARD, &later, 1, &options, slice), 0);
	assert_true(has_node(slice, 1));
	assert_false(has_node(slice, 3));
	for (size_t i = 0; i < fp_graph_edges(slice); i++)
		assert_true(fp_graph_possible(fp_graph_edge(slice, i)->row.id));
	fp_graph_free(slice);
	/* The earlier unit cannot depend on the later one. */
	assert_int_equal(fp_graph_new(&slice), 0);
	earlier.time = 5;
	assert_int_equal(fp_slice(&source, FP_SLICE_BACKWARD, &earlier, 1, &options, slice), 0);
	assert_false(has_node(slice, 2));
	fp_graph_free(slice);
	/* A process with one unit has nobody to pass anything to. */
	assert_int_equal(fp_graph_new(&slice), 0);
	assert_int_equal(fp_slice(&source, FP_SLICE_FORWARD, &alone, 1, &options, slice), 0);
	assert_int_equal(fp_graph_nodes(slice), 1);
	fp_graph_free(slice);
	fp_possible_free(possible);
	fp_graph_free(graph);
}

/* One process works for two requests at once; what it read for one did not go into what it wrote for the other. */
static void doubt_is_not_passed_on(void **state)
{
	static const char *const in[] = {"aaaa,bbbb", "cccc"}, *const out[] = {"bbbb", "cccc,dddd"};
	struct fp_graph *graph, *slice;

	assert_int_equal(fp_graph_new(&graph), 0);
	add_node(graph, 5, FP_NODE_PROCESS, "process:h:b:1:77:0:ambiguous");
	for (uint64_t id = 1; id <= 4; id++)
		add_node(graph, id, FP_NODE_FILE, NULL);
	for (uint64_t i = 0; i < 2; i++) {
		add_edge(graph, 1 + i, 1 + i, 5, 2, 2);
		fp_graph_find_edge(graph, 1 + i)->row.candidates = in[i];
		add_edge(graph, 3 + i, 5, 3 + i, 8, 8);
		fp_graph_find_edge(graph, 3 + i)->row.candidates = out[i];
	}
	for (uint64_t i = 0; i < 2; i++) {
		slice = slice_of(graph, FP_SLICE_BACKWARD, 3 + i, TIMES - 1);
		assert_true(has_node(slice, 1 + i));
		assert_false(has_node(slice, 2 - i));
		fp_graph_free(slice);
		slice = slice_of(graph, FP_SLICE_FORWARD, 1 + i, 0);
		assert_true(has_node(slice, 3 + i));
		assert_false(has_node(slice, 4 - i));
		fp_graph_free(slice);
	}
	fp_graph_free(graph);
}

/* Written, truncated, written again: a reader depends on what was there when it read; the mode stays. */
static void truncation_ends_what_was_written(void **state)
{
	struct fp_graph *graph, *slice;

	assert_int_equal(fp_graph_new(&graph), 0);
	for (uint64_t id = 1; id <= 7; id++)
		add_node(graph, id, id == 4 ? FP_NODE_FILE : FP_NODE_PROCESS, NULL);
	add_edge(graph, 1, 1, 4, 2, 2); /* written */
	add_edge(graph, 2, 7, 4, 3, 3); /* made executable */
	fp_graph_find_edge(graph, 2)->row.kind = FP_EDGE_CHMOD;
	add_edge(graph, 3, 4, 5, 5, 5); /* read */
	add_edge(graph, 4, 2, 4, 8, 9); /* truncated */
	fp_graph_find_edge(graph, 4)->row.attributes = "{\"open\":\"truncated\"}";
	add_edge(graph, 5, 3, 4, 11, 11); /* written anew, under a name that means to look like a truncation */
	fp_graph_find_edge(graph, 5)->row.attributes = "{\"path\":\"\\\"open\\\":\\\"truncated\\\"\"}";
	add_edge(graph, 6, 4, 6, 14, 14); /* read */
	add_edge(graph, 7, 3, 4, 12, 12);
	slice = slice_of(graph, FP_SLICE_BACKWARD, 6, TIMES - 1);
	assert_false(has_node(slice, 1));
	assert_true(has_node(slice, 2));
	assert_true(has_node(slice, 3));
	assert_true(has_node(slice, 7));
	fp_graph_free(slice);
	slice = slice_of(graph, FP_SLICE_BACKWARD, 5, TIMES - 1);
	assert_true(has_node(slice, 1));
	assert_false(has_node(slice, 2));
	fp_graph_free(slice);
	slice = slice_of(graph, FP_SLICE_FORWARD, 1, 0);
	assert_true(has_node(slice, 5));
	assert_false(has_node(slice, 6));
	fp_graph_free(slice);
	/* The file itself, asked about, has a whole history. */
	slice = slice_of(graph, FP_SLICE_BACKWARD, 4, TIMES - 1);
	assert_true(has_node(slice, 1));
	assert_true(has_node(slice, 3));
	fp_graph_free(slice);
	fp_graph_free(graph);
}

/* Two requests fetch the same URL: each got it by its own fetch; who stored something there changes it for both. */
static void what_a_host_gave_to_one_is_not_of_another(void **state)
{
	struct fp_graph *graph, *slice;

	assert_int_equal(fp_graph_new(&graph), 0);
	add_node(graph, 1, FP_NODE_HOST, NULL);
	add_node(graph, 2, FP_NODE_OBJECT, NULL);
	for (uint64_t id = 3; id <= 5; id++)
		add_node(graph, id, FP_NODE_PROCESS, NULL);
	for (uint64_t i = 0; i < 2; i++) {
		add_edge(graph, 1 + 2 * i, 1, 2, 4 + i, 4 + i);
		add_edge(graph, 2 + 2 * i, 2, 3 + i, 4 + i, 6 + i);
		for (uint64_t j = 1; j <= 2; j++) {
			struct fp_store_edge *row = &fp_graph_find_edge(graph, j + 2 * i)->row;

			row->kind = FP_EDGE_GET;
			row->has_request = true;
			row->request[0] = (uint8_t)i;
		}
	}
	add_edge(graph, 5, 5, 2, 1, 1);
	fp_graph_find_edge(graph, 5)->row.kind = FP_EDGE_PUT;
	slice = slice_of(graph, FP_SLICE_BACKWARD, 4, TIMES - 1);
	assert_non_null(fp_graph_find_edge(slice, 3));
	assert_null(fp_graph_find_edge(slice, 1));
	assert_true(has_node(slice, 5));
	fp_graph_free(slice);
	slice = slice_of(graph, FP_SLICE_FORWARD, 5, 0);
	assert_true(has_node(slice, 3));
	assert_true(has_node(slice, 4));
	fp_graph_free(slice);
	slice = slice_of(graph, FP_SLICE_BACKWARD, 2, TIMES - 1);
	assert_non_null(fp_graph_find_edge(slice, 1));
	assert_non_null(fp_graph_find_edge(slice, 3));
	fp_graph_free(slice);
	fp_graph_free(graph);
}

/* An operation of two candidates is in the slices of both, one of a third request is not. */
static void candidates_start_only_their_own_edges(void **state)
{
	struct fp_slice_start start = {.node = 1, .time = 0, .candidate = "aaaa"};
	struct fp_slice_options options = {0};
	struct fp_graph *graph, *slice;
	struct fp_source source;

	assert_int_equal(fp_graph_new(&graph), 0);
	add_node(graph, 1, FP_NODE_PROCESS, "process:h:b:1:77:0:ambiguous");
	for (uint64_t id = 2; id <= 4; id++)
		add_node(graph, id, FP_NODE_FILE, NULL);
	add_edge(graph, 1, 1, 2, 3, 3);
	add_edge(graph, 2, 1, 3, 4, 4);
	add_edge(graph, 3, 2, 4, 5, 5);
	fp_graph_edge(graph, 0)->row.candidates = "aaaa,bbbb";
	fp_graph_edge(graph, 1)->row.candidates = "bbbb,cccc";
	source = fp_source_of_graph(graph);
	for (options.depth = 0; options.depth < 3; options.depth++) {
		assert_int_equal(fp_graph_new(&slice), 0);
		assert_int_equal(fp_slice(&source, FP_SLICE_FORWARD, &start, 1, &options, slice), 0);
		assert_true(has_node(slice, 2));
		assert_false(has_node(slice, 3));
		assert_int_equal(has_node(slice, 4), options.depth != 1);
		fp_graph_free(slice);
	}
	/* where nothing can have been the request's there is nothing to show */
	start.candidate = "dddd";
	assert_int_equal(fp_graph_new(&slice), 0);
	assert_int_equal(fp_slice(&source, FP_SLICE_FORWARD, &start, 1, &options, slice), 0);
	assert_int_equal(fp_graph_nodes(slice), 0);
	fp_graph_free(slice);
	fp_graph_free(graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backward_never_runs_against_time),
		cmocka_unit_test(client_is_shown_and_not_passed),
		cmocka_unit_test(random_graphs_agree_with_all_walks),
		cmocka_unit_test(slices_over_merged_rows_are_those_over_single_ones),
		cmocka_unit_test(window_leaves_out_what_does_not_touch_it),
		cmocka_unit_test(too_large_a_slice_is_an_error),
		cmocka_unit_test(units_are_joined_only_by_the_conservative_mode),
		cmocka_unit_test(doubt_is_not_passed_on),
		cmocka_unit_test(truncation_ends_what_was_written),
		cmocka_unit_test(what_a_host_gave_to_one_is_not_of_another),
		cmocka_unit_test(candidates_start_only_their_own_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What answers mean: on the attack, and on evidence with holes and doubts. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "query/tests/ask.h"
#include "query/tests/attack.h"

#define SCRIPT "/home/app/sqldump.sh"

static char store[160];

static struct fp_answer *trace(struct fp_question *question, const char *name, const char *option)
{
	ask_question(question, store, "trace", name, option, NULL);
	return ask(question, 0);
}

/* Every request of the answer belongs to one of the two calls of the attack. */
static void assert_no_benign(const struct fp_answer *answer)
{
	for (size_t i = 0; i < answer->requests.n; i++) {
		const char *call_id = answer->requests.rows[fp_requests_root(&answer->requests, i)].call_id;

		if (strcmp(call_id, ATTACK_PLANT) != 0 && strcmp(call_id, ATTACK_EXECUTE) != 0)
			fail_msg("benign request %s in the answer", call_id);
	}
}

static void the_attack_and_nothing_else(void **state)
{
	struct fp_question question;
	struct fp_answer *answer = trace(&question, ATTACK_EXECUTE, "--both");

	assert_no_benign(answer);
	assert_true(has_edge(answer, FP_EDGE_GET, "http://198.18.9.9/sqldump.sh", "curl"));
	assert_true(has_edge(answer, FP_EDGE_WRITE, "curl", SCRIPT));
	assert_true(has_edge(answer, FP_EDGE_CHMOD, "chmod", SCRIPT));
	assert_true(has_edge(answer, FP_EDGE_LOAD, SCRIPT, "sqldump.sh"));
	assert_true(has_edge(answer, FP_EDGE_GET, "sql:creditCards", "mysqldump"));
	assert_true(has_edge(answer, FP_EDGE_WRITE, "mysqldump", "pipe"));
	assert_true(has_edge(answer, FP_EDGE_READ, "pipe", "node"));
	assert_true(has_edge(answer, FP_EDGE_RETURNS, "product-purchase POST /", "client 198.18.0.66"));
	assert_int_equal(count_nodes(answer, FP_NODE_CLIENT, NULL), 2);
	assert_true(fp_answer_complete(answer));
	for (size_t i = 0; i < fp_graph_nodes(answer->graph); i++)
		assert_int_equal(answer->link[i],
				 strcmp(fp_graph_node(answer->graph, i)->row.label, SCRIPT) == 0);
	fp_answer_free(answer);
}

static void each_direction_is_its_half(void **state)
{
	struct fp_question question;
	struct fp_answer *answer = trace(&question, ATTACK_PLANT, "--backward");

	/* What it called and got an answer from is a cause; what came later, or gave nothing back, is not. */
	assert_true(has_edge(answer, FP_EDGE_RETURNS, "product-purchase-authorize-cc POST /", "node"));
	assert_int_equal(count_nodes(answer, FP_NODE_PROCESS, "mysqldump"), 0);
	assert_int_equal(count_nodes(answer, FP_NODE_PROCESS, "curl"), 0);
	fp_answer_free(answer);
	answer = trace(&question, ATTACK_PLANT, "--forward");
	assert_int_equal(count_nodes(answer, FP_NODE_PROCESS, "curl"), 1);
	assert_int_equal(count_nodes(answer, FP_NODE_PROCESS, "mysqldump"), 1);
	assert_int_equal(count_nodes(answer, FP_NODE_OBJECT, "sql:creditCards"), 0);
	assert_no_benign(answer);
	fp_answer_free(answer);
	answer = trace(&question, ATTACK_EXECUTE, "--forward");
	assert_int_equal(count_nodes(answer, FP_NODE_PROCESS, "curl"), 0);
	fp_answer_free(answer);
}

/* Nobody can see what stays in a process's memory; the conservative answer has all that could. */
static void conservative_answer_has_what_is_possible(void **state)
{
	struct fp_question question;
	struct fp_answer *answer = trace(&question, ATTACK_EXECUTE, "--conservative");
	size_t memories = 0, earlier = 0;

	for (size_t i = 0; i < fp_graph_nodes(answer->graph); i++)
		memories += fp_graph_possible(fp_graph_node(answer->graph, i)->row.id);
	for (size_t i = 0; i < answer->requests.n; i++)
		earlier += !answer->requests.rows[i].has_parent;
	assert_true(memories >= 3);
	assert_true(earlier > ATTACK_BENIGN / 2);
	fp_answer_free(answer);
}

static void slices_start_at_any_node(void **state)
{
	struct fp_question question;
	struct fp_answer *answer;

	ask_question(&question, store, "slice", "file:" SCRIPT, "--backward", NULL);
	answer = ask(&question, 0);
	assert_true(has_edge(answer, FP_EDGE_WRITE, "curl", SCRIPT));
	assert_int_equal(count_nodes(answer, FP_NODE_PROCESS, "sqldump.sh"), 0);
	fp_answer_free(answer);
	ask_question(&question, store, "slice", "object:sql:creditCards", "--forward", NULL);
	answer = ask(&question, 0);
	assert_int_equal(count_nodes(answer, FP_NODE_PROCESS, "mysqldump"), 1);
	assert_int_equal(count_nodes(answer, FP_NODE_CLIENT, NULL), ATTACK_BENIGN + 1);
	fp_answer_free(answer);
}

static void until_and_since_bound_the_answer(void **state)
{
	struct fp_question question;
	struct fp_answer *answer;

	/* After A, before B. */
	ask_question(&question, store, "trace", ATTACK_EXECUTE, "--since", "2026-11-21T01:05:09Z", NULL);
	answer = ask(&question, 0);
	assert_int_equal(count_nodes(answer, FP_NODE_PROCESS, "curl"), 0);
	assert_int_equal(count_nodes(answer, FP_NODE_PROCESS, "mysqldump"), 1);
	fp_answer_free(answer);
	ask_question(&question, store, "trace", ATTACK_EXECUTE, "--depth", "1", NULL);
	answer = ask(&question, 0);
	assert_int_equal(count_nodes(answer, FP_NODE_PROCESS, "curl"), 0);
	fp_answer_free(answer);
}

/* --- holes and doubts ----------------------------------------------------- */

static const struct place here = {"shop", "shop-1", "node-1"}, there = {"other", "other-1", "node-2"};

static void what_is_missing_is_said(void **state)
{
	const struct fp_store_loss losses[] = {
		{"node-1", "shop-1", FP_LOSS_RING_FULL, T0 + 10 * MS, T0 + 20 * MS, 12},
		{"node-1", "shop-1", FP_LOSS_RING_FULL, T0 + 30 * MS, T0 + 31 * MS, 3},
		{"node-1", "shop-1", FP_LOSS_RING_FULL, T0 + 900 * MS, T0 + 901 * MS, 100}, /* later */
		{"node-1", "shop-2", FP_LOSS_RING_FULL, T0 + 10 * MS, T0 + 20 * MS, 100}, /* elsewhere */
		{"node-2", NULL, FP_LOSS_SPOOL_FULL, T0 + 10 * MS, T0 + 20 * MS, 100}, /* elsewhere */
	};
	struct request request, unfinished, quiet;
	struct fp_question question;
	struct fp_answer *answer;
	struct world world;
	const char *path = test_path("losses.db");

	world_begin(&world, path);
	world_request(&world, &request, 1, &here, "lossy", NULL, 0, T0, T0 + 100 * MS);
	world_request(&world, &unfinished, 2, &there, "unfinished", NULL, 0, T0 + 500 * MS, 0);
	world_request(&world, &quiet, 3, &here, "quiet", NULL, 0, T0 + 200 * MS, T0 + 300 * MS);
	for (size_t i = 0; i < sizeof(losses) / sizeof(*losses); i++)
		assert_int_equal(fp_store_graph_put_loss(world.store, &losses[i]), 0);
	world_end(&world);

	ask_question(&question, path, "trace", "lossy", NULL);
	answer = ask(&question, 0);
	assert_false(fp_answer_complete(answer));
	assert_int_equal(answer->lost, 15);
	assert_int_equal(answer->n_missing, 1); /* one place and cause */
	assert_string_equal(answer->missing[0].cause, "ring-full");
	assert_int_equal(answer->missing[0].lost, 15);
	assert_non_null(strstr(answer->missing[0].text, "15 records lost (ring-full) in shop-1 on node-1"));
	fp_answer_free(answer);

	ask_question(&question, path, "trace", "quiet", NULL);
	answer = ask(&question, 0);
	assert_true(fp_answer_complete(answer));
	fp_answer_free(answer);
	answer = ask(&question, 3);
	assert_false(fp_answer_complete(answer));
	assert_string_equal(answer->missing[0].cause, "not-stitched");
	fp_answer_free(answer);

	ask_question(&question, path, "trace", "unfinished", NULL);
	answer = ask(&question, 0);
	assert_false(fp_answer_complete(answer));
	assert_string_equal(answer->missing[0].cause, "unfinished");
	assert_int_equal(answer->lost, 0);
	fp_answer_free(answer);
}

/* What several requests could have done is in the answer of each of them, with the others named. */
static void doubtful_operations_name_their_candidates(void **state)
{
	struct request first, second, third;
	struct fp_question question;
	struct fp_answer *answer;
	struct world world;
	const char *path = test_path("doubt.db");
	uint64_t process, ambiguous, file, other;
	char candidates[2 * 33];

	world_begin(&world, path);
	world_request(&world, &first, 1, &here, "first", NULL, 0, T0, T0 + 100 * MS);
	world_request(&world, &second, 2, &here, "second", NULL, 0, T0, T0 + 100 * MS);
	world_request(&world, &third, 3, &here, "third", NULL, 0, T0 + 1, T0 + 100 * MS);
	process = world_process(&world, &here, &first, 7, 1, "node", "node", T0, T0 + 100 * MS);
	world_process(&world, &here, &third, 7, 1, "node", "node", T0, T0 + 100 * MS);
	file = world_file(&world, &here, "/tmp/doubtful");
	other = world_file(&world, &here, "/tmp/of-third");
	ambiguous = world_node(&world, &(struct fp_store_node){
						.kind = FP_NODE_PROCESS, .key = "process:node-1:5b1d:1000:7:1:ambiguous",
						.label = "node", .function = "shop", .instance = "shop-1", .host = "node-1",
						.first = T0, .last = T0 + 100 * MS});
	for (size_t i = 0; i < 2; i++)
		for (size_t j = 0; j < FP_REQUEST_ID_SIZE; j++)
			snprintf(candidates + i * 33 + 2 * j, 3, "%02x", (i ? second : first).id[j]);
	candidates[32] = ',';
	world_edge(&world, &(struct fp_store_edge){.from = ambiguous, .to = file, .kind = FP_EDGE_WRITE,
						   .first = T0 + 5 * MS, .last = T0 + 5 * MS, .count = 1,
						   .attribution = FP_ATTRIBUTION_AMBIGUOUS, .rule = FP_RULE_IN_FLIGHT,
						   .candidates = candidates});
	world_edge(&world, &(struct fp_store_edge){.from = ambiguous, .to = other, .kind = FP_EDGE_WRITE,
						   .first = T0 + 5 * MS, .last = T0 + 5 * MS, .count = 1,
						   .attribution = FP_ATTRIBUTION_AMBIGUOUS, .rule = FP_RULE_IN_FLIGHT,
						   .candidates = candidates + 33});
	world_end(&world);
	assert_int_not_equal(process, 0);

	ask_question(&question, path, "trace", "first", NULL);
	answer = ask(&question, 0);
	assert_true(has_edge(answer, FP_EDGE_WRITE, "node", "/tmp/doubtful"));
	assert_int_equal(count_nodes(answer, FP_NODE_FILE, "/tmp/of-third"), 0);
	fp_answer_free(answer);
	ask_question(&question, path, "trace", "third", NULL);
	answer = ask(&question, 0);
	assert_int_equal(count_nodes(answer, FP_NODE_FILE, NULL), 0);
	fp_answer_free(answer);
}

static int set_up(void **state)
{
	strcpy(store, test_path("attack.db"));
	attack_store(store);
	return 0;
}

static int tear_down(void **state)
{
	return test_directory_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_attack_and_nothing_else),
		cmocka_unit_test(each_direction_is_its_half),
		cmocka_unit_test(conservative_answer_has_what_is_possible),
		cmocka_unit_test(slices_start_at_any_node),
		cmocka_unit_test(until_and_since_bound_the_answer),
		cmocka_unit_test(what_is_missing_is_said),
		cmocka_unit_test(doubtful_operations_name_their_candidates),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

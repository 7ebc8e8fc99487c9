/* Findings as they come out of a store: gathered, counted by request, told, and bounded. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "query/findings.h"
#include "query/tests/ask.h"

#define DEEDS 250

static const uint8_t first[FP_REQUEST_ID_SIZE] = "AAAAAAAAAAAAAAAA", second[FP_REQUEST_ID_SIZE] = "BBBBBBBBBBBBBBBB",
		     third[FP_REQUEST_ID_SIZE] = "CCCCCCCCCCCCCCCC";

static void put_node(struct fp_store *store, uint64_t id, enum fp_node_kind kind, const char *key, const char *label,
		     const uint8_t *request)
{
	struct fp_store_node node = {.id = id, .kind = kind, .key = key, .label = label, .function = "pay", .first = id, .last = id,
				     .attributes = kind == FP_NODE_FINDING ? "{\"techniques\":[\"T1562\"]}" : "{\"pid\":7}"};

	if (request) {
		node.has_request = true;
		memcpy(node.request, request, FP_REQUEST_ID_SIZE);
	}
	assert_int_equal(fp_store_graph_put_node(store, &node), 0);
}

/* Request A sent its watchdog many signals, and either A or B wrote its memory. */
static struct fp_store *open_store(const char *path)
{
	struct fp_store_edge edge = {.kind = FP_EDGE_SHOWS, .count = 1, .attribution = FP_ATTRIBUTION_DERIVED};
	struct fp_store *store;
	char error[256];

	assert_int_equal(fp_store_open(path, FP_STORE_CREATE, &store, error), 0);
	assert_int_equal(fp_store_graph_begin(store), 0);
	put_node(store, 1, FP_NODE_PROCESS, "process:1", "node", first);
	put_node(store, 2, FP_NODE_FINDING, "finding:1", "watchdog-signalled", first);
	put_node(store, 3, FP_NODE_PROCESS, "process:2", "node", NULL);
	put_node(store, 4, FP_NODE_FINDING, "finding:2", "watchdog-memory", NULL);
	edge.from = 1;
	edge.to = 2;
	edge.has_request = true;
	memcpy(edge.request, first, sizeof(first));
	for (uint64_t i = 1; i <= DEEDS; i++) {
		edge.id = edge.first = edge.last = i;
		edge.attributes = i % 2 ? "{\"signal\":\"SIGTERM\"}" : "{\"signal\":\"SIGKILL\"}";
		assert_int_equal(fp_store_graph_put_edge(store, &edge), 0);
	}
	edge = (struct fp_store_edge){.id = DEEDS + 1, .from = 3, .to = 4, .kind = FP_EDGE_SHOWS, .count = 1, .first = 1, .last = 1,
				      .attribution = FP_ATTRIBUTION_AMBIGUOUS, .attributes = "{\"path\":\"/proc/1/mem\\u001b[2J\"}",
				      .candidates = "41414141414141414141414141414141,42424242424242424242424242424242"};
	assert_int_equal(fp_store_graph_put_edge(store, &edge), 0);
	assert_int_equal(fp_store_graph_commit(store, 0), 0);
	return store;
}

static void they_are_gathered_and_told(void **state)
{
	struct fp_store *store = open_store(test_path("findings.db"));
	fp_cleanup(fp_graph_freep) struct fp_graph *findings = NULL;
	fp_cleanup(fp_buffer_done) struct fp_buffer text = FP_BUFFER_INIT;
	struct fp_finding_counts counts;
	json_t *json;

	assert_int_equal(fp_graph_new(&findings), 0);
	assert_int_equal(fp_findings_all(store, findings), 0);
	assert_int_equal(fp_findings_count(findings), 2);
	assert_int_equal(fp_finding_counts_make(findings, &counts), 0);
	/* two kinds may be A's, one B's; C has done nothing */
	assert_int_equal(fp_finding_counts_of(&counts, first), 2);
	assert_int_equal(fp_finding_counts_of(&counts, second), 1);
	assert_int_equal(fp_finding_counts_of(&counts, third), 0);
	assert_int_equal(fp_finding_text(findings, fp_graph_find_node(findings, 2), &text), 0);
	assert_string_equal(text.data, "watchdog-signalled: SIGTERM; SIGKILL, by node[7] of pay, 250 times");
	json = fp_finding_json(findings, fp_graph_find_node(findings, 2));
	assert_int_equal(json_array_size(json_object_get(json, "edges")), 100);
	assert_int_equal(json_integer_value(json_object_get(json, "more_edges")), DEEDS - 100);
	assert_int_equal(json_integer_value(json_object_get(json, "count")), DEEDS);
	assert_int_equal(json_array_size(json_object_get(json, "nodes")), 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(json, "techniques"), 0)), "T1562");
	json_decref(json);
	json = fp_finding_json(findings, fp_graph_find_node(findings, 4));
	assert_string_equal(json_string_value(json_object_get(json, "attribution")), "ambiguous");
	assert_true(json_is_null(json_object_get(json, "request")));
	json_decref(json);
	/* what a function called its files reaches no terminal */
	fp_buffer_clear(&text);
	assert_int_equal(fp_finding_text(findings, fp_graph_find_node(findings, 4), &text), 0);
	assert_null(strchr(text.data, '\033'));
	fp_finding_counts_done(&counts);
	fp_store_close(store);
}

static int set_up(void **state)
{
	return test_directory() ? 0 : -1;
}

static int tear_down(void **state)
{
	return test_directory_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_are_gathered_and_told),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

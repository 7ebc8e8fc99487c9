/* The store: what is put is found again by every way that leads to it, and stays. */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/tables.h"
#include "store/tests/util.h"

static struct fp_store *open_store(void **state, enum fp_store_mode mode)
{
	struct fp_store *store;
	char error[256];
	int r = fp_store_open(fp_folder_path(state, "s.db"), mode, &store, error);

	if (r < 0)
		print_error("%s\n", error);
	assert_int_equal(r, 0);
	return store;
}

/* --- evidence ---------------------------------------------------------------- */

struct seen {
	uint64_t ids[64];
	size_t n, bytes;
	int stop_at, stop_with;
};

static int see_batch(void *arg, uint64_t id, const uint8_t *frame, size_t len)
{
	struct seen *seen = arg;

	seen->ids[seen->n++] = id;
	seen->bytes += len;
	return seen->stop_at && seen->n == (size_t)seen->stop_at ? seen->stop_with : 0;
}

static void test_batches(void **state)
{
	struct fp_store *store = open_store(state, FP_STORE_CREATE);
	struct fp_store_totals totals;
	struct fp_chain a, b;
	struct seen seen = {0};
	uint8_t hash[FP_BATCH_HASH_SIZE], *frame, *forged, *first;
	uint64_t number;
	size_t len, forged_len, first_len, bytes;

	fp_chain_init(&a, 0xaa);
	fp_chain_init(&b, 0xbb);
	assert_int_equal(fp_store_last_batch(store, a.header.agent, &number, hash), 0);
	assert_int_equal(number, 0);
	first = fp_chain_next(&a, 3, 42, &first_len);
	assert_int_equal(fp_chain_put(store, first, first_len), 1);
	frame = fp_chain_next(&a, 5, 42, &len);
	assert_int_equal(fp_chain_put(store, frame, len), 1);
	fp_chain_store(&b, store, 1, 2);

	/* again: known, and nothing is added */
	assert_int_equal(fp_chain_put(store, frame, len), 0);
	assert_int_equal(fp_chain_put(store, first, first_len), 0);
	/* the same number with other events */
	a.header.number = 2;
	forged = fp_chain_next(&a, 4, 42, &forged_len);
	assert_int_equal(fp_chain_put(store, forged, forged_len), -EEXIST);
	assert_non_null(strstr(fp_store_error(store), "batch 2"));

	assert_int_equal(fp_store_last_batch(store, a.header.agent, &number, hash), 0);
	assert_int_equal(number, 2);
	fp_batch_hash(frame, len, (uint8_t *)a.header.previous);
	assert_memory_equal(hash, a.header.previous, sizeof(hash));
	assert_int_equal(fp_store_each_batch(store, 0, see_batch, &seen), 0);
	assert_int_equal(seen.n, 3);
	bytes = seen.bytes;
	seen = (struct seen){0};
	assert_int_equal(fp_store_each_batch(store, 1, see_batch, &seen), 0);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.ids[0], 2);
	seen = (struct seen){.stop_at = 2, .stop_with = 77};
	assert_int_equal(fp_store_each_batch(store, 0, see_batch, &seen), 77);
	assert_int_equal(seen.n, 2);

	assert_int_equal(fp_store_totals(store, &totals), 0);
	assert_int_equal(totals.batches, 3);
	assert_int_equal(totals.events, 10);
	assert_int_equal(totals.bytes, bytes);
	assert_int_equal(totals.first, 1001000);
	assert_int_equal(totals.last, 1002004);
	assert_int_equal(totals.last_batch, 3);
	assert_int_equal(totals.stitched_batch, 0);
	assert_int_equal(totals.nodes, 0);
	fp_store_close(store);

	/* and all of it is there for the next */
	store = open_store(state, FP_STORE_READ);
	seen = (struct seen){0};
	assert_int_equal(fp_store_each_batch(store, 0, see_batch, &seen), 0);
	assert_int_equal(seen.n, 3);
	assert_int_equal(fp_store_check(store), 0);
	fp_store_close(store);
	fp_chain_done(&a);
	fp_chain_done(&b);
	free(frame);
	free(forged);
	free(first);
}

static void test_batch_indices(void **state)
{
	struct fp_store *store = open_store(state, FP_STORE_CREATE);
	uint8_t request[FP_REQUEST_ID_SIZE] = "1-of-two-request", other[FP_REQUEST_ID_SIZE] = "2-of-two-request",
		ids[2 * FP_REQUEST_ID_SIZE], boot[16], hash[FP_BATCH_HASH_SIZE];
	struct fp_event event = {.type = FP_EVENT_TYPE_CLOSE, .time = 9000, .cgroup = 77};
	struct fp_chain chain;
	const uint8_t *ambiguous;
	struct seen seen = {0};
	size_t len;

	fp_chain_init(&chain, 1);
	fp_chain_store(&chain, store, 1, 3); /* 1: neither request */
	memcpy(chain.request, request, sizeof(request));
	fp_chain_store(&chain, store, 2, 3); /* 2, 3 */
	memcpy(ids, other, sizeof(other));
	memcpy(ids + sizeof(other), request, sizeof(request));
	event.attribution = FP_ATTRIBUTION_AMBIGUOUS;
	event.candidates = (struct fp_str){(char *)ids, sizeof(ids)};
	assert_int_equal(fp_batch_writer_add(chain.writer, &event), 0);
	assert_int_equal(fp_batch_writer_finish(chain.writer, &chain.header, &ambiguous, &len, hash), 0);
	assert_int_equal(fp_chain_put(store, ambiguous, len), 1); /* 4: candidates */

	assert_int_equal(fp_store_batches_of_request(store, request, see_batch, &seen), 0);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.ids[0], 2);
	assert_int_equal(seen.ids[2], 4);
	seen = (struct seen){0};
	assert_int_equal(fp_store_batches_of_request(store, other, see_batch, &seen), 0);
	assert_int_equal(seen.n, 1);
	seen = (struct seen){0};
	memset(boot, 0xb0, sizeof(boot));
	assert_int_equal(fp_store_batches_of_instance(store, "node-1", boot, 77, see_batch, &seen), 0);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.ids[0], 4);
	assert_int_equal(fp_store_batches_of_instance(store, "node-2", boot, 77, see_batch, &seen), 0);
	boot[0]++;
	assert_int_equal(fp_store_batches_of_instance(store, "node-1", boot, 77, see_batch, &seen), 0);
	assert_int_equal(seen.n, 1);
	seen = (struct seen){0};
	assert_int_equal(fp_store_batches_between(store, 1002002, 1003000, see_batch, &seen), 0);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.ids[0], 2);
	seen = (struct seen){0};
	assert_int_equal(fp_store_batches_between(store, 0, UINT64_MAX, see_batch, &seen), 0);
	assert_int_equal(seen.n, 4);
	fp_chain_done(&chain);
	fp_store_close(store);
}

static void test_group(void **state)
{
	struct fp_store *store = open_store(state, FP_STORE_CREATE), *reader;
	struct fp_chain chain;
	struct fp_store_totals totals;

	fp_chain_init(&chain, 1);
	fp_chain_store(&chain, store, 1, 1);
	assert_int_equal(fp_store_group_begin(store), 0);
	assert_int_equal(fp_store_group_begin(store), -EINVAL);
	fp_chain_store(&chain, store, 3, 1);
	reader = open_store(state, FP_STORE_READ);
	assert_int_equal(fp_store_totals(reader, &totals), 0);
	assert_int_equal(totals.batches, 1);
	assert_int_equal(fp_store_group_commit(store), 0);
	assert_int_equal(fp_store_group_commit(store), -EINVAL);
	assert_int_equal(fp_store_totals(reader, &totals), 0);
	assert_int_equal(totals.batches, 4);
	assert_int_equal(fp_store_group_begin(store), 0);
	fp_chain_store(&chain, store, 3, 1);
	assert_int_equal(fp_store_group_abort(store), 0);
	assert_int_equal(fp_store_totals(store, &totals), 0);
	assert_int_equal(totals.batches, 4);
	fp_chain_done(&chain);
	fp_store_close(reader);
	fp_store_close(store);
}

/* --- graph --------------------------------------------------------------------- */

static const uint8_t request_a[FP_REQUEST_ID_SIZE] = {0xab, 0xcd, 0xef, 0x12, 1}, request_b[FP_REQUEST_ID_SIZE] = {0xab, 0xcd, 0xef, 0x34, 2};

static void put_node(struct fp_store *store, uint64_t id, enum fp_node_kind kind, const char *key, const char *label)
{
	struct fp_store_node node = {.id = id, .kind = kind, .key = key, .label = label, .first = id, .last = id + 1};

	assert_int_equal(fp_store_graph_put_node(store, &node), 0);
}

static void put_edge(struct fp_store *store, uint64_t id, uint64_t from, uint64_t to, uint64_t first)
{
	struct fp_store_edge edge = {.id = id, .from = from, .to = to, .kind = FP_EDGE_WRITE, .first = first, .last = first};

	assert_int_equal(fp_store_graph_put_edge(store, &edge), 0);
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static const struct fp_store_node full_node = {
	.id = 5, .kind = FP_NODE_PROCESS, .key = "process:x'); DROP TABLE node; --", .label = "sh \"'\\ \xff\xfe",
	.function = "authorize-cc", .instance = "c0ffee", .host = "node-1",
	.request = {0xab, 0xcd, 0xef, 0x12, 1}, .has_request = true, .unit = FP_UNIT_REQUEST,
	.first = 1790000000000000001ull, .last = 1790000000000000002ull, .attributes = "{\"pid\":7}"};

static const struct fp_store_edge full_edge = {
	.id = 9, .from = 5, .to = 6, .kind = FP_EDGE_RENAME, .first = 3, .last = 4, .count = UINT64_MAX, .bytes = 1ull << 63,
	.request = {0xab, 0xcd, 0xef, 0x12, 1}, .has_request = true, .attribution = FP_ATTRIBUTION_AMBIGUOUS,
	.rule = FP_RULE_IN_FLIGHT, .candidates = "aa,bb", .batch = 12, .event = 13, .attributes = "{}"};

static const struct fp_store_request full_request = {
	.id = {0xab, 0xcd, 0xef, 0x12, 1}, .node = 6, .call_id = "call-1", .trace_id = "0af7651916cd43dd8448eb211c80319c",
	.function = "authorize-cc", .instance = "c0ffee", .host = "node-1", .method = "POST", .url = "/x?y",
	.first = 100, .last = 200, .status = -1, .parent = {0xab, 0xcd, 0xef, 0x34, 2}, .has_parent = true,
	.join = "forwarded-address", .lost = 3};

static int check_node(void *arg, const struct fp_store_node *node)
{
	assert_int_equal(node->id, full_node.id);
	assert_int_equal(node->kind, full_node.kind);
	assert_string_equal(node->key, full_node.key);
	assert_string_equal(node->label, full_node.label);
	assert_string_equal(node->function, full_node.function);
	assert_string_equal(node->instance, full_node.instance);
	assert_string_equal(node->host, full_node.host);
	assert_memory_equal(node->request, full_node.request, sizeof(node->request));
	assert_true(node->has_request);
	assert_int_equal(node->unit, full_node.unit);
	assert_true(node->first == full_node.first && node->last == full_node.last);
	assert_string_equal(node->attributes, full_node.attributes);
	++*(int *)arg;
	return 0;
}

static int check_edge(void *arg, const struct fp_store_edge *edge)
{
	assert_true(edge->id == full_edge.id && edge->from == full_edge.from && edge->to == full_edge.to);
	assert_int_equal(edge->kind, full_edge.kind);
	assert_true(edge->first == full_edge.first && edge->last == full_edge.last);
	assert_true(edge->count == full_edge.count && edge->bytes == full_edge.bytes);
	assert_true(edge->has_request);
	assert_memory_equal(edge->request, full_edge.request, sizeof(edge->request));
	assert_int_equal(edge->attribution, full_edge.attribution);
	assert_int_equal(edge->rule, full_edge.rule);
	assert_string_equal(edge->candidates, full_edge.candidates);
	assert_int_equal(edge->batch, full_edge.batch);
	assert_int_equal(edge->event, full_edge.event);
	assert_string_equal(edge->attributes, full_edge.attributes);
	++*(int *)arg;
	return 0;
}

static int check_request(void *arg, const struct fp_store_request *request)
{
	assert_memory_equal(request->id, full_request.id, sizeof(request->id));
	assert_int_equal(request->node, full_request.node);
	assert_true(same_text(request->call_id, full_request.call_id));
	assert_true(same_text(request->trace_id, full_request.trace_id));
	assert_true(same_text(request->function, full_request.function));
	assert_true(same_text(request->instance, full_request.instance));
	assert_true(same_text(request->host, full_request.host));
	assert_true(same_text(request->method, full_request.method));
	assert_true(same_text(request->url, full_request.url));
	assert_true(request->first == full_request.first && request->last == full_request.last);
	assert_int_equal(request->status, full_request.status);
	assert_true(request->has_parent);
	assert_memory_equal(request->parent, full_request.parent, sizeof(request->parent));
	assert_true(same_text(request->join, full_request.join));
	assert_int_equal(request->lost, full_request.lost);
	++*(int *)arg;
	return 0;
}

/* Every member of every row comes back; text with quotes, statements and bytes that are not UTF-8 is just text. */
static void test_rows(void **state)
{
	struct fp_store *store = open_store(state, FP_STORE_CREATE);
	int n = 0;

	assert_int_equal(fp_store_graph_begin(store), 0);
	assert_int_equal(fp_store_graph_put_node(store, &full_node), 0);
	put_node(store, 6, FP_NODE_REQUEST, "request:a", NULL);
	assert_int_equal(fp_store_graph_put_edge(store, &full_edge), 0);
	assert_int_equal(fp_store_graph_put_request(store, &full_request), 0);
	assert_int_equal(fp_store_graph_commit(store, 17), 0);
	for (int pass = 0; pass < 2; pass++) {
		n = 0;
		assert_int_equal(fp_store_node(store, 5, check_node, &n), 0);
		assert_int_equal(fp_store_find_nodes(store, 0, full_node.label, check_node, &n), 0);
		assert_int_equal(fp_store_nodes_of_request(store, full_node.request, check_node, &n), 0);
		assert_int_equal(fp_store_edges_into(store, 6, check_edge, &n), 0);
		assert_int_equal(fp_store_edges_out_of(store, 5, check_edge, &n), 0);
		assert_int_equal(fp_store_each_edge(store, check_edge, &n), 0);
		assert_int_equal(fp_store_each_request(store, check_request, &n), 0);
		assert_int_equal(n, 7);
		assert_int_equal(fp_store_node(store, 7, check_node, &n), 0);
		assert_int_equal(fp_store_edges_into(store, 5, check_edge, &n), 0);
		assert_int_equal(n, 7);
		fp_store_close(store);
		store = open_store(state, FP_STORE_READ);
	}
	fp_store_close(store);
}

struct list {
	char text[512];
};

static int list_node(void *arg, const struct fp_store_node *node)
{
	struct list *list = arg;

	sprintf(list->text + strlen(list->text), "%s%llu", list->text[0] ? " " : "", (unsigned long long)node->id);
	return 0;
}

static int list_edge(void *arg, const struct fp_store_edge *edge)
{
	struct list *list = arg;

	sprintf(list->text + strlen(list->text), "%s%llu", list->text[0] ? " " : "", (unsigned long long)edge->id);
	return 0;
}

static int list_request(void *arg, const struct fp_store_request *request)
{
	struct list *list = arg;

	sprintf(list->text + strlen(list->text), "%s%02x%02x", list->text[0] ? " " : "", request->id[3], request->id[4]);
	return 0;
}

static int list_loss(void *arg, const struct fp_store_loss *loss)
{
	struct list *list = arg;

	sprintf(list->text + strlen(list->text), "%s%s/%s:%s:%llu", list->text[0] ? " " : "", loss->host,
		loss->instance ? loss->instance : "-", fp_loss_name(loss->cause), (unsigned long long)loss->lost);
	return 0;
}

#define assert_list(expected, call)                            \
	do {                                                   \
		struct list list = {""}, *l = &list;           \
		assert_int_equal(call, 0);                     \
		assert_string_equal(list.text, expected);      \
	} while (0)

static void make_graph(struct fp_store *store)
{
	struct fp_store_request request = {.node = 1, .first = 20, .call_id = "same", .status = 200};
	struct fp_store_loss loss = {.host = "node-1", .cause = FP_LOSS_RING_FULL, .first = 10, .last = 20, .lost = 5};

	assert_int_equal(fp_store_graph_begin(store), 0);
	put_node(store, 1, FP_NODE_FILE, "f1", "/home/app/sqldump.sh");
	put_node(store, 2, FP_NODE_FILE, "f2", "sqldump.sh");
	put_node(store, 3, FP_NODE_FILE, "f3", "/home/app/other.sh");
	put_node(store, 4, FP_NODE_PROCESS, "p1", "/home/app/sqldump.sh");
	put_node(store, 5, FP_NODE_PROCESS, "p2", "sh 100% _x");
	/* not in order of time */
	put_edge(store, 1, 4, 1, 30);
	put_edge(store, 2, 5, 1, 10);
	put_edge(store, 3, 4, 1, 20);
	put_edge(store, 4, 4, 3, 5);
	memcpy(request.id, request_a, sizeof(request.id));
	request.trace_id = "0af7651916cd43dd8448eb211c80319c";
	assert_int_equal(fp_store_graph_put_request(store, &request), 0);
	memcpy(request.id, request_b, sizeof(request.id));
	request.first = 10;
	request.trace_id = NULL;
	assert_int_equal(fp_store_graph_put_request(store, &request), 0);
	assert_int_equal(fp_store_graph_put_loss(store, &loss), 0);
	loss.instance = "c1";
	loss.first = 21;
	loss.last = 30;
	assert_int_equal(fp_store_graph_put_loss(store, &loss), 0);
	assert_int_equal(fp_store_graph_commit(store, 3), 0);
}

static void test_queries(void **state)
{
	struct fp_store *store = open_store(state, FP_STORE_CREATE);

	assert_list("", fp_store_each_node(store, list_node, l));
	assert_list("", fp_store_find_requests(store, "same", list_request, l));
	make_graph(store);
	assert_list("1 2 3 4 5", fp_store_each_node(store, list_node, l));
	/* exact wins over end, end over part; kinds */
	assert_list("2", fp_store_find_nodes(store, 0, "sqldump.sh", list_node, l));
	assert_list("1 4", fp_store_find_nodes(store, 0, "/home/app/sqldump.sh", list_node, l));
	assert_list("4", fp_store_find_nodes(store, FP_NODE_PROCESS, "/home/app/sqldump.sh", list_node, l));
	assert_list("1 2 4", fp_store_find_nodes(store, 0, "dump.sh", list_node, l));
	assert_list("1 3 4", fp_store_find_nodes(store, 0, "home", list_node, l));
	/* no wildcards */
	assert_list("5", fp_store_find_nodes(store, 0, "%", list_node, l));
	assert_list("5", fp_store_find_nodes(store, 0, "_", list_node, l));
	assert_list("", fp_store_find_nodes(store, 0, "nowhere", list_node, l));
	assert_list("", fp_store_find_nodes(store, 0, "' OR 1=1 --", list_node, l));
	assert_int_equal(fp_store_find_nodes(store, 0, "", list_node, NULL), -EINVAL);
	/* edges by time */
	assert_list("2 3 1", fp_store_edges_into(store, 1, list_edge, l));
	assert_list("4 3 1", fp_store_edges_out_of(store, 4, list_edge, l));
	assert_list("1 2 3 4", fp_store_each_edge(store, list_edge, l));
	/* requests: by each of their names */
	assert_list("3402 1201", fp_store_each_request(store, list_request, l));
	assert_list("1201", fp_store_find_requests(store, "abcdef12010000000000000000000000", list_request, l));
	assert_list("1201", fp_store_find_requests(store, "ABCDEF12-0100-0000-0000-000000000000", list_request, l));
	assert_list("1201", fp_store_find_requests(store, "0af7651916cd43dd8448eb211c80319c", list_request, l));
	assert_list("1201", fp_store_find_requests(store, "0AF7651916CD43DD8448EB211C80319C", list_request, l));
	assert_list("3402 1201", fp_store_find_requests(store, "same", list_request, l));
	assert_list("", fp_store_find_requests(store, "sam", list_request, l));
	/* and by the beginning of the id */
	assert_list("1201", fp_store_find_requests(store, "abcdef1", list_request, l));
	assert_list("3402", fp_store_find_requests(store, "ABCDEF34-02", list_request, l));
	assert_list("3402 1201", fp_store_find_requests(store, "abcdef", list_request, l));
	assert_list("", fp_store_find_requests(store, "abcde", list_request, l));
	assert_list("", fp_store_find_requests(store, "abcdef2", list_request, l));
	assert_list("", fp_store_find_requests(store, "abcdefg", list_request, l));
	assert_list("", fp_store_find_requests(store, "", list_request, l));
	/* losses that touch a range */
	assert_list("node-1/-:ring-full:5", fp_store_each_loss(store, 0, 20, list_loss, l));
	assert_list("node-1/c1:ring-full:5", fp_store_each_loss(store, 21, 21, list_loss, l));
	assert_list("node-1/-:ring-full:5 node-1/c1:ring-full:5", fp_store_each_loss(store, 0, UINT64_MAX, list_loss, l));
	assert_list("", fp_store_each_loss(store, 31, UINT64_MAX, list_loss, l));
	fp_store_close(store);
}

static void test_graph_rules(void **state)
{
	struct fp_store *store = open_store(state, FP_STORE_CREATE), *second;
	struct fp_store_node node = {.id = 2, .kind = FP_NODE_FILE, .key = "f1"};
	struct fp_store_edge edge = {.id = 1, .from = 1, .to = 99, .kind = FP_EDGE_READ};
	struct fp_store_totals totals;

	assert_int_equal(fp_store_graph_put_node(store, &node), -EINVAL);
	assert_int_equal(fp_store_graph_commit(store, 1), -EINVAL);
	assert_int_equal(fp_store_graph_abort(store), 0);
	make_graph(store);
	assert_int_equal(fp_store_totals(store, &totals), 0);
	assert_int_equal(totals.nodes, 5);
	assert_int_equal(totals.edges, 4);
	assert_int_equal(totals.requests, 2);
	assert_int_equal(totals.stitched_batch, 3);

	assert_int_equal(fp_store_graph_begin(store), 0);
	assert_int_equal(fp_store_graph_begin(store), -EINVAL);
	second = open_store(state, FP_STORE_WRITE);
	assert_int_equal(fp_store_graph_begin(second), -EBUSY);
	put_node(store, 1, FP_NODE_FILE, "f1", "x");
	assert_int_equal(fp_store_graph_put_node(store, &node), -EEXIST); /* key */
	node.key = "f2";
	node.id = 1;
	assert_int_equal(fp_store_graph_put_node(store, &node), -EEXIST); /* id */
	node.id = 0;
	assert_int_equal(fp_store_graph_put_node(store, &node), -EINVAL);
	edge.kind = (enum fp_edge_kind)200;
	assert_int_equal(fp_store_graph_put_edge(store, &edge), -EINVAL);
	assert_int_equal(fp_store_graph_abort(store), 0);
	assert_list("1 2 3 4 5", fp_store_each_node(store, list_node, l));

	/* an edge to a node that is not there: no graph */
	edge.kind = FP_EDGE_READ;
	assert_int_equal(fp_store_graph_begin(store), 0);
	put_node(store, 1, FP_NODE_FILE, "f1", "x");
	assert_int_equal(fp_store_graph_put_edge(store, &edge), 0);
	assert_int_equal(fp_store_graph_commit(store, 9), -EINVAL);
	assert_non_null(strstr(fp_store_error(store), "edge 1 names node 99"));
	assert_int_equal(fp_store_graph_abort(store), 0);
	assert_list("1 2 3 4 5", fp_store_each_node(store, list_node, l));

	/* closing in the middle is an abort; the next may build */
	assert_int_equal(fp_store_graph_begin(store), 0);
	fp_store_close(store);
	assert_int_equal(fp_store_graph_begin(second), 0);
	put_node(second, 8, FP_NODE_FILE, "f1", "x");
	assert_int_equal(fp_store_graph_commit(second, 9), 0);
	assert_list("8", fp_store_each_node(second, list_node, l));
	assert_string_equal(fp_folder_list(state), "s.db s.db-graph s.db-shm s.db-wal");
	fp_store_close(second);
	assert_string_equal(fp_folder_list(state), "s.db s.db-graph");
}

struct nested {
	struct fp_store *store;
	unsigned depth, calls;
};

static int follow(void *arg, const struct fp_store_edge *edge)
{
	struct nested *nested = arg;
	int r = 0;

	nested->calls++;
	if (nested->depth > 0) {
		nested->depth--;
		r = fp_store_edges_into(nested->store, edge->to, follow, nested);
		nested->depth++;
	}
	return r;
}

static void test_queries_nest(void **state)
{
	struct fp_store *store = open_store(state, FP_STORE_CREATE);
	struct nested nested = {store, 2, 0};

	make_graph(store);
	assert_int_equal(fp_store_edges_into(store, 1, follow, &nested), 0);
	assert_int_equal(nested.calls, 3 + 9 + 27);
	fp_store_close(store);
}

/* --- opening ----------------------------------------------------------------- */

static int try_open(void **state, const char *name, enum fp_store_mode mode, const char *sentence)
{
	struct fp_store *store = (struct fp_store *)state;
	char error[256] = "";
	int r = fp_store_open(fp_folder_path(state, name), mode, &store, error);

	if (r < 0) {
		assert_null(store);
		assert_non_null(strstr(error, sentence));
		assert_null(strchr(error, '\n'));
	}
	fp_store_close(r < 0 ? NULL : store);
	return r;
}

static void write_file(void **state, const char *name, const void *data, size_t len)
{
	FILE *file = fopen(fp_folder_path(state, name), "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	fclose(file);
}

static void test_not_a_store(void **state)
{
	static const char text[] = "To be, or not to be, that is the question: Whether 'tis nobler in the mind to suffer "
				   "the slings and arrows of outrageous fortune\n";
	struct fp_store *store;
	char error[256], back[sizeof(text)];
	FILE *file;

	assert_int_equal(try_open(state, "none", FP_STORE_READ, "no such store"), -ENOENT);
	assert_int_equal(try_open(state, "none", FP_STORE_WRITE, "no such store"), -ENOENT);
	assert_int_equal(try_open(state, "none/none", FP_STORE_CREATE, "cannot make a store"), -ENOENT);
	assert_int_equal(try_open(state, ".", FP_STORE_CREATE, "not a regular file"), -EBADMSG);
	assert_int_equal(fp_store_open("postgresql://x/y", FP_STORE_READ, &store, error), -ENOTSUP);
	assert_int_equal(fp_store_open("", FP_STORE_READ, &store, NULL), -EINVAL);
	write_file(state, "text", text, sizeof(text));
	write_file(state, "short", "SQLite format 3", 16);
	for (int mode = FP_STORE_READ; mode <= FP_STORE_CREATE; mode++) {
		assert_int_equal(try_open(state, "text", (enum fp_store_mode)mode, "not a store"), -EBADMSG);
		assert_int_equal(try_open(state, "short", (enum fp_store_mode)mode, "not a store"), -EBADMSG);
	}
	write_file(state, "empty", "", 0);
	assert_int_equal(try_open(state, "empty", FP_STORE_READ, "not a store"), -EBADMSG);
	assert_int_equal(try_open(state, "empty", FP_STORE_WRITE, "not a store"), -EBADMSG);
	assert_string_equal(fp_folder_list(state), "empty short text");
	/* an empty file may be a place that mktemp made */
	assert_int_equal(try_open(state, "empty", FP_STORE_CREATE, ""), 0);
	file = fopen(fp_folder_path(state, "text"), "r");
	assert_int_equal(fread(back, 1, sizeof(back), file), sizeof(text));
	assert_memory_equal(back, text, sizeof(text));
	fclose(file);
}

static void poke(void **state, const char *name, long at, int byte)
{
	FILE *file = fopen(fp_folder_path(state, name), "r+");

	assert_non_null(file);
	fseek(file, at, SEEK_SET);
	fputc(byte, file);
	fclose(file);
}

static void test_other_version(void **state)
{
	fp_store_close(open_store(state, FP_STORE_CREATE));
	poke(state, "s.db", 63, 99);
	for (int mode = FP_STORE_READ; mode <= FP_STORE_CREATE; mode++)
		assert_int_equal(try_open(state, "s.db", (enum fp_store_mode)mode, "made by version 99"), -EPROTO);
	poke(state, "s.db", 63, FP_SQLITE_VERSION);
	poke(state, "s.db", 71, 0);
	for (int mode = FP_STORE_READ; mode <= FP_STORE_CREATE; mode++)
		assert_int_equal(try_open(state, "s.db", (enum fp_store_mode)mode, "another kind"), -EBADMSG);
	assert_string_equal(fp_folder_list(state), "s.db");
}

static void test_reading_makes_no_files(void **state)
{
	struct fp_store *store = open_store(state, FP_STORE_CREATE), *reader;
	struct fp_store_totals totals;
	struct fp_chain chain;

	fp_chain_init(&chain, 1);
	fp_chain_store(&chain, store, 2, 2);
	make_graph(store);
	/* beside a writer */
	reader = open_store(state, FP_STORE_READ);
	assert_int_equal(fp_store_totals(reader, &totals), 0);
	assert_int_equal(totals.batches, 2);
	assert_int_equal(fp_store_graph_begin(reader), -EROFS);
	assert_int_equal(fp_store_group_begin(reader), -EROFS);
	fp_store_close(reader);
	assert_string_equal(fp_folder_list(state), "s.db s.db-graph s.db-shm s.db-wal");
	fp_store_close(store);
	/* alone */
	assert_string_equal(fp_folder_list(state), "s.db s.db-graph");
	reader = open_store(state, FP_STORE_READ);
	assert_int_equal(fp_store_totals(reader, &totals), 0);
	assert_int_equal(totals.batches, 2);
	assert_int_equal(totals.nodes, 5);
	assert_int_equal(fp_store_check(reader), 0);
	assert_string_equal(fp_folder_list(state), "s.db s.db-graph");
	/* a writer that comes later is noticed: without locks its changes could be half seen */
	store = open_store(state, FP_STORE_WRITE);
	fp_chain_store(&chain, store, 1, 2);
	assert_int_equal(fp_store_totals(reader, &totals), -EBUSY);
	fp_store_close(reader);
	fp_store_close(store);
	fp_chain_done(&chain);
}

/* A graph that belongs to other evidence is none. */
static void test_foreign_graph(void **state)
{
	struct fp_store *store = open_store(state, FP_STORE_CREATE);
	struct fp_store_totals totals;

	make_graph(store);
	fp_store_close(store);
	assert_int_equal(unlink(fp_folder_path(state, "s.db")), 0);
	store = open_store(state, FP_STORE_CREATE);
	assert_int_equal(fp_store_totals(store, &totals), 0);
	assert_int_equal(totals.nodes, 0);
	assert_list("", fp_store_each_node(store, list_node, l));
	make_graph(store);
	assert_list("1 2 3 4 5", fp_store_each_node(store, list_node, l));
	fp_store_close(store);
}

static void test_odd_path(void **state)
{
	struct fp_store *store;
	char error[256];

	/* bytes that mean something in a URI or in SQL */
	assert_int_equal(fp_store_open(fp_folder_path(state, "a b?c#d%41'e:f"), FP_STORE_CREATE, &store, error), 0);
	make_graph(store);
	assert_list("1 2 3 4 5", fp_store_each_node(store, list_node, l));
	fp_store_close(store);
	assert_string_equal(fp_folder_list(state), "a b?c#d%41'e:f a b?c#d%41'e:f-graph");
}

/* A batch of 128 KiB that cannot be packed. */
static void store_noise(struct fp_chain *chain, struct fp_store *store)
{
	struct fp_event event = {.type = FP_EVENT_TYPE_OPEN, .object = FP_OBJECT_FILE};
	uint8_t *frame;
	char path[FP_STR_MAX];
	size_t len;

	for (unsigned i = 0; i < 32; i++) {
		assert_int_equal(getrandom(path, sizeof(path), 0), sizeof(path));
		event.path = (struct fp_str){path, sizeof(path)};
		assert_int_equal(fp_batch_writer_add(chain->writer, &event), 0);
	}
	frame = fp_chain_next(chain, 1, 42, &len);
	assert_int_equal(fp_chain_put(store, frame, len), 1);
	free(frame);
}

/* What the engine keeps in memory of a store of several MiB, written and read, is what it was allowed. */
static void test_cache(void **state)
{
	struct fp_store *store = open_store(state, FP_STORE_CREATE);
	struct seen seen = {0};
	struct fp_chain chain;
	size_t before, after;

	assert_int_equal(fp_store_set_cache(store, FP_STORE_CACHE_MIN - 1), -EINVAL);
	assert_int_equal(fp_store_set_cache(store, FP_STORE_CACHE_MIN), 0);
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	fp_chain_init(&chain, 7);
	for (unsigned i = 0; i < 20; i++)
		store_noise(&chain, store);
	fp_chain_done(&chain);
	assert_int_equal(fp_store_each_batch(store, 0, see_batch, &seen), 0);
	assert_int_equal(seen.n, 20);
	after = mallinfo2().uordblks + mallinfo2().hblkhd;
	assert_true(seen.bytes > 4 * FP_STORE_CACHE_MIN);
	assert_in_range(after > before ? after - before : 0, 0, 2 * FP_STORE_CACHE_MIN);
	fp_store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fp_folder_setup, fp_folder_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_batches),
		TEST(test_batch_indices),
		TEST(test_group),
		TEST(test_rows),
		TEST(test_queries),
		TEST(test_graph_rules),
		TEST(test_queries_nest),
		TEST(test_not_a_store),
		TEST(test_other_version),
		TEST(test_reading_makes_no_files),
		TEST(test_foreign_graph),
		TEST(test_odd_path),
		TEST(test_cache),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}

/*
 * The attack on a warm container: one request plants a script, a later one runs
 * it and carries the cards out; benign requests before, between and after.  The
 * only link between the two is the file.  Once in memory, once through a store.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "stitcher/program.h"
#include "stitcher/tests/lab.h"
#include "store/tests/util.h"

#define SCRIPT "/home/app/sqldump.sh"
#define GATEWAY "198.18.0.254:8080"
#define BENIGN "abcdefghijklmnopqrst"

enum { FILE_NODE = 10, FILE_SH, FILE_DUMP, FILE_SCRIPT, FILE_INDEX };

struct shop {
	struct proc purchase_watchdog, purchase, watchdog, node;
	struct link to_gateway, from_watchdog, purchase_from_watchdog, database;
};

static void start(struct lab *lab, struct shop *shop)
{
	lab->unit = "start-up";
	lab_container(lab, 20, "p1", "product-purchase");
	lab_container(lab, 30, "a1", "authorize-cc");
	shop->purchase_watchdog = (struct proc){20, 100, 1, 1};
	shop->watchdog = (struct proc){30, 200, 2, 1};
	shop->purchase = lab_fork(lab, &shop->purchase_watchdog, 101);
	lab_exec(lab, &shop->purchase, "/usr/bin/node", FILE_NODE, "node index.js");
	shop->node = lab_fork(lab, &shop->watchdog, 201);
	lab_exec(lab, &shop->node, "/usr/bin/node", FILE_NODE, "node index.js");
	lab_open(lab, &shop->node, "/home/app/index.js", FILE_INDEX, O_RDONLY);
	lab_read(lab, &shop->node, FILE_INDEX, 5000);
	shop->to_gateway = lab_link("198.18.1.2:40000", GATEWAY);
	shop->purchase_from_watchdog = lab_link("127.0.0.1:3000", "127.0.0.1:50000");
	shop->from_watchdog = shop->purchase_from_watchdog;
	shop->from_watchdog.netns++;
	shop->database = lab_link("198.18.1.3:41000", "198.18.0.200:3306");
}

static void own(struct lab *lab, const struct proc *proc, enum fp_event_type type, struct link *link)
{
	lab->rule = FP_RULE_CONNECTION;
	lab_socket(lab, proc, type, link, 300);
	lab->rule = FP_RULE_TURN;
}

static void query(struct lab *lab, const struct proc *proc, struct link *link, const char *table)
{
	lab_socket(lab, proc, FP_EVENT_TYPE_SEND, link, 60);
	lab_message(lab, proc, link, FP_APP_SQL, "SELECT", "", "", table);
	lab_socket(lab, proc, FP_EVENT_TYPE_RECEIVE, link, 900);
}

/* A purchase (its id the letter) has its card authorized (a request of its own, the letter in the other case). */
static void begin(struct lab *lab, struct shop *shop, const char *purchase, const char *authorize)
{
	lab_begin(lab, &shop->purchase_watchdog, purchase, "192.0.2.7:7777", GATEWAY, "/");
	lab->unit = purchase;
	own(lab, &shop->purchase, FP_EVENT_TYPE_RECEIVE, &shop->purchase_from_watchdog);
	lab_socket(lab, &shop->purchase, FP_EVENT_TYPE_SEND, &shop->to_gateway, 200);
	lab_message(lab, &shop->purchase, &shop->to_gateway, FP_APP_HTTP_REQUEST, "POST", "gateway:8080",
		    "/function/authorize-cc", "http://gateway:8080/function/authorize-cc");
	lab_begin(lab, &shop->watchdog, authorize, "198.18.1.2:40000", GATEWAY, "/");
	lab->unit = authorize;
	own(lab, &shop->node, FP_EVENT_TYPE_RECEIVE, &shop->from_watchdog);
}

static void end(struct lab *lab, struct shop *shop, const char *purchase, const char *authorize)
{
	lab->unit = authorize;
	own(lab, &shop->node, FP_EVENT_TYPE_SEND, &shop->from_watchdog);
	lab_end(lab, &shop->watchdog, authorize, 200);
	lab->unit = purchase;
	lab_socket(lab, &shop->purchase, FP_EVENT_TYPE_RECEIVE, &shop->to_gateway, 200);
	own(lab, &shop->purchase, FP_EVENT_TYPE_SEND, &shop->purchase_from_watchdog);
	lab_end(lab, &shop->purchase_watchdog, purchase, 200);
}

/* Edges: client calls and returns, own in and out for both, calls and returns between them: 8; query: 5. */
#define BENIGN_EDGES 13
static void benign(struct lab *lab, struct shop *shop, char letter)
{
	char authorize[2] = {letter, 0}, purchase[2] = {(char)(letter ^ 0x80), 0};

	begin(lab, shop, purchase, authorize);
	query(lab, &shop->node, &shop->database, "helloRetail.creditCards");
	end(lab, shop, purchase, authorize);
}

/* Request A: authorize-cc is made to fetch a script and make it executable. */
static void plant(struct lab *lab, struct shop *shop)
{
	struct link evil = lab_link("198.18.1.3:42000", "198.18.9.9:80");

	begin(lab, shop, "1", "A");
	lab_socket(lab, &shop->node, FP_EVENT_TYPE_CONNECT, &evil, 0);
	lab_socket(lab, &shop->node, FP_EVENT_TYPE_SEND, &evil, 80);
	lab_message(lab, &shop->node, &evil, FP_APP_HTTP_REQUEST, "GET", "198.18.9.9", "/sqldump.sh",
		    "http://198.18.9.9/sqldump.sh");
	lab_socket(lab, &shop->node, FP_EVENT_TYPE_RECEIVE, &evil, 400);
	lab_open(lab, &shop->node, SCRIPT, FILE_SCRIPT, O_WRONLY | O_CREAT | FP_OPEN_CREATED);
	lab_write(lab, &shop->node, FILE_SCRIPT, 400);
	end(lab, shop, "1", "A");
}

/* Request B: the script is run; what it prints goes out with the answer. */
static void steal(struct lab *lab, struct shop *shop)
{
	struct link dump = lab_link("198.18.1.3:43000", "198.18.0.200:3306");
	struct proc sh, mysqldump;

	begin(lab, shop, "2", "B");
	sh = lab_fork(lab, &shop->node, 210);
	lab->rule = FP_RULE_INHERITED;
	lab_exec(lab, &sh, "/bin/sh", FILE_SH, "/bin/sh " SCRIPT);
	lab_open(lab, &sh, SCRIPT, FILE_SCRIPT, O_RDONLY);
	lab_read(lab, &sh, FILE_SCRIPT, 400);
	mysqldump = lab_fork(lab, &sh, 211);
	lab_exec(lab, &mysqldump, "/usr/bin/mysqldump", FILE_DUMP, "mysqldump helloRetail creditCards");
	lab_socket(lab, &mysqldump, FP_EVENT_TYPE_CONNECT, &dump, 0);
	query(lab, &mysqldump, &dump, "helloRetail.creditCards");
	lab_pipe(lab, &mysqldump, FP_EVENT_TYPE_WRITE, 77, 9000);
	lab_exit(lab, &mysqldump, 0);
	lab_exit(lab, &sh, 0);
	lab->rule = FP_RULE_TURN;
	lab_pipe(lab, &shop->node, FP_EVENT_TYPE_READ, 77, 9000);
	end(lab, shop, "2", "B");
}

static void happen(struct lab *lab)
{
	struct shop shop;

	start(lab, &shop);
	for (int i = 0; i < 7; i++)
		benign(lab, &shop, BENIGN[i]);
	plant(lab, &shop);
	for (int i = 7; i < 14; i++)
		benign(lab, &shop, BENIGN[i]);
	steal(lab, &shop);
	for (int i = 14; i < 20; i++)
		benign(lab, &shop, BENIGN[i]);
}

static void check_attack(const struct lab *lab)
{
	lab_edge(lab, "object:http://198.18.9.9/sqldump.sh", FP_EDGE_GET, "process:node@A");
	/* made and written */
	assert_int_equal(lab_count(lab, "process:node@A", FP_EDGE_WRITE, "file:" SCRIPT), 2);
	lab_edge(lab, "file:" SCRIPT, FP_EDGE_READ, "process:sh@B");
	lab_edge(lab, "process:node@B", FP_EDGE_FORK, "process:node@B");
	lab_edge(lab, "process:sh@B", FP_EDGE_EXEC, "process:mysqldump@B");
	lab_edge(lab, "object:sql:helloRetail.creditCards", FP_EDGE_GET, "process:mysqldump@B");
	lab_edge(lab, "process:mysqldump@B", FP_EDGE_WRITE, "pipe:pipe");
	lab_edge(lab, "pipe:pipe", FP_EDGE_READ, "process:node@B");
	lab_edge(lab, "process:node@B", FP_EDGE_RETURNS, "request:B");
	lab_edge(lab, "request:B", FP_EDGE_RETURNS, "process:node@2");
	lab_edge(lab, "request:2", FP_EDGE_RETURNS, "client:192.0.2.7@2");
	/* the one chain: planted by A, run in B, out to the client of B's purchase */
	assert_true(lab_reaches(lab, "request:A", "request:B"));
	assert_true(lab_reaches(lab, "object:http://198.18.9.9/sqldump.sh", "client:192.0.2.7@2"));
	assert_true(lab_reaches(lab, "object:sql:helloRetail.creditCards", "client:192.0.2.7@2"));
	assert_false(lab_reaches(lab, "request:B", "request:A"));
}

static void check_benign(const struct lab *lab)
{
	static const char *const attack[] = {"request:A", "request:B", "request:1", "request:2"};

	for (const char *letter = BENIGN; *letter; letter++) {
		char request[] = "request:x", purchase[] = "request:x";

		request[8] = *letter;
		purchase[8] = (char)(*letter ^ 0x80);
		for (int i = 0; i < 4; i++) {
			assert_false(lab_reaches(lab, request, attack[i]));
			assert_false(lab_reaches(lab, attack[i], request));
			assert_false(lab_reaches(lab, purchase, attack[i]));
			assert_false(lab_reaches(lab, attack[i], purchase));
		}
		/* and not one with another */
		if (letter[1]) {
			char next[] = "request:x";

			next[8] = letter[1];
			assert_false(lab_reaches(lab, request, next));
		}
	}
}

static void check(const struct lab *lab)
{
	check_attack(lab);
	check_benign(lab);
	assert_int_equal(lab->n_requests, 2 * 20 + 4);
	/*
	 * start-up: two forks, two execs, two loads, one read;
	 * A: 8, connect, socket out and in (4), the URL got (2), the file made and written (2);
	 * B: 8, two forks, execs and loads (6), the script read, connect, query (5), pipe (2)
	 */
	lab_expect_edges(lab, 7 + 20 * BENIGN_EDGES + 17 + 23);
}

static void test_in_memory(void **state)
{
	fp_cleanup(lab_done) struct lab lab;

	lab_init(&lab);
	happen(&lab);
	lab_make(&lab);
	check(&lab);
	/* again, from what is held already */
	lab_make(&lab);
	check(&lab);
}

static void put_events(struct lab *lab, struct fp_store *store)
{
	struct fp_batch_header header = lab->header;
	struct fp_batch *batch;
	const uint8_t *frame;
	uint8_t hash[FP_BATCH_HASH_SIZE];
	size_t len;

	assert_int_equal(fp_batch_writer_new(&lab->writer), 0);
	happen(lab);
	assert_int_equal(fp_batch_writer_finish(lab->writer, &header, &frame, &len, hash), 0);
	assert_int_equal(fp_batch_open(frame, len, &batch), 0);
	assert_int_equal(fp_store_put_batch(store, frame, len, batch), 1);
	fp_batch_free(batch);
	lab->writer = fp_batch_writer_free(lab->writer);
}

static struct fp_stitcher stitcher_on(const char *path, volatile sig_atomic_t *stop)
{
	return (struct fp_stitcher){.url = path, .limits = {FP_STITCH_ITEMS_MAX, FP_STITCH_TEXT_MAX}, .stop = stop};
}

static void test_through_a_store(void **state)
{
	fp_cleanup(lab_done) struct lab lab;
	const char *path = fp_folder_path(state, "store.db");
	volatile sig_atomic_t stop = 0;
	struct fp_stitcher stitcher = stitcher_on(path, &stop);
	struct fp_store *store;
	struct fp_store_totals totals;

	fp_log_set_level(FP_LOG_WARNING);
	lab_init(&lab);
	assert_int_equal(fp_store_open(path, FP_STORE_CREATE, &store, NULL), 0);
	put_events(&lab, store);
	assert_int_equal(fp_stitcher_open(&stitcher), FP_EXIT_DONE);
	assert_int_equal(fp_stitcher_once(&stitcher), FP_EXIT_DONE);
	/* nothing is new now */
	assert_int_equal(fp_stitcher_once(&stitcher), FP_EXIT_NOTHING);
	assert_int_equal(fp_store_totals(store, &totals), 0);
	assert_int_equal(totals.stitched_batch, totals.last_batch);
	lab_take(&lab, store);
	check(&lab);
	assert_int_equal(totals.edges, lab.n_edges);
	assert_int_equal(totals.requests, lab.n_requests);
	/* made again on demand, with the same result */
	stitcher.rebuild = true;
	assert_int_equal(fp_stitcher_once(&stitcher), FP_EXIT_DONE);
	fp_store_totals(store, &totals);
	lab_take(&lab, store);
	check(&lab);
	fp_stitcher_close(&stitcher);
	fp_store_close(store);
}

/* What the writer holds, as the next batch of the lab's agent. */
static void put_batch(struct lab *lab, struct fp_store *store, struct fp_batch_header *header)
{
	struct fp_batch *batch;
	const uint8_t *frame;
	size_t len;

	assert_int_equal(fp_batch_writer_finish(lab->writer, header, &frame, &len, header->previous), 0);
	assert_int_equal(fp_batch_open(frame, len, &batch), 0);
	assert_int_equal(fp_store_put_batch(store, frame, len, batch), 1);
	fp_batch_free(batch);
	header->number++;
}

/* What a check by a stitcher that has seen nothing says, and its exit code. */
static int check_graph(const char *path, char text[512])
{
	volatile sig_atomic_t stop = 0;
	struct fp_stitcher stitcher = stitcher_on(path, &stop);
	FILE *out = fmemopen(text, 512, "w");
	int code;

	text[0] = '\0';
	stitcher.check = true;
	assert_int_equal(fp_stitcher_open(&stitcher), FP_EXIT_DONE);
	code = fp_stitcher_check(&stitcher, out);
	fclose(out);
	fp_stitcher_close(&stitcher);
	return code;
}

/* A graph that grew batch by batch is, row by row, that which is made of all at once: also while newer evidence waits. */
static void test_check_of_a_graph_that_grew(void **state)
{
	fp_cleanup(lab_done) struct lab lab;
	const char *path = fp_folder_path(state, "store.db");
	volatile sig_atomic_t stop = 0;
	struct fp_stitcher stitcher = stitcher_on(path, &stop);
	struct fp_batch_header header;
	struct fp_store *store;
	struct shop shop;
	char text[512];

	lab_init(&lab);
	header = lab.header;
	assert_int_equal(fp_batch_writer_new(&lab.writer), 0);
	assert_int_equal(fp_store_open(path, FP_STORE_CREATE, &store, NULL), 0);
	assert_int_equal(check_graph(path, text), FP_EXIT_NOTHING);
	assert_int_equal(fp_stitcher_open(&stitcher), FP_EXIT_DONE);
	start(&lab, &shop);
	for (const char *letter = BENIGN; *letter; letter++) {
		benign(&lab, &shop, *letter);
		put_batch(&lab, store, &header);
		if (header.number > 2)
			assert_int_equal(check_graph(path, text), FP_EXIT_DONE);
		assert_int_equal(fp_stitcher_once(&stitcher), FP_EXIT_DONE);
		assert_int_equal(check_graph(path, text), FP_EXIT_DONE);
		assert_string_equal(text, "");
	}
	lab.writer = fp_batch_writer_free(lab.writer);
	fp_stitcher_close(&stitcher);
	fp_store_close(store);
}

/* Puts the graph that is there once more, but for one row. */
struct lie {
	struct fp_store *store;
	enum { SWAP, DROP, ADD } what;
};

static int put_node(void *arg, const struct fp_store_node *node)
{
	return fp_store_graph_put_node(((struct lie *)arg)->store, node);
}

static int put_edge(void *arg, const struct fp_store_edge *row)
{
	struct lie *lie = arg;
	struct fp_store_edge edge = *row;

	if (edge.id == 9 && lie->what == DROP)
		return 0;
	if (edge.id == 9 && lie->what == SWAP) {
		edge.from = row->to;
		edge.to = row->from;
	}
	assert_int_equal(fp_store_graph_put_edge(lie->store, &edge), 0);
	if (edge.id != 9 || lie->what != ADD)
		return 0;
	edge.id = 100000;
	return fp_store_graph_put_edge(lie->store, &edge);
}

static int put_request(void *arg, const struct fp_store_request *request)
{
	return fp_store_graph_put_request(((struct lie *)arg)->store, request);
}

/* A graph that says something else in one row, and is sealed as the right one. */
static void test_check_of_a_graph_that_lies(void **state)
{
	static const char *const said[] = {[SWAP] = "edge 9 is not as the evidence says\n", [DROP] = "edge 9 is missing\n",
					   [ADD] = "edge 100000 is nothing that the evidence says\n"};
	fp_cleanup(lab_done) struct lab lab;
	const char *path = fp_folder_path(state, "store.db");
	volatile sig_atomic_t stop = 0;
	struct fp_stitcher stitcher = stitcher_on(path, &stop);
	struct lie lie;
	char text[512];

	lab_init(&lab);
	assert_int_equal(fp_store_open(path, FP_STORE_CREATE, &lie.store, NULL), 0);
	put_events(&lab, lie.store);
	stitcher.rebuild = true;
	assert_int_equal(fp_stitcher_open(&stitcher), FP_EXIT_DONE);
	for (lie.what = SWAP; lie.what <= ADD; lie.what++) {
		struct fp_store_totals totals;

		assert_int_equal(fp_stitcher_once(&stitcher), FP_EXIT_DONE);
		assert_int_equal(check_graph(path, text), FP_EXIT_DONE);
		assert_int_equal(fp_store_totals(lie.store, &totals), 0);
		assert_int_equal(fp_store_graph_begin(lie.store), 0);
		assert_int_equal(fp_store_each_node(lie.store, put_node, &lie), 0);
		assert_int_equal(fp_store_each_edge(lie.store, put_edge, &lie), 0);
		assert_int_equal(fp_store_each_request(lie.store, put_request, &lie), 0);
		assert_int_equal(fp_store_graph_commit(lie.store, totals.stitched_batch), 0);
		assert_int_equal(fp_store_sealed(lie.store, true), 1);
		assert_int_equal(check_graph(path, text), FP_EXIT_INPUT);
		assert_string_equal(text, said[lie.what]);
	}
	fp_stitcher_close(&stitcher);
	fp_store_close(lie.store);
}

static void test_interrupted_leaves_the_former_graph(void **state)
{
	fp_cleanup(lab_done) struct lab lab;
	const char *path = fp_folder_path(state, "store.db");
	volatile sig_atomic_t stop = 0;
	struct fp_stitcher stitcher = stitcher_on(path, &stop);
	struct fp_store *store;
	struct fp_chain chain;

	lab_init(&lab);
	assert_int_equal(fp_store_open(path, FP_STORE_CREATE, &store, NULL), 0);
	put_events(&lab, store);
	assert_int_equal(fp_stitcher_open(&stitcher), FP_EXIT_DONE);
	assert_int_equal(fp_stitcher_once(&stitcher), FP_EXIT_DONE);
	fp_chain_init(&chain, 9);
	fp_chain_store(&chain, store, 3, 10);
	fp_chain_done(&chain);
	stop = 1;
	assert_int_equal(fp_stitcher_once(&stitcher), FP_EXIT_SYSTEM);
	lab_take(&lab, store);
	check(&lab);
	stop = 0;
	assert_int_equal(fp_stitcher_once(&stitcher), FP_EXIT_DONE);
	fp_stitcher_close(&stitcher);
	fp_store_close(store);
}

static void test_store_that_is_none(void **state)
{
	volatile sig_atomic_t stop = 0;
	struct fp_stitcher stitcher = stitcher_on(fp_folder_path(state, "nothing.db"), &stop);

	assert_int_equal(fp_stitcher_open(&stitcher), FP_EXIT_INPUT);
	fp_stitcher_close(&stitcher);
}

static void test_too_many_events(void **state)
{
	fp_cleanup(lab_done) struct lab lab;
	const char *path = fp_folder_path(state, "store.db");
	volatile sig_atomic_t stop = 0;
	struct fp_stitcher stitcher = stitcher_on(path, &stop);
	struct fp_store *store;

	lab_init(&lab);
	assert_int_equal(fp_store_open(path, FP_STORE_CREATE, &store, NULL), 0);
	put_events(&lab, store);
	stitcher.limits.items = 100;
	assert_int_equal(fp_stitcher_open(&stitcher), FP_EXIT_DONE);
	assert_int_equal(fp_stitcher_once(&stitcher), FP_EXIT_INPUT);
	fp_stitcher_close(&stitcher);
	fp_store_close(store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_memory),
		cmocka_unit_test_setup_teardown(test_through_a_store, fp_folder_setup, fp_folder_teardown),
		cmocka_unit_test_setup_teardown(test_check_of_a_graph_that_grew, fp_folder_setup, fp_folder_teardown),
		cmocka_unit_test_setup_teardown(test_check_of_a_graph_that_lies, fp_folder_setup, fp_folder_teardown),
		cmocka_unit_test_setup_teardown(test_interrupted_leaves_the_former_graph, fp_folder_setup, fp_folder_teardown),
		cmocka_unit_test_setup_teardown(test_store_that_is_none, fp_folder_setup, fp_folder_teardown),
		cmocka_unit_test_setup_teardown(test_too_many_events, fp_folder_setup, fp_folder_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Processes that are killed while they write, and others that read meanwhile. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/tests/util.h"

static struct fp_store *open_store(void **state, enum fp_store_mode mode)
{
	struct fp_store *store;
	char error[256];

	if (fp_store_open(fp_folder_path(state, "s.db"), mode, &store, error) < 0)
		fail_msg("%s", error);
	return store;
}

static void pause_us(unsigned us)
{
	struct timespec time = {us / 1000000, (long)(us % 1000000) * 1000};

	nanosleep(&time, NULL);
}

static void wait_killed(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* --- evidence ------------------------------------------------------------------- */

/* Goes on with the agent's chain, and tells each number through the pipe once its put has returned. */
static void write_forever(void **state, bool groups, int tell)
{
	struct fp_store *store;
	struct fp_chain chain;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	store = open_store(state, FP_STORE_CREATE);
	fp_chain_init(&chain, 0xaa);
	if (fp_store_last_batch(store, chain.header.agent, &chain.header.number, chain.header.previous) < 0)
		_exit(1);
	chain.header.number++;
	for (;;) {
		uint64_t last;

		if (groups && fp_store_group_begin(store) < 0)
			_exit(1);
		for (int i = 0; i < (groups ? 4 : 1); i++) {
			size_t len;
			uint8_t *frame = fp_chain_next(&chain, 50, 42, &len);

			if (fp_chain_put(store, frame, len) != 1)
				_exit(1);
			free(frame);
		}
		if (groups && fp_store_group_commit(store) < 0)
			_exit(1);
		last = chain.header.number - 1;
		if (write(tell, &last, sizeof(last)) != sizeof(last))
			_exit(1);
	}
}

struct walk {
	uint64_t n;
	uint8_t hash[FP_BATCH_HASH_SIZE];
};

static int walk_chain(void *arg, uint64_t id, const uint8_t *frame, size_t len)
{
	struct walk *walk = arg;
	struct fp_batch_header header;

	assert_int_equal(fp_batch_peek(frame, len, &header), 0);
	assert_int_equal(header.number, ++walk->n);
	assert_memory_equal(header.previous, walk->hash, sizeof(walk->hash));
	fp_batch_hash(frame, len, walk->hash);
	return 0;
}

static void test_writer_killed(void **state)
{
	uint64_t told = 0;

	srandom(3);
	/* longer and longer: on a busy machine it takes a while to write anything */
	for (unsigned round = 0; round < 30 || (told < 100 && round < 200); round++) {
		struct fp_store *store;
		struct walk walk = {0};
		int tell[2];
		pid_t pid;

		assert_int_equal(pipe(tell), 0);
		pid = fork();
		if (pid == 0)
			write_forever(state, round % 2, tell[1]);
		close(tell[1]);
		pause_us(2000 + (unsigned)random() % (3000 * (round + 1)));
		wait_killed(pid);
		while (read(tell[0], &walk.n, sizeof(walk.n)) == sizeof(walk.n))
			told = walk.n;
		close(tell[0]);
		if (access(fp_folder_path(state, "s.db"), F_OK) < 0)
			continue;
		/* first as a reader, who must not repair, then as the next writer */
		for (int mode = FP_STORE_READ; mode <= FP_STORE_WRITE; mode++) {
			uint64_t number;
			uint8_t agent[16], hash[FP_BATCH_HASH_SIZE];

			store = open_store(state, (enum fp_store_mode)mode);
			walk = (struct walk){0};
			assert_int_equal(fp_store_each_batch(store, 0, walk_chain, &walk), 0);
			/* all that was acknowledged; and what was put just then may be there, or not */
			assert_true(walk.n >= told && walk.n <= told + 4);
			assert_int_equal(fp_store_check(store), 0);
			memset(agent, 0xaa, sizeof(agent));
			assert_int_equal(fp_store_last_batch(store, agent, &number, hash), 0);
			assert_int_equal(number, walk.n);
			fp_store_close(store);
		}
		told = walk.n;
	}
	assert_true(told >= 100);
}

/* Two writers in turns: neither loses anything, neither fails for the other. */
static void test_two_writers(void **state)
{
	pid_t pids[2];
	struct fp_store *store;
	struct fp_store_totals totals;

	fp_store_close(open_store(state, FP_STORE_CREATE));
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct fp_chain chain;

			store = open_store(state, FP_STORE_WRITE);
			fp_chain_init(&chain, (uint8_t)(i + 1));
			fp_chain_store(&chain, store, 60, 5);
			fp_store_close(store);
			_exit(0);
		}
	}
	for (int i = 0; i < 2; i++) {
		int status;

		waitpid(pids[i], &status, 0);
		assert_int_equal(status, 0);
	}
	store = open_store(state, FP_STORE_READ);
	assert_int_equal(fp_store_totals(store, &totals), 0);
	assert_int_equal(totals.batches, 120);
	fp_store_close(store);
}

/* Many begin with no store at once: one is made, all use it. */
static void test_creators_race(void **state)
{
	for (int round = 0; round < 10; round++) {
		struct fp_store_totals totals;
		struct fp_store *store;
		pid_t pids[6];

		for (int i = 0; i < 6; i++) {
			pids[i] = fork();
			if (pids[i] == 0) {
				struct fp_chain chain;

				store = open_store(state, FP_STORE_CREATE);
				fp_chain_init(&chain, (uint8_t)(i + 1));
				fp_chain_store(&chain, store, 2, 2);
				fp_store_close(store);
				_exit(0);
			}
		}
		for (int i = 0; i < 6; i++) {
			int status;

			waitpid(pids[i], &status, 0);
			assert_int_equal(status, 0);
		}
		store = open_store(state, FP_STORE_READ);
		assert_int_equal(fp_store_totals(store, &totals), 0);
		assert_int_equal(totals.batches, 12);
		fp_store_close(store);
		assert_string_equal(fp_folder_list(state), "s.db");
		unlink(fp_folder_path(state, "s.db"));
	}
}

/* --- graph ------------------------------------------------------------------------ */

/* Generation g: 200 + g % 50 nodes with the label g, a star of edges with the count g. */
static void put_generation(struct fp_store *store, uint64_t g)
{
	uint64_t n = 200 + g % 50;
	char label[32], key[32];

	if (fp_store_graph_begin(store) < 0)
		_exit(2);
	snprintf(label, sizeof(label), "%llu", (unsigned long long)g);
	for (uint64_t i = 1; i <= n; i++) {
		struct fp_store_node node = {.id = i, .kind = FP_NODE_FILE, .key = key, .label = label};
		struct fp_store_edge edge = {.id = i, .from = i, .to = 1, .kind = FP_EDGE_READ, .count = g};

		snprintf(key, sizeof(key), "%llu", (unsigned long long)i);
		if (fp_store_graph_put_node(store, &node) < 0 || fp_store_graph_put_edge(store, &edge) < 0)
			_exit(2);
	}
	if (fp_store_graph_commit(store, g) < 0)
		_exit(2);
}

static void replace_forever(void **state)
{
	struct fp_store_totals totals;
	struct fp_store *store;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	store = open_store(state, FP_STORE_WRITE);
	if (fp_store_totals(store, &totals) < 0)
		_exit(1);
	for (uint64_t g = totals.stitched_batch + 1;; g++)
		put_generation(store, g);
}

struct look {
	uint64_t generation, nodes, edges;
};

static int look_node(void *arg, const struct fp_store_node *node)
{
	struct look *look = arg;

	look->nodes++;
	if (!look->generation)
		look->generation = strtoull(node->label, NULL, 10);
	assert_int_equal(strtoull(node->label, NULL, 10), look->generation);
	return 0;
}

static int look_edge(void *arg, const struct fp_store_edge *edge)
{
	struct look *look = arg;

	look->edges++;
	assert_int_equal(edge->count, look->generation);
	return 0;
}

/* The whole graph, in three queries: of one generation, and complete. */
static uint64_t look_at_graph(struct fp_store *store)
{
	struct look look = {0};

	assert_int_equal(fp_store_each_node(store, look_node, &look), 0);
	assert_int_equal(fp_store_edges_into(store, 1, look_edge, &look), 0);
	assert_int_equal(look.nodes, 200 + look.generation % 50);
	assert_int_equal(look.edges, look.nodes);
	pause_us(1000);
	assert_int_equal(fp_store_each_edge(store, look_edge, &look), 0);
	assert_int_equal(look.edges, 2 * look.nodes);
	return look.generation;
}

static void test_graph_replaced(void **state)
{
	struct fp_store *store = open_store(state, FP_STORE_CREATE);
	uint64_t first = 0, last = 0;
	pid_t pid;

	put_generation(store, 1);
	fp_store_close(store);
	pid = fork();
	if (pid == 0)
		replace_forever(state);
	for (unsigned i = 0; i < 50 || (last < first + 4 && i < 500); i++) {
		struct fp_store_totals totals;
		uint64_t generation;

		store = open_store(state, FP_STORE_READ);
		generation = look_at_graph(store);
		assert_true(generation >= last);
		if (!first)
			first = generation;
		last = generation;
		/* an answer goes on with the graph it began with; the totals go on to the newest */
		pause_us(5000);
		assert_int_equal(look_at_graph(store), generation);
		if (fp_store_totals(store, &totals) == -EBUSY) {
			/* it was opened before there was a writer, without locks */
			assert_int_equal(i, 0);
			fp_store_close(store);
			continue;
		}
		assert_true(totals.stitched_batch >= generation);
		assert_int_equal(look_at_graph(store), totals.stitched_batch);
		fp_store_close(store);
	}
	assert_true(last >= first + 4);
	wait_killed(pid);
}

static void test_replacer_killed(void **state)
{
	struct fp_store *store = open_store(state, FP_STORE_CREATE);
	uint64_t last = 1;

	put_generation(store, 1);
	fp_store_close(store);
	for (unsigned i = 0; i < 30 || (last < 5 && i < 200); i++) {
		pid_t pid = fork();
		uint64_t generation;

		if (pid == 0)
			replace_forever(state);
		pause_us(1000 + (unsigned)random() % (3000 * (i + 1)));
		wait_killed(pid);
		store = open_store(state, FP_STORE_READ);
		generation = look_at_graph(store);
		assert_true(generation >= last);
		assert_int_equal(fp_store_check(store), 0);
		/* wherever it was killed, the graph that is there is sealed */
		assert_int_equal(fp_store_check_graph(store), 1);
		last = generation;
		fp_store_close(store);
	}
	assert_true(last >= 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fp_folder_setup, fp_folder_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_writer_killed),
		TEST(test_two_writers),
		TEST(test_creators_race),
		TEST(test_graph_replaced),
		TEST(test_replacer_killed),
	};

	return cmocka_run_group_tests_name("store_crash", tests, NULL, NULL);
}

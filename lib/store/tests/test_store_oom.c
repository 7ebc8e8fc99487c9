/* The n-th allocation of ours or of SQLite's fails, for each n: an error, no leak, and a store as good as before. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "store/tests/util.h"

/* The linker sends this program's allocations here (--wrap). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static unsigned until_failure; /* 0: none fails */
static sqlite3_mem_methods methods;

static bool fails(void)
{
	return until_failure > 0 && --until_failure == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

static void *sqlite_malloc(int size)
{
	return fails() ? NULL : methods.xMalloc(size);
}

static void *sqlite_realloc(void *old, int size)
{
	return fails() ? NULL : methods.xRealloc(old, size);
}

struct scene {
	void **state;
	uint8_t *frames[4];
	size_t lens[4];
	uint64_t stored; /* batches, as acknowledged */
};

static int count_batch(void *arg, uint64_t id, const uint8_t *frame, size_t len)
{
	++*(uint64_t *)arg;
	return 0;
}

static int count_node(void *arg, const struct fp_store_node *node)
{
	++*(uint64_t *)arg;
	return 0;
}

static int put_frame(struct fp_store *store, const uint8_t *frame, size_t len)
{
	struct fp_batch *batch = NULL;
	int r = fp_batch_open(frame, len, &batch);

	if (r == 0)
		r = fp_store_put_batch(store, frame, len, batch);
	fp_batch_free(batch);
	return r;
}

static int put_graph(struct fp_store *store)
{
	struct fp_store_node node = {.id = 1, .kind = FP_NODE_FILE, .key = "k", .label = "l"};
	struct fp_store_edge edge = {.id = 1, .from = 1, .to = 1, .kind = FP_EDGE_READ};
	int r = fp_store_graph_begin(store);

	if (r == 0)
		r = fp_store_graph_put_node(store, &node);
	if (r == 0)
		r = fp_store_graph_put_edge(store, &edge);
	return r == 0 ? fp_store_graph_commit(store, 1) : r;
}

static int play(struct scene *scene)
{
	struct fp_store *store;
	struct fp_store_totals totals;
	uint64_t n = 0;
	char error[256];
	int r = fp_store_open(fp_folder_path(scene->state, "s.db"), FP_STORE_CREATE, &store, error);

	if (r < 0)
		return r;
	for (int i = 0; i < 4 && r >= 0; i++) {
		r = put_frame(store, scene->frames[i], scene->lens[i]);
		if (r == 1)
			scene->stored++;
	}
	if (r >= 0)
		r = put_graph(store);
	if (r == 0)
		r = fp_store_each_batch(store, 0, count_batch, &n);
	if (r == 0)
		r = fp_store_find_nodes(store, 0, "l", count_node, &n);
	if (r == 0)
		r = fp_store_totals(store, &totals);
	if (r == 0)
		assert_int_equal(n, 5);
	fp_store_close(store);
	return r;
}

/* What was acknowledged is there, and the store is in order. */
static void check(struct scene *scene)
{
	struct fp_store *store;
	uint64_t n = 0;
	char error[256];

	if (access(fp_folder_path(scene->state, "s.db"), F_OK) < 0) {
		assert_int_equal(scene->stored, 0);
		return;
	}
	assert_int_equal(fp_store_open(fp_folder_path(scene->state, "s.db"), FP_STORE_READ, &store, error), 0);
	assert_int_equal(fp_store_check(store), 0);
	assert_int_equal(fp_store_each_batch(store, 0, count_batch, &n), 0);
	assert_int_equal(n, scene->stored);
	fp_store_close(store);
}

static void test_everything(void **state)
{
	struct scene scene = {.state = state};
	struct fp_chain chain;
	unsigned n, errors = 0;

	fp_chain_init(&chain, 1);
	for (int i = 0; i < 4; i++)
		scene.frames[i] = fp_chain_next(&chain, 3, 42, &scene.lens[i]);
	/* all of opening; then in steps, for each round syncs the disk several times */
	for (n = 1;; n += n < 150 ? 1 : 11) {
		bool through;
		int r;

		scene.stored = 0;
		until_failure = n;
		r = play(&scene);
		through = until_failure > 0;
		until_failure = 0;
		/* some failures are made up for: a cache that stays small, a statement prepared again */
		assert_true(r == 0 || (r == -ENOMEM && !through));
		errors += r < 0;
		check(&scene);
		unlink(fp_folder_path(state, "s.db"));
		unlink(fp_folder_path(state, "s.db-graph"));
		/* left when there was no memory to close properly, as after a crash; the next opening makes them good */
		unlink(fp_folder_path(state, "s.db-wal"));
		unlink(fp_folder_path(state, "s.db-shm"));
		assert_string_equal(fp_folder_list(state), "");
		if (through)
			break;
	}
	assert_true(errors > 100);
	for (int i = 0; i < 4; i++)
		free(scene.frames[i]);
	fp_chain_done(&chain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_everything, fp_folder_setup, fp_folder_teardown),
	};
	sqlite3_mem_methods failing;

	/* no pools of its own: each allocation goes through ours */
	sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
	sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
	sqlite3_config(SQLITE_CONFIG_GETMALLOC, &methods);
	failing = methods;
	failing.xMalloc = sqlite_malloc;
	failing.xRealloc = sqlite_realloc;
	sqlite3_config(SQLITE_CONFIG_MALLOC, &failing);
	return cmocka_run_group_tests_name("store_oom", tests, NULL, NULL);
}

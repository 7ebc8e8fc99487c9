/* Files that are not whole any more, and disks that cannot take more: what is given out is right, or an error. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "store/sqlite.h"
#include "store/tests/util.h"

#define BATCHES 30
#define NODES 400

static struct fp_store *open_store(void **state, enum fp_store_mode mode)
{
	struct fp_store *store;
	char error[256];

	if (fp_store_open(fp_folder_path(state, "s.db"), mode, &store, error) < 0)
		fail_msg("%s", error);
	return store;
}

static void put_graph(struct fp_store *store, uint64_t nodes)
{
	assert_int_equal(fp_store_graph_begin(store), 0);
	for (uint64_t i = 1; i <= nodes; i++) {
		char key[32];
		struct fp_store_node node = {.id = i, .kind = FP_NODE_FILE, .key = key, .label = "some file or other"};
		struct fp_store_edge edge = {.id = i, .from = i, .to = 1, .kind = FP_EDGE_READ, .attributes = "{}"};

		snprintf(key, sizeof(key), "file:%llu", (unsigned long long)i);
		assert_int_equal(fp_store_graph_put_node(store, &node), 0);
		assert_int_equal(fp_store_graph_put_edge(store, &edge), 0);
	}
	assert_int_equal(fp_store_graph_commit(store, BATCHES), 0);
}

/* A store with evidence and a graph; the frames' hashes are kept to compare. */
static uint8_t hashes[BATCHES][FP_BATCH_HASH_SIZE];

static void make_store(void **state)
{
	struct fp_store *store = open_store(state, FP_STORE_CREATE);
	struct fp_chain chain;

	fp_chain_init(&chain, 0xaa);
	for (int i = 0; i < BATCHES; i++) {
		fp_chain_store(&chain, store, 1, 30);
		memcpy(hashes[i], chain.header.previous, sizeof(hashes[i]));
	}
	put_graph(store, NODES);
	fp_store_close(store);
	fp_chain_done(&chain);
}

static int check_frame(void *arg, uint64_t id, const uint8_t *frame, size_t len)
{
	uint8_t hash[FP_BATCH_HASH_SIZE];

	assert_true(id >= 1 && id <= BATCHES);
	fp_batch_hash(frame, len, hash);
	assert_memory_equal(hash, hashes[id - 1], sizeof(hash));
	++*(int *)arg;
	return 0;
}

static int count_node(void *arg, const struct fp_store_node *node)
{
	assert_non_null(fp_node_kind_name(node->kind));
	++*(int *)arg;
	return 0;
}

static int count_edge(void *arg, const struct fp_store_edge *edge)
{
	assert_non_null(fp_edge_kind_name(edge->kind));
	++*(int *)arg;
	return 0;
}

static void read_file(const char *path, struct fp_buffer *out)
{
	FILE *file = fopen(path, "r");
	size_t n;

	assert_non_null(file);
	fp_buffer_clear(out);
	while ((n = fread(fp_buffer_reserve(out, 65536), 1, 65536, file)) > 0)
		out->len += n;
	fclose(file);
}

static void write_file(const char *path, const char *data, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

/* All that a reader can ask; 0 when everything was answered in full, else the first error. */
static int read_all(void **state)
{
	struct fp_store *store;
	char error[256];
	int frames = 0, nodes = 0, edges = 0, check, r = fp_store_open(fp_folder_path(state, "s.db"), FP_STORE_READ, &store, error);

	if (r < 0) {
		assert_true(strlen(error) > 10);
		return r;
	}
	check = fp_store_check(store);
	if (check == 0)
		check = fp_store_check_graph(store);
	r = fp_store_each_batch(store, 0, check_frame, &frames);
	if (r == 0 && frames != BATCHES)
		r = check < 0 ? check : 1;
	if (r == 0)
		r = fp_store_each_node(store, count_node, &nodes);
	if (r == 0)
		r = fp_store_each_edge(store, count_edge, &edges);
	if (r == 0 && (nodes != NODES || edges != NODES))
		r = check < 0 ? check : 1;
	fp_store_close(store);
	return r;
}

static void test_truncated(void **state)
{
	struct fp_buffer whole = FP_BUFFER_INIT, back = FP_BUFFER_INIT;
	const char *names[] = {"s.db", "s.db-graph"};

	make_store(state);
	assert_int_equal(read_all(state), 0);
	for (int i = 0; i < 2; i++) {
		const char *path = strdup(fp_folder_path(state, names[i]));

		read_file(path, &whole);
		for (size_t cut = 0; cut < whole.len; cut += cut < 300 || cut % 4096 == 4095 || cut % 4096 == 0 ? 1 : 455) {
			write_file(path, whole.data, cut);
			assert_int_equal(read_all(state), -EBADMSG);
			read_file(path, &back);
			assert_int_equal(back.len, cut);
			assert_string_equal(fp_folder_list(state), "s.db s.db-graph");
		}
		write_file(path, whole.data, whole.len);
		assert_int_equal(read_all(state), 0);
		free((void *)path);
	}
	fp_buffer_done(&whole);
	fp_buffer_done(&back);
}

/* Bytes changed anywhere: an error, or the right answer (free space, or what nobody asked for), never a wrong one. */
static void test_scribbled(void **state)
{
	struct fp_buffer whole = FP_BUFFER_INIT, copy = FP_BUFFER_INIT, back = FP_BUFFER_INIT;
	const char *names[] = {"s.db", "s.db-graph"};
	int errors = 0;

	make_store(state);
	srandom(11);
	for (int i = 0; i < 2; i++) {
		const char *path = strdup(fp_folder_path(state, names[i]));

		read_file(path, &whole);
		for (int round = 0; round < 250; round++) {
			size_t at = (size_t)random() % whole.len, len = 1u << random() % 13;
			int r;

			fp_buffer_clear(&copy);
			fp_buffer_add(&copy, whole.data, whole.len);
			for (size_t k = at; k < at + len && k < copy.len; k++)
				copy.data[k] = (char)random();
			write_file(path, copy.data, copy.len);
			r = read_all(state);
			/* -EPROTO: the version; a graph of other evidence is none, hence 1 */
			assert_true(r == 0 || r == -EBADMSG || r == -EPROTO || (i == 1 && r == 1));
			errors += r != 0;
			read_file(path, &back);
			assert_int_equal(back.len, copy.len);
			assert_memory_equal(back.data, copy.data, copy.len);
		}
		write_file(path, whole.data, whole.len);
		free((void *)path);
	}
	assert_true(errors > 100);
	fp_buffer_done(&whole);
	fp_buffer_done(&back);
	fp_buffer_done(&copy);
}

/* A damaged graph does not touch the evidence, and is replaced by the next. */
static void test_graph_heals(void **state)
{
	struct fp_store *store;
	int n = 0;

	make_store(state);
	write_file(fp_folder_path(state, "s.db-graph"), "nonsense", 8);
	store = open_store(state, FP_STORE_WRITE);
	assert_int_equal(fp_store_each_node(store, count_node, &n), -EBADMSG);
	assert_non_null(strstr(fp_store_error(store), "s.db-graph"));
	assert_int_equal(fp_store_each_batch(store, 0, check_frame, &n), 0);
	assert_int_equal(n, BATCHES);
	put_graph(store, NODES);
	fp_store_close(store);
	assert_int_equal(read_all(state), 0);
}

/* --- no space ------------------------------------------------------------------- */

/* Puts until there is no space, and looks that everything put before is there and right. */
static void fill(void **state, struct fp_store *store, bool groups)
{
	struct fp_store_totals totals;
	struct fp_chain chain;
	uint64_t put = 0, tried = 0;
	int r = 0;

	fp_chain_init(&chain, groups ? 2 : 1);
	while (r == 0 && tried < 3000) {
		uint64_t in_group = 0;

		if (groups)
			r = fp_store_group_begin(store);
		for (int i = 0; i < (groups ? 5 : 1) && r == 0; i++) {
			size_t len;
			uint8_t *frame = fp_chain_next(&chain, 200, 42, &len);

			tried++;
			r = fp_chain_put(store, frame, len);
			in_group += r == 1;
			r = r == 1 ? 0 : r;
			free(frame);
		}
		if (groups && r == 0)
			r = fp_store_group_commit(store);
		else if (groups)
			assert_int_equal(fp_store_group_abort(store), 0);
		put += r == 0 ? in_group : 0;
	}
	assert_int_equal(r, -ENOSPC);
	assert_non_null(strstr(fp_store_error(store), "no space left"));
	assert_true(put > 3);
	assert_int_equal(fp_store_totals(store, &totals), 0);
	assert_int_equal(totals.batches, put);
	assert_int_equal(fp_store_check(store), 0);
	fp_chain_done(&chain);
}

static void test_page_limit(void **state)
{
	for (int groups = 0; groups < 2; groups++) {
		struct fp_store *store = open_store(state, FP_STORE_CREATE);

		assert_int_equal(fp_sqlite_exec(fp_sqlite_of(store), &fp_sqlite_of(store)->evidence,
						"PRAGMA max_page_count = 120"), 0);
		fill(state, store, groups);
		/* with room again it goes on */
		assert_int_equal(fp_sqlite_exec(fp_sqlite_of(store), &fp_sqlite_of(store)->evidence,
						"PRAGMA max_page_count = 100000"), 0);
		{
			struct fp_chain chain;

			fp_chain_init(&chain, 7);
			fp_chain_store(&chain, store, 3, 3);
			fp_chain_done(&chain);
		}
		fp_store_close(store);
		unlink(fp_folder_path(state, "s.db"));
	}
}

/* Runs fn in a child with a mount namespace of its own; its failed assertions are ours.  Skips without privilege. */
static void in_namespace(void **state, void (*fn)(void **state))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			_exit(77);
		fn(state);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void fill_small_disk(void **state)
{
	struct fp_store *store;
	int n = 0;

	if (mount("none", *state, "tmpfs", 0, "size=1500k") < 0)
		_exit(77);
	store = open_store(state, FP_STORE_CREATE);
	put_graph(store, NODES);
	fill(state, store, false);
	/* a graph that does not fit leaves the former */
	assert_int_equal(fp_store_graph_begin(store), -ENOSPC);
	assert_int_equal(fp_store_each_node(store, count_node, &n), 0);
	assert_int_equal(n, NODES);
	assert_string_equal(fp_folder_list(state), "s.db s.db-graph s.db-shm s.db-wal");
	fp_store_close(store);
}

static void test_small_disk(void **state)
{
	in_namespace(state, fill_small_disk);
}

/* --- read-only media ----------------------------------------------------------------- */

static void make_read_only(void **state)
{
	if (mount(*state, *state, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, *state, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) < 0)
		_exit(77);
}

static void read_clean(void **state)
{
	struct fp_store *store;
	char error[256];

	make_store(state);
	make_read_only(state);
	assert_int_equal(read_all(state), 0);
	assert_int_equal(fp_store_open(fp_folder_path(state, "s.db"), FP_STORE_WRITE, &store, error), -EROFS);
	assert_int_equal(fp_store_open(fp_folder_path(state, "new.db"), FP_STORE_CREATE, &store, error), -EROFS);
}

/* The machine of a writer that died: the newest batches are in the log only. */
static void read_crashed(void **state)
{
	pid_t pid;
	int status;

	pid = fork();
	if (pid == 0) {
		struct fp_store *store = open_store(state, FP_STORE_CREATE);
		struct fp_chain chain;

		fp_chain_init(&chain, 0xaa);
		fp_chain_store(&chain, store, BATCHES, 30);
		put_graph(store, NODES);
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);
	assert_string_equal(fp_folder_list(state), "s.db s.db-graph s.db-shm s.db-wal");
	make_read_only(state);
	assert_int_equal(read_all(state), 0);
}

static void test_read_only_media(void **state)
{
	in_namespace(state, read_clean);
}

static void test_read_only_crashed(void **state)
{
	/* the same frames as the writer will make */
	make_store(state);
	unlink(fp_folder_path(state, "s.db"));
	unlink(fp_folder_path(state, "s.db-graph"));
	in_namespace(state, read_crashed);
}

/* The log without its index: said, not left out in silence. */
static void test_log_alone(void **state)
{
	struct fp_store *store = open_store(state, FP_STORE_CREATE), *reader;
	struct fp_buffer file = FP_BUFFER_INIT;
	struct fp_chain chain;
	char error[256];

	fp_chain_init(&chain, 1);
	fp_chain_store(&chain, store, 2, 2);
	read_file(fp_folder_path(state, "s.db"), &file);
	write_file(fp_folder_path(state, "copy.db"), file.data, file.len);
	read_file(fp_folder_path(state, "s.db-wal"), &file);
	write_file(fp_folder_path(state, "copy.db-wal"), file.data, file.len);
	fp_store_close(store);
	assert_int_equal(fp_store_open(fp_folder_path(state, "copy.db"), FP_STORE_READ, &reader, error), -EROFS);
	assert_non_null(strstr(error, "copy.db-wal"));
	assert_string_equal(fp_folder_list(state), "copy.db copy.db-wal s.db");
	/* as it says */
	assert_int_equal(fp_store_open(fp_folder_path(state, "copy.db"), FP_STORE_WRITE, &reader, error), 0);
	fp_store_close(reader);
	assert_int_equal(fp_store_open(fp_folder_path(state, "copy.db"), FP_STORE_READ, &reader, error), 0);
	fp_store_close(reader);
	fp_chain_done(&chain);
	fp_buffer_done(&file);
}

/* Nobody changes evidence, not even with SQL at hand. */
static void test_append_only(void **state)
{
	struct fp_store *store;
	struct fp_sqlite *sqlite;
	int n = 0;

	make_store(state);
	store = open_store(state, FP_STORE_WRITE);
	sqlite = fp_sqlite_of(store);
	assert_true(fp_sqlite_exec(sqlite, &sqlite->evidence, "DELETE FROM batch") < 0);
	assert_true(fp_sqlite_exec(sqlite, &sqlite->evidence, "UPDATE batch SET frame = x'00' WHERE id = 3") < 0);
	assert_int_equal(fp_store_each_batch(store, 0, check_frame, &n), 0);
	assert_int_equal(n, BATCHES);
	/* with the guard gone, the hash tells */
	assert_int_equal(fp_sqlite_exec(sqlite, &sqlite->evidence,
					"DROP TRIGGER batch_same; UPDATE batch SET frame = x'00' WHERE id = 3"), 0);
	n = 0;
	assert_int_equal(fp_store_each_batch(store, 0, check_frame, &n), -EBADMSG);
	assert_int_equal(n, 2);
	assert_non_null(strstr(fp_store_error(store), "batch 3 is not as it was stored"));
	n = 0;
	assert_int_equal(fp_store_each_batch(store, 3, check_frame, &n), 0);
	assert_int_equal(n, BATCHES - 3);
	fp_store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fp_folder_setup, fp_folder_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_truncated),
		TEST(test_scribbled),
		TEST(test_graph_heals),
		TEST(test_page_limit),
		TEST(test_small_disk),
		TEST(test_read_only_media),
		TEST(test_read_only_crashed),
		TEST(test_log_alone),
		TEST(test_append_only),
	};

	return cmocka_run_group_tests_name("store_damage", tests, NULL, NULL);
}

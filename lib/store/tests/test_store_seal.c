/*
 * The graph is the one that was made of this evidence, or it is told; what
 * stands beside the frames is what they say, or it is told.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "store/digest.h"
#include "store/sqlite.h"
#include "store/tests/util.h"

static struct fp_store *open_as(void **state, const char *name, enum fp_store_mode mode)
{
	struct fp_store *store;
	char error[256];

	if (fp_store_open(fp_folder_path(state, name), mode, &store, error) < 0)
		fail_msg("%s", error);
	return store;
}

static void make_graph(struct fp_store *store, const char *label)
{
	struct fp_store_node node = {.id = 1, .kind = FP_NODE_FILE, .key = "file:1", .label = label, .unit = FP_UNIT_BACKGROUND};
	struct fp_store_edge edge = {.id = 1, .from = 1, .to = 2, .kind = FP_EDGE_WRITE, .first = 5, .last = 9, .count = 1};

	assert_int_equal(fp_store_graph_begin(store), 0);
	assert_int_equal(fp_store_graph_put_node(store, &node), 0);
	node.id = 2;
	node.key = "file:2";
	assert_int_equal(fp_store_graph_put_node(store, &node), 0);
	assert_int_equal(fp_store_graph_put_edge(store, &edge), 0);
	assert_int_equal(fp_store_graph_commit(store, 2), 0);
}

/* Two batches of a request in a container, and a graph. */
static void make_store(void **state)
{
	struct fp_store *store = open_as(state, "s.db", FP_STORE_CREATE);
	struct fp_chain chain;

	fp_chain_init(&chain, 7);
	memset(chain.request, 0xab, sizeof(chain.request));
	fp_chain_store(&chain, store, 2, 4);
	fp_chain_done(&chain);
	make_graph(store, "/made/first");
	fp_store_close(store);
}

/* Both ways of looking: by what is seen of the file, and by reading it. */
static void expect_sealed(void **state, const char *name, int expected)
{
	struct fp_store *store = open_as(state, name, FP_STORE_READ);

	assert_int_equal(fp_store_sealed(store, false), expected);
	assert_int_equal(fp_store_sealed(store, true), expected);
	assert_int_equal(fp_store_check_graph(store), expected);
	if (expected < 0)
		assert_non_null(strstr(fp_store_error(store), "not the graph that was made of this evidence"));
	fp_store_close(store);
}

static void shell(void **state, const char *format, ...)
{
	char command[1024], whole[1200];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	snprintf(whole, sizeof(whole), "cd '%s' && %s", (const char *)*state, command);
	assert_int_equal(system(whole), 0);
}

/* As somebody would who can write the file. */
static void alter(void **state, const char *name, const char *sql)
{
	sqlite3 *handle;

	assert_int_equal(sqlite3_open(fp_folder_path(state, name), &handle), SQLITE_OK);
	if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
	sqlite3_close(handle);
}

static void test_as_it_was_made(void **state)
{
	struct fp_store *store = open_as(state, "s.db", FP_STORE_CREATE);

	/* none */
	assert_int_equal(fp_store_sealed(store, false), 0);
	assert_int_equal(fp_store_check_graph(store), 0);
	fp_store_close(store);
	make_store(state);
	expect_sealed(state, "s.db", 1);
	/* made anew; and beside a writer */
	store = open_as(state, "s.db", FP_STORE_WRITE);
	make_graph(store, "/made/later");
	expect_sealed(state, "s.db", 1);
	fp_store_close(store);
	expect_sealed(state, "s.db", 1);
}

/* A reader that had opened the store before the graph was made anew, without locks. */
static void test_made_anew_meanwhile(void **state)
{
	struct fp_store *reader, *store;

	make_store(state);
	reader = open_as(state, "s.db", FP_STORE_READ);
	assert_int_equal(fp_store_sealed(reader, false), 1);
	store = open_as(state, "s.db", FP_STORE_WRITE);
	make_graph(store, "/made/later");
	assert_int_equal(fp_store_sealed(reader, false), 1);
	fp_store_close(store);
	assert_int_equal(fp_store_sealed(reader, true), 1);
	fp_store_close(reader);
}

/* A copy is another file with other times, and says the same. */
static void test_copied(void **state)
{
	make_store(state);
	shell(state, "cp s.db c.db && cp s.db-graph c.db-graph");
	expect_sealed(state, "c.db", 1);
}

static void test_changed_by_one_byte(void **state)
{
	struct stat st;
	FILE *file;

	make_store(state);
	assert_int_equal(stat(fp_folder_path(state, "s.db-graph"), &st), 0);
	for (long at = 0; at < st.st_size; at += 97) {
		struct fp_store *store = open_as(state, "s.db", FP_STORE_READ);
		int byte;

		file = fopen(fp_folder_path(state, "s.db-graph"), "r+");
		assert_non_null(file);
		fseek(file, at, SEEK_SET);
		byte = fgetc(file);
		fseek(file, at, SEEK_SET);
		fputc(byte ^ 4, file);
		fclose(file);
		/* a header that makes no sense has other words for it */
		assert_in_set(fp_store_sealed(store, false), ((LargestIntegralType[]){cast_to_largest_integral_type(-EBADMSG),
				cast_to_largest_integral_type(-EPROTO)}), 2);
		file = fopen(fp_folder_path(state, "s.db-graph"), "r+");
		fseek(file, at, SEEK_SET);
		fputc(byte, file);
		fclose(file);
		/* as before, but for its time of change: it is read */
		assert_int_equal(fp_store_sealed(store, false), 1);
		fp_store_close(store);
	}
}

static void test_changed_rows(void **state)
{
	make_store(state);
	alter(state, "s.db-graph", "UPDATE edge SET \"from\" = 2, \"to\" = 1");
	expect_sealed(state, "s.db", -EBADMSG);
	/* what makes it anew mends it */
	struct fp_store *store = open_as(state, "s.db", FP_STORE_WRITE);

	make_graph(store, "/made/first");
	fp_store_close(store);
	expect_sealed(state, "s.db", 1);
}

/* Each was made of this evidence once, but only the last one counts. */
static void test_former_graph_put_back(void **state)
{
	struct fp_store *store;

	make_store(state);
	shell(state, "cp s.db-graph former");
	store = open_as(state, "s.db", FP_STORE_WRITE);
	make_graph(store, "/made/later");
	fp_store_close(store);
	shell(state, "cp s.db-graph later && cp former s.db-graph");
	expect_sealed(state, "s.db", -EBADMSG);
	shell(state, "mv later s.db-graph");
	expect_sealed(state, "s.db", 1);
}

/* Evidence of an earlier day put back under a later graph. */
static void test_former_evidence_put_back(void **state)
{
	struct fp_store *store;

	make_store(state);
	shell(state, "cp s.db former");
	store = open_as(state, "s.db", FP_STORE_WRITE);
	make_graph(store, "/made/later");
	fp_store_close(store);
	shell(state, "cp former s.db");
	expect_sealed(state, "s.db", -EBADMSG);
}

/* A builder that dies after the seal and before the graph is in its place: the former one is still sealed. */
static void test_death_between_seal_and_graph(void **state)
{
	make_store(state);
	alter(state, "s.db", "INSERT INTO seal (hash) VALUES (x'00112233')");
	expect_sealed(state, "s.db", 1);
}

/* --- the evidence -------------------------------------------------------------- */

struct look {
	struct fp_store *store;
	int batches, wrong;
};

static int look_beside(void *arg, uint64_t id, const uint8_t *frame, size_t len)
{
	struct look *look = arg;
	struct fp_batch *batch;
	int r;

	assert_int_equal(fp_batch_open(frame, len, &batch), 0);
	r = fp_store_check_batch(look->store, id, batch, len);
	assert_true(r == 0 || r == -EBADMSG);
	look->batches++;
	look->wrong += r < 0;
	fp_batch_free(batch);
	return 0;
}

static int count_wrong(void **state)
{
	struct look look = {open_as(state, "s.db", FP_STORE_READ), 0, 0};

	assert_int_equal(fp_store_each_batch(look.store, 0, look_beside, &look), 0);
	assert_int_equal(look.batches, 2);
	fp_store_close(look.store);
	return look.wrong;
}

/* Each thing that the store says of a batch and does not take from its frame at every question. */
static void test_what_stands_beside(void **state)
{
	static const char *const changes[] = {
		"UPDATE batch SET host = 'node-2' WHERE id = 2", "UPDATE batch SET boot = zeroblob(16) WHERE id = 2",
		"UPDATE batch SET first = first - 1 WHERE id = 2", "UPDATE batch SET last = last + 1 WHERE id = 2",
		"UPDATE batch SET events = 3 WHERE id = 2", "UPDATE batch SET bytes = bytes + 1 WHERE id = 2",
		"UPDATE batch SET number = 9 WHERE id = 2", "UPDATE batch SET agent = zeroblob(16) WHERE id = 2",
		"DELETE FROM request_batch WHERE batch = 2", "DELETE FROM instance_batch WHERE batch = 2",
	};

	make_store(state);
	assert_int_equal(count_wrong(state), 0);
	shell(state, "cp s.db whole");
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		alter(state, "s.db", "DROP TRIGGER batch_same");
		alter(state, "s.db", changes[i]);
		if (count_wrong(state) != 1)
			fail_msg("not noticed: %s", changes[i]);
		shell(state, "cp whole s.db");
	}
}

static void test_tables_that_are_not_ours(void **state)
{
	static const char *const changes[] = {
		"DROP TRIGGER batch_kept",
		"DROP TRIGGER batch_same",
		"DROP INDEX batch_time",
		"DROP INDEX batch_time; CREATE INDEX batch_time ON batch (first, last, events, bytes) WHERE first > 5",
		"CREATE TABLE more (x)",
		"CREATE TRIGGER silent BEFORE INSERT ON batch BEGIN SELECT raise(IGNORE); END",
	};

	make_store(state);
	shell(state, "cp s.db whole");
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct fp_store *store = open_as(state, "s.db", FP_STORE_READ);

		assert_int_equal(fp_store_check(store), 0);
		fp_store_close(store);
		alter(state, "s.db", changes[i]);
		store = open_as(state, "s.db", FP_STORE_READ);
		if (fp_store_check(store) != -EBADMSG)
			fail_msg("not noticed: %s", changes[i]);
		assert_non_null(strstr(fp_store_error(store), "guards"));
		fp_store_close(store);
		shell(state, "cp whole s.db");
	}
}

/* --- digests ---------------------------------------------------------------------- */

static int digest_read(void *arg, const struct fp_store_node *node)
{
	uint8_t(*digests)[FP_STORE_DIGEST_SIZE] = arg;

	fp_store_digest_node(node, digests[node->id - 1]);
	return 0;
}

/* A row says the same when it was put and when it is read again; a row that differs in anything has another digest. */
static void test_digests(void **state)
{
	struct fp_store_node node = {.id = 1, .kind = FP_NODE_FILE, .key = "file:1", .label = "/made/first",
				     .unit = FP_UNIT_BACKGROUND};
	struct fp_store *store;
	uint8_t put[FP_STORE_DIGEST_SIZE], other[FP_STORE_DIGEST_SIZE], read[2][FP_STORE_DIGEST_SIZE];

	make_store(state);
	store = open_as(state, "s.db", FP_STORE_READ);
	assert_int_equal(fp_store_each_node(store, digest_read, read), 0);
	fp_store_close(store);
	fp_store_digest_node(&node, put);
	assert_memory_equal(put, read[0], sizeof(put));
	assert_memory_not_equal(put, read[1], sizeof(put));
#define DIFFERS(member, value)                                        \
	do {                                                          \
		struct fp_store_node changed = node;                  \
		changed.member = value;                               \
		fp_store_digest_node(&changed, other);                \
		assert_memory_not_equal(put, other, sizeof(put));     \
	} while (0)
	DIFFERS(kind, FP_NODE_PIPE);
	DIFFERS(label, NULL);
	DIFFERS(label, "/made/firs");
	DIFFERS(label, "/made/firsT");
	DIFFERS(function, "");
	DIFFERS(instance, "x");
	DIFFERS(host, "x");
	DIFFERS(has_request, true);
	DIFFERS(unit, FP_UNIT_STARTUP);
	DIFFERS(first, 1);
	DIFFERS(last, 1);
	DIFFERS(attributes, "{}");
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, fp_folder_setup, fp_folder_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FOLDER(test_as_it_was_made),
		WITH_FOLDER(test_made_anew_meanwhile),
		WITH_FOLDER(test_copied),
		WITH_FOLDER(test_changed_by_one_byte),
		WITH_FOLDER(test_changed_rows),
		WITH_FOLDER(test_former_graph_put_back),
		WITH_FOLDER(test_former_evidence_put_back),
		WITH_FOLDER(test_death_between_seal_and_graph),
		WITH_FOLDER(test_what_stands_beside),
		WITH_FOLDER(test_tables_that_are_not_ours),
		WITH_FOLDER(test_digests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

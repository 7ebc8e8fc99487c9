#include "store/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/text.h"

/* Frames are long: a checkpoint each 16 MiB instead of each 4. */
#define WRITE_SETTINGS                          \
	"PRAGMA synchronous = FULL;"            \
	"PRAGMA wal_autocheckpoint = 4096;"     \
	"PRAGMA journal_size_limit = 67108864"

static void sqlite_close(struct fp_store *base)
{
	struct fp_sqlite *store = fp_sqlite_of(base);

	if (store->build_lock >= 0)
		fp_sqlite_graph_abort(base);
	fp_sqlite_close_db(&store->graph);
	fp_sqlite_close_db(&store->evidence);
	free(store->evidence.path);
	free(store->graph.path);
	free(store->build.path);
	free(store->wal_path);
	free(store);
}

static struct fp_sqlite *new_handle(const char *path, enum fp_store_mode mode)
{
	struct fp_sqlite *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->base.engine = &fp_store_sqlite;
	store->base.mode = mode;
	store->build_lock = -1;
	store->evidence.path = strdup(path);
	if (asprintf(&store->graph.path, "%s-graph", path) < 0)
		store->graph.path = NULL;
	if (asprintf(&store->build.path, "%s-graph-new", path) < 0)
		store->build.path = NULL;
	if (asprintf(&store->wal_path, "%s-wal", path) < 0)
		store->wal_path = NULL;
	if (!store->evidence.path || !store->graph.path || !store->build.path || !store->wal_path) {
		sqlite_close(&store->base);
		return NULL;
	}
	return store;
}

/* Tables, id and version in one transaction, WAL after it: the header is right from the first byte on. */
static int fill_new(struct fp_sqlite *store, struct fp_sqlite_db *db)
{
	char sql[64 + 33], id[33];
	uint8_t bytes[16];
	int r;

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -EIO;
	fp_hex(bytes, sizeof(bytes), id);
	snprintf(sql, sizeof(sql), "INSERT INTO store VALUES (x'%s');", id);
	r = fp_sqlite_exec(store, db,
			   "PRAGMA journal_mode = MEMORY; BEGIN;" FP_SQL_IDENTITY(FP_SQLITE_EVIDENCE) FP_SQL_EVIDENCE);
	if (r == 0)
		r = fp_sqlite_exec(store, db, sql);
	if (r == 0)
		r = fp_sqlite_exec(store, db, "COMMIT; PRAGMA journal_mode = WAL;");
	return r;
}

/*
 * A new store is built beside its place and put there whole, so that neither a
 * crash nor a second creator leaves half of one.  Nothing to do when there is a
 * file that is not empty.
 */
static int create_missing(struct fp_sqlite *store)
{
	fp_cleanup(fp_closep) int fd = -1;
	fp_cleanup(fp_freep) char *path = NULL;
	struct fp_sqlite_db db = {0};
	struct stat st;
	int r;

	if (stat(store->evidence.path, &st) == 0 && (st.st_size > 0 || !S_ISREG(st.st_mode)))
		return 0;
	if (asprintf(&path, "%s-new", store->evidence.path) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	db.path = path;
	r = fp_sqlite_claim(path, true, &fd);
	if (r < 0)
		return fp_sqlite_say(store, &db, r, "cannot make a store: %s", strerror(-r));
	if (stat(store->evidence.path, &st) == 0 && st.st_size > 0) {
		unlink(path);
		return 0;
	}
	r = fp_sqlite_open_db(store, &db, FP_SQLITE_WRITE, 0);
	if (r == 0)
		r = fill_new(store, &db);
	fp_sqlite_close_db(&db);
	if (r == 0) {
		r = fp_sqlite_publish(fd, path, store->evidence.path);
		if (r < 0)
			fp_sqlite_say(store, &db, r, "cannot make a store: %s", strerror(-r));
	}
	if (r < 0)
		unlink(path);
	return r;
}

static bool has_bytes(const char *path, bool *ret_exists)
{
	struct stat st;

	*ret_exists = stat(path, &st) == 0;
	return *ret_exists && st.st_size > 0;
}

/*
 * Reading must not make files: SQLite makes PATH-wal and PATH-shm when they are
 * missing.  Without a log there is no writer, and the file is read without
 * locks; with one, its index (-shm) must be there too.
 */
static int choose_access(struct fp_sqlite *store, enum fp_sqlite_access *ret_access)
{
	fp_cleanup(fp_freep) char *index = NULL;
	bool log_exists, index_exists, log;

	if (asprintf(&index, "%s-shm", store->evidence.path) < 0) {
		index = NULL;
		return -ENOMEM;
	}
	log = has_bytes(store->wal_path, &log_exists);
	has_bytes(index, &index_exists);
	if (log && !index_exists)
		return fp_sqlite_say(store, &store->evidence, -EROFS,
				     "the newest batches are in %.60s, which cannot be read without its -shm file: "
				     "copy both, or open the store for writing once",
				     strrchr(store->wal_path, '/') ? strrchr(store->wal_path, '/') + 1 : store->wal_path);
	store->immutable = !log_exists || !index_exists;
	*ret_access = store->immutable ? FP_SQLITE_IMMUTABLE : FP_SQLITE_READ;
	return 0;
}

static int read_id(struct fp_sqlite *store, struct fp_sqlite_db *db, const char *sql, uint8_t ret_id[16])
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(db->handle, sql, -1, &statement, NULL), r = 0;

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW && sqlite3_column_bytes(statement, 0) == 16)
		memcpy(ret_id, sqlite3_column_blob(statement, 0), 16);
	else
		r = fp_sqlite_fail(store, db, code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_CORRUPT : code);
	sqlite3_finalize(statement);
	return r;
}

static int open_evidence(struct fp_sqlite *store)
{
	enum fp_sqlite_access access = FP_SQLITE_WRITE;
	struct stat st;
	int r;

	if (stat(store->evidence.path, &st) < 0)
		return errno == ENOENT ? fp_sqlite_say(store, &store->evidence, -ENOENT, "no such store")
				       : fp_sqlite_say(store, &store->evidence, -errno, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fp_sqlite_say(store, &store->evidence, -EBADMSG, "this is not a store: not a regular file");
	if (store->base.mode == FP_STORE_READ) {
		r = choose_access(store, &access);
		if (r < 0)
			return r;
	}
	r = fp_sqlite_open_db(store, &store->evidence, access, FP_SQLITE_EVIDENCE);
	if (r == 0 && access == FP_SQLITE_WRITE)
		r = fp_sqlite_exec(store, &store->evidence, WRITE_SETTINGS);
	if (r == 0)
		r = read_id(store, &store->evidence, "SELECT id FROM store", store->id);
	return r;
}

int fp_sqlite_reopen(struct fp_sqlite *store)
{
	fp_sqlite_close_db(&store->graph);
	fp_sqlite_close_db(&store->evidence);
	return open_evidence(store);
}

static int sqlite_open(const char *path, enum fp_store_mode mode, struct fp_store **ret_store,
		       char error[FP_STORE_ERROR_SIZE])
{
	struct fp_sqlite *store = new_handle(path, mode);
	int r = 0;

	if (!store) {
		snprintf(error, FP_STORE_ERROR_SIZE, "out of memory");
		return -ENOMEM;
	}
	if (mode == FP_STORE_CREATE)
		r = create_missing(store);
	if (r == 0)
		r = open_evidence(store);
	if (r < 0) {
		snprintf(error, FP_STORE_ERROR_SIZE, "%s",
			 store->base.error[0] ? store->base.error : "out of memory");
		sqlite_close(&store->base);
		return r;
	}
	*ret_store = &store->base;
	return 0;
}

static int sqlite_set_cache(struct fp_store *base, size_t bytes)
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	char sql[64];

	snprintf(sql, sizeof(sql), "PRAGMA cache_size = -%zu", bytes >> 10);
	return fp_sqlite_exec(store, &store->evidence, sql);
}

const struct fp_store_engine fp_store_sqlite = {
	.scheme = "sqlite",
	.open = sqlite_open,
	.close = sqlite_close,
	.check = fp_sqlite_check,
	.check_batch = fp_sqlite_check_batch,
	.check_graph = fp_sqlite_check_graph,
	.sealed = fp_sqlite_sealed,
	.set_cache = sqlite_set_cache,
	.group_begin = fp_sqlite_group_begin,
	.group_commit = fp_sqlite_group_commit,
	.group_abort = fp_sqlite_group_abort,
	.put_batch = fp_sqlite_put_batch,
	.last_batch = fp_sqlite_last_batch,
	.each_batch = fp_sqlite_each_batch,
	.batches_of_request = fp_sqlite_batches_of_request,
	.batches_of_instance = fp_sqlite_batches_of_instance,
	.batches_between = fp_sqlite_batches_between,
	.totals = fp_sqlite_totals,
	.graph_begin = fp_sqlite_graph_begin,
	.graph_put_node = fp_sqlite_graph_put_node,
	.graph_put_edge = fp_sqlite_graph_put_edge,
	.graph_put_request = fp_sqlite_graph_put_request,
	.graph_put_loss = fp_sqlite_graph_put_loss,
	.graph_commit = fp_sqlite_graph_commit,
	.graph_abort = fp_sqlite_graph_abort,
	.node = fp_sqlite_node,
	.each_node = fp_sqlite_each_node,
	.find_nodes = fp_sqlite_find_nodes,
	.nodes_by_key = fp_sqlite_nodes_by_key,
	.nodes_of_request = fp_sqlite_nodes_of_request,
	.edges_into = fp_sqlite_edges_into,
	.edges_out_of = fp_sqlite_edges_out_of,
	.each_edge = fp_sqlite_each_edge,
	.find_requests = fp_sqlite_find_requests,
	.each_request = fp_sqlite_each_request,
	.each_loss = fp_sqlite_each_loss,
};

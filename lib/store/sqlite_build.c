#include "store/rows.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/*
 * Nobody else sees this file before it is whole, so that it needs neither a
 * journal nor syncs of its own; pages beyond the cache go to the file.
 */
#define BUILD_SETTINGS                       \
	"PRAGMA journal_mode = OFF;"         \
	"PRAGMA synchronous = OFF;"          \
	"PRAGMA locking_mode = EXCLUSIVE;"   \
	"PRAGMA temp_store = MEMORY;"        \
	FP_SQL_IDENTITY(FP_SQLITE_GRAPH)     \
	"BEGIN;"

int fp_sqlite_graph_begin(struct fp_store *base)
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	int r;

	if (store->build_lock >= 0)
		return fp_sqlite_say(store, &store->build, -EINVAL, "a graph is being built already");
	r = fp_sqlite_claim(store->build.path, false, &store->build_lock);
	if (r == -EBUSY)
		return fp_sqlite_say(store, &store->build, r, "another process is building the graph");
	if (r < 0)
		return fp_sqlite_say(store, &store->build, r, "cannot be made: %s", strerror(-r));
	r = fp_sqlite_open_db(store, &store->build, FP_SQLITE_WRITE, 0);
	if (r == 0)
		r = fp_sqlite_exec(store, &store->build, BUILD_SETTINGS FP_SQL_GRAPH);
	if (r < 0)
		fp_sqlite_graph_abort(base);
	return r;
}

static int building(struct fp_sqlite *store)
{
	return store->build_lock >= 0 ? 0 : fp_sqlite_say(store, &store->build, -EINVAL, "no graph is being built");
}

#define DEFINE_PUT(table, TABLE)                                                                               \
	int fp_sqlite_graph_put_##table(struct fp_store *base, const struct fp_store_##table *row)             \
	{                                                                                                      \
		struct fp_sqlite *store = fp_sqlite_of(base);                                                  \
		sqlite3_stmt *statement;                                                                       \
		int r = building(store);                                                                       \
                                                                                                               \
		if (r == 0)                                                                                    \
			r = fp_sqlite_take(store, &store->build, FP_RUN_##TABLE##_PUT, &statement);            \
		if (r < 0)                                                                                     \
			return r;                                                                              \
		return fp_sqlite_run(store, &store->build, FP_RUN_##TABLE##_PUT, statement,                    \
				     fp_sqlite_bind_##table(statement, row));                                  \
	}

DEFINE_PUT(node, NODE)
DEFINE_PUT(edge, EDGE)
DEFINE_PUT(request, REQUEST)
DEFINE_PUT(loss, LOSS)

static int say_stray(struct fp_sqlite *store, sqlite3_stmt *statement, void *arg)
{
	return fp_sqlite_say(store, &store->build, -EINVAL, "%s %lld names node %lld, which was not put",
			     sqlite3_column_text(statement, 0), sqlite3_column_int64(statement, 1),
			     sqlite3_column_int64(statement, 2));
}

/*
 * Edges and requests name nodes that are there.  Checked once, in the order of
 * the indices: a foreign key, looked up at each put, takes three times as long
 * as the put.
 */
static int check_ends(struct fp_sqlite *store)
{
	sqlite3_stmt *s;
	int r = fp_sqlite_take(store, &store->build, FP_RUN_STRAY, &s);

	return r < 0 ? r : fp_sqlite_rows(store, &store->build, FP_RUN_STRAY, s, SQLITE_OK, say_stray, NULL);
}

static int finish(struct fp_sqlite *store, uint64_t stitched_batch)
{
	sqlite3_stmt *s;
	int r = fp_sqlite_take(store, &store->build, FP_RUN_GRAPH_PUT, &s);

	if (r < 0)
		return r;
	sqlite3_bind_int64(s, 2, (sqlite3_int64)stitched_batch);
	r = fp_sqlite_run(store, &store->build, FP_RUN_GRAPH_PUT, s,
			  sqlite3_bind_blob(s, 1, store->id, sizeof(store->id), SQLITE_STATIC));
	if (r == 0)
		r = fp_sqlite_exec(store, &store->build, FP_SQL_GRAPH_INDICES);
	if (r == 0)
		r = check_ends(store);
	return r < 0 ? r : fp_sqlite_exec(store, &store->build, "COMMIT");
}

int fp_sqlite_graph_commit(struct fp_store *base, uint64_t stitched_batch)
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	uint8_t hash[FP_SEAL_SIZE];
	int r = building(store);

	if (r < 0)
		return r;
	r = finish(store, stitched_batch);
	fp_sqlite_close_db(&store->build);
	if (r == 0)
		r = fp_sqlite_seal(store, store->build_lock, hash);
	if (r == 0) {
		r = fp_sqlite_publish(store->build_lock, store->build.path, store->graph.path);
		if (r < 0)
			fp_sqlite_say(store, &store->build, r, "cannot be put in place: %s", strerror(-r));
	}
	if (r < 0) {
		fp_sqlite_graph_abort(base);
		return r;
	}
	fp_sqlite_seal_placed(store, store->build_lock, hash);
	close(store->build_lock);
	store->build_lock = -1;
	fp_sqlite_graph_renew(store);
	return 0;
}

int fp_sqlite_graph_abort(struct fp_store *base)
{
	struct fp_sqlite *store = fp_sqlite_of(base);

	if (store->build_lock < 0)
		return 0;
	fp_sqlite_close_db(&store->build);
	/* gone before the lock is: whoever waits for it looks again and makes a new file */
	unlink(store->build.path);
	close(store->build_lock);
	store->build_lock = -1;
	return 0;
}

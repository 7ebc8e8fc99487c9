/*
 * Whether the two files are as their writers left them: their pages, tables and
 * indices; what stands beside the frames; the graph's seal.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "store/sqlite.h"

/* All that a schema says, as one text. */
#define SCHEMA                                                                                        \
	"SELECT group_concat(type || ' ' || name || ' ' || tbl_name || ' ' || ifnull(sql, ''), char(10))" \
	" FROM (SELECT * FROM sqlite_schema ORDER BY type, name)"

/* The first column of the first row; the caller frees it.  An SQLite code. */
static int first_text(sqlite3 *handle, const char *sql, char **ret_text)
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(statement, 0);

		*ret_text = strdup(text ? text : "");
		code = *ret_text ? SQLITE_OK : SQLITE_NOMEM;
	} else if (code == SQLITE_DONE) {
		code = SQLITE_CORRUPT;
	}
	sqlite3_finalize(statement);
	return code;
}

/* An index that leaves rows out, or a guard that is gone, is no damage to SQLite: the tables must be those that we make. */
static int check_schema(struct fp_sqlite *store, struct fp_sqlite_db *db, const char *tables)
{
	fp_cleanup(fp_freep) char *ours = NULL;
	fp_cleanup(fp_freep) char *theirs = NULL;
	sqlite3 *handle = NULL;
	int code = sqlite3_open_v2(":memory:", &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_exec(handle, tables, NULL, NULL, NULL);
	if (code == SQLITE_OK)
		code = first_text(handle, SCHEMA, &ours);
	sqlite3_close(handle);
	if (code == SQLITE_OK)
		code = first_text(db->handle, SCHEMA, &theirs);
	if (code != SQLITE_OK)
		return fp_sqlite_fail(store, db, code);
	return strcmp(ours, theirs) == 0 ?
		       0 :
		       fp_sqlite_say(store, db, -EBADMSG, "its tables, indices or guards are not those of a store");
}

static int check_db(struct fp_sqlite *store, struct fp_sqlite_db *db, const char *tables)
{
	fp_cleanup(fp_freep) char *verdict = NULL;
	int code = first_text(db->handle, "PRAGMA integrity_check(1)", &verdict);

	if (code != SQLITE_OK)
		return fp_sqlite_fail(store, db, code);
	if (strcmp(verdict, "ok") != 0)
		return fp_sqlite_say(store, db, -EBADMSG, "the store is damaged (%s)", verdict);
	return check_schema(store, db, tables);
}

int fp_sqlite_check(struct fp_store *base)
{
	struct fp_sqlite *store = fp_sqlite_of(base);

	return check_db(store, &store->evidence, FP_SQL_EVIDENCE);
}

int fp_sqlite_check_graph(struct fp_store *base)
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	int r = fp_sqlite_sealed(base, true);

	return r <= 0 ? r : (r = check_db(store, &store->graph, FP_SQL_GRAPH FP_SQL_GRAPH_INDICES)) < 0 ? r : 1;
}

static int found(struct fp_sqlite *store, sqlite3_stmt *statement, void *arg)
{
	*(bool *)arg = true;
	return 0;
}

/* A statement that must find a row. */
static int must_find(struct fp_sqlite *store, struct fp_sqlite_db *db, enum fp_sqlite_statement which,
		     sqlite3_stmt *statement, int bound)
{
	bool is_there = false;
	int r = fp_sqlite_rows(store, db, which, statement, bound, found, &is_there);

	return r < 0 || is_there ? r : -ENODATA;
}

int fp_sqlite_check_batch(struct fp_store *base, uint64_t id, const struct fp_batch *batch, size_t len)
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	const struct fp_batch_header *header = fp_batch_header(batch);
	sqlite3_stmt *s;
	int r = fp_sqlite_take(store, &store->evidence, FP_RUN_BATCH_ROW, &s);

	if (r < 0)
		return r;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)id);
	sqlite3_bind_blob(s, 2, header->agent, sizeof(header->agent), SQLITE_STATIC);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)header->number);
	r = must_find(store, &store->evidence, FP_RUN_BATCH_ROW, s, fp_sqlite_bind_header(s, 4, header, len));
	if (r == -ENODATA)
		return fp_sqlite_say(store, &store->evidence, -EBADMSG, "what is said of the batch is not what is in it");
	if (r == 0)
		r = fp_sqlite_index(store, batch, (sqlite3_int64)id, FP_RUN_REQUEST_HAS, FP_RUN_INSTANCE_HAS, must_find);
	if (r == -ENODATA)
		return fp_sqlite_say(store, &store->evidence, -EBADMSG, "the index does not lead to the batch");
	return r;
}

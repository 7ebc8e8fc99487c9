#include "store/rows.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"

void fp_sqlite_graph_renew(struct fp_sqlite *store)
{
	sqlite3_stmt *statement = NULL;

	while (store->graph.handle && (statement = sqlite3_next_stmt(store->graph.handle, statement)))
		if (sqlite3_stmt_busy(statement))
			return;
	fp_sqlite_close_db(&store->graph);
}

static int read_owner(struct fp_sqlite *store, sqlite3_stmt *statement, void *arg)
{
	*(bool *)arg = sqlite3_column_bytes(statement, 0) == sizeof(store->id) &&
		       memcmp(sqlite3_column_blob(statement, 0), store->id, sizeof(store->id)) == 0;
	return 0;
}

int fp_sqlite_graph(struct fp_sqlite *store)
{
	sqlite3_stmt *statement;
	bool ours = false;
	struct stat st;
	int r;

	if (store->graph.handle)
		return 1;
	if (stat(store->graph.path, &st) < 0)
		return errno == ENOENT ? 0 : fp_sqlite_say(store, &store->graph, -errno, "%s", strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fp_sqlite_say(store, &store->graph, -EBADMSG, "this is not a graph: not a regular file");
	r = fp_sqlite_open_db(store, &store->graph, FP_SQLITE_IMMUTABLE, FP_SQLITE_GRAPH);
	if (r == 0)
		r = fp_sqlite_take(store, &store->graph, FP_RUN_OWNER, &statement);
	if (r == 0)
		r = fp_sqlite_rows(store, &store->graph, FP_RUN_OWNER, statement, SQLITE_OK, read_owner, &ours);
	if (r < 0 || !ours)
		fp_sqlite_close_db(&store->graph);
	return r < 0 ? r : ours;
}

/* Takes a statement of the graph: 1, 0 when there is no graph, or a failure. */
static int take(struct fp_sqlite *store, enum fp_sqlite_statement which, sqlite3_stmt **ret_statement)
{
	int r = fp_sqlite_graph(store);

	if (r > 0)
		r = fp_sqlite_take(store, &store->graph, which, ret_statement);
	else
		return r;
	return r < 0 ? r : 1;
}

/*
 * give_<table>: reads a row and hands it to the caller's function.
 * rows_<table>: hands out all rows of a bound statement, and counts them.
 */
#define DEFINE_ROWS(table)                                                                                        \
	struct table##_call {                                                                                     \
		fp_store_##table##_fn fn;                                                                         \
		void *arg;                                                                                        \
		uint64_t rows;                                                                                    \
	};                                                                                                        \
	static int give_##table(struct fp_sqlite *store, sqlite3_stmt *statement, void *arg)                      \
	{                                                                                                         \
		struct table##_call *call = arg;                                                                  \
		struct fp_store_##table row;                                                                      \
                                                                                                                  \
		if (fp_sqlite_read_##table(statement, &row) < 0)                                                  \
			return fp_sqlite_fail(store, &store->graph, SQLITE_CORRUPT);                              \
		call->rows++;                                                                                     \
		return call->fn(call->arg, &row);                                                                 \
	}                                                                                                         \
	static int rows_##table(struct fp_sqlite *store, enum fp_sqlite_statement which, sqlite3_stmt *statement, \
				int bound, fp_store_##table##_fn fn, void *arg, uint64_t *ret_rows)               \
	{                                                                                                         \
		struct table##_call call = {fn, arg, 0};                                                          \
		int r = fp_sqlite_rows(store, &store->graph, which, statement, bound, give_##table, &call);       \
                                                                                                                  \
		if (ret_rows)                                                                                     \
			*ret_rows = call.rows;                                                                    \
		return r;                                                                                         \
	}

DEFINE_ROWS(node)
DEFINE_ROWS(edge)
DEFINE_ROWS(request)
DEFINE_ROWS(loss)

/* A query without parameters, or with one number. */
#define DEFINE_QUERY(table, which, bound)                                               \
	{                                                                               \
		struct fp_sqlite *store = fp_sqlite_of(base);                           \
		sqlite3_stmt *s;                                                        \
		int r = take(store, which, &s);                                         \
                                                                                        \
		return r <= 0 ? r : rows_##table(store, which, s, bound, fn, arg, NULL); \
	}

int fp_sqlite_node(struct fp_store *base, uint64_t id, fp_store_node_fn fn, void *arg)
DEFINE_QUERY(node, FP_RUN_NODE_ID, sqlite3_bind_int64(s, 1, (sqlite3_int64)id))

int fp_sqlite_each_node(struct fp_store *base, fp_store_node_fn fn, void *arg)
DEFINE_QUERY(node, FP_RUN_NODE_EACH, SQLITE_OK)

int fp_sqlite_nodes_by_key(struct fp_store *base, const char *prefix, fp_store_node_fn fn, void *arg)
DEFINE_QUERY(node, FP_RUN_NODE_KEY, sqlite3_bind_text(s, 1, prefix, -1, SQLITE_STATIC))

int fp_sqlite_nodes_of_request(struct fp_store *base, const uint8_t request[FP_REQUEST_ID_SIZE], fp_store_node_fn fn,
			       void *arg)
DEFINE_QUERY(node, FP_RUN_NODE_REQUEST, sqlite3_bind_blob(s, 1, request, FP_REQUEST_ID_SIZE, SQLITE_STATIC))

int fp_sqlite_edges_into(struct fp_store *base, uint64_t node, fp_store_edge_fn fn, void *arg)
DEFINE_QUERY(edge, FP_RUN_EDGE_TO, sqlite3_bind_int64(s, 1, (sqlite3_int64)node))

int fp_sqlite_edges_out_of(struct fp_store *base, uint64_t node, fp_store_edge_fn fn, void *arg)
DEFINE_QUERY(edge, FP_RUN_EDGE_FROM, sqlite3_bind_int64(s, 1, (sqlite3_int64)node))

int fp_sqlite_each_edge(struct fp_store *base, fp_store_edge_fn fn, void *arg)
DEFINE_QUERY(edge, FP_RUN_EDGE_EACH, SQLITE_OK)

int fp_sqlite_each_request(struct fp_store *base, fp_store_request_fn fn, void *arg)
DEFINE_QUERY(request, FP_RUN_REQUEST_EACH, SQLITE_OK)

int fp_sqlite_find_nodes(struct fp_store *base, enum fp_node_kind kind, const char *text, fp_store_node_fn fn, void *arg)
{
	static const enum fp_sqlite_statement ways[] = {FP_RUN_NODE_LABEL, FP_RUN_NODE_END, FP_RUN_NODE_PART};
	struct fp_sqlite *store = fp_sqlite_of(base);
	uint64_t rows = 0;
	int r = 0;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]) && r == 0 && rows == 0; i++) {
		sqlite3_stmt *s;

		r = take(store, ways[i], &s);
		if (r <= 0)
			return r;
		sqlite3_bind_int64(s, 1, kind);
		/* as bytes: a path need not be UTF-8 */
		r = rows_node(store, ways[i], s, sqlite3_bind_blob64(s, 2, text, strlen(text), SQLITE_STATIC), fn, arg,
			      &rows);
	}
	return r;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/*
 * The ids that begin with the digits: 6 at least, so that a short word that
 * happens to be hex names nothing, and fewer than a whole id has.
 */
static bool prefix_range(const char *name, uint8_t ret_low[FP_REQUEST_ID_SIZE], uint8_t ret_high[FP_REQUEST_ID_SIZE])
{
	char digits[2 * FP_REQUEST_ID_SIZE + 1];
	size_t n = 0;

	for (; *name; name++) {
		if (*name == '-' && n > 0)
			continue;
		if (!is_hex(*name) || n == 2 * FP_REQUEST_ID_SIZE)
			return false;
		digits[n++] = *name;
	}
	if (n < 6)
		return false;
	memset(digits + n, '0', sizeof(digits) - 1 - n);
	digits[sizeof(digits) - 1] = '\0';
	if (fp_unhex(digits, ret_low, FP_REQUEST_ID_SIZE) < 0)
		return false;
	memset(digits + n, 'f', sizeof(digits) - 1 - n);
	return fp_unhex(digits, ret_high, FP_REQUEST_ID_SIZE) == 0;
}

static int find_by_prefix(struct fp_sqlite *store, const char *name, fp_store_request_fn fn, void *arg)
{
	uint8_t low[FP_REQUEST_ID_SIZE], high[FP_REQUEST_ID_SIZE];
	sqlite3_stmt *s;
	int r;

	if (!prefix_range(name, low, high))
		return 0;
	r = take(store, FP_RUN_REQUEST_PREFIX, &s);
	if (r <= 0)
		return r;
	sqlite3_bind_blob(s, 1, low, sizeof(low), SQLITE_STATIC);
	return rows_request(store, FP_RUN_REQUEST_PREFIX, s,
			    sqlite3_bind_blob(s, 2, high, sizeof(high), SQLITE_STATIC), fn, arg, NULL);
}

int fp_sqlite_find_requests(struct fp_store *base, const char *name, fp_store_request_fn fn, void *arg)
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	uint8_t id[FP_REQUEST_ID_SIZE];
	bool has_id = fp_unhex(name, id, sizeof(id)) == 0;
	char hex[2 * FP_REQUEST_ID_SIZE + 1];
	sqlite3_stmt *s;
	uint64_t rows;
	int r = take(store, FP_RUN_REQUEST_NAME, &s);

	if (r <= 0)
		return r;
	if (has_id) {
		fp_hex(id, sizeof(id), hex);
		sqlite3_bind_blob(s, 1, id, sizeof(id), SQLITE_STATIC);
	}
	sqlite3_bind_text(s, 2, name, -1, SQLITE_STATIC);
	/* trace ids are lower-case hex of the same length */
	r = rows_request(store, FP_RUN_REQUEST_NAME, s,
			 sqlite3_bind_text(s, 3, has_id ? hex : name, -1, SQLITE_STATIC), fn, arg, &rows);
	return r != 0 || rows > 0 ? r : find_by_prefix(store, name, fn, arg);
}

int fp_sqlite_each_loss(struct fp_store *base, uint64_t since, uint64_t until, fp_store_loss_fn fn, void *arg)
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	sqlite3_stmt *s;
	int r = take(store, FP_RUN_LOSS_BETWEEN, &s);

	if (r <= 0)
		return r;
	sqlite3_bind_int64(s, 1, fp_sqlite_time(since));
	return rows_loss(store, FP_RUN_LOSS_BETWEEN, s, sqlite3_bind_int64(s, 2, fp_sqlite_time(until)), fn, arg,
			 NULL);
}

/*
 * The SQLite engine, shared between its sources: a handle, its two databases,
 * prepared statements, and the one converter from SQLite's codes to errno.
 * Private to lib/store.  docs/store.md says why it is built like this.
 *
 *   PATH         evidence: WAL, synchronous=FULL; never rewritten
 *   PATH-graph   the graph: a file of its own that is never changed, but made
 *                anew beside it (PATH-graph-new) and put in its place by rename
 */
#ifndef FP_STORE_SQLITE_H
#define FP_STORE_SQLITE_H

#include <sqlite3.h>

#include "store/engine.h"
#include "store/tables.h"

/* FP_STATEMENT(NAME, sql): prepared at first use, kept until the handle is closed. */
#define FP_STATEMENTS(FP_STATEMENT)                                                                               \
	FP_STATEMENT(BATCH_FIND, "SELECT hash FROM batch WHERE agent = ?1 AND number = ?2")                       \
	FP_STATEMENT(BATCH_PUT, "INSERT INTO batch (agent, number, hash, host, boot, first, last, events, bytes," \
				" frame) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")                      \
	FP_STATEMENT(BATCH_LAST, "SELECT number, hash FROM batch WHERE agent = ?1 ORDER BY number DESC LIMIT 1")  \
	FP_STATEMENT(BATCH_EACH, "SELECT id, hash, frame FROM batch WHERE id > ?1 ORDER BY id")                   \
	FP_STATEMENT(BATCH_REQUEST, "SELECT b.id, hash, frame FROM request_batch r JOIN batch b ON b.id = r.batch" \
				    " WHERE r.request = ?1 ORDER BY b.id")                                        \
	FP_STATEMENT(BATCH_INSTANCE, "SELECT b.id, hash, frame FROM instance_batch i JOIN batch b ON"             \
				     " b.id = i.batch WHERE i.cgroup = ?1 AND b.host = ?2 AND b.boot = ?3"        \
				     " ORDER BY b.id")                                                            \
	FP_STATEMENT(BATCH_BETWEEN, "SELECT id, hash, frame FROM batch WHERE first <= ?2 AND last >= ?1"          \
				    " ORDER BY id")                                                               \
	FP_STATEMENT(REQUEST_BATCH, "INSERT INTO request_batch VALUES (?1, ?2)")                                  \
	FP_STATEMENT(INSTANCE_BATCH, "INSERT INTO instance_batch VALUES (?1, ?2)")                                \
	FP_STATEMENT(TOTALS, "SELECT count(*), sum(events), sum(bytes), min(first), max(last) FROM batch")        \
	FP_STATEMENT(NEWEST, "SELECT max(id) FROM batch")                                                         \
	FP_STATEMENT(BATCH_ROW, "SELECT 1 FROM batch WHERE id = ?1 AND agent = ?2 AND number = ?3 AND host = ?4"  \
				" AND boot = ?5 AND first = ?6 AND last = ?7 AND events = ?8 AND bytes = ?9")     \
	FP_STATEMENT(REQUEST_HAS, "SELECT 1 FROM request_batch WHERE request = ?1 AND batch = ?2")                \
	FP_STATEMENT(INSTANCE_HAS, "SELECT 1 FROM instance_batch WHERE cgroup = ?1 AND batch = ?2")               \
	FP_STATEMENT(SEAL_PUT, "INSERT OR IGNORE INTO seal (hash) VALUES (?1)")                                   \
	FP_STATEMENT(SEAL_NOTE, "UPDATE seal SET size = ?2, inode = ?3, changed = ?4 WHERE hash = ?1")            \
	FP_STATEMENT(SEAL_DROP, "DELETE FROM seal WHERE hash <> ?1")                                              \
	FP_STATEMENT(SEAL_HAS, "SELECT 1 FROM seal WHERE hash = ?1")                                              \
	FP_STATEMENT(SEAL_SEEN, "SELECT 1 FROM seal WHERE size = ?1 AND inode = ?2 AND changed = ?3")             \
	FP_STATEMENT(OWNER, "SELECT store FROM graph")                                                            \
	FP_STATEMENT(GRAPH, "SELECT stitched_batch, nodes, edges, requests FROM graph")                           \
	FP_STATEMENT(NODE_PUT, FP_SQL_INSERT("node", FP_NODE_COLUMNS))                                            \
	FP_STATEMENT(EDGE_PUT, FP_SQL_INSERT("edge", FP_EDGE_COLUMNS))                                            \
	FP_STATEMENT(REQUEST_PUT, FP_SQL_INSERT("request", FP_REQUEST_COLUMNS))                                   \
	FP_STATEMENT(LOSS_PUT, FP_SQL_INSERT("loss", FP_LOSS_COLUMNS))                                            \
	FP_STATEMENT(GRAPH_PUT, "INSERT INTO graph SELECT ?1, ?2, (SELECT count(*) FROM node),"                   \
				" (SELECT count(*) FROM edge), (SELECT count(*) FROM request)")                   \
	FP_STATEMENT(STRAY, "SELECT 'edge', id, \"from\" FROM edge WHERE \"from\" NOT IN (SELECT id FROM node)"     \
			    " UNION ALL SELECT 'edge', id, \"to\" FROM edge WHERE \"to\" NOT IN (SELECT id FROM node)" \
			    " UNION ALL SELECT 'request', rowid, node FROM request WHERE node NOT IN"             \
			    " (SELECT id FROM node) LIMIT 1")                                                     \
	FP_STATEMENT(NODE_ID, FP_SQL_SELECT("node", FP_NODE_COLUMNS) " WHERE id = ?1")                            \
	FP_STATEMENT(NODE_EACH, FP_SQL_SELECT("node", FP_NODE_COLUMNS) " ORDER BY id")                            \
	FP_STATEMENT(NODE_LABEL, FP_SQL_SELECT("node", FP_NODE_COLUMNS)                                           \
				 " WHERE label = CAST(?2 AS TEXT) AND (?1 = 0 OR kind = ?1) ORDER BY id")         \
	FP_STATEMENT(NODE_END, FP_SQL_SELECT("node", FP_NODE_COLUMNS) " WHERE substr(CAST(label AS BLOB),"        \
			       " -length(?2)) = ?2 AND (?1 = 0 OR kind = ?1) ORDER BY id")                        \
	FP_STATEMENT(NODE_PART, FP_SQL_SELECT("node", FP_NODE_COLUMNS) " WHERE instr(CAST(label AS BLOB), ?2) > 0" \
				" AND (?1 = 0 OR kind = ?1) ORDER BY id")                                         \
	FP_STATEMENT(NODE_KEY, FP_SQL_SELECT("node", FP_NODE_COLUMNS)                                             \
			       " WHERE key >= ?1 AND key < ?1 || char(1114111) ORDER BY key")                     \
	FP_STATEMENT(NODE_REQUEST, FP_SQL_SELECT("node", FP_NODE_COLUMNS) " WHERE request = ?1 ORDER BY id")      \
	FP_STATEMENT(EDGE_TO, FP_SQL_SELECT("edge", FP_EDGE_COLUMNS) " WHERE \"to\" = ?1 ORDER BY first, id")     \
	FP_STATEMENT(EDGE_FROM, FP_SQL_SELECT("edge", FP_EDGE_COLUMNS) " WHERE \"from\" = ?1 ORDER BY first, id") \
	FP_STATEMENT(EDGE_EACH, FP_SQL_SELECT("edge", FP_EDGE_COLUMNS) " ORDER BY id")                            \
	FP_STATEMENT(REQUEST_NAME, FP_SQL_SELECT("request", FP_REQUEST_COLUMNS)                                   \
				   " WHERE id = ?1 OR call_id = ?2 OR trace_id = ?3 ORDER BY first, id")          \
	FP_STATEMENT(REQUEST_PREFIX, FP_SQL_SELECT("request", FP_REQUEST_COLUMNS)                                 \
				     " WHERE id BETWEEN ?1 AND ?2 ORDER BY first, id")                            \
	FP_STATEMENT(REQUEST_EACH, FP_SQL_SELECT("request", FP_REQUEST_COLUMNS) " ORDER BY first, id")            \
	FP_STATEMENT(LOSS_BETWEEN, FP_SQL_SELECT("loss", FP_LOSS_COLUMNS)                                         \
				   " WHERE first <= ?2 AND last >= ?1 ORDER BY first, rowid")

enum fp_sqlite_statement {
#define FP_STATEMENT(NAME, sql) FP_RUN_##NAME,
	FP_STATEMENTS(FP_STATEMENT)
#undef FP_STATEMENT
	FP_RUN_MAX
};

struct fp_sqlite_db {
	sqlite3 *handle; /* NULL: not open */
	char *path;
	sqlite3_stmt *cache[FP_RUN_MAX];
};

struct fp_sqlite {
	struct fp_store base;
	struct fp_sqlite_db evidence, graph, build;
	char *wal_path; /* of the evidence */
	bool immutable; /* the evidence was opened without locks, there being no writer */
	bool group; /* between group_begin and group_commit */
	int build_lock; /* holds `build` against other stitchers; -1 */
	uint8_t id[16]; /* of the evidence */
};

static inline struct fp_sqlite *fp_sqlite_of(struct fp_store *store)
{
	return (struct fp_sqlite *)store;
}

/* The one converter: an (extended) result code, and errno where the system failed, to negative errno. */
int fp_sqlite_errno(int code, int system_error);
/* Puts the sentence for the database's last failure into the store and returns its errno. */
int fp_sqlite_fail(struct fp_sqlite *store, struct fp_sqlite_db *db, int code);
/* The same with a sentence and errno of our own; the path is put before it. */
int fp_sqlite_say(struct fp_sqlite *store, const struct fp_sqlite_db *db, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

enum fp_sqlite_access { FP_SQLITE_IMMUTABLE, FP_SQLITE_READ, FP_SQLITE_WRITE };

/*
 * Opens db->path, which exists.  Unless `application` is 0 its header is checked
 * before anything else is done with it.  What cannot be trusted in a file from
 * elsewhere (functions in its schema, shadow tables) is off.
 */
int fp_sqlite_open_db(struct fp_sqlite *store, struct fp_sqlite_db *db, enum fp_sqlite_access access,
		      uint32_t application);
void fp_sqlite_close_db(struct fp_sqlite_db *db);
int fp_sqlite_exec(struct fp_sqlite *store, struct fp_sqlite_db *db, const char *sql);

/* A statement to bind and step, and its return.  A second one is made while the first is in use. */
int fp_sqlite_take(struct fp_sqlite *store, struct fp_sqlite_db *db, enum fp_sqlite_statement which,
		   sqlite3_stmt **ret_statement);
void fp_sqlite_give(struct fp_sqlite_db *db, enum fp_sqlite_statement which, sqlite3_stmt *statement);
/* Steps a statement that has no rows, and gives it back.  `bound` is the result of binding. */
int fp_sqlite_run(struct fp_sqlite *store, struct fp_sqlite_db *db, enum fp_sqlite_statement which,
		  sqlite3_stmt *statement, int bound);

typedef int (*fp_sqlite_row_fn)(struct fp_sqlite *store, sqlite3_stmt *statement, void *arg);
/* Hands each row to fn and gives the statement back; 0, what fn returned, or a failure. */
int fp_sqlite_rows(struct fp_sqlite *store, struct fp_sqlite_db *db, enum fp_sqlite_statement which,
		   sqlite3_stmt *statement, int bound, fp_sqlite_row_fn fn, void *arg);

/*
 * An empty file at `path`, locked: what is built in it belongs to this process
 * alone until it is renamed.  `wait` for another builder, or -EBUSY.  The
 * descriptor stays open until the database in it is closed (closing any
 * descriptor of a file drops the process's locks on it).
 */
int fp_sqlite_claim(const char *path, bool wait, int *ret_fd);
/* Makes the claimed file durable and puts it at `to`. */
int fp_sqlite_publish(int fd, const char *path, const char *to);

/* Times are ordered as signed numbers. */
static inline sqlite3_int64 fp_sqlite_time(uint64_t ns)
{
	return ns > INT64_MAX ? INT64_MAX : (sqlite3_int64)ns;
}

/* sqlite.c: as if it had just been opened; nothing of it may be in use. */
int fp_sqlite_reopen(struct fp_sqlite *store);

/* sqlite_evidence.c */
int fp_sqlite_group_begin(struct fp_store *store);
int fp_sqlite_group_commit(struct fp_store *store);
int fp_sqlite_group_abort(struct fp_store *store);
int fp_sqlite_put_batch(struct fp_store *store, const uint8_t *frame, size_t len, struct fp_batch *batch);
int fp_sqlite_last_batch(struct fp_store *store, const uint8_t agent[16], uint64_t *ret_number,
			 uint8_t ret_hash[FP_BATCH_HASH_SIZE]);
int fp_sqlite_each_batch(struct fp_store *store, uint64_t after, fp_store_batch_fn fn, void *arg);
int fp_sqlite_batches_of_request(struct fp_store *store, const uint8_t request[FP_REQUEST_ID_SIZE],
				 fp_store_batch_fn fn, void *arg);
int fp_sqlite_batches_of_instance(struct fp_store *store, const char *host, const uint8_t boot[16], uint64_t cgroup,
				  fp_store_batch_fn fn, void *arg);
int fp_sqlite_batches_between(struct fp_store *store, uint64_t since, uint64_t until, fp_store_batch_fn fn,
			      void *arg);
int fp_sqlite_totals(struct fp_store *store, struct fp_store_totals *ret_totals);
typedef int (*fp_sqlite_run_fn)(struct fp_sqlite *store, struct fp_sqlite_db *db, enum fp_sqlite_statement which,
				sqlite3_stmt *statement, int bound);
/* Runs a statement for each request and each cgroup that the index leads to a batch from: to put them, or to look for them. */
int fp_sqlite_index(struct fp_sqlite *store, const struct fp_batch *batch, sqlite3_int64 id,
		    enum fp_sqlite_statement of_request, enum fp_sqlite_statement of_instance, fp_sqlite_run_fn run);
/* Binds what the row of a batch says of its frame from `host` on, beginning with parameter `at`. */
int fp_sqlite_bind_header(sqlite3_stmt *statement, int at, const struct fp_batch_header *header, size_t len);

/* sqlite_check.c */
int fp_sqlite_check(struct fp_store *store);
int fp_sqlite_check_batch(struct fp_store *store, uint64_t id, const struct fp_batch *batch, size_t len);
int fp_sqlite_check_graph(struct fp_store *store);

/* sqlite_seal.c */
#define FP_SEAL_SIZE 32
/* Before the file that was built is put in place: its hash is noted beside the evidence. */
int fp_sqlite_seal(struct fp_sqlite *store, int fd, uint8_t ret_hash[FP_SEAL_SIZE]);
/* After it: by what it is known again, and the former's hash is forgotten. */
void fp_sqlite_seal_placed(struct fp_sqlite *store, int fd, const uint8_t hash[FP_SEAL_SIZE]);
int fp_sqlite_sealed(struct fp_store *store, bool reading);

/* sqlite_build.c */
int fp_sqlite_graph_begin(struct fp_store *store);
int fp_sqlite_graph_put_node(struct fp_store *store, const struct fp_store_node *node);
int fp_sqlite_graph_put_edge(struct fp_store *store, const struct fp_store_edge *edge);
int fp_sqlite_graph_put_request(struct fp_store *store, const struct fp_store_request *request);
int fp_sqlite_graph_put_loss(struct fp_store *store, const struct fp_store_loss *loss);
int fp_sqlite_graph_commit(struct fp_store *store, uint64_t stitched_batch);
int fp_sqlite_graph_abort(struct fp_store *store);

/* sqlite_query.c */
/* Opens the graph unless it is open: 1 it is, 0 there is none (yet, or it was made from other evidence). */
int fp_sqlite_graph(struct fp_sqlite *store);
/* Lets go of the graph unless rows of it are being read, so that the next query sees the newest. */
void fp_sqlite_graph_renew(struct fp_sqlite *store);
int fp_sqlite_node(struct fp_store *store, uint64_t id, fp_store_node_fn fn, void *arg);
int fp_sqlite_each_node(struct fp_store *store, fp_store_node_fn fn, void *arg);
int fp_sqlite_find_nodes(struct fp_store *store, enum fp_node_kind kind, const char *text, fp_store_node_fn fn,
			 void *arg);
int fp_sqlite_nodes_by_key(struct fp_store *store, const char *prefix, fp_store_node_fn fn, void *arg);
int fp_sqlite_nodes_of_request(struct fp_store *store, const uint8_t request[FP_REQUEST_ID_SIZE],
			       fp_store_node_fn fn, void *arg);
int fp_sqlite_edges_into(struct fp_store *store, uint64_t node, fp_store_edge_fn fn, void *arg);
int fp_sqlite_edges_out_of(struct fp_store *store, uint64_t node, fp_store_edge_fn fn, void *arg);
int fp_sqlite_each_edge(struct fp_store *store, fp_store_edge_fn fn, void *arg);
int fp_sqlite_find_requests(struct fp_store *store, const char *name, fp_store_request_fn fn, void *arg);
int fp_sqlite_each_request(struct fp_store *store, fp_store_request_fn fn, void *arg);
int fp_sqlite_each_loss(struct fp_store *store, uint64_t since, uint64_t until, fp_store_loss_fn fn, void *arg);

#endif

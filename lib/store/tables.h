/*
 * The tables of the SQLite engine, each defined once: expanded into CREATE
 * TABLE, INSERT, the columns of SELECT, and the code that binds and reads a row
 * of the structs in store.h.  Private to lib/store.
 *
 * F is the first column, C each further one: F/C(member, declaration, KIND, SET)
 *   NUM   number of 64 bit, kept as its bits      TIME  ns, at most INT64_MAX: rows are ordered by it
 *   INT   signed number                           TEXT  string, NULL when not known
 *   ENUM  member of a SET of the schema           ID    invocation id with its has_ flag
 *   NAME  invocation id that is always there
 *
 * Whoever changes a table changes FP_SQLITE_VERSION.
 */
#ifndef FP_STORE_TABLES_H
#define FP_STORE_TABLES_H

#define FP_SQLITE_VERSION 4
/* PRAGMA application_id of the evidence and of the graph: "FPs1", "FPg1". */
#define FP_SQLITE_EVIDENCE 0x46507331
#define FP_SQLITE_GRAPH 0x46506731

#define FP_SQL_NUMBER(number) #number
#define FP_SQL_VERSION(number) "PRAGMA user_version = " FP_SQL_NUMBER(number) ";"
#define FP_SQL_IDENTITY(application) \
	"PRAGMA application_id = " FP_SQL_NUMBER(application) ";" FP_SQL_VERSION(FP_SQLITE_VERSION)

/* Of a request's id so many bytes are in the index: ids are random, and another's batch among the answers does no harm
 * (of a store with ten million requests, one in 400). */
#define FP_REQUEST_KEY_SIZE 4

#define FP_NODE_COLUMNS(F, C)                     \
	F(id, "INTEGER PRIMARY KEY", NUM, )       \
	C(kind, "INTEGER NOT NULL", ENUM, node_kind) \
	C(key, "TEXT NOT NULL UNIQUE", TEXT, )    \
	C(label, "TEXT", TEXT, )                  \
	C(function, "TEXT", TEXT, )               \
	C(instance, "TEXT", TEXT, )               \
	C(host, "TEXT", TEXT, )                   \
	C(request, "BLOB", ID, )                  \
	C(unit, "INTEGER NOT NULL", ENUM, unit)   \
	C(first, "INTEGER NOT NULL", TIME, )      \
	C(last, "INTEGER NOT NULL", TIME, )       \
	C(attributes, "TEXT", TEXT, )

#define FP_EDGE_COLUMNS(F, C)                                 \
	F(id, "INTEGER PRIMARY KEY", NUM, )                   \
	C(from, "INTEGER NOT NULL", NUM, )    \
	C(to, "INTEGER NOT NULL", NUM, )      \
	C(kind, "INTEGER NOT NULL", ENUM, edge_kind)          \
	C(first, "INTEGER NOT NULL", TIME, )                  \
	C(last, "INTEGER NOT NULL", TIME, )                   \
	C(count, "INTEGER NOT NULL", NUM, )                   \
	C(bytes, "INTEGER NOT NULL", NUM, )                   \
	C(request, "BLOB", ID, )                              \
	C(attribution, "INTEGER NOT NULL", ENUM, attribution) \
	C(rule, "INTEGER NOT NULL", ENUM, rule)               \
	C(candidates, "TEXT", TEXT, )                         \
	C(batch, "INTEGER NOT NULL", NUM, )                   \
	C(event, "INTEGER NOT NULL", NUM, )                   \
	C(attributes, "TEXT", TEXT, )

#define FP_REQUEST_COLUMNS(F, C)             \
	F(id, "BLOB PRIMARY KEY", NAME, )    \
	C(node, "INTEGER NOT NULL", NUM, ) \
	C(call_id, "TEXT", TEXT, )           \
	C(trace_id, "TEXT", TEXT, )          \
	C(function, "TEXT", TEXT, )          \
	C(instance, "TEXT", TEXT, )          \
	C(host, "TEXT", TEXT, )              \
	C(method, "TEXT", TEXT, )            \
	C(url, "TEXT", TEXT, )               \
	C(first, "INTEGER NOT NULL", TIME, ) \
	C(last, "INTEGER NOT NULL", TIME, )  \
	C(status, "INTEGER NOT NULL", INT, ) \
	C(parent, "BLOB", ID, )              \
	C(join, "TEXT", TEXT, )              \
	C(lost, "INTEGER NOT NULL", NUM, )

#define FP_LOSS_COLUMNS(F, C)                     \
	F(host, "TEXT", TEXT, )                   \
	C(instance, "TEXT", TEXT, )               \
	C(cause, "INTEGER NOT NULL", ENUM, loss)  \
	C(first, "INTEGER NOT NULL", TIME, )      \
	C(last, "INTEGER NOT NULL", TIME, )       \
	C(lost, "INTEGER NOT NULL", NUM, )

#define FP_SQL_FIRST_NAME(member, declaration, kind, set) "\"" #member "\""
#define FP_SQL_NAME(member, declaration, kind, set) ", \"" #member "\""
#define FP_SQL_FIRST_DEFINITION(member, declaration, kind, set) "\"" #member "\" " declaration
#define FP_SQL_DEFINITION(member, declaration, kind, set) ", \"" #member "\" " declaration
#define FP_SQL_FIRST_PLACE(member, declaration, kind, set) "?"
#define FP_SQL_PLACE(member, declaration, kind, set) ", ?"

#define FP_SQL_CREATE(table, COLUMNS) \
	"CREATE TABLE " table " (" COLUMNS(FP_SQL_FIRST_DEFINITION, FP_SQL_DEFINITION) ");"
#define FP_SQL_INSERT(table, COLUMNS) \
	"INSERT INTO " table " VALUES (" COLUMNS(FP_SQL_FIRST_PLACE, FP_SQL_PLACE) ")"
#define FP_SQL_SELECT(table, COLUMNS) "SELECT " COLUMNS(FP_SQL_FIRST_NAME, FP_SQL_NAME) " FROM " table

/*
 * Evidence.  A row of batch never changes and never goes.  The frame comes
 * last, so that what is before it is read without it.  Times are wall clock.
 * `seal` has the hash of the graph's file (for a moment also of the next one),
 * and by what is seen without reading it that it is untouched.
 */
#define FP_SQL_EVIDENCE                                                                                        \
	"CREATE TABLE store (id BLOB NOT NULL);"                                                               \
	"CREATE TABLE batch (id INTEGER PRIMARY KEY, agent BLOB NOT NULL, number INTEGER NOT NULL,"            \
	" hash BLOB NOT NULL, host TEXT NOT NULL, boot BLOB NOT NULL, first INTEGER NOT NULL,"                 \
	" last INTEGER NOT NULL, events INTEGER NOT NULL, bytes INTEGER NOT NULL, frame BLOB NOT NULL,"        \
	" UNIQUE (agent, number));"                                                                            \
	"CREATE INDEX batch_time ON batch (first, last, events, bytes);"                                       \
	"CREATE TRIGGER batch_kept BEFORE DELETE ON batch BEGIN SELECT raise(ABORT, 'evidence stays'); END;"   \
	"CREATE TRIGGER batch_same BEFORE UPDATE ON batch BEGIN SELECT raise(ABORT, 'evidence stays'); END;"   \
	"CREATE TABLE request_batch (request BLOB NOT NULL, batch INTEGER NOT NULL,"                           \
	" PRIMARY KEY (request, batch)) WITHOUT ROWID;"                                                        \
	"CREATE TABLE instance_batch (cgroup INTEGER NOT NULL, batch INTEGER NOT NULL,"                        \
	" PRIMARY KEY (cgroup, batch)) WITHOUT ROWID;"                                                         \
	"CREATE TABLE seal (hash BLOB PRIMARY KEY, size INTEGER, inode INTEGER, changed INTEGER);"

/* `store` names the evidence that the graph was made from. */
#define FP_SQL_GRAPH                                                                                           \
	"CREATE TABLE graph (store BLOB NOT NULL, stitched_batch INTEGER NOT NULL, nodes INTEGER NOT NULL,"    \
	" edges INTEGER NOT NULL, requests INTEGER NOT NULL);"                                                 \
	FP_SQL_CREATE("node", FP_NODE_COLUMNS)                                                                 \
	FP_SQL_CREATE("edge", FP_EDGE_COLUMNS)                                                                 \
	FP_SQL_CREATE("request", FP_REQUEST_COLUMNS)                                                           \
	FP_SQL_CREATE("loss", FP_LOSS_COLUMNS)

/* Made when all rows are there: sorting once is several times faster than keeping them sorted. */
#define FP_SQL_GRAPH_INDICES                                                   \
	"CREATE INDEX node_label ON node (label);"                             \
	"CREATE INDEX node_request ON node (request) WHERE request NOT NULL;"  \
	"CREATE INDEX edge_to ON edge (\"to\", first);"                        \
	"CREATE INDEX edge_from ON edge (\"from\", first);"                    \
	"CREATE INDEX request_call_id ON request (call_id);"                   \
	"CREATE INDEX request_trace_id ON request (trace_id);"                 \
	"CREATE INDEX request_first ON request (first);"

#endif

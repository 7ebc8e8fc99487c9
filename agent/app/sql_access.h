/*
 * What the statements of one connection to a database touch: the schema in use,
 * the accesses of the statement at hand, and those of prepared statements (of
 * PostgreSQL also its portals), which may be executed in a much later request.
 * For the parsers of MySQL and PostgreSQL.  Private to agent/app.
 *
 * Names: MySQL's are <schema>.<table>.  PostgreSQL's are <database>.<table> for
 * what is in `public` or named without a schema, else <database>.<schema>.<table>;
 * `schema` then holds the database, which a connection cannot change.
 *
 * Life cycle: zero bytes are an empty one of MySQL; done frees.
 */
#ifndef FP_AGENT_APP_SQL_ACCESS_H
#define FP_AGENT_APP_SQL_ACCESS_H

#include "agent/app/emit.h"
#include "agent/app/sql.h"
#include "base/buffer.h"

#define FP_SQL_SCHEMA_MAX 256 /* 64 characters of four bytes */

/*
 * Drivers keep prepared statements until told otherwise; beyond this many the
 * oldest is forgotten, and its execution has an unknown name.
 */
#define FP_SQL_PREPARED_MAX 1024

struct fp_sql_prepared;

struct fp_sql_access {
	enum fp_sql_dialect dialect;
	char schema[FP_SQL_SCHEMA_MAX + 1], former_schema[FP_SQL_SCHEMA_MAX + 1];
	/* Of the text read last: per access verb NUL, 'p' or 'g', 't' or 'w' (truncated, whole), name NUL, rows NUL. */
	struct fp_buffer list;
	struct fp_sql_prepared *prepared; /* hash by key */
};

void fp_sql_access_done(struct fp_sql_access *access);
void fp_sql_access_set_schema(struct fp_sql_access *access, const char *schema, size_t len);
/* Undoes the last set. */
void fp_sql_access_restore_schema(struct fp_sql_access *access);
/* Makes the list from a text of statements; true when one of them changed the schema. */
bool fp_sql_access_read(struct fp_sql_access *access, struct fp_str text, bool truncated);
/* Makes a list of one access that cannot be told. */
void fp_sql_access_unknown(struct fp_sql_access *access, const char *verb);
/* Hands the list on. */
void fp_sql_access_emit(struct fp_sql_access *access, struct fp_app_input *input);
/* Keeps the list under a key, in place of what was there. */
void fp_sql_access_keep(struct fp_sql_access *access, struct fp_str key);
/* What is under one key is from now on under the other as well; nothing there: nothing there. */
void fp_sql_access_bind(struct fp_sql_access *access, struct fp_str from, struct fp_str to);
void fp_sql_access_execute(struct fp_sql_access *access, struct fp_str key, struct fp_app_input *input);
void fp_sql_access_close(struct fp_sql_access *access, struct fp_str key);
/* All prepared statements, and if asked the schema. */
void fp_sql_access_forget(struct fp_sql_access *access, bool schema_too);

#endif

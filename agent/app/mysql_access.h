/*
 * What the statements of one MySQL connection touch: the schema in use, the
 * accesses of the statement at hand, and those of prepared statements.
 * Private to agent/app.
 *
 * Life cycle: zero bytes are an empty one; done frees.
 */
#ifndef FP_AGENT_APP_MYSQL_ACCESS_H
#define FP_AGENT_APP_MYSQL_ACCESS_H

#include "agent/app/emit.h"
#include "agent/app/sql.h"
#include "base/buffer.h"

#define FP_MYSQL_SCHEMA_MAX 256 /* 64 characters of four bytes */

/*
 * Drivers keep prepared statements until told otherwise; beyond this many the
 * oldest is forgotten, and its execution has an unknown name.
 */
#define FP_MYSQL_PREPARED_MAX 1024

struct fp_mysql_prepared;

struct fp_mysql_access {
	char schema[FP_MYSQL_SCHEMA_MAX + 1], former_schema[FP_MYSQL_SCHEMA_MAX + 1];
	/* Of the text read last: per access verb NUL, 'p' or 'g', 't' or 'w' (truncated, whole), name NUL. */
	struct fp_buffer list;
	struct fp_mysql_prepared *prepared; /* hash by id */
	uint32_t last; /* id prepared last */
};

void fp_mysql_access_done(struct fp_mysql_access *access);
void fp_mysql_access_set_schema(struct fp_mysql_access *access, const char *schema, size_t len);
/* Undoes the last set. */
void fp_mysql_access_restore_schema(struct fp_mysql_access *access);
/* Makes the list from a text of statements; true when one of them changed the schema. */
bool fp_mysql_access_read(struct fp_mysql_access *access, struct fp_str text, bool truncated);
/* Makes a list of one access that cannot be told. */
void fp_mysql_access_unknown(struct fp_mysql_access *access, const char *verb);
/* Hands the list on. */
void fp_mysql_access_emit(struct fp_mysql_access *access, struct fp_app_input *input);
/* Keeps the list under the id that the server gave. */
void fp_mysql_access_keep(struct fp_mysql_access *access, uint32_t id);
void fp_mysql_access_execute(struct fp_mysql_access *access, uint32_t id, struct fp_app_input *input);
void fp_mysql_access_close(struct fp_mysql_access *access, uint32_t id);
/* All prepared statements, and if asked the schema. */
void fp_mysql_access_forget(struct fp_mysql_access *access, bool schema_too);

#endif

/*
 * Which tables does a statement to MySQL/MariaDB or PostgreSQL touch, and how?  A scanner of
 * tokens, not a parser of the language: it knows where the grammar lets a table
 * stand (FROM, JOIN, INTO, UPDATE, TABLE, USING of DELETE and MERGE) and steps over
 * everything else, literals above all.  Pure; borrows from the text.
 *
 * What is executed counts as said: the inside of version comments is read, other
 * comments are not.  Names of common table expressions are not tables.  A table
 * that is both read and written appears twice.
 */
#ifndef FP_AGENT_APP_SQL_H
#define FP_AGENT_APP_SQL_H

#include "agent/app/sql_token.h"
#include "schema/schema.h"

#define FP_SQL_VERB_MAX 16
/* Joins of more tables exist in reports, hardly in functions; what is beyond sets `incomplete`. */
#define FP_SQL_TABLES_MAX 32

struct fp_sql_table {
	struct fp_str schema; /* empty: the connection's */
	struct fp_str name; /* as written between its quotes */
	bool schema_quoted, name_quoted; /* without quotes PostgreSQL takes it in lower case */
	bool put; /* the statement changes it */
};

struct fp_sql_statement {
	char verb[FP_SQL_VERB_MAX + 1]; /* upper case; "?" when it is no word */
	bool put; /* what the verb does to a table that could not be read */
	bool silent; /* without a table it moves no data: SET, SHOW, SELECT 1 */
	bool incomplete; /* there may be more tables: cut, or too many or too deep to follow */
	unsigned n_tables;
	struct fp_sql_table tables[FP_SQL_TABLES_MAX];
};

/*
 * Reads the first statement of the text, and says how many bytes of it that is,
 * with its semicolon; 0 at the end, when nothing but blanks and comments is left.
 * `truncated`: the text goes on behind its end.
 */
size_t fp_sql_read(enum fp_sql_dialect dialect, const char *text, size_t len, bool truncated,
		   struct fp_sql_statement *ret_statement);
/* Does the text begin with a verb that this knows? */
bool fp_sql_begins(enum fp_sql_dialect dialect, const char *text, size_t len);

#endif

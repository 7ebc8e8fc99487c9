/*
 * The tokens of SQL as MySQL/MariaDB and PostgreSQL write it, for agent/app and agent/redact.  Pure; borrows from the text.
 */
#ifndef FP_AGENT_APP_SQL_TOKEN_H
#define FP_AGENT_APP_SQL_TOKEN_H

#include "schema/schema.h"

/*
 * Where the two differ: quotes within strings, comments, what # and $ mean, and
 * a few words.  What is read with the wrong one is read wrongly, so whoever
 * knows the server says so.
 */
enum fp_sql_dialect { FP_SQL_MYSQL, FP_SQL_POSTGRES };

enum fp_sql_kind {
	FP_SQL_END,
	FP_SQL_WORD, /* keyword, or name without quotes */
	FP_SQL_QUOTED, /* `name`, or "name": to MySQL a string where no name can stand */
	FP_SQL_STRING,
	FP_SQL_NUMBER,
	FP_SQL_SIGN, /* one character: text.data[0] */
};

struct fp_sql_token {
	enum fp_sql_kind kind;
	struct fp_str text; /* without quotes */
	bool cut; /* ends where the text ends: may go on */
};

struct fp_sql_lexer {
	enum fp_sql_dialect dialect;
	const char *text;
	size_t len, pos;
	bool in_version_comment; /* between the marks of a version comment */
};

/* Steps over blanks and comments and reads the next token. */
struct fp_sql_token fp_sql_next(struct fp_sql_lexer *lexer);

#endif

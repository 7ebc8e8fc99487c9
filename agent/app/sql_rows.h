/*
 * Which rows of its table does a statement touch?  What can be told from the
 * text: that it looks at all of them, or that each of them has certain values in
 * certain columns.  Two statements that want different values of one column
 * cannot meet in a row.  Private to agent/app; pure.
 *
 * No value leaves this module, only twelve bits of a digest of it: enough to tell
 * most values of a column apart, too little to tell which of the many values with
 * the same digest it was.  What looks like a card number, and columns that are
 * called like secrets, are left out altogether.
 *
 * It must never claim more than the server would agree to: comparison there
 * ignores case, blanks at the end, and whether a number is quoted, and takes the
 * digits at the beginning of a text for a number.  What is not plainly
 * `column = literal`, joined by AND, says nothing.
 */
#ifndef FP_AGENT_APP_SQL_ROWS_H
#define FP_AGENT_APP_SQL_ROWS_H

#include "agent/app/sql.h"

#define FP_SQL_ROWS_MAX 160 /* eight columns of usual names; what is beyond is left out */
#define FP_SQL_ROWS_ALL "*"

/*
 * `text` is the whole statement (one that was cut says nothing), `statement` what
 * fp_sql_read made of it, `table` which of its tables.  Gives "*" for a query without a condition; `column:digest,…`, where a digest is a letter
 * (n a number, s a text, m a text that begins like a number) and three hex
 * digits; or "" when it does not know.
 */
void fp_sql_rows(enum fp_sql_dialect dialect, const char *text, size_t len, const struct fp_sql_statement *statement,
		 unsigned table, char ret_rows[FP_SQL_ROWS_MAX + 1]);

#endif

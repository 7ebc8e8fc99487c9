/* Statements; of the first byte bit 0 says whether the text is cut, bit 1 whose it is. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "agent/app/sql_rows.h"

static void check_inside(struct fp_str name, const char *text, size_t len)
{
	if (name.len && (name.data < text || name.data + name.len > text + len))
		abort();
}

static void check(const struct fp_sql_statement *statement, const char *text, size_t len)
{
	if (strcmp(statement->verb, "?") != 0)
		for (const char *c = statement->verb; *c; c++)
			if (!isupper((unsigned char)*c))
				abort();
	if (statement->n_tables > FP_SQL_TABLES_MAX || statement->verb[0] == '\0')
		abort();
	for (unsigned i = 0; i < statement->n_tables; i++) {
		check_inside(statement->tables[i].name, text, len);
		check_inside(statement->tables[i].schema, text, len);
		if (statement->tables[i].name.len == 0)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum fp_sql_dialect dialect = size && data[0] & 2 ? FP_SQL_POSTGRES : FP_SQL_MYSQL;
	struct fp_sql_statement statement;
	char rows[FP_SQL_ROWS_MAX + 1];
	size_t len = size ? size - 1 : 0, n;
	char *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	if (len)
		memcpy(copy, data + 1, len);
	for (size_t pos = 0; (n = fp_sql_read(dialect, copy + pos, len - pos, size && data[0] & 1, &statement)) > 0; pos += n) {
		if (n > len - pos)
			abort();
		check(&statement, copy + pos, n);
		for (unsigned i = 0; i < statement.n_tables; i++) {
			fp_sql_rows(dialect, copy + pos, n, &statement, i, rows);
			if (strlen(rows) > FP_SQL_ROWS_MAX)
				abort();
		}
	}
	fp_sql_begins(dialect, copy, len);
	free(copy);
	return 0;
}

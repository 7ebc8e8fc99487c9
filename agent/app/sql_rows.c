#include "agent/app/sql_rows.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agent/app/sql_token.h"

#define COLUMN_MAX 32
#define COLUMNS_MAX 16
#define VALUE_MAX 64
#define CARD_DIGITS 12 /* what has as many digits may be a card's number */

struct column {
	char name[COLUMN_MAX + 1]; /* empty: not to be used */
	char digest[5]; /* empty: no value known */
};

struct reader {
	struct fp_sql_lexer lexer;
	struct fp_str table;
	struct fp_sql_token token;
	struct column columns[COLUMNS_MAX];
	unsigned n_columns;
};

static void next(struct reader *r)
{
	r->token = fp_sql_next(&r->lexer);
}

static bool at_word(const struct reader *r, const char *word)
{
	return r->token.kind == FP_SQL_WORD && r->token.text.len == strlen(word) &&
	       strncasecmp(r->token.text.data, word, r->token.text.len) == 0;
}

static bool at_one_of(const struct reader *r, const char *const *words)
{
	for (; *words; words++)
		if (at_word(r, *words))
			return true;
	return false;
}

static bool at_sign(const struct reader *r, char sign)
{
	return r->token.kind == FP_SQL_SIGN && r->token.text.data[0] == sign;
}

static bool at_end(const struct reader *r)
{
	return r->token.kind == FP_SQL_END || at_sign(r, ';');
}

/* --- values ------------------------------------------------------------------ */

static bool is_secret(const char *column)
{
	static const char *const words[] = {"pass", "pwd", "secret", "token", "card", "cvv", "cvc", "pin", "hash", "salt", NULL};

	for (const char *const *word = words; *word; word++)
		if (strstr(column, *word))
			return true;
	return false;
}

/* As the server compares it, or false when that is not plain. */
static bool fold(const struct fp_sql_token *token, char text[VALUE_MAX + 1], char *ret_kind)
{
	struct fp_str value = token->text;
	size_t digits = 0;

	while (value.len && value.data[value.len - 1] == ' ')
		value.len--;
	if (value.len == 0 || value.len > VALUE_MAX || (token->cut && token->kind == FP_SQL_STRING))
		return false;
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.data[i];

		if (c < ' ' || c >= 0x7f || c == '\\' || c == '\'')
			return false;
		text[i] = (char)tolower(c);
		digits += isdigit(c) != 0;
	}
	text[value.len] = '\0';
	if (digits >= CARD_DIGITS)
		return false;
	if (digits < value.len) {
		*ret_kind = isdigit((unsigned char)*text) || strchr(" +-.", *text) ? 'm' : 's';
		return true;
	}
	digits = strspn(text, "0");
	memmove(text, text + digits, value.len - digits + 1);
	*ret_kind = 'n';
	return *text; /* 0 equals every text that does not begin like a number */
}

static void digest(const struct fp_sql_token *token, char ret_digest[5])
{
	char text[VALUE_MAX + 1], kind;
	uint64_t hash = 0xcbf29ce484222325ull;

	*ret_digest = '\0';
	if ((token->kind != FP_SQL_STRING && token->kind != FP_SQL_NUMBER) || !fold(token, text, &kind))
		return;
	for (const char *at = text; *at; at++)
		hash = (hash ^ (unsigned char)*at) * 0x100000001b3ull;
	hash ^= hash >> 36;
	hash ^= hash >> 12 ^ hash >> 24;
	snprintf(ret_digest, 5, "%c%03x", kind, (unsigned)(hash & 0xfff));
}

/* --- columns ------------------------------------------------------------------- */

static void name_column(struct column *column, const struct fp_sql_token *token)
{
	size_t len = token->text.len;

	*column = (struct column){0};
	if ((token->kind != FP_SQL_WORD && token->kind != FP_SQL_QUOTED) || len > COLUMN_MAX)
		return;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)token->text.data[i];

		if (!isalnum(c) && c != '_')
			return;
		column->name[i] = (char)tolower(c);
	}
	column->name[len] = '\0';
	if (is_secret(column->name))
		*column->name = '\0';
}

static struct column *find_column(struct reader *r, const char *name)
{
	for (unsigned i = 0; i < r->n_columns; i++)
		if (strcmp(r->columns[i].name, name) == 0)
			return &r->columns[i];
	return NULL;
}

/* column, table.column; stands behind it.  What is of no use has no name. */
static void read_column(struct reader *r, struct column *column)
{
	struct fp_sql_token first = r->token;

	name_column(column, &first);
	next(r);
	if (!at_sign(r, '.'))
		return;
	next(r);
	name_column(column, &r->token);
	if (first.text.len != r->table.len || strncasecmp(first.text.data, r->table.data, r->table.len) != 0)
		*column->name = '\0';
	next(r);
}

/* --- conditions ------------------------------------------------------------------ */

static const char *const behind_where[] = {"GROUP", "HAVING", "ORDER", "LIMIT", "WINDOW", "FOR", "LOCK", "RETURNING", NULL};

/* Words that make more of a condition than terms that must all hold. */
static const char *const not_plain[] = {"OR", "XOR", "BETWEEN", "CASE", "UNION", "EXCEPT", "INTERSECT", "INTO",
					"PROCEDURE", NULL};

/* Steps over the rest of a term; false when the condition is not plain. */
static bool skip_term(struct reader *r)
{
	for (unsigned depth = 0; !at_end(r); next(r)) {
		if (at_word(r, "SELECT")) {
			return false; /* it may be about the same table */
		} else if (at_sign(r, '(')) {
			depth++;
		} else if (at_sign(r, ')')) {
			if (depth-- == 0)
				return false;
		} else if (depth == 0) {
			if (at_one_of(r, not_plain) || at_sign(r, '|'))
				return false;
			if (at_word(r, "AND") || at_one_of(r, behind_where))
				return true;
		}
	}
	return true;
}

/* column = literal, and nothing else. */
static bool read_term(struct reader *r)
{
	struct column column = {0};

	if (r->token.kind == FP_SQL_WORD || r->token.kind == FP_SQL_QUOTED) {
		if (at_one_of(r, not_plain))
			return false;
		read_column(r, &column);
		if (at_sign(r, '=')) {
			next(r);
			digest(&r->token, column.digest);
			next(r);
		} else {
			*column.name = '\0';
		}
	}
	if (*column.name && *column.digest && (at_end(r) || at_word(r, "AND") || at_one_of(r, behind_where)) &&
	    r->n_columns < COLUMNS_MAX)
		r->columns[r->n_columns++] = column;
	return skip_term(r);
}

/* Stands behind WHERE.  False: it says nothing. */
static bool read_condition(struct reader *r)
{
	for (;;) {
		if (!read_term(r))
			return false;
		if (!at_word(r, "AND"))
			break;
		next(r);
	}
	/* a second query may follow: UNION (SELECT …) */
	for (; !at_end(r); next(r))
		if (at_one_of(r, not_plain) || at_word(r, "SELECT"))
			return false;
	return true;
}

/* Goes on to a word outside parentheses; false at the end. */
static bool go_to(struct reader *r, const char *word, bool *ret_plain)
{
	for (int depth = 0; !at_end(r); next(r)) {
		if (depth == 0 && at_word(r, word))
			return true;
		if (at_sign(r, '('))
			depth++;
		else if (at_sign(r, ')'))
			depth--;
		else if (at_word(r, "SELECT") || at_word(r, "JOIN") || at_word(r, "STRAIGHT_JOIN") || at_one_of(r, not_plain))
			*ret_plain = false;
	}
	return false;
}

/* FROM t [[AS] alias] WHERE: one table, once. */
static bool is_once(struct reader *r)
{
	struct reader ahead = *r;

	for (next(&ahead); !at_end(&ahead) && !at_word(&ahead, "WHERE"); next(&ahead)) {
		if (at_one_of(&ahead, behind_where))
			return true;
		if (at_sign(&ahead, ','))
			return false;
	}
	return true;
}

/* True when all rows are looked at. */
static bool read_query(struct reader *r)
{
	bool plain = true;

	next(r);
	if (!go_to(r, "FROM", &plain) || !is_once(r) || !plain)
		return false;
	if (!go_to(r, "WHERE", &plain))
		return plain;
	next(r);
	if (!plain || !read_condition(r))
		r->n_columns = 0;
	return false;
}

/* c = …, or t.c = … */
static void name_changed(struct reader ahead, struct column *column)
{
	name_column(column, &ahead.token);
	next(&ahead);
	if (!at_sign(&ahead, '.'))
		return;
	next(&ahead);
	name_column(column, &ahead.token);
}

/* Columns that UPDATE changes say nothing about the rows any more. */
static void read_update(struct reader *r)
{
	struct column changed[COLUMNS_MAX];
	unsigned n = 0;
	bool plain = true, begins = true;

	if (!go_to(r, "SET", &plain) || !plain)
		return;
	for (next(r); !at_end(r) && !at_word(r, "WHERE"); begins = at_sign(r, ','), next(r)) {
		if (!begins)
			continue;
		if (n == COLUMNS_MAX)
			return;
		name_changed(*r, &changed[n++]);
	}
	if (at_end(r))
		return;
	next(r);
	if (!read_condition(r))
		r->n_columns = 0;
	for (unsigned i = 0; i < n; i++) {
		struct column *column = *changed[i].name ? find_column(r, changed[i].name) : NULL;

		if (column)
			*column->name = '\0';
	}
}

static void read_delete(struct reader *r)
{
	bool plain = true;

	if (!go_to(r, "WHERE", &plain) || !plain)
		return;
	next(r);
	if (!read_condition(r))
		r->n_columns = 0;
}

/* One value of VALUES, a literal or more; stands at the comma or parenthesis behind it. */
static bool read_value(struct reader *r, char ret_digest[5])
{
	digest(&r->token, ret_digest);
	if (r->token.kind == FP_SQL_STRING || r->token.kind == FP_SQL_NUMBER)
		next(r);
	for (unsigned depth = 0; !(depth == 0 && (at_sign(r, ',') || at_sign(r, ')'))); next(r)) {
		*ret_digest = '\0';
		if (at_end(r))
			return false;
		if (at_sign(r, '('))
			depth++;
		else if (at_sign(r, ')'))
			depth--;
	}
	return true;
}

/* INSERT INTO t (a, b) VALUES (1, 'x'), one row and nothing behind it. */
static void read_insert(struct reader *r)
{
	unsigned n = 0, values = 0;

	while (!at_end(r) && !at_sign(r, '('))
		next(r);
	do {
		next(r);
		if (n == COLUMNS_MAX || at_end(r))
			return;
		name_column(&r->columns[n++], &r->token);
		next(r);
	} while (at_sign(r, ','));
	if (!at_sign(r, ')'))
		return;
	next(r);
	if (!at_word(r, "VALUES") && !at_word(r, "VALUE"))
		return;
	next(r);
	if (!at_sign(r, '('))
		return;
	do {
		next(r);
		if (values == n || !read_value(r, r->columns[values++].digest))
			return;
	} while (at_sign(r, ','));
	next(r);
	if (values == n && at_end(r))
		r->n_columns = n;
}

static void write_columns(const struct reader *r, char ret_rows[FP_SQL_ROWS_MAX + 1])
{
	size_t len = 0;

	for (unsigned i = 0; i < r->n_columns; i++) {
		const struct column *column = &r->columns[i];
		size_t wanted = strlen(column->name) + strlen(column->digest) + 2;

		if (!*column->name || !*column->digest || len + wanted > FP_SQL_ROWS_MAX)
			continue;
		len += (size_t)sprintf(ret_rows + len, "%s%s:%s", len ? "," : "", column->name, column->digest);
	}
}

/* One table, and what is said of it. */
static void read_rows(enum fp_sql_dialect dialect, struct fp_str text, struct fp_str table,
		      char ret_rows[FP_SQL_ROWS_MAX + 1])
{
	struct reader r = {.lexer = {.dialect = dialect, .text = text.data, .len = text.len}, .table = table};
	bool all = false;

	*ret_rows = '\0';
	next(&r);
	if (at_word(&r, "SELECT"))
		all = read_query(&r);
	else if (at_word(&r, "UPDATE"))
		read_update(&r);
	else if (at_word(&r, "DELETE"))
		read_delete(&r);
	else if (at_word(&r, "INSERT") || at_word(&r, "REPLACE"))
		read_insert(&r);
	if (all)
		strcpy(ret_rows, FP_SQL_ROWS_ALL);
	else
		write_columns(&r, ret_rows);
}

/* --- unions -------------------------------------------------------------------- */

/* Stands behind the next UNION outside parentheses, or at the end; gives what is before it. */
static struct fp_str next_query(struct reader *r)
{
	const char *begin = r->lexer.text + r->lexer.pos;

	for (int depth = 0;;) {
		const char *before = r->lexer.text + r->lexer.pos;

		next(r);
		if (at_end(r))
			return (struct fp_str){begin, (size_t)(before - begin)};
		if (at_sign(r, '('))
			depth++;
		else if (at_sign(r, ')'))
			depth--;
		else if (depth == 0 && at_word(r, "UNION"))
			return (struct fp_str){begin, (size_t)(before - begin)};
		else if (depth == 0 && before == begin && (at_word(r, "ALL") || at_word(r, "DISTINCT")))
			begin = r->lexer.text + r->lexer.pos;
	}
}

/* The query of a union that alone is about the table, if there is one. */
static struct fp_str find_query(enum fp_sql_dialect dialect, struct fp_str text, struct fp_str table)
{
	struct reader r = {.lexer = {.dialect = dialect, .text = text.data, .len = text.len}};
	struct fp_str found = {NULL, 0};

	do {
		struct fp_str query = next_query(&r);
		struct fp_sql_statement statement;

		fp_sql_read(dialect, query.data, query.len, false, &statement);
		for (unsigned i = 0; i < statement.n_tables; i++) {
			struct fp_str name = statement.tables[i].name;

			if (name.len != table.len || strncasecmp(name.data, table.data, name.len) != 0)
				continue;
			if (found.len || statement.n_tables != 1 || strcmp(statement.verb, "SELECT") != 0)
				return (struct fp_str){NULL, 0};
			found = query;
		}
	} while (!at_end(&r));
	return found;
}

void fp_sql_rows(enum fp_sql_dialect dialect, const char *text, size_t len, const struct fp_sql_statement *statement,
		 unsigned table, char ret_rows[FP_SQL_ROWS_MAX + 1])
{
	struct fp_str name = statement->tables[table].name, query = {text, len};

	*ret_rows = '\0';
	if (statement->incomplete)
		return;
	if (statement->n_tables > 1 && strcmp(statement->verb, "SELECT") == 0)
		query = find_query(dialect, query, name);
	else if (statement->n_tables > 1)
		return;
	if (query.len)
		read_rows(dialect, query, name, ret_rows);
}

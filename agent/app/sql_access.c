#include "agent/app/sql_access.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/app/sql_rows.h"
#include "agent/app/sql_token.h"

/* Without memory a statement is not kept; its execution has an unknown name. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct fp_sql_prepared {
	size_t key_len, len;
	UT_hash_handle hh;
	char bytes[]; /* key, list */
};

void fp_sql_access_done(struct fp_sql_access *access)
{
	fp_sql_access_forget(access, true);
	fp_buffer_done(&access->list);
}

void fp_sql_access_set_schema(struct fp_sql_access *access, const char *schema, size_t len)
{
	if (len > FP_SQL_SCHEMA_MAX)
		return;
	memcpy(access->former_schema, access->schema, sizeof(access->schema));
	if (len)
		memcpy(access->schema, schema, len);
	access->schema[len] = '\0';
}

void fp_sql_access_restore_schema(struct fp_sql_access *access)
{
	memcpy(access->schema, access->former_schema, sizeof(access->schema));
}

/* --- reading --------------------------------------------------------------- */

static bool is_named(struct fp_str text, const char *name)
{
	return text.len == strlen(name) && strncasecmp(text.data, name, text.len) == 0;
}

static void add_part(struct fp_buffer *list, struct fp_str part, bool fold)
{
	for (size_t i = 0; i < part.len; i++) {
		char c = fold ? (char)tolower((unsigned char)part.data[i]) : part.data[i];

		fp_buffer_add(list, &c, 1);
	}
}

static void add(struct fp_sql_access *access, const struct fp_sql_statement *statement,
		const struct fp_sql_table *table, struct fp_str in_use, const char *rows)
{
	bool postgres = access->dialect == FP_SQL_POSTGRES;
	struct fp_buffer *list = &access->list;

	fp_buffer_add(list, statement->verb, strlen(statement->verb) + 1);
	fp_buffer_add(list, table->put ? "p" : "g", 1);
	fp_buffer_add(list, statement->incomplete ? "t" : "w", 1);
	if (in_use.len && (postgres || !table->schema.len)) {
		add_part(list, in_use, false);
		fp_buffer_add(list, ".", 1);
	}
	if (table->schema.len && !(postgres && is_named(table->schema, "public"))) {
		add_part(list, table->schema, postgres && !table->schema_quoted);
		fp_buffer_add(list, ".", 1);
	}
	add_part(list, table->name, postgres && !table->name_quoted);
	fp_buffer_add(list, "", 1);
	fp_buffer_add(list, rows, strlen(rows) + 1);
}

/* NUL cannot stand in a name, and would end it in the list. */
static bool has_nul(struct fp_str text)
{
	return text.len && memchr(text.data, 0, text.len);
}

/* The server's view of itself carries nothing from one request to another; SHOW says the same. */
static bool is_catalogue(const struct fp_sql_access *access, const struct fp_sql_table *table)
{
	bool postgres = access->dialect == FP_SQL_POSTGRES;
	struct fp_str in_use = {access->schema, strlen(access->schema)};
	struct fp_str schema = table->schema.len || postgres ? table->schema : in_use;

	if (is_named(schema, "information_schema"))
		return true;
	if (!postgres)
		return is_named(schema, "performance_schema");
	/* names that begin with pg_ are the server's own */
	return is_named(schema, "pg_catalog") ||
	       (!schema.len && table->name.len > 3 && strncasecmp(table->name.data, "pg_", 3) == 0);
}

/* `text`: of the statement when it is whole, else without data. */
static void add_statement(struct fp_sql_access *access, const struct fp_sql_statement *statement, struct fp_str text)
{
	struct fp_str in_use = {access->schema, strlen(access->schema)};
	struct fp_sql_table none = {.put = statement->put};

	for (unsigned i = 0; i < statement->n_tables; i++) {
		const struct fp_sql_table *table = &statement->tables[i];
		char rows[FP_SQL_ROWS_MAX + 1] = "";

		if (is_catalogue(access, table) || has_nul(table->schema) || has_nul(table->name))
			continue;
		if (text.data)
			fp_sql_rows(access->dialect, text.data, text.len, statement, i, rows);
		add(access, statement, table, in_use, rows);
	}
	if (statement->n_tables)
		return;
	if (statement->incomplete) {
		none.name = (struct fp_str){FP_APP_NAME_UNKNOWN, 1};
		add(access, statement, &none, (struct fp_str){NULL, 0}, "");
	} else if (!statement->silent) {
		add(access, statement, &none, (struct fp_str){NULL, 0}, "");
	}
}

/* USE name; true when it was one. */
static bool read_use(struct fp_sql_access *access, const char *text, size_t len)
{
	struct fp_sql_lexer lexer = {.dialect = access->dialect, .text = text, .len = len};
	struct fp_sql_token name;

	fp_sql_next(&lexer);
	name = fp_sql_next(&lexer);
	if ((name.kind != FP_SQL_WORD && name.kind != FP_SQL_QUOTED) || has_nul(name.text))
		return false;
	fp_sql_access_set_schema(access, name.text.data, name.text.len);
	return true;
}

bool fp_sql_access_read(struct fp_sql_access *access, struct fp_str text, bool truncated)
{
	struct fp_sql_statement statement;
	bool changed = false;
	size_t n;

	fp_buffer_clear(&access->list);
	while ((n = fp_sql_read(access->dialect, text.data, text.len, truncated, &statement)) > 0) {
		if (access->dialect == FP_SQL_MYSQL && strcmp(statement.verb, "USE") == 0)
			changed |= read_use(access, text.data, n);
		else
			add_statement(access, &statement, (struct fp_str){!truncated || n < text.len ? text.data : NULL, n});
		text.data += n;
		text.len -= n;
	}
	return changed;
}

void fp_sql_access_unknown(struct fp_sql_access *access, const char *verb)
{
	struct fp_sql_statement statement = {.incomplete = true};

	strncpy(statement.verb, verb, FP_SQL_VERB_MAX);
	fp_buffer_clear(&access->list);
	add_statement(access, &statement, (struct fp_str){NULL, 0});
}

/* --- handing on ------------------------------------------------------------ */

static void emit_list(const char *list, size_t len, struct fp_app_input *input)
{
	for (size_t pos = 0; pos < len;) {
		const char *verb = list + pos, *kind = verb + strlen(verb) + 1, *name = kind + 2, *rows = name + strlen(name) + 1;
		struct fp_app_message message = {
			.app = FP_APP_SQL,
			.outgoing = input->outgoing,
			.direction = kind[0] == 'p',
			.truncated = kind[1] == 't',
			.method = {verb, strlen(verb)},
			.name = {name, strlen(name)},
			.rows = {rows, strlen(rows)},
		};

		fp_app_emit(input, &message);
		pos = (size_t)(rows - list) + message.rows.len + 1;
	}
}

void fp_sql_access_emit(struct fp_sql_access *access, struct fp_app_input *input)
{
	if (access->list.failed)
		input->error = -ENOMEM;
	else
		emit_list(access->list.data, access->list.len, input);
}

/* --- prepared statements --------------------------------------------------- */

static struct fp_sql_prepared *find(const struct fp_sql_access *access, struct fp_str key)
{
	struct fp_sql_prepared *prepared;

	HASH_FIND(hh, access->prepared, key.data, key.len, prepared);
	return prepared;
}

static void remove_prepared(struct fp_sql_access *access, struct fp_sql_prepared *prepared)
{
	if (!prepared)
		return;
	HASH_DEL(access->prepared, prepared);
	free(prepared);
}

static void keep(struct fp_sql_access *access, struct fp_str key, struct fp_str list)
{
	struct fp_sql_prepared *prepared = calloc(1, sizeof(*prepared) + key.len + list.len);

	remove_prepared(access, find(access, key));
	if (!prepared)
		return;
	if (HASH_COUNT(access->prepared) >= FP_SQL_PREPARED_MAX)
		remove_prepared(access, access->prepared); /* in order of adding: the oldest */
	prepared->key_len = key.len;
	prepared->len = list.len;
	memcpy(prepared->bytes, key.data, key.len);
	if (list.len)
		memcpy(prepared->bytes + key.len, list.data, list.len);
	HASH_ADD_KEYPTR(hh, access->prepared, prepared->bytes, prepared->key_len, prepared);
	if (!prepared->hh.tbl)
		free(prepared);
}

void fp_sql_access_keep(struct fp_sql_access *access, struct fp_str key)
{
	if (!access->list.failed)
		keep(access, key, (struct fp_str){access->list.data, access->list.len});
}

void fp_sql_access_bind(struct fp_sql_access *access, struct fp_str from, struct fp_str to)
{
	struct fp_sql_prepared *prepared = find(access, from);
	struct fp_buffer copy = FP_BUFFER_INIT;

	if (!prepared) {
		fp_sql_access_close(access, to);
		return;
	}
	/* making room may remove it */
	fp_buffer_add(&copy, prepared->bytes + prepared->key_len, prepared->len);
	if (!copy.failed)
		keep(access, to, (struct fp_str){copy.data, copy.len});
	fp_buffer_done(&copy);
}

void fp_sql_access_execute(struct fp_sql_access *access, struct fp_str key, struct fp_app_input *input)
{
	struct fp_sql_prepared *prepared = find(access, key);

	if (prepared) {
		emit_list(prepared->bytes + prepared->key_len, prepared->len, input);
		return;
	}
	fp_sql_access_unknown(access, "EXECUTE");
	fp_sql_access_emit(access, input);
}

void fp_sql_access_close(struct fp_sql_access *access, struct fp_str key)
{
	remove_prepared(access, find(access, key));
}

void fp_sql_access_forget(struct fp_sql_access *access, bool schema_too)
{
	struct fp_sql_prepared *prepared, *next;

	HASH_ITER(hh, access->prepared, prepared, next)
		remove_prepared(access, prepared);
	if (schema_too)
		access->schema[0] = access->former_schema[0] = '\0';
}

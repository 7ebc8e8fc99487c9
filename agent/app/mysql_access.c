#include "agent/app/mysql_access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/app/sql_token.h"

/* Without memory a statement is not kept; its execution has an unknown name. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define LAST_PREPARED 0xffffffffu /* MariaDB: the one prepared just before */

struct fp_mysql_prepared {
	uint32_t id;
	size_t len;
	UT_hash_handle hh;
	char list[];
};

void fp_mysql_access_done(struct fp_mysql_access *access)
{
	fp_mysql_access_forget(access, true);
	fp_buffer_done(&access->list);
}

void fp_mysql_access_set_schema(struct fp_mysql_access *access, const char *schema, size_t len)
{
	if (len > FP_MYSQL_SCHEMA_MAX)
		return;
	memcpy(access->former_schema, access->schema, sizeof(access->schema));
	if (len)
		memcpy(access->schema, schema, len);
	access->schema[len] = '\0';
}

void fp_mysql_access_restore_schema(struct fp_mysql_access *access)
{
	memcpy(access->schema, access->former_schema, sizeof(access->schema));
}

/* --- reading --------------------------------------------------------------- */

static void add(struct fp_mysql_access *access, const struct fp_sql_statement *statement, bool put, struct fp_str schema,
		struct fp_str name)
{
	struct fp_buffer *list = &access->list;

	fp_buffer_add(list, statement->verb, strlen(statement->verb) + 1);
	fp_buffer_add(list, put ? "p" : "g", 1);
	fp_buffer_add(list, statement->incomplete ? "t" : "w", 1);
	if (schema.len) {
		fp_buffer_add(list, schema.data, schema.len);
		fp_buffer_add(list, ".", 1);
	}
	fp_buffer_add(list, name.data, name.len);
	fp_buffer_add(list, "", 1);
}

/* NUL cannot stand in a name, and would end it in the list. */
static bool has_nul(struct fp_str text)
{
	return text.len && memchr(text.data, 0, text.len);
}

/* The server's view of itself carries nothing from one request to another; SHOW says the same. */
static bool is_catalogue(struct fp_str schema)
{
	static const char *const names[] = {"information_schema", "performance_schema"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (schema.len == strlen(names[i]) && strncasecmp(schema.data, names[i], schema.len) == 0)
			return true;
	return false;
}

static void add_statement(struct fp_mysql_access *access, const struct fp_sql_statement *statement)
{
	struct fp_str in_use = {access->schema, strlen(access->schema)}, none = {NULL, 0};

	for (unsigned i = 0; i < statement->n_tables; i++) {
		const struct fp_sql_table *table = &statement->tables[i];
		struct fp_str schema = table->schema.len ? table->schema : in_use;

		if (!is_catalogue(schema) && !has_nul(schema) && !has_nul(table->name))
			add(access, statement, table->put, schema, table->name);
	}
	if (statement->n_tables)
		return;
	if (statement->incomplete)
		add(access, statement, statement->put, none, (struct fp_str){FP_APP_NAME_UNKNOWN, 1});
	else if (!statement->silent)
		add(access, statement, statement->put, none, none);
}

/* USE name; true when it was one. */
static bool read_use(struct fp_mysql_access *access, const char *text, size_t len)
{
	struct fp_sql_lexer lexer = {.text = text, .len = len};
	struct fp_sql_token name;

	fp_sql_next(&lexer);
	name = fp_sql_next(&lexer);
	if ((name.kind != FP_SQL_WORD && name.kind != FP_SQL_QUOTED) || has_nul(name.text))
		return false;
	fp_mysql_access_set_schema(access, name.text.data, name.text.len);
	return true;
}

bool fp_mysql_access_read(struct fp_mysql_access *access, struct fp_str text, bool truncated)
{
	struct fp_sql_statement statement;
	bool changed = false;
	size_t n;

	fp_buffer_clear(&access->list);
	while ((n = fp_sql_read(text.data, text.len, truncated, &statement)) > 0) {
		if (strcmp(statement.verb, "USE") == 0)
			changed |= read_use(access, text.data, n);
		else
			add_statement(access, &statement);
		text.data += n;
		text.len -= n;
	}
	return changed;
}

void fp_mysql_access_unknown(struct fp_mysql_access *access, const char *verb)
{
	struct fp_sql_statement statement = {.incomplete = true};

	strncpy(statement.verb, verb, FP_SQL_VERB_MAX);
	fp_buffer_clear(&access->list);
	add_statement(access, &statement);
}

/* --- handing on ------------------------------------------------------------ */

static void emit_list(const char *list, size_t len, struct fp_app_input *input)
{
	for (size_t pos = 0; pos < len;) {
		const char *verb = list + pos, *kind = verb + strlen(verb) + 1, *name = kind + 2;
		struct fp_app_message message = {
			.app = FP_APP_SQL,
			.outgoing = input->outgoing,
			.direction = kind[0] == 'p',
			.truncated = kind[1] == 't',
			.method = {verb, strlen(verb)},
			.name = {name, strlen(name)},
		};

		fp_app_emit(input, &message);
		pos = (size_t)(name - list) + message.name.len + 1;
	}
}

void fp_mysql_access_emit(struct fp_mysql_access *access, struct fp_app_input *input)
{
	if (access->list.failed)
		input->error = -ENOMEM;
	else
		emit_list(access->list.data, access->list.len, input);
}

/* --- prepared statements --------------------------------------------------- */

static struct fp_mysql_prepared *find(const struct fp_mysql_access *access, uint32_t id)
{
	struct fp_mysql_prepared *prepared;

	HASH_FIND(hh, access->prepared, &id, sizeof(id), prepared);
	return prepared;
}

static void remove_prepared(struct fp_mysql_access *access, struct fp_mysql_prepared *prepared)
{
	if (!prepared)
		return;
	HASH_DEL(access->prepared, prepared);
	free(prepared);
}

void fp_mysql_access_keep(struct fp_mysql_access *access, uint32_t id)
{
	struct fp_mysql_prepared *prepared;

	if (access->list.failed)
		return;
	remove_prepared(access, find(access, id));
	if (HASH_COUNT(access->prepared) >= FP_MYSQL_PREPARED_MAX)
		remove_prepared(access, access->prepared); /* in order of adding: the oldest */
	prepared = calloc(1, sizeof(*prepared) + access->list.len);
	if (!prepared)
		return;
	prepared->id = id;
	prepared->len = access->list.len;
	if (prepared->len)
		memcpy(prepared->list, access->list.data, prepared->len);
	HASH_ADD(hh, access->prepared, id, sizeof(prepared->id), prepared);
	if (!prepared->hh.tbl) {
		free(prepared);
		return;
	}
	access->last = id;
}

void fp_mysql_access_execute(struct fp_mysql_access *access, uint32_t id, struct fp_app_input *input)
{
	struct fp_mysql_prepared *prepared = find(access, id == LAST_PREPARED ? access->last : id);

	if (prepared) {
		emit_list(prepared->list, prepared->len, input);
		return;
	}
	fp_mysql_access_unknown(access, "EXECUTE");
	fp_mysql_access_emit(access, input);
}

void fp_mysql_access_close(struct fp_mysql_access *access, uint32_t id)
{
	remove_prepared(access, find(access, id));
}

void fp_mysql_access_forget(struct fp_mysql_access *access, bool schema_too)
{
	struct fp_mysql_prepared *prepared, *next;

	HASH_ITER(hh, access->prepared, prepared, next)
		remove_prepared(access, prepared);
	if (schema_too)
		access->schema[0] = access->former_schema[0] = '\0';
}

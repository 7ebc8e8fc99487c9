#include "agent/app/sql.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>


/* Parentheses deeper than this are stepped over; 512 bytes of text hardly hold more. */
#define DEPTH_MAX 64
#define CTE_MAX 16

/* What is between a pair of parentheses, or the statement itself. */
struct frame {
	bool select; /* a SELECT stands in it: FROM and commas mean tables */
	bool list; /* in a list of tables: a comma or JOIN brings the next */
	bool put; /* the tables of the list are changed */
	bool with; /* in the names of WITH */
};

struct scan {
	struct fp_sql_lexer lexer;
	bool truncated;
	struct fp_sql_statement *statement;
	const struct verb *verb;
	struct frame frames[DEPTH_MAX];
	unsigned depth; /* may be more than DEPTH_MAX: then the innermost frame is shared */
	bool expect; /* a table may stand here */
	bool from_list; /* ... in FROM or JOIN, where name(…) is a function */
	bool literals; /* only values follow */
	struct fp_sql_token token, before; /* the one at hand, the one before it */
	struct fp_str ctes[CTE_MAX];
	unsigned n_ctes;
};

/* How a verb takes its tables. */
enum grammar {
	QUERY, /* tables only in FROM and JOIN of SELECT */
	CHANGE, /* verb [words] table */
	CHANGE_LIST, /* verb [words] table, table */
	REMOVE, /* DELETE */
	DEFINE, /* verb … TABLE or VIEW table */
	SILENT, /* like QUERY, and without a table not worth a message */
	KIND, /* what it names is no matter of data */
};

static const struct verb {
	const char *name;
	enum grammar grammar;
	bool put;
} verbs[] = {
	{"SELECT", SILENT, false},    {"INSERT", CHANGE, true},	     {"UPDATE", CHANGE_LIST, true},
	{"DELETE", REMOVE, true},     {"REPLACE", CHANGE, true},     {"TABLE", CHANGE, false},
	{"CREATE", DEFINE, true},     {"ALTER", DEFINE, true},	     {"DROP", DEFINE, true},
	{"TRUNCATE", DEFINE, true},   {"RENAME", DEFINE, true},	     {"LOAD", DEFINE, true},
	{"HANDLER", CHANGE, false},   {"CALL", QUERY, false},	     {"EXECUTE", QUERY, false},
	{"PREPARE", QUERY, false},    {"GRANT", KIND, true},	     {"REVOKE", KIND, true},
	{"DO", SILENT, false},	      {"SET", SILENT, false},	     {"SHOW", SILENT, false},
	{"USE", SILENT, false},	      {"BEGIN", SILENT, false},	     {"START", SILENT, false},
	{"COMMIT", SILENT, false},    {"ROLLBACK", SILENT, false},   {"SAVEPOINT", SILENT, false},
	{"RELEASE", SILENT, false},   {"LOCK", SILENT, false},	     {"UNLOCK", SILENT, false},
	{"EXPLAIN", SILENT, false},   {"DESCRIBE", SILENT, false},   {"DESC", SILENT, false},
	{"ANALYZE", SILENT, false},   {"CHECK", SILENT, false},	     {"FLUSH", SILENT, false},
	{"KILL", SILENT, false},      {"DEALLOCATE", SILENT, false}, {"VALUES", SILENT, false},
	{"END", SILENT, false},	      {"XA", SILENT, false},	     {"OPTIMIZE", SILENT, false},
	/* PostgreSQL's own */
	{"COPY", CHANGE, true},	      {"MERGE", CHANGE, true},	     {"REFRESH", DEFINE, true},
	{"DECLARE", SILENT, false},   {"FETCH", SILENT, false},	     {"CLOSE", SILENT, false},
	{"LISTEN", SILENT, false},    {"UNLISTEN", SILENT, false},   {"NOTIFY", SILENT, false},
	{"RESET", SILENT, false},     {"DISCARD", SILENT, false},    {"ABORT", SILENT, false},
	{"VACUUM", SILENT, false},    {"REINDEX", SILENT, false},    {"CLUSTER", SILENT, false},
	{"CHECKPOINT", SILENT, false}, {"COMMENT", KIND, true},	     {"REASSIGN", KIND, true},
};

static const struct verb unknown_verb = {"?", QUERY, false}, with_verb = {"WITH", QUERY, false};

static bool word_is(const struct fp_sql_token *token, const char *word)
{
	return token->kind == FP_SQL_WORD && strlen(word) == token->text.len &&
	       strncasecmp(token->text.data, word, token->text.len) == 0;
}

static bool word_in(const struct fp_sql_token *token, const char *const *words)
{
	for (; *words; words++)
		if (word_is(token, *words))
			return true;
	return false;
}

static bool sign_is(const struct fp_sql_token *token, char sign)
{
	return token->kind == FP_SQL_SIGN && token->text.data[0] == sign;
}

static const struct verb *verb_of(const struct fp_sql_token *token)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (word_is(token, verbs[i].name))
			return &verbs[i];
	return NULL;
}

static struct fp_sql_token peek(const struct scan *s)
{
	struct fp_sql_lexer ahead = s->lexer;

	return fp_sql_next(&ahead);
}

static bool is_postgres(const struct scan *s)
{
	return s->lexer.dialect == FP_SQL_POSTGRES;
}

static struct frame *frame(struct scan *s)
{
	return &s->frames[s->depth < DEPTH_MAX ? s->depth : DEPTH_MAX - 1];
}

/* --- tables ---------------------------------------------------------------- */

static bool same(struct fp_str a, struct fp_str b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.data, b.data, a.len) == 0);
}

static bool is_cte(const struct scan *s, struct fp_str name)
{
	for (unsigned i = 0; i < s->n_ctes; i++)
		if (same(s->ctes[i], name))
			return true;
	return false;
}

static void add_table(struct scan *s, const struct fp_sql_table *table)
{
	struct fp_sql_statement *statement = s->statement;
	struct fp_str schema = table->schema, name = table->name;

	if (name.len == 0 || (schema.len == 0 && (is_cte(s, name) || same(name, (struct fp_str){"dual", 4}))))
		return;
	for (unsigned i = 0; i < statement->n_tables; i++)
		if (same(statement->tables[i].name, name) && same(statement->tables[i].schema, schema) &&
		    statement->tables[i].put == frame(s)->put)
			return;
	if (statement->n_tables == FP_SQL_TABLES_MAX) {
		statement->incomplete = true;
		return;
	}
	statement->tables[statement->n_tables] = *table;
	statement->tables[statement->n_tables++].put = frame(s)->put;
}

/* A name where a table is expected: name, schema.name, or a function's. */
static void read_table(struct scan *s)
{
	struct fp_sql_table table = {.name = s->token.text, .name_quoted = s->token.kind == FP_SQL_QUOTED};
	bool cut = s->token.cut;
	struct fp_sql_token next = peek(s);

	/* PostgreSQL allows the database's own name in front */
	for (int part = 0; part < 2 && !cut && sign_is(&next, '.'); part++) {
		fp_sql_next(&s->lexer);
		next = fp_sql_next(&s->lexer);
		cut = next.kind == FP_SQL_END || next.cut;
		table.schema = table.name;
		table.schema_quoted = table.name_quoted;
		table.name = next.text;
		table.name_quoted = next.kind == FP_SQL_QUOTED;
		next = peek(s);
	}
	s->expect = false;
	if (s->truncated && (cut || next.kind == FP_SQL_END)) {
		s->statement->incomplete = true; /* the name may go on */
		return;
	}
	if (s->from_list && sign_is(&next, '('))
		return;
	add_table(s, &table);
}

/* --- words ----------------------------------------------------------------- */

/* Words that may stand between a verb or INTO and its table. */
static bool steps_over(const struct scan *s)
{
	static const char *const of_postgres[] = {"ONLY", "CONCURRENTLY", NULL};
	static const char *const reserved[] = {"INTO", "TABLE", "TABLES", "IF", "NOT", "EXISTS", "IGNORE",
					       "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "LATERAL", "FROM", NULL};

	return word_in(&s->token, reserved) || (is_postgres(s) && word_in(&s->token, of_postgres));
}

static bool ends_list(const struct scan *s)
{
	static const char *const words[] = {"WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "WINDOW",
					    "SET", "VALUES", "VALUE", "PROCEDURE", "RETURNING", NULL};

	return word_in(&s->token, words);
}

static void want_table(struct scan *s, bool put, bool list)
{
	s->expect = true;
	s->from_list = list;
	frame(s)->put = put;
	frame(s)->list = list;
}

static void read_from(struct scan *s)
{
	bool removes = s->verb->grammar == REMOVE && s->depth == 0;

	/* elsewhere FROM belongs to a function (TRIM, EXTRACT) or to SHOW */
	if (is_postgres(s) && word_is(&s->before, "DISTINCT"))
		return; /* a IS DISTINCT FROM b */
	if (frame(s)->select || removes)
		want_table(s, removes, true);
	else if (is_postgres(s) && s->depth == 0 && strcmp(s->verb->name, "UPDATE") == 0)
		want_table(s, false, true);
}

/* FOR of an index hint or of a period of system time does not end the list. */
static void read_for(struct scan *s)
{
	static const char *const goes_on[] = {"JOIN", "ORDER", "GROUP", "SYSTEM_TIME", NULL};
	struct fp_sql_token next = peek(s);

	if (word_in(&next, goes_on))
		fp_sql_next(&s->lexer);
	else
		frame(s)->list = false;
}

/* The verb of the whole statement, where WITH or a label put it off. */
static void read_main_verb(struct scan *s, const struct verb *verb)
{
	s->verb = verb;
	frame(s)->with = false;
	frame(s)->select = word_is(&s->token, "SELECT");
	memcpy(s->statement->verb, verb->name, strlen(verb->name) + 1);
	s->statement->put = verb->put;
	s->statement->silent = verb->grammar == SILENT;
	switch (verb->grammar) {
	case CHANGE:
	case CHANGE_LIST:
		want_table(s, verb->put, false);
		frame(s)->list = verb->grammar == CHANGE_LIST;
		break;
	case DEFINE:
		/* TRUNCATE t, u */
		if (word_is(&s->token, "TRUNCATE")) {
			want_table(s, true, false);
			frame(s)->list = true;
		}
		break;
	default:
		break;
	}
}

/* In WITH: name [(columns)] AS (…), … and then the main verb. */
static void read_with(struct scan *s)
{
	const struct verb *verb = s->token.kind == FP_SQL_WORD ? verb_of(&s->token) : NULL;

	if (verb && s->depth == 0 && s->verb == &with_verb) {
		read_main_verb(s, verb);
	} else if (verb) {
		frame(s)->with = false;
		frame(s)->select = word_is(&s->token, "SELECT");
	} else if (!word_is(&s->token, "AS") && !word_is(&s->token, "RECURSIVE")) {
		if (s->n_ctes < CTE_MAX)
			s->ctes[s->n_ctes++] = s->token.text;
	}
}

/* CREATE TABLE t, DROP VIEW a, b, RENAME TABLE a TO b, LOAD DATA … INTO TABLE t, ALTER TABLE t RENAME TO u */
static bool read_define(struct scan *s)
{
	if (s->depth > 0 || frame(s)->select)
		return false;
	if (word_is(&s->token, "TABLE") || word_is(&s->token, "TABLES") || word_is(&s->token, "VIEW")) {
		want_table(s, true, false);
		frame(s)->list = strcmp(s->verb->name, "DROP") == 0 || strcmp(s->verb->name, "RENAME") == 0 ||
				 strcmp(s->verb->name, "TRUNCATE") == 0;
		return true;
	}
	if (word_is(&s->token, "TO") && (strcmp(s->verb->name, "RENAME") == 0 || word_is(&s->before, "RENAME"))) {
		s->expect = true;
		return true;
	}
	if (word_is(&s->token, "LIKE")) { /* CREATE TABLE t LIKE s: reads s's form only */
		s->expect = false;
		return true;
	}
	return false;
}

/* WITH of table expressions, not WITH ROLLUP and its like. */
static bool begins_with(struct scan *s)
{
	return word_is(&s->token, "WITH") &&
	       (sign_is(&s->before, '(') || word_is(&s->before, "AS") ||
		(s->verb->grammar == CHANGE && s->depth == 0 && !frame(s)->select));
}

/* DELETE FROM a USING b: MySQL names there again what is changed, PostgreSQL what is read; so does its MERGE. */
static void read_using(struct scan *s)
{
	struct fp_sql_token next = peek(s);

	if (sign_is(&next, '('))
		return; /* JOIN … USING (column) */
	if (s->verb->grammar == REMOVE)
		want_table(s, !is_postgres(s), true);
	else if (strcmp(s->verb->name, "MERGE") == 0)
		want_table(s, false, true);
}

/* COPY t TO: what seemed written is read. */
static void turn_around(struct fp_sql_statement *statement)
{
	statement->put = false;
	for (unsigned i = 0; i < statement->n_tables; i++)
		statement->tables[i].put = false;
}

/* WITH x AS (DELETE FROM t RETURNING *) */
static bool changes_within(const struct scan *s)
{
	static const char *const words[] = {"INSERT", "UPDATE", "DELETE", NULL};

	return is_postgres(s) && s->depth > 0 && sign_is(&s->before, '(') && word_in(&s->token, words);
}

static void read_keyword(struct scan *s)
{
	if (word_is(&s->token, "SELECT")) {
		*frame(s) = (struct frame){.select = true};
		s->expect = false;
	} else if (changes_within(s)) {
		want_table(s, true, false);
	} else if (begins_with(s)) {
		frame(s)->with = true;
		s->expect = false;
	} else if (s->expect) {
		if (!steps_over(s))
			read_table(s);
	} else if (word_is(&s->token, "FROM")) {
		read_from(s);
	} else if (word_is(&s->token, "JOIN") || word_is(&s->token, "STRAIGHT_JOIN")) {
		s->expect = frame(s)->list;
	} else if (word_is(&s->token, "USING") && s->depth == 0) {
		read_using(s);
	} else if (word_is(&s->token, "TO") && s->depth == 0 && strcmp(s->verb->name, "COPY") == 0) {
		turn_around(s->statement);
	} else if (word_is(&s->token, "FOR")) {
		read_for(s);
	} else if (word_is(&s->token, "UNION") || word_is(&s->token, "EXCEPT") || word_is(&s->token, "INTERSECT")) {
		*frame(s) = (struct frame){0};
	} else if (ends_list(s)) {
		frame(s)->list = s->expect = false;
		if (s->depth == 0 && s->verb->grammar == CHANGE && (word_is(&s->token, "VALUES") || word_is(&s->token, "VALUE")))
			s->literals = true;
	}
}

static void read_word_token(struct scan *s)
{
	/* behind . and @ no word is a keyword */
	if (sign_is(&s->before, '.') || sign_is(&s->before, '@'))
		s->expect = false;
	else if (frame(s)->with)
		read_with(s);
	else if (s->verb->grammar != DEFINE || !read_define(s))
		read_keyword(s);
}

/* --- statements ------------------------------------------------------------ */

static void read_sign(struct scan *s)
{
	switch (s->token.text.data[0]) {
	case '(': {
		/* ( after FROM: tables, or a subquery that SELECT makes of it */
		bool tables = s->expect && s->from_list, put = frame(s)->put;

		s->depth++;
		if (s->depth >= DEPTH_MAX)
			s->statement->incomplete = true;
		*frame(s) = (struct frame){.list = tables, .put = put};
		s->expect = tables;
		break;
	}
	case ')':
		if (s->depth > 0)
			s->depth--;
		s->expect = false;
		break;
	case ',':
		s->expect = frame(s)->list;
		break;
	default:
		s->expect = false;
	}
}

/* An unknown verb is named if it is a word; what else begins a statement may be anything, even a secret. */
static void read_verb(struct scan *s)
{
	const struct verb *verb = verb_of(&s->token);
	size_t len = s->token.text.len;

	s->verb = word_is(&s->token, "WITH") ? &with_verb : &unknown_verb;
	if (verb) {
		read_main_verb(s, verb);
		return;
	}
	strcpy(s->statement->verb, s->verb->name);
	s->frames[0].with = s->verb == &with_verb;
	if (s->token.kind != FP_SQL_WORD || len > FP_SQL_VERB_MAX || s->token.cut)
		return;
	for (size_t i = 0; i < len; i++)
		if (!isalpha((unsigned char)s->token.text.data[i]))
			return;
	for (size_t i = 0; i < len; i++)
		s->statement->verb[i] = (char)toupper((unsigned char)s->token.text.data[i]);
	s->statement->verb[len] = '\0';
}

static void read_statement(struct scan *s)
{
	struct fp_sql_token none = {.kind = FP_SQL_END};

	for (s->before = none;; s->before = s->token) {
		s->token = fp_sql_next(&s->lexer);
		if (s->token.kind == FP_SQL_END || sign_is(&s->token, ';'))
			break;
		if (!s->verb && sign_is(&s->token, '(')) {
			s->depth = 0; /* (SELECT …) UNION (SELECT …) */
			s->token = none;
		} else if (!s->verb) {
			read_verb(s);
		} else if (s->verb->grammar == KIND) {
			continue;
		} else if (s->token.kind == FP_SQL_WORD) {
			read_word_token(s);
		} else if (s->token.kind == FP_SQL_QUOTED && frame(s)->with) {
			read_with(s);
		} else if (s->token.kind == FP_SQL_QUOTED && s->expect) {
			read_table(s);
		} else if (s->token.kind == FP_SQL_SIGN) {
			read_sign(s);
		} else {
			s->expect = false;
		}
	}
	if (s->truncated && s->token.kind == FP_SQL_END && !s->literals)
		s->statement->incomplete = true;
}

size_t fp_sql_read(enum fp_sql_dialect dialect, const char *text, size_t len, bool truncated,
		   struct fp_sql_statement *ret_statement)
{
	struct scan s = {
		.lexer = {.dialect = dialect, .text = text, .len = len},
		.truncated = truncated,
		.statement = ret_statement,
	};

	memset(ret_statement, 0, sizeof(*ret_statement));
	while (s.lexer.pos < len) {
		read_statement(&s);
		if (s.verb)
			return s.lexer.pos;
	}
	return 0;
}

bool fp_sql_begins(enum fp_sql_dialect dialect, const char *text, size_t len)
{
	struct fp_sql_lexer lexer = {.dialect = dialect, .text = text, .len = len};
	struct fp_sql_token token;

	do
		token = fp_sql_next(&lexer);
	while (sign_is(&token, '('));
	return token.kind == FP_SQL_WORD && (verb_of(&token) || word_is(&token, "WITH"));
}

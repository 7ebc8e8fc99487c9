#include "agent/app/sql_token.h"

#include <ctype.h>
#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0';
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static bool starts_with(const struct fp_sql_lexer *lexer, const char *text)
{
	size_t len = strlen(text);

	return lexer->len - lexer->pos >= len && memcmp(lexer->text + lexer->pos, text, len) == 0;
}

static void skip_line(struct fp_sql_lexer *lexer)
{
	const char *end = memchr(lexer->text + lexer->pos, '\n', lexer->len - lexer->pos);

	lexer->pos = end ? (size_t)(end - lexer->text) + 1 : lexer->len;
}

/* PostgreSQL's comments may stand in one another. */
static void skip_nested_comment(struct fp_sql_lexer *lexer)
{
	unsigned depth = 0;

	do {
		if (starts_with(lexer, "/*") || starts_with(lexer, "*/")) {
			depth += lexer->text[lexer->pos] == '/' ? 1u : -1u;
			lexer->pos += 2;
		} else {
			lexer->pos++;
		}
	} while (depth > 0 && lexer->pos < lexer->len);
}

static void skip_comment(struct fp_sql_lexer *lexer)
{
	const char *end;

	lexer->pos += 2;
	end = memmem(lexer->text + lexer->pos, lexer->len - lexer->pos, "*/", 2);
	lexer->pos = end ? (size_t)(end - lexer->text) + 2 : lexer->len;
}

/* True when it stood on a comment (or a mark of a version comment) and is now behind it. */
static bool skip_one_comment(struct fp_sql_lexer *lexer)
{
	bool postgres = lexer->dialect == FP_SQL_POSTGRES;

	if (postgres && starts_with(lexer, "/*")) {
		skip_nested_comment(lexer);
	} else if (postgres && starts_with(lexer, "--")) {
		skip_line(lexer);
	} else if (postgres) {
		return false;
	} else if (starts_with(lexer, "/*!") || starts_with(lexer, "/*M!")) {
		lexer->pos += lexer->text[lexer->pos + 2] == 'M' ? 4 : 3;
		while (lexer->pos < lexer->len && isdigit((unsigned char)lexer->text[lexer->pos]))
			lexer->pos++;
		lexer->in_version_comment = true;
	} else if (starts_with(lexer, "/*")) {
		skip_comment(lexer);
	} else if (lexer->in_version_comment && starts_with(lexer, "*/")) {
		lexer->pos += 2;
		lexer->in_version_comment = false;
	} else if (starts_with(lexer, "#")) {
		skip_line(lexer);
	} else if (starts_with(lexer, "--") &&
		   (lexer->pos + 2 == lexer->len || is_blank(lexer->text[lexer->pos + 2]))) {
		skip_line(lexer);
	} else {
		return false;
	}
	return true;
}

static void skip_blanks(struct fp_sql_lexer *lexer)
{
	do {
		while (lexer->pos < lexer->len && is_blank(lexer->text[lexer->pos]))
			lexer->pos++;
	} while (lexer->pos < lexer->len && skip_one_comment(lexer));
}

/* A doubled quote stands for itself; a backslash quotes where the caller says so. */
static void read_quoted(struct fp_sql_lexer *lexer, struct fp_sql_token *token, char quote, bool backslash)
{
	size_t start = ++lexer->pos;

	for (; lexer->pos < lexer->len; lexer->pos++) {
		char c = lexer->text[lexer->pos];

		if (c == '\\' && backslash)
			lexer->pos++;
		else if (c == quote && lexer->pos + 1 < lexer->len && lexer->text[lexer->pos + 1] == quote)
			lexer->pos++;
		else if (c == quote)
			break;
	}
	token->kind = quote == '\'' ? FP_SQL_STRING : FP_SQL_QUOTED;
	if (lexer->pos >= lexer->len) {
		lexer->pos = lexer->len;
		token->cut = true;
	}
	token->text = (struct fp_str){lexer->text + start, lexer->pos - start};
	if (!token->cut)
		lexer->pos++;
}

/* $tag$ … $tag$; false when no such string begins here ($1 is a parameter). */
static bool read_dollar_quoted(struct fp_sql_lexer *lexer, struct fp_sql_token *token)
{
	const char *text = lexer->text + lexer->pos, *end;
	size_t left = lexer->len - lexer->pos, tag = 1;

	while (tag < left && is_word(text[tag]) && text[tag] != '$' && !(tag == 1 && isdigit((unsigned char)text[tag])))
		tag++;
	if (tag == left || text[tag++] != '$')
		return false;
	token->kind = FP_SQL_STRING;
	end = memmem(text + tag, left - tag, text, tag);
	token->cut = !end;
	token->text = (struct fp_str){text + tag, end ? (size_t)(end - text) - tag : left - tag};
	lexer->pos = end ? (size_t)(end - lexer->text) + tag : lexer->len;
	return true;
}

/* Strings and quoted names, each with the dialect's rules; false when none begins here. */
static bool read_quotes(struct fp_sql_lexer *lexer, struct fp_sql_token *token)
{
	bool postgres = lexer->dialect == FP_SQL_POSTGRES;
	char c = lexer->text[lexer->pos];

	if (postgres && c == '$')
		return read_dollar_quoted(lexer, token);
	if (postgres && (c == 'E' || c == 'e') && lexer->pos + 1 < lexer->len && lexer->text[lexer->pos + 1] == '\'') {
		lexer->pos++;
		read_quoted(lexer, token, '\'', true);
		return true;
	}
	if (c != '\'' && c != '"' && (postgres || c != '`'))
		return false;
	read_quoted(lexer, token, c, !postgres && c != '`');
	return true;
}

static void read_word(struct fp_sql_lexer *lexer, struct fp_sql_token *token)
{
	size_t start = lexer->pos;
	bool digits = true;

	for (; lexer->pos < lexer->len && is_word(lexer->text[lexer->pos]); lexer->pos++)
		digits = digits && isdigit((unsigned char)lexer->text[lexer->pos]);
	token->kind = digits ? FP_SQL_NUMBER : FP_SQL_WORD;
	token->text = (struct fp_str){lexer->text + start, lexer->pos - start};
	token->cut = lexer->pos == lexer->len;
}

struct fp_sql_token fp_sql_next(struct fp_sql_lexer *lexer)
{
	struct fp_sql_token token = {.kind = FP_SQL_END};
	char c;

	skip_blanks(lexer);
	if (lexer->pos >= lexer->len)
		return token;
	c = lexer->text[lexer->pos];
	if (read_quotes(lexer, &token))
		return token;
	if (is_word(c)) {
		read_word(lexer, &token);
	} else {
		token.kind = FP_SQL_SIGN;
		token.text = (struct fp_str){lexer->text + lexer->pos++, 1};
	}
	return token;
}

#include "agent/redact/mask.h"

/* Where words come from: arguments end with NUL; in a command line within one there are blanks and quotes. */
struct words {
	struct fp_mask *mask;
	size_t at, end;
	bool shell;
};

struct word {
	size_t start, end; /* without quotes around it */
	char quote; /* or 0 */
	bool separate; /* a command ends before this word: ; | & or a line's end */
};

enum program { OTHER, MYSQL, PSQL, CURL, SSHPASS, REDIS };

static bool is_between(char c)
{
	return isspace((unsigned char)c) || strchr(";|&()`", c);
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'';
}

/* Quotes may also begin within a word: -e"select 1", --execute='…' */
static size_t end_of_shell_word(const struct words *words, size_t at)
{
	const char *text = words->mask->text;
	char quote = '\0';

	for (; at < words->end && (quote || !is_between(text[at])); at++)
		if (quote ? text[at] == quote : is_quote(text[at]))
			quote = quote ? '\0' : text[at];
	return at;
}

static bool next_shell_word(struct words *words, struct word *ret_word)
{
	const char *text = words->mask->text;
	struct word word = {0};
	const char *close;

	for (; words->at < words->end && is_between(text[words->at]); words->at++)
		word.separate |= text[words->at] == '\n' || !isspace((unsigned char)text[words->at]);
	if (words->at == words->end)
		return false;
	word.start = words->at;
	word.end = words->at = end_of_shell_word(words, words->at);
	close = is_quote(text[word.start]) ? memchr(text + word.start + 1, text[word.start], word.end - word.start - 1) : NULL;
	if (close == text + word.end - 1) {
		word.quote = text[word.start++];
		word.end--;
	}
	*ret_word = word;
	return true;
}

static bool next_argument(struct words *words, struct word *ret_word)
{
	const char *text = words->mask->text;

	if (words->at >= words->end)
		return false;
	*ret_word = (struct word){.start = words->at};
	ret_word->end = words->at + strnlen(text + words->at, words->end - words->at);
	words->at = ret_word->end + 1;
	return true;
}

static bool next_word(struct words *words, struct word *ret_word)
{
	return words->shell ? next_shell_word(words, ret_word) : next_argument(words, ret_word);
}

static bool has_prefix(const struct fp_mask *mask, size_t start, size_t end, const char *prefix)
{
	size_t len = strlen(prefix);

	return end - start >= len && memcmp(mask->text + start, prefix, len) == 0;
}

static bool word_is(const struct fp_mask *mask, const struct word *word, const char *text)
{
	return word->end - word->start == strlen(text) && has_prefix(mask, word->start, word->end, text);
}

static enum program program_of(const struct fp_mask *mask, const struct word *word)
{
	size_t start = word->start;

	for (size_t i = word->start; i < word->end; i++)
		if (mask->text[i] == '/')
			start = i + 1;
	if (has_prefix(mask, start, word->end, "mysql") || has_prefix(mask, start, word->end, "mariadb"))
		return MYSQL;
	if (has_prefix(mask, start, word->end, "psql"))
		return PSQL;
	if (has_prefix(mask, start, word->end, "curl"))
		return CURL;
	if (has_prefix(mask, start, word->end, "sshpass"))
		return SSHPASS;
	if (has_prefix(mask, start, word->end, "redis-cli"))
		return REDIS;
	return OTHER;
}

/* user:SECRET */
static void mask_user_pair(struct fp_mask *mask, size_t start, size_t end)
{
	const char *colon = memchr(mask->text + start, ':', end - start);

	if (colon)
		fp_mask_range(mask, (size_t)(colon - mask->text) + 1, end);
}

static bool is_short_option(const struct fp_mask *mask, const struct word *word)
{
	return word->end - word->start >= 2 && mask->text[word->start] == '-' && mask->text[word->start + 1] != '-';
}

/*
 * -pSECRET, also behind letters of options without a value (-BpSECRET); and the
 * statement of -e.  The letters that take a value end the search.
 */
static size_t mask_mysql_letters(struct fp_mask *mask, const struct word *word)
{
	for (size_t i = word->start + 1; i < word->end; i++) {
		if (mask->text[i] == 'p') {
			fp_mask_range(mask, i + 1, word->end);
			return 0;
		}
		if (mask->text[i] == 'e')
			return i + 1;
		if (strchr("DhPSurTwR#", mask->text[i]))
			return 0;
	}
	return 0;
}

/* Where the value of an option with a statement begins: in this word, or (word->end) in the next; 0: no such option. */
static size_t statement_at(struct fp_mask *mask, enum program program, const struct word *word)
{
	static const char *const names[] = {"--execute", "--command", "--init-command"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t value = word->start + strlen(names[i]);

		if (word_is(mask, word, names[i]))
			return word->end;
		if (has_prefix(mask, word->start, word->end, names[i]) && mask->text[value] == '=')
			return value + 1;
	}
	if (!is_short_option(mask, word))
		return 0;
	if (program == MYSQL)
		return mask_mysql_letters(mask, word);
	return mask->text[word->start + 1] == 'c' ? word->start + 2 : 0;
}

static void mask_statement(struct fp_mask *mask, size_t start, size_t end)
{
	char quote = start < end ? mask->text[start] : '\0';

	/* -e"…": the quotes are the shell's */
	if ((quote == '"' || quote == '\'') && mask->text[end - 1] == quote) {
		start++;
		end--;
	}
	if (start < end)
		fp_mask_sql(mask, start, end);
}

static void mask_database_option(struct words next, enum program program, const struct word *word)
{
	size_t at = statement_at(next.mask, program, word);
	struct word value;

	if (at == 0)
		return;
	if (at < word->end)
		mask_statement(next.mask, at, word->end);
	else if (next_word(&next, &value))
		mask_statement(next.mask, value.start, value.end);
}

static void mask_value_of(struct fp_mask *mask, enum program program, const struct word *option, const struct word *value)
{
	if (mask->text[value->start] == '-' && !value->quote)
		return;
	if (program == CURL && (word_is(mask, option, "-u") || word_is(mask, option, "--user") ||
				word_is(mask, option, "-U") || word_is(mask, option, "--proxy-user")))
		mask_user_pair(mask, value->start, value->end);
	else if ((program == CURL && word_is(mask, option, "-b")) || (program == SSHPASS && word_is(mask, option, "-p")) ||
		 (program == REDIS && word_is(mask, option, "-a")))
		fp_mask_range(mask, value->start, value->end);
	/* --password SECRET; MySQL's ask for it instead, what follows is something else */
	else if (program != MYSQL && has_prefix(mask, option->start, option->end, "--") &&
		 fp_is_secret_name(mask->text + option->start, option->end - option->start, mask->kind))
		fp_mask_range(mask, value->start, value->end);
}

/* `next`: the words behind this one. */
static void mask_option(struct words next, enum program program, const struct word *word)
{
	struct fp_mask *mask = next.mask;
	bool short_option = is_short_option(mask, word);
	struct word value;

	if (program == MYSQL || program == PSQL)
		mask_database_option(next, program, word);
	if (program == CURL && short_option && has_prefix(mask, word->start, word->end, "-u"))
		mask_user_pair(mask, word->start + 2, word->end);
	if (program == SSHPASS && short_option && has_prefix(mask, word->start, word->end, "-p"))
		fp_mask_range(mask, word->start + 2, word->end);
	if (next_word(&next, &value) && !value.separate && value.start < value.end)
		mask_value_of(mask, program, word, &value);
}

static void mask_words(struct words words)
{
	enum program program = OTHER;
	struct word word, before = {0};

	for (; next_word(&words, &word); before = word) {
		if (word.separate)
			program = OTHER;
		if (word.start == word.end)
			continue;
		if (words.mask->text[word.start] == '-')
			mask_option(words, program, &word);
		else if (program == OTHER || (program == SSHPASS && !word_is(words.mask, &before, "-p")))
			program = program_of(words.mask, &word);
	}
}

void fp_mask_arguments(struct fp_mask *mask)
{
	struct words arguments = {mask, 0, mask->len, false}, line;
	struct word word;

	mask_words(arguments);
	/* what looks like a command line: sh -c "…" */
	while (next_word(&arguments, &word)) {
		line = (struct words){mask, word.start, word.end, true};
		if (memchr(mask->text + word.start, ' ', word.end - word.start))
			mask_words(line);
	}
}

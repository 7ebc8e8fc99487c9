#include "agent/redact/mask.h"

/* A word of at most this many bytes is compared; longer names end in one of the words all the same. */
#define NAME_MAX_COMPARED 32

/* Last words that mean a secret, however the words before are joined to them. */
static const char *const long_words[] = {"password",   "passwd",     "passphrase", "passcode",	"secret",
					 "token",      "apikey",     "accesskey",  "secretkey", "privatekey",
					 "signature",  "credential", "credentials", "authorization", "cookie",
					 "creditcard", "cardnumber", "sessionid",  NULL};
/* The same, but only as a word of their own: not within `compass`. */
static const char *const short_words[] = {"pwd", "pass", "sig", "cvv", "cvc", "cvv2", "pgpassword", NULL};
/* In the query of a URL a few more. */
static const char *const query_words[] = {"key", "auth", "sid", "jwt", NULL};

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

static bool ends_with_word(const char *plain, size_t len, const char *const *words)
{
	for (; *words; words++) {
		size_t n = strlen(*words);

		if (len >= n && memcmp(plain + len - n, *words, n) == 0)
			return true;
	}
	return false;
}

/* The last word of a name in snake_case, kebab-case or camelCase. */
static bool last_word_is(const char *name, size_t len, const char *const *words)
{
	for (; *words; words++) {
		size_t n = strlen(*words);
		const char *word = name + len - n;

		if (len < n || strncasecmp(word, *words, n) != 0)
			continue;
		if (len == n || !isalnum((unsigned char)word[-1]) || (isupper((unsigned char)word[0]) && islower((unsigned char)word[-1])))
			return true;
	}
	return false;
}

bool fp_is_secret_name(const char *name, size_t len, enum fp_redact_kind kind)
{
	char plain[NAME_MAX_COMPARED];
	size_t n = 0;

	/* the end of the name in lower case, without what joins words */
	for (size_t i = len; i > 0 && n < sizeof(plain); i--)
		if (isalnum((unsigned char)name[i - 1]))
			plain[sizeof(plain) - ++n] = (char)tolower((unsigned char)name[i - 1]);
	return ends_with_word(plain + sizeof(plain) - n, n, long_words) || last_word_is(name, len, short_words) ||
	       (kind == FP_REDACT_URL && last_word_is(name, len, query_words));
}

/* --- name=value, name: value, "name": "value" -------------------------------- */

struct named {
	size_t name, name_len; /* where the name is */
	char quote; /* that the name, or what it stands in, begins with; or 0 */
	bool quoted; /* the name itself stands in quotes */
	bool spaced; /* blanks before the sign */
};

static bool is_quote(char c)
{
	return c == '"' || c == '\'';
}

/* The name before the sign at `at`. */
static bool find_name(const struct fp_mask *mask, size_t at, struct named *ret_named)
{
	struct named named = {0};

	while (at > 0 && mask->text[at - 1] == ' ') {
		at--;
		named.spaced = true;
	}
	if (at > 0 && is_quote(mask->text[at - 1])) {
		named.quoted = true;
		at--;
		if (at > 0 && mask->text[at - 1] == '\\')
			at--;
	}
	for (named.name = at; named.name > 0 && is_name(mask->text[named.name - 1]); named.name--)
		continue;
	named.name_len = at - named.name;
	if (named.name > 0 && is_quote(mask->text[named.name - 1]))
		named.quote = mask->text[named.name - 1];
	*ret_named = named;
	return named.name_len > 0;
}

static size_t end_of_line(const struct fp_mask *mask, size_t at, char quote)
{
	while (at < mask->len && mask->text[at] != '\0' && mask->text[at] != '\n' && mask->text[at] != '\r' &&
	       !(quote && mask->text[at] == quote))
		at++;
	return at;
}

/* `escaped`: the text stands in quotes itself, and so its quotes behind backslashes. */
static size_t end_of_quoted(const struct fp_mask *mask, size_t at, char quote, bool escaped)
{
	for (; at < mask->len && mask->text[at] != '\0' && mask->text[at] != quote; at++)
		if (mask->text[at] == '\\' && at + 1 < mask->len) {
			if (escaped && mask->text[at + 1] == quote)
				break;
			at++;
		}
	return at < mask->len ? at : mask->len;
}

static size_t end_of_word(const struct fp_mask *mask, size_t at)
{
	while (at < mask->len && mask->text[at] != '\0' && !isspace((unsigned char)mask->text[at]) &&
	       !strchr("&;,\"'`)}]|<>#", mask->text[at]))
		at++;
	return at;
}

static bool is_header(const struct fp_mask *mask, const struct named *named)
{
	static const char *const headers[] = {"authorization", "cookie", NULL};

	return last_word_is(mask->text + named->name, named->name_len, headers);
}

/* Does an argument begin here (behind the dashes of an option)? */
static bool at_argument(const struct fp_mask *mask, size_t at)
{
	while (at > 0 && mask->text[at - 1] == '-')
		at--;
	return mask->kind == FP_REDACT_ARGV && (at == 0 || mask->text[at - 1] == '\0');
}

static void mask_value(struct fp_mask *mask, const struct named *named, size_t at)
{
	bool colon = mask->text[at] == ':', escaped = false;

	at++;
	if (at < mask->len && mask->text[at] == '>')
		at++;
	if (colon || named->spaced)
		while (at < mask->len && mask->text[at] == ' ')
			at++;
	if (at < mask->len && mask->text[at] == '\\' && at + 1 < mask->len && is_quote(mask->text[at + 1])) {
		escaped = true;
		at++;
	}
	if (at < mask->len && is_quote(mask->text[at]) && !(named->quote == mask->text[at] && !named->quoted))
		fp_mask_range(mask, at + 1, end_of_quoted(mask, at + 1, mask->text[at], escaped));
	else if (!colon && at_argument(mask, named->name))
		fp_mask_range(mask, at, at + strnlen(mask->text + at, mask->len - at));
	else if (colon && !named->quoted && is_header(mask, named))
		fp_mask_range(mask, at, end_of_line(mask, at, named->quote));
	else
		fp_mask_range(mask, at, end_of_word(mask, at));
}

/* --- tokens and user parts ------------------------------------------------------ */

static void mask_bearer(struct fp_mask *mask, size_t at)
{
	static const char word[] = "bearer ";
	size_t len = sizeof(word) - 1;

	if (mask->len - at < len || strncasecmp(mask->text + at, word, len) != 0 || (at > 0 && is_name(mask->text[at - 1])))
		return;
	at += len;
	/* shorter is prose */
	if (end_of_word(mask, at) - at >= 8)
		fp_mask_range(mask, at, end_of_word(mask, at));
}

/* scheme://user:password@host: the password, or a user that stands alone and is then a token. */
static void mask_user_part(struct fp_mask *mask, size_t at)
{
	size_t start = at + 3, end = start, colon = 0;

	if (mask->len - at < 3 || memcmp(mask->text + at, "://", 3) != 0)
		return;
	for (; end < mask->len && !strchr("/?#\"'<> \t\r\n", mask->text[end]) && mask->text[end] != '@'; end++)
		if (mask->text[end] == ':' && !colon)
			colon = end;
	if (end < mask->len && mask->text[end] == '@')
		fp_mask_range(mask, colon ? colon + 1 : start, end);
}

void fp_mask_named(struct fp_mask *mask)
{
	struct named named;

	for (size_t at = 0; at < mask->len; at++) {
		char c = mask->text[at];

		if (c == ':')
			mask_user_part(mask, at);
		if (c == 'B' || c == 'b')
			mask_bearer(mask, at);
		/* in a URL a colon stands before a port */
		if ((c == '=' || (c == ':' && mask->kind != FP_REDACT_URL)) && find_name(mask, at, &named) &&
		    fp_is_secret_name(mask->text + named.name, named.name_len, mask->kind))
			mask_value(mask, &named, at);
	}
}

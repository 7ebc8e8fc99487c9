#include "agent/redact/redact.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/app/sql_token.h"
#include "agent/redact/mask.h"
#include "base/cleanup.h"

/* The longest that is looked at without asking for memory; longer than any string of the schema. */
#define ON_STACK 8192

void fp_mask_sql(struct fp_mask *mask, size_t from, size_t to)
{
	struct fp_sql_lexer lexer = {.text = mask->text + from, .len = to - from};
	struct fp_sql_token token;

	while ((token = fp_sql_next(&lexer)).kind != FP_SQL_END) {
		size_t start = (size_t)(token.text.data - mask->text);
		bool string = token.kind == FP_SQL_STRING ||
			      (token.kind == FP_SQL_QUOTED && mask->text[start - 1] == '"');

		if (string || token.kind == FP_SQL_NUMBER)
			fp_mask_range(mask, start, start + token.text.len);
	}
}

static int write_masked(struct fp_buffer *out, const struct fp_mask *mask)
{
	int parts = 0;

	for (size_t at = 0, end; at < mask->len; at = end) {
		bool masked = mask->masked[at];
		const uint8_t *other = memchr(mask->masked + at, !masked, mask->len - at);

		end = other ? (size_t)(other - mask->masked) : mask->len;
		if (masked) {
			fp_buffer_add_text(out, FP_REDACT_MARK);
			parts++;
		} else {
			fp_buffer_add(out, mask->text + at, end - at);
		}
	}
	return fp_buffer_error(out) < 0 ? -ENOMEM : parts;
}

/* Digits of the shortest card number. */
#define CARD_DIGITS_MIN 13

bool fp_redact_is_needed(const char *text, size_t len)
{
	unsigned digits = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '=' || c == ':' || c == ' ')
			return true;
		digits += c >= '0' && c <= '9';
	}
	return digits >= CARD_DIGITS_MIN;
}

int fp_redact(struct fp_buffer *out, const char *text, size_t len, enum fp_redact_kind kind)
{
	uint8_t small[ON_STACK];
	fp_cleanup(fp_freep) uint8_t *large = len > sizeof(small) ? malloc(len) : NULL;
	struct fp_mask mask = {text, len, len > sizeof(small) ? large : small, kind};

	if (len == 0)
		return 0;
	if (!mask.masked)
		return -ENOMEM;
	memset(mask.masked, 0, len);
	fp_mask_cards(&mask);
	fp_mask_named(&mask);
	if (kind == FP_REDACT_ARGV)
		fp_mask_arguments(&mask);
	if (kind == FP_REDACT_SQL)
		fp_mask_sql(&mask, 0, len);
	return write_masked(out, &mask);
}

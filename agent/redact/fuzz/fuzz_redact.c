/*
 * Redaction; the first byte is the kind.  Whatever the text, a card number on a
 * line of its own goes, and the result is bounded.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/redact/redact.h"

static bool ends_with(const struct fp_buffer *text, const char *end)
{
	size_t len = strlen(end);

	return text->len >= len && memcmp(text->data + text->len - len, end, len) == 0;
}

static void check_card(const char *text, size_t len, enum fp_redact_kind kind)
{
	struct fp_buffer with_card = FP_BUFFER_INIT, out = FP_BUFFER_INIT;

	fp_buffer_add(&with_card, text, len);
	fp_buffer_add_text(&with_card, "\n4111111111111111\n");
	if (fp_redact(&out, with_card.data, with_card.len, kind) < 1)
		abort();
	/* a secret that began before may reach to the end */
	if (!ends_with(&out, FP_REDACT_MARK "\n") && !ends_with(&out, FP_REDACT_MARK))
		abort();
	fp_buffer_done(&with_card);
	fp_buffer_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fp_buffer out = FP_BUFFER_INIT;
	enum fp_redact_kind kind = size ? data[0] % (FP_REDACT_SQL + 1) : FP_REDACT_TEXT;
	size_t len = size ? size - 1 : 0;
	char *copy = malloc(len ? len : 1);

	if (!copy)
		abort();
	if (len)
		memcpy(copy, data + 1, len);
	if (fp_redact(&out, copy, len, kind) < 0 || out.len > 4 * len)
		abort();
	check_card(copy, len, kind);
	fp_buffer_done(&out);
	free(copy);
	return 0;
}

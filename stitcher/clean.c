#include "stitcher/clean.h"

#include <stdint.h>

/* Length of the well-formed UTF-8 sequence that starts here and its character, or 0. */
static size_t decode(const uint8_t *text, size_t len, uint32_t *ret_character)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t character = text[0];
	size_t n = character < 0x80 ? 1 : character >> 5 == 6 ? 2 : character >> 4 == 14 ? 3 : character >> 3 == 30 ? 4 : 0;

	if (n == 0 || n > len)
		return 0;
	if (n > 1)
		character &= 0x7fu >> n;
	for (size_t i = 1; i < n; i++) {
		if (text[i] >> 6 != 2)
			return 0;
		character = character << 6 | (text[i] & 0x3f);
	}
	if (character < smallest[n] || character > 0x10ffff || (character >= 0xd800 && character < 0xe000))
		return 0;
	*ret_character = character;
	return n;
}

/* Control characters, and those that make a terminal show a text in another order than it is. */
static bool deceives(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character < 0xa0) || character == 0x200e || character == 0x200f ||
	       (character >= 0x2028 && character <= 0x202e) || (character >= 0x2066 && character <= 0x2069) ||
	       character == 0xfeff;
}

bool fp_clean_is(const char *text, size_t len)
{
	uint32_t character;

	for (size_t at = 0, n; at < len; at += n) {
		n = decode((const uint8_t *)text + at, len - at, &character);
		if (n == 0 || deceives(character))
			return false;
	}
	return true;
}

void fp_clean_add(struct fp_buffer *out, const char *text, size_t len)
{
	size_t n;

	for (size_t at = 0; at < len; at += n ? n : 1) {
		uint32_t character = 0;

		n = decode((const uint8_t *)text + at, len - at, &character);
		if (n == 0 || (n == 1 && deceives(character)))
			fp_buffer_add_format(out, "\\x%02x", (uint8_t)text[at]);
		else if (deceives(character))
			fp_buffer_add_format(out, "\\u%04x", (unsigned)character);
		else
			fp_buffer_add(out, text + at, n);
	}
}

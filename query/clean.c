#include "query/clean.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* One character of the input: its code point, or -1 for a byte that is none. */
struct character {
	int32_t point;
	unsigned len;
};

static struct character decode(const unsigned char *text)
{
	static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned len = text[0] < 0x80 ? 1 : text[0] >> 5 == 6 ? 2 : text[0] >> 4 == 14 ? 3 : text[0] >> 3 == 30 ? 4 : 0;
	int32_t point = len == 1 ? text[0] : len == 0 ? 0 : text[0] & (0x7f >> len);

	for (unsigned i = 1; i < len; i++) {
		if (text[i] >> 6 != 2)
			return (struct character){-1, 1};
		point = point << 6 | (text[i] & 0x3f);
	}
	if (len == 0 || point < least[len] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return (struct character){-1, 1};
	return (struct character){point, len};
}

/* Controls, and what turns, hides or splits the text around it. */
static bool is_hidden(int32_t point)
{
	return point < 0x20 || (point >= 0x7f && point <= 0xa0) || point == 0xad || point == 0x61c || point == 0x180e ||
	       (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
	       (point >= 0x2060 && point <= 0x206f) || point == 0xfeff || (point >= 0xfff0 && point <= 0xfffb) ||
	       (point & 0xfffe) == 0xfffe || (point >= 0xfdd0 && point <= 0xfdef) || point >= 0xe0000;
}

enum style { PLAIN, XML, DOT };

/* Writes one character as shown, returns how many columns it takes. */
static size_t show(const unsigned char *text, struct character character, enum style style, char out[24])
{
	const char *entity = NULL;

	if (character.point < 0 || (is_hidden(character.point) && character.point < 0x80))
		return (size_t)snprintf(out, 24, style == DOT ? "\\\\x%02x" : "\\x%02x", text[0]) - (style == DOT);
	if (is_hidden(character.point))
		return (size_t)snprintf(out, 24, style == DOT ? "\\\\u{%04x}" : "\\u{%04x}",
					(unsigned)character.point) - (style == DOT);
	if (style == XML)
		entity = character.point == '&'  ? "&amp;" :
			 character.point == '<'  ? "&lt;" :
			 character.point == '>'  ? "&gt;" :
			 character.point == '"'  ? "&quot;" :
			 character.point == '\'' ? "&#39;" :
						   NULL;
	else if (style == DOT && character.point == '\\')
		entity = "\\\\";
	if (entity) {
		strcpy(out, entity);
	} else {
		memcpy(out, text, character.len);
		out[character.len] = '\0';
	}
	return 1;
}

static size_t columns_of(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t columns = 0;
	char shown[24];

	while (*at) {
		struct character character = decode(at);

		columns += show(at, character, PLAIN, shown);
		at += character.len;
	}
	return columns;
}

static void add(struct fp_buffer *buffer, const char *text, size_t limit, enum style style)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t total = text ? columns_of(text) : 0, column = 0, head, tail;
	bool cut = limit > 0 && total > limit, elided = false;
	char shown[24];

	if (!text)
		return;
	/* The end of a path or URL says more than its beginning. */
	head = cut ? (limit - 1) / 3 : total;
	tail = cut ? total - (limit - 1 - head) : total;
	while (*at) {
		struct character character = decode(at);
		size_t columns = show(at, character, style, shown);

		if (cut && column + columns > head && column < tail) {
			if (!elided)
				fp_buffer_add_text(buffer, "…");
			elided = true;
		} else {
			fp_buffer_add_text(buffer, shown);
		}
		column += columns;
		at += character.len;
	}
}

void fp_clean_add(struct fp_buffer *buffer, const char *text, size_t columns)
{
	add(buffer, text, columns, PLAIN);
}

void fp_clean_add_xml(struct fp_buffer *buffer, const char *text, size_t columns)
{
	add(buffer, text, columns, XML);
}

void fp_clean_add_dot(struct fp_buffer *buffer, const char *text, size_t columns)
{
	add(buffer, text, columns, DOT);
}

void fp_clean_add_utf8(struct fp_buffer *buffer, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (at && *at) {
		struct character character = decode(at);

		if (character.point < 0)
			fp_buffer_add_format(buffer, "\\x%02x", at[0]);
		else
			fp_buffer_add_format(buffer, "%.*s", (int)character.len, (const char *)at);
		at += character.len;
	}
}

size_t fp_clean_columns(const char *clean)
{
	size_t columns = 0;

	for (; *clean; clean++)
		columns += ((unsigned char)*clean >> 6) != 2;
	return columns;
}

#include "wire/batch_columns.h"

#include <errno.h>
#include <string.h>

#define GOES_ON 0x80

void fp_column_measure(const struct fp_column_widths *widths, struct fp_column_places *ret_places)
{
	size_t n = 0;

	memset(ret_places, 0, sizeof(*ret_places));
	for (unsigned place = FP_VARINT_MAX; place-- > 0;) {
		n += widths->n[place + 1];
		ret_places->len[place] = n;
		if (n && !ret_places->n)
			ret_places->n = place + 1;
	}
}

void fp_column_split(const uint8_t *column, size_t len, const struct fp_column_places *places, uint8_t *out)
{
	const uint8_t *end = column + len;
	uint8_t *next[FP_VARINT_MAX], *first = out;

	for (unsigned i = 0; i < places->n; i++) {
		next[i] = out;
		out += places->len[i];
	}
	while (column < end) {
		uint8_t **place = next;

		*first++ = *column;
		while (*column++ & GOES_ON)
			*(*++place)++ = *column;
	}
}

int fp_column_join(const uint8_t *split, const struct fp_column_places *places, uint8_t *out)
{
	const uint8_t *next[FP_VARINT_MAX], *end[FP_VARINT_MAX], *first = split;

	for (unsigned i = 0; i < places->n; i++) {
		next[i] = split;
		end[i] = split += places->len[i];
	}
	while (places->n && first < end[0]) {
		unsigned place = 0;

		*out = *first++;
		while (*out++ & GOES_ON) {
			if (++place == places->n || next[place] == end[place])
				return -EBADMSG;
			*out = *next[place]++;
		}
	}
	for (unsigned i = 1; i < places->n; i++)
		if (next[i] != end[i])
			return -EBADMSG;
	return 0;
}

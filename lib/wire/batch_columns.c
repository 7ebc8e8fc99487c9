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

/* Past the number that begins there; SIZE_MAX when it has no end. */
static inline size_t skip(const uint8_t *column, size_t len, size_t at)
{
	do {
		if (at >= len)
			return SIZE_MAX;
	} while (column[at++] & GOES_ON);
	return at;
}

static inline uint8_t *copy(const uint8_t *number, uint8_t *out)
{
	*out = *number;
	while (*out++ & GOES_ON)
		*out = *++number;
	return out;
}

/* The events of one type, as they are sorted. */
static inline const uint32_t *sorted_of(const struct fp_column_events *events, unsigned type, const uint32_t **ret_end)
{
	*ret_end = events->sorted + events->ends[type];
	return events->sorted + (type ? events->ends[type - 1] : 0);
}

static int sort_numbers(const uint8_t *column, size_t len, const struct fp_column_events *events, const bool *has, uint8_t *out)
{
	size_t at = 0;

	for (size_t i = 0; i < events->n; i++)
		if (has[events->types[i]]) {
			events->starts[i] = (uint32_t)at;
			at = skip(column, len, at);
		}
	if (at != len)
		return -EBADMSG;
	for (unsigned type = 0; type < events->n_types; type++) {
		const uint32_t *end, *event = sorted_of(events, type, &end);

		for (; has[type] && event < end; event++)
			out = copy(column + events->starts[*event], out);
	}
	return 0;
}

static int unsort_numbers(const uint8_t *column, size_t len, const struct fp_column_events *events, const bool *has, uint8_t *out)
{
	size_t at = 0;

	for (unsigned type = 0; type < events->n_types; type++) {
		const uint32_t *end, *event = sorted_of(events, type, &end);

		for (; has[type] && event < end; event++) {
			events->starts[*event] = (uint32_t)at;
			at = skip(column, len, at);
		}
	}
	if (at != len)
		return -EBADMSG;
	for (size_t i = 0; i < events->n; i++)
		if (has[events->types[i]])
			out = copy(column + events->starts[i], out);
	return 0;
}

int fp_column_sort(const uint8_t *column, size_t len, const struct fp_column_events *events, const bool has[UINT8_MAX + 1],
		   bool back, uint8_t *out)
{
	return (back ? unsort_numbers : sort_numbers)(column, len, events, has, out);
}

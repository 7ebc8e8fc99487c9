#include "wire/batch_columns.h"

#include <errno.h>
#include <string.h>

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

size_t fp_column_size(const struct fp_column_places *places)
{
	size_t size = 0;

	for (unsigned i = 0; i < places->n; i++)
		size += places->len[i];
	return size;
}

void fp_column_begin(struct fp_column *column, const struct fp_column_places *places, uint8_t *bytes)
{
	for (unsigned i = 0; i < FP_VARINT_MAX; i++) {
		column->places[i].at = bytes;
		bytes += i < places->n ? places->len[i] : 0;
		column->places[i].end = bytes;
	}
}

bool fp_column_is_over(const struct fp_column *column)
{
	for (unsigned i = 0; i < FP_VARINT_MAX; i++)
		if (column->places[i].at != column->places[i].end)
			return false;
	return true;
}

int fp_column_read(struct fp_column *column, uint64_t *ret_value)
{
	uint8_t number[FP_VARINT_MAX], *end = fp_column_get(column, number);
	size_t pos = 0;

	return end ? fp_varint_read(number, (size_t)(end - number), &pos, ret_value) : -EBADMSG;
}

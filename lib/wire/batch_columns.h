/*
 * Columns of varints, taken apart for compression: the first bytes of all numbers
 * in a row, then their second ones, and so on.  Bytes of one place are more alike
 * than the bytes of one number.  Private to lib/wire; pure.
 */
#ifndef FP_WIRE_BATCH_COLUMNS_H
#define FP_WIRE_BATCH_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/* Places of one column, each with its bytes; as many as the longest number has. */
struct fp_column_places {
	size_t len[FP_VARINT_MAX];
	unsigned n;
};

/* Of the numbers of a column, how many have so many bytes (0: none has). */
struct fp_column_widths {
	size_t n[FP_VARINT_MAX + 1];
};

void fp_column_measure(const struct fp_column_widths *widths, struct fp_column_places *ret_places);
size_t fp_column_size(const struct fp_column_places *places);

/* Where the next number stands: its first byte, its second one and so on, and where those of all numbers end. */
struct fp_column {
	struct fp_column_place {
		uint8_t *at;
		const uint8_t *end;
	} places[FP_VARINT_MAX];
};

/* The places stand one behind the other from `bytes` on, which the column borrows; those that there are none of are empty. */
void fp_column_begin(struct fp_column *column, const struct fp_column_places *places, uint8_t *bytes);
/* Whether all its numbers are read, to the byte. */
bool fp_column_is_over(const struct fp_column *column);

#define FP_VARINT_GOES_ON 0x80

/* Puts the varint, for which `places` have room, and returns what is behind it. */
static inline const uint8_t *fp_column_put(struct fp_column *column, const uint8_t *number)
{
	struct fp_column_place *place = column->places;

	*place->at++ = *number;
	while (*number++ & FP_VARINT_GOES_ON)
		*(++place)->at++ = *number;
	return number;
}

/* Puts the next number of a column, which may be from outside, together; returns what is behind it, or NULL: it has no end. */
static inline uint8_t *fp_column_get(struct fp_column *column, uint8_t *number)
{
	struct fp_column_place *place = column->places;

	do {
		if (place == column->places + FP_VARINT_MAX || place->at == place->end)
			return NULL;
		*number = *(place++)->at++;
	} while (*number++ & FP_VARINT_GOES_ON);
	return number;
}

/* The same, and what the number is.  0 or -EBADMSG. */
int fp_column_read(struct fp_column *column, uint64_t *ret_value);

#endif

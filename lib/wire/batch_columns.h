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
/* Writes the places one behind the other, `len` bytes in all. */
void fp_column_split(const uint8_t *column, size_t len, const struct fp_column_places *places, uint8_t *out);
/*
 * The opposite.  `places` are from outside; `split` has as many bytes as they say
 * together, and `out` room for so many.  -EBADMSG when they are no numbers.
 */
int fp_column_join(const uint8_t *split, const struct fp_column_places *places, uint8_t *out);

/* Events, some of which have a number in a column. */
struct fp_column_events {
	size_t n;
	const uint32_t *sorted; /* which is the first, the second and so on, once sorted: by type, and then by anything */
	const uint8_t *types; /* of each, in their own order */
	uint32_t *starts; /* room for a number of each */
	unsigned n_types; /* each is less */
	uint32_t ends[UINT8_MAX + 1]; /* of each type among the sorted */
};

/*
 * The numbers of a column, which events of those types have, from the order of events into that of the sorted ones, or
 * back; as many bytes.  -EBADMSG when the column, which may be from outside, has not just as many numbers.
 */
int fp_column_sort(const uint8_t *column, size_t len, const struct fp_column_events *events, const bool has[UINT8_MAX + 1],
		   bool back, uint8_t *out);

#endif

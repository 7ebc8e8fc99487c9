/*
 * Growing arrays of plain structures: pointer, number of elements and room are
 * three ordinary members of whoever owns the array.
 */
#ifndef FP_BASE_ARRAY_H
#define FP_BASE_ARRAY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static inline bool fp_array_grow(void **array, size_t *room, size_t element)
{
	size_t wanted = *room ? *room * 2 : 8;
	void *grown = wanted > SIZE_MAX / element ? NULL : realloc(*array, wanted * element);

	if (!grown)
		return false;
	*array = grown;
	*room = wanted;
	return true;
}

/* True when array[n] may be written. */
#define FP_ARRAY_ROOM(array, n, room) \
	((size_t)(n) < (room) || fp_array_grow((void **)&(array), &(room), sizeof(*(array))))

#endif

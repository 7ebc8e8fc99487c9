#include <stdlib.h>

#include "stitcher/streams.h"

void fp_spans_unwrap(struct fp_span *spans, size_t n, uint32_t base)
{
	/* so far from zero that no order of arrival leads below it */
	uint64_t position = 1ull << 62;
	uint32_t previous = base;

	for (size_t i = 0; i < n; i++) {
		uint32_t end = (uint32_t)spans[i].high;
		uint64_t bytes = spans[i].low;

		/* the first may be far into the stream; later ones are near the one before */
		if (i == 0)
			position += end - base;
		else
			position += (uint64_t)(int64_t)(int32_t)(end - previous);
		previous = end;
		spans[i].high = position;
		spans[i].low = bytes > position ? 0 : position - bytes;
	}
}

static int by_low(const void *a, const void *b)
{
	const struct fp_span *x = a, *y = b;

	if (x->low != y->low)
		return x->low < y->low ? -1 : 1;
	return x->item < y->item ? -1 : x->item > y->item;
}

size_t fp_spans_settle(struct fp_span *sends, size_t n)
{
	size_t left = 0;

	qsort(sends, n, sizeof(*sends), by_low);
	for (size_t i = 0; i < n; i++) {
		struct fp_span span = sends[i];
		struct fp_span *before = left ? &sends[left - 1] : NULL;

		if (before && span.low < before->high)
			span.low = before->high;
		if (span.low >= span.high)
			continue;
		if (before && before->unit == span.unit && before->high == span.low) {
			before->high = span.high;
			before->last_item = span.item;
		} else {
			sends[left++] = span;
		}
	}
	return left;
}

size_t fp_spans_find(const struct fp_span *sends, size_t n, uint64_t low)
{
	size_t first = 0, last = n;

	while (first < last) {
		size_t middle = first + (last - first) / 2;

		if (sends[middle].high <= low)
			first = middle + 1;
		else
			last = middle;
	}
	return first;
}

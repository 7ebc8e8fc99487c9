/*
 * Which bytes received are those of which send: ranges of sequence numbers.
 * Pure; the pass over the evidence is fp_build_streams.
 */
#ifndef FP_STITCHER_STREAMS_H
#define FP_STITCHER_STREAMS_H

#include <stddef.h>
#include <stdint.h>

/* Bytes [low, high) of a stream, counted without wrapping. */
struct fp_span {
	uint64_t low, high;
	uint32_t item, last_item; /* the operation; of several put together the first and the last */
	uint32_t unit;
};

/*
 * Turns ends modulo 2^32, given in order of time as `high`, into positions that
 * do not wrap, and sets `low` from the number of bytes given there.
 */
void fp_spans_unwrap(struct fp_span *spans, size_t n, uint32_t base);
/*
 * Orders sends by position and makes them disjoint: bytes that a second send
 * claims stay with the first; neighbours of one unit become one.  Returns how
 * many are left.
 */
size_t fp_spans_settle(struct fp_span *sends, size_t n);
/* Index of the first of settled sends that reaches beyond `low`. */
size_t fp_spans_find(const struct fp_span *sends, size_t n, uint64_t low);

#endif

/*
 * A growing array of bytes.  Embedded; used to build frames and text.
 * `data` is NUL-terminated after every text operation.  Growth that fails sets
 * `failed` and is otherwise ignored, so that a writer checks once at the end.
 */
#ifndef FP_BASE_BUFFER_H
#define FP_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fp_buffer {
	char *data;
	size_t len, size;
	bool failed; /* out of memory at some point: what is here is not whole */
};

#define FP_BUFFER_INIT {NULL, 0, 0, false}

void fp_buffer_done(struct fp_buffer *buffer);
/* Empty again, memory kept. */
void fp_buffer_clear(struct fp_buffer *buffer);
/* Room for `len` more bytes at data + len, or NULL. */
char *fp_buffer_reserve(struct fp_buffer *buffer, size_t len);
void fp_buffer_add(struct fp_buffer *buffer, const void *data, size_t len);
void fp_buffer_add_text(struct fp_buffer *buffer, const char *text);
void fp_buffer_add_format(struct fp_buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fp_buffer_add_varint(struct fp_buffer *buffer, uint64_t value);
/* 0 or -ENOMEM. */
int fp_buffer_error(const struct fp_buffer *buffer);

#define FP_VARINT_MAX 10 /* bytes */

/* Writes a varint where FP_VARINT_MAX bytes of room are; returns how many it took. */
static inline size_t fp_varint_put(uint8_t *out, uint64_t value)
{
	size_t n = 0;

	for (; value >= 0x80; value >>= 7)
		out[n++] = (uint8_t)(value | 0x80);
	out[n++] = (uint8_t)value;
	return n;
}

int fp_varint_read_long(const uint8_t *data, size_t len, size_t *pos, uint64_t *ret_value);

/* Reads a varint and advances *pos; 0 or -EBADMSG.  Most are of one byte. */
static inline int fp_varint_read(const uint8_t *data, size_t len, size_t *pos, uint64_t *ret_value)
{
	if (*pos >= len || data[*pos] >= 0x80)
		return fp_varint_read_long(data, len, pos, ret_value);
	*ret_value = data[(*pos)++];
	return 0;
}

static inline uint64_t fp_zigzag(int64_t value)
{
	return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static inline int64_t fp_unzigzag(uint64_t value)
{
	return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

#endif

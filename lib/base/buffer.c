#include "base/buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fp_buffer_done(struct fp_buffer *buffer)
{
	free(buffer->data);
	*buffer = (struct fp_buffer)FP_BUFFER_INIT;
}

void fp_buffer_clear(struct fp_buffer *buffer)
{
	buffer->len = 0;
	buffer->failed = false;
	if (buffer->data)
		buffer->data[0] = '\0';
}

char *fp_buffer_reserve(struct fp_buffer *buffer, size_t len)
{
	size_t wanted = buffer->len + len + 1;

	if (wanted < len)
		goto fail;
	if (wanted > buffer->size) {
		size_t size = buffer->size * 2 > wanted ? buffer->size * 2 : wanted + 64;
		char *data = realloc(buffer->data, size);

		if (!data)
			goto fail;
		buffer->data = data;
		buffer->size = size;
	}
	return buffer->data + buffer->len;
fail:
	buffer->failed = true;
	return NULL;
}

void fp_buffer_add(struct fp_buffer *buffer, const void *data, size_t len)
{
	char *room = fp_buffer_reserve(buffer, len);

	if (!room)
		return;
	if (len)
		memcpy(room, data, len);
	buffer->len += len;
	buffer->data[buffer->len] = '\0';
}

void fp_buffer_add_text(struct fp_buffer *buffer, const char *text)
{
	fp_buffer_add(buffer, text, strlen(text));
}

void fp_buffer_add_format(struct fp_buffer *buffer, const char *format, ...)
{
	va_list args;
	size_t room = buffer->size - buffer->len;
	int len;

	/* mostly it fits into what there is */
	va_start(args, format);
	len = vsnprintf(room ? buffer->data + buffer->len : NULL, room, format, args);
	va_end(args);
	if (len < 0)
		return;
	if ((size_t)len >= room) {
		if (!fp_buffer_reserve(buffer, (size_t)len)) {
			if (room)
				buffer->data[buffer->len] = '\0';
			return;
		}
		va_start(args, format);
		vsnprintf(buffer->data + buffer->len, (size_t)len + 1, format, args);
		va_end(args);
	}
	buffer->len += (size_t)len;
}

void fp_buffer_add_varint(struct fp_buffer *buffer, uint64_t value)
{
	char *room = fp_buffer_reserve(buffer, FP_VARINT_MAX);

	if (!room)
		return;
	buffer->len += fp_varint_put((uint8_t *)room, value);
	buffer->data[buffer->len] = '\0';
}

int fp_buffer_error(const struct fp_buffer *buffer)
{
	return buffer->failed ? -ENOMEM : 0;
}

int fp_varint_read_long(const uint8_t *data, size_t len, size_t *pos, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte;

		if (*pos >= len)
			return -EBADMSG;
		byte = data[(*pos)++];
		if (shift == 63 && byte > 1)
			return -EBADMSG;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret_value = value;
			return 0;
		}
	}
	return -EBADMSG;
}

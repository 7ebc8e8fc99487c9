#include "agent/app/mysql_compressed.h"

#include <errno.h>
#include <zlib.h>

enum { FRAME_HEADER = 7 /* length 3, number 1, length when unpacked 3 (0: as it is) */ };

/* Unpacks as much as the beginning of a zlib stream gives. */
static int inflate_beginning(const uint8_t *data, size_t len, struct fp_buffer *ret_data)
{
	z_stream stream = {.next_in = (Bytef *)data, .avail_in = (uInt)len};
	char *room = fp_buffer_reserve(ret_data, FP_MYSQL_UNPACKED_MAX);
	int r;

	if (!room || inflateInit(&stream) != Z_OK)
		return -ENOMEM;
	stream.next_out = (Bytef *)room;
	stream.avail_out = FP_MYSQL_UNPACKED_MAX;
	r = inflate(&stream, Z_SYNC_FLUSH);
	ret_data->len += FP_MYSQL_UNPACKED_MAX - stream.avail_out;
	inflateEnd(&stream);
	return (r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR) && ret_data->len > 0 ? 0 : -EBADMSG;
}

int fp_mysql_unpack(const struct fp_app_input *input, struct fp_buffer *ret_data, size_t *ret_total)
{
	size_t len, unpacked;
	const uint8_t *data = input->data + FRAME_HEADER;
	int r;

	fp_buffer_clear(ret_data);
	if (input->have <= FRAME_HEADER)
		return -EBADMSG;
	len = fp_app_read_le(input->data, 3);
	unpacked = fp_app_read_le(input->data + 4, 3);
	if (len == 0)
		return -EBADMSG;
	*ret_total = unpacked ? unpacked : len;
	if (len > input->have - FRAME_HEADER)
		len = input->have - FRAME_HEADER;
	if (unpacked) {
		r = inflate_beginning(data, len, ret_data);
		if (r < 0)
			return r;
	} else {
		fp_buffer_add(ret_data, data, len);
	}
	if (ret_data->len > *ret_total)
		return -EBADMSG;
	return fp_buffer_error(ret_data);
}

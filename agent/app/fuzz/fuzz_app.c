/*
 * Feeds a connection.  The input is a series of steps: a byte (bit 0 outgoing,
 * bit 1 a hole follows), two bytes length of what was captured, two bytes
 * length of the hole (both little endian, only if bit 1), the captured bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/app/app.h"

static void check(struct fp_str text, size_t max)
{
	if (text.len > max || (text.len && memchr(text.data, '\0', text.len)))
		abort();
}

static int look(void *arg, const struct fp_app_message *message)
{
	check(message->method, 32);
	check(message->host_name, FP_STR_MAX);
	check(message->url, FP_STR_MAX);
	check(message->name, 2 * FP_STR_MAX);
	check(message->call_id, 256);
	check(message->forwarded, 512);
	if (!fp_app_name(message->app) || message->direction > 1)
		abort();
	++*(int *)arg;
	return 0;
}

static size_t step(struct fp_app_connection *connection, const uint8_t *data, size_t size)
{
	bool outgoing = data[0] & 1, hole = data[0] & 2;
	size_t head = hole ? 5 : 3, have, missing;
	uint8_t *copy;
	int seen = 0, r;

	if (size < head)
		return size;
	have = data[1] | (size_t)data[2] << 8;
	missing = hole ? data[3] | (size_t)data[4] << 8 : 0;
	if (have > size - head)
		have = size - head;
	/* exactly as large as it says, so that a read behind the capture is found */
	copy = malloc(have ? have : 1);
	if (!copy)
		abort();
	memcpy(copy, data + head, have);
	r = fp_app_feed(connection, outgoing, copy, have, have + missing, look, &seen);
	if (r < 0 || r != seen)
		abort();
	free(copy);
	return head + have;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fp_app_connection connection;

	fp_app_connection_init(&connection);
	for (size_t pos = 0; pos < size;)
		pos += step(&connection, data + pos, size - pos);
	fp_app_connection_done(&connection);
	return 0;
}

#include "agent/app/tls.h"

#include <string.h>

enum {
	RECORD_HANDSHAKE = 22,
	HANDSHAKE_CLIENT_HELLO = 1,
	EXTENSION_SERVER_NAME = 0,
	NAME_TYPE_HOST = 0,
	RECORD_HEAD = 5,
	HELLO_HEAD = 4 + 2 + 32, /* type and length, version, random */
	RECORD_MAX = 16384,
};

struct reader {
	const uint8_t *data;
	size_t len, pos;
	bool cut; /* something was to be read behind the end */
};

static uint64_t read_number(struct reader *r, unsigned bytes)
{
	uint64_t value = 0;

	if (r->len - r->pos < bytes) {
		r->cut = true;
		r->pos = r->len;
		return 0;
	}
	while (bytes--)
		value = value << 8 | r->data[r->pos++];
	return value;
}

static void skip(struct reader *r, uint64_t bytes)
{
	if (r->len - r->pos < bytes) {
		r->cut = true;
		r->pos = r->len;
		return;
	}
	r->pos += bytes;
}

static bool is_host_name(const uint8_t *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] >= 0x7f)
			return false;
	return len > 0 && len <= 255;
}

/* Stands on the extension's data. */
static struct fp_str read_server_name(struct reader *r)
{
	struct fp_str none = {NULL, 0};
	uint64_t list = read_number(r, 2), type = read_number(r, 1), len = read_number(r, 2);
	const uint8_t *name = r->data + r->pos;

	if (r->cut || type != NAME_TYPE_HOST || len + 3 > list)
		return none;
	skip(r, len);
	if (r->cut || !is_host_name(name, len))
		return none;
	return (struct fp_str){(const char *)name, len};
}

/* Stands behind the random; false when this is no ClientHello. */
static bool read_hello(struct reader *r, struct fp_str *ret_name)
{
	uint64_t session = read_number(r, 1), ciphers;

	if (session > 32)
		return false;
	skip(r, session);
	ciphers = read_number(r, 2);
	if (!r->cut && (ciphers == 0 || ciphers % 2))
		return false;
	skip(r, ciphers);
	skip(r, read_number(r, 1));
	skip(r, 2);
	while (!r->cut && r->pos < r->len) {
		uint64_t type = read_number(r, 2), len = read_number(r, 2);

		if (!r->cut && type == EXTENSION_SERVER_NAME) {
			*ret_name = read_server_name(r);
			break;
		}
		skip(r, len);
	}
	return true;
}

enum fp_app_verdict fp_tls_feed(struct fp_app_input *input)
{
	struct reader r = {.data = input->data, .len = input->have};
	struct fp_app_message message = {
		.app = FP_APP_OPAQUE,
		.outgoing = input->outgoing,
		.method = {"tls", 3},
	};
	uint64_t record, hello;

	if (input->have < RECORD_HEAD + HELLO_HEAD)
		return FP_APP_NOT_MINE;
	if (read_number(&r, 1) != RECORD_HANDSHAKE || read_number(&r, 1) != 3 || read_number(&r, 1) > 4)
		return FP_APP_NOT_MINE;
	record = read_number(&r, 2);
	if (record < HELLO_HEAD || record > RECORD_MAX)
		return FP_APP_NOT_MINE;
	if (r.len > RECORD_HEAD + record)
		r.len = RECORD_HEAD + record;
	if (read_number(&r, 1) != HANDSHAKE_CLIENT_HELLO)
		return FP_APP_NOT_MINE;
	hello = read_number(&r, 3);
	if (hello < HELLO_HEAD - 4 || read_number(&r, 1) != 3)
		return FP_APP_NOT_MINE;
	if (r.len > RECORD_HEAD + 4 + hello)
		r.len = RECORD_HEAD + 4 + hello;
	r.pos = RECORD_HEAD + HELLO_HEAD;
	if (!read_hello(&r, &message.host_name))
		return FP_APP_NOT_MINE;
	message.name = message.host_name;
	/* without the name, and cut: there may have been one */
	message.truncated = message.name.len == 0 && r.cut;
	fp_app_emit(input, &message);
	return FP_APP_MINE;
}

/* A stream of messages, fed whole and in pieces: both ways give the same messages or the same refusal. */
#include <stdlib.h>
#include <string.h>

#include "wire/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct heard {
	uint8_t hash[FP_BATCH_HASH_SIZE]; /* over all messages so far */
	unsigned n;
	ssize_t error;
};

static void hear(struct heard *heard, const struct fp_message *message)
{
	struct fp_buffer all = FP_BUFFER_INIT;
	struct fp_refuse refuse;
	struct fp_welcome welcome;
	struct fp_hello hello;

	switch (message->type) {
	case FP_MESSAGE_HELLO: fp_hello_read(message, &hello); break;
	case FP_MESSAGE_WELCOME: fp_welcome_read(message, &welcome); break;
	case FP_MESSAGE_ACK: fp_ack_read(message); break;
	case FP_MESSAGE_REFUSE:
		fp_refuse_read(message, &refuse);
		if (strpbrk(refuse.text, "\n\"\x1b"))
			abort();
		break;
	default: break;
	}
	fp_buffer_add(&all, heard->hash, sizeof(heard->hash));
	fp_buffer_add(&all, &message->type, sizeof(message->type));
	fp_buffer_add(&all, message->body, message->len);
	fp_batch_hash((uint8_t *)all.data, all.len, heard->hash);
	fp_buffer_done(&all);
	heard->n++;
}

static void feed(const uint8_t *data, size_t len, size_t piece, struct heard *heard)
{
	struct fp_parser parser;
	size_t pos = 0;

	fp_parser_init(&parser, ~0u);
	while (pos < len) {
		size_t n = len - pos < piece ? len - pos : piece;
		struct fp_message message;
		bool whole;
		ssize_t taken = fp_parser_feed(&parser, data + pos, n, &message, &whole);

		if (taken < 0) {
			heard->error = taken;
			break;
		}
		if (taken == 0 || (size_t)taken > n)
			abort();
		if (whole)
			hear(heard, &message);
		pos += (size_t)taken;
	}
	fp_parser_done(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct heard whole = {{0}, 0, 0}, pieces = {{0}, 0, 0};

	if (len < 2)
		return 0;
	feed(data + 1, len - 1, len, &whole);
	feed(data + 1, len - 1, data[0] ? data[0] : 1, &pieces);
	if (whole.n != pieces.n || whole.error != pieces.error || memcmp(whole.hash, pieces.hash, sizeof(whole.hash)) != 0)
		abort();
	return 0;
}

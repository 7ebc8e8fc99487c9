/* Messages between agent and aggregator: what is written is read, in whatever pieces it comes; the rest is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/batch_format.h"
#include "wire/protocol.h"

#define ANY (~0u)

static void make_all(struct fp_buffer *out)
{
	struct fp_welcome welcome = {.last = 0x0102030405060708ull, .hash = {9, 8, 7}};
	uint8_t frame[300];

	memset(frame, 0xee, sizeof(frame));
	fp_message_hello(out, (const uint8_t *)"0123456789abcdef");
	fp_message_welcome(out, &welcome);
	fp_message_batch(out, frame, sizeof(frame));
	fp_message_ack(out, 77);
	fp_message_refuse(out, FP_REFUSE_CHAIN, "a \"hole\"\n\x1b[31m\xff");
	assert_int_equal(fp_buffer_error(out), 0);
}

static void check_message(unsigned i, const struct fp_message *message)
{
	struct fp_hello hello;
	struct fp_welcome welcome;
	struct fp_refuse refuse;

	assert_int_equal(message->type, i + 1);
	switch (message->type) {
	case FP_MESSAGE_HELLO:
		fp_hello_read(message, &hello);
		assert_memory_equal(hello.agent, "0123456789abcdef", 16);
		assert_true(fp_hello_supported(&hello));
		hello.schema++;
		assert_false(fp_hello_supported(&hello));
		break;
	case FP_MESSAGE_WELCOME:
		fp_welcome_read(message, &welcome);
		assert_int_equal(welcome.last, 0x0102030405060708ull);
		assert_int_equal(welcome.hash[2], 7);
		break;
	case FP_MESSAGE_BATCH:
		assert_int_equal(message->len, 300);
		assert_int_equal(message->body[299], 0xee);
		break;
	case FP_MESSAGE_ACK:
		assert_int_equal(fp_ack_read(message), 77);
		break;
	default:
		fp_refuse_read(message, &refuse);
		assert_int_equal(refuse.code, FP_REFUSE_CHAIN);
		assert_string_equal(fp_refusal_name(refuse.code), "chain");
		/* what could break a line of the log does not get that far */
		assert_string_equal(refuse.text, "a ?hole???[31m?");
		break;
	}
}

static void test_pieces(void **state)
{
	struct fp_buffer out = FP_BUFFER_INIT;

	make_all(&out);
	for (size_t piece = 1; piece <= out.len; piece++) {
		struct fp_parser parser;
		unsigned n = 0;

		fp_parser_init(&parser, ANY);
		for (size_t at = 0; at < out.len;) {
			size_t len = out.len - at < piece ? out.len - at : piece;
			/* a copy of just this length, so that a sanitizer sees a read behind it */
			uint8_t *copy = malloc(len);
			struct fp_message message;
			bool whole;
			ssize_t taken;

			memcpy(copy, out.data + at, len);
			taken = fp_parser_feed(&parser, copy, len, &message, &whole);
			assert_true(taken > 0 && (size_t)taken <= len);
			if (whole)
				check_message(n++, &message);
			at += (size_t)taken;
			assert_int_equal(fp_parser_partial(&parser), !whole);
			free(copy);
		}
		assert_int_equal(n, 5);
		fp_parser_done(&parser);
	}
	fp_buffer_done(&out);
}

static ssize_t feed_once(unsigned accepted, const void *data, size_t len)
{
	struct fp_parser parser;
	struct fp_message message;
	bool whole;
	ssize_t r;

	fp_parser_init(&parser, accepted);
	r = fp_parser_feed(&parser, data, len, &message, &whole);
	fp_parser_done(&parser);
	return r;
}

static void test_refused(void **state)
{
	assert_int_equal(feed_once(ANY, "GET / HTTP/1.1\r\n", 16), -EBADMSG);
	assert_int_equal(feed_once(ANY, "X", 1), -EBADMSG);
	assert_int_equal(feed_once(ANY, "FX", 2), -EBADMSG);
	assert_int_equal(feed_once(ANY, "FP\x02", 3), -EPROTO);
	assert_int_equal(feed_once(ANY, "FP\x01\x00", 4), -EBADMSG);
	assert_int_equal(feed_once(ANY, "FP\x01\x06", 4), -EBADMSG);
	assert_int_equal(feed_once(ANY, "FP\x01\xff", 4), -EBADMSG);
	/* not now, before a body has to be held */
	assert_int_equal(feed_once(1u << FP_MESSAGE_HELLO, "FP\x01\x03", 4), -EBADMSG);
	/* lengths: of HELLO, of a batch of 4 MiB and a byte, of a refusal */
	assert_int_equal(feed_once(ANY, "FP\x01\x01\x13\0\0\0", 8), -EBADMSG);
	assert_int_equal(feed_once(ANY, "FP\x01\x01\x15\0\0\0", 8), -EBADMSG);
	assert_int_equal(feed_once(ANY, "FP\x01\x03\x01\0\x40\0", 8), -EBADMSG);
	assert_int_equal(feed_once(ANY, "FP\x01\x03\x01\0\0\0", 8), -EBADMSG);
	assert_int_equal(feed_once(ANY, "FP\x01\x05\x01\0\0\0", 8), -EBADMSG);
	assert_int_equal(feed_once(ANY, "FP\x01\x05\xff\xff\xff\xff", 8), -EBADMSG);
}

/* A promise of 4 MiB takes no memory; the bytes that come do, and are given back. */
static void test_memory(void **state)
{
	uint8_t *frame = calloc(1, FP_BATCH_FRAME_MAX);
	struct fp_buffer out = FP_BUFFER_INIT;
	struct fp_parser parser;
	struct fp_message message;
	bool whole;

	fp_message_batch(&out, frame, FP_BATCH_FRAME_MAX);
	fp_message_ack(&out, 1);
	fp_parser_init(&parser, ANY);
	assert_int_equal(fp_parser_feed(&parser, (uint8_t *)out.data, 100, &message, &whole), 100);
	assert_false(whole);
	assert_true(parser.partial.size < 1024);
	assert_int_equal(fp_parser_feed(&parser, (uint8_t *)out.data + 100, out.len - 100, &message, &whole),
			 FP_BATCH_FRAME_MAX + FP_MESSAGE_HEADER_SIZE - 100);
	assert_true(whole);
	assert_int_equal(message.len, FP_BATCH_FRAME_MAX);
	assert_int_equal(fp_parser_feed(&parser, (uint8_t *)out.data + out.len - 16, 5, &message, &whole), 5);
	assert_true(parser.partial.size < 1024);
	fp_parser_done(&parser);
	fp_buffer_done(&out);
	free(frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests_name("protocol", tests, NULL, NULL);
}

/* The n-th allocation fails, for each n: -ENOMEM, nothing leaks, nothing half-done remains. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/protocol.h"

/* The linker sends this program's allocations here (--wrap). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static unsigned until_failure; /* 0: none fails */

static bool fails(void)
{
	return until_failure > 0 && --until_failure == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

/* Runs it with each allocation failing in turn, until it gets through. */
static void each_failure(int (*fn)(void *arg), void *arg)
{
	for (unsigned n = 1;; n++) {
		int r;

		until_failure = n;
		r = fn(arg);
		if (until_failure > 0) {
			until_failure = 0;
			assert_int_equal(r, 0);
			assert_true(n > 1);
			return;
		}
		assert_int_equal(r, -ENOMEM);
	}
}

static const struct fp_event event = {.type = FP_EVENT_TYPE_RENAME, .time = 5, .path = {"/a", 2}, .new_path = {"/b", 2}};

static int write_batch(void *arg)
{
	struct fp_batch_header header = {.number = 1};
	struct fp_batch_writer *writer = NULL;
	uint8_t hash[FP_BATCH_HASH_SIZE];
	const uint8_t *frame;
	size_t len;
	int r = fp_batch_writer_new(&writer);

	for (int i = 0; i < 50 && r == 0; i++) {
		struct fp_event other = event;
		char path[16] = "/dir/file-";

		path[10] = (char)('0' + i);
		other.path = (struct fp_str){path, 11};
		r = fp_batch_writer_add(writer, &other);
		/* added whole or not at all */
		assert_int_equal(fp_batch_writer_events(writer), r == 0 ? i + 1 : i);
	}
	if (r == 0)
		r = fp_batch_writer_finish(writer, &header, &frame, &len, hash);
	fp_batch_writer_free(writer);
	return r;
}

static void test_writer(void **state)
{
	each_failure(write_batch, NULL);
}

/* A writer that had no memory for one event goes on with the next. */
static void test_writer_goes_on(void **state)
{
	struct fp_batch_header header = {.number = 1};
	struct fp_batch_writer *writer;
	struct fp_batch *batch;
	uint8_t hash[FP_BATCH_HASH_SIZE];
	const uint8_t *frame;
	size_t len;
	int r;

	assert_int_equal(fp_batch_writer_new(&writer), 0);
	until_failure = 2;
	r = fp_batch_writer_add(writer, &event);
	until_failure = 0;
	assert_int_equal(r, -ENOMEM);
	assert_int_equal(fp_batch_writer_add(writer, &event), 0);
	until_failure = 1;
	r = fp_batch_writer_finish(writer, &header, &frame, &len, hash);
	until_failure = 0;
	assert_int_equal(r, -ENOMEM);
	assert_int_equal(fp_batch_writer_finish(writer, &header, &frame, &len, hash), 0);
	assert_int_equal(fp_batch_open(frame, len, &batch), 0);
	assert_int_equal(fp_batch_header(batch)->n_events, 1);
	fp_batch_free(batch);
	fp_batch_writer_free(writer);
}

struct frame {
	const uint8_t *data;
	size_t len;
};

static int open_batch(void *arg)
{
	struct frame *frame = arg;
	struct fp_batch *batch = NULL;
	int r = fp_batch_open(frame->data, frame->len, &batch);

	assert_int_equal(batch != NULL, r == 0);
	fp_batch_free(batch);
	return r;
}

static void test_reader(void **state)
{
	struct fp_batch_header header = {.number = 1};
	struct fp_batch_writer *writer;
	uint8_t hash[FP_BATCH_HASH_SIZE];
	struct frame frame;

	assert_int_equal(fp_batch_writer_new(&writer), 0);
	assert_int_equal(fp_batch_writer_add(writer, &event), 0);
	assert_int_equal(fp_batch_writer_finish(writer, &header, &frame.data, &frame.len, hash), 0);
	each_failure(open_batch, &frame);
	fp_batch_writer_free(writer);
}

static int talk(void *arg)
{
	struct fp_welcome welcome = {.last = 3};
	struct fp_buffer out = FP_BUFFER_INIT;
	struct fp_parser parser;
	int r;

	fp_parser_init(&parser, ~0u);
	fp_message_hello(&out, (const uint8_t *)"0123456789abcdef");
	fp_message_welcome(&out, &welcome);
	fp_message_refuse(&out, FP_REFUSE_STORE, "no");
	r = fp_buffer_error(&out);
	for (size_t at = 0; r == 0 && at < out.len;) {
		size_t len = out.len - at < 7 ? out.len - at : 7;
		struct fp_message message;
		bool whole;
		ssize_t n = fp_parser_feed(&parser, (uint8_t *)out.data + at, len, &message, &whole);

		if (n < 0)
			r = (int)n;
		else
			at += (size_t)n;
	}
	fp_parser_done(&parser);
	fp_buffer_done(&out);
	return r;
}

static void test_messages(void **state)
{
	each_failure(talk, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_writer_goes_on),
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests_name("wire_oom", tests, NULL, NULL);
}

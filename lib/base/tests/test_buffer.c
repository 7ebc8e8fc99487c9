#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"

static void test_text_is_terminated(void **state)
{
	struct fp_buffer buffer = FP_BUFFER_INIT;

	fp_buffer_add_text(&buffer, "one");
	fp_buffer_add_format(&buffer, " %d %s", 2, "three");
	assert_string_equal(buffer.data, "one 2 three");
	assert_int_equal(buffer.len, strlen("one 2 three"));
	fp_buffer_clear(&buffer);
	assert_int_equal(buffer.len, 0);
	assert_string_equal(buffer.data, "");
	fp_buffer_add(&buffer, "a\0b", 3);
	assert_int_equal(buffer.len, 3);
	assert_memory_equal(buffer.data, "a\0b", 4);
	assert_int_equal(fp_buffer_error(&buffer), 0);
	fp_buffer_done(&buffer);
	fp_buffer_done(&buffer);
}

static void test_grows(void **state)
{
	struct fp_buffer buffer = FP_BUFFER_INIT;

	for (int i = 0; i < 10000; i++)
		fp_buffer_add_format(&buffer, "%04d", i);
	assert_int_equal(buffer.len, 40000);
	assert_memory_equal(buffer.data + 4 * 1234, "1234", 4);
	fp_buffer_done(&buffer);
}

static void test_absurd_length_fails_and_stays_failed(void **state)
{
	struct fp_buffer buffer = FP_BUFFER_INIT;

	fp_buffer_add_text(&buffer, "kept");
	assert_null(fp_buffer_reserve(&buffer, SIZE_MAX - 2));
	assert_int_equal(fp_buffer_error(&buffer), -ENOMEM);
	assert_string_equal(buffer.data, "kept");
	fp_buffer_clear(&buffer);
	assert_int_equal(fp_buffer_error(&buffer), 0);
	fp_buffer_done(&buffer);
}

static void test_varints(void **state)
{
	static const uint64_t values[] = {0, 1, 127, 128, 300, UINT32_MAX, INT64_MAX, UINT64_MAX};
	struct fp_buffer buffer = FP_BUFFER_INIT;
	size_t pos = 0;
	uint64_t value;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		fp_buffer_add_varint(&buffer, values[i]);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		assert_int_equal(fp_varint_read((uint8_t *)buffer.data, buffer.len, &pos, &value), 0);
		assert_true(value == values[i]);
	}
	assert_int_equal(pos, buffer.len);
	assert_int_equal(fp_varint_read((uint8_t *)buffer.data, buffer.len, &pos, &value), -EBADMSG);
	fp_buffer_done(&buffer);
}

static void test_varint_refuses(void **state)
{
	static const uint8_t cut[] = {0x80, 0x80}, too_long[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
			     too_big[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2};
	uint64_t value;
	size_t pos;

	assert_int_equal(fp_varint_read(cut, sizeof(cut), (pos = 0, &pos), &value), -EBADMSG);
	assert_int_equal(fp_varint_read(too_long, sizeof(too_long), (pos = 0, &pos), &value), -EBADMSG);
	assert_int_equal(fp_varint_read(too_big, sizeof(too_big), (pos = 0, &pos), &value), -EBADMSG);
}

static void test_zigzag(void **state)
{
	static const int64_t values[] = {0, -1, 1, -2, INT64_MAX, INT64_MIN};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		assert_true(fp_unzigzag(fp_zigzag(values[i])) == values[i]);
	assert_int_equal(fp_zigzag(-1), 1);
	assert_int_equal(fp_zigzag(1), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_is_terminated),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_absurd_length_fails_and_stays_failed),
		cmocka_unit_test(test_varints),
		cmocka_unit_test(test_varint_refuses),
		cmocka_unit_test(test_zigzag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

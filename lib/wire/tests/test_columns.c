/* Columns taken apart and put together: the same numbers, and nothing else is taken for them. */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/batch_columns.h"

static size_t column_of(const uint64_t *numbers, size_t n, uint8_t *row, struct fp_column_places *ret_places)
{
	struct fp_column_widths widths = {0};
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		size_t bytes = fp_varint_put(row + len, numbers[i]);

		widths.n[bytes]++;
		len += bytes;
	}
	fp_column_measure(&widths, ret_places);
	return len;
}

static void split(const uint8_t *row, size_t len, const struct fp_column_places *places, uint8_t *bytes)
{
	const uint8_t *number = row;
	struct fp_column column;

	fp_column_begin(&column, places, bytes);
	while (number < row + len)
		number = fp_column_put(&column, number);
	assert_true(fp_column_is_over(&column));
}

static void assert_joined(const struct fp_column_places *places, uint8_t *bytes, const uint8_t *row, size_t len, uint8_t *joined)
{
	struct fp_column column;
	uint8_t *end = joined;

	fp_column_begin(&column, places, bytes);
	while (end < joined + len) {
		assert_false(fp_column_is_over(&column));
		end = fp_column_get(&column, end);
		assert_non_null(end);
	}
	assert_true(fp_column_is_over(&column));
	assert_null(fp_column_get(&column, end));
	assert_memory_equal(joined, row, len);
}

static void test_places(void **state)
{
	const uint64_t numbers[] = {0x01, 0x180, 0x05, UINT64_MAX};
	uint8_t row[64], bytes[64], joined[64];
	struct fp_column_places places;
	struct fp_column column;
	size_t len = column_of(numbers, 4, row, &places);
	uint64_t value;

	assert_int_equal(places.n, 10);
	assert_int_equal(places.len[0], 4);
	assert_int_equal(places.len[1], 2);
	assert_int_equal(places.len[2], 1);
	assert_int_equal(places.len[9], 1);
	assert_int_equal(fp_column_size(&places), len);
	split(row, len, &places, bytes);
	/* the first bytes of all four, the second ones of two, the rest of one */
	assert_memory_equal(bytes, "\x01\x80\x05\xff\x03\xff\xff\xff\xff\xff\xff\xff\xff\x01", 14);
	assert_joined(&places, bytes, row, len, joined);
	fp_column_begin(&column, &places, bytes);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(fp_column_read(&column, &value), 0);
		assert_int_equal(value, numbers[i]);
	}
	assert_int_equal(fp_column_read(&column, &value), -EBADMSG);
}

static void test_many(void **state)
{
	static uint64_t numbers[5000];
	static uint8_t row[50000], bytes[50000], joined[50000];
	struct fp_column_places places;
	uint64_t x = 1;
	size_t len;

	for (size_t i = 0; i < 5000; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		numbers[i] = x >> (x >> 58);
	}
	len = column_of(numbers, 5000, row, &places);
	split(row, len, &places, bytes);
	assert_memory_not_equal(bytes, row, len);
	assert_joined(&places, bytes, row, len, joined);
}

static void test_none(void **state)
{
	struct fp_column_places places;
	struct fp_column column;
	uint8_t byte = 7;

	assert_int_equal(column_of(NULL, 0, &byte, &places), 0);
	assert_int_equal(places.n, 0);
	fp_column_begin(&column, &places, &byte);
	assert_true(fp_column_is_over(&column));
	assert_null(fp_column_get(&column, &byte));
	assert_int_equal(byte, 7);
}

static void test_hostile(void **state)
{
	/* a number that goes on without a place, or without a byte in it; a byte that nobody goes on to; eleven bytes */
	const struct fp_column_places one = {{1}, 1}, two = {{2, 1}, 2}, left = {{1, 1}, 2}, all = {{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 10};
	uint8_t bytes[] = "\x80\x80\x01", over[] = "\x01\x01", on[] = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", out[16];
	struct fp_column column;
	uint64_t value;

	fp_column_begin(&column, &one, bytes);
	assert_null(fp_column_get(&column, out));
	fp_column_begin(&column, &two, bytes);
	assert_ptr_equal(fp_column_get(&column, out), out + 2);
	assert_memory_equal(out, "\x80\x01", 2);
	assert_null(fp_column_get(&column, out));
	fp_column_begin(&column, &left, over);
	assert_non_null(fp_column_get(&column, out));
	assert_false(fp_column_is_over(&column));
	fp_column_begin(&column, &all, on);
	assert_null(fp_column_get(&column, out));
	/* ten bytes that are more than 64 bits */
	on[9] = 0x02;
	fp_column_begin(&column, &all, on);
	assert_int_equal(fp_column_read(&column, &value), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

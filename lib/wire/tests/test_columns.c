/* Columns taken apart and put together: the same numbers, and nothing else is taken for them. */
#include <errno.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/batch_columns.h"

static size_t column_of(const uint64_t *numbers, size_t n, uint8_t *column, struct fp_column_places *ret_places)
{
	struct fp_column_widths widths = {0};
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		size_t bytes = fp_varint_put(column + len, numbers[i]);

		widths.n[bytes]++;
		len += bytes;
	}
	fp_column_measure(&widths, ret_places);
	return len;
}

static void test_places(void **state)
{
	const uint64_t numbers[] = {0x01, 0x180, 0x05, UINT64_MAX};
	uint8_t column[64], split[64], joined[64];
	struct fp_column_places places;
	size_t len = column_of(numbers, 4, column, &places);

	assert_int_equal(places.n, 10);
	assert_int_equal(places.len[0], 4);
	assert_int_equal(places.len[1], 2);
	assert_int_equal(places.len[2], 1);
	assert_int_equal(places.len[9], 1);
	fp_column_split(column, len, &places, split);
	/* the first bytes of all four, the second ones of two, the rest of one */
	assert_memory_equal(split, "\x01\x80\x05\xff\x03\xff\xff\xff\xff\xff\xff\xff\xff\x01", 14);
	assert_int_equal(fp_column_join(split, &places, joined), 0);
	assert_memory_equal(joined, column, len);
}

static void test_many(void **state)
{
	static uint64_t numbers[5000];
	static uint8_t column[50000], split[50000], joined[50000];
	struct fp_column_places places;
	uint64_t x = 1;
	size_t len;

	for (size_t i = 0; i < 5000; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		numbers[i] = x >> (x >> 58);
	}
	len = column_of(numbers, 5000, column, &places);
	fp_column_split(column, len, &places, split);
	assert_memory_not_equal(split, column, len);
	assert_int_equal(fp_column_join(split, &places, joined), 0);
	assert_memory_equal(joined, column, len);
}

static void test_none(void **state)
{
	struct fp_column_places places;
	uint8_t byte = 7;

	assert_int_equal(column_of(NULL, 0, &byte, &places), 0);
	assert_int_equal(places.n, 0);
	assert_int_equal(fp_column_join(&byte, &places, &byte), 0);
}

static void test_hostile(void **state)
{
	uint8_t out[8];
	/* a number that goes on without a place, or without a byte in it; a byte that nobody goes on to */
	const struct fp_column_places one = {{1}, 1}, two = {{2, 1}, 2}, left = {{1, 1}, 2};

	assert_int_equal(fp_column_join((const uint8_t *)"\x80", &one, out), -EBADMSG);
	assert_int_equal(fp_column_join((const uint8_t *)"\x80\x80\x01", &two, out), -EBADMSG);
	assert_int_equal(fp_column_join((const uint8_t *)"\x01\x01", &left, out), -EBADMSG);
	assert_int_equal(fp_column_join((const uint8_t *)"\x80\x01\x02", &two, out), 0);
	assert_memory_equal(out, "\x80\x02\x01", 3);
}

static void test_sorted(void **state)
{
	const uint8_t column[] = "\x01\x80\x02\x03\xff\xff\x04"; /* of four of five events: 1, 256, 3, and one of three bytes */
	const uint8_t types[] = {7, 9, 8, 7, 7};
	const uint32_t sorted[] = {4, 3, 0, 2, 1};
	const bool has[UINT8_MAX + 1] = {[7] = true, [9] = true}, all[UINT8_MAX + 1] = {[7] = true, [8] = true, [9] = true};
	uint8_t out[8] = {0}, again[8] = {0};
	uint32_t starts[5];
	struct fp_column_events events = {5, sorted, types, starts, 10, {0}}, none = {0, sorted, types, starts, 10, {0}};

	for (int type = 7; type <= UINT8_MAX; type++)
		events.ends[type] = type == 7 ? 3 : type == 8 ? 4 : 5;
	assert_int_equal(fp_column_sort(column, 7, &events, has, false, out), 0);
	assert_memory_equal(out, "\xff\xff\x04\x03\x01\x80\x02", 7);
	assert_int_equal(fp_column_sort(out, 7, &events, has, true, again), 0);
	assert_memory_equal(again, column, 7);
	assert_int_equal(fp_column_sort(column, 0, &none, has, true, out), 0);
	/* a number less, one more, and one that goes on beyond the end */
	for (int back = 0; back < 2; back++) {
		assert_int_equal(fp_column_sort(column, 7, &events, all, back, out), -EBADMSG);
		assert_int_equal(fp_column_sort(column, 7, &none, has, back, out), -EBADMSG);
		assert_int_equal(fp_column_sort(column, 6, &events, has, back, out), -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_sorted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The small parts: clean texts, numbers for keys, byte ranges, addresses in headers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "stitcher/clean.h"
#include "stitcher/intern.h"
#include "stitcher/join.h"
#include "stitcher/streams.h"

static void check_clean(const char *text, size_t len, const char *clean)
{
	struct fp_buffer out = FP_BUFFER_INIT;

	assert_int_equal(fp_clean_is(text, len), strlen(clean) == len && memcmp(text, clean, len) == 0);
	fp_clean_add(&out, text, len);
	assert_string_equal(out.data ? out.data : "", clean);
	assert_true(fp_clean_is(out.data ? out.data : "", out.len));
	fp_buffer_done(&out);
}

static void test_clean(void **state)
{
	check_clean("", 0, "");
	check_clean("/home/app/café → x", strlen("/home/app/café → x"), "/home/app/café → x");
	check_clean("\x1b[2Jx\n", 6, "\\x1b[2Jx\\x0a");
	check_clean("a\0b", 3, "a\\x00b");
	/* what is no UTF-8: a lone byte, an overlong slash, half of a pair, beyond the last character, cut off */
	check_clean("\xff", 1, "\\xff");
	check_clean("\xc0\xaf", 2, "\\xc0\\xaf");
	check_clean("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");
	check_clean("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80");
	check_clean("x\xe2\x86", 3, "x\\xe2\\x86");
	/* turns the order of what a terminal shows */
	check_clean("a\xe2\x80\xae" "b", 5, "a\\u202eb");
	check_clean("\xc2\x85", 2, "\\u0085");
}

static void test_intern_numbers(void **state)
{
	struct fp_intern table;
	uint32_t number, again;

	fp_intern_init(&table, 1 << 20);
	assert_int_equal(fp_intern_find(&table, "a", 1), FP_NONE);
	for (uint32_t i = 0; i < 10000; i++) {
		assert_int_equal(fp_intern_add(&table, &i, sizeof(i), &number), 1);
		assert_int_equal(number, i);
	}
	for (uint32_t i = 0; i < 10000; i++) {
		assert_int_equal(fp_intern_add(&table, &i, sizeof(i), &again), 0);
		assert_int_equal(again, i);
		assert_memory_equal(fp_intern_key(&table, i, NULL), &i, sizeof(i));
	}
	/* a key that begins another is another */
	assert_int_equal(fp_intern_add(&table, "ab", 2, &number), 1);
	assert_int_equal(fp_intern_add(&table, "a", 1, &again), 1);
	assert_int_equal(fp_intern_find(&table, "abc", 3), FP_NONE);
	assert_int_equal(fp_intern_count(&table), 10002);
	fp_intern_done(&table);
}

static void test_intern_is_bounded(void **state)
{
	struct fp_intern table;
	char key[100];
	uint32_t number;
	int r = 0;

	fp_intern_init(&table, 1000);
	memset(key, 'x', sizeof(key));
	for (int i = 0; r >= 0 && i < 100; i++) {
		key[0] = (char)i;
		r = fp_intern_add(&table, key, sizeof(key), &number);
	}
	assert_int_equal(r, -EFBIG);
	assert_int_equal(fp_intern_count(&table), 9);
	/* what is there can still be found */
	key[0] = 3;
	assert_int_equal(fp_intern_add(&table, key, sizeof(key), &number), 0);
	assert_int_equal(number, 3);
	fp_intern_done(&table);
}

static struct fp_span span(uint32_t end, uint64_t bytes, uint32_t unit)
{
	return (struct fp_span){.low = bytes, .high = end, .unit = unit};
}

static void test_ranges_unwrap(void **state)
{
	struct fp_span spans[] = {span(0xfffffff0, 16, 0), span(0x10, 32, 0), span(0x30, 32, 0), span(0x08, 8, 0)};

	fp_spans_unwrap(spans, 4, 0xffffffe0);
	assert_true(spans[1].low == spans[0].high);
	assert_true(spans[2].low == spans[1].high);
	assert_true(spans[0].high - spans[0].low == 16);
	/* one that is recorded late lies where it belongs */
	assert_true(spans[3].high == spans[1].high - 8);
}

static void test_ranges_far_into_a_stream(void **state)
{
	struct fp_span sends[] = {span(100 + 0xb0000000u, 50, 0)}, receives[] = {span(100 + 0xb0000000u, 10, 0)};

	fp_spans_unwrap(sends, 1, 100);
	fp_spans_unwrap(receives, 1, 100);
	assert_true(sends[0].high == receives[0].high);
	/* more bytes than there are numbers before it: from the beginning */
	receives[0] = span(5, UINT64_MAX, 0);
	fp_spans_unwrap(receives, 1, 0);
	assert_true(receives[0].low == 0);
}

static void test_ranges_settle(void **state)
{
	struct fp_span sends[] = {
		{.low = 20, .high = 30, .unit = 2, .item = 3}, {.low = 0, .high = 10, .unit = 1, .item = 1},
		{.low = 10, .high = 20, .unit = 1, .item = 2}, {.low = 25, .high = 40, .unit = 1, .item = 4},
		{.low = 26, .high = 28, .unit = 9, .item = 5}};

	assert_int_equal(fp_spans_settle(sends, 5), 3);
	assert_true(sends[0].low == 0 && sends[0].high == 20 && sends[0].unit == 1);
	assert_true(sends[1].low == 20 && sends[1].high == 30 && sends[1].unit == 2);
	assert_true(sends[2].low == 30 && sends[2].high == 40 && sends[2].unit == 1);
	assert_int_equal(fp_spans_find(sends, 3, 0), 0);
	assert_int_equal(fp_spans_find(sends, 3, 20), 1);
	assert_int_equal(fp_spans_find(sends, 3, 39), 2);
	assert_int_equal(fp_spans_find(sends, 3, 40), 3);
}

static void test_forwarded(void **state)
{
	struct fp_endpoint endpoint;
	uint64_t hi, lo;

	assert_int_equal(fp_join_endpoint("198.18.0.2:4001", &endpoint), 0);
	assert_true(endpoint.lo == 0xffffc6120002ull && endpoint.port == 4001);
	/* the client wrote the first, the gateway the last */
	assert_int_equal(fp_join_endpoint("1.2.3.4:1, 198.18.0.2:4001 ", &endpoint), 0);
	assert_int_equal(endpoint.port, 4001);
	assert_int_equal(fp_join_endpoint("198.18.0.2:4001,", &endpoint), -EINVAL);
	assert_int_equal(fp_join_endpoint("198.18.0.2", &endpoint), -EINVAL);
	assert_int_equal(fp_join_endpoint("", &endpoint), -EINVAL);
	assert_int_equal(fp_join_address("198.18.0.2", &hi, &lo), 0);
	assert_true(lo == 0xffffc6120002ull);
	assert_int_equal(fp_join_address("9.9.9.9, ::1", &hi, &lo), 0);
	assert_true(hi == 0 && lo == 1);
	assert_int_equal(fp_join_address("[::1]:80", &hi, &lo), 0);
	assert_int_equal(fp_join_address("unknown", &hi, &lo), -EINVAL);
	assert_int_equal(fp_join_address("", &hi, &lo), -EINVAL);
}

static void test_function_paths(void **state)
{
	assert_true(fp_join_names_function("/function/pay", "pay"));
	assert_true(fp_join_names_function("/function/pay/sub?x=1", "pay"));
	assert_true(fp_join_names_function("/function/pay?x=1", "pay"));
	assert_true(fp_join_names_function("/function/pay.openfaas-fn", "pay"));
	assert_true(fp_join_names_function("/async-function/pay", "pay"));
	assert_false(fp_join_names_function("/function/payment", "pay"));
	assert_false(fp_join_names_function("/function/pay-get-price", "pay"));
	assert_false(fp_join_names_function("/function/pa", "pay"));
	assert_false(fp_join_names_function("/x/function/pay", "pay"));
	assert_false(fp_join_names_function("/function/", ""));
	assert_true(fp_join_same_path("/a?x", "/a"));
	assert_false(fp_join_same_path("/a", "/ab"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_intern_numbers),
		cmocka_unit_test(test_intern_is_bounded),
		cmocka_unit_test(test_ranges_unwrap),
		cmocka_unit_test(test_ranges_far_into_a_stream),
		cmocka_unit_test(test_ranges_settle),
		cmocka_unit_test(test_forwarded),
		cmocka_unit_test(test_function_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

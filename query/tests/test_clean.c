/* No byte of a hostile name reaches a terminal or a picture as anything but text. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#include "query/clean.h"

static void shows(const char *text, size_t columns, const char *wanted)
{
	struct fp_buffer out = FP_BUFFER_INIT;

	fp_clean_add(&out, text, columns);
	assert_string_equal(out.data ? out.data : "", wanted);
	fp_buffer_done(&out);
}

static void text_is_kept_and_controls_are_shown(void **state)
{
	shows("/home/app/x.sh", 0, "/home/app/x.sh");
	shows("größe 水", 0, "größe 水");
	shows("", 0, "");
	shows(NULL, 0, "");
	shows("a\x1b[31mb\nc\td", 0, "a\\x1b[31mb\\x0ac\\x09d");
	shows("\x7f", 0, "\\x7f");
	shows("\xc2\x9b" "31m", 0, "\\u{009b}31m"); /* CSI in one character */
	shows("gpj.\xe2\x80\xae" "exe", 0, "gpj.\\u{202e}exe"); /* right-to-left override */
	shows("a\xe2\x80\x8b" "b", 0, "a\\u{200b}b"); /* zero width */
}

static void what_is_no_utf8_is_shown_as_bytes(void **state)
{
	shows("\xff\xfe", 0, "\\xff\\xfe");
	shows("\xc0\xaf", 0, "\\xc0\\xaf"); /* overlong */
	shows("\xed\xa0\x80", 0, "\\xed\\xa0\\x80"); /* surrogate */
	shows("\xf4\x90\x80\x80", 0, "\\xf4\\x90\\x80\\x80"); /* beyond Unicode */
	shows("x\xe6\xb0", 0, "x\\xe6\\xb0"); /* cut short */
}

static void long_text_loses_its_middle(void **state)
{
	shows("abcdefghij", 10, "abcdefghij");
	shows("abcdefghijk", 10, "abc…fghijk");
	shows("ööööööööööö", 10, "ööö…öööööö");
}

static void markup_is_escaped(void **state)
{
	struct fp_buffer out = FP_BUFFER_INIT;

	fp_clean_add_xml(&out, "<b>\"&'\x01", 0);
	assert_string_equal(out.data, "&lt;b&gt;&quot;&amp;&#39;\\x01");
	fp_buffer_clear(&out);
	fp_clean_add_dot(&out, "a\\nb\"\n", 0);
	assert_string_equal(out.data, "a\\\\nb\"\\\\x0a");
	fp_buffer_clear(&out);
	fp_clean_add_utf8(&out, "\x1b\xff");
	assert_string_equal(out.data, "\x1b\\xff");
	fp_buffer_done(&out);
}

/* Whatever goes in, what comes out is printable and its width is what was asked for. */
static void any_bytes_come_out_printable(void **state)
{
	uint64_t seed = 11;

	for (unsigned round = 0; round < 20000; round++) {
		struct fp_buffer out = FP_BUFFER_INIT;
		char text[40];
		size_t n = round % sizeof(text), limit = 8 + round % 30;

		for (size_t i = 0; i < n; i++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			text[i] = (char)(seed >> 40) ? (char)(seed >> 40) : 'x';
		}
		text[n < sizeof(text) ? n : n - 1] = '\0';
		fp_clean_add(&out, text, limit);
		for (size_t i = 0; i < out.len; i++)
			assert_true((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7f);
		if (out.data)
			assert_true(fp_clean_columns(out.data) <= limit);
		fp_buffer_done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_kept_and_controls_are_shown),
		cmocka_unit_test(what_is_no_utf8_is_shown_as_bytes),
		cmocka_unit_test(long_text_loses_its_middle),
		cmocka_unit_test(markup_is_escaped),
		cmocka_unit_test(any_bytes_come_out_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

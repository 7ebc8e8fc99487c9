#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/text.h"

static void test_hex_there_and_back(void **state)
{
	uint8_t bytes[4] = {0x00, 0x9f, 0xab, 0xff}, back[4];
	char text[9];

	fp_hex(bytes, 4, text);
	assert_string_equal(text, "009fabff");
	assert_int_equal(fp_unhex("009FabfF", back, 4), 0);
	assert_memory_equal(bytes, back, 4);
	assert_int_equal(fp_unhex("009f-abff", back, 4), 0);
	assert_memory_equal(bytes, back, 4);
}

static void test_hex_refuses(void **state)
{
	static const char *const wrong[] = {"", "009fabf", "009fabff0", "009fabfg", "-009fabff", "0-09fabff", "009f abff"};
	uint8_t out[4];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_true(fp_unhex(wrong[i], out, 4) < 0);
}

static void test_time_text(void **state)
{
	char text[FP_TIME_TEXT_SIZE];

	fp_time_text(1795222923000000004ull, text);
	assert_string_equal(text, "2026-11-21T01:02:03.000000004Z");
	fp_time_text(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000000000Z");
	/* nothing overflows at the far end */
	fp_time_text(UINT64_MAX, text);
	assert_true(strlen(text) < FP_TIME_TEXT_SIZE);
}

static void test_time_parse(void **state)
{
	uint64_t ns;

	assert_int_equal(fp_time_parse("2026-11-21T01:02:03.000000004Z", &ns), 0);
	assert_true(ns == 1795222923000000004ull);
	assert_int_equal(fp_time_parse("2026-11-21T03:02:03+02:00", &ns), 0);
	assert_true(ns == 1795222923000000000ull);
	assert_int_equal(fp_time_parse("2026-11-21T01:02:03.5Z", &ns), 0);
	assert_true(ns == 1795222923500000000ull);
	/* digits beyond the nanosecond are passed over */
	assert_int_equal(fp_time_parse("2026-11-21T01:02:03.0000000049Z", &ns), 0);
	assert_true(ns == 1795222923000000004ull);
}

static void test_time_refuses(void **state)
{
	static const char *const wrong[] = {
		"",		       "now",			"2026-11-21",		"2026-11-21T01:02:03",
		"2026-11-21T01:02:03.Z", "2026-11-21T01:02:03Zx", "1960-01-01T00:00:00Z", "2999-01-01T00:00:00Z",
	};
	uint64_t ns;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_true(fp_time_parse(wrong[i], &ns) < 0);
}

static void check_endpoint(const char *text, uint64_t hi, uint64_t lo, uint16_t port)
{
	uint64_t got_hi, got_lo;
	uint16_t got_port;
	char out[FP_ADDRESS_TEXT_SIZE];

	assert_int_equal(fp_endpoint_parse(text, strlen(text), &got_hi, &got_lo, &got_port), 0);
	assert_true(got_hi == hi && got_lo == lo);
	assert_int_equal(got_port, port);
	fp_endpoint_text(hi, lo, port, out);
	assert_string_equal(out, text);
}

static void test_endpoints(void **state)
{
	check_endpoint("198.18.0.2:8080", 0, 0xffffc6120002ull, 8080);
	check_endpoint("[::1]:80", 0, 1, 80);
	check_endpoint("[2001:db8::5]:65535", 0x20010db800000000ull, 5, 65535);
	check_endpoint("0.0.0.0:0", 0, 0xffff00000000ull, 0);
}

static void check_sockaddr(const char *text, int family, bool loopback)
{
	struct sockaddr_storage address;
	char out[FP_ADDRESS_TEXT_SIZE];

	assert_int_equal(fp_sockaddr_parse(text, &address), 0);
	assert_int_equal(address.ss_family, family);
	fp_sockaddr_text((struct sockaddr *)&address, out);
	assert_string_equal(out, text);
	assert_int_equal(fp_sockaddr_is_loopback((struct sockaddr *)&address), loopback);
}

static void test_sockaddr(void **state)
{
	struct sockaddr_storage address = {.ss_family = AF_UNIX};
	char out[FP_ADDRESS_TEXT_SIZE];

	check_sockaddr("127.0.0.1:7000", AF_INET, true);
	check_sockaddr("127.255.0.9:1", AF_INET, true);
	check_sockaddr("126.0.0.1:7000", AF_INET, false);
	check_sockaddr("198.18.0.1:0", AF_INET, false);
	check_sockaddr("0.0.0.0:7000", AF_INET, false);
	check_sockaddr("[::1]:80", AF_INET6, true);
	check_sockaddr("[::]:80", AF_INET6, false);
	check_sockaddr("[2001:db8::5]:65535", AF_INET6, false);
	fp_sockaddr_text((struct sockaddr *)&address, out);
	assert_string_equal(out, "?");
	assert_false(fp_sockaddr_is_loopback((struct sockaddr *)&address));
	assert_true(fp_sockaddr_parse("localhost:80", &address) < 0);
}

static void test_endpoints_refused(void **state)
{
	static const char *const wrong[] = {"",	      "198.18.0.2",	 "198.18.0.2:",	     "198.18.0.2:65536",
					    ":80",    "198.18.0.2:8a",	 "198.18.0.256:80",  "[::1:80",
					    "a.b:80", "198.18.0.2:-1",	 "198.18.0.2: 80",   "1.2.3.4:99999999999999999999"};
	uint64_t hi, lo;
	uint16_t port;
	char longer[300];

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_true(fp_endpoint_parse(wrong[i], strlen(wrong[i]), &hi, &lo, &port) < 0);
	memset(longer, '1', sizeof(longer));
	assert_true(fp_endpoint_parse(longer, sizeof(longer), &hi, &lo, &port) < 0);
	assert_true(fp_endpoint_parse("1.2.3.4\0:80", 11, &hi, &lo, &port) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hex_there_and_back), cmocka_unit_test(test_hex_refuses),
		cmocka_unit_test(test_time_text),	   cmocka_unit_test(test_time_parse),
		cmocka_unit_test(test_time_refuses),	   cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_endpoints_refused),
		cmocka_unit_test(test_sockaddr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

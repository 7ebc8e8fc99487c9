/* DNS: questions, addresses by aliases, TCP, cuts, lies. */
#include "agent/app/tests/collect.h"

#include "agent/app/dns.h"

#define QUESTION "\x12\x34\x01\x00\0\1\0\0\0\0\0\0\4Evil\7example\0\0\1\0\1"
#define HEAD(n) "\x12\x34\x81\x80\0\1\0" n "\0\0\0\0\4evil\7example\0\0\1\0\1"
#define A(name, address) name "\0\1\0\1\0\0\0\x3c\0\4" address
#define ALIAS(name, len, to) name "\0\5\0\1\0\0\0\x3c\0" len to
#define ASKED "\xc0\x0c" /* points to the name in the question */

static int add_address(void *arg, struct fp_str name, uint64_t hi, uint64_t lo)
{
	char text[FP_ADDRESS_TEXT_SIZE];

	fp_address_text(hi, lo, text);
	fp_buffer_add_format(arg, "%.*s is %s\n", (int)name.len, name.data, text);
	return 0;
}

static void check_read(const void *data, size_t have, size_t total, int r, const char *expected)
{
	struct fp_buffer out = FP_BUFFER_INIT;
	struct fp_dns_handlers handlers = {collect, add_address, &out};
	char *copy = malloc(have ? have : 1);

	assert_non_null(copy);
	memcpy(copy, data, have);
	assert_int_equal(fp_dns_read(true, copy, have, total, &handlers), r);
	assert_string_equal(out.data ? out.data : "", expected);
	fp_buffer_done(&out);
	free(copy);
}

#define READ(bytes, r, expected) check_read(bytes, sizeof(bytes) - 1, sizeof(bytes) - 1, r, expected)

static void questions(void **state)
{
	READ(QUESTION, 0, "> dns get A evil.example\n");
	READ("\x12\x34\x01\x00\0\1\0\0\0\0\0\0\5c2VjK\1x\0\0\x10\0\1", 0, "> dns get TXT c2vjk.x\n");
	READ("\x12\x34\x01\x00\0\1\0\0\0\0\0\0\3a b\1x\0\0\x1c\0\1", 0, "> dns get AAAA a\\032b.x\n");
}

static void answers(void **state)
{
	READ(HEAD("\1") A(ASKED, "\xc6\x12\x09\x09"), 0, "evil.example is 198.18.9.9\n");
	READ(HEAD("\1") ASKED "\0\x1c\0\1\0\0\0\x3c\0\x10\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7", 0, "evil.example is 2001:db8::7\n");
	/* by an alias it is the name that was asked for */
	READ(HEAD("\2") ALIAS(ASKED, "\5", "\2cd\xc0\x11") A("\2cd\xc0\x11", "\xc6\x12\x09\x09"), 0, "evil.example is 198.18.9.9\n");
	/* another's name is what somebody says */
	READ(HEAD("\2") A("\4bank\xc0\x11", "\1\2\3\4") A(ASKED, "\xc6\x12\x09\x09"), 0, "evil.example is 198.18.9.9\n");
	/* an error has no addresses */
	READ("\x12\x34\x81\x83\0\1\0\1\0\0\0\0\4evil\7example\0\0\1\0\1" A(ASKED, "\xc6\x12\x09\x09"), 0, "");
}

static void hostile(void **state)
{
	READ("\x12\x34\x01\x00\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", -EBADMSG, ""); /* points to itself */
	READ("\x12\x34\x01\x00\0\1\0\0\0\0\0\0\x3f", -EBADMSG, "");
	READ("GET / HTTP/1.1\r\n\r\n", -EBADMSG, "");
	READ("", -EBADMSG, "");
	/* a loop of aliases, and more answers announced than there are */
	READ(HEAD("\2") ALIAS(ASKED, "\2", ASKED) ALIAS(ASKED, "\2", ASKED), 0, "");
	READ(HEAD("\7") A(ASKED, "\xc6\x12\x09\x09"), -EBADMSG, "");
	assert_int_equal(fp_dns_read(true, "x", 2, 1, &(struct fp_dns_handlers){0}), -EINVAL);
}

/* The question is read from what there is. */
static void cut(void **state)
{
	static const char question[] = QUESTION "\0\0\x29\x10\0", answer[] = HEAD("\1") A(ASKED, "\xc6\x12\x09\x09");

	for (size_t have = 0; have < sizeof(question) - 1; have++)
		check_read(question, have, sizeof(question), have < sizeof(QUESTION) - 1 ? -EBADMSG : 0,
			   have < sizeof(QUESTION) - 1 ? "" : "> dns get A evil.example\n");
	for (size_t have = 0; have < sizeof(answer) - 1; have++)
		check_read(answer, have, sizeof(answer), have < sizeof(QUESTION) - 1 ? -EBADMSG : 0, "");
}

/* Two messages over TCP, in two pieces cut anywhere: the same. */
static void stream(void **state)
{
	static const char bytes[] = "\0\x1e" QUESTION "\0\x2e" HEAD("\1") A(ASKED, "\xc6\x12\x09\x09");

	for (size_t at = 0; at < sizeof(bytes) - 1; at++) {
		struct fp_buffer out = FP_BUFFER_INIT;
		struct fp_dns_handlers handlers = {collect, add_address, &out};
		struct fp_dns_stream stream = {0};
		size_t rest = sizeof(bytes) - 1 - at;

		assert_int_equal(fp_dns_feed(&stream, true, bytes, at, at, &handlers), 0);
		assert_int_equal(fp_dns_feed(&stream, true, bytes + at, rest, rest, &handlers), 0);
		assert_string_equal(out.data, "> dns get A evil.example\nevil.example is 198.18.9.9\n");
		fp_buffer_done(&out);
	}
}

/* A hole within a message costs this one; a hole over a length costs the rest. */
static void stream_with_holes(void **state)
{
	static const char first[] = "\0\x40" QUESTION, second[] = "\0\x1e" QUESTION;
	struct fp_buffer out = FP_BUFFER_INIT;
	struct fp_dns_handlers handlers = {collect, add_address, &out};
	struct fp_dns_stream stream = {0};

	fp_dns_feed(&stream, true, first, sizeof(first) - 1, 2 + 0x40, &handlers);
	fp_dns_feed(&stream, true, second, sizeof(second) - 1, sizeof(second) - 1, &handlers);
	assert_string_equal(out.data, "> dns get A evil.example\n> dns get A evil.example\n");
	fp_dns_feed(&stream, true, first, sizeof(first) - 1, 2 + 0x40 + 1, &handlers);
	fp_dns_feed(&stream, true, second, sizeof(second) - 1, sizeof(second) - 1, &handlers);
	assert_string_equal(out.data, "> dns get A evil.example\n> dns get A evil.example\n> dns get A evil.example\n");
	fp_buffer_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions), cmocka_unit_test(answers), cmocka_unit_test(hostile), cmocka_unit_test(cut),
		cmocka_unit_test(stream), cmocka_unit_test(stream_with_holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

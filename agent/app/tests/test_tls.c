/* ClientHello: recognised, its server name read, anything else left alone. */
#include "agent/app/tests/collect.h"

#include "agent/app/tests/captured_tls.h"

static void client_hello(void **state)
{
	CHECK("> opaque get tls api.example.test host=api.example.test\n",
	      {true, captured_openssl_hello, sizeof(captured_openssl_hello), 0}, IN("\x16\x03\x03 whatever"),
	      {true, captured_openssl_hello, sizeof(captured_openssl_hello), 0});
	CHECK("> opaque get tls node.example.test host=node.example.test\n",
	      {true, captured_node_hello, sizeof(captured_node_hello), 0});
}

static void cut_before_the_name(void **state)
{
	CHECK("> opaque get tls cut\n", {true, captured_openssl_hello, sizeof(captured_openssl_hello), 90});
}

static void every_cut(void **state)
{
	for (size_t have = 1; have <= sizeof(captured_node_hello); have++) {
		struct step step = {true, captured_node_hello, sizeof(captured_node_hello), have};
		struct fp_app_connection connection;
		struct fp_buffer out = FP_BUFFER_INIT;

		fp_app_connection_init(&connection);
		feed_step(&connection, &step, &out);
		assert_true(!out.data || strncmp(out.data, "> opaque get tls", 16) == 0);
		fp_buffer_done(&out);
		fp_app_connection_done(&connection);
	}
}

static void not_a_hello(void **state)
{
	/* a server's record, application data, an impossible session id */
	CHECK("", IN("\x16\x03\x03\x00\x40\x02\x00\x00\x3c\x03\x03 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	CHECK("", OUT("\x17\x03\x03\x00\x40\x01\x00\x00\x3c\x03\x03 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	CHECK("", OUT("\x16\x03\x01\x00\x60\x01\x00\x00\x5c\x03\x03 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x60 aaaaaaaaaaaa"));
}

/* HTTP/2 is said to be there once; whatever its frames look like is nothing. */
static void http2(void **state)
{
#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	CHECK("> http2 get h2c\n", OUT(PREFACE "\0\0\0\4\0\0\0\0\0"), IN("\0\0\0\4\0\0\0\0\0"),
	      OUT("GET /x HTTP/1.1\r\nHost: a\r\n\r\n"), IN("HTTP/1.1 200 OK\r\n\r\n"), OUT("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"));
	/* half of a preface is none */
	CHECK("", OUT("PRI * HTTP/2.0\r\n\r\n"), IN("\0"), OUT("SM\r\n\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_hello), cmocka_unit_test(cut_before_the_name),
		cmocka_unit_test(every_cut), cmocka_unit_test(not_a_hello), cmocka_unit_test(http2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

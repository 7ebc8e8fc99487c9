/* HTTP/1.x: heads, bodies that must not be taken for heads, holes in the capture. */
#include "agent/app/tests/collect.h"

#define GET "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define GET_IS "> http-request get GET http://h/a url=/a host=h\n"
#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static void requests(void **state)
{
	CHECK("> http-request get GET http://198.18.9.9/sqldump.sh url=/sqldump.sh?x=1 host=198.18.9.9:80\n",
	      OUT("GET /sqldump.sh?x=1 HTTP/1.1\r\nHost: 198.18.9.9:80\r\n\r\n"));
	CHECK("< http-request put POST http://gateway:8080/function/pay url=/function/pay host=Gateway:8080 "
	      "call=c-1 from=198.18.0.1:4711\n> http-response 404\n",
	      IN("POST /function/pay HTTP/1.1\r\nhost: Gateway:8080\r\nX-CALL-ID: c-1\r\n"
		 "X-Forwarded-For: 198.18.0.1:4711\r\nX-Call-Id: c-2\r\nContent-Length: 2\r\n\r\n{}"),
	      OUT("HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx"));
	/* as proxies get it; no Host at all; CONNECT */
	CHECK("> http-request get GET http://h.test:81/p url=/p?q host=h.test:81\n",
	      OUT("GET http://user:secret@h.test:81/p?q HTTP/1.1\r\nHost: proxy\r\n\r\n"));
	CHECK("> http-request get GET url=/a\n", OUT("GET /a HTTP/1.0\r\n\r\n"));
	CHECK("> http-request put CONNECT h:443 url=h:443 host=h:443\n< http-response 200\n",
	      OUT("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"), IN("HTTP/1.1 200 OK\r\n\r\n"), OUT("GET /x"));
}

static void several_on_one_connection(void **state)
{
	CHECK(GET_IS "< http-response 200\n" GET_IS "< http-response 200\n", OUT(GET), IN(OK_EMPTY), OUT(GET),
	      IN(OK_EMPTY));
	/* pipelined */
	CHECK(GET_IS GET_IS "< http-response 200\n< http-response 200\n", OUT(GET GET), IN(OK_EMPTY OK_EMPTY));
	/* a response to HEAD has no body */
	CHECK("> http-request get HEAD http://h/a url=/a host=h\n< http-response 200\n" GET_IS "< http-response 200\n",
	      OUT("HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n"), IN("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"), OUT(GET),
	      IN(OK_EMPTY));
	/* 100 is not the answer */
	CHECK("> http-request put PUT http://h/a url=/a host=h\n< http-response 201\n",
	      OUT("PUT /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 28\r\n\r\n"),
	      IN("HTTP/1.1 100 Continue\r\n\r\n"), OUT(GET), IN("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"));
}

/* A client that asked ahead gets its answers at once: each ends one. */
static void answers_that_go_out_at_once(void **state)
{
	static const char asked[] = GET GET GET;
	static const char answers[] = OK_EMPTY "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
	struct fp_app_connection connection;
	struct fp_buffer told = FP_BUFFER_INIT;

	fp_app_connection_init(&connection);
	assert_int_equal(fp_app_feed(&connection, false, asked, sizeof(asked) - 1, sizeof(asked) - 1, collect, &told), 3);
	assert_int_equal(fp_app_take_answered(&connection), 0);
	assert_int_equal(fp_app_feed(&connection, true, answers, sizeof(answers) - 1, sizeof(answers) - 1, collect, &told), 3);
	assert_int_equal(fp_app_take_answered(&connection), 200);
	assert_int_equal(fp_app_take_answered(&connection), 404);
	assert_int_equal(fp_app_take_answered(&connection), 0); /* the third has a body that is still to come */
	assert_int_equal(fp_app_feed(&connection, true, "x", 1, 1, collect, &told), 0);
	assert_int_equal(fp_app_take_answered(&connection), 200);
	fp_app_connection_done(&connection);
	fp_buffer_done(&told);
}

static void in_pieces(void **state)
{
	CHECK(GET_IS, OUT("GET /a HT"), OUT("TP/1.1\r\nHo"), OUT("st: h\r\n\r"), OUT("\n"));
	CHECK(GET_IS "< http-response 200\n", OUT("G"), OUT("ET /a HTTP/1.1\r\nHost: h\r\n\r\n"), IN("H"),
	      IN("TTP/1.1 200 OK\r\n\r\n"));
}

/* A body, or the middle of something else, is not a message. */
static void bodies(void **state)
{
	CHECK("> http-request put POST http://h/ url=/ host=h\n",
	      OUT("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 28\r\n\r\n"), OUT(GET));
	CHECK(GET_IS "< http-response 200\n" GET_IS, OUT(GET),
	      IN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n26\r\n"), IN(OK_EMPTY "\r\n0\r\n\r\n"), OUT(GET));
	CHECK("", OUT("hello " GET));
	CHECK("", OUT("\x00\x01" GET), OUT(GET));
	CHECK("", IN("220 mail ESMTP\r\n"), OUT("DATA\r\n"), OUT(GET));
}

static void holes(void **state)
{
	static const char long_body[4096] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n";
	static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n";

	/* the body goes on for 954 bytes behind the hole; then the next message can begin at once */
	CHECK("> http-request put POST http://h/ url=/ host=h\n> http-request get GET http://h/a url=/a host=h\n",
	      {true, long_body, 4096, 512}, {true, long_body + 1000, 954, 1}, OUT(GET));
	/* within a chunk; its end is seen again */
	CHECK(GET_IS "< http-response 200\n< http-response 200\n", OUT(GET), {false, chunked, 1000, sizeof(chunked) - 1},
	      {false, long_body + 100, 3149, 2}, IN("\r\n0\r\n\r\n" OK_EMPTY));
	/* the end of the body and what follows fell into the hole: at the next turn it goes on */
	CHECK("> http-request put POST http://h/ url=/ host=h\n< http-response 200\n" GET_IS,
	      {true, long_body, 9000, 512}, OUT(GET), IN(OK_EMPTY), OUT(GET));
	/* nothing of the head was captured */
	CHECK("< http-response 200\n" GET_IS, {true, GET, 28, 1}, IN(OK_EMPTY), OUT(GET));
}

static void cut_heads(void **state)
{
	CHECK("> http-request get GET http://h/a url=/a host=h cut\n< http-response 200 cut\n" GET_IS,
	      {true, GET "X: yyyyyyyyyyyyyyy", 600, 25}, {false, "HTTP/1.1 200 OK\r\nX: y", 700, 21}, OUT(GET));
	CHECK("> http-request get GET url=/aaaaaaaaaa cut\n", {true, "GET /aaaaaaaaaa", 900, 15});
	/* not even a status */
	CHECK("", {false, "HTTP/1.1 2", 900, 10});
}

/* Lengths in a head are the peer's claim: a later answer proves that the next request began. */
static void claimed_lengths(void **state)
{
	CHECK("> http-request put POST http://h/ url=/ host=h\n< http-response 200\n" GET_IS "< http-response 200\n",
	      OUT("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999\r\n\r\nshort"), IN(OK_EMPTY), OUT(GET), IN(OK_EMPTY));
	CHECK(GET_IS "< http-response 200\n" GET_IS "< http-response 200\n", OUT(GET),
	      IN("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nshort"), OUT(GET), IN(OK_EMPTY));
}

static void upgrades(void **state)
{
	/* a wish that is not granted */
	CHECK(GET_IS "< http-response 200\n" GET_IS,
	      OUT("GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"), IN(OK_EMPTY), OUT(GET));
	CHECK(GET_IS "< http-response 101\n",
	      OUT("GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
	      IN("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
	      OUT("\x81\x85 GET "), IN("\x81\x05hello"));
}

static void hostile_names(void **state)
{
	CHECK("> http-request get GET url=/a host=a b\n", OUT("GET /a HTTP/1.1\r\nHost: a b\r\n\r\n"));
	CHECK("> http-request get GET url=/a\n", OUT("GET /a HTTP/1.1\r\nHost: \0a\r\nX-Call-Id: \0z\r\n\r\n"));
	CHECK("", OUT("GET /a\nb HTTP/1.1\r\nHost: h\r\n\r\n"));
	CHECK("", OUT("GET /a HTTP/2.0\r\nHost: h\r\n\r\n"));
	CHECK("", OUT("GET /a\r\n"));
}

static void long_target(void **state)
{
	struct fp_buffer head = FP_BUFFER_INIT, out = FP_BUFFER_INIT;
	struct fp_app_connection connection;
	struct step step = {.outgoing = true};

	fp_app_connection_init(&connection);
	fp_buffer_add_text(&head, "GET /");
	for (int i = 0; i < 5000; i++)
		fp_buffer_add_text(&head, "a");
	fp_buffer_add_text(&head, " HTTP/1.1\r\nHost: h\r\n\r\n");
	step.data = head.data;
	step.total = head.len;
	feed_step(&connection, &step, &out);
	/* kept as far as it fits, and said so */
	assert_non_null(strstr(out.data, " host=h cut\n"));
	assert_true(out.len < 4300);
	fp_app_connection_done(&connection);
	fp_buffer_done(&head);
	fp_buffer_done(&out);
}

/* However a conversation is cut into sends, it says the same. */
static void any_pieces(void **state)
{
	static const struct step whole[] = {
		OUT("POST /f HTTP/1.1\r\nHost: h\r\nX-Call-Id: c\r\nContent-Length: 28\r\n\r\n" GET),
		IN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), OUT(GET), IN(OK_EMPTY)};
	static const char expected[] = "> http-request put POST http://h/f url=/f host=h call=c\n"
				       "< http-response 200\n" GET_IS "< http-response 200\n";

	for (size_t size = 1; size < 80; size++) {
		struct fp_app_connection connection;
		struct fp_buffer out = FP_BUFFER_INIT;

		fp_app_connection_init(&connection);
		for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
			for (size_t pos = 0; pos < whole[i].total; pos += size) {
				struct step piece = {whole[i].outgoing, (const char *)whole[i].data + pos, 0, 0};

				piece.total = whole[i].total - pos < size ? whole[i].total - pos : size;
				feed_step(&connection, &piece, &out);
			}
		assert_string_equal(out.data, expected);
		fp_app_connection_done(&connection);
		fp_buffer_done(&out);
	}
}

static void captured(void **state)
{
	check_capture("agent/app/tests/captures/curl",
		      "> http-request put POST http://127.0.0.1:33062/function/product-purchase url=/function/product-purchase "
		      "host=127.0.0.1:33062 call=abc\n< http-response 200\n");
	check_capture("agent/app/tests/captures/node-http",
		      "> http-request put POST http://127.0.0.1:33062/function/pay url=/function/pay host=127.0.0.1:33062\n"
		      "< http-response 200\n"
		      "> http-request get GET http://127.0.0.1:33062/b url=/b?c=d host=127.0.0.1:33062\n"
		      "< http-response 200\n");
	check_capture("agent/app/tests/captures/node-server",
		      "< http-request get GET http://127.0.0.1:33063/first url=/first?q=1 host=127.0.0.1:33063\n"
		      "> http-response 200\n"
		      "< http-request get GET http://127.0.0.1:33063/second url=/second host=127.0.0.1:33063\n"
		      "> http-response 200\n");
}

static int stop(void *arg, const struct fp_app_message *message)
{
	return -7;
}

static void errors(void **state)
{
	struct fp_app_connection connection;
	struct fp_buffer out = FP_BUFFER_INIT;

	fp_app_connection_init(&connection);
	assert_int_equal(fp_app_feed(&connection, true, "ab", 2, 1, collect, &out), -EINVAL);
	assert_int_equal(fp_app_feed(&connection, true, NULL, 0, 0, collect, &out), 0);
	assert_int_equal(fp_app_feed(&connection, true, GET GET, sizeof(GET GET) - 1, sizeof(GET GET) - 1, stop, NULL), -7);
	assert_int_equal(fp_app_feed(&connection, true, GET GET, sizeof(GET GET) - 1, sizeof(GET GET) - 1, collect, &out), 2);
	fp_app_connection_done(&connection);
	fp_buffer_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests), cmocka_unit_test(several_on_one_connection),
		cmocka_unit_test(answers_that_go_out_at_once), cmocka_unit_test(in_pieces),
		cmocka_unit_test(bodies), cmocka_unit_test(holes), cmocka_unit_test(cut_heads),
		cmocka_unit_test(claimed_lengths), cmocka_unit_test(upgrades), cmocka_unit_test(hostile_names),
		cmocka_unit_test(long_target), cmocka_unit_test(any_pieces), cmocka_unit_test(captured),
		cmocka_unit_test(errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

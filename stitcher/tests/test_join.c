/* Which call of which function made which request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "stitcher/tests/lab.h"

#define CALLER "10.1.0.1:4000"
#define GATEWAY "10.1.0.254:8080"

/* p calls functions through the gateway; w and w2 are the watchdogs of `pay` and `ship`. */
#define WITH_FUNCTIONS                                                  \
	fp_cleanup(lab_done) struct lab lab;                            \
	struct proc p = {.cgroup = 7, .tgid = 100, .start = 5};         \
	LAB_MAYBE struct proc w = {.cgroup = 8, .tgid = 200, .start = 6}; \
	LAB_MAYBE struct proc w2 = {.cgroup = 9, .tgid = 300, .start = 7}; \
	LAB_MAYBE struct link out = lab_link(CALLER, GATEWAY);          \
	lab_init(&lab);                                                 \
	lab_container(&lab, 7, "c1", "shop");                           \
	lab_container(&lab, 8, "c2", "pay");                            \
	lab_container(&lab, 9, "c3", "ship");                           \
	lab_exec(&lab, &p, "/bin/p", 1, "p")
#define SETUP_EDGES 1

static void call(struct lab *lab, const char *unit, const struct proc *proc, struct link *link, const char *url)
{
	lab->unit = unit;
	lab_socket(lab, proc, FP_EVENT_TYPE_SEND, link, 100);
	lab->now -= 1000;
	lab_message(lab, proc, link, FP_APP_HTTP_REQUEST, "POST", "gateway:8080", url, "");
}

static void answer(struct lab *lab, const char *unit, const struct proc *proc, struct link *link)
{
	lab->unit = unit;
	lab_socket(lab, proc, FP_EVENT_TYPE_RECEIVE, link, 50);
}

static void test_forwarded_address(void **state)
{
	WITH_FUNCTIONS;
	const struct lab_edge *calls;

	call(&lab, "A", &p, &out, "/function/pay");
	lab_begin(&lab, &w, "X", CALLER, GATEWAY, "/");
	lab_end(&lab, &w, "X", 201);
	answer(&lab, "A", &p, &out);
	lab_make(&lab);
	calls = lab_edge(&lab, "process:p@A", FP_EDGE_CALLS, "request:X");
	assert_string_equal(calls->attributes, "{\"join\":\"forwarded-address\"}");
	assert_int_equal(calls->row.request[0], 'A');
	lab_edge(&lab, "request:X", FP_EDGE_RETURNS, "process:p@A");
	/* neither socket nor host nor object: these two say it all */
	lab_expect_edges(&lab, SETUP_EDGES + 2);
	assert_true(lab_request(&lab, "X")->row.has_parent);
	assert_int_equal(lab_request(&lab, "X")->row.parent[0], 'A');
	assert_string_equal(lab_request(&lab, "X")->join, "forwarded-address");
	assert_string_equal(lab_request(&lab, "X")->function, "pay");
	assert_int_equal(lab_request(&lab, "X")->row.status, 201);
	assert_false(lab_request(&lab, "A")->row.has_parent);
}

static void test_without_a_gateway(void **state)
{
	WITH_FUNCTIONS;

	call(&lab, "A", &p, &out, "/api?x=1");
	lab_begin(&lab, &w, "X", "", CALLER, "/api");
	lab_make(&lab);
	lab_edge(&lab, "process:p@A", FP_EDGE_CALLS, "request:X");
	assert_string_equal(lab_request(&lab, "X")->join, "peer-address");
}

static void test_from_outside(void **state)
{
	WITH_FUNCTIONS;

	lab_begin(&lab, &w, "X", "192.0.2.7:5555", GATEWAY, "/");
	lab_end(&lab, &w, "X", 200);
	lab_begin(&lab, &w, "Y", "192.0.2.7:5555", GATEWAY, "/");
	lab_begin(&lab, &w, "Z", "not an address", "192.0.2.8:1", "/");
	lab_make(&lab);
	lab_edge(&lab, "client:192.0.2.7@X", FP_EDGE_CALLS, "request:X");
	lab_edge(&lab, "request:X", FP_EDGE_RETURNS, "client:192.0.2.7@X");
	/* what a client does between two requests is not known */
	lab_edge(&lab, "client:192.0.2.7@Y", FP_EDGE_CALLS, "request:Y");
	lab_edge(&lab, "client:192.0.2.8@Z", FP_EDGE_CALLS, "request:Z");
	lab_expect_edges(&lab, SETUP_EDGES + 4);
	assert_null(lab_request(&lab, "X")->join);
	/* one that has not ended */
	assert_int_equal(lab_request(&lab, "Y")->row.last, 0);
	assert_int_equal(lab_request(&lab, "Y")->row.status, -1);
}

static void test_path_must_name_the_function(void **state)
{
	WITH_FUNCTIONS;

	call(&lab, "A", &p, &out, "/function/payment");
	lab_begin(&lab, &w, "X", CALLER, GATEWAY, "/");
	lab_make(&lab);
	lab_edge(&lab, "client:10.1.0.1@X", FP_EDGE_CALLS, "request:X");
	assert_int_equal(lab_count(&lab, "process:p@A", FP_EDGE_CALLS, ""), 0);
	/* what is no call of a recorded function is about a URL, on a connection to a host */
	lab_edge(&lab, "process:p@A", FP_EDGE_PUT, "object:http://gateway:8080/function/payment");
	assert_int_equal(lab_count(&lab, "process:p@A", FP_EDGE_SEND, ""), 1);
}

/* One connection, call after call, by different requests and to different functions. */
static void test_each_message_is_joined_once(void **state)
{
	WITH_FUNCTIONS;

	call(&lab, "A", &p, &out, "/function/pay");
	lab_begin(&lab, &w, "X", CALLER, GATEWAY, "/");
	call(&lab, "B", &p, &out, "/function/pay");
	lab_begin(&lab, &w, "Y", CALLER, GATEWAY, "/");
	call(&lab, "B", &p, &out, "/function/ship");
	lab_begin(&lab, &w2, "Z", CALLER, GATEWAY, "/");
	/* one more than was called: not from there */
	lab_begin(&lab, &w, "V", CALLER, GATEWAY, "/");
	lab_make(&lab);
	lab_edge(&lab, "process:p@A", FP_EDGE_CALLS, "request:X");
	lab_edge(&lab, "process:p@B", FP_EDGE_CALLS, "request:Y");
	lab_edge(&lab, "process:p@B", FP_EDGE_CALLS, "request:Z");
	lab_edge(&lab, "client:10.1.0.1@V", FP_EDGE_CALLS, "request:V");
	lab_expect_edges(&lab, SETUP_EDGES + 4);
}

static void test_calls_that_never_arrived(void **state)
{
	WITH_FUNCTIONS;

	/* the gateway refused the first; the nearest is meant */
	call(&lab, "A", &p, &out, "/function/pay");
	lab.now += FP_NS_PER_SEC;
	call(&lab, "B", &p, &out, "/function/pay");
	lab_begin(&lab, &w, "X", CALLER, GATEWAY, "/");
	/* a call that comes after the begin is not its cause */
	lab_begin(&lab, &w2, "Y", CALLER, GATEWAY, "/");
	call(&lab, "C", &p, &out, "/function/ship");
	/* nor is one from long ago */
	lab.now += 3600 * FP_NS_PER_SEC;
	lab_begin(&lab, &w, "Z", CALLER, GATEWAY, "/");
	lab_make(&lab);
	lab_edge(&lab, "process:p@B", FP_EDGE_CALLS, "request:X");
	lab_edge(&lab, "client:10.1.0.1@Y", FP_EDGE_CALLS, "request:Y");
	lab_edge(&lab, "client:10.1.0.1@Z", FP_EDGE_CALLS, "request:Z");
}

static void test_two_calls_at_once(void **state)
{
	WITH_FUNCTIONS;
	struct link out2 = lab_link("10.1.0.1:4001", GATEWAY);

	/* in parallel, on two connections; they begin in the other order */
	call(&lab, "A", &p, &out, "/function/pay");
	call(&lab, "A", &p, &out2, "/function/pay");
	lab_begin(&lab, &w, "Y", "10.1.0.1:4001", GATEWAY, "/");
	lab_begin(&lab, &w, "X", CALLER, GATEWAY, "/");
	lab_make(&lab);
	assert_int_equal(lab_edge(&lab, "process:p@A", FP_EDGE_CALLS, "request:X")->row.first + 1000,
			 lab_edge(&lab, "process:p@A", FP_EDGE_CALLS, "request:Y")->row.first);
}

/* A send is recorded when its call is over; the other side can be at work by then. */
static void test_begin_before_the_send_is_recorded(void **state)
{
	WITH_FUNCTIONS;
	struct fp_event message;

	lab_begin(&lab, &w, "X", CALLER, GATEWAY, "/");
	lab.unit = "A";
	message = lab_event(&lab, FP_EVENT_TYPE_MESSAGE, &p);
	message.start = message.time - 5000;
	message.family = 2;
	message.protocol = LAB_TCP;
	message.local_lo = 0xffff0a010001ull;
	message.local_port = 4000;
	message.remote_lo = 0xffff0a0100feull;
	message.remote_port = 8080;
	message.app = FP_APP_HTTP_REQUEST;
	message.url = lab_str("/function/pay");
	lab_add(&lab, &message);
	lab_make(&lab);
	lab_edge(&lab, "process:p@A", FP_EDGE_CALLS, "request:X");
}

/* The callee's clock is half a second behind: the calls come in the order of the connection. */
static void test_clocks_that_differ(void **state)
{
	WITH_FUNCTIONS;
	uint64_t then = lab.now;

	for (int i = 0; i < 3; i++) {
		lab.now = then + (uint64_t)i * 100000000;
		call(&lab, (const char *[]){"A", "B", "C"}[i], &p, &out, "/function/pay");
	}
	lab_agent(&lab, "host-2", 2, 2, 1);
	lab_container(&lab, 8, "c2", "pay");
	for (int i = 0; i < 3; i++) {
		lab.now = then + (uint64_t)i * 100000000 - 500000000;
		lab_begin(&lab, &w, (const char *[]){"X", "Y", "Z"}[i], CALLER, GATEWAY, "/");
		lab_end(&lab, &w, (const char *[]){"X", "Y", "Z"}[i], 200);
	}
	lab_make(&lab);
	lab_edge(&lab, "process:p@A", FP_EDGE_CALLS, "request:X");
	lab_edge(&lab, "process:p@B", FP_EDGE_CALLS, "request:Y");
	lab_edge(&lab, "process:p@C", FP_EDGE_CALLS, "request:Z");
}

static void test_ambiguous_caller(void **state)
{
	WITH_FUNCTIONS;

	lab.candidates = "AB";
	call(&lab, "ambiguous", &p, &out, "/function/pay");
	lab_begin(&lab, &w, "X", CALLER, GATEWAY, "/");
	lab_make(&lab);
	assert_int_equal(lab_edge(&lab, "process:p@ambiguous", FP_EDGE_CALLS, "request:X")->row.attribution,
			 FP_ATTRIBUTION_AMBIGUOUS);
	assert_false(lab_request(&lab, "X")->row.has_parent);
	assert_int_equal(lab_count(&lab, "process:p@A", 0, ""), 0);
}

/* A connection used for calls and for something else is shown. */
static void test_mixed_connection(void **state)
{
	WITH_FUNCTIONS;

	call(&lab, "A", &p, &out, "/function/pay");
	lab_begin(&lab, &w, "X", CALLER, GATEWAY, "/");
	call(&lab, "A", &p, &out, "/elsewhere");
	lab_make(&lab);
	lab_edge(&lab, "process:p@A", FP_EDGE_CALLS, "request:X");
	assert_true(lab_count(&lab, "process:p@A", FP_EDGE_SEND, "socket:10.1.0.1:4000 → 10.1.0.254:8080@A") >= 1);
	lab_edge(&lab, "process:p@A", FP_EDGE_PUT, "object:http://gateway:8080/elsewhere");
}

static void test_names_that_clients_choose(void **state)
{
	WITH_FUNCTIONS;
	static const char *const traceparents[] = {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-short-1-01",
						   "00-00000000000000000000000000000000-00f067aa0ba902b7-01"};
	const char *units[] = {"X", "Y", "Z"};

	for (int i = 0; i < 3; i++) {
		struct fp_event event;

		lab.unit = units[i];
		event = lab_event(&lab, FP_EVENT_TYPE_BEGIN, &w);
		event.call_id = lab_str("same-for-all");
		event.traceparent = lab_str(traceparents[i]);
		event.peer = lab_str("192.0.2.1:1");
		lab_add(&lab, &event);
	}
	lab_make(&lab);
	/* three requests of one name: nothing is merged */
	assert_int_equal(lab.n_requests, 3);
	for (int i = 0; i < 3; i++)
		assert_string_equal(lab_request(&lab, units[i])->call_id, "same-for-all");
	assert_string_equal(lab_request(&lab, "X")->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
	assert_null(lab_request(&lab, "Y")->trace_id);
	assert_null(lab_request(&lab, "Z")->trace_id);
}

static void test_second_begin_changes_nothing(void **state)
{
	WITH_FUNCTIONS;

	lab_begin(&lab, &w, "X", "192.0.2.1:1", GATEWAY, "/real");
	lab_end(&lab, &w, "X", 200);
	lab_begin(&lab, &w2, "X", "192.0.2.2:2", GATEWAY, "/forged");
	lab_end(&lab, &w2, "X", 500);
	lab_make(&lab);
	assert_int_equal(lab.n_requests, 1);
	assert_string_equal(lab_node(&lab, "request:X")->label, "pay POST /real");
	assert_int_equal(lab_request(&lab, "X")->row.status, 200);
	lab_expect_edges(&lab, SETUP_EDGES + 2);
}

static void test_request_whose_begin_is_lost(void **state)
{
	WITH_FUNCTIONS;

	lab.unit = "X";
	lab_read(&lab, &p, 9, 1);
	lab_end(&lab, &w, "X", 200);
	lab_make(&lab);
	assert_string_equal(lab_node(&lab, "request:X")->label, "shop (begin not seen)");
	assert_int_equal(lab_request(&lab, "X")->row.status, 200);
	lab_expect_edges(&lab, SETUP_EDGES + 1);
}

static void test_tables(void **state)
{
	WITH_FUNCTIONS;
	struct link db = lab_link("10.1.0.1:4002", "10.1.0.99:3306");

	lab.unit = "A";
	lab_message(&lab, &p, &db, FP_APP_SQL, "INSERT", "", "", "shop.cards");
	lab.unit = "B";
	lab_message(&lab, &p, &db, FP_APP_SQL, "SELECT", "", "", "shop.cards");
	/* a statement that could not be read: nobody else's is the same */
	lab.unit = "C";
	lab_message(&lab, &p, &db, FP_APP_SQL, "INSERT", "", "", "?");
	db = lab_link("10.1.0.1:4003", "10.1.0.99:3306");
	lab.unit = "D";
	lab_message(&lab, &p, &db, FP_APP_SQL, "SELECT", "", "", "?");
	lab_make(&lab);
	lab_edge(&lab, "process:p@A", FP_EDGE_PUT, "object:sql:shop.cards");
	lab_edge(&lab, "object:sql:shop.cards", FP_EDGE_GET, "process:p@B");
	assert_true(lab_reaches(&lab, "process:p@A", "process:p@B"));
	assert_false(lab_reaches(&lab, "process:p@C", "process:p@D"));
	lab_expect_edges(&lab, SETUP_EDGES + 4);
	assert_string_equal(lab_node(&lab, "object:sql:shop.cards")->key, "object:sql:shop.cards");
}

/* Keys are the same on one server alone; names of addresses stand beside them. */
static void test_stores(void **state)
{
	WITH_FUNCTIONS;
	struct link one = lab_link("10.1.0.1:4002", "10.1.0.99:6379"), two = lab_link("10.1.0.1:4003", "10.1.0.98:6379");
	struct link mail = lab_link("10.1.0.1:4004", "10.1.0.97:25");
	struct fp_event lookup = lab_event(&lab, FP_EVENT_TYPE_LOOKUP, &p);

	lab.unit = "A";
	lab_message(&lab, &p, &one, FP_APP_REDIS, "SET", "", "", "0/k");
	lab.unit = "B";
	lab_message(&lab, &p, &one, FP_APP_REDIS, "GET", "", "", "0/k");
	lab.unit = "C";
	lab_message(&lab, &p, &two, FP_APP_REDIS, "GET", "", "", "0/k");
	lab_message(&lab, &p, &mail, FP_APP_MAIL, "RCPT", "", "", "bob@x");
	lab_message(&lab, &p, &mail, FP_APP_DNS, "GET", "", "", "mail.x");
	lookup.host_name = (struct fp_str){"mail.x", 6};
	lookup.remote_lo = 0xffff0a010061;
	lab_add(&lab, &lookup);
	lab_socket(&lab, &p, FP_EVENT_TYPE_SEND, &mail, 10);
	lab_make(&lab);
	lab_edge(&lab, "process:p@A", FP_EDGE_PUT, "object:redis:10.1.0.99:6379/0/k");
	lab_edge(&lab, "object:redis:10.1.0.99:6379/0/k", FP_EDGE_GET, "process:p@B");
	lab_edge(&lab, "object:redis:10.1.0.98:6379/0/k", FP_EDGE_GET, "process:p@C");
	lab_edge(&lab, "process:p@C", FP_EDGE_PUT, "object:mail:bob@x");
	lab_edge(&lab, "object:dns:mail.x", FP_EDGE_GET, "process:p@C");
	assert_true(lab_reaches(&lab, "process:p@A", "process:p@B"));
	assert_false(lab_reaches(&lab, "process:p@A", "process:p@C"));
	lab_edge(&lab, "socket:10.1.0.1:4004 → 10.1.0.97:25@C", FP_EDGE_SEND, "host:10.1.0.97:25 (mail.x)");
	assert_string_equal(lab_node(&lab, "host:10.1.0.97:25 (mail.x)")->key, "host:10.1.0.97:25");
}

static void test_urls(void **state)
{
	WITH_FUNCTIONS;
	struct link web = lab_link("10.1.0.1:4002", "10.9.9.9:80");

	lab.unit = "A";
	lab_message(&lab, &p, &web, FP_APP_HTTP_REQUEST, "GET", "", "/dump.sh?x", "");
	lab_make(&lab);
	lab_edge(&lab, "host:10.9.9.9:80", FP_EDGE_GET, "object:http://10.9.9.9:80/dump.sh");
	lab_edge(&lab, "object:http://10.9.9.9:80/dump.sh", FP_EDGE_GET, "process:p@A");
	lab_expect_edges(&lab, SETUP_EDGES + 2);
	lab.unit = "B";
	lab_message(&lab, &p, &web, FP_APP_HTTP_REQUEST, "PUT", "evil.example", "/up", "http://evil.example/up");
	lab_make(&lab);
	lab_edge(&lab, "process:p@B", FP_EDGE_PUT, "object:http://evil.example/up");
	lab_edge(&lab, "object:http://evil.example/up", FP_EDGE_PUT, "host:10.9.9.9:80");
	lab_edge(&lab, "object:http://evil.example/up", FP_EDGE_GET, "process:p@B");
	lab_edge(&lab, "host:10.9.9.9:80", FP_EDGE_GET, "object:http://evil.example/up");
	lab_expect_edges(&lab, SETUP_EDGES + 6);
}

/* What is asked when the put is under way is answered later: the answer may hold it. */
static void test_answer_reaches_until_it_is_received(void **state)
{
	WITH_FUNCTIONS;
	struct link db = lab_link("10.1.0.1:4002", "10.1.0.99:3306"), db2 = lab_link("10.1.0.1:4003", "10.1.0.99:3306");

	lab.unit = "A";
	lab_message(&lab, &p, &db, FP_APP_SQL, "SELECT", "", "", "cards");
	lab.unit = "B";
	lab_message(&lab, &p, &db2, FP_APP_SQL, "INSERT", "", "", "cards");
	lab.unit = "A";
	lab_socket(&lab, &p, FP_EVENT_TYPE_RECEIVE, &db, 10);
	lab_make(&lab);
	assert_true(lab_reaches(&lab, "process:p@B", "process:p@A"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forwarded_address),
		cmocka_unit_test(test_without_a_gateway),
		cmocka_unit_test(test_from_outside),
		cmocka_unit_test(test_path_must_name_the_function),
		cmocka_unit_test(test_each_message_is_joined_once),
		cmocka_unit_test(test_calls_that_never_arrived),
		cmocka_unit_test(test_two_calls_at_once),
		cmocka_unit_test(test_begin_before_the_send_is_recorded),
		cmocka_unit_test(test_clocks_that_differ),
		cmocka_unit_test(test_ambiguous_caller),
		cmocka_unit_test(test_mixed_connection),
		cmocka_unit_test(test_names_that_clients_choose),
		cmocka_unit_test(test_second_begin_changes_nothing),
		cmocka_unit_test(test_request_whose_begin_is_lost),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_stores), cmocka_unit_test(test_urls),
		cmocka_unit_test(test_answer_reaches_until_it_is_received),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

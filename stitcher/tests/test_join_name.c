/* Callers found by the name that the gateway gave a call; names that others bear, too; callers that did not wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "stitcher/tests/lab.h"

#define CALLER "10.1.0.1:4000"
#define GATEWAY "10.1.0.254:8080"
#define QUEUE "10.1.0.253:7000"
#define STRANGER "192.0.2.7:5555"

/* p calls `pay` through the gateway; w is its watchdog; shop is p's. */
struct world {
	struct lab lab;
	struct proc p, w, shop;
	struct link out, out2;
};

static void world_init(struct world *world)
{
	*world = (struct world){.p = {.cgroup = 7, .tgid = 100, .start = 5},
				.w = {.cgroup = 8, .tgid = 200, .start = 6},
				.shop = {.cgroup = 7, .tgid = 99, .start = 4},
				.out = lab_link(CALLER, GATEWAY),
				.out2 = lab_link("10.1.0.1:4001", GATEWAY)};
	lab_init(&world->lab);
	lab_container(&world->lab, 7, "c1", "shop");
	lab_container(&world->lab, 8, "c2", "pay");
	lab_exec(&world->lab, &world->p, "/bin/p", 1, "p");
}

static void world_done(struct world *world)
{
	lab_done(&world->lab);
}

static void add_message(struct world *world, const struct link *link, enum fp_app app, const char *url, const char *call_id,
			unsigned status)
{
	struct link end = *link;
	struct fp_event event;

	lab_socket(&world->lab, &world->p, app == FP_APP_HTTP_REQUEST ? FP_EVENT_TYPE_SEND : FP_EVENT_TYPE_RECEIVE, &end, 100);
	event = lab_event(&world->lab, FP_EVENT_TYPE_MESSAGE, &world->p);
	event.family = 2;
	event.protocol = LAB_TCP;
	event.local_lo = 0xffff0a010001ull;
	event.local_port = link == &world->out ? 4000 : 4001;
	event.remote_lo = 0xffff0a0100feull;
	event.remote_port = 8080;
	event.tx_base = link->tx_base;
	event.rx_base = link->rx_base;
	event.app = app;
	event.method = lab_str(app == FP_APP_HTTP_REQUEST ? "POST" : "");
	event.url = lab_str(url);
	event.call_id = lab_str(call_id);
	event.status = status;
	lab_add(&world->lab, &event);
}

/* `own`: the X-Call-Id that the function sends itself, or "". */
static void ask(struct world *world, const char *unit, const struct link *link, const char *url, const char *own)
{
	world->lab.unit = unit;
	add_message(world, link, FP_APP_HTTP_REQUEST, url, own, 0);
}

static void hear(struct world *world, const char *unit, const struct link *link, unsigned status, const char *call_id)
{
	world->lab.unit = unit;
	add_message(world, link, FP_APP_HTTP_RESPONSE, "", call_id, status);
}

static void begin(struct world *world, const struct proc *watchdog, const char *request, const char *forwarded, const char *call_id)
{
	struct fp_event event;

	world->lab.unit = request;
	event = lab_event(&world->lab, FP_EVENT_TYPE_BEGIN, watchdog);
	event.rule = FP_RULE_MARK;
	event.url = lab_str("/");
	event.forwarded = lab_str(forwarded);
	event.peer = lab_str(GATEWAY);
	event.call_id = lab_str(call_id);
	lab_add(&world->lab, &event);
}

static void assert_parent(const struct world *world, const char *request, char parent, const char *join)
{
	const struct lab_request *row = lab_request(&world->lab, request);

	assert_int_equal(row->row.has_parent, parent != 0);
	if (!parent)
		return;
	assert_int_equal(row->row.parent[0], parent);
	assert_string_equal(row->join, join);
}

#define WORLD                                                    \
	fp_cleanup(world_done) struct world world;               \
	world_init(&world)

static void test_made_later(void **state)
{
	WORLD;

	ask(&world, "A", &world.out, "/async-function/pay/x", "");
	hear(&world, "A", &world.out, 202, "k");
	begin(&world, &world.w, "X", QUEUE, "k");
	lab_end(&world.lab, &world.w, "X", 200);
	lab_make(&world.lab);
	assert_parent(&world, "X", 'A', "call-id");
	assert_string_equal(lab_edge(&world.lab, "process:p@A", FP_EDGE_CALLS, "request:X")->attributes, "{\"join\":\"call-id\"}");
	/* what it returned went to the queue, and no further */
	assert_int_equal(lab_count(&world.lab, "request:X", FP_EDGE_RETURNS, ""), 0);
}

/* Whoever says to be at the caller's address is not the call that was made from there: the gateway named that one. */
static void test_forged_address(void **state)
{
	WORLD;

	ask(&world, "A", &world.out, "/function/pay", "");
	begin(&world, &world.w, "F", CALLER, "forged");
	begin(&world, &world.w, "X", CALLER, "k");
	lab_end(&world.lab, &world.w, "F", 200);
	lab_end(&world.lab, &world.w, "X", 200);
	hear(&world, "A", &world.out, 200, "k");
	lab_make(&world.lab);
	assert_parent(&world, "X", 'A', "forwarded-address");
	assert_parent(&world, "F", 0, NULL);
	lab_edge(&world.lab, "client:10.1.0.1@F", FP_EDGE_CALLS, "request:F");
	lab_edge(&world.lab, "request:X", FP_EDGE_RETURNS, "process:p@A");
}

/* Two requests handed on the name that both were called by: which of them made which call cannot be told. */
static void test_a_name_that_two_handed_on(void **state)
{
	WORLD;
	const struct lab_edge *edge;

	ask(&world, "A", &world.out, "/async-function/pay", "n");
	hear(&world, "A", &world.out, 202, "n");
	ask(&world, "B", &world.out2, "/async-function/pay", "n");
	hear(&world, "B", &world.out2, 202, "n");
	begin(&world, &world.w, "X", QUEUE, "n");
	begin(&world, &world.w, "Y", QUEUE, "n");
	lab_make(&world.lab);
	for (int i = 0; i < 2; i++) {
		const char *request = i ? "request:Y" : "request:X";

		edge = lab_edge(&world.lab, "process:p@A", FP_EDGE_CALLS, request);
		assert_int_equal(edge->row.attribution, FP_ATTRIBUTION_AMBIGUOUS);
		assert_non_null(strchr(edge->candidates, ','));
		assert_int_equal(lab_edge(&world.lab, "process:p@B", FP_EDGE_CALLS, request)->row.attribution,
				 FP_ATTRIBUTION_AMBIGUOUS);
		assert_parent(&world, i ? "Y" : "X", 0, NULL);
	}
}

/* But of one that called twice it does not matter which call it was. */
static void test_a_name_that_one_handed_on_twice(void **state)
{
	WORLD;

	ask(&world, "A", &world.out, "/async-function/pay", "n");
	ask(&world, "A", &world.out2, "/async-function/pay", "n");
	hear(&world, "A", &world.out, 202, "n");
	hear(&world, "A", &world.out2, 202, "n");
	begin(&world, &world.w, "X", QUEUE, "n");
	begin(&world, &world.w, "Y", QUEUE, "n");
	lab_make(&world.lab);
	assert_parent(&world, "X", 'A', "call-id");
	assert_parent(&world, "Y", 'A', "call-id");
}

/* A stranger bears the name that a function handed on: either may be the call, so neither is said to be. */
static void test_a_stranger_of_that_name(void **state)
{
	WORLD;

	ask(&world, "A", &world.out, "/async-function/pay", "n");
	hear(&world, "A", &world.out, 202, "n");
	begin(&world, &world.w, "F", STRANGER, "n");
	begin(&world, &world.w, "X", QUEUE, "n");
	lab_make(&world.lab);
	assert_parent(&world, "F", 0, NULL);
	assert_parent(&world, "X", 0, NULL);
	assert_int_equal(lab_edge(&world.lab, "process:p@A", FP_EDGE_CALLS, "request:X")->row.attribution,
			 FP_ATTRIBUTION_AMBIGUOUS);
}

static void test_a_name_chosen_outside_joins_no_call_that_waits(void **state)
{
	WORLD;

	/* the call never arrived */
	ask(&world, "A", &world.out, "/function/pay", "n");
	begin(&world, &world.w, "F", STRANGER, "n");
	hear(&world, "A", &world.out, 502, "n");
	lab_make(&world.lab);
	assert_parent(&world, "F", 0, NULL);
	assert_int_equal(lab_count(&world.lab, "process:p@A", FP_EDGE_CALLS, "request:F"), 0);
}

/* The gateway's own name for a call, which nobody else can know before the answer, does; whatever NAT made of the address. */
static void test_an_address_that_was_rewritten(void **state)
{
	WORLD;

	ask(&world, "A", &world.out, "/function/pay", "");
	begin(&world, &world.w, "X", "10.7.7.7:1", "k");
	lab_end(&world.lab, &world.w, "X", 200);
	hear(&world, "A", &world.out, 200, "k");
	begin(&world, &world.w, "F", "10.7.7.7:2", "k");
	lab_make(&world.lab);
	assert_parent(&world, "X", 'A', "call-id");
	assert_parent(&world, "F", 0, NULL);
}

/* All headers handed on: the address is that of the caller's caller. */
static void test_an_address_that_was_copied(void **state)
{
	WORLD;

	begin(&world, &world.shop, "A", STRANGER, "n");
	ask(&world, "A", &world.out, "/function/pay", "n");
	begin(&world, &world.w, "X", STRANGER, "n");
	lab_end(&world.lab, &world.w, "X", 200);
	hear(&world, "A", &world.out, 200, "n");
	lab_make(&world.lab);
	assert_parent(&world, "X", 'A', "call-id");
	assert_parent(&world, "A", 0, NULL);
}

static void test_callback(void **state)
{
	WORLD;

	ask(&world, "A", &world.out, "/async-function/pay", "");
	hear(&world, "A", &world.out, 202, "k");
	begin(&world, &world.w, "X", QUEUE, "k");
	lab_end(&world.lab, &world.w, "X", 200);
	begin(&world, &world.shop, "F", STRANGER, "k");
	begin(&world, &world.shop, "C", "10.1.0.253:7001", "k");
	lab_make(&world.lab);
	assert_parent(&world, "C", 'X', "callback");
	lab_edge(&world.lab, "request:X", FP_EDGE_CALLS, "request:C");
	/* the same name, from elsewhere */
	assert_parent(&world, "F", 0, NULL);
}

/* The queue can be faster than the watchdog's word that all was sent, but not than the answer. */
static void test_callback_before_the_end(void **state)
{
	WORLD;
	struct proc pay = {.cgroup = 8, .tgid = 201, .start = 7};
	struct link answer = lab_link("127.0.0.1:5000", "127.0.0.1:4001");

	ask(&world, "A", &world.out, "/async-function/pay", "");
	hear(&world, "A", &world.out, 202, "k");
	begin(&world, &world.w, "X", QUEUE, "k");
	begin(&world, &world.shop, "E", "10.1.0.253:7001", "k");
	world.lab.unit = "X";
	world.lab.rule = FP_RULE_CONNECTION;
	lab_socket(&world.lab, &pay, FP_EVENT_TYPE_SEND, &answer, 100);
	world.lab.rule = FP_RULE_NONE;
	begin(&world, &world.shop, "C", "10.1.0.253:7002", "k");
	lab_end(&world.lab, &world.w, "X", 200);
	lab_make(&world.lab);
	assert_parent(&world, "C", 'X', "callback");
	assert_parent(&world, "E", 0, NULL);
	/* what is done with the result follows the call that brought it */
	assert_true(lab_edge(&world.lab, "request:X", FP_EDGE_CALLS, "request:C")->row.first <
		    lab_request(&world.lab, "C")->row.first);
}

static void test_nobody_waited(void **state)
{
	WORLD;

	ask(&world, "A", &world.out, "/function/pay", "");
	begin(&world, &world.w, "X", CALLER, "k");
	lab_end(&world.lab, &world.w, "X", 200);
	/* the gateway lost patience and answered in the function's place */
	ask(&world, "A", &world.out2, "/function/pay", "");
	begin(&world, &world.w, "Y", "10.1.0.1:4001", "l");
	hear(&world, "A", &world.out2, 504, "l");
	lab_end(&world.lab, &world.w, "Y", 200);
	lab_make(&world.lab);
	assert_parent(&world, "X", 'A', "forwarded-address");
	assert_parent(&world, "Y", 'A', "forwarded-address");
	assert_int_equal(lab_count(&world.lab, "", FP_EDGE_RETURNS, ""), 0);
}

/* Two questions before the first answer: it is not known which one it answers, so it names neither. */
static void test_answers_that_are_not_told_apart(void **state)
{
	WORLD;

	ask(&world, "A", &world.out, "/async-function/pay", "");
	ask(&world, "B", &world.out, "/async-function/pay", "");
	hear(&world, "A", &world.out, 202, "k");
	hear(&world, "B", &world.out, 202, "l");
	begin(&world, &world.w, "X", QUEUE, "k");
	begin(&world, &world.w, "Y", QUEUE, "l");
	lab_make(&world.lab);
	assert_parent(&world, "X", 0, NULL);
	assert_parent(&world, "Y", 0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_later),
		cmocka_unit_test(test_forged_address),
		cmocka_unit_test(test_a_name_that_two_handed_on),
		cmocka_unit_test(test_a_name_that_one_handed_on_twice),
		cmocka_unit_test(test_a_stranger_of_that_name),
		cmocka_unit_test(test_a_name_chosen_outside_joins_no_call_that_waits),
		cmocka_unit_test(test_an_address_that_was_rewritten),
		cmocka_unit_test(test_an_address_that_was_copied),
		cmocka_unit_test(test_callback),
		cmocka_unit_test(test_callback_before_the_end),
		cmocka_unit_test(test_nobody_waited),
		cmocka_unit_test(test_answers_that_are_not_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

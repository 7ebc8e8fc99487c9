/* Requests that no watchdog marks: what begins one, what goes on with one, and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/attribute.h"
#include "agent/tests/events.h"
#include "agent/tests/killed.h"

enum { SERVER = 8080, OUTSIDE = 7, SERVER_INO = 500 };

static struct fp_str text(const char *string)
{
	return (struct fp_str){string, strlen(string)};
}

/* The server's end of a connection from another host. */
static struct fp_event from_outside(enum fp_event_type type, uint64_t turn, unsigned ino)
{
	struct fp_event event = make_event(type, NODE, NODE, turn);

	set_connection(&event, ino, SERVER, 40000 + ino);
	event.local_lo = 0xffff0a000001;
	event.remote_lo = 0xffff0a000000 + OUTSIDE;
	event.bytes = 100;
	event.rx_base = 1;
	event.rx_end = (uint32_t)(test_time / 1000000);
	event.flags = 04002;
	return event;
}

static void note(void **state, struct fp_event *event)
{
	go_on_if_killed(state);
	fp_attributor_note(*state, event);
}

static int ask(void **state, struct fp_event *event, const char *call_id, struct fp_event made[FP_ASKED_EVENTS])
{
	const struct fp_asked asked = {.call_id = text(call_id), .url = text("/x")};
	int n;

	go_on_if_killed(state);
	n = fp_attributor_asked(*state, event, &asked, made);
	assert_true(n >= 0);
	assert_int_equal(fp_attributor_note(*state, event), 1);
	return n;
}

static void keep_id(struct fp_str id, uint8_t out[FP_REQUEST_ID_SIZE])
{
	assert_int_equal(id.len, FP_REQUEST_ID_SIZE);
	memcpy(out, id.data, FP_REQUEST_ID_SIZE);
}

/* A request with this id comes in; its invocation id. */
static void come_in(void **state, unsigned ino, const char *call_id, uint8_t id[FP_REQUEST_ID_SIZE])
{
	struct fp_event made[FP_ASKED_EVENTS], event = from_outside(FP_EVENT_TYPE_RECEIVE, ino, ino);

	assert_int_equal(ask(state, &event, call_id, made), 1);
	assert_int_equal(made[0].type, FP_EVENT_TYPE_BEGIN);
	assert_int_equal(made[0].rule, FP_RULE_HEADER);
	assert_int_equal(made[0].attribution, FP_ATTRIBUTION_DERIVED);
	keep_id(made[0].request, id);
	assert_int_equal(event.rule, FP_RULE_HEADER);
	assert_memory_equal(event.request.data, id, FP_REQUEST_ID_SIZE);
}

static void begins_and_ends(void **state)
{
	uint8_t id[FP_REQUEST_ID_SIZE];
	struct fp_event end, event;

	come_in(state, SERVER_INO, "k", id);
	event = make_event(FP_EVENT_TYPE_WRITE, NODE, NODE, SERVER_INO);
	note(state, &event);
	assert_memory_equal(event.request.data, id, FP_REQUEST_ID_SIZE);
	assert_int_equal(event.attribution, FP_ATTRIBUTION_DERIVED);
	event = from_outside(FP_EVENT_TYPE_SEND, SERVER_INO, SERVER_INO);
	note(state, &event);
	assert_int_equal(event.rule, FP_RULE_HEADER);
	assert_int_equal(fp_attributor_answered(*state, &event, 201, &end), 1);
	assert_int_equal(end.type, FP_EVENT_TYPE_END);
	assert_int_equal(end.status, 201);
	assert_memory_equal(end.request.data, id, FP_REQUEST_ID_SIZE);
	assert_int_equal(fp_attributor_answered(*state, &event, 201, &end), 0);
	event = make_event(FP_EVENT_TYPE_WRITE, NODE, NODE, 9999);
	note(state, &event);
	assert_int_equal(event.unit, FP_UNIT_BACKGROUND);
}

static void begin_says_what_was_asked(void **state)
{
	struct fp_event made[FP_ASKED_EVENTS], event = from_outside(FP_EVENT_TYPE_RECEIVE, 1, SERVER_INO);
	const struct fp_asked asked = {text("k"), text("00-x"), text("POST"), text("/u"), text("1.2.3.4:5")};

	assert_int_equal(fp_attributor_asked(*state, &event, &asked, made), 1);
	assert_memory_equal(made[0].call_id.data, "k", 1);
	assert_memory_equal(made[0].traceparent.data, "00-x", 4);
	assert_memory_equal(made[0].method.data, "POST", 4);
	assert_memory_equal(made[0].url.data, "/u", 2);
	assert_memory_equal(made[0].forwarded.data, "1.2.3.4:5", 9);
	assert_memory_equal(made[0].peer.data, "10.0.0.7:40500", 14);
}

static void without_an_id_nothing_begins(void **state)
{
	struct fp_event made[FP_ASKED_EVENTS], event = from_outside(FP_EVENT_TYPE_RECEIVE, 1, SERVER_INO);

	assert_int_equal(ask(state, &event, "", made), 0);
	assert_int_equal(event.attribution, FP_ATTRIBUTION_NONE);
}

/* Where a watchdog marks, nobody's header says anything. */
static void a_marking_watchdog_is_believed_alone(void **state)
{
	struct fp_event made[FP_ASKED_EVENTS], mark = make_mark(WATCHDOG, FP_MARK_HELLO, 0);
	struct fp_event event = from_outside(FP_EVENT_TYPE_RECEIVE, 1, SERVER_INO);

	note(state, &mark);
	assert_int_equal(ask(state, &event, "k", made), 0);
	assert_int_equal(event.attribution, FP_ATTRIBUTION_NONE);
}

/* A server that has served without marks is no watchdog, though it is the container's first process. */
static void a_server_does_not_become_a_watchdog(void **state)
{
	struct fp_event mark = make_mark(WATCHDOG, FP_MARK_HELLO, 0), again, event, end;
	uint8_t id[FP_REQUEST_ID_SIZE];

	come_in(state, SERVER_INO, "k", id);
	note(state, &mark);
	assert_int_equal(mark.type, FP_EVENT_TYPE_REFUSED);
	event = from_outside(FP_EVENT_TYPE_SEND, SERVER_INO, SERVER_INO);
	note(state, &event);
	assert_int_equal(fp_attributor_answered(*state, &event, 200, &end), 1);
	again = make_mark(WATCHDOG, FP_MARK_BEGIN, 3);
	note(state, &again);
	assert_int_equal(again.type, FP_EVENT_TYPE_REFUSED);
}

/* The agent came after the HELLO: the head of the first request is read before the watchdog marks it. */
static void a_late_agents_first_request_is_in_flight_once(void **state)
{
	struct fp_event mark = make_mark(WATCHDOG, FP_MARK_BEGIN, 3);
	uint8_t id[FP_REQUEST_ID_SIZE];

	come_in(state, SERVER_INO, "k", id);
	note(state, &mark);
	assert_int_equal(mark.type, FP_EVENT_TYPE_BEGIN);
	mark = make_mark(WATCHDOG, FP_MARK_END, 3);
	note(state, &mark);
	assert_int_equal(mark.type, FP_EVENT_TYPE_END);
	assert_int_equal(fp_attributor_stats(*state)->begun, 2);
	assert_int_equal(fp_attributor_stats(*state)->ended, 2);
	mark = make_event(FP_EVENT_TYPE_WRITE, NODE, NODE, 9999);
	note(state, &mark);
	assert_int_equal(mark.attribution, FP_ATTRIBUTION_NONE);
}

static void one_name_twice_is_two(void **state)
{
	uint8_t first[FP_REQUEST_ID_SIZE], second[FP_REQUEST_ID_SIZE];

	come_in(state, SERVER_INO, "k", first);
	come_in(state, SERVER_INO + 1, "k", second);
	assert_memory_not_equal(first, second, FP_REQUEST_ID_SIZE);
}

static void the_next_on_a_connection_ends_the_one_before(void **state)
{
	struct fp_event made[FP_ASKED_EVENTS], event;
	uint8_t first[FP_REQUEST_ID_SIZE];

	come_in(state, SERVER_INO, "k", first);
	event = from_outside(FP_EVENT_TYPE_SEND, 1, SERVER_INO); /* an answer whose end is not seen */
	note(state, &event);
	event = from_outside(FP_EVENT_TYPE_RECEIVE, 2, SERVER_INO);
	assert_int_equal(ask(state, &event, "l", made), 2);
	assert_int_equal(made[0].type, FP_EVENT_TYPE_END);
	assert_memory_equal(made[0].request.data, first, FP_REQUEST_ID_SIZE);
	assert_int_equal(made[1].type, FP_EVENT_TYPE_BEGIN);
	assert_memory_equal(event.request.data, made[1].request.data, FP_REQUEST_ID_SIZE);
	/* one that bears no id is not of the one before */
	event = from_outside(FP_EVENT_TYPE_RECEIVE, 3, SERVER_INO);
	assert_int_equal(ask(state, &event, "", made), 1);
	assert_int_equal(event.attribution, FP_ATTRIBUTION_NONE);
}

static void assert_any_of(const struct fp_event *event, const uint8_t ids[][FP_REQUEST_ID_SIZE], unsigned n)
{
	assert_int_equal(event->attribution, FP_ATTRIBUTION_AMBIGUOUS);
	assert_int_equal(event->candidates.len, n * FP_REQUEST_ID_SIZE);
	for (unsigned i = 0; i < n; i++) {
		bool named = false;

		for (unsigned j = 0; j < n; j++)
			named |= memcmp(event->candidates.data + j * FP_REQUEST_ID_SIZE, ids[i], FP_REQUEST_ID_SIZE) == 0;
		assert_true(named);
	}
}

static void answer(void **state, const uint8_t id[FP_REQUEST_ID_SIZE])
{
	struct fp_event event = from_outside(FP_EVENT_TYPE_SEND, 9, SERVER_INO), end;

	note(state, &event);
	assert_int_equal(fp_attributor_answered(*state, &event, 200, &end), 1);
	assert_memory_equal(end.request.data, id, FP_REQUEST_ID_SIZE);
}

/* A client that asks three times before the first answer. */
static void asked_ahead_all_wait(void **state)
{
	struct fp_event made[FP_ASKED_EVENTS], event;
	uint8_t ids[3][FP_REQUEST_ID_SIZE];

	come_in(state, SERVER_INO, "k", ids[0]);
	for (unsigned i = 1; i < 3; i++) {
		event = from_outside(FP_EVENT_TYPE_RECEIVE, 9, SERVER_INO);
		assert_int_equal(ask(state, &event, i == 1 ? "l" : "k", made), 1);
		assert_int_equal(made[0].type, FP_EVENT_TYPE_BEGIN);
		keep_id(made[0].request, ids[i]);
		assert_any_of(&event, ids, i + 1);
	}
	event = make_event(FP_EVENT_TYPE_WRITE, NODE, NODE, 9);
	note(state, &event);
	assert_any_of(&event, ids, 3);
	event = from_outside(FP_EVENT_TYPE_SEND, 9, SERVER_INO);
	note(state, &event);
	assert_any_of(&event, ids, 3);
	answer(state, ids[0]);
	event = make_event(FP_EVENT_TYPE_WRITE, NODE, NODE, 10);
	note(state, &event);
	assert_any_of(&event, &ids[1], 2);
	answer(state, ids[1]);
	/* of the last one alone what is sent is certain again */
	event = from_outside(FP_EVENT_TYPE_SEND, 11, SERVER_INO);
	note(state, &event);
	assert_int_equal(event.rule, FP_RULE_HEADER);
	assert_memory_equal(event.request.data, ids[2], FP_REQUEST_ID_SIZE);
	answer(state, ids[2]);
	event = make_event(FP_EVENT_TYPE_WRITE, NODE, NODE, 12);
	note(state, &event);
	assert_int_equal(event.unit, FP_UNIT_BACKGROUND);
}

/* Three heads that came with one read: three requests, of which it is any's. */
static void heads_that_are_read_at_once_are_as_many_requests(void **state)
{
	struct fp_event made[FP_ASKED_EVENTS], event = from_outside(FP_EVENT_TYPE_RECEIVE, 9, SERVER_INO);
	const struct fp_asked asked = {.call_id = text("k"), .url = text("/x")};
	uint8_t ids[3][FP_REQUEST_ID_SIZE];

	go_on_if_killed(state);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(fp_attributor_asked(*state, &event, &asked, made), 1);
		keep_id(made[0].request, ids[i]);
	}
	assert_int_equal(fp_attributor_note(*state, &event), 1);
	assert_any_of(&event, ids, 3);
	for (unsigned i = 0; i < 3; i++) {
		event = from_outside(FP_EVENT_TYPE_SEND, 9, SERVER_INO);
		note(state, &event);
		answer(state, ids[i]);
		for (unsigned j = i + 1; j < 3; j++)
			assert_memory_not_equal(ids[i], ids[j], FP_REQUEST_ID_SIZE);
	}
	event = make_event(FP_EVENT_TYPE_WRITE, NODE, NODE, 12);
	note(state, &event);
	assert_int_equal(event.unit, FP_UNIT_BACKGROUND);
}

/* Who hangs up waits for none of them. */
static void a_connections_end_is_that_of_all_who_wait(void **state)
{
	struct fp_event made[FP_ASKED_EVENTS], event, end;
	uint8_t first[FP_REQUEST_ID_SIZE];

	come_in(state, SERVER_INO, "k", first);
	event = from_outside(FP_EVENT_TYPE_RECEIVE, 9, SERVER_INO);
	assert_int_equal(ask(state, &event, "l", made), 1);
	event = from_outside(FP_EVENT_TYPE_RECEIVE, 10, SERVER_INO);
	event.bytes = 0;
	note(state, &event);
	assert_int_equal(fp_attributor_answered(*state, &event, 0, &end), 1);
	assert_int_equal(fp_attributor_answered(*state, &event, 0, &end), 1);
	assert_int_equal(fp_attributor_answered(*state, &event, 0, &end), 0);
}

/* More than can be followed: the oldest ends, and none is left over. */
static void asking_far_ahead_ends_the_oldest(void **state)
{
	struct fp_event made[FP_ASKED_EVENTS], event, end;
	uint8_t first[FP_REQUEST_ID_SIZE];
	int n = 0;

	come_in(state, SERVER_INO, "k", first);
	for (unsigned i = 1; i < 40; i++) {
		event = from_outside(FP_EVENT_TYPE_RECEIVE, 9, SERVER_INO);
		assert_int_equal(ask(state, &event, "l", made), i < 32 ? 1 : 2);
		if (i == 32)
			assert_memory_equal(made[0].request.data, first, FP_REQUEST_ID_SIZE);
	}
	event.bytes = 0;
	while (fp_attributor_answered(*state, &event, 0, &end) > 0)
		n++;
	assert_int_equal(n, 32);
}

/* A stock watchdog (WATCHDOG here) sends the request on to the function; both ends belong to it, by its id. */
static void passed_on_within_the_container(void **state)
{
	uint8_t first[FP_REQUEST_ID_SIZE], second[FP_REQUEST_ID_SIZE];
	struct fp_event made[FP_ASKED_EVENTS], sent, read;

	come_in(state, SERVER_INO, "k", first);
	come_in(state, SERVER_INO + 1, "l", second);
	sent = make_event(FP_EVENT_TYPE_SEND, NODE, NODE + 1, 1);
	set_connection(&sent, 600, 41000, 3000);
	sent.bytes = 100;
	assert_int_equal(ask(state, &sent, "k", made), 0);
	assert_memory_equal(sent.request.data, first, FP_REQUEST_ID_SIZE);
	assert_int_equal(sent.rule, FP_RULE_DESCRIPTOR);
	read = make_event(FP_EVENT_TYPE_RECEIVE, CHILD, CHILD, 1);
	set_connection(&read, 601, 3000, 41000);
	read.bytes = 100;
	assert_int_equal(ask(state, &read, "k", made), 0);
	assert_memory_equal(read.request.data, first, FP_REQUEST_ID_SIZE);
	assert_int_equal(read.rule, FP_RULE_HEADER);
	/* on the same connection the other's */
	read = make_event(FP_EVENT_TYPE_RECEIVE, CHILD, CHILD, 2);
	set_connection(&read, 601, 3000, 41000);
	read.bytes = 100;
	assert_int_equal(ask(state, &read, "l", made), 0);
	assert_memory_equal(read.request.data, second, FP_REQUEST_ID_SIZE);
}

static void passed_on_under_a_name_that_two_bear(void **state)
{
	uint8_t first[FP_REQUEST_ID_SIZE], second[FP_REQUEST_ID_SIZE];
	struct fp_event made[FP_ASKED_EVENTS], read = make_event(FP_EVENT_TYPE_RECEIVE, CHILD, CHILD, 1);

	come_in(state, SERVER_INO, "k", first);
	come_in(state, SERVER_INO + 1, "k", second);
	set_connection(&read, 601, 3000, 41000);
	read.bytes = 100;
	assert_int_equal(ask(state, &read, "k", made), 0);
	assert_int_equal(read.attribution, FP_ATTRIBUTION_AMBIGUOUS);
	assert_int_equal(read.candidates.len, 2 * FP_REQUEST_ID_SIZE);
}

/* What the function asks of others on the way out is no request of its own. */
static void asking_others_begins_nothing(void **state)
{
	struct fp_event made[FP_ASKED_EVENTS], event = from_outside(FP_EVENT_TYPE_SEND, 1, SERVER_INO);

	assert_int_equal(ask(state, &event, "k", made), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(begins_and_ends),
		TEST(begin_says_what_was_asked),
		TEST(without_an_id_nothing_begins),
		TEST(a_marking_watchdog_is_believed_alone),
		TEST(a_server_does_not_become_a_watchdog),
		TEST(a_late_agents_first_request_is_in_flight_once),
		TEST(one_name_twice_is_two),
		TEST(the_next_on_a_connection_ends_the_one_before),
		TEST(asked_ahead_all_wait),
		TEST(heads_that_are_read_at_once_are_as_many_requests),
		TEST(a_connections_end_is_that_of_all_who_wait),
		TEST(asking_far_ahead_ends_the_oldest),
		TEST(passed_on_within_the_container),
		TEST(passed_on_under_a_name_that_two_bear),
		TEST(asking_others_begins_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

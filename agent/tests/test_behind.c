/* Work left behind: what a thread rested on tells whether it can be, and nothing is given to a request by guess. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/attribute.h"
#include "agent/bpf/shared.h"
#include "agent/tests/events.h"

static int begin(void **state);
#define BEGIN_TEST begin
#include "agent/tests/killed.h"
#include "base/text.h"

static int64_t clock_offset;

enum { LOOP = 12, WORKER = 201, MS = 1000000, PORT = 40000 };

static int note(void **state, struct fp_event *event)
{
	go_on_if_killed(state);
	fp_attributor_set_clock(*state, clock_offset);
	return fp_attributor_note(*state, event);
}

static int begin(void **state)
{
	struct fp_event event = make_mark(WATCHDOG, FP_MARK_HELLO, 0);

	clock_offset = 0;
	return note(state, &event);
}

static void mark(void **state, unsigned which, unsigned id)
{
	struct fp_event event = make_mark(WATCHDOG, which, id);

	assert_int_equal(note(state, &event), 1);
}

/* The loop's thread comes back from waiting in `turn`; no timer is due within `ms` from now (negative: none is pending). */
static void rests(void **state, uint64_t turn, int ms)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_WAIT, NODE, NODE, turn);

	event.fd = LOOP;
	event.flags = FP_WAIT_LOOP;
	event.since = event.time;
	event.due = ms < 0 ? 0 : event.time + (uint64_t)ms * MS;
	assert_int_equal(note(state, &event), 0);
}

static void is_given_work(void **state, uint64_t tid, uint64_t turn)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_WAIT, NODE, tid, turn);

	event.fd = UINT32_MAX;
	event.since = event.time;
	assert_int_equal(note(state, &event), 0);
}

static void expect(void **state, uint64_t tid, uint64_t turn, enum fp_attribution attribution, enum fp_rule rule,
		   unsigned id)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_WRITE, NODE, tid, turn);

	assert_int_equal(note(state, &event), 1);
	assert_string_equal(fp_attribution_name((unsigned)event.attribution), fp_attribution_name(attribution));
	assert_string_equal(fp_rule_name((unsigned)event.rule), fp_rule_name(rule));
	assert_int_equal(last_byte(event.request), id);
}

/* Both are named, and nobody else. */
static void expect_one_of(void **state, uint64_t tid, uint64_t turn, unsigned one, unsigned other)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_WRITE, NODE, tid, turn);
	unsigned named = 0;

	assert_int_equal(note(state, &event), 1);
	assert_string_equal(fp_attribution_name((unsigned)event.attribution), "ambiguous");
	assert_string_equal(fp_rule_name((unsigned)event.rule), "left-behind");
	assert_int_equal(event.candidates.len, 2 * FP_REQUEST_ID_SIZE);
	for (unsigned i = 1; i <= 2; i++)
		named |= 1u << (uint8_t)event.candidates.data[i * FP_REQUEST_ID_SIZE - 1];
	assert_int_equal(named, 1u << one | 1u << other);
}

/* A request that has begun comes in on the connection, whose bytes so far end at `end`. */
static void comes_in(void **state, unsigned id, uint64_t turn, uint32_t end)
{
	struct fp_event event = make_connection_mark(id, PORT, end - 50);

	assert_int_equal(note(state, &event), 0);
	event = make_request_read(turn, PORT, 50, end);
	assert_int_equal(note(state, &event), 1);
	assert_int_equal(event.rule, FP_RULE_CONNECTION);
}

static void request(void **state, unsigned id, uint64_t turn, uint32_t end)
{
	mark(state, FP_MARK_BEGIN, id);
	comes_in(state, id, turn, end);
}

/* Somebody in the container does something with no request in flight. */
static void is_at_work_in_between(void **state)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_WRITE, 77, 77, 1);

	assert_int_equal(note(state, &event), 1);
}

static void a_timer_that_fires_before_others_can_is_the_requests_own(void **state)
{
	rests(state, 1, -1);
	request(state, 1, 1, 50);
	mark(state, FP_MARK_END, 1);
	/* the loop waits for a timer due in 500 ms when the next request comes */
	rests(state, 2, 500);
	request(state, 2, 2, 100);
	expect(state, NODE, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 2);
	/* and then no longer than 5 ms, which this request must have asked for */
	rests(state, 3, 5);
	test_time += 6 * MS;
	expect(state, NODE, 3, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

static void a_timer_that_was_pending_before_the_request_can_be_others(void **state)
{
	rests(state, 1, -1);
	request(state, 1, 1, 50);
	mark(state, FP_MARK_END, 1);
	is_at_work_in_between(state);
	rests(state, 2, 20);
	request(state, 2, 2, 100);
	expect(state, NODE, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 2);
	test_time += 30 * MS;
	expect_one_of(state, NODE, 3, 1, 2);
	/* also in the turn that the request's bytes began: timers run after what descriptors brought */
	expect_one_of(state, NODE, 2, 1, 2);
}

static void what_was_pending_is_over_when_nothing_is_waited_for(void **state)
{
	a_timer_that_was_pending_before_the_request_can_be_others(state);
	rests(state, 4, -1);
	test_time += 1000 * (uint64_t)MS;
	expect(state, NODE, 4, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

static void timers_made_where_others_may_have_run_can_be_theirs(void **state)
{
	a_timer_that_was_pending_before_the_request_can_be_others(state);
	rests(state, 4, 10);
	expect(state, NODE, 4, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
	test_time += 10 * MS;
	expect_one_of(state, NODE, 5, 1, 2);
}

static void a_turn_begun_for_another_does_not_become_the_requests(void **state)
{
	rests(state, 1, -1);
	request(state, 1, 1, 50);
	mark(state, FP_MARK_END, 1);
	rests(state, 2, -1);
	expect(state, NODE, 2, FP_ATTRIBUTION_NONE, FP_RULE_NONE, 0);
	mark(state, FP_MARK_BEGIN, 2);
	expect_one_of(state, NODE, 2, 1, 2);
	rests(state, 3, -1);
	comes_in(state, 2, 3, 100);
	rests(state, 4, -1);
	expect(state, NODE, 4, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

static void a_thread_given_work_before_is_not_the_requests(void **state)
{
	mark(state, FP_MARK_BEGIN, 1);
	is_given_work(state, WORKER, 1);
	expect(state, WORKER, 1, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 1);
	mark(state, FP_MARK_END, 1);
	mark(state, FP_MARK_BEGIN, 2);
	expect_one_of(state, WORKER, 1, 1, 2);
	/* it may have slept and waited for locks: no rest is told */
	expect_one_of(state, WORKER, 2, 1, 2);
	is_given_work(state, WORKER, 3);
	expect(state, WORKER, 3, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

static void a_thread_does_what_it_was_started_for(void **state)
{
	struct fp_event event;

	mark(state, FP_MARK_BEGIN, 1);
	event = make_event(FP_EVENT_TYPE_FORK, NODE, NODE, 1);
	event.child_tgid = NODE;
	event.child_tid = WORKER;
	event.child_start = NODE;
	assert_int_equal(note(state, &event), 1);
	mark(state, FP_MARK_END, 1);
	mark(state, FP_MARK_BEGIN, 2);
	expect_one_of(state, WORKER, 0, 1, 2);
}

/* The loop looked without waiting, and found the request's bytes: timers made since it rested have not shown. */
static void a_loop_that_has_not_rested_does_not_show_others_timers(void **state)
{
	struct fp_event event;
	uint64_t since;

	rests(state, 1, -1);
	since = test_time;
	request(state, 1, 1, 50);
	mark(state, FP_MARK_END, 1);
	is_at_work_in_between(state);
	mark(state, FP_MARK_BEGIN, 2);
	event = make_event(FP_EVENT_TYPE_WAIT, NODE, NODE, 2);
	event.fd = LOOP;
	event.flags = FP_WAIT_LOOP | FP_WAIT_BUSY;
	event.since = since;
	assert_int_equal(note(state, &event), 0);
	comes_in(state, 2, 2, 100);
	expect_one_of(state, NODE, 2, 1, 2);
	/* what shows first can be theirs, too */
	rests(state, 3, 10);
	expect(state, NODE, 3, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
	test_time += 10 * MS;
	expect_one_of(state, NODE, 4, 1, 2);
	rests(state, 5, -1);
	expect(state, NODE, 5, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

/* Others' timers run in the turn in which a request was answered, too. */
static void what_follows_in_the_turn_of_an_answer_can_be_others(void **state)
{
	rests(state, 1, -1);
	request(state, 1, 1, 50);
	mark(state, FP_MARK_END, 1);
	rests(state, 2, 20);
	request(state, 2, 2, 100);
	mark(state, FP_MARK_END, 2);
	expect(state, NODE, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 2);
	test_time += 30 * MS;
	expect_one_of(state, NODE, 2, 1, 2);
	expect(state, NODE, 3, FP_ATTRIBUTION_NONE, FP_RULE_NONE, 0);
}

/* Go: a thread has rested, looking after timers that are due within `ms` (negative: it knows of none), and woke. */
static void looks_after(void **state, uint64_t tid, uint64_t turn, int ms)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_WAIT, NODE, tid, turn);

	event.fd = LOOP;
	event.flags = FP_WAIT_LOOP | FP_WAIT_MOVES;
	event.since = event.time;
	event.due = ms < 0 ? 0 : event.time + (uint64_t)ms * MS;
	assert_int_equal(note(state, &event), 0);
}

/* Go: it has been at work since `time`. */
static void woke_at(void **state, uint64_t tid, uint64_t turn, uint64_t time)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_WAIT, NODE, tid, turn);

	event.fd = LOOP;
	event.flags = FP_WAIT_MOVES;
	event.result = (int64_t)(event.time - time);
	assert_int_equal(note(state, &event), 0);
}

static void one_has_ended_another_is_in_flight(void **state)
{
	mark(state, FP_MARK_BEGIN, 1);
	mark(state, FP_MARK_END, 1);
	mark(state, FP_MARK_BEGIN, 2);
}

/* Go: any thread of the process runs what the loop found, whoever of them waited. */
static void a_loop_of_all_threads_is_looked_at_for_each(void **state)
{
	one_has_ended_another_is_in_flight(state);
	looks_after(state, NODE, 1, 20);
	woke_at(state, WORKER, 1, test_time);
	expect(state, WORKER, 1, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
	test_time += 20 * MS;
	woke_at(state, WORKER, 2, test_time);
	expect_one_of(state, WORKER, 2, 1, 2);
}

/* Go: who rests first does not know of the timers of a thread that is still at work. */
static void a_timer_is_not_gone_because_another_thread_rests_without_it(void **state)
{
	one_has_ended_another_is_in_flight(state);
	looks_after(state, NODE, 1, 20);
	looks_after(state, NODE, 2, -1);
	expect(state, NODE, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
	test_time += 20 * MS;
	expect_one_of(state, NODE, 2, 1, 2);
}

/* Go: while one thread runs what was due, another finds nothing more to wait for. */
static void what_was_due_may_still_run_when_another_thread_rests(void **state)
{
	uint64_t then;

	one_has_ended_another_is_in_flight(state);
	looks_after(state, NODE, 1, 20);
	test_time += 20 * MS;
	then = test_time;
	/* told once it may be all that this thread knows of; told twice it is all */
	looks_after(state, NODE, 2, -1);
	expect_one_of(state, NODE, 2, 1, 2);
	looks_after(state, NODE, 3, -1);
	expect(state, NODE, 3, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
	woke_at(state, WORKER, 1, then);
	expect_one_of(state, WORKER, 1, 1, 2);
	/* and what that set going, whoever is at work next may have taken */
	woke_at(state, WORKER, 2, test_time);
	expect_one_of(state, WORKER, 2, 1, 2);
	test_time += MS;
	woke_at(state, WORKER, 3, test_time);
	expect(state, WORKER, 3, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

/* Go: it has been at work since before the request began, though it made no record then. */
static void a_thread_at_work_since_before_is_not_the_requests(void **state)
{
	uint64_t before = test_time;

	one_has_ended_another_is_in_flight(state);
	looks_after(state, NODE, 1, -1);
	woke_at(state, WORKER, 1, before);
	expect_one_of(state, WORKER, 1, 1, 2);
}

/* Go: the thread that reads the request has woken for it; that it reads is not what came before anybody had read. */
static void who_reads_the_request_works_for_it(void **state)
{
	looks_after(state, NODE, 1, -1);
	request(state, 1, 1, 50);
	mark(state, FP_MARK_END, 1);
	looks_after(state, NODE, 2, -1);
	request(state, 2, 2, 100);
	expect(state, NODE, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 2);
	woke_at(state, WORKER, 1, test_time);
	expect(state, WORKER, 1, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

/* Go: nor does a thread that was at work before the request, when it reads the rest of it. */
static void who_reads_more_of_the_request_works_for_it(void **state)
{
	struct fp_event event;

	looks_after(state, NODE, 1, -1);
	request(state, 1, 1, 50);
	mark(state, FP_MARK_END, 1);
	woke_at(state, WORKER, 1, test_time);
	looks_after(state, NODE, 2, -1);
	request(state, 2, 2, 100);
	event = make_request_read(1, PORT, 50, 150);
	event.tid = WORKER;
	assert_int_equal(note(state, &event), 1);
	assert_int_equal(event.rule, FP_RULE_CONNECTION);
	woke_at(state, WORKER + 1, 1, test_time);
	expect(state, WORKER + 1, 1, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

/* Go: what a thread takes in before that, of whom nobody knows, is not the request's, nor is what it sets going. */
static void who_takes_in_something_before_that_is_in_doubt(void **state)
{
	struct fp_event event;

	looks_after(state, NODE, 1, -1);
	request(state, 1, 1, 50);
	mark(state, FP_MARK_END, 1);
	mark(state, FP_MARK_BEGIN, 2);
	event = make_connection_mark(2, PORT, 50);
	assert_int_equal(note(state, &event), 0);
	woke_at(state, WORKER, 1, test_time);
	event = make_event(FP_EVENT_TYPE_RECEIVE, NODE, WORKER, 1);
	event.family = 2;
	event.ino = 99;
	event.bytes = 5;
	assert_int_equal(note(state, &event), 1);
	assert_int_equal(event.rule, FP_RULE_LEFT_BEHIND);
	event = make_request_read(2, PORT, 50, 100);
	assert_int_equal(note(state, &event), 1);
	assert_int_equal(event.rule, FP_RULE_CONNECTION);
	expect_one_of(state, WORKER, 1, 1, 2);
}

/* A thread of the pool is woken, and is known to tell the loop when it has done something. */
static void is_given_work_by_the_loop(void **state, uint64_t tid, uint64_t turn)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_WAIT, NODE, tid, turn);

	event.fd = UINT32_MAX;
	event.since = event.time;
	event.flags = FP_WAIT_SIGNALS;
	assert_int_equal(note(state, &event), 0);
}

/* A timer of an earlier request hands work to a pool, which wakes the loop when it is done. */
static void what_is_handed_to_a_pool_where_others_may_have_run_stays_in_doubt(void **state)
{
	a_timer_that_was_pending_before_the_request_can_be_others(state);
	is_given_work_by_the_loop(state, WORKER, 1);
	expect_one_of(state, WORKER, 1, 1, 2);
	/* its result, and what that hands on */
	rests(state, 4, -1);
	expect_one_of(state, NODE, 4, 1, 2);
	is_given_work_by_the_loop(state, WORKER, 2);
	expect_one_of(state, WORKER, 2, 1, 2);
	rests(state, 5, -1);
	expect_one_of(state, NODE, 5, 1, 2);
	rests(state, 6, -1);
	expect_one_of(state, NODE, 6, 1, 2);
	/* then it is over */
	rests(state, 7, -1);
	expect(state, NODE, 7, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
	test_time += 2 * MS;
	is_given_work_by_the_loop(state, WORKER, 3);
	expect(state, WORKER, 3, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

static void a_pool_was_at_work_for_the_first(void **state)
{
	rests(state, 1, -1);
	request(state, 1, 1, 50);
	is_given_work_by_the_loop(state, WORKER, 1);
	expect(state, WORKER, 1, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 1);
	mark(state, FP_MARK_END, 1);
	is_at_work_in_between(state);
}

/* The pool was at work for an earlier request when the next one came in: the turn can take in both. */
static void a_pools_result_can_come_in_with_the_next_request(void **state)
{
	a_pool_was_at_work_for_the_first(state);
	rests(state, 2, -1);
	request(state, 2, 2, 100);
	expect_one_of(state, NODE, 2, 1, 2);
	is_given_work_by_the_loop(state, WORKER, 2);
	expect_one_of(state, WORKER, 2, 1, 2);
}

/* Nothing was ever done in between, so that nothing is thought to be left behind. */
static void a_container_that_leaves_nothing_is_not_in_doubt(void **state)
{
	rests(state, 1, -1);
	request(state, 1, 1, 50);
	is_given_work_by_the_loop(state, WORKER, 1);
	expect(state, WORKER, 1, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 1);
	mark(state, FP_MARK_END, 1);
	rests(state, 2, -1);
	request(state, 2, 2, 100);
	expect(state, NODE, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 2);
	is_given_work_by_the_loop(state, WORKER, 2);
	expect(state, WORKER, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

static void have_ended(void **state, unsigned n)
{
	while (n-- > 0) {
		mark(state, FP_MARK_BEGIN, 1);
		mark(state, FP_MARK_END, 1);
	}
}

/* Request 1 has left a timer behind, which is due in 5 ms when request 2 comes in. */
static void a_timer_is_left(void **state)
{
	rests(state, 1, -1);
	request(state, 1, 1, 50);
	mark(state, FP_MARK_END, 1);
	rests(state, 2, 5);
	request(state, 2, 2, 100);
	test_time += 6 * MS;
}

/* Nothing was ever done in between: but a timer of others is due, something is done, and a pool is given work. */
static void what_others_timer_hands_to_a_pool_is_in_doubt_at_once(void **state)
{
	a_timer_is_left(state);
	expect_one_of(state, NODE, 3, 1, 2);
	is_given_work_by_the_loop(state, WORKER, 1);
	expect_one_of(state, WORKER, 1, 1, 2);
	/* until so many requests have ended without such a thing */
	mark(state, FP_MARK_END, 2);
	have_ended(state, 15);
	rests(state, 4, -1);
	request(state, 3, 4, 150);
	is_given_work_by_the_loop(state, WORKER, 2);
	expect(state, WORKER, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 3);
}

/* What was done in that turn may be due to what a descriptor brought: then it is no sign that timers do something. */
static void what_a_descriptor_brings_is_no_sign_of_work_left_behind(void **state)
{
	struct fp_event event;

	a_timer_is_left(state);
	event = make_event(FP_EVENT_TYPE_RECEIVE, NODE, NODE, 3);
	event.family = 2;
	event.ino = 99;
	event.bytes = 5;
	assert_int_equal(note(state, &event), 1);
	expect_one_of(state, NODE, 3, 1, 2);
	is_given_work_by_the_loop(state, WORKER, 1);
	expect(state, WORKER, 1, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

/* Where threads of a pool tell the loop nothing, as those of a server that has a thread for each connection, nothing comes back. */
static void a_pool_that_tells_the_loop_nothing_brings_nothing_back(void **state)
{
	rests(state, 1, -1);
	request(state, 1, 1, 50);
	is_given_work(state, WORKER, 1);
	expect(state, WORKER, 1, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 1);
	mark(state, FP_MARK_END, 1);
	rests(state, 2, -1);
	request(state, 2, 2, 100);
	expect(state, NODE, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 2);
	is_given_work(state, WORKER, 2);
	expect(state, WORKER, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

/* Before the first request has ended, nobody can have left anything. */
static void the_first_request_is_alone(void **state)
{
	rests(state, 1, 1);
	mark(state, FP_MARK_BEGIN, 1);
	test_time += 50 * MS;
	expect(state, NODE, 1, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 1);
}

/* The watchdog has sent the request, and nobody in the container has read it. */
static void nobody_works_for_a_request_that_was_not_read(void **state)
{
	struct fp_event event;

	request(state, 1, 1, 50);
	mark(state, FP_MARK_END, 1);
	mark(state, FP_MARK_BEGIN, 2);
	event = make_connection_mark(2, PORT, 50);
	assert_int_equal(note(state, &event), 0);
	is_given_work(state, WORKER, 1);
	expect_one_of(state, WORKER, 1, 1, 2);
	event = make_request_read(2, PORT, 50, 100);
	assert_int_equal(note(state, &event), 1);
	is_given_work(state, WORKER, 2);
	expect(state, WORKER, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

/* The watchdog marks the connection before it sends anything: until then nobody works for the request. */
static void nobody_works_for_a_request_that_was_not_sent(void **state)
{
	rests(state, 1, -1);
	request(state, 1, 1, 50);
	mark(state, FP_MARK_END, 1);
	rests(state, 2, -1);
	mark(state, FP_MARK_BEGIN, 2);
	expect_one_of(state, NODE, 3, 1, 2);
	rests(state, 4, -1);
	comes_in(state, 2, 4, 100);
	expect(state, NODE, 4, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 2);
}

static void that_another_was_not_sent_says_nothing_of_the_one_in_flight(void **state)
{
	rests(state, 1, -1);
	request(state, 1, 1, 50);
	mark(state, FP_MARK_BEGIN, 2);
	mark(state, FP_MARK_END, 2);
	rests(state, 2, -1);
	expect(state, NODE, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 1);
}

/* The loop takes in what a thread of the pool has written to wake it. */
static void is_told_by_the_pool(void **state, uint64_t turn)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_RECEIVE, NODE, NODE, turn);

	event.family = 1;
	event.ino = 500;
	event.bytes = 1;
	assert_int_equal(note(state, &event), 1);
}

static void what_a_pool_tells_in_between_goes_on_in_the_next_turn(void **state)
{
	a_pool_was_at_work_for_the_first(state);
	rests(state, 2, -1);
	is_told_by_the_pool(state, 2);
	request(state, 2, 3, 100);
	expect_one_of(state, NODE, 3, 1, 2);
}

/* The same turn takes in what the pool tells and, after that, the request. */
static void what_a_pool_tells_before_the_reading_goes_on_after_it(void **state)
{
	rests(state, 1, -1);
	request(state, 1, 1, 50);
	mark(state, FP_MARK_END, 1);
	is_given_work_by_the_loop(state, WORKER, 1);
	is_at_work_in_between(state);
	expect(state, WORKER, 1, FP_ATTRIBUTION_NONE, FP_RULE_NONE, 0);
	mark(state, FP_MARK_BEGIN, 2);
	rests(state, 2, -1);
	is_told_by_the_pool(state, 2);
	comes_in(state, 2, 2, 100);
	expect_one_of(state, NODE, 3, 1, 2);
}

/* More turns than it takes for the rest lie between what a pool did in doubt and that it tells so. */
static void what_a_pool_tells_in_doubt_stays_so(void **state)
{
	a_timer_that_was_pending_before_the_request_can_be_others(state);
	is_given_work_by_the_loop(state, WORKER, 1);
	expect_one_of(state, WORKER, 1, 1, 2);
	rests(state, 4, -1);
	expect_one_of(state, NODE, 4, 1, 2);
	rests(state, 5, -1);
	is_told_by_the_pool(state, 5);
	rests(state, 6, -1);
	expect_one_of(state, NODE, 6, 1, 2);
	rests(state, 7, -1);
	expect_one_of(state, NODE, 7, 1, 2);
	rests(state, 8, -1);
	expect(state, NODE, 8, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

/* A pool was at work while nobody had read the request: what comes back of that is not the request's, even in the turn that reads it. */
static void what_a_pool_did_before_the_reading_comes_back_as_others(void **state)
{
	struct fp_event event;

	rests(state, 1, -1);
	request(state, 1, 1, 50);
	mark(state, FP_MARK_END, 1);
	is_at_work_in_between(state);
	mark(state, FP_MARK_BEGIN, 2);
	event = make_connection_mark(2, PORT, 50);
	assert_int_equal(note(state, &event), 0);
	is_given_work_by_the_loop(state, WORKER, 1);
	expect_one_of(state, WORKER, 1, 1, 2);
	rests(state, 2, -1);
	event = make_request_read(2, PORT, 50, 100);
	assert_int_equal(note(state, &event), 1);
	expect_one_of(state, NODE, 2, 1, 2);
	/* it may come in then or in the next turn, and go on in the two after that */
	for (unsigned turn = 3; turn <= 5; turn++) {
		rests(state, turn, -1);
		expect_one_of(state, NODE, turn, 1, 2);
	}
	rests(state, 6, -1);
	expect(state, NODE, 6, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

/* A thread of the pool is woken, by a turn of the loop that has begun at `began`. */
static void is_given_work_in(void **state, uint64_t turn, uint64_t began)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_WAIT, NODE, WORKER, turn);

	event.fd = UINT32_MAX;
	event.since = event.time;
	event.due = began;
	assert_int_equal(note(state, &event), 0);
}

static void what_a_turn_gives_that_began_before_is_not_the_requests(void **state)
{
	uint64_t before;

	mark(state, FP_MARK_BEGIN, 1);
	mark(state, FP_MARK_END, 1);
	before = test_time;
	mark(state, FP_MARK_BEGIN, 2);
	is_given_work_in(state, 1, before);
	expect_one_of(state, WORKER, 1, 1, 2);
	is_given_work_in(state, 2, test_time);
	expect(state, WORKER, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

/* Others are named. */
static void expect_doubt(void **state, uint64_t turn)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_WRITE, NODE, NODE, turn);

	assert_int_equal(note(state, &event), 1);
	assert_string_equal(fp_attribution_name((unsigned)event.attribution), "ambiguous");
	assert_string_equal(fp_rule_name((unsigned)event.rule), "left-behind");
}

/* When the loop rests next, what is due in 50 ms is so at a whole second of the wall clock, or `late` after one. */
static void set_clock(void **state, int64_t late)
{
	uint64_t due = test_time + 51 * MS;

	clock_offset = (int64_t)(FP_NS_PER_SEC - due % FP_NS_PER_SEC) + late;
}

/* The loop rests, and a request comes; it is read in turn 2, in which the loop still is when its first timer is due. */
static void a_timer_is_due(void **state)
{
	rests(state, 1, 50);
	request(state, 2, 2, 50);
	expect(state, NODE, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 2);
	test_time += 50 * MS;
}

static void the_clocks_second_makes_no_doubt(void **state)
{
	have_ended(state, 80);
	set_clock(state, 0);
	a_timer_is_due(state);
	expect(state, NODE, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 2);
	/* what is due soon after is the request's, what is due much later need not be */
	rests(state, 3, 5);
	expect(state, NODE, 3, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
	test_time += 5 * MS;
	expect(state, NODE, 4, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
	rests(state, 5, 500);
	expect(state, NODE, 5, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
	test_time += 500 * MS;
	expect_doubt(state, 6);
}

static void what_shows_long_after_the_clocks_second_can_be_others(void **state)
{
	have_ended(state, 80);
	set_clock(state, 0);
	a_timer_is_due(state);
	rests(state, 3, 500);
	test_time += 400 * MS;
	expect(state, NODE, 3, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
	test_time += 100 * MS;
	expect_doubt(state, 4);
}

/* That timer does nothing, so what is done in the turn that it began is done by another: the request's, as far as was ever seen. */
static void what_the_clocks_second_begins_is_the_requests(void **state)
{
	have_ended(state, 80);
	set_clock(state, 0);
	a_timer_is_due(state);
	expect(state, NODE, 3, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

static void the_clock_is_no_excuse_after_a_sign_of_work_left_behind(void **state)
{
	have_ended(state, 80);
	set_clock(state, 10 * MS);
	a_timer_is_due(state);
	expect_doubt(state, 3);
	mark(state, FP_MARK_END, 2);
	set_clock(state, 0);
	rests(state, 4, 50);
	mark(state, FP_MARK_BEGIN, 3);
	test_time += 52 * MS;
	expect_doubt(state, 5);
}

/* Its first timer was over when the loop came back at `late` after it was due; it takes in more in turn 3, without a rest. */
static void takes_in_without_rest(void **state, uint64_t late)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_WAIT, NODE, NODE, 3);

	event.fd = LOOP;
	event.flags = FP_WAIT_LOOP | FP_WAIT_BUSY;
	event.since = event.time - MS;
	event.due = event.since - late;
	assert_int_equal(note(state, &event), 0);
}

/* Request 2 has waited for a timer of its own; the next is taken in by a loop that has not rested since. */
static void is_busy_when_the_next_comes(void **state, unsigned before, uint64_t late)
{
	have_ended(state, before);
	rests(state, 1, 900);
	request(state, 2, 1, 50);
	expect(state, NODE, 1, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 2);
	test_time += 5 * MS;
	takes_in_without_rest(state, late);
	expect(state, NODE, 3, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
	mark(state, FP_MARK_END, 2);
	request(state, 3, 4, 100);
}

static void what_was_over_at_the_last_rest_is_not_pending(void **state)
{
	is_busy_when_the_next_comes(state, 20, 2 * MS);
	expect(state, NODE, 4, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 3);
	/* what was pending before it still is */
	test_time += 900 * MS;
	expect_doubt(state, 5);
}

/* The kernel side can tell that the loop has taken something in after the next request has begun. */
static void what_was_over_is_not_pending_when_that_is_told_late(void **state)
{
	have_ended(state, 20);
	rests(state, 1, 900);
	request(state, 2, 1, 50);
	expect(state, NODE, 1, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 2);
	test_time += 5 * MS;
	mark(state, FP_MARK_END, 2);
	mark(state, FP_MARK_BEGIN, 3);
	takes_in_without_rest(state, 2 * MS);
	comes_in(state, 3, 3, 100);
	expect(state, NODE, 3, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 3);
}

static void what_may_not_have_been_over_at_the_last_rest_can_be_pending(void **state)
{
	is_busy_when_the_next_comes(state, 20, MS / 2);
	expect_doubt(state, 4);
}

static void what_was_over_can_hide_others_before_a_container_is_known(void **state)
{
	is_busy_when_the_next_comes(state, 5, 2 * MS);
	expect_doubt(state, 4);
}

/* Any timer of others in a container that has shown nothing of work left behind: what shows soon after it is the request's. */
static void what_shows_soon_after_others_timer_is_the_requests(void **state)
{
	have_ended(state, 80);
	set_clock(state, 100 * MS);
	a_timer_is_due(state);
	rests(state, 3, 5);
	test_time += 5 * MS;
	expect(state, NODE, 4, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
	test_time += 20 * MS;
	expect_doubt(state, 4);
}

static void a_timer_at_another_time_than_the_clocks_makes_doubt(void **state)
{
	have_ended(state, 80);
	set_clock(state, 10 * MS);
	a_timer_is_due(state);
	expect_doubt(state, 2);
}

static void the_clock_is_no_excuse_before_a_container_is_known(void **state)
{
	have_ended(state, 10);
	set_clock(state, 0);
	a_timer_is_due(state);
	expect_doubt(state, 2);
}

static void the_clock_is_no_excuse_where_work_is_left_behind(void **state)
{
	have_ended(state, 80);
	is_at_work_in_between(state);
	set_clock(state, 0);
	a_timer_is_due(state);
	expect_doubt(state, 2);
}

/*
 * A timer that was pending before request `id` is due `step` after the one before, in the midst of it; and whose the timer
 * is that the kernel side cannot tell from it, is as `expected` says.
 */
static void comes_again(void **state, unsigned id, uint64_t due, bool is_expected)
{
	uint64_t turn = 10 * id;
	struct fp_event event;

	test_time = due - 100 * MS;
	rests(state, turn, 99);
	request(state, id, turn, 50 * id);
	expect(state, NODE, turn, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, id);
	test_time = due;
	event = make_event(FP_EVENT_TYPE_WRITE, NODE, NODE, turn);
	assert_int_equal(note(state, &event), 1);
	assert_string_equal(fp_rule_name((unsigned)event.rule), fp_rule_name(is_expected ? FP_RULE_TURN : FP_RULE_LEFT_BEHIND));
	rests(state, turn + 1, 400);
	expect(state, NODE, turn + 1, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, id);
	mark(state, FP_MARK_END, id);
}

#define FIRST (100000 * (uint64_t)MS)
#define STEP (5000 * (uint64_t)MS)

static void comes_three_times(void **state)
{
	have_ended(state, 20);
	clock_offset = 300 * MS; /* all this is at no whole second */
	for (unsigned i = 0; i < 3; i++)
		comes_again(state, 2 + i, FIRST + i * STEP, false);
}

static void a_timer_that_came_in_equal_steps_and_did_nothing_makes_no_doubt(void **state)
{
	comes_three_times(state);
	comes_again(state, 5, FIRST + 3 * STEP - 15 * MS, true);
	/* nor when it was not seen once */
	comes_again(state, 6, FIRST + 5 * STEP - 15 * MS, true);
	comes_again(state, 7, FIRST + 6 * STEP + 200 * MS, false);
}

static void a_timer_that_came_in_other_steps_makes_doubt(void **state)
{
	have_ended(state, 20);
	clock_offset = 300 * MS;
	comes_again(state, 2, FIRST, false);
	comes_again(state, 3, FIRST + STEP, false);
	comes_again(state, 4, FIRST + 2 * STEP + 500 * MS, false);
	comes_again(state, 5, FIRST + 3 * STEP, false);
}

static void a_habit_is_no_excuse_where_work_is_left_behind(void **state)
{
	comes_three_times(state);
	is_at_work_in_between(state);
	comes_again(state, 5, FIRST + 3 * STEP, false);
}

static void a_habit_is_over_when_it_was_not_seen_for_long(void **state)
{
	comes_three_times(state);
	comes_again(state, 5, FIRST + 8 * STEP, false);
}

/* It begins a turn that takes nothing in, in which something is done: which can be the request's own timer at the same time, or not. */
static void does_something(void **state, unsigned id, uint64_t due, bool is_expected)
{
	uint64_t turn = 10 * id;

	test_time = due - 100 * MS;
	rests(state, turn, 99);
	request(state, id, turn, 50 * id);
	test_time = due;
	if (is_expected)
		expect(state, NODE, turn + 1, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, id);
	else
		expect_doubt(state, turn + 1);
	rests(state, turn + 2, 400);
	expect(state, NODE, turn + 2, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, id);
	mark(state, FP_MARK_END, id);
}

static void a_habit_forgives_once_and_not_twice(void **state)
{
	comes_three_times(state);
	does_something(state, 5, FIRST + 3 * STEP, true);
	comes_again(state, 6, FIRST + 4 * STEP, true);
	does_something(state, 7, FIRST + 5 * STEP, true);
	does_something(state, 8, FIRST + 6 * STEP, false);
	have_ended(state, 20);
	comes_again(state, 9, FIRST + 7 * STEP, false);
}

static void what_does_something_each_time_is_no_habit(void **state)
{
	have_ended(state, 20);
	clock_offset = 300 * MS;
	for (unsigned i = 0; i < 6; i++) {
		does_something(state, 2 + i, FIRST + i * STEP, false);
		have_ended(state, 20);
	}
}

/* Go: a request is read by who has not rested since it began; the next rest shows a timer, due in 5 ms, which comes. */
static void a_timer_shows_after_a_busy_reading(void **state)
{
	looks_after(state, NODE, 1, 900);
	request(state, 2, 1, 50);
	expect(state, NODE, 1, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 2);
	looks_after(state, NODE, 2, 5);
	test_time += 6 * MS;
}

static void what_shows_after_a_busy_reading_is_the_requests(void **state)
{
	have_ended(state, 20);
	a_timer_shows_after_a_busy_reading(state);
	expect(state, NODE, 2, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
	test_time += 900 * MS;
	expect_doubt(state, 2);
}

static void what_shows_after_a_busy_reading_can_be_others_where_work_is_left_behind(void **state)
{
	have_ended(state, 20);
	is_at_work_in_between(state);
	a_timer_shows_after_a_busy_reading(state);
	expect_doubt(state, 2);
}

/* Go: what is done when a timer of others is due is a sign, as in a loop that stays with its thread. */
static void what_others_timer_does_is_a_sign_where_work_moves(void **state)
{
	have_ended(state, 20);
	looks_after(state, NODE, 1, 5);
	request(state, 2, 1, 50);
	expect(state, NODE, 1, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 2);
	test_time += 6 * MS;
	woke_at(state, WORKER, 1, test_time);
	expect_doubt(state, 3);
	mark(state, FP_MARK_END, 2);
	looks_after(state, NODE, 4, 900);
	request(state, 3, 4, 100);
	expect(state, NODE, 4, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 3);
	looks_after(state, NODE, 5, 5);
	test_time += 6 * MS;
	expect_doubt(state, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_timer_that_fires_before_others_can_is_the_requests_own),
		TEST(a_timer_that_was_pending_before_the_request_can_be_others),
		TEST(what_was_pending_is_over_when_nothing_is_waited_for),
		TEST(timers_made_where_others_may_have_run_can_be_theirs),
		TEST(a_turn_begun_for_another_does_not_become_the_requests),
		TEST(a_thread_given_work_before_is_not_the_requests),
		TEST(a_thread_does_what_it_was_started_for),
		TEST(a_loop_that_has_not_rested_does_not_show_others_timers),
		TEST(what_follows_in_the_turn_of_an_answer_can_be_others),
		TEST(a_loop_of_all_threads_is_looked_at_for_each),
		TEST(a_timer_is_not_gone_because_another_thread_rests_without_it),
		TEST(what_was_due_may_still_run_when_another_thread_rests),
		TEST(a_thread_at_work_since_before_is_not_the_requests),
		TEST(who_reads_the_request_works_for_it),
		TEST(who_reads_more_of_the_request_works_for_it),
		TEST(who_takes_in_something_before_that_is_in_doubt),
		TEST(what_is_handed_to_a_pool_where_others_may_have_run_stays_in_doubt),
		TEST(a_pools_result_can_come_in_with_the_next_request),
		TEST(a_container_that_leaves_nothing_is_not_in_doubt),
		TEST(what_others_timer_hands_to_a_pool_is_in_doubt_at_once),
		TEST(what_a_descriptor_brings_is_no_sign_of_work_left_behind),
		TEST(a_pool_that_tells_the_loop_nothing_brings_nothing_back),
		TEST(the_first_request_is_alone),
		TEST(nobody_works_for_a_request_that_was_not_read),
		TEST(nobody_works_for_a_request_that_was_not_sent),
		TEST(that_another_was_not_sent_says_nothing_of_the_one_in_flight),
		TEST(what_a_pool_tells_in_between_goes_on_in_the_next_turn),
		TEST(what_a_pool_tells_before_the_reading_goes_on_after_it),
		TEST(what_a_pool_tells_in_doubt_stays_so),
		TEST(what_a_pool_did_before_the_reading_comes_back_as_others),
		TEST(what_a_turn_gives_that_began_before_is_not_the_requests),
		TEST(the_clocks_second_makes_no_doubt),
		TEST(what_the_clocks_second_begins_is_the_requests),
		TEST(a_timer_that_came_in_equal_steps_and_did_nothing_makes_no_doubt),
		TEST(a_timer_that_came_in_other_steps_makes_doubt),
		TEST(a_habit_is_no_excuse_where_work_is_left_behind),
		TEST(a_habit_is_over_when_it_was_not_seen_for_long),
		TEST(a_habit_forgives_once_and_not_twice),
		TEST(what_does_something_each_time_is_no_habit),
		TEST(what_shows_after_a_busy_reading_is_the_requests),
		TEST(what_shows_after_a_busy_reading_can_be_others_where_work_is_left_behind),
		TEST(what_others_timer_does_is_a_sign_where_work_moves),
		TEST(the_clock_is_no_excuse_after_a_sign_of_work_left_behind),
		TEST(what_was_over_at_the_last_rest_is_not_pending),
		TEST(what_was_over_is_not_pending_when_that_is_told_late),
		TEST(what_may_not_have_been_over_at_the_last_rest_can_be_pending),
		TEST(what_was_over_can_hide_others_before_a_container_is_known),
		TEST(what_shows_soon_after_others_timer_is_the_requests),
		TEST(what_shows_long_after_the_clocks_second_can_be_others),
		TEST(a_timer_at_another_time_than_the_clocks_makes_doubt),
		TEST(the_clock_is_no_excuse_before_a_container_is_known),
		TEST(the_clock_is_no_excuse_where_work_is_left_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

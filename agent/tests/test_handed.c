/* A process that lives on does the work of whoever hands it some, and not of the request in which it was forked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/attribute.h"
#include "agent/tests/events.h"
#include "agent/tests/killed.h"

enum { PIPE = 70, BACK = 71, PARENTS_END = 80, CHILDS_END = 81, LOOP = 9 };

static void note(void **state, struct fp_event *event)
{
	go_on_if_killed(state);
	assert_true(fp_attributor_note(*state, event) >= 0);
}

static void mark(void **state, unsigned kind, unsigned id)
{
	struct fp_event event = make_mark(WATCHDOG, kind, id);

	note(state, &event);
}

/* The parent's thread works for the request: the runtime says so. */
static void work(void **state, uint64_t tid, unsigned id)
{
	struct fp_event event = make_mark(NODE, FP_MARK_ENTER, id);

	event.tid = tid;
	note(state, &event);
}

static void fork_child(void **state, uint64_t child)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_FORK, NODE, NODE, 1);

	event.child_tgid = event.child_tid = event.child_start = child;
	note(state, &event);
}

static struct fp_event on(void **state, enum fp_event_type type, uint64_t tgid, uint64_t tid, uint64_t ino, uint64_t bytes)
{
	struct fp_event event = make_event(type, tgid, tid, LOOP);

	event.object = FP_OBJECT_PIPE;
	event.ino = ino;
	event.bytes = bytes;
	note(state, &event);
	return event;
}

static struct fp_event send_to(void **state, enum fp_event_type type, uint64_t tgid, uint64_t ino, uint64_t peer)
{
	struct fp_event event = make_event(type, tgid, tgid, LOOP);

	event.family = 1;
	event.ino = ino;
	event.remote_lo = peer;
	event.bytes = 10;
	note(state, &event);
	return event;
}

static void assert_is(const struct fp_event *event, enum fp_attribution attribution, unsigned id)
{
	assert_string_equal(fp_attribution_name((unsigned)event->attribution), fp_attribution_name(attribution));
	assert_int_equal(last_byte(event->request), id);
}

static void assert_file(void **state, uint64_t tgid, enum fp_attribution attribution, unsigned id)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_UNLINK, tgid, tgid, LOOP);

	note(state, &event);
	assert_is(&event, attribution, id);
}

/* 1 and 2 are in flight; 1 made two pipes and forked a worker, which reads the first and writes the second. */
static void a_worker(void **state)
{
	mark(state, FP_MARK_HELLO, 0);
	mark(state, FP_MARK_BEGIN, 1);
	mark(state, FP_MARK_BEGIN, 2);
	work(state, NODE, 1);
	on(state, FP_EVENT_TYPE_OPEN, NODE, NODE, PIPE, 0);
	on(state, FP_EVENT_TYPE_OPEN, NODE, NODE, BACK, 0);
	fork_child(state, CHILD);
}

static struct fp_event give(void **state, unsigned id)
{
	work(state, NODE, id);
	return on(state, FP_EVENT_TYPE_WRITE, NODE, NODE, PIPE, 10);
}

static struct fp_event take(void **state)
{
	return on(state, FP_EVENT_TYPE_READ, CHILD, CHILD, PIPE, 10);
}

static void a_child_given_its_own_work_stays(void **state)
{
	struct fp_event event;

	a_worker(state);
	assert_file(state, CHILD, FP_ATTRIBUTION_DERIVED, 1);
	for (int i = 0; i < 3; i++) {
		give(state, 1);
		event = take(state);
		assert_is(&event, FP_ATTRIBUTION_DERIVED, 1);
		assert_file(state, CHILD, FP_ATTRIBUTION_DERIVED, 1);
	}
	mark(state, FP_MARK_END, 1);
	assert_file(state, CHILD, FP_ATTRIBUTION_DERIVED, 1);
}

static void a_worker_is_of_who_gave_it_work(void **state)
{
	struct fp_event event;

	a_worker(state);
	give(state, 1);
	take(state);
	give(state, 2);
	event = take(state);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 2);
	/* both are in flight, and it may do what is left of either */
	assert_file(state, CHILD, FP_ATTRIBUTION_AMBIGUOUS, 0);
	event = on(state, FP_EVENT_TYPE_WRITE, CHILD, CHILD, BACK, 5);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
	mark(state, FP_MARK_END, 1);
	mark(state, FP_MARK_BEGIN, 3);
	give(state, 3);
	event = take(state);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 3);
}

/* What it sends back wakes whoever reads for the same request, through a pipe that another one made. */
static void an_answer_is_of_who_wrote_it(void **state)
{
	struct fp_event event;

	a_worker(state);
	on(state, FP_EVENT_TYPE_WRITE, CHILD, CHILD, BACK, 5);
	work(state, NODE, 0);
	event = on(state, FP_EVENT_TYPE_READ, NODE, NODE, BACK, 5);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 1);
	mark(state, FP_MARK_END, 1);
	give(state, 2);
	take(state);
	on(state, FP_EVENT_TYPE_WRITE, CHILD, CHILD, BACK, 5);
	mark(state, FP_MARK_BEGIN, 3);
	work(state, NODE, 0);
	event = on(state, FP_EVENT_TYPE_READ, NODE, NODE, BACK, 5);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 2);
}

static void work_of_two_at_once_is_of_neither(void **state)
{
	struct fp_event event;

	a_worker(state);
	give(state, 1);
	give(state, 2);
	event = on(state, FP_EVENT_TYPE_READ, CHILD, CHILD, PIPE, 20);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
	assert_file(state, CHILD, FP_ATTRIBUTION_AMBIGUOUS, 0);
	/* when all has been read, what comes next is known again */
	give(state, 2);
	event = take(state);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 2);
}

/* The reader's record can come before the writer's: until then it is nobody's. */
static void what_is_read_before_its_write_is_known_waits(void **state)
{
	struct fp_event event;

	a_worker(state);
	event = take(state);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
	assert_file(state, CHILD, FP_ATTRIBUTION_AMBIGUOUS, 0);
	give(state, 1);
	assert_file(state, CHILD, FP_ATTRIBUTION_DERIVED, 1);
	event = take(state);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
	give(state, 2);
	mark(state, FP_MARK_END, 1);
	assert_file(state, CHILD, FP_ATTRIBUTION_DERIVED, 2);
	mark(state, FP_MARK_BEGIN, 3);
	assert_file(state, CHILD, FP_ATTRIBUTION_AMBIGUOUS, 0);
}

/* Two threads' records can come in another order than their writes. */
static void threads_that_write_for_several_prove_nothing(void **state)
{
	struct fp_event event;

	a_worker(state);
	give(state, 1);
	take(state);
	work(state, NODE + 1, 2);
	on(state, FP_EVENT_TYPE_WRITE, NODE, NODE + 1, PIPE, 10);
	event = take(state);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
	assert_file(state, CHILD, FP_ATTRIBUTION_AMBIGUOUS, 0);
	/* nor does a read before its write: either could be the one */
	take(state);
	on(state, FP_EVENT_TYPE_WRITE, NODE, NODE + 1, PIPE, 10);
	mark(state, FP_MARK_END, 1);
	mark(state, FP_MARK_BEGIN, 3);
	assert_file(state, CHILD, FP_ATTRIBUTION_AMBIGUOUS, 0);
}

static void what_is_lost_makes_all_of_a_channel_uncertain(void **state)
{
	struct fp_event event;

	a_worker(state);
	give(state, 1);
	take(state);
	fp_attributor_doubt(*state, CGROUP);
	work(state, NODE, 2);
	give(state, 2);
	event = take(state);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
	assert_file(state, CHILD, FP_ATTRIBUTION_AMBIGUOUS, 0);
}

static void who_wakes_itself_hands_nothing(void **state)
{
	struct fp_event event;

	mark(state, FP_MARK_HELLO, 0);
	on(state, FP_EVENT_TYPE_OPEN, NODE, NODE, PIPE, 0);
	mark(state, FP_MARK_BEGIN, 1);
	mark(state, FP_MARK_BEGIN, 2);
	work(state, NODE + 1, 1);
	on(state, FP_EVENT_TYPE_WRITE, NODE, NODE + 1, PIPE, 1);
	event = on(state, FP_EVENT_TYPE_READ, NODE, NODE, PIPE, 1);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
	/* one that a request made, but that another wakes it through as well */
	work(state, NODE, 1);
	on(state, FP_EVENT_TYPE_OPEN, NODE, NODE, BACK, 0);
	on(state, FP_EVENT_TYPE_WRITE, NODE, NODE, BACK, 1);
	work(state, NODE, 0);
	event = on(state, FP_EVENT_TYPE_READ, NODE, NODE, BACK, 1);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 1);
	work(state, NODE, 2);
	on(state, FP_EVENT_TYPE_WRITE, NODE, NODE, BACK, 1);
	work(state, NODE, 0);
	event = on(state, FP_EVENT_TYPE_READ, NODE, NODE, BACK, 1);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
}

static void a_pair_of_sockets_is_two_channels(void **state)
{
	struct fp_event event;

	mark(state, FP_MARK_HELLO, 0);
	mark(state, FP_MARK_BEGIN, 1);
	mark(state, FP_MARK_BEGIN, 2);
	work(state, NODE, 1);
	send_to(state, FP_EVENT_TYPE_SOCKET, NODE, PARENTS_END, CHILDS_END);
	send_to(state, FP_EVENT_TYPE_SOCKET, NODE, CHILDS_END, PARENTS_END);
	fork_child(state, CHILD);
	send_to(state, FP_EVENT_TYPE_SEND, NODE, PARENTS_END, CHILDS_END);
	event = send_to(state, FP_EVENT_TYPE_RECEIVE, CHILD, CHILDS_END, PARENTS_END);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 1);
	assert_file(state, CHILD, FP_ATTRIBUTION_DERIVED, 1);
	work(state, NODE, 2);
	send_to(state, FP_EVENT_TYPE_SEND, NODE, PARENTS_END, CHILDS_END);
	event = send_to(state, FP_EVENT_TYPE_RECEIVE, CHILD, CHILDS_END, PARENTS_END);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 2);
	assert_file(state, CHILD, FP_ATTRIBUTION_AMBIGUOUS, 0);
	mark(state, FP_MARK_END, 1);
	send_to(state, FP_EVENT_TYPE_SEND, CHILD, CHILDS_END, PARENTS_END);
	mark(state, FP_MARK_BEGIN, 3);
	work(state, NODE, 0);
	event = send_to(state, FP_EVENT_TYPE_RECEIVE, NODE, PARENTS_END, CHILDS_END);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 2);
}

/* A server's worker that was forked while a request was served reads others' itself. */
static void who_reads_requests_is_not_of_the_one_it_was_forked_in(void **state)
{
	struct fp_event event;

	a_worker(state);
	event = make_connection_mark(2, 40000, 0);
	note(state, &event);
	event = make_request_read(LOOP, 40000, 50, 50);
	event.tgid = event.tid = event.process_start = CHILD;
	note(state, &event);
	assert_is(&event, FP_ATTRIBUTION_EXACT, 2);
	assert_file(state, CHILD, FP_ATTRIBUTION_AMBIGUOUS, 0);
	mark(state, FP_MARK_END, 2);
	assert_file(state, CHILD, FP_ATTRIBUTION_AMBIGUOUS, 0);
}

static void who_is_asked_by_strangers_is_not_either(void **state)
{
	struct fp_event event;

	a_worker(state);
	event = make_request_read(LOOP, 50000, 50, 50);
	event.tgid = event.tid = event.process_start = CHILD;
	note(state, &event);
	assert_file(state, CHILD, FP_ATTRIBUTION_AMBIGUOUS, 0);
}

/* What a request left behind as a server is its doing, whoever asks it. */
static void a_server_that_a_request_made_stays_its_own(void **state)
{
	struct fp_event event;

	a_worker(state);
	event = make_event(FP_EVENT_TYPE_LISTEN, CHILD, CHILD, LOOP);
	event.ino = 90;
	note(state, &event);
	event = make_request_read(LOOP, 50000, 50, 50);
	event.tgid = event.tid = event.process_start = CHILD;
	note(state, &event);
	assert_file(state, CHILD, FP_ATTRIBUTION_DERIVED, 1);
}

/* With one request in flight that forked it, there is nobody else to work for. */
static void the_only_ones_child_stays_its_own(void **state)
{
	struct fp_event event;

	mark(state, FP_MARK_HELLO, 0);
	mark(state, FP_MARK_BEGIN, 1);
	work(state, NODE, 1);
	on(state, FP_EVENT_TYPE_OPEN, NODE, NODE, PIPE, 0);
	fork_child(state, CHILD);
	event = take(state);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 1);
	assert_file(state, CHILD, FP_ATTRIBUTION_DERIVED, 1);
}

/* After a loss there may be, whose begin is missing. */
static void the_only_one_that_is_known_may_not_be_the_only_one(void **state)
{
	struct fp_event event;

	for (unsigned asked = 0; asked < 2; asked++) {
		mark(state, FP_MARK_HELLO, 0);
		mark(state, FP_MARK_BEGIN, 1 + asked);
		work(state, NODE, 1 + asked);
		on(state, FP_EVENT_TYPE_OPEN, NODE, NODE, PIPE, 0);
		fork_child(state, CHILD);
		fp_attributor_doubt(*state, CGROUP);
		if (asked) { /* on a connection from elsewhere */
			event = make_event(FP_EVENT_TYPE_RECEIVE, CHILD, CHILD, LOOP);
			set_connection(&event, 4000, 80, 9999);
			event.bytes = 10;
			note(state, &event);
		} else {
			event = take(state);
		}
		assert_int_equal(event.attribution, FP_ATTRIBUTION_AMBIGUOUS);
		assert_file(state, CHILD, FP_ATTRIBUTION_AMBIGUOUS, 0);
		mark(state, FP_MARK_END, 1 + asked);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_child_given_its_own_work_stays),
		TEST(a_worker_is_of_who_gave_it_work),
		TEST(an_answer_is_of_who_wrote_it),
		TEST(work_of_two_at_once_is_of_neither),
		TEST_ONCE(what_is_read_before_its_write_is_known_waits) /* after a restart it stays unknown */,
		TEST(threads_that_write_for_several_prove_nothing),
		TEST(what_is_lost_makes_all_of_a_channel_uncertain),
		TEST(who_wakes_itself_hands_nothing),
		TEST(a_pair_of_sockets_is_two_channels),
		TEST(who_reads_requests_is_not_of_the_one_it_was_forked_in),
		TEST(who_is_asked_by_strangers_is_not_either),
		TEST(a_server_that_a_request_made_stays_its_own),
		TEST(the_only_ones_child_stays_its_own),
		TEST(the_only_one_that_is_known_may_not_be_the_only_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which request did this?  Each rule on its own, and what must not be believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "agent/attribute.h"
#include "agent/tests/events.h"
#include "agent/tests/killed.h"

static int note(void **state, struct fp_event *event)
{
	int r;

	go_on_if_killed(state);
	r = fp_attributor_note(*state, event);
	assert_true(r >= 0);
	return r;
}

static void send_mark(void **state, struct fp_event event, int keep)
{
	assert_int_equal(note(state, &event), keep);
}

static void begin(void **state, unsigned id)
{
	send_mark(state, make_mark(WATCHDOG, FP_MARK_BEGIN, id), 1);
}

static void end(void **state, unsigned id)
{
	send_mark(state, make_mark(WATCHDOG, FP_MARK_END, id), 1);
}

static void hello(void **state)
{
	send_mark(state, make_mark(WATCHDOG, FP_MARK_HELLO, 0), 0);
}

static void assert_note(const struct fp_event *event, enum fp_attribution attribution, enum fp_rule rule, unsigned id)
{
	assert_string_equal(fp_attribution_name((unsigned)event->attribution), fp_attribution_name(attribution));
	assert_string_equal(fp_rule_name((unsigned)event->rule), fp_rule_name(rule));
	assert_int_equal(last_byte(event->request), id);
}

static struct fp_event do_write(void **state, uint64_t tgid, uint64_t tid, uint64_t turn)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_WRITE, tgid, tid, turn);

	note(state, &event);
	return event;
}

static void startup_then_background(void **state)
{
	struct fp_event event;

	hello(state);
	event = do_write(state, NODE, NODE, 1);
	assert_note(&event, FP_ATTRIBUTION_NONE, FP_RULE_NONE, 0);
	assert_int_equal(event.unit, FP_UNIT_STARTUP);
	begin(state, 1);
	end(state, 1);
	event = do_write(state, NODE, NODE, 2);
	assert_note(&event, FP_ATTRIBUTION_NONE, FP_RULE_NONE, 0);
	assert_int_equal(event.unit, FP_UNIT_BACKGROUND);
}

static void begin_carries_its_details(void **state)
{
	static const char details[] = "\x01\x03\0abc\x03\x04\0POST\x63\x01\0x";
	struct fp_event event = make_mark(WATCHDOG, FP_MARK_BEGIN, 1);

	event.details = (struct fp_str){details, sizeof(details) - 1};
	assert_int_equal(note(state, &event), 1);
	assert_int_equal(event.type, FP_EVENT_TYPE_BEGIN);
	assert_note(&event, FP_ATTRIBUTION_EXACT, FP_RULE_MARK, 1);
	assert_int_equal(event.call_id.len, 3);
	assert_memory_equal(event.call_id.data, "abc", 3);
	assert_memory_equal(event.method.data, "POST", 4);
}

/* Two requests one after the other on one kept-alive connection: the bytes tell them apart. */
static void connection_is_exact_and_follows_bytes(void **state)
{
	struct fp_event event;

	hello(state);
	begin(state, 1);
	send_mark(state, make_connection_mark(1, 40000, 0), 0);
	event = make_request_read(1, 40000, 50, 50);
	note(state, &event);
	assert_note(&event, FP_ATTRIBUTION_EXACT, FP_RULE_CONNECTION, 1);
	end(state, 1);
	begin(state, 2);
	send_mark(state, make_connection_mark(2, 40000, 50), 0);
	event = make_request_read(2, 40000, 30, 80);
	note(state, &event);
	assert_note(&event, FP_ATTRIBUTION_EXACT, FP_RULE_CONNECTION, 2);
	/* its answer goes out on the same socket */
	event = make_event(FP_EVENT_TYPE_SEND, NODE, NODE, 9);
	set_connection(&event, 6000 + 40000, 3000, 40000);
	note(state, &event);
	assert_note(&event, FP_ATTRIBUTION_EXACT, FP_RULE_CONNECTION, 2);
}

/* Another connection that happens to use the same ports later is not the marked one. */
static void another_stream_on_the_same_ports_is_not_exact(void **state)
{
	struct fp_event event;

	hello(state);
	begin(state, 1);
	send_mark(state, make_connection_mark(1, 40000, 0), 0);
	begin(state, 2);
	event = make_request_read(1, 40000, 50, 50);
	event.rx_base = 5000;
	event.rx_end = 5050;
	note(state, &event);
	assert_note(&event, FP_ATTRIBUTION_AMBIGUOUS, FP_RULE_IN_FLIGHT, 0);
}

static void bytes_before_the_mark_are_not_the_requests(void **state)
{
	struct fp_event event;

	hello(state);
	begin(state, 1);
	begin(state, 2);
	send_mark(state, make_connection_mark(1, 40000, 50), 0);
	event = make_request_read(1, 40000, 50, 50);
	note(state, &event);
	assert_int_not_equal(event.attribution, FP_ATTRIBUTION_EXACT);
}

static void stream_offsets_wrap(void **state)
{
	struct fp_event mark = make_connection_mark(1, 40000, 0), event;

	hello(state);
	begin(state, 1);
	mark.tx_base = 0xfffffff0;
	mark.tx_end = 0xfffffff1;
	send_mark(state, mark, 0);
	event = make_request_read(1, 40000, 32, 0);
	event.rx_base = 0xfffffff1;
	event.rx_end = 0x11;
	note(state, &event);
	assert_note(&event, FP_ATTRIBUTION_EXACT, FP_RULE_CONNECTION, 1);
}

static void two_in_flight(void **state)
{
	hello(state);
	begin(state, 1);
	begin(state, 2);
	send_mark(state, make_connection_mark(1, 40000, 0), 0);
	send_mark(state, make_connection_mark(2, 40001, 0), 0);
}

static void read_request(void **state, uint64_t turn, unsigned port)
{
	struct fp_event event = make_request_read(turn, port, 50, 50);

	note(state, &event);
	assert_int_equal(event.attribution, FP_ATTRIBUTION_EXACT);
}

static struct fp_event on_socket(void **state, enum fp_event_type type, uint64_t ino, uint64_t turn)
{
	struct fp_event event = make_event(type, NODE, NODE, turn);

	set_connection(&event, ino, 50000, 8080);
	event.bytes = 10;
	event.rx_end = 10;
	note(state, &event);
	return event;
}

static void assert_both_named(const struct fp_event *event)
{
	assert_note(event, FP_ATTRIBUTION_AMBIGUOUS, FP_RULE_IN_FLIGHT, 0);
	assert_int_equal(event->candidates.len, 2 * FP_REQUEST_ID_SIZE);
}

static void a_turn_belongs_to_what_was_read_in_it(void **state)
{
	struct fp_event event;

	hello(state);
	begin(state, 1);
	send_mark(state, make_connection_mark(1, 40000, 0), 0);
	read_request(state, 1, 40000);
	event = do_write(state, NODE, NODE, 1);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 1);
	/* with another in flight it could be that one's timer or immediate */
	begin(state, 2);
	event = do_write(state, NODE, NODE, 1);
	assert_both_named(&event);
	event = do_write(state, NODE, NODE, 2);
	assert_both_named(&event);
	event = do_write(state, NODE, NODE + 1, 1);
	assert_both_named(&event);
}

/* What ended before can have left work behind that shares a turn with what is in flight: both are named. */
static void a_turn_of_ended_work_is_not_the_next_requests(void **state)
{
	struct fp_event event;

	hello(state);
	begin(state, 1);
	send_mark(state, make_connection_mark(1, 40000, 0), 0);
	read_request(state, 1, 40000);
	end(state, 1);
	event = do_write(state, NODE, NODE, 1);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 1);
	begin(state, 2);
	event = do_write(state, NODE, NODE, 1);
	assert_both_named(&event);
}

static void a_blocking_thread_works_for_the_connection_it_read(void **state)
{
	struct fp_event event;

	two_in_flight(state);
	event = make_request_read(1, 40000, 50, 50);
	event.flags = 2;
	note(state, &event);
	event = do_write(state, NODE, NODE, 1);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_THREAD, 1);
	/* it waits for a lock and goes on with the same */
	event = do_write(state, NODE, NODE, 2);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_THREAD, 1);
	event = do_write(state, NODE, NODE + 1, 2);
	assert_both_named(&event);
	/* an answer that it waited for does not end that */
	event = on_socket(state, FP_EVENT_TYPE_SEND, 42, 2);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_THREAD, 1);
	event = on_socket(state, FP_EVENT_TYPE_RECEIVE, 42, 2);
	event = do_write(state, NODE, NODE, 3);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_THREAD, 1);
	event = make_request_read(3, 40001, 50, 50);
	event.flags = 2;
	note(state, &event);
	event = do_write(state, NODE, NODE, 4);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_THREAD, 2);
}

static int enter_by_assist(void **state, uint64_t tid, const char *id)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_MARK, NODE, tid, 0);
	int keep;

	event.mark = FP_MARK_VERSION << 8 | FP_MARK_ENTER;
	event.details = (struct fp_str){id, strlen(id)};
	keep = note(state, &event);
	assert_int_equal(keep, event.type == FP_EVENT_TYPE_REFUSED);
	return keep;
}

static const char id_1[] = "0123456789abcdef0000000000000001", id_2[] = "0123456789abcdef0000000000000002",
		  id_9[] = "0123456789abcdef0000000000000009", id_none[] = "00000000000000000000000000000000";

static void the_assist_tells_what_the_kernel_cannot(void **state)
{
	struct fp_event event;

	two_in_flight(state);
	assert_int_equal(enter_by_assist(state, NODE, id_2), 0);
	event = do_write(state, NODE, NODE, 5);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_ASSIST, 2);
	/* of this thread alone, and until it says otherwise */
	event = do_write(state, NODE, NODE + 1, 5);
	assert_both_named(&event);
	event = do_write(state, NODE, NODE, 6);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_ASSIST, 2);
	assert_int_equal(enter_by_assist(state, NODE, id_none), 0);
	event = do_write(state, NODE, NODE, 6);
	assert_both_named(&event);
	/* work left behind by a request that has ended */
	end(state, 1);
	assert_int_equal(enter_by_assist(state, NODE, id_1), 0);
	event = do_write(state, NODE, NODE, 7);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_ASSIST, 1);
}

/* The begin of the request that it is at work on has been lost: it is not the one's before. */
static void who_names_one_that_nobody_knows_left_the_one_before(void **state)
{
	static const char *const words[] = {id_9, "nonsense"};
	struct fp_event event;

	two_in_flight(state);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(enter_by_assist(state, NODE, id_2), 0);
		assert_int_equal(enter_by_assist(state, NODE, words[i]), 1);
		event = do_write(state, NODE, NODE, 5);
		assert_both_named(&event);
	}
}

static void the_assist_is_bounded_and_overruled(void **state)
{
	struct fp_event event;

	two_in_flight(state);
	assert_int_equal(enter_by_assist(state, NODE, id_9), 1);
	assert_int_equal(enter_by_assist(state, NODE, "nonsense"), 1);
	assert_int_equal(enter_by_assist(state, NODE, id_2), 0);
	/* the request's own bytes say otherwise */
	read_request(state, 1, 40000);
	event = make_event(FP_EVENT_TYPE_SEND, NODE, NODE, 1);
	set_connection(&event, 6000 + 40000, 3000, 40000);
	note(state, &event);
	assert_note(&event, FP_ATTRIBUTION_EXACT, FP_RULE_CONNECTION, 1);
}

static void answers_bring_the_context_back(void **state)
{
	struct fp_event event;

	hello(state);
	begin(state, 1);
	send_mark(state, make_connection_mark(1, 40000, 0), 0);
	read_request(state, 1, 40000);
	on_socket(state, FP_EVENT_TYPE_SOCKET, 42, 1);
	event = on_socket(state, FP_EVENT_TYPE_SEND, 42, 1);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_TURN, 1);
	begin(state, 2);
	send_mark(state, make_connection_mark(2, 40001, 0), 0);
	read_request(state, 2, 40001);
	event = on_socket(state, FP_EVENT_TYPE_RECEIVE, 42, 3);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_DESCRIPTOR, 1);
	event = do_write(state, NODE, NODE, 3);
	assert_both_named(&event);
}

/* A pooled connection belongs to who last wrote to it, and to nobody when that was unclear. */
static void pooled_connections_change_hands(void **state)
{
	struct fp_event event;

	two_in_flight(state);
	enter_by_assist(state, NODE, id_1);
	on_socket(state, FP_EVENT_TYPE_SEND, 42, 1);
	on_socket(state, FP_EVENT_TYPE_RECEIVE, 42, 1);
	enter_by_assist(state, NODE, id_2);
	on_socket(state, FP_EVENT_TYPE_SEND, 42, 2);
	enter_by_assist(state, NODE, id_none);
	event = on_socket(state, FP_EVENT_TYPE_RECEIVE, 42, 3);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_DESCRIPTOR, 2);
	event = on_socket(state, FP_EVENT_TYPE_SEND, 42, 4); /* a timer: ambiguous */
	assert_both_named(&event);
	event = on_socket(state, FP_EVENT_TYPE_RECEIVE, 42, 5);
	assert_both_named(&event);
}

/* Two requests' questions on one connection: whose an answer is cannot be told, now and later. */
static void shared_connections_are_nobodys(void **state)
{
	struct fp_event event;

	two_in_flight(state);
	enter_by_assist(state, NODE, id_1);
	on_socket(state, FP_EVENT_TYPE_SEND, 42, 1);
	on_socket(state, FP_EVENT_TYPE_SEND, 42, 1);
	enter_by_assist(state, NODE, id_2);
	event = on_socket(state, FP_EVENT_TYPE_SEND, 42, 2);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_ASSIST, 2);
	enter_by_assist(state, NODE, id_none);
	event = on_socket(state, FP_EVENT_TYPE_RECEIVE, 42, 3);
	assert_both_named(&event);
	enter_by_assist(state, NODE, id_1);
	on_socket(state, FP_EVENT_TYPE_SEND, 42, 4);
	event = on_socket(state, FP_EVENT_TYPE_RECEIVE, 42, 5);
	assert_both_named(&event);
	/* a new connection that happens to have the number */
	on_socket(state, FP_EVENT_TYPE_SOCKET, 42, 5);
	on_socket(state, FP_EVENT_TYPE_SEND, 42, 5);
	event = on_socket(state, FP_EVENT_TYPE_RECEIVE, 42, 6);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_DESCRIPTOR, 1);
}

/* More connections than are saved: an agent that goes on knows the last ones, and that there were others. */
static void what_was_not_saved_is_not_believed(void **state)
{
	struct fp_event event;

	two_in_flight(state);
	enter_by_assist(state, NODE, id_1);
	on_socket(state, FP_EVENT_TYPE_SEND, 42, 1);
	for (unsigned i = 0; i < 1100; i++)
		on_socket(state, FP_EVENT_TYPE_SOCKET, 1000 + i, 1);
	on_socket(state, FP_EVENT_TYPE_SEND, 43, 1);
	is_killed = true;
	enter_by_assist(state, NODE, id_2);
	is_killed = false;
	on_socket(state, FP_EVENT_TYPE_SEND, 42, 2);
	enter_by_assist(state, NODE, id_none);
	event = on_socket(state, FP_EVENT_TYPE_RECEIVE, 42, 3);
	assert_both_named(&event);
	event = on_socket(state, FP_EVENT_TYPE_RECEIVE, 43, 4);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_DESCRIPTOR, 1);
	/* nobody can have used one that was made since */
	enter_by_assist(state, NODE, id_2);
	on_socket(state, FP_EVENT_TYPE_SOCKET, 44, 5);
	on_socket(state, FP_EVENT_TYPE_SEND, 44, 5);
	enter_by_assist(state, NODE, id_none);
	event = on_socket(state, FP_EVENT_TYPE_RECEIVE, 44, 6);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_DESCRIPTOR, 2);
}

/* Whatever is cut off or changed of what was saved is refused or read, and never more than was there. */
static void what_is_saved_is_checked(void **state)
{
	struct fp_buffer saved = FP_BUFFER_INIT;
	struct fp_attributor *other;
	uint64_t left_out;
	size_t pos;

	two_in_flight(state);
	enter_by_assist(state, NODE, id_1);
	on_socket(state, FP_EVENT_TYPE_SEND, 42, 1);
	fp_attributor_save(*state, 1 << 20, &saved);
	for (size_t len = 0; len < saved.len; len++) {
		uint8_t kept = (uint8_t)saved.data[len];

		assert_int_equal(fp_attributor_new(&other), 0);
		pos = 0;
		assert_int_equal(fp_attributor_restore(other, (const uint8_t *)saved.data, len, &pos, &left_out), -EBADMSG);
		fp_attributor_free(other);
		assert_int_equal(fp_attributor_new(&other), 0);
		pos = 0;
		saved.data[len] = (char)0xff;
		fp_attributor_restore(other, (const uint8_t *)saved.data, saved.len, &pos, &left_out);
		assert_true(pos <= saved.len);
		saved.data[len] = (char)kept;
		fp_attributor_free(other);
	}
	fp_buffer_done(&saved);
}

static struct fp_event on_pipe(void **state, enum fp_event_type type, uint64_t tgid, uint64_t ino, uint64_t turn)
{
	struct fp_event event = make_event(type, tgid, tgid, turn);

	event.object = FP_OBJECT_PIPE;
	event.ino = ino;
	event.bytes = 10;
	note(state, &event);
	return event;
}

/* The output of a child comes back through a pipe that was made for it. */
static void a_pipe_is_its_makers(void **state)
{
	struct fp_event event;

	hello(state);
	on_pipe(state, FP_EVENT_TYPE_OPEN, NODE, 70, 0);
	begin(state, 1);
	send_mark(state, make_connection_mark(1, 40000, 0), 0);
	read_request(state, 1, 40000);
	on_pipe(state, FP_EVENT_TYPE_OPEN, NODE, 71, 1);
	begin(state, 2);
	event = on_pipe(state, FP_EVENT_TYPE_READ, NODE, 71, 2);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_DESCRIPTOR, 1);
	event = do_write(state, NODE, NODE, 2);
	assert_both_named(&event);
	/* the event loop's own pipe wakes it for anybody */
	event = on_pipe(state, FP_EVENT_TYPE_READ, NODE, 70, 3);
	assert_note(&event, FP_ATTRIBUTION_AMBIGUOUS, FP_RULE_IN_FLIGHT, 0);
}

static void forked(void **state, uint64_t tgid, uint64_t turn, uint64_t child)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_FORK, tgid, tgid, turn);

	event.child_tgid = event.child_tid = event.child_start = child;
	note(state, &event);
}

static void children_inherit_for_life(void **state)
{
	struct fp_event event;

	hello(state);
	begin(state, 1);
	send_mark(state, make_connection_mark(1, 40000, 0), 0);
	read_request(state, 1, 40000);
	forked(state, NODE, 1, CHILD);
	begin(state, 2);
	send_mark(state, make_connection_mark(2, 40001, 0), 0);
	read_request(state, 2, 40001);
	forked(state, CHILD, 0, CHILD + 1);
	end(state, 1);
	event = do_write(state, CHILD + 1, CHILD + 1, 5);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_INHERITED, 1);
	/* another process with the same number later is another process */
	event = make_event(FP_EVENT_TYPE_WRITE, CHILD, CHILD, 0);
	event.process_start = 999;
	note(state, &event);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

/* What a child reads of its own request makes it no event loop, whoever else is in flight. */
static void a_child_that_reads_its_own_stays_with_its_request(void **state)
{
	struct fp_event event;

	two_in_flight(state);
	enter_by_assist(state, NODE, id_1);
	forked(state, NODE, 1, CHILD);
	on_pipe(state, FP_EVENT_TYPE_OPEN, CHILD, 71, 0);
	event = on_pipe(state, FP_EVENT_TYPE_READ, CHILD, 71, 0);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_DESCRIPTOR, 1);
	event = do_write(state, CHILD, CHILD, 0);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_INHERITED, 1);
	/* a worker that reads what another request sent it may be at work for either */
	enter_by_assist(state, NODE, id_2);
	on_pipe(state, FP_EVENT_TYPE_OPEN, NODE, 72, 2);
	on_pipe(state, FP_EVENT_TYPE_READ, CHILD, 72, 1);
	event = do_write(state, CHILD, CHILD, 1);
	assert_int_equal(event.attribution, FP_ATTRIBUTION_AMBIGUOUS);
}

static void a_fork_modes_child_is_exact(void **state)
{
	struct fp_event event;

	hello(state);
	begin(state, 1);
	begin(state, 2);
	send_mark(state, make_mark(WATCHDOG, FP_MARK_CHILD, 2), 0);
	forked(state, WATCHDOG, 0, CHILD);
	send_mark(state, make_mark(WATCHDOG, FP_MARK_CHILD, 0), 0);
	forked(state, WATCHDOG, 0, CHILD + 1);
	event = do_write(state, CHILD, CHILD, 0);
	assert_note(&event, FP_ATTRIBUTION_EXACT, FP_RULE_CHILD, 2);
	event = do_write(state, CHILD + 1, CHILD + 1, 0);
	assert_note(&event, FP_ATTRIBUTION_AMBIGUOUS, FP_RULE_IN_FLIGHT, 0);
}

static void only_the_watchdog_may_mark(void **state)
{
	struct fp_event event;

	hello(state);
	begin(state, 1);
	event = make_mark(NODE, FP_MARK_BEGIN, 9);
	assert_int_equal(note(state, &event), 1);
	assert_int_equal(event.type, FP_EVENT_TYPE_REFUSED);
	assert_true(event.refused.len > 0);
	event = make_mark(NODE, FP_MARK_END, 1);
	assert_int_equal(note(state, &event), 1);
	assert_int_equal(event.type, FP_EVENT_TYPE_REFUSED);
	/* the forged end changed nothing */
	event = do_write(state, NODE, NODE, 1);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 1);
	event = make_mark(NODE, FP_MARK_HELLO, 0);
	note(state, &event);
	assert_int_equal(event.type, FP_EVENT_TYPE_REFUSED);
	assert_int_equal(fp_attributor_stats(*state)->refused, 3);
}

static void count_watchdog(void *arg, const struct fp_event *event)
{
	assert_int_equal(event->tgid, WATCHDOG);
	++*(unsigned *)arg;
}

/* Whom it is told of is left out of the recording: nobody who only says so, and the watchdog once. */
static void only_the_watchdog_is_told(void **state)
{
	struct fp_event event = make_mark(NODE, FP_MARK_HELLO, 0);
	unsigned told = 0;

	fp_attributor_set_watchdog_fn(*state, count_watchdog, &told);
	note(state, &event);
	assert_int_equal(told, 0);
	hello(state);
	begin(state, 1);
	event = make_mark(NODE, FP_MARK_HELLO, 0);
	note(state, &event);
	assert_int_equal(told, 1);
}

static bool is_refused(void **state, struct fp_event event)
{
	assert_in_range(note(state, &event), 0, 1);
	return event.type == FP_EVENT_TYPE_REFUSED;
}

/* Who is believed can make what is `exact`; so nobody becomes a watchdog but the container's first process. */
static void no_function_becomes_a_watchdog(void **state)
{
	struct fp_event exit_event = make_event(FP_EVENT_TYPE_EXIT, WATCHDOG, WATCHDOG, 0);

	/* the agent came late, and the function speaks first */
	assert_true(is_refused(state, make_mark(NODE, FP_MARK_HELLO, 0)));
	assert_true(is_refused(state, make_mark(NODE, FP_MARK_BEGIN, 1)));
	begin(state, 1);
	end(state, 1);
	/* the watchdog has gone, and the function would be its heir */
	exit_event.flags = 1;
	note(state, &exit_event);
	assert_true(is_refused(state, make_mark(NODE, FP_MARK_HELLO, 0)));
	assert_true(is_refused(state, make_mark(NODE, FP_MARK_BEGIN, 2)));
}

/* A first process that is seen from its beginning and says no HELLO is no watchdog that marks. */
static void who_said_no_hello_marks_nothing(void **state)
{
	struct fp_event exec = make_event(FP_EVENT_TYPE_EXEC, WATCHDOG, WATCHDOG, 0);

	exec.ns_tgid = 1;
	note(state, &exec);
	assert_true(is_refused(state, make_mark(WATCHDOG, FP_MARK_BEGIN, 1)));
	hello(state);
	begin(state, 1);
}

static void marks_that_make_no_sense_are_refused(void **state)
{
	struct fp_event event;

	hello(state);
	event = make_mark(WATCHDOG, FP_MARK_END, 5);
	note(state, &event);
	assert_int_equal(event.type, FP_EVENT_TYPE_REFUSED);
	begin(state, 5);
	event = make_mark(WATCHDOG, FP_MARK_BEGIN, 5);
	note(state, &event);
	assert_int_equal(event.type, FP_EVENT_TYPE_REFUSED);
	event = make_mark(WATCHDOG, FP_MARK_BEGIN, 6);
	event.details = (struct fp_str){"\x01\xff\xff", 3};
	note(state, &event);
	assert_int_equal(event.type, FP_EVENT_TYPE_REFUSED);
	event = make_mark(WATCHDOG, FP_MARK_BEGIN, 7);
	event.mark = 9 << 8 | FP_MARK_BEGIN;
	note(state, &event);
	assert_int_equal(event.type, FP_EVENT_TYPE_REFUSED);
}

/* After a loss a mark may be missing: what it could have changed is no longer exact. */
static void loss_makes_us_doubt(void **state)
{
	struct fp_event event;

	two_in_flight(state);
	read_request(state, 1, 40000);
	fp_attributor_doubt(*state, CGROUP);
	event = do_write(state, NODE, NODE, 1);
	assert_note(&event, FP_ATTRIBUTION_AMBIGUOUS, FP_RULE_IN_FLIGHT, 0);
	event = make_request_read(1, 40001, 10, 60);
	note(state, &event);
	assert_int_equal(event.attribution, FP_ATTRIBUTION_AMBIGUOUS);
}

/* --- what is in flight after a loss -------------------------------------------------- */

/* The mark of a watchdog that tells how many are in flight then. */
static struct fp_event numbered(unsigned mark, unsigned id, unsigned in_flight)
{
	static char details[4];
	struct fp_event event = make_mark(WATCHDOG, mark, id);

	details[0] = FP_MARK_KEY_IN_FLIGHT;
	details[1] = 1;
	details[3] = (char)('0' + in_flight);
	event.details = (struct fp_str){details, sizeof(details)};
	return event;
}

static void assert_write(void **state, enum fp_attribution attribution, enum fp_rule rule, unsigned id)
{
	struct fp_event event = do_write(state, NODE, NODE, 5);

	assert_note(&event, attribution, rule, id);
}

/* Another can be in flight, whose begin is missing; until the watchdog says that there is none. */
static void the_only_one_is_that_by_the_watchdogs_number(void **state)
{
	hello(state);
	send_mark(state, numbered(FP_MARK_BEGIN, 1, 1), 1);
	assert_write(state, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 1);
	fp_attributor_doubt(*state, CGROUP);
	assert_write(state, FP_ATTRIBUTION_AMBIGUOUS, FP_RULE_LEFT_BEHIND, 0);
	send_mark(state, numbered(FP_MARK_END, 1, 1), 1); /* there is one of which nothing is known, however long it takes */
	test_time += 31000000000;
	send_mark(state, numbered(FP_MARK_BEGIN, 2, 2), 1);
	assert_write(state, FP_ATTRIBUTION_AMBIGUOUS, FP_RULE_LEFT_BEHIND, 0);
	send_mark(state, numbered(FP_MARK_END, 2, 1), 1);
	send_mark(state, numbered(FP_MARK_END, 3, 0), 0);
	send_mark(state, numbered(FP_MARK_BEGIN, 4, 1), 1);
	assert_write(state, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 4);
}

static void an_event_loops_only_one_is_not_certain_either(void **state)
{
	struct fp_event event;

	hello(state);
	send_mark(state, numbered(FP_MARK_BEGIN, 1, 1), 1);
	fp_attributor_doubt(*state, CGROUP);
	send_mark(state, make_connection_mark(1, 40000, 0), 0);
	event = make_request_read(5, 40000, 50, 50);
	note(state, &event);
	assert_note(&event, FP_ATTRIBUTION_EXACT, FP_RULE_CONNECTION, 1);
	assert_write(state, FP_ATTRIBUTION_AMBIGUOUS, FP_RULE_LEFT_BEHIND, 0);
}

/* That one has ended is lost, but not that a later one is alone. */
static void one_whose_end_was_lost_stays_in_flight_until_another_is_alone(void **state)
{
	hello(state);
	send_mark(state, numbered(FP_MARK_BEGIN, 1, 1), 1);
	fp_attributor_doubt(*state, CGROUP);
	send_mark(state, numbered(FP_MARK_BEGIN, 2, 1), 1);
	assert_write(state, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
	fp_attributor_doubt(*state, CGROUP);
	send_mark(state, numbered(FP_MARK_END, 3, 0), 0);
	assert_write(state, FP_ATTRIBUTION_NONE, FP_RULE_NONE, 0);
}

/* Where one was not lost, it is no watchdog's way to end what has not begun. */
static void one_whose_begin_was_lost_is_known_by_its_other_marks(void **state)
{
	struct fp_event event;

	hello(state);
	send_mark(state, numbered(FP_MARK_BEGIN, 1, 1), 1);
	send_mark(state, make_mark(WATCHDOG, FP_MARK_CONNECTION, 2), 1); /* refused */
	fp_attributor_doubt(*state, CGROUP);
	send_mark(state, make_mark(WATCHDOG, FP_MARK_CONNECTION, 2), 0);
	event = do_write(state, NODE, NODE, 5);
	assert_both_named(&event);
	event = numbered(FP_MARK_END, 2, 1);
	assert_int_equal(note(state, &event), 1);
	assert_int_equal(event.type, FP_EVENT_TYPE_END);
	send_mark(state, numbered(FP_MARK_END, 3, 1), 0);
	send_mark(state, numbered(FP_MARK_END, 1, 0), 1);
	event = numbered(FP_MARK_END, 3, 0);
	note(state, &event);
	assert_int_equal(event.type, FP_EVENT_TYPE_REFUSED);
}

/* Nor does the runtime lie about what may have begun. */
static void who_names_one_whose_begin_was_lost_is_no_liar(void **state)
{
	struct fp_event event;

	two_in_flight(state);
	fp_attributor_doubt(*state, CGROUP);
	assert_int_equal(enter_by_assist(state, NODE, id_2), 0);
	assert_int_equal(enter_by_assist(state, NODE, id_9), 0);
	event = do_write(state, NODE, NODE, 5);
	assert_both_named(&event);
}

/* An event names no more than it has room for. */
static void assert_named(const struct fp_event *event, unsigned most)
{
	assert_int_equal(event->attribution, FP_ATTRIBUTION_AMBIGUOUS);
	assert_in_range(event->candidates.len, FP_REQUEST_ID_SIZE, most * FP_REQUEST_ID_SIZE);
	assert_true(event->candidates.len <= FP_STR_MAX);
}

/* When the ends of many were lost, those that begin after that are not the ones that find no room. */
static void many_whose_ends_were_lost_make_room(void **state)
{
	struct fp_event event;

	hello(state);
	begin(state, 1000);
	send_mark(state, make_connection_mark(1000, 40000, 0), 0);
	event = make_request_read(5, 40000, 50, 50);
	note(state, &event);
	end(state, 1000);
	for (unsigned id = 1; id <= FP_IN_FLIGHT_MAX; id++)
		begin(state, id);
	event = do_write(state, NODE, NODE, 5); /* those in flight, and the one that it has read of */
	assert_named(&event, FP_IN_FLIGHT_MAX);
	assert_memory_equal(event.candidates.data + event.candidates.len - 2, "\x03\xe8", 2);
	assert_int_equal(enter_by_assist(state, NODE, id_2), 0);
	forked(state, NODE, 0, CHILD);
	event = make_event(FP_EVENT_TYPE_READ, CHILD, CHILD, 1); /* those, and the ones that ended last */
	event.object = FP_OBJECT_PIPE;
	event.bytes = 1;
	note(state, &event);
	assert_named(&event, FP_IN_FLIGHT_MAX);
	assert_int_equal(enter_by_assist(state, NODE, id_none), 0);
	fp_attributor_doubt(*state, CGROUP);
	for (unsigned id = FP_IN_FLIGHT_MAX + 1; id < FP_IN_FLIGHT_MAX + 20; id++) {
		begin(state, id);
		send_mark(state, make_connection_mark(id, 40000, 50), 0);
	}
	event = make_request_read(6, 40000, 50, 100);
	note(state, &event);
	assert_note(&event, FP_ATTRIBUTION_EXACT, FP_RULE_CONNECTION, (FP_IN_FLIGHT_MAX + 19) & 0xff);
	event = do_write(state, NODE, NODE, 6);
	assert_named(&event, FP_IN_FLIGHT_MAX);
	assert_int_equal(enter_by_assist(state, NODE, "0123456789abcdef0000000000000113"), 0);
	assert_write(state, FP_ATTRIBUTION_DERIVED, FP_RULE_ASSIST, (FP_IN_FLIGHT_MAX + 19) & 0xff);
}

/* Of a watchdog that tells no number a request lasts no longer than it may. */
static void without_a_number_time_decides(void **state)
{
	hello(state);
	begin(state, 1);
	end(state, 1);
	fp_attributor_doubt(*state, CGROUP);
	begin(state, 2);
	assert_write(state, FP_ATTRIBUTION_AMBIGUOUS, FP_RULE_LEFT_BEHIND, 0);
	end(state, 2);
	test_time += 31000000000;
	begin(state, 3);
	assert_write(state, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 3);
}

static void the_watchdogs_own_work_is_no_requests(void **state)
{
	struct fp_event event;

	hello(state);
	begin(state, 1);
	event = make_event(FP_EVENT_TYPE_OPEN, WATCHDOG, WATCHDOG + 1, 1);
	assert_int_equal(note(state, &event), 1);
	assert_note(&event, FP_ATTRIBUTION_NONE, FP_RULE_NONE, 0);
	/* and what it only passes on is not told twice */
	event = make_event(FP_EVENT_TYPE_WRITE, WATCHDOG, WATCHDOG + 1, 1);
	assert_int_equal(note(state, &event), 0);
}

static void the_end_of_an_idle_connection_enters_nothing(void **state)
{
	struct fp_event event;

	hello(state);
	begin(state, 1);
	send_mark(state, make_connection_mark(1, 40000, 0), 0);
	read_request(state, 1, 40000);
	on_socket(state, FP_EVENT_TYPE_SEND, 42, 1);
	end(state, 1);
	begin(state, 2);
	send_mark(state, make_connection_mark(2, 40001, 0), 0);
	read_request(state, 2, 40001);
	event = make_event(FP_EVENT_TYPE_RECEIVE, NODE, NODE, 3);
	set_connection(&event, 42, 50000, 8080);
	note(state, &event);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_DESCRIPTOR, 1);
	event = do_write(state, NODE, NODE, 3);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, 2);
}

static void an_effect_can_have_come_since_the_threads_last_call(void **state)
{
	struct fp_event first = make_event(FP_EVENT_TYPE_READ, NODE, NODE, 1), second;

	note(state, &first);
	assert_int_equal(first.start, first.time);
	second = make_event(FP_EVENT_TYPE_WRITE, NODE, NODE, 1);
	note(state, &second);
	assert_int_equal(second.start, first.time);
	test_time += 10000000000;
	second = make_event(FP_EVENT_TYPE_WRITE, NODE, NODE, 1);
	note(state, &second);
	assert_true(second.start > first.time && second.start < second.time);
}

static void a_whole_run_is_one_request(void **state)
{
	uint8_t id[FP_REQUEST_ID_SIZE] = {[15] = 7};
	struct fp_event event;

	fp_attributor_set_whole_run(*state, id);
	event = do_write(state, NODE, NODE, 1);
	assert_note(&event, FP_ATTRIBUTION_EXACT, FP_RULE_WHOLE_RUN, 7);
}

static struct fp_event unix_event(enum fp_event_type type, uint64_t ino, uint64_t place, uint64_t other_place)
{
	struct fp_event event = make_event(type, NODE, NODE, 1);

	event.ino = event.local_lo = ino;
	event.family = 1;
	event.tx_base = place;
	event.rx_base = other_place;
	return event;
}

/* Who sent and left before anybody accepted is known by where it lay; the places themselves are not told. */
static void a_unix_peer_that_has_gone_is_known(void **state)
{
	struct fp_event connect = unix_event(FP_EVENT_TYPE_CONNECT, 10, 0xa000, 0);
	struct fp_event accept = unix_event(FP_EVENT_TYPE_ACCEPT, 20, 0xb000, 0xa000);
	struct fp_event receive = unix_event(FP_EVENT_TYPE_RECEIVE, 20, 0xb000, 0);
	struct fp_event stranger = unix_event(FP_EVENT_TYPE_ACCEPT, 30, 0xc000, 0xd000);
	struct fp_event shut = unix_event(FP_EVENT_TYPE_SHUTDOWN, 10, 0xa000, 0xb000);

	note(state, &connect);
	assert_int_equal(connect.remote_lo, 0);
	note(state, &accept);
	assert_int_equal(accept.remote_lo, 10);
	note(state, &receive);
	assert_int_equal(receive.remote_lo, 10);
	note(state, &stranger);
	assert_int_equal(stranger.remote_lo, 0);
	note(state, &shut);
	assert_int_equal(connect.tx_base | accept.tx_base | accept.rx_base | shut.tx_base | shut.rx_base, 0);
}

/* The watchdog made the process for one request: no word of the function changes that. */
static void the_assist_cannot_lend_a_requests_own_process(void **state)
{
	struct fp_event event;

	hello(state);
	begin(state, 1);
	begin(state, 2);
	send_mark(state, make_mark(WATCHDOG, FP_MARK_CHILD, 2), 0);
	forked(state, WATCHDOG, 0, NODE);
	assert_int_equal(enter_by_assist(state, NODE, id_2), 0);
	assert_int_equal(enter_by_assist(state, NODE, id_1), 1);
	event = do_write(state, NODE, NODE, 0);
	assert_note(&event, FP_ATTRIBUTION_EXACT, FP_RULE_CHILD, 2);
}

/* --- a word against the kernel's evidence: who has read of the request ------------- */

enum { WORKER_A = 400, WORKER_B = 500, GRANDCHILD = 600 };

/* The process names request 2, which process `reader` has read; is that refused? */
static int names_the_second(void **state, uint64_t tgid)
{
	struct fp_event event = make_mark(tgid, FP_MARK_ENTER, 2);
	int keep;

	event.details = (struct fp_str){0};
	keep = note(state, &event);
	assert_int_equal(keep, event.type == FP_EVENT_TYPE_REFUSED);
	if (keep)
		assert_non_null(memmem(event.refused.data, event.refused.len, "has read nothing", 16));
	return keep;
}

static void receive_by(void **state, uint64_t tgid, unsigned port)
{
	struct fp_event event = make_request_read(1, port, 50, 50);

	event.tgid = event.tid = event.process_start = tgid;
	note(state, &event);
}

/* A server of several processes, of which A reads request 1 and B request 2. */
static void server_of_two(void **state)
{
	two_in_flight(state);
	forked(state, WATCHDOG, 0, NODE);
	forked(state, NODE, 0, WORKER_A);
	forked(state, NODE, 0, WORKER_B);
	receive_by(state, WORKER_A, 40000);
	receive_by(state, WORKER_B, 40001);
}

static void who_has_not_read_cannot_know(void **state)
{
	struct fp_event event;

	server_of_two(state);
	forked(state, WORKER_B, 0, GRANDCHILD);
	assert_int_equal(names_the_second(state, WORKER_B), 0);
	assert_int_equal(names_the_second(state, GRANDCHILD), 0);
	event = do_write(state, WORKER_A, WORKER_A, 1);
	assert_both_named(&event);
	assert_int_equal(names_the_second(state, WORKER_A), 1);
	/* nothing of it is believed, and the other's word counts as before */
	event = do_write(state, WORKER_A, WORKER_A, 1);
	assert_both_named(&event);
	event = do_write(state, WORKER_B, WORKER_B, 9);
	assert_note(&event, FP_ATTRIBUTION_DERIVED, FP_RULE_ASSIST, 2);
	/* its parent, which has not read it either */
	assert_int_equal(names_the_second(state, NODE), 1);
	end(state, 2);
	assert_int_equal(names_the_second(state, WORKER_A), 1);
}

/* A pool of processes: the parent reads, after they were made. */
static void a_parent_reads_for_its_children(void **state)
{
	two_in_flight(state);
	forked(state, WATCHDOG, 0, NODE);
	forked(state, NODE, 0, WORKER_A);
	receive_by(state, NODE, 40001);
	assert_int_equal(names_the_second(state, WORKER_A), 0);
}

/* A server that another one in the container asks has the head from there. */
static void who_is_asked_by_others_may_know(void **state)
{
	struct fp_event event;

	server_of_two(state);
	event = make_event(FP_EVENT_TYPE_ACCEPT, WORKER_A, WORKER_A, 1);
	set_connection(&event, 7000, 9000, 50000);
	note(state, &event);
	event.type = FP_EVENT_TYPE_RECEIVE;
	note(state, &event); /* its end */
	assert_int_equal(names_the_second(state, WORKER_A), 1);
	event.bytes = 100;
	note(state, &event);
	assert_int_equal(names_the_second(state, WORKER_A), 0);
}

static void an_answer_is_no_question(void **state)
{
	struct fp_event event;

	server_of_two(state);
	event = make_event(FP_EVENT_TYPE_CONNECT, WORKER_A, WORKER_A, 1);
	set_connection(&event, 7000, 50000, 3306);
	note(state, &event);
	event.type = FP_EVENT_TYPE_RECEIVE;
	event.bytes = 100;
	note(state, &event);
	assert_int_equal(names_the_second(state, WORKER_A), 1);
}

/* Where something can have been missed, nobody is called a liar. */
static void what_is_not_known_refutes_nobody(void **state)
{
	server_of_two(state);
	assert_int_equal(names_the_second(state, GRANDCHILD), 0); /* whose child it is was not seen */
	assert_int_equal(names_the_second(state, WORKER_A), 1);
	fp_attributor_doubt(*state, CGROUP);
	assert_int_equal(names_the_second(state, WORKER_A), 0);
}

static void unread_is_not_judged(void **state)
{
	two_in_flight(state);
	forked(state, WATCHDOG, 0, NODE);
	assert_int_equal(names_the_second(state, NODE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(startup_then_background),
		TEST(begin_carries_its_details),
		TEST(connection_is_exact_and_follows_bytes),
		TEST(another_stream_on_the_same_ports_is_not_exact),
		TEST(bytes_before_the_mark_are_not_the_requests),
		TEST(stream_offsets_wrap),
		TEST(a_turn_belongs_to_what_was_read_in_it),
		TEST(a_turn_of_ended_work_is_not_the_next_requests),
		TEST(a_blocking_thread_works_for_the_connection_it_read),
		TEST(the_assist_tells_what_the_kernel_cannot),
		TEST(who_names_one_that_nobody_knows_left_the_one_before),
		TEST(the_assist_is_bounded_and_overruled),
		TEST(answers_bring_the_context_back),
		TEST(pooled_connections_change_hands),
		TEST(shared_connections_are_nobodys),
		TEST_ONCE(what_was_not_saved_is_not_believed),
		TEST_ONCE(what_is_saved_is_checked),
		TEST(a_pipe_is_its_makers),
		TEST(children_inherit_for_life),
		TEST(a_child_that_reads_its_own_stays_with_its_request),
		TEST(a_fork_modes_child_is_exact),
		TEST(only_the_watchdog_may_mark),
		TEST_ONCE(only_the_watchdog_is_told),
		TEST(no_function_becomes_a_watchdog),
		TEST(who_said_no_hello_marks_nothing),
		TEST(marks_that_make_no_sense_are_refused),
		TEST(loss_makes_us_doubt),
		TEST(the_only_one_is_that_by_the_watchdogs_number),
		TEST(an_event_loops_only_one_is_not_certain_either),
		TEST(one_whose_end_was_lost_stays_in_flight_until_another_is_alone),
		TEST(one_whose_begin_was_lost_is_known_by_its_other_marks),
		TEST(who_names_one_whose_begin_was_lost_is_no_liar),
		TEST(many_whose_ends_were_lost_make_room),
		TEST(without_a_number_time_decides),
		TEST(the_watchdogs_own_work_is_no_requests),
		TEST(the_end_of_an_idle_connection_enters_nothing),
		TEST_ONCE(an_effect_can_have_come_since_the_threads_last_call) /* after a restart: since longer ago */,
		TEST(a_unix_peer_that_has_gone_is_known),
		TEST_ONCE(a_whole_run_is_one_request),
		TEST(the_assist_cannot_lend_a_requests_own_process),
		TEST(who_has_not_read_cannot_know),
		TEST(a_parent_reads_for_its_children),
		TEST(who_is_asked_by_others_may_know),
		TEST(an_answer_is_no_question),
		TEST(what_is_not_known_refutes_nobody),
		TEST(unread_is_not_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Bytes that went through nobody knows which descriptor: what that concerns is in doubt, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/attribute.h"
#include "agent/bpf/shared.h"
#include "agent/pipeline.h"
#include "agent/tests/events.h"
#include "agent/tests/killed.h"

enum { ANOTHER = NODE + 1, THIRD = NODE + 2, PIPE = 70, UNIX = 80, ONE = 42, OTHER = 43, WORKER = 400 };

static int note(void **state, struct fp_event *event)
{
	int r;

	go_on_if_killed(state);
	r = fp_attributor_note(*state, event);
	assert_true(r >= 0);
	return r;
}

static void mark(void **state, unsigned kind, unsigned id)
{
	struct fp_event event = make_mark(WATCHDOG, kind, id);

	note(state, &event);
}

static void mark_connection(void **state, unsigned id, unsigned port, uint32_t written)
{
	struct fp_event event = make_connection_mark(id, port, written);

	note(state, &event);
}

static struct fp_event request_read(uint64_t tid, unsigned port, uint32_t bytes, uint32_t end)
{
	struct fp_event event = make_request_read(1, port, bytes, end);

	event.tid = tid;
	event.flags = 2; /* it blocks */
	return event;
}

/* Two threads, each of which has read one of the two requests in flight. */
static void two_threads(void **state)
{
	struct fp_event event;

	mark(state, FP_MARK_HELLO, 0);
	for (unsigned i = 0; i < 2; i++) {
		mark(state, FP_MARK_BEGIN, i + 1);
		mark_connection(state, i + 1, 40000 + i, 0);
		event = request_read(NODE + i, 40000 + i, 50, 50);
		note(state, &event);
		assert_int_equal(event.attribution, FP_ATTRIBUTION_EXACT);
	}
}

static void work(void **state, uint64_t tgid, uint64_t tid, unsigned id)
{
	struct fp_event event = make_mark(tgid, FP_MARK_ENTER, id);

	event.tid = tid;
	event.details = (struct fp_str){0};
	note(state, &event);
}

static void assert_is(const struct fp_event *event, enum fp_attribution attribution, unsigned id)
{
	assert_string_equal(fp_attribution_name((unsigned)event->attribution), fp_attribution_name(attribution));
	assert_int_equal(last_byte(event->request), id);
}

/* What a thread does else is certainly this request's; 0: it is any of theirs. */
static void assert_works_for(void **state, uint64_t tid, unsigned id)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_UNLINK, NODE, tid, 1);

	note(state, &event);
	assert_is(&event, id ? FP_ATTRIBUTION_DERIVED : FP_ATTRIBUTION_AMBIGUOUS, id);
}

/* A file or a pipe that was closed meanwhile: nothing is known of it. */
static int move_unknown(void **state, enum fp_event_type type, uint64_t tid)
{
	struct fp_event event = make_event(type, NODE, tid, 1);

	event.fd = 9 | FP_FD_IN_DOUBT;
	event.object = FP_OBJECT_OTHER;
	event.bytes = 10;
	return note(state, &event);
}

static void only_who_read_it_may_work_for_another(void **state)
{
	two_threads(state);
	assert_int_equal(move_unknown(state, FP_EVENT_TYPE_READ, NODE), 0);
	assert_works_for(state, NODE, 0);
	assert_works_for(state, ANOTHER, 2);
}

static void who_wrote_it_works_for_the_same(void **state)
{
	two_threads(state);
	assert_int_equal(move_unknown(state, FP_EVENT_TYPE_WRITE, NODE), 0);
	assert_works_for(state, NODE, 1);
	assert_works_for(state, ANOTHER, 2);
}

static void what_the_runtime_says_stands(void **state)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_READ, NODE, THIRD, 1);

	two_threads(state);
	work(state, NODE, THIRD, 2);
	move_unknown(state, FP_EVENT_TYPE_READ, THIRD);
	assert_works_for(state, THIRD, 2);
	/* a file that its number stands for by now: told as that, as the thread's */
	event.time = event.start = test_time += 1000;
	event.fd = 9 | FP_FD_IN_DOUBT;
	event.object = FP_OBJECT_FILE;
	event.bytes = 10;
	assert_int_equal(note(state, &event), 1);
	assert_int_equal(event.fd, 9);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 2);
}

/* The process that the watchdog made for it stays the request's. */
static void a_fork_modes_child_stays_exact(void **state)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_FORK, WATCHDOG, WATCHDOG, 0);

	mark(state, FP_MARK_HELLO, 0);
	mark(state, FP_MARK_BEGIN, 1);
	mark(state, FP_MARK_BEGIN, 2);
	mark(state, FP_MARK_CHILD, 2);
	event.child_tgid = event.child_tid = event.child_start = NODE;
	note(state, &event);
	move_unknown(state, FP_EVENT_TYPE_READ, NODE);
	event = make_event(FP_EVENT_TYPE_UNLINK, NODE, NODE, 1);
	note(state, &event);
	assert_is(&event, FP_ATTRIBUTION_EXACT, 2);
}

/* A stream's own numbers say that the bytes were its. */
static void what_a_stream_proves_is_no_doubt(void **state)
{
	struct fp_event event;

	two_threads(state);
	mark(state, FP_MARK_END, 1);
	mark(state, FP_MARK_BEGIN, 3);
	mark_connection(state, 3, 40000, 50);
	event = request_read(NODE, 40000, 30, 80);
	event.fd = 9 | FP_FD_IN_DOUBT;
	event.payload = (struct fp_str){"GET", 3};
	note(state, &event);
	assert_is(&event, FP_ATTRIBUTION_EXACT, 3);
	assert_int_equal(event.payload.len, 3);
	assert_works_for(state, NODE, 3);
	assert_works_for(state, ANOTHER, 2);
}

/* Bytes that do not follow are not its own, nor is their content. */
static void what_a_stream_does_not_prove_is(void **state)
{
	struct fp_event event;

	two_threads(state);
	mark(state, FP_MARK_END, 1);
	mark(state, FP_MARK_BEGIN, 3);
	mark_connection(state, 3, 40000, 50);
	event = request_read(NODE, 40000, 30, 70);
	event.fd = 9 | FP_FD_IN_DOUBT;
	event.payload = (struct fp_str){"GET", 3};
	note(state, &event);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
	assert_int_equal(event.payload.len, 0);
	assert_works_for(state, NODE, 0);
	/* who only looks moves no number */
	event = request_read(ANOTHER, 40001, 30, 80);
	event.fd = 9 | FP_FD_IN_DOUBT;
	event.flags |= FP_RECEIVE_PEEKED;
	note(state, &event);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
}

/* The read of the second request on a connection was lost: its answer is not the first's. */
static void an_answer_after_a_lost_question_is_not_the_last_ones(void **state)
{
	struct fp_event event;

	two_threads(state);
	mark(state, FP_MARK_END, 1);
	mark(state, FP_MARK_BEGIN, 3);
	mark_connection(state, 3, 40000, 50);
	move_unknown(state, FP_EVENT_TYPE_READ, NODE);
	event = make_event(FP_EVENT_TYPE_SEND, NODE, NODE, 1);
	set_connection(&event, 6000 + 40000, 3000, 40000);
	event.rx_base = 100;
	event.rx_end = 180;
	event.tx_base = 700;
	event.tx_end = 720;
	event.bytes = 20;
	note(state, &event);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
	/* the other connection's next bytes follow its last ones: nothing of it is missing */
	event = make_event(FP_EVENT_TYPE_SEND, NODE, THIRD, 1);
	set_connection(&event, 6000 + 40001, 3000, 40001);
	event.rx_base = 100;
	event.rx_end = 150;
	event.tx_base = 700;
	event.tx_end = 720;
	event.bytes = 20;
	note(state, &event);
	assert_is(&event, FP_ATTRIBUTION_EXACT, 2);
}

/* A connection that the function made; `sent` and `received` bytes of it in all, this one included. */
static struct fp_event on_connection(void **state, enum fp_event_type type, uint64_t ino, uint64_t tid, uint32_t sent,
				     uint32_t received)
{
	struct fp_event event = make_event(type, NODE, tid, 1);

	set_connection(&event, ino, (unsigned)(50000 + ino), 8080);
	event.tx_base = 1000;
	event.tx_end = 1000 + sent;
	event.rx_base = 2000;
	event.rx_end = 2000 + received;
	event.bytes = type == FP_EVENT_TYPE_CONNECT || type == FP_EVENT_TYPE_ACCEPT ? 0 : 10;
	note(state, &event);
	return event;
}

/* Another request asked on a connection, and that was lost: what comes back is anybody's there, and its own elsewhere. */
static void only_where_bytes_are_missing_another_may_have_asked(void **state)
{
	struct fp_event event;

	two_threads(state);
	for (uint64_t ino = ONE; ino <= OTHER; ino++) {
		on_connection(state, FP_EVENT_TYPE_CONNECT, ino, NODE, 0, 0);
		on_connection(state, FP_EVENT_TYPE_SEND, ino, NODE, 10, 0);
	}
	move_unknown(state, FP_EVENT_TYPE_WRITE, ANOTHER);
	event = on_connection(state, FP_EVENT_TYPE_RECEIVE, ONE, THIRD, 20, 10);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
	event = on_connection(state, FP_EVENT_TYPE_RECEIVE, OTHER, THIRD, 10, 10);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 1);
	/* and it stays so: answers may still be on their way */
	on_connection(state, FP_EVENT_TYPE_SEND, ONE, NODE, 30, 10);
	event = on_connection(state, FP_EVENT_TYPE_RECEIVE, ONE, THIRD, 30, 20);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
}

static struct fp_event on_unix(void **state, enum fp_event_type type, uint64_t tid)
{
	struct fp_event event = make_event(type, NODE, tid, 1);

	event.family = 1;
	event.ino = event.local_lo = UNIX;
	event.bytes = 10;
	note(state, &event);
	return event;
}

/* Of a unix socket no number tells: each that was written to can have been the one. */
static void any_unix_socket_can_have_been_written_to(void **state)
{
	struct fp_event event;

	two_threads(state);
	on_unix(state, FP_EVENT_TYPE_SEND, NODE);
	move_unknown(state, FP_EVENT_TYPE_READ, ANOTHER);
	event = on_unix(state, FP_EVENT_TYPE_RECEIVE, THIRD);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 1);
	on_unix(state, FP_EVENT_TYPE_SEND, NODE);
	move_unknown(state, FP_EVENT_TYPE_WRITE, ANOTHER);
	event = on_unix(state, FP_EVENT_TYPE_RECEIVE, THIRD);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
	/* but one that was made since */
	on_unix(state, FP_EVENT_TYPE_SOCKET, NODE);
	on_unix(state, FP_EVENT_TYPE_SEND, NODE);
	event = on_unix(state, FP_EVENT_TYPE_RECEIVE, THIRD);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 1);
}

/* Where nobody marks: a head that was read is known, whatever was missed on its connection before. */
static void a_head_says_whose_its_connection_is(void **state)
{
	static const struct fp_asked asked = {.call_id = {"a", 1}, .method = {"GET", 3}, .url = {"/", 1}};
	struct fp_event made[FP_ASKED_EVENTS], event;

	for (uint64_t ino = ONE; ino <= OTHER; ino++)
		on_connection(state, FP_EVENT_TYPE_ACCEPT, ino, NODE, 0, 0);
	move_unknown(state, FP_EVENT_TYPE_READ, THIRD);
	for (uint64_t ino = ONE; ino <= OTHER; ino++) {
		event = make_event(FP_EVENT_TYPE_RECEIVE, NODE, NODE, 1);
		set_connection(&event, ino, (unsigned)(50000 + ino), 8080);
		event.remote_lo = 0xffffc6120001; /* from outside */
		event.rx_base = 2000;
		event.rx_end = 2030;
		event.bytes = 10;
		assert_int_equal(fp_attributor_asked(*state, &event, &asked, made), 1);
		assert_int_equal(fp_attributor_note(*state, &event), 1);
		assert_int_equal(event.rule, FP_RULE_HEADER);
		assert_int_equal(event.attribution, FP_ATTRIBUTION_DERIVED);
	}
}

static struct fp_event on_pipe(void **state, enum fp_event_type type, uint64_t tgid, uint64_t tid)
{
	struct fp_event event = make_event(type, tgid, tid, 1);

	event.object = FP_OBJECT_PIPE;
	event.ino = PIPE;
	event.bytes = type == FP_EVENT_TYPE_OPEN ? 0 : 10;
	note(state, &event);
	return event;
}

/* A worker reads what the runtime's thread wrote for request 2, if no byte of the pipe can be missing. */
static struct fp_event orders_of_a_worker(void **state, int is_lost)
{
	struct fp_event event;

	two_threads(state);
	work(state, NODE, THIRD, 1);
	on_pipe(state, FP_EVENT_TYPE_OPEN, NODE, THIRD);
	event = make_event(FP_EVENT_TYPE_FORK, NODE, THIRD, 1);
	event.child_tgid = event.child_tid = event.child_start = WORKER;
	note(state, &event);
	on_pipe(state, FP_EVENT_TYPE_WRITE, NODE, THIRD);
	event = on_pipe(state, FP_EVENT_TYPE_READ, WORKER, WORKER);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 1);
	if (is_lost)
		move_unknown(state, FP_EVENT_TYPE_WRITE, ANOTHER);
	work(state, NODE, THIRD, 2);
	on_pipe(state, FP_EVENT_TYPE_WRITE, NODE, THIRD);
	return on_pipe(state, FP_EVENT_TYPE_READ, WORKER, WORKER);
}

static void pipes_lose_count(void **state)
{
	struct fp_event event = orders_of_a_worker(state, 1);

	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
}

static void pipes_keep_count_otherwise(void **state)
{
	struct fp_event event = orders_of_a_worker(state, 0);

	assert_is(&event, FP_ATTRIBUTION_DERIVED, 2);
}

/* Who has read ahead of what is told is not caught up with once count is lost: the write that comes can be another. */
static void nobody_is_caught_up_with_after_that(void **state)
{
	struct fp_event event;

	two_threads(state);
	work(state, NODE, THIRD, 1);
	on_pipe(state, FP_EVENT_TYPE_OPEN, NODE, THIRD);
	event = make_event(FP_EVENT_TYPE_FORK, NODE, THIRD, 1);
	event.child_tgid = event.child_tid = event.child_start = WORKER;
	note(state, &event);
	on_pipe(state, FP_EVENT_TYPE_WRITE, NODE, THIRD);
	on_pipe(state, FP_EVENT_TYPE_READ, WORKER, WORKER);
	on_pipe(state, FP_EVENT_TYPE_READ, WORKER, WORKER);
	move_unknown(state, FP_EVENT_TYPE_WRITE, ANOTHER);
	on_pipe(state, FP_EVENT_TYPE_WRITE, NODE, THIRD);
	event = make_event(FP_EVENT_TYPE_UNLINK, WORKER, WORKER, 1);
	note(state, &event);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
}

/* A process that read what nobody knows can have been given another's work. */
static void who_was_forked_for_one_may_do_anothers(void **state)
{
	struct fp_event event;

	two_threads(state);
	work(state, NODE, THIRD, 1);
	event = make_event(FP_EVENT_TYPE_FORK, NODE, THIRD, 1);
	event.child_tgid = event.child_tid = event.child_start = WORKER;
	note(state, &event);
	event = make_event(FP_EVENT_TYPE_UNLINK, WORKER, WORKER, 1);
	note(state, &event);
	assert_is(&event, FP_ATTRIBUTION_DERIVED, 1);
	event = make_event(FP_EVENT_TYPE_READ, WORKER, WORKER, 1);
	event.fd = 9 | FP_FD_IN_DOUBT;
	event.object = FP_OBJECT_FILE;
	event.bytes = 10;
	note(state, &event);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
	event = make_event(FP_EVENT_TYPE_UNLINK, WORKER, WORKER, 1);
	note(state, &event);
	assert_is(&event, FP_ATTRIBUTION_AMBIGUOUS, 0);
}

/* Two processes of a server, of which each has read one request; does the first one lie when it names the second's? */
static int names_anothers(void **state, int is_lost)
{
	struct fp_event event;

	mark(state, FP_MARK_HELLO, 0);
	for (unsigned i = 0; i < 2; i++) {
		event = make_event(FP_EVENT_TYPE_FORK, WATCHDOG, WATCHDOG, 0);
		event.child_tgid = event.child_tid = event.child_start = WORKER + i;
		note(state, &event);
		mark(state, FP_MARK_BEGIN, i + 1);
		mark_connection(state, i + 1, 40000 + i, 0);
		event = make_request_read(1, 40000 + i, 50, 50);
		event.tgid = event.tid = event.process_start = WORKER + i;
		note(state, &event);
	}
	if (is_lost)
		move_unknown(state, FP_EVENT_TYPE_READ, NODE);
	event = make_mark(WORKER, FP_MARK_ENTER, 2);
	event.details = (struct fp_str){0};
	note(state, &event);
	return event.type == FP_EVENT_TYPE_REFUSED;
}

static void nobody_is_called_a_liar_after_that(void **state)
{
	assert_int_equal(names_anothers(state, 1), 0);
}

static void liars_are_found_otherwise(void **state)
{
	assert_int_equal(names_anothers(state, 0), 1);
}

/* The end of a file, or of a connection, hands nobody anything. */
static void the_end_of_something_is_no_doubt(void **state)
{
	struct fp_event event;

	two_threads(state);
	event = make_event(FP_EVENT_TYPE_READ, NODE, NODE, 1);
	event.fd = 9 | FP_FD_IN_DOUBT;
	event.object = FP_OBJECT_OTHER;
	note(state, &event);
	assert_works_for(state, NODE, 1);
}

/* --- losses that are told by their number --------------------------------------------- */

static struct fp_event last;

static int take(void *arg, const struct fp_event *event)
{
	if (event->type == FP_EVENT_TYPE_UNLINK)
		last = *event;
	return 0;
}

static int nobody_knows(void *arg, uint64_t cgroup, struct fp_container *ret_container)
{
	return -1;
}

static void feed(struct fp_pipeline *p, struct fp_event event)
{
	assert_true(fp_pipeline_event(p, &event) >= 0);
}

/* Whether two requests in flight are known apart by what was known before the loss. */
static int is_known_after(enum fp_loss cause)
{
	static const struct fp_pipeline_options options = {.container = nobody_knows, .event = take, .raw = true};
	struct fp_pipeline *p;

	assert_int_equal(fp_pipeline_new(&options, &p), 0);
	feed(p, make_mark(WATCHDOG, FP_MARK_HELLO, 0));
	for (unsigned i = 0; i < 2; i++) {
		feed(p, make_mark(WATCHDOG, FP_MARK_BEGIN, i + 1));
		feed(p, make_connection_mark(i + 1, 40000 + i, 0));
		feed(p, request_read(NODE + i, 40000 + i, 50, 50));
	}
	assert_int_equal(fp_pipeline_loss(p, CGROUP, cause, 1), 0);
	last.attribution = FP_ATTRIBUTION_NONE;
	feed(p, make_event(FP_EVENT_TYPE_UNLINK, NODE, NODE, 1));
	assert_int_not_equal(last.attribution, FP_ATTRIBUTION_NONE);
	fp_pipeline_free(p);
	return last.attribution == FP_ATTRIBUTION_DERIVED;
}

/* An address is nobody's word for whom it is; and of a descriptor the record tells itself. */
static void losses_that_say_nothing_of_requests_make_none_doubtful(void **state)
{
	assert_true(is_known_after(FP_LOSS_ADDRESS));
	assert_true(is_known_after(FP_LOSS_DESCRIPTOR));
	assert_false(is_known_after(FP_LOSS_RING_FULL));
	assert_false(is_known_after(FP_LOSS_BUDGET));
}

/* How an unlink is attributed whose record comes after that run of refused ones. */
static enum fp_attribution unlinks_after(struct fp_pipeline *p, unsigned run)
{
	struct fp_record_unlink record = {.head = {.type = FP_EVENT_TYPE_UNLINK, .size = sizeof(record), .cgroup = CGROUP,
						   .version = (uint16_t)(FP_RECORD_VERSION | run << FP_RECORD_RUN_SHIFT),
						   .time = test_time += 1000,
						   .tgid = NODE, .tid = NODE, .process_start = NODE, .turn = 1}};

	record.path.offset = sizeof(record);
	assert_int_equal(fp_pipeline_record(p, &record, sizeof(record)), 0);
	assert_int_equal(last.time, record.head.time);
	return (enum fp_attribution)last.attribution;
}

/* Records of which some are missing just before say so: what was known before is not believed from there on. */
static void a_record_says_that_others_are_missing_before_it(void **state)
{
	static const struct fp_pipeline_options options = {.container = nobody_knows, .event = take, .raw = true};
	struct fp_pipeline *p;

	for (unsigned run = 0; run < 2; run++) {
		assert_int_equal(fp_pipeline_new(&options, &p), 0);
		feed(p, make_mark(WATCHDOG, FP_MARK_HELLO, 0));
		for (unsigned i = 0; i < 2; i++) {
			feed(p, make_mark(WATCHDOG, FP_MARK_BEGIN, i + 1));
			feed(p, make_connection_mark(i + 1, 40000 + i, 0));
			feed(p, request_read(NODE + i, 40000 + i, 50, 50));
		}
		assert_int_equal(unlinks_after(p, run), run ? FP_ATTRIBUTION_AMBIGUOUS : FP_ATTRIBUTION_DERIVED);
		fp_pipeline_free(p);
	}
}

static struct fp_pipeline *with_one_read(void)
{
	static const struct fp_pipeline_options options = {.container = nobody_knows, .event = take, .raw = true};
	struct fp_pipeline *p;

	assert_int_equal(fp_pipeline_new(&options, &p), 0);
	feed(p, make_mark(WATCHDOG, FP_MARK_HELLO, 0));
	for (unsigned i = 0; i < 2; i++)
		feed(p, make_mark(WATCHDOG, FP_MARK_BEGIN, i + 1));
	return p;
}

static void reads_anew(struct fp_pipeline *p)
{
	static uint32_t read;

	feed(p, make_connection_mark(1, 40000, read));
	read += 50;
	feed(p, request_read(NODE, 40000, 50, read));
}

/* Each run makes doubtful what came before it, once; a record that got its place before others can tell of an earlier one. */
static void each_run_is_doubted_once(void **state)
{
	static const struct {
		unsigned run;
		enum fp_attribution attribution;
	} told[] = {{0, FP_ATTRIBUTION_DERIVED},    {1, FP_ATTRIBUTION_AMBIGUOUS}, {1, FP_ATTRIBUTION_DERIVED},
		    {200, FP_ATTRIBUTION_AMBIGUOUS}, {255, FP_ATTRIBUTION_AMBIGUOUS}, {254, FP_ATTRIBUTION_DERIVED},
		    {0, FP_ATTRIBUTION_AMBIGUOUS},   {0, FP_ATTRIBUTION_DERIVED}};
	struct fp_pipeline *p = with_one_read();

	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		reads_anew(p);
		assert_int_equal(unlinks_after(p, told[i].run), told[i].attribution);
	}
	fp_pipeline_free(p);
}

/* When it is known how many were refused, their records have told where: what came after is believed. */
static void what_records_told_is_not_doubted_again(void **state)
{
	struct fp_pipeline *p = with_one_read();

	reads_anew(p);
	assert_int_equal(unlinks_after(p, 3), FP_ATTRIBUTION_AMBIGUOUS);
	reads_anew(p);
	assert_int_equal(fp_pipeline_loss(p, CGROUP, FP_LOSS_RING_FULL, 7), 0);
	assert_int_equal(unlinks_after(p, 3), FP_ATTRIBUTION_DERIVED);
	assert_int_equal(fp_pipeline_loss(p, CGROUP, FP_LOSS_INVALID, 1), 0);
	assert_int_equal(unlinks_after(p, 3), FP_ATTRIBUTION_AMBIGUOUS);
	fp_pipeline_free(p);
}

/* An agent that goes on from what another saved knows which runs that one was told of. */
static void runs_are_known_over_a_restart(void **state)
{
	static const struct fp_pipeline_options options = {.container = nobody_knows, .event = take, .raw = true};
	struct fp_buffer saved = FP_BUFFER_INIT;
	struct fp_pipeline *p = with_one_read();

	assert_int_equal(unlinks_after(p, 5), FP_ATTRIBUTION_AMBIGUOUS);
	reads_anew(p);
	for (unsigned more = 0; more < 2; more++) {
		size_t pos = 0;

		fp_buffer_clear(&saved);
		fp_pipeline_save(p, 1 << 20, &saved);
		fp_pipeline_free(p);
		assert_int_equal(fp_pipeline_new(&options, &p), 0);
		assert_int_equal(fp_pipeline_restore(p, (const uint8_t *)saved.data, saved.len, &pos), 0);
		assert_int_equal(unlinks_after(p, 5 + more), more ? FP_ATTRIBUTION_AMBIGUOUS : FP_ATTRIBUTION_DERIVED);
	}
	fp_pipeline_free(p);
	fp_buffer_done(&saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_who_read_it_may_work_for_another),
		TEST(who_wrote_it_works_for_the_same),
		TEST(what_the_runtime_says_stands),
		TEST(a_fork_modes_child_stays_exact),
		TEST(what_a_stream_proves_is_no_doubt),
		TEST(what_a_stream_does_not_prove_is),
		TEST(an_answer_after_a_lost_question_is_not_the_last_ones),
		TEST(only_where_bytes_are_missing_another_may_have_asked),
		TEST(any_unix_socket_can_have_been_written_to),
		TEST(a_head_says_whose_its_connection_is),
		TEST(pipes_lose_count),
		TEST(pipes_keep_count_otherwise),
		TEST(nobody_is_caught_up_with_after_that),
		TEST(who_was_forked_for_one_may_do_anothers),
		TEST(nobody_is_called_a_liar_after_that),
		TEST(liars_are_found_otherwise),
		TEST(the_end_of_something_is_no_doubt),
		cmocka_unit_test(a_record_says_that_others_are_missing_before_it),
		cmocka_unit_test(each_run_is_doubted_once),
		cmocka_unit_test(what_records_told_is_not_doubted_again),
		cmocka_unit_test(runs_are_known_over_a_restart),
		cmocka_unit_test(losses_that_say_nothing_of_requests_make_none_doubtful),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

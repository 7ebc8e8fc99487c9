/* Repetition becomes one event; anything in between keeps it two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/reduce.h"
#include "agent/tests/events.h"

static struct fp_event out[64];
static char out_request[64]; /* first byte; the strings of an event do not outlive the call */
static size_t n_out;

static int take(void *arg, struct fp_event *event)
{
	out_request[n_out] = event->request.len ? event->request.data[0] : 0;
	out[n_out++] = *event;
	return 0;
}

static int setup(void **state)
{
	n_out = 0;
	return fp_reducer_new(take, NULL, (struct fp_reducer **)state);
}

static int teardown(void **state)
{
	fp_reducer_free(*state);
	return 0;
}

static struct fp_event add(void **state, enum fp_event_type type, uint64_t tgid, uint64_t ino, struct fp_str request)
{
	struct fp_event event = make_event(type, tgid, tgid, 0);

	event.ino = ino;
	event.bytes = 10;
	event.request = request;
	assert_int_equal(fp_reducer_add(*state, &event), 0);
	return event;
}

static const struct fp_str r1 = {"1111111111111111", 16}, r2 = {"2222222222222222", 16};

static void repeated_reads_are_one(void **state)
{
	struct fp_event first = add(state, FP_EVENT_TYPE_READ, NODE, 1, r1), last;

	add(state, FP_EVENT_TYPE_READ, NODE, 1, r1);
	last = add(state, FP_EVENT_TYPE_READ, NODE, 1, r1);
	assert_int_equal(n_out, 0);
	assert_int_equal(fp_reducer_flush(*state), 0);
	assert_int_equal(n_out, 1);
	assert_int_equal(out[0].count, 3);
	assert_int_equal(out[0].bytes, 30);
	assert_int_equal(out[0].time, first.time);
	assert_int_equal(out[0].last, last.time);
}

static void another_event_cuts(void **state)
{
	add(state, FP_EVENT_TYPE_WRITE, NODE, 1, r1);
	add(state, FP_EVENT_TYPE_READ, NODE, 2, r1);
	add(state, FP_EVENT_TYPE_WRITE, NODE, 1, r1);
	fp_reducer_flush(*state);
	assert_int_equal(n_out, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(out[i].count, 1);
}

/* What a file says between two reads is not what it says to one read of that length. */
static void another_process_cuts(void **state)
{
	add(state, FP_EVENT_TYPE_READ, NODE, 1, r1);
	add(state, FP_EVENT_TYPE_WRITE, NODE + 1, 1, r2);
	assert_int_equal(n_out, 1);
	add(state, FP_EVENT_TYPE_READ, NODE, 1, r1);
	add(state, FP_EVENT_TYPE_WRITE, NODE + 1, 2, r2);
	fp_reducer_flush(*state);
	assert_int_equal(n_out, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(out[i].count, 1);
}

/* A socket's other end is named by its own inode, a connection's by the same two addresses the other way round. */
static void the_other_end_cuts(void **state)
{
	struct fp_event ends[4];

	for (size_t i = 0; i < 4; i++) {
		bool other = i % 2, tcp = i > 1;

		ends[i] = make_event(other ? FP_EVENT_TYPE_RECEIVE : FP_EVENT_TYPE_SEND, NODE + i, NODE + i, 0);
		if (tcp) {
			set_connection(&ends[i], 70 + i, other ? 3000 : 40000, other ? 40000 : 3000);
		} else {
			ends[i].family = 1;
			ends[i].ino = 50 + i;
			ends[i].remote_lo = 51 - i;
		}
	}
	for (size_t i = 0; i < 4; i += 2) {
		n_out = 0;
		assert_int_equal(fp_reducer_add(*state, &ends[i]), 0);
		assert_int_equal(fp_reducer_add(*state, &ends[i + 1]), 0);
		assert_int_equal(n_out, 1);
		assert_int_equal(fp_reducer_add(*state, &ends[i]), 0);
		assert_int_equal(n_out, 2);
		assert_int_equal(fp_reducer_flush(*state), 0);
		assert_int_equal(n_out, 3);
	}
}

/* Datagrams of one socket go to whom each is sent. */
static void another_address_cuts(void **state)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_SEND, NODE, NODE, 0);

	set_connection(&event, 70, 40000, 53);
	event.protocol = 17;
	fp_reducer_add(*state, &event);
	fp_reducer_add(*state, &event);
	event.remote_port = 54;
	fp_reducer_add(*state, &event);
	event.remote_hi = 1;
	fp_reducer_add(*state, &event);
	fp_reducer_flush(*state);
	assert_int_equal(n_out, 3);
	assert_int_equal(out[0].count, 2);
	assert_int_equal(out[1].remote_port, 54);
	assert_int_equal(out[1].remote_hi, 0);
	assert_int_equal(out[2].remote_hi, 1);
}

static void another_request_cuts(void **state)
{
	add(state, FP_EVENT_TYPE_READ, NODE, 1, r1);
	add(state, FP_EVENT_TYPE_READ, NODE, 1, r2);
	fp_reducer_flush(*state);
	assert_int_equal(n_out, 2);
	assert_int_equal(out_request[0] + out_request[1], '1' + '2');
}

static void another_reader_does_not_cut(void **state)
{
	add(state, FP_EVENT_TYPE_READ, NODE, 1, r1);
	add(state, FP_EVENT_TYPE_READ, CHILD, 1, r1);
	add(state, FP_EVENT_TYPE_READ, NODE, 1, r1);
	fp_reducer_flush(*state);
	assert_int_equal(n_out, 2);
	assert_int_equal(out[0].count + out[1].count, 3);
}

static void other_events_pass_at_once_and_in_order(void **state)
{
	add(state, FP_EVENT_TYPE_READ, NODE, 1, r1);
	add(state, FP_EVENT_TYPE_FORK, NODE, 0, r1);
	assert_int_equal(n_out, 2);
	assert_int_equal(out[0].type, FP_EVENT_TYPE_READ);
	assert_int_equal(out[1].type, FP_EVENT_TYPE_FORK);
}

/* A stream's merged send still covers just its bytes: [tx_end - bytes, tx_end). */
static void stream_ranges_stay_whole(void **state)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_SEND, NODE, NODE, 0);

	event.bytes = 10;
	event.tx_end = 110;
	fp_reducer_add(*state, &event);
	event.tx_end = 120;
	fp_reducer_add(*state, &event);
	fp_reducer_flush(*state);
	assert_int_equal(n_out, 1);
	assert_int_equal(out[0].tx_end, 120);
	assert_int_equal(out[0].bytes, 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(repeated_reads_are_one),		TEST(another_event_cuts),
		TEST(another_address_cuts),
		TEST(another_process_cuts),		TEST(the_other_end_cuts),
		TEST(another_request_cuts),		TEST(another_reader_does_not_cut),
		TEST(other_events_pass_at_once_and_in_order), TEST(stream_ranges_stay_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

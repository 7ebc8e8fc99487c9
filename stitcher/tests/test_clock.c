/* Clocks of machines that do not agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "stitcher/clock.h"
#include "stitcher/tests/lab.h"

#define MS 1000000ll

static void test_nothing_to_correct(void **state)
{
	/* each may be behind the other by that much */
	const struct fp_clock_bound bounds[] = {{0, 1, -5 * MS}, {1, 0, -3 * MS}};
	int64_t corrections[3] = {9, 9, 9};

	fp_clock_solve(bounds, 2, corrections, 3);
	assert_int_equal(corrections[0], 0);
	assert_int_equal(corrections[1], 0);
	assert_int_equal(corrections[2], 0);
}

static void test_chain(void **state)
{
	/* 1 lags behind 0 by 7, 2 behind 1 by 5 more; 3 is ahead of 2 by 4 at most */
	const struct fp_clock_bound bounds[] = {{1, 2, 5 * MS}, {0, 1, 7 * MS}, {2, 3, -4 * MS}, {1, 0, -9 * MS}};
	int64_t corrections[4];

	fp_clock_solve(bounds, 4, corrections, 4);
	assert_int_equal(corrections[0], 0);
	assert_int_equal(corrections[1], 7 * MS);
	assert_int_equal(corrections[2], 12 * MS);
	assert_int_equal(corrections[3], 8 * MS);
}

static void test_bounds_that_contradict_each_other(void **state)
{
	const struct fp_clock_bound bounds[] = {{0, 1, 5 * MS}, {1, 0, 5 * MS}};
	int64_t corrections[2];

	fp_clock_solve(bounds, 2, corrections, 2);
	assert_in_range(corrections[0], 0, 60000 * MS);
	assert_in_range(corrections[1], 0, 60000 * MS);
}

static void test_absurd_clocks_move_nobody(void **state)
{
	const struct fp_clock_bound bounds[] = {{0, 1, INT64_MAX}, {1, 0, INT64_MIN}, {2, 1, 90000 * MS}};
	int64_t corrections[3];

	fp_clock_solve(bounds, 3, corrections, 3);
	assert_int_equal(corrections[1], 0);
}

/* Bytes that arrive before they were sent: the receiver's clock is put right, and time goes forward along the way. */
static void test_receive_before_send(void **state)
{
	fp_cleanup(lab_done) struct lab lab;
	struct proc p = {.cgroup = 7, .tgid = 100, .start = 5}, q = {.cgroup = 8, .tgid = 200, .start = 6};
	struct link here = lab_link("10.1.0.1:4000", "10.1.0.2:80"), there = lab_other_end(&here);
	uint64_t then;

	lab_init(&lab);
	lab.now = then = 10 * FP_NS_PER_SEC;
	lab.unit = "A";
	lab_read(&lab, &p, 9, 1);
	lab_socket(&lab, &p, FP_EVENT_TYPE_SEND, &here, 100);
	lab_agent(&lab, "host-2", 2, 2, 1);
	lab.now = then - 3 * FP_NS_PER_SEC;
	lab.unit = "B";
	lab_socket(&lab, &q, FP_EVENT_TYPE_RECEIVE, &there, 100);
	lab_write(&lab, &q, 10, 1);
	lab_make(&lab);
	assert_true(lab_reaches(&lab, "file:inode 9 of device 1", "file:inode 10 of device 1"));
	/* the sender's clock, which nothing speaks against, is left alone */
	assert_int_equal(lab_edge(&lab, "", FP_EDGE_READ, "process:process 100@A")->row.first, LAB_EPOCH + then);
	/* made again: corrected from the beginning, not once more */
	lab_make(&lab);
	assert_int_equal(lab_edge(&lab, "process:process 200@B", FP_EDGE_WRITE, "")->row.first,
			 LAB_EPOCH + then + 1000 + 1000);
}

/* A request's begin a little before its call: joined within the tolerance, then put right. */
static void test_begin_before_call(void **state)
{
	fp_cleanup(lab_done) struct lab lab;
	struct proc p = {.cgroup = 7, .tgid = 100, .start = 5}, w = {.cgroup = 8, .tgid = 200, .start = 6};
	struct link out = lab_link("10.1.0.1:4000", "10.1.0.254:8080");
	uint64_t then;

	lab_init(&lab);
	lab.now = then = 10 * FP_NS_PER_SEC;
	lab.unit = "A";
	lab_read(&lab, &p, 9, 1);
	lab_message(&lab, &p, &out, FP_APP_HTTP_REQUEST, "POST", "", "/function/pay", "");
	lab_agent(&lab, "host-2", 2, 2, 1);
	lab.now = then - FP_NS_PER_SEC / 2;
	lab_container(&lab, 8, "c2", "pay");
	lab_begin(&lab, &w, "X", "10.1.0.1:4000", "10.1.0.254:8080", "/");
	lab.unit = "X";
	lab.rule = FP_RULE_CONNECTION;
	lab_pipe(&lab, &w, FP_EVENT_TYPE_READ, 33, 1);
	lab.rule = 0;
	lab_write(&lab, &w, 10, 1);
	lab_make(&lab);
	assert_true(lab_reaches(&lab, "file:inode 9 of device 1", "file:inode 10 of device 1"));
	assert_true(lab_request(&lab, "X")->row.first >= lab_edge(&lab, "", FP_EDGE_CALLS, "request:X")->row.first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_to_correct),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_bounds_that_contradict_each_other),
		cmocka_unit_test(test_absurd_clocks_move_nobody),
		cmocka_unit_test(test_receive_before_send),
		cmocka_unit_test(test_begin_before_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

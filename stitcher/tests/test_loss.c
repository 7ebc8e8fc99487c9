/* What is missing is part of the graph. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "stitcher/tests/lab.h"

#define WITH_TWO                                                        \
	fp_cleanup(lab_done) struct lab lab;                            \
	LAB_MAYBE struct proc w = {.cgroup = 7, .tgid = 100, .start = 5}; \
	LAB_MAYBE struct proc v = {.cgroup = 8, .tgid = 200, .start = 6}; \
	lab_init(&lab);                                                 \
	lab.now = 100 * FP_NS_PER_SEC;                                  \
	lab_container(&lab, 7, "c1", "pay");                            \
	lab_container(&lab, 8, "c2", "ship")

static void lose(struct lab *lab, uint64_t cgroup, enum fp_loss cause, uint64_t n)
{
	struct proc nobody = {.cgroup = cgroup};
	struct fp_event event;

	lab->unit = "background";
	event = lab_event(lab, FP_EVENT_TYPE_LOST, &nobody);
	event.cause = cause;
	event.lost = n;
	lab_add(lab, &event);
}

static void later(struct lab *lab, uint64_t seconds)
{
	lab->now += seconds * FP_NS_PER_SEC;
}

static void test_loss_in_a_container(void **state)
{
	WITH_TWO;

	lab_begin(&lab, &w, "A", "", "192.0.2.1:1", "/");
	lab_begin(&lab, &v, "B", "", "192.0.2.1:2", "/");
	lose(&lab, 7, FP_LOSS_RING_FULL, 12);
	lab_end(&lab, &w, "A", 200);
	lab_end(&lab, &v, "B", 200);
	later(&lab, 10);
	lab_begin(&lab, &w, "C", "", "192.0.2.1:3", "/");
	lab_make(&lab);
	lab_edge(&lab, "gap:12 records missing: ring-full", FP_EDGE_MISSING, "request:A");
	assert_int_equal(lab_count(&lab, "", FP_EDGE_MISSING, ""), 1);
	assert_int_equal(lab_request(&lab, "A")->row.lost, 12);
	assert_int_equal(lab_request(&lab, "B")->row.lost, 0);
	assert_int_equal(lab_request(&lab, "C")->row.lost, 0);
	assert_int_equal(lab.n_losses, 1);
	assert_int_equal(lab.losses[0].lost, 12);
	assert_int_equal(lab.losses[0].cause, FP_LOSS_RING_FULL);
	assert_string_equal(lab_node(&lab, "gap:12 records missing: ring-full")->instance, "c1");
}

static void test_loss_on_a_host(void **state)
{
	WITH_TWO;
	struct proc elsewhere = {.cgroup = 9, .tgid = 1, .start = 1};

	lab_begin(&lab, &w, "A", "", "192.0.2.1:1", "/");
	lab_begin(&lab, &v, "B", "", "192.0.2.1:2", "/");
	lose(&lab, 0, FP_LOSS_SEQUENCE, 3);
	lab_agent(&lab, "host-2", 2, 2, 1);
	lab_begin(&lab, &elsewhere, "C", "", "192.0.2.1:3", "/");
	lab_make(&lab);
	lab_edge(&lab, "gap:3 records missing: sequence", FP_EDGE_MISSING, "request:A");
	lab_edge(&lab, "gap:3 records missing: sequence", FP_EDGE_MISSING, "request:B");
	assert_int_equal(lab_count(&lab, "", FP_EDGE_MISSING, ""), 2);
	assert_null(lab.losses[0].instance);
	assert_int_equal(lab_request(&lab, "C")->row.lost, 0);
}

/* Two nodes on one kernel: what one agent lost is nothing the other should have seen. */
static void test_loss_of_one_of_two_agents(void **state)
{
	WITH_TWO;

	lab_begin(&lab, &w, "A", "", "192.0.2.1:1", "/");
	lab_agent(&lab, "node-2", 2, 1, 1);
	lab_begin(&lab, &v, "B", "", "192.0.2.1:2", "/");
	lose(&lab, 0, FP_LOSS_RING_FULL, 3);
	lab_make(&lab);
	assert_int_equal(lab_request(&lab, "A")->row.lost, 0);
	assert_int_equal(lab_request(&lab, "B")->row.lost, 3);
}

static void test_losses_in_a_row_are_one_gap(void **state)
{
	WITH_TWO;

	lab_begin(&lab, &w, "A", "", "192.0.2.1:1", "/");
	for (int i = 0; i < 5; i++) {
		lose(&lab, 7, FP_LOSS_RING_FULL, 2);
		lab.now += FP_NS_PER_SEC / 2;
	}
	later(&lab, 60);
	lose(&lab, 7, FP_LOSS_RING_FULL, 1);
	lose(&lab, 7, FP_LOSS_FAULT, 4);
	lab_make(&lab);
	lab_edge(&lab, "gap:10 records missing: ring-full", FP_EDGE_MISSING, "request:A");
	lab_edge(&lab, "gap:1 record missing: ring-full", FP_EDGE_MISSING, "request:A");
	lab_edge(&lab, "gap:4 records missing: fault", FP_EDGE_MISSING, "request:A");
	assert_int_equal(lab.n_losses, 3);
	assert_int_equal(lab_request(&lab, "A")->row.lost, 15);
}

static void test_loss_while_nothing_ran(void **state)
{
	WITH_TWO;

	lose(&lab, 7, FP_LOSS_RING_FULL, 5);
	later(&lab, 10);
	lab_begin(&lab, &w, "A", "", "192.0.2.1:1", "/");
	lab_make(&lab);
	assert_int_equal(lab_count(&lab, "", FP_EDGE_MISSING, ""), 0);
	lab_node(&lab, "gap:5 records missing: ring-full");
	assert_int_equal(lab.n_losses, 1);
}

/* A loss is noticed a little after it happened: a request that had just ended may be meant. */
static void test_loss_noticed_late(void **state)
{
	WITH_TWO;

	lab_begin(&lab, &w, "A", "", "192.0.2.1:1", "/");
	lab_end(&lab, &w, "A", 200);
	lab.now += FP_NS_PER_SEC / 20;
	lose(&lab, 7, FP_LOSS_RING_FULL, 5);
	lab_make(&lab);
	assert_int_equal(lab_request(&lab, "A")->row.lost, 5);
}

static void test_batches_that_never_came(void **state)
{
	WITH_TWO;

	lab_begin(&lab, &w, "A", "", "192.0.2.1:1", "/");
	lab_end(&lab, &w, "A", 200);
	later(&lab, 10);
	lab_begin(&lab, &w, "B", "", "192.0.2.1:1", "/");
	lab.header.last_time = lab.now;
	later(&lab, 1);
	/* another agent of the same machine has numbers of its own */
	lab_agent(&lab, "host-1", 2, 1, 5);
	lab_agent(&lab, "host-1", 2, 1, 6);
	lab_agent(&lab, "host-1", 1, 1, 4);
	lab_end(&lab, &w, "B", 200);
	lab_make(&lab);
	lab_edge(&lab, "gap:2 batches missing: sequence", FP_EDGE_MISSING, "request:B");
	assert_int_equal(lab.n_losses, 1);
	assert_int_equal(lab.losses[0].lost, 2);
}

/* Its header says what was in it, also when nothing comes before or after. */
static void test_batch_that_cannot_be_read(void **state)
{
	WITH_TWO;

	lab_begin(&lab, &w, "A", "", "192.0.2.1:1", "/");
	lab_end(&lab, &w, "A", 200);
	later(&lab, 10);
	lab_begin(&lab, &w, "B", "", "192.0.2.1:1", "/");
	lab.header.number = 2;
	lab.header.first_time = lab.now;
	lab.header.last_time = lab.now + FP_NS_PER_SEC;
	lab.header.n_events = 44;
	assert_int_equal(fp_stitch_damaged_batch(lab.stitch, 1000, &lab.header), 0);
	lab_make(&lab);
	lab_edge(&lab, "gap:44 records missing: invalid", FP_EDGE_MISSING, "request:B");
	assert_int_equal(lab_count(&lab, "", FP_EDGE_MISSING, ""), 1);
	assert_int_equal(lab.n_losses, 1);
}

static void test_batches_in_any_order_have_no_hole(void **state)
{
	WITH_TWO;

	lab_agent(&lab, "host-1", 1, 1, 3);
	lab_agent(&lab, "host-1", 1, 1, 2);
	lab_make(&lab);
	assert_int_equal(lab.n_losses, 0);
}

static void test_loss_that_names_its_request(void **state)
{
	WITH_TWO;
	struct fp_event event;

	lab_begin(&lab, &w, "A", "", "192.0.2.1:1", "/");
	lab_begin(&lab, &w, "B", "", "192.0.2.1:2", "/");
	lab.unit = "B";
	event = lab_event(&lab, FP_EVENT_TYPE_LOST, &w);
	event.cause = FP_LOSS_TRUNCATED;
	event.lost = 1;
	lab_add(&lab, &event);
	lab_make(&lab);
	assert_int_equal(lab_request(&lab, "A")->row.lost, 0);
	assert_int_equal(lab_request(&lab, "B")->row.lost, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loss_in_a_container),
		cmocka_unit_test(test_loss_on_a_host),
		cmocka_unit_test(test_loss_of_one_of_two_agents),
		cmocka_unit_test(test_losses_in_a_row_are_one_gap),
		cmocka_unit_test(test_loss_while_nothing_ran),
		cmocka_unit_test(test_loss_noticed_late),
		cmocka_unit_test(test_batches_that_never_came),
		cmocka_unit_test(test_batch_that_cannot_be_read),
		cmocka_unit_test(test_batches_in_any_order_have_no_hole),
		cmocka_unit_test(test_loss_that_names_its_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

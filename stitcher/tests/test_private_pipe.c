/* A pipe between units of one process is that process's memory; one between processes is a way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "stitcher/tests/lab.h"

#define WITH_LAB                                              \
	fp_cleanup(lab_done) struct lab lab;                  \
	struct proc node = {.cgroup = 7, .tgid = 100, .start = 5, .exec = 0}; \
	lab_init(&lab);                                       \
	lab.unit = "start-up";                                \
	lab_container(&lab, 7, "c1", "pay");                  \
	lab_exec(&lab, &node, "/usr/bin/node", 50, "node index.js")

static void test_a_process_waking_itself_links_no_requests(void **state)
{
	WITH_LAB;

	lab.unit = "A";
	lab_pipe(&lab, &node, FP_EVENT_TYPE_WRITE, 33, 1);
	lab.unit = "B";
	lab_pipe(&lab, &node, FP_EVENT_TYPE_READ, 33, 1);
	lab_make(&lab);
	assert_int_equal(lab_count(&lab, "", FP_EDGE_WRITE, ""), 0);
	assert_int_equal(lab_count(&lab, "", FP_EDGE_READ, ""), 0);
}

static void test_a_child_on_the_pipe_makes_it_a_way(void **state)
{
	WITH_LAB;
	struct proc child;

	lab.unit = "A";
	child = lab_fork(&lab, &node, 101);
	lab_pipe(&lab, &node, FP_EVENT_TYPE_WRITE, 33, 1);
	lab_pipe(&lab, &child, FP_EVENT_TYPE_WRITE, 33, 9);
	lab.unit = "B";
	lab_pipe(&lab, &node, FP_EVENT_TYPE_READ, 33, 10);
	lab_make(&lab);
	lab_edge(&lab, "pipe:pipe", FP_EDGE_READ, "process:node@B");
	assert_int_equal(lab_count(&lab, "process:node@A", FP_EDGE_WRITE, "pipe:pipe"), 2);
}

static void test_a_pipe_whose_other_end_was_not_seen_stays(void **state)
{
	WITH_LAB;

	lab.unit = "A";
	lab_pipe(&lab, &node, FP_EVENT_TYPE_WRITE, 33, 1);
	lab.unit = "B";
	lab_pipe(&lab, &node, FP_EVENT_TYPE_READ, 34, 1);
	lab_make(&lab);
	assert_int_equal(lab_count(&lab, "process:node@A", FP_EDGE_WRITE, "pipe:pipe"), 1);
	assert_int_equal(lab_count(&lab, "pipe:pipe", FP_EDGE_READ, "process:node@B"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_process_waking_itself_links_no_requests),
		cmocka_unit_test(test_a_child_on_the_pipe_makes_it_a_way),
		cmocka_unit_test(test_a_pipe_whose_other_end_was_not_seen_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

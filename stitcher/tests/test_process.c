/* Processes: forks, programs, units. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "stitcher/tests/lab.h"

#define WITH_LAB                                              \
	fp_cleanup(lab_done) struct lab lab;                  \
	struct proc node = {.cgroup = 7, .tgid = 100, .start = 5, .exec = 0}; \
	lab_init(&lab);                                       \
	lab.unit = "start-up";                                \
	lab_container(&lab, 7, "c1", "pay");                  \
	lab_exec(&lab, &node, "/usr/bin/node", 50, "node index.js")

static void test_fork_and_exec(void **state)
{
	WITH_LAB;
	struct proc child;

	lab.unit = "A";
	child = lab_fork(&lab, &node, 101);
	lab_exec(&lab, &child, "/bin/sh", 51, "sh -c ls");
	lab_exit(&lab, &child, 3);
	lab_make(&lab);
	/* the child runs its parent's program until it execs its own */
	lab_edge(&lab, "process:node@A", FP_EDGE_EXEC, "process:sh@A");
	lab_edge(&lab, "file:/bin/sh", FP_EDGE_LOAD, "process:sh@A");
	lab_edge(&lab, "file:/usr/bin/node", FP_EDGE_LOAD, "process:node@start-up");
	assert_int_equal(lab_count(&lab, "process:node@A", FP_EDGE_FORK, "process:node@A"), 1);
	/* start-up and request share no edge */
	assert_int_equal(lab_count(&lab, "process:node@start-up", 0, ""), 0);
	lab_expect_edges(&lab, 4);
	assert_non_null(strstr(lab_node(&lab, "process:sh@A")->attributes, "\"argv\":[\"sh\",\"-c\",\"ls\"]"));
	assert_non_null(strstr(lab_node(&lab, "process:sh@A")->attributes, "\"exit_status\":3"));
	assert_non_null(strstr(lab_node(&lab, "process:sh@A")->attributes, "\"path\":\"/bin/sh\""));
	assert_string_equal(lab_node(&lab, "process:sh@A")->function, "pay");
	assert_string_equal(lab_node(&lab, "process:sh@A")->instance, "c1");
	assert_string_equal(lab_node(&lab, "process:sh@A")->host, "host-1");
}

static void test_child_stands_in_the_unit_of_its_first_event(void **state)
{
	WITH_LAB;
	struct proc child;

	lab.unit = "ambiguous";
	lab.candidates = "AB";
	child = lab_fork(&lab, &node, 101);
	lab.unit = "B";
	lab_exec(&lab, &child, "/bin/sh", 51, "sh");
	lab_make(&lab);
	lab_edge(&lab, "process:node@ambiguous", FP_EDGE_FORK, "process:node@B");
	lab_edge(&lab, "process:node@B", FP_EDGE_EXEC, "process:sh@B");
	assert_int_equal(lab_count(&lab, "", FP_EDGE_FORK, ""), 1);
	assert_string_equal(lab_edge(&lab, "process:node@ambiguous", FP_EDGE_FORK, "process:node@B")->candidates,
			    "41414141414141414141414141414141,42424242424242424242424242424242");
}

static void test_child_without_events_is_seen(void **state)
{
	WITH_LAB;

	lab.unit = "A";
	lab_fork(&lab, &node, 101);
	lab_make(&lab);
	assert_int_equal(lab_count(&lab, "process:node@A", FP_EDGE_FORK, "process:node@A"), 1);
	lab_expect_edges(&lab, 2);
}

static void test_threads_make_no_edge(void **state)
{
	WITH_LAB;
	struct fp_event event;

	event = lab_event(&lab, FP_EVENT_TYPE_FORK, &node);
	event.child_tgid = node.tgid;
	event.child_tid = 105;
	event.child_start = node.start;
	lab_add(&lab, &event);
	lab_make(&lab);
	lab_expect_edges(&lab, 1);
}

static void test_one_pid_twice_is_two_processes(void **state)
{
	WITH_LAB;
	struct proc first, second;

	lab.unit = "A";
	first = lab_fork(&lab, &node, 101);
	lab_exec(&lab, &first, "/bin/one", 51, "one");
	lab_exit(&lab, &first, 0);
	lab.unit = "B";
	second = lab_fork(&lab, &node, 101);
	lab_exec(&lab, &second, "/bin/two", 52, "two");
	lab_make(&lab);
	lab_edge(&lab, "process:node@A", FP_EDGE_EXEC, "process:one@A");
	lab_edge(&lab, "process:node@B", FP_EDGE_EXEC, "process:two@B");
	assert_false(lab_reaches(&lab, "process:one@A", "process:two@B"));
}

static void test_each_program_is_a_node(void **state)
{
	WITH_LAB;
	struct proc child;

	lab.unit = "A";
	child = lab_fork(&lab, &node, 101);
	lab_exec(&lab, &child, "/bin/sh", 51, "sh");
	lab_exec(&lab, &child, "/bin/cat", 52, "cat");
	lab_make(&lab);
	lab_edge(&lab, "process:sh@A", FP_EDGE_EXEC, "process:cat@A");
	assert_int_equal(lab_count(&lab, "file:/bin/sh", FP_EDGE_LOAD, "process:cat@A"), 0);
}

/* A child that outlives its request and goes on in none: that link is real. */
static void test_exec_from_another_unit(void **state)
{
	WITH_LAB;
	struct proc child;

	lab.unit = "A";
	child = lab_fork(&lab, &node, 101);
	lab_open(&lab, &child, "/etc/x", 60, 0);
	lab_read(&lab, &child, 60, 5);
	lab.unit = "background";
	lab_exec(&lab, &child, "/bin/miner", 51, "miner");
	lab_make(&lab);
	lab_edge(&lab, "process:node@A", FP_EDGE_EXEC, "process:miner@background");
	assert_true(lab_reaches(&lab, "file:/etc/x", "process:miner@background"));
}

static void test_two_claims_to_one_child(void **state)
{
	WITH_LAB;
	struct proc other = {.cgroup = 7, .tgid = 200, .start = 6, .exec = 0}, child;
	struct fp_event event;

	lab.unit = "A";
	child = lab_fork(&lab, &node, 101);
	lab.unit = "B";
	event = lab_event(&lab, FP_EVENT_TYPE_FORK, &other);
	event.child_tgid = child.tgid;
	event.child_start = child.start;
	lab_add(&lab, &event);
	lab_make(&lab);
	assert_int_equal(lab_count(&lab, "", FP_EDGE_FORK, ""), 1);
}

/* Forks in a circle: nobody's program can be told, and nobody hangs. */
static void test_forks_in_a_circle(void **state)
{
	fp_cleanup(lab_done) struct lab lab;
	struct proc a = {.cgroup = 7, .tgid = 1, .start = 1}, b = {.cgroup = 7, .tgid = 2, .start = 1};
	struct fp_event event;

	lab_init(&lab);
	event = lab_event(&lab, FP_EVENT_TYPE_FORK, &a);
	event.child_tgid = 2;
	event.child_start = 1;
	lab_add(&lab, &event);
	event = lab_event(&lab, FP_EVENT_TYPE_FORK, &b);
	event.child_tgid = 1;
	event.child_start = 1;
	lab_add(&lab, &event);
	lab_make(&lab);
	lab_edge(&lab, "process:process 1@background", FP_EDGE_FORK, "process:process 2@background");
}

/* A recorded command: its first process is the request's, whoever started it. */
static void test_whole_run(void **state)
{
	fp_cleanup(lab_done) struct lab lab;
	struct proc nobody = {0}, command = {.cgroup = 7, .tgid = 100, .start = 5}, child;

	lab_init(&lab);
	lab.rule = FP_RULE_WHOLE_RUN;
	lab.unit = "A";
	lab_begin(&lab, &nobody, "A", "", "", "make all");
	lab_exec(&lab, &command, "/usr/bin/make", 50, "make all");
	child = lab_fork(&lab, &command, 101);
	lab_exec(&lab, &child, "/bin/sh", 51, "sh");
	lab_exit(&lab, &child, 0);
	lab_exit(&lab, &command, 2);
	lab_end(&lab, &nobody, "A", 2);
	lab_make(&lab);
	lab_edge(&lab, "request:A", FP_EDGE_CALLS, "process:make@A");
	lab_edge(&lab, "process:make@A", FP_EDGE_RETURNS, "request:A");
	assert_int_equal(lab_count(&lab, "request:A", 0, ""), 1);
	assert_int_equal(lab_count(&lab, "", 0, "request:A"), 1);
	assert_int_equal(lab_request(&lab, "A")->row.status, 2);
}

/* Called by the name of a link or a script, shown with what really runs; a name the kernel has cut is no other name. */
static void test_program_names(void **state)
{
	fp_cleanup(lab_done) struct lab lab;
	struct proc first = {.cgroup = 7, .tgid = 100, .start = 5}, script, long_name;

	lab_init(&lab);
	lab_exec_as(&lab, &first, "/usr/bin/node", "node", 50, "node");
	script = lab_fork(&lab, &first, 101);
	lab_exec_as(&lab, &script, "/usr/bin/dash", "backup.sh", 51, "sh backup.sh");
	long_name = lab_fork(&lab, &first, 102);
	lab_exec_as(&lab, &long_name, "/usr/bin/systemd-analyze-long", "systemd-analyze", 52, "x");
	lab_make(&lab);
	lab_edge(&lab, "process:node@background", FP_EDGE_EXEC, "process:backup.sh (dash)@background");
	lab_edge(&lab, "process:node@background", FP_EDGE_EXEC, "process:systemd-analyze-long@background");
}

/* Fork modes: the watchdog makes a process for the request. */
static void test_watchdog_forks_the_request(void **state)
{
	fp_cleanup(lab_done) struct lab lab;
	struct proc watchdog = {.cgroup = 7, .tgid = 1, .start = 1}, child;

	lab_init(&lab);
	lab_container(&lab, 7, "c1", "pay");
	lab_exec(&lab, &watchdog, "/usr/bin/fwatchdog", 49, "fwatchdog");
	lab_begin(&lab, &watchdog, "A", "198.18.0.9:999", "198.18.0.1:80", "/");
	lab.unit = "A";
	lab.rule = FP_RULE_CHILD;
	child = lab_fork(&lab, &watchdog, 101);
	lab_exec(&lab, &child, "/bin/sh", 51, "sh -c handler");
	lab_exit(&lab, &child, 0);
	lab_end(&lab, &watchdog, "A", 200);
	lab_make(&lab);
	lab_edge(&lab, "request:A", FP_EDGE_CALLS, "process:fwatchdog@A");
	lab_edge(&lab, "process:fwatchdog@A", FP_EDGE_EXEC, "process:sh@A");
	lab_edge(&lab, "process:sh@A", FP_EDGE_RETURNS, "request:A");
	assert_int_equal(lab_count(&lab, "", FP_EDGE_FORK, ""), 0);
	assert_int_equal(lab_count(&lab, "process:fwatchdog@background", 0, ""), 0);
}

/* An event that says both "in A" and "I cannot tell" stands in no request. */
static void test_doubt_prevails(void **state)
{
	WITH_LAB;
	struct fp_event event;

	lab.unit = "A";
	event = lab_event(&lab, FP_EVENT_TYPE_READ, &node);
	event.attribution = FP_ATTRIBUTION_AMBIGUOUS;
	event.object = FP_OBJECT_FILE;
	event.ino = 60;
	lab_add(&lab, &event);
	/* nor does one of a request that it does not name */
	event = lab_event(&lab, FP_EVENT_TYPE_READ, &node);
	event.request.len = 0;
	event.object = FP_OBJECT_FILE;
	event.ino = 61;
	lab_add(&lab, &event);
	lab_make(&lab);
	assert_int_equal(lab_count(&lab, "", FP_EDGE_READ, "process:node@ambiguous"), 2);
	assert_int_equal(lab_count(&lab, "", FP_EDGE_READ, ""), 2);
}

static void test_first_word_about_a_container_counts(void **state)
{
	WITH_LAB;

	lab_container(&lab, 7, "forged", "forged");
	lab_container(&lab, 8, "c2", "other");
	lab_make(&lab);
	assert_string_equal(lab_node(&lab, "process:node@start-up")->function, "pay");
	assert_string_equal(lab_node(&lab, "process:node@start-up")->instance, "c1");
}

static void test_events_out_of_order_in_a_batch(void **state)
{
	WITH_LAB;
	struct proc child = {.cgroup = 7, .tgid = 101, .start = lab.now + 500, .exec = 0};
	uint64_t then = lab.now;
	struct fp_event event;

	/* the exec arrives before the fork that made the process */
	lab.unit = "A";
	lab.now = then + 10000;
	lab_exec(&lab, &child, "/bin/sh", 51, "sh");
	lab.now = then;
	event = lab_event(&lab, FP_EVENT_TYPE_FORK, &node);
	event.child_tgid = 101;
	event.child_start = child.start;
	lab_add(&lab, &event);
	lab_make(&lab);
	lab_edge(&lab, "process:node@A", FP_EDGE_FORK, "process:node@A");
	lab_edge(&lab, "process:node@A", FP_EDGE_EXEC, "process:sh@A");
	lab_expect_edges(&lab, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fork_and_exec),
		cmocka_unit_test(test_child_stands_in_the_unit_of_its_first_event),
		cmocka_unit_test(test_child_without_events_is_seen),
		cmocka_unit_test(test_threads_make_no_edge),
		cmocka_unit_test(test_one_pid_twice_is_two_processes),
		cmocka_unit_test(test_each_program_is_a_node),
		cmocka_unit_test(test_exec_from_another_unit),
		cmocka_unit_test(test_two_claims_to_one_child),
		cmocka_unit_test(test_forks_in_a_circle),
		cmocka_unit_test(test_whole_run),
		cmocka_unit_test(test_program_names),
		cmocka_unit_test(test_watchdog_forks_the_request),
		cmocka_unit_test(test_doubt_prevails),
		cmocka_unit_test(test_first_word_about_a_container_counts),
		cmocka_unit_test(test_events_out_of_order_in_a_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

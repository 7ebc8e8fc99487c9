/* What failed: at whom it stands, what of it is a finding, and that nothing flows through it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <errno.h>

#include <cmocka.h>

#include "stitcher/tests/lab.h"

#define WITH_LAB                                                                       \
	fp_cleanup(lab_done) struct lab lab;                                           \
	struct proc dog = {.cgroup = 7, .tgid = 100, .start = 5, .exec = 0}, function; \
	lab_init(&lab);                                                                \
	lab.unit = "start-up";                                                         \
	lab_container(&lab, 7, "c1", "pay");                                           \
	lab_exec(&lab, &dog, "/usr/bin/fwatchdog", 49, "fwatchdog");                   \
	function = lab_fork(&lab, &dog, 101);                                          \
	lab_exec(&lab, &function, "/usr/bin/node", 50, "node index.js");               \
	lab.unit = "A";                                                                \
	lab_begin(&lab, &dog, "A", "198.18.0.10:4000", "", "/");                       \
	lab_read(&lab, &function, 60, 1)

static void failed(struct lab *lab, const struct proc *proc, enum fp_operation operation, int error, const char *path,
		   uint64_t count)
{
	struct fp_event event = lab_event(lab, FP_EVENT_TYPE_FAILED, proc);

	event.operation = operation;
	event.result = -error;
	event.path = lab_str(path);
	event.naming = *path ? FP_NAMING_UNVERIFIED : FP_NAMING_NONE;
	event.count = count;
	lab_add(lab, &event);
}

static void unanswered(struct lab *lab, const struct proc *proc, int error, unsigned port)
{
	struct fp_event event = lab_event(lab, FP_EVENT_TYPE_FAILED, proc);

	event.operation = FP_OPERATION_CONNECT;
	event.result = -error;
	event.family = 2;
	event.protocol = LAB_TCP;
	event.remote_lo = 0xffffc6120909;
	event.remote_port = port;
	event.count = 1;
	lab_add(lab, &event);
}

static void many_names(struct lab *lab, const struct proc *proc, unsigned n, const char *in)
{
	char path[64];

	for (unsigned i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%u", in, i);
		failed(lab, proc, FP_OPERATION_OPEN, ENOENT, path, 1);
	}
}

static size_t findings(const struct lab *lab)
{
	return lab_count(lab, "", FP_EDGE_SHOWS, "");
}

static void what_was_refused_is_found(void **state)
{
	WITH_LAB;
	const struct lab_edge *edge;

	failed(&lab, &function, FP_OPERATION_OPEN, EACCES, "/etc/shadow", 2);
	failed(&lab, &function, FP_OPERATION_OPEN, EACCES, "/etc/gshadow", 1);
	failed(&lab, &function, FP_OPERATION_CREDENTIALS, EPERM, "", 1);
	lab_make(&lab);
	assert_int_equal(findings(&lab), 2);
	assert_int_equal(lab_count(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:refused"), 2);
	edge = NULL;
	for (size_t i = 0; i < lab.n_edges; i++)
		if (lab.edges[i].row.kind == FP_EDGE_SHOWS && lab.edges[i].row.count == 3)
			edge = &lab.edges[i];
	assert_non_null(edge);
	assert_string_equal(edge->attributes,
			    "{\"operation\":\"open\",\"error\":\"EACCES\",\"names\":[\"/etc/shadow\",\"/etc/gshadow\"]}");
	assert_true(edge->row.has_request);
	assert_non_null(strstr(lab_node(&lab, "finding:refused")->attributes, "\"T1548\""));
}

static void what_is_nobodys_offence(void **state)
{
	WITH_LAB;
	struct fp_event event;

	/* of the start; of the watchdog; that something is not there; a question whose answer is no */
	lab.unit = "start-up";
	failed(&lab, &function, FP_OPERATION_OPEN, EACCES, "/etc/shadow", 1);
	many_names(&lab, &function, 100, "/usr/share/x");
	lab.unit = "A";
	failed(&lab, &dog, FP_OPERATION_OPEN, EACCES, "/etc/shadow", 1);
	failed(&lab, &function, FP_OPERATION_OPEN, ENOENT, "/home/app/cache", 1000);
	failed(&lab, &function, FP_OPERATION_ACCESS, EACCES, "/etc/shadow", 1);
	/* one service that is away, tried again and again */
	for (unsigned i = 0; i < 50; i++)
		unanswered(&lab, &function, ECONNREFUSED, 6379);
	/* what the agent calls usual, in raw mode */
	event = lab_event(&lab, FP_EVENT_TYPE_FAILED, &function);
	event.operation = FP_OPERATION_OPEN;
	event.result = -EACCES;
	event.usual = 1;
	lab_add(&lab, &event);
	/* nonsense */
	event.usual = 0;
	event.result = 0;
	lab_add(&lab, &event);
	lab_make(&lab);
	assert_int_equal(findings(&lab), 0);
}

static void many_addresses_are_a_scan(void **state)
{
	WITH_LAB;

	for (unsigned port = 1; port < 8; port++)
		unanswered(&lab, &function, port % 2 ? ECONNREFUSED : EHOSTUNREACH, port);
	lab_make(&lab);
	assert_int_equal(findings(&lab), 0);
	unanswered(&lab, &function, ECONNREFUSED, 8);
	lab_make(&lab);
	/* refused and unreachable ones are one scan */
	assert_int_equal(findings(&lab), 2);
	assert_int_equal(lab_count(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:probing"), 2);
	for (size_t i = 0; i < lab.n_edges; i++)
		if (lab.edges[i].row.kind == FP_EDGE_SHOWS)
			assert_non_null(strstr(lab.edges[i].attributes, "\"198.18.9.9:"));
}

/* A shell that starts a program for each guess is one who guesses; two requests that miss six each are none. */
static void names_are_counted_by_unit(void **state)
{
	WITH_LAB;
	struct proc child[12];
	char path[32];

	many_names(&lab, &function, 6, "/one");
	lab.unit = "B";
	many_names(&lab, &function, 6, "/two");
	lab_make(&lab);
	assert_int_equal(findings(&lab), 0);
	for (unsigned i = 0; i < 12; i++) {
		child[i] = lab_fork(&lab, &function, 200 + i);
		lab_exec(&lab, &child[i], "/bin/cat", 70, "cat");
		snprintf(path, sizeof(path), "/home/user%u/.ssh/id_rsa", i);
		failed(&lab, &child[i], FP_OPERATION_OPEN, ENOENT, path, 1);
	}
	lab_make(&lab);
	assert_int_equal(lab_count(&lab, "process:cat@B", FP_EDGE_SHOWS, "finding:probing"), 12);
	/* what the function itself missed in that request is part of it */
	assert_int_equal(findings(&lab), 13);
	assert_int_equal(lab_count(&lab, "process:node@A", FP_EDGE_SHOWS, ""), 0);
}

static void a_search_for_a_program_is_no_guess(void **state)
{
	WITH_LAB;
	char path[32];

	for (unsigned i = 0; i < 30; i++) {
		snprintf(path, sizeof(path), "/opt/%u/bin/bash", i);
		failed(&lab, &function, FP_OPERATION_EXEC, ENOENT, path, 1);
	}
	lab_make(&lab);
	assert_int_equal(findings(&lab), 0);
	assert_non_null(strstr(lab_node(&lab, "process:node@A")->attributes, "\"names\":[\"/opt/0/bin/bash\"],\"count\":30"));
	for (unsigned i = 0; i < 11; i++) {
		snprintf(path, sizeof(path), "/usr/bin/tool%u", i);
		failed(&lab, &function, FP_OPERATION_EXEC, ENOENT, path, 1);
	}
	lab_make(&lab);
	assert_int_equal(lab_count(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:probing"), 1);
}

/* Outside requests time counts: what runs for days misses much. */
static void slow_misses_are_none(void **state)
{
	WITH_LAB;

	lab.unit = "background";
	for (unsigned port = 1; port <= 20; port++) {
		lab.now += 10ull * 1000000000;
		unanswered(&lab, &function, ECONNREFUSED, port);
	}
	lab_make(&lab);
	assert_int_equal(findings(&lab), 0);
	for (unsigned port = 21; port <= 28; port++) {
		lab.now += 1000000000;
		unanswered(&lab, &function, ECONNREFUSED, port);
	}
	lab_make(&lab);
	assert_int_equal(lab_count(&lab, "process:node@background", FP_EDGE_SHOWS, "finding:probing"), 1);
}

static void failures_stand_at_the_process(void **state)
{
	WITH_LAB;
	const struct lab_node *node;

	failed(&lab, &function, FP_OPERATION_OPEN, ENOENT, "/home/app/cache", 12);
	failed(&lab, &function, FP_OPERATION_SEND_SIGNAL, ESRCH, "", 1);
	many_names(&lab, &function, 20, "/many");
	lab_make(&lab);
	node = lab_node(&lab, "process:node@A");
	assert_non_null(strstr(node->attributes, "\"failed\":[{\"operation\":\"open\",\"error\":\"ENOENT\",\"names\":[\"/home/app/cache\","
						 "\"/many/0\""));
	assert_non_null(strstr(node->attributes, "\"/many/14\"],\"more_names\":true,\"count\":32},"
						 "{\"operation\":\"send-signal\",\"error\":\"ESRCH\",\"count\":1}]"));
	/* not at the same process in another unit */
	assert_null(strstr(lab_node(&lab, "process:node@start-up")->attributes, "failed"));
}

/* With and without: the same edges but for the finding. */
static void nothing_flows(void **state)
{
	WITH_LAB;
	size_t edges;

	lab_open(&lab, &function, "/tmp/x", 61, 0101);
	lab_write(&lab, &function, 61, 10);
	lab_make(&lab);
	edges = lab.n_edges;
	failed(&lab, &function, FP_OPERATION_OPEN, EACCES, "/tmp/x", 1);
	lab_write(&lab, &function, 61, 10);
	lab_make(&lab);
	assert_int_equal(lab.n_edges, edges + 1);
	assert_int_equal(findings(&lab), 1);
}

/* Merged by the agent or not, with as many names as it tells at most, in two batches: one graph. */
static void merged_or_not_is_the_same(void **state)
{
	char *attributes[2], path[32];

	for (unsigned raw = 0; raw < 2; raw++) {
		WITH_LAB;

		for (unsigned batch = 0; batch < 2; batch++) {
			for (unsigned i = 0; i < (raw ? 40u : 16u); i++) {
				snprintf(path, sizeof(path), "/etc/%u", batch * 8 + i);
				failed(&lab, &function, FP_OPERATION_OPEN, EACCES, path, 1);
			}
			if (!raw)
				failed(&lab, &function, FP_OPERATION_OPEN, EACCES, "", 24);
		}
		lab_make(&lab);
		attributes[raw] = strdup(lab_edge(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:refused")->attributes);
		assert_int_equal(lab_edge(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:refused")->row.count, 80);
	}
	assert_string_equal(attributes[0], attributes[1]);
	free(attributes[0]);
	free(attributes[1]);
}

static void what_several_could_have_done(void **state)
{
	WITH_LAB;

	lab.unit = "ambiguous";
	lab.candidates = "AB";
	failed(&lab, &function, FP_OPERATION_OPEN, EACCES, "/etc/shadow", 1);
	lab_make(&lab);
	assert_string_equal(lab_edge(&lab, "process:node@ambiguous", FP_EDGE_SHOWS, "finding:refused")->candidates,
			    "41414141414141414141414141414141,42424242424242424242424242424242");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_refused_is_found),
		cmocka_unit_test(what_is_nobodys_offence),
		cmocka_unit_test(many_addresses_are_a_scan),
		cmocka_unit_test(names_are_counted_by_unit),
		cmocka_unit_test(a_search_for_a_program_is_no_guess),
		cmocka_unit_test(slow_misses_are_none),
		cmocka_unit_test(failures_stand_at_the_process),
		cmocka_unit_test(nothing_flows),
		cmocka_unit_test(merged_or_not_is_the_same),
		cmocka_unit_test(what_several_could_have_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Findings: what a function does to its watchdog, and what is nobody's offence. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include <cmocka.h>

#include "stitcher/tests/lab.h"

/* A watchdog (pid 1 of the container) that serves request A on port 8080, and its function. */
#define WITH_LAB                                                                       \
	fp_cleanup(lab_done) struct lab lab;                                           \
	struct proc dog = {.cgroup = 7, .tgid = 100, .start = 5, .exec = 0}, function; \
	lab_init(&lab);                                                                \
	lab.unit = "start-up";                                                         \
	lab_container(&lab, 7, "c1", "pay");                                           \
	lab_exec(&lab, &dog, "/usr/bin/fwatchdog", 49, "fwatchdog");                   \
	lab_port(&lab, &dog, FP_EVENT_TYPE_LISTEN, 8080);                              \
	function = lab_fork(&lab, &dog, 101);                                          \
	lab_exec(&lab, &function, "/usr/bin/node", 50, "node index.js");               \
	lab_port(&lab, &function, FP_EVENT_TYPE_LISTEN, 3000);                         \
	lab.unit = "A";                                                                \
	lab_begin(&lab, &dog, "A", "198.18.0.10:4000", "", "/")

static void lab_port(struct lab *lab, const struct proc *proc, enum fp_event_type type, uint64_t port)
{
	struct fp_event event = lab_event(lab, type, proc);

	event.family = 2;
	event.protocol = LAB_TCP;
	event.local_port = port;
	lab_add(lab, &event);
}

static void lab_act(struct lab *lab, const struct proc *proc, const struct proc *target, enum fp_event_type type,
		    uint64_t what)
{
	struct fp_event event = lab_event(lab, type, proc);

	event.target_tgid = target->tgid;
	event.target_start = target->start;
	if (type == FP_EVENT_TYPE_SIGNAL)
		event.signal = what;
	else
		event.operation = what;
	lab_add(lab, &event);
}

static void lab_refused(struct lab *lab, const struct proc *proc, enum fp_mark mark)
{
	struct fp_event event = lab_event(lab, FP_EVENT_TYPE_REFUSED, proc);

	event.mark = mark;
	event.refused = lab_str("not the container's watchdog");
	lab_add(lab, &event);
}

static void lab_control(struct lab *lab, const struct proc *proc, enum fp_operation operation, int64_t result,
			uint64_t euid, const char *path)
{
	struct fp_event event = lab_event(lab, FP_EVENT_TYPE_CONTROL, proc);

	event.operation = operation;
	event.result = result;
	event.uid = event.euid = euid;
	event.flags = 0x20000;
	event.path = lab_str(path);
	lab_add(lab, &event);
}

/* One mounted on the other. */
static void lab_mount(struct lab *lab, const struct proc *proc, const char *path, const char *place)
{
	struct fp_event event = lab_event(lab, FP_EVENT_TYPE_MOUNT, proc);

	event.operation = FP_OPERATION_MOUNT;
	event.path = lab_str(path);
	event.new_path = lab_str(place);
	event.dev = 8;
	event.ino = 815;
	event.place_dev = 9;
	event.place_ino = 911;
	lab_add(lab, &event);
}

static void lab_proc_file(struct lab *lab, const struct proc *proc, const char *path, uint64_t flags)
{
	struct fp_event event = lab_event(lab, FP_EVENT_TYPE_OPEN, proc);

	event.object = FP_OBJECT_PROC;
	event.dev = 22;
	event.ino = 4711;
	event.flags = flags;
	event.path = lab_str(path);
	lab_add(lab, &event);
}

static size_t findings(const struct lab *lab)
{
	return lab_count(lab, "", FP_EDGE_SHOWS, "");
}

static void test_refused_marks(void **state)
{
	WITH_LAB;
	const struct lab_edge *edge;

	lab_refused(&lab, &function, FP_MARK_BEGIN);
	lab_refused(&lab, &function, FP_MARK_BEGIN);
	lab_refused(&lab, &function, FP_MARK_ENTER);
	/* a mark of the watchdog's own, refused because a record before it was lost, is nobody's offence */
	lab_refused(&lab, &dog, FP_MARK_END);
	lab_make(&lab);
	assert_int_equal(findings(&lab), 2);
	edge = lab_edge(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:refused-mark");
	assert_int_equal(edge->row.count, 2);
	assert_true(edge->row.has_request);
	assert_non_null(strstr(edge->attributes, "not the container's watchdog"));
	assert_int_equal(lab_edge(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:false-assist")->row.count, 1);
	assert_string_equal(lab_node(&lab, "finding:refused-mark")->function, "pay");
	assert_true(lab_node(&lab, "finding:refused-mark")->row.has_request);
	assert_non_null(strstr(lab_node(&lab, "finding:refused-mark")->attributes, "\"T1562\""));
}

static void test_signals(void **state)
{
	WITH_LAB;
	struct proc child = lab_fork(&lab, &function, 102);

	lab_act(&lab, &function, &dog, FP_EVENT_TYPE_SIGNAL, SIGTERM);
	lab_act(&lab, &function, &child, FP_EVENT_TYPE_SIGNAL, SIGKILL);
	lab_act(&lab, &dog, &function, FP_EVENT_TYPE_SIGNAL, SIGTERM);
	lab_make(&lab);
	assert_int_equal(findings(&lab), 1);
	assert_non_null(strstr(lab_edge(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:watchdog-signalled")->attributes,
			       "SIGTERM"));
}

static void test_control(void **state)
{
	WITH_LAB;

	lab_act(&lab, &function, &dog, FP_EVENT_TYPE_TRACE, FP_OPERATION_PTRACE);
	lab_act(&lab, &function, &dog, FP_EVENT_TYPE_TRACE, FP_OPERATION_VM_READ);
	lab_make(&lab);
	assert_int_equal(findings(&lab), 2);
	lab_edge(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:watchdog-controlled");
	lab_edge(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:watchdog-read");
}

static void test_memory(void **state)
{
	WITH_LAB;

	lab_proc_file(&lab, &function, "/proc/1/mem", O_RDWR);
	lab_proc_file(&lab, &function, "/proc/1/task/7/mem", O_RDONLY);
	/* the function's own, other files, other processes, and what only looks alike */
	lab_proc_file(&lab, &function, "/proc/12/mem", O_RDWR);
	lab_proc_file(&lab, &function, "/proc/1/maps", O_RDONLY);
	lab_proc_file(&lab, &function, "/proc/mem", O_RDWR);
	lab_proc_file(&lab, &function, "/proc/x1/mem", O_RDWR);
	lab_proc_file(&lab, &function, "/proc/99999999999999999999/mem", O_RDWR);
	lab_proc_file(&lab, &dog, "/proc/1/mem", O_RDWR);
	lab_make(&lab);
	assert_int_equal(findings(&lab), 2);
	lab_edge(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:watchdog-memory");
	lab_edge(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:watchdog-read");
}

static void test_port(void **state)
{
	WITH_LAB;
	struct link link = lab_link("198.18.101.2:8080", "198.18.0.10:4001");
	struct link own = lab_link("127.0.0.1:3000", "127.0.0.1:5000");
	struct proc stranger = {.cgroup = 8, .tgid = 200, .start = 6, .exec = 0};

	lab_socket(&lab, &function, FP_EVENT_TYPE_ACCEPT, &own, 0);
	lab_port(&lab, &stranger, FP_EVENT_TYPE_LISTEN, 8080);
	lab_make(&lab);
	assert_int_equal(findings(&lab), 0);
	lab_port(&lab, &function, FP_EVENT_TYPE_BIND, 8080);
	lab_socket(&lab, &function, FP_EVENT_TYPE_ACCEPT, &link, 0);
	lab_make(&lab);
	assert_int_equal(lab_count(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:watchdog-port"), 2);
	assert_int_equal(findings(&lab), 2);
}

/* The rights that it was started with decide what is a gain, and the start itself is the runtime's. */
static void test_rights(void **state)
{
	WITH_LAB;
	struct proc user = lab_fork(&lab, &function, 102), root = lab_fork(&lab, &function, 103);
	const struct lab_edge *edge;

	lab.uid = 1000;
	lab_exec(&lab, &user, "/usr/bin/su", 60, "su");
	lab.uid = 0;
	lab_exec(&lab, &root, "/usr/sbin/x", 61, "x");
	lab_control(&lab, &user, FP_OPERATION_CREDENTIALS, 0, 1001, "");
	lab_control(&lab, &user, FP_OPERATION_CREDENTIALS, -EPERM, 0, "");
	lab_control(&lab, &root, FP_OPERATION_CREDENTIALS, 0, 0, "");
	/* gives rights up */
	lab_control(&lab, &user, FP_OPERATION_SECCOMP, 0, 1000, "");
	lab_make(&lab);
	assert_int_equal(findings(&lab), 0);
	lab_control(&lab, &user, FP_OPERATION_CREDENTIALS, 0, 0, "");
	lab_make(&lab);
	assert_int_equal(findings(&lab), 1);
	edge = lab_edge(&lab, "process:su@A", FP_EDGE_SHOWS, "finding:identity-gained");
	assert_non_null(strstr(edge->attributes, "\"euid\":0"));
}

static void test_world(void **state)
{
	WITH_LAB;
	struct proc child = {.cgroup = 7, .tgid = 104, .start = 9};
	struct fp_event event;

	lab.unit = "start-up";
	lab_control(&lab, &function, FP_OPERATION_MOUNT, 0, 0, "/proc");
	lab.unit = "A";
	lab_control(&lab, &dog, FP_OPERATION_MOUNT, 0, 0, "/proc");
	event = lab_event(&lab, FP_EVENT_TYPE_FORK, &function);
	event.child_tgid = event.child_tid = child.tgid;
	event.child_start = child.start;
	lab_add(&lab, &event);
	lab_make(&lab);
	assert_int_equal(findings(&lab), 0);
	lab_control(&lab, &function, FP_OPERATION_MOUNT, 0, 0, "/etc"); /* as agents told it once */
	lab_control(&lab, &function, FP_OPERATION_UNSHARE, 0, 0, "");
	lab_control(&lab, &function, FP_OPERATION_BPF, -EPERM, 0, "");
	event.child_tgid = event.child_tid = ++child.tgid;
	event.flags = CLONE_NEWUSER | CLONE_NEWPID;
	event.time = event.start = ++lab.now;
	event.seq = lab.seq++;
	lab_add(&lab, &event);
	lab_make(&lab);
	assert_int_equal(findings(&lab), 4);
	assert_non_null(strstr(lab_edge(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:mounts-changed")->attributes, "/etc"));
	assert_non_null(strstr(lab_edge(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:kernel-asked")->attributes, "EPERM"));
	assert_int_equal(lab_count(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:name-spaces-changed"), 2);
}

static void test_mounted(void **state)
{
	const char *attributes;
	WITH_LAB;

	lab.unit = "start-up";
	lab_mount(&lab, &function, "/proc", "/mnt");
	lab.unit = "A";
	lab_mount(&lab, &function, "/srv", "/opt");
	lab_make(&lab);
	assert_int_equal(findings(&lab), 1);
	attributes = lab_edge(&lab, "process:node@A", FP_EDGE_SHOWS, "finding:mounts-changed")->attributes;
	assert_non_null(strstr(attributes, "\"path\":\"/srv\""));
	assert_non_null(strstr(attributes, "\"new_path\":\"/opt\""));
	assert_non_null(strstr(attributes, "\"object\":{\"dev\":8,\"ino\":815}"));
	assert_non_null(strstr(attributes, "\"place\":{\"dev\":9,\"ino\":911}"));
}

static void test_what_several_could_have_done(void **state)
{
	WITH_LAB;

	lab.unit = "ambiguous";
	lab.candidates = "AB";
	lab_act(&lab, &function, &dog, FP_EVENT_TYPE_SIGNAL, SIGSTOP);
	lab_make(&lab);
	assert_string_equal(lab_edge(&lab, "process:node@ambiguous", FP_EDGE_SHOWS, "finding:watchdog-signalled")->candidates,
			    "41414141414141414141414141414141,42424242424242424242424242424242");
	assert_false(lab_node(&lab, "finding:watchdog-signalled")->row.has_request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused_marks),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_port),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_world),
		cmocka_unit_test(test_mounted),
		cmocka_unit_test(test_what_several_could_have_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

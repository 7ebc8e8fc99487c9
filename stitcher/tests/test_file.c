/* Files, pipes and unix sockets. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "stitcher/tests/lab.h"

#define WITH_TWO                                                      \
	fp_cleanup(lab_done) struct lab lab;                          \
	struct proc p = {.cgroup = 7, .tgid = 100, .start = 5},       \
		    q = {.cgroup = 7, .tgid = 200, .start = 6};       \
	lab_init(&lab);                                               \
	lab_container(&lab, 7, "c1", "pay");                          \
	lab_exec(&lab, &p, "/bin/p", 1, "p");                         \
	lab_exec(&lab, &q, "/bin/q", 2, "q")
#define SETUP_EDGES 2 /* the loads */

static void test_write_in_one_request_read_in_another(void **state)
{
	WITH_TWO;
	const struct lab_edge *edge;

	lab.unit = "A";
	lab_open(&lab, &p, "/tmp/x", 9, O_WRONLY | O_CREAT | FP_OPEN_CREATED);
	lab_write(&lab, &p, 9, 10);
	lab_write(&lab, &p, 9, 20);
	lab.unit = "B";
	lab_open(&lab, &q, "/tmp/x", 9, O_RDONLY);
	lab_read(&lab, &q, 9, 30);
	lab_make(&lab);
	/* made: 0 bytes, with its own attributes; two writes are one edge */
	assert_int_equal(lab_count(&lab, "process:p@A", FP_EDGE_WRITE, "file:/tmp/x"), 2);
	edge = lab_edge(&lab, "file:/tmp/x", FP_EDGE_READ, "process:q@B");
	assert_int_equal(edge->row.bytes, 30);
	assert_int_equal(edge->row.request[3], 'B');
	assert_int_equal(edge->row.attribution, FP_ATTRIBUTION_EXACT);
	lab_expect_edges(&lab, SETUP_EDGES + 3);
	assert_true(lab_reaches(&lab, "process:p@A", "process:q@B"));
	assert_false(lab_reaches(&lab, "process:q@B", "process:p@A"));
	assert_string_equal(lab_node(&lab, "file:/tmp/x")->function, "pay");
}

static void test_a_second_word_fills_in_what_was_left_open(void **state)
{
	fp_cleanup(lab_done) struct lab lab;
	struct proc p = {.cgroup = 7, .tgid = 100, .start = 5};

	lab_init(&lab);
	lab_container(&lab, 7, "c1", "");
	lab_exec(&lab, &p, "/bin/p", 1, "p");
	lab_open(&lab, &p, "/tmp/x", 9, O_RDONLY);
	lab_read(&lab, &p, 9, 30);
	lab_container(&lab, 7, "c2", "pay");
	lab_container(&lab, 7, "c3", "ship");
	lab_make(&lab);
	assert_string_equal(lab_node(&lab, "file:/tmp/x")->function, "pay");
	assert_string_equal(lab_node(&lab, "file:/tmp/x")->instance, "c1");
}

static void test_writes_are_merged_with_their_sums(void **state)
{
	WITH_TWO;
	const struct lab_edge *edge;
	uint64_t first, last;

	lab.unit = "A";
	lab_open(&lab, &p, "/tmp/x", 9, O_WRONLY);
	first = lab.now;
	for (int i = 0; i < 5; i++)
		lab_write(&lab, &p, 9, 10);
	last = lab.now - 1000;
	lab_make(&lab);
	edge = lab_edge(&lab, "process:p@A", FP_EDGE_WRITE, "file:/tmp/x");
	assert_int_equal(edge->row.count, 5);
	assert_int_equal(edge->row.bytes, 50);
	assert_int_equal(edge->row.first, LAB_EPOCH + first);
	assert_int_equal(edge->row.last, LAB_EPOCH + last);
	assert_int_equal(edge->row.event, 4); /* container, two execs, the open, then the first write */
}

static void test_reader_between_writes_keeps_them_apart(void **state)
{
	WITH_TWO;

	lab.unit = "A";
	lab_open(&lab, &p, "/tmp/x", 9, O_WRONLY);
	lab_write(&lab, &p, 9, 10);
	lab_read(&lab, &q, 9, 10);
	lab_write(&lab, &p, 9, 10);
	lab_make(&lab);
	assert_int_equal(lab_count(&lab, "process:p@A", FP_EDGE_WRITE, "file:/tmp/x"), 2);
}

static void test_opens_that_change_nothing(void **state)
{
	WITH_TWO;
	struct fp_event failed;

	lab.unit = "A";
	lab_open(&lab, &p, "/tmp/x", 9, O_RDONLY);
	lab_open(&lab, &p, "/tmp/x", 9, O_RDWR | O_CREAT);
	failed = lab_event(&lab, FP_EVENT_TYPE_OPEN, &p);
	failed.result = -2;
	failed.flags = O_TRUNC;
	failed.object = FP_OBJECT_FILE;
	failed.ino = 9;
	lab_add(&lab, &failed);
	lab_make(&lab);
	lab_expect_edges(&lab, SETUP_EDGES);
	lab_open(&lab, &p, "/tmp/x", 9, O_WRONLY | O_TRUNC);
	lab_make(&lab);
	assert_non_null(strstr(lab_edge(&lab, "process:p@A", FP_EDGE_WRITE, "file:/tmp/x")->attributes, "truncated"));
	lab_expect_edges(&lab, SETUP_EDGES + 1);
}

static struct fp_event change(struct lab *lab, enum fp_event_type type, const struct proc *proc, uint64_t ino, const char *path)
{
	struct fp_event event = lab_event(lab, type, proc);

	event.object = ino ? FP_OBJECT_FILE : FP_OBJECT_OTHER;
	event.dev = ino ? 1 : 0;
	event.ino = ino;
	event.path = lab_str(path);
	return event;
}

static void test_rename_keeps_the_file(void **state)
{
	WITH_TWO;
	struct fp_event event;

	lab.unit = "A";
	lab_open(&lab, &p, "/tmp/x", 9, O_WRONLY | O_TRUNC);
	event = change(&lab, FP_EVENT_TYPE_RENAME, &p, 9, "/tmp/x");
	event.new_path = lab_str("/home/app/y");
	lab_add(&lab, &event);
	event = change(&lab, FP_EVENT_TYPE_CHMOD, &p, 9, "/home/app/y");
	event.mode = 0100777;
	lab_add(&lab, &event);
	lab.unit = "B";
	lab_read(&lab, &q, 9, 5);
	lab_add(&lab, (struct fp_event[]){change(&lab, FP_EVENT_TYPE_UNLINK, &q, 9, "/home/app/y")});
	lab_make(&lab);
	assert_non_null(strstr(lab_edge(&lab, "process:p@A", FP_EDGE_RENAME, "file:/home/app/y")->attributes,
			       "\"new_path\":\"/home/app/y\""));
	assert_non_null(strstr(lab_edge(&lab, "process:p@A", FP_EDGE_CHMOD, "file:/home/app/y")->attributes,
			       "\"mode\":\"0777\""));
	lab_edge(&lab, "file:/home/app/y", FP_EDGE_READ, "process:q@B");
	lab_edge(&lab, "process:q@B", FP_EDGE_UNLINK, "file:/home/app/y");
	assert_non_null(strstr(lab_node(&lab, "file:/home/app/y")->attributes, "[\"/tmp/x\",\"/home/app/y\"]"));
	lab_expect_edges(&lab, SETUP_EDGES + 5);
}

static void test_file_of_no_known_inode_is_told_by_its_path(void **state)
{
	WITH_TWO;

	lab.unit = "A";
	lab_add(&lab, (struct fp_event[]){change(&lab, FP_EVENT_TYPE_UNLINK, &p, 0, "/var/log/x")});
	p.cgroup = 8;
	lab_add(&lab, (struct fp_event[]){change(&lab, FP_EVENT_TYPE_UNLINK, &p, 0, "/var/log/x")});
	lab_make(&lab);
	/* the same path in another container is another file */
	assert_int_equal(lab_count(&lab, "process:p@A", FP_EDGE_UNLINK, "file:/var/log/x"), 2);
	assert_non_null(strstr(lab_node(&lab, "file:/var/log/x")->attributes, "\"identity\":\"path\""));
}

/* File systems give a deleted file's number to the next: what was made anew is another file. */
static void test_inode_number_used_again(void **state)
{
	WITH_TWO;

	lab.unit = "A";
	lab_open(&lab, &p, "/tmp/old", 9, O_WRONLY | O_CREAT | FP_OPEN_CREATED);
	lab_write(&lab, &p, 9, 10);
	lab_add(&lab, (struct fp_event[]){change(&lab, FP_EVENT_TYPE_UNLINK, &p, 9, "/tmp/old")});
	lab.unit = "B";
	lab_open(&lab, &q, "/tmp/new", 9, O_RDWR | O_CREAT | FP_OPEN_CREATED);
	lab_write(&lab, &q, 9, 10);
	lab_read(&lab, &q, 9, 10);
	lab_make(&lab);
	lab_node(&lab, "file:/tmp/old");
	lab_edge(&lab, "file:/tmp/new", FP_EDGE_READ, "process:q@B");
	assert_false(lab_reaches(&lab, "process:p@A", "process:q@B"));
}

/* The open that makes a file is recorded when it is over; others can have used the file by then. */
static void test_file_used_before_its_making_is_recorded(void **state)
{
	WITH_TWO;
	struct fp_event made;

	lab.unit = "B";
	lab_read(&lab, &q, 9, 1);
	lab.unit = "A";
	made = lab_event(&lab, FP_EVENT_TYPE_OPEN, &p);
	made.start = made.time - 5000;
	made.object = FP_OBJECT_FILE;
	made.dev = 1;
	made.ino = 9;
	made.flags = O_CREAT | FP_OPEN_CREATED;
	made.path = lab_str("/tmp/x");
	lab_add(&lab, &made);
	lab_make(&lab);
	lab_edge(&lab, "file:/tmp/x", FP_EDGE_READ, "process:q@B");
	lab_edge(&lab, "process:p@A", FP_EDGE_WRITE, "file:/tmp/x");
}

/* At one moment on two processors: the order is that of the processors, then of the numbers. */
static void test_order_of_one_moment(void **state)
{
	WITH_TWO;
	static const char *const paths[] = {"/last", "/first", "/middle"};
	static const uint64_t cpus[] = {1, 0, 0}, seqs[] = {3, 8, 9};

	for (int i = 0; i < 3; i++) {
		struct fp_event event = lab_event(&lab, FP_EVENT_TYPE_OPEN, &p);

		event.time = event.start = 5000000000;
		event.cpu = cpus[i];
		event.seq = seqs[i];
		event.object = FP_OBJECT_FILE;
		event.ino = 9;
		event.path = lab_str(paths[i]);
		event.flags = O_TRUNC;
		lab_add(&lab, &event);
	}
	lab_make(&lab);
	assert_non_null(strstr(lab_node(&lab, "file:/last")->attributes, "[\"/first\",\"/middle\",\"/last\"]"));
}

static void test_path_seen_late_still_names_the_file(void **state)
{
	WITH_TWO;

	lab.unit = "A";
	lab_write(&lab, &p, 9, 10);
	lab_make(&lab);
	lab_edge(&lab, "process:p@A", FP_EDGE_WRITE, "file:inode 9 of device 1");
	lab_open(&lab, &q, "/tmp/x", 9, O_RDONLY);
	lab_make(&lab);
	lab_edge(&lab, "process:p@A", FP_EDGE_WRITE, "file:/tmp/x");
}

static void test_views_of_the_kernel_and_devices_make_no_node(void **state)
{
	WITH_TWO;
	static const enum fp_object kinds[] = {FP_OBJECT_PROC, FP_OBJECT_DEVICE, FP_OBJECT_OTHER, 77};

	lab.unit = "A";
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct fp_event event = lab_event(&lab, FP_EVENT_TYPE_WRITE, &p);

		event.object = kinds[i];
		event.dev = 1;
		event.ino = 20 + i;
		event.bytes = 1;
		lab_add(&lab, &event);
	}
	lab_make(&lab);
	lab_expect_edges(&lab, SETUP_EDGES);
}

static void test_pipe(void **state)
{
	WITH_TWO;

	lab.unit = "A";
	lab_pipe(&lab, &p, FP_EVENT_TYPE_WRITE, 33, 10);
	lab.unit = "B";
	lab_pipe(&lab, &q, FP_EVENT_TYPE_READ, 33, 10);
	lab_make(&lab);
	lab_edge(&lab, "process:p@A", FP_EDGE_WRITE, "pipe:pipe");
	lab_edge(&lab, "pipe:pipe", FP_EDGE_READ, "process:q@B");
	lab_expect_edges(&lab, SETUP_EDGES + 2);
}

static void unix_bytes(struct lab *lab, const struct proc *proc, enum fp_event_type type, uint64_t own, uint64_t peer)
{
	struct fp_event event = lab_event(lab, type, proc);

	event.family = 1;
	event.ino = event.local_lo = own;
	event.remote_lo = peer;
	event.bytes = 10;
	lab_add(lab, &event);
}

static void test_unix_sockets_have_two_directions(void **state)
{
	WITH_TWO;

	lab.unit = "A";
	unix_bytes(&lab, &p, FP_EVENT_TYPE_SEND, 500, 501);
	unix_bytes(&lab, &q, FP_EVENT_TYPE_RECEIVE, 501, 500);
	/* nothing goes back: q's own words are not those of p */
	lab.unit = "B";
	unix_bytes(&lab, &q, FP_EVENT_TYPE_SEND, 501, 500);
	lab_make(&lab);
	assert_int_equal(lab_count(&lab, "process:p@A", FP_EDGE_WRITE, "pipe:unix socket"), 1);
	assert_int_equal(lab_count(&lab, "pipe:unix socket", FP_EDGE_READ, "process:q@A"), 1);
	assert_int_equal(lab_count(&lab, "process:q@B", FP_EDGE_WRITE, "pipe:unix socket"), 1);
	lab_expect_edges(&lab, SETUP_EDGES + 3);
	assert_true(lab_reaches(&lab, "process:p@A", "process:q@A"));
	assert_false(lab_reaches(&lab, "process:q@B", "process:q@A"));
	assert_false(lab_reaches(&lab, "process:q@B", "process:p@A"));
}

/* Two send to one that takes datagrams: each has its own way to it. */
static void test_unix_datagrams_come_from_who_sent_them(void **state)
{
	WITH_TWO;

	lab.unit = "A";
	unix_bytes(&lab, &p, FP_EVENT_TYPE_SEND, 500, 501);
	unix_bytes(&lab, &q, FP_EVENT_TYPE_RECEIVE, 501, 500);
	lab.unit = "B";
	unix_bytes(&lab, &p, FP_EVENT_TYPE_SEND, 600, 501);
	unix_bytes(&lab, &q, FP_EVENT_TYPE_RECEIVE, 501, 600);
	lab_make(&lab);
	assert_true(lab_reaches(&lab, "process:p@A", "process:q@A"));
	assert_true(lab_reaches(&lab, "process:p@B", "process:q@B"));
	assert_false(lab_reaches(&lab, "process:p@A", "process:q@B"));
	assert_false(lab_reaches(&lab, "process:p@B", "process:q@A"));
}

static void test_unix_peer_is_remembered_beyond_its_end(void **state)
{
	WITH_TWO;

	lab.unit = "A";
	unix_bytes(&lab, &p, FP_EVENT_TYPE_SEND, 500, 501);
	unix_bytes(&lab, &q, FP_EVENT_TYPE_RECEIVE, 501, 0);
	/* and an end that never had one */
	unix_bytes(&lab, &q, FP_EVENT_TYPE_RECEIVE, 900, 0);
	lab_make(&lab);
	assert_true(lab_reaches(&lab, "process:p@A", "process:q@A"));
	assert_int_equal(lab_count(&lab, "pipe:unix socket", FP_EDGE_READ, "process:q@A"), 2);
	lab_expect_edges(&lab, SETUP_EDGES + 3);
}

/* read and write on a unix socket are the same as send and receive. */
static void test_unix_socket_by_read_and_write(void **state)
{
	WITH_TWO;
	struct fp_event event;

	lab.unit = "A";
	unix_bytes(&lab, &p, FP_EVENT_TYPE_SEND, 500, 501);
	event = lab_event(&lab, FP_EVENT_TYPE_READ, &q);
	event.object = FP_OBJECT_SOCKET;
	event.ino = 501;
	event.bytes = 10;
	lab_add(&lab, &event);
	lab_make(&lab);
	assert_true(lab_reaches(&lab, "process:p@A", "process:q@A"));
}

static void test_two_machines_have_different_files(void **state)
{
	WITH_TWO;

	lab.unit = "A";
	lab_write(&lab, &p, 9, 10);
	lab_agent(&lab, "host-2", 2, 2, 1);
	lab.unit = "B";
	lab_read(&lab, &q, 9, 10);
	lab_make(&lab);
	assert_int_equal(lab_count(&lab, "", FP_EDGE_WRITE, "file:inode 9 of device 1"), 1);
	assert_int_equal(lab_count(&lab, "file:inode 9 of device 1", FP_EDGE_READ, ""), 1);
	assert_int_not_equal(lab_edge(&lab, "", FP_EDGE_WRITE, "file:inode 9 of device 1")->row.to,
			     lab_edge(&lab, "file:inode 9 of device 1", FP_EDGE_READ, "")->row.from);
}

/* Two nodes on one kernel share its files, whatever they are called. */
static void test_two_agents_of_one_machine_share_files(void **state)
{
	WITH_TWO;

	lab.unit = "A";
	lab_write(&lab, &p, 9, 10);
	lab_agent(&lab, "node-2", 2, 1, 1);
	lab.unit = "B";
	lab_read(&lab, &q, 9, 10);
	lab_make(&lab);
	assert_true(lab_reaches(&lab, "process:p@A", "process:q@B"));
	/* the process was seen by host-1 first */
	assert_string_equal(lab_node(&lab, "process:q@B")->host, "host-1");
}

static void test_names_that_would_deceive(void **state)
{
	WITH_TWO;

	lab.unit = "A";
	lab_open(&lab, &p, "/tmp/\x1b[2J\xff\"x", 9, O_TRUNC);
	lab_make(&lab);
	lab_edge(&lab, "process:p@A", FP_EDGE_WRITE, "file:/tmp/\\x1b[2J\\xff\"x");
	assert_non_null(strstr(lab_node(&lab, "file:/tmp/\\x1b[2J\\xff\"x")->attributes, "\\\\x1b[2J\\\\xff\\\"x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_in_one_request_read_in_another),
		cmocka_unit_test(test_a_second_word_fills_in_what_was_left_open),
		cmocka_unit_test(test_writes_are_merged_with_their_sums),
		cmocka_unit_test(test_reader_between_writes_keeps_them_apart),
		cmocka_unit_test(test_opens_that_change_nothing),
		cmocka_unit_test(test_rename_keeps_the_file),
		cmocka_unit_test(test_file_of_no_known_inode_is_told_by_its_path),
		cmocka_unit_test(test_inode_number_used_again),
		cmocka_unit_test(test_file_used_before_its_making_is_recorded),
		cmocka_unit_test(test_order_of_one_moment),
		cmocka_unit_test(test_path_seen_late_still_names_the_file),
		cmocka_unit_test(test_views_of_the_kernel_and_devices_make_no_node),
		cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_unix_sockets_have_two_directions),
		cmocka_unit_test(test_unix_datagrams_come_from_who_sent_them),
		cmocka_unit_test(test_unix_peer_is_remembered_beyond_its_end),
		cmocka_unit_test(test_unix_socket_by_read_and_write),
		cmocka_unit_test(test_two_machines_have_different_files),
		cmocka_unit_test(test_two_agents_of_one_machine_share_files),
		cmocka_unit_test(test_names_that_would_deceive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

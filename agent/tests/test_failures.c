/* Failures: what is the same is counted in one, what is usual is only counted, and nothing is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "agent/failures.h"
#include "agent/tests/events.h"
#include "agent/usual.h"

#define ROOM 8192

static struct fp_event out[ROOM];
static char out_path[ROOM][64];
static size_t n_out;
static int refuse;

static int take(void *arg, struct fp_event *event)
{
	if (refuse)
		return refuse;
	assert_true(n_out < ROOM);
	snprintf(out_path[n_out], sizeof(out_path[0]), "%.*s", (int)event->path.len, event->path.data ? event->path.data : "");
	out[n_out++] = *event;
	return 0;
}

static int setup(void **state)
{
	n_out = 0;
	refuse = 0;
	return fp_failures_new(take, NULL, (struct fp_failures **)state);
}

static int teardown(void **state)
{
	fp_failures_free(*state);
	return 0;
}

static const struct fp_str r1 = {"1111111111111111", 16}, r2 = {"2222222222222222", 16};

static struct fp_event make(enum fp_operation operation, int error, const char *path)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_FAILED, NODE, NODE, 0);

	event.operation = operation;
	event.result = -error;
	event.path = (struct fp_str){path, strlen(path)};
	event.naming = FP_NAMING_UNVERIFIED;
	event.request = r1;
	event.count = 1;
	event.last = event.time;
	return event;
}

static struct fp_event add(void **state, enum fp_operation operation, int error, const char *path)
{
	struct fp_event event = make(operation, error, path);

	assert_int_equal(fp_failures_add(*state, &event), 0);
	return event;
}

static const struct fp_event *told(const char *path)
{
	for (size_t i = 0; i < n_out; i++)
		if (strcmp(out_path[i], path) == 0)
			return &out[i];
	fail_msg("%s is not told", path);
	return NULL;
}

static uint64_t counted(void **state, uint64_t operation, int error, uint64_t *ret_told)
{
	for (const struct fp_failure_count *count = fp_failures_counts(*state); count; count = count->hh.next)
		if (count->key.operation == operation && count->key.result == -error) {
			*ret_told = count->told;
			return count->count;
		}
	return 0;
}

static void the_same_is_one(void **state)
{
	struct fp_event first = add(state, FP_OPERATION_OPEN, EACCES, "/etc/shadow"), last;
	uint64_t n_told;

	add(state, FP_OPERATION_OPEN, EACCES, "/etc/gshadow");
	last = add(state, FP_OPERATION_OPEN, EACCES, "/etc/shadow");
	assert_int_equal(n_out, 0);
	assert_int_equal(fp_failures_flush(*state), 0);
	assert_int_equal(n_out, 2);
	assert_int_equal(told("/etc/shadow")->count, 2);
	assert_int_equal(told("/etc/shadow")->time, first.time);
	assert_int_equal(told("/etc/shadow")->last, last.time);
	assert_int_equal(told("/etc/gshadow")->count, 1);
	assert_int_equal(counted(state, FP_OPERATION_OPEN, EACCES, &n_told), 3);
	assert_int_equal(n_told, 3);
	/* told once */
	assert_int_equal(fp_failures_flush(*state), 0);
	assert_int_equal(n_out, 2);
}

static void what_differs_is_not_one(void **state)
{
	struct fp_event event = add(state, FP_OPERATION_OPEN, EACCES, "/a");

	add(state, FP_OPERATION_OPEN, EPERM, "/a");
	add(state, FP_OPERATION_CHANGE, EACCES, "/a");
	event.request = r2;
	assert_int_equal(fp_failures_add(*state, &event), 0);
	event.candidates = r1;
	assert_int_equal(fp_failures_add(*state, &event), 0);
	event.tgid++;
	assert_int_equal(fp_failures_add(*state, &event), 0);
	event.exec_id++;
	assert_int_equal(fp_failures_add(*state, &event), 0);
	event.cgroup++;
	assert_int_equal(fp_failures_add(*state, &event), 0);
	assert_int_equal(fp_failures_flush(*state), 0);
	assert_int_equal(n_out, 8);
	for (size_t i = 0; i < n_out; i++)
		assert_int_equal(out[i].count, 1);
}

static void addresses_and_processes_are_names(void **state)
{
	struct fp_event event = make(FP_OPERATION_CONNECT, ECONNREFUSED, "");

	event.family = 2;
	event.protocol = 6;
	event.remote_lo = 0xffffc6120001;
	for (unsigned port = 1; port <= 3; port++) {
		event.remote_port = port;
		for (unsigned i = 0; i < port; i++)
			assert_int_equal(fp_failures_add(*state, &event), 0);
	}
	event = make(FP_OPERATION_SEND_SIGNAL, EPERM, "");
	event.target_tgid = 1;
	assert_int_equal(fp_failures_add(*state, &event), 0);
	assert_int_equal(fp_failures_flush(*state), 0);
	assert_int_equal(n_out, 4);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(out[i].count, out[i].remote_port);
	assert_int_equal(out[3].target_tgid, 1);
}

static void names_are_bounded_and_calls_are_not(void **state)
{
	char path[32];
	uint64_t n = 0;

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(path, sizeof(path), "/secret/%u", i);
		add(state, FP_OPERATION_OPEN, ENOENT, path);
	}
	assert_int_equal(fp_failures_flush(*state), 0);
	assert_int_equal(n_out, FP_FAILURE_NAMES_MAX + 1);
	for (unsigned i = 0; i < FP_FAILURE_NAMES_MAX; i++) {
		snprintf(path, sizeof(path), "/secret/%u", i);
		assert_int_equal(told(path)->count, 1);
	}
	assert_int_equal(told("")->count, 1000 - FP_FAILURE_NAMES_MAX);
	assert_int_equal(told("")->naming, FP_NAMING_NONE);
	/* after the flush there is room for names again */
	add(state, FP_OPERATION_OPEN, ENOENT, "/secret/again");
	fp_failures_flush(*state);
	told("/secret/again");
	for (size_t i = 0; i < n_out; i++)
		n += out[i].count;
	assert_int_equal(n, 1001);
}

/* A fork bomb's failures: the table is written when it is full, and each call is in some event. */
static void a_full_table_is_written(void **state)
{
	struct fp_event event = make(FP_OPERATION_OPEN, EACCES, "/etc/shadow");
	uint64_t n = 0;

	for (unsigned i = 0; i < 5000; i++) {
		event.tgid = 1000 + i;
		assert_int_equal(fp_failures_add(*state, &event), 0);
	}
	assert_true(n_out >= 2048);
	assert_int_equal(fp_failures_flush(*state), 0);
	for (size_t i = 0; i < n_out; i++)
		n += out[i].count;
	assert_int_equal(n, 5000);
	for (size_t i = 1; i < n_out; i++)
		assert_true(out[i - 1].tgid < out[i].tgid);
}

static void counts_are_bounded(void **state)
{
	struct fp_event event = make(FP_OPERATION_OPEN, EACCES, "/a");
	uint64_t n = 0, rows = 0;

	for (unsigned i = 0; i < 2 * FP_FAILURE_COUNTS_MAX; i++) {
		event.cgroup = 100 + i;
		assert_int_equal(fp_failures_add(*state, &event), 0);
	}
	for (const struct fp_failure_count *count = fp_failures_counts(*state); count; count = count->hh.next, rows++)
		n += count->count;
	assert_int_equal(n, 2 * FP_FAILURE_COUNTS_MAX);
	assert_int_equal(rows, FP_FAILURE_COUNTS_MAX + 1);
}

/* execvp goes through a search path; other programs are others. */
static void a_search_for_a_program_is_one(void **state)
{
	add(state, FP_OPERATION_EXEC, ENOENT, "/usr/local/bin/node");
	add(state, FP_OPERATION_EXEC, ENOENT, "/usr/bin/node");
	add(state, FP_OPERATION_EXEC, ENOENT, "/usr/bin/nodejs");
	add(state, FP_OPERATION_EXEC, EACCES, "/root/bin/node");
	add(state, FP_OPERATION_OPEN, ENOENT, "/opt/node");
	add(state, FP_OPERATION_OPEN, ENOENT, "/srv/node");
	assert_int_equal(fp_failures_flush(*state), 0);
	assert_int_equal(n_out, 5);
	assert_int_equal(told("/usr/local/bin/node")->count, 2);
}

/* Numbers and strings as nobody's kernel would tell them. */
static void hostile_records_do_no_harm(void **state)
{
	static const char zeros[70];
	struct fp_event event = make(FP_OPERATION_OPEN, 0, "");

	event.result = INT64_MIN;
	event.operation = UINT64_MAX;
	assert_int_equal(fp_failures_add(*state, &event), 0);
	event.result = INT64_MAX;
	assert_int_equal(fp_failures_add(*state, &event), 0);
	event = make(FP_OPERATION_OPEN, EACCES, "");
	event.path = (struct fp_str){zeros, sizeof(zeros)};
	assert_int_equal(fp_failures_add(*state, &event), 0);
	/* one that is a part of another is not the same */
	event.path.len--;
	assert_int_equal(fp_failures_add(*state, &event), 0);
	assert_int_equal(fp_failures_flush(*state), 0);
	assert_int_equal(n_out, 4);
}

static void who_cannot_take_it_is_heard(void **state)
{
	add(state, FP_OPERATION_OPEN, EACCES, "/a");
	refuse = -EIO;
	assert_int_equal(fp_failures_flush(*state), -EIO);
}

static void what_is_usual_is_only_counted(void **state)
{
	static const struct {
		enum fp_operation operation;
		int error;
		const char *path;
		bool usual;
	} all[] = {
		{FP_OPERATION_ACCESS, ENOENT, "/etc/ld.so.preload", true},
		{FP_OPERATION_OPEN, ENOENT, "/usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3/libssl.so.3", true},
		{FP_OPERATION_OPEN, ENOENT, "/home/app/node_modules/express/lib/package.json", true},
		{FP_OPERATION_OPEN, ENOENT, "/usr/lib/python3/dist-packages/x.cpython-311-x86_64-linux-gnu.so", true},
		{FP_OPERATION_OPEN, EACCES, "/home/app/__pycache__/index.cpython-311.pyc.139", true},
		{FP_OPERATION_NAME, EROFS, "/home/app/__pycache__", true},
		{FP_OPERATION_CONNECT, ENOENT, "/var/run/nscd/socket", true},
		{FP_OPERATION_TRANSFER, EPIPE, "", true},
		{FP_OPERATION_NAME, EEXIST, "/tmp", true},
		{FP_OPERATION_CHANGE, ENODATA, "/etc/passwd", true},
		{FP_OPERATION_OPEN, EACCES, "/etc/shadow", false},
		{FP_OPERATION_OPEN, EACCES, "/root/x.so", false},
		{FP_OPERATION_OPEN, ENOENT, "/root/.ssh/id_rsa", false},
		{FP_OPERATION_ACCESS, ENOENT, "/root/.aws/credentials", false},
		{FP_OPERATION_EXEC, ENOENT, "/usr/bin/nmap", false},
		{FP_OPERATION_CONNECT, EACCES, "/run/docker.sock", false},
		{FP_OPERATION_CONNECT, ENOENT, "/run/docker.sock", false},
		{FP_OPERATION_TRANSFER, ECONNREFUSED, "", false},
		{FP_OPERATION_MAP, EACCES, "", false},
		{FP_OPERATION_CREDENTIALS, EPERM, "", false},
		{FP_OPERATION_SEND_SIGNAL, ESRCH, "", false},
		{FP_OPERATION_PTRACE, EPERM, "", false},
	};
	size_t expected = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct fp_event event = make(all[i].operation, all[i].error, all[i].path);

		if (fp_failure_is_usual(&event) != all[i].usual)
			fail_msg("%s %s %s", fp_operation_name(all[i].operation), strerrorname_np(all[i].error), all[i].path);
		assert_int_equal(fp_failures_add(*state, &event), 0);
		expected += !all[i].usual;
	}
	assert_int_equal(fp_failures_flush(*state), 0);
	assert_int_equal(n_out, expected);
	for (size_t i = 0; i < n_out; i++)
		assert_int_equal(out[i].usual, 0);
}

/* The C library tries addresses with a datagram socket; a scan is made with others, or is told by what comes back. */
static void a_protocol_decides(void **state)
{
	struct fp_event event = make(FP_OPERATION_CONNECT, ENETUNREACH, "");

	event.protocol = 17;
	assert_true(fp_failure_is_usual(&event));
	event.protocol = 6;
	assert_false(fp_failure_is_usual(&event));
	event = make(FP_OPERATION_SOCKET, EAFNOSUPPORT, "");
	event.flags = 10;
	assert_true(fp_failure_is_usual(&event));
	event.flags = 38; /* the kernel's own ciphers, by which some got out */
	assert_false(fp_failure_is_usual(&event));
}

static void raw_tells_all_and_says_what_is_usual(void **state)
{
	struct fp_event usual = make(FP_OPERATION_ACCESS, ENOENT, "/etc/ld.so.preload"), other = make(FP_OPERATION_OPEN, EACCES, "/a");
	uint64_t n_told;

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(fp_failures_pass(*state, &usual), 0);
		assert_int_equal(fp_failures_pass(*state, &other), 0);
	}
	assert_int_equal(n_out, 4);
	for (size_t i = 0; i < n_out; i++)
		assert_int_equal(out[i].usual, i % 2 == 0);
	assert_int_equal(counted(state, FP_OPERATION_ACCESS, ENOENT, &n_told), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_same_is_one),
		TEST(what_differs_is_not_one),
		TEST(addresses_and_processes_are_names),
		TEST(names_are_bounded_and_calls_are_not),
		TEST(a_full_table_is_written),
		TEST(counts_are_bounded),
		TEST(a_search_for_a_program_is_one),
		TEST(hostile_records_do_no_harm),
		TEST(who_cannot_take_it_is_heard),
		TEST(what_is_usual_is_only_counted),
		TEST(a_protocol_decides),
		TEST(raw_tells_all_and_says_what_is_usual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

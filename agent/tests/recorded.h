/*
 * A child in a cgroup of its own does known things under the real kernel side; all
 * its records are then in `events`.  For the tests of the capture, one a program.
 */
#ifndef FP_AGENT_TESTS_RECORDED_H
#define FP_AGENT_TESTS_RECORDED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/bpf/shared.h"
#include "agent/capture.h"
#include "agent/cgroup.h"
#include "agent/decode.h"
#include "agent/tests/privilege.h"

#pragma GCC diagnostic ignored "-Wunused-function"

#define EVENTS_MAX 65536
#ifndef RING_SIZE
#define RING_SIZE (1 << 20)
#endif

static struct fp_cgroup cgroup;
static struct fp_capture *capture;
static char *raw[EVENTS_MAX];
static struct fp_event events[EVENTS_MAX];
static size_t n_events;
static pid_t child;
static char directory[] = "/tmp/faasprov-test-XXXXXX";

/* What the child wants the test to know, by memory that both have. */
static uint64_t *told;

static void share(void)
{
	if (!told)
		told = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(told, MAP_FAILED);
	memset(told, 0, 8192);
}

static uint64_t ino_of_fd(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

static int take(void *arg, const void *data, size_t len)
{
	assert_true(n_events < EVENTS_MAX);
	raw[n_events] = malloc(len);
	memcpy(raw[n_events], data, len);
	assert_int_equal(fp_decode(raw[n_events], len, &events[n_events]), 0);
	n_events++;
	return 0;
}

/* Runs `work` as a recorded process, then has all its records in `events`. */
static void record(int (*work)(void))
{
	int go = eventfd(0, 0), status;
	uint64_t one = 1;

	for (size_t i = 0; i < n_events; i++)
		free(raw[i]);
	n_events = 0;
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (read(go, &one, sizeof(one)) != sizeof(one))
			_exit(99);
		_exit(work());
	}
	assert_int_equal(fp_cgroup_enter(&cgroup, child), 0);
	assert_int_equal(write(go, &one, sizeof(one)), sizeof(one));
	assert_int_equal(waitpid(child, &status, 0), child);
	close(go);
	assert_true(fp_capture_drain(capture, take, NULL) >= 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The n-th event of a type (from 0), which must be there. */
static const struct fp_event *nth(enum fp_event_type type, unsigned n)
{
	for (size_t i = 0; i < n_events; i++)
		if (events[i].type == type && n-- == 0)
			return &events[i];
	fail_msg("no such %s", fp_event_info(type)->name);
	return NULL;
}

/* The n-th open of that path (from 0), which must be there. */
static const struct fp_event *nth_open(const char *path, unsigned n)
{
	for (size_t i = 0; i < n_events; i++)
		if (events[i].type == FP_EVENT_TYPE_OPEN && events[i].path.len == strlen(path) &&
		    memcmp(events[i].path.data, path, strlen(path)) == 0 && n-- == 0)
			return &events[i];
	fail_msg("%s was not opened", path);
	return NULL;
}

static unsigned count(enum fp_event_type type)
{
	unsigned n = 0;

	for (size_t i = 0; i < n_events; i++)
		n += events[i].type == type;
	return n;
}

/* The n-th change of what a process may do, or of what it sees mounted. */
static const struct fp_event *nth_change(unsigned n)
{
	for (size_t i = 0; i < n_events; i++)
		if ((events[i].type == FP_EVENT_TYPE_CONTROL || events[i].type == FP_EVENT_TYPE_MOUNT) && n-- == 0)
			return &events[i];
	fail_msg("no such change");
	return NULL;
}

static enum fp_loss asked_loss;

static void add_loss(void *n, uint64_t of_cgroup, uint32_t cause, uint64_t lost)
{
	if (of_cgroup == cgroup.id && cause == (uint32_t)asked_loss)
		*(uint64_t *)n += lost;
}

/* How much the kernel side has counted by that cause since it was asked last, for any. */
static uint64_t lost_by(enum fp_loss cause)
{
	uint64_t n = 0;

	asked_loss = cause;
	fp_capture_take_losses(capture, add_loss, &n);
	return n;
}

static void assert_text(struct fp_str text, const char *expected)
{
	assert_int_equal(text.len, strlen(expected));
	assert_memory_equal(text.data, expected, text.len);
}

static const char *in_directory(const char *name)
{
	static char path[2][256];
	static unsigned turn;

	turn ^= 1;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", directory, name);
	return path[turn];
}

static uint64_t ino_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static int group_setup(void **state)
{
	struct fp_capture_options options = {.ring_size = RING_SIZE};
	char error[256], name[64];

	snprintf(name, sizeof(name), "faasprov-test-%d", getpid());
	if (!may_load_programs() || fp_cgroup_make(name, &cgroup) < 0) {
		print_message("skipped: may not load BPF programs or make a cgroup\n");
		exit(77);
	}
	options.root_cgroup = cgroup.id;
	options.root_path = cgroup.path;
	options.root_level = options.container_level = cgroup.level;
	if (fp_capture_open(&options, &capture, error) < 0 || fp_capture_start(capture, error) < 0) {
		print_error("%s\n", error);
		fp_cgroup_remove(&cgroup);
		return -1;
	}
	return mkdtemp(directory) ? 0 : -1;
}

static int group_teardown(void **state)
{
	char command[300];

	fp_capture_free(capture);
	fp_cgroup_remove(&cgroup);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

#endif

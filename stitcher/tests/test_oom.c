/*
 * Memory runs out at every place in turn: an error each time, no crash, no leak
 * (the sanitizers look), and nothing of the graph that was not asked for.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stitcher/tests/lab.h"

/* The n-th allocation from now on fails; 0: none. */
static unsigned long fail_at, allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool fails(void)
{
	return ++allocations == fail_at;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

static void try_in_vain(struct lab *lab, const struct proc *proc, enum fp_operation operation, int error, const char *path)
{
	struct fp_event event = lab_event(lab, FP_EVENT_TYPE_FAILED, proc);

	event.operation = operation;
	event.result = -error;
	event.path = lab_str(path);
	lab_add(lab, &event);
}

/* A little of everything. */
static void happen(struct lab *lab)
{
	struct proc watchdog = {7, 100, 1, 1}, node = {7, 101, 2, 1}, child;
	struct link own = lab_link("127.0.0.1:3000", "127.0.0.1:4000"), web = lab_link("10.1.0.1:4000", "10.1.0.2:80");
	struct link there = lab_other_end(&web);

	lab_container(lab, 7, "c1", "pay");
	lab_begin(lab, &watchdog, "A", "10.1.0.9:1", "10.1.0.254:8080", "/\x1b");
	lab->unit = "A";
	lab->rule = FP_RULE_CONNECTION;
	lab_socket(lab, &node, FP_EVENT_TYPE_RECEIVE, &own, 10);
	lab->rule = 0;
	try_in_vain(lab, &node, FP_OPERATION_OPEN, EACCES, "/etc/shadow");
	try_in_vain(lab, &node, FP_OPERATION_EXEC, ENOENT, "/usr/bin/nmap");
	lab_open(lab, &node, "/tmp/x", 9, O_TRUNC);
	lab_write(lab, &node, 9, 10);
	lab_message(lab, &node, &web, FP_APP_HTTP_REQUEST, "POST", "", "/function/pay", "");
	lab_socket(lab, &node, FP_EVENT_TYPE_CONNECT, &web, 0);
	lab_socket(lab, &node, FP_EVENT_TYPE_SEND, &web, 10);
	lab_begin(lab, &watchdog, "B", "10.1.0.1:4000", "10.1.0.254:8080", "/");
	lab->unit = "ambiguous";
	lab->candidates = "AB";
	lab_socket(lab, &watchdog, FP_EVENT_TYPE_RECEIVE, &there, 10);
	lab_read(lab, &node, 9, 10);
	lab->unit = "B";
	child = lab_fork(lab, &node, 200);
	lab_exec(lab, &child, "/bin/sh", 11, "sh -c x");
	lab_pipe(lab, &child, FP_EVENT_TYPE_WRITE, 33, 1);
	lab_pipe(lab, &node, FP_EVENT_TYPE_READ, 33, 1);
	lab_exit(lab, &child, 0);
	lab_end(lab, &watchdog, "B", 200);
	lab_end(lab, &watchdog, "A", 200);
}

static struct fp_batch *make_batch(void)
{
	fp_cleanup(lab_done) struct lab lab;
	struct fp_batch_header header;
	struct fp_event lost = {.type = FP_EVENT_TYPE_LOST, .time = 1000000500, .cause = FP_LOSS_RING_FULL, .lost = 3};
	struct fp_batch *batch;
	const uint8_t *frame;
	uint8_t hash[FP_BATCH_HASH_SIZE];
	size_t len;

	lab_init(&lab);
	header = lab.header;
	assert_int_equal(fp_batch_writer_new(&lab.writer), 0);
	happen(&lab);
	assert_int_equal(fp_batch_writer_add(lab.writer, &lost), 0);
	assert_int_equal(fp_batch_writer_finish(lab.writer, &header, &frame, &len, hash), 0);
	assert_int_equal(fp_batch_open(frame, len, &batch), 0);
	fp_batch_writer_free(lab.writer);
	return batch;
}

static unsigned long taken;

static int take_node(void *arg, const struct fp_store_node *node)
{
	taken++;
	return 0;
}

static int take_edge(void *arg, const struct fp_store_edge *edge)
{
	taken++;
	return 0;
}

static int take_request(void *arg, const struct fp_store_request *request)
{
	taken++;
	return 0;
}

static int take_loss(void *arg, const struct fp_store_loss *loss)
{
	taken++;
	return 0;
}

static int stitch(struct fp_batch *batch)
{
	static const struct fp_stitch_sink sink = {
		.node = take_node, .edge = take_edge, .request = take_request, .loss = take_loss};
	fp_cleanup(fp_stitch_freep) struct fp_stitch *stitch = NULL;
	struct fp_event event;
	int r = fp_stitch_new(NULL, &stitch);

	if (r == 0)
		r = fp_stitch_batch(stitch, 1, fp_batch_header(batch));
	fp_batch_rewind(batch);
	while (r == 0 && fp_batch_next(batch, &event) == 1)
		r = fp_stitch_event(stitch, &event, 0);
	taken = 0;
	return r < 0 ? r : fp_stitch_make(stitch, &sink);
}

static void test_every_allocation(void **state)
{
	struct fp_batch *batch = make_batch();
	unsigned long total, whole;

	fail_at = 0;
	allocations = 0;
	assert_int_equal(stitch(batch), 0);
	total = allocations;
	whole = taken;
	assert_in_range(total, 50, 100000);
	assert_in_range(whole, 20, 1000);
	for (unsigned long n = 1; n <= total; n++) {
		int r;

		allocations = 0;
		fail_at = n;
		r = stitch(batch);
		fail_at = 0;
		if (r != -ENOMEM)
			fail_msg("allocation %lu of %lu failed, and the result was %d", n, total, r);
	}
	assert_int_equal(stitch(batch), 0);
	assert_int_equal(taken, whole);
	fp_batch_free(batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Evidence that is wrong, absurd or meant to hurt: nothing breaks, and what is honest beside it stays. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "stitcher/tests/lab.h"

static uint64_t seed;

static uint64_t dice(void)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return seed >> 11;
}

/* Numbers as they come: mostly small, so that identities meet; sometimes absurd. */
static uint64_t number(void)
{
	static const uint64_t absurd[] = {0, UINT64_MAX, INT64_MAX, 1ull << 63, UINT32_MAX, 1ull << 32};

	return dice() % 8 == 0 ? absurd[dice() % 6] : dice() % 6;
}

static struct fp_str text(enum fp_field field)
{
	static const char pool[] = "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBB\x1b\xff\0/function/f,10.0.0.1:1, [::1]:2";
	size_t from = dice() % sizeof(pool), len = dice() % (sizeof(pool) - from + 1);

	if (field == FP_FIELD_request && dice() % 4)
		return (struct fp_str){pool + dice() % 2 * 16, 16};
	if (field == FP_FIELD_candidates && dice() % 4)
		return (struct fp_str){pool, 32};
	return (struct fp_str){len ? pool + from : NULL, len};
}

static void fill_random(struct fp_event *event)
{
	*event = (struct fp_event){.type = (enum fp_event_type)(dice() % 50)};
	for (unsigned id = 1; id < FP_FIELD_MAX; id++) {
		const struct fp_field_info *info = fp_field_info(id);

		if (!info)
			continue;
		if (info->kind == FP_KIND_STR)
			*fp_event_str(event, info) = text(id);
		else
			*fp_event_num(event, info) = number();
	}
	if (dice() % 2)
		event->time = dice() % 1000;
	if (dice() % 2)
		event->family = dice() % 2 ? 2 : 1;
}

static void test_random_events(void **state)
{
	for (seed = 1; seed < 60; seed++) {
		fp_cleanup(lab_done) struct lab lab;
		struct fp_stitch_counts counts;
		uint64_t kept = seed;

		lab_init(&lab);
		for (unsigned batch = 0; batch < 4; batch++) {
			lab_agent(&lab, batch % 2 ? "h\x1b" : "", (uint8_t)batch, (uint8_t)(batch % 2), dice() % 5);
			for (int i = 0; i < 250; i++) {
				struct fp_event event;

				fill_random(&event);
				lab_add(&lab, &event);
			}
		}
		/* what a node or edge must satisfy is asserted as it is taken */
		lab_make(&lab);
		fp_stitch_counts(lab.stitch, &counts);
		assert_int_equal(counts.events, 1000);
		assert_int_equal(counts.nodes, lab.n_nodes);
		assert_int_equal(counts.edges, lab.n_edges);
		seed = kept;
	}
}

static void test_clocks_beyond_all_bounds(void **state)
{
	fp_cleanup(lab_done) struct lab lab;
	struct proc p = {.cgroup = 7, .tgid = 100, .start = 5};

	lab_init(&lab);
	lab.unit = "A";
	lab.header.clock_offset = INT64_MIN;
	memset(lab.header.boot, 9, sizeof(lab.header.boot));
	assert_int_equal(fp_stitch_batch(lab.stitch, 77, &lab.header), 0);
	lab_read(&lab, &p, 9, 1);
	lab.now = UINT64_MAX - 5000;
	lab_read(&lab, &p, 9, 1);
	lab.header.clock_offset = INT64_MAX;
	memset(lab.header.boot, 8, sizeof(lab.header.boot));
	assert_int_equal(fp_stitch_batch(lab.stitch, 78, &lab.header), 0);
	lab.now = 1;
	lab_read(&lab, &p, 9, 1);
	lab_make(&lab);
	for (size_t i = 0; i < lab.n_edges; i++)
		assert_true(lab.edges[i].row.last <= INT64_MAX);
}

static void test_limit_of_events(void **state)
{
	struct fp_stitch_limits limits = {.items = 10, .text_bytes = 1 << 20};
	fp_cleanup(fp_stitch_freep) struct fp_stitch *stitch = NULL;
	struct fp_batch_header header = {.number = 1};
	struct fp_event event = {.type = FP_EVENT_TYPE_READ, .object = FP_OBJECT_FILE, .dev = 1, .ino = 1, .bytes = 1};
	int r = 0, n = 0;

	assert_int_equal(fp_stitch_new(&limits, &stitch), 0);
	assert_int_equal(fp_stitch_batch(stitch, 1, &header), 0);
	while (r == 0 && n++ < 100)
		r = fp_stitch_event(stitch, &event, 0);
	assert_int_equal(r, -EFBIG);
	assert_int_equal(n, 11);
}

static void test_limit_of_texts(void **state)
{
	struct fp_stitch_limits limits = {.items = 100000, .text_bytes = 50000};
	fp_cleanup(fp_stitch_freep) struct fp_stitch *stitch = NULL;
	struct fp_batch_header header = {.number = 1};
	struct fp_event event = {.type = FP_EVENT_TYPE_OPEN, .object = FP_OBJECT_FILE, .dev = 1, .ino = 1};
	char path[1000];
	int r = 0, n = 0;

	memset(path, 'x', sizeof(path));
	event.path = (struct fp_str){path, sizeof(path)};
	assert_int_equal(fp_stitch_new(&limits, &stitch), 0);
	assert_int_equal(fp_stitch_batch(stitch, 1, &header), 0);
	while (r == 0 && n++ < 1000) {
		snprintf(path, sizeof(path), "%04d", n);
		r = fp_stitch_event(stitch, &event, 0);
	}
	assert_int_equal(r, -EFBIG);
	assert_in_range(n, 45, 51);
}

static int refuse_edge(void *arg, const struct fp_store_edge *edge)
{
	return edge->id == 3 ? -ENOSPC : 0;
}

static int take_node(void *arg, const struct fp_store_node *node)
{
	return 0;
}

static void test_sink_that_fails(void **state)
{
	fp_cleanup(lab_done) struct lab lab;
	const struct fp_stitch_sink sink = {.node = take_node, .edge = refuse_edge};
	struct proc p = {.cgroup = 7, .tgid = 100, .start = 5};

	lab_init(&lab);
	lab.unit = "A";
	for (uint64_t i = 0; i < 5; i++)
		lab_read(&lab, &p, 9 + i, 1);
	assert_int_equal(fp_stitch_make(lab.stitch, &sink), -ENOSPC);
	/* and once more, whole */
	lab_make(&lab);
	lab_expect_edges(&lab, 5);
}

static int interrupt(void *arg, const char *what, uint64_t done, uint64_t total)
{
	return -EINTR;
}

static void test_interruption(void **state)
{
	fp_cleanup(lab_done) struct lab lab;
	const struct fp_stitch_sink sink = {.progress = interrupt};
	struct proc p = {.cgroup = 7, .tgid = 100, .start = 5};

	lab_init(&lab);
	lab_read(&lab, &p, 9, 1);
	assert_int_equal(fp_stitch_make(lab.stitch, &sink), -EINTR);
}

static void test_nothing(void **state)
{
	fp_cleanup(lab_done) struct lab lab;

	lab_init(&lab);
	lab_make(&lab);
	lab_expect_edges(&lab, 0);
	assert_int_equal(lab.n_nodes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_events),
		cmocka_unit_test(test_clocks_beyond_all_bounds),
		cmocka_unit_test(test_limit_of_events),
		cmocka_unit_test(test_limit_of_texts),
		cmocka_unit_test(test_sink_that_fails),
		cmocka_unit_test(test_interruption),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

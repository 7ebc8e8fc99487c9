/* Who makes room, and that what is forgotten makes answers weaker and never wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agent/attribute.h"
#include "agent/bounds.h"
#include "agent/names.h"
#include "agent/pipeline.h"
#include "agent/tests/events.h"

/* --- who makes room ------------------------------------------------------------------ */

struct owner {
	size_t entries[2], size[2];
	unsigned asked[2];
};

static unsigned look(const void *owner, struct fp_bound *ret)
{
	const struct owner *o = owner;

	for (unsigned i = 0; i < 2; i++)
		ret[i] = (struct fp_bound){"table", o->entries[i], o->entries[i] * o->size[i], o->asked[i]};
	return 2;
}

static void forget(void *owner, unsigned table)
{
	struct owner *o = owner;

	assert_true(o->entries[table] > 0);
	o->entries[table]--;
	o->asked[table]++;
}

static void the_largest_makes_room(void **state)
{
	struct owner small = {{10, 2}, {1, 50}, {0}}, large = {{0, 30}, {100, 100}, {0}};
	struct fp_bounds bounds = {.limit = 500};
	struct fp_bound table;

	fp_bounds_add(&bounds, &small, look, forget);
	fp_bounds_add(&bounds, &large, look, forget);
	assert_int_equal(fp_bounds_bytes(&bounds), 3110);
	assert_int_equal(fp_bounds_keep(&bounds), 27);
	assert_int_equal(large.asked[1], 27);
	assert_int_equal(fp_bounds_keep(&bounds), 0);
	assert_true(fp_bounds_table(&bounds, 3, &table));
	assert_int_equal(table.entries, 3);
	assert_int_equal(table.forgotten, 27);
	assert_false(fp_bounds_table(&bounds, 4, &table));
	/* what nobody can give up does not go on for ever */
	bounds.limit = 0;
	assert_int_equal(fp_bounds_keep(&bounds), 15);
	assert_int_equal(fp_bounds_bytes(&bounds), 0);
}

static void what_is_used_stays(void **state)
{
	struct fp_names *names;
	struct fp_bound bound;
	char path[40];

	assert_int_equal(fp_names_new(&names), 0);
	for (int round = 0; round < 3; round++)
		for (unsigned i = 0; i < 100; i++) {
			struct fp_event event = make_event(FP_EVENT_TYPE_OPEN, NODE, NODE, 1);
			int len = snprintf(path, sizeof(path), "/f/%u", i);

			if (round > 0 && i % 10)
				continue;
			event.path = (struct fp_str){path, (size_t)len};
			event.ino = i + 1;
			assert_int_equal(fp_names_note(names, &event), 0);
		}
	for (int i = 0; i < 50; i++)
		fp_names_forget(names, 0);
	assert_int_equal(fp_names_look(names, &bound), 1);
	assert_int_equal(bound.entries, 50);
	assert_int_equal(bound.forgotten, 50);
	for (unsigned i = 0; i < 100; i++) {
		struct fp_event event = make_event(FP_EVENT_TYPE_CHMOD, NODE, NODE, 1);
		int len = snprintf(path, sizeof(path), "/f/%u", i);

		event.path = (struct fp_str){path, (size_t)len};
		assert_int_equal(fp_names_note(names, &event), 0);
		/* every tenth was used again; of the others the oldest have gone */
		assert_int_equal(event.ino, i % 10 == 0 || i > 55 ? i + 1 : 0);
	}
	while (fp_names_look(names, &bound) && bound.entries)
		fp_names_forget(names, 0);
	assert_int_equal(bound.bytes, 0);
	fp_names_free(names);
}

/* --- what follows from it ------------------------------------------------------------- */

static unsigned told;

static void tell(void *arg, uint64_t cgroup)
{
	assert_int_equal(cgroup, CGROUP);
	told++;
}

static int setup(void **state)
{
	told = 0;
	if (fp_attributor_new((struct fp_attributor **)state) < 0)
		return -1;
	fp_attributor_set_forgotten_fn(*state, tell, NULL);
	return 0;
}

static int teardown(void **state)
{
	fp_attributor_free(*state);
	return 0;
}

static void forget_all(void **state, const char *name)
{
	struct fp_bound tables[FP_BOUNDS_TABLES_MAX];
	unsigned n = fp_attributor_look(*state, tables), i = 0;

	while (i < n && strcmp(tables[i].name, name) != 0)
		i++;
	assert_true(i < n);
	assert_true(tables[i].entries > 0);
	for (; tables[i].entries; fp_attributor_look(*state, tables))
		fp_attributor_forget(*state, i);
	assert_true(tables[i].forgotten > 0);
}

static void mark(void **state, unsigned what, unsigned id)
{
	struct fp_event event = make_mark(what == FP_MARK_ENTER ? NODE : WATCHDOG, what, id);

	assert_true(fp_attributor_note(*state, &event) >= 0);
	assert_int_not_equal(event.type, FP_EVENT_TYPE_REFUSED);
}

static void mark_connection(void **state, unsigned id, uint32_t written)
{
	struct fp_event event = make_connection_mark(id, 40000, written);

	assert_true(fp_attributor_note(*state, &event) >= 0);
}

static struct fp_event done(void **state, struct fp_event event)
{
	assert_true(fp_attributor_note(*state, &event) >= 0);
	return event;
}

static struct fp_event written(void **state, uint64_t tgid, uint64_t turn)
{
	return done(state, make_event(FP_EVENT_TYPE_WRITE, tgid, tgid, turn));
}

/* The candidates are just these. */
static void assert_ambiguous(const struct fp_event *event, unsigned one, unsigned other)
{
	unsigned found = 0;

	assert_int_equal(event->attribution, FP_ATTRIBUTION_AMBIGUOUS);
	assert_int_equal(event->candidates.len, 2 * FP_REQUEST_ID_SIZE);
	for (size_t i = 0; i < 2; i++) {
		unsigned id = (uint8_t)event->candidates.data[(i + 1) * FP_REQUEST_ID_SIZE - 1];

		found |= (id == one ? 1u : 0) | (id == other ? 2u : 0);
	}
	assert_int_equal(found, 3);
}

/* Request 1 is read and, when `ends`, over; 2 is in flight. */
static void two_requests(void **state, bool ends)
{
	mark(state, FP_MARK_HELLO, 0);
	mark(state, FP_MARK_BEGIN, 1);
	mark_connection(state, 1, 0);
	done(state, make_request_read(1, 40000, 50, 50));
	if (ends)
		mark(state, FP_MARK_END, 1);
}

static void a_process_left_behind(void **state)
{
	struct fp_event event;

	two_requests(state, false);
	event = make_event(FP_EVENT_TYPE_FORK, NODE, NODE, 1);
	event.child_tgid = event.child_tid = event.child_start = CHILD;
	done(state, event);
	mark(state, FP_MARK_END, 1);
	mark(state, FP_MARK_BEGIN, 2);
	mark_connection(state, 2, 50);
	done(state, make_request_read(2, 40000, 50, 100));
	event = written(state, CHILD, 1);
	assert_int_equal(event.rule, FP_RULE_INHERITED);
	assert_int_equal(last_byte(event.request), 1);
	forget_all(state, "processes");
	assert_int_equal(told, 1);
	event = written(state, CHILD, 1);
	assert_ambiguous(&event, 1, 2);
	/* one that began later cannot have been forgotten */
	event = make_event(FP_EVENT_TYPE_WRITE, CHILD + 1, CHILD + 1, 1);
	event.process_start = test_time;
	event = done(state, event);
	assert_int_equal(event.rule, FP_RULE_SOLE);
	assert_int_equal(last_byte(event.request), 2);
}

static void what_the_assist_said(void **state)
{
	struct fp_event event;

	two_requests(state, false);
	mark(state, FP_MARK_ENTER, 1);
	mark(state, FP_MARK_BEGIN, 2);
	event = written(state, NODE, 2);
	assert_int_equal(event.rule, FP_RULE_ASSIST);
	assert_int_equal(last_byte(event.request), 1);
	forget_all(state, "threads");
	assert_true(told >= 1);
	mark(state, FP_MARK_END, 1);
	event = written(state, NODE, 2);
	assert_ambiguous(&event, 1, 2);
	/* it says so again */
	mark(state, FP_MARK_ENTER, 2);
	event = written(state, NODE, 2);
	assert_int_equal(event.rule, FP_RULE_ASSIST);
	assert_int_equal(last_byte(event.request), 2);
}

static struct fp_event answer(unsigned turn)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_RECEIVE, NODE, NODE, turn);

	set_connection(&event, 9000, 50000, 3306);
	event.bytes = 10;
	event.flags = 04002;
	return event;
}

static void a_connection_of_before(void **state)
{
	struct fp_event event;

	two_requests(state, false);
	event = make_event(FP_EVENT_TYPE_CONNECT, NODE, NODE, 1);
	set_connection(&event, 9000, 50000, 3306);
	done(state, event);
	mark(state, FP_MARK_END, 1);
	mark(state, FP_MARK_BEGIN, 2);
	event = done(state, answer(5));
	assert_int_equal(event.rule, FP_RULE_DESCRIPTOR);
	assert_int_equal(last_byte(event.request), 1);
	forget_all(state, "channels");
	event = done(state, answer(6));
	assert_ambiguous(&event, 1, 2);
	event = written(state, NODE, 6);
	assert_ambiguous(&event, 1, 2);
}

static void marks_that_are_not_read_yet(void **state)
{
	struct fp_event event;

	two_requests(state, true);
	mark(state, FP_MARK_BEGIN, 2);
	mark_connection(state, 2, 50);
	mark(state, FP_MARK_BEGIN, 3);
	forget_all(state, "streams");
	assert_int_equal(told, 1);
	/* not the one that was read there before */
	event = done(state, make_request_read(2, 40000, 30, 80));
	assert_ambiguous(&event, 2, 3);
}

static void what_is_over_goes_in_silence(void **state)
{
	two_requests(state, true);
	forget_all(state, "streams");
	forget_all(state, "channels");
	forget_all(state, "threads");
	assert_int_equal(told, 0);
	forget_all(state, "containers"); /* its watchdog lives */
	assert_int_equal(told, 1);
}

/* --- and is told ---------------------------------------------------------------------- */

static uint64_t lost;

static int take(void *arg, const struct fp_event *event)
{
	if (event->type == FP_EVENT_TYPE_LOST && event->cause == FP_LOSS_STATE_FULL) {
		assert_int_equal(event->cgroup, CGROUP);
		lost += event->lost;
	}
	return 0;
}

static int no_container(void *arg, uint64_t cgroup, struct fp_container *ret_container)
{
	return -2;
}

static void it_is_a_loss_of_the_container(void **state)
{
	struct fp_pipeline_options options = {.container = no_container, .event = take};
	struct fp_pipeline *p;
	struct fp_event event;
	uint8_t nonsense[8] = {0};
	size_t limit;

	assert_int_equal(fp_pipeline_new(&options, &p), 0);
	event = make_mark(WATCHDOG, FP_MARK_HELLO, 0);
	assert_int_equal(fp_pipeline_event(p, &event), 0);
	for (unsigned i = 1; i <= 200; i++) {
		event = make_mark(WATCHDOG, FP_MARK_BEGIN, i);
		assert_int_equal(fp_pipeline_event(p, &event), 0);
		event = make_connection_mark(i, 40000 + i, 0);
		assert_int_equal(fp_pipeline_event(p, &event), 0);
	}
	assert_true(fp_pipeline_memory(p, &limit) < limit);
	assert_int_equal(fp_pipeline_flush(p), 0);
	assert_int_equal(lost, 0);
	fp_pipeline_set_memory(p, 60000);
	fp_pipeline_record(p, nonsense, sizeof(nonsense));
	assert_true(fp_pipeline_memory(p, &limit) <= 60000);
	assert_int_equal(fp_pipeline_flush(p), 0);
	assert_true(lost > 50 && lost <= 200);
	fp_pipeline_free(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_largest_makes_room),
		cmocka_unit_test(what_is_used_stays),
		TEST(a_process_left_behind),
		TEST(what_the_assist_said),
		TEST(a_connection_of_before),
		TEST(marks_that_are_not_read_yet),
		TEST(what_is_over_goes_in_silence),
		cmocka_unit_test(it_is_a_loss_of_the_container),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What is said of a container, and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "agent/pipeline.h"
#include "agent/tests/events.h"
#include "base/text.h"

static const char *function; /* that the runtime tells */
static bool is_known; /* by the runtime at all */
static unsigned n_asked, n_said;
static char said[2][16]; /* the functions, by turns */

static int container_of(void *arg, uint64_t cgroup, struct fp_container *ret_container)
{
	n_asked++;
	if (!is_known)
		return -ENOENT;
	*ret_container = (struct fp_container){.id = "pay-1", .function = function};
	return 0;
}

static int take(void *arg, const struct fp_event *event)
{
	if (event->type != FP_EVENT_TYPE_CONTAINER)
		return 0;
	assert_memory_equal(event->container.data, "pay-1", event->container.len);
	assert_true(n_said < 2);
	if (event->function.len)
		memcpy(said[n_said], event->function.data, event->function.len);
	n_said++;
	return 0;
}

static void do_something(struct fp_pipeline *p, uint64_t seconds)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_READ, NODE, NODE, 1);

	event.time = event.start = 1 + seconds * FP_NS_PER_SEC;
	event.bytes = 1;
	assert_int_equal(fp_pipeline_event(p, &event), 0);
}

static int setup(void **state)
{
	static const struct fp_pipeline_options options = {.container = container_of, .event = take};

	n_asked = n_said = 0;
	function = NULL;
	is_known = true;
	memset(said, 0, sizeof(said));
	return fp_pipeline_new(&options, (struct fp_pipeline **)state);
}

static int teardown(void **state)
{
	fp_pipeline_free(*state);
	return 0;
}

static void once_when_all_is_known(void **state)
{
	function = "pay";
	for (unsigned i = 0; i < 100; i++)
		do_something(*state, i);
	assert_int_equal(fp_pipeline_flush(*state), 0);
	assert_int_equal(n_said, 1);
	assert_string_equal(said[0], "pay");
	assert_int_equal(n_asked, 1);
}

static void as_soon_as_it_is_known(void **state)
{
	is_known = false;
	do_something(*state, 0);
	assert_int_equal(n_said, 0);
	is_known = true;
	function = "pay";
	do_something(*state, 1);
	assert_int_equal(fp_pipeline_flush(*state), 0);
	assert_int_equal(n_said, 1);
}

static void again_when_its_function_is_known_later(void **state)
{
	do_something(*state, 0);
	do_something(*state, 20);
	function = "";
	do_something(*state, 40);
	assert_int_equal(fp_pipeline_flush(*state), 0);
	assert_int_equal(n_said, 1);
	assert_string_equal(said[0], "");
	function = "pay";
	for (unsigned i = 60; i < 80; i++)
		do_something(*state, i);
	assert_int_equal(fp_pipeline_flush(*state), 0);
	assert_int_equal(n_said, 2);
	assert_string_equal(said[1], "pay");
	assert_int_equal(n_asked, 4);
}

static void who_is_of_no_function_is_not_asked_for_for_ever(void **state)
{
	for (unsigned i = 0; i < 1000; i++)
		do_something(*state, i);
	assert_int_equal(fp_pipeline_flush(*state), 0);
	assert_int_equal(n_said, 1);
	assert_in_range(n_asked, 60, 200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(once_when_all_is_known),
		TEST(as_soon_as_it_is_known),
		TEST(again_when_its_function_is_known_later),
		TEST(who_is_of_no_function_is_not_asked_for_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

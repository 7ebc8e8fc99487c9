/* What object was meant by a name whose call has left no descriptor? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "agent/names.h"
#include "agent/tests/events.h"

static int setup(void **state)
{
	return fp_names_new((struct fp_names **)state);
}

static int teardown(void **state)
{
	fp_names_free(*state);
	return 0;
}

static struct fp_str str(const char *text)
{
	return (struct fp_str){text, strlen(text)};
}

static void opened(void **state, uint64_t cgroup, const char *path, uint64_t ino)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_OPEN, NODE, NODE, 0);

	event.cgroup = cgroup;
	event.path = str(path);
	event.ino = ino;
	event.object = FP_OBJECT_FILE;
	assert_int_equal(fp_names_note(*state, &event), 0);
}

static uint64_t ino_of(void **state, enum fp_event_type type, uint64_t cgroup, const char *path, const char *new_path)
{
	struct fp_event event = make_event(type, NODE, NODE, 0);

	event.cgroup = cgroup;
	event.path = str(path);
	event.new_path = str(new_path);
	assert_int_equal(fp_names_note(*state, &event), 0);
	return event.ino;
}

static void a_name_is_the_containers_own(void **state)
{
	opened(state, 1, "/tmp/x", 10);
	opened(state, 2, "/tmp/x", 20);
	assert_int_equal(ino_of(state, FP_EVENT_TYPE_CHMOD, 1, "/tmp/x", ""), 10);
	assert_int_equal(ino_of(state, FP_EVENT_TYPE_CHMOD, 2, "/tmp/x", ""), 20);
	assert_int_equal(ino_of(state, FP_EVENT_TYPE_CHMOD, 3, "/tmp/x", ""), 0);
}

static void names_are_cleaned(void **state)
{
	opened(state, 1, "/tmp/x", 10);
	assert_int_equal(ino_of(state, FP_EVENT_TYPE_CHMOD, 1, "/var/../tmp/.//x", ""), 10);
	assert_int_equal(ino_of(state, FP_EVENT_TYPE_CHMOD, 1, "/../../tmp/x/", ""), 10);
	assert_int_equal(ino_of(state, FP_EVENT_TYPE_CHMOD, 1, "/tmp/..x", ""), 0);
}

static void a_rename_moves_the_name(void **state)
{
	opened(state, 1, "/tmp/x", 10);
	opened(state, 1, "/tmp/y", 11);
	assert_int_equal(ino_of(state, FP_EVENT_TYPE_RENAME, 1, "/tmp/x", "/tmp/y"), 10);
	assert_int_equal(ino_of(state, FP_EVENT_TYPE_CHMOD, 1, "/tmp/x", ""), 0);
	assert_int_equal(ino_of(state, FP_EVENT_TYPE_CHMOD, 1, "/tmp/y", ""), 10);
}

static void an_unlinked_name_is_forgotten(void **state)
{
	opened(state, 1, "/tmp/x", 10);
	assert_int_equal(ino_of(state, FP_EVENT_TYPE_UNLINK, 1, "/tmp/x", ""), 10);
	assert_int_equal(ino_of(state, FP_EVENT_TYPE_UNLINK, 1, "/tmp/x", ""), 0);
}

static void the_oldest_name_goes_first(void **state)
{
	char path[32];

	opened(state, 1, "/first", 1);
	for (int i = 0; i < (int)FP_NAMES_MAX; i++) {
		snprintf(path, sizeof(path), "/f/%d", i);
		opened(state, 1, path, 100);
	}
	assert_int_equal(ino_of(state, FP_EVENT_TYPE_CHMOD, 1, "/first", ""), 0);
	assert_int_equal(ino_of(state, FP_EVENT_TYPE_CHMOD, 1, "/f/0", ""), 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_name_is_the_containers_own), TEST(names_are_cleaned),	      TEST(a_rename_moves_the_name),
		TEST(an_unlinked_name_is_forgotten), TEST(the_oldest_name_goes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

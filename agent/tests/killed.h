/*
 * Every test twice: as it is, and with an agent that is killed before each event and goes on from what it saved, which
 * must change nothing.  TEST_ONCE is for what has more to it than is saved.
 */
#ifndef FP_AGENT_TESTS_KILLED_H
#define FP_AGENT_TESTS_KILLED_H

#include <stdbool.h>

#include "agent/attribute.h"
#include "base/buffer.h"

static bool is_killed;

/* To be called before each event. */
static inline void go_on_if_killed(void **state)
{
	struct fp_buffer saved = FP_BUFFER_INIT;
	uint64_t left_out = 1;
	size_t pos = 0;

	if (!is_killed)
		return;
	fp_attributor_save(*state, 1 << 20, &saved);
	fp_attributor_free(*state);
	assert_int_equal(fp_attributor_new((struct fp_attributor **)state), 0);
	assert_int_equal(fp_attributor_restore(*state, (const uint8_t *)saved.data, saved.len, &pos, &left_out), 0);
	assert_int_equal(pos, saved.len);
	assert_int_equal(left_out, 0);
	fp_buffer_done(&saved);
}

/* What each test begins with, if anything. */
#ifndef BEGIN_TEST
#define BEGIN_TEST(state) 0
#endif

static int setup_anew(void **state, bool killed)
{
	is_killed = killed;
	assert_int_equal(fp_attributor_new((struct fp_attributor **)state), 0);
	return BEGIN_TEST(state);
}

static int setup(void **state)
{
	return setup_anew(state, false);
}

static int setup_killed(void **state)
{
	return setup_anew(state, true);
}

static int teardown(void **state)
{
	fp_attributor_free(*state);
	return 0;
}

#define TEST_ONCE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST(name)                                                                                                     \
	TEST_ONCE(name), {                                                                                             \
		#name " of an agent that is killed", name, setup_killed, teardown, NULL                                \
	}

#endif

/* The background: that it is left when it must be, and gone back to. */
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/background.h"

#define LOOK_MS 10
/* Far beyond what is waited for. */
#define PATIENCE_MS 20000

struct alarm {
	int fd, event;
};

static void alarm_init(struct alarm *alarm)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	alarm->event = eventfd(0, EFD_CLOEXEC);
	alarm->fd = epoll_create1(EPOLL_CLOEXEC);
	assert_true(alarm->event >= 0 && alarm->fd >= 0);
	assert_int_equal(epoll_ctl(alarm->fd, EPOLL_CTL_ADD, alarm->event, &event), 0);
}

static void alarm_ring(struct alarm *alarm)
{
	uint64_t one = 1;

	assert_int_equal(write(alarm->event, &one, sizeof(one)), sizeof(one));
}

static void alarm_done(struct alarm *alarm)
{
	close(alarm->event);
	close(alarm->fd);
}

/* As a loop does: a turn each millisecond, or none, until the policy is as wanted. */
static bool comes_to(struct fp_background *background, int policy, bool turns)
{
	const struct timespec tick = {.tv_nsec = 1000000};

	for (int i = 0; i < PATIENCE_MS; i++) {
		if (sched_getscheduler(0) == policy)
			return true;
		if (turns)
			fp_background_turn(background);
		nanosleep(&tick, NULL);
	}
	return false;
}

static struct fp_background *start(struct alarm *alarm)
{
	struct fp_background *background = NULL;
	int r = fp_background_start(alarm->fd, LOOK_MS, &background);

	if (r == -EPERM) {
		assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
		alarm_done(alarm);
		skip();
	}
	assert_int_equal(r, 0);
	assert_true(comes_to(background, SCHED_IDLE, true));
	return background;
}

static void test_the_end_gives_it_back(void **state)
{
	struct fp_background *background;
	struct alarm alarm;

	alarm_init(&alarm);
	background = start(&alarm);
	assert_null(fp_background_free(background));
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
	alarm_done(&alarm);
}

static void test_alarm_raises_and_calm_lowers(void **state)
{
	struct fp_background *background;
	struct alarm alarm;

	alarm_init(&alarm);
	background = start(&alarm);
	for (int round = 0; round < 2; round++) {
		alarm_ring(&alarm);
		assert_true(comes_to(background, SCHED_OTHER, true));
		/* the alarm was heard once: it does not keep it up */
		assert_true(comes_to(background, SCHED_IDLE, true));
	}
	fp_background_free(background);
	alarm_done(&alarm);
}

static void test_without_turns_it_is_raised(void **state)
{
	struct fp_background *background;
	struct alarm alarm;

	alarm_init(&alarm);
	background = start(&alarm);
	assert_true(comes_to(background, SCHED_OTHER, false));
	assert_false(fp_background_is_low(background));
	fp_background_free(background);
	alarm_done(&alarm);
}

static void test_a_chosen_policy_is_left_alone(void **state)
{
	const struct sched_param none = {0};
	struct fp_background *background = NULL;
	struct alarm alarm;

	alarm_init(&alarm);
	assert_int_equal(sched_setscheduler(0, SCHED_BATCH, &none), 0);
	assert_int_equal(fp_background_start(alarm.fd, LOOK_MS, &background), -ENOTSUP);
	assert_null(background);
	assert_int_equal(sched_getscheduler(0), SCHED_BATCH);
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &none), 0);
	alarm_done(&alarm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_end_gives_it_back),
		cmocka_unit_test(test_alarm_raises_and_calm_lowers),
		cmocka_unit_test(test_without_turns_it_is_raised),
		cmocka_unit_test(test_a_chosen_policy_is_left_alone),
	};

	fp_background_free(NULL);
	fp_background_turn(NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

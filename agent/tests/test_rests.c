/*
 * What threads rest on under the real kernel side: who waits for work was given it when it was woken, however late it
 * comes back from its wait, and in a turn of the loop that woke it.  Needs root and BPF; skipped without.
 */
#include "agent/tests/recorded.h"

#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>

enum { ROUNDS = 3, ASLEEP = 7 };

static unsigned word = ASLEEP;

static int touch(const char *name)
{
	return open(in_directory(name), O_RDWR | O_CREAT, 0600) < 0;
}

/* Every time that it is woken it does something; it runs when nobody else wants the processor. */
static void *worker(void *arg)
{
	const struct sched_param none = {0};
	long *failed = arg;

	*failed = sched_setscheduler(0, SCHED_IDLE, &none) < 0;
	for (int i = 0; i < ROUNDS && !*failed; i++) {
		*failed = syscall(SYS_futex, &word, FUTEX_WAIT_BITSET_PRIVATE, ASLEEP, NULL, NULL, FUTEX_BITSET_MATCH_ANY) != 0;
		*failed |= open("/dev/null", O_RDONLY) < 0;
	}
	return NULL;
}

static int gives_work(void)
{
	pthread_t thread;
	cpu_set_t one;
	long failed;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0 || pthread_create(&thread, NULL, worker, &failed) != 0)
		return 1;
	for (int i = 0; i < ROUNDS; i++) {
		if (poll(NULL, 0, 2) != 0 || touch("before"))
			return 1;
		while (syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) != 1)
			usleep(1000); /* until it waits */
		if (touch("after"))
			return 1;
	}
	pthread_join(thread, NULL);
	return (int)failed;
}

/* The thread's last rest that was told before the event. */
static const struct fp_event *rest_before(const struct fp_event *event)
{
	const struct fp_event *found = NULL;

	for (const struct fp_event *e = events; e < event; e++)
		if (e->type == FP_EVENT_TYPE_WAIT && e->tid == event->tid)
			found = e;
	assert_non_null(found);
	return found;
}

static void work_is_given_when_who_does_it_is_woken(void **state)
{
	record(gives_work);
	/* of its first wait, before it did anything, the kernel side knows no more than its end */
	for (unsigned i = 1; i < ROUNDS; i++) {
		const struct fp_event *before = nth_open(in_directory("before"), i), *after = nth_open(in_directory("after"), i);
		const struct fp_event *rest = rest_before(nth_open("/dev/null", i));

		assert_int_not_equal(rest->tid, before->tid);
		assert_false(rest->flags & FP_WAIT_LOOP);
		assert_in_range(rest->since, before->time, after->time);
		assert_int_equal(rest->due, rest_before(before)->since);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work_is_given_when_who_does_it_is_woken),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

#include "agent/background.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

struct fp_background {
	pid_t worker; /* a thread */
	pthread_t watcher;
	int alarm, both; /* `both`: the alarm and `end` */
	int end; /* eventfd: written to when the watcher is to end */
	unsigned look_ms;
	atomic_uint turns;
	atomic_bool low;
};

static int set_policy(pid_t thread, int policy)
{
	const struct sched_param none = {0};

	return sched_setscheduler(thread, policy, &none) < 0 ? -errno : 0;
}

static void set_low(struct fp_background *b, bool low)
{
	if (set_policy(b->worker, low ? SCHED_IDLE : SCHED_OTHER) == 0)
		atomic_store(&b->low, low);
}

/* 1: alarm; 0: nothing for a while; -1: the end. */
static int wait_for_alarm(struct fp_background *b)
{
	struct epoll_event events[2];
	int n = epoll_wait(b->both, events, 2, (int)b->look_ms), alarm = 0;

	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == b->end)
			return -1;
		alarm = 1;
		epoll_wait(b->alarm, &(struct epoll_event){0}, 1, 0); /* heard */
	}
	return alarm;
}

static void *watch(void *arg)
{
	unsigned seen = 0, looks_without = 0, calm = 0;
	struct fp_background *b = arg;
	int alarm;

	while ((alarm = wait_for_alarm(b)) >= 0) {
		unsigned turns = atomic_load_explicit(&b->turns, memory_order_relaxed);

		if (alarm) {
			calm = 0;
			if (atomic_load(&b->low))
				set_low(b, false);
			continue;
		}
		looks_without = turns == seen ? looks_without + 1 : 0;
		calm = looks_without ? 0 : calm + 1;
		seen = turns;
		if (atomic_load(&b->low) && looks_without >= 2)
			set_low(b, false);
		else if (!atomic_load(&b->low) && calm >= FP_BACKGROUND_CALM)
			set_low(b, true);
	}
	return NULL;
}

static int listen_to(struct fp_background *b, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(b->both, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Without the program's signals: those are the loop's. */
static int start_watcher(struct fp_background *b)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&b->watcher, NULL, watch, b);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

static void close_all(struct fp_background *b)
{
	fp_closep(&b->end);
	fp_closep(&b->both);
	free(b);
}

/* Down and up: where the way back is closed we stay. */
static int try_way_back(void)
{
	int r;

	if (sched_getscheduler(0) != SCHED_OTHER)
		return -ENOTSUP;
	/* from a thread of its own, which may end low */
	r = set_policy(0, SCHED_IDLE);
	return r < 0 ? r : set_policy(0, SCHED_OTHER);
}

static void *try_in_thread(void *ret)
{
	*(int *)ret = try_way_back();
	return NULL;
}

static int check_way_back(void)
{
	pthread_t thread;
	int r = 0, made;

	made = -pthread_create(&thread, NULL, try_in_thread, &r);
	if (made < 0)
		return made;
	pthread_join(thread, NULL);
	return r;
}

int fp_background_start(int alarm, unsigned look_ms, struct fp_background **ret_background)
{
	struct fp_background *b;
	int r = check_way_back();

	if (r < 0)
		return r;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->worker = (pid_t)syscall(SYS_gettid);
	b->alarm = alarm;
	b->look_ms = look_ms;
	b->end = eventfd(0, EFD_CLOEXEC);
	b->both = epoll_create1(EPOLL_CLOEXEC);
	r = b->end < 0 || b->both < 0 ? -errno : listen_to(b, b->end);
	if (r == 0)
		r = listen_to(b, alarm);
	if (r == 0)
		r = start_watcher(b);
	if (r < 0) {
		close_all(b);
		return r;
	}
	set_low(b, true); /* only now: the watcher has inherited the ordinary priority */
	*ret_background = b;
	return 0;
}

struct fp_background *fp_background_free(struct fp_background *b)
{
	uint64_t one = 1;

	if (!b)
		return NULL;
	if (write(b->end, &one, sizeof(one)) == sizeof(one))
		pthread_join(b->watcher, NULL);
	set_low(b, false);
	close_all(b);
	return NULL;
}

void fp_background_turn(struct fp_background *b)
{
	if (b)
		atomic_fetch_add_explicit(&b->turns, 1, memory_order_relaxed);
}

bool fp_background_is_low(const struct fp_background *b)
{
	return b && atomic_load(&b->low);
}

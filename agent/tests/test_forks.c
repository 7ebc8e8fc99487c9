/*
 * Many processes that live a millisecond, several at a time, with pids that come round: each has its parent,
 * its container, its start and its end, and none is taken for another that bore its number.
 * FAASPROV_FORKS says how many (default 20,000).  Needs root and BPF.
 */
#define RING_SIZE (16 << 20)
#include "agent/tests/recorded.h"

#include <poll.h>
#include <signal.h>
#include <time.h>

#include "base/cleanup.h"

/* At a time; and after how many the numbers begin anew, where we may say so. */
#define WIDTH 24
#define ROUND 600
#define FIRST_PID_NAMESPACE 0xEFFFFFFCu

struct truth {
	int pid, status;
};

static unsigned n_forks;
static struct truth *truth; /* shared with the forker, in the order of its forks */

/* What was recorded, in order. */
struct life {
	uint64_t tgid, start; /* of the child */
	uint64_t parent, parent_start, cgroup, time, status;
};
static struct life *forks, *ends;
static size_t n_births, n_ends;
static uint64_t lost;

/* Only the next number to try is set: numbers in use are passed over. */
static int begin_numbers_at(int pid)
{
	fp_cleanup(fp_closep) int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);

	return fd >= 0 && dprintf(fd, "%d", pid) > 0 ? 0 : -1;
}

/* A program of its own: what forks is small, and brings no ring along. */
static int fork_many(void)
{
	int first = 0, status;

	for (unsigned i = 0; i < n_forks; i++) {
		pid_t pid;

		if (i % ROUND == 0 && first)
			begin_numbers_at(first);
		if (i >= WIDTH && wait(&status) < 0)
			return 1;
		truth[i].status = (int)(i % 200);
		pid = fork();
		if (pid < 0)
			return 2;
		if (pid == 0) {
			struct timespec moment = {.tv_nsec = 1000000};

			nanosleep(&moment, NULL);
			_exit((int)(i % 200));
		}
		truth[i].pid = pid;
		if (!first)
			first = pid;
	}
	while (wait(&status) > 0)
		continue;
	return 0;
}

static int take_life(void *arg, const void *data, size_t len)
{
	struct fp_event event;

	assert_int_equal(fp_decode(data, len, &event), 0);
	if (event.type == FP_EVENT_TYPE_FORK && event.child_tgid != event.tgid) {
		assert_true(n_births < n_forks);
		forks[n_births++] = (struct life){event.child_tgid,    event.child_start, event.tgid,
						  event.process_start, event.cgroup,	  event.time, 0};
	} else if (event.type == FP_EVENT_TYPE_EXIT && event.tgid != (uint64_t)child) {
		assert_int_not_equal(event.flags, 0);
		assert_true(n_ends < n_forks);
		ends[n_ends++] = (struct life){event.tgid, event.process_start, 0, 0, event.cgroup, event.time, (uint64_t)event.result};
	}
	return 0;
}

static void take_loss(void *arg, uint64_t of, uint32_t cause, uint64_t n)
{
	lost += n;
}

static int by_identity(const void *a, const void *b)
{
	const struct life *x = a, *y = b;

	if (x->tgid != y->tgid)
		return x->tgid < y->tgid ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

static void record_forks(int truth_fd)
{
	int go = eventfd(0, 0), status;
	uint64_t one = 1;
	pid_t ended = 0;
	char n[16], fd[16];

	snprintf(n, sizeof(n), "%u", n_forks);
	snprintf(fd, sizeof(fd), "%d", truth_fd);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (read(go, &one, sizeof(one)) == sizeof(one))
			execl("/proc/self/exe", "test_forks", n, fd, NULL);
		_exit(99);
	}
	assert_int_equal(fp_cgroup_enter(&cgroup, child), 0);
	assert_int_equal(write(go, &one, sizeof(one)), sizeof(one));
	while (ended == 0) {
		struct pollfd ring = {.fd = fp_capture_fd(capture), .events = POLLIN};

		ended = waitpid(child, &status, WNOHANG);
		poll(&ring, 1, 20);
		assert_true(fp_capture_drain(capture, take_life, NULL) >= 0);
	}
	close(go);
	assert_int_equal(ended, child);
	assert_int_equal(status, 0);
	assert_true(fp_capture_drain(capture, take_life, NULL) >= 0);
	assert_int_equal(fp_capture_take_losses(capture, take_loss, NULL), 0);
}

static void assert_all_there(void)
{
	uint64_t parent_start = forks[0].parent_start;

	assert_int_equal(n_births, n_forks);
	assert_int_equal(n_ends, n_forks);
	assert_true(parent_start > 0);
	for (unsigned i = 0; i < n_forks; i++) {
		const struct life *life = &forks[i], *end;

		assert_int_equal(life->tgid, truth[i].pid);
		assert_int_equal(life->parent, child);
		assert_int_equal(life->parent_start, parent_start);
		assert_int_equal(life->cgroup, cgroup.id);
		assert_true(life->start > parent_start && life->start <= life->time);
		/* its own end, and not that of another of the same number */
		end = bsearch(life, ends, n_ends, sizeof(*ends), by_identity);
		assert_non_null(end);
		assert_int_equal(end->status, truth[i].status << 8);
		assert_int_equal(end->cgroup, cgroup.id);
		assert_true(end->time >= life->start + 1000000);
	}
}

static void forks_of_a_millisecond(void **state)
{
	size_t numbers = 1, same = 0;
	struct stat own;

	record_forks(*(int *)*state);
	print_message("%zu forks, %zu ends, %llu lost\n", n_births, n_ends, (unsigned long long)lost);
	/* none is missing that is not counted */
	assert_true(n_births + n_ends + lost >= 2ull * n_forks);
	if (lost) {
		print_message("this machine was too busy to read them in time: counted, not compared\n");
		return;
	}
	qsort(ends, n_ends, sizeof(*ends), by_identity);
	assert_all_there();
	for (size_t i = 1; i < n_ends; i++) {
		numbers += ends[i].tgid != ends[i - 1].tgid;
		same += by_identity(&ends[i], &ends[i - 1]) == 0;
	}
	assert_int_equal(same, 0);
	print_message("%zu different numbers\n", numbers);
	if (stat("/proc/self/ns/pid", &own) == 0 && own.st_ino == FIRST_PID_NAMESPACE)
		assert_true(numbers < n_forks / 4);
}

int main(int argc, char **argv)
{
	static int fd;
	const char *wanted = argc == 3 ? argv[1] : getenv("FAASPROV_FORKS");
	const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(forks_of_a_millisecond, &fd)};

	n_forks = wanted ? (unsigned)atoi(wanted) : 20000;
	fd = argc == 3 ? atoi(argv[2]) : memfd_create("truth", 0);
	if (argc != 3 && ftruncate(fd, (off_t)(n_forks * sizeof(*truth))) < 0)
		return 1;
	truth = mmap(NULL, n_forks * sizeof(*truth), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (truth == MAP_FAILED)
		return 1;
	if (argc == 3)
		return fork_many();
	forks = calloc(n_forks, sizeof(*forks));
	ends = calloc(n_forks, sizeof(*ends));
	if (!forks || !ends)
		return 1;
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

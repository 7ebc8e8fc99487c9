/* What the kernel side keeps for threads is bounded, and goes with what it is kept for.  Needs root and BPF. */
#include <bpf/bpf.h>
#include <poll.h>
#include <pthread.h>

#include "agent/tests/recorded.h"

enum { THREADS = 50 };

static void *wait_a_moment(void *arg)
{
	poll(NULL, 0, 1);
	return arg;
}

/* Threads that wait, each for itself. */
static int many_wait(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, wait_a_moment, NULL) != 0)
			return 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	wait_a_moment(NULL);
	told[0] = fp_capture_thread_memory(capture);
	return 0;
}

static uint64_t state_full;

static void note_loss(void *arg, uint64_t of_cgroup, uint32_t cause, uint64_t n)
{
	if (cause == FP_LOSS_STATE_FULL) {
		assert_int_equal(of_cgroup, cgroup.id);
		state_full += n;
	}
}

static void threads_that_end_are_kept_no_more(void **state)
{
	share();
	record(many_wait);
	/* the first thread, which waited for the others, and maybe some that had not quite ended */
	assert_in_range(told[0], 1, (THREADS + 1) * 1024);
	assert_int_equal(fp_capture_thread_memory(capture), 0);
	assert_true(fp_capture_take_losses(capture, note_loss, NULL) >= 0);
	assert_int_equal(state_full, 0);
}

/* Who has no room is told as a loss of his container. */
static void more_than_may_be_kept_is_counted(void **state)
{
	fp_capture_set_thread_memory(capture, 0);
	record(many_wait);
	assert_true(fp_capture_take_losses(capture, note_loss, NULL) >= 0);
	assert_true(state_full >= THREADS);
	assert_int_equal(told[0], 0);
	assert_int_equal(fp_capture_thread_memory(capture), 0);
	fp_capture_set_thread_memory(capture, 1 << 20);
}

/* The newest map of that name. */
static int map_of_names(void)
{
	int found = -1;

	for (uint32_t id = 0; bpf_map_get_next_id(id, &id) == 0;) {
		struct bpf_map_info info = {0};
		uint32_t len = sizeof(info);
		int fd = bpf_map_get_fd_by_id(id);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && strcmp(info.name, "namings") == 0) {
			if (found >= 0)
				close(found);
			found = fd;
		} else if (fd >= 0) {
			close(fd);
		}
	}
	return found;
}

static unsigned entries(int map)
{
	uint32_t key, *previous = NULL;
	unsigned n = 0;

	while (bpf_map_get_next_key(map, previous, &key) == 0) {
		previous = &key;
		n++;
	}
	return n;
}

/* Calls by name that are done and ones that fail; then the thread lives on. */
static int name_things(void)
{
	char one[256], other[256];

	snprintf(one, sizeof(one), "%s", in_directory("one"));
	snprintf(other, sizeof(other), "%s", in_directory("other"));
	close(open(one, O_WRONLY | O_CREAT, 0600));
	if (rename(one, other) < 0 || chmod(other, 0640) < 0 || mkdir(one, 0700) < 0)
		return 1;
	if (rename(one, other) == 0 || unlink(one) == 0 || rmdir(one) < 0 || unlink(other) < 0)
		return 2;
	told[1] = entries((int)told[0]);
	return 0;
}

/* Four inodes with their paths are much to keep: not beyond the call, however long its thread lives. */
static void names_are_kept_during_a_call_alone(void **state)
{
	int map = map_of_names();

	assert_true(map >= 0);
	share();
	told[0] = (uint64_t)map;
	record(name_things);
	assert_int_equal(told[1], 0);
	assert_int_equal(entries(map), 0);
	assert_int_equal(nth(FP_EVENT_TYPE_RENAME, 0)->naming, FP_NAMING_RESOLVED);
	assert_int_equal(nth(FP_EVENT_TYPE_UNLINK, 1)->naming, FP_NAMING_RESOLVED);
	close(map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_that_end_are_kept_no_more),
		cmocka_unit_test(more_than_may_be_kept_is_counted),
		cmocka_unit_test(names_are_kept_during_a_call_alone),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

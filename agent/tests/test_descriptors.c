/*
 * Threads that change what a number stands for while another's call uses it: bytes are never silently told of the wrong
 * object.  Needs root and BPF.
 */
#include "agent/tests/recorded.h"

#include <pthread.h>
#include <sched.h>

static int ends[2], target[2], cover;
static pid_t reader;

/* Until the reader has gone to sleep in its call: it makes no other one that sleeps. */
static void await_sleep(void)
{
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", reader);
	while (state != 'S') {
		FILE *file = fopen(path, "r");

		if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			state = 0;
		if (file)
			fclose(file);
		sched_yield();
	}
}

static void *change_the_number(void *how)
{
	await_sleep();
	if (how)
		dup2(cover, *(int *)how);
	else
		close(ends[0]);
	return write(ends[1], "secret", 6) == 6 ? NULL : how;
}

static int read_meanwhile(void *how)
{
	pthread_t other;
	char data[8];

	reader = getpid();
	cover = open(in_directory("cover"), O_CREAT | O_RDWR, 0600);
	if (cover < 0 || pipe(ends) || pthread_create(&other, NULL, change_the_number, how) || read(ends[0], data, 8) != 6)
		return 1;
	return pthread_join(other, NULL);
}

static int read_what_is_replaced(void) { return read_meanwhile(&ends[0]); }

/* Both numbers have been taken away before, while there was somebody else. */
static int read_what_is_replaced_again(void)
{
	pthread_t other;
	char data[8];

	reader = getpid();
	cover = open(in_directory("cover"), O_CREAT | O_RDWR, 0600);
	if (cover < 0 || pthread_create(&other, NULL, change_the_number, &ends[0]) || pipe(ends) || close(ends[0]) || close(ends[1]) ||
	    pipe(ends) || read(ends[0], data, 8) != 6)
		return 1;
	return pthread_join(other, NULL);
}

/* Two descriptors, of which the second is replaced. */
static int move_meanwhile(void)
{
	pthread_t other;

	reader = getpid();
	cover = open("/dev/null", O_WRONLY);
	if (cover < 0 || pipe(ends) || pipe(target) || pthread_create(&other, NULL, change_the_number, &target[1]) ||
	    splice(ends[0], NULL, target[1], NULL, 8, 0) != 6)
		return 1;
	return pthread_join(other, NULL);
}

static int read_what_is_closed(void) { return read_meanwhile(NULL); }

/* The only move of six bytes of that kind, and whether it is said to be in doubt. */
static const struct fp_event *the_move(enum fp_event_type type, int in_doubt)
{
	const struct fp_event *move = NULL;

	for (size_t i = 0; i < n_events; i++)
		if (events[i].type == type && events[i].bytes == 6 && !(type == FP_EVENT_TYPE_WRITE && events[i].tid != events[i].tgid)) {
			assert_null(move);
			move = &events[i];
		}
	assert_non_null(move);
	assert_int_equal(!!(move->fd & FP_FD_IN_DOUBT), in_doubt);
	return move;
}

static void what_a_number_stood_for_is_not_told_wrongly_in_silence(void **state)
{
	lost_by(FP_LOSS_DESCRIPTOR);
	record(read_what_is_replaced);
	assert_int_equal(lost_by(FP_LOSS_DESCRIPTOR), 1);
	assert_int_equal(the_move(FP_EVENT_TYPE_READ, 1)->ino, ino_of(in_directory("cover")));
	record(read_what_is_replaced_again);
	assert_int_equal(lost_by(FP_LOSS_DESCRIPTOR), 1);
	assert_int_equal(the_move(FP_EVENT_TYPE_READ, 1)->ino, ino_of(in_directory("cover")));
	record(move_meanwhile);
	assert_int_equal(lost_by(FP_LOSS_DESCRIPTOR), 1);
	the_move(FP_EVENT_TYPE_READ, 0);
	/* into a device that gives nothing back, which is not told else */
	assert_int_equal(the_move(FP_EVENT_TYPE_WRITE, 1)->object, FP_OBJECT_OTHER);
	record(read_what_is_closed);
	assert_int_equal(lost_by(FP_LOSS_DESCRIPTOR), 1);
	assert_int_equal(the_move(FP_EVENT_TYPE_READ, 1)->object, FP_OBJECT_OTHER);
}

enum { ROUNDS = 200 };
static pthread_barrier_t turn;
static int given;

/* Opens and closes what the other one reads, each in its turn. */
static void *give_in_turn(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		given = open(in_directory("cover"), O_RDONLY);
		pthread_barrier_wait(&turn);
		pthread_barrier_wait(&turn);
		close(given);
	}
	return arg;
}

/* What the other one does until it is this one's turn is not waited for asleep: that would be a call of its own. */
static void meet(int sleeps)
{
	static int came, met;
	int meeting = __atomic_load_n(&met, __ATOMIC_ACQUIRE);

	if (__atomic_add_fetch(&came, 1, __ATOMIC_ACQ_REL) % 2 == 0)
		__atomic_store_n(&met, meeting + 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&met, __ATOMIC_ACQUIRE) == meeting)
		sched_yield();
	if (sleeps)
		usleep(100);
}

static void *give_awake(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		given = open(in_directory("cover"), O_RDONLY);
		meet(0);
		meet(0);
		close(given);
	}
	return arg;
}

/* Nothing but its sleep lies between the change and the next use. */
static int read_after_sleep(void)
{
	int fd = open(in_directory("cover"), O_CREAT | O_WRONLY, 0600);
	pthread_t other;
	char data[8];

	if (write(fd, "1234", 4) != 4 || close(fd) || pthread_create(&other, NULL, give_awake, NULL))
		return 1;
	for (int i = 0; i < ROUNDS; i++) {
		meet(1);
		if (read(given, data, 8) != 4)
			return 3;
		meet(0);
	}
	return pthread_join(other, NULL);
}

static int read_in_turn(void)
{
	int fd = open(in_directory("cover"), O_CREAT | O_WRONLY, 0600);
	pthread_t other;
	char data[8];

	if (write(fd, "1234", 4) != 4 || close(fd))
		return 1;
	pthread_barrier_init(&turn, NULL, 2);
	if (pthread_create(&other, NULL, give_in_turn, NULL))
		return 2;
	for (int i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&turn);
		if (read(given, data, 8) != 4)
			return 3;
		pthread_barrier_wait(&turn);
	}
	return pthread_join(other, NULL);
}

static void in_turn_is_no_doubt(int (*work)(void))
{
	lost_by(FP_LOSS_DESCRIPTOR);
	record(work);
	assert_int_equal(lost_by(FP_LOSS_DESCRIPTOR), 0);
	assert_int_equal(count(FP_EVENT_TYPE_READ), ROUNDS);
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_int_equal(nth(FP_EVENT_TYPE_READ, i)->ino, ino_of(in_directory("cover")));
		assert_int_equal(nth(FP_EVENT_TYPE_READ, i)->fd & FP_FD_IN_DOUBT, 0);
	}
}

static void a_number_that_is_used_again_in_turn_is_no_doubt(void **state)
{
	in_turn_is_no_doubt(read_in_turn);
}

static void nor_is_one_that_is_used_again_after_a_sleep(void **state)
{
	in_turn_is_no_doubt(read_after_sleep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_number_stood_for_is_not_told_wrongly_in_silence),
		cmocka_unit_test(a_number_that_is_used_again_in_turn_is_no_doubt),
		cmocka_unit_test(nor_is_one_that_is_used_again_after_a_sleep),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

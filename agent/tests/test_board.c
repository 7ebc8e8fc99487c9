/*
 * The board of a runtime assist under the real kernel side: an ENTER comes before
 * the first record that another id matters to, from the right thread, and no
 * other ever.  Needs root and BPF; skipped without.
 */
#include "agent/tests/recorded.h"

#include <pthread.h>
#include <sys/mman.h>

static unsigned char *board;

static void put_id(size_t at, unsigned char id)
{
	memset(board + at, 0, 16);
	board[at + 7] = 1; /* id_hi is 1, id_lo the id */
	board[at + 15] = id;
}

static int show_board(size_t size)
{
	board = mmap(NULL, FP_BOARD_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	return write((int)FP_BOARD_DESCRIPTOR, board, size) != -1 || errno != EBADF;
}

static int touch(void)
{
	return open(in_directory("a"), O_RDWR | O_CREAT, 0600) < 0;
}

/* The id of the last ENTER before the n-th record of the type, by the same thread; 0: none. */
static uint64_t entered_before(enum fp_event_type type, unsigned n)
{
	const struct fp_event *event = nth(type, n);
	uint64_t id = 0;

	for (const struct fp_event *e = events; e < event; e++)
		if (e->type == FP_EVENT_TYPE_MARK && e->tid == event->tid) {
			assert_int_equal(e->mark, FP_MARK_VERSION << 8 | FP_MARK_ENTER);
			assert_int_equal(e->id_hi, e->id_lo ? 1 : 0);
			id = e->id_lo;
		}
	return id;
}

static int change_often(void)
{
	int fd;

	if (touch() || show_board(64) || touch())
		return 1;
	put_id(0, 7);
	if (touch() || touch())
		return 1;
	for (unsigned char id = 8; id < 100; id++) { /* nothing is done in these */
		put_id(0, id);
		getppid();
	}
	memset(board, 0, 16);
	fd = open(in_directory("a"), O_RDONLY);
	put_id(0, 7);
	close(fd); /* nothing that is stored */
	return read(fd, board, 1) != -1 || touch();
}

static void only_what_matters_is_said(void **state)
{
	record(change_often);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 1), 0);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 2), 7);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 3), 7);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 4), 0);
	assert_int_equal(entered_before(FP_EVENT_TYPE_CLOSE, 0), 0);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 5), 7);
	assert_int_equal(count(FP_EVENT_TYPE_MARK), 3);
}

static int open_at(unsigned place)
{
	return (int)syscall(SYS_openat, AT_FDCWD, in_directory("a"), O_RDWR | O_CREAT, 0600 | place << 12);
}

static void *pool_thread(void *arg)
{
	static char data[10];
	int *fds = arg;

	fds[0] = open_at(3);
	if (pwrite(fds[0], data, 10, 0) != 10) /* the table says 4 of it */
		fds[0] = -1;
	fds[1] = open_at(0);
	return NULL;
}

static int with_a_pool(void)
{
	pthread_t thread;
	int fds[2];

	if (show_board(FP_BOARD_SIZE))
		return 1;
	put_id(FP_BOARD_IDS + 16 * 3, 3);
	put_id(FP_BOARD_IDS + 16 * 4, 4);
	put_id(0, 9); /* the first thread's own, which is no word for others */
	for (int fd = 0; fd < FP_BOARD_DESCRIPTORS_MAX; fd++)
		board[FP_BOARD_DESCRIPTORS + 2 * fd] = 4;
	pthread_create(&thread, NULL, pool_thread, fds);
	pthread_join(thread, NULL);
	return fds[0] < 0 || fds[1] < 0 || touch();
}

static void a_pools_threads_are_spoken_for(void **state)
{
	struct stat st;

	record(with_a_pool);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 0), 3);
	assert_int_equal(entered_before(FP_EVENT_TYPE_WRITE, 0), 4);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 1), 0);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 2), 9);
	/* what the open carries besides is of no effect */
	assert_int_equal(nth(FP_EVENT_TYPE_OPEN, 0)->mode, 0600);
	assert_int_equal(stat(in_directory("a"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static int another_program(void)
{
	pid_t pid;
	int status;

	if (show_board(FP_BOARD_SIZE))
		return 1;
	put_id(0, 5);
	pid = fork();
	if (pid == 0)
		_exit(touch());
	if (waitpid(pid, &status, 0) != pid || status)
		return 1;
	return execl("/bin/cat", "cat", in_directory("a"), NULL);
}

/* Neither a child, which has a copy, nor the next program, which has other memory there, is spoken for. */
static void a_board_is_its_process_s_own(void **state)
{
	record(another_program);
	assert_int_equal(entered_before(FP_EVENT_TYPE_FORK, 0), 5);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 0), 0);
	for (unsigned i = 1; i < count(FP_EVENT_TYPE_OPEN); i++)
		assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, i), 0);
	assert_true(count(FP_EVENT_TYPE_OPEN) > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_matters_is_said),
		cmocka_unit_test(a_pools_threads_are_spoken_for),
		cmocka_unit_test(a_board_is_its_process_s_own),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

/*
 * What the kernel side says after records were refused, so that what comes next is attributed rightly: whose work a
 * thread does, and what it rested on.  Needs root and BPF; skipped without.
 */
#include "agent/tests/recorded.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>

enum { ENOUGH = 20000 }; /* writes of one byte; the ring holds fewer */

static unsigned char *board;
static int is_full, go_on;

static void put_id(unsigned char id)
{
	memset(board, 0, 16);
	board[7] = 1; /* id_hi is 1, id_lo the id */
	board[15] = id;
}

static int show_board(void)
{
	board = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	return write((int)FP_BOARD_DESCRIPTOR, board, 64) != -1 || errno != EBADF;
}

static int touch(const char *name)
{
	return open(in_directory(name), O_RDWR | O_CREAT, 0600) < 0;
}

/* Says whose work it does, and fills the ring; goes on when that has been read. */
static int fills_it(void)
{
	uint64_t one = 1;
	int fd;

	if (show_board())
		return 1;
	put_id(7);
	poll(NULL, 0, 1);
	if (touch("before"))
		return 1;
	fd = open(in_directory("much"), O_CREAT | O_WRONLY | O_TRUNC, 0600);
	for (int i = 0; i < ENOUGH; i++)
		if (write(fd, "x", 1) != 1)
			return 1;
	poll(NULL, 0, 20); /* a rest of another length, which is to be told */
	if (write(fd, "x", 1) != 1)
		return 1;
	put_id(8);
	if (write(fd, "x", 1) != 1)
		return 1;
	put_id(7);
	if (write(is_full, &one, sizeof(one)) != sizeof(one) || read(go_on, &one, sizeof(one)) != sizeof(one))
		return 1;
	return touch("after") || touch("again");
}

static void record_in_two(int (*work)(void), void (*between)(void))
{
	uint64_t one = 1;
	int go = eventfd(0, 0), status;

	is_full = eventfd(0, 0);
	go_on = eventfd(0, 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(read(go, &one, sizeof(one)) == sizeof(one) ? work() : 99);
	assert_int_equal(fp_cgroup_enter(&cgroup, child), 0);
	assert_int_equal(write(go, &one, sizeof(one)), sizeof(one));
	assert_int_equal(read(is_full, &one, sizeof(one)), sizeof(one));
	assert_true(fp_capture_drain(capture, take, NULL) >= 0);
	between();
	assert_int_equal(write(go_on, &one, sizeof(one)), sizeof(one));
	assert_int_equal(waitpid(child, &status, 0), child);
	child = 0;
	assert_true(fp_capture_drain(capture, take, NULL) >= 0);
	assert_int_equal(status, 0);
	close(go);
	close(is_full);
	close(go_on);
}

/* What stopped between its halves would keep the cgroup. */
static int end_child(void **state)
{
	if (child > 0) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	return 0;
}

static size_t n_before;

static void look_at_what_was_told(void)
{
	n_before = n_events;
	assert_true(lost_by(FP_LOSS_BUDGET) > 0);
}

static unsigned run_before(size_t i)
{
	return fp_decode_run(raw[i], sizeof(struct fp_record_head));
}

static unsigned n_of(size_t from, size_t to, enum fp_event_type type)
{
	unsigned n = 0;

	for (size_t i = from; i < to; i++)
		n += events[i].type == type;
	return n;
}

static void what_is_not_believed_any_more_is_said_again(void **state)
{
	size_t after, again;

	record_in_two(fills_it, look_at_what_was_told);
	/* what is left of the ring is not for what is said before a record that finds no room */
	assert_int_equal(n_of(0, n_before, FP_EVENT_TYPE_MARK), 1);
	assert_int_equal(n_of(0, n_before, FP_EVENT_TYPE_WAIT), 1);
	after = (size_t)(nth_open(in_directory("after"), 0) - events);
	again = (size_t)(nth_open(in_directory("again"), 0) - events);
	assert_true(after >= n_before);
	assert_int_equal(run_before(after), run_before(n_before - 1) + 1);
	/* it works for the same as before, but that is not believed: said once, and the rest that was refused */
	assert_int_equal(n_of(n_before, after, FP_EVENT_TYPE_MARK), 1);
	assert_int_equal(n_of(after, again, FP_EVENT_TYPE_MARK), 0);
	assert_int_equal(n_of(n_before, after, FP_EVENT_TYPE_WAIT), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(what_is_not_believed_any_more_is_said_again, end_child),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

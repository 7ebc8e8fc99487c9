/*
 * The board of a runtime assist under the real kernel side: an ENTER comes before
 * the first record that another id matters to, from the right thread, and no
 * other ever.  Needs root and BPF; skipped without.
 */
#include "agent/tests/board.h"

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
	close(fd); /* nothing that is recorded */
	return read(fd, board, 1) != -1 || touch();
}

static void only_what_matters_is_said(void **state)
{
	record(change_often);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 1), 0);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 2), 7);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 3), 7);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 4), 0);
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

static void *looking_up(void *arg)
{
	int *r = arg;

	*r = socket(AF_INET, SOCK_DGRAM, 0) < 0;
	memset(board + FP_BOARD_LOOKUPS, 0, 4); /* another's is under way, too */
	*r |= socket(AF_INET, SOCK_DGRAM, 0) < 0;
	return NULL;
}

static int with_lookups(void)
{
	pthread_t thread;
	int r = 1;

	if (show_board(FP_BOARD_SIZE))
		return 1;
	put_id(FP_BOARD_IDS + 16 * 5, 5);
	put_id(0, 9);
	memcpy(board + FP_BOARD_LOOKUPS, (uint32_t[]){ 5 }, 4);
	pthread_create(&thread, NULL, looking_up, &r);
	pthread_join(thread, NULL);
	return r || socket(AF_INET, SOCK_DGRAM, 0) < 0;
}

static void a_pools_lookups_are_spoken_for(void **state)
{
	record(with_lookups);
	assert_int_equal(entered_before(FP_EVENT_TYPE_SOCKET, 0), 5);
	assert_int_equal(entered_before(FP_EVENT_TYPE_SOCKET, 1), 0);
	assert_int_equal(entered_before(FP_EVENT_TYPE_SOCKET, 2), 9);
}

static int by_another;

static int read_of(int fd)
{
	char byte;

	return fd < 0 || fd >= FP_BOARD_DESCRIPTORS_MAX || pread(fd, &byte, 1, 0) != 1 || read(fd, &byte, 1) != 1;
}

static void say_of(int fd, unsigned short place)
{
	memcpy(board + FP_BOARD_DESCRIPTORS + 2 * fd, &place, 2);
}

/* What the C library reads to look up names, and what it does not. */
static void *reading_hosts(void *arg)
{
	const char *path = in_directory("a");
	int *r = arg, fd = open(path, O_RDONLY | O_CLOEXEC);

	*r = read_of(fd);
	say_of(fd, 4);
	*r |= read_of(fd);
	say_of(fd, UINT16_MAX); /* the runtime's, and nobody's */
	*r |= read_of(fd);
	say_of(fd, 0);
	*r |= read_of(by_another) | read_of(fd);
	*r |= read_of(open(path, O_RDWR | O_CLOEXEC));
	*r |= read_of((int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 3 << 12));
	*r |= read_of(fd); /* not the last that it opened */
	fd = open(path, O_RDONLY | O_CLOEXEC);
	*r |= read_of(fd);
	memset(board + FP_BOARD_LOOKUPS, 0, 4); /* another's is under way, too */
	*r |= read_of(fd);
	return NULL;
}

static int with_hosts(void)
{
	static const char text[32];
	pthread_t thread;
	int r = 1;

	by_another = open(in_directory("a"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (by_another < 0 || write(by_another, text, sizeof(text)) != sizeof(text) || lseek(by_another, 0, SEEK_SET) ||
	    show_board(FP_BOARD_SIZE))
		return 1;
	put_id(FP_BOARD_IDS + 16 * 4, 4);
	put_id(FP_BOARD_IDS + 16 * 5, 5);
	memcpy(board + FP_BOARD_LOOKUPS, (uint32_t[]){ 5 }, 4);
	pthread_create(&thread, NULL, reading_hosts, &r);
	pthread_join(thread, NULL);
	return r;
}

static void what_lookups_read_is_spoken_for(void **state)
{
	/* of each two the first is by pread, which the C library does not use for that */
	const uint64_t ids[] = { 0, 5, 4, 4, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0 };

	record(with_hosts);
	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		assert_int_equal(entered_before(FP_EVENT_TYPE_READ, i), ids[i]);
	assert_int_equal(count(FP_EVENT_TYPE_READ), sizeof(ids) / sizeof(ids[0]));
}

/* A runtime that keeps the number of what it runs; whose that is, stands in a table. */
static double running;

static void put_owner(unsigned resource, int number)
{
	const unsigned char id = (unsigned char)(number < 0 ? -number : number);
	const unsigned place = 1 + id % (FP_BOARD_IDS_MAX - 1);

	memcpy(board + FP_BOARD_OWNERS + 8ull * (resource % FP_BOARD_OWNERS_MAX), (int[]){ (int)resource, number }, 8);
	memcpy(board + FP_BOARD_NUMBERS + 4ull * place, (int[]){ id }, 4);
	put_id(FP_BOARD_IDS + 16ull * place, id);
}

/* What lasts is noted in one of four places, and looked at there when the other table does not have it. */
static void put_holder(unsigned resource, unsigned way, int number)
{
	memcpy(board + FP_BOARD_LASTING + 8ull * (resource % FP_BOARD_LASTING_SETS * FP_BOARD_LASTING_WAYS + way),
	       (int[]){ (int)resource, number }, 8);
}

static int touch_in(double number)
{
	running = number;
	return touch();
}

#define BEYOND 0x200000003 /* a number of more than 32 bits, in the same place as 3 */

static int with_numbers(void)
{
	const double within = 50;
	const int other = 7 + FP_BOARD_IDS_MAX - 1;

	if (show_board(FP_BOARD_SIZE))
		return 1;
	put_id(0, 9);
	memcpy(board + FP_BOARD_WITHIN, &within, 8);
	if (touch() || syscall(SYS_write, (unsigned)FP_BOARD_DESCRIPTOR, &running, FP_BOARD_RUNNING_SIZE) != -1)
		return 1;
	put_owner(3, 7);
	put_owner(4, -8);
	put_owner(200000, 5);
	if (touch_in(50) || touch_in(3) || touch_in(4) || touch_in(200000) || touch_in(3 + FP_BOARD_OWNERS_MAX))
		return 1;
	put_owner((unsigned)BEYOND, 6);
	if (touch_in(BEYOND) || touch_in(0) || touch_in(-1) || touch_in(0.0 / 0.0) || touch_in(1e300) || touch_in(50))
		return 1;
	put_owner(3, 7);
	for (unsigned way = 0; way < FP_BOARD_LASTING_WAYS; way++)
		put_holder(3 + FP_BOARD_OWNERS_MAX + way * FP_BOARD_LASTING_SETS, way, way % 2 ? -8 : 5);
	put_holder(4, 0, 5); /* and not when it has */
	for (unsigned way = 0; way < FP_BOARD_LASTING_WAYS; way++)
		if (touch_in(3 + FP_BOARD_OWNERS_MAX + way * FP_BOARD_LASTING_SETS))
			return 1;
	if (touch_in(3) || touch_in(4) || touch_in(3 + FP_BOARD_OWNERS_MAX + 4 * FP_BOARD_LASTING_SETS))
		return 1;
	memcpy(board + FP_BOARD_NUMBERS + 4 * (1 + 7), &other, 4); /* the place serves another by now */
	return touch_in(3) || touch_in(4);
}

static void what_runs_is_known_by_its_number(void **state)
{
	const uint64_t ids[] = { 9, 9, 7, 8, 5, 0, 6, 0, 0, 0, 0, 9, 5, 8, 5, 8, 7, 8, 0, 0, 8 };

	record(with_numbers);
	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, i), ids[i]);
	assert_int_equal(count(FP_EVENT_TYPE_OPEN), sizeof(ids) / sizeof(ids[0]));
}

/* What moves bytes while no callback runs does so for whose the descriptor is; in one, that does not count. */
static int between_callbacks(void)
{
	unsigned short place = 1 + 7, other = FP_BOARD_IDS_MAX;
	char byte = 0;
	int fd = open(in_directory("a"), O_RDWR | O_CREAT, 0600), ret;

	if (fd < 0 || fd >= FP_BOARD_DESCRIPTORS_MAX || show_board(FP_BOARD_SIZE) ||
	    syscall(SYS_write, (unsigned)FP_BOARD_DESCRIPTOR, &running, FP_BOARD_RUNNING_SIZE) != -1)
		return 1;
	running = -1; /* no number, and not none */
	memcpy(board + FP_BOARD_WITHIN, &running, 8);
	put_owner(3, 5);
	put_owner(4, 7);
	memcpy(board + FP_BOARD_DESCRIPTORS + 2 * fd, &place, 2);
	ret = write(fd, &byte, 1) != 1;
	running = 0;
	ret |= write(fd, &byte, 1) != 1 || touch(); /* an open is on no descriptor */
	running = 3;
	ret |= write(fd, &byte, 1) != 1;
	running = 0;
	memcpy(board + FP_BOARD_DESCRIPTORS + 2 * fd, &other, 2);
	ret |= write(fd, &byte, 1) != 1;
	return ret || close(fd);
}

static void what_no_callback_does_is_by_its_descriptor(void **state)
{
	const uint64_t ids[] = { 0, 7, 5, 0 };

	record(between_callbacks);
	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		assert_int_equal(entered_before(FP_EVENT_TYPE_WRITE, i), ids[i]);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 1), 0);
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

/* --- boards that lie, break or race --------------------------------------------- */

/* Shows what lies at the address as the thread's board, of any size. */
static int show(const void *address, size_t size)
{
	return syscall(SYS_write, (unsigned)FP_BOARD_DESCRIPTOR, address, size) != -1 || errno != EBADF;
}

/* Two pages of a file that is no longer so long: whoever reads them is sent SIGBUS. */
static int beyond_the_end(unsigned char *at)
{
	int fd = memfd_create("board", 0);

	if (ftruncate(fd, 8192) < 0 || mmap(at, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != at)
		return -1;
	at[0] = at[4096] = 1;
	return ftruncate(fd, 0);
}

#define ROOM (1 << 20) /* within which nothing else lies */

/* Each address twice: as a thread's own board, and as one with tables, for a thread of the pool. */
static int where_nothing_is(void)
{
	unsigned char *room = mmap(NULL, ROOM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *gone = room + ROOM / 4, *pages = room + ROOM / 2;
	const uintptr_t addresses[] = {
		0, 1, 0xffff888000000000, 0xffffffff81000000, 0x8000000000000000, UINTPTR_MAX, UINTPTR_MAX - 7,
		(uintptr_t)room, (uintptr_t)gone, (uintptr_t)gone + 4096, (uintptr_t)pages + 4096 - 8,
	};
	pthread_t thread;
	int fds[2];

	if (room == MAP_FAILED || beyond_the_end(gone) < 0 || mprotect(pages, 8192, PROT_READ | PROT_WRITE) < 0)
		return 1;
	memset(pages, 0xff, 8192);
	if (mprotect(pages + 4096, 4096, PROT_NONE) < 0) /* of the last one, half is there */
		return 1;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		if (show((void *)addresses[i], 64) || touch() || show((void *)addresses[i], FP_BOARD_SIZE) || touch())
			return 2;
		pthread_create(&thread, NULL, pool_thread, fds);
		pthread_join(thread, NULL);
	}
	/* sizes that no board has change nothing */
	return show(pages, 63) || show(pages, 1) || touch();
}

static void a_board_that_is_not_there_says_nothing(void **state)
{
	record(where_nothing_is);
	assert_int_equal(count(FP_EVENT_TYPE_MARK), 0);
	assert_int_equal(count(FP_EVENT_TYPE_OPEN), 11 * 4 + 1 + 1); /* and the memory file's own */
}

static int full_of_garbage(void)
{
	pthread_t thread;
	int fds[2];

	if (show_board(FP_BOARD_SIZE))
		return 1;
	memset(board, 0xff, FP_BOARD_SIZE);
	memset(board, 0, 16);
	pthread_create(&thread, NULL, pool_thread, fds); /* the place 3 of ids holds garbage, that of its descriptor is none */
	pthread_join(thread, NULL);
	return touch();
}

/* A place beyond the table is none; what stands at one that is there is passed on, and judged by the agent. */
static void garbage_is_no_place(void **state)
{
	record(full_of_garbage);
	assert_int_equal(count(FP_EVENT_TYPE_MARK), 2);
	for (size_t i = 0; i < n_events; i++)
		if (events[i].type == FP_EVENT_TYPE_MARK) {
			assert_int_equal(events[i].mark, FP_MARK_VERSION << 8 | FP_MARK_ENTER);
			assert_true(events[i].id_hi == UINT64_MAX || events[i].id_hi == 0);
		}
	assert_int_equal(count(FP_EVENT_TYPE_WRITE), 1);
}

#define OTHERS 6000

/* More processes than any table of the kernel side would hold: those of others do not push out one's own. */
static int beside_many_others(void)
{
	pthread_t thread;
	pid_t pid;
	int fds[2], status;

	if (show_board(FP_BOARD_SIZE))
		return 1;
	put_id(FP_BOARD_IDS + 16 * 3, 3);
	put_id(FP_BOARD_IDS + 16 * 4, 4);
	for (int fd = 0; fd < FP_BOARD_DESCRIPTORS_MAX; fd++)
		board[FP_BOARD_DESCRIPTORS + 2 * fd] = 4;
	for (int i = 0; i < OTHERS; i++) {
		pid = vfork();
		if (pid == 0) {
			show(board, FP_BOARD_SIZE);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			return 2;
	}
	pthread_create(&thread, NULL, pool_thread, fds);
	pthread_join(thread, NULL);
	return fds[0] < 0 || fds[1] < 0;
}

static void others_do_not_push_it_out(void **state)
{
	record(beside_many_others);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 0), 3);
	assert_int_equal(entered_before(FP_EVENT_TYPE_WRITE, 0), 4);
	assert_int_equal(entered_before(FP_EVENT_TYPE_OPEN, 1), 0);
}

#define RACES 2000
static volatile int racing;

static void *rewrite(void *arg)
{
	while (racing)
		for (int byte = 0; byte < 2; byte++)
			memset(board + FP_BOARD_IDS + 16 * 3, 0x11 + 0x11 * byte, 16);
	return arg;
}

static void *open_often(void *arg)
{
	for (int i = 0; i < RACES; i++)
		close(open_at(3));
	return arg;
}

static int while_it_is_written(void)
{
	pthread_t writer, reader;

	if (show_board(FP_BOARD_SIZE))
		return 1;
	racing = 1;
	pthread_create(&writer, NULL, rewrite, NULL);
	pthread_create(&reader, NULL, open_often, NULL);
	pthread_join(reader, NULL);
	racing = 0;
	pthread_join(writer, NULL);
	return 0;
}

/* Whatever is read is of what was written, at most one word of it for each thing done, and nothing is lost. */
static void a_race_makes_no_more_of_it(void **state)
{
	record(while_it_is_written);
	assert_int_equal(count(FP_EVENT_TYPE_OPEN), RACES);
	assert_true(count(FP_EVENT_TYPE_MARK) <= RACES + 1);
	for (size_t i = 0; i < n_events; i++)
		for (int byte = 0; events[i].type == FP_EVENT_TYPE_MARK && byte < 8; byte++) {
			unsigned said = (unsigned)(events[i].id_hi >> 8 * byte) & 0xff;

			assert_true(said == 0 || said == 0x11 || said == 0x22);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_matters_is_said),
		cmocka_unit_test(a_pools_threads_are_spoken_for),
		cmocka_unit_test(a_pools_lookups_are_spoken_for),
		cmocka_unit_test(what_lookups_read_is_spoken_for),
		cmocka_unit_test(what_runs_is_known_by_its_number),
		cmocka_unit_test(what_no_callback_does_is_by_its_descriptor),
		cmocka_unit_test(a_board_is_its_process_s_own),
		cmocka_unit_test(a_board_that_is_not_there_says_nothing),
		cmocka_unit_test(garbage_is_no_place),
		cmocka_unit_test(others_do_not_push_it_out),
		cmocka_unit_test(a_race_makes_no_more_of_it),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

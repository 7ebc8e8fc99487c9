/*
 * Whose the name lookups of a pool are, under the real kernel side.  The program
 * has libuv's functions by name, and does with them as libuv does, and worse.
 * Needs root and BPF; skipped without.
 */
#include "agent/tests/board.h"

#define REQUESTS 200
#define WORK 72 /* where libuv keeps what its pool needs */

typedef void (*work_fn)(void *work);

static _Alignas(16) char requests[REQUESTS][256];
static void (*during)(void); /* what the lookup does */
static pthread_barrier_t together;

int uv_getaddrinfo(void *loop, void *request);
int uv_getnameinfo(void *loop, void *request);
void uv__getaddrinfo_work(void *work);
void uv__getnameinfo_work(void *work);

__attribute__((noinline)) int uv_getaddrinfo(void *loop, void *request)
{
	__asm__ volatile("" ::"r"(loop), "r"(request) : "memory");
	return 0;
}

__attribute__((noinline)) int uv_getnameinfo(void *loop, void *request)
{
	__asm__ volatile("" ::"r"(request), "r"(loop) : "memory");
	return 1;
}

__attribute__((noinline)) void uv__getaddrinfo_work(void *work)
{
	__asm__ volatile("" ::"r"(work));
	during();
}

__attribute__((noinline)) void uv__getnameinfo_work(void *work)
{
	during();
	__asm__ volatile("" ::"r"(work));
}

static work_fn *work_of(int request)
{
	return (void *)(requests[request] + WORK);
}

/* By the loop's thread, for whom its board says; 0: for nobody. */
static void give(unsigned char id, int request)
{
	if (id)
		put_id(0, id);
	else
		memset(board, 0, 16);
	*work_of(request) = uv__getaddrinfo_work;
	uv_getaddrinfo(NULL, requests[request]);
	put_id(0, 9);
}

/* By a thread of the pool. */
static void look_up(int request)
{
	work_fn *work = work_of(request);

	(*work)(work);
	*work = NULL;
}

static void wait_for_others(void)
{
	pthread_barrier_wait(&together);
}

static void touch_once(void)
{
	touch();
}

/* Whose the n-th open was. */
static uint64_t owner(unsigned n)
{
	return entered_before(FP_EVENT_TYPE_OPEN, n);
}

static void assert_owners(const uint64_t *ids, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (owner(i) != ids[i])
			fail_msg("open %u is %llu's, not %llu's", i, (unsigned long long)owner(i), (unsigned long long)ids[i]);
	assert_int_equal(count(FP_EVENT_TYPE_OPEN), n);
}

#define ASSERT_OWNERS(...) assert_owners((uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static int run_thread(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, fn, arg) || pthread_join(thread, NULL);
}

/* --- as libuv does ------------------------------------------------------------------ */

#define AT_ONCE 8

static const char *path; /* made by one thread, for all */

static void touch_at_once(void)
{
	for (int i = 0; i < 2; i++) {
		wait_for_others();
		if (open(path, O_RDWR | O_CREAT, 0600) < 0)
			_exit(3);
	}
	wait_for_others();
}

static void *one_of_many(void *request)
{
	look_up((int)(intptr_t)request);
	close(open(path, O_RDWR)); /* something else */
	return NULL;
}

static int many_at_once(void)
{
	pthread_t threads[AT_ONCE];

	if (show_board(FP_BOARD_SIZE))
		return 1;
	pthread_barrier_init(&together, NULL, AT_ONCE);
	during = touch_at_once;
	path = in_directory("a");
	for (int i = 0; i < AT_ONCE; i++)
		give((unsigned char)(10 + i), i);
	for (int i = 0; i < AT_ONCE; i++)
		pthread_create(&threads[i], NULL, one_of_many, (void *)(intptr_t)i);
	for (int i = 0; i < AT_ONCE; i++)
		pthread_join(threads[i], NULL);
	return touch();
}

/* Each thread has two of its own request's, then one of nobody's. */
static void each_is_whose_it_was_given_for(void **state)
{
	unsigned seen[AT_ONCE] = {0}, nobodys = 0;

	record(many_at_once);
	assert_int_equal(count(FP_EVENT_TYPE_OPEN), 3 * AT_ONCE + 1);
	for (unsigned i = 0; i < 3 * AT_ONCE; i++) {
		uint64_t id = owner(i);

		nobodys += id == 0;
		if (id)
			seen[id - 10]++;
	}
	for (unsigned i = 0; i < AT_ONCE; i++)
		assert_int_equal(seen[i], 2);
	assert_int_equal(nobodys, AT_ONCE);
	assert_int_equal(owner(3 * AT_ONCE), 9);
	assert_int_equal(count(FP_EVENT_TYPE_MARK), 2 * AT_ONCE + 1);
}

static void ask_and_read(void)
{
	char byte;
	int fd = open(in_directory("a"), O_RDONLY | O_CLOEXEC), other;

	other = socket(AF_INET, SOCK_DGRAM, 0);
	if (read(fd, &byte, 1) < 0 || other < 0)
		_exit(3);
}

static void *named(void *arg)
{
	look_up(0);
	return arg;
}

static int by_address(void)
{
	if (touch() || show_board(FP_BOARD_SIZE))
		return 1;
	memcpy(board + FP_BOARD_LOOKUPS, (uint32_t[]){ 5 }, 4); /* what the board says of all is not asked */
	put_id(FP_BOARD_IDS + 16 * 5, 5);
	during = ask_and_read;
	put_id(0, 7);
	*work_of(0) = uv__getnameinfo_work;
	uv_getnameinfo(NULL, requests[0]);
	return run_thread(named, NULL);
}

static void all_that_it_does_is_told(void **state)
{
	record(by_address);
	assert_int_equal(owner(1), 7);
	assert_int_equal(entered_before(FP_EVENT_TYPE_READ, 0), 7);
	assert_int_equal(entered_before(FP_EVENT_TYPE_SOCKET, 0), 7);
}

/* --- places that are used again -------------------------------------------------------- */

static void *again_meanwhile(void *arg)
{
	look_up(0);
	wait_for_others(); /* it is given again, for another */
	wait_for_others();
	touch();
	wait_for_others(); /* and another thread is at it */
	touch();
	wait_for_others();
	return arg;
}

static void while_the_first_is_there(void)
{
	wait_for_others();
	touch();
	wait_for_others();
	touch();
}

static int used_again(void)
{
	pthread_t first;

	if (show_board(FP_BOARD_SIZE))
		return 1;
	pthread_barrier_init(&together, NULL, 2);
	give(5, 0);
	during = touch_once;
	pthread_create(&first, NULL, again_meanwhile, NULL);
	wait_for_others();
	give(6, 0);
	wait_for_others();
	during = while_the_first_is_there;
	return run_thread(named, NULL) || pthread_join(first, NULL);
}

/* The first thread's lookup is over, though there is one again where it was. */
static void who_had_the_place_before_has_nothing_of_it(void **state)
{
	uint64_t sixes = 0, nobodys = 0;

	record(used_again);
	assert_int_equal(owner(0), 5);
	assert_int_equal(owner(1), 0);
	for (unsigned i = 2; i < 5; i++) {
		sixes += owner(i) == 6;
		nobodys += owner(i) == 0;
	}
	assert_int_equal(sixes, 2);
	assert_int_equal(nobodys, 1);
	assert_int_equal(count(FP_EVENT_TYPE_OPEN), 5);
}

static void *four_times(void *arg)
{
	for (int i = 0; i < 4; i++) {
		*work_of(i) = uv__getaddrinfo_work;
		look_up(i);
	}
	*work_of(0) = uv__getaddrinfo_work;
	look_up(0); /* nobody has given it again */
	return arg;
}

static int not_given_or_for_nobody(void)
{
	if (show_board(FP_BOARD_SIZE))
		return 1;
	during = touch_once;
	give(5, 0);
	give(5, 1);
	give(0, 1); /* what was first here was never begun */
	give(6, 3);
	give(7, 3);
	return run_thread(four_times, NULL);
}

static void the_last_that_was_given_counts(void **state)
{
	record(not_given_or_for_nobody);
	ASSERT_OWNERS(5, 0, 0, 7, 0);
}

static void *each_of_all(void *arg)
{
	for (int i = 0; i < REQUESTS; i++)
		look_up(i);
	return arg;
}

static int more_than_are_kept(void)
{
	if (show_board(FP_BOARD_SIZE))
		return 1;
	during = touch_once;
	for (int i = 0; i < REQUESTS; i++)
		give((unsigned char)(10 + i), i);
	return run_thread(each_of_all, NULL);
}

static void what_was_pushed_out_is_nobodys(void **state)
{
	record(more_than_are_kept);
	for (unsigned i = 0; i < REQUESTS; i++)
		assert_int_equal(owner(i), i < REQUESTS - 128 ? 0 : 10 + i);
}

static void while_others_come(void)
{
	touch();
	wait_for_others();
	wait_for_others();
	touch();
}

static int pushed_out_meanwhile(void)
{
	pthread_t thread;

	if (show_board(FP_BOARD_SIZE))
		return 1;
	pthread_barrier_init(&together, NULL, 2);
	during = while_others_come;
	give(5, 0);
	pthread_create(&thread, NULL, named, NULL);
	wait_for_others();
	for (int i = 1; i <= 128; i++)
		give(6, i);
	wait_for_others();
	return pthread_join(thread, NULL);
}

static void what_is_pushed_out_meanwhile_is_nobodys(void **state)
{
	record(pushed_out_meanwhile);
	ASSERT_OWNERS(5, 0);
}

/* --- what lies, or is none of it ------------------------------------------------------- */

static void *hostile(void *arg)
{
	static const uintptr_t addresses[] = {0, 1, 0xffff888000000000, 0x8000000000000000, UINTPTR_MAX, UINTPTR_MAX - WORK};

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		uv__getaddrinfo_work((void *)addresses[i]);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		uv__getaddrinfo_work((void *)(addresses[i] + WORK));
	uv__getaddrinfo_work(arg); /* mapped, and zero */
	return NULL;
}

static int with_garbage(void)
{
	static const uintptr_t addresses[] = {0, 1, 0xffff888000000000, 0x8000000000000000, UINTPTR_MAX};

	if (show_board(FP_BOARD_SIZE))
		return 1;
	during = touch_once;
	put_id(0, 5);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		uv_getaddrinfo(NULL, (void *)addresses[i]);
	uv_getaddrinfo(NULL, requests[0]);
	if (run_thread(hostile, work_of(0)) || run_thread(hostile, work_of(0)))
		return 2;
	give(6, 0);
	return run_thread(named, NULL);
}

static void addresses_that_lead_nowhere_say_nothing(void **state)
{
	record(with_garbage);
	for (unsigned i = 0; i < 26; i++)
		assert_int_equal(owner(i), 0);
	assert_int_equal(owner(26), 6);
}

static char *place;

static void gone_meanwhile(void)
{
	touch();
	munmap(place, 4096);
	touch();
}

static void *within_what_goes(void *arg)
{
	(*(work_fn *)(place + WORK))(place + WORK);
	touch();
	return arg;
}

static int memory_that_goes(void)
{
	place = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (place == MAP_FAILED || show_board(FP_BOARD_SIZE))
		return 1;
	during = gone_meanwhile;
	put_id(0, 5);
	*(work_fn *)(place + WORK) = uv__getaddrinfo_work;
	uv_getaddrinfo(NULL, place);
	return run_thread(within_what_goes, NULL);
}

static void what_is_no_longer_there_is_over(void **state)
{
	record(memory_that_goes);
	ASSERT_OWNERS(5, 0, 0);
}

/* A child has the parent's addresses, and nothing of what was given there; nor has a process without tables a pool. */
static int in_another_process(void)
{
	int status;
	pid_t pid;

	if (show_board(FP_BOARD_SIZE))
		return 1;
	during = touch_once;
	give(5, 0);
	pid = fork();
	if (pid == 0) {
		if (show_board(FP_BOARD_SIZE))
			_exit(1);
		_exit(run_thread(named, NULL));
	}
	if (waitpid(pid, &status, 0) != pid || status)
		return 2;
	pid = fork();
	if (pid == 0) {
		if (show_board(64))
			_exit(1);
		give(6, 0);
		_exit(run_thread(named, NULL));
	}
	if (waitpid(pid, &status, 0) != pid || status)
		return 3;
	return run_thread(named, NULL);
}

static void it_is_its_process_s_own(void **state)
{
	record(in_another_process);
	ASSERT_OWNERS(0, 0, 5);
}

/* A thread that has a board, and the first one, speak for themselves. */
static void *with_its_own_board(void *arg)
{
	char *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (own == MAP_FAILED || syscall(SYS_write, (unsigned)FP_BOARD_DESCRIPTOR, own, 64) != -1)
		_exit(3);
	own[7] = 1;
	own[15] = 8;
	uv_getaddrinfo(NULL, requests[1]);
	*work_of(1) = uv__getaddrinfo_work;
	look_up(0);
	return arg;
}

static void *second(void *arg)
{
	look_up(1);
	return arg;
}

/* What the board's table says. */
static void *by_place(void *arg)
{
	syscall(SYS_openat, AT_FDCWD, in_directory("a"), O_RDWR | O_CREAT, 0600 | 3 << 12);
	return arg;
}

static int with_boards(void)
{
	if (show_board(FP_BOARD_SIZE))
		return 1;
	during = touch_once;
	give(5, 0);
	if (run_thread(with_its_own_board, NULL) || run_thread(second, NULL))
		return 1;
	give(6, 2);
	look_up(2);
	put_id(FP_BOARD_IDS + 16 * 3, 3);
	return touch() || run_thread(by_place, NULL);
}

static void threads_with_boards_speak_for_themselves(void **state)
{
	record(with_boards);
	ASSERT_OWNERS(8, 8, 9, 9, 3);
}

/* --- what it takes ------------------------------------------------------------------------ */

static void what_it_takes_is_given_back(void **state)
{
	uint64_t before = fp_capture_thread_memory(capture);

	record(many_at_once);
	assert_int_equal(fp_capture_thread_memory(capture), before);
	/* room for the threads, and for nothing else */
	fp_capture_set_thread_memory(capture, before + 8192);
	record(not_given_or_for_nobody);
	ASSERT_OWNERS(0, 0, 0, 0, 0);
	assert_int_equal(lost_by(FP_LOSS_STATE_FULL), 0);
	assert_int_equal(fp_capture_thread_memory(capture), before);
	fp_capture_set_thread_memory(capture, before + (1 << 20));
	record(not_given_or_for_nobody);
	ASSERT_OWNERS(5, 0, 0, 7, 0);
}

static int probe(void **state)
{
	return group_setup(state) || fp_capture_attach(capture, FP_FUNCTIONS_LOOKUPS, "/proc/self/exe");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_whose_it_was_given_for),
		cmocka_unit_test(all_that_it_does_is_told),
		cmocka_unit_test(who_had_the_place_before_has_nothing_of_it),
		cmocka_unit_test(the_last_that_was_given_counts),
		cmocka_unit_test(what_was_pushed_out_is_nobodys),
		cmocka_unit_test(what_is_pushed_out_meanwhile_is_nobodys),
		cmocka_unit_test(addresses_that_lead_nowhere_say_nothing),
		cmocka_unit_test(what_is_no_longer_there_is_over),
		cmocka_unit_test(it_is_its_process_s_own),
		cmocka_unit_test(threads_with_boards_speak_for_themselves),
		cmocka_unit_test(what_it_takes_is_given_back),
	};

	return cmocka_run_group_tests(tests, probe, group_teardown);
}

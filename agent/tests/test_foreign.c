/*
 * 32-bit calls on a 64-bit kernel, by the old gate (int 0x80): each record against what the child knows it did.  Needs
 * root and BPF, and a kernel that takes such calls.
 */
#include "agent/tests/recorded.h"

#include <netinet/in.h>
#include <sys/un.h>

#if defined(__x86_64__)
/* Memory that 32 bits can point to, and what has been taken of it. */
static char *low;
static size_t taken;

static uint32_t put(const void *data, size_t len)
{
	char *at = low + taken;

	memcpy(at, data, len);
	taken += (len + 15) & ~15ul;
	return (uint32_t)(uintptr_t)at;
}

static uint32_t text(const char *string) { return put(string, strlen(string) + 1); }

static int call(uint32_t number, uint32_t b, uint32_t c, uint32_t d, uint32_t si, uint32_t di)
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(b), "c"(c), "d"(d), "S"(si), "D"(di)
			 : "memory", "r8", "r9", "r10", "r11");
	return (int)result;
}
#define CALL(number, ...) call_of(number, (uint32_t[5]){__VA_ARGS__})
static int call_of(uint32_t number, const uint32_t *a) { return call(number, a[0], a[1], a[2], a[3], a[4]); }

static int begin(void)
{
	low = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	return low == MAP_FAILED || CALL(20 /* getpid */) != getpid();
}

#define LARGE 0100000 /* O_LARGEFILE, which 64-bit calls need not say */
enum { OPEN = 5, WRITE = 4, READ = 3, UNLINK = 10, CHMOD = 15, RENAME = 38, SOCKETCALL = 102, WRITEV = 146, TRUNCATE64 = 193,
       MMAP2 = 192, CHOWN16 = 182, SENDTO = 369, SENDMSG = 370, RECVMSG = 372, PWRITE64 = 181, FTRUNCATE64 = 194, OLD_MMAP = 90 };

static int use_files(void)
{
	uint32_t name, other, vector[4], data, area[6];
	int fd;

	if (begin())
		return 1;
	name = text(in_directory("narrow"));
	other = text(in_directory("renamed"));
	data = text("hello");
	fd = CALL(OPEN, name, O_CREAT | O_RDWR | LARGE, 0640);
	if (fd < 0 || CALL(WRITE, (uint32_t)fd, data, 5) != 5)
		return 2;
	told[0] = ino_of_fd(fd);
	vector[0] = vector[2] = data;
	vector[1] = 3;
	vector[3] = 2;
	if (CALL(WRITEV, (uint32_t)fd, put(vector, sizeof(vector)), 2) != 5 || CALL(PWRITE64, (uint32_t)fd, data, 4, 1) != 4)
		return 3;
	if (CALL(FTRUNCATE64, (uint32_t)fd, 7, 1) || CALL(TRUNCATE64, name, 8192, 0))
		return 4;
	if (CALL(RENAME, name, other) || CALL(CHMOD, other, 0604) || CALL(CHOWN16, other, 0xffff, 70))
		return 5;
	if ((uint32_t)CALL(MMAP2, 0, 4096, PROT_READ, MAP_SHARED, (uint32_t)fd) > (uint32_t)-4096)
		return 6;
	area[0] = area[5] = 0;
	area[1] = 8192;
	area[2] = PROT_READ;
	area[3] = MAP_SHARED;
	area[4] = (uint32_t)fd;
	CALL(OLD_MMAP, put(area, sizeof(area)));
	if (CALL(OPEN, text(in_directory("nothing")), O_RDONLY) != -ENOENT)
		return 7;
	return CALL(UNLINK, other);
}

static const struct fp_event *of_file(enum fp_event_type type, unsigned n)
{
	const struct fp_event *event = nth(type, n);

	assert_int_equal(event->ino, told[0]);
	assert_int_equal(event->tgid, child);
	return event;
}

static void files_are_known_by_narrow_calls(void **state)
{
	share();
	record(use_files);
	assert_text(of_file(FP_EVENT_TYPE_OPEN, 0)->path, in_directory("narrow"));
	assert_int_equal(of_file(FP_EVENT_TYPE_OPEN, 0)->flags, O_CREAT | O_RDWR | LARGE | FP_OPEN_CREATED);
	assert_int_equal(of_file(FP_EVENT_TYPE_WRITE, 0)->bytes, 5);
	assert_int_equal(of_file(FP_EVENT_TYPE_WRITE, 1)->bytes, 5);
	assert_int_equal(of_file(FP_EVENT_TYPE_WRITE, 2)->bytes, 4);
	assert_int_equal(count(FP_EVENT_TYPE_WRITE), 3);
	assert_int_equal(of_file(FP_EVENT_TYPE_TRUNCATE, 0)->bytes, 7 + (1ull << 32));
	assert_int_equal(of_file(FP_EVENT_TYPE_TRUNCATE, 1)->bytes, 8192);
	assert_text(of_file(FP_EVENT_TYPE_RENAME, 0)->path, in_directory("narrow"));
	assert_text(of_file(FP_EVENT_TYPE_RENAME, 0)->new_path, in_directory("renamed"));
	assert_int_equal(of_file(FP_EVENT_TYPE_CHMOD, 0)->mode, 0604);
	assert_int_equal(of_file(FP_EVENT_TYPE_CHOWN, 0)->uid, UINT32_MAX);
	assert_int_equal(of_file(FP_EVENT_TYPE_CHOWN, 0)->gid, 70);
	assert_int_equal(of_file(FP_EVENT_TYPE_MAP, 0)->bytes, 4096);
	assert_int_equal(of_file(FP_EVENT_TYPE_MAP, 1)->bytes, 8192);
	assert_text(of_file(FP_EVENT_TYPE_UNLINK, 0)->path, in_directory("renamed"));
	assert_int_equal(nth(FP_EVENT_TYPE_FAILED, 0)->result, -ENOENT);
	assert_text(nth(FP_EVENT_TYPE_FAILED, 0)->path, in_directory("nothing"));
}

struct narrow_message {
	uint32_t name, name_len, vector, n, control, control_len, flags;
};

/* By the gate of many calls and by those of their own; a descriptor goes along. */
static int use_sockets(void)
{
	uint32_t made[3] = {AF_INET, SOCK_DGRAM, 0}, bound[3], vector[2], control[4] = {16, SOL_SOCKET, SCM_RIGHTS};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct narrow_message message = {0};
	socklen_t len = sizeof(address);
	int server, sender, pair[2];

	if (begin() || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 1;
	server = CALL(SOCKETCALL, 1, put(made, sizeof(made)));
	bound[0] = (uint32_t)server;
	bound[1] = put(&address, sizeof(address));
	bound[2] = sizeof(address);
	if (server < 0 || CALL(SOCKETCALL, 2, put(bound, sizeof(bound))) || getsockname(server, (void *)&address, &len))
		return 2;
	told[0] = ntohs(address.sin_port);
	sender = socket(AF_INET, SOCK_DGRAM, 0);
	told[1] = ino_of_fd(sender);
	vector[0] = text("message");
	vector[1] = 7;
	message.vector = put(vector, sizeof(vector));
	message.n = 1;
	message.name = put(&address, sizeof(address));
	message.name_len = sizeof(address);
	if (CALL(SENDMSG, (uint32_t)sender, put(&message, sizeof(message))) != 7)
		return 3;
	message.name = message.name_len = 0;
	control[3] = (uint32_t)sender;
	message.control = put(control, sizeof(control));
	message.control_len = sizeof(control);
	if (CALL(SENDMSG, (uint32_t)pair[0], put(&message, sizeof(message))) != 7)
		return 4;
	return CALL(RECVMSG, (uint32_t)pair[1], put(&message, sizeof(message))) != 7;
}

static void sockets_are_known_by_narrow_calls(void **state)
{
	share();
	record(use_sockets);
	assert_int_equal(nth(FP_EVENT_TYPE_SOCKET, 2)->protocol, IPPROTO_UDP);
	assert_int_equal(nth(FP_EVENT_TYPE_BIND, 0)->local_port, told[0]);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->ino, told[1]);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->bytes, 7);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->remote_port, told[0]);
	assert_true(nth(FP_EVENT_TYPE_SEND, 0)->remote_lo == 0xffff7f000001);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->bytes, 7);
	assert_int_equal(count(FP_EVENT_TYPE_PASS), 1);
	assert_int_equal(nth(FP_EVENT_TYPE_PASS, 0)->ino, told[1]);
}

/* close(-1): number 6 is another call in the 64-bit table; and calls of which nothing is told. */
static int call_others(void)
{
	return begin() || CALL(6, (uint32_t)-1) != -EBADF || CALL(106, 0, 0) != -EFAULT;
}

static void a_narrow_call_is_not_misread(void **state)
{
	record(call_others);
	for (size_t i = 0; i < n_events; i++)
		assert_true(events[i].type == FP_EVENT_TYPE_MOVED || events[i].type == FP_EVENT_TYPE_EXIT ||
			    events[i].type == FP_EVENT_TYPE_FAILED);
}

/* A process of its own asks, as a kernel that does not take such calls ends it. */
static int are_taken(void)
{
	pid_t pid = fork();
	int status = 1;

	if (pid == 0)
		_exit(begin());
	waitpid(pid, &status, 0);
	return status == 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_known_by_narrow_calls),
		cmocka_unit_test(sockets_are_known_by_narrow_calls),
		cmocka_unit_test(a_narrow_call_is_not_misread),
	};

	if (!are_taken()) {
		print_message("skipped: the kernel takes no 32-bit calls\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
#else
int main(void)
{
	return 77;
}
#endif

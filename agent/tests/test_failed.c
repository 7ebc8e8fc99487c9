/*
 * What was tried and failed, each record against what the child knows it tried.
 * Needs root and BPF.
 */
#include "agent/tests/recorded.h"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/un.h>

/* The n-th failure of an operation, which must be there. */
static const struct fp_event *failed(enum fp_operation operation, unsigned n)
{
	for (size_t i = 0; i < n_events; i++)
		if (events[i].type == FP_EVENT_TYPE_FAILED && events[i].operation == operation && n-- == 0)
			return &events[i];
	fail_msg("no failed %s", fp_operation_name(operation));
	return NULL;
}

/* A port of this host where nobody listens. */
static struct sockaddr_in nobody(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(fd, (void *)&address, len) || getsockname(fd, (void *)&address, &len))
		_exit(98);
	return address; /* bound and not listening: nobody else can take it */
}

static int try_much(void)
{
	struct sockaddr_un path = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
	struct sockaddr_in address = nobody();
	char *const none[] = {NULL};
	int fd = socket(AF_INET, SOCK_STREAM, 0), out = socket(AF_UNIX, SOCK_STREAM, 0), ends[2];
	char byte;

	told[0] = ntohs(address.sin_port);
	close(open(in_directory("secret"), O_CREAT | O_WRONLY, 0600));
	if (connect(fd, (void *)&address, sizeof(address)) == 0 || errno != ECONNREFUSED || connect(out, (void *)&path, sizeof(path)) == 0)
		return 1;
	if (pipe2(ends, O_NONBLOCK) || read(ends[0], &byte, 1) != -1) /* nothing is there yet: no failure */
		return 2;
	if (chmod(directory, 0755) || syscall(SYS_setresgid, 1001, 1001, 1001) || syscall(SYS_setresuid, 1002, 1002, 1002))
		return 3;
	for (int i = 0; i < 3; i++)
		if (open(in_directory("secret"), O_RDWR) >= 0)
			return 4;
	access(in_directory("secret"), R_OK);
	open("/nonexistent", O_RDONLY);
	execve("/nonexistent/program", none, none);
	kill(getppid(), SIGTERM);
	ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
	syscall(SYS_setuid, 0);
	unlink(in_directory("secret"));
	chmod(in_directory("secret"), 0666);
	chroot("/");
	fd = open("/proc/self/exe", O_RDONLY);
	if (mprotect(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), 4096, PROT_READ | PROT_WRITE) == 0)
		return 5;
	return read(-1, &byte, 1) != -1;
}

static void assert_failed(enum fp_operation operation, unsigned n, int error, const char *path)
{
	const struct fp_event *event = failed(operation, n);

	assert_int_equal(event->result, -error);
	assert_text(event->path, path);
	assert_int_equal(event->naming, *path ? FP_NAMING_UNVERIFIED : FP_NAMING_NONE);
	assert_int_equal(event->tgid, child);
	assert_int_equal(event->cgroup, cgroup.id);
}

static void what_fails_is_told(void **state)
{
	const struct fp_event *event;

	share();
	record(try_much);
	event = failed(FP_OPERATION_CONNECT, 0);
	assert_int_equal(event->result, -ECONNREFUSED);
	assert_int_equal(event->family, AF_INET);
	assert_int_equal(event->protocol, IPPROTO_TCP);
	assert_int_equal(event->remote_lo, 0xffff7f000001);
	assert_int_equal(event->remote_port, told[0]);
	event = failed(FP_OPERATION_CONNECT, 1);
	assert_int_equal(event->result, -ENOENT);
	assert_text(event->path, "/nonexistent/socket");
	for (unsigned i = 0; i < 3; i++) {
		assert_failed(FP_OPERATION_OPEN, i, EACCES, in_directory("secret"));
		assert_int_equal(failed(FP_OPERATION_OPEN, i)->flags & O_ACCMODE, O_RDWR);
	}
	assert_failed(FP_OPERATION_OPEN, 3, ENOENT, "/nonexistent");
	assert_failed(FP_OPERATION_ACCESS, 0, EACCES, in_directory("secret"));
	assert_failed(FP_OPERATION_EXEC, 0, ENOENT, "/nonexistent/program");
	assert_failed(FP_OPERATION_SEND_SIGNAL, 0, EPERM, "");
	assert_int_equal(failed(FP_OPERATION_SEND_SIGNAL, 0)->target_tgid, getpid());
	assert_failed(FP_OPERATION_PTRACE, 0, EPERM, "");
	assert_int_equal(failed(FP_OPERATION_PTRACE, 0)->target_tgid, getpid());
	assert_int_equal(failed(FP_OPERATION_PTRACE, 0)->flags, PTRACE_ATTACH);
	assert_failed(FP_OPERATION_CREDENTIALS, 0, EPERM, "");
	assert_failed(FP_OPERATION_NAME, 0, EACCES, in_directory("secret"));
	assert_failed(FP_OPERATION_CHANGE, 0, EPERM, in_directory("secret"));
	assert_failed(FP_OPERATION_CHROOT, 0, EPERM, "/");
	assert_failed(FP_OPERATION_MAP, 0, EACCES, "");
	assert_failed(FP_OPERATION_TRANSFER, 0, EBADF, "");
	assert_int_equal(count(FP_EVENT_TYPE_FAILED), 16);
	/* nothing of it was done */
	assert_int_equal(count(FP_EVENT_TYPE_CONNECT), 0);
	assert_int_equal(count(FP_EVENT_TYPE_UNLINK), 0);
	assert_int_equal(count(FP_EVENT_TYPE_READ), 0);
}

static int connect_later(void)
{
	struct sockaddr_in address = nobody();
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = 0;
	struct pollfd ready = {.fd = fd, .events = POLLOUT};
	socklen_t len = sizeof(error);

	told[0] = ntohs(address.sin_port);
	if (connect(fd, (void *)&address, sizeof(address)) == 0)
		return 1;
	if (errno == ECONNREFUSED) /* known at once */
		return 0;
	if (poll(&ready, 1, -1) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		return 2;
	return error != ECONNREFUSED;
}

static void a_connect_that_fails_later_is_told(void **state)
{
	const struct fp_event *event;

	share();
	record(connect_later);
	event = failed(FP_OPERATION_CONNECT, 0);
	assert_int_equal(event->result, -ECONNREFUSED);
	assert_int_equal(event->remote_port, told[0]);
	assert_int_equal(event->remote_lo, 0xffff7f000001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_fails_is_told),
		cmocka_unit_test(a_connect_that_fails_later_is_told),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

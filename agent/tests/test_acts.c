/*
 * What processes do to each other and to what they may do, operations through
 * io_uring, scripts, and calls of another architecture.  Needs root and BPF.
 */
#include "agent/tests/recorded.h"
#include "agent/tests/through_ring.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>

static pid_t other; /* of the child: not recorded by fork order, found in the FORK event */

static pid_t fork_sleeper(void)
{
	other = fork();
	if (other == 0) {
		pause();
		_exit(0);
	}
	return other;
}

static char victim[16] = "secret";

static int act_on_another(void)
{
	pid_t pid = fork_sleeper();
	char stolen[16];
	struct iovec here = {stolen, sizeof(stolen)}, there = {victim, sizeof(victim)};
	int status, pidfd = syscall(SYS_pidfd_open, pid, 0);

	if (process_vm_readv(pid, &here, 1, &there, 1, 0) != 16 || process_vm_writev(pid, &here, 1, &there, 1, 0) != 16 ||
	    syscall(SYS_pidfd_getfd, pidfd, 1, 0) < 0)
		return 1;
	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) || waitpid(pid, &status, 0) != pid ||
	    ptrace(PTRACE_DETACH, pid, NULL, NULL))
		return 2;
	return kill(pid, SIGKILL) || waitpid(pid, &status, 0) != pid;
}

static const struct fp_event *traced(enum fp_operation operation)
{
	for (unsigned i = 0; i < count(FP_EVENT_TYPE_TRACE); i++)
		if (nth(FP_EVENT_TYPE_TRACE, i)->operation == operation)
			return nth(FP_EVENT_TYPE_TRACE, i);
	fail_msg("no %s", fp_operation_name(operation));
	return NULL;
}

static void who_is_acted_upon_is_known(void **state)
{
	static const enum fp_operation operations[] = {FP_OPERATION_VM_READ, FP_OPERATION_VM_WRITE, FP_OPERATION_GET_FD,
						       FP_OPERATION_PTRACE};
	const struct fp_event *forked, *event;

	record(act_on_another);
	forked = nth(FP_EVENT_TYPE_FORK, 0);
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		event = traced(operations[i]);
		assert_int_equal(event->tgid, child);
		assert_int_equal(event->target_tgid, forked->child_tgid);
		assert_int_equal(event->target_start, forked->child_start);
	}
	assert_int_equal(traced(FP_OPERATION_VM_READ)->bytes, 16);
	assert_int_equal(traced(FP_OPERATION_PTRACE)->flags, PTRACE_ATTACH);
	assert_int_equal(nth(FP_EVENT_TYPE_PASS, 0)->operation, FP_OPERATION_TAKEN);
	event = nth(FP_EVENT_TYPE_SIGNAL, count(FP_EVENT_TYPE_SIGNAL) - 1);
	assert_int_equal(event->signal, SIGKILL);
	assert_int_equal(event->target_tgid, forked->child_tgid);
	assert_int_equal(event->target_start, forked->child_start);
}

static int change_itself(void)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("faasprov", directory, "tmpfs", MS_NOSUID, NULL) || umount2(directory, MNT_DETACH) || chroot("/"))
		return 1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return 2;
	return syscall(SYS_setresgid, 1001, 1001, 1001) || syscall(SYS_setresuid, 1002, 1002, 1002);
}

static void a_process_changes_what_it_may_do(void **state)
{
	static const enum fp_operation operations[] = {FP_OPERATION_UNSHARE, FP_OPERATION_MOUNT,  FP_OPERATION_MOUNT,
						       FP_OPERATION_UMOUNT,  FP_OPERATION_CHROOT, FP_OPERATION_PRCTL,
						       FP_OPERATION_CREDENTIALS, FP_OPERATION_CREDENTIALS};
	const struct fp_event *event;

	record(change_itself);
	for (unsigned i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		assert_int_equal(nth_change(i)->operation, operations[i]);
	event = nth_change(2);
	assert_text(event->new_path, directory);
	assert_text(event->attribute, "tmpfs");
	assert_int_equal(event->flags, MS_NOSUID);
	assert_int_equal(event->euid, 0);
	assert_true(event->capabilities & 1ull << 21); /* CAP_SYS_ADMIN */
	event = nth_change(7);
	assert_int_equal(event->euid, 1002);
	assert_int_equal(event->egid, 1001);
	assert_int_equal(event->capabilities, 0);
}

static int move_a_mount(const char *to)
{
	int tree = syscall(SYS_open_tree, AT_FDCWD, "/proc", 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC);

	return tree < 0 || syscall(SYS_move_mount, tree, "", AT_FDCWD, to, 4 /* MOVE_MOUNT_F_EMPTY_PATH */);
}

/* With name spaces of its own, with none, and with others. */
static int fork_apart(void)
{
	static const uint64_t flags[] = {CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWUSER, 0, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC};

	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		uint64_t args[8] = {flags[i], 0, 0, 0, SIGCHLD};
		long pid = syscall(SYS_clone3, args, sizeof(args));

		if (pid == 0)
			_exit(0);
		if (pid < 0 || waitpid((pid_t)pid, NULL, 0) != pid)
			return 1;
	}
	return 0;
}

static void a_child_with_name_spaces_of_its_own(void **state)
{
	record(fork_apart);
	assert_int_equal(count(FP_EVENT_TYPE_FORK), 3);
	assert_int_equal(nth(FP_EVENT_TYPE_FORK, 0)->flags, CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWUSER);
	assert_int_equal(nth(FP_EVENT_TYPE_FORK, 1)->flags, 0);
	assert_int_equal(nth(FP_EVENT_TYPE_FORK, 2)->flags, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC);
}

static int change_its_world(void)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {0};
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog program = {1, &allow};
	char old[PATH_MAX], moved[PATH_MAX];
	int names = open("/proc/self/ns/uts", O_RDONLY);

	snprintf(old, sizeof(old), "%s/old", directory);
	snprintf(moved, sizeof(moved), "%s/moved", directory);
	if (unshare(CLONE_NEWNS | CLONE_NEWUTS) || setns(names, CLONE_NEWUTS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("faasprov", directory, "tmpfs", 0, NULL) ||
	    mkdir(old, 0700) || mkdir(moved, 0700))
		return 1;
	if (move_a_mount(moved) || syscall(SYS_pivot_root, directory, old) || chdir("/"))
		return 2;
	if (syscall(SYS_capset, &header, none))
		return 3;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static void a_process_changes_its_world(void **state)
{
	static const struct {
		enum fp_operation operation;
		uint64_t flags;
	} done[] = {{FP_OPERATION_UNSHARE, CLONE_NEWNS | CLONE_NEWUTS}, {FP_OPERATION_SETNS, CLONE_NEWUTS},
		    {FP_OPERATION_MOUNT, MS_REC | MS_PRIVATE}, {FP_OPERATION_MOUNT, 0},
		    {FP_OPERATION_OPEN_TREE, 1 | O_CLOEXEC}, {FP_OPERATION_MOVE_MOUNT, 4},
		    {FP_OPERATION_PIVOT_ROOT, 0}, {FP_OPERATION_CAPSET, 0}, {FP_OPERATION_PRCTL, PR_SET_NO_NEW_PRIVS},
		    {FP_OPERATION_SECCOMP, SECCOMP_SET_MODE_FILTER}};
	char old[PATH_MAX];

	snprintf(old, sizeof(old), "%s/old", directory);
	record(change_its_world);
	assert_int_equal(count(FP_EVENT_TYPE_CONTROL) + count(FP_EVENT_TYPE_MOUNT), sizeof(done) / sizeof(done[0]));
	for (unsigned i = 0; i < sizeof(done) / sizeof(done[0]); i++) {
		assert_int_equal(nth_change(i)->operation, done[i].operation);
		assert_int_equal(nth_change(i)->flags, done[i].flags);
		assert_int_equal(nth_change(i)->tgid, child);
	}
	assert_text(nth_change(6)->path, directory);
	assert_text(nth_change(6)->new_path, old);
	assert_true(nth_change(6)->capabilities & 1ull << CAP_SYS_ADMIN);
	assert_int_equal(nth_change(7)->capabilities, 0);
}

static int work_through_a_ring(void)
{
	struct io_uring_params p = {0};
	int ring = syscall(SYS_io_uring_setup, 1, &p), fd;
	char data[20] = "written by nobody";

	if (ring < 0)
		return errno == ENOSYS || errno == EPERM ? 0 : 1;
	fd = through_ring(ring, &p, (struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD,
							  .addr = (uintptr_t)in_directory("ring"), .len = 0644,
							  .open_flags = O_RDWR | O_CREAT | O_TRUNC});
	if (fd < 0)
		return 2;
	if (through_ring(ring, &p, (struct io_uring_sqe){.opcode = IORING_OP_WRITE, .fd = fd, .addr = (uintptr_t)data, .len = 17}) != 17)
		return 3;
	return through_ring(ring, &p, (struct io_uring_sqe){.opcode = IORING_OP_READ, .fd = fd, .addr = (uintptr_t)data, .len = 5}) != 5;
}

static void a_ring_hides_nothing(void **state)
{
	const struct fp_event *event;

	if (!may_use_rings())
		skip();
	record(work_through_a_ring);
	event = nth(FP_EVENT_TYPE_OPEN, 0);
	assert_text(event->path, in_directory("ring"));
	assert_true(event->flags & FP_OPEN_CREATED && event->flags & O_TRUNC);
	assert_int_equal(nth(FP_EVENT_TYPE_WRITE, 0)->bytes, 17);
	assert_int_equal(nth(FP_EVENT_TYPE_WRITE, 0)->ino, ino_of(in_directory("ring")));
	assert_int_equal(nth(FP_EVENT_TYPE_WRITE, 0)->tgid, child);
	assert_int_equal(nth(FP_EVENT_TYPE_READ, 0)->bytes, 5);
}

static struct sockaddr_in listening;

/* Connected, accepted, sent and received, all without a system call of that name. */
static int talk_through_a_ring(void)
{
	struct io_uring_params p = {0};
	int ring = syscall(SYS_io_uring_setup, 1, &p), server = socket(AF_INET, SOCK_STREAM, 0), caller, called;
	socklen_t len = sizeof(listening);
	char data[8] = "hello";

	if (ring < 0) /* not allowed here */
		return errno == ENOSYS || errno == EPERM ? 0 : 1;
	listening = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (bind(server, (void *)&listening, len) || listen(server, 1) || getsockname(server, (void *)&listening, &len))
		return 2;
	caller = socket(AF_INET, SOCK_STREAM, 0);
	if (through_ring(ring, &p, (struct io_uring_sqe){.opcode = IORING_OP_CONNECT, .fd = caller, .off = len,
							 .addr = (uintptr_t)&listening}))
		return 3;
	called = through_ring(ring, &p, (struct io_uring_sqe){.opcode = IORING_OP_ACCEPT, .fd = server});
	if (called < 0)
		return 4;
	if (through_ring(ring, &p, (struct io_uring_sqe){.opcode = IORING_OP_SEND, .fd = caller, .addr = (uintptr_t)data, .len = 5}) != 5)
		return 5;
	return through_ring(ring, &p, (struct io_uring_sqe){.opcode = IORING_OP_RECV, .fd = called, .addr = (uintptr_t)data, .len = 8}) != 5;
}

static void a_ring_talks_and_is_heard(void **state)
{
	const struct fp_event *connected, *accepted, *sent, *received;

	if (!may_use_rings())
		skip();
	record(talk_through_a_ring);
	connected = nth(FP_EVENT_TYPE_CONNECT, 0);
	accepted = nth(FP_EVENT_TYPE_ACCEPT, 0);
	sent = nth(FP_EVENT_TYPE_SEND, 0);
	received = nth(FP_EVENT_TYPE_RECEIVE, 0);
	assert_int_equal(connected->remote_port, accepted->local_port);
	assert_int_equal(connected->local_port, accepted->remote_port);
	assert_int_equal(sent->ino, connected->ino);
	assert_int_equal(received->ino, accepted->ino);
	assert_int_equal(sent->bytes, 5);
	assert_int_equal(received->bytes, 5);
	/* the SYN counts at the side that opened */
	assert_int_equal(sent->tx_end - sent->tx_base, 1 + received->rx_end - received->rx_base);
	assert_int_equal(connected->tgid, child);
	assert_int_equal(received->tgid, child);
}

static int run_script(void)
{
	int fd = open(in_directory("script"), O_WRONLY | O_CREAT, 0755), status;
	pid_t pid;

	if (write(fd, "#!/bin/sh\nexit 0\n", 17) != 17 || close(fd))
		return 1;
	pid = fork();
	if (pid == 0) {
		execl(in_directory("script"), "script", NULL);
		_exit(1);
	}
	return waitpid(pid, &status, 0) != pid || status;
}

static void a_script_is_loaded(void **state)
{
	const struct fp_event *event, *executed;

	record(run_script);
	executed = nth(FP_EVENT_TYPE_EXEC, 0);
	for (unsigned i = 0; i < count(FP_EVENT_TYPE_LOAD); i++) {
		event = nth(FP_EVENT_TYPE_LOAD, i);
		if (event->path.len != strlen(in_directory("script")) ||
		    memcmp(event->path.data, in_directory("script"), event->path.len) != 0)
			continue;
		assert_int_equal(event->tgid, executed->tgid);
		assert_int_equal(event->exec_id, executed->exec_id);
		assert_true(event->seq > executed->seq || event->cpu != executed->cpu);
		return;
	}
	fail_msg("the script was not loaded");
}

static int run_memory(void)
{
	int from = open("/bin/true", O_RDONLY), memory = syscall(SYS_memfd_create, "hidden", 0), status;
	char *const arguments[] = {"innocent", NULL}, *const environment[] = {NULL};
	pid_t pid;

	while (sendfile(memory, from, NULL, 1 << 20) > 0)
		;
	pid = fork();
	if (pid == 0) {
		syscall(SYS_execveat, memory, "", arguments, environment, 0x1000);
		_exit(1);
	}
	return waitpid(pid, &status, 0) != pid || status;
}

static void a_program_in_memory_is_known(void **state)
{
	const struct fp_event *made = NULL, *executed;

	record(run_memory);
	executed = nth(FP_EVENT_TYPE_EXEC, 0);
	for (unsigned i = 0; i < count(FP_EVENT_TYPE_OPEN); i++)
		if (nth(FP_EVENT_TYPE_OPEN, i)->path.len && memmem(nth(FP_EVENT_TYPE_OPEN, i)->path.data,
								   nth(FP_EVENT_TYPE_OPEN, i)->path.len, "memfd:hidden", 12))
			made = nth(FP_EVENT_TYPE_OPEN, i);
	assert_non_null(made);
	assert_int_equal(executed->ino, made->ino);
	assert_int_equal(executed->dev, made->dev);
	assert_non_null(memmem(executed->path.data, executed->path.len, "memfd:hidden", 12));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_is_acted_upon_is_known),
		cmocka_unit_test(a_process_changes_what_it_may_do),
		cmocka_unit_test(a_process_changes_its_world),
		cmocka_unit_test(a_child_with_name_spaces_of_its_own),
		cmocka_unit_test(a_ring_hides_nothing),
		cmocka_unit_test(a_ring_talks_and_is_heard),
		cmocka_unit_test(a_script_is_loaded),
		cmocka_unit_test(a_program_in_memory_is_known),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

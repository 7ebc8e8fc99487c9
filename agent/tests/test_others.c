/*
 * What goes through ioctl and fcntl, and what one process sets for another: each record against what the child knows it
 * did, and none for what it did to itself.  Needs root and BPF.
 */
#include "agent/tests/recorded.h"

#include <linux/fs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <asm/sockios.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif
#define IOPRIO_WHO_PROCESS 1

/* --- for another process ------------------------------------------------------------ */

static pid_t start_other(void)
{
	pid_t other = fork();

	if (other == 0) {
		pause();
		_exit(0);
	}
	told[0] = (uint64_t)other;
	return other;
}

static int end_other(pid_t other)
{
	int status;

	return kill(other, SIGKILL) || waitpid(other, &status, 0) != other;
}

static int set_for_another(void)
{
	struct rlimit limit = {64, 64}, old;
	struct sched_param parameters = {0};
	cpu_set_t processors;
	pid_t other = start_other();

	CPU_ZERO(&processors);
	CPU_SET(0, &processors);
	return prlimit(other, RLIMIT_NOFILE, &limit, NULL) || prlimit(other, RLIMIT_NOFILE, NULL, &old) ||
	       setpriority(PRIO_PROCESS, (id_t)other, 5) || sched_setaffinity(other, sizeof(processors), &processors) ||
	       sched_setscheduler(other, SCHED_BATCH, &parameters) ||
	       syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, other, 3 << 13) || end_other(other);
}

static void what_is_set_for_another_is_told(void **state)
{
	share();
	record(set_for_another);
	assert_int_equal(count(FP_EVENT_TYPE_TRACE), 5);
	for (unsigned i = 0; i < 5; i++) {
		const struct fp_event *event = nth(FP_EVENT_TYPE_TRACE, i);

		assert_int_equal(event->tgid, child);
		assert_int_equal(event->target_tgid, told[0]);
		assert_int_equal(event->target_start, nth(FP_EVENT_TYPE_FORK, 0)->child_start);
		assert_int_equal(event->operation, i ? FP_OPERATION_SCHEDULE : FP_OPERATION_LIMIT);
	}
	assert_int_equal(nth(FP_EVENT_TYPE_TRACE, 0)->flags, RLIMIT_NOFILE);
}

static int set_for_oneself(void)
{
	struct rlimit limit = {1024, 1024};
	cpu_set_t processors;

	return sched_getaffinity(0, sizeof(processors), &processors) ||
	       sched_setaffinity((pid_t)syscall(SYS_gettid), sizeof(processors), &processors) ||
	       prlimit(0, RLIMIT_NOFILE, &limit, NULL) || prlimit(getpid(), RLIMIT_NOFILE, &limit, NULL) ||
	       setpriority(PRIO_PROCESS, 0, 1) || fcntl(0, F_SETOWN, getpid());
}

static void what_is_set_for_oneself_is_not(void **state)
{
	record(set_for_oneself);
	assert_int_equal(count(FP_EVENT_TYPE_TRACE), 0);
}

/* The other one ends by a signal that nobody sends: the kernel does, for what was said of a descriptor. */
static int signal_by_descriptor(void)
{
	struct {
		int kind, pid;
	} owner = {1 /* F_OWNER_PID */, 0};
	int ends[2], pair[2], status, on;
	pid_t other = start_other();

	owner.pid = other;
	on = other;
	if (pipe(ends) || fcntl(ends[0], F_SETOWN_EX, &owner) || fcntl(ends[0], F_SETOWN, other))
		return 1;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || ioctl(pair[0], FIOSETOWN, &on))
		return 2;
	if (fcntl(ends[0], F_SETFL, O_ASYNC) || write(ends[1], "x", 1) != 1)
		return 3;
	return waitpid(other, &status, 0) != other || !WIFSIGNALED(status) || WTERMSIG(status) != SIGIO;
}

static void who_is_signalled_for_a_descriptor_is_told(void **state)
{
	share();
	record(signal_by_descriptor);
	assert_int_equal(count(FP_EVENT_TYPE_TRACE), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(nth(FP_EVENT_TYPE_TRACE, i)->operation, FP_OPERATION_OWNER);
		assert_int_equal(nth(FP_EVENT_TYPE_TRACE, i)->target_tgid, told[0]);
	}
}

/* --- files and terminals ------------------------------------------------------------ */

/* told[0]: the clone worked; told[1], told[2]: the terminal, and whether a byte could be typed. */
static int put_by_ioctl(void)
{
	int from = open(in_directory("whole"), O_RDWR | O_CREAT, 0600), to = open(in_directory("copy"), O_RDWR | O_CREAT, 0600);
	int master = posix_openpt(O_RDWR | O_NOCTTY), terminal;

	if (write(from, "12345", 5) != 5 || master < 0 || grantpt(master) || unlockpt(master))
		return 1;
	told[0] = ioctl(to, FICLONE, from) == 0;
	terminal = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	if (terminal < 0)
		return 2;
	told[1] = ino_of_fd(terminal);
	setsid();
	if (ioctl(terminal, TIOCSCTTY, 0))
		return 3;
	told[2] = ioctl(terminal, TIOCSTI, "z") == 0;
	told[3] = (uint64_t)terminal;
	return 0;
}

static void what_ioctl_puts_into_files_and_terminals_is_told(void **state)
{
	const struct fp_event *open, *typed;

	share();
	record(put_by_ioctl);
	open = nth(FP_EVENT_TYPE_OPEN, count(FP_EVENT_TYPE_OPEN) - 1);
	assert_int_equal(open->fd, told[3]);
	assert_int_equal(open->ino, told[1]);
	assert_int_equal(open->object, FP_OBJECT_DEVICE);
	assert_int_equal(open->flags & O_ACCMODE, O_RDWR);
	if (told[0]) { /* a file system that can */
		assert_int_equal(count(FP_EVENT_TYPE_READ), 1);
		assert_int_equal(nth(FP_EVENT_TYPE_READ, 0)->ino, ino_of(in_directory("whole")));
		assert_int_equal(nth(FP_EVENT_TYPE_READ, 0)->bytes, 5);
		assert_int_equal(nth(FP_EVENT_TYPE_WRITE, 1)->ino, ino_of(in_directory("copy")));
		assert_int_equal(nth(FP_EVENT_TYPE_WRITE, 1)->bytes, 5);
	} else {
		assert_int_equal(count(FP_EVENT_TYPE_READ), 0);
	}
	assert_int_equal(count(FP_EVENT_TYPE_WRITE), 1 + told[0] + told[2]);
	if (told[2]) { /* one that lets itself be typed at */
		typed = nth(FP_EVENT_TYPE_WRITE, 1 + (unsigned)told[0]);
		assert_int_equal(typed->ino, told[1]);
		assert_int_equal(typed->bytes, 1);
	}
}

/* --- what is shared by two files ---------------------------------------------------- */

/* A file system that can share, in an image of our own and a name space of our own; false: it cannot be had here. */
static bool make_sharing_place(void)
{
	char command[900];

	if (system("command -v mkfs.btrfs >/dev/null") != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	snprintf(command, sizeof(command), "cd %s && truncate -s 128M image && mkfs.btrfs -q image >/dev/null 2>&1 && mkdir place && "
					   "mount -o loop image place 2>/dev/null", directory);
	return system(command) == 0;
}

/* told[i]: the inode of the i-th file. */
static int share_ranges(void)
{
	static const char *const names[] = {"place/from", "place/all", "place/middle", "place/tail", "place/twin"};
	char block[4096] = "block", same[sizeof(struct file_dedupe_range) + sizeof(struct file_dedupe_range_info)] = "";
	struct file_dedupe_range *range = (void *)same;
	int fd[5];

	for (int i = 0; i < 5; i++) {
		fd[i] = open(in_directory(names[i]), O_RDWR | O_CREAT, 0600);
		told[i] = ino_of_fd(fd[i]);
	}
	for (int i = 0; i < 3; i++)
		if (write(fd[0], block, sizeof(block)) != sizeof(block))
			return 1;
	if (write(fd[4], block, sizeof(block)) != sizeof(block) || ioctl(fd[1], FICLONE, fd[0]))
		return 2;
	if (ioctl(fd[2], FICLONERANGE, &(struct file_clone_range){.src_fd = fd[0], .src_offset = 4096, .src_length = 4096}) ||
	    ioctl(fd[3], FICLONERANGE, &(struct file_clone_range){.src_fd = fd[0], .src_offset = 4096, .dest_offset = 8192}))
		return 3;
	/* what is the same in both is kept once from now on: no byte of either is another */
	range->src_length = 4096;
	range->dest_count = 1;
	range->info[0].dest_fd = fd[4];
	return ioctl(fd[0], FIDEDUPERANGE, range) || range->info[0].status != FILE_DEDUPE_RANGE_SAME;
}

static void what_files_share_came_from_one_of_them(void **state)
{
	static const uint64_t bytes[] = {12288, 4096, 8192};
	char command[300];

	if (!make_sharing_place())
		skip();
	share();
	record(share_ranges);
	snprintf(command, sizeof(command), "umount %s/place", directory);
	assert_int_equal(system(command), 0);
	assert_int_equal(count(FP_EVENT_TYPE_READ), 3);
	assert_int_equal(count(FP_EVENT_TYPE_WRITE), 4 + 3);
	for (unsigned i = 0; i < 3; i++) {
		const struct fp_event *from = nth(FP_EVENT_TYPE_READ, i), *to = nth(FP_EVENT_TYPE_WRITE, 4 + i);

		assert_int_equal(from->ino, told[0]);
		assert_int_equal(to->ino, told[1 + i]);
		assert_int_equal(from->dev, to->dev);
		assert_int_equal(from->bytes, bytes[i]);
		assert_int_equal(to->bytes, bytes[i]);
		assert_int_equal(from->object, FP_OBJECT_FILE);
		assert_int_equal(to->object, FP_OBJECT_FILE);
		assert_int_equal(from->tgid, child);
		assert_true(to > from);
	}
}

struct file_attributes {
	uint64_t flags;
	uint32_t rest[4];
};

static int set_flags(void)
{
	int file = open(in_directory("flagged"), O_RDWR | O_CREAT, 0600), sealed = memfd_create("sealed", MFD_ALLOW_SEALING), flags;
	struct file_attributes attributes = {.flags = FS_XFLAG_NODUMP};

	told[0] = ino_of_fd(file);
	told[1] = ino_of_fd(sealed);
	if (ioctl(file, FS_IOC_GETFLAGS, &flags)) {
		told[2] = 1;
	} else {
		flags |= FS_NODUMP_FL;
		if (ioctl(file, FS_IOC_SETFLAGS, &flags))
			return 1;
	}
	if (fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE))
		return 2;
	told[3] = syscall(469 /* file_setattr */, AT_FDCWD, in_directory("flagged"), &attributes, sizeof(attributes), 0) == 0;
	return 0;
}

static void flags_and_seals_are_told(void **state)
{
	const struct fp_event *event;
	unsigned n = 0;

	share();
	record(set_flags);
	assert_int_equal(count(FP_EVENT_TYPE_XATTR), !told[2] + 1 + told[3]);
	if (!told[2]) {
		event = nth(FP_EVENT_TYPE_XATTR, n++);
		assert_int_equal(event->ino, told[0]);
		assert_int_equal(event->operation, FP_OPERATION_FILE_FLAGS);
		assert_text(event->path, in_directory("flagged"));
	}
	event = nth(FP_EVENT_TYPE_XATTR, n++);
	assert_int_equal(event->ino, told[1]);
	assert_int_equal(event->operation, FP_OPERATION_FILE_FLAGS);
	assert_int_equal(event->naming, FP_NAMING_RESOLVED);
	if (told[3]) {
		event = nth(FP_EVENT_TYPE_XATTR, n);
		assert_int_equal(event->ino, told[0]);
		assert_int_equal(event->operation, FP_OPERATION_FILE_FLAGS);
		assert_text(event->path, in_directory("flagged"));
	}
}

/* In a name space of its own, whose loopback is down until it is set up. */
static int change_the_network(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int any;

	if (unshare(CLONE_NEWNET))
		return 1;
	any = socket(AF_INET, SOCK_DGRAM, 0);
	if (ioctl(any, SIOCGIFFLAGS, &request))
		return 2;
	request.ifr_flags |= IFF_UP;
	return ioctl(any, SIOCSIFFLAGS, &request);
}

static void the_network_is_changed_by_ioctl(void **state)
{
	record(change_the_network);
	assert_int_equal(count(FP_EVENT_TYPE_CONTROL), 2);
	assert_int_equal(nth(FP_EVENT_TYPE_CONTROL, 0)->operation, FP_OPERATION_UNSHARE);
	assert_int_equal(nth(FP_EVENT_TYPE_CONTROL, 1)->operation, FP_OPERATION_DEVICE);
	assert_int_equal(nth(FP_EVENT_TYPE_CONTROL, 1)->flags, SIOCSIFFLAGS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_set_for_another_is_told),
		cmocka_unit_test(what_is_set_for_oneself_is_not),
		cmocka_unit_test(who_is_signalled_for_a_descriptor_is_told),
		cmocka_unit_test(what_ioctl_puts_into_files_and_terminals_is_told),
		cmocka_unit_test(what_files_share_came_from_one_of_them),
		cmocka_unit_test(flags_and_seals_are_told),
		cmocka_unit_test(the_network_is_changed_by_ioctl),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

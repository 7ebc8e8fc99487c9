/*
 * Processes made, changed and ended in other ways than the usual one, and what is
 * asked of the kernel, each record against what the child knows it did.  Needs
 * root and BPF.
 */
#include "agent/tests/recorded.h"

#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/timex.h>

static int wait_for(pid_t pid, int expected)
{
	int status;

	return pid < 0 || waitpid(pid, &status, __WALL) != pid || status != expected;
}

/* --- programs -------------------------------------------------------------------------- */

static int write_script(const char *name, const char *text)
{
	int fd = open(in_directory(name), O_WRONLY | O_CREAT | O_TRUNC, 0755);

	return fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd);
}

/* Called by a link, and by a descriptor while another file is being let go. */
static int run_scripts(void)
{
	char *const arguments[] = {"innocent", NULL}, *const environment[] = {NULL};
	int fd, other;
	pid_t pid;

	if (write_script("script", "#!/bin/sh\nexit 3\n") || symlink("script", in_directory("called")))
		return 1;
	pid = fork();
	if (pid == 0) {
		execve(in_directory("called"), arguments, environment);
		_exit(1);
	}
	if (wait_for(pid, 3 << 8))
		return 2;
	pid = fork();
	if (pid == 0) {
		fd = open(in_directory("script"), O_RDONLY);
		other = open("/bin/true", O_RDONLY | O_CLOEXEC);
		if (other >= 0)
			syscall(SYS_execveat, fd, "", arguments, environment, AT_EMPTY_PATH);
		_exit(1);
	}
	return wait_for(pid, 3 << 8);
}

static void a_script_is_the_file_that_was_run(void **state)
{
	unsigned n = 0;

	record(run_scripts);
	for (unsigned i = 0; i < count(FP_EVENT_TYPE_LOAD); i++) {
		const struct fp_event *event = nth(FP_EVENT_TYPE_LOAD, i);

		if (event->ino != ino_of(in_directory("script")))
			continue;
		assert_text(event->path, in_directory("script"));
		assert_int_equal(event->object, FP_OBJECT_FILE);
		assert_int_equal(event->naming, FP_NAMING_RESOLVED);
		assert_int_equal(event->tgid, nth(FP_EVENT_TYPE_EXEC, n)->tgid);
		assert_int_equal(event->exec_id, nth(FP_EVENT_TYPE_EXEC, n)->exec_id);
		n++;
	}
	assert_int_equal(n, 2);
}

static void *exec_here(void *arg)
{
	char *const arguments[] = {"true", "from a thread", NULL}, *const environment[] = {NULL};

	execve("/bin/true", arguments, environment);
	return NULL;
}

static int exec_from_a_thread(void)
{
	pthread_t thread;
	pid_t pid = fork();

	if (pid == 0) {
		if (pthread_create(&thread, NULL, exec_here, NULL) == 0)
			pthread_join(thread, NULL);
		_exit(1);
	}
	told[0] = (uint64_t)pid;
	return wait_for(pid, 0);
}

static void a_thread_that_executes_is_its_process(void **state)
{
	const struct fp_event *forked, *executed;
	unsigned ended = 0;

	share();
	record(exec_from_a_thread);
	forked = nth(FP_EVENT_TYPE_FORK, 0);
	executed = nth(FP_EVENT_TYPE_EXEC, 0);
	assert_int_equal(executed->tgid, forked->child_tgid);
	assert_int_equal(executed->tid, forked->child_tgid);
	assert_int_equal(executed->process_start, forked->child_start);
	assert_int_equal(executed->ino, ino_of("/bin/true"));
	assert_int_equal(executed->argv.len, 19);
	assert_memory_equal(executed->argv.data, "true\0from a thread", 19);
	assert_int_equal(executed->parent_tgid, child);
	assert_int_equal(executed->uid, 0);
	assert_true(executed->ns_tgid == told[0] || executed->ns_tgid == executed->tgid);
	for (unsigned i = 0; i < count(FP_EVENT_TYPE_EXIT); i++)
		ended += nth(FP_EVENT_TYPE_EXIT, i)->tgid == forked->child_tgid && nth(FP_EVENT_TYPE_EXIT, i)->flags == FP_EXIT_PROCESS;
	assert_int_equal(ended, 1);
}

static int make_processes(void)
{
	uint64_t with_parent[8] = {CLONE_PARENT, 0, 0, 0, 0};
	uint64_t of_clone3[8] = {0, 0, 0, 0, SIGCHLD};
	int status;
	pid_t pid = vfork(), mine = getpid();

	if (pid == 0)
		_exit(4);
	if (wait_for(pid, 4 << 8))
		return 1;
	pid = (pid_t)syscall(SYS_clone3, of_clone3, sizeof(of_clone3));
	if (pid == 0)
		_exit(5);
	if (wait_for(pid, 5 << 8))
		return 2;
	/* a grandchild that becomes our child */
	pid = fork();
	if (pid == 0) {
		pid = (pid_t)syscall(SYS_clone3, with_parent, sizeof(with_parent));
		_exit(pid == 0 ? getppid() != mine : pid < 0);
	}
	for (int i = 0; i < 2; i++)
		if (waitpid(-1, &status, __WALL) < 0 || status)
			return 3;
	return 0;
}

static void each_way_to_make_a_process_is_told(void **state)
{
	static const uint64_t statuses[] = {4 << 8, 5 << 8};

	record(make_processes);
	assert_int_equal(count(FP_EVENT_TYPE_FORK), 4);
	for (unsigned i = 0; i < 4; i++) {
		const struct fp_event *forked = nth(FP_EVENT_TYPE_FORK, i);
		unsigned ends = 0;

		assert_int_equal(forked->child_tid, forked->child_tgid);
		assert_int_equal(forked->tgid, i == 3 ? nth(FP_EVENT_TYPE_FORK, 2)->child_tgid : (uint64_t)child);
		for (unsigned k = 0; k < count(FP_EVENT_TYPE_EXIT); k++) {
			const struct fp_event *ended = nth(FP_EVENT_TYPE_EXIT, k);

			if (ended->tgid != forked->child_tgid)
				continue;
			ends++;
			assert_int_equal(ended->process_start, forked->child_start);
			assert_int_equal(ended->flags, FP_EXIT_PROCESS);
			assert_int_equal(ended->result, i < 2 ? statuses[i] : 0);
		}
		assert_int_equal(ends, 1);
	}
}

/* --- ends ------------------------------------------------------------------------------- */

#define THREADS 8
#define ROUNDS 20

static pthread_barrier_t together;

static void *end_at_once(void *arg)
{
	pthread_barrier_wait(&together);
	syscall(SYS_exit, 7);
	return NULL;
}

/* The last thread is any, and no exit_group is called. */
static int end_threads(void)
{
	for (int i = 0; i < ROUNDS; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			pthread_t thread;

			pthread_barrier_init(&together, NULL, THREADS + 1);
			for (int k = 0; k < THREADS; k++)
				if (pthread_create(&thread, NULL, end_at_once, NULL))
					_exit(1);
			pthread_barrier_wait(&together);
			syscall(SYS_exit, 7);
		}
		if (wait_for(pid, 7 << 8))
			return 1;
	}
	return 0;
}

static void a_process_ends_once_however_many_threads_end_with_it(void **state)
{
	unsigned processes = 0, threads = 0, made = 0;

	record(end_threads);
	for (unsigned i = 0; i < count(FP_EVENT_TYPE_EXIT); i++) {
		const struct fp_event *event = nth(FP_EVENT_TYPE_EXIT, i);

		if (event->tgid == (uint64_t)child)
			continue;
		if (event->flags == FP_EXIT_PROCESS)
			assert_int_equal(event->result, 7 << 8);
		processes += event->flags == FP_EXIT_PROCESS;
		threads++;
	}
	for (unsigned i = 0; i < count(FP_EVENT_TYPE_FORK); i++)
		made += nth(FP_EVENT_TYPE_FORK, i)->child_tgid == nth(FP_EVENT_TYPE_FORK, i)->tgid;
	assert_int_equal(made, ROUNDS * THREADS);
	assert_int_equal(threads, ROUNDS * (THREADS + 1));
	assert_int_equal(processes, ROUNDS);
}

/* --- signals ------------------------------------------------------------------------------ */

static int send_signals(void)
{
	siginfo_t info = {.si_code = SI_QUEUE};
	int go[2];
	pid_t pid;
	char byte;

	/* the one to be told, in a group of its own, with all of them held back */
	if (pipe(go))
		return 1;
	pid = fork();
	if (pid == 0) {
		sigset_t all;

		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
		setpgid(0, 0);
		if (write(go[1], "x", 1) == 1)
			pause();
		_exit(0);
	}
	if (read(go[0], &byte, 1) != 1)
		return 2;
	told[0] = (uint64_t)pid;
	if (kill(pid, SIGUSR1) || syscall(SYS_tgkill, pid, pid, SIGUSR2) || syscall(SYS_tkill, pid, SIGHUP) ||
	    syscall(SYS_rt_sigqueueinfo, pid, SIGTERM, &info) || syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIGINT, &info) ||
	    syscall(424 /* pidfd_send_signal */, syscall(434, pid, 0), SIGQUIT, NULL, 0) || kill(-pid, SIGKILL))
		return 3;
	return wait_for(pid, SIGKILL);
}

static void every_way_to_signal_is_told(void **state)
{
	static const int signals[] = {SIGUSR1, SIGUSR2, SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGKILL};
	const struct fp_event *forked;

	share();
	record(send_signals);
	forked = nth(FP_EVENT_TYPE_FORK, 0);
	assert_int_equal(count(FP_EVENT_TYPE_SIGNAL), sizeof(signals) / sizeof(signals[0]));
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		assert_int_equal(nth(FP_EVENT_TYPE_SIGNAL, i)->signal, signals[i]);
		assert_int_equal(nth(FP_EVENT_TYPE_SIGNAL, i)->target_tgid, forked->child_tgid);
		assert_int_equal(nth(FP_EVENT_TYPE_SIGNAL, i)->target_start, forked->child_start);
		assert_int_equal(nth(FP_EVENT_TYPE_SIGNAL, i)->tgid, child);
	}
}

/* --- what is asked of the kernel ------------------------------------------------------------ */

static int make_a_mount(void)
{
	struct {
		uint64_t set, clear, propagation, userns;
	} attributes = {1 /* MOUNT_ATTR_RDONLY */, 0, 0, 0};
	int prepared, mount_fd, names = open("/proc/self/ns/uts", O_RDONLY);

	if (unshare(CLONE_NEWNS | CLONE_NEWUTS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || setns(names, 0))
		return 1;
	prepared = (int)syscall(430 /* fsopen */, "tmpfs", 1);
	if (prepared < 0 || syscall(431 /* fsconfig */, prepared, 1, "size", "1m", 0) ||
	    syscall(431, prepared, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0))
		return 2;
	mount_fd = (int)syscall(432 /* fsmount */, prepared, 1, 2 /* MOUNT_ATTR_NOSUID */);
	if (mount_fd < 0 || syscall(429 /* move_mount */, mount_fd, "", AT_FDCWD, directory, 4))
		return 3;
	if (syscall(442 /* mount_setattr */, AT_FDCWD, directory, 0, &attributes, sizeof(attributes)) ||
	    syscall(433 /* fspick */, AT_FDCWD, directory, 0) < 0)
		return 4;
	return umount2(directory, MNT_DETACH);
}

static void the_mount_interface_is_told(void **state)
{
	static const struct {
		enum fp_operation operation;
		uint64_t flags;
		const char *attribute;
	} asked[] = {{FP_OPERATION_UNSHARE, CLONE_NEWNS | CLONE_NEWUTS, ""}, {FP_OPERATION_MOUNT, MS_REC | MS_PRIVATE, ""},
		     {FP_OPERATION_SETNS, CLONE_NEWUTS, ""}, /* which it was is told by the descriptor alone */
		     {FP_OPERATION_NEW_MOUNT, 1, "tmpfs"}, {FP_OPERATION_MOUNT_OPTION, 1, "size"},
		     {FP_OPERATION_MOUNT_OPTION, 6, ""}, {FP_OPERATION_MAKE_MOUNT, 2, ""}, {FP_OPERATION_MOVE_MOUNT, 4, ""},
		     {FP_OPERATION_SET_MOUNT, 0, ""}, {FP_OPERATION_PICK_MOUNT, 0, ""}, {FP_OPERATION_UMOUNT, MNT_DETACH, ""}};

	record(make_a_mount);
	assert_int_equal(count(FP_EVENT_TYPE_CONTROL) + count(FP_EVENT_TYPE_MOUNT), sizeof(asked) / sizeof(asked[0]));
	for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		const struct fp_event *event = nth_change(i);

		assert_int_equal(event->operation, asked[i].operation);
		assert_int_equal(event->flags, asked[i].flags);
		assert_text(event->attribute, asked[i].attribute);
	}
	assert_text(nth_change(7)->new_path, directory);
	for (unsigned i = 8; i < 11; i++)
		assert_text(nth_change(i)->path, directory);
}

/* Failed or not: none of these has an effect here. */
static int ask_the_kernel(void)
{
	struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof(event), .config = PERF_COUNT_SW_CPU_CLOCK};
	union bpf_attr nothing = {0};
	struct timex none = {0};
	int key;

	syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &nothing, sizeof(nothing));
	syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
	syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */);
	syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 0);
	key = (int)syscall(SYS_add_key, "user", "faasprov", "x", 1, KEY_SPEC_PROCESS_KEYRING);
	syscall(SYS_request_key, "user", "faasprov-none", NULL, 0);
	syscall(SYS_init_module, NULL, 0, "");
	syscall(SYS_finit_module, -1, "", 0);
	syscall(SYS_delete_module, "faasprov-none", 0);
	syscall(SYS_kexec_load, 0, 0, NULL, ~0ul);
	syscall(SYS_reboot, 0, 0, 0, NULL);
	syscall(SYS_swapon, "/nonexistent", 0);
	syscall(SYS_swapoff, "/nonexistent");
	syscall(SYS_sethostname, NULL, -1);
	syscall(SYS_syslog, 10, NULL, 0);
	syscall(SYS_settimeofday, (void *)-1, NULL);
	syscall(SYS_clock_settime, 99, NULL);
	syscall(SYS_adjtimex, &none);
	syscall(SYS_fanotify_init, ~0u, 0);
	syscall(SYS_personality, 0xffffffff);
	syscall(SYS_personality, ADDR_NO_RANDOMIZE);
	syscall(446 /* landlock_restrict_self */, -1, 0);
	return key == -2;
}

static void what_functions_have_no_use_for_is_told(void **state)
{
	static const struct {
		enum fp_operation operation;
		uint64_t flags;
	} asked[] = {{FP_OPERATION_BPF, BPF_PROG_GET_NEXT_ID}, {FP_OPERATION_PERF, 0}, {FP_OPERATION_USERFAULT, 1},
		     {FP_OPERATION_KEYS, KEYCTL_GET_KEYRING_ID}, {FP_OPERATION_KEYS, 256}, {FP_OPERATION_KEYS, 257},
		     {FP_OPERATION_MODULE, 0}, {FP_OPERATION_MODULE, 0}, {FP_OPERATION_MODULE, 0}, {FP_OPERATION_KEXEC, 0},
		     {FP_OPERATION_SYSTEM, SYS_reboot}, {FP_OPERATION_SYSTEM, SYS_swapon}, {FP_OPERATION_SYSTEM, SYS_swapoff},
		     {FP_OPERATION_SYSTEM, SYS_sethostname}, {FP_OPERATION_SYSTEM, SYS_syslog}, {FP_OPERATION_CLOCK, 0},
		     {FP_OPERATION_CLOCK, 0}, {FP_OPERATION_CLOCK, 0}, {FP_OPERATION_FANOTIFY, ~0u},
		     {FP_OPERATION_PERSONALITY, ADDR_NO_RANDOMIZE}, {FP_OPERATION_LANDLOCK, 0}};

	record(ask_the_kernel);
	assert_int_equal(count(FP_EVENT_TYPE_CONTROL) + count(FP_EVENT_TYPE_MOUNT), sizeof(asked) / sizeof(asked[0]));
	for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		const struct fp_event *event = nth_change(i);

		assert_int_equal(event->operation, asked[i].operation);
		assert_int_equal((uint32_t)event->flags, (uint32_t)asked[i].flags);
		assert_int_equal(event->tgid, child);
		assert_int_equal(event->euid, 0);
	}
	assert_true(nth_change(7)->result < 0);
}

/* More than there is room for: what stands behind it is not to be hidden in silence. */
static int run_with_long_arguments(void)
{
	static char many[2001];
	int status;
	pid_t pid;

	memset(many, 'A', sizeof(many) - 1);
	pid = fork();
	if (pid == 0) {
		execl("/bin/true", "true", many, "--hidden", NULL);
		_exit(1);
	}
	return waitpid(pid, &status, 0) != pid || status;
}

static void arguments_that_are_cut_are_counted(void **state)
{
	lost_by(FP_LOSS_TRUNCATED);
	record(run_with_long_arguments);
	assert_int_equal(nth(FP_EVENT_TYPE_EXEC, 0)->argv.len, FP_ARGV_MAX);
	assert_int_equal(lost_by(FP_LOSS_TRUNCATED), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_script_is_the_file_that_was_run),
		cmocka_unit_test(a_thread_that_executes_is_its_process),
		cmocka_unit_test(each_way_to_make_a_process_is_told),
		cmocka_unit_test(a_process_ends_once_however_many_threads_end_with_it),
		cmocka_unit_test(every_way_to_signal_is_told),
		cmocka_unit_test(the_mount_interface_is_told),
		cmocka_unit_test(what_functions_have_no_use_for_is_told),
		cmocka_unit_test(arguments_that_are_cut_are_counted),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

/*
 * A process that dies and dumps its memory: to a file, or through a pipe to a program that is not recorded, as the host
 * has it; the other case is skipped.  Each record against what the child knows it did.  Needs root and BPF.
 */
#include "agent/tests/recorded.h"

#include <signal.h>
#include <sys/resource.h>

#include "base/cleanup.h"

/* What the host says of dumps, on one line. */
static void setting(const char *name, char text[256])
{
	fp_cleanup(fp_fclosep) FILE *file = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
	file = fopen(path, "re");
	assert_non_null(file);
	if (!fgets(text, 256, file))
		text[0] = '\0';
	text[strcspn(text, "\n")] = '\0';
}

/* A child of the recorded process dies by a signal, where its memory may be written. */
static int dump(void)
{
	struct rlimit much = {RLIM_INFINITY, RLIM_INFINITY};
	int status;
	pid_t pid;

	if (setrlimit(RLIMIT_CORE, &much) || chdir(directory))
		return 1;
	pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		prctl(PR_SET_DUMPABLE, 1);
		kill(getpid(), SIGSEGV);
		_exit(0);
	}
	told[0] = (uint64_t)pid;
	if (waitpid(pid, &status, 0) != pid)
		return 2;
	told[1] = (uint64_t)status;
	return 0;
}

/* The n-th event of a type, of the process that died. */
static const struct fp_event *of_the_dead(enum fp_event_type type, unsigned n)
{
	for (size_t i = 0; i < n_events; i++)
		if (events[i].type == type && events[i].tgid == told[0] && n-- == 0)
			return &events[i];
	fail_msg("no such %s of %u", fp_event_info(type)->name, (unsigned)told[0]);
	return NULL;
}

static unsigned count_of_the_dead(enum fp_event_type type)
{
	unsigned n = 0;

	for (size_t i = 0; i < n_events; i++)
		n += events[i].type == type && events[i].tgid == told[0];
	return n;
}

static void assert_exit(unsigned files)
{
	const struct fp_event *end = of_the_dead(FP_EVENT_TYPE_EXIT, 0);

	assert_int_equal(end->result, told[1]);
	assert_true(WCOREDUMP((int)end->result));
	assert_int_equal(WTERMSIG((int)end->result), SIGSEGV);
	assert_int_equal(end->flags, FP_EXIT_PROCESS);
	assert_int_equal(count_of_the_dead(FP_EVENT_TYPE_EXIT), 1);
	assert_int_equal(count_of_the_dead(FP_EVENT_TYPE_WRITE), files);
	assert_int_equal(count_of_the_dead(FP_EVENT_TYPE_OPEN), files);
}

static void a_dump_is_a_file_that_was_written(void **state)
{
	const struct fp_event *opened, *written;
	char pattern[256], numbered[256], name[32] = "core";
	struct stat st;

	setting("core_pattern", pattern);
	setting("core_uses_pid", numbered);
	if (strcmp(pattern, "core") != 0)
		skip();
	share();
	/* an old one, which the kernel takes away first */
	close(open(in_directory("core"), O_CREAT | O_WRONLY, 0600));
	record(dump);
	if (numbered[0] != '0')
		snprintf(name, sizeof(name), "core.%u", (unsigned)told[0]);
	assert_int_equal(stat(in_directory(name), &st), 0);
	opened = of_the_dead(FP_EVENT_TYPE_OPEN, 0);
	assert_text(opened->path, in_directory(name));
	assert_int_equal(opened->ino, st.st_ino);
	assert_int_equal(opened->object, FP_OBJECT_FILE);
	assert_int_equal(opened->mode, st.st_mode & 07777);
	assert_int_equal(opened->flags, O_RDWR | O_CREAT | FP_OPEN_CREATED);
	assert_int_equal(opened->cgroup, cgroup.id);
	written = of_the_dead(FP_EVENT_TYPE_WRITE, 0);
	assert_int_equal(written->ino, st.st_ino);
	assert_int_equal(written->dev, opened->dev);
	assert_int_equal(written->object, FP_OBJECT_FILE);
	assert_int_equal(written->bytes, st.st_size);
	assert_true(st.st_size > 4096);
	assert_true(opened < written && written < of_the_dead(FP_EVENT_TYPE_EXIT, 0));
	assert_exit(1);
}

/* Through a pipe to a program of the host's: the status says that it dumped, and no file is made up. */
static void a_dump_through_a_pipe_is_in_the_status(void **state)
{
	char pattern[256];

	setting("core_pattern", pattern);
	if (pattern[0] != '|')
		skip();
	share();
	record(dump);
	assert_exit(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dump_is_a_file_that_was_written),
		cmocka_unit_test(a_dump_through_a_pipe_is_in_the_status),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

/*
 * fp-calls: makes one kind of system call over and over and says how long that
 * took.  benchmarks/capture runs it bare, beside a recorder and under one.
 * Calls are made in chunks and the one at the tenth percentile counts, because
 * what else goes on on the machine only ever adds time.  With a rate, chunks
 * begin when they are due.  With two cgroups, a process in each makes chunks by
 * turns, on one processor, and the median of what the first takes longer counts:
 * what lasts longer than a chunk meets both alike.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct kind {
	const char *name;
	int (*open)(void); /* a descriptor, or negative */
	long (*call)(int fd, unsigned long number);
};

static char buffer[64];

static int open_none(void) { return 0; }

/* A pipe that is both written and read would wait; /dev/zero and a deleted file never do. */
static int open_file(void)
{
	char path[] = "/tmp/fp-calls-XXXXXX";
	int fd = mkstemp(path);

	if (fd >= 0)
		unlink(path);
	return fd;
}

static long call_getppid(int fd, unsigned long number) { return syscall(SYS_getppid); }
static long call_write(int fd, unsigned long number) { return pwrite(fd, buffer, sizeof(buffer), 0); }
static long call_read(int fd, unsigned long number)
{
	return number ? pread(fd, buffer, sizeof(buffer), 0) : pwrite(fd, buffer, sizeof(buffer), 0);
}

static long call_open(int fd, unsigned long number)
{
	int r = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

	return r < 0 ? r : close(r);
}

static long call_fork(int fd, unsigned long number)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	return child < 0 ? child : waitpid(child, NULL, 0);
}

static const struct kind kinds[] = {
	{"getppid", open_none, call_getppid}, {"read", open_file, call_read},   {"write", open_file, call_write},
	{"open", open_none, call_open},       {"fork", open_none, call_fork},
};

static unsigned long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (unsigned long long)time.tv_sec * 1000000000 + (unsigned long long)time.tv_nsec;
}

#define CHUNKS_MAX 4096

static int compare(const void *a, const void *b)
{
	unsigned long long x = *(const unsigned long long *)a, y = *(const unsigned long long *)b;

	return (x > y) - (x < y);
}

static void wait_until(unsigned long long due)
{
	struct timespec time = {.tv_sec = (time_t)(due / 1000000000), .tv_nsec = (long)(due % 1000000000)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
		;
}

/* Makes one chunk of calls; returns how long they took in ns, or 0 after an error. */
static unsigned long long chunk(const struct kind *kind, int fd, unsigned long first, unsigned long count)
{
	unsigned long long begin = now();

	for (unsigned long i = first; i < first + count; i++)
		if (kind->call(fd, i) < 0) {
			fprintf(stderr, "fp-calls: %s: %s\n", kind->name, strerror(errno));
			return 0;
		}
	return now() - begin;
}

static int run(const struct kind *kind, unsigned long chunks, unsigned long size, unsigned long rate)
{
	static unsigned long long took[CHUNKS_MAX];
	int fd = kind->open();
	unsigned long long begin = now();

	if (fd < 0) {
		fprintf(stderr, "fp-calls: %s: %s\n", kind->name, strerror(errno));
		return 4;
	}
	for (unsigned long i = 0; i < chunks; i++) {
		if (rate)
			wait_until(begin + i * size * 1000000000ull / rate);
		took[i] = chunk(kind, fd, i * size, size);
		if (!took[i])
			return 4;
	}
	begin = now() - begin;
	qsort(took, chunks, sizeof(took[0]), compare);
	printf("{\"kind\": \"%s\", \"count\": %lu, \"seconds\": %.6f, \"ns\": %.1f}\n", kind->name, chunks * size,
	       (double)begin / 1e9, (double)took[chunks / 10] / (double)size);
	return 0;
}

/* --- two by turns --------------------------------------------------------------- */

struct turns {
	double took[2][CHUNKS_MAX]; /* ns a call */
};

static int join(const char *processes)
{
	int fd = open(processes, O_WRONLY | O_CLOEXEC), ok = fd >= 0 && write(fd, "0", 1) == 1;

	if (!ok)
		fprintf(stderr, "fp-calls: %s: %s\n", processes, strerror(errno));
	close(fd);
	return ok ? 0 : -1;
}

/* The first begins; each is told by the other that it is its turn. */
static int take_turns(const struct kind *kind, unsigned long chunks, unsigned long size, struct turns *turns, int me, int in, int out)
{
	int fd = kind->open();
	char turn = 0;

	for (unsigned long i = 0; fd >= 0 && i < chunks; i++) {
		unsigned long long took;

		if ((me || i) && read(in, &turn, 1) != 1)
			return 4;
		took = chunk(kind, fd, i * size, size);
		if (!took || (write(out, &turn, 1) != 1 && errno != EPIPE))
			return 4;
		turns->took[me][i] = (double)took / (double)size;
	}
	return fd >= 0 ? 0 : 4;
}

static int compare_numbers(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int run_pair(const struct kind *kind, unsigned long chunks, unsigned long size, char **groups)
{
	struct turns *turns = mmap(NULL, sizeof(*turns), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static double longer[CHUNKS_MAX];
	int to_second[2], to_first[2], status;
	cpu_set_t here;
	pid_t second;

	CPU_ZERO(&here);
	CPU_SET(0, &here);
	if (turns == MAP_FAILED || pipe(to_second) || pipe(to_first) || sched_setaffinity(0, sizeof(here), &here))
		return 4;
	second = fork();
	if (second == 0)
		_exit(join(groups[1]) ? 4 : take_turns(kind, chunks, size, turns, 1, to_second[0], to_first[1]));
	if (second < 0 || join(groups[0]) || take_turns(kind, chunks, size, turns, 0, to_first[0], to_second[1]) ||
	    waitpid(second, &status, 0) != second || status)
		return 4;
	for (unsigned long i = 0; i < chunks; i++)
		longer[i] = turns->took[0][i] - turns->took[1][i];
	qsort(longer, chunks, sizeof(longer[0]), compare_numbers);
	qsort(turns->took[1], chunks, sizeof(double), compare_numbers);
	printf("{\"kind\": \"%s\", \"count\": %lu, \"ns\": %.1f, \"longer\": %.1f}\n", kind->name, chunks * size,
	       turns->took[1][chunks / 2], longer[chunks / 2]);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long chunks = argc > 3 ? strtoul(argv[2], NULL, 10) : 0, size = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
	unsigned long rate = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;

	for (size_t i = 0; chunks && chunks <= CHUNKS_MAX && size && argc < 7 && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, argv[1]) == 0)
			return argc == 6 ? run_pair(&kinds[i], chunks, size, argv + 4) : run(&kinds[i], chunks, size, rate);
	fputs("Usage: fp-calls getppid|read|write|open|fork CHUNKS CALLS-PER-CHUNK [CALLS-PER-SECOND | CGROUP.PROCS CGROUP.PROCS]\n", stderr);
	return 2;
}

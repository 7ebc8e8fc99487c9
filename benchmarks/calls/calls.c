/*
 * fp-calls: makes one kind of system call over and over and says how long that
 * took.  benchmarks/capture runs it bare, beside a recorder and under one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static int run(const struct kind *kind, unsigned long count)
{
	unsigned long long begin, end;
	int fd = kind->open();

	if (fd < 0) {
		fprintf(stderr, "fp-calls: %s: %s\n", kind->name, strerror(errno));
		return 4;
	}
	begin = now();
	for (unsigned long i = 0; i < count; i++)
		if (kind->call(fd, i) < 0) {
			fprintf(stderr, "fp-calls: %s: %s\n", kind->name, strerror(errno));
			return 4;
		}
	end = now();
	printf("{\"kind\": \"%s\", \"count\": %lu, \"ns\": %llu}\n", kind->name, count, end - begin);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

	for (size_t i = 0; count && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, argv[1]) == 0)
			return run(&kinds[i], count);
	fputs("Usage: fp-calls getppid|read|write|open|fork COUNT\n", stderr);
	return 2;
}

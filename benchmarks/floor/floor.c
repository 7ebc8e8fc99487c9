/*
 * fp-floor CGROUP CALL…: records those system calls of the cgroup's processes, and of those below it, as floor.bpf.c
 * says, reads the records ten times a second and throws them away.  Says `ready`, and at SIGTERM how many there were.
 * What a recorder by BPF takes at least; benchmarks/capture measures it beside the agent.
 */
#include <bpf/libbpf.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "benchmarks/floor/floor.h"
#include "floor.skel.h"

#define READ_INTERVAL_US 100000

static const struct {
	const char *name;
	int number;
} calls[] = {
	{"read", SYS_read},	  {"pread64", SYS_pread64}, {"readv", SYS_readv},	{"write", SYS_write},	  {"pwrite64", SYS_pwrite64},
	{"writev", SYS_writev},	  {"openat", SYS_openat},   {"close", SYS_close},	{"socket", SYS_socket},	  {"connect", SYS_connect},
	{"accept4", SYS_accept4}, {"sendto", SYS_sendto},   {"recvfrom", SYS_recvfrom}, {"sendmsg", SYS_sendmsg}, {"recvmsg", SYS_recvmsg},
	{"clone", SYS_clone},	  {"execve", SYS_execve},   {"mmap", SYS_mmap},		{"prctl", SYS_prctl},	  {"shutdown", SYS_shutdown},
};

static volatile sig_atomic_t ended;

static void end(int number)
{
	ended = 1;
}

static int count(void *records, void *data, size_t len)
{
	++*(unsigned long long *)records;
	return 0;
}

static bool ask_for(struct floor_bpf *floor, const char *name)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (strcmp(calls[i].name, name) == 0)
			return floor->rodata->asked_for[calls[i].number] = true;
	return false;
}

/* How deep it is below the hierarchy's mount: its parents are on the same file system. */
static int level_of(const char *path, dev_t dev)
{
	char above[4096];
	struct stat st;
	int level = -1;

	snprintf(above, sizeof(above), "%s", path);
	for (; stat(above, &st) == 0 && st.st_dev == dev && strlen(above) + 4 < sizeof(above); level++)
		strcat(above, "/..");
	return level;
}

static bool load(struct floor_bpf *floor, const char *path, char **names)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	floor->rodata->cgroup = st.st_ino;
	floor->rodata->level = level_of(path, st.st_dev);
	for (; *names; names++)
		if (!ask_for(floor, *names))
			return false;
	return floor_bpf__load(floor) == 0 && floor_bpf__attach(floor) == 0;
}

int main(int argc, char **argv)
{
	struct floor_bpf *floor = argc > 2 ? floor_bpf__open() : NULL;
	unsigned long long records = 0;
	struct ring_buffer *ring;

	if (!floor || !load(floor, argv[1], argv + 2)) {
		fprintf(stderr, "fp-floor: cannot record: it takes a cgroup's directory and names of calls, and root\n");
		return 4;
	}
	ring = ring_buffer__new(bpf_map__fd(floor->maps.ring), count, &records, NULL);
	if (!ring)
		return 4;
	signal(SIGTERM, end);
	printf("ready\n");
	fflush(stdout);
	while (!ended) {
		usleep(READ_INTERVAL_US);
		ring_buffer__consume(ring);
	}
	ring_buffer__consume(ring);
	printf("{\"records\": %llu, \"lost\": %llu}\n", records, (unsigned long long)floor->bss->lost);
	ring_buffer__free(ring);
	floor_bpf__destroy(floor);
	return 0;
}

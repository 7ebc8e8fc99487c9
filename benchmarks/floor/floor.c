/*
 * fp-floor CGROUP: records calls of the cgroup's processes, and of those below it, as floor.bpf.c says, reads the
 * records ten times a second and throws them away.  Says `ready`, and at SIGTERM how many there were.
 * What a recorder by BPF takes at least; the benchmarks measure it beside the agent.
 */
#include <bpf/libbpf.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "benchmarks/floor/floor.h"
#include "floor.skel.h"

static const struct timespec read_interval = {.tv_nsec = 100000000};

/* What the agent makes records of in a purchase, but for what it puts together itself. */
static const int calls[] = {SYS_read,	 SYS_pread64,  SYS_readv,   SYS_write,	 SYS_pwrite64, SYS_writev, SYS_openat, SYS_socket, SYS_connect,
			    SYS_accept4, SYS_sendto, SYS_recvfrom, SYS_sendmsg, SYS_recvmsg, SYS_clone,  SYS_execve, SYS_mmap,  SYS_prctl,  SYS_shutdown};

static int count(void *records, void *data, size_t len)
{
	++*(unsigned long long *)records;
	return 0;
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

static bool load(struct floor_bpf *floor, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return false;
	floor->rodata->cgroup = st.st_ino;
	floor->rodata->level = level_of(path, st.st_dev);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		floor->rodata->asked_for[calls[i]] = true;
	return floor_bpf__load(floor) == 0 && floor_bpf__attach(floor) == 0;
}

int main(int argc, char **argv)
{
	struct floor_bpf *floor = argc == 2 ? floor_bpf__open() : NULL;
	unsigned long long records = 0;
	struct ring_buffer *ring;
	sigset_t end;

	sigemptyset(&end);
	sigaddset(&end, SIGTERM);
	sigprocmask(SIG_BLOCK, &end, NULL);
	if (!floor || !load(floor, argv[1])) {
		fprintf(stderr, "fp-floor: cannot record: it takes a cgroup's directory, and root\n");
		return 4;
	}
	ring = ring_buffer__new(bpf_map__fd(floor->maps.ring), count, &records, NULL);
	if (!ring)
		return 4;
	printf("ready\n");
	fflush(stdout);
	while (sigtimedwait(&end, NULL, &read_interval) < 0)
		ring_buffer__consume(ring);
	ring_buffer__consume(ring);
	printf("{\"records\": %llu, \"lost\": %llu}\n", records, (unsigned long long)floor->bss->lost);
	ring_buffer__free(ring);
	floor_bpf__destroy(floor);
	return 0;
}

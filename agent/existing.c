#include "agent/existing.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/bpf/shared.h"
#include "base/text.h"
#include "existing.skel.h"

/* The kernel gives at most eight pages a read; a record can begin in one and end in the next. */
#define PIECE_MAX (64u << 10)
enum { WALKS = 2 };

struct fp_existing {
	struct existing_bpf *skeleton;
	int walks[WALKS]; /* iterators, read one after the other; -1: none, or at its end */
	size_t len;
	char piece[PIECE_MAX];
};

static uint64_t boottime(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * FP_NS_PER_SEC + (uint64_t)now.tv_nsec;
}

static int load(struct existing_bpf *skeleton, const struct fp_existing_options *options)
{
	struct bpf_map *map;

	/* what the records of the ring are made with comes with the headers and is not used */
	bpf_object__for_each_map(map, skeleton->obj)
		bpf_map__set_autocreate(map, bpf_map__is_internal(map) || map == skeleton->maps.process_room ||
						     map == skeleton->maps.descriptor_room ||
						     map == skeleton->maps.socket_room);
	skeleton->rodata->root_cgroup = options->root_cgroup;
	skeleton->rodata->root_level = options->root_level;
	skeleton->rodata->container_level = options->container_level;
	skeleton->rodata->pid_level = fp_capture_pid_level();
	skeleton->rodata->recorded_since = options->before_exec ? UINT64_MAX : boottime();
	skeleton->rodata->without_cloexec = options->before_exec;
	return existing_bpf__load(skeleton);
}

/* The walk goes on when its program's link is closed. */
static int begin_walk(struct bpf_program *program, int *ret_fd)
{
	struct bpf_link *link = bpf_program__attach_iter(program, NULL);
	int fd;

	if (!link)
		return -errno;
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		fd = -errno;
	bpf_link__destroy(link);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

int fp_existing_open(const struct fp_existing_options *options, struct fp_existing **ret_existing, char ret_error[256])
{
	struct fp_existing *existing = calloc(1, sizeof(*existing));
	int r = -ENOMEM;

	if (existing) {
		for (int i = 0; i < WALKS; i++)
			existing->walks[i] = -1;
		existing->skeleton = existing_bpf__open();
		r = existing->skeleton ? load(existing->skeleton, options) : -errno;
	}
	if (r == 0 && !options->before_exec)
		r = begin_walk(existing->skeleton->progs.each_process, &existing->walks[0]);
	if (r == 0)
		r = begin_walk(existing->skeleton->progs.each_descriptor, &existing->walks[1]);
	if (r < 0) {
		snprintf(ret_error, 256, "cannot walk what is there already: %s", strerror(-r));
		fp_existing_free(existing);
		return r;
	}
	*ret_existing = existing;
	return 0;
}

/* Whole records are handed over, what is left moves to the front; their number. */
static int hand_over(struct fp_existing *existing, fp_capture_record_fn fn, void *arg)
{
	struct fp_record_head head;
	size_t at = 0;
	int n = 0, r;

	while (existing->len - at >= sizeof(head)) {
		memcpy(&head, existing->piece + at, sizeof(head));
		if (head.size < sizeof(head) || head.size > PIECE_MAX / 2)
			return -EBADMSG;
		if (existing->len - at < head.size)
			break;
		r = fn(arg, existing->piece + at, head.size);
		if (r < 0)
			return r;
		at += head.size;
		n++;
	}
	existing->len -= at;
	memmove(existing->piece, existing->piece + at, existing->len);
	return n;
}

int fp_existing_read(struct fp_existing *existing, fp_capture_record_fn fn, void *arg)
{
	for (int i = 0; i < WALKS; i++) {
		while (existing->walks[i] >= 0) {
			ssize_t got = read(existing->walks[i], existing->piece + existing->len, PIECE_MAX - existing->len);
			int n;

			/* it has looked at many tasks without one to tell of, and goes on when asked again */
			if (got < 0 && (errno == EAGAIN || errno == EINTR))
				continue;
			if (got < 0)
				return -errno;
			if (got == 0) {
				close(existing->walks[i]);
				existing->walks[i] = -1;
				if (existing->len)
					return -EBADMSG;
				break;
			}
			existing->len += (size_t)got;
			n = hand_over(existing, fn, arg);
			if (n != 0)
				return n;
		}
	}
	return 0;
}

struct fp_existing *fp_existing_free(struct fp_existing *existing)
{
	if (!existing)
		return NULL;
	for (int i = 0; i < WALKS; i++)
		if (existing->walks[i] >= 0)
			close(existing->walks[i]);
	existing_bpf__destroy(existing->skeleton);
	free(existing);
	return NULL;
}

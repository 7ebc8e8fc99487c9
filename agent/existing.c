#include "agent/existing.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/bpf/shared.h"
#include "agent/host.h"
#include "base/cleanup.h"
#include "existing.skel.h"

/* The kernel gives at most eight pages a read; a record can begin in one and end in the next. */
#define PIECE_MAX (64u << 10)
enum { WALKS = 3 };

struct fp_existing {
	int programs[WALKS]; /* who a process is; what it has mapped; what it holds */
	int wanted; /* the map of what the programs are to tell of */
	uint64_t memory;
	int walks[WALKS]; /* iterators, read one after the other; -1: none, or at its end */
	size_t len;
	char *piece; /* while there is a walk */
};

static int load(struct existing_bpf *skeleton, const struct fp_existing_options *options)
{
	struct bpf_map *map;

	/* what the records of the ring are made with comes with the headers and is not used */
	bpf_object__for_each_map(map, skeleton->obj)
		bpf_map__set_autocreate(map, bpf_map__is_internal(map) || map == skeleton->maps.wanted ||
						     map == skeleton->maps.process_room ||
						     map == skeleton->maps.descriptor_room || map == skeleton->maps.mapping_room ||
						     map == skeleton->maps.socket_room);
	skeleton->rodata->root_cgroup = options->root_cgroup;
	skeleton->rodata->root_level = options->root_level;
	skeleton->rodata->container_level = options->container_level;
	skeleton->rodata->pid_level = fp_capture_pid_level();
	return existing_bpf__load(skeleton);
}

static void close_fd(int *fd)
{
	fp_closep(fd);
	*fd = -1;
}

static int duplicate(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return copy < 0 ? -errno : copy;
}

/* The descriptors are all that is needed later: what libbpf remembers of the object is much more. */
static int keep(struct fp_existing *existing, struct existing_bpf *skeleton)
{
	struct bpf_program *program;
	struct bpf_map *map;

	bpf_object__for_each_map(map, skeleton->obj)
		existing->memory += fp_capture_charged_for(bpf_map__fd(map));
	bpf_object__for_each_program(program, skeleton->obj)
		existing->memory += fp_capture_charged_for(bpf_program__fd(program));
	existing->programs[0] = duplicate(bpf_program__fd(skeleton->progs.each_process));
	existing->programs[1] = duplicate(bpf_program__fd(skeleton->progs.each_mapping));
	existing->programs[2] = duplicate(bpf_program__fd(skeleton->progs.each_descriptor));
	existing->wanted = duplicate(bpf_map__fd(skeleton->maps.wanted));
	for (int i = 0; i < WALKS; i++)
		if (existing->programs[i] < 0)
			return existing->programs[i];
	return existing->wanted < 0 ? existing->wanted : 0;
}

int fp_existing_open(const struct fp_existing_options *options, struct fp_existing **ret_existing, char ret_error[256])
{
	struct fp_existing *existing = calloc(1, sizeof(*existing));
	struct existing_bpf *skeleton = existing ? existing_bpf__open() : NULL;
	int r = skeleton ? load(skeleton, options) : existing ? -errno : -ENOMEM;

	if (existing) {
		existing->wanted = -1;
		for (int i = 0; i < WALKS; i++)
			existing->walks[i] = existing->programs[i] = -1;
	}
	if (r == 0)
		r = keep(existing, skeleton);
	existing_bpf__destroy(skeleton);
	if (r < 0) {
		snprintf(ret_error, 256, "cannot walk what is there already: %s", strerror(-r));
		fp_existing_free(existing);
		return r;
	}
	*ret_existing = existing;
	return 0;
}

uint64_t fp_existing_memory(const struct fp_existing *existing)
{
	return existing ? existing->memory : 0;
}

/* The walk goes on when its link is closed.  Before 6.1 no single process can be asked for: then all are looked at. */
static int begin_walk(int program, uint64_t tgid)
{
	union bpf_iter_link_info info = {.task.pid = (uint32_t)tgid};
	LIBBPF_OPTS(bpf_link_create_opts, options, .iter_info = tgid ? &info : NULL, .iter_info_len = tgid ? sizeof(info) : 0);
	int link = bpf_link_create(program, 0, BPF_TRACE_ITER, &options), walk;

	if (link < 0 && tgid && (errno == E2BIG || errno == EINVAL))
		link = bpf_link_create(program, 0, BPF_TRACE_ITER, NULL);
	if (link < 0)
		return -errno;
	walk = bpf_iter_create(link);
	if (walk < 0)
		walk = -errno;
	close(link);
	return walk;
}

static void end_walks(struct fp_existing *existing)
{
	for (int i = 0; i < WALKS; i++)
		close_fd(&existing->walks[i]);
	existing->len = 0;
	free(existing->piece);
	existing->piece = NULL;
}

static int begin(struct fp_existing *existing, const struct fp_existing_wanted *wanted, int first)
{
	uint32_t zero = 0;
	int r = 0;

	end_walks(existing);
	existing->piece = malloc(PIECE_MAX);
	if (!existing->piece)
		return -ENOMEM;
	if (bpf_map_update_elem(existing->wanted, &zero, wanted, BPF_ANY) < 0)
		r = -errno;
	for (int i = first; r >= 0 && i < WALKS; i++)
		r = existing->walks[i] = begin_walk(existing->programs[i], wanted->tgid);
	if (r < 0)
		end_walks(existing);
	return r < 0 ? r : 0;
}

int fp_existing_begin(struct fp_existing *existing)
{
	struct fp_existing_wanted wanted = {.since = fp_host_boottime()};

	return begin(existing, &wanted, 0);
}

int fp_existing_begin_inherited(struct fp_existing *existing)
{
	struct fp_existing_wanted wanted = {.since = UINT64_MAX, .without_cloexec = 1};

	/* nor is there anything mapped that its exec leaves */
	return begin(existing, &wanted, WALKS - 1);
}

int fp_existing_begin_process(struct fp_existing *existing, uint64_t tgid, uint64_t start, uint64_t exec_id)
{
	struct fp_existing_wanted wanted = {.tgid = tgid, .start = start, .exec_id = exec_id};

	return begin(existing, &wanted, 0);
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
				close_fd(&existing->walks[i]);
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
	end_walks(existing);
	return 0;
}

struct fp_existing *fp_existing_free(struct fp_existing *existing)
{
	if (!existing)
		return NULL;
	end_walks(existing);
	for (int i = 0; i < WALKS; i++)
		close_fd(&existing->programs[i]);
	close_fd(&existing->wanted);
	free(existing);
	return NULL;
}

#include "agent/capture_look.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/capture_state.h"

static struct fp_look_container *container_of(struct fp_look *look, uint64_t cgroup)
{
	struct fp_look_container *container;

	HASH_FIND(hh, look->containers, &cgroup, sizeof(cgroup), container);
	if (container)
		return container;
	if (HASH_COUNT(look->containers) >= FP_LOOK_CONTAINERS_MAX && cgroup != FP_LOOK_OTHERS)
		return container_of(look, FP_LOOK_OTHERS);
	container = calloc(1, sizeof(*container));
	if (!container)
		return NULL;
	container->cgroup = cgroup;
	HASH_ADD(hh, look->containers, cgroup, sizeof(container->cgroup), container);
	return container;
}

static int count_unread(void *arg, const void *data, size_t len, size_t room)
{
	struct fp_look_container *container;
	struct fp_look *look = arg;
	struct fp_record_head head;

	/* the length is not ours to believe when another agent takes over while we look */
	if (len < sizeof(head) || room > look->ring_size)
		return -EBADMSG;
	memcpy(&head, data, sizeof(head));
	container = container_of(look, head.cgroup);
	if (!container)
		return -ENOMEM;
	container->unread++;
	look->unread++;
	look->unread_bytes += room;
	if (!look->oldest)
		look->oldest = head.time;
	return 0;
}

static int look_at_losses(int map, struct fp_look *look)
{
	struct fp_loss_key key, *previous = NULL;

	for (unsigned n = 0; n < FP_LOSSES_MAX && bpf_map_get_next_key(map, previous, &key) == 0; n++) {
		struct fp_look_container *container = container_of(look, key.cgroup);
		uint64_t lost;

		previous = &key;
		if (!container)
			return -ENOMEM;
		if (key.cause < FP_LOOK_CAUSES && bpf_map_lookup_elem(map, &key, &lost) == 0)
			container->lost[key.cause] += lost;
	}
	return 0;
}

static int sum_numbers(int map, uint64_t *ret_sum)
{
	int n = libbpf_num_possible_cpus(), r = 0;
	uint64_t *numbers = n > 0 ? calloc((size_t)n, sizeof(*numbers)) : NULL;
	uint32_t zero = 0;

	if (!numbers)
		return n < 0 ? n : -ENOMEM;
	if (bpf_map_lookup_elem(map, &zero, numbers) < 0)
		r = -errno;
	*ret_sum = 0;
	for (int i = 0; i < n; i++)
		*ret_sum += numbers[i];
	free(numbers);
	return r;
}

/* `ring` is a copy: only its position moves. */
static int look_at(const int maps[FP_CAPTURE_N_MAPS], struct fp_ring ring, struct fp_look *look)
{
	int r = sum_numbers(maps[FP_CAPTURE_MAP_sequence], &look->numbered);

	look->ring_size = ring.size;
	look->waiting = fp_ring_waiting(&ring);
	look->usage = calloc(FP_USAGE_SLOTS, sizeof(*look->usage));
	if (!look->usage)
		return -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < FP_USAGE_SLOTS; i++)
		r = bpf_map_lookup_elem(maps[FP_CAPTURE_MAP_usage], &i, &look->usage[i]) < 0 ? -errno : 0;
	if (r == 0)
		r = look_at_losses(maps[FP_CAPTURE_MAP_losses], look);
	if (r == 0) {
		r = fp_ring_read(&ring, count_unread, look);
		r = r > 0 ? 0 : r;
	}
	return r;
}

int fp_capture_look(const struct fp_capture *capture, struct fp_look *ret_look)
{
	memset(ret_look, 0, sizeof(*ret_look));
	ret_look->root_cgroup = capture->about.root_cgroup;
	ret_look->hooks = capture->about.hooks;
	ret_look->highest = capture->highest;
	return look_at(capture->maps, capture->ring, ret_look);
}

/* What was known when the ring was dealt with up to where it is released now. */
static int look_at_journal(int map, uint64_t position, struct fp_look *look)
{
	struct fp_journal_slot *slot = malloc(sizeof(*slot));
	int r = slot ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && i < FP_JOURNAL_SLOTS && !look->known; i++) {
		if (bpf_map_lookup_elem(map, &i, slot) < 0 || !slot->valid || slot->position != position ||
		    slot->len > FP_JOURNAL_ROOM)
			continue;
		look->known = malloc(slot->len + 1);
		if (!look->known)
			r = -ENOMEM;
		else
			memcpy(look->known, slot->data, slot->len);
		look->known_len = slot->len;
	}
	free(slot);
	return r;
}

static int look_at_maps(const int maps[FP_CAPTURE_N_MAPS], struct fp_look *look)
{
	struct fp_about about = {0};
	struct fp_ring ring;
	uint32_t zero = 0;
	int r;

	if (bpf_map_lookup_elem(maps[FP_CAPTURE_MAP_about], &zero, &about) < 0)
		return -errno;
	if (!fp_capture_is_same_build(&about))
		return -ESTALE;
	look->root_cgroup = about.root_cgroup;
	look->hooks = about.hooks;
	r = fp_ring_open(&ring, maps[FP_CAPTURE_MAP_ring], (uint32_t)about.ring_size);
	if (r < 0)
		return r;
	r = look_at_journal(maps[FP_CAPTURE_MAP_journal], ring.position, look);
	if (r == 0)
		r = look_at(maps, ring, look);
	fp_ring_close(&ring);
	return r;
}

int fp_capture_look_pinned(const struct fp_pins *pins, struct fp_look *ret_look)
{
	static const char *const names[] = {
#define NAME(name) #name,
		FP_CAPTURE_MAPS(NAME)
#undef NAME
	};
	int maps[FP_CAPTURE_N_MAPS], n = 0, r = 0;

	memset(ret_look, 0, sizeof(*ret_look));
	while (n < FP_CAPTURE_N_MAPS && r == 0) {
		maps[n] = fp_pins_get(pins, names[n]);
		if (maps[n] < 0)
			r = maps[n] == -ENOENT ? -ESTALE : maps[n];
		else
			n++;
	}
	if (r == 0)
		r = look_at_maps(maps, ret_look);
	while (n > 0)
		close(maps[--n]);
	return r;
}

void fp_look_done(struct fp_look *look)
{
	struct fp_look_container *container, *next;

	HASH_ITER(hh, look->containers, container, next) {
		HASH_DEL(look->containers, container);
		free(container);
	}
	free(look->usage);
	free(look->known);
	memset(look, 0, sizeof(*look));
}

uint64_t fp_look_held(const struct fp_look *look, uint64_t cgroup, bool *ret_throttled)
{
	const struct fp_usage *usage = &look->usage[cgroup % FP_USAGE_SLOTS];

	*ret_throttled = usage->throttled != 0;
	return usage->written > usage->read ? usage->written - usage->read : 0;
}

/* What comes out of the kernel side: records and counts of losses. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "agent/capture_state.h"
#include "base/buffer.h"
#include "faasprov.skel.h"

/* Who does not hold records gives their room back in steps of this part of the ring. */
#define RELEASE_STEPS 16

int fp_capture_fd(const struct fp_capture *capture)
{
	return capture->epoll;
}

int fp_capture_alarm(const struct fp_capture *capture)
{
	return capture->alarm;
}

void fp_capture_give_back(struct fp_capture *capture)
{
	uint64_t waiting = fp_ring_waiting(&capture->ring);

	/* it only grows until here */
	if (waiting > capture->highest)
		capture->highest = waiting;
	/* the ring first: what a container has seems more for a moment, never less */
	fp_ring_release(&capture->ring);
	for (size_t i = 0; i < FP_USAGE_SLOTS; i++)
		if (capture->read[i] != capture->usage[i].read)
			__atomic_store_n(&capture->usage[i].read, capture->read[i], __ATOMIC_RELEASE);
}

static int hand_over(void *ctx, const void *data, size_t len, size_t room)
{
	struct fp_capture *capture = ctx;
	int r = capture->fn(capture->arg, data, len);
	struct fp_record_head head;

	if (r >= 0 && len >= sizeof(head)) {
		memcpy(&head, data, sizeof(head));
		capture->read[head.cgroup % FP_USAGE_SLOTS] += room;
	}
	if (r >= 0 && !capture->hold && fp_ring_held(&capture->ring) > capture->ring.size / RELEASE_STEPS)
		fp_capture_give_back(capture);
	return r;
}

int fp_capture_drain(struct fp_capture *capture, fp_capture_record_fn fn, void *arg)
{
	struct epoll_event event;
	int r;

	/* what is held stays readable: the descriptor tells of what is new alone, and is told here that we know */
	epoll_wait(capture->epoll, &event, 1, 0);
	capture->fn = fn;
	capture->arg = arg;
	r = fp_ring_read(&capture->ring, hand_over, capture);
	if (!capture->hold)
		fp_capture_give_back(capture);
	return r;
}

void fp_capture_release(struct fp_capture *capture)
{
	fp_capture_give_back(capture);
	/* what was noted holds now: it is not to be written over before the next one holds, too */
	capture->slot = (capture->slot + 1) % FP_JOURNAL_SLOTS;
}

uint64_t fp_capture_held(const struct fp_capture *capture)
{
	return fp_ring_held(&capture->ring);
}

uint64_t fp_capture_waiting(const struct fp_capture *capture)
{
	return fp_ring_waiting(&capture->ring);
}

/* --- losses ------------------------------------------------------------------------ */

struct known_loss *fp_capture_known_loss(struct fp_capture *capture, const struct fp_loss_key *key)
{
	struct known_loss *known;

	for (size_t i = 0; i < capture->n_known; i++)
		if (capture->known[i].key.cgroup == key->cgroup && capture->known[i].key.cause == key->cause)
			return &capture->known[i];
	known = realloc(capture->known, (capture->n_known + 1) * sizeof(*known));
	if (!known)
		return NULL;
	capture->known = known;
	known += capture->n_known++;
	*known = (struct known_loss){.key = *key};
	return known;
}

int fp_capture_take_losses(struct fp_capture *capture, fp_capture_loss_fn fn, void *arg)
{
	int map = capture->maps[FP_CAPTURE_MAP_losses];
	uint64_t counted = __atomic_load_n(&capture->bss->losses_counted, __ATOMIC_ACQUIRE);
	struct fp_loss_key key, *previous = NULL;

	if (counted == capture->losses_taken)
		return 0;
	while (bpf_map_get_next_key(map, previous, &key) == 0) {
		struct known_loss *known = fp_capture_known_loss(capture, &key);
		uint64_t lost;

		previous = &key;
		if (!known)
			return -ENOMEM;
		if (bpf_map_lookup_elem(map, &key, &lost) < 0 || lost == known->taken)
			continue;
		fn(arg, key.cgroup, key.cause, lost - known->taken);
		known->taken = lost;
	}
	capture->losses_taken = counted;
	return 0;
}

void fp_capture_save(const struct fp_capture *capture, struct fp_buffer *out)
{
	fp_buffer_add_varint(out, capture->n_known);
	for (size_t i = 0; i < capture->n_known; i++) {
		fp_buffer_add_varint(out, capture->known[i].key.cgroup);
		fp_buffer_add_varint(out, capture->known[i].key.cause);
		fp_buffer_add_varint(out, capture->known[i].taken);
	}
	for (size_t i = 0; i < FP_USAGE_SLOTS; i++) {
		if (capture->read[i] == 0)
			continue;
		fp_buffer_add_varint(out, i + 1);
		fp_buffer_add_varint(out, capture->read[i]);
	}
	fp_buffer_add_varint(out, 0);
}

int fp_capture_restore(struct fp_capture *capture, const uint8_t *data, size_t len, size_t *pos)
{
	uint64_t n, cgroup, cause, taken;

	if (fp_varint_read(data, len, pos, &n) < 0)
		return -EBADMSG;
	while (n--) {
		struct fp_loss_key key = {0};
		struct known_loss *known;

		if (fp_varint_read(data, len, pos, &cgroup) < 0 || fp_varint_read(data, len, pos, &cause) < 0 ||
		    fp_varint_read(data, len, pos, &taken) < 0 || cause > UINT32_MAX)
			return -EBADMSG;
		key.cgroup = cgroup;
		key.cause = (uint32_t)cause;
		known = fp_capture_known_loss(capture, &key);
		if (!known)
			return -ENOMEM;
		known->taken = taken;
	}
	for (;;) {
		uint64_t slot;

		if (fp_varint_read(data, len, pos, &slot) < 0 || slot > FP_USAGE_SLOTS)
			return -EBADMSG;
		if (slot == 0)
			break;
		if (fp_varint_read(data, len, pos, &capture->read[slot - 1]) < 0)
			return -EBADMSG;
	}
	/* the last agent may have died between the two that give back */
	fp_capture_give_back(capture);
	return 0;
}

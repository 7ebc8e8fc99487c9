/*
 * What outlives an agent.  The ring's own consumer position moves only when what was
 * made of the records is kept.  Between the two the agent can die; so before a batch
 * is put, a slot of the journal says: once batch N of chain A is kept, the ring has
 * been dealt with up to P, and this is what was known then.  The next agent takes
 * the furthest slot whose batch is really there.  One call of bpf(2) writes a slot,
 * and no signal falls between its bytes.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/capture_state.h"

static int read_slots(struct fp_capture *capture)
{
	if (!capture->slots)
		capture->slots = calloc(FP_JOURNAL_SLOTS + 1, sizeof(*capture->slots));
	if (!capture->slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < FP_JOURNAL_SLOTS; i++)
		if (bpf_map_lookup_elem(capture->maps[FP_CAPTURE_MAP_journal], &i, &capture->slots[i]) < 0)
			return -errno;
	return 0;
}

static bool holds(const struct fp_journal_slot *slot, const uint8_t agent[16], uint64_t kept)
{
	if (!slot->valid || slot->len > FP_JOURNAL_ROOM)
		return false;
	return slot->number == 0 || (memcmp(slot->agent, agent, 16) == 0 && slot->number <= kept);
}

bool fp_capture_last_agent(struct fp_capture *capture, uint8_t ret_agent[16])
{
	const struct fp_journal_slot *newest = NULL;

	if (capture->skeleton || read_slots(capture) < 0)
		return false;
	for (int i = 0; i < FP_JOURNAL_SLOTS; i++)
		if (capture->slots[i].valid && (!newest || capture->slots[i].position >= newest->position))
			newest = &capture->slots[i];
	if (newest)
		memcpy(ret_agent, newest->agent, 16);
	return newest != NULL;
}

int fp_capture_resume(struct fp_capture *capture, const uint8_t agent[16], uint64_t kept,
		      struct fp_capture_past *ret_past)
{
	const struct fp_journal_slot *last = NULL;
	int r;

	memset(ret_past, 0, sizeof(*ret_past));
	ret_past->resumed = !capture->skeleton;
	if (capture->skeleton)
		return 0;
	r = read_slots(capture);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < FP_JOURNAL_SLOTS; i++) {
		const struct fp_journal_slot *slot = &capture->slots[i];

		if (!holds(slot, agent, kept) || (last && slot->position < last->position))
			continue;
		last = slot;
		capture->slot = (i + 1) % FP_JOURNAL_SLOTS;
	}
	/* with another chain (the spool was thrown away) what is released was dealt with, in the old one */
	for (unsigned i = 0; i < FP_JOURNAL_SLOTS && !last; i++)
		if (capture->slots[i].valid && capture->slots[i].position == capture->ring.position &&
		    capture->slots[i].len <= FP_JOURNAL_ROOM)
			last = &capture->slots[i];
	if (!last)
		return 0;
	r = fp_ring_seek(&capture->ring, last->position);
	if (r < 0)
		return r;
	fp_ring_release(&capture->ring);
	ret_past->data = last->data;
	ret_past->len = last->len;
	return 0;
}

int fp_capture_note(struct fp_capture *capture, const uint8_t agent[16], uint64_t number, const void *data, size_t len)
{
	struct fp_journal_slot *slot;
	uint32_t index = capture->slot;

	if (len > FP_JOURNAL_ROOM)
		return -E2BIG;
	if (!capture->slots)
		capture->slots = calloc(FP_JOURNAL_SLOTS + 1, sizeof(*capture->slots));
	if (!capture->slots)
		return -ENOMEM;
	slot = &capture->slots[FP_JOURNAL_SLOTS];
	slot->valid = 1;
	slot->position = capture->ring.position;
	slot->number = number;
	memcpy(slot->agent, agent, sizeof(slot->agent));
	slot->told = 0;
	for (size_t i = 0; i < capture->n_known; i++)
		slot->told += capture->known[i].taken;
	slot->len = len;
	memcpy(slot->data, data, len);
	if (bpf_map_update_elem(capture->maps[FP_CAPTURE_MAP_journal], &index, slot, BPF_ANY) < 0)
		return -errno;
	return 0;
}

/* --- a kernel side of another version -------------------------------------------------- */

static uint64_t sum_losses(int map)
{
	struct fp_loss_key key, *previous = NULL;
	uint64_t sum = 0, lost;

	while (bpf_map_get_next_key(map, previous, &key) == 0) {
		previous = &key;
		if (bpf_map_lookup_elem(map, &key, &lost) == 0)
			sum += lost;
	}
	return sum;
}

static int count_record(void *arg, const void *data, size_t len, size_t room)
{
	++*(uint64_t *)arg;
	return 0;
}

static bool is_map_of(int fd, uint32_t key_size, uint32_t value_size, struct bpf_map_info *ret_info)
{
	uint32_t len = sizeof(*ret_info);

	memset(ret_info, 0, sizeof(*ret_info));
	return fd >= 0 && bpf_obj_get_info_by_fd(fd, ret_info, &len) == 0 && ret_info->key_size == key_size &&
	       ret_info->value_size == value_size;
}

uint64_t fp_capture_replaced(const struct fp_capture *capture)
{
	return capture->replaced;
}

/*
 * Its records cannot be read, but counted, if its maps are at all like ours: what is waiting,
 * and the losses that nobody was told of.
 */
uint64_t fp_capture_count_unread(const struct fp_pins *old)
{
	int ring_map = fp_pins_get(old, "ring"), losses = fp_pins_get(old, "losses"), journal = fp_pins_get(old, "journal");
	struct fp_journal_slot *slot = calloc(1, sizeof(*slot));
	struct bpf_map_info info;
	struct fp_ring ring;
	uint64_t unread = 0, told = 0, lost = 0;

	if (is_map_of(journal, 4, sizeof(*slot), &info) && slot)
		for (uint32_t i = 0; i < FP_JOURNAL_SLOTS; i++)
			if (bpf_map_lookup_elem(journal, &i, slot) == 0 && slot->told > told)
				told = slot->told;
	if (is_map_of(losses, sizeof(struct fp_loss_key), 8, &info))
		lost = sum_losses(losses);
	if (is_map_of(ring_map, 0, 0, &info) && fp_ring_open(&ring, ring_map, info.max_entries) == 0) {
		fp_ring_read(&ring, count_record, &unread);
		fp_ring_close(&ring);
	}
	free(slot);
	for (int i = 0; i < 3; i++) {
		int fd = i == 0 ? ring_map : i == 1 ? losses : journal;

		if (fd >= 0)
			close(fd);
	}
	return unread + (lost > told ? lost - told : 0);
}

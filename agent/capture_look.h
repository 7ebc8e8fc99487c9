/*
 * What the kernel side has counted, looked at without changing anything: by the agent
 * that reads it, or by --stats when that agent is dead and only the pins are left.
 */
#ifndef FP_AGENT_CAPTURE_LOOK_H
#define FP_AGENT_CAPTURE_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/hash.h"

#define FP_LOOK_CAUSES 32
/* Containers looked at one by one; those beyond are one row, FP_LOOK_OTHERS. */
#define FP_LOOK_CONTAINERS_MAX 8192
#define FP_LOOK_OTHERS UINT64_MAX

struct fp_look_container {
	uint64_t cgroup;
	uint64_t unread; /* records in the ring that nobody has read */
	uint64_t lost[FP_LOOK_CAUSES]; /* by enum fp_loss */
	UT_hash_handle hh;
};

struct fp_usage;

struct fp_look {
	uint64_t root_cgroup, hooks; /* recorded; missing hooks, a bit each cause */
	uint64_t numbered; /* records that got a number, lost ones included */
	uint64_t ring_size, waiting, highest; /* bytes; highest: since this agent began, 0 when it is dead */
	uint64_t unread, unread_bytes;
	uint64_t oldest; /* boot time of the oldest unread record; 0: none */
	struct fp_look_container *containers;
	struct fp_usage *usage; /* a copy, FP_USAGE_SLOTS */
	uint8_t *known; /* what a dead agent knew when it last released the ring; NULL: nothing, or it lives */
	size_t known_len;
};

struct fp_capture;
struct fp_pins;

/* 0, -ENOMEM, or as bpf(2) says.  fp_look_done() in any case. */
int fp_capture_look(const struct fp_capture *capture, struct fp_look *ret_look);
/* Of a directory of pins, whose path alone must be set; -ESTALE: of another version of the agent. */
int fp_capture_look_pinned(const struct fp_pins *pins, struct fp_look *ret_look);
void fp_look_done(struct fp_look *look);
/* Bytes of the ring that a container holds, and whether it is refused more. */
uint64_t fp_look_held(const struct fp_look *look, uint64_t cgroup, bool *ret_throttled);

#endif

/*
 * The containers of a recording: how `serve --record` writes down who a cgroup
 * is, and how `replay` finds it again.
 */
#ifndef FP_AGENT_CONTAINERS_H
#define FP_AGENT_CONTAINERS_H

#include "agent/runtime/runtime.h"
#include "base/buffer.h"
#include "schema/schema.h"

struct fp_containers {
	struct container_entry *table;
};

/* A loss in a recording; little endian. */
struct fp_recording_loss {
	uint64_t cgroup, cause, lost;
};

void fp_containers_done(struct fp_containers *containers);
/* Appends the item for a recording. */
void fp_containers_encode(struct fp_buffer *buffer, uint64_t cgroup, const struct fp_container *container);
/* Takes an item in; a later one of the same cgroup wins.  0, -EBADMSG, -ENOMEM. */
int fp_containers_decode(struct fp_containers *containers, const void *data, size_t len);
/* 0 or -ENOENT; the strings live until the cgroup is decoded again. */
int fp_containers_find(const struct fp_containers *containers, uint64_t cgroup, struct fp_container *ret_container);

#endif

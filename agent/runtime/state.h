/*
 * What a runc state.json says of a container.  Private to agent/runtime; the
 * text may be hostile: nothing in it is believed to be there or of a kind.
 */
#ifndef FP_AGENT_RUNTIME_STATE_H
#define FP_AGENT_RUNTIME_STATE_H

#include <stddef.h>

/* Owned; NULL where the file does not say. */
struct fp_state {
	char *id, *function, *replica, *image, *bundle;
	char *cgroup_path; /* directory in the cgroup2 hierarchy */
};

/* 0, -EBADMSG when this is no state of a container, -ENOMEM. */
int fp_state_parse(const char *text, size_t len, struct fp_state *ret_state);
void fp_state_done(struct fp_state *state);

#endif

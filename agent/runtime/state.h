/*
 * What runtimes write down of a container: runc's state.json, the OCI config.json of a bundle (containerd, CRI-O,
 * podman), docker's config.v2.json.  Private to agent/runtime; the
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
/* The same of the other files; what *state has already stays.  0, -EBADMSG, -ENOMEM. */
int fp_state_parse_bundle(const char *text, size_t len, struct fp_state *state);
int fp_state_parse_docker(const char *text, size_t len, struct fp_state *state);
/* Takes a copy of a value that is not known yet; one that is empty, too long or no name is left.  0 or -ENOMEM. */
int fp_state_keep(char **place, const char *value, size_t len);
void fp_state_done(struct fp_state *state);

#endif

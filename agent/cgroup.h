/*
 * Directories of the cgroup2 hierarchy: where it is mounted, the id and depth of
 * one, making and removing one.
 */
#ifndef FP_AGENT_CGROUP_H
#define FP_AGENT_CGROUP_H

#include <limits.h>
#include <stdint.h>

struct fp_cgroup {
	char path[PATH_MAX];
	uint64_t id; /* as bpf_get_current_cgroup_id() gives it */
	int level; /* depth below the hierarchy's root */
};

/*
 * The directory `path` of the mounted cgroup2 hierarchy.  0; -ENOTDIR when it is not a cgroup2 directory; -EXDEV when
 * we are in a cgroup name space and nothing says how deep that lies; errno.
 */
int fp_cgroup_open(const char *path, struct fp_cgroup *ret_cgroup);
/* Makes a cgroup of that name directly below the root of the first mounted cgroup2 hierarchy.  -ENOENT: none is mounted. */
int fp_cgroup_make(const char *name, struct fp_cgroup *ret_cgroup);
/* Moves a process (0: the caller) into it. */
int fp_cgroup_enter(const struct fp_cgroup *cgroup, int pid);
/* 1 when a process is in it or below, 0 when none, or negative errno. */
int fp_cgroup_populated(const struct fp_cgroup *cgroup);
int fp_cgroup_remove(const struct fp_cgroup *cgroup);

#endif

/*
 * Who is the container behind a cgroup?  The agent asks with the id that the
 * kernel side saw (the inode of the cgroup2 directory); the answer comes from
 * what runc wrote about its containers (<runc root>/<id>/state.json, also under
 * containerd, docker and Kubernetes) and, where that says nothing, from the
 * names in the cgroup's path and the files of other runtimes that these lead to (elsewhere.h).  Only reads; asks no daemon.
 *
 * A container starts in its cgroup a moment before the runtime writes it down.
 * So a cgroup of which only the path is known is not answered before the
 * patience is over; the caller asks again, at a rate of its own choosing.
 *
 * Containers that are gone stay known, as their last events may come late; the
 * oldest of them are forgotten beyond FP_RUNTIME_CONTAINERS_MAX.
 */
#ifndef FP_AGENT_RUNTIME_RUNTIME_H
#define FP_AGENT_RUNTIME_RUNTIME_H

#include <stdint.h>

#include "base/cleanup.h"

/* A node holds some hundreds; the rest is room for those that are gone. */
#define FP_RUNTIME_CONTAINERS_MAX 8192
/* runc writes some 50 KiB; what is larger is not its. */
#define FP_RUNTIME_STATE_MAX (4u << 20)
#define FP_RUNTIME_PATIENCE_MS 2000

struct fp_runtime;

/* NULL: not known. */
struct fp_container {
	const char *id; /* as the runtime calls it */
	const char *function;
	const char *replica;
	const char *image; /* or, where that is not said, the root file system */
	const char *bundle;
	const char *cgroup_path; /* directory of the cgroup */
};

/*
 * `cgroup_dir`: the watched part of the cgroup2 hierarchy.  `runc_root` may be
 * NULL, or not be there yet.  0, -ENOTDIR when cgroup_dir is no directory, -ENOMEM.
 */
int fp_runtime_open(const char *cgroup_dir, const char *runc_root, struct fp_runtime **ret_runtime);
struct fp_runtime *fp_runtime_close(struct fp_runtime *runtime);
FP_DEFINE_CLEANUP(struct fp_runtime, fp_runtime_close)
/* Where the host's own files are, when not at / (an agent in a container).  0 or -ENOMEM. */
int fp_runtime_set_host_root(struct fp_runtime *runtime, const char *root);
/*
 * Who knows where a cgroup was that is gone: writes its directory's path below cgroup_dir, with the first slash, into `ret_path` of `size`.  0 or -ENOENT.
 */
typedef int (*fp_runtime_made_fn)(void *arg, uint64_t cgroup, char *ret_path, size_t size);
void fp_runtime_set_made_fn(struct fp_runtime *runtime, fp_runtime_made_fn fn, void *arg);
/* Takes in what runc has written by now; for who hears of changes below the runc root.  0 or -ENOMEM. */
int fp_runtime_scan(struct fp_runtime *runtime);
void fp_runtime_set_patience(struct fp_runtime *runtime, unsigned ms);

/*
 * The container of a cgroup, or of the nearest cgroup above it that is one.
 * What is not known yet is looked for in the files: that costs time, so the
 * caller limits how often it asks.  The strings belong to the runtime and live
 * until the next lookup.  0; -ENOENT: not known (yet); -ENOMEM.
 */
int fp_runtime_lookup(struct fp_runtime *runtime, uint64_t cgroup, struct fp_container *ret_container);

#endif

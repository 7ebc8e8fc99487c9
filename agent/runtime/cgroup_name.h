/*
 * What the path of a cgroup says of its container, by the habits of runc,
 * containerd, docker, podman, CRI-O and Kubernetes.  Private to agent/runtime; pure.
 *   …/kubepods.slice/…/cri-containerd-<64 hex>.scope   …/docker/<64 hex>
 *   …/openfaas-fn/<function>                           …/<id>
 */
#ifndef FP_AGENT_RUNTIME_CGROUP_NAME_H
#define FP_AGENT_RUNTIME_CGROUP_NAME_H

#include "schema/schema.h"

struct fp_cgroup_name {
	struct fp_str id; /* the nearest 64 hex digits above the leaf; else the leaf's name */
	struct fp_str function; /* empty: the path does not say */
};

/* The strings point into the path.  0, or -ENOENT when the path is empty. */
int fp_cgroup_name(const char *path, struct fp_cgroup_name *ret_name);

#endif

/*
 * What the path of a cgroup says of its container, by the habits of runc,
 * containerd, docker, podman, CRI-O, faasd and Kubernetes.  Private to agent/runtime; pure.
 *   …/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid with _>.slice/cri-containerd-<64 hex>.scope
 *   …/kubepods/burstable/pod<uid>/<64 hex>             …/docker/<64 hex>
 *   …/openfaas-fn/<function>                           …/<id>
 * A runtime's helper beside its container (crio-conmon-<64 hex>.scope) is not the container, and bears its own name.
 */
#ifndef FP_AGENT_RUNTIME_CGROUP_NAME_H
#define FP_AGENT_RUNTIME_CGROUP_NAME_H

#include <stdbool.h>

#include "schema/schema.h"

#define FP_CONTAINER_ID_DIGITS 64
#define FP_POD_UID_SIZE 37 /* 8-4-4-4-12 hex digits, or 32 of a static pod's, and NUL */

struct fp_cgroup_name {
	struct fp_str id; /* the nearest 64 hex digits at or above the leaf; else the leaf's name */
	bool is_whole; /* id is such digits: what runtimes number their containers with */
	struct fp_str function; /* empty: the path does not say */
	char pod[FP_POD_UID_SIZE]; /* as the kubelet writes it; empty: in no pod */
};

/* The strings point into the path.  0, or -ENOENT when the path is empty. */
int fp_cgroup_name(const char *path, struct fp_cgroup_name *ret_name);

#endif

/*
 * Where each cgroup that is made lies, by its id.  A container can be over, and its directory gone, before the agent has read
 * its first record; then this is all that tells who it was.
 */
#ifndef FP_AGENT_BPF_MADE_BPF_H
#define FP_AGENT_BPF_MADE_BPF_H

#include "agent/bpf/common.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FP_MADE_MAX);
	__type(key, __u64); /* id */
	__type(value, struct fp_made);
} made SEC(".maps");

SEC("tp_btf/cgroup_mkdir")
int on_cgroup_made(unsigned long long *ctx)
{
	struct cgroup *cgroup = (void *)ctx[0];
	struct fp_made where = {};
	__u64 id;

	if (BPF_CORE_READ(cgroup, root, hierarchy_id)) /* of the first version */
		return 0;
	id = BPF_CORE_READ(cgroup, kn, id);
	if (bpf_probe_read_kernel_str(where.path, sizeof(where.path), (void *)ctx[1]) > 0)
		bpf_map_update_elem(&made, &id, &where, BPF_ANY);
	return 0;
}

#endif

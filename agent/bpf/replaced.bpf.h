/*
 * Descriptors that come to stand for something else while a call uses them.  A call holds what it was given; at its
 * exit, all that we have is the number.  Where threads share their descriptors, one can give a number another meaning,
 * or none, while another's call sleeps.  So changes of numbers are noted with their time, and a call that has slept,
 * of which we do not know that it began after the change, is told as the number says and counted as in doubt.
 */
#ifndef FP_AGENT_BPF_REPLACED_H
#define FP_AGENT_BPF_REPLACED_H

#include "agent/bpf/path.bpf.h"

struct replaced_key {
	__u64 files, fd;
};
#define ANY_DESCRIPTOR (~0ull)

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FP_REPLACED_MAX);
	__type(key, struct replaced_key);
	__type(value, __u64); /* when */
} replaced SEC(".maps");

/*
 * Of its own for the verifier, like walk_path_of.  A number that is used again and again has its entry, and to give it
 * another time takes much less than a new entry; unless somebody else got the place meanwhile.
 */
__noinline int note_replaced(__u64 fd, __u64 now)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct replaced_key key = {.files = (__u64)BPF_CORE_READ(task, files), .fd = fd};
	__u64 *when;

	if (!shares_descriptors())
		return 0;
	when = bpf_map_lookup_elem(&replaced, &key);
	if (when) {
		*(volatile __u64 *)when = now;
		if (when == bpf_map_lookup_elem(&replaced, &key))
			return 0;
	}
	bpf_map_update_elem(&replaced, &key, &now, BPF_ANY);
	return 0;
}

static __always_inline int was_replaced(__u64 files, __u64 fd, __u64 since)
{
	struct replaced_key key = {.files = files, .fd = fd};
	__u64 *when = bpf_map_lookup_elem(&replaced, &key);

	return when && *when > since;
}

/* Of a call that has just ended, before its record, which says that its thread has been seen. */
__noinline int is_in_doubt(__u32 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct thread_state *state = sharing_state(task);
	__u64 files, since;

	/* who has shared his descriptors has a state, though the others may be gone by now */
	if (!state || task->nvcsw == state->switches)
		return 0;
	files = (__u64)BPF_CORE_READ(task, files);
	since = state->seen ? state->seen : task->start_boottime;
	return was_replaced(files, fd, since) || was_replaced(files, ANY_DESCRIPTOR, since);
}

#define CLOSE_RANGE_UNSHARE 2
#define CLOSE_RANGE_CLOEXEC 4
static __always_inline int note_replaced_range(__u64 first, __u64 last, __u64 flags)
{
	if (flags & (CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
		return 0;
	return note_replaced(first == last ? first : ANY_DESCRIPTOR, bpf_ktime_get_boot_ns());
}

#endif

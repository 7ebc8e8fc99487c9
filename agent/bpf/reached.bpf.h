/*
 * Where a datagram went, or who sent it, as the kernel has it.  The exit of the call finds the address in the process's
 * memory alone, which another thread may have changed by then.  But in the middle of the call, and in the task that makes
 * it, the kernel tells:
 *
 *   UDP    of its own copy of the address (programs of the recorded cgroup at sendmsg and recvmsg, since 4.18 and 5.2)
 *   unix   of the socket that a datagram arrives at (`sk_data_ready`, since 6.3), and of the one that is taken from a
 *          queue, which leads to its sender (`skb_copy_datagram_iovec`)
 *
 * It is noted with the thread, message by message, and taken at the exit.  A call of which another number of messages was
 * noted than it moved (some without an address, some that went wrong) is not told by what was noted.
 */
#ifndef FP_AGENT_BPF_REACHED_H
#define FP_AGENT_BPF_REACHED_H

#include "agent/bpf/touched.bpf.h"

/* The other end of one message. */
struct reached {
	__u64 call; /* number and first argument of the call that it is of */
	__u64 n; /* messages noted of that call; with the first of them alone */
	__u64 hi, lo, port; /* as in records; of a unix socket its inode */
	__u64 place; /* of a unix socket in the kernel's memory, when it has no inode any more */
};

/* By thread in the lower half, and number of the message in the upper one. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FP_REACHED_MAX);
	__type(key, __u64);
	__type(value, struct reached);
} reached_by SEC(".maps");

static __always_inline __u64 key_of_message(__u32 i)
{
	return (__u32)bpf_get_current_pid_tgid() | (__u64)i << 32;
}

/* Calls that move messages, so that what was noted is taken at their exit; 0: another, or a ring's. */
static __always_inline __u64 call_of_message(void)
{
	struct arguments made = {};
	__u8 handler;

	if (is_through_ring())
		return 0;
	take_arguments(&made, (void *)bpf_task_pt_regs((void *)bpf_get_current_task_btf()));
	handler = made.number < FP_CALLS_MAX ? handler_of[made.number & (FP_CALLS_MAX - 1)] : 0;
	if (handler < FP_HANDLER_FIRST_MESSAGE || handler > FP_HANDLER_LAST_MESSAGE)
		return 0;
	return made.number << 32 | (__u32)made.a[0];
}

static __always_inline int note_reached(struct reached *reached)
{
	__u64 key = key_of_message(0);
	struct reached *first = bpf_map_lookup_elem(&reached_by, &key);

	if (!first || first->call != reached->call) {
		reached->n = 1;
		bpf_map_update_elem(&reached_by, &key, reached, BPF_ANY);
		return 0;
	}
	key = key_of_message(first->n++);
	/* what no record is made of needs no note */
	if (key >> 32 < FP_MESSAGES_MAX)
		bpf_map_update_elem(&reached_by, &key, reached, BPF_ANY);
	return 0;
}

static long forget_one(__u32 i, void *none)
{
	__u64 key = key_of_message(i);

	bpf_map_delete_elem(&reached_by, &key);
	return 0;
}

/* At the exit of a call of this thread, failed or not. */
static __always_inline void forget_reached(void)
{
	__u64 key = key_of_message(0);
	struct reached *first = bpf_map_lookup_elem(&reached_by, &key);

	if (first)
		bpf_loop(first->n < FP_MESSAGES_MAX ? first->n : FP_MESSAGES_MAX, forget_one, 0, 0);
}

/* Of message `i` of `n` that the call ending now has moved; 0: nothing was noted, or not of each one. */
static __always_inline struct reached *reached_by_call(__u32 i, __u32 n)
{
	__u64 key = key_of_message(0);
	struct reached *first = bpf_map_lookup_elem(&reached_by, &key);

	if (!first || first->n != n || first->call != call_of_message())
		return 0;
	key = key_of_message(i);
	return i ? bpf_map_lookup_elem(&reached_by, &key) : first;
}

#endif

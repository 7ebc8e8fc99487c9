/*
 * What has to be kept of an operation in a ring from its submission on: where a datagram goes, of which nothing is left
 * when it is done; and which request a completion belongs to that does not name it.
 */
#ifndef FP_AGENT_BPF_URING_MORE_H
#define FP_AGENT_BPF_URING_MORE_H

#include "agent/bpf/uring.bpf.h"

/* A completion is known by the ring and by what the process calls it, which it may call several. */
struct repeated_key {
	__u64 ring, user_data;
};
#define SEVERAL 1 /* no request: which of those of one name it is nobody can tell */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FP_REPEATED_MAX);
	__type(key, struct repeated_key);
	__type(value, __u64); /* the request */
} repeated SEC(".maps");

static __always_inline struct repeated_key key_of(struct io_kiocb *request)
{
	struct repeated_key key = {.ring = (__u64)BPF_CORE_READ(request, ctx), .user_data = BPF_CORE_READ(request, cqe.user_data)};

	return key;
}

/* Still the one that was submitted under that name: its memory is used again. */
static __always_inline int is_under(__u64 of_request, struct repeated_key *key)
{
	struct io_kiocb *request = (void *)of_request;
	struct repeated_key now = key_of(request);

	return now.ring == key->ring && now.user_data == key->user_data && is_repeated(request, BPF_CORE_READ(request, opcode));
}

static __always_inline void note_repeated(__u64 of_request)
{
	struct repeated_key key = key_of((void *)of_request);
	__u64 *known = bpf_map_lookup_elem(&repeated, &key), value = of_request;

	if (known && *known != of_request && (*known == SEVERAL || is_under(*known, &key)))
		value = SEVERAL;
	bpf_map_update_elem(&repeated, &key, &value, BPF_ANY);
}

/* Its last completion, which names it. */
static __always_inline void forget_repeated(__u64 of_request)
{
	struct repeated_key key = key_of((void *)of_request);
	__u64 *known = bpf_map_lookup_elem(&repeated, &key);

	if (known && *known == of_request)
		bpf_map_delete_elem(&repeated, &key);
}

/* The kernel puts before each message that comes what it says of it. */
#define MESSAGE_HEAD 16
static __always_inline long without_head(struct io_kiocb *request, long result)
{
	struct io_async_msghdr *kept = BPF_CORE_READ(request, async_data);
	long head;

	if (!kept)
		return result;
	head = MESSAGE_HEAD + BPF_CORE_READ(kept, namelen) + BPF_CORE_READ(kept, controllen);
	return result > head ? result - head : 0;
}

/* One of several completions, without its request. */
__noinline int complete_repeated(__u64 cgroup, __u64 ring, __u64 user_data, long result)
{
	struct repeated_key key = {.ring = ring, .user_data = user_data};
	__u64 *known = bpf_map_lookup_elem(&repeated, &key);
	struct call call = {.cgroup = cgroup, .result = result};
	struct io_kiocb *request;
	int opcode, way;

	if (!known || result < 0) /* a poll's, a timer's, a message's */
		return 0;
	if (*known == SEVERAL || !is_under(*known, &key))
		return count_loss(cgroup, FP_LOSS_CAUSE_RING_CALL);
	request = (void *)*known;
	opcode = BPF_CORE_READ(request, opcode);
	way = way_of(opcode);
	if (!way)
		return uring_done(&call, request, opcode);
	return uring_moved(cgroup, request, 0, opcode == OP_RECVMSG ? without_head(request, result) : result, way);
}

/* A message or datagram to an address of its own. */
static __always_inline void note_address(__u64 of_request)
{
	struct io_kiocb *request = (void *)of_request;
	struct io_async_msghdr *kept = BPF_CORE_READ(request, async_data);
	struct user_address address = {};

	if (!kept || !BPF_CORE_READ(kept, msg.msg_name) ||
	    bpf_probe_read_kernel(&address, sizeof(address), (void *)kept + bpf_core_field_offset(struct io_async_msghdr, addr)) < 0)
		return;
	if (address.family == AF_INET || address.family == AF_INET6)
		bpf_map_update_elem(&asked_addresses, &of_request, &address, BPF_ANY);
}

/* Of its own for the verifier, like walk_path_of. */
__noinline int note_submitted(__u64 of_request, int opcode)
{
	struct io_kiocb *request = (void *)of_request;

	if (is_repeated(request, opcode))
		note_repeated(of_request);
	if (opcode == OP_SEND || opcode == OP_SENDMSG || opcode == OP_SEND_ZC || opcode == OP_SENDMSG_ZC)
		note_address(of_request);
	return 0;
}

#endif

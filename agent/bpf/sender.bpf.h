/*
 * Who sent a UDP datagram to a call that did not ask (recv, read).  The kernel looks up no address for it, and by the end
 * of the call the datagram is gone.  But they are taken in the order in which they wait, so who sent the next one is known
 * before: it is noted as soon as it is the first that waits, which it is when it arrives (`sk_data_ready`) or when the one before
 * it has been taken.  The datagram that a call took waits no more at its exit.  One that is noted and still waits was not
 * taken: another came and went too fast to be seen waiting, and who sent that one is not known.
 *
 * Where several threads read from one socket at the same time, each can be told of the other's; then the last of them
 * finds nothing that was taken, which is counted.
 */
#ifndef FP_AGENT_BPF_SENDER_H
#define FP_AGENT_BPF_SENDER_H

#include "agent/bpf/path.bpf.h"

#define SOCK_DGRAM 2
#define IPPROTO_UDP 17
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define MAPPED_IPV4 0xffff00000000ull
#define SOURCE_OF_IP 12 /* in its header */
#define SOURCE_OF_IPV6 8

struct sender {
	__u64 skb; /* the datagram; 0: none waits */
	__u64 hi, lo, port;
};

/* Of the datagram that is taken next, by the socket's inode. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FP_SENDERS_MAX);
	__type(key, __u64);
	__type(value, struct sender);
} next_senders SEC(".maps");

static __always_inline int is_udp(struct sock *sk)
{
	return BPF_CORE_READ(sk, sk_protocol) == IPPROTO_UDP && BPF_CORE_READ(sk, sk_type) == SOCK_DGRAM;
}

static __always_inline __u64 first_of(__u64 of_queue)
{
	struct sk_buff_head *queue = (void *)of_queue;
	__u64 first = (__u64)BPF_CORE_READ(queue, next);

	return first == of_queue ? 0 : first;
}

static __always_inline __u64 first_waiting(__u64 sk)
{
	__u64 first = first_of(sk + bpf_core_field_offset(struct udp_sock, reader_queue));

	return first ? first : first_of(sk + bpf_core_field_offset(struct sock, sk_receive_queue));
}

static __always_inline int read_sender(struct sender *sender)
{
	struct sk_buff *skb = (void *)sender->skb;
	__u64 head = (__u64)BPF_CORE_READ(skb, head), network = head + BPF_CORE_READ(skb, network_header);
	__u16 protocol = __builtin_bswap16(BPF_CORE_READ(skb, protocol)), port = 0;
	__u32 address[4] = {};

	/* the first field of a UDP header */
	bpf_probe_read_kernel(&port, sizeof(port), (void *)(head + BPF_CORE_READ(skb, transport_header)));
	sender->port = __builtin_bswap16(port);
	if (protocol == ETH_P_IP) {
		sender->lo = MAPPED_IPV4;
		if (bpf_probe_read_kernel(&address[0], sizeof(address[0]), (void *)(network + SOURCE_OF_IP)) < 0)
			return -1;
		sender->lo |= __builtin_bswap32(address[0]);
		return 0;
	}
	if (protocol != ETH_P_IPV6 || bpf_probe_read_kernel(address, sizeof(address), (void *)(network + SOURCE_OF_IPV6)) < 0)
		return -1;
	sender->hi = (__u64)__builtin_bswap32(address[0]) << 32 | __builtin_bswap32(address[1]);
	sender->lo = (__u64)__builtin_bswap32(address[2]) << 32 | __builtin_bswap32(address[3]);
	return 0;
}

/* If nothing is noted of that socket.  Of its own for the verifier, like walk_path_of. */
__noinline int note_sender(__u64 sk, __u64 ino)
{
	struct sender sender = {};

	if (bpf_map_lookup_elem(&next_senders, &ino))
		return 0;
	sender.skb = first_waiting(sk);
	/* one that was taken meanwhile is another's memory */
	if (!sender.skb || read_sender(&sender) < 0 || first_waiting(sk) != sender.skb)
		return 0;
	bpf_map_update_elem(&next_senders, &ino, &sender, BPF_NOEXIST);
	/* and one that was taken before it was noted would be told of the next call */
	if (first_waiting(sk) != sender.skb)
		bpf_map_delete_elem(&next_senders, &ino);
	return 0;
}

/* One has arrived at a socket, whoever runs now. */
__noinline int note_arrival(__u64 of_sk)
{
	struct sock *sk = (void *)of_sk;
	__u64 ino;

	if (!is_udp(sk) || !recorded_container((__u64)BPF_CORE_READ(sk, sk_cgrp_data.cgroup)))
		return 0;
	ino = BPF_CORE_READ(sk, sk_socket, file, f_inode, i_ino);
	return ino ? note_sender(of_sk, ino) : 0;
}

/* Whose datagram a call has taken, or looked at, that ends now; 0: that is not known. */
__noinline int take_sender(struct sender *ret, __u64 of_sk, __u64 ino, __u64 peeked)
{
	struct sock *sk = (void *)of_sk;
	struct sender *noted;
	int waits;

	if (!ret)
		return 0;
	if (peeked)
		note_sender(of_sk, ino);
	noted = bpf_map_lookup_elem(&next_senders, &ino);
	if (noted)
		*ret = *noted;
	waits = noted && ret->skb == first_waiting(of_sk);
	if (peeked)
		return waits && BPF_CORE_READ(sk, sk_peek_off) < 0;
	bpf_map_delete_elem(&next_senders, &ino);
	note_sender(of_sk, ino);
	return noted && !waits;
}

static __always_inline void renew_sender(__u64 sk, __u64 ino)
{
	bpf_map_delete_elem(&next_senders, &ino);
	note_sender(sk, ino);
}

#endif

/*
 * In the middle of calls that move datagrams: the programs that note the other end (reached.bpf.h).
 */
#ifndef FP_AGENT_BPF_REACHING_H
#define FP_AGENT_BPF_REACHING_H

#include "agent/bpf/reached.bpf.h"
#include "agent/bpf/sender.bpf.h"

static __always_inline int note_unix(struct sock *other)
{
	struct reached reached = {.call = call_of_message()};

	if (!reached.call)
		return 0;
	reached.lo = BPF_CORE_READ(other, sk_socket, file, f_inode, i_ino);
	bpf_probe_read_kernel(&reached.place, sizeof(reached.place), &other);
	return note_reached(&reached);
}

static __always_inline int is_unix_datagram(unsigned short family, unsigned short type)
{
	return family == 1 && type == SOCK_DGRAM;
}

SEC("tp_btf/sk_data_ready")
int BPF_PROG(on_data_ready, struct sock *to)
{
	if (to->sk_protocol == IPPROTO_UDP)
		return note_arrival(argument(ctx, 0));
	return is_unix_datagram(to->__sk_common.skc_family, to->sk_type) && is_recorded() ? note_unix(to) : 0;
}

SEC("tp_btf/skb_copy_datagram_iovec")
int BPF_PROG(on_datagram_taken, struct sk_buff *skb, int len)
{
	struct sock *from = skb->sk;

	return from && is_unix_datagram(from->__sk_common.skc_family, from->sk_type) && is_recorded() ? note_unix(from) : 0;
}

/* What programs at sendmsg and recvmsg are given: not of the kernel's types, but of its interface. */
struct bpf_sock_addr {
	__u32 user_family;
	__u32 user_ip4;
	__u32 user_ip6[4];
	__u32 user_port;
};

static __always_inline int note_v4(struct bpf_sock_addr *address)
{
	struct reached reached = {};

	if (is_recorded())
		reached.call = call_of_message();
	if (reached.call) {
		reached.lo = 0xffff00000000ull | __builtin_bswap32(address->user_ip4);
		reached.port = __builtin_bswap16(address->user_port);
		note_reached(&reached);
	}
	return 1;
}

static __always_inline int note_v6(struct bpf_sock_addr *address)
{
	struct reached reached = {};

	if (is_recorded())
		reached.call = call_of_message();
	if (reached.call) {
		reached.hi = (__u64)__builtin_bswap32(address->user_ip6[0]) << 32 | __builtin_bswap32(address->user_ip6[1]);
		reached.lo = (__u64)__builtin_bswap32(address->user_ip6[2]) << 32 | __builtin_bswap32(address->user_ip6[3]);
		reached.port = __builtin_bswap16(address->user_port);
		note_reached(&reached);
	}
	return 1;
}

/* 1: the message goes its way. */
SEC("cgroup/sendmsg4")
int on_sent_v4(struct bpf_sock_addr *address)
{
	return note_v4(address);
}

SEC("cgroup/sendmsg6")
int on_sent_v6(struct bpf_sock_addr *address)
{
	return note_v6(address);
}

SEC("cgroup/recvmsg4")
int on_got_v4(struct bpf_sock_addr *address)
{
	return note_v4(address);
}

SEC("cgroup/recvmsg6")
int on_got_v6(struct bpf_sock_addr *address)
{
	return note_v6(address);
}

#endif

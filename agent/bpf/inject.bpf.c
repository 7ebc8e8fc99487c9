/*
 * Says on calls to the gateway who makes them: adds `X-Forwarded-For: ip:port` of
 * the caller's end to the head of a plain HTTP request, as a gateway does that
 * sees the caller directly.  So it stays known where an address is rewritten on
 * the way, or where a queue makes the call later.
 *
 * What is never touched: a connection that was there before, or that leads
 * elsewhere; a request that has such a header; a head that does not come whole
 * in one send, or is long; a body, whatever it looks like.  Where the next head
 * begins is known from the lengths of all before it on the connection, counted in
 * TCP's own sequence numbers; when it is not known, the connection is left alone
 * for good.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>

#include "agent/bpf/inject.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct tcp_sock {
	unsigned int write_seq;
};
#pragma clang attribute pop

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 gateway_address = 0; /* network order */
const volatile __u32 gateway_port = 0;

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, FP_INJECT_CONNECTIONS_MAX);
	__type(key, __u64); /* cookie */
	__type(value, __u64);
} connections SEC(".maps");

__u64 added = 0; /* headers, for people */

#define AF_INET 2

SEC("sockops")
int on_connected(struct bpf_sock_ops *ops)
{
	__u64 key;

	if (ops->op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB || ops->family != AF_INET ||
	    ops->remote_ip4 != gateway_address || bpf_ntohl(ops->remote_port) != gateway_port)
		return 1;
	key = bpf_get_socket_cookie(ops);
	bpf_sock_hash_update(ops, &connections, &key, BPF_ANY);
	return 1;
}

/*
 * The head, read byte by byte.  It lives with the socket, which is locked while it
 * sends, and not on the stack: the verifier would follow every value it can take.
 */
struct head {
	__u64 last; /* eight bytes */
	__u64 length; /* Content-Length */
	__u32 line; /* end of the first line; 0: not there yet */
	__u32 end; /* of the head; 0: not there yet */
	__u32 column; /* in the line */
	__u32 matches; /* bit n: up to here the line is the n-th of the names */
	__u32 in; /* 1 + number of the header whose value this is */
	__u32 bad; /* it is no head that we understand */
	__u32 has; /* bits: which headers are there */
	__u32 reserved;
};

/* A connection, and where on it the next head begins. */
struct place {
	__u32 next; /* sequence number */
	__u32 known; /* 0: nothing was sent yet, 1: it is `next`, 2: it is not known and never will be */
	struct head head;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct place);
} places SEC(".maps");

struct reading {
	struct sk_msg_md *message;
	struct head *head;
};

enum { FORWARDED, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE, NAMES };
#define NAME_MAX 32
static const char names[NAMES][NAME_MAX] = {"x-forwarded-for:", "content-length:", "transfer-encoding:", "upgrade:"};

#define BYTES(a, b, c, d, e, f, g, h) \
	((__u64)(a) << 56 | (__u64)(b) << 48 | (__u64)(c) << 40 | (__u64)(d) << 32 | (__u64)(e) << 24 | (__u64)(f) << 16 | \
	 (__u64)(g) << 8 | (__u64)(h))

static __always_inline void match_names(struct head *head, __u8 c)
{
	__u32 column = head->column;

	if (column >= NAME_MAX)
		return;
	for (int n = 0; n < NAMES; n++) {
		if (!(head->matches & 1u << n))
			continue;
		if (names[n][column] != (char)(c | 0x20)) {
			head->matches &= ~(1u << n);
		} else if (c == ':') {
			if (head->has & 1u << n)
				head->bad = 1; /* twice */
			head->has |= 1u << n;
			head->in = n + 1;
		}
	}
}

static __always_inline void end_of_line(struct head *head, __u32 i)
{
	if (!head->line) {
		/* …TP/1.1, of which the last digit may be another */
		if ((head->last & ~0xff0000ull) != BYTES('T', 'P', '/', '1', '.', 0, '\r', '\n'))
			head->bad = 1;
		head->line = i + 1;
	} else if ((__u32)head->last == (__u32)BYTES(0, 0, 0, 0, '\r', '\n', '\r', '\n')) {
		head->end = i + 1;
	}
	head->column = head->in = 0;
	head->matches = (1u << NAMES) - 1;
}

static long read_byte(__u32 i, struct reading *reading)
{
	__u8 *data = (void *)(long)reading->message->data, *end = (void *)(long)reading->message->data_end;
	struct head *head = reading->head;
	__u8 c;

	if (i >= FP_INJECT_HEAD_MAX)
		return 1;
	data += i;
	if (data + 1 > end)
		return 1;
	c = *data;
	head->last = head->last << 8 | c;
	if (c == '\n') {
		end_of_line(head, i);
		return head->end || head->bad;
	}
	if (!head->line)
		return 0;
	if (!head->in)
		match_names(head, c);
	else if (head->in == CONTENT_LENGTH + 1 && c >= '0' && c <= '9')
		head->length = head->length * 10 + (c - '0');
	else if (head->in == CONTENT_LENGTH + 1 && c != ' ' && c != '\r')
		head->bad = 1;
	head->column++;
	return head->bad || head->length > 1ull << 30;
}

static __always_inline __u32 put_number(__u8 *text, __u32 at, __u32 number)
{
	for (int i = 0; i < 5; i++) {
		text[at & 63] = '0' + number % 10;
		at--;
		number /= 10;
		if (!number)
			break;
	}
	return at;
}

/* Right-aligned, with blanks before it: its length is always the same. */
static __always_inline void make_line(__u8 text[64], struct sk_msg_md *message)
{
	__u32 address = bpf_ntohl(message->local_ip4), at = FP_INJECT_LINE - 3;

	__builtin_memcpy(text, FP_INJECT_NAME "                        ", FP_INJECT_LINE - 2);
	text[FP_INJECT_LINE - 2] = '\r';
	text[FP_INJECT_LINE - 1] = '\n';
	at = put_number(text, at, message->local_port);
	text[at-- & 63] = ':';
	for (int i = 0; i < 4; i++) {
		at = put_number(text, at, address >> 8 * i & 0xff);
		if (i < 3)
			text[at-- & 63] = '.';
	}
}

static __always_inline int add_line(struct sk_msg_md *message, __u32 at)
{
	__u8 text[64], *data;

	make_line(text, message);
	if (bpf_msg_push_data(message, at, FP_INJECT_LINE, 0) < 0)
		return 0;
	if (bpf_msg_pull_data(message, at, at + FP_INJECT_LINE, 0) < 0) {
		bpf_msg_pop_data(message, at, FP_INJECT_LINE, 0);
		return 0;
	}
	data = (void *)(long)message->data;
	if (data + FP_INJECT_LINE > (__u8 *)(long)message->data_end) {
		bpf_msg_pop_data(message, at, FP_INJECT_LINE, 0);
		return 0;
	}
	__builtin_memcpy(data, text, FP_INJECT_LINE);
	__sync_fetch_and_add(&added, 1);
	return 1;
}

SEC("sk_msg")
int on_message(struct sk_msg_md *message)
{
	struct bpf_sock *sk = message->sk;
	struct reading reading = {.message = message};
	struct head *head;
	struct tcp_sock *tcp;
	struct place *place;
	__u32 size = message->size, from;

	if (!sk)
		return SK_PASS;
	place = bpf_sk_storage_get(&places, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	tcp = (void *)bpf_skc_to_tcp_sock(sk);
	if (!place || !tcp || place->known == 2)
		return SK_PASS;
	from = BPF_CORE_READ(tcp, write_seq);
	if (place->known == 1 && (__s32)(from - place->next) < 0)
		return SK_PASS; /* within a body */
	if (place->known == 1 && from != place->next) {
		place->known = 2;
		return SK_PASS;
	}
	if (bpf_msg_pull_data(message, 0, size < FP_INJECT_HEAD_MAX ? size : FP_INJECT_HEAD_MAX, 0) < 0) {
		place->known = 2;
		return SK_PASS;
	}
	head = reading.head = &place->head;
	__builtin_memset(head, 0, sizeof(*head));
	head->matches = (1u << NAMES) - 1;
	bpf_loop(FP_INJECT_HEAD_MAX, read_byte, &reading, 0);
	/* no head, not all of it, or one after which nobody knows where the next begins */
	if (head->bad || !head->end || head->length > 1ull << 30 || head->has & (1u << TRANSFER_ENCODING | 1u << UPGRADE)) {
		place->known = 2;
		return SK_PASS;
	}
	place->next = from + head->end + (__u32)head->length;
	place->known = 1;
	if (!(head->has & 1u << FORWARDED) && size <= FP_INJECT_SIZE_MAX && add_line(message, head->line))
		place->next += FP_INJECT_LINE;
	return SK_PASS;
}

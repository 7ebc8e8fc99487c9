/*
 * Sockets.  Beside addresses a TCP record carries where in its byte stream the
 * operation ended, and a number that names the stream: snd_una - bytes_acked
 * outgoing, rcv_nxt - bytes_received incoming.  Both stay constant for the life
 * of the connection and are the same at both ends (up to the SYN, which counts
 * for the side that opened), so that a send and the receive of the same bytes
 * find each other across processes and machines, and connections that were open
 * before the agent started are named like all others.
 *
 * The pairs change in softirq while we read, hence read_pair().
 */
#ifndef FP_AGENT_BPF_NETWORK_H
#define FP_AGENT_BPF_NETWORK_H

#include "agent/bpf/file.bpf.h"
#include "agent/bpf/reached.bpf.h"
#include "agent/bpf/replaced.bpf.h"
#include "agent/bpf/sender.bpf.h"

#define AF_UNIX 1
#define SHUTDOWN_BOTH 3
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16
#define NETLINK_USERSOCK 2
#define AF_VSOCK 40
#define UNIX_ROOM 108 /* of a path as the kernel keeps it */
#define MSG_OOB 1
#define MSG_PEEK 2
#define MSG_TRUNC 0x20
#define MSG_ERRQUEUE 0x2000
#define MSG_FASTOPEN 0x20000000
#define IPPROTO_TCP 6
#define PORT_DNS 53 /* of datagrams only these are read (agent/app/dns.h) */

/* The fields that all socket records share, in a place of their own. */
struct endpoints {
	__u64 ino, netns, family, protocol;
	__u64 local_hi, local_lo, local_port, remote_hi, remote_lo, remote_port;
	__u64 tx_base, rx_base, tx_end, rx_end;
};

static __always_inline __u32 swap32(__u32 x) { return __builtin_bswap32(x); }

static __always_inline __u64 half(__u32 upper, __u32 lower)
{
	return (__u64)swap32(upper) << 32 | swap32(lower);
}

struct tcp_numbers {
	__u32 una, next;
	__u64 acked, received;
};

static __always_inline void read_tcp(struct sock *sk, struct tcp_numbers *n)
{
	asm volatile("" ::: "memory"); /* each time anew: the kernel changes them under us */
	n->una = FIELD(struct tcp_sock, sk, snd_una);
	n->acked = FIELD(struct tcp_sock, sk, bytes_acked);
	n->next = FIELD(struct tcp_sock, sk, rcv_nxt);
	n->received = FIELD(struct tcp_sock, sk, bytes_received);
}

static __always_inline void fill_tcp(struct sock *sk, struct endpoints *e)
{
	struct tcp_numbers n, again;

	for (int i = 0; i < 4; i++) {
		read_tcp(sk, &n);
		read_tcp(sk, &again);
		if (n.una == again.una && n.acked == again.acked && n.next == again.next && n.received == again.received)
			break;
	}
	e->tx_base = (__u32)(n.una - (__u32)n.acked);
	e->rx_base = (__u32)(n.next - (__u32)n.received);
	e->tx_end = FIELD(struct tcp_sock, sk, write_seq);
	e->rx_end = FIELD(struct tcp_sock, sk, copied_seq);
}

static __always_inline void fill_inet(struct sock *sk, struct endpoints *e)
{
	e->local_port = FIELD(struct sock, sk, __sk_common.skc_num);
	e->remote_port = __builtin_bswap16(FIELD(struct sock, sk, __sk_common.skc_dport));
	if (e->family == AF_INET) {
		e->local_lo = MAPPED_IPV4 | swap32(FIELD(struct sock, sk, __sk_common.skc_rcv_saddr));
		e->remote_lo = MAPPED_IPV4 | swap32(FIELD(struct sock, sk, __sk_common.skc_daddr));
	} else {
		struct in6_addr local = BPF_CORE_READ(sk, __sk_common.skc_v6_rcv_saddr);
		struct in6_addr remote = BPF_CORE_READ(sk, __sk_common.skc_v6_daddr);

		e->local_hi = half(local.in6_u.u6_addr32[0], local.in6_u.u6_addr32[1]);
		e->local_lo = half(local.in6_u.u6_addr32[2], local.in6_u.u6_addr32[3]);
		e->remote_hi = half(remote.in6_u.u6_addr32[0], remote.in6_u.u6_addr32[1]);
		e->remote_lo = half(remote.in6_u.u6_addr32[2], remote.in6_u.u6_addr32[3]);
	}
}

/*
 * Unix sockets have no addresses of use: the inodes of both ends stand in their places.  The other end has none (0)
 * before it is accepted and after it is closed, so that two processes that are never there at once would not find each
 * other; where both lie in memory, told as bases and never stored, makes up for it.  A closed end keeps its place as
 * long as the other points to it; of one not yet accepted, a former tenant of the place could be taken for it.
 */
static __always_inline void fill_unix(struct sock *sk, struct endpoints *e)
{
	struct sock *peer = BPF_CORE_READ((struct unix_sock *)sk, peer);

	e->local_lo = e->ino;
	e->tx_base = (__u64)sk;
	if (peer && BPF_CORE_READ(peer, sk_shutdown) == SHUTDOWN_BOTH)
		e->rx_base = (__u64)peer;
	if (peer)
		e->remote_lo = BPF_CORE_READ(peer, sk_socket, file, f_inode, i_ino);
}

/* Its own number and whom it is connected to; 0 is the kernel. */
static __always_inline void fill_netlink(struct sock *sk, struct endpoints *e)
{
	e->local_port = BPF_CORE_READ((struct netlink_sock *)sk, portid);
	e->remote_port = BPF_CORE_READ((struct netlink_sock *)sk, dst_portid);
}

/* What a machine and the one that it runs in say to each other by: numbers of both. */
static __always_inline void fill_vsock(struct sock *sk, struct endpoints *e)
{
	struct vsock_sock *vsock = (void *)sk;

	if (!bpf_core_type_exists(struct vsock_sock))
		return;
	e->local_lo = BPF_CORE_READ(vsock, local_addr.svm_cid);
	e->local_port = BPF_CORE_READ(vsock, local_addr.svm_port);
	e->remote_lo = BPF_CORE_READ(vsock, remote_addr.svm_cid);
	e->remote_port = BPF_CORE_READ(vsock, remote_addr.svm_port);
}

/* Of families that are not named here, that there is a socket, and that bytes went through it. */
static __always_inline int is_told(__u64 family)
{
	return family != 0;
}

static __always_inline struct sock *sock_of(struct file *file)
{
	struct socket *socket = FIELD(struct file, file, private_data);

	return FIELD(struct socket, socket, sk);
}

/* Of its own for the verifier, like walk_path. */
__noinline int find_endpoints(__u64 of_file, struct endpoints *e)
{
	struct file *file = (void *)of_file;
	struct inode *inode = FIELD(struct file, file, f_inode);
	struct sock *sk = sock_of(file);
	struct net *net;

	if (!e)
		return 0;
	__builtin_memset(e, 0, sizeof(*e));
	e->ino = FIELD(struct inode, inode, i_ino);
	if (!sk)
		return 0;
	e->family = FIELD(struct sock, sk, __sk_common.skc_family);
	e->protocol = FIELD(struct sock, sk, sk_protocol);
	net = FIELD(struct sock, sk, __sk_common.skc_net.net);
	e->netns = FIELD(struct net, net, ns.inum);
	if (e->family == AF_UNIX) {
		fill_unix(sk, e);
		return 0;
	}
	if (e->family == AF_NETLINK)
		fill_netlink(sk, e);
	if (e->family == AF_VSOCK)
		fill_vsock(sk, e);
	if (e->family != AF_INET && e->family != AF_INET6)
		return 0;
	fill_inet(sk, e);
	if (e->protocol == IPPROTO_TCP)
		fill_tcp(sk, e);
	return 0;
}

static __always_inline void fill_endpoints(struct file *file, struct endpoints *e)
{
	find_endpoints((__u64)file, e);
}

#define COPY_ENDPOINTS(r, fd_, e)                                                                  \
	do {                                                                                       \
		(r)->fd = (fd_);                                                                   \
		(r)->ino = (e)->ino;                                                               \
		(r)->netns = (e)->netns;                                                           \
		(r)->family = (e)->family;                                                         \
		(r)->protocol = (e)->protocol;                                                     \
		(r)->local_hi = (e)->local_hi;                                                     \
		(r)->local_lo = (e)->local_lo;                                                     \
		(r)->local_port = (e)->local_port;                                                 \
		(r)->remote_hi = (e)->remote_hi;                                                   \
		(r)->remote_lo = (e)->remote_lo;                                                   \
		(r)->remote_port = (e)->remote_port;                                               \
		(r)->tx_base = (e)->tx_base;                                                       \
		(r)->rx_base = (e)->rx_base;                                                       \
		(r)->tx_end = (e)->tx_end;                                                         \
		(r)->rx_end = (e)->rx_end;                                                         \
	} while (0)

struct iovec {
	const void *base;
	unsigned long len;
};

/* What user space passed: a buffer, or a vector of which the first piece that is not empty is taken. */
struct data {
	const void *base;
	unsigned long len;
	const void *address; /* of a datagram, as user space gave or got it; NULL: the socket's own */
	unsigned long how; /* MSG_* */
	__u64 request; /* of a ring, whose address is the kernel's own copy (asked_address); 0: none */
};

static __always_inline int read_piece(struct iovec *piece, const struct iovec *vector, int i)
{
	struct {
		__u32 base, len;
	} narrow;

	if (!is_foreign())
		return bpf_probe_read_user(piece, sizeof(*piece), vector + i);
	if (bpf_probe_read_user(&narrow, sizeof(narrow), (void *)vector + i * sizeof(narrow)) < 0)
		return -1;
	piece->base = (void *)(unsigned long)narrow.base;
	piece->len = narrow.len;
	return 0;
}

static __always_inline void first_piece(const struct iovec *vector, unsigned long n, struct data *data)
{
	struct iovec piece = {};

	data->base = 0;
	data->len = 0;
	data->address = 0;
	data->how = data->request = 0;
	for (int i = 0; i < 2 && i < (int)n; i++) {
		if (read_piece(&piece, vector, i) < 0)
			return;
		data->base = piece.base;
		data->len = piece.len;
		if (data->len)
			return;
	}
}

struct user_msghdr_head {
	void *name;
	int name_len;
	int pad;
	struct iovec *vector;
	unsigned long n;
	unsigned long control, control_len;
	unsigned long flags;
};

static __always_inline void read_message(struct user_msghdr_head *head, unsigned long message)
{
	__u32 narrow[7] = {};

	if (!is_foreign()) {
		bpf_probe_read_user(head, sizeof(*head), (void *)message);
		return;
	}
	bpf_probe_read_user(narrow, sizeof(narrow), (void *)message);
	head->name = (void *)(unsigned long)narrow[0];
	head->name_len = narrow[1];
	head->vector = (void *)(unsigned long)narrow[2];
	head->n = narrow[3];
	head->control = narrow[4];
	head->control_len = narrow[5];
	head->flags = narrow[6];
}

struct user_address {
	__u16 family, port;
	__u32 v4; /* IPv6: its flow label */
	struct in6_addr v6;
};

static __always_inline void put_remote(struct endpoints *e, struct user_address *address)
{
	if (address->family == AF_INET) {
		e->remote_hi = 0;
		e->remote_lo = MAPPED_IPV4 | swap32(address->v4);
	} else if (address->family == AF_INET6) {
		e->remote_hi = half(address->v6.in6_u.u6_addr32[0], address->v6.in6_u.u6_addr32[1]);
		e->remote_lo = half(address->v6.in6_u.u6_addr32[2], address->v6.in6_u.u6_addr32[3]);
	} else {
		if (address->family == AF_NETLINK)
			e->remote_port = address->v4;
		return;
	}
	e->remote_port = __builtin_bswap16(address->port);
}

/* A datagram's own address stands in the place of the peer's, which a socket without connection has not. */
static __always_inline void fill_address(struct endpoints *e, const void *user)
{
	struct user_address address = {};

	if (bpf_probe_read_user(&address, 8, user) < 0)
		return;
	if (address.family == AF_INET6 && bpf_probe_read_user(&address, sizeof(address), user) < 0)
		return;
	put_remote(e, &address);
}

/* Where datagrams go that were asked for through a ring, by request: what was submitted is gone when it is done. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FP_ASKED_ADDRESSES_MAX);
	__type(key, __u64);
	__type(value, struct user_address);
} asked_addresses SEC(".maps");

static __always_inline int fill_asked(struct endpoints *e, __u64 request)
{
	struct user_address *address = bpf_map_lookup_elem(&asked_addresses, &request);

	if (!address)
		return 0;
	put_remote(e, address);
	bpf_map_delete_elem(&asked_addresses, &request);
	return 1;
}

/* A call that moved `result` bytes, by any of many calls. */
struct moved {
	__u64 cgroup;
	long result;
	__u32 fd, outgoing;
	__u32 message, n_messages; /* which of how many it is; 0 of 0: the only one */
	__u64 doubt; /* FP_FD_IN_DOUBT: the number may have stood for something else */
	struct data data;
};

/*
 * Whether an address that the process's memory has by now may be another one than the kernel was given.  By netlink,
 * all but this protocol for programs go to the kernel alone, unless the sender may administrate the network.
 */
static __always_inline int may_have_changed(const struct endpoints *e)
{
	if (e->family == AF_NETLINK && e->protocol != NETLINK_USERSOCK && e->remote_port == 0)
		return 0;
	return e->protocol == IPPROTO_UDP || shares_memory();
}

/*
 * The other end of a datagram into the place of the peer's, which a socket without connection has not: as the kernel
 * has it, else as the process's memory has it by now, which is told as such when somebody else could have changed that.
 */
static __always_inline void fill_other_end(struct endpoints *e, struct moved *moved, __u64 of_sk)
{
	int takes = !moved->outgoing && is_udp((void *)of_sk), known = 0;
	struct data *data = &moved->data;
	struct reached *reached;
	struct sender sender = {};

	if (data->request && fill_asked(e, data->request))
		return;
	/* asked for or not: what waits next is another one (of each that a recvmmsg took, the kernel has told) */
	if (takes && !moved->message)
		known = take_sender(&sender, of_sk, e->ino, data->how & MSG_PEEK);
	/* of what goes through rings nothing is noted */
	reached = moved->fd == NO_DESCRIPTOR ? 0 : reached_by_call(moved->message, moved->n_messages ? moved->n_messages : 1);
	if (reached && e->family == AF_UNIX) {
		e->remote_lo = reached->lo;
		e->rx_base = reached->lo ? 0 : reached->place;
	} else if (reached) {
		e->remote_hi = reached->hi;
		e->remote_lo = reached->lo;
		e->remote_port = reached->port;
	} else if (known) {
		e->remote_hi = sender.hi;
		e->remote_lo = sender.lo;
		e->remote_port = sender.port;
	} else if (data->address && e->family != AF_UNIX) {
		fill_address(e, data->address);
		if (may_have_changed(e))
			count_loss(moved->cgroup, FP_LOSS_CAUSE_ADDRESS);
	} else if (takes && !e->remote_port) {
		count_loss(moved->cgroup, FP_LOSS_CAUSE_ADDRESS);
	}
	if (moved->fd != NO_DESCRIPTOR && moved->message + 1 >= moved->n_messages)
		forget_reached();
}

/* A call has failed that can have taken a datagram all the same (EFAULT). */
__noinline int renew_sender_of(__u64 of_file)
{
	struct file *file = (void *)of_file;
	struct socket *socket;
	struct sock *sk;

	if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != 0140000)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	if (sk && is_udp(sk))
		renew_sender((__u64)sk, BPF_CORE_READ(file, f_inode, i_ino));
	return 0;
}

/* A send is laid out as a receive without its last field. */
static __always_inline void fill_transfer(struct fp_record_receive *r, struct file *file, __u64 fd,
					  struct endpoints *e, long bytes, const struct data *data, int sends)
{
	if (sends)
		r->head.type = FP_RECORD_TYPE_SEND;
	COPY_ENDPOINTS(r, fd, e);
	r->bytes = bytes;
	r->flags = FIELD(struct file, file, f_flags);
	if (!sends && data->how & MSG_PEEK)
		r->flags |= FP_RECEIVE_PEEKED;
}

/* 1: it is of a kind that is not told. */
__noinline int record_transfer_socket(struct moved *moved, __u64 of_file)
{
	struct file *file = (void *)of_file;
	struct endpoints e;
	struct data *data;
	int sends, how;
	__u32 len;

	if (!moved)
		return 0;
	data = &moved->data;
	sends = moved->outgoing;
	how = IS_BULK | (sends ? WITH_WORD : 0);
	fill_endpoints(file, &e);
	/* out of the error queue comes what went out by this socket */
	if (!is_told(e.family) || (!sends && data->how & MSG_ERRQUEUE))
		return 1;
	if (!sends && e.protocol == IPPROTO_TCP && data->how & MSG_OOB)
		e.rx_end = (__u32)(FIELD(struct tcp_sock, sock_of(file), urg_seq) + 1); /* read out of turn */
	else if (!sends && data->how & MSG_PEEK && e.protocol == IPPROTO_TCP)
		e.rx_end += moved->result; /* they are still to be read */
	if (e.protocol != IPPROTO_TCP)
		fill_other_end(&e, moved, number_of(sock_of(file)));
	if (e.family != AF_UNIX && (e.protocol == IPPROTO_TCP || (e.protocol == IPPROTO_UDP && e.remote_port == PORT_DNS))) {
		BEGIN_RECORD(record, receive, RECEIVE, moved->cgroup, FP_PAYLOAD_MAX, how, moved->result);
		fill_transfer(&record->r, file, moved->fd | moved->doubt, &e, moved->result, data, sends);
		len = moved->result < (long)data->len ? moved->result : data->len;
		/* read again later; never written to where we look */
		if (!sends && (data->how & MSG_PEEK || (data->how & MSG_TRUNC && e.protocol == IPPROTO_TCP)))
			len = 0;
		if (len > FP_PAYLOAD_MAX)
			len = FP_PAYLOAD_MAX;
		VISIBLE(len);
		if (len > FP_PAYLOAD_MAX || bpf_probe_read_user(record->room_, len, data->base) < 0)
			len = 0;
		record->r.payload.offset = sizeof(record->r);
		record->r.payload.len = len;
		emit(record);
	} else {
		BEGIN_RECORD(record, receive, RECEIVE, moved->cgroup, 0, how, moved->result);
		fill_transfer(&record->r, file, moved->fd | moved->doubt, &e, moved->result, data, sends);
		record->r.payload.offset = sizeof(record->r);
		record->r.payload.len = 0;
		emit(record);
	}
	return 0;
}

/* Of its own for the verifier, like walk_path. */
__noinline int record_any_move(struct moved *moved)
{
	struct identity who = {};
	struct file *file;
	int untold;

	if (!moved || moved->result < 0 || is_watchdog(moved->cgroup))
		return 0;
	file = file_of(moved->fd);
	/* it has moved bytes, and there is nothing: it was closed in the middle of the call */
	if (!file || is_in_doubt(moved->fd))
		moved->doubt = FP_FD_IN_DOUBT;
	if (moved->doubt && !moved->message)
		count_loss(moved->cgroup, FP_LOSS_CAUSE_DESCRIPTOR);
	if (!file)
		forget_reached();
	untold = !file || !identify_moved(file, &who);
	if (!untold && who.object == FP_OBJECT_KIND_SOCKET) {
		untold = record_transfer_socket(moved, (__u64)file);
		if (!untold)
			return 0;
	}
	if (untold && !moved->doubt)
		return 0;
	/* whose work the bytes were can have to be known, though not what they went through */
	if (untold) {
		__builtin_memset(&who, 0, sizeof(who));
		who.object = FP_OBJECT_KIND_OTHER;
	}
	return record_transfer(moved->cgroup, moved->result, &who, moved->fd | moved->doubt, moved->outgoing);
}

static __always_inline int record_moved(struct call *call, __u32 fd, struct data *data, int outgoing)
{
	struct moved moved = {.cgroup = call->cgroup, .result = call->result, .fd = fd, .outgoing = outgoing, .data = *data};

	return record_any_move(&moved);
}

/*
 * The name under which a unix socket takes connections: as it was bound, which an accepted one has from who listens;
 * one of no file begins with @, as in /proc/net/unix.
 */
static __always_inline void put_unix_name(char *room, __u32 base, struct fp_record_str *str, struct file *file, int of_peer)
{
	struct unix_sock *sk = (void *)sock_of(file);
	struct unix_address *address;
	__u32 len;

	if (of_peer)
		sk = (void *)BPF_CORE_READ(sk, peer);
	address = sk ? BPF_CORE_READ(sk, addr) : 0;
	len = address ? BPF_CORE_READ(address, len) - sizeof(unsigned short) : 0;
	if (len == 0 || len > UNIX_ROOM)
		return;
	VISIBLE(len);
	if (len > UNIX_ROOM || bpf_probe_read_kernel(room, len,
						     (void *)address + bpf_core_field_offset(struct unix_address, name) +
							     sizeof(unsigned short)) < 0)
		return;
	str->offset = base;
	str->len = room[0] ? len - 1 : len; /* a path has its NUL with it */
	if (!room[0])
		room[0] = '@';
}

#define DEFINE_RECORD_SOCKET(function, event, EVENT, room, name)                                   \
	__noinline int function(__u64 cgroup, long result, __u64 of_file, __u32 fd)                    \
	{                                                                                          \
		struct file *file = (void *)of_file;                                               \
		struct endpoints e;                                                                \
                                                                                                   \
		if (!file)                                                                         \
			return 0;                                                                  \
		fill_endpoints(file, &e);                                                          \
		if (!is_told(e.family))                                                            \
			return 0;                                                                  \
		BEGIN_RECORD(record, event, EVENT, cgroup, room, 0, result);                       \
		__builtin_memset(&record->r.fd, 0, sizeof(record->r) - sizeof(record->r.head));    \
		COPY_ENDPOINTS(&record->r, fd, &e);                                                \
		name;                                                                              \
		emit(record);                                                                      \
		return 0;                                                                          \
	}
#define PUT_UNIX_NAME(of_peer)                                                                     \
	if (e.family == AF_UNIX)                                                                   \
	put_unix_name(record->room_, sizeof(record->r), &record->r.path, file, of_peer)
DEFINE_RECORD_SOCKET(record_socket, socket, SOCKET, 0, )
DEFINE_RECORD_SOCKET(record_connect, connect, CONNECT, UNIX_ROOM, PUT_UNIX_NAME(1))
DEFINE_RECORD_SOCKET(record_accept, accept, ACCEPT, UNIX_ROOM, PUT_UNIX_NAME(0))
DEFINE_RECORD_SOCKET(record_bind, bind, BIND, 0, )
DEFINE_RECORD_SOCKET(record_listen, listen, LISTEN, 0, )

__noinline int record_shutdown(__u64 cgroup, long result, __u64 of_file, __u32 fd, __u64 how)
{
	struct file *file = (void *)of_file;
	struct endpoints e;

	if (!file)
		return 0;
	fill_endpoints(file, &e);
	BEGIN_RECORD(record, shutdown, SHUTDOWN, cgroup, 0, 0, result);
	COPY_ENDPOINTS(&record->r, fd, &e);
	record->r.flags = how;
	emit(record);
	return 0;
}

#endif

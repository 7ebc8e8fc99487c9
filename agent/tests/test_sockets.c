/*
 * Sockets of all families and the odd ways to use them, each record against what
 * the child knows it did.  Needs root and BPF.
 */
#include "agent/tests/recorded.h"

#include <linux/vm_sockets.h>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/un.h>

/* --- unix ----------------------------------------------------------------------------- */

static int serve_unix(const struct sockaddr_un *address, socklen_t len, int type)
{
	int server = socket(AF_UNIX, type, 0), caller = socket(AF_UNIX, type, 0), called;
	char data[8];

	if (bind(server, (const void *)address, len) || listen(server, 1) || connect(caller, (const void *)address, len))
		return 1;
	called = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	told[0] = ino_of_fd(server);
	told[1] = ino_of_fd(caller);
	told[2] = ino_of_fd(called);
	return send(caller, "hello", 5, 0) != 5 || recv(called, data, 8, 0) != 5 || send(called, "yes", 3, 0) != 3 ||
	       read(caller, data, 8) != 3 || shutdown(caller, SHUT_WR);
}

static int serve_path(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", in_directory("socket"));
	return serve_unix(&address, sizeof(address), SOCK_STREAM);
}

static int serve_abstract(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0faasprov"};

	return serve_unix(&address, offsetof(struct sockaddr_un, sun_path) + 9, SOCK_SEQPACKET);
}

static void assert_unix(const char *name)
{
	const struct fp_event *connected = nth(FP_EVENT_TYPE_CONNECT, 0), *accepted = nth(FP_EVENT_TYPE_ACCEPT, 0);

	assert_text(connected->path, name);
	assert_text(accepted->path, name);
	assert_int_equal(connected->family, AF_UNIX);
	assert_int_equal(connected->ino, told[1]);
	assert_int_equal(accepted->ino, told[2]);
	assert_int_equal(accepted->remote_lo, told[1]);
	assert_int_equal(accepted->fd, accepted->result);
	assert_int_equal(nth(FP_EVENT_TYPE_BIND, 0)->ino, told[0]);
	assert_int_equal(nth(FP_EVENT_TYPE_LISTEN, 0)->ino, told[0]);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->ino, told[1]);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->remote_lo, told[2]);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->bytes, 5);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->ino, told[2]);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->bytes, 5);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 1)->bytes, 3);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 1)->ino, told[1]);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 1)->bytes, 3);
	assert_int_equal(nth(FP_EVENT_TYPE_SHUTDOWN, 0)->ino, told[1]);
	assert_int_equal(nth(FP_EVENT_TYPE_SHUTDOWN, 0)->flags, SHUT_WR);
}

static void unix_sockets_have_the_name_they_serve(void **state)
{
	share();
	record(serve_path);
	assert_unix(in_directory("socket"));
	record(serve_abstract);
	assert_unix("@faasprov");
}

/* --- descriptors in messages ------------------------------------------------------------- */

#define PASSED 3

static int pass_many(void)
{
	int pair[2], fds[PASSED], one = 1;
	char byte = 'x', room[CMSG_SPACE(sizeof(fds)) + CMSG_SPACE(sizeof(struct ucred))] = "";
	struct iovec piece = {&byte, 1};
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = room, .msg_controllen = CMSG_SPACE(sizeof(fds))};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	for (int i = 0; i < PASSED; i++) {
		char name[16];

		snprintf(name, sizeof(name), "passed%d", i);
		fds[i] = open(in_directory(name), O_RDWR | O_CREAT, 0644);
		told[i] = ino_of_fd(fds[i]);
	}
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(head), fds, sizeof(fds));
	/* credentials come along, before the descriptors or behind them */
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) || setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) ||
	    sendmsg(pair[0], &message, 0) != 1 || sendmsg(pair[0], &message, 0) != 1)
		return 1;
	memset(room, 0, sizeof(room));
	message.msg_controllen = sizeof(room);
	if (recvmsg(pair[1], &message, 0) != 1)
		return 2;
	/* room for two alone: the third never comes */
	if (setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &(int){0}, sizeof(int)))
		return 3;
	memset(room, 0, sizeof(room));
	message.msg_controllen = CMSG_LEN(2 * sizeof(int));
	return recvmsg(pair[1], &message, MSG_CMSG_CLOEXEC) != 1 || !(message.msg_flags & MSG_CTRUNC);
}

static void each_descriptor_that_came_is_told(void **state)
{
	share();
	record(pass_many);
	assert_int_equal(count(FP_EVENT_TYPE_PASS), PASSED + 2);
	for (unsigned i = 0; i < PASSED + 2; i++) {
		const struct fp_event *event = nth(FP_EVENT_TYPE_PASS, i);
		char name[16];

		snprintf(name, sizeof(name), "passed%u", i % PASSED);
		assert_int_equal(event->ino, told[i % PASSED]);
		assert_text(event->path, in_directory(name));
		assert_int_equal(event->object, FP_OBJECT_FILE);
		assert_int_equal(event->operation, FP_OPERATION_MESSAGE);
		assert_int_equal(event->flags & O_ACCMODE, O_RDWR);
		assert_int_equal(event->fd, event->result);
	}
}

/* --- TCP ---------------------------------------------------------------------------------- */

static int tcp_server(int family, struct sockaddr_storage *address, socklen_t *len)
{
	int server = socket(family, SOCK_STREAM, 0);
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	*len = family == AF_INET ? sizeof(four) : sizeof(six);
	memcpy(address, family == AF_INET ? (void *)&four : (void *)&six, *len);
	if (setsockopt(server, IPPROTO_TCP, TCP_FASTOPEN, &(int){5}, sizeof(int)) || bind(server, (void *)address, *len) ||
	    listen(server, 5) || getsockname(server, (void *)address, len))
		return -1;
	return server;
}

static int peek_and_read(void)
{
	struct sockaddr_storage address;
	socklen_t len;
	int server = tcp_server(AF_INET6, &address, &len), caller = socket(AF_INET6, SOCK_STREAM, 0), called;
	struct iovec piece[2] = {{"GET ", 4}, {"/ HTTP/1.1\r\n", 12}};
	struct msghdr message = {.msg_iov = piece, .msg_iovlen = 2};
	char data[64];

	if (server < 0 || connect(caller, (void *)&address, len))
		return 1;
	called = accept(server, NULL, NULL);
	told[0] = ino_of_fd(caller);
	told[1] = ino_of_fd(called);
	told[2] = ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
	if (sendmsg(caller, &message, 0) != 16 || recv(called, data, 64, MSG_PEEK) != 16 || recv(called, data, 4, 0) != 4)
		return 2;
	return recv(called, data, 12, MSG_TRUNC) != 12 || send(called, "!", 1, MSG_OOB) != 1;
}

/* "ab", of which b is urgent, then "cd": a, b out of turn, and what is left. */
static int read_out_of_turn(void)
{
	struct sockaddr_storage address;
	socklen_t len;
	int server = tcp_server(AF_INET, &address, &len), caller = socket(AF_INET, SOCK_STREAM, 0), called;
	char data[8];

	if (server < 0 || connect(caller, (void *)&address, len))
		return 1;
	called = accept(server, NULL, NULL);
	if (send(caller, "ab", 2, MSG_OOB) != 2 || send(caller, "cd", 2, 0) != 2)
		return 2;
	return recv(called, data, 8, 0) != 1 || recv(called, data, 8, MSG_OOB) != 1 || data[0] != 'b' || recv(called, data, 8, 0) != 2;
}

static void what_is_urgent_lies_where_it_was_sent(void **state)
{
	uint32_t begin;

	record(read_out_of_turn);
	begin = (uint32_t)(nth(FP_EVENT_TYPE_SEND, 0)->tx_end - 2);
	assert_int_equal((uint32_t)nth(FP_EVENT_TYPE_RECEIVE, 0)->rx_end, begin + 1);
	assert_int_equal((uint32_t)nth(FP_EVENT_TYPE_RECEIVE, 1)->rx_end, begin + 2);
	assert_text(nth(FP_EVENT_TYPE_RECEIVE, 1)->payload, "b");
	assert_int_equal((uint32_t)nth(FP_EVENT_TYPE_RECEIVE, 2)->rx_end, begin + 4);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 2)->bytes, 2);
}

static void what_is_peeked_at_is_still_to_be_read(void **state)
{
	const struct fp_event *sent, *peeked, *got;

	share();
	record(peek_and_read);
	sent = nth(FP_EVENT_TYPE_SEND, 0);
	assert_int_equal(sent->ino, told[0]);
	assert_int_equal(sent->family, AF_INET6);
	assert_int_equal(sent->protocol, IPPROTO_TCP);
	assert_int_equal(sent->remote_port, told[2]);
	assert_int_equal(sent->remote_hi, 0);
	assert_int_equal(sent->remote_lo, 1); /* ::1 */
	assert_int_equal(sent->bytes, 16);
	peeked = nth(FP_EVENT_TYPE_RECEIVE, 0);
	assert_int_equal(peeked->ino, told[1]);
	assert_true(peeked->flags & FP_RECEIVE_PEEKED);
	assert_int_equal(peeked->bytes, 16);
	assert_int_equal(peeked->payload.len, 0);
	got = nth(FP_EVENT_TYPE_RECEIVE, 1);
	assert_false(got->flags & FP_RECEIVE_PEEKED);
	assert_int_equal(got->bytes, 4);
	assert_int_equal(got->payload.len, 4);
	/* each says which bytes: the sixteen were the sender's, the four the first of them */
	assert_int_equal((uint32_t)peeked->rx_end, (uint32_t)sent->tx_end);
	assert_int_equal((uint32_t)(peeked->rx_end - peeked->bytes), (uint32_t)(got->rx_end - got->bytes));
	got = nth(FP_EVENT_TYPE_RECEIVE, 2);
	assert_int_equal(got->bytes, 12);
	assert_int_equal(got->payload.len, 0); /* thrown away, never in the process */
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 1)->ino, told[1]);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 1)->bytes, 1);
}

static int connect_by_data(void)
{
	struct sockaddr_storage address;
	socklen_t len;
	int server = tcp_server(AF_INET, &address, &len), caller = socket(AF_INET, SOCK_STREAM, 0), called;
	char data[8];

	if (server < 0)
		return 1;
	if (sendto(caller, "fast", 4, MSG_FASTOPEN, (void *)&address, len) != 4) /* switched off here */
		return errno == EOPNOTSUPP ? 0 : 2;
	called = accept(server, NULL, NULL);
	told[0] = ino_of_fd(caller);
	told[1] = ino_of_fd(called);
	told[2] = ntohs(((struct sockaddr_in *)&address)->sin_port);
	return recv(called, data, 8, 0) != 4;
}

static void who_connects_by_sending_connects(void **state)
{
	share();
	record(connect_by_data);
	if (!told[0])
		skip();
	assert_int_equal(nth(FP_EVENT_TYPE_CONNECT, 0)->ino, told[0]);
	assert_int_equal(nth(FP_EVENT_TYPE_CONNECT, 0)->remote_port, told[2]);
	assert_int_equal(nth(FP_EVENT_TYPE_CONNECT, 0)->remote_lo, 0xffff7f000001);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->ino, told[0]);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->bytes, 4);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->ino, told[1]);
}

static int map_four_into_six(void)
{
	struct sockaddr_storage address;
	struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_addr.s6_addr = {[10] = 255, [11] = 255, [12] = 127, [15] = 1}};
	socklen_t len;
	int server = tcp_server(AF_INET, &address, &len), caller = socket(AF_INET6, SOCK_STREAM, 0);

	if (server < 0)
		return 1;
	mapped.sin6_port = ((struct sockaddr_in *)&address)->sin_port;
	return connect(caller, (void *)&mapped, sizeof(mapped)) || accept(server, NULL, NULL) < 0;
}

static void a_mapped_address_is_the_same_at_both_ends(void **state)
{
	const struct fp_event *connected, *accepted;

	record(map_four_into_six);
	connected = nth(FP_EVENT_TYPE_CONNECT, 0);
	accepted = nth(FP_EVENT_TYPE_ACCEPT, 0);
	assert_int_equal(connected->remote_lo, 0xffff7f000001);
	assert_int_equal(connected->remote_hi, accepted->local_hi);
	assert_int_equal(connected->remote_lo, accepted->local_lo);
	assert_int_equal(connected->local_port, accepted->remote_port);
	assert_int_equal(connected->local_lo, accepted->remote_lo);
}

/* --- datagrams ------------------------------------------------------------------------------ */

static int talk_in_datagrams(void)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}, from;
	socklen_t len = sizeof(address), from_len = sizeof(from);
	int in = socket(AF_INET6, SOCK_DGRAM, 0), out = socket(AF_INET6, SOCK_DGRAM, 0);
	char data[8];

	if (bind(in, (void *)&address, len) || getsockname(in, (void *)&address, &len) || connect(out, (void *)&address, len))
		return 1;
	told[0] = ntohs(address.sin6_port);
	if (send(out, "connected", 9, 0) != 9 || recvfrom(in, data, 4, MSG_TRUNC, (void *)&from, &from_len) != 9)
		return 2;
	told[1] = ntohs(from.sin6_port);
	return write(out, "", 0) != 0 || recvfrom(in, data, 8, 0, (void *)&from, &from_len) != 0;
}

static void a_connected_datagram_socket_needs_no_address(void **state)
{
	const struct fp_event *event;

	share();
	record(talk_in_datagrams);
	event = nth(FP_EVENT_TYPE_SEND, 0);
	assert_int_equal(event->protocol, IPPROTO_UDP);
	assert_int_equal(event->remote_port, told[0]);
	assert_int_equal(event->local_port, told[1]);
	assert_int_equal(event->remote_lo, 1);
	event = nth(FP_EVENT_TYPE_RECEIVE, 0);
	assert_int_equal(event->bytes, 9); /* what it had, not what there was room for */
	assert_int_equal(event->remote_port, told[1]);
	assert_int_equal(event->local_port, told[0]);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 1)->bytes, 0);
}

static int ask_the_kernel(void)
{
	struct {
		struct nlmsghdr head;
		struct rtgenmsg body;
	} question = {{sizeof(question), RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {AF_PACKET}};
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	socklen_t len = sizeof(address);
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	char data[16384];
	ssize_t n;

	if (fd < 0 || bind(fd, (void *)&address, sizeof(address)) || getsockname(fd, (void *)&address, &len))
		return 1;
	told[0] = ino_of_fd(fd);
	told[1] = address.nl_pid;
	if (send(fd, &question, sizeof(question), 0) != sizeof(question))
		return 2;
	n = recv(fd, data, sizeof(data), 0);
	told[2] = (uint64_t)n;
	return n <= 0;
}

static void what_is_asked_of_the_kernel_is_told(void **state)
{
	const struct fp_event *event;

	share();
	record(ask_the_kernel);
	event = nth(FP_EVENT_TYPE_BIND, 0);
	assert_int_equal(event->ino, told[0]);
	assert_int_equal(event->family, AF_NETLINK);
	assert_int_equal(event->protocol, NETLINK_ROUTE);
	assert_int_equal(event->local_port, told[1]);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->remote_port, 0); /* the kernel */
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->bytes, sizeof(struct nlmsghdr) + 4);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->bytes, told[2]);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->ino, told[0]);
}

/* Between a machine and the one that it runs in. */
static int listen_to_the_machine(void)
{
	struct sockaddr_vm address = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = 5555};
	int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

	if (fd < 0) {
		told[0] = 1;
		return errno != EAFNOSUPPORT && errno != EPERM && errno != EACCES;
	}
	told[1] = ino_of_fd(fd);
	return bind(fd, (void *)&address, sizeof(address)) || listen(fd, 1);
}

static void sockets_of_other_families_are_told(void **state)
{
	share();
	record(listen_to_the_machine);
	if (told[0])
		skip();
	assert_int_equal(nth(FP_EVENT_TYPE_SOCKET, 0)->family, AF_VSOCK);
	assert_int_equal(nth(FP_EVENT_TYPE_BIND, 0)->local_port, 5555);
	assert_int_equal(nth(FP_EVENT_TYPE_BIND, 0)->local_lo, VMADDR_CID_ANY);
	assert_int_equal(nth(FP_EVENT_TYPE_LISTEN, 0)->ino, told[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unix_sockets_have_the_name_they_serve),
		cmocka_unit_test(each_descriptor_that_came_is_told),
		cmocka_unit_test(what_is_peeked_at_is_still_to_be_read),
		cmocka_unit_test(what_is_urgent_lies_where_it_was_sent),
		cmocka_unit_test(who_connects_by_sending_connects),
		cmocka_unit_test(a_mapped_address_is_the_same_at_both_ends),
		cmocka_unit_test(a_connected_datagram_socket_needs_no_address),
		cmocka_unit_test(what_is_asked_of_the_kernel_is_told),
		cmocka_unit_test(sockets_of_other_families_are_told),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

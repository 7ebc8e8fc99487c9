/*
 * Datagrams: where each went and who sent it is what the kernel did with it, not what the process's memory says by the
 * time the call ends, nor what the socket is connected to.  Needs root and BPF.
 */
#include "agent/tests/recorded.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/un.h>

#define LOOPBACK 0xffff7f000001

/* --- UDP -------------------------------------------------------------------------------- */

static struct sockaddr_in bind_somewhere(int fd)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);

	if (bind(fd, (void *)&address, len) || getsockname(fd, (void *)&address, &len))
		_exit(90);
	return address;
}

static struct sockaddr_in address_of(int fd)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	if (getsockname(fd, (void *)&address, &len))
		_exit(91);
	return address;
}

static struct sockaddr_in target;
static volatile bool is_over;

static void *change_the_port(void *ports)
{
	const in_port_t *port = ports;

	for (unsigned i = 0; !is_over; i++)
		__atomic_store_n(&target.sin_port, port[i & 1], __ATOMIC_RELAXED);
	return NULL;
}

#define RACES 1000 /* what a ring of the tests holds */

static int drain(int fd, unsigned which, uint8_t *went)
{
	unsigned number, n = 0;

	while (recv(fd, &number, sizeof(number), MSG_DONTWAIT) == sizeof(number)) {
		went[number] = (uint8_t)which;
		n++;
	}
	return (int)n;
}

/* told[0]: where it began; from told + 2 on, a byte each: to which of the two it went. */
static int send_while_it_changes(void)
{
	int out = socket(AF_INET, SOCK_DGRAM, 0), in[2] = {socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET, SOCK_DGRAM, 0)};
	uint8_t *went = (uint8_t *)(told + 3);
	in_port_t ports[2];
	pthread_t thread;
	int n = 0;

	target = bind_somewhere(in[0]);
	ports[0] = target.sin_port;
	ports[1] = bind_somewhere(in[1]).sin_port;
	told[0] = ntohs(ports[0]);
	told[1] = ntohs(ports[1]);
	if (pthread_create(&thread, NULL, change_the_port, ports))
		return 1;
	for (unsigned i = 0; i < RACES; i++) {
		if (sendto(out, &i, sizeof(i), 0, (void *)&target, sizeof(target)) != sizeof(i))
			return 2;
		n += drain(in[0], 1, went) + drain(in[1], 2, went);
	}
	is_over = true;
	pthread_join(thread, NULL);
	told[2] = ntohs(address_of(out).sin_port);
	return n == RACES ? 0 : 3;
}

static void an_address_that_changes_does_not_lie(void **state)
{
	const uint8_t *went;
	unsigned n = 0;

	share();
	lost_by(FP_LOSS_ADDRESS);
	record(send_while_it_changes);
	went = (const uint8_t *)(told + 3);
	for (size_t i = 0; i < n_events; i++) {
		if (events[i].type != FP_EVENT_TYPE_SEND)
			continue;
		assert_int_equal(events[i].remote_lo, LOOPBACK);
		assert_int_equal(events[i].remote_port, told[went[n] - 1]);
		assert_int_equal(events[i].local_port, told[2]);
		n++;
	}
	assert_int_equal(n, RACES);
	assert_int_equal(lost_by(FP_LOSS_ADDRESS), 0);
}

/* Two messages whose senders are put into the same place: by the end of the call the first one's is gone. */
static int receive_over_each_other(void)
{
	int in = socket(AF_INET, SOCK_DGRAM, 0), out[2] = {socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET, SOCK_DGRAM, 0)};
	struct sockaddr_in to = bind_somewhere(in), sender;
	struct mmsghdr messages[2] = {0};
	char data[2][8];
	struct iovec pieces[2] = {{data[0], 8}, {data[1], 8}};

	for (int i = 0; i < 2; i++) {
		told[i] = ntohs(bind_somewhere(out[i]).sin_port);
		messages[i].msg_hdr = (struct msghdr){&sender, sizeof(sender), &pieces[i], 1, NULL, 0, 0};
		if (sendto(out[i], "x", 1, 0, (void *)&to, sizeof(to)) != 1)
			return 1;
	}
	return recvmmsg(in, messages, 2, MSG_DONTWAIT, NULL) != 2;
}

static void a_sender_that_changes_does_not_lie(void **state)
{
	share();
	record(receive_over_each_other);
	assert_int_equal(count(FP_EVENT_TYPE_RECEIVE), 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, i)->remote_port, told[i]);
		assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, i)->remote_lo, LOOPBACK);
	}
}

/* One call, three messages, two addresses; the same taken by one call; and by a socket that is connected elsewhere. */
static int send_several(void)
{
	int in[2] = {socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET, SOCK_DGRAM, 0)}, out = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in to[2] = {bind_somewhere(in[0]), bind_somewhere(in[1])}, from[3], any;
	struct mmsghdr messages[3] = {0};
	struct iovec piece = {"data", 4};
	char data[3][8];

	told[0] = ntohs(to[0].sin_port);
	told[1] = ntohs(to[1].sin_port);
	for (int i = 0; i < 3; i++)
		messages[i].msg_hdr = (struct msghdr){&to[i & 1], sizeof(to[0]), &piece, 1, NULL, 0, 0};
	if (sendmmsg(out, messages, 3, 0) != 3)
		return 1;
	told[2] = ntohs(address_of(out).sin_port);
	for (int i = 0; i < 3; i++) {
		struct iovec *into = calloc(1, sizeof(*into));

		*into = (struct iovec){data[i], 8};
		messages[i].msg_hdr = (struct msghdr){&from[i], sizeof(from[0]), into, 1, NULL, 0, 0};
	}
	if (recvmmsg(in[0], messages, 3, MSG_DONTWAIT, NULL) != 2)
		return 2;
	/* no family is that of the socket; and an address goes before whom it is connected to */
	any = to[1];
	any.sin_family = AF_UNSPEC;
	return connect(out, (void *)&to[0], sizeof(to[0])) || sendto(out, "other", 5, 0, (void *)&to[1], sizeof(to[1])) != 5 ||
	       sendto(in[0], "unspec", 6, 0, (void *)&any, sizeof(any)) != 6 || send(out, "connect", 7, 0) != 7;
}

static void each_of_many_has_its_own(void **state)
{
	share();
	lost_by(FP_LOSS_ADDRESS);
	record(send_several);
	assert_int_equal(count(FP_EVENT_TYPE_SEND), 6);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(nth(FP_EVENT_TYPE_SEND, i)->remote_port, told[i & 1]);
		assert_int_equal(nth(FP_EVENT_TYPE_SEND, i)->bytes, 4);
	}
	assert_int_equal(count(FP_EVENT_TYPE_RECEIVE), 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, i)->remote_port, told[2]);
		assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, i)->local_port, told[0]);
	}
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 3)->remote_port, told[1]);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 4)->remote_port, told[1]);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 5)->remote_port, told[0]);
	assert_int_equal(lost_by(FP_LOSS_ADDRESS), 0);
}

static int send_by_six(void)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	int in = socket(AF_INET6, SOCK_DGRAM, 0), out = socket(AF_INET6, SOCK_DGRAM, 0);
	socklen_t len = sizeof(address);
	char data[8];

	if (in < 0 || bind(in, (void *)&address, len)) {
		told[0] = 1; /* no IPv6 here */
		return 0;
	}
	if (getsockname(in, (void *)&address, &len) || sendto(out, "six", 3, 0, (void *)&address, len) != 3)
		return 1;
	told[1] = ntohs(address.sin6_port);
	if (recvfrom(in, data, 8, 0, (void *)&address, &len) != 3)
		return 2;
	told[2] = ntohs(address.sin6_port);
	return 0;
}

static void both_ends_of_six_are_known(void **state)
{
	share();
	lost_by(FP_LOSS_ADDRESS);
	record(send_by_six);
	if (told[0])
		skip();
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->remote_port, told[1]);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->remote_hi, 0);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->remote_lo, 1);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->remote_port, told[2]);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->remote_lo, 1);
	assert_int_equal(lost_by(FP_LOSS_ADDRESS), 0);
}

/* What is added to a datagram that waits goes with it, whatever address it is given: the kernel asks nobody then. */
static int send_in_parts(void)
{
	int in[2] = {socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET, SOCK_DGRAM, 0)}, out = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in to[2] = {bind_somewhere(in[0]), bind_somewhere(in[1])};
	char data[8];

	return sendto(out, "one", 3, MSG_MORE, (void *)&to[0], sizeof(to[0])) != 3 ||
	       sendto(out, "two", 3, 0, (void *)&to[1], sizeof(to[1])) != 3 || recv(in[0], data, 8, MSG_DONTWAIT) != 6;
}

static void what_rests_on_the_string_is_counted(void **state)
{
	lost_by(FP_LOSS_ADDRESS);
	record(send_in_parts);
	assert_int_equal(count(FP_EVENT_TYPE_SEND), 2);
	assert_int_equal(lost_by(FP_LOSS_ADDRESS), 1);
}

/* One that fails when its address is known already leaves nothing behind for the next. */
static int fail_to_send(void)
{
	int in = socket(AF_INET, SOCK_DGRAM, 0), out = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in to = bind_somewhere(in), all = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_BROADCAST), .sin_port = 9};

	told[0] = ntohs(to.sin_port);
	return connect(out, (void *)&to, sizeof(to)) || sendto(out, "x", 1, 0, (void *)&all, sizeof(all)) >= 0 ||
	       sendto(out, "yes", 3, 0, NULL, 0) != 3;
}

static void what_failed_leaves_nothing_behind(void **state)
{
	share();
	record(fail_to_send);
	assert_int_equal(count(FP_EVENT_TYPE_SEND), 1);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->remote_port, told[0]);
}

/* --- UDP, by calls that do not ask who sent it -------------------------------------------- */

static int send_from(int fd, const char *text, const void *to, socklen_t len)
{
	return sendto(fd, text, strlen(text), 0, to, len) != (ssize_t)strlen(text);
}

static void pair_of_senders(int out[2])
{
	for (int i = 0; i < 2; i++) {
		out[i] = socket(AF_INET, SOCK_DGRAM, 0);
		told[i] = ntohs(bind_somewhere(out[i]).sin_port);
	}
}

/* told: both senders, then who sent what the next call gets, a byte each from told + 3 on; told[2]: how many. */
static void expect(int which)
{
	((uint8_t *)(told + 3))[told[2]++] = (uint8_t)which;
}

static void assert_senders(void)
{
	const uint8_t *who = (const uint8_t *)(told + 3);

	assert_int_equal(count(FP_EVENT_TYPE_RECEIVE) + count(FP_EVENT_TYPE_READ), told[2]);
	for (unsigned i = 0; i < told[2]; i++) {
		assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, i)->remote_port, told[who[i]]);
		assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, i)->remote_lo, LOOPBACK);
		assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, i)->remote_hi, 0);
	}
}

static int take_without_asking(void)
{
	int in = socket(AF_INET, SOCK_DGRAM, 0), out[2];
	struct sockaddr_in to = bind_somewhere(in), from;
	struct iovec piece;
	char data[8];
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
	socklen_t len = sizeof(from);

	pair_of_senders(out);
	piece = (struct iovec){data, sizeof(data)};
	for (int i = 0; i < 8; i++)
		if (send_from(out[i == 1 || i == 4 || i == 6], i == 3 ? "" : "longer", &to, sizeof(to)))
			return 1;
	if (recv(in, data, 8, MSG_PEEK) != 6 || recv(in, data, 8, 0) != 6 || recv(in, data, 8, 0) != 6)
		return 2;
	expect(0), expect(0), expect(1);
	/* cut; empty; by other calls; by one that asks, and what comes after it */
	if (recv(in, data, 2, 0) != 2 || recv(in, data, 8, 0) != 0 || read(in, data, 8) != 6 || recvmsg(in, &message, 0) != 6)
		return 3;
	expect(0), expect(0), expect(1), expect(0);
	if (recvfrom(in, data, 8, 0, (void *)&from, &len) != 6 || readv(in, &piece, 1) != 6)
		return 4;
	expect(1), expect(0);
	/* none waits any more */
	if (recv(in, data, 8, MSG_DONTWAIT) != -1 || send_from(out[1], "one", &to, sizeof(to)) || recv(in, data, 8, 0) != 3)
		return 5;
	expect(1);
	return 0;
}

static void who_was_not_asked_about_is_known(void **state)
{
	share();
	lost_by(FP_LOSS_ADDRESS);
	record(take_without_asking);
	assert_senders();
	assert_int_equal(count(FP_EVENT_TYPE_READ), 0);
	assert_int_equal(lost_by(FP_LOSS_ADDRESS), 0);
}

/* A read of no bytes takes none: whoever waits did not send what it got. */
static int take_nothing(void)
{
	int in = socket(AF_INET, SOCK_DGRAM, 0), out[2];
	struct sockaddr_in to = bind_somewhere(in);
	char data[8];

	pair_of_senders(out);
	if (send_from(out[1], "one", &to, sizeof(to)) || read(in, data, 0) != 0 || recv(in, data, 8, 0) != 3)
		return 1;
	return 0;
}

static void who_waits_has_not_sent_what_was_taken(void **state)
{
	share();
	lost_by(FP_LOSS_ADDRESS);
	record(take_nothing);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->bytes, 0);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->remote_port, 0);
	assert_int_equal(lost_by(FP_LOSS_ADDRESS), 1);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 1)->remote_port, told[1]);
}

/* Taken by a call that fails; and one that was sent before its socket was connected to somebody else. */
static int take_oddly(void)
{
	int in = socket(AF_INET, SOCK_DGRAM, 0), out[2];
	struct sockaddr_in to = bind_somewhere(in), other;
	char data[8];

	pair_of_senders(out);
	other = address_of(out[1]);
	if (send_from(out[0], "one", &to, sizeof(to)) || send_from(out[1], "two", &to, sizeof(to)) ||
	    send_from(out[0], "three", &to, sizeof(to)))
		return 1;
	if (recv(in, (void *)8, 8, 0) != -1 || errno != EFAULT || recv(in, data, 8, 0) != 3 || memcmp(data, "two", 3) != 0)
		return 2;
	expect(1);
	if (connect(in, (void *)&other, sizeof(other)) || recv(in, data, 8, 0) != 5)
		return 3;
	expect(0);
	return 0;
}

static void who_sent_what_others_did_not_get_is_known(void **state)
{
	share();
	lost_by(FP_LOSS_ADDRESS);
	record(take_oddly);
	assert_senders();
	assert_int_equal(lost_by(FP_LOSS_ADDRESS), 0);
}

static int take_by_six(void)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any}, six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int in = socket(AF_INET6, SOCK_DGRAM, 0), out[2] = {socket(AF_INET, SOCK_DGRAM, 0), socket(AF_INET6, SOCK_DGRAM, 0)};
	socklen_t len = sizeof(any);
	char data[8];

	if (in < 0 || bind(in, (void *)&any, len) || bind(out[1], (void *)&six, len)) {
		told[2] = 1; /* no IPv6 here */
		return 0;
	}
	told[0] = ntohs(bind_somewhere(out[0]).sin_port);
	if (getsockname(in, (void *)&any, &len))
		return 1;
	six.sin6_port = four.sin_port = any.sin6_port;
	if (send_from(out[0], "four", &four, sizeof(four)) || send_from(out[1], "six", &six, sizeof(six)))
		return 2;
	if (recv(in, data, 8, 0) != 4 || recv(in, data, 8, 0) != 3 || getsockname(out[1], (void *)&six, &len))
		return 3;
	told[1] = ntohs(six.sin6_port);
	return 0;
}

static void who_sent_by_six_or_four_is_known(void **state)
{
	share();
	lost_by(FP_LOSS_ADDRESS);
	record(take_by_six);
	if (told[2])
		skip();
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->remote_port, told[0]);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->remote_lo, LOOPBACK);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 1)->remote_port, told[1]);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 1)->remote_hi, 0);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 1)->remote_lo, 1);
	assert_int_equal(lost_by(FP_LOSS_ADDRESS), 0);
}

/* The kernel looks up an address for each message of a recvmmsg, wanted or not. */
static int take_several(void)
{
	int in = socket(AF_INET, SOCK_DGRAM, 0), out[2];
	struct sockaddr_in to = bind_somewhere(in);
	struct mmsghdr messages[2] = {0};
	char data[2][8];
	struct iovec pieces[2] = {{data[0], 8}, {data[1], 8}};

	pair_of_senders(out);
	for (int i = 0; i < 2; i++) {
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &pieces[i], .msg_iovlen = 1};
		if (send_from(out[i], "x", &to, sizeof(to)))
			return 1;
	}
	if (recvmmsg(in, messages, 2, MSG_DONTWAIT, NULL) != 2 || send_from(out[1], "x", &to, sizeof(to)))
		return 2;
	return recv(in, data[0], 8, 0) != 1;
}

static void of_several_that_nobody_asked_about_each_is_known(void **state)
{
	share();
	lost_by(FP_LOSS_ADDRESS);
	record(take_several);
	assert_int_equal(count(FP_EVENT_TYPE_RECEIVE), 3);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->remote_port, told[0]);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 1)->remote_port, told[1]);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 2)->remote_port, told[1]);
	assert_int_equal(lost_by(FP_LOSS_ADDRESS), 0);
}

static struct sockaddr_in flooded;
static int flooders[2];

static void *send_by_turns(void *arg)
{
	for (unsigned i = 0; i < RACES; i++) {
		uint8_t which = (uint8_t)(i * 7 / 3 & 1);

		if (sendto(flooders[which], &which, 1, 0, (void *)&flooded, sizeof(flooded)) != 1)
			_exit(92);
	}
	return arg;
}

/* While another thread sends. */
static int take_all(int how)
{
	int in = socket(AF_INET, SOCK_DGRAM, 0), room = 1 << 20;
	pthread_t thread;
	uint8_t which;

	flooded = bind_somewhere(in);
	pair_of_senders(flooders);
	if (setsockopt(in, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)) || pthread_create(&thread, NULL, send_by_turns, NULL))
		return 1;
	while (told[2] < RACES)
		if (recv(in, &which, 1, how) == 1)
			expect(which);
	return pthread_join(thread, NULL);
}

static int take_as_they_come(void) { return take_all(0); }
/* Never asleep: some are taken before anybody has seen them wait. */
static int take_at_once(void) { return take_all(MSG_DONTWAIT); }

static void assert_known_or_counted(int (*takes)(void), const char *how)
{
	const uint8_t *who;
	unsigned unknown = 0;

	share();
	lost_by(FP_LOSS_ADDRESS);
	record(takes);
	who = (const uint8_t *)(told + 3);
	assert_int_equal(count(FP_EVENT_TYPE_RECEIVE), RACES);
	for (unsigned i = 0; i < RACES; i++) {
		uint64_t port = nth(FP_EVENT_TYPE_RECEIVE, i)->remote_port;

		unknown += port == 0;
		if (port)
			assert_int_equal(port, told[who[i]]);
	}
	print_message("%s: %u of %u senders not known\n", how, unknown, RACES);
	assert_int_equal(lost_by(FP_LOSS_ADDRESS), unknown);
}

static void who_is_not_known_is_counted_and_nobody_else_told(void **state)
{
	assert_known_or_counted(take_as_they_come, "waiting");
	assert_known_or_counted(take_at_once, "asking all the time");
}

/* --- unix ------------------------------------------------------------------------------- */

static socklen_t unix_address(struct sockaddr_un *address, const char *name)
{
	*address = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(address->sun_path, sizeof(address->sun_path), "%s", name);
	if (name[0] != '@')
		return sizeof(*address);
	address->sun_path[0] = 0;
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
}

/* Two send to one by its name, and it does not ask who; the second is connected elsewhere. */
static int send_to_names(void)
{
	int server = socket(AF_UNIX, SOCK_DGRAM, 0), other = socket(AF_UNIX, SOCK_DGRAM, 0);
	int out[2] = {socket(AF_UNIX, SOCK_DGRAM, 0), socket(AF_UNIX, SOCK_DGRAM, 0)};
	struct sockaddr_un name, elsewhere;
	socklen_t len = unix_address(&name, in_directory("datagrams")), other_len = unix_address(&elsewhere, "@faasprov-datagrams");
	char data[8];

	told[0] = ino_of_fd(server);
	told[1] = ino_of_fd(other);
	told[2] = ino_of_fd(out[0]);
	told[3] = ino_of_fd(out[1]);
	if (bind(server, (void *)&name, len) || bind(other, (void *)&elsewhere, other_len) ||
	    connect(out[1], (void *)&elsewhere, other_len))
		return 1;
	if (sendto(out[0], "one", 3, 0, (void *)&name, len) != 3 || sendto(out[1], "two", 3, 0, (void *)&name, len) != 3 ||
	    write(out[1], "three", 5) != 5)
		return 2;
	/* who sent it is gone by the time that it is taken */
	close(out[0]);
	return recv(server, data, 8, 0) != 3 || read(server, data, 8) != 3 || recv(other, data, 8, MSG_PEEK) != 5 ||
	       recv(other, data, 8, 0) != 5;
}

static void datagrams_by_name_have_both_ends(void **state)
{
	share();
	record(send_to_names);
	assert_int_equal(count(FP_EVENT_TYPE_SEND), 3);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->ino, told[2]);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 0)->remote_lo, told[0]);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 1)->ino, told[3]);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 1)->remote_lo, told[0]);
	assert_int_equal(nth(FP_EVENT_TYPE_SEND, 2)->remote_lo, told[1]);
	assert_int_equal(count(FP_EVENT_TYPE_RECEIVE), 4);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->ino, told[0]);
	/* known by where it lay in memory, as its own record says */
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->remote_lo, 0);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 0)->rx_base, nth(FP_EVENT_TYPE_SEND, 0)->tx_base);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 1)->remote_lo, told[3]);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 2)->remote_lo, told[3]);
	assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, 3)->remote_lo, told[3]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_that_changes_does_not_lie),
		cmocka_unit_test(a_sender_that_changes_does_not_lie),
		cmocka_unit_test(each_of_many_has_its_own),
		cmocka_unit_test(both_ends_of_six_are_known),
		cmocka_unit_test(what_rests_on_the_string_is_counted),
		cmocka_unit_test(what_failed_leaves_nothing_behind),
		cmocka_unit_test(who_was_not_asked_about_is_known),
		cmocka_unit_test(who_waits_has_not_sent_what_was_taken),
		cmocka_unit_test(who_sent_what_others_did_not_get_is_known),
		cmocka_unit_test(who_sent_by_six_or_four_is_known),
		cmocka_unit_test(of_several_that_nobody_asked_about_each_is_known),
		cmocka_unit_test(who_is_not_known_is_counted_and_nobody_else_told),
		cmocka_unit_test(datagrams_by_name_have_both_ends),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

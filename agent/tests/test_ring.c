/*
 * What goes through an io_uring and leaves no system call of its name: names, files
 * of the ring's own, a ring that a thread of the kernel empties.  Each record against
 * what the child knows it did.  Needs root and BPF.
 */
#include "agent/tests/recorded.h"
#include "agent/tests/through_ring.h"

#include <netinet/in.h>

#define RING(...) through_ring(ring, &p, (struct io_uring_sqe){__VA_ARGS__})
#define NAME(text) ((uintptr_t)(text))

static const char *path(const char *name)
{
	static char paths[8][256];
	static unsigned turn;
	char *room = paths[turn++ % 8];

	snprintf(room, sizeof(paths[0]), "%s/%s", directory, name);
	return room;
}

static int change_names(void)
{
	struct io_uring_params p = {0};
	int ring = syscall(SYS_io_uring_setup, 1, &p), at = open(directory, O_RDONLY | O_DIRECTORY);

	if (ring < 0)
		return 1;
	close(open(path("old"), O_CREAT | O_WRONLY, 0600));
	told[0] = ino_of_fd(open(path("old"), O_RDONLY));
	if (chdir(directory))
		return 2;
	if (RING(.opcode = IORING_OP_MKDIRAT, .fd = AT_FDCWD, .addr = NAME("made"), .len = 0751) ||
	    RING(.opcode = IORING_OP_RENAMEAT, .fd = at, .addr = NAME("old"), .len = AT_FDCWD, .off = NAME(path("new"))) ||
	    RING(.opcode = IORING_OP_LINKAT, .fd = AT_FDCWD, .addr = NAME(path("new")), .len = at, .off = NAME("made/link")) ||
	    RING(.opcode = IORING_OP_SYMLINKAT, .fd = at, .addr = NAME("../anywhere"), .off = NAME("made/pointer")) ||
	    RING(.opcode = IORING_OP_UNLINKAT, .fd = at, .addr = NAME("made/link")) ||
	    RING(.opcode = IORING_OP_UNLINKAT, .fd = at, .addr = NAME("made/pointer")) ||
	    RING(.opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = NAME(path("made")), .unlink_flags = AT_REMOVEDIR))
		return 3;
	if (RING(.opcode = IORING_OP_OPENAT, .fd = at, .addr = NAME("nothing"), .open_flags = O_RDONLY) != -ENOENT ||
	    RING(.opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD, .addr = NAME(path("nobody"))) != -ENOENT)
		return 4;
	return 0;
}

static void assert_named(enum fp_event_type type, unsigned n, const char *name, const char *new_name)
{
	const struct fp_event *event = nth(type, n);

	assert_text(event->path, name);
	assert_text(event->new_path, new_name);
	assert_int_equal(event->naming, FP_NAMING_UNVERIFIED);
	assert_int_equal(event->tgid, child);
	assert_int_equal(event->cgroup, cgroup.id);
	assert_int_equal(event->result, 0);
}

static void assert_failed(unsigned n, enum fp_operation operation, int error, const char *name)
{
	const struct fp_event *event = nth(FP_EVENT_TYPE_FAILED, n);

	assert_int_equal(event->operation, operation);
	assert_int_equal(event->result, -error);
	assert_text(event->path, name);
	assert_int_equal(event->tgid, child);
}

static void names_are_told_as_the_kernel_has_them(void **state)
{
	if (!may_use_rings())
		skip();
	share();
	record(change_names);
	assert_named(FP_EVENT_TYPE_MAKE, 0, path("made"), "");
	assert_int_equal(nth(FP_EVENT_TYPE_MAKE, 0)->mode, 0040751);
	assert_int_equal(nth(FP_EVENT_TYPE_MAKE, 0)->object, FP_OBJECT_DIRECTORY);
	assert_named(FP_EVENT_TYPE_RENAME, 0, path("old"), path("new"));
	assert_named(FP_EVENT_TYPE_LINK, 0, path("new"), path("made/link"));
	assert_named(FP_EVENT_TYPE_SYMLINK, 0, "../anywhere", path("made/pointer"));
	assert_named(FP_EVENT_TYPE_UNLINK, 0, path("made/link"), "");
	assert_named(FP_EVENT_TYPE_UNLINK, 1, path("made/pointer"), "");
	assert_named(FP_EVENT_TYPE_UNLINK, 2, path("made"), "");
	assert_int_equal(nth(FP_EVENT_TYPE_UNLINK, 2)->flags, AT_REMOVEDIR);
	assert_int_equal(count(FP_EVENT_TYPE_UNLINK), 3);
	assert_failed(0, FP_OPERATION_OPEN, ENOENT, path("nothing"));
	assert_failed(1, FP_OPERATION_NAME, ENOENT, path("nobody"));
	assert_int_equal(count(FP_EVENT_TYPE_FAILED), 2);
}

/* Attributes by name and by descriptor. */
static int use_attributes(void)
{
	struct io_uring_params p = {0};
	int ring = syscall(SYS_io_uring_setup, 1, &p), fd = open(path("marked"), O_CREAT | O_RDWR, 0600);
	char value[8] = "1";

	if (ring < 0)
		return 1;
	told[0] = ino_of_fd(fd);
	if (chdir(directory) ||
	    RING(.opcode = IORING_OP_FSETXATTR, .fd = fd, .addr = NAME("trusted.one"), .off = NAME(value), .len = 1) ||
	    RING(.opcode = IORING_OP_SETXATTR, .addr = NAME("trusted.two"), .off = NAME(value), .len = 1, .addr3 = NAME("marked")) ||
	    RING(.opcode = IORING_OP_FGETXATTR, .fd = fd, .addr = NAME("trusted.two"), .off = NAME(value), .len = 8) != 1 ||
	    RING(.opcode = IORING_OP_GETXATTR, .addr = NAME("trusted.one"), .off = NAME(value), .len = 8, .addr3 = NAME(path("marked"))) != 1)
		return 2;
	return RING(.opcode = IORING_OP_GETXATTR, .addr = NAME("trusted.none"), .off = NAME(value), .len = 8, .addr3 = NAME("marked")) != -ENODATA;
}

static void assert_attribute(unsigned n, enum fp_operation operation, const char *name, bool by_name, int64_t result)
{
	const struct fp_event *event = nth(FP_EVENT_TYPE_XATTR, n);

	assert_int_equal(event->operation, operation);
	assert_text(event->attribute, name);
	assert_text(event->path, path("marked"));
	assert_int_equal(event->result, result);
	assert_int_equal(event->ino, by_name ? 0 : told[0]);
	assert_int_equal(event->object, by_name ? FP_OBJECT_OTHER : FP_OBJECT_FILE);
	assert_int_equal(event->naming, by_name ? FP_NAMING_UNVERIFIED : FP_NAMING_RESOLVED);
	assert_int_equal(event->tgid, child);
	assert_int_equal(event->cgroup, cgroup.id);
}

static void attributes_through_a_ring_are_told(void **state)
{
	if (!may_use_rings())
		skip();
	share();
	lost_by(FP_LOSS_RING_CALL);
	record(use_attributes);
	assert_attribute(0, FP_OPERATION_SET, "trusted.one", false, 0);
	assert_attribute(1, FP_OPERATION_SET, "trusted.two", true, 0);
	assert_attribute(2, FP_OPERATION_GET, "trusted.two", false, 1);
	assert_attribute(3, FP_OPERATION_GET, "trusted.one", true, 1);
	assert_int_equal(count(FP_EVENT_TYPE_XATTR), 4);
	assert_failed(0, FP_OPERATION_CHANGE, ENODATA, path("marked"));
	assert_int_equal(count(FP_EVENT_TYPE_FAILED), 1);
	assert_int_equal(lost_by(FP_LOSS_RING_CALL), 0);
}

/* A file that has no number but a place in the ring's table, in a ring that no call empties. */
static int use_files_of_the_ring(unsigned flags)
{
	struct io_uring_params p = {.flags = flags, .sq_thread_idle = 1000};
	int ring = syscall(SYS_io_uring_setup, 1, &p), fd = open(path("fixed"), O_CREAT | O_RDWR, 0600);
	char data[16] = "through a place";

	if (ring < 0)
		return 1;
	told[0] = ino_of_fd(fd);
	if (syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &fd, 1) || close(fd))
		return 2;
	if (RING(.opcode = IORING_OP_WRITE, .flags = IOSQE_FIXED_FILE, .fd = 0, .addr = NAME(data), .len = 15) != 15)
		return 3;
	return RING(.opcode = IORING_OP_READ, .flags = IOSQE_FIXED_FILE, .fd = 0, .addr = NAME(data), .len = 7, .off = 0) != 7;
}

static int use_fixed_files(void) { return use_files_of_the_ring(0); }
static int use_polled_ring(void) { return use_files_of_the_ring(IORING_SETUP_SQPOLL); }

static void assert_moved(void)
{
	const struct fp_event *written = nth(FP_EVENT_TYPE_WRITE, 0), *was_read = nth(FP_EVENT_TYPE_READ, 0);

	assert_int_equal(written->ino, told[0]);
	assert_int_equal(written->bytes, 15);
	assert_int_equal(was_read->ino, told[0]);
	assert_int_equal(was_read->bytes, 7);
	assert_int_equal(written->tgid, child);
	assert_int_equal(was_read->tgid, child);
	assert_int_equal(count(FP_EVENT_TYPE_WRITE), 1);
	assert_int_equal(count(FP_EVENT_TYPE_READ), 1);
}

static void files_of_the_ring_are_known(void **state)
{
	if (!may_use_rings())
		skip();
	share();
	record(use_fixed_files);
	assert_moved();
}

static void a_ring_that_no_call_empties_is_seen(void **state)
{
	if (!may_use_rings())
		skip();
	share();
	record(use_polled_ring);
	assert_moved();
}

/* Accepts and receives that go on: two completions each of one request. */
static int talk_repeatedly(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int server = socket(AF_INET, SOCK_STREAM, 0), callers[2], called;
	struct io_uring_params p = {0};
	socklen_t len = sizeof(address);
	int ring = syscall(SYS_io_uring_setup, 1, &p);
	static char room[4][64];

	if (ring < 0 || bind(server, (void *)&address, len) || listen(server, 4) || getsockname(server, (void *)&address, &len))
		return 1;
	for (int i = 0; i < 2; i++)
		callers[i] = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(callers[0], (void *)&address, len))
		return 2;
	called = RING(.opcode = IORING_OP_ACCEPT, .fd = server, .ioprio = IORING_ACCEPT_MULTISHOT, .user_data = 7);
	told[0] = ino_of_fd(called);
	if (called < 0 || connect(callers[1], (void *)&address, len))
		return 2;
	told[1] = ino_of_fd(next_result(ring, &p));
	if (RING(.opcode = IORING_OP_PROVIDE_BUFFERS, .fd = 4, .addr = NAME(room), .len = 64, .buf_group = 3))
		return 3;
	if (write(callers[0], "hello", 5) != 5 ||
	    RING(.opcode = IORING_OP_RECV, .fd = called, .ioprio = IORING_RECV_MULTISHOT, .flags = IOSQE_BUFFER_SELECT,
		 .buf_group = 3, .user_data = 8) != 5)
		return 4;
	return write(callers[0], "hello you", 9) != 9 || next_result(ring, &p) != 9;
}

static void a_request_that_completes_more_than_once_is_told_each_time(void **state)
{
	if (!may_use_rings())
		skip();
	share();
	record(talk_repeatedly);
	assert_int_equal(count(FP_EVENT_TYPE_ACCEPT), 2);
	assert_int_equal(count(FP_EVENT_TYPE_RECEIVE), 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(nth(FP_EVENT_TYPE_ACCEPT, i)->ino, told[i]);
		assert_true(nth(FP_EVENT_TYPE_ACCEPT, i)->remote_port == nth(FP_EVENT_TYPE_CONNECT, i)->local_port);
		assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, i)->ino, told[0]);
		assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, i)->bytes, i ? 9 : 5);
		assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, i)->rx_end - nth(FP_EVENT_TYPE_RECEIVE, i)->rx_base, i ? 14 : 5);
	}
}

static int datagram_socket(struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t len = sizeof(*address);

	*address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return bind(fd, (void *)address, len) || getsockname(fd, (void *)address, &len) ? -1 : fd;
}

/* Datagrams to an address of their own; what is looked at stays; what brings descriptors. */
static int send_through_a_ring(void)
{
	struct sockaddr_in to, from;
	int receiver = datagram_socket(&to), sender = datagram_socket(&from), pair[2];
	char data[8] = "dgram", in[64], control[CMSG_SPACE(sizeof(int))];
	struct iovec out = {data, 5}, into = {in, sizeof(in)};
	struct sockaddr_in whence;
	struct msghdr sent = {.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &out, .msg_iovlen = 1};
	struct msghdr came = {.msg_name = &whence, .msg_namelen = sizeof(whence), .msg_iov = &into, .msg_iovlen = 1};
	struct msghdr passed = {.msg_iov = &out, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct io_uring_params p = {0};
	int ring = syscall(SYS_io_uring_setup, 1, &p);

	if (ring < 0 || receiver < 0 || sender < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 1;
	told[0] = ntohs(to.sin_port);
	told[1] = ntohs(from.sin_port);
	told[2] = ino_of_fd(sender);
	if (RING(.opcode = IORING_OP_SENDMSG, .fd = sender, .addr = NAME(&sent), .len = 1) != 5 ||
	    RING(.opcode = IORING_OP_SEND, .fd = sender, .addr = NAME(data), .len = 4, .addr2 = NAME(&to), .addr_len = sizeof(to)) != 4)
		return 2;
	if (RING(.opcode = IORING_OP_RECVMSG, .fd = receiver, .addr = NAME(&came), .len = 1) != 5 ||
	    RING(.opcode = IORING_OP_RECV, .fd = receiver, .addr = NAME(in), .len = 64, .msg_flags = MSG_PEEK) != 4 ||
	    RING(.opcode = IORING_OP_RECV, .fd = receiver, .addr = NAME(in), .len = 64) != 4)
		return 3;
	CMSG_FIRSTHDR(&passed)->cmsg_len = CMSG_LEN(sizeof(int));
	CMSG_FIRSTHDR(&passed)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&passed)->cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&passed)), &sender, sizeof(int));
	if (RING(.opcode = IORING_OP_SENDMSG, .fd = pair[0], .addr = NAME(&passed), .len = 1) != 5)
		return 4;
	return RING(.opcode = IORING_OP_RECVMSG, .fd = pair[1], .addr = NAME(&passed), .len = 1) != 5;
}

static void a_ring_sends_to_an_address_and_passes_descriptors(void **state)
{
	if (!may_use_rings())
		skip();
	share();
	record(send_through_a_ring);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(nth(FP_EVENT_TYPE_SEND, i)->local_port, told[1]);
		assert_int_equal(nth(FP_EVENT_TYPE_SEND, i)->remote_port, told[0]);
		assert_int_equal(nth(FP_EVENT_TYPE_SEND, i)->remote_lo, 0xffff7f000001);
		assert_int_equal(nth(FP_EVENT_TYPE_SEND, i)->bytes, 5 - i);
	}
	assert_int_equal(count(FP_EVENT_TYPE_RECEIVE), 4);
	for (unsigned i = 0; i < 3; i++) /* asked for or not */
		assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, i)->remote_port, told[1]);
	assert_true(nth(FP_EVENT_TYPE_RECEIVE, 1)->flags & FP_RECEIVE_PEEKED);
	assert_false(nth(FP_EVENT_TYPE_RECEIVE, 2)->flags & FP_RECEIVE_PEEKED);
	assert_int_equal(count(FP_EVENT_TYPE_PASS), 1);
	assert_int_equal(nth(FP_EVENT_TYPE_PASS, 0)->ino, told[2]);
}

/* Opened into the ring's own table; given a number afterwards. */
static int open_into_the_table(void)
{
	struct io_uring_params p = {0};
	int ring = syscall(SYS_io_uring_setup, 1, &p), places[3] = {-1, -1, -1};

	if (ring < 0 || syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, places, 3))
		return 1;
	if (RING(.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = NAME(path("direct")), .open_flags = O_CREAT | O_RDWR,
		 .len = 0600, .file_index = 2))
		return 2;
	if (RING(.opcode = IORING_OP_SOCKET, .fd = AF_INET, .off = SOCK_DGRAM, .file_index = 3))
		return 3;
	told[1] = RING(.opcode = 54 /* FIXED_FD_INSTALL, since 6.8 */, .fd = 1, .flags = IOSQE_FIXED_FILE);
	return 0;
}

static void what_a_ring_keeps_to_itself_is_known(void **state)
{
	const struct fp_event *opened;

	if (!may_use_rings())
		skip();
	share();
	record(open_into_the_table);
	opened = nth(FP_EVENT_TYPE_OPEN, 0);
	assert_text(opened->path, path("direct"));
	assert_int_equal(opened->ino, ino_of(path("direct")));
	assert_true(opened->flags & FP_OPEN_CREATED);
	assert_int_equal(opened->fd, UINT32_MAX);
	assert_int_equal(nth(FP_EVENT_TYPE_SOCKET, 0)->family, AF_INET);
	assert_int_equal(nth(FP_EVENT_TYPE_SOCKET, 0)->protocol, IPPROTO_UDP);
	if ((int)told[1] < 0)
		return;
	assert_int_equal(nth(FP_EVENT_TYPE_OPEN, 1)->fd, told[1]);
	assert_int_equal(nth(FP_EVENT_TYPE_OPEN, 1)->ino, opened->ino);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_told_as_the_kernel_has_them),
		cmocka_unit_test(attributes_through_a_ring_are_told),
		cmocka_unit_test(files_of_the_ring_are_known),
		cmocka_unit_test(a_ring_that_no_call_empties_is_seen),
		cmocka_unit_test(a_request_that_completes_more_than_once_is_told_each_time),
		cmocka_unit_test(a_ring_sends_to_an_address_and_passes_descriptors),
		cmocka_unit_test(what_a_ring_keeps_to_itself_is_known),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

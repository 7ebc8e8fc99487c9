/*
 * What is done to files beside reading and writing, and to sockets beside
 * streams: each record against what the child knows it did.  Needs root and BPF.
 */
#include "agent/tests/recorded.h"

#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/xattr.h>

static int give_names(void)
{
	int fd = open(in_directory("a"), O_RDWR | O_CREAT, 0644), unnamed = open(directory, O_TMPFILE | O_RDWR, 0600);
	char by_proc[64];

	snprintf(by_proc, sizeof(by_proc), "/proc/self/fd/%d", unnamed);
	return fd < 0 || unnamed < 0 || link(in_directory("a"), in_directory("hard")) ||
	       linkat(AT_FDCWD, by_proc, AT_FDCWD, in_directory("named"), AT_SYMLINK_FOLLOW) ||
	       symlink("a", in_directory("soft")) || mkdir(in_directory("dir"), 0750) || rmdir(in_directory("dir")) ||
	       mknod(in_directory("fifo"), S_IFIFO | 0600, 0);
}

static void names_are_given(void **state)
{
	const struct fp_event *event;

	record(give_names);
	event = nth(FP_EVENT_TYPE_LINK, 0);
	assert_text(event->path, in_directory("a"));
	assert_text(event->new_path, in_directory("hard"));
	event = nth(FP_EVENT_TYPE_LINK, 1); /* the file has no name to be found by, but it is this one */
	assert_int_equal(event->ino, ino_of(in_directory("named")));
	assert_int_equal(event->object, FP_OBJECT_FILE);
	assert_text(event->new_path, in_directory("named"));
	event = nth(FP_EVENT_TYPE_SYMLINK, 0);
	assert_text(event->path, "a");
	assert_text(event->new_path, in_directory("soft"));
	event = nth(FP_EVENT_TYPE_MAKE, 0);
	assert_text(event->path, in_directory("dir"));
	assert_int_equal(event->object, FP_OBJECT_DIRECTORY);
	assert_int_equal(event->mode & 07777, 0750);
	event = nth(FP_EVENT_TYPE_UNLINK, 0);
	assert_text(event->path, in_directory("dir"));
	assert_int_equal(event->flags, AT_REMOVEDIR);
	event = nth(FP_EVENT_TYPE_MAKE, 1);
	assert_text(event->path, in_directory("fifo"));
	assert_int_equal(event->object, FP_OBJECT_PIPE);
}

static int change_a_file(void)
{
	int fd = open(in_directory("c"), O_RDWR | O_CREAT, 0644);

	return ftruncate(fd, 4096) || truncate(in_directory("c"), 8192) || fallocate(fd, 0, 8192, 4096) ||
	       chown(in_directory("c"), 11, 12) || fchown(fd, 13, -1);
}

static void length_and_owner_are_changed(void **state)
{
	record(change_a_file);
	assert_int_equal(nth(FP_EVENT_TYPE_TRUNCATE, 0)->bytes, 4096);
	assert_int_equal(nth(FP_EVENT_TYPE_TRUNCATE, 0)->ino, ino_of(in_directory("c")));
	assert_text(nth(FP_EVENT_TYPE_TRUNCATE, 1)->path, in_directory("c"));
	assert_int_equal(nth(FP_EVENT_TYPE_TRUNCATE, 1)->bytes, 8192);
	assert_int_equal(nth(FP_EVENT_TYPE_TRUNCATE, 2)->bytes, 12288);
	assert_text(nth(FP_EVENT_TYPE_CHOWN, 0)->path, in_directory("c"));
	assert_int_equal(nth(FP_EVENT_TYPE_CHOWN, 0)->uid, 11);
	assert_int_equal(nth(FP_EVENT_TYPE_CHOWN, 0)->gid, 12);
	assert_int_equal(nth(FP_EVENT_TYPE_CHOWN, 1)->ino, ino_of(in_directory("c")));
	assert_int_equal(nth(FP_EVENT_TYPE_CHOWN, 1)->uid, 13);
}

static int set_attributes(void)
{
	int fd = open(in_directory("x"), O_RDWR | O_CREAT, 0644);

	if (fsetxattr(fd, "trusted.one", "1", 1, 0) < 0 && errno == EOPNOTSUPP)
		return 0;
	return setxattr(in_directory("x"), "trusted.two", "2", 1, 0) || fremovexattr(fd, "trusted.one");
}

static void attributes_are_set_and_removed(void **state)
{
	record(set_attributes);
	if (count(FP_EVENT_TYPE_XATTR) == 0)
		skip(); /* the file system has none */
	assert_text(nth(FP_EVENT_TYPE_XATTR, 0)->attribute, "trusted.one");
	assert_int_equal(nth(FP_EVENT_TYPE_XATTR, 0)->ino, ino_of(in_directory("x")));
	assert_int_equal(nth(FP_EVENT_TYPE_XATTR, 0)->operation, FP_OPERATION_SET);
	assert_text(nth(FP_EVENT_TYPE_XATTR, 1)->path, in_directory("x"));
	assert_int_equal(nth(FP_EVENT_TYPE_XATTR, 2)->operation, FP_OPERATION_REMOVE);
}

static int map_files(void)
{
	int fd = open(in_directory("m"), O_RDWR | O_CREAT, 0644);
	char *shared, *private;

	if (ftruncate(fd, 8192))
		return 1;
	shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	return shared == MAP_FAILED || private == MAP_FAILED || mprotect(private, 4096, PROT_READ | PROT_EXEC);
}

static void mappings_are_seen(void **state)
{
	const struct fp_event *event;

	record(map_files);
	assert_int_equal(count(FP_EVENT_TYPE_MAP), 1);
	event = nth(FP_EVENT_TYPE_MAP, 0);
	assert_int_equal(event->ino, ino_of(in_directory("m")));
	assert_int_equal(event->bytes, 8192);
	assert_int_equal(event->protection, PROT_READ | PROT_WRITE);
	assert_text(event->path, in_directory("m"));
	event = nth(FP_EVENT_TYPE_LOAD, 0);
	assert_int_equal(event->ino, ino_of(in_directory("m")));
}

static int move_in_kernel(void)
{
	int one[2], other[2], fd = open(in_directory("s"), O_RDWR | O_CREAT, 0644);
	struct iovec piece = {(char[7]){"vmspli"}, 7};
	char data[10] = "";
	loff_t zero = 0;

	if (write(fd, data, 10) != 10 || pipe(one) || pipe(other) || splice(fd, &zero, one[1], NULL, 10, 0) != 10)
		return 1;
	return tee(one[0], other[1], 10, 0) != 10 || vmsplice(other[1], &piece, 1, 0) != 7;
}

static void bytes_moved_in_the_kernel_are_seen(void **state)
{
	record(move_in_kernel);
	assert_int_equal(nth(FP_EVENT_TYPE_READ, 0)->ino, ino_of(in_directory("s"))); /* splice */
	assert_int_equal(nth(FP_EVENT_TYPE_READ, 0)->bytes, 10);
	assert_int_equal(nth(FP_EVENT_TYPE_WRITE, 1)->object, FP_OBJECT_PIPE);
	assert_int_equal(nth(FP_EVENT_TYPE_READ, 1)->ino, nth(FP_EVENT_TYPE_WRITE, 1)->ino); /* tee */
	assert_int_equal(nth(FP_EVENT_TYPE_WRITE, 2)->bytes, 10);
	assert_int_equal(nth(FP_EVENT_TYPE_WRITE, 3)->bytes, 7); /* vmsplice */
	assert_int_equal(nth(FP_EVENT_TYPE_WRITE, 3)->ino, nth(FP_EVENT_TYPE_WRITE, 2)->ino);
}

static int pass_a_descriptor(void)
{
	int pair[2], fd = open(in_directory("passed"), O_RDWR | O_CREAT, 0644);
	char byte = 'x', room[CMSG_SPACE(sizeof(int))] = "";
	struct iovec piece = {&byte, 1};
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || sendmsg(pair[0], &message, 0) != 1 || close(fd))
		return 1;
	memset(room, 0, sizeof(room));
	return recvmsg(pair[1], &message, 0) != 1;
}

static void a_passed_descriptor_is_known(void **state)
{
	record(pass_a_descriptor);
	assert_int_equal(count(FP_EVENT_TYPE_PASS), 1);
	assert_int_equal(nth(FP_EVENT_TYPE_PASS, 0)->ino, ino_of(in_directory("passed")));
	assert_text(nth(FP_EVENT_TYPE_PASS, 0)->path, in_directory("passed"));
	assert_int_equal(nth(FP_EVENT_TYPE_PASS, 0)->operation, FP_OPERATION_MESSAGE);
}

static uint16_t port;

static int send_datagrams(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				      .sin_port = htons(port)};
	int in = socket(AF_INET, SOCK_DGRAM, 0), out = socket(AF_INET, SOCK_DGRAM, 0);
	struct iovec piece[2] = {{"one", 3}, {"three", 5}};
	struct mmsghdr messages[2] = {{.msg_hdr = {&address, sizeof(address), &piece[0], 1, NULL, 0, 0}},
				      {.msg_hdr = {&address, sizeof(address), &piece[1], 1, NULL, 0, 0}}};
	char data[10];

	if (bind(in, (void *)&address, sizeof(address)) ||
	    sendto(out, "data", 4, 0, (void *)&address, sizeof(address)) != 4 || sendmmsg(out, messages, 2, 0) != 2)
		return 1;
	for (int i = 0; i < 2; i++) {
		piece[i] = (struct iovec){data, 5};
		messages[i].msg_hdr = (struct msghdr){.msg_iov = &piece[i], .msg_iovlen = 1};
	}
	return recv(in, data, 10, 0) != 4 || recvmmsg(in, messages, 2, 0, NULL) != 2;
}

static void a_datagram_has_its_own_address(void **state)
{
	static const unsigned sizes[] = {4, 3, 5};

	port = 20000 + getpid() % 20000;
	record(send_datagrams);
	assert_int_equal(nth(FP_EVENT_TYPE_BIND, 0)->local_port, port);
	assert_int_equal(count(FP_EVENT_TYPE_SEND), 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(nth(FP_EVENT_TYPE_SEND, i)->remote_port, port);
		assert_int_equal(nth(FP_EVENT_TYPE_SEND, i)->remote_lo, 0xffff7f000001);
		assert_int_equal(nth(FP_EVENT_TYPE_SEND, i)->bytes, sizes[i]);
		assert_int_equal(nth(FP_EVENT_TYPE_RECEIVE, i)->bytes, sizes[i]);
	}
}

static int listen_and_shut(void)
{
	int listening = socket(AF_INET, SOCK_STREAM, 0);

	return listen(listening, 5) || shutdown(listening, SHUT_RDWR);
}

static void sockets_listen_and_shut(void **state)
{
	record(listen_and_shut);
	assert_true(nth(FP_EVENT_TYPE_LISTEN, 0)->local_port != 0);
	assert_int_equal(nth(FP_EVENT_TYPE_SHUTDOWN, 0)->flags, SHUT_RDWR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_given),
		cmocka_unit_test(length_and_owner_are_changed),
		cmocka_unit_test(attributes_are_set_and_removed),
		cmocka_unit_test(mappings_are_seen),
		cmocka_unit_test(bytes_moved_in_the_kernel_are_seen),
		cmocka_unit_test(a_passed_descriptor_is_known),
		cmocka_unit_test(a_datagram_has_its_own_address),
		cmocka_unit_test(sockets_listen_and_shut),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

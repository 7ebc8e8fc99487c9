/*
 * The kernel side for real: a child in a cgroup of its own does known things, and
 * each record is compared with what the child knows it did.  Needs root and BPF;
 * skipped without.
 */
#include <sched.h>

#include "agent/tests/recorded.h"

/* --- files ---------------------------------------------------------------------- */

static int write_and_read(void)
{
	char data[100] = "";
	struct iovec parts[2] = {{data, 30}, {data, 40}};
	int fd = open(in_directory("a"), O_RDWR | O_CREAT | O_TRUNC, 0640);

	return write(fd, data, 100) != 100 || writev(fd, parts, 2) != 70 || pread(fd, data, 50, 0) != 50 || close(fd);
}

static void files_are_what_was_really_used(void **state)
{
	const struct fp_event *event;

	record(write_and_read);
	event = nth(FP_EVENT_TYPE_OPEN, 0);
	assert_text(event->path, in_directory("a"));
	assert_int_equal(event->ino, ino_of(in_directory("a")));
	assert_int_equal(event->object, FP_OBJECT_FILE);
	assert_int_equal(event->mode, 0640);
	assert_true(event->flags & FP_OPEN_CREATED);
	assert_int_equal(event->tgid, child);
	assert_int_equal(event->cgroup, cgroup.id);
	assert_int_equal(nth(FP_EVENT_TYPE_WRITE, 0)->bytes, 100);
	assert_int_equal(nth(FP_EVENT_TYPE_WRITE, 1)->bytes, 70);
	assert_int_equal(nth(FP_EVENT_TYPE_READ, 0)->bytes, 50);
	assert_int_equal(nth(FP_EVENT_TYPE_READ, 0)->ino, ino_of(in_directory("a")));
	assert_int_equal(count(FP_EVENT_TYPE_WRITE), 2);
	assert_int_equal(count(FP_EVENT_TYPE_CLOSE), 0); /* of a close no record is made */
}

static int open_by_link(void)
{
	if (symlink(in_directory("a"), in_directory("link")) < 0 || chdir(directory) < 0)
		return 1;
	return open("./../../tmp/.//link", O_RDONLY) < 0 && open(in_directory("link"), O_RDONLY) < 0;
}

static void a_link_is_resolved(void **state)
{
	record(open_by_link);
	for (unsigned i = 0; i < count(FP_EVENT_TYPE_OPEN); i++)
		assert_text(nth(FP_EVENT_TYPE_OPEN, i)->path, in_directory("a"));
	assert_true(count(FP_EVENT_TYPE_OPEN) > 0);
}

static int change_names(void)
{
	int dir = open(directory, O_RDONLY | O_DIRECTORY);

	return chmod(in_directory("a"), 0777) || renameat(dir, "a", AT_FDCWD, in_directory("b")) ||
	       unlinkat(dir, "b", 0);
}

static void names_are_made_absolute(void **state)
{
	record(change_names);
	assert_text(nth(FP_EVENT_TYPE_CHMOD, 0)->path, in_directory("a"));
	assert_int_equal(nth(FP_EVENT_TYPE_CHMOD, 0)->mode, 0777);
	assert_text(nth(FP_EVENT_TYPE_RENAME, 0)->path, in_directory("a"));
	assert_text(nth(FP_EVENT_TYPE_RENAME, 0)->new_path, in_directory("b"));
	assert_text(nth(FP_EVENT_TYPE_UNLINK, 0)->path, in_directory("b"));
}

static int fail_to_open(void)
{
	return open(in_directory("not there"), O_RDONLY) >= 0 || unlink(in_directory("not there")) == 0;
}

static void what_failed_changed_nothing(void **state)
{
	record(fail_to_open);
	assert_int_equal(count(FP_EVENT_TYPE_OPEN), 0);
	assert_int_equal(count(FP_EVENT_TYPE_UNLINK), 0);
}

static int make_deep(void)
{
	char name[201];

	memset(name, 'd', 200);
	name[200] = '\0';
	if (chdir(directory) < 0)
		return 1;
	for (int i = 0; i < 10; i++)
		if (mkdir(name, 0755) < 0 || chdir(name) < 0)
			return 1;
	return open("leaf", O_CREAT | O_WRONLY, 0644) < 0;
}

/* A path longer than its place keeps its end, which tells most. */
static void long_paths_keep_their_end(void **state)
{
	const struct fp_event *event;

	record(make_deep);
	event = nth(FP_EVENT_TYPE_OPEN, 0);
	assert_true(event->path.len > 700 && event->path.len <= 1024);
	assert_memory_equal(event->path.data + event->path.len - 5, "/leaf", 5);
	assert_true(event->ino != 0);
	assert_true(lost_by(FP_LOSS_TRUNCATED) > 0);
}

/* --- processes --------------------------------------------------------------------- */

static int fork_and_exec(void)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execl("/bin/true", "true", "first", "second argument", NULL);
		_exit(1);
	}
	return waitpid(pid, &status, 0) != pid || status != 0;
}

static void a_process_that_lives_a_moment_has_its_identity(void **state)
{
	const struct fp_event *forked, *executed, *ended;

	record(fork_and_exec);
	forked = nth(FP_EVENT_TYPE_FORK, 0);
	executed = nth(FP_EVENT_TYPE_EXEC, 0);
	ended = nth(FP_EVENT_TYPE_EXIT, 0);
	assert_int_equal(forked->tgid, child);
	assert_int_not_equal(forked->child_tgid, child);
	assert_int_equal(executed->tgid, forked->child_tgid);
	assert_int_equal(executed->process_start, forked->child_start);
	assert_int_equal(executed->parent_tgid, child);
	assert_int_equal(executed->exec_id, forked->exec_id + 1);
	assert_int_equal(executed->argv.len, sizeof("true\0first\0second argument"));
	assert_memory_equal(executed->argv.data, "true\0first\0second argument", executed->argv.len);
	assert_int_equal(executed->ino, ino_of("/bin/true"));
	assert_int_equal(ended->tgid, forked->child_tgid);
	assert_int_equal(ended->flags, FP_EXIT_PROCESS);
	assert_int_equal(ended->result, 0);
}

static int mark(void)
{
	/* written just now, hence in memory: the kernel side cannot wait for a page */
	char details[] = "\x03\x04\0POST";

	if (prctl(FP_MARK_OPTION, FP_MARK_BEGIN | FP_MARK_VERSION << 8 | 7 << 16 | 0xffffffffull << 32, 11, 12, details) != -1)
		return 1;
	return errno != EINVAL;
}

static int say_hello(void)
{
	return prctl(FP_MARK_OPTION, FP_MARK_HELLO | FP_MARK_VERSION << 8 | 0xffffffffull << 32, 0, 0, 0) != -1 || errno != EINVAL;
}

static int in_own_pid_space(int (*work)(void))
{
	int status;
	pid_t pid;

	if (unshare(CLONE_NEWPID) < 0 || (pid = fork()) < 0)
		return 1;
	if (pid == 0)
		_exit(getpid() == 1 ? work() : 2);
	return waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ? 3 : WEXITSTATUS(status);
}

static int be_container(void)
{
	return say_hello() || in_own_pid_space(say_hello);
}

static int start_container(void)
{
	return in_own_pid_space(be_container);
}

/* Who is 1 in a name space that it made within its container's is not the container's first process. */
static void a_container_has_one_first_process(void **state)
{
	struct stat own;

	if (stat("/proc/self/ns/pid", &own) < 0 || own.st_ino != 0xEFFFFFFCu)
		skip(); /* the agent cannot know how deep containers lie */
	record(start_container);
	assert_int_equal(count(FP_EVENT_TYPE_MARK), 2);
	assert_int_equal(nth(FP_EVENT_TYPE_MARK, 0)->ns_tgid, 1);
	assert_int_equal(nth(FP_EVENT_TYPE_MARK, 1)->ns_tgid, 2);
}

static void a_mark_is_seen_and_has_no_effect(void **state)
{
	const struct fp_event *event;

	record(mark);
	event = nth(FP_EVENT_TYPE_MARK, 0);
	assert_int_equal(event->mark, FP_MARK_BEGIN | FP_MARK_VERSION << 8);
	assert_int_equal(event->id_hi, 11);
	assert_int_equal(event->id_lo, 12);
	assert_int_equal(event->details.len, 7);
	assert_memory_equal(event->details.data, "\x03\x04\0POST", 7);
}

/* --- sockets -------------------------------------------------------------------------- */

static int talk(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listening = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), server;
	socklen_t len = sizeof(address);
	char data[100] = "GET / HTTP/1.1\r\n";

	if (bind(listening, (void *)&address, len) || listen(listening, 1) ||
	    getsockname(listening, (void *)&address, &len) || connect(client, (void *)&address, len))
		return 1;
	server = accept(listening, NULL, NULL);
	if (send(client, data, 40, 0) != 40 || send(client, data, 60, 0) != 60)
		return 1;
	if (recv(server, data, 100, MSG_WAITALL) != 100 || write(server, data, 5) != 5)
		return 1;
	return read(client, data, 100) != 5;
}

/* The heart of joining both ends: the same stream has the same name and the same offsets on both sides. */
static void both_ends_name_the_same_bytes(void **state)
{
	const struct fp_event *connected, *accepted, *sent, *received, *answered, *read_back;

	record(talk);
	connected = nth(FP_EVENT_TYPE_CONNECT, 0);
	accepted = nth(FP_EVENT_TYPE_ACCEPT, 0);
	sent = nth(FP_EVENT_TYPE_SEND, 1);
	received = nth(FP_EVENT_TYPE_RECEIVE, 0);
	answered = nth(FP_EVENT_TYPE_SEND, 2);
	read_back = nth(FP_EVENT_TYPE_RECEIVE, 1);
	assert_int_equal(connected->local_port, accepted->remote_port);
	assert_int_equal(connected->remote_port, accepted->local_port);
	assert_int_equal(connected->remote_lo, 0xffff7f000001);
	assert_int_equal(sent->tx_end, received->rx_end);
	assert_int_equal(sent->bytes, 60);
	assert_int_equal(received->bytes, 100);
	assert_int_equal((uint32_t)(received->rx_base - sent->tx_base), 1); /* the opener counts its SYN */
	assert_int_equal((uint32_t)received->rx_end, (uint32_t)received->rx_base + 100);
	assert_int_equal(answered->tx_base, read_back->rx_base);
	assert_int_equal(answered->tx_end, read_back->rx_end);
	assert_int_equal(sent->payload.len, 60);
	assert_memory_equal(sent->payload.data, "GET / HTTP/1.1\r\n", 16);
	assert_int_equal(connected->tx_base, sent->tx_base);
}

static int talk_locally(void)
{
	char data[10] = "";
	int pair[2];

	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || write(pair[0], data, 10) != 10 ||
	       read(pair[1], data, 10) != 10;
}

static void a_socket_pair_knows_its_other_end(void **state)
{
	const struct fp_event *sent, *received;

	record(talk_locally);
	sent = nth(FP_EVENT_TYPE_SEND, 0);
	received = nth(FP_EVENT_TYPE_RECEIVE, 0);
	assert_int_equal(sent->family, AF_UNIX);
	assert_int_equal(sent->local_lo, received->remote_lo);
	assert_int_equal(sent->remote_lo, received->local_lo);
	assert_int_not_equal(sent->local_lo, sent->remote_lo);
	assert_int_equal(sent->payload.len, 0);
}

/* --- the guard and the numbers ------------------------------------------------------------ */

static int do_nothing(void)
{
	return 0;
}

static void others_are_not_recorded(void **state)
{
	int fd = open(in_directory("unrecorded"), O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
	record(do_nothing);
	for (size_t i = 0; i < n_events; i++)
		assert_int_equal(events[i].tgid, child);
}

static int write_much(void)
{
	int fd = open(in_directory("much"), O_CREAT | O_WRONLY | O_TRUNC, 0600);

	for (int i = 0; i < 20000; i++)
		if (write(fd, "x", 1) != 1)
			return 1;
	return 0;
}

static uint64_t n_lost;

static void take_loss(void *arg, uint64_t of_cgroup, uint32_t cause, uint64_t lost)
{
	assert_int_equal(of_cgroup, cgroup.id);
	assert_true(cause == FP_LOSS_RING_FULL || cause == FP_LOSS_BUDGET);
	n_lost += lost;
}

static unsigned run_before(size_t i)
{
	return fp_decode_run(raw[i], sizeof(struct fp_record_head));
}

/* The two records that still found room say each that others were refused before it, and none before does. */
static void assert_told_where_they_are_missing(void)
{
	unsigned run = run_before(0);

	for (size_t i = 0; i < n_events; i++) {
		run += events[i].type == FP_EVENT_TYPE_THROTTLE || events[i].type == FP_EVENT_TYPE_EXIT;
		assert_int_equal(run_before(i), run);
	}
}

/* More than the ring holds, with nobody draining: what is delivered and what is counted make the whole. */
static void loss_is_counted_to_the_last_record(void **state)
{
	uint64_t before = 0, after;
	unsigned run;

	record(do_nothing);
	for (size_t i = 0; i < n_events; i++)
		before += events[i].type == FP_EVENT_TYPE_WRITE;
	n_lost = 0;
	fp_capture_take_losses(capture, take_loss, NULL);
	assert_int_equal(n_lost, 0);
	record(write_much);
	fp_capture_take_losses(capture, take_loss, NULL);
	after = count(FP_EVENT_TYPE_WRITE);
	assert_true(n_lost > 0);
	assert_int_equal(before + after + n_lost, 20000);
	/* what matters more still got through */
	assert_int_equal(count(FP_EVENT_TYPE_EXIT), 1);
	assert_told_where_they_are_missing();
	run = run_before(n_events - 1);
	record(do_nothing);
	for (size_t i = 0; i < n_events; i++)
		assert_int_equal(run_before(i), run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_what_was_really_used),
		cmocka_unit_test(a_link_is_resolved),
		cmocka_unit_test(names_are_made_absolute),
		cmocka_unit_test(what_failed_changed_nothing),
		cmocka_unit_test(long_paths_keep_their_end),
		cmocka_unit_test(a_process_that_lives_a_moment_has_its_identity),
		cmocka_unit_test(a_container_has_one_first_process),
		cmocka_unit_test(a_mark_is_seen_and_has_no_effect),
		cmocka_unit_test(both_ends_name_the_same_bytes),
		cmocka_unit_test(a_socket_pair_knows_its_other_end),
		cmocka_unit_test(others_are_not_recorded),
		cmocka_unit_test(loss_is_counted_to_the_last_record),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

/*
 * What goes through an io_uring and leaves no system call of its name: names, files
 * of the ring's own, a ring that a thread of the kernel empties.  Each record against
 * what the child knows it did.  Needs root and BPF.
 */
#include "agent/tests/recorded.h"
#include "agent/tests/through_ring.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_told_as_the_kernel_has_them),
		cmocka_unit_test(files_of_the_ring_are_known),
		cmocka_unit_test(a_ring_that_no_call_empties_is_seen),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

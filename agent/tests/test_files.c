/*
 * Files by every road: descriptors and names in other shapes than the usual one,
 * each record against what the child knows it did.  Needs root and BPF.
 */
#include "agent/tests/recorded.h"

#include <linux/falloc.h>
#include <pthread.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/shm.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452
#endif
#ifndef SYS_setxattrat
#define SYS_setxattrat 463
#define SYS_getxattrat 464
#define SYS_removexattrat 466
#endif
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

/* The n-th event of a type about this inode. */
static const struct fp_event *about(enum fp_event_type type, uint64_t ino, unsigned n)
{
	for (size_t i = 0; i < n_events; i++)
		if (events[i].type == type && events[i].ino == ino && n-- == 0)
			return &events[i];
	fail_msg("no such %s of inode %llu", fp_event_info(type)->name, (unsigned long long)ino);
	return NULL;
}

static unsigned count_about(enum fp_event_type type, uint64_t ino)
{
	unsigned n = 0;

	for (size_t i = 0; i < n_events; i++)
		n += events[i].type == type && events[i].ino == ino;
	return n;
}

static int make(const char *name)
{
	return open(in_directory(name), O_RDWR | O_CREAT | O_TRUNC, 0644);
}

/* --- opening ------------------------------------------------------------------------ */

static int open_in_all_ways(void)
{
	struct {
		struct file_handle handle;
		char room[128];
	} by = {.handle.handle_bytes = sizeof(by.room)};
	struct {
		uint64_t flags, mode, resolve;
	} how = {O_RDONLY, 0, 0};
	int dir = open(directory, O_DIRECTORY | O_RDONLY), fd, mount;
	char proc[64];

	umask(027);
	fd = openat(dir, "opened", O_RDWR | O_CREAT | O_EXCL, 0666);
	told[0] = ino_of_fd(fd);
	if (creat(in_directory("opened"), 0600) < 0 || syscall(SYS_openat2, dir, "./opened", &how, sizeof(how)) < 0)
		return 1;
	if (symlink("opened", in_directory("way")) || open(in_directory("way"), O_WRONLY | O_APPEND) < 0)
		return 2;
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (open(proc, O_RDONLY) < 0)
		return 3;
	if (name_to_handle_at(dir, "opened", &by.handle, &mount, 0) == 0) {
		told[1] = 1;
		if (open_by_handle_at(dir, &by.handle, O_RDONLY) < 0)
			return 4;
	}
	return 0;
}

static void an_open_names_the_file_however_it_was_found(void **state)
{
	const struct fp_event *event;
	static const uint64_t flags[] = {O_RDWR | O_CREAT | O_EXCL | FP_OPEN_CREATED, O_WRONLY | O_CREAT | O_TRUNC, O_RDONLY,
					 O_WRONLY | O_APPEND, O_RDONLY, O_RDONLY};

	share();
	record(open_in_all_ways);
	assert_int_equal(count_about(FP_EVENT_TYPE_OPEN, told[0]), 5 + told[1]);
	for (unsigned i = 0; i < 5 + told[1]; i++) {
		event = about(FP_EVENT_TYPE_OPEN, told[0], i);
		assert_text(event->path, in_directory("opened"));
		assert_int_equal(event->flags & (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | FP_OPEN_CREATED), flags[i]);
		assert_int_equal(event->object, FP_OBJECT_FILE);
		assert_int_equal(event->mode, 0640); /* what the mask has left */
		assert_int_equal(event->result, event->fd);
		assert_int_equal(event->tgid, child);
	}
}

static int make_with_a_mask(void)
{
	umask(077);
	return mkdir(in_directory("masked"), 0777) || mknodat(AT_FDCWD, in_directory("node"), S_IFREG | 0666, 0);
}

static void what_is_made_has_the_mode_it_got(void **state)
{
	record(make_with_a_mask);
	assert_int_equal(nth(FP_EVENT_TYPE_MAKE, 0)->mode, S_IFDIR | 0700);
	assert_int_equal(nth(FP_EVENT_TYPE_MAKE, 0)->ino, ino_of(in_directory("masked")));
	assert_int_equal(nth(FP_EVENT_TYPE_MAKE, 1)->mode, S_IFREG | 0600);
	assert_int_equal(nth(FP_EVENT_TYPE_MAKE, 1)->ino, ino_of(in_directory("node")));
	assert_int_equal(nth(FP_EVENT_TYPE_MAKE, 1)->object, FP_OBJECT_FILE);
}

/* --- bytes -------------------------------------------------------------------------- */

static int move_bytes(void)
{
	int fd = make("bytes"), copy = make("copy"), again, many;
	struct iovec two[2] = {{(char[3]){"ab"}, 2}, {(char[4]){"cde"}, 3}}, none[2] = {{NULL, 0}, two[1]};
	char data[16];
	loff_t from = 0, to = 4;

	told[0] = ino_of_fd(fd);
	told[1] = ino_of_fd(copy);
	if (pwrite(fd, "0123456789", 10, 0) != 10 || writev(fd, two, 2) != 5 || pwritev(fd, two, 1, 3) != 2 ||
	    pwritev2(fd, none, 2, -1, 0) != 3)
		return 1;
	if (pread(fd, data, 4, 1) != 4 || preadv(fd, two, 2, 0) != 5 || lseek(fd, 9, SEEK_SET) != 9 ||
	    preadv2(fd, two, 2, -1, 0) != 1)
		return 2;
	again = dup(fd);
	many = fcntl(fd, F_DUPFD_CLOEXEC, 100);
	if (many != 100 || dup3(fd, 200, 0) != 200 || lseek(200, 0, SEEK_SET) || read(again, data, 1) != 1 ||
	    read(200, data, 2) != 2 || read(many, data, 3) != 3)
		return 3;
	if (copy_file_range(fd, &from, copy, &to, 6, 0) != 6)
		return 4;
	if (syscall(436 /* close_range */, 100, 200, 0))
		return 5;
	return read(fd, data, 0) != 0;
}

static void bytes_are_told_by_every_call(void **state)
{
	static const unsigned written[] = {10, 5, 2, 3}, got[] = {4, 5, 1, 1, 2, 3, 6, 0};

	share();
	record(move_bytes);
	assert_int_equal(count_about(FP_EVENT_TYPE_WRITE, told[0]), 4);
	assert_int_equal(count_about(FP_EVENT_TYPE_READ, told[0]), 8);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(about(FP_EVENT_TYPE_WRITE, told[0], i)->bytes, written[i]);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(about(FP_EVENT_TYPE_READ, told[0], i)->bytes, got[i]);
	assert_int_equal(about(FP_EVENT_TYPE_READ, told[0], 4)->fd, 200);
	assert_int_equal(about(FP_EVENT_TYPE_READ, told[0], 5)->fd, 100);
	assert_int_equal(about(FP_EVENT_TYPE_WRITE, told[1], 0)->bytes, 6);
}

static int send_files(void)
{
	int pair[2], ends[2], fd = make("sent"), out = make("got");
	char data[32];

	told[0] = ino_of_fd(fd);
	told[1] = ino_of_fd(out);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || pipe(ends) || write(fd, "some bytes", 10) != 10 || lseek(fd, 0, SEEK_SET))
		return 1;
	told[2] = ino_of_fd(pair[0]);
	told[3] = ino_of_fd(pair[1]);
	told[4] = ino_of_fd(ends[0]);
	if (sendfile(pair[0], fd, NULL, 10) != 10 || splice(pair[1], NULL, ends[1], NULL, 7, 0) != 7 ||
	    splice(ends[0], NULL, out, NULL, 7, 0) != 7)
		return 2;
	return recv(pair[1], data, sizeof(data), 0) != 3;
}

static void bytes_go_from_kind_to_kind(void **state)
{
	share();
	record(send_files);
	assert_int_equal(about(FP_EVENT_TYPE_READ, told[0], 0)->bytes, 10);
	assert_int_equal(about(FP_EVENT_TYPE_SEND, told[2], 0)->bytes, 10);
	assert_int_equal(about(FP_EVENT_TYPE_RECEIVE, told[3], 0)->bytes, 7);
	assert_int_equal(about(FP_EVENT_TYPE_WRITE, told[4], 0)->bytes, 7);
	assert_int_equal(about(FP_EVENT_TYPE_WRITE, told[4], 0)->object, FP_OBJECT_PIPE);
	assert_int_equal(about(FP_EVENT_TYPE_READ, told[4], 0)->bytes, 7);
	assert_int_equal(about(FP_EVENT_TYPE_WRITE, told[1], 0)->bytes, 7);
	assert_int_equal(about(FP_EVENT_TYPE_RECEIVE, told[3], 1)->bytes, 3);
	assert_int_equal(about(FP_EVENT_TYPE_SEND, told[2], 0)->remote_lo, told[3]); /* the other end */
}

/* --- mappings ----------------------------------------------------------------------- */

static int protect_pieces(void)
{
	int one = make("piece1"), other = make("piece2"), hidden = syscall(SYS_memfd_create, "m", 0);
	char *at, *shared;

	told[0] = ino_of_fd(one);
	told[1] = ino_of_fd(other);
	told[2] = ino_of_fd(hidden);
	if (ftruncate(one, 4096) || ftruncate(other, 4096) || ftruncate(hidden, 4096))
		return 1;
	at = mmap(NULL, 3 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED || mmap(at, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, one, 0) == MAP_FAILED ||
	    mmap(at + 8192, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, other, 0) == MAP_FAILED)
		return 2;
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, hidden, 0);
	return shared == MAP_FAILED || mprotect(at, 3 * 4096, PROT_READ | PROT_EXEC);
}

static void all_that_one_mprotect_goes_over_is_loaded(void **state)
{
	share();
	record(protect_pieces);
	assert_int_equal(count_about(FP_EVENT_TYPE_LOAD, told[0]), 1);
	assert_text(about(FP_EVENT_TYPE_LOAD, told[0], 0)->path, in_directory("piece1"));
	assert_int_equal(count_about(FP_EVENT_TYPE_LOAD, told[1]), 1);
	assert_int_equal(count_about(FP_EVENT_TYPE_LOAD, told[2]), 1);
	assert_int_equal(about(FP_EVENT_TYPE_MAP, told[2], 0)->protection, PROT_READ | PROT_WRITE | PROT_EXEC);
	assert_int_equal(about(FP_EVENT_TYPE_MAP, told[2], 0)->bytes, 4096);
}

static int attach_memory(void)
{
	int id = shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600);
	void *here = shmat(id, NULL, 0), *there = shmat(id, NULL, SHM_RDONLY);

	told[0] = id;
	return here == (void *)-1 || there == (void *)-1 || shmctl(id, IPC_RMID, NULL);
}

static void attached_memory_is_one_object(void **state)
{
	const struct fp_event *event;

	share();
	record(attach_memory);
	assert_int_equal(count(FP_EVENT_TYPE_MAP), 2);
	event = nth(FP_EVENT_TYPE_MAP, 0);
	assert_int_equal(event->ino, told[0]); /* its number in the name space */
	assert_int_equal(event->protection, PROT_READ | PROT_WRITE);
	assert_int_equal(event->fd, 4294967295u);
	assert_int_equal(event->flags, MAP_SHARED);
	assert_int_equal(nth(FP_EVENT_TYPE_MAP, 1)->ino, event->ino);
	assert_int_equal(nth(FP_EVENT_TYPE_MAP, 1)->dev, event->dev);
	assert_int_equal(nth(FP_EVENT_TYPE_MAP, 1)->protection, PROT_READ);
}

/* --- queues --------------------------------------------------------------------------- */

static int use_queues(void)
{
	struct {
		long type;
		char text[16];
	} message = {1, "in a queue"};
	int queue = msgget(IPC_PRIVATE, IPC_CREAT | 0600), posix;
	struct {
		long flags, max, size, now, room[4];
	} attributes = {0, 4, 64, 0, {0}};
	char data[64];

	told[0] = queue;
	if (queue < 0 || msgsnd(queue, &message, 11, 0) || msgrcv(queue, &message, 16, 0, 0) != 11 || msgctl(queue, IPC_RMID, NULL))
		return 1;
	posix = syscall(SYS_mq_open, "faasprov-test", O_RDWR | O_CREAT, 0600, &attributes);
	if (posix < 0)
		return 2;
	told[1] = ino_of_fd(posix);
	if (syscall(SYS_mq_unlink, "faasprov-test") || syscall(SYS_mq_timedsend, posix, "eight by", 8, 0, NULL) ||
	    syscall(SYS_mq_timedreceive, posix, data, 64, NULL, NULL) != 8)
		return 3;
	return 0;
}

static void queues_are_written_and_read(void **state)
{
	const struct fp_event *event;

	share();
	record(use_queues);
	event = nth(FP_EVENT_TYPE_WRITE, 0);
	assert_int_equal(event->object, FP_OBJECT_PIPE);
	assert_int_equal(event->ino, told[0]);
	assert_true(event->dev != 0);
	assert_int_equal(event->bytes, 11);
	assert_int_equal(nth(FP_EVENT_TYPE_READ, 0)->ino, told[0]);
	assert_int_equal(nth(FP_EVENT_TYPE_READ, 0)->dev, event->dev);
	assert_int_equal(nth(FP_EVENT_TYPE_READ, 0)->bytes, 11);
	assert_int_equal(count_about(FP_EVENT_TYPE_OPEN, told[1]), 1);
	assert_int_equal(about(FP_EVENT_TYPE_WRITE, told[1], 0)->bytes, 8);
	assert_int_equal(about(FP_EVENT_TYPE_READ, told[1], 0)->bytes, 8);
}

/* --- changes -------------------------------------------------------------------------- */

static int change_by_descriptor(void)
{
	int unnamed = open(directory, O_TMPFILE | O_RDWR, 0600);

	told[0] = ino_of_fd(unnamed);
	if (fchmod(unnamed, 0640) || fchownat(unnamed, "", 5, 6, AT_EMPTY_PATH) || ftruncate(unnamed, 100) ||
	    fallocate(unnamed, FALLOC_FL_KEEP_SIZE, 4096, 4096) || futimens(unnamed, NULL))
		return 1;
	if (syscall(SYS_fchmodat2, unnamed, "", 0604, AT_EMPTY_PATH) && errno != ENOSYS)
		return 2;
	told[1] = errno != ENOSYS;
	return linkat(unnamed, "", AT_FDCWD, in_directory("late"), AT_EMPTY_PATH) || unlink(in_directory("late"));
}

static void a_file_without_a_name_is_known_by_its_descriptor(void **state)
{
	share();
	record(change_by_descriptor);
	assert_int_equal(about(FP_EVENT_TYPE_CHMOD, told[0], 0)->mode & 07777, 0640);
	assert_int_equal(about(FP_EVENT_TYPE_CHOWN, told[0], 0)->uid, 5);
	assert_int_equal(about(FP_EVENT_TYPE_CHOWN, told[0], 0)->gid, 6);
	assert_int_equal(about(FP_EVENT_TYPE_TRUNCATE, told[0], 0)->bytes, 100);
	assert_int_equal(about(FP_EVENT_TYPE_TRUNCATE, told[0], 1)->bytes, 8192);
	assert_int_equal(about(FP_EVENT_TYPE_XATTR, told[0], 0)->operation, FP_OPERATION_TIMES);
	if (told[1]) {
		assert_int_equal(about(FP_EVENT_TYPE_CHMOD, told[0], 1)->mode & 07777, 0604);
		assert_int_equal(about(FP_EVENT_TYPE_CHMOD, told[0], 1)->naming, FP_NAMING_RESOLVED);
	}
	assert_text(about(FP_EVENT_TYPE_LINK, told[0], 0)->new_path, in_directory("late"));
	assert_text(about(FP_EVENT_TYPE_UNLINK, told[0], 0)->path, in_directory("late"));
}

/* utime; newer architectures do without it */
static int set_old_times(const char *path, const long times[2])
{
#ifdef SYS_utime
	return (int)syscall(SYS_utime, path, times);
#else
	return utimensat(AT_FDCWD, path, NULL, 0);
#endif
}

static int set_times_and_attributes(void)
{
	struct {
		uint64_t value;
		uint32_t size, flags;
	} value = {(uintptr_t) "1", 1, 0};
	int dir = open(directory, O_DIRECTORY | O_RDONLY), fd = make("dated");
	struct timeval now[2] = {{1, 2}, {3, 4}};
	long old[2] = {5, 6};
	char data[8];

	told[0] = ino_of_fd(fd);
	if (utimensat(dir, "dated", NULL, AT_SYMLINK_NOFOLLOW) || utimes(in_directory("dated"), now) ||
	    set_old_times(in_directory("dated"), old))
		return 1;
	if (setxattr(in_directory("dated"), "trusted.one", "1", 1, 0) || lgetxattr(in_directory("dated"), "trusted.one", data, 8) != 1 ||
	    fgetxattr(fd, "trusted.one", data, 8) != 1 || lremovexattr(in_directory("dated"), "trusted.one"))
		return errno == EOPNOTSUPP ? 0 : 2;
	told[1] = 1;
	if (syscall(SYS_setxattrat, dir, "dated", 0, "trusted.two", &value, sizeof(value)))
		return errno == ENOSYS ? 0 : 3;
	value.value = (uintptr_t)data;
	value.size = sizeof(data);
	told[2] = 1;
	return syscall(SYS_getxattrat, dir, "dated", 0, "trusted.two", &value, sizeof(value)) != 1 ||
	       syscall(SYS_removexattrat, fd, "", AT_EMPTY_PATH, "trusted.two");
}

static void times_and_attributes_are_told(void **state)
{
	static const struct {
		enum fp_operation operation;
		const char *attribute;
	} done[] = {{FP_OPERATION_TIMES, ""}, {FP_OPERATION_TIMES, ""}, {FP_OPERATION_TIMES, ""},
		    {FP_OPERATION_SET, "trusted.one"}, {FP_OPERATION_GET, "trusted.one"}, {FP_OPERATION_GET, "trusted.one"},
		    {FP_OPERATION_REMOVE, "trusted.one"}, {FP_OPERATION_SET, "trusted.two"}, {FP_OPERATION_GET, "trusted.two"},
		    {FP_OPERATION_REMOVE, "trusted.two"}};
	unsigned n;

	share();
	record(set_times_and_attributes);
	n = told[2] ? 10 : told[1] ? 7 : 3;
	assert_int_equal(count(FP_EVENT_TYPE_XATTR), n);
	for (unsigned i = 0; i < n; i++) {
		const struct fp_event *event = nth(FP_EVENT_TYPE_XATTR, i);

		assert_int_equal(event->operation, done[i].operation);
		assert_text(event->attribute, done[i].attribute);
		assert_text(event->path, in_directory("dated"));
		/* who only reads an attribute by name changes nothing by which the file is found out */
		if (done[i].operation != FP_OPERATION_GET || event->ino)
			assert_int_equal(event->ino, told[0]);
	}
}

/* --- names ---------------------------------------------------------------------------- */

static int rename_in_all_ways(void)
{
	int dir = open(directory, O_DIRECTORY | O_RDONLY), old = make("under"), over = make("over");

	told[0] = ino_of_fd(old);
	told[1] = ino_of_fd(over);
	if (rename(in_directory("over"), in_directory("under"))) /* which is still open */
		return 1;
	if (write(old, "gone", 4) != 4 || write(over, "here", 4) != 4)
		return 2;
	if (syscall(SYS_renameat2, dir, "under", dir, "elsewhere", 1 /* RENAME_NOREPLACE */))
		return 3;
	return unlinkat(dir, "elsewhere", 0) || write(over, "still", 5) != 5;
}

static void a_file_that_is_renamed_over_is_another(void **state)
{
	const struct fp_event *event;

	share();
	record(rename_in_all_ways);
	event = nth(FP_EVENT_TYPE_RENAME, 0);
	assert_int_equal(event->ino, told[1]);
	assert_text(event->path, in_directory("over"));
	assert_text(event->new_path, in_directory("under"));
	assert_int_equal(event->naming, FP_NAMING_RESOLVED);
	assert_int_equal(about(FP_EVENT_TYPE_WRITE, told[0], 0)->bytes, 4);
	assert_int_equal(about(FP_EVENT_TYPE_WRITE, told[1], 0)->bytes, 4);
	event = nth(FP_EVENT_TYPE_RENAME, 1);
	assert_int_equal(event->ino, told[1]);
	assert_text(event->new_path, in_directory("elsewhere"));
	event = nth(FP_EVENT_TYPE_UNLINK, 0);
	assert_int_equal(event->ino, told[1]);
	assert_text(event->path, in_directory("elsewhere"));
	assert_int_equal(about(FP_EVENT_TYPE_WRITE, told[1], 1)->bytes, 5);
}

static int exchange_names(void)
{
	int dir = open(directory, O_DIRECTORY | O_RDONLY);

	told[0] = ino_of_fd(make("left"));
	told[1] = ino_of_fd(make("right"));
	return syscall(SYS_renameat2, dir, "left", AT_FDCWD, in_directory("right"), 2 /* RENAME_EXCHANGE */);
}

static void both_halves_of_an_exchange_are_told(void **state)
{
	static const char *const names[] = {"left", "right"};

	share();
	record(exchange_names);
	assert_int_equal(count(FP_EVENT_TYPE_RENAME), 2);
	for (unsigned i = 0; i < 2; i++) {
		const struct fp_event *event = about(FP_EVENT_TYPE_RENAME, told[i], 0);

		assert_text(event->path, in_directory(names[i]));
		assert_text(event->new_path, in_directory(names[!i]));
		assert_int_equal(event->naming, FP_NAMING_RESOLVED);
	}
	assert_int_equal(ino_of(in_directory("left")), told[1]);
}

/* The end that serves a terminal, and the one that programs run at; what swallows all. */
static int use_devices(void)
{
	int served = posix_openpt(O_RDWR | O_NOCTTY), run, null = open("/dev/null", O_WRONLY), zero = open("/dev/zero", O_RDONLY);
	char data[32];

	if (served < 0 || grantpt(served) || unlockpt(served) || ptsname_r(served, data, sizeof(data)))
		return 1;
	run = open(data, O_RDWR | O_NOCTTY);
	told[0] = ino_of_fd(run);
	if (write(served, "typed\n", 6) != 6 || read(run, data, sizeof(data)) != 6 || write(run, "out", 3) != 3)
		return 2;
	told[1] = (uint64_t)read(served, data, sizeof(data)); /* with the echo of what was typed */
	return write(null, "x", 1) != 1 || read(zero, data, 4) != 4;
}

static void what_goes_through_devices_is_told(void **state)
{
	static const struct {
		enum fp_event_type type;
		unsigned n;
		uint64_t bytes;
	} moved[] = {{FP_EVENT_TYPE_WRITE, 0, 6}, {FP_EVENT_TYPE_READ, 0, 6}, {FP_EVENT_TYPE_WRITE, 1, 3}};

	share();
	record(use_devices);
	for (unsigned i = 0; i < 3; i++) {
		const struct fp_event *event = nth(moved[i].type, moved[i].n);

		assert_int_equal(event->object, FP_OBJECT_DEVICE);
		assert_int_equal(event->ino, told[0]);
		assert_int_equal(event->bytes, moved[i].bytes);
	}
	assert_int_equal(nth(FP_EVENT_TYPE_READ, 1)->ino, told[0]);
	assert_int_equal(nth(FP_EVENT_TYPE_READ, 1)->bytes, told[1]);
	assert_int_equal(count(FP_EVENT_TYPE_READ), 2);
	assert_int_equal(count(FP_EVENT_TYPE_WRITE), 2);
}

enum { DEEP = 60, LONG = 8 };

/* As deep as that in short names, then in long ones. */
static int open_spaces(void)
{
	char link[64];
	int fd = open("/proc/self/ns/net", O_RDONLY);
	ssize_t len = readlink("/proc/self/ns/net", link, sizeof(link) - 1);

	if (fd < 0 || len < 0 || open("/proc/self/ns/mnt", O_RDONLY) < 0)
		return 1;
	memcpy(told + 8, link, (size_t)len + 1);
	((char *)(told + 8))[len] = 0;
	told[0] = ino_of_fd(fd);
	return 0;
}

static void a_name_space_is_called_as_the_kernel_calls_it(void **state)
{
	const struct fp_event *event;

	share();
	record(open_spaces);
	event = about(FP_EVENT_TYPE_OPEN, told[0], 0);
	assert_text(event->path, (char *)(told + 8));
	assert_int_equal(strncmp((char *)(told + 8), "net:[", 5), 0);
	assert_int_equal(event->object, FP_OBJECT_FILE);
	assert_memory_equal(nth(FP_EVENT_TYPE_OPEN, 1)->path.data, "mnt:[", 5);
}

static int go_deep(void)
{
	char name[201] = "d";

	if (chdir(directory))
		return 1;
	for (int i = 0; i < DEEP; i++)
		if (mkdir(name, 0700) || chdir(name))
			return 2;
	close(open("deep", O_CREAT | O_WRONLY, 0600));
	memset(name, 'L', 200);
	if (chdir(directory))
		return 3;
	for (int i = 0; i < LONG; i++)
		if (mkdir(name, 0700) || chdir(name))
			return 4;
	close(open("long", O_CREAT | O_WRONLY, 0600));
	return unlink("long");
}

static void a_path_without_its_beginning_says_so(void **state)
{
	const struct fp_event *event;

	lost_by(FP_LOSS_TRUNCATED);
	record(go_deep);
	event = nth(FP_EVENT_TYPE_OPEN, 0);
	assert_int_equal(event->path.len, strlen(directory) + 2 * DEEP + strlen("/deep"));
	assert_memory_equal(event->path.data, directory, strlen(directory));
	event = nth(FP_EVENT_TYPE_OPEN, 1);
	assert_memory_equal(event->path.data, ".../LLL", 7);
	assert_memory_equal(event->path.data + event->path.len - 6, "L/long", 6);
	event = nth(FP_EVENT_TYPE_UNLINK, 0);
	assert_memory_equal(event->path.data, ".../LLL", 7);
	/* five names of 201 bytes are too much: of the directories the last four, and twice the file */
	assert_int_equal(lost_by(FP_LOSS_TRUNCATED), 4 + 2);
}

/* Mapped to be read, and made writable later, without its descriptor; and what is nobody's file, or one's own copy. */
static int make_writable(void)
{
	int fd = open(in_directory("grown"), O_RDWR | O_CREAT, 0600);
	char *shared, *own, *memory;

	told[0] = ino_of_fd(fd);
	if (ftruncate(fd, 4 * 4096))
		return 1;
	shared = mmap(NULL, 4 * 4096, PROT_READ, MAP_SHARED, fd, 0);
	own = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	close(fd);
	if (mprotect(shared + 4096, 2 * 4096, PROT_READ | PROT_WRITE) || mprotect(own, 4096, PROT_READ | PROT_WRITE) ||
	    mprotect(memory, 4096, PROT_READ | PROT_WRITE) || mprotect(shared, 4 * 4096, PROT_READ))
		return 2;
	return 0;
}

static void a_mapping_that_becomes_writable_is_told(void **state)
{
	share();
	record(make_writable);
	assert_int_equal(count(FP_EVENT_TYPE_MAP), 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(nth(FP_EVENT_TYPE_MAP, i)->ino, told[0]);
		assert_text(nth(FP_EVENT_TYPE_MAP, i)->path, in_directory("grown"));
		assert_int_equal(nth(FP_EVENT_TYPE_MAP, i)->bytes, i ? 2 * 4096 : 4 * 4096);
		assert_int_equal(nth(FP_EVENT_TYPE_MAP, i)->protection, i ? PROT_READ | PROT_WRITE : PROT_READ);
		assert_int_equal(nth(FP_EVENT_TYPE_MAP, i)->flags, MAP_SHARED);
	}
	assert_int_equal(count(FP_EVENT_TYPE_LOAD), 0);
}

/* Memory that grows while another thread maps and unmaps: what the kernel does not let us look up then is no file. */
static void *map_and_unmap(void *stop)
{
	while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED))
		munmap(mmap(NULL, 256 * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0), 256 * 4096);
	return NULL;
}

static int grow_among_threads(bool has_shared)
{
	char *memory = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open(in_directory("grown"), O_RDWR | O_CREAT, 0600), stop = 0;
	pthread_t thread;

	if (has_shared && mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		return 1;
	if (pthread_create(&thread, NULL, map_and_unmap, &stop))
		return 2;
	for (int i = 0; i < 20000; i++)
		if (mprotect(memory, 4096, i % 2 ? PROT_NONE : PROT_READ | PROT_WRITE))
			return 3;
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	return pthread_join(thread, NULL);
}

static int grow(void)
{
	return grow_among_threads(false);
}

static int grow_beside_shared(void)
{
	return grow_among_threads(true);
}

static int grow_in_child(void)
{
	int status, fd = open(in_directory("grown"), O_RDWR | O_CREAT, 0600);

	if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		return 1;
	if (fork() == 0)
		_exit(grow_among_threads(false));
	wait(&status);
	return status;
}

static void memory_that_grows_is_no_loss(void **state)
{
	record(grow);
	assert_int_equal(lost_by(FP_LOSS_FAULT), 0);
}

/* Whether the two threads meet is the scheduler's to say: on busy processors not each time. */
static bool meets_a_fault(int (*body)(void))
{
	for (int i = 0; i < 20; i++) {
		record(body);
		if (lost_by(FP_LOSS_FAULT) > 0)
			return true;
	}
	return false;
}

/* Who has a mapping that could have been meant is told of. */
static void what_may_have_been_shared_is_a_loss(void **state)
{
	assert_true(meets_a_fault(grow_beside_shared));
	assert_true(meets_a_fault(grow_in_child));
}

#define WHITEOUT 4

static int leave_whiteout(void)
{
	int fd = open(in_directory("hidden"), O_RDWR | O_CREAT, 0600);
	struct stat st;

	told[0] = ino_of_fd(fd);
	return syscall(SYS_renameat2, AT_FDCWD, in_directory("hidden"), AT_FDCWD, in_directory("shown"), WHITEOUT) ||
	       lstat(in_directory("hidden"), &st) || !S_ISCHR(st.st_mode);
}

static void what_a_rename_leaves_behind_is_told(void **state)
{
	const struct fp_event *event;

	share();
	record(leave_whiteout);
	event = nth(FP_EVENT_TYPE_RENAME, 0);
	assert_int_equal(event->ino, told[0]);
	assert_text(event->path, in_directory("hidden"));
	assert_text(event->new_path, in_directory("shown"));
	assert_int_equal(event->naming, FP_NAMING_RESOLVED);
	/* which the kernel looks up when it is used: its name is the call's */
	event = nth(FP_EVENT_TYPE_MAKE, 0);
	assert_int_equal(event->object, FP_OBJECT_DEVICE);
	assert_int_equal(event->mode & S_IFMT, S_IFCHR);
	assert_text(event->path, in_directory("hidden"));
	assert_int_equal(event->naming, FP_NAMING_UNVERIFIED);
}

/* Names and paths around the lengths at which a record becomes another one: each as long as its number says. */
#define LONGEST 255
#define PATHS 90

static const char *name_of(unsigned len)
{
	static char path[sizeof(directory) + LONGEST + 2];

	memset(path, 0, sizeof(path));
	memcpy(path, directory, sizeof(directory) - 1);
	path[sizeof(directory) - 1] = '/';
	memset(path + sizeof(directory), 'n', len);
	return path;
}

/* Below the directory, of so many bytes in all. */
static const char *path_of(unsigned len)
{
	static char path[512];
	size_t at = (size_t)snprintf(path, sizeof(path), "%s/deeper/", directory);

	while (len - at > 40) {
		memset(path + at, 'd', 30);
		at += 30;
		path[at++] = '/';
	}
	memset(path + at, 'p', len - at);
	path[len] = 0;
	return path;
}

static int open_and_close(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	return fd < 0 || close(fd);
}

/* The directories on the way to a path. */
static void make_way(const char *path)
{
	char part[512];

	for (size_t i = strlen(directory) + 1; path[i]; i++)
		if (path[i] == '/') {
			snprintf(part, sizeof(part), "%.*s", (int)i, path);
			mkdir(part, 0700);
		}
}

static int open_each_length(void)
{
	for (unsigned i = 1; i <= LONGEST; i++)
		if (open_and_close(name_of(i)))
			return 1;
	for (unsigned i = 0; i < PATHS; i++) {
		make_way(path_of(80 + i));
		if (open_and_close(path_of(80 + i)))
			return 2;
	}
	return open("/", O_RDONLY | O_DIRECTORY) < 0;
}

static void a_path_of_any_length_is_whole(void **state)
{
	record(open_each_length);
	for (unsigned i = 1; i <= LONGEST; i++)
		assert_int_equal(nth_open(name_of(i), 0)->object, FP_OBJECT_FILE);
	for (unsigned i = 0; i < PATHS; i++)
		assert_int_equal(nth_open(path_of(80 + i), 0)->ino, ino_of(path_of(80 + i)));
	assert_int_equal(nth_open("/", 0)->object, FP_OBJECT_DIRECTORY);
	assert_int_equal(lost_by(FP_LOSS_TRUNCATED), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_open_names_the_file_however_it_was_found),
		cmocka_unit_test(what_is_made_has_the_mode_it_got),
		cmocka_unit_test(bytes_are_told_by_every_call),
		cmocka_unit_test(bytes_go_from_kind_to_kind),
		cmocka_unit_test(all_that_one_mprotect_goes_over_is_loaded),
		cmocka_unit_test(attached_memory_is_one_object),
		cmocka_unit_test(queues_are_written_and_read),
		cmocka_unit_test(a_file_without_a_name_is_known_by_its_descriptor),
		cmocka_unit_test(times_and_attributes_are_told),
		cmocka_unit_test(a_file_that_is_renamed_over_is_another),
		cmocka_unit_test(both_halves_of_an_exchange_are_told),
		cmocka_unit_test(what_goes_through_devices_is_told),
		cmocka_unit_test(a_name_space_is_called_as_the_kernel_calls_it),
		cmocka_unit_test(a_mapping_that_becomes_writable_is_told),
		cmocka_unit_test(memory_that_grows_is_no_loss),
		cmocka_unit_test(what_may_have_been_shared_is_a_loss),
		cmocka_unit_test(what_a_rename_leaves_behind_is_told),
		cmocka_unit_test(a_path_of_any_length_is_whole),
		cmocka_unit_test(a_path_without_its_beginning_says_so),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}

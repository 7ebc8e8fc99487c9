/* What was there before: a process that nobody saw begin, and each kind of descriptor that it holds.  Needs root and BPF. */
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <netinet/in.h>

#include "agent/tests/recorded.h"

#include "agent/existing.h"
#include "agent/walk.h"

/* What the process knows of what it holds, told to the test through shared memory. */
static struct held {
	int file, deleted, memory, event, pipes[2], pair[2], listener, client, server;
	uint64_t pair_ino[2], pipe_ino;
	pid_t born;
	uint16_t port, client_port;
} *held;

static int ready, go;
static struct fp_cgroup elsewhere; /* that is not recorded */

static void wait_for(int fd)
{
	uint64_t one;

	if (read(fd, &one, sizeof(one)) != sizeof(one))
		_exit(99);
}

static void tell(int fd)
{
	uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) != sizeof(one))
		_exit(98);
}

static void hold_connection(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(address);

	held->listener = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(held->listener, (void *)&address, sizeof(address)) < 0 || listen(held->listener, 1) < 0 ||
	    getsockname(held->listener, (void *)&address, &len) < 0)
		_exit(97);
	held->port = ntohs(address.sin_port);
	held->client = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(held->client, (void *)&address, len) < 0)
		_exit(96);
	held->server = accept(held->listener, NULL, NULL);
	if (getsockname(held->client, (void *)&address, &len) < 0 || write(held->client, "12345", 5) != 5)
		_exit(95);
	held->client_port = ntohs(address.sin_port);
}

/* One loaded as a library is, in two pieces; one shared for writing, one for reading; and one that is neither. */
static void map_files(void)
{
	static const struct {
		const char *name;
		int protection, flags;
	} files[] = {{"library", PROT_READ | PROT_EXEC, MAP_PRIVATE}, {"both", PROT_READ | PROT_WRITE, MAP_SHARED},
		     {"looked-at", PROT_READ, MAP_SHARED}, {"own", PROT_READ | PROT_WRITE, MAP_PRIVATE}};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		int fd = open(in_directory(files[i].name), O_RDWR | O_CREAT, 0700);
		void *at;

		if (fd < 0 || ftruncate(fd, 3 * 4096))
			_exit(89);
		at = mmap(NULL, 3 * 4096, files[i].protection, files[i].flags, fd, 0);
		if (at == MAP_FAILED || (i == 0 && mprotect((char *)at + 4096, 4096, PROT_READ)))
			_exit(88);
		close(fd);
	}
}

/* As a function that has been warm for long: everything is open, then it goes on using it. */
static void be_warm(void)
{
	char text[8];

	held->file = open(in_directory("open"), O_RDWR | O_CREAT, 0640);
	if (write(held->file, "content", 7) != 7)
		_exit(94);
	lseek(held->file, 0, SEEK_SET);
	held->deleted = open(in_directory("deleted"), O_RDWR | O_CREAT, 0600);
	unlink(in_directory("deleted"));
	held->memory = memfd_create("in-memory", 0);
	held->event = eventfd(0, 0);
	if (pipe(held->pipes) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, held->pair) < 0)
		_exit(93);
	held->pipe_ino = ino_of_fd(held->pipes[0]);
	held->pair_ino[0] = ino_of_fd(held->pair[0]);
	held->pair_ino[1] = ino_of_fd(held->pair[1]);
	hold_connection();
	map_files();
	tell(ready);
	wait_for(go);
	if (read(held->file, text, 7) != 7 || read(held->server, text, 5) != 5)
		_exit(92);
	_exit(0);
}

static struct fp_existing *open_existing(void)
{
	struct fp_existing_options options = {.root_cgroup = cgroup.id, .root_level = cgroup.level,
					      .container_level = cgroup.level};
	struct fp_existing *existing = NULL;
	char error[256];

	if (fp_existing_open(&options, &existing, error) < 0)
		fail_msg("%s", error);
	return existing;
}

static void read_existing(bool before_exec)
{
	struct fp_existing *existing = open_existing();
	int r = before_exec ? fp_existing_begin_inherited(existing) : fp_existing_begin(existing);

	assert_int_equal(r, 0);
	while ((r = fp_existing_read(existing, take, NULL)) > 0)
		;
	assert_int_equal(r, 0);
	fp_existing_free(existing);
}

static const struct fp_event *held_as(enum fp_event_type type, int fd)
{
	const struct fp_event *found = NULL;

	for (size_t i = 0; i < n_events; i++)
		if (events[i].type == type && events[i].tgid == (uint64_t)child && events[i].fd == (uint64_t)fd) {
			assert_null(found); /* told once */
			found = &events[i];
		}
	if (!found)
		fail_msg("descriptor %d is not told of", fd);
	return found;
}

static void forget(void)
{
	for (size_t i = 0; i < n_events; i++)
		free(raw[i]);
	n_events = 0;
}

static void start_warm(void)
{
	ready = eventfd(0, EFD_CLOEXEC);
	go = eventfd(0, EFD_CLOEXEC);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* in the cgroup first: nobody is told of a process that only came there later */
		wait_for(go);
		be_warm();
	}
	assert_int_equal(fp_cgroup_enter(&cgroup, child), 0);
	tell(go);
	wait_for(ready);
	assert_true(fp_capture_drain(capture, take, NULL) >= 0);
	forget(); /* the agent that comes late knows nothing of that */
}

static void end_warm(void)
{
	int status;

	tell(go);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(fp_capture_drain(capture, take, NULL) >= 0);
	close(go);
	close(ready);
}

static void assert_process(void)
{
	const struct fp_event *present = nth(FP_EVENT_TYPE_PRESENT, 0);
	char exe[256], line[1024];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe));
	int fd = open("/proc/self/cmdline", O_RDONLY);
	ssize_t line_len = read(fd, line, sizeof(line));

	close(fd);
	assert_int_equal(count(FP_EVENT_TYPE_PRESENT), 1);
	assert_int_equal(present->tgid, child);
	assert_int_equal(present->parent_tgid, getpid());
	assert_int_equal(present->cgroup, cgroup.id);
	assert_true(present->process_start > 0 && present->process_start < present->time);
	assert_true(len > 0 && (size_t)len == present->path.len);
	assert_memory_equal(present->path.data, exe, (size_t)len);
	assert_true(line_len > 0 && present->argv.len > 0 && present->argv.len <= (size_t)line_len);
	assert_memory_equal(present->argv.data, line, present->argv.len);
	assert_text(present->comm, "test_existing");
	assert_int_equal(present->ino, ino_of("/proc/self/exe"));
	assert_int_equal(present->uid, getuid());
	assert_true(present->capabilities != 0);
}

static void assert_descriptors(void)
{
	const struct fp_event *file = held_as(FP_EVENT_TYPE_HELD, held->file);
	const struct fp_event *deleted = held_as(FP_EVENT_TYPE_HELD, held->deleted);
	const struct fp_event *one = held_as(FP_EVENT_TYPE_HELD, held->pipes[0]);
	const struct fp_event *other = held_as(FP_EVENT_TYPE_HELD, held->pipes[1]);

	assert_text(file->path, in_directory("open"));
	assert_int_equal(file->ino, ino_of(in_directory("open")));
	assert_int_equal(file->object, FP_OBJECT_FILE);
	assert_int_equal(file->mode, 0640);
	assert_int_equal(file->flags & O_ACCMODE, O_RDWR);
	assert_text(deleted->path, in_directory("deleted"));
	assert_true(deleted->ino != 0 && deleted->ino != file->ino);
	assert_text(held_as(FP_EVENT_TYPE_HELD, held->memory)->path, "/memfd:in-memory");
	assert_text(held_as(FP_EVENT_TYPE_HELD, held->event)->path, "/[eventfd]");
	assert_int_equal(held_as(FP_EVENT_TYPE_HELD, held->event)->object, FP_OBJECT_OTHER);
	assert_int_equal(one->object, FP_OBJECT_PIPE);
	assert_int_equal(one->ino, held->pipe_ino);
	assert_int_equal(other->ino, held->pipe_ino);
	assert_int_equal(one->flags & O_ACCMODE, O_RDONLY);
	assert_int_equal(other->flags & O_ACCMODE, O_WRONLY);
}

static void assert_mapped(const char *name, uint64_t protection, uint64_t flags, uint64_t bytes)
{
	const struct fp_event *mapped = NULL;

	for (size_t i = 0; i < n_events; i++)
		if (events[i].type == FP_EVENT_TYPE_MAPPED && events[i].ino == ino_of(in_directory(name))) {
			assert_null(mapped); /* told once */
			mapped = &events[i];
		}
	assert_int_equal(mapped != NULL, bytes != 0);
	if (!mapped)
		return;
	assert_int_equal(mapped->tgid, child);
	assert_int_equal(mapped->cgroup, cgroup.id);
	assert_int_equal(mapped->protection, protection);
	assert_int_equal(mapped->flags, flags);
	assert_int_equal(mapped->bytes, bytes);
	assert_int_equal(mapped->object, FP_OBJECT_FILE);
	assert_int_equal(mapped->fd, 4294967295u);
	assert_text(mapped->path, in_directory(name));
}

/* And the libraries of the program itself, but not the program, which is told with the process. */
static void assert_mappings(void)
{
	uint64_t program = nth(FP_EVENT_TYPE_PRESENT, 0)->ino;
	unsigned libraries = 0;

	assert_mapped("library", PROT_READ | PROT_EXEC, MAP_PRIVATE, 4096); /* the first of its pieces */
	assert_mapped("both", PROT_READ | PROT_WRITE, MAP_SHARED, 3 * 4096);
	assert_mapped("looked-at", PROT_READ, MAP_SHARED, 3 * 4096);
	assert_mapped("own", 0, 0, 0);
	for (size_t i = 0; i < n_events; i++) {
		if (events[i].type != FP_EVENT_TYPE_MAPPED)
			continue;
		assert_true(events[i].ino != program);
		libraries += memmem(events[i].path.data, events[i].path.len, "/libc.so", 8) != NULL;
	}
	assert_int_equal(libraries, 1);
}

static void assert_sockets(void)
{
	const struct fp_event *one = held_as(FP_EVENT_TYPE_CONNECTED, held->pair[0]);
	const struct fp_event *client = held_as(FP_EVENT_TYPE_CONNECTED, held->client);
	const struct fp_event *server = held_as(FP_EVENT_TYPE_CONNECTED, held->server);
	const struct fp_event *listener = held_as(FP_EVENT_TYPE_CONNECTED, held->listener);

	assert_int_equal(one->family, AF_UNIX);
	assert_int_equal(one->local_lo, held->pair_ino[0]);
	assert_int_equal(one->remote_lo, held->pair_ino[1]);
	assert_int_equal(client->local_port, held->client_port);
	assert_int_equal(client->remote_port, held->port);
	assert_int_equal(server->remote_port, held->client_port);
	assert_int_equal(server->local_port, held->port);
	assert_int_equal(listener->local_port, held->port);
	assert_int_equal(listener->remote_port, 0);
	assert_true(client->tx_base != 0);
	assert_in_range(client->tx_base - server->rx_base + 1, 0, 2); /* the SYN counts at one end */
	assert_int_equal(client->tx_end - server->rx_end, 5); /* five bytes wait to be read */
}

/* What is done later is done to just those objects, on just those streams. */
static void assert_goes_on(uint64_t ino, uint64_t rx_base)
{
	const struct fp_event *read_file = NULL, *received = NULL;

	for (size_t i = 0; i < n_events; i++) {
		if (events[i].type == FP_EVENT_TYPE_READ && events[i].fd == (uint64_t)held->file)
			read_file = &events[i];
		if (events[i].type == FP_EVENT_TYPE_RECEIVE && events[i].fd == (uint64_t)held->server)
			received = &events[i];
	}
	assert_non_null(read_file);
	assert_int_equal(read_file->ino, ino);
	assert_non_null(received);
	assert_int_equal(received->rx_base, rx_base);
	assert_int_equal(received->bytes, 5);
}

static void what_was_there_is_known(void **state)
{
	uint64_t ino, rx_base;

	start_warm();
	read_existing(false);
	assert_process();
	assert_descriptors();
	assert_mappings();
	assert_sockets();
	for (size_t i = 0; i < n_events; i++) {
		assert_int_equal(events[i].tgid, child); /* nobody outside the cgroup is told of */
		assert_true(fp_event_is_state(events[i].type));
	}
	ino = held_as(FP_EVENT_TYPE_HELD, held->file)->ino;
	rx_base = held_as(FP_EVENT_TYPE_CONNECTED, held->server)->rx_base;
	forget();
	end_warm();
	assert_goes_on(ino, rx_base);
}

static int exec_true(void)
{
	return 0;
}

/* Whoever begins later is told of by the ring, and by that alone. */
static void who_comes_later_is_not_told_twice(void **state)
{
	struct fp_existing *existing = open_existing();

	assert_int_equal(fp_existing_begin(existing), 0);
	start_warm();
	assert_int_equal(fp_existing_read(existing, take, NULL), 0);
	assert_int_equal(n_events, 0);
	fp_existing_free(existing);
	end_warm();
	record(exec_true);
	assert_int_equal(count(FP_EVENT_TYPE_PRESENT), 0);
}

/* Of a command that waits for its exec only what it will have then. */
static void what_an_exec_closes_is_left_out(void **state)
{
	start_warm();
	read_existing(true);
	assert_int_equal(count(FP_EVENT_TYPE_PRESENT), 0);
	held_as(FP_EVENT_TYPE_HELD, held->file);
	for (size_t i = 0; i < n_events; i++)
		assert_true(events[i].fd != (uint64_t)ready && events[i].fd != (uint64_t)go);
	end_warm();
}

/* More than one read gives: no record is torn where the pieces meet, none missing, none told twice. */
static void many_descriptors_come_in_pieces(void **state)
{
	enum { MANY = 900 };
	unsigned char *seen = calloc(65536, 1);
	unsigned n = 0;

	ready = eventfd(0, 0);
	go = eventfd(0, 0);
	child = fork();
	if (child == 0) {
		int first = open(in_directory("open"), O_RDONLY | O_CREAT, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (int i = 0; i < MANY; i++)
			dup(first);
		tell(ready);
		wait_for(go);
		_exit(0);
	}
	assert_int_equal(fp_cgroup_enter(&cgroup, child), 0);
	wait_for(ready);
	fp_capture_drain(capture, take, NULL);
	forget();
	read_existing(false);
	for (size_t i = 0; i < n_events; i++) {
		if (events[i].type != FP_EVENT_TYPE_HELD || events[i].ino != ino_of(in_directory("open")))
			continue;
		assert_text(events[i].path, in_directory("open"));
		assert_int_equal(seen[events[i].fd]++, 0);
		n++;
	}
	assert_int_equal(n, MANY + 1);
	free(seen);
	end_warm();
}

/* --- who comes while it is recorded -------------------------------------------------- */

static struct fp_walk walk;

static int take_and_note(void *arg, const void *data, size_t len)
{
	assert_true(fp_walk_note(&walk, data, len) >= 0);
	return take(arg, data, len);
}

/* As the agent does: what the ring has, then whoever came. */
static void drain_and_walk(void)
{
	int r;

	assert_true(fp_capture_drain(capture, take_and_note, NULL) >= 0);
	while ((r = fp_walk_step(&walk, take, NULL)) > 0)
		;
	assert_int_equal(r, 0);
}

static void start_elsewhere(void (*work)(void))
{
	ready = eventfd(0, EFD_CLOEXEC);
	go = eventfd(0, EFD_CLOEXEC);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		work();
	}
	wait_for(ready);
	fp_capture_drain(capture, take, NULL);
	forget();
}

static unsigned count_of(enum fp_event_type type, pid_t pid)
{
	unsigned n = 0;

	for (size_t i = 0; i < n_events; i++)
		n += events[i].type == type && events[i].tgid == (uint64_t)pid;
	return n;
}

static const struct fp_event *assert_moved(pid_t pid, uint64_t flags)
{
	const struct fp_event *moved = nth(FP_EVENT_TYPE_MOVED, 0);
	char exe[256], name[16];
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe));

	prctl(PR_GET_NAME, name);
	assert_int_equal(count_of(FP_EVENT_TYPE_MOVED, pid), 1);
	assert_int_equal(moved->tgid, pid);
	assert_int_equal(moved->tid, pid);
	assert_int_equal(moved->cgroup, cgroup.id);
	assert_int_equal(moved->flags, flags);
	assert_int_equal(moved->parent_tgid, getpid());
	assert_int_equal(moved->mover_tgid, getpid());
	assert_true(moved->mover_start > 0 && moved->mover_start == moved->parent_start);
	assert_true(moved->process_start > moved->mover_start && moved->process_start < moved->time);
	assert_true(len > 0 && (size_t)len == moved->path.len);
	assert_memory_equal(moved->path.data, exe, (size_t)len);
	assert_int_equal(moved->ino, ino_of("/proc/self/exe"));
	assert_text(moved->comm, name);
	assert_text(moved->mover, name);
	return moved;
}

/* A process that nobody recorded, warm for long, is moved: known as if it had been there when recording began. */
static void who_is_moved_in_is_known(void **state)
{
	uint64_t ino, rx_base;

	start_elsewhere(be_warm);
	assert_int_equal(fp_cgroup_enter(&cgroup, child), 0);
	drain_and_walk();
	assert_moved(child, 0);
	assert_process();
	assert_descriptors();
	assert_mappings();
	assert_sockets();
	for (size_t i = 0; i < n_events; i++) {
		assert_int_equal(events[i].tgid, child);
		/* nothing of what it did before */
		assert_true(fp_event_is_state(events[i].type) || events[i].type == FP_EVENT_TYPE_MOVED);
	}
	ino = held_as(FP_EVENT_TYPE_HELD, held->file)->ino;
	rx_base = held_as(FP_EVENT_TYPE_CONNECTED, held->server)->rx_base;
	forget();
	end_warm();
	assert_goes_on(ino, rx_base);
}

/* One of a thousand others is asked for, and they are not looked at, nor told of. */
static void nobody_else_is_walked(void **state)
{
	struct fp_existing *existing = open_existing();
	pid_t first;

	start_warm();
	first = child;
	assert_int_equal(fp_existing_begin_process(existing, (uint64_t)getpid(), 1, 0), 0); /* of that number, and another start */
	assert_int_equal(fp_existing_read(existing, take, NULL), 0);
	assert_int_equal(n_events, 0);
	assert_int_equal(fp_existing_begin_process(existing, (uint64_t)first, 1, 0), 0);
	assert_int_equal(fp_existing_read(existing, take, NULL), 0);
	assert_int_equal(n_events, 0);
	fp_existing_free(existing);
	end_warm();
	forget();
}

static int scratch_file(void)
{
	return open(in_directory("scratch"), O_RDWR | O_CREAT, 0600);
}

/* Opens in each of three places, and closes nothing. */
static void wander(void)
{
	for (int i = 0; i < 3; i++) {
		int fd = scratch_file();

		if (fd < 0 || write(fd, "12", 2) != 2)
			_exit(91);
		held->pipes[0] = fd;
		tell(ready);
		wait_for(go);
	}
	_exit(0);
}

static const char *path_in_hierarchy(const struct fp_cgroup *of)
{
	return strrchr(of->path, '/'); /* both lie at the top */
}

static void assert_left(pid_t pid, uint64_t flags, const char *to, pid_t mover)
{
	const struct fp_event *left = nth(FP_EVENT_TYPE_LEFT, 0);
	char name[16];

	prctl(PR_GET_NAME, name);
	assert_int_equal(count(FP_EVENT_TYPE_LEFT), 1);
	assert_int_equal(left->tgid, pid);
	assert_int_equal(left->tid, pid);
	assert_int_equal(left->cgroup, cgroup.id);
	assert_int_equal(left->flags, flags);
	assert_int_equal(left->mover_tgid, mover);
	assert_true(left->mover_start > 0 && left->process_start > left->mover_start && left->process_start < left->time);
	assert_text(left->cgroup_path, to);
	assert_text(left->comm, name);
	assert_text(left->mover, name);
}

/* Who is moved out is told of, once, and that he is not seen any more is a loss. */
static void who_leaves_is_told(void **state)
{
	int status;

	start_elsewhere(wander);
	lost_by(FP_LOSS_LEFT);
	assert_int_equal(fp_cgroup_enter(&cgroup, child), 0);
	drain_and_walk();
	assert_int_equal(count(FP_EVENT_TYPE_LEFT), 0);
	forget();
	assert_int_equal(fp_cgroup_enter(&elsewhere, child), 0);
	drain_and_walk();
	assert_left(child, 0, path_in_hierarchy(&elsewhere), getpid());
	assert_int_equal(n_events, 1);
	assert_int_equal(lost_by(FP_LOSS_LEFT), 1);
	forget();
	/* to and fro elsewhere is nothing to us */
	assert_int_equal(fp_cgroup_enter(&elsewhere, child), 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	drain_and_walk();
	assert_int_equal(n_events, 0);
	assert_int_equal(lost_by(FP_LOSS_LEFT), 0);
	close(go);
	close(ready);
}

/* Who was there before recording began, and so came and was born unseen, can leave, too. */
static void who_was_there_and_leaves_is_told(void **state)
{
	struct fp_capture_options options = {.ring_size = 1 << 20, .root_cgroup = cgroup.id, .root_path = cgroup.path,
					     .root_level = cgroup.level, .container_level = cgroup.level};
	struct fp_capture *first = capture;
	char error[256];

	start_warm();
	assert_int_equal(fp_capture_open(&options, &capture, error), 0);
	assert_int_equal(fp_capture_start(capture, error), 0);
	read_existing(false);
	for (size_t i = 0; i < n_events; i++)
		fp_capture_note_member(capture, raw[i], ((struct fp_record_head *)raw[i])->size);
	forget();
	assert_int_equal(fp_cgroup_enter(&elsewhere, child), 0);
	assert_true(fp_capture_drain(capture, take, NULL) >= 0);
	assert_left(child, 0, path_in_hierarchy(&elsewhere), getpid());
	assert_int_equal(lost_by(FP_LOSS_LEFT), 1);
	forget();
	fp_capture_free(capture);
	capture = first;
	end_warm();
	forget();
}

/* --- one thread leaves alone, to where its process's memory counts all the same: a threaded cgroup beside it ---- */

static void write_into(const struct fp_cgroup *folder, const char *file, const char *text)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%.3000s/%s", folder->path, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void make_threaded(const struct fp_cgroup *domain, const char *name, struct fp_cgroup *ret)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%.3000s/%s", domain->path, name);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(fp_cgroup_open(path, ret), 0);
	write_into(ret, "cgroup.type", "threaded");
}

static void *tell_and_wait(void *none)
{
	held->born = (pid_t)syscall(SYS_gettid);
	tell(ready);
	wait_for(go);
	_exit(0);
	return none;
}

static void start_two_threads(void)
{
	pthread_t thread;

	ready = eventfd(0, 0);
	go = eventfd(0, 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (pthread_create(&thread, NULL, tell_and_wait, NULL))
			_exit(91);
		pthread_join(thread, NULL);
	}
	wait_for(ready);
}

static void assert_thread_left(const char *to)
{
	const struct fp_event *left = nth(FP_EVENT_TYPE_LEFT, 0);

	assert_int_equal(n_events, 1);
	assert_int_equal(left->tgid, child);
	assert_int_equal(left->tid, held->born);
	assert_int_equal(left->flags, FP_MOVED_THREAD);
	assert_int_equal(left->cgroup, cgroup.id);
	assert_int_equal(left->mover_tgid, getpid());
	assert_text(left->cgroup_path, to);
}

static void a_thread_that_leaves_alone_is_told(void **state)
{
	struct fp_capture_options options = {.ring_size = 1 << 20};
	struct fp_cgroup domain, out, usual = cgroup;
	struct fp_capture *first = capture;
	char error[256], name[64], number[16], to[80];
	int status;

	snprintf(name, sizeof(name), "faasprov-test-threads-%d", getpid());
	assert_int_equal(fp_cgroup_make(name, &domain), 0);
	make_threaded(&domain, "in", &cgroup);
	make_threaded(&domain, "out", &out);
	options.root_cgroup = cgroup.id;
	options.root_path = cgroup.path;
	options.root_level = options.container_level = cgroup.level;
	assert_int_equal(fp_capture_open(&options, &capture, error), 0);
	assert_int_equal(fp_capture_start(capture, error), 0);
	start_two_threads();
	assert_int_equal(fp_cgroup_enter(&domain, child), 0);
	assert_int_equal(fp_cgroup_enter(&cgroup, child), 0);
	assert_true(fp_capture_drain(capture, take, NULL) >= 0);
	assert_moved(child, 0);
	assert_int_equal(lost_by(FP_LOSS_LEFT), 0);
	forget();

	snprintf(number, sizeof(number), "%d", held->born);
	snprintf(to, sizeof(to), "/%s/out", name);
	write_into(&out, "cgroup.threads", number);
	assert_true(fp_capture_drain(capture, take, NULL) >= 0);
	assert_thread_left(to);
	assert_int_equal(lost_by(FP_LOSS_LEFT), 1);
	forget();
	/* the process is still there, and leaves itself */
	assert_int_equal(fp_cgroup_enter(&out, child), 0);
	assert_true(fp_capture_drain(capture, take, NULL) >= 0);
	assert_left(child, 0, to, getpid());
	assert_int_equal(lost_by(FP_LOSS_LEFT), 1);
	forget();

	tell(go);
	assert_int_equal(waitpid(child, &status, 0), child);
	fp_capture_free(capture);
	capture = first;
	fp_cgroup_remove(&out);
	fp_cgroup_remove(&cgroup);
	fp_cgroup_remove(&domain);
	cgroup = usual;
	close(go);
	close(ready);
}

/* A recorded process makes its child elsewhere. */
static int bear_elsewhere(void)
{
	int folder = open(elsewhere.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status;
	struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)folder};

	pid_t born = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (born == 0)
		_exit(scratch_file() < 0);
	held->born = born;
	return born < 0 || waitpid(born, &status, 0) != born || status;
}

static void who_is_born_elsewhere_is_told(void **state)
{
	lost_by(FP_LOSS_LEFT);
	record(bear_elsewhere);
	assert_left(held->born, FP_MOVED_BORN, path_in_hierarchy(&elsewhere) + 1, child);
	assert_int_equal(nth(FP_EVENT_TYPE_FORK, 0)->child_tgid, held->born);
	assert_int_equal(nth(FP_EVENT_TYPE_FORK, 0)->child_start, nth(FP_EVENT_TYPE_LEFT, 0)->process_start);
	assert_int_equal(count_of(FP_EVENT_TYPE_OPEN, held->born), 0);
	assert_int_equal(lost_by(FP_LOSS_LEFT), 1);
	forget();
}

/* Out of it nothing is recorded; whoever comes back is told of, and of what he has opened in between. */
static void who_leaves_is_not_recorded(void **state)
{
	int first, second, status;

	start_elsewhere(wander);
	first = held->pipes[0];
	assert_int_equal(fp_cgroup_enter(&cgroup, child), 0);
	drain_and_walk();
	assert_moved(child, 0);
	held_as(FP_EVENT_TYPE_HELD, first);
	assert_int_equal(fp_cgroup_enter(&elsewhere, child), 0);
	fp_capture_drain(capture, take, NULL);
	forget();
	tell(go);
	wait_for(ready);
	second = held->pipes[0];
	assert_true(second != first);
	drain_and_walk();
	assert_int_equal(n_events, 0);
	assert_int_equal(fp_cgroup_enter(&cgroup, child), 0);
	drain_and_walk();
	assert_moved(child, 0);
	held_as(FP_EVENT_TYPE_HELD, first);
	held_as(FP_EVENT_TYPE_HELD, second);
	forget();
	tell(go);
	wait_for(ready);
	assert_int_equal(fp_capture_drain(capture, take, NULL) >= 0, 1);
	assert_int_equal(nth(FP_EVENT_TYPE_OPEN, 0)->fd, held->pipes[0]);
	assert_int_equal(nth(FP_EVENT_TYPE_WRITE, 0)->fd, held->pipes[0]);
	assert_int_equal(count(FP_EVENT_TYPE_WRITE), 1);
	tell(go);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	fp_capture_drain(capture, take, NULL);
	forget();
	close(go);
	close(ready);
}

/* Made in the cgroup by somebody outside: no fork of it is recorded, and nobody moves it. */
static void who_is_born_there_is_known(void **state)
{
	int folder = open(cgroup.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status;
	struct clone_args args = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)folder};

	ready = eventfd(0, EFD_CLOEXEC);
	go = eventfd(0, EFD_CLOEXEC);
	held->file = scratch_file();
	child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	assert_true(child >= 0);
	if (child == 0) {
		wait_for(go);
		_exit(write(held->file, "born", 4) == 4 ? 0 : 90);
	}
	drain_and_walk();
	assert_moved(child, FP_MOVED_BORN);
	assert_int_equal(held_as(FP_EVENT_TYPE_HELD, held->file)->ino, ino_of(in_directory("scratch")));
	forget();
	tell(go);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	fp_capture_drain(capture, take, NULL);
	assert_int_equal(nth(FP_EVENT_TYPE_WRITE, 0)->ino, ino_of(in_directory("scratch")));
	forget();
	close(folder);
	close(held->file);
	close(go);
	close(ready);
}

/* Gone before anybody asks: who it was has been told all the same. */
static void who_comes_for_a_moment_is_known(void **state)
{
	int status;

	start_elsewhere(wander);
	assert_int_equal(fp_cgroup_enter(&cgroup, child), 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	drain_and_walk();
	assert_moved(child, 0);
	assert_int_equal(count(FP_EVENT_TYPE_PRESENT), 0);
	assert_int_equal(count_of(FP_EVENT_TYPE_EXIT, child), 1);
	forget();
	close(go);
	close(ready);
}

/* Stops itself when all of the other program is mapped. */
static void become_another(void)
{
	tell(ready);
	wait_for(go);
	execl("/bin/sh", "sh", "-c", "kill -STOP $$", NULL);
	_exit(1);
}

/* By the time of the walk he runs another program: what that has mapped was told as it did, and is not told again. */
static void who_runs_another_program_by_then_is_walked_without_it(void **state)
{
	int status;

	start_elsewhere(become_another);
	assert_int_equal(fp_cgroup_enter(&cgroup, child), 0);
	tell(go);
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	drain_and_walk();
	assert_int_equal(count_of(FP_EVENT_TYPE_PRESENT, child), 1);
	assert_int_equal(count_of(FP_EVENT_TYPE_EXEC, child), 1);
	assert_true(count_of(FP_EVENT_TYPE_LOAD, child) > 0);
	assert_int_equal(count_of(FP_EVENT_TYPE_MAPPED, child), 0);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	fp_capture_drain(capture, take, NULL);
	forget();
	close(go);
	close(ready);
}

/* More than can wait: each that cannot be walked is said to be one. */
static void who_cannot_be_walked_is_counted(void **state)
{
	struct fp_record_head head = {.type = FP_RECORD_TYPE_MOVED, .process_start = 1};
	static struct fp_walk full;

	assert_int_equal(fp_walk_note(&full, &head, sizeof(head)), -ENOTSUP);
	full.existing = walk.existing;
	for (head.tgid = 1; head.tgid <= FP_WALK_WAITING_MAX; head.tgid++)
		assert_int_equal(fp_walk_note(&full, &head, sizeof(head)), 1);
	assert_int_equal(fp_walk_note(&full, &head, sizeof(head)), -ENOSPC);
	head.tgid--; /* waits already */
	assert_int_equal(fp_walk_note(&full, &head, sizeof(head)), 1);
	head.type = FP_RECORD_TYPE_FORK;
	assert_int_equal(fp_walk_note(&full, &head, sizeof(head)), 0);
	assert_int_equal(fp_walk_note(&full, &head, 4), 0);
}

static int setup(void **state)
{
	char name[64];

	held = mmap(NULL, sizeof(*held), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (held == MAP_FAILED || group_setup(state) < 0)
		return -1;
	snprintf(name, sizeof(name), "faasprov-elsewhere-%d", getpid());
	if (fp_cgroup_make(name, &elsewhere) < 0)
		return -1;
	walk.existing = open_existing();
	return 0;
}

static int teardown(void **state)
{
	fp_walk_done(&walk);
	fp_cgroup_remove(&elsewhere);
	return group_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_there_is_known),
		cmocka_unit_test(who_comes_later_is_not_told_twice),
		cmocka_unit_test(what_an_exec_closes_is_left_out),
		cmocka_unit_test(many_descriptors_come_in_pieces),
		cmocka_unit_test(who_is_moved_in_is_known),
		cmocka_unit_test(nobody_else_is_walked),
		cmocka_unit_test(who_leaves_is_told),
		cmocka_unit_test(who_was_there_and_leaves_is_told),
		cmocka_unit_test(a_thread_that_leaves_alone_is_told),
		cmocka_unit_test(who_is_born_elsewhere_is_told),
		cmocka_unit_test(who_leaves_is_not_recorded),
		cmocka_unit_test(who_is_born_there_is_known),
		cmocka_unit_test(who_comes_for_a_moment_is_known),
		cmocka_unit_test(who_runs_another_program_by_then_is_walked_without_it),
		cmocka_unit_test(who_cannot_be_walked_is_counted),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

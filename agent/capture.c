#include "agent/capture.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/bpf/handlers.h"
#include "agent/capture_state.h"
#include "agent/symbols.h"
#include "base/cleanup.h"
#include "base/ours.h"
#include "schema/schema.h"
#include "faasprov.skel.h"

/* BPF programs cannot include schema.h. */
_Static_assert(FP_MARK_PRCTL == FP_MARK_OPTION && FP_MARK_ROOM == FP_MARK_DETAILS_MAX, "one carrier of marks");

/* libbpf says why a load failed through a callback without an argument. */
static char last_complaint[256];

static int keep_complaint(enum libbpf_print_level level, const char *format, va_list args)
{
	char line[sizeof(last_complaint)];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof(line), format, args);
	line[strcspn(line, "\n")] = '\0';
	/* the first complaint is the cause, what follows only echoes it */
	if (!last_complaint[0])
		memcpy(last_complaint, line, sizeof(line));
	return 0;
}

static int complain(char ret_error[256], const char *what, int error)
{
	if (error == -EPERM || error == -EACCES)
		snprintf(ret_error, 256, "%s: the kernel refuses (needs CAP_BPF and CAP_PERFMON, or root): %.120s", what,
			 last_complaint);
	else
		snprintf(ret_error, 256, "%s: %s: %.160s", what, strerror(-error), last_complaint);
	return error;
}

static const struct {
	uint32_t number;
	enum fp_handler handler;
} calls[] = {
#define FP_CALL(name, handler) {SYS_##name, FP_HANDLER_##handler},
#include "agent/calls.def"
};

#if defined(__x86_64__)
/* The same of 32-bit calls: where each stands in `native_of`. */
static const struct {
	uint32_t place;
	uint32_t native;
} foreign_calls[] = {
#define FP_FOREIGN_CALL(number, name, native) {number, SYS_##native},
#define FP_FOREIGN_PART(gate, number, native) {FP_FOREIGN_##gate + (number), SYS_##native},
#include "agent/calls32.def"
};
#endif

static const char *const families[] = {
#define FAMILY_NAME(name, HANDLERS) #name,
	FP_FAMILIES(FAMILY_NAME)
};

#define AT_RETURN 1
#define CAN_LACK 2 /* the others are enough without it */

struct probe {
	const char *function, *handler;
	int how;
};

/* The _ex forms came later (OpenSSL 1.1.1). */
static const struct probe tls_probes[] = {
	{"SSL_write", "tls_write", 0},		     {"SSL_write", "tls_done", AT_RETURN},
	{"SSL_read", "tls_read", 0},		     {"SSL_read", "tls_done", AT_RETURN},
	{"SSL_write_ex", "tls_write_ex", CAN_LACK},  {"SSL_write_ex", "tls_done", AT_RETURN | CAN_LACK},
	{"SSL_read_ex", "tls_read_ex", CAN_LACK},    {"SSL_read_ex", "tls_done", AT_RETURN | CAN_LACK},
	{"SSL_free", "tls_free", 0},
};

/* What the pool's threads run is libuv's own, known by a symbol where the file is not stripped. */
static const struct probe lookup_probes[] = {
	{"uv__getaddrinfo_work", "lookup_begun", 0}, {"uv_getaddrinfo", "lookup_given", 0},
	{"uv__getnameinfo_work", "lookup_begun", 0}, {"uv_getnameinfo", "lookup_given", 0},
};

static const struct {
	const struct probe *of;
	size_t n;
	int refused; /* the enum fp_loss when the kernel does not let us; 0: nothing is lost */
} probes[] = {
	[FP_FUNCTIONS_TLS] = {tls_probes, sizeof(tls_probes) / sizeof(tls_probes[0]), FP_LOSS_TLS_HOOK},
	[FP_FUNCTIONS_LOOKUPS] = {lookup_probes, sizeof(lookup_probes) / sizeof(lookup_probes[0]), 0},
};

/* Handlers are reached by tail call alone, and probes are set where a library is. */
static void attach_only_sources(struct faasprov_bpf *skeleton)
{
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		bpf_program__set_autoattach(bpf_object__find_program_by_name(skeleton->obj, families[i]), false);
	bpf_program__set_autoattach(skeleton->progs.of_failures, false);
	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
		for (size_t j = 0; j < probes[i].n; j++)
			bpf_program__set_autoattach(bpf_object__find_program_by_name(skeleton->obj, probes[i].of[j].handler), false);
}

/* --- loading and taking over ------------------------------------------------------- */

/* FNV-1a: an accident is to be noticed, not an attack; who can write here is root. */
static uint64_t hash(uint64_t from, const void *data, size_t len)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++)
		from = (from ^ bytes[i]) * 0x100000001b3ull;
	return from;
}

/*
 * How deep containers' pid name spaces lie: one below ours.  The kernel tells nobody
 * how deep his own lies, except in the first, whose number is fixed (PROC_PID_INIT_INO);
 * from another we take each process's innermost.
 */
unsigned fp_capture_pid_level(void)
{
	struct stat own;

	return stat("/proc/self/ns/pid", &own) == 0 && own.st_ino == 0xEFFFFFFCu ? 1 : UINT_MAX;
}

static uint64_t build_of(uint64_t without)
{
	size_t len = 0;
	const void *elf = faasprov_bpf__elf_bytes(&len);
	uint64_t build = hash(hash(0xcbf29ce484222325ull, elf, len), FP_VERSION, sizeof(FP_VERSION));

	return hash(build, &without, sizeof(without)) + FP_JOURNAL_VERSION;
}

bool fp_capture_is_same_build(const struct fp_about *about)
{
	/* the wish is part of the build, and not written beside it: one of the few that there are */
	for (uint64_t wish = 0; wish < 4; wish++)
		if (about->build == build_of((wish & 1) << FP_LOSS_SIGNAL_HOOK | wish >> 1 << FP_LOSS_RING_HOOK))
			return true;
	return false;
}

static struct fp_about about_us(const struct fp_capture_options *options, uint32_t ring_size)
{
	return (struct fp_about){.build = build_of(options->without),
				 .root_cgroup = options->root_cgroup,
				 .root_level = (uint64_t)options->root_level,
				 .container_level = (uint64_t)options->container_level,
				 .pid_level = fp_capture_pid_level(),
				 .ring_size = ring_size};
}

/* What the kernel side lacks is found out in loading it; a wish to do without is part of what it is. */
static bool is_ours(const struct fp_about *there, const struct fp_about *ours)
{
	struct fp_about expected = *ours;

	expected.links = there->links;
	expected.hooks = there->hooks;
	expected.existing = there->existing;
	expected.memory = there->memory;
	return memcmp(there, &expected, sizeof(expected)) == 0;
}

static int load_programs(struct fp_capture *capture, const struct fp_capture_options *options, bool spare)
{
	struct faasprov_bpf *skeleton;

	capture->skeleton = skeleton = faasprov_bpf__open();
	if (!skeleton)
		return -errno;
	skeleton->rodata->root_cgroup = options->root_cgroup;
	skeleton->rodata->root_level = options->root_level;
	skeleton->rodata->container_level = options->container_level;
	skeleton->rodata->pid_level = (unsigned)capture->about.pid_level;
	skeleton->rodata->ring_size = capture->about.ring_size;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		skeleton->rodata->handler_of[calls[i].number] = (uint8_t)calls[i].handler;
#if defined(__x86_64__)
	for (size_t i = 0; i < sizeof(foreign_calls) / sizeof(foreign_calls[0]); i++)
		skeleton->rodata->native_of[foreign_calls[i].place] = (uint16_t)(foreign_calls[i].native + 1);
#endif
	bpf_map__set_max_entries(skeleton->maps.ring, (uint32_t)capture->about.ring_size);
	attach_only_sources(skeleton);
	fp_capture_leave_out_missing(capture, options->without, spare);
	return faasprov_bpf__load(skeleton);
}

uint64_t fp_capture_charged_for(int fd)
{
	fp_cleanup(fp_fclosep) FILE *file = NULL;
	unsigned long long bytes;
	char path[64], line[256];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			return bytes;
	return 0;
}

static uint64_t charged_for_all(const struct faasprov_bpf *skeleton)
{
	struct bpf_program *program;
	struct bpf_map *map;
	uint64_t sum = 0;

	bpf_object__for_each_map(map, skeleton->obj)
		sum += fp_capture_charged_for(bpf_map__fd(map));
	bpf_object__for_each_program(program, skeleton->obj)
		sum += fp_capture_charged_for(bpf_program__fd(program));
	return sum;
}

/* A thread's state, and what the kernel needs to find it: measured, docs/capture.md. */
#define THREAD_BYTES 448
#define THREAD_MEMORY_DEFAULT (16u << 20)

void fp_capture_set_thread_memory(struct fp_capture *capture, uint64_t bytes)
{
	__atomic_store_n(&capture->bss->states_max, bytes / THREAD_BYTES, __ATOMIC_RELEASE);
}

uint64_t fp_capture_thread_memory(const struct fp_capture *capture)
{
	return __atomic_load_n(&capture->bss->n_states, __ATOMIC_RELAXED) * THREAD_BYTES;
}

uint64_t fp_capture_memory(const struct fp_capture *capture)
{
	return capture->about.memory;
}

static int load(struct fp_capture *capture, const struct fp_capture_options *options, char ret_error[256])
{
	struct faasprov_bpf *skeleton;
	int r = load_programs(capture, options, false);

	/* it may be one that we can do without */
	if (r < 0 && capture->skeleton) {
		faasprov_bpf__destroy(capture->skeleton);
		capture->skeleton = NULL;
		r = load_programs(capture, options, true);
	}
	if (r < 0)
		return complain(ret_error, "cannot load the BPF programs", r);
	skeleton = capture->skeleton;
	capture->about.memory = charged_for_all(skeleton);
#define FD_OF(name) capture->maps[FP_CAPTURE_MAP_##name] = bpf_map__fd(skeleton->maps.name);
	FP_CAPTURE_MAPS(FD_OF)
#undef FD_OF
	return 0;
}

static bool all_links_pinned(const struct fp_capture *capture, uint64_t links)
{
	char name[16];

	for (uint64_t i = 0; i < links; i++) {
		snprintf(name, sizeof(name), "link%u", (unsigned)i);
		if (!fp_pins_has(&capture->pins, name))
			return false;
	}
	return links > 0;
}

/* 1: what is pinned is ours now; 0: nothing is there; -ESTALE: something that is not as we would have it. */
static int take_over(struct fp_capture *capture)
{
	static const char *const names[] = {
#define NAME(name) #name,
		FP_CAPTURE_MAPS(NAME)
#undef NAME
	};
	struct fp_about about;
	uint32_t zero = 0;
	int fd;

	if (!fp_pins_has(&capture->pins, "ring"))
		return 0;
	fd = fp_pins_get(&capture->pins, "about");
	if (fd < 0)
		return -ESTALE;
	memset(&about, 0, sizeof(about));
	if (bpf_map_lookup_elem(fd, &zero, &about) < 0)
		about.build = 0;
	close(fd);
	if (!is_ours(&about, &capture->about) || !all_links_pinned(capture, about.links))
		return -ESTALE;
	capture->about = about;
	capture->own_maps = true;
	for (int i = 0; i < FP_CAPTURE_N_MAPS; i++) {
		capture->maps[i] = fp_pins_get(&capture->pins, names[i]);
		if (capture->maps[i] < 0)
			return -ESTALE;
	}
	return 1;
}

static void close_maps(struct fp_capture *capture)
{
	for (int i = 0; i < FP_CAPTURE_N_MAPS; i++) {
		if (capture->own_maps && capture->maps[i] >= 0)
			close(capture->maps[i]);
		capture->maps[i] = -1;
	}
	capture->own_maps = false;
}

/* 1: taken over; 0: to be loaded, pinned when capture->pins is open; negative errno. */
static int look_for_pins(struct fp_capture *capture, uint64_t cgroup, char ret_error[256])
{
	int r = fp_pins_open(cgroup, &capture->pins);

	if (r == -EBUSY) {
		snprintf(ret_error, 256, "another agent records this cgroup (%.100s)", capture->pins.path);
		return r;
	}
	if (r < 0) { /* recording is possible all the same */
		snprintf(capture->not_pinned, sizeof(capture->not_pinned), FP_PINS_ROOT ": %.60s", strerror(-r));
		return 0;
	}
	r = take_over(capture);
	if (r != -ESTALE)
		return r;
	close_maps(capture);
	r = fp_pins_set_aside(&capture->pins, &capture->old);
	if (r < 0)
		snprintf(ret_error, 256, "cannot replace %.100s: %s", capture->pins.path, strerror(-r));
	return r;
}

/* Told of what is new alone: what is held would keep it readable. */
static int listen_to_ring(struct fp_capture *capture)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int fd = epoll_create1(EPOLL_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (epoll_ctl(fd, EPOLL_CTL_ADD, capture->maps[FP_CAPTURE_MAP_ring], &event) < 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

static int open_ring(struct fp_capture *capture)
{
	struct epoll_event event;
	void *bss, *usage;
	int r = fp_ring_open(&capture->ring, capture->maps[FP_CAPTURE_MAP_ring], (uint32_t)capture->about.ring_size);

	if (r < 0)
		return r;
	capture->epoll = listen_to_ring(capture);
	if (capture->epoll < 0)
		return capture->epoll;
	capture->alarm = listen_to_ring(capture);
	if (capture->alarm < 0)
		return capture->alarm;
	epoll_wait(capture->alarm, &event, 1, 0); /* what a former agent left is no news */
	bss = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED,
		   capture->maps[FP_CAPTURE_MAP_bss], 0);
	if (bss == MAP_FAILED)
		return -errno;
	capture->bss = bss;
	usage = mmap(NULL, FP_USAGE_SLOTS * sizeof(*capture->usage), PROT_READ | PROT_WRITE, MAP_SHARED,
		     capture->maps[FP_CAPTURE_MAP_usage], 0);
	if (usage == MAP_FAILED)
		return -errno;
	capture->usage = usage;
	return 0;
}

int fp_capture_open(const struct fp_capture_options *options, struct fp_capture **ret_capture, char ret_error[256])
{
	uint32_t ring_size = options->ring_size ? options->ring_size : FP_RING_SIZE_DEFAULT;
	struct fp_capture *capture = calloc(1, sizeof(*capture));
	int r = 0;

	if (!capture)
		return complain(ret_error, "cannot load the BPF programs", -ENOMEM);
	capture->pins.lock = capture->old.lock = capture->epoll = capture->alarm = capture->root = -1;
	if (options->root_path)
		capture->root = open(options->root_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	memset(capture->maps, -1, sizeof(capture->maps));
	capture->about = about_us(options, ring_size);
	capture->hold = options->pinned;
	last_complaint[0] = '\0';
	libbpf_set_print(keep_complaint);
	if (options->pinned)
		r = look_for_pins(capture, options->root_cgroup, ret_error);
	if (r == 0)
		r = load(capture, options, ret_error);
	if (r >= 0) {
		r = open_ring(capture);
		if (r < 0)
			complain(ret_error, "cannot map the ring buffer", r);
		else
			fp_capture_set_thread_memory(capture, THREAD_MEMORY_DEFAULT);
	}
	if (r < 0) {
		fp_capture_free(capture);
		return r;
	}
	*ret_capture = capture;
	return 0;
}

struct fp_capture *fp_capture_free(struct fp_capture *capture)
{
	if (!capture)
		return NULL;
	fp_ring_close(&capture->ring);
	if (capture->bss)
		munmap(capture->bss, (size_t)sysconf(_SC_PAGESIZE));
	if (capture->usage)
		munmap(capture->usage, FP_USAGE_SLOTS * sizeof(*capture->usage));
	fp_closep(&capture->epoll);
	fp_closep(&capture->alarm);
	fp_closep(&capture->root);
	close_maps(capture);
	for (size_t i = 0; i < capture->n_probes; i++)
		bpf_link__destroy(capture->probes[i]);
	free(capture->probes);
	faasprov_bpf__destroy(capture->skeleton);
	fp_pins_close(&capture->pins);
	fp_pins_close(&capture->old);
	free(capture->slots);
	free(capture->known);
	free(capture);
	return NULL;
}

/* --- attaching ------------------------------------------------------------------------ */

static int pin_maps(struct fp_capture *capture)
{
	char path[FP_PINS_PATH_MAX + 64];

#define PIN(name)                                                                                  \
	fp_pins_name(&capture->pins, #name, path);                                                 \
	if (bpf_obj_pin(capture->maps[FP_CAPTURE_MAP_##name], path) < 0)                           \
		return -errno;
	FP_CAPTURE_MAPS(PIN)
#undef PIN
	return 0;
}

static int pin_link(struct fp_capture *capture, struct bpf_link *link)
{
	char name[16], path[FP_PINS_PATH_MAX + 64];

	snprintf(name, sizeof(name), "link%u", (unsigned)capture->about.links++);
	fp_pins_name(&capture->pins, name, path);
	return bpf_obj_pin(bpf_link__fd(link), path) < 0 ? -errno : 0;
}

static int pin_about(struct fp_capture *capture)
{
	uint32_t zero = 0;

	return bpf_map_update_elem(capture->maps[FP_CAPTURE_MAP_about], &zero, &capture->about, BPF_ANY) < 0 ? -errno : 0;
}

static int pin_links(struct fp_capture *capture)
{
	struct bpf_object_skeleton *skeleton = capture->skeleton->skeleton;
	int r = 0;

	for (int i = 0; i < skeleton->prog_cnt && r == 0; i++)
		if (*skeleton->progs[i].link)
			r = pin_link(capture, *skeleton->progs[i].link);
	return r < 0 ? r : pin_about(capture);
}

bool fp_capture_wants_existing(const struct fp_capture *capture)
{
	return !capture->about.existing;
}

static int note_existing(struct fp_capture *capture, uint64_t told)
{
	if (capture->about.existing == told)
		return 0;
	capture->about.existing = told;
	return capture->pins.lock >= 0 ? pin_about(capture) : 0;
}

int fp_capture_existing_told(struct fp_capture *capture)
{
	return note_existing(capture, 1);
}

int fp_capture_existing_untold(struct fp_capture *capture)
{
	return note_existing(capture, 0);
}

int fp_capture_start(struct fp_capture *capture, char ret_error[256])
{
	int r;

	if (!capture->skeleton)
		return 0;
	fp_capture_attach_optional(capture, capture->root);
	fp_closep(&capture->root);
	r = faasprov_bpf__attach(capture->skeleton);
	if (r < 0)
		return complain(ret_error, "cannot attach the BPF programs", r);
	if (capture->pins.lock < 0)
		return 0;
	r = pin_maps(capture);
	if (r == 0)
		r = pin_links(capture);
	if (r < 0)
		return complain(ret_error, "cannot pin the BPF programs", r);
	if (capture->old.lock >= 0) { /* only now: both have seen what happened in between */
		capture->replaced = fp_capture_count_unread(&capture->old);
		fp_pins_remove(&capture->old);
	}
	return 0;
}

static int attach_probe(struct fp_capture *capture, const char *path, uint64_t offset, const struct probe *probe)
{
	struct bpf_program *program = bpf_object__find_program_by_name(capture->skeleton->obj, probe->handler);
	LIBBPF_OPTS(bpf_uprobe_opts, options, .retprobe = probe->how & AT_RETURN);
	struct bpf_link **links = realloc(capture->probes, (capture->n_probes + 1) * sizeof(struct bpf_link *)), *link;

	if (!links)
		return -ENOMEM;
	capture->probes = links;
	link = bpf_program__attach_uprobe_opts(program, -1, path, offset, &options);
	if (!link)
		return -errno;
	capture->probes[capture->n_probes++] = link;
	return capture->pins.lock >= 0 ? pin_link(capture, link) : 0;
}

/* Not that a file has no such functions, or is none: the kernel does not let us. */
static bool is_refusal(int r)
{
	return r == -EPERM || r == -EACCES || r == -ENOSYS || r == -EOPNOTSUPP || r == -ENODEV;
}

static int find_functions(int fd, enum fp_functions functions, struct fp_symbol ret_symbols[FP_SYMBOLS_MAX])
{
	for (size_t i = 0; i < probes[functions].n; i++)
		ret_symbols[i].name = probes[functions].of[i].function;
	return fp_symbols_find(fd, ret_symbols, probes[functions].n);
}

int fp_capture_attach(struct fp_capture *capture, enum fp_functions functions, const char *path)
{
	size_t before = capture->n_probes;
	struct fp_symbol symbols[FP_SYMBOLS_MAX];
	fp_cleanup(fp_closep) int fd = -1;
	char same[32]; /* what `path` leads to can be another file by now */
	int r;

	if (!capture->skeleton)
		return -ENOTSUP;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	r = fd < 0 ? -errno : find_functions(fd, functions, symbols);
	snprintf(same, sizeof(same), "/proc/self/fd/%d", fd);
	for (size_t i = 0; i < probes[functions].n && r == 0; i++) {
		const struct probe *probe = &probes[functions].of[i];

		r = symbols[i].offset ? attach_probe(capture, same, symbols[i].offset, probe) : -ENOENT;
		if (r == -ENOENT && probe->how & CAN_LACK)
			r = 0;
	}
	if (is_refusal(r) && probes[functions].refused)
		capture->about.hooks |= 1ull << probes[functions].refused;
	/* what is pinned is to be found by who takes over */
	if (capture->pins.lock >= 0 && (capture->n_probes > before || is_refusal(r)) && pin_about(capture) < 0 && r == 0)
		r = -EIO;
	return r;
}

void fp_capture_leave_out(struct fp_capture *capture, uint64_t cgroup, uint64_t tgid, uint64_t process_start)
{
	struct fp_watchdog watchdog = {.tgid = tgid, .process_start = process_start, .cgroup = cgroup};
	uint32_t slot = tgid % FP_WATCHDOG_SLOTS;

	/* without it more is recorded, nothing less */
	bpf_map_update_elem(capture->maps[FP_CAPTURE_MAP_watchdogs], &slot, &watchdog, BPF_ANY);
}

void fp_capture_note_member(struct fp_capture *capture, const void *record, size_t len)
{
	struct fp_record_head head;
	struct fp_member member;
	uint32_t tgid;

	if (len < sizeof(head))
		return;
	memcpy(&head, record, sizeof(head));
	if (head.type != FP_RECORD_TYPE_PRESENT)
		return;
	tgid = (uint32_t)head.tgid;
	member = (struct fp_member){.start = head.process_start, .cgroup = head.cgroup};
	/* who is known already is so from the ring, which is never older */
	bpf_map_update_elem(capture->maps[FP_CAPTURE_MAP_members], &tgid, &member, BPF_NOEXIST);
}

int fp_capture_made(const struct fp_capture *capture, uint64_t cgroup, char *ret_path, size_t size)
{
	struct fp_made made;

	if (bpf_map_lookup_elem(capture->maps[FP_CAPTURE_MAP_made], &cgroup, &made) < 0)
		return -ENOENT;
	/* one that fills its place may have been cut */
	if (strnlen(made.path, sizeof(made.path)) >= sizeof(made.path) - 1 || strlen(made.path) >= size)
		return -ENAMETOOLONG;
	strcpy(ret_path, made.path);
	return 0;
}

void fp_capture_set_ours(struct fp_capture *capture, const struct fp_ours *ours, unsigned n)
{
	for (unsigned i = 0; i < FP_OURS_MAX; i++) {
		struct fp_ours_seen seen = {0};

		if (i < n)
			seen = (struct fp_ours_seen){ours[i].pid, ours[i].start};
		if (memcmp(&capture->bss->ours[i], &seen, sizeof(seen)) != 0)
			memcpy(&capture->bss->ours[i], &seen, sizeof(seen));
	}
	__atomic_store_n(&capture->bss->n_ours, n < FP_OURS_MAX ? n : FP_OURS_MAX, __ATOMIC_RELEASE);
}

bool fp_capture_is_ours(const struct fp_capture *capture, uint64_t tgid, uint64_t process_start)
{
	for (unsigned i = 0; i < FP_OURS_MAX; i++)
		if (tgid && capture->bss->ours[i].tgid == tgid && capture->bss->ours[i].start == process_start / FP_TICK)
			return true;
	return false;
}

const char *fp_capture_not_pinned(const struct fp_capture *capture)
{
	return capture->not_pinned[0] ? capture->not_pinned : NULL;
}

int fp_capture_unpin(struct fp_capture *capture)
{
	return capture->pins.lock >= 0 ? fp_pins_remove(&capture->pins) : 0;
}

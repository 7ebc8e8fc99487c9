#include "agent/capture.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/bpf/shared.h"
#include "schema/schema.h"
#include "faasprov.skel.h"

/* BPF programs cannot include schema.h. */
_Static_assert(FP_MARK_PRCTL == FP_MARK_OPTION && FP_MARK_ROOM == FP_MARK_DETAILS_MAX, "one carrier of marks");

struct fp_capture {
	struct faasprov_bpf *skeleton;
	struct ring_buffer *ring;
	fp_capture_record_fn fn;
	void *arg;
	struct known_loss {
		struct fp_loss_key key;
		uint64_t taken;
	} *known; /* what take_losses() has already given out */
	size_t n_known;
	uint64_t losses_taken; /* what the kernel side had counted by then */
};

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
	const char *handler;
} calls[] = {
#define FP_CALL(name, handler) {SYS_##name, #handler},
#include "agent/calls.def"
};

static int fill_calls(struct faasprov_bpf *skeleton)
{
	int map = bpf_map__fd(skeleton->maps.calls);

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct bpf_program *program = bpf_object__find_program_by_name(skeleton->obj, calls[i].handler);
		int fd = program ? bpf_program__fd(program) : -ENOENT;

		if (fd < 0)
			return fd;
		if (bpf_map_update_elem(map, &calls[i].number, &fd, BPF_ANY) < 0)
			return -errno;
	}
	return 0;
}

/* Handlers are reached by tail call alone. */
static void attach_only_sources(struct faasprov_bpf *skeleton)
{
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct bpf_program *program = bpf_object__find_program_by_name(skeleton->obj, calls[i].handler);

		if (program)
			bpf_program__set_autoattach(program, false);
	}
}

/* Hooks that a kernel may lack; without one the agent does without what it sees, and --probe says so. */
static const struct {
	const char *tracepoint, *handler, *sees;
} optional[] = {
	{"signal_generate", "on_signal", "signals to other processes"},
	{"io_uring_complete", "on_uring", "operations through io_uring"},
	{"io_uring_submit_req", "on_uring_submit", "operations through io_uring without completion"},
};

static bool kernel_has(const char *tracepoint)
{
	return libbpf_find_vmlinux_btf_id(tracepoint, BPF_TRACE_RAW_TP) > 0;
}

static void leave_out_missing(struct faasprov_bpf *skeleton)
{
	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		if (!kernel_has(optional[i].tracepoint))
			bpf_program__set_autoload(bpf_object__find_program_by_name(skeleton->obj, optional[i].handler),
						  false);
}

static int hand_over(void *ctx, void *data, size_t len)
{
	struct fp_capture *capture = ctx;

	return capture->fn(capture->arg, data, len);
}

int fp_capture_open(const struct fp_capture_options *options, struct fp_capture **ret_capture, char ret_error[256])
{
	uint32_t ring_size = options->ring_size ? options->ring_size : FP_RING_SIZE_DEFAULT;
	struct fp_capture *capture = calloc(1, sizeof(*capture));
	int r;

	if (!capture)
		return complain(ret_error, "cannot load the BPF programs", -ENOMEM);
	last_complaint[0] = '\0';
	libbpf_set_print(keep_complaint);
	capture->skeleton = faasprov_bpf__open();
	if (!capture->skeleton) {
		r = complain(ret_error, "cannot open the BPF programs", -errno);
		goto fail;
	}
	capture->skeleton->rodata->root_cgroup = options->root_cgroup;
	capture->skeleton->rodata->root_level = options->root_level;
	capture->skeleton->rodata->container_level = options->container_level;
	capture->skeleton->rodata->ring_size = ring_size;
	bpf_map__set_max_entries(capture->skeleton->maps.ring, ring_size);
	attach_only_sources(capture->skeleton);
	leave_out_missing(capture->skeleton);
	r = faasprov_bpf__load(capture->skeleton);
	if (r < 0) {
		complain(ret_error, "cannot load the BPF programs", r);
		goto fail;
	}
	r = fill_calls(capture->skeleton);
	if (r < 0) {
		complain(ret_error, "cannot fill the table of system calls", r);
		goto fail;
	}
	capture->ring = ring_buffer__new(bpf_map__fd(capture->skeleton->maps.ring), hand_over, capture, NULL);
	if (!capture->ring) {
		r = complain(ret_error, "cannot map the ring buffer", -errno);
		goto fail;
	}
	*ret_capture = capture;
	return 0;
fail:
	fp_capture_free(capture);
	return r;
}

struct fp_capture *fp_capture_free(struct fp_capture *capture)
{
	if (!capture)
		return NULL;
	ring_buffer__free(capture->ring);
	faasprov_bpf__destroy(capture->skeleton);
	free(capture->known);
	free(capture);
	return NULL;
}

int fp_capture_start(struct fp_capture *capture, char ret_error[256])
{
	int r = faasprov_bpf__attach(capture->skeleton);

	return r < 0 ? complain(ret_error, "cannot attach the BPF programs", r) : 0;
}

int fp_capture_fd(const struct fp_capture *capture)
{
	return ring_buffer__epoll_fd(capture->ring);
}

int fp_capture_drain(struct fp_capture *capture, fp_capture_record_fn fn, void *arg)
{
	capture->fn = fn;
	capture->arg = arg;
	return ring_buffer__consume(capture->ring);
}

static struct known_loss *known_loss(struct fp_capture *capture, const struct fp_loss_key *key)
{
	struct known_loss *known;

	for (size_t i = 0; i < capture->n_known; i++)
		if (capture->known[i].key.cgroup == key->cgroup && capture->known[i].key.cause == key->cause)
			return &capture->known[i];
	known = realloc(capture->known, (capture->n_known + 1) * sizeof(*known));
	if (!known)
		return NULL;
	capture->known = known;
	known += capture->n_known++;
	*known = (struct known_loss){.key = *key};
	return known;
}

int fp_capture_take_losses(struct fp_capture *capture, fp_capture_loss_fn fn, void *arg)
{
	int map = bpf_map__fd(capture->skeleton->maps.losses);
	uint64_t counted = __atomic_load_n(&capture->skeleton->bss->losses_counted, __ATOMIC_ACQUIRE);
	struct fp_loss_key key, *previous = NULL;

	if (counted == capture->losses_taken)
		return 0;
	while (bpf_map_get_next_key(map, previous, &key) == 0) {
		struct known_loss *known = known_loss(capture, &key);
		uint64_t lost;

		previous = &key;
		if (!known)
			return -ENOMEM;
		if (bpf_map_lookup_elem(map, &key, &lost) < 0 || lost == known->taken)
			continue;
		fn(arg, key.cgroup, key.cause, lost - known->taken);
		known->taken = lost;
	}
	capture->losses_taken = counted;
	return 0;
}

int fp_capture_probe(void)
{
	struct fp_capture_options options = {.root_cgroup = UINT64_MAX, .ring_size = 4096 * 16};
	struct fp_capture *capture = NULL;
	char error[256] = "";
	int r = fp_capture_open(&options, &capture, error);

	if (r == 0)
		r = fp_capture_start(capture, error);
	printf("%-42s %s\n", "tp_btf (raw tracepoints with BTF)", r < 0 ? "refused" : "used");
	if (r < 0)
		printf("why: %s\n", error);
	printf("%-42s %s\n", "system calls recorded", r < 0 ? "none" : "at exit, see agent/calls.def");
	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		printf("%-42s %s\n", optional[i].sees, r < 0 || !kernel_has(optional[i].tracepoint) ? "not seen" : "seen");
	printf("%-42s %s\n", "not seen", "System V and POSIX shared memory without a file, memory that is mapped already");
	printf("%-42s %s\n", "counted, not interpreted", "32-bit system calls, names changed through io_uring");
	fp_capture_free(capture);
	return r;
}

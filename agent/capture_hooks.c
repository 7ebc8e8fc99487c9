#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/capture_state.h"
#include "agent/cgroup.h"
#include "schema/schema.h"
#include "faasprov.skel.h"

/* Where who is recorded is a cgroup, and so the hook is attached to that. */
#define OF_CGROUP NULL

/* Hooks that a kernel may lack; without one the agent does without what it sees, and --probe says so. */
static const struct {
	const char *tracepoint, *handler, *sees;
	int missing; /* the enum fp_loss without it; 0: what that loses is said, or counted, where it happens */
} optional[] = {
	{"signal_generate", "on_signal", "signals to other processes", FP_LOSS_SIGNAL_HOOK},
	{"io_uring_complete", "on_uring", "operations through io_uring", FP_LOSS_RING_HOOK},
	{"io_uring_submit_req", "on_uring_submit", "operations through io_uring without completion", FP_LOSS_RING_HOOK},
	{"inode_set_ctime_to_ts", "on_ctime_set", "files that calls by name are about", 0},
	{"ctime_ns_xchg", "on_ctime_changed", "the same, on file systems with fine timestamps", 0},
	{"cgroup_attach_task", "on_moved", "processes that come from other cgroups", 0},
	{"cgroup_mkdir", "on_cgroup_made", "names of containers that are over in a moment", 0},
	{"ctime_xchg_skip", "on_ctime_kept", "the same, changed twice in a moment", 0},
	{"sched_waking", "on_waking", "when who waited for work was given it, and from which turn", 0},
	{"cap_capable", "on_capable", "mounts that were changed or taken away", 0},
	{"sk_data_ready", "on_data_ready", "where datagrams of unix sockets go", 0},
	{"skb_copy_datagram_iovec", "on_datagram_taken", "who sent datagrams of unix sockets", 0},
	{OF_CGROUP, "on_sent_v4", "where datagrams go (IPv4)", 0},
	{OF_CGROUP, "on_sent_v6", "where datagrams go (IPv6)", 0},
	{OF_CGROUP, "on_got_v4", "who sent datagrams (IPv4)", 0},
	{OF_CGROUP, "on_got_v6", "who sent datagrams (IPv6)", 0},
};

/* `types`: the kernel's, which take a while to be read; NULL: it has none. */
static bool kernel_has(const struct btf *types, const char *tracepoint)
{
	char name[64];

	if (tracepoint == OF_CGROUP)
		return types;
	snprintf(name, sizeof(name), "btf_trace_%s", tracepoint);
	return types && btf__find_by_name_kind(types, name, BTF_KIND_TYPEDEF) > 0;
}

static void note_missing(struct fp_capture *capture, size_t hook)
{
	capture->refused |= 1ull << hook;
	if (optional[hook].missing)
		capture->about.hooks |= 1ull << optional[hook].missing;
}

void fp_capture_leave_out_missing(struct fp_capture *capture, uint64_t without, bool spare)
{
	struct btf *types = btf__load_vmlinux_btf();

	capture->about.hooks = without;
	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++) {
		if (!spare && !(without >> optional[i].missing & 1) && kernel_has(types, optional[i].tracepoint))
			continue;
		bpf_program__set_autoload(bpf_object__find_program_by_name(capture->skeleton->obj, optional[i].handler), false);
		note_missing(capture, i);
	}
	btf__free(types);
}

static struct bpf_link *attach(struct bpf_program *program, bool of_cgroup, int cgroup)
{
	return of_cgroup ? bpf_program__attach_cgroup(program, cgroup) : bpf_program__attach(program);
}

/* Of what a call by name that has done nothing is told by: that nothing was told of it. */
static bool tells_changes(const struct bpf_program *program)
{
	return strncmp(bpf_program__name(program), "on_ctime_", strlen("on_ctime_")) == 0;
}

void fp_capture_attach_optional(struct fp_capture *capture, int cgroup)
{
	struct bpf_object_skeleton *skeleton = capture->skeleton->skeleton;
	unsigned n_telling = 0, n_attached = 0;

	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		for (int j = 0; j < skeleton->prog_cnt; j++) {
			if (strcmp(skeleton->progs[j].name, optional[i].handler) != 0)
				continue;
			n_telling += tells_changes(*skeleton->progs[j].prog);
			if (!bpf_program__autoload(*skeleton->progs[j].prog))
				continue;
			bpf_program__set_autoattach(*skeleton->progs[j].prog, false);
			*skeleton->progs[j].link = attach(*skeleton->progs[j].prog, optional[i].tracepoint == OF_CGROUP, cgroup);
			if (!*skeleton->progs[j].link)
				note_missing(capture, i);
			else
				n_attached += tells_changes(*skeleton->progs[j].prog);
		}
	capture->skeleton->bss->tells_changes = n_attached == n_telling;
}

uint64_t fp_capture_missing_hooks(const struct fp_capture *capture)
{
	return capture->about.hooks;
}

int fp_capture_parse_hooks(const char *text, uint64_t *ret_hooks)
{
	static const struct {
		const char *name;
		enum fp_loss missing;
	} names[] = {{"signal", FP_LOSS_SIGNAL_HOOK}, {"ring", FP_LOSS_RING_HOOK}};
	uint64_t hooks = 0;

	for (size_t len; *text; text += len + (text[len] == ',')) {
		size_t i = 0;

		len = strcspn(text, ",");
		while (i < 2 && !(strlen(names[i].name) == len && memcmp(names[i].name, text, len) == 0))
			i++;
		if (i == 2)
			return -EINVAL;
		hooks |= 1ull << names[i].missing;
	}
	*ret_hooks = hooks;
	return hooks ? 0 : -EINVAL;
}

int fp_capture_probe(void)
{
	struct fp_capture_options options = {.root_cgroup = UINT64_MAX, .ring_size = 4096 * 16};
	struct fp_cgroup own; /* nobody's, to see whether what is attached to a cgroup can be */
	struct btf *types = btf__load_vmlinux_btf();
	struct fp_capture *capture = NULL;
	char error[256] = "", name[64];
	bool has_own;
	int r;

	snprintf(name, sizeof(name), "faasprov-probe-%d", (int)getpid());
	has_own = fp_cgroup_make(name, &own) == 0;
	options.root_path = has_own ? own.path : NULL;
	r = fp_capture_open(&options, &capture, error);
	if (r == 0)
		r = fp_capture_start(capture, error);
	printf("%-42s %s\n", "tp_btf (raw tracepoints with BTF)", r < 0 ? "refused" : "used");
	if (r < 0)
		printf("why: %s\n", error);
	printf("%-42s %s\n", "system calls recorded", r < 0 ? "none" : "at exit, see agent/calls.def");
	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		printf("%-42s %s\n", optional[i].sees,
		       r < 0 ? "not seen" :
		       !kernel_has(types, optional[i].tracepoint) ? "not seen: the kernel has no such tracepoint" :
		       capture->refused >> i & 1 ? "not seen: the kernel refuses the hook" : "seen");
	printf("%-42s %s\n", "not seen", "what is read and written in memory that is mapped already");
	printf("%-42s %s\n", "counted, not interpreted", "x32 system calls, files sent from ring to ring");
	fp_capture_free(capture);
	if (has_own)
		fp_cgroup_remove(&own);
	btf__free(types);
	return r;
}

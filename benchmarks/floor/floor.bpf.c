/*
 * The least that recording by BPF can be: of each call that is asked for and succeeds, by processes of one cgroup, a
 * record of one size with the time, who, which call and what came of it, and nothing else of it.
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "benchmarks/floor/floor.h"

/* Of the kernel's own, relocated when it is loaded. */
struct pt_regs {
	unsigned long orig_ax; /* x86-64 */
	int syscallno; /* arm64 */
} __attribute__((preserve_access_index));

const volatile __u64 cgroup;
const volatile int level;
const volatile bool asked_for[FLOOR_CALLS];
__u64 lost;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, FLOOR_RING);
} ring SEC(".maps");

#if defined(__TARGET_ARCH_arm64)
static __always_inline __u64 call_number(struct pt_regs *regs) { return (__u64)regs->syscallno; }
#else
static __always_inline __u64 call_number(struct pt_regs *regs) { return regs->orig_ax; }
#endif

SEC("tp_btf/sys_exit") int BPF_PROG(floor_exit, struct pt_regs *regs, long result)
{
	struct floor_record *record;
	__u64 number = call_number(regs);

	if (bpf_get_current_ancestor_cgroup_id(level) != cgroup || number >= FLOOR_CALLS || !asked_for[number] || result < 0)
		return 0;
	record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	if (!record) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	record->time = bpf_ktime_get_boot_ns();
	record->task = bpf_get_current_pid_tgid();
	record->number = number;
	record->result = result;
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

/*
 * What processes do to each other and to what they may do: signals, ptrace,
 * another's memory and descriptors, identity, namespaces.  Mounts: mounts.bpf.h.
 */
#ifndef FP_AGENT_BPF_PROCESS_H
#define FP_AGENT_BPF_PROCESS_H

#include "agent/bpf/change.bpf.h"

/* Since 6.2 and 6.14; without them the process acted upon stays unknown (0). */
extern struct task_struct *bpf_task_from_pid(int pid) __ksym __weak;
extern struct task_struct *bpf_task_from_vpid(int pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *task) __ksym __weak;

struct target {
	__u64 tgid, start;
};

static __always_inline void take_target(struct target *target, struct task_struct *task)
{
	target->tgid = task->tgid;
	target->start = BPF_CORE_READ(task, group_leader, start_boottime);
}

/* `pid` as the current process's namespace numbers it. */
static __always_inline void find_target(struct target *target, int pid)
{
	struct task_struct *task;

	if (!bpf_task_from_vpid || !bpf_task_release)
		return;
	task = bpf_task_from_vpid(pid);
	if (!task)
		return;
	take_target(target, task);
	bpf_task_release(task);
}

/* The process that a pidfd stands for. */
static __always_inline void find_target_of(struct target *target, __u32 pidfd)
{
	struct file *file = file_of(pidfd);
	struct pid *pid = file ? BPF_CORE_READ(file, f_inode, i_private) : 0; /* since 6.9 */
	struct task_struct *task;
	int nr = 0;

	if (!pid || !bpf_task_from_pid || !bpf_task_release)
		return;
	bpf_core_read(&nr, sizeof(nr), &pid->numbers[0].nr);
	task = bpf_task_from_pid(nr);
	if (!task)
		return;
	take_target(target, task);
	bpf_task_release(task);
}

/* What one process does to another; the one acted upon is found by its number. */
struct trace {
	__u64 cgroup;
	long result;
	__u64 operation, flags, bytes;
	struct target target;
};

__noinline int record_trace(struct trace *trace)
{
	if (!trace)
		return 0;
	BEGIN_RECORD(record, trace, TRACE, trace->cgroup, 0, 0, trace->result);
	record->r.target_tgid = trace->target.tgid;
	record->r.target_start = trace->target.start;
	record->r.operation = trace->operation;
	record->r.flags = trace->flags;
	record->r.bytes = trace->bytes;
	emit(record);
	return 0;
}

#define PTRACE_TRACEME 0

static __always_inline int record_ptrace(struct call *call, __u64 request, int pid)
{
	struct trace trace = {.cgroup = call->cgroup, .result = call->result, .operation = FP_OPERATION_KIND_PTRACE,
			      .flags = request};

	if (request != PTRACE_TRACEME)
		find_target(&trace.target, pid);
	return record_trace(&trace);
}

static __always_inline int record_vm(struct call *call, int pid, __u64 operation)
{
	struct trace trace = {.cgroup = call->cgroup, .result = call->result, .operation = operation, .bytes = call->result};

	find_target(&trace.target, pid);
	return record_trace(&trace);
}

static __always_inline int record_get_fd(struct call *call, __u32 pidfd)
{
	struct trace trace = {.cgroup = call->cgroup, .result = call->result, .operation = FP_OPERATION_KIND_GET_FD};

	find_target_of(&trace.target, pidfd);
	record_trace(&trace);
	return record_passed(call->cgroup, call->result, FP_OPERATION_KIND_TAKEN);
}

static __always_inline void no_string(struct fp_record_str *str)
{
	str->offset = str->len = 0;
}

/* What both a control and a mount tell. */
#define FILL_CONTROL(record, operation_, flags_)                                                   \
	struct task_struct *task = (void *)bpf_get_current_task_btf();                             \
	record->r.operation = operation_;                                                          \
	record->r.flags = flags_;                                                                  \
	FILL_CREDENTIALS(&record->r, task);                                                       \
	record->r.naming = FP_NAMING_KIND_NONE;                                                    \
	no_string(&record->r.path);                                                                \
	no_string(&record->r.new_path);                                                            \
	no_string(&record->r.attribute)

/* What the process is after the call. */
__noinline int record_control(__u64 cgroup, long result, __u64 operation, __u64 flags)
{
	BEGIN_RECORD(record, control, CONTROL, cgroup, 0, 0, result);
	FILL_CONTROL(record, operation, flags);
	emit(record);
	return 0;
}

/* Options by which a process changes what it may do, or who may look at it. */
static __always_inline int is_telling_prctl(__u64 option)
{
	switch (option) {
	case 4: /* PR_SET_DUMPABLE */
	case 8: /* PR_SET_KEEPCAPS */
	case 22: /* PR_SET_SECCOMP */
	case 24: /* PR_CAPBSET_DROP */
	case 28: /* PR_SET_SECUREBITS */
	case 35: /* PR_SET_MM */
	case 36: /* PR_SET_CHILD_SUBREAPER */
	case 38: /* PR_SET_NO_NEW_PRIVS */
	case 47: /* PR_CAP_AMBIENT */
	case 0x59616d61: /* PR_SET_PTRACER */
		return 1;
	}
	return 0;
}

#endif

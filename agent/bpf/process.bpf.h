/*
 * What processes do to each other and to what they may do: signals, ptrace,
 * another's memory and descriptors, identity, namespaces, mounts.
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

static __always_inline int record_trace(struct call *call, struct target *target, __u64 operation, __u64 flags,
					__u64 bytes)
{
	BEGIN_RECORD(record, trace, TRACE, call->cgroup, 0, 0, call->result);
	record->r.target_tgid = target->tgid;
	record->r.target_start = target->start;
	record->r.operation = operation;
	record->r.flags = flags;
	record->r.bytes = bytes;
	emit(record);
	return 0;
}

#define PTRACE_TRACEME 0

static __always_inline int record_ptrace(struct call *call, __u64 request, int pid)
{
	struct target target = {};

	if (request != PTRACE_TRACEME)
		find_target(&target, pid);
	return record_trace(call, &target, FP_OPERATION_KIND_PTRACE, request, 0);
}

static __always_inline int record_vm(struct call *call, int pid, __u64 operation)
{
	struct target target = {};

	find_target(&target, pid);
	return record_trace(call, &target, operation, 0, call->result);
}

static __always_inline int record_get_fd(struct call *call, __u32 pidfd)
{
	struct target target = {};

	find_target_of(&target, pidfd);
	record_trace(call, &target, FP_OPERATION_KIND_GET_FD, 0, 0);
	return record_passed(call->cgroup, call->result, FP_OPERATION_KIND_TAKEN);
}

static __always_inline void no_string(struct fp_record_str *str)
{
	str->offset = str->len = 0;
}

#define CONTROL_RECORD(room, operation_, flags_)                                                   \
	struct task_struct *task = (void *)bpf_get_current_task_btf();                             \
	BEGIN_RECORD(record, control, CONTROL, call->cgroup, room, 0, call->result);               \
	record->r.operation = operation_;                                                          \
	record->r.flags = flags_;                                                                  \
	record->r.uid = BPF_CORE_READ(task, cred, uid.val);                                        \
	record->r.gid = BPF_CORE_READ(task, cred, gid.val);                                        \
	record->r.euid = BPF_CORE_READ(task, cred, euid.val);                                      \
	record->r.egid = BPF_CORE_READ(task, cred, egid.val);                                      \
	record->r.capabilities = BPF_CORE_READ(task, cred, cap_effective.val);                     \
	record->r.naming = FP_NAMING_KIND_NONE;                                                    \
	no_string(&record->r.path);                                                                \
	no_string(&record->r.new_path);                                                            \
	no_string(&record->r.attribute)

/* What the process is after the call. */
static __always_inline int record_control(struct call *call, __u64 operation, __u64 flags)
{
	CONTROL_RECORD(0, operation, flags);
	emit(record);
	return 0;
}

static __always_inline int record_mount(struct call *call, __u64 operation, __u64 flags, int dirfd, const char *name,
					int new_dirfd, const char *new_name, const char *type)
{
	long len;

	CONTROL_RECORD(2 * NAMED_ROOM + ATTRIBUTE_ROOM, operation, flags);
	record->r.naming = FP_NAMING_KIND_UNVERIFIED;
	if (name)
		write_name(record->room_, sizeof(record->r), &record->r.path, dirfd, name);
	if (new_name)
		write_name(record->room_ + NAMED_ROOM, sizeof(record->r) + NAMED_ROOM, &record->r.new_path, new_dirfd,
			   new_name);
	if (type) {
		len = bpf_probe_read_user_str(record->room_ + 2 * NAMED_ROOM, ATTRIBUTE_ROOM, type);
		record->r.attribute.offset = sizeof(record->r) + 2 * NAMED_ROOM;
		record->r.attribute.len = len > 0 && len <= ATTRIBUTE_ROOM ? len - 1 : 0;
	}
	emit(record);
	return 0;
}

/* fsconfig: the option's name; its value may be a secret. */
static __always_inline int record_option(struct call *call, __u64 command, const char *key)
{
	long len;

	CONTROL_RECORD(ATTRIBUTE_ROOM, FP_OPERATION_KIND_MOUNT_OPTION, command);
	len = key ? bpf_probe_read_user_str(record->room_, ATTRIBUTE_ROOM, key) : 0;
	record->r.attribute.offset = sizeof(record->r);
	record->r.attribute.len = len > 0 && len <= ATTRIBUTE_ROOM ? len - 1 : 0;
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

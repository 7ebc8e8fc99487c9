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

#define CONTROL_RECORD(room, cgroup, result, operation_, flags_)                                   \
	struct task_struct *task = (void *)bpf_get_current_task_btf();                             \
	BEGIN_RECORD(record, control, CONTROL, cgroup, room, 0, result);                           \
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
__noinline int record_control(__u64 cgroup, long result, __u64 operation, __u64 flags)
{
	CONTROL_RECORD(0, cgroup, result, operation, flags);
	emit(record);
	return 0;
}

/* A change of what is mounted; a name whose string is 0 it does not have. */
struct mounting {
	__u64 cgroup;
	long result;
	__u64 operation, flags;
	struct name name, new_name;
	__u64 type;
};

#define MS_BIND 0x1000
#define MS_MOVE 0x2000
/* These make no mount: REMOUNT, MOVE, UNBINDABLE, PRIVATE, SLAVE, SHARED. */
#define MS_CHANGES (0x20 | MS_MOVE | 0xf << 17)
#define MOVE_MOUNT_F_EMPTY_PATH 4

/* Which of the names place_mounting() has found; and that a descriptor or the process itself leads to them. */
#define FOUND_NAME 1
#define FOUND_NEW_NAME 2
#define FOUND_FOR_SURE 4

static __always_inline void note_place(struct touched *touched, __u64 dentry, __u64 mnt, __u64 fs)
{
	touched->inode = touched->aliases = 0;
	touched->begin = walk_path_of(&touched->path, PATH_ROOM, dentry, mnt, fs);
}

static __always_inline struct mount *mount_of(__u64 mnt)
{
	return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

static __always_inline void note_target(struct touched *touched, struct mount *m, __u64 fs)
{
	struct mount *parent = BPF_CORE_READ(m, mnt_parent);

	note_place(touched, (__u64)BPF_CORE_READ(m, mnt_mountpoint),
		   (__u64)parent + bpf_core_field_offset(struct mount, mnt), fs);
}

/* What was mounted there, as a mount shows it that the process sees. */
static __always_inline int note_shown(struct touched *touched, __u64 dentry, __u64 of_mnt, __u64 fs)
{
	struct vfsmount *at = (void *)of_mnt;
	__u64 mnt = find_mount(dentry, (__u64)BPF_CORE_READ(at, mnt_sb));

	if (mnt)
		note_place(touched, dentry, mnt, fs);
	return mnt ? FOUND_NAME : 0;
}

/* The newest mount of the name space, when the call made one. */
static __always_inline int place_new_mount(struct naming *naming, __u64 flags, __u64 fs)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct mnt_namespace *ns = BPF_CORE_READ(task, nsproxy, mnt_ns);
	struct rb_node *node;
	struct mount *m;

	if (flags & MS_CHANGES || !bpf_core_field_exists(ns->mnt_last_node) || !bpf_core_field_exists(struct mount, mnt_node))
		return 0;
	node = BPF_CORE_READ(ns, mnt_last_node);
	if (!node)
		return 0;
	m = (void *)node - bpf_core_field_offset(struct mount, mnt_node);
	note_target(&naming->touched[1], m, fs);
	if (!(flags & MS_BIND))
		return FOUND_NEW_NAME;
	return FOUND_NEW_NAME | note_shown(&naming->touched[0], (__u64)BPF_CORE_READ(m, mnt.mnt_root),
					   (__u64)m + bpf_core_field_offset(struct mount, mnt), fs);
}

/* What was opened is where it is, or a copy of that, in no name space. */
static __always_inline int place_tree(struct naming *naming, struct file *file, __u64 fs)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	__u64 mnt = (__u64)BPF_CORE_READ(file, f_path.mnt), dentry = (__u64)BPF_CORE_READ(file, f_path.dentry);
	struct mount *m = mount_of(mnt);

	if (BPF_CORE_READ(m, mnt_ns) != BPF_CORE_READ(task, nsproxy, mnt_ns))
		return FOUND_FOR_SURE | note_shown(&naming->touched[0], dentry, mnt, fs);
	note_place(&naming->touched[0], dentry, mnt, fs);
	return FOUND_FOR_SURE | FOUND_NAME;
}

/* What the kernel has of the call's names when it ends, into the first two places of what the task touches. */
__noinline int place_mounting(struct mounting *m)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct naming *naming = begin_naming();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct file *file;

	if (!m || !naming || m->result < 0)
		return 0;
	switch (m->operation) {
	case FP_OPERATION_KIND_MOUNT:
		return place_new_mount(naming, m->flags, (__u64)fs);
	case FP_OPERATION_KIND_MOVE_MOUNT:
		file = m->flags & MOVE_MOUNT_F_EMPTY_PATH ? file_of(m->name.dirfd) : 0;
		if (!file)
			return 0;
		note_target(&naming->touched[1], mount_of((__u64)BPF_CORE_READ(file, f_path.mnt)), (__u64)fs);
		return FOUND_NEW_NAME | FOUND_FOR_SURE;
	case FP_OPERATION_KIND_OPEN_TREE:
		file = file_of(m->result);
		return file ? place_tree(naming, file, (__u64)fs) : 0;
	case FP_OPERATION_KIND_CHROOT: /* below no root but the name space's own */
		note_place(&naming->touched[0], (__u64)BPF_CORE_READ(fs, root.dentry), (__u64)BPF_CORE_READ(fs, root.mnt), 0);
		return FOUND_NAME | FOUND_FOR_SURE;
	}
	return 0;
}

__noinline int record_mount(struct mounting *m)
{
	struct touched *name = 0, *new_name = 0;
	__u64 naming = FP_NAMING_KIND_NONE;
	int found, how;

	if (!m)
		return 0;
	found = place_mounting(m);
	how = found & FOUND_FOR_SURE ? NAME_FOLLOWS : NAME_AGREES;
	if (found & FOUND_NAME)
		name = touched_at(0);
	if (found & FOUND_NEW_NAME)
		new_name = touched_at(1);
	CONTROL_RECORD(2 * NAMED_ROOM + ATTRIBUTE_ROOM, m->cgroup, m->result, m->operation, m->flags);
	if (m->operation == FP_OPERATION_KIND_MOUNT && !(m->flags & (MS_BIND | MS_MOVE)))
		PUT_STRING(record, path, 0, m->name.string, 2 * NAME_ROOM); /* the file system's to understand */
	else if (m->name.string)
		naming = PUT_NAME(record, path, 0, &m->name, name, how);
	if (m->operation == FP_OPERATION_KIND_MOVE_MOUNT && found)
		naming = FP_NAMING_KIND_NONE; /* a descriptor has led to it */
	if (m->new_name.string)
		naming = worse(naming, PUT_NAME(record, new_path, NAMED_ROOM, &m->new_name, new_name, how));
	record->r.naming = naming;
	if (m->type)
		PUT_STRING(record, attribute, 2 * NAMED_ROOM, m->type, ATTRIBUTE_ROOM);
	emit(record);
	return 0;
}

/* fsconfig: the option's name; its value may be a secret. */
__noinline int record_option(__u64 cgroup, long result, __u64 command, __u64 key)
{
	CONTROL_RECORD(ATTRIBUTE_ROOM, cgroup, result, FP_OPERATION_KIND_MOUNT_OPTION, command);
	PUT_STRING(record, attribute, 0, key, ATTRIBUTE_ROOM);
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

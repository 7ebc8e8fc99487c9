/*
 * Who comes into a recorded cgroup from elsewhere: moved there (`docker exec`, whatever writes to
 * cgroup.procs) or born there of a parent that is not recorded (CLONE_INTO_CGROUP).  Nobody has told of
 * these by a fork.  What they were then is told here; what they hold the agent asks for when it reads this (agent/walk.h).
 */
#ifndef FP_AGENT_BPF_MOVED_BPF_H
#define FP_AGENT_BPF_MOVED_BPF_H

#include "agent/bpf/path.bpf.h"

#define COMM_ROOM 16
#define CGROUP_ROOM 256

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FP_MEMBERS_MAX);
	__type(key, __u32);
	__type(value, struct fp_member);
} members SEC(".maps");

static __always_inline int note_member(__u32 tgid, __u64 start, __u64 cgroup)
{
	struct fp_member member = {.start = start, .cgroup = cgroup};

	return bpf_map_update_elem(&members, &tgid, &member, BPF_ANY) < 0 ? count_loss(cgroup, FP_LOSS_CAUSE_STATE_FULL) : 0;
}

static __always_inline void forget_member(__u32 tgid)
{
	bpf_map_delete_elem(&members, &tgid);
}

/* Numbers, as the function is looked at once. */
struct arrival {
	__u64 cgroup, flags;
	__u64 tgid, tid, start, exec_id, ns_tgid; /* who came */
	__u64 task;
	__u64 path; /* of who leaves: where to */
};

/* The record's head is that of who came; the one that runs is the mover. */
static __always_inline void fill_head_of_arrival(struct fp_record_head *head, struct arrival *arrival)
{
	head->tgid = arrival->tgid;
	head->tid = arrival->tid;
	head->process_start = arrival->start;
	head->exec_id = arrival->exec_id;
	head->turn = 0;
}

__noinline int record_came(struct arrival *arrival)
{
	struct task_struct *mover = (void *)bpf_get_current_task_btf(), *task;
	struct {
		struct fp_record_moved r;
		char room_[WALK_ROOM];
	} *record;
	struct identity who = {};
	struct file *file;
	__u32 begin = PATH_ROOM;
	long len;

	if (!arrival)
		return 0;
	task = (void *)arrival->task;
	file = BPF_CORE_READ(task, mm, exe_file);
	if (file)
		identify_file(file, &who);
	RESERVE(record, FP_RECORD_TYPE_MOVED, arrival->cgroup, may_reserve(arrival->cgroup, sizeof(*record), 0), 0);
	fill_head_of_arrival(&record->r.head, arrival);
	record->r.dev = who.dev;
	record->r.ino = who.ino;
	record->r.gen = who.gen;
	FILL_CREDENTIALS(&record->r, task);
	record->r.parent_tgid = BPF_CORE_READ(task, group_leader, real_parent, tgid);
	record->r.parent_start = BPF_CORE_READ(task, group_leader, real_parent, group_leader, start_boottime);
	record->r.ns_tgid = arrival->ns_tgid;
	record->r.flags = arrival->flags;
	record->r.mover_tgid = mover->tgid;
	record->r.mover_start = mover->group_leader->start_boottime;
	if (file)
		begin = walk_path_of((struct walk_room *)record->room_, PATH_ROOM, (__u64)BPF_CORE_READ(file, f_path.dentry),
				     (__u64)BPF_CORE_READ(file, f_path.mnt), (__u64)BPF_CORE_READ(task, fs));
	record->r.path.offset = sizeof(record->r) + begin;
	record->r.path.len = PATH_ROOM - begin;
	/* the names go where the walk will not: behind PATH_ROOM */
	len = bpf_probe_read_kernel_str(record->room_ + PATH_ROOM, COMM_ROOM, task->comm);
	record->r.comm.offset = sizeof(record->r) + PATH_ROOM;
	record->r.comm.len = len > 0 && len <= COMM_ROOM ? len - 1 : 0;
	len = bpf_probe_read_kernel_str(record->room_ + PATH_ROOM + COMM_ROOM, COMM_ROOM, mover->comm);
	record->r.mover.offset = sizeof(record->r) + PATH_ROOM + COMM_ROOM;
	record->r.mover.len = len > 0 && len <= COMM_ROOM ? len - 1 : 0;
	/* what it holds is asked for when this is read, so that must be soon */
	bpf_ringbuf_submit(record, BPF_RB_FORCE_WAKEUP);
	return 0;
}

static __always_inline int record_arrival(struct task_struct *task, __u64 cgroup, __u64 flags)
{
	struct task_struct *leader = task->group_leader;
	struct arrival arrival = {.cgroup = cgroup, .flags = flags, .tgid = task->tgid, .tid = task->pid,
				  .start = leader->start_boottime, .exec_id = leader->self_exec_id,
				  .ns_tgid = ns_tgid_of(leader)};

	if (!cgroup || is_ours(leader))
		return 0;
	bpf_probe_read_kernel(&arrival.task, sizeof(arrival.task), &task);
	if (task->pid == task->tgid)
		note_member(task->tgid, arrival.start, cgroup);
	return record_came(&arrival);
}

/* Of its own for the verifier, like record_came. */
__noinline int record_gone(struct arrival *leaving)
{
	struct task_struct *mover = (void *)bpf_get_current_task_btf(), *task;
	struct {
		struct fp_record_left r;
		char room_[CGROUP_ROOM + 2 * COMM_ROOM];
	} *record;
	long len;

	if (!leaving)
		return 0;
	task = (void *)leaving->task;
	count_loss(leaving->cgroup, FP_LOSS_CAUSE_LEFT);
	RESERVE(record, FP_RECORD_TYPE_LEFT, leaving->cgroup, may_reserve(leaving->cgroup, sizeof(*record), 0), 0);
	fill_head_of_arrival(&record->r.head, leaving);
	record->r.flags = leaving->flags;
	record->r.mover_tgid = mover->tgid;
	record->r.mover_start = mover->group_leader->start_boottime;
	len = bpf_probe_read_kernel_str(record->room_, CGROUP_ROOM, (void *)leaving->path);
	record->r.cgroup_path.offset = sizeof(record->r);
	record->r.cgroup_path.len = len > 0 && len <= CGROUP_ROOM ? len - 1 : 0;
	len = bpf_probe_read_kernel_str(record->room_ + CGROUP_ROOM, COMM_ROOM, task->comm);
	record->r.comm.offset = sizeof(record->r) + CGROUP_ROOM;
	record->r.comm.len = len > 0 && len <= COMM_ROOM ? len - 1 : 0;
	len = bpf_probe_read_kernel_str(record->room_ + CGROUP_ROOM + COMM_ROOM, COMM_ROOM, mover->comm);
	record->r.mover.offset = sizeof(record->r) + CGROUP_ROOM + COMM_ROOM;
	record->r.mover.len = len > 0 && len <= COMM_ROOM ? len - 1 : 0;
	emit(record);
	return 0;
}

/* `cgroup`: where it was; `path`: where it is now. */
static __always_inline int record_leaving(struct task_struct *task, __u64 cgroup, __u64 path, __u64 flags)
{
	struct task_struct *leader = task->group_leader;
	struct arrival leaving = {.cgroup = cgroup, .flags = flags, .tgid = task->tgid, .tid = task->pid,
				  .start = leader->start_boottime, .exec_id = leader->self_exec_id, .path = path};

	if (is_ours(leader))
		return 0;
	bpf_probe_read_kernel(&leaving.task, sizeof(leaving.task), &task);
	return record_gone(&leaving);
}

/* To where nothing is recorded: if it comes from where something is. */
static __always_inline int leave(struct task_struct *task, __u64 path, int whole)
{
	__u32 tgid = task->tgid;
	struct fp_member *member = bpf_map_lookup_elem(&members, &tgid);
	__u64 cgroup;

	if (!member || member->start != task->group_leader->start_boottime)
		return 0;
	cgroup = member->cgroup;
	if (whole)
		forget_member(tgid);
	return record_leaving(task, cgroup, path, whole ? 0 : FP_MOVED_THREAD);
}

/* The move has been made; it can be seen by now what it does there. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_moved, struct cgroup *cgroup, const char *path, struct task_struct *task, _Bool whole)
{
	__u64 container;

	if (BPF_CORE_READ(cgroup, root, hierarchy_id)) /* of the first version */
		return 0;
	container = recorded_container(argument(ctx, 0));
	return container ? record_arrival(task, container, 0) : leave(task, argument(ctx, 1), whole);
}

/* A child of who is recorded in `cgroup`: as a rule it is there, too. */
static __always_inline int note_child(struct task_struct *parent, struct task_struct *child, __u64 cgroup)
{
	struct cgroup *own;
	__u64 container = cgroup;

	if (child->pid != child->tgid)
		return 0;
	if (parent->cgroups != child->cgroups) {
		own = BPF_CORE_READ(child, cgroups, dfl_cgrp);
		container = recorded_container((__u64)own);
		if (!container)
			return record_leaving(child, cgroup, (__u64)BPF_CORE_READ(own, kn, name), FP_MOVED_BORN);
	}
	return note_member(child->tgid, child->start_boottime, container);
}

/* A child of somebody who is not recorded; its threads come by its own forks. */
static __always_inline int record_born(struct task_struct *child)
{
	if (child->pid != child->tgid)
		return 0;
	return record_arrival(child, recorded_container((__u64)BPF_CORE_READ(child, cgroups, dfl_cgrp)), FP_MOVED_BORN);
}

#endif

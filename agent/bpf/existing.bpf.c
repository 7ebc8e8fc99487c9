/*
 * What is there already when recording begins: processes, their descriptors and
 * sockets, walked by the kernel's iterators for those of the recorded cgroup.  An
 * object of its own, loaded, read once and gone: nothing here stays attached, and
 * what is told goes through the iterator's descriptor, not through the ring.
 */
#include "agent/bpf/existing.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Of a process, once: by its leader. */
SEC("iter.s/task")
int each_process(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct process_room *room = scratch_of(&process_room);
	__u64 cgroup;

	if (!task || !room)
		return 0;
	cgroup = existing_cgroup(task);
	if (!cgroup || task->pid != task->tgid)
		return 0;
	return tell_process(ctx->meta->seq, task, cgroup, room);
}

SEC("iter/task_vma")
int each_mapping(struct bpf_iter__task_vma *ctx)
{
	struct task_struct *task = ctx->task;
	struct vm_area_struct *area = ctx->vma;
	__u64 cgroup;

	if (!task || !area || !BPF_CORE_READ(area, vm_file))
		return 0;
	cgroup = has_mapped_unseen(task) ? existing_cgroup(task) : 0;
	return cgroup && task->pid == task->tgid ? tell_mapping(ctx->meta->seq, task, cgroup, area) : 0;
}

SEC("iter/task_file")
int each_descriptor(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	/* as a mere number: functions that the verifier looks at once take no pointer of a kind */
	struct file *file = BPF_CORE_READ(ctx, file);
	struct identity who;
	__u64 cgroup;

	if (!task || !file)
		return 0;
	cgroup = existing_cgroup(task);
	if (!cgroup)
		return 0;
	identify_file(file, &who);
	if (who.object == FP_OBJECT_KIND_SOCKET)
		return tell_socket(ctx->meta->seq, task, cgroup, file, ctx->fd);
	return tell_descriptor(ctx->meta->seq, task, cgroup, file, ctx->fd, &who);
}

/*
 * Records of state, made by iterators: laid out like those of the ring, but of the
 * task that is walked and not of the one that runs, and without a number, as none
 * of them can get lost between the kernel and the agent: read(2) hands over each or fails.
 */
#ifndef FP_AGENT_BPF_EXISTING_H
#define FP_AGENT_BPF_EXISTING_H

#include "agent/bpf/file.bpf.h"
#include "agent/bpf/network.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fp_existing_wanted);
} wanted SEC(".maps");

/* One iterator is read by one thread, so that one room for each is enough, and none is torn. */
struct process_room {
	struct fp_record_present r;
	char room_[WALK_ROOM + FP_ARGV_MAX];
	char behind[WALK_ROOM + FP_ARGV_MAX]; /* so that the verifier sees any piece end within */
};
struct descriptor_room {
	struct fp_record_held r;
	char room_[WALK_ROOM];
	char behind[WALK_ROOM];
};
#define ROOM_MAP(name)                                                                             \
	struct {                                                                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);                                                  \
		__uint(max_entries, 1);                                                            \
		__type(key, __u32);                                                                \
		__type(value, struct name);                                                        \
	} name SEC(".maps")
ROOM_MAP(process_room);
struct socket_room {
	struct fp_record_connected r;
	struct endpoints e; /* with these the stack would be too small */
};
/* A file lies in several pieces beside each other: the last one that was told. */
struct mapping_room {
	struct fp_record_mapped r;
	char room_[WALK_ROOM];
	char behind[WALK_ROOM];
	__u64 task, file, kind;
};
ROOM_MAP(mapping_room);
ROOM_MAP(descriptor_room);
ROOM_MAP(socket_room);

static __always_inline void *scratch_of(void *map)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(map, &zero);
}

/* The container of a task that is recorded and was there before; 0: it is not to be told of. */
static __always_inline __u64 existing_cgroup(struct task_struct *task)
{
	__u64 start = BPF_CORE_READ(task, group_leader, start_boottime);
	struct fp_existing_wanted *want = scratch_of(&wanted);

	if (!want || (want->tgid ? want->tgid != task->tgid || want->start != start : start > want->since))
		return 0;
	return recorded_container((__u64)BPF_CORE_READ(task, cgroups, dfl_cgrp));
}

/* Has it been running the same program since before it was recorded? */
static __always_inline int has_mapped_unseen(struct task_struct *task)
{
	struct fp_existing_wanted *want = scratch_of(&wanted);

	return want && (!want->tgid || want->exec_id == BPF_CORE_READ(task, group_leader, self_exec_id));
}

static __always_inline void fill_head_of(struct fp_record_head *head, struct task_struct *task, __u16 type,
					 __u64 cgroup, long result)
{
	__builtin_memset(head, 0, sizeof(*head));
	head->type = type;
	head->version = FP_RECORD_VERSION;
	head->time = bpf_ktime_get_boot_ns();
	head->cpu = bpf_get_smp_processor_id();
	head->cgroup = cgroup;
	head->tgid = task->tgid;
	head->tid = task->pid;
	head->process_start = BPF_CORE_READ(task, group_leader, start_boottime);
	head->exec_id = BPF_CORE_READ(task, group_leader, self_exec_id);
	head->result = result;
}

/* As its own process sees it: below that one's root. */
static __always_inline __u32 write_path_of(struct task_struct *task, char *room, struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry);
	struct vfsmount *mnt = BPF_CORE_READ(file, f_path.mnt);

	return walk_path_of((struct walk_room *)room, PATH_ROOM, (__u64)dentry, (__u64)mnt, (__u64)BPF_CORE_READ(task, fs));
}

#define PUT_PIECE(seq, from, at, len_, most)                                                       \
	do {                                                                                       \
		__u32 at_ = (at), piece_ = (len_);                                                 \
		VISIBLE(at_);                                                                      \
		VISIBLE(piece_);                                                                   \
		if (at_ <= (most) && piece_ > 0 && piece_ <= (most))                               \
			bpf_seq_write(seq, (from) + at_, piece_);                                  \
	} while (0)

static __always_inline int tell_process(struct seq_file *seq, struct task_struct *task, __u64 cgroup,
					struct process_room *room)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct file *file = mm ? BPF_CORE_READ(mm, exe_file) : 0;
	__u32 begin = PATH_ROOM, comm = 0, argv = 0;
	unsigned long start, end;
	struct identity who = {};
	long len;

	if (!mm) /* has ended, and is not yet waited for */
		return 0;
	if (file) {
		identify_file(file, &who);
		begin = write_path_of(task, room->room_, file);
	}
	len = bpf_probe_read_kernel_str(room->room_ + PATH_ROOM, 16, task->comm);
	if (len > 0 && len <= 16)
		comm = len - 1;
	start = BPF_CORE_READ(mm, arg_start);
	end = BPF_CORE_READ(mm, arg_end);
	argv = end - start < FP_ARGV_MAX ? end - start : FP_ARGV_MAX;
	VISIBLE(argv);
	if (argv > FP_ARGV_MAX || bpf_copy_from_user_task(room->room_ + WALK_ROOM, argv, (void *)start, task, 0) < 0)
		argv = 0;
	if (begin > PATH_ROOM)
		begin = PATH_ROOM;
	fill_head_of(&room->r.head, task, FP_RECORD_TYPE_PRESENT, cgroup, 0);
	room->r.head.size = sizeof(room->r) + (PATH_ROOM - begin) + comm + argv;
	room->r.dev = who.dev;
	room->r.ino = who.ino;
	room->r.gen = who.gen;
	FILL_CREDENTIALS(&room->r, task);
	room->r.parent_tgid = BPF_CORE_READ(task, real_parent, tgid);
	room->r.parent_start = BPF_CORE_READ(task, real_parent, group_leader, start_boottime);
	room->r.ns_tgid = ns_tgid_of(task);
	room->r.path.offset = sizeof(room->r);
	room->r.path.len = PATH_ROOM - begin;
	room->r.comm.offset = sizeof(room->r) + room->r.path.len;
	room->r.comm.len = comm;
	room->r.argv.offset = room->r.comm.offset + comm;
	room->r.argv.len = argv;
	bpf_seq_write(seq, &room->r, sizeof(room->r));
	PUT_PIECE(seq, room->room_, begin, PATH_ROOM - begin, PATH_ROOM);
	PUT_PIECE(seq, room->room_ + PATH_ROOM, 0, comm, NAME_ROOM);
	PUT_PIECE(seq, room->room_ + WALK_ROOM, 0, argv, FP_ARGV_MAX);
	return 0;
}

/* Is it left out, because its bit is set in the table's bits of those that an exec closes? */
static __always_inline int is_left_out(struct task_struct *task, __u32 fd)
{
	struct fp_existing_wanted *want = scratch_of(&wanted);
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	unsigned long *bits = BPF_CORE_READ(table, close_on_exec), word = 0;

	if (!want || !want->without_cloexec)
		return 0;
	bpf_probe_read_kernel(&word, sizeof(word), bits + fd / (8 * sizeof(word)));
	return word >> (fd % (8 * sizeof(word))) & 1;
}

static __always_inline int tell_descriptor(struct seq_file *seq, struct task_struct *task, __u64 cgroup,
					   struct file *file, __u32 fd, struct identity *who)
{
	struct descriptor_room *room = scratch_of(&descriptor_room);
	__u32 begin;

	if (!room || is_left_out(task, fd))
		return 0;
	begin = write_path_of(task, room->room_, file);
	/* a pipe's name says nothing that its inode does not */
	if (begin > PATH_ROOM || who->object == FP_OBJECT_KIND_PIPE)
		begin = PATH_ROOM;
	fill_head_of(&room->r.head, task, FP_RECORD_TYPE_HELD, cgroup, fd);
	room->r.head.size = sizeof(room->r) + PATH_ROOM - begin;
	room->r.fd = fd;
	PUT_OBJECT(room, *who);
	room->r.flags = BPF_CORE_READ(file, f_flags);
	room->r.mode = BPF_CORE_READ(file, f_inode, i_mode) & 07777;
	room->r.path.offset = sizeof(room->r);
	room->r.path.len = PATH_ROOM - begin;
	bpf_seq_write(seq, &room->r, sizeof(room->r));
	PUT_PIECE(seq, room->room_, begin, PATH_ROOM - begin, PATH_ROOM);
	return 0;
}

#define VM_EXEC 4
#define VM_SHARED 8
#define MAP_SHARED 1
#define MAP_PRIVATE 2

/* What a process maps for itself and its children alone lies in a file of the kernel's, of this name. */
static __always_inline int is_anonymous(struct file *file)
{
	char name[8] = {};

	bpf_probe_read_kernel(name, sizeof(name), BPF_CORE_READ(file, f_path.dentry, d_name.name));
	return BPF_CORE_READ(file, f_path.dentry, d_name.len) == 8 && name[0] == 'd' && name[3] == '/' && name[4] == 'z';
}

static __always_inline int tell_mapping(struct seq_file *seq, struct task_struct *task, __u64 cgroup, struct vm_area_struct *area)
{
	struct mapping_room *room = scratch_of(&mapping_room);
	__u64 flags = BPF_CORE_READ(area, vm_flags), kind = flags & (VM_EXEC | VM_SHARED);
	struct file *file = BPF_CORE_READ(area, vm_file);
	struct identity who;
	__u32 begin;

	/* what it runs is told with it */
	if (!room || !kind || file == BPF_CORE_READ(task, mm, exe_file) || is_anonymous(file))
		return 0;
	if (room->task == (__u64)task->start_boottime && room->file == (__u64)file && room->kind == kind)
		return 0;
	identify_file(file, &who);
	if (who.object != FP_OBJECT_KIND_FILE)
		return 0;
	room->task = task->start_boottime;
	room->file = (__u64)file;
	room->kind = kind;
	begin = write_path_of(task, room->room_, file);
	if (begin > PATH_ROOM)
		begin = PATH_ROOM;
	fill_head_of(&room->r.head, task, FP_RECORD_TYPE_MAPPED, cgroup, 0);
	room->r.head.size = sizeof(room->r) + PATH_ROOM - begin;
	room->r.fd = NO_DESCRIPTOR;
	PUT_OBJECT(room, who);
	room->r.bytes = BPF_CORE_READ(area, vm_end) - BPF_CORE_READ(area, vm_start);
	room->r.flags = flags & VM_SHARED ? MAP_SHARED : MAP_PRIVATE;
	room->r.protection = flags & 7; /* VM_READ, VM_WRITE, VM_EXEC are the bits of PROT_* */
	room->r.path.offset = sizeof(room->r);
	room->r.path.len = PATH_ROOM - begin;
	bpf_seq_write(seq, &room->r, sizeof(room->r));
	PUT_PIECE(seq, room->room_, begin, PATH_ROOM - begin, PATH_ROOM);
	return 0;
}

static __always_inline int tell_socket(struct seq_file *seq, struct task_struct *task, __u64 cgroup, struct file *file,
				       __u32 fd)
{
	struct socket_room *room = scratch_of(&socket_room);

	if (!room || is_left_out(task, fd))
		return 0;
	fill_endpoints(file, &room->e);
	fill_head_of(&room->r.head, task, FP_RECORD_TYPE_CONNECTED, cgroup, fd);
	room->r.head.size = sizeof(room->r);
	COPY_ENDPOINTS(&room->r, fd, &room->e);
	room->r.flags = BPF_CORE_READ(file, f_flags);
	bpf_seq_write(seq, &room->r, sizeof(room->r));
	return 0;
}

#endif

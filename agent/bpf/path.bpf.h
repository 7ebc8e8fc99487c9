/*
 * Objects of the file system: who an inode is, and its path below the process's
 * root, found by walking the dentries upwards.  The path is written backwards
 * into the record, so nothing is ever moved.
 */
#ifndef FP_AGENT_BPF_PATH_H
#define FP_AGENT_BPF_PATH_H

#include "agent/bpf/foreign.bpf.h"

#define S_IFMT 0170000
#define PATH_ROOM 1024
#define NAME_ROOM 256
/* one component more than PATH_ROOM may be written at its very end */
#define WALK_ROOM (PATH_ROOM + NAME_ROOM)
/* Of a path that is short, as most are: what it takes of the ring decides how many fit. */
#define SHORT_PATH 128
#define SHORT_NAME 64

#define PROC_SUPER_MAGIC 0x9fa0
#define SYSFS_MAGIC 0x62656572
#define CGROUP_SUPER_MAGIC 0x27e0eb
#define CGROUP2_SUPER_MAGIC 0x63677270
#define DEVPTS_SUPER_MAGIC 0x1cd1
#define NSFS_MAGIC 0x6e736673

struct identity {
	__u64 object, dev, ino, gen;
};

static __always_inline __u64 kind_of(unsigned short mode, unsigned long magic)
{
	switch (mode & S_IFMT) {
	case 0100000:
		if (magic == PROC_SUPER_MAGIC || magic == SYSFS_MAGIC || magic == CGROUP_SUPER_MAGIC ||
		    magic == CGROUP2_SUPER_MAGIC)
			return FP_OBJECT_KIND_PROC;
		return FP_OBJECT_KIND_FILE;
	case 0040000:
		return FP_OBJECT_KIND_DIRECTORY;
	case 0010000:
		return FP_OBJECT_KIND_PIPE;
	case 0140000:
		return FP_OBJECT_KIND_SOCKET;
	case 0020000:
	case 0060000:
		return FP_OBJECT_KIND_DEVICE;
	}
	return FP_OBJECT_KIND_OTHER;
}

/*
 * Since Linux 6.2 the verifier lets us say what a pointer points to and then read
 * its fields in place; before, each field costs a helper call.
 */
extern void *bpf_rdonly_cast(void *object, __u32 btf_id) __ksym __weak;
#define CAN_CAST (bpf_rdonly_cast != 0)
#define CAST(type, pointer) ((type *)bpf_rdonly_cast((void *)(pointer), bpf_core_type_id_kernel(type)))
/* One field of what a pointer points to, the cheaper way where there is one. */
#define FIELD(type, pointer, field) \
	(CAN_CAST ? CAST(type, pointer)->field : BPF_CORE_READ((type *)(pointer), field))

/*
 * A pointer that FIELD() gave as a mere number, which is what functions of their own take: the difference to a pointer
 * that is 0.
 */
static __always_inline __u64 number_of(const void *pointer)
{
	__u64 number = (__u64)pointer;

	if (CAN_CAST)
		asm volatile("%0 -= %1" : "+r"(number) : "r"(CAST(struct inode, 0)));
	return number;
}

/* Of its own for the verifier, like walk_path_of. */
__noinline int identify_inode(__u64 of_inode, struct identity *who)
{
	struct inode *inode = (void *)of_inode;
	struct super_block *sb = FIELD(struct inode, inode, i_sb);

	if (!who)
		return 0;
	who->object = kind_of(FIELD(struct inode, inode, i_mode), FIELD(struct super_block, sb, s_magic));
	who->dev = FIELD(struct super_block, sb, s_dev);
	who->ino = FIELD(struct inode, inode, i_ino);
	who->gen = FIELD(struct inode, inode, i_generation);
	return 0;
}

static __always_inline void identify_file(struct file *file, struct identity *who)
{
	identify_inode(number_of(FIELD(struct file, file, f_inode)), who);
}

static __always_inline struct file *file_of(unsigned int fd)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct fdtable *table = task->files->fdt;
	struct file **slots = table->fd;

	if (fd >= table->max_fds)
		return 0;
	/* a slot is a pointer, as the head of a list is */
	return (void *)number_of(FIELD(struct hlist_head, &slots[fd], first));
}

struct walk_room {
	char bytes[PATH_ROOM + NAME_ROOM];
};
struct short_room {
	char bytes[SHORT_PATH + SHORT_NAME];
};

/* From a name upwards to a root, component by component. */
struct walk {
	char *into; /* a room of either kind */
	__u64 dentry, mnt;
	__u64 root, root_mnt;
	__u32 at, last, cut;
};

/* What stands before a path of which the beginning had no room: no path begins like that. */
#define CUT_MARK 3

/*
 * What a name space is called, which no directory leads to and whose own name is empty: as the kernel writes it, without a
 * slash.  Of its own for the verifier.
 */
__noinline int write_space(struct walk_room *into, __u32 at, __u64 of_inode)
{
	struct inode *inode = (void *)of_inode;
	struct ns_common *ns = FIELD(struct inode, inode, i_private);
	char text[48] = {};
	long len;

	if (!into || !ns)
		return 0;
	len = BPF_SNPRINTF(text, sizeof(text), "%s:[%u]", BPF_CORE_READ(ns, ops, name), BPF_CORE_READ(ns, inum)) - 1;
	if (len <= 0 || len >= (long)sizeof(text) || at < len || at > PATH_ROOM)
		return 0;
	at = (at - len) & (PATH_ROOM - 1);
	VISIBLE(at);
	at &= PATH_ROOM - 1;
	VISIBLE(len);
	len &= 63;
	if (len < (long)sizeof(text))
		bpf_probe_read_kernel(&into->bytes[at], len, text);
	return len;
}

/* Writes one component before what is there; 1: the walk is over.  Paths have `room`, names less than `name_room`. */
static __always_inline long write_component(struct walk *walk, struct dentry *dentry, __u32 room, __u32 name_room)
{
	__u32 len = FIELD(struct dentry, dentry, d_name.len) & (NAME_ROOM - 1), begin;
	const unsigned char *name = FIELD(struct dentry, dentry, d_name.name);

	if (len + 1 + CUT_MARK > walk->at || len >= name_room) {
		walk->cut = 1;
		return 1;
	}
	begin = (walk->at - len - 1) & (room - 1);
	VISIBLE(begin);
	begin &= room - 1;
	walk->into[begin] = '/';
	VISIBLE(len);
	len &= name_room - 1;
	bpf_probe_read_kernel(&walk->into[begin + 1], len, name);
	walk->at = begin;
	return walk->last ? 1 : 0;
}

static __always_inline long go_up(struct walk *walk, __u32 room, __u32 name_room)
{
	struct dentry *dentry = (void *)walk->dentry;
	struct vfsmount *mnt = (void *)walk->mnt;
	struct dentry *parent = FIELD(struct dentry, dentry, d_parent);
	struct dentry *top = FIELD(struct vfsmount, mnt, mnt_root);
	struct mount *m = (void *)mnt - bpf_core_field_offset(struct mount, mnt), *up;

	if (walk->dentry == walk->root && walk->mnt == walk->root_mnt)
		return 1;
	if (dentry == top) {
		up = FIELD(struct mount, m, mnt_parent);
		if (up == m)
			return 1;
		walk->dentry = (__u64)FIELD(struct mount, m, mnt_mountpoint);
		walk->mnt = (__u64)up + bpf_core_field_offset(struct mount, mnt);
		return 0;
	}
	/* a root that no mount leads to: memfd and its like, which have a name all the same */
	if (dentry == parent) {
		if (BPF_CORE_READ(dentry, d_inode, i_sb, s_magic) == NSFS_MAGIC) {
			if (room == PATH_ROOM)
				walk->at -= write_space((void *)walk->into, walk->at, (__u64)BPF_CORE_READ(dentry, d_inode));
			walk->cut = room != PATH_ROOM;
			return 1;
		}
		walk->last = 1;
	}
	walk->dentry = (__u64)parent;
	return write_component(walk, dentry, room, name_room);
}

static long walk_one(__u32 i, struct walk *walk)
{
	return go_up(walk, PATH_ROOM, NAME_ROOM);
}

static long walk_one_of_few(__u32 i, struct walk *walk)
{
	return go_up(walk, SHORT_PATH, SHORT_NAME);
}

/* Of a walk with its begin and its root: writes the path so that it ends where the walk is at. */
static __always_inline __u32 walk_up(struct walk *walk)
{
	__u32 end = walk->at;

	if (bpf_loop(FP_PATH_DEPTH_MAX, walk_one, walk, 0) == FP_PATH_DEPTH_MAX)
		walk->cut = 1;
	if (walk->cut && walk->at >= CUT_MARK) {
		walk->at -= CUT_MARK;
		for (__u32 i = 0; i < CUT_MARK; i++)
			walk->into[(walk->at + i) & (PATH_ROOM - 1)] = '.';
	}
	if (walk->at == end && end > 0) { /* the root itself */
		walk->at = (end - 1) & (PATH_ROOM - 1);
		walk->into[walk->at] = '/';
	}
	return walk->at;
}

/*
 * Writes the path, below the root of a task's `fs`, so that it ends before `room[end]`; returns where it begins (end:
 * nothing).  end <= PATH_ROOM.  A function that the verifier looks at once, and not again for each caller; it takes
 * only numbers and plain memory.
 */
__noinline __u32 walk_path_of(struct walk_room *into, __u32 end, __u64 of_dentry, __u64 of_mnt, __u64 of_fs)
{
	struct fs_struct *fs = (void *)of_fs;
	struct walk walk = {.dentry = of_dentry, .mnt = of_mnt, .at = end};

	if (!into || end > PATH_ROOM)
		return end;
	walk.into = into->bytes;
	walk.root = (__u64)FIELD(struct fs_struct, fs, root.dentry);
	walk.root_mnt = (__u64)FIELD(struct fs_struct, fs, root.mnt);
	return walk_up(&walk);
}

/* The same, as `from` has it: the place, and the root that the path is to begin below. */
struct below {
	__u64 dentry, mnt;
	__u64 root, root_mnt;
};
__noinline __u32 walk_path_below(struct walk_room *into, __u32 end, struct below *from)
{
	struct walk walk = {.at = end};

	if (!into || !from || end > PATH_ROOM)
		return end;
	walk.into = into->bytes;
	walk.dentry = from->dentry;
	walk.mnt = from->mnt;
	walk.root = from->root;
	walk.root_mnt = from->root_mnt;
	return walk_up(&walk);
}

/* The same of an open file's path, below the root of the task that runs, at the end of SHORT_PATH; 0: it is not short. */
__noinline __u32 walk_short_path(struct short_room *into, __u64 of_file)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct file *file = (void *)of_file;
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	struct walk walk = {.at = SHORT_PATH};

	if (!into)
		return 0;
	walk.into = into->bytes;
	walk.dentry = (__u64)FIELD(struct file, file, f_path.dentry);
	walk.mnt = (__u64)FIELD(struct file, file, f_path.mnt);
	walk.root = (__u64)FIELD(struct fs_struct, fs, root.dentry);
	walk.root_mnt = (__u64)FIELD(struct fs_struct, fs, root.mnt);
	if (bpf_loop(SHORT_PATH, walk_one_of_few, &walk, 0) == SHORT_PATH || walk.cut)
		return 0;
	if (walk.at == SHORT_PATH)
		into->bytes[--walk.at & (SHORT_PATH - 1)] = '/';
	return walk.at;
}

/* Of the task that runs. */
static __always_inline __u32 walk_path(struct walk_room *into, __u32 end, __u64 of_dentry, __u64 of_mnt)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	return walk_path_of(into, end, of_dentry, of_mnt, (__u64)BPF_CORE_READ(task, fs));
}

static __always_inline __u32 write_path(char *room, __u32 end, struct path *path)
{
	return walk_path((struct walk_room *)room, end, (__u64)path->dentry, (__u64)path->mnt);
}

/* A path whose beginning is missing says so, and is counted where it goes into a record. */
static __always_inline void count_cut(const char *room, __u32 begin)
{
	if (begin < PATH_ROOM && room[begin & (PATH_ROOM - 1)] == '.')
		count_loss(container_cgroup(), FP_LOSS_CAUSE_TRUNCATED);
}

/* The path of an open file into the room, and where it is into the record's string. */
static __always_inline void put_path(char *room, __u32 base, struct fp_record_str *str, struct file *file)
{
	__u32 begin = walk_path((struct walk_room *)room, PATH_ROOM, number_of(FIELD(struct file, file, f_path.dentry)),
				number_of(FIELD(struct file, file, f_path.mnt)));

	count_cut(room, begin);
	str->offset = base + begin;
	str->len = PATH_ROOM - begin;
}
#define PUT_PATH(record, file) put_path((record)->room_, sizeof((record)->r), &(record)->r.path, file)
#define PUT_OBJECT(record, who)                                                                    \
	do {                                                                                       \
		(record)->r.object = (who).object;                                                 \
		(record)->r.dev = (who).dev;                                                       \
		(record)->r.ino = (who).ino;                                                       \
		(record)->r.gen = (who).gen;                                                       \
	} while (0)
#define NO_OBJECT(record)                                                                          \
	((record)->r.object = (record)->r.dev = (record)->r.ino = (record)->r.gen = 0)

#endif

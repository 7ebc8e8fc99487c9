/*
 * Records of calls that change what is mounted, or a process's root: which mount each was about, as mounts.bpf.h finds
 * out, by which names the kernel knows it, and what of the strings of the call that bears out.
 */
#ifndef FP_AGENT_BPF_MOUNTED_H
#define FP_AGENT_BPF_MOUNTED_H

#include "agent/bpf/mounts.bpf.h"

/* A change of what is mounted; a name whose string is 0 it does not have. */
struct mounting {
	__u64 cgroup;
	long result;
	__u64 operation, flags;
	struct name name, new_name;
	__u64 type; /* of the file system, in user space */
	/* what place_mounting() finds: the mount whose source is told, and the type as the kernel has it */
	__u64 mount, its_type;
	__u64 change;
};

#define MS_REMOUNT 0x20
#define MS_BIND 0x1000
#define MS_MOVE 0x2000
#define MS_REC 0x4000
#define MS_PROPAGATION (0xf << 17) /* UNBINDABLE, PRIVATE, SLAVE, SHARED */
#define MNT_DETACH 2
#define AT_RECURSIVE 0x8000
#define MOVE_MOUNT_F_EMPTY_PATH 4
#define MOVE_MOUNT_SET_GROUP 0x100
#define FSCONFIG_CMD_CREATE 6 /* behind it: RECONFIGURE, CREATE_EXCL */

/* Which of what place_mounting() looks for it has found; and that this is beyond doubt. */
#define FOUND_NAME 1
#define FOUND_OBJECT 2
#define FOUND_PLACE 4
#define FOUND_FOR_SURE 8
#define FOUND_BY_DESCRIPTOR 16 /* the object, whatever becomes of the name */

/* The kernel's own order of looking at them. */
static __always_inline __u64 change_by(__u64 operation, __u64 flags)
{
	switch (operation) {
	case FP_OPERATION_KIND_UMOUNT:
		return CHANGE_GONE;
	case FP_OPERATION_KIND_MOVE_MOUNT:
		return flags & MOVE_MOUNT_SET_GROUP ? CHANGE_STATE : CHANGE_MOVED;
	case FP_OPERATION_KIND_SET_MOUNT:
		return CHANGE_STATE;
	case FP_OPERATION_KIND_MOUNT:
		return flags & MS_REMOUNT ? CHANGE_STATE : flags & MS_BIND ? CHANGE_NEW : flags & MS_PROPAGATION ? CHANGE_STATE :
		       flags & MS_MOVE ? CHANGE_MOVED : CHANGE_NEW;
	}
	return CHANGE_NONE;
}

static __always_inline __u64 fs_of_task(void)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	return (__u64)BPF_CORE_READ(task, fs);
}

/* Whose name this is; and its path, if `mnt` is not 0, below the root of `fs`. */
__noinline int note_object(struct touched *touched, __u64 of_dentry, __u64 mnt, __u64 fs)
{
	struct dentry *dentry = (void *)of_dentry;

	if (!touched)
		return 0;
	touched->inode = touched->aliases = 0;
	identify_inode((__u64)BPF_CORE_READ(dentry, d_inode), &touched->who);
	touched->begin = mnt ? walk_path_of(&touched->path, PATH_ROOM, of_dentry, mnt, fs) : PATH_ROOM;
	return 0;
}

/* What is mounted by it, and by which name the process saw that otherwise, if it did. */
static __always_inline int note_shown(struct naming *naming, __u64 dentry, __u64 of_mnt, __u64 newest)
{
	struct vfsmount *mnt = (void *)of_mnt;
	__u64 shown = find_mount(dentry, (__u64)BPF_CORE_READ(mnt, mnt_sb), newest);

	note_object(&naming->touched[0], dentry, shown, fs_of_task());
	return shown ? FOUND_OBJECT | FOUND_NAME : FOUND_OBJECT;
}

static __always_inline __u64 root_of(__u64 mount)
{
	struct mount *m = (void *)mount;

	return (__u64)BPF_CORE_READ(m, mnt.mnt_root);
}

static __always_inline __u64 type_of(__u64 mount)
{
	struct mount *m = (void *)mount;

	return (__u64)BPF_CORE_READ(m, mnt.mnt_sb, s_type, name);
}

/* Where a mount lies now; 0: nowhere. */
static __always_inline int note_place(struct naming *naming, __u64 mount)
{
	struct mount *m = (void *)mount;

	if ((__u64)BPF_CORE_READ(m, mnt_parent) == mount)
		return 0;
	note_object(&naming->touched[1], (__u64)BPF_CORE_READ(m, mnt_mountpoint),
		    vfsmount_of((__u64)BPF_CORE_READ(m, mnt_parent)), fs_of_task());
	return FOUND_PLACE;
}

static __always_inline int place_new(struct naming *naming, struct mounts_before *before, struct mounting *m)
{
	__u64 mount = before && before->whole ? find_later(before) : newest_mount();
	int found;

	if (!mount)
		return 0;
	m->mount = mount;
	m->its_type = type_of(mount);
	if (m->flags & MS_BIND) {
		found = note_shown(naming, root_of(mount), vfsmount_of(mount), before ? before->newest : 0);
	} else {
		note_object(&naming->touched[0], root_of(mount), 0, 0);
		found = FOUND_OBJECT;
	}
	return found | note_place(naming, mount);
}

/*
 * What the task lets go is what it named, if it lay on one that is there still.  Except for copies that go with it
 * because the mount below them is shared: of those the one named can be beside it, in use and not let go.
 */
static __always_inline int find_gone(struct mounts_before *before, int *sure)
{
	__u64 let_go = mount_let_go();
	int i = let_go ? find_noted(before, let_go) : NO_MOUNT;
	struct noted_mount *noted = &before->noted[i & (MOUNTS_NOTED_MAX - 1)];
	struct mount *parent = (void *)noted->parent;

	if (i >= 0 && is_otherwise(noted, before->ns, CHANGE_GONE) && !BPF_CORE_READ(parent, mnt_group_id)) {
		*sure = 1;
		return i;
	}
	i = find_otherwise(before, CHANGE_GONE, 0);
	*sure = i >= 0 && before->noted[i & (MOUNTS_NOTED_MAX - 1)].mount == let_go;
	return i;
}

/* umount2 of the process's root does not take it away: it can only be read since. */
static __always_inline int place_root(struct naming *naming, struct mounts_before *before)
{
	note_object(&naming->touched[0], before->root, 0, 0);
	note_object(&naming->touched[1], before->root, before->root_mnt, fs_of_task());
	return FOUND_OBJECT | FOUND_PLACE;
}

static __always_inline int place_gone(struct naming *naming, struct noted_mount *noted)
{
	struct mount *m = (void *)noted->mount;

	if (BPF_CORE_READ(m, mnt_id_unique) != noted->number) /* another has its memory by now */
		return 0;
	note_object(&naming->touched[0], root_of(noted->mount), 0, 0);
	note_object(&naming->touched[1], noted->point, vfsmount_of(noted->parent), fs_of_task());
	return FOUND_OBJECT | FOUND_PLACE;
}

static __always_inline int place_moved(struct naming *naming, struct mounts_before *before, struct noted_mount *noted)
{
	struct mount *parent = (void *)noted->parent;
	struct dentry *root = (void *)root_of(noted->mount);

	if (noted->parent == noted->mount || (__u64)BPF_CORE_READ(parent, mnt_ns) != before->ns) {
		/* it shows that itself, by now */
		return note_shown(naming, (__u64)root, vfsmount_of(noted->mount), noted->number - 1) | note_place(naming, noted->mount);
	}
	/* it had a place before, and was called by that */
	note_object(&naming->touched[0], noted->point, vfsmount_of(noted->parent), fs_of_task());
	identify_inode((__u64)BPF_CORE_READ(root, d_inode), &naming->touched[0].who); /* what lies there */
	return FOUND_OBJECT | FOUND_NAME | note_place(naming, noted->mount);
}

static __always_inline int place_noted(struct naming *naming, struct mounts_before *before, struct mounting *m, int *sure)
{
	__u64 recursive = m->operation == FP_OPERATION_KIND_MOUNT ? m->flags & MS_REC : m->flags & AT_RECURSIVE;
	struct noted_mount *noted;
	int i;

	i = m->change == CHANGE_GONE ? find_gone(before, sure) : find_otherwise(before, m->change, recursive);
	if (i == NO_MOUNT && m->change == CHANGE_GONE && before->whole && !(m->flags & MNT_DETACH))
		return place_root(naming, before);
	if (i < 0)
		return 0;
	noted = &before->noted[i & (MOUNTS_NOTED_MAX - 1)];
	if (m->change == CHANGE_GONE)
		return place_gone(naming, noted);
	m->mount = noted->mount;
	if (m->change == CHANGE_MOVED)
		return place_moved(naming, before, noted);
	note_object(&naming->touched[0], root_of(noted->mount), 0, 0);
	return FOUND_OBJECT | note_place(naming, noted->mount);
}

/* What was opened is where it is, or a copy of that, in no name space. */
static __always_inline int place_tree(struct naming *naming, struct file *file)
{
	__u64 mnt = (__u64)BPF_CORE_READ(file, f_path.mnt), dentry = (__u64)BPF_CORE_READ(file, f_path.dentry);
	struct mount *m = mount_of(mnt);

	if ((__u64)BPF_CORE_READ(m, mnt_ns) != mount_namespace())
		return FOUND_FOR_SURE | FOUND_BY_DESCRIPTOR | note_shown(naming, dentry, mnt, 0);
	note_object(&naming->touched[0], dentry, mnt, fs_of_task());
	return FOUND_FOR_SURE | FOUND_BY_DESCRIPTOR | FOUND_OBJECT | FOUND_NAME;
}

/* The file system that a descriptor of fsopen or fspick prepares. */
static __always_inline struct fs_context *context_of(__u32 fd)
{
	struct file *file = file_of(fd);

	return file ? BPF_CORE_READ(file, private_data) : 0;
}

static __always_inline __u64 type_of_context(__u32 fd)
{
	struct fs_context *context = context_of(fd);

	return (__u64)BPF_CORE_READ(context, fs_type, name);
}

static __always_inline int place_context(struct naming *naming, __u32 fd)
{
	struct fs_context *context = context_of(fd);
	struct dentry *root = BPF_CORE_READ(context, root);
	struct inode *inode = BPF_CORE_READ(root, d_inode);
	__u64 mnt;

	if (!root)
		return 0;
	mnt = find_mount((__u64)root, (__u64)BPF_CORE_READ(inode, i_sb), 0);
	note_object(&naming->touched[0], (__u64)root, mnt, fs_of_task());
	return FOUND_BY_DESCRIPTOR | FOUND_OBJECT | (mnt ? FOUND_NAME : 0);
}

/* Both names as they were when the call began, and as an investigator knows them: before the root was another. */
static __always_inline int place_pivot(struct naming *naming, struct mounts_before *before, struct noted_mount *noted)
{
	struct mount *old = mount_of(before->root_mnt);
	struct below from = {.dentry = noted->point, .mnt = vfsmount_of(noted->parent), .root = before->root, .root_mnt = before->root_mnt};
	struct touched *touched = &naming->touched[0];
	__u32 begin, end;

	note_object(touched, root_of(noted->mount), 0, 0);
	touched->begin = walk_path_below(&touched->path, PATH_ROOM, &from);
	touched = &naming->touched[1];
	note_object(touched, (__u64)BPF_CORE_READ(old, mnt_mountpoint), 0, 0);
	struct below taken = {.dentry = (__u64)BPF_CORE_READ(old, mnt_mountpoint), .mnt = vfsmount_of((__u64)BPF_CORE_READ(old, mnt_parent)),
			      .root = root_of(noted->mount), .root_mnt = vfsmount_of(noted->mount)};
	if (taken.dentry == taken.root && taken.mnt == taken.root_mnt) { /* on top of each other */
		touched->begin = walk_path_below(&touched->path, PATH_ROOM, &from);
		return FOUND_OBJECT | FOUND_NAME | FOUND_PLACE;
	}
	end = walk_path_below(&touched->path, PATH_ROOM, &taken);
	begin = end <= PATH_ROOM ? walk_path_below(&touched->path, end, &from) : PATH_ROOM;
	touched->begin = end - begin == 1 ? end : begin; /* the root itself is one slash, and the name has its own */
	return FOUND_OBJECT | FOUND_NAME | FOUND_PLACE;
}

__noinline int place_new_root(struct naming *naming, struct mounts_before *before)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	__u64 mnt = (__u64)BPF_CORE_READ(task, fs, root.mnt);
	int i;

	if (!naming || !before || mnt == before->root_mnt)
		return 0;
	i = find_noted(before, (__u64)mount_of(mnt));
	return i < 0 ? 0 : place_pivot(naming, before, &before->noted[i & (MOUNTS_NOTED_MAX - 1)]);
}

/* What the kernel has of the call's names when it ends, into the first two places of what the task touches. */
__noinline int place_mounting(struct mounting *m)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct naming *naming = begin_naming();
	struct mounts_before *before = mounts_before_call();
	struct fs_struct *fs = BPF_CORE_READ(task, fs);
	int found = 0, sure = 0;
	struct file *file;

	if (!m || !naming || m->result < 0)
		return 0;
	m->change = change_by(m->operation, m->flags);
	switch (m->operation) {
	case FP_OPERATION_KIND_OPEN_TREE:
	case FP_OPERATION_KIND_MAKE_MOUNT:
		file = file_of(m->result);
		return file ? place_tree(naming, file) : 0;
	case FP_OPERATION_KIND_NEW_MOUNT:
		m->its_type = type_of_context(m->result);
		return 0;
	case FP_OPERATION_KIND_PICK_MOUNT:
		return place_context(naming, m->result);
	case FP_OPERATION_KIND_MOUNT_OPTION:
		return m->flags >= FSCONFIG_CMD_CREATE ? place_context(naming, m->name.dirfd) : 0;
	case FP_OPERATION_KIND_CHROOT: /* below no root but the name space's own */
		note_object(&naming->touched[0], (__u64)BPF_CORE_READ(fs, root.dentry), (__u64)BPF_CORE_READ(fs, root.mnt), 0);
		found = FOUND_OBJECT | FOUND_NAME;
		return before && was_alone(before) ? found | FOUND_FOR_SURE : found;
	case FP_OPERATION_KIND_PIVOT_ROOT:
		found = before ? place_new_root(naming, before) : 0;
		break;
	default:
		if (m->change == CHANGE_NEW)
			found = place_new(naming, before, m);
		else if (m->change && before)
			found = place_noted(naming, before, m, &sure);
	}
	if (before && (sure || (before->whole && was_alone(before))))
		found |= FOUND_FOR_SURE;
	return found;
}

/* A string of the kernel's own. */
static __always_inline void put_kernel_string(char *room, __u32 base, struct fp_record_str *str, const void *string, __u32 most)
{
	long len = string ? bpf_probe_read_kernel_str(room, most, string) : 0;

	str->offset = base;
	str->len = len > 0 && len <= most ? len - 1 : 0;
}
#define PUT_KERNEL_STRING(record, field, at, string, most) \
	put_kernel_string((record)->room_ + (at), sizeof((record)->r) + (at), &(record)->r.field, string, most)

static __always_inline const void *source_of(__u64 mount)
{
	struct mount *m = (void *)mount;

	return BPF_CORE_READ(m, mnt_devname);
}

/* Of a mount what `path` says is no name: the file system's to understand, or, of a change, nobody's. */
static __always_inline int has_source(struct mounting *m)
{
	return m->operation == FP_OPERATION_KIND_MOUNT && !(m->change == CHANGE_NEW && m->flags & MS_BIND) &&
	       m->change != CHANGE_MOVED;
}

/* Done by a descriptor, without a name. */
static __always_inline int has_no_name(struct mounting *m, int found)
{
	__u64 empty = m->operation == FP_OPERATION_KIND_MOVE_MOUNT ? MOVE_MOUNT_F_EMPTY_PATH :
		      m->operation == FP_OPERATION_KIND_SET_MOUNT ? AT_EMPTY_PATH : 0;

	return m->flags & empty && found & FOUND_OBJECT;
}

/* What was found, and how its names are to be taken; what is not sure counts when all of them agree. */
struct named_mount {
	struct touched *object, *place;
	__u64 how;
	__u64 naming;
};

/* By which name the call had it: the place of what was there, else what it was made of. */
static __always_inline struct touched *named_first(struct mounting *m, struct named_mount *named, int found)
{
	if (m->operation == FP_OPERATION_KIND_UMOUNT || m->operation == FP_OPERATION_KIND_SET_MOUNT)
		return named->place;
	return found & FOUND_NAME ? named->object : 0;
}

#define PUT_MOUNT_NAMES(record, m, named, found)                                                   \
	do {                                                                                       \
		struct touched *name_ = named_first(m, named, found);                              \
                                                                                                   \
		if ((m)->name.string && !has_source(m) && (name_ || !has_no_name(m, found)))       \
			(named)->naming = PUT_NAME(record, path, 0, &(m)->name, name_, (named)->how); \
		if ((m)->new_name.string)                                                          \
			(named)->naming = worse((named)->naming, PUT_NAME(record, new_path, NAMED_ROOM, &(m)->new_name, \
									  (named)->place, (named)->how)); \
	} while (0)

__noinline int record_mount(struct mounting *m)
{
	struct named_mount named = {};
	int found;

	if (!m)
		return 0;
	found = place_mounting(m);
	named.how = found & FOUND_FOR_SURE ? NAME_FOLLOWS : NAME_AGREES;
	named.object = found & FOUND_OBJECT ? touched_at(0) : 0;
	named.place = found & FOUND_PLACE ? touched_at(1) : 0;
	BEGIN_RECORD(record, mount, MOUNT, m->cgroup, 2 * NAMED_ROOM + ATTRIBUTE_ROOM, 0, m->result);
	FILL_CONTROL(record, m->operation, m->flags);
	NO_OBJECT(record);
	record->r.place_dev = record->r.place_ino = record->r.place_gen = 0;
	PUT_MOUNT_NAMES(record, m, &named, found);
	record->r.naming = named.naming;
	if (named.naming == FP_NAMING_KIND_UNVERIFIED && !(found & FOUND_FOR_SURE)) {
		named.place = 0;
		m->mount = m->its_type = 0;
		if (!(found & FOUND_BY_DESCRIPTOR))
			named.object = 0;
	}
	if (named.object)
		PUT_OBJECT(record, named.object->who);
	if (named.place) {
		record->r.place_dev = named.place->who.dev;
		record->r.place_ino = named.place->who.ino;
		record->r.place_gen = named.place->who.gen;
	}
	if (has_source(m) && m->mount)
		PUT_KERNEL_STRING(record, path, 0, source_of(m->mount), 2 * NAME_ROOM);
	else if (has_source(m))
		PUT_STRING(record, path, 0, m->name.string, 2 * NAME_ROOM);
	if (m->type && m->its_type)
		PUT_KERNEL_STRING(record, attribute, 2 * NAMED_ROOM, (void *)m->its_type, ATTRIBUTE_ROOM);
	else if (m->type)
		PUT_STRING(record, attribute, 2 * NAMED_ROOM, m->type, ATTRIBUTE_ROOM);
	emit(record);
	return 0;
}

#endif

/*
 * Renames of files that have several names.  Which of them it was that the call gave another one follows, at its exit,
 * from the only one that has another place now; how it was called before is kept from the middle of the call on
 * (touched.bpf.h).  And a rename of one name of a file to another name of the same file is done by doing nothing: the
 * kernel says that it went well, and touches nothing.  Told as a rename it would take a name away that is still there.
 */
#ifndef FP_AGENT_BPF_RENAMED_H
#define FP_AGENT_BPF_RENAMED_H

#include "agent/bpf/mounts.bpf.h"

/* The one name of that file, in a directory that was touched, that has another place than it had; -1: none, or several. */
__noinline int find_moved_name(struct naming *naming, struct touched *touched)
{
	int found = -1;

	if (!naming || !touched)
		return -1;
	for (int i = 0; i < ALIASES_MAX; i++) {
		struct dentry *dentry = (void *)touched->alias[i];

		if (!dentry || (__u64)BPF_CORE_READ(dentry, d_inode) != touched->inode ||
		    place_of(dentry) == touched->alias_place[i] || !is_in_touched(naming, dentry))
			continue;
		if (found >= 0)
			return -1;
		found = i;
	}
	return found;
}

/* The number of the directory among those touched; TOUCHED_MAX: none. */
static __always_inline __u32 number_of_directory(struct naming *naming, __u64 inode)
{
	__u32 i;

	for (i = 0; i < TOUCHED_MAX; i++)
		if (i < naming->n && naming->touched[i].inode == inode)
			break;
	return i;
}

/* The path that a name had: its directory's, as that was when it was touched, and the name. */
__noinline int compose_path(struct naming *naming, __u32 of_touched, __u32 of_name)
{
	struct touched *directory, *touched;
	__u32 number, begin, len, before, at;
	struct kept_name *name;

	if (!naming)
		return 0;
	touched = &naming->touched[of_touched & (TOUCHED_MAX - 1)]; /* with what is behind it, so that the verifier sees any piece end within */
	name = &naming->kept[(touched->kept - 1) & (KEPT_MAX - 1)].name[of_name & (ALIASES_MAX - 1)];
	touched->begin = PATH_ROOM;
	number = number_of_directory(naming, name->parent);
	if (number >= TOUCHED_MAX)
		return 0;
	directory = &naming->touched[number & (TOUCHED_MAX - 1)];
	begin = directory->begin;
	len = name->len & (NAME_ROOM - 1);
	if (begin >= PATH_ROOM || !len)
		return 0;
	before = PATH_ROOM - begin;
	if (before == 1) /* the root, which ends with the slash itself */
		before = 0;
	if (before + 1 + len > PATH_ROOM)
		return 0;
	at = (PATH_ROOM - len) & (PATH_ROOM - 1);
	VISIBLE(at);
	at &= PATH_ROOM - 1;
	VISIBLE(len);
	len &= NAME_ROOM - 1;
	bpf_probe_read_kernel(touched->path.bytes + at, len, name->bytes);
	at = (at - 1) & (PATH_ROOM - 1);
	VISIBLE(at);
	at &= PATH_ROOM - 1;
	touched->path.bytes[at] = '/';
	at = (at - before) & (PATH_ROOM - 1);
	VISIBLE(at);
	at &= PATH_ROOM - 1;
	VISIBLE(before);
	VISIBLE(begin);
	if (before <= PATH_ROOM && begin < PATH_ROOM && before <= PATH_ROOM - at)
		bpf_probe_read_kernel(touched->path.bytes + at, before, directory->path.bytes + begin);
	touched->begin = at;
	return 0;
}

/* Of each file of several names that was touched: the name that it was renamed from, as if it had that alone. */
__noinline int settle_moved(void)
{
	struct naming *naming = touched_by_call();

	if (!naming)
		return 0;
	for (int i = 0; i < TOUCHED_MAX; i++) {
		struct touched *touched = &naming->touched[i];
		int j;

		if (i >= naming->n || touched->dentry || !touched->kept || !is_still(touched))
			continue;
		j = find_moved_name(naming, touched);
		if (j < 0)
			continue;
		touched->dentry = touched->alias[j & (ALIASES_MAX - 1)];
		touched->place = touched->alias_place[j & (ALIASES_MAX - 1)];
		compose_path(naming, i, j);
	}
	return 0;
}

/* --- a rename that did nothing ------------------------------------------------------- */

/* Set by the agent: the kernel tells of times of change, and nothing was in the way of our being told. */
__u64 tells_changes = 0;

#define SB_RDONLY 1
#define MNT_READONLY 0x40

/* File systems that set the time of change whenever they rename something, or that rename nothing. */
static __always_inline int is_telling(__u64 magic)
{
	switch (magic) {
	case 0xef53: /* ext2, ext3, ext4 */
	case 0x58465342: /* xfs */
	case 0x9123683e: /* btrfs */
	case 0xf2f52010: /* f2fs */
	case 0x01021994: /* tmpfs, devtmpfs */
	case 0x858458f6: /* ramfs */
	case 0x958458f6: /* hugetlbfs */
	case OVERLAYFS_SUPER_MAGIC:
	case PROC_SUPER_MAGIC:
	case SYSFS_MAGIC:
	case CGROUP2_SUPER_MAGIC:
	case DEVPTS_SUPER_MAGIC:
	case 0x19800202: /* mqueue */
	case 0xcafe4a11: /* bpf */
	case 0x64626720: /* debugfs */
	case 0x74726163: /* tracefs */
	case 0x73636673: /* securityfs */
	case NSFS_MAGIC:
	case 0x73717368: /* squashfs */
	case 0xe0f5e1e2: /* erofs */
		return 1;
	}
	return 0;
}

__noinline int is_mount_telling(__u64 vfsmount)
{
	struct vfsmount *mnt = (void *)vfsmount;
	struct super_block *sb;

	if (!mnt)
		return 1;
	sb = FIELD(struct vfsmount, mnt, mnt_sb);
	return FIELD(struct vfsmount, mnt, mnt_flags) & MNT_READONLY || FIELD(struct super_block, sb, s_flags) & SB_RDONLY ||
	       is_telling(FIELD(struct super_block, sb, s_magic));
}

struct telling {
	struct mount_walk walk;
	__u64 quiet; /* there is one that does not tell */
};

static long look_for_quiet(__u32 i, struct telling *telling)
{
	if (!telling->walk.rising && !is_mount_telling(vfsmount_of(telling->walk.at))) {
		telling->quiet = 1;
		return 1;
	}
	return step_on(&telling->walk) != 0;
}

/* Whether all that the process can reach by a name tells. */
__noinline int all_mounts_tell(void)
{
	struct mnt_namespace *ns = (void *)mount_namespace();
	struct telling telling = {};

	telling.walk.at = telling.walk.top = (__u64)BPF_CORE_READ(ns, root);
	if (!telling.walk.at)
		return 0;
	bpf_loop(MOUNT_STEPS, look_for_quiet, &telling, 0);
	return telling.walk.over && !telling.quiet;
}

/* A directory that names began at can lie outside the name space. */
static __always_inline int directory_tells(__s64 dirfd)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct file *file;

	if (dirfd == AT_FDCWD)
		return is_mount_telling((__u64)BPF_CORE_READ(task, fs, pwd.mnt));
	file = file_of(dirfd);
	return file ? is_mount_telling((__u64)BPF_CORE_READ(file, f_path.mnt)) : 0;
}

/* Of a call that went well: has anything been renamed? */
static __always_inline int has_renamed(struct deed *deed)
{
	struct naming *naming = naming_of_task();

	if ((naming && naming->n) || !tells_changes || !all_mounts_tell() || !directory_tells((__s32)deed->name.dirfd) ||
	    !directory_tells((__s32)deed->new_name.dirfd)) {
		settle_moved();
		return 1;
	}
	return 0;
}

#endif

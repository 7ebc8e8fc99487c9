/*
 * Which file a call by name was really about.  Nothing of such a call is left at its
 * exit but the string in the process's memory, which another thread may have
 * changed since.  But whatever changes a file or a directory sets its time of
 * change, and that the kernel tells (`inode_set_ctime_to_ts`, `ctime_ns_xchg`,
 * `ctime_xchg_skip`, since 6.13) with the inode, in the middle of the call and in
 * the task that makes it.  So the inodes that a call by name touched are noted
 * here, with the paths by which the kernel knows them at that moment, and at the
 * exit of the call it follows from them what was done to which name:
 *
 *   unlink   the one whose directory was touched too is gone from there
 *   rename   the one that now has another place was moved
 *   make     the one that had no name and now has one in a directory that was touched
 *   others   the only one that was touched
 *
 * What does not follow without doubt is labelled (enum fp_naming).  Of a stacked
 * file system (overlayfs) the inodes that the process sees count, not those below.
 */
#ifndef FP_AGENT_BPF_TOUCHED_H
#define FP_AGENT_BPF_TOUCHED_H

#include "agent/bpf/file.bpf.h"
#include "agent/bpf/handlers.h"

/* A rename onto another file touches both, and their directories. */
#define TOUCHED_MAX 4
#define ALIASES_MAX 4
#define MOUNTS_MAX 64
#define OVERLAYFS_SUPER_MAGIC 0x794c7630
#define ATTRIBUTE_ROOM 256
#define AT_EMPTY_PATH 0x1000
#define AT_SYMLINK_FOLLOW 0x400
#define PF_IO_WORKER 0x10
#define PF_DUMPCORE 0x200
/* The same on all architectures. */
#define CALL_IO_URING_ENTER 426

/* Filled by the agent for the machine's architecture (agent/calls.def). */
const volatile __u8 handler_of[FP_CALLS_MAX] = {};

struct touched {
	__u64 inode;
	__u64 dentry; /* its name, when it had just one; else 0 */
	__u64 parent; /* the directory's inode */
	__u64 place; /* directory and hash of the name: changes when it is moved */
	__u64 aliases; /* names that the kernel has in memory */
	__u64 alias[ALIASES_MAX]; /* which they are, when there are several; 0: none, or too many */
	__u64 alias_place[ALIASES_MAX];
	__u64 kept; /* where the names of one that has several are kept in `kept`, from 1 on; 0: nowhere */
	__u64 moves; /* of this inode, by then */
	struct identity who;
	__u64 begin; /* of the path in its room; PATH_ROOM: none */
	struct walk_room path;
};

/* How a file of several names was called, which at the exit of a rename the kernel does not know any more. */
#define KEPT_MAX 2
struct kept_name {
	__u64 parent; /* the directory's inode */
	__u64 len;
	char bytes[NAME_ROOM];
};
struct kept_names {
	struct kept_name name[ALIASES_MAX];
};

struct naming {
	__u64 n; /* more than TOUCHED_MAX: too many to judge */
	__u64 stacked;
	__u64 n_kept;
	struct touched touched[TOUCHED_MAX];
	struct kept_names kept[KEPT_MAX]; /* of an exchange two */
};

/* By thread, from the first inode that its call touches to the end of the call: no longer, as it is much. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FP_NAMINGS_MAX);
	__type(key, __u32);
	__type(value, struct naming);
} namings SEC(".maps");

static const struct naming nothing_touched;

static __always_inline struct naming *naming_of_task(void)
{
	__u32 tid = bpf_get_current_pid_tgid();

	return bpf_map_lookup_elem(&namings, &tid);
}

static __always_inline struct naming *begin_naming(void)
{
	struct naming *naming = naming_of_task();
	__u32 tid = bpf_get_current_pid_tgid();

	if (naming)
		return naming;
	bpf_map_update_elem(&namings, &tid, &nothing_touched, BPF_NOEXIST);
	return naming_of_task();
}

/* Failed or not: the next call begins with nothing touched. */
static __always_inline void forget_touched(void)
{
	__u32 tid = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&namings, &tid);
}

/*
 * How often inodes were given names, by whomever.  Counted before the kernel makes
 * the change: who finds at the exit of its call the number it knew of, finds the name
 * that it gave itself.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FP_MOVES_MAX);
	__type(key, __u64); /* inode */
	__type(value, __u64);
} moves SEC(".maps");

static __always_inline __u64 moves_of(__u64 inode)
{
	__u64 *n = bpf_map_lookup_elem(&moves, &inode);

	return n ? *n : 0;
}

static __always_inline __u64 count_move(__u64 inode)
{
	__u64 zero = 0, *n;

	bpf_map_update_elem(&moves, &inode, &zero, BPF_NOEXIST);
	n = bpf_map_lookup_elem(&moves, &inode);
	return n ? __sync_fetch_and_add(n, 1) + 1 : 0;
}

/* --- where a name is -------------------------------------------------------------- */

struct climb {
	__u64 at, root;
	__u64 found;
};

static long climb_one(__u32 i, struct climb *climb)
{
	struct dentry *dentry = (void *)climb->at;
	__u64 parent = (__u64)FIELD(struct dentry, dentry, d_parent);

	if (climb->at == climb->root)
		climb->found = 1;
	if (climb->found || climb->at == parent)
		return 1;
	climb->at = parent;
	return 0;
}

static __always_inline int is_below(__u64 dentry, __u64 root)
{
	struct climb climb = {.at = dentry, .root = root};

	bpf_loop(FP_PATH_DEPTH_MAX, climb_one, &climb, 0);
	return climb.found;
}

struct search {
	__u64 pwd, root; /* looked at first: nearly always it is below one of them */
	__u64 at;
	__u64 found;
	__u64 dentry, sb, ns;
	__u64 newest; /* mounts with a greater number are not looked at; 0: all */
};

static long try_mount(__u32 i, struct search *search)
{
	struct mount *m = (void *)search->at;
	struct vfsmount *mnt;

	if (i == 0)
		mnt = (void *)search->pwd;
	else if (i == 1)
		mnt = (void *)search->root;
	else {
		if (!m)
			return 1;
		search->at = (__u64)BPF_CORE_READ(m, mnt_next_for_sb);
		if ((__u64)BPF_CORE_READ(m, mnt_ns) != search->ns ||
		    (search->newest && BPF_CORE_READ(m, mnt_id_unique) > search->newest))
			return 0;
		mnt = (void *)m + bpf_core_field_offset(struct mount, mnt);
	}
	if ((__u64)FIELD(struct vfsmount, mnt, mnt_sb) != search->sb ||
	    !is_below(search->dentry, (__u64)FIELD(struct vfsmount, mnt, mnt_root)))
		return 0;
	search->found = (__u64)mnt;
	return 1;
}

/*
 * A mount by which the process sees the name, none of those made after `newest` (0: any); 0: none.  Where the same
 * directory is mounted twice it may be the other one: another path to the same name.
 */
__noinline __u64 find_mount(__u64 of_dentry, __u64 of_sb, __u64 newest)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct super_block *sb = (void *)of_sb;
	struct search search = {.dentry = of_dentry, .sb = of_sb, .newest = newest};

	search.pwd = (__u64)BPF_CORE_READ(task, fs, pwd.mnt);
	search.root = (__u64)BPF_CORE_READ(task, fs, root.mnt);
	if (bpf_core_field_exists(struct mount, mnt_next_for_sb)) {
		search.at = (__u64)BPF_CORE_READ(sb, s_mounts);
		search.ns = (__u64)BPF_CORE_READ(task, nsproxy, mnt_ns);
	}
	bpf_loop(2 + MOUNTS_MAX, try_mount, &search, 0);
	return search.found;
}

static __always_inline struct dentry *name_at(struct hlist_node *node)
{
	return node ? (void *)node - bpf_core_field_offset(struct dentry, d_u.d_alias) : 0;
}

static __always_inline int is_stacked(struct inode *inode)
{
	return BPF_CORE_READ(inode, i_sb, s_magic) == OVERLAYFS_SUPER_MAGIC;
}

/* The root of its file system, which no table has. */
static __always_inline int is_top(struct dentry *dentry)
{
	return FIELD(struct dentry, dentry, d_parent) == dentry && BPF_CORE_READ(dentry, d_inode, i_sb, s_root) == dentry;
}

struct names {
	__u64 newest; /* a dentry */
	__u64 number;
	__u64 at[ALIASES_MAX];
};

/*
 * The newest of its names in memory, and how many there are.  One that was taken from it stays there for a while, out of
 * the table by which names are found; but overlays take it out of the table before they tell of the change, so there it
 * counts.
 */
__noinline int find_names(__u64 of_inode, struct names *names)
{
	struct inode *inode = (void *)of_inode;
	struct dentry *dentry = name_at(BPF_CORE_READ(inode, i_dentry.first));
	int all = is_stacked(inode);
	int i;

	if (!names)
		return 0;
	names->newest = names->number = 0;
	for (i = 0; i < ALIASES_MAX; i++)
		names->at[i] = 0;
	for (i = 0; i < ALIASES_MAX && dentry; i++) {
		if (all || FIELD(struct dentry, dentry, d_hash.pprev) || is_top(dentry)) {
			if (!names->newest)
				names->newest = (__u64)dentry;
			names->number++;
			names->at[i] = (__u64)dentry;
		}
		dentry = name_at(BPF_CORE_READ(dentry, d_u.d_alias.next));
	}
	if (dentry) /* more than were looked at */
		names->number++;
	return 0;
}

static __always_inline struct dentry *first_name(__u64 inode)
{
	struct names names = {};

	find_names(inode, &names);
	return (void *)names.newest;
}

static __always_inline __u64 place_of(struct dentry *dentry)
{
	return (__u64)BPF_CORE_READ(dentry, d_parent) ^ BPF_CORE_READ(dentry, d_name.hash_len);
}

/* --- in the middle of the call ------------------------------------------------------ */

/* The path of `dentry` as the process sees it into `touched`. */
__noinline int note_path(struct touched *touched, __u64 of_dentry)
{
	struct dentry *dentry = (void *)of_dentry;
	struct inode *inode;
	__u64 mnt;

	if (!touched)
		return 0;
	inode = (void *)touched->inode;
	mnt = find_mount(of_dentry, (__u64)BPF_CORE_READ(inode, i_sb), 0);
	touched->begin = mnt ? walk_path(&touched->path, PATH_ROOM, (__u64)dentry, mnt) : PATH_ROOM;
	return 0;
}

static __always_inline void note_names(struct touched *touched, struct inode *inode)
{
	struct names names = {};
	struct dentry *dentry;
	int several;

	find_names((__u64)inode, &names);
	dentry = (void *)names.newest;
	touched->aliases = names.number;
	touched->dentry = touched->parent = touched->place = 0;
	touched->begin = PATH_ROOM;
	several = names.number > 1 && names.number <= ALIASES_MAX;
	for (int i = 0; i < ALIASES_MAX; i++) {
		touched->alias[i] = several ? names.at[i] : 0;
		touched->alias_place[i] = touched->alias[i] ? place_of((void *)names.at[i]) : 0;
	}
	if (names.number != 1)
		return;
	touched->dentry = (__u64)dentry;
	touched->parent = (__u64)BPF_CORE_READ(dentry, d_parent, d_inode);
	touched->place = place_of(dentry);
	note_path(touched, (__u64)dentry);
}

/* Whether the call now made is one that gives, takes or uses names. */
static __always_inline __u8 naming_handler(void)
{
	__u64 number = number_of_call();
	__u8 handler = number < FP_CALLS_MAX ? handler_of[number & (FP_CALLS_MAX - 1)] : 0;

	return handler >= FP_HANDLER_FIRST_NAME && handler <= FP_HANDLER_LAST_NAME ? handler : 0;
}

static __always_inline int gives_names(__u8 handler)
{
	return handler == FP_HANDLER_on_rename || handler == FP_HANDLER_on_renameat ||
	       handler == FP_HANDLER_on_renameat2 || handler == FP_HANDLER_on_link ||
	       handler == FP_HANDLER_on_linkat;
}

/* What a ring does is not told apart: a move too many makes doubt, never a wrong name. */
static __always_inline int is_through_ring(void)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);

	return task->flags & PF_IO_WORKER || call_number(regs) == CALL_IO_URING_ENTER;
}

/* Of a file that has several names and may lose one of them: as they are now. */
__noinline int keep_names(struct naming *naming, struct touched *touched)
{
	struct kept_names *kept;

	if (!naming || !touched || touched->aliases < 2 || touched->aliases > ALIASES_MAX || naming->n_kept >= KEPT_MAX)
		return 0;
	kept = &naming->kept[naming->n_kept++ & (KEPT_MAX - 1)];
	touched->kept = naming->n_kept;
	for (int i = 0; i < ALIASES_MAX; i++) {
		struct dentry *dentry = (void *)touched->alias[i];
		__u32 len;

		if (!dentry)
			continue;
		len = FIELD(struct dentry, dentry, d_name.len) & (NAME_ROOM - 1);
		kept->name[i].parent = (__u64)BPF_CORE_READ(dentry, d_parent, d_inode);
		kept->name[i].len = bpf_probe_read_kernel(kept->name[i].bytes, len, FIELD(struct dentry, dentry, d_name.name)) ? 0 : len;
	}
	return 0;
}

static __always_inline int note(struct naming *naming, struct inode *inode, int moved)
{
	struct touched *touched;
	__u64 stacked = is_stacked(inode), n;

	if (naming->stacked && !stacked)
		return 0;
	if (stacked && !naming->stacked) {
		naming->stacked = 1;
		naming->n = naming->n_kept = 0;
	}
	for (int i = 0; i < TOUCHED_MAX; i++)
		if (i < naming->n && naming->touched[i].inode == (__u64)inode)
			return 0;
	n = naming->n++;
	if (n >= TOUCHED_MAX)
		return 0;
	touched = &naming->touched[n];
	touched->inode = (__u64)inode;
	/* before the path is read, so that no change can come in between */
	touched->moves = moved ? count_move((__u64)inode) : moves_of((__u64)inode);
	identify_inode((__u64)inode, &touched->who);
	touched->kept = 0;
	note_names(touched, inode);
	if (moved)
		keep_names(naming, touched);
	return 0;
}

/* What a thread that dumps its memory writes to (dumped.bpf.h); by thread until its exit. */
struct dump {
	__u64 inode;
	struct identity who;
};
#define DUMPS_MAX 64 /* at a time; of one of more only its exit tells that it dumped */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, DUMPS_MAX);
	__type(key, __u32);
	__type(value, struct dump);
} dumps SEC(".maps");

/* Each time anew: what an old file of that name loses by being unlinked comes before what is written to the new one. */
static __always_inline int note_dump(__u64 inode)
{
	struct dump dump = {.inode = inode};
	__u32 tid = bpf_get_current_pid_tgid();

	identify_inode(inode, &dump.who);
	if (dump.who.object == FP_OBJECT_KIND_FILE)
		bpf_map_update_elem(&dumps, &tid, &dump, BPF_ANY);
	return 0;
}

/* The task is one that is recorded. */
__noinline int touch(__u64 of_inode)
{
	struct inode *inode = (void *)of_inode;
	struct naming *naming;
	__u8 handler;

	if (bpf_get_current_task_btf()->flags & PF_DUMPCORE)
		return note_dump(of_inode);
	handler = naming_handler();
	if (!handler) {
		if (is_through_ring())
			count_move(of_inode);
		return 0;
	}
	naming = begin_naming();
	return naming ? note(naming, inode, gives_names(handler)) : 0;
}

#endif

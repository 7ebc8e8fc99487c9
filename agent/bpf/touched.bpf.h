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
	__u64 moves; /* of this inode, by then */
	struct identity who;
	__u64 begin; /* of the path in its room; PATH_ROOM: none */
	struct walk_room path;
};

struct naming {
	__u64 n; /* more than TOUCHED_MAX: too many to judge */
	__u64 stacked;
	struct touched touched[TOUCHED_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct naming);
} namings SEC(".maps");

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
		if ((__u64)BPF_CORE_READ(m, mnt_ns) != search->ns)
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
 * A mount by which the process sees the name; 0: none.  Where the same directory is mounted
 * twice it may be the other one: another path to the same name.
 */
__noinline __u64 find_mount(__u64 of_dentry, __u64 of_sb)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct super_block *sb = (void *)of_sb;
	struct search search = {.dentry = of_dentry, .sb = of_sb};

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

struct names {
	__u64 newest; /* a dentry */
	__u64 number;
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
	for (i = 0; i < ALIASES_MAX && dentry; i++) {
		if (all || FIELD(struct dentry, dentry, d_hash.pprev)) {
			if (!names->newest)
				names->newest = (__u64)dentry;
			names->number++;
		}
		dentry = name_at(BPF_CORE_READ(dentry, d_u.d_alias.next));
	}
	if (dentry) /* more than were looked at */
		names->number++;
	return 0;
}

static __always_inline struct dentry *first_name(__u64 inode)
{
	struct names names;

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
	mnt = find_mount(of_dentry, (__u64)BPF_CORE_READ(inode, i_sb));
	touched->begin = mnt ? walk_path(&touched->path, PATH_ROOM, (__u64)dentry, mnt) : PATH_ROOM;
	return 0;
}

static __always_inline void note_names(struct touched *touched, struct inode *inode)
{
	struct dentry *dentry;
	struct names names;

	find_names((__u64)inode, &names);
	dentry = (void *)names.newest;
	touched->aliases = names.number;
	touched->dentry = touched->parent = touched->place = 0;
	touched->begin = PATH_ROOM;
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
	struct pt_regs *regs = (void *)bpf_task_pt_regs((void *)bpf_get_current_task_btf());
	__u8 handler = handler_of[call_number(regs) & (FP_CALLS_MAX - 1)];

	return handler >= FP_HANDLER_FIRST_NAME && handler <= FP_HANDLER_LAST_NAME ? handler : 0;
}

static __always_inline int gives_names(__u8 handler)
{
	return handler == FP_HANDLER_on_rename || handler == FP_HANDLER_on_renameat || handler == FP_HANDLER_on_link ||
	       handler == FP_HANDLER_on_linkat;
}

/* What a ring does is not told apart: a move too many makes doubt, never a wrong name. */
static __always_inline int is_through_ring(void)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);

	return task->flags & PF_IO_WORKER || call_number(regs) == CALL_IO_URING_ENTER;
}

static __always_inline int note(struct naming *naming, struct inode *inode, int moved)
{
	struct touched *touched;
	__u64 stacked = is_stacked(inode), n;

	if (naming->stacked && !stacked)
		return 0;
	if (stacked && !naming->stacked) {
		naming->stacked = 1;
		naming->n = 0;
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
	note_names(touched, inode);
	return 0;
}

/* The task is one that is recorded. */
__noinline int touch(__u64 of_inode)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct inode *inode = (void *)of_inode;
	struct naming *naming;
	__u8 handler;

	if (is_foreign())
		return 0;
	handler = naming_handler();
	if (!handler) {
		if (is_through_ring())
			count_move(of_inode);
		return 0;
	}
	naming = bpf_task_storage_get(&namings, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	return naming ? note(naming, inode, gives_names(handler)) : 0;
}

/* --- at the exit of the call ---------------------------------------------------------- */

static __always_inline struct naming *naming_of_task(void)
{
	return bpf_task_storage_get(&namings, (void *)bpf_get_current_task_btf(), 0, 0);
}

/* What the call touched; NULL: nothing, or nothing that can be judged. */
static __always_inline struct naming *touched_by_call(void)
{
	struct naming *naming = naming_of_task();

	return naming && naming->n && naming->n <= TOUCHED_MAX ? naming : 0;
}

/* Failed or not: the next call begins with nothing touched. */
static __always_inline void forget_touched(void)
{
	struct naming *naming = naming_of_task();

	if (naming)
		naming->n = naming->stacked = 0;
}

/* Of its own for the verifier, like walk_path_of. */
__noinline int is_touched(struct naming *naming, __u64 inode)
{
	if (!naming)
		return 0;
	for (int i = 0; i < TOUCHED_MAX; i++)
		if (i < naming->n && naming->touched[i].inode == inode)
			return 1;
	return 0;
}

/* The same inode as when it was touched: not freed since and made another. */
static __always_inline int is_still(struct touched *touched)
{
	struct identity now;

	identify_inode(touched->inode, &now);
	return now.ino == touched->who.ino && now.gen == touched->who.gen && now.dev == touched->who.dev;
}

/* One of those touched, which functions of their own can name by its number alone; -1: none. */
static __always_inline struct touched *touched_at(int number)
{
	struct naming *naming = number >= 0 ? naming_of_task() : 0;

	return naming ? &naming->touched[number & (TOUCHED_MAX - 1)] : 0;
}

/* The only one. */
__noinline int find_only(void)
{
	struct naming *naming = touched_by_call();

	return naming && naming->n == 1 ? 0 : -1;
}

/* The one that was in a directory that was touched. */
__noinline int find_removed(void)
{
	struct naming *naming = touched_by_call();

	if (!naming || naming->n != 2)
		return -1;
	if (naming->touched[0].parent == naming->touched[1].inode)
		return 0;
	if (naming->touched[1].parent == naming->touched[0].inode)
		return 1;
	/* one that has several names: which one it was is not known */
	if (naming->touched[0].aliases > 1)
		return 0;
	return naming->touched[1].aliases > 1 ? 1 : -1;
}

static __always_inline int is_in_touched(struct naming *naming, struct dentry *dentry)
{
	return is_touched(naming, (__u64)BPF_CORE_READ(dentry, d_parent, d_inode));
}

/* The one that has another place now. */
__noinline int find_moved(void)
{
	struct naming *naming = touched_by_call();

	if (!naming)
		return -1;
	for (int i = 0; i < TOUCHED_MAX; i++) {
		struct touched *touched = &naming->touched[i];
		struct dentry *dentry = (void *)touched->dentry;

		if (i >= naming->n)
			break;
		if (dentry && (__u64)BPF_CORE_READ(dentry, d_inode) == touched->inode && place_of(dentry) != touched->place &&
		    is_in_touched(naming, dentry))
			return i;
	}
	return -1;
}

/* The one whose newest name is in a directory that was touched; `fresh`: it had none before. */
__noinline int find_named(__u64 fresh)
{
	struct naming *naming = touched_by_call();

	if (!naming)
		return -1;
	for (int i = 0; i < TOUCHED_MAX; i++) {
		struct touched *touched = &naming->touched[i];
		struct dentry *dentry;

		if (i >= naming->n)
			break;
		if ((fresh && touched->aliases) || (!fresh && touched->who.object == FP_OBJECT_KIND_DIRECTORY))
			continue;
		if (fresh) /* a file system numbers it after it has set its times */
			identify_inode(touched->inode, &touched->who);
		dentry = is_still(touched) ? first_name(touched->inode) : 0;
		if (dentry && is_in_touched(naming, dentry))
			return i;
	}
	return -1;
}

struct named_room {
	char bytes[NAMED_ROOM];
};

struct alike {
	struct named_room *user;
	struct walk_room *path;
	__u32 len; /* of the string */
	__u32 same; /* up to a slash */
};

/* Backwards, one byte; before its first one the string of user space has a slash. */
static long compare_one(__u32 i, struct alike *alike)
{
	char have = '/', want = alike->path->bytes[PATH_ROOM - 1 - (i & (NAME_ROOM - 1))];

	if (i < alike->len)
		have = alike->user->bytes[PATH_ROOM + ((alike->len - 1 - i) & (2 * NAME_ROOM - 1))];
	if (have == want && want == '/')
		alike->same = 1;
	return have != want || want == '/';
}

/* Whether the name at the end of a string as user space has it, of `len` bytes from PATH_ROOM on, is the path's. */
__noinline int ends_alike(struct named_room *user, __u32 len, struct walk_room *path)
{
	struct alike alike = {.user = user, .path = path, .len = len};

	if (!user || !path || len == 0 || len >= 2 * NAME_ROOM)
		return 0;
	if (user->bytes[PATH_ROOM + ((len - 1) & (2 * NAME_ROOM - 1))] == '/')
		alike.len--;
	bpf_loop(NAME_ROOM - 1, compare_one, &alike, 0);
	return alike.same;
}

static __always_inline void put_touched(char *room, __u32 base, struct fp_record_str *str, struct touched *touched)
{
	__u32 begin = touched->begin & (PATH_ROOM - 1), len = PATH_ROOM - begin;

	VISIBLE(len);
	if (len > PATH_ROOM || bpf_probe_read_kernel(room, len, touched->path.bytes + begin) < 0)
		len = 0;
	str->offset = base;
	str->len = len;
}

static __always_inline int has_path(struct touched *touched)
{
	return touched->begin < PATH_ROOM;
}

/* The name that it has got by the call: where it is now, if nobody has given it another since. */
static __always_inline int find_new_name(struct touched *touched)
{
	struct dentry *dentry = touched->dentry ? (void *)touched->dentry : first_name(touched->inode);

	if (!dentry)
		return 0;
	note_path(touched, (__u64)dentry);
	return has_path(touched) && (__u64)BPF_CORE_READ(dentry, d_inode) == touched->inode && is_still(touched) &&
	       moves_of(touched->inode) == touched->moves;
}

/* A name as a call has it. */
struct name {
	__u64 string; /* in user space */
	__s64 dirfd;
};

/* How put_name() reads it: its last component may be a link that is followed; the call gave it. */
#define NAME_FOLLOWS 1
#define NAME_IS_NEW 2

/*
 * The string of the call into the room, or what the kernel knows better; returns what the name rests on.
 * Offsets are the room's.  Of its own for the verifier, like walk_path_of.
 */
__noinline __u64 put_name(struct named_room *room, struct fp_record_str *str, struct name *name, struct touched *touched,
			  __u64 how)
{
	long len;

	if (!room || !str || !name)
		return FP_NAMING_KIND_UNVERIFIED;
	len = write_name(room->bytes, 0, str, name->dirfd, (void *)name->string);
	if (!touched || (how & NAME_IS_NEW && !find_new_name(touched)) || !has_path(touched))
		return FP_NAMING_KIND_UNVERIFIED;
	if (how & NAME_FOLLOWS || len + 1 >= 2 * NAME_ROOM || len < 0) {
		/* a string that fills its room was cut: its end is not the name's */
		put_touched(room->bytes, 0, str, touched);
		return FP_NAMING_KIND_RESOLVED;
	}
	len = ends_alike(room, len, &touched->path);
	put_touched(room->bytes, 0, str, touched);
	return len ? FP_NAMING_KIND_RESOLVED : FP_NAMING_KIND_CHANGED;
}

/* Into a record's room from `at` on. */
#define PUT_NAME(record, field, at, name, touched, how)                                            \
	({                                                                                         \
		__u64 naming_ = put_name((void *)((record)->room_ + (at)), &(record)->r.field, name, touched, how); \
		(record)->r.field.offset += sizeof((record)->r) + (at);                            \
		naming_;                                                                           \
	})

static __always_inline void put_who(struct identity *who, struct touched *touched)
{
	if (touched)
		*who = touched->who;
}

static __always_inline __u64 worse(__u64 one, __u64 other)
{
	if (one == FP_NAMING_KIND_UNVERIFIED || other == FP_NAMING_KIND_UNVERIFIED)
		return FP_NAMING_KIND_UNVERIFIED;
	return one > other ? one : other;
}

#endif

/*
 * Mounts: which object was mounted, and on which, by whatever name the call had for them.
 *
 * Of such a call nothing is left at its exit but strings that another thread may have changed since, and the kernel
 * has no tracepoint for mounts.  But before it changes any it asks whether the task may, and tells of the question
 * (`cap_capable`, since 6.14).  Then all mounts of the name space are noted, each with its place and what else can be
 * changed of it; and at the exit of the call it follows from what is otherwise now what was done:
 *
 *   mount            the oldest of those that are new
 *   umount2          the one that is gone and lay on one that is not
 *   moves            the one that lies elsewhere
 *   changes          the one that has other attributes now
 *   pivot_root       where the old root lies now, and where the new one lay before
 *
 * A call that was done has done its deed between the two looks.  So when nobody else whom we record was changing mounts
 * of the name space meanwhile, and all of them were noted, what is otherwise is its deed, whatever the string says by
 * then (`resolved`).  When somebody was, the only one that is otherwise counts if the string, as it is when the call
 * ends, says the same; and one that this very task lets go at the end of an umount2 is its own in any case.  Else the
 * string is all there is (`unverified`), and no object.
 *
 * Before 6.14 there is only the second look: the newest mount of the name space counts when the string says the same.
 */
#ifndef FP_AGENT_BPF_MOUNTS_H
#define FP_AGENT_BPF_MOUNTS_H

#include "agent/bpf/process.bpf.h"

/* A name space of more mounts is not noted as a whole: then the string must agree.  A container has some dozens. */
#define MOUNTS_NOTED_MAX 256
#define CAP_SYS_CHROOT 18
#define CAP_SYS_ADMIN 21

/* A mount before the call. */
struct noted_mount {
	__u64 mount;
	__u64 number; /* never used twice */
	__u64 parent; /* the mount that it lies on, */
	__u64 point; /* and the name there, a dentry */
	__u64 state; /* attributes and propagation */
};

/* Through all mounts of a name space, each before those that lie on it. */
struct mount_walk {
	__u64 at, top;
	__u64 rising; /* those that lie on it are behind us */
	__u64 over;
	__u64 later, later_number, n_later; /* the oldest of those made since, and how many there are */
};

/* What is otherwise; of one that lies on another, and is changed with it, not. */
struct difference {
	__u64 change, recursive;
	__u64 n, first; /* the first one's place in noted[] */
};

struct mounts_before {
	__u64 ns;
	__u64 ticket, alone; /* our number among those who change mounts of it; nobody was at it when we began */
	__u64 n, whole; /* in noted[]; and those are all */
	__u64 newest; /* the greatest number of them */
	__u64 root, root_mnt; /* the process's */
	/* here, and not on the stack: the verifier would look at a loop once for each value that it knows of a counter */
	struct mount_walk walk;
	struct difference difference;
	struct noted_mount noted[MOUNTS_NOTED_MAX];
};

/* By thread, while it changes mounts. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FP_MOUNTINGS_MAX);
	__type(key, __u32);
	__type(value, struct mounts_before);
} mounts_before SEC(".maps");
static const struct mounts_before nothing_noted;

static __always_inline struct mounts_before *mounts_before_call(void)
{
	__u32 tid = bpf_get_current_pid_tgid();

	return bpf_map_lookup_elem(&mounts_before, &tid);
}

/* How many changes of mounts have been begun in a name space, and how many of them have ended. */
struct changes {
	__u64 begun, ended;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64); /* name space */
	__type(value, struct changes);
} changing SEC(".maps");

static __always_inline struct changes *changes_of(__u64 ns)
{
	struct changes none = {}, *changes = bpf_map_lookup_elem(&changing, &ns);

	if (changes)
		return changes;
	bpf_map_update_elem(&changing, &ns, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&changing, &ns);
}

static __always_inline __u64 mount_namespace(void)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	return (__u64)BPF_CORE_READ(task, nsproxy, mnt_ns);
}

static __always_inline struct mount *mount_of(__u64 mnt)
{
	return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

static __always_inline __u64 vfsmount_of(__u64 mount)
{
	return mount + bpf_core_field_offset(struct mount, mnt);
}

/* --- the first look --------------------------------------------------------------------- */

#define STATE_FLAGS 0x30ff /* those of MNT_* that are set by calls: nosuid … nosymfollow, shared, unbindable */
#define STATE_TREE 3 /* of T_*: shared, unbindable */

static __always_inline __u64 state_of(struct mount *m)
{
	__u64 state = FIELD(struct mount, m, mnt.mnt_flags) & STATE_FLAGS;

	if (bpf_core_field_exists(struct mount, mnt_t_flags))
		state |= (FIELD(struct mount, m, mnt_t_flags) & STATE_TREE) << 16;
	state |= (__u64)FIELD(struct mount, m, mnt_group_id) << 32;
	/* a state of another kind each, and never compared but for being the same */
	state += number_of(FIELD(struct mount, m, mnt_master)) * 3;
	if (bpf_core_field_exists(struct vfsmount, mnt_idmap))
		state += number_of(FIELD(struct mount, m, mnt.mnt_idmap)) * 5;
	return state;
}

/* Functions of their own, as all that loops over mounts calls: the verifier looks at them once. */
__noinline int note_mount(struct mounts_before *before, __u64 mount)
{
	struct mount *m = (void *)mount;
	struct noted_mount *noted;

	if (!before || before->n >= MOUNTS_NOTED_MAX)
		return 0;
	noted = &before->noted[before->n++ & (MOUNTS_NOTED_MAX - 1)];
	noted->mount = mount;
	noted->number = FIELD(struct mount, m, mnt_id_unique);
	noted->parent = number_of(FIELD(struct mount, m, mnt_parent));
	noted->point = number_of(FIELD(struct mount, m, mnt_mountpoint));
	noted->state = state_of(m);
	if (noted->number > before->newest)
		before->newest = noted->number;
	return 0;
}

__noinline int note_later(struct mounts_before *before, __u64 mount)
{
	struct mount *m = (void *)mount;
	struct mount_walk *walk;
	__u64 number = FIELD(struct mount, m, mnt_id_unique);

	if (!before || number <= before->newest)
		return 0;
	walk = &before->walk;
	walk->n_later++;
	if (walk->later && number > walk->later_number)
		return 0;
	walk->later = mount;
	walk->later_number = number;
	return 0;
}

/* One step down to the first that lies on it, to the next beside it, or up again; 1: there is none any more. */
__noinline int step_on(struct mount_walk *walk)
{
	__u64 next, child = bpf_core_field_offset(struct mount, mnt_child);
	struct mount *m;

	if (!walk)
		return 1;
	m = (void *)walk->at;
	if (!walk->rising) {
		next = number_of(FIELD(struct mount, m, mnt_mounts.next));
		if (next != walk->at + bpf_core_field_offset(struct mount, mnt_mounts)) {
			walk->at = next - child;
			return 0;
		}
	}
	if (walk->at == walk->top) {
		walk->over = 1;
		return 1;
	}
	next = number_of(FIELD(struct mount, m, mnt_child.next));
	walk->at = number_of(FIELD(struct mount, m, mnt_parent));
	walk->rising = next == walk->at + bpf_core_field_offset(struct mount, mnt_mounts);
	if (!walk->rising)
		walk->at = next - child;
	return 0;
}

/* What the loops over mounts are given: a stack's memory, which leads to the task's. */
struct look {
	struct mounts_before *before;
};

static long walk_before(__u32 i, struct look *look)
{
	struct mounts_before *before = look->before;

	if (!before->walk.rising)
		note_mount(before, before->walk.at);
	return step_on(&before->walk) != 0;
}

static long walk_later(__u32 i, struct look *look)
{
	struct mounts_before *before = look->before;

	if (!before->walk.rising)
		note_later(before, before->walk.at);
	return step_on(&before->walk) != 0;
}
#define MOUNT_STEPS (2 * MOUNTS_NOTED_MAX + 2) /* down to each, and up again */

static __always_inline void begin_walk(struct mounts_before *before)
{
	struct mnt_namespace *ns = (void *)before->ns;

	before->walk.at = before->walk.top = (__u64)BPF_CORE_READ(ns, root);
	before->walk.rising = before->walk.over = before->walk.later = before->walk.n_later = 0;
}

/* The newest mount of the name space: since 6.13 it is at hand. */
static __always_inline __u64 newest_mount(void)
{
	struct mnt_namespace *ns = (void *)mount_namespace();
	struct rb_node *node = 0;

	if (bpf_core_field_exists(ns->mnt_last_node) && bpf_core_field_exists(struct mount, mnt_node))
		node = BPF_CORE_READ(ns, mnt_last_node);
	return node ? (__u64)node - bpf_core_field_offset(struct mount, mnt_node) : 0;
}

__noinline int note_mounts(struct mounts_before *before)
{
	struct look look = {.before = before};
	struct mount *newest;

	if (!before)
		return 0;
	begin_walk(before);
	bpf_loop(MOUNT_STEPS, walk_before, &look, 0);
	before->whole = before->walk.over && before->n < MOUNTS_NOTED_MAX;
	newest = (void *)newest_mount();
	if (newest)
		before->newest = BPF_CORE_READ(newest, mnt_id_unique);
	return 0;
}

/* A mount that a descriptor leads to and that lies nowhere yet can be changed, and get its place. */
static __always_inline void note_held(struct mounts_before *before, __u32 fd)
{
	struct file *file = file_of(fd);
	struct mount *m;

	if (!file)
		return;
	m = mount_of((__u64)BPF_CORE_READ(file, f_path.mnt));
	if ((__u64)BPF_CORE_READ(m, mnt_ns) != before->ns)
		note_mount(before, (__u64)m);
}

static __always_inline int changes_mounts(__u8 handler)
{
	return handler == FP_HANDLER_on_mount || handler == FP_HANDLER_on_umount || handler == FP_HANDLER_on_move_mount ||
	       handler == FP_HANDLER_on_pivot_root || handler == FP_HANDLER_on_chroot || handler == FP_HANDLER_on_mount_setattr;
}

/* In the middle of a call that changes mounts: the first time that it is asked whether it may. */
static __always_inline int begin_change(__u8 handler, __u32 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	__u32 tid = bpf_get_current_pid_tgid();
	struct mounts_before *before;
	struct changes *changes;

	if (mounts_before_call())
		return 0;
	bpf_map_update_elem(&mounts_before, &tid, &nothing_noted, BPF_NOEXIST);
	before = mounts_before_call();
	if (!before)
		return 0;
	before->ns = mount_namespace();
	changes = changes_of(before->ns);
	if (changes) {
		before->ticket = __sync_fetch_and_add(&changes->begun, 1) + 1;
		before->alone = __sync_fetch_and_add(&changes->ended, 0) + 1 == before->ticket;
	}
	before->root = (__u64)BPF_CORE_READ(task, fs, root.dentry);
	before->root_mnt = (__u64)BPF_CORE_READ(task, fs, root.mnt);
	if (handler == FP_HANDLER_on_chroot)
		return 0;
	note_mounts(before);
	if (handler == FP_HANDLER_on_move_mount || handler == FP_HANDLER_on_mount_setattr)
		note_held(before, fd);
	return 0;
}

/* Done or not. */
static __always_inline void end_change(void)
{
	struct mounts_before *before = mounts_before_call();
	__u32 tid = bpf_get_current_pid_tgid();
	struct changes *changes;

	if (!before)
		return;
	changes = before->ticket ? changes_of(before->ns) : 0;
	if (changes)
		__sync_fetch_and_add(&changes->ended, 1);
	bpf_map_delete_elem(&mounts_before, &tid);
}

/* After all else has been looked at: nobody else can have changed it meanwhile. */
static __always_inline int was_alone(struct mounts_before *before)
{
	struct changes *changes = before->alone ? changes_of(before->ns) : 0;

	return changes && __sync_fetch_and_add(&changes->begun, 0) == before->ticket;
}

/* --- the second look -------------------------------------------------------------------- */

enum { CHANGE_NONE, CHANGE_NEW, CHANGE_GONE, CHANGE_MOVED, CHANGE_STATE };

struct climb_mounts {
	__u64 at, top;
	__u64 found;
};

static long climb_mount(__u32 i, struct climb_mounts *climb)
{
	struct mount *m = (void *)climb->at;
	__u64 parent = number_of(FIELD(struct mount, m, mnt_parent));

	climb->found = climb->at == climb->top;
	if (climb->found || parent == climb->at)
		return 1;
	climb->at = parent;
	return 0;
}

__noinline int lies_on(__u64 mount, __u64 top)
{
	struct climb_mounts climb = {.at = mount, .top = top};

	bpf_loop(FP_PATH_DEPTH_MAX, climb_mount, &climb, 0);
	return climb.found;
}

__noinline int is_otherwise(struct noted_mount *noted, __u64 ns, __u64 change)
{
	struct mount *m, *parent;
	__u64 its_ns;

	if (!noted)
		return 0;
	m = (void *)noted->mount;
	parent = (void *)noted->parent;
	its_ns = FIELD(struct mount, m, mnt_id_unique) == noted->number ? number_of(FIELD(struct mount, m, mnt_ns)) : 0;
	if (change == CHANGE_GONE)
		return its_ns != ns && number_of(FIELD(struct mount, parent, mnt_ns)) == ns;
	if (FIELD(struct mount, m, mnt_id_unique) != noted->number)
		return 0;
	if (change == CHANGE_STATE)
		return state_of(m) != noted->state;
	return its_ns == ns && (number_of(FIELD(struct mount, m, mnt_parent)) != noted->parent ||
				number_of(FIELD(struct mount, m, mnt_mountpoint)) != noted->point);
}

static long compare_mount(__u32 i, struct look *look)
{
	struct mounts_before *before = look->before;
	struct noted_mount *noted = &before->noted[i & (MOUNTS_NOTED_MAX - 1)];
	struct difference *difference = &before->difference;

	if (i >= before->n)
		return 1;
	if (!is_otherwise(noted, before->ns, difference->change))
		return 0;
	if (difference->n && difference->recursive &&
	    lies_on(noted->mount, before->noted[difference->first & (MOUNTS_NOTED_MAX - 1)].mount))
		return 0;
	if (!difference->n++)
		difference->first = i;
	return 0;
}

#define NO_MOUNT (-1)
#define SEVERAL_MOUNTS (-2)

/* The only one that is otherwise in this way, by its place in noted[]. */
__noinline int find_otherwise(struct mounts_before *before, __u64 change, __u64 recursive)
{
	struct look look = {.before = before};

	if (!before)
		return NO_MOUNT;
	before->difference.change = change;
	before->difference.recursive = recursive;
	before->difference.n = 0;
	bpf_loop(MOUNTS_NOTED_MAX, compare_mount, &look, 0);
	if (before->difference.n == 1)
		return before->difference.first & (MOUNTS_NOTED_MAX - 1);
	return before->difference.n ? SEVERAL_MOUNTS : NO_MOUNT;
}

struct search_noted {
	struct mounts_before *before;
	__u64 mount;
	int found;
};

static long try_noted(__u32 i, struct search_noted *search)
{
	if (i >= search->before->n)
		return 1;
	if (search->before->noted[i & (MOUNTS_NOTED_MAX - 1)].mount != search->mount)
		return 0;
	search->found = i & (MOUNTS_NOTED_MAX - 1);
	return 1;
}

__noinline int find_noted(struct mounts_before *before, __u64 mount)
{
	struct search_noted search = {.before = before, .mount = mount, .found = NO_MOUNT};

	if (before)
		bpf_loop(MOUNTS_NOTED_MAX, try_noted, &search, 0);
	return search.found;
}

/* The oldest of those made since: copies of it, and what it brings along, are made after it. */
__noinline __u64 find_later(struct mounts_before *before)
{
	struct look look = {.before = before};

	if (!before)
		return 0;
	begin_walk(before);
	bpf_loop(MOUNT_STEPS, walk_later, &look, 0);
	return before->walk.n_later == 1 || was_alone(before) ? before->walk.later : 0;
}

/* What was unmounted is let go by work that the task does on its way back to user space, when nobody uses it any more. */
extern const void __cleanup_mnt __ksym __weak;

struct let_go {
	struct callback_head *at;
	__u64 mount;
};

static long try_let_go(__u32 i, struct let_go *let_go)
{
	struct callback_head *work = let_go->at;

	if (!work)
		return 1;
	if ((unsigned long)BPF_CORE_READ(work, func) == (unsigned long)&__cleanup_mnt) {
		let_go->mount = (__u64)work - bpf_core_field_offset(struct mount, mnt_rcu);
		return 1; /* the last one that was let go is the one named: the call has held it until its end */
	}
	let_go->at = BPF_CORE_READ(work, next);
	return 0;
}

__noinline __u64 mount_let_go(void)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct let_go let_go = {};

	if (!&__cleanup_mnt)
		return 0;
	let_go.at = BPF_CORE_READ(task, task_works);
	bpf_loop(MOUNTS_NOTED_MAX, try_let_go, &let_go, 0);
	return let_go.mount;
}

#endif

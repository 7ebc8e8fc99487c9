/*
 * What a call by name was about, judged at its exit: which of the inodes that it
 * touched (touched.bpf.h), by which name, and what that name rests on.
 */
#ifndef FP_AGENT_BPF_NAMED_H
#define FP_AGENT_BPF_NAMED_H

#include "agent/bpf/touched.bpf.h"

/* What the call touched; NULL: nothing, or nothing that can be judged. */
static __always_inline struct naming *touched_by_call(void)
{
	struct naming *naming = naming_of_task();

	return naming && naming->n && naming->n <= TOUCHED_MAX ? naming : 0;
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

/* The first, from that number on, that has another place now. */
__noinline int find_moved(int from)
{
	struct naming *naming = touched_by_call();

	if (!naming)
		return -1;
	for (int i = 0; i < TOUCHED_MAX; i++) {
		struct touched *touched = &naming->touched[i];
		struct dentry *dentry = (void *)touched->dentry;

		if (i >= naming->n)
			break;
		if (i >= from && dentry && (__u64)BPF_CORE_READ(dentry, d_inode) == touched->inode && place_of(dentry) != touched->place &&
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
	if (len)
		count_cut(touched->path.bytes, begin);
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

/*
 * How put_name() reads it: its last component may be a link that is followed; the call gave it, or took it;
 * what the kernel has counts only when the string says the same.
 */
#define NAME_FOLLOWS 1
#define NAME_IS_NEW 2
#define NAME_IS_GONE 4
#define NAME_AGREES 8

/* Still a name of the inode. */
static __always_inline int is_name_of(struct dentry *dentry, __u64 inode)
{
	return (__u64)BPF_CORE_READ(dentry, d_inode) == inode && BPF_CORE_READ(dentry, d_hash.pprev);
}

/*
 * Of a file that had several names which one the call was about: the only one that was taken since, or the only one
 * that the string of `len` bytes ends with, and that is the string's word: another one may have stood there when it was
 * read.  Its path becomes that of `touched`; none when there is any other doubt.
 */
__noinline int settle_name(struct touched *touched, struct named_room *user, __u32 len, __u64 gone)
{
	__u64 found = 0, place = 0;
	__u32 n = 0;

	if (!touched || !user)
		return 0;
	for (int i = 0; i < ALIASES_MAX; i++) {
		struct dentry *dentry = (void *)touched->alias[i];
		int is_it;

		if (!dentry)
			continue;
		if (gone) {
			is_it = !is_name_of(dentry, touched->inode);
		} else {
			note_path(touched, (__u64)dentry);
			is_it = ends_alike(user, len, &touched->path);
		}
		if (!is_it)
			continue;
		found = (__u64)dentry;
		place = touched->alias_place[i];
		n++;
	}
	touched->begin = PATH_ROOM;
	if (n != 1)
		return 0;
	note_path(touched, found);
	/* moved, or, if it is gone, another's memory by now */
	if (place_of((void *)found) != place)
		touched->begin = PATH_ROOM;
	return 0;
}

/* The string stands, with as much of it, and of the directory before it, as had room. */
static __always_inline __u64 unverified(struct named_room *room, struct fp_record_str *str, long len)
{
	if (str->offset < PATH_ROOM)
		count_cut(room->bytes, str->offset);
	count_cut_name(len);
	return FP_NAMING_KIND_UNVERIFIED;
}

/*
 * The string of the call into the room, or what the kernel knows better; returns what the name rests on.
 * Offsets are the room's.  Of its own for the verifier, like walk_path_of.
 */
__noinline __u64 put_name(struct named_room *room, struct fp_record_str *str, struct name *name, struct touched *touched,
			  __u64 how)
{
	__u64 naming = FP_NAMING_KIND_RESOLVED;
	long len;

	if (!room || !str || !name)
		return FP_NAMING_KIND_UNVERIFIED;
	len = write_name(room->bytes, 0, str, name->dirfd, (void *)name->string);
	if (!touched)
		return unverified(room, str, len);
	if (!(how & NAME_IS_NEW) && touched->aliases > 1 && !has_path(touched)) {
		settle_name(touched, room, len, how & NAME_IS_GONE);
		if (!(how & NAME_IS_GONE))
			naming = FP_NAMING_KIND_UNVERIFIED;
	}
	if ((how & NAME_IS_NEW && !find_new_name(touched)) || !has_path(touched))
		return unverified(room, str, len);
	/* a string that fills its room was cut: its end is not the name's */
	if (!(how & NAME_FOLLOWS) && len + 1 < 2 * NAME_ROOM && len >= 0 && !ends_alike(room, len, &touched->path)) {
		if (how & NAME_AGREES)
			return unverified(room, str, len);
		naming = FP_NAMING_KIND_CHANGED;
	}
	put_touched(room->bytes, 0, str, touched);
	return naming;
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

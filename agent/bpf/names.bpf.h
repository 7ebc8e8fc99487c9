/* Records of calls by name: what each was about, as named.bpf.h finds out. */
#ifndef FP_AGENT_BPF_NAMES_H
#define FP_AGENT_BPF_NAMES_H

#include "agent/bpf/named.bpf.h"

/* A call by name, its arguments by what they mean: filled by its handler for the one function that records it. */
struct deed {
	__u64 cgroup;
	long result;
	__u64 file; /* that was named by descriptor; 0: by name */
	struct name name, new_name;
	__u64 what; /* flags, mode, length or operation */
	__u64 attribute; /* its name, in user space */
	__u32 uid, gid;
};

__noinline int record_unlink(struct deed *deed)
{
	struct touched *touched = touched_at(find_removed());
	struct identity who = {};

	if (!deed)
		return 0;
	put_who(&who, touched);
	BEGIN_RECORD(record, unlink, UNLINK, deed->cgroup, NAMED_ROOM, 0, deed->result);
	PUT_OBJECT(record, who);
	record->r.flags = deed->what;
	record->r.naming = PUT_NAME(record, path, 0, &deed->name, touched, NAME_IS_GONE);
	emit(record);
	return 0;
}

__noinline int record_rename(struct deed *deed)
{
	struct touched *touched = touched_at(find_moved(0));
	struct identity who = {};
	__u64 naming;

	if (!deed)
		return 0;
	put_who(&who, touched);
	BEGIN_RECORD(record, rename, RENAME, deed->cgroup, 2 * NAMED_ROOM, 0, deed->result);
	PUT_OBJECT(record, who);
	naming = PUT_NAME(record, path, 0, &deed->name, touched, 0);
	record->r.naming = worse(naming, PUT_NAME(record, new_path, NAMED_ROOM, &deed->new_name, touched, NAME_IS_NEW));
	emit(record);
	return 0;
}

#define RENAME_EXCHANGE 2
#define RENAME_WHITEOUT 4

/* One of two that took each other's name, as the kernel has it; number -1: as the call says. */
__noinline int record_exchanged(struct deed *deed, int number)
{
	struct touched *touched = touched_at(number);
	struct identity who = {};

	if (!deed)
		return 0;
	put_who(&who, touched);
	BEGIN_RECORD(record, rename, RENAME, deed->cgroup, 2 * NAMED_ROOM, 0, deed->result);
	PUT_OBJECT(record, who);
	record->r.naming = FP_NAMING_KIND_RESOLVED;
	if (touched && has_path(touched)) {
		put_touched(record->room_, sizeof(record->r), &record->r.path, touched);
		if (find_new_name(touched)) {
			put_touched(record->room_ + NAMED_ROOM, sizeof(record->r) + NAMED_ROOM, &record->r.new_path, touched);
			emit(record);
			return 0;
		}
	}
	NO_OBJECT(record);
	record->r.naming = FP_NAMING_KIND_UNVERIFIED;
	PUT_NAME(record, path, 0, &deed->name, 0, 0);
	PUT_NAME(record, new_path, NAMED_ROOM, &deed->new_name, 0, 0);
	emit(record);
	return 0;
}

/* The file behind a name /proc/self/fd/N, by which a file without a name gets one; else NULL. */
static __always_inline struct file *file_by_proc(const char *name)
{
	static const char prefix[] = "/proc/self/fd/";
	char text[sizeof(prefix) + 5] = {};
	__u32 fd = 0;
	int i;

	if (bpf_probe_read_user_str(text, sizeof(text), name) <= (long)sizeof(prefix))
		return 0;
	for (i = 0; i < (int)sizeof(prefix) - 1; i++)
		if (text[i] != prefix[i])
			return 0;
	for (i = sizeof(prefix) - 1; i < (int)sizeof(text) - 1 && text[i]; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		fd = fd * 10 + text[i] - '0';
	}
	return file_of(fd);
}

/* linkat of a descriptor (O_TMPFILE) says what it links. */
__noinline int record_link(struct deed *deed)
{
	struct touched *touched = touched_at(find_named(0));
	struct identity who = {};
	struct file *file = 0;
	__u64 naming = FP_NAMING_KIND_RESOLVED, follows;

	if (!deed)
		return 0;
	follows = deed->what & AT_SYMLINK_FOLLOW;
	if (deed->what & AT_EMPTY_PATH)
		file = file_of(deed->name.dirfd);
	if (follows)
		file = file_by_proc((void *)deed->name.string);
	if (file)
		identify_file(file, &who);
	/* what the descriptor's number stood for is the string's word, too: the inode touched is the one linked */
	if (file && touched && who.ino != touched->who.ino)
		file = 0;
	put_who(&who, touched);
	BEGIN_RECORD(record, link, LINK, deed->cgroup, 2 * NAMED_ROOM, 0, deed->result);
	PUT_OBJECT(record, who);
	record->r.flags = deed->what;
	if (file)
		PUT_PATH(record, file);
	else
		naming = PUT_NAME(record, path, 0, &deed->name, touched, follows ? NAME_FOLLOWS : 0);
	if (touched)
		touched->dentry = 0; /* the new name is the newest one */
	record->r.naming = worse(naming, PUT_NAME(record, new_path, NAMED_ROOM, &deed->new_name, touched, NAME_IS_NEW));
	emit(record);
	return 0;
}

/* A string of user space, as it is. */
static __always_inline void put_string(char *room, __u32 base, struct fp_record_str *str, __u64 user, __u32 most)
{
	long len = user ? bpf_probe_read_user_str(room, most, (void *)user) : 0;

	str->offset = base;
	str->len = len > 0 && len <= most ? len - 1 : 0;
}
#define PUT_STRING(record, field, at, user, most) \
	put_string((record)->room_ + (at), sizeof((record)->r) + (at), &(record)->r.field, user, most)

__noinline int record_symlink(struct deed *deed)
{
	struct touched *touched = touched_at(find_named(1));
	struct identity who = {};

	if (!deed)
		return 0;
	put_who(&who, touched);
	BEGIN_RECORD(record, symlink, SYMLINK, deed->cgroup, 2 * NAMED_ROOM, 0, deed->result);
	PUT_OBJECT(record, who);
	PUT_STRING(record, path, NAMED_ROOM, deed->name.string, NAME_ROOM * 2);
	record->r.naming = PUT_NAME(record, new_path, 0, &deed->new_name, touched, NAME_IS_NEW);
	emit(record);
	return 0;
}

__noinline int record_make(struct deed *deed)
{
	struct touched *touched = touched_at(find_named(1));
	struct identity who = {};
	struct inode *made;
	__u64 mode;

	if (!deed)
		return 0;
	mode = deed->what;
	who.object = kind_of(mode & S_IFMT ? mode : mode | 0100000, 0);
	put_who(&who, touched);
	made = touched ? (void *)touched->inode : 0;
	if (made) /* what the process's mask has left of it */
		mode = BPF_CORE_READ(made, i_mode);
	BEGIN_RECORD(record, make, MAKE, deed->cgroup, NAMED_ROOM, 0, deed->result);
	PUT_OBJECT(record, who);
	record->r.mode = mode;
	record->r.naming = PUT_NAME(record, path, 0, &deed->name, touched, NAME_IS_NEW);
	emit(record);
	return 0;
}

/* Where a file was that was renamed, a device is left that hides what lies below (of an overlay's layers). */
static __always_inline int record_whiteout(struct deed *deed)
{
	deed->what = 0020000;
	return record_make(deed);
}

/* In the handler itself: functions may not call each other deeper. */
static __always_inline int record_rename2(struct deed *deed)
{
	int one, other;
	struct name name;

	if (!(deed->what & RENAME_EXCHANGE)) {
		record_rename(deed);
		return deed->what & RENAME_WHITEOUT ? record_whiteout(deed) : 0;
	}
	one = find_moved(0);
	other = one >= 0 ? find_moved(one + 1) : -1;
	if (other < 0)
		one = -1;
	record_exchanged(deed, one);
	name = deed->name;
	deed->name = deed->new_name;
	deed->new_name = name;
	return record_exchanged(deed, other);
}

/* Of what a descriptor or a name stands for: who it is, and the one that was touched when it was named. */
static __always_inline struct touched *find_deed(struct deed *deed, struct identity *who)
{
	struct touched *touched = deed->file ? 0 : touched_at(find_only());

	if (deed->file)
		identify_file((void *)deed->file, who);
	put_who(who, touched);
	return touched;
}
#define PUT_DEED(record, deed, touched)                                                            \
	do {                                                                                       \
		(record)->r.naming = FP_NAMING_KIND_RESOLVED;                                      \
		if ((deed)->file)                                                                  \
			PUT_PATH(record, (struct file *)(deed)->file);                             \
		else                                                                               \
			(record)->r.naming = PUT_NAME(record, path, 0, &(deed)->name, touched, NAME_FOLLOWS); \
	} while (0)

__noinline int record_chmod(struct deed *deed)
{
	struct identity who = {};
	struct touched *touched;

	if (!deed)
		return 0;
	touched = find_deed(deed, &who);
	BEGIN_RECORD(record, chmod, CHMOD, deed->cgroup, NAMED_ROOM, 0, deed->result);
	PUT_OBJECT(record, who);
	record->r.mode = deed->what;
	PUT_DEED(record, deed, touched);
	emit(record);
	return 0;
}

__noinline int record_truncate(struct deed *deed)
{
	struct identity who = {};
	struct touched *touched;

	if (!deed)
		return 0;
	touched = find_deed(deed, &who);
	BEGIN_RECORD(record, truncate, TRUNCATE, deed->cgroup, NAMED_ROOM, 0, deed->result);
	PUT_OBJECT(record, who);
	record->r.fd = NO_DESCRIPTOR;
	record->r.bytes = deed->what;
	PUT_DEED(record, deed, touched);
	emit(record);
	return 0;
}

__noinline int record_chown(struct deed *deed)
{
	struct identity who = {};
	struct touched *touched;

	if (!deed)
		return 0;
	touched = find_deed(deed, &who);
	BEGIN_RECORD(record, chown, CHOWN, deed->cgroup, NAMED_ROOM, 0, deed->result);
	PUT_OBJECT(record, who);
	record->r.uid = deed->uid;
	record->r.gid = deed->gid;
	PUT_DEED(record, deed, touched);
	emit(record);
	return 0;
}

__noinline int record_xattr(struct deed *deed)
{
	struct identity who = {};
	struct touched *touched;

	if (!deed)
		return 0;
	touched = find_deed(deed, &who);
	BEGIN_RECORD(record, xattr, XATTR, deed->cgroup, NAMED_ROOM + ATTRIBUTE_ROOM, 0, deed->result);
	PUT_OBJECT(record, who);
	record->r.operation = deed->what;
	PUT_STRING(record, attribute, NAMED_ROOM, deed->attribute, ATTRIBUTE_ROOM);
	PUT_DEED(record, deed, touched);
	emit(record);
	return 0;
}

#endif

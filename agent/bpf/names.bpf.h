/* Records of calls by name: what each was about, as touched.bpf.h found out. */
#ifndef FP_AGENT_BPF_NAMES_H
#define FP_AGENT_BPF_NAMES_H

#include "agent/bpf/touched.bpf.h"

static __always_inline int record_unlink(struct call *call, int dirfd, const char *name, __u64 flags)
{
	struct touched *touched = removed(touched_by_call());
	struct identity who = {};

	put_who(&who, touched);
	BEGIN_RECORD(record, unlink, UNLINK, call->cgroup, NAMED_ROOM, 0, call->result);
	PUT_OBJECT(record, who);
	record->r.flags = flags;
	record->r.naming = put_name(record->room_, sizeof(record->r), &record->r.path, dirfd, name, touched, 0);
	emit(record);
	return 0;
}

static __always_inline int record_rename(struct call *call, int dirfd, const char *name, int new_dirfd,
					 const char *new_name)
{
	struct touched *touched = moved_one(touched_by_call());
	struct identity who = {};
	__u64 naming;

	put_who(&who, touched);
	BEGIN_RECORD(record, rename, RENAME, call->cgroup, 2 * NAMED_ROOM, 0, call->result);
	PUT_OBJECT(record, who);
	naming = put_name(record->room_, sizeof(record->r), &record->r.path, dirfd, name, touched, 0);
	record->r.naming = worse(naming, put_new_name(record->room_ + NAMED_ROOM, sizeof(record->r) + NAMED_ROOM,
						      &record->r.new_path, new_dirfd, new_name, touched));
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
static __always_inline int record_link(struct call *call, int dirfd, const char *name, int new_dirfd,
				       const char *new_name, __u64 flags)
{
	struct touched *touched = named_one(touched_by_call(), 0);
	struct file *file = flags & AT_EMPTY_PATH ? file_of(dirfd) : 0;
	struct identity who = {};
	__u64 naming = FP_NAMING_KIND_RESOLVED;

	if (flags & AT_SYMLINK_FOLLOW)
		file = file_by_proc(name);
	if (file)
		identify(BPF_CORE_READ(file, f_inode), &who);
	/* what the descriptor's number stood for is the string's word, too: the inode touched is the one linked */
	if (file && touched && who.ino != touched->who.ino)
		file = 0;
	put_who(&who, touched);
	BEGIN_RECORD(record, link, LINK, call->cgroup, 2 * NAMED_ROOM, 0, call->result);
	PUT_OBJECT(record, who);
	record->r.flags = flags;
	if (file)
		PUT_PATH(record, file);
	else
		naming = put_name(record->room_, sizeof(record->r), &record->r.path, dirfd, name, touched,
				  flags & AT_SYMLINK_FOLLOW);
	if (touched)
		touched->dentry = 0; /* the new name is the newest one */
	record->r.naming = worse(naming, put_new_name(record->room_ + NAMED_ROOM, sizeof(record->r) + NAMED_ROOM,
						      &record->r.new_path, new_dirfd, new_name, touched));
	emit(record);
	return 0;
}

static __always_inline int record_symlink(struct call *call, const char *target, int dirfd, const char *name)
{
	struct touched *touched = named_one(touched_by_call(), 1);
	struct identity who = {};
	long len;

	put_who(&who, touched);
	BEGIN_RECORD(record, symlink, SYMLINK, call->cgroup, 2 * NAMED_ROOM, 0, call->result);
	PUT_OBJECT(record, who);
	len = bpf_probe_read_user_str(record->room_ + NAMED_ROOM, NAME_ROOM * 2, target);
	record->r.path.offset = sizeof(record->r) + NAMED_ROOM;
	record->r.path.len = len > 0 && len <= NAME_ROOM * 2 ? len - 1 : 0;
	record->r.naming = put_new_name(record->room_, sizeof(record->r), &record->r.new_path, dirfd, name, touched);
	emit(record);
	return 0;
}

static __always_inline int record_make(struct call *call, int dirfd, const char *name, __u64 mode)
{
	struct touched *touched = named_one(touched_by_call(), 1);
	struct identity who = {.object = kind_of(mode & S_IFMT ? mode : mode | 0100000, 0)};
	struct inode *made;

	put_who(&who, touched);
	made = touched ? (void *)touched->inode : 0;
	if (made) /* what the process's mask has left of it */
		mode = BPF_CORE_READ(made, i_mode);
	BEGIN_RECORD(record, make, MAKE, call->cgroup, NAMED_ROOM, 0, call->result);
	PUT_OBJECT(record, who);
	record->r.mode = mode;
	record->r.naming = put_new_name(record->room_, sizeof(record->r), &record->r.path, dirfd, name, touched);
	emit(record);
	return 0;
}

static __always_inline int record_chmod_name(struct call *call, int dirfd, const char *name, __u64 mode)
{
	struct touched *touched = only_touched(touched_by_call());
	struct identity who = {};

	put_who(&who, touched);
	BEGIN_RECORD(record, chmod, CHMOD, call->cgroup, NAMED_ROOM, 0, call->result);
	PUT_OBJECT(record, who);
	record->r.mode = mode;
	record->r.naming = put_name(record->room_, sizeof(record->r), &record->r.path, dirfd, name, touched, 1);
	emit(record);
	return 0;
}

static __always_inline int record_truncate_name(struct call *call, const char *name, __u64 length)
{
	struct touched *touched = only_touched(touched_by_call());
	struct identity who = {};

	put_who(&who, touched);
	BEGIN_RECORD(record, truncate, TRUNCATE, call->cgroup, NAMED_ROOM, 0, call->result);
	PUT_OBJECT(record, who);
	record->r.fd = 0xffffffff;
	record->r.bytes = length;
	record->r.naming = put_name(record->room_, sizeof(record->r), &record->r.path, AT_FDCWD, name, touched, 1);
	emit(record);
	return 0;
}

static __always_inline int record_chown(struct call *call, struct file *file, int dirfd, const char *name, __u32 uid,
					__u32 gid)
{
	struct touched *touched = file ? 0 : only_touched(touched_by_call());
	struct identity who = {};

	if (file)
		identify(BPF_CORE_READ(file, f_inode), &who);
	put_who(&who, touched);
	BEGIN_RECORD(record, chown, CHOWN, call->cgroup, NAMED_ROOM, 0, call->result);
	PUT_OBJECT(record, who);
	record->r.uid = uid;
	record->r.gid = gid;
	record->r.naming = FP_NAMING_KIND_RESOLVED;
	if (file)
		PUT_PATH(record, file);
	else
		record->r.naming = put_name(record->room_, sizeof(record->r), &record->r.path, dirfd, name, touched, 1);
	emit(record);
	return 0;
}

static __always_inline int record_xattr(struct call *call, struct file *file, int dirfd, const char *name,
					const char *attribute, __u64 operation)
{
	struct touched *touched = file ? 0 : only_touched(touched_by_call());
	struct identity who = {};
	long len;

	if (file)
		identify(BPF_CORE_READ(file, f_inode), &who);
	put_who(&who, touched);
	BEGIN_RECORD(record, xattr, XATTR, call->cgroup, NAMED_ROOM + ATTRIBUTE_ROOM, 0, call->result);
	PUT_OBJECT(record, who);
	record->r.operation = operation;
	len = bpf_probe_read_user_str(record->room_ + NAMED_ROOM, ATTRIBUTE_ROOM, attribute);
	record->r.attribute.offset = sizeof(record->r) + NAMED_ROOM;
	record->r.attribute.len = len > 0 && len <= ATTRIBUTE_ROOM ? len - 1 : 0;
	record->r.naming = FP_NAMING_KIND_RESOLVED;
	if (file)
		PUT_PATH(record, file);
	else
		record->r.naming = put_name(record->room_, sizeof(record->r), &record->r.path, dirfd, name, touched, 1);
	emit(record);
	return 0;
}

#endif

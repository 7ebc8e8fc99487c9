/*
 * What is done to files beside reading and writing: links, special files,
 * length, owner, extended attributes, shared mappings, and descriptors that come
 * from elsewhere.  Like all of the file family at the exit of the call.
 */
#ifndef FP_AGENT_BPF_CHANGE_H
#define FP_AGENT_BPF_CHANGE_H

#include "agent/bpf/file.bpf.h"
#include "agent/bpf/network.bpf.h"

#define AT_EMPTY_PATH 0x1000
#define MAP_TYPE 0x0f
#define MAP_SHARED 1
#define MAP_SHARED_VALIDATE 3
#define ATTRIBUTE_ROOM 256

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
#define AT_SYMLINK_FOLLOW 0x400

/* linkat of a descriptor (O_TMPFILE) says what it links; otherwise the names are all there is. */
static __always_inline int record_link(struct call *call, int dirfd, const char *name, int new_dirfd,
				       const char *new_name, __u64 flags)
{
	struct file *file = flags & AT_EMPTY_PATH ? file_of(dirfd) : 0;
	struct identity who = {};

	if (flags & AT_SYMLINK_FOLLOW)
		file = file_by_proc(name);
	BEGIN_RECORD(record, link, LINK, call->cgroup, 2 * NAMED_ROOM, 0, call->result);
	if (file)
		identify(FIELD(struct file, file, f_inode), &who);
	PUT_OBJECT(record, who);
	record->r.flags = flags;
	write_name(record->room_ + NAMED_ROOM, sizeof(record->r) + NAMED_ROOM, &record->r.new_path, new_dirfd, new_name);
	if (file)
		PUT_PATH(record, file);
	else
		write_name(record->room_, sizeof(record->r), &record->r.path, dirfd, name);
	emit(record);
	return 0;
}

static __always_inline int record_symlink(struct call *call, const char *target, int dirfd, const char *name)
{
	long len;

	BEGIN_RECORD(record, symlink, SYMLINK, call->cgroup, 2 * NAMED_ROOM, 0, call->result);
	NO_OBJECT(record);
	len = bpf_probe_read_user_str(record->room_ + NAMED_ROOM, NAME_ROOM * 2, target);
	record->r.path.offset = sizeof(record->r) + NAMED_ROOM;
	record->r.path.len = len > 0 && len <= NAME_ROOM * 2 ? len - 1 : 0;
	write_name(record->room_, sizeof(record->r), &record->r.new_path, dirfd, name);
	emit(record);
	return 0;
}

static __always_inline int record_make(struct call *call, int dirfd, const char *name, __u64 mode)
{
	BEGIN_RECORD(record, make, MAKE, call->cgroup, NAMED_ROOM, 0, call->result);
	NO_OBJECT(record);
	record->r.object = kind_of(mode & S_IFMT ? mode : mode | 0100000, 0);
	record->r.mode = mode;
	write_name(record->room_, sizeof(record->r), &record->r.path, dirfd, name);
	emit(record);
	return 0;
}

static __always_inline int record_truncate_name(struct call *call, const char *name, __u64 length)
{
	BEGIN_RECORD(record, truncate, TRUNCATE, call->cgroup, NAMED_ROOM, 0, call->result);
	NO_OBJECT(record);
	record->r.fd = 0xffffffff;
	record->r.bytes = length;
	write_name(record->room_, sizeof(record->r), &record->r.path, AT_FDCWD, name);
	emit(record);
	return 0;
}

static __always_inline int record_truncate_fd(struct call *call, __u32 fd, __u64 length)
{
	struct file *file = file_of(fd);
	struct identity who;

	if (!file)
		return 0;
	identify(FIELD(struct file, file, f_inode), &who);
	BEGIN_RECORD(record, truncate, TRUNCATE, call->cgroup, WALK_ROOM, 0, call->result);
	PUT_OBJECT(record, who);
	record->r.fd = fd;
	record->r.bytes = length;
	PUT_PATH(record, file);
	emit(record);
	return 0;
}

static __always_inline int record_chown(struct call *call, struct file *file, int dirfd, const char *name, __u32 uid,
					__u32 gid)
{
	struct identity who = {};

	BEGIN_RECORD(record, chown, CHOWN, call->cgroup, NAMED_ROOM, 0, call->result);
	if (file)
		identify(FIELD(struct file, file, f_inode), &who);
	PUT_OBJECT(record, who);
	record->r.uid = uid;
	record->r.gid = gid;
	if (file)
		PUT_PATH(record, file);
	else
		write_name(record->room_, sizeof(record->r), &record->r.path, dirfd, name);
	emit(record);
	return 0;
}

static __always_inline int record_xattr(struct call *call, struct file *file, const char *name, const char *attribute,
					__u64 operation)
{
	struct identity who = {};
	long len;

	BEGIN_RECORD(record, xattr, XATTR, call->cgroup, NAMED_ROOM + ATTRIBUTE_ROOM, 0, call->result);
	if (file)
		identify(FIELD(struct file, file, f_inode), &who);
	PUT_OBJECT(record, who);
	record->r.operation = operation;
	len = bpf_probe_read_user_str(record->room_ + NAMED_ROOM, ATTRIBUTE_ROOM, attribute);
	record->r.attribute.offset = sizeof(record->r) + NAMED_ROOM;
	record->r.attribute.len = len > 0 && len <= ATTRIBUTE_ROOM ? len - 1 : 0;
	if (file)
		PUT_PATH(record, file);
	else
		write_name(record->room_, sizeof(record->r), &record->r.path, AT_FDCWD, name);
	emit(record);
	return 0;
}

static __always_inline int record_shared(struct call *call, __u32 fd, __u64 length, __u64 flags, __u64 protection)
{
	struct file *file = file_of(fd);
	struct identity who;

	if (!file)
		return 0;
	identify(FIELD(struct file, file, f_inode), &who);
	if (who.object == FP_OBJECT_KIND_OTHER || who.object == FP_OBJECT_KIND_DEVICE)
		return 0;
	/* a descriptor that allows writing can be made writable later without another look at the file */
	BEGIN_RECORD(record, map, MAP, call->cgroup, WALK_ROOM, 0, 0);
	PUT_OBJECT(record, who);
	record->r.fd = fd;
	record->r.bytes = length;
	record->r.flags = flags;
	record->r.protection = protection;
	PUT_PATH(record, file);
	emit(record);
	return 0;
}

static __always_inline int record_mmap(struct call *call, __u64 length, __u64 protection, __u64 flags, __u32 fd)
{
	__u64 type = flags & MAP_TYPE;

	if (flags & MAP_ANONYMOUS)
		return 0;
	if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE)
		record_shared(call, fd, length, flags, protection);
	return record_mapping(call, protection, flags, fd);
}

struct mapped {
	struct file *file;
};

static long take_file(struct task_struct *task, struct vm_area_struct *area, void *arg)
{
	struct mapped *mapped = arg;

	mapped->file = BPF_CORE_READ(area, vm_file);
	return 0;
}

/* A file that was mapped without PROT_EXEC and gets it now is loaded as much as one that was mapped with it. */
static __always_inline int record_protect(struct call *call, unsigned long address, __u64 protection)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct mapped mapped = {};
	struct identity who;
	struct file *file;

	if (!(protection & PROT_EXEC))
		return 0;
	if (bpf_find_vma(task, address, take_file, &mapped, 0) < 0)
		return count_loss(call->cgroup, FP_LOSS_CAUSE_FAULT);
	file = mapped.file;
	if (!file)
		return 0;
	identify(FIELD(struct file, file, f_inode), &who);
	BEGIN_RECORD(record, load, LOAD, call->cgroup, WALK_ROOM, 0, 0);
	PUT_OBJECT(record, who);
	PUT_PATH(record, file);
	emit(record);
	return 0;
}

/* A descriptor that another process had opened arrives here. */
static __noinline int record_passed(__u64 cgroup, __u32 fd, __u64 operation)
{
	struct file *file = file_of(fd);
	struct identity who;

	if (!file)
		return 0;
	identify(FIELD(struct file, file, f_inode), &who);
	BEGIN_RECORD(record, pass, PASS, cgroup, WALK_ROOM, 0, fd);
	PUT_OBJECT(record, who);
	record->r.fd = fd;
	record->r.flags = FIELD(struct file, file, f_flags);
	record->r.operation = operation;
	PUT_PATH(record, file);
	emit(record);
	return 0;
}

struct control_head {
	unsigned long len;
	int level, type;
};
#define SOL_SOCKET 1
#define SCM_RIGHTS 1

struct rights {
	__u64 cgroup;
	unsigned long array;
};

static long pass_one(__u32 i, struct rights *rights)
{
	int fd;

	if (bpf_probe_read_user(&fd, sizeof(fd), (void *)(rights->array + i * sizeof(fd))) == 0)
		record_passed(rights->cgroup, fd, FP_OPERATION_KIND_MESSAGE);
	return 0;
}

/* The descriptors in what recvmsg left behind: the first control message of that kind among two. */
static __always_inline int record_rights(struct call *call, unsigned long control, unsigned long len)
{
	struct control_head head;
	struct rights rights;
	__u32 n;

	for (int i = 0; i < 2 && len >= sizeof(head); i++) {
		if (bpf_probe_read_user(&head, sizeof(head), (void *)control) < 0 || head.len < sizeof(head) ||
		    head.len > len)
			return 0;
		if (head.level == SOL_SOCKET && head.type == SCM_RIGHTS) {
			n = (head.len - sizeof(head)) / sizeof(int);
			rights.cgroup = call->cgroup;
			rights.array = control + sizeof(head);
			bpf_loop(n < FP_PASSED_MAX ? n : FP_PASSED_MAX, pass_one, &rights, 0);
			if (n > FP_PASSED_MAX)
				count_loss(call->cgroup, FP_LOSS_CAUSE_TRUNCATED);
			return 0;
		}
		head.len = (head.len + sizeof(long) - 1) & ~(sizeof(long) - 1);
		if (head.len > len)
			return 0;
		control += head.len;
		len -= head.len;
	}
	return 0;
}

#endif

/*
 * Operations by name that go through an io_uring.  When one is submitted the
 * kernel has made a copy of its names, which no thread of the process can change
 * any more and which are gone when it completes: so they are kept by request
 * until then.  Which object a link in the way led to they do not say: such names
 * are labelled as `unverified`.
 */
#ifndef FP_AGENT_BPF_URING_NAMES_H
#define FP_AGENT_BPF_URING_NAMES_H

#include "agent/bpf/failed.bpf.h"
#include "agent/bpf/names.bpf.h"

enum {
	OP_OPENAT = 18, OP_OPENAT2 = 28, OP_RENAMEAT = 35, OP_UNLINKAT = 36, OP_MKDIRAT = 37, OP_SYMLINKAT = 38, OP_LINKAT = 39,
	OP_FSETXATTR = 41, OP_SETXATTR = 42, OP_FGETXATTR = 43, OP_GETXATTR = 44,
};

/* Operations under way at a time; of one that is pushed out the names are lost, which is counted. */
#define ASKED_MAX 256

struct asked_name {
	struct fp_record_str str; /* in the room */
	char room[NAMED_ROOM];
};

struct asked {
	__u64 opcode;
	struct asked_name name, new_name;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ASKED_MAX);
	__type(key, __u64); /* the request */
	__type(value, struct asked);
} asked SEC(".maps");

/* What a place in the map is before it is filled. */
static const volatile char nothing_asked[sizeof(struct asked)] = {};

static __always_inline void keep_name(struct asked_name *into, int dirfd, struct filename *filename)
{
	write_any_name(into->room, 0, &into->str, dirfd, BPF_CORE_READ(filename, name), 1);
}

/* The text of a symbolic link is no name of anything yet. */
static __always_inline void keep_text(struct asked_name *into, struct filename *filename)
{
	long len = bpf_probe_read_kernel_str(into->room, NAME_ROOM * 2, BPF_CORE_READ(filename, name));

	into->str.len = len > 0 && len <= NAME_ROOM * 2 ? len - 1 : 0;
}

static __always_inline int is_attribute(int opcode)
{
	return opcode >= OP_FSETXATTR && opcode <= OP_GETXATTR;
}

/* What complete_asked() tells alone; an open is told by what came of it. */
static __always_inline int is_done_by_name(int opcode)
{
	return (opcode >= OP_RENAMEAT && opcode <= OP_LINKAT) || is_attribute(opcode);
}

static __always_inline int is_by_name(int opcode)
{
	return is_done_by_name(opcode) || opcode == OP_OPENAT || opcode == OP_OPENAT2;
}

/* Of an attribute: the file's name, if it is not one that is open, and its own. */
static __always_inline void keep_attribute(struct asked *asked_one, __u64 of_request, int opcode)
{
	struct io_xattr *xattr = (void *)of_request;
	long len = bpf_probe_read_kernel_str(asked_one->new_name.room, ATTRIBUTE_ROOM, BPF_CORE_READ(xattr, ctx.kname));

	asked_one->new_name.str.len = len > 0 && len <= ATTRIBUTE_ROOM ? len - 1 : 0;
	if (opcode == OP_SETXATTR || opcode == OP_GETXATTR)
		keep_name(&asked_one->name, AT_FDCWD, BPF_CORE_READ(xattr, filename));
}

/* An operation by name has been submitted. */
__noinline int note_asked(__u64 of_request, int opcode)
{
	struct io_rename *pair = (void *)of_request;
	struct io_link *link = (void *)of_request;
	struct asked *asked_one;

	if (bpf_map_update_elem(&asked, &of_request, (void *)nothing_asked, BPF_ANY) < 0)
		return 0;
	asked_one = bpf_map_lookup_elem(&asked, &of_request);
	if (!asked_one)
		return 0;
	asked_one->opcode = opcode;
	switch (opcode) {
	case OP_OPENAT:
	case OP_OPENAT2:
		keep_name(&asked_one->name, BPF_CORE_READ((struct io_open *)of_request, dfd),
			  BPF_CORE_READ((struct io_open *)of_request, filename));
		break;
	case OP_UNLINKAT:
		keep_name(&asked_one->name, BPF_CORE_READ((struct io_unlink *)of_request, dfd),
			  BPF_CORE_READ((struct io_unlink *)of_request, filename));
		break;
	case OP_MKDIRAT:
		keep_name(&asked_one->name, BPF_CORE_READ((struct io_mkdir *)of_request, dfd),
			  BPF_CORE_READ((struct io_mkdir *)of_request, filename));
		break;
	case OP_RENAMEAT:
		keep_name(&asked_one->name, BPF_CORE_READ(pair, old_dfd), BPF_CORE_READ(pair, oldpath));
		keep_name(&asked_one->new_name, BPF_CORE_READ(pair, new_dfd), BPF_CORE_READ(pair, newpath));
		break;
	case OP_SYMLINKAT:
		keep_text(&asked_one->name, BPF_CORE_READ(link, oldpath));
		keep_name(&asked_one->new_name, BPF_CORE_READ(link, new_dfd), BPF_CORE_READ(link, newpath));
		break;
	case OP_LINKAT:
		keep_name(&asked_one->name, BPF_CORE_READ(link, old_dfd), BPF_CORE_READ(link, oldpath));
		keep_name(&asked_one->new_name, BPF_CORE_READ(link, new_dfd), BPF_CORE_READ(link, newpath));
		break;
	default:
		keep_attribute(asked_one, of_request, opcode);
	}
	return 0;
}

#define PUT_ASKED(record, field, at, from)                                                         \
	do {                                                                                       \
		bpf_probe_read_kernel((record)->room_ + (at), NAMED_ROOM, (from).room);            \
		(record)->r.field.offset = sizeof((record)->r) + (at) + (from).str.offset;         \
		(record)->r.field.len = (from).str.len;                                            \
	} while (0)

#define UNKNOWN_OBJECT(record, kind)                                                               \
	do {                                                                                       \
		NO_OBJECT(record);                                                                 \
		(record)->r.object = kind;                                                         \
		(record)->r.naming = FP_NAMING_KIND_UNVERIFIED;                                    \
	} while (0)

static __always_inline int record_asked_pair(__u64 cgroup, __u64 request, struct asked *asked_one)
{
	BEGIN_RECORD(record, rename, RENAME, cgroup, 2 * NAMED_ROOM, 0, 0);
	UNKNOWN_OBJECT(record, FP_OBJECT_KIND_OTHER);
	PUT_ASKED(record, path, 0, asked_one->name);
	PUT_ASKED(record, new_path, NAMED_ROOM, asked_one->new_name);
	emit(record);
	return 0;
}

static __always_inline int record_asked_link(__u64 cgroup, __u64 request, struct asked *asked_one)
{
	BEGIN_RECORD(record, link, LINK, cgroup, 2 * NAMED_ROOM, 0, 0);
	UNKNOWN_OBJECT(record, FP_OBJECT_KIND_OTHER);
	record->r.flags = BPF_CORE_READ((struct io_link *)request, flags);
	PUT_ASKED(record, path, 0, asked_one->name);
	PUT_ASKED(record, new_path, NAMED_ROOM, asked_one->new_name);
	emit(record);
	return 0;
}

static __always_inline int record_asked_symlink(__u64 cgroup, __u64 request, struct asked *asked_one)
{
	BEGIN_RECORD(record, symlink, SYMLINK, cgroup, 2 * NAMED_ROOM, 0, 0);
	UNKNOWN_OBJECT(record, FP_OBJECT_KIND_OTHER);
	PUT_ASKED(record, path, 0, asked_one->name);
	PUT_ASKED(record, new_path, NAMED_ROOM, asked_one->new_name);
	emit(record);
	return 0;
}

static __always_inline int record_asked_unlink(__u64 cgroup, __u64 request, struct asked *asked_one)
{
	BEGIN_RECORD(record, unlink, UNLINK, cgroup, NAMED_ROOM, 0, 0);
	UNKNOWN_OBJECT(record, FP_OBJECT_KIND_OTHER);
	record->r.flags = BPF_CORE_READ((struct io_unlink *)request, flags);
	PUT_ASKED(record, path, 0, asked_one->name);
	emit(record);
	return 0;
}

static __always_inline int record_asked_make(__u64 cgroup, __u64 request, struct asked *asked_one)
{
	BEGIN_RECORD(record, make, MAKE, cgroup, NAMED_ROOM, 0, 0);
	UNKNOWN_OBJECT(record, FP_OBJECT_KIND_DIRECTORY);
	record->r.mode = (BPF_CORE_READ((struct io_mkdir *)request, mode) & 07777) | 0040000;
	PUT_ASKED(record, path, 0, asked_one->name);
	emit(record);
	return 0;
}

/* Of a descriptor the file is known, of a name that name alone. */
static __always_inline int record_asked_attribute(__u64 cgroup, __u64 request, long result, struct asked *asked_one)
{
	int opcode = asked_one->opcode, by_name = opcode == OP_SETXATTR || opcode == OP_GETXATTR;
	struct file *file = BPF_CORE_READ((struct io_kiocb *)request, file);
	struct identity who;

	BEGIN_RECORD(record, xattr, XATTR, cgroup, NAMED_ROOM + ATTRIBUTE_ROOM, 0, result);
	record->r.operation = opcode == OP_FSETXATTR || opcode == OP_SETXATTR ? FP_OPERATION_KIND_SET : FP_OPERATION_KIND_GET;
	if (by_name || !file) {
		UNKNOWN_OBJECT(record, FP_OBJECT_KIND_OTHER);
		PUT_ASKED(record, path, 0, asked_one->name);
	} else {
		identify_file(file, &who);
		PUT_OBJECT(record, who);
		record->r.naming = FP_NAMING_KIND_RESOLVED;
		PUT_PATH(record, file);
	}
	bpf_probe_read_kernel(record->room_ + NAMED_ROOM, ATTRIBUTE_ROOM, asked_one->new_name.room);
	record->r.attribute.offset = sizeof(record->r) + NAMED_ROOM;
	record->r.attribute.len = asked_one->new_name.str.len;
	emit(record);
	return 0;
}

static __always_inline int record_asked_failed(__u64 cgroup, __u64 operation, long result, struct asked *asked_one)
{
	struct tried tried = {.operation = operation};

	BEGIN_RECORD(record, failed, FAILED, cgroup, NAMED_ROOM, IS_BULK, result);
	FILL_FAILED(record, &tried);
	record->r.naming = FP_NAMING_KIND_UNVERIFIED;
	if (asked_one->opcode == OP_SYMLINKAT)
		PUT_ASKED(record, path, 0, asked_one->new_name);
	else
		PUT_ASKED(record, path, 0, asked_one->name);
	emit(record);
	return 0;
}

static __always_inline int record_asked(__u64 cgroup, __u64 request, long result, struct asked *asked_one)
{
	int opens = asked_one->opcode == OP_OPENAT || asked_one->opcode == OP_OPENAT2;

	if (result < 0)
		return is_failure(result) ? record_asked_failed(cgroup, opens ? FP_OPERATION_KIND_OPEN :
								 is_attribute(asked_one->opcode) ? FP_OPERATION_KIND_CHANGE :
								 FP_OPERATION_KIND_NAME, result, asked_one) : 0;
	switch (asked_one->opcode) {
	case OP_RENAMEAT:
		return record_asked_pair(cgroup, request, asked_one);
	case OP_UNLINKAT:
		return record_asked_unlink(cgroup, request, asked_one);
	case OP_MKDIRAT:
		return record_asked_make(cgroup, request, asked_one);
	case OP_SYMLINKAT:
		return record_asked_symlink(cgroup, request, asked_one);
	case OP_LINKAT:
		return record_asked_link(cgroup, request, asked_one);
	case OP_FSETXATTR:
	case OP_SETXATTR:
	case OP_FGETXATTR:
	case OP_GETXATTR:
		return record_asked_attribute(cgroup, request, result, asked_one);
	}
	return 0;
}

/* One by name has completed.  What it opened is told elsewhere, by its descriptor. */
__noinline int complete_asked(__u64 cgroup, __u64 request, long result, int opcode)
{
	struct asked *asked_one = bpf_map_lookup_elem(&asked, &request);
	int opens = opcode == OP_OPENAT || opcode == OP_OPENAT2;

	if (!asked_one || asked_one->opcode != opcode)
		return opens || result < 0 ? 0 : count_loss(cgroup, FP_LOSS_CAUSE_RING_CALL);
	record_asked(cgroup, request, result, asked_one);
	bpf_map_delete_elem(&asked, &request);
	return 0;
}

#endif

/*
 * Calls that failed: what was tried, on what, and with which error.  Nothing was
 * done to anything, so that there is no object; a name or an address is the
 * string that the process had when the call ended (`unverified`).  Those that
 * only say that nothing is there yet (EAGAIN and its like) are no failures.
 */
#ifndef FP_AGENT_BPF_FAILED_H
#define FP_AGENT_BPF_FAILED_H

#include "agent/bpf/handlers.h"
#include "agent/bpf/process.bpf.h"

#define ERRORS_MAX 4095

static __always_inline int is_failure(long result)
{
	switch (result) {
	case -4: /* EINTR */
	case -11: /* EAGAIN */
	case -62: /* ETIME */
	case -114: /* EALREADY */
	case -115: /* EINPROGRESS */
	case -512: case -513: case -514: case -516: /* will be begun again */
		return 0;
	}
	return result < 0 && result >= -ERRORS_MAX;
}

/* Those behind it record failures by themselves, or mean something else by them. */
static __always_inline int tells_failures(__u8 handler)
{
	return handler && handler < FP_HANDLER_on_open_tree && handler != FP_HANDLER_on_replace &&
	       handler != FP_HANDLER_on_close_range;
}

struct tried {
	__u64 cgroup;
	long result;
	__u64 operation, flags;
	unsigned long name, address; /* as user space passed them; 0: none */
	int dirfd;
	__u32 fd; /* a socket's; NO_DESCRIPTOR: none */
	int pid, pidfd; /* 0 and -1: none */
};

/* ICMP's word on what was sent: it says of the connected socket that nobody is there. */
#define ECONNREFUSED 111

static __always_inline void put_address(struct fp_record_failed *r, char *room, struct tried *tried)
{
	struct file *file = file_of(tried->fd);
	struct endpoints e = {};
	__u16 family = 0;
	long len;

	if (file && (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) == 0140000)
		fill_endpoints(file, &e);
	if (tried->address && bpf_probe_read_user(&family, sizeof(family), (void *)tried->address) == 0) {
		fill_address(&e, (void *)tried->address);
		if (family == AF_UNIX) {
			len = bpf_probe_read_user_str(room, UNIX_ROOM, (void *)(tried->address + sizeof(family)));
			r->path.offset = sizeof(*r);
			r->path.len = len > 0 && len <= UNIX_ROOM ? len - 1 : 0;
		}
	}
	r->family = e.family;
	r->protocol = e.protocol;
	if (e.family == AF_UNIX)
		return;
	r->remote_hi = e.remote_hi;
	r->remote_lo = e.remote_lo;
	r->remote_port = e.remote_port;
}

#define FILL_FAILED(record, tried)                                                                 \
	__builtin_memset(&(record)->r.operation, 0, sizeof((record)->r) - sizeof((record)->r.head)); \
	(record)->r.operation = (tried)->operation;                                                \
	(record)->r.flags = (tried)->flags

static __noinline int record_failed_name(struct tried *tried)
{
	BEGIN_RECORD(record, failed, FAILED, tried->cgroup, NAMED_ROOM, IS_BULK, tried->result);
	FILL_FAILED(record, tried);
	count_cut_name(write_name(record->room_, sizeof(record->r), &record->r.path, tried->dirfd, (void *)tried->name));
	record->r.naming = FP_NAMING_KIND_UNVERIFIED;
	emit(record);
	return 0;
}

/* Most names begin at the root and want no directory before them: a record of a third of the size. */
static __noinline int record_failed_absolute(struct tried *tried)
{
	long len;

	BEGIN_RECORD(record, failed, FAILED, tried->cgroup, 2 * NAME_ROOM, IS_BULK, tried->result);
	FILL_FAILED(record, tried);
	len = bpf_probe_read_user_str(record->room_, 2 * NAME_ROOM, (void *)tried->name);
	record->r.path.offset = sizeof(record->r);
	record->r.path.len = len > 0 && len <= 2 * NAME_ROOM ? len - 1 : 0;
	count_cut_name(len - 1);
	record->r.naming = FP_NAMING_KIND_UNVERIFIED;
	emit(record);
	return 0;
}

static __always_inline int is_absolute(unsigned long name)
{
	char first = 0;

	return bpf_probe_read_user(&first, 1, (void *)name) == 0 && first == '/';
}

/* Without a name: a record of a sixth of the size. */
static __noinline int record_failed(struct tried *tried)
{
	struct target target = {};

	if (tried->pid > 0)
		find_target(&target, tried->pid);
	if (tried->pidfd >= 0)
		find_target_of(&target, tried->pidfd);
	BEGIN_RECORD(record, failed, FAILED, tried->cgroup, UNIX_ROOM, IS_BULK, tried->result);
	FILL_FAILED(record, tried);
	record->r.target_tgid = target.tgid;
	record->r.target_start = target.start;
	if (tried->fd != NO_DESCRIPTOR)
		put_address(&record->r, record->room_, tried);
	emit(record);
	return 0;
}

#define TRIED(kind, ...)                                                                           \
	do {                                                                                       \
		tried->operation = FP_OPERATION_KIND_##kind;                                       \
		__VA_ARGS__;                                                                       \
		return;                                                                            \
	} while (0)
#define NAMED(at, string) (tried->dirfd = (at), tried->name = (string))

static __always_inline void understand(struct tried *tried, __u8 handler, unsigned long a1, unsigned long a2,
				       unsigned long a3, unsigned long a4, unsigned long a5)
{
	switch (handler) {
	case FP_HANDLER_on_open:
		TRIED(OPEN, NAMED(AT_FDCWD, a1), tried->flags = a2);
	case FP_HANDLER_on_creat:
		TRIED(OPEN, NAMED(AT_FDCWD, a1), tried->flags = 01 | 0100 | 01000);
	case FP_HANDLER_on_openat:
		TRIED(OPEN, NAMED(a1, a2), tried->flags = a3);
	case FP_HANDLER_on_openat2:
		TRIED(OPEN, NAMED(a1, a2));
	case FP_HANDLER_on_mq_open:
	case FP_HANDLER_on_open_by_handle:
	case FP_HANDLER_on_memfd:
		TRIED(OPEN);
	case FP_HANDLER_on_access:
		TRIED(ACCESS, NAMED(AT_FDCWD, a1), tried->flags = a2);
	case FP_HANDLER_on_accessat:
		TRIED(ACCESS, NAMED(a1, a2), tried->flags = a3);
	case FP_HANDLER_on_execute:
		TRIED(EXEC, NAMED(AT_FDCWD, a1));
	case FP_HANDLER_on_execute_at:
		TRIED(EXEC, NAMED(a1, a2));
	case FP_HANDLER_on_connect:
		TRIED(CONNECT, tried->fd = a1, tried->address = a2);
	case FP_HANDLER_on_bind:
		TRIED(BIND, tried->fd = a1, tried->address = a2);
	case FP_HANDLER_on_sendto:
		TRIED(TRANSFER, tried->fd = a1, tried->address = a5);
	case FP_HANDLER_on_socket:
	case FP_HANDLER_on_socketpair:
		TRIED(SOCKET, tried->flags = a1);
	case FP_HANDLER_on_listen:
	case FP_HANDLER_on_accept:
	case FP_HANDLER_on_shutdown:
		TRIED(SOCKET, tried->fd = a1);
	case FP_HANDLER_on_kill:
		TRIED(SEND_SIGNAL, tried->pid = a1);
	case FP_HANDLER_on_pidfd_kill:
		TRIED(SEND_SIGNAL, tried->pidfd = a1, tried->flags = a2);
	case FP_HANDLER_on_ptrace:
		TRIED(PTRACE, tried->pid = a2, tried->flags = a1);
	case FP_HANDLER_on_vm_read:
		TRIED(VM_READ, tried->pid = a1);
	case FP_HANDLER_on_vm_write:
		TRIED(VM_WRITE, tried->pid = a1);
	case FP_HANDLER_on_limit:
		TRIED(LIMIT, tried->pid = a1, tried->flags = a2);
	case FP_HANDLER_on_priority:
	case FP_HANDLER_on_io_priority:
		TRIED(SCHEDULE, tried->pid = a2);
	case FP_HANDLER_on_schedule:
		TRIED(SCHEDULE, tried->pid = a1);
	case FP_HANDLER_on_get_fd:
		TRIED(GET_FD, tried->pidfd = a1);
	case FP_HANDLER_on_credentials:
		TRIED(CREDENTIALS, tried->flags = a1);
	case FP_HANDLER_on_capset:
		TRIED(CAPSET);
	case FP_HANDLER_on_unshare:
		TRIED(UNSHARE, tried->flags = a1);
	case FP_HANDLER_on_setns:
		TRIED(SETNS, tried->flags = a2);
	case FP_HANDLER_on_seccomp:
		TRIED(SECCOMP, tried->flags = a1);
	case FP_HANDLER_on_mount:
		TRIED(MOUNT, NAMED(AT_FDCWD, a2), tried->flags = a4);
	case FP_HANDLER_on_umount:
		TRIED(UMOUNT, NAMED(AT_FDCWD, a1), tried->flags = a2);
	case FP_HANDLER_on_move_mount:
		TRIED(MOVE_MOUNT, NAMED(a3, a4), tried->flags = a5);
	case FP_HANDLER_on_pivot_root:
		TRIED(PIVOT_ROOT, NAMED(AT_FDCWD, a1));
	case FP_HANDLER_on_chroot:
		TRIED(CHROOT, NAMED(AT_FDCWD, a1));
	case FP_HANDLER_on_rename:
	case FP_HANDLER_on_unlink:
	case FP_HANDLER_on_rmdir:
	case FP_HANDLER_on_link:
	case FP_HANDLER_on_mkdir:
	case FP_HANDLER_on_mknod:
		TRIED(NAME, NAMED(AT_FDCWD, a1));
	case FP_HANDLER_on_symlink:
		TRIED(NAME, NAMED(AT_FDCWD, a2));
	case FP_HANDLER_on_symlinkat:
		TRIED(NAME, NAMED(a2, a3));
	case FP_HANDLER_on_renameat:
	case FP_HANDLER_on_renameat2:
	case FP_HANDLER_on_unlinkat:
	case FP_HANDLER_on_linkat:
	case FP_HANDLER_on_mkdirat:
	case FP_HANDLER_on_mknodat:
		TRIED(NAME, NAMED(a1, a2));
	case FP_HANDLER_on_chmod:
	case FP_HANDLER_on_chown:
	case FP_HANDLER_on_truncate:
	case FP_HANDLER_on_setxattr:
	case FP_HANDLER_on_removexattr:
	case FP_HANDLER_on_getxattr:
	case FP_HANDLER_on_utimes:
		TRIED(CHANGE, NAMED(AT_FDCWD, a1));
	case FP_HANDLER_on_fchmodat:
	case FP_HANDLER_on_fchmodat2:
	case FP_HANDLER_on_fchownat:
	case FP_HANDLER_on_setxattrat:
	case FP_HANDLER_on_removexattrat:
	case FP_HANDLER_on_getxattrat:
	case FP_HANDLER_on_utimensat:
	case FP_HANDLER_on_file_flags:
		TRIED(CHANGE, NAMED(a1, a2));
	case FP_HANDLER_on_fchmod:
	case FP_HANDLER_on_fchown:
	case FP_HANDLER_on_ftruncate:
	case FP_HANDLER_on_fallocate:
	case FP_HANDLER_on_fsetxattr:
	case FP_HANDLER_on_fremovexattr:
	case FP_HANDLER_on_fgetxattr:
		TRIED(CHANGE);
	case FP_HANDLER_on_mmap:
	case FP_HANDLER_on_mprotect:
	case FP_HANDLER_on_shmat:
		TRIED(MAP);
	default:
		TRIED(TRANSFER, tried->fd = tried->result == -ECONNREFUSED ? a1 : NO_DESCRIPTOR);
	}
}

#endif

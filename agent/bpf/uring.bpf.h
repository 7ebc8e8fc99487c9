/*
 * Operations that a process puts into an io_uring: they make no system call of
 * their own.  They are recorded when they complete, as what they really did to
 * which object; the program runs in a thread of the process that asked, whoever
 * of its threads that is.
 */
#ifndef FP_AGENT_BPF_URING_H
#define FP_AGENT_BPF_URING_H

#include "agent/bpf/process.bpf.h"
#include "agent/bpf/uring_names.bpf.h"

#define REQUEST_SKIPS_COMPLETION 64ull /* REQ_F_CQE_SKIP */
/* REQ_F_FIXED_FILE: the descriptor is a place in the ring's own table */
#define REQUEST_FIXED_FILE 1ull

enum {
	OP_READV = 1, OP_WRITEV = 2, OP_READ_FIXED = 4, OP_WRITE_FIXED = 5, OP_SENDMSG = 9, OP_RECVMSG = 10,
	OP_ACCEPT = 13, OP_CONNECT = 16, OP_FALLOCATE = 17, OP_CLOSE = 19, OP_READ = 22, OP_WRITE = 23,
	OP_SEND = 26, OP_RECV = 27, OP_SPLICE = 30, OP_TEE = 33, OP_SHUTDOWN = 34, OP_FSETXATTR = 41, OP_SETXATTR = 42,
	OP_SOCKET = 45, OP_URING_CMD = 46, OP_SEND_ZC = 47, OP_SENDMSG_ZC = 48, OP_READ_MULTISHOT = 49,
	OP_FTRUNCATE = 55, OP_BIND = 56, OP_LISTEN = 57, OP_RECV_ZC = 58, OP_READV_FIXED = 60, OP_WRITEV_FIXED = 61,
};

/* 1: bytes come in, 2: bytes go out, 0: something else */
static __always_inline int way_of(int opcode)
{
	switch (opcode) {
	case OP_READV: case OP_READ_FIXED: case OP_READ: case OP_RECVMSG: case OP_RECV: case OP_READ_MULTISHOT:
	case OP_RECV_ZC: case OP_READV_FIXED:
		return 1;
	case OP_WRITEV: case OP_WRITE_FIXED: case OP_WRITE: case OP_SENDMSG: case OP_SEND: case OP_SEND_ZC:
	case OP_SENDMSG_ZC: case OP_WRITEV_FIXED:
		return 2;
	}
	return 0;
}

/* Operations on names, of which nothing is left when they complete but their result. */
static __always_inline int is_unseen(int opcode)
{
	switch (opcode) {
	case OP_SPLICE: case OP_TEE: case OP_RENAMEAT: case OP_UNLINKAT: case OP_MKDIRAT: case OP_SYMLINKAT:
	case OP_LINKAT: case OP_SETXATTR: case OP_URING_CMD: case OP_FALLOCATE: case OP_FSETXATTR: case OP_FTRUNCATE:
	case OP_OPENAT: case OP_OPENAT2: case OP_CONNECT: case OP_ACCEPT: case OP_SHUTDOWN: case OP_BIND:
		return 1;
	}
	return 0;
}

/* Of its own for the verifier, like walk_path_of. */
__noinline int uring_moved_file(__u64 cgroup, __u64 of_file, long result, int way)
{
	struct moved moved = {.cgroup = cgroup, .result = result, .fd = NO_DESCRIPTOR, .outgoing = way == 2};
	struct file *file = (void *)of_file;
	struct identity who;

	if (!file)
		return count_loss(cgroup, FP_LOSS_CAUSE_RING_CALL);
	identify_file(file, &who);
	if (who.object == FP_OBJECT_KIND_SOCKET)
		return record_transfer_socket(&moved, of_file);
	return record_transfer(cgroup, result, &who, NO_DESCRIPTOR, moved.outgoing);
}

static __always_inline int uring_moved(__u64 cgroup, struct io_kiocb *request, long result, int way)
{
	return uring_moved_file(cgroup, (__u64)BPF_CORE_READ(request, file), result, way);
}

#define FD_IN_FIXED (1u << 31) /* SPLICE_F_FD_IN_FIXED: the number is a place in the ring's own table */

static __always_inline int uring_moved_between(struct call *call, struct io_kiocb *request)
{
	struct io_splice *splice = (void *)request;
	struct file *in = 0;

	if (!(BPF_CORE_READ(splice, flags) & FD_IN_FIXED))
		in = file_of(BPF_CORE_READ(splice, splice_fd_in));
	uring_moved_file(call->cgroup, (__u64)in, call->result, 1);
	return uring_moved(call->cgroup, request, call->result, 2);
}

/* What it opened is in the ring's own table, where we do not look. */
static __always_inline int is_without_descriptor(struct io_kiocb *request, int opcode)
{
	switch (opcode) {
	case OP_OPENAT:
	case OP_OPENAT2:
		return BPF_CORE_READ((struct io_open *)request, file_slot) != 0;
	case OP_ACCEPT:
		return BPF_CORE_READ((struct io_accept *)request, file_slot) != 0;
	case OP_SOCKET:
		return BPF_CORE_READ((struct io_socket *)request, file_slot) != 0;
	}
	return 0;
}

/* One that completed and moved no bytes. */
static __always_inline int uring_done(struct call *call, struct io_kiocb *request, int opcode)
{
	__u64 file = (__u64)BPF_CORE_READ(request, file), cgroup = call->cgroup;
	long result = call->result;

	if (is_without_descriptor(request, opcode))
		return count_loss(call->cgroup, FP_LOSS_CAUSE_RING_CALL);
	switch (opcode) {
	case OP_OPENAT:
	case OP_OPENAT2:
		return record_open(cgroup, result, BPF_CORE_READ((struct io_open *)request, how.flags));
	case OP_CONNECT:
		return record_connect(cgroup, result, file, NO_DESCRIPTOR);
	case OP_ACCEPT:
		return record_accept(cgroup, result, (__u64)file_of(result), result);
	case OP_SOCKET:
		return record_socket(cgroup, result, (__u64)file_of(result), result);
	case OP_BIND:
		return record_bind(cgroup, result, file, NO_DESCRIPTOR);
	case OP_LISTEN:
		return record_listen(cgroup, result, file, NO_DESCRIPTOR);
	case OP_SHUTDOWN:
		return record_shutdown(cgroup, result, file, NO_DESCRIPTOR, BPF_CORE_READ((struct io_shutdown *)request, how));
	case OP_FTRUNCATE:
		return record_truncate_file(cgroup, result, file, NO_DESCRIPTOR, BPF_CORE_READ((struct io_ftrunc *)request, len));
	case OP_FALLOCATE:
		return record_truncate_file(cgroup, result, file, NO_DESCRIPTOR,
					    BPF_CORE_READ((struct io_sync *)request, off) +
						    BPF_CORE_READ((struct io_sync *)request, len));
	case OP_SPLICE:
	case OP_TEE:
		return uring_moved_between(call, request);
	}
	return is_unseen(opcode) ? count_loss(call->cgroup, FP_LOSS_CAUSE_RING_CALL) : 0;
}

#endif

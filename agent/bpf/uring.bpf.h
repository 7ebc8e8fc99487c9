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
	OP_SEND = 26, OP_RECV = 27, OP_SPLICE = 30, OP_TEE = 33, OP_SHUTDOWN = 34,
	OP_SOCKET = 45, OP_URING_CMD = 46, OP_SEND_ZC = 47, OP_SENDMSG_ZC = 48, OP_READ_MULTISHOT = 49,
	OP_FTRUNCATE = 55, OP_BIND = 56, OP_LISTEN = 57, OP_RECV_ZC = 58, OP_READV_FIXED = 60, OP_WRITEV_FIXED = 61,
	OP_MSG_RING = 40, OP_FIXED_FD_INSTALL = 54, OP_PIPE = 62, OP_URING_CMD128 = 64,
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
	case OP_FGETXATTR: case OP_GETXATTR: case OP_PIPE: case OP_FIXED_FD_INSTALL: case OP_URING_CMD128:
		return 1;
	}
	return 0;
}

/*
 * Those that go on until they fail: each time something comes they complete, and the kernel tells of all but the last
 * completion without the request.
 */
#define ACCEPT_REPEATED 1
#define RECEIVE_REPEATED 2
#define SEND_BUNDLE 16
static __always_inline int is_repeated(struct io_kiocb *request, int opcode)
{
	switch (opcode) {
	case OP_ACCEPT:
		return BPF_CORE_READ((struct io_accept *)request, iou_flags) & ACCEPT_REPEATED;
	case OP_RECV: case OP_RECVMSG:
		return BPF_CORE_READ((struct io_sr_msg *)request, flags) & RECEIVE_REPEATED;
	case OP_SEND:
		return BPF_CORE_READ((struct io_sr_msg *)request, flags) & SEND_BUNDLE;
	case OP_READ_MULTISHOT:
		return 1;
	}
	return 0;
}

/* How the kernel was asked to receive, or where the process wants to have the sender's address: of a message alone. */
static __always_inline void take_manner(struct data *data, struct io_kiocb *request, int opcode)
{
	struct io_sr_msg *message = (void *)request;
	struct user_msghdr_head head = {};

	if (opcode == OP_RECV || opcode == OP_RECVMSG)
		data->how = BPF_CORE_READ(message, msg_flags) & (MSG_PEEK | MSG_TRUNC | MSG_ERRQUEUE);
	if (opcode != OP_RECVMSG || is_repeated(request, opcode))
		return;
	read_message(&head, (unsigned long)BPF_CORE_READ(message, umsg));
	if (head.name_len)
		data->address = head.name;
}

struct ring_move {
	__u64 cgroup;
	long result;
	int way;
	struct data data;
};

/* Of its own for the verifier, like walk_path_of. */
__noinline int uring_moved_file(struct ring_move *move, __u64 of_file)
{
	struct file *file = (void *)of_file;
	struct identity who;

	if (!move)
		return 0;
	if (!file)
		return count_loss(move->cgroup, FP_LOSS_CAUSE_RING_CALL);
	if (!identify_moved(file, &who))
		return 0;
	if (who.object == FP_OBJECT_KIND_SOCKET) {
		struct moved moved = {.cgroup = move->cgroup, .result = move->result, .fd = NO_DESCRIPTOR,
				      .outgoing = move->way == 2, .data = move->data};

		return record_transfer_socket(&moved, of_file);
	}
	return record_transfer(move->cgroup, move->result, &who, NO_DESCRIPTOR, move->way == 2);
}

/* What a message that was received brought along in descriptors. */
static __always_inline int uring_passed(__u64 cgroup, struct io_kiocb *request, int opcode)
{
	struct io_sr_msg *message = (void *)request;
	struct user_msghdr_head head = {};

	if (opcode != OP_RECVMSG || is_repeated(request, opcode))
		return 0;
	read_message(&head, (unsigned long)BPF_CORE_READ(message, umsg));
	return head.control_len ? record_rights(cgroup, head.control, head.control_len) : 0;
}

static __always_inline int uring_moved(__u64 cgroup, struct io_kiocb *request, __u64 number, long result, int way)
{
	struct ring_move move = {.cgroup = cgroup, .result = result, .way = way, .data = {.request = number}};
	int opcode = BPF_CORE_READ(request, opcode);

	take_manner(&move.data, request, opcode);
	uring_moved_file(&move, (__u64)BPF_CORE_READ(request, file));
	return uring_passed(cgroup, request, opcode);
}

#define MESSAGE_BRINGS_FILE 1 /* IORING_MSG_SEND_FD */
#define FD_IN_FIXED (1u << 31) /* SPLICE_F_FD_IN_FIXED: the number is a place in the ring's own table */

static __always_inline int uring_moved_between(struct call *call, struct io_kiocb *request)
{
	struct ring_move move = {.cgroup = call->cgroup, .result = call->result, .way = 1};
	struct io_splice *splice = (void *)request;
	struct file *in = 0;

	if (!(BPF_CORE_READ(splice, flags) & FD_IN_FIXED))
		in = file_of(BPF_CORE_READ(splice, splice_fd_in));
	uring_moved_file(&move, (__u64)in);
	move.way = 2;
	return uring_moved_file(&move, (__u64)BPF_CORE_READ(request, file));
}

/* Where in the ring's own table what was opened is to lie, from 1 on; 0: it has a descriptor. */
static __always_inline __u32 own_place(struct io_kiocb *request, int opcode)
{
	switch (opcode) {
	case OP_OPENAT:
	case OP_OPENAT2:
		return BPF_CORE_READ((struct io_open *)request, file_slot);
	case OP_ACCEPT:
		return BPF_CORE_READ((struct io_accept *)request, file_slot);
	case OP_SOCKET:
		return BPF_CORE_READ((struct io_socket *)request, file_slot);
	case OP_PIPE:
		return BPF_CORE_READ((struct io_pipe *)request, file_slot);
	}
	return 0;
}

#define ANY_PLACE 0xffffffffu /* which one the kernel has chosen is the result */
#define FILE_FLAGS 3ul /* of the pointer, beside it */

static __always_inline struct file *file_of_ring(struct io_kiocb *request, __u32 place, long result)
{
	struct io_ring_ctx *ring = BPF_CORE_READ(request, ctx);
	struct io_rsrc_node **nodes, *node = 0;
	__u32 at = place == ANY_PLACE ? result : place - 1;

	if (!bpf_core_field_exists(struct io_file_table, data) || at >= BPF_CORE_READ(ring, file_table.data.nr))
		return 0;
	nodes = BPF_CORE_READ(ring, file_table.data.nodes);
	bpf_probe_read_kernel(&node, sizeof(node), &nodes[at]);
	return node ? (void *)(BPF_CORE_READ(node, file_ptr) & ~FILE_FLAGS) : 0;
}

/* What a descriptor or a place in the ring's table stands for when the operation is done. */
static __always_inline struct file *opened_by_ring(struct io_kiocb *request, int opcode, long result)
{
	__u32 place = own_place(request, opcode);

	return place ? file_of_ring(request, place, result) : file_of(result);
}

/* Two ends whose numbers stand where the process wanted to have them. */
static __always_inline int uring_piped(struct call *call, struct io_kiocb *request)
{
	struct io_pipe *pipe = (void *)request;

	if (BPF_CORE_READ(pipe, file_slot))
		return count_loss(call->cgroup, FP_LOSS_CAUSE_RING_CALL);
	return record_pipe(call, (unsigned long)BPF_CORE_READ(pipe, fds));
}

/* One that completed and moved no bytes. */
static __always_inline int uring_done(struct call *call, struct io_kiocb *request, int opcode)
{
	__u64 file = (__u64)BPF_CORE_READ(request, file), cgroup = call->cgroup;
	long result = call->result;

	long fd = own_place(request, opcode) ? NO_DESCRIPTOR : result;
	__u64 opened = 0;

	if (opcode == OP_OPENAT || opcode == OP_OPENAT2 || opcode == OP_ACCEPT || opcode == OP_SOCKET) {
		opened = (__u64)opened_by_ring(request, opcode, result);
		if (!opened) /* closed in between, or in a table that we do not know */
			return count_loss(call->cgroup, FP_LOSS_CAUSE_RING_CALL);
	}
	switch (opcode) {
	case OP_OPENAT:
	case OP_OPENAT2:
		return record_open_file(cgroup, opened, fd, BPF_CORE_READ((struct io_open *)request, how.flags));
	case OP_CONNECT:
		return record_connect(cgroup, result, file, NO_DESCRIPTOR);
	case OP_ACCEPT:
		return record_accept(cgroup, result, opened, fd);
	case OP_SOCKET:
		return record_socket(cgroup, result, opened, fd);
	case OP_PIPE:
		return uring_piped(call, request);
	case OP_FIXED_FD_INSTALL: /* what has a place gets a number as well */
		return record_open(cgroup, result, 0);
	case OP_MSG_RING:
		return BPF_CORE_READ((struct io_msg *)request, cmd) == MESSAGE_BRINGS_FILE ? count_loss(cgroup, FP_LOSS_CAUSE_RING_CALL) : 0;
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

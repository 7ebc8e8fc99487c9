/*
 * The kernel side of the agent: one program per event source.  The exit of each
 * system call arrives at one place, where calls without a handler (agent/calls.def)
 * end, and then tasks that are not recorded; one program a family of calls does the rest.
 */
#include "agent/bpf/dumped.bpf.h"
#include "agent/bpf/failed.bpf.h"
#include "agent/bpf/file.bpf.h"
#include "agent/bpf/handlers.h"
#include "agent/bpf/lookup.bpf.h"
#include "agent/bpf/made.bpf.h"
#include "agent/bpf/moved.bpf.h"
#include "agent/bpf/mounted.bpf.h"
#include "agent/bpf/network.bpf.h"
#include "agent/bpf/others.bpf.h"
#include "agent/bpf/reaching.bpf.h"
#include "agent/bpf/renamed.bpf.h"
#include "agent/bpf/tls.bpf.h"
#include "agent/bpf/uring_more.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/*
 * One program a family of calls, not one a call: the verifier looks at what all of
 * them use once for each program, and that is nearly all that it looks at.
 */
#define FAMILY_NUMBER(name, HANDLERS) FAMILY_##name,
#define FAMILY_DECLARED(name, HANDLERS) int name(__u64 *ctx);
#define FAMILY_ENTRY(name, HANDLERS) [FAMILY_##name] = (void *)name,
#define NO_HANDLERS(H)
#define ALL_FAMILIES(F) FP_FAMILIES(F) F(of_failures, NO_HANDLERS)
enum { ALL_FAMILIES(FAMILY_NUMBER) N_FAMILIES };
ALL_FAMILIES(FAMILY_DECLARED)
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, N_FAMILIES);
	__type(key, __u32);
	__array(values, int(__u64 *));
} families SEC(".maps") = {.values = {ALL_FAMILIES(FAMILY_ENTRY)}};

#define ENOSYS 38

/*
 * What a watchdog does most: it passes bytes on and waits, of which nothing is recorded.  It is half of all that is called in
 * a container, and so not even handed on.
 */
static __always_inline int is_idle_talk(__u8 handler)
{
	return handler == FP_HANDLER_on_read || handler == FP_HANDLER_on_write ||
	       (handler >= FP_HANDLER_FIRST_WAIT && handler <= FP_HANDLER_LAST_WAIT);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
	__u64 number;
	__u8 handler;

	/* of which nothing is known but that it was made */
	if (is_of_third_kind(regs))
		return result == -ENOSYS || !is_recorded() ? 0 : count_loss(container_cgroup(), FP_LOSS_CAUSE_FOREIGN_CALL);
	number = is_foreign() ? number_of_call() : (__u64)call_number(regs);
	if (number >= FP_CALLS_MAX)
		return 0;
	/* whose task it is takes most to find out, and so comes last */
	handler = handler_of[number];
	if (!handler || (is_idle_talk(handler) && is_watchdog_here()) || !is_recorded())
		return 0;
	if (is_failure(result) && tells_failures(handler))
		bpf_tail_call_static(ctx, &families, FAMILY_of_failures);
	/* by a number that the compiler knows: a jump, where the kernel looks nothing up */
#define GO_ON(name, HANDLERS)                                                                      \
	if (handler < FP_HANDLER_AFTER_##name)                                                     \
		bpf_tail_call_static(ctx, &families, FAMILY_##name);
	FP_FAMILIES(GO_ON)
	return 0;
}

/* A handler of one shape of call, behind the guard; `call` and the arguments a1…a5 are ready. */
#define HANDLER(name, body)                                                                        \
	static __always_inline int name(struct call call, long result, unsigned long a1, unsigned long a2, \
					unsigned long a3, unsigned long a4, unsigned long a5)      \
	{                                                                                          \
		body;                                                                              \
		return 0;                                                                          \
	}
#define HANDLER_CASE(name)                                                                         \
	case FP_HANDLER_##name:                                                                    \
		return name(call, result, a1, a2, a3, a4, a5);
#define FAMILY(name, HANDLERS)                                                                     \
	SEC("tp_btf/sys_exit")                                                                     \
	int BPF_PROG(name, struct pt_regs *regs, long result)                                      \
	{                                                                                          \
		struct call call = {.regs = regs, .result = result, .cgroup = container_cgroup()};  \
		struct arguments made = {};                                                        \
		unsigned long a1, a2, a3, a4, a5;                                                  \
                                                                                                   \
		take_arguments(&made, regs);                                                       \
		a1 = made.a[0], a2 = made.a[1], a3 = made.a[2], a4 = made.a[3], a5 = made.a[4];    \
		call.number = made.number;                                                         \
		switch (handler_of[made.number & (FP_CALLS_MAX - 1)]) {                            \
			HANDLERS(HANDLER_CASE)                                                     \
		}                                                                                  \
		return 0;                                                                          \
	}
/* A call by name; what it touched is known until here. */
#define DEED(...) struct deed deed = {.cgroup = call.cgroup, .result = result, __VA_ARGS__}
#define NAME_HANDLER(name, record, ...)                                                            \
	HANDLER(name, if (result >= 0) { DEED(__VA_ARGS__); record(&deed); } forget_touched())
#define RENAME_HANDLER(name, record, ...)                                                          \
	HANDLER(name, if (result >= 0) { DEED(__VA_ARGS__); if (has_renamed(&deed)) record(&deed); } forget_touched())
#define FILE_HANDLER(name, record, ...) HANDLER(name, if (result >= 0) { DEED(__VA_ARGS__); record(&deed); })
#define NAME(...) .name = {__VA_ARGS__}
#define NEW_NAME(...) .new_name = {__VA_ARGS__}
#define FILE_OF(fd) .file = (__u64)file_of(fd)
#define FILE_IF(condition, fd) .file = (condition) ? (__u64)file_of(fd) : 0
#define IF_DONE(...)                                                                               \
	do {                                                                                       \
		if (result >= 0) {                                                                 \
			__VA_ARGS__;                                                               \
		}                                                                                  \
	} while (0)

/* What moved no message has had an address noted all the same, if it got that far. */
#define IF_MOVED(...)                                                                              \
	do {                                                                                       \
		if (result < 0)                                                                    \
			forget_reached();                                                          \
		else                                                                               \
			__VA_ARGS__;                                                               \
	} while (0)

#define MOUNTING(operation_, flags_, ...)                                                          \
	do {                                                                                       \
		struct mounting mounting = {.cgroup = call.cgroup, .result = result, .operation = operation_, \
					    .flags = flags_, __VA_ARGS__};                         \
		record_mount(&mounting);                                                           \
		forget_touched();                                                                  \
	} while (0)
#define MOUNT_HANDLER(name, ...) HANDLER(name, MOUNTING(__VA_ARGS__); end_change())
#define DONE_MOUNT_HANDLER(name, ...) HANDLER(name, IF_DONE(MOUNTING(__VA_ARGS__)); end_change())

#define EINPROGRESS 115
#define EFAULT 14

static __always_inline int moved_buffer(struct call *call, __u32 fd, unsigned long base, unsigned long len, int out)
{
	struct data data = {.base = (void *)base, .len = len};

	return record_moved(call, fd, &data, out);
}

static __always_inline int moved_vector(struct call *call, __u32 fd, unsigned long vector, unsigned long n, int out)
{
	struct data data;

	first_piece((void *)vector, n, &data);
	return record_moved(call, fd, &data, out);
}

static __always_inline int moved_message(struct moved *moved, unsigned long message, unsigned long how)
{
	struct user_msghdr_head head = {};
	struct data *data = &moved->data;

	read_message(&head, message);
	first_piece(head.vector, head.n, data);
	if (head.name_len)
		data->address = head.name;
	data->how = how;
	record_any_move(moved);
	return moved->outgoing || !head.control_len ? 0 : record_rights(moved->cgroup, head.control, head.control_len);
}

static __always_inline int moved_one_message(struct call *call, __u32 fd, unsigned long message, unsigned long how, int out)
{
	struct moved moved = {.cgroup = call->cgroup, .result = call->result, .fd = fd, .outgoing = out};

	return moved_message(&moved, message, how);
}

struct many {
	__u64 cgroup;
	unsigned long messages;
	unsigned long how;
	__u64 doubt; /* as the first message told: one call, one descriptor */
	__u32 fd, n;
	int out;
};
/* Each with how many bytes of it were moved. */
#define MANY_SIZE (sizeof(struct user_msghdr_head) + 8)
#define NARROW_MESSAGE 28

static long moved_one_of_many(__u32 i, struct many *many)
{
	__u32 size = is_foreign() ? NARROW_MESSAGE : sizeof(struct user_msghdr_head);
	unsigned long message = many->messages + i * (is_foreign() ? NARROW_MESSAGE + 4 : MANY_SIZE);
	struct moved moved = {.cgroup = many->cgroup, .fd = many->fd, .outgoing = many->out, .message = i, .n_messages = many->n,
			      .doubt = many->doubt};
	__u32 len = 0;

	bpf_probe_read_user(&len, sizeof(len), (void *)(message + size));
	moved.result = len;
	moved_message(&moved, message, many->how);
	many->doubt = moved.doubt;
	return 0;
}

/* sendmmsg and recvmmsg: a record for each message */
static __always_inline int moved_many(struct call *call, __u32 fd, unsigned long messages, unsigned long how, int out)
{
	struct many many = {.cgroup = call->cgroup, .messages = messages, .how = how, .fd = fd, .n = call->result, .out = out};

	if (call->result > FP_MESSAGES_MAX)
		count_loss(call->cgroup, FP_LOSS_CAUSE_TRUNCATED);
	bpf_loop(call->result < FP_MESSAGES_MAX ? call->result : FP_MESSAGES_MAX, moved_one_of_many, &many, 0);
	forget_reached();
	return 0;
}

static __always_inline int moved_datagram(struct call *call, __u32 fd, unsigned long base, unsigned long len,
					  unsigned long how, unsigned long address, int out)
{
	struct data data = {.base = (void *)base, .len = len, .address = (void *)address, .how = how};

	return record_moved(call, fd, &data, out);
}

#define FMODE_WRITE 2

/* vmsplice: the end of the pipe says which way */
static __always_inline int moved_pages(struct call *call, __u32 fd)
{
	struct file *file = file_of(fd);

	return file ? moved_buffer(call, fd, 0, 0, BPF_CORE_READ(file, f_mode) & FMODE_WRITE ? 1 : 0) : 0;
}

static __always_inline int is_empty(unsigned long name)
{
	char first = 0;

	return bpf_probe_read_user(&first, 1, (void *)name) == 0 && !first;
}

/* CLONE_NEW* of the name space that an open file of /proc/<pid>/ns stands for */
static __always_inline __u64 name_space_of(struct file *file)
{
	struct ns_common *ns = file ? BPF_CORE_READ(file, f_inode, i_private) : 0;

	if (!ns)
		return 0;
	return bpf_core_field_exists(ns->ns_type) ? BPF_CORE_READ(ns, ns_type) : (__u32)BPF_CORE_READ(ns, ops, type);
}

static __always_inline __u64 openat2_flags(unsigned long how)
{
	__u64 flags = 0;

	bpf_probe_read_user(&flags, sizeof(flags), (void *)how);
	return flags;
}

/* One call moves bytes between two descriptors: both ends are recorded. */
static __always_inline int moved_between(struct call *call, __u32 out, __u32 in)
{
	struct moved moved = {.cgroup = call->cgroup, .result = call->result, .fd = out, .outgoing = 1};

	/* before anything is told of the call; of the other one it is asked when that is told */
	if (is_in_doubt(out))
		moved.doubt = FP_FD_IN_DOUBT;
	moved_buffer(call, in, 0, 0, 0);
	return record_any_move(&moved);
}

/* A call that says 0 when all of it went. */
static __always_inline int moved_as_asked(struct call *call, __u32 fd, long size)
{
	struct data data = {};

	call->result = size;
	return record_moved(call, fd, &data, 1);
}

/* System V messages: a queue is to its readers and writers what a pipe is, known by its number in the name space. */
static __always_inline int record_queue(struct call *call, __u64 queue, long bytes, int writes)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct identity who = {.object = FP_OBJECT_KIND_PIPE, .ino = queue};

	who.dev = BPF_CORE_READ(task, nsproxy, ipc_ns, ns.inum);
	return record_transfer(call->cgroup, bytes, &who, NO_DESCRIPTOR, writes);
}

struct iocb {
	__u64 data, key_and_flags;
	__u16 opcode;
	__u16 priority;
	__u32 fd;
	__u64 base, len;
};
#define IOCB_READ 0
#define IOCB_WRITE 1
#define IOCB_READV 7
#define IOCB_WRITEV 8

struct submission {
	__u64 cgroup, list;
};

static long submitted_one(__u32 i, struct submission *submission)
{
	struct call call = {.cgroup = submission->cgroup};
	struct data data = {};
	struct iocb iocb = {};
	__u64 at = 0;

	if (is_foreign())
		bpf_probe_read_user(&at, sizeof(__u32), (void *)(submission->list + i * sizeof(__u32)));
	else
		bpf_probe_read_user(&at, sizeof(at), (void *)(submission->list + i * sizeof(at)));
	if (!at || bpf_probe_read_user(&iocb, sizeof(iocb), (void *)at) < 0) {
		count_loss(call.cgroup, FP_LOSS_CAUSE_FAULT);
		return 0;
	}
	/* how many bytes it will be is not known yet */
	if (iocb.opcode == IOCB_READ || iocb.opcode == IOCB_READV)
		record_moved(&call, iocb.fd, &data, 0);
	else if (iocb.opcode == IOCB_WRITE || iocb.opcode == IOCB_WRITEV)
		record_moved(&call, iocb.fd, &data, 1);
	return 0;
}

/* io_submit: the operations that were begun, by descriptor; their ends are seen nowhere. */
static __always_inline int submitted(struct call *call, __u64 list)
{
	struct submission submission = {.cgroup = call->cgroup, .list = list};

	if (call->result > FP_MESSAGES_MAX)
		count_loss(call->cgroup, FP_LOSS_CAUSE_TRUNCATED);
	bpf_loop(call->result < FP_MESSAGES_MAX ? call->result : FP_MESSAGES_MAX, submitted_one, &submission, 0);
	return 0;
}

static __always_inline int record_socketpair(struct call *call, unsigned long user)
{
	struct descriptor_pair pair;

	if (read_pair(&pair, user) < 0)
		return count_loss(call->cgroup, FP_LOSS_CAUSE_FAULT);
	record_socket(call->cgroup, call->result, (__u64)file_of(pair.fd[0]), pair.fd[0]);
	return record_socket(call->cgroup, call->result, (__u64)file_of(pair.fd[1]), pair.fd[1]);
}

HANDLER(on_pipe, IF_DONE(record_pipe(&call, a1)))
HANDLER(on_socketpair, IF_DONE(record_socketpair(&call, a4)))
HANDLER(on_open, IF_DONE(record_open(call.cgroup, result, a2)))
HANDLER(on_openat, IF_DONE(record_open(call.cgroup, result, a3)))
HANDLER(on_openat2, IF_DONE(record_open(call.cgroup, result, openat2_flags(a3))))
HANDLER(on_creat, IF_DONE(record_open(call.cgroup, result, 01 | 0100 | 01000)))
HANDLER(on_read, IF_MOVED(moved_buffer(&call, a1, a2, a3, 0)))
/*
 * The runtime assist shows its board: a write to a descriptor that cannot be, of
 * which only the buffer's address is taken.  One with tables speaks for the
 * threads of the process that have none of their own, too, and can be followed by where
 * the number of what runs is kept.  One of no length takes the thread's back.
 */
static __always_inline int take_board(__u64 address, __u64 size)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct task_struct *leader = task->group_leader;
	struct thread_state *state = make_state(task), *first;

	if (state && state->board && size == FP_BOARD_RUNNING_SIZE) {
		state->running = address;
		return 0;
	}
	if (!state || (size && size < FP_BOARD_DESCRIPTORS))
		return 0;
	if (!size)
		address = 0;
	state->board = address;
	state->running = 0;
	state->board_exec = leader->self_exec_id;
	if (size != FP_BOARD_SIZE)
		return 0;
	/* kept with the process itself: no other can push it out */
	first = make_state(leader);
	if (first) {
		first->tables = address;
		first->tables_exec = leader->self_exec_id;
	}
	return 0;
}

static __always_inline int any_write(struct call *call, __u64 fd, __u64 data, __u64 size)
{
	if (fd == FP_BOARD_DESCRIPTOR)
		return call->result < 0 ? take_board(data, size) : 0;
	if (call->result >= 0)
		return moved_buffer(call, fd, data, size, 1);
	forget_reached();
	return 0;
}
HANDLER(on_write, any_write(&call, a1, a2, a3))

SEC("tp_btf/sys_exit")
int BPF_PROG(of_failures, struct pt_regs *regs, long result)
{
	struct tried tried = {.cgroup = container_cgroup(), .result = result, .dirfd = AT_FDCWD, .fd = NO_DESCRIPTOR, .pidfd = -1};
	struct arguments made = {};
	__u8 handler;

	take_arguments(&made, regs);
	handler = handler_of[made.number & (FP_CALLS_MAX - 1)];
	if (handler >= FP_HANDLER_FIRST_NAME && handler <= FP_HANDLER_LAST_NAME)
		forget_touched();
	if (handler >= FP_HANDLER_FIRST_MOUNT && handler <= FP_HANDLER_LAST_MOUNT)
		end_change();
	if (handler >= FP_HANDLER_FIRST_MESSAGE && handler <= FP_HANDLER_LAST_MESSAGE) {
		forget_reached();
		renew_sender_of((__u64)file_of(made.a[0]));
	}
	if (handler == FP_HANDLER_on_write && made.a[0] == FP_BOARD_DESCRIPTOR)
		return take_board(made.a[1], made.a[2]);
	if (is_watchdog(tried.cgroup))
		return 0;
	understand(&tried, handler, made.a[0], made.a[1], made.a[2], made.a[3], made.a[4]);
	if (!tried.name)
		return record_failed(&tried);
	return is_absolute(tried.name) ? record_failed_absolute(&tried) : record_failed_name(&tried);
}

/* A connect that went on in the background has failed: the process gets to know it by asking for the socket's error. */
#define SO_ERROR 4
static __always_inline int asked_for_error(struct call *call, __u32 fd, unsigned long value)
{
	struct tried tried = {.cgroup = call->cgroup, .fd = fd, .pidfd = -1, .operation = FP_OPERATION_KIND_CONNECT};
	int error = 0;

	if (bpf_probe_read_user(&error, sizeof(error), (void *)value) < 0 || error <= 0 || error > ERRORS_MAX)
		return 0;
	tried.result = -error;
	return record_failed(&tried);
}
HANDLER(on_getsockopt, if (result == 0 && a2 == SOL_SOCKET && a3 == SO_ERROR) asked_for_error(&call, a1, a4))

/* what is told when it fails alone: what it does is seen by other hooks */
HANDLER(on_execute, )
HANDLER(on_execute_at, )
HANDLER(on_kill, )
HANDLER(on_pidfd_kill, )
HANDLER(on_access, )
HANDLER(on_accessat, )

HANDLER(on_readv, IF_MOVED(moved_vector(&call, a1, a2, a3, 0)))
HANDLER(on_writev, IF_MOVED(moved_vector(&call, a1, a2, a3, 1)))
HANDLER(on_recvmsg, IF_MOVED(moved_one_message(&call, a1, a2, a3, 0)))
/* TCP fast open: connected by the first bytes sent */
static __always_inline void connect_by_sending(struct call *call, __u32 fd, unsigned long how)
{
	if (how & MSG_FASTOPEN && (call->result >= 0 || call->result == -EINPROGRESS))
		record_connect(call->cgroup, call->result, (__u64)file_of(fd), fd);
}
HANDLER(on_sendmsg, connect_by_sending(&call, a1, a3); IF_MOVED(moved_one_message(&call, a1, a2, a3, 1)))
HANDLER(on_sendfile, IF_MOVED(moved_between(&call, a1, a2)))
HANDLER(on_copy_range, IF_DONE(moved_between(&call, a3, a1)))
/* what a descriptor stands for is told by no record, but what its number stood for before is gone */
HANDLER(on_close, IF_DONE(note_replaced(a1, end_unrecorded())))
HANDLER(on_replace, if (result >= 0 && a1 != a2) note_replaced(a2, bpf_ktime_get_boot_ns()))
HANDLER(on_close_range, IF_DONE(note_replaced_range(a1, a2, a3)))
RENAME_HANDLER(on_rename, record_rename, NAME(a1, AT_FDCWD), NEW_NAME(a2, AT_FDCWD))
RENAME_HANDLER(on_renameat, record_rename, NAME(a2, a1), NEW_NAME(a4, a3))
RENAME_HANDLER(on_renameat2, record_rename2, NAME(a2, a1), NEW_NAME(a4, a3), .what = a5)
NAME_HANDLER(on_unlink, record_unlink, NAME(a1, AT_FDCWD))
NAME_HANDLER(on_unlinkat, record_unlink, NAME(a2, a1), .what = a3)
NAME_HANDLER(on_chmod, record_chmod, NAME(a1, AT_FDCWD), .what = a2)
NAME_HANDLER(on_fchmodat, record_chmod, NAME(a2, a1), .what = a3)
NAME_HANDLER(on_fchmodat2, record_chmod, FILE_IF(a4 & AT_EMPTY_PATH && is_empty(a2), a1), NAME(a2, a1), .what = a3)
FILE_HANDLER(on_fchmod, record_chmod, FILE_OF(a1), .what = a2)
HANDLER(on_mmap, if (result < 0 && result > -4096) return 0; record_mmap(&call, a2, a3, a4, a5))
HANDLER(on_mprotect, IF_DONE(record_protect(&call, a1, a2, a3)))
HANDLER(on_recvfrom, IF_MOVED(moved_datagram(&call, a1, a2, a3, a4, a5, 0)))
HANDLER(on_sendto, connect_by_sending(&call, a1, a4); IF_MOVED(moved_datagram(&call, a1, a2, a3, a4, a5, 1)))
HANDLER(on_recvmmsg, IF_MOVED(moved_many(&call, a1, a2, a4, 0)))
HANDLER(on_sendmmsg, IF_MOVED(moved_many(&call, a1, a2, a4, 1)))
HANDLER(on_splice, IF_MOVED(moved_between(&call, a3, a1)))
HANDLER(on_tee, IF_DONE(moved_between(&call, a2, a1)))
HANDLER(on_vmsplice, IF_DONE(moved_pages(&call, a1)))
NAME_HANDLER(on_link, record_link, NAME(a1, AT_FDCWD), NEW_NAME(a2, AT_FDCWD))
NAME_HANDLER(on_linkat, record_link, NAME(a2, a1), NEW_NAME(a4, a3), .what = a5)
NAME_HANDLER(on_symlink, record_symlink, NAME(a1), NEW_NAME(a2, AT_FDCWD))
NAME_HANDLER(on_symlinkat, record_symlink, NAME(a1), NEW_NAME(a3, a2))
NAME_HANDLER(on_mkdir, record_make, NAME(a1, AT_FDCWD), .what = (a2 & 07777) | 0040000)
NAME_HANDLER(on_mkdirat, record_make, NAME(a2, a1), .what = (a3 & 07777) | 0040000)
NAME_HANDLER(on_mknod, record_make, NAME(a1, AT_FDCWD), .what = a2)
NAME_HANDLER(on_mknodat, record_make, NAME(a2, a1), .what = a3)
NAME_HANDLER(on_rmdir, record_unlink, NAME(a1, AT_FDCWD), .what = 0x200) /* AT_REMOVEDIR */
NAME_HANDLER(on_truncate, record_truncate, NAME(a1, AT_FDCWD), .what = a2)
HANDLER(on_ftruncate, IF_DONE(record_truncate_fd(&call, a1, a2)))
HANDLER(on_fallocate, IF_DONE(record_truncate_fd(&call, a1, a3 + a4)))
NAME_HANDLER(on_chown, record_chown, NAME(a1, AT_FDCWD), .uid = a2, .gid = a3)
FILE_HANDLER(on_fchown, record_chown, FILE_OF(a1), .uid = a2, .gid = a3)
NAME_HANDLER(on_fchownat, record_chown, FILE_IF(a5 & AT_EMPTY_PATH, a1), NAME(a2, a1), .uid = a3, .gid = a4)
NAME_HANDLER(on_setxattr, record_xattr, NAME(a1, AT_FDCWD), .attribute = a2, .what = FP_OPERATION_KIND_SET)
FILE_HANDLER(on_fsetxattr, record_xattr, FILE_OF(a1), .attribute = a2, .what = FP_OPERATION_KIND_SET)
NAME_HANDLER(on_removexattr, record_xattr, NAME(a1, AT_FDCWD), .attribute = a2, .what = FP_OPERATION_KIND_REMOVE)
FILE_HANDLER(on_fremovexattr, record_xattr, FILE_OF(a1), .attribute = a2, .what = FP_OPERATION_KIND_REMOVE)
HANDLER(on_memfd, IF_DONE(record_open(call.cgroup, result, 02))) /* O_RDWR */
HANDLER(on_bind, IF_DONE(record_bind(call.cgroup, result, (__u64)file_of(a1), a1)))
HANDLER(on_listen, IF_DONE(record_listen(call.cgroup, result, (__u64)file_of(a1), a1)))
HANDLER(on_shutdown, IF_DONE(record_shutdown(call.cgroup, result, (__u64)file_of(a1), a1, a2)))
HANDLER(on_ptrace, IF_DONE(record_ptrace(&call, a1, a2)))
HANDLER(on_vm_read, IF_DONE(record_vm(&call, a1, FP_OPERATION_KIND_VM_READ)))
HANDLER(on_vm_write, IF_DONE(record_vm(&call, a1, FP_OPERATION_KIND_VM_WRITE)))
HANDLER(on_get_fd, IF_DONE(record_get_fd(&call, a1)))
HANDLER(on_credentials, IF_DONE(record_control(call.cgroup, result, FP_OPERATION_KIND_CREDENTIALS, 0)))
HANDLER(on_capset, IF_DONE(record_control(call.cgroup, result, FP_OPERATION_KIND_CAPSET, 0)))
HANDLER(on_unshare, IF_DONE(record_control(call.cgroup, result, FP_OPERATION_KIND_UNSHARE, a1)))
HANDLER(on_setns, IF_DONE(record_control(call.cgroup, result, FP_OPERATION_KIND_SETNS, a2 ? a2 : name_space_of(file_of(a1)))))
HANDLER(on_seccomp, IF_DONE(record_control(call.cgroup, result, FP_OPERATION_KIND_SECCOMP, a1)))
DONE_MOUNT_HANDLER(on_mount, FP_OPERATION_KIND_MOUNT, a4, NAME(a1, AT_FDCWD), NEW_NAME(a2, AT_FDCWD), .type = a3)
DONE_MOUNT_HANDLER(on_umount, FP_OPERATION_KIND_UMOUNT, a2, NAME(a1, AT_FDCWD))
DONE_MOUNT_HANDLER(on_move_mount, FP_OPERATION_KIND_MOVE_MOUNT, a5, NAME(a2, a1), NEW_NAME(a4, a3))
DONE_MOUNT_HANDLER(on_pivot_root, FP_OPERATION_KIND_PIVOT_ROOT, 0, NAME(a1, AT_FDCWD), NEW_NAME(a2, AT_FDCWD))
DONE_MOUNT_HANDLER(on_chroot, FP_OPERATION_KIND_CHROOT, 0, NAME(a1, AT_FDCWD))
NAME_HANDLER(on_setxattrat, record_xattr, FILE_IF(a3 & AT_EMPTY_PATH, a1), NAME(a2, a1), .attribute = a4, .what = FP_OPERATION_KIND_SET)
NAME_HANDLER(on_removexattrat, record_xattr, FILE_IF(a3 & AT_EMPTY_PATH, a1), NAME(a2, a1), .attribute = a4, .what = FP_OPERATION_KIND_REMOVE)
NAME_HANDLER(on_getxattrat, record_xattr, FILE_IF(a3 & AT_EMPTY_PATH, a1), NAME(a2, a1), .attribute = a4, .what = FP_OPERATION_KIND_GET)
NAME_HANDLER(on_getxattr, record_xattr, NAME(a1, AT_FDCWD), .attribute = a2, .what = FP_OPERATION_KIND_GET)
FILE_HANDLER(on_fgetxattr, record_xattr, FILE_OF(a1), .attribute = a2, .what = FP_OPERATION_KIND_GET)
NAME_HANDLER(on_utimensat, record_xattr, FILE_IF(!a2, a1), NAME(a2, a1), .what = FP_OPERATION_KIND_TIMES)
NAME_HANDLER(on_file_flags, record_xattr, FILE_IF(a5 & AT_EMPTY_PATH && is_empty(a2), a1), NAME(a2, a1), .what = FP_OPERATION_KIND_FILE_FLAGS)
NAME_HANDLER(on_utimes, record_xattr, NAME(a1, AT_FDCWD), .what = FP_OPERATION_KIND_TIMES)
HANDLER(on_open_by_handle, IF_DONE(record_open(call.cgroup, result, a3)))
HANDLER(on_mq_open, IF_DONE(record_open(call.cgroup, result, a2)))
HANDLER(on_mq_send, IF_DONE(moved_as_asked(&call, a1, a3)))
HANDLER(on_mq_receive, IF_DONE(moved_buffer(&call, a1, 0, 0, 0)))
HANDLER(on_msgsnd, IF_DONE(record_queue(&call, a1, a3, 1)))
HANDLER(on_msgrcv, IF_DONE(record_queue(&call, a1, result, 0)))
HANDLER(on_shmat, if (result < 0 && result > -4096) return 0; record_attach(&call, a3))
HANDLER(on_io_submit, IF_DONE(submitted(&call, a3)))
/* what is hardly ever done, and tells much when it is tried: failed or not */
MOUNT_HANDLER(on_open_tree, FP_OPERATION_KIND_OPEN_TREE, a3, NAME(a2, a1))
MOUNT_HANDLER(on_fsopen, FP_OPERATION_KIND_NEW_MOUNT, a2, .type = a1)
/* of an option its name alone: its value may be a secret */
MOUNT_HANDLER(on_fsconfig, FP_OPERATION_KIND_MOUNT_OPTION, a2, .name = {0, a1}, .type = a3)
MOUNT_HANDLER(on_fsmount, FP_OPERATION_KIND_MAKE_MOUNT, a3)
MOUNT_HANDLER(on_fspick, FP_OPERATION_KIND_PICK_MOUNT, a3, NAME(a2, a1))
MOUNT_HANDLER(on_mount_setattr, FP_OPERATION_KIND_SET_MOUNT, a3, NAME(a2, a1))
HANDLER(on_landlock, record_control(call.cgroup, result, FP_OPERATION_KIND_LANDLOCK, a2))
HANDLER(on_bpf, record_control(call.cgroup, result, FP_OPERATION_KIND_BPF, a1))
HANDLER(on_perf, record_control(call.cgroup, result, FP_OPERATION_KIND_PERF, a2))
HANDLER(on_userfaultfd, record_control(call.cgroup, result, FP_OPERATION_KIND_USERFAULT, a1))
HANDLER(on_keyctl, record_control(call.cgroup, result, FP_OPERATION_KIND_KEYS, a1))
HANDLER(on_add_key, record_control(call.cgroup, result, FP_OPERATION_KIND_KEYS, 256))
HANDLER(on_request_key, record_control(call.cgroup, result, FP_OPERATION_KIND_KEYS, 257))
HANDLER(on_module, record_control(call.cgroup, result, FP_OPERATION_KIND_MODULE, 0))
HANDLER(on_kexec, record_control(call.cgroup, result, FP_OPERATION_KIND_KEXEC, 0))
HANDLER(on_system, record_control(call.cgroup, result, FP_OPERATION_KIND_SYSTEM, call.number))
HANDLER(on_clock, record_control(call.cgroup, result, FP_OPERATION_KIND_CLOCK, 0))
HANDLER(on_fanotify, record_control(call.cgroup, result, FP_OPERATION_KIND_FANOTIFY, a1))
HANDLER(on_personality, if (a1 != 0xffffffff) record_control(call.cgroup, result, FP_OPERATION_KIND_PERSONALITY, a1))
HANDLER(on_limit, IF_DONE(record_limit(&call, a1, a2, a3)))
HANDLER(on_priority, IF_DONE(record_schedule_of(&call, a1, 0, a2)))
HANDLER(on_io_priority, IF_DONE(record_schedule_of(&call, a1, 1, a2)))
HANDLER(on_schedule, IF_DONE(record_schedule(&call, a1)))
HANDLER(on_ioctl, any_ioctl(&call, a1, a2, a3))
HANDLER(on_fcntl, any_fcntl(&call, a1, a2, a3))
HANDLER(on_socket, IF_DONE(record_socket(call.cgroup, result, (__u64)file_of(result), result)))
/* a connect that goes on in the background counts */
HANDLER(on_connect, if (result == 0 || result == -EINPROGRESS) record_connect(call.cgroup, result, (__u64)file_of(a1), a1))
HANDLER(on_accept, IF_DONE(record_accept(call.cgroup, result, (__u64)file_of(result), result)))

/* --- turns and rests: what a thread waits for is seen when it comes back ------------- */

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull
#define NO_LIMIT (~0ull)
/* Of a wait for longer nothing is known that matters: about 13 days. */
#define LIMIT_MAX (1ull << 50)

static __always_inline __u64 limit_of_ms(long ms)
{
	return (int)ms < 0 ? NO_LIMIT : (int)ms * NS_PER_MS;
}

struct user_time {
	long seconds, part;
};

static __always_inline int read_time(struct user_time *time, const void *user)
{
	__s32 narrow[2];

	if (!has_narrow_times())
		return bpf_probe_read_user(time, sizeof(*time), user);
	if (bpf_probe_read_user(narrow, sizeof(narrow), user) < 0)
		return -1;
	time->seconds = narrow[0];
	time->part = narrow[1];
	return 0;
}

static __always_inline __u64 limit_of_time(const void *user, __u64 unit)
{
	struct user_time time = {};

	if (!user)
		return NO_LIMIT;
	/* what cannot be read is taken for the shortest of waits */
	if (read_time(&time, user) < 0 || time.seconds < 0 || time.part < 0)
		return NS_PER_MS;
	return (__u64)time.seconds >= LIMIT_MAX / NS_PER_S ? LIMIT_MAX : time.seconds * NS_PER_S + time.part * unit;
}

/* Of a process whose work goes from thread to thread: what its threads share. */
static __always_inline struct thread_state *shared_state(struct thread_state *state)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct thread_state *first = bpf_task_storage_get(&threads, task->group_leader, 0, 0);

	if (!first || !first->moves)
		return state;
	state->moves = 1;
	return first;
}

/*
 * An event loop waits no longer than until its first timer is due, reckoned from a time that it asked for after
 * it had come back before (Go: after all else that it did), in whole milliseconds.  Without a time limit no timer
 * is pending.
 */
__noinline int end_poll(__u64 limit, __u64 loop, long result)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct thread_state *state = make_state(task), *of;
	__u64 now = bpf_ktime_get_boot_ns(), due, from;

	if (!state)
		return 0;
	of = shared_state(state);
	state->turn++;
	of->polls = state->polls = 1;
	if (limit) {
		from = state->moves && state->last > state->woke ? state->last : state->woke;
		due = limit == NO_LIMIT ? 0 : from ? from + limit - NS_PER_MS : 1;
		/* what one thread rests on is not all that is pending, while others are still looking */
		if (state->moves && of->due > now && (!due || of->due < due))
			due = of->due;
		if (state->moves || of->busy || due > of->told_due + NS_PER_MS || due + FP_WAIT_SLACK < of->told_due || loop != of->loop)
			of->untold = 1;
		of->due = due;
		of->loop = loop;
		of->since = now;
		of->busy = 0;
	} else if (result > 0 && !of->busy) {
		/* timers that were made since the last rest did not show in it */
		of->busy = of->untold = 1;
	}
	state->woke = now;
	state->fresh = state->moves;
	note_seen(state);
	return 0;
}

/* A thread that slept comes back with what others have changed in between. */
static __always_inline int end_sleep(void)
{
	struct thread_state *state = bpf_task_storage_get(&threads, (void *)bpf_get_current_task_btf(), 0, 0);

	if (state)
		note_seen(state);
	return 0;
}
HANDLER(on_sleep, end_sleep())

#define FUTEX_CMD_MASK 127
#define FUTEX_WAIT 0
#define FUTEX_WAIT_BITSET 9
#define FUTEX_CLOCK_REALTIME 256
#define FUTEX_VALUE_LOCKED 2 /* of a lock that is waited for, in glibc: what the thread was at goes on */
/* musl's conditions have that value, too, but on the waiting thread's stack, where nobody has locks to share. */
#define STACK_NEAR 4096
/* Who can wait so long waits for work, and not for its turn or for a time to come. */
#define REST_MIN (100 * NS_PER_MS)

static __always_inline int is_rest(__u64 operation, const void *limit)
{
	__u64 time, now = bpf_ktime_get_ns();

	if (!limit)
		return 1;
	time = limit_of_time(limit, 1);
	if ((operation & FUTEX_CMD_MASK) == FUTEX_WAIT)
		return time >= REST_MIN;
	return !(operation & FUTEX_CLOCK_REALTIME) && time >= now + REST_MIN;
}

/* Go's threads, and nobody else's that poll, rest on a plain wait for a word that is zero. */
static __always_inline int is_moving(__u64 operation, __u32 value)
{
	return (operation & FUTEX_CMD_MASK) == FUTEX_WAIT && value == 0;
}

/* Is seen once of a process; its first thread may never have waited itself. */
static __always_inline void begin_moving(struct thread_state *state)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct thread_state *first;

	first = make_state(task->group_leader);
	if (!first)
		return;
	first->moves = state->moves = 1;
}

static __always_inline int is_lock(struct call *call, unsigned long word, __u32 value)
{
	return value == FUTEX_VALUE_LOCKED && word - call_stack(call->regs) > STACK_NEAR;
}

static __always_inline int end_futex(struct call *call, unsigned long word, __u64 operation, __u32 value, const void *limit)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct thread_state *state;

	if ((operation & FUTEX_CMD_MASK) != FUTEX_WAIT && (operation & FUTEX_CMD_MASK) != FUTEX_WAIT_BITSET)
		return 0;
	state = make_state(task);
	if (!state)
		return 0;
	note_seen(state);
	if (is_moving(operation, value)) {
		if (!state->moves)
			begin_moving(state);
		state->turn++;
		state->woke = bpf_ktime_get_boot_ns();
		state->fresh = 1;
		return 0;
	}
	if (state->polls)
		return 0;
	state->turn++;
	/* woken by somebody, or told in the last moment that there is work (EAGAIN) */
	if ((call->result == 0 || call->result == -11) && !is_lock(call, word, value) && is_rest(operation, limit)) {
		int seen = call->result == 0 && state->woken > state->since;

		state->since = seen ? state->woken : bpf_ktime_get_boot_ns();
		state->due = seen ? state->giver : 0;
		state->loop = NO_DESCRIPTOR;
		state->untold = 1;
	}
	return 0;
}

/* Who is given work is woken then, and at it when a processor is free: by then, who gave it can be at something else. */
SEC("tp_btf/sched_waking")
int BPF_PROG(on_waking, struct task_struct *task)
{
	struct task_struct *waker = (void *)bpf_get_current_task_btf();
	struct thread_state *state, *own;

	if (watchdog_of(task)) /* of whose rests nothing is asked */
		return 0;
	state = bpf_task_storage_get(&threads, task, 0, 0);
	if (!state || state->polls || state->moves)
		return 0;
	own = waker->tgid == task->tgid ? bpf_task_storage_get(&threads, waker, 0, 0) : 0;
	state->woken = bpf_ktime_get_boot_ns();
	state->giver = own && own->polls ? own->woke : 0;
	return 0;
}

HANDLER(on_epoll, end_poll(limit_of_ms(a4), a1, result))
HANDLER(on_epoll2, end_poll(limit_of_time((void *)a4, 1), a1, result))
HANDLER(on_poll, end_poll(limit_of_ms(a3), NO_DESCRIPTOR, result))
HANDLER(on_ppoll, end_poll(limit_of_time((void *)a3, 1), NO_DESCRIPTOR, result))
HANDLER(on_select, end_poll(limit_of_time((void *)a5, 1000), NO_DESCRIPTOR, result))
HANDLER(on_pselect, end_poll(limit_of_time((void *)a5, 1), NO_DESCRIPTOR, result))
HANDLER(on_futex, end_futex(&call, a1, a2, a3, (void *)a4))

static __always_inline int record_mark(struct call *call, __u64 arg2, __u64 id_hi, __u64 id_lo, const void *details)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct task_struct *leader = task->group_leader;
	__u32 fd = arg2 >> 32, len = arg2 >> 16 & 0xffff;
	struct endpoints e = {};
	struct file *file = 0;

	if (fd != 0xffffffff)
		file = file_of(fd);
	if (file && (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) == 0140000)
		fill_endpoints(file, &e);
	BEGIN_RECORD(record, mark, MARK, call->cgroup, FP_MARK_ROOM, 0, call->result);
	record->r.mark = arg2 & 0xffff; /* with its version; the agent judges both */
	record->r.id_hi = id_hi;
	record->r.id_lo = id_lo;
	record->r.ns_tgid = ns_tgid_of(leader);
	record->r.parent_tgid = BPF_CORE_READ(leader, real_parent, tgid);
	COPY_ENDPOINTS(&record->r, fd, &e);
	if (len > FP_MARK_ROOM)
		len = FP_MARK_ROOM;
	VISIBLE(len);
	if (len > FP_MARK_ROOM || bpf_probe_read_user(record->room_, len, details) < 0) {
		len = 0;
		count_loss(call->cgroup, FP_LOSS_CAUSE_FAULT);
	}
	record->r.details.offset = sizeof(record->r);
	record->r.details.len = len;
	emit(record);
	return 0;
}

static __always_inline int any_prctl(struct call *call, __u64 option, __u64 arg2, __u64 id_hi, __u64 id_lo,
				     const void *details)
{
	if (option == FP_MARK_PRCTL && is_foreign()) /* its arguments have no room for an id */
		return count_loss(call->cgroup, FP_LOSS_CAUSE_FOREIGN_CALL);
	if (option == FP_MARK_PRCTL)
		return record_mark(call, arg2, id_hi, id_lo, details);
	if (call->result >= 0 && is_telling_prctl(option))
		return record_control(call->cgroup, call->result, FP_OPERATION_KIND_PRCTL, option);
	return 0;
}
HANDLER(on_prctl, any_prctl(&call, a1, a2, a3, a4, (void *)a5))

FP_FAMILIES(FAMILY)

#define CLONE_NEWTIME 0x00000080
#define CLONE_NEWNS 0x00020000
#define CLONE_NEWCGROUP 0x02000000
#define CLONE_NEWUTS 0x04000000
#define CLONE_NEWIPC 0x08000000
#define CLONE_NEWUSER 0x10000000
#define CLONE_NEWPID 0x20000000
#define CLONE_NEWNET 0x40000000

/* CLONE_NEW* of what the child has for itself; the event does not tell how it was made. */
static __always_inline __u64 own_namespaces(struct task_struct *parent, struct task_struct *child)
{
	struct nsproxy *theirs = parent->nsproxy, *its = child->nsproxy;
	__u64 flags = parent->cred->user_ns != child->cred->user_ns ? CLONE_NEWUSER : 0;

	if (theirs == its)
		return flags;
#define IS_OWN(field, flag)                                            \
	if (BPF_CORE_READ(theirs, field) != BPF_CORE_READ(its, field)) \
	flags |= flag
	IS_OWN(uts_ns, CLONE_NEWUTS);
	IS_OWN(ipc_ns, CLONE_NEWIPC);
	IS_OWN(mnt_ns, CLONE_NEWNS);
	IS_OWN(pid_ns_for_children, CLONE_NEWPID);
	IS_OWN(net_ns, CLONE_NEWNET);
	IS_OWN(time_ns_for_children, CLONE_NEWTIME);
	IS_OWN(cgroup_ns, CLONE_NEWCGROUP);
#undef IS_OWN
	return flags;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	__u64 cgroup = recorded_cgroup();

	if (!cgroup)
		return record_born(child);
	BEGIN_RECORD(record, fork, FORK, cgroup, 0, 0, child->pid);
	record->r.child_tgid = child->tgid;
	record->r.child_tid = child->pid;
	record->r.child_start = BPF_CORE_READ(child, group_leader, start_boottime);
	record->r.flags = own_namespaces(parent, child);
	emit(record);
	return 0;
}

/* The second program at a fork, as an event that is lost must not cost what is known of the child. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_child, struct task_struct *parent, struct task_struct *child)
{
	__u64 cgroup = recorded_cgroup();

	if (cgroup && child->pid == child->tgid && is_sharer(parent->group_leader))
		note_sharer(child);
	return cgroup ? note_child(parent, child, cgroup) : 0;
}

#define SIGNAL_GROUP_EXIT 4

/*
 * Processes that have ended: two threads that end at once would both see that none is left, and the second of them,
 * when it is late, that it is the only one.
 */
struct process {
	__u64 tgid, start;
};
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct process);
	__type(value, __u8);
} ended SEC(".maps");

static __always_inline int ends_process(struct task_struct *task)
{
	struct process process = {.tgid = task->tgid, .start = task->group_leader->start_boottime};
	__u8 yes = 1;

	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;
	return bpf_map_update_elem(&ended, &process, &yes, BPF_NOEXIST) == 0;
}

/* What the parent gets to know, whichever thread is the last. */
static __always_inline long wait_status(struct task_struct *task)
{
	if (BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
		return BPF_CORE_READ(task, signal, group_exit_code);
	return BPF_CORE_READ(task, group_leader, exit_code);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	__u64 cgroup = recorded_cgroup();
	int ends;

	end_state(task);
	if (!cgroup)
		return 0;
	record_dump(cgroup);
	ends = ends_process(task);
	if (ends)
		forget_member(task->tgid);
	BEGIN_RECORD(record, exit, EXIT, cgroup, 0, 0, ends ? wait_status(task) : task->exit_code);
	record->r.flags = ends ? FP_EXIT_PROCESS : 0;
	emit(record);
	return 0;
}

/*
 * A script's file is let go as soon as the kernel knows its interpreter.  But it is let go by work that the task does
 * on its way back to user space, and until then that work leads to it: of the files that were opened to be executed
 * and are to be let go, the script was the first, and so is the last of the list.
 */
#define FMODE_EXEC 0x20 /* in the flags or, on older kernels, the mode */
#define WORKS_MAX 1024
extern const void ____fput __ksym __weak;

struct works {
	struct callback_head *at;
	struct file *found;
};

static long try_work(__u32 i, struct works *works)
{
	struct callback_head *work = works->at;
	struct file *file = (void *)work - bpf_core_field_offset(struct file, f_task_work);

	if (!work)
		return 1;
	if ((unsigned long)BPF_CORE_READ(work, func) == (unsigned long)&____fput &&
	    (BPF_CORE_READ(file, f_flags) | BPF_CORE_READ(file, f_mode)) & FMODE_EXEC)
		works->found = file;
	works->at = BPF_CORE_READ(work, next);
	return 0;
}

static __always_inline struct file *script_file(struct task_struct *task)
{
	struct works works = {};

	if (!&____fput)
		return 0;
	works.at = BPF_CORE_READ(task, task_works);
	bpf_loop(WORKS_MAX, try_work, &works, 0);
	return works.at ? 0 : works.found;
}

/* Where its file is not found, the name it was called by is left. */
static __always_inline int record_script(__u64 cgroup, const char *name)
{
	BEGIN_RECORD(record, load, LOAD, cgroup, NAMED_ROOM, 0, 0);
	NO_OBJECT(record);
	record->r.object = FP_OBJECT_KIND_FILE;
	record->r.naming = FP_NAMING_KIND_RESOLVED; /* the kernel's own copy */
	write_any_name(record->room_, sizeof(record->r), &record->r.path, AT_FDCWD, name, 1);
	emit(record);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	struct task_struct *leader = task->group_leader;
	__u64 cgroup = recorded_cgroup();
	struct file *file = bprm->file;
	unsigned long start, end;
	struct identity who;
	struct path path;
	__u32 begin, len;

	if (!cgroup)
		return 0;
	identify_file(file, &who);
	BEGIN_RECORD(record, exec, EXEC, cgroup, WALK_ROOM + FP_ARGV_MAX, 0, 0);
	record->r.dev = who.dev;
	record->r.ino = who.ino;
	record->r.gen = who.gen;
	record->r.uid = BPF_CORE_READ(task, cred, uid.val);
	record->r.gid = BPF_CORE_READ(task, cred, gid.val);
	record->r.parent_tgid = BPF_CORE_READ(leader, real_parent, tgid);
	record->r.parent_start = BPF_CORE_READ(leader, real_parent, start_boottime);
	record->r.ns_tgid = ns_tgid_of(leader);
	/* the name goes where the walk will not: behind PATH_ROOM */
	len = bpf_probe_read_kernel_str(record->room_ + PATH_ROOM, 16, task->comm);
	record->r.comm.offset = sizeof(record->r) + PATH_ROOM;
	record->r.comm.len = len > 0 && len <= 16 ? len - 1 : 0;
	path.mnt = BPF_CORE_READ(file, f_path.mnt);
	path.dentry = BPF_CORE_READ(file, f_path.dentry);
	begin = write_path(record->room_, PATH_ROOM, &path);
	count_cut(record->room_, begin);
	record->r.path.offset = sizeof(record->r) + begin;
	record->r.path.len = PATH_ROOM - begin;
	start = BPF_CORE_READ(task, mm, arg_start);
	end = BPF_CORE_READ(task, mm, arg_end);
	if (end - start > FP_ARGV_MAX) {
		count_loss(cgroup, FP_LOSS_CAUSE_TRUNCATED);
		end = start + FP_ARGV_MAX;
	}
	len = end - start;
	VISIBLE(len);
	if (len > FP_ARGV_MAX || bpf_probe_read_user(record->room_ + WALK_ROOM, len, (void *)start) < 0)
		len = 0;
	record->r.argv.offset = sizeof(record->r) + WALK_ROOM;
	record->r.argv.len = len;
	emit(record);
	return 0;
}

/* The second program at an exec, so that the record of the exec itself comes first. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_script, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	__u64 cgroup = recorded_cgroup();
	struct file *file;

	if (!cgroup || bprm->filename == bprm->interp)
		return 0;
	file = script_file(task);
	return file ? record_load(cgroup, (__u64)file) : record_script(cgroup, bprm->filename);
}

/* By this the kernel, too, sends signals; a process's own have a code that is not positive. */
SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int signal, struct kernel_siginfo *info, struct task_struct *task, int group, int result)
{
	__u64 cgroup = recorded_cgroup();
	struct task_struct *sender = (void *)bpf_get_current_task_btf();
	struct target target;

	if (!cgroup || task->tgid == sender->tgid)
		return 0;
	/* 0 and 1 are no pointers: from a process without details, and from the kernel */
	if ((unsigned long)info == 1 || ((unsigned long)info > 1 && BPF_CORE_READ(info, si_code) > 0))
		return 0;
	take_target(&target, task);
	BEGIN_RECORD(record, signal, SIGNAL, cgroup, 0, 0, 0);
	record->r.target_tgid = target.tgid;
	record->r.target_start = target.start;
	record->r.signal = signal;
	emit(record);
	return 0;
}

SEC("tp_btf/io_uring_complete")
int BPF_PROG(on_uring, struct io_ring_ctx *ring, void *req, struct io_uring_cqe *cqe)
{
	struct io_kiocb *request = req;
	struct call call = {.cgroup = recorded_cgroup()};
	int opcode, way;

	if (!call.cgroup)
		return 0;
	call.result = BPF_CORE_READ(cqe, res);
	if (!request)
		return is_watchdog(call.cgroup) ? 0 : complete_repeated(call.cgroup, argument(ctx, 0), BPF_CORE_READ(cqe, user_data), call.result);
	opcode = BPF_CORE_READ(request, opcode);
	way = way_of(opcode);
	if (is_repeated(request, opcode))
		forget_repeated(argument(ctx, 1));
	if (is_by_name(opcode) && !is_watchdog(call.cgroup))
		complete_asked(call.cgroup, argument(ctx, 1), call.result, opcode);
	if (is_done_by_name(opcode))
		return 0;
	if (call.result == -EFAULT && way == 1)
		renew_sender_of((__u64)BPF_CORE_READ(request, file));
	if (call.result < 0 && !(opcode == OP_CONNECT && call.result == -EINPROGRESS))
		return 0;
	if (way)
		return is_watchdog(call.cgroup) ? 0 : uring_moved(call.cgroup, request, argument(ctx, 1), call.result, way);
	return uring_done(&call, request, opcode);
}

/*
 * The names of what is asked for are there now and no more when it is done.  What asks for no completion has only this
 * to be seen by; what it did is counted as not seen.
 */
SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(on_uring_submit, struct io_kiocb *request)
{
	__u64 cgroup = recorded_cgroup();
	int opcode;

	if (!cgroup)
		return 0;
	opcode = BPF_CORE_READ(request, opcode);
	if (opcode == OP_RECV_ZC) /* its completions are told nowhere */
		return count_loss(cgroup, FP_LOSS_CAUSE_RING_CALL);
	if (!(BPF_CORE_READ(request, flags) & REQUEST_SKIPS_COMPLETION) || is_repeated(request, opcode)) {
		note_submitted(argument(ctx, 0), opcode);
		return is_by_name(opcode) ? note_asked(argument(ctx, 0), opcode) : 0;
	}
	if (!way_of(opcode) && !is_unseen(opcode))
		return 0;
	return count_loss(cgroup, FP_LOSS_CAUSE_RING_CALL);
}

/* --- times of change: which inodes a call by name is about (touched.bpf.h) --------- */

/* The inode is the first argument of all three. */
static __always_inline int touch_first(void *ctx)
{
	return recorded_cgroup() ? touch(argument(ctx, 0)) : 0;
}

SEC("tp_btf/inode_set_ctime_to_ts")
int on_ctime_set(void *ctx)
{
	return touch_first(ctx);
}

SEC("tp_btf/ctime_ns_xchg")
int on_ctime_changed(void *ctx)
{
	return touch_first(ctx);
}

SEC("tp_btf/ctime_xchg_skip")
int on_ctime_kept(void *ctx)
{
	return touch_first(ctx);
}

/* --- mounts before they are changed (mounts.bpf.h) -------------------------------- */

SEC("tp_btf/cap_capable")
int BPF_PROG(on_capable, const struct cred *cred, void *target, void *owner, int capability)
{
	struct arguments made = {};
	__u8 handler;

	if (capability != CAP_SYS_ADMIN && capability != CAP_SYS_CHROOT)
		return 0;
	take_arguments(&made, (void *)bpf_task_pt_regs((void *)bpf_get_current_task_btf()));
	handler = made.number < FP_CALLS_MAX ? handler_of[made.number & (FP_CALLS_MAX - 1)] : 0;
	/* mostly it is about memory */
	return changes_mounts(handler) && is_recorded() ? begin_change(handler, made.a[0]) : 0;
}

/* --- functions: attached by the agent where they are loaded --------------------- */

SEC("uprobe")
int lookup_given(struct pt_regs *regs)
{
	return give_lookup(function_arg2(regs));
}

SEC("uprobe")
int lookup_begun(struct pt_regs *regs)
{
	return begin_lookup(function_arg1(regs));
}

SEC("uprobe")
int tls_write(struct pt_regs *regs)
{
	return enter_tls(regs, 1, 0);
}

SEC("uprobe")
int tls_write_ex(struct pt_regs *regs)
{
	return enter_tls(regs, 1, 1);
}

SEC("uprobe")
int tls_read(struct pt_regs *regs)
{
	return enter_tls(regs, 0, 0);
}

SEC("uprobe")
int tls_read_ex(struct pt_regs *regs)
{
	return enter_tls(regs, 0, 1);
}

SEC("uretprobe")
int tls_done(struct pt_regs *regs)
{
	return leave_tls(regs);
}

/* The same address may be another session's soon. */
SEC("uprobe")
int tls_free(struct pt_regs *regs)
{
	__u64 cgroup = recorded_cgroup();
	__u64 session = function_arg1(regs);

	if (!cgroup || !session || is_watchdog(cgroup))
		return 0;
	BEGIN_RECORD(record, plain, PLAIN, cgroup, 0, IS_BULK, 0);
	record->r.session = session;
	record->r.entered = 0;
	record->r.direction = 0;
	record->r.bytes = 0;
	record->r.payload.offset = sizeof(record->r);
	record->r.payload.len = 0;
	emit(record);
	return 0;
}

/*
 * The kernel side of the agent: one program per event source.  The exit of each
 * system call arrives at one place, where tasks that are not recorded leave
 * after one comparison; a table of programs by call number, which the agent
 * fills for its architecture (agent/calls.def), does the rest.
 */
#include "agent/bpf/file.bpf.h"
#include "agent/bpf/network.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, FP_CALLS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} calls SEC(".maps");

SEC("tp_btf/sys_exit")
int BPF_PROG(sys_exit, struct pt_regs *regs, long result)
{
	if (recorded_cgroup())
		bpf_tail_call(ctx, &calls, (__u32)call_number(regs));
	return 0;
}

/* A handler of one shape of call; `call` and the arguments a1…a5 are ready. */
#define HANDLER(name, body)                                                                        \
	SEC("tp_btf/sys_exit")                                                                     \
	int BPF_PROG(name, struct pt_regs *regs, long result)                                      \
	{                                                                                          \
		struct call call __attribute__((unused)) = {.regs = regs, .result = result, .cgroup = recorded_cgroup()};  \
		unsigned long a1 = call_arg1(regs), a2 = call_arg2(regs), a3 = call_arg3(regs);    \
		unsigned long a4 = call_arg4(regs), a5 = call_arg5(regs);                          \
                                                                                                   \
		(void)a1, (void)a2, (void)a3, (void)a4, (void)a5;                                  \
		body;                                                                              \
		return 0;                                                                          \
	}
#define IF_DONE(statement)                                                                         \
	do {                                                                                       \
		if (result >= 0)                                                                   \
			statement;                                                                 \
	} while (0)

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

struct user_msghdr_head {
	void *name;
	int name_len;
	int pad;
	struct iovec *vector;
	unsigned long n;
};

static __always_inline int moved_message(struct call *call, __u32 fd, unsigned long message, int out)
{
	struct user_msghdr_head head = {};
	struct data data;

	bpf_probe_read_user(&head, sizeof(head), (void *)message);
	first_piece(head.vector, head.n, &data);
	return record_moved(call, fd, &data, out);
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
	moved_buffer(call, in, 0, 0, 0);
	return moved_buffer(call, out, 0, 0, 1);
}

/* A pipe has no name; it is announced when made, so that attribution learns by whom. */
static __always_inline int record_pipe_end(struct call *call, __u32 fd)
{
	struct file *file = file_of(fd);
	struct identity who;

	if (!file)
		return 0;
	identify(BPF_CORE_READ(file, f_inode), &who);
	BEGIN_RECORD(record, open, OPEN, call->cgroup, 0, 0, fd);
	record->r.fd = fd;
	record->r.object = who.object;
	record->r.dev = who.dev;
	record->r.ino = who.ino;
	record->r.gen = who.gen;
	record->r.flags = record->r.mode = 0;
	record->r.path.offset = sizeof(record->r);
	record->r.path.len = 0;
	emit(record);
	return 0;
}

struct descriptor_pair {
	int fd[2];
};

/* The pair of descriptors that pipe and socketpair have written to user space. */
static __always_inline int read_pair(struct descriptor_pair *pair, unsigned long user)
{
	return bpf_probe_read_user(pair, sizeof(*pair), (void *)user);
}

static __always_inline int record_pipe(struct call *call, unsigned long user)
{
	struct descriptor_pair pair;

	if (read_pair(&pair, user) < 0)
		return count_loss(call->cgroup, FP_LOSS_CAUSE_FAULT);
	return record_pipe_end(call, pair.fd[0]); /* one inode, two ends */
}

static __always_inline int record_socketpair(struct call *call, unsigned long user)
{
	struct descriptor_pair pair;

	if (read_pair(&pair, user) < 0)
		return count_loss(call->cgroup, FP_LOSS_CAUSE_FAULT);
	record_socket(call, pair.fd[0]);
	return record_socket(call, pair.fd[1]);
}

HANDLER(on_pipe, IF_DONE(record_pipe(&call, a1)))
HANDLER(on_socketpair, IF_DONE(record_socketpair(&call, a4)))
HANDLER(on_open, IF_DONE(record_open(&call, a2)))
HANDLER(on_openat, IF_DONE(record_open(&call, a3)))
HANDLER(on_openat2, IF_DONE(record_open(&call, openat2_flags(a3))))
HANDLER(on_creat, IF_DONE(record_open(&call, 01 | 0100 | 01000)))
HANDLER(on_read, IF_DONE(moved_buffer(&call, a1, a2, a3, 0)))
HANDLER(on_write, IF_DONE(moved_buffer(&call, a1, a2, a3, 1)))
HANDLER(on_readv, IF_DONE(moved_vector(&call, a1, a2, a3, 0)))
HANDLER(on_writev, IF_DONE(moved_vector(&call, a1, a2, a3, 1)))
HANDLER(on_recvmsg, IF_DONE(moved_message(&call, a1, a2, 0)))
HANDLER(on_sendmsg, IF_DONE(moved_message(&call, a1, a2, 1)))
HANDLER(on_sendfile, IF_DONE(moved_between(&call, a1, a2)))
HANDLER(on_copy_range, IF_DONE(moved_between(&call, a3, a1)))
HANDLER(on_close, IF_DONE(record_close(&call, a1)))
HANDLER(on_rename, IF_DONE(record_rename(&call, AT_FDCWD, (void *)a1, AT_FDCWD, (void *)a2)))
HANDLER(on_renameat, IF_DONE(record_rename(&call, a1, (void *)a2, a3, (void *)a4)))
HANDLER(on_unlink, IF_DONE(record_unlink(&call, AT_FDCWD, (void *)a1, 0)))
HANDLER(on_unlinkat, IF_DONE(record_unlink(&call, a1, (void *)a2, a3)))
HANDLER(on_chmod, IF_DONE(record_chmod_name(&call, AT_FDCWD, (void *)a1, a2)))
HANDLER(on_fchmodat, IF_DONE(record_chmod_name(&call, a1, (void *)a2, a3)))
HANDLER(on_fchmod, IF_DONE(record_chmod_fd(&call, a1, a2)))
HANDLER(on_mmap, if (result < 0 && result > -4096) return 0; record_mapping(&call, a3, a4, a5))
HANDLER(on_socket, IF_DONE(record_socket(&call, result)))
/* a connect that goes on in the background counts */
HANDLER(on_connect, if (result == 0 || result == -115) record_connect(&call, a1))
HANDLER(on_accept, IF_DONE(record_accept(&call, result)))

static __always_inline void count_turn(int poll)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct thread_state *state = bpf_task_storage_get(&threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!state)
		return;
	if (poll)
		state->polls = 1;
	if (poll || !state->polls)
		state->turn++;
}

#define FUTEX_CMD_MASK 127
#define FUTEX_WAIT 0
#define FUTEX_WAIT_BITSET 9

HANDLER(on_poll, count_turn(1))
HANDLER(on_futex, if ((a2 & FUTEX_CMD_MASK) == FUTEX_WAIT || (a2 & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET) count_turn(0))

/* The first HELLO of a container makes its watchdog; later ones are recorded and judged by the agent. */
static __always_inline void claim_watchdog(__u64 cgroup)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct fp_watchdog claim = {.tgid = task->tgid, .process_start = task->group_leader->start_boottime};

	bpf_map_update_elem(&watchdogs, &cgroup, &claim, BPF_NOEXIST);
}

static __always_inline int record_mark(struct call *call, __u64 arg2, __u64 id_hi, __u64 id_lo, const void *details)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct task_struct *leader = task->group_leader;
	__u32 fd = arg2 >> 32, len = arg2 >> 16 & 0xffff;
	struct endpoints e = {};
	struct file *file = 0;

	if ((arg2 & 0xff) == FP_MARK_KIND_HELLO)
		claim_watchdog(call->cgroup);
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

HANDLER(on_prctl, if (a1 == FP_MARK_PRCTL) record_mark(&call, a2, a3, a4, (void *)a5))

/*
 * A runtime's word for whose work the thread does now: a question after a file
 * that never exists (mark.def).  Any other question costs one read of its name.
 */
static __always_inline int record_enter(struct call *call, const char *name)
{
	static const char prefix[] = FP_MARK_ENTER_PREFIX;
	struct endpoints e = {};
	char text[FP_MARK_ENTER_SIZE];

	if (bpf_probe_read_user(text, sizeof(text), name) < 0)
		return 0;
	for (int i = 0; i < (int)sizeof(prefix) - 1; i++)
		if (text[i] != prefix[i])
			return 0;
	BEGIN_RECORD(record, mark, MARK, call->cgroup, FP_MARK_ENTER_SIZE, 0, call->result);
	record->r.mark = FP_MARK_KIND_ENTER | 1 << 8;
	record->r.id_hi = record->r.id_lo = record->r.ns_tgid = record->r.parent_tgid = 0;
	COPY_ENDPOINTS(&record->r, 0, &e);
	__builtin_memcpy(record->room_, text, sizeof(text));
	record->r.details.offset = sizeof(record->r) + sizeof(prefix) - 1;
	record->r.details.len = sizeof(text) - (sizeof(prefix) - 1);
	emit(record);
	return 0;
}

HANDLER(on_access, if (result == -2) record_enter(&call, (void *)a1))
HANDLER(on_faccessat, if (result == -2) record_enter(&call, (void *)a2))

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	__u64 cgroup = recorded_cgroup();

	if (!cgroup)
		return 0;
	BEGIN_RECORD(record, fork, FORK, cgroup, 0, 0, child->pid);
	record->r.child_tgid = child->tgid;
	record->r.child_tid = child->pid;
	record->r.child_start = BPF_CORE_READ(child, group_leader, start_boottime);
	record->r.flags = 0;
	emit(record);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	__u64 cgroup = recorded_cgroup();

	if (!cgroup)
		return 0;
	BEGIN_RECORD(record, exit, EXIT, cgroup, 0, 0, task->exit_code);
	record->r.flags = BPF_CORE_READ(task, signal, live.counter) == 0 ? FP_EXIT_PROCESS : 0;
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
	identify(BPF_CORE_READ(file, f_inode), &who);
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
	record->r.path.offset = sizeof(record->r) + begin;
	record->r.path.len = PATH_ROOM - begin;
	start = BPF_CORE_READ(task, mm, arg_start);
	end = BPF_CORE_READ(task, mm, arg_end);
	len = end - start;
	if (len > FP_ARGV_MAX)
		len = FP_ARGV_MAX;
	VISIBLE(len);
	if (len > FP_ARGV_MAX || bpf_probe_read_user(record->room_ + WALK_ROOM, len, (void *)start) < 0)
		len = 0;
	record->r.argv.offset = sizeof(record->r) + WALK_ROOM;
	record->r.argv.len = len;
	emit(record);
	return 0;
}

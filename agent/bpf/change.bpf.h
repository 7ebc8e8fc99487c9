/*
 * What is done to files beside reading and writing: links, special files,
 * length, owner, extended attributes, shared mappings, and descriptors that come
 * from elsewhere.  Like all of the file family at the exit of the call.
 */
#ifndef FP_AGENT_BPF_CHANGE_H
#define FP_AGENT_BPF_CHANGE_H

#include "agent/bpf/names.bpf.h"
#include "agent/bpf/network.bpf.h"

#define MAP_TYPE 0x0f
#define MAP_SHARED 1
#define MAP_SHARED_VALIDATE 3

__noinline int record_truncate_file(__u64 cgroup, long result, __u64 of_file, __u32 fd, __u64 length)
{
	struct file *file = (void *)of_file;
	struct identity who;

	if (!file)
		return 0;
	identify_file(file, &who);
	BEGIN_RECORD(record, truncate, TRUNCATE, cgroup, WALK_ROOM, 0, result);
	PUT_OBJECT(record, who);
	record->r.fd = fd;
	record->r.bytes = length;
	record->r.naming = FP_NAMING_KIND_RESOLVED;
	PUT_PATH(record, file);
	emit(record);
	return 0;
}

#define VM_SHARED 8 /* and of a file that may be written */
#define PROT_WRITE 2

struct mapped {
	struct file *file;
	unsigned long end, flags;
};

static long take_file(struct task_struct *task, struct vm_area_struct *area, void *arg)
{
	struct mapped *mapped = arg;

	mapped->file = BPF_CORE_READ(area, vm_file);
	mapped->end = BPF_CORE_READ(area, vm_end);
	mapped->flags = BPF_CORE_READ(area, vm_flags);
	return 0;
}

/* What lies at that address; the descriptor's number may stand for something else by now. */
static __always_inline struct file *mapped_file(unsigned long address, __u32 fd)
{
	struct mapped mapped = {};

	if (bpf_find_vma((void *)bpf_get_current_task_btf(), address, take_file, &mapped, 0) == 0 && mapped.file)
		return mapped.file;
	return file_of(fd);
}

/* `how`: MAP_*, and in the upper half PROT_*: a function takes five arguments. */
__noinline int record_shared(__u64 cgroup, __u64 of_file, __u32 fd, __u64 length, __u64 how)
{
	struct file *file = (void *)of_file;
	struct identity who;

	if (!file)
		return 0;
	identify_file(file, &who);
	if (who.object == FP_OBJECT_KIND_OTHER || who.object == FP_OBJECT_KIND_DEVICE)
		return 0;
	/* a descriptor that allows writing can be made writable later without another look at the file */
	BEGIN_RECORD(record, map, MAP, cgroup, WALK_ROOM, 0, 0);
	PUT_OBJECT(record, who);
	record->r.fd = fd;
	record->r.bytes = length;
	record->r.flags = (__u32)how;
	record->r.protection = how >> 32;
	PUT_PATH(record, file);
	emit(record);
	return 0;
}

/*
 * Processes with a shared mapping that they may make writable later.  What an mprotect goes over can be looked up only while
 * no other thread changes mappings; of all others, whose memory grows by it all the time, nothing is missed then.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32); /* tgid */
	__type(value, __u64); /* start */
} sharers SEC(".maps");

static __always_inline void note_sharer(struct task_struct *leader)
{
	__u64 start = leader->start_boottime;
	__u32 tgid = leader->tgid;

	bpf_map_update_elem(&sharers, &tgid, &start, BPF_ANY);
}

static __always_inline int is_sharer(struct task_struct *leader)
{
	__u32 tgid = leader->tgid;
	__u64 *start = bpf_map_lookup_elem(&sharers, &tgid);

	return start && *start == leader->start_boottime;
}

static __always_inline int record_mmap(struct call *call, __u64 length, __u64 protection, __u64 flags, __u32 fd)
{
	__u64 type = flags & MAP_TYPE, file;

	if (flags & MAP_ANONYMOUS || (!(protection & PROT_EXEC) && type != MAP_SHARED && type != MAP_SHARED_VALIDATE))
		return 0;
	file = (__u64)mapped_file(call->result, fd);
	if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE) {
		if (!(protection & PROT_WRITE))
			note_sharer(bpf_get_current_task_btf()->group_leader);
		record_shared(call->cgroup, file, fd, length, (__u32)flags | protection << 32);
	}
	return file && protection & PROT_EXEC ? record_load(call->cgroup, file) : 0;
}

static __always_inline int record_truncate_fd(struct call *call, __u32 fd, __u64 length)
{
	return record_truncate_file(call->cgroup, call->result, (__u64)file_of(fd), fd, length);
}

/* Mappings that one mprotect goes over; one of more is counted as truncated. */
#define AREAS_MAX 16

struct protected {
	__u64 cgroup, protection;
	unsigned long at, end;
	struct file *last;
};

/* Memory that processes share without a file is one all the same, of a name that none can have. */
static __always_inline int is_nameless(struct file *file)
{
	static const char nameless[4] = "dev/";
	char begin[4] = {};

	bpf_probe_read_kernel(begin, sizeof(begin), BPF_CORE_READ(file, f_path.dentry, d_name.name));
	return *(__u32 *)begin == *(__u32 *)nameless;
}

/* A shared mapping that gets writable writes, as one that was made so. */
static __always_inline void protect_shared(struct protected *protected, struct mapped *mapped)
{
	unsigned long end = mapped->end < protected->end ? mapped->end : protected->end;

	if (protected->protection & PROT_WRITE && mapped->flags & VM_SHARED && !is_nameless(mapped->file))
		record_shared(protected->cgroup, (__u64)mapped->file, NO_DESCRIPTOR, end - protected->at,
			      MAP_SHARED | protected->protection << 32);
}

static long protect_one(__u32 i, struct protected *protected)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct mapped mapped = {};

	if (protected->at >= protected->end)
		return 1;
	if (bpf_find_vma(task, protected->at, take_file, &mapped, 0) < 0) {
		if (protected->protection & PROT_EXEC || is_sharer(task->group_leader))
			count_loss(protected->cgroup, FP_LOSS_CAUSE_FAULT);
		protected->at = protected->end;
		return 1;
	}
	if (mapped.file)
		protect_shared(protected, &mapped);
	/* a file lies in several pieces beside each other */
	if (mapped.file && mapped.file != protected->last && protected->protection & PROT_EXEC)
		record_load(protected->cgroup, (__u64)mapped.file);
	protected->last = mapped.file;
	protected->at = mapped.end;
	return 0;
}

/* A file that was mapped without PROT_EXEC and gets it now is loaded as much as one that was mapped with it. */
static __always_inline int record_protect(struct call *call, unsigned long address, unsigned long len, __u64 protection)
{
	struct protected protected = {.cgroup = call->cgroup, .protection = protection, .at = address, .end = address + len};

	if (!(protection & (PROT_EXEC | PROT_WRITE)))
		return 0;
	bpf_loop(AREAS_MAX, protect_one, &protected, 0);
	return protected.at < protected.end ? count_loss(call->cgroup, FP_LOSS_CAUSE_TRUNCATED) : 0;
}

#define SHM_RDONLY 010000
#define PROT_READ_WRITE 3

/* shmat: what is mapped there is a file in memory, the same for all who attach it. */
static __always_inline int record_attach(struct call *call, __u64 flags)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct mapped mapped = {};
	struct identity who;
	struct file *file;

	if (bpf_find_vma(task, call->result, take_file, &mapped, 0) < 0 || !mapped.file)
		return count_loss(call->cgroup, FP_LOSS_CAUSE_FAULT);
	file = mapped.file;
	identify_file(file, &who);
	BEGIN_RECORD(record, map, MAP, call->cgroup, WALK_ROOM, 0, 0);
	PUT_OBJECT(record, who);
	record->r.fd = NO_DESCRIPTOR;
	record->r.bytes = 0;
	record->r.flags = MAP_SHARED;
	record->r.protection = flags & SHM_RDONLY ? 1 : PROT_READ_WRITE;
	PUT_PATH(record, file);
	emit(record);
	return 0;
}

/* A descriptor that another process had opened arrives here. */
__noinline int record_passed(__u64 cgroup, __u32 fd, __u64 operation)
{
	struct file *file = file_of(fd);
	struct identity who;

	if (!file)
		return 0;
	identify_file(file, &who);
	BEGIN_RECORD(record, pass, PASS, cgroup, WALK_ROOM, 0, fd);
	PUT_OBJECT(record, who);
	record->r.fd = fd;
	record->r.flags = FIELD(struct file, file, f_flags);
	record->r.operation = operation;
	PUT_PATH(record, file);
	emit(record);
	return 0;
}

/* A pipe has no name; it is announced when made, so that attribution learns by whom. */
static __always_inline int record_pipe_end(struct call *call, __u32 fd)
{
	struct file *file = file_of(fd);
	struct identity who;

	if (!file)
		return 0;
	identify_file(file, &who);
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

struct control_head {
	unsigned long len;
	int level, type;
};
#define SOL_SOCKET 1
#define SCM_RIGHTS 1
#define CONTROLS_MAX 6 /* credentials, times, security labels: each option brings one */

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

#define NARROW_HEAD 12
static __always_inline int read_control(struct control_head *head, unsigned long control)
{
	__u32 narrow[3];

	if (!is_foreign())
		return bpf_probe_read_user(head, sizeof(*head), (void *)control);
	if (bpf_probe_read_user(narrow, sizeof(narrow), (void *)control) < 0)
		return -1;
	head->len = narrow[0];
	head->level = narrow[1];
	head->type = narrow[2];
	return 0;
}

/* The descriptors in what recvmsg left behind: the first control message of that kind among some. */
static __always_inline int record_rights(__u64 cgroup, unsigned long control, unsigned long len)
{
	struct control_head head = {};
	struct rights rights;
	__u32 n, size = is_foreign() ? NARROW_HEAD : sizeof(head), word = is_foreign() ? 4 : sizeof(long);

	for (int i = 0; i < CONTROLS_MAX && len >= size; i++) {
		if (read_control(&head, control) < 0 || head.len < size || head.len > len)
			return 0;
		if (head.level == SOL_SOCKET && head.type == SCM_RIGHTS) {
			n = (head.len - size) / sizeof(int);
			rights.cgroup = cgroup;
			rights.array = control + size;
			bpf_loop(n < FP_PASSED_MAX ? n : FP_PASSED_MAX, pass_one, &rights, 0);
			if (n > FP_PASSED_MAX)
				count_loss(cgroup, FP_LOSS_CAUSE_TRUNCATED);
			return 0;
		}
		head.len = (head.len + word - 1) & ~(unsigned long)(word - 1);
		if (head.len > len)
			return 0;
		control += head.len;
		len -= head.len;
	}
	return 0;
}

#endif

/*
 * What every family uses: the maps, the guard (is this task recorded?), and the
 * life of a record: guard, reserve, fill, emit.  Records are built in reserved
 * ring memory and never in per-CPU scratch, because our programs run preemptible
 * and another task could tear it.
 */
#ifndef FP_AGENT_BPF_COMMON_H
#define FP_AGENT_BPF_COMMON_H

#include "bpf/kernel.h"
#include "schema/record.h"
/* libbpf's helper declarations want the kernel's names of these types */
typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum bpf_map_type_used {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum { BPF_F_NO_PREALLOC = 1, BPF_F_MMAPABLE = 1 << 10 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2, BPF_RB_AVAIL_DATA = 0, BPF_RB_RING_SIZE = 1 };
enum { BPF_LOCAL_STORAGE_GET_F_CREATE = 1 };

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "agent/bpf/shared.h"

#define O_CLOEXEC 02000000
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
/* Keeps clang from reasoning a bound away that the verifier needs to see. */
#define VISIBLE(x) asm volatile("" : "+r"(x))

/* As whom a task works, into a record. */
#define FILL_CREDENTIALS(to, task)                                                                 \
	(to)->uid = BPF_CORE_READ(task, cred, uid.val);                                            \
	(to)->gid = BPF_CORE_READ(task, cred, gid.val);                                            \
	(to)->euid = BPF_CORE_READ(task, cred, euid.val);                                          \
	(to)->egid = BPF_CORE_READ(task, cred, egid.val);                                          \
	(to)->capabilities = BPF_CORE_READ(task, cred, cap_effective.val)

/* Set by the agent before load: whose tasks are recorded (shared.h). */
const volatile __u64 root_cgroup = 0;
const volatile int root_level = 0;
const volatile int container_level = 0;
const volatile __u64 ring_size = 0;
/* How deep a container's pid name space lies. */
const volatile unsigned int pid_level = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, FP_RING_SIZE_DEFAULT);
} ring SEC(".maps");

/* Number of the next record per processor; atomic because we can be preempted. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} sequence SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FP_LOSSES_MAX);
	__type(key, struct fp_loss_key);
	__type(value, __u64);
} losses SEC(".maps");

/* Of the agent alone; here because it must live as long as the ring. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fp_about);
} about SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FP_JOURNAL_SLOTS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct fp_journal_slot));
} journal SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FP_USAGE_SLOTS);
	__type(key, __u32);
	__type(value, struct fp_usage);
} usage SEC(".maps");

struct thread_state {
	__u64 turn;
	__u64 polls; /* uses an event loop: then only that makes a turn */
	__u64 board; /* address of its own board, and the exec that it was told in */
	__u64 board_exec;
	/*
	 * address of the number of what it runs; 0: the board's first id holds.  Of a thread without a board: 1 + the
	 * descriptor of the file that it opened last to read it, if nobody said for whom
	 */
	__u64 running;
	__u64 said[2]; /* what the last ENTER told of it */
	__u64 since; /* end of its last rest */
	__u64 woke; /* end of its last wait for descriptors, a rest or not */
	__u64 due; /* no timer of its loop was due earlier, when it rested; 0: none was pending */
	__u64 loop; /* the descriptor that it waits with */
	__u64 told_due;
	__u64 untold; /* 1: the rest has not been told */
	__u64 busy; /* 1: it has taken in something without having rested */
	__u64 signals; /* 1: it has written to an eventfd, as a pool's thread that has done what the loop asked for */
	__u32 fresh; /* 1: of a process whose work moves: that it woke has not been told */
	__u32 said_after; /* how many runs of records had been refused when that was said */
	__u64 moves; /* work goes from thread to thread of the process: its loop is kept with its first thread */
	__u64 last; /* end of its last call that does something */
	__u64 woken; /* when it was woken last, which can be long before it came back from its wait */
	__u64 giver; /* when who woke it had come back to its loop; 0: that has none, or is of another process */
	/* of a thread whose descriptors others can change: end of the last call that we know of, and how often it had slept by then */
	__u64 seen, switches;
	/* of a process's first thread: the board that speaks for threads without one of their own */
	union {
		__u64 tables;
		__u64 lookup; /* of such a thread: the number of the name lookup that it does (lookup.bpf.h) */
	};
	__u64 tables_exec;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread_state);
} threads SEC(".maps");

/*
 * The last name lookups that a process gave to its pool, each at what its number leaves over; kept with the process's
 * first thread.  No other process can push them out, and what is pushed out is nobody's.
 */
#define LOOKUPS_MAX 128
#define LOOKUP_BEGUN (1ull << 63)

struct lookup {
	__u64 number; /* from 1; with LOOKUP_BEGUN when a thread has taken it; 0: it is being written */
	__u64 work; /* address of what the pool keeps of it: the function that does it, until that has returned */
	__u64 function;
	__u64 id[2]; /* for whom; zeros: nobody said */
};

struct lookups {
	__u64 last; /* number */
	__u64 counted; /* 1: among `n_states` */
	struct lookup of[LOOKUPS_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct lookups);
} lookups SEC(".maps");

/*
 * The watchdogs of containers, whom the agent believed, each at its number's place: most calls look here, and find out by one
 * comparison that they are nobody's.  Where two share a place more is recorded, nothing less.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FP_WATCHDOG_SLOTS);
	__type(key, __u32);
	__type(value, struct fp_watchdog);
} watchdogs SEC(".maps");

struct call {
	struct pt_regs *regs;
	long result;
	__u64 cgroup;
	__u64 number; /* of the native table, whichever way it came */
};

#if defined(__TARGET_ARCH_x86)
static __always_inline long call_number(struct pt_regs *regs) { return (long)regs->orig_ax; }
static __always_inline unsigned long call_arg1(struct pt_regs *regs) { return regs->di; }
static __always_inline unsigned long call_arg2(struct pt_regs *regs) { return regs->si; }
static __always_inline unsigned long call_arg3(struct pt_regs *regs) { return regs->dx; }
static __always_inline unsigned long call_arg4(struct pt_regs *regs) { return regs->r10; }
static __always_inline unsigned long call_arg5(struct pt_regs *regs) { return regs->r8; }
static __always_inline unsigned long call_stack(struct pt_regs *regs) { return regs->sp; }
static __always_inline long call_result(struct pt_regs *regs) { return regs->ax; }
#define TS_COMPAT 2
#define CALL_OPENAT 257
#define CALL_READ 0
/* Calls by which pools move bytes: read, write, close, pread64, pwrite64, readv, writev, preadv, pwritev. */
#define MOVES_BYTES(nr) (((nr) <= 3 && (nr) != 2) || ((nr) >= 17 && (nr) <= 20) || (nr) == 295 || (nr) == 296)
/* By which they look up names: socket, connect, sendto, recvfrom, sendmsg, recvmsg, recvmmsg, sendmmsg. */
#define LOOKS_UP(nr) ((nr) == 41 || (nr) == 42 || ((nr) >= 44 && (nr) <= 47) || (nr) == 299 || (nr) == 307)
/* A call of the 32-bit kind: its numbers and arguments mean something else. */
static __always_inline int is_foreign(void)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	return task->thread_info.status & TS_COMPAT;
}
/* x32: 64-bit registers, 32-bit pointers.  After a signal's return the number is -1, and none. */
static __always_inline int is_of_third_kind(struct pt_regs *regs) { return !is_foreign() && regs->orig_ax >> 30 == 1; }
#elif defined(__TARGET_ARCH_arm64)
static __always_inline long call_number(struct pt_regs *regs) { return regs->syscallno; }
/* x0 holds the result by now; the kernel keeps the first argument beside it */
static __always_inline unsigned long call_arg1(struct pt_regs *regs) { return regs->orig_x0; }
static __always_inline unsigned long call_arg2(struct pt_regs *regs) { return regs->regs[1]; }
static __always_inline unsigned long call_arg3(struct pt_regs *regs) { return regs->regs[2]; }
static __always_inline unsigned long call_arg4(struct pt_regs *regs) { return regs->regs[3]; }
static __always_inline unsigned long call_arg5(struct pt_regs *regs) { return regs->regs[4]; }
static __always_inline unsigned long call_stack(struct pt_regs *regs) { return regs->sp; }
static __always_inline long call_result(struct pt_regs *regs) { return regs->regs[0]; }
#define TIF_32BIT 22
/* Calls of 32 bits are not taken apart: they are of the third kind. */
static __always_inline int is_foreign(void) { return 0; }
static __always_inline int is_of_third_kind(struct pt_regs *regs)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	return task->thread_info.flags >> TIF_32BIT & 1;
}
#define CALL_OPENAT 56
#define CALL_READ 63
/* Calls by which pools move bytes: close, read, write, readv, writev, pread64, pwrite64, preadv, pwritev. */
#define MOVES_BYTES(nr) ((nr) == 57 || ((nr) >= 63 && (nr) <= 70))
/* By which they look up names: socket, connect, sendto, recvfrom, sendmsg, recvmsg, recvmmsg, sendmmsg. */
#define LOOKS_UP(nr) ((nr) == 198 || (nr) == 203 || (nr) == 206 || (nr) == 207 || (nr) == 211 || (nr) == 212 || (nr) == 243 || (nr) == 269)
#endif

/* Written by the agent alone; `n_ours` last. */
struct fp_ours_seen ours[FP_OURS_MAX] = {};
__u64 n_ours = 0;

/* A function of its own: it is needed seldom, and looked at by the verifier once a program. */
__noinline int is_one_of_ours(__u64 tgid, __u64 start)
{
	for (int i = 0; i < FP_OURS_MAX; i++)
		if (ours[i].tgid == tgid && ours[i].start == start / FP_TICK)
			return 1;
	return 0;
}

static __always_inline int is_ours(struct task_struct *leader)
{
	return n_ours && is_one_of_ours(leader->tgid, leader->start_boottime);
}

static __always_inline int is_recorded(void)
{
	return bpf_get_current_ancestor_cgroup_id(root_level) == root_cgroup &&
	       !is_ours(bpf_get_current_task_btf()->group_leader);
}

/* Of a task that is recorded. */
static __always_inline __u64 container_cgroup(void)
{
	__u64 cgroup = bpf_get_current_ancestor_cgroup_id(container_level);

	/* one that lies less deep is a container by itself (a pod of the guaranteed class beside those in a class's folder) */
	return cgroup ? cgroup : bpf_get_current_cgroup_id();
}

/* The guard: 0 when the current task is not recorded, else the cgroup of its container. */
static __always_inline __u64 recorded_cgroup(void)
{
	return is_recorded() ? container_cgroup() : 0;
}

struct cgroup___before_6_1 {
	__u64 ancestor_ids[0];
} __attribute__((preserve_access_index));

/* What bpf_get_current_ancestor_cgroup_id() says of the running task, of any cgroup. */
static __always_inline __u64 ancestor_id(struct cgroup *cgroup, int level)
{
	struct cgroup___before_6_1 *old = (void *)cgroup;
	struct cgroup *ancestor = 0;
	__u64 id = 0;

	if (!cgroup || level < 0 || level > BPF_CORE_READ(cgroup, level))
		return 0;
	if (bpf_core_field_exists(old->ancestor_ids)) {
		bpf_probe_read_kernel(&id, sizeof(id),
				      (char *)cgroup + bpf_core_field_offset(struct cgroup___before_6_1, ancestor_ids) +
					      level * sizeof(id));
		return id;
	}
	bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
			      (char *)cgroup + bpf_core_field_offset(struct cgroup, ancestors) + level * sizeof(ancestor));
	return ancestor ? BPF_CORE_READ(ancestor, kn, id) : 0;
}

/* The container that a cgroup is, or lies in; 0: it is not recorded. */
__noinline __u64 recorded_container(__u64 of_cgroup)
{
	struct cgroup *cgroup = (void *)of_cgroup;
	__u64 container;

	if (ancestor_id(cgroup, root_level) != root_cgroup)
		return 0;
	container = ancestor_id(cgroup, container_level);
	return container ? container : BPF_CORE_READ(cgroup, kn, id);
}

static __always_inline __u64 next_sequence(void)
{
	__u32 zero = 0;
	__u64 *next = bpf_map_lookup_elem(&sequence, &zero);

	return next ? __sync_fetch_and_add(next, 1) : 0;
}

/* Grows with each loss, after that loss is in the table: the agent looks into the table only when this has moved. */
__u64 losses_counted = 0;

__noinline int count_loss(__u64 cgroup, __u32 cause)
{
	struct fp_loss_key key = {.cgroup = cgroup, .cause = cause};
	__u64 zero = 0, *n;

	n = bpf_map_lookup_elem(&losses, &key);
	if (!n) {
		bpf_map_update_elem(&losses, &key, &zero, BPF_NOEXIST);
		n = bpf_map_lookup_elem(&losses, &key);
	}
	if (!n) { /* table full: count it for the host at least */
		key.cgroup = 0;
		bpf_map_update_elem(&losses, &key, &zero, BPF_NOEXIST);
		n = bpf_map_lookup_elem(&losses, &key);
	}
	if (n)
		__sync_fetch_and_add(n, 1);
	__sync_fetch_and_add(&losses_counted, 1);
	return 0;
}

/* How many there are of these, and how many there may be: the agent's limit of memory holds for them, too. */
__u64 n_states = 0;
__u64 states_max = 0;

/* NULL: there are too many; what the thread rests on is not told then, and it is never believed to rest. */
static __always_inline struct thread_state *make_state(struct task_struct *task)
{
	struct thread_state *state = bpf_task_storage_get(&threads, task, 0, 0);

	if (state)
		return state;
	if (n_states >= states_max) {
		count_loss(container_cgroup(), FP_LOSS_CAUSE_STATE_FULL);
		return 0;
	}
	state = bpf_task_storage_get(&threads, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (state)
		__sync_fetch_and_add(&n_states, 1);
	return state;
}

/* What `lookups` take of memory: as much as so many states of threads. */
#define LOOKUPS_AS_STATES 19

static __always_inline void count_lookups(struct lookups *all, int are_there)
{
	if (__sync_val_compare_and_swap(&all->counted, !are_there, are_there) == !are_there)
		__sync_fetch_and_add(&n_states, are_there ? LOOKUPS_AS_STATES : -LOOKUPS_AS_STATES);
}

/* Of any task that ends: it may have been recorded once. */
static __always_inline void end_state(struct task_struct *task)
{
	struct thread_state *state = n_states ? bpf_task_storage_get(&threads, task, 0, 0) : 0;
	struct lookups *all = state && state->tables ? bpf_task_storage_get(&lookups, task, 0, 0) : 0;

	if (state)
		__sync_fetch_and_add(&n_states, -1);
	if (all)
		count_lookups(all, 0);
}

static __always_inline __u64 waiting(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
}

/*
 * Bulk records leave the last eighth of the ring to the watchdog's marks and process records:
 * losing one of those would blur much more than itself.  What is said before one of them is one, too.
 */
#define IS_BULK 1
static __always_inline __u64 room_for(int bulk)
{
	__u64 top = bulk ? ring_size - ring_size / 8 : ring_size, taken = waiting();

	return taken < top ? top - taken : 0;
}

static __always_inline void fill_head(struct fp_record_head *head, __u16 type, __u32 size, __u64 cgroup, long result);
static __always_inline void emit(void *record);

/*
 * Functions of their own, not static: the verifier looks at them once a program, and not again for each call of
 * them.  They take and give back mere numbers, or take plain memory.
 */

static __always_inline struct fp_usage *usage_of(__u64 cgroup)
{
	__u32 slot = cgroup % FP_USAGE_SLOTS;

	return bpf_map_lookup_elem(&usage, &slot);
}

/* Bytes a record takes of the ring. */
static __always_inline __u64 taken_by(__u64 size)
{
	return (size + FP_RING_HEAD + 7) & ~7ull;
}

/*
 * Which refused records a record comes after: read when it has its place in the ring, so that who depends on a
 * refused one tells of it himself, whoever was first to tell.
 */
static __always_inline __u16 tell_run(struct fp_usage *of)
{
	__u64 told = *(volatile __u64 *)&of->runs_told, runs = *(volatile __u64 *)&of->runs;

	if (runs != told)
		__sync_val_compare_and_swap(&of->runs_told, told, runs);
	return (__u16)(runs << FP_RECORD_RUN_SHIFT);
}

/* One is refused: of the run that nobody has told of, or of a new one. */
static __always_inline void count_refused(struct fp_usage *of)
{
	__u64 told = *(volatile __u64 *)&of->runs_told;

	__sync_fetch_and_add(&of->refused, 1);
	if (*(volatile __u64 *)&of->runs == told)
		__sync_val_compare_and_swap(&of->runs, told, told + 1);
}

/* A container's records begin or cease to be refused; told outside its budget, once for each change. */
__noinline int tell_throttle(__u64 cgroup, __u64 begins)
{
	struct fp_usage *of = usage_of(cgroup);
	struct fp_record_throttle *record;

	if (!of || __sync_val_compare_and_swap(&of->throttled, !begins, begins) == begins)
		return 0;
	record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
	if (!record) {
		next_sequence();
		return count_loss(cgroup, FP_LOSS_CAUSE_RING_FULL);
	}
	__sync_fetch_and_add(&of->written, taken_by(sizeof(*record)));
	fill_head(&record->head, FP_RECORD_TYPE_THROTTLE, sizeof(*record), cgroup, 0);
	record->head.version |= tell_run(of);
	record->flags = begins;
	record->bytes = of->written - of->read;
	record->refused_records = of->refused;
	emit(record);
	return 0;
}

/* A record that is not made is counted as lost, under a number of its own. */
__noinline int refuse(__u64 cgroup, __u64 has_room)
{
	struct fp_usage *of = usage_of(cgroup);

	next_sequence();
	count_loss(cgroup, has_room ? FP_LOSS_CAUSE_BUDGET : FP_LOSS_CAUSE_RING_FULL);
	if (of)
		count_refused(of);
	return has_room ? tell_throttle(cgroup, 1) : 0;
}

/* What may_reserve() says: within the budget; the ring has room. */
#define IS_ALLOWED 1
#define HAS_ROOM 2

__noinline int may_reserve(__u64 cgroup, __u64 size, __u64 bulk)
{
	struct fp_usage *of = usage_of(cgroup);
	__u64 room = room_for(bulk), held = of ? of->written - of->read : 0;

	return (held < FP_USAGE_SHARE * room ? IS_ALLOWED : 0) | (room > size ? HAS_ROOM : 0);
}

/* The head of a record that has its place in the ring, which its container is charged with. */
__noinline int start_record(struct fp_record_head *head, __u32 type, __u64 size, __u64 cgroup, long result)
{
	struct fp_usage *of = usage_of(cgroup);
	__u16 run = 0;

	if (!head)
		return 0;
	if (of) {
		__u64 held = __sync_fetch_and_add(&of->written, taken_by(size)) - of->read;

		/* well below what is allowed, so that it does not go to and fro */
		if (of->throttled && held < room_for(1))
			tell_throttle(cgroup, 0);
		run = tell_run(of);
	}
	fill_head(head, type, size, cgroup, result);
	head->version |= run;
	return 0;
}

#define RECORD_MOST 4096 /* no record is longer, so that none goes over the begin of a sixteenth */
/*
 * `var` points to a place in the ring with its head filled, or the function is left with the loss counted.
 * `may` is what may_reserve() said.
 */
#define RESERVE(var, type, cgroup, may, result)                                                    \
	do {                                                                                       \
		_Static_assert(sizeof(*(var)) <= RECORD_MOST, "emit() wakes by it");               \
		int may_ = (may);                                                                  \
		var = may_ & IS_ALLOWED ? bpf_ringbuf_reserve(&ring, sizeof(*(var)), 0) : 0;       \
		if (!(var))                                                                        \
			return refuse(cgroup, may_ & HAS_ROOM);                                    \
		start_record((void *)(var), type, sizeof(*(var)), cgroup, result);                 \
	} while (0)

/*
 * The agent drains the ring on a timer; it is woken only when much is waiting, and then with each sixteenth of the ring
 * that fills, so recorded tasks pay no wake-up: it is an interrupt to oneself, which costs as much as the record.
 */
#define WAKE_STEPS 16
static __always_inline void emit(void *record)
{
	__u64 taken = waiting();
	int wakes = taken > ring_size / 4 && (taken & (ring_size / WAKE_STEPS - 1)) < RECORD_MOST;

	bpf_ringbuf_submit(record, wakes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

static __always_inline void fill_head(struct fp_record_head *head, __u16 type, __u32 size, __u64 cgroup, long result)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct thread_state *state = bpf_task_storage_get(&threads, task, 0, 0);
	struct task_struct *leader = task->group_leader;

	head->type = type;
	head->version = FP_RECORD_VERSION;
	head->size = size;
	head->time = bpf_ktime_get_boot_ns();
	if (state) {
		state->last = state->seen = head->time;
		state->switches = task->nvcsw;
	}
	head->cpu = bpf_get_smp_processor_id();
	head->seq = next_sequence();
	head->cgroup = cgroup;
	head->tgid = task->tgid;
	head->tid = task->pid;
	head->process_start = leader->start_boottime;
	head->exec_id = leader->self_exec_id;
	head->turn = state ? state->turn : 0;
	head->result = result;
}

/* Which of the board's ids speaks for a call that moves bytes on a descriptor; 0: none. */
static __always_inline __u32 descriptor_place(__u64 board, struct pt_regs *regs)
{
	unsigned short place = 0;
	__u64 number = call_number(regs); /* of no call: none of these */

	if (is_foreign() || !MOVES_BYTES(number) || call_arg1(regs) >= FP_BOARD_DESCRIPTORS_MAX)
		return 0;
	bpf_probe_read_user(&place, sizeof(place), (void *)(board + FP_BOARD_DESCRIPTORS + 2 * call_arg1(regs)));
	return place;
}

/*
 * Which of the board's ids speaks for what a pool's thread does now.  An open
 * carries its number in the bits of its mode that mean nothing; a descriptor
 * has it in the board's table.  On the network a pool does nothing but look up
 * names, which is told of all that are under way; and so is what it reads of files that
 * it has opened itself (/etc/hosts) and the runtime knows nothing of.
 */
static __always_inline __u32 board_place(__u64 board, struct thread_state *state)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct pt_regs *regs = (void *)bpf_task_pt_regs(task);
	__u64 number = call_number(regs);
	__u32 place, lookups = 0;

	if (is_foreign()) /* numbers of another table; runtimes that show a board have none */
		return 0;
	if (number == CALL_OPENAT) {
		place = (__u32)call_arg4(regs) >> 12;
		if (state)
			state->running = !place && call_arg3(regs) == O_CLOEXEC && call_result(regs) >= 0 ?
						1 + call_result(regs) : 0;
		return place;
	}
	place = descriptor_place(board, regs);
	if (LOOKS_UP(number) || (number == CALL_READ && !place && state && state->running == 1 + call_arg1(regs) &&
				 call_arg1(regs) < FP_BOARD_DESCRIPTORS_MAX)) {
		bpf_probe_read_user(&lookups, sizeof(lookups), (void *)(board + FP_BOARD_LOOKUPS));
		return lookups;
	}
	return place;
}

/* The whole number that a double holds; 0 of one that is none. */
static __always_inline __u64 whole_number(__u64 bits)
{
	__u64 exponent = bits >> 52;

	if (exponent < 1023 || exponent > 1023 + 52)
		return 0;
	return (1ull << 52 | (bits & ((1ull << 52) - 1))) >> (1023 + 52 - exponent);
}

/*
 * Whose the resource is: where it was noted when it was made, else where connections are.  An entry is the number
 * and whose it is, as one: clang would add to a pointer by `or`, which the verifier refuses.
 */
static __always_inline __s32 owner_of(__u64 board, __u64 resource)
{
	__u64 owner, set[FP_BOARD_LASTING_WAYS];

	if (bpf_probe_read_user(&owner, sizeof(owner), (void *)(board + FP_BOARD_OWNERS +
								sizeof(owner) * (resource % FP_BOARD_OWNERS_MAX))) < 0)
		return 0;
	if ((__u32)owner == (__u32)resource)
		return (__s32)(owner >> 32);
	if (bpf_probe_read_user(set, sizeof(set), (void *)(board + FP_BOARD_LASTING +
							   sizeof(set) * (resource % FP_BOARD_LASTING_SETS))) < 0)
		return 0;
	for (int i = 0; i < FP_BOARD_LASTING_WAYS; i++)
		if ((__u32)set[i] == (__u32)resource)
			return (__s32)(set[i] >> 32);
	return 0;
}

/*
 * Whose the callback is that the thread runs: the board's first id while it
 * holds, else by the number of its resource.  A number whose place others have
 * taken says nothing.  In no callback, the runtime itself moves bytes for whose the
 * descriptor is.
 */
static __always_inline int whose_it_runs(struct thread_state *state, __u64 id[2])
{
	const __u64 board = state->board;
	struct { __u64 id[2], within; } first;
	__u32 number, place, holds;
	__s32 owner;
	__u64 bits;

	if (bpf_probe_read_user(&bits, sizeof(bits), (void *)state->running) < 0 ||
	    bpf_probe_read_user(&first, sizeof(first), (void *)board) < 0)
		return -1;
	if (bits == first.within) {
		id[0] = first.id[0];
		id[1] = first.id[1];
		return 0;
	}
	if (!bits) {
		place = descriptor_place(board, (void *)bpf_task_pt_regs(bpf_get_current_task_btf()));
		return !place || place >= FP_BOARD_IDS_MAX ? -1 :
			(int)bpf_probe_read_user(id, 16, (void *)(board + FP_BOARD_IDS + 16ull * place));
	}
	owner = owner_of(board, whole_number(bits));
	if (!owner)
		return -1;
	number = owner < 0 ? -(__u32)owner : (__u32)owner;
	place = 1 + number % (FP_BOARD_IDS_MAX - 1);
	if (bpf_probe_read_user(&holds, sizeof(holds), (void *)(board + FP_BOARD_NUMBERS + sizeof(holds) * place)) < 0 ||
	    holds != number)
		return -1;
	return (int)bpf_probe_read_user(id, 16, (void *)(board + FP_BOARD_IDS + 16ull * place));
}

/*
 * For whom the thread looks up a name, if it does: until the function has returned, which the pool notes where it keeps
 * it.  The same place may be another lookup's by then; that has another number.
 */
static __always_inline int lookup_owner(struct thread_state *state, struct task_struct *leader, __u64 id[2])
{
	struct lookups *all = bpf_task_storage_get(&lookups, leader, 0, 0);
	__u64 number = state->lookup, function = 0;
	struct lookup *one;

	if (!all)
		return 0;
	one = &all->of[number & (LOOKUPS_MAX - 1)];
	if (one->number != number || bpf_probe_read_user(&function, sizeof(function), (void *)one->work) < 0 ||
	    !function || function != one->function) {
		state->lookup = 0;
		return 0;
	}
	id[0] = one->id[0];
	id[1] = one->id[1];
	/* it can be overwritten meanwhile */
	if ((id[0] || id[1]) && __sync_val_compare_and_swap(&one->number, number, number) == number)
		return 1;
	id[0] = id[1] = 0;
	return 0;
}

/* The state of the process's first thread, if the process has shown a board with tables. */
static __always_inline struct thread_state *with_tables(struct task_struct *leader)
{
	struct thread_state *first = bpf_task_storage_get(&threads, leader, 0, 0);

	return first && first->tables && first->tables_exec == leader->self_exec_id ? first : 0;
}

static __always_inline void read_board(struct thread_state *state, __u64 id[2])
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct task_struct *leader = task->group_leader;
	struct thread_state *first;
	__u32 place;

	if (state && state->board) {
		if (state->board_exec != leader->self_exec_id ||
		    (state->running ? whose_it_runs(state, id) : bpf_probe_read_user(id, 16, (void *)state->board)) < 0)
			id[0] = id[1] = 0;
		return;
	}
	first = with_tables(leader);
	if (!first)
		return;
	place = board_place(first->tables, state);
	if (task != leader && state && state->lookup && lookup_owner(state, leader, id))
		return;
	if (place && place < FP_BOARD_IDS_MAX &&
	    bpf_probe_read_user(id, 16, (void *)(first->tables + FP_BOARD_IDS + 16ull * place)) < 0)
		id[0] = id[1] = 0;
}

/* The last run of refused records, as far as it is known now. */
static __always_inline __u32 run_of(__u64 cgroup)
{
	struct fp_usage *of = usage_of(cgroup);

	return of ? of->runs : 0;
}

/*
 * What the thread's board says, as an ENTER, when it is not what was said last, or records were refused since: then
 * what was said before is not believed any more.  Called before a record that it can matter to: a context that nothing was done
 * in makes none.
 */
static __always_inline int say_whose(struct thread_state *state, __u64 cgroup, __u64 bulk)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct fp_record_mark *record;
	__u64 id[2] = {};
	__u32 run;

	read_board(state, id);
	if (!state && (id[0] || id[1]))
		state = make_state(task);
	if (!state)
		return 0;
	run = id[0] || id[1] ? run_of(cgroup) : state->said_after;
	if (state->said[0] == id[0] && state->said[1] == id[1] && state->said_after == run)
		return 0;
	RESERVE(record, FP_RECORD_TYPE_MARK, cgroup, may_reserve(cgroup, sizeof(*record), bulk), 0);
	state->said[0] = id[0];
	state->said[1] = id[1];
	state->said_after = run;
	__builtin_memset((void *)record + sizeof(record->head), 0, sizeof(*record) - sizeof(record->head));
	record->mark = FP_MARK_KIND_ENTER | 1 << 8;
	record->id_hi = __builtin_bswap64(id[0]);
	record->id_lo = __builtin_bswap64(id[1]);
	record->details.offset = sizeof(*record);
	emit(record);
	return 0;
}

/* The process's entry, if it is a watchdog; for all others one comparison. */
static __always_inline struct fp_watchdog *watchdog_of(struct task_struct *task)
{
	__u32 tgid = task->tgid, slot = tgid % FP_WATCHDOG_SLOTS;
	struct fp_watchdog *watchdog = bpf_map_lookup_elem(&watchdogs, &slot);

	return watchdog && watchdog->tgid == tgid && watchdog->process_start == task->group_leader->start_boottime ? watchdog : 0;
}

static __always_inline int is_watchdog(__u64 cgroup)
{
	struct fp_watchdog *watchdog = watchdog_of((void *)bpf_get_current_task_btf());

	return watchdog && watchdog->cgroup == cgroup;
}

/* The same of the container that the task is in, which only a watchdog has looked up for it. */
static __always_inline int is_watchdog_here(void)
{
	struct fp_watchdog *watchdog = watchdog_of((void *)bpf_get_current_task_btf());

	return watchdog && watchdog->cgroup == container_cgroup();
}

/*
 * That the thread has rested, when that was not told yet.  Said before its first record since, so that
 * waits between which nothing was done make none.
 */
static __always_inline int say_wait(struct thread_state *own, __u64 cgroup, __u64 bulk)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct thread_state *state = own;
	struct fp_record_wait *record;
	__u64 untold;

	if (own && own->moves)
		state = bpf_task_storage_get(&threads, task->group_leader, 0, 0);
	if (!own || !state || (!state->untold && !own->fresh))
		return 0;
	if (is_watchdog(cgroup)) {
		state->untold = own->fresh = 0;
		return 0;
	}
	/* refused, it is still to be told */
	RESERVE(record, FP_RECORD_TYPE_WAIT, cgroup, may_reserve(cgroup, sizeof(*record), bulk), 0);
	untold = state->untold;
	state->untold = own->fresh = 0;
	record->head.result = own->moves ? record->head.time - own->woke : 0;
	record->fd = state->loop;
	record->flags = (untold && state->polls ? FP_WAIT_LOOP : 0) | (state->moves ? FP_WAIT_MOVES : 0) |
			(state->busy ? FP_WAIT_BUSY : 0) | (own->signals ? FP_WAIT_SIGNALS : 0);
	record->since = state->since;
	record->due = state->due;
	if (untold)
		state->told_due = state->due;
	emit(record);
	return 0;
}

/* What it was done to is known, not by which number: through io_uring, by a queue's own number. */
#define NO_DESCRIPTOR (~0u)

/* What an event loop takes in is judged without the assist, which has its word only after that. */
#define NEEDS_NO_WORD(EVENT) \
	(FP_RECORD_TYPE_##EVENT == FP_RECORD_TYPE_RECEIVE || FP_RECORD_TYPE_##EVENT == FP_RECORD_TYPE_ACCEPT)

/* How a record is begun: its thread's word is said before it; or it is one of many, and leaves room for others (above). */
#define WITH_WORD 2

/* Whether there are others that can close what the task uses. */
static __always_inline int shares_descriptors(void)
{
	return bpf_get_current_task_btf()->files->count.counter > 1;
}

/* Whether there are others that can change what the task has told the kernel. */
static __always_inline int shares_memory(void)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	return BPF_CORE_READ(task, mm, mm_users.counter) > 1;
}

/* The thread's state, which one that shares its descriptors has in any case, if there is room. */
static __always_inline struct thread_state *sharing_state(struct task_struct *task)
{
	return shares_descriptors() && n_states < states_max ? make_state(task) : bpf_task_storage_get(&threads, task, 0, 0);
}

static __always_inline void note_seen(struct thread_state *state)
{
	state->seen = bpf_ktime_get_boot_ns();
	state->switches = bpf_get_current_task_btf()->nvcsw;
}

/* A call has ended of which no record is made; when that was. */
static __always_inline __u64 end_unrecorded(void)
{
	struct thread_state *state = sharing_state((void *)bpf_get_current_task_btf());

	if (!state)
		return bpf_ktime_get_boot_ns();
	note_seen(state);
	return state->last = state->seen;
}

/* What is to be said before a record of `size` bytes; and whether that may be made. */
__noinline int prepare_record(__u64 cgroup, __u64 size, __u64 how)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct thread_state *state = sharing_state(task);

	say_wait(state, cgroup, how & IS_BULK);
	if (how & WITH_WORD)
		say_whose(state, cgroup, how & IS_BULK);
	return may_reserve(cgroup, size, how & IS_BULK);
}

#define BEGIN_RECORD(var, event, EVENT, cgroup, room, how, result)                                        \
	struct {                                                                                          \
		struct fp_record_##event r;                                                               \
		char room_[room];                                                                         \
	} *var;                                                                                           \
	RESERVE(var, FP_RECORD_TYPE_##EVENT, cgroup,                                                      \
		prepare_record(cgroup, sizeof(*var), (how) | (NEEDS_NO_WORD(EVENT) ? 0 : WITH_WORD)), result)

/* A pointer that the hook was given, as a mere number, which is what functions of their own can be given. */
static __always_inline __u64 argument(__u64 *ctx, int n)
{
	__u64 value = 0;

	bpf_probe_read_kernel(&value, sizeof(value), &ctx[n]);
	return value;
}

/* As its container numbers it: a process can make a name space of its own and be 1 in that. */
static __always_inline __u64 ns_tgid_of(struct task_struct *leader)
{
	struct pid *pid = leader->thread_pid;
	unsigned int level = BPF_CORE_READ(pid, level);
	int nr = 0;

	if (level > pid_level)
		level = pid_level;
	bpf_core_read(&nr, sizeof(nr), &pid->numbers[level & 31].nr);
	return nr;
}

#endif

/*
 * Whose each name lookup is that libuv's pool does: probes on uv_getaddrinfo and
 * uv_getnameinfo, which are called for whom the runtime assist's board says, and on
 * the functions that a thread of the pool runs for them later, which the agent sets
 * where a recorded process executes a program or loads a library that has them (agent/probes.h).
 *
 * All of it is the process's own word, as the board is.  The numbers that it gives
 * here are addresses in its memory: they are compared, and one word is read where they lead.
 */
#ifndef FP_AGENT_BPF_LOOKUP_H
#define FP_AGENT_BPF_LOOKUP_H

#include "agent/bpf/common.bpf.h"
#include "agent/bpf/function.bpf.h"

/* Where a request for a lookup has what the pool keeps of it: behind data, type, six reserved words and the loop, in all of libuv 1. */
#define REQUEST_WORK 72

#define PF_EXITING 0x4

/* The process's table, which is made when the first lookup is given, if there is room; NULL: there is none. */
static __always_inline struct lookups *make_lookups(struct task_struct *leader)
{
	struct lookups *all = bpf_task_storage_get(&lookups, leader, 0, 0);

	if (all || n_states + LOOKUPS_AS_STATES > states_max)
		return all;
	all = bpf_task_storage_get(&lookups, leader, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!all)
		return 0;
	count_lookups(all, 1);
	if (leader->flags & PF_EXITING) /* nobody may be there any more to take it off */
		count_lookups(all, 0);
	return all;
}

/* What was given with this address; there is no second one.  NULL: none of the last ones. */
static __always_inline struct lookup *find_lookup(struct lookups *all, __u64 work)
{
	for (int i = 0; i < LOOKUPS_MAX && i < all->last; i++) {
		struct lookup *one = &all->of[(all->last - i) & (LOOKUPS_MAX - 1)];

		if (one->work == work && one->number)
			return one;
	}
	return 0;
}

/* A request is given to the pool.  What was given with that address is over, also if nobody is known for this one. */
static __always_inline int give_lookup(__u64 request)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct task_struct *leader = task->group_leader;
	struct thread_state *state;
	struct lookups *all;
	struct lookup *one;
	__u64 work = request + REQUEST_WORK, id[2] = {}, number;

	if (!is_recorded() || !with_tables(leader))
		return 0;
	all = make_lookups(leader);
	if (!all)
		return 0;
	state = bpf_task_storage_get(&threads, task, 0, 0);
	if (state && state->board)
		read_board(state, id);
	one = find_lookup(all, work);
	if (one)
		__sync_lock_test_and_set(&one->number, 0);
	number = (__sync_fetch_and_add(&all->last, 1) + 1) & ~LOOKUP_BEGUN;
	one = &all->of[number & (LOOKUPS_MAX - 1)];
	__sync_lock_test_and_set(&one->number, 0);
	one->work = work;
	one->id[0] = id[0];
	one->id[1] = id[1];
	__sync_lock_test_and_set(&one->number, number);
	return 0;
}

/* A thread of the pool begins one. */
static __always_inline int begin_lookup(__u64 work)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct task_struct *leader = task->group_leader;
	struct thread_state *state;
	struct lookups *all;
	struct lookup *one;
	__u64 number, function = 0;

	/* the first thread is never of a pool, and keeps something else there */
	if (task == leader || !is_recorded() || !with_tables(leader))
		return 0;
	all = bpf_task_storage_get(&lookups, leader, 0, 0);
	state = all ? make_state(task) : 0;
	if (!state)
		return 0;
	state->lookup = 0;
	one = find_lookup(all, work);
	number = one ? one->number : 0;
	/* one that was begun before is not what is begun now */
	if (!number || number & LOOKUP_BEGUN || bpf_probe_read_user(&function, sizeof(function), (void *)work) < 0)
		return 0;
	one->function = function;
	/* looked at once more: between its number and its address another's can have come there */
	if (__sync_val_compare_and_swap(&one->number, number, number | LOOKUP_BEGUN) == number && one->work == work)
		state->lookup = number | LOOKUP_BEGUN;
	return 0;
}

#endif

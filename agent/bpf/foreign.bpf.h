/*
 * 32-bit calls on a 64-bit kernel (x86: int 0x80, sysenter).  Their numbers, the registers of their arguments and the
 * layout of what those point to are others.  Here number and arguments become those of the 64-bit call that does the
 * same (agent/calls32.def), so that one handler serves both; who reads memory of such a process asks is_foreign() for
 * the layout.  What has no counterpart is counted.
 */
#ifndef FP_AGENT_BPF_FOREIGN_H
#define FP_AGENT_BPF_FOREIGN_H

#include "agent/bpf/common.bpf.h"

/* A call as the handlers take it, whichever way it came. */
struct arguments {
	__u64 number; /* of the native table; FP_CALLS_MAX: none of ours */
	__u64 a[5];
};

/* Filled by the agent: the native number + 1; behind the calls those of the two gates.  0: not recorded. */
const volatile __u16 native_of[FP_FOREIGN_MAX] = {};

#if defined(__TARGET_ARCH_x86)
#define FOREIGN_SOCKETCALL 102
#define FOREIGN_IPC 117
#define FOREIGN_OLD_MMAP 90

/* Behind a gate: which call, and its arguments, which lie in memory or one place further. */
static __always_inline __u32 open_gate(struct arguments *into, __u32 number, const __u32 *registers)
{
	__u32 part = registers[0] & 0xff, many[6] = {};

	if (part >= FP_FOREIGN_PARTS)
		return FP_FOREIGN_MAX;
	if (number == FOREIGN_IPC) {
		into->a[0] = registers[1];
		into->a[1] = registers[4];
		into->a[2] = registers[2];
		into->a[3] = registers[3];
		return FP_FOREIGN_IPC + part;
	}
	/* as many as are there: the last of a short list may lie beyond what is mapped */
	for (int i = 0; i < 6; i++)
		if (bpf_probe_read_user(&many[i], sizeof(many[i]), (void *)(registers[1] + i * sizeof(many[i]))) < 0)
			break;
	into->a[0] = many[0];
	into->a[1] = many[1];
	into->a[2] = many[2];
	into->a[3] = many[3];
	/* send and recv have no address, and what lies behind their arguments is none */
	into->a[4] = part == 9 || part == 10 ? 0 : many[4];
	return FP_FOREIGN_SOCKET + part;
}

/* Of 16 bits; all of them set: leave it as it is. */
static __always_inline __u64 wide_id(__u64 id)
{
	id &= 0xffff;
	return id == 0xffff ? 0xffffffff : id;
}

/* Where a call's arguments differ from those of its counterpart by more than their width. */
static __always_inline void reorder(struct arguments *into, __u32 number, const __u32 *registers)
{
	__u32 many[6] = {};

	switch (number) {
	case 16: case 95: case 182: /* lchown, fchown, chown */
		into->a[1] = wide_id(registers[1]);
		into->a[2] = wide_id(registers[2]);
		break;
	case 22: /* umount */
		into->a[1] = 0;
		break;
	case FOREIGN_OLD_MMAP:
		bpf_probe_read_user(many, sizeof(many), (void *)(unsigned long)registers[0]);
		for (int i = 0; i < 5; i++)
			into->a[i] = many[i];
		break;
	case 193: case 194: /* truncate64, ftruncate64 */
		into->a[1] = registers[1] | (__u64)registers[2] << 32;
		break;
	case 324: /* fallocate */
		into->a[2] = registers[2] | (__u64)registers[3] << 32;
		into->a[3] = registers[4] | (__u64)registers[5] << 32;
		break;
	}
}

/* Of its own for the verifier, like walk_path_of. */
__noinline int take_foreign(struct arguments *into)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs((void *)bpf_get_current_task_btf());
	__u32 registers[6], number, place;

	if (!into)
		return 0;
	registers[0] = regs->bx;
	registers[1] = regs->cx;
	registers[2] = regs->dx;
	registers[3] = regs->si;
	registers[4] = regs->di;
	registers[5] = regs->bp;
	place = number = regs->orig_ax;
	for (int i = 0; i < 5; i++)
		into->a[i] = registers[i];
	if (number == FOREIGN_SOCKETCALL || number == FOREIGN_IPC)
		place = open_gate(into, number, registers);
	else if (place >= FP_FOREIGN_SOCKET)
		place = FP_FOREIGN_MAX;
	else
		reorder(into, number, registers);
	into->number = FP_CALLS_MAX;
	if (place < FP_FOREIGN_MAX && native_of[place])
		into->number = native_of[place] - 1;
	return 0;
}

/*
 * Whether what the call's times point to is of 32 bits: those since number 403 were made for 64.
 */
static __always_inline int has_narrow_times(void)
{
	struct pt_regs *regs = (void *)bpf_task_pt_regs((void *)bpf_get_current_task_btf());

	return is_foreign() && (__u32)regs->orig_ax < 403;
}
#else
static __always_inline int take_foreign(struct arguments *into) { return into->number = FP_CALLS_MAX; }
static __always_inline int has_narrow_times(void) { return 0; }
#endif

/* The call that ends now. */
static __always_inline void take_arguments(struct arguments *into, struct pt_regs *regs)
{
	if (is_foreign()) {
		take_foreign(into);
		return;
	}
	into->number = call_number(regs);
	into->a[0] = call_arg1(regs);
	into->a[1] = call_arg2(regs);
	into->a[2] = call_arg3(regs);
	into->a[3] = call_arg4(regs);
	into->a[4] = call_arg5(regs);
}

/* The number in the native table of the call that the task is in. */
static __always_inline __u64 number_of_call(void)
{
	struct arguments foreign = {};

	if (!is_foreign())
		return call_number((struct pt_regs *)bpf_task_pt_regs((void *)bpf_get_current_task_btf()));
	take_foreign(&foreign);
	return foreign.number;
}

#endif

/* Arguments and results of functions in user space, as probes on them find them. */
#ifndef FP_AGENT_BPF_FUNCTION_H
#define FP_AGENT_BPF_FUNCTION_H

#include "agent/bpf/common.bpf.h"

/* Where the calling convention passes arguments of functions, and their result. */
#if defined(__TARGET_ARCH_x86)
static __always_inline unsigned long function_arg1(struct pt_regs *regs) { return regs->di; }
static __always_inline unsigned long function_arg2(struct pt_regs *regs) { return regs->si; }
static __always_inline unsigned long function_arg4(struct pt_regs *regs) { return regs->cx; }
static __always_inline long function_result(struct pt_regs *regs) { return (int)regs->ax; }
#elif defined(__TARGET_ARCH_arm64)
static __always_inline unsigned long function_arg1(struct pt_regs *regs) { return regs->regs[0]; }
static __always_inline unsigned long function_arg2(struct pt_regs *regs) { return regs->regs[1]; }
static __always_inline unsigned long function_arg4(struct pt_regs *regs) { return regs->regs[3]; }
static __always_inline long function_result(struct pt_regs *regs) { return (int)regs->regs[0]; }
#endif

#endif

/*
 * Calls that are many things, by a number: ioctl and fcntl.  Of them only what puts bytes or descriptors somewhere, or
 * changes a file or the machine, is a record.  And what a process sets for another one: limits, scheduling.
 */
#ifndef FP_AGENT_BPF_OTHERS_H
#define FP_AGENT_BPF_OTHERS_H

#include "agent/bpf/process.bpf.h"

#define F_SETOWN 8
#define F_SETOWN_EX 15
#define F_ADD_SEALS 1033
#define F_OWNER_GROUP 2

#define TIOCSTI 0x5412
#define TIOCGPTPEER 0x5441
#define FIOSETOWN 0x8901
#define SIOCSPGRP 0x8902
#define FICLONE 0x40049409
#define FICLONERANGE 0x4020940d
#define FS_IOC_SETFLAGS 0x40086602
#define FS_IOC32_SETFLAGS 0x40046602
#define FS_IOC_FSSETXATTR 0x401c5820

/* One process sets something of another; of itself, or of a group (target 0), which cannot be told one by one. */
static __always_inline int record_set(struct trace *trace, int pid)
{
	if (pid == 0)
		return 0;
	if (pid > 0) {
		find_target(&trace->target, pid);
		if (trace->target.tgid == bpf_get_current_pid_tgid() >> 32)
			return 0;
	}
	return record_trace(trace);
}

static __always_inline int record_limit(struct call *call, int pid, __u64 resource, unsigned long limit)
{
	struct trace trace = {.cgroup = call->cgroup, .operation = FP_OPERATION_KIND_LIMIT, .flags = resource};

	return limit ? record_set(&trace, pid) : 0;
}

static __always_inline int record_schedule(struct call *call, int pid)
{
	struct trace trace = {.cgroup = call->cgroup, .operation = FP_OPERATION_KIND_SCHEDULE};

	return record_set(&trace, pid);
}

/* By kind of number; 0: of a process.  Who is a group or a user is not one that is told. */
static __always_inline int record_schedule_of(struct call *call, __u64 kind, __u64 process, int who)
{
	return record_schedule(call, kind == process ? who : -1);
}

static __always_inline int record_owner(struct call *call, int pid)
{
	struct trace trace = {.cgroup = call->cgroup, .operation = FP_OPERATION_KIND_OWNER};

	return record_set(&trace, pid);
}

static __always_inline int record_owner_at(struct call *call, unsigned long user, int extended)
{
	struct {
		int kind, pid;
	} owner = {};

	if (bpf_probe_read_user(&owner, extended ? sizeof(owner) : sizeof(int), (void *)user) < 0)
		return count_loss(call->cgroup, FP_LOSS_CAUSE_FAULT);
	if (!extended)
		return record_owner(call, owner.kind);
	return record_owner(call, owner.kind == F_OWNER_GROUP ? -owner.pid : owner.pid);
}

static __always_inline int record_flags(struct call *call, __u32 fd)
{
	struct deed deed = {.cgroup = call->cgroup, .file = (__u64)file_of(fd), .what = FP_OPERATION_KIND_FILE_FLAGS};

	return deed.file ? record_xattr(&deed) : 0;
}

/* One file gets what another has from `offset` on without a byte being moved. */
static __always_inline int record_clone(struct call *call, __u32 out, __u32 in, __u64 offset, __u64 length)
{
	struct identity from, to;
	struct file *source = file_of(in), *file = file_of(out);

	if (!source || !file)
		return count_loss(call->cgroup, FP_LOSS_CAUSE_DESCRIPTOR);
	identify_file(source, &from);
	identify_file(file, &to);
	if (!length) /* to its end */
		length = BPF_CORE_READ(source, f_inode, i_size) - offset;
	record_transfer(call->cgroup, length, &from, in, 0);
	return record_transfer(call->cgroup, length, &to, out, 1);
}

static __always_inline int record_clone_range(struct call *call, __u32 out, unsigned long user)
{
	struct {
		__s64 fd;
		__u64 offset, length, to;
	} range = {};

	if (bpf_probe_read_user(&range, sizeof(range), (void *)user) < 0)
		return count_loss(call->cgroup, FP_LOSS_CAUSE_FAULT);
	return record_clone(call, out, range.fd, range.offset, range.length);
}

/* A byte as if it had been typed at the terminal. */
static __always_inline int record_typed(struct call *call, __u32 fd)
{
	struct file *file = file_of(fd);
	struct identity who;

	if (!file || !identify_moved(file, &who))
		return 0;
	return record_transfer(call->cgroup, 1, &who, fd, 1);
}

/* By which the machine's network, its disks or its terminals are changed, or another process's call is answered. */
static __always_inline int is_telling_ioctl(__u32 request)
{
	switch (request) {
	case 0x4c00: /* LOOP_SET_FD */
	case 0x4c0a: /* LOOP_CONFIGURE */
	case 0x890b: /* SIOCADDRT */
	case 0x890c: /* SIOCDELRT */
	case 0x8914: /* SIOCSIFFLAGS */
	case 0x8916: /* SIOCSIFADDR */
	case 0x8918: /* SIOCSIFDSTADDR */
	case 0x891a: /* SIOCSIFBRDADDR */
	case 0x891c: /* SIOCSIFNETMASK */
	case 0x8922: /* SIOCSIFMTU */
	case 0x8923: /* SIOCSIFNAME */
	case 0x8924: /* SIOCSIFHWADDR */
	case 0x8936: /* SIOCDIFADDR */
	case 0x8953: /* SIOCDARP */
	case 0x8955: /* SIOCSARP */
	case 0x89a0: /* SIOCBRADDBR */
	case 0x89a1: /* SIOCBRDELBR */
	case 0x89a2: /* SIOCBRADDIF */
	case 0x89a3: /* SIOCBRDELIF */
	case 0x400454ca: /* TUNSETIFF */
	case 0x40182103: /* SECCOMP_IOCTL_NOTIF_ADDFD */
	case 0xc0045877: /* FIFREEZE */
	case 0xc0045878: /* FITHAW */
	case 0xc0182101: /* SECCOMP_IOCTL_NOTIF_SEND */
	case 0x1277: /* BLKDISCARD */
	case 0xae01: /* KVM_CREATE_VM */
		return 1;
	}
	return 0;
}

static __always_inline int any_ioctl(struct call *call, __u32 fd, __u32 request, unsigned long user)
{
	if (call->result < 0)
		return 0;
	switch (request) {
	case TIOCSTI:
		return record_typed(call, fd);
	case TIOCGPTPEER:
		return record_open(call->cgroup, call->result, user);
	case FIOSETOWN:
	case SIOCSPGRP:
		return record_owner_at(call, user, 0);
	case FICLONE:
		return record_clone(call, fd, user, 0, 0);
	case FICLONERANGE:
		return record_clone_range(call, fd, user);
	case FS_IOC_SETFLAGS:
	case FS_IOC32_SETFLAGS:
	case FS_IOC_FSSETXATTR:
		return record_flags(call, fd);
	}
	return is_telling_ioctl(request) ? record_control(call->cgroup, call->result, FP_OPERATION_KIND_DEVICE, request) : 0;
}

static __always_inline int any_fcntl(struct call *call, __u32 fd, __u32 command, unsigned long argument)
{
	if (call->result < 0)
		return 0;
	switch (command) {
	case F_SETOWN:
		return record_owner(call, argument);
	case F_SETOWN_EX:
		return record_owner_at(call, argument, 1);
	case F_ADD_SEALS:
		return record_flags(call, fd);
	}
	return 0;
}

#endif

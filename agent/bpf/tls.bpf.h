/*
 * What goes into a TLS library before it is encrypted, and comes out of it after:
 * probes on SSL_write, SSL_read, their _ex forms and SSL_free, which the agent sets
 * where a recorded process loads such a library (agent/probes.h).  The
 * arguments are kept from a call's begin to its end, when it is known what was
 * moved.  Which socket it belongs to is the agent's to find (agent/plaintext.h).
 */
#ifndef FP_AGENT_BPF_TLS_H
#define FP_AGENT_BPF_TLS_H

#include "agent/bpf/common.bpf.h"
#include "agent/bpf/function.bpf.h"

struct tls_call {
	__u64 session, buffer, entered;
	__u64 moved; /* of the _ex forms: where the number of bytes will be; 0: the result is it */
	__u64 direction;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct tls_call);
} tls_calls SEC(".maps");

static __always_inline int enter_tls(struct pt_regs *regs, __u64 direction, int extended)
{
	__u64 cgroup = recorded_cgroup();
	struct tls_call *call;

	if (!cgroup || is_watchdog(cgroup))
		return 0;
	call = bpf_task_storage_get(&tls_calls, (void *)bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!call)
		return count_loss(cgroup, FP_LOSS_CAUSE_STATE_FULL);
	call->session = function_arg1(regs);
	call->buffer = function_arg2(regs);
	call->moved = extended ? function_arg4(regs) : 0;
	call->direction = direction;
	call->entered = bpf_ktime_get_boot_ns();
	return 0;
}

static __always_inline int record_plain(struct tls_call *call, __u64 cgroup, long bytes)
{
	__u32 len = bytes < FP_PAYLOAD_MAX ? bytes : FP_PAYLOAD_MAX;

	BEGIN_RECORD(record, plain, PLAIN, cgroup, FP_PAYLOAD_MAX, IS_BULK, bytes);
	record->r.session = call->session;
	record->r.entered = call->entered;
	record->r.direction = call->direction;
	record->r.bytes = bytes;
	VISIBLE(len);
	if (len > FP_PAYLOAD_MAX || bpf_probe_read_user(record->room_, len, (void *)call->buffer) < 0)
		len = 0;
	record->r.payload.offset = sizeof(record->r);
	record->r.payload.len = len;
	emit(record);
	return 0;
}

static __always_inline int leave_tls(struct pt_regs *regs)
{
	struct tls_call *call = bpf_task_storage_get(&tls_calls, (void *)bpf_get_current_task_btf(), 0, 0);
	long bytes = function_result(regs);
	__u64 cgroup = recorded_cgroup(), moved = 0;

	if (!cgroup || !call || !call->session)
		return 0;
	if (call->moved) {
		if (bytes == 1 && bpf_probe_read_user(&moved, sizeof(moved), (void *)call->moved) == 0)
			bytes = moved;
		else
			bytes = 0;
	}
	if (bytes > 0)
		record_plain(call, cgroup, bytes);
	call->session = 0;
	return 0;
}

#endif

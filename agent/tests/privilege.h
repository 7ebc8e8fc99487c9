/*
 * What this machine allows, found out without the agent: so a test is skipped
 * where nobody could record, and fails where only the agent cannot.
 */
#ifndef FP_AGENT_TESTS_PRIVILEGE_H
#define FP_AGENT_TESTS_PRIVILEGE_H

#include <bpf/libbpf.h>
#include <linux/io_uring.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline bool may_load_programs(void)
{
	return access("/sys/kernel/btf/vmlinux", R_OK) == 0 &&
	       libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_RAW_TRACEPOINT, NULL) == 1;
}

static inline bool may_use_rings(void)
{
	struct io_uring_params p;
	int fd;

	memset(&p, 0, sizeof(p));
	fd = (int)syscall(SYS_io_uring_setup, 1, &p);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

#endif

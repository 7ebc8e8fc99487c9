/*
 * Calls to the gateway that say who makes them: loads the programs that add
 * X-Forwarded-For to heads of plain HTTP requests (bpf/inject.bpf.c), for the
 * processes of one cgroup and one gateway.  Off unless asked for.  When the agent
 * ends, however it does, connections are as if it had never been.
 */
#ifndef FP_AGENT_INJECT_H
#define FP_AGENT_INJECT_H

#include <stdint.h>

struct fp_inject;

/*
 * `cgroup`: directory of the cgroup2 hierarchy; `gateway`: IPv4 address and port.
 * 0; -EINVAL not such an address; or why the kernel refuses.  ret_error says it in one line.
 */
int fp_inject_start(const char *cgroup, const char *gateway, struct fp_inject **ret_inject, char ret_error[256]);
struct fp_inject *fp_inject_free(struct fp_inject *inject);
/* Heads that were given a line so far. */
uint64_t fp_inject_count(const struct fp_inject *inject);

#endif

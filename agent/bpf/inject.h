/*
 * What the program that adds a header, and the agent that loads it, agree on.
 */
#ifndef FP_AGENT_BPF_INJECT_H
#define FP_AGENT_BPF_INJECT_H

/* Connections to the gateway at one time; those beyond get no header. */
#define FP_INJECT_CONNECTIONS_MAX 16384
/* Longer heads are left alone: gateways begin to refuse at 8 KiB. */
#define FP_INJECT_HEAD_MAX 4096
/* So are sends that might not fit a send buffer with the line added. */
#define FP_INJECT_SIZE_MAX 8192
#define FP_INJECT_NAME "X-Forwarded-For:"
/* Name, ip:port to the right of 22 columns, end of line. */
#define FP_INJECT_LINE 40

#endif

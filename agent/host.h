/*
 * Which machine this is: what every batch says of where its events were recorded.
 */
#ifndef FP_AGENT_HOST_H
#define FP_AGENT_HOST_H

#include <stdint.h>

#include "wire/batch.h"

struct fp_host {
	char name[FP_BATCH_HOST_MAX + 1];
	uint8_t boot[16];
	int64_t clock_offset; /* CLOCK_REALTIME - CLOCK_BOOTTIME, ns */
};

/* `name` NULL: the machine's host name.  0 or negative errno. */
int fp_host_init(struct fp_host *host, const char *name);

/* The time that records bear: ns of CLOCK_BOOTTIME. */
uint64_t fp_host_boottime(void);

#endif

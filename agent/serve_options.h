/*
 * The command line of faasprov-agent serve.
 */
#ifndef FP_AGENT_SERVE_OPTIONS_H
#define FP_AGENT_SERVE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/uplink/uplink.h"

/* Everything that the agent takes, and what it needs beside the ring at least (docs/capture.md, Memory). */
#define FP_MEMORY_DEFAULT (64u << 20)
#define FP_MEMORY_BESIDE_RING (28u << 20)

struct fp_serve_options {
	const char *node, *cgroup, *runc_root, *host_root, *store, *state, *record;
	struct fp_uplink_options uplink;
	const char *forwarded_for; /* gateway whose calls get a header; NULL: none do */
	bool no_tls; /* do not read what goes through TLS libraries */
	int container_depth; /* of a container's cgroup below the recorded one */
	uint32_t ring_size;
	size_t memory; /* bytes for everything, the ring among it */
	bool no_pin, keep_pins;
	bool raw; /* merge nothing */
	uint64_t without; /* hooks to do without */
	bool foreground; /* do not give way to all else */
};

/* Fills the options, whose strings are argv's; an exit code.  --help prints and ends the program. */
int fp_serve_options_parse(int argc, char **argv, struct fp_serve_options *options);

#endif

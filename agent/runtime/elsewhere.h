/*
 * Where runtimes keep what they know of a container whose cgroup's path gives its number: files that
 * are named after it, in places that are always the same, and the names of the kubelet's log files.  Reads only what the number leads to.
 * Private to agent/runtime.
 */
#ifndef FP_AGENT_RUNTIME_ELSEWHERE_H
#define FP_AGENT_RUNTIME_ELSEWHERE_H

#include "agent/runtime/cgroup_name.h"
#include "agent/runtime/state.h"

/*
 * Fills in what is not known yet.  `root`: where the host's files are ("" for /).  1: all of function, replica and image are
 * known now; 0; -ENOMEM.
 */
int fp_elsewhere_find(const char *root, const struct fp_cgroup_name *name, struct fp_state *state);

#endif

/*
 * Where the kernel side lives on while no agent runs: a directory of the BPF file
 * system for each recorded cgroup, FP_PINS_ROOT/<cgroup id>, with its maps and
 * links.  An agent holds a lock on it as long as it lives, so that two never
 * read one ring, and a killed one leaves it free.
 */
#ifndef FP_AGENT_PINS_H
#define FP_AGENT_PINS_H

#include <stdbool.h>
#include <stdint.h>

#define FP_PINS_ROOT "/sys/fs/bpf/faasprov"
#define FP_PINS_PATH_MAX 128
#define FP_PINS_WAIT_MS 2000

struct fp_pins {
	char path[FP_PINS_PATH_MAX];
	int lock; /* the directory; -1: not open */
};

/*
 * Makes and locks the directory, and mounts the BPF file system where none is.
 * 0; -EBUSY an agent that lives has had it for FP_PINS_WAIT_MS; -EPERM, … as mount and mkdir say.
 */
int fp_pins_open(uint64_t cgroup, struct fp_pins *ret_pins);
/* What is pinned stays. */
void fp_pins_close(struct fp_pins *pins);
/* Removes all that is pinned there, with the directory; what nobody holds open ends.  Closes. */
int fp_pins_remove(struct fp_pins *pins);
/* Sets aside what is there under another name, and begins anew; `ret_old` is locked too.  */
int fp_pins_set_aside(struct fp_pins *pins, struct fp_pins *ret_old);

/* Path of a pin, in `ret_path`. */
void fp_pins_name(const struct fp_pins *pins, const char *name, char ret_path[FP_PINS_PATH_MAX + 64]);
/* A descriptor of the pinned object, or negative errno. */
int fp_pins_get(const struct fp_pins *pins, const char *name);
bool fp_pins_has(const struct fp_pins *pins, const char *name);

/*
 * Removes what agents that are dead have left: of one cgroup (0: of all).  The number of
 * directories removed, or negative errno; what a living agent has is left alone.
 */
int fp_pins_clean(uint64_t cgroup);

#endif

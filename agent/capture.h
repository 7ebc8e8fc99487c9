/*
 * The live source of records: loads our BPF programs, attaches them, and hands
 * over what they recorded, in the order in which the kernel reserved it.  The
 * only user of libbpf.  Does not interpret records (agent/decode.h does).
 *
 * Life cycle: open (nothing recorded yet), start, poll…, free.
 */
#ifndef FP_AGENT_CAPTURE_H
#define FP_AGENT_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

struct fp_capture;

struct fp_capture_options {
	uint64_t root_cgroup; /* cgroup2 id; tasks in it and below are recorded */
	int root_level; /* its depth below the hierarchy's root */
	/* Depth at which a cgroup is a container; what is nested deeper belongs to it. */
	int container_level;
	uint32_t ring_size; /* bytes, a power of two; 0: default */
};

/*
 * 0; -EPERM the kernel or a missing capability refuses BPF, -ENOSYS no BTF or a
 * needed hook is missing, others from libbpf.  ret_error says why in one line.
 */
int fp_capture_open(const struct fp_capture_options *options, struct fp_capture **ret_capture, char ret_error[256]);
struct fp_capture *fp_capture_free(struct fp_capture *capture);
/* From its return on, everything recorded below the root is seen. */
int fp_capture_start(struct fp_capture *capture, char ret_error[256]);

/* Becomes readable when much is waiting; drain at least every 100 ms besides. */
int fp_capture_fd(const struct fp_capture *capture);

/* `data` is valid during the call.  A negative return stops the drain and is given back. */
typedef int (*fp_capture_record_fn)(void *arg, const void *data, size_t len);
/* Hands over all that is waiting; the number of records, or negative errno. */
int fp_capture_drain(struct fp_capture *capture, fp_capture_record_fn fn, void *arg);

/* Losses counted in the kernel since the last call, by container (0: host) and cause. */
typedef void (*fp_capture_loss_fn)(void *arg, uint64_t cgroup, uint32_t cause, uint64_t lost);
int fp_capture_take_losses(struct fp_capture *capture, fp_capture_loss_fn fn, void *arg);

/* What the kernel accepts, as text for people, one hook a line, to `fd` 1.  0 when recording is possible. */
int fp_capture_probe(void);

#endif

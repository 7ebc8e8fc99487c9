/*
 * The live source of records: loads our BPF programs, attaches them, and hands
 * over what they recorded, in the order in which the kernel reserved it.  The
 * only user of libbpf.  Does not interpret records (agent/decode.h does).
 *
 * Life cycle: open (nothing recorded yet), start, poll…, free.  A pinned one: after
 * open, fp_capture_resume() says what the last agent knew, and fp_capture_unpin()
 * ends the recording, which fp_capture_free() does not.
 */
#ifndef FP_AGENT_CAPTURE_H
#define FP_AGENT_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fp_capture;

struct fp_capture_options {
	uint64_t root_cgroup; /* cgroup2 id; tasks in it and below are recorded */
	const char *root_path; /* its directory; NULL: what is attached to cgroups is done without */
	int root_level; /* its depth below the hierarchy's root */
	/* Depth at which a cgroup is a container; what is nested deeper belongs to it. */
	int container_level;
	uint64_t without; /* hooks to do without, a bit each enum fp_loss: counted as missing */
	uint32_t ring_size; /* bytes, a power of two; 0: default */
	/*
	 * The kernel side outlives this process (agent/pins.h): one that is there is
	 * taken over, and records stay in the ring until fp_capture_release().
	 */
	bool pinned;
};

/*
 * 0; -EPERM the kernel or a missing capability refuses BPF, -ENOSYS no BTF or a
 * needed hook is missing, others from libbpf.  ret_error says why in one line.
 */
int fp_capture_open(const struct fp_capture_options *options, struct fp_capture **ret_capture, char ret_error[256]);
struct fp_capture *fp_capture_free(struct fp_capture *capture);
/* From its return on, everything recorded below the root is seen. */
int fp_capture_start(struct fp_capture *capture, char ret_error[256]);

/* What is probed in user space: what goes through TLS, and for whom libuv's pool looks up names. */
enum fp_functions { FP_FUNCTIONS_TLS, FP_FUNCTIONS_LOOKUPS };

/*
 * Probes such functions of the library or program at `path`,
 * in all processes that are recorded, from now on and those that come.  0; -ENOENT
 * there are no such functions in it, -ENOEXEC it is no 64-bit program of this machine, -ENOTSUP
 * the kernel side was taken over (what was probed goes on being probed), or why it cannot be.
 */
int fp_capture_attach(struct fp_capture *capture, enum fp_functions functions, const char *path);

/* How deep containers' pid name spaces lie: one below ours, or UINT_MAX when nobody can tell. */
unsigned fp_capture_pid_level(void);
/*
 * Has nobody told yet what was there before this kernel side began to record (agent/existing.h)?  Who
 * takes over one of which it was told and kept need not do it again.
 */
bool fp_capture_wants_existing(const struct fp_capture *capture);
/* It is told, and kept.  0 or negative errno. */
int fp_capture_existing_told(struct fp_capture *capture);
/* Somebody has come of whom it is to be told, and kept; whoever takes over before that tells all again. */
int fp_capture_existing_untold(struct fp_capture *capture);

/* What this process of the container reads, writes and sends is not recorded from now on. */
void fp_capture_leave_out(struct fp_capture *capture, uint64_t cgroup, uint64_t tgid, uint64_t process_start);

/* Where a cgroup was made lately, from the root of the hierarchy, also when it is gone.  0, -ENOENT, -ENAMETOOLONG. */
/* A record of who was there before (PRESENT) makes him known as one who can leave; others do nothing. */
void fp_capture_note_member(struct fp_capture *capture, const void *record, size_t len);
int fp_capture_made(const struct fp_capture *capture, uint64_t cgroup, char *ret_path, size_t size);

struct fp_ours;
/* What these processes do is not recorded from now on; what others that were named before do is. */
void fp_capture_set_ours(struct fp_capture *capture, const struct fp_ours *ours, unsigned n);
/* Is the process of a record one of them? */
bool fp_capture_is_ours(const struct fp_capture *capture, uint64_t tgid, uint64_t process_start);

/* Becomes readable when much is waiting; drain at least every 100 ms besides. */
int fp_capture_fd(const struct fp_capture *capture);
/* The same, for somebody else to read: the ring is a quarter full. */
int fp_capture_alarm(const struct fp_capture *capture);

/* `data` is valid during the call.  A negative return stops the drain and is given back; a positive one is enough for now. */
typedef int (*fp_capture_record_fn)(void *arg, const void *data, size_t len);
/* Hands over all that is waiting; the number of records, or negative errno. */
int fp_capture_drain(struct fp_capture *capture, fp_capture_record_fn fn, void *arg);

/* --- a pinned kernel side -------------------------------------------------------- */

/* Records and losses of a kernel side that was not compatible and that nobody read; known after start. */
uint64_t fp_capture_replaced(const struct fp_capture *capture);
/* Why it is not pinned although that was asked for; NULL: it is, or was not asked for. */
const char *fp_capture_not_pinned(const struct fp_capture *capture);

/* What the last agent left, until the first fp_capture_note(). */
struct fp_capture_past {
	bool resumed; /* a kernel side was there, and is this one's now */
	const uint8_t *data; /* as given to fp_capture_note(); NULL: nothing */
	size_t len;
};
/* Whose chain the last agent wrote; false: nobody's.  For who has no identity of his own. */
bool fp_capture_last_agent(struct fp_capture *capture, uint8_t ret_agent[16]);
/*
 * To be called when it is known up to which batch number (0: none) this agent's
 * chain is kept: finds what was known then, and reads on from there.
 */
int fp_capture_resume(struct fp_capture *capture, const uint8_t agent[16], uint64_t kept,
		      struct fp_capture_past *ret_past);

/*
 * What the agent knows now that it has read so far: it holds when the batch
 * `number` of the chain is kept (0: at once).  To be called before that batch is put.  -E2BIG, or as bpf(2) says.
 */
int fp_capture_note(struct fp_capture *capture, const uint8_t agent[16], uint64_t number, const void *data, size_t len);
/* What was read has been dealt with; its room is free again. */
void fp_capture_release(struct fp_capture *capture);
/* Bytes read and not released. */
uint64_t fp_capture_held(const struct fp_capture *capture);
/* Bytes of the ring that are held or not read yet. */
uint64_t fp_capture_waiting(const struct fp_capture *capture);

/* Ends the recording: removes the pins. */
int fp_capture_unpin(struct fp_capture *capture);

struct fp_buffer;
/* The losses that have been given out, to go on counting after a restart. */
void fp_capture_save(const struct fp_capture *capture, struct fp_buffer *out);
int fp_capture_restore(struct fp_capture *capture, const uint8_t *data, size_t len, size_t *pos);

/* Losses counted in the kernel since the last call, by container (0: host) and cause. */
typedef void (*fp_capture_loss_fn)(void *arg, uint64_t cgroup, uint32_t cause, uint64_t lost);
int fp_capture_take_losses(struct fp_capture *capture, fp_capture_loss_fn fn, void *arg);

/* Hooks that this kernel side does not have, a bit each enum fp_loss; grows when a TLS library cannot be probed. */
uint64_t fp_capture_missing_hooks(const struct fp_capture *capture);
/* Reads names of hooks (`signal,ring`) into bits of fp_capture_options.without.  0 or -EINVAL. */
int fp_capture_parse_hooks(const char *text, uint64_t *ret_hooks);

/* What the kernel charges for this kernel side's maps and programs, the ring among them; task storage, which grows with the tasks, is not. */
/* What the kernel says that a map or program takes, by its descriptor. */
uint64_t fp_capture_charged_for(int fd);
/* What the kernel keeps for threads at most from now on, and what it keeps now; bytes. */
void fp_capture_set_thread_memory(struct fp_capture *capture, uint64_t bytes);
uint64_t fp_capture_thread_memory(const struct fp_capture *capture);
uint64_t fp_capture_memory(const struct fp_capture *capture);

/* What the kernel accepts, as text for people, one hook a line, to `fd` 1.  0 when recording is possible. */
int fp_capture_probe(void);

#endif

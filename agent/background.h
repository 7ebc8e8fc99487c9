/*
 * The agent's work is nobody's to wait for: what is recorded lies in the ring
 * until it is read.  So the thread that reads it runs in the background, only
 * where a processor has nothing else to do (SCHED_IDLE), and the functions of the
 * node do not wait behind it.  A processor that runs nothing but such threads also
 * counts as free when the kernel looks for one for a task that wakes up.
 *
 * That must not cost records, nor make answers late without end: a second
 * thread, which does nothing else, gives the first one its ordinary priority back
 * when the ring fills or when it has not had a turn for a while, and lowers it
 * again when it has kept up for some time.  Used by serve; run and replay work in
 * the foreground.
 */
#ifndef FP_AGENT_BACKGROUND_H
#define FP_AGENT_BACKGROUND_H

#include <stdbool.h>

struct fp_background;

/* How often the watching thread looks; after two looks without a turn, the work gets its priority back. */
#define FP_BACKGROUND_LOOK_MS 250
/* Looks with turns, and without an alarm, before it is lowered again. */
#define FP_BACKGROUND_CALM 20

/*
 * Lowers the calling thread.  `alarm` is a descriptor of epoll that becomes readable
 * when the work is urgent; it stays the caller's, and must not be read by anyone
 * else.  -ENOTSUP when the thread has another policy than the ordinary one, which
 * somebody has chosen; -EPERM when we could not go back (CAP_SYS_NICE): in both
 * cases all is as it was.
 */
int fp_background_start(int alarm, unsigned look_ms, struct fp_background **ret_background);
/* The thread has its ordinary priority again.  NULL is fine. */
struct fp_background *fp_background_free(struct fp_background *background);

/* By the lowered thread, whenever it has done what was to be done. */
void fp_background_turn(struct fp_background *background);

bool fp_background_is_low(const struct fp_background *background);

#endif

/*
 * Work left behind: what a request set going and did not wait for.  No call says so
 * when it runs, so the only request in flight is not always the one worked for.
 * What a thread rests on tells when it can be (docs/attribution.md, "Work left behind"):
 *   - An event loop waits until its first timer is due.  What was pending when a
 *     request came into it is others', so before that time none of their timers can
 *     fire, and a timer that does is the request's own.
 *     Go has one loop for all threads of a process, any of which may run what it finds.
 *   - Any other thread does what it was given when it last rested, or was started
 *     for.  Given before the only request in flight began, it is not that one's; nor
 *     for certain if given by a loop in which others' timers could run.  What a pool
 *     has done comes back into the loop, in turns that do not tell whose it is.
 * Where it can be, all who may have left it are named, and none is guessed.  What a pool brings back, and loops that
 * did not rest, would cast doubt on much of any server's work: they do where the container has been seen at work
 * with no request in flight, which one that leaves nothing behind never is.
 */
#include <errno.h>
#include <string.h>

#include "agent/attribute_state.h"
#include "agent/bpf/shared.h"

/* Of those that have ended so many are named: what is left behind mostly runs soon. */
#define SUSPECTS_MAX 8
/*
 * When a pool's thread has made its last record of some work, the loop takes in the result when it comes back next
 * or, if it was just coming back for something else, the time after that; then it is over.
 */
#define POOL_TURNS 3

/* A thread that was given work can come back from its wait so much later, other threads being first; where its waking is not seen. */
#define WAKE_LATENCY (FP_NS_PER_SEC / 1000)

/*
 * Node keeps the text of its Date header until the wall clock's second is over, by a timer that does nothing else.  It is
 * reckoned in milliseconds, from when the loop came back, which a request's work has held up since.
 */
#define CLOCK_EARLY (4 * (FP_NS_PER_SEC / 1000))
#define CLOCK_LATE (2 * (FP_NS_PER_SEC / 1000))
#define ROUNDING (FP_NS_PER_SEC / 1000) /* of what loops wait for */
/* Behind that timer, others that are due soon cannot have shown: so soon after it they are taken for the request's. */
#define SHADOW (20 * (FP_NS_PER_SEC / 1000))
/* So many requests must have ended in a container and left nothing before it is taken for one that leaves nothing. */
#define QUIET_MIN 16

/* So many requests long a container in which others' timers may have done something is taken for one that leaves work behind. */
#define WARY_FOR 16

#define AF_UNIX_SIGNAL_BYTES 1 /* what threads wake a loop with, where that waits for a socket of its own process */

static bool may_leave_work(const struct container *container)
{
	return container->leaves_work || container->wary;
}

static uint64_t earliest_of(uint64_t due)
{
	return due ? due : UINT64_MAX;
}

/* It has not rested since others were in flight, so that the timers that they made have not shown. */
static bool has_not_shown(const struct container *container, const struct loop *loop)
{
	return container->leaves_work && loop->busy && loop->rested < container->changed;
}

static bool is_at_second(const struct fp_attributor *a, uint64_t due)
{
	uint64_t part = (due + (uint64_t)a->clock_offset) % FP_NS_PER_SEC;

	return a->clock_offset && due != UINT64_MAX && (part >= FP_NS_PER_SEC - CLOCK_EARLY || part <= CLOCK_LATE);
}

/* Nothing has ever shown that what others left does something here. */
static bool is_quiet(const struct container *container)
{
	return !may_leave_work(container) && container->n_ended >= QUIET_MIN;
}

/* A timer that does nothing which is told: Node's clock, or one that the runtime has a habit of. */
static bool is_idle(const struct fp_attributor *a, const struct loop *loop, uint64_t due)
{
	return is_at_second(a, due) || fp_habit_expects(loop, due);
}

/*
 * When what is pending now is due.  What was over when the last rest ended has run in the turn that followed, and the loop
 * has looked for descriptors since: then only what was known before that rest is known to be pending.
 */
static uint64_t still_due(const struct container *container, const struct loop *loop)
{
	bool is_over = loop->busy && loop->due && loop->due + ROUNDING <= loop->rested;

	return is_over && loop->earliest > loop->rested && is_quiet(container) ? loop->earliest : earliest_of(loop->due);
}

/* What is known of it holds for those in flight now.  Where work moves, every rest is told; else those that showed something new. */
static bool is_known(const struct container *container, const struct loop *loop, bool moves)
{
	return loop->changes == container->changes && !has_not_shown(container, loop) &&
	       (!moves || loop->rested >= container->changed || is_quiet(container));
}

/*
 * Of a process whose work moves, one thread may rest on what it alone has found, while another is still looking.  So
 * a timer that was shown is believed to be pending until it was due, and what is pending after that only when it was shown twice.
 */
static void note_moving_loop(struct loop *loop, uint64_t since, uint64_t due, bool known, bool passed)
{
	if (loop->due > since && loop->due < due)
		due = loop->due;
	if (!known)
		loop->earliest = due;
	else if (passed && loop->unsure)
		loop->earliest = due;
	loop->unsure = known && passed && !loop->unsure;
	loop->due = due == UINT64_MAX ? 0 : due;
}

/*
 * Nothing that was pending is due earlier, whoever made it.  As long as no timer of others can have fired, they
 * have not made new ones either, and what was known of them before holds, too.
 */
static void note_staying_loop(const struct container *container, struct loop *loop, uint64_t shown, bool known, bool passed)
{
	bool shadowed = false;
	uint64_t due;

	loop->due = shown;
	due = known ? earliest_of(shown) : still_due(container, loop);
	if (passed && is_quiet(container) && due > loop->earliest + ROUNDING && due < loop->earliest + SHADOW) {
		due = loop->earliest + SHADOW;
		shadowed = true;
	}
	if (!known || passed || due > loop->earliest) {
		loop->earliest = due;
		loop->shadowed = shadowed;
		loop->did = false;
	}
}

static int note_loop(struct fp_attributor *a, const struct container *container, const struct fp_event *event)
{
	struct loop_key key = {event->tgid, event->process_start, event->fd};
	struct loop *loop = fp_state_loop(a, &key);
	bool known, passed;

	if (!loop)
		return -ENOMEM;
	loop->cgroup = event->cgroup;
	known = is_known(container, loop, event->flags & FP_WAIT_MOVES);
	passed = known && event->since >= loop->earliest;
	if (passed && !loop->shadowed && !is_at_second(a, loop->earliest))
		fp_habit_note(loop, loop->earliest);
	/* what began before the loop came back, since others' timers could run, can be theirs */
	if (passed || !known) {
		loop->doubt_from = passed ? loop->earliest : container->changed;
		loop->doubt_to = event->since;
	}
	loop->rested = event->since;
	loop->busy = event->flags & FP_WAIT_BUSY;
	if (event->flags & FP_WAIT_MOVES)
		note_moving_loop(loop, event->since, earliest_of(event->due), known, passed);
	else
		note_staying_loop(container, loop, event->due, known, passed);
	loop->changes = container->changes;
	return 0;
}

int fp_behind_wait(struct fp_attributor *a, const struct container *container, struct thread *thread,
		   const struct fp_event *event)
{
	struct task_key key = {event->tgid, event->process_start};
	struct process *process = NULL;

	if (event->flags & (FP_WAIT_LOOP | FP_WAIT_MOVES | FP_WAIT_SIGNALS)) {
		process = fp_state_process(a, &key);
		if (!process)
			return -ENOMEM;
		process->cgroup = event->cgroup;
	}
	if (event->flags & (FP_WAIT_LOOP | FP_WAIT_MOVES))
		process->loop = event->fd;
	if (event->flags & FP_WAIT_MOVES) {
		process->moves = true;
		thread->since = event->time - (uint64_t)event->result;
	} else {
		thread->since = event->since;
		thread->polls = event->flags & FP_WAIT_LOOP;
		thread->giver = thread->polls ? 0 : event->due;
		thread->loop = event->fd;
		if (!thread->polls && event->flags & FP_WAIT_SIGNALS)
			process->answers = true;
		thread->unsure = false;
	}
	return event->flags & FP_WAIT_LOOP ? note_loop(a, container, event) : 0;
}

void fp_behind_born(struct thread *thread, const struct fp_event *event)
{
	thread->since = event->time;
	thread->giver = 0;
	thread->polls = false;
}

void fp_behind_exit(struct fp_attributor *a, const struct thread *thread, const struct process *process,
		    const struct fp_event *event)
{
	struct loop_key key = {event->tgid, event->process_start, thread->loop};
	struct loop *loop;

	if (process && process->moves)
		key.fd = process->loop;
	else if (!thread->polls)
		return;
	HASH_FIND(hh, a->loops, &key, sizeof(key), loop);
	if (loop)
		fp_state_drop_loop(a, loop);
}

/* A thread of the pool, or the loop, is at work on what can be others': what that hands on is, too. */
static bool doubt_pool(const struct container *container, struct process *process)
{
	process->doubted = container->changes;
	process->doubt_turns = POOL_TURNS;
	return true;
}

/* Follows what goes to and fro between a loop and its pool. */
static void note_pool(const struct container *container, struct process *process, const struct thread *thread,
		      const struct fp_event *event, bool is_new)
{
	bool is_signal = (event->type == FP_EVENT_TYPE_SEND || event->type == FP_EVENT_TYPE_RECEIVE) &&
			 event->family == AF_UNIX_NUMBER;

	if (!thread->polls && is_signal && event->type == FP_EVENT_TYPE_SEND && event->bytes == AF_UNIX_SIGNAL_BYTES) {
		process->answers = true; /* and has made the record of its work before */
	} else if (!thread->polls && event->type != FP_EVENT_TYPE_EXIT) {
		process->pool_changes = container->changes;
		process->pool_turns = POOL_TURNS;
	} else if (thread->polls) {
		if (is_new && process->doubt_turns && --process->doubt_turns == 0)
			process->clean_since = event->time;
		if (is_new && process->pool_turns)
			process->pool_turns--;
		if (!is_signal || event->type != FP_EVENT_TYPE_RECEIVE)
			return;
		/* all that was told is taken in now; what follows of it, with none in flight, can be in the next turn */
		if (process->pool_turns)
			process->pool_turns = container->n_in_flight ? 1 : 2;
		if (process->doubted == container->changes && process->doubt_turns)
			doubt_pool(container, process);
	}
}

static bool is_deed(const struct fp_event *event)
{
	switch (event->type) {
	case FP_EVENT_TYPE_OPEN:
	case FP_EVENT_TYPE_WRITE:
	case FP_EVENT_TYPE_CONNECT:
	case FP_EVENT_TYPE_FORK:
	case FP_EVENT_TYPE_EXEC:
		return true;
	case FP_EVENT_TYPE_SEND:
		return event->family != AF_UNIX_NUMBER;
	default:
		return false;
	}
}

void fp_behind_note(struct fp_attributor *a, struct container *container, struct thread *thread,
		    const struct fp_event *event)
{
	struct task_key key = {event->tgid, event->process_start};
	bool is_new = thread->seen_turn != event->turn || !thread->seen_changes;
	struct process *process;

	a->came_before = a->mixes = false;
	if (container->n_in_flight == 0 && container->n_ended && is_deed(event) && !fp_state_is_watchdog(container, event))
		container->leaves_work = true;
	if (is_new) {
		thread->seen_turn = event->turn;
		thread->seen_changes = container->changes;
		thread->seen_time = event->time;
		thread->took_in = event->type == FP_EVENT_TYPE_RECEIVE || event->type == FP_EVENT_TYPE_READ;
	}
	if (!thread->since)
		return;
	HASH_FIND(hh, a->processes, &key, sizeof(key), process);
	if (process && process->loop && !process->moves)
		note_pool(container, process, thread, event, is_new);
}

/* The loop as far as it is known, with what holds while those in flight are the same; or NULL. */
static struct loop *find_loop(struct fp_attributor *a, const struct container *container, const struct fp_event *event,
			      uint64_t fd)
{
	struct loop_key key = {event->tgid, event->process_start, fd};
	struct loop *loop;

	HASH_FIND(hh, a->loops, &key, sizeof(key), loop);
	if (loop)
		loop->used = true;
	if (loop && loop->changes != container->changes) {
		loop->changes = container->changes;
		loop->earliest = still_due(container, loop);
		loop->shadowed = loop->did = false;
	}
	return loop;
}

/* A timer that others made can have fired by then. */
static bool can_have_fired(const struct container *container, const struct loop *loop, uint64_t time)
{
	return time + FP_WAIT_SLACK >= loop->earliest || has_not_shown(container, loop);
}

/* What is done where a timer of others can have run, and nothing was taken in, may be that one's work. */
static void note_sign(const struct fp_attributor *a, struct container *container, const struct thread *thread,
		      struct loop *loop, const struct fp_event *event)
{
	if (thread->took_in || !is_deed(event) || event->time + FP_WAIT_SLACK < loop->earliest ||
	    is_at_second(a, loop->earliest) || fp_habit_forgives(loop, loop->earliest))
		return;
	loop->did = true;
	container->wary = WARY_FOR;
}

static bool possible_in_loop(struct fp_attributor *a, struct container *container, const struct thread *thread,
			     const struct fp_event *event)
{
	struct loop *loop;

	/* the turn began when others were in flight */
	if (thread->seen_changes != container->changes)
		return true;
	loop = find_loop(a, container, event, thread->loop);
	if (!loop || !can_have_fired(container, loop, event->time))
		return false;
	note_sign(a, container, thread, loop, event);
	return !is_quiet(container) || !is_idle(a, loop, loop->earliest);
}

/* What one thread found due, another runs, while those that have nothing to do rest already. */
static bool possible_in_any(struct fp_attributor *a, struct container *container, struct process *process,
			    const struct thread *thread, const struct fp_event *event)
{
	struct loop *loop = find_loop(a, container, event, process->loop);

	if (loop)
		note_sign(a, container, thread, loop, event);
	if ((thread->since ? thread->since < container->changed : thread->seen_changes != container->changes) ||
	    (loop && (can_have_fired(container, loop, event->time) || (thread->since && thread->since < loop->doubt_to)))) {
		a->mixes = true;
		return true;
	}
	/* what that one set going, whoever is at work takes from it */
	return process->mixed > container->changed && thread->since && thread->since < process->mixed + WAKE_LATENCY;
}

/*
 * The only request in flight has not been sent to anybody by its watchdog, which marks its connection before; or it has, and
 * by then nobody had read a byte of it: nobody worked for it.
 */
static bool is_unread(const struct container *container, uint64_t time)
{
	if (memcmp(container->unsent, container->in_flight[0], FP_REQUEST_ID_SIZE) == 0)
		return true;
	return memcmp(container->marked, container->in_flight[0], FP_REQUEST_ID_SIZE) == 0 &&
	       (time < container->read_at || memcmp(container->read, container->in_flight[0], FP_REQUEST_ID_SIZE) != 0);
}

/* What takes the request's connection, and what is made to serve it, comes before it is read. */
static bool may_come_first(const struct fp_event *event)
{
	return event->type == FP_EVENT_TYPE_ACCEPT || event->type == FP_EVENT_TYPE_FORK || event->type == FP_EVENT_TYPE_EXIT;
}

/* What a thread of a pool was given may come from a turn of the loop in which others' timers ran. */
static bool possible_in_pool(struct fp_attributor *a, const struct container *container, struct process *process,
			     const struct thread *thread, const struct fp_event *event)
{
	/* when it was given the work, and when the turn began in which that was */
	uint64_t given = thread->since, began = thread->giver && thread->giver < given ? thread->giver : given;
	struct loop *loop;

	if (!given || !process || !process->answers || !may_leave_work(container))
		return given && began < container->changed;
	if (began < container->changed || is_unread(container, given))
		process->pool_changes = 0; /* what comes back is of one that has ended */
	loop = find_loop(a, container, event, process->loop);
	if (process->pool_changes == 0 ||
	    (process->doubted == container->changes && (process->doubt_turns || given < process->clean_since)) ||
	    (loop && can_have_fired(container, loop, event->time)) || /* it may take more than it was woken for */
	    (loop && given + FP_WAIT_SLACK >= loop->doubt_from && given <= loop->doubt_to + (thread->giver ? 0 : WAKE_LATENCY)))
		return event->type == FP_EVENT_TYPE_EXIT || doubt_pool(container, process); /* who ends hands nothing on */
	return false;
}

/* A turn of the loop may have been begun by what its pool has done for others; then it may hand on more of that. */
static bool possible_from_pool(const struct container *container, struct process *process, bool has_read)
{
	if (process->pool_turns && process->pool_changes != container->changes)
		return doubt_pool(container, process);
	return !has_read && process->doubted == container->changes && process->doubt_turns;
}

/* What the thread does is not for the request in flight: nor is what it hands on. */
static void note_doubt(const struct container *container, struct process *process, const struct thread *thread,
		       const struct fp_event *event)
{
	if (process->moves)
		process->mixed = event->time;
	else if (process->answers && may_leave_work(container) && (!thread->polls || process->pool_turns)) {
		process->pool_changes = 0; /* what comes back is of one that has ended, whenever it does */
		doubt_pool(container, process);
	}
}

bool fp_behind_possible(struct fp_attributor *a, struct container *container, const struct thread *thread,
			const struct fp_event *event, bool has_read)
{
	struct task_key key = {event->tgid, event->process_start};
	struct process *process;
	struct loop *loop;

	if (container->n_in_flight > 1 || container->n_ended == 0)
		return false;
	HASH_FIND(hh, a->processes, &key, sizeof(key), process);
	if (container->n_in_flight == 0) {
		loop = find_loop(a, container, event, process && process->moves ? process->loop : thread->loop);
		return loop && can_have_fired(container, loop, event->time);
	}
	if (!has_read && !may_come_first(event) && is_unread(container, event->time)) {
		a->came_before = true;
		return true;
	}
	if (process && process->moves)
		return possible_in_any(a, container, process, thread, event);
	if (thread->polls)
		return (process && process->answers && may_leave_work(container) && possible_from_pool(container, process, has_read)) ||
		       possible_in_loop(a, container, thread, event);
	return possible_in_pool(a, container, process, thread, event);
}

void fp_behind_done(struct fp_attributor *a, const struct container *container, const struct thread *thread,
		    const struct fp_event *event)
{
	struct task_key key = {event->tgid, event->process_start};
	struct process *process;
	bool came_before = a->came_before && container->n_in_flight == 1 && is_unread(container, event->time);
	bool mixes = a->mixes && thread->since != event->time; /* else it has read something of a request (fp_attribute_enter) */

	a->came_before = a->mixes = false;
	if (!came_before && !mixes)
		return;
	HASH_FIND(hh, a->processes, &key, sizeof(key), process);
	if (process && mixes)
		process->mixed = event->time;
	if (process && came_before)
		note_doubt(container, process, thread, event);
}

struct fp_idset *fp_behind_suspects(struct container *container)
{
	uint8_t ids[FP_IN_FLIGHT_MAX][FP_REQUEST_ID_SIZE];
	unsigned n = container->n_in_flight, kept = container->n_ended < FP_ENDED_MAX ? container->n_ended : FP_ENDED_MAX;

	if (container->suspects)
		return container->suspects;
	memcpy(ids, container->in_flight, n * sizeof(ids[0]));
	for (unsigned i = 1; i <= kept && i <= SUSPECTS_MAX && n < FP_IN_FLIGHT_MAX; i++)
		memcpy(ids[n++], container->ended[(container->n_ended - i) % FP_ENDED_MAX], sizeof(ids[0]));
	container->suspects = fp_idset_new((const uint8_t(*)[FP_REQUEST_ID_SIZE])ids, n);
	return container->suspects;
}

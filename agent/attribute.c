#include "agent/attribute.h"

#include <errno.h>
#include <string.h>

#include "agent/attribute_state.h"
#include "agent/bpf/shared.h"
#include "base/text.h"

/*
 * An effect is recorded when its call ends but can have come any time since it
 * began, which we do not see.  The end of the thread's call before bounds it; so
 * does this, for threads that were idle.  Long enough for a writer to be
 * preempted within a call on a loaded machine.
 */
#define EFFECT_LEAD_MAX (100 * (FP_NS_PER_SEC / 1000))

/* --- what the event is attributed to --------------------------------------- */

/* One of those in flight, or one of `more`: all are named, as far as an event has room; then the last ones make way for `more`. */
static void name_all(struct container *container, const struct fp_idset *more, struct fp_context *ret)
{
	uint8_t ids[FP_IN_FLIGHT_MAX][FP_REQUEST_ID_SIZE];
	unsigned n = container->n_in_flight;
	struct fp_idset *set;
	bool has_more = false;

	memcpy(ids, container->in_flight, n * sizeof(ids[0]));
	for (unsigned i = 0; more && i < more->n; i++) {
		if (fp_state_find_in_flight(container, more->ids[i]) >= 0)
			continue;
		n -= n == FP_IN_FLIGHT_MAX;
		memcpy(ids[n++], more->ids[i], sizeof(ids[0]));
		has_more = true;
	}
	set = !has_more ? fp_idset_hold(fp_state_all_in_flight(container)) :
					    fp_idset_new((const uint8_t(*)[FP_REQUEST_ID_SIZE])ids, n);
	fp_context_set(ret, set, FP_ATTRIBUTION_AMBIGUOUS, FP_RULE_IN_FLIGHT, container->epoch);
	fp_idset_release(set);
}

static bool others_in_flight(const struct container *container, const struct fp_idset *ids)
{
	for (unsigned i = 0; i < container->n_in_flight; i++) {
		unsigned n = 0;

		while (n < ids->n && memcmp(ids->ids[n], container->in_flight[i], FP_REQUEST_ID_SIZE) != 0)
			n++;
		if (n == ids->n)
			return true;
	}
	return false;
}

/* Work that another left behind, or one in flight of which nothing is known. */
static bool may_be_others(struct fp_attributor *a, struct container *container, const struct thread *thread,
		      const struct fp_event *event, bool has_read)
{
	return fp_behind_possible(a, container, thread, event, has_read) || fp_state_may_miss(a, container);
}

/*
 * What the thread last read.  A thread that reads its connections one by one works
 * for that request until it reads another's; an event loop can run anybody's timer
 * or immediate next, so there it is evidence only while nobody else is in flight.
 */
static bool context_of_turn(struct fp_attributor *a, struct container *container, struct thread *thread,
			    const struct fp_event *event, struct fp_context *ret)
{
	const struct fp_context *context = &thread->context;

	if (!fp_state_believed(context, container))
		return false;
	if (thread->blocks && fp_state_find_in_flight(container, context->ids->ids[0]) >= 0) {
		fp_context_follow(ret, context, FP_RULE_THREAD, FP_ATTRIBUTION_DERIVED);
		return true;
	}
	if (thread->turn != event->turn)
		return false;
	if (others_in_flight(container, context->ids))
		name_all(container, context->ids, ret);
	else if (may_be_others(a, container, thread, event, true))
		fp_context_set(ret, fp_behind_suspects(container), FP_ATTRIBUTION_AMBIGUOUS, FP_RULE_LEFT_BEHIND,
			       container->epoch);
	else
		fp_context_follow(ret, context, context->rule, FP_ATTRIBUTION_DERIVED);
	return true;
}

/* Was the process made for the one request whose bytes the thread last read?  Then nobody else's work goes on in it. */
static bool stays_with(const struct process *process, const struct thread *thread)
{
	const struct fp_idset *own = process ? process->inherited.ids : NULL, *read = thread->context.ids;

	return own && read && own->n == 1 && read->n == 1 && memcmp(own->ids[0], read->ids[0], FP_REQUEST_ID_SIZE) == 0;
}

/* What would say that it works for another than the only one in flight may have been forgotten (attribute_forget.c). */
static bool is_unsure(const struct container *container, const struct thread *thread, const struct fp_event *event)
{
	return container->n_in_flight > 0 && (thread->unsure || event->process_start <= container->forgot_process);
}

/* A thread's context without evidence from the event itself: `ret` gets a reference. */
static void current_context(struct fp_attributor *a, struct container *container, struct thread *thread,
			    const struct fp_event *event, struct fp_context *ret)
{
	struct task_key key = {event->tgid, event->process_start};
	struct process *process;

	if (a->whole_run) {
		fp_context_set(ret, a->whole_run, FP_ATTRIBUTION_EXACT, FP_RULE_WHOLE_RUN, 0);
		return;
	}
	if (fp_state_is_watchdog(container, event)) {
		if (thread->forks.ids)
			fp_context_follow(ret, &thread->forks, FP_RULE_CHILD, FP_ATTRIBUTION_EXACT);
		return;
	}
	/* what an event loop reads or accepts, it does before the runtime says whose it is */
	if (fp_state_believed(&thread->assist, container) && event->type != FP_EVENT_TYPE_RECEIVE &&
	    event->type != FP_EVENT_TYPE_ACCEPT) {
		fp_context_follow(ret, &thread->assist, FP_RULE_ASSIST, FP_ATTRIBUTION_DERIVED);
		return;
	}
	HASH_FIND(hh, a->processes, &key, sizeof(key), process);
	if (process) {
		process->used = true;
		process->cgroup = event->cgroup;
	}
	if (!stays_with(process, thread) && context_of_turn(a, container, thread, event, ret))
		return;
	if (process && process->inherited.ids) {
		fp_context_follow(ret, &process->inherited, process->inherited.rule, FP_ATTRIBUTION_EXACT);
		return;
	}
	if ((container->n_in_flight == 1 && may_be_others(a, container, thread, event, false)) ||
	    is_unsure(container, thread, event))
		fp_context_set(ret, fp_behind_suspects(container), FP_ATTRIBUTION_AMBIGUOUS, FP_RULE_LEFT_BEHIND,
			       container->epoch);
	else if (container->n_in_flight == 1)
		fp_context_set(ret, fp_state_all_in_flight(container), FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, container->epoch);
	else if (container->n_in_flight > 1)
		name_all(container, NULL, ret);
}

void fp_attribute_enter(struct container *container, struct thread *thread, const struct fp_event *event,
		  const struct fp_context *context)
{
	/* while a blocking thread works for a request, what else it reads is for that request */
	if (thread->blocks && !fp_rule_is_own(context->rule) && fp_state_believed(&thread->context, container) &&
	    fp_state_find_in_flight(container, thread->context.ids->ids[0]) >= 0)
		return;
	fp_context_follow(&thread->context, context, FP_RULE_TURN, FP_ATTRIBUTION_DERIVED);
	if (!thread->polls && thread->since) { /* that it reads is its work */
		thread->since = event->time;
		thread->giver = 0;
	}
	thread->turn = event->turn;
	thread->blocks = fp_rule_is_own(context->rule) && event->type == FP_EVENT_TYPE_RECEIVE &&
			 !(event->flags & O_NONBLOCK_FLAG);
}

static void note_fork(struct fp_attributor *a, const struct fp_event *event, const struct fp_context *context)
{
	struct task_key key = {event->child_tgid, event->child_start};
	struct process *child;
	struct thread *thread;

	if (event->child_tgid == event->tgid) {
		key = (struct task_key){event->child_tid, event->process_start};
		thread = fp_state_thread(a, &key);
		if (thread) {
			thread->cgroup = event->cgroup;
			fp_behind_born(thread, event);
		}
		return;
	}
	if (context->rule != FP_RULE_CHILD)
		fp_readers_fork(a, event);
	if (!context->ids || a->whole_run)
		return;
	child = fp_state_process(a, &key);
	if (!child)
		return;
	child->cgroup = event->cgroup;
	fp_context_follow(&child->inherited, context,
			  context->rule == FP_RULE_CHILD ? FP_RULE_CHILD : FP_RULE_INHERITED, FP_ATTRIBUTION_EXACT);
	a->stats.followed++;
}

static void note_exit(struct fp_attributor *a, struct container *container, struct thread *thread,
		      const struct fp_event *event)
{
	struct task_key key = {event->tgid, event->process_start};
	struct process *process;

	HASH_FIND(hh, a->processes, &key, sizeof(key), process);
	fp_behind_exit(a, thread, event->flags ? process : NULL, event);
	fp_state_drop_thread(a, thread);
	if (!event->flags)
		return;
	if (process)
		fp_state_drop_process(a, process);
	if (fp_state_is_watchdog(container, event)) {
		container->n_in_flight = 0;
		fp_state_in_flight_changed(container, event->time);
		container->has_watchdog = false;
	}
}

/* --- the way of an event ------------------------------------------------------ */

static bool flows_out(enum fp_event_type type)
{
	switch (type) {
	case FP_EVENT_TYPE_WRITE:
	case FP_EVENT_TYPE_SEND:
	case FP_EVENT_TYPE_RENAME:
	case FP_EVENT_TYPE_UNLINK:
	case FP_EVENT_TYPE_CHMOD:
	case FP_EVENT_TYPE_CONNECT:
	case FP_EVENT_TYPE_LINK:
	case FP_EVENT_TYPE_MAKE:
	case FP_EVENT_TYPE_TRUNCATE:
	case FP_EVENT_TYPE_CHOWN:
	case FP_EVENT_TYPE_XATTR:
	case FP_EVENT_TYPE_MAP:
	case FP_EVENT_TYPE_SIGNAL:
	case FP_EVENT_TYPE_TRACE:
		return true;
	case FP_EVENT_TYPE_OPEN: /* may create or truncate */
		return true;
	default:
		return false;
	}
}

static void note_start(struct thread *thread, struct fp_event *event)
{
	event->start = event->time;
	if (flows_out(event->type)) {
		uint64_t earliest = event->time > EFFECT_LEAD_MAX ? event->time - EFFECT_LEAD_MAX : 0;

		event->start = thread->last > earliest ? thread->last : earliest;
		if (event->start > event->time)
			event->start = event->time;
	}
	thread->last = event->time;
}

/* What a watchdog passes on is its request's, which the marks have told already. */
static bool is_passing_on(const struct container *container, const struct fp_event *event)
{
	return fp_state_is_watchdog(container, event) &&
	       (event->type == FP_EVENT_TYPE_READ || event->type == FP_EVENT_TYPE_WRITE ||
		event->type == FP_EVENT_TYPE_SEND || event->type == FP_EVENT_TYPE_RECEIVE);
}

static void show(struct fp_attributor *a, const struct container *container, struct fp_event *event,
		 struct fp_context *context)
{
	fp_idset_release(a->shown);
	a->shown = fp_idset_hold(context->ids);
	event->attribution = context->attribution;
	event->rule = context->rule;
	if (!context->ids) {
		event->unit = container->begun ? FP_UNIT_BACKGROUND : FP_UNIT_STARTUP;
	} else if (context->attribution == FP_ATTRIBUTION_AMBIGUOUS) {
		event->unit = FP_UNIT_REQUEST;
		event->candidates = (struct fp_str){(const char *)context->ids->ids,
						    (size_t)context->ids->n * FP_REQUEST_ID_SIZE};
	} else {
		event->unit = FP_UNIT_REQUEST;
		event->request = (struct fp_str){(const char *)context->ids->ids, FP_REQUEST_ID_SIZE};
	}
}

/* A thread without an entry is new, or was forgotten. */
static void meet(const struct container *container, struct thread *thread, const struct fp_event *event)
{
	if (thread->cgroup)
		return;
	thread->cgroup = event->cgroup;
	thread->unsure = event->process_start <= container->forgot;
}

/* What follows of the event for what it is about: `context` is the thread's and becomes the event's. */
static void note_object(struct fp_attributor *a, struct container *container, struct thread *thread, struct fp_event *event,
			struct fp_context *context)
{
	switch (event->type) {
	case FP_EVENT_TYPE_SOCKET:
	case FP_EVENT_TYPE_CONNECT:
	case FP_EVENT_TYPE_ACCEPT:
	case FP_EVENT_TYPE_SEND:
	case FP_EVENT_TYPE_RECEIVE:
		fp_attribute_socket(a, container, thread, event, context);
		break;
	case FP_EVENT_TYPE_BIND:
	case FP_EVENT_TYPE_LISTEN:
	case FP_EVENT_TYPE_SHUTDOWN:
		fp_attribute_settle(a, event);
		break;
	case FP_EVENT_TYPE_OPEN:
	case FP_EVENT_TYPE_READ:
	case FP_EVENT_TYPE_WRITE:
		if (event->object == FP_OBJECT_PIPE && !a->whole_run)
			fp_attribute_pipe(a, container, thread, event, context);
		break;
	case FP_EVENT_TYPE_FORK:
		note_fork(a, event, context);
		break;
	case FP_EVENT_TYPE_EXEC:
		container->from_start |= event->ns_tgid == 1;
		break;
	case FP_EVENT_TYPE_EXIT:
		note_exit(a, container, thread, event);
		break;
	default:
		break;
	}
}

int fp_attributor_note(struct fp_attributor *a, struct fp_event *event)
{
	struct task_key key = {event->tid, event->process_start};
	struct container *container = fp_state_container(a, &event->cgroup);
	/* who comes from elsewhere, or goes, has been moved, and has done nothing */
	bool is_state = fp_event_is_state(event->type) || event->type == FP_EVENT_TYPE_MOVED || event->type == FP_EVENT_TYPE_LEFT;
	struct thread *thread = is_state ? NULL : fp_state_thread(a, &key);
	struct fp_context context = {0};
	bool in_doubt;
	int keep = 1;

	fp_attributor_weigh(a, event);
	in_doubt = event->fd & FP_FD_IN_DOUBT;
	event->fd &= ~FP_FD_IN_DOUBT;
	a->now = event->time;
	if (container && is_state) {
		event->start = event->time;
		show(a, container, event, &context);
		return keep;
	}
	if (!container || !thread)
		return -ENOMEM;
	meet(container, thread, event);
	if (event->type == FP_EVENT_TYPE_WAIT)
		return fp_behind_wait(a, container, thread, event);
	note_start(thread, event);
	fp_behind_note(a, container, thread, event);
	if (event->type == FP_EVENT_TYPE_MARK)
		keep = fp_attribute_mark(a, container, thread, event, &context);
	else if (is_passing_on(container, event))
		keep = 0;
	if (in_doubt)
		fp_doubt_begin(container, thread, event);
	if (!context.ids)
		current_context(a, container, thread, event, &context);
	if (in_doubt)
		keep = fp_doubt_end(a, container, thread, event, &context) && keep;
	else
		note_object(a, container, thread, event, &context);
	if (event->type != FP_EVENT_TYPE_EXIT) /* who ends is no thread any more */
		fp_behind_done(a, container, thread, event);
	show(a, container, event, &context);
	fp_context_clear(&context);
	return keep;
}

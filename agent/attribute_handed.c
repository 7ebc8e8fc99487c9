/*
 * What processes of a container hand to each other through pipes and unix sockets.
 * A process that was forked in a request is the request's only until it is given
 * work by somebody else: a worker of a pool lives on, and does what comes to it.
 * So the bytes of a channel are followed from the write to the read by counting
 * them from the channel's beginning on:
 *   - What comes from another process belongs to who wrote it, if all that can have
 *     been read was written in one context.
 *   - A call is recorded at its exit, so a read can be known before the write. Whoever
 *     has read more than was written, works for nobody that is known until that write comes.
 *   - Two threads' writes can be recorded in another order than they were made.
 *     Where several threads have written for several requests, order proves nothing.
 *   - A process that read what is not certainly its own request's, is that one's no longer.
 * A channel that was there before, and one that counting lost, only makes uncertain.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/attribute_saved.h"
#include "agent/bpf/shared.h"

struct handed {
	uint64_t written, read; /* bytes */
	struct fp_context last; /* whose the last write was */
	struct task_key writer, writing_process; /* the first to write */
	bool mixed; /* what nobody has read yet is of several */
	bool several_writers, several_processes, several_requests; /* ever */
	unsigned epoch; /* fp_state_counted() when it was made; counting has lost it since when that is another */
	struct {
		struct task_key thread, process; /* who has read more than was written */
		uint64_t turn;
		struct fp_context doubted; /* what the process was forked in */
	} ahead;
};

static bool same_key(const struct task_key *a, const struct task_key *b)
{
	return a->id == b->id && a->start == b->start;
}

static bool same_ids(const struct fp_idset *a, const struct fp_idset *b)
{
	if (!a || !b)
		return a == b;
	return a->n == b->n && memcmp(a->ids, b->ids, (size_t)a->n * FP_REQUEST_ID_SIZE) == 0;
}

static bool is_only_one(const struct fp_attributor *a, const struct container *container, const struct fp_idset *ids)
{
	return ids && ids->n == 1 && container->n_in_flight == 1 && fp_state_find_in_flight(container, ids->ids[0]) == 0 &&
	       !fp_state_may_miss(a, container);
}

/* Has a process that was forked in the request made itself a server? */
static bool listens(const struct container *container, const struct fp_idset *ids)
{
	unsigned n = container->n_listening < FP_LISTENING_MAX ? container->n_listening : FP_LISTENING_MAX;

	for (unsigned i = 0; i < n; i++)
		if (ids->n == 1 && memcmp(container->listening[i], ids->ids[0], FP_REQUEST_ID_SIZE) == 0)
			return true;
	return false;
}

static struct process *find_process(struct fp_attributor *a, const struct fp_event *event)
{
	struct task_key key = {event->tgid, event->process_start};
	struct process *process;

	HASH_FIND(hh, a->processes, &key, sizeof(key), process);
	return process;
}

/* What the process was forked in, where that can end; else NULL. */
static struct fp_context *borrowed(struct process *process)
{
	if (!process || !process->inherited.ids || process->inherited.rule == FP_RULE_CHILD)
		return NULL;
	return &process->inherited;
}

static void forget_ahead(struct handed *handed)
{
	fp_context_clear(&handed->ahead.doubted);
	memset(&handed->ahead, 0, sizeof(handed->ahead));
}

void fp_handed_done(struct channel *channel)
{
	if (!channel->handed)
		return;
	forget_ahead(channel->handed);
	fp_context_clear(&channel->handed->last);
	free(channel->handed);
	channel->handed = NULL;
}

void fp_handed_made(const struct container *container, struct channel *channel)
{
	fp_handed_done(channel);
	channel->handed = calloc(1, sizeof(*channel->handed)); /* without it nothing is certain */
	if (channel->handed)
		channel->handed->epoch = fp_state_counted(container);
}

/* The write has come that was read before: now it is known for whom. */
static void catch_up(struct fp_attributor *a, const struct container *container, struct handed *handed,
		     const struct fp_context *context)
{
	struct process *process;
	struct thread *thread;

	HASH_FIND(hh, a->threads, &handed->ahead.thread, sizeof(handed->ahead.thread), thread);
	HASH_FIND(hh, a->processes, &handed->ahead.process, sizeof(handed->ahead.process), process);
	if (process && !process->inherited.ids && fp_state_believed(context, container) &&
	    same_ids(context->ids, handed->ahead.doubted.ids))
		fp_context_follow(&process->inherited, &handed->ahead.doubted, handed->ahead.doubted.rule,
				  handed->ahead.doubted.attribution);
	if (thread && !thread->context.ids && fp_state_believed(context, container)) {
		fp_context_follow(&thread->context, context, FP_RULE_TURN, FP_ATTRIBUTION_DERIVED);
		thread->turn = handed->ahead.turn;
		thread->blocks = false;
	}
	forget_ahead(handed);
}

void fp_handed_write(struct fp_attributor *a, const struct container *container, struct channel *to,
		     const struct fp_event *event, const struct fp_context *context)
{
	struct task_key writer = {event->tid, event->process_start}, process = {event->tgid, event->process_start};
	struct handed *handed = to->handed;

	if (!handed || event->bytes == 0)
		return;
	if (handed->written == 0) {
		handed->writer = writer;
		handed->writing_process = process;
	} else {
		handed->several_writers |= !same_key(&handed->writer, &writer);
		handed->several_processes |= !same_key(&handed->writing_process, &process);
		handed->several_requests |= !same_ids(handed->last.ids, context->ids);
	}
	if (handed->read >= handed->written)
		handed->mixed = false;
	else if (!same_ids(handed->last.ids, context->ids))
		handed->mixed = true;
	if (handed->epoch == fp_state_counted(container) && handed->read > handed->written && handed->ahead.thread.id &&
	    !handed->several_writers)
		catch_up(a, container, handed, context);
	handed->written += event->bytes;
	fp_context_clear(&handed->last);
	if (context->ids)
		fp_context_follow(&handed->last, context, FP_RULE_DESCRIPTOR, FP_ATTRIBUTION_DERIVED);
}

static bool is_known(const struct handed *handed, const struct container *container)
{
	return handed->read <= handed->written && !handed->mixed && fp_state_believed(&handed->last, container) &&
	       !(handed->several_writers && handed->several_requests);
}

/*
 * Is it the maker's, though it was read before the write was recorded?  Nobody else has
 * used it so far; and who reads was not made to work for others, or only its own forebears
 * within the request hold the other end.
 */
static bool is_makers(const struct fp_attributor *a, const struct handed *handed, const struct channel *from,
		      const struct container *container, const struct fp_context *own)
{
	const struct fp_context *maker = &from->context;

	if (!from->makers || !fp_state_believed(maker, container) || maker->ids->n != 1 || handed->several_requests ||
	    (handed->last.ids && !same_ids(handed->last.ids, maker->ids)))
		return false;
	if (!own)
		return true;
	return same_ids(own->ids, maker->ids) && (from->in_family || is_only_one(a, container, own->ids));
}

/* Work came, and it is not known whose.  Who works for a request until it reads another's, or says for whom, reads this for that. */
static void be_anybodys(const struct fp_attributor *a, struct container *container, struct thread *thread, struct fp_context *ret)
{
	const struct fp_context *context = &thread->context;

	if (fp_state_believed(&thread->assist, container) ||
	    (thread->blocks && fp_state_believed(context, container) &&
	     fp_state_find_in_flight(container, context->ids->ids[0]) >= 0))
		return;
	fp_context_clear(&thread->context);
	fp_context_clear(ret);
	if (container->n_in_flight == 0)
		return;
	if (container->n_in_flight == 1 && container->n_ended == 0 && !fp_state_may_miss(a, container))
		fp_context_set(ret, fp_state_all_in_flight(container), FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, container->epoch);
	else
		fp_context_set(ret, fp_behind_suspects(container), FP_ATTRIBUTION_AMBIGUOUS,
			       container->n_in_flight > 1 ? FP_RULE_IN_FLIGHT : FP_RULE_LEFT_BEHIND, container->epoch);
}

static void remember_ahead(struct handed *handed, const struct fp_event *event, const struct fp_context *own)
{
	if (handed->read <= handed->written || handed->several_writers)
		return;
	if (own) {
		fp_context_clear(&handed->ahead.doubted);
		fp_context_follow(&handed->ahead.doubted, own, own->rule, own->attribution);
	}
	handed->ahead.thread = (struct task_key){event->tid, event->process_start};
	handed->ahead.process = (struct task_key){event->tgid, event->process_start};
	handed->ahead.turn = event->turn;
}

/* A server that a request left behind is that one's doing, whoever asks it. */
void fp_handed_listen(struct fp_attributor *a, struct container *container, const struct fp_event *event)
{
	const struct fp_context *own = borrowed(find_process(a, event));

	if (own && own->ids->n == 1 && !listens(container, own->ids))
		memcpy(container->listening[container->n_listening++ % FP_LISTENING_MAX], own->ids->ids[0], FP_REQUEST_ID_SIZE);
}

bool fp_handed_strange(struct fp_attributor *a, struct container *container, struct thread *thread,
		       const struct fp_event *event, const struct fp_context *known, struct fp_context *ret)
{
	struct fp_context *own = borrowed(find_process(a, event));

	if (!own || event->bytes == 0)
		return false;
	if (known ? same_ids(own->ids, known->ids) : is_only_one(a, container, own->ids) || listens(container, own->ids))
		return false;
	fp_context_clear(own);
	if (!known)
		be_anybodys(a, container, thread, ret);
	return true;
}

bool fp_handed_read(struct fp_attributor *a, struct container *container, struct thread *thread, struct channel *from,
		    const struct fp_event *event, struct fp_context *ret)
{
	struct handed *handed = from->handed;
	struct process *process = find_process(a, event);
	struct fp_context *own = borrowed(process);
	struct task_key reader = {event->tgid, event->process_start};

	if (event->bytes == 0 || (process && process->inherited.ids && !own) || fp_state_is_watchdog(container, event))
		return false;
	/* one with a name, that its own request opened first */
	if (!handed && own && fp_state_believed(&from->context, container) && same_ids(own->ids, from->context.ids))
		return false;
	if (!handed || handed->epoch != fp_state_counted(container))
		return fp_handed_strange(a, container, thread, event, NULL, ret);
	if (!(event->flags & FP_RECEIVE_PEEKED) || event->type != FP_EVENT_TYPE_RECEIVE)
		handed->read += event->bytes;
	/* who wakes itself; of a pipe that others' work wakes, too, nothing is known */
	if (handed->written && !handed->several_processes && same_key(&handed->writing_process, &reader))
		return handed->several_requests;
	if (is_known(handed, container)) {
		if (own && !same_ids(own->ids, handed->last.ids))
			fp_context_clear(own);
		fp_context_clear(ret);
		fp_context_follow(ret, &handed->last, FP_RULE_DESCRIPTOR, FP_ATTRIBUTION_DERIVED);
		fp_attribute_enter(container, thread, event, ret);
		return true;
	}
	if (is_makers(a, handed, from, container, own))
		return false;
	if (own && is_only_one(a, container, own->ids))
		return true;
	remember_ahead(handed, event, own);
	if (own)
		fp_context_clear(own);
	be_anybodys(a, container, thread, ret);
	return true;
}

/* --- over a restart ----------------------------------------------------------------- */

void fp_handed_save(const struct channel *channel, struct fp_buffer *out)
{
	const struct handed *handed = channel->handed;

	fp_buffer_add_varint(out, handed != NULL);
	if (!handed)
		return;
	const uint64_t numbers[] = {
		handed->written,	  handed->read,		     handed->writer.id,		handed->writer.start,
		handed->writing_process.id, handed->writing_process.start, handed->mixed,	handed->several_writers,
		handed->several_processes, handed->several_requests, handed->epoch,		handed->ahead.thread.id,
		handed->ahead.thread.start, handed->ahead.process.id, handed->ahead.process.start, handed->ahead.turn};

	fp_saved_add_numbers(out, numbers, sizeof(numbers) / sizeof(numbers[0]));
	fp_saved_add_context(out, &handed->last);
	fp_saved_add_context(out, &handed->ahead.doubted);
}

static void restore_key(struct fp_saved *in, struct task_key *ret)
{
	ret->id = fp_saved_get(in);
	ret->start = fp_saved_get(in);
}

int fp_handed_restore(struct channel *channel, struct fp_saved *in)
{
	struct handed *handed;
	int r;

	if (fp_saved_get(in) == 0)
		return in->bad ? -EBADMSG : 0;
	handed = channel->handed = calloc(1, sizeof(*handed));
	if (!handed)
		return -ENOMEM;
	handed->written = fp_saved_get(in);
	handed->read = fp_saved_get(in);
	restore_key(in, &handed->writer);
	restore_key(in, &handed->writing_process);
	handed->mixed = fp_saved_get(in) != 0;
	handed->several_writers = fp_saved_get(in) != 0;
	handed->several_processes = fp_saved_get(in) != 0;
	handed->several_requests = fp_saved_get(in) != 0;
	handed->epoch = (unsigned)fp_saved_get(in);
	restore_key(in, &handed->ahead.thread);
	restore_key(in, &handed->ahead.process);
	handed->ahead.turn = fp_saved_get(in);
	r = fp_saved_context(in, &handed->last);
	return r == 0 ? fp_saved_context(in, &handed->ahead.doubted) : r;
}

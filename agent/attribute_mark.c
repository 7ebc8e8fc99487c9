/* In-band marks: who may make them, and what they change. */
#include <errno.h>
#include <string.h>

#include "agent/attribute_state.h"
#include "agent/mark.h"
#include "base/text.h"

static const uint8_t none[FP_REQUEST_ID_SIZE];

static void put_id(uint8_t id[FP_REQUEST_ID_SIZE], uint64_t hi, uint64_t lo)
{
	for (int i = 0; i < 8; i++) {
		id[i] = (uint8_t)(hi >> (56 - 8 * i));
		id[8 + i] = (uint8_t)(lo >> (56 - 8 * i));
	}
}

static int refuse(struct fp_attributor *a, struct fp_event *event, const char *why)
{
	event->type = FP_EVENT_TYPE_REFUSED;
	event->mark &= 0xff;
	event->refused = (struct fp_str){why, strlen(why)};
	a->stats.refused++;
	return 1;
}

/* Whom it named before, the thread works for no more, whether this is a lie or the begin of the request has been lost. */
static int refuse_word(struct fp_attributor *a, struct thread *thread, struct fp_event *event, const char *why)
{
	fp_context_clear(&thread->assist);
	return refuse(a, event, why);
}

static void mark_connection(struct fp_attributor *a, struct container *container, const struct fp_event *event,
			    struct fp_idset *ids)
{
	struct stream_key key = fp_state_stream_from(event);
	struct stream *stream = fp_state_stream(a, &key);

	if (!stream)
		return;
	stream->cgroup = container->cgroup;
	if (stream->n == MARKS_PER_STREAM) {
		fp_context_clear(&stream->marks[0].context);
		memmove(&stream->marks[0], &stream->marks[1], (MARKS_PER_STREAM - 1) * sizeof(stream->marks[0]));
		stream->n--;
	}
	memset(&stream->marks[stream->n], 0, sizeof(stream->marks[0]));
	stream->marks[stream->n].base = (uint32_t)event->tx_base;
	stream->marks[stream->n].offset = (uint32_t)event->tx_end;
	fp_context_set(&stream->marks[stream->n].context, ids, FP_ATTRIBUTION_EXACT, FP_RULE_CONNECTION,
		       container->epoch);
	stream->n++;
	memcpy(container->marked, ids->ids[0], FP_REQUEST_ID_SIZE);
	if (memcmp(container->unsent, ids->ids[0], FP_REQUEST_ID_SIZE) == 0)
		memset(container->unsent, 0, FP_REQUEST_ID_SIZE);
	fp_readers_mark(a, container, ids->ids[0]);
}

/* Where there is no room for one more, and ends may be missing, the first to begin has most likely ended. */
static void enter(struct fp_attributor *a, struct container *container, const uint8_t id[FP_REQUEST_ID_SIZE], uint64_t time)
{
	bool is_full = container->n_in_flight == FP_IN_FLIGHT_MAX;

	if (is_full && container->missed)
		fp_state_leave(a, container, 0, time);
	if (fp_state_enter(container, id, time) < 0 || is_full)
		fp_state_tell_forgotten(a, container->cgroup);
}

static int mark_begin(struct fp_attributor *a, struct container *container, struct fp_event *event,
		      const uint8_t id[FP_REQUEST_ID_SIZE])
{
	if (fp_state_find_in_flight(container, id) >= 0)
		return refuse(a, event, "an invocation with this id is in flight");
	enter(a, container, id, event->time);
	if (memcmp(container->marked, none, sizeof(none)) != 0)
		memcpy(container->unsent, id, FP_REQUEST_ID_SIZE);
	container->begun = true;
	a->stats.begun++;
	event->type = FP_EVENT_TYPE_BEGIN;
	return 1;
}

/*
 * The watchdog's word for how many are in flight: just this one, or none.  So all others have ended, and none is in
 * flight of which nothing is known, whatever was lost.  Another number does not tell which they are.
 */
static void note_number(struct fp_attributor *a, struct container *container, const struct fp_event *event,
			const uint8_t id[FP_REQUEST_ID_SIZE], uint64_t in_flight)
{
	bool begins = event->type == FP_EVENT_TYPE_BEGIN;

	container->tells_number |= in_flight != FP_MARK_UNTOLD;
	if (!container->missed || in_flight != begins)
		return;
	for (int i = (int)container->n_in_flight - 1; i >= 0; i--)
		if (!begins || memcmp(container->in_flight[i], id, FP_REQUEST_ID_SIZE) != 0)
			fp_state_leave(a, container, i, event->time);
	container->missed = 0;
}

/*
 * The mark of an invocation that is not known to be in flight.  True: its begin can be missing.  Then it is from
 * now on, if it does not end here.
 */
static bool has_begun_unseen(struct fp_attributor *a, struct container *container, const struct fp_event *event,
			     const uint8_t id[FP_REQUEST_ID_SIZE], unsigned mark)
{
	if (!fp_state_may_miss(a, container))
		return false;
	if (mark != FP_MARK_END)
		enter(a, container, id, event->time);
	container->begun = true;
	return true;
}

static int mark_end(struct fp_attributor *a, struct container *container, struct fp_event *event, int place)
{
	fp_state_leave(a, container, place, event->time);
	a->stats.ended++;
	event->type = FP_EVENT_TYPE_END;
	return 1;
}

/*
 * Why the mark is not its container's watchdog's; NULL: it is.  Whoever is believed
 * can make `exact` events, so only the first process is, in the container's own name
 * space, which no function can become; and it must have marked from the beginning.
 * An agent that came later has not seen the HELLO, and believes the first mark.
 */
static const char *distrust(const struct container *container, const struct fp_event *event, unsigned mark)
{
	if (event->mark >> 8 != FP_MARK_VERSION)
		return "mark of an unknown version";
	if (fp_state_is_watchdog(container, event))
		return NULL;
	if (container->has_watchdog)
		return "not the container's watchdog";
	if (event->ns_tgid != 1)
		return "not the container's first process";
	if (container->unmarked || (mark == FP_MARK_HELLO && container->begun))
		return "the container has served requests without a watchdog that marks";
	if (mark != FP_MARK_HELLO && container->from_start)
		return "no watchdog has said hello";
	return NULL;
}

static void believe(struct fp_attributor *a, struct container *container, const struct fp_event *event)
{
	container->watchdog = (struct task_key){event->tgid, event->process_start};
	container->has_watchdog = true;
	fp_attribute_header_yield(a, container, event->time);
	if (a->watchdog)
		a->watchdog(a->watchdog_arg, event);
}

/* The id of an ENTER; recordings of the first version have it as text. */
static int entered_id(const struct fp_event *event, uint8_t id[FP_REQUEST_ID_SIZE])
{
	char text[2 * FP_REQUEST_ID_SIZE + 1];

	if (event->details.len == 0) {
		put_id(id, event->id_hi, event->id_lo);
		return 0;
	}
	if (event->details.len != sizeof(text) - 1)
		return -EBADMSG;
	memcpy(text, event->details.data, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	return fp_unhex(text, id, FP_REQUEST_ID_SIZE) < 0 ? -EBADMSG : 0;
}

/*
 * ENTER is the function's word.  It chooses only among requests that its own
 * container has served, and says nothing about any other thread.
 */
static int note_enter(struct fp_attributor *a, struct container *container, struct thread *thread,
		      struct fp_event *event)
{
	uint8_t id[FP_REQUEST_ID_SIZE];
	struct fp_idset *ids;

	if (fp_state_is_watchdog(container, event))
		return refuse(a, event, "the watchdog does no function's work");
	if (entered_id(event, id) < 0)
		return refuse_word(a, thread, event, "details that make no sense");
	if (memcmp(id, none, sizeof(id)) == 0) {
		fp_context_clear(&thread->assist);
		return 0;
	}
	if (!fp_state_has_served(container, id)) {
		if (!fp_state_may_miss(a, container))
			return refuse_word(a, thread, event, "the assist names a request that this container has not served");
		fp_context_clear(&thread->assist); /* it may well have */
		return 0;
	}
	if (fp_state_made_for_another(a, event, id))
		return refuse_word(a, thread, event, "the assist names another request than the one that the process was made for");
	if (fp_readers_refute(a, container, event, id))
		return refuse_word(a, thread, event, "the assist names a request of which this process has read nothing");
	ids = fp_idset_new((const uint8_t(*)[FP_REQUEST_ID_SIZE])id, 1);
	if (!ids)
		return -ENOMEM;
	fp_context_set(&thread->assist, ids, FP_ATTRIBUTION_DERIVED, FP_RULE_ASSIST, container->epoch);
	fp_idset_release(ids);
	return 0;
}

int fp_attribute_mark(struct fp_attributor *a, struct container *container, struct thread *thread,
		     struct fp_event *event, struct fp_context *ret)
{
	unsigned mark = event->mark & 0xff;
	const char *why;
	uint8_t id[FP_REQUEST_ID_SIZE];
	struct fp_idset *ids;
	uint64_t in_flight;
	int place, r = 0;

	if (event->mark == (FP_MARK_VERSION << 8 | FP_MARK_ENTER))
		return note_enter(a, container, thread, event);
	why = distrust(container, event, mark);
	if (why)
		return refuse(a, event, why);
	if (!container->has_watchdog)
		believe(a, container, event);
	if (mark == FP_MARK_HELLO)
		return 0;
	if (fp_mark_details(event, &in_flight) < 0)
		return refuse(a, event, "details that make no sense");
	if (mark == FP_MARK_CHILD && event->id_hi == 0 && event->id_lo == 0) {
		fp_context_clear(&thread->forks);
		return 0;
	}
	put_id(id, event->id_hi, event->id_lo);
	place = fp_state_find_in_flight(container, id);
	if (mark != FP_MARK_BEGIN && place < 0 && !has_begun_unseen(a, container, event, id, mark))
		return refuse(a, event, "no such invocation in flight");
	ids = fp_idset_new((const uint8_t(*)[FP_REQUEST_ID_SIZE])id, 1);
	if (!ids)
		return -ENOMEM;
	fp_context_set(ret, ids, FP_ATTRIBUTION_EXACT, FP_RULE_MARK, container->epoch);
	if (mark == FP_MARK_BEGIN)
		r = mark_begin(a, container, event, id);
	else if (mark == FP_MARK_CONNECTION)
		mark_connection(a, container, event, ids);
	else if (mark == FP_MARK_CHILD)
		fp_context_set(&thread->forks, ids, FP_ATTRIBUTION_EXACT, FP_RULE_CHILD, container->epoch);
	else if (mark == FP_MARK_END && place >= 0)
		r = mark_end(a, container, event, place);
	else if (mark == FP_MARK_END)
		event->type = FP_EVENT_TYPE_END; /* of which nothing else is known: not to be stored */
	else
		r = refuse(a, event, "unknown mark");
	if (event->type == FP_EVENT_TYPE_BEGIN || event->type == FP_EVENT_TYPE_END)
		note_number(a, container, event, id, in_flight);
	fp_idset_release(ids);
	return r;
}

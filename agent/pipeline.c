#include "agent/pipeline.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/attribute.h"
#include "agent/decode.h"
#include "agent/hash.h"
#include "agent/messages.h"
#include "agent/names.h"
#include "agent/redact/redact.h"
#include "agent/sequence.h"
#include "base/buffer.h"
#include "base/text.h"

/* That many flushes ask for one of which nothing is recorded any more. */
#define ASKED_AGAIN_MAX 4
/* Records between two looks at how much is remembered: one adds some KiB at most. */
#define RECORDS_PER_LOOK 64
/* A container the runtime does not know yet is asked for again after this. */
#define LOOKUP_INTERVAL (FP_NS_PER_SEC / 10)
/* One that it does not know the function of, so often after so long: runtimes that have much to do write late. */
#define FUNCTION_INTERVAL FP_NS_PER_SEC
#define FUNCTION_ASKED_MAX 120

/* Of 256 numbers of runs of refused records these come after one, and the others before. */
#define RUNS_AHEAD_MAX 240

struct announced {
	uint64_t cgroup;
	bool done; /* it is said who it is */
	unsigned asked_for_function; /* after that, in vain; FUNCTION_ASKED_MAX: no more */
	bool used; /* since it was last looked at for room */
	bool knows_run;
	uint8_t run; /* of refused records, the last that is known */
	uint64_t asked; /* when */
	unsigned asked_again; /* when nothing was recorded of it */
	uint64_t forgot; /* things of it that made room and are not told yet */
	UT_hash_handle hh;
};

struct fp_pipeline {
	struct fp_pipeline_options options;
	struct fp_attributor *attributor;
	struct fp_names *names;
	struct fp_reducer *reducer;
	struct fp_sequence sequence;
	struct fp_messages *messages;
	struct announced *announced, *latest; /* latest: of the event before, mostly of this one, too */
	struct fp_buffer text; /* redacted strings of the event at hand */
	uint64_t now; /* time of the newest record */
	uint64_t hooks; /* missing ones, a bit each cause */
	uint64_t hooks_told; /* missing for all the time up to here */
	uint64_t drained; /* the same when the source was last empty; 0: not told */
	struct fp_bounds bounds;
	uint64_t announced_forgotten;
	unsigned unknown; /* met since the last flush, or not announced then */
	uint64_t forgot; /* as of containers, of who is none or forgotten itself; and of all, not told yet */
	uint64_t forgot_in_all;
	struct fp_pipeline_stats stats;
};

/*
 * The kernel's numbers have been checked; what is left after reduction gets
 * numbers of its own, again without holes, so that the store can be checked too.
 */
static int number_and_hand_on(void *arg, struct fp_event *event)
{
	struct fp_pipeline *p = arg;

	event->cpu = 0;
	event->seq = p->stats.stored++;
	if (event->count > 1)
		p->stats.merged += event->count - 1;
	return p->options.event(p->options.arg, event);
}

static int store_message(void *arg, struct fp_event *event)
{
	struct fp_pipeline *p = arg;

	return fp_reducer_add(p->reducer, event);
}

static int note_asked(void *arg, const struct fp_event *event, const struct fp_asked *asked);

static void bound_all(struct fp_pipeline *p);

int fp_pipeline_new(const struct fp_pipeline_options *options, struct fp_pipeline **ret_pipeline)
{
	struct fp_pipeline *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->options = *options;
	r = fp_attributor_new(&p->attributor);
	if (r == 0)
		r = fp_names_new(&p->names);
	if (r == 0)
		r = fp_reducer_new(number_and_hand_on, p, &p->reducer);
	if (r == 0)
		r = fp_messages_new(store_message, p, &p->messages);
	if (r < 0) {
		fp_pipeline_free(p);
		return r;
	}
	bound_all(p);
	if (options->raw)
		fp_reducer_set_raw(p->reducer);
	fp_messages_set_asked(p->messages, note_asked);
	if (options->watchdog)
		fp_attributor_set_watchdog_fn(p->attributor, options->watchdog, options->arg);
	fp_attributor_set_clock(p->attributor, options->clock_offset);
	if (options->whole_run)
		fp_attributor_set_whole_run(p->attributor, options->whole_run);
	*ret_pipeline = p;
	return 0;
}

static void forget_announced(struct fp_pipeline *p, struct announced *announced)
{
	if (p->latest == announced)
		p->latest = NULL;
	HASH_DEL(p->announced, announced);
	free(announced);
}

struct fp_pipeline *fp_pipeline_free(struct fp_pipeline *p)
{
	if (!p)
		return NULL;
	while (p->announced)
		forget_announced(p, p->announced);
	fp_attributor_free(p->attributor);
	fp_messages_free(p->messages);
	fp_names_free(p->names);
	fp_reducer_free(p->reducer);
	fp_buffer_done(&p->text);
	free(p);
	return NULL;
}

/* --- containers --------------------------------------------------------------- */

static struct fp_str text_of(const char *text)
{
	return (struct fp_str){text, text ? strlen(text) : 0};
}

static struct announced *announced_of(struct fp_pipeline *p, uint64_t cgroup)
{
	struct announced *announced = p->latest;

	if (announced && announced->cgroup == cgroup)
		return announced;
	HASH_FIND(hh, p->announced, &cgroup, sizeof(cgroup), announced);
	if (announced) {
		announced->used = true;
		return p->latest = announced;
	}
	announced = calloc(1, sizeof(*announced));
	if (!announced)
		return NULL;
	announced->cgroup = cgroup;
	HASH_ADD(hh, p->announced, cgroup, sizeof(cgroup), announced);
	return announced;
}

/* --- memory ------------------------------------------------------------------- */

static unsigned look_at_announced(const void *owner, struct fp_bound *ret)
{
	const struct fp_pipeline *p = owner;

	ret[0] = fp_bound_of("announced", HASH_COUNT(p->announced), sizeof(*p->announced), p->announced_forgotten);
	return 1;
}

/* Who comes again is announced again. */
static void forget_one_announced(void *owner, unsigned table)
{
	struct announced *announced;
	struct fp_pipeline *p = owner;

	FP_BOUND_OLDEST(p->announced, announced, &announced->cgroup, sizeof(announced->cgroup))
	p->forgot += announced->forgot;
	p->announced_forgotten++;
	forget_announced(p, announced);
}

static void note_forgotten(void *arg, uint64_t cgroup)
{
	struct announced *announced;
	struct fp_pipeline *p = arg;

	HASH_FIND(hh, p->announced, &cgroup, sizeof(cgroup), announced);
	if (announced)
		announced->forgot++;
	else
		p->forgot++;
	p->forgot_in_all++;
}

static void bound_all(struct fp_pipeline *p)
{
	fp_pipeline_set_memory(p, p->options.memory);
	fp_bounds_add(&p->bounds, p->attributor, fp_attributor_look, fp_attributor_forget);
	fp_bounds_add(&p->bounds, p->names, fp_names_look, fp_names_forget);
	fp_bounds_add(&p->bounds, p->messages, fp_messages_look, fp_messages_forget);
	fp_bounds_add(&p->bounds, p, look_at_announced, forget_one_announced);
	fp_attributor_set_forgotten_fn(p->attributor, note_forgotten, p);
}

void fp_pipeline_set_memory(struct fp_pipeline *p, size_t bytes)
{
	p->bounds.limit = bytes ? bytes : FP_PIPELINE_MEMORY_DEFAULT;
}

size_t fp_pipeline_memory(const struct fp_pipeline *p, size_t *ret_limit)
{
	*ret_limit = p->bounds.limit;
	return fp_bounds_bytes(&p->bounds);
}

bool fp_pipeline_table(const struct fp_pipeline *p, unsigned n, struct fp_bound *ret_table)
{
	return fp_bounds_table(&p->bounds, n, ret_table);
}

/* --- announcing --------------------------------------------------------------- */

/* Where the runtime says which of its function's replicas it is, that is a word of its own: older evidence has none. */
static int announce_replica(struct fp_pipeline *p, struct fp_event *said, struct fp_str replica)
{
	struct fp_event event = {.type = FP_EVENT_TYPE_REPLICA, .time = said->time, .start = said->start,
				 .cgroup = said->cgroup, .replica = replica};
	int r = fp_reducer_add(p->reducer, said);

	return r < 0 || !replica.len ? r : fp_reducer_add(p->reducer, &event);
}

static bool may_ask(const struct announced *announced, uint64_t time)
{
	if (announced->done)
		return announced->asked_for_function < FUNCTION_ASKED_MAX && time >= announced->asked + FUNCTION_INTERVAL;
	return !announced->asked || time >= announced->asked + LOOKUP_INTERVAL;
}

/*
 * Says who a container is, before the first event that is recorded of it after it is known; and once more when it is
 * known later which function it is of.
 */
static int ask(struct fp_pipeline *p, struct announced *announced, uint64_t time)
{
	struct fp_container container;
	struct fp_event said = {.type = FP_EVENT_TYPE_CONTAINER};
	bool has_function, again = announced->done;

	p->unknown += !announced->asked;
	announced->asked = time;
	if (p->options.container(p->options.arg, announced->cgroup, &container) < 0)
		return 0;
	announced->done = true;
	has_function = container.function && *container.function;
	announced->asked_for_function = has_function ? FUNCTION_ASKED_MAX : announced->asked_for_function + again;
	if (again && !has_function)
		return 0;
	said.time = said.start = time;
	said.cgroup = announced->cgroup;
	said.container = text_of(container.id);
	said.function = text_of(container.function);
	said.image = text_of(container.image);
	said.cgroup_path = text_of(container.cgroup_path);
	return announce_replica(p, &said, text_of(container.replica));
}

static int announce(struct fp_pipeline *p, struct announced *announced, uint64_t time)
{
	return may_ask(announced, time) ? ask(p, announced, time) : 0;
}

/* --- the way of an event ------------------------------------------------------------ */

static struct fp_str redacted(struct fp_pipeline *p, struct fp_str text, enum fp_redact_kind kind)
{
	size_t begin = p->text.len;

	if (text.len == 0 || fp_redact(&p->text, text.data, text.len, kind) < 0)
		return (struct fp_str){"", 0};
	return (struct fp_str){p->text.data + begin, p->text.len - begin};
}

/* A path, or a name that is none of a message: it mostly stays where it is. */
static struct fp_str redacted_name(struct fp_pipeline *p, struct fp_str text)
{
	return fp_redact_is_needed(text.data, text.len) ? redacted(p, text, FP_REDACT_TEXT) : text;
}

/* Threads come and go, descriptors are closed, files end: that served attribution, and carries nothing. */
static bool is_stored(const struct fp_event *event)
{
	switch (event->type) {
	case FP_EVENT_TYPE_FORK:
		return event->child_tgid != event->tgid;
	case FP_EVENT_TYPE_EXIT:
		return event->flags != 0;
	case FP_EVENT_TYPE_CLOSE:
	case FP_EVENT_TYPE_SOCKET:
	case FP_EVENT_TYPE_PLAIN:
		return false;
	case FP_EVENT_TYPE_OPEN:
		return event->path.len > 0; /* else a pipe */
	case FP_EVENT_TYPE_READ:
	case FP_EVENT_TYPE_WRITE:
	case FP_EVENT_TYPE_RECEIVE:
	case FP_EVENT_TYPE_SEND:
		return event->bytes > 0;
	default:
		return true;
	}
}

static int store(struct fp_pipeline *p, struct fp_event *event)
{
	fp_buffer_clear(&p->text);
	if (!fp_buffer_reserve(&p->text, 4 * (event->argv.len + event->url.len + event->path.len + event->new_path.len +
					      event->attribute.len + event->host_name.len) + 256))
		return -ENOMEM;
	if (event->type == FP_EVENT_TYPE_EXEC || event->type == FP_EVENT_TYPE_PRESENT)
		event->argv = redacted(p, event->argv, FP_REDACT_ARGV);
	if (event->type == FP_EVENT_TYPE_BEGIN)
		event->url = redacted(p, event->url, FP_REDACT_URL);
	event->path = redacted_name(p, event->path);
	event->new_path = redacted_name(p, event->new_path);
	event->attribute = redacted_name(p, event->attribute);
	event->host_name = redacted_name(p, event->host_name);
	return fp_reducer_add(p->reducer, event);
}

/* Where no watchdog marks, the heads of requests begin and end them. */
static int note_asked(void *arg, const struct fp_event *event, const struct fp_asked *asked)
{
	struct fp_event made[FP_ASKED_EVENTS];
	struct fp_pipeline *p = arg;
	int n = fp_attributor_asked(p->attributor, event, asked, made), r = 0;

	for (int i = 0; r >= 0 && i < n; i++)
		r = store(p, &made[i]);
	return n < 0 ? n : r;
}

/* The answer is out, or nobody is left to take it. */
static int note_answered(struct fp_pipeline *p, const struct fp_event *event, int status)
{
	bool is_out = status && event->type == FP_EVENT_TYPE_SEND;
	struct fp_event end;
	int r;

	if (!is_out && !(event->type == FP_EVENT_TYPE_RECEIVE && event->bytes == 0))
		return 0;
	do { /* a connection's end is that of all who wait on it */
		r = fp_attributor_answered(p->attributor, event, (unsigned)status, &end);
		if (r > 0)
			r = fp_reducer_add(p->reducer, &end) < 0 ? -ENOMEM : 1;
		status = is_out ? fp_messages_next_answer(p->messages, event) : 0;
	} while (r > 0 && (status || !is_out));
	return r < 0 ? r : 0;
}

int fp_pipeline_event(struct fp_pipeline *p, struct fp_event *event)
{
	struct announced *announced = announced_of(p, event->cgroup);
	int keep, status, r;

	if (!announced)
		return -ENOMEM;
	r = announce(p, announced, event->time);
	if (r < 0)
		return r;
	fp_attributor_weigh(p->attributor, event);
	status = fp_messages_read(p->messages, event);
	if (status < 0)
		return status;
	keep = fp_attributor_note(p->attributor, event);
	if (event->type == FP_EVENT_TYPE_RECEIVE && event->rule == FP_RULE_CONNECTION)
		fp_messages_served(p->messages, event);
	if (keep <= 0)
		return keep;
	if (p->options.program && (event->type == FP_EVENT_TYPE_EXEC || event->type == FP_EVENT_TYPE_LOAD ||
				    event->type == FP_EVENT_TYPE_MAPPED))
		p->options.program(p->options.arg, event);
	r = fp_names_note(p->names, event);
	if (r == 0 && is_stored(event))
		r = store(p, event);
	if (r >= 0)
		r = fp_messages_hand_on(p->messages, event);
	return r < 0 ? r : note_answered(p, event, status);
}

/* How many records were refused is told later: by then much has been attributed. */
static int note_run(struct fp_pipeline *p, const struct fp_event *event, unsigned run)
{
	struct announced *announced = announced_of(p, event->cgroup);

	if (!announced)
		return -ENOMEM;
	if (!announced->knows_run)
		announced->run = (uint8_t)fp_attributor_run(p->attributor, event->cgroup);
	announced->knows_run = true;
	/* one that got its place before others can tell of less */
	if ((uint8_t)(run - announced->run) - 1u < RUNS_AHEAD_MAX) {
		announced->run = (uint8_t)run;
		fp_attributor_lost(p->attributor, event->cgroup, run, event->time);
	}
	return 0;
}

int fp_pipeline_record(struct fp_pipeline *p, const void *data, size_t len)
{
	struct fp_event event;

	/* here nobody holds anything that could go */
	if (p->stats.records++ % RECORDS_PER_LOOK == 0)
		fp_bounds_keep(&p->bounds);
	if (fp_decode(data, len, &event) < 0) {
		p->stats.invalid++;
		return fp_pipeline_loss(p, 0, FP_LOSS_INVALID, 1);
	}
	if (!fp_event_is_state(event.type)) { /* these do not come through the ring */
		fp_sequence_note(&p->sequence, event.cpu, event.seq);
		if (note_run(p, &event, fp_decode_run(data, len)) < 0)
			return -ENOMEM;
	}
	if (!p->hooks_told)
		p->hooks_told = event.time;
	if (event.time > p->now)
		p->now = event.time;
	return fp_pipeline_event(p, &event);
}

int fp_pipeline_leave_out(struct fp_pipeline *p, const void *data, size_t len)
{
	struct fp_event event;

	p->stats.records++;
	if (fp_decode(data, len, &event) < 0) {
		p->stats.invalid++;
		return fp_pipeline_loss(p, 0, FP_LOSS_INVALID, 1);
	}
	fp_sequence_note(&p->sequence, event.cpu, event.seq);
	return 0;
}

/* The container's own records tell of what was refused, just where it is missing. */
static bool is_told(const struct fp_pipeline *p, uint64_t cgroup, enum fp_loss cause)
{
	return (cause == FP_LOSS_RING_FULL || cause == FP_LOSS_BUDGET) && cgroup && fp_attributor_run(p->attributor, cgroup);
}

static int store_loss(struct fp_pipeline *p, uint64_t cgroup, enum fp_loss cause, uint64_t lost)
{
	struct fp_event event = {.type = FP_EVENT_TYPE_LOST};

	event.time = p->now;
	event.start = p->drained ? p->drained : p->now;
	event.cgroup = cgroup;
	event.cause = cause;
	event.lost = lost;
	p->stats.lost += lost;
	/*
	 * what attribution itself has not seen could have changed its contexts; what it forgot, and what went through
	 * nobody knows which descriptor, it has dealt with
	 */
	if (cause != FP_LOSS_SPOOL_FULL && cause != FP_LOSS_FAULT && cause != FP_LOSS_STATE_FULL &&
	    cause != FP_LOSS_ADDRESS && cause != FP_LOSS_DESCRIPTOR && cause != FP_LOSS_LEFT && !is_told(p, cgroup, cause))
		fp_attributor_doubt(p->attributor, cgroup);
	return fp_reducer_add(p->reducer, &event);
}

int fp_pipeline_loss(struct fp_pipeline *p, uint64_t cgroup, enum fp_loss cause, uint64_t lost)
{
	if (fp_loss_is_hook(cause)) {
		p->hooks |= 1ull << cause;
		return 0;
	}
	/* these have taken numbers, so their holes are known */
	if (cause == FP_LOSS_RING_FULL || cause == FP_LOSS_BUDGET)
		fp_sequence_explain(&p->sequence, lost);
	return store_loss(p, cgroup, cause, lost);
}

void fp_pipeline_drained(struct fp_pipeline *p)
{
	p->drained = p->now;
}

/*
 * Without a hook something is missing all the time: said again and again, without a hole between, so that
 * every answer that covers some of that time knows.
 */
static int tell_hooks(struct fp_pipeline *p)
{
	struct fp_event event = {.type = FP_EVENT_TYPE_LOST, .time = p->now, .start = p->hooks_told, .lost = 1};

	if (!p->hooks || p->now <= p->hooks_told)
		return 0;
	p->hooks_told = p->now;
	for (event.cause = 0; event.cause < 64; event.cause++) {
		int r = p->hooks >> event.cause & 1 ? fp_reducer_add(p->reducer, &event) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int tell_forgotten(struct fp_pipeline *p)
{
	struct announced *announced;
	int r = 0;

	if (!p->forgot_in_all)
		return 0;
	for (announced = p->announced; r >= 0 && announced; announced = announced->hh.next) {
		if (announced->forgot)
			r = store_loss(p, announced->cgroup, FP_LOSS_STATE_FULL, announced->forgot);
		announced->forgot = 0;
	}
	if (r >= 0 && p->forgot)
		r = store_loss(p, 0, FP_LOSS_STATE_FULL, p->forgot);
	p->forgot = p->forgot_in_all = 0;
	return r;
}

/* One that was over in a moment has no event any more with which it could be announced. */
static int announce_late(struct fp_pipeline *p)
{
	struct announced *announced;
	int r = 0;

	if (!p->unknown)
		return 0;
	p->unknown = 0;
	for (announced = p->announced; r >= 0 && announced; announced = announced->hh.next) {
		if (announced->done || announced->asked_again >= ASKED_AGAIN_MAX)
			continue;
		announced->asked_again++;
		announced->asked = 0;
		r = announce(p, announced, p->now);
	}
	return r;
}

int fp_pipeline_flush(struct fp_pipeline *p)
{
	uint64_t holes = fp_sequence_check(&p->sequence);
	int r = holes ? store_loss(p, 0, FP_LOSS_SEQUENCE, holes) : 0;

	if (r >= 0)
		r = announce_late(p);
	if (r >= 0)
		r = tell_forgotten(p);
	if (r >= 0)
		r = tell_hooks(p);
	return r < 0 ? r : fp_reducer_flush(p->reducer);
}

void fp_pipeline_stats(const struct fp_pipeline *p, struct fp_pipeline_stats *ret_stats)
{
	const struct fp_attributor_stats *attribution = fp_attributor_stats(p->attributor);

	*ret_stats = p->stats;
	ret_stats->messages = fp_messages_count(p->messages);
	ret_stats->begun = attribution->begun;
	ret_stats->ended = attribution->ended;
	ret_stats->refused = attribution->refused;
}

const struct fp_failure_count *fp_pipeline_failures(const struct fp_pipeline *p)
{
	return fp_reducer_failures(p->reducer);
}

void fp_pipeline_save(const struct fp_pipeline *p, size_t room, struct fp_buffer *out)
{
	fp_buffer_add_varint(out, p->stats.records);
	fp_buffer_add_varint(out, p->stats.invalid);
	fp_buffer_add_varint(out, p->stats.lost);
	fp_buffer_add_varint(out, p->stats.stored);
	fp_buffer_add_varint(out, p->stats.messages);
	fp_buffer_add_varint(out, p->stats.merged);
	fp_buffer_add_varint(out, p->now);
	fp_buffer_add_varint(out, p->drained);
	fp_buffer_add_varint(out, p->hooks_told);
	fp_sequence_save(&p->sequence, out);
	fp_attributor_save(p->attributor, room, out);
}

int fp_pipeline_restore(struct fp_pipeline *p, const uint8_t *data, size_t len, size_t *pos)
{
	uint64_t *const numbers[] = {&p->stats.records,	 &p->stats.invalid, &p->stats.lost, &p->stats.stored,
				     &p->stats.messages, &p->stats.merged,  &p->now,	    &p->drained,
				     &p->hooks_told};
	uint64_t left_out = 0;
	int r;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (fp_varint_read(data, len, pos, numbers[i]) < 0)
			return -EBADMSG;
	r = fp_sequence_restore(&p->sequence, data, len, pos);
	if (r == 0)
		r = fp_attributor_restore(p->attributor, data, len, pos, &left_out);
	if (r == 0 && left_out) {
		fp_attributor_doubt(p->attributor, 0);
		r = fp_pipeline_loss(p, 0, FP_LOSS_STATE_FULL, left_out);
	}
	return r;
}

#include "agent/attribute.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "agent/context.h"
#include "agent/mark.h"
#include "base/text.h"

/*
 * An effect is recorded when its call ends but can have come any time since it
 * began, which we do not see.  The end of the thread's call before bounds it; so
 * does this, for threads that were idle.  Long enough for a writer to be
 * preempted within a call on a loaded machine.
 */
#define EFFECT_LEAD_MAX (100 * (FP_NS_PER_SEC / 1000))

/* Marks kept per connection: the last ones decide, earlier requests have been read. */
#define MARKS_PER_STREAM 8

/*
 * Requests that have ended but may have left work behind, which the runtime
 * assist can still name.  A container serves so many in some seconds at most.
 */
#define FP_ENDED_MAX 1024

#define AF_UNIX_NUMBER 1
#define O_NONBLOCK_FLAG 04000

struct task_key {
	uint64_t id; /* tid or tgid */
	uint64_t start; /* of the process */
};

struct thread {
	struct task_key key;
	struct fp_context context;
	uint64_t turn; /* in which the context was entered */
	bool blocks; /* it reads its connections one by one: the context lasts longer than a turn */
	struct fp_context assist; /* what the runtime's last ENTER on it says */
	uint64_t last; /* end of the last event */
	struct fp_context forks; /* CHILD mark: what it forks belongs here */
	UT_hash_handle hh;
};

struct process {
	struct task_key key;
	struct fp_context inherited;
	UT_hash_handle hh;
};

struct stream_key {
	uint64_t netns, src_hi, src_lo, dst_hi, dst_lo;
	uint64_t ports; /* src << 16 | dst */
};

/* The watchdog's side of a connection to the function: from which byte on it belongs to which request. */
struct stream {
	struct stream_key key;
	struct {
		uint32_t base, offset;
		struct fp_context context;
	} marks[MARKS_PER_STREAM];
	unsigned n;
	UT_hash_handle hh;
};

struct channel_key {
	uint64_t object, ino; /* pipes and sockets number their inodes apart */
};

/* A socket or pipe. */
struct channel {
	struct channel_key key;
	struct fp_context context;
	uint32_t tx_base, rx_base; /* as first seen; later readings could be torn */
	uint64_t peer_ino; /* unix */
	UT_hash_handle hh;
};

struct container {
	uint64_t cgroup;
	struct task_key watchdog;
	bool has_watchdog;
	bool begun; /* it has served a request: no longer start-up */
	unsigned epoch;
	unsigned n_in_flight;
	uint8_t in_flight[FP_IN_FLIGHT_MAX][FP_REQUEST_ID_SIZE];
	unsigned n_ended; /* all in all; the newest are kept */
	uint8_t ended[FP_ENDED_MAX][FP_REQUEST_ID_SIZE];
	struct fp_idset *all; /* those in flight as a set, made when needed */
	UT_hash_handle hh;
};

struct fp_attributor {
	struct thread *threads;
	struct process *processes;
	struct stream *streams;
	struct channel *channels;
	struct container *containers;
	struct fp_idset *whole_run;
	struct fp_idset *shown; /* keeps the strings of the last event alive */
	struct fp_attributor_stats stats;
};

int fp_attributor_new(struct fp_attributor **ret_attributor)
{
	*ret_attributor = calloc(1, sizeof(**ret_attributor));
	return *ret_attributor ? 0 : -ENOMEM;
}

static void free_thread(struct fp_attributor *a, struct thread *thread)
{
	HASH_DEL(a->threads, thread);
	fp_context_clear(&thread->context);
	fp_context_clear(&thread->forks);
	fp_context_clear(&thread->assist);
	free(thread);
}

static void free_process(struct fp_attributor *a, struct process *process)
{
	HASH_DEL(a->processes, process);
	fp_context_clear(&process->inherited);
	free(process);
}

static void free_stream(struct fp_attributor *a, struct stream *stream)
{
	HASH_DEL(a->streams, stream);
	for (unsigned i = 0; i < stream->n; i++)
		fp_context_clear(&stream->marks[i].context);
	free(stream);
}

static void free_channel(struct fp_attributor *a, struct channel *channel)
{
	HASH_DEL(a->channels, channel);
	fp_context_clear(&channel->context);
	free(channel);
}

struct fp_attributor *fp_attributor_free(struct fp_attributor *a)
{
	struct container *container, *next;

	if (!a)
		return NULL;
	while (a->threads)
		free_thread(a, a->threads);
	while (a->processes)
		free_process(a, a->processes);
	while (a->streams)
		free_stream(a, a->streams);
	while (a->channels)
		free_channel(a, a->channels);
	HASH_ITER(hh, a->containers, container, next) {
		HASH_DEL(a->containers, container);
		fp_idset_release(container->all);
		free(container);
	}
	fp_idset_release(a->whole_run);
	fp_idset_release(a->shown);
	free(a);
	return NULL;
}

void fp_attributor_set_whole_run(struct fp_attributor *a, const uint8_t id[FP_REQUEST_ID_SIZE])
{
	fp_idset_release(a->whole_run);
	a->whole_run = fp_idset_new((const uint8_t(*)[FP_REQUEST_ID_SIZE])id, 1);
}

const struct fp_attributor_stats *fp_attributor_stats(const struct fp_attributor *a)
{
	return &a->stats;
}

/*
 * Finds an entry, or makes it.  A full table gives up its oldest entry: what that
 * one knew is attributed by weaker rules from then on, and counted.
 */
#define DEFINE_GET(type, table, key_type, free_entry)                                              \
	static struct type *get_##type(struct fp_attributor *a, const key_type *key)               \
	{                                                                                          \
		struct type *entry;                                                                \
                                                                                                   \
		HASH_FIND(hh, a->table, key, sizeof(*key), entry);                                 \
		if (entry)                                                                         \
			return entry;                                                              \
		if (HASH_COUNT(a->table) >= FP_ATTRIBUTE_ENTRIES_MAX) {                            \
			a->stats.overflowed++;                                                     \
			free_entry(a, a->table);                                                   \
		}                                                                                  \
		entry = calloc(1, sizeof(*entry));                                                 \
		if (!entry)                                                                        \
			return NULL;                                                               \
		memcpy(entry, key, sizeof(*key)); /* the key is the first member */                \
		HASH_ADD_KEYPTR(hh, a->table, entry, sizeof(*key), entry);                         \
		return entry;                                                                      \
	}
DEFINE_GET(thread, threads, struct task_key, free_thread)
DEFINE_GET(process, processes, struct task_key, free_process)
DEFINE_GET(stream, streams, struct stream_key, free_stream)
DEFINE_GET(channel, channels, struct channel_key, free_channel)

static void free_container(struct fp_attributor *a, struct container *container)
{
	HASH_DEL(a->containers, container);
	fp_idset_release(container->all);
	free(container);
}
DEFINE_GET(container, containers, uint64_t, free_container)

void fp_attributor_doubt(struct fp_attributor *a, uint64_t cgroup)
{
	struct container *container, *next;

	HASH_ITER(hh, a->containers, container, next)
		if (cgroup == 0 || container->cgroup == cgroup)
			container->epoch++;
}

static bool is_watchdog(const struct container *container, const struct fp_event *event)
{
	return container->has_watchdog && container->watchdog.id == event->tgid &&
	       container->watchdog.start == event->process_start;
}

/* --- requests in flight --------------------------------------------------- */

static int find_in_flight(const struct container *container, const uint8_t id[FP_REQUEST_ID_SIZE])
{
	for (unsigned i = 0; i < container->n_in_flight; i++)
		if (memcmp(container->in_flight[i], id, FP_REQUEST_ID_SIZE) == 0)
			return (int)i;
	return -1;
}

static bool has_served(const struct container *container, const uint8_t id[FP_REQUEST_ID_SIZE])
{
	unsigned n = container->n_ended < FP_ENDED_MAX ? container->n_ended : FP_ENDED_MAX;

	if (find_in_flight(container, id) >= 0)
		return true;
	for (unsigned i = 0; i < n; i++)
		if (memcmp(container->ended[i], id, FP_REQUEST_ID_SIZE) == 0)
			return true;
	return false;
}

static void in_flight_changed(struct container *container)
{
	container->all = fp_idset_release(container->all);
}

static struct fp_idset *all_in_flight(struct container *container)
{
	if (!container->all)
		container->all = fp_idset_new((const uint8_t(*)[FP_REQUEST_ID_SIZE])container->in_flight,
					      container->n_in_flight);
	return container->all;
}

/* --- what the event is attributed to --------------------------------------- */

static bool believed(const struct fp_context *context, const struct container *container)
{
	return context->ids && context->epoch == container->epoch;
}

/* One of those in flight, or one of `more`: all are named. */
static void name_all(struct container *container, const struct fp_idset *more, struct fp_context *ret)
{
	uint8_t ids[FP_IN_FLIGHT_MAX + 1][FP_REQUEST_ID_SIZE];
	unsigned n = container->n_in_flight;
	struct fp_idset *set;

	memcpy(ids, container->in_flight, n * sizeof(ids[0]));
	for (unsigned i = 0; more && i < more->n && n < FP_IN_FLIGHT_MAX + 1; i++)
		if (find_in_flight(container, more->ids[i]) < 0)
			memcpy(ids[n++], more->ids[i], sizeof(ids[0]));
	set = n == container->n_in_flight ? fp_idset_hold(all_in_flight(container)) :
					    fp_idset_new((const uint8_t(*)[FP_REQUEST_ID_SIZE])ids, n);
	fp_context_set(ret, set, FP_ATTRIBUTION_AMBIGUOUS, FP_RULE_IN_FLIGHT, container->epoch);
	fp_idset_release(set);
}

static bool others_in_flight(const struct container *container, const struct fp_idset *ids)
{
	for (unsigned i = 0; i < container->n_in_flight; i++)
		if (ids->n != 1 || memcmp(ids->ids[0], container->in_flight[i], FP_REQUEST_ID_SIZE) != 0)
			return true;
	return false;
}

/*
 * What the thread last read.  A thread that reads its connections one by one works
 * for that request until it reads another's; an event loop can run anybody's timer
 * or immediate next, so there it is evidence only while nobody else is in flight.
 */
static bool context_of_turn(struct container *container, struct thread *thread, const struct fp_event *event,
			    struct fp_context *ret)
{
	const struct fp_context *context = &thread->context;

	if (!believed(context, container))
		return false;
	if (thread->blocks && find_in_flight(container, context->ids->ids[0]) >= 0) {
		fp_context_follow(ret, context, FP_RULE_THREAD, FP_ATTRIBUTION_DERIVED);
		return true;
	}
	if (thread->turn != event->turn)
		return false;
	if (others_in_flight(container, context->ids))
		name_all(container, context->ids, ret);
	else
		fp_context_follow(ret, context, context->rule, FP_ATTRIBUTION_DERIVED);
	return true;
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
	if (is_watchdog(container, event)) {
		if (thread->forks.ids)
			fp_context_follow(ret, &thread->forks, FP_RULE_CHILD, FP_ATTRIBUTION_EXACT);
		return;
	}
	/* what an event loop reads or accepts, it does before the runtime says whose it is */
	if (believed(&thread->assist, container) && event->type != FP_EVENT_TYPE_RECEIVE &&
	    event->type != FP_EVENT_TYPE_ACCEPT) {
		fp_context_follow(ret, &thread->assist, FP_RULE_ASSIST, FP_ATTRIBUTION_DERIVED);
		return;
	}
	if (context_of_turn(container, thread, event, ret))
		return;
	HASH_FIND(hh, a->processes, &key, sizeof(key), process);
	if (process && process->inherited.ids) {
		fp_context_follow(ret, &process->inherited, process->inherited.rule, FP_ATTRIBUTION_EXACT);
		return;
	}
	if (container->n_in_flight == 1)
		fp_context_set(ret, all_in_flight(container), FP_ATTRIBUTION_DERIVED, FP_RULE_SOLE, container->epoch);
	else if (container->n_in_flight > 1)
		name_all(container, NULL, ret);
}

static void enter(struct container *container, struct thread *thread, const struct fp_event *event,
		  const struct fp_context *context)
{
	/* while a blocking thread works for a request, what else it reads is for that request */
	if (thread->blocks && context->rule != FP_RULE_CONNECTION && believed(&thread->context, container) &&
	    find_in_flight(container, thread->context.ids->ids[0]) >= 0)
		return;
	fp_context_follow(&thread->context, context, FP_RULE_TURN, FP_ATTRIBUTION_DERIVED);
	thread->turn = event->turn;
	thread->blocks = context->rule == FP_RULE_CONNECTION && event->type == FP_EVENT_TYPE_RECEIVE &&
			 !(event->flags & O_NONBLOCK_FLAG);
}

static struct stream_key stream_towards(const struct fp_event *event)
{
	return (struct stream_key){event->netns,    event->remote_hi, event->remote_lo,
				   event->local_hi, event->local_lo,  event->remote_port << 16 | event->local_port};
}

static struct stream_key stream_from(const struct fp_event *event)
{
	return (struct stream_key){event->netns,     event->local_hi,  event->local_lo,
				   event->remote_hi, event->remote_lo, event->local_port << 16 | event->remote_port};
}

/* The mark that covers the bytes just read, or NULL.  A base may differ by the SYN. */
static struct fp_context *marked_context(struct fp_attributor *a, const struct fp_event *event, uint32_t rx_base)
{
	struct stream_key key = stream_towards(event);
	uint32_t end = (uint32_t)event->rx_end;
	struct stream *stream;

	HASH_FIND(hh, a->streams, &key, sizeof(key), stream);
	if (!stream)
		return NULL;
	for (unsigned i = stream->n; i-- > 0;) {
		uint32_t difference = rx_base - stream->marks[i].base;

		if (difference > 1)
			continue;
		/* its first byte lies before the end of what was read */
		if ((int32_t)(end - stream->marks[i].offset) > 0)
			return &stream->marks[i].context;
	}
	return NULL;
}

/* Readings that could be torn give way to the first ones; a unix socket's peer is remembered beyond its end. */
static void settle(struct channel *sock, struct fp_event *event)
{
	if (event->family == AF_UNIX_NUMBER) {
		if (event->remote_lo)
			sock->peer_ino = event->remote_lo;
		event->remote_lo = sock->peer_ino;
		return;
	}
	if (!sock->tx_base)
		sock->tx_base = (uint32_t)event->tx_base;
	if (!sock->rx_base)
		sock->rx_base = (uint32_t)event->rx_base;
	event->tx_base = sock->tx_base;
	event->rx_base = sock->rx_base;
}

static void note_receive(struct fp_attributor *a, struct container *container, struct thread *thread,
			 struct channel *sock, const struct fp_event *event, struct fp_context *ret)
{
	const struct fp_context *marked = NULL;

	if (event->bytes > 0)
		marked = marked_context(a, event, sock->rx_base);
	if (marked && believed(marked, container))
		fp_context_follow(&sock->context, marked, FP_RULE_CONNECTION, FP_ATTRIBUTION_EXACT);
	if (!believed(&sock->context, container))
		return;
	/* the answer on a connection of the request is as sure as our word for whose connection it is */
	fp_context_clear(ret);
	fp_context_follow(ret, &sock->context, sock->context.rule, FP_ATTRIBUTION_EXACT);
	if (sock->context.rule != FP_RULE_CONNECTION && ret->attribution == FP_ATTRIBUTION_EXACT)
		ret->attribution = FP_ATTRIBUTION_DERIVED;
	/* the end of an idle connection wakes nobody's work */
	if (event->bytes > 0)
		enter(container, thread, event, ret);
}

static void note_send(struct container *container, struct channel *sock, struct fp_context *ret)
{
	if (believed(&sock->context, container) && sock->context.rule == FP_RULE_CONNECTION) {
		fp_context_clear(ret);
		fp_context_follow(ret, &sock->context, FP_RULE_CONNECTION, FP_ATTRIBUTION_EXACT);
		return;
	}
	/* a connection that is re-used belongs to who last wrote to it; to nobody when we cannot tell */
	fp_context_clear(&sock->context);
	if (ret->ids)
		fp_context_follow(&sock->context, ret, FP_RULE_DESCRIPTOR, FP_ATTRIBUTION_DERIVED);
}

static void note_socket(struct fp_attributor *a, struct container *container, struct thread *thread,
			struct fp_event *event, struct fp_context *ret)
{
	struct channel_key key = {FP_OBJECT_SOCKET, event->ino};
	struct channel *sock = get_channel(a, &key);

	if (!sock)
		return;
	if (event->type == FP_EVENT_TYPE_SOCKET || event->type == FP_EVENT_TYPE_ACCEPT ||
	    event->type == FP_EVENT_TYPE_CONNECT) {
		/* a new connection: nothing of an earlier one with the same inode holds */
		fp_context_clear(&sock->context);
		sock->tx_base = sock->rx_base = 0;
		sock->peer_ino = 0;
	}
	settle(sock, event);
	if (a->whole_run)
		return;
	if (event->type == FP_EVENT_TYPE_RECEIVE)
		note_receive(a, container, thread, sock, event, ret);
	else if (event->type == FP_EVENT_TYPE_SEND)
		note_send(container, sock, ret);
	else if (ret->ids && event->type != FP_EVENT_TYPE_ACCEPT)
		fp_context_follow(&sock->context, ret, FP_RULE_DESCRIPTOR, FP_ATTRIBUTION_DERIVED);
}

/*
 * A pipe is its maker's: what comes out of one that a request made is the
 * request's.  One that was there before says nothing, whoever writes to it: event
 * loops wake themselves through such pipes.
 */
static void note_pipe(struct fp_attributor *a, struct container *container, struct thread *thread,
		      const struct fp_event *event, struct fp_context *ret)
{
	struct channel_key key = {FP_OBJECT_PIPE, event->ino};
	struct channel *pipe;

	if (event->type == FP_EVENT_TYPE_OPEN) {
		pipe = get_channel(a, &key);
		if (!pipe)
			return;
		fp_context_clear(&pipe->context);
		if (ret->ids)
			fp_context_follow(&pipe->context, ret, FP_RULE_DESCRIPTOR, FP_ATTRIBUTION_DERIVED);
		return;
	}
	HASH_FIND(hh, a->channels, &key, sizeof(key), pipe);
	if (!pipe || !believed(&pipe->context, container) || event->type != FP_EVENT_TYPE_READ)
		return;
	fp_context_clear(ret);
	fp_context_follow(ret, &pipe->context, pipe->context.rule, FP_ATTRIBUTION_DERIVED);
	if (event->bytes > 0)
		enter(container, thread, event, ret);
}

static void note_fork(struct fp_attributor *a, const struct fp_event *event, const struct fp_context *context)
{
	struct task_key key = {event->child_tgid, event->child_start};
	struct process *child;

	if (event->child_tgid == event->tgid || !context->ids || a->whole_run)
		return;
	child = get_process(a, &key);
	if (!child)
		return;
	fp_context_follow(&child->inherited, context,
			  context->rule == FP_RULE_CHILD ? FP_RULE_CHILD : FP_RULE_INHERITED, FP_ATTRIBUTION_EXACT);
	a->stats.followed++;
}

static void note_exit(struct fp_attributor *a, struct container *container, struct thread *thread,
		      const struct fp_event *event)
{
	struct task_key key = {event->tgid, event->process_start};
	struct process *process;

	free_thread(a, thread);
	if (!event->flags)
		return;
	HASH_FIND(hh, a->processes, &key, sizeof(key), process);
	if (process)
		free_process(a, process);
	if (is_watchdog(container, event)) {
		container->n_in_flight = 0;
		in_flight_changed(container);
		container->has_watchdog = false;
	}
}

/* --- marks ------------------------------------------------------------------ */

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

static void mark_connection(struct fp_attributor *a, struct container *container, const struct fp_event *event,
			    struct fp_idset *ids)
{
	struct stream_key key = stream_from(event);
	struct stream *stream = get_stream(a, &key);

	if (!stream)
		return;
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
}

static int mark_begin(struct fp_attributor *a, struct container *container, struct fp_event *event,
		      const uint8_t id[FP_REQUEST_ID_SIZE])
{
	if (find_in_flight(container, id) >= 0)
		return refuse(a, event, "an invocation with this id is in flight");
	if (container->n_in_flight == FP_IN_FLIGHT_MAX)
		a->stats.overflowed++;
	else
		memcpy(container->in_flight[container->n_in_flight++], id, FP_REQUEST_ID_SIZE);
	in_flight_changed(container);
	container->begun = true;
	a->stats.begun++;
	event->type = FP_EVENT_TYPE_BEGIN;
	return 1;
}

static int mark_end(struct fp_attributor *a, struct container *container, struct fp_event *event, int place)
{
	memcpy(container->ended[container->n_ended++ % FP_ENDED_MAX], container->in_flight[place], FP_REQUEST_ID_SIZE);
	container->n_in_flight--;
	memmove(container->in_flight[place], container->in_flight[place + 1],
		(container->n_in_flight - (unsigned)place) * sizeof(container->in_flight[0]));
	in_flight_changed(container);
	a->stats.ended++;
	event->type = FP_EVENT_TYPE_END;
	return 1;
}

/* Whether the mark comes from the container's watchdog; the first to speak, before anything else did, is it. */
static const char *distrust(struct container *container, const struct fp_event *event, unsigned mark)
{
	if (event->mark >> 8 != FP_MARK_VERSION)
		return "mark of an unknown version";
	if (is_watchdog(container, event))
		return NULL;
	if (container->has_watchdog)
		return "not the container's watchdog";
	if (mark != FP_MARK_HELLO && event->ns_tgid != 1)
		return "no watchdog has said hello, and this is not the container's first process";
	container->watchdog = (struct task_key){event->tgid, event->process_start};
	container->has_watchdog = true;
	return NULL;
}

/*
 * ENTER is the function's word.  It chooses only among requests that its own
 * container has served, and says nothing about any other thread.
 */
static int note_enter(struct fp_attributor *a, struct container *container, struct thread *thread,
		      struct fp_event *event)
{
	static const uint8_t none[FP_REQUEST_ID_SIZE];
	char text[2 * FP_REQUEST_ID_SIZE + 1];
	uint8_t id[FP_REQUEST_ID_SIZE];
	struct fp_idset *ids;

	if (is_watchdog(container, event))
		return refuse(a, event, "the watchdog does no function's work");
	if (event->details.len != sizeof(text) - 1)
		return refuse(a, event, "details that make no sense");
	memcpy(text, event->details.data, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	if (fp_unhex(text, id, sizeof(id)) < 0)
		return refuse(a, event, "details that make no sense");
	if (memcmp(id, none, sizeof(id)) == 0) {
		fp_context_clear(&thread->assist);
		return 0;
	}
	if (!has_served(container, id))
		return refuse(a, event, "the assist names a request that this container has not served");
	ids = fp_idset_new((const uint8_t(*)[FP_REQUEST_ID_SIZE])id, 1);
	if (!ids)
		return -ENOMEM;
	fp_context_set(&thread->assist, ids, FP_ATTRIBUTION_DERIVED, FP_RULE_ASSIST, container->epoch);
	fp_idset_release(ids);
	return 0;
}

static int note_mark(struct fp_attributor *a, struct container *container, struct thread *thread,
		     struct fp_event *event, struct fp_context *ret)
{
	unsigned mark = event->mark & 0xff;
	const char *why;
	uint8_t id[FP_REQUEST_ID_SIZE];
	struct fp_idset *ids;
	int place, r = 0;

	if (event->mark == (FP_MARK_VERSION << 8 | FP_MARK_ENTER))
		return note_enter(a, container, thread, event);
	why = distrust(container, event, mark);
	if (why)
		return refuse(a, event, why);
	if (mark == FP_MARK_HELLO)
		return 0;
	if (fp_mark_details(event) < 0)
		return refuse(a, event, "details that make no sense");
	if (mark == FP_MARK_CHILD && event->id_hi == 0 && event->id_lo == 0) {
		fp_context_clear(&thread->forks);
		return 0;
	}
	put_id(id, event->id_hi, event->id_lo);
	place = find_in_flight(container, id);
	if (mark != FP_MARK_BEGIN && place < 0)
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
	else if (mark == FP_MARK_END)
		r = mark_end(a, container, event, place);
	else
		r = refuse(a, event, "unknown mark");
	fp_idset_release(ids);
	return r;
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
	return is_watchdog(container, event) &&
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

int fp_attributor_note(struct fp_attributor *a, struct fp_event *event)
{
	struct task_key key = {event->tid, event->process_start};
	struct container *container = get_container(a, &event->cgroup);
	struct thread *thread = get_thread(a, &key);
	struct fp_context context = {0};
	int keep = 1;

	if (!container || !thread)
		return -ENOMEM;
	note_start(thread, event);
	if (event->type == FP_EVENT_TYPE_MARK)
		keep = note_mark(a, container, thread, event, &context);
	else if (is_passing_on(container, event))
		keep = 0;
	if (!context.ids)
		current_context(a, container, thread, event, &context);
	switch (event->type) {
	case FP_EVENT_TYPE_SOCKET:
	case FP_EVENT_TYPE_CONNECT:
	case FP_EVENT_TYPE_ACCEPT:
	case FP_EVENT_TYPE_SEND:
	case FP_EVENT_TYPE_RECEIVE:
		note_socket(a, container, thread, event, &context);
		break;
	case FP_EVENT_TYPE_OPEN:
	case FP_EVENT_TYPE_READ:
		if (event->object == FP_OBJECT_PIPE && !a->whole_run)
			note_pipe(a, container, thread, event, &context);
		break;
	case FP_EVENT_TYPE_FORK:
		note_fork(a, event, &context);
		break;
	case FP_EVENT_TYPE_EXIT:
		note_exit(a, container, thread, event);
		break;
	default:
		break;
	}
	show(a, container, event, &context);
	fp_context_clear(&context);
	return keep;
}

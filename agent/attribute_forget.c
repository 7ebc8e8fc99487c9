/*
 * What attribution gives up when there is no room for all that it knows (agent/bounds.h), and what
 * follows from that: never that somebody else did it.  Where what is forgotten could have
 * told whose work is done, the work is ambiguous from then on, or its contexts are not believed, and
 * it is told as a loss of the container.
 */
#include <errno.h>
#include <stdlib.h>

#include "agent/attribute_state.h"

enum { THREADS, PROCESSES, STREAMS, CHANNELS, CONTAINERS, LOOPS, HEADERS, READ_REQUESTS, MADE_PROCESSES };
_Static_assert(MADE_PROCESSES + 1 == FP_ATTRIBUTE_TABLES, "as many tables as are counted");
_Static_assert(FP_ATTRIBUTE_TABLES <= FP_BOUNDS_TABLES_MAX, "room for all");

unsigned fp_attributor_look(const void *owner, struct fp_bound *ret)
{
	const struct fp_attributor *a = owner;
	size_t size = 0, n;

#define LOOK(TABLE, table) ret[TABLE] = fp_bound_of(#table, HASH_COUNT(a->table), sizeof(*a->table), a->n_forgotten[TABLE])
	LOOK(THREADS, threads);
	LOOK(PROCESSES, processes);
	LOOK(STREAMS, streams);
	LOOK(CHANNELS, channels);
	LOOK(CONTAINERS, containers);
	LOOK(LOOPS, loops);
#undef LOOK
	ret[CONTAINERS].bytes += a->ended_bytes;
	n = fp_header_entries(a, &size);
	ret[HEADERS] = fp_bound_of("headers", n, size, a->n_forgotten[HEADERS]);
	n = fp_readers_requests(a, &size);
	ret[READ_REQUESTS] = fp_bound_of("read_requests", n, size, a->n_forgotten[READ_REQUESTS]);
	n = fp_readers_processes(a, &size);
	ret[MADE_PROCESSES] = fp_bound_of("made_processes", n, size, a->n_forgotten[MADE_PROCESSES]);
	return FP_ATTRIBUTE_TABLES;
}

void fp_attributor_set_forgotten_fn(struct fp_attributor *a, fp_forgotten_fn fn, void *arg)
{
	a->forgotten = fn;
	a->forgotten_arg = arg;
}

void fp_state_tell_forgotten(struct fp_attributor *a, uint64_t cgroup)
{
	if (a->forgotten)
		a->forgotten(a->forgotten_arg, cgroup);
}

static struct container *find_container(const struct fp_attributor *a, uint64_t cgroup)
{
	struct container *container;

	HASH_FIND(hh, a->containers, &cgroup, sizeof(cgroup), container);
	return container;
}

/* Is any of these requests still worked for?  What is known of others' is old, and hardly missed. */
static bool is_in_flight(const struct container *container, const struct fp_context *context)
{
	for (unsigned i = 0; container && context->ids && i < context->ids->n; i++)
		if (fp_state_find_in_flight(container, context->ids->ids[i]) >= 0)
			return true;
	return false;
}

/* A thread that comes without an entry may have had one; see fp_attributor_note.  Those that have ended have none. */
static void forget_thread(struct fp_attributor *a)
{
	struct container *container;
	struct thread *thread;

	FP_BOUND_OLDEST(a->threads, thread, &thread->key, sizeof(thread->key))
	container = find_container(a, thread->cgroup);
	if (container)
		container->forgot = a->now;
	if (is_in_flight(container, &thread->context) || is_in_flight(container, &thread->assist) ||
	    is_in_flight(container, &thread->forks))
		fp_state_tell_forgotten(a, thread->cgroup);
	fp_state_drop_thread(a, thread);
}

/* Whatever began before then can be it: nothing but its own bytes tells for whom it works. */
static void forget_process(struct fp_attributor *a)
{
	struct container *container;
	struct process *process;

	FP_BOUND_OLDEST(a->processes, process, &process->key, sizeof(process->key))
	container = find_container(a, process->cgroup);
	if (container)
		container->forgot_process = a->now;
	fp_state_tell_forgotten(a, process->cgroup);
	fp_state_drop_process(a, process);
}

/* As when the marks themselves were lost: what was read on the connection before must not go on. */
static void forget_stream(struct fp_attributor *a)
{
	struct container *container;
	struct stream *stream;
	bool matters = false;

	FP_BOUND_OLDEST(a->streams, stream, &stream->key, sizeof(stream->key))
	container = find_container(a, stream->cgroup);
	for (unsigned i = 0; i < stream->n; i++)
		matters |= is_in_flight(container, &stream->marks[i].context);
	if (matters) {
		container->epoch++;
		fp_state_tell_forgotten(a, stream->cgroup);
	}
	fp_state_drop_stream(a, stream);
}

static void forget_channel(struct fp_attributor *a)
{
	struct container *container;
	struct channel *channel;

	FP_BOUND_OLDEST(a->channels, channel, &channel->key, sizeof(channel->key))
	if (channel->context.ids) {
		container = find_container(a, channel->cgroup);
		if (container)
			container->forgot = a->now;
		if (is_in_flight(container, &channel->context))
			fp_state_tell_forgotten(a, channel->cgroup);
	}
	fp_state_drop_channel(a, channel);
}

static void forget_loop(struct fp_attributor *a)
{
	struct container *container;
	struct loop *loop;

	FP_BOUND_OLDEST(a->loops, loop, &loop->key, sizeof(loop->key))
	container = find_container(a, loop->cgroup);
	if (container)
		container->forgot_process = a->now;
	fp_state_tell_forgotten(a, loop->cgroup);
	fp_state_drop_loop(a, loop);
}

static void forget_container(struct fp_attributor *a)
{
	struct container *container;

	FP_BOUND_OLDEST(a->containers, container, &container->cgroup, sizeof(container->cgroup))
	if (container->n_in_flight || container->has_watchdog) /* one that is gone has neither */
		fp_state_tell_forgotten(a, container->cgroup);
	fp_state_drop_container(a, container);
}

void fp_attributor_forget(void *owner, unsigned table)
{
	static void (*const forget[FP_ATTRIBUTE_TABLES])(struct fp_attributor *a) = {
		[THREADS] = forget_thread,
		[PROCESSES] = forget_process,
		[STREAMS] = forget_stream,
		[CHANNELS] = forget_channel,
		[CONTAINERS] = forget_container,
		[LOOPS] = forget_loop,
		[HEADERS] = fp_header_forget,
		[READ_REQUESTS] = fp_readers_forget_request,
		[MADE_PROCESSES] = fp_readers_forget_process,
	};
	struct fp_attributor *a = owner;

	a->n_forgotten[table]++;
	forget[table](a);
}

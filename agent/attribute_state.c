#include "agent/attribute_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where no watchdog tells how many are in flight: as long as one of which nothing is known lasts, at the default limit of a request. */
#define MISSED_TIME (30 * FP_NS_PER_SEC)

/* A channel that is used all the time need not move to the table's end each time. */
#define CHANNEL_PLACE_TIME (FP_NS_PER_SEC / 4)

int fp_attributor_new(struct fp_attributor **ret_attributor)
{
	*ret_attributor = calloc(1, sizeof(**ret_attributor));
	return *ret_attributor ? 0 : -ENOMEM;
}

void fp_attributor_set_clock(struct fp_attributor *a, int64_t offset)
{
	a->clock_offset = offset;
}

void fp_state_drop_thread(struct fp_attributor *a, struct thread *thread)
{
	HASH_DEL(a->threads, thread);
	fp_context_clear(&thread->context);
	fp_context_clear(&thread->forks);
	fp_context_clear(&thread->assist);
	free(thread);
}

void fp_state_drop_process(struct fp_attributor *a, struct process *process)
{
	HASH_DEL(a->processes, process);
	fp_context_clear(&process->inherited);
	free(process);
}

void fp_state_drop_stream(struct fp_attributor *a, struct stream *stream)
{
	HASH_DEL(a->streams, stream);
	for (unsigned i = 0; i < stream->n; i++)
		fp_context_clear(&stream->marks[i].context);
	free(stream);
}

void fp_state_drop_channel(struct fp_attributor *a, struct channel *channel)
{
	HASH_DEL(a->channels, channel);
	fp_context_clear(&channel->context);
	fp_handed_done(channel);
	free(channel);
}

void fp_state_drop_loop(struct fp_attributor *a, struct loop *loop)
{
	HASH_DEL(a->loops, loop);
	free(loop);
}

void fp_state_drop_container(struct fp_attributor *a, struct container *container)
{
	HASH_DEL(a->containers, container);
	a->ended_bytes -= container->ended_room * sizeof(container->ended[0]);
	fp_idset_release(container->all);
	fp_idset_release(container->suspects);
	free(container->ended);
	free(container);
}

struct fp_attributor *fp_attributor_free(struct fp_attributor *a)
{
	if (!a)
		return NULL;
	while (a->threads)
		fp_state_drop_thread(a, a->threads);
	while (a->processes)
		fp_state_drop_process(a, a->processes);
	while (a->streams)
		fp_state_drop_stream(a, a->streams);
	while (a->channels)
		fp_state_drop_channel(a, a->channels);
	while (a->loops)
		fp_state_drop_loop(a, a->loops);
	while (a->containers)
		fp_state_drop_container(a, a->containers);
	fp_attribute_header_done(a);
	fp_readers_done(a);
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

void fp_attributor_set_watchdog_fn(struct fp_attributor *a, fp_watchdog_fn fn, void *arg)
{
	a->watchdog = fn;
	a->watchdog_arg = arg;
}

const struct fp_attributor_stats *fp_attributor_stats(const struct fp_attributor *a)
{
	return &a->stats;
}

/* Finds an entry, or makes it: room is made between events (fp_attributor_forget), when nobody holds one. */
#define DEFINE_GET(type, table, key_type)                                                          \
	struct type *fp_state_##type(struct fp_attributor *a, const key_type *key)               \
	{                                                                                          \
		struct type *entry;                                                                \
                                                                                                   \
		HASH_FIND(hh, a->table, key, sizeof(*key), entry);                                 \
		if (entry) {                                                                       \
			entry->used = true;                                                        \
			return entry;                                                              \
		}                                                                                  \
		entry = calloc(1, sizeof(*entry));                                                 \
		if (!entry)                                                                        \
			return NULL;                                                               \
		memcpy(entry, key, sizeof(*key)); /* the key is the first member */                \
		HASH_ADD_KEYPTR(hh, a->table, entry, sizeof(*key), entry);                         \
		return entry;                                                                      \
	}
DEFINE_GET(thread, threads, struct task_key)
DEFINE_GET(process, processes, struct task_key)
DEFINE_GET(stream, streams, struct stream_key)
DEFINE_GET(channel, channels, struct channel_key)
DEFINE_GET(loop, loops, struct loop_key)

DEFINE_GET(container, containers, uint64_t)

void fp_state_use_channel(struct fp_attributor *a, struct channel *channel)
{
	if (a->now - channel->placed < CHANNEL_PLACE_TIME)
		return;
	channel->placed = a->now;
	HASH_DEL(a->channels, channel);
	HASH_ADD(hh, a->channels, key, sizeof(channel->key), channel);
}

void fp_attributor_doubt(struct fp_attributor *a, uint64_t cgroup)
{
	struct container *container, *next;

	HASH_ITER(hh, a->containers, container, next)
		if (cgroup == 0 || container->cgroup == cgroup) {
			container->epoch++;
			container->missed = a->now | 1;
		}
}

unsigned fp_attributor_run(const struct fp_attributor *a, uint64_t cgroup)
{
	struct container *container;

	HASH_FIND(hh, a->containers, &cgroup, sizeof(cgroup), container);
	return container ? container->run : 0;
}

void fp_attributor_lost(struct fp_attributor *a, uint64_t cgroup, unsigned run, uint64_t time)
{
	struct container *container = fp_state_container(a, &cgroup);

	if (!container)
		return;
	container->run = run;
	container->epoch++;
	container->missed = time | 1;
}

bool fp_state_may_miss(const struct fp_attributor *a, const struct container *container)
{
	return container->missed && (container->tells_number || a->now < container->missed + MISSED_TIME);
}

bool fp_state_is_watchdog(const struct container *container, const struct fp_event *event)
{
	return container->has_watchdog && container->watchdog.id == event->tgid &&
	       container->watchdog.start == event->process_start;
}

bool fp_state_made_for_another(struct fp_attributor *a, const struct fp_event *event, const uint8_t id[FP_REQUEST_ID_SIZE])
{
	struct task_key key = {event->tgid, event->process_start};
	struct process *process;

	HASH_FIND(hh, a->processes, &key, sizeof(key), process);
	return process && process->inherited.ids && process->inherited.attribution == FP_ATTRIBUTION_EXACT &&
	       process->inherited.rule == FP_RULE_CHILD && memcmp(process->inherited.ids->ids[0], id, FP_REQUEST_ID_SIZE) != 0;
}

/* --- requests in flight --------------------------------------------------- */

int fp_state_find_in_flight(const struct container *container, const uint8_t id[FP_REQUEST_ID_SIZE])
{
	for (unsigned i = 0; i < container->n_in_flight; i++)
		if (memcmp(container->in_flight[i], id, FP_REQUEST_ID_SIZE) == 0)
			return (int)i;
	return -1;
}

bool fp_state_has_served(const struct container *container, const uint8_t id[FP_REQUEST_ID_SIZE])
{
	unsigned n = container->n_ended < FP_ENDED_MAX ? container->n_ended : FP_ENDED_MAX;

	if (fp_state_find_in_flight(container, id) >= 0)
		return true;
	for (unsigned i = 0; i < n; i++)
		if (memcmp(container->ended[i], id, FP_REQUEST_ID_SIZE) == 0)
			return true;
	return false;
}

void fp_state_in_flight_changed(struct container *container, uint64_t time)
{
	container->all = fp_idset_release(container->all);
	container->suspects = fp_idset_release(container->suspects);
	container->changes++;
	container->changed = time;
}

struct fp_idset *fp_state_all_in_flight(struct container *container)
{
	if (!container->all)
		container->all = fp_idset_new((const uint8_t(*)[FP_REQUEST_ID_SIZE])container->in_flight,
					      container->n_in_flight);
	return container->all;
}

bool fp_state_believed(const struct fp_context *context, const struct container *container)
{
	return context->ids && context->epoch == container->epoch;
}

unsigned fp_state_counted(const struct container *container)
{
	return container->epoch + (unsigned)container->doubts;
}

struct stream_key fp_state_stream_from(const struct fp_event *event)
{
	return (struct stream_key){event->netns,     event->local_hi,  event->local_lo,
				   event->remote_hi, event->remote_lo, event->local_port << 16 | event->remote_port};
}

int fp_state_enter(struct container *container, const uint8_t id[FP_REQUEST_ID_SIZE], uint64_t time)
{
	if (container->n_in_flight == FP_IN_FLIGHT_MAX)
		return -ENOSPC;
	memcpy(container->in_flight[container->n_in_flight++], id, FP_REQUEST_ID_SIZE);
	fp_state_in_flight_changed(container, time);
	return 0;
}

bool fp_state_ended_room(struct fp_attributor *a, struct container *container)
{
	unsigned room = container->ended_room ? 2 * container->ended_room : 16;
	void *grown;

	if (container->n_ended < container->ended_room || container->ended_room == FP_ENDED_MAX)
		return true;
	grown = realloc(container->ended, room * sizeof(container->ended[0]));
	if (!grown)
		return false;
	a->ended_bytes += (room - container->ended_room) * sizeof(container->ended[0]);
	container->ended = grown;
	container->ended_room = room;
	return true;
}

void fp_state_leave(struct fp_attributor *a, struct container *container, int place, uint64_t time)
{
	if (fp_state_ended_room(a, container))
		memcpy(container->ended[container->n_ended++ % FP_ENDED_MAX], container->in_flight[place],
		       FP_REQUEST_ID_SIZE);
	if (container->wary)
		container->wary--;
	container->n_in_flight--;
	memmove(container->in_flight[place], container->in_flight[place + 1],
		(container->n_in_flight - (unsigned)place) * sizeof(container->in_flight[0]));
	fp_state_in_flight_changed(container, time);
}

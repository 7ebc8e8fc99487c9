/*
 * What attribution knows, as bytes and back.  Each entry begins with its kind; the
 * end tells how many entries found no room.  The bytes come from a map that only root
 * writes, but are checked all the same.
 */
#include <errno.h>
#include <string.h>

#include "agent/attribute_saved.h"

/* Of the requests that have ended, so many are worth keeping: late work names the last ones. */
#define SAVED_ENDED_MAX 64
/* Of sockets and pipes, those that were used last: most of the others are closed, which is not recorded. */
#define SAVED_CHANNELS_MAX 1024
/* Most bytes of one entry with one context: a container's, with all its ids. */
#define ENTRY_MAX ((FP_IN_FLIGHT_MAX + SAVED_ENDED_MAX + FP_LISTENING_MAX + 16) * FP_REQUEST_ID_SIZE)

enum { END, CONTAINER, PROCESS, STREAM, THREAD, LOOP, CHANNEL, HEADER };

uint64_t fp_saved_get(struct fp_saved *in)
{
	uint64_t value = 0;

	if (fp_varint_read(in->data, in->len, in->pos, &value) < 0)
		in->bad = true;
	return in->bad ? 0 : value;
}

void fp_saved_bytes(struct fp_saved *in, void *bytes, size_t len)
{
	if (in->bad || in->len - *in->pos < len) {
		in->bad = true;
		memset(bytes, 0, len);
		return;
	}
	memcpy(bytes, in->data + *in->pos, len);
	*in->pos += len;
}

void fp_saved_add_numbers(struct fp_buffer *out, const uint64_t *numbers, size_t n)
{
	uint8_t *room = (uint8_t *)fp_buffer_reserve(out, n * FP_VARINT_MAX), *end = room;

	if (!room)
		return;
	for (size_t i = 0; i < n; i++)
		end += fp_varint_put(end, numbers[i]);
	out->len += (size_t)(end - room);
}

/* --- contexts ---------------------------------------------------------------------- */

void fp_saved_add_context(struct fp_buffer *out, const struct fp_context *context)
{
	const uint64_t numbers[] = {context->attribution, context->rule, context->epoch, context->ids ? context->ids->n : 0};

	fp_saved_add_numbers(out, numbers, sizeof(numbers) / sizeof(numbers[0]));
	if (context->ids)
		fp_buffer_add(out, context->ids->ids, (size_t)context->ids->n * FP_REQUEST_ID_SIZE);
}

int fp_saved_context(struct fp_saved *in, struct fp_context *ret)
{
	uint8_t ids[FP_IN_FLIGHT_MAX + 1][FP_REQUEST_ID_SIZE];
	uint64_t attribution = fp_saved_get(in), rule = fp_saved_get(in), epoch = fp_saved_get(in), n = fp_saved_get(in);
	struct fp_idset *set;

	if (in->bad || n > FP_IN_FLIGHT_MAX + 1) {
		in->bad = true;
		return -EBADMSG;
	}
	fp_saved_bytes(in, ids, (size_t)n * FP_REQUEST_ID_SIZE);
	if (in->bad || n == 0)
		return in->bad ? -EBADMSG : 0;
	set = fp_idset_new((const uint8_t(*)[FP_REQUEST_ID_SIZE])ids, (unsigned)n);
	if (!set)
		return -ENOMEM;
	fp_context_set(ret, set, (enum fp_attribution)attribution, (enum fp_rule)rule, (unsigned)epoch);
	fp_idset_release(set);
	return 0;
}

static bool is_worth_saving(const struct fp_context *context)
{
	return context->ids && context->ids->n <= FP_IN_FLIGHT_MAX + 1;
}

/* --- entries ----------------------------------------------------------------------- */

static unsigned n_listening(const struct container *container)
{
	return container->n_listening < FP_LISTENING_MAX ? container->n_listening : FP_LISTENING_MAX;
}

static void save_container(struct fp_buffer *out, const struct container *container)
{
	unsigned ended = container->n_ended < SAVED_ENDED_MAX ? container->n_ended : SAVED_ENDED_MAX;

	fp_buffer_add_varint(out, CONTAINER);
	fp_buffer_add_varint(out, container->cgroup);
	fp_buffer_add_varint(out, container->has_watchdog);
	fp_buffer_add_varint(out, container->watchdog.id);
	fp_buffer_add_varint(out, container->watchdog.start);
	fp_buffer_add_varint(out, container->begun);
	fp_buffer_add_varint(out, container->from_start);
	fp_buffer_add_varint(out, container->unmarked);
	fp_buffer_add_varint(out, container->leaves_work);
	fp_buffer_add_varint(out, container->wary);
	fp_buffer_add_varint(out, container->epoch);
	fp_buffer_add_varint(out, container->run);
	fp_buffer_add_varint(out, container->missed);
	fp_buffer_add_varint(out, container->tells_number);
	fp_buffer_add_varint(out, container->doubts);
	fp_buffer_add_varint(out, container->doubted_write);
	fp_buffer_add_varint(out, container->changes);
	fp_buffer_add_varint(out, container->changed);
	fp_buffer_add_varint(out, container->forgot);
	fp_buffer_add_varint(out, container->forgot_process);
	fp_buffer_add_varint(out, container->unsaved);
	fp_buffer_add(out, container->marked, FP_REQUEST_ID_SIZE);
	fp_buffer_add(out, container->read, FP_REQUEST_ID_SIZE);
	fp_buffer_add(out, container->unsent, FP_REQUEST_ID_SIZE);
	fp_buffer_add_varint(out, container->read_at);
	fp_buffer_add_varint(out, container->n_in_flight);
	fp_buffer_add(out, container->in_flight, (size_t)container->n_in_flight * FP_REQUEST_ID_SIZE);
	fp_buffer_add_varint(out, ended);
	for (unsigned i = 0; i < ended; i++)
		fp_buffer_add(out, container->ended[(container->n_ended - ended + i) % FP_ENDED_MAX], FP_REQUEST_ID_SIZE);
	fp_buffer_add_varint(out, container->n_listening);
	fp_buffer_add(out, container->listening, (size_t)n_listening(container) * FP_REQUEST_ID_SIZE);
}

static int restore_container(struct fp_attributor *a, struct fp_saved *in)
{
	uint64_t cgroup = fp_saved_get(in), n;
	struct container *container = in->bad ? NULL : fp_state_container(a, &cgroup);

	if (!container)
		return in->bad ? -EBADMSG : -ENOMEM;
	container->has_watchdog = fp_saved_get(in) != 0;
	container->watchdog.id = fp_saved_get(in);
	container->watchdog.start = fp_saved_get(in);
	container->begun = fp_saved_get(in) != 0;
	container->from_start = fp_saved_get(in) != 0;
	container->unmarked = fp_saved_get(in) != 0;
	container->leaves_work = fp_saved_get(in) != 0;
	container->wary = (unsigned)fp_saved_get(in);
	container->epoch = (unsigned)fp_saved_get(in);
	container->run = (unsigned)fp_saved_get(in);
	container->missed = fp_saved_get(in);
	container->tells_number = fp_saved_get(in) != 0;
	container->doubts = fp_saved_get(in);
	container->doubted_write = fp_saved_get(in);
	container->changes = fp_saved_get(in);
	container->changed = fp_saved_get(in);
	container->forgot = fp_saved_get(in);
	container->forgot_process = fp_saved_get(in);
	container->unsaved = fp_saved_get(in);
	fp_saved_bytes(in, container->marked, FP_REQUEST_ID_SIZE);
	fp_saved_bytes(in, container->read, FP_REQUEST_ID_SIZE);
	fp_saved_bytes(in, container->unsent, FP_REQUEST_ID_SIZE);
	container->read_at = fp_saved_get(in);
	n = fp_saved_get(in);
	if (in->bad || n > FP_IN_FLIGHT_MAX)
		return -EBADMSG;
	fp_saved_bytes(in, container->in_flight, (size_t)n * FP_REQUEST_ID_SIZE);
	container->n_in_flight = in->bad ? 0 : (unsigned)n;
	n = fp_saved_get(in);
	if (in->bad || n > SAVED_ENDED_MAX)
		return -EBADMSG;
	for (container->n_ended = 0; !in->bad && container->n_ended < n; container->n_ended++) {
		if (!fp_state_ended_room(a, container))
			return -ENOMEM;
		fp_saved_bytes(in, container->ended[container->n_ended], FP_REQUEST_ID_SIZE);
	}
	container->n_listening = (unsigned)fp_saved_get(in);
	fp_saved_bytes(in, container->listening, (size_t)n_listening(container) * FP_REQUEST_ID_SIZE);
	return in->bad ? -EBADMSG : 0;
}

static void save_process(struct fp_buffer *out, const struct process *process)
{
	const uint64_t numbers[] = {process->key.id, process->key.start, process->moves, process->loop, process->answers,
				    process->doubted, process->doubt_turns, process->clean_since, process->pool_changes,
				    process->pool_turns, process->cgroup, process->mixed};

	fp_buffer_add_varint(out, PROCESS);
	fp_saved_add_numbers(out, numbers, sizeof(numbers) / sizeof(numbers[0]));
	fp_saved_add_context(out, &process->inherited);
}

static int restore_process(struct fp_attributor *a, struct fp_saved *in)
{
	struct task_key key = {fp_saved_get(in), 0};
	struct process *process;

	key.start = fp_saved_get(in);
	process = in->bad ? NULL : fp_state_process(a, &key);
	if (!process)
		return in->bad ? -EBADMSG : -ENOMEM;
	process->moves = fp_saved_get(in) != 0;
	process->loop = fp_saved_get(in);
	process->answers = fp_saved_get(in) != 0;
	process->doubted = fp_saved_get(in);
	process->doubt_turns = (unsigned)fp_saved_get(in);
	process->clean_since = fp_saved_get(in);
	process->pool_changes = fp_saved_get(in);
	process->pool_turns = (unsigned)fp_saved_get(in);
	process->cgroup = fp_saved_get(in);
	process->mixed = fp_saved_get(in);
	return fp_saved_context(in, &process->inherited);
}

static void save_stream(struct fp_buffer *out, const struct stream *stream)
{
	fp_buffer_add_varint(out, STREAM);
	fp_buffer_add(out, &stream->key, sizeof(stream->key));
	fp_buffer_add_varint(out, stream->cgroup);
	fp_buffer_add_varint(out, stream->n);
	for (unsigned i = 0; i < stream->n; i++) {
		fp_buffer_add_varint(out, stream->marks[i].base);
		fp_buffer_add_varint(out, stream->marks[i].offset);
		fp_saved_add_context(out, &stream->marks[i].context);
	}
}

static int restore_stream(struct fp_attributor *a, struct fp_saved *in)
{
	struct stream_key key;
	struct stream *stream;
	uint64_t cgroup, n;
	int r = 0;

	fp_saved_bytes(in, &key, sizeof(key));
	cgroup = fp_saved_get(in);
	n = fp_saved_get(in);
	if (in->bad || n > MARKS_PER_STREAM)
		return -EBADMSG;
	stream = fp_state_stream(a, &key);
	if (!stream)
		return -ENOMEM;
	stream->cgroup = cgroup;
	for (; r == 0 && stream->n < n; stream->n++) {
		stream->marks[stream->n].base = (uint32_t)fp_saved_get(in);
		stream->marks[stream->n].offset = (uint32_t)fp_saved_get(in);
		r = fp_saved_context(in, &stream->marks[stream->n].context);
	}
	return r;
}

/* What the kernel side has told of boards and rests, and does not tell again as long as it stays the same. */
static void save_thread(struct fp_buffer *out, const struct thread *thread)
{
	const uint64_t numbers[] = {thread->key.id, thread->key.start, thread->turn, thread->blocks, thread->last,
				    thread->since, thread->polls, thread->loop, thread->seen_turn, thread->seen_changes,
				    thread->cgroup, thread->unsure, thread->giver, thread->seen_time, thread->took_in};

	fp_buffer_add_varint(out, THREAD);
	fp_saved_add_numbers(out, numbers, sizeof(numbers) / sizeof(numbers[0]));
	fp_saved_add_context(out, &thread->context);
	fp_saved_add_context(out, &thread->assist);
	fp_saved_add_context(out, &thread->forks);
}

static int restore_thread(struct fp_attributor *a, struct fp_saved *in)
{
	struct task_key key = {fp_saved_get(in), 0};
	struct thread *thread;
	int r;

	key.start = fp_saved_get(in);
	thread = in->bad ? NULL : fp_state_thread(a, &key);
	if (!thread)
		return in->bad ? -EBADMSG : -ENOMEM;
	thread->turn = fp_saved_get(in);
	thread->blocks = fp_saved_get(in) != 0;
	thread->last = fp_saved_get(in);
	thread->since = fp_saved_get(in);
	thread->polls = fp_saved_get(in) != 0;
	thread->loop = fp_saved_get(in);
	thread->seen_turn = fp_saved_get(in);
	thread->seen_changes = fp_saved_get(in);
	thread->cgroup = fp_saved_get(in);
	thread->unsure = fp_saved_get(in) != 0;
	thread->giver = fp_saved_get(in);
	thread->seen_time = fp_saved_get(in);
	thread->took_in = fp_saved_get(in) != 0;
	r = fp_saved_context(in, &thread->context);
	if (r == 0)
		r = fp_saved_context(in, &thread->assist);
	return r == 0 ? fp_saved_context(in, &thread->forks) : r;
}

static bool is_worth_saving_of(const struct thread *thread)
{
	return thread->unsure || thread->since || thread->polls || thread->context.ids || thread->assist.ids || thread->forks.ids;
}

static void save_loop(struct fp_buffer *out, const struct loop *loop)
{
	const uint64_t numbers[] = {loop->key.id, loop->key.start, loop->key.fd, loop->due, loop->earliest,
				    loop->changes, loop->rested, loop->busy, loop->shadowed, loop->did, loop->unsure, loop->doubt_from, loop->doubt_to,
				    loop->cgroup};

	fp_buffer_add_varint(out, LOOP);
	fp_saved_add_numbers(out, numbers, sizeof(numbers) / sizeof(numbers[0]));
	fp_saved_add_numbers(out, loop->lone, FP_LONE_MAX);
	for (unsigned i = 0; i < FP_HABITS_MAX; i++)
		fp_saved_add_numbers(out, (const uint64_t[]){loop->habits[i].last, loop->habits[i].step, loop->habits[i].blamed}, 3);
}

static int restore_loop(struct fp_attributor *a, struct fp_saved *in)
{
	struct loop_key key = {fp_saved_get(in), 0, 0};
	struct loop *loop;

	key.start = fp_saved_get(in);
	key.fd = fp_saved_get(in);
	loop = in->bad ? NULL : fp_state_loop(a, &key);
	if (!loop)
		return in->bad ? -EBADMSG : -ENOMEM;
	loop->due = fp_saved_get(in);
	loop->earliest = fp_saved_get(in);
	loop->changes = fp_saved_get(in);
	loop->rested = fp_saved_get(in);
	loop->busy = fp_saved_get(in) != 0;
	loop->shadowed = fp_saved_get(in) != 0;
	loop->did = fp_saved_get(in) != 0;
	loop->unsure = fp_saved_get(in) != 0;
	loop->doubt_from = fp_saved_get(in);
	loop->doubt_to = fp_saved_get(in);
	loop->cgroup = fp_saved_get(in);
	for (unsigned i = 0; i < FP_LONE_MAX; i++)
		loop->lone[i] = fp_saved_get(in);
	for (unsigned i = 0; i < FP_HABITS_MAX; i++) {
		loop->habits[i].last = fp_saved_get(in);
		loop->habits[i].step = fp_saved_get(in);
		loop->habits[i].blamed = fp_saved_get(in);
	}
	return in->bad ? -EBADMSG : 0;
}

/* In the order of the bits. */
#define CHANNEL_FLAGS(F)                                                                                               \
	F(passes_on) F(pipelined) F(answering) F(connected) F(written) F(answered) F(shared) F(makers) F(in_family)

static void save_channel(struct fp_buffer *out, const struct channel *channel)
{
	const uint64_t numbers[] = {channel->cgroup, channel->tx_base, channel->rx_base, channel->peer_ino,
				    channel->tx_end, channel->rx_end, channel->doubts};
	uint64_t flags = 0, bit = 1;

#define ADD(flag) flags |= channel->flag ? bit : 0, bit <<= 1;
	CHANNEL_FLAGS(ADD)
#undef ADD
	fp_buffer_add_varint(out, CHANNEL);
	fp_buffer_add(out, &channel->key, sizeof(channel->key));
	fp_saved_add_numbers(out, numbers, sizeof(numbers) / sizeof(numbers[0]));
	fp_buffer_add_varint(out, flags);
	fp_saved_add_context(out, &channel->context);
	fp_handed_save(channel, out);
}

static int restore_channel(struct fp_attributor *a, struct fp_saved *in)
{
	struct channel_key key;
	struct channel *channel;
	uint64_t flags, bit = 1;
	int r;

	fp_saved_bytes(in, &key, sizeof(key));
	channel = in->bad ? NULL : fp_state_channel(a, &key);
	if (!channel)
		return in->bad ? -EBADMSG : -ENOMEM;
	channel->cgroup = fp_saved_get(in);
	channel->tx_base = (uint32_t)fp_saved_get(in);
	channel->rx_base = (uint32_t)fp_saved_get(in);
	channel->peer_ino = fp_saved_get(in);
	channel->tx_end = (uint32_t)fp_saved_get(in);
	channel->rx_end = (uint32_t)fp_saved_get(in);
	channel->doubts = fp_saved_get(in);
	flags = fp_saved_get(in);
#define TAKE(flag) channel->flag = flags & bit, bit <<= 1;
	CHANNEL_FLAGS(TAKE)
#undef TAKE
	r = fp_saved_context(in, &channel->context);
	return r == 0 ? fp_handed_restore(channel, in) : r;
}

/*
 * Those that were used last, in the order of their use.  What was left out is told to all containers: connections
 * that older processes had then may have been used by anybody.
 */
static void save_channels(const struct fp_attributor *a, size_t limit, struct fp_buffer *out)
{
	const struct channel *newest[SAVED_CHANNELS_MAX];
	const struct channel *channel = a->channels ? ELMT_FROM_HH(a->channels->hh.tbl, a->channels->hh.tbl->tail) : NULL;
	unsigned n = 0;

	for (; channel && n < SAVED_CHANNELS_MAX; channel = channel->hh.prev)
		newest[n++] = channel;
	while (n > 0 && out->len + 3 * ENTRY_MAX <= limit)
		save_channel(out, newest[--n]);
	fp_buffer_add_varint(out, END);
	fp_buffer_add_varint(out, channel || n > 0 ? a->now : 0);
}

static int restore_channels(struct fp_attributor *a, struct fp_saved *in)
{
	struct container *container, *next;
	uint64_t kind, unsaved;
	int r = 0;

	while (r == 0 && (kind = fp_saved_get(in)) != END)
		r = kind == CHANNEL ? restore_channel(a, in) : -EBADMSG;
	if (r < 0)
		return r;
	unsaved = fp_saved_get(in);
	HASH_ITER(hh, a->containers, container, next)
		if (unsaved)
			container->unsaved = unsaved;
	return in->bad ? -EBADMSG : 0;
}

/* --- all --------------------------------------------------------------------------- */

void fp_attributor_save(const struct fp_attributor *a, size_t room, struct fp_buffer *out)
{
	const uint64_t counts[] = {a->stats.begun, a->stats.ended, a->stats.refused, a->stats.followed, a->stats.overflowed};
	size_t limit = out->len + room;
	uint64_t left_out = 0;

	fp_saved_add_numbers(out, counts, sizeof(counts) / sizeof(counts[0]));
#define SAVE_EACH(type, table, contexts, worth)                                                    \
	for (struct type *entry = a->table; entry; entry = entry->hh.next) {                       \
		if (!(worth))                                                                      \
			continue;                                                                  \
		if (out->len + ENTRY_MAX * (contexts) > limit)                                     \
			left_out++;                                                                \
		else                                                                               \
			save_##type(out, entry);                                                   \
	}
	SAVE_EACH(container, containers, 1, true)
	SAVE_EACH(process, processes, 1, entry->loop || is_worth_saving(&entry->inherited))
	SAVE_EACH(stream, streams, MARKS_PER_STREAM, entry->n > 0)
	SAVE_EACH(loop, loops, 1, true)
	SAVE_EACH(thread, threads, 3, is_worth_saving_of(entry))
#undef SAVE_EACH
	for (const struct wire_request *request = NULL; (request = fp_header_next(a, request));) {
		if (out->len + ENTRY_MAX > limit) {
			left_out++;
			continue;
		}
		fp_buffer_add_varint(out, HEADER);
		fp_header_save(request, out);
	}
	fp_buffer_add_varint(out, END);
	fp_buffer_add_varint(out, left_out);
	save_channels(a, limit, out);
	fp_readers_save(a, limit, out);
}

int fp_attributor_restore(struct fp_attributor *a, const uint8_t *data, size_t len, size_t *pos, uint64_t *ret_left_out)
{
	struct fp_saved in = {data, len, pos, false};
	uint64_t *const counts[] = {&a->stats.begun, &a->stats.ended, &a->stats.refused, &a->stats.followed, &a->stats.overflowed};
	int r;

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		*counts[i] = fp_saved_get(&in);
	for (;;) {
		uint64_t kind = fp_saved_get(&in);

		r = in.bad ? -EBADMSG : 0;

		if (r == 0 && kind == END)
			break;
		if (r == 0 && kind == CONTAINER)
			r = restore_container(a, &in);
		else if (r == 0 && kind == PROCESS)
			r = restore_process(a, &in);
		else if (r == 0 && kind == THREAD)
			r = restore_thread(a, &in);
		else if (r == 0 && kind == LOOP)
			r = restore_loop(a, &in);
		else if (r == 0 && kind == HEADER)
			r = fp_header_restore(a, &in);
		else if (r == 0)
			r = kind == STREAM ? restore_stream(a, &in) : -EBADMSG;
		if (r < 0)
			return r;
	}
	*ret_left_out = fp_saved_get(&in);
	if (in.bad)
		return -EBADMSG;
	r = restore_channels(a, &in);
	return r == 0 ? fp_readers_restore(a, &in) : r;
}

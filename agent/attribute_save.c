/*
 * What attribution knows, as bytes and back.  Each entry begins with its kind; the
 * end tells how many entries found no room.  The bytes come from a map that only root
 * writes, but are checked all the same.
 */
#include <errno.h>
#include <string.h>

#include "agent/attribute_state.h"
#include "base/buffer.h"

/* Of the requests that have ended, so many are worth keeping: late work names the last ones. */
#define SAVED_ENDED_MAX 64
/* Most bytes of one entry with one context: a container's, with all its ids. */
#define ENTRY_MAX ((FP_IN_FLIGHT_MAX + SAVED_ENDED_MAX + 16) * FP_REQUEST_ID_SIZE)

enum { END, CONTAINER, PROCESS, STREAM, THREAD, LOOP };

struct input {
	const uint8_t *data;
	size_t len, *pos;
	bool bad;
};

static uint64_t get(struct input *in)
{
	uint64_t value = 0;

	if (fp_varint_read(in->data, in->len, in->pos, &value) < 0)
		in->bad = true;
	return in->bad ? 0 : value;
}

static void get_bytes(struct input *in, void *bytes, size_t len)
{
	if (in->bad || in->len - *in->pos < len) {
		in->bad = true;
		memset(bytes, 0, len);
		return;
	}
	memcpy(bytes, in->data + *in->pos, len);
	*in->pos += len;
}

static void save_numbers(struct fp_buffer *out, const uint64_t *numbers, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fp_buffer_add_varint(out, numbers[i]);
}

/* --- contexts ---------------------------------------------------------------------- */

static void save_context(struct fp_buffer *out, const struct fp_context *context)
{
	fp_buffer_add_varint(out, context->attribution);
	fp_buffer_add_varint(out, context->rule);
	fp_buffer_add_varint(out, context->epoch);
	fp_buffer_add_varint(out, context->ids ? context->ids->n : 0);
	if (context->ids)
		fp_buffer_add(out, context->ids->ids, (size_t)context->ids->n * FP_REQUEST_ID_SIZE);
}

static int restore_context(struct input *in, struct fp_context *ret)
{
	uint8_t ids[FP_IN_FLIGHT_MAX + 1][FP_REQUEST_ID_SIZE];
	uint64_t attribution = get(in), rule = get(in), epoch = get(in), n = get(in);
	struct fp_idset *set;

	if (in->bad || n > FP_IN_FLIGHT_MAX + 1) {
		in->bad = true;
		return -EBADMSG;
	}
	get_bytes(in, ids, (size_t)n * FP_REQUEST_ID_SIZE);
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
	fp_buffer_add_varint(out, container->epoch);
	fp_buffer_add_varint(out, container->changes);
	fp_buffer_add_varint(out, container->changed);
	fp_buffer_add_varint(out, container->n_in_flight);
	fp_buffer_add(out, container->in_flight, (size_t)container->n_in_flight * FP_REQUEST_ID_SIZE);
	fp_buffer_add_varint(out, ended);
	for (unsigned i = 0; i < ended; i++)
		fp_buffer_add(out, container->ended[(container->n_ended - ended + i) % FP_ENDED_MAX], FP_REQUEST_ID_SIZE);
}

static int restore_container(struct fp_attributor *a, struct input *in)
{
	uint64_t cgroup = get(in), n;
	struct container *container = in->bad ? NULL : fp_state_container(a, &cgroup);

	if (!container)
		return in->bad ? -EBADMSG : -ENOMEM;
	container->has_watchdog = get(in) != 0;
	container->watchdog.id = get(in);
	container->watchdog.start = get(in);
	container->begun = get(in) != 0;
	container->from_start = get(in) != 0;
	container->unmarked = get(in) != 0;
	container->leaves_work = get(in) != 0;
	container->epoch = (unsigned)get(in);
	container->changes = get(in);
	container->changed = get(in);
	n = get(in);
	if (in->bad || n > FP_IN_FLIGHT_MAX)
		return -EBADMSG;
	get_bytes(in, container->in_flight, (size_t)n * FP_REQUEST_ID_SIZE);
	container->n_in_flight = in->bad ? 0 : (unsigned)n;
	n = get(in);
	if (in->bad || n > SAVED_ENDED_MAX)
		return -EBADMSG;
	for (container->n_ended = 0; !in->bad && container->n_ended < n; container->n_ended++) {
		if (!fp_state_ended_room(a, container))
			return -ENOMEM;
		get_bytes(in, container->ended[container->n_ended], FP_REQUEST_ID_SIZE);
	}
	return in->bad ? -EBADMSG : 0;
}

static void save_process(struct fp_buffer *out, const struct process *process)
{
	const uint64_t numbers[] = {process->key.id, process->key.start, process->moves, process->loop, process->answers,
				    process->doubted, process->doubt_turns, process->clean_since, process->pool_changes,
				    process->pool_turns};

	fp_buffer_add_varint(out, PROCESS);
	save_numbers(out, numbers, sizeof(numbers) / sizeof(numbers[0]));
	save_context(out, &process->inherited);
}

static int restore_process(struct fp_attributor *a, struct input *in)
{
	struct task_key key = {get(in), 0};
	struct process *process;

	key.start = get(in);
	process = in->bad ? NULL : fp_state_process(a, &key);
	if (!process)
		return in->bad ? -EBADMSG : -ENOMEM;
	process->moves = get(in) != 0;
	process->loop = get(in);
	process->answers = get(in) != 0;
	process->doubted = get(in);
	process->doubt_turns = (unsigned)get(in);
	process->clean_since = get(in);
	process->pool_changes = get(in);
	process->pool_turns = (unsigned)get(in);
	return restore_context(in, &process->inherited);
}

static void save_stream(struct fp_buffer *out, const struct stream *stream)
{
	fp_buffer_add_varint(out, STREAM);
	fp_buffer_add(out, &stream->key, sizeof(stream->key));
	fp_buffer_add_varint(out, stream->n);
	for (unsigned i = 0; i < stream->n; i++) {
		fp_buffer_add_varint(out, stream->marks[i].base);
		fp_buffer_add_varint(out, stream->marks[i].offset);
		save_context(out, &stream->marks[i].context);
	}
}

static int restore_stream(struct fp_attributor *a, struct input *in)
{
	struct stream_key key;
	struct stream *stream;
	uint64_t n;
	int r = 0;

	get_bytes(in, &key, sizeof(key));
	n = get(in);
	if (in->bad || n > MARKS_PER_STREAM)
		return -EBADMSG;
	stream = fp_state_stream(a, &key);
	if (!stream)
		return -ENOMEM;
	for (; r == 0 && stream->n < n; stream->n++) {
		stream->marks[stream->n].base = (uint32_t)get(in);
		stream->marks[stream->n].offset = (uint32_t)get(in);
		r = restore_context(in, &stream->marks[stream->n].context);
	}
	return r;
}

/* What the kernel side has told of boards and rests, and does not tell again as long as it stays the same. */
static void save_thread(struct fp_buffer *out, const struct thread *thread)
{
	const uint64_t numbers[] = {thread->key.id, thread->key.start, thread->turn, thread->blocks, thread->last,
				    thread->since, thread->polls, thread->loop, thread->seen_turn, thread->seen_changes};

	fp_buffer_add_varint(out, THREAD);
	save_numbers(out, numbers, sizeof(numbers) / sizeof(numbers[0]));
	save_context(out, &thread->context);
	save_context(out, &thread->assist);
	save_context(out, &thread->forks);
}

static int restore_thread(struct fp_attributor *a, struct input *in)
{
	struct task_key key = {get(in), 0};
	struct thread *thread;
	int r;

	key.start = get(in);
	thread = in->bad ? NULL : fp_state_thread(a, &key);
	if (!thread)
		return in->bad ? -EBADMSG : -ENOMEM;
	thread->turn = get(in);
	thread->blocks = get(in) != 0;
	thread->last = get(in);
	thread->since = get(in);
	thread->polls = get(in) != 0;
	thread->loop = get(in);
	thread->seen_turn = get(in);
	thread->seen_changes = get(in);
	r = restore_context(in, &thread->context);
	if (r == 0)
		r = restore_context(in, &thread->assist);
	return r == 0 ? restore_context(in, &thread->forks) : r;
}

static bool is_worth_saving_of(const struct thread *thread)
{
	return thread->since || thread->polls || thread->context.ids || thread->assist.ids || thread->forks.ids;
}

static void save_loop(struct fp_buffer *out, const struct loop *loop)
{
	const uint64_t numbers[] = {loop->key.id, loop->key.start, loop->key.fd, loop->due, loop->earliest,
				    loop->changes, loop->rested, loop->busy, loop->unsure, loop->doubt_from, loop->doubt_to};

	fp_buffer_add_varint(out, LOOP);
	save_numbers(out, numbers, sizeof(numbers) / sizeof(numbers[0]));
}

static int restore_loop(struct fp_attributor *a, struct input *in)
{
	struct loop_key key = {get(in), 0, 0};
	struct loop *loop;

	key.start = get(in);
	key.fd = get(in);
	loop = in->bad ? NULL : fp_state_loop(a, &key);
	if (!loop)
		return in->bad ? -EBADMSG : -ENOMEM;
	loop->due = get(in);
	loop->earliest = get(in);
	loop->changes = get(in);
	loop->rested = get(in);
	loop->busy = get(in) != 0;
	loop->unsure = get(in) != 0;
	loop->doubt_from = get(in);
	loop->doubt_to = get(in);
	return in->bad ? -EBADMSG : 0;
}

/* --- all --------------------------------------------------------------------------- */

void fp_attributor_save(const struct fp_attributor *a, size_t room, struct fp_buffer *out)
{
	size_t limit = out->len + room;
	uint64_t left_out = 0;

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
	fp_buffer_add_varint(out, END);
	fp_buffer_add_varint(out, left_out);
}

int fp_attributor_restore(struct fp_attributor *a, const uint8_t *data, size_t len, size_t *pos, uint64_t *ret_left_out)
{
	struct input in = {data, len, pos, false};

	for (;;) {
		uint64_t kind = get(&in);
		int r = in.bad ? -EBADMSG : 0;

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
		else if (r == 0)
			r = kind == STREAM ? restore_stream(a, &in) : -EBADMSG;
		if (r < 0)
			return r;
	}
	*ret_left_out = get(&in);
	return in.bad ? -EBADMSG : 0;
}

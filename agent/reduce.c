#include "agent/reduce.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

#include "agent/bpf/shared.h"
#include "agent/failures.h"
#include "agent/hash.h"
#include "base/buffer.h"

/* Processes with an event held back; more flush all.  Bounds memory to some MiB. */
#define PENDING_MAX 4096
/* So many entries are kept to be used again: an event is held back and handed on for every few records. */
#define SPARE_MAX 64

struct process_key {
	uint64_t tgid, start;
};

/* What flows can cross in: both ends of a connection are one, as is a pipe. */
struct object_key {
	uint64_t family; /* of a socket, else 0 */
	uint64_t object; /* kind; 0 for a socket */
	uint64_t a[3], b[3];
};

struct pending {
	struct process_key key;
	struct fp_event event; /* its ids point into `ids` */
	struct fp_buffer ids;
	struct object *object;
	struct pending *prev, *next; /* of the same object; of a spare one: the next spare one */
	UT_hash_handle hh;
};

/* An object with events held back, of one process or several. */
struct object {
	struct object_key key;
	struct pending *users;
	UT_hash_handle hh;
};

/* Where an object is in the table. */
struct place {
	struct object_key key;
	unsigned hash;
};

struct fp_reducer {
	fp_own_event_fn fn;
	void *arg;
	bool raw;
	struct fp_failures *failures;
	struct pending *pending;
	struct pending *spare;
	unsigned n_spare;
	struct object *objects;
};

int fp_reducer_new(fp_own_event_fn fn, void *arg, struct fp_reducer **ret_reducer)
{
	struct fp_reducer *reducer = calloc(1, sizeof(*reducer));

	if (!reducer)
		return -ENOMEM;
	reducer->fn = fn;
	reducer->arg = arg;
	if (fp_failures_new(fn, arg, &reducer->failures) < 0) {
		free(reducer);
		return -ENOMEM;
	}
	*ret_reducer = reducer;
	return 0;
}

void fp_reducer_set_raw(struct fp_reducer *reducer)
{
	reducer->raw = true;
}

const struct fp_failure_count *fp_reducer_failures(const struct fp_reducer *reducer)
{
	return fp_failures_counts(reducer->failures);
}

static struct pending *make_pending(struct fp_reducer *reducer)
{
	struct pending *pending = reducer->spare;

	if (!pending)
		return calloc(1, sizeof(*pending));
	reducer->spare = pending->next;
	reducer->n_spare--;
	return pending;
}

static void free_pending(struct pending *pending)
{
	fp_buffer_done(&pending->ids);
	free(pending);
}

static void spare_pending(struct fp_reducer *reducer, struct pending *pending)
{
	if (reducer->n_spare == SPARE_MAX) {
		free_pending(pending);
		return;
	}
	pending->next = reducer->spare;
	reducer->spare = pending;
	reducer->n_spare++;
}

static void forget(struct fp_reducer *reducer, struct pending *pending)
{
	struct object *object = pending->object;

	DL_DELETE(object->users, pending);
	if (!object->users) {
		HASH_DEL(reducer->objects, object);
		free(object);
	}
	HASH_DEL(reducer->pending, pending);
	spare_pending(reducer, pending);
}

struct fp_reducer *fp_reducer_free(struct fp_reducer *reducer)
{
	if (!reducer)
		return NULL;
	while (reducer->pending)
		forget(reducer, reducer->pending);
	while (reducer->spare)
		free_pending(make_pending(reducer));
	fp_failures_free(reducer->failures);
	free(reducer);
	return NULL;
}

static int hand_on(struct fp_reducer *reducer, struct pending *pending)
{
	int r = reducer->fn(reducer->arg, &pending->event);

	forget(reducer, pending);
	return r;
}

int fp_reducer_flush(struct fp_reducer *reducer)
{
	while (reducer->pending) {
		int r = hand_on(reducer, reducer->pending);

		if (r < 0)
			return r;
	}
	return fp_failures_flush(reducer->failures);
}

static bool can_merge_type(enum fp_event_type type)
{
	return type == FP_EVENT_TYPE_READ || type == FP_EVENT_TYPE_WRITE || type == FP_EVENT_TYPE_SEND ||
	       type == FP_EVENT_TYPE_RECEIVE;
}

static bool same_text(struct fp_str a, struct fp_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static bool same_operation(const struct fp_event *a, const struct fp_event *b)
{
	return a->type == b->type && a->fd == b->fd && a->dev == b->dev && a->ino == b->ino && a->gen == b->gen &&
	       a->cgroup == b->cgroup && a->exec_id == b->exec_id && a->unit == b->unit &&
	       a->attribution == b->attribution && a->rule == b->rule && a->tx_base == b->tx_base &&
	       a->rx_base == b->rx_base && a->remote_hi == b->remote_hi && a->remote_lo == b->remote_lo &&
	       a->remote_port == b->remote_port && a->local_port == b->local_port && a->flags == b->flags &&
	       !(a->flags & FP_RECEIVE_PEEKED) && same_text(a->request, b->request) && same_text(a->candidates, b->candidates);
}

static void merge(struct fp_event *into, const struct fp_event *event)
{
	into->count += event->count;
	into->bytes += event->bytes;
	into->last = event->last;
	into->tx_end = event->tx_end;
	into->rx_end = event->rx_end;
}

/* --- objects -------------------------------------------------------------------- */

static void put_ends(struct object_key *key, const uint64_t a[3], const uint64_t b[3])
{
	bool turned = memcmp(a, b, sizeof(key->a)) > 0;

	memcpy(key->a, turned ? b : a, sizeof(key->a));
	memcpy(key->b, turned ? a : b, sizeof(key->b));
}

static struct object_key object_of(const struct fp_event *event)
{
	const uint64_t local[3] = {event->local_hi, event->local_lo, event->local_port};
	const uint64_t remote[3] = {event->remote_hi, event->remote_lo, event->remote_port};
	struct object_key key = {.family = event->family};

	if (event->family == AF_UNIX)
		put_ends(&key, (const uint64_t[3]){event->ino}, (const uint64_t[3]){event->remote_lo ? event->remote_lo : event->ino});
	else if (event->family)
		put_ends(&key, local, remote);
	else
		key = (struct object_key){.object = event->object, .a = {event->dev, event->ino, event->gen}};
	return key;
}

static struct place place_of(const struct fp_event *event)
{
	struct place place = {.key = object_of(event)};

	HASH_VALUE(&place.key, sizeof(place.key), place.hash);
	return place;
}

static bool only_reads(const struct fp_event *event)
{
	return event->type == FP_EVENT_TYPE_READ || event->type == FP_EVENT_TYPE_RECEIVE ||
	       (event->type == FP_EVENT_TYPE_OPEN && !(event->flags & (O_WRONLY | O_RDWR | O_TRUNC)));
}

static bool can_cross(const struct fp_event *event)
{
	return event->ino && event->type != FP_EVENT_TYPE_MESSAGE;
}

/* What others hold back of the object goes on first when the event's flow crosses theirs. */
static int cut_others(struct fp_reducer *reducer, const struct process_key *key, const struct place *at, const struct fp_event *event)
{
	struct pending *other, *next;
	struct object *object;
	int r = 0;

	HASH_FIND_BYHASHVALUE(hh, reducer->objects, &at->key, sizeof(at->key), at->hash, object);
	for (other = object ? object->users : NULL; other && r >= 0; other = next) {
		next = other->next; /* the object goes with its last user */
		if (memcmp(&other->key, key, sizeof(*key)) != 0 && !(only_reads(event) && only_reads(&other->event)))
			r = hand_on(reducer, other);
	}
	return r;
}

static int join_object(struct fp_reducer *reducer, struct pending *pending, const struct place *at)
{
	struct object *object;

	HASH_FIND_BYHASHVALUE(hh, reducer->objects, &at->key, sizeof(at->key), at->hash, object);
	if (!object) {
		object = calloc(1, sizeof(*object));
		if (!object)
			return -ENOMEM;
		object->key = at->key;
		HASH_ADD_BYHASHVALUE(hh, reducer->objects, key, sizeof(object->key), at->hash, object);
	}
	DL_APPEND(object->users, pending);
	pending->object = object;
	return 0;
}

/* The ids' bytes are the caller's. */
static int copy_event(struct pending *pending, const struct fp_event *event)
{
	struct fp_buffer *ids = &pending->ids;

	fp_buffer_clear(ids);
	fp_buffer_add(ids, event->request.data, event->request.len);
	fp_buffer_add(ids, event->candidates.data, event->candidates.len);
	if (fp_buffer_error(ids) < 0)
		return -ENOMEM;
	pending->event = *event;
	pending->event.payload = (struct fp_str){NULL, 0};
	pending->event.request.data = ids->data;
	pending->event.candidates.data = ids->data + event->request.len;
	return 0;
}

static int hold(struct fp_reducer *reducer, const struct process_key *key, const struct place *at, const struct fp_event *event)
{
	struct pending *pending;

	if (HASH_COUNT(reducer->pending) >= PENDING_MAX) {
		int r = fp_reducer_flush(reducer);

		if (r < 0)
			return r;
	}
	pending = make_pending(reducer);
	if (!pending)
		return -ENOMEM;
	pending->key = *key;
	if (copy_event(pending, event) < 0 || join_object(reducer, pending, at) < 0) {
		spare_pending(reducer, pending);
		return -ENOMEM;
	}
	HASH_ADD(hh, reducer->pending, key, sizeof(pending->key), pending);
	return 0;
}

static int merge_or_hold(struct fp_reducer *reducer, struct fp_event *event)
{
	struct process_key key = {event->tgid, event->process_start};
	bool merges = can_merge_type(event->type), crosses = can_cross(event);
	struct pending *pending;
	struct place at;
	int r = 0;

	if (merges || crosses)
		at = place_of(event);
	if (crosses)
		r = cut_others(reducer, &key, &at, event);
	if (r < 0)
		return r;
	HASH_FIND(hh, reducer->pending, &key, sizeof(key), pending);
	if (pending && merges && same_operation(&pending->event, event)) {
		merge(&pending->event, event);
		return 0;
	}
	/* what the agent reads out of a transfer is no operation of the process */
	if (pending && event->type != FP_EVENT_TYPE_MESSAGE) {
		r = hand_on(reducer, pending);
		if (r < 0)
			return r;
	}
	return merges ? hold(reducer, &key, &at, event) : reducer->fn(reducer->arg, event);
}

int fp_reducer_add(struct fp_reducer *reducer, struct fp_event *event)
{
	bool fails = event->type == FP_EVENT_TYPE_FAILED;

	if ((fails || can_merge_type(event->type)) && event->count == 0) {
		event->count = 1;
		event->last = event->time;
	}
	if (fails)
		return reducer->raw ? fp_failures_pass(reducer->failures, event) : fp_failures_add(reducer->failures, event);
	return reducer->raw ? reducer->fn(reducer->arg, event) : merge_or_hold(reducer, event);
}

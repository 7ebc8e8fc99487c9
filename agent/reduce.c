#include "agent/reduce.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* Processes with an event held back; more flush all.  Bounds memory to some MiB. */
#define PENDING_MAX 4096

struct process_key {
	uint64_t tgid, start;
};

struct pending {
	struct process_key key;
	struct fp_event event; /* its ids point into `ids` */
	char *ids;
	UT_hash_handle hh;
};

struct fp_reducer {
	fp_event_fn fn;
	void *arg;
	struct pending *pending;
};

int fp_reducer_new(fp_event_fn fn, void *arg, struct fp_reducer **ret_reducer)
{
	struct fp_reducer *reducer = calloc(1, sizeof(*reducer));

	if (!reducer)
		return -ENOMEM;
	reducer->fn = fn;
	reducer->arg = arg;
	*ret_reducer = reducer;
	return 0;
}

static void forget(struct fp_reducer *reducer, struct pending *pending)
{
	HASH_DEL(reducer->pending, pending);
	free(pending->ids);
	free(pending);
}

struct fp_reducer *fp_reducer_free(struct fp_reducer *reducer)
{
	if (!reducer)
		return NULL;
	while (reducer->pending)
		forget(reducer, reducer->pending);
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
	return 0;
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
	       a->rx_base == b->rx_base && a->remote_lo == b->remote_lo && same_text(a->request, b->request) &&
	       same_text(a->candidates, b->candidates);
}

static void merge(struct fp_event *into, const struct fp_event *event)
{
	into->count += event->count;
	into->bytes += event->bytes;
	into->last = event->last;
	into->tx_end = event->tx_end;
	into->rx_end = event->rx_end;
}

static int hold(struct fp_reducer *reducer, const struct process_key *key, const struct fp_event *event)
{
	struct pending *pending;

	if (HASH_COUNT(reducer->pending) >= PENDING_MAX) {
		int r = fp_reducer_flush(reducer);

		if (r < 0)
			return r;
	}
	pending = calloc(1, sizeof(*pending));
	if (!pending)
		return -ENOMEM;
	pending->ids = malloc(event->request.len + event->candidates.len + 1);
	if (!pending->ids) {
		free(pending);
		return -ENOMEM;
	}
	pending->key = *key;
	pending->event = *event;
	pending->event.payload = (struct fp_str){NULL, 0};
	if (event->request.len)
		memcpy(pending->ids, event->request.data, event->request.len);
	if (event->candidates.len)
		memcpy(pending->ids + event->request.len, event->candidates.data, event->candidates.len);
	pending->event.request.data = pending->ids;
	pending->event.candidates.data = pending->ids + event->request.len;
	HASH_ADD(hh, reducer->pending, key, sizeof(pending->key), pending);
	return 0;
}

int fp_reducer_add(struct fp_reducer *reducer, const struct fp_event *event)
{
	struct process_key key = {event->tgid, event->process_start};
	struct fp_event one = *event;
	struct pending *pending;
	int r;

	if (can_merge_type(one.type) && one.count == 0) {
		one.count = 1;
		one.last = one.time;
	}
	HASH_FIND(hh, reducer->pending, &key, sizeof(key), pending);
	if (pending && can_merge_type(one.type) && same_operation(&pending->event, &one)) {
		merge(&pending->event, &one);
		return 0;
	}
	/* what the agent reads out of a transfer is no operation of the process */
	if (pending && one.type != FP_EVENT_TYPE_MESSAGE) {
		r = hand_on(reducer, pending);
		if (r < 0)
			return r;
	}
	return can_merge_type(one.type) ? hold(reducer, &key, &one) : reducer->fn(reducer->arg, &one);
}

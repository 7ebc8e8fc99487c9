/* Sockets and pipes: how a context reaches them, and comes back from them. */
#include <string.h>

#include "agent/attribute_state.h"

/* In place of a channel's object: its number is no inode but where a unix socket lies in the kernel's memory. */
#define PLACE_IN_MEMORY UINT64_MAX

static struct stream_key stream_towards(const struct fp_event *event)
{
	return (struct stream_key){event->netns,    event->remote_hi, event->remote_lo,
				   event->local_hi, event->local_lo,  event->remote_port << 16 | event->local_port};
}

/*
 * The mark that covers the bytes just read, the last one, or NULL.  A base may differ
 * by the SYN.  Whoever has read this far has read of the requests before, too.
 */
static struct fp_context *marked_context(struct fp_attributor *a, const struct fp_event *event, uint32_t rx_base)
{
	struct stream_key key = stream_towards(event);
	uint32_t end = (uint32_t)event->rx_end, begin = end - (uint32_t)event->bytes;
	struct fp_context *last = NULL;
	struct stream *stream;

	HASH_FIND(hh, a->streams, &key, sizeof(key), stream);
	if (!stream)
		return NULL;
	stream->used = true;
	for (unsigned i = stream->n; i-- > 0;) {
		uint32_t difference = rx_base - stream->marks[i].base;

		if (difference > 1)
			continue;
		/* its first byte lies before the end of what was read */
		if ((int32_t)(end - stream->marks[i].offset) <= 0)
			continue;
		if (!last)
			last = &stream->marks[i].context;
		if (stream->marks[i].context.ids)
			fp_readers_read(a, stream->marks[i].context.ids->ids[0], event);
		if ((int32_t)(begin - stream->marks[i].offset) >= 0) /* the ones before end before what was read */
			break;
	}
	return last;
}

/*
 * A unix socket's peer is remembered beyond its end.  A peer that was closed before shows no inode, but where it lay
 * in memory, and is known by that when it has been recorded itself.
 */
static void settle_unix(struct fp_attributor *a, struct channel *sock, struct fp_event *event)
{
	struct channel_key own = {PLACE_IN_MEMORY, event->tx_base}, other = {PLACE_IN_MEMORY, event->rx_base};
	struct channel *place = event->tx_base ? fp_state_channel(a, &own) : NULL;

	if (place)
		place->peer_ino = event->ino;
	place = event->rx_base && !event->remote_lo ? fp_state_channel(a, &other) : NULL;
	if (place)
		event->remote_lo = place->peer_ino;
	if (event->remote_lo)
		sock->peer_ino = event->remote_lo;
	event->remote_lo = sock->peer_ino;
	event->tx_base = event->rx_base = 0;
}

/* Readings that could be torn give way to the first ones. */
static void settle(struct fp_attributor *a, struct channel *sock, struct fp_event *event)
{
	if (event->family == AF_UNIX_NUMBER) {
		settle_unix(a, sock, event);
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

	if (event->bytes > 0) {
		marked = marked_context(a, event, sock->rx_base);
		sock->answered = true;
		if (!marked && !sock->connected)
			fp_readers_elsewhere(a, event);
		if (marked || (!sock->connected && event->family != AF_UNIX_NUMBER))
			fp_handed_strange(a, container, thread, event, marked, ret);
	}
	if (marked && marked->ids && memcmp(container->read, marked->ids->ids[0], FP_REQUEST_ID_SIZE) != 0) {
		memcpy(container->read, marked->ids->ids[0], FP_REQUEST_ID_SIZE);
		container->read_at = event->time;
	}
	if (marked && fp_state_believed(marked, container))
		fp_context_follow(&sock->context, marked, FP_RULE_CONNECTION, FP_ATTRIBUTION_EXACT);
	if (!fp_state_believed(&sock->context, container))
		return;
	/* the answer on a connection of the request is as sure as our word for whose connection it is */
	fp_context_clear(ret);
	fp_context_follow(ret, &sock->context, sock->passes_on ? FP_RULE_DESCRIPTOR : sock->context.rule, FP_ATTRIBUTION_EXACT);
	if (sock->context.rule != FP_RULE_CONNECTION && ret->attribution == FP_ATTRIBUTION_EXACT)
		ret->attribution = FP_ATTRIBUTION_DERIVED;
	/* the end of an idle connection wakes nobody's work */
	if (event->bytes > 0)
		fp_attribute_enter(container, thread, event, ret);
}

void fp_attribute_settle(struct fp_attributor *a, struct fp_event *event)
{
	struct channel_key key = {FP_OBJECT_SOCKET, event->ino};
	struct channel *sock = fp_state_channel(a, &key);

	if (sock)
		settle(a, sock, event);
	if (event->type == FP_EVENT_TYPE_LISTEN) {
		struct container *container = fp_state_container(a, &event->cgroup);

		if (container)
			fp_handed_listen(a, container, event);
	}
}

static bool same_request(const struct fp_idset *a, const struct fp_idset *b)
{
	return a->n == b->n && memcmp(a->ids, b->ids, (size_t)a->n * FP_REQUEST_ID_SIZE) == 0;
}

/* Through a pair of sockets processes of a container give each other work. */
static void note_send_unix(struct fp_attributor *a, const struct container *container, const struct fp_event *event,
			   const struct fp_context *context)
{
	struct channel_key key = {FP_OBJECT_SOCKET, event->remote_lo};
	struct channel *peer = NULL;

	if (event->family == AF_UNIX_NUMBER && event->remote_lo)
		HASH_FIND(hh, a->channels, &key, sizeof(key), peer);
	if (!peer)
		return;
	fp_state_use_channel(a, peer);
	fp_handed_write(a, container, peer, event, context);
}

static void note_send(struct container *container, struct channel *sock, struct fp_context *ret)
{
	sock->answering = true;
	if (fp_state_believed(&sock->context, container) &&
	    (fp_rule_is_own(sock->context.rule) || sock->passes_on || sock->pipelined)) {
		fp_context_clear(ret);
		fp_context_follow(ret, &sock->context, sock->passes_on ? FP_RULE_DESCRIPTOR : sock->context.rule,
				  FP_ATTRIBUTION_EXACT);
		return;
	}
	/* another wrote to it, and there is no answer yet: they share it */
	if (!sock->answered && sock->written && fp_state_believed(&sock->context, container) && ret->ids &&
	    !same_request(sock->context.ids, ret->ids))
		sock->shared = true;
	if (!ret->ids || !sock->context.ids || !same_request(sock->context.ids, ret->ids))
		sock->makers = false;
	sock->written = true;
	sock->answered = false;
	/* a connection that is re-used belongs to who last wrote to it; to nobody when we cannot tell */
	fp_context_clear(&sock->context);
	if (ret->ids && !sock->shared)
		fp_context_follow(&sock->context, ret, FP_RULE_DESCRIPTOR, FP_ATTRIBUTION_DERIVED);
}

/* A pipe or a socket is new. */
static void note_made(struct fp_attributor *a, const struct container *container, const struct fp_event *event,
		      const struct fp_context *context, struct channel *channel)
{
	struct task_key key = {event->tgid, event->process_start};
	struct process *maker;

	HASH_FIND(hh, a->processes, &key, sizeof(key), maker);
	channel->makers = context->ids && context->ids->n == 1;
	channel->in_family = channel->makers && maker && maker->inherited.ids && same_request(maker->inherited.ids, context->ids);
	fp_handed_made(container, channel);
}

/* A connection that was there before and has no entry may have been forgotten: what comes back on it can be anybody's. */
static void doubt_unknown(struct container *container, struct thread *thread, struct channel *sock,
			  const struct fp_event *event, struct fp_context *ret)
{
	bool known = sock->cgroup != 0;

	sock->cgroup = event->cgroup;
	if (known || (event->process_start > container->forgot && event->process_start > container->unsaved))
		return;
	if (event->type == FP_EVENT_TYPE_SEND)
		sock->shared = true; /* another may wait for an answer on it */
	if (event->type != FP_EVENT_TYPE_RECEIVE)
		return;
	thread->unsure = true;
	if (ret->rule == FP_RULE_SOLE)
		fp_context_set(ret, fp_behind_suspects(container), FP_ATTRIBUTION_AMBIGUOUS, FP_RULE_LEFT_BEHIND,
			       container->epoch);
}

void fp_attribute_socket(struct fp_attributor *a, struct container *container, struct thread *thread,
			struct fp_event *event, struct fp_context *ret)
{
	struct channel_key key = {FP_OBJECT_SOCKET, event->ino};
	struct channel *sock = fp_state_channel(a, &key);

	if (!sock)
		return;
	fp_state_use_channel(a, sock);
	doubt_unknown(container, thread, sock, event, ret);
	if (event->type == FP_EVENT_TYPE_SOCKET || event->type == FP_EVENT_TYPE_ACCEPT ||
	    event->type == FP_EVENT_TYPE_CONNECT) {
		/* a new connection: nothing of an earlier one with the same inode holds */
		fp_context_clear(&sock->context);
		sock->tx_base = sock->rx_base = 0;
		sock->peer_ino = 0;
		sock->passes_on = sock->pipelined = sock->answering = false;
		sock->answered = sock->written = sock->shared = false;
		sock->connected = event->type == FP_EVENT_TYPE_CONNECT;
		sock->makers = false;
		sock->tx_end = sock->rx_end = 0;
		sock->doubts = container->doubts;
		fp_handed_done(sock);
	}
	settle(a, sock, event);
	if (event->type == FP_EVENT_TYPE_SEND || event->type == FP_EVENT_TYPE_RECEIVE)
		fp_doubt_stream(container, sock, event);
	if (a->whole_run)
		return;
	if (event->type == FP_EVENT_TYPE_SOCKET && event->family == AF_UNIX_NUMBER)
		note_made(a, container, event, ret, sock);
	if (event->type == FP_EVENT_TYPE_RECEIVE) {
		if (event->family != AF_UNIX_NUMBER || !fp_handed_read(a, container, thread, sock, event, ret))
			note_receive(a, container, thread, sock, event, ret);
	} else if (event->type == FP_EVENT_TYPE_SEND) {
		note_send(container, sock, ret);
		note_send_unix(a, container, event, ret);
	} else if (ret->ids && event->type != FP_EVENT_TYPE_ACCEPT)
		fp_context_follow(&sock->context, ret, FP_RULE_DESCRIPTOR, FP_ATTRIBUTION_DERIVED);
}

/*
 * What another process has written to a pipe is that one's (attribute_handed.c).  Else a
 * pipe is its maker's: what comes out of one that a request made is the request's.  One that was
 * there before says nothing: event loops wake themselves through such pipes.
 */
void fp_attribute_pipe(struct fp_attributor *a, struct container *container, struct thread *thread,
		      const struct fp_event *event, struct fp_context *ret)
{
	struct channel_key key = {FP_OBJECT_PIPE, event->ino};
	struct channel *pipe;

	if (event->type == FP_EVENT_TYPE_OPEN) {
		pipe = fp_state_channel(a, &key);
		if (!pipe)
			return;
		fp_state_use_channel(a, pipe);
		pipe->cgroup = event->cgroup;
		fp_context_clear(&pipe->context);
		fp_handed_done(pipe);
		if (!event->path.len) /* one with a name can have been there before */
			note_made(a, container, event, ret, pipe);
		if (ret->ids)
			fp_context_follow(&pipe->context, ret, FP_RULE_DESCRIPTOR, FP_ATTRIBUTION_DERIVED);
		return;
	}
	HASH_FIND(hh, a->channels, &key, sizeof(key), pipe);
	if (pipe)
		fp_state_use_channel(a, pipe);
	if (pipe && event->type == FP_EVENT_TYPE_WRITE)
		fp_handed_write(a, container, pipe, event, ret);
	if (event->type == FP_EVENT_TYPE_READ && (pipe ? fp_handed_read(a, container, thread, pipe, event, ret) :
						  fp_handed_strange(a, container, thread, event, NULL, ret)))
		return;
	if (!pipe || !fp_state_believed(&pipe->context, container) || event->type != FP_EVENT_TYPE_READ)
		return;
	fp_context_clear(ret);
	fp_context_follow(ret, &pipe->context, pipe->context.rule, FP_ATTRIBUTION_DERIVED);
	if (event->bytes > 0)
		fp_attribute_enter(container, thread, event, ret);
}

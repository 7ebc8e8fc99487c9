/*
 * Bytes that were moved through nobody knows what: another thread has changed what the number stood for while the
 * call was in the kernel (bpf/replaced.bpf.h).  The event tells the thread, the direction and how much; its object is
 * what the number stands for by now, or none.  That concerns what the bytes can have changed, and nothing else:
 *   - What came in can have been another request: the thread is in no context that it had read, and a process that was
 *     forked in a request may have been given other work.  What the runtime says of the thread stands.
 *   - Pipes and unix sockets, through which processes hand each other work, have lost count, all of the container.
 *   - A TCP connection tells by its own numbers whether bytes are missing on it, when it is used next.  One on which
 *     some are can have taken in, or asked for, what we do not know.
 *   - Of other sockets nothing tells that: when something went out, each can be waited for by anybody.
 * What was told before, and what other threads read, stays what it was.
 */
#include <string.h>

#include "agent/attribute_state.h"
#include "agent/bpf/shared.h"

#define TCP_NUMBER 6

static bool is_stream(const struct fp_event *event)
{
	return (event->type == FP_EVENT_TYPE_SEND || event->type == FP_EVENT_TYPE_RECEIVE) &&
	       event->family != AF_UNIX_NUMBER && event->protocol == TCP_NUMBER;
}

static bool takes_in(const struct fp_event *event)
{
	return event->type == FP_EVENT_TYPE_READ || event->type == FP_EVENT_TYPE_RECEIVE;
}

static bool is_peek(const struct fp_event *event)
{
	return event->type == FP_EVENT_TYPE_RECEIVE && event->flags & FP_RECEIVE_PEEKED;
}

/* Where the socket's bytes ended in that direction before the event. */
static uint32_t received_before(const struct fp_event *event)
{
	return (uint32_t)event->rx_end - (event->type == FP_EVENT_TYPE_RECEIVE ? (uint32_t)event->bytes : 0);
}

static uint32_t sent_before(const struct fp_event *event)
{
	return (uint32_t)event->tx_end - (event->type == FP_EVENT_TYPE_SEND ? (uint32_t)event->bytes : 0);
}

/* SYN and FIN take a number each and are no bytes. */
static bool follows(uint32_t before, uint32_t told, uint64_t base)
{
	return before - (told ? told : (uint32_t)base) <= 1;
}

void fp_attributor_weigh(const struct fp_attributor *a, struct fp_event *event)
{
	struct channel_key key = {FP_OBJECT_SOCKET, event->ino};
	struct channel *sock;

	if (!(event->fd & FP_FD_IN_DOUBT))
		return;
	if (is_stream(event) && event->bytes > 0 && !is_peek(event)) {
		HASH_FIND(hh, a->channels, &key, sizeof(key), sock);
		if (sock && (takes_in(event) ? follows(received_before(event), sock->rx_end, sock->rx_base) :
					       follows(sent_before(event), sock->tx_end, sock->tx_base))) {
			event->fd &= ~FP_FD_IN_DOUBT;
			return;
		}
	}
	event->payload.len = 0;
}

void fp_doubt_begin(struct container *container, struct thread *thread, const struct fp_event *event)
{
	if (event->bytes == 0)
		return;
	container->doubts++;
	if (!takes_in(event)) {
		container->doubted_write = container->doubts;
		return;
	}
	fp_context_clear(&thread->context);
	thread->blocks = false;
}

int fp_doubt_end(struct fp_attributor *a, struct container *container, struct thread *thread, struct fp_event *event,
		 struct fp_context *ret)
{
	if (event->type == FP_EVENT_TYPE_SEND || event->type == FP_EVENT_TYPE_RECEIVE)
		fp_attribute_settle(a, event);
	if (takes_in(event) && !a->whole_run)
		fp_handed_strange(a, container, thread, event, NULL, ret);
	return event->type == FP_EVENT_TYPE_SEND || event->type == FP_EVENT_TYPE_RECEIVE || event->object != FP_OBJECT_OTHER;
}

void fp_doubt_stream(const struct container *container, struct channel *sock, const struct fp_event *event)
{
	bool stream = is_stream(event), is_own = sock->context.ids && fp_rule_is_own(sock->context.rule), asked, missing;

	if (sock->doubts != container->doubts) {
		asked = stream ? !follows(sent_before(event), sock->tx_end, sock->tx_base) :
				 sock->doubts < container->doubted_write;
		missing = asked || (stream && !follows(received_before(event), sock->rx_end, sock->rx_base));
		if (missing)
			fp_context_clear(&sock->context);
		if (asked && !is_own)
			sock->shared = true; /* another may wait for an answer on it */
		sock->doubts = container->doubts;
	}
	if (!stream)
		return;
	sock->tx_end = (uint32_t)event->tx_end;
	sock->rx_end = is_peek(event) ? received_before(event) : (uint32_t)event->rx_end;
}

/*
 * What is said on the node's sockets: feeds the parsers of agent/app with the
 * payload of each send and receive, and makes MESSAGE events of what they hand
 * on, redacted, and LOOKUP events of names and addresses, each once.
 *
 * The pipeline calls it for every event, in order: read before the event is
 * noted, because what a request says decides whose it can be, and hand_on after
 * that.  Payload ends here.
 */
#ifndef FP_AGENT_MESSAGES_H
#define FP_AGENT_MESSAGES_H

#include "agent/attribute.h"
#include "agent/reduce.h"
#include "schema/schema.h"

/* Sockets whose messages are followed; the oldest goes first, and its next message is recognised afresh. */
#define FP_MESSAGES_SOCKETS_MAX 16384
/* Addresses whose names are remembered, of all containers; the oldest goes first. */
#define FP_MESSAGES_NAMES_MAX 16384

struct fp_messages;

/* `fn` gets the MESSAGE and LOOKUP events. */
int fp_messages_new(fp_own_event_fn fn, void *arg, struct fp_messages **ret_messages);
struct fp_messages *fp_messages_free(struct fp_messages *messages);
/* Told of each head of an HTTP request as it is read.  A negative return ends the reading and is given back. */
typedef int (*fp_messages_asked_fn)(void *arg, const struct fp_event *event, const struct fp_asked *asked);
void fp_messages_set_asked(struct fp_messages *messages, fp_messages_asked_fn fn);
/*
 * The event's connection is one over which a function serves its watchdog, which
 * has said all there is to say of it: until it is made anew, what passes over it is not read.
 */
void fp_messages_served(struct fp_messages *messages, const struct fp_event *event);
/* Reads the event's payload.  The status of an HTTP answer that is out with it, 0, -ENOMEM, or what was returned. */
int fp_messages_read(struct fp_messages *messages, const struct fp_event *event);
/* The status of the next answer that is out with it; 0: there are no more. */
int fp_messages_next_answer(struct fp_messages *messages, const struct fp_event *event);
/* Hands on what was read of it, as the event is noted by now.  0, or what fn returned. */
int fp_messages_hand_on(struct fp_messages *messages, const struct fp_event *event);
/* Both, of an event that is noted already. */
int fp_messages_note(struct fp_messages *messages, const struct fp_event *event);
/* MESSAGE events handed on so far. */
uint64_t fp_messages_count(const struct fp_messages *messages);

/* For fp_bounds_add(): the next message on a connection that is forgotten is recognised afresh. */
unsigned fp_messages_look(const void *messages, struct fp_bound *ret);
void fp_messages_forget(void *messages, unsigned table);

#endif

/*
 * What is said on the node's sockets: feeds the parsers of agent/app with the
 * payload of each send and receive, and makes MESSAGE events of what they hand
 * on, redacted, and LOOKUP events of names and addresses, each once.
 *
 * The pipeline calls it for every event, in order.  Payload ends here.
 */
#ifndef FP_AGENT_MESSAGES_H
#define FP_AGENT_MESSAGES_H

#include "agent/reduce.h"
#include "schema/schema.h"

/* Sockets whose messages are followed; the oldest goes first, and its next message is recognised afresh. */
#define FP_MESSAGES_SOCKETS_MAX 16384
/* Addresses whose names are remembered, of all containers; the oldest goes first. */
#define FP_MESSAGES_NAMES_MAX 16384

struct fp_messages;

/* `fn` gets the MESSAGE and LOOKUP events. */
int fp_messages_new(fp_event_fn fn, void *arg, struct fp_messages **ret_messages);
struct fp_messages *fp_messages_free(struct fp_messages *messages);
/* 0, -ENOMEM, or what fn returned. */
int fp_messages_note(struct fp_messages *messages, const struct fp_event *event);
/* MESSAGE events handed on so far. */
uint64_t fp_messages_count(const struct fp_messages *messages);

#endif

/*
 * How the parsers of agent/app hand on what they recognise.  Private to the folder.
 */
#ifndef FP_AGENT_APP_EMIT_H
#define FP_AGENT_APP_EMIT_H

#include "agent/app/app.h"

/* One feed: its bytes, and where the messages go. */
struct fp_app_input {
	const uint8_t *data;
	size_t have, total;
	bool outgoing;
	bool turn; /* the other side spoke before (or nobody yet): a message may begin here */
	fp_app_message_fn fn;
	void *arg;
	int count; /* messages handed on */
	int error; /* what fn returned, or -ENOMEM: stop */
};

/* What a parser says about the connection when it has read its input. */
enum fp_app_verdict {
	FP_APP_MINE, /* go on feeding this parser */
	FP_APP_NOT_MINE, /* it is not this protocol after all: look again at the next turn */
	FP_APP_OVER, /* it was, until here: what follows is something else */
};

/* Little endian, at most four bytes. */
static inline uint32_t fp_app_read_le(const uint8_t *data, unsigned bytes)
{
	uint32_t value = 0;

	while (bytes--)
		value = value << 8 | data[bytes];
	return value;
}

static inline void fp_app_emit(struct fp_app_input *input, const struct fp_app_message *message)
{
	if (input->error)
		return;
	input->error = input->fn(input->arg, message);
	if (!input->error)
		input->count++;
}

#endif

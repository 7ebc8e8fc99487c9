/*
 * A connection that carries messages of the protocol, over libuv, in plain or
 * with TLS.  The agent's uplink opens one, the aggregator takes many.  It knows
 * nothing of what the messages mean, starts no threads and never logs.
 *
 * Life: fp_channel_connect or _accept makes it; `open` is called when messages
 * can be sent, `message` for each that arrives, `closed` exactly once, last of
 * all; after it returns the channel is gone.  Nothing is called from within the
 * functions below (but `message` from fp_channel_resume).
 *
 * Limits: a peer has options.timeout_ms for its first message from the start on,
 * to deliver each message that it began, and to take some of what is sent to it; bytes to be sent are the
 * caller's to bound (fp_channel_queued); bytes that arrive are bounded by the
 * parser and by pausing.
 *
 * SIGPIPE is ignored from the first channel on, unless the program handles it.
 */
#ifndef FP_WIRE_CHANNEL_H
#define FP_WIRE_CHANNEL_H

#include <uv.h>

#include "wire/protocol.h"
#include "wire/tls.h"

struct fp_channel;

struct fp_channel_calls {
	void (*open)(void *arg);
	/* A negative number closes the channel for that reason. */
	int (*message)(void *arg, const struct fp_message *message);
	/* `error` is negative errno (0: closed by us), `reason` a short sentence. */
	void (*closed)(void *arg, int error, const char *reason);
};

struct fp_channel_options {
	struct fp_tls *tls; /* NULL: plain; outlives the channel */
	const char *peer; /* for TLS when connecting: whom the certificate must name */
	unsigned accepted; /* message types, see fp_parser_init */
	unsigned timeout_ms;
	const struct fp_channel_calls *calls; /* outlives the channel */
	void *arg;
};

/* Takes a waiting connection of a listening handle.  0 or negative errno (then nothing is called). */
int fp_channel_accept(uv_stream_t *server, const struct fp_channel_options *options, struct fp_channel **ret_channel);
int fp_channel_connect(uv_loop_t *loop, const struct sockaddr *address, const struct fp_channel_options *options,
		       struct fp_channel **ret_channel);

/* Which messages may come from now on. */
void fp_channel_expect(struct fp_channel *channel, unsigned accepted);
/* Queues whole messages (a copy).  0, -ENOMEM, -EPIPE when it is closing. */
int fp_channel_send(struct fp_channel *channel, const struct fp_buffer *messages);
/* Bytes queued and not yet taken by the system. */
size_t fp_channel_queued(const struct fp_channel *channel);
/* No more messages are delivered until resume; the peer is held back by TCP. */
void fp_channel_pause(struct fp_channel *channel);
void fp_channel_resume(struct fp_channel *channel);
/* Closes when what is queued has been sent; no more messages are delivered. */
void fp_channel_finish(struct fp_channel *channel);
void fp_channel_close(struct fp_channel *channel);
/* "198.18.0.2:40000", with TLS followed by " (common name)". */
const char *fp_channel_peer(const struct fp_channel *channel);

#endif

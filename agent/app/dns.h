/*
 * DNS, over UDP or TCP: what is asked for, and which addresses a name has.  The
 * C library's own reader of messages (ns_initparse) does the reading; this
 * bounds what it is given and follows aliases to the name that was asked for.
 * The agent feeds it the sockets whose peer's port is 53.
 *
 * Life cycle of a stream: zero bytes are an empty one; nothing to free.
 */
#ifndef FP_AGENT_APP_DNS_H
#define FP_AGENT_APP_DNS_H

#include "agent/app/app.h"

#define FP_DNS_PORT 53

/* Of a message over TCP that comes in pieces: as much as the capture of one call holds. */
#define FP_DNS_MESSAGE_MAX 512

/* One direction of a connection over TCP. */
struct fp_dns_stream {
	uint8_t data[2 + FP_DNS_MESSAGE_MAX];
	uint32_t have, left; /* kept; still to come of the message at hand */
	bool cut, lost; /* a hole in the message at hand; in a length */
};

/* `name` has this address (IPv4 mapped).  The text lives during the call; non-zero stops and is given back. */
typedef int (*fp_dns_address_fn)(void *arg, struct fp_str name, uint64_t hi, uint64_t lo);

struct fp_dns_handlers {
	fp_app_message_fn message; /* a question: method is the type, name what is asked for, in lower case */
	fp_dns_address_fn address; /* from an answer without error */
	void *arg;
};

/*
 * One datagram, of which the first `have` of `total` bytes are there.  0: it was
 * read as far as it goes; -EBADMSG: it is no message of DNS; -EINVAL when have > total;
 * or what a handler returned.
 */
int fp_dns_read(bool outgoing, const void *data, size_t have, size_t total, const struct fp_dns_handlers *handlers);
/* The same for bytes of a connection, where each message has its length in front. */
int fp_dns_feed(struct fp_dns_stream *stream, bool outgoing, const void *data, size_t have, size_t total,
		const struct fp_dns_handlers *handlers);

#endif

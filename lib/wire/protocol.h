/*
 * What agent and aggregator say to each other over a connection (channel.h),
 * and an incremental parser of it.  Does no I/O; allocates nothing for a message
 * that lies whole in the bytes it is given.
 *
 *   agent                          aggregator
 *   HELLO id, versions      →
 *                           ←      WELCOME last batch stored of that id, its hash
 *   BATCH frame (batch.h)   →                           (again and again, without waiting)
 *                           ←      ACK number: all up to this one are durable
 *   (either) REFUSE code, text, then the connection ends
 *
 * Message (little endian): "FP"  u8 protocol version  u8 type  u32 length of the body
 *   HELLO    u16 batch format, u16 schema version, agent id 16
 *   WELCOME  u64 number (0: none), hash 32
 *   BATCH    the frame
 *   ACK      u64 number
 *   REFUSE   u16 code, text of at most FP_REFUSE_TEXT_MAX bytes
 * A message of another protocol version is -EPROTO, whatever else does not fit
 * is -EBADMSG; after either the parser is of no further use.
 */
#ifndef FP_WIRE_PROTOCOL_H
#define FP_WIRE_PROTOCOL_H

#include <sys/types.h>

#include "base/buffer.h"
#include "wire/batch.h"

#define FP_PROTOCOL_VERSION 1
#define FP_MESSAGE_HEADER_SIZE 8
#define FP_REFUSE_TEXT_MAX 200

enum fp_message_type {
	FP_MESSAGE_HELLO = 1,
	FP_MESSAGE_WELCOME,
	FP_MESSAGE_BATCH,
	FP_MESSAGE_ACK,
	FP_MESSAGE_REFUSE,
	FP_MESSAGE_MAX
};

/* FP_REFUSAL(number, NAME, name, doc) */
#define FP_REFUSALS(FP_REFUSAL)                                                                    \
	FP_REFUSAL(1, VERSION, version, "another version of protocol, frame or schema")            \
	FP_REFUSAL(2, INVALID, invalid, "not a well-formed message or batch")                      \
	FP_REFUSAL(3, CHAIN, chain, "the batch does not follow the last one stored of its agent")  \
	FP_REFUSAL(4, STORE, store, "the store cannot take it now")                                \
	FP_REFUSAL(5, REPLACED, replaced, "the same agent has connected anew")                     \
	FP_REFUSAL(6, LEAVING, leaving, "the aggregator stops")

enum fp_refusal {
#define FP_REFUSAL(number, NAME, name, doc) FP_REFUSE_##NAME = number,
	FP_REFUSALS(FP_REFUSAL)
#undef FP_REFUSAL
};
/* NULL when the number is not one. */
const char *fp_refusal_name(unsigned number);

struct fp_message {
	enum fp_message_type type;
	const uint8_t *body; /* borrowed, see fp_parser_feed */
	size_t len;
};

struct fp_hello {
	uint16_t format, schema; /* of batches */
	uint8_t agent[16];
};

struct fp_welcome {
	uint64_t last; /* number of the last batch stored, 0: none */
	uint8_t hash[FP_BATCH_HASH_SIZE];
};

struct fp_refuse {
	unsigned code;
	char text[FP_REFUSE_TEXT_MAX + 1]; /* printable ASCII without '"': other bytes are '?' */
};

/* Append a message; failure to get memory shows in the buffer. */
void fp_message_hello(struct fp_buffer *out, const uint8_t agent[16]);
void fp_message_welcome(struct fp_buffer *out, const struct fp_welcome *welcome);
void fp_message_ack(struct fp_buffer *out, uint64_t number);
void fp_message_refuse(struct fp_buffer *out, enum fp_refusal code, const char *text);
void fp_message_batch(struct fp_buffer *out, const uint8_t *frame, size_t len);

/* Read a message of that type; lengths were checked by the parser. */
void fp_hello_read(const struct fp_message *message, struct fp_hello *ret_hello);
/* Whether batches of these versions can be read here. */
bool fp_hello_supported(const struct fp_hello *hello);
void fp_welcome_read(const struct fp_message *message, struct fp_welcome *ret_welcome);
uint64_t fp_ack_read(const struct fp_message *message);
void fp_refuse_read(const struct fp_message *message, struct fp_refuse *ret_refuse);

/* Embedded. */
struct fp_parser {
	struct fp_buffer partial; /* a message that has not arrived whole */
	unsigned accepted; /* bit 1 << type for each type that may come now */
};

void fp_parser_init(struct fp_parser *parser, unsigned accepted);
void fp_parser_done(struct fp_parser *parser);
/* Whether part of a message is waiting for the rest. */
bool fp_parser_partial(const struct fp_parser *parser);
/*
 * Takes bytes up to the end of one message at most: how many were taken, and
 * in *ret_whole whether *ret_message is a whole one now.  It belongs to `data`
 * or the parser and lives until the next call.  Memory grows with the bytes
 * that have come, not with the length that was promised.  -EBADMSG, -EPROTO,
 * -ENOMEM.
 */
ssize_t fp_parser_feed(struct fp_parser *parser, const uint8_t *data, size_t len, struct fp_message *ret_message,
		       bool *ret_whole);

#endif

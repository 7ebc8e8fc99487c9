#include "wire/protocol.h"

#include <errno.h>
#include <string.h>

#include "wire/batch_format.h"

/* A connection that once carried a long message does not hold on to the room for it. */
#define KEPT_MAX (256u << 10)

static const struct {
	uint32_t min, max;
} lengths[FP_MESSAGE_MAX] = {
	[FP_MESSAGE_HELLO] = {20, 20},
	[FP_MESSAGE_WELCOME] = {8 + FP_BATCH_HASH_SIZE, 8 + FP_BATCH_HASH_SIZE},
	[FP_MESSAGE_BATCH] = {FP_BATCH_FIXED, FP_BATCH_FRAME_MAX},
	[FP_MESSAGE_ACK] = {8, 8},
	[FP_MESSAGE_REFUSE] = {2, 2 + FP_REFUSE_TEXT_MAX},
};

static const char *const refusal_names[] = {
#define FP_REFUSAL(number, NAME, name, doc) [number] = #name,
	FP_REFUSALS(FP_REFUSAL)
#undef FP_REFUSAL
};

const char *fp_refusal_name(unsigned number)
{
	return number < sizeof(refusal_names) / sizeof(refusal_names[0]) ? refusal_names[number] : NULL;
}

static void add_header(struct fp_buffer *out, enum fp_message_type type, size_t len)
{
	uint8_t header[FP_MESSAGE_HEADER_SIZE] = {'F', 'P', FP_PROTOCOL_VERSION, (uint8_t)type};

	fp_put_le(header + 4, len, 4);
	fp_buffer_add(out, header, sizeof(header));
}

static void add_number(struct fp_buffer *out, uint64_t value, unsigned bytes)
{
	uint8_t encoded[8];

	fp_put_le(encoded, value, bytes);
	fp_buffer_add(out, encoded, bytes);
}

void fp_message_hello(struct fp_buffer *out, const uint8_t agent[16])
{
	add_header(out, FP_MESSAGE_HELLO, 20);
	add_number(out, FP_BATCH_FORMAT, 2);
	add_number(out, FP_SCHEMA_VERSION, 2);
	fp_buffer_add(out, agent, 16);
}

void fp_message_welcome(struct fp_buffer *out, const struct fp_welcome *welcome)
{
	add_header(out, FP_MESSAGE_WELCOME, 8 + sizeof(welcome->hash));
	add_number(out, welcome->last, 8);
	fp_buffer_add(out, welcome->hash, sizeof(welcome->hash));
}

void fp_message_ack(struct fp_buffer *out, uint64_t number)
{
	add_header(out, FP_MESSAGE_ACK, 8);
	add_number(out, number, 8);
}

void fp_message_refuse(struct fp_buffer *out, enum fp_refusal code, const char *text)
{
	size_t len = strnlen(text, FP_REFUSE_TEXT_MAX);

	add_header(out, FP_MESSAGE_REFUSE, 2 + len);
	add_number(out, code, 2);
	fp_buffer_add(out, text, len);
}

void fp_message_batch(struct fp_buffer *out, const uint8_t *frame, size_t len)
{
	add_header(out, FP_MESSAGE_BATCH, len);
	fp_buffer_add(out, frame, len);
}

void fp_hello_read(const struct fp_message *message, struct fp_hello *ret_hello)
{
	ret_hello->format = (uint16_t)fp_get_le(message->body, 2);
	ret_hello->schema = (uint16_t)fp_get_le(message->body + 2, 2);
	memcpy(ret_hello->agent, message->body + 4, sizeof(ret_hello->agent));
}

bool fp_hello_supported(const struct fp_hello *hello)
{
	return hello->format == FP_BATCH_FORMAT && hello->schema >= FP_SCHEMA_VERSION_OLDEST &&
	       hello->schema <= FP_SCHEMA_VERSION;
}

void fp_welcome_read(const struct fp_message *message, struct fp_welcome *ret_welcome)
{
	ret_welcome->last = fp_get_le(message->body, 8);
	memcpy(ret_welcome->hash, message->body + 8, sizeof(ret_welcome->hash));
}

uint64_t fp_ack_read(const struct fp_message *message)
{
	return fp_get_le(message->body, 8);
}

void fp_refuse_read(const struct fp_message *message, struct fp_refuse *ret_refuse)
{
	size_t len = message->len - 2;

	ret_refuse->code = (unsigned)fp_get_le(message->body, 2);
	for (size_t i = 0; i < len; i++) {
		char c = (char)message->body[2 + i];

		ret_refuse->text[i] = c >= ' ' && c <= '~' && c != '"' ? c : '?';
	}
	ret_refuse->text[len] = '\0';
}

void fp_parser_init(struct fp_parser *parser, unsigned accepted)
{
	*parser = (struct fp_parser){.partial = FP_BUFFER_INIT, .accepted = accepted};
}

void fp_parser_done(struct fp_parser *parser)
{
	fp_buffer_done(&parser->partial);
}

bool fp_parser_partial(const struct fp_parser *parser)
{
	return parser->partial.len > 0;
}

/* Checks what there is of a header; the length of the whole message, or 0 while it is not known. */
static ssize_t check_header(const struct fp_parser *parser, const uint8_t *data, size_t len)
{
	unsigned type;
	uint64_t body;

	if (memcmp(data, "FP", len < 2 ? len : 2) != 0)
		return -EBADMSG;
	if (len > 2 && data[2] != FP_PROTOCOL_VERSION)
		return -EPROTO;
	if (len <= 3)
		return 0;
	type = data[3];
	if (type == 0 || type >= FP_MESSAGE_MAX || !(parser->accepted >> type & 1))
		return -EBADMSG;
	if (len < FP_MESSAGE_HEADER_SIZE)
		return 0;
	body = fp_get_le(data + 4, 4);
	if (body < lengths[type].min || body > lengths[type].max)
		return -EBADMSG;
	return (ssize_t)(FP_MESSAGE_HEADER_SIZE + body);
}

static void give(const uint8_t *data, size_t whole, struct fp_message *ret_message, bool *ret_whole)
{
	ret_message->type = (enum fp_message_type)data[3];
	ret_message->body = data + FP_MESSAGE_HEADER_SIZE;
	ret_message->len = whole - FP_MESSAGE_HEADER_SIZE;
	*ret_whole = true;
}

ssize_t fp_parser_feed(struct fp_parser *parser, const uint8_t *data, size_t len, struct fp_message *ret_message,
		       bool *ret_whole)
{
	struct fp_buffer *partial = &parser->partial;
	size_t taken = 0, more;
	ssize_t whole;

	*ret_whole = false;
	if (len == 0)
		return 0;
	if (partial->len == 0) {
		if (partial->size > KEPT_MAX)
			fp_buffer_done(partial);
		whole = check_header(parser, data, len);
		if (whole < 0)
			return whole;
		if (whole > 0 && (size_t)whole <= len) {
			give(data, (size_t)whole, ret_message, ret_whole);
			return whole;
		}
	}
	/* first what is missing of the header, which then tells how much more belongs to the message */
	if (partial->len < FP_MESSAGE_HEADER_SIZE) {
		more = FP_MESSAGE_HEADER_SIZE - partial->len;
		taken = more < len ? more : len;
		fp_buffer_add(partial, data, taken);
	}
	if (partial->failed)
		return -ENOMEM;
	whole = check_header(parser, (uint8_t *)partial->data, partial->len);
	if (whole <= 0)
		return whole < 0 ? whole : (ssize_t)taken;
	more = (size_t)whole - partial->len;
	if (more > len - taken)
		more = len - taken;
	fp_buffer_add(partial, data + taken, more);
	if (partial->failed)
		return -ENOMEM;
	if (partial->len == (size_t)whole) {
		give((uint8_t *)partial->data, (size_t)whole, ret_message, ret_whole);
		partial->len = 0; /* the bytes stay for the caller until the next call */
	}
	return (ssize_t)(taken + more);
}

#include "wire/batch_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>
#include <zstd.h>

/* Running out of memory is reported, not fatal. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/buffer.h"

struct string {
	UT_hash_handle hh;
	uint32_t index;
	char bytes[];
};

struct fp_batch_writer {
	struct string *strings; /* by content */
	uint32_t n_strings;
	struct fp_buffer table; /* the string table without its count */
	struct fp_buffer events;
	size_t n_events;
	uint64_t first, last;
	uint64_t former[FP_FIELD_MAX]; /* last value of each number field */
	struct fp_batch_layout layouts[FP_EVENT_TYPE_MAX];
	/* Paths and arguments come from those we watch: a keyed hash keeps them from making all strings collide. */
	uint8_t key[crypto_shorthash_KEYBYTES];
	ZSTD_CCtx *zstd;
	struct fp_buffer body, frame;
};

static void writer_clear(struct fp_batch_writer *writer)
{
	struct string *string, *next;

	HASH_ITER(hh, writer->strings, string, next) {
		HASH_DEL(writer->strings, string);
		free(string);
	}
	writer->n_strings = 0;
	fp_buffer_clear(&writer->table);
	fp_buffer_clear(&writer->events);
	writer->n_events = 0;
	memset(writer->former, 0, sizeof(writer->former));
}

int fp_batch_writer_new(struct fp_batch_writer **ret_writer)
{
	struct fp_batch_writer *writer;

	if (sodium_init() < 0)
		return -ENOMEM;
	writer = calloc(1, sizeof(*writer));
	if (!writer)
		return -ENOMEM;
	writer->zstd = ZSTD_createCCtx();
	if (!writer->zstd) {
		fp_batch_writer_free(writer);
		return -ENOMEM;
	}
	for (unsigned type = 0; type < FP_EVENT_TYPE_MAX; type++)
		fp_batch_layout(type, &writer->layouts[type]);
	crypto_shorthash_keygen(writer->key);
	*ret_writer = writer;
	return 0;
}

struct fp_batch_writer *fp_batch_writer_free(struct fp_batch_writer *writer)
{
	if (!writer)
		return NULL;
	writer_clear(writer);
	ZSTD_freeCCtx(writer->zstd);
	fp_buffer_done(&writer->table);
	fp_buffer_done(&writer->events);
	fp_buffer_done(&writer->body);
	fp_buffer_done(&writer->frame);
	free(writer);
	return NULL;
}

/* Index of the string, which is put into the table when it is new; the table has room.  -ENOMEM. */
static int64_t intern(struct fp_batch_writer *writer, const struct fp_str *text)
{
	struct string *string;
	uint8_t digest[crypto_shorthash_BYTES];
	unsigned hash;

	if (text->len == 0)
		return 0;
	crypto_shorthash(digest, (const uint8_t *)text->data, text->len, writer->key);
	memcpy(&hash, digest, sizeof(hash));
	HASH_FIND_BYHASHVALUE(hh, writer->strings, text->data, text->len, hash, string);
	if (string)
		return string->index;
	string = malloc(sizeof(*string) + text->len);
	if (!string)
		return -ENOMEM;
	memcpy(string->bytes, text->data, text->len);
	string->index = writer->n_strings + 1;
	HASH_ADD_BYHASHVALUE(hh, writer->strings, bytes[0], (unsigned)text->len, hash, string);
	if (!string->hh.tbl) {
		free(string);
		return -ENOMEM;
	}
	writer->n_strings++;
	fp_buffer_add_varint(&writer->table, text->len);
	fp_buffer_add(&writer->table, text->data, text->len);
	return string->index;
}

/* The most bytes that the event adds to table and events; -EINVAL when a string is too long. */
static ssize_t event_bound(const struct fp_batch_layout *layout, const struct fp_event *event, size_t *ret_strings)
{
	size_t bound = 2, strings = 0; /* type */

	for (unsigned i = 0; i < layout->n; i++) {
		const struct fp_field_info *info = fp_field_info(layout->fields[i]);

		if (info->kind != FP_KIND_STR) {
			bound += 10;
			continue;
		}
		if (fp_event_str(event, info)->len > FP_STR_MAX)
			return -EINVAL;
		bound += 5 + 2 + fp_event_str(event, info)->len;
		strings++;
	}
	*ret_strings = strings;
	return (ssize_t)bound;
}

static void encode(struct fp_batch_writer *writer, const struct fp_batch_layout *layout, const struct fp_event *event,
		   const uint32_t *indices)
{
	fp_buffer_add_varint(&writer->events, event->type);
	for (unsigned i = 0; i < layout->n; i++) {
		unsigned field = layout->fields[i];
		const struct fp_field_info *info = fp_field_info(field);
		uint64_t value;

		if (info->kind == FP_KIND_STR) {
			fp_buffer_add_varint(&writer->events, indices[i]);
			continue;
		}
		value = *fp_event_num(event, info);
		fp_buffer_add_varint(&writer->events, fp_zigzag((int64_t)(value - writer->former[field])));
		writer->former[field] = value;
	}
}

int fp_batch_writer_add(struct fp_batch_writer *writer, const struct fp_event *event)
{
	const struct fp_batch_layout *layout;
	uint32_t indices[64] = {0};
	size_t strings;
	ssize_t bound;

	if ((unsigned)event->type >= FP_EVENT_TYPE_MAX)
		return -EINVAL;
	layout = &writer->layouts[event->type];
	if (layout->n == 0 || !fp_batch_event_valid(event))
		return -EINVAL;
	bound = event_bound(layout, event, &strings);
	if (bound < 0)
		return (int)bound;
	if (fp_batch_writer_body_size(writer) + (size_t)bound > FP_BATCH_BODY_FULL ||
	    writer->n_strings + strings > FP_BATCH_STRINGS_MAX)
		return -ENOSPC;
	/* Room first and strings next, so that an event is added whole or not at all. */
	if (!fp_buffer_reserve(&writer->table, (size_t)bound) || !fp_buffer_reserve(&writer->events, (size_t)bound)) {
		writer->table.failed = writer->events.failed = false;
		return -ENOMEM;
	}
	for (unsigned i = 0; i < layout->n; i++) {
		const struct fp_field_info *info = fp_field_info(layout->fields[i]);
		int64_t index;

		if (info->kind != FP_KIND_STR)
			continue;
		index = intern(writer, fp_event_str(event, info));
		if (index < 0)
			return (int)index;
		indices[i] = (uint32_t)index;
	}
	encode(writer, layout, event, indices);
	if (writer->n_events == 0 || event->time < writer->first)
		writer->first = event->time;
	if (writer->n_events == 0 || event->time > writer->last)
		writer->last = event->time;
	writer->n_events++;
	return 0;
}

size_t fp_batch_writer_events(const struct fp_batch_writer *writer)
{
	return writer->n_events;
}

size_t fp_batch_writer_body_size(const struct fp_batch_writer *writer)
{
	return 5 + writer->table.len + writer->events.len;
}

/* Everything before the compressed body; the length of the rest is filled in at the end. */
static void put_header(uint8_t *out, const struct fp_batch_header *header, size_t host_len, size_t body_len)
{
	memcpy(out, FP_BATCH_MAGIC, 4);
	fp_put_le(out + FP_AT_FORMAT, FP_BATCH_FORMAT, 2);
	fp_put_le(out + FP_AT_SCHEMA, FP_SCHEMA_VERSION, 2);
	memcpy(out + FP_AT_AGENT, header->agent, sizeof(header->agent));
	fp_put_le(out + FP_AT_NUMBER, header->number, 8);
	memcpy(out + FP_AT_BOOT, header->boot, sizeof(header->boot));
	fp_put_le(out + FP_AT_OFFSET, (uint64_t)header->clock_offset, 8);
	fp_put_le(out + FP_AT_FIRST, header->first_time, 8);
	fp_put_le(out + FP_AT_LAST, header->last_time, 8);
	fp_put_le(out + FP_AT_EVENTS, header->n_events, 4);
	fp_put_le(out + FP_AT_UNPACKED, body_len, 4);
	memcpy(out + FP_AT_PREVIOUS, header->previous, sizeof(header->previous));
	out[FP_AT_HOST] = (uint8_t)host_len;
	memcpy(out + FP_BATCH_FIXED, header->host, host_len);
}

static int make_body(struct fp_batch_writer *writer)
{
	fp_buffer_clear(&writer->body);
	fp_buffer_add_varint(&writer->body, writer->n_strings);
	fp_buffer_add(&writer->body, writer->table.data, writer->table.len);
	fp_buffer_add(&writer->body, writer->events.data, writer->events.len);
	return fp_buffer_error(&writer->body);
}

int fp_batch_writer_finish(struct fp_batch_writer *writer, struct fp_batch_header *header, const uint8_t **ret_frame,
			   size_t *ret_len, uint8_t ret_hash[FP_BATCH_HASH_SIZE])
{
	size_t host_len = strnlen(header->host, FP_BATCH_HOST_MAX), prefix = FP_BATCH_FIXED + host_len, bound, packed;
	uint8_t *out;
	int r;

	if (writer->n_events == 0)
		return -ENODATA;
	r = make_body(writer);
	if (r < 0)
		return r;
	bound = ZSTD_compressBound(writer->body.len);
	fp_buffer_clear(&writer->frame);
	out = (uint8_t *)fp_buffer_reserve(&writer->frame, prefix + bound);
	if (!out)
		return -ENOMEM;
	header->first_time = writer->first;
	header->last_time = writer->last;
	header->n_events = (uint32_t)writer->n_events;
	put_header(out, header, host_len, writer->body.len);
	/* Level 3 is zstd's default: beyond it the agent pays several times the processor time for a few percent. */
	packed = ZSTD_compressCCtx(writer->zstd, out + prefix, bound, writer->body.data, writer->body.len, 3);
	if (ZSTD_isError(packed))
		return -ENOMEM;
	writer->frame.len = prefix + packed;
	fp_put_le(out + FP_AT_REST, writer->frame.len - FP_BATCH_PREFIX, 4);
	fp_batch_hash(out, writer->frame.len, ret_hash);
	*ret_frame = out;
	*ret_len = writer->frame.len;
	writer_clear(writer);
	return 0;
}

void fp_batch_hash(const uint8_t *frame, size_t len, uint8_t ret_hash[FP_BATCH_HASH_SIZE])
{
	crypto_generichash(ret_hash, FP_BATCH_HASH_SIZE, frame, len, NULL, 0);
}

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
#include "wire/batch_columns.h"

/* FP_STR_MAX as a varint. */
#define STRING_LEN_MAX 2

struct string {
	UT_hash_handle hh;
	uint32_t index, len;
	char bytes[];
};

struct fp_batch_writer {
	struct string *strings; /* by content */
	uint32_t n_strings;
	size_t strings_len; /* of all of them, with room for their lengths */
	struct fp_buffer columns[FP_FIELD_MAX]; /* 0: types */
	struct fp_column_widths widths[FP_FIELD_MAX]; /* of the columns */
	size_t size; /* of all columns */
	size_t n_events;
	uint64_t first, last;
	struct fp_buffer candidates; /* the last list of ids, */
	uint32_t candidates_index; /* and where it is */
	struct fp_batch_former former;
	struct fp_batch_layout layouts[FP_EVENT_TYPE_MAX];
	/* Paths and arguments come from those we watch: a keyed hash keeps them from making all strings collide. */
	uint8_t key[crypto_shorthash_KEYBYTES];
	ZSTD_CCtx *zstd;
	struct fp_buffer body, frame;
	struct fp_buffer keys; /* struct fp_batch_key of each event */
	struct fp_buffer order; /* what struct fp_column_events points to */
	struct fp_buffer sorted; /* a column */
	struct fp_buffer ends; /* size_t each: where runs of bytes that are alike end in the body */
};

static void writer_clear(struct fp_batch_writer *writer)
{
	struct string *string, *next;

	HASH_ITER(hh, writer->strings, string, next) {
		HASH_DEL(writer->strings, string);
		free(string);
	}
	writer->n_strings = 0;
	writer->strings_len = 0;
	fp_buffer_clear(&writer->candidates);
	fp_buffer_clear(&writer->keys);
	writer->candidates_index = 0;
	for (unsigned field = 0; field < FP_FIELD_MAX; field++)
		fp_buffer_clear(&writer->columns[field]);
	memset(writer->widths, 0, sizeof(writer->widths));
	writer->size = 0;
	writer->n_events = 0;
	memset(&writer->former, 0, sizeof(writer->former));
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
	/* With blocks of what is alike, 2 is smaller than 3, zstd's default; 6 saves 2.5 % more for three times the work. */
	ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, 2);
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
	for (unsigned field = 0; field < FP_FIELD_MAX; field++)
		fp_buffer_done(&writer->columns[field]);
	fp_buffer_done(&writer->candidates);
	fp_buffer_done(&writer->body);
	fp_buffer_done(&writer->frame);
	fp_buffer_done(&writer->keys);
	fp_buffer_done(&writer->order);
	fp_buffer_done(&writer->sorted);
	fp_buffer_done(&writer->ends);
	free(writer);
	return NULL;
}

/* Index of the string, which is remembered when it is new.  -ENOMEM. */
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
	string->len = (uint32_t)text->len;
	HASH_ADD_BYHASHVALUE(hh, writer->strings, bytes[0], (unsigned)text->len, hash, string);
	if (!string->hh.tbl) {
		free(string);
		return -ENOMEM;
	}
	writer->n_strings++;
	writer->strings_len += STRING_LEN_MAX + text->len;
	return string->index;
}

/* The same of a list of ids, each of which is a string of its own; neighbours mostly have the same list. */
static int64_t intern_list(struct fp_batch_writer *writer, const struct fp_str *ids)
{
	uint8_t list[FP_BATCH_CANDIDATES_MAX * FP_BATCH_INDEX_LEN_MAX];
	struct fp_str text = {(const char *)list, 0};
	int64_t index, before = 0;

	if (ids->len && ids->len == writer->candidates.len && memcmp(ids->data, writer->candidates.data, ids->len) == 0)
		return writer->candidates_index;
	for (size_t at = 0; at < ids->len; at += FP_REQUEST_ID_SIZE) {
		index = intern(writer, &(struct fp_str){ids->data + at, FP_REQUEST_ID_SIZE});
		if (index < 0)
			return index;
		text.len += fp_varint_put(list + text.len, fp_zigzag(index - before));
		before = index;
	}
	index = intern(writer, &text);
	if (index <= 0)
		return index;
	fp_buffer_clear(&writer->candidates);
	fp_buffer_add(&writer->candidates, ids->data, ids->len);
	writer->candidates_index = (uint32_t)index;
	return fp_buffer_error(&writer->candidates) < 0 ? -ENOMEM : index;
}

/* The most bytes that the event's strings add to the table; -EINVAL when one is too long. */
static ssize_t table_bound(const struct fp_batch_layout *layout, const struct fp_event *event)
{
	size_t bound = 0;

	for (unsigned i = layout->n_numbers; i < layout->n; i++) {
		size_t len = fp_event_str(event, &fp_fields[layout->fields[i]])->len;

		if (len > FP_STR_MAX)
			return -EINVAL;
		bound += STRING_LEN_MAX + len;
		if (layout->fields[i] == FP_FIELD_candidates)
			bound += len / FP_REQUEST_ID_SIZE * (STRING_LEN_MAX + FP_BATCH_INDEX_LEN_MAX);
	}
	return (ssize_t)bound;
}

static bool has_room(struct fp_buffer *column)
{
	return column->size - column->len > FP_VARINT_MAX || fp_buffer_reserve(column, FP_VARINT_MAX);
}

/* Room for one more event in each column. */
static bool reserve(struct fp_batch_writer *writer, const struct fp_batch_layout *layout)
{
	bool room = has_room(&writer->columns[0]) && fp_buffer_reserve(&writer->keys, sizeof(struct fp_batch_key));

	for (unsigned i = 0; i < layout->n && room; i++)
		room = has_room(&writer->columns[layout->fields[i]]);
	if (room)
		return true;
	/* a failure leaves what is there whole */
	for (unsigned field = 0; field < FP_FIELD_MAX; field++)
		writer->columns[field].failed = false;
	writer->keys.failed = false;
	return false;
}

static size_t put(struct fp_batch_writer *writer, unsigned field, uint64_t value)
{
	struct fp_buffer *column = &writer->columns[field];
	size_t n = fp_varint_put((uint8_t *)column->data + column->len, value);

	column->len += n;
	writer->widths[field].n[n]++;
	return n;
}

static void encode(struct fp_batch_writer *writer, const struct fp_batch_layout *layout, const struct fp_event *event,
		   const uint32_t *indices)
{
	struct fp_batch_key *key = (void *)(writer->keys.data + writer->keys.len);
	size_t size = put(writer, 0, event->type);

	*key = (struct fp_batch_key){.thread = (uint16_t)(event->tid % FP_BATCH_SLOTS), .type = (uint8_t)event->type};

	for (unsigned i = 0; i < layout->n; i++) {
		unsigned field = layout->fields[i], expectation = layout->expectations[i];
		uint64_t *former = fp_batch_former(&writer->former, layout, i, event);
		uint64_t value = i < layout->n_numbers ? *fp_event_num(event, &fp_fields[field]) : indices[i];

		size += put(writer, field, fp_zigzag((int64_t)(value - fp_batch_expected(&writer->former, former, expectation, event))));
		*former = value;
		if (field == FP_FIELD_request)
			key->request = (uint32_t)value;
	}
	writer->keys.len += sizeof(*key);
	fp_batch_note(&writer->former, layout, event);
	writer->size += size;
}

int fp_batch_writer_add(struct fp_batch_writer *writer, const struct fp_event *event)
{
	const struct fp_batch_layout *layout;
	uint32_t indices[64];
	ssize_t table;

	if ((unsigned)event->type >= FP_EVENT_TYPE_MAX)
		return -EINVAL;
	layout = &writer->layouts[event->type];
	if (layout->n == 0 || !fp_batch_event_valid(event))
		return -EINVAL;
	table = table_bound(layout, event);
	if (table < 0)
		return (int)table;
	if (fp_batch_writer_body_size(writer) + (size_t)table + (layout->n + 1u) * FP_VARINT_MAX > FP_BATCH_BODY_FULL ||
	    writer->n_strings + layout->n + event->candidates.len / FP_REQUEST_ID_SIZE > FP_BATCH_STRINGS_MAX)
		return -ENOSPC;
	/* Room first and strings next, so that an event is added whole or not at all. */
	if (!reserve(writer, layout))
		return -ENOMEM;
	for (unsigned i = layout->n_numbers; i < layout->n; i++) {
		unsigned field = layout->fields[i];
		const struct fp_str *text = fp_event_str(event, &fp_fields[field]);
		int64_t index = field == FP_FIELD_candidates ? intern_list(writer, text) : intern(writer, text);

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
	return 5 + FP_BATCH_DIRECTORY_MAX + writer->strings_len + writer->size;
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

static void add_end(struct fp_batch_writer *writer)
{
	fp_buffer_add(&writer->ends, &writer->body.len, sizeof(writer->body.len));
}

/* The strings' lengths as they are numbered, then their bytes, those of one length together. */
static void add_strings(struct fp_batch_writer *writer)
{
	uint32_t counts[FP_STR_MAX + 1] = {0};
	struct fp_buffer *body = &writer->body;
	struct string *string, *next;
	char *to[FP_STR_MAX + 1];

	fp_buffer_add_varint(body, writer->n_strings);
	HASH_ITER(hh, writer->strings, string, next) {
		fp_buffer_add_varint(body, string->len);
		counts[string->len]++;
	}
	add_end(writer);
	if (!fp_buffer_reserve(body, writer->strings_len))
		return;
	for (size_t len = 1; len <= FP_STR_MAX; len++) {
		to[len] = body->data + body->len;
		body->len += len * counts[len];
		if (counts[len])
			add_end(writer);
	}
	HASH_ITER(hh, writer->strings, string, next) {
		memcpy(to[string->len], string->bytes, string->len);
		to[string->len] += string->len;
	}
}

static void add_directory(struct fp_batch_writer *writer, struct fp_column_places places[FP_FIELD_MAX])
{
	struct fp_buffer *body = &writer->body;
	unsigned n = 0;

	for (unsigned field = 0; field < FP_FIELD_MAX; field++)
		n += writer->columns[field].len > 0;
	fp_buffer_add_varint(body, n);
	for (unsigned field = 0; field < FP_FIELD_MAX; field++) {
		fp_column_measure(&writer->widths[field], &places[field]);
		if (places[field].n == 0)
			continue;
		fp_buffer_add_varint(body, field);
		fp_buffer_add_varint(body, places[field].n);
		for (unsigned i = 0; i < places[field].n; i++)
			fp_buffer_add_varint(body, places[field].len[i]);
	}
}

/* Lays out what columns are sorted by; false without memory. */
static bool sort_events(struct fp_batch_writer *writer, struct fp_column_events *ret_events)
{
	const size_t n = writer->n_events;
	uint32_t *numbers;
	uint8_t *types;

	fp_buffer_clear(&writer->order);
	numbers = (void *)fp_buffer_reserve(&writer->order, n * (2 * sizeof(*numbers) + sizeof(*types)));
	if (!numbers)
		return false;
	types = (uint8_t *)(numbers + 2 * n);
	fp_batch_sort((void *)writer->keys.data, n, numbers, types, ret_events);
	return true;
}

/* The column with its numbers as they are stored; NULL without memory. */
static const struct fp_buffer *sort_column(struct fp_batch_writer *writer, unsigned field, const struct fp_column_events *events)
{
	const struct fp_buffer *column = &writer->columns[field];
	bool has[UINT8_MAX + 1];

	if (!fp_batch_sorted(field) || !column->len)
		return column;
	fp_batch_having(writer->layouts, events, field, has);
	fp_buffer_clear(&writer->sorted);
	if (!fp_buffer_reserve(&writer->sorted, column->len))
		return NULL;
	fp_column_sort((const uint8_t *)column->data, column->len, events, has, false, (uint8_t *)writer->sorted.data);
	writer->sorted.len = column->len;
	return &writer->sorted;
}

static bool add_column(struct fp_batch_writer *writer, unsigned field, const struct fp_column_events *events,
		       const struct fp_column_places *places)
{
	const struct fp_buffer *column = sort_column(writer, field, events);
	char *out = column ? fp_buffer_reserve(&writer->body, column->len) : NULL;

	if (!out)
		return false;
	fp_column_split((const uint8_t *)column->data, column->len, places, (uint8_t *)out);
	for (unsigned i = 0; i < places->n; i++) {
		writer->body.len += places->len[i];
		add_end(writer);
	}
	return true;
}

static int make_body(struct fp_batch_writer *writer)
{
	struct fp_column_places places[FP_FIELD_MAX];
	struct fp_buffer *body = &writer->body;
	struct fp_column_events events;

	fp_buffer_clear(body);
	fp_buffer_clear(&writer->ends);
	if (!sort_events(writer, &events))
		return -ENOMEM;
	add_strings(writer);
	add_directory(writer, places);
	for (unsigned field = 0; field < FP_FIELD_MAX; field++)
		if (!add_column(writer, field, &events, &places[field]))
			return -ENOMEM;
	return fp_buffer_error(body) < 0 ? -ENOMEM : fp_buffer_error(&writer->ends);
}

/*
 * A block of zstd has one code for all its bytes: what is unlike gets blocks of its own, but none so small that the
 * code itself is what it holds.
 */
#define BLOCK_MIN 1024
#define BLOCK_REST_MIN 512
/* More than a block's head and what it grows by when nothing in it can be packed. */
#define BLOCK_OVERHEAD 8

static size_t compress(struct fp_batch_writer *writer, uint8_t *out, size_t room)
{
	const size_t *ends = (const size_t *)(const void *)writer->ends.data;
	size_t n = writer->ends.len / sizeof(*ends), from = 0, left;
	ZSTD_outBuffer packed = {out, room, 0};

	ZSTD_CCtx_reset(writer->zstd, ZSTD_reset_session_only);
	ZSTD_CCtx_setPledgedSrcSize(writer->zstd, writer->body.len);
	for (size_t i = 0; i < n; i++) {
		ZSTD_inBuffer bytes = {writer->body.data + from, ends[i] - from, 0};
		bool last = i == n - 1;

		if (!last && (bytes.size < BLOCK_MIN || ends[i + 1] - ends[i] < BLOCK_REST_MIN))
			continue;
		left = ZSTD_compressStream2(writer->zstd, &packed, &bytes, last ? ZSTD_e_end : ZSTD_e_flush);
		if (ZSTD_isError(left) || left > 0)
			return 0;
		from = ends[i];
	}
	return packed.pos;
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
	bound = ZSTD_compressBound(writer->body.len) + BLOCK_OVERHEAD * (writer->body.len / BLOCK_MIN + 1);
	fp_buffer_clear(&writer->frame);
	out = (uint8_t *)fp_buffer_reserve(&writer->frame, prefix + bound);
	if (!out)
		return -ENOMEM;
	header->first_time = writer->first;
	header->last_time = writer->last;
	header->n_events = (uint32_t)writer->n_events;
	put_header(out, header, host_len, writer->body.len);
	packed = compress(writer, out + prefix, bound);
	if (packed == 0)
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

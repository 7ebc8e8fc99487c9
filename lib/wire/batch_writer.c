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
	struct fp_buffer by_index; /* the same, struct string * each; index 1 is the first */
	uint32_t n_strings;
	size_t strings_len; /* of all of them, with room for their lengths */
	struct fp_buffer columns[FP_FIELD_MAX]; /* 0: types; of fields that stay in the order of events */
	struct fp_buffer rows; /* of each event the numbers of its other fields, in the layout's order */
	struct fp_column_widths widths[FP_FIELD_MAX]; /* of the numbers of a field; those of one byte are counted at the end */
	size_t size; /* of all numbers */
	size_t n_events, n_of_type[FP_EVENT_TYPE_MAX];
	uint64_t first, last;
	struct fp_buffer candidates; /* the last list of ids, */
	uint32_t candidates_index; /* and where it is */
	struct fp_batch_former former;
	struct fp_batch_layout layouts[FP_EVENT_TYPE_MAX];
	/* Paths and arguments come from those we watch: a keyed hash keeps them from making all strings collide. */
	uint8_t key[crypto_shorthash_KEYBYTES];
	ZSTD_CCtx *zstd;
	struct fp_buffer body, frame;
	struct fp_buffer keys; /* struct fp_batch_key of each event, */
	struct fp_buffer starts; /* and where its row begins, uint32_t */
	struct fp_buffer order; /* what they are sorted in */
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
	fp_buffer_clear(&writer->by_index);
	fp_buffer_clear(&writer->candidates);
	fp_buffer_clear(&writer->rows);
	fp_buffer_clear(&writer->keys);
	fp_buffer_clear(&writer->starts);
	writer->candidates_index = 0;
	for (unsigned field = 0; field < FP_FIELD_MAX; field++)
		fp_buffer_clear(&writer->columns[field]);
	memset(writer->widths, 0, sizeof(writer->widths));
	writer->size = 0;
	writer->n_events = 0;
	memset(writer->n_of_type, 0, sizeof(writer->n_of_type));
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
	fp_buffer_done(&writer->by_index);
	fp_buffer_done(&writer->rows);
	fp_buffer_done(&writer->keys);
	fp_buffer_done(&writer->starts);
	fp_buffer_done(&writer->order);
	fp_buffer_done(&writer->ends);
	free(writer);
	return NULL;
}

/* A failure leaves what is there whole. */
static bool has_room(struct fp_buffer *buffer, size_t len)
{
	if (len < buffer->size - buffer->len || fp_buffer_reserve(buffer, len))
		return true;
	buffer->failed = false;
	return false;
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
	string = has_room(&writer->by_index, sizeof(string)) ? malloc(sizeof(*string) + text->len) : NULL;
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
	fp_buffer_add(&writer->by_index, &string, sizeof(string));
	writer->n_strings++;
	writer->strings_len += STRING_LEN_MAX + text->len;
	return string->index;
}

static bool is_string(const struct fp_batch_writer *writer, uint64_t index, const struct fp_str *text)
{
	const struct string *const *strings = (const void *)writer->by_index.data;

	if (index == 0 || index > writer->n_strings)
		return false;
	return strings[index - 1]->len == text->len && memcmp(strings[index - 1]->bytes, text->data, text->len) == 0;
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

static const struct fp_str *string_of(const struct fp_event *event, const struct fp_batch_item *item)
{
	return (const void *)((const char *)event + item->offset);
}

/* The most bytes that the event's strings add to the table; -EINVAL when one is too long. */
static ssize_t table_bound(const struct fp_batch_layout *layout, const struct fp_event *event)
{
	size_t bound = 0;

	for (unsigned i = layout->n_numbers; i < layout->n; i++) {
		const struct fp_batch_item *item = &layout->items[i];
		size_t len = string_of(event, item)->len;

		if (len > FP_STR_MAX)
			return -EINVAL;
		bound += STRING_LEN_MAX + len;
		if (item->field == FP_FIELD_candidates)
			bound += len / FP_REQUEST_ID_SIZE * (STRING_LEN_MAX + FP_BATCH_INDEX_LEN_MAX);
	}
	return (ssize_t)bound;
}

/* Room for one more event. */
static bool reserve(struct fp_batch_writer *writer, const struct fp_batch_layout *layout)
{
	return has_room(&writer->rows, (size_t)layout->n * FP_VARINT_MAX) && has_room(&writer->keys, sizeof(struct fp_batch_key)) &&
	       has_room(&writer->starts, sizeof(uint32_t)) && has_room(&writer->columns[0], FP_VARINT_MAX) &&
	       has_room(&writer->columns[FP_FIELD_tid], FP_VARINT_MAX) && has_room(&writer->columns[FP_FIELD_time], FP_VARINT_MAX) &&
	       has_room(&writer->columns[FP_FIELD_request], FP_VARINT_MAX);
}

/* The indices of the event's strings, which are mostly the ones that are expected.  0 or -ENOMEM. */
static int intern_all(struct fp_batch_writer *writer, const struct fp_batch_layout *layout, const struct fp_event *event,
		      uint64_t *const owners[FP_BATCH_OWNERS], uint32_t indices[64])
{
	for (unsigned i = layout->n_numbers; i < layout->n; i++) {
		const struct fp_batch_item *item = &layout->items[i];
		const struct fp_str *text = string_of(event, item);
		int64_t index = (int64_t)owners[item->owner][item->place];

		if (item->field == FP_FIELD_candidates)
			index = intern_list(writer, text);
		else if (!is_string(writer, (uint64_t)index, text))
			index = intern(writer, text);
		if (index < 0)
			return (int)index;
		indices[i] = (uint32_t)index;
	}
	return 0;
}

/* Returns what is behind the number.  Most have one byte, and how many these are follows from the others. */
static inline uint8_t *put(struct fp_batch_writer *writer, uint8_t *to, unsigned field, uint64_t value)
{
	size_t n;

	if (value < 0x80) {
		*to = (uint8_t)value;
		return to + 1;
	}
	n = fp_varint_put(to, value);
	writer->widths[field].n[n]++;
	return to + n;
}

static inline uint8_t *end_of(const struct fp_buffer *buffer)
{
	return (uint8_t *)buffer->data + buffer->len;
}

static inline void set_end(struct fp_batch_writer *writer, struct fp_buffer *buffer, const uint8_t *end)
{
	size_t n = (size_t)(end - end_of(buffer));

	buffer->len += n;
	writer->size += n;
}

static void put_in_column(struct fp_batch_writer *writer, unsigned field, uint64_t value)
{
	struct fp_buffer *column = &writer->columns[field];

	set_end(writer, column, put(writer, end_of(column), field, value));
}

static void encode(struct fp_batch_writer *writer, const struct fp_batch_layout *layout, const struct fp_event *event,
		   uint64_t *const owners[FP_BATCH_OWNERS], const uint32_t indices[64])
{
	uint8_t *row = end_of(&writer->rows);

	put_in_column(writer, 0, event->type);
	for (unsigned i = 0; i < layout->n; i++) {
		const struct fp_batch_item *item = &layout->items[i];
		uint64_t *own = &owners[item->owner][item->place];
		uint64_t expected = fp_batch_expected(&writer->former, *own, item->expectation, event);
		uint64_t value = i < layout->n_numbers ? *(const uint64_t *)(const void *)((const char *)event + item->offset) : indices[i];
		uint64_t difference = fp_zigzag((int64_t)(value - expected));

		if (item->sorted)
			row = put(writer, row, item->field, difference);
		else
			put_in_column(writer, item->field, difference);
		*own = value;
	}
	set_end(writer, &writer->rows, row);
	fp_batch_note(&writer->former, layout, event);
}

/* What it is sorted by, when its numbers begin at `start`. */
static void add_key(struct fp_batch_writer *writer, const struct fp_event *event, uint64_t *const owners[FP_BATCH_OWNERS], size_t start)
{
	const struct fp_batch_key key = {.request = (uint32_t)owners[FP_BATCH_OF_THREAD][FP_BATCH_PLACE_request],
					 .thread = (uint16_t)(event->tid % FP_BATCH_SLOTS), .type = (uint8_t)event->type};
	const uint32_t row = (uint32_t)start;

	fp_buffer_add(&writer->keys, &key, sizeof(key));
	fp_buffer_add(&writer->starts, &row, sizeof(row));
}

static bool is_full(const struct fp_batch_writer *writer, const struct fp_batch_layout *layout, const struct fp_event *event, size_t table)
{
	return fp_batch_writer_body_size(writer) + table + (layout->n + 1u) * FP_VARINT_MAX > FP_BATCH_BODY_FULL ||
	       writer->n_strings + layout->n + event->candidates.len / FP_REQUEST_ID_SIZE > FP_BATCH_STRINGS_MAX;
}

int fp_batch_writer_add(struct fp_batch_writer *writer, const struct fp_event *event)
{
	const struct fp_batch_layout *layout;
	uint64_t *owners[FP_BATCH_OWNERS];
	uint32_t indices[64];
	size_t start = writer->rows.len;
	ssize_t table;
	int r;

	if ((unsigned)event->type >= FP_EVENT_TYPE_MAX)
		return -EINVAL;
	layout = &writer->layouts[event->type];
	if (layout->n == 0 || !fp_batch_event_valid(event))
		return -EINVAL;
	table = table_bound(layout, event);
	if (table < 0)
		return (int)table;
	if (is_full(writer, layout, event, (size_t)table))
		return -ENOSPC;
	/* Room first and strings next, so that an event is added whole or not at all. */
	if (!reserve(writer, layout))
		return -ENOMEM;
	fp_batch_find_owners(&writer->former, event, owners);
	r = intern_all(writer, layout, event, owners, indices);
	if (r < 0)
		return r;
	encode(writer, layout, event, owners, indices);
	add_key(writer, event, owners, start);
	if (writer->n_events == 0 || event->time < writer->first)
		writer->first = event->time;
	if (writer->n_events == 0 || event->time > writer->last)
		writer->last = event->time;
	writer->n_events++;
	writer->n_of_type[event->type]++;
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

/* Those of one byte are what is left of all. */
static void count_short(struct fp_batch_writer *writer)
{
	size_t n[FP_FIELD_MAX] = {writer->n_events};

	for (unsigned type = 0; type < FP_EVENT_TYPE_MAX; type++)
		for (unsigned i = 0; writer->n_of_type[type] && i < writer->layouts[type].n; i++)
			n[writer->layouts[type].items[i].field] += writer->n_of_type[type];
	for (unsigned field = 0; field < FP_FIELD_MAX; field++) {
		size_t *widths = writer->widths[field].n;

		for (unsigned width = 2; width <= FP_VARINT_MAX; width++)
			n[field] -= widths[width];
		widths[1] = n[field];
	}
}

static void add_directory(struct fp_batch_writer *writer, struct fp_column_places places[FP_FIELD_MAX])
{
	struct fp_buffer *body = &writer->body;
	unsigned n = 0;

	count_short(writer);
	for (unsigned field = 0; field < FP_FIELD_MAX; field++) {
		fp_column_measure(&writer->widths[field], &places[field]);
		n += places[field].n > 0;
	}
	fp_buffer_add_varint(body, n);
	for (unsigned field = 0; field < FP_FIELD_MAX; field++) {
		if (places[field].n == 0)
			continue;
		fp_buffer_add_varint(body, field);
		fp_buffer_add_varint(body, places[field].n);
		for (unsigned i = 0; i < places[field].n; i++)
			fp_buffer_add_varint(body, places[field].len[i]);
	}
}

/* Room for all columns in the body, where their numbers are put afterwards. */
static bool begin_columns(struct fp_batch_writer *writer, const struct fp_column_places places[FP_FIELD_MAX],
			  struct fp_column columns[FP_FIELD_MAX])
{
	uint8_t *out = (uint8_t *)fp_buffer_reserve(&writer->body, writer->size);

	if (!out)
		return false;
	for (unsigned field = 0; field < FP_FIELD_MAX; field++) {
		fp_column_begin(&columns[field], &places[field], out);
		out += fp_column_size(&places[field]);
		for (unsigned i = 0; i < places[field].n; i++) {
			writer->body.len += places[field].len[i];
			add_end(writer);
		}
	}
	return true;
}

static void put_column(const struct fp_buffer *numbers, struct fp_column *column)
{
	const uint8_t *number = (const uint8_t *)numbers->data, *end = number + numbers->len;

	while (number < end)
		number = fp_column_put(column, number);
}

static void put_row(const struct fp_batch_layout *layout, const uint8_t *number, struct fp_column columns[FP_FIELD_MAX])
{
	for (unsigned i = 0; i < layout->n; i++)
		if (layout->items[i].sorted)
			number = fp_column_put(&columns[layout->items[i].field], number);
}

/* False without memory. */
static bool put_rows(struct fp_batch_writer *writer, struct fp_column columns[FP_FIELD_MAX])
{
	const struct fp_batch_key *keys = (const void *)writer->keys.data;
	const uint32_t *starts = (const void *)writer->starts.data, *sorted;
	const size_t n = writer->n_events;
	uint32_t *numbers;

	fp_buffer_clear(&writer->order);
	numbers = (void *)fp_buffer_reserve(&writer->order, 2 * n * sizeof(*numbers));
	if (!numbers)
		return false;
	sorted = fp_batch_sort(keys, n, numbers);
	for (size_t i = 0; i < n; i++)
		put_row(&writer->layouts[keys[sorted[i]].type], (const uint8_t *)writer->rows.data + starts[sorted[i]], columns);
	return true;
}

static int make_body(struct fp_batch_writer *writer)
{
	struct fp_column_places places[FP_FIELD_MAX];
	struct fp_column columns[FP_FIELD_MAX];

	fp_buffer_clear(&writer->body);
	fp_buffer_clear(&writer->ends);
	add_strings(writer);
	add_directory(writer, places);
	if (!begin_columns(writer, places, columns) || !put_rows(writer, columns))
		return -ENOMEM;
	for (unsigned field = 0; field < FP_FIELD_MAX; field++)
		put_column(&writer->columns[field], &columns[field]);
	return fp_buffer_error(&writer->body) < 0 ? -ENOMEM : fp_buffer_error(&writer->ends);
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

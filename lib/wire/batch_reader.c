#include "wire/batch_format.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "wire/batch_columns.h"

struct list {
	struct list *next;
	char ids[];
};

struct fp_batch {
	struct fp_batch_header header;
	struct fp_batch_layout layouts[FP_EVENT_TYPE_MAX];
	struct fp_str *strings; /* of the table; index 1 is strings[0] */
	uint32_t n_strings;
	struct fp_str *candidates; /* by index of their list, as far as they were read; NULL: none was yet */
	struct list *lists; /* what they point to */
	size_t lists_len;
	uint8_t *body;
	size_t body_len;
	struct fp_column_places places[FP_FIELD_MAX]; /* 0: of types */
	uint8_t *bytes[FP_FIELD_MAX]; /* where a column's places are in `body` */
	struct fp_column columns[FP_FIELD_MAX];
	uint8_t *rows; /* of each event the numbers that are not in the order of events, in the layout's order */
	size_t rows_len;
	uint32_t *starts; /* where each event's row begins */
	uint32_t given; /* events handed out since the start */
	bool *is_request; /* of each string, whether it is the id of a request that was read of */
	struct fp_buffer requests, cgroups; /* that the events are about */
	struct fp_batch_former former;
};

FP_DEFINE_CLEANUP(struct fp_batch, fp_batch_free)

int fp_batch_peek(const uint8_t *frame, size_t len, struct fp_batch_header *ret_header)
{
	struct fp_batch_header header = {0};
	ssize_t whole = fp_batch_frame_length(frame, len);
	size_t host_len;

	if (whole <= 0 || (size_t)whole != len)
		return -EBADMSG;
	if (fp_get_le(frame + FP_AT_FORMAT, 2) != FP_BATCH_FORMAT ||
	    fp_get_le(frame + FP_AT_SCHEMA, 2) < FP_SCHEMA_VERSION_OLDEST ||
	    fp_get_le(frame + FP_AT_SCHEMA, 2) > FP_SCHEMA_VERSION)
		return -EPROTO;
	memcpy(header.agent, frame + FP_AT_AGENT, sizeof(header.agent));
	header.number = fp_get_le(frame + FP_AT_NUMBER, 8);
	memcpy(header.boot, frame + FP_AT_BOOT, sizeof(header.boot));
	header.clock_offset = (int64_t)fp_get_le(frame + FP_AT_OFFSET, 8);
	header.first_time = fp_get_le(frame + FP_AT_FIRST, 8);
	header.last_time = fp_get_le(frame + FP_AT_LAST, 8);
	header.n_events = (uint32_t)fp_get_le(frame + FP_AT_EVENTS, 4);
	memcpy(header.previous, frame + FP_AT_PREVIOUS, sizeof(header.previous));
	host_len = frame[FP_AT_HOST];
	if (host_len > FP_BATCH_HOST_MAX || FP_BATCH_FIXED + host_len > len)
		return -EBADMSG;
	memcpy(header.host, frame + FP_BATCH_FIXED, host_len);
	if (strlen(header.host) != host_len || header.number == 0 || header.n_events == 0)
		return -EBADMSG;
	if (header.number == 1)
		for (size_t i = 0; i < sizeof(header.previous); i++)
			if (header.previous[i])
				return -EBADMSG;
	*ret_header = header;
	return 0;
}

/* The compressed part is one zstd frame of just the size that the header promises. */
static int unpack(struct fp_batch *batch, const uint8_t *packed, size_t packed_len, size_t wanted)
{
	unsigned long long size = ZSTD_getFrameContentSize(packed, packed_len);
	size_t n;

	if (wanted == 0 || wanted > FP_BATCH_BODY_MAX || size != wanted)
		return -EBADMSG;
	/* Also refuses skippable and further frames: both would change the bytes but not the events. */
	if (ZSTD_findFrameCompressedSize(packed, packed_len) != packed_len)
		return -EBADMSG;
	batch->body = malloc(wanted);
	if (!batch->body)
		return -ENOMEM;
	n = ZSTD_decompress(batch->body, wanted, packed, packed_len);
	if (n != wanted)
		return -EBADMSG;
	batch->body_len = wanted;
	return 0;
}

/* How long the strings are, into batch->strings; and how many there are of each length. */
static int read_lengths(struct fp_batch *batch, size_t *pos, uint32_t counts[FP_STR_MAX + 1])
{
	uint64_t len, sum = 0;

	for (uint32_t i = 0; i < batch->n_strings; i++) {
		if (fp_varint_read(batch->body, batch->body_len, pos, &len) < 0)
			return -EBADMSG;
		sum += len;
		if (len == 0 || len > FP_STR_MAX || sum > batch->body_len)
			return -EBADMSG;
		batch->strings[i].len = len;
		counts[len]++;
	}
	return sum <= batch->body_len - *pos ? 0 : -EBADMSG;
}

static int read_strings(struct fp_batch *batch, size_t *pos)
{
	uint32_t counts[FP_STR_MAX + 1] = {0};
	const char *next[FP_STR_MAX + 1];
	uint64_t count;

	if (fp_varint_read(batch->body, batch->body_len, pos, &count) < 0)
		return -EBADMSG;
	/* a string takes two bytes at least: the count is checked before memory is taken for it */
	if (count > FP_BATCH_STRINGS_MAX || count > batch->body_len / 2)
		return -EBADMSG;
	batch->strings = calloc(count ? count : 1, sizeof(*batch->strings));
	if (!batch->strings)
		return -ENOMEM;
	batch->n_strings = (uint32_t)count;
	batch->is_request = calloc(count ? count : 1, sizeof(*batch->is_request));
	if (!batch->is_request)
		return -ENOMEM;
	if (read_lengths(batch, pos, counts) < 0)
		return -EBADMSG;
	for (size_t len = 1; len <= FP_STR_MAX; len++) {
		next[len] = (const char *)batch->body + *pos;
		*pos += len * counts[len];
	}
	for (uint32_t i = 0; i < batch->n_strings; i++) {
		struct fp_str *string = &batch->strings[i];

		string->data = next[string->len];
		next[string->len] += string->len;
	}
	return 0;
}

/* How long the places of one column are; in all no more than `most`. */
static int read_places(struct fp_batch *batch, size_t *pos, size_t most, struct fp_column_places *ret_places)
{
	uint64_t n, len, sum = 0;

	if (fp_varint_read(batch->body, batch->body_len, pos, &n) < 0 || n == 0 || n > FP_VARINT_MAX)
		return -EBADMSG;
	for (uint64_t i = 0; i < n; i++) {
		if (fp_varint_read(batch->body, batch->body_len, pos, &len) < 0 || len == 0 || len > most - sum)
			return -EBADMSG;
		ret_places->len[i] = len;
		sum += len;
	}
	ret_places->n = (unsigned)n;
	return 0;
}

static int read_directory(struct fp_batch *batch, size_t *pos)
{
	uint64_t count, field, next = 0;

	if (fp_varint_read(batch->body, batch->body_len, pos, &count) < 0 || count > FP_FIELD_MAX)
		return -EBADMSG;
	for (uint64_t i = 0; i < count; i++) {
		if (fp_varint_read(batch->body, batch->body_len, pos, &field) < 0)
			return -EBADMSG;
		if (field < next || field >= FP_FIELD_MAX ||
		    read_places(batch, pos, batch->body_len, &batch->places[field]) < 0)
			return -EBADMSG;
		next = field + 1;
	}
	return 0;
}

static void begin_column(struct fp_batch *batch, unsigned field)
{
	fp_column_begin(&batch->columns[field], &batch->places[field], batch->bytes[field]);
}

/* Finds the columns; they are the rest of the body, to the byte. */
static int find_columns(struct fp_batch *batch, size_t pos)
{
	int r = read_directory(batch, &pos);

	if (r < 0)
		return r;
	for (unsigned field = 0; field < FP_FIELD_MAX; field++) {
		size_t len = fp_column_size(&batch->places[field]);

		if (len > batch->body_len - pos)
			return -EBADMSG;
		batch->bytes[field] = batch->body + pos;
		begin_column(batch, field);
		pos += len;
		if (fp_batch_sorted(field))
			batch->rows_len += len;
	}
	return pos == batch->body_len ? 0 : -EBADMSG;
}

/* What the event is sorted by, from the columns that are not. */
static int read_key(struct fp_batch *batch, struct fp_batch_key *ret_key)
{
	struct fp_event event = {0};
	uint64_t *owners[FP_BATCH_OWNERS], type, tid, request;

	if (fp_column_read(&batch->columns[0], &type) < 0 || type >= FP_EVENT_TYPE_MAX || batch->layouts[type].n == 0)
		return -EBADMSG;
	if (fp_column_read(&batch->columns[FP_FIELD_tid], &tid) < 0 || fp_column_read(&batch->columns[FP_FIELD_request], &request) < 0)
		return -EBADMSG;
	event.tid = batch->former.of_all[FP_FIELD_tid] += (uint64_t)fp_unzigzag(tid);
	fp_batch_find_owners(&batch->former, &event, owners);
	*ret_key = (struct fp_batch_key){
		.request = (uint32_t)(owners[FP_BATCH_OF_THREAD][FP_BATCH_PLACE_request] += (uint64_t)fp_unzigzag(request)),
		.thread = (uint16_t)(event.tid % FP_BATCH_SLOTS),
		.type = (uint8_t)type,
	};
	return 0;
}

static int read_keys(struct fp_batch *batch, struct fp_batch_key *keys)
{
	int r = 0;

	for (uint32_t i = 0; i < batch->header.n_events && r == 0; i++)
		r = read_key(batch, &keys[i]);
	fp_batch_rewind(batch);
	return r;
}

/* Puts the numbers of one event together; what is behind them, or NULL. */
static uint8_t *get_row(struct fp_batch *batch, unsigned type, uint8_t *row)
{
	const struct fp_batch_layout *layout = &batch->layouts[type];

	for (unsigned i = 0; i < layout->n && row; i++)
		if (layout->items[i].sorted)
			row = fp_column_get(&batch->columns[layout->items[i].field], row);
	return row;
}

/* Of all of them: no more bytes than the columns have, and all of these. */
static int get_rows(struct fp_batch *batch, const struct fp_batch_key *keys, const uint32_t *sorted)
{
	uint8_t *row = batch->rows;

	for (uint32_t i = 0; i < batch->header.n_events; i++) {
		batch->starts[sorted[i]] = (uint32_t)(row - batch->rows);
		row = get_row(batch, keys[sorted[i]].type, row);
		if (!row)
			return -EBADMSG;
	}
	for (unsigned field = 0; field < FP_FIELD_MAX; field++)
		if (fp_batch_sorted(field) && !fp_column_is_over(&batch->columns[field]))
			return -EBADMSG;
	return 0;
}

/* Puts what is sorted into the order of events. */
static int read_rows(struct fp_batch *batch)
{
	const size_t n = batch->header.n_events;
	fp_cleanup(fp_freep) struct fp_batch_key *keys = NULL;
	fp_cleanup(fp_freep) uint32_t *numbers = NULL;
	int r;

	/* each event has a type at least: the count is checked before memory is taken for it */
	if (n > fp_column_size(&batch->places[0]))
		return -EBADMSG;
	keys = calloc(n, sizeof(*keys));
	numbers = calloc(n, 2 * sizeof(*numbers));
	batch->starts = calloc(n, sizeof(*batch->starts));
	batch->rows = malloc(batch->rows_len ? batch->rows_len : 1);
	if (!keys || !numbers || !batch->starts || !batch->rows)
		return -ENOMEM;
	r = read_keys(batch, keys);
	if (r < 0)
		return r;
	return get_rows(batch, keys, fp_batch_sort(keys, n, numbers));
}

/* Cgroups that were noted last; two that meet are noted more than once. */
#define RECENT 64

static void note_cgroup(struct fp_batch *batch, uint64_t cgroup, uint64_t recent[RECENT])
{
	if (cgroup && recent[cgroup % RECENT] == cgroup)
		return;
	recent[cgroup % RECENT] = cgroup;
	fp_buffer_add(&batch->cgroups, &cgroup, sizeof(cgroup));
}

static void note_requests(struct fp_batch *batch)
{
	for (uint32_t i = 0; i < batch->n_strings; i++)
		if (batch->is_request[i])
			fp_buffer_add(&batch->requests, batch->strings[i].data, FP_REQUEST_ID_SIZE);
}

/* Walks all events once, so that whoever gets an open batch need not expect a bad one half-way. */
static int check_events(struct fp_batch *batch)
{
	struct fp_event event;
	uint64_t first = UINT64_MAX, last = 0, recent[RECENT] = {0};
	int r;

	while ((r = fp_batch_next(batch, &event)) > 0) {
		if (event.time < first)
			first = event.time;
		if (event.time > last)
			last = event.time;
		note_cgroup(batch, event.cgroup, recent);
	}
	if (r < 0)
		return r;
	note_requests(batch);
	if (batch->requests.failed || batch->cgroups.failed)
		return -ENOMEM;
	if (first != batch->header.first_time || last != batch->header.last_time)
		return -EBADMSG;
	fp_batch_rewind(batch);
	return 0;
}

int fp_batch_open(const uint8_t *frame, size_t len, struct fp_batch **ret_batch)
{
	fp_cleanup(fp_batch_freep) struct fp_batch *batch = calloc(1, sizeof(*batch));
	size_t prefix, pos = 0;
	int r;

	if (!batch)
		return -ENOMEM;
	r = fp_batch_peek(frame, len, &batch->header);
	if (r < 0)
		return r;
	prefix = FP_BATCH_FIXED + strlen(batch->header.host);
	r = unpack(batch, frame + prefix, len - prefix, fp_get_le(frame + FP_AT_UNPACKED, 4));
	if (r < 0)
		return r;
	for (unsigned type = 0; type < FP_EVENT_TYPE_MAX; type++)
		fp_batch_layout(type, &batch->layouts[type]);
	r = read_strings(batch, &pos);
	if (r == 0)
		r = find_columns(batch, pos);
	if (r == 0)
		r = read_rows(batch);
	if (r < 0)
		return r;
	r = check_events(batch);
	if (r < 0)
		return r;
	*ret_batch = batch;
	batch = NULL;
	return 0;
}

struct fp_batch *fp_batch_free(struct fp_batch *batch)
{
	if (!batch)
		return NULL;
	fp_buffer_done(&batch->requests);
	fp_buffer_done(&batch->cgroups);
	while (batch->lists) {
		struct list *list = batch->lists;

		batch->lists = list->next;
		free(list);
	}
	free(batch->candidates);
	free(batch->is_request);
	free(batch->strings);
	free(batch->rows);
	free(batch->starts);
	free(batch->body);
	free(batch);
	return NULL;
}

const struct fp_batch_header *fp_batch_header(const struct fp_batch *batch)
{
	return &batch->header;
}

void fp_batch_rewind(struct fp_batch *batch)
{
	for (unsigned field = 0; field < FP_FIELD_MAX; field++)
		if (!fp_batch_sorted(field))
			begin_column(batch, field);
	batch->given = 0;
	memset(&batch->former, 0, sizeof(batch->former));
}

void fp_batch_subjects(const struct fp_batch *batch, struct fp_batch_subjects *ret_subjects)
{
	ret_subjects->requests = (const void *)batch->requests.data;
	ret_subjects->n_requests = batch->requests.len / FP_REQUEST_ID_SIZE;
	ret_subjects->cgroups = (const void *)batch->cgroups.data;
	ret_subjects->n_cgroups = batch->cgroups.len / sizeof(uint64_t);
}

/* Into `ids`, which has room for FP_STR_MAX bytes; how many, or -EBADMSG. */
static ssize_t read_list(struct fp_batch *batch, const struct fp_str *list, char *ids)
{
	size_t pos = 0, len = 0;
	uint64_t index = 0, step;

	while (pos < list->len) {
		if (len == FP_BATCH_CANDIDATES_MAX * FP_REQUEST_ID_SIZE ||
		    fp_varint_read((const uint8_t *)list->data, list->len, &pos, &step) < 0)
			return -EBADMSG;
		index += (uint64_t)fp_unzigzag(step);
		if (index == 0 || index > batch->n_strings || batch->strings[index - 1].len != FP_REQUEST_ID_SIZE)
			return -EBADMSG;
		batch->is_request[index - 1] = true;
		memcpy(ids + len, batch->strings[index - 1].data, FP_REQUEST_ID_SIZE);
		len += FP_REQUEST_ID_SIZE;
	}
	return (ssize_t)len;
}

/* The ids that the index-th string lists; read once and kept. */
static int read_candidates(struct fp_batch *batch, uint64_t index, struct fp_str *ret_candidates)
{
	struct list *list;
	struct fp_str *kept;
	char ids[FP_STR_MAX];
	ssize_t len;

	if (!batch->candidates)
		batch->candidates = calloc(batch->n_strings, sizeof(*batch->candidates));
	if (!batch->candidates)
		return -ENOMEM;
	kept = &batch->candidates[index - 1];
	if (!kept->len) {
		len = read_list(batch, &batch->strings[index - 1], ids);
		if (len < 0 || batch->lists_len + (size_t)len > FP_BATCH_BODY_MAX)
			return -EBADMSG;
		list = malloc(sizeof(*list) + (size_t)len);
		if (!list)
			return -ENOMEM;
		memcpy(list->ids, ids, (size_t)len);
		list->next = batch->lists;
		batch->lists = list;
		batch->lists_len += (size_t)len;
		*kept = (struct fp_str){list->ids, (size_t)len};
	}
	*ret_candidates = *kept;
	return 0;
}

static int read_string(struct fp_batch *batch, unsigned field, uint64_t index, struct fp_str *ret_text)
{
	if (index > batch->n_strings)
		return -EBADMSG;
	if (index > 0 && field == FP_FIELD_candidates)
		return read_candidates(batch, index, ret_text);
	if (index == 0)
		return 0;
	if (field == FP_FIELD_request)
		batch->is_request[index - 1] = true;
	*ret_text = batch->strings[index - 1];
	return 0;
}

/* The next of the event's fields from `from` on; its row goes on at *pos. */
static int read_fields(struct fp_batch *batch, const struct fp_batch_layout *layout, unsigned from, unsigned to, size_t *pos,
		       uint64_t *const owners[FP_BATCH_OWNERS], struct fp_event *event)
{
	int r = 0;

	for (unsigned i = from; i < to && r == 0; i++) {
		const struct fp_batch_item *item = &layout->items[i];
		uint64_t *own = &owners[item->owner][item->place], value;
		void *member = (char *)event + item->offset;

		r = item->sorted ? fp_varint_read(batch->rows, batch->rows_len, pos, &value)
				 : fp_column_read(&batch->columns[item->field], &value);
		if (r < 0)
			return r;
		*own = fp_batch_expected(&batch->former, *own, item->expectation, event) + (uint64_t)fp_unzigzag(value);
		if (i < layout->n_numbers)
			*(uint64_t *)member = *own;
		else
			r = read_string(batch, item->field, *own, member);
	}
	return r;
}

/* Those that others are compared with one after the other, for each tells whose former value the next one's is. */
static int read_event(struct fp_batch *batch, const struct fp_batch_layout *layout, struct fp_event *event)
{
	uint64_t *owners[FP_BATCH_OWNERS];
	size_t pos = batch->starts[batch->given];
	int r = 0;

	for (unsigned i = 0; i < layout->n_keys && r == 0; i++) {
		fp_batch_find_owners(&batch->former, event, owners);
		r = read_fields(batch, layout, i, i + 1, &pos, owners, event);
	}
	fp_batch_find_owners(&batch->former, event, owners);
	return r < 0 ? r : read_fields(batch, layout, layout->n_keys, layout->n, &pos, owners, event);
}

/* 0 when nothing is left in the columns that events are read from. */
static int check_end(const struct fp_batch *batch)
{
	for (unsigned field = 0; field < FP_FIELD_MAX; field++)
		if (!fp_batch_sorted(field) && !fp_column_is_over(&batch->columns[field]))
			return -EBADMSG;
	return 0;
}

int fp_batch_next(struct fp_batch *batch, struct fp_event *ret_event)
{
	const struct fp_batch_layout *layout;
	uint64_t type;
	int r;

	if (batch->given == batch->header.n_events)
		return check_end(batch);
	if (fp_column_read(&batch->columns[0], &type) < 0)
		return -EBADMSG;
	layout = &batch->layouts[type];
	memset(ret_event, 0, sizeof(*ret_event));
	ret_event->type = (enum fp_event_type)type;
	r = read_event(batch, layout, ret_event);
	if (r < 0)
		return r;
	if (!fp_batch_event_valid(ret_event))
		return -EBADMSG;
	fp_batch_note(&batch->former, layout, ret_event);
	batch->given++;
	return 1;
}

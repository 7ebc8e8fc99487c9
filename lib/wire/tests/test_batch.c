/* Batches: what goes in comes out, and nothing that was not made by a writer gets through. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zstd.h>

#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "wire/batch.h"
#include "wire/batch_format.h"

#define GOLDEN "tests/golden/batch-v15.hex" /* by schema version */

FP_DEFINE_CLEANUP(struct fp_batch, fp_batch_free)
FP_DEFINE_CLEANUP(struct fp_batch_writer, fp_batch_writer_free)

/* xorshift: the same numbers in each run */
static uint64_t state = 88172645463325252ull;

static uint64_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static char pool[1 << 16];

static struct fp_str random_string(size_t max)
{
	size_t len = rnd() % 8 == 0 ? 0 : rnd() % (max + 1);
	size_t at = rnd() % (sizeof(pool) - max);

	return (struct fp_str){pool + at, len};
}

/* Values of any size, small ones often: both ends of the number encoding. */
static uint64_t random_number(void)
{
	return rnd() >> (rnd() % 64);
}

static void random_event(struct fp_event *event, unsigned type, size_t max_string)
{
	struct fp_batch_layout layout;

	memset(event, 0, sizeof(*event));
	event->type = (enum fp_event_type)type;
	assert_true(fp_batch_layout(type, &layout));
	for (unsigned i = 0; i < layout.n; i++) {
		const struct fp_field_info *info = fp_field_info(layout.items[i].field);

		if (info->kind == FP_KIND_STR)
			*fp_event_str(event, info) = random_string(max_string);
		else
			*fp_event_num(event, info) = random_number();
	}
	event->unit %= 3;
	event->attribution %= 4;
	event->rule %= 10;
	event->object %= 7;
	event->app %= 5;
	event->operation %= 5;
	event->naming %= 4;
	event->cause = event->type == FP_EVENT_TYPE_LOST ? 1 + event->cause % 7 : 0;
	event->request.len = event->request.len ? FP_REQUEST_ID_SIZE : 0;
	event->candidates.len &= ~(size_t)15;
}

static void assert_same(const struct fp_event *a, const struct fp_event *b)
{
	assert_int_equal(a->type, b->type);
	for (unsigned field = 0; field < FP_FIELD_MAX; field++) {
		const struct fp_field_info *info = fp_field_info(field);

		if (!info)
			continue;
		if (info->kind != FP_KIND_STR) {
			assert_true(*fp_event_num(a, info) == *fp_event_num(b, info));
			continue;
		}
		assert_int_equal(fp_event_str(a, info)->len, fp_event_str(b, info)->len);
		if (fp_event_str(a, info)->len)
			assert_memory_equal(fp_event_str(a, info)->data, fp_event_str(b, info)->data,
					    fp_event_str(a, info)->len);
	}
}

static struct fp_batch_header header_of(uint64_t number)
{
	struct fp_batch_header header = {.number = number, .clock_offset = -5, .host = "node-1"};

	memset(header.agent, 0xa1, sizeof(header.agent));
	memset(header.boot, 0xb2, sizeof(header.boot));
	if (number > 1)
		memset(header.previous, 0xc3, sizeof(header.previous));
	return header;
}

static void test_round_trip(void **context)
{
	fp_cleanup(fp_batch_writer_freep) struct fp_batch_writer *writer = NULL;
	enum { N = 2000 };
	struct fp_event *events = calloc(N, sizeof(*events));

	assert_int_equal(fp_batch_writer_new(&writer), 0);
	/* twice: the writer starts afresh after finish */
	for (uint64_t number = 1; number <= 2; number++) {
		fp_cleanup(fp_batch_freep) struct fp_batch *batch = NULL;
		struct fp_batch_header header = header_of(number), peeked;
		uint8_t hash[FP_BATCH_HASH_SIZE], again[FP_BATCH_HASH_SIZE];
		const uint8_t *frame;
		struct fp_event event;
		size_t len, n = 0;

		for (unsigned type = 1; n < N; type = type % (FP_EVENT_TYPE_MAX - 1) + 1)
			if (fp_event_info(type)) {
				random_event(&events[n], type, n % 100 == 0 ? FP_STR_MAX : 40);
				assert_int_equal(fp_batch_writer_add(writer, &events[n]), 0);
				n++;
			}
		assert_int_equal(fp_batch_writer_events(writer), N);
		assert_int_equal(fp_batch_writer_finish(writer, &header, &frame, &len, hash), 0);
		assert_int_equal(fp_batch_writer_events(writer), 0);
		assert_int_equal(fp_batch_frame_length(frame, len), len);
		fp_batch_hash(frame, len, again);
		assert_memory_equal(hash, again, sizeof(hash));
		assert_int_equal(fp_batch_peek(frame, len, &peeked), 0);
		assert_memory_equal(&peeked, &header, sizeof(header));
		assert_int_equal(fp_batch_open(frame, len, &batch), 0);
		assert_memory_equal(fp_batch_header(batch), &header, sizeof(header));
		for (int pass = 0; pass < 2; pass++) {
			for (n = 0; n < N; n++) {
				assert_int_equal(fp_batch_next(batch, &event), 1);
				assert_same(&events[n], &event);
			}
			assert_int_equal(fp_batch_next(batch, &event), 0);
			assert_int_equal(fp_batch_next(batch, &event), 0);
			fp_batch_rewind(batch);
		}
	}
	free(events);
}

static void test_transient_fields_stay(void **context)
{
	fp_cleanup(fp_batch_writer_freep) struct fp_batch_writer *writer = NULL;
	fp_cleanup(fp_batch_freep) struct fp_batch *batch = NULL;
	struct fp_event event = {.type = FP_EVENT_TYPE_SEND, .time = 7, .bytes = 4, .payload = {"PAN=", 4}};
	struct fp_batch_header header = header_of(1);
	uint8_t hash[FP_BATCH_HASH_SIZE];
	const uint8_t *frame;
	size_t len;

	assert_int_equal(fp_batch_writer_new(&writer), 0);
	assert_int_equal(fp_batch_writer_add(writer, &event), 0);
	event.payload.len = 0;
	assert_int_equal(fp_batch_writer_finish(writer, &header, &frame, &len, hash), 0);
	assert_int_equal(fp_batch_open(frame, len, &batch), 0);
	assert_int_equal(fp_batch_next(batch, &event), 1);
	assert_int_equal(event.bytes, 4);
	assert_int_equal(event.payload.len, 0);
}

static void test_writer_refuses(void **context)
{
	fp_cleanup(fp_batch_writer_freep) struct fp_batch_writer *writer = NULL;
	struct fp_batch_header header = header_of(1);
	struct fp_event event = {.type = FP_EVENT_TYPE_OPEN, .path = {pool, FP_STR_MAX + 1}};
	uint8_t hash[FP_BATCH_HASH_SIZE];
	const uint8_t *frame;
	size_t len;

	assert_int_equal(fp_batch_writer_new(&writer), 0);
	assert_int_equal(fp_batch_writer_finish(writer, &header, &frame, &len, hash), -ENODATA);
	assert_int_equal(fp_batch_writer_add(writer, &event), -EINVAL);
	event.path.len = 1;
	event.type = (enum fp_event_type)63;
	assert_int_equal(fp_batch_writer_add(writer, &event), -EINVAL);
	event.type = (enum fp_event_type)4000;
	assert_int_equal(fp_batch_writer_add(writer, &event), -EINVAL);
	event.type = FP_EVENT_TYPE_OPEN;
	event.request = (struct fp_str){pool, 15};
	assert_int_equal(fp_batch_writer_add(writer, &event), -EINVAL);
	event.request.len = 0;
	event.rule = 77;
	assert_int_equal(fp_batch_writer_add(writer, &event), -EINVAL);
	event.rule = 0;
	assert_int_equal(fp_batch_writer_events(writer), 0);
	assert_int_equal(fp_batch_writer_add(writer, &event), 0);
}

/* What an event does not carry changes nothing of what follows: a LOOKUP made of the RECEIVE before it. */
static void test_fields_not_carried(void **context)
{
	fp_cleanup(fp_batch_writer_freep) struct fp_batch_writer *writer = NULL;
	fp_cleanup(fp_batch_freep) struct fp_batch *batch = NULL;
	struct fp_batch_header header = header_of(1);
	uint8_t hash[FP_BATCH_HASH_SIZE];
	struct fp_event event = {.type = FP_EVENT_TYPE_RECEIVE, .ino = 77, .tid = 5, .remote_lo = 0xffff7f000001}, read;
	const uint8_t *frame;
	size_t len;

	assert_int_equal(fp_batch_writer_new(&writer), 0);
	assert_int_equal(fp_batch_writer_add(writer, &event), 0);
	event.type = FP_EVENT_TYPE_LOOKUP;
	event.remote_lo = 0xffffc6124d01;
	assert_int_equal(fp_batch_writer_add(writer, &event), 0);
	event.type = FP_EVENT_TYPE_RECEIVE;
	event.remote_lo = 0xffff7f000001;
	assert_int_equal(fp_batch_writer_add(writer, &event), 0);
	assert_int_equal(fp_batch_writer_finish(writer, &header, &frame, &len, hash), 0);
	assert_int_equal(fp_batch_open(frame, len, &batch), 0);
	assert_int_equal(fp_batch_next(batch, &read), 1);
	assert_int_equal(fp_batch_next(batch, &read), 1);
	assert_int_equal(read.remote_lo, 0xffffc6124d01);
	assert_int_equal(fp_batch_next(batch, &read), 1);
	assert_int_equal(read.remote_lo, 0xffff7f000001);
}

/* Strings that no compressor shortens: the writer says stop before the frame is too long for a reader. */
static void test_limits(void **context)
{
	fp_cleanup(fp_batch_writer_freep) struct fp_batch_writer *writer = NULL;
	fp_cleanup(fp_batch_freep) struct fp_batch *batch = NULL;
	struct fp_batch_header header = header_of(1);
	uint8_t hash[FP_BATCH_HASH_SIZE];
	const uint8_t *frame;
	struct fp_event event = {.type = FP_EVENT_TYPE_RENAME};
	uint64_t bytes[FP_STR_MAX / 8];
	size_t len, n = 0;
	int r;

	assert_int_equal(fp_batch_writer_new(&writer), 0);
	do {
		for (size_t i = 0; i < sizeof(bytes) / 8; i++)
			bytes[i] = rnd();
		event.path = (struct fp_str){(char *)bytes, sizeof(bytes)};
		event.time++;
		r = fp_batch_writer_add(writer, &event);
		n += r == 0;
	} while (r == 0);
	assert_int_equal(r, -ENOSPC);
	assert_true(n > 900);
	assert_int_equal(fp_batch_writer_finish(writer, &header, &frame, &len, hash), 0);
	assert_int_equal(header.n_events, n);
	assert_int_equal(header.first_time, 1);
	assert_int_equal(header.last_time, n);
	assert_true(len <= FP_BATCH_FRAME_MAX);
	assert_int_equal(fp_batch_open(frame, len, &batch), 0);
	/* what did not fit goes into the next */
	assert_int_equal(fp_batch_writer_add(writer, &event), 0);
}

/* A frame of a few events of every type, as bytes of the caller's. */
static uint8_t *make_frame(uint64_t number, size_t *ret_len)
{
	fp_cleanup(fp_batch_writer_freep) struct fp_batch_writer *writer = NULL;
	struct fp_batch_header header = header_of(number);
	uint8_t hash[FP_BATCH_HASH_SIZE], *copy;
	const uint8_t *frame;
	struct fp_event event;

	assert_int_equal(fp_batch_writer_new(&writer), 0);
	for (unsigned type = 0; type < FP_EVENT_TYPE_MAX; type++)
		if (fp_event_info(type)) {
			random_event(&event, type, 24);
			assert_int_equal(fp_batch_writer_add(writer, &event), 0);
		}
	assert_int_equal(fp_batch_writer_finish(writer, &header, &frame, ret_len, hash), 0);
	copy = malloc(*ret_len);
	memcpy(copy, frame, *ret_len);
	return copy;
}

static void test_truncated(void **context)
{
	size_t len;
	fp_cleanup(fp_freep) uint8_t *frame = make_frame(1, &len);

	for (size_t cut = 0; cut < len; cut++) {
		/* a copy of just this length, so that a sanitizer sees a read behind it */
		fp_cleanup(fp_freep) uint8_t *part = malloc(cut ? cut : 1);
		struct fp_batch *batch = NULL;
		ssize_t whole;

		memcpy(part, frame, cut);
		whole = fp_batch_frame_length(part, cut);
		assert_int_equal(whole, cut < 12 ? 0 : (ssize_t)len);
		assert_int_equal(fp_batch_open(part, cut, &batch), -EBADMSG);
		assert_null(batch);
		/* and with a length that pretends to be whole */
		if (cut < FP_BATCH_FIXED)
			continue;
		fp_put_le(part + FP_AT_REST, cut - 12, 4);
		assert_int_equal(fp_batch_open(part, cut, &batch), -EBADMSG);
	}
}

static void test_trailing(void **context)
{
	size_t len;
	fp_cleanup(fp_freep) uint8_t *frame = make_frame(1, &len);
	struct fp_batch *batch = NULL;

	frame = realloc(frame, len + 20);
	memset(frame + len, 0, 20);
	assert_int_equal(fp_batch_open(frame, len + 1, &batch), -EBADMSG);
	fp_put_le(frame + FP_AT_REST, len + 1 - 12, 4);
	assert_int_equal(fp_batch_open(frame, len + 1, &batch), -EBADMSG);
	/* a skippable zstd frame behind it */
	memcpy(frame + len, "\x50\x2a\x4d\x18\x04\0\0\0abcd", 12);
	fp_put_le(frame + FP_AT_REST, len + 12 - 12, 4);
	assert_int_equal(fp_batch_open(frame, len + 12, &batch), -EBADMSG);
}

/* A flipped bit is refused or gives a well-formed batch; which of both, the hash chain tells later. */
static void test_bit_flips(void **context)
{
	size_t len;
	fp_cleanup(fp_freep) uint8_t *frame = make_frame(2, &len);
	size_t refused = 0;

	for (size_t bit = 0; bit < 8 * len; bit++) {
		fp_cleanup(fp_batch_freep) struct fp_batch *batch = NULL;
		struct fp_event event;
		uint32_t n = 0;
		int r;

		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		r = fp_batch_open(frame, len, &batch);
		assert_true(r == 0 || r == -EBADMSG || r == -EPROTO);
		refused += r < 0;
		while (batch && fp_batch_next(batch, &event) > 0)
			n++;
		if (batch)
			assert_int_equal(n, fp_batch_header(batch)->n_events);
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(refused > len);
}

static void test_other_versions(void **context)
{
	size_t len;
	fp_cleanup(fp_freep) uint8_t *frame = make_frame(1, &len);
	struct fp_batch *batch = NULL;

	frame[FP_AT_FORMAT]++;
	assert_int_equal(fp_batch_open(frame, len, &batch), -EPROTO);
	frame[FP_AT_FORMAT]--;
	frame[FP_AT_SCHEMA] = FP_SCHEMA_VERSION + 1;
	assert_int_equal(fp_batch_open(frame, len, &batch), -EPROTO);
	frame[FP_AT_SCHEMA] = FP_SCHEMA_VERSION_OLDEST - 1;
	assert_int_equal(fp_batch_open(frame, len, &batch), -EPROTO);
	frame[FP_AT_SCHEMA] = FP_SCHEMA_VERSION_OLDEST; /* events were only added since */
	assert_int_equal(fp_batch_open(frame, len, &batch), 0);
	fp_batch_free(batch);
	batch = NULL;
	assert_int_equal(fp_batch_frame_length(frame, len), len);
}

/* Makes a frame around any body. */
static int open_body(const struct fp_buffer *body, uint32_t n_events, uint64_t first, uint64_t last, size_t claim)
{
	fp_cleanup(fp_batch_freep) struct fp_batch *batch = NULL;
	fp_cleanup(fp_freep) uint8_t *out = calloc(1, FP_BATCH_FIXED + ZSTD_compressBound(body->len));
	size_t packed = ZSTD_compress(out + FP_BATCH_FIXED, ZSTD_compressBound(body->len), body->data, body->len, 1);

	memcpy(out, FP_BATCH_MAGIC, 4);
	fp_put_le(out + FP_AT_FORMAT, FP_BATCH_FORMAT, 2);
	fp_put_le(out + FP_AT_SCHEMA, FP_SCHEMA_VERSION, 2);
	fp_put_le(out + FP_AT_REST, FP_BATCH_FIXED + packed - 12, 4);
	fp_put_le(out + FP_AT_NUMBER, 1, 8);
	fp_put_le(out + FP_AT_FIRST, first, 8);
	fp_put_le(out + FP_AT_LAST, last, 8);
	fp_put_le(out + FP_AT_EVENTS, n_events, 4);
	fp_put_le(out + FP_AT_UNPACKED, claim, 4);
	return fp_batch_open(out, FP_BATCH_FIXED + packed, &batch);
}

/*
 * Behind the strings: one EXIT with `value` in the column `at` (also when it has none) and zero in the others; behind
 * that value so many zeros that are no event's.
 */
static void add_exit_and(struct fp_buffer *body, unsigned at, uint64_t value, size_t surplus)
{
	unsigned n = 0;
	struct fp_batch_layout layout;
	struct fp_buffer directory = FP_BUFFER_INIT, columns = FP_BUFFER_INIT;
	bool has[FP_FIELD_MAX] = {true};

	assert_true(fp_batch_layout(FP_EVENT_TYPE_EXIT, &layout));
	for (unsigned i = 0; i < layout.n; i++)
		has[layout.items[i].field] = true;
	has[at] = true;
	for (unsigned field = 0; field < FP_FIELD_MAX; field++) {
		size_t before = columns.len;

		if (!has[field])
			continue;
		fp_buffer_add_varint(&columns, field == at ? value : field == 0 ? FP_EVENT_TYPE_EXIT : 0);
		fp_buffer_add_varint(&directory, field);
		/* one number: a place for each of its bytes */
		fp_buffer_add_varint(&directory, columns.len - before);
		for (size_t i = before; i < columns.len; i++)
			fp_buffer_add_varint(&directory, field == at ? 1 + surplus : 1);
		for (size_t i = 0; field == at && i < surplus; i++)
			fp_buffer_add_varint(&columns, 0);
		n++;
	}
	fp_buffer_add_varint(body, n);
	fp_buffer_add(body, directory.data, directory.len);
	fp_buffer_add(body, columns.data, columns.len);
	fp_buffer_done(&directory);
	fp_buffer_done(&columns);
}

static void add_exit(struct fp_buffer *body, unsigned at, uint64_t value)
{
	add_exit_and(body, at, value, 0);
}

/* Of whatever column. */
static void test_numbers_of_no_event(void **context)
{
	struct fp_batch_layout layout;

	assert_true(fp_batch_layout(FP_EVENT_TYPE_EXIT, &layout));
	for (size_t surplus = 0; surplus <= 2; surplus++)
		for (unsigned i = 0; i < layout.n; i++) {
			struct fp_buffer body = FP_BUFFER_INIT;

			fp_buffer_add_varint(&body, 0);
			add_exit_and(&body, layout.items[i].field, 0, surplus);
			assert_int_equal(open_body(&body, 1, 0, 0, body.len), surplus ? -EBADMSG : 0);
			fp_buffer_done(&body);
		}
}

static void refuse_exit(const char *strings, size_t len, unsigned at, uint64_t value)
{
	struct fp_buffer body = FP_BUFFER_INIT;

	fp_buffer_add(&body, strings, len);
	add_exit(&body, at, value);
	assert_int_equal(open_body(&body, 1, 0, 0, body.len), -EBADMSG);
	fp_buffer_done(&body);
}

static void refuse_bytes(const char *bytes, size_t len)
{
	struct fp_buffer body = FP_BUFFER_INIT;

	fp_buffer_add(&body, bytes, len);
	assert_int_equal(open_body(&body, 1, 0, 0, body.len), -EBADMSG);
	fp_buffer_done(&body);
}

/* Lists of candidates: of strings that are not there, are no ids, in numbers cut off; and of more than there may be. */
static void test_hostile_lists(void **context)
{
	struct fp_buffer body = FP_BUFFER_INIT;

	/* what is right: an id and the list of it */
	fp_buffer_add(&body, "\x02\x10\x01" "\x02" "0123456789abcdef", 20);
	add_exit(&body, FP_FIELD_candidates, fp_zigzag(2));
	assert_int_equal(open_body(&body, 1, 0, 0, body.len), 0);
	fp_buffer_done(&body);
	refuse_exit("\x02\x10\x01" "\x00" "0123456789abcdef", 20, FP_FIELD_candidates, fp_zigzag(2));
	refuse_exit("\x02\x10\x01" "\x01" "0123456789abcdef", 20, FP_FIELD_candidates, fp_zigzag(2));
	refuse_exit("\x02\x10\x01" "\x04" "0123456789abcdef", 20, FP_FIELD_candidates, fp_zigzag(2));
	refuse_exit("\x02\x10\x01" "\x06" "0123456789abcdef", 20, FP_FIELD_candidates, fp_zigzag(2));
	refuse_exit("\x02\x10\x01" "\x82" "0123456789abcdef", 20, FP_FIELD_candidates, fp_zigzag(2));
	body = (struct fp_buffer)FP_BUFFER_INIT;
	fp_buffer_add(&body, "\x02\x10\x81\x02", 4);
	fp_buffer_add(&body, "0123456789abcdef\x02", 17);
	for (unsigned i = 0; i < FP_BATCH_CANDIDATES_MAX; i++)
		fp_buffer_add(&body, "", 1);
	add_exit(&body, FP_FIELD_candidates, fp_zigzag(2));
	assert_int_equal(open_body(&body, 1, 0, 0, body.len), -EBADMSG);
	fp_buffer_done(&body);
}

/* Who may have done it, again and again: each list is written once, and each id in it. */
static void test_candidates(void **context)
{
	fp_cleanup(fp_batch_writer_freep) struct fp_batch_writer *writer = NULL;
	fp_cleanup(fp_batch_freep) struct fp_batch *batch = NULL;
	struct fp_batch_header header = header_of(1);
	char ids[FP_STR_MAX], other[FP_STR_MAX];
	uint8_t hash[FP_BATCH_HASH_SIZE];
	struct fp_event event = {.type = FP_EVENT_TYPE_EXIT}, read;
	size_t len, before;
	const uint8_t *frame;

	for (size_t i = 0; i < sizeof(ids); i++)
		ids[i] = other[sizeof(other) - FP_REQUEST_ID_SIZE - i / 16 * 16 + i % 16] = (char)random_number();
	assert_int_equal(fp_batch_writer_new(&writer), 0);
	event.attribution = FP_ATTRIBUTION_AMBIGUOUS;
	event.candidates = (struct fp_str){ids, sizeof(ids)};
	assert_int_equal(fp_batch_writer_add(writer, &event), 0);
	before = fp_batch_writer_body_size(writer);
	event.candidates.data = other;
	assert_int_equal(fp_batch_writer_add(writer, &event), 0);
	event.candidates.data = ids;
	assert_int_equal(fp_batch_writer_add(writer, &event), 0);
	assert_true(fp_batch_writer_body_size(writer) - before < sizeof(ids) / 4);
	assert_int_equal(fp_batch_writer_finish(writer, &header, &frame, &len, hash), 0);
	assert_int_equal(fp_batch_open(frame, len, &batch), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(fp_batch_next(batch, &read), 1);
		assert_int_equal(read.candidates.len, sizeof(ids));
		assert_memory_equal(read.candidates.data, i == 1 ? other : ids, sizeof(ids));
	}
}

static void test_hostile_bodies(void **context)
{
	struct fp_buffer body = FP_BUFFER_INIT;

	/* what is right, so that the rest is refused for its own reason */
	fp_buffer_add(&body, "\x01\x03" "abc", 5);
	add_exit(&body, FP_FIELD_time, fp_zigzag(9));
	assert_int_equal(open_body(&body, 1, 9, 9, body.len), 0);
	/* claims that do not hold */
	assert_int_equal(open_body(&body, 2, 9, 9, body.len), -EBADMSG);
	assert_int_equal(open_body(&body, 0, 9, 9, body.len), -EBADMSG);
	assert_int_equal(open_body(&body, 1, 8, 9, body.len), -EBADMSG);
	assert_int_equal(open_body(&body, 1, 9, 10, body.len), -EBADMSG);
	assert_int_equal(open_body(&body, 1, 9, 9, body.len + 1), -EBADMSG);
	assert_int_equal(open_body(&body, 1, 9, 9, UINT32_MAX), -EBADMSG);
	/* a byte too many */
	fp_buffer_add(&body, "", 1);
	assert_int_equal(open_body(&body, 1, 9, 9, body.len), -EBADMSG);

	/* index behind the table; request that is no id; unit, type that are none; number of more than 64 bit */
	refuse_exit("\0", 1, FP_FIELD_request, fp_zigzag(1));
	refuse_exit("\x01\x03" "abc", 5, FP_FIELD_request, fp_zigzag(1));
	refuse_exit("\0", 1, FP_FIELD_unit, fp_zigzag(3));
	refuse_exit("\0", 1, 0, 0x21);
	refuse_bytes("\x00\x01\x00\x0a\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"
		     "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 24);

	/* a table that promises more than there is, a string that does, an empty one, one too long */
	refuse_bytes("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
	refuse_bytes("\x01\x7f" "abc", 5);
	refuse_exit("\x01\x00", 2, FP_FIELD_time, 0);
	fp_buffer_clear(&body);
	fp_buffer_add_varint(&body, 1);
	fp_buffer_add_varint(&body, FP_STR_MAX + 1);
	fp_buffer_add(&body, pool, FP_STR_MAX + 1);
	add_exit(&body, FP_FIELD_time, 0);
	assert_int_equal(open_body(&body, 1, 0, 0, body.len), -EBADMSG);

	/* columns: more than fields, no such field, one twice, an empty one, one beyond the end, one the event does not have */
	refuse_bytes("\x00\x81\x01", 3);
	refuse_bytes("\x00\x01\x80\x01\x01\x01\x03", 7);
	refuse_bytes("\x00\x02\x00\x01\x01\x00\x01\x01\x03\x03", 10);
	refuse_bytes("\x00\x01\x00\x01\x00", 5);
	refuse_bytes("\x00\x01\x00\x01\x7f\x03", 6);
	/* places: none, more than a number has bytes, one that is empty, two that are more than there is */
	refuse_bytes("\x00\x01\x00\x00", 4);
	refuse_bytes("\x00\x01\x00\x0b\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x03", 16);
	refuse_bytes("\x00\x01\x00\x02\x01\x00\x03", 7);
	refuse_bytes("\x00\x01\x00\x02\x01\x02\x83\x01", 8);
	refuse_exit("\0", 1, FP_FIELD_path, 0);
	fp_buffer_done(&body);
}

/* 16 MiB and a byte of zeros pack into some hundred bytes: refused before memory is taken. */
static void test_bomb(void **context)
{
	struct fp_buffer body = FP_BUFFER_INIT;
	char *room = fp_buffer_reserve(&body, FP_BATCH_BODY_MAX + 1);

	memset(room, 0, FP_BATCH_BODY_MAX + 1);
	body.len = FP_BATCH_BODY_MAX + 1;
	assert_int_equal(open_body(&body, 1, 0, 0, body.len), -EBADMSG);
	fp_buffer_done(&body);
}

/* The recorded frame: one event of each type, each field set to something of its own. */
static void golden_event(struct fp_event *event, unsigned type)
{
	struct fp_batch_layout layout;

	memset(event, 0, sizeof(*event));
	event->type = (enum fp_event_type)type;
	assert_true(fp_batch_layout(type, &layout));
	for (unsigned i = 0; i < layout.n; i++) {
		const struct fp_field_info *info = fp_field_info(layout.items[i].field);

		if (info->kind != FP_KIND_STR)
			*fp_event_num(event, info) = 1000ull * type + layout.items[i].field;
		else if (layout.items[i].field == FP_FIELD_request)
			*fp_event_str(event, info) = (struct fp_str){"0123456789abcdef", 16};
		else if (layout.items[i].field == FP_FIELD_candidates)
			*fp_event_str(event, info) = (struct fp_str){"fedcba98765432100123456789abcdef", 32};
		else
			*fp_event_str(event, info) = (struct fp_str){info->name, strlen(info->name)};
	}
	event->unit = event->attribution = event->rule = 2;
	event->object = event->object ? 1 : 0;
	event->app = event->app ? 3 : 0;
	event->operation = event->operation ? 3 : 0;
	event->naming = event->naming ? 2 : 0;
	event->cause = event->cause ? 4 : 0;
	event->result = -(int64_t)type;
}

static size_t read_golden(const char *path, uint8_t *out, size_t max)
{
	fp_cleanup(fp_fclosep) FILE *file = fopen(path, "r");
	char line[128];
	size_t n = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		size_t digits = strcspn(line, "\n");

		line[digits] = '\0';
		if (line[0] == '#')
			continue;
		assert_true(n + digits / 2 <= max);
		assert_int_equal(fp_unhex(line, out + n, digits / 2), 0);
		n += digits / 2;
	}
	return n;
}

static void write_golden(const uint8_t *frame, size_t len)
{
	fp_cleanup(fp_fclosep) FILE *file = fopen(GOLDEN, "w");
	char line[65];

	assert_non_null(file);
	fprintf(file, "# one event of each type, see test_golden in lib/wire/tests/test_batch.c\n");
	for (size_t i = 0; i < len; i += 32) {
		fp_hex(frame + i, len - i < 32 ? len - i : 32, line);
		fprintf(file, "%s\n", line);
	}
}

/*
 * A recorded frame still decodes to the same events, and the same events still
 * encode to the same header and body (not to the same compressed bytes, which
 * belong to the version of zstd).  FP_GOLDEN_WRITE=1 records it anew, which is
 * right only together with another format or schema version.
 */
static void test_golden(void **context)
{
	fp_cleanup(fp_batch_writer_freep) struct fp_batch_writer *writer = NULL;
	fp_cleanup(fp_batch_freep) struct fp_batch *batch = NULL;
	struct fp_batch_header header = header_of(2);
	uint8_t hash[FP_BATCH_HASH_SIZE], old[8192], body[8192], old_body[8192];
	struct fp_event event, read;
	const uint8_t *frame;
	size_t len, old_len, prefix = FP_BATCH_FIXED + strlen(header.host), n, old_n;

	assert_int_equal(fp_batch_writer_new(&writer), 0);
	for (unsigned type = 0; type < FP_EVENT_TYPE_MAX; type++)
		if (fp_event_info(type)) {
			golden_event(&event, type);
			assert_int_equal(fp_batch_writer_add(writer, &event), 0);
		}
	assert_int_equal(fp_batch_writer_finish(writer, &header, &frame, &len, hash), 0);
	if (getenv("FP_GOLDEN_WRITE"))
		write_golden(frame, len);
	old_len = read_golden(GOLDEN, old, sizeof(old));
	assert_int_equal(fp_batch_open(old, old_len, &batch), 0);
	for (unsigned type = 0; type < FP_EVENT_TYPE_MAX; type++)
		if (fp_event_info(type)) {
			golden_event(&event, type);
			assert_int_equal(fp_batch_next(batch, &read), 1);
			assert_same(&event, &read);
		}
	n = ZSTD_decompress(body, sizeof(body), frame + prefix, len - prefix);
	old_n = ZSTD_decompress(old_body, sizeof(old_body), old + prefix, old_len - prefix);
	assert_int_equal(n, old_n);
	assert_memory_equal(body, old_body, n);
	memcpy(old + FP_AT_REST, frame + FP_AT_REST, 4);
	assert_memory_equal(frame, old, prefix);
}

/* Who is among them; that one is there twice is no fault. */
static bool is_about(const struct fp_batch_subjects *subjects, const char *request, uint64_t cgroup)
{
	bool found = !request;

	for (size_t i = 0; i < subjects->n_requests && !found; i++)
		found = memcmp(subjects->requests[i], request, FP_REQUEST_ID_SIZE) == 0;
	for (size_t i = 0; i < subjects->n_cgroups && found; i++)
		if (subjects->cgroups[i] == cgroup)
			return true;
	return false;
}

/* Whoever is meant, as a candidate alone as well, and in whatever order: 1, 65 and 129 are the same in their last six bits. */
static void test_subjects(void **context)
{
	fp_cleanup(fp_batch_writer_freep) struct fp_batch_writer *writer = NULL;
	fp_cleanup(fp_batch_freep) struct fp_batch *batch = NULL;
	struct fp_batch_header header = header_of(1);
	struct fp_event event = {.type = FP_EVENT_TYPE_READ, .tid = 7};
	struct fp_batch_subjects subjects;
	uint8_t hash[FP_BATCH_HASH_SIZE];
	const uint8_t *frame;
	size_t len;

	assert_int_equal(fp_batch_writer_new(&writer), 0);
	for (unsigned i = 0; i < 300; i++) {
		event.cgroup = (const uint64_t[]){1, 65, 129, 0}[i % 4];
		event.request = i % 2 ? (struct fp_str){NULL, 0} : (struct fp_str){i % 4 ? "request number 1" : "request number 2", 16};
		event.candidates = i == 123 ? (struct fp_str){"candidate  no. 1candidate  no. 2", 32} : (struct fp_str){NULL, 0};
		event.path = (struct fp_str){"sixteen bytes, too", 16};
		assert_int_equal(fp_batch_writer_add(writer, &event), 0);
	}
	assert_int_equal(fp_batch_writer_finish(writer, &header, &frame, &len, hash), 0);
	assert_int_equal(fp_batch_open(frame, len, &batch), 0);
	fp_batch_subjects(batch, &subjects);
	assert_true(is_about(&subjects, "request number 1", 1));
	assert_true(is_about(&subjects, "request number 2", 65));
	assert_true(is_about(&subjects, "candidate  no. 1", 129));
	assert_true(is_about(&subjects, "candidate  no. 2", 0));
	assert_false(is_about(&subjects, NULL, 2));
	assert_false(is_about(&subjects, "sixteen bytes, t", 1));
	assert_int_equal(subjects.n_requests, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_subjects),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_transient_fields_stay),
		cmocka_unit_test(test_writer_refuses),
		cmocka_unit_test(test_fields_not_carried),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_trailing),
		cmocka_unit_test(test_bit_flips),
		cmocka_unit_test(test_other_versions),
		cmocka_unit_test(test_hostile_bodies),
		cmocka_unit_test(test_hostile_lists),
		cmocka_unit_test(test_numbers_of_no_event),
		cmocka_unit_test(test_candidates),
		cmocka_unit_test(test_bomb),
		cmocka_unit_test(test_golden),
	};

	for (size_t i = 0; i < sizeof(pool); i++)
		pool[i] = (char)rnd();
	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}

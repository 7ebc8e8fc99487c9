/*
 * Whole frames, or (first byte odd) bodies that this harness packs itself, since
 * a fuzzer does not find its way through compression.  What is accepted must be
 * what a writer could have made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "wire/batch_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const uint8_t *frame, size_t len)
{
	static struct fp_batch_writer *writer;
	struct fp_batch_header header;
	uint8_t hash[FP_BATCH_HASH_SIZE];
	struct fp_batch *batch = NULL;
	const uint8_t *made;
	struct fp_event event;
	size_t made_len, n = 0;
	int r;

	if (!writer && fp_batch_writer_new(&writer) < 0)
		abort();
	if (fp_batch_open(frame, len, &batch) < 0)
		return;
	if (fp_batch_frame_length(frame, len) != (ssize_t)len || fp_batch_peek(frame, len, &header) < 0)
		abort();
	while ((r = fp_batch_next(batch, &event)) > 0) {
		n++;
		/* a body can be longer than those that our writer makes */
		r = fp_batch_writer_add(writer, &event);
		if (r < 0 && r != -ENOSPC)
			abort();
	}
	if (r < 0 || n != header.n_events)
		abort();
	fp_batch_free(batch);
	batch = NULL;
	if (fp_batch_writer_events(writer) == 0)
		return;
	if (fp_batch_writer_finish(writer, &header, &made, &made_len, hash) < 0 ||
	    fp_batch_open(made, made_len, &batch) < 0)
		abort();
	fp_batch_free(batch);
}

#define BODY_AT 20

/* u32 number of events, u64 first and last time, then the body. */
static void check_body(const uint8_t *data, size_t len)
{
	size_t bound = ZSTD_compressBound(len), packed;
	uint8_t *frame;

	if (len <= BODY_AT || len > 1u << 20)
		return;
	frame = calloc(1, FP_BATCH_FIXED + bound);
	if (!frame)
		return;
	packed = ZSTD_compress(frame + FP_BATCH_FIXED, bound, data + BODY_AT, len - BODY_AT, 1);
	memcpy(frame, FP_BATCH_MAGIC, 4);
	fp_put_le(frame + FP_AT_FORMAT, FP_BATCH_FORMAT, 2);
	fp_put_le(frame + FP_AT_SCHEMA, FP_SCHEMA_VERSION, 2);
	fp_put_le(frame + FP_AT_REST, FP_BATCH_FIXED + packed - FP_BATCH_PREFIX, 4);
	fp_put_le(frame + FP_AT_NUMBER, 1, 8);
	memcpy(frame + FP_AT_EVENTS, data, 4);
	memcpy(frame + FP_AT_FIRST, data + 4, 16);
	fp_put_le(frame + FP_AT_UNPACKED, len - BODY_AT, 4);
	check(frame, FP_BATCH_FIXED + packed);
	free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	if (data[0] & 1)
		check_body(data + 1, len - 1);
	else
		check(data + 1, len - 1);
	return 0;
}

/*
 * A batch is the unit of transport, storage and evidence: some events of one
 * agent, in order, encoded, compressed and chained to the batch before.  The
 * agent writes it, the aggregator checks and stores it byte for byte, the
 * stitcher and `faasprov verify` read it again.  Does no I/O.
 *
 * Frame (little endian):
 *   magic "FPB1"  u16 format version  u16 schema version  u32 length of the rest
 *   agent id 16   batch number u64    boot id 16           clock offset i64
 *   first time u64  last time u64     events u32           unpacked size u32
 *   hash of the previous frame 32 (zero for number 1)
 *   host name u8 length + bytes       zstd of the body
 * Body, by columns, because what one field holds in a row of events is alike, which packs small and fast:
 *   string table: varint count, the length of each as varints, then the bytes of all: ordered by length, and those of one
 *   length as they are numbered
 *   varint count of columns, then per column varint field id (ascending; 0 is the type of the event), varint count of
 *   places and varint bytes of each
 *   the columns: one varint for each event that has the field (HEAD, NOTE, own ones but the transient), taken apart by
 *   places (batch_columns.h); those of types, threads, times and requests in the order of events, all others of the
 *   events sorted by type, last 11 bits of the thread and the request's string, by index (those that have all the same in order)
 * A number, or the index of a string in the table (0: empty), is written as the zigzag difference to what is expected:
 * the time, for `last`; the result, for `bytes`; the time or the end of the thread's event before, for `start`; the end
 * before and the bytes, for where a stream is after a send or receive; the value the field last had for the same thread,
 * object or descriptor (batch_format.h says which, and they are told apart by a hash of eleven bits), or else in the last
 * event that had it.  The string of `candidates` is a list: the strings' indices of the ids, each a varint of the zigzag
 * difference to the one before.
 * First and last time are the least and greatest `time` of the events.
 * The hash is BLAKE2b-256 over the whole frame.
 *
 * Limits: a frame is at most FP_BATCH_FRAME_MAX, a body FP_BATCH_BODY_MAX;
 * whatever is larger, truncated, of another version or inconsistent is refused
 * with -EBADMSG (another version: -EPROTO) and nothing of it is used.
 */
#ifndef FP_WIRE_BATCH_H
#define FP_WIRE_BATCH_H

#include <sys/types.h>

#include "schema/schema.h"

#define FP_BATCH_FRAME_MAX (4u << 20)
#define FP_BATCH_BODY_MAX (16u << 20)
#define FP_BATCH_HASH_SIZE 32
#define FP_BATCH_HOST_MAX 64

struct fp_batch_header {
	uint8_t agent[16]; /* random, made at the agent's first start and kept with its spool */
	uint64_t number; /* from 1, without holes, per agent id */
	uint8_t boot[16]; /* kernel's boot id */
	int64_t clock_offset; /* CLOCK_REALTIME - CLOCK_BOOTTIME in ns when the batch was made */
	uint64_t first_time, last_time; /* ns of CLOCK_BOOTTIME; set by finish */
	uint32_t n_events; /* set by finish */
	uint8_t previous[FP_BATCH_HASH_SIZE];
	char host[FP_BATCH_HOST_MAX + 1];
};

struct fp_batch_writer;
/* 0 and an empty writer, or -ENOMEM. */
int fp_batch_writer_new(struct fp_batch_writer **ret_writer);
struct fp_batch_writer *fp_batch_writer_free(struct fp_batch_writer *writer);
/*
 * Appends a copy of the event.  0; -ENOSPC when the batch would pass its limits
 * (finish it and add the event to the next); -EINVAL when the type is unknown, a
 * string too long, `request` not 0 or 16 bytes, `candidates` no multiple of 16,
 * or a number not a member of its enumeration (unit, attribution, rule, object,
 * app, and cause of LOST; a reader refuses all of these too); -ENOMEM.
 */
int fp_batch_writer_add(struct fp_batch_writer *writer, const struct fp_event *event);
size_t fp_batch_writer_events(const struct fp_batch_writer *writer);
size_t fp_batch_writer_body_size(const struct fp_batch_writer *writer);
/*
 * Makes the frame, fills in the header's times and count, writes the frame's
 * hash for the next header's `previous`, and empties the writer.  The frame
 * belongs to the writer and lives until its next call.  0, -ENODATA when no
 * event was added, -ENOMEM.
 */
int fp_batch_writer_finish(struct fp_batch_writer *writer, struct fp_batch_header *header,
			   const uint8_t **ret_frame, size_t *ret_len, uint8_t ret_hash[FP_BATCH_HASH_SIZE]);

/* How long the frame starting here is: bytes, 0 when more input is needed to tell, -EBADMSG. */
ssize_t fp_batch_frame_length(const uint8_t *data, size_t len);

/* Reads the header of a whole frame without unpacking the body.  0, -EBADMSG, -EPROTO. */
int fp_batch_peek(const uint8_t *frame, size_t len, struct fp_batch_header *ret_header);

struct fp_batch;
/* Checks and unpacks a whole frame; the bytes may be freed afterwards.  0, -EBADMSG, -EPROTO, -ENOMEM. */
int fp_batch_open(const uint8_t *frame, size_t len, struct fp_batch **ret_batch);
struct fp_batch *fp_batch_free(struct fp_batch *batch);
const struct fp_batch_header *fp_batch_header(const struct fp_batch *batch);
/* 1 and the next event (its strings belong to the batch), 0 at the end, -EBADMSG. */
int fp_batch_next(struct fp_batch *batch, struct fp_event *ret_event);
/* Back to the first event. */
void fp_batch_rewind(struct fp_batch *batch);

/*
 * Whom the events are about, known since the batch was opened and its own: each
 * at least once, in no order.  Requests include those that are only candidates.
 */
struct fp_batch_subjects {
	const uint8_t (*requests)[FP_REQUEST_ID_SIZE];
	const uint64_t *cgroups;
	size_t n_requests, n_cgroups;
};
void fp_batch_subjects(const struct fp_batch *batch, struct fp_batch_subjects *ret_subjects);

void fp_batch_hash(const uint8_t *frame, size_t len, uint8_t ret_hash[FP_BATCH_HASH_SIZE]);

#endif

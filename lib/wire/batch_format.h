/*
 * What the writer and the reader of a batch agree on beyond batch.h: where the
 * header's members lie, which fields an event carries in which order, and which
 * values make no sense.  Private to lib/wire.
 */
#ifndef FP_WIRE_BATCH_FORMAT_H
#define FP_WIRE_BATCH_FORMAT_H

#include "base/buffer.h"
#include "wire/batch.h"

#define FP_BATCH_MAGIC "FPB1"
#define FP_BATCH_FORMAT 3

/*
 * Distinct strings of one batch.  Bounds what a small hostile frame makes the
 * reader allocate (16 bytes each); a real batch has some thousands.
 */
#define FP_BATCH_STRINGS_MAX (1u << 18)

#define FP_BATCH_SLOT_BITS 8
#define FP_BATCH_SLOTS (1u << FP_BATCH_SLOT_BITS)

/* The directory of columns: their count, then id, count and lengths of places each. */
#define FP_BATCH_DIRECTORY_MAX (2u + FP_FIELD_MAX * (2u + 1u + FP_VARINT_MAX * 4u))

/*
 * The writer stops here, so that even a body that cannot be compressed makes a
 * frame below FP_BATCH_FRAME_MAX.
 */
#define FP_BATCH_BODY_FULL (FP_BATCH_FRAME_MAX - (64u << 10))

enum {
	FP_AT_FORMAT = 4,
	FP_AT_SCHEMA = 6,
	FP_AT_REST = 8,
	FP_AT_AGENT = 12,
	FP_AT_NUMBER = 28,
	FP_AT_BOOT = 36,
	FP_AT_OFFSET = 52,
	FP_AT_FIRST = 60,
	FP_AT_LAST = 68,
	FP_AT_EVENTS = 76,
	FP_AT_UNPACKED = 80,
	FP_AT_PREVIOUS = 84,
	FP_AT_HOST = 116,
	FP_BATCH_PREFIX = 12, /* what tells how long the frame is */
	FP_BATCH_FIXED = 117, /* up to and with the length of the host name */
};

static inline void fp_put_le(uint8_t *out, uint64_t value, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		out[i] = (uint8_t)(value >> (8 * i));
}

static inline uint64_t fp_get_le(const uint8_t *data, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value |= (uint64_t)data[i] << (8 * i);
	return value;
}

/*
 * What the value of a field is expected to be, of which only the difference is written: what it last was at all, for
 * the same thread or for the same object; or what another field of the same event is.
 */
enum fp_batch_expectation {
	FP_BATCH_AS_FORMER,
	FP_BATCH_AS_OF_THREAD,
	FP_BATCH_AS_OF_OBJECT,
	FP_BATCH_AS_TIME,
	FP_BATCH_AS_RESULT,
	FP_BATCH_AS_START /* the time, or the end of the thread's event before: whichever it was in the last of that type */
};

/*
 * Fields that a stored event of one type carries: HEAD, NOTE, own ones but the transient.  Numbers come first, and of
 * these first those that tell what others are compared with.
 */
struct fp_batch_layout {
	uint8_t n, n_numbers;
	bool has_last;
	uint8_t fields[64];
	uint8_t expectations[64];
};

/* Former values; a batch begins with zeros. */
struct fp_batch_former {
	uint64_t values[FP_BATCH_SLOTS][FP_FIELD_MAX]; /* of `start`: when the thread's last event ended */
	bool starts_early[FP_EVENT_TYPE_MAX]; /* whether the last one of the type began before its time */
};

/* Threads, and objects, that are told apart; two that meet in a slot only pack worse. */
static inline unsigned fp_batch_slot(uint64_t key)
{
	return (unsigned)(key * 0x9e3779b97f4a7c15ull >> (64 - FP_BATCH_SLOT_BITS));
}

/* Where the former value of the field is; the event has its tid and, if it has one, its ino. */
static inline uint64_t *fp_batch_former(struct fp_batch_former *former, unsigned field, unsigned expectation,
					const struct fp_event *event)
{
	unsigned slot = 0;

	if (expectation == FP_BATCH_AS_OF_THREAD || expectation == FP_BATCH_AS_START)
		slot = fp_batch_slot(event->tid);
	else if (expectation == FP_BATCH_AS_OF_OBJECT)
		slot = fp_batch_slot(event->ino);
	return &former->values[slot][field];
}

static inline uint64_t fp_batch_expected(const struct fp_batch_former *former, const uint64_t *own, unsigned expectation,
					 const struct fp_event *event)
{
	if (expectation == FP_BATCH_AS_START)
		return former->starts_early[event->type] ? *own : event->time;
	if (expectation == FP_BATCH_AS_TIME)
		return event->time;
	return expectation == FP_BATCH_AS_RESULT ? (uint64_t)event->result : *own;
}

/* When all of the event is written, or read. */
static inline void fp_batch_note(struct fp_batch_former *former, const struct fp_batch_layout *layout,
				 const struct fp_event *event)
{
	former->starts_early[event->type] = event->start != event->time;
	former->values[fp_batch_slot(event->tid)][FP_FIELD_start] = layout->has_last ? event->last : event->time;
}

/* False when the type is not one of the schema. */
bool fp_batch_layout(unsigned type, struct fp_batch_layout *ret_layout);

/* Whether lengths of ids and members of enumerations are as the schema says. */
bool fp_batch_event_valid(const struct fp_event *event);

#endif

/*
 * What the writer and the reader of a batch agree on beyond batch.h: where the
 * header's members lie, which fields an event carries in which order, and which
 * values make no sense.  Private to lib/wire.
 */
#ifndef FP_WIRE_BATCH_FORMAT_H
#define FP_WIRE_BATCH_FORMAT_H

#include "base/buffer.h"
#include "wire/batch.h"
#include "wire/batch_columns.h"

#define FP_BATCH_MAGIC "FPB1"
#define FP_BATCH_FORMAT 5

/*
 * Distinct strings of one batch.  Bounds what a small hostile frame makes the
 * reader allocate (16 bytes each); a real batch has some thousands.
 */
#define FP_BATCH_STRINGS_MAX (1u << 18)

/* Of one event, at most; and what an index of a string takes as a difference. */
#define FP_BATCH_CANDIDATES_MAX (FP_STR_MAX / FP_REQUEST_ID_SIZE)
#define FP_BATCH_INDEX_LEN_MAX 3

#define FP_BATCH_SLOT_BITS 11
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
	FP_BATCH_AS_OF_DESCRIPTOR, /* the object that the thread's descriptor was last */
	FP_BATCH_AS_OWN_LAST = FP_BATCH_AS_OF_DESCRIPTOR, /* so far what it was; from here on what follows from the event */
	FP_BATCH_AS_FURTHER, /* of the object, and the event's bytes behind it */
	FP_BATCH_AS_TIME,
	FP_BATCH_AS_RESULT,
	FP_BATCH_AS_START /* the time, or the end of the thread's event before: whichever it was in the last of that type */
};

/* Fields of which is kept what they last were for each thread or object, and how they are expected to be. */
#define FP_BATCH_KEPT(X)                                                                                       \
	X(start, START) X(rule, OF_THREAD) X(attribution, OF_THREAD) X(cgroup, OF_THREAD) X(tgid, OF_THREAD)   \
	X(process_start, OF_THREAD) X(exec_id, OF_THREAD) X(turn, OF_THREAD) X(request, OF_THREAD)             \
	X(fd, OF_THREAD) X(ino, OF_DESCRIPTOR) X(result, OF_OBJECT) X(object, OF_OBJECT) X(dev, OF_OBJECT)     \
	X(gen, OF_OBJECT) X(path, OF_OBJECT) X(netns, OF_OBJECT) X(family, OF_OBJECT) X(protocol, OF_OBJECT)   \
	X(local_hi, OF_OBJECT) X(local_lo, OF_OBJECT) X(local_port, OF_OBJECT) X(remote_hi, OF_OBJECT)         \
	X(remote_lo, OF_OBJECT) X(remote_port, OF_OBJECT) X(tx_base, OF_OBJECT) X(rx_base, OF_OBJECT)          \
	X(tx_end, OF_OBJECT) X(rx_end, OF_OBJECT)

enum {
#define FP_BATCH_PLACE(field, expectation) FP_BATCH_PLACE_##field,
	FP_BATCH_KEPT(FP_BATCH_PLACE)
#undef FP_BATCH_PLACE
	FP_BATCH_PLACES
};

/* Whose former value of a field is kept. */
enum fp_batch_owner { FP_BATCH_OF_ALL, FP_BATCH_OF_THREAD, FP_BATCH_OF_OBJECT, FP_BATCH_OF_DESCRIPTOR, FP_BATCH_OWNERS };

/* A field of an event of one type. */
struct fp_batch_item {
	uint8_t field;
	uint8_t expectation;
	uint8_t owner, place; /* whose former value of it is kept, and where among the owner's */
	uint16_t offset; /* in struct fp_event */
	bool sorted; /* fp_batch_sorted() */
};

/*
 * Fields that a stored event of one type carries: HEAD, NOTE, own ones but the transient.  Numbers come first, and of
 * these first the keys, that tell what others are compared with.
 */
struct fp_batch_layout {
	uint8_t n, n_keys, n_numbers;
	bool has_last;
	struct fp_batch_item items[64];
};

/* Former values; a batch begins with zeros. */
struct fp_batch_former {
	uint64_t values[FP_BATCH_SLOTS][FP_BATCH_PLACES]; /* of `start`: when the thread's last event ended */
	uint64_t of_all[FP_FIELD_MAX]; /* of fields that are compared with the last event that had them */
	bool starts_early[FP_EVENT_TYPE_MAX]; /* whether the last one of the type began before its time */
};

/* Threads, objects and descriptors that are told apart; two that meet in a slot only pack worse. */
static inline unsigned fp_batch_slot(uint64_t key)
{
	return (unsigned)(key * 0x9e3779b97f4a7c15ull >> (64 - FP_BATCH_SLOT_BITS));
}

/* Where the owners' values are; the event has its tid and, if it has them, its fd and its ino. */
static inline void fp_batch_find_owners(struct fp_batch_former *former, const struct fp_event *event,
					uint64_t *ret_owners[FP_BATCH_OWNERS])
{
	ret_owners[FP_BATCH_OF_ALL] = former->of_all;
	ret_owners[FP_BATCH_OF_THREAD] = former->values[fp_batch_slot(event->tid)];
	ret_owners[FP_BATCH_OF_OBJECT] = former->values[fp_batch_slot(event->ino)];
	ret_owners[FP_BATCH_OF_DESCRIPTOR] = former->values[fp_batch_slot(event->tid ^ event->fd << 32)];
}

static inline uint64_t fp_batch_expected(const struct fp_batch_former *former, uint64_t own, unsigned expectation,
					 const struct fp_event *event)
{
	if (expectation <= FP_BATCH_AS_OWN_LAST)
		return own;
	switch (expectation) {
	case FP_BATCH_AS_START:
		return former->starts_early[event->type] ? own : event->time;
	case FP_BATCH_AS_TIME:
		return event->time;
	case FP_BATCH_AS_RESULT:
		return (uint64_t)event->result;
	case FP_BATCH_AS_FURTHER:
		return (uint32_t)(own + event->bytes);
	default:
		return own;
	}
}

/* When all of the event is written, or read. */
static inline void fp_batch_note(struct fp_batch_former *former, const struct fp_batch_layout *layout,
				 const struct fp_event *event)
{
	former->starts_early[event->type] = event->start != event->time;
	former->values[fp_batch_slot(event->tid)][FP_BATCH_PLACE_start] = layout->has_last ? event->last : event->time;
}

/*
 * What events are sorted by where their numbers are stored: first by type, then by thread, then by request, so that
 * each is like the one before, however many requests are in flight.  In the order of events are the columns that this
 * is known by, and times.
 */
struct fp_batch_key {
	uint32_t request; /* index of its string */
	uint16_t thread; /* its last bits */
	uint8_t type;
};

/* Which event is the first, the second and so on, once sorted: somewhere in `numbers`, which has room for 2 n. */
const uint32_t *fp_batch_sort(const struct fp_batch_key *keys, size_t n, uint32_t *numbers);

static inline bool fp_batch_sorted(unsigned field)
{
	return field != 0 && field != FP_FIELD_tid && field != FP_FIELD_time && field != FP_FIELD_request;
}

/* False when the type is not one of the schema. */
bool fp_batch_layout(unsigned type, struct fp_batch_layout *ret_layout);

/* Whether lengths of ids and members of enumerations are as the schema says. */
bool fp_batch_event_valid(const struct fp_event *event);

#endif

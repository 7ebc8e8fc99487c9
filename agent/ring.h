/*
 * Reads a BPF ring buffer without giving its memory back until told to.  A record
 * stays in the kernel until what was made of it is safe: whoever is killed in
 * between finds it there again.  Used by capture.c alone.
 *
 * Life cycle: open, read and release…, close.
 */
#ifndef FP_AGENT_RING_H
#define FP_AGENT_RING_H

#include <stddef.h>
#include <stdint.h>

struct fp_ring {
	uint64_t *consumer; /* pages of the kernel's */
	const uint64_t *producer;
	const uint8_t *data;
	uint32_t size;
	uint64_t position; /* read up to here; what lies between the consumer and this is held */
};

/* `map` stays the caller's.  Begins where the last reader released.  0 or negative errno. */
int fp_ring_open(struct fp_ring *ring, int map, uint32_t size);
void fp_ring_close(struct fp_ring *ring);

/* `room`: bytes of the ring that the record takes.  Positive: enough for now. */
typedef int (*fp_ring_record_fn)(void *arg, const void *data, size_t len, size_t room);
/* Hands over what is waiting, in order; the number of records, or what fn returned when negative: that record is read again. */
int fp_ring_read(struct fp_ring *ring, fp_ring_record_fn fn, void *arg);
/* Everything that was read may be overwritten. */
void fp_ring_release(struct fp_ring *ring);
/* Reads on from there: a position not released before.  -ERANGE when it is not in the ring. */
int fp_ring_seek(struct fp_ring *ring, uint64_t position);

/* Bytes read and not released; bytes waiting, held ones included. */
uint64_t fp_ring_held(const struct fp_ring *ring);
uint64_t fp_ring_waiting(const struct fp_ring *ring);
/* Position after what is in the ring now. */
uint64_t fp_ring_end(const struct fp_ring *ring);

#endif

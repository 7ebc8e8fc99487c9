#include "agent/ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int fp_ring_open(struct fp_ring *ring, int map, uint32_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *consumer, *producer;

	memset(ring, 0, sizeof(*ring));
	consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (consumer == MAP_FAILED)
		return -errno;
	/* the data is there twice, one behind the other, so that a record never breaks */
	producer = mmap(NULL, page + 2 * (size_t)size, PROT_READ, MAP_SHARED, map, (off_t)page);
	if (producer == MAP_FAILED) {
		int error = errno;

		munmap(consumer, page);
		return -error;
	}
	ring->consumer = consumer;
	ring->producer = producer;
	ring->data = (const uint8_t *)producer + page;
	ring->size = size;
	ring->position = __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);
	return 0;
}

void fp_ring_close(struct fp_ring *ring)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	if (!ring->consumer)
		return;
	munmap(ring->consumer, page);
	munmap((void *)ring->producer, page + 2 * (size_t)ring->size);
	memset(ring, 0, sizeof(*ring));
}

int fp_ring_read(struct fp_ring *ring, fp_ring_record_fn fn, void *arg)
{
	uint64_t end = 0;
	int n = 0;

	/* whoever records writes that word each time: it is asked for no more often than needed */
	while (ring->position < end || ring->position < (end = fp_ring_end(ring))) {
		const uint8_t *at = ring->data + (ring->position & (ring->size - 1));
		uint32_t head = __atomic_load_n((const uint32_t *)at, __ATOMIC_ACQUIRE);
		size_t len = head & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		size_t room = (len + BPF_RINGBUF_HDR_SZ + 7) & ~(size_t)7;
		int r = 0;

		if (head & BPF_RINGBUF_BUSY_BIT)
			break;
		if (!(head & BPF_RINGBUF_DISCARD_BIT))
			r = fn(arg, at + BPF_RINGBUF_HDR_SZ, len, room);
		if (r < 0)
			return r;
		ring->position += room;
		n++;
		if (r > 0)
			break;
	}
	return n;
}

void fp_ring_release(struct fp_ring *ring)
{
	__atomic_store_n(ring->consumer, ring->position, __ATOMIC_RELEASE);
}

int fp_ring_seek(struct fp_ring *ring, uint64_t position)
{
	uint64_t released = __atomic_load_n(ring->consumer, __ATOMIC_ACQUIRE);

	if (position < released || position > fp_ring_end(ring))
		return -ERANGE;
	ring->position = position;
	return 0;
}

uint64_t fp_ring_held(const struct fp_ring *ring)
{
	return ring->position - __atomic_load_n(ring->consumer, __ATOMIC_RELAXED);
}

uint64_t fp_ring_end(const struct fp_ring *ring)
{
	return __atomic_load_n(ring->producer, __ATOMIC_ACQUIRE);
}

uint64_t fp_ring_waiting(const struct fp_ring *ring)
{
	return fp_ring_end(ring) - __atomic_load_n(ring->consumer, __ATOMIC_RELAXED);
}

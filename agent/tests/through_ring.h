/* An io_uring of one entry, without a library; one of them in a process. */
#ifndef FP_AGENT_TESTS_THROUGH_RING_H
#define FP_AGENT_TESTS_THROUGH_RING_H

#include <errno.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static char *ring_sq, *ring_cq;
static struct io_uring_sqe *ring_sqes;

/* The next result, which is waited for. */
__attribute__((unused)) static int next_result(int ring, struct io_uring_params *p)
{
	unsigned *head = (unsigned *)(ring_cq + p->cq_off.head), *tail = (unsigned *)(ring_cq + p->cq_off.tail);

	while (*head == __atomic_load_n(tail, __ATOMIC_ACQUIRE))
		if (syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0 && errno != EINTR)
			return -errno;
	int result = ((struct io_uring_cqe *)(ring_cq + p->cq_off.cqes))[*head & (p->cq_entries - 1)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

/* Submits one operation and waits for its (first) result. */
static int through_ring(int ring, struct io_uring_params *p, struct io_uring_sqe operation)
{
	unsigned *tail;

	if (!ring_sq) {
		ring_sq = mmap(NULL, p->sq_off.array + p->sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
			       IORING_OFF_SQ_RING);
		ring_cq = mmap(NULL, p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE,
			       MAP_SHARED, ring, IORING_OFF_CQ_RING);
		ring_sqes = mmap(NULL, p->sq_entries * sizeof(*ring_sqes), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
				 IORING_OFF_SQES);
	}
	ring_sqes[0] = operation;
	((unsigned *)(ring_sq + p->sq_off.array))[0] = 0;
	tail = (unsigned *)(ring_sq + p->sq_off.tail);
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, NULL, 0) != 1)
		return -errno;
	return next_result(ring, p);
}

#endif

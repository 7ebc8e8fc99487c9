/* An io_uring of one entry, without a library; one of them in a process. */
#ifndef FP_AGENT_TESTS_THROUGH_RING_H
#define FP_AGENT_TESTS_THROUGH_RING_H

#include <errno.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Submits one operation and waits for its result. */
static int through_ring(int ring, struct io_uring_params *p, struct io_uring_sqe operation)
{
	static char *sq, *cq;
	static struct io_uring_sqe *sqes;
	unsigned *tail, *head;

	if (!sq) {
		sq = mmap(NULL, p->sq_off.array + p->sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED, ring,
			  IORING_OFF_SQ_RING);
		cq = mmap(NULL, p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE,
			  MAP_SHARED, ring, IORING_OFF_CQ_RING);
		sqes = mmap(NULL, p->sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
	}
	sqes[0] = operation;
	((unsigned *)(sq + p->sq_off.array))[0] = 0;
	tail = (unsigned *)(sq + p->sq_off.tail);
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, NULL, 0) != 1)
		return -errno;
	head = (unsigned *)(cq + p->cq_off.head);
	int result = ((struct io_uring_cqe *)(cq + p->cq_off.cqes))[*head & (p->cq_entries - 1)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return result;
}

#endif

/*
 * A runtime assist's board, shown by a recorded process, and which ENTERs came of
 * it.  For the tests of what the kernel side takes from it.
 */
#ifndef FP_AGENT_TESTS_BOARD_H
#define FP_AGENT_TESTS_BOARD_H

#define RING_SIZE (1 << 24) /* what is done is looked at when all is done */
#include "agent/tests/recorded.h"

#include <pthread.h>
#include <sys/mman.h>

static unsigned char *board;

static void put_id(size_t at, unsigned char id)
{
	memset(board + at, 0, 16);
	board[at + 7] = 1; /* id_hi is 1, id_lo the id */
	board[at + 15] = id;
}

static int show_board(size_t size)
{
	board = mmap(NULL, FP_BOARD_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	return write((int)FP_BOARD_DESCRIPTOR, board, size) != -1 || errno != EBADF;
}

static int touch(void)
{
	return open(in_directory("a"), O_RDWR | O_CREAT, 0600) < 0;
}

/* The id of the last ENTER before the n-th record of the type, by the same thread; 0: none. */
static uint64_t entered_before(enum fp_event_type type, unsigned n)
{
	const struct fp_event *event = nth(type, n);
	uint64_t id = 0;

	for (const struct fp_event *e = events; e < event; e++)
		if (e->type == FP_EVENT_TYPE_MARK && e->tid == event->tid) {
			assert_int_equal(e->mark, FP_MARK_VERSION << 8 | FP_MARK_ENTER);
			assert_int_equal(e->id_hi, e->id_lo ? 1 : 0);
			id = e->id_lo;
		}
	return id;
}

#endif

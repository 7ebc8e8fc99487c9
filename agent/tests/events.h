/*
 * Makes events as the kernel side would, for tests of what comes after it.
 */
#ifndef FP_AGENT_TESTS_EVENTS_H
#define FP_AGENT_TESTS_EVENTS_H

#include <string.h>

#include "schema/schema.h"

enum { CGROUP = 77, WATCHDOG = 100, NODE = 200, CHILD = 300 };

static uint64_t test_time = 1000000000;

static inline struct fp_event make_event(enum fp_event_type type, uint64_t tgid, uint64_t tid, uint64_t turn)
{
	struct fp_event event = {.type = type};

	test_time += 1000000;
	event.time = event.start = test_time;
	event.cgroup = CGROUP;
	event.tgid = tgid;
	event.tid = tid;
	event.process_start = tgid;
	event.turn = turn;
	return event;
}

static inline struct fp_event make_mark(uint64_t tgid, unsigned mark, unsigned id)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_MARK, tgid, tgid, 0);

	event.mark = FP_MARK_VERSION << 8 | mark;
	event.id_hi = id ? 0x0123456789abcdef : 0;
	event.id_lo = id;
	event.ns_tgid = tgid == WATCHDOG ? 1 : 7;
	return event;
}

/* One end of a TCP connection between ports of this host: `local` to `remote`. */
static inline void set_connection(struct fp_event *event, uint64_t ino, unsigned local, unsigned remote)
{
	event->ino = ino;
	event->netns = 9;
	event->family = 2;
	event->protocol = 6;
	event->local_lo = event->remote_lo = 0xffff7f000001;
	event->local_port = local;
	event->remote_port = remote;
}

/* The watchdog marks its connection (port 40000 to 3000) when `written` bytes have gone through it. */
static inline struct fp_event make_connection_mark(unsigned id, unsigned port, uint32_t written)
{
	struct fp_event event = make_mark(WATCHDOG, FP_MARK_CONNECTION, id);

	set_connection(&event, 5000 + port, port, 3000);
	event.tx_base = 99; /* the opener's: one less than what the peer sees */
	event.tx_end = 100 + written;
	return event;
}

/* The function, an event loop, reads up to byte `end` of that connection. */
static inline struct fp_event make_request_read(uint64_t turn, unsigned port, uint32_t bytes, uint32_t end)
{
	struct fp_event event = make_event(FP_EVENT_TYPE_RECEIVE, NODE, NODE, turn);

	set_connection(&event, 6000 + port, 3000, port);
	event.rx_base = 100;
	event.rx_end = 100 + end;
	event.tx_base = event.tx_end = 700;
	event.bytes = bytes;
	event.flags = 04002; /* O_RDWR | O_NONBLOCK */
	return event;
}

static inline uint8_t last_byte(struct fp_str id)
{
	return id.len == FP_REQUEST_ID_SIZE ? (uint8_t)id.data[FP_REQUEST_ID_SIZE - 1] : 0;
}

#endif

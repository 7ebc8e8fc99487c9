/*
 * Which request did this?  Fed with all events of a node in the order in which
 * the kernel recorded them, it keeps who is in which request's context and notes
 * on each event its unit, request, attribution and rule.  Pure: no I/O, no clock;
 * the same events give the same notes, from a live kernel or a recording.
 *
 * A request's context spreads like this, strongest evidence first:
 *   connection  bytes on the connection that the watchdog marked for the request
 *   header      bytes on a connection where no watchdog marks, after a request that bears an id
 *   child       a process that the watchdog forked for the request
 *   descriptor  a socket that was opened, or last written to, in the context; a pipe made in it
 *   turn        a thread that read one of the above and has not waited since
 *   inherited   a process forked by a thread in the context
 *   sole        nothing else, but just one request is in flight in the container
 *   left-behind the same, but what runs can have been left by one that has ended: they are named, as ambiguous
 *   in-flight   nothing else, and several are: all are named, as ambiguous
 * A context never spreads further than its evidence: what was ambiguous stays so.
 */
#ifndef FP_AGENT_ATTRIBUTE_H
#define FP_AGENT_ATTRIBUTE_H

#include "agent/bounds.h"
#include "schema/schema.h"

/* Requests in flight in one container; of more, the first are named. */
#define FP_IN_FLIGHT_MAX 256

struct fp_attributor;

int fp_attributor_new(struct fp_attributor **ret_attributor);
struct fp_attributor *fp_attributor_free(struct fp_attributor *attributor);

/* The process of the event is its container's watchdog. */
typedef void (*fp_watchdog_fn)(void *arg, const struct fp_event *event);
void fp_attributor_set_watchdog_fn(struct fp_attributor *attributor, fp_watchdog_fn fn, void *arg);

/*
 * `faasprov-agent run`: from now on everything is this one request.
 */
void fp_attributor_set_whole_run(struct fp_attributor *attributor, const uint8_t id[FP_REQUEST_ID_SIZE]);

/* What has to be added to events' times for those of the wall clock, ns: when its seconds begin, some timers are due (attribute_behind.c). */
void fp_attributor_set_clock(struct fp_attributor *attributor, int64_t offset);

/*
 * Notes the event.  A MARK becomes BEGIN, END or REFUSED.  1: keep the event;
 * 0: it served attribution only and says nothing to the store; -ENOMEM.
 * The strings it sets live until the next call.
 */
int fp_attributor_note(struct fp_attributor *attributor, struct fp_event *event);

/* What a request says of itself on the wire. */
struct fp_asked {
	struct fp_str call_id, traceparent, method, url, forwarded;
};
#define FP_ASKED_EVENTS 2
/*
 * The head of a request came in or went out with the event, a RECEIVE or SEND that
 * is not noted yet.  In a container without a marking watchdog it begins an
 * invocation, or goes on with one (attribute_header.c).  The number of events to
 * be stored before this one (END of the one before on that connection, BEGIN),
 * noted already; their strings live until the next call.  -ENOMEM.
 */
int fp_attributor_asked(struct fp_attributor *attributor, const struct fp_event *event, const struct fp_asked *asked,
			struct fp_event ret[FP_ASKED_EVENTS]);
/* The whole answer is out with the event, or the connection's end came in.  1: `ret_end` is to be stored; 0. */
int fp_attributor_answered(struct fp_attributor *attributor, const struct fp_event *event, unsigned status,
			   struct fp_event *ret_end);

/*
 * Records are missing (of a container, or of the whole node with cgroup 0):
 * contexts that could have changed meanwhile are no longer believed.
 */
void fp_attributor_doubt(struct fp_attributor *attributor, uint64_t cgroup);
/* The same of a container's run of refused records; and the last of these that it was told of, or 0. */
void fp_attributor_lost(struct fp_attributor *attributor, uint64_t cgroup, unsigned run, uint64_t time);
unsigned fp_attributor_run(const struct fp_attributor *attributor, uint64_t cgroup);

/*
 * Of an event that moved bytes by a number that may have stood for something else when the call began (FP_FD_IN_DOUBT):
 * a TCP stream's own numbers can prove that it did not, and then the event is as any other; else it loses its payload,
 * which is of nobody knows what.  To be called before the payload is read; fp_attributor_note deals with the rest.
 */
void fp_attributor_weigh(const struct fp_attributor *attributor, struct fp_event *event);

/*
 * What it remembers is bounded from outside (agent/bounds.h): these are for fp_bounds_add().  What is forgotten
 * weakens answers and never makes them wrong (attribute_forget.c); where it could have told whose work
 * something was, `fn` hears of it, with the container (0: not known).
 */
#define FP_ATTRIBUTE_TABLES 9
unsigned fp_attributor_look(const void *attributor, struct fp_bound *ret);
void fp_attributor_forget(void *attributor, unsigned table);
typedef void (*fp_forgotten_fn)(void *arg, uint64_t cgroup);
void fp_attributor_set_forgotten_fn(struct fp_attributor *attributor, fp_forgotten_fn fn, void *arg);

/*
 * For an agent that goes on where this one was killed: which requests each container has in
 * flight and has served, its watchdog, which processes, threads and bytes on connections belong to which request,
 * what threads and loops rested on, and whose the sockets and pipes are that were used last: who comes back to another
 * one is not believed to be the first.  What does not fit in `room` bytes is counted and left out.
 */
struct fp_buffer;
void fp_attributor_save(const struct fp_attributor *attributor, size_t room, struct fp_buffer *out);
/* Into a fresh attributor.  0, -EBADMSG, -ENOMEM. */
int fp_attributor_restore(struct fp_attributor *attributor, const uint8_t *data, size_t len, size_t *pos,
			  uint64_t *ret_left_out);

struct fp_attributor_stats {
	uint64_t begun, ended, refused, followed, overflowed;
};
const struct fp_attributor_stats *fp_attributor_stats(const struct fp_attributor *attributor);

#endif

/*
 * What attribution remembers: threads, processes, connections, sockets, pipes
 * and containers, with the context of each, and the requests in flight.  Shared
 * by attribute.c, attribute_channel.c and attribute_mark.c, and by nobody else.
 */
#ifndef FP_AGENT_ATTRIBUTE_STATE_H
#define FP_AGENT_ATTRIBUTE_STATE_H

#include "agent/attribute.h"
#include "agent/bounds.h"
#include "agent/context.h"
#include "agent/hash.h"
#include "base/text.h"

/* Marks kept per connection: the last ones decide, earlier requests have been read. */
#define MARKS_PER_STREAM 8

/*
 * Requests that have ended but may have left work behind, which the runtime
 * assist can still name.  A container serves so many in some seconds at most.
 */
#define FP_ENDED_MAX 1024

/* Requests that left servers behind, in one container; of more, the first ones' are taken for anybody's when they are asked. */
#define FP_LISTENING_MAX 32

#define AF_UNIX_NUMBER 1
#define O_NONBLOCK_FLAG 04000

struct task_key {
	uint64_t id; /* tid or tgid */
	uint64_t start; /* of the process */
};

struct thread {
	struct task_key key;
	bool used; /* since it was last looked at for room, as in all of these */
	bool unsure; /* what was known of it had to make room: until it rests, nothing tells for whom it works */
	uint64_t cgroup;
	struct fp_context context;
	uint64_t turn; /* in which the context was entered */
	bool blocks; /* it reads its connections one by one: the context lasts longer than a turn */
	struct fp_context assist; /* what the runtime's last ENTER on it says */
	uint64_t last; /* end of the last event */
	struct fp_context forks; /* CHILD mark: what it forks belongs here */
	uint64_t since; /* since when it is at work without a rest, or its birth; 0: not known */
	uint64_t giver; /* when the loop that gave it that work had come back to the turn in which it did; 0: not known */
	bool polls; /* it is an event loop's */
	uint64_t loop; /* descriptor that it waits with */
	uint64_t seen_turn; /* of its last event, and how often those in flight had changed at the first of that turn */
	uint64_t seen_changes;
	uint64_t seen_time; /* when that first was */
	bool took_in; /* and it took something in from a descriptor */
	UT_hash_handle hh;
};

struct loop_key {
	uint64_t id, start; /* of the process */
	uint64_t fd;
};

/* Timers that came by themselves lately, and in how many equal steps at a time some do (attribute_habit.c). */
#define FP_LONE_MAX 16
#define FP_HABITS_MAX 4
struct habit {
	uint64_t last, step; /* ns; step 0: none */
	uint64_t blamed; /* the last at which something was done that may be its work; 0: none */
};

/* An event loop, and when a timer that the requests in flight did not make can fire in it. */
struct loop {
	struct loop_key key;
	bool used;
	uint64_t cgroup;
	uint64_t due; /* of all timers, as last told; 0: none is pending */
	bool unsure; /* a rest has shown what is pending, of a process whose work moves; another must say the same */
	uint64_t earliest; /* of others' timers, while nobody begins or ends; UINT64_MAX: none */
	bool shadowed; /* that is no timer's time, but until when none can have shown behind another */
	bool did; /* by then something was done which may be that timer's work */
	uint64_t changes; /* for which `earliest` holds */
	uint64_t rested; /* end of its last rest, as last told */
	bool busy; /* it has taken in something since, without resting again */
	uint64_t doubt_from, doubt_to; /* from then until the end of that rest others' timers can have run in it, last */
	uint64_t lone[FP_LONE_MAX]; /* when some of no habit were due, the newest first; 0: none */
	struct habit habits[FP_HABITS_MAX];
	UT_hash_handle hh;
};

struct process {
	struct task_key key;
	bool used;
	uint64_t cgroup;
	struct fp_context inherited;
	bool moves; /* its work goes from thread to thread (Go) */
	uint64_t loop; /* then: the descriptor that all of them wait with; else of the loop that rested last */
	bool answers; /* it has a loop and a pool whose threads tell the loop when they have done what it gave them */
	uint64_t doubted; /* `changes` of the container when its pool was at work on what can be others', */
	unsigned doubt_turns; /* in how many turns of the loop from then on what that led to can be taken in, */
	uint64_t clean_since; /* and when the loop was in the first turn after those */
	uint64_t mixed; /* where work moves: when a thread was last at work on what can be others' */
	uint64_t pool_changes; /* the same when its pool made a record last, */
	unsigned pool_turns; /* and in how many turns of the loop from then on what that led to can be taken in */
	UT_hash_handle hh;
};

struct stream_key {
	uint64_t netns, src_hi, src_lo, dst_hi, dst_lo;
	uint64_t ports; /* src << 16 | dst */
};

/* The watchdog's side of a connection to the function: from which byte on it belongs to which request. */
struct stream {
	struct stream_key key;
	bool used;
	uint64_t cgroup;
	struct {
		uint32_t base, offset;
		struct fp_context context;
	} marks[MARKS_PER_STREAM];
	unsigned n;
	UT_hash_handle hh;
};

struct channel_key {
	uint64_t object, ino; /* pipes and sockets number their inodes apart */
};

/* A socket or pipe. */
struct channel {
	struct channel_key key;
	bool used;
	uint64_t cgroup; /* 0: nothing was done on it that attribution has to know */
	uint64_t placed; /* when it took its place in the table, whose order is that of use: what is saved is the end of it */
	struct fp_context context;
	uint32_t tx_base, rx_base; /* as first seen; later readings could be torn */
	uint64_t peer_ino; /* unix; of a place in memory: whose it is */
	bool passes_on; /* a request goes out here to another process of its container */
	bool pipelined; /* a server's: several requests wait on it for an answer, and `context` names them */
	bool answering; /* something was sent on it since a request was read */
	bool connected; /* its process made the connection */
	bool written;
	bool answered; /* something came back since it was last written to */
	bool shared; /* several requests have used it at once: what comes back is nobody's for certain */
	bool makers; /* one request made it, and no other has written to it */
	bool in_family; /* who made it had been forked in that request */
	uint32_t tx_end, rx_end; /* of a TCP stream: up to where its bytes have been told; 0: not known */
	uint64_t doubts; /* of the container, when it was certain that nothing on it is missing (attribute_doubt.c) */
	struct handed *handed; /* attribute_handed.c; NULL: it was there before, or is none that is followed */
	UT_hash_handle hh;
};

struct container {
	uint64_t cgroup;
	bool used;
	uint64_t forgot; /* when the last was forgotten that it did: a thread, loop or connection; */
	uint64_t forgot_process; /* a process and whose it is */
	uint64_t unsaved; /* when an agent was killed that had not saved whose all connections were */
	struct task_key watchdog;
	bool has_watchdog;
	bool begun; /* it has served a request: no longer start-up */
	bool from_start; /* its first process was seen to become a program: a HELLO cannot have been missed */
	bool unmarked; /* it has answered a request that nobody marked */
	unsigned epoch;
	unsigned run; /* of refused records, the last that a record told of */
	uint64_t missed; /* when records were found missing: some may be in flight, or ended, of which nothing is known; 0: none is */
	bool tells_number; /* its watchdog tells how many are in flight */
	uint64_t doubts; /* how often bytes were moved of which it is not known through what (attribute_doubt.c) */
	uint64_t doubted_write; /* which of those was the last that went out */
	unsigned n_in_flight;
	uint8_t in_flight[FP_IN_FLIGHT_MAX][FP_REQUEST_ID_SIZE];
	unsigned n_ended; /* all in all; the newest are kept */
	bool leaves_work; /* it has done something with no request in flight, after one had ended */
	unsigned wary; /* of so many more requests that end it is taken for one that does: a timer of others may have done something */
	uint8_t marked[FP_REQUEST_ID_SIZE], read[FP_REQUEST_ID_SIZE]; /* whose connection was marked last, and whose bytes were read last */
	uint8_t unsent[FP_REQUEST_ID_SIZE]; /* the last to begin, where connections are marked, as long as its own is not */
	uint64_t read_at; /* when the first of those were */
	unsigned ended_room; /* grows up to FP_ENDED_MAX */
	uint8_t (*ended)[FP_REQUEST_ID_SIZE];
	struct fp_idset *all; /* those in flight as a set, made when needed */
	struct fp_idset *suspects; /* with those that ended last */
	uint64_t changes; /* how often a request began or ended */
	uint64_t changed; /* when, last */
	unsigned n_listening; /* all in all; the newest are kept */
	uint8_t listening[FP_LISTENING_MAX][FP_REQUEST_ID_SIZE]; /* requests whose processes have made themselves servers */
	UT_hash_handle hh;
};

struct fp_attributor {
	struct thread *threads;
	struct process *processes;
	struct stream *streams;
	struct channel *channels;
	struct container *containers;
	struct loop *loops;
	struct wire_request *wire_requests; /* attribute_header.c */
	struct read_request *read_requests; /* attribute_readers.c, with the next */
	struct made_process *made_processes;
	struct {
		uint64_t ino, time;
		unsigned n; /* heads that the last event which brought some has brought so far */
	} asked;
	uint8_t wire_ended[FP_REQUEST_ID_SIZE]; /* what the events that it made point to */
	char wire_peer[FP_ADDRESS_TEXT_SIZE];
	struct fp_idset *whole_run;
	int64_t clock_offset; /* of the wall clock, ns; 0: not known */
	fp_watchdog_fn watchdog;
	void *watchdog_arg;
	fp_forgotten_fn forgotten;
	void *forgotten_arg;
	uint64_t now; /* time of the event at hand */
	bool mixes; /* who did it can have been at work on what is others', if that was not reading its own request */
	bool came_before; /* which came before anybody had read of the only request in flight, but if it is that reading itself */
	uint64_t n_forgotten[FP_ATTRIBUTE_TABLES]; /* by table, as fp_attributor_look() has them */
	size_t ended_bytes; /* of all containers */
	struct fp_idset *shown; /* keeps the strings of the last event alive */
	struct fp_attributor_stats stats;
};

/* Finds an entry or makes it; NULL when memory ran out. */
struct thread *fp_state_thread(struct fp_attributor *a, const struct task_key *key);
struct process *fp_state_process(struct fp_attributor *a, const struct task_key *key);
struct stream *fp_state_stream(struct fp_attributor *a, const struct stream_key *key);
struct channel *fp_state_channel(struct fp_attributor *a, const struct channel_key *key);
struct loop *fp_state_loop(struct fp_attributor *a, const struct loop_key *key);
/* It is in use: takes its place among the last. */
void fp_state_use_channel(struct fp_attributor *a, struct channel *channel);
struct container *fp_state_container(struct fp_attributor *a, const uint64_t *cgroup);
void fp_state_drop_thread(struct fp_attributor *a, struct thread *thread);
void fp_state_drop_process(struct fp_attributor *a, struct process *process);
void fp_state_drop_stream(struct fp_attributor *a, struct stream *stream);
void fp_state_drop_channel(struct fp_attributor *a, struct channel *channel);
void fp_state_drop_loop(struct fp_attributor *a, struct loop *loop);
void fp_state_drop_container(struct fp_attributor *a, struct container *container);

bool fp_state_is_watchdog(const struct container *container, const struct fp_event *event);
/* The watchdog forked the event's process tree for one request, and that is not this one. */
bool fp_state_made_for_another(struct fp_attributor *a, const struct fp_event *event, const uint8_t id[FP_REQUEST_ID_SIZE]);
/* Place among those in flight, or -1. */
int fp_state_find_in_flight(const struct container *container, const uint8_t id[FP_REQUEST_ID_SIZE]);
/* In flight, or among the last that have ended. */
bool fp_state_has_served(const struct container *container, const uint8_t id[FP_REQUEST_ID_SIZE]);
/* Room for one more that has ended; false: there is none to be had. */
bool fp_state_ended_room(struct fp_attributor *a, struct container *container);
/* Something of the container is not known any more: to be told as lost. */
void fp_state_tell_forgotten(struct fp_attributor *a, uint64_t cgroup);
/* attribute_header.c, attribute_readers.c: how many there are, of what size; and one is given up. */
size_t fp_header_entries(const struct fp_attributor *a, size_t *ret_size);
void fp_header_forget(struct fp_attributor *a);
size_t fp_readers_requests(const struct fp_attributor *a, size_t *ret_size);
void fp_readers_forget_request(struct fp_attributor *a);
size_t fp_readers_processes(const struct fp_attributor *a, size_t *ret_size);
void fp_readers_forget_process(struct fp_attributor *a);
/* Adds to those in flight, or takes one away, which may still be named as ended.  0, or -ENOSPC. */
int fp_state_enter(struct container *container, const uint8_t id[FP_REQUEST_ID_SIZE], uint64_t time);
void fp_state_leave(struct fp_attributor *a, struct container *container, int place, uint64_t time);
/* To be called whenever the list of those in flight was changed. */
void fp_state_in_flight_changed(struct container *container, uint64_t time);
/* Those in flight as a set, which stays the container's. */
struct fp_idset *fp_state_all_in_flight(struct container *container);
/* No record that could have changed the context is missing since it was made. */
bool fp_state_believed(const struct fp_context *context, const struct container *container);
/* Those in flight are perhaps not all, or more than all, that are. */
bool fp_state_may_miss(const struct fp_attributor *a, const struct container *container);
/* Changes with all that can have gone through any channel of the container and was not told as that. */
unsigned fp_state_counted(const struct container *container);
/* The stream that goes out of the event's socket. */
struct stream_key fp_state_stream_from(const struct fp_event *event);

/* attribute.c: the thread works in this context from now on, as long as rules allow. */
void fp_attribute_enter(struct container *container, struct thread *thread, const struct fp_event *event,
			const struct fp_context *context);
/* attribute_channel.c: `ret` holds the thread's context and gets the event's. */
/* What the socket's ends are called, as it was first seen. */
void fp_attribute_settle(struct fp_attributor *a, struct fp_event *event);
void fp_attribute_socket(struct fp_attributor *a, struct container *container, struct thread *thread,
			 struct fp_event *event, struct fp_context *ret);
void fp_attribute_pipe(struct fp_attributor *a, struct container *container, struct thread *thread,
		       const struct fp_event *event, struct fp_context *ret);
/* attribute_doubt.c: the thread has moved bytes, and through what is in doubt.  To be called before it is attributed, */
void fp_doubt_begin(struct container *container, struct thread *thread, const struct fp_event *event);
/* and after, instead of what follows of its object: `ret` holds the thread's context.  1: keep the event; 0. */
int fp_doubt_end(struct fp_attributor *a, struct container *container, struct thread *thread, struct fp_event *event,
		 struct fp_context *ret);
/* Something was moved through the socket: is what is known of it still certain? */
void fp_doubt_stream(const struct container *container, struct channel *sock, const struct fp_event *event);
/* attribute_handed.c: a pipe, or one end of a pair of sockets, was made. */
void fp_handed_made(const struct container *container, struct channel *channel);
void fp_handed_done(struct channel *channel);
/* What goes into the channel, for that end which reads it, in the writer's context. */
void fp_handed_write(struct fp_attributor *a, const struct container *container, struct channel *to,
		     const struct fp_event *event, const struct fp_context *context);
/* What comes out of it.  True: `ret` and the thread's context are what follows of it; false: it says nothing new. */
bool fp_handed_read(struct fp_attributor *a, struct container *container, struct thread *thread, struct channel *from,
		    const struct fp_event *event, struct fp_context *ret);
/*
 * The process was asked by the request of `known`, or by nobody knows whom, on a channel that is not followed.
 * True: it is no longer of the request that it was forked in; and `ret` says so, if nobody knows whose it is.
 */
bool fp_handed_strange(struct fp_attributor *a, struct container *container, struct thread *thread,
		       const struct fp_event *event, const struct fp_context *known, struct fp_context *ret);
/* The process listens on a socket. */
void fp_handed_listen(struct fp_attributor *a, struct container *container, const struct fp_event *event);
void fp_attribute_header_done(struct fp_attributor *a);
void fp_attribute_header_yield(struct fp_attributor *a, struct container *container, uint64_t time);
/* attribute_behind.c: the thread has rested. */
int fp_behind_wait(struct fp_attributor *a, const struct container *container, struct thread *thread,
		   const struct fp_event *event);
/* The thread was started. */
void fp_behind_born(struct thread *thread, const struct fp_event *event);
/* The thread has ended, and with it the loop that it ran; with a process (else NULL) that work moves in, all have. */
void fp_behind_exit(struct fp_attributor *a, const struct thread *thread, const struct process *process,
		    const struct fp_event *event);
/* To be called with each event, before it is attributed. */
void fp_behind_note(struct fp_attributor *a, struct container *container, struct thread *thread,
		    const struct fp_event *event);
/*
 * Could what the thread does have been left behind by a request that has ended, and not be done for the one in flight,
 * of which it has read something in this turn or not?  With none in flight: by another than the one that the thread
 * last worked for?
 */
bool fp_behind_possible(struct fp_attributor *a, struct container *container, const struct thread *thread,
			const struct fp_event *event, bool has_read);
/* To be called with each event, after it is attributed: what it says itself of whose it is has been heard. */
void fp_behind_done(struct fp_attributor *a, const struct container *container, const struct thread *thread,
		    const struct fp_event *event);
/* Those in flight and those that ended last, as a set that stays the container's. */
struct fp_idset *fp_behind_suspects(struct container *container);
/* attribute_habit.c: a timer of others that was due then has come. */
void fp_habit_note(struct loop *loop, uint64_t due);
/* One is expected that is due then, and does nothing. */
bool fp_habit_expects(const struct loop *loop, uint64_t due);
/* The same, though something was done that may be its work: once that may be chance. */
bool fp_habit_forgives(struct loop *loop, uint64_t due);
/* attribute_readers.c: the request's connection was marked; a process read of it, or of others; a process was forked. */
void fp_readers_mark(struct fp_attributor *a, const struct container *container, const uint8_t id[FP_REQUEST_ID_SIZE]);
void fp_readers_read(struct fp_attributor *a, const uint8_t id[FP_REQUEST_ID_SIZE], const struct fp_event *event);
/* On a connection that it did not make and the watchdog did not mark. */
void fp_readers_elsewhere(struct fp_attributor *a, const struct fp_event *event);
void fp_readers_fork(struct fp_attributor *a, const struct fp_event *event);
/* It is certain that neither the event's process nor one that it descends from has read of the request, and another has. */
bool fp_readers_refute(struct fp_attributor *a, const struct container *container, const struct fp_event *event,
		       const uint8_t id[FP_REQUEST_ID_SIZE]);
void fp_readers_done(struct fp_attributor *a);
/* attribute_mark.c: judges a MARK; 1 keep the event, 0 it has served, -ENOMEM. */
int fp_attribute_mark(struct fp_attributor *a, struct container *container, struct thread *thread,
		      struct fp_event *event, struct fp_context *ret);

#endif

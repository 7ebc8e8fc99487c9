/*
 * Evidence made by hand, and the graph that comes of it.  Tests tell what
 * happened (a process forks, reads, sends) and then ask for edges by names:
 *
 *   process:<program>@<unit>   request:A   client:<ip>@A   file:<path>
 *   socket:<src> → <dst>@<unit>[ received]   pipe:<label>   object:<label>   host:<label>   gap:<label>
 *
 * A unit is a letter (the request whose id is that letter 16 times),
 * "start-up", "background" or "ambiguous".  Time goes on by a microsecond with
 * every event; the clock can be set.
 */
#ifndef FP_STITCHER_TESTS_LAB_H
#define FP_STITCHER_TESTS_LAB_H

#include "stitcher/stitch.h"

#define LAB_EPOCH 1800000000000000000ll /* wall clock of the boot */
#define LAB_TCP 6
#define LAB_UDP 17

/* For what the setup of a group of tests makes and not every test uses. */
#define LAB_MAYBE __attribute__((unused))

struct proc {
	uint64_t cgroup, tgid, start, exec;
};

struct lab_node {
	struct fp_store_node row;
	char *name, *key, *label, *function, *instance, *host, *attributes;
};

struct lab_edge {
	struct fp_store_edge row;
	char *candidates, *attributes;
};

struct lab_request {
	struct fp_store_request row;
	char *call_id, *trace_id, *function, *join;
};

struct lab {
	struct fp_stitch *stitch;
	struct fp_batch_header header;
	uint64_t now, seq;
	uint32_t index;
	/* what the next events belong to: a letter, or one of the words; candidates as letters */
	const char *unit, *candidates;
	enum fp_rule rule;
	uint64_t uid; /* as which programs are executed */
	struct fp_batch_writer *writer; /* may be NULL: gets all events too */

	struct lab_node *nodes;
	struct lab_edge *edges;
	struct lab_request *requests;
	struct fp_store_loss *losses;
	size_t n_nodes, n_edges, n_requests, n_losses;
};

void lab_init(struct lab *lab);
void lab_done(struct lab *lab);
/* From now on events come from this agent on this host, of this boot; a new batch. */
void lab_agent(struct lab *lab, const char *host, uint8_t agent, uint8_t boot, uint64_t batch_number);
/* Stitches; asserts that it works.  May be called again after more events. */
void lab_make(struct lab *lab);
/* Takes the graph that a store holds instead. */
void lab_take(struct lab *lab, struct fp_store *store);

/* --- what happens ------------------------------------------------------------- */

struct fp_event lab_event(struct lab *lab, enum fp_event_type type, const struct proc *proc);
/* Hands the event to the stitcher; time goes on. */
void lab_add(struct lab *lab, const struct fp_event *event);
struct fp_str lab_str(const char *text);

void lab_container(struct lab *lab, uint64_t cgroup, const char *id, const char *function);
/* A child with the parent's program; its pid is given. */
struct proc lab_fork(struct lab *lab, const struct proc *parent, uint64_t tgid);
/* argv: words separated by blanks. */
void lab_exec(struct lab *lab, struct proc *proc, const char *path, uint64_t ino, const char *argv);
/* The same, called by a name of its own. */
void lab_exec_as(struct lab *lab, struct proc *proc, const char *path, const char *comm, uint64_t ino, const char *argv);
void lab_exit(struct lab *lab, const struct proc *proc, int status);
void lab_open(struct lab *lab, const struct proc *proc, const char *path, uint64_t ino, uint64_t flags);
void lab_read(struct lab *lab, const struct proc *proc, uint64_t ino, uint64_t bytes);
void lab_write(struct lab *lab, const struct proc *proc, uint64_t ino, uint64_t bytes);
void lab_pipe(struct lab *lab, const struct proc *proc, enum fp_event_type type, uint64_t ino, uint64_t bytes);

struct link { /* one end of a connection */
	const char *local, *remote; /* ip:port */
	uint64_t netns, protocol;
	uint32_t tx_base, rx_base, tx, rx; /* tx, rx: bytes so far */
};
/* The other end; `opener` bases differ by one from the acceptor's. */
struct link lab_link(const char *local, const char *remote);
struct link lab_other_end(const struct link *link);
void lab_socket(struct lab *lab, const struct proc *proc, enum fp_event_type type, struct link *link, uint64_t bytes);
void lab_message(struct lab *lab, const struct proc *proc, const struct link *link, enum fp_app app, const char *method,
		 const char *host, const char *url, const char *name);
void lab_begin(struct lab *lab, const struct proc *watchdog, const char *request, const char *forwarded, const char *peer,
	       const char *url);
void lab_end(struct lab *lab, const struct proc *watchdog, const char *request, unsigned status);

/* --- what came of it ------------------------------------------------------------ */

/* How many edges there are; "" or 0 stand for any. */
size_t lab_count(const struct lab *lab, const char *from, enum fp_edge_kind kind, const char *to);
/* The only such edge; fails when there is none, or are several. */
const struct lab_edge *lab_edge(const struct lab *lab, const char *from, enum fp_edge_kind kind, const char *to);
const struct lab_node *lab_node(const struct lab *lab, const char *name);
const struct lab_request *lab_request(const struct lab *lab, const char *request);
/* Fails with the whole graph on standard error unless it has so many edges. */
void lab_expect_edges(const struct lab *lab, size_t n);
/* Can `to` be reached from `from` along edges in the order of time?  Clients and hosts are not passed through. */
bool lab_reaches(const struct lab *lab, const char *from, const char *to);

#endif

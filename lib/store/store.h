/*
 * The store: evidence (batches, exactly as agents made them) with an index, and
 * the graph that the stitcher derives from it.  The aggregator and the agent's
 * `run` put batches; the stitcher reads batches and replaces the graph; the
 * query tool only reads.  Knows nothing of sockets or of how a graph is made.
 *
 * Evidence is append-only.  The graph is derived: it can be dropped and made
 * again from the evidence at any time, and says up to which batch it reaches.
 *
 * An engine (SQLite today) implements struct fp_store_engine in engine.h.
 *
 * Errors: negative errno.  -ENOTSUP no engine for the URL, -ENOENT no such store, -EBADMSG not a store or a
 * damaged one, -EPROTO made by an incompatible version, -EROFS cannot write,
 * -EBUSY another process holds it, -EIO, -ENOSPC, -ENOMEM.  fp_store_error()
 * has the sentence for people.
 */
#ifndef FP_STORE_STORE_H
#define FP_STORE_STORE_H

#include "schema/schema.h"
#include "wire/batch.h"

struct fp_store;

enum fp_store_mode { FP_STORE_READ, FP_STORE_WRITE, FP_STORE_CREATE };

/* `url`: a path (SQLite).  On failure *ret_store is NULL and ret_error, if given, says why in one line. */
int fp_store_open(const char *url, enum fp_store_mode mode, struct fp_store **ret_store, char ret_error[256]);
struct fp_store *fp_store_close(struct fp_store *store);
/* Less helps nobody: SQLite's pages that one batch touches. */
#define FP_STORE_CACHE_MIN (256u << 10)
/* Most that the engine keeps of the evidence in memory (64 MiB unless it is said).  0, -EINVAL: less than the least, others. */
int fp_store_set_cache(struct fp_store *store, size_t bytes);
/* The last failure as a sentence; belongs to the store. */
const char *fp_store_error(const struct fp_store *store);
/*
 * Reads all of the evidence's structure (not its meaning, which the hash chain
 * of the batches tells): pages, tables, indices, and that no guard was taken out.
 * 0, or -EBADMSG with what is damaged.
 */
int fp_store_check(struct fp_store *store);
/* Whether what the store says of a batch beside its frame (of `len` bytes) is what the frame says.  0, or -EBADMSG. */
int fp_store_check_batch(struct fp_store *store, uint64_t batch_id, const struct fp_batch *batch, size_t len);
/* The same as fp_store_check of the graph, and fp_store_sealed with reading.  1, 0 there is no graph, -EBADMSG. */
int fp_store_check_graph(struct fp_store *store);
/*
 * Whether the graph is, byte for byte, the one that was committed last beside
 * this evidence: who can write its file alone cannot change it unseen.  A file
 * that is as it was left then, by its number, size and time of change, is
 * believed unless it is `reading`; any other is read.  Not within a callback of
 * the same store.  1, 0 there is no graph, -EBADMSG it is another.
 */
int fp_store_sealed(struct fp_store *store, bool reading);

/* --- evidence ------------------------------------------------------------ */

/*
 * Stores a frame that was checked with fp_batch_open (given too, for the index).
 * Durable on return.  1 stored, 0 was there already (same agent and number, same
 * bytes), -EEXIST the same number with other bytes (evidence of tampering).
 */
int fp_store_put_batch(struct fp_store *store, const uint8_t *frame, size_t len, struct fp_batch *batch);
/*
 * Puts between begin and commit are durable together at commit, and not before.
 * After a put that failed with anything but -EEXIST the group is aborted; abort
 * (or a crash) forgets all of it.
 */
int fp_store_group_begin(struct fp_store *store);
int fp_store_group_commit(struct fp_store *store);
int fp_store_group_abort(struct fp_store *store);
/* Highest number stored for an agent (0: none) and that frame's hash. */
int fp_store_last_batch(struct fp_store *store, const uint8_t agent[16], uint64_t *ret_number,
			uint8_t ret_hash[FP_BATCH_HASH_SIZE]);

typedef int (*fp_store_batch_fn)(void *arg, uint64_t batch_id, const uint8_t *frame, size_t len);
/*
 * Calls fn for each batch with id > after, in id order; stops at the first non-zero return and gives it back.
 * -EBADMSG also at a frame that is not the one that was stored; a walk from after its id goes on behind it.
 */
int fp_store_each_batch(struct fp_store *store, uint64_t after, fp_store_batch_fn fn, void *arg);
/*
 * The same by index: batches with an event of a request (as its own or as a
 * candidate; also of another whose id begins with the same 8 bytes), of a container, or of a time range (wall clock, both ends included).
 */
int fp_store_batches_of_request(struct fp_store *store, const uint8_t request[FP_REQUEST_ID_SIZE],
				fp_store_batch_fn fn, void *arg);
int fp_store_batches_of_instance(struct fp_store *store, const char *host, const uint8_t boot[16], uint64_t cgroup,
				 fp_store_batch_fn fn, void *arg);
int fp_store_batches_between(struct fp_store *store, uint64_t since, uint64_t until, fp_store_batch_fn fn, void *arg);

struct fp_store_totals {
	uint64_t batches, events, bytes; /* bytes: of the frames as stored */
	uint64_t first, last; /* wall clock, ns */
	uint64_t nodes, edges, requests;
	uint64_t last_batch; /* id of the newest batch */
	uint64_t stitched_batch; /* the graph reaches up to this batch id */
};
int fp_store_totals(struct fp_store *store, struct fp_store_totals *ret_totals);

/* --- graph ---------------------------------------------------------------- */
/* Times are wall clock in ns since 1970.  Strings are NUL-terminated, NULL when not known. */

struct fp_store_node {
	uint64_t id; /* from 1 */
	enum fp_node_kind kind;
	const char *key; /* what makes it the same node again; unique */
	const char *label; /* for people: path, program, URL, host:port */
	const char *function, *instance, *host;
	uint8_t request[FP_REQUEST_ID_SIZE];
	bool has_request; /* the unit it belongs to is a request */
	enum fp_unit unit; /* for processes */
	uint64_t first, last;
	const char *attributes; /* JSON object with whatever else is known: pid, argv, uid, status, call_id, ... */
};

struct fp_store_edge {
	uint64_t id; /* from 1 */
	uint64_t from, to; /* node ids, cause and effect */
	enum fp_edge_kind kind;
	uint64_t first, last; /* from when the effect is possible, until when it went on */
	uint64_t count, bytes;
	uint8_t request[FP_REQUEST_ID_SIZE];
	bool has_request;
	enum fp_attribution attribution;
	enum fp_rule rule;
	const char *candidates; /* for ambiguous: invocation ids in hex, separated by commas */
	uint64_t batch; /* where its first event is: batch id and index of the event in it */
	uint32_t event;
	const char *attributes; /* JSON object: details such as new name, permission bits */
};

struct fp_store_request {
	uint8_t id[FP_REQUEST_ID_SIZE];
	uint64_t node; /* its request node */
	const char *call_id, *trace_id; /* names that lead to it; not unique */
	const char *function, *instance, *host, *method, *url;
	uint64_t first, last; /* last is 0 while it has not ended */
	int64_t status; /* HTTP status; -1 unknown */
	uint8_t parent[FP_REQUEST_ID_SIZE];
	bool has_parent;
	const char *join; /* how the parent was found: "forwarded-address", ...; NULL: from outside */
	uint64_t lost; /* records known to be missing while it ran in its container */
};

struct fp_store_loss {
	const char *host, *instance; /* instance NULL: the whole host */
	enum fp_loss cause;
	uint64_t first, last, lost;
};

/*
 * Replaces the graph in one transaction: begin, puts in any order, commit.
 * Edges and requests name nodes of the same graph (else commit is -EINVAL).  Nothing changes for readers
 * before commit; abort (or a crash) leaves the former graph.
 */
int fp_store_graph_begin(struct fp_store *store);
int fp_store_graph_put_node(struct fp_store *store, const struct fp_store_node *node);
int fp_store_graph_put_edge(struct fp_store *store, const struct fp_store_edge *edge);
int fp_store_graph_put_request(struct fp_store *store, const struct fp_store_request *request);
int fp_store_graph_put_loss(struct fp_store *store, const struct fp_store_loss *loss);
int fp_store_graph_commit(struct fp_store *store, uint64_t stitched_batch);
int fp_store_graph_abort(struct fp_store *store);

/*
 * Queries hand each row to a callback; the row and its strings live during the
 * call.  A non-zero return of the callback stops and is given back.  0 at the end.
 * A callback may query the same store again.
 *
 * A handle stays with the graph that its first query found, so that the ids of
 * one answer belong together, until it commits a graph itself or is asked for
 * the totals, which are always those of the newest.
 */
typedef int (*fp_store_node_fn)(void *arg, const struct fp_store_node *node);
typedef int (*fp_store_edge_fn)(void *arg, const struct fp_store_edge *edge);
typedef int (*fp_store_request_fn)(void *arg, const struct fp_store_request *request);
typedef int (*fp_store_loss_fn)(void *arg, const struct fp_store_loss *loss);

int fp_store_node(struct fp_store *store, uint64_t id, fp_store_node_fn fn, void *arg);
int fp_store_each_node(struct fp_store *store, fp_store_node_fn fn, void *arg);
/* Nodes of a kind (0: any) whose label is exactly, or ends with, or contains the text (tried in this order; the first that finds any wins). */
int fp_store_find_nodes(struct fp_store *store, enum fp_node_kind kind, const char *text, fp_store_node_fn fn, void *arg);
/* Nodes whose key begins with the text. */
int fp_store_nodes_by_key(struct fp_store *store, const char *prefix, fp_store_node_fn fn, void *arg);
int fp_store_nodes_of_request(struct fp_store *store, const uint8_t request[FP_REQUEST_ID_SIZE], fp_store_node_fn fn, void *arg);
/* Edges that end (into) or begin (out of) at a node, ordered by first. */
int fp_store_edges_into(struct fp_store *store, uint64_t node, fp_store_edge_fn fn, void *arg);
int fp_store_edges_out_of(struct fp_store *store, uint64_t node, fp_store_edge_fn fn, void *arg);
int fp_store_each_edge(struct fp_store *store, fp_store_edge_fn fn, void *arg);
/*
 * Requests by invocation id (hex, with or without dashes), X-Call-Id or trace id; when there is none, those whose
 * invocation id begins with the name (6 hex digits at least).
 */
int fp_store_find_requests(struct fp_store *store, const char *name, fp_store_request_fn fn, void *arg);
/* All requests ordered by first. */
int fp_store_each_request(struct fp_store *store, fp_store_request_fn fn, void *arg);
/* Losses that touch a time range. */
int fp_store_each_loss(struct fp_store *store, uint64_t since, uint64_t until, fp_store_loss_fn fn, void *arg);

#endif

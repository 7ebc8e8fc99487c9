/*
 * One making of the graph from the evidence, pass by pass:
 *
 *   order     all items by wall clock, each machine's by (time, cpu, number)
 *   survey    requests' begin and end, programs of processes, roles of connections
 *   join      which message of which caller made which request
 *   streams   which bytes received are those of which send
 *   correct   clocks of machines, by what they sent each other; then all this once more
 *   resolve   item by item into operations between nodes, and findings
 *   failures  what failed, by whom; what of it calls for a look
 *   losses    gaps, and which requests they concern
 *   merge     operations into edges
 *   emit      keys, labels and attributes, out to the sink
 *
 * Each pass is a source of its own and reads only what passes before it left
 * here.  The evidence is not changed, but for the clock corrections.
 */
#ifndef FP_STITCHER_BUILD_H
#define FP_STITCHER_BUILD_H

#include "stitcher/clock.h"
#include "stitcher/evidence.h"
#include "stitcher/graph.h"

struct fp_request_state {
	uint32_t begin, end; /* items, or FP_NONE */
	uint32_t source; /* whose events speak of it */
	uint32_t container; /* FP_NONE: not known */
	uint32_t node;
	uint32_t caller; /* node that made it: a process unit or a client */
	uint32_t message; /* item: the caller's message; FP_NONE: from outside */
	uint32_t callback_of; /* the request whose result this one was given; FP_NONE: of none */
	uint32_t maybe_at, maybe_n; /* messages that may be the call, when one cannot be told: maybe[] */
	const char *join; /* how the caller was found */
	uint32_t first_return; /* item: the first of the answer that the function gave, or FP_NONE */
	uint64_t first, last; /* wall clock: from begin to end; without these, of all its events */
	uint64_t lost;
};

struct fp_process_state {
	uint32_t node; /* where it stands now; FP_NONE: nowhere yet */
	uint32_t parent, parent_exec; /* who forked it, with which program; FP_NONE: not seen */
	uint32_t root_of; /* request whose first process it is, or FP_NONE */
	uint32_t moved; /* item: that it first came from another cgroup; FP_NONE */
	uint32_t left; /* item: that it was moved, last, to where nothing is recorded; FP_NONE */
	bool is_watchdog; /* it marked the begin of a request */
	bool exited;
	int32_t status;
};

/* The role of one end's connection, by the stream that goes out of it. */
struct fp_link {
	uint32_t joined, other; /* messages on it that are / are not calls of recorded functions */
	uint32_t accepted; /* item: who accepted what this stream reaches, or FP_NONE */
	uint32_t node, unit; /* the socket node used last, number + 1, and its unit; node 0: none yet */
	bool was_open; /* before recording began */
	bool connected; /* who opened it is recorded */
	bool is_received; /* some end that is recorded received from it */
};

/* What came back for a message: the head of the answer on its connection. */
struct fp_reply {
	uint32_t item; /* FP_NONE: not seen, or not told apart from another's */
	uint32_t call_id; /* text: the id that the gateway gave the call */
	uint32_t status;
};

struct fp_path_role {
	bool is_own, is_joined;
};

/* A receive and the unit whose bytes, or some of them, it got. */
struct fp_overlap {
	uint32_t unit; /* of the sender */
	uint64_t bytes;
};

/* Program of (process, exec id). */
struct fp_image {
	uint32_t exec; /* item */
};

/* What a process in a unit could not do: one operation with one error, however often, on whatever. */
#define FP_FAILED_NAMES_MAX 16
struct fp_failed {
	uint64_t count, first, last; /* wall clock */
	uint32_t item; /* the first */
	uint32_t names[FP_FAILED_NAMES_MAX]; /* texts: what was tried, the first of them in order */
	uint32_t n_names;
	uint32_t next; /* of the same process in the same unit; FP_NONE */
	bool has_more; /* names than these */
};

struct fp_gap {
	uint32_t boot, host; /* where; host is a text */
	uint32_t container; /* FP_NONE: the whole host */
	uint32_t request; /* FP_NONE: all that ran then */
	uint32_t cause;
	bool missing_batches; /* `lost` counts batches, not records */
	uint32_t batch, index; /* of the event that says so */
	uint64_t first, last; /* wall clock */
	uint64_t lost;
};

struct fp_build {
	struct fp_evidence *evidence;
	const struct fp_stitch_sink *sink;
	struct fp_graph graph;

	uint32_t *order; /* items in order */
	struct fp_request_state *requests;
	struct fp_process_state *processes;
	struct fp_link *links; /* by stream */
	struct fp_path_role *path_roles; /* by path */
	uint32_t *joined; /* by message (detail of its item): request, or FP_NONE */
	uint32_t *answers; /* by message: the item that received the first bytes after it, or FP_NONE */
	struct fp_reply *replies; /* by message */
	uint32_t *maybe; /* items of messages */
	size_t n_maybe, maybe_room;
	struct fp_intern bounds_by; /* (boot, boot) */
	struct fp_clock_bound *bounds;
	size_t bounds_room;
	struct fp_intern guarded; /* (container, enum guarded of findings.c, number): what is the watchdog's */
	struct fp_intern images_by;
	struct fp_image *images;
	size_t images_room;

	/* overlaps of the item's receive: overlaps[overlap_at[item] .. overlap_at[item] + overlap_n[item]) */
	struct fp_overlap *overlaps;
	size_t n_overlaps, overlaps_room;
	uint32_t *overlap_at, *overlap_n;

	struct fp_gap *gaps;
	size_t n_gaps, gaps_room;

	struct fp_file_state {
		uint64_t last; /* wall clock of what touched it last; 0: nothing yet */
		uint32_t before; /* files that had this identity and are gone */
		uint32_t node; /* of the one that is there now; 0: none yet, else number + 1 */
		/* of a pipe: the first process that used it, and what has been done with it */
		uint32_t user;
		bool is_read, is_written, is_shared;
		/* before recording began, and by which name (text; 0: none) */
		bool was_open;
		uint32_t first_path;
	} *files;
	struct fp_path_entry {
		uint32_t path, next;
	} *path_list; /* by number in path_seen */
	size_t path_list_room;
	struct fp_intern path_seen; /* (node, path) */

	struct fp_intern failed_by; /* what makes one of failed[] */
	struct fp_failed *failed;
	size_t failed_room;
	struct fp_intern failed_units; /* (process, exec id, unit) */
	struct fp_failed_list {
		uint32_t first, last; /* in failed[] */
	} *failed_lists; /* by number in failed_units */
	size_t failed_lists_room;

	struct fp_stitch_counts counts;
};

int fp_build_order(struct fp_build *build);
int fp_build_survey(struct fp_build *build);
int fp_build_join(struct fp_build *build);
/* Parts of the join: what was answered to messages; and, by names of calls, the callers that addresses do not tell. */
int fp_build_replies(struct fp_build *build);
int fp_build_join_names(struct fp_build *build);
int fp_build_streams(struct fp_build *build);
/*
 * Corrects the clocks of the evidence.  1 when that changed any (then the passes
 * before are to be made anew), 0, or an error.
 */
int fp_build_correct(struct fp_build *build);
int fp_build_resolve(struct fp_build *build);
/* Which ports and process ids are watchdogs'; after the survey. */
int fp_build_watchdogs(struct fp_build *build);
int fp_build_losses(struct fp_build *build);
int fp_build_emit(struct fp_build *build);

/* Tells the sink how far a pass is; what it returns.  Cheap unless `done` is a multiple of 65536. */
int fp_build_progress(struct fp_build *build, const char *what, uint64_t done, uint64_t total);

/* What happened at `start` caused what was over at `last`: a bound for the clocks of the two.  0, -ENOMEM, -EFBIG. */
int fp_build_bound(struct fp_build *build, const struct fp_item *from, uint64_t start, const struct fp_item *to,
		   uint64_t last);

/* --- shared by resolve.c, resolve_object.c -------------------------------- */

/* The node of the process and unit that the item is of; notes that the process stands there now. */
int fp_build_enter(struct fp_build *build, const struct fp_item *item, uint32_t *ret_node);
/* The operation of the item, without ends. */
struct fp_op fp_build_op(const struct fp_build *build, const struct fp_item *item, enum fp_edge_kind kind);
int fp_build_add(struct fp_build *build, struct fp_op op, uint32_t from, uint32_t to);
/* Node of a request; made when it is not there. */
int fp_build_request_node(struct fp_build *build, uint32_t request, uint32_t *ret_node);
/* The node of the item's file or pipe, which knows its path from now on. */
int fp_build_file(struct fp_build *build, const struct fp_item *item, uint32_t *ret_node);
/* Number of a JSON object as attributes; takes the reference. */
struct json_t;
int fp_build_attributes(struct fp_build *build, struct json_t *object, uint32_t *ret_attributes);
/* What the item shows that calls for a look (findings.c). */
int fp_build_finding(struct fp_build *build, const struct fp_item *item);
/* What failed, and the findings of it (failures.c); after fp_build_resolve. */
int fp_build_failures(struct fp_build *build);
/* First of failed[] of a process in a unit, or FP_NONE. */
uint32_t fp_build_failed_of(const struct fp_build *build, uint32_t process, uint32_t exec_id, uint32_t unit);
/* Operation, error and names, into a JSON object. */
void fp_build_describe_failed(const struct fp_build *build, const struct fp_failed *failed, struct json_t *object);
/* Items about files, pipes, sockets and messages. */
int fp_build_object(struct fp_build *build, const struct fp_item *item, uint32_t number);
/* Is the connection of the item nothing but calls of recorded functions, which have edges of their own? */
bool fp_build_is_call(const struct fp_build *build, const struct fp_item *item);

static inline uint64_t fp_build_wall(const struct fp_build *build, const struct fp_item *item, uint64_t time)
{
	return fp_evidence_wall(build->evidence, fp_item_source(build->evidence, item)->boot, time);
}

/* Can the message have been sent at or before `time`, a moment of the item, as far as clocks can be trusted? */
bool fp_build_sent_before(const struct fp_build *build, const struct fp_item *message, const struct fp_item *item,
			  uint64_t time);
/*
 * From when on what a request, which is over, answered can have been handed on.
 * The END mark follows the last byte of the answer, so whoever got that can be
 * faster than the mark.
 */
const struct fp_item *fp_build_result(const struct fp_build *build, const struct fp_request_state *request);
/* Does the message name the item's function in its path? */
bool fp_build_names_function(const struct fp_build *build, const struct fp_item *message, const struct fp_item *begin);
/* Did the caller get what the request answered? Not when it gave up, nor when the gateway answered in its place. */
bool fp_build_is_answered(const struct fp_build *build, const struct fp_request_state *request);

/* Request of a unit, or FP_NONE. */
static inline uint32_t fp_unit_request(uint32_t unit)
{
	return unit >= FP_UNIT_FIRST_REQUEST ? unit - FP_UNIT_FIRST_REQUEST : FP_NONE;
}

/* The item's container if something is known of it, else FP_NONE. */
static inline uint32_t fp_item_container(const struct fp_build *build, const struct fp_item *item)
{
	return build->evidence->containers[item->container].known ? item->container : FP_NONE;
}

#endif

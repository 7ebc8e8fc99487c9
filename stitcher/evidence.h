/*
 * The events of a store as the stitcher holds them: one compact item per event,
 * with everything it names (processes, files, streams, requests, texts) replaced
 * by dense numbers.  Built by adding events batch by batch, in any order; read
 * by the passes that make the graph, which never change it, so that more events
 * can be added and the graph made again.
 *
 * Everything that comes in is hostile: numbers out of range are taken for
 * "unknown", texts are made clean, an event that means nothing is counted as
 * invalid and left out.  Memory is bounded by struct fp_stitch_limits.
 */
#ifndef FP_STITCHER_EVIDENCE_H
#define FP_STITCHER_EVIDENCE_H

#include "schema/schema.h"
#include "stitcher/intern.h"
#include "stitcher/stitch.h"

/* Units as one number: these three, or FP_UNIT_FIRST_REQUEST + number of the request. */
enum { FP_UNIT_IS_BACKGROUND, FP_UNIT_IS_STARTUP, FP_UNIT_IS_AMBIGUOUS, FP_UNIT_FIRST_REQUEST };

/* What an item's `object` numbers. */
enum fp_item_kind {
	FP_ITEM_PLAIN, /* nothing */
	FP_ITEM_FILE, /* a file, directory or pipe: files[] */
	FP_ITEM_UNIX, /* this end of a unix socket: unix_ends[] */
	FP_ITEM_STREAM /* object: the stream out of here, peer: the one into here */
};

/* In `flags`: the open made the file (FP_OPEN_CREATED does not fit). */
#define FP_ITEM_CREATED (1u << 31)
#define FP_ITEM_SHARED (1u << 30) /* beside the protection of what was mapped before recording began */

struct fp_item {
	uint64_t time, start, last; /* CLOCK_BOOTTIME; start <= time <= last */
	uint64_t seq;
	uint64_t bytes;
	uint32_t batch, index; /* number of the batch here; index of the event in it */
	uint32_t process, exec_id;
	uint32_t unit;
	uint32_t candidates; /* text: invocation ids */
	uint32_t container;
	uint32_t object, peer;
	uint32_t path, new_path; /* texts; path of FAILED: what was tried, whatever it is */
	uint32_t detail; /* of FORK the child; of EXEC, MESSAGE, BEGIN, CONTROL a number in execs[] and so on; of REFUSED a text */
	uint32_t count;
	uint32_t value; /* last byte's sequence number; mode; status; cause; mark; port; operation */
	uint32_t flags; /* of the call; FP_ITEM_CREATED */
	int32_t result;
	uint16_t cpu;
	uint8_t type, kind, attribution, rule;
	uint8_t naming;
};

struct fp_boot {
	int64_t offset; /* one for all its times, so that their order never changes */
	int64_t correction; /* added to it, found from what hosts sent each other (clock.h) */
};

/* How far the clock of `to` is behind that of `from`, by what the two sent each other. */
struct fp_skew {
	uint32_t from, to;
	int64_t least, most; /* ns; the truth lies between */
};

struct fp_source { /* an agent's stream during one boot */
	uint32_t agent, boot;
	uint32_t host; /* text */
};

struct fp_batch_ref {
	uint64_t id, number;
	uint64_t first_time, last_time; /* CLOCK_BOOTTIME */
	uint32_t source;
	uint32_t unread; /* events in it, none of which could be read; 0: it was read */
};

struct fp_process {
	uint32_t boot;
	uint64_t start, tgid;
	uint32_t host; /* text */
	uint32_t refused; /* marks that were not believed */
	uint32_t refusal; /* text: why the last was not */
	bool seen; /* it has an event of its own; the first is: */
	uint64_t first_time, first_seq;
	uint32_t first_unit, first_exec;
	uint32_t first_candidates;
	uint8_t first_type;
};

struct fp_container {
	uint32_t boot;
	uint64_t cgroup;
	bool known; /* an agent said what it is */
	uint32_t host, id, function, image, path, replica; /* texts */
};

struct fp_file {
	uint32_t boot, host;
	bool is_pipe;
	bool by_path; /* the kernel gave no inode: told apart by container and path only */
	uint64_t dev, ino, gen;
};

struct fp_unix_end {
	uint32_t boot, host;
	uint64_t ino;
	uint32_t peer; /* the other end, or FP_NONE */
};

struct fp_endpoint {
	uint64_t hi, lo;
	uint64_t netns; /* of loopback addresses; 0: the address means the same everywhere */
	uint32_t boot; /* with netns: number + 1 */
	uint16_t port;
};

struct fp_path { /* who sends to whom: endpoints */
	uint32_t from, to;
	uint32_t protocol;
};

struct fp_stream { /* one direction of one connection */
	uint32_t path;
	uint32_t base;
};

struct fp_exec {
	uint32_t argv, comm; /* texts; argv with NULs */
	uint32_t uid, gid, pid;
	uint32_t parent; /* process, or FP_NONE */
};

struct fp_control { /* what the process is after it */
	uint32_t attribute; /* text */
	uint32_t uid, gid, euid, egid;
	uint64_t capabilities;
	/* of a change of mounts: what was mounted, and what it covers; ino 0: not known */
	uint64_t dev, ino, place_dev, place_ino;
};

struct fp_message {
	uint32_t name, method, url, host_name, call_id, rows; /* texts */
	uint32_t status;
	uint8_t app, direction;
};

struct fp_begin {
	uint32_t call_id, traceparent, method, url, forwarded, peer; /* texts */
};

/* A connection's streams, so that they are looked up once and not at every transfer. */
#define FP_SOCKET_MEMORY 4096
struct fp_socket_memory {
	uint64_t key[12];
	uint32_t out, in;
	bool is_set;
};

struct fp_evidence {
	struct fp_stitch_limits limits;

	struct fp_item *items;
	size_t n_items, items_room;

	/* number 0 of texts is the empty one */
	struct fp_intern texts, agents, boots_by, sources_by, processes_by, containers_by, files_by, unix_by,
		endpoints_by, paths_by, streams_by, requests, lookups_by;
	struct fp_boot *boots;
	struct fp_source *sources;
	struct fp_batch_ref *batches;
	struct fp_process *processes;
	struct fp_container *containers;
	struct fp_file *files;
	struct fp_unix_end *unix_ends;
	struct fp_endpoint *endpoints;
	uint32_t *lookups; /* text: names of the address */
	struct fp_path *paths;
	struct fp_stream *streams;
	struct fp_exec *execs;
	struct fp_message *messages;
	struct fp_begin *begins;
	struct fp_control *controls;
	size_t boots_room, sources_room, batches_room, processes_room, containers_room, files_room, unix_room,
		lookups_room, endpoints_room, paths_room, streams_room, execs_room, messages_room, begins_room,
		controls_room;
	size_t n_batches, n_execs, n_messages, n_begins, n_controls;

	/* what the last event named: the next one is mostly of the same process, request and connection */
	struct {
		uint64_t process_boot, process_start, process_tgid;
		uint64_t container_boot, cgroup;
		char request[FP_REQUEST_ID_SIZE];
		uint32_t process, container, request_number;
		bool has_process, has_container, has_request;
	} last;
	struct fp_socket_memory *sockets; /* by inode number, modulo FP_SOCKET_MEMORY */

	struct fp_skew *skews; /* between boots that spoke both ways; of the last making */
	size_t n_skews;

	uint64_t n_events, n_invalid;
};

void fp_evidence_init(struct fp_evidence *evidence, const struct fp_stitch_limits *limits);
void fp_evidence_done(struct fp_evidence *evidence);
/* The batch that the next events are of.  0, -ENOMEM, -EFBIG. */
int fp_evidence_batch(struct fp_evidence *evidence, uint64_t batch_id, const struct fp_batch_header *header);
/* A batch of which nothing but the header could be read.  0, -ENOMEM, -EFBIG. */
int fp_evidence_damaged_batch(struct fp_evidence *evidence, uint64_t batch_id, const struct fp_batch_header *header);
/* 1 kept, 0 nothing to keep, -EFBIG beyond the limits, -ENOMEM. */
int fp_evidence_add(struct fp_evidence *evidence, const struct fp_event *event, uint32_t index);

/* --- between evidence.c, evidence_socket.c and identity.c -------------------- */

int fp_evidence_process(struct fp_evidence *evidence, uint32_t boot, uint32_t host, uint64_t start, uint64_t tgid,
			uint32_t *ret_process);
int fp_evidence_container(struct fp_evidence *evidence, uint32_t boot, uint64_t cgroup, uint32_t *ret_container);
int fp_evidence_unit(struct fp_evidence *evidence, const struct fp_event *event, uint32_t *ret_unit);
/* Fills kind and object of the item; `object`: enum fp_object, taken for the event's. */
int fp_evidence_file(struct fp_evidence *evidence, const struct fp_event *event, uint64_t object, struct fp_item *item);

/* Number of a text made clean.  0, -ENOMEM, -EFBIG. */
int fp_evidence_text(struct fp_evidence *evidence, struct fp_str text, uint32_t *ret_text);
/* Fills what is special to sockets: kind, object, peer, value.  0, -ENOMEM, -EFBIG. */
int fp_evidence_socket(struct fp_evidence *evidence, const struct fp_event *event, struct fp_item *item);
/* Text of the URL that a request is about; without a Host the server's address stands for its name. */
int fp_evidence_url(struct fp_evidence *evidence, const struct fp_event *event, uint32_t *ret_text);
/* The key of a store with the server in front, because servers have keys of the same name: *ret_text is replaced. */
int fp_evidence_key(struct fp_evidence *evidence, const struct fp_event *event, const struct fp_item *item,
		    uint32_t *ret_text);
/* The server's address as a name, for what does not tell its own. */
int fp_evidence_server(struct fp_evidence *evidence, const struct fp_event *event, const struct fp_item *item,
		       uint32_t *ret_text);
/* Keeps the name that was looked up.  0, -ENOMEM, -EFBIG. */
int fp_evidence_lookup(struct fp_evidence *evidence, const struct fp_event *event);
/* The names of an address, or NULL when none was looked up. */
const char *fp_evidence_names(const struct fp_evidence *evidence, uint64_t hi, uint64_t lo);
int fp_evidence_unix_end(struct fp_evidence *evidence, struct fp_item *item, uint64_t ino, uint32_t *ret_end);

static inline const char *fp_text(const struct fp_evidence *evidence, uint32_t text)
{
	return fp_intern_key(&evidence->texts, text, NULL);
}

static inline const struct fp_source *fp_item_source(const struct fp_evidence *evidence, const struct fp_item *item)
{
	return &evidence->sources[evidence->batches[item->batch].source];
}

/* CLOCK_BOOTTIME of a boot as wall clock in ns; never beyond what a signed number holds. */
uint64_t fp_evidence_wall(const struct fp_evidence *evidence, uint32_t boot, uint64_t time);

#endif

/*
 * Makes the provenance graph from events, exactly as docs/graph.md says.  The
 * program faasprov-stitcher feeds it the batches of a store and writes what
 * comes out; tests feed it events made by hand.  Knows no store and no wire
 * format beyond the structures; does no I/O.
 *
 * Life cycle: new, then any number of (batch, event ...), then make; after more
 * batches make again gives the whole new graph.  The result depends on the
 * events only, not on the order of batches of different agents.
 */
#ifndef FP_STITCHER_STITCH_H
#define FP_STITCHER_STITCH_H

#include "base/cleanup.h"
#include "store/store.h"

/* What may be held in memory; a store with more is refused with -EFBIG. */
struct fp_stitch_limits {
	uint64_t items; /* events that are kept: about 250 bytes each until the graph is written */
	uint64_t text_bytes; /* distinct paths, arguments, URLs */
};
#define FP_STITCH_ITEMS_MAX 50000000ull
#define FP_STITCH_TEXT_MAX (4ull << 30)

/* Where the graph goes.  A negative return stops and is given back by make. */
struct fp_stitch_sink {
	void *arg;
	int (*node)(void *arg, const struct fp_store_node *node);
	int (*edge)(void *arg, const struct fp_store_edge *edge);
	int (*request)(void *arg, const struct fp_store_request *request);
	int (*loss)(void *arg, const struct fp_store_loss *loss);
	/* May be NULL.  Called now and then; `what` is the pass.  Negative stops. */
	int (*progress)(void *arg, const char *what, uint64_t done, uint64_t total);
};

struct fp_stitch_counts {
	uint64_t events, invalid; /* in; of these: meant nothing and were left out */
	uint64_t nodes, edges, requests, operations; /* out; operations: edges before merging */
	uint64_t joined; /* requests whose caller was found */
	uint64_t lost; /* records known to be missing */
};

struct fp_stitch;

/* `limits` may be NULL: FP_STITCH_*_MAX.  0 or -ENOMEM. */
int fp_stitch_new(const struct fp_stitch_limits *limits, struct fp_stitch **ret_stitch);
struct fp_stitch *fp_stitch_free(struct fp_stitch *stitch);
FP_DEFINE_CLEANUP(struct fp_stitch, fp_stitch_free)
/* The events added next are of this batch.  0, -ENOMEM, -EFBIG. */
int fp_stitch_batch(struct fp_stitch *stitch, uint64_t batch_id, const struct fp_batch_header *header);
/* Of this batch nothing but the header could be read: a gap.  The same errors. */
int fp_stitch_damaged_batch(struct fp_stitch *stitch, uint64_t batch_id, const struct fp_batch_header *header);
/* Copies what matters of the event with this index in the batch.  0, -EFBIG, -ENOMEM. */
int fp_stitch_event(struct fp_stitch *stitch, const struct fp_event *event, uint32_t index);
/*
 * Gives the whole graph: all nodes, then edges ordered by `first`, requests,
 * losses.  0, -ENOMEM, or what the sink returned.
 */
int fp_stitch_make(struct fp_stitch *stitch, const struct fp_stitch_sink *sink);
/*
 * Each machine's clock that was put forward in the last make, or was compared with
 * another's: the host, by how much, and how far behind the other it was, at least
 * and at most (`other` NULL: not compared).
 */
typedef void (*fp_stitch_clock_fn)(void *arg, const char *host, int64_t corrected, const char *other, int64_t least,
				   int64_t most);
void fp_stitch_each_clock(const struct fp_stitch *stitch, fp_stitch_clock_fn fn, void *arg);
/* As of the last make. */
void fp_stitch_counts(const struct fp_stitch *stitch, struct fp_stitch_counts *ret_counts);

#endif

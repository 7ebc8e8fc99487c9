/*
 * Where a search can be: nodes, split as flow.h's rules need it, and what the
 * search knows of each.  Private to slices.
 */
#ifndef FP_GRAPH_SLICE_PLACE_H
#define FP_GRAPH_SLICE_PLACE_H

#include "graph/flow.h"
#include "graph/rows.h"
#include "graph/source.h"

/* An insertion that runs out of memory must be an error, not an exit. */
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->unhashed = true)
#include <uthash.h>

#define FP_WHO_MAX (2 * FP_REQUEST_ID_SIZE)

/* Must have no padding: it is hashed. */
struct fp_place_name {
	uint32_t node; /* index in the graph */
	/* Of a file: of its content.  Of an object: the filter imposed by the edge by which the search came; 0: none. */
	uint32_t version;
	/*
	 * Of an ambiguous unit: a candidate.  Of an object: the request that something
	 * was given to ("-": to none, "*": to any).  Empty: all else.
	 */
	char who[FP_WHO_MAX];
};

struct fp_place {
	struct fp_place_name name;
	uint64_t time; /* best so far */
	uint64_t next; /* best in the layer being made */
	bool reached, reached_next;
	bool done; /* taken from the queue: time is final */
	bool unhashed;
	UT_hash_handle hh;
};

/* What had to be read of a node before it could be split. */
struct fp_place_node {
	uint32_t node;
	struct fp_versions versions; /* of a file */
	struct fp_routines routines; /* of an object */
	struct fp_store_edge *given; /* of an object: edges from hosts, by request; copies */
	size_t n_given, given_size;
	bool unhashed;
	UT_hash_handle hh;
};

/* What the statement said by whose edge the search came to an object. */
struct fp_filter {
	char *rows;
	/* backward: until when it read; forward: since when writes like it are a routine */
	uint64_t time;
};

struct fp_places {
	const struct fp_source *source;
	struct fp_graph *graph;
	struct fp_place *places;
	struct fp_place_node *nodes;
	bool all_writers; /* routine writes are followed, too */
	struct fp_filter *filters;
	uint32_t n_filters, filters_size;
};

void fp_places_done(struct fp_places *places);
/* The place with the name; NULL when out of memory. */
struct fp_place *fp_place_get(struct fp_places *places, uint32_t node, uint32_t version, const char *who, size_t len);
/* What splits a file or an object; reads the source the first time.  0, -ENOMEM or what the source returns. */
int fp_place_node(struct fp_places *places, uint32_t node, struct fp_place_node **ret_node);
/* The request of an edge as a name's `who`: 32 digits, or "-". */
void fp_place_who(const struct fp_store_edge *row, char out[FP_WHO_MAX + 1]);
/* Calls fn for each edge that was given to whom the place names; stops at a non-zero return and gives it back. */
int fp_place_each_given(struct fp_places *places, const struct fp_place *place, fp_store_edge_fn fn, void *arg);
/* The filter that a put (forward) or get (backward) of the object imposes.  0 or -ENOMEM. */
int fp_place_filter(struct fp_places *places, struct fp_place_node *node, enum fp_slice_direction direction,
		    const struct fp_store_edge *row, uint32_t *ret_filter);
/* An edge into (backward) or out of (forward) the node concerns this place of it. */
bool fp_place_has(struct fp_places *places, const struct fp_place *place, enum fp_slice_direction direction,
		  const struct fp_store_edge *row);
/* An edge into the object that does not, for no other reason than that it is a routine write. */
bool fp_place_holds_back(struct fp_places *places, const struct fp_place *place, const struct fp_store_edge *row);

#endif

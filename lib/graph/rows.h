/*
 * Which writes of a table a read of it can have seen, by what their statements say
 * of rows (`rows` of put and get edges, as agent/app/sql_rows.h makes it).
 *
 *   rows      statements that want different values of one column never meet
 *   routine   a query for all rows has seen every write there ever was.  Where many
 *             requests wrote alike (same verb, same columns), that such a write was
 *             among them explains nothing about this query, and to follow each of
 *             them would put their whole stories into the answer.  So a routine
 *             write is followed from reads that name their rows only.
 *
 * Used by slices and paths.  Hostile edges at worst say that they meet.
 */
#ifndef FP_GRAPH_ROWS_H
#define FP_GRAPH_ROWS_H

#include "graph/graph.h"

/*
 * So many requests that wrote alike make a routine of it: one is an event, two can
 * be cause and repetition.
 */
#define FP_ROUTINE_REQUESTS 3

/* What the edge says of rows; empty: nothing.  Borrows from the edge. */
struct fp_str fp_rows_of(const struct fp_store_edge *row);
/* All rows. */
bool fp_rows_all(struct fp_str rows);
/* Statements that say so can be about the same row. */
bool fp_rows_meet(struct fp_str a, struct fp_str b);

/* Since when each kind of write to one object is a routine. */
struct fp_routines {
	struct fp_routine {
		uint64_t kind; /* digest of verb and columns */
		uint64_t time; /* first write of a request; after settling: since when */
		uint8_t request[FP_REQUEST_ID_SIZE];
	} *list;
	size_t n, size;
};

void fp_routines_done(struct fp_routines *routines);
/* Takes a put edge into account; others do nothing.  0 or -ENOMEM. */
int fp_routines_add(struct fp_routines *routines, const struct fp_store_edge *row);
/* To be called after the last of them. */
void fp_routines_settle(struct fp_routines *routines);
/* Since when writes like this are a routine; UINT64_MAX: they are none. */
uint64_t fp_routines_since(const struct fp_routines *routines, const struct fp_store_edge *row);

#endif

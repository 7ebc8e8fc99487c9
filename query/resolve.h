/*
 * From what people type to rows of the store: names of requests, and node
 * expressions.  Says on standard error what is wrong with a name.
 *
 * A node expression is KIND:TEXT (`file:/home/app/x.sh`: the label is, or ends
 * with, or contains TEXT), a node's whole key, a node's id as in JSON (`n17`),
 * or `request:NAME`.
 */
#ifndef FP_QUERY_RESOLVE_H
#define FP_QUERY_RESOLVE_H

#include "query/question.h"
#include "query/rows.h"

/*
 * Adds the request with the name: an invocation id, its first six digits or last
 * eight or more (as reports show them), an X-Call-Id or a trace id; with `all`, all of them.  FP_EXIT_DONE;
 * FP_EXIT_NOTHING when there is none; FP_EXIT_USAGE when several bear the name
 * (they are listed); FP_EXIT_INPUT or FP_EXIT_SYSTEM when the store cannot be read.
 */
enum fp_exit fp_resolve_request(struct fp_store *store, const struct fp_question *question, const char *name,
				struct fp_requests *requests);
/* The same for a node expression; `request:NAME` adds the request instead. */
enum fp_exit fp_resolve_nodes(struct fp_store *store, const struct fp_question *question, const char *expression,
			      struct fp_graph *nodes, struct fp_requests *requests);

#endif

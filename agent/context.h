/*
 * A context: the request, or requests, that a thread, process or socket works
 * for, and why we think so.  Sets of ids are shared and counted, because one
 * ambiguous set is soon held by many.  Internal to attribution.
 */
#ifndef FP_AGENT_CONTEXT_H
#define FP_AGENT_CONTEXT_H

#include "schema/schema.h"

struct fp_idset {
	unsigned references;
	unsigned n;
	uint8_t ids[][FP_REQUEST_ID_SIZE];
};

struct fp_context {
	struct fp_idset *ids; /* NULL: no request */
	enum fp_attribution attribution;
	enum fp_rule rule;
	unsigned epoch; /* of the container when it was made; an older one is not believed */
};

/* A set with one reference, or NULL when memory ran out. */
struct fp_idset *fp_idset_new(const uint8_t (*ids)[FP_REQUEST_ID_SIZE], unsigned n);
struct fp_idset *fp_idset_hold(struct fp_idset *set);
struct fp_idset *fp_idset_release(struct fp_idset *set);

/* The context takes a reference of its own. */
void fp_context_set(struct fp_context *context, struct fp_idset *ids, enum fp_attribution attribution,
		    enum fp_rule rule, unsigned epoch);
/* As another, but by another rule: what was ambiguous stays ambiguous, what was exact becomes at most `most`. */
void fp_context_follow(struct fp_context *context, const struct fp_context *from, enum fp_rule rule,
		       enum fp_attribution most);
void fp_context_clear(struct fp_context *context);

#endif

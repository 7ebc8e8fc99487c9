/*
 * Calls that take a name (rename, unlink, chmod) leave no descriptor behind, and
 * at their exit the name may be gone.  This remembers which object each name
 * of a container was last seen to be, from the calls that show both, and fills in
 * the identity where only the name is known.  A name never seen keeps ino 0,
 * which the stitcher takes as "object not known".  Pure.
 */
#ifndef FP_AGENT_NAMES_H
#define FP_AGENT_NAMES_H

#include "agent/bounds.h"
#include "schema/schema.h"

/* Names remembered, at most: the ones not used for long go first, and earlier when room is scarce (agent/bounds.h). */
#define FP_NAMES_MAX (1u << 16)

struct fp_names;

int fp_names_new(struct fp_names **ret_names);
struct fp_names *fp_names_free(struct fp_names *names);
/*
 * Learns from, or completes, the event; its paths are cleaned of ".", ".." and
 * doubled slashes, into memory that lives until the next call.  0 or -ENOMEM.
 */
int fp_names_note(struct fp_names *names, struct fp_event *event);

/* For fp_bounds_add(). */
unsigned fp_names_look(const void *names, struct fp_bound *ret);
void fp_names_forget(void *names, unsigned table);

#endif

/*
 * Calls that take a name (rename, unlink, chmod) leave no descriptor behind, and
 * at their exit the name may be gone.  This remembers which object each name
 * of a container was last seen to be, from the calls that show both, and fills in
 * the identity where only the name is known.  A name never seen keeps ino 0,
 * which the stitcher takes as "object not known".  Pure.
 */
#ifndef FP_AGENT_NAMES_H
#define FP_AGENT_NAMES_H

#include "schema/schema.h"

/* Names remembered; the oldest goes first.  About 16 MiB at the usual length. */
#define FP_NAMES_MAX (1u << 16)

struct fp_names;

int fp_names_new(struct fp_names **ret_names);
struct fp_names *fp_names_free(struct fp_names *names);
/*
 * Learns from, or completes, the event; its paths are cleaned of ".", ".." and
 * doubled slashes, into memory that lives until the next call.  0 or -ENOMEM.
 */
int fp_names_note(struct fp_names *names, struct fp_event *event);

#endif

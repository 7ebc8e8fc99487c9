/*
 * Which socket is plaintext for?  A TLS library's calls carry an address of its
 * own for the connection (the session), not a descriptor.  Two kinds of evidence
 * lead from there to a socket:
 *   inside   the thread moved bytes on an encrypted socket between the call's
 *            begin and end (OpenSSL on a descriptor: curl, Python's ssl)
 *   beside   the library only fills memory (Node, asyncio): what is written is
 *            sent by the same thread next; what is read it received last
 * Inside always wins.  Beside binds only a session and a socket that have no
 * partner yet, and only when no other session of the thread waits to be sent:
 * otherwise the plaintext is dropped, and the connection stays opaque.
 *
 * Pure; the pipeline feeds it through agent/messages.h.
 */
#ifndef FP_AGENT_PLAINTEXT_H
#define FP_AGENT_PLAINTEXT_H

#include "agent/bounds.h"
#include "schema/schema.h"

/* Sessions and threads that are followed; the oldest goes first. */
#define FP_PLAINTEXT_ENTRIES_MAX 8192

struct fp_plaintext;

/*
 * Plaintext of the connection that `socket` (a SEND or RECEIVE, with the
 * attribution it was noted with) is about: the first `have` of `total` bytes.
 */
typedef int (*fp_plaintext_fn)(void *arg, const struct fp_event *socket, bool outgoing, const void *data, size_t have,
			       size_t total);

int fp_plaintext_new(fp_plaintext_fn fn, void *arg, struct fp_plaintext **ret_plaintext);
struct fp_plaintext *fp_plaintext_free(struct fp_plaintext *plaintext);
/* A SEND or RECEIVE on a connection that is encrypted as far as we know.  0, -ENOMEM, or what fn returned. */
int fp_plaintext_moved(struct fp_plaintext *plaintext, const struct fp_event *event);
/* Has any process used a TLS library that is read? */
bool fp_plaintext_is_used(const struct fp_plaintext *plaintext);
/* A PLAIN event.  The same. */
int fp_plaintext_note(struct fp_plaintext *plaintext, const struct fp_event *event);

struct fp_plaintext_stats {
	uint64_t delivered, dropped;
};
const struct fp_plaintext_stats *fp_plaintext_stats(const struct fp_plaintext *plaintext);

/* For fp_bounds_add(): plaintext of what is forgotten is dropped until it is bound again. */
unsigned fp_plaintext_look(const void *plaintext, struct fp_bound *ret);
void fp_plaintext_forget(void *plaintext, unsigned table);

#endif

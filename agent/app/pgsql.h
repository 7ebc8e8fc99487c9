/*
 * The frontend/backend protocol of PostgreSQL (3.0) on one connection: which
 * tables the client's statements touch, by simple queries or by Parse, Bind and
 * Execute.  Private to agent/app.
 *
 * Messages are followed by their lengths over as many sends as they take; where
 * that is no longer possible, the next is believed to begin at the next turn
 * whose bytes are a row of well-formed messages.  A statement that was parsed or
 * bound in a send whose rest was not captured counts as executed: drivers send
 * Execute in the same breath.  Of parameters nothing is looked at.
 */
#ifndef FP_AGENT_APP_PGSQL_H
#define FP_AGENT_APP_PGSQL_H

#include "agent/app/emit.h"

struct fp_pgsql;

/* NULL: no memory. */
struct fp_pgsql *fp_pgsql_new(void);
struct fp_pgsql *fp_pgsql_free(struct fp_pgsql *pgsql);
/* Is this a client's start of a connection, or a message with a statement? */
bool fp_pgsql_begins(const struct fp_app_input *input);
enum fp_app_verdict fp_pgsql_feed(struct fp_pgsql *pgsql, struct fp_app_input *input);

#endif

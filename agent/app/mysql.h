/*
 * The client/server protocol of MySQL and MariaDB on one connection: which
 * tables the client's statements touch.  Private to agent/app.
 *
 * Packets are followed by their lengths over as many sends as they take; where
 * that is no longer possible, the next command is believed to begin at the next
 * turn with a well-formed packet.  Statements prepared on the connection are
 * remembered by the id the server gave, so that their execution, which may come
 * in a much later request, says what it touches; preparing touches nothing.
 */
#ifndef FP_AGENT_APP_MYSQL_H
#define FP_AGENT_APP_MYSQL_H

#include "agent/app/emit.h"

struct fp_mysql;

/* NULL: no memory. */
struct fp_mysql *fp_mysql_new(void);
struct fp_mysql *fp_mysql_free(struct fp_mysql *mysql);
/* Is this a server's greeting, or a client's packet with a statement? */
bool fp_mysql_begins(const struct fp_app_input *input);
enum fp_app_verdict fp_mysql_feed(struct fp_mysql *mysql, struct fp_app_input *input);

#endif

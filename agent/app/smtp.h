/*
 * SMTP (and LMTP) on one connection: the envelope of each mail, one message for
 * each recipient that the client names, with the sender beside it.  Private to
 * agent/app.
 *
 * Of the mail itself nothing is kept: its end is looked for line by line, or
 * counted (BDAT); where the capture has a hole, the server's answer ends it.
 * Lines that are no commands are skipped, and with them what AUTH says.
 */
#ifndef FP_AGENT_APP_SMTP_H
#define FP_AGENT_APP_SMTP_H

#include "agent/app/emit.h"

struct fp_smtp;

/* NULL: no memory. */
struct fp_smtp *fp_smtp_new(void);
struct fp_smtp *fp_smtp_free(struct fp_smtp *smtp);
/* Does a client begin here, or begin a mail? */
bool fp_smtp_begins(const struct fp_app_input *input);
enum fp_app_verdict fp_smtp_feed(struct fp_smtp *smtp, struct fp_app_input *input);

#endif

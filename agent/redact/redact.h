/*
 * Takes known secrets out of text before it leaves the node: card numbers,
 * values of Authorization and Cookie, passwords and tokens by the name they are
 * given under, passwords on command lines, the user part of URLs, literals of
 * SQL.  The agent calls it for arguments, URLs, names and paths; it does no I/O.
 *
 * It masks what it has a reason to take for a secret, and nothing else: a
 * timestamp, an id or a path that was masked would be evidence lost.  So a
 * number is a card's only with an issuer's prefix, that issuer's length and the
 * right check digit; and a name must end in a word for a secret (`api_token`,
 * not `max_tokens`).
 *
 * Each masked part becomes FP_REDACT_MARK, whatever its length; the rest stays
 * byte for byte.
 */
#ifndef FP_AGENT_REDACT_REDACT_H
#define FP_AGENT_REDACT_REDACT_H

#include <stdbool.h>

#include "base/buffer.h"

#define FP_REDACT_MARK "***"

enum fp_redact_kind {
	FP_REDACT_TEXT, /* anything */
	FP_REDACT_ARGV, /* arguments, separated by NUL; each may hold a command line of its own (sh -c) */
	FP_REDACT_URL, /* a URL or its path and query */
	FP_REDACT_SQL, /* statements: all literals go */
};

/*
 * Appends the text without its secrets to `out`, which then holds at most four
 * times as much more.  The number of parts masked, or -ENOMEM (what was
 * appended is then not to be used).
 */
int fp_redact(struct fp_buffer *out, const char *text, size_t len, enum fp_redact_kind kind);

/* Can there be a secret in the text at all?  For names, most of which have none: a look is cheap, fp_redact is not. */
bool fp_redact_is_needed(const char *text, size_t len);

#endif

/*
 * The text at hand and which of its bytes are to go.  Private to agent/redact:
 * each detector looks at the text and masks what it recognises, in any order.
 */
#ifndef FP_AGENT_REDACT_MASK_H
#define FP_AGENT_REDACT_MASK_H

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "agent/redact/redact.h"

struct fp_mask {
	const char *text;
	size_t len;
	uint8_t *masked; /* one byte per byte of the text */
	enum fp_redact_kind kind;
};

/* Numbers of payment cards. */
void fp_mask_cards(struct fp_mask *mask);
/* What is given under the name of a secret, bearer tokens, and user parts of URLs. */
void fp_mask_named(struct fp_mask *mask);
/* What commands take as a secret without naming it: mysql -pSECRET, curl -u user:SECRET. */
void fp_mask_arguments(struct fp_mask *mask);
/* Literals of the SQL between two positions. */
void fp_mask_sql(struct fp_mask *mask, size_t from, size_t to);

/* Is this a name for a secret?  Its last word decides: api_token, dbPassword, MYSQL_PWD. */
bool fp_is_secret_name(const char *name, size_t len, enum fp_redact_kind kind);

static inline void fp_mask_range(struct fp_mask *mask, size_t from, size_t to)
{
	if (from < to)
		memset(mask->masked + from, 1, to - from);
}

#endif

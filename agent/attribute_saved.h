/*
 * What attribution knows, as bytes and back: the pieces that attribute_save.c and the owners of
 * entries of their own (attribute_handed.c, attribute_header.c) make it of.  What is read back is
 * checked: the first thing that makes no sense makes all that follows zeros, and `bad`.
 */
#ifndef FP_AGENT_ATTRIBUTE_SAVED_H
#define FP_AGENT_ATTRIBUTE_SAVED_H

#include "agent/attribute_state.h"
#include "base/buffer.h"

struct fp_saved {
	const uint8_t *data;
	size_t len, *pos;
	bool bad;
};

uint64_t fp_saved_get(struct fp_saved *in);
void fp_saved_bytes(struct fp_saved *in, void *bytes, size_t len);
/* Into one that is clear.  0, -EBADMSG, -ENOMEM. */
int fp_saved_context(struct fp_saved *in, struct fp_context *ret);
void fp_saved_add_numbers(struct fp_buffer *out, const uint64_t *numbers, size_t n);
void fp_saved_add_context(struct fp_buffer *out, const struct fp_context *context);

/* attribute_handed.c: of a channel, also that nothing is counted there. */
void fp_handed_save(const struct channel *channel, struct fp_buffer *out);
int fp_handed_restore(struct channel *channel, struct fp_saved *in);
/* attribute_header.c: a request that nobody marked, from the oldest that waits on each connection on; NULL: there are no more. */
struct wire_request *fp_header_next(const struct fp_attributor *a, const struct wire_request *request);
void fp_header_save(const struct wire_request *request, struct fp_buffer *out);
int fp_header_restore(struct fp_attributor *a, struct fp_saved *in);
/* attribute_readers.c: who has read what, as far as it is worth keeping; nothing when there is no room. */
void fp_readers_save(const struct fp_attributor *a, size_t limit, struct fp_buffer *out);
int fp_readers_restore(struct fp_attributor *a, struct fp_saved *in);

#endif

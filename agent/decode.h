/*
 * From a record of the kernel side to an event.  The record is checked as if it
 * came from an enemy; the event's strings point into it.
 */
#ifndef FP_AGENT_DECODE_H
#define FP_AGENT_DECODE_H

#include "schema/schema.h"

/* 0, or -EBADMSG when the record is not one of this schema. */
int fp_decode(const void *record, size_t len, struct fp_event *ret_event);
/* Records of the same container are missing between this one, which can be decoded, and the one before. */
bool fp_decode_is_after_loss(const void *record, size_t len);

#endif

/*
 * From a record of the kernel side to an event.  The record is checked as if it
 * came from an enemy; the event's strings point into it.
 */
#ifndef FP_AGENT_DECODE_H
#define FP_AGENT_DECODE_H

#include "schema/schema.h"

/* 0, or -EBADMSG when the record is not one of this schema. */
int fp_decode(const void *record, size_t len, struct fp_event *ret_event);
/* After which run of refused records of its container one that can be decoded comes, of 256 numbers. */
unsigned fp_decode_run(const void *record, size_t len);

#endif

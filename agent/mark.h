/*
 * The details of an in-band mark (lib/schema/mark.def), read out of the bytes
 * that a process passed: checked as hostile input.
 */
#ifndef FP_AGENT_MARK_H
#define FP_AGENT_MARK_H

#include "schema/schema.h"

/*
 * Fills call_id, traceparent, method, url, forwarded, peer, status and bytes of
 * the event from its `details`, into which the strings then point.  Unknown keys are passed
 * over.  `ret_in_flight` gets how many are in flight, or FP_MARK_UNTOLD.
 * 0, or -EBADMSG: then nothing is filled.
 */
#define FP_MARK_UNTOLD UINT64_MAX
int fp_mark_details(struct fp_event *event, uint64_t *ret_in_flight);

#endif

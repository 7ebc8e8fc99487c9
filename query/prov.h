/*
 * An answer in W3C PROV, as PROV-JSON or PROV-N.  Processes and requests are
 * activities; clients and unrecorded hosts agents; all else entities.  What flows
 * becomes the relation that PROV has for its two ends:
 *
 *   entity → activity    used                activity → activity  wasInformedBy
 *   activity → entity    wasGeneratedBy      entity → entity      wasDerivedFrom
 *   agent → activity     wasAssociatedWith   agent → entity       wasAttributedTo
 *   anything → agent     wasInfluencedBy
 *
 * Each relation carries the edge's kind, times, attribution and rule.  Nothing is
 * folded.
 */
#ifndef FP_QUERY_PROV_H
#define FP_QUERY_PROV_H

#include "query/answer.h"

/* 0 or negative errno. */
int fp_prov_json(const struct fp_answer *answer, FILE *out);
int fp_prov_n(const struct fp_answer *answer, FILE *out);

#endif

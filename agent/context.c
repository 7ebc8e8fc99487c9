#include "agent/context.h"

#include <stdlib.h>
#include <string.h>

struct fp_idset *fp_idset_new(const uint8_t (*ids)[FP_REQUEST_ID_SIZE], unsigned n)
{
	struct fp_idset *set = malloc(sizeof(*set) + (size_t)n * FP_REQUEST_ID_SIZE);

	if (!set)
		return NULL;
	set->references = 1;
	set->n = n;
	memcpy(set->ids, ids, (size_t)n * FP_REQUEST_ID_SIZE);
	return set;
}

struct fp_idset *fp_idset_hold(struct fp_idset *set)
{
	if (set)
		set->references++;
	return set;
}

struct fp_idset *fp_idset_release(struct fp_idset *set)
{
	if (set && --set->references == 0)
		free(set);
	return NULL;
}

void fp_context_set(struct fp_context *context, struct fp_idset *ids, enum fp_attribution attribution,
		    enum fp_rule rule, unsigned epoch)
{
	fp_idset_hold(ids);
	fp_idset_release(context->ids);
	context->ids = ids;
	context->attribution = attribution;
	context->rule = rule;
	context->epoch = epoch;
}

void fp_context_follow(struct fp_context *context, const struct fp_context *from, enum fp_rule rule,
		       enum fp_attribution most)
{
	enum fp_attribution attribution = from->attribution;

	if (attribution == FP_ATTRIBUTION_EXACT && most == FP_ATTRIBUTION_DERIVED)
		attribution = FP_ATTRIBUTION_DERIVED;
	fp_context_set(context, from->ids, attribution,
		       attribution != FP_ATTRIBUTION_AMBIGUOUS ? rule :
		       from->rule == FP_RULE_LEFT_BEHIND       ? FP_RULE_LEFT_BEHIND :
								 FP_RULE_IN_FLIGHT, from->epoch);
}

void fp_context_clear(struct fp_context *context)
{
	fp_idset_release(context->ids);
	memset(context, 0, sizeof(*context));
}

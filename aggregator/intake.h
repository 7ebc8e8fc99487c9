/*
 * What may enter the store: a batch that is well-formed, comes from the agent
 * that it names, and follows the last stored batch of that agent by number and
 * hash.  Works on one store, in whichever thread calls it, one call at a time;
 * knows nothing of connections.
 */
#ifndef FP_AGGREGATOR_INTAKE_H
#define FP_AGGREGATOR_INTAKE_H

#include "store/store.h"
#include "wire/protocol.h"

enum fp_verdict {
	FP_VERDICT_NONE, /* not looked at */
	FP_VERDICT_STORED,
	FP_VERDICT_KNOWN, /* was there already */
	FP_VERDICT_REFUSED, /* see `code` and `reason` */
	FP_VERDICT_GREETED, /* no frame: `welcome` is filled in */
};

struct fp_intake_item {
	uint8_t agent[16]; /* who sent it, by its HELLO */
	uint8_t *frame; /* NULL: only asks for the last batch of the agent */
	size_t len;
	/* out */
	enum fp_verdict verdict;
	enum fp_refusal code;
	char reason[FP_REFUSE_TEXT_MAX + 1];
	uint64_t number;
	uint32_t events;
	struct fp_welcome welcome;
};

struct fp_intake;

/* The store stays the caller's. */
int fp_intake_new(struct fp_store *store, struct fp_intake **ret_intake);
struct fp_intake *fp_intake_free(struct fp_intake *intake);
/*
 * Judges and stores items in their order; all that are STORED or KNOWN on
 * return are durable together.  When the store fails, all items of the call
 * that have a frame are refused for that reason and none is stored.
 */
void fp_intake_take(struct fp_intake *intake, struct fp_intake_item **items, size_t n);

#endif

#include "aggregator/intake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/cleanup.h"

/* Agents whose last batch is remembered; forgetting one costs a look into the store. */
#define CHAINS_MAX 4096

struct chain {
	uint8_t agent[16];
	struct fp_welcome last;
	UT_hash_handle hh;
};

struct fp_intake {
	struct fp_store *store;
	struct chain *chains;
};

FP_DEFINE_CLEANUP(struct fp_batch, fp_batch_free)

int fp_intake_new(struct fp_store *store, struct fp_intake **ret_intake)
{
	struct fp_intake *intake = calloc(1, sizeof(*intake));

	if (!intake)
		return -ENOMEM;
	intake->store = store;
	*ret_intake = intake;
	return 0;
}

static void forget(struct fp_intake *intake)
{
	struct chain *chain, *next;

	HASH_ITER(hh, intake->chains, chain, next) {
		HASH_DEL(intake->chains, chain);
		free(chain);
	}
}

struct fp_intake *fp_intake_free(struct fp_intake *intake)
{
	if (intake) {
		forget(intake);
		free(intake);
	}
	return NULL;
}

/* The chain of an agent, read from the store when it is not remembered. */
static int find_chain(struct fp_intake *intake, const uint8_t agent[16], struct chain **ret_chain)
{
	struct chain *chain;
	int r;

	HASH_FIND(hh, intake->chains, agent, sizeof(chain->agent), chain);
	if (!chain) {
		if (HASH_COUNT(intake->chains) >= CHAINS_MAX)
			forget(intake);
		chain = calloc(1, sizeof(*chain));
		if (!chain)
			return -ENOMEM;
		r = fp_store_last_batch(intake->store, agent, &chain->last.last, chain->last.hash);
		if (r < 0) {
			free(chain);
			return r;
		}
		memcpy(chain->agent, agent, sizeof(chain->agent));
		HASH_ADD(hh, intake->chains, agent, sizeof(chain->agent), chain);
		if (!chain->hh.tbl) {
			free(chain);
			return -ENOMEM;
		}
	}
	*ret_chain = chain;
	return 0;
}

static void refuse(struct fp_intake_item *item, enum fp_refusal code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void refuse(struct fp_intake_item *item, enum fp_refusal code, const char *format, ...)
{
	va_list args;

	item->verdict = FP_VERDICT_REFUSED;
	item->code = code;
	va_start(args, format);
	vsnprintf(item->reason, sizeof(item->reason), format, args);
	va_end(args);
}

/* Whether the batch may follow; a number that is stored already is the store's to compare. */
static bool follows(const struct chain *chain, const struct fp_batch_header *header, struct fp_intake_item *item)
{
	if (header->number <= chain->last.last)
		return true;
	if (header->number != chain->last.last + 1) {
		refuse(item, FP_REFUSE_CHAIN, "batch %" PRIu64 " leaves a hole: the last one stored is %" PRIu64,
		       header->number, chain->last.last);
		return false;
	}
	if (memcmp(header->previous, chain->last.hash, FP_BATCH_HASH_SIZE) != 0) {
		refuse(item, FP_REFUSE_CHAIN, "batch %" PRIu64 " follows another batch %" PRIu64 " than the one stored",
		       header->number, chain->last.last);
		return false;
	}
	return true;
}

/* 0 when there is a verdict, negative when the store failed. */
static int take_batch(struct fp_intake *intake, struct fp_intake_item *item)
{
	fp_cleanup(fp_batch_freep) struct fp_batch *batch = NULL;
	const struct fp_batch_header *header;
	struct chain *chain;
	int r = fp_batch_open(item->frame, item->len, &batch);

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		refuse(item, r == -EPROTO ? FP_REFUSE_VERSION : FP_REFUSE_INVALID, "%s",
		       r == -EPROTO ? "the batch is of another version" : "the batch is not well-formed");
		return 0;
	}
	header = fp_batch_header(batch);
	item->number = header->number;
	item->events = header->n_events;
	if (memcmp(header->agent, item->agent, sizeof(item->agent)) != 0) {
		refuse(item, FP_REFUSE_CHAIN, "the batch is of another agent than the one connected");
		return 0;
	}
	r = find_chain(intake, item->agent, &chain);
	if (r < 0 || !follows(chain, header, item))
		return r;
	r = fp_store_put_batch(intake->store, item->frame, item->len, batch);
	if (r == -EEXIST) {
		refuse(item, FP_REFUSE_CHAIN, "another batch %" PRIu64 " is stored already", item->number);
		return 0;
	}
	if (r < 0)
		return r;
	item->verdict = r == 1 ? FP_VERDICT_STORED : FP_VERDICT_KNOWN;
	if (r == 1 && header->number > chain->last.last) {
		chain->last.last = header->number;
		fp_batch_hash(item->frame, item->len, chain->last.hash);
	}
	return 0;
}

static int greet(struct fp_intake *intake, struct fp_intake_item *item)
{
	struct chain *chain;
	int r;

	/* looked up anew: the agent may have talked to another aggregator of the same store meanwhile */
	HASH_FIND(hh, intake->chains, item->agent, sizeof(item->agent), chain);
	if (chain) {
		HASH_DEL(intake->chains, chain);
		free(chain);
	}
	r = find_chain(intake, item->agent, &chain);
	if (r < 0)
		return r;
	item->welcome = chain->last;
	item->verdict = FP_VERDICT_GREETED;
	return 0;
}

static int take_all(struct fp_intake *intake, struct fp_intake_item **items, size_t n)
{
	int r = fp_store_group_begin(intake->store);

	for (size_t i = 0; i < n && r == 0; i++)
		r = items[i]->frame ? take_batch(intake, items[i]) : greet(intake, items[i]);
	return r < 0 ? r : fp_store_group_commit(intake->store);
}

void fp_intake_take(struct fp_intake *intake, struct fp_intake_item **items, size_t n)
{
	char reason[160];
	int r = take_all(intake, items, n);

	if (r == 0)
		return;
	snprintf(reason, sizeof(reason), "%s", r == -ENOMEM ? "out of memory" : fp_store_error(intake->store));
	fp_store_group_abort(intake->store);
	/* what is remembered may be of batches that are not stored after all */
	forget(intake);
	for (size_t i = 0; i < n; i++)
		if (items[i]->verdict != FP_VERDICT_REFUSED)
			refuse(items[i], FP_REFUSE_STORE, "%s", reason);
}

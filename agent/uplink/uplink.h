/*
 * From the agent to the aggregator: every batch is first in the spool on disk,
 * then sent, and leaves the spool when the aggregator has it durably.  Lives in
 * the agent's loop and calls back from it alone; never logs; its one use of
 * another thread is to sync the disk.
 *
 * Nothing is lost while the aggregator is away (up to the spool's limit) nor
 * when either process is killed: fp_uplink_put returns when the batch survives
 * the death of this process; it is sent only when it also survives the death of
 * the machine, so that no number is ever used twice.  What a crash of the
 * machine takes is at most the batches of the last instants, and nobody has
 * seen those.  Connections are made again with a delay that grows; which
 * batches are sent again is decided by what the aggregator says it has.
 *
 * Life: open, put ..., close; after `closed` was called the uplink is gone.
 */
#ifndef FP_AGENT_UPLINK_UPLINK_H
#define FP_AGENT_UPLINK_UPLINK_H

#include <uv.h>

#include "wire/batch.h"

#define FP_UPLINK_SPOOL_LIMIT (256ull << 20)

struct fp_uplink;

enum fp_uplink_notice {
	FP_UPLINK_CONNECTED,
	FP_UPLINK_AWAY, /* it is tried again */
	FP_UPLINK_REFUSED, /* the aggregator, or what it has, does not fit to this spool; it is tried again, rarely */
	FP_UPLINK_DISK, /* trouble with the spool's disk */
};

struct fp_uplink_calls {
	/* What has changed; for the log.  Not repeated while it stays the same. */
	void (*notice)(void *arg, enum fp_uplink_notice notice, const char *text);
	/* All batches have been acknowledged. */
	void (*drained)(void *arg);
	void (*closed)(void *arg);
};

struct fp_uplink_options {
	const char *spool; /* folder, made when it does not exist (its parent must) */
	const char *address; /* aggregator, HOST:PORT; NULL: only keep batches in the spool */
	const char *tls_ca, *tls_cert, *tls_key; /* PEM files, all or none */
	uint64_t spool_limit; /* bytes of frames not acknowledged; 0: FP_UPLINK_SPOOL_LIMIT */
	unsigned retry_ms; /* greatest delay between connections; 0: 5000 */
	unsigned timeout_ms; /* for the aggregator to answer; 0: 30000 */
};

/*
 * Opens the spool and begins to connect.  0; -EBUSY another process has the
 * spool; -EINVAL wrong address or TLS files; errors of the file system.  On
 * failure ret_error has the sentence.  `calls` outlives the uplink; it, and any
 * member, may be NULL.
 */
int fp_uplink_open(uv_loop_t *loop, const struct fp_uplink_options *options, const struct fp_uplink_calls *calls,
		   void *arg, struct fp_uplink **ret_uplink, char ret_error[256]);

/* This agent's id: made at the first start and kept with the spool. */
const uint8_t *fp_uplink_agent(const struct fp_uplink *uplink);
/* Where the chain goes on: number (0: none) and hash of the newest batch that was put, in this life or before. */
void fp_uplink_head(const struct fp_uplink *uplink, uint64_t *ret_number, uint8_t ret_hash[FP_BATCH_HASH_SIZE]);
/* Batches found damaged at the start (the machine had crashed) and moved aside in the spool. */
unsigned fp_uplink_damaged(const struct fp_uplink *uplink);

/*
 * Takes over the next batch (the bytes are copied).  0; -EINVAL unless it is
 * the next of this agent's chain; -ENOSPC the spool
 * or its disk is full: the batch is not taken, its number stays free, and the
 * next one put says how much was lost.
 */
int fp_uplink_put(struct fp_uplink *uplink, const uint8_t *frame, size_t len, uint64_t number);
/* Batches not acknowledged yet. */
uint64_t fp_uplink_pending(const struct fp_uplink *uplink);
uint64_t fp_uplink_pending_bytes(const struct fp_uplink *uplink);

/* Closes its handles; the loop must run until `closed` is called.  NULL is nothing to close. */
void fp_uplink_close(struct fp_uplink *uplink);

#endif

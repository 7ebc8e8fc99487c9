/*
 * For tests of the way from an agent to the store: the real aggregator as a
 * child process, an agent that makes numbered batches as another, and a look
 * into the store that says whether it holds just those.
 */
#ifndef FP_AGENT_UPLINK_TESTS_PEERS_H
#define FP_AGENT_UPLINK_TESTS_PEERS_H

#include <sys/types.h>

#include "agent/uplink/uplink.h"

struct fp_peers {
	char folder[128];
	char store[160], spool[160], state[160];
	char address[64]; /* of the aggregator, once it was started */
	char error_log[160]; /* what the aggregator wrote */
	const char *tls[4]; /* folder with ca.pem, NAME.pem, NAME.key; name of aggregator, of agent; NULL: plain */
	pid_t aggregator;
};

/* cmocka fixtures: *state is a struct fp_peers */
int fp_peers_setup(void **state);
int fp_peers_teardown(void **state);

/* Returns when it listens; always on the address of the first start. */
void fp_aggregator_start(struct fp_peers *peers, const char *const *options);
void fp_aggregator_kill(struct fp_peers *peers, int signal);
/* Whether a text occurs in what the aggregator has written. */
bool fp_aggregator_said(const struct fp_peers *peers, const char *text);

/*
 * Forks an agent that goes on with the spool's chain up to `last`, one batch
 * each `pace_ms`, and ends with 0 when all are acknowledged.
 */
pid_t fp_feeder_start(const struct fp_peers *peers, uint64_t last, unsigned pace_ms);
/* Waits for it at most a minute; exit status, or -signal. */
int fp_feeder_wait(pid_t pid);

/* Makes batch `number` of the chain: event i has seq number * 1000 + i. */
void fp_feeder_frame(struct fp_batch_writer *writer, const uint8_t agent[16], uint64_t number,
		     const uint8_t previous[FP_BATCH_HASH_SIZE], const uint8_t **ret_frame, size_t *ret_len,
		     uint8_t ret_hash[FP_BATCH_HASH_SIZE]);

/* Number of batches in the store; every failure of chain, order or content is a failed assertion. */
uint64_t fp_store_verify(const struct fp_peers *peers);

void fp_pause_ms(unsigned ms);

#endif

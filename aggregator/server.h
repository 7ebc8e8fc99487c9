/*
 * The aggregator's connections: takes agents in, hands their batches to the
 * intake (in a thread of libuv's pool, one group at a time), acknowledges what
 * is durable, and holds back whoever sends more than can be stored.
 */
#ifndef FP_AGGREGATOR_SERVER_H
#define FP_AGGREGATOR_SERVER_H

#include <uv.h>

#include "store/store.h"
#include "wire/tls.h"

struct fp_server;

struct fp_server_options {
	const struct sockaddr *listen;
	struct fp_store *store; /* used by the server alone until it is closed */
	struct fp_tls *tls; /* NULL: plain */
	unsigned max_connections;
	unsigned timeout_ms; /* for a peer to introduce itself, to deliver one message, to take an answer */
};

struct fp_server_counts {
	uint64_t connections, refused_connections; /* taken, sent away */
	uint64_t batches, bytes; /* that arrived */
	uint64_t stored, events, known, refused; /* stored + known + refused + those dropped on the way = batches */
	unsigned open; /* connections now */
};

int fp_server_new(uv_loop_t *loop, const struct fp_server_options *options, struct fp_server **ret_server);
/* The address that is listened on (port 0 resolved), as text. */
const char *fp_server_address(const struct fp_server *server);
const struct fp_server_counts *fp_server_counts(const struct fp_server *server);
/*
 * Stops listening, finishes the group being stored and its answers, closes all
 * connections; then `closed` is called, and the server is gone when it returns.
 */
void fp_server_close(struct fp_server *server, void (*closed)(void *arg), void *arg);

#endif

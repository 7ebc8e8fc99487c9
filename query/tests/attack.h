/*
 * The warm-container attack on the shop, as docs/graph.md's rules would have it
 * in a store: benign purchases, request A that leaves a script in the container
 * of the card check, benign purchases, request B that runs it.  A small language
 * for graphs that the tests of hostile labels and of sizes use too.
 */
#ifndef FP_QUERY_TESTS_ATTACK_H
#define FP_QUERY_TESTS_ATTACK_H

#include "store/store.h"

#define T0 1795223100000000000ull /* 2026-11-21T01:05:00Z */
#define MS 1000000ull

/* Where something is. */
struct place {
	const char *function, *instance, *host;
};

struct request {
	uint8_t id[FP_REQUEST_ID_SIZE];
	uint64_t node;
	uint64_t first, last;
	struct place place;
};

struct world {
	struct fp_store *store;
	uint64_t nodes, edges;
	uint64_t batch; /* stored evidence; the graph says it reaches this far */
};

/* A store at a path that is not there yet, with the graph begun; and its end. */
void world_begin(struct world *world, const char *path);
void world_end(struct world *world);

uint64_t world_node(struct world *world, const struct fp_store_node *row);
void world_edge(struct world *world, const struct fp_store_edge *row);

/* A process in a request's unit (NULL: start-up). */
uint64_t world_process(struct world *world, const struct place *place, const struct request *request, int pid, int exec,
		       const char *name, const char *argv, uint64_t first, uint64_t last);
uint64_t world_file(struct world *world, const struct place *place, const char *path);
uint64_t world_object(struct world *world, const char *name);
uint64_t world_host(struct world *world, const char *endpoint);
/* An edge of a request, exact by rule child. */
void world_do(struct world *world, const struct request *request, enum fp_edge_kind kind, uint64_t from, uint64_t to,
	      uint64_t at, uint64_t bytes);
/* A request with its node, its row, and its caller: a process of the parent, or a client when there is none. */
void world_request(struct world *world, struct request *request, unsigned number, const struct place *place,
		   const char *call_id, const struct request *parent, uint64_t caller, uint64_t first, uint64_t last);

/* Names of the two requests of the attack: their X-Call-Id. */
#define ATTACK_PLANT "call-plant"
#define ATTACK_EXECUTE "call-execute"
#define ATTACK_BENIGN 20

/* The whole story in a store at the path. */
void attack_store(const char *path);

#endif

/*
 * What --stats knows of records once they have left the ring: counts by container
 * and by request, in tables of fixed size.  Fed by serve alone; never decides anything.
 * What leaves a full table goes on being counted: containers in one sum for the others,
 * requests in a number and the most that one of them had.
 */
#ifndef FP_AGENT_TALLY_H
#define FP_AGENT_TALLY_H

#include "agent/hash.h"
#include "base/buffer.h"
#include "schema/schema.h"

/* As many as the kernel side counts apart (FP_CONTAINERS_MAX); some 250 bytes each. */
#define FP_TALLY_CONTAINERS_MAX 4096
/* Of these, those that the next agent hears of: they share the journal with what attribution knows. */
#define FP_TALLY_SAVED_MAX 256
#define FP_TALLY_REQUESTS_MAX 1024
#define FP_TALLY_NAME_MAX 80
#define FP_TALLY_CAUSES 32

struct fp_tally_counts {
	uint64_t records; /* taken from the ring */
	uint64_t events; /* handed on to a batch */
	uint64_t operations; /* that these stand for */
};

struct fp_tally_container {
	uint64_t cgroup;
	uint64_t used; /* turn of the tally when it was last counted */
	struct fp_tally_counts counts;
	char id[FP_TALLY_NAME_MAX], function[FP_TALLY_NAME_MAX]; /* printable; empty until known */
	UT_hash_handle hh;
};

struct fp_tally_request {
	uint8_t id[FP_REQUEST_ID_SIZE];
	uint64_t cgroup; /* where it was first seen */
	uint64_t events, operations;
	uint64_t lost; /* records that were lost in a container of it while it was in flight */
	uint64_t last; /* time of its newest event */
	bool ended;
	struct fp_tally_request **line; /* that it stands in */
	struct fp_tally_request *prev, *next;
	UT_hash_handle hh;
};

/* Requests that may be forgotten stand in a line each power of two of what they have to say. */
#define FP_TALLY_LINES 65

struct fp_tally {
	struct fp_tally_container *containers, *latest;
	struct fp_tally_request *requests;
	struct fp_tally_request *in_flight; /* heard of longest ago first */
	struct fp_tally_request *over[FP_TALLY_LINES];
	struct fp_tally_counts others; /* of containers that were forgotten */
	uint64_t containers_forgotten;
	uint64_t requests_forgotten, forgotten_most; /* operations of the largest of them */
	uint64_t lost[FP_TALLY_CAUSES]; /* told in the stream, by cause */
	uint64_t not_spooled; /* events that the spool had no room for */
	uint64_t turn, now;
};

void fp_tally_done(struct fp_tally *tally);
void fp_tally_record(struct fp_tally *tally, uint64_t cgroup);
/* An event as it goes into a batch. */
void fp_tally_event(struct fp_tally *tally, const struct fp_event *event);
/* The kernel side lost records of a container. */
void fp_tally_loss(struct fp_tally *tally, uint64_t cgroup, uint64_t lost);

/* For who goes on counting after a restart: sums, and the containers counted last.  Requests begin anew. */
void fp_tally_save(const struct fp_tally *tally, struct fp_buffer *out);
/* Into an empty one.  0, -EBADMSG, -ENOMEM. */
int fp_tally_restore(struct fp_tally *tally, const uint8_t *data, size_t len, size_t *pos);

#endif

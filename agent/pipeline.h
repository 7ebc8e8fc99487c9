/*
 * What happens to a record between its source (the live kernel or a recording)
 * and the batch: decode and check, number check, attribution, names, messages,
 * redaction, reduction.  One pipeline per node.  No I/O of its own: containers
 * are looked up and events handed on through callbacks.
 */
#ifndef FP_AGENT_PIPELINE_H
#define FP_AGENT_PIPELINE_H

#include "agent/attribute.h"
#include "agent/reduce.h"
#include "agent/runtime/runtime.h"
#include "schema/schema.h"

struct fp_pipeline;

/* 0 and the container (strings live until the next call), or -ENOENT: asked again later. */
typedef int (*fp_container_fn)(void *arg, uint64_t cgroup, struct fp_container *ret_container);

/* A process has become another program, or mapped a file to execute it: EXEC, LOAD. */
typedef void (*fp_program_fn)(void *arg, const struct fp_event *event);

/* What an agent of 64 MiB has for its tables (agent/serve_memory.c), and who is no such agent. */
#define FP_PIPELINE_MEMORY_DEFAULT (20u << 20)

struct fp_pipeline_options {
	fp_container_fn container;
	fp_event_fn event;
	fp_program_fn program; /* or NULL */
	fp_watchdog_fn watchdog; /* or NULL: what it reads and writes is not needed from now on */
	void *arg; /* for all */
	bool raw; /* nothing is merged: every operation is an event of its own */
	size_t memory; /* bytes for what is remembered (agent/bounds.h); 0: FP_PIPELINE_MEMORY_DEFAULT */
	int64_t clock_offset; /* of the wall clock from events' times, ns; 0: not known */
	const uint8_t *whole_run; /* invocation id for `run`; NULL: requests come from marks */
};

int fp_pipeline_new(const struct fp_pipeline_options *options, struct fp_pipeline **ret_pipeline);
struct fp_pipeline *fp_pipeline_free(struct fp_pipeline *pipeline);

/* One record of the kernel side.  0, or what a callback returned; a record that makes no sense is counted, not an error. */
/* A record of which nothing is to be told but that it was there. */
int fp_pipeline_leave_out(struct fp_pipeline *pipeline, const void *data, size_t len);
int fp_pipeline_record(struct fp_pipeline *pipeline, const void *data, size_t len);
/*
 * Records that the kernel says it lost (cgroup 0: anywhere on the node).  A missing hook (fp_loss_is_hook) is lost for
 * good: it is told once here, and in the stream again with each flush that follows a record.
 */
int fp_pipeline_loss(struct fp_pipeline *pipeline, uint64_t cgroup, enum fp_loss cause, uint64_t lost);
/* All that was waiting has been handed over: a loss that is told later has come later. */
void fp_pipeline_drained(struct fp_pipeline *pipeline);
/* An event that the agent itself makes (the begin and end of `run`); `event` has its head filled. */
int fp_pipeline_event(struct fp_pipeline *pipeline, struct fp_event *event);
/* Hands on what is held back; call it when a source is idle or at its end. */
int fp_pipeline_flush(struct fp_pipeline *pipeline);

/*
 * What is known, for an agent that goes on where this one was killed; to be saved when
 * nothing is held back.  Connections in the middle of a message and names of objects are not
 * in it: they are learnt again.  Of what finds no room in `room` bytes only the number is saved.
 */
struct fp_buffer;
void fp_pipeline_save(const struct fp_pipeline *pipeline, size_t room, struct fp_buffer *out);
/* Into a fresh pipeline.  0, -EBADMSG, -ENOMEM. */
int fp_pipeline_restore(struct fp_pipeline *pipeline, const uint8_t *data, size_t len, size_t *pos);

/* From now on so much may be remembered. */
void fp_pipeline_set_memory(struct fp_pipeline *pipeline, size_t bytes);
/* What is remembered, in bytes; and the limit. */
size_t fp_pipeline_memory(const struct fp_pipeline *pipeline, size_t *ret_limit);
/* The n-th table, from 0; false: there are no more. */
bool fp_pipeline_table(const struct fp_pipeline *pipeline, unsigned n, struct fp_bound *ret_table);

struct fp_pipeline_stats {
	uint64_t records, invalid, lost, stored, messages, merged;
	uint64_t begun, ended, refused;
};
void fp_pipeline_stats(const struct fp_pipeline *pipeline, struct fp_pipeline_stats *ret_stats);
/* Failed calls by container, operation and error (failures.h), since the pipeline was made; NULL: none. */
const struct fp_failure_count *fp_pipeline_failures(const struct fp_pipeline *pipeline);

#endif

/*
 * The state of faasprov-agent serve, and what its sources share: serve.c has the
 * loop, its set-up and its end, serve_commit.c the way from the kernel to a
 * batch that is kept, serve_memory.c how much may be remembered,
 * serve_ours.c who is not recorded,
 * serve_names.c what containers are called.
 */
#ifndef FP_AGENT_SERVE_H
#define FP_AGENT_SERVE_H

#include <jansson.h>
#include <uv.h>

#include "agent/background.h"
#include "agent/capture.h"
#include "agent/cgroup.h"
#include "agent/inject.h"
#include "agent/pipeline.h"
#include "agent/recording.h"
#include "agent/runtime/runtime.h"
#include "agent/serve_options.h"
#include "agent/sink.h"
#include "agent/stats_socket.h"
#include "agent/tally.h"
#include "agent/walk.h"
#include "agent/uplink/uplink.h"
#include "base/ours.h"

/* Bytes (serve_memory.c). */
struct fp_serve_memory {
	size_t limit; /* of all */
	size_t kernel; /* maps and programs, the ring among them */
	size_t mapped; /* of files */
	size_t heap; /* in use when it was last looked at */
	size_t short_of; /* so much more is needed than the limit allows */
};

struct serve {
	struct fp_serve_options options;
	uv_loop_t loop;
	uv_poll_t ring;
	uv_timer_t timer;
	uv_signal_t signals[3];
	uv_work_t first_work;
	struct fp_host host;
	struct fp_cgroup cgroup;
	struct fp_runtime *runtime;
	struct fp_capture *capture;
	struct fp_walk walk; /* of what was there before, and of who comes later */
	struct fp_inject *inject; /* NULL unless asked for */
	struct fp_probes *probes;
	struct fp_pipeline *pipeline;
	struct fp_recording_writer *recording;
	struct fp_uplink *uplink; /* or */
	struct fp_sink sink;
	struct fp_batcher *batcher; /* the sink's, or ours for the uplink */
	struct fp_background *background; /* NULL: in the foreground */
	struct fp_tally tally;
	struct fp_serve_memory memory;
	uv_fs_event_t runc; /* what is made below the runc root */
	uv_timer_t runc_timer;
	unsigned runc_looks;
	bool runc_watched;
	uint64_t helper; /* inode of the aggregator beside us, which tells at its start that it is ours; 0: none */
	bool in_haste; /* everything is to be read now */
	uv_fs_event_t ours; /* the folder in which our programs tell that they are */
	struct fp_stats_socket *stats; /* NULL: it could not be made, or is closed */
	unsigned drains; /* since the last batch went off */
	bool full; /* it is time for a batch */
	bool dropped; /* the last one found no room in the spool */
	uv_async_t again; /* more is waiting than one turn of the loop may take */
	unsigned flushes; /* asked for and done */
	bool flush_wanted, stopping;
	bool started; /* recording has begun */
	uint64_t hooks_told; /* missing, a bit each cause */
	uint64_t not_spooled; /* events that the spool had no room for, not yet told */
	uint64_t telling; /* of these, how many the batch at hand tells */
	int error;
};

/* Callbacks of the pipeline. */
int fp_serve_find_container(void *arg, uint64_t cgroup, struct fp_container *ret_container);
int fp_serve_add_event(void *arg, const struct fp_event *event);
/* The uplink's batcher hands its frames here. */
int fp_serve_spool_frame(void *arg, const struct fp_batch_header *header, const uint8_t *frame, size_t len);

/* serve_memory.c: before anything is opened; when all is; and from time to time. */
void fp_serve_memory_begin(struct serve *serve);
void fp_serve_memory_loaded(struct serve *serve);
void fp_serve_memory_look(struct serve *serve);
/* What each table holds, by name. */
json_t *fp_serve_say_memory(const struct serve *serve);

/* serve_names.c: hears of containers while they last; the second, with each batch until the runc root is there. */
void fp_serve_names_begin(struct serve *serve);
void fp_serve_names_watch(struct serve *serve);

/* serve_ours.c: leaves out what our own programs do, as far as they run below what is recorded; and hears of new ones. */
void fp_serve_ours_look(struct serve *serve);
void fp_serve_ours_watch(struct serve *serve);
bool fp_serve_is_ours(const struct serve *serve, const void *record, size_t len);
/* Is this the start of one that is about to tell?  Then what follows is better read when it has. */
bool fp_serve_ours_awaits(const struct serve *serve, const void *record, size_t len);

/* What --stats gets. */
char *fp_serve_say_stats(void *arg);

/* To be called when output and capture are open: goes on where the last agent ended. */
int fp_serve_resume(struct serve *serve);
/* When the capture is open: loads what walks processes. */
void fp_serve_open_walk(struct serve *serve);
/* Tells what was there before recording began, once for a kernel side (agent/existing.h); the loop must be ready. */
int fp_serve_tell_existing(struct serve *serve);
/* At the end: who has come and is not told of yet. */
int fp_serve_finish_walk(struct serve *serve);
/* Takes what is waiting, or as much of it as one turn of the loop may. */
int fp_serve_drain(struct serve *serve);
/* Makes a batch of all that was taken; when it is kept, the ring may forget it. */
int fp_serve_commit(struct serve *serve);

#endif

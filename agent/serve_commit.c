/* What makes a batch and keeps it, and how the ring learns of it: see agent/capture_journal.c. */
#include "agent/serve.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "agent/bpf/shared.h"
#include "agent/containers.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/log.h"

/* Batches of one turn of the loop; then the uplink, signals and timers have theirs. */
#define COMMITS_PER_TURN 4
/* Pieces of what is walked, of at most 32 KiB: some milliseconds. */
#define PIECES_PER_TURN 4

int fp_serve_find_container(void *arg, uint64_t cgroup, struct fp_container *ret_container)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer item = FP_BUFFER_INIT;
	struct serve *serve = arg;
	int r = fp_runtime_lookup(serve->runtime, cgroup, ret_container);

	if (r < 0 || !serve->recording)
		return r;
	fp_containers_encode(&item, cgroup, ret_container);
	r = fp_buffer_error(&item);
	return r < 0 ? r : fp_recording_add(serve->recording, FP_RECORDING_CONTAINER, item.data, item.len);
}

int fp_serve_add_event(void *arg, const struct fp_event *event)
{
	struct serve *serve = arg;

	fp_tally_event(&serve->tally, event);
	return fp_batcher_add(serve->batcher, event);
}

int fp_serve_spool_frame(void *arg, const struct fp_batch_header *header, const uint8_t *frame, size_t len)
{
	struct serve *serve = arg;
	int r = fp_uplink_put(serve->uplink, frame, len, header->number);

	if (r == -ENOSPC) {
		/* what this batch would have told of losses is still to be told; that event itself is no loss */
		serve->tally.not_spooled += header->n_events - (serve->telling ? 1 : 0);
		serve->not_spooled += header->n_events + serve->telling - (serve->telling ? 1 : 0);
		serve->dropped = true;
		r = 1;
	}
	serve->telling = 0;
	return r;
}

static int tell_not_spooled(struct serve *serve)
{
	if (!serve->not_spooled || serve->telling)
		return 0;
	fp_log(FP_LOG_WARNING, "events lost: the spool is full", "lost=%llu",
	       (unsigned long long)serve->not_spooled);
	serve->telling = serve->not_spooled;
	serve->not_spooled = 0;
	return fp_pipeline_loss(serve->pipeline, 0, FP_LOSS_SPOOL_FULL, serve->telling);
}

/* So much of the ring may be held for the batch at hand: less than what wakes us up, a quarter. */
static uint64_t hold_limit(const struct serve *serve)
{
	return (serve->options.ring_size ? serve->options.ring_size : FP_RING_SIZE_DEFAULT) / 16 * 3;
}

static void take_loss(void *arg, uint64_t cgroup, uint32_t cause, uint64_t lost)
{
	struct fp_recording_loss item = {htole64(cgroup), htole64(cause), htole64(lost)};
	struct serve *serve = arg;

	if (serve->recording)
		fp_recording_add(serve->recording, FP_RECORDING_LOSS, &item, sizeof(item));
	fp_log(FP_LOG_WARNING, "records lost", "cgroup=%llu cause=%s lost=%llu", (unsigned long long)cgroup,
	       fp_loss_name(cause), (unsigned long long)lost);
	fp_pipeline_loss(serve->pipeline, cgroup, cause, lost);
	fp_tally_loss(&serve->tally, cgroup, lost);
}

/* It has a number, and counts as read. */
static int leave_out(struct serve *serve, const void *data, size_t len)
{
	struct fp_record_head head;

	memcpy(&head, data, sizeof(head));
	if (fp_event_is_state(head.type))
		return 0;
	fp_tally_record(&serve->tally, head.cgroup);
	return fp_pipeline_leave_out(serve->pipeline, data, len);
}

static int take_record(void *arg, const void *data, size_t len)
{
	struct serve *serve = arg;
	struct fp_record_head head;
	int r = 0;

	if (fp_serve_ours_awaits(serve, data, len))
		return -EAGAIN;
	/* what ours did before the kernel side was told */
	if (fp_serve_is_ours(serve, data, len))
		return leave_out(serve, data, len);
	if (serve->recording)
		r = fp_recording_add(serve->recording, FP_RECORDING_RECORD, data, len);
	if (r < 0)
		return r;
	if (len >= sizeof(head)) {
		memcpy(&head, data, sizeof(head));
		if (!fp_event_is_state(head.type)) /* those do not come through the ring */
			fp_tally_record(&serve->tally, head.cgroup);
	}
	if (fp_walk_note(&serve->walk, data, len) < 0)
		take_loss(serve, head.cgroup, FP_LOSS_EXISTING, 1);
	fp_capture_note_member(serve->capture, data, len);
	if (fp_walk_waits(&serve->walk)) /* whoever takes over before it is kept walks all again */
		fp_capture_existing_untold(serve->capture);
	r = fp_pipeline_record(serve->pipeline, data, len);
	serve->full = fp_batcher_is_full(serve->batcher) || fp_capture_held(serve->capture) > hold_limit(serve);
	return r < 0 ? r : serve->full;
}

/*
 * What was there before.  Between the pieces the ring is drained, as recording goes on; what is told
 * twice after a death in the midst of it says the same.
 */
static int tell_existing(struct serve *serve)
{
	int n, r = fp_existing_begin(serve->walk.existing);
	uint64_t told = 0;

	while (r >= 0 && (n = fp_existing_read(serve->walk.existing, take_record, serve)) != 0) {
		if (n < 0)
			return n;
		told += (uint64_t)n;
		if (fp_batcher_is_full(serve->batcher))
			r = fp_serve_commit(serve);
		if (r >= 0)
			r = fp_serve_drain(serve);
	}
	if (r >= 0)
		fp_log(FP_LOG_INFO, "what was there before is told", "records=%llu", (unsigned long long)told);
	serve->walk.all = false;
	return r < 0 ? r : fp_serve_commit(serve);
}

int fp_serve_tell_existing(struct serve *serve)
{
	if (!fp_capture_wants_existing(serve->capture))
		return 0;
	if (!serve->walk.existing) {
		take_loss(serve, 0, FP_LOSS_EXISTING, 1);
		return 0;
	}
	return tell_existing(serve);
}

void fp_serve_open_walk(struct serve *serve)
{
	struct fp_existing_options options = {.root_cgroup = serve->cgroup.id,
					      .root_level = serve->cgroup.level,
					      .container_level = serve->cgroup.level + serve->options.container_depth};
	char error[256];

	serve->walk.all = fp_capture_wants_existing(serve->capture);
	if (fp_existing_open(&options, &serve->walk.existing, error) < 0) /* recording is possible all the same */
		fp_log(FP_LOG_WARNING, error, "node=%s", serve->host.name);
}

/* Of who came later: some pieces a turn, so that the ring is drained between them. */
static int tell_moved(struct serve *serve)
{
	int n = 1, r = 0;

	if (!serve->started || serve->walk.all)
		return 0;
	for (unsigned i = 0; i < PIECES_PER_TURN && n > 0 && r >= 0; i++) {
		n = fp_walk_step(&serve->walk, take_record, serve);
		if (n > 0 && fp_batcher_is_full(serve->batcher))
			r = fp_serve_commit(serve);
	}
	if (n < 0)
		return n;
	return r >= 0 && fp_walk_waits(&serve->walk) ? uv_async_send(&serve->again) : r;
}

int fp_serve_finish_walk(struct serve *serve)
{
	int r = 0;

	while (r >= 0 && fp_walk_waits(&serve->walk) && !serve->walk.all)
		r = tell_moved(serve);
	return r;
}

/* --- keeping ------------------------------------------------------------------------- */

/* Before the batch is put: what will be so when it is kept. */
static int note(struct serve *serve, uint64_t number)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer known = FP_BUFFER_INIT;
	int r;

	if (serve->options.no_pin)
		return 0;
	fp_tally_save(&serve->tally, &known); /* first: --stats reads it, too */
	fp_capture_save(serve->capture, &known);
	fp_buffer_add_varint(&known, serve->not_spooled);
	fp_pipeline_save(serve->pipeline, FP_JOURNAL_ROOM - known.len < FP_JOURNAL_ROOM ? FP_JOURNAL_ROOM - known.len : 0,
			 &known);
	r = fp_buffer_error(&known);
	return r < 0 ? r : fp_capture_note(serve->capture, fp_batcher_agent(serve->batcher), number, known.data, known.len);
}

/* The pipeline goes on telling; one more can be missing when a library cannot be probed. */
static void tell_hooks(struct serve *serve)
{
	uint64_t hooks = fp_capture_missing_hooks(serve->capture);

	for (uint32_t cause = 1; cause < 64; cause++)
		if ((hooks & ~serve->hooks_told) >> cause & 1)
			take_loss(serve, 0, cause, 1);
	serve->hooks_told = hooks;
}

int fp_serve_commit(struct serve *serve)
{
	int r = tell_not_spooled(serve);

	tell_hooks(serve);
	if (r == 0)
		r = fp_pipeline_flush(serve->pipeline);
	if (r == 0)
		r = note(serve, fp_batcher_number(serve->batcher));
	serve->dropped = false;
	if (r == 0)
		r = fp_batcher_flush(serve->batcher);
	if (r == 0 && serve->dropped) /* it will never be kept, and that is what is known now */
		r = note(serve, 0);
	if (r < 0)
		return r;
	fp_capture_release(serve->capture);
	if (serve->started && serve->walk.existing && !serve->walk.all && !fp_walk_waits(&serve->walk))
		r = fp_capture_existing_told(serve->capture);
	fp_serve_memory_look(serve);
	fp_serve_ours_look(serve);
	fp_serve_names_watch(serve);
	serve->drains = 0;
	return r;
}

int fp_serve_drain(struct serve *serve)
{
	int r = 0;

	for (unsigned n = 0; r >= 0; n++) {
		/* each time: each commit compares them with the holes that it has seen */
		r = fp_capture_take_losses(serve->capture, take_loss, serve);
		serve->full = false;
		if (r >= 0)
			r = fp_capture_drain(serve->capture, take_record, serve);
		if (r == -EAGAIN) /* the rest of it waits for somebody's word */
			return tell_moved(serve);
		if (r < 0 || !serve->full)
			break;
		r = fp_serve_commit(serve);
		if (r == 0 && n >= COMMITS_PER_TURN)
			return uv_async_send(&serve->again);
	}
	if (r >= 0)
		fp_pipeline_drained(serve->pipeline);
	return r < 0 ? r : tell_moved(serve);
}

/* --- going on --------------------------------------------------------------------------- */

static int recall(struct serve *serve, const uint8_t *data, size_t len)
{
	size_t pos = 0;
	int r = fp_tally_restore(&serve->tally, data, len, &pos);

	if (r == 0)
		r = fp_capture_restore(serve->capture, data, len, &pos);
	if (r == 0)
		r = fp_varint_read(data, len, &pos, &serve->not_spooled);
	return r == 0 ? fp_pipeline_restore(serve->pipeline, data, len, &pos) : r;
}

int fp_serve_resume(struct serve *serve)
{
	const uint8_t *agent = fp_batcher_agent(serve->batcher);
	struct fp_capture_past past;
	int r = fp_capture_resume(serve->capture, agent, fp_batcher_number(serve->batcher), &past);

	if (r < 0 || !past.resumed)
		return r;
	if (past.data)
		r = recall(serve, past.data, past.len);
	fp_log(FP_LOG_INFO, "goes on with a kernel side that was left running", "known=%zu", past.len);
	return r;
}

/*
 * faasprov-agent serve: records the containers of this node and delivers batches
 * to an aggregator through a spool on disk, or straight into a store when the
 * node is all there is.  One libuv loop; beside it only who watches its priority (background.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "agent/agent.h"
#include "agent/probes.h"
#include "agent/serve.h"
#include "base/cleanup.h"
#include "base/log.h"

/* How long a record waits in the ring when little happens: each waking up costs as much as some records (docs/performance.md). */
#define DRAIN_INTERVAL_MS 100
/* How many drains a batch waits to grow: a second. */
#define DRAINS_PER_BATCH 10

static void fail(struct serve *serve, const char *what, int error)
{
	if (serve->error)
		return;
	serve->error = error;
	fp_log(FP_LOG_ERROR, what, "error=\"%s\"", strerror(-error));
	uv_stop(&serve->loop);
}

/* --- the ring ----------------------------------------------------------------------- */

static void drain(struct serve *serve)
{
	int r = fp_serve_drain(serve);

	if (r >= 0 && ++serve->drains >= DRAINS_PER_BATCH)
		r = fp_serve_commit(serve);
	if (r < 0)
		fail(serve, "cannot go on recording", r);
	fp_background_turn(serve->background);
}

static void on_ring(uv_poll_t *handle, int status, int events)
{
	drain(handle->data);
}

static void on_again(uv_async_t *handle)
{
	drain(handle->data);
}

/* --- flushing and stopping --------------------------------------------------------- */

static int write_state(struct serve *serve, const char *name, unsigned number, uint64_t in_flight)
{
	char path[PATH_MAX], new[PATH_MAX + 8];
	FILE *file;

	if (!serve->options.state)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", serve->options.state, name);
	snprintf(new, sizeof(new), "%s.new", path);
	file = fopen(new, "we");
	if (!file)
		return -errno;
	fprintf(file, "%u %llu\n", number, (unsigned long long)in_flight);
	if (fclose(file) != 0 || rename(new, path) < 0)
		return -errno;
	return 0;
}

static bool is_delivered(const struct serve *serve)
{
	return !serve->uplink || fp_uplink_pending(serve->uplink) == 0;
}

/* Everything recorded so far goes off; whoever asked hears when it has arrived. */
static void flush_if_wanted(struct serve *serve)
{
	struct fp_pipeline_stats stats;

	if (!serve->flush_wanted || !is_delivered(serve))
		return;
	serve->flush_wanted = false;
	fp_pipeline_stats(serve->pipeline, &stats);
	/* an answer can be read before its invocation's END is marked: who waits for ends sees here that some are due */
	if (write_state(serve, "flushed", ++serve->flushes, stats.begun - stats.ended) < 0)
		fp_log(FP_LOG_WARNING, "cannot write the state directory", "path=%s", serve->options.state);
}

static void on_timer(uv_timer_t *handle)
{
	drain(handle->data);
}

static void on_drained(void *arg)
{
	struct serve *serve = arg;

	flush_if_wanted(serve);
	if (serve->stopping)
		uv_stop(&serve->loop);
}

static void on_notice(void *arg, enum fp_uplink_notice notice, const char *text)
{
	static const char *const words[] = {
		[FP_UPLINK_CONNECTED] = "connected to the aggregator",
		[FP_UPLINK_AWAY] = "the aggregator is away",
		[FP_UPLINK_REFUSED] = "the aggregator refuses",
		[FP_UPLINK_DISK] = "trouble with the spool",
	};

	fp_log(notice == FP_UPLINK_CONNECTED ? FP_LOG_INFO : FP_LOG_WARNING, words[notice], "text=\"%s\"", text);
}

static void on_closed(void *arg)
{
	struct serve *serve = arg;

	serve->uplink = NULL;
}

static const struct fp_uplink_calls uplink_calls = {
	.notice = on_notice, .drained = on_drained, .closed = on_closed};

static void on_signal(uv_signal_t *handle, int number)
{
	struct serve *serve = handle->data;
	int r;

	serve->in_haste = true;
	drain(serve);
	r = fp_serve_commit(serve);
	serve->in_haste = false;
	if (r < 0)
		fail(serve, "cannot go on recording", r);
	if (number == SIGUSR1) {
		serve->flush_wanted = true;
		flush_if_wanted(serve);
	} else if (serve->stopping) {
		/* asked twice: what is not delivered stays in the spool */
		uv_stop(&serve->loop);
	} else {
		serve->stopping = true;
		if (is_delivered(serve))
			uv_stop(&serve->loop);
	}
}

/* --- set-up --------------------------------------------------------------------------- */

static int open_output(struct serve *serve, char error[256])
{
	uint8_t hash[FP_BATCH_HASH_SIZE], agent[16];
	uint64_t number;
	int r;

	if (serve->options.store) {
		bool known = fp_capture_last_agent(serve->capture, agent);

		r = fp_sink_open(serve->options.store, &serve->host, known ? agent : NULL, &serve->sink, error);
		serve->batcher = serve->sink.batcher;
		return r;
	}
	r = fp_uplink_open(&serve->loop, &serve->options.uplink, &uplink_calls, serve, &serve->uplink, error);
	if (r < 0)
		return r;
	fp_uplink_head(serve->uplink, &number, hash);
	return fp_batcher_new(&serve->host, fp_uplink_agent(serve->uplink), number, hash, fp_serve_spool_frame, serve,
			      &serve->batcher);
}

static int open_capture(struct serve *serve, char error[256])
{
	struct fp_capture_options options = {.ring_size = serve->options.ring_size, .pinned = !serve->options.no_pin,
					     .without = serve->options.without};
	int r = fp_cgroup_open(serve->options.cgroup, &serve->cgroup);

	if (r < 0) {
		snprintf(error, 256, "%.150s: %s", serve->options.cgroup,
			 r == -ENOTDIR ? "not a directory of a cgroup2 hierarchy"
			 : r == -EXDEV ? "seen from a cgroup name space: run the agent in the machine's own"
				       : strerror(-r));
		return r;
	}
	options.root_cgroup = serve->cgroup.id;
	options.root_path = serve->cgroup.path;
	options.root_level = serve->cgroup.level;
	options.container_level = serve->cgroup.level + serve->options.container_depth;
	return fp_capture_open(&options, &serve->capture, error);
}

static void look_for_functions(void *arg, const struct fp_event *event)
{
	struct serve *serve = arg;
	struct fp_container container;

	if (fp_probes_note(serve->probes, event) == -ESRCH &&
	    fp_runtime_lookup(serve->runtime, event->cgroup, &container) == 0 && container.cgroup_path)
		fp_probes_note_through(serve->probes, event, container.cgroup_path);
}

/* Only here, not in the kernel: whoever is left out can hide, and HELLO is anybody's to say. */
static void leave_out_watchdog(void *arg, const struct fp_event *event)
{
	struct serve *serve = arg;

	fp_capture_leave_out(serve->capture, event->cgroup, event->tgid, event->process_start);
}

static int open_all(struct serve *serve, char error[256])
{
	struct fp_pipeline_options options = {.container = fp_serve_find_container, .event = fp_serve_add_event,
					      .program = look_for_functions, .watchdog = leave_out_watchdog,
					      .arg = serve, .raw = serve->options.raw};
	int r = fp_host_init(&serve->host, serve->options.node);

	if (r == 0)
		r = fp_runtime_open(serve->options.cgroup, serve->options.runc_root, &serve->runtime);
	if (r == 0)
		r = fp_runtime_set_host_root(serve->runtime, serve->options.host_root);
	options.clock_offset = serve->host.clock_offset;
	if (r == 0)
		r = fp_pipeline_new(&options, &serve->pipeline);
	if (r == 0)
		r = open_capture(serve, error);
	if (r == 0)
		fp_serve_open_walk(serve);
	if (r == 0)
		r = fp_probes_new(serve->capture, !serve->options.no_tls, &serve->probes);
	if (r == 0)
		r = open_output(serve, error);
	if (r == 0) {
		fp_batcher_wait_for_flush(serve->batcher);
		r = fp_serve_resume(serve);
	}
	if (r == 0 && serve->options.record) {
		r = fp_recording_create(serve->options.record, &serve->host, &serve->recording);
		if (r < 0)
			snprintf(error, 256, "%.150s: %s", serve->options.record, strerror(-r));
	}
	return r;
}

static void tell_of_pins(struct serve *serve)
{
	const char *not_pinned = fp_capture_not_pinned(serve->capture);
	uint64_t replaced = fp_capture_replaced(serve->capture);

	if (not_pinned)
		fp_log(FP_LOG_WARNING, "not pinned: what happens while no agent runs is not recorded", "why=\"%s\"",
		       not_pinned);
	if (!replaced)
		return;
	fp_log(FP_LOG_WARNING, "records lost: left behind by an agent of another version", "lost=%llu",
	       (unsigned long long)replaced);
	fp_pipeline_loss(serve->pipeline, 0, FP_LOSS_REPLACED, replaced);
}

static void start_loop(struct serve *serve)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGUSR1};
	int r;

	uv_poll_init(&serve->loop, &serve->ring, fp_capture_fd(serve->capture));
	serve->ring.data = serve;
	uv_poll_start(&serve->ring, UV_READABLE, on_ring);
	uv_async_init(&serve->loop, &serve->again, on_again);
	serve->again.data = serve;
	uv_timer_init(&serve->loop, &serve->timer);
	serve->timer.data = serve;
	uv_timer_start(&serve->timer, on_timer, DRAIN_INTERVAL_MS, DRAIN_INTERVAL_MS);
	r = fp_stats_socket_open(&serve->loop, serve->cgroup.id, fp_serve_say_stats, serve, &serve->stats);
	if (r < 0)
		fp_log(FP_LOG_WARNING, "--stats will get no answer", "why=\"%s: %s\"", FP_STATS_FOLDER, strerror(-r));
	for (int i = 0; i < 3; i++) {
		uv_signal_init(&serve->loop, &serve->signals[i]);
		serve->signals[i].data = serve;
		uv_signal_start(&serve->signals[i], on_signal, numbers[i]);
	}
}

static void no_work(uv_work_t *work)
{
}

static void no_work_done(uv_work_t *work, int status)
{
}

static void go_to_background(struct serve *serve)
{
	int r;

	if (serve->options.foreground)
		return;
	/* libuv starts its threads, which sync the spool, with the first work: they are to be ordinary ones */
	uv_queue_work(&serve->loop, &serve->first_work, no_work, no_work_done);
	r = fp_background_start(fp_capture_alarm(serve->capture), FP_BACKGROUND_LOOK_MS, &serve->background);
	if (r < 0)
		fp_log(FP_LOG_INFO, "works in the foreground", "why=\"%s\"",
		       r == -ENOTSUP ? "its scheduling policy was chosen by somebody" : strerror(-r));
}

static void close_handle(uv_handle_t *handle, void *arg)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void close_all(struct serve *serve)
{
	struct fp_pipeline_stats stats;

	serve->background = fp_background_free(serve->background);
	fp_stats_socket_close(serve->stats);
	/* what was read and is in no batch yet is the next agent's to read, or belongs to the end */
	if (serve->started && !serve->error && !serve->options.keep_pins &&
	    (fp_serve_finish_walk(serve) < 0 || fp_serve_commit(serve) < 0))
		fp_log(FP_LOG_ERROR, "the last records are lost", "node=%s", serve->host.name);
	if (serve->sink.store)
		fp_sink_discard(&serve->sink);
	if (serve->pipeline) {
		fp_pipeline_stats(serve->pipeline, &stats);
		fp_log(FP_LOG_INFO, "stopped",
		       "records=%llu stored=%llu lost=%llu invalid=%llu begun=%llu ended=%llu refused=%llu",
		       (unsigned long long)stats.records, (unsigned long long)stats.stored,
		       (unsigned long long)stats.lost, (unsigned long long)stats.invalid,
		       (unsigned long long)stats.begun, (unsigned long long)stats.ended,
		       (unsigned long long)stats.refused);
	}
	if (serve->uplink)
		fp_uplink_close(serve->uplink);
	while (serve->uplink)
		uv_run(&serve->loop, UV_RUN_ONCE);
	uv_walk(&serve->loop, close_handle, NULL);
	uv_run(&serve->loop, UV_RUN_DEFAULT);
	uv_loop_close(&serve->loop);
	if (serve->sink.store)
		fp_sink_close(&serve->sink);
	else
		fp_batcher_free(serve->batcher);
	if (serve->recording && fp_recording_finish(serve->recording) < 0)
		fp_log(FP_LOG_ERROR, "the recording is not whole", "path=%s", serve->options.record);
	fp_pipeline_free(serve->pipeline);
	fp_tally_done(&serve->tally);
	fp_runtime_close(serve->runtime);
	fp_inject_free(serve->inject);
	if (serve->capture && serve->started && !serve->error && !serve->options.keep_pins)
		fp_capture_unpin(serve->capture);
	fp_probes_free(serve->probes);
	fp_walk_done(&serve->walk);
	fp_capture_free(serve->capture);
}

int fp_agent_serve(int argc, char **argv)
{
	struct serve serve = {0};
	char error[256] = "";
	int r, code = fp_serve_options_parse(argc, argv, &serve.options);

	if (code != FP_EXIT_DONE)
		return code;
	signal(SIGPIPE, SIG_IGN);
	fp_serve_memory_begin(&serve);
	uv_loop_init(&serve.loop);
	r = open_all(&serve, error);
	if (r == 0)
		fp_serve_ours_look(&serve);
	if (r == 0)
		r = fp_capture_start(serve.capture, error);
	if (r == 0 && serve.options.forwarded_for)
		r = fp_inject_start(serve.options.cgroup, serve.options.forwarded_for, &serve.inject, error);
	if (r == 0)
		fp_probes_scan(serve.probes, serve.cgroup.path);
	if (r < 0) {
		fp_die_line(FP_AGENT_NAME, "%s", error[0] ? error : strerror(-r));
		close_all(&serve);
		return r == -EBADMSG || r == -EPROTO ? FP_EXIT_INPUT : FP_EXIT_SYSTEM;
	}
	serve.started = true;
	tell_of_pins(&serve);
	start_loop(&serve);
	fp_serve_ours_watch(&serve);
	fp_serve_names_begin(&serve);
	fp_serve_memory_loaded(&serve);
	r = fp_serve_tell_existing(&serve);
	if (r < 0)
		fail(&serve, "cannot tell what was there before", r);
	go_to_background(&serve);
	fp_log(FP_LOG_INFO, "recording", "node=%s cgroup=%s", serve.host.name, serve.cgroup.path);
	if (write_state(&serve, "ready", 1, 0) < 0)
		fp_log(FP_LOG_WARNING, "cannot write the state directory", "path=%s", serve.options.state);
	uv_run(&serve.loop, UV_RUN_DEFAULT);
	close_all(&serve);
	return serve.error ? FP_EXIT_SYSTEM : FP_EXIT_DONE;
}

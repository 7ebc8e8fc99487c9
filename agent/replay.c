/*
 * faasprov-agent replay: sends a recording through the agent, from the source
 * onward the same code as for a live kernel, into a store.
 */
#include <endian.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/containers.h"
#include "agent/pipeline.h"
#include "agent/recording.h"
#include "agent/sink.h"
#include "base/log.h"

struct replay {
	struct fp_pipeline *pipeline;
	struct fp_sink sink;
	struct fp_containers containers;
	int64_t clock_behind; /* ns */
	bool raw;
};

static const char usage[] =
	"Usage: faasprov-agent replay --store PATH RECORDING…\n"
	"Sends recordings (faasprov-agent serve --record FILE) through the agent into a store.\n"
	"\n"
	"  --store PATH   the store; made if missing, added to if there\n"
	"  --clock-behind MS   take the recording for that of another machine whose clock is\n"
	"                 behind by so much, or ahead if negative (for tests of what clocks do)\n"
	"  --raw          merge no repetition: every operation is an event of its own\n"
	"  --help         this text\n";

static int find_container(void *arg, uint64_t cgroup, struct fp_container *ret_container)
{
	struct replay *replay = arg;

	return fp_containers_find(&replay->containers, cgroup, ret_container);
}

static int add_event(void *arg, const struct fp_event *event)
{
	struct replay *replay = arg;

	return fp_sink_add(&replay->sink, event);
}

static int replay_loss(struct replay *replay, const void *data, size_t len)
{
	struct fp_recording_loss loss;

	if (len != sizeof(loss))
		return -EBADMSG;
	memcpy(&loss, data, sizeof(loss));
	return fp_pipeline_loss(replay->pipeline, le64toh(loss.cgroup), le64toh(loss.cause), le64toh(loss.lost));
}

static int replay_item(void *arg, enum fp_recording_kind kind, const void *data, size_t len)
{
	struct replay *replay = arg;

	switch (kind) {
	case FP_RECORDING_RECORD:
		return fp_pipeline_record(replay->pipeline, data, len);
	case FP_RECORDING_CONTAINER:
		return fp_containers_decode(&replay->containers, data, len);
	case FP_RECORDING_LOSS:
		return replay_loss(replay, data, len);
	}
	return -EBADMSG;
}

static int replay_file(struct replay *replay, const char *url, const char *path, char error[256])
{
	struct fp_pipeline_options options = {.container = find_container, .event = add_event, .arg = replay, .raw = replay->raw};
	struct fp_recording *recording = NULL;
	struct fp_host host;
	int r, closed;

	r = fp_recording_open(path, &host, &recording);
	if (r < 0) {
		snprintf(error, 256, "%.150s: %s", path,
			 r == -EBADMSG ? "not a recording" :
			 r == -EPROTO  ? "a recording of another version" : strerror(-r));
		return r;
	}
	options.clock_offset = host.clock_offset;
	if (replay->clock_behind) {
		host.clock_offset -= replay->clock_behind;
		host.boot[0] ^= 0xff;
	}
	r = fp_sink_open(url, &host, NULL, &replay->sink, error);
	if (r < 0)
		goto out;
	r = fp_pipeline_new(&options, &replay->pipeline);
	if (r == 0)
		r = fp_recording_each(recording, replay_item, replay);
	if (r == -EBADMSG)
		snprintf(error, 256, "%.150s: the recording is damaged or cut", path);
	/* twice: a hole in the numbers must last from one check to the next */
	if (replay->pipeline && (fp_pipeline_flush(replay->pipeline) < 0 || fp_pipeline_flush(replay->pipeline) < 0))
		r = r < 0 ? r : -EIO;
	closed = fp_sink_close(&replay->sink);
	r = r < 0 ? r : closed;
out:
	replay->pipeline = fp_pipeline_free(replay->pipeline);
	fp_containers_done(&replay->containers);
	fp_recording_close(recording);
	return r;
}

static int parse_milliseconds(const char *text, int64_t *ret_ns)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno || end == text || *end || number > 1000000000 || number < -1000000000)
		return -EINVAL;
	*ret_ns = number * 1000000;
	return 0;
}

int fp_agent_replay(int argc, char **argv)
{
	static const struct option options[] = {
		{"store", required_argument, NULL, 's'}, {"clock-behind", required_argument, NULL, 'b'}, {"raw", no_argument, NULL, 'r'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *url = getenv("FAASPROV_STORE");
	struct replay replay = {0};
	char error[256] = "";
	int option;

	optind = 1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's') {
			url = optarg;
		} else if (option == 'b') {
			if (parse_milliseconds(optarg, &replay.clock_behind) < 0) {
				fp_die_line(FP_AGENT_NAME, "replay: --clock-behind takes milliseconds, not '%s'", optarg);
				return FP_EXIT_USAGE;
			}
		} else if (option == 'r') {
			replay.raw = true;
		} else if (option == 'h') {
			fputs(usage, stdout);
			return FP_EXIT_DONE;
		} else {
			return FP_EXIT_USAGE;
		}
	}
	if (!url || optind >= argc) {
		fp_die_line(FP_AGENT_NAME, "replay: needs --store PATH and a recording (faasprov-agent replay --help)");
		return FP_EXIT_USAGE;
	}
	for (; optind < argc; optind++) {
		int r = replay_file(&replay, url, argv[optind], error);

		if (r < 0) {
			fp_die_line(FP_AGENT_NAME, "%s", error[0] ? error : strerror(-r));
			return r == -EBADMSG || r == -EPROTO || r == -ENOENT ? FP_EXIT_INPUT : FP_EXIT_SYSTEM;
		}
	}
	return FP_EXIT_DONE;
}

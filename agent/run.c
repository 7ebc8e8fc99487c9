/*
 * faasprov-agent run: records one command and its children into a store, the way
 * strace would: in a cgroup of its own, as one request.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/capture.h"
#include "agent/cgroup.h"
#include "agent/host.h"
#include "agent/pipeline.h"
#include "agent/probes.h"
#include "agent/redact/redact.h"
#include "agent/sink.h"
#include "agent/walk.h"
#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/log.h"

#define DRAIN_INTERVAL_MS 50
/* Of the command line, so much names the run. */
#define COMMAND_LINE_MAX 256

struct run {
	const char *store_url;
	char **command;
	struct fp_host host;
	struct fp_cgroup cgroup;
	struct fp_capture *capture;
	struct fp_probes *probes;
	bool no_tls, raw;
	uint64_t without;
	struct fp_walk walk; /* of what the command inherits, and of who is moved in later */
	struct fp_pipeline *pipeline;
	struct fp_sink sink;
	uint8_t id[FP_REQUEST_ID_SIZE];
	int go; /* eventfd: written to when the command may start */
	pid_t child;
	int status;
};

static const char usage[] =
	"Usage: faasprov-agent run [--store PATH] [--no-tls] [--raw] [--without HOOK,…] -- COMMAND [ARGUMENT…]\n"
	"Runs the command, records it and its children into a store, and exits with its status.\n"
	"\n"
	"  --store PATH   the store (default: $FAASPROV_STORE, else ./faasprov.db); made if missing, added to if there\n"
	"  --no-tls       do not read what goes through OpenSSL's functions\n"
	"  --raw          merge no repetition: every operation is an event of its own\n"
	"  --without HOOK,…  do without these hooks: signal, ring (io_uring); answers say what is not seen\n"
	"  --help         this text\n"
	"\n"
	"Look at it with: faasprov requests --store PATH; faasprov trace ID --store PATH\n";

static int find_container(void *arg, uint64_t cgroup, struct fp_container *ret_container)
{
	struct run *run = arg;

	memset(ret_container, 0, sizeof(*ret_container));
	ret_container->id = "run";
	ret_container->function = run->command[0];
	ret_container->cgroup_path = run->cgroup.path;
	return 0;
}

static int add_event(void *arg, const struct fp_event *event)
{
	struct run *run = arg;

	return fp_sink_add(&run->sink, event);
}

static int take_record(void *arg, const void *data, size_t len)
{
	struct run *run = arg;

	if (fp_walk_note(&run->walk, data, len) < 0)
		fp_pipeline_loss(run->pipeline, run->cgroup.id, FP_LOSS_EXISTING, 1);
	fp_capture_note_member(run->capture, data, len);
	return fp_pipeline_record(run->pipeline, data, len);
}

static void take_loss(void *arg, uint64_t cgroup, uint32_t cause, uint64_t lost)
{
	struct run *run = arg;

	fp_pipeline_loss(run->pipeline, cgroup, cause, lost);
}

static int drain(struct run *run)
{
	int r = fp_capture_take_losses(run->capture, take_loss, run);

	/* saying it again changes nothing */
	for (uint32_t cause = 1; cause < 64; cause++)
		if (fp_capture_missing_hooks(run->capture) >> cause & 1)
			take_loss(run, 0, cause, 1);
	if (r >= 0)
		r = fp_capture_drain(run->capture, take_record, run);
	if (r >= 0)
		fp_pipeline_drained(run->pipeline);
	while (r >= 0 && fp_walk_waits(&run->walk))
		r = fp_walk_step(&run->walk, take_record, run);
	return r;
}

/* The run itself is the request: its begin and end, which no watchdog marks. */
static int put_boundary(struct run *run, enum fp_event_type type)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer words = FP_BUFFER_INIT, line = FP_BUFFER_INIT;
	struct fp_event event = {.type = type};

	event.time = event.start = fp_host_boottime();
	event.cgroup = run->cgroup.id;
	event.method = (struct fp_str){"run", 3};
	for (char **word = run->command; *word && words.len < COMMAND_LINE_MAX; word++)
		fp_buffer_add(&words, *word, strlen(*word) + 1);
	if (fp_buffer_error(&words) < 0 || fp_redact(&line, words.data, words.len - 1, FP_REDACT_ARGV) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < line.len; i++)
		if (line.data[i] == '\0')
			line.data[i] = ' ';
	event.url = (struct fp_str){line.data, line.len < COMMAND_LINE_MAX ? line.len : COMMAND_LINE_MAX};
	event.status = type == FP_EVENT_TYPE_END ? (uint64_t)run->status : 0;
	return fp_pipeline_event(run->pipeline, &event);
}

static int start_command(struct run *run)
{
	run->go = eventfd(0, EFD_CLOEXEC);
	if (run->go < 0)
		return -errno;
	run->child = fork();
	if (run->child < 0)
		return -errno;
	if (run->child == 0) {
		uint64_t go;

		/* until it is told to go on, it is ours */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* an eventfd, because the recording has begun and does not show those */
		if (read(run->go, &go, sizeof(go)) != sizeof(go))
			_exit(127);
		prctl(PR_SET_PDEATHSIG, 0);
		signal(SIGINT, SIG_DFL);
		signal(SIGQUIT, SIG_DFL);
		execvp(run->command[0], run->command);
		fp_die_line(FP_AGENT_NAME, "cannot run %s: %s", run->command[0], strerror(errno));
		_exit(errno == ENOENT ? 127 : 126);
	}
	return fp_cgroup_enter(&run->cgroup, run->child);
}

/* What the command inherits: what it reads and writes without ever having opened it. */
static int tell_inherited(struct run *run)
{
	struct fp_existing_options options = {.root_cgroup = run->cgroup.id, .root_level = run->cgroup.level,
					      .container_level = run->cgroup.level};
	char error[256];
	int r = fp_existing_open(&options, &run->walk.existing, error);

	if (r < 0) {
		fp_log(FP_LOG_WARNING, error, "store=%s", run->store_url);
		take_loss(run, 0, FP_LOSS_EXISTING, 1);
		return 0;
	}
	r = fp_existing_begin_inherited(run->walk.existing);
	while (r >= 0 && (r = fp_existing_read(run->walk.existing, take_record, run)) > 0)
		;
	return r;
}

/* Until the command and all it left behind have ended. */
static int watch(struct run *run)
{
	fp_cleanup(fp_closep) int child = (int)syscall(SYS_pidfd_open, run->child, 0);
	bool running = true;
	int r;

	if (child < 0)
		return -errno;
	do {
		struct pollfd fds[] = {{.fd = fp_capture_fd(run->capture), .events = POLLIN},
				       {.fd = running ? child : -1, .events = POLLIN}};

		if (poll(fds, 2, DRAIN_INTERVAL_MS) < 0 && errno != EINTR)
			return -errno;
		r = drain(run);
		if (r < 0)
			return r;
		if (running && waitpid(run->child, &run->status, WNOHANG) == run->child)
			running = false;
	} while (running || fp_cgroup_populated(&run->cgroup) == 1);
	return drain(run);
}

static void look_for_functions(void *arg, const struct fp_event *event)
{
	struct run *run = arg;

	if (fp_probes_note(run->probes, event) == -ESRCH)
		fp_probes_note_through(run->probes, event, run->cgroup.path);
}

static int record(struct run *run, char error[256])
{
	struct fp_pipeline_options options = {
		.container = find_container, .event = add_event, .program = look_for_functions, .arg = run,
		.whole_run = run->id, .raw = run->raw};
	uint64_t one = 1;
	int r;

	r = fp_pipeline_new(&options, &run->pipeline);
	if (r == 0) /* before recording begins: that it comes into the cgroup is our deed */
		r = start_command(run);
	if (r == 0)
		r = fp_capture_start(run->capture, error);
	if (r == 0)
		r = put_boundary(run, FP_EVENT_TYPE_BEGIN);
	if (r == 0)
		r = tell_inherited(run);
	if (r == 0 && write(run->go, &one, sizeof(one)) != sizeof(one))
		r = -errno;
	if (r == 0)
		r = watch(run);
	run->status = WIFSIGNALED(run->status) ? 128 + WTERMSIG(run->status) : WEXITSTATUS(run->status);
	if (r >= 0)
		r = put_boundary(run, FP_EVENT_TYPE_END);
	if (r >= 0) /* twice: a hole in the numbers must last from one check to the next */
		r = fp_pipeline_flush(run->pipeline);
	return r >= 0 ? fp_pipeline_flush(run->pipeline) : r;
}

static int open_all(struct run *run, char error[256])
{
	struct fp_capture_options options = {.without = run->without};
	char name[64];
	int r = fp_host_init(&run->host, NULL);

	if (r < 0) {
		snprintf(error, 256, "cannot tell which machine this is: %s", strerror(-r));
		return r;
	}
	snprintf(name, sizeof(name), "faasprov-run-%d", getpid());
	r = fp_cgroup_make(name, &run->cgroup);
	if (r < 0) {
		snprintf(error, 256, "cannot make a cgroup (needs root and a mounted cgroup2): %s", strerror(-r));
		return r;
	}
	options.root_cgroup = run->cgroup.id;
	options.root_path = run->cgroup.path;
	options.root_level = options.container_level = run->cgroup.level;
	r = fp_capture_open(&options, &run->capture, error);
	if (r == 0)
		r = fp_probes_new(run->capture, !run->no_tls, &run->probes);
	return r < 0 ? r : fp_sink_open(run->store_url, &run->host, NULL, &run->sink, error);
}

static void close_all(struct run *run)
{
	struct fp_pipeline_stats stats;

	if (run->pipeline) {
		fp_pipeline_stats(run->pipeline, &stats);
		fp_log(FP_LOG_INFO, "recorded", "records=%llu stored=%llu lost=%llu store=%s",
		       (unsigned long long)stats.records, (unsigned long long)stats.stored,
		       (unsigned long long)stats.lost, run->store_url);
	}
	fp_pipeline_free(run->pipeline);
	fp_probes_free(run->probes);
	fp_walk_done(&run->walk);
	fp_capture_free(run->capture);
	if (run->cgroup.id)
		fp_cgroup_remove(&run->cgroup);
	if (run->go >= 0)
		close(run->go);
}

static int parse(int argc, char **argv, struct run *run)
{
	static const struct option options[] = {
		{"store", required_argument, NULL, 's'}, {"no-tls", no_argument, NULL, 'T'}, {"raw", no_argument, NULL, 'R'},
		{"without", required_argument, NULL, 'w'}, {"help", no_argument, NULL, 'h'}, {0}};
	int option;

	run->store_url = getenv("FAASPROV_STORE");
	optind = 1;
	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (option == 's') {
			run->store_url = optarg;
		} else if (option == 'T') {
			run->no_tls = true;
		} else if (option == 'R') {
			run->raw = true;
		} else if (option == 'w') {
			if (fp_capture_parse_hooks(optarg, &run->without) < 0) {
				fp_die_line(FP_AGENT_NAME, "run: --without takes signal, ring, not '%s' (--help)", optarg);
				return FP_EXIT_USAGE;
			}
		} else if (option == 'h') {
			fputs(usage, stdout);
			exit(FP_EXIT_DONE);
		} else {
			return FP_EXIT_USAGE;
		}
	}
	if (!run->store_url || !run->store_url[0])
		run->store_url = "faasprov.db";
	run->command = argv + optind;
	if (optind >= argc) {
		fp_die_line(FP_AGENT_NAME, "run: which command? (faasprov-agent run --help)");
		return FP_EXIT_USAGE;
	}
	return FP_EXIT_DONE;
}

static int exit_code(int error)
{
	return error == -EBADMSG || error == -EPROTO ? FP_EXIT_INPUT : FP_EXIT_SYSTEM;
}

int fp_agent_run(int argc, char **argv)
{
	struct run run = {.go = -1};
	char error[256] = "";
	int r, code = parse(argc, argv, &run);

	if (code != FP_EXIT_DONE)
		return code;
	if (getrandom(run.id, sizeof(run.id), 0) != sizeof(run.id))
		return FP_EXIT_SYSTEM;
	/* what the terminal sends reaches the command too; we go on until it ends */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	r = open_all(&run, error);
	if (r == 0)
		r = record(&run, error);
	if (run.sink.store) {
		int closed = fp_sink_close(&run.sink);

		r = r < 0 ? r : closed;
	}
	close_all(&run);
	if (r < 0) {
		fp_die_line(FP_AGENT_NAME, "%s", error[0] ? error : strerror(-r));
		return exit_code(r);
	}
	return run.status;
}

/*
 * faasprov-agent --stats: asks each agent that lives, and looks at what dead ones have
 * left pinned.  Changes nothing and takes no lock, so that an agent may start meanwhile.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/cgroup.h"
#include "agent/pins.h"
#include "agent/stats.h"
#include "agent/stats_socket.h"
#include "base/cleanup.h"
#include "base/log.h"

static const char usage[] =
	"Usage: faasprov-agent --stats [--cgroup DIR] [--format table|json] [--top N]\n"
	"What agents on this machine have recorded, delivered and lost; of one that is dead, what its kernel side counts on.\n"
	"\n"
	"  --cgroup DIR     only of the agent that records this cgroup\n"
	"  --format FORMAT  table (default) or json\n"
	"  --top N          lines of containers and of requests in the table (default 10)\n"
	"  --help           this text\n";

/* An agent gives way to all else: the answer can take a moment. */
#define PATIENCE_S 20
#define TRIES_PER_S 10
#define AGENTS_MAX 64

static int connect_to(uint64_t cgroup)
{
	struct timeval patience = {.tv_sec = PATIENCE_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	fp_stats_path(cgroup, address.sun_path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

/* 0 and its document; -ENOENT, -ECONNREFUSED: nobody is there; -EAGAIN: turned away, or no answer. */
static int ask_once(uint64_t cgroup, json_t **ret_document)
{
	fp_cleanup(fp_closep) int fd = connect_to(cgroup);
	fp_cleanup(fp_buffer_done) struct fp_buffer text = FP_BUFFER_INIT;
	ssize_t n;

	if (fd < 0)
		return fd;
	do {
		if (!fp_buffer_reserve(&text, 65536))
			return -ENOMEM;
		n = read(fd, text.data + text.len, 65536);
		if (n < 0)
			return -errno;
		text.len += (size_t)n;
	} while (n > 0 && text.len < FP_STATS_DOCUMENT_MAX);
	if (text.len == 0)
		return -EAGAIN;
	*ret_document = json_loadb(text.data, text.len, 0, NULL);
	return *ret_document ? 0 : -EBADMSG;
}

/* Others may ask, too, more than the agent serves at a time: then it is tried again. */
static int ask(uint64_t cgroup, json_t **ret_document)
{
	struct timespec pause = {.tv_nsec = 1000000000 / TRIES_PER_S};
	int r = -EAGAIN;

	for (unsigned i = 0; r == -EAGAIN && i < PATIENCE_S * TRIES_PER_S; i++) {
		if (i)
			nanosleep(&pause, NULL);
		r = ask_once(cgroup, ret_document);
	}
	return r;
}

static int look_at_pins(uint64_t cgroup, json_t **ret_document)
{
	struct fp_pins pins = {.lock = -1};
	struct fp_tally tally = {0};
	struct fp_look look;
	size_t pos = 0;
	int r;

	snprintf(pins.path, sizeof(pins.path), "%s/%" PRIu64, FP_PINS_ROOT, cgroup);
	r = fp_capture_look_pinned(&pins, &look);
	if (r == 0 && look.known)
		r = fp_tally_restore(&tally, look.known, look.known_len, &pos);
	if (r == 0) {
		*ret_document = fp_stats_document(&look, &tally, NULL);
		r = *ret_document ? 0 : -ENOMEM;
	}
	fp_tally_done(&tally);
	fp_look_done(&look);
	return r;
}

/* Ids that a folder's names begin with. */
static size_t list_ids(const char *folder, uint64_t ids[AGENTS_MAX], size_t n)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;

	while (directory && n < AGENTS_MAX && (entry = readdir(directory))) {
		uint64_t id = strtoull(entry->d_name, NULL, 10);
		size_t i = 0;

		while (i < n && ids[i] != id)
			i++;
		if (id && i == n)
			ids[n++] = id;
	}
	if (directory)
		closedir(directory);
	return n;
}

static int add_one(uint64_t cgroup, json_t *agents)
{
	json_t *document = NULL;
	int r = ask(cgroup, &document);

	/* a socket that nobody listens at is a dead one's */
	if (r == -ENOENT || r == -ECONNREFUSED)
		r = look_at_pins(cgroup, &document);
	if (r == 0)
		json_array_append_new(agents, document);
	else if (r == -ESTALE && access(FP_PINS_ROOT, F_OK) == 0) {
		char path[FP_PINS_PATH_MAX];

		snprintf(path, sizeof(path), FP_PINS_ROOT "/%" PRIu64, cgroup);
		if (access(path, F_OK) == 0)
			fp_log(FP_LOG_WARNING, "left by an agent of another version", "pins=%s", path);
	} else if (r != -ESTALE)
		fp_log(FP_LOG_WARNING, "an agent does not answer", "cgroup=%llu error=\"%s\"", (unsigned long long)cgroup,
		       strerror(-r));
	return r;
}

static void print(const json_t *agents, bool as_json, unsigned top)
{
	json_t *agent, *document;
	size_t i;

	if (as_json) {
		document = json_pack("{s:O}", "agents", agents);
		if (document && json_dumpf(document, stdout, JSON_INDENT(2)) == 0)
			putchar('\n');
		json_decref(document);
		return;
	}
	json_array_foreach((json_t *)agents, i, agent) {
		if (i)
			putchar('\n');
		fp_stats_print(agent, top, stdout);
	}
}

struct wish {
	const char *cgroup;
	bool json;
	unsigned top;
};

static int parse(int argc, char **argv, struct wish *wish)
{
	static const struct option table[] = {{"cgroup", required_argument, NULL, 'c'},
					      {"format", required_argument, NULL, 'f'},
					      {"top", required_argument, NULL, 't'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	int option;
	char *end;

	optind = 1;
	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (option == 'c') {
			wish->cgroup = optarg;
		} else if (option == 'f' && (strcmp(optarg, "json") == 0 || strcmp(optarg, "table") == 0)) {
			wish->json = *optarg == 'j';
		} else if (option == 'f') {
			fp_die_line(FP_AGENT_NAME, "--stats: --format is table or json, not '%s' (--stats --help)", optarg);
			return FP_EXIT_USAGE;
		} else if (option == 't') {
			wish->top = (unsigned)strtoul(optarg, &end, 10);
			if (*end || *optarg < '0' || *optarg > '9') {
				fp_die_line(FP_AGENT_NAME, "--stats: --top takes a number, not '%s' (--stats --help)", optarg);
				return FP_EXIT_USAGE;
			}
		} else if (option == 'h') {
			fputs(usage, stdout);
			exit(FP_EXIT_DONE);
		} else {
			return FP_EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fp_die_line(FP_AGENT_NAME, "--stats: what is '%s'? (faasprov-agent --stats --help)", argv[optind]);
		return FP_EXIT_USAGE;
	}
	return FP_EXIT_DONE;
}

int fp_agent_stats(int argc, char **argv)
{
	struct wish wish = {.top = 10};
	uint64_t ids[AGENTS_MAX];
	struct fp_cgroup cgroup;
	json_t *agents;
	size_t n = 0;
	int code = parse(argc, argv, &wish), r = 0;

	if (code != FP_EXIT_DONE)
		return code;
	if (geteuid() != 0) {
		fp_die_line(FP_AGENT_NAME, "--stats: only root may ask an agent");
		return FP_EXIT_SYSTEM;
	}
	if (wish.cgroup) {
		r = fp_cgroup_open(wish.cgroup, &cgroup);
		if (r < 0) {
			fp_die_line(FP_AGENT_NAME, "--stats: %s: %s", wish.cgroup, strerror(-r));
			return FP_EXIT_INPUT;
		}
		ids[n++] = cgroup.id;
	} else {
		n = list_ids(FP_PINS_ROOT, ids, list_ids(FP_STATS_FOLDER, ids, 0));
	}
	agents = json_array();
	for (size_t i = 0; i < n; i++) {
		int failed = add_one(ids[i], agents);

		if (failed < 0 && failed != -ESTALE)
			r = failed;
	}
	code = FP_EXIT_DONE;
	if (json_array_size(agents))
		print(agents, wish.json, wish.top);
	else if (r < 0)
		code = FP_EXIT_SYSTEM;
	else {
		fp_die_line(FP_AGENT_NAME, "--stats: no agent %s, and none has left anything pinned",
			    wish.cgroup ? "records this cgroup" : "runs here");
		code = FP_EXIT_NOTHING;
	}
	json_decref(agents);
	return code;
}

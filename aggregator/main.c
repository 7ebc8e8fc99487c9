/*
 * faasprov-aggregator: takes batches of events from the agents of all nodes,
 * checks them and puts them into one store.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aggregator/server.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/ours.h"
#include "base/text.h"

#define PROGRAM "faasprov-aggregator"

struct settings {
	const char *listen, *store, *state, *tls_ca, *tls_cert, *tls_key;
	unsigned max_connections, timeout;
	bool insecure;
	struct sockaddr_storage address;
};

struct program {
	struct settings settings;
	uv_loop_t loop;
	uv_signal_t term, interrupt, report;
	struct fp_store *store;
	struct fp_tls *tls;
	struct fp_server *server;
	char ready[4096]; /* path of the file that says so; "" when there is none */
};

static const char help[] =
	"Usage: " PROGRAM " --listen ADDR:PORT --store PATH [OPTION...]\n"
	"Take batches of events from agents, check them and put them into one store.\n"
	"\n"
	"  --listen ADDR:PORT     address to listen on; port 0 picks a free one\n"
	"  --store PATH           the store; made when it does not exist\n"
	"  --state DIR            write DIR/ready, with the address, while listening\n"
	"  --tls-ca FILE          authority that signed the agents' certificates (PEM)\n"
	"  --tls-cert FILE        own certificate (PEM)\n"
	"  --tls-key FILE         its private key (PEM)\n"
	"  --insecure             listen without TLS on an address that is not loopback\n"
	"  --max-connections N    connections at a time (default 256)\n"
	"  --timeout SECONDS      for a peer to introduce itself, to deliver a message,\n"
	"                         or to take an answer (default 30)\n"
	"  --help, --version\n"
	"\n"
	"SIGTERM and SIGINT stop it when what it has begun is stored; SIGUSR1 makes it\n"
	"write its counts.  Exit status: 0 stopped, 2 usage, 3 not a store, 4 system failure.\n";

static int usage(const char *format, const char *what)
{
	char text[256];

	snprintf(text, sizeof(text), format, what);
	fp_die_line(PROGRAM, "%s (see " PROGRAM " --help)", text);
	return FP_EXIT_USAGE;
}

static bool read_number(const char *text, unsigned min, unsigned max, unsigned *ret_number)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || *end || end == text || text[0] == '-' || number < min || number > max)
		return false;
	*ret_number = (unsigned)number;
	return true;
}

/* What is missing or contradicts itself; 0 or FP_EXIT_USAGE. */
static int check_settings(struct settings *settings)
{
	bool tls = settings->tls_ca && settings->tls_cert && settings->tls_key;

	if (!settings->listen)
		return usage("%s is missing", "--listen");
	if (!settings->store)
		return usage("%s is missing", "--store");
	if (fp_sockaddr_parse(settings->listen, &settings->address) < 0)
		return usage("--listen %s is not ADDR:PORT with a numeric address", settings->listen);
	if (!tls && (settings->tls_ca || settings->tls_cert || settings->tls_key))
		return usage("TLS needs all of %s", "--tls-ca, --tls-cert and --tls-key");
	if (!tls && !settings->insecure && !fp_sockaddr_is_loopback((const struct sockaddr *)&settings->address))
		return usage("%s is not loopback: give --tls-ca, --tls-cert and --tls-key, or --insecure",
			     settings->listen);
	return 0;
}

enum { OPTION_LISTEN = 256, OPTION_STORE, OPTION_STATE, OPTION_CA, OPTION_CERT, OPTION_KEY, OPTION_INSECURE,
       OPTION_CONNECTIONS, OPTION_TIMEOUT, OPTION_HELP, OPTION_VERSION };

/* -1 to go on, else the exit status. */
static int read_options(int argc, char **argv, struct settings *settings)
{
	static const struct option options[] = {
		{"listen", required_argument, NULL, OPTION_LISTEN},
		{"store", required_argument, NULL, OPTION_STORE},
		{"state", required_argument, NULL, OPTION_STATE},
		{"tls-ca", required_argument, NULL, OPTION_CA},
		{"tls-cert", required_argument, NULL, OPTION_CERT},
		{"tls-key", required_argument, NULL, OPTION_KEY},
		{"insecure", no_argument, NULL, OPTION_INSECURE},
		{"max-connections", required_argument, NULL, OPTION_CONNECTIONS},
		{"timeout", required_argument, NULL, OPTION_TIMEOUT},
		{"help", no_argument, NULL, OPTION_HELP},
		{"version", no_argument, NULL, OPTION_VERSION},
		{NULL, 0, NULL, 0},
	};
	int option, r;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		switch (option) {
		case OPTION_LISTEN: settings->listen = optarg; break;
		case OPTION_STORE: settings->store = optarg; break;
		case OPTION_STATE: settings->state = optarg; break;
		case OPTION_CA: settings->tls_ca = optarg; break;
		case OPTION_CERT: settings->tls_cert = optarg; break;
		case OPTION_KEY: settings->tls_key = optarg; break;
		case OPTION_INSECURE: settings->insecure = true; break;
		case OPTION_CONNECTIONS:
			if (!read_number(optarg, 1, 65536, &settings->max_connections))
				return usage("--max-connections %s is not a number from 1 to 65536", optarg);
			break;
		case OPTION_TIMEOUT:
			if (!read_number(optarg, 1, 86400, &settings->timeout))
				return usage("--timeout %s is not a number of seconds", optarg);
			break;
		case OPTION_HELP: fputs(help, stdout); return FP_EXIT_DONE;
		case OPTION_VERSION: puts(PROGRAM " " FP_VERSION); return FP_EXIT_DONE;
		case ':': return usage("%s needs a value", argv[optind - 1]);
		default: return usage("unknown option %s", argv[optind - 1]);
		}
	}
	if (optind < argc)
		return usage("unexpected argument %s", argv[optind]);
	r = check_settings(settings);
	return r ? r : -1;
}

static void log_counts(const struct program *program)
{
	const struct fp_server_counts *counts = fp_server_counts(program->server);

	fp_log(FP_LOG_INFO, "counts",
	       "connections=%" PRIu64 " open=%u turned_away=%" PRIu64 " batches=%" PRIu64 " bytes=%" PRIu64
	       " stored=%" PRIu64 " events=%" PRIu64 " duplicate=%" PRIu64 " refused=%" PRIu64,
	       counts->connections, counts->open, counts->refused_connections, counts->batches, counts->bytes,
	       counts->stored, counts->events, counts->known, counts->refused);
}

static void on_server_closed(void *arg)
{
	struct program *program = arg;

	program->server = NULL;
	uv_close((uv_handle_t *)&program->term, NULL);
	uv_close((uv_handle_t *)&program->interrupt, NULL);
	uv_close((uv_handle_t *)&program->report, NULL);
}

static void on_stop(uv_signal_t *signal, int number)
{
	struct program *program = signal->data;

	if (!program->server)
		return;
	fp_log(FP_LOG_INFO, "stopping", "signal=%d", number);
	log_counts(program);
	if (program->ready[0])
		unlink(program->ready);
	program->ready[0] = '\0';
	fp_server_close(program->server, on_server_closed, program);
}

static void on_report(uv_signal_t *signal, int number)
{
	struct program *program = signal->data;

	if (program->server)
		log_counts(program);
}

static void catch(struct program *program, uv_signal_t *signal, uv_signal_cb fn, int number)
{
	uv_signal_init(&program->loop, signal);
	signal->data = program;
	uv_signal_start(signal, fn, number);
}

/* DIR/ready appears whole, or not at all. */
static int write_ready(struct program *program)
{
	const char *folder = program->settings.state;
	char temporary[4096];
	fp_cleanup(fp_fclosep) FILE *file = NULL;

	if (!folder)
		return 0;
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return -errno;
	if (snprintf(program->ready, sizeof(program->ready), "%s/ready", folder) >= (int)sizeof(program->ready) ||
	    snprintf(temporary, sizeof(temporary), "%s/ready.new", folder) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	file = fopen(temporary, "we");
	if (!file || fprintf(file, "%s\n", fp_server_address(program->server)) < 0 || fflush(file) < 0 ||
	    rename(temporary, program->ready) < 0)
		return -errno;
	return 0;
}

static int open_store(struct program *program)
{
	char error[256];
	int r = fp_store_open(program->settings.store, FP_STORE_CREATE, &program->store, error);

	if (r == 0)
		return 0;
	fp_die_line(PROGRAM, "%s", error);
	return r == -EBADMSG || r == -EPROTO || r == -ENOTSUP ? FP_EXIT_INPUT : FP_EXIT_SYSTEM;
}

static int start(struct program *program)
{
	const struct settings *settings = &program->settings;
	struct fp_server_options options = {.listen = (const struct sockaddr *)&settings->address,
					    .max_connections = settings->max_connections,
					    .timeout_ms = settings->timeout * 1000};
	char error[256];
	int r;

	if (settings->tls_ca &&
	    fp_tls_new(true, settings->tls_ca, settings->tls_cert, settings->tls_key, &program->tls, error) < 0) {
		fp_die_line(PROGRAM, "%s", error);
		return FP_EXIT_INPUT;
	}
	r = open_store(program);
	if (r)
		return r;
	options.store = program->store;
	options.tls = program->tls;
	r = fp_server_new(&program->loop, &options, &program->server);
	if (r < 0) {
		fp_die_line(PROGRAM, "cannot listen on %s: %s", settings->listen, uv_strerror(r));
		return FP_EXIT_SYSTEM;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct program program = {.settings = {.max_connections = 256, .timeout = 30}};
	int r = read_options(argc, argv, &program.settings), failed;

	if (r >= 0)
		return r;
	if (uv_loop_init(&program.loop) < 0)
		return FP_EXIT_SYSTEM;
	/* where it may not, it runs where no agent would trust its word, and is recorded like everybody */
	fp_ours_tell();
	r = start(&program);
	if (r == 0) {
		catch(&program, &program.term, on_stop, SIGTERM);
		catch(&program, &program.interrupt, on_stop, SIGINT);
		catch(&program, &program.report, on_report, SIGUSR1);
		fp_log(FP_LOG_INFO, "listening", "address=%s store=\"%s\" tls=%s", fp_server_address(program.server),
		       program.settings.store, program.tls ? "mutual" : "off");
		failed = write_ready(&program);
		if (failed < 0) {
			fp_die_line(PROGRAM, "cannot write %s: %s", program.ready, strerror(-failed));
			program.ready[0] = '\0';
			fp_server_close(program.server, on_server_closed, &program);
			r = FP_EXIT_SYSTEM;
		}
	}
	uv_run(&program.loop, UV_RUN_DEFAULT);
	uv_loop_close(&program.loop);
	fp_ours_withdraw();
	program.store = fp_store_close(program.store);
	fp_tls_free(program.tls);
	return r;
}

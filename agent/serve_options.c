#include "agent/serve_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "agent/bpf/shared.h"
#include "agent/capture.h"
#include "base/log.h"

static const char usage[] =
	"Usage: faasprov-agent serve --cgroup DIR (--aggregator HOST:PORT --spool DIR | --store PATH) [OPTION…]\n"
	"Records all containers below a cgroup until it is told to stop.\n"
	"\n"
	"  --cgroup DIR            directory of the cgroup2 hierarchy; what runs below it is recorded\n"
	"  --container-depth N     a container's cgroup is that many levels below DIR (default 1)\n"
	"  --aggregator HOST:PORT  deliver to this faasprov-aggregator\n"
	"  --spool DIR             keep there what is not yet delivered, and this agent's identity\n"
	"  --spool-limit MIB       most the spool may hold (default 256)\n"
	"  --tls-ca FILE, --tls-cert FILE, --tls-key FILE   authenticate both sides\n"
	"  --store PATH            put straight into a store instead: one node, no aggregator\n"
	"  --node NAME             name of this node (default: host name)\n"
	"  --runc-root DIR         where the container runtime keeps its state (default /run/runc)\n"
	"  --host-root DIR         where the host's files are, for what docker, containerd, CRI-O, podman and the kubelet wrote\n"
	"                          (default /)\n"
	"  --forwarded-for IP:PORT add X-Forwarded-For with the caller's ip:port to plain HTTP requests\n"
	"                          that go to this gateway without one (default: touch nothing)\n"
	"  --ring-size MIB         buffer between kernel and agent, a power of two (default 16)\n"
	"  --memory MIB            most that the agent may take, the ring and all else in the kernel among it (default 64, or\n"
	"                          36 more than a larger ring); what it cannot remember in it is told as lost\n"
	"  --no-tls                do not read what goes through OpenSSL's functions\n"
	"  --record FILE           also keep the raw records, for faasprov-agent replay; contains message bytes\n"
	"  --state DIR             write there `ready` when recording, `flushed` after each SIGUSR1\n"
	"                          (how many there were, and invocations in flight)\n"
	"  --no-pin                record only while this process lives (default: the kernel's side is pinned, and when\n"
	"                          the agent is killed the next one goes on without a gap)\n"
	"  --keep-pins             go on recording into the ring after a stop, too, until the next agent takes over\n"
	"  --foreground            compete for the processor like everybody (default: give way to all else until the ring\n"
	"                          fills or half a second has passed)\n"
	"  --raw                   merge no repetition: every operation is an event of its own\n"
	"  --without HOOK,...      do without these hooks: signal, ring (io_uring); answers say what is not seen\n"
	"  --help                  this text\n"
	"\n"
	"SIGUSR1 delivers all that is recorded so far; SIGTERM and SIGINT do so and stop.\n";

enum { OPT_DEPTH = 256, OPT_LIMIT, OPT_CA, OPT_CERT, OPT_KEY, OPT_NO_PIN, OPT_KEEP_PINS, OPT_FORWARDED, OPT_NO_TLS,
       OPT_FOREGROUND,
       OPT_RAW, OPT_WITHOUT, OPT_MEMORY, OPT_HOST_ROOT };

static int parse_number(const char *name, const char *text, unsigned long most, unsigned long *ret)
{
	char *end;

	errno = 0;
	*ret = strtoul(text, &end, 10);
	if (errno || *end || !*text || *text == '-' || *ret < 1 || *ret > most) {
		fp_die_line(FP_AGENT_NAME, "serve: --%s takes a number from 1 to %lu, not '%s'", name, most, text);
		return FP_EXIT_USAGE;
	}
	return FP_EXIT_DONE;
}

static int take_option(struct fp_serve_options *options, int option)
{
	unsigned long number = 0;
	int r = FP_EXIT_DONE;

	switch (option) {
	case OPT_NO_TLS:
		options->no_tls = true;
		break;
	case 'c':
		options->cgroup = optarg;
		break;
	case 'a':
		options->uplink.address = optarg;
		break;
	case 'p':
		options->uplink.spool = optarg;
		break;
	case 's':
		options->store = optarg;
		break;
	case 'n':
		options->node = optarg;
		break;
	case 'r':
		options->runc_root = optarg;
		break;
	case 'R':
		options->record = optarg;
		break;
	case 'd':
		options->state = optarg;
		break;
	case 'z':
		r = parse_number("ring-size", optarg, 1024, &number);
		options->ring_size = (uint32_t)(number << 20);
		if (r == FP_EXIT_DONE && number & (number - 1)) {
			fp_die_line(FP_AGENT_NAME, "serve: --ring-size must be a power of two");
			r = FP_EXIT_USAGE;
		}
		break;
	case OPT_MEMORY:
		r = parse_number("memory", optarg, 1u << 16, &number);
		options->memory = (size_t)number << 20;
		break;
	case OPT_HOST_ROOT:
		options->host_root = optarg;
		break;
	case OPT_DEPTH:
		r = parse_number("container-depth", optarg, 16, &number);
		options->container_depth = (int)number;
		break;
	case OPT_LIMIT:
		r = parse_number("spool-limit", optarg, 1u << 20, &number);
		options->uplink.spool_limit = (uint64_t)number << 20;
		break;
	case OPT_CA:
		options->uplink.tls_ca = optarg;
		break;
	case OPT_CERT:
		options->uplink.tls_cert = optarg;
		break;
	case OPT_KEY:
		options->uplink.tls_key = optarg;
		break;
	case OPT_FORWARDED:
		options->forwarded_for = optarg;
		break;
	case OPT_NO_PIN:
		options->no_pin = true;
		break;
	case OPT_KEEP_PINS:
		options->keep_pins = true;
		break;
	case OPT_RAW:
		options->raw = true;
		break;
	case OPT_WITHOUT:
		if (fp_capture_parse_hooks(optarg, &options->without) < 0) {
			fp_die_line(FP_AGENT_NAME, "serve: --without takes signal, ring, not '%s' (--help)", optarg);
			r = FP_EXIT_USAGE;
		}
		break;
	case OPT_FOREGROUND:
		options->foreground = true;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(FP_EXIT_DONE);
	default:
		r = FP_EXIT_USAGE;
	}
	return r;
}

/* The ring has its place in the whole. */
static int settle_memory(struct fp_serve_options *options)
{
	size_t least;

	if (!options->ring_size)
		options->ring_size = FP_RING_SIZE_DEFAULT;
	least = options->ring_size + FP_MEMORY_BESIDE_RING;
	if (!options->memory)
		options->memory = least + (8u << 20) > FP_MEMORY_DEFAULT ? least + (8u << 20) : FP_MEMORY_DEFAULT;
	if (options->memory >= least)
		return FP_EXIT_DONE;
	fp_die_line(FP_AGENT_NAME, "serve: --memory takes at least %zu with a ring of %u MiB", least >> 20,
		    options->ring_size >> 20);
	return FP_EXIT_USAGE;
}

int fp_serve_options_parse(int argc, char **argv, struct fp_serve_options *options)
{
	static const struct option table[] = {
		{"cgroup", required_argument, NULL, 'c'},      {"aggregator", required_argument, NULL, 'a'},
		{"spool", required_argument, NULL, 'p'},       {"store", required_argument, NULL, 's'},
		{"node", required_argument, NULL, 'n'},        {"runc-root", required_argument, NULL, 'r'},
		{"record", required_argument, NULL, 'R'},      {"state", required_argument, NULL, 'd'},
		{"ring-size", required_argument, NULL, 'z'},   {"container-depth", required_argument, NULL, OPT_DEPTH},
		{"spool-limit", required_argument, NULL, OPT_LIMIT}, {"tls-ca", required_argument, NULL, OPT_CA},
		{"tls-cert", required_argument, NULL, OPT_CERT}, {"tls-key", required_argument, NULL, OPT_KEY},
		{"forwarded-for", required_argument, NULL, OPT_FORWARDED},
		{"no-pin", no_argument, NULL, OPT_NO_PIN},     {"keep-pins", no_argument, NULL, OPT_KEEP_PINS},
		{"no-tls", no_argument, NULL, OPT_NO_TLS},     {"foreground", no_argument, NULL, OPT_FOREGROUND},
		{"raw", no_argument, NULL, OPT_RAW},	       {"memory", required_argument, NULL, OPT_MEMORY},
		{"host-root", required_argument, NULL, OPT_HOST_ROOT},
		{"without", required_argument, NULL, OPT_WITHOUT},
		{"help", no_argument, NULL, 'h'},              {0}};
	int option, r;

	options->runc_root = "/run/runc";
	options->host_root = "/";
	options->container_depth = 1;
	optind = 1;
	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
		r = take_option(options, option);
		if (r != FP_EXIT_DONE)
			return r;
	}
	if (optind < argc) {
		fp_die_line(FP_AGENT_NAME, "serve: what is '%s'? (faasprov-agent serve --help)", argv[optind]);
		return FP_EXIT_USAGE;
	}
	if (!options->cgroup || !options->store == !(options->uplink.address && options->uplink.spool)) {
		fp_die_line(FP_AGENT_NAME, "serve: needs --cgroup, and either --aggregator with --spool or --store "
					   "(faasprov-agent serve --help)");
		return FP_EXIT_USAGE;
	}
	return settle_memory(options);
}

/*
 * faasprov-stitcher: makes the provenance graph of a store from its evidence.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "stitcher/program.h"

/* With --follow new batches are looked for this often. */
#define FOLLOW_INTERVAL_NS 500000000

static volatile sig_atomic_t stop;

static const char usage[] =
	"Usage: faasprov-stitcher [--store URL] [--rebuild | --check] [--follow]\n"
	"Makes the provenance graph of a store from the evidence in it.\n"
	"\n"
	"  --store URL       the store (default: $FAASPROV_STORE); a path means SQLite\n"
	"  --rebuild         make the graph again even if no batch is new\n"
	"  --check           make nothing: compare the graph with the evidence it was made of\n"
	"  --follow          go on as new batches come, until interrupted\n"
	"  --max-events N    how many events may be held in memory (default 50000000)\n"
	"  --quiet           warnings and errors only\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 done or nothing new, 1 nothing to check, 2 usage, 3 bad or incompatible store or a graph that\n"
	"differs, 4 system failure or interrupted.\n";

struct options {
	struct fp_stitcher stitcher;
	bool follow;
};

static void on_signal(int number)
{
	stop = 1;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static int parse_number(const char *text, uint64_t *ret_number)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || end == text || *end || text[0] == '-' || number == 0 || number > UINT32_MAX - 16)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static int usage_error(const char *what, const char *word)
{
	fp_die_line(FP_STITCHER_NAME, "%s%s (%s --help)", what, word, FP_STITCHER_NAME);
	return FP_EXIT_USAGE;
}

/* FP_EXIT_DONE to go on; otherwise the exit code, or -1 when all is said. */
static int parse(int argc, char **argv, struct options *options)
{
	static const struct option table[] = {
		{"store", required_argument, NULL, 's'}, {"rebuild", no_argument, NULL, 'r'},
		{"check", no_argument, NULL, 'c'},	 {"follow", no_argument, NULL, 'f'},
		{"max-events", required_argument, NULL, 'm'},
		{"quiet", no_argument, NULL, 'q'},	 {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},	 {0}};
	struct fp_stitcher *stitcher = &options->stitcher;
	int option;

	stitcher->url = getenv("FAASPROV_STORE");
	stitcher->progress = isatty(STDERR_FILENO);
	while ((option = getopt_long(argc, argv, ":", table, NULL)) != -1) {
		switch (option) {
		case 's':
			stitcher->url = optarg;
			break;
		case 'r':
			stitcher->rebuild = true;
			break;
		case 'c':
			stitcher->check = true;
			break;
		case 'f':
			options->follow = true;
			break;
		case 'm':
			if (parse_number(optarg, &stitcher->limits.items) < 0)
				return usage_error("--max-events takes a number, not ", optarg);
			break;
		case 'q':
			stitcher->progress = false;
			fp_log_set_level(FP_LOG_WARNING);
			break;
		case 'h':
			fputs(usage, stdout);
			return -1;
		case 'v':
			printf("%s %s\n", FP_STITCHER_NAME, FP_VERSION);
			return -1;
		case ':':
			return usage_error("a value is missing: ", argv[optind - 1]);
		default:
			return usage_error("unknown option ", argv[optind - 1]);
		}
	}
	if (stitcher->check && (options->follow || stitcher->rebuild))
		return usage_error("--check goes with neither --rebuild nor --follow", "");
	if (optind < argc)
		return usage_error("no argument is expected: ", argv[optind]);
	if (!stitcher->url || !stitcher->url[0])
		return usage_error("which store? give --store or set FAASPROV_STORE", "");
	return FP_EXIT_DONE;
}

static int follow(struct fp_stitcher *stitcher)
{
	const struct timespec interval = {.tv_nsec = FOLLOW_INTERVAL_NS};
	int code = FP_EXIT_DONE;

	while (!stop) {
		code = fp_stitcher_once(stitcher);
		if (code != FP_EXIT_DONE && code != FP_EXIT_NOTHING)
			break;
		code = FP_EXIT_DONE;
		stitcher->rebuild = false;
		nanosleep(&interval, NULL); /* a signal ends it */
	}
	/* to be interrupted is how following ends */
	return stop ? FP_EXIT_DONE : code;
}

int main(int argc, char **argv)
{
	struct options options = {
		.stitcher = {.limits = {FP_STITCH_ITEMS_MAX, FP_STITCH_TEXT_MAX}, .stop = &stop}};
	int code = parse(argc, argv, &options);

	if (code != FP_EXIT_DONE)
		return code < 0 ? FP_EXIT_DONE : code;
	catch_signals();
	code = fp_stitcher_open(&options.stitcher);
	if (code == FP_EXIT_DONE && options.stitcher.check)
		code = fp_stitcher_check(&options.stitcher, stdout);
	else if (code == FP_EXIT_DONE)
		code = options.follow ? follow(&options.stitcher) : fp_stitcher_once(&options.stitcher);
	if (code == FP_EXIT_NOTHING && !options.stitcher.check) {
		fp_log(FP_LOG_INFO, "nothing new", "store=%s", options.stitcher.url);
		code = FP_EXIT_DONE;
	}
	fp_stitcher_close(&options.stitcher);
	return code;
}

/*
 * faasprov-agent: one per node.  Dispatches to its verbs.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/capture.h"
#include "agent/cgroup.h"
#include "agent/pins.h"
#include "agent/stats_socket.h"
#include "base/log.h"

static const struct verb {
	const char *name, *help;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{"serve", "record the containers of this node and deliver to an aggregator", fp_agent_serve},
	{"run", "record one command into a store, as with strace", fp_agent_run},
	{"replay", "send a recording through the agent into a store", fp_agent_replay},
};

static void print_help(void)
{
	printf("Usage: faasprov-agent VERB [OPTION…]\n"
	       "Records what serverless functions really do, and to which request it belongs.\n\n");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		printf("  %-10s %s\n", verbs[i].name, verbs[i].help);
	printf("  %-10s %s\n", "--probe", "what this kernel lets us see, and what not");
	printf("  %-10s %s\n", "--stats", "what was recorded, delivered and lost, by stage, container and request (--stats --help)");
	printf("  %-10s %s\n", "--unpin", "[--cgroup DIR] end the recording that a killed agent has left running");
	printf("  %-10s %s\n  %-10s %s\n", "--help", "this text; each verb has its own", "--version", "the version");
	printf("\nExit status: 0 done, 2 usage, 3 bad input, 4 system failure; `run` exits with the command's.\n");
}

/* Only what no living agent holds. */
static int unpin(int argc, char **argv)
{
	struct fp_cgroup cgroup = {0};
	int r = 0;

	if (argc != 2 && !(argc == 4 && strcmp(argv[2], "--cgroup") == 0)) {
		fp_die_line(FP_AGENT_NAME, "--unpin takes --cgroup DIR or nothing (faasprov-agent --help)");
		return FP_EXIT_USAGE;
	}
	if (argc == 4)
		r = fp_cgroup_open(argv[3], &cgroup);
	if (r < 0) {
		fp_die_line(FP_AGENT_NAME, "%s: %s", argv[3], strerror(-r));
		return FP_EXIT_INPUT;
	}
	r = fp_pins_clean(cgroup.id);
	if (r < 0) {
		fp_die_line(FP_AGENT_NAME, "cannot remove what is pinned in " FP_PINS_ROOT ": %s", strerror(-r));
		return FP_EXIT_SYSTEM;
	}
	fp_stats_clean(cgroup.id);
	printf("%d removed\n", r);
	return FP_EXIT_DONE;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	if (word && strcmp(word, "--help") == 0) {
		print_help();
		return FP_EXIT_DONE;
	}
	if (word && strcmp(word, "--version") == 0) {
		printf("faasprov-agent %s\n", FP_VERSION);
		return FP_EXIT_DONE;
	}
	if (word && strcmp(word, "--probe") == 0)
		return fp_capture_probe() < 0 ? FP_EXIT_SYSTEM : FP_EXIT_DONE;
	if (word && strcmp(word, "--stats") == 0) {
		argv[1] = argv[0];
		return fp_agent_stats(argc - 1, argv + 1);
	}
	if (word && strcmp(word, "--unpin") == 0)
		return unpin(argc, argv);
	for (size_t i = 0; word && i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(word, verbs[i].name) == 0) {
			argv[1] = argv[0];
			return verbs[i].run(argc - 1, argv + 1);
		}
	if (word)
		fp_die_line(FP_AGENT_NAME, "no verb '%s' (faasprov-agent --help)", word);
	else
		fp_die_line(FP_AGENT_NAME, "which verb? (faasprov-agent --help)");
	return FP_EXIT_USAGE;
}

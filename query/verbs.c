#include "query/verbs.h"

#include <string.h>

#define BIT(name) (1u << FP_OPTION_##name)
#define FORMAT(name) (1u << FP_FORMAT_##name)

#define READING (BIT(STORE) | BIT(NO_STITCH) | BIT(FORMAT) | BIT(OUTPUT))
#define SLICING (READING | BIT(DEPTH) | BIT(SINCE) | BIT(UNTIL) | BIT(CONSERVATIVE) | BIT(ALL) | BIT(MAX_NODES))
#define DIRECTIONS (BIT(BACKWARD) | BIT(FORWARD) | BIT(BOTH))
#define PICTURES                                                                                                \
	(FORMAT(TEXT) | FORMAT(DOT) | FORMAT(SVG) | FORMAT(PNG) | FORMAT(JSON) | FORMAT(GRAPHML) | FORMAT(PROV_JSON) | \
	 FORMAT(PROV_N))

const struct fp_option_info fp_options[FP_OPTIONS] = {
	[FP_OPTION_STORE] = {"store", "URL", 's', "the store to read: a path; default: $FAASPROV_STORE"},
	[FP_OPTION_NO_STITCH] = {"no-stitch", NULL, 0, "do not bring the graph up to date (or, of verify, make it again to compare)"},
	[FP_OPTION_BACKWARD] = {"backward", NULL, 0, "only what caused it"},
	[FP_OPTION_FORWARD] = {"forward", NULL, 0, "only what it caused"},
	[FP_OPTION_BOTH] = {"both", NULL, 0, "what caused it and what it caused (the default)"},
	[FP_OPTION_DEPTH] = {"depth", "N", 0, "no further than N edges from the start"},
	[FP_OPTION_SINCE] = {"since", "TIME", 0, "leave out what ended before (RFC 3339)"},
	[FP_OPTION_UNTIL] = {"until", "TIME", 0, "leave out what began after (RFC 3339)"},
	[FP_OPTION_CONSERVATIVE] = {"conservative", NULL, 0,
				    "add what could have passed through the memory of a process"},
	[FP_OPTION_FORMAT] = {"format", "FORMAT", 'f', "how to answer"},
	[FP_OPTION_OUTPUT] = {"output", "FILE", 'o', "write to FILE, whole or not at all"},
	[FP_OPTION_ALL] = {"all", NULL, 'a', "take all that bear the name"},
	[FP_OPTION_MAX_NODES] = {"max-nodes", "N", 0, "fold to N nodes (default 60; 0: fold nothing away)"},
	[FP_OPTION_FUNCTION] = {"function", "NAME", 0, "only requests of this function"},
	[FP_OPTION_INSTANCE] = {"instance", "NAME", 0, "only requests of this instance (or its beginning)"},
	[FP_OPTION_OUTSIDE] = {"outside", NULL, 0, "only requests that came from outside"},
	[FP_OPTION_REQUEST] = {"request", "NAME", 0, "only findings of this request"},
	[FP_OPTION_LIMIT] = {"limit", "N", 0, "the first N only"},
	[FP_OPTION_HELP] = {"help", NULL, 'h', "this text"},
	[FP_OPTION_VERSION] = {"version", NULL, 'V', "name and version"},
};

const struct fp_verb fp_verbs[] = {
	{"trace", "REQUEST", "what a request caused, and what caused it", 1, 1, SLICING | DIRECTIONS, PICTURES,
	 fp_verb_trace},
	{"slice", "NODE...", "the same for any nodes, e.g. file:/home/app/x.sh or object:sql:creditCards", 1, 64,
	 SLICING | DIRECTIONS, PICTURES, fp_verb_slice},
	{"path", "FROM TO", "the shortest causal path from one node or request to another", 2, 2, SLICING, PICTURES,
	 fp_verb_path},
	{"requests", "[NAME]", "one line for each request, or for those with this id", 0, 1,
	 READING | BIT(SINCE) | BIT(UNTIL) | BIT(FUNCTION) | BIT(INSTANCE) | BIT(OUTSIDE) | BIT(LIMIT),
	 FORMAT(TEXT) | FORMAT(JSON), fp_verb_requests},
	{"flag", "", "what calls for a look: deeds against the watchdog, words that were not believed", 0, 0,
	 READING | BIT(SINCE) | BIT(UNTIL) | BIT(FUNCTION) | BIT(INSTANCE) | BIT(REQUEST) | BIT(ALL) | BIT(LIMIT),
	 FORMAT(TEXT) | FORMAT(JSON), fp_verb_flag},
	{"export", "", "the whole graph, or what touches a time range", 0, 0, READING | BIT(SINCE) | BIT(UNTIL),
	 FORMAT(JSON) | FORMAT(GRAPHML), fp_verb_export},
	{"stats", "", "what is stored, and what is known to be lost", 0, 0, READING, FORMAT(TEXT) | FORMAT(JSON),
	 fp_verb_stats},
	{"verify", "", "whether the evidence is whole and unaltered, and the graph what it says", 0, 0, READING,
	 FORMAT(TEXT) | FORMAT(JSON), fp_verb_verify},
	{"completion", "SHELL", "a completion script for the shell (bash)", 1, 1, 0, FORMAT(TEXT), fp_verb_completion},
	{.name = NULL},
};

const struct fp_verb *fp_verb_find(const char *name)
{
	for (const struct fp_verb *verb = fp_verbs; verb->name; verb++)
		if (strcmp(verb->name, name) == 0)
			return verb;
	return NULL;
}

const char *fp_format_name(enum fp_format format)
{
	static const char *const names[FP_FORMATS] = {"text", "dot", "svg", "png", "json", "graphml", "prov-json", "prov-n"};

	return names[format];
}

static void help_option(enum fp_option option, unsigned formats, FILE *out)
{
	const struct fp_option_info *info = &fp_options[option];
	char text[64];

	snprintf(text, sizeof(text), "%s%c%s--%s%s%s", info->letter ? "-" : " ", info->letter ? info->letter : ' ',
		 info->letter ? ", " : "  ", info->name, info->argument ? " " : "",
		 info->argument ? info->argument : "");
	fprintf(out, "  %-24s %s", text, info->doc);
	if (option == FP_OPTION_FORMAT) {
		const char *separator = ": ";

		for (unsigned i = 0; i < FP_FORMATS; i++)
			if (formats & 1u << i) {
				fprintf(out, "%s%s", separator, fp_format_name(i));
				separator = ", ";
			}
	}
	fputc('\n', out);
}

void fp_help(const struct fp_verb *verb, FILE *out)
{
	if (verb) {
		fprintf(out, "usage: " FP_PROGRAM " %s%s%s [OPTION]...\n%s\n\n", verb->name, *verb->arguments ? " " : "",
			verb->arguments, verb->doc);
		for (unsigned i = 0; i < FP_OPTIONS; i++)
			if (verb->options & 1u << i || i == FP_OPTION_HELP)
				help_option(i, verb->formats, out);
		return;
	}
	fputs("usage: " FP_PROGRAM " VERB [ARGUMENT]... [OPTION]...\n"
	      "Answers what a request of a serverless application caused, and what caused it.\n\n",
	      out);
	for (verb = fp_verbs; verb->name; verb++) {
		char text[64];

		snprintf(text, sizeof(text), "%s %s", verb->name, verb->arguments);
		fprintf(out, "  %-24s %s\n", text, verb->doc);
	}
	fputs("\n'" FP_PROGRAM " VERB --help' lists the options of a verb.  Exit codes: 0 done, 1 nothing found,\n"
	      "2 usage, 3 bad or incompatible input, 4 system failure.\n",
	      out);
}

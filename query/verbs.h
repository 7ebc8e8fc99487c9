/*
 * The one table of verbs and the one table of options.  Dispatch, --help, shell
 * completion and the test of the manual page all read them.
 */
#ifndef FP_QUERY_VERBS_H
#define FP_QUERY_VERBS_H

#include "query/question.h"

enum fp_option {
	FP_OPTION_STORE,
	FP_OPTION_NO_STITCH,
	FP_OPTION_BACKWARD,
	FP_OPTION_FORWARD,
	FP_OPTION_BOTH,
	FP_OPTION_DEPTH,
	FP_OPTION_SINCE,
	FP_OPTION_UNTIL,
	FP_OPTION_CONSERVATIVE,
	FP_OPTION_FORMAT,
	FP_OPTION_OUTPUT,
	FP_OPTION_ALL,
	FP_OPTION_MAX_NODES,
	FP_OPTION_FUNCTION,
	FP_OPTION_INSTANCE,
	FP_OPTION_OUTSIDE,
	FP_OPTION_REQUEST,
	FP_OPTION_LIMIT,
	FP_OPTION_HELP,
	FP_OPTION_VERSION,
	FP_OPTIONS
};

struct fp_option_info {
	const char *name, *argument; /* argument NULL: takes none */
	char letter; /* 0: long only */
	const char *doc;
};

struct fp_verb {
	const char *name, *arguments, *doc;
	int arguments_min, arguments_max;
	unsigned options; /* bits of enum fp_option, besides --help and --version */
	unsigned formats; /* bits of enum fp_format */
	int (*run)(const struct fp_question *question);
};

extern const struct fp_option_info fp_options[FP_OPTIONS];
/* Ends with a verb without name. */
extern const struct fp_verb fp_verbs[];

const struct fp_verb *fp_verb_find(const char *name);
/* Help of the program, or of one verb. */
void fp_help(const struct fp_verb *verb, FILE *out);

/*
 * Reads the command line.  FP_EXIT_DONE and the question; or, with *ret_end set,
 * the code to end with (help was given, or the command line was wrong and the
 * line that says so is out).
 */
enum fp_exit fp_question_read(int argc, char **argv, struct fp_question *ret_question, bool *ret_end);

/* The verbs; each is in a file of its name. */
int fp_verb_trace(const struct fp_question *question);
int fp_verb_slice(const struct fp_question *question);
int fp_verb_path(const struct fp_question *question);
int fp_verb_requests(const struct fp_question *question);
int fp_verb_flag(const struct fp_question *question);
int fp_verb_export(const struct fp_question *question);
int fp_verb_stats(const struct fp_question *question);
int fp_verb_verify(const struct fp_question *question);
int fp_verb_completion(const struct fp_question *question);

#endif

/*
 * What was asked on the command line, and how the program ends.  Every verb gets
 * one question and returns an exit code.
 */
#ifndef FP_QUERY_QUESTION_H
#define FP_QUERY_QUESTION_H

#include "base/log.h"
#include "graph/graph.h"

#define FP_PROGRAM "faasprov"

/* How many nodes a person can take in at once; --max-nodes changes it. */
#define FP_VIEW_NODES 60

enum fp_format {
	FP_FORMAT_TEXT,
	FP_FORMAT_DOT,
	FP_FORMAT_SVG,
	FP_FORMAT_PNG,
	FP_FORMAT_JSON,
	FP_FORMAT_GRAPHML,
	FP_FORMAT_PROV_JSON,
	FP_FORMAT_PROV_N,
	FP_FORMATS
};

struct fp_verb;

struct fp_question {
	const struct fp_verb *verb;
	char **arguments; /* borrowed from main */
	int n_arguments;
	const char *store;
	const char *output; /* NULL: standard output */
	const char *function, *instance; /* filters of `requests` and `flag`: fp_question_is_of() */
	const char *request; /* filter of `flag` */
	enum fp_format format;
	unsigned directions; /* enum fp_slice_direction, or-ed */
	unsigned depth; /* 0: no limit */
	uint64_t since, until; /* 0: no limit */
	uint64_t limit; /* of `requests` and `flag`; 0: none */
	size_t max_nodes; /* 0: no limit */
	bool conservative, all, no_stitch, outside;
};

/* Name of a format, as on the command line. */
const char *fp_format_name(enum fp_format format);

/* One line "faasprov: <text>" on standard error; gives `code` back. */
int fp_fail(enum fp_exit code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Exit code for a negative errno of the store or of slicing: its input (3) or the system (4). */
enum fp_exit fp_exit_of(int error);

/* Is the function (NULL: none known) the one asked for, and does the instance begin like the one asked for? */
bool fp_question_is_of(const struct fp_question *question, const char *function, const char *instance);

#endif

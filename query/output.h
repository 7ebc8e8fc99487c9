/*
 * Where an answer goes: standard output, or a file that appears whole or not at
 * all.  A file is written beside its final place and renamed when it is complete.
 */
#ifndef FP_QUERY_OUTPUT_H
#define FP_QUERY_OUTPUT_H

#include <stdio.h>

#include "query/question.h"

struct fp_output {
	FILE *file; /* write here */
	char *path, *temporary; /* NULL for standard output */
};

#define FP_OUTPUT_INIT {NULL, NULL, NULL}

/* `path` NULL or "-": standard output.  0 or negative errno. */
int fp_output_open(struct fp_output *output, const char *path);
/* Everything is written: makes it durable and puts it in place.  0 or negative errno. */
int fp_output_commit(struct fp_output *output);
/* Forgets what was not committed. */
void fp_output_done(struct fp_output *output);

/*
 * All of it: opens what the question names, lets `write` fill it (0 or negative
 * errno) and commits.  FP_EXIT_DONE, or FP_EXIT_SYSTEM with its line out.
 */
enum fp_exit fp_output_write(const struct fp_question *question, int (*write)(void *arg, FILE *out), void *arg);

#endif

/*
 * The program around the library: reads the batches of a store, has the graph
 * made and puts it into the store.  Logs; main.c parses the command line.
 */
#ifndef FP_STITCHER_PROGRAM_H
#define FP_STITCHER_PROGRAM_H

#include <signal.h>

#include "stitcher/stitch.h"

#define FP_STITCHER_NAME "faasprov-stitcher"

struct fp_stitcher {
	const char *url;
	struct fp_stitch_limits limits;
	bool rebuild; /* also when nothing is new */
	bool check; /* only compare; the store is opened for reading */
	bool progress; /* shown on standard error */
	volatile sig_atomic_t *stop; /* non-zero: leave off */

	struct fp_store *store;
	struct fp_stitch *stitch;
	uint64_t read; /* id of the last batch taken up */
	uint64_t until; /* behind this one none is; 0: all */
	uint64_t whole, damaged; /* batches that could be read, and that could not */
};

/* Opens the store; an exit code, with the error said. */
int fp_stitcher_open(struct fp_stitcher *stitcher);
void fp_stitcher_close(struct fp_stitcher *stitcher);
/*
 * Brings the graph up to date with the evidence.  An exit code, with the error
 * said: FP_EXIT_NOTHING when there was nothing to do.  When it fails or is
 * stopped the former graph stays as it was.
 */
int fp_stitcher_once(struct fp_stitcher *stitcher);
/*
 * Makes the graph once more from the evidence that it was made of and compares:
 * what differs goes to `out`, a line each for the first of them, and a last one
 * that says what the graph is.  FP_EXIT_DONE: the same; FP_EXIT_NOTHING: there
 * is no graph; FP_EXIT_INPUT: it differs.
 */
int fp_stitcher_check(struct fp_stitcher *stitcher, FILE *out);

#endif

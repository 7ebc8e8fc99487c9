/*
 * An open store for one question: brings the graph up to date first when the
 * evidence is newer, by the stitcher beside this program.
 */
#ifndef FP_QUERY_SESSION_H
#define FP_QUERY_SESSION_H

#include "query/question.h"

struct fp_session {
	struct fp_store *store;
	uint64_t behind; /* batches that the graph does not know */
};

#define FP_SESSION_INIT {NULL, 0}

/* FP_EXIT_DONE, or the code to end with; the line that says why is out. */
enum fp_exit fp_session_open(struct fp_session *session, const struct fp_question *question, bool stitch);
void fp_session_done(struct fp_session *session);
/* The line for a failed store or slice, and its exit code. */
enum fp_exit fp_session_fail(const struct fp_session *session, const struct fp_question *question, int error);

#endif

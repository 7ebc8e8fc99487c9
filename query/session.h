/*
 * An open store for one question: brings the graph up to date first when the
 * evidence is newer, by the stitcher beside this program.
 */
#ifndef FP_QUERY_SESSION_H
#define FP_QUERY_SESSION_H

#include "base/buffer.h"
#include "query/question.h"

struct fp_session {
	struct fp_store *store;
	uint64_t behind; /* batches that the graph does not know */
	bool foreign; /* the graph is not the one that was made of this evidence: one of the two was changed or exchanged */
};

#define FP_SESSION_INIT {NULL, 0, false}

/* FP_EXIT_DONE, or the code to end with; the line that says why is out. */
enum fp_exit fp_session_open(struct fp_session *session, const struct fp_question *question, bool stitch);
void fp_session_done(struct fp_session *session);
/*
 * Runs the stitcher beside this program on the store.  What it prints goes to
 * standard error, which is for people, or, where `output` is given, into it; `option` may be
 * NULL.  Its exit code, or negative errno.
 */
int fp_session_run_stitcher(const char *url, const char *option, struct fp_buffer *output);
/* The line for a failed store or slice, and its exit code. */
enum fp_exit fp_session_fail(const struct fp_session *session, const struct fp_question *question, int error);

#endif

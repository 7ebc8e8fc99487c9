/*
 * Asks a question of a store within the test's own process, as the verbs do.
 */
#ifndef FP_QUERY_TESTS_ASK_H
#define FP_QUERY_TESTS_ASK_H

#include "query/answer.h"
#include "query/render/view.h"

/* A directory of its own under /tmp; and its end, with all in it. */
const char *test_directory(void);
int test_directory_remove(void);
/* A path in it; belongs to a small ring of buffers. */
const char *test_path(const char *name);

/* Reads a command line ("trace", "call-x", ..., NULL) into the question. */
void ask_question(struct fp_question *question, const char *store, ...) __attribute__((sentinel));
/* The answer to a trace or slice with what is in the question; `behind` as for fp_answer_finish. */
struct fp_answer *ask(const struct fp_question *question, uint64_t behind);
/* What `write` writes, NUL-terminated; to be freed. */
char *text_of(int (*write)(const struct fp_view *view, FILE *out), const struct fp_view *view);

/* Nodes of the answer with this kind and label. */
size_t count_nodes(const struct fp_answer *answer, enum fp_node_kind kind, const char *label);
/* Whether an edge of the kind leads from one label to another. */
bool has_edge(const struct fp_answer *answer, enum fp_edge_kind kind, const char *from, const char *to);

#endif

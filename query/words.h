/*
 * Short words that text and pictures share: relative times, sizes, kinds of
 * operations, what a request is called.  Output is clean (query/clean.h).
 */
#ifndef FP_QUERY_WORDS_H
#define FP_QUERY_WORDS_H

#include "base/buffer.h"
#include "query/render/view.h"

struct json_t;

#define FP_STAR "★"
/* Characters of an invocation id that people see: its last ones, because ids may begin with the time. */
#define FP_SHORT_ID 8

/* "+1.204s", "+2h03m04.5s" */
void fp_words_offset(struct fp_buffer *out, uint64_t origin, uint64_t time);
/* "812 B", "4.1 kB" */
void fp_words_bytes(struct fp_buffer *out, uint64_t bytes);
/* "fork, exec" */
void fp_words_kinds(struct fp_buffer *out, uint32_t kinds);
/* "exact", "derived: turn, sole", "ambiguous: turn" */
void fp_words_attribution(struct fp_buffer *out, const struct fp_view_edge *edge);
/* Short ids of the candidates, separated by commas. */
void fp_words_candidates(struct fp_buffer *out, const char *candidates);
/* "…21f490bd" */
void fp_words_id(struct fp_buffer *out, const uint8_t id[FP_REQUEST_ID_SIZE]);
/* Function, method and URL of a request. */
void fp_words_request(struct fp_buffer *out, const struct fp_store_request *request, size_t columns);
/* Of a process that is of no request: "start-up, outside any request". */
const char *fp_words_unit(const struct fp_store_node *row);
/* What the question was, as a sentence without a full stop. */
void fp_words_question(struct fp_buffer *out, const struct fp_answer *answer);
/* "complete: nothing known to be missing", or what is missing. */
void fp_words_completeness(struct fp_buffer *out, const struct fp_answer *answer);
/* What a view does not show one by one; adds nothing when it shows all. */
void fp_words_folded(struct fp_buffer *out, const struct fp_view *view);
/* "wrote 522 B to a pipe that nothing here reads"; adds nothing when there is none. */
void fp_words_dead_ends(struct fp_buffer *out, const struct fp_view_node *node);
/* "open EACCES 3 times (/etc/shadow, /root/x)" of a process's attributes; adds nothing when nothing failed. */
void fp_words_failures(struct fp_buffer *out, const char *attributes);
/* The names of a finding or failure: up to `most` of them, and whether there are more. */
void fp_words_names(struct fp_buffer *out, const struct json_t *object, size_t most);
/* Names of up to `most` files folded into a process, the most telling first, and how many more there are. */
void fp_words_files(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_node *node, size_t most,
		    size_t columns);

#endif

/*
 * Answers and rows as JSON, in the shape that scripts hold on to.  Objects are
 * written one per line, as they come, so that an export of any size needs little
 * memory.  Text that is no valid UTF-8 shows its bytes as \xNN; everything else
 * beyond ASCII is escaped, so that printing a document is harmless.
 */
#ifndef FP_QUERY_JSON_H
#define FP_QUERY_JSON_H

#include <jansson.h>

#include "query/answer.h"
#include "query/render/view.h"

/* New references; NULL when out of memory. */
json_t *fp_json_text(const char *text); /* null for NULL */
json_t *fp_json_time(uint64_t ns); /* null for 0 */
json_t *fp_json_id(char letter, uint64_t id); /* "n17" */
json_t *fp_json_request_id(const uint8_t id[FP_REQUEST_ID_SIZE]);
json_t *fp_json_node(const struct fp_store_node *row);
json_t *fp_json_edge(const struct fp_store_edge *row);
json_t *fp_json_request(const struct fp_store_request *row);
json_t *fp_json_missing(const struct fp_missing *missing);

/* An entry that is only there when it says something; takes the value. */
void fp_json_add_if(json_t *object, const char *key, bool is, json_t *value);

/* Takes the object and writes it as one line after `before`.  0 or negative errno. */
int fp_json_put(FILE *out, const char *before, json_t *object);

/*
 * The whole document of an answer.  Of the view it uses which files are of the
 * image: with `collapse` they are one node for each process, and themselves with
 * their edges under "collapsed".  0 or negative errno.
 */
int fp_json_answer(const struct fp_view *view, bool collapse, FILE *out);

#endif

/*
 * Details of nodes and edges: the store keeps them as a JSON object, of which the
 * query tool knows a few keys and passes the rest on.
 */
#ifndef FP_QUERY_ATTRIBUTES_H
#define FP_QUERY_ATTRIBUTES_H

#include <stdint.h>

#include "base/buffer.h"

/* A number (or text of one) by key; `otherwise` when it is not there. */
int64_t fp_attribute_number(const char *attributes, const char *key, int64_t otherwise);
/* Appends a text, or a list's texts with spaces between; true when there was any. */
bool fp_attribute_text(const char *attributes, const char *key, struct fp_buffer *buffer);

#endif

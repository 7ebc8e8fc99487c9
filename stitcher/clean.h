/*
 * Text from outside made fit for labels, JSON and terminals: valid UTF-8 without
 * control characters.  What is not becomes visible: \x1b, \u202e.  Pure.
 */
#ifndef FP_STITCHER_CLEAN_H
#define FP_STITCHER_CLEAN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

/* True when the text is clean as it is. */
bool fp_clean_is(const char *text, size_t len);
/* Appends the clean form. */
void fp_clean_add(struct fp_buffer *out, const char *text, size_t len);

#endif

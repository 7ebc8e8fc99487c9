/*
 * Makes text that came from a recorded machine fit to be shown.  File names,
 * arguments and URLs are chosen by whoever is under investigation: they may hold
 * terminal escapes, line breaks, direction overrides or no valid UTF-8 at all.
 * Every label passes through here on its way to a terminal, a picture or XML.
 */
#ifndef FP_QUERY_CLEAN_H
#define FP_QUERY_CLEAN_H

#include "base/buffer.h"

/*
 * Appends the text as valid UTF-8 that shows every byte it does not print as \xNN
 * (or \u{NNNN}) and never moves the cursor.  Longer than `columns` characters (0:
 * no limit) it loses its middle to an ellipsis.  NULL adds nothing.
 */
void fp_clean_add(struct fp_buffer *buffer, const char *text, size_t columns);
/* The same with what XML and Graphviz's HTML-like labels need escaped. */
void fp_clean_add_xml(struct fp_buffer *buffer, const char *text, size_t columns);
/* The same for a Graphviz escString: backslashes doubled. */
void fp_clean_add_dot(struct fp_buffer *buffer, const char *text, size_t columns);
/* Valid UTF-8, nothing else changed: for JSON, which escapes the rest itself. */
void fp_clean_add_utf8(struct fp_buffer *buffer, const char *text);
/* Characters that clean text takes on a terminal, one column each. */
size_t fp_clean_columns(const char *clean);

#endif

/*
 * Prints the schema as this build has it: the layout, for the golden file that
 * guards it, and the reference page docs/events.md.  Used by the test of both
 * and by fp_schema_print, which makes the files anew.
 */
#ifndef FP_SCHEMA_TESTS_PRINT_H
#define FP_SCHEMA_TESTS_PRINT_H

#include <stdio.h>

/* One line per field, event, mark and enumeration member: whatever a reader of old evidence relies on. */
void fp_schema_print_layout(FILE *out);
/* docs/events.md */
void fp_schema_print_reference(FILE *out);

#endif

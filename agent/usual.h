/*
 * Which failures tell nobody anything: those by which programs find out what is
 * there (a loader that looks for a library in one directory after another, a
 * second name lookup over a protocol that is not there), and errors that say
 * something about the call itself.  They are counted and not recorded.  Used by
 * failures.c alone.  What the kernel refused is never among them, but for the
 * caches of its own that a runtime keeps beside modules.
 */
#ifndef FP_AGENT_USUAL_H
#define FP_AGENT_USUAL_H

#include <stdbool.h>

#include "schema/schema.h"

/* Of a FAILED event with its name made clean. */
bool fp_failure_is_usual(const struct fp_event *event);

#endif

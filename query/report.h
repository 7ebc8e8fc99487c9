/*
 * An answer as a report for a terminal: what was asked, whether anything is
 * missing, what links requests, and then each request with one relation per line.
 */
#ifndef FP_QUERY_REPORT_H
#define FP_QUERY_REPORT_H

#include "query/render/view.h"

/* 0 or -ENOMEM. */
int fp_report_write(const struct fp_view *view, FILE *out);

#endif

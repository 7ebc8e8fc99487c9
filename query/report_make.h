/*
 * Between the parts of a report.  Private to report.c and report_head.c.
 */
#ifndef FP_QUERY_REPORT_MAKE_H
#define FP_QUERY_REPORT_MAKE_H

#include "base/buffer.h"
#include "query/report.h"

/* Longest name in a line. */
#define FP_REPORT_COLUMNS 60
/* Room for a relative time. */
#define FP_REPORT_TIME 12

struct fp_report {
	const struct fp_view *view;
	const struct fp_answer *answer;
	struct fp_buffer out;
	size_t *home; /* by node of the view: the cluster whose section it is told in */
};

void fp_report_add(struct fp_report *report, const char *text);
void fp_report_spaces(struct fp_report *report, size_t n);
/* Fills up to a column, counted from `start` in the text. */
void fp_report_pad(struct fp_report *report, size_t start, size_t columns);
void fp_report_time(struct fp_report *report, uint64_t time);
void fp_report_name(struct fp_report *report, const struct fp_view_node *node);
/* How sure an edge is. */
void fp_report_details(struct fp_report *report, const struct fp_view_edge *edge);

/* Both: 0 or -ENOMEM. */
int fp_report_head(struct fp_report *report);
int fp_report_links(struct fp_report *report);

#endif

/*
 * Where are TLS libraries?  Looks at what recorded processes execute and load,
 * and has the TLS functions of a library or program read from then on, once for
 * each file; at the start also at what runs already.
 *
 * A library is known by its name (libssl…), a program by having the functions
 * (Node has its own).  The probe is on the file: processes that are not recorded
 * and use the same file pay for it and are not read.
 */
#ifndef FP_AGENT_TLS_PROBE_H
#define FP_AGENT_TLS_PROBE_H

#include "agent/capture.h"
#include "schema/schema.h"

struct fp_tls_probe;

/* Files looked at; more are not. */
#define FP_TLS_PROBE_FILES_MAX 4096

int fp_tls_probe_new(struct fp_capture *capture, struct fp_tls_probe **ret_probe);
struct fp_tls_probe *fp_tls_probe_free(struct fp_tls_probe *probe);
/* Looks at the processes in the cgroup at this path and below. */
void fp_tls_probe_scan(struct fp_tls_probe *probe, const char *cgroup_path);
/*
 * EXEC or LOAD.  -ESRCH: the process has ended already, and the file is to be
 * looked for through another process of its container, if there is one.
 */
int fp_tls_probe_note(struct fp_tls_probe *probe, const struct fp_event *event);
void fp_tls_probe_note_through(struct fp_tls_probe *probe, const struct fp_event *event, const char *cgroup_path);
/* Files whose functions are read. */
unsigned fp_tls_probe_count(const struct fp_tls_probe *probe);

#endif

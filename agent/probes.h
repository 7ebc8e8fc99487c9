/*
 * Where are functions that are to be probed: those of TLS, and those of libuv by
 * which names are looked up?  Looks at what recorded processes execute and load,
 * and has the functions of a library or program probed from then on, once for
 * each file; at the start also at what runs already.
 *
 * A library is known by its name (libssl…, libuv…), a program by having the functions
 * (Node has its own).  The probe is on the file: processes that are not recorded
 * and use the same file pay for it and are not read.
 */
#ifndef FP_AGENT_PROBES_H
#define FP_AGENT_PROBES_H

#include "agent/capture.h"
#include "schema/schema.h"

struct fp_probes;

/* Files looked at; more are not. */
#define FP_PROBES_FILES_MAX 4096

/* `tls`: what goes through TLS is wanted. */
int fp_probes_new(struct fp_capture *capture, bool tls, struct fp_probes **ret_probes);
struct fp_probes *fp_probes_free(struct fp_probes *probes);
/* Looks at the processes in the cgroup at this path and below. */
void fp_probes_scan(struct fp_probes *probes, const char *cgroup_path);
/*
 * EXEC or LOAD.  -ESRCH: the process has ended already, and the file is to be
 * looked for through another process of its container, if there is one.
 */
int fp_probes_note(struct fp_probes *probes, const struct fp_event *event);
void fp_probes_note_through(struct fp_probes *probes, const struct fp_event *event, const char *cgroup_path);
/* Files of which functions are probed. */
unsigned fp_probes_count(const struct fp_probes *probes);

#endif

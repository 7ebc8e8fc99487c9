/*
 * Where an agent that lives answers --stats: a socket in a folder of root's alone, by
 * the id of the cgroup that it records.  Whoever connects gets one document and the
 * end; nothing is ever read from them, so there is nothing to say wrong.  At most FP_STATS_CLIENTS
 * at a time, and each for FP_STATS_PATIENCE_MS; the rest is turned away.
 */
#ifndef FP_AGENT_STATS_SOCKET_H
#define FP_AGENT_STATS_SOCKET_H

#include <uv.h>

#define FP_STATS_FOLDER "/run/faasprov"
#define FP_STATS_PATH_MAX 64
#define FP_STATS_CLIENTS 8
#define FP_STATS_PATIENCE_MS 10000
/* A document of the tables' limits has some 4 MiB. */
#define FP_STATS_DOCUMENT_MAX (32u << 20)

struct fp_stats_socket;

/* The document, to be freed with free(); NULL: none to be had. */
typedef char *(*fp_stats_document_fn)(void *arg);

void fp_stats_path(uint64_t cgroup, char ret_path[FP_STATS_PATH_MAX]);
/* Removes the sockets that dead agents have left: of one cgroup, or of all (0). */
void fp_stats_clean(uint64_t cgroup);
/* 0; -EPERM when the folder is not only root's; errno.  One that a dead agent left is replaced. */
int fp_stats_socket_open(uv_loop_t *loop, uint64_t cgroup, fp_stats_document_fn fn, void *arg,
			 struct fp_stats_socket **ret_socket);
/* Closes what it has in the loop, and frees it there: the loop must run on.  NULL is nothing. */
void fp_stats_socket_close(struct fp_stats_socket *socket);

#endif

/*
 * Who of the processes of this machine are programs of this project, so that no agent records what
 * they do for it: an agent that sees its own aggregator work would never come to rest.  A program
 * that works for agents says so at its start, by a file in a folder that only root can write; agents look there.
 * Nobody becomes one by its name or place.  Writes nothing else; does not log.
 */
#ifndef FP_BASE_OURS_H
#define FP_BASE_OURS_H

#include <stdint.h>

/* Of root alone (0700), made when it is missing. */
#define FP_OURS_FOLDER "/run/faasprov"

/* A process: the number alone can come again. */
struct fp_ours {
	uint64_t pid, start; /* clock ticks since boot, as in /proc/<pid>/stat */
};

/* 0, -ESRCH when there is none of that number, other errno. */
int fp_ours_of(uint64_t pid, struct fp_ours *ret_ours);
/* This process is one.  0; -EPERM when the folder is not root's alone; errno (who is not root is no trusted one). */
int fp_ours_tell(void);
/* It is none any more. */
void fp_ours_withdraw(void);
/* Those that have told and live, at most `max`; files of dead ones are removed.  How many, or -EPERM, errno; no folder: 0. */
int fp_ours_list(struct fp_ours *ret, unsigned max);

#endif

/*
 * The protocol of Redis (RESP2 and RESP3 are the same from the client) on one
 * connection: which keys the client's commands get and put.  Private to
 * agent/app.
 *
 * Why no library: hiredis' reader wants every byte and keeps every argument;
 * here arguments of any size are counted and not kept, and a hole in the
 * capture that falls into one is stepped over.  Commands between MULTI and EXEC
 * count when EXEC comes, those before DISCARD never.  Of values nothing is
 * looked at, and the arguments of a command that is not known are skipped.
 */
#ifndef FP_AGENT_APP_REDIS_H
#define FP_AGENT_APP_REDIS_H

#include "agent/app/emit.h"

struct fp_redis;

/* NULL: no memory. */
struct fp_redis *fp_redis_new(void);
struct fp_redis *fp_redis_free(struct fp_redis *redis);
/* Could this be the beginning of a command?  Says yes to any prefix of one. */
bool fp_redis_begins(const struct fp_app_input *input);
enum fp_app_verdict fp_redis_feed(struct fp_redis *redis, struct fp_app_input *input);

#endif

/*
 * The commands of Redis: which of their arguments are keys, and what happens to
 * those.  Private to agent/app; pure.
 */
#ifndef FP_AGENT_APP_REDIS_COMMAND_H
#define FP_AGENT_APP_REDIS_COMMAND_H

#include "schema/schema.h"

#define FP_REDIS_NAME_MAX 20 /* of a command; longer ones are not known */

enum fp_redis_access { FP_REDIS_GET = 1, FP_REDIS_PUT = 2, FP_REDIS_BOTH = 3 };

enum fp_redis_space {
	FP_REDIS_KEY, /* of the database in use */
	FP_REDIS_CHANNEL, /* publish and subscribe: of the server */
	FP_REDIS_SETTING, /* of the server */
	FP_REDIS_DATABASE, /* the database as a whole: no argument names it */
};

/* What the arguments mean that are no keys at fixed places. */
enum fp_redis_form {
	FP_REDIS_PLAIN,
	FP_REDIS_NUMKEYS, /* the argument at `first` counts the keys behind it */
	FP_REDIS_STREAMS, /* behind the word STREAMS: keys, then as many ids */
	FP_REDIS_STORE, /* ... STORE or STOREDIST key: that is put */
	FP_REDIS_SELECT,
	FP_REDIS_MULTI,
	FP_REDIS_EXEC,
	FP_REDIS_DISCARD,
};

struct fp_redis_command {
	const char *name;
	enum fp_redis_access access;
	int first, last, step; /* arguments behind the name, from 1; last < 0: from the end; first 0: none */
	enum fp_redis_access access2; /* 0: no second group of keys */
	int first2, last2;
	enum fp_redis_space space;
	enum fp_redis_form form;
	const char *word; /* first argument, for commands that have several forms; NULL: any */
};

/* By name and first argument, in any case; NULL when it is not known. */
const struct fp_redis_command *fp_redis_command_find(struct fp_str name, struct fp_str argument);
/* Is this the name of a command? */
bool fp_redis_command_is_name(struct fp_str name);

#endif

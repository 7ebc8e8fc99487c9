#include "agent/app/redis_command.h"

#include <string.h>
#include <strings.h>

#define G FP_REDIS_GET
#define P FP_REDIS_PUT
#define B FP_REDIS_BOTH

/* name: what is done to the keys from, to, every */
#define KEYS(name, access, first, last, step) {name, access, first, last, step, 0, 0, 0, FP_REDIS_KEY, FP_REDIS_PLAIN, NULL}
/* the same, and a second group */
#define TWO(name, access, first, last, access2, first2, last2) \
	{name, access, first, last, 1, access2, first2, last2, FP_REDIS_KEY, FP_REDIS_PLAIN, NULL}
#define FORM(name, access, first, access2, first2, form) \
	{name, access, first, first, 1, access2, first2, first2, FP_REDIS_KEY, form, NULL}
#define SPACE(name, access, first, last, space) {name, access, first, last, 1, 0, 0, 0, space, FP_REDIS_PLAIN, NULL}
/* name word key */
#define WORD(name, word, access) {name, access, 2, 2, 1, 0, 0, 0, FP_REDIS_KEY, FP_REDIS_PLAIN, word}
/* known, and of no key */
#define NONE(name) {name, 0, 0, 0, 0, 0, 0, 0, FP_REDIS_KEY, FP_REDIS_PLAIN, NULL}

static const struct fp_redis_command commands[] = {
	/* strings */
	KEYS("GET", G, 1, 1, 1), KEYS("SET", P, 1, 1, 1), KEYS("SETNX", P, 1, 1, 1), KEYS("SETEX", P, 1, 1, 1),
	KEYS("PSETEX", P, 1, 1, 1), KEYS("MGET", G, 1, -1, 1), KEYS("MSET", P, 1, -1, 2), KEYS("MSETNX", P, 1, -1, 2),
	KEYS("GETSET", B, 1, 1, 1), KEYS("GETDEL", B, 1, 1, 1), KEYS("GETEX", G, 1, 1, 1), KEYS("APPEND", P, 1, 1, 1),
	KEYS("INCR", B, 1, 1, 1), KEYS("DECR", B, 1, 1, 1), KEYS("INCRBY", B, 1, 1, 1), KEYS("DECRBY", B, 1, 1, 1),
	KEYS("INCRBYFLOAT", B, 1, 1, 1), KEYS("STRLEN", G, 1, 1, 1), KEYS("GETRANGE", G, 1, 1, 1),
	KEYS("SUBSTR", G, 1, 1, 1), KEYS("SETRANGE", P, 1, 1, 1), KEYS("LCS", G, 1, 2, 1), KEYS("SETBIT", B, 1, 1, 1),
	KEYS("GETBIT", G, 1, 1, 1), KEYS("BITCOUNT", G, 1, 1, 1), KEYS("BITPOS", G, 1, 1, 1),
	KEYS("BITFIELD", B, 1, 1, 1), KEYS("BITFIELD_RO", G, 1, 1, 1), TWO("BITOP", P, 2, 2, G, 3, -1),
	/* keys */
	KEYS("DEL", P, 1, -1, 1), KEYS("UNLINK", P, 1, -1, 1), KEYS("EXISTS", G, 1, -1, 1), KEYS("TOUCH", G, 1, -1, 1),
	KEYS("TYPE", G, 1, 1, 1), KEYS("TTL", G, 1, 1, 1), KEYS("PTTL", G, 1, 1, 1), KEYS("EXPIRETIME", G, 1, 1, 1),
	KEYS("PEXPIRETIME", G, 1, 1, 1), KEYS("EXPIRE", P, 1, 1, 1), KEYS("PEXPIRE", P, 1, 1, 1),
	KEYS("EXPIREAT", P, 1, 1, 1), KEYS("PEXPIREAT", P, 1, 1, 1), KEYS("PERSIST", P, 1, 1, 1),
	KEYS("DUMP", G, 1, 1, 1), KEYS("RESTORE", P, 1, 1, 1), KEYS("MOVE", B, 1, 1, 1), TWO("RENAME", B, 1, 1, P, 2, 2),
	TWO("RENAMENX", B, 1, 1, P, 2, 2), TWO("COPY", G, 1, 1, P, 2, 2), KEYS("MIGRATE", G, 3, 3, 1),
	FORM("SORT", G, 1, P, 0, FP_REDIS_STORE), KEYS("SORT_RO", G, 1, 1, 1), WORD("OBJECT", "ENCODING", G),
	WORD("OBJECT", "FREQ", G), WORD("OBJECT", "IDLETIME", G), WORD("OBJECT", "REFCOUNT", G), NONE("OBJECT"),
	WORD("MEMORY", "USAGE", G), NONE("MEMORY"), WORD("DEBUG", "OBJECT", G), NONE("DEBUG"), KEYS("WATCH", G, 1, -1, 1),
	/* hashes */
	KEYS("HGET", G, 1, 1, 1), KEYS("HMGET", G, 1, 1, 1), KEYS("HGETALL", G, 1, 1, 1), KEYS("HKEYS", G, 1, 1, 1),
	KEYS("HVALS", G, 1, 1, 1), KEYS("HLEN", G, 1, 1, 1), KEYS("HSTRLEN", G, 1, 1, 1), KEYS("HEXISTS", G, 1, 1, 1),
	KEYS("HSCAN", G, 1, 1, 1), KEYS("HRANDFIELD", G, 1, 1, 1), KEYS("HSET", P, 1, 1, 1), KEYS("HMSET", P, 1, 1, 1),
	KEYS("HSETNX", P, 1, 1, 1), KEYS("HDEL", P, 1, 1, 1), KEYS("HINCRBY", B, 1, 1, 1), KEYS("HINCRBYFLOAT", B, 1, 1, 1),
	/* lists */
	KEYS("LPUSH", P, 1, 1, 1), KEYS("RPUSH", P, 1, 1, 1), KEYS("LPUSHX", P, 1, 1, 1), KEYS("RPUSHX", P, 1, 1, 1),
	KEYS("LINSERT", P, 1, 1, 1), KEYS("LSET", P, 1, 1, 1), KEYS("LREM", P, 1, 1, 1), KEYS("LTRIM", P, 1, 1, 1),
	KEYS("LRANGE", G, 1, 1, 1), KEYS("LINDEX", G, 1, 1, 1), KEYS("LLEN", G, 1, 1, 1), KEYS("LPOS", G, 1, 1, 1),
	KEYS("LPOP", B, 1, 1, 1), KEYS("RPOP", B, 1, 1, 1), KEYS("BLPOP", B, 1, -2, 1), KEYS("BRPOP", B, 1, -2, 1),
	TWO("LMOVE", B, 1, 1, P, 2, 2), TWO("BLMOVE", B, 1, 1, P, 2, 2), TWO("RPOPLPUSH", B, 1, 1, P, 2, 2),
	TWO("BRPOPLPUSH", B, 1, 1, P, 2, 2), FORM("LMPOP", B, 1, 0, 0, FP_REDIS_NUMKEYS),
	FORM("BLMPOP", B, 2, 0, 0, FP_REDIS_NUMKEYS),
	/* sets */
	KEYS("SADD", P, 1, 1, 1), KEYS("SREM", P, 1, 1, 1), KEYS("SMEMBERS", G, 1, 1, 1), KEYS("SISMEMBER", G, 1, 1, 1),
	KEYS("SMISMEMBER", G, 1, 1, 1), KEYS("SCARD", G, 1, 1, 1), KEYS("SSCAN", G, 1, 1, 1), KEYS("SRANDMEMBER", G, 1, 1, 1),
	KEYS("SPOP", B, 1, 1, 1), TWO("SMOVE", P, 1, 1, P, 2, 2), KEYS("SINTER", G, 1, -1, 1), KEYS("SUNION", G, 1, -1, 1),
	KEYS("SDIFF", G, 1, -1, 1), TWO("SINTERSTORE", P, 1, 1, G, 2, -1), TWO("SUNIONSTORE", P, 1, 1, G, 2, -1),
	TWO("SDIFFSTORE", P, 1, 1, G, 2, -1), FORM("SINTERCARD", G, 1, 0, 0, FP_REDIS_NUMKEYS),
	/* sorted sets */
	KEYS("ZADD", P, 1, 1, 1), KEYS("ZREM", P, 1, 1, 1), KEYS("ZINCRBY", B, 1, 1, 1), KEYS("ZSCORE", G, 1, 1, 1),
	KEYS("ZMSCORE", G, 1, 1, 1), KEYS("ZCARD", G, 1, 1, 1), KEYS("ZCOUNT", G, 1, 1, 1), KEYS("ZLEXCOUNT", G, 1, 1, 1),
	KEYS("ZRANGE", G, 1, 1, 1), KEYS("ZREVRANGE", G, 1, 1, 1), KEYS("ZRANGEBYSCORE", G, 1, 1, 1),
	KEYS("ZREVRANGEBYSCORE", G, 1, 1, 1), KEYS("ZRANGEBYLEX", G, 1, 1, 1), KEYS("ZREVRANGEBYLEX", G, 1, 1, 1),
	KEYS("ZRANK", G, 1, 1, 1), KEYS("ZREVRANK", G, 1, 1, 1), KEYS("ZSCAN", G, 1, 1, 1), KEYS("ZRANDMEMBER", G, 1, 1, 1),
	KEYS("ZPOPMIN", B, 1, 1, 1), KEYS("ZPOPMAX", B, 1, 1, 1), KEYS("BZPOPMIN", B, 1, -2, 1), KEYS("BZPOPMAX", B, 1, -2, 1),
	KEYS("ZREMRANGEBYRANK", P, 1, 1, 1), KEYS("ZREMRANGEBYSCORE", P, 1, 1, 1), KEYS("ZREMRANGEBYLEX", P, 1, 1, 1),
	TWO("ZRANGESTORE", P, 1, 1, G, 2, 2), FORM("ZUNION", G, 1, 0, 0, FP_REDIS_NUMKEYS),
	FORM("ZINTER", G, 1, 0, 0, FP_REDIS_NUMKEYS), FORM("ZDIFF", G, 1, 0, 0, FP_REDIS_NUMKEYS),
	FORM("ZINTERCARD", G, 1, 0, 0, FP_REDIS_NUMKEYS), FORM("ZUNIONSTORE", G, 2, P, 1, FP_REDIS_NUMKEYS),
	FORM("ZINTERSTORE", G, 2, P, 1, FP_REDIS_NUMKEYS), FORM("ZDIFFSTORE", G, 2, P, 1, FP_REDIS_NUMKEYS),
	FORM("ZMPOP", B, 1, 0, 0, FP_REDIS_NUMKEYS), FORM("BZMPOP", B, 2, 0, 0, FP_REDIS_NUMKEYS),
	/* places and counts */
	KEYS("GEOADD", P, 1, 1, 1), KEYS("GEODIST", G, 1, 1, 1), KEYS("GEOHASH", G, 1, 1, 1), KEYS("GEOPOS", G, 1, 1, 1),
	KEYS("GEOSEARCH", G, 1, 1, 1), TWO("GEOSEARCHSTORE", P, 1, 1, G, 2, 2), FORM("GEORADIUS", G, 1, P, 0, FP_REDIS_STORE),
	FORM("GEORADIUSBYMEMBER", G, 1, P, 0, FP_REDIS_STORE), KEYS("GEORADIUS_RO", G, 1, 1, 1),
	KEYS("GEORADIUSBYMEMBER_RO", G, 1, 1, 1), KEYS("PFADD", P, 1, 1, 1), KEYS("PFCOUNT", G, 1, -1, 1),
	TWO("PFMERGE", P, 1, 1, G, 2, -1),
	/* streams */
	KEYS("XADD", P, 1, 1, 1), KEYS("XLEN", G, 1, 1, 1), KEYS("XRANGE", G, 1, 1, 1), KEYS("XREVRANGE", G, 1, 1, 1),
	KEYS("XDEL", P, 1, 1, 1), KEYS("XTRIM", P, 1, 1, 1), KEYS("XACK", P, 1, 1, 1), KEYS("XPENDING", G, 1, 1, 1),
	KEYS("XCLAIM", B, 1, 1, 1), KEYS("XAUTOCLAIM", B, 1, 1, 1), KEYS("XSETID", P, 1, 1, 1),
	FORM("XREAD", G, 0, 0, 0, FP_REDIS_STREAMS), FORM("XREADGROUP", B, 0, 0, 0, FP_REDIS_STREAMS),
	WORD("XGROUP", "CREATE", P), WORD("XGROUP", "DESTROY", P), WORD("XGROUP", "SETID", P), NONE("XGROUP"),
	WORD("XINFO", "STREAM", G), WORD("XINFO", "GROUPS", G), WORD("XINFO", "CONSUMERS", G), NONE("XINFO"),
	/* programs */
	FORM("EVAL", B, 2, 0, 0, FP_REDIS_NUMKEYS), FORM("EVALSHA", B, 2, 0, 0, FP_REDIS_NUMKEYS),
	FORM("EVAL_RO", G, 2, 0, 0, FP_REDIS_NUMKEYS), FORM("EVALSHA_RO", G, 2, 0, 0, FP_REDIS_NUMKEYS),
	FORM("FCALL", B, 2, 0, 0, FP_REDIS_NUMKEYS), FORM("FCALL_RO", G, 2, 0, 0, FP_REDIS_NUMKEYS), NONE("SCRIPT"),
	NONE("FUNCTION"),
	/* channels */
	SPACE("PUBLISH", P, 1, 1, FP_REDIS_CHANNEL), SPACE("SPUBLISH", P, 1, 1, FP_REDIS_CHANNEL),
	SPACE("SUBSCRIBE", G, 1, -1, FP_REDIS_CHANNEL), SPACE("PSUBSCRIBE", G, 1, -1, FP_REDIS_CHANNEL),
	SPACE("SSUBSCRIBE", G, 1, -1, FP_REDIS_CHANNEL), NONE("UNSUBSCRIBE"), NONE("PUNSUBSCRIBE"), NONE("SUNSUBSCRIBE"),
	NONE("PUBSUB"),
	/* the database, the server */
	SPACE("KEYS", G, 0, 0, FP_REDIS_DATABASE), SPACE("SCAN", G, 0, 0, FP_REDIS_DATABASE),
	SPACE("RANDOMKEY", G, 0, 0, FP_REDIS_DATABASE), SPACE("FLUSHDB", P, 0, 0, FP_REDIS_DATABASE),
	SPACE("FLUSHALL", P, 0, 0, FP_REDIS_DATABASE), SPACE("SWAPDB", B, 0, 0, FP_REDIS_DATABASE),
	{"CONFIG", P, 2, -1, 2, 0, 0, 0, FP_REDIS_SETTING, FP_REDIS_PLAIN, "SET"},
	{"CONFIG", G, 2, -1, 1, 0, 0, 0, FP_REDIS_SETTING, FP_REDIS_PLAIN, "GET"}, NONE("CONFIG"),
	/* the connection */
	FORM("SELECT", 0, 1, 0, 0, FP_REDIS_SELECT), FORM("MULTI", 0, 0, 0, 0, FP_REDIS_MULTI),
	FORM("EXEC", 0, 0, 0, 0, FP_REDIS_EXEC), FORM("DISCARD", 0, 0, 0, 0, FP_REDIS_DISCARD), NONE("UNWATCH"),
	NONE("PING"), NONE("ECHO"), NONE("AUTH"), NONE("HELLO"), NONE("QUIT"), NONE("RESET"), NONE("CLIENT"),
	NONE("COMMAND"), NONE("INFO"), NONE("TIME"), NONE("DBSIZE"), NONE("WAIT"), NONE("ROLE"), NONE("CLUSTER"),
	NONE("READONLY"), NONE("READWRITE"), NONE("ASKING"), NONE("ACL"), NONE("LATENCY"), NONE("SLOWLOG"),
	NONE("MONITOR"), NONE("SAVE"), NONE("BGSAVE"), NONE("BGREWRITEAOF"), NONE("LASTSAVE"), NONE("SHUTDOWN"),
	NONE("REPLICAOF"), NONE("SLAVEOF"), NONE("PSYNC"), NONE("REPLCONF"), NONE("FAILOVER"), NONE("MODULE"),
};

static bool same(struct fp_str text, const char *name)
{
	return text.len == strlen(name) && strncasecmp(text.data, name, text.len) == 0;
}

const struct fp_redis_command *fp_redis_command_find(struct fp_str name, struct fp_str argument)
{
	for (size_t i = 0; name.len && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (same(name, commands[i].name) && (!commands[i].word || same(argument, commands[i].word)))
			return &commands[i];
	return NULL;
}

bool fp_redis_command_is_name(struct fp_str name)
{
	for (size_t i = 0; name.len && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (same(name, commands[i].name))
			return true;
	return false;
}

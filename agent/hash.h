/*
 * uthash.h for the agent's tables, with a hash of their own: keys are some numbers, mostly one or two, and each event is
 * looked up in ten tables.  Whoever is watched chooses some keys (ids, paths), so the hash is keyed anew by each process.
 */
#ifndef FP_AGENT_HASH_H
#define FP_AGENT_HASH_H

#ifdef UTHASH_H
#error "uthash.h is to be included by agent/hash.h alone, or tables would be searched by two hashes"
#endif

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define HASH_FUNCTION(key, len, hash) ((hash) = fp_hash(key, len))
#include <uthash.h>

extern uint64_t fp_hash_key;

static inline uint64_t fp_hash_mix(uint64_t hash, uint64_t word)
{
	unsigned __int128 product = (unsigned __int128)(hash ^ word) * 0x9e3779b97f4a7c15ull;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline unsigned fp_hash(const void *key, size_t len)
{
	uint64_t hash = fp_hash_key ^ len, word;
	const char *at = key;

	for (; len >= sizeof(word); len -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		hash = fp_hash_mix(hash, word);
	}
	word = 0;
	if (len > 0) {
		memcpy(&word, at, len);
		hash = fp_hash_mix(hash, word);
	}
	return (unsigned)(hash ^ hash >> 32);
}

#endif

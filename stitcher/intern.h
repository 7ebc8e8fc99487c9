/*
 * Gives each distinct byte string a dense number, from 0 in the order of first
 * sight, so that whatever belongs to it lives in a plain array.  Used for all
 * identities of the stitcher: processes, files, streams, requests, texts.
 *
 * Keys come from outside; the hash is keyed with random bytes, so that nobody
 * can choose keys that collide.  The numbers do not depend on the hash.
 */
#ifndef FP_STITCHER_INTERN_H
#define FP_STITCHER_INTERN_H

#include <stddef.h>
#include <stdint.h>

#define FP_NONE UINT32_MAX

struct fp_intern_slot;
struct fp_intern_key;

struct fp_intern {
	struct fp_intern_slot *slots;
	size_t n_slots;
	struct fp_intern_key *keys;
	size_t n_keys, keys_room;
	char *bytes;
	size_t n_bytes, bytes_room;
	size_t limit; /* of bytes */
	uint8_t hash_key[16];
};

/* `limit`: how many bytes of keys may be kept in all. */
void fp_intern_init(struct fp_intern *table, size_t limit);
void fp_intern_done(struct fp_intern *table);
/* 1 new, 0 known already, -ENOMEM, -EFBIG beyond the limit. */
int fp_intern_add(struct fp_intern *table, const void *key, size_t len, uint32_t *ret_number);
/* The number, or FP_NONE. */
uint32_t fp_intern_find(const struct fp_intern *table, const void *key, size_t len);
/* The key of a number, followed by a NUL; until the next add. */
const char *fp_intern_key(const struct fp_intern *table, uint32_t number, size_t *ret_len);

static inline uint32_t fp_intern_count(const struct fp_intern *table)
{
	return (uint32_t)table->n_keys;
}

#endif

#include "stitcher/intern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/array.h"

struct fp_intern_slot {
	uint32_t hash;
	uint32_t number; /* FP_NONE: free */
};

struct fp_intern_key {
	size_t offset;
	uint32_t len;
};

_Static_assert(crypto_shorthash_KEYBYTES == 16 && crypto_shorthash_BYTES == 8, "sizes of the hash");

void fp_intern_init(struct fp_intern *table, size_t limit)
{
	*table = (struct fp_intern){.limit = limit};
	randombytes_buf(table->hash_key, sizeof(table->hash_key));
}

void fp_intern_done(struct fp_intern *table)
{
	free(table->slots);
	free(table->keys);
	free(table->bytes);
	*table = (struct fp_intern){0};
}

static uint32_t hash_of(const struct fp_intern *table, const void *key, size_t len)
{
	uint64_t hash;

	crypto_shorthash((unsigned char *)&hash, key, len, table->hash_key);
	return (uint32_t)hash;
}

/* The slot that holds the key, or the free one where it belongs. */
static size_t slot_of(const struct fp_intern *table, uint32_t hash, const void *key, size_t len)
{
	size_t mask = table->n_slots - 1;

	for (size_t at = hash & mask;; at = (at + 1) & mask) {
		const struct fp_intern_slot *slot = &table->slots[at];
		const struct fp_intern_key *there;

		if (slot->number == FP_NONE)
			return at;
		there = &table->keys[slot->number];
		if (slot->hash == hash && there->len == len &&
		    (len == 0 || memcmp(table->bytes + there->offset, key, len) == 0))
			return at;
	}
}

static int rehash(struct fp_intern *table)
{
	size_t n = table->n_slots ? table->n_slots * 2 : 64;
	struct fp_intern_slot *slots = malloc(n * sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	memset(slots, 0xff, n * sizeof(*slots));
	for (size_t i = 0; i < table->n_slots; i++) {
		size_t at = table->slots[i].hash & (n - 1);

		if (table->slots[i].number == FP_NONE)
			continue;
		while (slots[at].number != FP_NONE)
			at = (at + 1) & (n - 1);
		slots[at] = table->slots[i];
	}
	free(table->slots);
	table->slots = slots;
	table->n_slots = n;
	return 0;
}

static int keep_bytes(struct fp_intern *table, const void *key, size_t len)
{
	if (len >= table->limit || table->n_bytes > table->limit - len - 1)
		return -EFBIG;
	if (table->n_bytes + len + 1 > table->bytes_room) {
		size_t room = table->bytes_room * 2 + len + 4096;
		char *bytes = realloc(table->bytes, room);

		if (!bytes)
			return -ENOMEM;
		table->bytes = bytes;
		table->bytes_room = room;
	}
	if (len)
		memcpy(table->bytes + table->n_bytes, key, len);
	table->bytes[table->n_bytes + len] = '\0';
	table->n_bytes += len + 1;
	return 0;
}

int fp_intern_add(struct fp_intern *table, const void *key, size_t len, uint32_t *ret_number)
{
	uint32_t hash = hash_of(table, key, len);
	size_t at, offset = table->n_bytes;
	int r;

	/* at most two thirds full */
	if (table->n_keys >= table->n_slots / 3 * 2 && (r = rehash(table)) < 0)
		return r;
	at = slot_of(table, hash, key, len);
	if (table->slots[at].number != FP_NONE) {
		*ret_number = table->slots[at].number;
		return 0;
	}
	if (table->n_keys >= FP_NONE - 16)
		return -EFBIG;
	if (!FP_ARRAY_ROOM(table->keys, table->n_keys, table->keys_room))
		return -ENOMEM;
	r = keep_bytes(table, key, len);
	if (r < 0)
		return r;
	table->keys[table->n_keys] = (struct fp_intern_key){offset, (uint32_t)len};
	table->slots[at] = (struct fp_intern_slot){hash, (uint32_t)table->n_keys};
	*ret_number = (uint32_t)table->n_keys++;
	return 1;
}

uint32_t fp_intern_find(const struct fp_intern *table, const void *key, size_t len)
{
	if (!table->n_slots)
		return FP_NONE;
	return table->slots[slot_of(table, hash_of(table, key, len), key, len)].number;
}

const char *fp_intern_key(const struct fp_intern *table, uint32_t number, size_t *ret_len)
{
	if (ret_len)
		*ret_len = table->keys[number].len;
	return table->bytes + table->keys[number].offset;
}

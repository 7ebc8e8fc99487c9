/*
 * How much memory the agent's tables may take together.  Each owner of tables says
 * what they hold and can forget the least useful entry of one.  Between
 * two records, where nobody holds an entry, the largest of all tables gives up entries
 * until the sum is within the limit; so what a flood of one kind fills is what it loses.
 *
 * Sizes are what entries take, not what the heap has: fp_bounds_keep() is deterministic,
 * a recording is replayed to the same.  Who lives in a process measures the rest and sets the limit accordingly (serve_memory.c).
 */
#ifndef FP_AGENT_BOUNDS_H
#define FP_AGENT_BOUNDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FP_BOUNDS_OWNERS_MAX 8
#define FP_BOUNDS_TABLES_MAX 12 /* of one owner */
/* An allocation's own head, and an entry's share of the table's buckets. */
#define FP_BOUNDS_OVERHEAD 24

/* One table. */
struct fp_bound {
	const char *name;
	size_t entries, bytes;
	uint64_t forgotten; /* entries given up so far for want of room */
};

/* Fills in the owner's tables (room is for FP_BOUNDS_TABLES_MAX); how many there are.  Which is which does not change. */
typedef unsigned (*fp_bounds_look_fn)(const void *owner, struct fp_bound *ret);
/* Gives up one entry of that table, which is not empty. */
typedef void (*fp_bounds_forget_fn)(void *owner, unsigned table);

struct fp_bounds {
	struct {
		void *owner;
		fp_bounds_look_fn look;
		fp_bounds_forget_fn forget;
	} owners[FP_BOUNDS_OWNERS_MAX];
	unsigned n;
	size_t limit; /* bytes */
};

void fp_bounds_add(struct fp_bounds *bounds, void *owner, fp_bounds_look_fn look, fp_bounds_forget_fn forget);
size_t fp_bounds_bytes(const struct fp_bounds *bounds);
/* Forgets until the limit is kept; how many entries. */
size_t fp_bounds_keep(struct fp_bounds *bounds);
/* One after the other, from 0; false: there are no more. */
bool fp_bounds_table(const struct fp_bounds *bounds, unsigned n, struct fp_bound *ret_bound);

/* A table of equal entries. */
static inline struct fp_bound fp_bound_of(const char *name, size_t entries, size_t size, uint64_t forgotten)
{
	return (struct fp_bound){name, entries, entries * (size + FP_BOUNDS_OVERHEAD), forgotten};
}

/*
 * The entry of a uthash table that is to go: of the oldest the first that was not used since it was
 * last passed over (`used` is cleared and it goes to the end).  NULL when the table is empty.
 */
#define FP_BOUND_PASSES_MAX 64
#define FP_BOUND_OLDEST(table, entry, key_at, key_size)                                            \
	for (unsigned passes_ = 0; ((entry) = (table)) && (entry)->used && passes_ < FP_BOUND_PASSES_MAX; passes_++) { \
		(entry)->used = false;                                                             \
		HASH_DEL(table, entry);                                                            \
		HASH_ADD_KEYPTR(hh, table, key_at, key_size, entry);                               \
	}

#endif

#include "agent/bounds.h"

#include <assert.h>

void fp_bounds_add(struct fp_bounds *bounds, void *owner, fp_bounds_look_fn look, fp_bounds_forget_fn forget)
{
	assert(bounds->n < FP_BOUNDS_OWNERS_MAX);
	bounds->owners[bounds->n].owner = owner;
	bounds->owners[bounds->n].look = look;
	bounds->owners[bounds->n++].forget = forget;
}

/* The sum; and whose table is the largest, and which. */
static size_t measure(const struct fp_bounds *bounds, unsigned *ret_owner, unsigned *ret_table)
{
	size_t sum = 0, most = 0;

	for (unsigned i = 0; i < bounds->n; i++) {
		struct fp_bound tables[FP_BOUNDS_TABLES_MAX];
		unsigned n = bounds->owners[i].look(bounds->owners[i].owner, tables);

		for (unsigned j = 0; j < n; j++) {
			sum += tables[j].bytes;
			if (tables[j].entries && tables[j].bytes > most) {
				most = tables[j].bytes;
				*ret_owner = i;
				*ret_table = j;
			}
		}
	}
	return sum;
}

size_t fp_bounds_bytes(const struct fp_bounds *bounds)
{
	unsigned owner, table;

	return measure(bounds, &owner, &table);
}

size_t fp_bounds_keep(struct fp_bounds *bounds)
{
	unsigned owner = 0, table = 0;
	size_t forgotten = 0, sum;

	for (sum = measure(bounds, &owner, &table); sum > bounds->limit; forgotten++) {
		size_t before = sum;

		bounds->owners[owner].forget(bounds->owners[owner].owner, table);
		sum = measure(bounds, &owner, &table);
		if (sum >= before) /* nothing more to be had */
			break;
	}
	return forgotten;
}

bool fp_bounds_table(const struct fp_bounds *bounds, unsigned n, struct fp_bound *ret_bound)
{
	for (unsigned i = 0; i < bounds->n; i++) {
		struct fp_bound tables[FP_BOUNDS_TABLES_MAX];
		unsigned has = bounds->owners[i].look(bounds->owners[i].owner, tables);

		if (n < has) {
			*ret_bound = tables[n];
			return true;
		}
		n -= has;
	}
	return false;
}

#include "stitcher/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "store/digest.h"

enum { NODES, EDGES, REQUESTS, LOSSES, TABLES };

static const char *const table_names[TABLES] = {"node", "edge", "request", "loss"};

/* A row, by the id it is known by (a request by its node; a loss has none). */
struct mark {
	uint64_t id;
	uint8_t digest[FP_STORE_DIGEST_SIZE];
};

struct marks {
	struct mark *list;
	size_t n, room;
};

struct fp_check {
	struct marks made[TABLES], found[TABLES];
};

int fp_check_new(struct fp_check **ret_check)
{
	*ret_check = calloc(1, sizeof(**ret_check));
	return *ret_check ? 0 : -ENOMEM;
}

struct fp_check *fp_check_free(struct fp_check *check)
{
	for (int i = 0; check && i < TABLES; i++) {
		free(check->made[i].list);
		free(check->found[i].list);
	}
	free(check);
	return NULL;
}

static struct mark *add(struct marks *marks, uint64_t id)
{
	if (!FP_ARRAY_ROOM(marks->list, marks->n, marks->room))
		return NULL;
	marks->list[marks->n].id = id;
	return &marks->list[marks->n++];
}

/* made_<table>, found_<table>: takes a row of the one graph or of the other. */
#define DEFINE_TAKE(table, TABLE, id)                                              \
	static int take_##table(struct marks *marks, const struct fp_store_##table *row) \
	{                                                                          \
		struct mark *mark = add(marks, id);                                \
                                                                                   \
		if (!mark)                                                         \
			return -ENOMEM;                                            \
		fp_store_digest_##table(row, mark->digest);                        \
		return 0;                                                          \
	}                                                                          \
	static int made_##table(void *arg, const struct fp_store_##table *row)     \
	{                                                                          \
		return take_##table(&((struct fp_check *)arg)->made[TABLE], row);  \
	}                                                                          \
	static int found_##table(void *arg, const struct fp_store_##table *row)    \
	{                                                                          \
		return take_##table(&((struct fp_check *)arg)->found[TABLE], row); \
	}

DEFINE_TAKE(node, NODES, row->id)
DEFINE_TAKE(edge, EDGES, row->id)
DEFINE_TAKE(request, REQUESTS, row->node)
DEFINE_TAKE(loss, LOSSES, 0)

struct fp_stitch_sink fp_check_sink(struct fp_check *check)
{
	return (struct fp_stitch_sink){
		.arg = check, .node = made_node, .edge = made_edge, .request = made_request, .loss = made_loss};
}

static int compare_marks(const void *a, const void *b)
{
	const struct mark *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return memcmp(x->digest, y->digest, sizeof(x->digest));
}

static void sort(struct marks *marks)
{
	if (marks->n)
		qsort(marks->list, marks->n, sizeof(*marks->list), compare_marks);
}

/* Both are sorted.  A row that both have under one id with other digests is one that was changed, not two. */
static int64_t compare_table(const char *table, const struct marks *made, const struct marks *found, fp_check_fn fn, void *arg)
{
	int64_t different = 0;

	for (size_t i = 0, j = 0; i < made->n || j < found->n; different++) {
		const struct mark *x = i < made->n ? &made->list[i] : NULL, *y = j < found->n ? &found->list[j] : NULL;

		if (x && y && compare_marks(x, y) == 0) {
			i++, j++, different--;
		} else if (x && y && x->id == y->id && x->id) {
			fn(arg, table, "changed", x->id);
			i++, j++;
		} else if (!y || (x && compare_marks(x, y) < 0)) {
			fn(arg, table, "missing", x->id);
			i++;
		} else {
			fn(arg, table, "added", y->id);
			j++;
		}
	}
	return different;
}

int64_t fp_check_compare(struct fp_check *check, struct fp_store *store, fp_check_fn fn, void *arg)
{
	int64_t different = 0;
	int r = fp_store_each_node(store, found_node, check);

	if (r == 0)
		r = fp_store_each_edge(store, found_edge, check);
	if (r == 0)
		r = fp_store_each_request(store, found_request, check);
	if (r == 0)
		r = fp_store_each_loss(store, 0, UINT64_MAX, found_loss, check);
	if (r < 0)
		return r;
	for (int i = 0; i < TABLES; i++) {
		sort(&check->made[i]);
		sort(&check->found[i]);
		different += compare_table(table_names[i], &check->made[i], &check->found[i], fn, arg);
	}
	return different;
}

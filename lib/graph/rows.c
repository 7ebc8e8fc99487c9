#include "graph/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* A text of the attributes' first level: the stitcher writes compact JSON, quotes within strings are escaped. */
static struct fp_str attribute(const struct fp_store_edge *row, const char *name)
{
	const char *at = row->attributes ? strstr(row->attributes, name) : NULL;

	if (!at)
		return (struct fp_str){0};
	at += strlen(name);
	return (struct fp_str){at, strcspn(at, "\"\\")};
}

struct fp_str fp_rows_of(const struct fp_store_edge *row)
{
	return attribute(row, "\"rows\":\"");
}

bool fp_rows_all(struct fp_str rows)
{
	return rows.len == 1 && rows.data[0] == '*';
}

/* --- meeting ---------------------------------------------------------------- */

/* column:digest, up to the comma. */
struct term {
	struct fp_str column, digest;
};

static bool next_term(struct fp_str *rows, struct term *term)
{
	size_t len = 0, colon;

	while (len < rows->len && rows->data[len] != ',')
		len++;
	for (colon = 0; colon < len && rows->data[colon] != ':'; colon++)
		;
	if (colon == len)
		return false;
	term->column = (struct fp_str){rows->data, colon};
	term->digest = (struct fp_str){rows->data + colon + 1, len - colon - 1};
	len += len < rows->len;
	rows->data += len;
	rows->len -= len;
	return true;
}

static bool same(struct fp_str a, struct fp_str b)
{
	return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* A number and a text that begins like one may be compared as numbers. */
static bool may_equal(struct fp_str a, struct fp_str b)
{
	if (a.len == 0 || b.len == 0 || same(a, b))
		return true;
	return (a.data[0] == 'n' && b.data[0] == 'm') || (a.data[0] == 'm' && b.data[0] == 'n');
}

bool fp_rows_meet(struct fp_str a, struct fp_str b)
{
	struct term x, y;

	while (next_term(&a, &x))
		for (struct fp_str rest = b; next_term(&rest, &y);)
			if (same(x.column, y.column) && !may_equal(x.digest, y.digest))
				return false;
	return true;
}

/* --- routines ----------------------------------------------------------------- */

static uint64_t add_text(uint64_t hash, struct fp_str text)
{
	for (size_t i = 0; i < text.len; i++)
		hash = (hash ^ (unsigned char)text.data[i]) * 0x100000001b3ull;
	return (hash ^ 0xff) * 0x100000001b3ull;
}

static uint64_t kind_of(const struct fp_store_edge *row)
{
	uint64_t hash = add_text(0xcbf29ce484222325ull, attribute(row, "\"method\":\""));
	struct fp_str rows = fp_rows_of(row);
	struct term term;

	while (next_term(&rows, &term))
		hash = add_text(hash, term.column);
	return hash;
}

void fp_routines_done(struct fp_routines *routines)
{
	free(routines->list);
	*routines = (struct fp_routines){0};
}

int fp_routines_add(struct fp_routines *routines, const struct fp_store_edge *row)
{
	struct fp_routine *routine;

	if (row->kind != FP_EDGE_PUT)
		return 0;
	if (!FP_ARRAY_ROOM(routines->list, routines->n, routines->size))
		return -ENOMEM;
	routine = &routines->list[routines->n++];
	*routine = (struct fp_routine){.kind = kind_of(row), .time = row->first};
	if (row->has_request)
		memcpy(routine->request, row->request, sizeof(routine->request));
	return 0;
}

static int by_request(const void *a, const void *b)
{
	const struct fp_routine *x = a, *y = b;
	int r = memcmp(x->request, y->request, sizeof(x->request));

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return r ? r : x->time < y->time ? -1 : x->time > y->time;
}

static int by_time(const void *a, const void *b)
{
	const struct fp_routine *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->time < y->time ? -1 : x->time > y->time;
}

void fp_routines_settle(struct fp_routines *routines)
{
	struct fp_routine *list = routines->list;
	size_t n = 0, alike = 0;

	if (routines->n == 0)
		return;
	qsort(list, routines->n, sizeof(*list), by_request);
	for (size_t i = 0; i < routines->n; i++)
		if (i == 0 || list[i].kind != list[n - 1].kind ||
		    memcmp(list[i].request, list[n - 1].request, sizeof(list[i].request)) != 0)
			list[n++] = list[i];
	qsort(list, n, sizeof(*list), by_time);
	routines->n = 0;
	for (size_t i = 0; i < n; i++) {
		alike = i > 0 && list[i].kind == list[i - 1].kind ? alike + 1 : 1;
		if (alike == FP_ROUTINE_REQUESTS)
			list[routines->n++] = list[i];
	}
}

uint64_t fp_routines_since(const struct fp_routines *routines, const struct fp_store_edge *row)
{
	uint64_t kind = kind_of(row);
	size_t low = 0, high = routines->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (routines->list[middle].kind < kind)
			low = middle + 1;
		else
			high = middle;
	}
	return low < routines->n && routines->list[low].kind == kind ? routines->list[low].time : UINT64_MAX;
}

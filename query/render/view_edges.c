/* Parallel edges of a view become one. */
#include "query/render/view_make.h"

static int by_ends(const void *a, const void *b)
{
	const struct fp_view_edge *x = a, *y = b;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	if (x->to != y->to)
		return x->to < y->to ? -1 : 1;
	if (x->possible != y->possible)
		return x->possible ? 1 : -1;
	return x->first < y->first ? -1 : x->first > y->first;
}

static int by_time(const void *a, const void *b)
{
	const struct fp_view_edge *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return by_ends(a, b);
}

/* Exact is strongest; outside any request is as good as derived; ambiguous is weakest. */
static unsigned weakness(enum fp_attribution attribution)
{
	static const unsigned ranks[] = {
		[FP_ATTRIBUTION_EXACT] = 0, [FP_ATTRIBUTION_NONE] = 1, [FP_ATTRIBUTION_DERIVED] = 2,
		[FP_ATTRIBUTION_AMBIGUOUS] = 3};

	return attribution < sizeof(ranks) / sizeof(*ranks) ? ranks[attribution] : 3;
}

void fp_view_add_to_edge(struct fp_view_edge *into, const struct fp_view_edge *edge)
{
	if (into->n == 0) {
		*into = *edge;
		return;
	}
	into->kinds |= edge->kinds;
	into->rules |= edge->rules;
	into->slices |= edge->slices;
	into->first = edge->first < into->first ? edge->first : into->first;
	into->last = edge->last > into->last ? edge->last : into->last;
	into->count += edge->count;
	into->bytes += edge->bytes;
	into->n += edge->n;
	if (weakness(edge->attribution) > weakness(into->attribution))
		into->attribution = edge->attribution;
	if (!into->candidates)
		into->candidates = edge->candidates;
}

void fp_view_merge_edges(struct fp_view *view)
{
	size_t n = 0;

	if (view->n_edges == 0)
		return;
	qsort(view->edges, view->n_edges, sizeof(*view->edges), by_ends);
	for (size_t i = 0; i < view->n_edges; i++) {
		struct fp_view_edge *edge = &view->edges[i], *last = n > 0 ? &view->edges[n - 1] : NULL;

		if (edge->from == edge->to)
			continue;
		if (last && last->from == edge->from && last->to == edge->to && last->possible == edge->possible)
			fp_view_add_to_edge(last, edge);
		else
			view->edges[n++] = *edge;
	}
	view->n_edges = n;
	qsort(view->edges, n, sizeof(*view->edges), by_time);
}

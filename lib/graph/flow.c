#include "graph/flow.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"

bool fp_flow_truncates(const struct fp_store_edge *row)
{
	/*
	 * The stitcher writes attributes as compact JSON.  Within a string its quotes are
	 * escaped, so a path that contains this text does not look like it.
	 */
	return row->kind == FP_EDGE_WRITE && row->attributes && strstr(row->attributes, "\"open\":\"truncated\"");
}

bool fp_flow_is_given(const struct fp_store_node *to, const struct fp_store_edge *row)
{
	return to->kind == FP_NODE_OBJECT && row->kind == FP_EDGE_GET && row->has_request;
}

void fp_versions_done(struct fp_versions *versions)
{
	free(versions->list);
	*versions = (struct fp_versions){0};
}

int fp_versions_add(struct fp_versions *versions, const struct fp_store_edge *row)
{
	if (!fp_flow_truncates(row))
		return 0;
	if (!FP_ARRAY_ROOM(versions->list, versions->n, versions->size))
		return -ENOMEM;
	versions->list[versions->n++] = (struct fp_truncation){row->first, row->last};
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct fp_truncation *x = a, *y = b;

	if (x->last != y->last)
		return x->last < y->last ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

void fp_versions_sort(struct fp_versions *versions)
{
	if (versions->n > 1)
		qsort(versions->list, versions->n, sizeof(*versions->list), compare);
}

size_t fp_versions_at(const struct fp_versions *versions, uint64_t time)
{
	size_t low = 0, high = versions->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (versions->list[middle].last <= time)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

uint64_t fp_versions_begin(const struct fp_versions *versions, size_t version)
{
	return version == 0 ? 0 : versions->list[version - 1].last;
}

uint64_t fp_versions_end(const struct fp_versions *versions, size_t version)
{
	/* Two that were over at once leave nothing between them: the end is before the begin. */
	return version == versions->n ? UINT64_MAX : versions->list[version].last - 1;
}

bool fp_versions_has(const struct fp_versions *versions, size_t version, const struct fp_store_edge *row)
{
	if (row->first > fp_versions_end(versions, version))
		return false;
	return version == 0 || row->kind != FP_EDGE_WRITE || row->last >= versions->list[version - 1].first;
}

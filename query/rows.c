#include "query/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

/* Replaces borrowed strings by copies: all of them, or none. */
static int own(const char **texts[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *copy = *texts[i] ? strdup(*texts[i]) : NULL;

		if (*texts[i] && !copy) {
			while (i-- > 0)
				free((char *)*texts[i]);
			return -ENOMEM;
		}
		*texts[i] = copy;
	}
	return 0;
}

int fp_requests_add(void *arg, const struct fp_store_request *row)
{
	struct fp_requests *requests = arg;
	struct fp_store_request copy = *row;
	const char **texts[] = {&copy.call_id, &copy.trace_id, &copy.function, &copy.instance,
				&copy.host,    &copy.method,   &copy.url,      &copy.join};

	if (!FP_ARRAY_ROOM(requests->rows, requests->n, requests->size) ||
	    own(texts, sizeof(texts) / sizeof(*texts)) < 0)
		return -ENOMEM;
	requests->rows[requests->n++] = copy;
	free(requests->by_id);
	requests->by_id = NULL;
	return 0;
}

int fp_losses_add(void *arg, const struct fp_store_loss *row)
{
	struct fp_losses *losses = arg;
	struct fp_store_loss copy = *row;
	const char **texts[] = {&copy.host, &copy.instance};

	if (!FP_ARRAY_ROOM(losses->rows, losses->n, losses->size) ||
	    own(texts, sizeof(texts) / sizeof(*texts)) < 0)
		return -ENOMEM;
	losses->rows[losses->n++] = copy;
	return 0;
}

void fp_requests_done(struct fp_requests *requests)
{
	for (size_t i = 0; i < requests->n; i++) {
		const struct fp_store_request *row = &requests->rows[i];

		free((char *)row->call_id);
		free((char *)row->trace_id);
		free((char *)row->function);
		free((char *)row->instance);
		free((char *)row->host);
		free((char *)row->method);
		free((char *)row->url);
		free((char *)row->join);
	}
	free(requests->rows);
	free(requests->by_id);
	*requests = (struct fp_requests){0};
}

void fp_losses_done(struct fp_losses *losses)
{
	for (size_t i = 0; i < losses->n; i++) {
		free((char *)losses->rows[i].host);
		free((char *)losses->rows[i].instance);
	}
	free(losses->rows);
	*losses = (struct fp_losses){0};
}

ssize_t fp_requests_find(const struct fp_requests *requests, const uint8_t id[FP_REQUEST_ID_SIZE])
{
	size_t low = 0, high = requests->n;

	for (size_t i = 0; !requests->by_id && i < requests->n; i++)
		if (memcmp(requests->rows[i].id, id, FP_REQUEST_ID_SIZE) == 0)
			return (ssize_t)i;
	while (requests->by_id && low < high) {
		size_t middle = (low + high) / 2;
		int order = memcmp(requests->rows[requests->by_id[middle]].id, id, FP_REQUEST_ID_SIZE);

		if (order == 0)
			return requests->by_id[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

static int compare_ids(const void *a, const void *b, void *arg)
{
	const struct fp_store_request *rows = arg;

	return memcmp(rows[*(const uint32_t *)a].id, rows[*(const uint32_t *)b].id, FP_REQUEST_ID_SIZE);
}

static int compare(const void *a, const void *b)
{
	const struct fp_store_request *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return memcmp(x->id, y->id, FP_REQUEST_ID_SIZE);
}

int fp_requests_sort(struct fp_requests *requests)
{
	free(requests->by_id);
	requests->by_id = malloc((requests->n + 1) * sizeof(*requests->by_id));
	if (!requests->by_id)
		return -ENOMEM;
	if (requests->n > 1)
		qsort(requests->rows, requests->n, sizeof(*requests->rows), compare);
	for (uint32_t i = 0; i < requests->n; i++)
		requests->by_id[i] = i;
	qsort_r(requests->by_id, requests->n, sizeof(*requests->by_id), compare_ids, requests->rows);
	return 0;
}

size_t fp_requests_root(const struct fp_requests *requests, size_t index)
{
	/* Damaged rows may name each other as parents: no more steps than there are rows. */
	for (size_t steps = 0; steps < requests->n && requests->rows[index].has_parent; steps++) {
		ssize_t parent = fp_requests_find(requests, requests->rows[index].parent);

		if (parent < 0)
			break;
		index = (size_t)parent;
	}
	return index;
}

#include "graph/slice_place.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"

void fp_places_done(struct fp_places *places)
{
	struct fp_place *place, *next_place;
	struct fp_place_node *node, *next_node;

	HASH_ITER(hh, places->places, place, next_place) {
		HASH_DEL(places->places, place);
		free(place);
	}
	HASH_ITER(hh, places->nodes, node, next_node) {
		HASH_DEL(places->nodes, node);
		fp_versions_done(&node->versions);
		fp_routines_done(&node->routines);
		for (size_t i = 0; i < node->n_given; i++) {
			free((char *)node->given[i].attributes);
			free((char *)node->given[i].candidates);
		}
		free(node->given);
		free(node);
	}
	for (uint32_t i = 0; i < places->n_filters; i++)
		free(places->filters[i].rows);
	free(places->filters);
}

struct fp_place *fp_place_get(struct fp_places *places, uint32_t node, uint32_t version, const char *who, size_t len)
{
	struct fp_place_name name = {.node = node, .version = version};
	struct fp_place *place;

	memcpy(name.who, who, len < FP_WHO_MAX ? len : FP_WHO_MAX);
	HASH_FIND(hh, places->places, &name, sizeof(name), place);
	if (place)
		return place;
	place = calloc(1, sizeof(*place));
	if (!place)
		return NULL;
	place->name = name;
	HASH_ADD(hh, places->places, name, sizeof(name), place);
	if (place->unhashed) {
		free(place);
		return NULL;
	}
	return place;
}

/* Edges into a file that truncate it; edges into an object from whoever gave it. */
static int look_at(void *arg, const struct fp_store_edge *row)
{
	struct fp_place_node *node = arg;
	struct fp_store_edge *copy;

	if (row->kind == FP_EDGE_WRITE)
		return fp_versions_add(&node->versions, row);
	if (row->kind != FP_EDGE_GET)
		return fp_routines_add(&node->routines, row);
	if (!FP_ARRAY_ROOM(node->given, node->n_given, node->given_size))
		return -ENOMEM;
	copy = &node->given[node->n_given++];
	*copy = *row;
	copy->attributes = row->attributes ? strdup(row->attributes) : NULL;
	copy->candidates = row->candidates ? strdup(row->candidates) : NULL;
	return !copy->attributes == !row->attributes && !copy->candidates == !row->candidates ? 0 : -ENOMEM;
}

static int compare_given(const void *a, const void *b)
{
	const struct fp_store_edge *x = a, *y = b;
	int r;

	if (x->has_request != y->has_request)
		return x->has_request ? 1 : -1;
	r = x->has_request ? memcmp(x->request, y->request, FP_REQUEST_ID_SIZE) : 0;
	return r != 0 ? r : x->id < y->id ? -1 : x->id > y->id;
}

int fp_place_node(struct fp_places *places, uint32_t index, struct fp_place_node **ret_node)
{
	struct fp_place_node *node;
	int r;

	HASH_FIND(hh, places->nodes, &index, sizeof(index), node);
	if (!node) {
		node = calloc(1, sizeof(*node));
		if (!node)
			return -ENOMEM;
		node->node = index;
		HASH_ADD(hh, places->nodes, node, sizeof(index), node);
		if (node->unhashed) {
			free(node);
			return -ENOMEM;
		}
		r = places->source->edges_into(places->source->arg, fp_graph_node(places->graph, index)->row.id, look_at, node);
		if (r < 0)
			return r;
		fp_versions_sort(&node->versions);
		fp_routines_settle(&node->routines);
		if (node->n_given > 1)
			qsort(node->given, node->n_given, sizeof(*node->given), compare_given);
	}
	*ret_node = node;
	return 0;
}

void fp_place_who(const struct fp_store_edge *row, char out[FP_WHO_MAX + 1])
{
	strcpy(out, "-");
	if (row->has_request)
		fp_hex(row->request, FP_REQUEST_ID_SIZE, out);
}

/* The first given to the request; those given to none stand before all others. */
static size_t find_given(const struct fp_place_node *node, const uint8_t request[FP_REQUEST_ID_SIZE])
{
	size_t low = 0, high = node->n_given;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct fp_store_edge *row = &node->given[middle];

		if (!row->has_request || memcmp(row->request, request, FP_REQUEST_ID_SIZE) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int fp_place_each_given(struct fp_places *places, const struct fp_place *place, fp_store_edge_fn fn, void *arg)
{
	uint8_t request[FP_REQUEST_ID_SIZE];
	char who[FP_WHO_MAX + 1] = "";
	struct fp_place_node *node;
	bool all = place->name.who[0] == '*';
	int r = fp_place_node(places, place->name.node, &node);

	for (size_t i = 0; r == 0 && i < node->n_given && (all || !node->given[i].has_request); i++)
		r = fn(arg, &node->given[i]);
	memcpy(who, place->name.who, FP_WHO_MAX);
	if (r != 0 || fp_unhex(who, request, sizeof(request)) < 0)
		return r;
	for (size_t i = find_given(node, request); r == 0 && i < node->n_given; i++) {
		if (memcmp(node->given[i].request, request, sizeof(request)) != 0)
			break;
		r = fn(arg, &node->given[i]);
	}
	return r;
}

/* --- rows of tables --------------------------------------------------------- */

static int add_filter(struct fp_places *places, struct fp_str rows, uint64_t time, uint32_t *ret_filter)
{
	char *copy;

	for (uint32_t i = 0; i < places->n_filters; i++)
		if (places->filters[i].time == time && strlen(places->filters[i].rows) == rows.len &&
		    (!rows.len || memcmp(places->filters[i].rows, rows.data, rows.len) == 0)) {
			*ret_filter = i + 1;
			return 0;
		}
	if (places->n_filters == places->filters_size) {
		uint32_t wanted = places->filters_size ? places->filters_size * 2 : 16;
		void *bigger = realloc(places->filters, wanted * sizeof(*places->filters));

		if (!bigger)
			return -ENOMEM;
		places->filters = bigger;
		places->filters_size = wanted;
	}
	copy = strndup(rows.len ? rows.data : "", rows.len);
	if (!copy)
		return -ENOMEM;
	places->filters[places->n_filters++] = (struct fp_filter){copy, time};
	*ret_filter = places->n_filters;
	return 0;
}

int fp_place_filter(struct fp_places *places, struct fp_place_node *node, enum fp_slice_direction direction,
		    const struct fp_store_edge *row, uint32_t *ret_filter)
{
	struct fp_str rows = fp_rows_of(row);
	bool all = fp_rows_all(rows) && !places->all_writers;
	uint64_t time;

	*ret_filter = 0;
	if (direction == FP_SLICE_BACKWARD) {
		/* which of all writes are routine depends on when it was; nothing else does */
		time = all ? row->last : 0;
		return row->kind != FP_EDGE_GET || (!rows.len && !all) ? 0 : add_filter(places, rows, time, ret_filter);
	}
	time = places->all_writers ? UINT64_MAX : fp_routines_since(&node->routines, row);
	return row->kind != FP_EDGE_PUT || (!rows.len && time == UINT64_MAX) ? 0 :
										add_filter(places, rows, time, ret_filter);
}

/* The read may have seen the write, by what both say of rows. */
static bool meets(const struct fp_places *places, const struct fp_place *place, const struct fp_store_edge *row)
{
	const struct fp_filter *filter = place->name.version ? &places->filters[place->name.version - 1] : NULL;

	return !filter || fp_rows_meet((struct fp_str){filter->rows, strlen(filter->rows)}, fp_rows_of(row));
}

/* Backward: `row` is a routine write to who read all.  Forward: it reads all that was written as a routine. */
static bool is_routine(const struct fp_places *places, const struct fp_place *place, const struct fp_place_node *node,
		       bool backward, const struct fp_store_edge *row)
{
	const struct fp_filter *filter = place->name.version ? &places->filters[place->name.version - 1] : NULL;

	if (!filter || places->all_writers)
		return false;
	if (!backward)
		return fp_rows_all(fp_rows_of(row)) && filter->time <= row->last;
	return strcmp(filter->rows, "*") == 0 && fp_routines_since(&node->routines, row) <= filter->time;
}

bool fp_place_holds_back(struct fp_places *places, const struct fp_place *place, const struct fp_store_edge *row)
{
	struct fp_place_node *node;

	return row->kind == FP_EDGE_PUT && fp_graph_node(places->graph, place->name.node)->row.kind == FP_NODE_OBJECT &&
	       fp_place_node(places, place->name.node, &node) == 0 && is_routine(places, place, node, true, row);
}

static bool object_has(struct fp_places *places, const struct fp_place *place, bool backward,
		       const struct fp_store_edge *row)
{
	char who[FP_WHO_MAX + 1];
	struct fp_place_node *node;

	if (row->kind == (backward ? FP_EDGE_PUT : FP_EDGE_GET) && place->name.version) {
		if (!meets(places, place, row))
			return false;
		/* it was read when the search came to the object */
		if (fp_place_node(places, place->name.node, &node) == 0 && is_routine(places, place, node, backward, row))
			return false;
	}
	if (backward)
		return row->kind != FP_EDGE_GET; /* those are given */
	fp_place_who(row, who);
	return !*place->name.who || (row->kind == FP_EDGE_GET && strncmp(place->name.who, who, FP_WHO_MAX) == 0);
}

static int is_who(void *arg, const char *id, size_t len)
{
	const struct fp_place_name *name = arg;

	return len <= FP_WHO_MAX && strnlen(name->who, FP_WHO_MAX) == len && memcmp(name->who, id, len) == 0;
}

bool fp_place_has(struct fp_places *places, const struct fp_place *place, enum fp_slice_direction direction,
		  const struct fp_store_edge *row)
{
	enum fp_node_kind kind = fp_graph_node(places->graph, place->name.node)->row.kind;
	bool backward = direction == FP_SLICE_BACKWARD;
	struct fp_place_node *node;

	switch (kind) {
	case FP_NODE_FILE:
		/* It was read when the search came to the file. */
		if (fp_place_node(places, place->name.node, &node) < 0)
			return true;
		if (backward)
			return fp_versions_has(&node->versions, place->name.version, row);
		return row->last >= fp_versions_begin(&node->versions, place->name.version) &&
		       row->first <= fp_versions_end(&node->versions, place->name.version);
	case FP_NODE_OBJECT:
		return object_has(places, place, backward, row);
	default:
		return !*place->name.who || !row->candidates ||
		       fp_graph_each_candidate(row, is_who, (void *)&place->name);
	}
}

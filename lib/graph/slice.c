#include "graph/slice.h"

#include <errno.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->unhashed = true)
#include <uthash.h>

#define CANDIDATE_MAX (2 * FP_REQUEST_ID_SIZE)

/* A node; of an ambiguous unit, the node as one of its candidates uses it (empty: as all of them do). */
struct name {
	uint32_t node; /* index in the graph */
	char candidate[CANDIDATE_MAX];
};

/* Where the search can be, and what it knows of it. */
struct place {
	struct name name;
	uint64_t time; /* best so far */
	uint64_t next; /* best in the layer being made */
	bool reached, reached_next;
	bool done; /* taken from the queue: time is final */
	bool unhashed;
	UT_hash_handle hh;
};

struct item {
	uint64_t time;
	struct place *place;
};

struct items {
	struct item *list;
	size_t n, size;
};

struct slicer {
	const struct fp_source *source;
	struct fp_graph *graph;
	enum fp_slice_direction direction;
	struct fp_slice_options options;
	struct place *places; /* by name */
	struct items queue; /* a heap, best time first; with a depth: the layer being made */
	/* edges of the node being expanded: copies, because a source is not asked while it answers */
	struct fp_store_edge *found;
	size_t n_found, found_size;
	/* the place being expanded, and from when */
	const struct place *at;
	uint64_t time;
};

/* a is better than b: later for backward, earlier for forward. */
static bool better(const struct slicer *slicer, uint64_t a, uint64_t b)
{
	return slicer->direction == FP_SLICE_BACKWARD ? a > b : a < b;
}

static int grow(void *array, size_t used, size_t *size, size_t item)
{
	size_t wanted = *size ? *size * 2 : 64;
	void *bigger;

	if (used < *size)
		return 0;
	bigger = realloc(*(void **)array, wanted * item);
	if (!bigger)
		return -ENOMEM;
	*(void **)array = bigger;
	*size = wanted;
	return 0;
}

static int items_add(struct items *items, struct item item)
{
	int r = grow(&items->list, items->n, &items->size, sizeof(item));

	if (r == 0)
		items->list[items->n++] = item;
	return r;
}

/* --- the queue ------------------------------------------------------------ */

static int queue_push(struct slicer *slicer, struct item item)
{
	struct items *queue = &slicer->queue;
	int r = items_add(queue, item);

	for (size_t i = queue->n - 1; r == 0 && i > 0;) {
		size_t parent = (i - 1) / 2;

		if (!better(slicer, item.time, queue->list[parent].time))
			break;
		queue->list[i] = queue->list[parent];
		queue->list[parent] = item;
		i = parent;
	}
	return r;
}

static struct item queue_pop(struct slicer *slicer)
{
	struct items *queue = &slicer->queue;
	struct item top = queue->list[0], moved = queue->list[--queue->n];

	for (size_t i = 0, child; (child = 2 * i + 1) < queue->n; i = child) {
		if (child + 1 < queue->n && better(slicer, queue->list[child + 1].time, queue->list[child].time))
			child++;
		if (!better(slicer, queue->list[child].time, moved.time)) {
			queue->list[i] = moved;
			return top;
		}
		queue->list[i] = queue->list[child];
		queue->list[child] = moved;
	}
	if (queue->n == 1)
		queue->list[0] = moved;
	return top;
}

/* --- reading -------------------------------------------------------------- */

static void forget_found(struct slicer *slicer)
{
	for (size_t i = 0; i < slicer->n_found; i++) {
		free((char *)slicer->found[i].candidates);
		free((char *)slicer->found[i].attributes);
	}
	slicer->n_found = 0;
}

static int is_candidate(void *arg, const char *id, size_t len)
{
	const struct name *name = arg;

	return len <= CANDIDATE_MAX && strnlen(name->candidate, CANDIDATE_MAX) == len &&
	       memcmp(name->candidate, id, len) == 0;
}

static bool counts(const struct slicer *slicer, const struct fp_store_edge *edge)
{
	const struct fp_slice_options *options = &slicer->options;
	const struct name *name = &slicer->at->name;

	if (edge->last < options->since || edge->first > options->until)
		return false;
	if (*name->candidate && edge->candidates && !fp_graph_each_candidate(edge, is_candidate, (void *)name))
		return false;
	return slicer->direction == FP_SLICE_BACKWARD ? edge->first <= slicer->time : edge->last >= slicer->time;
}

static int keep_found(void *arg, const struct fp_store_edge *edge)
{
	struct slicer *slicer = arg;
	struct fp_store_edge copy = *edge;

	if (!counts(slicer, edge))
		return 0;
	/* A node with very many edges must not fill memory before the limit is noticed. */
	if (slicer->n_found >= slicer->options.edges_max)
		return -E2BIG;
	if (grow(&slicer->found, slicer->n_found, &slicer->found_size, sizeof(copy)) < 0)
		return -ENOMEM;
	copy.candidates = edge->candidates ? strdup(edge->candidates) : NULL;
	copy.attributes = edge->attributes ? strdup(edge->attributes) : NULL;
	slicer->found[slicer->n_found++] = copy;
	return !copy.candidates == !edge->candidates && !copy.attributes == !edge->attributes ? 0 : -ENOMEM;
}

struct wanted_node {
	struct slicer *slicer;
	struct fp_graph_node *node;
};

static int keep_node(void *arg, const struct fp_store_node *row)
{
	struct wanted_node *wanted = arg;

	return fp_graph_add_node(wanted->slicer->graph, row, &wanted->node);
}

/* The node with the id, from the graph or else from the source. */
static int node_of(struct slicer *slicer, uint64_t id, struct fp_graph_node **ret_node)
{
	struct wanted_node wanted = {slicer, fp_graph_find_node(slicer->graph, id)};
	int r = wanted.node ? 0 : slicer->source->node(slicer->source->arg, id, keep_node, &wanted);

	if (r < 0)
		return r;
	if (!wanted.node)
		return -ENOENT;
	*ret_node = wanted.node;
	return 0;
}

static struct place *place_of(struct slicer *slicer, uint32_t node, const char *candidate, size_t len)
{
	struct place *place;
	struct name name;

	memset(&name, 0, sizeof(name)); /* hashed with its padding */
	name.node = node;
	memcpy(name.candidate, candidate, len < CANDIDATE_MAX ? len : CANDIDATE_MAX);
	HASH_FIND(hh, slicer->places, &name, sizeof(name), place);
	if (place)
		return place;
	place = calloc(1, sizeof(*place));
	if (!place)
		return NULL;
	place->name = name;
	HASH_ADD(hh, slicer->places, name, sizeof(name), place);
	if (place->unhashed) {
		free(place);
		return NULL;
	}
	return place;
}

static void forget_places(struct slicer *slicer)
{
	struct place *place, *next;

	HASH_ITER(hh, slicer->places, place, next) {
		HASH_DEL(slicer->places, place);
		free(place);
	}
}

/* --- searching ------------------------------------------------------------ */

/* The search has come to the place at the time. */
static int reach(struct slicer *slicer, struct place *place, uint64_t time)
{
	const struct item item = {time, place};

	if (!place)
		return -ENOMEM;
	if (place->done || (place->reached && !better(slicer, time, place->time)))
		return 0;
	if (slicer->options.depth == 0) {
		place->reached = true;
		place->time = time;
		return queue_push(slicer, item);
	}
	if (place->reached_next && !better(slicer, time, place->next))
		return 0;
	place->next = time;
	if (place->reached_next)
		return 0;
	place->reached_next = true;
	return items_add(&slicer->queue, item);
}

struct arrival {
	struct slicer *slicer;
	uint32_t node;
	uint64_t time;
};

static int reach_candidate(void *arg, const char *id, size_t len)
{
	const struct arrival *arrival = arg;

	return reach(arrival->slicer, place_of(arrival->slicer, arrival->node, id, len), arrival->time);
}

/* The search has come to the node at the time, by an edge when there is one. */
static int arrive(struct slicer *slicer, struct fp_graph_node *node, uint64_t time, const struct fp_store_edge *edge)
{
	struct arrival arrival = {slicer, node->index, time};

	node->slices |= slicer->direction;
	if (!node->start && fp_graph_terminal(node->row.kind))
		return 0;
	if (edge && edge->candidates && fp_graph_ambiguous(&node->row))
		return fp_graph_each_candidate(edge, reach_candidate, &arrival);
	return reach_candidate(&arrival, "", 0);
}

static int follow(struct slicer *slicer, const struct fp_store_edge *row)
{
	bool backward = slicer->direction == FP_SLICE_BACKWARD;
	uint64_t time = slicer->time;
	struct fp_graph_node *other;
	struct fp_graph_edge *edge;
	int r = node_of(slicer, backward ? row->from : row->to, &other);

	if (r == -ENOENT)
		return -EBADMSG; /* an edge without its end: the source is damaged */
	if (r < 0)
		return r;
	r = fp_graph_add_edge(slicer->graph, row, &edge);
	if (r < 0)
		return r;
	edge->slices |= slicer->direction;
	if (fp_graph_edges(slicer->graph) > slicer->options.edges_max)
		return -E2BIG;
	if (backward ? row->last < time : row->first > time)
		time = backward ? row->last : row->first;
	return arrive(slicer, other, time, row);
}

static int expand(struct slicer *slicer, const struct place *place, uint64_t time)
{
	const struct fp_source *source = slicer->source;
	uint64_t id = fp_graph_node(slicer->graph, place->name.node)->row.id;
	int r;

	slicer->at = place;
	slicer->time = time;
	if (slicer->direction == FP_SLICE_BACKWARD)
		r = source->edges_into(source->arg, id, keep_found, slicer);
	else
		r = source->edges_out_of(source->arg, id, keep_found, slicer);
	for (size_t i = 0; r >= 0 && i < slicer->n_found; i++)
		r = follow(slicer, &slicer->found[i]);
	forget_found(slicer);
	return r;
}

static uint64_t start_time(const struct slicer *slicer, const struct fp_slice_start *start)
{
	const struct fp_slice_options *options = &slicer->options;

	if (slicer->direction == FP_SLICE_BACKWARD)
		return start->time < options->until ? start->time : options->until;
	return start->time > options->since ? start->time : options->since;
}

static int begin(struct slicer *slicer, const struct fp_slice_start *starts, size_t n_starts)
{
	for (size_t i = 0; i < n_starts; i++) {
		struct fp_graph_node *node;
		int r = node_of(slicer, starts[i].node, &node);

		if (r < 0)
			return r;
		if (starts[i].candidate) {
			const char *candidate = starts[i].candidate;

			node->slices |= slicer->direction;
			r = reach(slicer, place_of(slicer, node->index, candidate, strlen(candidate)),
				  start_time(slicer, &starts[i]));
		} else {
			node->start |= !starts[i].beside;
			r = arrive(slicer, node, start_time(slicer, &starts[i]), NULL);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int search_by_time(struct slicer *slicer)
{
	while (slicer->queue.n > 0) {
		struct item item = queue_pop(slicer);
		int r;

		if (item.place->done)
			continue;
		item.place->done = true;
		r = expand(slicer, item.place, item.time);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Layer n holds the places that a path of n edges reaches at a better time than
 * any shorter one.  Times of the layer being made are kept apart, so that no path
 * grows by two edges in one round.
 */
static int search_by_depth(struct slicer *slicer)
{
	int r = 0;

	for (unsigned depth = 0; r >= 0 && depth < slicer->options.depth && slicer->queue.n > 0; depth++) {
		struct items layer = slicer->queue;

		slicer->queue = (struct items){0};
		for (size_t i = 0; i < layer.n; i++) {
			struct place *place = layer.list[i].place;

			place->time = place->next;
			place->reached = true;
			place->reached_next = false;
		}
		for (size_t i = 0; r >= 0 && i < layer.n; i++)
			r = expand(slicer, layer.list[i].place, layer.list[i].place->time);
		free(layer.list);
	}
	return r;
}

int fp_slice(const struct fp_source *source, enum fp_slice_direction direction, const struct fp_slice_start *starts,
	     size_t n_starts, const struct fp_slice_options *options, struct fp_graph *graph)
{
	struct slicer slicer = {.source = source, .graph = graph, .direction = direction, .options = *options};
	int r;

	if (slicer.options.until == 0)
		slicer.options.until = UINT64_MAX;
	if (slicer.options.edges_max == 0)
		slicer.options.edges_max = FP_SLICE_EDGES_MAX;
	r = begin(&slicer, starts, n_starts);
	if (r >= 0)
		r = slicer.options.depth == 0 ? search_by_time(&slicer) : search_by_depth(&slicer);
	forget_found(&slicer);
	forget_places(&slicer);
	free(slicer.found);
	free(slicer.queue.list);
	return r < 0 ? r : 0;
}

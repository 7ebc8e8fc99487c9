#include "graph/slice.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "graph/slice_place.h"

struct item {
	uint64_t time;
	struct fp_place *place;
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
	struct fp_places places;
	struct items queue; /* a heap, best time first; with a depth: the layer being made */
	/* edges of the node being expanded: copies, because a source is not asked while it answers */
	struct fp_store_edge *found;
	size_t n_found, found_size;
	/* the place being expanded, and from when */
	const struct fp_place *at;
	bool given; /* the edges are those given to a request */
	uint32_t held_back; /* edges that are not followed because they are a routine */
	uint64_t time;
};

/* a is better than b: later for backward, earlier for forward. */
static bool better(const struct slicer *slicer, uint64_t a, uint64_t b)
{
	return slicer->direction == FP_SLICE_BACKWARD ? a > b : a < b;
}

static int items_add(struct items *items, struct item item)
{
	int r = FP_ARRAY_ROOM(items->list, items->n, items->size) ? 0 : -ENOMEM;

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

static bool counts(struct slicer *slicer, const struct fp_store_edge *edge)
{
	const struct fp_slice_options *options = &slicer->options;

	if (edge->last < options->since || edge->first > options->until)
		return false;
	return slicer->direction == FP_SLICE_BACKWARD ? edge->first <= slicer->time : edge->last >= slicer->time;
}

static int keep_found(void *arg, const struct fp_store_edge *edge)
{
	struct slicer *slicer = arg;
	struct fp_store_edge copy = *edge;

	if (!counts(slicer, edge))
		return 0;
	if (!slicer->given && !fp_place_has(&slicer->places, slicer->at, slicer->direction, edge)) {
		if (slicer->direction == FP_SLICE_BACKWARD)
			slicer->held_back += fp_place_holds_back(&slicer->places, slicer->at, edge);
		return 0;
	}
	/* A node with very many edges must not fill memory before the limit is noticed. */
	if (slicer->n_found >= slicer->options.edges_max)
		return -E2BIG;
	if (!FP_ARRAY_ROOM(slicer->found, slicer->n_found, slicer->found_size))
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

/* --- searching ------------------------------------------------------------ */

/* The search has come to the place at the time. */
static int reach(struct slicer *slicer, struct fp_place *place, uint64_t time)
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
	const struct fp_store_edge *edge; /* NULL: the search starts here */
	uint32_t filter; /* of an object */
};

static int reach_who(void *arg, const char *who, size_t len)
{
	const struct arrival *arrival = arg;
	struct slicer *slicer = arrival->slicer;

	return reach(slicer, fp_place_get(&slicer->places, arrival->node, arrival->filter, who, len), arrival->time);
}

/* Backward: the versions that can have been read.  Forward: those that what was done is part of. */
static int arrive_at_file(const struct arrival *arrival)
{
	struct slicer *slicer = arrival->slicer;
	bool backward = slicer->direction == FP_SLICE_BACKWARD;
	const struct fp_store_edge *edge = arrival->edge;
	struct fp_place_node *node;
	size_t from, to;
	int r = fp_place_node(&slicer->places, arrival->node, &node);

	if (r < 0)
		return r;
	from = backward && !edge ? 0 : fp_versions_at(&node->versions, backward ? edge->first : arrival->time);
	to = backward ? fp_versions_at(&node->versions, arrival->time) : node->versions.n;
	for (size_t version = from; r == 0 && version <= to; version++) {
		uint64_t begin = fp_versions_begin(&node->versions, version);
		uint64_t end = fp_versions_end(&node->versions, version), time = arrival->time;

		if (end < begin || (!backward && edge && !fp_versions_has(&node->versions, version, edge)))
			continue;
		if (backward ? time > end : time < begin)
			time = backward ? end : begin;
		r = reach(slicer, fp_place_get(&slicer->places, arrival->node, (uint32_t)version, "", 0), time);
	}
	return r;
}

static int find_filter(struct arrival *arrival)
{
	struct slicer *slicer = arrival->slicer;
	struct fp_place_node *node;
	int r = arrival->edge ? fp_place_node(&slicer->places, arrival->node, &node) : 0;

	if (r < 0 || !arrival->edge)
		return r;
	return fp_place_filter(&slicer->places, node, slicer->direction, arrival->edge, &arrival->filter);
}

static int arrive_at_object(struct arrival *arrival)
{
	bool backward = arrival->slicer->direction == FP_SLICE_BACKWARD;
	const struct fp_store_edge *edge = arrival->edge;
	bool get = edge && edge->kind == FP_EDGE_GET;
	char who[FP_WHO_MAX + 1];
	int r = find_filter(arrival);

	if (r < 0)
		return r;

	strcpy(who, edge ? "-" : "*");
	if (get)
		fp_place_who(edge, who);
	if (!backward)
		return reach_who(arrival, who, get && edge->has_request ? strlen(who) : 0);
	r = reach_who(arrival, "", 0);
	arrival->filter = 0; /* what a host gave is no statement's */
	return r == 0 ? reach_who(arrival, who, strlen(who)) : r;
}

/* The search has come to the node at the time, by an edge when there is one. */
static int arrive(struct slicer *slicer, struct fp_graph_node *node, uint64_t time, const struct fp_store_edge *edge)
{
	struct arrival arrival = {slicer, node->index, time, edge, 0};

	node->slices |= slicer->direction;
	if (!node->start && fp_graph_terminal(node->row.kind))
		return 0;
	if (node->row.kind == FP_NODE_FILE)
		return arrive_at_file(&arrival);
	if (node->row.kind == FP_NODE_OBJECT)
		return arrive_at_object(&arrival);
	if (edge && edge->candidates && fp_graph_ambiguous(&node->row))
		return fp_graph_each_candidate(edge, reach_who, &arrival);
	return reach_who(&arrival, "", 0);
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

static int expand(struct slicer *slicer, const struct fp_place *place, uint64_t time)
{
	const struct fp_source *source = slicer->source;
	const struct fp_store_node *row = &fp_graph_node(slicer->graph, place->name.node)->row;
	uint64_t id = row->id;
	int r;

	slicer->at = place;
	slicer->time = time;
	slicer->held_back = 0;
	slicer->given = row->kind == FP_NODE_OBJECT && slicer->direction == FP_SLICE_BACKWARD && *place->name.who;
	if (slicer->given)
		r = fp_place_each_given(&slicer->places, place, keep_found, slicer);
	else if (slicer->direction == FP_SLICE_BACKWARD)
		r = source->edges_into(source->arg, id, keep_found, slicer);
	else
		r = source->edges_out_of(source->arg, id, keep_found, slicer);
	if (slicer->held_back > fp_graph_node(slicer->graph, place->name.node)->held_back)
		fp_graph_node(slicer->graph, place->name.node)->held_back = slicer->held_back;
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

static int is_candidate(void *arg, const char *id, size_t len)
{
	const char *wanted = arg;

	return strlen(wanted) == len && memcmp(wanted, id, len) == 0;
}

static int names_candidate(void *arg, const struct fp_store_edge *row)
{
	return row->candidates && fp_graph_each_candidate(row, is_candidate, arg);
}

/* Nothing at this unit can have been the request's: no place to start from, nor to show.  1, 0, or an error. */
static int is_idle(const struct slicer *slicer, const struct fp_slice_start *start)
{
	const struct fp_source *source = slicer->source;
	int r = slicer->direction == FP_SLICE_BACKWARD ?
			source->edges_into(source->arg, start->node, names_candidate, (void *)start->candidate) :
			source->edges_out_of(source->arg, start->node, names_candidate, (void *)start->candidate);

	return r < 0 ? r : r == 0;
}

static int begin(struct slicer *slicer, const struct fp_slice_start *starts, size_t n_starts)
{
	for (size_t i = 0; i < n_starts; i++) {
		struct fp_graph_node *node;
		int r = starts[i].candidate ? is_idle(slicer, &starts[i]) : 0;

		if (r > 0)
			continue;
		if (r == 0)
			r = node_of(slicer, starts[i].node, &node);
		if (r < 0)
			return r;
		if (starts[i].candidate) {
			const char *candidate = starts[i].candidate;

			node->slices |= slicer->direction;
			r = reach(slicer, fp_place_get(&slicer->places, node->index, 0, candidate, strlen(candidate)),
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
			struct fp_place *place = layer.list[i].place;

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
	struct slicer slicer = {.source = source, .graph = graph, .direction = direction, .options = *options,
				.places = {.source = source, .graph = graph, .all_writers = options->all_writers}};
	int r;

	if (slicer.options.until == 0)
		slicer.options.until = UINT64_MAX;
	if (slicer.options.edges_max == 0)
		slicer.options.edges_max = FP_SLICE_EDGES_MAX;
	r = begin(&slicer, starts, n_starts);
	if (r >= 0)
		r = slicer.options.depth == 0 ? search_by_time(&slicer) : search_by_depth(&slicer);
	forget_found(&slicer);
	fp_places_done(&slicer.places);
	free(slicer.found);
	free(slicer.queue.list);
	return r < 0 ? r : 0;
}

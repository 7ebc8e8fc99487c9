#include "graph/slice.h"

#include <errno.h>
#include <string.h>

/* What the search knows of a node, by its index in the graph. */
struct reach {
	uint64_t time; /* best so far */
	uint64_t next; /* best in the layer being made */
	bool reached, reached_next;
	bool done; /* taken from the queue: time is final */
	bool stop; /* shown, not passed through */
};

struct item {
	uint64_t time;
	uint32_t node;
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
	struct reach *reach;
	size_t reach_size;
	struct items queue; /* a heap, best time first; with a depth: the layer being made */
	/* edges of the node being expanded: copies, because a source is not asked while it answers */
	struct fp_store_edge *found;
	size_t n_found, found_size;
	/* what makes an edge of that node count */
	uint64_t time;
	const char *candidate;
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

static bool counts(const struct slicer *slicer, const struct fp_store_edge *edge)
{
	const struct fp_slice_options *options = &slicer->options;

	if (edge->last < options->since || edge->first > options->until)
		return false;
	if (slicer->candidate && (!edge->candidates || !strstr(edge->candidates, slicer->candidate)))
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

/* The node with the id, from the graph or else from the source; there is room in `reach` for it then. */
static int node_of(struct slicer *slicer, uint64_t id, struct fp_graph_node **ret_node)
{
	struct wanted_node wanted = {slicer, fp_graph_find_node(slicer->graph, id)};
	int r = wanted.node ? 0 : slicer->source->node(slicer->source->arg, id, keep_node, &wanted);

	if (r < 0)
		return r;
	if (!wanted.node)
		return -ENOENT;
	while (slicer->reach_size <= wanted.node->index) {
		size_t old = slicer->reach_size;

		if (grow(&slicer->reach, slicer->reach_size, &slicer->reach_size, sizeof(*slicer->reach)) < 0)
			return -ENOMEM;
		memset(slicer->reach + old, 0, (slicer->reach_size - old) * sizeof(*slicer->reach));
	}
	*ret_node = wanted.node;
	return 0;
}

/* --- searching ------------------------------------------------------------ */

/* The search has come to the node at the time. */
static int arrive(struct slicer *slicer, struct fp_graph_node *node, uint64_t time)
{
	struct reach *reach = &slicer->reach[node->index];
	const struct item item = {time, node->index};

	node->slices |= slicer->direction;
	if (!node->start && fp_graph_terminal(node->row.kind))
		reach->stop = true;
	if (reach->stop || reach->done)
		return 0;
	if (slicer->options.depth == 0) {
		if (reach->reached && !better(slicer, time, reach->time))
			return 0;
		reach->reached = true;
		reach->time = time;
		return queue_push(slicer, item);
	}
	if (reach->reached && !better(slicer, time, reach->time))
		return 0;
	if (reach->reached_next && !better(slicer, time, reach->next))
		return 0;
	reach->next = time;
	if (reach->reached_next)
		return 0;
	reach->reached_next = true;
	return items_add(&slicer->queue, item);
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
	return arrive(slicer, other, time);
}

static int expand(struct slicer *slicer, uint64_t id, uint64_t time, const char *candidate)
{
	const struct fp_source *source = slicer->source;
	int r;

	slicer->time = time;
	slicer->candidate = candidate;
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
		node->slices |= slicer->direction;
		if (starts[i].candidate)
			continue;
		node->start = true;
		r = arrive(slicer, node, start_time(slicer, &starts[i]));
		if (r < 0)
			return r;
	}
	return 0;
}

static int expand_candidates(struct slicer *slicer, const struct fp_slice_start *starts, size_t n_starts)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < n_starts; i++)
		if (starts[i].candidate)
			r = expand(slicer, starts[i].node, start_time(slicer, &starts[i]), starts[i].candidate);
	return r;
}

static int search_by_time(struct slicer *slicer, const struct fp_slice_start *starts, size_t n_starts)
{
	int candidates = expand_candidates(slicer, starts, n_starts);

	if (candidates < 0)
		return candidates;
	while (slicer->queue.n > 0) {
		struct item item = queue_pop(slicer);
		struct reach *reach = &slicer->reach[item.node];
		int r;

		if (reach->done)
			continue;
		reach->done = true;
		r = expand(slicer, fp_graph_node(slicer->graph, item.node)->row.id, item.time, NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Layer n holds the nodes that a path of n edges reaches at a better time than
 * any shorter one.  Times of the layer being made are kept apart, so that no path
 * grows by two edges in one round.
 */
static int search_by_depth(struct slicer *slicer, const struct fp_slice_start *starts, size_t n_starts)
{
	int r = 0;

	for (unsigned depth = 0; r >= 0 && depth < slicer->options.depth; depth++) {
		struct items layer = slicer->queue;

		slicer->queue = (struct items){0};
		for (size_t i = 0; i < layer.n; i++) {
			struct reach *reach = &slicer->reach[layer.list[i].node];

			reach->time = reach->next;
			reach->reached = true;
			reach->reached_next = false;
		}
		for (size_t i = 0; r >= 0 && i < layer.n; i++) {
			uint32_t node = layer.list[i].node;

			r = expand(slicer, fp_graph_node(slicer->graph, node)->row.id, slicer->reach[node].time, NULL);
		}
		free(layer.list);
		if (r >= 0 && depth == 0)
			r = expand_candidates(slicer, starts, n_starts);
		if (slicer->queue.n == 0)
			break;
	}
	return r;
}

int fp_slice(const struct fp_source *source, enum fp_slice_direction direction, const struct fp_slice_start *starts,
	     size_t n_starts, const struct fp_slice_options *options, struct fp_graph *graph)
{
	struct slicer slicer = {
		.source = source, .graph = graph, .direction = direction, .options = *options};
	int r;

	if (slicer.options.until == 0)
		slicer.options.until = UINT64_MAX;
	if (slicer.options.edges_max == 0)
		slicer.options.edges_max = FP_SLICE_EDGES_MAX;
	r = begin(&slicer, starts, n_starts);
	if (r >= 0)
		r = slicer.options.depth == 0 ? search_by_time(&slicer, starts, n_starts) :
						search_by_depth(&slicer, starts, n_starts);
	forget_found(&slicer);
	free(slicer.found);
	free(slicer.queue.list);
	free(slicer.reach);
	return r < 0 ? r : 0;
}

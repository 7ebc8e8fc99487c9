/* Which nodes a view folds without losing a connection. */
#include <errno.h>
#include <string.h>

#include "query/render/view_make.h"

/* Ends of a wire beyond this are kept as a node: pairing them would make more edges than it saves. */
#define WIRE_PAIRS_MAX 16

uint32_t fp_view_group(struct fp_view_maker *maker, uint32_t node)
{
	while (maker->group[node] != node)
		node = maker->group[node] = maker->group[maker->group[node]];
	return node;
}

/* --- roles ---------------------------------------------------------------- */

/* Nothing in the slice made or changed it, and processes only read or load it. */
static bool is_image(struct fp_view_maker *maker, uint32_t node, const uint32_t *out_of, ssize_t n_out, ssize_t n_into)
{
	if (n_into > 0 || n_out == 0 || maker->answer->link[node] ||
	    fp_view_pinned(maker->answer, fp_graph_node(maker->graph, node)))
		return false;
	for (ssize_t i = 0; i < n_out; i++) {
		const struct fp_graph_edge *edge = fp_view_edge_at(maker, out_of[i]);

		if ((edge->row.kind != FP_EDGE_READ && edge->row.kind != FP_EDGE_LOAD) ||
		    !fp_view_is_kind(maker, edge->to, FP_NODE_PROCESS))
			return false;
	}
	return true;
}

/* How many different nodes the edges have at their other ends; stops counting at `most`. */
static size_t count_ends(const struct fp_view_maker *maker, const uint32_t *edges, ssize_t n, bool from, size_t most)
{
	uint32_t ends[WIRE_PAIRS_MAX + 1];
	size_t n_ends = 0;

	for (ssize_t i = 0; i < n && n_ends < most && n_ends <= WIRE_PAIRS_MAX; i++) {
		const struct fp_graph_edge *edge = fp_view_edge_at(maker, edges[i]);
		uint32_t end = from ? edge->from : edge->to;
		size_t j = 0;

		while (j < n_ends && ends[j] != end)
			j++;
		if (j == n_ends)
			ends[n_ends++] = end;
	}
	return n_ends;
}

/* All edges are of processes of one unit. */
static bool within_unit(const struct fp_view_maker *maker, const uint32_t *edges, ssize_t n, bool from, ssize_t *unit)
{
	for (ssize_t i = 0; i < n; i++) {
		const struct fp_graph_edge *edge = fp_view_edge_at(maker, edges[i]);
		uint32_t end = from ? edge->from : edge->to;

		if (!fp_view_is_kind(maker, end, FP_NODE_PROCESS) ||
		    (*unit != -2 && maker->answer->request_of[end] != *unit))
			return false;
		*unit = maker->answer->request_of[end];
	}
	return true;
}

/* Every way in leads on, and every way out comes from somewhere. */
static bool is_wire(struct fp_view_maker *maker, uint32_t node, const uint32_t *into, ssize_t n_into,
		    const uint32_t *out_of, ssize_t n_out)
{
	size_t ends_into = count_ends(maker, into, n_into, true, WIRE_PAIRS_MAX + 1);
	size_t ends_out = count_ends(maker, out_of, n_out, false, WIRE_PAIRS_MAX + 1);
	uint64_t earliest = UINT64_MAX, latest = 0;
	ssize_t unit = -2;

	if (n_into == 0 || n_out == 0 || ends_into * ends_out > WIRE_PAIRS_MAX || maker->answer->link[node] ||
	    fp_view_pinned(maker->answer, fp_graph_node(maker->graph, node)))
		return false;
	if (fp_view_is_kind(maker, node, FP_NODE_PIPE) &&
	    (!within_unit(maker, into, n_into, true, &unit) || !within_unit(maker, out_of, n_out, false, &unit)))
		return false;
	for (ssize_t i = 0; i < n_into; i++) {
		uint64_t first = fp_view_edge_at(maker, into[i])->row.first;

		earliest = first < earliest ? first : earliest;
	}
	for (ssize_t i = 0; i < n_out; i++) {
		uint64_t last = fp_view_edge_at(maker, out_of[i])->row.last;

		if (last < earliest)
			return false;
		latest = last > latest ? last : latest;
	}
	for (ssize_t i = 0; i < n_into; i++)
		if (fp_view_edge_at(maker, into[i])->row.first > latest)
			return false;
	return true;
}

/* A pipe that one process wrote and nothing in the answer reads. */
static bool is_dead_end(struct fp_view_maker *maker, uint32_t node, const uint32_t *into, ssize_t n_into, ssize_t n_out)
{
	return fp_view_is_kind(maker, node, FP_NODE_PIPE) && n_out == 0 && n_into > 0 &&
	       fp_view_is_kind(maker, fp_view_edge_at(maker, into[0])->from, FP_NODE_PROCESS) &&
	       count_ends(maker, into, n_into, true, 2) == 1 &&
	       !fp_view_pinned(maker->answer, fp_graph_node(maker->graph, node));
}

static int find_images_and_wires(struct fp_view_maker *maker)
{
	for (uint32_t i = 0; i < maker->n; i++) {
		enum fp_node_kind kind = fp_graph_node(maker->graph, i)->row.kind;
		const uint32_t *into, *out_of;
		ssize_t n_into, n_out;

		if (kind != FP_NODE_FILE && kind != FP_NODE_SOCKET && kind != FP_NODE_PIPE)
			continue;
		n_into = fp_graph_edges_into(maker->graph, i, &into);
		n_out = fp_graph_edges_out_of(maker->graph, i, &out_of);
		if (n_into < 0 || n_out < 0)
			return -ENOMEM;
		if (kind == FP_NODE_FILE && is_image(maker, i, out_of, n_out, n_into))
			maker->role[i] = FP_VIEW_IMAGE;
		else if (kind != FP_NODE_FILE && is_wire(maker, i, into, n_into, out_of, n_out))
			maker->role[i] = FP_VIEW_WIRE;
		else if (is_dead_end(maker, i, into, n_into, n_out))
			maker->role[i] = FP_VIEW_DEAD_END;
	}
	return 0;
}

/* --- groups --------------------------------------------------------------- */

static bool same_unit(const struct fp_store_node *a, const struct fp_store_node *b)
{
	return a->has_request == b->has_request &&
	       (!a->has_request || memcmp(a->request, b->request, FP_REQUEST_ID_SIZE) == 0);
}

/* A process that only exec'd, with what it became; a request, with the one process that serves it. */
static int find_groups(struct fp_view_maker *maker)
{
	for (uint32_t i = 0; i < maker->n; i++) {
		const struct fp_graph_node *node = fp_graph_node(maker->graph, i);
		const struct fp_graph_edge *only = NULL;
		bool process = node->row.kind == FP_NODE_PROCESS;
		const uint32_t *out_of;
		ssize_t n_out;

		if ((!process && node->row.kind != FP_NODE_REQUEST) || fp_view_pinned(maker->answer, node))
			continue;
		n_out = fp_graph_edges_out_of(maker->graph, i, &out_of);
		if (n_out < 0)
			return -ENOMEM;
		for (ssize_t j = 0; j < n_out; j++) {
			const struct fp_graph_edge *edge = fp_view_edge_at(maker, out_of[j]);

			if ((!process && edge->row.kind != FP_EDGE_CALLS) || maker->role[edge->to] == FP_VIEW_DEAD_END)
				continue;
			if ((process && edge->row.kind != FP_EDGE_EXEC) || (only && only->to != edge->to)) {
				only = NULL;
				break;
			}
			only = edge;
		}
		if (only && fp_view_is_kind(maker, only->to, FP_NODE_PROCESS) &&
		    same_unit(&node->row, &fp_graph_node(maker->graph, only->to)->row))
			maker->group[fp_view_group(maker, i)] = fp_view_group(maker, only->to);
	}
	return 0;
}

int fp_view_find_roles(struct fp_view_maker *maker)
{
	int r = find_images_and_wires(maker);

	return r < 0 ? r : find_groups(maker);
}

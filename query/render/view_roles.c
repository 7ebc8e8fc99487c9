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

/* Every way in leads on, and every way out comes from somewhere. */
static bool is_wire(struct fp_view_maker *maker, uint32_t node, const uint32_t *into, ssize_t n_into, const uint32_t *out_of,
		    ssize_t n_out)
{
	bool pipe = fp_view_is_kind(maker, node, FP_NODE_PIPE);
	ssize_t unit = -2;

	if (n_into == 0 || n_out == 0 || n_into * n_out > WIRE_PAIRS_MAX || maker->answer->link[node] ||
	    fp_view_pinned(maker->answer, fp_graph_node(maker->graph, node)))
		return false;
	for (ssize_t i = 0; i < n_into + n_out; i++) {
		const struct fp_graph_edge *edge = fp_view_edge_at(maker, i < n_into ? into[i] : out_of[i - n_into]);
		uint32_t end = i < n_into ? edge->from : edge->to;
		bool matched = false;

		if (pipe && (!fp_view_is_kind(maker, end, FP_NODE_PROCESS) ||
			     (unit != -2 && maker->answer->request_of[end] != unit)))
			return false;
		unit = maker->answer->request_of[end];
		for (ssize_t j = 0; j < (i < n_into ? n_out : n_into); j++)
			matched |= i < n_into ? fp_view_in_time(edge, fp_view_edge_at(maker, out_of[j])) :
						fp_view_in_time(fp_view_edge_at(maker, into[j]), edge);
		if (!matched)
			return false;
	}
	return true;
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

			if (!process && edge->row.kind != FP_EDGE_CALLS)
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

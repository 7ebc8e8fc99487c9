/* The finished graph, out to the sink: nodes, edges, requests, losses. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stitcher/build.h"
#include "stitcher/describe.h"

struct texts {
	struct fp_buffer key, label;
};

static void texts_done(struct texts *texts)
{
	fp_buffer_done(&texts->key);
	fp_buffer_done(&texts->label);
}

static const char *known(const struct fp_build *build, uint32_t text)
{
	return text ? fp_text(build->evidence, text) : NULL;
}

/* The request a node belongs to, or FP_NONE; and, of a process, its unit. */
static uint32_t request_of(const struct fp_gnode *node)
{
	switch (node->kind) {
	case FP_NODE_REQUEST:
		return node->a;
	case FP_NODE_PROCESS:
		return fp_unit_request(node->c);
	case FP_NODE_SOCKET:
		return fp_unit_request(node->b);
	case FP_NODE_FINDING:
		return fp_unit_request(node->c);
	default:
		return FP_NONE;
	}
}

static enum fp_unit unit_of(const struct fp_gnode *node)
{
	if (node->kind != FP_NODE_PROCESS && request_of(node) == FP_NONE)
		return FP_UNIT_BACKGROUND;
	if (node->kind == FP_NODE_PROCESS && node->c == FP_UNIT_IS_STARTUP)
		return FP_UNIT_STARTUP;
	if (node->kind == FP_NODE_PROCESS && node->c == FP_UNIT_IS_BACKGROUND)
		return FP_UNIT_BACKGROUND;
	return FP_UNIT_REQUEST;
}

static uint32_t host_of(const struct fp_build *build, const struct fp_gnode *node)
{
	const struct fp_evidence *evidence = build->evidence;

	switch (node->kind) {
	case FP_NODE_REQUEST:
		return evidence->sources[build->requests[node->a].source].host;
	case FP_NODE_PROCESS:
		return evidence->processes[node->a].host;
	case FP_NODE_FILE:
		return evidence->files[node->a].host;
	case FP_NODE_PIPE:
		return node->b ? evidence->unix_ends[node->a].host : evidence->files[node->a].host;
	case FP_NODE_GAP:
		return build->gaps[node->a].host;
	default:
		return node->container < FP_SEVERAL ? evidence->containers[node->container].host : 0;
	}
}

static int emit_node(struct fp_build *build, const struct fp_gnode *gnode, struct texts *texts)
{
	const struct fp_evidence *evidence = build->evidence;
	const struct fp_container *container =
		gnode->container < FP_SEVERAL ? &evidence->containers[gnode->container] : NULL;
	fp_cleanup(fp_freep) char *attributes = NULL;
	uint32_t request = request_of(gnode);
	struct fp_store_node node = {.id = gnode->number, .kind = gnode->kind, .unit = unit_of(gnode),
				     .first = gnode->first, .last = gnode->last};
	int r = fp_describe_attributes(build, gnode, &attributes);

	if (r < 0)
		return r;
	fp_buffer_clear(&texts->key);
	fp_buffer_clear(&texts->label);
	fp_describe_key(build, gnode, &texts->key);
	fp_describe_label(build, gnode, &texts->label);
	if (fp_buffer_error(&texts->key) < 0 || fp_buffer_error(&texts->label) < 0)
		return -ENOMEM;
	node.key = texts->key.data;
	node.label = texts->label.data;
	node.attributes = attributes;
	node.host = known(build, host_of(build, gnode));
	if (container) {
		node.function = known(build, container->function);
		node.instance = known(build, container->id);
	}
	if (request != FP_NONE) {
		node.has_request = true;
		memcpy(node.request, fp_intern_key(&evidence->requests, request, NULL), FP_REQUEST_ID_SIZE);
	}
	if (gnode->kind == FP_NODE_REQUEST) {
		node.first = build->requests[request].first;
		node.last = build->requests[request].last;
	}
	build->counts.nodes++;
	return build->sink->node(build->sink->arg, &node);
}

static int emit_nodes(struct fp_build *build)
{
	uint32_t n = fp_graph_nodes(&build->graph), number = 0;
	struct texts texts = {FP_BUFFER_INIT, FP_BUFFER_INIT};
	int r = 0;

	for (size_t i = 0; i < build->graph.n_ops; i++)
		build->graph.nodes[build->graph.ops[i].from].number = build->graph.nodes[build->graph.ops[i].to].number = 1;
	for (uint32_t i = 0; i < n; i++) {
		struct fp_gnode *node = &build->graph.nodes[i];

		/* what no edge leads to tells nothing, but a request or a gap does by being there */
		if (node->kind == FP_NODE_GAP && !node->number) {
			node->first = build->gaps[node->a].first;
			node->last = build->gaps[node->a].last;
		}
		if (node->number || node->kind == FP_NODE_REQUEST || node->kind == FP_NODE_GAP)
			node->number = ++number;
	}
	for (uint32_t i = 0; r >= 0 && i < n; i++) {
		if (build->graph.nodes[i].number)
			r = emit_node(build, &build->graph.nodes[i], &texts);
		if (r >= 0)
			r = fp_build_progress(build, "nodes", i, n);
	}
	texts_done(&texts);
	return r;
}

static int emit_edge(struct fp_build *build, const struct fp_op *op, uint64_t id, struct fp_buffer *candidates)
{
	const struct fp_evidence *evidence = build->evidence;
	uint32_t request = fp_unit_request(op->unit);
	struct fp_store_edge edge = {
		.id = id, .from = build->graph.nodes[op->from].number, .to = build->graph.nodes[op->to].number,
		.kind = op->kind, .first = op->first, .last = op->last, .count = op->count,
		.bytes = op->bytes > INT64_MAX ? INT64_MAX : op->bytes, .attribution = op->attribution, .rule = op->rule,
		.batch = evidence->batches[op->batch].id, .event = op->index};

	if (request != FP_NONE) {
		edge.has_request = true;
		memcpy(edge.request, fp_intern_key(&evidence->requests, request, NULL), FP_REQUEST_ID_SIZE);
	}
	if (op->candidates) {
		fp_buffer_clear(candidates);
		fp_describe_candidates(build, op->candidates, candidates);
		if (fp_buffer_error(candidates) < 0)
			return -ENOMEM;
		edge.candidates = candidates->data;
	}
	if (op->attributes)
		edge.attributes = fp_intern_key(&build->graph.attributes, op->attributes, NULL);
	build->counts.edges++;
	return build->sink->edge(build->sink->arg, &edge);
}

static int emit_edges(struct fp_build *build)
{
	struct fp_buffer candidates = FP_BUFFER_INIT;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < build->graph.n_ops; i++) {
		r = emit_edge(build, &build->graph.ops[i], i + 1, &candidates);
		if (r >= 0)
			r = fp_build_progress(build, "edges", i, build->graph.n_ops);
	}
	fp_buffer_done(&candidates);
	return r;
}

/* The trace id of a traceparent (version-traceid-parentid-flags), or NULL; written to out. */
static const char *trace_id(const char *traceparent, char out[33])
{
	static const char hex[] = "0123456789abcdef";

	if (strspn(traceparent, hex) != 2 || traceparent[2] != '-' || strspn(traceparent + 3, hex) != 32 ||
	    traceparent[35] != '-')
		return NULL;
	memcpy(out, traceparent + 3, 32);
	out[32] = '\0';
	return strspn(out, "0") == 32 ? NULL : out;
}

static void fill_begin(const struct fp_build *build, const struct fp_request_state *state, char trace[33],
		       struct fp_store_request *request)
{
	const struct fp_evidence *evidence = build->evidence;
	const struct fp_begin *begin = &evidence->begins[evidence->items[state->begin].detail];

	request->call_id = known(build, begin->call_id);
	request->trace_id = trace_id(fp_text(evidence, begin->traceparent), trace);
	request->method = known(build, begin->method);
	request->url = known(build, begin->url);
}

static int emit_request(struct fp_build *build, uint32_t number)
{
	const struct fp_evidence *evidence = build->evidence;
	const struct fp_request_state *state = &build->requests[number];
	const struct fp_container *container =
		state->container == FP_NONE ? NULL : &evidence->containers[state->container];
	struct fp_store_request request = {.first = state->first, .status = -1, .lost = state->lost, .join = state->join};
	char trace[33];
	uint32_t parent = FP_NONE;

	memcpy(request.id, fp_intern_key(&evidence->requests, number, NULL), FP_REQUEST_ID_SIZE);
	request.node = build->graph.nodes[state->node].number;
	request.host = known(build, evidence->sources[state->source].host);
	if (container) {
		request.function = known(build, container->function);
		request.instance = known(build, container->id);
	}
	if (state->begin != FP_NONE)
		fill_begin(build, state, trace, &request);
	if (state->end != FP_NONE) {
		request.last = state->last;
		request.status = evidence->items[state->end].value ? (int64_t)evidence->items[state->end].value : -1;
	}
	if (state->message != FP_NONE)
		parent = fp_unit_request(evidence->items[state->message].unit);
	else if (state->callback_of != FP_NONE)
		parent = state->callback_of;
	if (parent != FP_NONE) {
		request.has_parent = true;
		memcpy(request.parent, fp_intern_key(&evidence->requests, parent, NULL), FP_REQUEST_ID_SIZE);
	}
	build->counts.requests++;
	return build->sink->request(build->sink->arg, &request);
}

static int emit_loss(struct fp_build *build, const struct fp_gap *gap)
{
	const struct fp_container *container =
		gap->container == FP_NONE ? NULL : &build->evidence->containers[gap->container];
	struct fp_store_loss loss = {.host = known(build, gap->host), .instance = container ? known(build, container->id) : NULL,
				     .cause = gap->cause, .first = gap->first, .last = gap->last, .lost = gap->lost};

	build->counts.lost += gap->lost;
	return build->sink->loss(build->sink->arg, &loss);
}

int fp_build_emit(struct fp_build *build)
{
	uint32_t n_requests = fp_intern_count(&build->evidence->requests);
	int r = emit_nodes(build);

	if (r >= 0)
		r = emit_edges(build);
	for (uint32_t i = 0; r >= 0 && i < n_requests; i++)
		r = emit_request(build, i);
	for (size_t i = 0; r >= 0 && i < build->n_gaps; i++)
		r = emit_loss(build, &build->gaps[i]);
	return r < 0 ? r : 0;
}

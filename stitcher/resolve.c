/*
 * Item by item, in order, into operations between nodes: processes and
 * requests here, files, pipes, sockets and messages in resolve_object.c.
 */
#include <errno.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/buffer.h"
#include "base/array.h"
#include "stitcher/build.h"
#include "stitcher/join.h"

struct fp_op fp_build_op(const struct fp_build *build, const struct fp_item *item, enum fp_edge_kind kind)
{
	return (struct fp_op){
		.first = fp_build_wall(build, item, item->start),
		.last = fp_build_wall(build, item, item->last),
		.bytes = item->bytes,
		.count = item->count,
		.unit = item->unit,
		.candidates = item->candidates,
		.batch = item->batch,
		.index = item->index,
		.kind = (uint8_t)kind,
		.attribution = item->attribution,
		.rule = item->rule,
	};
}

int fp_build_add(struct fp_build *build, struct fp_op op, uint32_t from, uint32_t to)
{
	op.from = from;
	op.to = to;
	return fp_graph_add(&build->graph, &op);
}

int fp_build_request_node(struct fp_build *build, uint32_t request, uint32_t *ret_node)
{
	struct fp_request_state *state = &build->requests[request];
	int r;

	if (state->node == FP_NONE) {
		r = fp_graph_node(&build->graph, FP_NODE_REQUEST, request, 0, 0, &state->node);
		if (r < 0)
			return r;
		fp_graph_touch(&build->graph, state->node, state->container);
	}
	*ret_node = state->node;
	return 0;
}

/* The request made this process: one edge in, and one out when it ends. */
static int enter_root(struct fp_build *build, const struct fp_item *item, uint32_t request, uint32_t process_node)
{
	struct fp_op op = fp_build_op(build, item, FP_EDGE_CALLS);
	uint32_t node;
	int r = fp_build_request_node(build, request, &node);

	if (r < 0)
		return r;
	op.bytes = 0;
	op.count = 1;
	return fp_build_add(build, op, node, process_node);
}

/* Nobody was seen to fork this process, and it exists for one request only. */
static bool is_root(const struct fp_build *build, const struct fp_item *item)
{
	const struct fp_process_state *process = &build->processes[item->process];

	return process->node == FP_NONE && fp_unit_request(item->unit) != FP_NONE && !process->is_watchdog &&
	       (item->rule == FP_RULE_CHILD || item->rule == FP_RULE_WHOLE_RUN);
}

int fp_build_enter(struct fp_build *build, const struct fp_item *item, uint32_t *ret_node)
{
	struct fp_process_state *process = &build->processes[item->process];
	const struct fp_gnode *now = process->node == FP_NONE ? NULL : &build->graph.nodes[process->node];
	bool root = is_root(build, item);
	int r;

	if (now && now->b == item->exec_id && now->c == item->unit && now->container != FP_NONE) {
		*ret_node = process->node;
		return 0;
	}
	r = fp_graph_node(&build->graph, FP_NODE_PROCESS, item->process, item->exec_id, item->unit, ret_node);
	if (r < 0)
		return r;
	if (build->graph.nodes[*ret_node].container == FP_NONE)
		fp_graph_touch(&build->graph, *ret_node, fp_item_container(build, item));
	process->node = *ret_node;
	if (!root)
		return 0;
	process->root_of = fp_unit_request(item->unit);
	return enter_root(build, item, process->root_of, *ret_node);
}

/* Where a new process stands first: in the unit and program of its own first event. */
static int enter_child(struct fp_build *build, const struct fp_item *fork, uint32_t *ret_node)
{
	const struct fp_process *child = &build->evidence->processes[fork->detail];
	struct fp_process_state *state = &build->processes[fork->detail];
	uint32_t exec_id = fork->exec_id, unit = fork->unit;
	int r;

	if (child->seen) {
		unit = child->first_unit;
		if (child->first_type != FP_EVENT_TYPE_EXEC)
			exec_id = child->first_exec;
		else if (child->first_exec)
			exec_id = child->first_exec - 1;
	}
	r = fp_graph_node(&build->graph, FP_NODE_PROCESS, fork->detail, exec_id, unit, ret_node);
	if (r < 0)
		return r;
	if (build->graph.nodes[*ret_node].container == FP_NONE)
		fp_graph_touch(&build->graph, *ret_node, fp_item_container(build, fork));
	if (state->node == FP_NONE)
		state->node = *ret_node;
	return 0;
}

static int resolve_fork(struct fp_build *build, const struct fp_item *item)
{
	struct fp_process_state *child = &build->processes[item->detail];
	uint32_t request = fp_unit_request(item->unit), from, to;
	int r;

	/* a child has one parent: a second claim is not believed, nor one about a process that was there before */
	if (child->parent != FP_NONE || item->detail == item->process)
		return 0;
	child->parent = item->process;
	child->parent_exec = item->exec_id;
	if (child->node != FP_NONE && child->root_of != FP_NONE)
		return 0;
	r = enter_child(build, item, &to);
	if (r < 0)
		return r;
	if (build->processes[item->process].is_watchdog && request != FP_NONE) {
		child->root_of = request;
		return enter_root(build, item, request, to);
	}
	r = fp_build_enter(build, item, &from);
	return r < 0 ? r : fp_build_add(build, fp_build_op(build, item, FP_EDGE_FORK), from, to);
}

/* A signal goes one way; who controls or reads another also learns from it. */
static int resolve_act(struct fp_build *build, const struct fp_item *item)
{
	enum fp_edge_kind kind = item->type == FP_EVENT_TYPE_SIGNAL ? FP_EDGE_SIGNAL : FP_EDGE_PTRACE;
	uint32_t from, to = build->processes[item->detail].node;
	bool sets = item->value == FP_OPERATION_LIMIT || item->value == FP_OPERATION_SCHEDULE || item->value == FP_OPERATION_OWNER;
	bool reads = kind == FP_EDGE_PTRACE && item->value != FP_OPERATION_VM_WRITE && !sets;
	bool changes = kind == FP_EDGE_SIGNAL || item->value == FP_OPERATION_VM_WRITE || item->value == FP_OPERATION_PTRACE || sets;
	int r = to == FP_NONE ? enter_child(build, item, &to) : 0;

	if (r >= 0)
		r = fp_build_enter(build, item, &from);
	if (r >= 0 && changes)
		r = fp_build_add(build, fp_build_op(build, item, kind), from, to);
	if (r >= 0 && reads)
		r = fp_build_add(build, fp_build_op(build, item, kind), to, from);
	return r;
}

/* The node a process execs from: the same unit if it was there, else where it stood last. */
static uint32_t find_before(const struct fp_build *build, const struct fp_item *exec)
{
	const struct fp_process_state *process = &build->processes[exec->process];
	const struct fp_gnode *now;
	uint32_t same;

	if (process->node == FP_NONE)
		return FP_NONE;
	now = &build->graph.nodes[process->node];
	same = fp_graph_find(&build->graph, FP_NODE_PROCESS, exec->process, now->b, exec->unit);
	return same != FP_NONE ? same : process->node;
}

static int resolve_exec(struct fp_build *build, const struct fp_item *item)
{
	uint32_t before = find_before(build, item), file, now;
	int r = fp_build_enter(build, item, &now);

	if (r >= 0 && before != FP_NONE)
		r = fp_build_add(build, fp_build_op(build, item, FP_EDGE_EXEC), before, now);
	if (r < 0 || item->kind != FP_ITEM_FILE)
		return r;
	r = fp_build_file(build, item, &file);
	if (r < 0)
		return r;
	fp_graph_touch(&build->graph, file, build->graph.nodes[now].container);
	return fp_build_add(build, fp_build_op(build, item, FP_EDGE_LOAD), file, now);
}

static int resolve_exit(struct fp_build *build, const struct fp_item *item)
{
	struct fp_process_state *process = &build->processes[item->process];
	uint32_t from, to;
	int r;

	if (process->exited)
		return 0;
	process->exited = true;
	process->status = item->result;
	if (process->root_of == FP_NONE)
		return 0;
	r = fp_build_enter(build, item, &from);
	if (r >= 0)
		r = fp_build_request_node(build, process->root_of, &to);
	return r < 0 ? r : fp_build_add(build, fp_build_op(build, item, FP_EDGE_RETURNS), from, to);
}

static int set_join(struct fp_build *build, const char *join, struct fp_op *op)
{
	char attributes[64];
	int n = snprintf(attributes, sizeof(attributes), "{\"join\":\"%s\"}", join);
	int r = fp_intern_add(&build->graph.attributes, attributes, (size_t)n, &op->attributes);

	return r < 0 ? r : 0;
}

/* The process unit that sent the message, and the operation: the call is its doing, at its time. */
static int message_caller(struct fp_build *build, const struct fp_item *message, uint32_t *ret_node, struct fp_op *ret_op)
{
	int r = fp_graph_node(&build->graph, FP_NODE_PROCESS, message->process, message->exec_id, message->unit, ret_node);

	if (r < 0)
		return r;
	if (build->graph.nodes[*ret_node].container == FP_NONE)
		fp_graph_touch(&build->graph, *ret_node, fp_item_container(build, message));
	*ret_op = fp_build_op(build, message, FP_EDGE_CALLS);
	ret_op->count = 1;
	return 0;
}

/* The result of another request was handed on to this one. */
static int callback_caller(struct fp_build *build, struct fp_request_state *state, struct fp_op *op)
{
	const struct fp_item *result = fp_build_result(build, &build->requests[state->callback_of]);
	int r = fp_build_request_node(build, state->callback_of, &state->caller);

	*op = fp_build_op(build, result, FP_EDGE_CALLS);
	op->bytes = 0;
	op->count = 1;
	op->attribution = FP_ATTRIBUTION_DERIVED;
	op->rule = FP_RULE_NONE;
	return r < 0 ? r : set_join(build, state->join, op);
}

static int resolve_caller(struct fp_build *build, uint32_t request, struct fp_op *op)
{
	struct fp_request_state *state = &build->requests[request];
	int r;

	if (state->callback_of != FP_NONE)
		return callback_caller(build, state, op);
	if (state->message == FP_NONE) {
		const struct fp_begin *begin = &build->evidence->begins[build->evidence->items[state->begin].detail];

		/* a recorded command has nobody behind it */
		if (!begin->forwarded && !begin->peer)
			return 0;
		return fp_graph_node(&build->graph, FP_NODE_CLIENT, request, 0, 0, &state->caller);
	}
	r = message_caller(build, &build->evidence->items[state->message], &state->caller, op);
	return r < 0 ? r : set_join(build, state->join, op);
}

/* The requests, one or several, that the message may be of. */
static void add_candidates(const struct fp_build *build, const struct fp_item *message, struct fp_buffer *ids)
{
	uint32_t request = fp_unit_request(message->unit);
	size_t len;

	if (request != FP_NONE) {
		fp_buffer_add(ids, fp_intern_key(&build->evidence->requests, request, NULL), FP_REQUEST_ID_SIZE);
	} else if (message->candidates) {
		const char *text = fp_intern_key(&build->evidence->texts, message->candidates, &len);

		fp_buffer_add(ids, text, len);
	}
}

/* One of several messages was the call, or none of them: each may have been. */
static int resolve_maybe(struct fp_build *build, const struct fp_request_state *state, uint32_t node)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer ids = FP_BUFFER_INIT;
	const uint32_t *maybe = build->maybe + state->maybe_at;
	uint32_t candidates = 0;
	int r = 0;

	for (uint32_t i = 0; i < state->maybe_n; i++)
		add_candidates(build, &build->evidence->items[maybe[i]], &ids);
	if (fp_buffer_error(&ids) < 0)
		return -ENOMEM;
	if (ids.len)
		r = fp_intern_add(&build->evidence->texts, ids.data, ids.len, &candidates);
	for (uint32_t i = 0; r >= 0 && i < state->maybe_n; i++) {
		struct fp_op op;
		uint32_t caller;

		r = message_caller(build, &build->evidence->items[maybe[i]], &caller, &op);
		op.unit = FP_UNIT_IS_AMBIGUOUS;
		op.candidates = candidates;
		op.attribution = FP_ATTRIBUTION_AMBIGUOUS;
		op.rule = FP_RULE_NONE;
		if (r >= 0)
			r = set_join(build, "call-id", &op);
		if (r >= 0)
			r = fp_build_add(build, op, caller, node);
	}
	return r;
}

static int resolve_begin(struct fp_build *build, const struct fp_item *item, uint32_t number)
{
	uint32_t request = fp_unit_request(item->unit), node;
	struct fp_op op = fp_build_op(build, item, FP_EDGE_CALLS);
	int r;

	if (build->requests[request].begin != number)
		return 0;
	r = fp_build_request_node(build, request, &node);
	if (r >= 0)
		r = resolve_caller(build, request, &op);
	if (r >= 0)
		r = resolve_maybe(build, &build->requests[request], node);
	if (r < 0 || build->requests[request].caller == FP_NONE)
		return r;
	return fp_build_add(build, op, build->requests[request].caller, node);
}

static int resolve_end(struct fp_build *build, const struct fp_item *item, uint32_t number)
{
	uint32_t request = fp_unit_request(item->unit), node;
	const struct fp_request_state *state = &build->requests[request];
	int r;

	if (state->end != number || state->caller == FP_NONE || state->callback_of != FP_NONE)
		return 0;
	/* a caller that is recorded and did not get the answer learnt nothing from it */
	if (state->message != FP_NONE && !fp_build_is_answered(build, state))
		return 0;
	r = fp_build_request_node(build, request, &node);
	return r < 0 ? r :
		       fp_build_add(build, fp_build_op(build, item, FP_EDGE_RETURNS), node, build->requests[request].caller);
}

static int resolve(struct fp_build *build, const struct fp_item *item, uint32_t number)
{
	switch (item->type) {
	case FP_EVENT_TYPE_FORK:
		return resolve_fork(build, item);
	case FP_EVENT_TYPE_SIGNAL:
	case FP_EVENT_TYPE_TRACE:
		return resolve_act(build, item);
	case FP_EVENT_TYPE_EXEC:
		return resolve_exec(build, item);
	case FP_EVENT_TYPE_EXIT:
		return resolve_exit(build, item);
	case FP_EVENT_TYPE_BEGIN:
		return resolve_begin(build, item, number);
	case FP_EVENT_TYPE_END:
		return resolve_end(build, item, number);
	case FP_EVENT_TYPE_LOST:
	case FP_EVENT_TYPE_MOVED:
	case FP_EVENT_TYPE_LEFT:
	case FP_EVENT_TYPE_PRESENT:
	case FP_EVENT_TYPE_HELD:
	case FP_EVENT_TYPE_CONNECTED:
	case FP_EVENT_TYPE_FAILED: /* nothing was done */
		return 0;
	default:
		return fp_build_object(build, item, number);
	}
}

int fp_build_resolve(struct fp_build *build)
{
	const struct fp_evidence *evidence = build->evidence;
	uint32_t none;
	int r = fp_intern_add(&build->graph.attributes, "", 0, &none);

	for (size_t i = 0; r >= 0 && i < evidence->n_items; i++) {
		r = resolve(build, &evidence->items[build->order[i]], build->order[i]);
		if (r >= 0)
			r = fp_build_finding(build, &evidence->items[build->order[i]]);
		if (r >= 0)
			r = fp_build_progress(build, "resolve", i, evidence->n_items);
	}
	return r < 0 ? r : 0;
}

/* Items about what processes work on: files, pipes, sockets, application-layer objects. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <jansson.h>

#include "base/array.h"
#include "stitcher/build.h"

int fp_build_attributes(struct fp_build *build, json_t *object, uint32_t *ret_attributes)
{
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	int r = -ENOMEM;

	json_decref(object);
	if (text)
		r = fp_intern_add(&build->graph.attributes, text, strlen(text), ret_attributes);
	free(text);
	return r < 0 ? r : 0;
}

/* The file has been seen under this path; the newest stands first. */
static int note_path(struct fp_build *build, uint32_t node, uint32_t path)
{
	uint32_t key[2] = {node, path}, number, *link = &build->graph.nodes[node].extra;
	int r;

	if (!path || (*link != FP_NONE && build->path_list[*link].path == path))
		return 0;
	r = fp_intern_add(&build->path_seen, key, sizeof(key), &number);
	if (r < 0)
		return r;
	if (r == 1) {
		if (!FP_ARRAY_ROOM(build->path_list, number, build->path_list_room))
			return -ENOMEM;
		build->path_list[number] = (struct fp_path_entry){path, *link};
		*link = number;
		return 0;
	}
	/* seen before, but not last: it moves to the front */
	while (*link != number)
		link = &build->path_list[*link].next;
	*link = build->path_list[number].next;
	build->path_list[number].next = build->graph.nodes[node].extra;
	build->graph.nodes[node].extra = number;
	return 0;
}

int fp_build_file(struct fp_build *build, const struct fp_item *item, uint32_t *ret_node)
{
	const struct fp_file *file = &build->evidence->files[item->object];
	struct fp_file_state *state = &build->files[item->object];
	uint64_t last = fp_build_wall(build, item, item->last);
	int r;

	/* an inode that is made while its number is known: that file was deleted and is another one */
	if (item->type == FP_EVENT_TYPE_OPEN && item->flags & FP_ITEM_CREATED && state->last &&
	    state->last < fp_build_wall(build, item, item->start)) {
		state->before++;
		state->node = 0;
	}
	if (last > state->last)
		state->last = last;
	if (state->node) {
		*ret_node = state->node - 1;
		return note_path(build, *ret_node, item->path);
	}
	r = fp_graph_node(&build->graph, file->is_pipe ? FP_NODE_PIPE : FP_NODE_FILE, item->object,
			  file->is_pipe ? 0 : state->before, 0, ret_node);
	if (r < 0)
		return r;
	state->node = *ret_node + 1;
	if (!state->before)
		r = note_path(build, *ret_node, state->first_path);
	return r < 0 ? r : note_path(build, *ret_node, item->path);
}

/*
 * What an end of a unix socket sends, or what arrives at it from a peer that is not known.  One that takes datagrams has
 * a peer for each, which the item tells.
 */
static int unix_node(struct fp_build *build, const struct fp_item *item, bool sends, uint32_t *ret_node)
{
	uint32_t end = item->object, peer = item->peer;
	int r;

	if (peer == FP_NONE)
		peer = build->evidence->unix_ends[end].peer;
	if (sends || peer == FP_NONE)
		r = fp_graph_node(&build->graph, FP_NODE_PIPE, end, sends ? FP_SIDE_SENT : FP_SIDE_RECEIVED, 0, ret_node);
	else
		r = fp_graph_node(&build->graph, FP_NODE_PIPE, peer, FP_SIDE_SENT, 0, ret_node);
	return r < 0 ? r : 0;
}

/* Between the process of the item and the node; `in`: towards the process. */
static int add_with(struct fp_build *build, const struct fp_item *item, enum fp_edge_kind kind, uint32_t node, bool in,
		    uint32_t attributes)
{
	struct fp_op op = fp_build_op(build, item, kind);
	uint32_t process;
	int r = fp_build_enter(build, item, &process);

	if (r < 0)
		return r;
	op.attributes = attributes;
	fp_graph_touch(&build->graph, node, build->graph.nodes[process].container);
	return in ? fp_build_add(build, op, node, process) : fp_build_add(build, op, process, node);
}

/* Bytes of the request's own connection: no socket, the request itself. */
static int resolve_own(struct fp_build *build, const struct fp_item *item, bool in)
{
	uint32_t request = fp_unit_request(item->unit), node;
	int r = fp_build_request_node(build, request, &node);
	struct fp_op op = fp_build_op(build, item, in ? FP_EDGE_CALLS : FP_EDGE_RETURNS);
	uint32_t process;

	if (r >= 0)
		r = fp_build_enter(build, item, &process);
	if (r < 0)
		return r;
	return in ? fp_build_add(build, op, node, process) : fp_build_add(build, op, process, node);
}

/* By a stock watchdog, on the connection by which the function then reads the request: that end says it all. */
static bool is_passed_on(const struct fp_build *build, const struct fp_item *item)
{
	const struct fp_evidence *evidence = build->evidence;

	return item->rule == FP_RULE_DESCRIPTOR &&
	       (build->path_roles[evidence->streams[item->object].path].is_own ||
		build->path_roles[evidence->streams[item->peer].path].is_own);
}

static bool is_own(const struct fp_item *item)
{
	return fp_rule_is_own(item->rule) && fp_unit_request(item->unit) != FP_NONE;
}

/*
 * A pipe that one process both writes and reads is a piece of its own memory (an
 * event loop wakes itself up with it) and as little a way between its units.
 */
static bool is_private_pipe(const struct fp_build *build, const struct fp_item *item)
{
	const struct fp_file_state *state = &build->files[item->object];

	return build->evidence->files[item->object].is_pipe && state->is_read && state->is_written && !state->is_shared;
}

static int resolve_bytes(struct fp_build *build, const struct fp_item *item, bool in)
{
	enum fp_edge_kind kind = in ? FP_EDGE_READ : FP_EDGE_WRITE;
	uint32_t node;
	int r;

	if (item->result < 0)
		return 0;
	if (is_own(item))
		return resolve_own(build, item, in);
	if (item->kind == FP_ITEM_FILE && is_private_pipe(build, item))
		return 0;
	if (item->kind == FP_ITEM_FILE)
		r = fp_build_file(build, item, &node);
	else if (item->kind == FP_ITEM_UNIX)
		r = unix_node(build, item, !in, &node);
	else
		return 0;
	return r < 0 ? r : add_with(build, item, kind, node, in, 0);
}

/* An open changes a file only when it made or emptied it. */
static int resolve_open(struct fp_build *build, const struct fp_item *item, uint32_t node)
{
	uint32_t attributes;
	bool made = item->flags & FP_ITEM_CREATED;
	int r;

	if (!made && !(item->flags & O_TRUNC))
		return 0;
	r = fp_build_attributes(build, json_pack("{s:s}", "open", made ? "created" : "truncated"), &attributes);
	return r < 0 ? r : add_with(build, item, FP_EDGE_WRITE, node, false, attributes);
}

static int resolve_change(struct fp_build *build, const struct fp_item *item, enum fp_edge_kind kind, uint32_t node)
{
	json_t *object = json_pack("{s:s}", "path", fp_text(build->evidence, item->path));
	char mode[16];
	uint32_t attributes;
	int r;

	if (object && (kind == FP_EDGE_RENAME || kind == FP_EDGE_LINK))
		json_object_set_new(object, "new_path", json_string(fp_text(build->evidence, item->new_path)));
	if (object && kind == FP_EDGE_CHMOD) {
		snprintf(mode, sizeof(mode), "%04o", item->value & 07777);
		json_object_set_new(object, "mode", json_string(mode));
	}
	if (object && (item->naming == FP_NAMING_UNVERIFIED || item->naming == FP_NAMING_CHANGED))
		json_object_set_new(object, "naming", json_string(item->naming == FP_NAMING_CHANGED ? "changed" : "unverified"));
	r = fp_build_attributes(build, object, &attributes);
	return r < 0 ? r : add_with(build, item, kind, node, false, attributes);
}

/* What is read and written through a shared mapping leaves no further record: both are taken to happen. */
static int resolve_map(struct fp_build *build, const struct fp_item *item, uint32_t node)
{
	uint32_t attributes;
	int r = fp_build_attributes(build, json_pack("{s:b}", "mapped", 1), &attributes);

	if (r >= 0)
		r = add_with(build, item, FP_EDGE_READ, node, true, attributes);
	if (r >= 0 && item->value & PROT_WRITE)
		r = add_with(build, item, FP_EDGE_WRITE, node, false, attributes);
	return r;
}

static int resolve_file(struct fp_build *build, const struct fp_item *item)
{
	uint32_t node;
	int r;

	if (item->kind != FP_ITEM_FILE || item->result < 0)
		return 0;
	r = fp_build_file(build, item, &node);
	if (r >= 0 && (item->type == FP_EVENT_TYPE_RENAME || item->type == FP_EVENT_TYPE_LINK))
		r = note_path(build, node, item->new_path);
	if (r < 0)
		return r;
	switch (item->type) {
	case FP_EVENT_TYPE_OPEN:
		return resolve_open(build, item, node);
	case FP_EVENT_TYPE_RENAME:
		return resolve_change(build, item, FP_EDGE_RENAME, node);
	case FP_EVENT_TYPE_UNLINK:
		return resolve_change(build, item, FP_EDGE_UNLINK, node);
	case FP_EVENT_TYPE_CHMOD:
		return resolve_change(build, item, FP_EDGE_CHMOD, node);
	case FP_EVENT_TYPE_LINK:
		return resolve_change(build, item, FP_EDGE_LINK, node);
	case FP_EVENT_TYPE_MAKE:
		return resolve_change(build, item, FP_EDGE_CREATE, node);
	case FP_EVENT_TYPE_CHOWN:
		return resolve_change(build, item, FP_EDGE_CHOWN, node);
	case FP_EVENT_TYPE_XATTR:
		return resolve_change(build, item, FP_EDGE_XATTR, node);
	case FP_EVENT_TYPE_TRUNCATE:
		return resolve_change(build, item, FP_EDGE_WRITE, node);
	case FP_EVENT_TYPE_MAP:
		return resolve_map(build, item, node);
	case FP_EVENT_TYPE_MAPPED: /* it is there still: what it brought, and brings, the process has from then on */
		r = item->value & FP_ITEM_SHARED ? resolve_map(build, item, node) : 0;
		return r < 0 || !(item->value & PROT_EXEC) ? r : add_with(build, item, FP_EDGE_LOAD, node, true, 0);
	default: /* LOAD */
		return add_with(build, item, FP_EDGE_LOAD, node, true, 0);
	}
}

static int host_node(struct fp_build *build, uint32_t endpoint, uint32_t *ret_node)
{
	int r = fp_graph_node(&build->graph, FP_NODE_HOST, endpoint, 0, 0, ret_node);

	return r < 0 ? r : 0;
}

static int socket_node(struct fp_build *build, uint32_t stream, uint32_t unit, uint32_t *ret_node)
{
	struct fp_link *link = &build->links[stream];
	int r = 0;

	if (!link->node || link->unit != unit) {
		r = fp_graph_node(&build->graph, FP_NODE_SOCKET, stream, unit, FP_SIDE_SENT, ret_node);
		if (r < 0)
			return r;
		link->node = *ret_node + 1;
		link->unit = unit;
	}
	*ret_node = link->node - 1;
	return 0;
}

static int resolve_send(struct fp_build *build, const struct fp_item *item)
{
	const struct fp_path *path = &build->evidence->paths[build->evidence->streams[item->object].path];
	uint32_t socket, host;
	int r = socket_node(build, item->object, item->unit, &socket);

	if (r >= 0)
		r = add_with(build, item, FP_EDGE_SEND, socket, false, 0);
	if (r < 0 || build->links[item->object].is_received)
		return r;
	r = host_node(build, path->to, &host);
	return r < 0 ? r : fp_build_add(build, fp_build_op(build, item, FP_EDGE_SEND), socket, host);
}

/* From nobody who is recorded: the bytes are the receiving unit's. */
static int resolve_foreign(struct fp_build *build, const struct fp_item *item)
{
	const struct fp_path *path = &build->evidence->paths[build->evidence->streams[item->peer].path];
	uint32_t socket, host;
	int r = fp_graph_node(&build->graph, FP_NODE_SOCKET, item->peer, item->unit, FP_SIDE_RECEIVED, &socket);

	if (r >= 0)
		r = host_node(build, path->from, &host);
	if (r >= 0)
		r = fp_build_add(build, fp_build_op(build, item, FP_EDGE_SEND), host, socket);
	return r < 0 ? r : add_with(build, item, FP_EDGE_RECEIVE, socket, true, 0);
}

static int resolve_receive(struct fp_build *build, const struct fp_item *item, uint32_t number)
{
	uint32_t n = build->overlap_n[number], process, socket;
	int r = fp_build_enter(build, item, &process);

	if (r >= 0 && n == 0)
		return resolve_foreign(build, item);
	for (uint32_t i = 0; r >= 0 && i < n; i++) {
		const struct fp_overlap *overlap = &build->overlaps[build->overlap_at[number] + i];
		struct fp_op op = fp_build_op(build, item, FP_EDGE_RECEIVE);

		op.bytes = overlap->bytes;
		r = socket_node(build, item->peer, overlap->unit, &socket);
		if (r >= 0)
			r = fp_build_add(build, op, socket, process);
	}
	return r < 0 ? r : 0;
}

static int resolve_socket(struct fp_build *build, const struct fp_item *item, uint32_t number)
{
	bool in = item->type == FP_EVENT_TYPE_RECEIVE;

	/* a stock watchdog's end of the function's own connection */
	if (item->kind == FP_ITEM_STREAM && is_passed_on(build, item))
		return 0;
	if (item->kind == FP_ITEM_UNIX || is_own(item))
		return resolve_bytes(build, item, in);
	if (item->kind != FP_ITEM_STREAM || item->result < 0 || !item->bytes || fp_build_is_call(build, item))
		return 0;
	return in ? resolve_receive(build, item, number) : resolve_send(build, item);
}

/* The two ends of a connection, if both were seen: one edge, from who opened it. */
static int resolve_connect(struct fp_build *build, const struct fp_item *item)
{
	const struct fp_path *path = &build->evidence->paths[build->evidence->streams[item->object].path];
	uint32_t accepted = build->links[item->object].accepted, attributes = 0, to;
	int r = 0;

	if (accepted != FP_NONE) {
		const struct fp_item *accept = &build->evidence->items[accepted];

		r = fp_graph_node(&build->graph, FP_NODE_PROCESS, accept->process, accept->exec_id, accept->unit, &to);
		if (r >= 0 && build->graph.nodes[to].container == FP_NONE)
			fp_graph_touch(&build->graph, to, fp_item_container(build, accept));
	} else {
		r = host_node(build, path->to, &to);
	}
	if (r >= 0 && item->result < 0 && item->result != -EINPROGRESS)
		r = fp_build_attributes(build, json_pack("{s:s}", "error", strerrorname_np(-item->result) ?: "unknown"),
				   &attributes);
	if (r >= 0) {
		struct fp_op op = fp_build_op(build, item, FP_EDGE_CONNECT);
		uint32_t from;

		op.attributes = attributes;
		r = fp_build_enter(build, item, &from);
		if (r >= 0)
			r = fp_build_add(build, op, from, to);
	}
	return r < 0 ? r : 0;
}

static int resolve_accept(struct fp_build *build, const struct fp_item *item)
{
	const struct fp_path *path = &build->evidence->paths[build->evidence->streams[item->object].path];
	uint32_t host;
	int r;

	if (item->result < 0 || build->links[item->peer].connected)
		return 0;
	r = host_node(build, path->to, &host);
	return r < 0 ? r : add_with(build, item, FP_EDGE_ACCEPT, host, true, 0);
}

/*
 * The watchdog opened it to its own function: a connection for requests, also
 * while none has gone over it (a pool opens some that it never needs).
 */
static bool is_spare(const struct fp_build *build, const struct fp_item *item)
{
	const struct fp_item *items = build->evidence->items;
	uint32_t accepted = build->links[item->object].accepted;

	return item->type == FP_EVENT_TYPE_CONNECT && accepted != FP_NONE && build->processes[item->process].is_watchdog &&
	       items[accepted].container == item->container;
}

static int resolve_opening(struct fp_build *build, const struct fp_item *item)
{
	const struct fp_evidence *evidence = build->evidence;
	const struct fp_path_role *out, *in;

	if (item->kind != FP_ITEM_STREAM || is_spare(build, item))
		return 0;
	out = &build->path_roles[evidence->streams[item->object].path];
	in = &build->path_roles[evidence->streams[item->peer].path];
	if (out->is_own || in->is_own || out->is_joined || in->is_joined)
		return 0;
	return item->type == FP_EVENT_TYPE_CONNECT ? resolve_connect(build, item) : resolve_accept(build, item);
}

static int message_attributes(struct fp_build *build, const struct fp_message *message, uint32_t *ret_attributes)
{
	json_t *object = json_object();

	*ret_attributes = 0;
	if (object && message->method)
		json_object_set_new(object, "method", json_string(fp_text(build->evidence, message->method)));
	if (object && message->rows)
		json_object_set_new(object, "rows", json_string(fp_text(build->evidence, message->rows)));
	if (object && message->status)
		json_object_set_new(object, "status", json_integer(message->status));
	if (object && json_object_size(object) == 0) {
		json_decref(object);
		return 0;
	}
	return fp_build_attributes(build, object, ret_attributes);
}

/* A URL is kept by its server: what is got comes from there, what is put goes there. */
static int add_server(struct fp_build *build, const struct fp_item *item, uint32_t object, bool get)
{
	const struct fp_path *path;
	uint32_t host;
	int r;

	if (item->kind != FP_ITEM_STREAM)
		return 0;
	path = &build->evidence->paths[build->evidence->streams[item->object].path];
	r = host_node(build, path->to, &host);
	if (r < 0)
		return r;
	return get ? fp_build_add(build, fp_build_op(build, item, FP_EDGE_GET), host, object) :
		     fp_build_add(build, fp_build_op(build, item, FP_EDGE_PUT), object, host);
}

/* What is got is what the object holds at any time between the question and its answer. */
static int add_answer(struct fp_build *build, const struct fp_item *item, uint32_t object, uint32_t attributes)
{
	struct fp_op op = fp_build_op(build, item, FP_EDGE_GET);
	uint32_t process, answer = build->answers[item->detail];
	int r = fp_build_enter(build, item, &process);

	if (answer != FP_NONE) {
		const struct fp_item *receive = &build->evidence->items[answer];
		uint64_t last = fp_build_wall(build, receive, receive->last);

		op.last = last > op.last ? last : op.last;
	}
	op.attributes = attributes;
	return r < 0 ? r : fp_build_add(build, op, object, process);
}

static int resolve_message(struct fp_build *build, const struct fp_item *item)
{
	const struct fp_evidence *evidence = build->evidence;
	const struct fp_message *message = &evidence->messages[item->detail];
	const char *method = fp_text(evidence, message->method);
	bool is_http = message->app == FP_APP_HTTP_REQUEST;
	bool put = is_http ? strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0 : message->direction;
	bool get = is_http || !put;
	uint32_t node, attributes, unknown = 0;
	int r;

	/* an answer served the join */
	if (message->app == FP_APP_HTTP_RESPONSE)
		return 0;
	/* the call of a function has edges of its own, and what the watchdog sends is no request of the function's */
	if (build->joined[item->detail] != FP_NONE || fp_rule_is_own(item->rule) ||
	    (item->kind == FP_ITEM_STREAM && is_passed_on(build, item)))
		return 0;
	if (!message->name)
		return 0;
	/* what has no known name is the same at most on the same connection */
	if (strcmp(fp_text(evidence, message->name), "?") == 0)
		unknown = item->kind == FP_ITEM_PLAIN ? FP_NONE : item->object + 1;
	r = fp_graph_node(&build->graph, FP_NODE_OBJECT, message->name, message->app, unknown, &node);
	if (r >= 0)
		r = message_attributes(build, message, &attributes);
	if (r >= 0 && put)
		r = add_with(build, item, FP_EDGE_PUT, node, false, attributes);
	if (r >= 0 && put && is_http)
		r = add_server(build, item, node, false);
	if (r >= 0 && get && is_http)
		r = add_server(build, item, node, true);
	if (r >= 0 && get)
		r = add_answer(build, item, node, attributes);
	return r < 0 ? r : 0;
}

int fp_build_object(struct fp_build *build, const struct fp_item *item, uint32_t number)
{
	switch (item->type) {
	case FP_EVENT_TYPE_READ:
		return resolve_bytes(build, item, true);
	case FP_EVENT_TYPE_WRITE:
		return resolve_bytes(build, item, false);
	case FP_EVENT_TYPE_SEND:
	case FP_EVENT_TYPE_RECEIVE:
		return resolve_socket(build, item, number);
	case FP_EVENT_TYPE_CONNECT:
	case FP_EVENT_TYPE_ACCEPT:
		return resolve_opening(build, item);
	case FP_EVENT_TYPE_MESSAGE:
		return resolve_message(build, item);
	default:
		return resolve_file(build, item);
	}
}

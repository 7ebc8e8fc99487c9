#include "stitcher/tests/lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

void lab_init(struct lab *lab)
{
	*lab = (struct lab){.now = 1000000000, .unit = "background"};
	assert_int_equal(fp_stitch_new(NULL, &lab->stitch), 0);
	lab_agent(lab, "host-1", 1, 1, 1);
}

static void drop_graph(struct lab *lab)
{
	for (size_t i = 0; i < lab->n_nodes; i++) {
		struct lab_node *node = &lab->nodes[i];

		free(node->name);
		free(node->key);
		free(node->label);
		free(node->function);
		free(node->instance);
		free(node->host);
		free(node->attributes);
	}
	for (size_t i = 0; i < lab->n_edges; i++) {
		free(lab->edges[i].candidates);
		free(lab->edges[i].attributes);
	}
	for (size_t i = 0; i < lab->n_requests; i++) {
		free(lab->requests[i].call_id);
		free(lab->requests[i].trace_id);
		free(lab->requests[i].function);
		free(lab->requests[i].join);
	}
	free(lab->nodes);
	free(lab->edges);
	free(lab->requests);
	free(lab->losses);
	lab->nodes = NULL;
	lab->edges = NULL;
	lab->requests = NULL;
	lab->losses = NULL;
	lab->n_nodes = lab->n_edges = lab->n_requests = lab->n_losses = 0;
}

void lab_done(struct lab *lab)
{
	drop_graph(lab);
	fp_stitch_free(lab->stitch);
}

void lab_agent(struct lab *lab, const char *host, uint8_t agent, uint8_t boot, uint64_t batch_number)
{
	static uint64_t batch_id;

	memset(lab->header.agent, agent, sizeof(lab->header.agent));
	memset(lab->header.boot, boot, sizeof(lab->header.boot));
	snprintf(lab->header.host, sizeof(lab->header.host), "%s", host);
	lab->header.clock_offset = LAB_EPOCH;
	lab->header.number = batch_number;
	lab->header.first_time = lab->header.last_time = lab->now;
	lab->index = 0;
	assert_int_equal(fp_stitch_batch(lab->stitch, ++batch_id, &lab->header), 0);
}

struct fp_str lab_str(const char *text)
{
	return (struct fp_str){text, text ? strlen(text) : 0};
}

/* Sixteen times each letter; a few at a time stay alive. */
static struct fp_str ids_of(const char *letters)
{
	static char ids[8][16 * 16];
	static unsigned next;
	char *id = ids[next++ % 8];
	size_t n = strlen(letters);

	assert_true(n <= 16);
	for (size_t i = 0; i < n; i++)
		memset(id + 16 * i, letters[i], 16);
	return (struct fp_str){id, 16 * n};
}

struct fp_event lab_event(struct lab *lab, enum fp_event_type type, const struct proc *proc)
{
	struct fp_event event = {.type = type, .time = lab->now, .start = lab->now, .seq = lab->seq++, .rule = lab->rule};

	if (proc) {
		event.cgroup = proc->cgroup;
		event.tgid = event.tid = proc->tgid;
		event.process_start = proc->start;
		event.exec_id = proc->exec;
	}
	if (strcmp(lab->unit, "start-up") == 0) {
		event.unit = FP_UNIT_STARTUP;
	} else if (strcmp(lab->unit, "ambiguous") == 0) {
		event.unit = FP_UNIT_REQUEST;
		event.attribution = FP_ATTRIBUTION_AMBIGUOUS;
		event.candidates = ids_of(lab->candidates);
	} else if (strcmp(lab->unit, "background") != 0) {
		event.unit = FP_UNIT_REQUEST;
		event.attribution = FP_ATTRIBUTION_EXACT;
		event.request = ids_of(lab->unit);
	}
	return event;
}

void lab_add(struct lab *lab, const struct fp_event *event)
{
	assert_int_equal(fp_stitch_event(lab->stitch, event, lab->index++), 0);
	if (lab->writer)
		assert_int_equal(fp_batch_writer_add(lab->writer, event), 0);
	lab->now += 1000;
}

void lab_container(struct lab *lab, uint64_t cgroup, const char *id, const char *function)
{
	struct proc nobody = {.cgroup = cgroup};
	struct fp_event event = lab_event(lab, FP_EVENT_TYPE_CONTAINER, &nobody);

	event.container = lab_str(id);
	event.function = lab_str(function);
	lab_add(lab, &event);
}

struct proc lab_fork(struct lab *lab, const struct proc *parent, uint64_t tgid)
{
	struct proc child = {parent->cgroup, tgid, lab->now, parent->exec};
	struct fp_event event = lab_event(lab, FP_EVENT_TYPE_FORK, parent);

	event.child_tgid = event.child_tid = tgid;
	event.child_start = child.start;
	event.result = (int64_t)tgid;
	lab_add(lab, &event);
	return child;
}

void lab_exec(struct lab *lab, struct proc *proc, const char *path, uint64_t ino, const char *argv)
{
	lab_exec_as(lab, proc, path, "", ino, argv);
}

void lab_exec_as(struct lab *lab, struct proc *proc, const char *path, const char *comm, uint64_t ino, const char *argv)
{
	struct fp_event event;
	char words[256];

	proc->exec++;
	event = lab_event(lab, FP_EVENT_TYPE_EXEC, proc);
	event.dev = 1;
	event.ino = ino;
	event.path = lab_str(path);
	event.comm = lab_str(comm);
	event.ns_tgid = proc->tgid % 100;
	event.uid = lab->uid;
	snprintf(words, sizeof(words), "%s", argv);
	event.argv = (struct fp_str){words, strlen(words)};
	for (char *c = words; *c; c++)
		if (*c == ' ')
			*c = '\0';
	lab_add(lab, &event);
}

void lab_exit(struct lab *lab, const struct proc *proc, int status)
{
	struct fp_event event = lab_event(lab, FP_EVENT_TYPE_EXIT, proc);

	event.flags = 1;
	event.result = status << 8;
	lab_add(lab, &event);
}

static struct fp_event on_file(struct lab *lab, enum fp_event_type type, const struct proc *proc, uint64_t ino)
{
	struct fp_event event = lab_event(lab, type, proc);

	event.object = FP_OBJECT_FILE;
	event.dev = 1;
	event.ino = ino;
	return event;
}

void lab_open(struct lab *lab, const struct proc *proc, const char *path, uint64_t ino, uint64_t flags)
{
	struct fp_event event = on_file(lab, FP_EVENT_TYPE_OPEN, proc, ino);

	event.path = lab_str(path);
	event.flags = flags;
	lab_add(lab, &event);
}

static void transfer(struct lab *lab, const struct proc *proc, enum fp_event_type type, enum fp_object object, uint64_t ino,
		     uint64_t bytes)
{
	struct fp_event event = on_file(lab, type, proc, ino);

	event.object = object;
	event.bytes = bytes;
	event.result = (int64_t)bytes;
	event.count = 1;
	lab_add(lab, &event);
}

void lab_read(struct lab *lab, const struct proc *proc, uint64_t ino, uint64_t bytes)
{
	transfer(lab, proc, FP_EVENT_TYPE_READ, FP_OBJECT_FILE, ino, bytes);
}

void lab_write(struct lab *lab, const struct proc *proc, uint64_t ino, uint64_t bytes)
{
	transfer(lab, proc, FP_EVENT_TYPE_WRITE, FP_OBJECT_FILE, ino, bytes);
}

void lab_pipe(struct lab *lab, const struct proc *proc, enum fp_event_type type, uint64_t ino, uint64_t bytes)
{
	transfer(lab, proc, type, FP_OBJECT_PIPE, ino, bytes);
}

struct link lab_link(const char *local, const char *remote)
{
	return (struct link){local, remote, 4026531840, LAB_TCP, 1000, 5000, 0, 0};
}

struct link lab_other_end(const struct link *link)
{
	/* the opener's SYN counts: what it calls 1000 its peer calls 1001 */
	return (struct link){link->remote, link->local, link->netns, link->protocol, link->rx_base, link->tx_base + 1, 0, 0};
}

static void fill_socket(struct fp_event *event, const struct link *link)
{
	uint16_t port = 0;

	event->family = 2;
	event->netns = link->netns;
	event->protocol = link->protocol;
	event->ino = 77;
	assert_int_equal(fp_endpoint_parse(link->local, strlen(link->local), &event->local_hi, &event->local_lo, &port), 0);
	event->local_port = port;
	assert_int_equal(fp_endpoint_parse(link->remote, strlen(link->remote), &event->remote_hi, &event->remote_lo, &port), 0);
	event->remote_port = port;
	if (link->protocol != LAB_TCP)
		return;
	event->tx_base = link->tx_base;
	event->rx_base = link->rx_base;
	/* the same byte has the same number at both ends, whatever they call the base */
	event->tx_end = (uint32_t)((link->tx_base | 1) + link->tx);
	event->rx_end = (uint32_t)((link->rx_base | 1) + link->rx);
}

void lab_socket(struct lab *lab, const struct proc *proc, enum fp_event_type type, struct link *link, uint64_t bytes)
{
	struct fp_event event = lab_event(lab, type, proc);

	if (type == FP_EVENT_TYPE_SEND)
		link->tx += (uint32_t)bytes;
	if (type == FP_EVENT_TYPE_RECEIVE)
		link->rx += (uint32_t)bytes;
	fill_socket(&event, link);
	event.bytes = bytes;
	event.result = (int64_t)bytes;
	event.count = 1;
	lab_add(lab, &event);
}

void lab_message(struct lab *lab, const struct proc *proc, const struct link *link, enum fp_app app, const char *method,
		 const char *host, const char *url, const char *name)
{
	struct fp_event event = lab_event(lab, FP_EVENT_TYPE_MESSAGE, proc);

	fill_socket(&event, link);
	event.app = app;
	event.direction = strcmp(method, "GET") != 0 && strcmp(method, "SELECT") != 0;
	event.method = lab_str(method);
	event.host_name = lab_str(host);
	event.url = lab_str(url);
	event.name = lab_str(name);
	lab_add(lab, &event);
}

void lab_begin(struct lab *lab, const struct proc *watchdog, const char *request, const char *forwarded, const char *peer,
	       const char *url)
{
	const char *unit = lab->unit;
	struct fp_event event;

	lab->unit = request;
	event = lab_event(lab, FP_EVENT_TYPE_BEGIN, watchdog);
	lab->unit = unit;
	event.rule = FP_RULE_MARK;
	event.method = lab_str("POST");
	event.url = lab_str(url);
	event.forwarded = lab_str(forwarded);
	event.peer = lab_str(peer);
	lab_add(lab, &event);
}

void lab_end(struct lab *lab, const struct proc *watchdog, const char *request, unsigned status)
{
	const char *unit = lab->unit;
	struct fp_event event;

	lab->unit = request;
	event = lab_event(lab, FP_EVENT_TYPE_END, watchdog);
	lab->unit = unit;
	event.rule = FP_RULE_MARK;
	event.status = status;
	lab_add(lab, &event);
}

/* --- collecting ------------------------------------------------------------------ */

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static void name_unit(const struct fp_store_node *node, char out[20])
{
	const char *units[] = {[FP_UNIT_BACKGROUND] = "background", [FP_UNIT_STARTUP] = "start-up",
			       [FP_UNIT_REQUEST] = "ambiguous"};

	if (node->has_request)
		snprintf(out, 20, "%c", node->request[0]);
	else
		snprintf(out, 20, "%s", units[node->unit]);
}

static char *name_of(const struct fp_store_node *node)
{
	char unit[20], letters[3] = "";
	char *name = NULL;
	uint8_t letter;
	int n;

	name_unit(node, unit);
	switch (node->kind) {
	case FP_NODE_PROCESS:
		n = asprintf(&name, "process:%s@%s", node->label, unit);
		break;
	case FP_NODE_SOCKET:
		n = asprintf(&name, "socket:%s@%s%s", node->label, unit, strstr(node->key, ":received") ? " received" : "");
		break;
	case FP_NODE_REQUEST:
		n = asprintf(&name, "request:%s", unit);
		break;
	case FP_NODE_CLIENT:
		memcpy(letters, strrchr(node->key, ':') + 1, 2);
		assert_int_equal(fp_unhex(letters, &letter, 1), 0);
		n = asprintf(&name, "%s@%c", node->label, letter);
		name[6] = ':';
		break;
	default:
		n = asprintf(&name, "%s:%s", fp_node_kind_name(node->kind), node->label);
	}
	assert_true(n > 0);
	return name;
}

static int take_node(void *arg, const struct fp_store_node *node)
{
	struct lab *lab = arg;
	struct lab_node *mine;

	assert_int_equal(node->id, lab->n_nodes + 1);
	assert_non_null(node->key);
	assert_non_null(node->label);
	assert_true(node->first <= node->last || node->last == 0);
	for (size_t i = 0; i < lab->n_nodes && lab->n_nodes < 1000; i++)
		assert_string_not_equal(lab->nodes[i].key, node->key);
	lab->nodes = realloc(lab->nodes, (lab->n_nodes + 1) * sizeof(*lab->nodes));
	mine = &lab->nodes[lab->n_nodes++];
	*mine = (struct lab_node){.row = *node, .name = name_of(node), .key = copy(node->key), .label = copy(node->label),
				  .function = copy(node->function), .instance = copy(node->instance),
				  .host = copy(node->host), .attributes = copy(node->attributes)};
	return 0;
}

static int take_edge(void *arg, const struct fp_store_edge *edge)
{
	struct lab *lab = arg;

	assert_int_equal(edge->id, lab->n_edges + 1);
	assert_in_range(edge->from, 1, lab->n_nodes);
	assert_in_range(edge->to, 1, lab->n_nodes);
	assert_true(edge->first <= edge->last);
	assert_true(edge->batch > 0);
	assert_non_null(fp_edge_kind_name(edge->kind));
	if (lab->n_edges)
		assert_true(lab->edges[lab->n_edges - 1].row.first <= edge->first);
	lab->edges = realloc(lab->edges, (lab->n_edges + 1) * sizeof(*lab->edges));
	lab->edges[lab->n_edges++] = (struct lab_edge){*edge, copy(edge->candidates), copy(edge->attributes)};
	return 0;
}

static int take_request(void *arg, const struct fp_store_request *request)
{
	struct lab *lab = arg;

	assert_in_range(request->node, 1, lab->n_nodes);
	lab->requests = realloc(lab->requests, (lab->n_requests + 1) * sizeof(*lab->requests));
	lab->requests[lab->n_requests++] = (struct lab_request){*request, copy(request->call_id), copy(request->trace_id),
								copy(request->function), copy(request->join)};
	return 0;
}

static int take_loss(void *arg, const struct fp_store_loss *loss)
{
	struct lab *lab = arg;

	lab->losses = realloc(lab->losses, (lab->n_losses + 1) * sizeof(*lab->losses));
	lab->losses[lab->n_losses++] = *loss;
	return 0;
}

void lab_make(struct lab *lab)
{
	const struct fp_stitch_sink sink = {
		.arg = lab, .node = take_node, .edge = take_edge, .request = take_request, .loss = take_loss};

	drop_graph(lab);
	assert_int_equal(fp_stitch_make(lab->stitch, &sink), 0);
}

void lab_take(struct lab *lab, struct fp_store *store)
{
	drop_graph(lab);
	assert_int_equal(fp_store_each_node(store, take_node, lab), 0);
	assert_int_equal(fp_store_each_edge(store, take_edge, lab), 0);
	assert_int_equal(fp_store_each_request(store, take_request, lab), 0);
	assert_int_equal(fp_store_each_loss(store, 0, INT64_MAX, take_loss, lab), 0);
}

/* --- asking ------------------------------------------------------------------------ */

static void dump(const struct lab *lab)
{
	for (size_t i = 0; i < lab->n_edges; i++) {
		const struct fp_store_edge *edge = &lab->edges[i].row;

		fprintf(stderr, "  %s -%s-> %s\n", lab->nodes[edge->from - 1].name, fp_edge_kind_name(edge->kind),
			lab->nodes[edge->to - 1].name);
	}
}

static bool is_edge(const struct lab *lab, const struct fp_store_edge *edge, const char *from, enum fp_edge_kind kind,
		    const char *to)
{
	return (!*from || strcmp(lab->nodes[edge->from - 1].name, from) == 0) && (!kind || edge->kind == kind) &&
	       (!*to || strcmp(lab->nodes[edge->to - 1].name, to) == 0);
}

size_t lab_count(const struct lab *lab, const char *from, enum fp_edge_kind kind, const char *to)
{
	size_t n = 0;

	for (size_t i = 0; i < lab->n_edges; i++)
		n += is_edge(lab, &lab->edges[i].row, from, kind, to);
	return n;
}

const struct lab_edge *lab_edge(const struct lab *lab, const char *from, enum fp_edge_kind kind, const char *to)
{
	const struct lab_edge *found = NULL;

	if (lab_count(lab, from, kind, to) != 1) {
		dump(lab);
		fail_msg("%zu edges %s -%s-> %s", lab_count(lab, from, kind, to), from, fp_edge_kind_name(kind), to);
	}
	for (size_t i = 0; i < lab->n_edges; i++)
		if (is_edge(lab, &lab->edges[i].row, from, kind, to))
			found = &lab->edges[i];
	return found;
}

const struct lab_node *lab_node(const struct lab *lab, const char *name)
{
	for (size_t i = 0; i < lab->n_nodes; i++)
		if (strcmp(lab->nodes[i].name, name) == 0)
			return &lab->nodes[i];
	dump(lab);
	fail_msg("no node %s", name);
	return NULL;
}

const struct lab_request *lab_request(const struct lab *lab, const char *request)
{
	for (size_t i = 0; i < lab->n_requests; i++)
		if (lab->requests[i].row.id[0] == (uint8_t)*request)
			return &lab->requests[i];
	fail_msg("no request %s", request);
	return NULL;
}

void lab_expect_edges(const struct lab *lab, size_t n)
{
	if (lab->n_edges == n)
		return;
	dump(lab);
	fail_msg("%zu edges, not %zu", lab->n_edges, n);
}

bool lab_reaches(const struct lab *lab, const char *from, const char *to)
{
	uint64_t *at = malloc((lab->n_nodes + 1) * sizeof(*at)); /* earliest time at which the node is reached */
	uint64_t target = lab_node(lab, to)->row.id;
	bool reached, changed = true;

	memset(at, 0xff, (lab->n_nodes + 1) * sizeof(*at));
	at[lab_node(lab, from)->row.id] = 0;
	while (changed) {
		changed = false;
		for (size_t i = 0; i < lab->n_edges; i++) {
			const struct fp_store_edge *edge = &lab->edges[i].row;
			enum fp_node_kind kind = lab->nodes[edge->from - 1].row.kind;
			uint64_t time = at[edge->from] > edge->first ? at[edge->from] : edge->first;

			if (at[edge->from] == UINT64_MAX || at[edge->from] > edge->last || time >= at[edge->to])
				continue;
			if ((kind == FP_NODE_CLIENT || kind == FP_NODE_HOST) && at[edge->from] != 0)
				continue;
			at[edge->to] = time;
			changed = true;
		}
	}
	reached = at[target] != UINT64_MAX;
	free(at);
	return reached;
}

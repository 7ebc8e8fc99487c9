#include "query/render/view.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "query/attributes.h"
#include "query/render/view_make.h"

bool fp_view_pinned(const struct fp_answer *answer, const struct fp_graph_node *node)
{
	return node->start && !(node->row.has_request && fp_requests_find(&answer->asked, node->row.request) >= 0);
}

int fp_view_list_add(uint32_t **list, size_t *n, size_t *size, uint32_t item)
{
	if (*n == *size) {
		size_t wanted = *size ? *size * 2 : 4;
		uint32_t *bigger = realloc(*list, wanted * sizeof(*bigger));

		if (!bigger)
			return -ENOMEM;
		*list = bigger;
		*size = wanted;
	}
	(*list)[(*n)++] = item;
	return 0;
}

/* --- nodes ---------------------------------------------------------------- */

/* Same container and unit; `a` is not of a request. */
static bool same_place(const struct fp_store_node *a, const struct fp_store_node *b)
{
	const char *const texts[][2] = {{a->host, b->host}, {a->instance, b->instance}};

	for (size_t i = 0; i < 2; i++)
		if (texts[i][0] != texts[i][1] &&
		    (!texts[i][0] || !texts[i][1] || strcmp(texts[i][0], texts[i][1]) != 0))
			return false;
	return a->unit == b->unit;
}

static int cluster_of_process(struct fp_view_maker *maker, uint32_t node, size_t *ret_cluster)
{
	const struct fp_store_node *row = &fp_graph_node(maker->graph, node)->row;
	struct fp_view *view = maker->view;
	void *bigger;

	if (maker->answer->request_of[node] >= 0) {
		*ret_cluster = (size_t)maker->answer->request_of[node];
		if (!view->clusters[*ret_cluster].sample || row->kind == FP_NODE_REQUEST)
			view->clusters[*ret_cluster].sample = row;
		return 0;
	}
	for (size_t i = maker->answer->requests.n; i < view->n_clusters; i++)
		if (same_place(row, view->clusters[i].sample)) {
			*ret_cluster = i;
			return 0;
		}
	bigger = realloc(view->clusters, (view->n_clusters + 1) * sizeof(*view->clusters));
	if (!bigger)
		return -ENOMEM;
	view->clusters = bigger;
	view->clusters[view->n_clusters] =
		(struct fp_view_cluster){
		.request = -1, .sample = row, .root = view->n_clusters, .parent = FP_NO_CLUSTER};
	*ret_cluster = view->n_clusters++;
	return 0;
}

static bool is_child_of(struct fp_view_maker *maker, uint32_t child, const char *name)
{
	const uint32_t *into;
	ssize_t n = fp_graph_edges_into(maker->graph, child, &into);

	for (ssize_t i = 0; i < n; i++) {
		const struct fp_graph_edge *edge = fp_view_edge_at(maker, into[i]);
		const char *parent = fp_graph_node(maker->graph, edge->from)->row.label;

		if (edge->row.kind == FP_EDGE_FORK && parent && strcmp(parent, name) == 0)
			return true;
	}
	return false;
}

/* Program and process id; "sh → curl[123]" for a chain of execs. */
static void label_of_process(struct fp_view_maker *maker, const struct fp_view_node *node, struct fp_buffer *label)
{
	const char *before = NULL;

	for (size_t i = node->n_members; i-- > 0;) {
		const struct fp_store_node *row = &fp_graph_node(maker->graph, node->members[i])->row;
		const char *name = row->label && *row->label ? row->label : "(no name)";

		if (row->kind != FP_NODE_PROCESS || (before && strcmp(before, name) == 0))
			continue;
		/* A child is called like its parent until it execs. */
		if (!before && i > 0 && is_child_of(maker, node->members[i], name))
			continue;
		fp_buffer_add_format(label, "%s%s", before ? " → " : "", name);
		before = name;
	}
}

static int name_node(struct fp_view_maker *maker, struct fp_view_node *node)
{
	const struct fp_store_node *row = &fp_graph_node(maker->graph, node->members[0])->row;
	fp_cleanup(fp_buffer_done) struct fp_buffer label = FP_BUFFER_INIT;
	int64_t pid = fp_attribute_number(row->attributes, "pid", 0);

	if (row->kind == FP_NODE_PROCESS)
		label_of_process(maker, node, &label);
	else
		fp_buffer_add_text(&label, row->label && *row->label ? row->label : "(no name)");
	if (row->kind == FP_NODE_PROCESS && pid > 0)
		fp_buffer_add_format(&label, "[%lld]", (long long)pid);
	if (fp_buffer_error(&label) < 0)
		return -ENOMEM;
	node->label = strdup(label.data ? label.data : "");
	return node->label ? 0 : -ENOMEM;
}

/* The head of a fork is named as its parent was; what it became says more. */
static int compare_members(const void *a, const void *b, void *arg)
{
	const struct fp_store_node *x = &fp_graph_node(arg, *(const uint32_t *)a)->row;
	const struct fp_store_node *y = &fp_graph_node(arg, *(const uint32_t *)b)->row;

	if ((x->kind == FP_NODE_PROCESS) != (y->kind == FP_NODE_PROCESS))
		return x->kind == FP_NODE_PROCESS ? -1 : 1;
	if (x->first != y->first)
		return x->first > y->first ? -1 : 1;
	return x->id > y->id ? -1 : x->id < y->id;
}

static int finish_node(struct fp_view_maker *maker, struct fp_view_node *node)
{
	const struct fp_store_node *row;

	qsort_r(node->members, node->n_members, sizeof(uint32_t), compare_members, maker->graph);
	row = &fp_graph_node(maker->graph, node->members[0])->row;
	node->kind = row->kind;
	node->first = row->first;
	node->cluster = FP_NO_CLUSTER;
	for (size_t i = 0; i < node->n_members; i++) {
		const struct fp_graph_node *member = fp_graph_node(maker->graph, node->members[i]);

		node->start |= member->start;
		node->link |= maker->answer->link[member->index];
		node->request |= member->row.kind == FP_NODE_REQUEST;
		node->first = member->row.first < node->first ? member->row.first : node->first;
	}
	if (name_node(maker, node) < 0)
		return -ENOMEM;
	if (node->kind == FP_NODE_PROCESS || node->kind == FP_NODE_REQUEST)
		return cluster_of_process(maker, node->members[0], &node->cluster);
	return 0;
}

struct root {
	uint32_t node;
	uint64_t first; /* of its whole group */
};

static int compare_roots(const void *a, const void *b)
{
	const struct root *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

/* Numbers the groups in order of time. */
static int number_nodes(struct fp_view_maker *maker)
{
	fp_cleanup(fp_freep) struct root *roots = calloc(maker->n + 1, sizeof(*roots));
	uint32_t n = 0;

	if (!roots)
		return -ENOMEM;
	for (uint32_t i = 0; i < maker->n; i++)
		roots[i] = (struct root){i, UINT64_MAX};
	for (uint32_t i = 0; i < maker->n; i++) {
		uint64_t first = fp_graph_node(maker->graph, i)->row.first;
		struct root *root = &roots[fp_view_group(maker, i)];

		root->first = first < root->first ? first : root->first;
	}
	for (uint32_t i = 0; i < maker->n; i++)
		if (maker->role[i] == FP_VIEW_NODE && fp_view_group(maker, i) == i)
			roots[n++] = roots[i];
	qsort(roots, n, sizeof(*roots), compare_roots);
	for (uint32_t i = 0; i < n; i++)
		maker->view_of[roots[i].node] = i;
	maker->view->n_nodes = n;
	return 0;
}

static int make_nodes(struct fp_view_maker *maker)
{
	struct fp_view *view = maker->view;
	int r = number_nodes(maker);

	if (r < 0)
		return r;
	view->nodes = calloc(view->n_nodes + 1, sizeof(*view->nodes));
	if (!view->nodes)
		return -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < maker->n; i++) {
		struct fp_view_node *node;

		if (maker->role[i] != FP_VIEW_NODE)
			continue;
		node = &view->nodes[maker->view_of[fp_view_group(maker, i)]];
		r = fp_view_list_add(&node->members, &node->n_members, &node->members_size, i);
	}
	for (size_t i = 0; r == 0 && i < view->n_nodes; i++)
		r = finish_node(maker, &view->nodes[i]);
	return r;
}

/* Files of the image go to each process that used them, dead ends to the one that wrote them. */
static int give(struct fp_view_maker *maker, uint32_t node)
{
	bool file = maker->role[node] == FP_VIEW_IMAGE;
	const uint32_t *edges;
	ssize_t n = file ? fp_graph_edges_out_of(maker->graph, node, &edges) :
			   fp_graph_edges_into(maker->graph, node, &edges);

	for (ssize_t i = 0; i < n; i++) {
		const struct fp_graph_edge *edge = fp_view_edge_at(maker, edges[i]);
		uint32_t process = fp_view_group(maker, file ? edge->to : edge->from);
		struct fp_view_node *to = &maker->view->nodes[maker->view_of[process]];

		if (!file)
			to->dead_bytes += edge->row.bytes;
		if (file && (to->n_files == 0 || to->files[to->n_files - 1] != node) &&
		    fp_view_list_add(&to->files, &to->n_files, &to->files_size, node) < 0)
			return -ENOMEM;
		if (!file && (to->n_dead == 0 || to->dead[to->n_dead - 1] != node) &&
		    fp_view_list_add(&to->dead, &to->n_dead, &to->dead_size, node) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int give_files(struct fp_view_maker *maker)
{
	for (uint32_t i = 0; i < maker->n; i++) {
		if (maker->role[i] != FP_VIEW_IMAGE && maker->role[i] != FP_VIEW_DEAD_END)
			continue;
		maker->view->n_files += maker->role[i] == FP_VIEW_IMAGE;
		if (give(maker, i) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* --- edges ---------------------------------------------------------------- */

static int add_edge(struct fp_view_maker *maker, const struct fp_view_edge *edge)
{
	struct fp_view *view = maker->view;

	if (edge->from == edge->to)
		return 0;
	if (!FP_ARRAY_ROOM(view->edges, view->n_edges, maker->edges_size))
		return -ENOMEM;
	view->edges[view->n_edges++] = *edge;
	return 0;
}

static struct fp_view_edge edge_of(struct fp_view_maker *maker, const struct fp_graph_edge *edge)
{
	const struct fp_store_edge *row = &edge->row;

	return (struct fp_view_edge){
		.from = maker->view_of[fp_view_group(maker, edge->from)],
		.to = maker->view_of[fp_view_group(maker, edge->to)],
		.kinds = 1u << row->kind,
		.first = row->first,
		.last = row->last,
		.count = row->count,
		.bytes = row->bytes,
		.attribution = row->attribution,
		.rules = 1u << row->rule,
		.candidates = row->attribution == FP_ATTRIBUTION_AMBIGUOUS ? row->candidates : NULL,
		.possible = fp_graph_possible(row->id),
		.slices = edge->slices,
		.n = 1,
		.sample = row,
	};
}

/* One edge for all that goes from one end of the wire to another. */
static int add_wire_between(struct fp_view_maker *maker, uint32_t wire, uint32_t from, uint32_t to)
{
	const uint32_t *into, *out_of;
	ssize_t n_into = fp_graph_edges_into(maker->graph, wire, &into);
	ssize_t n_out = fp_graph_edges_out_of(maker->graph, wire, &out_of);
	struct fp_view_edge made = {.n = 0};
	uint64_t in_bytes = 0, in_count = 0, first;

	for (ssize_t i = 0; i < n_into; i++) {
		const struct fp_graph_edge *edge = fp_view_edge_at(maker, into[i]);

		if (edge->from != from)
			continue;
		fp_view_add_to_edge(&made, &(struct fp_view_edge[]){edge_of(maker, edge)}[0]);
		in_bytes += edge->row.bytes;
		in_count += edge->row.count;
	}
	first = made.first;
	for (ssize_t i = 0; i < n_out; i++) {
		const struct fp_graph_edge *edge = fp_view_edge_at(maker, out_of[i]);

		if (edge->to == to)
			fp_view_add_to_edge(&made, &(struct fp_view_edge[]){edge_of(maker, edge)}[0]);
	}
	/* What went in and came out is the same bytes: as many as came out, when that is known. */
	made.bytes = made.bytes > in_bytes ? made.bytes - in_bytes : in_bytes;
	made.count = made.count > in_count ? made.count - in_count : in_count;
	made.first = first;
	made.from = maker->view_of[fp_view_group(maker, from)];
	made.to = maker->view_of[fp_view_group(maker, to)];
	return add_edge(maker, &made);
}

/* The edge is the first of the list with this end. */
static bool is_first_with_end(const struct fp_view_maker *maker, const uint32_t *edges, ssize_t i, bool from)
{
	const struct fp_graph_edge *edge = fp_view_edge_at(maker, edges[i]);

	for (ssize_t j = 0; j < i; j++) {
		const struct fp_graph_edge *other = fp_view_edge_at(maker, edges[j]);

		if (from ? other->from == edge->from : other->to == edge->to)
			return false;
	}
	return true;
}

static int add_wire(struct fp_view_maker *maker, uint32_t node)
{
	const uint32_t *into, *out_of;
	ssize_t n_into = fp_graph_edges_into(maker->graph, node, &into);
	ssize_t n_out = fp_graph_edges_out_of(maker->graph, node, &out_of);

	for (ssize_t i = 0; i < n_into; i++)
		for (ssize_t j = 0; j < n_out && is_first_with_end(maker, into, i, true); j++)
			if (is_first_with_end(maker, out_of, j, false) &&
			    add_wire_between(maker, node, fp_view_edge_at(maker, into[i])->from,
					     fp_view_edge_at(maker, out_of[j])->to) < 0)
				return -ENOMEM;
	return 0;
}

static int make_edges(struct fp_view_maker *maker)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < fp_graph_edges(maker->graph); i++) {
		const struct fp_graph_edge *edge = fp_graph_edge(maker->graph, i);

		if (maker->role[edge->from] == FP_VIEW_NODE && maker->role[edge->to] == FP_VIEW_NODE)
			r = add_edge(maker, &(struct fp_view_edge[]){edge_of(maker, edge)}[0]);
	}
	for (uint32_t i = 0; r == 0 && i < maker->n; i++)
		if (maker->role[i] == FP_VIEW_WIRE)
			r = add_wire(maker, i);
	return r;
}

/* --- clusters ------------------------------------------------------------- */

static int make_clusters(struct fp_view_maker *maker)
{
	const struct fp_requests *requests = &maker->answer->requests;
	struct fp_view *view = maker->view;

	view->n_clusters = requests->n;
	view->clusters = calloc(requests->n + 1, sizeof(*view->clusters));
	if (!view->clusters)
		return -ENOMEM;
	for (size_t i = 0; i < requests->n; i++) {
		size_t root = fp_requests_root(requests, i);
		ssize_t parent = requests->rows[i].has_parent ? fp_requests_find(requests, requests->rows[i].parent) : -1;
		/* Damaged rows may call each other in a circle. */
		bool circle = fp_requests_root(requests, root) != root;

		view->clusters[i] = (struct fp_view_cluster){
			.request = (ssize_t)i,
			.root = circle ? i : root,
			.parent = circle || parent < 0 ? FP_NO_CLUSTER : (size_t)parent,
			.asked = fp_requests_find(&maker->answer->asked, requests->rows[i].id) >= 0,
		};
	}
	return 0;
}

/* What only one request touches stands in it; links, clients, hosts and objects stand between. */
static void place_rest(struct fp_view *view)
{
	for (size_t i = 0; i < view->n_edges; i++) {
		const uint32_t ends[2] = {view->edges[i].from, view->edges[i].to};

		for (size_t j = 0; j < 2; j++) {
			struct fp_view_node *node = &view->nodes[ends[j]];
			const struct fp_view_node *other = &view->nodes[ends[1 - j]];
			bool inside = node->kind == FP_NODE_FILE || node->kind == FP_NODE_PIPE ||
				      node->kind == FP_NODE_SOCKET;

			if (!inside || node->link || other->kind != FP_NODE_PROCESS)
				continue;
			if (node->cluster == FP_NO_CLUSTER)
				node->cluster = other->cluster;
			else if (node->cluster != other->cluster)
				node->link = true; /* for now: shared by two */
		}
	}
	for (size_t i = 0; i < view->n_nodes; i++) {
		struct fp_view_node *node = &view->nodes[i];

		if (node->link && node->kind != FP_NODE_PROCESS)
			node->cluster = FP_NO_CLUSTER;
		node->link = node->n_members > 0 && view->answer->link[node->members[0]];
	}
}

/* --- life ----------------------------------------------------------------- */

static int make(struct fp_view_maker *maker)
{
	int r = make_clusters(maker);

	if (r == 0)
		r = fp_view_find_roles(maker);
	if (r == 0)
		r = make_nodes(maker);
	if (r == 0)
		r = give_files(maker);
	if (r == 0)
		r = make_edges(maker);
	if (r == 0) {
		fp_view_merge_edges(maker->view);
		place_rest(maker->view);
	}
	return r;
}

int fp_view_new(const struct fp_answer *answer, size_t max_nodes, struct fp_view **ret_view)
{
	fp_cleanup(fp_view_freep) struct fp_view *view = calloc(1, sizeof(*view));
	size_t n = fp_graph_nodes(answer->graph);
	struct fp_view_maker maker = {.answer = answer, .graph = answer->graph, .view = view, .n = (uint32_t)n};
	int r = -ENOMEM;

	if (!view)
		return -ENOMEM;
	view->answer = answer;
	maker.role = calloc(n + 1, sizeof(*maker.role));
	maker.group = calloc(n + 1, sizeof(*maker.group));
	maker.view_of = calloc(n + 1, sizeof(*maker.view_of));
	for (uint32_t i = 0; maker.group && i < n; i++)
		maker.group[i] = i;
	if (maker.role && maker.group && maker.view_of)
		r = make(&maker);
	if (r == 0 && max_nodes > 0 && view->n_nodes > max_nodes)
		r = fp_view_fold(view, max_nodes);
	free(maker.role);
	free(maker.group);
	free(maker.view_of);
	if (r < 0)
		return r;
	for (size_t i = 0; i < view->n_nodes; i++)
		if (view->nodes[i].cluster != FP_NO_CLUSTER)
			view->clusters[view->nodes[i].cluster].n_nodes++;
	*ret_view = view;
	view = NULL;
	return 0;
}

struct fp_view *fp_view_free(struct fp_view *view)
{
	if (!view)
		return NULL;
	for (size_t i = 0; i < view->n_nodes; i++) {
		free(view->nodes[i].label);
		free(view->nodes[i].members);
		free(view->nodes[i].files);
		free(view->nodes[i].dead);
	}
	free(view->nodes);
	free(view->edges);
	free(view->clusters);
	free(view);
	return NULL;
}

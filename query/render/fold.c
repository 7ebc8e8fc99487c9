/* Makes a view small enough; view.h says in which order. */
#include <errno.h>
#include <string.h>

#include "base/buffer.h"
#include "query/render/view_make.h"

/* Of folding what is alike; later ones find next to nothing. */
#define ROUNDS 6

/* A pair of (what must be alike, node). */
struct likeness {
	char *data; /* compared as bytes; NULL: like nothing else */
	size_t len;
	uint32_t node;
};

struct folder {
	struct fp_view *view;
	size_t max_nodes;
	uint32_t *into; /* by node: which node it becomes one with; itself */
	uint32_t *distance; /* from what was asked about, in edges */
	bool *folds; /* by node: is made of several, and needs a new label */
};

static bool enough(const struct folder *folder)
{
	return folder->view->n_nodes <= folder->max_nodes;
}

/* What the answer is about is not folded away. */
static bool is_kept(const struct fp_view *view, const struct fp_view_node *node)
{
	return node->link || node->kind == FP_NODE_GAP || node->kind == FP_NODE_FINDING ||
	       (node->cluster != FP_NO_CLUSTER && view->clusters[node->cluster].asked && node->request);
}

/* --- applying ------------------------------------------------------------- */

static const char *kind_name(const struct fp_view_node *node, size_t n)
{
	static const struct {
		enum fp_node_kind kind;
		const char *one, *many;
	} names[] = {
		{FP_NODE_CLIENT, "client", "clients"},	 {FP_NODE_REQUEST, "request", "requests"},
		{FP_NODE_PROCESS, "process", "processes"}, {FP_NODE_FILE, "file", "files"},
		{FP_NODE_SOCKET, "socket", "sockets"},	 {FP_NODE_PIPE, "pipe", "pipes"},
		{FP_NODE_OBJECT, "object", "objects"},	 {FP_NODE_HOST, "host", "hosts"},
		{FP_NODE_GAP, "gap", "gaps"},		 {FP_NODE_FINDING, "finding", "findings"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].kind == node->kind)
			return n == 1 ? names[i].one : names[i].many;
	return n == 1 ? "node" : "nodes";
}

/* Takes over what another node stands for. */
static int absorb(struct fp_view_node *into, struct fp_view_node *node)
{
	for (size_t i = 0; i < node->n_members; i++)
		if (fp_view_list_add(&into->members, &into->n_members, &into->members_size, node->members[i]) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < node->n_files; i++)
		if (fp_view_list_add(&into->files, &into->n_files, &into->files_size, node->files[i]) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < node->n_dead; i++)
		if (fp_view_list_add(&into->dead, &into->n_dead, &into->dead_size, node->dead[i]) < 0)
			return -ENOMEM;
	into->dead_bytes += node->dead_bytes;
	into->first = node->first < into->first ? node->first : into->first;
	into->start |= node->start;
	into->link |= node->link;
	into->request |= node->request;
	into->folded = true;
	if (into->cluster != node->cluster)
		into->cluster = FP_NO_CLUSTER;
	free(node->label);
	free(node->members);
	free(node->files);
	free(node->dead);
	*node = (struct fp_view_node){0};
	return 0;
}

/* Writes what a group is called: `groups` nodes of the view, `nodes` of the graph. */
typedef void (*name_fn)(const struct fp_view *view, const struct fp_view_node *node, size_t groups, size_t nodes,
			struct fp_buffer *label);

static void name_leaves(const struct fp_view *view, const struct fp_view_node *node, size_t groups, size_t nodes,
			struct fp_buffer *label)
{
	fp_buffer_add_format(label, "%zu %s", nodes, kind_name(node, nodes));
}

static const char *program_of(const struct fp_view *view, const struct fp_view_node *node)
{
	return fp_graph_node(view->answer->graph, node->members[0])->row.label;
}

/* Programs of one name keep it. */
static void name_alike(const struct fp_view *view, const struct fp_view_node *node, size_t groups, size_t nodes,
		       struct fp_buffer *label)
{
	const char *name = program_of(view, node);

	if (node->kind == FP_NODE_PROCESS && !node->folded && name)
		fp_buffer_add_format(label, "%zu × %s", groups, name);
	else
		name_leaves(view, node, groups, nodes, label);
}

static void name_rest(const struct fp_view *view, const struct fp_view_node *node, size_t groups, size_t nodes,
		      struct fp_buffer *label)
{
	fp_buffer_add_format(label, "%zu more nodes", nodes);
}

static const char *function_of(const struct fp_view *view, size_t cluster)
{
	const struct fp_store_node *sample = cluster == FP_NO_CLUSTER ? NULL : view->clusters[cluster].sample;

	return sample && sample->function ? sample->function : "unknown function";
}

static void name_unit(const struct fp_view *view, const struct fp_view_node *node, size_t groups, size_t nodes,
		      struct fp_buffer *label)
{
	fp_buffer_add_format(label, "%s: %zu nodes", function_of(view, node->cluster), nodes);
}

static void name_functions(const struct fp_view *view, const struct fp_view_node *node, size_t groups, size_t nodes,
			   struct fp_buffer *label)
{
	fp_buffer_add_format(label, "%s: %zu requests, %zu nodes", function_of(view, node->cluster), groups, nodes);
}

static int name_groups(struct folder *folder, name_fn name)
{
	struct fp_view *view = folder->view;
	fp_cleanup(fp_freep) size_t *groups = calloc(view->n_nodes + 1, sizeof(*groups));
	fp_cleanup(fp_freep) size_t *nodes = calloc(view->n_nodes + 1, sizeof(*nodes));

	if (!groups || !nodes)
		return -ENOMEM;
	for (size_t i = 0; i < view->n_nodes; i++) {
		groups[folder->into[i]]++;
		nodes[folder->into[i]] += view->nodes[i].n_members;
	}
	for (size_t i = 0; i < view->n_nodes; i++) {
		fp_cleanup(fp_buffer_done) struct fp_buffer label = FP_BUFFER_INIT;

		if (groups[i] < 2)
			continue;
		name(view, &view->nodes[i], groups[i], nodes[i], &label);
		if (fp_buffer_error(&label) < 0)
			return -ENOMEM;
		free(view->nodes[i].label);
		view->nodes[i].label = label.data;
		label.data = NULL;
	}
	return 0;
}

/* Nodes become one as `into` says, under a new name; numbers close up, edges follow. */
static int apply(struct folder *folder, name_fn name)
{
	struct fp_view *view = folder->view;
	fp_cleanup(fp_freep) uint32_t *number = calloc(view->n_nodes + 1, sizeof(*number));
	uint32_t n = 0;

	if (!number || name_groups(folder, name) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < view->n_nodes; i++)
		if (folder->into[i] != i) {
			if (absorb(&view->nodes[folder->into[i]], &view->nodes[i]) < 0)
				return -ENOMEM;
			view->n_folded++;
		}
	for (uint32_t i = 0; i < view->n_nodes; i++)
		if (folder->into[i] == i) {
			number[i] = n;
			folder->distance[n] = folder->distance[i];
			view->nodes[n++] = view->nodes[i];
		}
	for (size_t i = 0; i < view->n_edges; i++) {
		view->edges[i].from = number[folder->into[view->edges[i].from]];
		view->edges[i].to = number[folder->into[view->edges[i].to]];
	}
	view->n_nodes = n;
	fp_view_merge_edges(view);
	return 0;
}

static void start_round(struct folder *folder)
{
	for (uint32_t i = 0; i < folder->view->n_nodes; i++)
		folder->into[i] = i;
}

/* --- alike and leaves ----------------------------------------------------- */

static int compare_likeness(const void *a, const void *b)
{
	const struct likeness *x = a, *y = b;
	int r;

	if (!x->data || !y->data)
		return !x->data - !y->data;
	r = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);
	if (r != 0)
		return r;
	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return x->node < y->node ? -1 : x->node > y->node;
}

struct end {
	uint32_t node, other, kinds, out;
};

static int compare_ends(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	for (size_t i = 0; i < sizeof(struct end) / sizeof(*x); i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

/* Both ends of all edges, those of one node together. */
static struct end *ends_of(const struct fp_view *view)
{
	struct end *ends = malloc((2 * view->n_edges + 1) * sizeof(*ends));

	for (size_t i = 0; ends && i < view->n_edges; i++) {
		const struct fp_view_edge *edge = &view->edges[i];

		ends[2 * i] = (struct end){edge->from, edge->to, edge->kinds, 1};
		ends[2 * i + 1] = (struct end){edge->to, edge->from, edge->kinds, 0};
	}
	if (ends)
		qsort(ends, 2 * view->n_edges, sizeof(*ends), compare_ends);
	return ends;
}

/*
 * What makes two nodes alike: kind, request, program, and all neighbours with
 * what is done; for leaves only the one neighbour.
 */
static int describe(const struct fp_view *view, uint32_t node, const struct end *ends, size_t n, bool leaf,
		    struct likeness *ret_likeness)
{
	const struct fp_view_node *row = &view->nodes[node];
	fp_cleanup(fp_buffer_done) struct fp_buffer text = FP_BUFFER_INIT;

	*ret_likeness = (struct likeness){.node = node};
	if (is_kept(view, row) || (leaf && n > 0 && ends[0].other != ends[n - 1].other))
		return 0;
	fp_buffer_add(&text, &row->kind, sizeof(row->kind));
	fp_buffer_add(&text, &row->cluster, sizeof(row->cluster));
	for (size_t i = 0; i < n; i++) {
		fp_buffer_add(&text, &ends[i].other, sizeof(ends[i].other));
		if (leaf)
			break;
		fp_buffer_add(&text, &ends[i].kinds, 2 * sizeof(uint32_t));
	}
	if (row->kind == FP_NODE_PROCESS && !leaf)
		fp_buffer_add_text(&text, row->folded || !program_of(view, row) ? row->label : program_of(view, row));
	if (fp_buffer_error(&text) < 0)
		return -ENOMEM;
	ret_likeness->data = text.data;
	ret_likeness->len = text.len;
	text.data = NULL;
	return 0;
}

static int fold_alike(struct folder *folder, bool leaf)
{
	struct fp_view *view = folder->view;
	fp_cleanup(fp_freep) struct end *ends = ends_of(view);
	fp_cleanup(fp_freep) struct likeness *list = calloc(view->n_nodes + 1, sizeof(*list));
	size_t n = view->n_nodes, n_ends = 2 * view->n_edges, at = 0;
	int r = ends && list ? 0 : -ENOMEM;

	if (r < 0)
		return r;
	start_round(folder);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		size_t begin = at;

		while (at < n_ends && ends[at].node == i)
			at++;
		r = describe(view, i, ends + begin, at - begin, leaf, &list[i]);
	}
	if (r == 0)
		qsort(list, n, sizeof(*list), compare_likeness);
	for (size_t i = 1, first = 0; r == 0 && i < n && list[i].data; i++) {
		if (list[i].len != list[first].len || memcmp(list[i].data, list[first].data, list[i].len) != 0)
			first = i;
		folder->into[list[i].node] = list[first].node;
	}
	for (size_t i = 0; i < n; i++)
		free(list[i].data);
	return r < 0 ? r : apply(folder, leaf ? name_leaves : name_alike);
}

/* --- units ---------------------------------------------------------------- */

/* Breadth first over edges in both directions, from what was asked about. */
static int find_distances(struct folder *folder)
{
	struct fp_view *view = folder->view;
	fp_cleanup(fp_freep) struct end *ends = ends_of(view);
	fp_cleanup(fp_freep) uint32_t *queue = calloc(view->n_nodes + 1, sizeof(*queue));
	fp_cleanup(fp_freep) size_t *offset = calloc(view->n_nodes + 2, sizeof(*offset));
	size_t head = 0, tail = 0;

	if (!ends || !queue || !offset)
		return -ENOMEM;
	for (size_t i = 0; i < 2 * view->n_edges; i++)
		offset[ends[i].node + 1]++;
	for (size_t i = 0; i < view->n_nodes; i++) {
		offset[i + 1] += offset[i];
		folder->distance[i] = view->nodes[i].start ? 0 : UINT32_MAX;
		if (view->nodes[i].start)
			queue[tail++] = (uint32_t)i;
	}
	while (head < tail) {
		uint32_t node = queue[head++];

		for (size_t i = offset[node]; i < offset[node + 1]; i++)
			if (folder->distance[ends[i].other] == UINT32_MAX) {
				folder->distance[ends[i].other] = folder->distance[node] + 1;
				queue[tail++] = ends[i].other;
			}
	}
	return 0;
}

struct unit {
	size_t cluster, nodes;
	uint32_t first, distance; /* of its nearest node */
	bool linked; /* changed or used what links requests */
};

static int compare_units(const void *a, const void *b)
{
	const struct unit *x = a, *y = b;

	if (x->distance != y->distance)
		return x->distance > y->distance ? -1 : 1;
	return x->cluster < y->cluster ? -1 : x->cluster > y->cluster;
}

/* By cluster: its nodes that may be folded. */
static struct unit *units_of(const struct folder *folder)
{
	const struct fp_view *view = folder->view;
	struct unit *units = calloc(view->n_clusters + 1, sizeof(*units));

	for (size_t i = 0; units && i < view->n_clusters; i++)
		units[i] = (struct unit){.cluster = i, .distance = UINT32_MAX};
	for (uint32_t i = 0; units && i < view->n_nodes; i++) {
		size_t cluster = view->nodes[i].cluster;

		if (cluster == FP_NO_CLUSTER || view->nodes[i].link)
			continue;
		if (units[cluster].nodes++ == 0)
			units[cluster].first = i;
		if (folder->distance[i] < units[cluster].distance)
			units[cluster].distance = folder->distance[i];
	}
	for (size_t i = 0; units && i < view->n_edges; i++) {
		const struct fp_view_node *from = &view->nodes[view->edges[i].from], *to = &view->nodes[view->edges[i].to];

		if (to->link && from->cluster != FP_NO_CLUSTER)
			units[from->cluster].linked = true;
		if (from->link && to->cluster != FP_NO_CLUSTER)
			units[to->cluster].linked = true;
	}
	return units;
}

/* As many units as needed become one node each, furthest first; those at links only when they must. */
static int fold_units(struct folder *folder, bool linked)
{
	struct fp_view *view = folder->view;
	fp_cleanup(fp_freep) struct unit *units = units_of(folder);
	fp_cleanup(fp_freep) uint32_t *target = malloc((view->n_clusters + 1) * sizeof(*target));
	size_t left = view->n_nodes;

	if (!units || !target)
		return -ENOMEM;
	qsort(units, view->n_clusters, sizeof(*units), compare_units);
	memset(target, 0xff, view->n_clusters * sizeof(*target));
	for (size_t i = 0; i < view->n_clusters && left > folder->max_nodes; i++) {
		if (units[i].nodes < 2 || view->clusters[units[i].cluster].asked || (units[i].linked && !linked))
			continue;
		target[units[i].cluster] = units[i].first;
		left -= units[i].nodes - 1;
	}
	start_round(folder);
	for (uint32_t i = 0; i < view->n_nodes; i++) {
		size_t cluster = view->nodes[i].cluster;

		if (cluster != FP_NO_CLUSTER && !view->nodes[i].link && target[cluster] != UINT32_MAX)
			folder->into[i] = target[cluster];
	}
	return apply(folder, name_unit);
}

static int compare_functions(const void *a, const void *b, void *arg)
{
	const struct unit *x = a, *y = b;
	int r = strcmp(function_of(arg, x->cluster), function_of(arg, y->cluster));

	if (r != 0)
		return r;
	return x->first < y->first ? -1 : x->first > y->first;
}

/* Units of one function that are one node each become one; those at links only when they must. */
static int fold_functions(struct folder *folder, bool linked)
{
	struct fp_view *view = folder->view;
	fp_cleanup(fp_freep) struct unit *units = units_of(folder);
	size_t n = 0;

	if (!units)
		return -ENOMEM;
	for (size_t i = 0; i < view->n_clusters; i++)
		if (units[i].nodes == 1 && !view->clusters[i].asked && (linked || !units[i].linked))
			units[n++] = units[i];
	qsort_r(units, n, sizeof(*units), compare_functions, view);
	start_round(folder);
	for (size_t i = 1, first = 0; i < n; i++) {
		if (strcmp(function_of(view, units[i].cluster), function_of(view, units[first].cluster)) != 0)
			first = i;
		folder->into[units[i].first] = units[first].first;
	}
	return apply(folder, name_functions);
}

/* --- rest ----------------------------------------------------------------- */

struct remote {
	uint32_t node, distance;
	bool kept;
};

static int compare_remote(const void *a, const void *b)
{
	const struct remote *x = a, *y = b;

	if (x->kept != y->kept)
		return x->kept ? 1 : -1;
	if (x->distance != y->distance)
		return x->distance > y->distance ? -1 : 1;
	return x->node > y->node ? -1 : x->node < y->node;
}

static int fold_rest(struct folder *folder)
{
	struct fp_view *view = folder->view;
	fp_cleanup(fp_freep) struct remote *list = calloc(view->n_nodes + 1, sizeof(*list));
	size_t many = view->n_nodes - folder->max_nodes + 1;
	uint32_t into;

	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < view->n_nodes; i++)
		list[i] = (struct remote){i, folder->distance[i], is_kept(view, &view->nodes[i])};
	qsort(list, view->n_nodes, sizeof(*list), compare_remote);
	start_round(folder);
	into = list[0].node;
	for (size_t i = 0; i < many && i < view->n_nodes; i++)
		into = list[i].node < into ? list[i].node : into;
	for (size_t i = 0; i < many && i < view->n_nodes; i++)
		folder->into[list[i].node] = into;
	view->nodes[into].kind = FP_NODE_OBJECT; /* of no one kind */
	return apply(folder, name_rest);
}

int fp_view_fold(struct fp_view *view, size_t max_nodes)
{
	struct folder folder = {
		.view = view,
		.max_nodes = max_nodes,
		.into = calloc(view->n_nodes + 1, sizeof(uint32_t)),
		.distance = calloc(view->n_nodes + 1, sizeof(uint32_t)),
	};
	int r = folder.into && folder.distance ? find_distances(&folder) : -ENOMEM;

	/* Nodes that become one may make their neighbours alike. */
	for (unsigned round = 0; r == 0 && round < ROUNDS && !enough(&folder); round++)
		r = fold_alike(&folder, round % 2);
	for (unsigned linked = 0; r == 0 && linked < 2 && !enough(&folder); linked++) {
		r = fold_units(&folder, linked);
		if (r == 0 && !enough(&folder))
			r = fold_functions(&folder, linked);
		/* Who called units that are one now is alike. */
		for (unsigned round = 0; r == 0 && round < 2; round++)
			r = fold_alike(&folder, round);
	}
	if (r == 0 && !enough(&folder))
		r = fold_rest(&folder);
	free(folder.into);
	free(folder.distance);
	return r;
}

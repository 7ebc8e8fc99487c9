#include "query/report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "query/attributes.h"
#include "query/clean.h"
#include "query/report_make.h"
#include "query/words.h"

void fp_report_add(struct fp_report *report, const char *text)
{
	fp_buffer_add_text(&report->out, text);
}

void fp_report_spaces(struct fp_report *report, size_t n)
{
	fp_buffer_add_format(&report->out, "%*s", (int)n, "");
}

/* Fills up to a column, counted from `start` in the text. */
void fp_report_pad(struct fp_report *report, size_t start, size_t columns)
{
	size_t have = fp_clean_columns(report->out.data + start);

	fp_report_spaces(report, have < columns ? columns - have : 1);
}

void fp_report_time(struct fp_report *report, uint64_t time)
{
	size_t start = report->out.len;

	fp_words_offset(&report->out, report->answer->origin, time);
	fp_report_pad(report, start, FP_REPORT_TIME);
}

void fp_report_name(struct fp_report *report, const struct fp_view_node *node)
{
	if (node->link)
		fp_report_add(report, FP_STAR " ");
	if (node->kind == FP_NODE_REQUEST)
		fp_report_add(report, "request ");
	fp_clean_add(&report->out, node->label, FP_REPORT_COLUMNS);
}

void fp_report_details(struct fp_report *report, const struct fp_view_edge *edge)
{
	fp_report_add(report, "  ");
	fp_words_attribution(&report->out, edge);
	if (edge->candidates) {
		fp_report_add(report, ", one of ");
		fp_words_candidates(&report->out, edge->candidates);
	}
}

/* A name; what is of another request than the section says of which function it is. */
static void add_end(struct fp_report *report, const struct fp_view_node *node, size_t cluster)
{
	const struct fp_store_node *sample;

	fp_report_name(report, node);
	if (node->cluster == FP_NO_CLUSTER || node->cluster == cluster)
		return;
	sample = report->view->clusters[node->cluster].sample;
	if (!sample || !sample->function)
		return;
	fp_report_add(report, " of ");
	fp_clean_add(&report->out, sample->function, FP_REPORT_COLUMNS);
}

/* "+1.204s   curl[45] --write--> ★ /home/app/x.sh (812 B, 3 times)  exact" */
static void add_relation(struct fp_report *report, const struct fp_view_edge *edge, size_t cluster, size_t indent)
{
	const struct fp_view *view = report->view;

	fp_report_spaces(report, indent);
	if (edge->possible)
		fp_report_pad(report, report->out.len, FP_REPORT_TIME);
	else
		fp_report_time(report, edge->first);
	add_end(report, &view->nodes[edge->from], cluster);
	fp_report_add(report, edge->possible ? " - - " : " --");
	fp_words_kinds(&report->out, edge->kinds);
	fp_report_add(report, edge->possible ? " - -> " : "--> ");
	add_end(report, &view->nodes[edge->to], cluster);
	if (edge->bytes > 0 || edge->count > 1) {
		fp_report_add(report, " (");
		if (edge->bytes > 0)
			fp_words_bytes(&report->out, edge->bytes);
		if (edge->count > 1)
			fp_buffer_add_format(&report->out, "%s%" PRIu64 " times", edge->bytes > 0 ? ", " : "", edge->count);
		fp_report_add(report, ")");
	}
	fp_report_details(report, edge);
	fp_report_add(report, "\n");
}

/* --- sections ------------------------------------------------------------- */

static void add_process(struct fp_report *report, const struct fp_view_node *node, size_t indent)
{
	const struct fp_store_node *row = &fp_graph_node(report->answer->graph, node->members[0])->row;
	fp_cleanup(fp_buffer_done) struct fp_buffer argv = FP_BUFFER_INIT, failures = FP_BUFFER_INIT, mover = FP_BUFFER_INIT;
	fp_cleanup(fp_buffer_done) struct fp_buffer left = FP_BUFFER_INIT, remover = FP_BUFFER_INIT;

	fp_attribute_text(row->attributes, "argv", &argv);
	fp_words_failures(&failures, row->attributes);
	fp_attribute_text(row->attributes, "moved_by", &mover);
	fp_attribute_text(row->attributes, "left_to", &left);
	fp_attribute_text(row->attributes, "left_by", &remover);
	if ((argv.len == 0 && left.len == 0 && node->n_files == 0 && node->n_dead == 0 && failures.len == 0 && mover.len == 0) || node->folded)
		return;
	fp_report_spaces(report, indent);
	fp_report_name(report, node);
	if (argv.len > 0) {
		fp_report_add(report, " is  ");
		fp_clean_add(&report->out, argv.data, 160);
	}
	fp_report_add(report, "\n");
	if (mover.len > 0) {
		fp_report_spaces(report, indent + 4);
		fp_report_add(report, "came from another cgroup, moved by ");
		fp_clean_add(&report->out, mover.data, FP_REPORT_COLUMNS);
		fp_buffer_add_format(&report->out, " [%" PRId64 "]\n",
				     fp_attribute_number(row->attributes, "moved_by_pid", 0));
	}
	if (left.len > 0) {
		fp_report_spaces(report, indent + 4);
		fp_report_add(report, "was moved out of what is recorded, to ");
		fp_clean_add(&report->out, left.data, FP_REPORT_COLUMNS);
		fp_report_add(report, ", by ");
		fp_clean_add(&report->out, remover.data, FP_REPORT_COLUMNS);
		fp_buffer_add_format(&report->out, " [%" PRId64 "]: what it did there is not seen\n",
				     fp_attribute_number(row->attributes, "left_by_pid", 0));
	}
	if (failures.len > 0) {
		fp_report_spaces(report, indent + 4);
		fp_buffer_add_format(&report->out, "failed: %s\n", failures.data);
	}
	if (node->n_dead > 0) {
		fp_report_spaces(report, indent + 4);
		fp_words_dead_ends(&report->out, node);
		fp_report_add(report, "\n");
	}
	if (node->n_files == 0)
		return;
	fp_report_spaces(report, indent + 4);
	fp_buffer_add_format(&report->out, "used %zu file%s of the image: ", node->n_files, node->n_files == 1 ? "" : "s");
	fp_words_files(&report->out, report->view, node, 4, 40);
	fp_report_add(report, "\n");
}

static void cluster_title(struct fp_report *report, size_t index, size_t indent)
{
	const struct fp_view_cluster *cluster = &report->view->clusters[index];
	const struct fp_store_node *sample = cluster->sample;

	fp_report_spaces(report, indent);
	if (cluster->request >= 0) {
		const struct fp_store_request *request = &report->answer->requests.rows[cluster->request];

		fp_report_add(report, "request ");
		fp_words_id(&report->out, request->id);
		fp_report_add(report, "  ");
		fp_words_request(&report->out, request, FP_REPORT_COLUMNS);
		if (request->status >= 0)
			fp_buffer_add_format(&report->out, "  status %" PRId64, request->status);
	} else {
		fp_clean_add(&report->out, sample->function ? sample->function : "host", FP_REPORT_COLUMNS);
		fp_buffer_add_format(&report->out, ", %s", fp_words_unit(sample));
	}
	if (sample && sample->instance) {
		fp_report_add(report, "  instance ");
		fp_clean_add(&report->out, sample->instance, FP_REPORT_COLUMNS);
	}
	if (sample && sample->host) {
		fp_report_add(report, " on ");
		fp_clean_add(&report->out, sample->host, FP_REPORT_COLUMNS);
	}
	fp_report_add(report, cluster->asked ? "   <-- asked about\n" : "\n");
}

/* The section that an edge is told in. */
static size_t cluster_of_edge(const struct fp_report *report, const struct fp_view_edge *edge)
{
	const struct fp_view_node *from = &report->view->nodes[edge->from], *to = &report->view->nodes[edge->to];

	if (from->cluster == FP_NO_CLUSTER && to->cluster != FP_NO_CLUSTER)
		return to->cluster;
	return report->home[edge->from];
}

struct item {
	size_t cluster;
	uint32_t index; /* of an edge, or of a node */
};

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->cluster != y->cluster)
		return x->cluster < y->cluster ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* What each section tells, in order; and which requests it is followed by. */
struct contents {
	struct item *edges, *nodes;
	size_t n_edges, n_nodes;
	size_t *first_child, *next_sibling; /* by cluster; FP_NO_CLUSTER: none */
	bool *shown; /* by cluster: it or one it called has something to tell */
};

static void contents_done(struct contents *contents)
{
	free(contents->edges);
	free(contents->nodes);
	free(contents->first_child);
	free(contents->next_sibling);
	free(contents->shown);
}

static int contents_make(const struct fp_report *report, struct contents *ret_contents)
{
	const struct fp_view *view = report->view;
	struct contents made = {
		.edges = calloc(view->n_edges + 1, sizeof(*made.edges)),
		.nodes = calloc(view->n_nodes + 1, sizeof(*made.nodes)),
		.n_edges = view->n_edges,
		.n_nodes = view->n_nodes,
		.first_child = malloc((view->n_clusters + 1) * sizeof(size_t)),
		.next_sibling = malloc((view->n_clusters + 1) * sizeof(size_t)),
		.shown = calloc(view->n_clusters + 1, sizeof(bool)),
	};

	*ret_contents = made;
	if (!made.edges || !made.nodes || !made.first_child || !made.next_sibling || !made.shown)
		return -ENOMEM;
	for (uint32_t i = 0; i < view->n_edges; i++)
		made.edges[i] = (struct item){cluster_of_edge(report, &view->edges[i]), i};
	for (uint32_t i = 0; i < view->n_nodes; i++)
		made.nodes[i] = (struct item){view->nodes[i].cluster, i};
	qsort(made.edges, made.n_edges, sizeof(*made.edges), compare_items);
	qsort(made.nodes, made.n_nodes, sizeof(*made.nodes), compare_items);
	memset(made.first_child, 0xff, (view->n_clusters + 1) * sizeof(size_t));
	memset(made.next_sibling, 0xff, (view->n_clusters + 1) * sizeof(size_t));
	for (size_t i = view->n_clusters; i-- > 0;) {
		size_t parent = view->clusters[i].parent;

		if (parent != FP_NO_CLUSTER) {
			made.next_sibling[i] = made.first_child[parent];
			made.first_child[parent] = i;
		}
	}
	for (size_t i = 0; i < view->n_nodes; i++)
		for (size_t cluster = view->nodes[i].cluster; cluster != FP_NO_CLUSTER && !made.shown[cluster];
		     cluster = view->clusters[cluster].parent)
			made.shown[cluster] = true;
	return 0;
}

/* The first item of a cluster. */
static size_t find_item(const struct item *items, size_t n, size_t cluster)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (items[middle].cluster < cluster)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void cluster_section(struct fp_report *report, const struct contents *contents, size_t cluster, size_t indent)
{
	const struct fp_view *view = report->view;

	cluster_title(report, cluster, indent);
	for (size_t i = find_item(contents->nodes, contents->n_nodes, cluster);
	     i < contents->n_nodes && contents->nodes[i].cluster == cluster; i++)
		if (view->nodes[contents->nodes[i].index].kind == FP_NODE_PROCESS)
			add_process(report, &view->nodes[contents->nodes[i].index], indent + 2);
	for (size_t i = find_item(contents->edges, contents->n_edges, cluster);
	     i < contents->n_edges && contents->edges[i].cluster == cluster; i++)
		add_relation(report, &view->edges[contents->edges[i].index], cluster, indent + 2);
}

enum section { CAUSE, ASKED, EFFECT, SECTIONS };

/* A call and all it led to stand together: with the request asked about, before it, or after it. */
static int find_sections(const struct fp_report *report, uint8_t *section)
{
	const struct fp_view *view = report->view;

	for (size_t i = 0; i < view->n_clusters; i++)
		section[i] = EFFECT;
	for (size_t i = 0; i < view->n_nodes; i++) {
		const struct fp_view_node *node = &view->nodes[i];

		if (node->cluster == FP_NO_CLUSTER)
			continue;
		for (size_t j = 0; j < node->n_members; j++)
			if (fp_graph_node(report->answer->graph, node->members[j])->slices & FP_SLICE_BACKWARD)
				section[view->clusters[node->cluster].root] = CAUSE;
	}
	for (size_t i = 0; i < view->n_clusters; i++)
		if (view->clusters[i].asked ||
		    (report->answer->asked.n > 0 && view->clusters[i].request < 0 &&
		     fp_graph_ambiguous(view->clusters[i].sample)))
			section[view->clusters[i].root] = ASKED;
	return 0;
}

static int find_homes(struct fp_report *report)
{
	const struct fp_view *view = report->view;

	report->home = malloc((view->n_nodes + 1) * sizeof(*report->home));
	if (!report->home)
		return -ENOMEM;
	for (size_t i = 0; i < view->n_nodes; i++)
		report->home[i] = view->nodes[i].cluster;
	for (size_t round = 0; round < 2; round++)
		for (size_t i = 0; i < view->n_edges; i++) {
			const struct fp_view_edge *edge = &view->edges[i];

			if (report->home[edge->from] == FP_NO_CLUSTER)
				report->home[edge->from] = report->home[edge->to];
			if (report->home[edge->to] == FP_NO_CLUSTER)
				report->home[edge->to] = report->home[edge->from];
		}
	return 0;
}

/* Depth first, so that a call stands below its caller.  Calls deeper than this stand beside each other. */
#define DEPTH_MAX 40

static void tree_section(struct fp_report *report, const struct contents *contents, size_t cluster)
{
	size_t depth = 0;

	/* Without recursion: chains of calls may be long. */
	while (cluster != FP_NO_CLUSTER) {
		size_t next = contents->first_child[cluster];

		if (contents->shown[cluster])
			cluster_section(report, contents, cluster, 2 + 2 * (depth < DEPTH_MAX ? depth : DEPTH_MAX));
		depth++;
		while (next == FP_NO_CLUSTER) {
			depth--;
			if (depth == 0)
				return;
			next = contents->next_sibling[cluster];
			cluster = report->view->clusters[cluster].parent;
		}
		cluster = next;
	}
}

static int sections(struct fp_report *report)
{
	static const char *const titles[SECTIONS] = {"WHAT CAUSED IT", "THE REQUEST", "WHAT IT CAUSED"};
	const struct fp_view *view = report->view;
	fp_cleanup(fp_freep) uint8_t *section = calloc(view->n_clusters + 1, 1);
	struct contents contents;
	int r = contents_make(report, &contents);

	if (r == 0)
		r = section ? find_sections(report, section) : -ENOMEM;
	for (unsigned which = 0; r == 0 && which < SECTIONS; which++) {
		bool any = false;

		for (size_t i = 0; i < view->n_clusters; i++) {
			if (view->clusters[i].root != i || section[i] != which || !contents.shown[i])
				continue;
			fp_buffer_add_format(&report->out, any ? "\n" : "\n%s\n", titles[which]);
			any = true;
			tree_section(report, &contents, i);
		}
	}
	contents_done(&contents);
	return r;
}

/* A path is told in its own order. */
static void path(struct fp_report *report)
{
	const struct fp_answer *answer = report->answer;

	fp_report_add(report, "\nTHE SHORTEST WAY\n");
	for (size_t i = 0; i < answer->n_path; i++) {
		const struct fp_graph_edge *edge = fp_graph_edge(answer->graph, answer->path[i]);
		const struct fp_graph_node *ends[2] = {fp_graph_node(answer->graph, edge->from),
						       fp_graph_node(answer->graph, edge->to)};

		fp_report_add(report, "  ");
		fp_report_time(report, edge->row.first);
		for (size_t j = 0; j < 2; j++) {
			fp_buffer_add_format(&report->out, "%s ", fp_node_kind_name(ends[j]->row.kind));
			fp_clean_add(&report->out, ends[j]->row.label, FP_REPORT_COLUMNS);
			if (j == 0)
				fp_buffer_add_format(&report->out, " --%s--> ", fp_edge_kind_name(edge->row.kind));
		}
		if (edge->row.has_request) {
			fp_report_add(report, "  in request ");
			fp_words_id(&report->out, edge->row.request);
		}
		fp_report_add(report, "\n");
	}
}

/* What no unit is near of: between folded units, or nodes asked about by name. */
static void strays(struct fp_report *report)
{
	const struct fp_view *view = report->view;
	bool any = false;

	for (size_t i = 0; i < view->n_edges; i++) {
		if (cluster_of_edge(report, &view->edges[i]) != FP_NO_CLUSTER)
			continue;
		if (!any)
			fp_report_add(report, "\nELSEWHERE\n");
		any = true;
		add_relation(report, &view->edges[i], FP_NO_CLUSTER, 4);
	}
}

/* What was left out on purpose is said. */
static void held_back(struct fp_report *report)
{
	const struct fp_graph *graph = report->answer->graph;

	for (size_t i = 0; i < fp_graph_nodes(graph); i++) {
		const struct fp_graph_node *node = fp_graph_node(graph, i);

		if (!node->held_back)
			continue;
		fp_report_add(report, "\n");
		fp_clean_add(&report->out, node->row.label, FP_REPORT_COLUMNS);
		fp_buffer_add_format(&report->out, ": all rows were read; %u routine write%s not followed (--conservative follows them)\n",
				     node->held_back, node->held_back == 1 ? " is" : "s are");
	}
}

int fp_report_write(const struct fp_view *view, FILE *out)
{
	struct fp_report report = {.view = view, .answer = view->answer, .out = FP_BUFFER_INIT};
	int r = find_homes(&report);

	if (r == 0)
		r = fp_report_head(&report);
	if (r == 0) {
		if (view->answer->path)
			path(&report);
		else
			r = fp_report_links(&report);
	}
	if (r == 0 && !view->answer->path) {
		r = sections(&report);
		strays(&report);
		held_back(&report);
	}
	if (r == 0)
		r = fp_buffer_error(&report.out);
	if (r == 0)
		fwrite(report.out.data, 1, report.out.len, out);
	fp_buffer_done(&report.out);
	free(report.home);
	return r;
}

#include "query/report.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "graph/path.h"
#include "query/attributes.h"
#include "query/clean.h"
#include "query/words.h"

#define COLUMNS 60
#define TIME_COLUMNS 12

struct report {
	const struct fp_view *view;
	const struct fp_answer *answer;
	struct fp_buffer out;
	size_t *home; /* by node of the view: the cluster whose section it is told in */
};

static void add(struct report *report, const char *text)
{
	fp_buffer_add_text(&report->out, text);
}

static void spaces(struct report *report, size_t n)
{
	fp_buffer_add_format(&report->out, "%*s", (int)n, "");
}

/* Fills up to a column, counted from `start` in the text. */
static void pad(struct report *report, size_t start, size_t columns)
{
	size_t have = fp_clean_columns(report->out.data + start);

	spaces(report, have < columns ? columns - have : 1);
}

static void add_time(struct report *report, uint64_t time)
{
	size_t start = report->out.len;

	fp_words_offset(&report->out, report->answer->origin, time);
	pad(report, start, TIME_COLUMNS);
}

/* --- head ----------------------------------------------------------------- */

static void head_request(struct report *report, const struct fp_store_request *request)
{
	char id[2 * FP_REQUEST_ID_SIZE + 1], time[FP_TIME_TEXT_SIZE];

	fp_hex(request->id, FP_REQUEST_ID_SIZE, id);
	fp_time_text(request->first, time);
	fp_buffer_add_format(&report->out, "  request    %s", id);
	if (request->call_id) {
		add(report, "   X-Call-Id ");
		fp_clean_add(&report->out, request->call_id, COLUMNS);
	}
	if (request->trace_id) {
		add(report, "   trace ");
		fp_clean_add(&report->out, request->trace_id, COLUMNS);
	}
	add(report, "\n             ");
	fp_words_request(&report->out, request, COLUMNS);
	if (request->status >= 0)
		fp_buffer_add_format(&report->out, ", status %" PRId64, request->status);
	fp_buffer_add_format(&report->out, "\n             %s", time);
	if (request->last)
		fp_buffer_add_format(&report->out, ", took %.3f s", (double)(request->last - request->first) / 1e9);
	add(report, ", instance ");
	fp_clean_add(&report->out, request->instance ? request->instance : "-", COLUMNS);
	add(report, " on ");
	fp_clean_add(&report->out, request->host ? request->host : "-", COLUMNS);
	add(report, "\n");
}

/* Who called: the client whose edge leads to the request, or the request that did. */
static void head_caller(struct report *report, const struct fp_store_request *request)
{
	struct fp_graph *graph = report->answer->graph;
	const struct fp_graph_node *node = fp_graph_find_node(graph, request->node);
	const uint32_t *into;
	ssize_t n = node ? fp_graph_edges_into(graph, node->index, &into) : 0;

	add(report, "  called by  ");
	if (request->has_parent) {
		add(report, "request ");
		fp_words_id(&report->out, request->parent);
		if (request->join) {
			add(report, ", joined by ");
			fp_clean_add(&report->out, request->join, COLUMNS);
		}
		add(report, "\n");
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		const struct fp_graph_edge *edge = fp_graph_edge(graph, into[i]);

		if (edge->row.kind != FP_EDGE_CALLS)
			continue;
		fp_clean_add(&report->out, fp_graph_node(graph, edge->from)->row.label, COLUMNS);
		add(report, "\n");
		return;
	}
	add(report, "somebody outside\n");
}

static void head(struct report *report)
{
	const struct fp_answer *answer = report->answer;
	char origin[FP_TIME_TEXT_SIZE];

	fp_words_question(&report->out, answer);
	add(report, "\n");
	fp_words_completeness(&report->out, answer);
	add(report, "\n\n");
	for (size_t i = 0; i < answer->asked.n; i++) {
		head_request(report, &answer->asked.rows[i]);
		head_caller(report, &answer->asked.rows[i]);
	}
	fp_time_text(answer->origin, origin);
	fp_buffer_add_format(&report->out, "  answer     %zu nodes, %zu edges, %zu requests", fp_graph_nodes(answer->graph),
			     fp_graph_edges(answer->graph), answer->requests.n);
	if (report->view->n_nodes != fp_graph_nodes(answer->graph)) {
		add(report, "\n             ");
		fp_words_folded(&report->out, report->view);
	}
	fp_buffer_add_format(&report->out, "\n  times      count from the first event, %s\n", origin);
	for (size_t i = 0; i < answer->n_missing; i++) {
		add(report, i == 0 ? "  missing    " : "             ");
		fp_clean_add(&report->out, answer->missing[i].text, 0);
		add(report, "\n");
	}
}

/* --- relations ------------------------------------------------------------ */

static void add_name(struct report *report, const struct fp_view_node *node)
{
	if (node->link)
		add(report, FP_STAR " ");
	if (node->kind == FP_NODE_REQUEST)
		add(report, "request ");
	fp_clean_add(&report->out, node->label, COLUMNS);
}

static void add_details(struct report *report, const struct fp_view_edge *edge)
{
	add(report, "  ");
	fp_words_attribution(&report->out, edge);
	if (edge->candidates) {
		add(report, ", one of ");
		fp_words_candidates(&report->out, edge->candidates);
	}
}

/* "+1.204s   curl[45] --write--> ★ /home/app/x.sh (812 B, 3 times)  exact" */
static void add_relation(struct report *report, const struct fp_view_edge *edge, size_t indent)
{
	const struct fp_view *view = report->view;

	spaces(report, indent);
	if (edge->possible)
		pad(report, report->out.len, TIME_COLUMNS);
	else
		add_time(report, edge->first);
	add_name(report, &view->nodes[edge->from]);
	add(report, edge->possible ? " - - " : " --");
	fp_words_kinds(&report->out, edge->kinds);
	add(report, edge->possible ? " - -> " : "--> ");
	add_name(report, &view->nodes[edge->to]);
	if (edge->bytes > 0 || edge->count > 1) {
		add(report, " (");
		if (edge->bytes > 0)
			fp_words_bytes(&report->out, edge->bytes);
		if (edge->count > 1)
			fp_buffer_add_format(&report->out, "%s%" PRIu64 " times", edge->bytes > 0 ? ", " : "", edge->count);
		add(report, ")");
	}
	add_details(report, edge);
	add(report, "\n");
}

/* --- links ---------------------------------------------------------------- */

static void add_request_of(struct report *report, const struct fp_view_node *node)
{
	const struct fp_view_cluster *cluster;

	if (node->cluster == FP_NO_CLUSTER)
		return;
	cluster = &report->view->clusters[node->cluster];
	if (cluster->request < 0) {
		add(report, ", outside any request");
		return;
	}
	add(report, " in request ");
	fp_words_id(&report->out, report->answer->requests.rows[cluster->request].id);
	if (report->answer->requests.rows[cluster->request].function) {
		add(report, " of ");
		fp_clean_add(&report->out, report->answer->requests.rows[cluster->request].function, COLUMNS);
	}
}

/* The shortest way from a client to the node, as names. */
static int add_chain(struct report *report, uint32_t to)
{
	struct fp_graph *graph = report->answer->graph;
	fp_cleanup(fp_freep) uint32_t *clients = malloc((fp_graph_nodes(graph) + 1) * sizeof(*clients));
	fp_cleanup(fp_freep) uint32_t *path = NULL;
	size_t n_clients = 0;
	ssize_t n;

	if (!clients)
		return -ENOMEM;
	for (uint32_t i = 0; i < fp_graph_nodes(graph); i++)
		if (fp_graph_node(graph, i)->row.kind == FP_NODE_CLIENT)
			clients[n_clients++] = i;
	n = fp_path_shortest(graph, clients, n_clients, &to, 1, &path);
	if (n == -ENOMEM)
		return (int)n;
	if (n <= 0)
		return 0;
	add(report, "      from the client: ");
	for (ssize_t i = 0; i < n; i++) {
		const struct fp_store_node *row = &fp_graph_node(graph, fp_graph_edge(graph, path[i])->from)->row;

		if (row->kind == FP_NODE_REQUEST)
			add(report, "request ");
		fp_clean_add(&report->out, row->label, 40);
		add(report, " → ");
	}
	add(report, FP_STAR "\n");
	return 0;
}

static int add_link(struct report *report, uint32_t link)
{
	const struct fp_view *view = report->view;
	const struct fp_view_node *node = &view->nodes[link];
	const struct fp_store_node *row = &fp_graph_node(report->answer->graph, node->members[0])->row;

	add(report, "  ");
	add_name(report, node);
	fp_buffer_add_format(&report->out, "  (%s", fp_node_kind_name(row->kind));
	if (row->instance) {
		add(report, " in ");
		fp_clean_add(&report->out, row->instance, COLUMNS);
	}
	if (row->host) {
		add(report, " on ");
		fp_clean_add(&report->out, row->host, COLUMNS);
	}
	add(report, ")\n");
	for (size_t i = 0; i < view->n_edges; i++) {
		const struct fp_view_edge *edge = &view->edges[i];
		bool in = edge->to == link;
		const struct fp_view_node *other = &view->nodes[in ? edge->from : edge->to];

		if (!in && edge->from != link)
			continue;
		add(report, "      ");
		add_time(report, edge->first);
		add(report, in ? "changed by " : "used by ");
		add_name(report, other);
		add(report, ": ");
		fp_words_kinds(&report->out, edge->kinds);
		add_request_of(report, other);
		add_details(report, edge);
		add(report, "\n");
	}
	return add_chain(report, node->members[0]);
}

static int links(struct report *report)
{
	bool any = false;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < report->view->n_nodes; i++) {
		if (!report->view->nodes[i].link || report->view->nodes[i].folded)
			continue;
		if (!any)
			add(report, "\nWHAT LINKS REQUESTS  (" FP_STAR " written in one request, used in another)\n");
		any = true;
		r = add_link(report, i);
	}
	return r;
}

/* --- sections ------------------------------------------------------------- */

static size_t depth_of(const struct fp_answer *answer, size_t cluster)
{
	const struct fp_requests *requests = &answer->requests;
	size_t depth = 0;

	while (cluster < requests->n && requests->rows[cluster].has_parent && depth < requests->n) {
		ssize_t parent = fp_requests_find(requests, requests->rows[cluster].parent);

		if (parent < 0)
			break;
		cluster = (size_t)parent;
		depth++;
	}
	return depth;
}

static void add_process(struct report *report, const struct fp_view_node *node, size_t indent)
{
	const struct fp_store_node *row = &fp_graph_node(report->answer->graph, node->members[0])->row;
	fp_cleanup(fp_buffer_done) struct fp_buffer argv = FP_BUFFER_INIT;

	fp_attribute_text(row->attributes, "argv", &argv);
	if ((argv.len == 0 && node->n_files == 0) || node->folded)
		return;
	spaces(report, indent + TIME_COLUMNS);
	add_name(report, node);
	if (argv.len > 0) {
		add(report, ":  ");
		fp_clean_add(&report->out, argv.data, 160);
	}
	if (node->n_files > 0) {
		fp_buffer_add_format(&report->out, "  [%zu file%s of the image: ", node->n_files,
				     node->n_files == 1 ? "" : "s");
		fp_words_files(&report->out, report->view, node, 3, 40);
		add(report, "]");
	}
	add(report, "\n");
}

static void cluster_title(struct report *report, size_t index, size_t indent)
{
	const struct fp_view_cluster *cluster = &report->view->clusters[index];
	const struct fp_store_node *sample = cluster->sample;

	spaces(report, indent);
	if (cluster->request >= 0) {
		const struct fp_store_request *request = &report->answer->requests.rows[cluster->request];

		add(report, "request ");
		fp_words_id(&report->out, request->id);
		add(report, "  ");
		fp_words_request(&report->out, request, COLUMNS);
		if (request->status >= 0)
			fp_buffer_add_format(&report->out, "  status %" PRId64, request->status);
	} else {
		fp_clean_add(&report->out, sample->function ? sample->function : "host", COLUMNS);
		fp_buffer_add_format(&report->out, ", %s, outside any request",
				     strstr(sample->key, ":ambiguous") ? "request not certain" :
									 fp_unit_name(sample->unit));
	}
	if (sample && sample->instance) {
		add(report, "  instance ");
		fp_clean_add(&report->out, sample->instance, COLUMNS);
	}
	if (sample && sample->host) {
		add(report, " on ");
		fp_clean_add(&report->out, sample->host, COLUMNS);
	}
	add(report, cluster->asked ? "   <-- asked about\n" : "\n");
}

static bool in_cluster(const struct report *report, const struct fp_view_edge *edge, size_t cluster)
{
	const struct fp_view_node *from = &report->view->nodes[edge->from], *to = &report->view->nodes[edge->to];

	if (from->cluster == FP_NO_CLUSTER && to->cluster != FP_NO_CLUSTER)
		return to->cluster == cluster;
	return report->home[edge->from] == cluster;
}

static void cluster_section(struct report *report, size_t cluster)
{
	const struct fp_view *view = report->view;
	size_t indent = 2 + 2 * depth_of(report->answer, cluster);

	cluster_title(report, cluster, indent);
	for (size_t i = 0; i < view->n_nodes; i++)
		if (view->nodes[i].cluster == cluster && view->nodes[i].kind == FP_NODE_PROCESS)
			add_process(report, &view->nodes[i], indent + 2);
	for (size_t i = 0; i < view->n_edges; i++)
		if (in_cluster(report, &view->edges[i], cluster))
			add_relation(report, &view->edges[i], indent + 2);
}

enum section { CAUSE, ASKED, EFFECT, SECTIONS };

/* A call and all it led to stand together: with the request asked about, before it, or after it. */
static int find_sections(const struct report *report, uint8_t *section)
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
		if (view->clusters[i].asked)
			section[view->clusters[i].root] = ASKED;
	return 0;
}

static int find_homes(struct report *report)
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

/* Depth first, so that a call stands below its caller. */
static void tree_section(struct report *report, size_t cluster)
{
	const struct fp_requests *requests = &report->answer->requests;

	cluster_section(report, cluster);
	if (cluster >= requests->n)
		return;
	for (size_t i = 0; i < requests->n; i++)
		if (i != cluster && requests->rows[i].has_parent && report->view->clusters[i].root != i &&
		    memcmp(requests->rows[i].parent, requests->rows[cluster].id, FP_REQUEST_ID_SIZE) == 0)
			tree_section(report, i);
}

static int sections(struct report *report)
{
	static const char *const titles[SECTIONS] = {"WHAT CAUSED IT", "THE REQUEST", "WHAT IT CAUSED"};
	const struct fp_view *view = report->view;
	fp_cleanup(fp_freep) uint8_t *section = calloc(view->n_clusters + 1, 1);
	int r = section ? find_sections(report, section) : -ENOMEM;

	for (unsigned which = 0; r == 0 && which < SECTIONS; which++) {
		bool any = false;

		for (size_t i = 0; i < view->n_clusters; i++) {
			if (view->clusters[i].root != i || section[i] != which)
				continue;
			fp_buffer_add_format(&report->out, any ? "\n" : "\n%s\n", titles[which]);
			any = true;
			tree_section(report, i);
		}
	}
	return r;
}

/* A path is told in its own order. */
static void path(struct report *report)
{
	const struct fp_answer *answer = report->answer;

	add(report, "\nTHE SHORTEST WAY\n");
	for (size_t i = 0; i < answer->n_path; i++) {
		const struct fp_graph_edge *edge = fp_graph_edge(answer->graph, answer->path[i]);
		const struct fp_graph_node *ends[2] = {fp_graph_node(answer->graph, edge->from),
						       fp_graph_node(answer->graph, edge->to)};

		add(report, "  ");
		add_time(report, edge->row.first);
		for (size_t j = 0; j < 2; j++) {
			fp_buffer_add_format(&report->out, "%s ", fp_node_kind_name(ends[j]->row.kind));
			fp_clean_add(&report->out, ends[j]->row.label, COLUMNS);
			if (j == 0)
				fp_buffer_add_format(&report->out, " --%s--> ", fp_edge_kind_name(edge->row.kind));
		}
		if (edge->row.has_request) {
			add(report, "  in request ");
			fp_words_id(&report->out, edge->row.request);
		}
		add(report, "\n");
	}
}

/* What no unit is near of: nodes asked about by name that nothing touched. */
static void strays(struct report *report)
{
	const struct fp_view *view = report->view;
	bool any = false;

	for (size_t i = 0; i < view->n_edges; i++) {
		if (report->home[view->edges[i].from] != FP_NO_CLUSTER || report->home[view->edges[i].to] != FP_NO_CLUSTER)
			continue;
		if (!any)
			add(report, "\nELSEWHERE\n");
		any = true;
		add_relation(report, &view->edges[i], 4);
	}
}

int fp_report_write(const struct fp_view *view, FILE *out)
{
	struct report report = {.view = view, .answer = view->answer, .out = FP_BUFFER_INIT};
	int r = find_homes(&report);

	if (r == 0) {
		head(&report);
		if (view->answer->path)
			path(&report);
		else
			r = links(&report);
	}
	if (r == 0 && !view->answer->path) {
		r = sections(&report);
		strays(&report);
	}
	if (r == 0)
		r = fp_buffer_error(&report.out);
	if (r == 0)
		fwrite(report.out.data, 1, report.out.len, out);
	fp_buffer_done(&report.out);
	free(report.home);
	return r;
}

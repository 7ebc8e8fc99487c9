/* The head of a report, and what links requests. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "graph/path.h"
#include "query/attributes.h"
#include "query/clean.h"
#include "query/findings.h"
#include "query/report_make.h"
#include "query/words.h"

/* --- head ----------------------------------------------------------------- */

/* Which of the function's replicas, where the runtime says it and it is no other name for the instance. */
static void head_replica(struct fp_report *report, const struct fp_store_request *request)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer replica = FP_BUFFER_INIT;
	const struct fp_graph_node *node = fp_graph_find_node(report->answer->graph, request->node);

	if (!node || !fp_attribute_text(node->row.attributes, "replica", &replica))
		return;
	if (request->instance && strcmp(request->instance, replica.data) == 0)
		return;
	fp_report_add(report, ", replica ");
	fp_clean_add(&report->out, replica.data, FP_REPORT_COLUMNS);
}

static void head_request(struct fp_report *report, const struct fp_store_request *request)
{
	char id[2 * FP_REQUEST_ID_SIZE + 1], time[FP_TIME_TEXT_SIZE];

	fp_hex(request->id, FP_REQUEST_ID_SIZE, id);
	fp_time_text(request->first, time);
	fp_buffer_add_format(&report->out, "  request    %s", id);
	if (request->call_id) {
		fp_report_add(report, "   X-Call-Id ");
		fp_clean_add(&report->out, request->call_id, FP_REPORT_COLUMNS);
	}
	if (request->trace_id) {
		fp_report_add(report, "   trace ");
		fp_clean_add(&report->out, request->trace_id, FP_REPORT_COLUMNS);
	}
	fp_report_add(report, "\n             ");
	fp_words_request(&report->out, request, FP_REPORT_COLUMNS);
	if (request->status >= 0)
		fp_buffer_add_format(&report->out, ", status %" PRId64, request->status);
	fp_buffer_add_format(&report->out, "\n             %s", time);
	if (request->last)
		fp_buffer_add_format(&report->out, ", took %.3f s", (double)(request->last - request->first) / 1e9);
	fp_report_add(report, ", instance ");
	fp_clean_add(&report->out, request->instance ? request->instance : "-", FP_REPORT_COLUMNS);
	head_replica(report, request);
	fp_report_add(report, " on ");
	fp_clean_add(&report->out, request->host ? request->host : "-", FP_REPORT_COLUMNS);
	fp_report_add(report, "\n");
}

/* Who called: the client whose edge leads to the request, or the request that did. */
static void head_caller(struct fp_report *report, const struct fp_store_request *request)
{
	struct fp_graph *graph = report->answer->graph;
	const struct fp_graph_node *node = fp_graph_find_node(graph, request->node);
	const uint32_t *into;
	ssize_t n = node ? fp_graph_edges_into(graph, node->index, &into) : 0;

	fp_report_add(report, "  called by  ");
	if (request->has_parent) {
		fp_report_add(report, "request ");
		fp_words_id(&report->out, request->parent);
		if (request->join) {
			fp_report_add(report, ", joined by ");
			fp_clean_add(&report->out, request->join, FP_REPORT_COLUMNS);
		}
		fp_report_add(report, "\n");
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		const struct fp_graph_edge *edge = fp_graph_edge(graph, into[i]);

		if (edge->row.kind != FP_EDGE_CALLS)
			continue;
		fp_clean_add(&report->out, fp_graph_node(graph, edge->from)->row.label, FP_REPORT_COLUMNS);
		fp_report_add(report, "\n");
		return;
	}
	fp_report_add(report, "somebody outside\n");
}

/* What calls for a look stands before all else. */
static int head_findings(struct fp_report *report)
{
	struct fp_graph *findings = report->answer->findings;
	bool any = false;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < fp_graph_nodes(findings); i++) {
		const struct fp_graph_node *node = fp_graph_node(findings, i);

		if (!fp_finding_is(node))
			continue;
		fp_report_add(report, any ? "             " : "  findings   ");
		any = true;
		r = fp_finding_text(findings, node, &report->out);
		if (node->row.has_request) {
			fp_report_add(report, " in request ");
			fp_words_id(&report->out, node->row.request);
		}
		fp_report_add(report, ", ");
		fp_words_offset(&report->out, report->answer->origin, node->row.first);
		fp_report_add(report, "\n");
	}
	return r < 0 ? r : 0;
}

int fp_report_head(struct fp_report *report)
{
	const struct fp_answer *answer = report->answer;
	char origin[FP_TIME_TEXT_SIZE];

	fp_words_question(&report->out, answer);
	fp_report_add(report, "\n");
	fp_words_completeness(&report->out, answer);
	fp_report_add(report, "\n\n");
	for (size_t i = 0; i < answer->asked.n; i++) {
		head_request(report, &answer->asked.rows[i]);
		head_caller(report, &answer->asked.rows[i]);
	}
	fp_time_text(answer->origin, origin);
	fp_buffer_add_format(&report->out, "  answer     %zu nodes, %zu edges, %zu request%s", fp_graph_nodes(answer->graph),
			     fp_graph_edges(answer->graph), answer->requests.n, answer->requests.n == 1 ? "" : "s");
	if (report->view->n_nodes != fp_graph_nodes(answer->graph)) {
		fp_report_add(report, "\n             ");
		fp_words_folded(&report->out, report->view);
	}
	fp_buffer_add_format(&report->out, "\n  times      count from the first event, %s\n", origin);
	for (size_t i = 0; i < answer->n_missing; i++) {
		fp_report_add(report, i == 0 ? "  missing    " : "             ");
		fp_clean_add(&report->out, answer->missing[i].text, 0);
		fp_report_add(report, "\n");
	}
	return head_findings(report);
}

/* --- links ---------------------------------------------------------------- */

static void add_request_of(struct fp_report *report, const struct fp_view_node *node)
{
	const struct fp_view_cluster *cluster;

	if (node->cluster == FP_NO_CLUSTER)
		return;
	cluster = &report->view->clusters[node->cluster];
	if (cluster->request < 0) {
		fp_report_add(report, ", outside any request");
		return;
	}
	fp_report_add(report, " in request ");
	fp_words_id(&report->out, report->answer->requests.rows[cluster->request].id);
	if (report->answer->requests.rows[cluster->request].function) {
		fp_report_add(report, " of ");
		fp_clean_add(&report->out, report->answer->requests.rows[cluster->request].function, FP_REPORT_COLUMNS);
	}
}

/* The edge that brought most of what is in the node; the earliest of equals. */
static ssize_t main_edge_into(struct fp_graph *graph, uint32_t node)
{
	const uint32_t *into;
	ssize_t n = fp_graph_edges_into(graph, node, &into), main = -1;

	for (ssize_t i = 0; i < n; i++)
		if (main < 0 || fp_graph_edge(graph, into[i])->row.bytes > fp_graph_edge(graph, (size_t)main)->row.bytes)
			main = into[i];
	return main;
}

/* Unrolling a larger graph in time costs more than this line is worth. */
#define CHAIN_EDGES_MAX 50000

/* The shortest way from a client to who filled the node, as names. */
static int add_chain(struct fp_report *report, uint32_t to)
{
	struct fp_graph *graph = report->answer->graph;
	ssize_t filled = main_edge_into(graph, to), n;
	fp_cleanup(fp_freep) uint32_t *clients = malloc((fp_graph_nodes(graph) + 1) * sizeof(*clients));
	fp_cleanup(fp_freep) uint32_t *path = NULL;
	size_t n_clients = 0;

	if (!clients)
		return -ENOMEM;
	for (uint32_t i = 0; i < fp_graph_nodes(graph); i++)
		if (fp_graph_node(graph, i)->row.kind == FP_NODE_CLIENT)
			clients[n_clients++] = i;
	if (filled < 0 || fp_graph_edges(graph) > CHAIN_EDGES_MAX)
		return 0;
	n = fp_path_shortest(graph, clients, n_clients, &fp_graph_edge(graph, (size_t)filled)->from, 1, &path);
	if (n == -ENOMEM)
		return (int)n;
	if (n <= 0)
		return 0;
	fp_report_add(report, "      from the client: ");
	for (ssize_t i = 0; i <= n; i++) {
		const struct fp_graph_edge *edge = fp_graph_edge(graph, i < n ? path[i] : (uint32_t)filled);
		const struct fp_store_node *row = &fp_graph_node(graph, edge->from)->row;

		/* A process that execs is one step for people, as is a request and who serves it. */
		if (edge->row.kind == FP_EDGE_EXEC || (i > 0 && row->kind == FP_NODE_REQUEST))
			continue;
		if (i < n && row->kind == FP_NODE_PROCESS && row->function && fp_graph_node(graph, edge->to)->row.kind == FP_NODE_REQUEST)
			fp_clean_add(&report->out, row->function, 40);
		else
			fp_clean_add(&report->out, row->label, 40);
		fp_report_add(report, " → ");
	}
	fp_report_add(report, FP_STAR "\n");
	return 0;
}

static int add_link(struct fp_report *report, uint32_t link)
{
	const struct fp_view *view = report->view;
	const struct fp_view_node *node = &view->nodes[link];
	const struct fp_store_node *row = &fp_graph_node(report->answer->graph, node->members[0])->row;

	fp_report_add(report, "  ");
	fp_report_name(report, node);
	fp_buffer_add_format(&report->out, "  (%s", fp_node_kind_name(row->kind));
	if (row->instance) {
		fp_report_add(report, " in ");
		fp_clean_add(&report->out, row->instance, FP_REPORT_COLUMNS);
	}
	if (row->host) {
		fp_report_add(report, " on ");
		fp_clean_add(&report->out, row->host, FP_REPORT_COLUMNS);
	}
	fp_report_add(report, ")\n");
	for (size_t i = 0; i < view->n_edges; i++) {
		const struct fp_view_edge *edge = &view->edges[i];
		bool in = edge->to == link;
		const struct fp_view_node *other = &view->nodes[in ? edge->from : edge->to];

		if (!in && edge->from != link)
			continue;
		fp_report_add(report, "      ");
		fp_report_time(report, edge->first);
		fp_report_add(report, in ? "changed by " : "used by ");
		fp_report_name(report, other);
		fp_report_add(report, ": ");
		fp_words_kinds(&report->out, edge->kinds);
		add_request_of(report, other);
		fp_report_details(report, edge);
		fp_report_add(report, "\n");
	}
	return add_chain(report, node->members[0]);
}

int fp_report_links(struct fp_report *report)
{
	bool any = false;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < report->view->n_nodes; i++) {
		if (!report->view->nodes[i].link || report->view->nodes[i].folded)
			continue;
		if (!any)
			fp_report_add(report, "\nWHAT LINKS REQUESTS  (" FP_STAR " written in one request, used in another)\n");
		any = true;
		r = add_link(report, i);
	}
	return r;
}

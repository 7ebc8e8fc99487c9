/* The document of an answer. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/array.h"
#include "query/findings.h"
#include "query/json.h"
#include "query/verbs.h"

/* Several edges from files of the image to one process, of one kind. */
struct bundle {
	size_t group; /* node of the view that the files are folded into */
	struct fp_store_edge row; /* what they have together; to: the process */
	uint8_t slices;
	uint32_t *edges;
	size_t n_edges, size;
};

struct document {
	const struct fp_view *view;
	const struct fp_answer *answer;
	FILE *out;
	bool *collapsed; /* by node: a file of the image */
	size_t *group; /* by node: which node of the view it is in */
	uint32_t *nodes, *edges; /* in order of time */
	struct bundle *bundles;
	size_t n_bundles, bundles_size;
};

static const char *slice_name(unsigned slices)
{
	switch (slices) {
	case FP_SLICE_BACKWARD:
		return "cause";
	case FP_SLICE_FORWARD:
		return "effect";
	default:
		return "both";
	}
}

/* --- preparing ------------------------------------------------------------ */

static int compare_nodes(const void *a, const void *b, void *arg)
{
	const struct fp_store_node *x = &fp_graph_node(arg, *(const uint32_t *)a)->row;
	const struct fp_store_node *y = &fp_graph_node(arg, *(const uint32_t *)b)->row;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static int compare_edges(const void *a, const void *b, void *arg)
{
	const struct fp_store_edge *x = &fp_graph_edge(arg, *(const uint32_t *)a)->row;
	const struct fp_store_edge *y = &fp_graph_edge(arg, *(const uint32_t *)b)->row;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static uint32_t *in_order(size_t n, int (*compare)(const void *, const void *, void *), struct fp_graph *graph)
{
	uint32_t *list = malloc((n + 1) * sizeof(*list));

	for (uint32_t i = 0; list && i < n; i++)
		list[i] = i;
	if (list)
		qsort_r(list, n, sizeof(*list), compare, graph);
	return list;
}

static struct bundle *bundle_of(struct document *document, const struct fp_graph_edge *edge)
{
	size_t group = document->group[edge->to];
	struct bundle *bundle;

	for (size_t i = document->n_bundles; i-- > 0;) {
		bundle = &document->bundles[i];
		if (bundle->group == group && bundle->row.to == edge->row.to && bundle->row.kind == edge->row.kind)
			return bundle;
	}
	if (!FP_ARRAY_ROOM(document->bundles, document->n_bundles, document->bundles_size))
		return NULL;
	bundle = &document->bundles[document->n_bundles++];
	*bundle = (struct bundle){.group = group, .row = edge->row, .slices = edge->slices};
	bundle->row.count = bundle->row.bytes = 0;
	return bundle;
}

static int add_to_bundle(struct bundle *bundle, const struct fp_graph_edge *edge)
{
	struct fp_store_edge *row = &bundle->row;

	if (!FP_ARRAY_ROOM(bundle->edges, bundle->n_edges, bundle->size))
		return -ENOMEM;
	bundle->edges[bundle->n_edges++] = edge->index;
	bundle->slices |= edge->slices;
	row->count += edge->row.count;
	row->bytes += edge->row.bytes;
	row->first = edge->row.first < row->first ? edge->row.first : row->first;
	row->last = edge->row.last > row->last ? edge->row.last : row->last;
	if (edge->row.attribution > row->attribution)
		row->attribution = edge->row.attribution;
	return 0;
}

static int find_collapsed(struct document *document)
{
	const struct fp_view *view = document->view;
	struct fp_graph *graph = document->answer->graph;

	for (size_t i = 0; i < view->n_nodes; i++) {
		for (size_t j = 0; j < view->nodes[i].n_members; j++)
			document->group[view->nodes[i].members[j]] = i;
		for (size_t j = 0; j < view->nodes[i].n_files; j++)
			document->collapsed[view->nodes[i].files[j]] = true;
	}
	for (size_t i = 0; i < fp_graph_edges(graph); i++) {
		const struct fp_graph_edge *edge = fp_graph_edge(graph, document->edges[i]);
		struct bundle *bundle;

		if (!document->collapsed[edge->from])
			continue;
		bundle = bundle_of(document, edge);
		if (!bundle || add_to_bundle(bundle, edge) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* --- parts ---------------------------------------------------------------- */

static json_t *query_of(const struct fp_answer *answer)
{
	const struct fp_question *question = answer->question;
	unsigned both = FP_SLICE_BACKWARD | FP_SLICE_FORWARD;
	json_t *arguments = json_array(), *requests = json_array();

	for (int i = 0; i < question->n_arguments; i++)
		json_array_append_new(arguments, fp_json_text(question->arguments[i]));
	for (size_t i = 0; i < answer->asked.n; i++)
		json_array_append_new(requests, fp_json_request_id(answer->asked.rows[i].id));
	return json_pack("{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:b}", "verb", question->verb->name, "arguments", arguments,
			 "requests", requests, "direction",
			 question->directions == both		     ? "both" :
			 question->directions == FP_SLICE_BACKWARD ? "backward" :
								     "forward",
			 "depth", question->depth ? json_integer(question->depth) : json_null(), "since",
			 fp_json_time(question->since), "until", fp_json_time(question->until), "conservative",
			 (int)question->conservative);
}

static json_t *node_of(const struct fp_answer *answer, const struct fp_graph_node *node)
{
	json_t *object = fp_json_node(&node->row);

	if (!object)
		return NULL;
	json_object_set_new(object, "slice", json_string(slice_name(node->slices)));
	fp_json_add_if(object, "start", node->start, json_true());
	fp_json_add_if(object, "link", answer->link[node->index], json_true());
	fp_json_add_if(object, "held_back", node->held_back > 0, json_integer(node->held_back));
	return object;
}

static json_t *edge_of(const struct fp_graph_edge *edge)
{
	json_t *object = fp_json_edge(&edge->row);

	if (object)
		json_object_set_new(object, "slice", json_string(slice_name(edge->slices)));
	return object;
}

static json_t *group_id(const struct document *document, size_t group)
{
	const struct fp_view_node *node = &document->view->nodes[group];

	return fp_json_id('f', fp_graph_node(document->answer->graph, node->members[0])->row.id);
}

/* The files that one process used, as one node. */
static json_t *group_of_files(const struct document *document, size_t group)
{
	const struct fp_view_node *node = &document->view->nodes[group];
	struct fp_graph *graph = document->answer->graph;
	const struct fp_store_node *process = &fp_graph_node(graph, node->members[0])->row;
	const struct fp_store_node *file = &fp_graph_node(graph, node->files[0])->row;
	uint64_t first = file->first, last = file->last;
	json_t *files = json_array();
	char label[64];

	snprintf(label, sizeof(label), "%zu files of the image", node->n_files);
	for (size_t i = 0; i < node->n_files; i++) {
		file = &fp_graph_node(graph, node->files[i])->row;
		first = file->first < first ? file->first : first;
		last = file->last > last ? file->last : last;
		json_array_append_new(files, fp_json_id('n', file->id));
	}
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:n, s:o, s:o, s:s, s:o}", "id", group_id(document, group), "kind",
			 "file", "label", fp_json_text(node->n_files == 1 ? file->label : label), "function",
			 fp_json_text(process->function), "instance", fp_json_text(process->instance), "host",
			 fp_json_text(process->host), "request", "first", fp_json_time(first), "last", fp_json_time(last),
			 "slice", slice_name(fp_graph_node(graph, node->files[0])->slices), "collapsed", files);
}

static json_t *bundle_edge(const struct document *document, size_t number)
{
	const struct bundle *bundle = &document->bundles[number];
	const struct fp_store_edge *row = &bundle->row;
	json_t *edges = json_array();

	for (size_t i = 0; i < bundle->n_edges; i++)
		json_array_append_new(
			edges, fp_json_id('e', fp_graph_edge(document->answer->graph, bundle->edges[i])->row.id));
	return json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:I, s:I, s:o, s:s, s:s, s:s, s:o}", "id",
			 fp_json_id('b', number + 1), "from", group_id(document, bundle->group), "to",
			 fp_json_id('n', row->to), "kind", fp_edge_kind_name(row->kind), "first", fp_json_time(row->first),
			 "last", fp_json_time(row->last), "count", (json_int_t)row->count, "bytes", (json_int_t)row->bytes,
			 "request", row->has_request ? fp_json_request_id(row->request) : json_null(), "attribution",
			 fp_attribution_name(row->attribution), "rule", fp_rule_name(row->rule), "slice",
			 slice_name(bundle->slices), "collapsed", edges);
}

/* --- lists ---------------------------------------------------------------- */

struct list {
	const struct document *document;
	bool any;
	int r;
};

static void put(struct list *list, json_t *object)
{
	if (list->r >= 0)
		list->r = fp_json_put(list->document->out, list->any ? ",\n  " : "\n  ", object);
	else
		json_decref(object);
	list->any = true;
}

static int put_missing(const struct document *document)
{
	const struct fp_answer *answer = document->answer;
	struct list list = {.document = document};

	fputs(",\n \"missing\": [", document->out);
	for (size_t i = 0; i < answer->n_missing; i++)
		put(&list, fp_json_missing(&answer->missing[i]));
	fputs("],\n \"findings\": [", document->out);
	list.any = false;
	for (size_t i = 0; i < fp_graph_nodes(answer->findings); i++)
		if (fp_finding_is(fp_graph_node(answer->findings, i)))
			put(&list, fp_finding_json(answer->findings, fp_graph_node(answer->findings, i)));
	fputs("],\n \"requests\": [", document->out);
	list.any = false;
	for (size_t i = 0; i < answer->requests.n; i++) {
		const struct fp_store_request *row = &answer->requests.rows[i];
		json_t *request = fp_json_request(row);

		if (request)
			fp_json_add_if(request, "asked", fp_requests_find(&answer->asked, row->id) >= 0, json_true());
		put(&list, request);
	}
	fputs("]", document->out);
	return list.r;
}

static int put_nodes(const struct document *document, bool collapsed)
{
	const struct fp_answer *answer = document->answer;
	const struct fp_view *view = document->view;
	struct list list = {.document = document};

	fputs("\"nodes\": [", document->out);
	for (size_t i = 0; i < fp_graph_nodes(answer->graph); i++)
		if (document->collapsed[document->nodes[i]] == collapsed)
			put(&list, node_of(answer, fp_graph_node(answer->graph, document->nodes[i])));
	for (size_t i = 0; i < view->n_nodes && document->n_bundles > 0 && !collapsed; i++)
		if (view->nodes[i].n_files > 0)
			put(&list, group_of_files(document, i));
	fputs("]", document->out);
	return list.r;
}

static int put_edges(const struct document *document, bool collapsed)
{
	const struct fp_answer *answer = document->answer;
	struct list list = {.document = document};

	fputs("\"edges\": [", document->out);
	for (size_t i = 0; i < fp_graph_edges(answer->graph); i++) {
		const struct fp_graph_edge *edge = fp_graph_edge(answer->graph, document->edges[i]);

		if (document->collapsed[edge->from] == collapsed)
			put(&list, edge_of(edge));
	}
	for (size_t i = 0; i < document->n_bundles && !collapsed; i++)
		put(&list, bundle_edge(document, i));
	fputs("]", document->out);
	return list.r;
}

static int put_path(const struct document *document)
{
	const struct fp_answer *answer = document->answer;
	struct list list = {.document = document};

	if (!answer->path)
		return 0;
	fputs(",\n \"path\": [", document->out);
	for (size_t i = 0; i < answer->n_path; i++)
		put(&list, fp_json_id('e', fp_graph_edge(answer->graph, answer->path[i])->row.id));
	fputs("]", document->out);
	return list.r;
}

static int put_document(const struct document *document)
{
	const struct fp_answer *answer = document->answer;
	int r = fp_json_put(document->out, "{\"query\": ", query_of(answer));

	fprintf(document->out, ",\n \"complete\": %s, \"lost\": %" PRIu64, fp_answer_complete(answer) ? "true" : "false",
		answer->lost);
	if (r >= 0)
		r = put_missing(document);
	fputs(",\n ", document->out);
	if (r >= 0)
		r = put_nodes(document, false);
	fputs(",\n ", document->out);
	if (r >= 0)
		r = put_edges(document, false);
	if (r >= 0)
		r = put_path(document);
	fputs(",\n \"collapsed\": {", document->out);
	if (r >= 0)
		r = put_nodes(document, true);
	fputs(",\n ", document->out);
	if (r >= 0)
		r = put_edges(document, true);
	fputs("}}\n", document->out);
	return r;
}

int fp_json_answer(const struct fp_view *view, bool collapse, FILE *out)
{
	struct fp_graph *graph = view->answer->graph;
	size_t n = fp_graph_nodes(graph);
	struct document document = {
		.view = view,
		.answer = view->answer,
		.out = out,
		.collapsed = calloc(n + 1, sizeof(*document.collapsed)),
		.group = calloc(n + 1, sizeof(*document.group)),
		.nodes = in_order(n, compare_nodes, graph),
		.edges = in_order(fp_graph_edges(graph), compare_edges, graph),
	};
	int r = document.collapsed && document.group && document.nodes && document.edges ? 0 : -ENOMEM;

	if (r == 0 && collapse)
		r = find_collapsed(&document);
	if (r == 0)
		r = put_document(&document);
	for (size_t i = 0; i < document.n_bundles; i++)
		free(document.bundles[i].edges);
	free(document.bundles);
	free(document.collapsed);
	free(document.group);
	free(document.nodes);
	free(document.edges);
	return r;
}

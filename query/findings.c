#include "query/findings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "query/answer.h"
#include "query/attributes.h"
#include "query/clean.h"
#include "query/json.h"
#include "query/words.h"

/* Of one finding so many deeds are told apart, and so many edges shown: who does a thing a million times hides nothing by it. */
#define REASONS_MAX 8
#define EVIDENCE_MAX 100
#define NAMES_SAID 4

struct gathering {
	struct fp_store *store;
	struct fp_graph *findings;
	uint64_t edge_from; /* of the edge being added */
	int r;
};

/* --- gathering -------------------------------------------------------------- */

static int add_node(void *arg, const struct fp_store_node *row)
{
	struct gathering *gathering = arg;
	struct fp_graph_node *node;

	return fp_graph_add_node(gathering->findings, row, &node);
}

/* The store may be asked again while it answers. */
static int add_evidence(void *arg, const struct fp_store_edge *row)
{
	struct gathering *gathering = arg;
	struct fp_graph_edge *edge;
	int r = fp_store_node(gathering->store, row->from, add_node, gathering);

	return r < 0 ? r : fp_graph_add_edge(gathering->findings, row, &edge);
}

static int add_finding(void *arg, const struct fp_store_node *row)
{
	struct gathering *gathering = arg;
	int r;

	if (row->kind != FP_NODE_FINDING || fp_graph_find_node(gathering->findings, row->id))
		return 0;
	r = add_node(gathering, row);
	return r < 0 ? r : fp_store_edges_into(gathering->store, row->id, add_evidence, gathering);
}

int fp_findings_all(struct fp_store *store, struct fp_graph *findings)
{
	struct gathering gathering = {.store = store, .findings = findings};
	int r = fp_store_nodes_by_key(store, "finding:", add_finding, &gathering);

	return r < 0 ? r : 0;
}

/* What a process of no request leads to. */
static int follow(void *arg, const struct fp_store_edge *row)
{
	struct gathering *gathering = arg;

	return row->kind == FP_EDGE_SHOWS ? fp_store_node(gathering->store, row->to, add_finding, gathering) : 0;
}

int fp_findings_of_answer(const struct fp_answer *answer, struct fp_store *store, struct fp_graph *findings)
{
	struct gathering gathering = {.store = store, .findings = findings};
	int r = 0;

	for (size_t i = 0; r >= 0 && i < answer->requests.n; i++)
		r = fp_store_nodes_of_request(store, answer->requests.rows[i].id, add_finding, &gathering);
	for (size_t i = 0; r >= 0 && i < fp_graph_nodes(answer->graph); i++) {
		const struct fp_store_node *row = &fp_graph_node(answer->graph, i)->row;

		if (row->kind == FP_NODE_PROCESS && !row->has_request && !fp_graph_possible(row->id))
			r = fp_store_edges_out_of(store, row->id, follow, &gathering);
	}
	return r < 0 ? r : 0;
}

size_t fp_findings_count(const struct fp_graph *findings)
{
	size_t n = 0;

	for (size_t i = 0; i < fp_graph_nodes(findings); i++)
		n += fp_finding_is(fp_graph_node(findings, i));
	return n;
}

/* --- by request ------------------------------------------------------------- */

struct counting {
	struct fp_finding_counts *counts;
	uint32_t node;
};

static int count_one(struct fp_finding_counts *counts, const uint8_t request[FP_REQUEST_ID_SIZE], uint32_t node)
{
	if (!FP_ARRAY_ROOM(counts->list, counts->n, counts->size))
		return -ENOMEM;
	memcpy(counts->list[counts->n].request, request, FP_REQUEST_ID_SIZE);
	counts->list[counts->n++].node = node;
	return 0;
}

static int count_candidate(void *arg, const char *id, size_t len)
{
	struct counting *counting = arg;
	char text[2 * FP_REQUEST_ID_SIZE + 1] = "";
	uint8_t request[FP_REQUEST_ID_SIZE];

	if (len != sizeof(text) - 1)
		return 0;
	memcpy(text, id, len);
	return fp_unhex(text, request, sizeof(request)) < 0 ? 0 : count_one(counting->counts, request, counting->node);
}

static int compare_counts(const void *a, const void *b)
{
	const struct fp_finding_of *x = a, *y = b;
	int r = memcmp(x->request, y->request, FP_REQUEST_ID_SIZE);

	return r ? r : x->node < y->node ? -1 : x->node > y->node;
}

int fp_finding_counts_make(struct fp_graph *findings, struct fp_finding_counts *ret_counts)
{
	struct fp_finding_counts counts = {0};
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < fp_graph_edges(findings); i++) {
		const struct fp_graph_edge *edge = fp_graph_edge(findings, i);
		struct counting counting = {&counts, edge->to};

		r = edge->row.has_request ? count_one(&counts, edge->row.request, edge->to) :
					    fp_graph_each_candidate(&edge->row, count_candidate, &counting);
	}
	if (r < 0) {
		free(counts.list);
		return r;
	}
	if (counts.n > 0)
		qsort(counts.list, counts.n, sizeof(*counts.list), compare_counts);
	for (size_t i = 0; i < counts.n; i++)
		if (n == 0 || compare_counts(&counts.list[n - 1], &counts.list[i]) != 0)
			counts.list[n++] = counts.list[i];
	counts.n = n;
	*ret_counts = counts;
	return 0;
}

void fp_finding_counts_done(struct fp_finding_counts *counts)
{
	free(counts->list);
	*counts = (struct fp_finding_counts){0};
}

size_t fp_finding_counts_of(const struct fp_finding_counts *counts, const uint8_t request[FP_REQUEST_ID_SIZE])
{
	size_t low = 0, high = counts->n, n = 0;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (memcmp(counts->list[middle].request, request, FP_REQUEST_ID_SIZE) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	while (low < counts->n && memcmp(counts->list[low++].request, request, FP_REQUEST_ID_SIZE) == 0)
		n++;
	return n;
}

/* --- in words ----------------------------------------------------------------- */

/* What is special to this deed: "SIGTERM", "/proc/1/mem", "not the container's watchdog". */
static void add_details(const char *attributes, struct fp_buffer *out)
{
	static const char *const keys[] = {"signal", "operation", "attribute", "path", "new_path", "port", "mark",
					   "reason", "flags", "uid",	   "euid", "capabilities", "error"};
	enum { FIRST_NAMED = 8 }; /* "flags": the value alone would tell nobody anything */
	json_t *object = attributes ? json_loads(attributes, 0, NULL) : NULL;
	const char *before = "";

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const json_t *value = json_object_get(object, keys[i]);

		if (!value)
			continue;
		fp_buffer_add_text(out, before);
		if (json_is_string(value) && i >= FIRST_NAMED)
			fp_buffer_add_format(out, "%s ", keys[i]);
		if (json_is_string(value))
			fp_clean_add(out, json_string_value(value), 0);
		else
			fp_buffer_add_format(out, "%s %lld", keys[i], (long long)json_integer_value(value));
		before = ", ";
	}
	if (json_array_size(json_object_get(object, "names"))) {
		fp_buffer_add_text(out, before);
		fp_words_names(out, object, NAMES_SAID);
	}
	json_decref(object);
}

static bool was_said(const char *const *said, size_t n, const char *attributes)
{
	for (size_t i = 0; i < n; i++)
		if (attributes == said[i] || (attributes && said[i] && strcmp(attributes, said[i]) == 0))
			return true;
	return false;
}

/* Each kind of deed once. */
static int add_reasons(struct fp_graph *findings, const struct fp_graph_node *node, json_t *list, struct fp_buffer *out)
{
	const char *said[REASONS_MAX];
	const uint32_t *edges;
	ssize_t n = fp_graph_edges_into(findings, node->index, &edges);
	size_t n_said = 0;

	if (n < 0)
		return (int)n;
	for (ssize_t i = 0; i < n && n_said < REASONS_MAX; i++) {
		fp_cleanup(fp_buffer_done) struct fp_buffer text = FP_BUFFER_INIT;
		const char *attributes = fp_graph_edge(findings, edges[i])->row.attributes;

		if (was_said(said, n_said, attributes))
			continue;
		add_details(attributes, &text);
		if (fp_buffer_error(&text) < 0)
			return -ENOMEM;
		if (list)
			json_array_append_new(list, fp_json_text(text.data ? text.data : ""));
		if (out)
			fp_buffer_add_format(out, "%s%s", n_said ? "; " : "", text.data ? text.data : "");
		said[n_said++] = attributes;
	}
	return 0;
}

static uint64_t count_of(struct fp_graph *findings, const struct fp_graph_node *node)
{
	const uint32_t *edges;
	ssize_t n = fp_graph_edges_into(findings, node->index, &edges);
	uint64_t count = 0;

	for (ssize_t i = 0; i < n; i++)
		count += fp_graph_edge(findings, edges[i])->row.count;
	return count;
}

int fp_finding_text(struct fp_graph *findings, const struct fp_graph_node *node, struct fp_buffer *out)
{
	uint64_t count = count_of(findings, node);
	const uint32_t *edges;
	ssize_t n;
	int r;

	fp_clean_add(out, node->row.label, 0);
	fp_buffer_add_text(out, ": ");
	r = add_reasons(findings, node, NULL, out);
	if (r < 0)
		return r;
	n = fp_graph_edges_into(findings, node->index, &edges);
	if (n > 0) {
		const struct fp_graph_edge *edge = fp_graph_edge(findings, edges[0]);
		const struct fp_store_node *process = &fp_graph_node(findings, edge->from)->row;

		fp_buffer_add_text(out, ", by ");
		fp_clean_add(out, process->label, 60);
		fp_buffer_add_format(out, "[%" PRId64 "]", fp_attribute_number(process->attributes, "pid", 0) ?:
				     fp_attribute_number(process->attributes, "host_pid", 0));
	}
	fp_buffer_add_text(out, " of ");
	fp_clean_add(out, node->row.function ? node->row.function : "an unknown function", 60);
	if (count > 1)
		fp_buffer_add_format(out, ", %" PRIu64 " times", count);
	return fp_buffer_error(out);
}

/* --- as JSON -------------------------------------------------------------------- */

static json_t *techniques_of(const struct fp_store_node *row)
{
	json_t *attributes = row->attributes ? json_loads(row->attributes, 0, NULL) : NULL;
	json_t *techniques = json_incref(json_object_get(attributes, "techniques"));

	json_decref(attributes);
	return techniques ? techniques : json_array();
}

/* The weakest of its evidence. */
static enum fp_attribution attribution_of(struct fp_graph *findings, const uint32_t *edges, ssize_t n)
{
	enum fp_attribution weakest = n > 0 ? FP_ATTRIBUTION_EXACT : FP_ATTRIBUTION_NONE;

	for (ssize_t i = 0; i < n; i++) {
		enum fp_attribution attribution = fp_graph_edge(findings, edges[i])->row.attribution;

		if (attribution == FP_ATTRIBUTION_NONE || attribution > weakest)
			weakest = attribution;
	}
	return weakest;
}

json_t *fp_finding_json(struct fp_graph *findings, const struct fp_graph_node *node)
{
	json_t *reasons = json_array(), *nodes = json_array(), *edges = json_array();
	const struct fp_store_node *row = &node->row;
	const uint32_t *into;
	ssize_t n;

	if (add_reasons(findings, node, reasons, NULL) < 0)
		return json_decref(reasons), json_decref(nodes), json_decref(edges), NULL;
	n = fp_graph_edges_into(findings, node->index, &into);
	json_array_append_new(nodes, fp_json_node(row));
	for (ssize_t i = 0; i < n && i < EVIDENCE_MAX; i++) {
		const struct fp_graph_edge *edge = fp_graph_edge(findings, into[i]);
		bool again = false;

		for (ssize_t j = 0; j < i && !again; j++)
			again = fp_graph_edge(findings, into[j])->from == edge->from;
		if (!again)
			json_array_append_new(nodes, fp_json_node(&fp_graph_node(findings, edge->from)->row));
		json_array_append_new(edges, fp_json_edge(&edge->row));
	}
	/* a rule found it: it is there for certain, and no chance enters */
	return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:f, s:n, s:o, s:o, s:o, s:o, s:I, s:s, s:I, s:o, s:o}", "id",
			 fp_json_id('n', row->id), "kind", row->label, "request",
			 row->has_request ? fp_json_request_id(row->request) : json_null(), "function",
			 fp_json_text(row->function), "instance", fp_json_text(row->instance), "host",
			 fp_json_text(row->host), "score", 1.0, "p_value", "reasons", reasons, "techniques",
			 techniques_of(row), "first", fp_json_time(row->first), "last", fp_json_time(row->last), "count",
			 (json_int_t)count_of(findings, node), "attribution",
			 fp_attribution_name(attribution_of(findings, into, n)), "more_edges",
			 (json_int_t)(n > EVIDENCE_MAX ? n - EVIDENCE_MAX : 0), "nodes", nodes, "edges", edges);
}

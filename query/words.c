#include "query/words.h"

#include <inttypes.h>
#include <string.h>

#include <jansson.h>

#include "base/text.h"
#include "query/clean.h"
#include "query/verbs.h"

void fp_words_offset(struct fp_buffer *out, uint64_t origin, uint64_t time)
{
	bool before = time < origin;
	uint64_t ms = (before ? origin - time : time - origin) / 1000000, s = ms / 1000;

	fp_buffer_add_text(out, before ? "-" : "+");
	if (s >= 3600)
		fp_buffer_add_format(out, "%" PRIu64 "h%02u", s / 3600, (unsigned)(s / 60 % 60));
	else if (s >= 60)
		fp_buffer_add_format(out, "%u", (unsigned)(s / 60));
	if (s >= 60)
		fp_buffer_add_format(out, "m%02u.%03us", (unsigned)(s % 60), (unsigned)(ms % 1000));
	else
		fp_buffer_add_format(out, "%u.%03us", (unsigned)s, (unsigned)(ms % 1000));
}

void fp_words_bytes(struct fp_buffer *out, uint64_t bytes)
{
	static const char *const units[] = {"kB", "MB", "GB", "TB", "PB", "EB"};
	double size = (double)bytes;
	int unit = -1;

	while (size >= 999.95 && unit < 5) {
		size /= 1000;
		unit++;
	}
	if (unit < 0)
		fp_buffer_add_format(out, "%" PRIu64 " B", bytes);
	else
		fp_buffer_add_format(out, "%.1f %s", size, units[unit]);
}

/* As things follow one another: what is written is read later.  Kinds that are not here come last. */
static const enum fp_edge_kind causal_order[] = {
	FP_EDGE_CALLS, FP_EDGE_CONNECT, FP_EDGE_ACCEPT, FP_EDGE_FORK,	 FP_EDGE_EXEC, FP_EDGE_CREATE,
	FP_EDGE_PUT,   FP_EDGE_WRITE,	FP_EDGE_SEND,	FP_EDGE_RECEIVE, FP_EDGE_READ, FP_EDGE_GET,
	FP_EDGE_LOAD,
};

void fp_words_kinds(struct fp_buffer *out, uint32_t kinds)
{
	size_t n = sizeof(causal_order) / sizeof(*causal_order);
	const char *before = "";

	for (size_t i = 0; i < n + 32; i++) {
		unsigned kind = i < n ? causal_order[i] : (unsigned)(i - n);

		if (!(kinds & 1u << kind) || !fp_edge_kind_name(kind))
			continue;
		fp_buffer_add_format(out, "%s%s", before, fp_edge_kind_name(kind));
		before = ", ";
		kinds &= ~(1u << kind);
	}
}

static void add_rules(struct fp_buffer *out, uint32_t rules)
{
	const char *before = ": ";

	for (unsigned i = 1; i < 32; i++)
		if (rules & 1u << i && fp_rule_name(i)) {
			fp_buffer_add_format(out, "%s%s", before, fp_rule_name(i));
			before = ", ";
		}
}

void fp_words_attribution(struct fp_buffer *out, const struct fp_view_edge *edge)
{
	if (edge->possible) {
		fp_buffer_add_text(out, "possible");
		return;
	}
	fp_buffer_add_text(out, fp_attribution_name(edge->attribution));
	if (edge->attribution == FP_ATTRIBUTION_DERIVED || edge->attribution == FP_ATTRIBUTION_AMBIGUOUS)
		add_rules(out, edge->rules);
}

void fp_words_candidates(struct fp_buffer *out, const char *candidates)
{
	const char *before = "";

	while (candidates && *candidates) {
		size_t len = strcspn(candidates, ",");
		size_t shown = len < FP_SHORT_ID ? len : FP_SHORT_ID;
		char id[FP_SHORT_ID + 1];

		snprintf(id, sizeof(id), "%.*s", (int)shown, candidates + len - shown);
		fp_buffer_add_format(out, "%s…", before);
		fp_clean_add(out, id, 0);
		before = ", ";
		candidates += len + (candidates[len] == ',');
	}
}

void fp_words_id(struct fp_buffer *out, const uint8_t id[FP_REQUEST_ID_SIZE])
{
	char text[2 * FP_REQUEST_ID_SIZE + 1];

	fp_hex(id, FP_REQUEST_ID_SIZE, text);
	fp_buffer_add_format(out, "…%s", text + strlen(text) - FP_SHORT_ID);
}

void fp_words_request(struct fp_buffer *out, const struct fp_store_request *request, size_t columns)
{
	fp_clean_add(out, request->function ? request->function : "unknown function", columns);
	if (request->method) {
		fp_buffer_add_text(out, " ");
		fp_clean_add(out, request->method, 12);
	}
	if (request->url) {
		fp_buffer_add_text(out, " ");
		fp_clean_add(out, request->url, columns);
	}
}

const char *fp_words_unit(const struct fp_store_node *row)
{
	if (fp_graph_ambiguous(row))
		return "several requests could have done this";
	return row->unit == FP_UNIT_STARTUP ? "start-up, outside any request" : "background, outside any request";
}

void fp_words_question(struct fp_buffer *out, const struct fp_answer *answer)
{
	const struct fp_question *question = answer->question;
	unsigned directions = question->directions;

	if (answer->path) {
		fp_buffer_add_text(out, "How ");
		fp_clean_add(out, question->arguments[0], 48);
		fp_buffer_add_text(out, " came to cause ");
		fp_clean_add(out, question->arguments[1], 48);
		return;
	}
	fp_buffer_add_text(out, directions == FP_SLICE_FORWARD ? "What " : "What caused ");
	if (answer->asked.n == 1) {
		fp_buffer_add_text(out, "request ");
		fp_words_id(out, answer->asked.rows[0].id);
		fp_buffer_add_text(out, " (");
		fp_words_request(out, &answer->asked.rows[0], 40);
		fp_buffer_add_text(out, ")");
	} else if (question->n_arguments > 0) {
		fp_clean_add(out, question->arguments[0], 60);
		if (question->n_arguments > 1)
			fp_buffer_add_format(out, " and %d more", question->n_arguments - 1);
	}
	if (directions == FP_SLICE_FORWARD)
		fp_buffer_add_text(out, " caused");
	else if (directions & FP_SLICE_FORWARD)
		fp_buffer_add_text(out, ", and what it caused");
}

void fp_words_completeness(struct fp_buffer *out, const struct fp_answer *answer)
{
	if (fp_answer_complete(answer)) {
		fp_buffer_add_text(out, "complete: nothing known to be missing");
		return;
	}
	fp_buffer_add_text(out, "incomplete: ");
	for (size_t i = 0; i < answer->n_missing && i < 3; i++) {
		fp_buffer_add_text(out, i > 0 ? "; " : "");
		fp_clean_add(out, answer->missing[i].text, 160);
	}
	if (answer->n_missing > 3)
		fp_buffer_add_format(out, "; and %zu more", answer->n_missing - 3);
}

void fp_words_folded(struct fp_buffer *out, const struct fp_view *view)
{
	size_t all = fp_graph_nodes(view->answer->graph);

	if (view->n_nodes == all)
		return;
	fp_buffer_add_format(out, "%zu nodes drawn as %zu", all, view->n_nodes);
	if (view->n_files > 0)
		fp_buffer_add_format(out, "; %zu file%s of the image folded into the processes that used them",
				     view->n_files, view->n_files == 1 ? "" : "s");
	if (view->n_folded > 0)
		fp_buffer_add_format(out, "; %zu folded with others to keep this readable (--max-nodes)", view->n_folded);
}

void fp_words_dead_ends(struct fp_buffer *out, const struct fp_view_node *node)
{
	if (node->n_dead == 0)
		return;
	fp_buffer_add_text(out, "wrote ");
	fp_words_bytes(out, node->dead_bytes);
	if (node->n_dead == 1)
		fp_buffer_add_text(out, " to a pipe that nothing here reads");
	else
		fp_buffer_add_format(out, " to %zu pipes that nothing here reads", node->n_dead);
}

/* --- what failed ------------------------------------------------------------- */

/* Of one process so many are told, and so many names of each; JSON has all. */
#define FAILURES_MOST 8
#define NAMES_MOST 4
#define NAME_COLUMNS 60

void fp_words_names(struct fp_buffer *out, const json_t *object, size_t most)
{
	const json_t *names = json_object_get(object, "names");
	size_t n = json_array_size(names);

	for (size_t i = 0; i < n && i < most; i++) {
		fp_buffer_add_text(out, i ? ", " : "");
		fp_clean_add(out, json_string_value(json_array_get(names, i)) ?: "", NAME_COLUMNS);
	}
	if (n > most)
		fp_buffer_add_format(out, " and %zu more", n - most);
	if (json_is_true(json_object_get(object, "more_names")))
		fp_buffer_add_text(out, " and others");
}

static void add_failure(struct fp_buffer *out, const json_t *failure)
{
	const char *operation = json_string_value(json_object_get(failure, "operation"));
	const json_t *error = json_object_get(failure, "error");
	json_int_t count = json_integer_value(json_object_get(failure, "count"));

	fp_clean_add(out, operation ?: "call", 0);
	if (json_is_string(error)) {
		fp_buffer_add_text(out, " ");
		fp_clean_add(out, json_string_value(error), 0);
	} else {
		fp_buffer_add_format(out, " error %" JSON_INTEGER_FORMAT, json_integer_value(error));
	}
	if (count > 1)
		fp_buffer_add_format(out, " %" JSON_INTEGER_FORMAT " times", count);
	if (json_array_size(json_object_get(failure, "names")) == 0)
		return;
	fp_buffer_add_text(out, " (");
	fp_words_names(out, failure, NAMES_MOST);
	fp_buffer_add_text(out, ")");
}

void fp_words_failures(struct fp_buffer *out, const char *attributes)
{
	json_t *object = attributes ? json_loads(attributes, 0, NULL) : NULL;
	const json_t *failures = json_object_get(object, "failed");
	size_t n = json_array_size(failures);

	for (size_t i = 0; i < n && i < FAILURES_MOST; i++) {
		fp_buffer_add_text(out, i ? "; " : "");
		add_failure(out, json_array_get(failures, i));
	}
	if (n > FAILURES_MOST)
		fp_buffer_add_format(out, "; and %zu more", n - FAILURES_MOST);
	json_decref(object);
}

/* --- files of the image --------------------------------------------------- */

struct telling {
	uint32_t file;
	ssize_t users;
	bool loaded;
	const char *label;
};

/* Data says more than code, and what few use more than what all do. */
static int compare_telling(const void *a, const void *b)
{
	const struct telling *x = a, *y = b;

	if (x->loaded != y->loaded)
		return x->loaded ? 1 : -1;
	if (x->users != y->users)
		return x->users < y->users ? -1 : 1;
	return strcmp(x->label, y->label);
}

void fp_words_files(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_node *node, size_t most,
		    size_t columns)
{
	struct fp_graph *graph = view->answer->graph;
	fp_cleanup(fp_freep) struct telling *list = calloc(node->n_files + 1, sizeof(*list));

	for (size_t i = 0; list && i < node->n_files; i++) {
		const char *label = fp_graph_node(graph, node->files[i])->row.label;
		const uint32_t *out_of;
		ssize_t n = fp_graph_edges_out_of(graph, node->files[i], &out_of);

		list[i] = (struct telling){.file = node->files[i], .users = n, .label = label ? label : "?"};
		for (ssize_t j = 0; j < n; j++)
			list[i].loaded |= fp_graph_edge(graph, out_of[j])->row.kind == FP_EDGE_LOAD;
	}
	if (!list)
		return;
	qsort(list, node->n_files, sizeof(*list), compare_telling);
	for (size_t i = 0; i < node->n_files && i < most; i++) {
		fp_buffer_add_text(out, i > 0 ? ", " : "");
		fp_clean_add(out, list[i].label, columns);
	}
	if (node->n_files > most)
		fp_buffer_add_format(out, ", …");
}

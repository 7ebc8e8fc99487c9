#include "query/render/labels.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "query/attributes.h"
#include "query/clean.h"
#include "query/words.h"

#define COLUMNS 44
#define GRAY "<font point-size=\"9\" color=\"#5f6368\">"
#define END "</font>"
#define LINE "<br/>"

/* Words are clean text; here they get what markup needs. */
static void add_words(struct fp_buffer *out, const struct fp_buffer *words)
{
	fp_clean_add_xml(out, words->data, 0);
}

/* --- nodes ---------------------------------------------------------------- */

static const struct fp_store_node *row_of(const struct fp_view *view, const struct fp_view_node *node)
{
	return &fp_graph_node(view->answer->graph, node->members[0])->row;
}

/* The command line, when it says more than the program's name. */
static void add_arguments(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_node *node)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer argv = FP_BUFFER_INIT;

	if (node->folded || !fp_attribute_text(row_of(view, node)->attributes, "argv", &argv) || !strchr(argv.data, ' '))
		return;
	fp_buffer_add_text(out, LINE GRAY);
	fp_clean_add_xml(out, argv.data, COLUMNS);
	fp_buffer_add_text(out, END);
}

static void add_files(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_node *node)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer names = FP_BUFFER_INIT;

	if (node->n_files == 0)
		return;
	fp_buffer_add_format(out, LINE GRAY "<i>%zu file%s of the image: ", node->n_files, node->n_files == 1 ? "" : "s");
	fp_words_files(&names, view, node, 2, 24);
	add_words(out, &names);
	fp_buffer_add_text(out, "</i>" END);
}

/* Where something stands that no frame says it of. */
static void add_place(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_node *node)
{
	const struct fp_store_node *row = row_of(view, node);

	if (node->cluster != FP_NO_CLUSTER || node->kind == FP_NODE_CLIENT || node->kind == FP_NODE_HOST ||
	    node->folded || !(row->instance || row->host))
		return;
	fp_buffer_add_text(out, LINE GRAY "in ");
	fp_clean_add_xml(out, row->instance ? row->instance : "host", COLUMNS);
	if (row->host) {
		fp_buffer_add_text(out, " on ");
		fp_clean_add_xml(out, row->host, COLUMNS);
	}
	fp_buffer_add_text(out, END);
}

void fp_label_node(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_node *node)
{
	if (node->link)
		fp_buffer_add_text(out, "<font color=\"#b00020\">" FP_STAR "</font> ");
	fp_buffer_add_text(out, "<b>");
	fp_clean_add_xml(out, node->label, COLUMNS);
	fp_buffer_add_text(out, "</b>");
	if (node->link)
		fp_buffer_add_text(out, LINE "<font point-size=\"9\" color=\"#b00020\">links requests</font>");
	if (node->kind == FP_NODE_HOST)
		fp_buffer_add_text(out, LINE GRAY "not recorded" END);
	add_arguments(out, view, node);
	add_files(out, view, node);
	add_place(out, view, node);
}

void fp_tooltip_node(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_node *node)
{
	const struct fp_store_node *row = row_of(view, node);
	char first[FP_TIME_TEXT_SIZE], last[FP_TIME_TEXT_SIZE];

	fp_time_text(node->first, first);
	fp_time_text(row->last, last);
	fp_clean_add_dot(out, row->key, 160);
	fp_buffer_add_format(out, "\\n%s … %s", first, last);
	for (size_t i = 0; i < node->n_members + node->n_files && i < 40; i++) {
		bool file = i >= node->n_members;
		uint32_t member = file ? node->files[i - node->n_members] : node->members[i];

		if (i == 0)
			continue;
		fp_buffer_add_text(out, "\\n");
		fp_clean_add_dot(out, fp_graph_node(view->answer->graph, member)->row.label, 100);
	}
	if (node->n_members + node->n_files > 40)
		fp_buffer_add_format(out, "\\n… %zu more", node->n_members + node->n_files - 40);
}

/* --- frames --------------------------------------------------------------- */

static void add_instance(struct fp_buffer *out, const char *instance, const char *host)
{
	if (!instance && !host)
		return;
	fp_buffer_add_text(out, LINE GRAY "instance ");
	fp_clean_add_xml(out, instance ? instance : "-", COLUMNS);
	if (host) {
		fp_buffer_add_text(out, " on ");
		fp_clean_add_xml(out, host, COLUMNS);
	}
	fp_buffer_add_text(out, END);
}

static void add_request(struct fp_buffer *out, const struct fp_view *view, const struct fp_store_request *request)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer words = FP_BUFFER_INIT;

	fp_buffer_add_text(&words, "request ");
	fp_words_id(&words, request->id);
	if (request->call_id) {
		fp_buffer_add_text(&words, " · X-Call-Id ");
		fp_clean_add(&words, request->call_id, 24);
	}
	fp_buffer_add_text(&words, " · ");
	fp_words_offset(&words, view->answer->origin, request->first);
	if (request->last) {
		fp_buffer_add_text(&words, " to ");
		fp_words_offset(&words, view->answer->origin, request->last);
	} else {
		fp_buffer_add_text(&words, ", no end recorded");
	}
	if (request->status >= 0)
		fp_buffer_add_format(&words, " · status %" PRId64, request->status);
	add_words(out, &words);
}

void fp_label_cluster(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_cluster *cluster)
{
	const struct fp_store_node *sample = cluster->sample;
	const struct fp_store_request *request =
		cluster->request >= 0 ? &view->answer->requests.rows[cluster->request] : NULL;

	if (!request) {
		fp_buffer_add_text(out, "<b>");
		fp_clean_add_xml(out, sample->function ? sample->function : "host", COLUMNS);
		fp_buffer_add_format(out, "</b>" LINE GRAY "%s, outside any request" END,
				     sample->unit == FP_UNIT_STARTUP ? "start-up" :
				     strstr(sample->key, ":ambiguous") ? "request not certain" :
									 "background");
		add_instance(out, sample->instance, sample->host);
		return;
	}
	fp_buffer_add_text(out, "<b>");
	fp_clean_add_xml(out, request->function ? request->function : "unknown function", COLUMNS);
	fp_buffer_add_text(out, "</b> ");
	fp_clean_add_xml(out, request->method, 12);
	fp_buffer_add_text(out, " ");
	fp_clean_add_xml(out, request->url, 32);
	if (cluster->asked)
		fp_buffer_add_text(out, " <font color=\"#1a56db\"><b>◀ asked about</b></font>");
	fp_buffer_add_text(out, LINE GRAY);
	add_request(out, view, request);
	fp_buffer_add_text(out, END);
	add_instance(out, request->instance, request->host);
}

void fp_label_root(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_cluster *cluster)
{
	const struct fp_store_request *request = &view->answer->requests.rows[cluster->request];
	char time[FP_TIME_TEXT_SIZE];

	fp_time_text(request->first, time);
	fp_buffer_add_text(out, "<b>Call from outside</b> at ");
	fp_clean_add_xml(out, time, 0);
}

/* --- edges ---------------------------------------------------------------- */

static void edge_words(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_edge *edge)
{
	fp_words_kinds(out, edge->kinds);
	if (edge->possible) {
		fp_buffer_add_text(out, " (possible)");
		return;
	}
	if (edge->bytes > 0) {
		fp_buffer_add_text(out, " ");
		fp_words_bytes(out, edge->bytes);
	}
	fp_buffer_add_text(out, " ");
	fp_words_offset(out, view->answer->origin, edge->first);
}

static void add_edge(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_edge *edge)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer words = FP_BUFFER_INIT, names = FP_BUFFER_INIT;

	edge_words(&words, view, edge);
	add_words(out, &words);
	if (!edge->candidates)
		return;
	fp_words_candidates(&names, edge->candidates);
	fp_buffer_add_text(out, LINE "<font color=\"#b00020\">one of ");
	fp_clean_add_xml(out, names.data, 60);
	fp_buffer_add_text(out, END);
}

void fp_label_edge(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_edge *edge,
		   const struct fp_view_edge *back)
{
	add_edge(out, view, edge);
	if (!back)
		return;
	fp_buffer_add_text(out, LINE "<font color=\"#5f6368\">↩ ");
	add_edge(out, view, back);
	fp_buffer_add_text(out, END);
}

void fp_tooltip_edge(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_edge *edge)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer words = FP_BUFFER_INIT;
	char first[FP_TIME_TEXT_SIZE], last[FP_TIME_TEXT_SIZE];

	fp_time_text(edge->first, first);
	fp_time_text(edge->last, last);
	edge_words(&words, view, edge);
	fp_buffer_add_text(&words, ", ");
	fp_words_attribution(&words, edge);
	fp_clean_add_dot(out, words.data, 0);
	fp_buffer_add_format(out, "\\n%" PRIu64 " operation%s, %s … %s", edge->count, edge->count == 1 ? "" : "s", first,
			     last);
}

/* --- title ---------------------------------------------------------------- */

static const char legend[] =
	"<font point-size=\"10\" color=\"#5f6368\">How to read it: arrows lead from cause to effect, time runs downwards; "
	"+s counts from the first event.  ━━ exact (a kernel object proves it)   ╍╍ derived (by a named rule)   "
	"<font color=\"#b00020\">┄┄ ambiguous (several requests could have done it)</font>" LINE
	"One frame is one request, frames of one colour are the same warm container.  "
	"<font color=\"#b00020\">" FP_STAR
	"</font> was written in one request and used in another.  Rounded boxes are processes, dog-eared ones files, "
	"cylinders objects of an application protocol, ellipses peers that nobody recorded.</font>";

void fp_label_title(struct fp_buffer *out, const struct fp_view *view)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer question = FP_BUFFER_INIT, complete = FP_BUFFER_INIT,
						   folded = FP_BUFFER_INIT;
	char origin[FP_TIME_TEXT_SIZE];

	fp_words_question(&question, view->answer);
	fp_words_completeness(&complete, view->answer);
	fp_words_folded(&folded, view);
	fp_time_text(view->answer->origin, origin);
	fp_buffer_add_text(out, "<font point-size=\"18\"><b>");
	add_words(out, &question);
	fp_buffer_add_format(out, "</b></font>" LINE "<font point-size=\"12\" color=\"%s\"><b>",
			     fp_answer_complete(view->answer) ? "#137333" : "#b00020");
	add_words(out, &complete);
	fp_buffer_add_format(out, "</b></font>" LINE "<font point-size=\"10\" color=\"#5f6368\">first event %s", origin);
	if (folded.len > 0) {
		fp_buffer_add_text(out, " · ");
		add_words(out, &folded);
	}
	fp_buffer_add_text(out, END LINE);
	fp_buffer_add_text(out, legend);
	fp_buffer_add_text(out, LINE " ");
}

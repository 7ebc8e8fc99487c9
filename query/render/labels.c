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
#define LEFT "<br align=\"left\"/>"
/* Command lines are evidence: three lines of them are worth their room. */
#define ARGV_COLUMNS 52
#define ARGV_LINES 3

/* Words are clean text; here they get what markup needs. */
static void add_words(struct fp_buffer *out, const struct fp_buffer *words)
{
	fp_clean_add_xml(out, words->data, 0);
}

/* A name in bold; Graphviz does not take an empty one. */
static void add_bold(struct fp_buffer *out, const char *name, const char *otherwise)
{
	fp_buffer_add_text(out, "<b>");
	fp_clean_add_xml(out, name && *name ? name : otherwise, COLUMNS);
	fp_buffer_add_text(out, "</b>");
}

/* --- nodes ---------------------------------------------------------------- */

static const struct fp_store_node *row_of(const struct fp_view *view, const struct fp_view_node *node)
{
	return &fp_graph_node(view->answer->graph, node->members[0])->row;
}

/* Breaks clean text into lines, at spaces where there are any near the end of one. */
static void add_wrapped(struct fp_buffer *out, const char *clean)
{
	while (*clean) {
		size_t len = 0, columns = 0, space = 0;

		while (clean[len] && columns < ARGV_COLUMNS) {
			if (clean[len] == ' ' && columns > ARGV_COLUMNS / 2)
				space = len;
			do
				len++;
			while (((unsigned char)clean[len] >> 6) == 2);
			columns++;
		}
		if (clean[len] && space)
			len = space + 1;
		fp_cleanup(fp_freep) char *line = strndup(clean, len);

		fp_clean_add_xml(out, line, 0);
		clean += len;
		if (*clean)
			fp_buffer_add_text(out, LINE);
	}
}

/* The command line, when it says more than the program's name. */
static void add_arguments(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_node *node)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer argv = FP_BUFFER_INIT, clean = FP_BUFFER_INIT;

	if (node->folded || !fp_attribute_text(row_of(view, node)->attributes, "argv", &argv) || !strchr(argv.data, ' '))
		return;
	fp_clean_add(&clean, argv.data, ARGV_COLUMNS * ARGV_LINES);
	fp_buffer_add_text(out, LINE GRAY);
	add_wrapped(out, clean.data);
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

static void add_dead_ends(struct fp_buffer *out, const struct fp_view_node *node)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer words = FP_BUFFER_INIT;

	if (node->n_dead == 0)
		return;
	fp_words_dead_ends(&words, node);
	fp_buffer_add_text(out, LINE GRAY "<i>");
	add_words(out, &words);
	fp_buffer_add_text(out, "</i>" END);
}

static void add_failures(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_node *node)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer words = FP_BUFFER_INIT;

	if (node->folded || node->kind != FP_NODE_PROCESS)
		return;
	fp_words_failures(&words, row_of(view, node)->attributes);
	if (words.len == 0)
		return;
	fp_buffer_add_text(out, LINE GRAY "<i>failed: ");
	add_wrapped(out, words.data);
	fp_buffer_add_text(out, "</i>" END);
}

/* Where something stands that no frame says it of. */
static void add_place(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_node *node)
{
	const struct fp_store_node *row = row_of(view, node);

	if (node->cluster != FP_NO_CLUSTER || node->kind == FP_NODE_CLIENT || node->kind == FP_NODE_HOST ||
	    (node->kind == FP_NODE_OBJECT && !fp_graph_possible(row->id)) || node->folded || !(row->instance || row->host))
		return;
	fp_buffer_add_text(out, LINE GRAY "in ");
	fp_clean_add_xml(out, row->instance ? row->instance : "host", COLUMNS);
	if (row->host) {
		fp_buffer_add_text(out, " on ");
		fp_clean_add_xml(out, row->host, COLUMNS);
	}
	fp_buffer_add_text(out, END);
}

/* What a request is: on the node that stands for it, else on its frame. */
static void add_request(struct fp_buffer *out, const struct fp_view *view, const struct fp_store_request *request,
			bool asked)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer words = FP_BUFFER_INIT;

	if (asked)
		fp_buffer_add_text(out, "<font color=\"#1a56db\"><b>asked about ▶</b></font> ");
	fp_buffer_add_text(out, "<font point-size=\"13\">");
	add_bold(out, request->function, "unknown function");
	fp_buffer_add_text(out, "</font> ");
	fp_clean_add_xml(out, request->method, 12);
	fp_buffer_add_text(out, " ");
	fp_clean_add_xml(out, request->url, 32);
	fp_buffer_add_text(&words, "request ");
	fp_words_id(&words, request->id);
	if (request->call_id) {
		fp_buffer_add_text(&words, " · X-Call-Id ");
		fp_clean_add(&words, request->call_id, 24);
	}
	fp_buffer_add_text(out, LINE GRAY);
	add_words(out, &words);
	fp_buffer_clear(&words);
	fp_words_offset(&words, view->answer->origin, request->first);
	if (request->last) {
		fp_buffer_add_text(&words, " to ");
		fp_words_offset(&words, view->answer->origin, request->last);
	} else {
		fp_buffer_add_text(&words, ", no end recorded");
	}
	if (request->status >= 0)
		fp_buffer_add_format(&words, " · status %" PRId64, request->status);
	fp_buffer_add_text(out, LINE);
	add_words(out, &words);
	fp_buffer_add_text(out, END);
}

static const struct fp_store_request *request_of(const struct fp_view *view, const struct fp_view_node *node)
{
	ssize_t request = node->cluster == FP_NO_CLUSTER ? -1 : view->clusters[node->cluster].request;

	return request >= 0 && node->request && !node->folded ? &view->answer->requests.rows[request] : NULL;
}

void fp_label_node(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_node *node)
{
	const struct fp_store_request *request = request_of(view, node);

	if (request) {
		add_request(out, view, request, view->clusters[node->cluster].asked);
		if (node->kind == FP_NODE_REQUEST)
			return;
		fp_buffer_add_text(out, LINE);
	}
	if (node->link)
		fp_buffer_add_text(out, "<font color=\"#b00020\">" FP_STAR "</font> ");
	add_bold(out, node->label, "(no name)");
	if (node->link)
		fp_buffer_add_text(out, LINE "<font point-size=\"9\" color=\"#b00020\">links requests</font>");
	if (node->kind == FP_NODE_HOST)
		fp_buffer_add_text(out, LINE GRAY "not recorded" END);
	add_arguments(out, view, node);
	add_files(out, view, node);
	add_dead_ends(out, node);
	add_failures(out, view, node);
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
	fp_buffer_add_text(out, GRAY "instance ");
	fp_clean_add_xml(out, instance ? instance : "-", COLUMNS);
	if (host) {
		fp_buffer_add_text(out, " on ");
		fp_clean_add_xml(out, host, COLUMNS);
	}
	fp_buffer_add_text(out, END LEFT);
}

/* Whether a node in the frame says what request it is. */
static bool has_head(const struct fp_view *view, const struct fp_view_cluster *cluster)
{
	for (size_t i = 0; i < view->n_nodes; i++)
		if (view->nodes[i].cluster != FP_NO_CLUSTER && &view->clusters[view->nodes[i].cluster] == cluster &&
		    request_of(view, &view->nodes[i]))
			return true;
	return false;
}

void fp_label_cluster(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_cluster *cluster)
{
	const struct fp_store_node *sample = cluster->sample;

	if (cluster->request < 0) {
		add_bold(out, sample->function, "host");
		fp_buffer_add_format(out, " %s" LEFT, fp_words_unit(sample));
	} else if (!has_head(view, cluster)) {
		add_request(out, view, &view->answer->requests.rows[cluster->request], cluster->asked);
		fp_buffer_add_text(out, LEFT);
	}
	add_instance(out, sample ? sample->instance : NULL, sample ? sample->host : NULL);
}

void fp_label_root(struct fp_buffer *out, const struct fp_view *view, const struct fp_view_cluster *cluster)
{
	const struct fp_store_request *request = &view->answer->requests.rows[cluster->request];
	char time[FP_TIME_TEXT_SIZE];

	fp_time_text(request->first, time);
	fp_buffer_add_text(out, "<b>Call from outside</b> at ");
	fp_clean_add_xml(out, time, 0);
	fp_buffer_add_text(out, LEFT);
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
	fp_buffer_add_text(out, "&#160;");
	add_words(out, &words);
	fp_buffer_add_text(out, "&#160;");
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
	"<font point-size=\"10\" color=\"#5f6368\">How to read it: arrows lead from cause to effect, time runs downwards in a call and to the right from call to call; "
	"+s counts from the first event.  ━━ exact (a kernel object proves it)   ╍╍ derived (by a named rule)   "
	"<font color=\"#b00020\">┄┄ ambiguous (several requests could have done it)</font>" LEFT
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
	fp_buffer_add_format(out, "</b></font>" LEFT "<font point-size=\"13\" color=\"%s\"><b>",
			     fp_answer_complete(view->answer) ? "#137333" : "#b00020");
	add_words(out, &complete);
	fp_buffer_add_format(out, "</b></font>" LEFT "<font point-size=\"10\" color=\"#5f6368\">first event %s", origin);
	if (folded.len > 0) {
		fp_buffer_add_text(out, " · ");
		add_words(out, &folded);
	}
	fp_buffer_add_text(out, END LEFT);
	fp_buffer_add_text(out, legend);
	fp_buffer_add_text(out, LEFT " ");
}

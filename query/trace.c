/* trace, slice and path: an answer is made, folded for people, and written. */
#include <errno.h>
#include <string.h>

#include "graph/path.h"
#include "graph/slice.h"
#include "query/answer.h"
#include "query/json.h"
#include "query/output.h"
#include "query/prov.h"
#include "query/render/graphml.h"
#include "query/render/picture.h"
#include "query/report.h"
#include "query/resolve.h"
#include "query/session.h"
#include "query/verbs.h"

static int draw(const struct fp_view *view, FILE *out)
{
	enum fp_layout layout;
	int r = fp_picture_write(view, fp_format_name(view->answer->question->format), FP_PICTURE_SECONDS, out, &layout);

	if (r == 0 && layout != FP_LAYOUT_FULL)
		fp_log(FP_LOG_WARNING, "the full layout failed or took too long", "layout=%s",
		       layout == FP_LAYOUT_PLAIN ? "plain" : "packed");
	return r;
}

static int write_view(void *arg, FILE *out)
{
	const struct fp_view *view = arg;

	switch (view->answer->question->format) {
	case FP_FORMAT_JSON:
		return fp_json_answer(view, view->answer->question->max_nodes > 0, out);
	case FP_FORMAT_DOT:
		return fp_dot_write(view, out);
	case FP_FORMAT_SVG:
	case FP_FORMAT_PNG:
		return draw(view, out);
	case FP_FORMAT_GRAPHML:
		return fp_graphml_answer(view->answer, out);
	case FP_FORMAT_PROV_JSON:
		return fp_prov_json(view->answer, out);
	case FP_FORMAT_PROV_N:
		return fp_prov_n(view->answer, out);
	default:
		return fp_report_write(view, out);
	}
}

static enum fp_exit put_out(const struct fp_answer *answer)
{
	const struct fp_question *question = answer->question;
	fp_cleanup(fp_view_freep) struct fp_view *view = NULL;

	/* Programs get all that is not of the image, people what they can take in. */
	if (fp_view_new(answer, question->format == FP_FORMAT_JSON ? 0 : question->max_nodes, &view) < 0)
		return fp_fail(FP_EXIT_SYSTEM, "out of memory");
	return fp_output_write(answer->question, write_view, view);
}

static enum fp_exit finish(struct fp_session *session, struct fp_answer *answer, int r)
{
	if (r >= 0)
		r = fp_answer_finish(answer, session->store, session->behind, session->foreign);
	if (r < 0)
		return fp_session_fail(session, answer->question, r);
	return put_out(answer);
}

/* Opens the store and hands an empty answer to `fill`. */
static int with_answer(const struct fp_question *question,
		       enum fp_exit (*fill)(struct fp_session *session, struct fp_answer *answer))
{
	fp_cleanup(fp_answer_freep) struct fp_answer *answer = NULL;
	struct fp_session session = FP_SESSION_INIT;
	enum fp_exit code = fp_session_open(&session, question, true);

	if (code == FP_EXIT_DONE) {
		if (fp_answer_new(question, &answer) < 0)
			code = fp_fail(FP_EXIT_SYSTEM, "out of memory");
		else
			code = fill(&session, answer);
	}
	fp_session_done(&session);
	return code;
}

static enum fp_exit fill_trace(struct fp_session *session, struct fp_answer *answer)
{
	enum fp_exit code =
		fp_resolve_request(session->store, answer->question, answer->question->arguments[0], &answer->asked);

	if (code != FP_EXIT_DONE)
		return code;
	return finish(session, answer, fp_answer_slice(answer, session->store, NULL));
}

static enum fp_exit fill_slice(struct fp_session *session, struct fp_answer *answer)
{
	const struct fp_question *question = answer->question;
	fp_cleanup(fp_graph_freep) struct fp_graph *starts = NULL;

	if (fp_graph_new(&starts) < 0)
		return fp_fail(FP_EXIT_SYSTEM, "out of memory");
	for (int i = 0; i < question->n_arguments; i++) {
		enum fp_exit code =
			fp_resolve_nodes(session->store, question, question->arguments[i], starts, &answer->asked);

		if (code != FP_EXIT_DONE)
			return code;
	}
	return finish(session, answer, fp_answer_slice(answer, session->store, starts));
}

int fp_verb_trace(const struct fp_question *question)
{
	return with_answer(question, fill_trace);
}

int fp_verb_slice(const struct fp_question *question)
{
	return with_answer(question, fill_slice);
}

/* --- path ----------------------------------------------------------------- */

struct end {
	struct fp_graph *nodes;
	struct fp_requests requests;
};

/* A bare name is a request, as for trace; anything with a colon is a node. */
static enum fp_exit resolve_end(struct fp_session *session, const struct fp_question *question, int argument,
				struct end *end)
{
	const char *name = question->arguments[argument];

	if (fp_graph_new(&end->nodes) < 0)
		return fp_fail(FP_EXIT_SYSTEM, "out of memory");
	if (strchr(name, ':') || (name[0] == 'n' && name[1] >= '0' && name[1] <= '9'))
		return fp_resolve_nodes(session->store, question, name, end->nodes, &end->requests);
	return fp_resolve_request(session->store, question, name, &end->requests);
}

/* A slice of its own from one end. */
static int slice_end(const struct fp_answer *answer, struct fp_store *store, struct fp_graph *within, struct end *end,
		     enum fp_slice_direction direction, struct fp_answer **ret_answer)
{
	fp_cleanup(fp_answer_freep) struct fp_answer *made = NULL;
	int r = fp_answer_new(answer->question, &made);

	if (r < 0)
		return r;
	made->all_writers = true;
	for (size_t i = 0; r >= 0 && i < end->requests.n; i++)
		r = fp_requests_add(&made->asked, &end->requests.rows[i]);
	if (r >= 0)
		r = fp_answer_slice_one(made, store, within, end->nodes, direction);
	if (r < 0)
		return r;
	*ret_answer = made;
	made = NULL;
	return 0;
}

static ssize_t starts_of(const struct fp_graph *slice, const struct fp_graph *graph, uint32_t **ret_list)
{
	uint32_t *list = malloc((fp_graph_nodes(slice) + 1) * sizeof(*list));
	ssize_t n = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < fp_graph_nodes(slice); i++) {
		const struct fp_graph_node *node = fp_graph_node(slice, i);
		const struct fp_graph_node *here = node->start ? fp_graph_find_node(graph, node->row.id) : NULL;

		if (here)
			list[n++] = here->index;
	}
	*ret_list = list;
	return n;
}

/* The path's own nodes and edges are the answer; without edges, the node that is at both ends. */
static int keep_path(struct fp_answer *answer, struct fp_graph *graph, uint32_t both, const uint32_t *path, size_t n)
{
	struct fp_graph_node *node;

	if (n == 0 && fp_graph_add_node(answer->graph, &fp_graph_node(graph, both)->row, &node) < 0)
		return -ENOMEM;
	answer->path = calloc(n + 1, sizeof(*answer->path));
	if (!answer->path)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct fp_graph_edge *edge = fp_graph_edge(graph, path[i]);
		struct fp_graph_edge *kept;
		int r = fp_graph_add_node(answer->graph, &fp_graph_node(graph, edge->from)->row, &node);

		if (r == 0)
			r = fp_graph_add_node(answer->graph, &fp_graph_node(graph, edge->to)->row, &node);
		if (r == 0)
			r = fp_graph_add_edge(answer->graph, &edge->row, &kept);
		if (r < 0)
			return r;
		kept->slices = FP_SLICE_BACKWARD | FP_SLICE_FORWARD;
		answer->path[answer->n_path++] = kept->index;
	}
	for (size_t i = 0; i < fp_graph_nodes(answer->graph); i++)
		fp_graph_node(answer->graph, i)->slices = FP_SLICE_BACKWARD | FP_SLICE_FORWARD;
	return 0;
}

/* What lies between: forward from one end, and of that, backward from the other. */
static int find_path(struct fp_session *session, struct fp_answer *answer, struct end *from, struct end *to)
{
	fp_cleanup(fp_answer_freep) struct fp_answer *forward = NULL, *between = NULL;
	fp_cleanup(fp_freep) uint32_t *sources = NULL, *targets = NULL, *path = NULL;
	ssize_t n_sources, n_targets, n;
	int r = slice_end(answer, session->store, NULL, from, FP_SLICE_FORWARD, &forward);

	if (r < 0)
		return r;
	r = slice_end(answer, session->store, forward->graph, to, FP_SLICE_BACKWARD, &between);
	if (r < 0)
		return r;
	n_sources = starts_of(forward->graph, between->graph, &sources);
	n_targets = starts_of(between->graph, between->graph, &targets);
	if (n_sources < 0 || n_targets < 0)
		return -ENOMEM;
	n = fp_path_shortest(between->graph, sources, (size_t)n_sources, targets, (size_t)n_targets, &path);
	return n < 0 ? (int)n : keep_path(answer, between->graph, targets[0], path, (size_t)n);
}

static enum fp_exit fill_path(struct fp_session *session, struct fp_answer *answer)
{
	const struct fp_question *question = answer->question;
	struct end from = {0}, to = {0};
	enum fp_exit code = resolve_end(session, question, 0, &from);

	if (code == FP_EXIT_DONE)
		code = resolve_end(session, question, 1, &to);
	if (code == FP_EXIT_DONE) {
		int r = find_path(session, answer, &from, &to);

		if (r == -ENOENT)
			code = fp_fail(FP_EXIT_NOTHING, "no causal path from %s to %s", question->arguments[0],
				       question->arguments[1]);
		else
			code = finish(session, answer, r);
	}
	fp_graph_free(from.nodes);
	fp_graph_free(to.nodes);
	fp_requests_done(&from.requests);
	fp_requests_done(&to.requests);
	return code;
}

int fp_verb_path(const struct fp_question *question)
{
	return with_answer(question, fill_path);
}

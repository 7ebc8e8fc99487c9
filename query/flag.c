/* flag: what calls for a look, each with its evidence. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "query/clean.h"
#include "query/findings.h"
#include "query/json.h"
#include "query/output.h"
#include "query/resolve.h"
#include "query/session.h"
#include "query/verbs.h"
#include "query/words.h"

struct flagging {
	const struct fp_question *question;
	struct fp_session session;
	struct fp_graph *findings;
	struct fp_finding_counts counts;
	struct fp_requests requests; /* asked about; none: all */
	uint64_t n; /* told so far */
};

static bool of_request(struct flagging *flagging, const struct fp_graph_node *node)
{
	for (size_t i = 0; i < flagging->counts.n; i++)
		if (flagging->counts.list[i].node == node->index &&
		    fp_requests_find(&flagging->requests, flagging->counts.list[i].request) >= 0)
			return true;
	return false;
}

static bool matches(struct flagging *flagging, const struct fp_graph_node *node)
{
	const struct fp_question *question = flagging->question;
	const struct fp_store_node *row = &node->row;

	if (!fp_finding_is(node) || (question->request && !of_request(flagging, node)))
		return false;
	if (!fp_question_is_of(question, row->function, row->instance))
		return false;
	return row->last >= question->since && (question->until == 0 || row->first <= question->until);
}

static int put_text(struct flagging *flagging, const struct fp_graph_node *node, FILE *out)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer line = FP_BUFFER_INIT;
	char first[FP_TIME_TEXT_SIZE];
	int r;

	fp_time_text(node->row.first, first);
	fp_buffer_add_format(&line, "%s  ", first);
	r = fp_finding_text(flagging->findings, node, &line);
	if (r < 0)
		return r;
	fp_buffer_add_text(&line, node->row.has_request ? ", request " : ", outside any one request");
	if (node->row.has_request) {
		char id[2 * FP_REQUEST_ID_SIZE + 1];

		fp_hex(node->row.request, FP_REQUEST_ID_SIZE, id);
		fp_buffer_add_text(&line, id);
	}
	if (fp_buffer_error(&line) < 0)
		return -ENOMEM;
	fprintf(out, "%s\n", line.data);
	return 0;
}

static int compare_times(const void *a, const void *b, void *arg)
{
	const struct fp_store_node *x = &fp_graph_node(arg, *(const uint32_t *)a)->row;
	const struct fp_store_node *y = &fp_graph_node(arg, *(const uint32_t *)b)->row;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static int write_findings(void *arg, FILE *out)
{
	struct flagging *flagging = arg;
	bool json = flagging->question->format == FP_FORMAT_JSON;
	size_t n = fp_graph_nodes(flagging->findings);
	fp_cleanup(fp_freep) uint32_t *order = malloc((n + 1) * sizeof(*order));
	int r = order ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && i < n; i++)
		order[i] = i;
	if (r == 0)
		qsort_r(order, n, sizeof(*order), compare_times, flagging->findings);
	if (json)
		fputs("{\"findings\": [", out);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		const struct fp_graph_node *node = fp_graph_node(flagging->findings, order[i]);

		if (!matches(flagging, node))
			continue;
		if (flagging->question->limit && flagging->n == flagging->question->limit)
			break;
		r = json ? fp_json_put(out, flagging->n ? ",\n  " : "\n  ", fp_finding_json(flagging->findings, node)) :
			   put_text(flagging, node, out);
		flagging->n++;
	}
	if (json)
		fputs("]}\n", out);
	return r;
}

static enum fp_exit gather(struct flagging *flagging)
{
	const struct fp_question *question = flagging->question;
	int r;

	if (question->request) {
		enum fp_exit code = fp_resolve_request(flagging->session.store, question, question->request, &flagging->requests);

		if (code != FP_EXIT_DONE)
			return code;
	}
	r = fp_requests_sort(&flagging->requests);
	if (r >= 0)
		r = fp_graph_new(&flagging->findings);
	if (r >= 0)
		r = fp_findings_all(flagging->session.store, flagging->findings);
	if (r >= 0)
		r = fp_finding_counts_make(flagging->findings, &flagging->counts);
	return r < 0 ? fp_session_fail(&flagging->session, question, r) : FP_EXIT_DONE;
}

int fp_verb_flag(const struct fp_question *question)
{
	struct flagging flagging = {.question = question, .session = FP_SESSION_INIT};
	enum fp_exit code = fp_session_open(&flagging.session, question, true);

	if (code == FP_EXIT_DONE)
		code = gather(&flagging);
	if (code == FP_EXIT_DONE)
		code = fp_output_write(question, write_findings, &flagging);
	if (code == FP_EXIT_DONE && flagging.n == 0)
		code = fp_fail(FP_EXIT_NOTHING, "no finding in store %s", question->store);
	fp_graph_free(flagging.findings);
	fp_finding_counts_done(&flagging.counts);
	fp_requests_done(&flagging.requests);
	fp_session_done(&flagging.session);
	return code;
}

/* requests: one line for each, in order of time. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "query/clean.h"
#include "query/findings.h"
#include "query/json.h"
#include "query/output.h"
#include "query/session.h"
#include "query/verbs.h"

struct listing {
	const struct fp_question *question;
	struct fp_session session;
	FILE *out;
	uint64_t n; /* listed so far */
	uint64_t truncated; /* more than the limit */
	struct fp_finding_counts findings;
};

static bool matches(const struct fp_question *question, const struct fp_store_request *row)
{
	uint64_t last = row->last ? row->last : UINT64_MAX;

	if (question->outside && row->has_parent)
		return false;
	if (!fp_question_is_of(question, row->function, row->instance))
		return false;
	return last >= question->since && (question->until == 0 || row->first <= question->until);
}

static void put_text(FILE *out, const struct fp_store_request *row, size_t n_findings)
{
	char id[2 * FP_REQUEST_ID_SIZE + 1], parent[2 * FP_REQUEST_ID_SIZE + 1] = "-", first[FP_TIME_TEXT_SIZE];
	fp_cleanup(fp_buffer_done) struct fp_buffer line = FP_BUFFER_INIT;

	fp_hex(row->id, FP_REQUEST_ID_SIZE, id);
	fp_time_text(row->first, first);
	if (row->has_parent)
		fp_hex(row->parent, FP_REQUEST_ID_SIZE, parent);
	fp_buffer_add_format(&line, "%s  ", id);
	fp_clean_add(&line, row->call_id ? row->call_id : "-", 0);
	fp_buffer_add_text(&line, "  ");
	fp_clean_add(&line, row->function ? row->function : "-", 0);
	fp_buffer_add_text(&line, "  ");
	fp_clean_add(&line, row->instance ? row->instance : "-", 0);
	fp_buffer_add_format(&line, "  %s  ", first);
	if (row->last)
		fp_buffer_add_format(&line, "%.3fs", (double)(row->last - row->first) / 1e9);
	else
		fp_buffer_add_text(&line, "unfinished");
	if (row->status >= 0)
		fp_buffer_add_format(&line, "  %" PRId64, row->status);
	else
		fp_buffer_add_text(&line, "  -");
	fp_buffer_add_format(&line, "  %s  %" PRIu64 "  %zu", parent, row->lost, n_findings);
	fprintf(out, "%s\n", line.data);
}

static int list(void *arg, const struct fp_store_request *row)
{
	struct listing *listing = arg;
	const struct fp_question *question = listing->question;
	size_t n_findings;

	if (!matches(question, row))
		return 0;
	if (question->limit && listing->n == question->limit) {
		listing->truncated = 1;
		return 1;
	}
	listing->n++;
	n_findings = fp_finding_counts_of(&listing->findings, row->id);
	if (question->format == FP_FORMAT_JSON) {
		json_t *request = fp_json_request(row);

		if (request)
			json_object_set_new(request, "findings", json_integer((json_int_t)n_findings));
		return fp_json_put(listing->out, listing->n > 1 ? ",\n  " : "\n  ", request);
	}
	if (listing->n == 1)
		fputs("# id  X-Call-Id  function  instance  start  duration  status  parent  lost  findings\n", listing->out);
	put_text(listing->out, row, n_findings);
	return 0;
}

static int write_listing(void *arg, FILE *out)
{
	struct listing *listing = arg;
	const struct fp_question *question = listing->question;
	bool json = question->format == FP_FORMAT_JSON;
	int r;

	listing->out = out;
	if (json)
		fputs("{\"requests\": [", out);
	if (question->n_arguments > 0)
		r = fp_store_find_requests(listing->session.store, question->arguments[0], list, listing);
	else
		r = fp_store_each_request(listing->session.store, list, listing);
	if (json)
		fprintf(out, "],\n \"more\": %s}\n", listing->truncated ? "true" : "false");
	return r < 0 ? r : 0;
}

static int count_findings(struct listing *listing)
{
	fp_cleanup(fp_graph_freep) struct fp_graph *findings = NULL;
	int r = fp_graph_new(&findings);

	if (r >= 0)
		r = fp_findings_all(listing->session.store, findings);
	return r < 0 ? r : fp_finding_counts_make(findings, &listing->findings);
}

int fp_verb_requests(const struct fp_question *question)
{
	struct listing listing = {.question = question, .session = FP_SESSION_INIT};
	enum fp_exit code = fp_session_open(&listing.session, question, true);

	if (code == FP_EXIT_DONE) {
		int r = count_findings(&listing);

		code = r < 0 ? fp_session_fail(&listing.session, question, r) :
			       fp_output_write(question, write_listing, &listing);
	}
	if (code == FP_EXIT_DONE && listing.n == 0)
		code = fp_fail(FP_EXIT_NOTHING, "no such request in store %s", question->store);
	fp_finding_counts_done(&listing.findings);
	fp_session_done(&listing.session);
	return code;
}

/* stats: what is stored, how far the graph reaches, what was lost and where. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "query/clean.h"
#include "query/json.h"
#include "query/output.h"
#include "query/session.h"
#include "query/verbs.h"
#include "query/words.h"

struct stats {
	const struct fp_question *question;
	struct fp_session session;
	struct fp_store_totals totals;
	struct fp_losses losses; /* one for each host, instance and cause */
	uint64_t lost;
};

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static int add_loss(void *arg, const struct fp_store_loss *row)
{
	struct stats *stats = arg;

	stats->lost += row->lost;
	for (size_t i = 0; i < stats->losses.n; i++) {
		struct fp_store_loss *known = &stats->losses.rows[i];

		if (known->cause != row->cause || !same(known->host, row->host) || !same(known->instance, row->instance))
			continue;
		known->lost += row->lost;
		known->first = row->first < known->first ? row->first : known->first;
		known->last = row->last > known->last ? row->last : known->last;
		return 0;
	}
	return fp_losses_add(&stats->losses, row);
}

static json_t *loss_of(const struct fp_store_loss *row)
{
	return json_pack("{s:o, s:o, s:s, s:o, s:o, s:I}", "host", fp_json_text(row->host), "instance",
			 fp_json_text(row->instance), "cause", fp_loss_name(row->cause), "first", fp_json_time(row->first),
			 "last", fp_json_time(row->last), "lost", (json_int_t)row->lost);
}

static int write_json(const struct stats *stats, FILE *out)
{
	const struct fp_store_totals *totals = &stats->totals;
	json_t *losses = json_array();

	for (size_t i = 0; i < stats->losses.n; i++)
		json_array_append_new(losses, loss_of(&stats->losses.rows[i]));
	return fp_json_put(out, "",
			   json_pack("{s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:I, s:I, s:b, s:I, s:o}", "batches",
				     (json_int_t)totals->batches, "events", (json_int_t)totals->events, "bytes",
				     (json_int_t)totals->bytes, "first", fp_json_time(totals->first), "last",
				     fp_json_time(totals->last), "nodes", (json_int_t)totals->nodes, "edges",
				     (json_int_t)totals->edges, "requests", (json_int_t)totals->requests, "not_stitched",
				     (json_int_t)stats->session.behind, "foreign_graph", (int)stats->session.foreign, "lost", (json_int_t)stats->lost, "losses", losses)) +
	       (fputs("\n", out) < 0 ? -EIO : 0);
}

static int write_text(const struct stats *stats, FILE *out)
{
	const struct fp_store_totals *totals = &stats->totals;
	fp_cleanup(fp_buffer_done) struct fp_buffer text = FP_BUFFER_INIT;
	char first[FP_TIME_TEXT_SIZE], last[FP_TIME_TEXT_SIZE];

	fp_time_text(totals->first, first);
	fp_time_text(totals->last, last);
	fp_buffer_add_format(&text, "evidence  %" PRIu64 " events in %" PRIu64 " batches, ", totals->events,
			     totals->batches);
	fp_words_bytes(&text, totals->bytes);
	if (totals->batches > 0)
		fp_buffer_add_format(&text, ", from %s to %s", first, last);
	fp_buffer_add_format(&text, "\ngraph     %" PRIu64 " nodes, %" PRIu64 " edges, %" PRIu64 " requests\n", totals->nodes,
			     totals->edges, totals->requests);
	if (stats->session.behind > 0)
		fp_buffer_add_format(&text, "          %" PRIu64 " batches are not in it yet\n", stats->session.behind);
	if (stats->session.foreign)
		fp_buffer_add_text(&text, "          it is NOT the one that was made of this evidence\n");
	fp_buffer_add_format(&text, "lost      %" PRIu64 " records\n", stats->lost);
	for (size_t i = 0; i < stats->losses.n; i++) {
		const struct fp_store_loss *row = &stats->losses.rows[i];

		fp_time_text(row->first, first);
		fp_time_text(row->last, last);
		fp_buffer_add_format(&text, "          %" PRIu64 " by %s in ", row->lost, fp_loss_name(row->cause));
		fp_clean_add(&text, row->instance ? row->instance : "the whole node", 0);
		fp_buffer_add_text(&text, " on ");
		fp_clean_add(&text, row->host ? row->host : "an unknown node", 0);
		fp_buffer_add_format(&text, ", from %s to %s\n", first, last);
	}
	if (fp_buffer_error(&text) < 0)
		return -ENOMEM;
	fputs(text.data, out);
	return 0;
}

static int write_stats(void *arg, FILE *out)
{
	const struct stats *stats = arg;

	return stats->question->format == FP_FORMAT_JSON ? write_json(stats, out) : write_text(stats, out);
}

int fp_verb_stats(const struct fp_question *question)
{
	struct stats stats = {.question = question, .session = FP_SESSION_INIT};
	enum fp_exit code = fp_session_open(&stats.session, question, true);

	if (code == FP_EXIT_DONE) {
		int r = fp_store_totals(stats.session.store, &stats.totals);

		if (r >= 0)
			r = fp_store_each_loss(stats.session.store, 0, UINT64_MAX, add_loss, &stats);
		code = r < 0 ? fp_session_fail(&stats.session, question, r) : fp_output_write(question, write_stats, &stats);
	}
	fp_losses_done(&stats.losses);
	fp_session_done(&stats.session);
	return code;
}

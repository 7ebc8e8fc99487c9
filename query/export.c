/* export: the whole graph, or what touches a time range, as it streams by. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "query/answer.h"
#include "query/json.h"
#include "query/output.h"
#include "query/render/graphml.h"
#include "query/session.h"
#include "query/verbs.h"

struct exporter {
	const struct fp_question *question;
	struct fp_session session;
	FILE *out;
	struct fp_graphml *graphml; /* NULL: JSON */
	struct fp_losses losses;
	uint64_t lost, n;
	int failure; /* of writing, told apart from one of the store */
};

static bool touches(const struct fp_question *question, uint64_t first, uint64_t last)
{
	return last >= question->since && (question->until == 0 || first <= question->until);
}

static int put_node(void *arg, const struct fp_store_node *row)
{
	struct exporter *exporter = arg;

	if (!touches(exporter->question, row->first, row->last))
		return 0;
	if (exporter->graphml)
		return fp_graphml_node(exporter->graphml, row);
	return fp_json_put(exporter->out, exporter->n++ == 0 ? "\n  " : ",\n  ", fp_json_node(row));
}

static int put_edge(void *arg, const struct fp_store_edge *row)
{
	struct exporter *exporter = arg;

	if (!touches(exporter->question, row->first, row->last))
		return 0;
	if (exporter->graphml)
		return fp_graphml_edge(exporter->graphml, row);
	return fp_json_put(exporter->out, exporter->n++ == 0 ? "\n  " : ",\n  ", fp_json_edge(row));
}

static int put_request(void *arg, const struct fp_store_request *row)
{
	struct exporter *exporter = arg;

	if (!touches(exporter->question, row->first, row->last ? row->last : UINT64_MAX))
		return 0;
	return fp_json_put(exporter->out, exporter->n++ == 0 ? "\n  " : ",\n  ", fp_json_request(row));
}

static json_t *missing_of(const struct fp_store_loss *loss)
{
	const struct fp_missing missing = {
		.cause = fp_loss_name(loss->cause),
		.host = (char *)loss->host,
		.instance = (char *)loss->instance,
		.first = loss->first,
		.last = loss->last,
		.lost = loss->lost,
		.is_hook = fp_loss_is_hook(loss->cause),
		.text = fp_loss_is_hook(loss->cause) ? "a hook was missing" : "records are missing",
	};

	return fp_json_missing(&missing);
}

static int put_list(struct exporter *exporter, const char *key, int r)
{
	exporter->n = 0;
	fprintf(exporter->out, ",\n \"%s\": [", key);
	return r;
}

static bool is_complete(const struct exporter *exporter)
{
	return exporter->losses.n == 0 && exporter->session.behind == 0 && !exporter->session.foreign;
}

static int write_json(struct exporter *exporter)
{
	struct fp_store *store = exporter->session.store;
	const struct fp_question *question = exporter->question;
	bool complete = is_complete(exporter);
	int r = fp_json_put(exporter->out, "{\"query\": ",
			    json_pack("{s:s, s:o, s:o}", "verb", question->verb->name, "since",
				      fp_json_time(question->since), "until", fp_json_time(question->until)));

	fprintf(exporter->out, ",\n \"complete\": %s, \"lost\": %" PRIu64 ", \"missing\": [", complete ? "true" : "false",
		exporter->lost);
	for (size_t i = 0; r >= 0 && i < exporter->losses.n; i++)
		r = fp_json_put(exporter->out, i == 0 ? "\n  " : ",\n  ", missing_of(&exporter->losses.rows[i]));
	if (r >= 0 && exporter->session.foreign)
		r = fp_json_put(exporter->out, exporter->losses.n == 0 ? "\n  " : ",\n  ", json_pack("{s:s}", "cause", "foreign-graph"));
	fputs("]", exporter->out);
	if (r >= 0)
		r = put_list(exporter, "requests", 0);
	if (r >= 0)
		r = fp_store_each_request(store, put_request, exporter);
	fputs("]", exporter->out);
	if (r >= 0)
		r = put_list(exporter, "nodes", 0);
	if (r >= 0)
		r = fp_store_each_node(store, put_node, exporter);
	fputs("]", exporter->out);
	if (r >= 0)
		r = put_list(exporter, "edges", 0);
	if (r >= 0)
		r = fp_store_each_edge(store, put_edge, exporter);
	fputs("]}\n", exporter->out);
	return r;
}

static int write_graphml(struct exporter *exporter)
{
	struct fp_store *store = exporter->session.store;
	int r = fp_graphml_new(exporter->out, is_complete(exporter), exporter->lost, &exporter->graphml);

	if (r >= 0)
		r = fp_store_each_node(store, put_node, exporter);
	if (r >= 0)
		r = fp_store_each_edge(store, put_edge, exporter);
	return r < 0 ? r : fp_graphml_finish(exporter->graphml);
}

static int write_export(void *arg, FILE *out)
{
	struct exporter *exporter = arg;
	const struct fp_question *question = exporter->question;
	int r = fp_store_each_loss(exporter->session.store, question->since, question->until ? question->until : UINT64_MAX,
				   fp_losses_add, &exporter->losses);

	exporter->out = out;
	for (size_t i = 0; i < exporter->losses.n; i++)
		exporter->lost += exporter->losses.rows[i].lost;
	if (r >= 0)
		r = question->format == FP_FORMAT_GRAPHML ? write_graphml(exporter) : write_json(exporter);
	return r < 0 ? r : 0;
}

int fp_verb_export(const struct fp_question *question)
{
	struct exporter exporter = {.question = question, .session = FP_SESSION_INIT};
	enum fp_exit code = fp_session_open(&exporter.session, question, true);

	if (code == FP_EXIT_DONE)
		code = fp_output_write(question, write_export, &exporter);
	fp_graphml_free(exporter.graphml);
	fp_losses_done(&exporter.losses);
	fp_session_done(&exporter.session);
	return code;
}

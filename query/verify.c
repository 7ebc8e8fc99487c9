/*
 * verify: walks all evidence and says whether it is what the agents wrote, and
 * whether the graph is what the evidence says.  Each agent numbers its batches
 * without holes and puts the hash of the one before into each; a batch that was
 * altered, taken out, or put in breaks the chain.  The graph is made once more
 * and compared: no word that stands beside it is taken for it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "query/clean.h"
#include "query/json.h"
#include "query/output.h"
#include "query/session.h"
#include "query/verbs.h"

/* The chain of one agent, as far as it has been walked. */
struct chain {
	uint8_t agent[16];
	char *host;
	uint64_t first, last; /* numbers of batches */
	uint64_t batches, events;
	uint8_t hash[FP_BATCH_HASH_SIZE]; /* of the last */
};

struct problem {
	const char *part; /* "store", "batch" or "graph" */
	uint64_t batch; /* id in the store, of part "batch" */
	char *text;
};

/* What is known of the graph. */
enum graph { GRAPH_NONE, GRAPH_SAME, GRAPH_OTHER, GRAPH_SEALED, GRAPH_UNREADABLE };

static const char *const graph_names[] = {"none", "same", "other", "sealed", "unreadable"};

struct verifier {
	const struct fp_question *question;
	struct fp_session session;
	struct chain *chains;
	size_t n_chains;
	struct problem *problems;
	size_t n_problems;
	uint64_t next; /* id of the last batch seen */
	enum graph graph;
	struct fp_store_totals totals;
};

static int problem_of(struct verifier *verifier, const char *part, uint64_t batch, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static int problem_of(struct verifier *verifier, const char *part, uint64_t batch, const char *format, ...)
{
	struct problem *bigger = realloc(verifier->problems, (verifier->n_problems + 1) * sizeof(*bigger));
	va_list args;
	int r;

	if (!bigger)
		return -ENOMEM;
	verifier->problems = bigger;
	bigger += verifier->n_problems;
	bigger->part = part;
	bigger->batch = batch;
	va_start(args, format);
	r = vasprintf(&bigger->text, format, args);
	va_end(args);
	if (r < 0)
		return -ENOMEM;
	verifier->n_problems++;
	return 0;
}

static struct chain *chain_of(struct verifier *verifier, const struct fp_batch_header *header)
{
	struct chain *bigger;

	for (size_t i = 0; i < verifier->n_chains; i++)
		if (memcmp(verifier->chains[i].agent, header->agent, sizeof(header->agent)) == 0)
			return &verifier->chains[i];
	bigger = realloc(verifier->chains, (verifier->n_chains + 1) * sizeof(*bigger));
	if (!bigger)
		return NULL;
	verifier->chains = bigger;
	bigger += verifier->n_chains;
	*bigger = (struct chain){.host = strdup(header->host)};
	if (!bigger->host)
		return NULL;
	memcpy(bigger->agent, header->agent, sizeof(header->agent));
	verifier->n_chains++;
	return bigger;
}

/* Its place in the agent's chain. */
static int check_place(struct verifier *verifier, uint64_t id, struct chain *chain, const struct fp_batch_header *header)
{
	static const uint8_t zero[FP_BATCH_HASH_SIZE];
	char agent[33];

	fp_hex(chain->agent, sizeof(chain->agent), agent);
	if (chain->batches == 0 && header->number != 1)
		return problem_of(verifier, "batch", id, "agent %s: batches 1 to %" PRIu64 " are missing", agent, header->number - 1);
	if (chain->batches == 0)
		return memcmp(header->previous, zero, sizeof(zero)) == 0 ?
			       0 :
			       problem_of(verifier, "batch", id, "agent %s: batch 1 says that one came before it", agent);
	if (header->number <= chain->last)
		return problem_of(verifier, "batch", id, "agent %s: batch %" PRIu64 " comes after batch %" PRIu64, agent, header->number,
			       chain->last);
	if (header->number != chain->last + 1)
		return problem_of(verifier, "batch", id, "agent %s: batches %" PRIu64 " to %" PRIu64 " are missing", agent, chain->last + 1,
			       header->number - 1);
	if (memcmp(header->previous, chain->hash, sizeof(chain->hash)) != 0)
		return problem_of(verifier, "batch", id, "agent %s: batch %" PRIu64 " does not follow the batch %" PRIu64 " that is stored",
			       agent, header->number, chain->last);
	return 0;
}

/* What the store says of the batch: times, counts, and whom it is about. */
static int check_beside(struct verifier *verifier, uint64_t id, const struct fp_batch *batch, size_t len)
{
	int r = fp_store_check_batch(verifier->session.store, id, batch, len);

	return r == -EBADMSG ? problem_of(verifier, "batch", id, "%s", fp_store_error(verifier->session.store)) : r;
}

static int check_batch(void *arg, uint64_t id, const uint8_t *frame, size_t len)
{
	struct verifier *verifier = arg;
	struct fp_batch *batch;
	struct fp_event event;
	struct chain *chain;
	uint64_t events = 0;
	int r = fp_batch_open(frame, len, &batch);

	verifier->next = id;
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return problem_of(verifier, "batch", id, "%s", r == -EPROTO ? "the frame is of another version" : "the frame is damaged");
	chain = chain_of(verifier, fp_batch_header(batch));
	if (!chain) {
		fp_batch_free(batch);
		return -ENOMEM;
	}
	while ((r = fp_batch_next(batch, &event)) > 0)
		events++;
	if (r < 0)
		r = problem_of(verifier, "batch", id, "event %" PRIu64 " of the batch is damaged", events);
	if (r >= 0)
		r = check_place(verifier, id, chain, fp_batch_header(batch));
	if (r >= 0)
		r = check_beside(verifier, id, batch, len);
	if (chain->batches++ == 0)
		chain->first = fp_batch_header(batch)->number;
	chain->last = fp_batch_header(batch)->number;
	chain->events += events;
	fp_batch_hash(frame, len, chain->hash);
	fp_batch_free(batch);
	return r;
}

/* Goes on behind a frame that the store itself finds altered. */
static int walk(struct verifier *verifier)
{
	int r = 0;

	while (r >= 0) {
		r = fp_store_each_batch(verifier->session.store, verifier->next, check_batch, verifier);
		if (r != -EBADMSG || verifier->next >= verifier->totals.last_batch)
			break;
		r = problem_of(verifier, "batch", ++verifier->next, "%s", fp_store_error(verifier->session.store));
	}
	return r;
}

static int check_store(struct verifier *verifier)
{
	int r = fp_store_check(verifier->session.store);

	return r == -EBADMSG ? problem_of(verifier, "store", 0, "%s", fp_store_error(verifier->session.store)) : r;
}

/* Each line that the stitcher says is one difference. */
static int add_differences(struct verifier *verifier, char *said)
{
	char *rest = NULL;
	int r = 0;

	for (char *line = strtok_r(said, "\n", &rest); r >= 0 && line; line = strtok_r(NULL, "\n", &rest))
		r = problem_of(verifier, "graph", 0, "%s", line);
	return r;
}

/* Has the graph made once more of the evidence that it was made of. */
static int compare_graph(struct verifier *verifier)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer said = FP_BUFFER_INIT;
	int r = fp_session_run_stitcher(verifier->question->store, "--check", &said);

	if (r == FP_EXIT_DONE) {
		verifier->graph = GRAPH_SAME;
		return 0;
	}
	verifier->graph = GRAPH_OTHER;
	fp_buffer_add(&said, "", 1);
	if (fp_buffer_error(&said) < 0)
		return -ENOMEM;
	if (r == FP_EXIT_INPUT && said.len > 1)
		return add_differences(verifier, said.data);
	return problem_of(verifier, "graph", 0, "it could not be compared with the evidence: %s",
			  r == -ENOENT || r == -EACCES ? "there is no faasprov-stitcher beside this program" :
							 "faasprov-stitcher failed");
}

static int check_graph(struct verifier *verifier)
{
	struct fp_store *store = verifier->session.store;
	int r;

	if (verifier->graph == GRAPH_UNREADABLE)
		return 0;
	r = fp_store_check_graph(store);
	verifier->graph = r > 0 ? GRAPH_SEALED : r == 0 ? GRAPH_NONE : GRAPH_OTHER;
	if (r == -EBADMSG || r == -EPROTO)
		r = problem_of(verifier, "graph", 0, "%s", fp_store_error(store));
	if (r >= 0 && verifier->totals.stitched_batch > verifier->totals.last_batch)
		r = problem_of(verifier, "graph", 0, "it was made of batches up to %" PRIu64 ", the store ends with %" PRIu64,
			       verifier->totals.stitched_batch, verifier->totals.last_batch);
	if (r >= 0 && verifier->graph != GRAPH_NONE && !verifier->question->no_stitch)
		r = compare_graph(verifier);
	return r;
}

/* How far the evidence and the graph reach.  A graph that cannot even be asked is no reason not to look at the evidence. */
static int count(struct verifier *verifier)
{
	int r = fp_store_totals(verifier->session.store, &verifier->totals);

	if (r != -EBADMSG && r != -EPROTO)
		return r;
	verifier->graph = GRAPH_UNREADABLE;
	verifier->totals = (struct fp_store_totals){.last_batch = UINT64_MAX};
	return problem_of(verifier, "graph", 0, "%s", fp_store_error(verifier->session.store));
}

static int check_all(struct verifier *verifier)
{
	int r = check_store(verifier);

	if (r >= 0)
		r = count(verifier);
	if (r >= 0)
		r = walk(verifier);
	return r < 0 ? r : check_graph(verifier);
}

static int write_json(const struct verifier *verifier, FILE *out)
{
	int r = 0;

	fprintf(out, "{\"whole\": %s,\n \"agents\": [", verifier->n_problems == 0 ? "true" : "false");
	for (size_t i = 0; r >= 0 && i < verifier->n_chains; i++) {
		const struct chain *chain = &verifier->chains[i];
		char agent[33], hash[2 * FP_BATCH_HASH_SIZE + 1];

		fp_hex(chain->agent, sizeof(chain->agent), agent);
		fp_hex(chain->hash, sizeof(chain->hash), hash);
		r = fp_json_put(out, i == 0 ? "\n  " : ",\n  ",
				json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:s}", "agent", agent, "host",
					  fp_json_text(chain->host), "first_batch", (json_int_t)chain->first, "last_batch",
					  (json_int_t)chain->last, "batches", (json_int_t)chain->batches, "events",
					  (json_int_t)chain->events, "hash", hash));
	}
	fprintf(out, "],\n \"graph\": {\"is\": \"%s\", \"batch\": %" PRIu64 "},\n \"problems\": [", graph_names[verifier->graph],
		verifier->totals.stitched_batch);
	for (size_t i = 0; r >= 0 && i < verifier->n_problems; i++)
		r = fp_json_put(out, i == 0 ? "\n  " : ",\n  ",
				json_pack("{s:s, s:o, s:o}", "part", verifier->problems[i].part, "batch",
					  verifier->problems[i].batch ? json_integer((json_int_t)verifier->problems[i].batch) : json_null(),
					  "text", fp_json_text(verifier->problems[i].text)));
	fputs("]}\n", out);
	return r;
}

static void write_graph(const struct verifier *verifier, FILE *out)
{
	static const char *const said[] = {[GRAPH_SAME] = "is what the evidence says",
					   [GRAPH_OTHER] = "is NOT what the evidence says",
					   [GRAPH_SEALED] = "is as it was made; it was not made again to compare"};

	if (verifier->graph == GRAPH_NONE || verifier->graph == GRAPH_UNREADABLE)
		fprintf(out, "graph: %s\n", verifier->graph == GRAPH_NONE ? "none yet" : "cannot be read");
	else
		fprintf(out, "graph up to batch %" PRIu64 " of %" PRIu64 ": %s\n", verifier->totals.stitched_batch,
			verifier->totals.last_batch, said[verifier->graph]);
}

static int write_text(const struct verifier *verifier, FILE *out)
{
	for (size_t i = 0; i < verifier->n_chains; i++) {
		const struct chain *chain = &verifier->chains[i];
		fp_cleanup(fp_buffer_done) struct fp_buffer host = FP_BUFFER_INIT;
		char agent[33], hash[2 * FP_BATCH_HASH_SIZE + 1];

		fp_hex(chain->agent, sizeof(chain->agent), agent);
		fp_hex(chain->hash, sizeof(chain->hash), hash);
		fp_clean_add(&host, chain->host, 0);
		fprintf(out, "agent %s on %s: batches %" PRIu64 " to %" PRIu64 ", %" PRIu64 " events, ends with hash %s\n", agent,
			host.data ? host.data : "", chain->first, chain->last, chain->events, hash);
	}
	write_graph(verifier, out);
	for (size_t i = 0; i < verifier->n_problems; i++) {
		const struct problem *problem = &verifier->problems[i];

		fputs("problem: ", out);
		if (problem->batch)
			fprintf(out, "batch %" PRIu64 " of the store: %s\n", problem->batch, problem->text);
		else
			fprintf(out, "the %s: %s\n", problem->part, problem->text);
	}
	fprintf(out, verifier->n_problems == 0 ? "whole and unaltered\n" : "NOT whole: %zu problems\n", verifier->n_problems);
	return 0;
}

static int write_result(void *arg, FILE *out)
{
	const struct verifier *verifier = arg;

	return verifier->question->format == FP_FORMAT_JSON ? write_json(verifier, out) : write_text(verifier, out);
}

static enum fp_exit conclude(const struct verifier *verifier)
{
	enum fp_exit code = fp_output_write(verifier->question, write_result, (void *)verifier);

	if (code != FP_EXIT_DONE)
		return code;
	if (verifier->n_problems > 0)
		return fp_fail(FP_EXIT_INPUT, "%s is not whole: %zu problem%s", verifier->question->store,
			       verifier->n_problems, verifier->n_problems == 1 ? "" : "s");
	if (verifier->n_chains == 0)
		return fp_fail(FP_EXIT_NOTHING, "store %s holds no evidence", verifier->question->store);
	return FP_EXIT_DONE;
}

int fp_verb_verify(const struct fp_question *question)
{
	struct verifier verifier = {.question = question, .session = FP_SESSION_INIT};
	enum fp_exit code = fp_session_open(&verifier.session, question, false);

	if (code == FP_EXIT_DONE) {
		int r = check_all(&verifier);

		code = r < 0 ? fp_session_fail(&verifier.session, question, r) : conclude(&verifier);
	}
	for (size_t i = 0; i < verifier.n_chains; i++)
		free(verifier.chains[i].host);
	for (size_t i = 0; i < verifier.n_problems; i++)
		free(verifier.problems[i].text);
	free(verifier.chains);
	free(verifier.problems);
	fp_session_done(&verifier.session);
	return code;
}

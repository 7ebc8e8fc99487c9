/*
 * An answer: a slice (or path) with the requests it touches and with what is
 * known to be missing from it.  Made once by a verb, then written by json.c,
 * report.c or render/.  Owns all it holds.
 */
#ifndef FP_QUERY_ANSWER_H
#define FP_QUERY_ANSWER_H

#include "graph/source.h"
#include "query/question.h"
#include "query/rows.h"

/* One reason why the answer may lack something. */
struct fp_missing {
	const char *cause; /* name of a loss, "not-stitched", "unfinished" or "gap" */
	char *host, *instance; /* NULL: not known, or the whole host */
	uint64_t first, last; /* 0: not known */
	uint64_t lost; /* records; 0: not known */
	bool is_hook; /* as long as a hook was missing; lost is 1 */
	char *text; /* for people */
};

struct fp_answer {
	const struct fp_question *question;
	struct fp_graph *graph;
	struct fp_requests asked; /* the requests asked about */
	struct fp_requests requests; /* all that have a node in the graph, in order of time */
	uint64_t origin; /* time of the first thing in the graph: zero of relative times */
	uint64_t lost; /* records known to be missing from it */
	struct fp_graph *findings; /* of its requests and processes, with their evidence (findings.h) */
	struct fp_missing *missing;
	size_t n_missing, missing_size;
	bool all_writers; /* routine writes are followed, too: between two ends that are named any way counts */
	/* By index of node. */
	ssize_t *request_of; /* index in `requests` of the unit it belongs to, or -1 */
	bool *link; /* written in one request and used in another */
	uint32_t *path; /* indexes of edges in order, when a path was asked for */
	size_t n_path;
};

int fp_answer_new(const struct fp_question *question, struct fp_answer **ret_answer);
struct fp_answer *fp_answer_free(struct fp_answer *answer);
FP_DEFINE_CLEANUP(struct fp_answer, fp_answer_free)

/*
 * Slices from the requests asked about and from the nodes of `starts`, in the
 * directions asked for.  0 or what fp_slice returns.
 */
int fp_answer_slice(struct fp_answer *answer, struct fp_store *store, const struct fp_graph *starts);
/*
 * One slice only; with `within`, of that graph instead of the store: -ENOENT when
 * nothing asked about is in it.
 */
int fp_answer_slice_one(struct fp_answer *answer, struct fp_store *store, struct fp_graph *within,
			const struct fp_graph *starts, enum fp_slice_direction direction);
/*
 * After the graph is there: finds the requests in it, what is missing, and the
 * links between requests, and what calls for a look.  `behind`: batches that the graph does not know yet;
 * `foreign`: it is not the graph of this evidence.
 */
int fp_answer_finish(struct fp_answer *answer, struct fp_store *store, uint64_t behind, bool foreign);

static inline bool fp_answer_complete(const struct fp_answer *answer)
{
	return answer->n_missing == 0;
}

#endif

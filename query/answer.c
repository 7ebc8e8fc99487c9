#include "query/answer.h"

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "graph/possible.h"
#include "graph/slice.h"
#include "query/call_tree.h"

int fp_answer_new(const struct fp_question *question, struct fp_answer **ret_answer)
{
	fp_cleanup(fp_answer_freep) struct fp_answer *answer = calloc(1, sizeof(*answer));

	if (!answer || fp_graph_new(&answer->graph) < 0 || fp_graph_new(&answer->findings) < 0)
		return -ENOMEM;
	answer->question = question;
	*ret_answer = answer;
	answer = NULL;
	return 0;
}

struct fp_answer *fp_answer_free(struct fp_answer *answer)
{
	if (!answer)
		return NULL;
	fp_graph_free(answer->graph);
	fp_graph_free(answer->findings);
	fp_requests_done(&answer->asked);
	fp_requests_done(&answer->requests);
	for (size_t i = 0; i < answer->n_missing; i++) {
		free(answer->missing[i].host);
		free(answer->missing[i].instance);
		free(answer->missing[i].text);
	}
	free(answer->missing);
	free(answer->request_of);
	free(answer->link);
	free(answer->path);
	free(answer);
	return NULL;
}

/* --- where a slice starts ------------------------------------------------- */

#define HEX_SIZE (2 * FP_REQUEST_ID_SIZE + 1)

struct starts {
	struct fp_slice_start *list;
	size_t n, size;
	/* of the request whose nodes are being added */
	const struct fp_store_request *request;
	const char *hex; /* its id; outlives the slicing */
	bool beside; /* it is not one of those asked about */
	enum fp_slice_direction direction;
	struct fp_graph *processes; /* process nodes of the request */
};

static int add_start(struct starts *starts, struct fp_slice_start start)
{
	if (!FP_ARRAY_ROOM(starts->list, starts->n, starts->size))
		return -ENOMEM;
	starts->list[starts->n++] = start;
	return 0;
}

static uint64_t time_of_request(const struct fp_store_request *request, enum fp_slice_direction direction)
{
	if (direction == FP_SLICE_FORWARD)
		return request->first;
	return request->last ? request->last : UINT64_MAX; /* still running */
}

static int add_unit_node(void *arg, const struct fp_store_node *row)
{
	struct starts *starts = arg;
	struct fp_slice_start start = {.node = row->id, .time = time_of_request(starts->request, starts->direction),
				       .beside = starts->beside};
	struct fp_graph_node *node;

	/* Who called, a peer or a hole in the evidence is not what the request did. */
	if (fp_graph_terminal(row->kind) || row->kind == FP_NODE_GAP || row->kind == FP_NODE_FINDING)
		return 0;
	if (row->kind == FP_NODE_PROCESS && fp_graph_add_node(starts->processes, row, &node) < 0)
		return -ENOMEM;
	return add_start(starts, start);
}

static int add_ambiguous_unit(void *arg, const struct fp_store_node *row)
{
	struct starts *starts = arg;
	struct fp_slice_start start = {.node = row->id,
				       .time = time_of_request(starts->request, starts->direction),
				       .candidate = starts->hex,
				       .beside = starts->beside};

	return row->kind == FP_NODE_PROCESS ? add_start(starts, start) : 0;
}

/* The nodes of the request's unit; and of the ambiguous unit of its processes what names the request. */
static int add_request(struct starts *starts, struct fp_store *store)
{
	fp_cleanup(fp_graph_freep) struct fp_graph *processes = NULL;
	int r = fp_graph_new(&processes);

	if (r < 0)
		return r;
	starts->processes = processes;
	r = fp_store_nodes_of_request(store, starts->request->id, add_unit_node, starts);
	for (size_t i = 0; r >= 0 && i < fp_graph_nodes(processes); i++) {
		const char *key = fp_graph_node(processes, i)->row.key;
		size_t len = fp_process_key_length(key);
		fp_cleanup(fp_freep) char *sibling = NULL;

		if (len == 0)
			continue;
		if (asprintf(&sibling, "%.*sambiguous", (int)len, key) < 0)
			return sibling = NULL, -ENOMEM;
		r = fp_store_nodes_by_key(store, sibling, add_ambiguous_unit, starts);
	}
	return r;
}

/*
 * The requests to start at: those asked about; where the whole story is wanted, its
 * backward half starts at what they called, too, which the forward half reaches by
 * itself.  A depth counts from the former alone.
 */
static int find_requests(struct fp_answer *answer, struct fp_store *store, enum fp_slice_direction direction,
			 struct fp_requests *found)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < answer->asked.n; i++)
		r = fp_requests_add(found, &answer->asked.rows[i]);
	if (r == 0 && direction == FP_SLICE_BACKWARD && answer->question->directions & FP_SLICE_FORWARD &&
	    !answer->question->depth)
		r = fp_call_tree(store, found);
	return r;
}

/* Starts at the requests, the first `n_asked` of which were asked about, and at `nodes`. */
static int find_starts(const struct fp_requests *requests, size_t n_asked, struct fp_store *store,
		       const struct fp_graph *nodes, char *hex, struct starts *starts)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < requests->n; i++) {
		starts->hex = hex + i * HEX_SIZE;
		starts->request = &requests->rows[i];
		starts->beside = i >= n_asked;
		fp_hex(starts->request->id, FP_REQUEST_ID_SIZE, hex + i * HEX_SIZE);
		r = add_request(starts, store);
	}
	for (size_t i = 0; r >= 0 && nodes && i < fp_graph_nodes(nodes); i++)
		r = add_start(starts, (struct fp_slice_start){
					      .node = fp_graph_node(nodes, i)->row.id,
					      .time = starts->direction == FP_SLICE_BACKWARD ? UINT64_MAX : 0,
				      });
	return r;
}

/* Drops starts that are not in the graph; -ENOENT when none is left. */
static int keep_within(const struct fp_graph *graph, struct starts *starts)
{
	size_t n = 0;

	for (size_t i = 0; i < starts->n; i++)
		if (fp_graph_find_node(graph, starts->list[i].node))
			starts->list[n++] = starts->list[i];
	starts->n = n;
	return n > 0 ? 0 : -ENOENT;
}

int fp_answer_slice_one(struct fp_answer *answer, struct fp_store *store, struct fp_graph *within,
			const struct fp_graph *nodes, enum fp_slice_direction direction)
{
	const struct fp_question *question = answer->question;
	const struct fp_slice_options options = {
		.depth = question->depth, .since = question->since, .until = question->until,
		/* between two that are named, a routine is a way as good as any */
		.all_writers = question->conservative || answer->all_writers};
	fp_cleanup(fp_possible_freep) struct fp_possible *possible = NULL;
	fp_cleanup(fp_requests_done) struct fp_requests requests = {0};
	fp_cleanup(fp_freep) char *hex = NULL; /* candidates stay as text while the slice is made */
	struct fp_source source = within ? fp_source_of_graph(within) : fp_source_of_store(store);
	struct starts starts = {.direction = direction};
	int r = find_requests(answer, store, direction, &requests);

	if (r == 0) {
		hex = calloc(requests.n + 1, HEX_SIZE);
		r = hex ? 0 : -ENOMEM;
	}

	if (r == 0 && question->conservative && !within) {
		r = fp_possible_new(&source, &possible);
		if (r == 0)
			source = fp_possible_source(possible);
	}
	if (r == 0)
		r = find_starts(&requests, answer->asked.n, store, nodes, hex, &starts);
	if (r >= 0 && within)
		r = keep_within(within, &starts);
	if (r >= 0)
		r = fp_slice(&source, direction, starts.list, starts.n, &options, answer->graph);
	free(starts.list);
	return r;
}

int fp_answer_slice(struct fp_answer *answer, struct fp_store *store, const struct fp_graph *nodes)
{
	unsigned directions = answer->question->directions;
	int r = 0;

	if (directions & FP_SLICE_BACKWARD)
		r = fp_answer_slice_one(answer, store, NULL, nodes, FP_SLICE_BACKWARD);
	if (r >= 0 && directions & FP_SLICE_FORWARD)
		r = fp_answer_slice_one(answer, store, NULL, nodes, FP_SLICE_FORWARD);
	return r;
}

/* What an answer rests on: the requests in it, what is missing, what links them. */
#include "query/answer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/array.h"
#include "base/text.h"
#include "query/findings.h"

/* --- requests ------------------------------------------------------------- */

struct wanted_request {
	struct fp_requests *requests;
	const uint8_t *id;
};

/* A name may lead to several requests; only the one with this very id is meant. */
static int add_same_id(void *arg, const struct fp_store_request *row)
{
	const struct wanted_request *wanted = arg;

	if (memcmp(row->id, wanted->id, FP_REQUEST_ID_SIZE) != 0)
		return 0;
	return fp_requests_add(wanted->requests, row);
}

static int compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, FP_REQUEST_ID_SIZE);
}

static int find_requests(struct fp_answer *answer, struct fp_store *store)
{
	size_t n = fp_graph_nodes(answer->graph), n_ids = 0;
	fp_cleanup(fp_freep) uint8_t(*ids)[FP_REQUEST_ID_SIZE] = malloc((n + 1) * sizeof(*ids));
	int r = 0;

	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct fp_store_node *row = &fp_graph_node(answer->graph, i)->row;

		if (row->has_request)
			memcpy(ids[n_ids++], row->request, FP_REQUEST_ID_SIZE);
	}
	qsort(ids, n_ids, sizeof(*ids), compare_ids);
	for (size_t i = 0; r >= 0 && i < n_ids; i++) {
		struct wanted_request wanted = {&answer->requests, ids[i]};
		char hex[2 * FP_REQUEST_ID_SIZE + 1];

		if (i > 0 && memcmp(ids[i], ids[i - 1], FP_REQUEST_ID_SIZE) == 0)
			continue;
		fp_hex(ids[i], FP_REQUEST_ID_SIZE, hex);
		r = fp_store_find_requests(store, hex, add_same_id, &wanted);
	}
	if (r >= 0)
		r = fp_requests_sort(&answer->requests);
	return r < 0 ? r : fp_requests_sort(&answer->asked);
}

static int assign_requests(struct fp_answer *answer)
{
	size_t n = fp_graph_nodes(answer->graph);

	answer->request_of = malloc((n + 1) * sizeof(*answer->request_of));
	answer->link = calloc(n + 1, sizeof(*answer->link));
	if (!answer->request_of || !answer->link)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct fp_store_node *row = &fp_graph_node(answer->graph, i)->row;

		answer->request_of[i] = row->has_request ? fp_requests_find(&answer->requests, row->request) : -1;
	}
	return 0;
}

/* --- links ---------------------------------------------------------------- */

/* What a request does to a node that another may meet; a host's giving is nobody's doing, and a removed name is not used. */
static bool changes(enum fp_edge_kind kind)
{
	return kind != FP_EDGE_GET && kind != FP_EDGE_UNLINK && kind != FP_EDGE_MISSING;
}

/*
 * Whose an operation is.  Sockets and pipes carry every call; they link requests
 * only where the requests have no caller in common.  What is stored links any two.
 */
static const uint8_t *owner_of(const struct fp_answer *answer, enum fp_node_kind kind, const struct fp_store_edge *row)
{
	ssize_t index;

	if (kind == FP_NODE_FILE || kind == FP_NODE_OBJECT)
		return row->request;
	index = fp_requests_find(&answer->requests, row->request);
	return index < 0 ? row->request :
			   answer->requests.rows[fp_requests_root(&answer->requests, (size_t)index)].id;
}

/* The earliest changes by two different owners: one of them is not the user's own. */
struct changers {
	const uint8_t *owner[2];
	uint64_t first[2];
};

static void add_changer(struct changers *changers, const uint8_t *owner, uint64_t first)
{
	size_t slot = changers->owner[0] && memcmp(changers->owner[0], owner, FP_REQUEST_ID_SIZE) != 0;

	if (changers->owner[slot] && memcmp(changers->owner[slot], owner, FP_REQUEST_ID_SIZE) == 0) {
		changers->first[slot] = first < changers->first[slot] ? first : changers->first[slot];
	} else if (!changers->owner[slot] || first < changers->first[slot]) {
		changers->owner[slot] = owner;
		changers->first[slot] = first;
	}
	if (slot == 1 && changers->first[1] < changers->first[0])
		*changers = (struct changers){{changers->owner[1], changers->owner[0]},
					      {changers->first[1], changers->first[0]}};
}

static bool is_link(const struct fp_answer *answer, enum fp_node_kind kind, const uint32_t *into, ssize_t n_into,
		    const uint32_t *out_of, ssize_t n_out)
{
	struct changers changers = {0};

	for (ssize_t i = 0; i < n_into; i++) {
		const struct fp_store_edge *row = &fp_graph_edge(answer->graph, into[i])->row;

		if (changes(row->kind) && row->has_request)
			add_changer(&changers, owner_of(answer, kind, row), row->first);
	}
	for (ssize_t i = 0; i < n_out && changers.owner[0]; i++) {
		const struct fp_store_edge *row = &fp_graph_edge(answer->graph, out_of[i])->row;
		const uint8_t *owner = row->has_request ? owner_of(answer, kind, row) : NULL;
		size_t slot = owner && memcmp(changers.owner[0], owner, FP_REQUEST_ID_SIZE) == 0;

		if (owner && changers.owner[slot] && changers.first[slot] <= row->last)
			return true;
	}
	return false;
}

static int find_links(struct fp_answer *answer)
{
	struct fp_graph *graph = answer->graph;

	for (uint32_t i = 0; i < fp_graph_nodes(graph); i++) {
		enum fp_node_kind kind = fp_graph_node(graph, i)->row.kind;
		const uint32_t *into, *out_of;
		ssize_t n_into, n_out;

		if (kind != FP_NODE_FILE && kind != FP_NODE_OBJECT && kind != FP_NODE_PIPE && kind != FP_NODE_SOCKET)
			continue;
		n_into = fp_graph_edges_into(graph, i, &into);
		n_out = fp_graph_edges_out_of(graph, i, &out_of);
		if (n_into < 0 || n_out < 0)
			return -ENOMEM;
		answer->link[i] = is_link(answer, kind, into, n_into, out_of, n_out);
	}
	return 0;
}

static void find_origin(struct fp_answer *answer)
{
	answer->origin = UINT64_MAX;
	for (size_t i = 0; i < fp_graph_edges(answer->graph); i++) {
		const struct fp_store_edge *edge = &fp_graph_edge(answer->graph, i)->row;

		if (!fp_graph_possible(edge->id) && edge->first < answer->origin)
			answer->origin = edge->first;
	}
	for (size_t i = 0; i < fp_graph_nodes(answer->graph) && answer->origin == UINT64_MAX; i++)
		answer->origin = fp_graph_node(answer->graph, i)->row.first;
}

/* --- what is missing ------------------------------------------------------ */

/* A container, and from when to when the answer says something about it. */
struct place {
	const char *host, *instance;
	uint64_t first, last;
};

struct places {
	struct fp_answer *answer;
	struct place *list;
	size_t n;
	size_t last; /* where the one before was: neighbours in the graph are of one container */
};

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void add_place(struct places *places, const struct fp_store_node *row, uint64_t first, uint64_t last)
{
	for (size_t i = 0; i < places->n; i++) {
		size_t at = (places->last + i) % places->n;
		struct place *place = &places->list[at];

		if (!same(place->host, row->host) || !same(place->instance, row->instance))
			continue;
		places->last = at;
		place->first = first < place->first ? first : place->first;
		place->last = last > place->last ? last : place->last;
		return;
	}
	places->list[places->n++] = (struct place){row->host, row->instance, first, last};
}

/*
 * A container counts from its first to its last time in the answer, also between
 * two requests: a record lost there may have been a write that a later one read.
 */
static int find_places(struct fp_answer *answer, struct places *places)
{
	size_t n = fp_graph_nodes(answer->graph);

	places->answer = answer;
	places->list = malloc((n + 1) * sizeof(*places->list));
	if (!places->list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct fp_store_node *row = &fp_graph_node(answer->graph, i)->row;
		uint64_t first = row->first, last = row->last;

		if (row->kind != FP_NODE_REQUEST && row->kind != FP_NODE_PROCESS)
			continue;
		if (row->kind == FP_NODE_REQUEST && answer->request_of[i] >= 0) {
			const struct fp_store_request *request = &answer->requests.rows[answer->request_of[i]];

			first = request->first;
			last = request->last ? request->last : UINT64_MAX;
		}
		add_place(places, row, first, last);
	}
	return 0;
}

static struct fp_missing *missing_new(struct fp_answer *answer, const char *cause)
{
	if (!FP_ARRAY_ROOM(answer->missing, answer->n_missing, answer->missing_size))
		return NULL;
	answer->missing[answer->n_missing] = (struct fp_missing){.cause = cause};
	return &answer->missing[answer->n_missing++];
}

/* Losses of one cause in one container become one entry. */
static int add_loss(struct fp_answer *answer, const struct fp_store_loss *loss)
{
	const char *cause = fp_loss_name(loss->cause);
	bool is_hook = fp_loss_is_hook(loss->cause);
	struct fp_missing *missing;

	for (size_t i = 0; i < answer->n_missing; i++) {
		missing = &answer->missing[i];
		if (!same(missing->cause, cause) || !same(missing->host, loss->host) ||
		    !same(missing->instance, loss->instance))
			continue;
		if (!is_hook) {
			missing->lost += loss->lost;
			answer->lost += loss->lost;
		}
		missing->first = loss->first < missing->first ? loss->first : missing->first;
		missing->last = loss->last > missing->last ? loss->last : missing->last;
		return 0;
	}
	missing = missing_new(answer, cause ? cause : "unknown");
	if (!missing)
		return -ENOMEM;
	missing->host = loss->host ? strdup(loss->host) : NULL;
	missing->instance = loss->instance ? strdup(loss->instance) : NULL;
	missing->lost = loss->lost;
	missing->is_hook = is_hook;
	answer->lost += loss->lost;
	missing->first = loss->first;
	missing->last = loss->last;
	return 0;
}

static int match_loss(void *arg, const struct fp_store_loss *loss)
{
	const struct places *places = arg;

	for (size_t i = 0; i < places->n; i++) {
		const struct place *place = &places->list[i];

		if ((!loss->host || same(loss->host, place->host)) &&
		    (!loss->instance || same(loss->instance, place->instance)) && loss->first <= place->last &&
		    loss->last >= place->first)
			return add_loss(places->answer, loss);
	}
	return 0;
}

static int describe_loss(struct fp_missing *missing, const char *first, const char *last)
{
	const char *where = missing->instance ? missing->instance : "the whole node";
	const char *host = missing->host ? missing->host : "an unknown node";

	if (missing->is_hook)
		return asprintf(&missing->text, "a hook was missing (%s) in %s on %s between %s and %s", missing->cause, where,
				host, first, last);
	return asprintf(&missing->text, "%" PRIu64 " record%s lost (%s) in %s on %s between %s and %s", missing->lost,
			missing->lost == 1 ? "" : "s", missing->cause, where, host, first, last);
}

static int describe_losses(struct fp_answer *answer)
{
	for (size_t i = 0; i < answer->n_missing; i++) {
		struct fp_missing *missing = &answer->missing[i];
		char first[FP_TIME_TEXT_SIZE], last[FP_TIME_TEXT_SIZE];

		fp_time_text(missing->first, first);
		fp_time_text(missing->last, last);
		if (describe_loss(missing, first, last) < 0)
			return missing->text = NULL, -ENOMEM;
	}
	return 0;
}

static int find_losses(struct fp_answer *answer, struct fp_store *store)
{
	struct places places = {0};
	uint64_t since = UINT64_MAX, until = 0;
	int r = find_places(answer, &places);

	for (size_t i = 0; i < places.n; i++) {
		since = places.list[i].first < since ? places.list[i].first : since;
		until = places.list[i].last > until ? places.list[i].last : until;
	}
	if (r >= 0 && places.n > 0)
		r = fp_store_each_loss(store, since, until, match_loss, &places);
	free(places.list);
	return r < 0 ? r : describe_losses(answer);
}

/* A hole that the graph shows and no loss of the table explains. */
static int find_gaps(struct fp_answer *answer)
{
	for (size_t i = 0; answer->n_missing == 0 && i < fp_graph_nodes(answer->graph); i++) {
		const struct fp_store_node *row = &fp_graph_node(answer->graph, i)->row;
		struct fp_missing *missing;

		if (row->kind != FP_NODE_GAP)
			continue;
		missing = missing_new(answer, "gap");
		if (!missing)
			return -ENOMEM;
		missing->first = row->first;
		missing->last = row->last;
		missing->text = strdup(row->label ? row->label : "records are missing");
		if (!missing->text)
			return -ENOMEM;
	}
	return 0;
}

static int find_unfinished(struct fp_answer *answer, uint64_t behind)
{
	struct fp_missing *missing;

	for (size_t i = 0; i < answer->requests.n; i++) {
		const struct fp_store_request *request = &answer->requests.rows[i];
		char id[2 * FP_REQUEST_ID_SIZE + 1];

		if (request->last)
			continue;
		missing = missing_new(answer, "unfinished");
		if (!missing)
			return -ENOMEM;
		fp_hex(request->id, FP_REQUEST_ID_SIZE, id);
		missing->first = request->first;
		missing->host = request->host ? strdup(request->host) : NULL;
		missing->instance = request->instance ? strdup(request->instance) : NULL;
		if (asprintf(&missing->text, "no end of request %s (%s) was recorded", id,
			     request->function ? request->function : "unknown function") < 0)
			return missing->text = NULL, -ENOMEM;
	}
	if (behind == 0)
		return 0;
	missing = missing_new(answer, "not-stitched");
	if (!missing)
		return -ENOMEM;
	if (asprintf(&missing->text, "the graph is older than the evidence: %" PRIu64 " batch%s not in it yet", behind,
		     behind == 1 ? " is" : "es are") < 0)
		return missing->text = NULL, -ENOMEM;
	return 0;
}

static int say_foreign(struct fp_answer *answer)
{
	struct fp_missing *missing = missing_new(answer, "foreign-graph");

	if (!missing)
		return -ENOMEM;
	missing->text = strdup("the graph is not the one that was made of this evidence: nothing in this answer is proven");
	return missing->text ? 0 : -ENOMEM;
}

int fp_answer_finish(struct fp_answer *answer, struct fp_store *store, uint64_t behind, bool foreign)
{
	int r = find_requests(answer, store);

	if (r >= 0)
		r = assign_requests(answer);
	if (r >= 0)
		r = find_links(answer);
	if (r >= 0)
		r = find_losses(answer, store);
	if (r >= 0)
		r = find_gaps(answer);
	if (r >= 0)
		r = find_unfinished(answer, behind);
	if (r >= 0 && foreign)
		r = say_foreign(answer);
	if (r >= 0)
		r = fp_findings_of_answer(answer, store, answer->findings);
	find_origin(answer);
	return r < 0 ? r : 0;
}

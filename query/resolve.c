#include "query/resolve.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "query/clean.h"
#include "query/words.h"

/* More than this are not listed: nobody chooses from a longer list. */
#define LISTED_MAX 20

static const char *or_dash(const char *text)
{
	return text && *text ? text : "-";
}

static void list_request(const struct fp_store_request *request)
{
	char id[2 * FP_REQUEST_ID_SIZE + 1], time[FP_TIME_TEXT_SIZE];
	fp_cleanup(fp_buffer_done) struct fp_buffer line = FP_BUFFER_INIT;

	fp_hex(request->id, FP_REQUEST_ID_SIZE, id);
	fp_time_text(request->first, time);
	fp_clean_add(&line, or_dash(request->function), 40);
	fp_buffer_add_text(&line, "  ");
	fp_clean_add(&line, or_dash(request->method), 10);
	fp_buffer_add_text(&line, " ");
	fp_clean_add(&line, or_dash(request->url), 60);
	fprintf(stderr, "  %s  %s  %s\n", id, time, line.data ? line.data : "");
}

/* People see the last digits of an id. */
struct suffix {
	const char *digits;
	size_t len;
	struct fp_requests *found;
};

static int add_if_ends(void *arg, const struct fp_store_request *row)
{
	const struct suffix *suffix = arg;
	char id[2 * FP_REQUEST_ID_SIZE + 1];

	fp_hex(row->id, FP_REQUEST_ID_SIZE, id);
	return strcasecmp(id + 2 * FP_REQUEST_ID_SIZE - suffix->len, suffix->digits) == 0 ?
		       fp_requests_add(suffix->found, row) :
		       0;
}

static int find_requests(struct fp_store *store, const char *name, struct fp_requests *found)
{
	struct suffix suffix = {.digits = name, .found = found};
	int r = fp_store_find_requests(store, name, fp_requests_add, found);

	if (strncmp(name, "…", strlen("…")) == 0)
		suffix.digits += strlen("…");
	suffix.len = strlen(suffix.digits);
	if (r < 0 || found->n > 0 || suffix.len < FP_SHORT_ID || suffix.len > 2 * FP_REQUEST_ID_SIZE ||
	    strspn(suffix.digits, "0123456789abcdefABCDEF") != suffix.len)
		return r;
	return fp_store_each_request(store, add_if_ends, &suffix);
}

enum fp_exit fp_resolve_request(struct fp_store *store, const struct fp_question *question, const char *name,
				struct fp_requests *requests)
{
	struct fp_requests found = {0};
	enum fp_exit code = FP_EXIT_DONE;
	struct fp_store_totals totals;
	int r = find_requests(store, name, &found);

	if (r >= 0 && fp_requests_sort(&found) < 0) {
		code = fp_fail(FP_EXIT_SYSTEM, "out of memory");
	} else if (r < 0) {
		code = fp_fail(fp_exit_of(r), "%s: %s", question->store, fp_store_error(store));
	} else if (found.n == 0) {
		r = fp_store_totals(store, &totals);
		code = fp_fail(FP_EXIT_NOTHING,
			       "no request \"%s\" in store %s, which holds %" PRIu64 "; '" FP_PROGRAM
			       " requests' lists them",
			       name, question->store, r < 0 ? 0 : totals.requests);
	} else if (found.n > 1 && !question->all) {
		code = fp_fail(FP_EXIT_USAGE, "%zu requests bear the name \"%s\": choose one by its id, or give --all",
			       found.n, name);
		for (size_t i = 0; i < found.n && i < LISTED_MAX; i++)
			list_request(&found.rows[i]);
		if (found.n > LISTED_MAX)
			fprintf(stderr, "  and %zu more; '" FP_PROGRAM " requests %s' lists them\n",
				found.n - LISTED_MAX, name);
	} else {
		for (size_t i = 0; i < found.n && code == FP_EXIT_DONE; i++)
			if (fp_requests_find(requests, found.rows[i].id) < 0 &&
			    fp_requests_add(requests, &found.rows[i]) < 0)
				code = fp_fail(FP_EXIT_SYSTEM, "out of memory");
	}
	fp_requests_done(&found);
	return code;
}

/* --- nodes ---------------------------------------------------------------- */

/* A name that fits more nodes than this names nothing. */
#define MATCHES_MAX 10000

static int add_match(void *arg, const struct fp_store_node *row)
{
	struct fp_graph_node *node;

	if (fp_graph_nodes(arg) >= MATCHES_MAX)
		return -E2BIG;
	return fp_graph_add_node(arg, row, &node);
}

struct whole_key {
	struct fp_graph *matches;
	const char *key;
};

static int add_whole_key(void *arg, const struct fp_store_node *row)
{
	const struct whole_key *whole = arg;

	return strcmp(row->key, whole->key) == 0 ? add_match(whole->matches, row) : 0;
}

/* Kind before the first colon, and what follows it; -EINVAL when it is no kind. */
static int split(const char *expression, enum fp_node_kind *ret_kind, const char **ret_text)
{
	const char *colon = strchr(expression, ':');
	char name[24];
	int kind;

	if (!colon || !colon[1] || (size_t)(colon - expression) >= sizeof(name))
		return -EINVAL;
	snprintf(name, sizeof(name), "%.*s", (int)(colon - expression), expression);
	kind = fp_node_kind_parse(name);
	if (kind < 0)
		return -EINVAL;
	*ret_kind = (enum fp_node_kind)kind;
	*ret_text = colon + 1;
	return 0;
}

/* sql:TABLE names the table in whatever schema: sql:SCHEMA.TABLE. */
struct table {
	struct fp_graph *matches;
	const char *name;
};

static int add_table(void *arg, const struct fp_store_node *row)
{
	const struct table *table = arg;
	const char *dot = strncmp(row->label, "sql:", 4) == 0 ? strrchr(row->label, '.') : NULL;

	return dot && strcmp(dot + 1, table->name) == 0 ? add_match(table->matches, row) : 0;
}

static int find_table(struct fp_store *store, const char *text, struct fp_graph *matches)
{
	struct table table = {matches, text + 4};

	if (strncmp(text, "sql:", 4) != 0 || strchr(table.name, '.'))
		return 0;
	return fp_store_find_nodes(store, FP_NODE_OBJECT, table.name, add_table, &table);
}

static int find_matches(struct fp_store *store, const char *expression, struct fp_graph *matches)
{
	struct whole_key whole = {matches, expression};
	enum fp_node_kind kind;
	const char *text;
	char *end;
	int r;

	if (expression[0] == 'n' && expression[1] >= '1' && expression[1] <= '9') {
		uint64_t id = strtoull(expression + 1, &end, 10);

		if (!*end)
			return fp_store_node(store, id, add_match, matches);
	}
	r = split(expression, &kind, &text);
	if (r < 0)
		return r;
	r = fp_store_nodes_by_key(store, expression, add_whole_key, &whole);
	if (r >= 0 && fp_graph_nodes(matches) == 0)
		r = fp_store_find_nodes(store, kind, text, add_match, matches);
	if (r >= 0 && kind == FP_NODE_OBJECT && fp_graph_nodes(matches) == 0)
		r = find_table(store, text, matches);
	return r;
}

static void list_node(const struct fp_store_node *row)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer line = FP_BUFFER_INIT;
	char time[FP_TIME_TEXT_SIZE];

	fp_time_text(row->first, time);
	fp_clean_add(&line, row->label, 60);
	fp_buffer_add_text(&line, "  ");
	fp_clean_add(&line, or_dash(row->function), 40);
	fp_buffer_add_text(&line, "  ");
	fp_clean_add(&line, or_dash(row->instance), 40);
	fprintf(stderr, "  n%-8" PRIu64 " %s  %s\n", row->id, time, line.data ? line.data : "");
}

static enum fp_exit choose(const struct fp_question *question, const char *expression, const struct fp_graph *matches,
			   struct fp_graph *nodes)
{
	size_t n = fp_graph_nodes(matches);
	struct fp_graph_node *node;

	if (n == 0)
		return fp_fail(FP_EXIT_NOTHING, "no node \"%s\" in store %s", expression, question->store);
	if (n > 1 && !question->all) {
		fp_fail(FP_EXIT_USAGE, "%zu nodes are called \"%s\": choose one by its id, or give --all", n, expression);
		for (size_t i = 0; i < n && i < LISTED_MAX; i++)
			list_node(&fp_graph_node(matches, i)->row);
		if (n > LISTED_MAX)
			fprintf(stderr, "  and %zu more\n", n - LISTED_MAX);
		return FP_EXIT_USAGE;
	}
	for (size_t i = 0; i < n; i++)
		if (fp_graph_add_node(nodes, &fp_graph_node(matches, i)->row, &node) < 0)
			return fp_fail(FP_EXIT_SYSTEM, "out of memory");
	return FP_EXIT_DONE;
}

enum fp_exit fp_resolve_nodes(struct fp_store *store, const struct fp_question *question, const char *expression,
			      struct fp_graph *nodes, struct fp_requests *requests)
{
	fp_cleanup(fp_graph_freep) struct fp_graph *matches = NULL;
	int r;

	if (strncmp(expression, "request:", 8) == 0)
		return fp_resolve_request(store, question, expression + 8, requests);
	if (fp_graph_new(&matches) < 0)
		return fp_fail(FP_EXIT_SYSTEM, "out of memory");
	r = find_matches(store, expression, matches);
	if (r == -EINVAL)
		return fp_fail(FP_EXIT_USAGE,
			       "\"%s\" names no node: write KIND:NAME, e.g. file:/home/app/x.sh, process:sh, "
			       "object:sql:creditCards, host:198.18.0.9:80 or request:ID",
			       expression);
	if (r == -E2BIG)
		return fp_fail(FP_EXIT_USAGE, "more than %d nodes are called \"%s\": say more of the name", MATCHES_MAX,
			       expression);
	if (r < 0)
		return fp_fail(fp_exit_of(r), "%s: %s", question->store, fp_store_error(store));
	return choose(question, expression, matches, nodes);
}

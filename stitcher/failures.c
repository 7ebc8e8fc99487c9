/*
 * Calls that failed: nothing flowed in them, so they make no edge between what
 * processes and objects are.  They are put together by who failed in what, stand
 * as an attribute at the process, and are findings where the kernel refused
 * something, or where so much was tried in vain that somebody was looking around.
 *
 * An answer is the same whether the agent has put failures together or not
 * (agent/failures.h): of names only the first FP_FAILED_NAMES_MAX are told, and
 * what decides are the times at which names were first tried.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buffer.h"
#include "base/text.h"
#include "base/array.h"
#include "stitcher/build.h"

/* So many addresses without an answer, or names that are not there, are no mistake: a service has few. */
#define ADDRESSES_MIN 8
#define NAMES_MIN 12
#define MIN_MAX NAMES_MIN
/* Outside a request, which ends: within this time.  What runs for days tries much. */
#define WINDOW (60 * FP_NS_PER_SEC)

enum probed { PROBED_NOTHING, PROBED_ADDRESSES, PROBED_NAMES };

/* What a container tried in vain in a unit. */
struct probe {
	uint64_t times[MIN_MAX]; /* when the newest names were tried first */
	uint32_t n; /* names in all */
	bool is_found;
};

struct probes {
	struct fp_intern by, names; /* (container, unit, what); (probe, name) */
	struct probe *list;
	size_t room;
};

static bool is_refused(const struct fp_item *item)
{
	/* who asks may be told no */
	return (item->result == -EPERM || item->result == -EACCES || item->result == -EROFS) &&
	       item->value != FP_OPERATION_ACCESS;
}

static enum probed what_is_probed(const struct fp_item *item)
{
	bool is_file = item->value == FP_OPERATION_OPEN || item->value == FP_OPERATION_ACCESS ||
		       item->value == FP_OPERATION_EXEC || item->value == FP_OPERATION_NAME ||
		       item->value == FP_OPERATION_CHANGE;

	switch (-item->result) {
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENETUNREACH:
	case ETIMEDOUT:
		return item->value == FP_OPERATION_CONNECT || item->value == FP_OPERATION_TRANSFER ? PROBED_ADDRESSES :
												     PROBED_NOTHING;
	case ENOENT:
	case ENOTDIR:
		return is_file ? PROBED_NAMES : PROBED_NOTHING;
	case EACCES: /* of an access; else it is refused */
		return item->value == FP_OPERATION_ACCESS ? PROBED_NAMES : PROBED_NOTHING;
	default:
		return PROBED_NOTHING;
	}
}

/* --- putting together ------------------------------------------------------------- */

static int link_failed(struct fp_build *build, const struct fp_item *item, uint32_t number)
{
	uint32_t key[3] = {item->process, item->exec_id, item->unit}, unit;
	struct fp_failed_list *list;
	int r = fp_intern_add(&build->failed_units, key, sizeof(key), &unit);

	if (r < 0)
		return r;
	if (r == 1) {
		if (!FP_ARRAY_ROOM(build->failed_lists, unit, build->failed_lists_room))
			return -ENOMEM;
		build->failed_lists[unit] = (struct fp_failed_list){number, number};
		return 0;
	}
	list = &build->failed_lists[unit];
	build->failed[list->last].next = number;
	list->last = number;
	return 0;
}

/* What tells a name from another: of a program that is not there its own name, as the agent has it (telling()). */
static const char *telling(const struct fp_build *build, const struct fp_item *item, uint32_t name)
{
	const char *text = fp_text(build->evidence, name);
	const char *slash = item->value == FP_OPERATION_EXEC && item->result == -ENOENT ? strrchr(text, '/') : NULL;

	return slash ? slash + 1 : text;
}

static void add_name(const struct fp_build *build, struct fp_failed *failed, const struct fp_item *item)
{
	uint32_t name = item->path;

	for (uint32_t i = 0; name && i < failed->n_names; i++)
		if (failed->names[i] == name ||
		    strcmp(telling(build, item, failed->names[i]), telling(build, item, name)) == 0)
			return;
	if (failed->n_names == FP_FAILED_NAMES_MAX)
		failed->has_more = true;
	else if (name)
		failed->names[failed->n_names++] = name;
}

static int add_failed(struct fp_build *build, const struct fp_item *item, uint32_t number)
{
	const uint32_t key[] = {item->process, item->exec_id, item->unit, item->candidates, item->value,
				(uint32_t)item->result, item->attribution, item->rule};
	struct fp_failed *failed;
	uint32_t at;
	int r = fp_intern_add(&build->failed_by, key, sizeof(key), &at);

	if (r < 0)
		return r;
	if (r == 1) {
		if (!FP_ARRAY_ROOM(build->failed, at, build->failed_room))
			return -ENOMEM;
		build->failed[at] = (struct fp_failed){.item = number, .next = FP_NONE, .first = fp_build_wall(build, item, item->time)};
		r = link_failed(build, item, at);
		if (r < 0)
			return r;
	}
	failed = &build->failed[at];
	failed->count += item->count;
	if (failed->last < fp_build_wall(build, item, item->last))
		failed->last = fp_build_wall(build, item, item->last);
	add_name(build, failed, item);
	return 0;
}

uint32_t fp_build_failed_of(const struct fp_build *build, uint32_t process, uint32_t exec_id, uint32_t unit)
{
	uint32_t key[3] = {process, exec_id, unit}, number = fp_intern_find(&build->failed_units, key, sizeof(key));

	return number == FP_NONE ? FP_NONE : build->failed_lists[number].first;
}

/* --- looking around ----------------------------------------------------------------- */

static int find_probe(struct probes *probes, const struct fp_item *item, enum probed what, uint32_t *ret_number)
{
	uint32_t key[3] = {item->container, item->unit, what};
	int r = fp_intern_add(&probes->by, key, sizeof(key), ret_number);

	if (r <= 0)
		return r;
	if (!FP_ARRAY_ROOM(probes->list, *ret_number, probes->room))
		return -ENOMEM;
	probes->list[*ret_number] = (struct probe){0};
	return 0;
}

static int add_probed(struct fp_build *build, struct probes *probes, const struct fp_item *item, uint32_t probe)
{
	const char *name = telling(build, item, item->path);
	uint32_t number;
	/* by the number of its text, which may be long; that of a part of one has none */
	bool is_whole = name == fp_text(build->evidence, item->path);
	uint32_t key[2] = {probe, is_whole ? item->path : FP_NONE};
	struct fp_buffer both = FP_BUFFER_INIT;
	int r;

	fp_buffer_add(&both, key, sizeof(key));
	if (!is_whole)
		fp_buffer_add_text(&both, name);
	r = fp_buffer_error(&both);
	if (r == 0)
		r = fp_intern_add(&probes->names, both.data, both.len, &number);
	fp_buffer_done(&both);
	return r;
}

/* Items come in the order of time: a name counts when it is tried first. */
static int add_probe(struct fp_build *build, struct probes *probes, const struct fp_item *item)
{
	enum probed what = what_is_probed(item);
	uint32_t least = what == PROBED_ADDRESSES ? ADDRESSES_MIN : NAMES_MIN, at;
	uint64_t now = fp_build_wall(build, item, item->time);
	struct probe *probe;
	int r;

	if (what == PROBED_NOTHING || !item->path)
		return 0;
	r = find_probe(probes, item, what, &at);
	if (r >= 0)
		r = add_probed(build, probes, item, at);
	if (r <= 0)
		return r;
	probe = &probes->list[at];
	probe->times[probe->n++ % least] = now;
	/* of the newest `least` names, the oldest */
	if (probe->n >= least && (fp_unit_request(item->unit) != FP_NONE || now - probe->times[probe->n % least] <= WINDOW))
		probe->is_found = true;
	return 0;
}

static bool is_found(struct probes *probes, const struct fp_item *item)
{
	uint32_t key[3] = {item->container, item->unit, what_is_probed(item)};
	uint32_t at = key[2] == PROBED_NOTHING ? FP_NONE : fp_intern_find(&probes->by, key, sizeof(key));

	return at != FP_NONE && probes->list[at].is_found;
}

/* --- findings ------------------------------------------------------------------------- */

void fp_build_describe_failed(const struct fp_build *build, const struct fp_failed *failed, json_t *object)
{
	const struct fp_item *item = &build->evidence->items[failed->item];
	const char *error = strerrorname_np(-item->result);
	json_t *names = failed->n_names ? json_array() : NULL;

	json_object_set_new(object, "operation", json_string(fp_operation_name(item->value) ?: "unknown"));
	json_object_set_new(object, "error", error ? json_string(error) : json_integer(-item->result));
	for (uint32_t i = 0; i < failed->n_names; i++)
		json_array_append_new(names, json_string(fp_text(build->evidence, failed->names[i])));
	if (names)
		json_object_set_new(object, "names", names);
	if (failed->has_more)
		json_object_set_new(object, "more_names", json_true());
}

static int add_finding(struct fp_build *build, const struct fp_failed *failed, enum fp_finding finding)
{
	const struct fp_item *item = &build->evidence->items[failed->item];
	struct fp_op op = fp_build_op(build, item, FP_EDGE_SHOWS);
	json_t *why = json_object();
	uint32_t process, node;
	int r;

	if (!why)
		return -ENOMEM;
	fp_build_describe_failed(build, failed, why);
	r = fp_build_attributes(build, why, &op.attributes);
	if (r >= 0)
		r = fp_graph_node(&build->graph, FP_NODE_PROCESS, item->process, item->exec_id, item->unit, &process);
	if (r >= 0)
		r = fp_graph_node(&build->graph, FP_NODE_FINDING, finding, item->container, item->unit, &node);
	if (r < 0)
		return r;
	if (build->graph.nodes[process].container == FP_NONE)
		fp_graph_touch(&build->graph, process, fp_item_container(build, item));
	fp_graph_touch(&build->graph, node, fp_item_container(build, item));
	op.bytes = 0;
	op.first = failed->first;
	op.last = failed->last;
	op.count = failed->count > UINT32_MAX ? UINT32_MAX : (uint32_t)failed->count;
	return fp_build_add(build, op, process, node);
}

static int add_findings(struct fp_build *build, struct probes *probes)
{
	int r = 0;

	for (uint32_t i = 0; r >= 0 && i < fp_intern_count(&build->failed_by); i++) {
		const struct fp_failed *failed = &build->failed[i];
		const struct fp_item *item = &build->evidence->items[failed->item];

		/* before the first request whoever makes the container tries out what it may do */
		if (item->unit == FP_UNIT_IS_STARTUP)
			continue;
		if (is_refused(item))
			r = add_finding(build, failed, FP_FINDING_REFUSED);
		else if (is_found(probes, item))
			r = add_finding(build, failed, FP_FINDING_PROBING);
	}
	return r;
}

int fp_build_failures(struct fp_build *build)
{
	const struct fp_evidence *evidence = build->evidence;
	struct probes probes = {0};
	int r = 0;

	fp_intern_init(&probes.by, SIZE_MAX);
	fp_intern_init(&probes.names, SIZE_MAX);
	for (size_t i = 0; r >= 0 && i < evidence->n_items; i++) {
		const struct fp_item *item = &evidence->items[build->order[i]];

		if (item->type != FP_EVENT_TYPE_FAILED || build->processes[item->process].is_watchdog)
			continue;
		r = add_failed(build, item, build->order[i]);
		if (r >= 0)
			r = add_probe(build, &probes, item);
	}
	if (r >= 0)
		r = add_findings(build, &probes);
	fp_intern_done(&probes.by);
	fp_intern_done(&probes.names);
	free(probes.list);
	return r < 0 ? r : 0;
}

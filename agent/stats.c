#include "agent/stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/bpf/shared.h"
#include "agent/failures.h"
#include "agent/host.h"
#include "base/cleanup.h"
#include "base/text.h"

/* Rows of requests in a document, the largest by operations and by loss. */
#define REQUESTS_SAID 128

static void set(json_t *object, const char *key, uint64_t value)
{
	json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void set_text(json_t *object, const char *key, const char *text)
{
	json_t *value = text && *text ? json_string(text) : NULL;

	/* a path need not be UTF-8 */
	json_object_set_new(object, key, value ? value : text && *text ? json_string("?") : json_null());
}

/* These take a number, so that nothing but they explains a hole. */
static uint64_t lost_records(const struct fp_look_container *row)
{
	return row ? row->lost[FP_LOSS_RING_FULL] + row->lost[FP_LOSS_BUDGET] : 0;
}

/* --- failed calls ------------------------------------------------------------------- */

/* By cgroup: {"open ENOENT": 12}.  Those that found no row of their own are of cgroup 0. */
static json_t *failures(const struct fp_stats_agent *agent)
{
	json_t *by_cgroup = json_object();

	for (const struct fp_failure_count *count = agent ? agent->failures : NULL; count; count = count->hh.next) {
		const char *operation = count->key.operation > UINT32_MAX ? NULL : fp_operation_name((uint32_t)count->key.operation);
		const char *error = count->key.result > -4096 ? strerrorname_np((int)-count->key.result) : NULL;
		char cgroup[24], name[64];

		snprintf(cgroup, sizeof(cgroup), "%" PRIu64, count->key.cgroup);
		snprintf(name, sizeof(name), "%s %s", operation ? operation : "others", error ? error : "");
		if (!json_object_get(by_cgroup, cgroup))
			json_object_set_new(by_cgroup, cgroup, json_object());
		set(json_object_get(by_cgroup, cgroup), operation ? name : "others", count->count);
	}
	return by_cgroup;
}

static void set_failed(json_t *row, uint64_t cgroup, const json_t *failed)
{
	char name[24];
	json_t *own;

	snprintf(name, sizeof(name), "%" PRIu64, cgroup);
	own = json_object_get(failed, name);
	json_object_set_new(row, "failed", own ? json_incref(own) : json_object());
}

/* --- containers --------------------------------------------------------------------- */

static json_t *container_row(const struct fp_look *look, const struct fp_look_container *seen, uint64_t cgroup,
			     const struct fp_tally_container *tallied)
{
	static const struct fp_tally_counts nothing;
	const struct fp_tally_counts *counts = tallied ? &tallied->counts : &nothing;
	json_t *row = json_object(), *losses = json_object();
	uint64_t unread = seen ? seen->unread : 0;
	bool throttled = false;

	set(row, "cgroup", cgroup);
	set_text(row, "container", tallied ? tallied->id : NULL);
	set_text(row, "function", tallied ? tallied->function : NULL);
	set(row, "generated", counts->records + unread + lost_records(seen));
	set(row, "delivered", counts->records);
	set(row, "waiting", unread);
	set(row, "lost", lost_records(seen));
	for (unsigned cause = 0; seen && cause < FP_LOOK_CAUSES; cause++)
		if (seen->lost[cause] && fp_loss_name(cause))
			set(losses, fp_loss_name(cause), seen->lost[cause]);
	json_object_set_new(row, "losses", losses);
	set(row, "events", counts->events);
	set(row, "operations", counts->operations);
	set(row, "ring_bytes", cgroup == FP_LOOK_OTHERS ? 0 : fp_look_held(look, cgroup, &throttled));
	json_object_set_new(row, "throttled", json_boolean(throttled));
	return row;
}

static json_t *containers(const struct fp_look *look, const struct fp_tally *tally, const json_t *failed)
{
	const struct fp_tally_container *tallied;
	const struct fp_look_container *seen;
	json_t *rows = json_array();

	for (tallied = tally->containers; tallied; tallied = tallied->hh.next) {
		HASH_FIND(hh, look->containers, &tallied->cgroup, sizeof(tallied->cgroup), seen);
		json_array_append_new(rows, container_row(look, seen, tallied->cgroup, tallied));
	}
	for (seen = look->containers; seen; seen = seen->hh.next) {
		HASH_FIND(hh, tally->containers, &seen->cgroup, sizeof(seen->cgroup), tallied);
		if (!tallied && seen->cgroup != FP_LOOK_OTHERS)
			json_array_append_new(rows, container_row(look, seen, seen->cgroup, NULL));
	}
	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);

		set_failed(row, (uint64_t)json_integer_value(json_object_get(row, "cgroup")), failed);
	}
	return rows;
}

/* Containers that are in no table any more, or never were. */
static json_t *others(const struct fp_look *look, const struct fp_tally *tally, const json_t *failed)
{
	struct fp_tally_container sum = {.counts = tally->others};
	const struct fp_look_container *seen;
	uint64_t cgroup = FP_LOOK_OTHERS;
	json_t *row;

	HASH_FIND(hh, look->containers, &cgroup, sizeof(cgroup), seen);
	row = container_row(look, seen, cgroup, &sum);
	json_object_del(row, "cgroup");
	set(row, "containers", tally->containers_forgotten);
	set_failed(row, 0, failed);
	return row;
}

/* --- requests ------------------------------------------------------------------------ */

static int by_operations(const struct fp_tally_request *a, const struct fp_tally_request *b)
{
	return a->operations < b->operations ? 1 : a->operations > b->operations ? -1 : 0;
}

static int by_loss(const struct fp_tally_request *a, const struct fp_tally_request *b)
{
	return a->lost < b->lost ? 1 : a->lost > b->lost ? -1 : by_operations(a, b);
}

static json_t *request_row(const struct fp_tally *tally, const struct fp_tally_request *request)
{
	const struct fp_tally_container *container;
	char id[2 * FP_REQUEST_ID_SIZE + 1];
	json_t *row = json_object();

	fp_hex(request->id, FP_REQUEST_ID_SIZE, id);
	HASH_FIND(hh, tally->containers, &request->cgroup, sizeof(request->cgroup), container);
	set_text(row, "request", id);
	set_text(row, "function", container ? container->function : NULL);
	set(row, "cgroup", request->cgroup);
	set(row, "events", request->events);
	set(row, "operations", request->operations);
	set(row, "lost", request->lost);
	json_object_set_new(row, "in_flight", json_boolean(!request->ended));
	return row;
}

static json_t *top_requests(struct fp_tally *tally, int (*order)(const struct fp_tally_request *, const struct fp_tally_request *),
			    bool only_lost)
{
	const struct fp_tally_request *request;
	json_t *rows = json_array();

	HASH_SORT(tally->requests, order);
	for (request = tally->requests; request && json_array_size(rows) < REQUESTS_SAID; request = request->hh.next)
		if (!only_lost || request->lost)
			json_array_append_new(rows, request_row(tally, request));
	return rows;
}

static json_t *requests(const struct fp_tally *tally)
{
	/* its order is nobody's business */
	struct fp_tally *sorted = (struct fp_tally *)tally;
	json_t *object = json_object();

	json_object_set_new(object, "by_operations", top_requests(sorted, by_operations, false));
	json_object_set_new(object, "by_loss", top_requests(sorted, by_loss, true));
	set(object, "known", HASH_COUNT(tally->requests));
	set(object, "forgotten", tally->requests_forgotten);
	set(object, "forgotten_most", tally->forgotten_most);
	return object;
}

/* --- the whole ------------------------------------------------------------------------ */

static json_t *losses(const struct fp_look *look, const struct fp_tally *tally)
{
	uint64_t lost[FP_LOOK_CAUSES] = {0};
	const struct fp_look_container *seen;
	json_t *object = json_object();

	_Static_assert(FP_LOOK_CAUSES == FP_TALLY_CAUSES, "one set of causes");
	for (seen = look->containers; seen; seen = seen->hh.next)
		for (unsigned cause = 0; cause < FP_LOOK_CAUSES; cause++)
			lost[cause] += seen->lost[cause];
	/* found by the agent alone; what the kernel counts is told by it, too */
	lost[FP_LOSS_SEQUENCE] = tally->lost[FP_LOSS_SEQUENCE];
	lost[FP_LOSS_INVALID] = tally->lost[FP_LOSS_INVALID];
	lost[FP_LOSS_STATE_FULL] = tally->lost[FP_LOSS_STATE_FULL];
	lost[FP_LOSS_REPLACED] = tally->lost[FP_LOSS_REPLACED];
	lost[FP_LOSS_SPOOL_FULL] = tally->not_spooled;
	for (unsigned cause = 0; cause < FP_LOOK_CAUSES; cause++)
		if (fp_loss_name(cause) && !fp_loss_is_hook(cause))
			set(object, fp_loss_name(cause), lost[cause]);
	return object;
}

static json_t *missing_hooks(const struct fp_look *look)
{
	json_t *names = json_array();

	for (unsigned cause = 1; cause < 64; cause++)
		if (look->hooks >> cause & 1 && fp_loss_name(cause))
			json_array_append_new(names, json_string(fp_loss_name(cause)));
	return names;
}

static json_t *ring(const struct fp_look *look)
{
	json_t *object = json_object();
	uint64_t now = fp_host_boottime();

	set(object, "size", look->ring_size);
	set(object, "filled", look->waiting);
	set(object, "highest", look->highest > look->waiting ? look->highest : look->waiting);
	set(object, "unread_bytes", look->unread_bytes);
	json_object_set_new(object, "lag_seconds",
			    json_real(look->oldest && now > look->oldest ? (double)(now - look->oldest) / 1e9 : 0));
	return object;
}

static json_t *stages(const struct fp_look *look, const struct fp_tally *tally, const struct fp_stats_agent *agent)
{
	const struct fp_tally_container *container;
	struct fp_tally_counts sum = tally->others;
	const struct fp_look_container *seen;
	json_t *object = json_object();
	uint64_t lost = 0;

	for (container = tally->containers; container; container = container->hh.next) {
		sum.records += container->counts.records;
		sum.events += container->counts.events;
		sum.operations += container->counts.operations;
	}
	for (seen = look->containers; seen; seen = seen->hh.next)
		lost += lost_records(seen);
	set(object, "numbered", look->numbered);
	set(object, "lost", lost);
	set(object, "waiting", look->unread);
	set(object, "read", sum.records);
	if (agent) {
		set(object, "invalid", agent->pipeline.invalid);
		set(object, "requests_begun", agent->pipeline.begun);
		set(object, "requests_ended", agent->pipeline.ended);
		set(object, "marks_refused", agent->pipeline.refused);
		set(object, "merged", agent->pipeline.merged);
	}
	set(object, "events", sum.events);
	if (agent)
		set(object, "batches", agent->batch);
	if (agent && agent->spools) {
		set(object, "batches_pending", agent->pending);
		set(object, "batches_acknowledged", agent->batch > agent->pending ? agent->batch - agent->pending : 0);
	}
	return object;
}

static uint64_t status_bytes(const char *name)
{
	fp_cleanup(fp_fclosep) FILE *status = fopen("/proc/self/status", "re");
	unsigned long long kib;
	char line[256];

	while (status && fgets(line, sizeof(line), status))
		if (strncmp(line, name, strlen(name)) == 0 && sscanf(line + strlen(name), ": %llu", &kib) == 1)
			return kib << 10;
	return 0;
}

static void say_agent(json_t *document, const struct fp_look *look, const struct fp_stats_agent *agent)
{
	json_t *memory = json_object(), *spool;

	set(document, "pid", (uint64_t)getpid());
	set_text(document, "node", agent->node);
	set_text(document, "cgroup", agent->cgroup);
	set_text(document, "output", agent->output);
	/* mapped pages of the ring are in the resident ones, as shared */
	set(memory, "private", status_bytes("RssAnon"));
	set(memory, "resident", status_bytes("VmRSS"));
	set(memory, "peak", status_bytes("VmHWM"));
	set(memory, "ring", look->ring_size);
	set(memory, "kernel", agent->kernel_memory);
	set(memory, "limit", agent->memory_limit);
	json_object_set_new(document, "memory", memory);
	if (!agent->spools)
		return;
	spool = json_object();
	set(spool, "batches", agent->pending);
	set(spool, "bytes", agent->pending_bytes);
	set(spool, "limit", agent->spool_limit);
	json_object_set_new(document, "spool", spool);
}

json_t *fp_stats_document(const struct fp_look *look, const struct fp_tally *tally, const struct fp_stats_agent *agent)
{
	json_t *document = json_object(), *failed = failures(agent);

	json_object_set_new(document, "running", json_boolean(agent != NULL));
	set_text(document, "version", FP_VERSION);
	set(document, "cgroup_id", look->root_cgroup);
	if (agent)
		say_agent(document, look, agent);
	json_object_set_new(document, "stages", stages(look, tally, agent));
	json_object_set_new(document, "losses", losses(look, tally));
	json_object_set_new(document, "missing_hooks", missing_hooks(look));
	json_object_set_new(document, "ring", ring(look));
	json_object_set_new(document, "containers", containers(look, tally, failed));
	json_object_set_new(document, "others", others(look, tally, failed));
	json_object_set_new(document, "requests", requests(tally));
	json_decref(failed);
	return document;
}

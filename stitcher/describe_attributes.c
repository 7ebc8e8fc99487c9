/* What else is known of a node, as JSON. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <jansson.h>

#include "base/text.h"
#include "stitcher/describe.h"

#define BEFORE_RECORDING "before recording"

static void set_text(const struct fp_build *build, json_t *object, const char *name, uint32_t text)
{
	if (text)
		json_object_set_new(object, name, json_string(fp_text(build->evidence, text)));
}

static void set_number(json_t *object, const char *name, uint64_t number)
{
	json_object_set_new(object, name, json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number));
}

static void set_argv(const struct fp_build *build, json_t *object, uint32_t argv)
{
	json_t *array;
	size_t len;
	const char *text = fp_intern_key(&build->evidence->texts, argv, &len);

	if (!len)
		return;
	array = json_array();
	for (size_t at = 0; at <= len; at += strlen(text + at) + 1)
		json_array_append_new(array, json_string(text + at));
	json_object_set_new(object, "argv", array);
}

static void describe_exec(const struct fp_build *build, const struct fp_item *item, json_t *object)
{
	const struct fp_exec *exec = &build->evidence->execs[item->detail];

	set_text(build, object, "path", item->path);
	set_argv(build, object, exec->argv);
	set_text(build, object, "comm", exec->comm);
	set_number(object, "uid", exec->uid);
	set_number(object, "gid", exec->gid);
	if (exec->pid)
		set_number(object, "pid", exec->pid);
	if (exec->parent != FP_NONE)
		set_number(object, "host_parent", build->evidence->processes[exec->parent].tgid);
}

static void describe_exit(const struct fp_process_state *state, json_t *object)
{
	if (!state->exited)
		return;
	if (WIFSIGNALED(state->status))
		set_number(object, "exit_signal", (uint64_t)WTERMSIG(state->status));
	else
		set_number(object, "exit_status", (uint64_t)WEXITSTATUS(state->status));
}

static void describe_failed(const struct fp_build *build, const struct fp_gnode *node, json_t *object)
{
	uint32_t at = fp_build_failed_of(build, node->a, node->b, node->c);
	json_t *list = at == FP_NONE ? NULL : json_array();

	for (; at != FP_NONE; at = build->failed[at].next) {
		json_t *one = json_object();

		fp_build_describe_failed(build, &build->failed[at], one);
		set_number(one, "count", build->failed[at].count);
		json_array_append_new(list, one);
	}
	if (list)
		json_object_set_new(object, "failed", list);
}

/* Which of the function's replicas, and made of what. */
static void describe_container(const struct fp_build *build, uint32_t number, json_t *object)
{
	const struct fp_container *container = &build->evidence->containers[number];

	set_text(build, object, "replica", container->replica);
	set_text(build, object, "image", container->image);
}

/* Who came from outside what was recorded of the container says so, and who brought it. */
static void describe_moved(const struct fp_build *build, const struct fp_gnode *node, json_t *object)
{
	const struct fp_item *item = &build->evidence->items[build->processes[node->a].moved];
	char time[FP_TIME_TEXT_SIZE];

	json_object_set_new(object, "started", json_string("in another cgroup"));
	fp_time_text(fp_build_wall(build, item, item->time), time);
	json_object_set_new(object, "moved", json_string(time));
	set_text(build, object, "moved_by", item->new_path);
	set_number(object, "moved_by_pid", item->value);
}

/* Who left what is recorded: from then on nothing is known of it. */
static void describe_left(const struct fp_build *build, const struct fp_process_state *state, json_t *object)
{
	const struct fp_item *item = &build->evidence->items[state->left];
	char time[FP_TIME_TEXT_SIZE];

	fp_time_text(fp_build_wall(build, item, item->time), time);
	json_object_set_new(object, "left", json_string(time));
	set_text(build, object, "left_to", item->path);
	set_text(build, object, "left_by", item->new_path);
	set_number(object, "left_by_pid", item->value);
}

static int describe_process(const struct fp_build *build, const struct fp_gnode *node, json_t *object)
{
	const struct fp_process *process = &build->evidence->processes[node->a];
	const struct fp_process_state *state = &build->processes[node->a];
	uint32_t key[2] = {node->a, node->b}, image = fp_intern_find(&build->images_by, key, sizeof(key));
	struct fp_buffer unit = FP_BUFFER_INIT;
	int r;

	set_number(object, "host_pid", process->tgid);
	if (state->moved != FP_NONE && build->evidence->items[state->moved].exec_id == node->b)
		describe_moved(build, node, object);
	else if (image != FP_NONE && build->evidence->items[build->images[image].exec].type == FP_EVENT_TYPE_PRESENT)
		json_object_set_new(object, "started", json_string(BEFORE_RECORDING));
	if (state->left != FP_NONE && build->evidence->items[state->left].exec_id == node->b)
		describe_left(build, state, object);
	if (image != FP_NONE)
		describe_exec(build, &build->evidence->items[build->images[image].exec], object);
	if (!json_object_get(object, "host_parent") && state->parent != FP_NONE)
		set_number(object, "host_parent", build->evidence->processes[state->parent].tgid);
	fp_describe_unit(build, node->c, &unit);
	r = fp_buffer_error(&unit);
	if (r == 0)
		json_object_set_new(object, "unit", json_string(unit.data));
	fp_buffer_done(&unit);
	describe_exit(state, object);
	describe_failed(build, node, object);
	if (fp_unit_request(node->c) == FP_NONE && node->container < FP_SEVERAL) /* else its request says it */
		describe_container(build, node->container, object);
	if (process->refused) {
		set_number(object, "refused_marks", process->refused);
		set_text(build, object, "refused", process->refusal);
	}
	return r;
}

/* How far the clock of the request's host is behind that of its caller's, and by how much it was put forward. */
static void describe_clock(const struct fp_build *build, const struct fp_request_state *state, json_t *object)
{
	const struct fp_evidence *evidence = build->evidence;
	uint32_t own = evidence->sources[state->source].boot, other;

	if (state->message == FP_NONE)
		return;
	other = fp_item_source(evidence, &evidence->items[state->message])->boot;
	for (size_t i = 0; own != other && i < evidence->n_skews; i++)
		if (evidence->skews[i].from == other && evidence->skews[i].to == own)
			json_object_set_new(object, "clock_behind_ns",
					    json_pack("[I, I]", (json_int_t)evidence->skews[i].least,
						      (json_int_t)evidence->skews[i].most));
	if (evidence->boots[own].correction)
		json_object_set_new(object, "clock_corrected_ns", json_integer(evidence->boots[own].correction));
}

static void describe_request(const struct fp_build *build, const struct fp_gnode *node, json_t *object)
{
	const struct fp_evidence *evidence = build->evidence;
	const struct fp_request_state *state = &build->requests[node->a];

	if (state->begin != FP_NONE) {
		const struct fp_begin *begin = &evidence->begins[evidence->items[state->begin].detail];

		set_text(build, object, "call_id", begin->call_id);
		set_text(build, object, "traceparent", begin->traceparent);
		set_text(build, object, "method", begin->method);
		set_text(build, object, "url", begin->url);
		set_text(build, object, "forwarded", begin->forwarded);
		set_text(build, object, "peer", begin->peer);
	}
	if (state->end != FP_NONE) {
		if (evidence->items[state->end].value)
			set_number(object, "status", evidence->items[state->end].value);
		set_number(object, "response_bytes", evidence->items[state->end].bytes);
	}
	if (state->container != FP_NONE)
		describe_container(build, state->container, object);
	if (state->join)
		json_object_set_new(object, "join", json_string(state->join));
	describe_clock(build, state, object);
	if (state->lost)
		set_number(object, "lost", state->lost);
}

static void describe_file(const struct fp_build *build, const struct fp_gnode *node, json_t *object)
{
	const struct fp_file *file = &build->evidence->files[node->a];
	json_t *paths;

	if (file->by_path)
		json_object_set_new(object, "identity", json_string("path"));
	else
		json_object_set_new(object, "inode", json_integer((json_int_t)(file->ino & INT64_MAX)));
	if (build->files[node->a].was_open && !node->b)
		json_object_set_new(object, "opened", json_string(BEFORE_RECORDING));
	if (node->extra == FP_NONE)
		return;
	paths = json_array();
	for (uint32_t at = node->extra; at != FP_NONE; at = build->path_list[at].next)
		json_array_insert_new(paths, 0, json_string(fp_text(build->evidence, build->path_list[at].path)));
	json_object_set_new(object, "paths", paths);
}

static void describe_gap(const struct fp_build *build, const struct fp_gnode *node, json_t *object)
{
	const struct fp_gap *gap = &build->gaps[node->a];

	json_object_set_new(object, "cause", json_string(fp_loss_name(gap->cause)));
	set_number(object, gap->missing_batches ? "batches" : "records", gap->lost);
}

static void describe_finding(const struct fp_gnode *node, json_t *object)
{
	json_t *techniques = json_array();
	const char *text = fp_finding_techniques(node->a);

	while (*text) {
		size_t len = strcspn(text, ",");

		json_array_append_new(techniques, json_stringn(text, len));
		text += len + (text[len] == ',');
	}
	json_object_set_new(object, "means", json_string(fp_finding_doc(node->a)));
	json_object_set_new(object, "techniques", techniques);
}

int fp_describe_attributes(const struct fp_build *build, const struct fp_gnode *node, char **ret_json)
{
	json_t *object = json_object();
	char *json = NULL;
	int r = 0;

	if (!object)
		return -ENOMEM;
	if (node->kind == FP_NODE_PROCESS)
		r = describe_process(build, node, object);
	else if (node->kind == FP_NODE_REQUEST)
		describe_request(build, node, object);
	else if (node->kind == FP_NODE_FILE || (node->kind == FP_NODE_PIPE && !node->b))
		describe_file(build, node, object);
	else if (node->kind == FP_NODE_SOCKET && build->links[node->a].was_open)
		json_object_set_new(object, "opened", json_string(BEFORE_RECORDING));
	else if (node->kind == FP_NODE_GAP)
		describe_gap(build, node, object);
	else if (node->kind == FP_NODE_FINDING)
		describe_finding(node, object);
	if (r == 0 && json_object_size(object)) {
		json = json_dumps(object, JSON_COMPACT);
		r = json ? 0 : -ENOMEM;
	}
	json_decref(object);
	if (r == 0)
		*ret_json = json;
	return r;
}

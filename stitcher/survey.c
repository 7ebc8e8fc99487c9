/*
 * What must be known before the first item is resolved: where requests begin
 * and end, which program a process runs, and what connections and pipes are for.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/array.h"
#include "stitcher/build.h"

static int make_tables(struct fp_build *build)
{
	const struct fp_evidence *evidence = build->evidence;
	uint32_t n_requests = fp_intern_count(&evidence->requests), n_processes = fp_intern_count(&evidence->processes_by);
	uint32_t n_streams = fp_intern_count(&evidence->streams_by);

	build->requests = calloc((size_t)n_requests + 1, sizeof(*build->requests));
	build->processes = calloc((size_t)n_processes + 1, sizeof(*build->processes));
	build->links = calloc((size_t)n_streams + 1, sizeof(*build->links));
	build->path_roles = calloc((size_t)fp_intern_count(&evidence->paths_by) + 1, sizeof(*build->path_roles));
	build->files = calloc((size_t)fp_intern_count(&evidence->files_by) + 1, sizeof(*build->files));
	build->joined = malloc((evidence->n_messages + 1) * sizeof(*build->joined));
	if (!build->requests || !build->processes || !build->links || !build->path_roles || !build->files ||
	    !build->joined)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_requests; i++)
		build->requests[i] = (struct fp_request_state){.begin = FP_NONE, .end = FP_NONE, .container = FP_NONE,
							       .node = FP_NONE, .caller = FP_NONE, .message = FP_NONE,
							       .callback_of = FP_NONE, .first_return = FP_NONE,
							       .first = UINT64_MAX};
	for (uint32_t i = 0; i < n_processes; i++)
		build->processes[i] = (struct fp_process_state){
			.node = FP_NONE, .parent = FP_NONE, .parent_exec = FP_NONE, .root_of = FP_NONE, .moved = FP_NONE, .left = FP_NONE};
	for (uint32_t i = 0; i < n_streams; i++)
		build->links[i].accepted = FP_NONE;
	for (size_t i = 0; i < evidence->n_messages; i++)
		build->joined[i] = FP_NONE;
	return 0;
}

/* A second begin or end of the same id is somebody's forgery or mistake and changes nothing. */
static void survey_request(struct fp_build *build, const struct fp_item *item, uint32_t number)
{
	const struct fp_evidence *evidence = build->evidence;
	struct fp_request_state *request = &build->requests[fp_unit_request(item->unit)];
	uint64_t first = fp_build_wall(build, item, item->time), last = fp_build_wall(build, item, item->last);

	if (request->first == UINT64_MAX)
		request->source = evidence->batches[item->batch].source;
	if (request->container == FP_NONE)
		request->container = fp_item_container(build, item);
	if (item->type == FP_EVENT_TYPE_BEGIN && request->begin == FP_NONE) {
		request->begin = number;
		request->first = first;
		request->source = evidence->batches[item->batch].source;
		request->container = fp_item_container(build, item);
		/* who reads a request on the wire serves it, maybe itself */
		build->processes[item->process].is_watchdog =
			evidence->processes[item->process].tgid != 0 && item->rule != FP_RULE_HEADER;
	} else if (item->type == FP_EVENT_TYPE_END && request->end == FP_NONE) {
		request->end = number;
		request->last = last;
	}
	if (item->type == FP_EVENT_TYPE_SEND && fp_rule_is_own(item->rule) && request->first_return == FP_NONE)
		request->first_return = number;
	if (request->begin == FP_NONE && first < request->first)
		request->first = first;
	if (request->end == FP_NONE && last > request->last)
		request->last = last;
}

static int survey_exec(struct fp_build *build, const struct fp_item *item, uint32_t number)
{
	uint32_t key[2] = {item->process, item->exec_id}, image;
	int r = fp_intern_add(&build->images_by, key, sizeof(key), &image);

	/* of who came from elsewhere the walk knows more than was seen of it in passing */
	if (r == 0 && item->type == FP_EVENT_TYPE_PRESENT &&
	    build->evidence->items[build->images[image].exec].type == FP_EVENT_TYPE_MOVED)
		build->images[image].exec = number;
	if (r <= 0)
		return r;
	if (!FP_ARRAY_ROOM(build->images, image, build->images_room))
		return -ENOMEM;
	build->images[image] = (struct fp_image){.exec = number};
	return 0;
}

static void survey_socket(struct fp_build *build, const struct fp_item *item, uint32_t number)
{
	const struct fp_stream *out = &build->evidence->streams[item->object];

	if (item->type == FP_EVENT_TYPE_ACCEPT && build->links[item->peer].accepted == FP_NONE)
		build->links[item->peer].accepted = number;
	if (item->type == FP_EVENT_TYPE_CONNECT)
		build->links[item->object].connected = true;
	if (!fp_rule_is_own(item->rule))
		return;
	build->path_roles[out->path].is_own = true;
}

static void survey_pipe(struct fp_build *build, const struct fp_item *item)
{
	struct fp_file_state *pipe = &build->files[item->object];

	if (item->result < 0 || (item->type != FP_EVENT_TYPE_READ && item->type != FP_EVENT_TYPE_WRITE))
		return;
	if (pipe->is_read || pipe->is_written)
		pipe->is_shared |= pipe->user != item->process;
	pipe->user = item->process;
	pipe->is_read |= item->type == FP_EVENT_TYPE_READ;
	pipe->is_written |= item->type == FP_EVENT_TYPE_WRITE;
}

/* What was open before recording began: it names what is done to it later, and makes no edge of its own. */
static void survey_state(struct fp_build *build, const struct fp_item *item)
{
	if (item->kind == FP_ITEM_STREAM)
		build->links[item->object].was_open = build->links[item->peer].was_open = true;
	if (item->kind != FP_ITEM_FILE)
		return;
	build->files[item->object].was_open = true;
	if (!build->files[item->object].first_path)
		build->files[item->object].first_path = item->path;
}

int fp_build_survey(struct fp_build *build)
{
	const struct fp_evidence *evidence = build->evidence;
	int r = make_tables(build);

	for (size_t i = 0; r >= 0 && i < evidence->n_items; i++) {
		const struct fp_item *item = &evidence->items[build->order[i]];

		if (fp_unit_request(item->unit) != FP_NONE)
			survey_request(build, item, build->order[i]);
		if (item->type == FP_EVENT_TYPE_MOVED && build->processes[item->process].moved == FP_NONE)
			build->processes[item->process].moved = build->order[i];
		if (item->type == FP_EVENT_TYPE_LEFT)
			build->processes[item->process].left = build->order[i];
		if (item->type == FP_EVENT_TYPE_EXEC || item->type == FP_EVENT_TYPE_PRESENT || item->type == FP_EVENT_TYPE_MOVED)
			r = survey_exec(build, item, build->order[i]);
		else if (fp_event_is_state(item->type))
			survey_state(build, item);
		else if (item->kind == FP_ITEM_STREAM)
			survey_socket(build, item, build->order[i]);
		else if (item->kind == FP_ITEM_FILE && evidence->files[item->object].is_pipe)
			survey_pipe(build, item);
		if (r >= 0)
			r = fp_build_progress(build, "survey", i, evidence->n_items);
	}
	/* an end before the begin is no honest clock's */
	for (uint32_t i = 0; r >= 0 && i < fp_intern_count(&evidence->requests); i++)
		if (build->requests[i].last < build->requests[i].first)
			build->requests[i].last = build->requests[i].first;
	return r < 0 ? r : 0;
}

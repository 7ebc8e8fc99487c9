/*
 * What tells things apart: processes by boot, start and pid; containers by boot
 * and cgroup; units by request; files by boot and inode, never by path if there
 * is anything else.
 */
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "stitcher/evidence.h"

int fp_evidence_process(struct fp_evidence *evidence, uint32_t boot, uint32_t host, uint64_t start, uint64_t tgid,
			uint32_t *ret_process)
{
	struct {
		uint64_t boot, start, tgid;
	} key = {boot, start, tgid};
	int r;

	if (evidence->last.has_process && evidence->last.process_start == start && evidence->last.process_tgid == tgid &&
	    evidence->last.process_boot == boot) {
		*ret_process = evidence->last.process;
		return 0;
	}
	r = fp_intern_add(&evidence->processes_by, &key, sizeof(key), ret_process);
	if (r < 0)
		return r;
	if (r == 1) {
		if (!FP_ARRAY_ROOM(evidence->processes, *ret_process, evidence->processes_room))
			return -ENOMEM;
		evidence->processes[*ret_process] =
			(struct fp_process){.boot = boot, .host = host, .start = start, .tgid = tgid};
	}
	evidence->last.has_process = true;
	evidence->last.process_boot = boot;
	evidence->last.process_start = start;
	evidence->last.process_tgid = tgid;
	evidence->last.process = *ret_process;
	return 0;
}

int fp_evidence_container(struct fp_evidence *evidence, uint32_t boot, uint64_t cgroup, uint32_t *ret_container)
{
	struct {
		uint64_t boot, cgroup;
	} key = {boot, cgroup};
	int r;

	if (evidence->last.has_container && evidence->last.cgroup == cgroup && evidence->last.container_boot == boot) {
		*ret_container = evidence->last.container;
		return 0;
	}
	r = fp_intern_add(&evidence->containers_by, &key, sizeof(key), ret_container);
	if (r < 0)
		return r;
	if (r == 1) {
		if (!FP_ARRAY_ROOM(evidence->containers, *ret_container, evidence->containers_room))
			return -ENOMEM;
		evidence->containers[*ret_container] = (struct fp_container){.boot = boot, .cgroup = cgroup};
	}
	evidence->last.has_container = true;
	evidence->last.container_boot = boot;
	evidence->last.cgroup = cgroup;
	evidence->last.container = *ret_container;
	return 0;
}

static bool is_zero_id(const char *id)
{
	static const char zero[FP_REQUEST_ID_SIZE];

	return memcmp(id, zero, sizeof(zero)) == 0;
}

/* The unit an event belongs to; an attribution that makes no sense is ambiguous, never a request. */
int fp_evidence_unit(struct fp_evidence *evidence, const struct fp_event *event, uint32_t *ret_unit)
{
	int r;

	*ret_unit = FP_UNIT_IS_AMBIGUOUS;
	if (event->attribution == FP_ATTRIBUTION_AMBIGUOUS)
		return 0;
	if (event->unit != FP_UNIT_REQUEST) {
		*ret_unit = event->unit == FP_UNIT_STARTUP ? FP_UNIT_IS_STARTUP : FP_UNIT_IS_BACKGROUND;
		return 0;
	}
	if (event->request.len != FP_REQUEST_ID_SIZE || is_zero_id(event->request.data))
		return 0;
	if (!evidence->last.has_request || memcmp(evidence->last.request, event->request.data, FP_REQUEST_ID_SIZE) != 0) {
		evidence->last.has_request = false;
		r = fp_intern_add(&evidence->requests, event->request.data, event->request.len,
				  &evidence->last.request_number);
		if (r < 0)
			return r;
		evidence->last.has_request = true;
		memcpy(evidence->last.request, event->request.data, FP_REQUEST_ID_SIZE);
	}
	*ret_unit = FP_UNIT_FIRST_REQUEST + evidence->last.request_number;
	return 0;
}

int fp_evidence_file(struct fp_evidence *evidence, const struct fp_event *event, uint64_t object, struct fp_item *item)
{
	struct {
		uint64_t boot, tag, dev, ino, gen;
	} key = {.dev = event->dev, .ino = event->ino, .gen = event->gen};
	const struct fp_source *source = &evidence->sources[evidence->batches[item->batch].source];
	uint32_t host = source->host;
	int r;

	if (object == FP_OBJECT_SOCKET) {
		item->peer = FP_NONE;
		return fp_evidence_unix_end(evidence, item, event->ino, &item->object);
	}
	if (object != FP_OBJECT_FILE && object != FP_OBJECT_DIRECTORY && object != FP_OBJECT_PIPE)
		return 0;
	key.boot = source->boot;
	key.tag = object == FP_OBJECT_PIPE;
	if (!event->dev && !event->ino) {
		if (!item->path)
			return 0;
		key.tag = 2;
		key.dev = event->cgroup;
		key.ino = item->path;
		key.gen = 0;
	}
	r = fp_intern_add(&evidence->files_by, &key, sizeof(key), &item->object);
	if (r < 0)
		return r;
	if (r == 1) {
		if (!FP_ARRAY_ROOM(evidence->files, item->object, evidence->files_room))
			return -ENOMEM;
		evidence->files[item->object] = (struct fp_file){
			.boot = (uint32_t)key.boot, .host = host, .is_pipe = object == FP_OBJECT_PIPE,
			.by_path = key.tag == 2, .dev = event->dev, .ino = event->ino, .gen = event->gen};
	}
	item->kind = FP_ITEM_FILE;
	return 0;
}

#include "wire/batch_format.h"

#include <errno.h>
#include <string.h>

bool fp_batch_layout(unsigned type, struct fp_batch_layout *ret_layout)
{
	const struct fp_event_info *info = fp_event_info(type);
	struct fp_batch_layout layout = {0};

	if (!info)
		return false;
	for (unsigned field = FP_HEAD_FIRST; field <= FP_HEAD_LAST; field++)
		layout.fields[layout.n++] = (uint8_t)field;
	for (unsigned field = FP_NOTE_FIRST; field <= FP_NOTE_LAST; field++)
		layout.fields[layout.n++] = (uint8_t)field;
	for (unsigned i = 0; i < info->n_fields; i++)
		if (info->fields[i].origin != FP_FROM_KERNEL_TRANSIENT)
			layout.fields[layout.n++] = info->fields[i].field;
	*ret_layout = layout;
	return true;
}

bool fp_batch_event_valid(const struct fp_event *event)
{
	size_t id = FP_REQUEST_ID_SIZE;

	if (event->request.len != 0 && event->request.len != id)
		return false;
	if (event->candidates.len % id != 0)
		return false;
	if (event->unit > UINT32_MAX || event->attribution > UINT32_MAX || event->rule > UINT32_MAX ||
	    event->object > UINT32_MAX || event->app > UINT32_MAX || event->cause > UINT32_MAX)
		return false;
	return fp_unit_name((unsigned)event->unit) && fp_attribution_name((unsigned)event->attribution) &&
	       fp_rule_name((unsigned)event->rule) && fp_object_name((unsigned)event->object) &&
	       fp_app_name((unsigned)event->app) && fp_operation_name((unsigned)event->operation) &&
	       (event->type != FP_EVENT_TYPE_LOST || fp_loss_name((unsigned)event->cause));
}

ssize_t fp_batch_frame_length(const uint8_t *data, size_t len)
{
	uint64_t rest;

	if (memcmp(data, FP_BATCH_MAGIC, len < 4 ? len : 4) != 0)
		return -EBADMSG;
	if (len < FP_BATCH_PREFIX)
		return 0;
	rest = fp_get_le(data + FP_AT_REST, 4);
	if (rest > FP_BATCH_FRAME_MAX - FP_BATCH_PREFIX || rest < FP_BATCH_FIXED - FP_BATCH_PREFIX)
		return -EBADMSG;
	return (ssize_t)(FP_BATCH_PREFIX + rest);
}

#include "wire/batch_format.h"

#include <errno.h>
#include <string.h>

static const uint8_t expectations[FP_FIELD_MAX] = {
	[FP_FIELD_start] = FP_BATCH_AS_START,
	[FP_FIELD_last] = FP_BATCH_AS_TIME,
	[FP_FIELD_bytes] = FP_BATCH_AS_RESULT,
	[FP_FIELD_result] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_rule] = FP_BATCH_AS_OF_THREAD,
	[FP_FIELD_attribution] = FP_BATCH_AS_OF_THREAD,
	[FP_FIELD_cgroup] = FP_BATCH_AS_OF_THREAD,
	[FP_FIELD_tgid] = FP_BATCH_AS_OF_THREAD,
	[FP_FIELD_process_start] = FP_BATCH_AS_OF_THREAD,
	[FP_FIELD_exec_id] = FP_BATCH_AS_OF_THREAD,
	[FP_FIELD_turn] = FP_BATCH_AS_OF_THREAD,
	[FP_FIELD_request] = FP_BATCH_AS_OF_THREAD,
	[FP_FIELD_fd] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_object] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_dev] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_gen] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_path] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_netns] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_family] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_protocol] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_local_hi] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_local_lo] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_local_port] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_remote_hi] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_remote_lo] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_remote_port] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_tx_base] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_rx_base] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_tx_end] = FP_BATCH_AS_OF_OBJECT,
	[FP_FIELD_rx_end] = FP_BATCH_AS_OF_OBJECT,
};

/* Numbers that others are compared with, other numbers, strings: a reader takes them in this order. */
enum { KEYS, NUMBERS, STRINGS, GROUPS };

static int group_of(unsigned field)
{
	if (field == FP_FIELD_tid || field == FP_FIELD_time || field == FP_FIELD_ino)
		return KEYS;
	return fp_fields[field].kind == FP_KIND_STR ? STRINGS : NUMBERS;
}

static void add_field(struct fp_batch_layout *layout, unsigned field, int group)
{
	if (group_of(field) != group)
		return;
	layout->fields[layout->n] = (uint8_t)field;
	layout->expectations[layout->n++] = expectations[field];
	if (group != STRINGS)
		layout->n_numbers = layout->n;
}

/*
 * An event that does not carry its object's inode is compared as if it had none,
 * whatever stands there when it is written: the reader does not see it.
 */
static void forget_object(struct fp_batch_layout *layout)
{
	for (unsigned i = 0; i < layout->n; i++)
		if (layout->expectations[i] == FP_BATCH_AS_OF_OBJECT)
			layout->expectations[i] = FP_BATCH_AS_FORMER;
}

bool fp_batch_layout(unsigned type, struct fp_batch_layout *ret_layout)
{
	const struct fp_event_info *info = fp_event_info(type);
	struct fp_batch_layout layout = {0};

	if (!info)
		return false;
	for (int group = KEYS; group < GROUPS; group++) {
		for (unsigned field = FP_HEAD_FIRST; field <= FP_HEAD_LAST; field++)
			add_field(&layout, field, group);
		for (unsigned field = FP_NOTE_FIRST; field <= FP_NOTE_LAST; field++)
			add_field(&layout, field, group);
		for (unsigned i = 0; i < info->n_fields; i++)
			if (info->fields[i].origin != FP_FROM_KERNEL_TRANSIENT)
				add_field(&layout, info->fields[i].field, group);
	}
	if (!memchr(layout.fields, FP_FIELD_ino, layout.n))
		forget_object(&layout);
	layout.has_last = memchr(layout.fields, FP_FIELD_last, layout.n);
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
	       event->naming <= UINT32_MAX && fp_naming_name((unsigned)event->naming) &&
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

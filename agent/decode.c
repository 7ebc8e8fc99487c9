#include "agent/decode.h"

#include <errno.h>
#include <string.h>

#include "agent/bpf/shared.h"

static int decode_str(const char *record, size_t len, size_t at, struct fp_str *ret_str)
{
	struct fp_record_str where;

	if (len - at < sizeof(where))
		return -EBADMSG;
	memcpy(&where, record + at, sizeof(where));
	if (where.len > FP_STR_MAX || where.offset > len || where.len > len - where.offset)
		return -EBADMSG;
	ret_str->data = record + where.offset;
	ret_str->len = where.len;
	return 0;
}

static void decode_head(const struct fp_record_head *head, struct fp_event *event)
{
	event->type = head->type;
	event->time = event->start = head->time;
	event->cpu = head->cpu;
	event->seq = head->seq;
	event->cgroup = head->cgroup;
	event->tgid = head->tgid;
	event->tid = head->tid;
	event->process_start = head->process_start;
	event->exec_id = head->exec_id;
	event->turn = head->turn;
	event->result = head->result;
}

int fp_decode(const void *record, size_t len, struct fp_event *ret_event)
{
	const struct fp_event_info *info;
	struct fp_record_head head;
	size_t at = sizeof(head);

	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, record, sizeof(head));
	info = fp_event_info(head.type);
	if (!info || (head.version & FP_RECORD_VERSION_MASK) != FP_RECORD_VERSION || head.size > len || head.size < sizeof(head))
		return -EBADMSG;
	memset(ret_event, 0, sizeof(*ret_event));
	decode_head(&head, ret_event);
	for (unsigned i = 0; i < info->n_fields; i++) {
		const struct fp_field_info *field = fp_field_info(info->fields[i].field);

		if (info->fields[i].origin == FP_FROM_AGENT)
			continue;
		/* a number and a fp_record_str both take eight bytes */
		if (head.size - at < sizeof(uint64_t))
			return -EBADMSG;
		if (field->kind == FP_KIND_STR) {
			if (decode_str(record, head.size, at, fp_event_str(ret_event, field)) < 0)
				return -EBADMSG;
		} else {
			memcpy(fp_event_num(ret_event, field), (const char *)record + at, sizeof(uint64_t));
		}
		at += sizeof(uint64_t);
	}
	return 0;
}

unsigned fp_decode_run(const void *record, size_t len)
{
	struct fp_record_head head;

	if (len < sizeof(head))
		return 0;
	memcpy(&head, record, sizeof(head));
	return head.version >> FP_RECORD_RUN_SHIFT;
}

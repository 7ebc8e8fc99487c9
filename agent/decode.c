#include "agent/decode.h"

#include <errno.h>
#include <string.h>

#include "agent/bpf/shared.h"

static bool decode_str(const char *record, size_t len, struct fp_record_str where, struct fp_str *ret_str)
{
	if (where.len > FP_STR_MAX || where.offset > len || where.len > len - where.offset)
		return false;
	ret_str->data = record + where.offset;
	ret_str->len = where.len;
	return true;
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

/* One function for each event: false when the record is too short for its numbers, or a string lies outside of it. */
#define DECODE_NUM(name) event->name = r.name;
#define DECODE_STR(name) good = good && decode_str(record, len, r.name, &event->name);
#define DECODE_NOT(name)
#define FP_EVENT(id, NAME, event_name, doc)                                                           \
	static bool decode_##event_name(const char *record, size_t len, struct fp_event *event)       \
	{                                                                                             \
		struct fp_record_##event_name r;                                                      \
		bool good = len >= sizeof(r);                                                         \
                                                                                                      \
		if (!good)                                                                            \
			return false;                                                                 \
		memcpy(&r, record, sizeof(r));                                                        \
		FP_EVENT_##NAME(DECODE_NUM, DECODE_STR, DECODE_STR, DECODE_NOT)                       \
		return good;                                                                          \
	}
#include "schema/events.def"

static bool (*const decoders[FP_EVENT_TYPE_MAX])(const char *record, size_t len, struct fp_event *event) = {
#define FP_EVENT(id, NAME, event_name, doc) [id] = decode_##event_name,
#include "schema/events.def"
};

int fp_decode(const void *record, size_t len, struct fp_event *ret_event)
{
	struct fp_record_head head;

	if (len < sizeof(head))
		return -EBADMSG;
	memcpy(&head, record, sizeof(head));
	if (head.type >= FP_EVENT_TYPE_MAX || !decoders[head.type] || head.size > len || head.size < sizeof(head) ||
	    (head.version & FP_RECORD_VERSION_MASK) != FP_RECORD_VERSION)
		return -EBADMSG;
	memset(ret_event, 0, sizeof(*ret_event));
	decode_head(&head, ret_event);
	return decoders[head.type](record, head.size, ret_event) ? 0 : -EBADMSG;
}

unsigned fp_decode_run(const void *record, size_t len)
{
	struct fp_record_head head;

	if (len < sizeof(head))
		return 0;
	memcpy(&head, record, sizeof(head));
	return head.version >> FP_RECORD_RUN_SHIFT;
}

#include "agent/mark.h"

#include <errno.h>

static uint64_t decimal(struct fp_str text)
{
	uint64_t value = 0;

	for (size_t i = 0; i < text.len && i < 18 && text.data[i] >= '0' && text.data[i] <= '9'; i++)
		value = value * 10 + (uint64_t)(text.data[i] - '0');
	return value;
}

static void fill(struct fp_event *event, uint64_t *in_flight, unsigned key, struct fp_str value)
{
	switch (key) {
	case FP_MARK_KEY_CALL_ID:
		event->call_id = value;
		break;
	case FP_MARK_KEY_TRACEPARENT:
		event->traceparent = value;
		break;
	case FP_MARK_KEY_METHOD:
		event->method = value;
		break;
	case FP_MARK_KEY_URL:
		event->url = value;
		break;
	case FP_MARK_KEY_FORWARDED:
		event->forwarded = value;
		break;
	case FP_MARK_KEY_PEER:
		event->peer = value;
		break;
	case FP_MARK_KEY_STATUS:
		event->status = decimal(value);
		break;
	case FP_MARK_KEY_BYTES:
		event->bytes = decimal(value);
		break;
	case FP_MARK_KEY_IN_FLIGHT:
		*in_flight = decimal(value);
		break;
	}
}

int fp_mark_details(struct fp_event *event, uint64_t *ret_in_flight)
{
	const uint8_t *at = (const uint8_t *)event->details.data, *end = at + event->details.len;
	struct fp_event filled = *event;
	uint64_t in_flight = FP_MARK_UNTOLD;

	while (at < end) {
		size_t len;

		if (end - at < 3)
			return -EBADMSG;
		len = (size_t)at[1] | (size_t)at[2] << 8;
		if ((size_t)(end - at - 3) < len)
			return -EBADMSG;
		fill(&filled, &in_flight, at[0], (struct fp_str){(const char *)at + 3, len});
		at += 3 + len;
	}
	*event = filled;
	*ret_in_flight = in_flight;
	return 0;
}

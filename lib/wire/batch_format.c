#include "wire/batch_format.h"

#include <errno.h>
#include <string.h>

static const uint8_t expectations[FP_FIELD_MAX] = {
	[FP_FIELD_last] = FP_BATCH_AS_TIME,
	[FP_FIELD_bytes] = FP_BATCH_AS_RESULT,
#define EXPECTED(field, expectation) [FP_FIELD_##field] = FP_BATCH_AS_##expectation,
	FP_BATCH_KEPT(EXPECTED)
#undef EXPECTED
};

static const uint8_t places[FP_FIELD_MAX] = {
#define PLACE(field, expectation) [FP_FIELD_##field] = FP_BATCH_PLACE_##field,
	FP_BATCH_KEPT(PLACE)
#undef PLACE
};

static enum fp_batch_owner owner_of(unsigned expectation)
{
	switch (expectation) {
	case FP_BATCH_AS_OF_THREAD:
	case FP_BATCH_AS_START:
		return FP_BATCH_OF_THREAD;
	case FP_BATCH_AS_OF_OBJECT:
	case FP_BATCH_AS_FURTHER:
		return FP_BATCH_OF_OBJECT;
	case FP_BATCH_AS_OF_DESCRIPTOR:
		return FP_BATCH_OF_DESCRIPTOR;
	default:
		return FP_BATCH_OF_ALL;
	}
}

/* Numbers by which others are kept, other numbers, sums of those, strings: a reader takes them in this order. */
enum { KEYS, NUMBERS, SUMS, STRINGS, GROUPS };

static int group_of(unsigned field)
{
	if (field == FP_FIELD_tid || field == FP_FIELD_time || field == FP_FIELD_fd || field == FP_FIELD_ino)
		return KEYS;
	if (field == FP_FIELD_tx_end || field == FP_FIELD_rx_end)
		return SUMS;
	return fp_fields[field].kind == FP_KIND_STR ? STRINGS : NUMBERS;
}

static void add_field(struct fp_batch_layout *layout, unsigned field, int group)
{
	if (group_of(field) != group)
		return;
	layout->items[layout->n++] = (struct fp_batch_item){.field = (uint8_t)field, .expectation = expectations[field],
							    .offset = fp_fields[field].offset, .sorted = fp_batch_sorted(field)};
	if (group == KEYS)
		layout->n_keys = layout->n;
	if (group != STRINGS)
		layout->n_numbers = layout->n;
}

/* Where the former values of fields are kept, once it is known what they are expected to be. */
static void find_places(struct fp_batch_layout *layout)
{
	for (unsigned i = 0; i < layout->n; i++) {
		struct fp_batch_item *item = &layout->items[i];

		item->owner = (uint8_t)owner_of(item->expectation);
		item->place = item->owner == FP_BATCH_OF_ALL ? item->field : places[item->field];
	}
}

static void replace(struct fp_batch_layout *layout, enum fp_batch_expectation from, enum fp_batch_expectation to)
{
	for (unsigned i = 0; i < layout->n; i++)
		if (layout->items[i].expectation == from)
			layout->items[i].expectation = (uint8_t)to;
}

static bool has(const struct fp_batch_layout *layout, unsigned field)
{
	for (unsigned i = 0; i < layout->n; i++)
		if (layout->items[i].field == field)
			return true;
	return false;
}

static void expect(struct fp_batch_layout *layout, unsigned field, enum fp_batch_expectation expectation)
{
	for (unsigned i = 0; i < layout->n; i++)
		if (layout->items[i].field == field)
			layout->items[i].expectation = (uint8_t)expectation;
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
	/* what an event does not carry is not compared with, whatever stands there when it is written: the reader does not see it */
	if (!has(&layout, FP_FIELD_ino))
		replace(&layout, FP_BATCH_AS_OF_OBJECT, FP_BATCH_AS_FORMER);
	if (!has(&layout, FP_FIELD_fd))
		replace(&layout, FP_BATCH_AS_OF_DESCRIPTOR, FP_BATCH_AS_OF_THREAD);
	if (type == FP_EVENT_TYPE_SEND)
		expect(&layout, FP_FIELD_tx_end, FP_BATCH_AS_FURTHER);
	if (type == FP_EVENT_TYPE_RECEIVE)
		expect(&layout, FP_FIELD_rx_end, FP_BATCH_AS_FURTHER);
	layout.has_last = has(&layout, FP_FIELD_last);
	find_places(&layout);
	*ret_layout = layout;
	return true;
}

#define DIGITS 256

/* The last digit first. */
enum digit { REQUEST_LOW, REQUEST_MIDDLE, REQUEST_HIGH, THREAD_LOW, THREAD_HIGH, TYPE };

static uint8_t digit_of(const struct fp_batch_key *key, enum digit digit)
{
	if (digit == TYPE)
		return key->type;
	if (digit >= THREAD_LOW)
		return (uint8_t)(key->thread >> 8 * (digit - THREAD_LOW));
	return (uint8_t)(key->request >> 8 * digit);
}

/* Leaves those that have the same digit in order; false, and nothing done, when that is all of them. */
static bool sort_by(const struct fp_batch_key *keys, size_t n, enum digit digit, const uint32_t *from, uint32_t *to)
{
	uint32_t next[DIGITS] = {0}, sum = 0;

	for (size_t i = 0; i < n; i++)
		next[digit_of(&keys[i], digit)]++;
	if (n == 0 || next[digit_of(&keys[0], digit)] == n)
		return false;
	for (unsigned i = 0; i < DIGITS; i++) {
		uint32_t count = next[i];

		next[i] = sum;
		sum += count;
	}
	for (size_t i = 0; i < n; i++)
		to[next[digit_of(&keys[from[i]], digit)]++] = from[i];
	return true;
}

const uint32_t *fp_batch_sort(const struct fp_batch_key *keys, size_t n, uint32_t *numbers)
{
	uint32_t *from = numbers, *to = numbers + n;

	for (size_t i = 0; i < n; i++)
		from[i] = (uint32_t)i;
	for (enum digit digit = REQUEST_LOW; digit <= TYPE; digit++) {
		uint32_t *other = from;

		if (sort_by(keys, n, digit, from, to)) {
			from = to;
			to = other;
		}
	}
	return from;
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

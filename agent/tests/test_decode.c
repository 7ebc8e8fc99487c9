/* Records are taken apart as if an enemy had made them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/bpf/shared.h"
#include "agent/decode.h"

struct open_record {
	struct fp_record_open r;
	char room[64];
};

static struct open_record make_open(void)
{
	struct open_record record = {0};

	record.r.head.type = FP_RECORD_TYPE_OPEN;
	record.r.head.version = FP_RECORD_VERSION;
	record.r.head.size = sizeof(record);
	record.r.head.time = 5;
	record.r.head.result = -2;
	record.r.ino = 42;
	memcpy(record.room + 10, "/etc/passwd", 11);
	record.r.path.offset = sizeof(record.r) + 10;
	record.r.path.len = 11;
	return record;
}

static void a_good_record(void **state)
{
	struct open_record record = make_open();
	struct fp_event event;

	assert_int_equal(fp_decode(&record, sizeof(record), &event), 0);
	assert_int_equal(event.type, FP_EVENT_TYPE_OPEN);
	assert_int_equal(event.time, 5);
	assert_int_equal(event.result, -2);
	assert_int_equal(event.ino, 42);
	assert_int_equal(event.path.len, 11);
	assert_memory_equal(event.path.data, "/etc/passwd", 11);
}

static void refuse(struct open_record record, size_t len)
{
	struct fp_event event;

	assert_int_not_equal(fp_decode(&record, len, &event), 0);
}

static void bad_records(void **state)
{
	struct open_record record;

	for (size_t len = 0; len < sizeof(record); len++)
		refuse(make_open(), len);
	record = make_open();
	record.r.head.version++;
	refuse(record, sizeof(record));
	record = make_open();
	record.r.head.type = 63;
	refuse(record, sizeof(record));
	record = make_open();
	record.r.head.size = sizeof(struct fp_record_head);
	refuse(record, sizeof(record));
	record = make_open();
	record.r.path.offset = sizeof(record) - 5;
	refuse(record, sizeof(record));
	record = make_open();
	record.r.path.offset = UINT32_MAX;
	record.r.path.len = 2;
	refuse(record, sizeof(record));
	record = make_open();
	record.r.path.len = FP_STR_MAX + 1;
	refuse(record, sizeof(record));
}

/* Cheap, the same each time, and each bit as good as the others (xorshift64*, Vigna). */
static uint64_t random_bits(void)
{
	static uint64_t state = 1;

	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dull >> 16;
}

/* Any bytes: an error or an event whose strings lie inside. */
static void noise(void **state)
{
	char record[512];
	struct fp_event event;

	for (int round = 0; round < 200000; round++) {
		struct fp_record_head *head = (void *)record;

		for (size_t i = 0; i < sizeof(record); i++) {
			uint64_t bits = random_bits();

			record[i] = (char)(bits >> 8 & 7 ? bits & 3 : bits);
		}
		head->type = (uint16_t)(random_bits() % FP_EVENT_TYPE_MAX);
		head->version = FP_RECORD_VERSION;
		head->size = sizeof(record);
		if (fp_decode(record, sizeof(record), &event) == 0 && event.path.len)
			assert_true(event.path.data >= record && event.path.data + event.path.len <= record + sizeof(record));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_record),
		cmocka_unit_test(bad_records),
		cmocka_unit_test(noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

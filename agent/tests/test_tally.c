/* Nothing that was counted is ever missing from the sums, whatever a table has forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "agent/tally.h"
#include "base/text.h"

static struct fp_tally tally;

static int teardown(void **state)
{
	fp_tally_done(&tally);
	return 0;
}

static void add_event(enum fp_event_type type, uint64_t cgroup, uint64_t request, uint64_t count, uint64_t time)
{
	uint8_t id[FP_REQUEST_ID_SIZE] = {0};
	struct fp_event event = {.type = type, .cgroup = cgroup, .count = count, .time = time};

	memcpy(id, &request, sizeof(request));
	event.request = (struct fp_str){(const char *)id, request ? sizeof(id) : 0};
	fp_tally_event(&tally, &event);
}

static const struct fp_tally_container *container(uint64_t cgroup)
{
	const struct fp_tally_container *found;

	HASH_FIND(hh, tally.containers, &cgroup, sizeof(cgroup), found);
	return found;
}

static const struct fp_tally_request *request(uint64_t number)
{
	uint8_t id[FP_REQUEST_ID_SIZE] = {0};
	const struct fp_tally_request *found;

	memcpy(id, &number, sizeof(number));
	HASH_FIND(hh, tally.requests, id, sizeof(id), found);
	return found;
}

static uint64_t all_records(void)
{
	const struct fp_tally_container *each;
	uint64_t sum = tally.others.records;

	for (each = tally.containers; each; each = each->hh.next)
		sum += each->counts.records;
	return sum;
}

static void containers_come_and_go(void **state)
{
	const uint64_t n = 10000;

	for (uint64_t i = 1; i <= n; i++) {
		fp_tally_record(&tally, i);
		fp_tally_record(&tally, 1); /* one that stays */
	}
	assert_int_equal(HASH_COUNT(tally.containers), FP_TALLY_CONTAINERS_MAX);
	assert_int_equal(tally.containers_forgotten, n - FP_TALLY_CONTAINERS_MAX);
	assert_int_equal(container(1)->counts.records, n + 1);
	assert_null(container(2));
	assert_int_equal(container(n)->counts.records, 1);
	assert_int_equal(all_records(), 2 * n);
}

static void the_largest_requests_stay(void **state)
{
	const uint64_t n = 5000;

	add_event(FP_EVENT_TYPE_BEGIN, 1, n + 1, 0, 1); /* in flight all the time */
	for (uint64_t i = 1; i <= n; i++) {
		add_event(FP_EVENT_TYPE_WRITE, 1, i, i, 1);
		add_event(FP_EVENT_TYPE_END, 1, i, 0, 1);
	}
	assert_int_equal(HASH_COUNT(tally.requests), FP_TALLY_REQUESTS_MAX);
	assert_int_equal(tally.requests_forgotten, n + 1 - FP_TALLY_REQUESTS_MAX);
	assert_non_null(request(n + 1));
	assert_false(request(n + 1)->ended);
	for (uint64_t i = n; i > n + 1 - FP_TALLY_REQUESTS_MAX; i--) {
		assert_non_null(request(i));
		assert_int_equal(request(i)->operations, i + 1);
		assert_int_equal(request(i)->events, 2);
	}
	assert_true(tally.forgotten_most <= n + 2 - FP_TALLY_REQUESTS_MAX);
}

/* Whose end nobody saw does not stay for ever; one that is heard of again is in flight again. */
static void who_is_idle_may_be_forgotten(void **state)
{
	const uint64_t minute = 60 * FP_NS_PER_SEC, many = FP_TALLY_REQUESTS_MAX;

	for (uint64_t i = 1; i <= many; i++)
		add_event(FP_EVENT_TYPE_WRITE, 1, i, 100, 1);
	add_event(FP_EVENT_TYPE_WRITE, 1, 1, 1, 2);
	add_event(FP_EVENT_TYPE_BEGIN, 1, many + 1, 1, 3); /* all are in flight: not heard of for longest goes */
	assert_null(request(2));
	assert_non_null(request(1));
	add_event(FP_EVENT_TYPE_BEGIN, 1, many + 2, 1, minute + 2); /* all but the two last are idle */
	assert_null(request(3));
	add_event(FP_EVENT_TYPE_WRITE, 1, 4, 1, minute + 2); /* not any more */
	for (uint64_t i = 5; i <= many; i++) {
		add_event(FP_EVENT_TYPE_BEGIN, 1, many + i, 1, minute + 2);
		assert_null(request(i));
		assert_non_null(request(4));
	}
	assert_non_null(request(1));
	assert_non_null(request(many + 1));
	assert_int_equal(HASH_COUNT(tally.requests), FP_TALLY_REQUESTS_MAX);
	assert_int_equal(tally.requests_forgotten, many - 2);
	assert_int_equal(tally.forgotten_most, 100);
}

static void a_loss_is_of_those_in_flight_there(void **state)
{
	add_event(FP_EVENT_TYPE_BEGIN, 1, 1, 0, 1);
	add_event(FP_EVENT_TYPE_BEGIN, 2, 2, 0, 1);
	add_event(FP_EVENT_TYPE_BEGIN, 1, 3, 0, 1);
	add_event(FP_EVENT_TYPE_END, 1, 3, 0, 1);
	fp_tally_loss(&tally, 1, 7);
	assert_int_equal(request(1)->lost, 7);
	assert_int_equal(request(2)->lost, 0);
	assert_int_equal(request(3)->lost, 0);
	fp_tally_loss(&tally, 0, 1); /* anywhere */
	assert_int_equal(request(1)->lost, 8);
	assert_int_equal(request(2)->lost, 1);
	assert_int_equal(request(3)->lost, 0);
}

static void a_name_is_printable(void **state)
{
	struct fp_event event = {.type = FP_EVENT_TYPE_CONTAINER, .cgroup = 1};
	char evil[300];

	memset(evil, '\x1b', sizeof(evil));
	event.container = (struct fp_str){evil, sizeof(evil)};
	event.function = (struct fp_str){"pay\nload\xff", 9};
	fp_tally_event(&tally, &event);
	assert_int_equal(strlen(container(1)->id), FP_TALLY_NAME_MAX - 1);
	assert_int_equal(strspn(container(1)->id, "?"), FP_TALLY_NAME_MAX - 1);
	assert_string_equal(container(1)->function, "pay?load?");
}

static void a_restart_forgets_no_record(void **state)
{
	struct fp_event event = {.type = FP_EVENT_TYPE_CONTAINER, .cgroup = 1000, .function = {"pay", 3}};
	struct fp_event lost = {.type = FP_EVENT_TYPE_LOST, .cause = FP_LOSS_SEQUENCE, .lost = 5};
	struct fp_buffer saved = FP_BUFFER_INIT;
	size_t pos = 0;

	for (uint64_t i = 1; i <= 1000; i++)
		for (uint64_t j = 0; j < i; j++)
			fp_tally_record(&tally, i);
	fp_tally_event(&tally, &event);
	fp_tally_event(&tally, &lost);
	tally.not_spooled = 9;
	fp_tally_save(&tally, &saved);
	assert_int_equal(fp_buffer_error(&saved), 0);
	fp_tally_done(&tally);
	assert_int_equal(fp_tally_restore(&tally, (const uint8_t *)saved.data, saved.len, &pos), 0);
	assert_int_equal(pos, saved.len);
	assert_int_equal(all_records(), 500500);
	assert_int_equal(HASH_COUNT(tally.containers), FP_TALLY_SAVED_MAX);
	assert_int_equal(container(1000)->counts.records, 1000);
	assert_int_equal(container(1000)->counts.events, 1);
	assert_string_equal(container(1000)->function, "pay");
	assert_null(container(1000 - FP_TALLY_SAVED_MAX));
	assert_int_equal(tally.lost[FP_LOSS_SEQUENCE], 5);
	assert_int_equal(tally.not_spooled, 9);
	/* cut off anywhere it is refused */
	for (size_t len = 0; len < saved.len; len += 1 + len / 50) {
		struct fp_tally other = {0};

		pos = 0;
		assert_int_equal(fp_tally_restore(&other, (const uint8_t *)saved.data, len, &pos), -EBADMSG);
		fp_tally_done(&other);
	}
	fp_buffer_done(&saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(containers_come_and_go, teardown),
		cmocka_unit_test_teardown(the_largest_requests_stay, teardown),
		cmocka_unit_test_teardown(who_is_idle_may_be_forgotten, teardown),
		cmocka_unit_test_teardown(a_loss_is_of_those_in_flight_there, teardown),
		cmocka_unit_test_teardown(a_name_is_printable, teardown),
		cmocka_unit_test_teardown(a_restart_forgets_no_record, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

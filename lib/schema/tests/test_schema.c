/*
 * The schema is a promise to evidence already stored: the layout may only grow,
 * and never without a new version; the reference page is the schema's own text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "schema/record.h"
#include "schema/schema.h"
#include "schema/tests/print.h"

#define GOLDEN "tests/golden/schema.txt"
#define REFERENCE "docs/events.md"

static char *slurp(FILE *file)
{
	size_t size = 1 << 20;
	char *text = malloc(size);
	size_t n;

	assert_non_null(text);
	n = fread(text, 1, size - 1, file);
	assert_true(n < size - 1);
	text[n] = '\0';
	return text;
}

static char *read_file(const char *path)
{
	fp_cleanup(fp_fclosep) FILE *file = fopen(path, "r");

	if (!file)
		fail_msg("cannot read %s", path);
	return slurp(file);
}

static char *print(void (*printer)(FILE *))
{
	fp_cleanup(fp_fclosep) FILE *file = tmpfile();

	assert_non_null(file);
	printer(file);
	rewind(file);
	return slurp(file);
}

/* The whole line that begins with the first `len` bytes of `line`, or NULL. */
static const char *find_line(const char *text, const char *line, size_t len)
{
	for (const char *at = text; *at; at = strchr(at, '\n') + 1)
		if (strncmp(at, line, len) == 0 && (at[len] == '\n' || at[len] == ' '))
			return at;
	return NULL;
}

/* Every line of the golden file stands, or has grown at its end. */
static void check_append_only(const char *golden, const char *now)
{
	for (const char *at = golden; *at; at = strchr(at, '\n') + 1) {
		size_t len = (size_t)(strchr(at, '\n') - at);

		if (strncmp(at, "version ", 8) != 0 && !find_line(now, at, len))
			fail_msg("what the schema promised is gone: %.*s", (int)len, at);
	}
}

static void test_layout_is_the_golden_one(void **state)
{
	fp_cleanup(fp_freep) char *golden = read_file(GOLDEN);
	fp_cleanup(fp_freep) char *now = print(fp_schema_print_layout);

	check_append_only(golden, now);
	if (strcmp(golden, now) == 0)
		return;
	if (strncmp(golden, now, (size_t)(strchr(now, '\n') - now) + 1) == 0)
		fail_msg("the layout has changed, but FP_SCHEMA_VERSION has not");
	fail_msg("%s is of an older version: fp_schema_print layout > %s", GOLDEN, GOLDEN);
}

static void test_reference_is_current(void **state)
{
	fp_cleanup(fp_freep) char *page = read_file(REFERENCE);
	fp_cleanup(fp_freep) char *now = print(fp_schema_print_reference);

	if (strcmp(page, now) != 0)
		fail_msg("%s is out of date: fp_schema_print reference > %s", REFERENCE, REFERENCE);
}

static void test_field_access_by_id(void **state)
{
	struct fp_event event = {.type = FP_EVENT_TYPE_OPEN};

	*fp_event_num(&event, fp_field_info(FP_FIELD_ino)) = 77;
	*fp_event_num(&event, fp_field_info(FP_FIELD_result)) = (uint64_t)-2;
	*fp_event_str(&event, fp_field_info(FP_FIELD_path)) = (struct fp_str){"/x", 2};
	assert_int_equal(event.ino, 77);
	assert_true(event.result == -2);
	assert_int_equal(event.path.len, 2);
}

static void test_unknown_ids_have_no_info(void **state)
{
	assert_null(fp_field_info(0));
	assert_null(fp_field_info(FP_FIELD_MAX));
	assert_null(fp_field_info(4000000000u));
	assert_null(fp_event_info(0));
	assert_null(fp_event_info(FP_EVENT_TYPE_MAX));
	assert_null(fp_event_info(4000000000u));
}

/* An event does not repeat a field, nor one that all events have. */
static void test_fields_of_events_are_distinct(void **state)
{
	for (unsigned type = 0; type < FP_EVENT_TYPE_MAX; type++) {
		const struct fp_event_info *info = fp_event_info(type);
		bool seen[FP_FIELD_MAX] = {false};

		for (unsigned i = 0; info && i < info->n_fields; i++) {
			uint8_t field = info->fields[i].field;

			assert_non_null(fp_field_info(field));
			assert_true(field > FP_NOTE_LAST);
			assert_false(seen[field]);
			seen[field] = true;
		}
	}
}

/* A payload and a mark's details may hold secrets: only the agent sees them. */
static void test_secrets_are_transient(void **state)
{
	for (unsigned type = 0; type < FP_EVENT_TYPE_MAX; type++) {
		const struct fp_event_info *info = fp_event_info(type);

		for (unsigned i = 0; info && i < info->n_fields; i++)
			if (info->fields[i].field == FP_FIELD_payload || info->fields[i].field == FP_FIELD_details)
				assert_int_equal(info->fields[i].origin, FP_FROM_KERNEL_TRANSIENT);
	}
}

static void test_names_lead_back(void **state)
{
	assert_string_equal(fp_node_kind_name(FP_NODE_PROCESS), "process");
	assert_int_equal(fp_edge_kind_parse("load"), FP_EDGE_LOAD);
	assert_string_equal(fp_unit_name(FP_UNIT_STARTUP), "start-up");
	assert_string_equal(fp_app_name(FP_APP_HTTP_REQUEST), "http-request");
	assert_int_equal(fp_loss_parse("ring-full"), FP_LOSS_RING_FULL);
	assert_true(fp_rule_parse("no such rule") < 0);
	assert_null(fp_node_kind_name(0));
	assert_null(fp_edge_kind_name(1000000));
	for (unsigned i = 0; i < 64; i++)
		if (fp_rule_name(i))
			assert_int_equal(fp_rule_parse(fp_rule_name(i)), i);
}

/* Kernel and agent must agree on records to the byte: no padding, head first. */
static void test_records_have_no_padding(void **state)
{
	assert_int_equal(sizeof(struct fp_record_head), 8 + 10 * 8);
	assert_int_equal(sizeof(struct fp_record_str), 8);
#define COUNT(name) +1
#define NOTHING(name)
#define FP_EVENT(id, NAME, name, doc)                                     \
	assert_int_equal(sizeof(struct fp_record_##name),                 \
			 sizeof(struct fp_record_head) +                  \
				 8 * (0 FP_EVENT_##NAME(COUNT, COUNT, COUNT, NOTHING)));
#include "schema/events.def"
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout_is_the_golden_one),
		cmocka_unit_test(test_reference_is_current),
		cmocka_unit_test(test_field_access_by_id),
		cmocka_unit_test(test_unknown_ids_have_no_info),
		cmocka_unit_test(test_fields_of_events_are_distinct),
		cmocka_unit_test(test_secrets_are_transient),
		cmocka_unit_test(test_names_lead_back),
		cmocka_unit_test(test_records_have_no_padding),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The attack's answer, byte for byte: a change of what people and scripts see is
 * seen here first.  FP_GOLDEN_UPDATE=1 writes the files anew.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "query/json.h"
#include "query/render/dot.h"
#include "query/report.h"
#include "query/tests/ask.h"
#include "query/tests/attack.h"

#define GOLDEN "query/tests/golden/"

static char store[160];

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t len = 0;
	char *text = NULL;

	if (!file)
		return NULL;
	if (getdelim(&text, &len, EOF, file) < 0)
		text[0] = '\0';
	fclose(file);
	return text;
}

static void compare(const char *name, int (*write)(const struct fp_view *view, FILE *out), const struct fp_view *view)
{
	char *got = text_of(write, view), *wanted, path[100];

	snprintf(path, sizeof(path), GOLDEN "%s", name);
	if (getenv("FP_GOLDEN_UPDATE")) {
		FILE *file = fopen(path, "w");

		assert_non_null(file);
		fputs(got, file);
		fclose(file);
	}
	wanted = read_file(path);
	assert_non_null(wanted);
	for (size_t i = 0, line = 1; got[i] || wanted[i]; i++) {
		if (got[i] != wanted[i])
			fail_msg("%s:%zu: \"%.60s\" instead of \"%.60s\"", path, line, got + (i > 20 ? i - 20 : 0),
				 wanted + (i > 20 ? i - 20 : 0));
		line += got[i] == '\n';
	}
	free(got);
	free(wanted);
}

static int write_json(const struct fp_view *view, FILE *out)
{
	return fp_json_answer(view, true, out);
}

static void trace_as_text_and_dot(void **state)
{
	struct fp_question question;
	struct fp_answer *answer;
	struct fp_view *view;

	ask_question(&question, store, "trace", ATTACK_EXECUTE, "--both", NULL);
	answer = ask(&question, 0);
	assert_int_equal(fp_view_new(answer, FP_VIEW_NODES, &view), 0);
	compare("trace.txt", fp_report_write, view);
	compare("trace.dot", fp_dot_write, view);
	fp_view_free(view);
	fp_answer_free(answer);
}

static void slice_as_json(void **state)
{
	struct fp_question question;
	struct fp_answer *answer;
	struct fp_view *view;

	ask_question(&question, store, "slice", "file:/home/app/sqldump.sh", "--backward", "--depth", "3", NULL);
	answer = ask(&question, 2);
	assert_int_equal(fp_view_new(answer, 0, &view), 0);
	compare("slice.json", write_json, view);
	fp_view_free(view);
	fp_answer_free(answer);
}

static int set_up(void **state)
{
	strcpy(store, test_path("attack.db"));
	attack_store(store);
	return 0;
}

static int tear_down(void **state)
{
	return test_directory_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trace_as_text_and_dot),
		cmocka_unit_test(slice_as_json),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* The program as people run it: exit codes, messages, files, its manual. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "query/tests/ask.h"
#include "query/tests/attack.h"
#include "query/verbs.h"

static char store[160];
static char text[1 << 20]; /* what the last run said */

/* Runs a shell command, keeps standard output and error, gives the exit code. */
static int run(const char *format, ...)
{
	char command[2048];
	va_list args;
	size_t len;
	FILE *pipe;
	int status;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	len = fread(text, 1, sizeof(text) - 1, pipe);
	text[len] = '\0';
	status = pclose(pipe);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* One run of the program over the attack's store, standard error included. */
static int faasprov(const char *arguments)
{
	return run("FAASPROV_STORE='%s' '" FAASPROV "' %s 2>&1", store, arguments);
}

static void assert_says(const char *what)
{
	if (!strstr(text, what))
		fail_msg("\"%s\" is not in: %.300s", what, text);
}

static void assert_one_line(void)
{
	const char *end = strchr(text, '\n');

	assert_non_null(end);
	assert_string_equal(end, "\n");
	assert_int_equal(strncmp(text, "faasprov: ", 10), 0);
}

static void wrong_use_is_one_line_and_two(void **state)
{
	static const char *const wrong[][2] = {
		{"", "no verb given"},
		{"frobnicate", "no verb \"frobnicate\""},
		{"trace", "trace needs REQUEST"},
		{"trace a b", "trace does not take \"b\""},
		{"trace a --depth x", "--depth takes a number"},
		{"trace a --depth", "--depth needs an argument"},
		{"trace a --since yesterday", "--since takes a time like"},
		{"trace a --format html", "trace has no format \"html\", only text, dot"},
		{"trace a --limit 3", "trace has no option --limit"},
		{"trace a --bogus", "unknown option --bogus"},
		{"slice plainname", "\"plainname\" names no node"},
		{"completion fish", "only bash"},
		{"trace a --since 2026-01-02T00:00:00Z --until 2026-01-01T00:00:00Z", "--since is after --until"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		assert_int_equal(faasprov(wrong[i][0]), FP_EXIT_USAGE);
		assert_says(wrong[i][1]);
		assert_one_line();
	}
	assert_int_equal(run("env -u FAASPROV_STORE '" FAASPROV "' stats 2>&1"), FP_EXIT_USAGE);
	assert_says("no store");
}

static void what_is_not_there_is_one(void **state)
{
	assert_int_equal(faasprov("trace nobody"), FP_EXIT_NOTHING);
	assert_one_line();
	assert_says("no request \"nobody\" in store");
	assert_says("which holds 88; 'faasprov requests' lists them");
	assert_int_equal(faasprov("slice file:/nowhere"), FP_EXIT_NOTHING);
	assert_one_line();
	assert_int_equal(faasprov("path " ATTACK_EXECUTE " " ATTACK_PLANT), FP_EXIT_NOTHING);
	assert_says("no causal path");
	assert_int_equal(faasprov("requests --function nobody"), FP_EXIT_NOTHING);
}

static void bad_stores_are_three(void **state)
{
	assert_int_equal(run("'" FAASPROV "' stats --store /nonexistent/x 2>&1"), FP_EXIT_INPUT);
	assert_one_line();
	assert_int_equal(run("echo no store > '%s'; '" FAASPROV "' stats --store '%s' 2>&1", test_path("bad"),
			     test_path("bad")), FP_EXIT_INPUT);
	assert_one_line();
}

/* Several requests of one call bear its X-Call-Id. */
static void names_that_several_bear_are_listed(void **state)
{
	assert_int_equal(faasprov("trace call-4"), FP_EXIT_USAGE);
	assert_says("4 requests bear the name \"call-4\": choose one by its id, or give --all");
	assert_says("product-purchase-get-price");
	assert_int_equal(faasprov("trace call-4 --all"), FP_EXIT_DONE);
	assert_int_equal(faasprov("slice process:curl"), FP_EXIT_DONE);
	assert_int_equal(faasprov("slice process:node"), FP_EXIT_USAGE);
	assert_says("nodes are called \"process:node\"");
}

/* As reports show them: the last digits, with or without what stands for the others; or the first ones. */
static void short_ids_are_names(void **state)
{
	assert_int_equal(faasprov("trace 092df58f"), FP_EXIT_DONE);
	assert_says("X-Call-Id " ATTACK_EXECUTE);
	assert_int_equal(faasprov("trace …092DF58F"), FP_EXIT_DONE);
	assert_says("X-Call-Id " ATTACK_EXECUTE);
	assert_int_equal(faasprov("trace b5e9b9cb"), FP_EXIT_DONE);
	assert_says("X-Call-Id " ATTACK_EXECUTE);
	assert_int_equal(faasprov("trace 92df58f"), FP_EXIT_NOTHING); /* too short to be sure */
}

static void output_is_whole_or_not_there(void **state)
{
	char path[160], arguments[400];
	struct stat st;

	strcpy(path, test_path("out.svg"));
	snprintf(arguments, sizeof(arguments), "trace " ATTACK_EXECUTE " -f svg -o '%s'", path);
	assert_int_equal(faasprov(arguments), FP_EXIT_DONE);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size > 10000);
	/* A write that fails leaves what was there, and nothing beside it. */
	assert_int_equal(run("ulimit -f 1; trap '' XFSZ; FAASPROV_STORE='%s' '" FAASPROV "' trace " ATTACK_EXECUTE
			     " -f json -o '%s' 2>&1", store, path), FP_EXIT_SYSTEM);
	assert_says("cannot write");
	assert_int_equal(run("head -c 5 '%s'; ls '%s' | grep -c 'out.svg'", path, test_directory()), 0);
	assert_says("<?xml");
	assert_says("1\n");
	assert_int_equal(faasprov("trace " ATTACK_EXECUTE " -o /nonexistent/out"), FP_EXIT_SYSTEM);
	assert_one_line();
	assert_int_equal(faasprov("trace " ATTACK_EXECUTE " > /dev/full"), FP_EXIT_SYSTEM);
}

static void nothing_to_flag_is_one(void **state)
{
	assert_int_equal(faasprov("flag"), FP_EXIT_NOTHING);
	assert_one_line();
	assert_says("no finding");
	assert_int_equal(faasprov("flag --request nobody"), FP_EXIT_NOTHING);
	assert_says("nobody");
}

static void requests_are_filtered(void **state)
{
	assert_int_equal(run("FAASPROV_STORE='%s' '" FAASPROV "' requests | grep -vc '^#'", store), 0);
	assert_says("88\n");
	assert_int_equal(run("FAASPROV_STORE='%s' '" FAASPROV "' requests --outside | grep -vc '^#'", store), 0);
	assert_says("22\n");
	assert_int_equal(run("FAASPROV_STORE='%s' '" FAASPROV "' requests --function product-purchase-publish --limit 3 "
			     "--format json | jq -c '[(.requests|length), .more]'", store), 0);
	assert_says("[3,true]\n");
	assert_int_equal(run("FAASPROV_STORE='%s' '" FAASPROV "' requests --since 2026-11-21T01:05:14.7Z -f json "
			     "| jq '.requests|length'", store), 0);
	assert_says("4\n");
}

static void export_is_the_whole_graph(void **state)
{
	assert_int_equal(run("FAASPROV_STORE='%s' '" FAASPROV "' export | jq -c '[(.nodes|length), (.edges|length), "
			     "(.requests|length), .complete]'", store), 0);
	assert_says("[305,646,88,true]\n");
	assert_int_equal(run("FAASPROV_STORE='%s' '" FAASPROV "' export -f graphml | xmllint --noout --nonet - 2>&1", store) &
			 ~127, 0);
}

/* --- help, completion, manual ---------------------------------------------- */

static void help_names_all_verbs(void **state)
{
	assert_int_equal(run("'" FAASPROV "' --help"), FP_EXIT_DONE);
	for (const struct fp_verb *verb = fp_verbs; verb->name; verb++)
		assert_says(verb->name);
	for (const struct fp_verb *verb = fp_verbs; verb->name; verb++) {
		assert_int_equal(run("'" FAASPROV "' %s --help", verb->name), FP_EXIT_DONE);
		assert_says(verb->doc);
		for (unsigned i = 0; i < FP_OPTIONS; i++)
			if (verb->options & 1u << i)
				assert_says(fp_options[i].name);
	}
	assert_int_equal(run("'" FAASPROV "' --version"), FP_EXIT_DONE);
	assert_string_equal(text, "faasprov " FP_VERSION "\n");
}

static void completion_completes(void **state)
{
	assert_int_equal(run("'" FAASPROV "' completion bash > '%s' && bash -c '. %s; COMP_WORDS=(faasprov tr); COMP_CWORD=1; "
			     "_faasprov; echo ${COMPREPLY[@]}; COMP_WORDS=(faasprov trace x --format s); COMP_CWORD=4; "
			     "_faasprov; echo ${COMPREPLY[@]}'", test_path("completion"), test_path("completion")), 0);
	assert_string_equal(text, "trace\nsvg\n");
}

static void manual_has_all_verbs_and_options(void **state)
{
	char name[64];

	assert_int_equal(run("cat packaging/man/faasprov.1"), 0);
	for (const struct fp_verb *verb = fp_verbs; verb->name; verb++) {
		snprintf(name, sizeof(name), "\n.B %s", verb->name);
		assert_says(name);
	}
	for (unsigned i = 0; i < FP_OPTIONS; i++) {
		snprintf(name, sizeof(name), "\\-\\-%s", fp_options[i].name);
		for (char *dash = strchr(name + 6, '-'); dash; dash = strchr(dash + 2, '-')) {
			memmove(dash + 1, dash, strlen(dash) + 1);
			*dash = '\\';
		}
		assert_says(name);
	}
}

/* Each line of an example that begins with faasprov is run as it stands. */
static void examples_of_the_manual_work(void **state)
{
	char *copy, *line, *rest = NULL;
	unsigned examples = 0;

	assert_int_equal(run("sed -n '/^.SH EXAMPLES/,/^.SH /p' packaging/man/faasprov.1 | sed 's/\\\\-/-/g' "
			     "| grep -E '^(faasprov|FAASPROV)'"), 0);
	copy = strdup(text);
	for (line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char directory[160], program[160];

		strcpy(directory, test_directory());
		strcpy(program, FAASPROV);
		*strrchr(program, '/') = '\0';
		if (run("cd '%s' && export FAASPROV_STORE='%s' PATH=\"%s:$PATH\" && %s 2>&1", directory, store, program,
			line) != 0)
			fail_msg("%s: %.300s", line, text);
		examples++;
	}
	free(copy);
	assert_true(examples >= 6);
}

/* --- evidence ------------------------------------------------------------- */

/* `n` batches of one agent, each with one event. */
static void put_batches(const char *path, unsigned n)
{
	struct fp_batch_header header = {.agent = "agent-of-tests!", .host = "node-1"};
	struct fp_event event = {.type = FP_EVENT_TYPE_EXIT, .seq = 1};
	struct fp_batch_writer *writer;
	struct fp_store *to;
	char error[256];

	assert_int_equal(fp_store_open(path, FP_STORE_CREATE, &to, error), 0);
	assert_int_equal(fp_batch_writer_new(&writer), 0);
	for (unsigned i = 0; i < n; i++) {
		struct fp_batch *batch;
		const uint8_t *frame;
		size_t len;

		header.number = i + 1;
		event.time = 1000 + i;
		assert_int_equal(fp_batch_writer_add(writer, &event), 0);
		assert_int_equal(fp_batch_writer_finish(writer, &header, &frame, &len, header.previous), 0);
		assert_int_equal(fp_batch_open(frame, len, &batch), 0);
		assert_int_equal(fp_store_put_batch(to, frame, len, batch), 1);
		fp_batch_free(batch);
	}
	fp_batch_writer_free(writer);
	fp_store_close(to);
}

static void altered_evidence_is_found(void **state)
{
	char path[160];

	strcpy(path, test_path("evidence.db"));
	put_batches(path, 5);
	assert_int_equal(run("'" FAASPROV "' verify --store '%s' 2>&1", path), FP_EXIT_DONE);
	assert_says("batches 1 to 5, 5 events");
	assert_says("whole and unaltered");
	assert_int_equal(run("'" FAASPROV "' verify -f json --store '%s' | jq -c '[.whole, .agents[0].batches, .problems]'", path), 0);
	assert_says("[true,5,[]]");
	/* Whoever can write the file can get round the store's own guards; one byte of the third frame. */
	assert_int_equal(run("python3 - '%s' <<'END'\n"
			     "import sqlite3, sys\n"
			     "db = sqlite3.connect(sys.argv[1])\n"
			     "for name, in db.execute(\"select name from sqlite_master where type = 'trigger'\").fetchall():\n"
			     "    db.execute(f'drop trigger {name}')\n"
			     "frame = bytearray(db.execute('select frame from batch where id = 3').fetchone()[0])\n"
			     "frame[60] ^= 1\n"
			     "db.execute('update batch set frame = ? where id = 3', (bytes(frame),))\n"
			     "db.commit()\n"
			     "END\n", path), 0);
	assert_int_equal(run("'" FAASPROV "' verify --store '%s' 2>&1", path), FP_EXIT_INPUT);
	assert_says("problem: batch 3 of the store");
	assert_says("agent 6167656e742d6f662d74657374732100 on node-1: batches 1 to 5, 4 events");
}

static void removed_evidence_is_found(void **state)
{
	char path[160];

	strcpy(path, test_path("removed.db"));
	put_batches(path, 5);
	assert_int_equal(run("python3 - '%s' <<'END'\n"
			     "import sqlite3, sys\n"
			     "db = sqlite3.connect(sys.argv[1])\n"
			     "for name, in db.execute(\"select name from sqlite_master where type = 'trigger'\").fetchall():\n"
			     "    db.execute(f'drop trigger {name}')\n"
			     "db.execute('delete from batch where id = 2')\n"
			     "db.commit()\n"
			     "END\n", path), 0);
	assert_int_equal(run("'" FAASPROV "' verify --store '%s' 2>&1", path), FP_EXIT_INPUT);
	assert_says("batches 2 to 2 are missing");
	/* and so is one of the guards */
	assert_says("NOT whole: 2 problems");
}

/* --- bringing the graph up to date ----------------------------------------- */

/* The program beside a stitcher of our own that only says it was run. */
static void the_stitcher_beside_it_is_run_when_needed(void **state)
{
	char path[160], program[160], stitcher[160];

	strcpy(path, test_path("behind.db"));
	strcpy(program, test_path("faasprov"));
	strcpy(stitcher, test_path("faasprov-stitcher"));
	put_batches(path, 2);
	assert_int_equal(run("cp '" FAASPROV "' '%s'", program), 0);
	assert_int_equal(run("'%s' stats --store '%s' 2>&1", program, path), FP_EXIT_DONE);
	assert_says("there is no faasprov-stitcher beside this program");
	assert_says("2 batches are not in it yet");
	assert_int_equal(run("printf '#!/bin/sh\\necho stitching \"$@\"\\n' > '%s'; chmod +x '%s'", stitcher, stitcher), 0);
	assert_int_equal(run("'%s' stats --store '%s' 2>&1 >/dev/null", program, path), FP_EXIT_DONE);
	assert_says("stitching --store ");
	assert_int_equal(run("'%s' stats --no-stitch --store '%s' 2>&1", program, path), FP_EXIT_DONE);
	assert_null(strstr(text, "stitching"));
	assert_int_equal(run("printf '#!/bin/sh\\nexit 4\\n' > '%s'; '%s' stats --store '%s' 2>&1", stitcher, program, path),
			 FP_EXIT_DONE);
	assert_says("faasprov-stitcher failed");
	/* A store whose graph is new needs no stitcher. */
	assert_int_equal(run("'%s' stats --store '%s' 2>&1", program, store), FP_EXIT_DONE);
	assert_null(strstr(text, "failed"));
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
		cmocka_unit_test(wrong_use_is_one_line_and_two),
		cmocka_unit_test(what_is_not_there_is_one),
		cmocka_unit_test(bad_stores_are_three),
		cmocka_unit_test(names_that_several_bear_are_listed),
		cmocka_unit_test(short_ids_are_names),
		cmocka_unit_test(output_is_whole_or_not_there),
		cmocka_unit_test(nothing_to_flag_is_one),
		cmocka_unit_test(requests_are_filtered),
		cmocka_unit_test(export_is_the_whole_graph),
		cmocka_unit_test(help_names_all_verbs),
		cmocka_unit_test(completion_completes),
		cmocka_unit_test(manual_has_all_verbs_and_options),
		cmocka_unit_test(examples_of_the_manual_work),
		cmocka_unit_test(altered_evidence_is_found),
		cmocka_unit_test(removed_evidence_is_found),
		cmocka_unit_test(the_stitcher_beside_it_is_run_when_needed),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

#include "query/tests/ask.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "query/resolve.h"
#include "query/verbs.h"

static char directory[64];

const char *test_directory(void)
{
	if (!*directory) {
		strcpy(directory, "/tmp/faasprov-query-XXXXXX");
		assert_non_null(mkdtemp(directory));
	}
	return directory;
}

int test_directory_remove(void)
{
	char command[128];

	if (!*directory)
		return 0;
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	*directory = '\0';
	return system(command);
}

const char *test_path(const char *name)
{
	static char paths[8][160];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", test_directory(), name);
	return path;
}

void ask_question(struct fp_question *question, const char *store, ...)
{
	static char *argv[32];
	int argc = 0;
	va_list args;
	bool end;

	argv[argc++] = "faasprov";
	argv[argc++] = "--store";
	argv[argc++] = (char *)store;
	va_start(args, store);
	while (argc < 31 && (argv[argc] = va_arg(args, char *)))
		argc++;
	va_end(args);
	assert_int_equal(fp_question_read(argc, argv, question, &end), FP_EXIT_DONE);
	assert_false(end);
}

struct fp_answer *ask(const struct fp_question *question, uint64_t behind)
{
	fp_cleanup(fp_graph_freep) struct fp_graph *starts = NULL;
	struct fp_answer *answer;
	struct fp_store *store;
	char error[256] = "";

	if (fp_store_open(question->store, FP_STORE_READ, &store, error) < 0)
		fail_msg("%s", error);
	assert_int_equal(fp_answer_new(question, &answer), 0);
	assert_int_equal(fp_graph_new(&starts), 0);
	for (int i = 0; i < question->n_arguments; i++) {
		const char *name = question->arguments[i];

		if (strcmp(question->verb->name, "trace") == 0)
			assert_int_equal(fp_resolve_request(store, question, name, &answer->asked), FP_EXIT_DONE);
		else
			assert_int_equal(fp_resolve_nodes(store, question, name, starts, &answer->asked), FP_EXIT_DONE);
	}
	assert_int_equal(fp_answer_slice(answer, store, starts), 0);
	assert_int_equal(fp_answer_finish(answer, store, behind, false), 0);
	fp_store_close(store);
	return answer;
}

char *text_of(int (*write)(const struct fp_view *view, FILE *out), const struct fp_view *view)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_int_equal(write(view, out), 0);
	fclose(out);
	return text;
}

size_t count_nodes(const struct fp_answer *answer, enum fp_node_kind kind, const char *label)
{
	size_t n = 0;

	for (size_t i = 0; i < fp_graph_nodes(answer->graph); i++) {
		const struct fp_store_node *row = &fp_graph_node(answer->graph, i)->row;

		n += row->kind == kind && (!label || strcmp(row->label, label) == 0);
	}
	return n;
}

bool has_edge(const struct fp_answer *answer, enum fp_edge_kind kind, const char *from, const char *to)
{
	for (size_t i = 0; i < fp_graph_edges(answer->graph); i++) {
		const struct fp_graph_edge *edge = fp_graph_edge(answer->graph, i);

		if (edge->row.kind == kind && strcmp(fp_graph_node(answer->graph, edge->from)->row.label, from) == 0 &&
		    strcmp(fp_graph_node(answer->graph, edge->to)->row.label, to) == 0)
			return true;
	}
	return false;
}

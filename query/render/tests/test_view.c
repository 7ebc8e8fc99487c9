/* What people are shown: folded by rule, never more than asked for, nothing lost silently, nothing hostile. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <graphviz/cgraph.h>
#include <jansson.h>
#include <libxml/parser.h>

#include "query/json.h"
#include "query/prov.h"
#include "query/render/dot.h"
#include "query/render/graphml.h"
#include "query/render/picture.h"
#include "query/report.h"
#include "query/tests/ask.h"
#include "query/tests/attack.h"

static char attack[160];

static struct fp_answer *attack_answer(struct fp_question *question)
{
	ask_question(question, attack, "trace", ATTACK_EXECUTE, NULL);
	return ask(question, 0);
}

static const struct fp_view_node *view_node(const struct fp_view *view, const char *label)
{
	for (size_t i = 0; i < view->n_nodes; i++)
		if (strcmp(view->nodes[i].label, label) == 0)
			return &view->nodes[i];
	return NULL;
}

/* Every node of the graph is in the view once: as a member, as a file of the image, or as a wire between two members. */
static void assert_all_there(const struct fp_view *view)
{
	size_t n = fp_graph_nodes(view->answer->graph), there = 0, wires = 0;
	bool *seen = calloc(n + 1, sizeof(*seen));

	for (size_t i = 0; i < view->n_nodes; i++) {
		for (size_t j = 0; j < view->nodes[i].n_members; j++) {
			assert_false(seen[view->nodes[i].members[j]]);
			seen[view->nodes[i].members[j]] = true;
		}
		for (size_t j = 0; j < view->nodes[i].n_files; j++)
			seen[view->nodes[i].files[j]] = true;
	}
	for (size_t i = 0; i < n; i++) {
		enum fp_node_kind kind = fp_graph_node(view->answer->graph, i)->row.kind;

		there += seen[i];
		wires += !seen[i] && (kind == FP_NODE_SOCKET || kind == FP_NODE_PIPE);
	}
	assert_int_equal(there + wires, n);
	free(seen);
}

static void the_attack_fits_and_tells_its_story(void **state)
{
	struct fp_question question;
	struct fp_answer *answer = attack_answer(&question);
	const struct fp_view_node *script, *curl;
	struct fp_view *view;
	size_t asked = 0, links = 0;

	assert_int_equal(fp_view_new(answer, FP_VIEW_NODES, &view), 0);
	assert_true(view->n_nodes <= FP_VIEW_NODES);
	assert_int_equal(view->n_folded, 0);
	assert_all_there(view);
	script = view_node(view, "/home/app/sqldump.sh");
	curl = view_node(view, "curl[4102]");
	assert_non_null(script);
	assert_non_null(curl);
	assert_true(script->link);
	assert_int_equal(script->cluster, FP_NO_CLUSTER);
	assert_int_equal(curl->n_files, 37);
	for (size_t i = 0; i < view->n_nodes; i++)
		links += view->nodes[i].link;
	for (size_t i = 0; i < view->n_clusters; i++)
		asked += view->clusters[i].asked;
	assert_int_equal(links, 1);
	assert_int_equal(asked, 1);
	fp_view_free(view);
	fp_answer_free(answer);
}

static void any_limit_is_kept(void **state)
{
	struct fp_question question;
	struct fp_answer *answer;

	ask_question(&question, attack, "slice", "object:sql:creditCards", NULL);
	answer = ask(&question, 0);
	for (size_t limit = 1; limit < 120; limit += 1 + limit / 8) {
		struct fp_view *view;

		assert_int_equal(fp_view_new(answer, limit, &view), 0);
		assert_true(view->n_nodes <= limit);
		assert_true(view->n_nodes > 0);
		assert_all_there(view);
		for (size_t i = 0; i < view->n_edges; i++) {
			assert_true(view->edges[i].from < view->n_nodes);
			assert_true(view->edges[i].to < view->n_nodes);
		}
		fp_view_free(view);
	}
	fp_answer_free(answer);
}

/* --- formats -------------------------------------------------------------- */

static int write_json(const struct fp_view *view, FILE *out)
{
	return fp_json_answer(view, true, out);
}

static int write_full_json(const struct fp_view *view, FILE *out)
{
	return fp_json_answer(view, false, out);
}

static int write_graphml(const struct fp_view *view, FILE *out)
{
	return fp_graphml_answer(view->answer, out);
}

static int write_prov_json(const struct fp_view *view, FILE *out)
{
	return fp_prov_json(view->answer, out);
}

static int write_prov_n(const struct fp_view *view, FILE *out)
{
	return fp_prov_n(view->answer, out);
}

static int write_svg(const struct fp_view *view, FILE *out)
{
	enum fp_layout layout;

	return fp_picture_write(view, "svg", 60, out, &layout);
}

/* In a child of ours, because Graphviz keeps pointers to fonts of graphs that are gone; its complaints count. */
static int write_drawn(const struct fp_view *view, FILE *out)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int r = fp_dot_draw(view, FP_LAYOUT_FULL, "svg", out);

		fflush(out);
		_exit(r < 0 || agerrors() >= AGERR);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	return 0;
}

static void drawn_without_complaint(const struct fp_view *view)
{
	FILE *out = tmpfile();

	assert_non_null(out);
	assert_int_equal(write_drawn(view, out), 0);
	fclose(out);
}

static json_t *json_of(int (*write)(const struct fp_view *view, FILE *out), const struct fp_view *view)
{
	char *text = text_of(write, view);
	json_error_t error;
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &error);

	if (!json)
		fail_msg("%s", error.text);
	free(text);
	return json;
}

/* Every edge leads between nodes of the same list. */
static void assert_consistent(const json_t *json)
{
	json_t *ids = json_object();
	json_t *value;
	size_t i;

	json_array_foreach(json_object_get(json, "nodes"), i, value)
		json_object_set_new(ids, json_string_value(json_object_get(value, "id")), json_true());
	assert_int_equal(json_object_size(ids), json_array_size(json_object_get(json, "nodes")));
	json_array_foreach(json_object_get(json, "edges"), i, value) {
		assert_non_null(json_object_get(ids, json_string_value(json_object_get(value, "from"))));
		assert_non_null(json_object_get(ids, json_string_value(json_object_get(value, "to"))));
	}
	json_decref(ids);
}

static void json_keeps_everything(void **state)
{
	struct fp_question question;
	struct fp_answer *answer = attack_answer(&question);
	json_t *json, *collapsed, *value;
	size_t n_nodes = fp_graph_nodes(answer->graph), n_edges = fp_graph_edges(answer->graph), groups = 0, bundles = 0, i;
	struct fp_view *view;

	assert_int_equal(fp_view_new(answer, 0, &view), 0);
	json = json_of(write_json, view);
	assert_consistent(json);
	assert_true(json_array_size(json_object_get(json, "nodes")) <= FP_VIEW_NODES);
	json_array_foreach(json_object_get(json, "nodes"), i, value)
		groups += json_object_get(value, "collapsed") != NULL;
	json_array_foreach(json_object_get(json, "edges"), i, value)
		bundles += json_object_get(value, "collapsed") != NULL;
	collapsed = json_object_get(json, "collapsed");
	assert_int_equal(json_array_size(json_object_get(json, "nodes")) - groups +
				 json_array_size(json_object_get(collapsed, "nodes")), n_nodes);
	assert_int_equal(json_array_size(json_object_get(json, "edges")) - bundles +
				 json_array_size(json_object_get(collapsed, "edges")), n_edges);
	assert_true(json_is_true(json_object_get(json, "complete")));
	assert_int_equal(json_integer_value(json_object_get(json, "lost")), 0);
	assert_int_equal(json_array_size(json_object_get(json, "missing")), 0);
	json_decref(json);

	json = json_of(write_full_json, view);
	assert_consistent(json);
	assert_int_equal(json_array_size(json_object_get(json, "nodes")), n_nodes);
	assert_int_equal(json_array_size(json_object_get(json, "edges")), n_edges);
	json_decref(json);
	fp_view_free(view);
	fp_answer_free(answer);
}

static size_t count_lines(const char *text, const char *with)
{
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, with)); at++)
		n++;
	return n;
}

/* Every edge is one relation, by what its ends are. */
static void prov_says_the_same(void **state)
{
	static const char *const relations[] = {"used", "wasGeneratedBy", "wasInformedBy", "wasDerivedFrom",
						"wasAssociatedWith", "wasAttributedTo", "wasInfluencedBy"};
	struct fp_question question;
	struct fp_answer *answer = attack_answer(&question);
	size_t nodes = 0, edges = 0;
	struct fp_view *view;
	json_t *json;
	char *text;

	assert_int_equal(fp_view_new(answer, 0, &view), 0);
	json = json_of(write_prov_json, view);
	text = text_of(write_prov_n, view);
	for (size_t i = 0; i < sizeof(relations) / sizeof(*relations); i++) {
		char line[40];
		size_t n = json_object_size(json_object_get(json, relations[i]));

		snprintf(line, sizeof(line), "\n  %s(", relations[i]);
		assert_int_equal(n, count_lines(text, line));
		edges += n;
	}
	nodes = json_object_size(json_object_get(json, "entity")) + json_object_size(json_object_get(json, "activity")) +
		json_object_size(json_object_get(json, "agent"));
	assert_int_equal(edges, fp_graph_edges(answer->graph));
	assert_int_equal(nodes, fp_graph_nodes(answer->graph) + 1); /* and the answer itself */
	free(text);
	json_decref(json);
	fp_view_free(view);
	fp_answer_free(answer);
}

/* --- hostile labels ------------------------------------------------------- */

static const char *const hostile[] = {
	"\"><script>alert(1)</script>", "</svg>", "a\nb\rc\td", "\x1b[2J\x1b]0;title\x07", "\xff\xfe\x80", "\\N\\G\\l\\r\\\\",
	"\"; x -> y; \"", "<b>bold</b>", "&amp;&#0;&bogus;", "\xe2\x80\xae" "exe.gpj", "]]>", "%s%n%d", "",
	"-->", "\xc2\x9b" "31mred", "{\"a\":1}", "'; DROP TABLE node;--", "label=\"x\"",
};

/* One request whose names all are hostile. */
static void hostile_store(const char *path)
{
	struct world world;
	size_t n = sizeof(hostile) / sizeof(*hostile);

	world_begin(&world, path);
	for (unsigned i = 0; i < n; i++) {
		const struct place place = {hostile[i], hostile[(i + 1) % n], hostile[(i + 2) % n]};
		struct request request;
		uint64_t process, file, node;
		char key[40];

		world_request(&world, &request, i, &place, i == 0 ? "hostile" : hostile[i], NULL, 0, T0 + i * MS,
			      T0 + i * MS + 90 * MS);
		snprintf(key, sizeof(key), "process:h:b:1:%u:1:x", i);
		node = world_node(&world, &(struct fp_store_node){
						  .kind = FP_NODE_PROCESS, .key = key, .label = hostile[i],
						  .function = hostile[i], .instance = hostile[i], .host = hostile[i],
						  .first = T0, .last = T0 + 50 * MS, .attributes = hostile[(i + 3) % n]});
		process = world_process(&world, &place, &request, (int)i + 5, 1, hostile[i], "x", T0 + i * MS,
					T0 + i * MS + 50 * MS);
		file = world_file(&world, &place, hostile[(i + 5) % n]);
		world_do(&world, &request, FP_EDGE_CALLS, request.node, process, T0 + i * MS, 0);
		world_do(&world, &request, FP_EDGE_READ, world_file(&world, &place, hostile[(i + 6) % n]), process,
			 T0 + (i + 1) * MS, 1);
		world_do(&world, &request, FP_EDGE_WRITE, process, file, T0 + (i + 2) * MS, 1);
		world_do(&world, &request, FP_EDGE_READ, file, node, T0 + (i + 3) * MS, 1);
		world_do(&world, &request, FP_EDGE_PUT, process, world_object(&world, i == 12 ? "x" : hostile[i]),
			 T0 + (i + 4) * MS, 1);
	}
	world_end(&world);
}

static void assert_printable(const char *text)
{
	for (; *text; text++)
		if (*text != '\n' && *text != '\t' && ((unsigned char)*text < 0x20 || *text == 0x7f))
			fail_msg("byte 0x%02x in the output", (unsigned char)*text);
}

static void assert_xml(const char *text)
{
	xmlDocPtr document = xmlReadMemory(text, (int)strlen(text), NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR);

	assert_non_null(document);
	xmlFreeDoc(document);
	assert_null(strstr(text, "<script"));
}

static void hostile_names_stay_names(void **state)
{
	static int (*const formats[])(const struct fp_view *, FILE *) = {fp_report_write, fp_dot_write, write_svg,
									write_graphml, write_json, write_full_json,
									write_prov_json, write_prov_n};
	char path[160];
	struct fp_question question;

	strcpy(path, test_path("hostile.db"));
	hostile_store(path);
	ask_question(&question, path, "slice", "process:x", "--all", NULL);
	for (unsigned i = 0; i < 3; i++) {
		static char *const names[] = {"file:a", "process:b", "request:hostile"};
		struct fp_answer *answer;
		struct fp_view *view;

		ask_question(&question, path, "slice", names[i], "--all", NULL);
		answer = ask(&question, 0);
		assert_true(fp_graph_nodes(answer->graph) > 1);
		assert_int_equal(fp_view_new(answer, 40, &view), 0);
		for (size_t j = 0; j < sizeof(formats) / sizeof(*formats); j++) {
			char *text = text_of(formats[j], view);

			assert_printable(text);
			if (formats[j] == write_svg || formats[j] == write_graphml)
				assert_xml(text);
			free(text);
		}
		drawn_without_complaint(view);
		fp_view_free(view);
		fp_answer_free(answer);
	}
}

/* --- size ----------------------------------------------------------------- */

/* A hub that very many things hang on: what makes layouts run away. */
static void a_crowd_becomes_a_picture_in_time(void **state)
{
	const struct place place = {"shop", "shop-1", "node-1"};
	char path[160];
	struct fp_question question;
	struct fp_answer *answer;
	struct request request;
	struct fp_view *view;
	struct world world;
	uint64_t hub;
	char *svg;

	strcpy(path, test_path("crowd.db"));
	world_begin(&world, path);
	world_request(&world, &request, 1, &place, "crowd", NULL, 0, T0, T0 + 9000 * MS);
	hub = world_process(&world, &place, &request, 9, 1, "tar", "tar x", T0, T0 + 9000 * MS);
	world_do(&world, &request, FP_EDGE_CALLS, request.node, hub, T0, 0);
	for (int i = 0; i < 3000; i++) {
		char name[40];
		uint64_t other;

		snprintf(name, sizeof(name), "/data/%d", i);
		other = i % 3 ? world_file(&world, &place, name) :
				world_process(&world, &place, &request, 100 + i, 1, "gzip", "gzip", T0, T0 + 9000 * MS);
		world_do(&world, &request, i % 3 ? FP_EDGE_WRITE : FP_EDGE_FORK, hub, other, T0 + (unsigned)i * MS, 10);
	}
	world_end(&world);
	ask_question(&question, path, "trace", "crowd", NULL);
	answer = ask(&question, 0);
	assert_int_equal(fp_view_new(answer, FP_VIEW_NODES, &view), 0);
	assert_true(view->n_nodes <= FP_VIEW_NODES);
	assert_all_there(view);
	svg = text_of(write_svg, view);
	assert_xml(svg);
	assert_non_null(strstr(svg, "2000 files"));
	assert_non_null(strstr(svg, "1000 × gzip"));
	free(svg);
	fp_view_free(view);
	fp_answer_free(answer);
}

static int set_up(void **state)
{
	strcpy(attack, test_path("attack.db"));
	attack_store(attack);
	return 0;
}

static int tear_down(void **state)
{
	return test_directory_remove();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_attack_fits_and_tells_its_story),
		cmocka_unit_test(any_limit_is_kept),
		cmocka_unit_test(json_keeps_everything),
		cmocka_unit_test(prov_says_the_same),
		cmocka_unit_test(hostile_names_stay_names),
		cmocka_unit_test(a_crowd_becomes_a_picture_in_time),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

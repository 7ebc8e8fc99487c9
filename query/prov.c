#include "query/prov.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "query/clean.h"
#include "query/json.h"

#define PREFIX "https://faasprov.example/ns#"

enum role { ENTITY, ACTIVITY, AGENT, ROLES };

static const char *const role_names[ROLES] = {"entity", "activity", "agent"};

static enum role role_of(const struct fp_store_node *row)
{
	switch (row->kind) {
	case FP_NODE_PROCESS:
	case FP_NODE_REQUEST:
		return ACTIVITY;
	case FP_NODE_CLIENT:
	case FP_NODE_HOST:
		return AGENT;
	default:
		return ENTITY;
	}
}

/* A relation of PROV: the effect comes first, then the cause. */
struct relation {
	const char *name, *effect, *cause;
	bool timed; /* PROV-N has a place for its time */
};

static const struct relation relations[ROLES][ROLES] = {
	/* cause, effect */
	[ENTITY][ENTITY] = {"wasDerivedFrom", "prov:generatedEntity", "prov:usedEntity", false},
	[ENTITY][ACTIVITY] = {"used", "prov:activity", "prov:entity", true},
	[ENTITY][AGENT] = {"wasInfluencedBy", "prov:influencee", "prov:influencer", false},
	[ACTIVITY][ENTITY] = {"wasGeneratedBy", "prov:entity", "prov:activity", true},
	[ACTIVITY][ACTIVITY] = {"wasInformedBy", "prov:informed", "prov:informant", false},
	[ACTIVITY][AGENT] = {"wasInfluencedBy", "prov:influencee", "prov:influencer", false},
	[AGENT][ENTITY] = {"wasAttributedTo", "prov:entity", "prov:agent", false},
	[AGENT][ACTIVITY] = {"wasAssociatedWith", "prov:activity", "prov:agent", false},
	[AGENT][AGENT] = {"wasInfluencedBy", "prov:influencee", "prov:influencer", false},
};

static const struct relation *relation_of(const struct fp_answer *answer, const struct fp_graph_edge *edge)
{
	return &relations[role_of(&fp_graph_node(answer->graph, edge->from)->row)]
			 [role_of(&fp_graph_node(answer->graph, edge->to)->row)];
}

/* What the plain JSON says of a node or edge, under names of ours. */
static const char *const node_keys[] = {"kind", "label", "key", "function", "instance", "host", "request", "unit"};
static const char *const edge_keys[] = {"kind", "first", "last", "count", "bytes", "request", "attribution", "rule"};

#define N(array) (sizeof(array) / sizeof(*(array)))

static json_t *renamed(json_t *object, const char *const *keys, size_t n)
{
	json_t *made = json_object();

	for (size_t i = 0; object && i < n; i++) {
		json_t *value = json_object_get(object, keys[i]);
		char name[40];

		if (!value || json_is_null(value))
			continue;
		snprintf(name, sizeof(name), "fp:%s", keys[i]);
		json_object_set(made, name, value);
	}
	json_decref(object);
	return made;
}

static json_t *name_of(char letter, uint64_t id)
{
	json_t *plain = fp_json_id(letter, id), *name = json_sprintf("fp:%s", json_string_value(plain));

	json_decref(plain);
	return name;
}

static json_t *node_of(const struct fp_store_node *row)
{
	json_t *made = renamed(fp_json_node(row), node_keys, N(node_keys));

	json_object_set_new(made, "prov:label", fp_json_text(row->label));
	if (role_of(row) == ACTIVITY) {
		json_object_set_new(made, "prov:startTime", fp_json_time(row->first));
		json_object_set_new(made, "prov:endTime", fp_json_time(row->last));
	}
	return made;
}

static json_t *edge_of(const struct fp_answer *answer, const struct fp_graph_edge *edge)
{
	const struct relation *relation = relation_of(answer, edge);
	json_t *made = renamed(fp_json_edge(&edge->row), edge_keys, N(edge_keys));

	json_object_set_new(made, relation->effect, name_of('n', edge->row.to));
	json_object_set_new(made, relation->cause, name_of('n', edge->row.from));
	if (relation->timed)
		json_object_set_new(made, "prov:time", fp_json_time(edge->row.first));
	return made;
}

/* Puts a value under document[section][name]. */
static void put(json_t *document, const char *section, json_t *name, json_t *value)
{
	json_t *object = json_object_get(document, section);

	if (!object) {
		object = json_object();
		json_object_set_new(document, section, object);
	}
	json_object_set_new(object, json_string_value(name), value);
	json_decref(name);
}

int fp_prov_json(const struct fp_answer *answer, FILE *out)
{
	json_t *document = json_pack("{s:{s:s}, s:{s:{s:b, s:I}}}", "prefix", "fp", PREFIX, "entity", "fp:answer", "fp:complete",
				     (int)fp_answer_complete(answer), "fp:lost", (json_int_t)answer->lost);

	for (size_t i = 0; document && i < fp_graph_nodes(answer->graph); i++) {
		const struct fp_store_node *row = &fp_graph_node(answer->graph, i)->row;

		put(document, role_names[role_of(row)], name_of('n', row->id), node_of(row));
	}
	for (size_t i = 0; document && i < fp_graph_edges(answer->graph); i++) {
		const struct fp_graph_edge *edge = fp_graph_edge(answer->graph, i);

		put(document, relation_of(answer, edge)->name, name_of('e', edge->row.id), edge_of(answer, edge));
	}
	return fp_json_put(out, "", document) < 0 ? -EIO : fputs("\n", out) < 0 ? -EIO : 0;
}

/* --- PROV-N --------------------------------------------------------------- */

/* A literal; clean text has no line breaks, so quotes and backslashes are all there is to escape. */
static void put_literal(FILE *out, const json_t *value)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer clean = FP_BUFFER_INIT;

	if (json_is_integer(value)) {
		fprintf(out, "\"%" JSON_INTEGER_FORMAT "\" %%%% xsd:long", json_integer_value(value));
		return;
	}
	fp_clean_add(&clean, json_string_value(value), 0);
	fputc('"', out);
	for (const char *at = clean.data; at && *at; at++) {
		if (*at == '"' || *at == '\\')
			fputc('\\', out);
		fputc(*at, out);
	}
	fputc('"', out);
}

/* "[fp:kind=..., ...]": what has a name of ours, and the label. */
static void put_attributes(FILE *out, const json_t *object)
{
	const char *before = ", [", *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value) {
		if (strncmp(key, "fp:", 3) != 0 && strcmp(key, "prov:label") != 0)
			continue;
		fprintf(out, "%s%s=", before, key);
		put_literal(out, value);
		before = ", ";
	}
	fputs(*before == ',' && before[2] == '[' ? ")\n" : "])\n", out);
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "-";
}

static void put_node_n(const struct fp_store_node *row, FILE *out)
{
	json_t *node = node_of(row), *name = name_of('n', row->id);

	fprintf(out, "  %s(%s", role_names[role_of(row)], json_string_value(name));
	if (role_of(row) == ACTIVITY)
		fprintf(out, ", %s, %s", text_of(node, "prov:startTime"), text_of(node, "prov:endTime"));
	put_attributes(out, node);
	json_decref(node);
	json_decref(name);
}

static void put_edge_n(const struct fp_answer *answer, const struct fp_graph_edge *edge, FILE *out)
{
	const struct relation *relation = relation_of(answer, edge);
	json_t *object = edge_of(answer, edge), *name = name_of('e', edge->row.id);

	fprintf(out, "  %s(%s; %s, %s", relation->name, json_string_value(name), text_of(object, relation->effect),
		text_of(object, relation->cause));
	if (relation->timed)
		fprintf(out, ", %s", text_of(object, "prov:time"));
	else if (strcmp(relation->name, "wasAssociatedWith") == 0)
		fputs(", -", out); /* no plan */
	put_attributes(out, object);
	json_decref(object);
	json_decref(name);
}

int fp_prov_n(const struct fp_answer *answer, FILE *out)
{
	fprintf(out, "document\n  prefix fp <" PREFIX ">\n  entity(fp:answer, [fp:complete=\"%s\", fp:lost=\"%" PRIu64 "\"])\n",
		fp_answer_complete(answer) ? "true" : "false", answer->lost);
	for (size_t i = 0; i < fp_graph_nodes(answer->graph); i++)
		put_node_n(&fp_graph_node(answer->graph, i)->row, out);
	for (size_t i = 0; i < fp_graph_edges(answer->graph); i++)
		put_edge_n(answer, fp_graph_edge(answer->graph, i), out);
	fputs("endDocument\n", out);
	return ferror(out) ? -EIO : 0;
}

#include "query/render/graphml.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <libxml/xmlwriter.h>

#include "base/text.h"
#include "query/clean.h"

struct fp_graphml {
	xmlTextWriterPtr writer;
	FILE *out;
	bool failed;
};

/* Name, what has it, type.  The key's id is its name. */
static const char *const keys[][3] = {
	{"complete", "graph", "boolean"}, {"lost", "graph", "long"},	 {"kind", "all", "string"},
	{"label", "node", "string"},	  {"key", "node", "string"},	 {"function", "node", "string"},
	{"instance", "node", "string"},	  {"host", "node", "string"},	 {"request", "all", "string"},
	{"unit", "node", "string"},	  {"first", "all", "string"},	 {"last", "all", "string"},
	{"count", "edge", "long"},	  {"bytes", "edge", "long"},	 {"attribution", "edge", "string"},
	{"rule", "edge", "string"},	  {"candidates", "edge", "string"}, {"attributes", "all", "string"},
};

static void check(struct fp_graphml *graphml, int r)
{
	if (r < 0)
		graphml->failed = true;
}

static void begin(struct fp_graphml *graphml, const char *element)
{
	check(graphml, xmlTextWriterStartElement(graphml->writer, BAD_CAST element));
}

static void end(struct fp_graphml *graphml)
{
	check(graphml, xmlTextWriterEndElement(graphml->writer));
}

static void attribute(struct fp_graphml *graphml, const char *name, const char *value)
{
	check(graphml, xmlTextWriterWriteAttribute(graphml->writer, BAD_CAST name, BAD_CAST value));
}

/* Nothing for NULL.  XML has no way to write control characters, so text is cleaned. */
static void data(struct fp_graphml *graphml, const char *key, const char *value)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer clean = FP_BUFFER_INIT;

	if (!value)
		return;
	fp_clean_add(&clean, value, 0);
	begin(graphml, "data");
	attribute(graphml, "key", key);
	check(graphml, xmlTextWriterWriteString(graphml->writer, BAD_CAST(clean.data ? clean.data : "")));
	end(graphml);
}

static void data_number(struct fp_graphml *graphml, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	data(graphml, key, text);
}

static void data_time(struct fp_graphml *graphml, const char *key, uint64_t value)
{
	char text[FP_TIME_TEXT_SIZE];

	fp_time_text(value, text);
	data(graphml, key, text);
}

static void data_request(struct fp_graphml *graphml, bool has_request, const uint8_t id[FP_REQUEST_ID_SIZE])
{
	char text[2 * FP_REQUEST_ID_SIZE + 1];

	fp_hex(id, FP_REQUEST_ID_SIZE, text);
	data(graphml, "request", has_request ? text : NULL);
}

static void attribute_id(struct fp_graphml *graphml, const char *name, char letter, uint64_t id)
{
	char text[32];

	snprintf(text, sizeof(text), fp_graph_possible(id) ? "%cp%" PRIu64 : "%c%" PRIu64, letter, (uint64_t)(id & ~FP_POSSIBLE_ID));
	attribute(graphml, name, text);
}

static int write_out(void *context, const char *buffer, int len)
{
	return fwrite(buffer, 1, (size_t)len, context) == (size_t)len ? len : -1;
}

static void declare(struct fp_graphml *graphml)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		begin(graphml, "key");
		attribute(graphml, "id", keys[i][0]);
		attribute(graphml, "for", keys[i][1]);
		attribute(graphml, "attr.name", keys[i][0]);
		attribute(graphml, "attr.type", keys[i][2]);
		end(graphml);
	}
}

int fp_graphml_new(FILE *out, bool complete, uint64_t lost, struct fp_graphml **ret_graphml)
{
	fp_cleanup(fp_graphml_freep) struct fp_graphml *graphml = calloc(1, sizeof(*graphml));
	xmlOutputBufferPtr buffer;

	if (!graphml)
		return -ENOMEM;
	graphml->out = out;
	buffer = xmlOutputBufferCreateIO(write_out, NULL, out, NULL);
	if (!buffer)
		return -ENOMEM;
	graphml->writer = xmlNewTextWriter(buffer);
	if (!graphml->writer) {
		xmlOutputBufferClose(buffer);
		return -ENOMEM;
	}
	xmlTextWriterSetIndent(graphml->writer, 1);
	check(graphml, xmlTextWriterStartDocument(graphml->writer, NULL, "UTF-8", NULL));
	begin(graphml, "graphml");
	attribute(graphml, "xmlns", "http://graphml.graphdrawing.org/xmlns");
	declare(graphml);
	begin(graphml, "graph");
	attribute(graphml, "id", "faasprov");
	attribute(graphml, "edgedefault", "directed");
	data(graphml, "complete", complete ? "true" : "false");
	data_number(graphml, "lost", lost);
	*ret_graphml = graphml;
	graphml = NULL;
	return 0;
}

int fp_graphml_node(struct fp_graphml *graphml, const struct fp_store_node *row)
{
	begin(graphml, "node");
	attribute_id(graphml, "id", 'n', row->id);
	data(graphml, "kind", fp_node_kind_name(row->kind));
	data(graphml, "label", row->label);
	data(graphml, "key", row->key);
	data(graphml, "function", row->function);
	data(graphml, "instance", row->instance);
	data(graphml, "host", row->host);
	data_request(graphml, row->has_request, row->request);
	data(graphml, "unit", row->kind == FP_NODE_PROCESS ? fp_unit_name(row->unit) : NULL);
	data_time(graphml, "first", row->first);
	data_time(graphml, "last", row->last);
	data(graphml, "attributes", row->attributes);
	end(graphml);
	return graphml->failed ? -EIO : 0;
}

int fp_graphml_edge(struct fp_graphml *graphml, const struct fp_store_edge *row)
{
	begin(graphml, "edge");
	attribute_id(graphml, "id", 'e', row->id);
	attribute_id(graphml, "source", 'n', row->from);
	attribute_id(graphml, "target", 'n', row->to);
	data(graphml, "kind", fp_edge_kind_name(row->kind));
	data_time(graphml, "first", row->first);
	data_time(graphml, "last", row->last);
	data_number(graphml, "count", row->count);
	data_number(graphml, "bytes", row->bytes);
	data_request(graphml, row->has_request, row->request);
	data(graphml, "attribution", fp_graph_possible(row->id) ? "possible" : fp_attribution_name(row->attribution));
	data(graphml, "rule", fp_rule_name(row->rule));
	data(graphml, "candidates", row->candidates);
	data(graphml, "attributes", row->attributes);
	end(graphml);
	return graphml->failed ? -EIO : 0;
}

int fp_graphml_finish(struct fp_graphml *graphml)
{
	check(graphml, xmlTextWriterEndDocument(graphml->writer));
	check(graphml, xmlTextWriterFlush(graphml->writer));
	return graphml->failed ? -EIO : 0;
}

struct fp_graphml *fp_graphml_free(struct fp_graphml *graphml)
{
	if (!graphml)
		return NULL;
	if (graphml->writer)
		xmlFreeTextWriter(graphml->writer);
	free(graphml);
	return NULL;
}

int fp_graphml_answer(const struct fp_answer *answer, FILE *out)
{
	fp_cleanup(fp_graphml_freep) struct fp_graphml *graphml = NULL;
	int r = fp_graphml_new(out, fp_answer_complete(answer), answer->lost, &graphml);

	for (size_t i = 0; r == 0 && i < fp_graph_nodes(answer->graph); i++)
		r = fp_graphml_node(graphml, &fp_graph_node(answer->graph, i)->row);
	for (size_t i = 0; r == 0 && i < fp_graph_edges(answer->graph); i++)
		r = fp_graphml_edge(graphml, &fp_graph_edge(answer->graph, i)->row);
	return r == 0 ? fp_graphml_finish(graphml) : r;
}

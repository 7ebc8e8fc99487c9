#include "query/json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "base/text.h"
#include "query/clean.h"

json_t *fp_json_text(const char *text)
{
	fp_cleanup(fp_buffer_done) struct fp_buffer clean = FP_BUFFER_INIT;

	if (!text)
		return json_null();
	fp_clean_add_utf8(&clean, text);
	return fp_buffer_error(&clean) < 0 ? NULL : json_string(clean.data ? clean.data : "");
}

json_t *fp_json_time(uint64_t ns)
{
	char text[FP_TIME_TEXT_SIZE];

	if (ns == 0)
		return json_null();
	fp_time_text(ns, text);
	return json_string(text);
}

json_t *fp_json_id(char letter, uint64_t id)
{
	char text[32];

	/* Possible nodes and edges count on their own: "np1". */
	snprintf(text, sizeof(text), fp_graph_possible(id) ? "%cp%" PRIu64 : "%c%" PRIu64, letter, (uint64_t)(id & ~FP_POSSIBLE_ID));
	return json_string(text);
}

json_t *fp_json_request_id(const uint8_t id[FP_REQUEST_ID_SIZE])
{
	char text[2 * FP_REQUEST_ID_SIZE + 1];

	fp_hex(id, FP_REQUEST_ID_SIZE, text);
	return json_string(text);
}

/* What the stitcher knows besides; text when it is no JSON. */
static json_t *attributes_of(const char *text)
{
	json_t *attributes = text ? json_loads(text, 0, NULL) : NULL;

	return attributes ? attributes : fp_json_text(text);
}

void fp_json_add_if(json_t *object, const char *key, bool is, json_t *value)
{
	if (is)
		json_object_set_new(object, key, value);
	else
		json_decref(value);
}

json_t *fp_json_node(const struct fp_store_node *row)
{
	json_t *node = json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", fp_json_id('n', row->id), "kind",
				 fp_node_kind_name(row->kind), "label", fp_json_text(row->label), "function",
				 fp_json_text(row->function), "instance", fp_json_text(row->instance), "host",
				 fp_json_text(row->host), "request",
				 row->has_request ? fp_json_request_id(row->request) : json_null(), "first",
				 fp_json_time(row->first), "last", fp_json_time(row->last), "key", fp_json_text(row->key));

	if (!node)
		return NULL;
	fp_json_add_if(node, "unit", row->kind == FP_NODE_PROCESS, json_string(fp_unit_name(row->unit)));
	fp_json_add_if(node, "possible", fp_graph_possible(row->id), json_true());
	fp_json_add_if(node, "attributes", row->attributes, attributes_of(row->attributes));
	return node;
}

static json_t *candidates_of(const char *text)
{
	json_t *list = json_array();

	while (list && text && *text) {
		size_t len = strcspn(text, ",");

		json_array_append_new(list, json_stringn(text, len));
		text += len + (text[len] == ',');
	}
	return list;
}

json_t *fp_json_edge(const struct fp_store_edge *row)
{
	bool possible = fp_graph_possible(row->id);
	json_t *edge = json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:I, s:I, s:o, s:s, s:s}", "id", fp_json_id('e', row->id),
				 "from", fp_json_id('n', row->from), "to", fp_json_id('n', row->to), "kind",
				 fp_edge_kind_name(row->kind), "first", fp_json_time(row->first), "last",
				 fp_json_time(row->last), "count", (json_int_t)row->count, "bytes",
				 (json_int_t)row->bytes, "request",
				 row->has_request ? fp_json_request_id(row->request) : json_null(), "attribution",
				 fp_attribution_name(row->attribution), "rule", fp_rule_name(row->rule));

	if (!edge)
		return NULL;
	fp_json_add_if(edge, "candidates", row->candidates && *row->candidates, candidates_of(row->candidates));
	fp_json_add_if(edge, "possible", possible, json_true());
	if (!possible) {
		json_object_set_new(edge, "batch", json_integer((json_int_t)row->batch));
		json_object_set_new(edge, "event", json_integer(row->event));
	}
	fp_json_add_if(edge, "attributes", row->attributes, attributes_of(row->attributes));
	return edge;
}

json_t *fp_json_request(const struct fp_store_request *row)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "id",
			 fp_json_request_id(row->id), "node", fp_json_id('n', row->node), "call_id",
			 fp_json_text(row->call_id), "trace_id", fp_json_text(row->trace_id), "function",
			 fp_json_text(row->function), "instance", fp_json_text(row->instance), "host",
			 fp_json_text(row->host), "method", fp_json_text(row->method), "url", fp_json_text(row->url), "first",
			 fp_json_time(row->first), "last", fp_json_time(row->last), "status",
			 row->status < 0 ? json_null() : json_integer(row->status), "parent",
			 row->has_parent ? fp_json_request_id(row->parent) : json_null(), "join", fp_json_text(row->join),
			 "lost", (json_int_t)row->lost);
}

json_t *fp_json_missing(const struct fp_missing *missing)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:I, s:o}", "cause", missing->cause, "host",
			 fp_json_text(missing->host), "instance", fp_json_text(missing->instance), "first",
			 fp_json_time(missing->first), "last", fp_json_time(missing->last), "lost",
			 (json_int_t)missing->lost, "text", fp_json_text(missing->text));
}

int fp_json_put(FILE *out, const char *before, json_t *object)
{
	int r;

	if (!object)
		return -ENOMEM;
	fputs(before, out);
	r = json_dumpf(object, out, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
	json_decref(object);
	return r < 0 ? -EIO : 0;
}

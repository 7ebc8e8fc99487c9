#include "schema/schema.h"

#include <errno.h>
#include <string.h>

const struct fp_field_info fp_fields[FP_FIELD_MAX] = {
#define FP_FIELD(id, field, k, d) \
	[id] = {.name = #field, .doc = d, .kind = FP_KIND_##k, .offset = offsetof(struct fp_event, field)},
#include "schema/events.def"
};

#define FROM_KERNEL(name) {FP_FIELD_##name, FP_FROM_KERNEL},
#define FROM_KERNEL_TRANSIENT(name) {FP_FIELD_##name, FP_FROM_KERNEL_TRANSIENT},
#define FROM_AGENT(name) {FP_FIELD_##name, FP_FROM_AGENT},
/* The leading entry keeps the array of an event without fields legal. */
#define FP_EVENT(id, NAME, name, doc)                                                     \
	static const struct fp_event_field fields_of_##name[] = {                         \
		{0, 0},                                                                   \
		FP_EVENT_##NAME(FROM_KERNEL, FROM_KERNEL, FROM_KERNEL_TRANSIENT, FROM_AGENT)};
#include "schema/events.def"

const struct fp_event_info fp_events[FP_EVENT_TYPE_MAX] = {
#define FP_EVENT(id, NAME, event, d)                                                       \
	[id] = {.name = #event,                                                            \
		.doc = d,                                                                  \
		.n_fields = sizeof(fields_of_##event) / sizeof(fields_of_##event[0]) - 1,  \
		.fields = fields_of_##event + 1},
#include "schema/events.def"
};

static const char *name_of(const char *const *names, size_t n, unsigned number)
{
	return number < n ? names[number] : NULL;
}

static int number_of(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (names[i] && strcmp(names[i], name) == 0)
			return (int)i;
	return -ENOENT;
}

#define DEFINE_SET(set)                                                                            \
	const char *fp_##set##_name(unsigned number)                                               \
	{                                                                                          \
		return name_of(set##_names, sizeof(set##_names) / sizeof(set##_names[0]), number); \
	}                                                                                          \
	int fp_##set##_parse(const char *name)                                                     \
	{                                                                                          \
		return number_of(set##_names, sizeof(set##_names) / sizeof(set##_names[0]), name); \
	}

static const char *const node_kind_names[] = {
#define FP_NODE(number, NAME, name, doc) [number] = #name,
#include "schema/graph.def"
};
static const char *const edge_kind_names[] = {
#define FP_EDGE(number, NAME, name, doc) [number] = #name,
#include "schema/graph.def"
};
static const char *const unit_names[] = {
#define FP_UNIT(number, NAME, name, doc) [number] = #name,
#include "schema/graph.def"
};
static const char *const attribution_names[] = {
#define FP_ATTRIBUTION(number, NAME, name, doc) [number] = #name,
#include "schema/graph.def"
};
static const char *const rule_names[] = {
#define FP_RULE(number, NAME, name, doc) [number] = #name,
#include "schema/graph.def"
};
static const char *const object_names[] = {
#define FP_OBJECT(number, NAME, name, doc) [number] = #name,
#include "schema/graph.def"
};
static const char *const app_names[] = {
#define FP_APP(number, NAME, name, doc) [number] = #name,
#include "schema/graph.def"
};
static const char *const operation_names[] = {
#define FP_OPERATION(number, NAME, name, doc) [number] = #name,
#include "schema/graph.def"
};
static const char *const naming_names[] = {
#define FP_NAMING(number, NAME, name, doc) [number] = #name,
#include "schema/graph.def"
};
static const char *const loss_names[] = {
#define FP_LOSS(number, NAME, name, doc) [number] = #name,
#include "schema/graph.def"
};

static const char *const finding_names[] = {
#define FP_FINDING(number, NAME, name, techniques, doc) [number] = #name,
#include "schema/graph.def"
};
static const char *const finding_docs[] = {
#define FP_FINDING(number, NAME, name, techniques, doc) [number] = doc,
#include "schema/graph.def"
};
static const char *const finding_techniques[] = {
#define FP_FINDING(number, NAME, name, techniques, doc) [number] = techniques,
#include "schema/graph.def"
};

DEFINE_SET(node_kind)
DEFINE_SET(edge_kind)
DEFINE_SET(unit)
DEFINE_SET(attribution)
DEFINE_SET(rule)
DEFINE_SET(object)
DEFINE_SET(app)
DEFINE_SET(operation)
DEFINE_SET(naming)
DEFINE_SET(loss)
DEFINE_SET(finding)

const char *fp_finding_doc(unsigned number)
{
	return name_of(finding_docs, sizeof(finding_docs) / sizeof(finding_docs[0]), number);
}

const char *fp_finding_techniques(unsigned number)
{
	return name_of(finding_techniques, sizeof(finding_techniques) / sizeof(finding_techniques[0]), number);
}

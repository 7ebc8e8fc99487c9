/*
 * What an event is, in memory, and the vocabulary of the graph: everything here
 * is expanded from events.def, mark.def and graph.def.  Used by every part of
 * the project; does no I/O and allocates nothing.
 *
 * A struct fp_event is wide: it has a member for each field of the schema, of
 * which those listed for its type (fp_event_info) mean something and the rest
 * are zero.  Strings are borrowed: they point into whatever the event was
 * decoded from and live as long as that does.
 */
#ifndef FP_SCHEMA_SCHEMA_H
#define FP_SCHEMA_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FP_SCHEMA_VERSION 15
/* Versions since then only added events, so their evidence is read like today's.  8 added a field to events of old. */
#define FP_SCHEMA_VERSION_OLDEST 8

/* No string of an event is longer: 4 KiB holds PATH_MAX and a useful argv. */
#define FP_STR_MAX 4096

#define FP_REQUEST_ID_SIZE 16

#define FP_MARK_OPTION 0x46505256 /* "FPRV" */
#define FP_MARK_VERSION 1
#define FP_MARK_DETAILS_MAX 1024

/* In `flags` of OPEN, beside the flags of the call: the call made the file. */
#define FP_OPEN_CREATED (1ull << 32)

struct fp_str {
	const char *data;
	size_t len;
};

enum fp_event_type {
#define FP_EVENT(id, NAME, name, doc) FP_EVENT_TYPE_##NAME = id,
#include "schema/events.def"
	FP_EVENT_TYPE_MAX = 64
};

enum fp_field {
#define FP_FIELD(id, name, kind, doc) FP_FIELD_##name = id,
#include "schema/events.def"
	FP_FIELD_MAX = 128
};

enum fp_field_kind { FP_KIND_NUM, FP_KIND_INT, FP_KIND_STR };

#define FP_MEMBER_NUM(name) uint64_t name;
#define FP_MEMBER_INT(name) int64_t name;
#define FP_MEMBER_STR(name) struct fp_str name;
struct fp_event {
	enum fp_event_type type;
#define FP_FIELD(id, name, kind, doc) FP_MEMBER_##kind(name)
#include "schema/events.def"
};

struct fp_field_info {
	const char *name; /* NULL: no such field */
	const char *doc;
	enum fp_field_kind kind;
	uint16_t offset; /* in struct fp_event */
};

/* Where a field of an event comes from (events.def: N, S, T, A). */
enum fp_field_origin { FP_FROM_KERNEL, FP_FROM_KERNEL_TRANSIENT, FP_FROM_AGENT };

struct fp_event_field {
	uint8_t field;
	uint8_t origin;
};

struct fp_event_info {
	const char *name; /* NULL: no such event */
	const char *doc;
	uint8_t n_fields;
	const struct fp_event_field *fields; /* HEAD and NOTE are not repeated here */
};

/* The two tables themselves: to be asked by the functions below only. */
extern const struct fp_field_info fp_fields[FP_FIELD_MAX];
extern const struct fp_event_info fp_events[FP_EVENT_TYPE_MAX];

/* NULL when the id is not one of the schema. */
static inline const struct fp_field_info *fp_field_info(unsigned field)
{
	return field < FP_FIELD_MAX && fp_fields[field].name ? &fp_fields[field] : NULL;
}

static inline const struct fp_event_info *fp_event_info(unsigned type)
{
	return type < FP_EVENT_TYPE_MAX && fp_events[type].name ? &fp_events[type] : NULL;
}

/* Does the event say what was there, and not that somebody did something? */
static inline bool fp_event_is_state(unsigned type)
{
	return type == FP_EVENT_TYPE_PRESENT || type == FP_EVENT_TYPE_HELD || type == FP_EVENT_TYPE_CONNECTED ||
	       type == FP_EVENT_TYPE_MAPPED;
}

/* First and last field id of the two groups that every event has. */
enum {
	FP_HEAD_FIRST = FP_FIELD_time,
	FP_HEAD_LAST = FP_FIELD_result,
	FP_NOTE_FIRST = FP_FIELD_start,
	FP_NOTE_LAST = FP_FIELD_candidates
};

#define FP_DECLARE_SET(set, SET)                                          \
	/* name of a member, or NULL when the number is not one */        \
	const char *fp_##set##_name(unsigned number);                     \
	/* number of a member by name, or -ENOENT */                      \
	int fp_##set##_parse(const char *name);

enum fp_node_kind {
#define FP_NODE(number, NAME, name, doc) FP_NODE_##NAME = number,
#include "schema/graph.def"
};
enum fp_edge_kind {
#define FP_EDGE(number, NAME, name, doc) FP_EDGE_##NAME = number,
#include "schema/graph.def"
};
enum fp_unit {
#define FP_UNIT(number, NAME, name, doc) FP_UNIT_##NAME = number,
#include "schema/graph.def"
};
enum fp_attribution {
#define FP_ATTRIBUTION(number, NAME, name, doc) FP_ATTRIBUTION_##NAME = number,
#include "schema/graph.def"
};
enum fp_rule {
#define FP_RULE(number, NAME, name, doc) FP_RULE_##NAME = number,
#include "schema/graph.def"
};
enum fp_object {
#define FP_OBJECT(number, NAME, name, doc) FP_OBJECT_##NAME = number,
#include "schema/graph.def"
};
enum fp_app {
#define FP_APP(number, NAME, name, doc) FP_APP_##NAME = number,
#include "schema/graph.def"
};
enum fp_operation {
#define FP_OPERATION(number, NAME, name, doc) FP_OPERATION_##NAME = number,
#include "schema/graph.def"
};
enum fp_naming {
#define FP_NAMING(number, NAME, name, doc) FP_NAMING_##NAME = number,
#include "schema/graph.def"
};
enum fp_loss {
#define FP_LOSS(number, NAME, name, doc) FP_LOSS_##NAME = number,
#include "schema/graph.def"
};
enum fp_finding {
#define FP_FINDING(number, NAME, name, techniques, doc) FP_FINDING_##NAME = number,
#include "schema/graph.def"
};
enum fp_mark {
#define FP_MARK(number, NAME, doc) FP_MARK_##NAME = number,
#include "schema/mark.def"
};
enum fp_mark_key {
#define FP_MARK_KEY(number, NAME, doc) FP_MARK_KEY_##NAME = number,
#include "schema/mark.def"
};

FP_DECLARE_SET(node_kind, NODE)
FP_DECLARE_SET(edge_kind, EDGE)
FP_DECLARE_SET(unit, UNIT)
FP_DECLARE_SET(attribution, ATTRIBUTION)
FP_DECLARE_SET(rule, RULE)
FP_DECLARE_SET(object, OBJECT)
FP_DECLARE_SET(app, APP)
FP_DECLARE_SET(operation, OPERATION)
FP_DECLARE_SET(naming, NAMING)
FP_DECLARE_SET(loss, LOSS)
FP_DECLARE_SET(finding, FINDING)
/* A hook is missing: an unknown number of records is, which counts as one however long it lasts. */
static inline bool fp_loss_is_hook(unsigned cause)
{
	return cause == FP_LOSS_SIGNAL_HOOK || cause == FP_LOSS_RING_HOOK || cause == FP_LOSS_TLS_HOOK;
}
/* Of a finding: what it is, as a clause; and its techniques (ATT&CK), separated by commas.  NULL when there is none of the number. */
const char *fp_finding_doc(unsigned number);
const char *fp_finding_techniques(unsigned number);

static inline uint64_t *fp_event_num(const struct fp_event *event, const struct fp_field_info *info)
{
	return (uint64_t *)((char *)event + info->offset);
}

static inline struct fp_str *fp_event_str(const struct fp_event *event, const struct fp_field_info *info)
{
	return (struct fp_str *)((char *)event + info->offset);
}

/* Bytes of a request's own connection: those it came with, or its answer. */
static inline bool fp_rule_is_own(unsigned rule)
{
	return rule == FP_RULE_CONNECTION || rule == FP_RULE_HEADER;
}

#endif

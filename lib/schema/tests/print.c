#include "schema/tests/print.h"

#include <stdarg.h>

#include "schema/schema.h"

static const char *const kind_names[] = {[FP_KIND_NUM] = "NUM", [FP_KIND_INT] = "INT", [FP_KIND_STR] = "STR"};
static const char origin_letters[] = {
	[FP_FROM_KERNEL] = 'K', [FP_FROM_KERNEL_TRANSIENT] = 'T', [FP_FROM_AGENT] = 'A'};

struct member {
	const char *set;
	unsigned number;
	const char *name, *doc;
};

/* Members of every enumeration; a NULL name ends a set. */
static const struct member members[] = {
#define FP_NODE(number, NAME, name, doc) {"node", number, #name, doc},
#define FP_EDGE(number, NAME, name, doc) {"edge", number, #name, doc},
#define FP_UNIT(number, NAME, name, doc) {"unit", number, #name, doc},
#define FP_ATTRIBUTION(number, NAME, name, doc) {"attribution", number, #name, doc},
#define FP_RULE(number, NAME, name, doc) {"rule", number, #name, doc},
#define FP_OBJECT(number, NAME, name, doc) {"object", number, #name, doc},
#define FP_APP(number, NAME, name, doc) {"app", number, #name, doc},
#define FP_OPERATION(number, NAME, name, doc) {"operation", number, #name, doc},
#define FP_LOSS(number, NAME, name, doc) {"loss", number, #name, doc},
#define FP_FINDING(number, NAME, name, techniques, doc) {"finding", number, #name, doc},
#include "schema/graph.def"
#define FP_MARK(number, NAME, doc) {"mark", number, #NAME, doc},
#define FP_MARK_KEY(number, NAME, doc) {"mark-key", number, #NAME, doc},
#include "schema/mark.def"
};
#define N_MEMBERS (sizeof(members) / sizeof(members[0]))

void fp_schema_print_layout(FILE *out)
{
	fprintf(out, "version %d\n", FP_SCHEMA_VERSION);
	fprintf(out, "limit string %d request-id %d mark-details %d\n", FP_STR_MAX, FP_REQUEST_ID_SIZE,
		FP_MARK_DETAILS_MAX);
	fprintf(out, "mark option %#x version %d\n", FP_MARK_OPTION, FP_MARK_VERSION);
	fprintf(out, "head %d-%d note %d-%d\n", FP_HEAD_FIRST, FP_HEAD_LAST, FP_NOTE_FIRST, FP_NOTE_LAST);
	for (unsigned id = 0; id < FP_FIELD_MAX; id++) {
		const struct fp_field_info *info = fp_field_info(id);

		if (info)
			fprintf(out, "field %u %s %s\n", id, info->name, kind_names[info->kind]);
	}
	for (unsigned type = 0; type < FP_EVENT_TYPE_MAX; type++) {
		const struct fp_event_info *info = fp_event_info(type);

		if (!info)
			continue;
		fprintf(out, "event %u %s:", type, info->name);
		for (unsigned i = 0; i < info->n_fields; i++)
			fprintf(out, " %u%c", info->fields[i].field, origin_letters[info->fields[i].origin]);
		fputc('\n', out);
	}
	for (size_t i = 0; i < N_MEMBERS; i++)
		fprintf(out, "%s %u %s\n", members[i].set, members[i].number, members[i].name);
}

static void print_group(FILE *out, const char *title, unsigned first, unsigned last)
{
	fprintf(out, "\n## %s\n| field | id | kind | meaning |\n| --- | --- | --- | --- |\n", title);
	for (unsigned id = first; id <= last; id++) {
		const struct fp_field_info *info = fp_field_info(id);

		if (info)
			fprintf(out, "| %s | %u | %s | %s |\n", info->name, id, kind_names[info->kind], info->doc);
	}
}

static void print_event(FILE *out, unsigned type, const struct fp_event_info *info)
{
	static const char *const origins[] = {[FP_FROM_KERNEL] = "",
					      [FP_FROM_KERNEL_TRANSIENT] = " (never leaves the agent)",
					      [FP_FROM_AGENT] = " (agent)"};

	fprintf(out, "\n### %s (%u)\n%s.\n", info->name, type, info->doc);
	for (unsigned i = 0; i < info->n_fields; i++)
		fprintf(out, "%s%s%s", i ? ", " : "\nFields: ", fp_field_info(info->fields[i].field)->name,
			origins[info->fields[i].origin]);
	if (info->n_fields)
		fputs(".\n", out);
}

static void print_sets(FILE *out)
{
	const char *set = "";

	for (size_t i = 0; i < N_MEMBERS; i++) {
		if (members[i].set != set)
			fprintf(out, "\n### %s\n| number | name | meaning |\n| --- | --- | --- |\n", members[i].set);
		set = members[i].set;
		fprintf(out, "| %u | %s | %s |\n", members[i].number, members[i].name, members[i].doc);
	}
}

void fp_schema_print_reference(FILE *out)
{
	fprintf(out,
		"# Events, fields and enumerations (schema version %d)\n\n"
		"Made from `lib/schema/*.def` by `fp_schema_print reference`; do not edit. How the schema may be\n"
		"changed is in [schema.md](schema.md), what becomes of the events in [graph.md](graph.md).\n\n"
		"NUM is an unsigned, INT a signed number of 64 bit; STR is at most %d bytes.\n",
		FP_SCHEMA_VERSION, FP_STR_MAX);
	print_group(out, "In every event, from the kernel", FP_HEAD_FIRST, FP_HEAD_LAST);
	print_group(out, "In every event, from the agent", FP_NOTE_FIRST, FP_NOTE_LAST);
	print_group(out, "Fields of single events", FP_NOTE_LAST + 1, FP_FIELD_MAX - 1);
	fputs("\n## Events\nA field is from the kernel unless it says otherwise.\n", out);
	for (unsigned type = 0; type < FP_EVENT_TYPE_MAX; type++)
		if (fp_event_info(type))
			print_event(out, type, fp_event_info(type));
	fputs("\n## Enumerations\n", out);
	print_sets(out);
}

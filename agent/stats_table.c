/* The document of --stats for people. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/stats.h"
#include "base/cleanup.h"

static long long number(const json_t *object, const char *key)
{
	return (long long)json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "-";
}

static void print_pairs(const char *head, const json_t *object, FILE *out)
{
	const char *key;
	json_t *value;

	fprintf(out, "%s", head);
	json_object_foreach((json_t *)object, key, value)
		fprintf(out, "  %s %" JSON_INTEGER_FORMAT, key, json_integer_value(value));
	fputc('\n', out);
}

static void print_head(const json_t *document, FILE *out)
{
	const json_t *ring = json_object_get(document, "ring"), *name;
	size_t i;

	if (json_is_true(json_object_get(document, "running")))
		fprintf(out, "agent %lld on %s records %s into %s\n", number(document, "pid"), text(document, "node"),
			text(document, "cgroup"), text(document, "output"));
	else
		fprintf(out, "no agent runs; what it left of cgroup %lld goes on counting\n", number(document, "cgroup_id"));
	print_pairs("stages ", json_object_get(document, "stages"), out);
	print_pairs("losses ", json_object_get(document, "losses"), out);
	fprintf(out, "ring     %lld of %lld bytes filled, highest %lld, unread %lld, lag %.3f s\n", number(ring, "filled"),
		number(ring, "size"), number(ring, "highest"), number(ring, "unread_bytes"),
		json_real_value(json_object_get(ring, "lag_seconds")));
	if (json_object_get(document, "memory"))
		print_pairs("memory ", json_object_get(document, "memory"), out);
	if (json_object_get(document, "spool"))
		print_pairs("spool  ", json_object_get(document, "spool"), out);
	json_array_foreach((json_t *)json_object_get(document, "missing_hooks"), i, name)
		fprintf(out, "missing  %s\n", json_string_value(name));
}

static int by_generated(const void *a, const void *b)
{
	long long one = number(*(json_t *const *)a, "generated"), two = number(*(json_t *const *)b, "generated");

	return one < two ? 1 : one > two ? -1 : 0;
}

static void print_container(const json_t *row, const char *name, FILE *out)
{
	fprintf(out, "%-24.24s %-14.14s %10lld %10lld %8lld %10lld %10lld %9lld%s\n", name, text(row, "container"),
		number(row, "generated"), number(row, "delivered"), number(row, "waiting"), number(row, "lost"),
		number(row, "events"), number(row, "ring_bytes"),
		json_is_true(json_object_get(row, "throttled")) ? " throttled" : "");
}

static void print_containers(const json_t *document, unsigned top, FILE *out)
{
	const json_t *rows = json_object_get(document, "containers"), *others = json_object_get(document, "others");
	size_t n = json_array_size(rows);
	fp_cleanup(fp_freep) json_t **order = calloc(n + 1, sizeof(json_t *));
	char cgroup[32];

	if (!order)
		return;
	for (size_t i = 0; i < n; i++)
		order[i] = json_array_get(rows, i);
	qsort(order, n, sizeof(json_t *), by_generated);
	fprintf(out, "\n%-24s %-14s %10s %10s %8s %10s %10s %9s\n", "FUNCTION", "CONTAINER", "GENERATED", "DELIVERED",
		"WAITING", "LOST", "EVENTS", "RINGBYTES");
	for (size_t i = 0; i < n && i < top; i++) {
		const char *function = text(order[i], "function");

		snprintf(cgroup, sizeof(cgroup), "cgroup %lld", number(order[i], "cgroup"));
		print_container(order[i], strcmp(function, "-") == 0 ? cgroup : function, out);
	}
	if (n > top)
		fprintf(out, "and %zu more\n", n - top);
	if (number(others, "containers"))
		print_container(others, "(forgotten ones)", out);
}

struct failed {
	const char *where, *what;
	json_int_t count;
};

static int by_count(const void *a, const void *b)
{
	const struct failed *one = a, *two = b;

	return one->count < two->count ? 1 : one->count > two->count ? -1 : strcmp(one->what, two->what);
}

static size_t take_failed(const json_t *row, struct failed *list, size_t n)
{
	const char *what;
	json_t *count;

	json_object_foreach(json_object_get(row, "failed"), what, count)
		list[n++] = (struct failed){text(row, "function"), what, json_integer_value(count)};
	return n;
}

static void print_failed(const json_t *document, unsigned top, FILE *out)
{
	const json_t *rows = json_object_get(document, "containers"), *row;
	size_t n = json_object_size(json_object_get(json_object_get(document, "others"), "failed")), i;
	fp_cleanup(fp_freep) struct failed *list = NULL;

	json_array_foreach((json_t *)rows, i, row)
		n += json_object_size(json_object_get(row, "failed"));
	list = calloc(n + 1, sizeof(*list));
	if (!list || n == 0)
		return;
	n = take_failed(json_object_get(document, "others"), list, 0);
	json_array_foreach((json_t *)rows, i, row)
		n = take_failed(row, list, n);
	qsort(list, n, sizeof(*list), by_count);
	fprintf(out, "\n%-24s %-32s %10s\n", "FUNCTION", "FAILED CALLS", "COUNT");
	for (i = 0; i < n && i < top; i++)
		fprintf(out, "%-24.24s %-32s %10lld\n", list[i].where, list[i].what, (long long)list[i].count);
	if (n > top)
		fprintf(out, "and %zu more\n", n - top);
}

static void print_requests(const json_t *requests, const char *key, const char *head, unsigned top, FILE *out)
{
	const json_t *rows = json_object_get(requests, key), *row;
	size_t i;

	if (json_array_size(rows) == 0)
		return;
	fprintf(out, "\n%-32s %-24s %10s %10s %10s\n", head, "FUNCTION", "EVENTS", "OPERATIONS", "LOST");
	json_array_foreach((json_t *)rows, i, row) {
		if (i >= top)
			break;
		fprintf(out, "%-32s %-24.24s %10lld %10lld %10lld%s\n", text(row, "request"), text(row, "function"),
			number(row, "events"), number(row, "operations"), number(row, "lost"),
			json_is_true(json_object_get(row, "in_flight")) ? " in flight" : "");
	}
}

void fp_stats_print(const json_t *document, unsigned top, FILE *out)
{
	const json_t *requests = json_object_get(document, "requests");

	print_head(document, out);
	print_containers(document, top, out);
	print_failed(document, top, out);
	print_requests(requests, "by_operations", "REQUEST", top, out);
	print_requests(requests, "by_loss", "REQUEST BY LOSS", top, out);
	if (number(requests, "forgotten"))
		fprintf(out, "%lld requests forgotten, of at most %lld operations each\n", number(requests, "forgotten"),
			number(requests, "forgotten_most"));
}

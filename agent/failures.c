#include "agent/failures.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/usual.h"

/* Events held back; more flush all.  Bounds memory to some MiB. */
#define HELD_MAX 2048

/* Whose failures, and of which kind; followed by request and candidates. */
struct kind_key {
	uint64_t tgid, start, exec_id, cgroup, unit, operation;
	int64_t result;
};

/* And on what; followed by kind_key's strings and the path. */
struct key {
	struct kind_key kind;
	uint64_t target, family, remote_hi, remote_lo, remote_port;
};

struct kind {
	unsigned names;
	UT_hash_handle hh;
	char key[];
};

struct held {
	struct fp_event event; /* its strings point into `key` */
	UT_hash_handle hh;
	char key[];
};

struct fp_failures {
	fp_own_event_fn fn;
	void *arg;
	struct kind *kinds;
	struct held *held;
	struct fp_failure_count *counts;
};

int fp_failures_new(fp_own_event_fn fn, void *arg, struct fp_failures **ret_failures)
{
	struct fp_failures *failures = calloc(1, sizeof(*failures));

	if (!failures)
		return -ENOMEM;
	failures->fn = fn;
	failures->arg = arg;
	*ret_failures = failures;
	return 0;
}

static void forget_counts(struct fp_failures *failures)
{
	struct fp_failure_count *count, *next;

	HASH_ITER(hh, failures->counts, count, next) {
		HASH_DEL(failures->counts, count);
		free(count);
	}
}

static void forget(struct fp_failures *failures)
{
	struct kind *kind, *next_kind;
	struct held *held, *next;

	HASH_ITER(hh, failures->kinds, kind, next_kind) {
		HASH_DEL(failures->kinds, kind);
		free(kind);
	}
	HASH_ITER(hh, failures->held, held, next) {
		HASH_DEL(failures->held, held);
		free(held);
	}
}

struct fp_failures *fp_failures_free(struct fp_failures *failures)
{
	if (!failures)
		return NULL;
	forget(failures);
	forget_counts(failures);
	free(failures);
	return NULL;
}

int fp_failures_flush(struct fp_failures *failures)
{
	int r = 0;

	/* in the order in which they came */
	for (struct held *held = failures->held; held && r >= 0; held = held->hh.next)
		r = failures->fn(failures->arg, &held->event);
	forget(failures);
	return r < 0 ? r : 0;
}

static char *append(char *at, struct fp_str text)
{
	if (text.len)
		memcpy(at, text.data, text.len);
	return at + text.len;
}

static bool has_name(const struct fp_event *event)
{
	return event->path.len || event->remote_port || event->remote_lo || event->remote_hi || event->target_tgid;
}

static void take_name(struct fp_event *event)
{
	event->path.len = 0;
	event->remote_port = event->remote_lo = event->remote_hi = 0;
	event->target_tgid = event->target_start = 0;
	event->family = event->protocol = 0;
	event->naming = FP_NAMING_NONE;
}

static struct kind_key kind_of(const struct fp_event *event)
{
	return (struct kind_key){.tgid = event->tgid, .start = event->process_start, .exec_id = event->exec_id,
				 .cgroup = event->cgroup, .unit = event->unit, .operation = event->operation,
				 .result = event->result};
}

/* 0: enough names of this kind have been told. */
static int may_name(struct fp_failures *failures, const struct fp_event *event)
{
	size_t len = sizeof(struct kind_key) + event->request.len + event->candidates.len;
	struct kind *fresh = calloc(1, sizeof(*fresh) + len), *kind;
	struct kind_key key = kind_of(event);

	if (!fresh)
		return -ENOMEM;
	memcpy(fresh->key, &key, sizeof(key));
	append(append(fresh->key + sizeof(key), event->request), event->candidates);
	HASH_FIND(hh, failures->kinds, fresh->key, len, kind);
	if (kind) {
		free(fresh);
	} else {
		kind = fresh;
		HASH_ADD_KEYPTR(hh, failures->kinds, kind->key, len, kind);
	}
	return kind->names++ < FP_FAILURE_NAMES_MAX;
}

/*
 * What tells it from another.  Of a program that is not there only its own name: execvp tries
 * one directory after another.
 */
static struct fp_str telling(const struct fp_event *event)
{
	const char *slash = event->path.len ? memrchr(event->path.data, '/', event->path.len) : NULL;
	size_t at = slash ? (size_t)(slash + 1 - event->path.data) : 0;

	if (event->operation != FP_OPERATION_EXEC || event->result != -ENOENT)
		at = 0;
	return (struct fp_str){event->path.data + at, event->path.len - at};
}

static struct held *make_held(const struct fp_event *event, size_t *ret_len)
{
	struct fp_str name = telling(event);
	size_t len = sizeof(struct key) + event->request.len + event->candidates.len + name.len;
	struct held *held = calloc(1, sizeof(*held) + len + event->path.len);
	struct key key = {.kind = kind_of(event), .target = event->target_tgid, .family = event->family,
			  .remote_hi = event->remote_hi, .remote_lo = event->remote_lo, .remote_port = event->remote_port};
	char *at;

	if (!held)
		return NULL;
	memcpy(held->key, &key, sizeof(key));
	held->event = *event;
	at = held->key + sizeof(key);
	held->event.request.data = at;
	at = append(at, event->request);
	held->event.candidates.data = at;
	at = append(at, event->candidates);
	at = append(at, name);
	held->event.path.data = at;
	append(at, event->path);
	*ret_len = len;
	return held;
}

static struct fp_failure_count *count_of(struct fp_failures *failures, const struct fp_failure_key *key)
{
	struct fp_failure_count *count;

	HASH_FIND(hh, failures->counts, key, sizeof(*key), count);
	if (count)
		return count;
	if (HASH_COUNT(failures->counts) >= FP_FAILURE_COUNTS_MAX && key->operation)
		return count_of(failures, &(struct fp_failure_key){0});
	count = calloc(1, sizeof(*count));
	if (!count)
		return NULL;
	count->key = *key;
	HASH_ADD(hh, failures->counts, key, sizeof(count->key), count);
	return count;
}

static int note(struct fp_failures *failures, const struct fp_event *event, bool told)
{
	const struct fp_failure_key key = {event->cgroup, event->operation, event->result};
	struct fp_failure_count *count = count_of(failures, &key);

	if (!count)
		return -ENOMEM;
	count->count += event->count;
	if (told)
		count->told += event->count;
	return 0;
}

const struct fp_failure_count *fp_failures_counts(const struct fp_failures *failures)
{
	return failures->counts;
}

int fp_failures_pass(struct fp_failures *failures, struct fp_event *event)
{
	int r = note(failures, event, true);

	event->usual = fp_failure_is_usual(event);
	return r < 0 ? r : failures->fn(failures->arg, event);
}

static bool count_in(struct fp_failures *failures, struct held *fresh, size_t len)
{
	struct held *held;

	HASH_FIND(hh, failures->held, fresh->key, len, held);
	if (!held)
		return false;
	held->event.count += fresh->event.count;
	held->event.last = fresh->event.last;
	free(fresh);
	return true;
}

static int hold(struct fp_failures *failures, const struct fp_event *event)
{
	struct fp_event nameless = *event;
	struct held *fresh;
	size_t len;
	int r = 1;

	if (HASH_COUNT(failures->held) >= HELD_MAX) {
		r = fp_failures_flush(failures);
		if (r < 0)
			return r;
	}
	fresh = make_held(event, &len);
	if (!fresh)
		return -ENOMEM;
	if (count_in(failures, fresh, len))
		return 0;
	if (has_name(event))
		r = may_name(failures, event);
	if (r == 0) {
		free(fresh);
		take_name(&nameless);
		fresh = make_held(&nameless, &len);
		if (!fresh)
			return -ENOMEM;
		if (count_in(failures, fresh, len))
			return 0;
	}
	if (r < 0) {
		free(fresh);
		return r;
	}
	HASH_ADD_KEYPTR(hh, failures->held, fresh->key, len, fresh);
	return 0;
}

int fp_failures_add(struct fp_failures *failures, const struct fp_event *event)
{
	bool told = !fp_failure_is_usual(event);
	int r = note(failures, event, told);

	return r < 0 || !told ? r : hold(failures, event);
}

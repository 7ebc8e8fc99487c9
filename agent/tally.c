#include "agent/tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/text.h"

/* A request of which nothing was heard for so long may be forgotten though its end was not seen. */
#define REQUEST_IDLE (60 * FP_NS_PER_SEC)

static void add_counts(struct fp_tally_counts *to, const struct fp_tally_counts *counts)
{
	to->records += counts->records;
	to->events += counts->events;
	to->operations += counts->operations;
}

/* --- containers ------------------------------------------------------------------ */

static void forget_container(struct fp_tally *tally)
{
	struct fp_tally_container *container, *oldest = tally->containers;

	for (container = oldest; container; container = container->hh.next)
		if (container->used < oldest->used)
			oldest = container;
	if (tally->latest == oldest)
		tally->latest = NULL;
	add_counts(&tally->others, &oldest->counts);
	tally->containers_forgotten++;
	HASH_DEL(tally->containers, oldest);
	free(oldest);
}

static struct fp_tally_container *container_of(struct fp_tally *tally, uint64_t cgroup)
{
	struct fp_tally_container *container = tally->latest;

	if (!container || container->cgroup != cgroup)
		HASH_FIND(hh, tally->containers, &cgroup, sizeof(cgroup), container);
	if (!container) {
		if (HASH_COUNT(tally->containers) >= FP_TALLY_CONTAINERS_MAX)
			forget_container(tally);
		container = calloc(1, sizeof(*container));
		if (!container)
			return NULL;
		container->cgroup = cgroup;
		HASH_ADD(hh, tally->containers, cgroup, sizeof(container->cgroup), container);
	}
	container->used = ++tally->turn;
	return tally->latest = container;
}

static struct fp_tally_counts *counts_of(struct fp_tally *tally, uint64_t cgroup)
{
	struct fp_tally_container *container = container_of(tally, cgroup);

	return container ? &container->counts : &tally->others;
}

/* Names come from files of the runtime and end on a terminal. */
static void take_name(char to[FP_TALLY_NAME_MAX], const char *text, size_t len)
{
	len = len < FP_TALLY_NAME_MAX ? len : FP_TALLY_NAME_MAX - 1;
	for (size_t i = 0; i < len; i++)
		to[i] = text[i] > ' ' && text[i] < 0x7f ? text[i] : '?';
	to[len] = '\0';
}

static void take_names(struct fp_tally *tally, const struct fp_event *event)
{
	struct fp_tally_container *container = container_of(tally, event->cgroup);

	if (!container)
		return;
	take_name(container->id, event->container.data, event->container.len);
	take_name(container->function, event->function.data, event->function.len);
}

void fp_tally_record(struct fp_tally *tally, uint64_t cgroup)
{
	counts_of(tally, cgroup)->records++;
}

/* --- requests -------------------------------------------------------------------- */

static bool may_go(const struct fp_tally *tally, const struct fp_tally_request *request)
{
	return request->ended || request->last + REQUEST_IDLE < tally->now;
}

/* The bits of what it has to say. */
static unsigned size_of(const struct fp_tally_request *request)
{
	uint64_t much = request->operations + request->lost;
	unsigned bits = 0;

	while (much >> bits && bits < FP_TALLY_LINES - 1)
		bits++;
	return bits;
}

static void put_in_line(struct fp_tally *tally, struct fp_tally_request *request)
{
	bool may = may_go(tally, request);
	struct fp_tally_request **line = may ? &tally->over[size_of(request)] : &tally->in_flight;

	/* one that is over keeps its place; one in flight is the last heard of */
	if (line == request->line && (may || !request->next))
		return;
	if (request->line)
		DL_DELETE(*request->line, request);
	DL_APPEND(*line, request);
	request->line = line;
}

/*
 * Of those that are over one with least to say, up to a factor of two, so that the largest stay; the one that was so
 * first.  When all are in flight, the one not heard of for longest.  The time it takes does not depend on how many there are.
 */
static void forget_request(struct fp_tally *tally)
{
	struct fp_tally_request *least;

	while (tally->in_flight && may_go(tally, tally->in_flight))
		put_in_line(tally, tally->in_flight);
	least = tally->in_flight;
	for (unsigned i = 0; i < FP_TALLY_LINES; i++)
		if (tally->over[i]) {
			least = tally->over[i];
			break;
		}
	tally->requests_forgotten++;
	if (least->operations > tally->forgotten_most)
		tally->forgotten_most = least->operations;
	DL_DELETE(*least->line, least);
	HASH_DEL(tally->requests, least);
	free(least);
}

static struct fp_tally_request *request_of(struct fp_tally *tally, const struct fp_event *event)
{
	struct fp_tally_request *request;

	HASH_FIND(hh, tally->requests, event->request.data, FP_REQUEST_ID_SIZE, request);
	if (request)
		return request;
	if (HASH_COUNT(tally->requests) >= FP_TALLY_REQUESTS_MAX)
		forget_request(tally);
	request = calloc(1, sizeof(*request));
	if (!request)
		return NULL;
	memcpy(request->id, event->request.data, FP_REQUEST_ID_SIZE);
	request->cgroup = event->cgroup;
	HASH_ADD(hh, tally->requests, id, FP_REQUEST_ID_SIZE, request);
	return request;
}

static void count_request(struct fp_tally *tally, const struct fp_event *event, uint64_t operations)
{
	struct fp_tally_request *request = event->request.len == FP_REQUEST_ID_SIZE ? request_of(tally, event) : NULL;

	if (!request)
		return;
	request->events++;
	request->operations += operations;
	request->last = tally->now;
	request->ended = request->ended || event->type == FP_EVENT_TYPE_END;
	put_in_line(tally, request);
}

void fp_tally_loss(struct fp_tally *tally, uint64_t cgroup, uint64_t lost)
{
	struct fp_tally_request *request;

	for (request = tally->requests; request; request = request->hh.next)
		if (!request->ended && (cgroup == 0 || request->cgroup == cgroup)) {
			request->lost += lost;
			if (request->line != &tally->in_flight)
				put_in_line(tally, request);
		}
}

void fp_tally_event(struct fp_tally *tally, const struct fp_event *event)
{
	uint64_t operations = event->count ? event->count : 1;
	struct fp_tally_counts *counts;

	if (event->time > tally->now)
		tally->now = event->time;
	if (event->type == FP_EVENT_TYPE_LOST) {
		if (event->cause < FP_TALLY_CAUSES && !fp_loss_is_hook((unsigned)event->cause))
			tally->lost[event->cause] += event->lost;
		return;
	}
	if (event->type == FP_EVENT_TYPE_CONTAINER)
		take_names(tally, event);
	counts = counts_of(tally, event->cgroup);
	counts->events++;
	counts->operations += operations;
	count_request(tally, event, operations);
}

void fp_tally_done(struct fp_tally *tally)
{
	struct fp_tally_container *container, *next_container;
	struct fp_tally_request *request, *next_request;

	HASH_ITER(hh, tally->containers, container, next_container) {
		HASH_DEL(tally->containers, container);
		free(container);
	}
	HASH_ITER(hh, tally->requests, request, next_request) {
		HASH_DEL(tally->requests, request);
		free(request);
	}
	memset(tally, 0, sizeof(*tally));
}

/* --- over a restart ---------------------------------------------------------------- */

static void save_counts(const struct fp_tally_counts *counts, struct fp_buffer *out)
{
	fp_buffer_add_varint(out, counts->records);
	fp_buffer_add_varint(out, counts->events);
	fp_buffer_add_varint(out, counts->operations);
}

static int restore_counts(struct fp_tally_counts *counts, const uint8_t *data, size_t len, size_t *pos)
{
	if (fp_varint_read(data, len, pos, &counts->records) < 0 || fp_varint_read(data, len, pos, &counts->events) < 0 ||
	    fp_varint_read(data, len, pos, &counts->operations) < 0)
		return -EBADMSG;
	return 0;
}

static void save_name(const char *name, struct fp_buffer *out)
{
	size_t len = strlen(name);

	fp_buffer_add_varint(out, len);
	fp_buffer_add(out, name, len);
}

static int restore_name(char name[FP_TALLY_NAME_MAX], const uint8_t *data, size_t len, size_t *pos)
{
	uint64_t n;

	if (fp_varint_read(data, len, pos, &n) < 0 || n >= FP_TALLY_NAME_MAX || n > len - *pos)
		return -EBADMSG;
	take_name(name, (const char *)data + *pos, n);
	*pos += n;
	return 0;
}

static int by_use(const void *a, const void *b)
{
	const struct fp_tally_container *const *one = a, *const *two = b;

	return (*one)->used < (*two)->used ? 1 : (*one)->used > (*two)->used ? -1 : 0;
}

void fp_tally_save(const struct fp_tally *tally, struct fp_buffer *out)
{
	size_t n = HASH_COUNT(tally->containers), saved = n < FP_TALLY_SAVED_MAX ? n : FP_TALLY_SAVED_MAX, i = 0;
	struct fp_tally_container **order = calloc(n + 1, sizeof(struct fp_tally_container *)), *container;
	struct fp_tally_counts others = tally->others;

	if (!order) {
		out->failed = true;
		return;
	}
	for (container = tally->containers; container; container = container->hh.next)
		order[i++] = container;
	qsort(order, n, sizeof(*order), by_use);
	for (i = saved; i < n; i++)
		add_counts(&others, &order[i]->counts);
	save_counts(&others, out);
	fp_buffer_add_varint(out, tally->containers_forgotten + n - saved);
	fp_buffer_add_varint(out, tally->not_spooled);
	for (i = 0; i < FP_TALLY_CAUSES; i++)
		fp_buffer_add_varint(out, tally->lost[i]);
	fp_buffer_add_varint(out, saved);
	for (i = saved; i-- > 0;) { /* the one counted last is restored last */
		fp_buffer_add_varint(out, order[i]->cgroup);
		save_counts(&order[i]->counts, out);
		save_name(order[i]->id, out);
		save_name(order[i]->function, out);
	}
	free(order);
}

static int restore_container(struct fp_tally *tally, const uint8_t *data, size_t len, size_t *pos)
{
	struct fp_tally_container *container;
	uint64_t cgroup;

	if (fp_varint_read(data, len, pos, &cgroup) < 0)
		return -EBADMSG;
	container = container_of(tally, cgroup);
	if (!container)
		return -ENOMEM;
	if (restore_counts(&container->counts, data, len, pos) < 0 || restore_name(container->id, data, len, pos) < 0 ||
	    restore_name(container->function, data, len, pos) < 0)
		return -EBADMSG;
	return 0;
}

int fp_tally_restore(struct fp_tally *tally, const uint8_t *data, size_t len, size_t *pos)
{
	uint64_t n = 0;
	int r = restore_counts(&tally->others, data, len, pos);

	if (r < 0 || fp_varint_read(data, len, pos, &tally->containers_forgotten) < 0 ||
	    fp_varint_read(data, len, pos, &tally->not_spooled) < 0)
		return -EBADMSG;
	for (size_t i = 0; i < FP_TALLY_CAUSES; i++)
		if (fp_varint_read(data, len, pos, &tally->lost[i]) < 0)
			return -EBADMSG;
	if (fp_varint_read(data, len, pos, &n) < 0 || n > FP_TALLY_SAVED_MAX)
		return -EBADMSG;
	while (r == 0 && n--)
		r = restore_container(tally, data, len, pos);
	return r;
}

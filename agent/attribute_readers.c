/*
 * Which processes have read a request's bytes, as the kernel saw it: only they, and
 * what descends from them, can know for whom they work.  The runtime assist makes a
 * process enter a request by its head, or by being forked; the word of a process
 * that has read nothing of it, and none of whose forebears has, is false.
 *
 * It is judged only where nothing can have been missed: the watchdog marked the
 * connection, no record of the container was lost since, somebody has read it, every forebear up to
 * the watchdog is known, and none was ever asked by anybody but the watchdog: a server
 * behind another one in its container gets the head from there.  A parent may read for
 * children that were there before (a pool of processes), so when the fork was is not asked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/attribute_saved.h"

/* Processes that read one request: a server of several hands a connection on rarely.  Of more, none is judged. */
#define READERS_MAX 4
#define FOREBEARS_MAX 32
/* Of each table the last so many are saved for an agent that goes on: of others nothing is judged then. */
#define SAVED_MAX 512
/* What is used all the time need not move to the table's end each time. */
#define PLACE_TIME (FP_NS_PER_SEC / 4)

struct read_request {
	uint8_t id[FP_REQUEST_ID_SIZE];
	unsigned epoch; /* fp_state_counted() when it was marked */
	unsigned n;
	bool many;
	struct task_key readers[READERS_MAX];
	UT_hash_handle hh;
};

struct made_process {
	struct task_key key, maker;
	uint64_t placed; /* when it took its place in the table, whose order is that of use */
	bool asked_elsewhere; /* it has read from others on connections that it did not make */
	UT_hash_handle hh;
};

static void forget_request(struct fp_attributor *a, struct read_request *request)
{
	HASH_DEL(a->read_requests, request);
	free(request);
}

static void forget_process(struct fp_attributor *a, struct made_process *process)
{
	HASH_DEL(a->made_processes, process);
	free(process);
}

void fp_readers_done(struct fp_attributor *a)
{
	while (a->read_requests)
		forget_request(a, a->read_requests);
	while (a->made_processes)
		forget_process(a, a->made_processes);
}

/* Of what is not remembered nothing is judged. */
size_t fp_readers_requests(const struct fp_attributor *a, size_t *ret_size)
{
	*ret_size = sizeof(struct read_request);
	return HASH_COUNT(a->read_requests);
}

void fp_readers_forget_request(struct fp_attributor *a)
{
	forget_request(a, a->read_requests);
}

size_t fp_readers_processes(const struct fp_attributor *a, size_t *ret_size)
{
	*ret_size = sizeof(struct made_process);
	return HASH_COUNT(a->made_processes);
}

void fp_readers_forget_process(struct fp_attributor *a)
{
	forget_process(a, a->made_processes);
}

static struct read_request *find(const struct fp_attributor *a, const uint8_t id[FP_REQUEST_ID_SIZE])
{
	struct read_request *request;

	HASH_FIND(hh, a->read_requests, id, FP_REQUEST_ID_SIZE, request);
	return request;
}

void fp_readers_mark(struct fp_attributor *a, const struct container *container, const uint8_t id[FP_REQUEST_ID_SIZE])
{
	struct read_request *request;

	if (find(a, id)) /* sent again, on another connection */
		return;
	request = calloc(1, sizeof(*request));
	if (!request)
		return;
	memcpy(request->id, id, FP_REQUEST_ID_SIZE);
	request->epoch = fp_state_counted(container);
	HASH_ADD(hh, a->read_requests, id, FP_REQUEST_ID_SIZE, request);
}

void fp_readers_read(struct fp_attributor *a, const uint8_t id[FP_REQUEST_ID_SIZE], const struct fp_event *event)
{
	struct task_key key = {event->tgid, event->process_start};
	struct read_request *request = find(a, id);

	if (!request || request->many)
		return;
	for (unsigned i = 0; i < request->n; i++)
		if (memcmp(&request->readers[i], &key, sizeof(key)) == 0)
			return;
	if (request->n == READERS_MAX)
		request->many = true;
	else
		request->readers[request->n++] = key;
}

void fp_readers_fork(struct fp_attributor *a, const struct fp_event *event)
{
	struct made_process *process;
	struct task_key key = {event->child_tgid, event->child_start};

	if (event->child_tgid == event->tgid)
		return;
	HASH_FIND(hh, a->made_processes, &key, sizeof(key), process);
	if (process)
		return;
	process = calloc(1, sizeof(*process));
	if (!process)
		return;
	process->key = key;
	process->maker = (struct task_key){event->tgid, event->process_start};
	process->placed = a->now;
	HASH_ADD(hh, a->made_processes, key, sizeof(key), process);
}

void fp_readers_elsewhere(struct fp_attributor *a, const struct fp_event *event)
{
	struct task_key key = {event->tgid, event->process_start};
	struct made_process *process;

	HASH_FIND(hh, a->made_processes, &key, sizeof(key), process);
	if (process)
		process->asked_elsewhere = true;
}

static bool has_read(const struct read_request *request, const struct task_key *key)
{
	for (unsigned i = 0; i < request->n; i++)
		if (memcmp(&request->readers[i], key, sizeof(*key)) == 0)
			return true;
	return false;
}

static void use(struct fp_attributor *a, struct made_process *process)
{
	if (a->now - process->placed < PLACE_TIME)
		return;
	process->placed = a->now;
	HASH_DEL(a->made_processes, process);
	HASH_ADD(hh, a->made_processes, key, sizeof(process->key), process);
}

bool fp_readers_refute(struct fp_attributor *a, const struct container *container, const struct fp_event *event,
		       const uint8_t id[FP_REQUEST_ID_SIZE])
{
	const struct read_request *request = find(a, id);
	struct task_key key = {event->tgid, event->process_start};
	struct made_process *process;

	if (!request || request->n == 0 || request->many || request->epoch != fp_state_counted(container))
		return false;
	for (unsigned i = 0; i < FOREBEARS_MAX; i++) {
		if (has_read(request, &key))
			return false;
		if (memcmp(&key, &container->watchdog, sizeof(key)) == 0)
			return true;
		HASH_FIND(hh, a->made_processes, &key, sizeof(key), process);
		if (!process || process->asked_elsewhere)
			return false;
		use(a, process);
		key = process->maker;
	}
	return false;
}

/* --- over a restart ----------------------------------------------------------------- */

static void save_key(struct fp_buffer *out, const struct task_key *key)
{
	fp_buffer_add_varint(out, key->id);
	fp_buffer_add_varint(out, key->start);
}

static void restore_key(struct fp_saved *in, struct task_key *ret)
{
	ret->id = fp_saved_get(in);
	ret->start = fp_saved_get(in);
}

static void save_request(struct fp_buffer *out, const struct read_request *request)
{
	fp_buffer_add(out, request->id, sizeof(request->id));
	fp_buffer_add_varint(out, request->epoch);
	fp_buffer_add_varint(out, request->many);
	fp_buffer_add_varint(out, request->n);
	for (unsigned i = 0; i < request->n; i++)
		save_key(out, &request->readers[i]);
}

static void save_process(struct fp_buffer *out, const struct made_process *process)
{
	save_key(out, &process->key);
	save_key(out, &process->maker);
	fp_buffer_add_varint(out, process->asked_elsewhere);
}

void fp_readers_save(const struct fp_attributor *a, size_t limit, struct fp_buffer *out)
{
	const size_t most = SAVED_MAX * (sizeof(struct read_request) + sizeof(struct made_process));
	bool fits = out->len + most <= limit;

#define SAVE_LAST(type, table, save)                                                                                   \
	{                                                                                                              \
		const struct type *last[SAVED_MAX];                                                                    \
		const struct type *entry = a->table ? ELMT_FROM_HH(a->table->hh.tbl, a->table->hh.tbl->tail) : NULL;   \
		unsigned n = 0;                                                                                        \
                                                                                                                       \
		for (; fits && entry && n < SAVED_MAX; entry = entry->hh.prev)                                         \
			last[n++] = entry;                                                                             \
		fp_buffer_add_varint(out, n);                                                                          \
		while (n > 0)                                                                                          \
			save(out, last[--n]);                                                                          \
	}
	SAVE_LAST(read_request, read_requests, save_request)
	SAVE_LAST(made_process, made_processes, save_process)
#undef SAVE_LAST
}

static int restore_request(struct fp_attributor *a, struct fp_saved *in)
{
	struct read_request *request = calloc(1, sizeof(*request));
	uint64_t n;

	if (!request)
		return -ENOMEM;
	fp_saved_bytes(in, request->id, sizeof(request->id));
	request->epoch = (unsigned)fp_saved_get(in);
	request->many = fp_saved_get(in) != 0;
	n = fp_saved_get(in);
	if (in->bad || n > READERS_MAX || find(a, request->id)) {
		free(request);
		return -EBADMSG;
	}
	for (; request->n < n; request->n++)
		restore_key(in, &request->readers[request->n]);
	HASH_ADD(hh, a->read_requests, id, FP_REQUEST_ID_SIZE, request);
	return 0;
}

static int restore_process(struct fp_attributor *a, struct fp_saved *in)
{
	struct made_process *process = calloc(1, sizeof(*process)), *there;

	if (!process)
		return -ENOMEM;
	restore_key(in, &process->key);
	restore_key(in, &process->maker);
	process->asked_elsewhere = fp_saved_get(in) != 0;
	HASH_FIND(hh, a->made_processes, &process->key, sizeof(process->key), there);
	if (in->bad || there) {
		free(process);
		return -EBADMSG;
	}
	HASH_ADD(hh, a->made_processes, key, sizeof(process->key), process);
	return 0;
}

int fp_readers_restore(struct fp_attributor *a, struct fp_saved *in)
{
	int r = 0;

	for (uint64_t n = fp_saved_get(in); r == 0 && !in->bad && n > 0; n--)
		r = restore_request(a, in);
	for (uint64_t n = fp_saved_get(in); r == 0 && !in->bad && n > 0; n--)
		r = restore_process(a, in);
	return r < 0 ? r : in->bad ? -EBADMSG : 0;
}

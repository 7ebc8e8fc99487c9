#include "store/sqlite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"

static int begin(struct fp_sqlite *store)
{
	return fp_sqlite_exec(store, &store->evidence, "BEGIN IMMEDIATE");
}

/* Ends the transaction; one that failed may have been rolled back by SQLite itself. */
static int end(struct fp_sqlite *store, int r)
{
	if (r >= 0) {
		int failed = fp_sqlite_exec(store, &store->evidence, "COMMIT");

		if (failed == 0)
			return r;
		r = failed;
	}
	if (!sqlite3_get_autocommit(store->evidence.handle))
		sqlite3_exec(store->evidence.handle, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int fp_sqlite_group_begin(struct fp_store *base)
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	int r;

	if (store->group)
		return fp_sqlite_say(store, &store->evidence, -EINVAL, "a group of batches is open already");
	r = begin(store);
	store->group = r == 0;
	return r;
}

int fp_sqlite_group_commit(struct fp_store *base)
{
	struct fp_sqlite *store = fp_sqlite_of(base);

	if (!store->group)
		return fp_sqlite_say(store, &store->evidence, -EINVAL, "no group of batches is open");
	store->group = false;
	return end(store, 0);
}

int fp_sqlite_group_abort(struct fp_store *base)
{
	struct fp_sqlite *store = fp_sqlite_of(base);

	if (store->group)
		end(store, -ECANCELED);
	store->group = false;
	return 0;
}

/* Wall clock of a time in the batch; what does not fit (a hostile header) is cut to the ends. */
static sqlite3_int64 wall_time(uint64_t boot_time, int64_t offset)
{
	sqlite3_int64 wall;

	if (__builtin_add_overflow(fp_sqlite_time(boot_time), offset, &wall))
		return INT64_MAX;
	return wall < 0 ? 0 : wall;
}

/* 1 when the very frame is there, -EEXIST when another one of its number is, 0 when none. */
static int find_batch(struct fp_sqlite *store, const struct fp_batch_header *header, const uint8_t *hash)
{
	sqlite3_stmt *statement;
	int r = fp_sqlite_take(store, &store->evidence, FP_RUN_BATCH_FIND, &statement), code;

	if (r < 0)
		return r;
	sqlite3_bind_blob(statement, 1, header->agent, sizeof(header->agent), SQLITE_STATIC);
	sqlite3_bind_int64(statement, 2, (sqlite3_int64)header->number);
	code = sqlite3_step(statement);
	if (code == SQLITE_ROW) {
		r = sqlite3_column_bytes(statement, 0) == FP_BATCH_HASH_SIZE &&
				    memcmp(sqlite3_column_blob(statement, 0), hash, FP_BATCH_HASH_SIZE) == 0
			    ? 1
			    : fp_sqlite_say(store, &store->evidence, -EEXIST,
					    "another batch %llu of the same agent is stored",
					    (unsigned long long)header->number);
	} else if (code != SQLITE_DONE) {
		r = fp_sqlite_fail(store, &store->evidence, code);
	}
	fp_sqlite_give(&store->evidence, FP_RUN_BATCH_FIND, statement);
	return r;
}

int fp_sqlite_bind_header(sqlite3_stmt *s, int at, const struct fp_batch_header *header, size_t len)
{
	sqlite3_bind_text(s, at, header->host, -1, SQLITE_STATIC);
	sqlite3_bind_blob(s, at + 1, header->boot, sizeof(header->boot), SQLITE_STATIC);
	sqlite3_bind_int64(s, at + 2, wall_time(header->first_time, header->clock_offset));
	sqlite3_bind_int64(s, at + 3, wall_time(header->last_time, header->clock_offset));
	sqlite3_bind_int64(s, at + 4, header->n_events);
	return sqlite3_bind_int64(s, at + 5, (sqlite3_int64)len);
}

static int put_row(struct fp_sqlite *store, const struct fp_batch_header *header, const uint8_t *hash,
		   const uint8_t *frame, size_t len, sqlite3_int64 *ret_id)
{
	sqlite3_stmt *s;
	int r = fp_sqlite_take(store, &store->evidence, FP_RUN_BATCH_PUT, &s);

	if (r < 0)
		return r;
	sqlite3_bind_blob(s, 1, header->agent, sizeof(header->agent), SQLITE_STATIC);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)header->number);
	sqlite3_bind_blob(s, 3, hash, FP_BATCH_HASH_SIZE, SQLITE_STATIC);
	fp_sqlite_bind_header(s, 4, header, len);
	r = fp_sqlite_run(store, &store->evidence, FP_RUN_BATCH_PUT, s,
			  sqlite3_bind_blob64(s, 10, frame, len, SQLITE_STATIC));
	*ret_id = sqlite3_last_insert_rowid(store->evidence.handle);
	return r;
}

static int compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, FP_REQUEST_ID_SIZE);
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x < y ? -1 : x > y;
}

/* Which requests and cgroups the batch is about, sorted; some more than once. */
static int collect(const struct fp_batch *batch, struct fp_buffer *requests, struct fp_buffer *cgroups)
{
	struct fp_batch_subjects subjects;

	fp_batch_subjects(batch, &subjects);
	fp_buffer_add(requests, subjects.requests, subjects.n_requests * FP_REQUEST_ID_SIZE);
	fp_buffer_add(cgroups, subjects.cgroups, subjects.n_cgroups * sizeof(uint64_t));
	if (requests->failed || cgroups->failed)
		return -ENOMEM;
	if (requests->len)
		qsort(requests->data, subjects.n_requests, FP_REQUEST_ID_SIZE, compare_ids);
	if (cgroups->len)
		qsort(cgroups->data, subjects.n_cgroups, sizeof(uint64_t), compare_numbers);
	return 0;
}

static int index_requests(struct fp_sqlite *store, const struct fp_buffer *requests, sqlite3_int64 id,
			  enum fp_sqlite_statement which, fp_sqlite_run_fn run)
{
	const char *former = NULL;

	for (size_t i = 0; i < requests->len; i += FP_REQUEST_ID_SIZE) {
		sqlite3_stmt *s;
		int r;

		if (former && memcmp(former, requests->data + i, FP_REQUEST_KEY_SIZE) == 0)
			continue;
		former = requests->data + i;
		r = fp_sqlite_take(store, &store->evidence, which, &s);
		if (r < 0)
			return r;
		sqlite3_bind_int64(s, 2, id);
		r = run(store, &store->evidence, which, s,
			sqlite3_bind_blob(s, 1, former, FP_REQUEST_KEY_SIZE, SQLITE_STATIC));
		if (r < 0)
			return r;
	}
	return 0;
}

static int index_instances(struct fp_sqlite *store, const struct fp_buffer *cgroups, sqlite3_int64 id,
			   enum fp_sqlite_statement which, fp_sqlite_run_fn run)
{
	uint64_t cgroup = 0, former = 0;

	for (size_t i = 0; i < cgroups->len; i += sizeof(cgroup), former = cgroup) {
		sqlite3_stmt *s;
		int r;

		memcpy(&cgroup, cgroups->data + i, sizeof(cgroup));
		if (i > 0 && cgroup == former)
			continue;
		r = fp_sqlite_take(store, &store->evidence, which, &s);
		if (r < 0)
			return r;
		sqlite3_bind_int64(s, 1, (sqlite3_int64)cgroup);
		r = run(store, &store->evidence, which, s, sqlite3_bind_int64(s, 2, id));
		if (r < 0)
			return r;
	}
	return 0;
}

int fp_sqlite_index(struct fp_sqlite *store, const struct fp_batch *batch, sqlite3_int64 id,
		    enum fp_sqlite_statement of_request, enum fp_sqlite_statement of_instance, fp_sqlite_run_fn run)
{
	struct fp_buffer requests = FP_BUFFER_INIT, cgroups = FP_BUFFER_INIT;
	int r = collect(batch, &requests, &cgroups);

	if (r < 0)
		fp_sqlite_fail(store, &store->evidence, SQLITE_NOMEM);
	if (r == 0)
		r = index_requests(store, &requests, id, of_request, run);
	if (r == 0)
		r = index_instances(store, &cgroups, id, of_instance, run);
	fp_buffer_done(&requests);
	fp_buffer_done(&cgroups);
	return r;
}

static int put_new(struct fp_sqlite *store, const uint8_t *frame, size_t len, struct fp_batch *batch,
		   const uint8_t *hash)
{
	sqlite3_int64 id;
	int r = put_row(store, fp_batch_header(batch), hash, frame, len, &id);

	if (r == 0)
		r = fp_sqlite_index(store, batch, id, FP_RUN_REQUEST_BATCH, FP_RUN_INSTANCE_BATCH, fp_sqlite_run);
	return r < 0 ? r : 1;
}

int fp_sqlite_put_batch(struct fp_store *base, const uint8_t *frame, size_t len, struct fp_batch *batch)
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	uint8_t hash[FP_BATCH_HASH_SIZE];
	int r = 0;

	fp_batch_hash(frame, len, hash);
	if (!store->group)
		r = begin(store);
	if (r < 0)
		return r;
	r = find_batch(store, fp_batch_header(batch), hash);
	if (r == 0)
		r = put_new(store, frame, len, batch, hash);
	else if (r == 1)
		r = 0;
	return store->group ? r : end(store, r);
}

int fp_sqlite_last_batch(struct fp_store *base, const uint8_t agent[16], uint64_t *ret_number,
			 uint8_t ret_hash[FP_BATCH_HASH_SIZE])
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	sqlite3_stmt *statement;
	int r = fp_sqlite_take(store, &store->evidence, FP_RUN_BATCH_LAST, &statement), code;

	if (r < 0)
		return r;
	sqlite3_bind_blob(statement, 1, agent, 16, SQLITE_STATIC);
	code = sqlite3_step(statement);
	if (code == SQLITE_DONE) {
		*ret_number = 0;
		memset(ret_hash, 0, FP_BATCH_HASH_SIZE);
	} else if (code == SQLITE_ROW && sqlite3_column_bytes(statement, 1) == FP_BATCH_HASH_SIZE) {
		*ret_number = (uint64_t)sqlite3_column_int64(statement, 0);
		memcpy(ret_hash, sqlite3_column_blob(statement, 1), FP_BATCH_HASH_SIZE);
	} else {
		r = fp_sqlite_fail(store, &store->evidence, code == SQLITE_ROW ? SQLITE_CORRUPT : code);
	}
	fp_sqlite_give(&store->evidence, FP_RUN_BATCH_LAST, statement);
	return r;
}

struct batch_call {
	fp_store_batch_fn fn;
	void *arg;
};

/* A frame is handed out only when it is, to the bit, the one that was stored. */
static int give_batch(struct fp_sqlite *store, sqlite3_stmt *statement, void *arg)
{
	const struct batch_call *call = arg;
	uint64_t id = (uint64_t)sqlite3_column_int64(statement, 0);
	const uint8_t *frame = sqlite3_column_blob(statement, 2);
	size_t len = (size_t)sqlite3_column_bytes(statement, 2);
	uint8_t hash[FP_BATCH_HASH_SIZE] = {0};

	if (frame)
		fp_batch_hash(frame, len, hash);
	if (sqlite3_column_bytes(statement, 1) != FP_BATCH_HASH_SIZE ||
	    memcmp(sqlite3_column_blob(statement, 1), hash, FP_BATCH_HASH_SIZE) != 0)
		return fp_sqlite_say(store, &store->evidence, -EBADMSG,
				     "batch %llu is not as it was stored (its hash differs)", (unsigned long long)id);
	return call->fn(call->arg, id, frame, len);
}

/* Without locks (sqlite.c) a writer that has come since may have changed pages under us. */
static int still_alone(struct fp_sqlite *store, int r)
{
	struct stat st;

	if (r < 0 || !store->immutable || stat(store->wal_path, &st) < 0 || st.st_size == 0)
		return r;
	return fp_sqlite_say(store, &store->evidence, -EBUSY, "another process began to write it: try again");
}

static int batches(struct fp_sqlite *store, enum fp_sqlite_statement which, sqlite3_stmt *statement, int bound,
		   fp_store_batch_fn fn, void *arg)
{
	struct batch_call call = {fn, arg};

	return still_alone(store,
			   fp_sqlite_rows(store, &store->evidence, which, statement, bound, give_batch, &call));
}

int fp_sqlite_each_batch(struct fp_store *base, uint64_t after, fp_store_batch_fn fn, void *arg)
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	sqlite3_stmt *s;
	int r = fp_sqlite_take(store, &store->evidence, FP_RUN_BATCH_EACH, &s);

	return r < 0 ? r
		     : batches(store, FP_RUN_BATCH_EACH, s, sqlite3_bind_int64(s, 1, fp_sqlite_time(after)), fn, arg);
}

int fp_sqlite_batches_of_request(struct fp_store *base, const uint8_t request[FP_REQUEST_ID_SIZE],
				 fp_store_batch_fn fn, void *arg)
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	sqlite3_stmt *s;
	int r = fp_sqlite_take(store, &store->evidence, FP_RUN_BATCH_REQUEST, &s);

	return r < 0 ? r
		     : batches(store, FP_RUN_BATCH_REQUEST, s,
			       sqlite3_bind_blob(s, 1, request, FP_REQUEST_KEY_SIZE, SQLITE_STATIC), fn, arg);
}

int fp_sqlite_batches_of_instance(struct fp_store *base, const char *host, const uint8_t boot[16], uint64_t cgroup,
				  fp_store_batch_fn fn, void *arg)
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	sqlite3_stmt *s;
	int r = fp_sqlite_take(store, &store->evidence, FP_RUN_BATCH_INSTANCE, &s);

	if (r < 0)
		return r;
	sqlite3_bind_int64(s, 1, (sqlite3_int64)cgroup);
	sqlite3_bind_text(s, 2, host, -1, SQLITE_STATIC);
	return batches(store, FP_RUN_BATCH_INSTANCE, s, sqlite3_bind_blob(s, 3, boot, 16, SQLITE_STATIC), fn, arg);
}

int fp_sqlite_batches_between(struct fp_store *base, uint64_t since, uint64_t until, fp_store_batch_fn fn, void *arg)
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	sqlite3_stmt *s;
	int r = fp_sqlite_take(store, &store->evidence, FP_RUN_BATCH_BETWEEN, &s);

	if (r < 0)
		return r;
	sqlite3_bind_int64(s, 1, fp_sqlite_time(since));
	return batches(store, FP_RUN_BATCH_BETWEEN, s, sqlite3_bind_int64(s, 2, fp_sqlite_time(until)), fn, arg);
}

static int read_totals(struct fp_sqlite *store, sqlite3_stmt *statement, void *arg)
{
	struct fp_store_totals *totals = arg;

	totals->batches = (uint64_t)sqlite3_column_int64(statement, 0);
	totals->events = (uint64_t)sqlite3_column_int64(statement, 1);
	totals->bytes = (uint64_t)sqlite3_column_int64(statement, 2);
	totals->first = (uint64_t)sqlite3_column_int64(statement, 3);
	totals->last = (uint64_t)sqlite3_column_int64(statement, 4);
	return 0;
}

static int read_newest(struct fp_sqlite *store, sqlite3_stmt *statement, void *arg)
{
	((struct fp_store_totals *)arg)->last_batch = (uint64_t)sqlite3_column_int64(statement, 0);
	return 0;
}

static int read_graph(struct fp_sqlite *store, sqlite3_stmt *statement, void *arg)
{
	struct fp_store_totals *totals = arg;

	totals->stitched_batch = (uint64_t)sqlite3_column_int64(statement, 0);
	totals->nodes = (uint64_t)sqlite3_column_int64(statement, 1);
	totals->edges = (uint64_t)sqlite3_column_int64(statement, 2);
	totals->requests = (uint64_t)sqlite3_column_int64(statement, 3);
	return 0;
}

static int read_one(struct fp_sqlite *store, struct fp_sqlite_db *db, enum fp_sqlite_statement which,
		    fp_sqlite_row_fn fn, void *arg)
{
	sqlite3_stmt *statement;
	int r = fp_sqlite_take(store, db, which, &statement);

	return r < 0 ? r : fp_sqlite_rows(store, db, which, statement, SQLITE_OK, fn, arg);
}

int fp_sqlite_totals(struct fp_store *base, struct fp_store_totals *ret_totals)
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	struct fp_store_totals totals = {0};
	int r = read_one(store, &store->evidence, FP_RUN_TOTALS, read_totals, &totals);

	if (r == 0)
		r = read_one(store, &store->evidence, FP_RUN_NEWEST, read_newest, &totals);
	r = still_alone(store, r);
	if (r < 0)
		return r;
	fp_sqlite_graph_renew(store);
	r = fp_sqlite_graph(store);
	if (r > 0)
		r = read_one(store, &store->graph, FP_RUN_GRAPH, read_graph, &totals);
	if (r < 0)
		return r;
	*ret_totals = totals;
	return 0;
}

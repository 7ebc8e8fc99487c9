/*
 * The seal: the hash of the graph's file, noted beside the evidence.  It is
 * noted before the file is put in its place, so that a crash between the two
 * leaves a graph with a seal, the former or the new one.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "store/sqlite.h"

#define PIECE 65536

/* A graph that is replaced while it is looked at is looked at again, so often. */
#define TRIES 8

static int hash_fd(int fd, uint8_t ret_hash[FP_SEAL_SIZE])
{
	crypto_generichash_state state;
	uint8_t piece[PIECE];
	off_t at = 0;
	ssize_t n;

	crypto_generichash_init(&state, NULL, 0, FP_SEAL_SIZE);
	while ((n = pread(fd, piece, sizeof(piece), at)) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		crypto_generichash_update(&state, piece, (size_t)n);
		at += n;
	}
	crypto_generichash_final(&state, ret_hash, FP_SEAL_SIZE);
	return n < 0 ? -errno : 0;
}

/* Through SQLite's own descriptor: this is the file whose rows are handed out, whatever stands at its path by now. */
static int hash_db(struct fp_sqlite *store, struct fp_sqlite_db *db, uint8_t ret_hash[FP_SEAL_SIZE])
{
	crypto_generichash_state state;
	sqlite3_file *file = NULL;
	sqlite3_int64 size = 0;
	uint8_t piece[PIECE];
	int code = sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);

	if (code != SQLITE_OK || !file || !file->pMethods)
		return fp_sqlite_fail(store, db, SQLITE_CANTOPEN);
	crypto_generichash_init(&state, NULL, 0, FP_SEAL_SIZE);
	code = file->pMethods->xFileSize(file, &size);
	for (sqlite3_int64 at = 0; code == SQLITE_OK && at < size; at += PIECE) {
		int n = size - at < PIECE ? (int)(size - at) : PIECE;

		code = file->pMethods->xRead(file, piece, n, at);
		crypto_generichash_update(&state, piece, (size_t)n);
	}
	crypto_generichash_final(&state, ret_hash, FP_SEAL_SIZE);
	return code == SQLITE_OK ? 0 : fp_sqlite_fail(store, db, code);
}

int fp_sqlite_seal(struct fp_sqlite *store, int fd, uint8_t ret_hash[FP_SEAL_SIZE])
{
	sqlite3_stmt *s;
	int r = hash_fd(fd, ret_hash);

	if (r < 0)
		return fp_sqlite_say(store, &store->build, r, "cannot be read: %s", strerror(-r));
	r = fp_sqlite_take(store, &store->evidence, FP_RUN_SEAL_PUT, &s);
	return r < 0 ? r : fp_sqlite_run(store, &store->evidence, FP_RUN_SEAL_PUT, s,
					 sqlite3_bind_blob(s, 1, ret_hash, FP_SEAL_SIZE, SQLITE_STATIC));
}

static sqlite3_int64 changed(const struct stat *st)
{
	return (sqlite3_int64)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

void fp_sqlite_seal_placed(struct fp_sqlite *store, int fd, const uint8_t hash[FP_SEAL_SIZE])
{
	struct fp_sqlite_db *db = &store->evidence;
	struct stat st;
	sqlite3_stmt *s;

	/* Where this fails the graph is in its place and sealed all the same: it is only known again by reading it. */
	if (fstat(fd, &st) < 0 || fp_sqlite_take(store, db, FP_RUN_SEAL_NOTE, &s) < 0)
		return;
	sqlite3_bind_int64(s, 2, st.st_size);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)st.st_ino);
	sqlite3_bind_int64(s, 4, changed(&st));
	if (fp_sqlite_run(store, db, FP_RUN_SEAL_NOTE, s, sqlite3_bind_blob(s, 1, hash, FP_SEAL_SIZE, SQLITE_STATIC)) < 0 ||
	    fp_sqlite_take(store, db, FP_RUN_SEAL_DROP, &s) < 0)
		return;
	fp_sqlite_run(store, db, FP_RUN_SEAL_DROP, s, sqlite3_bind_blob(s, 1, hash, FP_SEAL_SIZE, SQLITE_STATIC));
}

static int note_found(struct fp_sqlite *store, sqlite3_stmt *statement, void *arg)
{
	*(bool *)arg = true;
	return 0;
}

static int is_as_left(struct fp_sqlite *store, const struct stat *st, bool *ret_found)
{
	sqlite3_stmt *s;
	int r = fp_sqlite_take(store, &store->evidence, FP_RUN_SEAL_SEEN, &s);

	if (r < 0)
		return r;
	sqlite3_bind_int64(s, 1, st->st_size);
	sqlite3_bind_int64(s, 2, (sqlite3_int64)st->st_ino);
	return fp_sqlite_rows(store, &store->evidence, FP_RUN_SEAL_SEEN, s, sqlite3_bind_int64(s, 3, changed(st)),
			      note_found, ret_found);
}

static int is_sealed(struct fp_sqlite *store, bool *ret_found)
{
	uint8_t hash[FP_SEAL_SIZE];
	sqlite3_stmt *s;
	int r = hash_db(store, &store->graph, hash);

	if (r == 0)
		r = fp_sqlite_take(store, &store->evidence, FP_RUN_SEAL_HAS, &s);
	return r < 0 ? r : fp_sqlite_rows(store, &store->evidence, FP_RUN_SEAL_HAS, s,
					  sqlite3_bind_blob(s, 1, hash, sizeof(hash), SQLITE_STATIC), note_found, ret_found);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && changed(a) == changed(b);
}

/* One look: 1 sealed, 0 no graph, -EBADMSG, -EAGAIN it was replaced meanwhile. */
static int look(struct fp_sqlite *store, bool reading)
{
	struct stat before, after;
	bool found = false;
	int r;

	if (stat(store->graph.path, &before) < 0)
		return errno == ENOENT ? 0 : fp_sqlite_say(store, &store->graph, -errno, "%s", strerror(errno));
	fp_sqlite_graph_renew(store);
	r = fp_sqlite_graph(store);
	if (r > 0 && !reading)
		r = is_as_left(store, &before, &found);
	if (r >= 0 && !found && store->graph.handle)
		r = is_sealed(store, &found);
	if (stat(store->graph.path, &after) < 0 || !same_file(&before, &after))
		return -EAGAIN;
	if (r >= 0 && !found)
		return fp_sqlite_say(store, &store->graph, -EBADMSG, "this is not the graph that was made of this evidence");
	return r < 0 ? r : 1;
}

int fp_sqlite_sealed(struct fp_store *base, bool reading)
{
	struct fp_sqlite *store = fp_sqlite_of(base);
	int r = -EAGAIN;

	for (int i = 0; i < TRIES && r == -EAGAIN; i++) {
		r = look(store, reading);
		/* what is read without locks does not show a seal that was set since */
		if (i == 0 && r == -EBADMSG && store->immutable) {
			r = fp_sqlite_reopen(store);
			r = r == 0 ? -EAGAIN : r;
		}
	}
	if (r == -EAGAIN)
		return fp_sqlite_say(store, &store->graph, -EBUSY, "it is being replaced again and again: try again");
	return r;
}

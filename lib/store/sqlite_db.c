#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/cleanup.h"

/* Longer than any transaction of ours lasts; then something hangs and is worth an error. */
#define BUSY_MS 15000

/* No frame and no text is longer: a damaged file cannot make us allocate more. */
#define VALUE_MAX (64 << 20)

static const char *const statements[] = {
#define FP_STATEMENT(NAME, sql) [FP_RUN_##NAME] = sql,
	FP_STATEMENTS(FP_STATEMENT)
#undef FP_STATEMENT
};

int fp_sqlite_errno(int code, int system_error)
{
	switch (code) {
	case SQLITE_CONSTRAINT_UNIQUE:
	case SQLITE_CONSTRAINT_PRIMARYKEY:
	case SQLITE_CONSTRAINT_ROWID:
		return -EEXIST;
	case SQLITE_IOERR_NOMEM:
		return -ENOMEM;
	case SQLITE_IOERR_SHORT_READ:
	case SQLITE_IOERR_CORRUPTFS:
		return -EBADMSG;
	default:
		break;
	}
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
	case SQLITE_ERROR: /* our statements are right: a table or column is not there */
	case SQLITE_MISMATCH:
	case SQLITE_SCHEMA:
		return -EBADMSG;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL:
		return -EBUSY;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_TOOBIG:
		return -E2BIG;
	case SQLITE_CONSTRAINT:
	case SQLITE_RANGE:
	case SQLITE_MISUSE:
		return -EINVAL;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		return system_error > 0 ? -system_error : -EIO;
	default:
		return -EIO;
	}
}

int fp_sqlite_say(struct fp_sqlite *store, const struct fp_sqlite_db *db, int error, const char *format, ...)
{
	char sentence[FP_STORE_ERROR_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	snprintf(store->base.error, sizeof(store->base.error), "%.120s%s: %.128s", strlen(db->path) > 120 ? "…" : "",
		 strlen(db->path) > 120 ? db->path + strlen(db->path) - 117 : db->path, sentence);
	return error;
}

int fp_sqlite_fail(struct fp_sqlite *store, struct fp_sqlite_db *db, int code)
{
	int system_error = db->handle ? sqlite3_system_errno(db->handle) : 0;
	int error = fp_sqlite_errno(code, system_error);
	const char *reason = db->handle && sqlite3_errcode(db->handle) != SQLITE_OK ? sqlite3_errmsg(db->handle)
										    : sqlite3_errstr(code);

	switch (error) {
	case -EBADMSG:
		return fp_sqlite_say(store, db, error, "the store is damaged (%s)", reason);
	case -ENOSPC:
		return fp_sqlite_say(store, db, error, "no space left (%s)", reason);
	case -EBUSY:
		return fp_sqlite_say(store, db, error, "another process holds the store (%s)", reason);
	case -EIO:
		return fp_sqlite_say(store, db, error, "input or output failed (%s)", reason);
	default:
		return fp_sqlite_say(store, db, error, "%s", error == -system_error ? strerror(system_error) : reason);
	}
}

static uint32_t get_be(const uint8_t *data, unsigned bytes)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes; i++)
		value = value << 8 | data[i];
	return value;
}

/* Whether the file is as long as its header says; only a writer's log may hold what is missing. */
static bool is_whole(sqlite3_file *file, const uint8_t *header)
{
	sqlite3_int64 size, page = get_be(header + 16, 2);

	page = page == 1 ? 65536 : page;
	return file->pMethods->xFileSize(file, &size) == SQLITE_OK && size >= page * get_be(header + 28, 4);
}

/*
 * The header as the file has it, before SQLite itself acts on the file.  Read
 * through SQLite's own descriptor, see fp_sqlite_claim.
 */
static int check_header(struct fp_sqlite *store, struct fp_sqlite_db *db, enum fp_sqlite_access access,
			uint32_t application)
{
	uint8_t header[100] = {0};
	sqlite3_file *file = NULL;
	uint32_t id, version;
	int code;

	code = sqlite3_file_control(db->handle, "main", SQLITE_FCNTL_FILE_POINTER, &file);
	if (code != SQLITE_OK || !file || !file->pMethods)
		return fp_sqlite_fail(store, db, SQLITE_CANTOPEN);
	code = file->pMethods->xRead(file, header, sizeof(header), 0);
	if (code == SQLITE_IOERR_SHORT_READ || (code == SQLITE_OK && memcmp(header, "SQLite format 3", 16) != 0))
		return fp_sqlite_say(store, db, -EBADMSG, "this is not a store");
	if (code != SQLITE_OK)
		return fp_sqlite_fail(store, db, code);
	version = get_be(header + 60, 4);
	id = get_be(header + 68, 4);
	if (id != application)
		return fp_sqlite_say(store, db, -EBADMSG, "this is a database of another kind, not a store");
	if (version != FP_SQLITE_VERSION)
		return fp_sqlite_say(store, db, -EPROTO, "made by version %u of the store's format, this program has %d",
				     version, FP_SQLITE_VERSION);
	if (access == FP_SQLITE_IMMUTABLE && !is_whole(file, header))
		return fp_sqlite_say(store, db, -EBADMSG, "the store is damaged (its end is missing)");
	return 0;
}

/* "file:" URI; every byte that could mean something in one is escaped. */
static int make_uri(const char *path, enum fp_sqlite_access access, struct fp_buffer *uri)
{
	fp_buffer_add_text(uri, "file:");
	for (const char *p = path; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
			     strchr("/._-", *p);

		if (plain)
			fp_buffer_add(uri, p, 1);
		else
			fp_buffer_add_format(uri, "%%%02x", (unsigned char)*p);
	}
	if (access == FP_SQLITE_IMMUTABLE)
		fp_buffer_add_text(uri, "?immutable=1");
	return fp_buffer_error(uri);
}

static int distrust(struct fp_sqlite_db *db, bool ours)
{
	/* a file that we have just made may be built without a journal, which this forbids */
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, !ours, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db->handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_limit(db->handle, SQLITE_LIMIT_LENGTH, VALUE_MAX);
	sqlite3_extended_result_codes(db->handle, 1);
	sqlite3_busy_timeout(db->handle, BUSY_MS);
	/* 64 MiB of pages: a slice looks at nodes and edges all over the file */
	return sqlite3_exec(db->handle, "PRAGMA cell_size_check = ON; PRAGMA cache_size = -65536", NULL, NULL, NULL);
}

int fp_sqlite_open_db(struct fp_sqlite *store, struct fp_sqlite_db *db, enum fp_sqlite_access access,
		      uint32_t application)
{
	int flags = SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	struct fp_buffer uri = FP_BUFFER_INIT;
	int r = make_uri(db->path, access, &uri), code = SQLITE_OK;

	flags |= access == FP_SQLITE_WRITE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
	if (r == 0) {
		code = sqlite3_open_v2(uri.data, &db->handle, flags, NULL);
		r = code == SQLITE_OK ? 0 : fp_sqlite_fail(store, db, code);
	}
	fp_buffer_done(&uri);
	if (r == 0 && access == FP_SQLITE_WRITE && sqlite3_db_readonly(db->handle, "main") == 1)
		r = fp_sqlite_say(store, db, -EROFS, "cannot be written");
	if (r == 0 && application)
		r = check_header(store, db, access, application);
	if (r == 0) {
		code = distrust(db, application == 0);
		r = code == SQLITE_OK ? 0 : fp_sqlite_fail(store, db, code);
	}
	if (r < 0)
		fp_sqlite_close_db(db);
	return r;
}

void fp_sqlite_close_db(struct fp_sqlite_db *db)
{
	for (size_t i = 0; i < FP_RUN_MAX; i++) {
		sqlite3_finalize(db->cache[i]);
		db->cache[i] = NULL;
	}
	sqlite3_close(db->handle);
	db->handle = NULL;
}

int fp_sqlite_exec(struct fp_sqlite *store, struct fp_sqlite_db *db, const char *sql)
{
	int code = sqlite3_exec(db->handle, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : fp_sqlite_fail(store, db, code);
}

int fp_sqlite_take(struct fp_sqlite *store, struct fp_sqlite_db *db, enum fp_sqlite_statement which,
		   sqlite3_stmt **ret_statement)
{
	int code;

	if (db->cache[which]) {
		*ret_statement = db->cache[which];
		db->cache[which] = NULL;
		return 0;
	}
	code = sqlite3_prepare_v3(db->handle, statements[which], -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL);
	return code == SQLITE_OK ? 0 : fp_sqlite_fail(store, db, code);
}

void fp_sqlite_give(struct fp_sqlite_db *db, enum fp_sqlite_statement which, sqlite3_stmt *statement)
{
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
	if (db->cache[which])
		sqlite3_finalize(statement);
	else
		db->cache[which] = statement;
}

int fp_sqlite_run(struct fp_sqlite *store, struct fp_sqlite_db *db, enum fp_sqlite_statement which,
		  sqlite3_stmt *statement, int bound)
{
	int code = bound == SQLITE_OK ? sqlite3_step(statement) : bound;
	int r = code == SQLITE_DONE ? 0 : fp_sqlite_fail(store, db, code);

	fp_sqlite_give(db, which, statement);
	return r;
}

int fp_sqlite_rows(struct fp_sqlite *store, struct fp_sqlite_db *db, enum fp_sqlite_statement which,
		   sqlite3_stmt *statement, int bound, fp_sqlite_row_fn fn, void *arg)
{
	int code = bound, r = 0;

	if (code == SQLITE_OK)
		while (r == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW)
			r = fn(store, statement, arg);
	if (r == 0 && code != SQLITE_DONE)
		r = fp_sqlite_fail(store, db, code);
	fp_sqlite_give(db, which, statement);
	return r;
}

int fp_sqlite_claim(const char *path, bool wait, int *ret_fd)
{
	for (;;) {
		fp_cleanup(fp_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		struct stat mine, there;

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) < 0) {
			if (errno == EINTR)
				continue;
			return errno == EWOULDBLOCK ? -EBUSY : -errno;
		}
		if (fstat(fd, &mine) < 0)
			return -errno;
		/* the builder before us may have put the file in its place while we waited for it */
		if (stat(path, &there) < 0 || mine.st_dev != there.st_dev || mine.st_ino != there.st_ino)
			continue;
		if (!S_ISREG(mine.st_mode))
			return -EEXIST;
		if (ftruncate(fd, 0) < 0)
			return -errno;
		*ret_fd = fd;
		fd = -1;
		return 0;
	}
}

static int sync_folder_of(const char *path)
{
	fp_cleanup(fp_freep) char *folder = strdup(path);
	fp_cleanup(fp_closep) int fd = -1;
	char *slash;

	if (!folder)
		return -ENOMEM;
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int fp_sqlite_publish(int fd, const char *path, const char *to)
{
	if (fsync(fd) < 0 || rename(path, to) < 0)
		return -errno;
	return sync_folder_of(to);
}

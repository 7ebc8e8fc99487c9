#include "store/rows.h"

#include <errno.h>
#include <string.h>

#define BIND_NUM(member, set) sqlite3_bind_int64(statement, i, (sqlite3_int64)row->member)
#define BIND_INT(member, set) sqlite3_bind_int64(statement, i, row->member)
#define BIND_TIME(member, set) sqlite3_bind_int64(statement, i, fp_sqlite_time(row->member))
#define BIND_ENUM(member, set) sqlite3_bind_int64(statement, i, row->member)
/* a NULL pointer binds NULL */
#define BIND_TEXT(member, set) sqlite3_bind_text(statement, i, row->member, -1, SQLITE_STATIC)
#define BIND_ID(member, set) \
	sqlite3_bind_blob(statement, i, row->has_##member ? row->member : NULL, FP_REQUEST_ID_SIZE, SQLITE_STATIC)
#define BIND_NAME(member, set) sqlite3_bind_blob(statement, i, row->member, FP_REQUEST_ID_SIZE, SQLITE_STATIC)
#define BIND(member, declaration, KIND, set) \
	i++;                                 \
	if (code == SQLITE_OK)               \
		code = BIND_##KIND(member, set);

#define DEFINE_BIND(table, COLUMNS)                                                          \
	int fp_sqlite_bind_##table(sqlite3_stmt *statement, const struct fp_store_##table *row) \
	{                                                                                    \
		int i = 0, code = SQLITE_OK;                                                 \
		COLUMNS(BIND, BIND)                                                          \
		return code;                                                                 \
	}

DEFINE_BIND(node, FP_NODE_COLUMNS)
DEFINE_BIND(edge, FP_EDGE_COLUMNS)
DEFINE_BIND(request, FP_REQUEST_COLUMNS)
DEFINE_BIND(loss, FP_LOSS_COLUMNS)

static bool read_text(sqlite3_stmt *statement, int i, const char **ret_text)
{
	int type = sqlite3_column_type(statement, i);

	*ret_text = type == SQLITE_TEXT ? (const char *)sqlite3_column_text(statement, i) : NULL;
	return type == SQLITE_NULL || *ret_text;
}

static bool read_id(sqlite3_stmt *statement, int i, uint8_t *ret_id)
{
	if (sqlite3_column_bytes(statement, i) != FP_REQUEST_ID_SIZE)
		return false;
	memcpy(ret_id, sqlite3_column_blob(statement, i), FP_REQUEST_ID_SIZE);
	return true;
}

static bool read_optional_id(sqlite3_stmt *statement, int i, uint8_t *ret_id, bool *ret_has)
{
	*ret_has = sqlite3_column_type(statement, i) != SQLITE_NULL;
	return !*ret_has || read_id(statement, i, ret_id);
}

static bool read_member(sqlite3_stmt *statement, int i, const char *(*name)(unsigned), unsigned *ret_number)
{
	sqlite3_int64 number = sqlite3_column_int64(statement, i);

	*ret_number = (unsigned)number;
	return number >= 0 && number <= INT32_MAX && name((unsigned)number);
}

#define READ_NUM(member, set) (row.member = (uint64_t)sqlite3_column_int64(statement, i), true)
#define READ_INT(member, set) (row.member = sqlite3_column_int64(statement, i), true)
#define READ_TIME(member, set) READ_NUM(member, set)
#define READ_ENUM(member, set) (read_member(statement, i, fp_##set##_name, &number) && (row.member = number, true))
#define READ_TEXT(member, set) read_text(statement, i, &row.member)
#define READ_ID(member, set) read_optional_id(statement, i, row.member, &row.has_##member)
#define READ_NAME(member, set) read_id(statement, i, row.member)
#define READ(member, declaration, KIND, set) \
	if (!READ_##KIND(member, set))       \
		return -EBADMSG;             \
	i++;

#define DEFINE_READ(table, COLUMNS)                                                         \
	int fp_sqlite_read_##table(sqlite3_stmt *statement, struct fp_store_##table *ret_row) \
	{                                                                                   \
		struct fp_store_##table row = {0};                                          \
		unsigned number = 0;                                                        \
		int i = 0;                                                                  \
		COLUMNS(READ, READ)                                                         \
		(void)number;                                                               \
		*ret_row = row;                                                             \
		return 0;                                                                   \
	}

DEFINE_READ(node, FP_NODE_COLUMNS)
DEFINE_READ(edge, FP_EDGE_COLUMNS)
DEFINE_READ(request, FP_REQUEST_COLUMNS)
DEFINE_READ(loss, FP_LOSS_COLUMNS)

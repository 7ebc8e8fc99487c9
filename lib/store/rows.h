/*
 * Binding and reading rows of the graph's tables (tables.h).  Private to lib/store.
 */
#ifndef FP_STORE_ROWS_H
#define FP_STORE_ROWS_H

#include "store/sqlite.h"

/* SQLITE_OK or the first failure of binding; the strings of the row are borrowed until the statement is given back. */
int fp_sqlite_bind_node(sqlite3_stmt *statement, const struct fp_store_node *row);
int fp_sqlite_bind_edge(sqlite3_stmt *statement, const struct fp_store_edge *row);
int fp_sqlite_bind_request(sqlite3_stmt *statement, const struct fp_store_request *row);
int fp_sqlite_bind_loss(sqlite3_stmt *statement, const struct fp_store_loss *row);

/* 0, or -EBADMSG when a column holds what no row of ours has. */
int fp_sqlite_read_node(sqlite3_stmt *statement, struct fp_store_node *ret_row);
int fp_sqlite_read_edge(sqlite3_stmt *statement, struct fp_store_edge *ret_row);
int fp_sqlite_read_request(sqlite3_stmt *statement, struct fp_store_request *ret_row);
int fp_sqlite_read_loss(sqlite3_stmt *statement, struct fp_store_loss *ret_row);

#endif

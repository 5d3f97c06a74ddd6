/* store_db.h: what the files of reports/ share about the store, and nobody else sees: the connection, and how an
 * answer of SQLite becomes one sentence.
 */
#ifndef REPORTS_STORE_DB_H
#define REPORTS_STORE_DB_H

#include <sqlite3.h>

#include "reports/store.h"

/* reports/schema.sql, NUL-terminated. */
extern const char store_schema_sql[];

/* The statements the writer keeps from the first use to the close. */
enum store_stmt {
    STORE_STMT_BEGIN,
    STORE_STMT_COMMIT,
    STORE_STMT_ROLLBACK,
    STORE_STMT_DELETE_CELL,
    STORE_STMT_INSERT_CELL,
    STORE_STMT_INSERT_FINDING,
    STORE_STMT_INSERT_EVENT,
    STORE_STMT_INSERT_EPOCH,
    STORE_STMT_PUT_FUZZ_RUN,
    STORE_STMT_CANARIES,
    STORE_STMT_FINISH,
    STORE_STMT_COUNT
};

struct store {
    sqlite3 *db;
    char *path;
    int64_t campaign;
    int64_t base; /* the last cell of the campaigns before */
    bool read_only;
    bool must_exist; /* it is not made */
    bool compared;   /* compare.h: the temporary tables are there */
    sqlite3_stmt *stmts[STORE_STMT_COUNT];
};

/* Fills `err` with one sentence for SQLite's result `rc` and returns the -errno that fits. */
int store_fail(struct store *s, int rc, struct store_error *err);
/* Prepares one SELECT over the campaign: ?1 is bound to its id. The caller finalizes. 0 or -errno. */
int store_query(struct store *s, const char *sql, sqlite3_stmt **out, struct store_error *err);
/* Ends a query after its last row: finalizes, and maps SQLITE_DONE to 0, all else to -errno with err. */
int store_query_end(struct store *s, sqlite3_stmt *stmt, int step_rc, struct store_error *err);
/* Runs a kept statement that returns no row, and resets it. Parameters must be bound. 0 or -errno. */
int store_run_stmt(struct store *s, enum store_stmt which, struct store_error *err);
/* The kept statement, prepared at the first use; NULL with err filled when that fails. */
sqlite3_stmt *store_stmt(struct store *s, enum store_stmt which, struct store_error *err);

#endif

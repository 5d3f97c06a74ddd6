/* store.c: opening, closing and summing up the result store, and its errors in words. Rows are put by store_put.c.
 *
 * While a campaign writes, the file has a write-ahead log beside it: a commit is an append, and survives the death of
 * the process. Losing power may take the last commits away, never half of one: they are judged again (synchronous =
 * NORMAL). The log goes when the store is closed, so a finished store is one file that can be read anywhere. The writer has
 * the file for itself (locking_mode = EXCLUSIVE): a second campaign is told at once, and the log needs no shared memory,
 * which network file systems do not have.
 */
#include <assert.h>
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reports/store_db.h"

#define APPLICATION_ID  0x71656463
#define BUSY_TIMEOUT_MS 2000

static const char *const stmt_sql[STORE_STMT_COUNT] = {
    [STORE_STMT_BEGIN] = "BEGIN IMMEDIATE",
    [STORE_STMT_COMMIT] = "COMMIT",
    [STORE_STMT_ROLLBACK] = "ROLLBACK",
    [STORE_STMT_DELETE_CELL] =
        "DELETE FROM cell WHERE campaign = ?1 AND scenario = ?2 AND design = ?3 AND disk = ?4 AND schedule = ?5",
    [STORE_STMT_INSERT_CELL] =
        ("INSERT INTO cell (campaign, scenario, design, disk, schedule, verdict, skip_reason, expected,"
         " expected_classes, as_expected, complete, cut, crash_points, states_total, states_log2, executions,"
         " guest_writes, image_writes, flushes, scans, leaks, dirty_after_clean, repro, schedules_possible,"
         " schedules_run, schedules_distinct, schedules_complete, states_explored, covered_log2, distinct_images,"
         " distinct_at_least, ledger, id)"
         " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,"
         " ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32, ?33)"),
    [STORE_STMT_INSERT_FINDING] =
        ("INSERT INTO finding (cell, seq, id, class, crash_point, guest_sector, expected, found, why, because,"
         " recovery, missing_order, story, survivors, states, guest_cluster)"
         " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"),
    [STORE_STMT_INSERT_EVENT] =
        ("INSERT INTO timeline (cell, finding, seq, lane, name, begin, end, offset_bytes, length_bytes, fate, pending,"
         " survived, sectors, missing) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"),
    [STORE_STMT_INSERT_EPOCH] =
        ("INSERT INTO epoch (cell, seq, first_point, last_point, states, states_log2, states_explored, covered_log2,"
         " executions) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"),
    [STORE_STMT_PUT_FUZZ_RUN] =
        ("INSERT OR REPLACE INTO fuzz_run (campaign, design, tool, seed, found, cpu_seconds, executions, workloads)"
         " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
    [STORE_STMT_CANARIES] = "UPDATE campaign SET canaries_caught = ?2, canaries_of = ?3 WHERE id = ?1",
    [STORE_STMT_FINISH] = "UPDATE campaign SET finished = 1 WHERE id = ?1",
};

static const char *shown_path(const struct store *s)
{
    return s->path ? s->path : "the store in memory";
}

/* SQLite tries a file it may not write a second time, for reading, and keeps that errno only: where the file is
 * missing, its directory tells why it could not be made. */
static int errno_of_open(struct store *s)
{
    int why = sqlite3_system_errno(s->db);
    if (why != ENOENT || s->must_exist || !s->path)
        return why;
    char *directory = strdup(s->path);
    if (!directory)
        return ENOMEM;
    why = access(dirname(directory), W_OK) ? errno : ENOENT;
    free(directory);
    return why;
}

static int cannot_open(struct store *s, struct store_error *err)
{
    int why = errno_of_open(s);
    if (why == ENOENT)
        snprintf(err->text, sizeof(err->text), "%s: %s", shown_path(s),
                 s->must_exist ? "no such store" : "its directory does not exist; create it first");
    else
        snprintf(err->text, sizeof(err->text), "%s: cannot be opened as a store: %s", shown_path(s),
                 why ? strerror(why) : "not a regular file one can write beside");
    return why ? -why : -EIO;
}

/* A quota, or a limit on the size of files (ulimit -f), is no SQLITE_FULL. SQLite keeps the errno of whatever call it made
 * last, not that of the write, so only a plain I/O error is told from it. */
static bool may_not_grow(struct store *s, int rc)
{
    return rc == SQLITE_IOERR_WRITE && sqlite3_system_errno(s->db) != EIO;
}

int store_fail(struct store *s, int rc, struct store_error *err)
{
    switch (rc & 0xff) {
    case SQLITE_CANTOPEN:
        return cannot_open(s, err);
    case SQLITE_NOTADB:
        snprintf(err->text, sizeof(err->text), "%s: not a qedcrash store; it was left as it is", shown_path(s));
        return -EINVAL;
    case SQLITE_IOERR:
        if (!may_not_grow(s, rc)) {
            snprintf(err->text, sizeof(err->text), "%s: %s", shown_path(s), sqlite3_errmsg(s->db));
            return -EIO;
        }
        __attribute__((fallthrough));
    case SQLITE_FULL:
        snprintf(err->text, sizeof(err->text),
                 "%s: the disk is full%s; what was judged before is kept, make room and go on with --resume",
                 shown_path(s), (rc & 0xff) == SQLITE_FULL ? "" : ", or the file may not grow");
        return -ENOSPC;
    case SQLITE_READONLY:
        snprintf(err->text, sizeof(err->text),
                 "%s: the file or its directory is read-only; choose another place with --store", shown_path(s));
        return -EROFS;
    case SQLITE_BUSY:
        snprintf(err->text, sizeof(err->text), "%s: another process is writing to this store; %s", shown_path(s),
                 s->read_only ? "wait for its end" : "give each its own");
        return -EBUSY;
    case SQLITE_NOMEM:
        snprintf(err->text, sizeof(err->text), "%s: out of memory", shown_path(s));
        return -ENOMEM;
    default:
        snprintf(err->text, sizeof(err->text), "%s: %s", shown_path(s), sqlite3_errmsg(s->db));
        return -EIO;
    }
}

sqlite3_stmt *store_stmt(struct store *s, enum store_stmt which, struct store_error *err)
{
    if (!s->stmts[which]) {
        int rc = sqlite3_prepare_v3(s->db, stmt_sql[which], -1, SQLITE_PREPARE_PERSISTENT, &s->stmts[which], NULL);
        if (rc != SQLITE_OK)
            store_fail(s, rc, err);
    }
    return s->stmts[which];
}

int store_run_stmt(struct store *s, enum store_stmt which, struct store_error *err)
{
    sqlite3_stmt *stmt = store_stmt(s, which, err);
    if (!stmt)
        return -EIO;
    int rc = sqlite3_step(stmt);
    int ret = rc == SQLITE_DONE ? 0 : store_fail(s, rc, err);
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    return ret;
}

int store_query(struct store *s, const char *sql, sqlite3_stmt **out, struct store_error *err)
{
    int rc = sqlite3_prepare_v2(s->db, sql, -1, out, NULL);
    if (rc == SQLITE_OK && sqlite3_bind_parameter_count(*out) > 0)
        rc = sqlite3_bind_int64(*out, 1, s->campaign);
    if (rc == SQLITE_OK)
        return 0;
    int ret = store_fail(s, rc, err);
    sqlite3_finalize(*out);
    *out = NULL;
    return ret;
}

int store_query_end(struct store *s, sqlite3_stmt *stmt, int step_rc, struct store_error *err)
{
    int ret = step_rc == SQLITE_DONE ? 0 : store_fail(s, step_rc, err);
    sqlite3_finalize(stmt);
    return ret;
}

/* One number out of the database; `ret` 0 or -errno. */
static int query_number(struct store *s, const char *sql, int64_t *out, struct store_error *err)
{
    sqlite3_stmt *stmt;
    int ret = store_query(s, sql, &stmt, err);
    if (ret)
        return ret;
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *out = sqlite3_column_int64(stmt, 0);
        rc = SQLITE_DONE;
    }
    return store_query_end(s, stmt, rc, err);
}

/* Is this file ours, and of a schema we know? `*empty` when there is nothing in it yet. */
static int check_identity(struct store *s, bool *empty, struct store_error *err)
{
    int64_t id = 0, version = 0, objects = 0;
    int ret = query_number(s, "PRAGMA application_id", &id, err);
    if (!ret)
        ret = query_number(s, "PRAGMA user_version", &version, err);
    if (!ret)
        ret = query_number(s, "SELECT count(*) FROM sqlite_schema", &objects, err);
    if (ret)
        return ret;
    *empty = id == 0 && objects == 0;
    if (*empty && !s->read_only)
        return 0;
    if (id != APPLICATION_ID || version < 1)
        return store_fail(s, SQLITE_NOTADB, err);
    if (version > STORE_SCHEMA_VERSION) {
        snprintf(err->text, sizeof(err->text),
                 "%s: a store of schema %lld, made by a newer qedcrash; this one knows schema %d; update qedcrash",
                 shown_path(s), (long long)version, STORE_SCHEMA_VERSION);
        return -ENOTSUP;
    }
    if (version < STORE_SCHEMA_OLDEST) {
        snprintf(err->text, sizeof(err->text),
                 "%s: a store of schema %lld, made by an older qedcrash; this one writes and reads schema %d; judge "
                 "again into a new file",
                 shown_path(s), (long long)version, STORE_SCHEMA_VERSION);
        return -ENOTSUP;
    }
    return 0;
}

static int insert_campaign(struct store *s, const struct store_campaign *campaign, struct store_error *err)
{
    sqlite3_stmt *stmt;
    char seed[24];
    int rc = sqlite3_prepare_v2(s->db,
                                "INSERT INTO campaign (version, seed, command, options, inputs, planned, shard, shards)"
                                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, max(?7, 1), max(?8, 1))",
                                -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return store_fail(s, rc, err);
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)campaign->seed);
    sqlite3_bind_text(stmt, 1, campaign->version, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, seed, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 3, campaign->command, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 4, campaign->options ? campaign->options : "", -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 5, campaign->inputs ? campaign->inputs : "", -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 6, (int64_t)campaign->planned);
    sqlite3_bind_int64(stmt, 7, campaign->shard);
    sqlite3_bind_int64(stmt, 8, campaign->shards);
    rc = sqlite3_step(stmt);
    s->campaign = sqlite3_last_insert_rowid(s->db);
    return store_query_end(s, stmt, rc, err);
}

/* One word of the campaign in the store, against the one to go on with. */
static bool agrees(struct store *s, const char *what, const char *theirs, const char *ours, struct store_error *err)
{
    if (!strcmp(theirs, ours))
        return true;
    snprintf(err->text, sizeof(err->text),
             "%s: cannot resume: %s '%.80s' in the store, '%.80s' here; start a new store", shown_path(s), what, theirs,
             ours);
    return false;
}

static bool same_campaign(struct store *s, sqlite3_stmt *row, const struct store_campaign *c, struct store_error *err)
{
    char seed[24], shard[32];
    const char *theirs[5];
    for (int i = 0; i < 5; i++)
        theirs[i] = (const char *)sqlite3_column_text(row, i);
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)c->seed);
    snprintf(shard, sizeof(shard), "%u/%u", c->shard ? c->shard : 1, c->shards ? c->shards : 1);
    if (!agrees(s, "the version is", theirs[0], c->version, err) || !agrees(s, "the seed is", theirs[1], seed, err) ||
        !agrees(s, "the options are", theirs[2], c->options ? c->options : "", err) ||
        !agrees(s, "the shard is", theirs[4], shard, err))
        return false;
    if (!strcmp(theirs[3], c->inputs ? c->inputs : ""))
        return true;
    snprintf(
        err->text, sizeof(err->text),
        "%s: cannot resume: the store is of other scenarios, designs or disk models, or they have changed since; start "
        "a new store",
        shown_path(s));
    return false;
}

/* Goes on with the newest campaign; a store that has none yet gets one. */
static int resume_campaign(struct store *s, const struct store_campaign *campaign, struct store_error *err)
{
    sqlite3_stmt *row;
    bool same = true;
    int ret = store_query(s,
                          "SELECT version, seed, options, inputs, shard || '/' || shards, id FROM campaign"
                          " ORDER BY id DESC LIMIT 1",
                          &row, err);
    if (ret)
        return ret;
    int rc = sqlite3_step(row);
    if (rc == SQLITE_ROW) {
        s->campaign = sqlite3_column_int64(row, 5);
        same = same_campaign(s, row, campaign, err);
        rc = SQLITE_DONE;
    }
    struct store_error ignored;
    ret = store_query_end(s, row, rc, same ? err : &ignored);
    if (!same)
        return -ESTALE;
    return ret || s->campaign ? ret : insert_campaign(s, campaign, err);
}

/* Schema 4 added a table and views to schema 3, and changed nothing: they are the end of the schema. */
static int upgrade(struct store *s, struct store_error *err)
{
    int64_t version = 0;
    int ret = query_number(s, "PRAGMA user_version", &version, err);
    if (ret || version == STORE_SCHEMA_VERSION)
        return ret;
    const char *added = strstr(store_schema_sql, "-- Since schema 4.");
    int rc = sqlite3_exec(s->db, added, NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(s->db, "PRAGMA user_version = 4", NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : store_fail(s, rc, err);
}

/* Only now that the file is known to be ours. Where there can be no log, the rollback journal does. */
static int set_journal(struct store *s, struct store_error *err)
{
    if (!s->path)
        return 0;
    int rc = sqlite3_exec(s->db,
                          "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                          "PRAGMA wal_autocheckpoint = 4000",
                          NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : store_fail(s, rc, err);
}

static int begin_campaign(struct store *s, const struct store_campaign *campaign, struct store_error *err)
{
    bool empty;
    assert(campaign);
    int ret = check_identity(s, &empty, err);
    if (ret)
        return ret;
    if (sqlite3_db_readonly(s->db, "main"))
        return store_fail(s, SQLITE_READONLY, err);
    ret = set_journal(s, err);
    if (!ret)
        ret = store_run_stmt(s, STORE_STMT_BEGIN, err);
    if (!ret)
        ret = check_identity(s, &empty, err);
    if (!ret && empty) {
        int rc = sqlite3_exec(s->db, store_schema_sql, NULL, NULL, NULL);
        ret = rc == SQLITE_OK ? 0 : store_fail(s, rc, err);
    }
    if (!ret)
        ret = upgrade(s, err);
    if (!ret)
        ret = campaign->resume ? resume_campaign(s, campaign, err) : insert_campaign(s, campaign, err);
    if (!ret)
        ret = query_number(s, "SELECT coalesce(max(id), 0) FROM cell WHERE campaign < ?1", &s->base, err);
    if (!ret)
        ret = store_run_stmt(s, STORE_STMT_COMMIT, err);
    return ret;
}

static int newest_campaign(struct store *s, const struct store_campaign *none, struct store_error *err)
{
    bool empty;
    (void)none;
    int ret = check_identity(s, &empty, err);
    if (!ret)
        ret = query_number(s, "SELECT coalesce(max(id), 0) FROM campaign", &s->campaign, err);
    if (!ret && s->campaign == 0) {
        snprintf(err->text, sizeof(err->text), "%s: the store is empty; nothing was judged into it yet", shown_path(s));
        return -ENODATA;
    }
    return ret;
}

static int begin_beside(struct store *s, const struct store_campaign *none, struct store_error *err)
{
    int ret = newest_campaign(s, none, err);
    if (!ret && sqlite3_db_readonly(s->db, "main"))
        ret = store_fail(s, SQLITE_READONLY, err);
    ret = ret ? ret : set_journal(s, err);
    ret = ret ? ret : store_run_stmt(s, STORE_STMT_BEGIN, err);
    ret = ret ? ret : upgrade(s, err);
    return ret ? ret : store_run_stmt(s, STORE_STMT_COMMIT, err);
}

/* Open statements and an open transaction go with it: what was not committed is rolled back. */
static void discard(struct store *s)
{
    for (int i = 0; i < STORE_STMT_COUNT; i++)
        sqlite3_finalize(s->stmts[i]);
    sqlite3_close(s->db);
    free(s->path);
    free(s);
}

/* With these flags of SQLite's, and then `begin`. */
static int open_store(const char *path, int flags, const struct store_campaign *campaign,
                      int (*begin)(struct store *s, const struct store_campaign *campaign, struct store_error *err),
                      struct store **out, struct store_error *err)
{
    struct store *s = calloc(1, sizeof(*s));
    if (s && path)
        s->path = strdup(path);
    if (!s || (path && !s->path)) {
        free(s);
        snprintf(err->text, sizeof(err->text), "out of memory");
        return -ENOMEM;
    }
    s->read_only = flags & SQLITE_OPEN_READONLY;
    s->must_exist = !(flags & SQLITE_OPEN_CREATE);
    int rc = sqlite3_open_v2(path ? path : ":memory:", &s->db, flags, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_extended_result_codes(s->db, 1);
        sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
        rc = sqlite3_exec(s->db, "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF", NULL, NULL, NULL);
    }
    int ret = rc == SQLITE_OK ? 0 : store_fail(s, rc, err);
    if (!ret)
        ret = begin(s, campaign, err);
    if (ret) {
        discard(s);
        return ret;
    }
    *out = s;
    return 0;
}

int store_open(const char *path, const struct store_campaign *campaign, struct store **out, struct store_error *err)
{
    int flags = campaign ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    return open_store(path, flags, campaign, campaign ? begin_campaign : newest_campaign, out, err);
}

int store_open_beside(const char *path, struct store **out, struct store_error *err)
{
    return open_store(path, SQLITE_OPEN_READWRITE, NULL, begin_beside, out, err);
}

/* What is in the log goes into the file; where there is no room for it, it stays in the log. */
static int fold_log(struct store *s, struct store_error *err)
{
    int rc =
        s->path && !s->read_only ? sqlite3_exec(s->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL) : SQLITE_OK;
    return rc == SQLITE_OK ? 0 : store_fail(s, rc, err);
}

int store_close(struct store *s, struct store_error *err)
{
    int ret = fold_log(s, err);
    discard(s);
    return ret;
}

int store_each_judged(struct store *s, void (*take)(void *opaque, uint64_t place), void *opaque,
                      struct store_error *err)
{
    sqlite3_stmt *stmt;
    int rc, ret = store_query(s,
                              "SELECT id FROM cell WHERE campaign = ?1 AND NOT EXISTS"
                              " (SELECT 1 FROM finding f WHERE f.cell = cell.id AND f.class = 'died') ORDER BY id",
                              &stmt, err);
    if (ret)
        return ret;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        take(opaque, (uint64_t)(sqlite3_column_int64(stmt, 0) - s->base));
    return store_query_end(s, stmt, rc, err);
}

int store_each_finding(struct store *s, void (*take)(void *opaque, const char *id, uint64_t guest_sector), void *opaque,
                       struct store_error *err)
{
    sqlite3_stmt *stmt;
    int rc, ret = store_query(s,
                              "SELECT f.id, f.guest_sector FROM finding f JOIN cell ON f.cell = cell.id"
                              " WHERE cell.campaign = ?1 AND f.id LIKE '%@%' ORDER BY f.cell, f.seq",
                              &stmt, err);
    if (ret)
        return ret;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        take(opaque, (const char *)sqlite3_column_text(stmt, 0),
             sqlite3_column_type(stmt, 1) == SQLITE_NULL ? UINT64_MAX : (uint64_t)sqlite3_column_int64(stmt, 1));
    return store_query_end(s, stmt, rc, err);
}

int store_summarize(struct store *s, struct store_summary *summary, struct store_error *err)
{
    sqlite3_stmt *stmt;
    int ret = store_query(s,
                          "SELECT cells, safe, unsafe, skipped, incomplete, unexpected, findings, unexpected_findings,"
                          " canaries_caught, canaries_of FROM v_campaigns WHERE campaign = ?1",
                          &stmt, err);
    if (ret)
        return ret;
    *summary = (struct store_summary){0};
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        uint64_t *const fields[] = {
            &summary->cells,      &summary->safe,       &summary->unsafe,   &summary->skipped,
            &summary->incomplete, &summary->unexpected, &summary->findings, &summary->unexpected_findings};
        for (int i = 0; i < 8; i++)
            *fields[i] = (uint64_t)sqlite3_column_int64(stmt, i);
        summary->canaries_caught = (unsigned)sqlite3_column_int64(stmt, 8);
        summary->canaries_of = (unsigned)sqlite3_column_int64(stmt, 9);
        rc = SQLITE_DONE;
    }
    return store_query_end(s, stmt, rc, err);
}

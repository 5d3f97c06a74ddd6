/* compare.c: see compare.h. What is known is copied into a temporary table, so that a store is compared where it lies,
 * read-only or in memory; the comparison is a second one, a row per finding with the word for it.
 */
#include "reports/compare.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "reports/store_db.h"

static const char tables_sql[] =
    "PRAGMA temp_store = MEMORY;"
    "CREATE TEMP TABLE known (scenario, design, disk, schedule, class, class_rank, guest_cluster, missing_order, id,"
    " unexpected);"
    "CREATE TEMP TABLE known_safe (scenario, design, disk, schedule);"
    "CREATE TEMP TABLE compared (kind, scenario, design, disk, schedule, class, class_rank, guest_cluster,"
    " missing_order, id, unexpected)";

#define KEY "scenario, design, disk, schedule, class, class_rank, guest_cluster, missing_order"

static const char known_sql[] =
    "SELECT " KEY ", min(id), max(unexpected) FROM v_findings WHERE campaign = ?1 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8";
static const char known_safe_sql[] = "SELECT scenario, design, disk, schedule FROM cell"
                                     " WHERE campaign = ?1 AND verdict = 'safe' AND NOT as_expected";

static const char fresh_sql[] =
    "INSERT INTO compared SELECT CASE WHEN EXISTS (SELECT 1 FROM known k WHERE k.scenario = n.scenario AND"
    " k.design = n.design AND k.disk = n.disk AND k.schedule = n.schedule AND k.class = n.class AND"
    " k.guest_cluster IS n.guest_cluster AND k.missing_order = n.missing_order) THEN 'open' ELSE 'new' END,"
    " " KEY ", min(id), max(unexpected) FROM v_findings n WHERE campaign = ?1 GROUP BY " KEY;

static const char gone_sql[] =
    "INSERT INTO compared SELECT CASE WHEN EXISTS (SELECT 1 FROM cell c WHERE c.campaign = ?1 AND"
    " c.scenario = k.scenario AND c.design = k.design AND c.disk = k.disk AND c.schedule = k.schedule AND c.complete "
    "AND"
    " c.verdict <> 'skipped') THEN 'fixed' ELSE 'not judged' END, k.*"
    " FROM known k WHERE NOT EXISTS (SELECT 1 FROM compared n WHERE k.scenario = n.scenario AND"
    " k.design = n.design AND k.disk = n.disk AND k.schedule = n.schedule AND k.class = n.class AND"
    " k.guest_cluster IS n.guest_cluster AND k.missing_order = n.missing_order)";

static int run_sql(struct store *s, const char *sql, struct store_error *err)
{
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : store_fail(s, rc, err);
}

static int run_over_campaign(struct store *s, const char *sql, struct store_error *err)
{
    sqlite3_stmt *stmt;
    int ret = store_query(s, sql, &stmt, err);
    return ret ? ret : store_query_end(s, stmt, sqlite3_step(stmt), err);
}

/* Rows of a query over one store's campaign into a table of the other. */
static int copy(struct store *from, const char *select, struct store *to, const char *insert, struct store_error *err)
{
    sqlite3_stmt *in, *out;
    int ret = store_query(from, select, &in, err), rc;
    if (ret)
        return ret;
    rc = sqlite3_prepare_v2(to->db, insert, -1, &out, NULL);
    ret = rc == SQLITE_OK ? 0 : store_fail(to, rc, err);
    while (!ret && (rc = sqlite3_step(in)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(in); i++)
            sqlite3_bind_value(out, i + 1, sqlite3_column_value(in, i));
        rc = sqlite3_step(out);
        sqlite3_reset(out);
        ret = rc == SQLITE_DONE ? 0 : store_fail(to, rc, err);
    }
    sqlite3_finalize(out);
    if (ret) {
        sqlite3_finalize(in);
        return ret;
    }
    return store_query_end(from, in, rc, err);
}

static bool same_file(const struct store *s, const char *path)
{
    struct stat a, b;
    return s->path && !stat(s->path, &a) && !stat(path, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* Makes the campaign to compare with the one that `from` speaks of. */
static int choose_campaign(struct store *from, const char *path, int64_t before, struct store_error *err)
{
    sqlite3_stmt *stmt;
    from->campaign = before;
    int ret = store_query(from, "SELECT coalesce(max(id), 0) FROM campaign WHERE finished AND id < ?1", &stmt, err);
    if (ret)
        return ret;
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        from->campaign = sqlite3_column_int64(stmt, 0);
        rc = SQLITE_DONE;
    }
    ret = store_query_end(from, stmt, rc, err);
    if (!ret && !from->campaign) {
        snprintf(err->text, sizeof(err->text), "%s: there is no finished campaign to compare with", path);
        return -ENODATA;
    }
    return ret;
}

static int copy_known(struct store *from, const char *path, int64_t before, struct store *s, struct store_error *err)
{
    int ret = choose_campaign(from, path, before, err);
    if (!ret)
        ret = copy(from, known_sql, s, "INSERT INTO known VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)", err);
    if (!ret)
        ret = copy(from, known_safe_sql, s, "INSERT INTO known_safe VALUES (?1, ?2, ?3, ?4)", err);
    return ret;
}

static int read_known(struct store *s, const char *path, struct store_error *err)
{
    struct store_error ignored;
    if (same_file(s, path)) {
        int64_t own = s->campaign;
        int ret = copy_known(s, path, own, s, err);
        s->campaign = own;
        return ret;
    }
    struct store *old;
    int ret = store_open(path, NULL, &old, err);
    if (ret)
        return ret;
    ret = copy_known(old, path, INT64_MAX, s, err);
    store_close(old, &ignored);
    return ret;
}

int compare_with(struct store *s, const char *path, struct store_error *err)
{
    int ret = run_sql(s, tables_sql, err);
    if (!ret)
        ret = read_known(s, path, err);
    if (!ret)
        ret = run_over_campaign(s, fresh_sql, err);
    if (!ret)
        ret = run_over_campaign(s, gone_sql, err);
    s->compared = !ret;
    return ret;
}

int compare_count(struct store *s, struct compare_counts *counts, struct store_error *err)
{
    sqlite3_stmt *stmt;
    int ret =
        store_query(s,
                    "SELECT count(*) FILTER (WHERE kind = 'new'),"
                    " count(*) FILTER (WHERE kind = 'new' AND unexpected),"
                    " count(*) FILTER (WHERE kind = 'open'), count(*) FILTER (WHERE kind = 'fixed'),"
                    " count(*) FILTER (WHERE kind = 'not judged'),"
                    " (SELECT count(*) FROM cell c WHERE campaign = ?1 AND verdict = 'safe' AND NOT as_expected AND"
                    "  NOT EXISTS (SELECT 1 FROM known_safe k WHERE k.scenario = c.scenario AND"
                    "  k.design = c.design AND k.disk = c.disk AND k.schedule = c.schedule)) FROM compared",
                    &stmt, err);
    if (ret)
        return ret;
    int rc = sqlite3_step(stmt);
    uint64_t *const fields[] = {&counts->fresh, &counts->fresh_unexpected, &counts->open,
                                &counts->fixed, &counts->not_judged,       &counts->fresh_safe};
    for (int i = 0; i < 6 && rc == SQLITE_ROW; i++)
        *fields[i] = (uint64_t)sqlite3_column_int64(stmt, i);
    return store_query_end(s, stmt, rc == SQLITE_ROW ? SQLITE_DONE : rc, err);
}

static void print_quoted(FILE *out, const char *id)
{
    for (; *id; id++)
        if (*id == '\'')
            fputs("'\\''", out);
        else
            fputc(*id, out);
}

static int print_kind(struct store *s, FILE *out, const char *kind, struct store_error *err)
{
    char sql[400];
    sqlite3_stmt *stmt;
    snprintf(sql, sizeof(sql),
             "SELECT scenario, design, disk, class, missing_order, id, unexpected FROM compared WHERE kind = '%s'"
             " ORDER BY scenario, design, disk, schedule, class_rank, guest_cluster, missing_order",
             kind);
    int rc, ret = store_query(s, sql, &stmt, err);
    if (ret)
        return ret;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        const char *order = (const char *)sqlite3_column_text(stmt, 4);
        fprintf(out, "%s: %s %s %s  %s%s%s%s\n    repro: qedcrash repro '", kind, sqlite3_column_text(stmt, 0),
                sqlite3_column_text(stmt, 1), sqlite3_column_text(stmt, 2), sqlite3_column_text(stmt, 3),
                *order ? ", missing " : "", order, sqlite3_column_int(stmt, 6) ? "" : "  [as expected]");
        print_quoted(out, (const char *)sqlite3_column_text(stmt, 5));
        fputs("'\n", out);
    }
    return store_query_end(s, stmt, rc, err);
}

int compare_print(struct store *s, FILE *out, bool open, struct store_error *err)
{
    struct compare_counts n = {0};
    int ret = compare_count(s, &n, err);
    if (!ret)
        ret = print_kind(s, out, "new", err);
    if (!ret)
        ret = print_kind(s, out, "fixed", err);
    if (!ret && open)
        ret = print_kind(s, out, "open", err);
    if (!ret && open)
        ret = print_kind(s, out, "not judged", err);
    if (ret)
        return ret;
    fprintf(out, "%" PRIu64 " new (%" PRIu64 " unexpected), %" PRIu64 " fixed, %" PRIu64 " still open", n.fresh,
            n.fresh_unexpected, n.fixed, n.open);
    if (n.not_judged)
        fprintf(out, ", %" PRIu64 " not judged now", n.not_judged);
    if (n.fresh_safe)
        fprintf(out, "; %" PRIu64 " cells are safe and were expected not to be", n.fresh_safe);
    fputc('\n', out);
    return 0;
}

static int print_json_kind(struct store *s, FILE *out, const char *kind, struct store_error *err)
{
    char sql[600];
    sqlite3_stmt *stmt;
    snprintf(sql, sizeof(sql),
             "SELECT json_object('id', id, 'class', class, 'scenario', scenario, 'design', design, 'disk', disk,"
             " 'schedule', schedule, 'guest_cluster', guest_cluster, 'missing_order', missing_order, 'unexpected',"
             " json(iif(unexpected, 'true', 'false'))) FROM compared WHERE kind = '%s'"
             " ORDER BY scenario, design, disk, schedule, class_rank, guest_cluster, missing_order",
             kind);
    int rc, ret = store_query(s, sql, &stmt, err);
    if (ret)
        return ret;
    const char *separator = "";
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        fprintf(out, "%s%s", separator, sqlite3_column_text(stmt, 0));
        separator = ",";
    }
    return store_query_end(s, stmt, rc, err);
}

int compare_print_json(struct store *s, FILE *out, struct store_error *err)
{
    static const char *const kinds[][2] = {
        {"new", "new"}, {"fixed", "fixed"}, {"open", "open"}, {"not judged", "not_judged"}};
    struct compare_counts n = {0};
    int ret = compare_count(s, &n, err);
    if (ret)
        return ret;
    fprintf(out,
            "{\"counts\":{\"new\":%" PRIu64 ",\"new_unexpected\":%" PRIu64 ",\"fixed\":%" PRIu64 ",\"open\":%" PRIu64
            ",\"not_judged\":%" PRIu64 ",\"new_safe\":%" PRIu64 "}",
            n.fresh, n.fresh_unexpected, n.fixed, n.open, n.not_judged, n.fresh_safe);
    for (int i = 0; i < 4 && !ret; i++) {
        fprintf(out, ",\"%s\":[", kinds[i][1]);
        ret = print_json_kind(s, out, kinds[i][0], err);
        fputc(']', out);
    }
    fputc('}', out);
    return ret;
}

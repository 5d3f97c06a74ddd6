/* render_json.c: the one object of `--json`. SQLite's JSON functions build each cell; only the frame is printed here,
 * so a campaign of any size streams.
 */
#include <errno.h>
#include <math.h>

#include "reports/compare.h"
#include "reports/render_db.h"

/* "reading" is null where a recording has one only: see render_readings(). "schedules" is there only where a cell stands for all of them, and "cut" only where something was cut; json_insert() leaves a null "expected" alone, json_patch() would not. */
static const char cells_sql[] =
    "WITH object(scenario, design, disk, schedule, cut, schedules, text) AS ("
    "  SELECT scenario, design, disk, schedule, cut, iif(schedules_run IS NULL, NULL, json_object("
    "      'possible', schedules_possible, 'run', schedules_run, 'distinct', schedules_distinct,"
    "      'complete', json(iif(schedules_complete, 'true', 'false')))), json_object("
    "      'scenario', scenario, 'ledger', json(ledger), 'design', design, 'disk', disk, 'schedule', schedule,"
    "      'reading', CASE WHEN scenario LIKE '%+uncovered' THEN 'uncovered' WHEN EXISTS (SELECT 1 FROM v_cells o"
    "          WHERE o.campaign = c.campaign AND o.scenario = c.scenario || '+uncovered' AND o.design = c.design"
    "          AND o.disk = c.disk AND o.schedule = c.schedule) THEN 'covered' END,"
    "      'verdict', verdict, 'expected', expected, 'complete', json(iif(complete, 'true', 'false')),"
    "      'crash_points', crash_points,"
    "      'states', json_object('total', states_total, 'log2', round(states_log2, 2), 'executions', executions,"
    "          'explored', states_explored, 'covered_log2', round(covered_log2, 2), 'distinct', distinct_images),"
    "      'epochs', (SELECT json_group_array(json_object("
    "          'first_point', first_point, 'last_point', last_point, 'states', states, 'log2', round(states_log2, 2),"
    "          'explored', states_explored, 'covered_log2', round(covered_log2, 2), 'executions', executions))"
    "        FROM (SELECT * FROM epoch WHERE cell = c.cell ORDER BY seq)),"
    "      'findings', (SELECT json_group_array(json_object("
    "          'id', id, 'class', class, 'crash_point', crash_point, 'guest_sector', guest_sector,"
    "          'expected', expected, 'found', found, 'why', why,"
    "          'missing_order', missing_order, 'survivors', survivors, 'states', states))"
    "        FROM (SELECT * FROM finding WHERE cell = c.cell"
    "              ORDER BY class, guest_sector IS NULL, guest_sector, crash_point, id, seq)),"
    "      'cost', json_object('guest_writes', guest_writes, 'image_writes', image_writes, 'flushes', flushes,"
    "                          'scans', scans),"
    "      'leaks', leaks, 'dirty_after_clean', dirty_after_clean)"
    "  FROM v_cells c WHERE campaign = ?1 AND verdict <> 'skipped')"
    ", listed(scenario, design, disk, schedule, cut, text) AS ("
    "  SELECT scenario, design, disk, schedule, cut,"
    "      iif(schedules IS NULL, text, json_insert(text, '$.schedules', json(schedules))) FROM object)"
    " SELECT iif(cut IS NULL, text, json_insert(text, '$.cut', cut)) FROM listed"
    " ORDER BY scenario, design, disk, schedule";

static const char skipped_sql[] =
    "SELECT json_object('scenario', scenario, 'design', design, 'disk', disk, 'schedule', schedule,"
    "                   'reason', skip_reason)"
    " FROM v_cells WHERE campaign = ?1 AND verdict = 'skipped' ORDER BY scenario, design, disk, schedule";

static const char head_sql[] = "SELECT json_quote(version), seed FROM campaign WHERE id = ?1";
static const char canaries_sql[] =
    "SELECT json_object('caught', canaries_caught, 'of', canaries_of) FROM campaign WHERE id = ?1";

/* One or two columns of the campaign's one row. */
static int print_campaign(struct store *s, FILE *out, const char *sql, const char *before, const char *between,
                          struct store_error *err)
{
    sqlite3_stmt *stmt;
    int ret = store_query(s, sql, &stmt, err);
    if (ret)
        return ret;
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        fprintf(out, "%s%s", before, sqlite3_column_text(stmt, 0));
        if (sqlite3_column_count(stmt) > 1)
            fprintf(out, "%s%s", between, sqlite3_column_text(stmt, 1));
        rc = SQLITE_DONE;
    }
    return store_query_end(s, stmt, rc, err);
}

static int print_array(struct store *s, FILE *out, const char *sql, struct store_error *err)
{
    sqlite3_stmt *stmt;
    int ret = store_query(s, sql, &stmt, err);
    if (ret)
        return ret;
    int rc;
    const char *separator = "";
    fputc('[', out);
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        fprintf(out, "%s%s", separator, sqlite3_column_text(stmt, 0));
        separator = ",";
    }
    fputc(']', out);
    return store_query_end(s, stmt, rc, err);
}

static int print_coverage(struct store *s, FILE *out, struct store_error *err)
{
    struct render_coverage c;
    int ret = render_coverage(s, &c, err);
    if (ret || isinf(c.states_log2))
        return ret;
    fprintf(out, ",\"coverage\":{\"log2\":%.2f,\"covered_log2\":", c.states_log2);
    if (isinf(c.covered_log2))
        fputs("null", out);
    else
        fprintf(out, "%.2f", c.covered_log2);
    fprintf(out, ",\"executions\":%lld}", (long long)c.executions);
    return 0;
}

int render_json(struct store *s, FILE *out, struct store_error *err)
{
    int ret = print_campaign(s, out, head_sql, "{\"qedcrash\":", ",\"seed\":", err);
    if (!ret) {
        fputs(",\"cells\":", out);
        ret = print_array(s, out, cells_sql, err);
    }
    if (!ret)
        ret = print_campaign(s, out, canaries_sql, ",\"canaries\":", "", err);
    if (!ret)
        ret = print_coverage(s, out, err);
    if (!ret) {
        fputs(",\"skipped\":", out);
        ret = print_array(s, out, skipped_sql, err);
    }
    if (!ret && s->compared) {
        fputs(",\"baseline\":", out);
        ret = compare_print_json(s, out, err);
    }
    if (ret)
        return ret;
    fputs("}\n", out);
    return render_flush(out, err);
}

/* render_terminal.c: cells, findings and the summary in words, for a person at a terminal. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "reports/render_db.h"

#define RESET "\033[0m"

int render_flush(FILE *out, struct store_error *err)
{
    if (fflush(out) == 0 && !ferror(out))
        return 0;
    snprintf(err->text, sizeof(err->text), "the result could not be written: %s", strerror(errno));
    return -EIO;
}

unsigned render_columns(const char *text)
{
    unsigned columns = 0;
    for (; *text; text++)
        columns += ((unsigned char)*text & 0xc0) != 0x80; /* continuation bytes take no room */
    return columns;
}

void render_padded(FILE *out, const struct render_options *o, const char *text, unsigned width, const char *color)
{
    if (color && o->color)
        fprintf(out, "%s%s%s", color, text, RESET);
    else
        fputs(text, out);
    for (unsigned columns = render_columns(text); columns < width; columns++)
        fputc(' ', out);
}

const char *render_text(sqlite3_stmt *stmt, int column)
{
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    return text ? text : "";
}

void render_repro(FILE *out, const char *id)
{
    fputs("repro: qedcrash repro '", out);
    for (; *id; id++) {
        if (*id == '\'')
            fputs("'\\''", out);
        else
            fputc(*id, out);
    }
    fputs("'\n", out);
}

/* Each line of `text` indented; a missing newline at the end is added. */
static void print_indented(FILE *out, const char *text, int indent)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        fprintf(out, "%*s%.*s\n", length ? indent : 0, "", (int)length, text);
        text += length + (text[length] == '\n');
    }
}

/* The findings of one cell, as JSON sorts them too. `again`: the same class and missing order stood above. */
static const char findings_sql[] =
    "SELECT id, class, crash_point, guest_sector, expected, found, why, story,"
    "  row_number() OVER (PARTITION BY class, missing_order"
    "                     ORDER BY guest_sector IS NULL, guest_sector, crash_point, id, seq) > 1 AS again"
    " FROM v_findings WHERE campaign = ?1 AND cell = ?2"
    " ORDER BY class, guest_sector IS NULL, guest_sector, crash_point, id, seq";

/* "guest sector 12, crash point 7: expected backing 12, found zero" */
static void print_where(FILE *out, sqlite3_stmt *row)
{
    if (sqlite3_column_type(row, 3) != SQLITE_NULL)
        fprintf(out, "guest sector %s, ", render_text(row, 3));
    fprintf(out, "crash point %s", render_text(row, 2));
    if (*render_text(row, 4) || *render_text(row, 5))
        fprintf(out, ": expected %s, found %s", render_text(row, 4), render_text(row, 5));
    fputc('\n', out);
}

static void print_finding(FILE *out, const struct render_options *o, sqlite3_stmt *row, bool with_repro)
{
    const char *class = render_text(row, 1);
    bool again = sqlite3_column_int(row, 8) && !o->verbose;

    fputs("    ", out);
    render_padded(out, o, class, 0, RENDER_RED);
    if (again)
        fputs(", the same order missing: ", out);
    else
        fprintf(out, ": %s\n      ", verdict_class_meaning(verdict_class_parse(class)));
    print_where(out, row);
    if (!again && !o->quiet)
        print_indented(out, render_text(row, 7), 6);
    if (!again)
        print_indented(out, render_text(row, 6), 6);
    if (with_repro) {
        fputs("      ", out);
        render_repro(out, render_text(row, 0));
    }
}

static int print_findings(struct store *s, FILE *out, const struct render_options *o, int64_t cell, bool with_repro,
                          struct store_error *err)
{
    sqlite3_stmt *row;
    int ret = store_query(s, findings_sql, &row, err);
    if (ret)
        return ret;
    sqlite3_bind_int64(row, 2, cell);
    int rc;
    while ((rc = sqlite3_step(row)) == SQLITE_ROW)
        print_finding(out, o, row, with_repro);
    return store_query_end(s, row, rc, err);
}

/* How wide the name columns are, and whether schedules need naming. */
struct layout {
    unsigned scenario, design, disk;
    bool schedules;
    uint64_t findings;
};

static int measure(struct store *s, struct layout *layout, struct store_error *err)
{
    sqlite3_stmt *row;
    int ret = store_query(s,
                          "SELECT max(length(scenario)), max(length(design)), max(length(disk)),"
                          " min(schedule) <> max(schedule), sum(findings) FROM v_cells WHERE campaign = ?1",
                          &row, err);
    if (ret)
        return ret;
    int rc = sqlite3_step(row);
    if (rc == SQLITE_ROW) {
        layout->scenario = (unsigned)sqlite3_column_int(row, 0);
        layout->design = (unsigned)sqlite3_column_int(row, 1);
        layout->disk = (unsigned)sqlite3_column_int(row, 2);
        layout->schedules = sqlite3_column_int(row, 3);
        layout->findings = (uint64_t)sqlite3_column_int64(row, 4);
        rc = SQLITE_DONE;
    }
    return store_query_end(s, row, rc, err);
}

static const char cells_sql[] =
    "SELECT cell, scenario, design, disk, schedule, verdict, classes, skip_reason, expected, expected_classes,"
    " unexpected, complete, cut, crash_points, states_total, states_log2, executions, schedules_possible,"
    " schedules_run, schedules_distinct, schedules_complete, distinct_images, distinct_at_least FROM v_cells"
    " WHERE campaign = ?1 ORDER BY scenario, design, disk, schedule";
enum {
    CELL,
    SCENARIO,
    DESIGN,
    DISK,
    SCHEDULE,
    VERDICT,
    CLASSES,
    SKIP_REASON,
    EXPECTED,
    EXPECTED_CLASSES,
    UNEXPECTED,
    COMPLETE,
    CUT,
    CRASH_POINTS,
    STATES_TOTAL,
    STATES_LOG2,
    EXECUTIONS,
    SCHEDULES_POSSIBLE,
    SCHEDULES_RUN,
    SCHEDULES_DISTINCT,
    SCHEDULES_COMPLETE,
    DISTINCT_IMAGES,
    DISTINCT_AT_LEAST
};

static void print_numbers(FILE *out, sqlite3_stmt *row)
{
    fprintf(out, "  %s crash points, %s states (2^%.2f), ", render_text(row, CRASH_POINTS),
            render_text(row, STATES_TOTAL), sqlite3_column_double(row, STATES_LOG2));
    if (sqlite3_column_int(row, COMPLETE))
        fputs("complete", out);
    else
        fprintf(out, "INCOMPLETE%s%s", *render_text(row, CUT) ? ": " : "", render_text(row, CUT));
    fprintf(out, ", %s executions", render_text(row, EXECUTIONS));
    if (sqlite3_column_type(row, DISTINCT_IMAGES) != SQLITE_NULL)
        fprintf(out, ", %s%s distinct images", sqlite3_column_int(row, DISTINCT_AT_LEAST) ? "at least " : "",
                render_text(row, DISTINCT_IMAGES));
    if (sqlite3_column_type(row, SCHEDULES_RUN) == SQLITE_NULL)
        return;
    if (sqlite3_column_int(row, SCHEDULES_COMPLETE) && sqlite3_column_int64(row, SCHEDULES_RUN) == 1)
        fputs(", its only schedule", out);
    else if (sqlite3_column_int(row, SCHEDULES_COMPLETE))
        fprintf(out, ", all %s schedules (%s distinct)", render_text(row, SCHEDULES_RUN),
                render_text(row, SCHEDULES_DISTINCT));
    else
        fprintf(out, ", %s of at least %s schedules (%s distinct)", render_text(row, SCHEDULES_RUN),
                render_text(row, SCHEDULES_POSSIBLE), render_text(row, SCHEDULES_DISTINCT));
}

/* What was expected beside what came, in words; nothing where nothing was stated and nothing was found. */
static void print_expectation(FILE *out, sqlite3_stmt *row)
{
    const char *expected = render_text(row, EXPECTED), *classes = render_text(row, EXPECTED_CLASSES);
    if (!sqlite3_column_int(row, UNEXPECTED))
        fputs(*expected ? "  [as expected]" : "", out);
    else if (!*expected)
        fputs("  [no expectation stated]", out);
    else
        fprintf(out, "  [UNEXPECTED: expected %s%s%s]", expected, *classes ? " " : "", classes);
}

static void print_cell(FILE *out, const struct render_options *o, const struct layout *layout, sqlite3_stmt *row)
{
    const char *verdict = render_text(row, VERDICT);

    render_padded(out, o, render_text(row, SCENARIO), layout->scenario + 2, NULL);
    render_padded(out, o, render_text(row, DESIGN), layout->design + 2, NULL);
    render_padded(out, o, render_text(row, DISK), layout->disk + 2, NULL);
    if (layout->schedules)
        fprintf(out, "schedule %-4s  ", render_text(row, SCHEDULE));
    if (strcmp(verdict, "skipped") == 0) {
        fprintf(out, "skipped: %s\n", render_text(row, SKIP_REASON));
        return;
    }
    if (strcmp(verdict, "unsafe") == 0) {
        render_padded(out, o, "UNSAFE", 6, RENDER_RED);
        fprintf(out, "%s%s", *render_text(row, CLASSES) ? "  " : "", render_text(row, CLASSES));
    } else {
        render_padded(out, o, "safe", 6, RENDER_GREEN);
    }
    print_numbers(out, row);
    print_expectation(out, row);
    fputc('\n', out);
}

/* Where the states are, and what they took. */
static int print_epochs(struct store *s, FILE *out, int64_t cell, struct store_error *err)
{
    sqlite3_stmt *row;
    int ret = store_query(s,
                          "SELECT first_point, last_point, states, states_log2, states_explored, covered_log2,"
                          " executions FROM v_epochs WHERE campaign = ?1 AND cell = ?2 ORDER BY seq",
                          &row, err);
    if (ret)
        return ret;
    sqlite3_bind_int64(row, 2, cell);
    int rc;
    while ((rc = sqlite3_step(row)) == SQLITE_ROW) {
        fprintf(out, "    epoch of crash points %s to %s: %s states (2^%.2f), ", render_text(row, 0),
                render_text(row, 1), render_text(row, 2), sqlite3_column_double(row, 3));
        if (sqlite3_column_type(row, 5) == SQLITE_NULL)
            fputs("none explored", out);
        else if (!strcmp(render_text(row, 4), render_text(row, 2)))
            fputs("all explored", out);
        else
            fprintf(out, "2^%.2f of them explored", sqlite3_column_double(row, 5));
        fprintf(out, ", %s executions\n", render_text(row, 6));
    }
    return store_query_end(s, row, rc, err);
}

int render_cells(struct store *s, FILE *out, const struct render_options *o, struct store_error *err)
{
    struct layout layout = {0};
    sqlite3_stmt *row;
    int ret = measure(s, &layout, err);
    if (!ret)
        ret = store_query(s, cells_sql, &row, err);
    if (ret)
        return ret;
    int rc;
    while ((rc = sqlite3_step(row)) == SQLITE_ROW) {
        bool unsafe = strcmp(render_text(row, VERDICT), "unsafe") == 0;
        if (o->quiet && !unsafe && !sqlite3_column_int(row, UNEXPECTED))
            continue;
        print_cell(out, o, &layout, row);
        ret = o->verbose ? print_epochs(s, out, sqlite3_column_int64(row, CELL), err) : 0;
        /* A single finding's repro line is the last line of the whole output. */
        if (!ret)
            ret = print_findings(s, out, o, sqlite3_column_int64(row, CELL), layout.findings > 1, err);
        if (ret) {
            sqlite3_finalize(row);
            return ret;
        }
    }
    return store_query_end(s, row, rc, err);
}

/* log2(2^a + 2^b) */
static double add_log2(double a, double b)
{
    double hi = a > b ? a : b, lo = a > b ? b : a;
    return isinf(lo) ? hi : hi + log2(1 + exp2(lo - hi));
}

int render_coverage(struct store *s, struct render_coverage *out, struct store_error *err)
{
    sqlite3_stmt *row;
    int ret = store_query(s,
                          "SELECT states_log2, states_log2 + covered_log2, executions FROM v_cells"
                          " WHERE campaign = ?1 AND verdict <> 'skipped' ORDER BY scenario, design, disk, schedule",
                          &row, err);
    *out = (struct render_coverage){.states_log2 = -INFINITY};
    if (ret)
        return ret;
    double explored_log2 = -INFINITY;
    bool all = true;
    int rc;
    while ((rc = sqlite3_step(row)) == SQLITE_ROW) {
        bool none = sqlite3_column_type(row, 1) == SQLITE_NULL;
        out->states_log2 = add_log2(out->states_log2, sqlite3_column_double(row, 0));
        if (!none)
            explored_log2 = add_log2(explored_log2, sqlite3_column_double(row, 1));
        all &= !none && sqlite3_column_double(row, 1) >= sqlite3_column_double(row, 0);
        out->executions += sqlite3_column_int64(row, 2);
    }
    out->covered_log2 = all ? 0 : explored_log2 - out->states_log2;
    return store_query_end(s, row, rc, err);
}

static void print_coverage(FILE *out, const struct render_coverage *c)
{
    if (isinf(c->states_log2))
        return;
    fprintf(out, "2^%.2f crash states, ", c->states_log2);
    if (isinf(c->covered_log2))
        fputs("none of them explored", out);
    else if (c->covered_log2 < 0)
        fprintf(out, "2^%.2f of them explored", c->covered_log2);
    else
        fputs("all of them explored", out);
    fprintf(out, ", %lld executions\n", (long long)c->executions);
}

static void print_summary(FILE *out, const struct render_options *o, sqlite3_stmt *row)
{
    int64_t n[9];
    for (int i = 0; i < 9; i++)
        n[i] = sqlite3_column_int64(row, i);
    const int64_t cells = n[0], safe = n[1], unsafe = n[2], incomplete = n[3], skipped = n[4], unexpected = n[5],
                  unexpected_safe = n[6], caught = n[7], of = n[8];

    fprintf(out, "%lld cell%s: %lld safe", (long long)cells, cells == 1 ? "" : "s", (long long)safe);
    if (unexpected_safe)
        fprintf(out, " (%lld unexpected)", (long long)unexpected_safe);
    fprintf(out, ", %lld unsafe (%lld as expected, %lld unexpected), %lld incomplete, %lld skipped", (long long)unsafe,
            (long long)(unsafe - (unexpected - unexpected_safe)), (long long)(unexpected - unexpected_safe),
            (long long)incomplete, (long long)skipped);
    if (of) {
        char text[80];
        snprintf(text, sizeof(text), "canaries %lld of %lld caught", (long long)caught, (long long)of);
        fputs("; ", out);
        render_padded(out, o, text, 0, caught < of ? RENDER_RED : NULL);
        if (caught < of)
            fputs(": the tester missed a planted bug, do not trust this campaign", out);
    }
    fputc('\n', out);
}

int render_summary(struct store *s, FILE *out, const struct render_options *o, struct store_error *err)
{
    sqlite3_stmt *row;
    int ret = store_query(s,
                          "SELECT cells, safe, unsafe, incomplete, skipped, unexpected, unexpected_safe,"
                          " canaries_caught, canaries_of FROM v_campaigns WHERE campaign = ?1",
                          &row, err);
    if (ret)
        return ret;
    int rc = sqlite3_step(row);
    if (rc == SQLITE_ROW) {
        print_summary(out, o, row);
        rc = SQLITE_DONE;
    }
    struct render_coverage coverage;
    ret = store_query_end(s, row, rc, err);
    if (!ret)
        ret = render_coverage(s, &coverage, err);
    if (!ret)
        print_coverage(out, &coverage);
    return ret;
}

int render_closing_repro(struct store *s, FILE *out, bool any_finding, struct store_error *err)
{
    sqlite3_stmt *row;
    int ret = store_query(s,
                          "SELECT id FROM ("
                          "  SELECT id, unexpected, 0 AS whole_cell FROM v_findings WHERE campaign = ?1 UNION ALL"
                          "  SELECT repro, 1, 1 FROM v_cells WHERE campaign = ?1 AND unexpected AND repro <> '')"
                          " WHERE unexpected OR ?2"
                          " ORDER BY unexpected DESC, whole_cell, length(id), id LIMIT 1",
                          &row, err);
    if (ret)
        return ret;
    sqlite3_bind_int(row, 2, any_finding);
    int rc = sqlite3_step(row);
    if (rc == SQLITE_ROW) {
        render_repro(out, render_text(row, 0));
        rc = SQLITE_DONE;
    }
    return store_query_end(s, row, rc, err);
}

/* Each recording that was judged by both readings of its log: the other reading's name is the recording's with
 * "+uncovered" behind it. What a cell misses that was not judged to its end is no news of its reading. */
static const char readings_sql[] =
    "WITH pair(name, covered, uncovered, complete) AS ("
    "  SELECT a.scenario, a.cell, b.cell, a.complete AND b.complete FROM v_cells a JOIN v_cells b"
    "    ON b.campaign = a.campaign AND b.scenario = a.scenario || '+uncovered' AND b.design = a.design"
    "    AND b.disk = a.disk AND b.schedule = a.schedule"
    "  WHERE a.campaign = ?1 AND a.verdict <> 'skipped' AND b.verdict <> 'skipped')"
    ", found(cell, class, guest_cluster, missing_order) AS ("
    "  SELECT cell, class, guest_cluster, missing_order FROM v_findings WHERE campaign = ?1)"
    "SELECT name,"
    "  sum((SELECT count(*) FROM (SELECT class, guest_cluster, missing_order FROM found WHERE cell = covered"
    "    INTERSECT SELECT class, guest_cluster, missing_order FROM found WHERE cell = uncovered))),"
    "  sum((SELECT count(*) FROM (SELECT class, guest_cluster, missing_order FROM found WHERE cell = covered"
    "    EXCEPT SELECT class, guest_cluster, missing_order FROM found WHERE cell = uncovered))),"
    "  sum((SELECT count(*) FROM (SELECT class, guest_cluster, missing_order FROM found WHERE cell = uncovered"
    "    EXCEPT SELECT class, guest_cluster, missing_order FROM found WHERE cell = covered))),"
    "  min(complete) FROM pair GROUP BY name ORDER BY name";

static int render_readings(struct store *s, FILE *out, struct store_error *err)
{
    sqlite3_stmt *row;
    int ret = store_query(s, readings_sql, &row, err);
    if (ret)
        return ret;
    int rc;
    while ((rc = sqlite3_step(row)) == SQLITE_ROW)
        fprintf(out, "%s: findings under both readings %s, under this one only %s, under +uncovered only %s%s\n",
                render_text(row, 0), render_text(row, 1), render_text(row, 2), render_text(row, 3),
                sqlite3_column_int(row, 4) ? "" : " (as far as was judged)");
    return store_query_end(s, row, rc, err);
}

int render_run(struct store *s, FILE *out, const struct render_options *o, struct store_error *err)
{
    struct store_summary summary;
    int ret = store_summarize(s, &summary, err);
    if (!ret)
        ret = render_cells(s, out, o, err);
    if (!ret && summary.cells + summary.skipped != 1)
        ret = render_summary(s, out, o, err);
    if (!ret)
        ret = render_readings(s, out, err);
    if (!ret)
        ret = render_closing_repro(s, out, true, err);
    return ret ? ret : render_flush(out, err);
}

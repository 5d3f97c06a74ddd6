/* render_junit.c: the campaign as JUnit XML, in the dialect that GitLab and Jenkins read: a suite per disk model, a test
 * case per cell, its class name the scenario; a failure is what nobody expected. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/markup.h"
#include "reports/render_db.h"
#include "reports/report.h"

struct junit {
    FILE *out;
    char disk[128]; /* the suite that is open, or "" */
};

static const char cells_sql[] =
    "SELECT disk, scenario, design, schedule, verdict, skip_reason, expected, expected_classes, unexpected, classes,"
    " complete, cut, repro, cell,"
    " count(*) OVER suite, sum(unexpected) OVER suite, sum(verdict = 'skipped') OVER suite"
    " FROM v_cells WHERE campaign = ?1"
    " WINDOW suite AS (PARTITION BY disk) ORDER BY disk, scenario, design, schedule";

enum column {
    DISK,
    SCENARIO,
    DESIGN,
    SCHEDULE,
    VERDICT,
    SKIP,
    EXPECTED,
    EXPECTED_CLASSES,
    UNEXPECTED,
    CLASSES,
    COMPLETE,
    CUT,
    REPRO,
    CELL,
    TESTS,
    FAILURES,
    SKIPPED
};

static void attribute(FILE *out, const char *name, const char *value)
{
    fprintf(out, " %s=\"", name);
    markup_xml(out, value);
    fputc('"', out);
}

static void open_suite(struct junit *j, sqlite3_stmt *row)
{
    if (!strcmp(j->disk, render_text(row, DISK)))
        return;
    if (*j->disk)
        fputs("  </testsuite>\n", j->out);
    snprintf(j->disk, sizeof(j->disk), "%s", render_text(row, DISK));
    fputs("  <testsuite", j->out);
    attribute(j->out, "name", j->disk);
    attribute(j->out, "tests", render_text(row, TESTS));
    attribute(j->out, "failures", render_text(row, FAILURES));
    fputs(" errors=\"0\"", j->out);
    attribute(j->out, "skipped", render_text(row, SKIPPED));
    fputs(" time=\"0\">\n", j->out);
}

/* "id: why", a line per finding. */
static int list_findings(struct store *s, FILE *out, int64_t cell, struct store_error *err)
{
    sqlite3_stmt *row;
    int rc, ret = store_query(
                s, "SELECT id, class, why, because FROM v_findings WHERE cell = ?1 ORDER BY class_rank, id, seq", &row,
                err);
    if (ret)
        return ret;
    sqlite3_bind_int64(row, 1, cell);
    while ((rc = sqlite3_step(row)) == SQLITE_ROW) {
        markup_xml(out, render_text(row, 1));
        fputs(": ", out);
        markup_xml(out, render_text(row, 2));
        fputc(' ', out);
        markup_xml(out, render_text(row, 3));
        fputs("\n  qedcrash repro ", out);
        char *quoted = markup_shell(render_text(row, 0));
        markup_xml(out, quoted ? quoted : "");
        free(quoted);
        fputc('\n', out);
    }
    return store_query_end(s, row, rc, err);
}

/* What was expected and what came, in one line. */
static void message(FILE *out, sqlite3_stmt *row)
{
    const char *expected = render_text(row, EXPECTED);
    fputs(" message=\"", out);
    markup_xml(out, render_text(row, VERDICT));
    if (*render_text(row, CLASSES)) {
        fputs(" (", out);
        markup_xml(out, render_text(row, CLASSES));
        fputc(')', out);
    }
    fputs("; expected ", out);
    markup_xml(out, *expected ? expected : "no finding");
    if (*render_text(row, EXPECTED_CLASSES)) {
        fputc(' ', out);
        markup_xml(out, render_text(row, EXPECTED_CLASSES));
    }
    fputs("\" type=\"", out);
    markup_xml(out, *render_text(row, CLASSES) ? render_text(row, CLASSES) : "unexpected");
    fputc('"', out);
}

static int write_case(struct store *s, struct junit *j, sqlite3_stmt *row, struct store_error *err)
{
    bool unexpected = sqlite3_column_int(row, UNEXPECTED), skipped = !strcmp(render_text(row, VERDICT), "skipped");
    bool unsafe = !strcmp(render_text(row, VERDICT), "unsafe");
    int ret = 0;
    fputs("    <testcase", j->out);
    attribute(j->out, "classname", render_text(row, SCENARIO));
    fputs(" name=\"", j->out);
    markup_xml(j->out, render_text(row, DESIGN));
    fputs(" on ", j->out);
    markup_xml(j->out, render_text(row, DISK));
    if (strcmp(render_text(row, SCHEDULE), "1") != 0)
        fprintf(j->out, ", schedule %s", render_text(row, SCHEDULE));
    fputs("\" time=\"0\"", j->out);
    if (!unexpected && !skipped && !unsafe) {
        fputs("/>\n", j->out);
        return 0;
    }
    fputs(">\n", j->out);
    if (skipped) {
        fputs("      <skipped", j->out);
        attribute(j->out, "message", render_text(row, SKIP));
        fputs("/>\n", j->out);
    } else {
        fputs(unexpected ? "      <failure" : "      <system-out>", j->out);
        if (unexpected) {
            message(j->out, row);
            fputc('>', j->out);
        }
        ret = list_findings(s, j->out, sqlite3_column_int64(row, CELL), err);
        fputs(unexpected ? "</failure>\n" : "</system-out>\n", j->out);
    }
    fputs("    </testcase>\n", j->out);
    return ret;
}

static void write_canaries(FILE *out, const struct store_summary *sum)
{
    bool missed = sum->canaries_caught < sum->canaries_of;
    if (!sum->canaries_of)
        return;
    fprintf(out,
            "  <testsuite name=\"canaries\" tests=\"1\" failures=\"%d\" errors=\"0\" skipped=\"0\" time=\"0\">\n"
            "    <testcase classname=\"canaries\" name=\"every planted bug is caught\" time=\"0\">",
            missed);
    if (missed)
        fprintf(out,
                "<failure message=\"%u of %u planted bugs were missed\" type=\"canary\">no verdict of this campaign "
                "can be trusted</failure>",
                sum->canaries_of - sum->canaries_caught, sum->canaries_of);
    fputs("</testcase>\n  </testsuite>\n", out);
}

int report_junit(struct store *s, FILE *out, struct store_error *err)
{
    struct junit j = {.out = out};
    struct store_summary sum;
    sqlite3_stmt *row;
    int rc, ret = store_summarize(s, &sum, err);
    if (!ret)
        ret = store_query(s, cells_sql, &row, err);
    if (ret)
        return ret;
    bool missed = sum.canaries_caught < sum.canaries_of;
    fprintf(out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuites name=\"qedcrash\" tests=\"%" PRIu64 "\" failures=\"%" PRIu64
            "\" errors=\"0\" skipped=\"%" PRIu64 "\" time=\"0\">\n",
            sum.cells + sum.skipped + (sum.canaries_of > 0), sum.unexpected + missed, sum.skipped);
    while (!ret && (rc = sqlite3_step(row)) == SQLITE_ROW) {
        open_suite(&j, row);
        ret = write_case(s, &j, row, err);
    }
    if (ret)
        sqlite3_finalize(row);
    else
        ret = store_query_end(s, row, rc, err);
    if (*j.disk)
        fputs("  </testsuite>\n", out);
    write_canaries(out, &sum);
    fputs("</testsuites>\n", out);
    return ret ? ret : render_flush(out, err);
}

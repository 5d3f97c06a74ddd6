/* render_markdown.c: the campaign as a Markdown summary, for a merge request or a job's page; and as the lines that GitHub's
 * runners turn into annotations. */
#include <stdlib.h>
#include <string.h>

#include "reports/markup.h"
#include "reports/render_db.h"
#include "reports/report.h"

#define MAX_BUGS 50

static int each(struct store *s, const char *sql, void (*take)(FILE *out, sqlite3_stmt *row, unsigned n), FILE *out,
                unsigned *count, struct store_error *err)
{
    sqlite3_stmt *row;
    int rc, ret = store_query(s, sql, &row, err);
    *count = 0;
    if (ret)
        return ret;
    while ((rc = sqlite3_step(row)) == SQLITE_ROW)
        take(out, row, (*count)++);
    return store_query_end(s, row, rc, err);
}

/* --- Markdown ------------------------------------------------------------------------------------------------------ */

static void markdown_row(FILE *out, sqlite3_stmt *row, unsigned n)
{
    (void)n;
    fputc('|', out);
    for (int i = 0; i < sqlite3_column_count(row); i++) {
        fputc(' ', out);
        markup_markdown(out, render_text(row, i));
        fputs(" |", out);
    }
    fputc('\n', out);
}

static void markdown_bug(FILE *out, sqlite3_stmt *row, unsigned n)
{
    if (n >= MAX_BUGS)
        return;
    fputs("- **", out);
    markup_markdown(out, render_text(row, 0));
    fputs("** under `", out);
    for (const char *c = render_text(row, 1); *c; c++)
        fputc(*c == '`' || *c == '\n' ? ' ' : *c, out);
    fputc('`', out);
    if (*render_text(row, 2)) {
        fputs(", missing ", out);
        markup_markdown(out, render_text(row, 2));
    }
    fprintf(out, " (%s): ", render_text(row, 5));
    markup_markdown(out, render_text(row, 4));
    char *quoted = markup_shell(render_text(row, 3));
    fprintf(out, "\n\n      qedcrash repro %s\n\n", quoted ? quoted : "");
    free(quoted);
}

#define BUG_COLUMNS                                                                                                    \
    "SELECT class, design, missing_order, id, why, findings || iif(findings = 1, ' finding', ' findings'), scenario"   \
    " FROM v_bugs WHERE campaign = ?1"

int report_markdown(struct store *s, FILE *out, struct store_error *err)
{
    char headline[400];
    unsigned n = 0;
    int ret = report_headline(s, headline, sizeof(headline), err);
    if (ret)
        return ret;
    fputs("## qedcrash: ", out);
    markup_markdown(out, headline);
    fputs("\n\n| cells | safe | unsafe | unexpected | skipped | findings | planted bugs caught |\n"
          "|--:|--:|--:|--:|--:|--:|--:|\n",
          out);
    ret = each(s,
               "SELECT cells, safe, unsafe, unexpected, skipped, findings, canaries_caught || ' of ' || canaries_of"
               " FROM v_campaigns WHERE campaign = ?1",
               markdown_row, out, &n, err);
    fputs("\n### Unexpected\n\n", out);
    if (!ret)
        ret = each(s, BUG_COLUMNS " AND unexpected ORDER BY class_rank, missing_order, design", markdown_bug, out, &n,
                   err);
    if (!n)
        fputs("Nothing.\n", out);
    else if (n > MAX_BUGS)
        fprintf(out, "... and %u more: see index.html.\n", n - MAX_BUGS);
    fputs("\n### By design\n\n| design | cells | safe | unsafe | unexpected | image writes | flushes | scans |\n"
          "|---|--:|--:|--:|--:|--:|--:|--:|\n",
          out);
    if (!ret)
        ret = each(s,
                   "SELECT design, count(*), sum(verdict = 'safe'), sum(verdict = 'unsafe'), sum(unexpected),"
                   " sum(image_writes), sum(flushes), sum(scans) FROM v_cells"
                   " WHERE campaign = ?1 AND verdict <> 'skipped' GROUP BY design ORDER BY design",
                   markdown_row, out, &n, err);
    return ret ? ret : render_flush(out, err);
}

/* --- GitHub -------------------------------------------------------------------------------------------------------- */

static void github_bug(FILE *out, sqlite3_stmt *row, unsigned n)
{
    char *quoted = markup_shell(render_text(row, 3));
    const char *scenario = render_text(row, 6);
    (void)n;
    fputs("::error title=", out);
    markup_github(out, render_text(row, 0), 1);
    fputs(" under ", out);
    markup_github(out, render_text(row, 1), 1);
    if (strchr(scenario, '/') || strstr(scenario, ".scn")) {
        fputs(",file=", out);
        markup_github(out, scenario, 1);
    }
    fputs("::", out);
    markup_github(out, render_text(row, 4), 0);
    fputs("%0Aqedcrash repro ", out);
    markup_github(out, quoted ? quoted : "", 0);
    fputc('\n', out);
    free(quoted);
}

/* What was expected to fail and did not, or fails without a finding. */
static void github_cell(FILE *out, sqlite3_stmt *row, unsigned n)
{
    (void)n;
    fputs("::error title=unexpectedly ", out);
    markup_github(out, render_text(row, 1), 1);
    fputs("::", out);
    markup_github(out, render_text(row, 0), 0);
    fputc('\n', out);
}

int report_github(struct store *s, FILE *out, struct store_error *err)
{
    char headline[400];
    unsigned n;
    struct store_summary sum;
    int ret = report_headline(s, headline, sizeof(headline), err);
    if (!ret)
        ret = store_summarize(s, &sum, err);
    if (!ret)
        ret =
            each(s, BUG_COLUMNS " AND unexpected ORDER BY class_rank, missing_order, design", github_bug, out, &n, err);
    if (!ret)
        ret = each(s,
                   "SELECT scenario || ' under ' || design || ' on ' || disk || ': ' || verdict, verdict FROM v_cells"
                   " WHERE campaign = ?1 AND unexpected AND findings = 0 ORDER BY scenario, design, disk",
                   github_cell, out, &n, err);
    if (ret)
        return ret;
    fputs(sum.canaries_caught < sum.canaries_of ? "::error title=qedcrash::" : "::notice title=qedcrash::", out);
    markup_github(out, headline, 0);
    fputc('\n', out);
    return render_flush(out, err);
}

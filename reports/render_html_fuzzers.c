/* render_html_fuzzers.c: the page's table of the fuzzers' benchmark: how soon each finds each known-bad design. */
#include <stdlib.h>

#include "reports/page.h"

static int count_views(struct page *p, sqlite3_stmt *row, void *opaque)
{
    (void)p;
    *(int *)opaque = sqlite3_column_int(row, 0);
    return 0;
}

/* "1.20 (0.80 to 3.10)", and executions. */
static void draw_fuzzer(struct page *p, sqlite3_stmt *row, int column)
{
    if (sqlite3_column_type(row, column) == SQLITE_NULL) { /* no runs */
        fputs("<td class=\"number\">-</td><td class=\"number\">-</td>", p->out);
        return;
    }
    page_text(p, "<td class=\"number\">%s</td><td class=\"number\">%s</td>", render_text(row, column),
              render_text(row, column + 1));
}

static int draw_design(struct page *p, sqlite3_stmt *row, void *opaque)
{
    (void)opaque;
    page_text(p, "<tr><th scope=\"row\">%s</th>", render_text(row, 0));
    for (int column = 1; column <= 5; column += 2)
        draw_fuzzer(p, row, column);
    page_text(p, "<td class=\"number\">%s</td></tr>\n", render_text(row, 7));
    return 0;
}

#define SECONDS(column)  "iif(" column " IS NULL, 'not found', printf('%.2f', " column "))"
#define OF(tool, column) " max(iif(tool = '" tool "', " column ", NULL)),"

/* One line for each design. The campaign is the newest that has a measurement. */
static const char designs_sql[] =
    "WITH measured AS (SELECT * FROM v_fuzzers"
    "  WHERE campaign = (SELECT max(campaign) FROM v_fuzz_runs WHERE campaign <= ?1)),"
    " told AS (SELECT *, " SECONDS(
        "median_seconds") " AS median,"
                          "  iif(found, ' (' || " SECONDS("least_seconds") " || ' to ' || " SECONDS(
                              "most_seconds") " || ')', '') AS spread,"
                                              "  iif(median_executions IS NULL, '-', printf('%.0f', "
                                              "median_executions)) AS execs FROM measured)"
                                              " SELECT design," OF("libFuzzer", "median || spread") OF(
                                                  "libFuzzer",
                                                  "execs") OF("AFL++",
                                                              "median || spread") OF("AFL++",
                                                                                     "execs") OF("generator",
                                                                                                 "median || spread")
                                                  OF("generator",
                                                     "execs") " max(workloads)"
                                                              " FROM told GROUP BY design ORDER BY min(median_seconds) "
                                                              "IS NULL, min(median_seconds), design";

static int draw_table(struct page *p)
{
    fputs(
        "<p>From an empty corpus, with each of several seeds: processor seconds until the first violation, the median "
        "(least to most), and the median of the executions. The generator draws nothing: it has one run, and goes "
        "through its workloads in their order.</p>\n"
        "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Time to the first violation\"><table>\n"
        "<thead><tr><th scope=\"col\">design</th>"
        "<th scope=\"col\" class=\"number\">libFuzzer, s</th><th scope=\"col\" class=\"number\">executions</th>"
        "<th scope=\"col\" class=\"number\">AFL++, s</th><th scope=\"col\" class=\"number\">executions</th>"
        "<th scope=\"col\" class=\"number\">generator, s</th><th scope=\"col\" class=\"number\">executions</th>"
        "<th scope=\"col\" class=\"number\">workloads</th></tr></thead>\n<tbody>\n",
        p->out);
    int ret = page_rows(p, designs_sql, draw_design, NULL);
    fputs("</tbody></table></div>\n", p->out);
    return ret;
}

int page_fuzzers(struct page *p)
{
    int there = 0; /* a store of schema 3 has no such view */
    fputs("<section aria-labelledby=\"fuzzers\">\n<h2 id=\"fuzzers\">Fuzzers</h2>\n", p->out);
    int ret = page_rows(p, "SELECT count(*) FROM sqlite_schema WHERE name = 'v_fuzz_runs'", count_views, &there);
    if (!ret && there)
        ret = page_rows(p, "SELECT count(*) FROM v_fuzz_runs WHERE campaign <= ?1", count_views, &there);
    if (!ret && there)
        ret = draw_table(p);
    else if (!ret)
        fputs("<p class=\"note\">Not measured here: <code>make bench-fuzz BENCH_STORE=FILE</code> puts its runs into a "
              "store.</p>\n",
              p->out);
    fputs("</section>\n", p->out);
    return ret;
}

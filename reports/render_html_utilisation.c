/* render_html_utilisation.c: the page's account of the work: of all recoveries that were run, which part went to which
 * scenario, design and disk model. Counts, not seconds: they are the same on every machine. */
#include <stdlib.h>

#include "reports/page.h"

#define LONGEST "10" /* rows of a table; what is left is one row more */
#define BAR     90.0 /* pixels of a share of 100 % */

enum column { NAME, OTHERS, CELLS, EXECUTIONS, SHARE };

static int draw_share(struct page *p, sqlite3_stmt *row, void *opaque)
{
    double share = sqlite3_column_double(row, SHARE);
    (void)opaque;
    if (sqlite3_column_int(row, OTHERS))
        page_text(p, "<tr><th scope=\"row\">the other %s</th>", render_text(row, OTHERS));
    else
        page_text(p, "<tr><th scope=\"row\">%s</th>", render_text(row, NAME));
    page_text(p, "<td class=\"number\">%s</td><td class=\"number\">%s</td>", render_text(row, CELLS),
              render_text(row, EXECUTIONS));
    fprintf(
        p->out,
        "<td class=\"number\">%.1f &#37;</td><td><svg class=\"bar\" width=\"%.0f\" height=\"10\" aria-hidden=\"true\">"
        "<rect width=\"%.1f\" height=\"10\"/></svg></td></tr>\n",
        share, BAR, share / 100 * BAR);
    return 0;
}

static int draw_shares(struct page *p, const char *what, const char *column)
{
    page_text(p,
              "<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Recoveries by %s\"><table>\n"
              "<thead><tr><th scope=\"col\">%s</th><th scope=\"col\" class=\"number\">cells</th>"
              "<th scope=\"col\" class=\"number\">recoveries</th><th scope=\"col\" class=\"number\">share</th>"
              "<td></td></tr></thead>\n<tbody>\n",
              what, what);
    char *sql = sqlite3_mprintf(
        "WITH sums AS (SELECT %s AS name, count(*) AS cells, sum(executions) AS n FROM v_cells"
        "  WHERE campaign = ?1 AND verdict <> 'skipped' GROUP BY 1),"
        " placed AS (SELECT *, row_number() OVER (ORDER BY n DESC, name) AS place FROM sums),"
        " kept AS (SELECT *, iif((SELECT count(*) FROM sums) > " LONGEST " + 1, min(place, " LONGEST " + 1), place)"
        "  AS line FROM placed)"
        " SELECT min(name), iif(count(*) > 1, count(*), 0), sum(cells), sum(n),"
        "  100.0 * sum(n) / max(1, (SELECT sum(n) FROM sums)) FROM kept GROUP BY line ORDER BY line",
        column);
    if (!sql)
        abort(); /* a page of some kilobytes: nothing sensible is left to do */
    int ret = page_rows(p, sql, draw_share, NULL);
    sqlite3_free(sql);
    fputs("</tbody></table></div>\n", p->out);
    return ret;
}

int page_utilisation(struct page *p)
{
    fputs("<section aria-labelledby=\"utilisation\">\n<h2 id=\"utilisation\">Utilisation</h2>\n"
          "<p>Where the work went, in recoveries run: a crashed image was opened, repaired and read back. Counts, so "
          "that they are the same on every machine; no seconds.</p>\n<div class=\"plots\">\n",
          p->out);
    int ret = draw_shares(p, "scenario", "scenario");
    if (!ret)
        ret = draw_shares(p, "design", "design");
    if (!ret)
        ret = draw_shares(p, "disk model", "disk");
    fputs("</div>\n</section>\n", p->out);
    return ret;
}

/* render_html_plots.c: the page's plots, each with its numbers in a table beside it: cost against safety per design, and
 * what the campaigns of the store found, one after the other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "reports/gnuplot.h"
#include "reports/page.h"

struct plot {
    FILE *data; /* becomes a gnuplot data block */
    char *text;
    size_t size;
    unsigned rows;
};

/* A number, or a name that gnuplot takes as one word and draws as it is. */
static void put_name(FILE *out, const char *name)
{
    if (*name && !name[strspn(name, "0123456789")]) {
        fputs(name, out);
        return;
    }
    fputc('"', out);
    for (; *name; name++)
        if (*name == '"' || *name == '\\' || (unsigned char)*name < 0x20)
            fputc(' ', out);
        else
            fputc(*name, out);
    fputc('"', out);
}

static int begin(struct page *p, struct plot *d, const char *names)
{
    *d = (struct plot){0};
    d->data = open_memstream(&d->text, &d->size);
    if (!d->data) {
        snprintf(p->err->text, sizeof(p->err->text), "out of memory");
        return -ENOMEM;
    }
    fputs("$data << END_OF_DATA\n", d->data);
    fputs("<div class=\"plots\">\n<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"The "
          "numbers\"><table>\n"
          "<thead><tr>",
          p->out);
    while (*names) {
        size_t n = strcspn(names, "|");
        fprintf(p->out, "<th scope=\"col\"%s>%.*s</th>", *names == '#' ? " class=\"number\"" : "",
                (int)n - (*names == '#'), names + (*names == '#'));
        names += n + (names[n] == '|');
    }
    fputs("</tr></thead>\n<tbody>\n", p->out);
    return 0;
}

/* A row of the table and of the data; the first column is a name. */
static int take_row(struct page *p, sqlite3_stmt *row, void *opaque)
{
    struct plot *d = opaque;
    page_text(p, "<tr><th scope=\"row\">%s</th>", render_text(row, 0));
    put_name(d->data, render_text(row, 0));
    for (int i = 1; i < sqlite3_column_count(row); i++) {
        page_text(p, "<td class=\"number\">%s</td>", render_text(row, i));
        fprintf(d->data, " %s", *render_text(row, i) ? render_text(row, i) : "NaN");
    }
    fputs("</tr>\n", p->out);
    fputc('\n', d->data);
    d->rows++;
    return 0;
}

/* A row of the table alone. */
static int take_table_row(struct page *p, sqlite3_stmt *row, void *opaque)
{
    (void)opaque;
    page_text(p, "<tr><th scope=\"row\">%s</th>", render_text(row, 0));
    for (int i = 1; i < sqlite3_column_count(row); i++)
        page_text(p, "<td class=\"number\">%s</td>", render_text(row, i));
    fputs("</tr>\n", p->out);
    return 0;
}

/* A point of the plot alone: its label, x and y. */
static int take_point(struct page *p, sqlite3_stmt *row, void *opaque)
{
    struct plot *d = opaque;
    (void)p;
    put_name(d->data, render_text(row, 0));
    for (int i = 1; i < 3; i++)
        fprintf(d->data, " %s", *render_text(row, i) ? render_text(row, i) : "NaN");
    fputc('\n', d->data);
    d->rows++;
    return 0;
}

static void end(struct page *p, struct plot *d, const char *script, const char *prefix, const char *caption,
                unsigned least)
{
    char why[160] = "";
    fputs("</tbody></table></div>\n", p->out);
    fputs("END_OF_DATA\n", d->data);
    fputs(script, d->data);
    fclose(d->data);
    if (d->rows < least) {
        page_text(p, "<p class=\"note\">No plot: there %s so far.</p>\n",
                  least > 1 ? "is only one campaign" : "is no data");
    } else {
        fprintf(p->out, "<figure><figcaption>%s</figcaption>\n<div aria-hidden=\"true\">", caption);
        bool drawn = gnuplot_svg(d->text, prefix, p->out, why, sizeof(why));
        fputs("</div>", p->out);
        if (!drawn)
            page_text(p, "<p class=\"note\">No plot: %s. The table has the same numbers.</p>", why);
        fputs("</figure>\n", p->out);
    }
    fputs("</div>\n</section>\n", p->out);
    free(d->text);
}

static const char cost_script[] =
    "set xlabel 'flushes per guest request' noenhanced\n"
    "set ylabel 'cells that are safe, %' noenhanced\n"
    "set yrange [-5:112]\nset grid lc rgb '#dddddd'\nset border 3\nset tics nomirror\n"
    "set offsets graph 0.2, graph 0.25, 0, 0\nunset key\n"
    "plot $data using 2:3 with points pt 7 ps 1 lc rgb '#0b57a8',"
    " $data using 2:(int($0)%3==0?$3:NaN):1 with labels left offset 0.8,0.6 noenhanced,"
    " $data using 2:(int($0)%3==1?$3:NaN):1 with labels left offset 0.8,-0.6 noenhanced,"
    " $data using 2:(int($0)%3==2?$3:NaN):1 with labels right offset -0.8,0.6 noenhanced\n";

static int draw_cost(struct page *p)
{
    struct plot d;
    fputs("<section aria-labelledby=\"cost\">\n<h2 id=\"cost\">Cost against safety</h2>\n"
          "<p>For each design, over the cells it was judged in: how much it writes and flushes while the power holds, "
          "and "
          "how often the guest is hurt when it does not. Top left is best.</p>\n",
          p->out);
    int ret = begin(p, &d, "design|#safe cells|#cells|#safe, %|#image writes per request|#flushes per request|#scans");
    if (ret)
        return ret;
    ret =
        page_rows(p,
                  "SELECT design, sum(verdict = 'safe'), count(*), round(100.0 * sum(verdict = 'safe') / count(*), 1),"
                  " round(1.0 * sum(image_writes) / sum(guest_writes), 2),"
                  " round(1.0 * sum(flushes) / sum(guest_writes), 2), sum(scans)"
                  " FROM v_cells WHERE campaign = ?1 AND verdict <> 'skipped' GROUP BY design ORDER BY design",
                  take_table_row, &d);
    if (!ret)
        ret = page_rows(p,
                        "SELECT min(design) || iif(count(*) > 1, ' +' || (count(*) - 1), ''), x, y FROM ("
                        " SELECT design, round(1.0 * sum(flushes) / sum(guest_writes), 2) AS x,"
                        "  round(100.0 * sum(verdict = 'safe') / count(*), 1) AS y"
                        " FROM v_cells WHERE campaign = ?1 AND verdict <> 'skipped' GROUP BY design)"
                        " GROUP BY x, y ORDER BY y DESC, x",
                        take_point, &d);
    end(p, &d, cost_script, "cost", "Each point is a design, or several: +n, see the table.", 1);
    return ret;
}

static const char trend_script[] =
    "set xlabel 'campaign'\nset ylabel 'count'\nset yrange [0:*]\nset offsets 0.3, 0.3, graph 0.1, 0\n"
    "set grid lc rgb '#dddddd'\nset border 3\nset tics nomirror\nset key below\nset xtics 1\n"
    "plot $data using 1:6 with linespoints pt 7 lc rgb '#0b57a8' title 'findings',"
    " $data using 1:4 with linespoints pt 5 dt 2 lc rgb '#6b3f00' title 'unsafe cells',"
    " $data using 1:5 with linespoints pt 9 dt 3 lc rgb '#b3261e' title 'unexpected cells'\n";

static int draw_trend(struct page *p)
{
    struct plot d;
    fputs("<section aria-labelledby=\"trend\">\n<h2 id=\"trend\">Trend</h2>\n"
          "<p>The campaigns of this store, oldest first. New and gone: against the finished campaign before.</p>\n",
          p->out);
    int ret = begin(p, &d, "campaign|#cells|#safe|#unsafe|#unexpected|#findings|#new findings|#gone|#recoveries run");
    if (ret)
        return ret;
    ret = page_rows(p,
                    "SELECT c.campaign, c.cells, c.safe, c.unsafe, c.unexpected, c.findings, t.new_findings,"
                    " t.gone_findings, c.executions FROM v_campaigns c LEFT JOIN v_trend t ON t.campaign = c.campaign"
                    " WHERE c.campaign <= ?1 ORDER BY c.campaign",
                    take_row, &d);
    end(p, &d, trend_script, "trend", "Findings, unsafe and unexpected cells by campaign.", 2);
    return ret;
}

int page_plots(struct page *p)
{
    int ret = draw_cost(p);
    return ret ? ret : draw_trend(p);
}

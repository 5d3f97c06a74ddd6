/* render_html.c: the page: one file that works from a disk, without network, and is readable without its script. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "reports/page.h"

int page_rows(struct page *p, const char *sql, int (*take)(struct page *p, sqlite3_stmt *row, void *opaque),
              void *opaque)
{
    sqlite3_stmt *row;
    int rc, ret = store_query(p->s, sql, &row, p->err);
    if (ret)
        return ret;
    while ((rc = sqlite3_step(row)) == SQLITE_ROW)
        if ((ret = take(p, row, opaque))) {
            sqlite3_finalize(row);
            return ret;
        }
    return store_query_end(p->s, row, rc, p->err);
}

void page_text(struct page *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    for (const char *s; (s = strstr(format, "%s")); format = s + 2) {
        fwrite(format, 1, (size_t)(s - format), p->out);
        markup_xml(p->out, va_arg(args, const char *));
    }
    va_end(args);
    fputs(format, p->out);
}

/* --- the top ------------------------------------------------------------------------------------------------------- */

struct words {
    char *buf;
    size_t size;
};

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

static int tell_headline(struct page *p, sqlite3_stmt *row, void *opaque)
{
    struct words *w = opaque;
    int64_t cells = sqlite3_column_int64(row, 0), safe = sqlite3_column_int64(row, 1),
            unexpected = sqlite3_column_int64(row, 2), caught = sqlite3_column_int64(row, 3),
            of = sqlite3_column_int64(row, 4), bugs = sqlite3_column_int64(row, 5),
            incomplete = sqlite3_column_int64(row, 6);
    (void)p;
    if (caught < of)
        snprintf(w->buf, w->size,
                 "%" PRId64 " of %" PRId64 " planted bugs were missed: no verdict here can be trusted.", of - caught,
                 of);
    else if (!cells)
        snprintf(w->buf, w->size, "Nothing was judged.");
    else if (unexpected)
        snprintf(w->buf, w->size,
                 "%" PRId64 " of %" PRId64 " cells did what nobody expected: %" PRId64 " bug%s to look at.", unexpected,
                 cells, bugs, plural(bugs));
    else if (safe == cells)
        snprintf(w->buf, w->size, "No power failure hurt: all %" PRId64 " cells are safe.", cells);
    else
        snprintf(w->buf, w->size,
                 "Nothing new: %" PRId64 " of %" PRId64 " cells are safe, and the other %" PRId64
                 " fail as they are known to.",
                 safe, cells, cells - safe);
    size_t used = strlen(w->buf);
    if (incomplete && cells)
        snprintf(w->buf + used, w->size - used, " %" PRId64 " cell%s not explored to the end.", incomplete,
                 incomplete == 1 ? " was" : "s were");
    return 0;
}

int report_headline(struct store *s, char *buf, size_t size, struct store_error *err)
{
    struct page p = {.s = s, .err = err};
    struct words w = {buf, size};
    buf[0] = 0;
    return page_rows(&p,
                     "SELECT cells, safe, unexpected, canaries_caught, canaries_of,"
                     " (SELECT count(*) FROM v_bugs b WHERE b.campaign = ?1 AND b.unexpected), incomplete"
                     " FROM v_campaigns WHERE campaign = ?1",
                     tell_headline, &w);
}

/* Long numbers in groups of three, a thin space between. */
static void figure(struct page *p, const char *name, const char *value)
{
    size_t length = strlen(value);
    bool group = length > 4 && !value[strspn(value, "0123456789")];
    page_text(p, "<div><dt>%s</dt><dd>", name);
    for (size_t i = 0; i < length; i++) {
        if (group && i && (length - i) % 3 == 0)
            fputs("&#8239;", p->out);
        page_text(p, "%s", (char[]){value[i], 0});
    }
    fputs("</dd></div>\n", p->out);
}

static int draw_figures(struct page *p, sqlite3_stmt *row, void *opaque)
{
    static const char *const names[] = {"cells judged", "safe", "unsafe", "unexpected", "findings", "recoveries run"};
    struct render_coverage coverage;
    char text[64];
    (void)opaque;
    int ret = render_coverage(p->s, &coverage, p->err);
    if (ret)
        return ret;
    fputs("<dl class=\"figures\">\n", p->out);
    for (int i = 0; i < 6; i++)
        figure(p, names[i], render_text(row, i));
    snprintf(text, sizeof(text), "2^%.1f", coverage.states_log2);
    figure(p, "crash states", text);
    snprintf(text, sizeof(text), "%s of %s", render_text(row, 6), render_text(row, 7));
    if (sqlite3_column_int(row, 7))
        figure(p, "planted bugs caught", text);
    if (sqlite3_column_type(row, 13) != SQLITE_NULL)
        figure(p, "new findings", render_text(row, 13));
    fputs("</dl>\n", p->out);
    page_text(p, "<p class=\"note\">Campaign %s of this store: <code>%s</code>, version %s, seed %s.",
              render_text(row, 8), render_text(row, 9), render_text(row, 10), render_text(row, 11));
    if (!sqlite3_column_int(row, 12))
        fputs(" <strong>It was not finished; what is missing was not judged.</strong>", p->out);
    fputs("</p>\n", p->out);
    return 0;
}

static int draw_top(struct page *p)
{
    char headline[400];
    int ret = report_headline(p->s, headline, sizeof(headline), p->err);
    if (ret)
        return ret;
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<title>qedcrash report</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n",
          p->out);
    fputs(page_css, p->out);
    fputs("</style>\n</head>\n<body>\n<a class=\"skip-link\" href=\"#matrix\">To the matrix</a>\n<header>\n"
          "<h1>qedcrash report</h1>\n",
          p->out);
    page_text(p, "<p class=\"headline\">%s</p>\n", headline);
    fputs("<nav aria-label=\"Sections\"><ul>\n"
          "<li><a href=\"#matrix\">Matrix</a></li><li><a href=\"#bugs\">Bugs</a></li>"
          "<li><a href=\"#cells\">Findings by cell</a></li><li><a href=\"#ledger\">Ledger</a></li>"
          "<li><a href=\"#cost\">Cost against safety</a></li><li><a href=\"#trend\">Trend</a></li>"
          "<li><a href=\"#utilisation\">Utilisation</a></li><li><a href=\"#fuzzers\">Fuzzers</a></li>\n"
          "</ul></nav>\n</header>\n<main>\n",
          p->out);
    return page_rows(
        p,
        "SELECT cells, safe, unsafe, unexpected, findings, executions, canaries_caught, canaries_of,"
        " campaign, command, version, seed, finished, (SELECT new_findings FROM v_trend t WHERE t.campaign = ?1)"
        " FROM v_campaigns WHERE campaign = ?1",
        draw_figures, NULL);
}

int report_html(struct store *s, FILE *out, struct store_error *err)
{
    static int (*const sections[])(struct page *) = {draw_top,    page_matrix, page_bugs,        page_cells,
                                                     page_ledger, page_plots,  page_utilisation, page_fuzzers};
    struct page p = {.s = s, .out = out, .err = err};
    for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++) {
        int ret = sections[i](&p);
        if (ret)
            return ret;
    }
    fputs("</main>\n<footer>\n<p>Made by <code>qedcrash report</code>. A finding's line, pasted into a shell, shows it "
          "again: <code>qedcrash repro</code> runs it, <code>qedcrash explain</code> tells it, <code>qedcrash "
          "export</code> makes a bundle of it.</p>\n</footer>\n<p id=\"status\" class=\"hidden\" role=\"status\"></p>\n"
          "<script>\n",
          out);
    fputs(page_js, out);
    fputs("</script>\n</body>\n</html>\n", out);
    return render_flush(out, err);
}

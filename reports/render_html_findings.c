/* render_html_findings.c: the page's findings: one per bug first (design, class, missing order), then all of them by
 * square of the matrix. What differs in the disk model alone is told once. */
#include <stdlib.h>
#include <string.h>

#include "reports/page.h"
#include "reports/svg_timeline.h"

#define MAX_PICTURES 800u /* beyond that the page would be of no use; ids still stand there */

static void draw_command(struct page *p, const char *id)
{
    char *quoted = markup_shell(id);
    page_text(p, "<p class=\"id\"><code data-id=\"%s\">qedcrash repro %s</code></p>\n", id, quoted ? quoted : "");
    free(quoted);
}

static int draw_timeline(struct page *p, int64_t cell, int64_t seq, uint32_t end, const char *id, const char *missing)
{
    struct timeline t;
    if (p->pictures >= MAX_PICTURES) {
        fputs("<p class=\"note\">Not drawn, there are too many; <code>qedcrash explain</code> draws it.</p>\n", p->out);
        return 0;
    }
    int ret = store_read_timeline(p->s, cell, seq, &t, p->err);
    if (ret)
        return ret;
    bool crash = timeline_has_crash(id);
    svg_timeline(p->out, &t, end, crash, missing, ++p->pictures);
    if (!t.count && crash && end == 0)
        fputs("<p class=\"note\">Nothing had been written when the power failed first.</p>\n", p->out);
    free(t.events);
    return 0;
}

/* What came after the first failure is not in the picture. */
static void draw_story(struct page *p, const char *id, const char *story)
{
    if (strrchr(id, '@') && strchr(strrchr(id, '@'), '/'))
        page_text(p,
                  "<details class=\"inner\"><summary>The power failed again; the story in words</summary><pre "
                  "tabindex=\"0\">%s</pre></details>\n",
                  story);
}

static void draw_missing(struct page *p, const char *class, const char *missing)
{
    page_text(p, "%s", class);
    if (*missing)
        page_text(p, ": %s", missing);
}

/* --- one per bug --------------------------------------------------------------------------------------------------- */

enum bug_column {
    BUG_DESIGN,
    BUG_CLASS,
    BUG_MISSING,
    BUG_FINDINGS,
    BUG_SCENARIOS,
    BUG_DISKS,
    BUG_UNEXPECTED,
    BUG_ID,
    BUG_WHY,
    BUG_BECAUSE,
    BUG_RECOVERY,
    BUG_CELL,
    BUG_SEQ,
    BUG_POINT,
    BUG_STORY
};

static int link_square(struct page *p, sqlite3_stmt *row, void *opaque)
{
    unsigned *n = opaque;
    page_text(p, (*n)++ ? ", <a href=\"#cell-%s\">%s</a>" : "<a href=\"#cell-%s\">%s</a>", render_text(row, 0),
              render_text(row, 1));
    return 0;
}

static int link_squares(struct page *p, sqlite3_stmt *bug)
{
    char *sql =
        sqlite3_mprintf("SELECT DISTINCT q.number, f.scenario FROM v_findings f JOIN " PAGE_SQUARES
                        " q ON q.scenario = f.scenario AND q.design = f.design WHERE f.campaign = ?1"
                        " AND f.design = %Q AND f.class = %Q AND f.missing_order = %Q ORDER BY f.scenario",
                        render_text(bug, BUG_DESIGN), render_text(bug, BUG_CLASS), render_text(bug, BUG_MISSING));
    unsigned n = 0;
    int ret = page_rows(p, sql, link_square, &n);
    sqlite3_free(sql);
    return ret;
}

static int draw_bug(struct page *p, sqlite3_stmt *row, void *opaque)
{
    unsigned *n = opaque;
    const char *class = render_text(row, BUG_CLASS), *missing = render_text(row, BUG_MISSING);
    bool unexpected = sqlite3_column_int(row, BUG_UNEXPECTED);
    fprintf(p->out, "<article class=\"%s\" aria-labelledby=\"bug-%u\">\n<h3 id=\"bug-%u\">",
            unexpected ? "unexpected" : "", *n + 1, *n + 1);
    ++*n;
    draw_missing(p, class, missing);
    page_text(p, " <span class=\"note\">design %s</span>", render_text(row, BUG_DESIGN));
    fprintf(p->out, "%s</h3>\n", unexpected ? " <span class=\"tag\">unexpected</span>" : "");
    page_text(p, "<p>%s %s</p>\n", render_text(row, BUG_WHY), render_text(row, BUG_BECAUSE));
    int ret = draw_timeline(p, sqlite3_column_int64(row, BUG_CELL), sqlite3_column_int64(row, BUG_SEQ),
                            (uint32_t)sqlite3_column_int64(row, BUG_POINT), render_text(row, BUG_ID), missing);
    if (*render_text(row, BUG_RECOVERY))
        page_text(p, "<p class=\"note\">%s</p>\n", render_text(row, BUG_RECOVERY));
    draw_story(p, render_text(row, BUG_ID), render_text(row, BUG_STORY));
    draw_command(p, render_text(row, BUG_ID));
    page_text(p, "<p class=\"note\">%s finding%s on %s disk model%s, in ", render_text(row, BUG_FINDINGS),
              sqlite3_column_int(row, BUG_FINDINGS) == 1 ? "" : "s", render_text(row, BUG_DISKS),
              sqlite3_column_int(row, BUG_DISKS) == 1 ? "" : "s");
    if (!ret)
        ret = link_squares(p, row);
    fputs("</p>\n</article>\n", p->out);
    return ret;
}

int page_bugs(struct page *p)
{
    unsigned n = 0;
    fputs("<section aria-labelledby=\"bugs\">\n<h2 id=\"bugs\">Bugs</h2>\n"
          "<p>One for each design, class and missing order; each is shown by the state with the fewest survivors.</p>\n"
          "<ul class=\"legend\" aria-label=\"How timelines are drawn\">"
          "<li>● solid: survived</li><li>◐ in part</li><li>○ dashed: lost</li><li>■ grey: durable, a flush had covered "
          "it</li><li>◌ a later write survived over it</li><li>shaded across: a flush</li>"
          "<li>arrow: the order that was missing</li></ul>\n",
          p->out);
    int ret =
        page_rows(p,
                  "SELECT b.design, b.class, b.missing_order, b.findings, b.scenarios, b.disks, b.unexpected, b.id,"
                  " b.why, b.because, b.recovery, b.cell, b.seq, f.crash_point, b.story"
                  " FROM v_bugs b JOIN v_findings f ON f.cell = b.cell AND f.seq = b.seq WHERE b.campaign = ?1"
                  " ORDER BY b.unexpected DESC, b.class_rank, b.missing_order, b.design",
                  draw_bug, &n);
    if (!n)
        fputs("<p class=\"note\">None.</p>\n", p->out);
    fputs("</section>\n", p->out);
    return ret;
}

/* --- by square ----------------------------------------------------------------------------------------------------- */

enum finding_column {
    NUMBER,
    SCENARIO,
    DESIGN,
    CELL,
    SEQ,
    CLASS,
    MISSING,
    SECTOR,
    EXPECTED,
    FOUND,
    WHY,
    BECAUSE,
    RECOVERY,
    POINT,
    DISKS,
    ID,
    AGAIN,
    MORE,
    UNEXPECTED,
    SQUARE_FINDINGS,
    SQUARE_UNEXPECTED,
    STORY
};

struct squares {
    int64_t number; /* the square whose part is open, or 0 */
    bool inner;     /* so are the further ones of an order */
    unsigned findings;
};

static void close_inner(struct page *p, struct squares *q)
{
    if (q->inner)
        fputs("</details>\n", p->out);
    q->inner = false;
}

static void close_square(struct page *p, struct squares *q)
{
    close_inner(p, q);
    if (q->number)
        fputs("</div></details>\n", p->out);
    q->number = 0;
}

static void open_square(struct page *p, struct squares *q, sqlite3_stmt *row)
{
    bool unexpected = sqlite3_column_int(row, SQUARE_UNEXPECTED);
    close_square(p, q);
    q->number = sqlite3_column_int64(row, NUMBER);
    page_text(p, "<details class=\"cell %s\" id=\"cell-%s\"><summary><strong>%s</strong> under <strong>%s</strong>",
              unexpected ? "unexpected" : "", render_text(row, NUMBER), render_text(row, SCENARIO),
              render_text(row, DESIGN));
    page_text(p, ": %s finding%s%s", render_text(row, SQUARE_FINDINGS),
              sqlite3_column_int(row, SQUARE_FINDINGS) == 1 ? "" : "s", unexpected ? "" : ", as expected");
    fprintf(p->out, "%s</summary><div>\n", unexpected ? " <span class=\"tag\">unexpected</span>" : "");
}

static void draw_effect(struct page *p, sqlite3_stmt *row)
{
    if (sqlite3_column_type(row, SECTOR) == SQLITE_NULL)
        fputs("The image as a whole", p->out);
    else
        page_text(p, "Guest sector %s", render_text(row, SECTOR));
    if (*render_text(row, EXPECTED))
        page_text(p, ": promised %s, found %s", render_text(row, EXPECTED), render_text(row, FOUND));
    page_text(p, ". Disk models: %s.", render_text(row, DISKS));
}

static int draw_finding(struct page *p, sqlite3_stmt *row, void *opaque)
{
    struct squares *q = opaque;
    if (q->number != sqlite3_column_int64(row, NUMBER))
        open_square(p, q, row);
    if (sqlite3_column_int(row, AGAIN) == 1)
        close_inner(p, q);
    if (sqlite3_column_int(row, AGAIN) == 2) {
        page_text(p, "<details class=\"inner\"><summary>%s more of this order</summary>\n", render_text(row, MORE));
        q->inner = true;
    }
    fprintf(p->out, "<div class=\"finding\" id=\"finding-%u\">\n<h3>", ++q->findings);
    draw_missing(p, render_text(row, CLASS), render_text(row, MISSING));
    fputs("</h3>\n<p>", p->out);
    draw_effect(p, row);
    page_text(p, "</p>\n<p>%s %s</p>\n", render_text(row, WHY), render_text(row, BECAUSE));
    int ret =
        draw_timeline(p, sqlite3_column_int64(row, CELL), sqlite3_column_int64(row, SEQ),
                      (uint32_t)sqlite3_column_int64(row, POINT), render_text(row, ID), render_text(row, MISSING));
    if (*render_text(row, RECOVERY))
        page_text(p, "<p class=\"note\">%s</p>\n", render_text(row, RECOVERY));
    draw_story(p, render_text(row, ID), render_text(row, STORY));
    draw_command(p, render_text(row, ID));
    fputs("</div>\n", p->out);
    return ret;
}

int page_cells(struct page *p)
{
    struct squares q = {0};
    fputs("<section aria-labelledby=\"cells\">\n<h2 id=\"cells\">Findings by cell</h2>\n"
          "<p>Every finding, by scenario and design. What differs in the disk model alone is told once, with the "
          "timeline "
          "of the first of these disk models.</p>\n",
          p->out);
    int ret = page_rows(
        p,
        "WITH told AS ("
        " SELECT scenario, design, min(cell) AS cell, seq, class, class_rank, missing_order, guest_sector, expected, "
        "found,"
        "  why, because, recovery, story, crash_point, group_concat(disk, ', ') AS disks, id, max(unexpected) AS "
        "unexpected"
        " FROM (SELECT * FROM v_findings WHERE campaign = ?1 ORDER BY cell, seq)"
        " GROUP BY scenario, design, schedule, class, missing_order, guest_sector, replace(id, ':' || disk, ':'))"
        " SELECT q.number, t.scenario, t.design, t.cell, t.seq, t.class, t.missing_order, t.guest_sector, t.expected,"
        "  t.found, t.why, t.because, t.recovery, t.crash_point, t.disks, t.id,"
        "  row_number() OVER kind AS again, count(*) OVER (PARTITION BY q.number, t.class, t.missing_order) - 1,"
        "  t.unexpected, count(*) OVER (PARTITION BY q.number), max(t.unexpected) OVER (PARTITION BY q.number),"
        "  t.story"
        " FROM told t JOIN " PAGE_SQUARES " q ON q.scenario = t.scenario AND q.design = t.design"
        " WINDOW kind AS (PARTITION BY q.number, t.class, t.missing_order ORDER BY t.crash_point, t.id, t.cell, t.seq)"
        " ORDER BY q.number, t.class_rank, t.missing_order, again",
        draw_finding, &q);
    close_square(p, &q);
    if (!q.findings)
        fputs("<p class=\"note\">None.</p>\n", p->out);
    fputs("</section>\n", p->out);
    return ret;
}

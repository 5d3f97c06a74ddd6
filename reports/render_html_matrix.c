/* render_html_matrix.c: the page's matrix: scenarios down, designs across, the disk models folded into one square that
 * shows the worst of them and a mark for each. A square with findings leads to them. And the ledger, in the same shape:
 * claims down, designs across. */
#include <stdlib.h>
#include <string.h>

#include "reports/page.h"

#define MARK 11 /* pixels from one disk's mark to the next */

struct matrix {
    char **designs;
    size_t count, cap;
    size_t at; /* the next column of the row */
    char *scenario;
};

static char *copy(const char *text)
{
    char *c = strdup(text);
    if (!c)
        abort(); /* a page of some kilobytes: nothing sensible is left to do */
    return c;
}

static void free_designs(struct matrix *m)
{
    for (size_t i = 0; i < m->count; i++)
        free(m->designs[i]);
    free(m->designs);
}

static int add_design(struct page *p, sqlite3_stmt *row, void *opaque)
{
    struct matrix *m = opaque;
    if (m->count == m->cap) {
        m->cap = m->cap ? 2 * m->cap : 16;
        m->designs = reallocarray(m->designs, m->cap, sizeof(*m->designs));
        if (!m->designs)
            abort();
    }
    m->designs[m->count++] = copy(render_text(row, 0));
    page_text(p, "<th scope=\"col\">%s</th>", render_text(row, 0));
    return 0;
}

/* One disk: o safe, a filled square unsafe as known, a filled triangle unexpected, a line skipped. */
static void draw_mark(FILE *out, char what, unsigned x)
{
    switch (what) {
    case 's':
        fprintf(out, "<circle cx=\"%u\" cy=\"5\" r=\"3\" fill=\"none\"/>", x + 4);
        break;
    case 'u':
        fprintf(out, "<rect x=\"%u\" y=\"2\" width=\"6\" height=\"6\"/>", x + 1);
        break;
    case '!':
        fprintf(out, "<path d=\"M%u 1l4 8h-8z\"/>", x + 4);
        break;
    case '?':
        fprintf(out, "<circle cx=\"%u\" cy=\"5\" r=\"3\" fill=\"none\" stroke-dasharray=\"2 2\"/>", x + 4);
        break;
    default:
        fprintf(out, "<path d=\"M%u 5h6\"/>", x + 1);
        break;
    }
}

static void draw_strip(FILE *out, const char *marks)
{
    fprintf(out, "<svg class=\"strip\" width=\"%zu\" height=\"10\" aria-hidden=\"true\">", strlen(marks) * MARK);
    for (unsigned i = 0; marks[i]; i++)
        draw_mark(out, marks[i], i * MARK);
    fputs("</svg>", out);
}

static void fill_row(struct page *p, struct matrix *m, size_t to)
{
    for (; m->at < to; m->at++)
        fputs("<td class=\"none\"><span>not run</span></td>", p->out);
}

static void end_row(struct page *p, struct matrix *m)
{
    if (!m->scenario)
        return;
    fill_row(p, m, m->count);
    fputs("</tr>\n", p->out);
    free(m->scenario);
    m->scenario = NULL;
}

enum column {
    SCENARIO,
    DESIGN,
    NUMBER,
    VERDICT,
    CLASS,
    CLASSES,
    UNEXPECTED,
    MARKS,
    UNSAFE,
    DISKS,
    FINDINGS,
    INCOMPLETE
};

static const char *kind_of(sqlite3_stmt *row)
{
    const char *verdict = render_text(row, VERDICT);
    return sqlite3_column_int(row, UNEXPECTED) ? "bad"
           : !strcmp(verdict, "unsafe")        ? "known"
           : !strcmp(verdict, "safe")          ? "safe"
                                               : "skipped";
}

static void draw_square(struct page *p, sqlite3_stmt *row)
{
    bool findings = sqlite3_column_int(row, FINDINGS) > 0, unsafe = sqlite3_column_int(row, UNSAFE) > 0;
    int more = sqlite3_column_int(row, CLASSES) - 1;
    fprintf(p->out, "<td class=\"%s\">", kind_of(row));
    if (findings)
        fprintf(p->out, "<a href=\"#cell-%s\">", render_text(row, NUMBER));
    else
        fputs("<span>", p->out);
    page_text(p, "%s", unsafe && *render_text(row, CLASS) ? render_text(row, CLASS) : render_text(row, VERDICT));
    if (more > 0)
        fprintf(p->out, " +%d", more);
    if (sqlite3_column_int(row, UNEXPECTED))
        fputs(" !", p->out);
    if (sqlite3_column_int(row, INCOMPLETE))
        fputs(" ?", p->out);
    page_text(p, "<span class=\"hidden\">: %s under %s, unsafe on %s of %s disk models", render_text(row, SCENARIO),
              render_text(row, DESIGN), render_text(row, UNSAFE), render_text(row, DISKS));
    if (sqlite3_column_int(row, UNEXPECTED))
        fputs(", unexpected", p->out);
    fputs("</span>", p->out);
    draw_strip(p->out, render_text(row, MARKS));
    fputs(findings ? "</a></td>" : "</span></td>", p->out);
}

static int take_square(struct page *p, sqlite3_stmt *row, void *opaque)
{
    struct matrix *m = opaque;
    if (!m->scenario || strcmp(m->scenario, render_text(row, SCENARIO)) != 0) {
        end_row(p, m);
        m->scenario = copy(render_text(row, SCENARIO));
        m->at = 0;
        page_text(p, "<tr><th scope=\"row\">%s</th>", m->scenario);
    }
    size_t column = m->at;
    while (column < m->count && strcmp(m->designs[column], render_text(row, DESIGN)) != 0)
        column++;
    fill_row(p, m, column);
    draw_square(p, row);
    m->at = column + 1;
    return 0;
}

static int name_disk(struct page *p, sqlite3_stmt *row, void *opaque)
{
    unsigned *n = opaque;
    page_text(p, (*n)++ ? ", %s" : "%s", render_text(row, 0));
    return 0;
}

static void draw_legend(struct page *p)
{
    static const struct {
        char mark;
        const char *words;
    } marks[] = {{'s', "safe"},
                 {'u', "unsafe, as expected"},
                 {'!', "unexpected"},
                 {'?', "safe as far as explored"},
                 {'-', "skipped"}};
    fputs("<ul class=\"legend\" aria-label=\"Marks, one per disk model\">\n", p->out);
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        fputs("<li><svg width=\"10\" height=\"10\" aria-hidden=\"true\">", p->out);
        draw_mark(p->out, marks[i].mark, 0);
        fprintf(p->out, "</svg> %s</li>\n", marks[i].words);
    }
    fputs("</ul>\n", p->out);
}

int page_matrix(struct page *p)
{
    struct matrix m = {0};
    unsigned disks = 0;
    fputs(
        "<section aria-labelledby=\"matrix\">\n<h2 id=\"matrix\">Matrix</h2>\n"
        "<p>Scenarios down, designs across. A square shows the worst of its disk models, +n for further classes, ! for "
        "what was not expected; it leads to its findings. Under it stands a mark for each disk model: ",
        p->out);
    int ret = page_rows(p, "SELECT DISTINCT disk FROM v_matrix WHERE campaign = ?1 ORDER BY disk", name_disk, &disks);
    fputs(".</p>\n", p->out);
    draw_legend(p);
    fputs("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"The matrix\"><table class=\"matrix\">\n"
          "<thead><tr><th scope=\"col\">scenario</th>",
          p->out);
    if (!ret)
        ret = page_rows(p, "SELECT DISTINCT design FROM v_matrix WHERE campaign = ?1 ORDER BY design", add_design, &m);
    fputs("</tr></thead>\n<tbody>\n", p->out);
    if (!ret)
        ret = page_rows(p,
                        "SELECT m.scenario, m.design, q.number,"
                        " CASE WHEN max(verdict = 'unsafe') THEN 'unsafe' WHEN max(verdict = 'safe') THEN 'safe'"
                        "  ELSE 'skipped' END,"
                        " (SELECT class FROM v_findings f WHERE f.campaign = ?1 AND f.scenario = m.scenario"
                        "  AND f.design = m.design ORDER BY class_rank LIMIT 1),"
                        " (SELECT count(DISTINCT class) FROM v_findings f WHERE f.campaign = ?1"
                        "  AND f.scenario = m.scenario AND f.design = m.design),"
                        " sum(unexpected), group_concat(CASE WHEN unexpected THEN '!' WHEN verdict = 'unsafe' THEN 'u'"
                        "  WHEN verdict = 'skipped' THEN '-' WHEN incomplete THEN '?' ELSE 's' END, ''),"
                        " sum(verdict = 'unsafe'), count(*),"
                        " (SELECT count(*) FROM v_findings f WHERE f.campaign = ?1 AND f.scenario = m.scenario"
                        "  AND f.design = m.design), sum(incomplete)"
                        " FROM (SELECT * FROM v_matrix WHERE campaign = ?1 ORDER BY scenario, design, disk) m"
                        " JOIN " PAGE_SQUARES " q ON q.scenario = m.scenario AND q.design = m.design"
                        " GROUP BY m.scenario, m.design ORDER BY m.scenario, m.design",
                        take_square, &m);
    end_row(p, &m);
    fputs("</tbody></table></div>\n</section>\n", p->out);
    free_designs(&m);
    return ret;
}

/* --- the ledger ---------------------------------------------------------------------------------------------------- */

enum claim_column { CLAIM, CLAIM_DESIGN, CLAIM_UNSAFE, CLAIM_CELLS, CLAIM_UNEXPECTED, CLAIM_SCENARIOS, CLAIM_SQUARE };

static int take_claim(struct page *p, sqlite3_stmt *row, void *opaque)
{
    struct matrix *m = opaque;
    bool unsafe = sqlite3_column_int(row, CLAIM_UNSAFE) > 0, unexpected = sqlite3_column_int(row, CLAIM_UNEXPECTED) > 0;
    if (!m->scenario || strcmp(m->scenario, render_text(row, CLAIM)) != 0) {
        end_row(p, m);
        m->scenario = copy(render_text(row, CLAIM));
        m->at = 0;
        page_text(p, "<tr><th scope=\"row\">%s</th><td class=\"plain\">%s</td>", m->scenario,
                  render_text(row, CLAIM_SCENARIOS));
    }
    size_t column = m->at;
    while (column < m->count && strcmp(m->designs[column], render_text(row, CLAIM_DESIGN)) != 0)
        column++;
    fill_row(p, m, column);
    fprintf(p->out, "<td class=\"%s\">", unexpected ? "bad" : unsafe ? "known" : "safe");
    if (unsafe)
        page_text(p, "<a href=\"#cell-%s\">", render_text(row, CLAIM_SQUARE));
    else
        fputs("<span>", p->out);
    if (unsafe)
        page_text(p, "unsafe in %s of %s", render_text(row, CLAIM_UNSAFE), render_text(row, CLAIM_CELLS));
    else
        page_text(p, "safe in %s", render_text(row, CLAIM_CELLS));
    fputs(unexpected ? " !" : "", p->out);
    fputs(unsafe ? "</a></td>" : "</span></td>", p->out);
    m->at = column + 1;
    return 0;
}

static int draw_ledger(struct page *p, struct matrix *m)
{
    fputs("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"The ledger\"><table class=\"matrix\">\n"
          "<thead><tr><th scope=\"col\">claim</th><th scope=\"col\">scenarios</th>",
          p->out);
    int ret = page_rows(p,
                        "SELECT DISTINCT design FROM v_ledger WHERE campaign = ?1 AND verdict <> 'skipped'"
                        " ORDER BY design",
                        add_design, m);
    fputs("</tr></thead>\n<tbody>\n", p->out);
    if (!ret)
        ret = page_rows(p,
                        "SELECT l.claim, l.design, sum(l.verdict = 'unsafe'), count(*), sum(l.unexpected),"
                        " (SELECT group_concat(scenario, ', ') FROM (SELECT DISTINCT scenario FROM v_ledger n"
                        "  WHERE n.campaign = ?1 AND n.claim = l.claim ORDER BY scenario)),"
                        " min(iif(l.verdict = 'unsafe', q.number, NULL))"
                        " FROM v_ledger l JOIN " PAGE_SQUARES " q ON q.scenario = l.scenario AND q.design = l.design"
                        " WHERE l.campaign = ?1 AND l.verdict <> 'skipped' GROUP BY l.claim, l.design"
                        " ORDER BY substr(l.claim, 1, 1), CAST(substr(l.claim, 2) AS INTEGER), l.claim, l.design",
                        take_claim, m);
    end_row(p, m);
    fputs("</tbody></table></div>\n", p->out);
    return ret;
}

static int count_rows(struct page *p, sqlite3_stmt *row, void *opaque)
{
    (void)p;
    *(int *)opaque = sqlite3_column_int(row, 0);
    return 0;
}

int page_ledger(struct page *p)
{
    struct matrix m = {0};
    int claims = 0;
    fputs("<section aria-labelledby=\"ledger\">\n<h2 id=\"ledger\">Ledger</h2>\n"
          "<p>What was claimed about order and safety, and what the scenarios say to it: for each claim and design, in "
          "how "
          "many cells the guest was hurt, with a link to the first of them. docs/ledger.md has the claims.</p>\n",
          p->out);
    int ret =
        page_rows(p, "SELECT count(*) FROM v_ledger WHERE campaign = ?1 AND verdict <> 'skipped'", count_rows, &claims);
    if (!ret && claims)
        ret = draw_ledger(p, &m);
    else
        fputs("<p class=\"note\">No scenario of this campaign names a claim.</p>\n", p->out);
    fputs("</section>\n", p->out);
    free_designs(&m);
    return ret;
}

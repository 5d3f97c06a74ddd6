/* svg_timeline.c: see svg_timeline.h. */
#include "reports/svg_timeline.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "reports/markup.h"
#include "reports/render_db.h"

#define LABELS   64.0 /* room for the lanes' names */
#define STEP     26.0 /* from one event to the next, at least */
#define TOP      26.0
#define ROW      28.0
#define BOX      20.0
#define CHAR     7.0 /* width of one, 11.5px monospace */
#define MAX_ROWS 64

struct box {
    const struct store_event *e;
    unsigned row;       /* of the picture */
    double from, to, y; /* pixels */
};

struct picture {
    FILE *out;
    const struct timeline *t;
    uint32_t first, end; /* positions shown: [first, end] */
    bool crash;          /* what stands at the end; else where the guest saw it */
    double *x;           /* of each position */
    struct box *boxes;   /* all but flushes, one per event; e NULL: not shown */
    size_t hidden;       /* events before `first` */
    unsigned lane_row[STORE_LANE_FLUSH + 1], lane_rows[STORE_LANE_FLUSH + 1]; /* first row; how many */
    unsigned rows;
    unsigned number;
};

/* --- layout -------------------------------------------------------------------------------------------------------- */

static uint32_t end_of(const struct picture *p, const struct store_event *e)
{
    return e->ended ? e->end : p->end;
}

static bool matters(const struct store_event *e)
{
    return !(e->fate == STORE_FATE_DURABLE || e->fate == STORE_FATE_UNCHANGED ||
             (e->fate == STORE_FATE_DONE && e->ended)) ||
           e->order != STORE_ORDER_NONE;
}

/* Of a long story only what can still matter is drawn: from the first event on that was not settled at the crash; the
 * last part, where there was none. */
static void choose_first(struct picture *p)
{
    uint32_t tail = p->crash ? 4 : 32;
    uint32_t first = p->end;
    for (size_t i = 0; i < p->t->count; i++)
        if (matters(&p->t->events[i]) && p->t->events[i].begin < first)
            first = p->t->events[i].begin;
    if (p->end <= 24 || first > p->end)
        first = p->t->count ? p->t->events[0].begin : 0;
    else
        first = first > tail ? first - tail : 0;
    p->first = first < p->end ? first : p->end ? p->end - 1 : 0;
    for (size_t i = 0; i < p->t->count; i++)
        p->hidden += end_of(p, &p->t->events[i]) <= p->first && p->t->events[i].begin < p->first;
}

static bool shown(const struct picture *p, const struct store_event *e)
{
    return e->begin >= p->first || end_of(p, e) > p->first;
}

static uint32_t clip(const struct picture *p, uint32_t at)
{
    return at < p->first ? p->first : at > p->end ? p->end : at;
}

/* Positions far enough apart for every box's words. */
static void space_out(struct picture *p)
{
    uint32_t n = p->end - p->first;
    double at = LABELS;
    double *gap = calloc(n + 1, sizeof(*gap));
    for (uint32_t i = 0; gap && i < n; i++)
        gap[i] = STEP;
    for (size_t i = 0; gap && i < p->t->count; i++) {
        const struct store_event *e = &p->t->events[i];
        if (!shown(p, e))
            continue;
        uint32_t from = clip(p, e->begin) - p->first, to = clip(p, end_of(p, e)) - p->first;
        double need = CHAR * (render_columns(e->name) + 2) + (e->fate == STORE_FATE_PARTLY ? 20 : 15), have = 0;
        for (uint32_t k = from; k < to; k++)
            have += gap[k];
        if (to > from && have < need)
            gap[to - 1] += need - have;
    }
    for (uint32_t i = 0; i <= n; i++) {
        p->x[i] = at;
        at += gap && i < n ? gap[i] : 0;
    }
    free(gap);
}

static double x_of(const struct picture *p, uint32_t position)
{
    return p->x[clip(p, position) - p->first];
}

/* Events of a lane that overlap in time stand below each other. */
static void stack(struct picture *p)
{
    for (unsigned lane = 0; lane < STORE_LANE_FLUSH; lane++) {
        uint32_t busy[MAX_ROWS] = {0};
        p->lane_row[lane] = p->rows;
        for (size_t i = 0; i < p->t->count; i++) {
            const struct store_event *e = &p->t->events[i];
            if (e->lane != (enum store_lane)lane || !shown(p, e))
                continue;
            unsigned row = 0;
            while (row + 1 < MAX_ROWS && row < p->lane_rows[lane] && busy[row] > e->begin)
                row++;
            if (row == p->lane_rows[lane])
                p->lane_rows[lane]++;
            busy[row] = end_of(p, e);
            p->boxes[i] = (struct box){e, p->rows + row, x_of(p, e->begin) + 2, x_of(p, end_of(p, e)) - 2,
                                       TOP + ROW * (p->rows + row) + (ROW - BOX) / 2};
        }
        p->rows += p->lane_rows[lane];
    }
}

/* --- drawing ------------------------------------------------------------------------------------------------------- */

static double bottom(const struct picture *p)
{
    return TOP + ROW * p->rows + 4;
}

static void draw_lanes(const struct picture *p)
{
    double right = p->x[p->end - p->first] + 14;
    for (unsigned lane = 0; lane < STORE_LANE_FLUSH; lane++) {
        if (!p->lane_rows[lane])
            continue;
        double y = TOP + ROW * p->lane_row[lane];
        fprintf(p->out, "<line class=\"tl-rule\" x1=\"0\" x2=\"%.0f\" y1=\"%.0f\" y2=\"%.0f\"/>", right, y, y);
        fprintf(p->out, "<text class=\"tl-lane\" x=\"2\" y=\"%.0f\">%s</text>", y + ROW / 2 + 4,
                store_lane_word((enum store_lane)lane));
    }
}

static void draw_flush(const struct picture *p, const struct store_event *e)
{
    double from = x_of(p, e->begin), to = x_of(p, end_of(p, e));
    fprintf(p->out, "<g class=\"tl-flush tl-%s\"><title>",
            e->fate == STORE_FATE_DONE     ? "done"
            : e->fate == STORE_FATE_FAILED ? "failed"
                                           : "in-flight");
    markup_xml(p->out, e->name);
    fprintf(p->out, ": a flush, %s</title><rect x=\"%.1f\" y=\"%.0f\" width=\"%.1f\" height=\"%.0f\"/>",
            store_fate_word(e->fate), from, TOP - 6, to - from, bottom(p) - TOP + 6);
    fprintf(p->out, "<text x=\"%.1f\" y=\"%.0f\">", from + 3, TOP - 9);
    markup_xml(p->out, e->name);
    fprintf(p->out, "%s</text></g>", e->fate == STORE_FATE_FAILED ? " failed" : "");
}

static const char *mark_of(enum store_fate fate)
{
    static const char *const marks[] = {
        [STORE_FATE_DURABLE] = "■", [STORE_FATE_SURVIVED] = "●",    [STORE_FATE_PARTLY] = "◐",
        [STORE_FATE_LOST] = "○",    [STORE_FATE_OVERWRITTEN] = "◌", [STORE_FATE_UNCHANGED] = "·",
        [STORE_FATE_DONE] = "✓",    [STORE_FATE_FAILED] = "✗",      [STORE_FATE_IN_FLIGHT] = "▷",
    };
    return marks[fate];
}

static void draw_box(const struct picture *p, const struct box *b)
{
    char fate[96], class[32];
    snprintf(class, sizeof(class), "%s", store_fate_word(b->e->fate));
    if (strchr(class, ' '))
        *strchr(class, ' ') = '-';
    timeline_fate_text(b->e, fate, sizeof(fate));
    fprintf(p->out, "<g class=\"tl-box tl-%s%s\" data-name=\"", class,
            b->e->lane == STORE_LANE_GUEST ? " tl-guest" : "");
    markup_xml(p->out, b->e->name);
    fprintf(p->out, "\" data-fate=\"%s\" data-sectors=\"%s\"><title>", store_fate_word(b->e->fate), b->e->sectors);
    markup_xml(p->out, b->e->name);
    fprintf(p->out, ": %s", fate);
    if (b->e->lane != STORE_LANE_GUEST)
        fprintf(p->out, "; at %" PRIu64 ", %" PRIu64 " bytes", b->e->offset_bytes, b->e->length_bytes);
    fprintf(p->out, "</title><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" rx=\"3\"/>", b->from, b->y,
            b->to - b->from, BOX);
    if (b->e->fate == STORE_FATE_PARTLY)
        fprintf(p->out, "<rect class=\"tl-part\" x=\"%.1f\" y=\"%.1f\" width=\"6\" height=\"%.0f\"/>", b->from, b->y,
                BOX);
    fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\">%s ", b->from + (b->e->fate == STORE_FATE_PARTLY ? 9 : 5), b->y + 14,
            mark_of(b->e->fate));
    markup_xml(p->out, b->e->name);
    fputs("</text></g>", p->out);
}

static void draw_arrow(const struct picture *p)
{
    const struct box *lost = NULL, *survivor = NULL;
    for (size_t i = 0; i < p->t->count; i++) {
        if (p->boxes[i].e && p->boxes[i].e->order == STORE_ORDER_LOST)
            lost = &p->boxes[i];
        if (p->boxes[i].e && p->boxes[i].e->order == STORE_ORDER_SURVIVOR)
            survivor = &p->boxes[i];
    }
    if (!lost || !survivor)
        return;
    bool down = survivor->y > lost->y;
    double x1 = (lost->from + lost->to) / 2, y1 = down ? lost->y + BOX : lost->y;
    double x2 = (survivor->from + survivor->to) / 2, y2 = down ? survivor->y : survivor->y + BOX;
    double bend = down ? 12 : -12;
    if (lost->row == survivor->row) { /* over the boxes between */
        y1 = y2 = lost->y;
        bend = -16;
        fprintf(p->out, "<path class=\"tl-arrow\" d=\"M%.1f %.1f C%.1f %.1f %.1f %.1f %.1f %.1f\"", x1, y1, x1,
                y1 + bend, x2, y2 + bend, x2, y2 - 3);
    } else {
        fprintf(p->out, "<path class=\"tl-arrow\" d=\"M%.1f %.1f C%.1f %.1f %.1f %.1f %.1f %.1f\"", x1, y1, x1,
                y1 + bend, x2, y2 - bend, x2, y2 - (down ? 3 : -3));
    }
    fprintf(p->out, " marker-end=\"url(#tl-head-%u)\"/>", p->number);
}

static void draw_end(const struct picture *p)
{
    double x = p->x[p->end - p->first];
    fprintf(p->out,
            "<g class=\"tl-crash\"><line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.0f\" y2=\"%.0f\"/>"
            "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"end\">@%" PRIu32 " %s</text></g>",
            x, x, TOP - 6, bottom(p) + 2, x + 12, bottom(p) + 15, p->end, p->crash ? "the power fails" : "seen here");
}

/* The same in words, for who does not see it. */
static void describe(const struct picture *p, const char *missing)
{
    char fate[96];
    fputs("<desc>", p->out);
    for (size_t i = 0; i < p->t->count; i++) {
        const struct store_event *e = &p->t->events[i];
        if (!shown(p, e))
            continue;
        timeline_fate_text(e, fate, sizeof(fate));
        markup_xml(p->out, store_lane_word(e->lane));
        fputs(" ", p->out);
        markup_xml(p->out, e->name);
        fprintf(p->out, ": %s. ", fate);
    }
    if (*missing) {
        fputs("Missing order: ", p->out);
        markup_xml(p->out, missing);
        fputc('.', p->out);
    }
    fputs("</desc>", p->out);
}

static void draw(struct picture *p, const char *missing)
{
    double width = p->x[p->end - p->first] + 16;
    if (width < LABELS + 130)
        width = LABELS + 130; /* the crash's words */
    fprintf(p->out,
            "<div class=\"tl-scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Timeline, scrolls sideways\">"
            "<svg class=\"tl\" role=\"img\" aria-labelledby=\"tl-title-%u\" width=\"%.0f\" height=\"%.0f\" "
            "viewBox=\"0 0 %.0f %.0f\"><title id=\"tl-title-%u\">What was written until %s "
            "%" PRIu32 "</title>",
            p->number, width, bottom(p) + 20, width, bottom(p) + 20, p->number,
            p->crash ? "the power failed at crash point" : "the guest saw it, at event", p->end);
    describe(p, missing);
    fprintf(p->out,
            "<defs><marker id=\"tl-head-%u\" viewBox=\"0 0 8 8\" refX=\"6\" refY=\"4\" markerWidth=\"4.5\" "
            "markerHeight=\"4.5\" orient=\"auto\"><path class=\"tl-head\" d=\"M0 0L8 4L0 8z\"/></marker></defs>",
            p->number);
    draw_lanes(p);
    for (size_t i = 0; i < p->t->count; i++)
        if (p->t->events[i].lane == STORE_LANE_FLUSH && shown(p, &p->t->events[i]))
            draw_flush(p, &p->t->events[i]);
    for (size_t i = 0; i < p->t->count; i++)
        if (p->boxes[i].e)
            draw_box(p, &p->boxes[i]);
    draw_arrow(p);
    draw_end(p);
    fputs("</svg></div>\n", p->out);
    if (p->hidden)
        fprintf(p->out, "<p class=\"note\">%zu earlier events are not drawn%s.</p>\n", p->hidden,
                p->crash ? "; all they wrote was durable or changed nothing" : "");
}

void svg_timeline(FILE *out, const struct timeline *t, uint32_t end, bool crash, const char *missing, unsigned number)
{
    struct picture p = {.out = out, .t = t, .end = end, .crash = crash, .number = number};
    if (!t->count)
        return;
    choose_first(&p);
    p.x = calloc(p.end - p.first + 1, sizeof(*p.x));
    p.boxes = calloc(t->count, sizeof(*p.boxes));
    if (p.x && p.boxes) {
        space_out(&p);
        stack(&p);
        draw(&p, missing);
    }
    free(p.x);
    free(p.boxes);
}

/* render_timeline.c: see render_timeline.h. */
#include "reports/render_timeline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "reports/timeline.h"

#define MARGIN        2
#define POSITION      9 /* columns for "1234-1240" */
#define MAX_SLOTS     8 /* guest requests in flight side by side */
#define FOLD_AT_LEAST 6 /* so many settled rows in sequence are told in one line */

struct glyphs {
    const char *fate[STORE_FATE_IN_FLIGHT + 1];
    const char *request_begin, *request_on, *request_end;
    const char *bar, *wait_bar, *crash_bar;
    const char *arrow_to, *arrow_on, *arrow_from_down, *arrow_from_up, *arrow_to_up;
};

static const struct glyphs ascii = {
    {"=", "#", "%", "o", "~", ".", "+", "x", ">"}, "+", "|", "'", "-", ".", "=", "<-.", "  |", "--'", "--.", "<-'"};
static const struct glyphs pretty = {
    {"■", "●", "◐", "○", "◌", "·", "✓", "✗", "▷"}, "┬", "│", "┴", "━", "┄", "═", "◀─┐", "  │", "──┘", "──┐", "◀─┘"};

/* One line: an event, the end of a request, or the end of a flush that took a while. */
struct row {
    const struct store_event *e;
    uint32_t at;
    bool end;
};

struct drawing {
    FILE *out;
    const struct render_options *o;
    const struct glyphs *g;
    struct row *rows;
    size_t count;
    unsigned lane_at[STORE_LANE_FLUSH + 1], lane_width[STORE_LANE_FLUSH + 1]; /* column of a lane; width 0: not drawn */
    unsigned slots;                                                           /* of the guest's lane */
    const struct store_event *slot[MAX_SLOTS];
    unsigned text_at; /* column of the words */
    size_t order[2];  /* rows of the missing order's ends; SIZE_MAX: not there */
    unsigned column;  /* where the line stands now */
};

static void put(struct drawing *d, const char *text)
{
    fputs(text, d->out);
    d->column += render_columns(text);
}

static void put_colored(struct drawing *d, const char *text, const char *color)
{
    render_padded(d->out, d->o, text, 0, color);
    d->column += render_columns(text);
}

static void go_to(struct drawing *d, unsigned column)
{
    while (d->column < column)
        put(d, " ");
}

/* --- layout -------------------------------------------------------------------------------------------------------- */

static int by_position(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return (x->e > y->e) - (x->e < y->e);
}

static bool has_end_row(const struct store_event *e)
{
    if (e->lane == STORE_LANE_GUEST)
        return e->ended;
    return e->lane == STORE_LANE_FLUSH && e->ended && e->end > e->begin + 1;
}

static void make_rows(struct drawing *d, const struct timeline *t)
{
    d->rows = calloc(2 * t->count + 1, sizeof(*d->rows));
    for (size_t i = 0; d->rows && i < t->count; i++) {
        const struct store_event *e = &t->events[i];
        d->rows[d->count++] = (struct row){e, e->begin, false};
        if (has_end_row(e))
            d->rows[d->count++] = (struct row){e, e->end, true};
    }
    if (d->count)
        qsort(d->rows, d->count, sizeof(*d->rows), by_position);
    d->order[0] = d->order[1] = SIZE_MAX;
    for (size_t i = 0; i < d->count; i++)
        if (d->rows[i].e->order != STORE_ORDER_NONE)
            d->order[d->rows[i].e->order - STORE_ORDER_LOST] = i;
}

static void count_slots(struct drawing *d)
{
    unsigned open = 0;
    d->slots = 1;
    for (size_t i = 0; i < d->count; i++)
        if (d->rows[i].e->lane == STORE_LANE_GUEST) {
            open += d->rows[i].end ? -1u : 1u;
            if (open > d->slots)
                d->slots = open < MAX_SLOTS ? open : MAX_SLOTS;
        }
}

static void lay_out(struct drawing *d)
{
    count_slots(d);
    for (size_t i = 0; i < d->count; i++) {
        const struct store_event *e = d->rows[i].e;
        unsigned width = render_columns(e->name) + 2, least = render_columns(store_lane_word(e->lane));
        if (e->lane == STORE_LANE_FLUSH)
            continue;
        if (e->lane == STORE_LANE_GUEST)
            width = 2 * d->slots;
        if (width < least)
            width = least;
        if (width > d->lane_width[e->lane])
            d->lane_width[e->lane] = width;
    }
    unsigned at = MARGIN + POSITION + 2;
    for (unsigned lane = 0; lane < STORE_LANE_FLUSH; lane++) {
        d->lane_at[lane] = at;
        if (d->lane_width[lane])
            at += d->lane_width[lane] + 2;
    }
    d->text_at = at;
}

/* --- lines --------------------------------------------------------------------------------------------------------- */

static void end_line(struct drawing *d)
{
    fputc('\n', d->out);
    d->column = 0;
}

static void draw_titles(struct drawing *d)
{
    go_to(d, MARGIN);
    put(d, "event");
    for (unsigned lane = 0; lane < STORE_LANE_FLUSH; lane++)
        if (d->lane_width[lane]) {
            go_to(d, d->lane_at[lane]);
            put(d, store_lane_word((enum store_lane)lane));
        }
    end_line(d);
}

static void draw_position(struct drawing *d, const struct row *r)
{
    char text[32];
    if (r->e->lane == STORE_LANE_GUEST || r->end || has_end_row(r->e))
        snprintf(text, sizeof(text), "%" PRIu32, r->at);
    else if (r->e->ended)
        snprintf(text, sizeof(text), "%" PRIu32 "-%" PRIu32, r->e->begin, r->e->end);
    else
        snprintf(text, sizeof(text), "%" PRIu32 "-", r->e->begin);
    go_to(d, MARGIN);
    put(d, text);
}

static void draw_slots(struct drawing *d, const struct row *r)
{
    go_to(d, d->lane_at[STORE_LANE_GUEST]);
    for (unsigned i = 0; i < d->slots; i++) {
        const char *mark = d->slot[i] ? d->g->request_on : " ";
        if (r && d->slot[i] == r->e)
            mark = r->end ? d->g->request_end : d->g->request_begin;
        put(d, mark);
        put(d, " ");
    }
}

static void take_slot(struct drawing *d, const struct store_event *e, const struct store_event *instead)
{
    for (unsigned i = 0; i < d->slots; i++)
        if (d->slot[i] == e) {
            d->slot[i] = instead;
            return;
        }
}

static void draw_request(struct drawing *d, const struct row *r)
{
    char fate[64];
    if (!r->end)
        take_slot(d, NULL, r->e);
    draw_position(d, r);
    draw_slots(d, r);
    put_colored(d, r->e->name, RENDER_BOLD);
    timeline_fate_text(r->e, fate, sizeof(fate));
    if (r->end) {
        put(d, ": ");
        put(d, fate);
        take_slot(d, r->e, NULL);
    }
}

static void draw_flush(struct drawing *d, const struct row *r)
{
    bool begins = has_end_row(r->e) ? !r->end : !r->e->ended;
    const char *bar = begins ? d->g->wait_bar : d->g->bar;
    draw_position(d, r);
    draw_slots(d, NULL);
    put(d, bar);
    put(d, bar);
    put(d, " ");
    put_colored(d, r->e->name, RENDER_BOLD);
    put(d, begins ? " flush begins " : r->e->fate == STORE_FATE_FAILED ? " flush FAILED " : " flush done ");
    while (d->column < d->text_at)
        put(d, bar);
    if (begins && !r->e->ended)
        put(d, " in flight");
}

static const char *fate_color(enum store_fate fate)
{
    return fate == STORE_FATE_LOST || fate == STORE_FATE_FAILED       ? RENDER_RED
           : fate == STORE_FATE_SURVIVED || fate == STORE_FATE_PARTLY ? RENDER_GREEN
                                                                      : NULL;
}

static void draw_write(struct drawing *d, const struct row *r)
{
    char text[96];
    draw_position(d, r);
    if (d->lane_width[STORE_LANE_GUEST])
        draw_slots(d, NULL);
    go_to(d, d->lane_at[r->e->lane]);
    put_colored(d, d->g->fate[r->e->fate], fate_color(r->e->fate));
    put(d, " ");
    put(d, r->e->name);
    go_to(d, d->text_at);
    if (!d->o->width || d->o->width >= d->text_at + 60) {
        snprintf(text, sizeof(text), "%#8" PRIx64 " +%-7" PRIu64 " ", r->e->offset_bytes, r->e->length_bytes);
        put(d, text);
    }
    timeline_fate_text(r->e, text, sizeof(text));
    put_colored(d, text, fate_color(r->e->fate));
}

/* The missing order, from what was lost to what survived without it. */
static void draw_arrow(struct drawing *d, size_t row, const char *missing)
{
    size_t lost = d->order[0], survivor = d->order[1];
    if (lost == SIZE_MAX || survivor == SIZE_MAX)
        return;
    size_t first = lost < survivor ? lost : survivor, last = lost < survivor ? survivor : lost;
    if (row < first || row > last)
        return;
    unsigned at = d->text_at + (!d->o->width || d->o->width >= d->text_at + 60 ? 48 : 30);
    go_to(d, at);
    put(d, " ");
    if (row == lost)
        put_colored(d, lost == first ? d->g->arrow_to : d->g->arrow_to_up, RENDER_BOLD);
    else if (row == survivor)
        put_colored(d, survivor == last ? d->g->arrow_from_down : d->g->arrow_from_up, RENDER_BOLD);
    else
        put_colored(d, d->g->arrow_on, RENDER_BOLD);
    if (row == first && (!d->o->width || d->column + 10 + render_columns(missing) <= d->o->width)) {
        put(d, " missing: ");
        put(d, missing);
    }
}

static void draw_end(struct drawing *d, uint32_t end, bool crash)
{
    char text[64];
    snprintf(text, sizeof(text), "@%" PRIu32, end);
    go_to(d, MARGIN);
    put(d, text);
    go_to(d, MARGIN + POSITION + 2);
    snprintf(text, sizeof(text), crash ? " the power fails " : " seen here ");
    for (int i = 0; i < 4; i++)
        put(d, d->g->crash_bar);
    put_colored(d, text, RENDER_RED);
    for (int i = 0; i < 4 || d->column < d->text_at; i++)
        put(d, d->g->crash_bar);
    end_line(d);
}

/* --- folding ------------------------------------------------------------------------------------------------------- */

/* Nothing that still matters at the crash. */
static bool settled(const struct row *r)
{
    bool write = r->e->lane != STORE_LANE_GUEST && r->e->lane != STORE_LANE_FLUSH;
    return r->e->fate == STORE_FATE_DURABLE || (r->e->fate == STORE_FATE_DONE && r->e->ended && !write);
}

/* How many rows from here on are one line. */
static size_t fold(const struct drawing *d, size_t from)
{
    size_t n = 0;
    while (!d->o->verbose && from + n < d->count && settled(&d->rows[from + n]))
        n++;
    return n >= FOLD_AT_LEAST ? n : 0;
}

static void draw_folded(struct drawing *d, size_t from, size_t n)
{
    char text[96];
    size_t writes = 0, flushes = 0;
    for (size_t i = from; i < from + n; i++) {
        const struct row *r = &d->rows[i];
        if (r->e->lane == STORE_LANE_GUEST)
            take_slot(d, r->end ? r->e : NULL, r->end ? NULL : r->e);
        writes += r->e->fate == STORE_FATE_DURABLE;
        flushes += r->e->lane == STORE_LANE_FLUSH && !r->end;
    }
    snprintf(text, sizeof(text), "%" PRIu32 "-%" PRIu32, d->rows[from].at, d->rows[from + n - 1].at);
    go_to(d, MARGIN);
    put(d, text);
    go_to(d, MARGIN + POSITION + 2);
    snprintf(text, sizeof(text), "... %zu writes, %zu flushes: all durable (-v shows them)", writes, flushes);
    put(d, text);
    end_line(d);
}

static void draw_rows(struct drawing *d, const char *missing)
{
    for (size_t i = 0; i < d->count; i++) {
        size_t folded = fold(d, i);
        if (folded) {
            draw_folded(d, i, folded);
            i += folded - 1;
            continue;
        }
        if (d->rows[i].e->lane == STORE_LANE_GUEST)
            draw_request(d, &d->rows[i]);
        else if (d->rows[i].e->lane == STORE_LANE_FLUSH)
            draw_flush(d, &d->rows[i]);
        else
            draw_write(d, &d->rows[i]);
        draw_arrow(d, i, missing);
        end_line(d);
    }
}

void render_timeline(FILE *out, const struct render_options *o, const struct timeline *t, uint32_t end, bool crash,
                     const char *missing)
{
    struct drawing d = {.out = out, .o = o, .g = o->unicode ? &pretty : &ascii};
    make_rows(&d, t);
    if (d.rows && d.count) {
        lay_out(&d);
        draw_titles(&d);
        draw_rows(&d, missing);
        draw_end(&d, end, crash);
    }
    free(d.rows);
}

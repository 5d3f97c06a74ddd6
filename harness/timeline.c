/* timeline.c: see timeline.h. */
#include "harness/timeline.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "simdisk/xalloc.h"

#define SETTLED_EVENTS 1000u /* kept of what was over before the first write that matters */

static enum store_lane lane_of(const struct hist_op *op)
{
    if (op->kind == HIST_FLUSH)
        return STORE_LANE_FLUSH;
    if (op->kind == HIST_RESIZE)
        return STORE_LANE_FILE;
    switch (op->label) {
    case BLK_EVENT_HEADER_UPDATE:
        return STORE_LANE_HEADER;
    case BLK_EVENT_L1_UPDATE:
        return STORE_LANE_L1;
    case BLK_EVENT_L2_UPDATE:
    case BLK_EVENT_L2_ALLOC_WRITE:
        return STORE_LANE_L2;
    case BLK_EVENT_COW_WRITE:
    case BLK_EVENT_WRITE_AIO:
        return STORE_LANE_DATA;
    case BLK_EVENT_NONE:
    case BLK_EVENT_HEADER_READ:
    case BLK_EVENT_L1_LOAD:
    case BLK_EVENT_L2_LOAD:
    case BLK_EVENT_READ_AIO:
    case BLK_EVENT_READ_BACKING_AIO:
    case BLK_EVENT_COW_READ:
    case BLK_EVENT_CLUSTER_ALLOC:
    case BLK_EVENT_CLUSTER_FREE:
    case BLK_EVENT_FLUSH_TO_DISK:
    case BLK_EVENT_TRUNCATE:
    case BLK_EVENT_COUNT:
        break;
    }
    return STORE_LANE_FILE;
}

/* What became of one write's units. */
struct tally {
    uint32_t pending, survived, overwritten;
    char sectors[64]; /* the surviving ones, counted within the write: "0-3,5" */
};

struct sector_list {
    char *text;
    size_t size;
    uint64_t first, next; /* the range being built: [first, next) */
};

static void end_range(struct sector_list *l)
{
    size_t used = strlen(l->text);
    if (l->next == l->first || used + 32 > l->size)
        return;
    snprintf(l->text + used, l->size - used, l->next == l->first + 1 ? "%s%" PRIu64 : "%s%" PRIu64 "-%" PRIu64,
             used ? "," : "", l->first, l->next - 1);
}

static void add_sectors(struct sector_list *l, uint64_t first, uint64_t count)
{
    if (l->next != first) {
        end_range(l);
        l->first = first;
    }
    l->next = first + count;
}

static struct tally tally_op(const struct crash_space *s, const struct crash_state *st, uint32_t op)
{
    struct tally t = {0};
    struct sector_list list = {t.sectors, sizeof(t.sectors), 0, 0};
    const struct hist_op *o = &s->history->ops[op];
    uint64_t first = o->offset_bytes / BLK_SECTOR_BYTES, count = s->model->atom == SIM_ATOM_4096 ? 8 : 1;
    for (size_t u = 0; u < s->unit_count; u++)
        for (uint32_t v = 1; v < s->units[u].version_count; v++) {
            if (crash_unit_version(s, u, v)->op != op)
                continue;
            uint32_t chosen = crash_state_version(s, st, u);
            t.pending++;
            t.survived += chosen == v;
            t.overwritten += chosen > v;
            uint64_t sector = s->units[u].first_sector;
            if (chosen == v)
                add_sectors(&list, sector < first ? 0 : sector - first, count);
        }
    end_range(&list);
    return t;
}

/* Had a flush made it durable by then? */
static bool covered(const struct history *h, const struct sim_disk_model *model, const struct hist_op *op,
                    uint32_t when)
{
    if (op->done == HIST_NEVER || op->done >= when)
        return false;
    if (model->cache == SIM_CACHE_WRITE_THROUGH)
        return true;
    for (size_t i = 0; i < h->op_count; i++) {
        const struct hist_op *f = &h->ops[i];
        if (f->kind == HIST_FLUSH && !f->ret && f->submitted > op->done && f->done != HIST_NEVER && f->done < when)
            return true;
    }
    return false;
}

static bool in_prefix(const struct crash_space *s, uint32_t op)
{
    for (uint32_t i = 0; i < s->prefix_ops; i++)
        if (s->prefix[i] == op)
            return true;
    return false;
}

static enum store_fate fate_of_write(const struct finding *f, const struct crash_space *s, uint32_t op,
                                     const struct tally *t)
{
    const struct hist_op *o = &s->history->ops[op];
    if (!o->reached_disk && o->done != HIST_NEVER && o->done < f->when)
        return STORE_FATE_FAILED;
    if (in_prefix(s, op))
        return STORE_FATE_SURVIVED;
    if (!t->pending)
        return covered(s->history, s->model, o, f->when) ? STORE_FATE_DURABLE : STORE_FATE_UNCHANGED;
    if (t->overwritten == t->pending)
        return STORE_FATE_OVERWRITTEN;
    if (!t->survived)
        return STORE_FATE_LOST;
    return t->survived + t->overwritten == t->pending ? STORE_FATE_SURVIVED : STORE_FATE_PARTLY;
}

static enum store_fate fate_of_length(const struct finding *f, const struct crash_space *s, uint32_t op)
{
    const struct hist_op *o = &s->history->ops[op];
    for (size_t i = 0; i < s->atom_count; i++)
        if (s->atoms[i].op == op)
            return f->state.atom[i] ? STORE_FATE_SURVIVED : STORE_FATE_LOST;
    for (size_t i = 1; i < s->length_count; i++)
        if (s->lengths[i].op == op)
            return f->state.length == i ? STORE_FATE_SURVIVED : STORE_FATE_LOST;
    return covered(s->history, s->model, o, f->when) ? STORE_FATE_DURABLE : STORE_FATE_UNCHANGED;
}

static bool over(uint32_t end, uint32_t when)
{
    return end != HIST_NEVER && end < when;
}

static void place_op(const struct history *h, uint32_t op, uint32_t when, struct store_event *e)
{
    const struct hist_op *o = &h->ops[op];
    history_op_name(h, op, e->name, sizeof(e->name));
    e->lane = lane_of(o);
    e->begin = o->submitted;
    e->ended = over(o->done, when);
    e->end = o->done;
    e->offset_bytes = o->kind == HIST_WRITE ? o->offset_bytes : 0;
    e->length_bytes = o->kind == HIST_FLUSH ? 0 : o->length_bytes;
}

static void tell_op(const struct finding *f, const struct crash_space *s, uint32_t op, struct store_event *e)
{
    const struct hist_op *o = &s->history->ops[op];
    struct tally t = {0};
    place_op(s->history, op, f->when, e);
    switch (o->kind) {
    case HIST_WRITE:
        t = tally_op(s, &f->state, op);
        e->fate = fate_of_write(f, s, op, &t);
        break;
    case HIST_RESIZE:
        e->fate = fate_of_length(f, s, op);
        break;
    case HIST_FLUSH:
        e->fate = !e->ended ? STORE_FATE_IN_FLIGHT : o->ret ? STORE_FATE_FAILED : STORE_FATE_DONE;
        break;
    }
    e->pending = t.pending;
    e->survived = t.survived;
    if (e->fate == STORE_FATE_PARTLY)
        snprintf(e->sectors, sizeof(e->sectors), "%s", t.sectors);
    e->order = op == f->lost_op ? STORE_ORDER_LOST : op == f->survivor_op ? STORE_ORDER_SURVIVOR : STORE_ORDER_NONE;
}

static void tell_live_op(const struct history *h, const struct sim_disk_model *model, uint32_t op, uint32_t when,
                         struct store_event *e)
{
    const struct hist_op *o = &h->ops[op];
    place_op(h, op, when, e);
    e->fate = !e->ended                                               ? STORE_FATE_IN_FLIGHT
              : o->ret || (!o->reached_disk && o->kind != HIST_FLUSH) ? STORE_FATE_FAILED
              : o->kind != HIST_FLUSH && covered(h, model, o, when)   ? STORE_FATE_DURABLE
                                                                      : STORE_FATE_DONE;
}

static void tell_request(uint32_t when, const struct scenario *s, const struct run_guest_op *op, struct store_event *e)
{
    const struct scn_stmt *stmt = &s->stmts[op->stmt];
    snprintf(e->name, sizeof(e->name), "%s", stmt->text);
    e->lane = STORE_LANE_GUEST;
    e->begin = op->begin;
    e->ended = over(op->end, when);
    e->end = op->end;
    e->offset_bytes = stmt->offset;
    e->length_bytes = stmt->length;
    e->fate = !e->ended ? STORE_FATE_IN_FLIGHT : op->ret ? STORE_FATE_FAILED : STORE_FATE_DONE;
}

static int by_beginning(const void *a, const void *b)
{
    const struct store_event *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->lane < y->lane ? -1 : x->lane > y->lane;
}

/* The first position that is told of, where the first write that matters was submitted at `first`. */
static uint32_t told_from(uint32_t first)
{
    return first > SETTLED_EVENTS ? first - SETTLED_EVENTS : 0;
}

static bool is_told(uint32_t begin, uint32_t end, uint32_t from, uint32_t when)
{
    return begin < when && (end == HIST_NEVER || end >= from);
}

static uint32_t earliest(const struct crash_space *s, uint32_t when)
{
    uint32_t first = when;
    for (size_t i = 0; i < s->version_count; i++)
        if (s->versions[i].op != HIST_NEVER && s->history->ops[s->versions[i].op].submitted < first)
            first = s->history->ops[s->versions[i].op].submitted;
    for (uint32_t i = 0; i < s->prefix_ops; i++)
        if (s->history->ops[s->prefix[i]].submitted < first)
            first = s->history->ops[s->prefix[i]].submitted;
    return first;
}

/* Room for all, and the guest's part: what began before `when`, and whether it ended before `seen`. */
static void begin(struct timeline *out, const struct recording *r, uint32_t from, uint32_t when, uint32_t seen)
{
    out->events = xcalloc(r->history->op_count + r->guest_op_count, sizeof(*out->events));
    out->count = 0;
    for (size_t i = 0; i < r->guest_op_count; i++)
        if (is_told(r->guest_ops[i].begin, r->guest_ops[i].end, from, when))
            tell_request(seen, r->scenario, &r->guest_ops[i], &out->events[out->count++]);
}

static void sort(struct timeline *t)
{
    if (t->count)
        qsort(t->events, t->count, sizeof(*t->events), by_beginning);
}

void timeline_make(const struct finding *f, const struct crash_space *space, const struct recording *recording,
                   struct timeline *out)
{
    const struct history *h = space->history;
    uint32_t from = told_from(earliest(space, f->when));
    begin(out, recording, from, f->when, f->when);
    for (uint32_t op = 0; op < h->op_count; op++)
        if (is_told(h->ops[op].submitted, h->ops[op].done, from, f->when))
            tell_op(f, space, op, &out->events[out->count++]);
    sort(out);
}

void timeline_make_live(const struct run_live_finding *f, const struct recording *recording,
                        const struct sim_disk_model *model, struct timeline *out)
{
    const struct history *h = recording->history;
    uint32_t from = told_from(f->when);
    begin(out, recording, from, f->when, f->when + 1); /* the request that saw it is over */
    for (uint32_t op = 0; op < h->op_count; op++)
        if (is_told(h->ops[op].submitted, h->ops[op].done, from, f->when))
            tell_live_op(h, model, op, f->when, &out->events[out->count++]);
    sort(out);
}

void timeline_free(struct timeline *t)
{
    free(t->events);
    *t = (struct timeline){0};
}

/* crash_walk.c: from a history to its spaces, epoch by epoch.
 *
 * The walk keeps what is durable (`durable`, pages) and what is pending (`pending`, operations in the order in which they
 * changed the disk: by completion, those in flight last). At a boundary it moves newly covered operations from the one to
 * the other. A space is then built from what is pending, sector by sector.
 *
 * Boundaries: a flush that completed, a promise that tightened, and on a write-through disk every completed write.
 */
#include <assert.h>
#include <string.h>

#include "simdisk/crash_space.h"
#include "simdisk/xalloc.h"

struct pending_op {
    uint32_t op;
    bool abandoned; /* a failed flush dropped it: no later flush covers it */
};

struct crash_walk {
    const struct history *h;
    const struct sim_disk_model *model;
    bool every_point;
    struct sim_pages *durable;
    uint64_t durable_length;
    struct pending_op *pending; /* completed ones in completion order; in flight ones are found in the history */
    size_t pending_count, pending_cap;
    uint32_t *covering; /* covered writes that came after an abandoned one: they hide it, sector by sector */
    size_t covering_count, covering_cap;
    uint32_t point; /* first crash point of the next epoch */
    bool finished;
    /* Ordered cache: spaces of the current epoch still to hand out. */
    struct crash_space **queue;
    size_t queue_count, queue_cap, queue_next;
};

struct crash_walk *crash_walk_create(const struct history *h, const struct sim_disk_model *model, bool every_point)
{
    struct crash_walk *w = xcalloc(1, sizeof(*w));
    w->h = h;
    w->model = model;
    w->every_point = every_point;
    w->durable = sim_pages_snapshot(h->base);
    w->durable_length = h->base_length_bytes;
    return w;
}

void crash_walk_destroy(struct crash_walk *w)
{
    if (!w)
        return;
    for (size_t i = w->queue_next; i < w->queue_count; i++)
        crash_space_free(w->queue[i]);
    sim_pages_destroy(w->durable);
    free(w->queue);
    free(w->covering);
    free(w->pending);
    free(w);
}

static uint64_t op_end(const struct hist_op *op)
{
    return op->kind == HIST_RESIZE ? op->length_bytes : op->offset_bytes + op->length_bytes;
}

static bool op_changes_disk(const struct hist_op *op)
{
    return op->kind != HIST_FLUSH && op->reached_disk;
}

/* --- what is durable ---------------------------------------------------------------------------------------------- */

static void apply_op(struct sim_pages *pages, uint64_t *length, const struct hist_op *op, bool fixed)
{
    assert(op);
    if (op->kind == HIST_WRITE)
        sim_pages_write(pages, op->offset_bytes, op->data, op->length_bytes);
    else if (op->length_bytes < *length)
        sim_pages_cut(pages, op->length_bytes);
    if (fixed)
        return;
    if (op->kind == HIST_RESIZE || op_end(op) > *length)
        *length = op_end(op);
}

/* A flush submitted at event `submitted` has completed: what had completed before it becomes durable. Order is kept. */
static void cover_completed_before(struct crash_walk *w, uint32_t submitted)
{
    size_t kept = 0;
    bool abandoned = false;
    for (size_t i = 0; i < w->pending_count; i++) {
        const struct hist_op *op = &w->h->ops[w->pending[i].op];
        abandoned |= w->pending[i].abandoned;
        if (w->pending[i].abandoned || op->done >= submitted) {
            w->pending[kept++] = w->pending[i];
            continue;
        }
        apply_op(w->durable, &w->durable_length, op, w->h->fixed_size);
        if (abandoned) {
            w->covering = xgrow(w->covering, w->covering_count, &w->covering_cap, sizeof(*w->covering));
            w->covering[w->covering_count++] = w->pending[i].op;
        }
    }
    w->pending_count = kept;
}

/* Never older than durable: an abandoned write is gone where a later write or cut was covered. */
static bool hidden_by_covering(const struct crash_walk *w, const struct hist_op *op, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < w->covering_count; i++) {
        const struct hist_op *c = &w->h->ops[w->covering[i]];
        if (c->done <= op->done)
            continue;
        if (c->kind == HIST_RESIZE ? c->length_bytes <= from : c->offset_bytes <= from && op_end(c) >= to)
            return true;
    }
    return false;
}

/* It is pages that count as clean; the file's length is none. */
static void abandon_completed_before(struct crash_walk *w, uint32_t submitted)
{
    for (size_t i = 0; i < w->pending_count; i++)
        if (w->h->ops[w->pending[i].op].done < submitted && w->h->ops[w->pending[i].op].kind == HIST_WRITE)
            w->pending[i].abandoned = true;
}

/* Takes note of one event; true if it is a boundary. */
static bool pass_event(struct crash_walk *w, uint32_t index)
{
    const struct hist_event *e = &w->h->events[index];
    if (e->kind == HIST_MARK)
        return w->h->marks[e->op].boundary;
    const struct hist_op *op = &w->h->ops[e->op];
    assert(op);
    if (e->kind != HIST_DONE)
        return false;
    if (op->kind == HIST_FLUSH) {
        if (w->model->cache == SIM_CACHE_LYING)
            return false;
        if (op->ret == 0)
            cover_completed_before(w, op->submitted);
        else if (w->model->failed_flush == SIM_FAILED_FLUSH_DROPS)
            abandon_completed_before(w, op->submitted);
        return op->ret == 0;
    }
    if (!op_changes_disk(op))
        return false;
    if (w->model->cache == SIM_CACHE_WRITE_THROUGH) {
        apply_op(w->durable, &w->durable_length, op, w->h->fixed_size);
        return true;
    }
    w->pending = xgrow(w->pending, w->pending_count, &w->pending_cap, sizeof(*w->pending));
    w->pending[w->pending_count++] = (struct pending_op){.op = e->op};
    return false;
}

/* --- building a space --------------------------------------------------------------------------------------------- */

/* One sector's share of one pending operation, while a space is built. */
struct piece {
    uint64_t unit;  /* index of the unit on the disk */
    uint32_t order; /* place in the order of change */
    uint32_t op;
};

static int piece_compare(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    if (x->unit != y->unit)
        return x->unit < y->unit ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

struct builder {
    struct crash_walk *walk;
    struct crash_space *space;
    struct piece *pieces;
    size_t piece_count, piece_cap;
    uint32_t *atom_of; /* per order: atom or CRASH_NO_ATOM */
    const uint32_t *ops;
    size_t op_count;
    uint32_t fixed_when;   /* ordered cache: every version exists from here; else 0 */
    bool own_length;       /* the length is a choice of its own */
    uint64_t floor_length; /* the file is never shorter: the durable length, or what a pending cut leaves */
};

static uint32_t version_when(const struct builder *b, const struct hist_op *op)
{
    uint32_t when = op->submitted + 1;
    if (when < b->space->first_point)
        when = b->space->first_point;
    return when < b->fixed_when ? b->fixed_when : when;
}

/* The range of bytes an operation changes: of a cut, what the file may have had beyond. */
static void op_range(const struct builder *b, size_t order, uint64_t *from, uint64_t *to)
{
    const struct hist_op *op = &b->walk->h->ops[b->ops[order]];
    *from = op->offset_bytes;
    *to = op->offset_bytes + op->length_bytes;
    if (op->kind == HIST_RESIZE) {
        uint64_t reach = b->space->base_length;
        for (size_t i = 0; i < order; i++)
            if (op_end(&b->walk->h->ops[b->ops[i]]) > reach)
                reach = op_end(&b->walk->h->ops[b->ops[i]]);
        *from = op->length_bytes;
        *to = reach > op->length_bytes ? reach : op->length_bytes;
    }
}

static void add_atom(struct builder *b, size_t order, const struct hist_op *op)
{
    struct crash_space *s = b->space;
    uint64_t from, to;
    op_range(b, order, &from, &to);
    bool cut = op->kind == HIST_RESIZE && to > from;
    uint64_t end = op_end(op) > b->floor_length && !b->own_length ? op_end(op) : 0;
    if (op->kind == HIST_RESIZE && !cut && !end)
        return; /* shows nowhere */
    s->atoms = xgrow(s->atoms, s->atom_count, &s->atom_cap, sizeof(*s->atoms));
    s->atoms[s->atom_count] = (struct crash_atom){.op = b->ops[order],
                                                  .when = version_when(b, op),
                                                  .end_bytes = end,
                                                  .cuts = cut,
                                                  .cut_bytes = cut ? op->length_bytes : 0};
    b->atom_of[order] = (uint32_t)s->atom_count++;
}

static void collect_pieces(struct builder *b)
{
    uint64_t unit_bytes = (uint64_t)b->space->unit_sectors * BLK_SECTOR_BYTES;
    for (size_t i = 0; i < b->op_count; i++) {
        const struct hist_op *op = &b->walk->h->ops[b->ops[i]];
        b->atom_of[i] = CRASH_NO_ATOM;
        if (op->kind == HIST_RESIZE || b->walk->model->atom == SIM_ATOM_WRITE)
            add_atom(b, i, op);
        uint64_t from, to;
        op_range(b, i, &from, &to);
        for (uint64_t unit = from / unit_bytes; unit * unit_bytes < to; unit++) {
            if (hidden_by_covering(b->walk, op, unit * unit_bytes, (unit + 1) * unit_bytes))
                continue;
            b->pieces = xgrow(b->pieces, b->piece_count, &b->piece_cap, sizeof(*b->pieces));
            b->pieces[b->piece_count++] = (struct piece){.unit = unit, .order = (uint32_t)i, .op = b->ops[i]};
        }
    }
    if (b->piece_count)
        qsort(b->pieces, b->piece_count, sizeof(*b->pieces), piece_compare);
}

static uint8_t *new_buffer(struct crash_space *s, size_t size)
{
    s->buffers = xgrow(s->buffers, s->buffer_count, &s->buffer_cap, sizeof(*s->buffers));
    return s->buffers[s->buffer_count++] = xmalloc(size);
}

static bool covers_unit(const struct hist_op *op, uint64_t unit, uint64_t unit_bytes)
{
    return op->kind == HIST_WRITE && op->offset_bytes <= unit * unit_bytes && op_end(op) >= (unit + 1) * unit_bytes;
}

/* The unit's contents after the operation, over what it held before. */
static const uint8_t *piece_contents(struct builder *b, const struct piece *piece, const uint8_t *before)
{
    const struct hist_op *op = &b->walk->h->ops[piece->op];
    uint64_t unit = piece->unit;
    size_t unit_bytes = (size_t)b->space->unit_sectors * BLK_SECTOR_BYTES;
    uint64_t start = unit * unit_bytes;
    if (covers_unit(op, unit, unit_bytes))
        return op->data + (start - op->offset_bytes);
    uint8_t *copy = new_buffer(b->space, unit_bytes);
    memcpy(copy, before, unit_bytes);
    uint64_t from, to;
    op_range(b, piece->order, &from, &to);
    uint64_t lo = from > start ? from - start : 0;
    uint64_t hi = to < start + unit_bytes ? to - start : unit_bytes;
    if (op->kind == HIST_WRITE)
        memcpy(copy + lo, op->data + (start + lo - op->offset_bytes), hi - lo);
    else
        memset(copy + lo, 0, hi - lo);
    return copy;
}

/* How far a growing file must reach if this version survives; 0 when that is no further than it is anyway. */
static uint64_t piece_end(const struct builder *b, const struct hist_op *op, uint64_t unit, uint64_t before)
{
    if (op->kind == HIST_RESIZE || b->walk->h->fixed_size)
        return 0;
    uint64_t unit_end = (unit + 1) * b->space->unit_sectors * BLK_SECTOR_BYTES;
    uint64_t end = op_end(op) < unit_end ? op_end(op) : unit_end;
    if (end < before)
        end = before;
    return end > b->floor_length ? end : 0;
}

static void push_version(struct crash_space *s, const struct crash_version *v)
{
    s->versions = xgrow(s->versions, s->version_count, &s->version_cap, sizeof(*s->versions));
    s->versions[s->version_count++] = *v;
}

/* Equal contents (and equal reach) collapse into the earlier version: the same image, judged by the tighter promise. Not
 * where atoms decide: there the version also says which operations survived. */
static bool collapses(const struct crash_space *s, const struct crash_unit *unit, const struct crash_version *v)
{
    if (v->atom != CRASH_NO_ATOM)
        return false;
    for (uint32_t i = 0; i < unit->version_count; i++) {
        struct crash_version *old = &s->versions[unit->first_version + i];
        if (old->atom == CRASH_NO_ATOM && old->end_bytes == v->end_bytes &&
            !memcmp(old->data, v->data, (size_t)s->unit_sectors * BLK_SECTOR_BYTES)) {
            if (v->when < old->when)
                *old = *v;
            return true;
        }
    }
    return false;
}

/* Were two of the unit's writes in flight together? Then either may have come first, and the chain of versions, which
 * follows their completion, knows one order only. It matters where a version holds more than the last write's bytes. */
static bool in_flight_together(const struct builder *b, const struct piece *pieces, size_t count)
{
    if (b->space->unit_sectors == 1 && !b->space->atom_count)
        return false;
    for (size_t i = 0; i < count; i++)
        for (size_t k = i + 1; k < count; k++) {
            const struct hist_op *x = &b->walk->h->ops[pieces[i].op], *y = &b->walk->h->ops[pieces[k].op];
            if (x->submitted < y->done && y->submitted < x->done)
                return true;
        }
    return false;
}

static void build_unit(struct builder *b, const struct piece *pieces, size_t count)
{
    struct crash_space *s = b->space;
    size_t unit_bytes = (size_t)s->unit_sectors * BLK_SECTOR_BYTES;
    uint64_t unit_index = pieces[0].unit;
    s->one_order |= in_flight_together(b, pieces, count);
    uint8_t *base = new_buffer(s, unit_bytes);
    sim_pages_read(s->base, unit_index * unit_bytes, base, unit_bytes);
    struct crash_unit unit = {
        .first_sector = unit_index * s->unit_sectors, .first_version = (uint32_t)s->version_count, .version_count = 1};
    uint32_t durable_when = b->fixed_when > s->first_point ? b->fixed_when : s->first_point;
    push_version(s,
                 &(struct crash_version){.data = base, .op = HIST_NEVER, .when = durable_when, .atom = CRASH_NO_ATOM});
    const uint8_t *before = base;
    uint32_t before_when = durable_when;
    uint64_t reach = 0;
    for (size_t i = 0; i < count; i++) {
        const struct hist_op *op = &b->walk->h->ops[pieces[i].op];
        struct crash_version v = {.op = pieces[i].op,
                                  .when = version_when(b, op),
                                  .atom = b->atom_of[pieces[i].order],
                                  .data = piece_contents(b, &pieces[i], before),
                                  .end_bytes = piece_end(b, op, unit_index, reach)};
        if (!covers_unit(op, unit_index, unit_bytes) && v.when < before_when)
            v.when = before_when; /* it shows what was there before it */
        before = v.data;
        before_when = v.when;
        reach = v.end_bytes;
        if (collapses(s, &unit, &v))
            continue;
        push_version(s, &v);
        unit.version_count++;
    }
    if (unit.version_count == 1) { /* nothing here can be seen to change */
        s->version_count--;
        return;
    }
    s->units = xgrow(s->units, s->unit_count, &s->unit_cap, sizeof(*s->units));
    s->units[s->unit_count++] = unit;
}

static void link_atoms(struct crash_space *s)
{
    for (size_t u = 0; u < s->unit_count; u++)
        for (uint32_t v = 1; v < s->units[u].version_count; v++) {
            uint32_t atom = crash_unit_version(s, u, v)->atom;
            if (atom == CRASH_NO_ATOM)
                continue;
            struct crash_atom *a = &s->atoms[atom];
            assert(a);
            a->units = xreallocarray(a->units, a->unit_count + 1, sizeof(*a->units));
            a->units[a->unit_count++] = (uint32_t)u;
        }
}

static void push_length(struct crash_space *s, uint64_t bytes, uint32_t op, uint32_t when)
{
    s->lengths = xgrow(s->lengths, s->length_count, &s->length_cap, sizeof(*s->lengths));
    s->lengths[s->length_count++] = (struct crash_length){.bytes = bytes, .op = op, .when = when};
}

static int length_compare(const void *a, const void *b)
{
    const struct crash_length *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return x->when < y->when ? -1 : x->when > y->when;
}

/* The file's length when the i-th operation had changed it: over what was complete when it was submitted. */
static uint64_t length_after(const struct builder *b, size_t i)
{
    const struct hist_op *op = &b->walk->h->ops[b->ops[i]];
    uint64_t length = b->space->base_length;
    for (size_t k = 0; k < b->op_count && op->kind == HIST_WRITE; k++) {
        const struct hist_op *before = &b->walk->h->ops[b->ops[k]];
        if (before->done < op->submitted && (before->kind == HIST_RESIZE || op_end(before) > length))
            length = op_end(before);
    }
    return op->kind == HIST_RESIZE || op_end(op) > length ? op_end(op) : length;
}

/* Every length the file had since the durable one may be the one that persists. */
static void build_lengths(struct builder *b)
{
    struct crash_space *s = b->space;
    push_length(s, s->base_length, HIST_NEVER, s->first_point > b->fixed_when ? s->first_point : b->fixed_when);
    for (size_t i = 0; i < b->op_count; i++) {
        uint64_t length = length_after(b, i);
        if (length != s->base_length)
            push_length(s, length, b->ops[i], version_when(b, &b->walk->h->ops[b->ops[i]]));
    }
    qsort(s->lengths + 1, s->length_count - 1, sizeof(*s->lengths), length_compare); /* [0] stays the durable one */
    size_t kept = 1;
    for (size_t i = 1; i < s->length_count; i++)
        if (kept == 1 || s->lengths[i].bytes != s->lengths[kept - 1].bytes)
            s->lengths[kept++] = s->lengths[i];
    s->length_count = kept;
}

/* A space over `base` (taken over) with these pending operations, in their order of change. */
static struct crash_space *build_space(struct crash_walk *w, uint32_t first, uint32_t last, uint32_t fixed_when,
                                       struct sim_pages *base, uint64_t base_length, const uint32_t *ops, size_t count)
{
    struct crash_space *s = xcalloc(1, sizeof(*s));
    s->history = w->h;
    s->model = w->model;
    s->first_point = first;
    s->last_point = last;
    s->epoch = w->point;
    s->base = base;
    s->base_length = base_length;
    s->unit_sectors = w->model->atom == SIM_ATOM_4096 ? SIM_PAGE_SECTORS : 1;
    struct builder b = {.walk = w, .space = s, .ops = ops, .op_count = count, .fixed_when = fixed_when};
    b.own_length = w->model->length == SIM_LENGTH_OWN && !w->h->fixed_size;
    b.atom_of = xcalloc(count, sizeof(*b.atom_of));
    b.floor_length = base_length;
    for (size_t i = 0; i < count; i++)
        if (w->h->ops[ops[i]].kind == HIST_RESIZE && w->h->ops[ops[i]].length_bytes < b.floor_length)
            b.floor_length = w->h->ops[ops[i]].length_bytes;
    collect_pieces(&b);
    for (size_t i = 0, end; i < b.piece_count; i = end) {
        for (end = i + 1; end < b.piece_count && b.pieces[end].unit == b.pieces[i].unit;)
            end++;
        build_unit(&b, &b.pieces[i], end - i);
    }
    link_atoms(s);
    if (b.own_length)
        build_lengths(&b);
    free(b.atom_of);
    free(b.pieces);
    return s;
}

/* --- epochs ------------------------------------------------------------------------------------------------------- */

static bool in_flight_at(const struct hist_op *op, uint32_t point)
{
    return op_changes_disk(op) && op->submitted < point && (op->done == HIST_NEVER || op->done >= point);
}

/* What is pending at `point`, in order of change: completed (as the walk has it), then in flight by submission. */
static uint32_t *pending_at(const struct crash_walk *w, uint32_t point, size_t *count)
{
    uint32_t *ops = xmalloc((w->pending_count + w->h->op_count) * sizeof(*ops));
    size_t n = 0;
    for (size_t i = 0; i < w->pending_count; i++)
        ops[n++] = w->pending[i].op;
    for (size_t i = 0; i < w->h->op_count && w->h->ops[i].submitted < point; i++)
        if (in_flight_at(&w->h->ops[i], point))
            ops[n++] = (uint32_t)i;
    *count = n;
    return ops;
}

static void enqueue(struct crash_walk *w, struct crash_space *s)
{
    w->queue = xgrow(w->queue, w->queue_count, &w->queue_cap, sizeof(*w->queue));
    w->queue[w->queue_count++] = s;
}

/* Ordered cache at one point: the first `prefix` pending operations persisted, `torn` (or none) partly. */
static void enqueue_ordered(struct crash_walk *w, uint32_t point, const uint32_t *ops, size_t prefix,
                            const uint32_t *torn)
{
    struct sim_pages *base = sim_pages_snapshot(w->durable);
    uint64_t length = w->durable_length;
    for (size_t i = 0; i < prefix; i++)
        apply_op(base, &length, &w->h->ops[ops[i]], w->h->fixed_size);
    struct crash_space *s = build_space(w, point, point, point, base, length, torn, torn ? 1 : 0);
    s->prefix_ops = (uint32_t)prefix;
    s->prefix = xmalloc(prefix * sizeof(*s->prefix));
    if (prefix)
        memcpy(s->prefix, ops, prefix * sizeof(*s->prefix));
    enqueue(w, s);
}

static void enqueue_ordered_point(struct crash_walk *w, uint32_t point, bool all_prefixes)
{
    size_t count;
    uint32_t *ops = pending_at(w, point, &count);
    size_t completed = w->pending_count;
    for (size_t k = all_prefixes ? 0 : completed; k < completed; k++)
        enqueue_ordered(w, point, ops, k, &ops[k]);
    enqueue_ordered(w, point, ops, completed, NULL);
    for (size_t i = completed; i < count; i++)
        enqueue_ordered(w, point, ops, completed, &ops[i]);
    free(ops);
}

/* Passes events from the epoch's first point to its end, which it returns. With an ordered cache, spaces are made on the
 * way: at its first point for every prefix, later for what each event added. */
static uint32_t pass_epoch(struct crash_walk *w, uint32_t *next_first)
{
    bool ordered = w->model->cache == SIM_CACHE_ORDERED;
    uint32_t point = w->point;
    if (ordered)
        enqueue_ordered_point(w, point, true);
    for (;;) {
        if (point == w->h->event_count) {
            w->finished = true;
            return point;
        }
        const struct hist_event *e = &w->h->events[point];
        bool ends = w->every_point;
        if (!ends) {
            /* The boundary itself must be passed only after the space before it was built. */
            const struct hist_op *op = e->kind == HIST_MARK ? NULL : &w->h->ops[e->op];
            ends = op ? e->kind == HIST_DONE &&
                            ((op->kind == HIST_FLUSH && op->ret == 0 && w->model->cache != SIM_CACHE_LYING) ||
                             (op_changes_disk(op) && w->model->cache == SIM_CACHE_WRITE_THROUGH))
                      : w->h->marks[e->op].boundary;
        }
        if (ends) {
            *next_first = point + 1;
            return point;
        }
        pass_event(w, point++);
        if (ordered && e->kind != HIST_MARK)
            enqueue_ordered_point(w, point, false);
    }
}

struct crash_space *crash_walk_next(struct crash_walk *w)
{
    for (;;) {
        if (w->queue_next < w->queue_count)
            return w->queue[w->queue_next++];
        w->queue_next = w->queue_count = 0;
        if (w->finished)
            return NULL;
        uint32_t first = w->point, next_first = first;
        uint32_t last = pass_epoch(w, &next_first);
        if (w->model->cache != SIM_CACHE_ORDERED) {
            size_t count;
            uint32_t *ops = pending_at(w, last, &count);
            enqueue(w, build_space(w, first, last, 0, sim_pages_snapshot(w->durable), w->durable_length, ops, count));
            free(ops);
        }
        if (!w->finished) {
            pass_event(w, last);
            w->point = next_first;
        }
    }
}

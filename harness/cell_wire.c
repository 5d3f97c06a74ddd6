/* cell_wire.c: see cell_wire.h. Each struct as it lies in memory, and behind it what its pointers point to, in their order.
 *
 * A new number travels by itself. A new pointer does not: the sizes below are there so that whoever adds a field looks.
 */
#include "harness/cell_wire.h"

#define CARRIED(type, size_64)                                                                                         \
    _Static_assert(sizeof(void *) != 8 || sizeof(type) == (size_64), "a new field? a pointer must be carried below")
CARRIED(struct store_cell, 264);
CARRIED(struct store_finding, 128);
CARRIED(struct store_epoch, 48);
CARRIED(struct store_schedules, 32);
CARRIED(struct store_event, 208);

static void put_finding(struct bytes *out, const struct store_finding *f)
{
    bytes_put(out, f, sizeof(*f));
    bytes_put_text(out, f->id);
    bytes_put_text(out, f->expected);
    bytes_put_text(out, f->found);
    bytes_put_text(out, f->why);
    bytes_put_text(out, f->because);
    bytes_put_text(out, f->recovery);
    bytes_put_text(out, f->missing_order);
    bytes_put_text(out, f->story);
    if (!f->timeline)
        return;
    bytes_put_u64(out, f->timeline->count);
    bytes_put(out, f->timeline->events, f->timeline->count * sizeof(*f->timeline->events));
}

static void put_epoch(struct bytes *out, const struct store_epoch *e)
{
    bytes_put(out, e, sizeof(*e));
    bytes_put_text(out, e->states);
    bytes_put_text(out, e->explored);
}

void cell_wire_put(struct bytes *out, const struct store_cell *cell)
{
    bytes_put(out, cell, sizeof(*cell));
    bytes_put_text(out, cell->scenario);
    bytes_put_text(out, cell->design);
    bytes_put_text(out, cell->disk);
    bytes_put_text(out, cell->verdict);
    bytes_put_text(out, cell->skip_reason);
    bytes_put_text(out, cell->expected_classes);
    bytes_put_text(out, cell->cut);
    bytes_put_text(out, cell->states_total);
    bytes_put_text(out, cell->explored);
    bytes_put_text(out, cell->repro);
    bytes_put_text(out, cell->ledger);
    if (cell->schedules) {
        bytes_put(out, cell->schedules, sizeof(*cell->schedules));
        bytes_put_text(out, cell->schedules->possible);
    }
    for (size_t i = 0; i < cell->finding_count; i++)
        put_finding(out, &cell->findings[i]);
    for (size_t i = 0; i < cell->epoch_count; i++)
        put_epoch(out, &cell->epochs[i]);
}

/* Into zeros where there are too few bytes: then no count in it leads anywhere. */
static void take_struct(struct bytes_reader *in, void *out, size_t size)
{
    const uint8_t *raw = bytes_take(in, size);
    if (raw)
        memcpy(out, raw, size);
    else
        memset(out, 0, size);
}

/* So many elements, if the bytes that are left can hold them. */
static void *room_for(struct bytes_reader *in, uint64_t *count, size_t size)
{
    if (*count > in->left / size) {
        in->bad = true;
        *count = 0;
    }
    return *count ? xcalloc((size_t)*count, size) : NULL;
}

static void take_timeline(struct bytes_reader *in, struct timeline *t)
{
    uint64_t count = bytes_take_u64(in);
    t->events = room_for(in, &count, sizeof(*t->events));
    t->count = (size_t)count;
    if (count)
        take_struct(in, t->events, t->count * sizeof(*t->events));
}

static void take_finding(struct bytes_reader *in, struct store_finding *f, struct timeline *t)
{
    take_struct(in, f, sizeof(*f));
    f->id = bytes_take_text(in);
    f->expected = bytes_take_text(in);
    f->found = bytes_take_text(in);
    f->why = bytes_take_text(in);
    f->because = bytes_take_text(in);
    f->recovery = bytes_take_text(in);
    f->missing_order = bytes_take_text(in);
    f->story = bytes_take_text(in);
    if (!f->timeline)
        return;
    f->timeline = t;
    take_timeline(in, t);
}

static void take_epoch(struct bytes_reader *in, struct store_epoch *e)
{
    take_struct(in, e, sizeof(*e));
    e->states = (char *)bytes_take_text(in); /* only read by who is given it */
    e->explored = (char *)bytes_take_text(in);
}

static void take_texts(struct bytes_reader *in, struct store_cell *c)
{
    c->scenario = bytes_take_text(in);
    c->design = bytes_take_text(in);
    c->disk = bytes_take_text(in);
    c->verdict = bytes_take_text(in);
    c->skip_reason = bytes_take_text(in);
    c->expected_classes = bytes_take_text(in);
    c->cut = bytes_take_text(in);
    c->states_total = bytes_take_text(in);
    c->explored = bytes_take_text(in);
    c->repro = bytes_take_text(in);
    c->ledger = bytes_take_text(in);
}

bool cell_wire_take(struct bytes_reader *in, struct cell_wire *w)
{
    struct store_cell *c = &w->cell;
    *w = (struct cell_wire){0};
    take_struct(in, c, sizeof(*c));
    take_texts(in, c);
    if (c->schedules) {
        c->schedules = &w->schedules;
        take_struct(in, &w->schedules, sizeof(w->schedules));
        w->schedules.possible = bytes_take_text(in);
    }
    uint64_t findings = c->finding_count, epochs = c->epoch_count;
    c->findings = w->findings = room_for(in, &findings, sizeof(*w->findings));
    w->timelines = findings ? xcalloc((size_t)findings, sizeof(*w->timelines)) : NULL;
    c->finding_count = (size_t)findings;
    for (size_t i = 0; i < c->finding_count; i++)
        take_finding(in, &w->findings[i], &w->timelines[i]);
    c->epochs = w->epochs = room_for(in, &epochs, sizeof(*w->epochs));
    c->epoch_count = (size_t)epochs;
    for (size_t i = 0; i < c->epoch_count; i++)
        take_epoch(in, &w->epochs[i]);
    if (!in->bad && c->verdict)
        return true;
    cell_wire_free(w);
    return false;
}

void cell_wire_free(struct cell_wire *w)
{
    for (size_t i = 0; i < w->cell.finding_count && w->timelines; i++)
        free(w->timelines[i].events);
    free(w->findings);
    free(w->timelines);
    free(w->epochs);
    *w = (struct cell_wire){0};
}

/* --- in a worker --------------------------------------------------------------------------------------------------- */

static int take_cell(void *opaque, const struct store_cell *cell, struct scn_error *err)
{
    (void)err;
    bytes_put_u64(opaque, 0);
    cell_wire_put(opaque, cell);
    return 0;
}

static void beat(void *opaque, uint64_t executions)
{
    workers_beat(opaque, executions);
}

void cell_wire_judge(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
                     const struct cell_options *options, struct workers_self *self, struct bytes *answer)
{
    struct cell_options o = *options;
    struct scn_error err = {""};
    o.stop = NULL;
    o.beat = beat;
    o.beat_opaque = self;
    int ret = cell_judge(s, design, disk, &o, take_cell, answer, &err);
    if (!ret)
        return;
    answer->size = 0;
    bytes_put_u64(answer, (uint64_t)-ret);
    bytes_put_text(answer, err.text);
}

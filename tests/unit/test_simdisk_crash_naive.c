/* test_simdisk_crash_naive.c: the prose of simdisk/disk_model.h as the plainest program: every image that a power failure
 * at one point can leave. Nothing is shared with simdisk/crash_*.c.
 *
 *     what changed the disk, in order:   w1  w2  w3 | w4  w5        completed, in order of completion | in flight
 *     what is sure (covered):            x       x
 *
 * A *unit* walks through that order. A sure change leaves it one version; a pending one adds a version to what it had.
 */
#include "tests/unit/test_simdisk_crash_kit.h"

struct change {
    const struct hist_op *op;
    uint32_t from, to; /* sectors; of a resize: to is the new length */
    bool sure;         /* durable */
    bool abandoned;
    bool maybe;  /* pending: in this image as its unit or the mask says; neither sure nor maybe: not in this image */
    bool chosen; /* whole operations: in this image */
    bool in_flight;
};

struct naive {
    const struct history *h;
    const struct sim_disk_model *model;
    struct image_set *set;
    struct change all[32];
    size_t count;
    uint32_t unit_sectors;
    struct image image; /* being built */
};

static bool changes(const struct hist_op *op)
{
    return op->kind != HIST_FLUSH && op->reached_disk;
}

static struct change *find_change(struct naive *n, const struct hist_op *op)
{
    for (size_t i = 0; i < n->count; i++) {
        if (n->all[i].op == op)
            return &n->all[i];
    }
    return NULL;
}

static void add_change(struct naive *n, const struct hist_op *op, bool in_flight)
{
    struct change *c = &n->all[n->count++];

    assert_true(n->count <= sizeof(n->all) / sizeof(n->all[0]));
    *c = (struct change){.op = op, .maybe = true, .in_flight = in_flight};
    c->from = (uint32_t)(op->offset_bytes / BLK_SECTOR_BYTES);
    c->to = c->from + (uint32_t)(op->length_bytes / BLK_SECTOR_BYTES);
}

/* By completion; those in flight last, by submission. */
static void collect(struct naive *n, uint32_t point)
{
    for (uint32_t i = 0; i < point; i++) {
        const struct hist_event *e = &n->h->events[i];

        if (e->kind == HIST_DONE && changes(&n->h->ops[e->op]))
            add_change(n, &n->h->ops[e->op], false);
    }
    for (size_t i = 0; i < n->h->op_count; i++) {
        const struct hist_op *op = &n->h->ops[i];

        if (changes(op) && op->submitted < point && !find_change(n, op))
            add_change(n, op, true);
    }
}

static void pass_flush(struct naive *n, const struct hist_op *flush)
{
    bool drops = n->model->failed_flush == SIM_FAILED_FLUSH_DROPS;

    if (n->model->cache == SIM_CACHE_LYING)
        return;
    for (size_t i = 0; i < n->count; i++) {
        struct change *c = &n->all[i];

        if (c->op->done >= flush->submitted || c->abandoned)
            continue;
        if (flush->ret == 0)
            c->sure = true;
        else if (drops && !c->sure && c->op->kind == HIST_WRITE) /* pages count as clean; a length is none */
            c->abandoned = true;
    }
}

static void cover(struct naive *n, uint32_t point)
{
    for (uint32_t i = 0; i < point; i++) {
        const struct hist_event *e = &n->h->events[i];

        if (e->kind != HIST_DONE)
            continue;
        if (n->h->ops[e->op].kind == HIST_FLUSH)
            pass_flush(n, &n->h->ops[e->op]);
        else if (n->model->cache == SIM_CACHE_WRITE_THROUGH && changes(&n->h->ops[e->op]))
            find_change(n, &n->h->ops[e->op])->sure = true;
    }
}

/* ---- lengths ---- */

static uint32_t base_length(const struct naive *n)
{
    return (uint32_t)(n->h->base_length_bytes / BLK_SECTOR_BYTES);
}

static uint32_t after(const struct change *c, uint32_t length)
{
    if (c->op->kind == HIST_RESIZE)
        return c->to;
    return c->to > length ? c->to : length;
}

/* A file that follows its data: what is sure, what was cut, and `reach`, the end of the furthest byte that persisted. */
static uint32_t following_length(const struct naive *n, uint32_t reach)
{
    uint32_t length = base_length(n);

    for (size_t i = 0; i < n->count; i++) {
        const struct change *c = &n->all[i];

        if (c->sure)
            length = after(c, length);
        else if (c->chosen)
            length = after(c, length);
    }
    return reach > length ? reach : length;
}

static uint32_t sure_length(const struct naive *n)
{
    uint32_t length = base_length(n);

    for (size_t i = 0; i < n->count; i++) {
        if (n->all[i].sure)
            length = after(&n->all[i], length);
    }
    return length;
}

/* The file had this length when c had changed it: over what is sure, and what was complete when c was submitted. */
static uint32_t own_length_after(const struct naive *n, const struct change *c)
{
    uint32_t length = sure_length(n);

    for (size_t i = 0; i < n->count; i++) {
        const struct change *before = &n->all[i];

        if (before != c && !before->sure && before->maybe && !before->in_flight && before->op->done < c->op->submitted)
            length = after(before, length);
    }
    return after(c, length);
}

static void put_with_length(struct naive *n, uint32_t length)
{
    struct image image = n->image;

    image.length = length;
    if (length < KIT_SECTORS)
        memset(image.sector + length, 0, KIT_SECTORS - length);
    image_set_add(n->set, &image);
}

static void put(struct naive *n, uint32_t reach)
{
    if (n->h->fixed_size) {
        put_with_length(n, base_length(n));
    } else if (n->model->length == SIM_LENGTH_FOLLOWS_DATA) {
        put_with_length(n, following_length(n, reach));
    } else {
        put_with_length(n, sure_length(n));
        for (size_t i = 0; i < n->count; i++) {
            uint32_t length = own_length_after(n, &n->all[i]);

            if (n->all[i].maybe && !n->all[i].sure)
                put_with_length(n, length);
        }
    }
}

/* ---- contents ---- */

struct version {
    uint8_t bytes[8];
    uint32_t reach;
};

/* The change, done to the unit that starts at this sector. False: it does not touch it. */
static bool change_unit(const struct naive *n, const struct change *c, uint32_t start, struct version *v)
{
    bool any = false;

    for (uint32_t i = 0; i < n->unit_sectors; i++) {
        uint32_t sector = start + i;

        if (c->op->kind == HIST_RESIZE && sector >= c->to) {
            v->bytes[i] = 0;
            any = true;
        } else if (c->op->kind == HIST_WRITE && sector >= c->from && sector < c->to) {
            v->bytes[i] = c->op->data[(size_t)(sector - c->from) * BLK_SECTOR_BYTES];
            any = true;
            v->reach = v->reach > sector + 1 ? v->reach : sector + 1;
        }
    }
    return any;
}

static size_t unit_versions(const struct naive *n, uint32_t start, struct version *out)
{
    struct version now = {.reach = 0};
    size_t count = 1;

    for (uint32_t i = 0; i < n->unit_sectors; i++)
        sim_pages_read(n->h->base, (uint64_t)(start + i) * BLK_SECTOR_BYTES, &now.bytes[i], 1);
    out[0] = now;
    for (size_t i = 0; i < n->count; i++) {
        const struct change *c = &n->all[i];
        bool whole = c->op->kind == HIST_RESIZE || n->model->atom == SIM_ATOM_WRITE;
        bool stays = c->sure || (whole && c->chosen);

        if (!(c->sure || c->maybe) || !change_unit(n, c, start, &now))
            continue;
        if (stays || c->op->kind == HIST_RESIZE)
            now.reach = 0; /* counted by following_length */
        if (stays)
            count = 0;
        if (stays || !whole)
            out[count++] = now;
    }
    return count;
}

static void choose_units(struct naive *n, uint32_t start, uint32_t reach)
{
    struct version versions[32];
    size_t count;

    if (start >= KIT_SECTORS) {
        put(n, reach);
        return;
    }
    count = unit_versions(n, start, versions);
    for (size_t i = 0; i < count; i++) {
        memcpy(n->image.sector + start, versions[i].bytes, n->unit_sectors);
        choose_units(n, start + n->unit_sectors, reach > versions[i].reach ? reach : versions[i].reach);
    }
}

/* Operations that persist whole or not at all: each way. */
static void choose_whole(struct naive *n, size_t from)
{
    while (from < n->count && (n->all[from].sure || !n->all[from].maybe ||
                               (n->all[from].op->kind != HIST_RESIZE && n->model->atom != SIM_ATOM_WRITE)))
        from++;
    if (from == n->count) {
        choose_units(n, 0, 0);
        return;
    }
    for (int in = 0; in < 2; in++) {
        n->all[from].chosen = in;
        choose_whole(n, from + 1);
    }
    n->all[from].chosen = false;
}

/* A prefix of what completed, then any part of the next; when all that completed is in: any part of one in flight. */
static void choose_prefix(struct naive *n)
{
    struct naive one = *n;
    size_t completed = 0;

    while (completed < n->count && !n->all[completed].in_flight)
        completed++;
    for (size_t i = 0; i < n->count; i++)
        one.all[i].maybe = false;
    for (size_t i = 0; i <= n->count; i++) {
        if (i == 0 || i == completed)
            choose_whole(&one, 0);
        if (i == n->count || one.all[i].sure)
            continue;
        one.all[i].maybe = true;
        choose_whole(&one, 0);
        one.all[i].maybe = false;
        if (i < completed)
            one.all[i].sure = true;
    }
}

/* Those in flight may reach the disk in any order. */
static void choose_order(struct naive *n, size_t from)
{
    while (from < n->count && !n->all[from].in_flight)
        from++;
    if (from == n->count && n->model->cache == SIM_CACHE_ORDERED)
        choose_prefix(n);
    else if (from == n->count)
        choose_whole(n, 0);
    for (size_t i = from; i < n->count; i++) {
        struct naive other = *n;

        other.all[from] = n->all[i];
        other.all[i] = n->all[from];
        choose_order(&other, from + 1);
    }
}

static bool share_a_unit(const struct hist_op *a, const struct hist_op *b, const struct sim_disk_model *model)
{
    uint64_t unit = model->atom == SIM_ATOM_4096 ? 4096 : BLK_SECTOR_BYTES;

    return model->atom != SIM_ATOM_512 && a->offset_bytes / unit * unit < b->offset_bytes + b->length_bytes &&
           b->offset_bytes / unit * unit < a->offset_bytes + a->length_bytes;
}

bool naive_order_matters(const struct history *h, const struct sim_disk_model *model)
{
    for (size_t i = 0; i < h->op_count; i++) {
        for (size_t k = i + 1; k < h->op_count; k++) {
            const struct hist_op *a = &h->ops[i], *b = &h->ops[k];

            if (changes(a) && changes(b) && a->done > b->submitted &&
                (b->kind == HIST_RESIZE || share_a_unit(a, b, model)))
                return true;
        }
    }
    return false;
}

void naive_images(const struct history *h, const struct sim_disk_model *model, uint32_t point, struct image_set *set)
{
    struct naive n = {.h = h, .model = model, .set = set, .image = {.when = point}};

    n.unit_sectors = model->atom == SIM_ATOM_4096 ? 8 : 1;
    collect(&n, point);
    cover(&n, point);
    choose_order(&n, 0);
}

bool naive_boundary(const struct history *h, const struct sim_disk_model *model, uint32_t event)
{
    const struct hist_event *e = &h->events[event];

    if (e->kind == HIST_MARK)
        return h->marks[e->op].boundary;
    if (e->kind != HIST_DONE)
        return false;
    if (h->ops[e->op].kind == HIST_FLUSH)
        return h->ops[e->op].ret == 0 && model->cache != SIM_CACHE_LYING;
    return model->cache == SIM_CACHE_WRITE_THROUGH && changes(&h->ops[e->op]);
}

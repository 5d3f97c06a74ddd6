/* space_digest.c: see space_digest.h. */
#include "harness/space_digest.h"

#include <string.h>

#include "simdisk/xalloc.h"

#define SECTOR BLK_SECTOR_BYTES

struct space_digester {
    const struct recording *recording;
    uint64_t *sectors; /* sorted: all that may differ from the history's base */
    size_t sector_count, sector_cap;
    struct promise_digest *promises; /* per position, once asked for */
    bool *promise_known;
    uint32_t *points; /* of the space at hand: positions from which some state of it can exist */
    size_t point_count, point_cap;
};

static int compare_sectors(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static int compare_points(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void add_sectors(struct space_digester *d, uint64_t from_bytes, uint64_t to_bytes)
{
    for (uint64_t sector = from_bytes / SECTOR; sector * SECTOR < to_bytes; sector++) {
        d->sectors = xgrow(d->sectors, d->sector_count, &d->sector_cap, sizeof(*d->sectors));
        d->sectors[d->sector_count++] = sector;
    }
}

static void collect_sectors(struct space_digester *d, const struct history *h)
{
    uint64_t end = h->base_length_bytes;
    size_t kept = 0;
    for (size_t i = 0; i < h->op_count; i++)
        if (h->ops[i].offset_bytes + h->ops[i].length_bytes > end)
            end = h->ops[i].offset_bytes + h->ops[i].length_bytes;
    for (size_t i = 0; i < h->op_count; i++) {
        const struct hist_op *op = &h->ops[i];
        if (op->kind == HIST_WRITE)
            add_sectors(d, op->offset_bytes, op->offset_bytes + op->length_bytes);
        else if (op->kind == HIST_RESIZE)
            add_sectors(d, op->length_bytes, end); /* what a cut makes zeros */
    }
    if (d->sector_count)
        qsort(d->sectors, d->sector_count, sizeof(*d->sectors), compare_sectors);
    for (size_t i = 0; i < d->sector_count; i++)
        if (!kept || d->sectors[kept - 1] != d->sectors[i])
            d->sectors[kept++] = d->sectors[i];
    d->sector_count = kept;
}

struct space_digester *space_digester_create(const struct recording *recording)
{
    struct space_digester *d = xcalloc(1, sizeof(*d));
    d->recording = recording;
    collect_sectors(d, recording->history);
    d->promises = xcalloc(recording->history->event_count + 1, sizeof(*d->promises));
    d->promise_known = xcalloc(recording->history->event_count + 1, sizeof(*d->promise_known));
    return d;
}

void space_digester_destroy(struct space_digester *d)
{
    if (!d)
        return;
    free(d->sectors);
    free(d->promises);
    free(d->promise_known);
    free(d->points);
    free(d);
}

/* --- positions ----------------------------------------------------------------------------------------------------- */

static const struct promise_digest *promise_at(struct space_digester *d, uint32_t point)
{
    if (!d->promise_known[point]) {
        d->promises[point] = promise_digest(d->recording->promise, point);
        d->promise_known[point] = true;
    }
    return &d->promises[point];
}

static void add_point(struct space_digester *d, const struct crash_space *s, uint32_t when)
{
    d->points = xgrow(d->points, d->point_count, &d->point_cap, sizeof(*d->points));
    d->points[d->point_count++] = when < s->first_point ? s->first_point : when;
}

/* Positions matter only as far as the promise differs between them: neighbours with one promise become one. What is left
 * is the list of the promises in their order, and for each version the place in it: as whens, places are compared. */
static void collect_points(struct space_digester *d, const struct crash_space *s)
{
    size_t kept = 0;
    d->point_count = 0;
    add_point(d, s, s->first_point);
    for (size_t u = 0; u < s->unit_count; u++)
        for (uint32_t v = 0; v < s->units[u].version_count; v++)
            add_point(d, s, crash_unit_version(s, u, v)->when);
    for (size_t i = 0; i < s->atom_count; i++)
        add_point(d, s, s->atoms[i].when);
    for (size_t i = 0; i < s->length_count; i++)
        add_point(d, s, s->lengths[i].when);
    qsort(d->points, d->point_count, sizeof(*d->points), compare_points);
    for (size_t i = 0; i < d->point_count; i++)
        if (!kept ||
            memcmp(promise_at(d, d->points[kept - 1]), promise_at(d, d->points[i]), sizeof(struct promise_digest)) != 0)
            d->points[kept++] = d->points[i];
    d->point_count = kept;
}

static uint64_t place_of(const struct space_digester *d, uint32_t when)
{
    size_t place = 0;
    while (place + 1 < d->point_count && d->points[place + 1] <= when)
        place++;
    return place;
}

/* --- the space ----------------------------------------------------------------------------------------------------- */

static void digest_base(struct digest *out, const struct space_digester *d, const struct crash_space *s)
{
    for (size_t i = 0; i < d->sector_count; i++) {
        uint64_t page = d->sectors[i] / SIM_PAGE_SECTORS, at = d->sectors[i] % SIM_PAGE_SECTORS * SECTOR;
        const uint8_t *now = sim_pages_at(s->base, page) + at, *before = sim_pages_at(s->history->base, page) + at;
        if (now == before || !memcmp(now, before, SECTOR))
            continue;
        digest_add(out, d->sectors[i]);
        digest_bytes(out, now, SECTOR);
    }
    digest_add(out, s->base_length);
    digest_add(out, (uint64_t)s->unit_sectors << 1 | s->history->fixed_size);
}

static void digest_units(struct digest *out, const struct space_digester *d, const struct crash_space *s)
{
    size_t bytes = (size_t)s->unit_sectors * SECTOR;
    digest_add(out, s->unit_count);
    for (size_t u = 0; u < s->unit_count; u++) {
        digest_add(out, s->units[u].first_sector);
        digest_add(out, s->units[u].version_count);
        for (uint32_t v = 0; v < s->units[u].version_count; v++) {
            const struct crash_version *version = crash_unit_version(s, u, v);
            digest_bytes(out, version->data, bytes);
            digest_add(out, place_of(d, version->when));
            digest_add(out, version->atom);
            digest_add(out, version->end_bytes);
            digest_add(out, version->op == HIST_NEVER);
        }
    }
}

static void digest_rest(struct digest *out, const struct space_digester *d, const struct crash_space *s)
{
    digest_add(out, s->atom_count);
    for (size_t i = 0; i < s->atom_count; i++) {
        const struct crash_atom *atom = &s->atoms[i];
        digest_add(out, place_of(d, atom->when));
        digest_add(out, atom->end_bytes);
        digest_add(out, atom->cuts ? atom->cut_bytes : UINT64_MAX);
        digest_bytes(out, atom->units, atom->unit_count * sizeof(*atom->units));
    }
    digest_add(out, s->length_count);
    for (size_t i = 0; i < s->length_count; i++) {
        digest_add(out, s->lengths[i].bytes);
        digest_add(out, place_of(d, s->lengths[i].when));
    }
}

struct digest space_digest(struct space_digester *d, const struct crash_space *s)
{
    struct digest out = DIGEST_INIT;
    collect_points(d, s);
    digest_add(&out, d->recording->next_write_id);
    digest_add(&out, d->point_count);
    for (size_t i = 0; i < d->point_count; i++)
        digest_bytes(&out, promise_at(d, d->points[i]), sizeof(struct promise_digest));
    digest_base(&out, d, s);
    digest_units(&out, d, s);
    digest_rest(&out, d, s);
    return out;
}

/* crash_seen.c: see crash_seen.h. */
#include "simdisk/crash_seen.h"

#include <string.h>
#include <xxhash.h>

#include "simdisk/xalloc.h"

struct crash_hasher {
    const struct crash_space *space;
    struct crash_hash base;     /* of all sectors that are no unit's */
    struct crash_hash sum;      /* with the units as they are now */
    struct crash_hash *version; /* per version of the space */
    uint32_t *shown;            /* per unit */
    uint64_t limit;             /* units from here on are hidden by the length; UINT64_MAX: none */
};

static void mix(struct crash_hash *sum, struct crash_hash with)
{
    sum->low ^= with.low;
    sum->high ^= with.high;
}

static bool all_zero(const uint8_t *bytes)
{
    return !bytes[0] && !memcmp(bytes, bytes + 1, BLK_SECTOR_BYTES - 1);
}

static struct crash_hash hash_sector(uint64_t sector, const uint8_t *bytes)
{
    if (all_zero(bytes))
        return (struct crash_hash){0};
    XXH128_hash_t h = XXH3_128bits_withSeed(bytes, BLK_SECTOR_BYTES, sector);
    return (struct crash_hash){.low = h.low64, .high = h.high64};
}

static struct crash_hash hash_page(const struct crash_space *s, uint64_t page, const uint8_t *bytes)
{
    struct crash_hash sum = {0};
    for (uint64_t i = 0; i < SIM_PAGE_SECTORS; i++) {
        uint64_t sector = page * SIM_PAGE_SECTORS + i;
        if (crash_space_unit_of(s, sector) == SIZE_MAX)
            mix(&sum, hash_sector(sector, bytes + i * BLK_SECTOR_BYTES));
    }
    return sum;
}

struct crash_hasher *crash_hasher_create(const struct crash_space *space)
{
    struct crash_hasher *h = xcalloc(1, sizeof(*h));
    h->space = space;
    h->version = xcalloc(space->version_count, sizeof(*h->version));
    h->shown = xcalloc(space->unit_count, sizeof(*h->shown));
    h->limit = UINT64_MAX;
    for (size_t u = 0; u < space->unit_count; u++)
        for (uint32_t v = 0; v < space->units[u].version_count; v++)
            for (uint32_t i = 0; i < space->unit_sectors; i++)
                mix(&h->version[space->units[u].first_version + v],
                    hash_sector(space->units[u].first_sector + i,
                                crash_unit_version(space, u, v)->data + (size_t)i * BLK_SECTOR_BYTES));
    uint64_t pages = sim_pages_count(space->base);
    const uint8_t *zero = sim_pages_at(space->base, pages);
    for (uint64_t p = 0; p < pages; p++)
        if (sim_pages_at(space->base, p) != zero)
            mix(&h->base, hash_page(space, p, sim_pages_at(space->base, p)));
    return h;
}

void crash_hasher_destroy(struct crash_hasher *h)
{
    if (!h)
        return;
    free(h->version);
    free(h->shown);
    free(h);
}

static bool hidden(const struct crash_hasher *h, size_t unit)
{
    return h->space->units[unit].first_sector * BLK_SECTOR_BYTES >= h->limit;
}

static void count_unit(struct crash_hasher *h, size_t unit)
{
    if (!hidden(h, unit))
        mix(&h->sum, h->version[h->space->units[unit].first_version + h->shown[unit]]);
}

void crash_hasher_unit(struct crash_hasher *h, size_t unit, uint32_t version)
{
    count_unit(h, unit); /* out, as it was */
    h->shown[unit] = version;
    count_unit(h, unit);
}

void crash_hasher_length(struct crash_hasher *h, const struct crash_state *st)
{
    h->limit = h->space->lengths ? h->space->lengths[st->length].bytes : UINT64_MAX;
    h->sum = h->base;
    for (size_t u = 0; u < h->space->unit_count; u++)
        count_unit(h, u);
}

void crash_hasher_set(struct crash_hasher *h, const struct crash_state *st)
{
    for (size_t u = 0; u < h->space->unit_count; u++)
        h->shown[u] = crash_state_version(h->space, st, u);
    crash_hasher_length(h, st);
}

struct crash_hash crash_hasher_value(const struct crash_hasher *h, const struct crash_state *st)
{
    uint64_t length = crash_state_length(h->space, st);
    XXH128_hash_t l = XXH3_128bits(&length, sizeof(length));
    struct crash_hash value = h->sum;
    mix(&value, (struct crash_hash){.low = l.low64, .high = l.high64});
    return value;
}

/* --- the length of a file that follows its data -------------------------------------------------------------------- */

/* How far an operation that survived reaches, after the cuts that came later. */
static uint64_t atom_end(const struct crash_space *s, const struct crash_state *st, size_t atom)
{
    uint64_t end = s->atoms[atom].end_bytes;
    for (size_t later = atom + 1; later < s->atom_count && end; later++)
        if (st->atom[later] && s->atoms[later].cuts && s->atoms[later].cut_bytes < end)
            end = s->atoms[later].cut_bytes;
    return end;
}

uint64_t crash_state_length(const struct crash_space *space, const struct crash_state *st)
{
    uint64_t length = space->base_length;
    if (space->history->fixed_size)
        return length;
    if (space->lengths)
        return space->lengths[st->length].bytes;
    for (size_t a = 0; a < space->atom_count; a++)
        if (st->atom[a] && space->atoms[a].cuts && space->atoms[a].cut_bytes < length)
            length = space->atoms[a].cut_bytes;
    for (size_t a = 0; a < space->atom_count; a++)
        if (st->atom[a] && atom_end(space, st, a) > length)
            length = atom_end(space, st, a);
    for (size_t u = 0; u < space->unit_count; u++) {
        const struct crash_version *v = crash_unit_version(space, u, crash_state_version(space, st, u));
        if (v->atom == CRASH_NO_ATOM && v->end_bytes > length)
            length = v->end_bytes;
    }
    return length;
}

/* --- the set: open addressing, linear probing ---------------------------------------------------------------------- */

struct seen_image {
    struct crash_hash hash;
    uint32_t when;
    uint32_t age; /* of the epoch that put it there; others are free */
};

struct crash_seen {
    struct seen_image *images;
    size_t cap, count, max; /* cap is a power of two, or 0 */
    uint32_t age;
    bool full;
};

struct crash_seen *crash_seen_create(size_t max_bytes)
{
    struct crash_seen *seen = xcalloc(1, sizeof(*seen));
    seen->max = 1;
    while (seen->max * 2 * sizeof(*seen->images) <= max_bytes)
        seen->max *= 2;
    seen->age = 1;
    return seen;
}

void crash_seen_destroy(struct crash_seen *seen)
{
    if (!seen)
        return;
    free(seen->images);
    free(seen);
}

void crash_seen_clear(struct crash_seen *seen)
{
    seen->count = 0;
    if (++seen->age)
        return;
    seen->age = 1;
    if (seen->images)
        memset(seen->images, 0, seen->cap * sizeof(*seen->images));
}

/* Where it is, or the free place where it would be. */
static struct seen_image *place_of(const struct crash_seen *seen, struct crash_hash hash)
{
    for (size_t i = hash.low & (seen->cap - 1);; i = (i + 1) & (seen->cap - 1)) {
        struct seen_image *e = &seen->images[i];
        if (e->age != seen->age || (e->hash.low == hash.low && e->hash.high == hash.high))
            return e;
    }
}

static void grow(struct crash_seen *seen)
{
    struct crash_seen old = *seen;
    seen->cap = old.cap ? old.cap * 2 : old.max < 256 ? old.max : 256;
    seen->images = xcalloc(seen->cap, sizeof(*seen->images));
    for (size_t i = 0; i < old.cap; i++)
        if (old.images[i].age == seen->age)
            *place_of(seen, old.images[i].hash) = old.images[i];
    free(old.images);
}

bool crash_seen_before(struct crash_seen *seen, struct crash_hash hash, uint32_t when, bool *distinct)
{
    if (seen->count + 1 > seen->cap / 2 && seen->cap < seen->max)
        grow(seen);
    struct seen_image *e = place_of(seen, hash);
    bool here = e->age == seen->age;
    *distinct = false;
    if (here && e->when <= when)
        return true;
    if (here) {
        e->when = when;
    } else if (seen->count + 1 > seen->cap / 2) { /* a place must stay free, or looking would never end */
        seen->full = true;
    } else {
        *e = (struct seen_image){.hash = hash, .when = when, .age = seen->age};
        seen->count++;
        *distinct = true;
    }
    return false;
}

bool crash_seen_full(const struct crash_seen *seen)
{
    return seen->full;
}

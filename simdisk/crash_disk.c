/* crash_disk.c: the disk after the power failure; see crash_disk.h. */

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "simdisk/crash_disk_internal.h"
#include "simdisk/xalloc.h"

/* --- memory -------------------------------------------------------------------------------------------------------- */

void *crash_disk_grow(struct crash_disk *d, void *array, size_t need, size_t *cap, size_t size)
{
    if (need <= *cap)
        return array;
    d->allocations++;
    size_t cap_new = *cap ? *cap * 2 : 16;
    *cap = cap_new < need ? need : cap_new;
    return xreallocarray(array, *cap, size);
}

static uint8_t *take_page(struct crash_disk *d)
{
    if (d->spare_count)
        return d->spare[--d->spare_count];
    d->allocations++;
    return xmalloc(SIM_PAGE_BYTES);
}

static void give_page(struct crash_disk *d, uint8_t *page)
{
    d->spare = crash_disk_grow(d, d->spare, d->spare_count + 1, &d->spare_cap, sizeof(*d->spare));
    d->spare[d->spare_count++] = page;
}

static void cover_pages(struct crash_disk *d, size_t count)
{
    if (count <= d->page_count)
        return;
    d->pages = crash_disk_grow(d, d->pages, count, &d->page_cap, sizeof(*d->pages));
    for (size_t i = d->page_count; i < count; i++)
        d->pages[i] = (struct cpage){.bytes = sim_pages_at(d->space->base, i), .units = NO_UNITS};
    d->page_count = count;
}

static uint8_t *own_page(struct crash_disk *d, size_t index)
{
    cover_pages(d, index + 1);
    struct cpage *p = &d->pages[index];
    if (!p->own) {
        p->own = take_page(d);
        memcpy(p->own, p->bytes, SIM_PAGE_BYTES);
        p->bytes = p->own;
    }
    return p->own;
}

struct undo *crash_disk_log_undo(struct crash_disk *d, enum undo_kind kind, uint32_t index)
{
    d->undo = crash_disk_grow(d, d->undo, d->undo_count + 1, &d->undo_cap, sizeof(*d->undo));
    struct undo *u = &d->undo[d->undo_count++];
    *u = (struct undo){.kind = kind, .index = index, .old_when = d->when};
    return u;
}

void crash_disk_save_length(struct crash_disk *d)
{
    crash_disk_log_undo(d, UNDO_LENGTH, 0);
    d->lengths_saved = crash_disk_grow(d, d->lengths_saved, d->lengths_saved_count + 1, &d->lengths_saved_cap,
                                       sizeof(*d->lengths_saved));
    d->lengths_saved[d->lengths_saved_count++] = d->length;
}

/* --- loading ------------------------------------------------------------------------------------------------------- */

static void unload(struct crash_disk *d)
{
    for (size_t i = 0; i < d->page_count; i++)
        if (d->pages[i].own)
            give_page(d, d->pages[i].own);
    d->page_count = 0;
    d->sector_unit_count = 0;
    d->provider_count = 0;
    d->undo_count = d->saved_count = d->lengths_saved_count = 0;
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
    return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

static void load_unit(struct crash_disk *d, size_t unit)
{
    const struct crash_space *s = d->space;
    bool zero = true;
    for (uint32_t v = 0; v < s->units[unit].version_count && zero; v++)
        zero = all_zero(crash_unit_version(s, unit, v)->data, (size_t)s->unit_sectors * BLK_SECTOR_BYTES);
    d->unit_zero[unit] = zero;
    d->chosen[unit] = CRASH_OPEN;
    d->provides[unit] = false;
    d->over[unit] = false;
    memset(d->used[unit], 0, sizeof(d->used[unit]));
    for (uint32_t i = 0; i < s->unit_sectors; i++) {
        uint64_t sector = s->units[unit].first_sector + i;
        size_t page = sector / SIM_PAGE_SECTORS;
        own_page(d, page);
        if (d->pages[page].units == NO_UNITS) {
            d->pages[page].units = (uint32_t)d->sector_unit_count;
            d->sector_units = crash_disk_grow(d, d->sector_units, d->sector_unit_count + SIM_PAGE_SECTORS,
                                              &d->sector_unit_cap, sizeof(*d->sector_units));
            for (size_t k = 0; k < SIM_PAGE_SECTORS; k++)
                d->sector_units[d->sector_unit_count++] = NO_UNIT;
        }
        d->sector_units[d->pages[page].units + sector % SIM_PAGE_SECTORS] = (uint32_t)unit;
    }
}

static int provider_by_end(const void *a, const void *b)
{
    const struct provider *x = a, *y = b;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return x->when < y->when ? -1 : x->when > y->when;
}

static int provider_compare(const void *a, const void *b)
{
    const struct provider *x = a, *y = b;
    if (x->when != y->when)
        return x->when < y->when ? -1 : 1;
    if (x->unit != y->unit)
        return x->unit < y->unit ? -1 : 1;
    return x->version < y->version ? -1 : x->version > y->version;
}

static void add_provider(struct crash_disk *d, const struct provider *p)
{
    d->providers = crash_disk_grow(d, d->providers, d->provider_count + 1, &d->provider_cap, sizeof(*d->providers));
    d->providers[d->provider_count++] = *p;
    if (p->unit != NO_UNIT)
        d->provides[p->unit] = true;
}

static void load_providers(struct crash_disk *d)
{
    const struct crash_space *s = d->space;
    for (size_t i = 0; i < s->atom_count; i++)
        if (s->atoms[i].end_bytes)
            add_provider(
                d, &(struct provider){
                       .end = s->atoms[i].end_bytes, .when = s->atoms[i].when, .unit = NO_UNIT, .atom = (uint32_t)i});
    for (size_t u = 0; u < s->unit_count; u++)
        for (uint32_t v = 1; v < s->units[u].version_count; v++) {
            const struct crash_version *version = crash_unit_version(s, u, v);
            if (version->end_bytes && version->atom == CRASH_NO_ATOM)
                add_provider(d, &(struct provider){.end = version->end_bytes,
                                                   .when = version->when,
                                                   .unit = (uint32_t)u,
                                                   .version = v,
                                                   .atom = CRASH_NO_ATOM});
        }
    size_t room = d->provider_count ? d->provider_count : 1; /* never NULL: pointers into it are compared */
    d->providers = crash_disk_grow(d, d->providers, room, &d->provider_cap, sizeof(*d->providers));
    d->by_end = crash_disk_grow(d, d->by_end, room, &d->by_end_cap, sizeof(*d->by_end));
    if (d->provider_count) {
        qsort(d->providers, d->provider_count, sizeof(*d->providers), provider_compare);
        memcpy(d->by_end, d->providers, d->provider_count * sizeof(*d->providers));
        qsort(d->by_end, d->provider_count, sizeof(*d->by_end), provider_by_end);
    }
    d->known_providers = 0;
    d->first_unit_bytes = 0;
}

void crash_disk_load(struct crash_disk *d, const struct crash_space *space, struct crash_chooser *chooser)
{
    unload(d);
    d->space = space;
    d->chooser = chooser;
    d->zero_page = sim_pages_at(space->base, UINT64_MAX / SIM_PAGE_BYTES);
    cover_pages(d, sim_pages_count(space->base));
    d->chosen = crash_disk_grow(d, d->chosen, space->unit_count, &d->chosen_cap, sizeof(*d->chosen));
    d->unit_zero = crash_disk_grow(d, d->unit_zero, space->unit_count, &d->unit_zero_cap, sizeof(*d->unit_zero));
    d->provides = crash_disk_grow(d, d->provides, space->unit_count, &d->provides_cap, sizeof(*d->provides));
    d->over = crash_disk_grow(d, d->over, space->unit_count, &d->over_cap, sizeof(*d->over));
    d->used = crash_disk_grow(d, d->used, space->unit_count, &d->used_cap, sizeof(*d->used));
    d->used_units = crash_disk_grow(d, d->used_units, space->unit_count, &d->used_units_cap, sizeof(*d->used_units));
    d->used_count = 0;
    d->length_use = (struct crash_length_use){.at_most = UINT64_MAX};
    d->event = BLK_EVENT_NONE;
    d->atoms = crash_disk_grow(d, d->atoms, space->atom_count, &d->atom_cap, sizeof(*d->atoms));
    for (size_t i = 0; i < space->atom_count; i++)
        d->atoms[i] = ATOM_OPEN;
    for (size_t i = 0; i < space->unit_count; i++)
        load_unit(d, i);
    load_providers(d);
    d->length = (struct length_known){.hi = UINT64_MAX, .choice = CRASH_OPEN};
    d->when = space->first_point;
    d->writes = d->flushes = 0;
}

/* --- versions ------------------------------------------------------------------------------------------------------ */

static void put_version(struct crash_disk *d, size_t unit, uint32_t version)
{
    const struct crash_space *s = d->space;
    const uint8_t *data = crash_unit_version(s, unit, version)->data;
    uint64_t sector = s->units[unit].first_sector;
    uint8_t *page = d->pages[sector / SIM_PAGE_SECTORS].own;
    memcpy(page + (sector % SIM_PAGE_SECTORS) * BLK_SECTOR_BYTES, data, (size_t)s->unit_sectors * BLK_SECTOR_BYTES);
}

static bool follows_data(const struct crash_disk *d)
{
    return !d->space->history->fixed_size && !d->space->lengths;
}

static uint64_t atom_end(const struct crash_disk *d, size_t atom)
{
    uint64_t end = d->space->atoms[atom].end_bytes;
    for (size_t later = atom + 1; later < d->space->atom_count && end; later++) {
        const struct crash_atom *a = &d->space->atoms[later];
        if (a->cuts && d->atoms[later] == ATOM_IN && a->cut_bytes < end)
            end = a->cut_bytes;
    }
    return end;
}

/* How far the file reaches if this provider survived: what a later cut took away, it does not provide. */
static uint64_t provider_end(const struct crash_disk *d, const struct provider *p)
{
    const struct crash_space *s = d->space;
    if (!s->atom_count)
        return p->end;
    if (p->atom != CRASH_NO_ATOM)
        return atom_end(d, p->atom);
    for (uint32_t v = p->version + 1; v < s->units[p->unit].version_count; v++) {
        uint32_t atom = crash_unit_version(s, p->unit, v)->atom;
        if (atom != CRASH_NO_ATOM && d->atoms[atom] == ATOM_IN)
            return 0;
    }
    return p->end;
}

/* Could this provider still have survived, as far as the choices made so far say (its unit or atom being open)? */
static bool provider_open(const struct crash_disk *d, const struct provider *p)
{
    uint64_t end = provider_end(d, p);
    if (!end || end >= d->length.hi)
        return false;
    if (p->atom != CRASH_NO_ATOM)
        return d->atoms[p->atom] == ATOM_OPEN;
    return d->chosen[p->unit] == CRASH_OPEN;
}

/* Where the data alone decides the length (no atoms): the first, by end, that reaches so far. */
static const struct provider *first_reaching(const struct crash_disk *d, uint64_t end_bytes)
{
    size_t lo = 0, hi = d->provider_count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (d->by_end[mid].end < end_bytes)
            lo = mid + 1;
        else
            hi = mid;
    }
    return d->by_end + lo;
}

/* Those that could be what makes the file as long as it was found to be. */
#define FOR_EACH_WITNESS(d, p)                                                                                         \
    for (const struct provider *p = first_reaching(d, (d)->length.lo), *p##_end = (d)->by_end + (d)->provider_count;   \
         p < p##_end && p->end < (d)->length.hi; p++)

/* For a unit whose choice decides nothing but itself and how far it reaches. */
static bool other_witness(const struct crash_disk *d, size_t unit)
{
    if (!d->provides[unit])
        return true; /* there is one, or the length would not have been found so; and nothing is taken from it */
    FOR_EACH_WITNESS(d, p)
    if (p->unit != unit && d->chosen[p->unit] == CRASH_OPEN)
        return true;
    return false;
}

/* With this version in its unit, is there still something that makes the file as long as it was found to be? What goes:
 * the unit's other versions, and the operations a later version of it stands on. */
static bool leaves_witness(const struct crash_disk *d, size_t unit, uint32_t version)
{
    const struct crash_space *s = d->space;
    const struct crash_version *v = crash_unit_version(s, unit, version);
    uint64_t end = v->atom == CRASH_NO_ATOM ? v->end_bytes : atom_end(d, v->atom);
    if (!d->length.need || end >= d->length.lo)
        return true;
    if (!s->atom_count)
        return other_witness(d, unit);
    for (size_t i = 0; i < d->provider_count; i++) {
        const struct provider *p = &d->providers[i];
        bool stays = p->unit != unit && provider_end(d, p) >= d->length.lo && provider_open(d, p);
        for (uint32_t later = version + 1; later < s->units[unit].version_count && stays; later++)
            stays =
                p->atom == CRASH_NO_ATOM || p->atom == v->atom || crash_unit_version(s, unit, later)->atom != p->atom;
        if (stays)
            return true;
    }
    return false;
}

bool crash_disk_allows(const struct crash_disk *d, size_t unit, uint32_t version)
{
    const struct crash_space *s = d->space;
    const struct crash_version *v = crash_unit_version(s, unit, version);
    bool known = d->length.resolved && follows_data(d);
    if (v->atom != CRASH_NO_ATOM && d->atoms[v->atom] == ATOM_OUT)
        return false;
    if (known && (v->atom == CRASH_NO_ATOM ? v->end_bytes : atom_end(d, v->atom)) >= d->length.hi)
        return false;
    for (uint32_t later = version + 1; s->atom_count && later < s->units[unit].version_count; later++) {
        uint32_t atom = crash_unit_version(s, unit, later)->atom;
        if (atom != CRASH_NO_ATOM && atom != v->atom && d->atoms[atom] == ATOM_IN)
            return false;
    }
    return !known || leaves_witness(d, unit, version);
}

static void raise_when(struct crash_disk *d, uint32_t when)
{
    if (when > d->when)
        d->when = when;
}

/* Something ended at `end` and is known to have survived: it may be the witness that the length needed. */
static void witness(struct crash_disk *d, uint64_t end)
{
    if (d->length.need && end >= d->length.lo) {
        crash_disk_save_length(d);
        d->length.need = false;
    }
}

static void decide_atom(struct crash_disk *d, size_t atom, bool in)
{
    if (d->atoms[atom] != ATOM_OPEN)
        return;
    crash_disk_log_undo(d, UNDO_ATOM, (uint32_t)atom)->old = d->atoms[atom];
    d->atoms[atom] = in ? ATOM_IN : ATOM_OUT;
    if (in) {
        raise_when(d, d->space->atoms[atom].when);
        witness(d, atom_end(d, atom));
    }
}

static void set_chosen(struct crash_disk *d, size_t unit, uint32_t version)
{
    if (d->provides[unit])
        d->known_providers += (size_t)(version != CRASH_OPEN) - (size_t)(d->chosen[unit] != CRASH_OPEN);
    d->chosen[unit] = version;
}

static void decide_unit(struct crash_disk *d, size_t unit, uint32_t version)
{
    const struct crash_space *s = d->space;
    const struct crash_version *v = crash_unit_version(s, unit, version);
    crash_disk_log_undo(d, UNDO_UNIT, (uint32_t)unit)->old = CRASH_OPEN;
    set_chosen(d, unit, version);
    if (!d->over[unit])
        put_version(d, unit, version);
    if (v->atom != CRASH_NO_ATOM)
        decide_atom(d, v->atom, true);
    else
        raise_when(d, v->when);
    for (uint32_t later = version + 1; s->atom_count && later < s->units[unit].version_count; later++)
        if (crash_unit_version(s, unit, later)->atom != CRASH_NO_ATOM &&
            crash_unit_version(s, unit, later)->atom != v->atom)
            decide_atom(d, crash_unit_version(s, unit, later)->atom, false);
    if (v->atom == CRASH_NO_ATOM)
        witness(d, v->end_bytes);
}

static uint32_t ask(struct crash_disk *d, enum crash_choice kind, size_t index, uint32_t n)
{
    if (n == 1)
        return 0;
    assert(d->chooser && "an open choice was reached without a chooser");
    uint32_t pick = d->chooser->choose(d->chooser, kind, index, d->alternatives, n);
    assert(pick < n);
    return pick;
}

static void resolve_unit(struct crash_disk *d, size_t unit)
{
    uint32_t count = d->space->units[unit].version_count, n = 0;
    d->alternatives = crash_disk_grow(d, d->alternatives, count, &d->alternative_cap, sizeof(*d->alternatives));
    for (uint32_t v = 0; v < count; v++)
        if (crash_disk_allows(d, unit, v))
            d->alternatives[n++] = v;
    assert(n && "choices made so far left a unit no version");
    if (n < count && d->length.resolved)
        d->length_use.exact = true; /* another length might have left this unit more to choose from */
    uint32_t pick = ask(d, CRASH_CHOICE_UNIT, unit, n);
    decide_unit(d, unit, d->alternatives[pick]);
}

/* --- watching ------------------------------------------------------------------------------------------------------ */

static void use_words(struct crash_disk *d, uint32_t unit, uint32_t first, uint32_t count)
{
    uint64_t *used = d->used[unit];
    bool any = false;
    for (int i = 0; i < CRASH_USED_WORDS; i++)
        any |= used[i] != 0;
    if (!any)
        d->used_units[d->used_count++] = unit;
    while (count) {
        uint32_t bit = first % 64, n = count < 64 - bit ? count : 64 - bit;
        used[first / 64] |= (n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1) << bit;
        first += n;
        count -= n;
    }
}

#define SECTOR_WORDS (BLK_SECTOR_BYTES / 8)

static void use_sectors(struct crash_disk *d, uint64_t first, uint64_t end)
{
    for (uint64_t sector = first; sector < end && sector / SIM_PAGE_SECTORS < d->page_count;) {
        if (d->pages[sector / SIM_PAGE_SECTORS].units == NO_UNITS) {
            sector = (sector / SIM_PAGE_SECTORS + 1) * SIM_PAGE_SECTORS;
            continue;
        }
        uint32_t unit = crash_disk_unit_at(d, sector);
        if (unit != NO_UNIT)
            use_words(d, unit, (uint32_t)(sector - d->space->units[unit].first_sector) * SECTOR_WORDS, SECTOR_WORDS);
        sector++;
    }
}

/* The file's length was compared with `reach`: does it hold that much? */
static void compare_length(struct crash_disk *d, uint64_t reach)
{
    struct crash_length_use *u = &d->length_use;
    if (!d->length.resolved)
        return;
    if (reach <= d->length.compared) {
        if (reach > u->at_least)
            u->at_least = reach;
    } else if (reach < u->at_most) {
        u->at_most = reach;
    }
}

/* Some offsets of one sector: as they were before recovery wrote. */
static void look_at_offsets(struct crash_disk *d, uint64_t at, uint32_t count, uint64_t reach_bytes)
{
    uint32_t unit = crash_disk_unit_at(d, at / BLK_SECTOR_BYTES);
    const uint8_t *bytes = sim_pages_at(d->space->base, at / SIM_PAGE_BYTES) + at % SIM_PAGE_BYTES;
    if (unit != NO_UNIT) {
        uint64_t in = at - d->space->units[unit].first_sector * BLK_SECTOR_BYTES;
        use_words(d, unit, (uint32_t)(in / 8), count);
        if (d->chosen[unit] < d->space->units[unit].version_count)
            bytes = crash_unit_version(d->space, unit, d->chosen[unit])->data + in;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t value;
        memcpy(&value, bytes + (size_t)i * 8, 8);
        if (value && value + reach_bytes > value)
            compare_length(d, le64toh(value) + reach_bytes);
    }
}

static void disk_looked_at(struct blockdev *blk, uint64_t offset, uint64_t count, uint64_t reach_bytes)
{
    struct crash_disk *d = (struct crash_disk *)blk;
    if (!d->chooser)
        return; /* nobody asks what mattered */
    for (uint64_t at = offset, end = offset + count * 8, stop; at < end; at = stop) {
        uint64_t sector = at / BLK_SECTOR_BYTES, page = at / SIM_PAGE_BYTES;
        if (page >= d->page_count)
            return;
        if (d->pages[page].bytes == d->zero_page) {
            stop = (page + 1) * SIM_PAGE_BYTES;
            continue;
        }
        stop = (sector + 1) * BLK_SECTOR_BYTES < end ? (sector + 1) * BLK_SECTOR_BYTES : end;
        look_at_offsets(d, at, (uint32_t)(stop - at) / 8, reach_bytes);
    }
}

static void disk_event(struct blockdev *blk, enum blk_event event)
{
    ((struct crash_disk *)blk)->event = event;
}

static bool reading_table(const struct crash_disk *d)
{
    return d->event == BLK_EVENT_L1_LOAD || d->event == BLK_EVENT_L2_LOAD;
}

bool crash_disk_reads_table(const struct crash_disk *d)
{
    return d->event == BLK_EVENT_L2_LOAD;
}

/* What ends before the length that is known neither bears witness to it nor leads to another. */
bool crash_disk_decides_bytes_alone(const struct crash_disk *d, size_t unit)
{
    if (d->event != BLK_EVENT_READ_AIO || d->space->atom_count)
        return false;
    if (!d->provides[unit])
        return true;
    bool before = d->length.resolved && follows_data(d);
    for (uint32_t v = 1; before && v < d->space->units[unit].version_count; v++)
        before = crash_unit_version(d->space, unit, v)->end_bytes < d->length.lo;
    return before;
}

const uint64_t *crash_disk_used(const struct crash_disk *d, size_t unit)
{
    return d->used[unit];
}

struct crash_length_use crash_disk_length_use(const struct crash_disk *d)
{
    return d->length_use;
}

void crash_disk_use_length(struct crash_disk *d)
{
    d->length_use.exact = true;
}

uint64_t crash_disk_bucket(const struct crash_disk *d, uint32_t alternative)
{
    return d->buckets[alternative].bytes;
}

/* --- length -------------------------------------------------------------------------------------------------------- */

/* A length of its own hides what lies beyond it. */
static void decide_own_length(struct crash_disk *d, uint32_t index)
{
    crash_disk_save_length(d);
    const struct crash_length *l = &d->space->lengths[index];
    d->length.resolved = true;
    d->length.choice = index;
    d->length.compared = l->bytes;
    d->length.bytes = crash_disk_length_after(d, &d->length.moved);
    raise_when(d, l->when);
    for (size_t u = d->space->unit_count; u-- > 0;) {
        uint64_t start = d->space->units[u].first_sector * BLK_SECTOR_BYTES;
        if (start < l->bytes)
            break;
        if (d->chosen[u] == HIDDEN)
            continue;
        crash_disk_log_undo(d, UNDO_UNIT, (uint32_t)u)->old = d->chosen[u];
        set_chosen(d, u, HIDDEN);
        uint8_t *page = d->pages[start / SIM_PAGE_BYTES].own;
        memset(page + start % SIM_PAGE_BYTES, 0, (size_t)d->space->unit_sectors * BLK_SECTOR_BYTES);
    }
}

static void resolve_own_length(struct crash_disk *d)
{
    uint32_t n = (uint32_t)d->space->length_count;
    if (d->length.choice != CRASH_OPEN) { /* set by hand */
        decide_own_length(d, d->length.choice);
        return;
    }
    d->alternatives = crash_disk_grow(d, d->alternatives, n, &d->alternative_cap, sizeof(*d->alternatives));
    for (uint32_t i = 0; i < n; i++)
        d->alternatives[i] = i;
    decide_own_length(d, ask(d, CRASH_CHOICE_LENGTH, 0, n));
}

static void resolve_cuts(struct crash_disk *d)
{
    d->alternatives = crash_disk_grow(d, d->alternatives, 2, &d->alternative_cap, sizeof(*d->alternatives));
    for (size_t i = 0; i < d->space->atom_count; i++)
        if (d->space->atoms[i].cuts && d->atoms[i] == ATOM_OPEN) {
            d->alternatives[0] = 0;
            d->alternatives[1] = 1;
            decide_atom(d, i, ask(d, CRASH_CHOICE_CUT, i, 2) == 1);
        }
}

/* The longest the file must be for what is known: durable or cut, and the ends of what survived. */
static uint64_t known_length(const struct crash_disk *d)
{
    const struct crash_space *s = d->space;
    uint64_t length = s->base_length;
    if (!s->atom_count && !d->known_providers)
        return length;
    for (size_t i = 0; i < s->atom_count; i++)
        if (s->atoms[i].cuts && d->atoms[i] == ATOM_IN && s->atoms[i].cut_bytes < length)
            length = s->atoms[i].cut_bytes;
    for (size_t i = 0; i < d->provider_count; i++) {
        const struct provider *p = &d->providers[i];
        bool in = p->atom != CRASH_NO_ATOM ? d->atoms[p->atom] == ATOM_IN : d->chosen[p->unit] == p->version;
        if (in && provider_end(d, p) > length)
            length = provider_end(d, p);
    }
    return length;
}

static int bucket_by_bytes(const void *a, const void *b)
{
    const struct bucket *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    return x->when < y->when ? -1 : x->when > y->when;
}

static int bucket_by_when(const void *a, const void *b)
{
    const struct bucket *x = a, *y = b;
    if (x->when != y->when)
        return x->when < y->when ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* Distinct lengths, rounded down to unit_bytes, that are still possible; the earliest first, in d->buckets. */
static uint32_t collect_buckets(struct crash_disk *d, uint64_t unit_bytes, uint64_t known)
{
    d->buckets = crash_disk_grow(d, d->buckets, d->provider_count + 1, &d->bucket_cap, sizeof(*d->buckets));
    uint32_t n = 0;
    bool known_possible = !d->length.need || known >= d->length.lo;
    if (known_possible)
        d->buckets[n++] = (struct bucket){.bytes = known & ~(unit_bytes - 1)};
    bool atoms = d->space->atom_count;
    const struct provider *p = atoms ? d->providers : first_reaching(d, known + 1);
    const struct provider *last = (atoms ? d->providers : d->by_end) + d->provider_count;
    for (; p < last && (atoms || p->end < d->length.hi); p++) {
        uint64_t end = provider_end(d, p);
        if (provider_open(d, p) && end > known && (!d->length.need || end >= d->length.lo))
            d->buckets[n++] = (struct bucket){.bytes = end & ~(unit_bytes - 1), .when = p->when};
    }
    qsort(d->buckets, n, sizeof(*d->buckets), bucket_by_bytes);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (!kept || d->buckets[kept - 1].bytes != d->buckets[i].bytes)
            d->buckets[kept++] = d->buckets[i];
    qsort(d->buckets, kept, sizeof(*d->buckets), bucket_by_when);
    return kept;
}

/* The same, from what was collected at first if still nothing is known that changes it. */
static uint32_t offer_buckets(struct crash_disk *d, uint64_t unit_bytes, uint64_t known)
{
    bool first = !d->space->atom_count && !d->known_providers && !d->length.resolved;
    if (first && d->first_unit_bytes == unit_bytes) {
        d->buckets = crash_disk_grow(d, d->buckets, d->first_bucket_count, &d->bucket_cap, sizeof(*d->buckets));
        memcpy(d->buckets, d->first_buckets, d->first_bucket_count * sizeof(*d->buckets));
        return d->first_bucket_count;
    }
    uint32_t n = collect_buckets(d, unit_bytes, known);
    if (first) {
        d->first_buckets = crash_disk_grow(d, d->first_buckets, n, &d->first_bucket_cap, sizeof(*d->first_buckets));
        memcpy(d->first_buckets, d->buckets, n * sizeof(*d->buckets));
        d->first_bucket_count = n;
        d->first_unit_bytes = unit_bytes;
    }
    return n;
}

uint64_t crash_disk_length_after(const struct crash_disk *d, const struct length_moved *moved)
{
    uint64_t from = moved->resized ? moved->resized_bytes : d->length.compared;
    return moved->grown > from ? moved->grown : from;
}

/* The length may be known in round numbers only, and asked for more exactly later: so what it was and what was made of it
 * are kept apart. */
void crash_disk_move_length(struct crash_disk *d, const struct length_moved *moved)
{
    crash_disk_save_length(d);
    d->length.moved = *moved;
    d->length.bytes = crash_disk_length_after(d, moved);
}

static void grow_length(struct crash_disk *d, uint64_t bytes)
{
    struct length_moved moved = d->length.moved;
    if (bytes <= d->length.bytes)
        return;
    moved.grown = bytes;
    crash_disk_move_length(d, &moved);
}

/* The file's length as far as unit_bytes tells it apart. */
static void resolve_following_length(struct crash_disk *d, uint64_t unit_bytes)
{
    resolve_cuts(d);
    uint64_t known = known_length(d);
    uint32_t n = offer_buckets(d, unit_bytes, known);
    assert(n);
    d->alternatives = crash_disk_grow(d, d->alternatives, n, &d->alternative_cap, sizeof(*d->alternatives));
    for (uint32_t i = 0; i < n; i++)
        d->alternatives[i] = i;
    uint64_t bucket = d->buckets[ask(d, CRASH_CHOICE_LENGTH, 0, n)].bytes;
    crash_disk_save_length(d);
    d->length.resolved = true;
    d->length.hi = bucket + unit_bytes;
    if (bucket > d->length.lo)
        d->length.lo = bucket;
    d->length.need = (known & ~(unit_bytes - 1)) < bucket;
    d->length.compared = d->length.need ? bucket : known;
    d->length.bytes = crash_disk_length_after(d, &d->length.moved);
}

static void resolve_length(struct crash_disk *d, uint64_t unit_bytes)
{
    if (d->space->history->fixed_size)
        return;
    if (d->space->lengths) {
        if (!d->length.resolved)
            resolve_own_length(d);
        return;
    }
    /* Known exactly enough already? Otherwise ask once more, within what is known. */
    if (d->length.resolved && d->length.hi - (d->length.lo & ~(unit_bytes - 1)) <= unit_bytes)
        return;
    resolve_following_length(d, unit_bytes);
}

static uint64_t current_length(const struct crash_disk *d)
{
    if (d->space->history->fixed_size)
        return d->space->base_length;
    return d->length.resolved ? d->length.bytes : UINT64_MAX;
}

static int disk_length(struct blockdev *blk, uint64_t unit_bytes, uint64_t *length_bytes)
{
    struct crash_disk *d = (struct crash_disk *)blk;
    resolve_length(d, unit_bytes);
    if (unit_bytes < QUIET_UNIT_BYTES)
        d->length_use.exact = true;
    *length_bytes = current_length(d) & ~(unit_bytes - 1);
    return 0;
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

/* What lies beyond the shortest length of its own may be hidden; whoever reads there must know the length first. */
static uint64_t shortest_own_length(const struct crash_disk *d)
{
    const struct crash_space *s = d->space;
    return s->length_count > 1 && s->lengths[1].bytes < s->lengths[0].bytes ? s->lengths[1].bytes : s->lengths[0].bytes;
}

static void know_own_length(struct crash_disk *d, uint64_t end_bytes)
{
    if (d->space->lengths && !d->length.resolved && end_bytes > shortest_own_length(d))
        resolve_own_length(d);
}

static void resolve_range(struct crash_disk *d, uint64_t first, uint64_t end)
{
    for (uint64_t sector = first; sector < end && sector / SIM_PAGE_SECTORS < d->page_count;) {
        if (d->pages[sector / SIM_PAGE_SECTORS].units == NO_UNITS) {
            sector = (sector / SIM_PAGE_SECTORS + 1) * SIM_PAGE_SECTORS;
            continue;
        }
        uint32_t unit = crash_disk_unit_at(d, sector++);
        if (unit != NO_UNIT && d->chosen[unit] == CRASH_OPEN && !d->over[unit])
            resolve_unit(d, unit);
    }
}

static void read_bytes(const struct crash_disk *d, uint64_t offset, uint8_t *to, size_t length)
{
    while (length) {
        size_t in = offset % SIM_PAGE_BYTES, chunk = SIM_PAGE_BYTES - in;
        if (chunk > length)
            chunk = length;
        uint64_t page = offset / SIM_PAGE_BYTES;
        if (page < d->page_count && d->pages[page].bytes != d->zero_page)
            memmove(to, d->pages[page].bytes + in, chunk); /* of a bounded memcpy gcc makes a slow one */
        else
            memset(to, 0, chunk);
        to += chunk;
        offset += chunk;
        length -= chunk;
    }
}

/* Beyond it everything reads zeros, whatever the pages hold. A file that follows its data has no such place: its length may
 * be known in round numbers only, and that nothing beyond it persisted is a matter of the units. */
static uint64_t readable_length(const struct crash_disk *d)
{
    return follows_data(d) ? UINT64_MAX : current_length(d);
}

/* Reading asks: is it hidden, could it have persisted? Where the length follows the data that is asked of pending sectors
 * alone, and not of those that recovery has written over. */
static void compare_with_read(struct crash_disk *d, uint64_t offset, size_t length)
{
    for (uint64_t at = offset; at < offset + length; at += BLK_SECTOR_BYTES) {
        uint64_t sector = at / BLK_SECTOR_BYTES;
        uint32_t unit = sector / SIM_PAGE_SECTORS < d->page_count ? crash_disk_unit_at(d, sector) : NO_UNIT;
        if (d->space->lengths || (unit != NO_UNIT && !d->over[unit]))
            compare_length(d, at + BLK_SECTOR_BYTES);
    }
}

static void disk_readv(struct blockdev *blk, uint64_t offset, const struct iovec *iov, int niov, blk_done *done,
                       void *opaque)
{
    struct crash_disk *d = (struct crash_disk *)blk;
    for (int i = 0; i < niov; i++) {
        size_t length = iov[i].iov_len;
        know_own_length(d, offset + length);
        uint64_t limit = readable_length(d);
        size_t inside = offset >= limit ? 0 : limit - offset < length ? (size_t)(limit - offset) : length;
        if (inside) {
            uint64_t first = offset / BLK_SECTOR_BYTES,
                     end = (offset + inside + BLK_SECTOR_BYTES - 1) / BLK_SECTOR_BYTES;
            resolve_range(d, first, end);
            crash_nested_read(d, first, end);
            if (d->chooser && !reading_table(d))
                use_sectors(d, first, end);
        }
        if (d->chooser && !d->space->history->fixed_size)
            compare_with_read(d, offset, length);
        if (inside) {
            read_bytes(d, offset, iov[i].iov_base, inside);
        }
        if (inside < length)
            memset((uint8_t *)iov[i].iov_base + inside, 0, length - inside);
        offset += length;
    }
    done(opaque, 0);
}

static uint64_t disk_next_data(struct blockdev *blk, uint64_t offset, uint64_t end)
{
    struct crash_disk *d = (struct crash_disk *)blk;
    while (offset < end) {
        uint64_t page = offset / SIM_PAGE_BYTES;
        if (page >= d->page_count)
            return end;
        uint64_t next = (page + 1) * SIM_PAGE_BYTES;
        const struct cpage *p = &d->pages[page];
        if (p->bytes == d->zero_page) {
            offset = next;
            continue;
        }
        uint32_t unit = crash_disk_unit_at(d, offset / BLK_SECTOR_BYTES);
        size_t in = offset % SIM_PAGE_BYTES, chunk = BLK_SECTOR_BYTES - in % BLK_SECTOR_BYTES;
        bool open = unit != NO_UNIT && d->chosen[unit] == CRASH_OPEN && !d->over[unit];
        crash_nested_read(d, offset / BLK_SECTOR_BYTES, offset / BLK_SECTOR_BYTES + 1);
        if (open ? !d->unit_zero[unit] : !all_zero(p->bytes + in, chunk))
            return offset;
        offset += chunk;
    }
    return end;
}

/* --- writing ------------------------------------------------------------------------------------------------------- */

void crash_disk_save_sector(struct crash_disk *d, uint64_t sector, const uint8_t *bytes)
{
    assert(sector <= UINT32_MAX && "recovery writes beyond 2 TiB");
    struct undo *u = crash_disk_log_undo(d, UNDO_BYTES, (uint32_t)sector);
    u->saved = d->saved_count;
    d->saved = crash_disk_grow(d, d->saved, d->saved_count + 1, &d->saved_cap, BLK_SECTOR_BYTES);
    memcpy(d->saved + d->saved_count++ * BLK_SECTOR_BYTES, bytes, BLK_SECTOR_BYTES);
}

/* A sector is about to be overwritten. An open unit of just that sector need not be decided: nobody will ever know. */
uint8_t *crash_disk_sector_for_write(struct crash_disk *d, uint64_t sector, bool whole)
{
    uint8_t *page = own_page(d, sector / SIM_PAGE_SECTORS);
    uint8_t *bytes = page + (sector % SIM_PAGE_SECTORS) * BLK_SECTOR_BYTES;
    uint32_t unit = crash_disk_unit_at(d, sector);
    if (!whole)
        crash_nested_read(d, sector, sector + 1);
    if (unit != NO_UNIT && d->chosen[unit] == CRASH_OPEN && !d->over[unit]) {
        if (whole && d->space->unit_sectors == 1) {
            crash_disk_log_undo(d, UNDO_OVER, unit);
            d->over[unit] = true;
            return bytes;
        }
        resolve_unit(d, unit);
    }
    crash_disk_save_sector(d, sector, bytes);
    return bytes;
}

static void write_bytes(struct crash_disk *d, uint64_t offset, const uint8_t *from, size_t length)
{
    while (length) {
        size_t in = offset % BLK_SECTOR_BYTES, chunk = BLK_SECTOR_BYTES - in;
        if (chunk > length)
            chunk = length;
        size_t undo_before = d->undo_count;
        uint8_t *to = crash_disk_sector_for_write(d, offset / BLK_SECTOR_BYTES, chunk == BLK_SECTOR_BYTES);
        memcpy(to + in, from, chunk);
        if (d->logging)
            crash_nested_log(d, offset / BLK_SECTOR_BYTES, undo_before, to);
        from += chunk;
        offset += chunk;
        length -= chunk;
    }
}

static void disk_writev(struct blockdev *blk, uint64_t offset, const struct iovec *iov, int niov, blk_done *done,
                        void *opaque)
{
    struct crash_disk *d = (struct crash_disk *)blk;
    size_t total = 0;
    for (int i = 0; i < niov; i++)
        total += iov[i].iov_len;
    if (d->space->history->fixed_size) {
        if (offset + total > d->space->base_length) {
            done(opaque, -ENOSPC);
            return;
        }
    } else {
        resolve_length(d, 1u << 12);
        grow_length(d, offset + total);
    }
    for (int i = 0; i < niov; i++) {
        write_bytes(d, offset, iov[i].iov_base, iov[i].iov_len);
        offset += iov[i].iov_len;
    }
    d->writes++;
    if (d->logging)
        crash_nested_wrote(d);
    done(opaque, 0);
}

static void disk_flush(struct blockdev *blk, blk_done *done, void *opaque)
{
    struct crash_disk *d = (struct crash_disk *)blk;
    d->flushes++;
    if (d->logging)
        crash_nested_flushed(d);
    done(opaque, 0);
}

/* What lies beyond the new end is gone: zeros, if the file grows again. */
static void cut_bytes(struct crash_disk *d, uint64_t from, uint64_t end)
{
    for (uint64_t at = from; at < end && at / SIM_PAGE_BYTES < d->page_count;) {
        size_t in = at % BLK_SECTOR_BYTES, chunk = BLK_SECTOR_BYTES - in;
        size_t undo_before = d->undo_count;
        uint8_t *bytes = crash_disk_sector_for_write(d, at / BLK_SECTOR_BYTES, !in);
        memset(bytes + in, 0, chunk);
        if (d->logging)
            crash_nested_log_cut(d, at / BLK_SECTOR_BYTES, undo_before, bytes);
        at += chunk;
    }
}

static int disk_resize(struct blockdev *blk, uint64_t length_bytes)
{
    struct crash_disk *d = (struct crash_disk *)blk;
    resolve_length(d, 1);
    d->length_use.exact = true;
    cut_bytes(d, length_bytes, d->logging ? crash_nested_reach(d) : d->length.bytes);
    crash_disk_move_length(d, &(struct length_moved){.resized = true, .resized_bytes = length_bytes});
    if (d->logging)
        crash_nested_resized(d);
    d->writes++;
    return 0;
}

static void disk_close(struct blockdev *blk)
{
    (void)blk; /* the explorer owns the disk */
}

static const struct blockdev_ops growing_ops = {.readv = disk_readv,
                                                .writev = disk_writev,
                                                .flush = disk_flush,
                                                .length = disk_length,
                                                .resize = disk_resize,
                                                .next_data = disk_next_data,
                                                .event = disk_event,
                                                .looked_at = disk_looked_at,
                                                .close = disk_close};
static const struct blockdev_ops fixed_ops = {.readv = disk_readv,
                                              .writev = disk_writev,
                                              .flush = disk_flush,
                                              .length = disk_length,
                                              .next_data = disk_next_data,
                                              .event = disk_event,
                                              .looked_at = disk_looked_at,
                                              .close = disk_close};

/* --- setting, rewinding, asking ------------------------------------------------------------------------------------ */

struct crash_disk *crash_disk_create(void)
{
    struct crash_disk *d = xcalloc(1, sizeof(*d));
    d->blk.ops = &growing_ops;
    return d;
}

void crash_disk_destroy(struct crash_disk *d)
{
    if (!d)
        return;
    unload(d);
    for (size_t i = 0; i < d->spare_count; i++)
        free(d->spare[i]);
    free(d->spare);
    free(d->pages);
    free(d->sector_units);
    free(d->chosen);
    free(d->unit_zero);
    free(d->provides);
    free(d->over);
    free(d->used);
    free(d->used_units);
    free(d->log);
    free(d->log_bytes);
    free(d->log_ops);
    free(d->watched);
    free(d->atoms);
    free(d->providers);
    free(d->by_end);
    free(d->first_buckets);
    free(d->buckets);
    free(d->alternatives);
    free(d->lengths_saved);
    free(d->undo);
    free(d->saved);
    free(d);
}

struct blockdev *crash_disk_blk(struct crash_disk *d)
{
    d->blk.ops = d->space && d->space->history->fixed_size ? &fixed_ops : &growing_ops;
    return &d->blk;
}

void crash_disk_set_unit(struct crash_disk *d, size_t unit, uint32_t version)
{
    assert(!d->undo_count);
    set_chosen(d, unit, version);
    put_version(d, unit, version);
}

void crash_disk_set_atom(struct crash_disk *d, size_t atom, bool in)
{
    assert(!d->undo_count);
    d->atoms[atom] = in ? ATOM_IN : ATOM_OUT;
}

void crash_disk_set_length(struct crash_disk *d, size_t length_index)
{
    assert(!d->undo_count);
    d->length.choice = (uint32_t)length_index;
}

void crash_disk_set_durable(struct crash_disk *d)
{
    for (size_t i = 0; i < d->space->atom_count; i++)
        d->atoms[i] = ATOM_OUT;
    for (size_t i = 0; i < d->space->unit_count; i++)
        crash_disk_set_unit(d, i, 0);
    if (d->space->lengths)
        crash_disk_set_length(d, 0);
}

size_t crash_disk_mark(const struct crash_disk *d)
{
    return d->undo_count;
}

static void undo_one(struct crash_disk *d)
{
    const struct undo *u = &d->undo[--d->undo_count];
    d->when = u->old_when;
    switch (u->kind) {
    case UNDO_BYTES:
        d->saved_count = u->saved;
        memcpy(d->pages[u->index / SIM_PAGE_SECTORS].own + (u->index % SIM_PAGE_SECTORS) * BLK_SECTOR_BYTES,
               d->saved + u->saved * BLK_SECTOR_BYTES, BLK_SECTOR_BYTES);
        break;
    case UNDO_UNIT:
        set_chosen(d, u->index, u->old);
        if (u->old != CRASH_OPEN && u->old != HIDDEN)
            put_version(d, u->index, u->old);
        break;
    case UNDO_OVER:
        d->over[u->index] = false;
        break;
    case UNDO_NOT_OVER:
        d->over[u->index] = true;
        break;
    case UNDO_ATOM:
        d->atoms[u->index] = (uint8_t)u->old;
        break;
    case UNDO_LENGTH:
        d->length = d->lengths_saved[--d->lengths_saved_count];
        break;
    }
}

void crash_disk_rewind(struct crash_disk *d, size_t mark)
{
    while (d->undo_count > mark)
        undo_one(d);
    if (mark)
        return;
    crash_disk_log_stop(d);
    d->watched_count = 0;
    d->asked_count = d->asking = 0;
    d->writes = d->flushes = 0;
    for (size_t i = 0; i < d->used_count; i++)
        memset(d->used[d->used_units[i]], 0, sizeof(d->used[0]));
    d->used_count = 0;
    d->length_use = (struct crash_length_use){.at_most = UINT64_MAX};
}

uint32_t crash_disk_unit(const struct crash_disk *d, size_t unit)
{
    return d->chosen[unit] == HIDDEN ? CRASH_OPEN : d->chosen[unit];
}

uint32_t crash_disk_length_choice(const struct crash_disk *d)
{
    return d->length.choice;
}

bool crash_disk_atom_in(const struct crash_disk *d, size_t atom)
{
    return d->atoms[atom] == ATOM_IN;
}

const struct crash_space *crash_disk_space(const struct crash_disk *d)
{
    return d->space;
}

/* A length that still needs a witness exists no earlier than its earliest possible one. */
uint32_t crash_disk_when(const struct crash_disk *d)
{
    if (!d->length.resolved || !d->length.need || !follows_data(d))
        return d->when;
    uint32_t earliest = UINT32_MAX;
    if (d->space->atom_count) {
        for (size_t i = 0; i < d->provider_count && earliest == UINT32_MAX; i++)
            if (provider_end(d, &d->providers[i]) >= d->length.lo && provider_open(d, &d->providers[i]))
                earliest = d->providers[i].when;
    } else {
        FOR_EACH_WITNESS(d, p)
        if (d->chosen[p->unit] == CRASH_OPEN && p->when < earliest)
            earliest = p->when;
    }
    return earliest != UINT32_MAX && earliest > d->when ? earliest : d->when;
}

/* Takes the earliest possible witness, then the durable version of everything else. */
void crash_disk_settle(struct crash_disk *d)
{
    resolve_length(d, 1u << 12);
    for (size_t i = 0; i < d->provider_count && d->length.need; i++) {
        const struct provider *p = &d->providers[i];
        if (provider_end(d, p) < d->length.lo || !provider_open(d, p))
            continue;
        if (p->atom != CRASH_NO_ATOM)
            decide_atom(d, p->atom, true);
        else if (crash_disk_allows(d, p->unit, p->version))
            decide_unit(d, p->unit, p->version);
    }
    for (size_t i = 0; i < d->space->atom_count; i++)
        decide_atom(d, i, false);
    for (size_t u = 0; u < d->space->unit_count; u++)
        for (uint32_t v = 0; d->chosen[u] == CRASH_OPEN; v++) {
            assert(v < d->space->units[u].version_count);
            if (crash_disk_allows(d, u, v))
                decide_unit(d, u, v);
        }
}

uint64_t crash_disk_writes(const struct crash_disk *d)
{
    return d->writes;
}

uint64_t crash_disk_flushes(const struct crash_disk *d)
{
    return d->flushes;
}

uint64_t crash_disk_allocations(const struct crash_disk *d)
{
    return d->allocations;
}

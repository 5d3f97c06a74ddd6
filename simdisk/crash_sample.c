/* crash_sample.c: see crash_sample.h. */
#include "simdisk/crash_sample.h"

#include <string.h>

#include "simdisk/sim_loop.h"
#include "simdisk/xalloc.h"

/* Where the sample is: after the edge come random states for ever. */
enum stage { STAGE_NONE, STAGE_ALL, STAGE_UNITS, STAGE_ATOMS, STAGE_LENGTHS, STAGE_RANDOM };

struct crash_sample {
    const struct crash_space *space;
    struct crash_disk *disk;
    struct crash_state state;
    uint64_t rng, left;
    enum stage stage;
    size_t unit, next; /* of a single survivor */
    uint32_t version;
};

static bool is_own(const struct crash_space *s, size_t unit, uint32_t version)
{
    return crash_unit_version(s, unit, version)->atom == CRASH_NO_ATOM;
}

static void nothing(struct crash_sample *s)
{
    memset(s->state.own, 0, s->state.unit_count * sizeof(*s->state.own));
    memset(s->state.atom, 0, s->state.atom_count);
    s->state.length = 0;
}

static void everything(struct crash_sample *s)
{
    nothing(s);
    for (size_t u = 0; u < s->state.unit_count; u++)
        for (uint32_t v = 1; v < s->space->units[u].version_count; v++)
            if (is_own(s->space, u, v))
                s->state.own[u] = v;
    memset(s->state.atom, 1, s->state.atom_count);
    if (s->space->lengths)
        s->state.length = (uint32_t)s->space->length_count - 1;
}

/* The next version that can survive alone; false after the last. */
static bool next_unit(struct crash_sample *s)
{
    for (; s->unit < s->state.unit_count; s->unit++, s->version = 0)
        while (++s->version < s->space->units[s->unit].version_count)
            if (is_own(s->space, s->unit, s->version)) {
                s->state.own[s->unit] = s->version;
                return true;
            }
    return false;
}

static uint64_t below(struct crash_sample *s, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)sim_rng_next(&s->rng) * n) >> 64);
}

static uint32_t random_own(struct crash_sample *s, size_t unit)
{
    uint32_t own = 0, count = s->space->units[unit].version_count;
    for (uint32_t v = 0; v < count; v++)
        own += is_own(s->space, unit, v);
    uint64_t pick = own > 1 ? below(s, own) : 0;
    for (uint32_t v = 0; v < count; v++)
        if (is_own(s->space, unit, v) && !pick--)
            return v;
    return 0;
}

static void at_random(struct crash_sample *s)
{
    for (size_t u = 0; u < s->state.unit_count; u++)
        s->state.own[u] = random_own(s, u);
    for (size_t a = 0; a < s->state.atom_count; a++)
        s->state.atom[a] = (uint8_t)below(s, 2);
    if (s->space->lengths)
        s->state.length = (uint32_t)below(s, s->space->length_count);
}

/* Goes one state on in this stage; false when the stage is over. */
static bool step(struct crash_sample *s)
{
    nothing(s);
    switch (s->stage) {
    case STAGE_NONE:
        return false;
    case STAGE_ALL:
        everything(s);
        return !s->next++;
    case STAGE_UNITS:
        return next_unit(s);
    case STAGE_ATOMS:
        if (s->next == s->state.atom_count)
            return false;
        s->state.atom[s->next++] = 1;
        return true;
    case STAGE_LENGTHS:
        if (!s->space->lengths || ++s->next >= s->space->length_count)
            return false;
        s->state.length = (uint32_t)s->next;
        return true;
    case STAGE_RANDOM:
        at_random(s);
        return true;
    }
    return false;
}

struct crash_sample *crash_sample_create(const struct crash_space *space, struct crash_disk *disk, uint64_t seed,
                                         uint64_t count)
{
    struct crash_sample *s = xcalloc(1, sizeof(*s));
    s->space = space;
    s->disk = disk;
    s->rng = seed;
    s->left = count ? count - 1 : 0;
    crash_state_init(&s->state, space);
    crash_disk_rewind(disk, 0);
    crash_state_apply(space, &s->state, disk);
    return s;
}

void crash_sample_destroy(struct crash_sample *s)
{
    if (!s)
        return;
    crash_state_free(&s->state);
    free(s);
}

const struct crash_state *crash_sample_state(const struct crash_sample *s)
{
    return &s->state;
}

bool crash_sample_next(struct crash_sample *s)
{
    crash_disk_rewind(s->disk, 0);
    if (!s->left)
        return false;
    s->left--;
    while (!step(s)) {
        s->stage++;
        s->next = 0;
    }
    crash_state_apply(s->space, &s->state, s->disk);
    return true;
}

/* crash_space.c: what one space holds, and how many choices that makes; see crash_space.h. */
#include "simdisk/crash_space.h"

#include "simdisk/xalloc.h"

void crash_space_free(struct crash_space *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->atom_count; i++)
        free(s->atoms[i].units);
    for (size_t i = 0; i < s->buffer_count; i++)
        free(s->buffers[i]);
    sim_pages_destroy(s->base);
    free(s->buffers);
    free(s->units);
    free(s->versions);
    free(s->atoms);
    free(s->lengths);
    free(s->prefix);
    free(s);
}

void crash_space_count(const struct crash_space *s, struct bignum *count)
{
    bignum_init(count, 1);
    for (size_t i = 0; i < s->atom_count; i++)
        bignum_mul_small(count, 2);
    for (size_t i = 0; i < s->unit_count; i++) {
        /* A unit all of whose pending versions belong to atoms makes no choice of its own. */
        uint32_t own = 1;
        for (uint32_t v = 1; v < s->units[i].version_count; v++)
            own += crash_unit_version(s, i, v)->atom == CRASH_NO_ATOM;
        bignum_mul_small(count, own);
    }
    if (s->lengths)
        bignum_mul_small(count, (uint32_t)s->length_count);
}

size_t crash_space_unit_of(const struct crash_space *s, uint64_t sector)
{
    size_t lo = 0, hi = s->unit_count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (s->units[mid].first_sector + s->unit_sectors <= sector)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->unit_count && s->units[lo].first_sector <= sector ? lo : SIZE_MAX;
}

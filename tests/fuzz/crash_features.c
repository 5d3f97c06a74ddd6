/* crash_features.c: see crash_features.h. */
#include "tests/fuzz/crash_features.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"

enum class_of_feature { ORDER, PENDING, DEPTH, RECOVERY };

static void tell(enum class_of_feature class, uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t h = (uint32_t) class + 1;
    h = (h ^ a) * UINT32_C(0x9e3779b1);
    h = (h ^ (h >> 15) ^ b) * UINT32_C(0x85ebca77);
    h = (h ^ (h >> 13) ^ c) * UINT32_C(0xc2b2ae3d);
    fuzz_feature((h ^ h >> 16) % FUZZ_FEATURES);
}

/* 0 1 2 3 4.. 8.. 16.. -> 0 1 2 3 4 5 6 */
static uint32_t roughly(uint64_t n)
{
    return n < 4 ? (uint32_t)n : n < 8 ? 4 : n < 16 ? 5 : 6;
}

/* --- order --------------------------------------------------------------------------------------------------------- */

#define KINDS (BLK_EVENT_COUNT + 2u)

/* Flushes have no label of their own everywhere. */
static uint32_t kind_of(const struct hist_op *op)
{
    return op->kind == HIST_FLUSH    ? BLK_EVENT_COUNT
           : op->kind == HIST_RESIZE ? BLK_EVENT_COUNT + 1u
                                     : (uint32_t)op->label;
}

static void tell_order(const struct history *h)
{
    uint32_t before = KINDS, last = KINDS;
    for (size_t i = 0; i < h->op_count; i++) {
        uint32_t kind = kind_of(&h->ops[i]);
        if (kind != last || kind == BLK_EVENT_HEADER_UPDATE) {
            tell(ORDER, before, last, kind);
            before = last;
            last = kind;
        }
    }
}

/* --- pending ------------------------------------------------------------------------------------------------------- */

enum fate { NOT_PENDING = 0, LOST = 1, SURVIVED = 2, IN_PART = LOST | SURVIVED };

static void tell_pending(const struct crash_space *space, const struct crash_state *st)
{
    uint8_t fates[KINDS] = {NOT_PENDING};
    uint32_t deepest[KINDS] = {0};
    for (size_t u = 0; u < space->unit_count; u++) {
        uint32_t shown = crash_state_version(space, st, u);
        for (uint32_t v = 1; v < space->units[u].version_count; v++) {
            uint32_t kind = kind_of(&space->history->ops[crash_unit_version(space, u, v)->op]);
            fates[kind] |= v == shown ? SURVIVED : LOST;
            if (v > deepest[kind])
                deepest[kind] = v;
        }
    }
    for (uint32_t a = 0; a < KINDS; a++) {
        if (!fates[a])
            continue;
        tell(DEPTH, a, roughly(deepest[a]), 0);
        for (uint32_t b = a; b < KINDS; b++)
            if (fates[b])
                tell(PENDING, a, b, fates[a] * 4u + fates[b]);
    }
}

/* ------------------------------------------------------------------------------------------------------------------- */

void crash_features_tell(const struct recording *rec, const struct crash_space *space, const struct crash_state *st,
                         const struct judge_counts *counts)
{
    tell_order(rec->history);
    tell_pending(space, st);
    tell(RECOVERY, roughly(counts->recoveries), roughly(counts->scanned),
         roughly(counts->needless) * 8 + roughly(counts->leaky));
}

/* minimal.c: see minimal.h. */
#include "harness/minimal.h"

#include <string.h>

#include "simdisk/xalloc.h"

/* --- does a state show it? ----------------------------------------------------------------------------------------- */

struct search {
    const struct minimal_target *target;
    struct minimal_shown *shown;
    uint32_t cluster_sectors;
};

static uint64_t pick_sum(const uint32_t *picks, unsigned count)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += picks[i];
    return sum;
}

static bool says_more(const struct violation *v, const struct minimal_shown *than, uint64_t preferred)
{
    if (!than->shown || v->second_life != than->second_life)
        return !than->shown || than->second_life;
    if (v->pick_count != than->pick_count)
        return v->pick_count < than->pick_count;
    uint64_t a = pick_sum(v->picks, v->pick_count), b = pick_sum(than->picks, than->pick_count);
    if (a != b || v->guest_sector == than->guest_sector)
        return a < b;
    return v->guest_sector == preferred || (than->guest_sector != preferred && v->guest_sector < than->guest_sector);
}

static void look_at(void *opaque, const struct violation *v)
{
    struct search *s = opaque;
    uint64_t cluster = v->guest_sector == JUDGE_NO_SECTOR ? MINIMAL_NO_CLUSTER : v->guest_sector / s->cluster_sectors;
    if (v->class != s->target->class || cluster != s->target->cluster || (v->second_life && !s->target->second_life) ||
        !says_more(v, s->shown, s->target->guest_sector))
        return;
    *s->shown = (struct minimal_shown){.shown = true,
                                       .second_life = v->second_life,
                                       .guest_sector = v->guest_sector,
                                       .image_sector = v->image_sector,
                                       .pick_count = v->pick_count};
    memcpy(s->shown->picks, v->picks, v->pick_count * sizeof(*v->picks));
}

void minimal_load(struct minimal *m, const struct crash_space *space)
{
    m->space = space;
    crash_disk_load(m->disk, space, NULL);
}

bool minimal_shows(const struct minimal *m, const struct crash_state *st, const struct minimal_target *target,
                   struct minimal_shown *shown)
{
    static const uint32_t none[1];
    struct search s = {.target = target, .shown = shown, .cluster_sectors = judge_cluster_sectors(m->judge)};
    *shown = (struct minimal_shown){0};
    crash_disk_rewind(m->disk, 0);
    crash_state_apply(m->space, st, m->disk);
    if (!target->nested)
        judge_force(m->judge, none, 0);
    judge_focus(m->judge,
                target->cluster == MINIMAL_NO_CLUSTER ? JUDGE_NO_SECTOR : target->cluster * s.cluster_sectors);
    judge_state(m->judge, m->disk, crash_state_when(m->space, st), look_at, &s);
    judge_focus(m->judge, JUDGE_NO_SECTOR);
    judge_force(m->judge, NULL, 0);
    return shown->shown;
}

/* --- taking away --------------------------------------------------------------------------------------------------- */

/* The survivors in one row: units, atoms, the length. */
static bool survives(const struct crash_state *st, size_t i)
{
    if (i < st->unit_count)
        return st->own[i] != 0;
    i -= st->unit_count;
    return i < st->atom_count ? st->atom[i] != 0 : st->length != 0;
}

static void take_away(struct crash_state *st, size_t i)
{
    if (i < st->unit_count)
        st->own[i] = 0;
    else if (i - st->unit_count < st->atom_count)
        st->atom[i - st->unit_count] = 0;
    else
        st->length = 0;
}

/* Tries without each run of `chunk` survivors. True if any could go. */
static bool pass(const struct minimal *m, struct crash_state *st, struct crash_state *trial, size_t chunk,
                 const struct minimal_target *target, struct minimal_shown *shown)
{
    bool any = false;
    size_t n = st->unit_count + st->atom_count + 1;
    for (size_t i = 0; i < n;) {
        struct minimal_shown now;
        size_t taken = 0;
        crash_state_copy(trial, st);
        for (; i < n && taken < chunk; i++)
            if (survives(st, i)) {
                take_away(trial, i);
                taken++;
            }
        if (!taken || !minimal_shows(m, trial, target, &now))
            continue;
        crash_state_copy(st, trial);
        *shown = now;
        any = true;
    }
    return any;
}

/* A length that is neither the durable one nor longer than it must be. */
static void shorten(const struct minimal *m, struct crash_state *st, struct crash_state *trial,
                    const struct minimal_target *target, struct minimal_shown *shown)
{
    crash_state_copy(trial, st);
    for (uint32_t length = 1; length < st->length; length++) {
        struct minimal_shown now;
        trial->length = length;
        if (!minimal_shows(m, trial, target, &now))
            continue;
        st->length = length;
        *shown = now;
    }
}

bool minimal_state(const struct minimal *m, struct crash_state *st, const struct minimal_target *target,
                   struct minimal_shown *shown)
{
    if (!minimal_shows(m, st, target, shown))
        return false;
    struct crash_state trial;
    size_t count = 0;
    crash_state_init(&trial, m->space);
    for (size_t i = 0; i < st->unit_count + st->atom_count + 1; i++)
        count += survives(st, i);
    for (size_t chunk = count / 2; chunk > 1; chunk /= 2)
        pass(m, st, &trial, chunk, target, shown);
    shorten(m, st, &trial, target, shown);
    while (pass(m, st, &trial, 1, target, shown))
        ; /* what was needed beside something else may be needed no more */
    crash_state_free(&trial);
    return true;
}

struct crash_space *minimal_with_prefix(const struct crash_space *space, uint32_t prefix_ops)
{
    struct crash_walk *walk = crash_walk_create(space->history, space->model, false);
    struct crash_space *s;
    while ((s = crash_walk_next(walk))) {
        if (s->epoch == space->epoch && s->prefix_ops == prefix_ops)
            break;
        crash_space_free(s);
    }
    crash_walk_destroy(walk);
    return s;
}

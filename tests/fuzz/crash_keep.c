/* crash_keep.c: see crash_keep.h. */
#include "tests/fuzz/crash_keep.h"

#include <stdlib.h>
#include <string.h>

#include "simdisk/xalloc.h"

/* Powers of two. More of them would find more, but in memory that is no longer near the processor. */
#define SCENARIOS 64u
#define SETUPS    64u
/* AFL++ counts edges in all of this, and takes one that is not passed each time for noise: there nothing is kept. */
#ifdef __AFL_COMPILER
#define KEEPS false
#else
#define KEEPS true
#endif

struct kept_scenario {
    struct gen_workload workload;
    struct scenario *scenario; /* NULL: empty */
};

struct kept_setup {
    struct crash_setup setup; /* the first: crash_setup_space */
    /* What it was made of. */
    const struct scenario *scenario; /* NULL: empty */
    const struct qed_design *design;
    const struct sim_disk_model *disk;
    uint8_t schedule[CRASH_CHOICES_MAX];
    unsigned schedule_len;
    bool recorded; /* false: the words cannot be played */
    /* The spaces so far, and the walk to further ones; NULL: there are none. */
    struct crash_walk *walk;
    struct crash_space **spaces;
    size_t space_count, space_cap;
};

struct crash_keep {
    struct qed_pool *pool; /* of all lives, one after the other */
    struct kept_scenario scenarios[SCENARIOS];
    struct kept_setup setups[SETUPS];
};

/* --- life ---------------------------------------------------------------------------------------------------------- */

struct crash_keep *crash_keep_create(void)
{
    struct crash_keep *k = xcalloc(1, sizeof(*k));
    k->pool = xalloc_check(qed_pool_create());
    return k;
}

static void drop_setup(struct kept_setup *s)
{
    for (size_t i = 0; i < s->space_count; i++)
        crash_space_free(s->spaces[i]);
    free(s->spaces);
    crash_walk_destroy(s->walk);
    judge_destroy(s->setup.judge);
    if (s->recorded)
        recording_free(&s->setup.recording);
    memset(s, 0, sizeof(*s));
}

static void drop_scenario(struct crash_keep *k, struct kept_scenario *s)
{
    for (unsigned i = 0; i < SETUPS; i++)
        if (s->scenario && k->setups[i].scenario == s->scenario)
            drop_setup(&k->setups[i]);
    if (s->scenario)
        scenario_free(s->scenario);
    s->scenario = NULL;
}

void crash_keep_destroy(struct crash_keep *k)
{
    if (!k)
        return;
    for (unsigned i = 0; i < SCENARIOS; i++)
        drop_scenario(k, &k->scenarios[i]);
    qed_pool_destroy(k->pool);
    free(k);
}

/* --- keys ---------------------------------------------------------------------------------------------------------- */

static uint32_t mix(uint32_t hash, uint32_t value)
{
    return (hash ^ value) * UINT32_C(0x9e3779b1);
}

static uint32_t hash_of(const struct gen_workload *w)
{
    uint32_t hash = mix((uint32_t)w->backing, w->prepared);
    for (unsigned i = 0; i < w->count; i++)
        hash = mix(hash, w->steps[i].word * 2u + w->steps[i].beside);
    return hash ^ hash >> 16;
}

static bool is_same_workload(const struct gen_workload *a, const struct gen_workload *b)
{
    return a->backing == b->backing && a->prepared == b->prepared && a->count == b->count &&
           !memcmp(a->steps, b->steps, a->count * sizeof(a->steps[0]));
}

/* NULL if no scenario can be made of it. */
static const struct scenario *scenario_of(struct crash_keep *k, const struct gen_workload *w, uint32_t hash)
{
    struct kept_scenario *kept = &k->scenarios[hash % SCENARIOS];
    struct scn_error err;
    if (KEEPS && kept->scenario && is_same_workload(&kept->workload, w))
        return kept->scenario;
    drop_scenario(k, kept);
    kept->workload = *w;
    if (gen_scenario(w, &kept->scenario, &err))
        kept->scenario = NULL;
    return kept->scenario;
}

/* --- setups -------------------------------------------------------------------------------------------------------- */

static bool is_of(const struct kept_setup *s, const struct scenario *scenario, const struct qed_design *design,
                  const struct sim_disk_model *disk, const struct crash_case *c)
{
    return s->scenario == scenario && s->design == design && s->disk == disk && s->schedule_len == c->schedule_len &&
           !memcmp(s->schedule, c->schedule, c->schedule_len);
}

static void make_setup(struct kept_setup *s, const struct scenario *scenario, const struct qed_design *design,
                       const struct sim_disk_model *disk, const struct crash_case *c, struct qed_pool *pool)
{
    const struct run_options options = {
        .design = design,
        .disk = disk,
        .pool = pool,
        .schedule = {.number = 1, .seed = 1, .script = c->schedule, .script_len = c->schedule_len},
    };
    struct scn_error err;
    s->scenario = scenario;
    s->design = design;
    s->disk = disk;
    s->schedule_len = c->schedule_len;
    memcpy(s->schedule, c->schedule, c->schedule_len);
    s->recorded = !scenario_record(scenario, &options, &s->setup.recording, &err);
    if (!s->recorded)
        return;
    s->setup.judge = judge_create_with(&s->setup.recording, design, pool);
    s->walk = crash_walk_create(s->setup.recording.history, disk, false);
}

struct crash_setup *crash_keep_get(struct crash_keep *k, const struct crash_case *c, const struct qed_design *design,
                                   const struct sim_disk_model *disk)
{
    uint32_t hash = hash_of(&c->workload);
    const struct scenario *scenario = scenario_of(k, &c->workload, hash);
    if (!scenario)
        return NULL;
    hash = mix(hash, (uint32_t)(disk - sim_disk_models));
    for (const char *p = design->name; *p; p++)
        hash = mix(hash, (uint8_t)*p);
    for (unsigned i = 0; i < c->schedule_len; i++)
        hash = mix(hash, c->schedule[i]);
    struct kept_setup *kept = &k->setups[(hash ^ hash >> 16) % SETUPS];
    if (!is_of(kept, scenario, design, disk, c)) {
        drop_setup(kept);
        make_setup(kept, scenario, design, disk, c, k->pool);
    }
    return kept->recorded ? &kept->setup : NULL;
}

const struct crash_space *crash_setup_space(struct crash_setup *setup, unsigned number)
{
    struct kept_setup *s = (struct kept_setup *)setup;
    while (s->walk && s->space_count <= number) {
        struct crash_space *space = crash_walk_next(s->walk);
        if (space) {
            s->spaces = xgrow(s->spaces, s->space_count, &s->space_cap, sizeof(*s->spaces));
            s->spaces[s->space_count++] = space;
        } else {
            crash_walk_destroy(s->walk);
            s->walk = NULL;
        }
    }
    return s->spaces[number < s->space_count ? number : s->space_count - 1];
}

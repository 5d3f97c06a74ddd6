/* schedules.c: see schedules.h. */
#include "harness/schedules.h"

#include <errno.h>
#include <string.h>

#include "harness/space_digest.h"
#include "harness/timeline.h"
#include "simdisk/xalloc.h"

struct kept_script {
    uint8_t *choices;
    size_t length;
};

struct schedules {
    struct schedule_walk *walk;
    struct kept_script *scripts; /* by run */
    size_t run_count, run_cap;
    struct digest_set spaces, runs; /* seen */
    struct schedules_live *live;
    size_t live_count, live_cap;
    struct schedules_figures figures;
    /* The run under way. */
    const struct recording *recording;
    struct space_digester *digester;
    struct digest_set own; /* its spaces, each once */
    struct digest whole;
};

struct schedules *schedules_create(uint64_t limit)
{
    struct schedules *s = xcalloc(1, sizeof(*s));
    s->walk = schedule_walk_create(limit);
    return s;
}

void schedules_destroy(struct schedules *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->run_count; i++)
        free(s->scripts[i].choices);
    free(s->scripts);
    for (size_t i = 0; i < s->live_count; i++)
        timeline_free(&s->live[i].timeline);
    free(s->live);
    digest_set_free(&s->spaces);
    digest_set_free(&s->runs);
    digest_set_free(&s->own);
    space_digester_destroy(s->digester);
    schedule_walk_destroy(s->walk);
    free(s);
}

bool schedules_next(struct schedules *s, struct sim_schedule *schedule)
{
    struct kept_script kept;
    const uint8_t *script;
    if (!schedule_walk_next(s->walk, &script, &kept.length))
        return false;
    kept.choices = xmalloc(kept.length);
    if (kept.length)
        memcpy(kept.choices, script, kept.length);
    s->scripts = xgrow(s->scripts, s->run_count, &s->run_cap, sizeof(*s->scripts));
    s->scripts[s->run_count++] = kept;
    *schedule = schedules_of_run(s, s->run_count - 1);
    return true;
}

uint64_t schedules_run(const struct schedules *s)
{
    return s->run_count - 1;
}

struct sim_schedule schedules_of_run(const struct schedules *s, uint64_t run)
{
    return (struct sim_schedule){
        .number = 1, .seed = 1, .script = s->scripts[run].choices, .script_len = s->scripts[run].length};
}

/* --- one run ------------------------------------------------------------------------------------------------------- */

static bool is_known(const struct schedules *s, const struct run_live_finding *f)
{
    for (size_t i = 0; i < s->live_count; i++)
        if (s->live[i].finding.class == f->class && s->live[i].finding.guest_sector == f->guest_sector)
            return true;
    return false;
}

static void take_live(struct schedules *s, const struct recording *r, const struct sim_disk_model *model)
{
    for (size_t i = 0; i < r->live_count; i++) {
        if (is_known(s, &r->live[i]))
            continue;
        s->live = xgrow(s->live, s->live_count, &s->live_cap, sizeof(*s->live));
        struct schedules_live *l = &s->live[s->live_count++];
        *l = (struct schedules_live){.finding = r->live[i], .run = schedules_run(s)};
        timeline_make_live(&l->finding, r, model, &l->timeline);
    }
}

int schedules_begin(struct schedules *s, const struct recording *r, const struct sim_disk_model *model,
                    struct scn_error *err)
{
    if (!schedule_walk_ran(s->walk, r->choices, r->alternatives, r->choice_count)) {
        snprintf(err->text, sizeof(err->text),
                 "a run did not follow its script of choices: it depends on something else too; nothing this version "
                 "says can be trusted, please report it");
        return -ENOTRECOVERABLE;
    }
    s->recording = r;
    s->digester = space_digester_create(r);
    s->whole = (struct digest)DIGEST_INIT;
    take_live(s, r, model);
    return 0;
}

bool schedules_first(struct schedules *s, const struct crash_space *space)
{
    struct digest d = space_digest(s->digester, space);
    if (digest_set_add(&s->own, d))
        digest_member(&s->whole, d);
    return digest_set_add(&s->spaces, d);
}

static void raise(uint64_t *most, uint64_t value)
{
    if (value > *most)
        *most = value;
}

void schedules_end(struct schedules *s)
{
    const struct recording *r = s->recording;
    for (size_t i = 0; i < r->live_count; i++) {
        digest_add(&s->whole, (uint64_t)r->live[i].class);
        digest_add(&s->whole, r->live[i].guest_sector);
    }
    if (digest_set_add(&s->runs, s->whole)) {
        s->figures.distinct++;
        s->figures.crash_points += r->history->event_count + 1;
    }
    raise(&s->figures.guest_writes, r->guest_writes);
    raise(&s->figures.image_writes, r->image_writes);
    raise(&s->figures.flushes, r->flushes);
    raise(&s->figures.scans, r->scans);
    s->figures.dirty_after_clean |= r->dirty_after_clean != 0;
    space_digester_destroy(s->digester);
    s->digester = NULL;
    s->own.count = 0;
    if (s->own.cap)
        memset(s->own.slots, 0, s->own.cap * sizeof(*s->own.slots));
}

const struct schedules_live *schedules_live(const struct schedules *s, size_t *count)
{
    *count = s->live_count;
    return s->live;
}

struct schedules_figures schedules_figures(const struct schedules *s)
{
    struct schedules_figures figures = s->figures;
    figures.walk = schedule_walk_figures(s->walk);
    return figures;
}

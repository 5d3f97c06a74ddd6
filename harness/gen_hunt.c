/* gen_hunt.c: see gen_hunt.h. */
#include "harness/gen_hunt.h"

#include <string.h>

#include "harness/id.h"
#include "simdisk/xalloc.h"

/* A bug that shows under some order of requests mostly shows under many; those that need a rare one wait for their turn
 * in full. */
#define GLANCE_SCHEDULES 200

struct taker {
    enum verdict_class class;
    bool any;
    struct shrink_finding best;
};

static void take(void *opaque, const struct store_finding *f)
{
    struct taker *t = opaque;
    if (f->class != t->class || (t->any && !shrink_finding_smaller(f, &t->best)))
        return;
    t->any = true;
    shrink_finding_copy(&t->best, f);
}

static void keep(struct gen_hunt *h, const struct gen_workload *w, const char *name, struct taker *t)
{
    h->found = true;
    h->words = w->count;
    snprintf(h->name, sizeof(h->name), "%s", name);
    h->id = xalloc_check(strdup(t->best.id));
    h->why = xalloc_check(strdup(t->best.why));
}

static int judge(struct gen_hunt *h, const struct gen_workload *w, bool in_full, struct scn_error *err)
{
    char name[GEN_NAME_MAX];
    struct cell_options o = h->options;
    struct taker t = {.class = h->class};
    struct scenario *s;
    gen_name(w, name, sizeof(name));
    if (h->with && !strstr(name, h->with))
        return 0;
    int ret = gen_scenario(w, &s, err);
    if (ret)
        return ret;
    o.id_scenario = name;
    o.schedule = ID_ALL_SCHEDULES;
    if (!in_full) {
        o.first_life = true;
        o.nested = 0;
        o.schedule_limit = GLANCE_SCHEDULES;
    }
    h->turns++;
    ret = cell_findings(s, h->design, h->disk, &o, take, &t, err);
    if (!ret && t.any)
        keep(h, w, name, &t);
    shrink_finding_free(&t.best);
    scenario_free(s);
    return ret;
}

/* One turn of all workloads of so many words. */
static int turn(struct gen_hunt *h, unsigned words, bool in_full, struct scn_error *err)
{
    struct gen *gen = gen_begin(&h->bound);
    const struct gen_workload *w;
    int ret = 0;
    for (h->workload = 0; !ret && !h->found && (w = gen_next(gen)) && w->count <= words;) {
        h->workload++;
        if (w->count == words)
            ret = judge(h, w, in_full, err);
    }
    gen_end(gen);
    return ret;
}

int gen_hunt_run(struct gen_hunt *h, struct scn_error *err)
{
    unsigned most = h->bound.ops + h->bound.events;
    int ret = 0;
    for (unsigned rank = 1; rank <= most + 1 && !ret && !h->found; rank++) {
        ret = turn(h, rank, false, err);
        if (!ret && !h->found)
            ret = turn(h, rank - 1, true, err);
    }
    return ret;
}

void gen_hunt_free(struct gen_hunt *h)
{
    free(h->id);
    free(h->why);
    h->id = h->why = NULL;
}

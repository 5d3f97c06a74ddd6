/* gen_judge.c: see gen_judge.h. */
#include "harness/gen_judge.h"

#include <string.h>

#include "simdisk/xalloc.h"

struct taker {
    struct gen_judge *g;
    const struct gen_workload *w;
    const char *name;
};

static struct gen_kind_found *find_kind(struct gen_judge *g, const struct store_finding *f)
{
    for (size_t i = 0; i < g->kind_count; i++)
        if (g->kinds[i].class == f->class && !strcmp(g->kinds[i].order, f->missing_order))
            return &g->kinds[i];
    return NULL;
}

static struct gen_kind_found *add_kind(struct taker *t, const struct store_finding *f)
{
    struct gen_judge *g = t->g;
    g->kinds = xgrow(g->kinds, g->kind_count, &g->kind_cap, sizeof(*g->kinds));
    struct gen_kind_found *k = &g->kinds[g->kind_count++];
    *k = (struct gen_kind_found){
        .class = f->class, .workload = g->sum.cells, .ops = gen_ops(t->w), .words = t->w->count};
    snprintf(k->order, sizeof(k->order), "%s", f->missing_order);
    snprintf(k->name, sizeof(k->name), "%s", t->name);
    shrink_finding_copy(&k->first, f);
    if (g->found && !g->found(g->opaque, k))
        g->enough = true;
    return k;
}

static void take(void *opaque, const struct store_finding *f)
{
    struct taker *t = opaque;
    struct gen_kind_found *k = find_kind(t->g, f);
    bool new = !k;
    if (new)
        k = add_kind(t, f);
    else if (k->workload == t->g->sum.cells && shrink_finding_smaller(f, &k->first))
        shrink_finding_copy(&k->first, f);
    if (new || (k->words == t->w->count && shrink_finding_smaller(f, &k->smallest)))
        shrink_finding_copy(&k->smallest, f);
}

static int judge_one(struct gen_judge *g, const struct gen_workload *w, struct scn_error *err)
{
    char name[GEN_NAME_MAX];
    struct taker t = {.g = g, .w = w, .name = gen_name(w, name, sizeof(name))};
    struct scenario *s;
    int ret = gen_scenario(w, &s, err);
    if (ret)
        return ret;
    g->options.id_scenario = name;
    ret = cell_findings(s, g->design, g->disk, &g->options, take, &t, err);
    scenario_free(s);
    if (!ret && g->judged)
        g->judged(g->opaque, name, g->sum.cells);
    return ret;
}

int gen_judge_run(struct gen_judge *g, struct scn_error *err)
{
    struct gen *gen = gen_begin(&g->bound);
    const struct gen_workload *w;
    int ret = 0;
    g->options.sum = &g->sum;
    bignum_init(&g->sum.states, 0);
    while (!ret && !g->enough && (w = gen_next(gen)))
        ret = judge_one(g, w, err);
    gen_end(gen);
    return ret;
}

void gen_judge_free(struct gen_judge *g)
{
    for (size_t i = 0; i < g->kind_count; i++) {
        shrink_finding_free(&g->kinds[i].first);
        shrink_finding_free(&g->kinds[i].smallest);
    }
    free(g->kinds);
    bignum_free(&g->sum.states);
}

/* gen_judge.c: see gen_judge.h. */
#include "harness/gen_judge.h"

#include <errno.h>
#include <string.h>

#include "harness/workers.h"
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
    return ret;
}

/* --- a part of the workloads, and parts put together --------------------------------------------------------------- */

#define PART 16u /* workloads a job: short enough for the last ones not to keep a single process busy for long */

struct run {
    struct gen_judge *g;
    struct scn_error *err;
    size_t parts, next;
    struct bytes *results; /* one a part */
    /* In a worker: where it is. */
    struct gen *gen;
    uint64_t at;
};

static int judge_part(struct run *x, size_t part, struct gen_judge *out, struct scn_error *err)
{
    const struct gen_workload *w;
    int ret = 0;
    *out =
        (struct gen_judge){.design = x->g->design, .disk = x->g->disk, .bound = x->g->bound, .options = x->g->options};
    out->options.sum = &out->sum;
    bignum_init(&out->sum.states, 0);
    if (!x->gen)
        x->gen = gen_begin(&x->g->bound);
    for (; x->at < (uint64_t)part * PART && gen_next(x->gen); x->at++)
        ;
    out->sum.cells = x->at; /* so that workloads have their numbers */
    for (; !ret && x->at < ((uint64_t)part + 1) * PART && (w = gen_next(x->gen)); x->at++)
        ret = judge_one(out, w, err);
    out->sum.cells -= (uint64_t)part * PART;
    return ret;
}

static void put_finding(struct bytes *b, const struct shrink_finding *f)
{
    bytes_put(b, f, sizeof(*f));
    bytes_put_text(b, f->id);
    bytes_put_text(b, f->why);
    bytes_put_text(b, f->story);
    bytes_put_text(b, f->expected);
    bytes_put_text(b, f->found);
}

static char *take_text(struct bytes_reader *in)
{
    const char *text = bytes_take_text(in);
    return xalloc_check(strdup(text ? text : ""));
}

static void take_finding(struct bytes_reader *in, struct shrink_finding *f)
{
    const uint8_t *raw = bytes_take(in, sizeof(*f));
    *f = (struct shrink_finding){0};
    if (raw)
        memcpy(f, raw, sizeof(*f));
    f->id = take_text(in);
    f->why = take_text(in);
    f->story = take_text(in);
    f->expected = take_text(in);
    f->found = take_text(in);
}

static void put_part(struct bytes *b, const struct gen_judge *g)
{
    bytes_put_u64(b, g->sum.cells);
    bytes_put_u64(b, g->sum.executions);
    bytes_put_u64(b, g->sum.incomplete);
    bytes_put_u64(b, g->sum.states.count);
    bytes_put(b, g->sum.states.limbs, g->sum.states.count * sizeof(uint32_t));
    bytes_put_u64(b, g->kind_count);
    for (size_t i = 0; i < g->kind_count; i++) {
        bytes_put(b, &g->kinds[i], sizeof(g->kinds[i]));
        put_finding(b, &g->kinds[i].first);
        put_finding(b, &g->kinds[i].smallest);
    }
}

static bool is_smaller(const struct shrink_finding *a, const struct shrink_finding *than)
{
    const struct store_finding f = {.id = a->id, .survivors = a->survivors, .crash_point = a->crash_point};
    return shrink_finding_smaller(&f, than);
}

/* Parts come in the workloads' order, so who is known was found first. Takes over k. */
static void merge_kind(struct gen_judge *g, struct gen_kind_found *k)
{
    const struct store_finding as = {.class = k->class, .missing_order = k->order};
    struct gen_kind_found *known = find_kind(g, &as);
    if (!known) {
        g->kinds = xgrow(g->kinds, g->kind_count, &g->kind_cap, sizeof(*g->kinds));
        g->kinds[g->kind_count++] = *k;
        return;
    }
    if (k->words == known->words && is_smaller(&k->smallest, &known->smallest)) {
        shrink_finding_free(&known->smallest);
        known->smallest = k->smallest;
    } else {
        shrink_finding_free(&k->smallest);
    }
    shrink_finding_free(&k->first);
}

static void merge_part(struct gen_judge *g, const struct bytes *b)
{
    struct bytes_reader in = {.at = b->data, .left = b->size};
    g->sum.cells += bytes_take_u64(&in);
    g->sum.executions += bytes_take_u64(&in);
    g->sum.incomplete += bytes_take_u64(&in);
    struct bignum states = {.count = (uint32_t)bytes_take_u64(&in)};
    uint32_t *limbs = xcalloc(states.count + 1, sizeof(*limbs));
    const uint8_t *raw = bytes_take(&in, states.count * sizeof(*limbs));
    if (raw)
        memcpy(limbs, raw, states.count * sizeof(*limbs));
    states.limbs = limbs;
    bignum_add(&g->sum.states, &states);
    free(limbs);
    for (uint64_t left = bytes_take_u64(&in); left && !in.bad; left--) {
        struct gen_kind_found k = {0};
        raw = bytes_take(&in, sizeof(k));
        if (raw)
            memcpy(&k, raw, sizeof(k));
        take_finding(&in, &k.first);
        take_finding(&in, &k.smallest);
        merge_kind(g, &k);
    }
}

/* --- processes ----------------------------------------------------------------------------------------------------- */

static enum workers_more next(void *opaque, size_t *part, struct bytes *request)
{
    struct run *x = opaque;
    (void)request;
    if (x->next == x->parts)
        return WORKERS_NONE;
    *part = x->next++;
    return WORKERS_JOB;
}

static void job(void *opaque, struct workers_self *self, size_t part, const uint8_t *request, size_t size,
                struct bytes *result)
{
    struct gen_judge g;
    struct scn_error err = {0};
    (void)request;
    (void)size;
    int ret = judge_part(opaque, part, &g, &err);
    workers_beat(self, 1);
    bytes_put_u64(result, (uint64_t)(int64_t)ret);
    bytes_put_text(result, err.text);
    put_part(result, &g);
    gen_judge_free(&g);
}

static int done(void *opaque, const struct workers_result *r)
{
    struct run *x = opaque;
    if (r->end != WORKERS_DONE) {
        snprintf(x->err->text, sizeof(x->err->text), "the process that judged workloads %zu to %zu %.120s",
                 r->job * PART + 1, (r->job + 1) * PART, r->why);
        return -EIO;
    }
    struct bytes_reader in = {.at = r->data, .left = r->size};
    int ret = (int)(int64_t)bytes_take_u64(&in);
    const char *text = bytes_take_text(&in);
    if (ret)
        snprintf(x->err->text, sizeof(x->err->text), "%s", text ? text : "");
    else
        bytes_put(&x->results[r->job], in.at, in.left);
    return ret;
}

int gen_judge_run(struct gen_judge *g, struct scn_error *err)
{
    struct run x = {.g = g, .err = err, .parts = (size_t)((gen_count(&g->bound) + PART - 1) / PART)};
    const struct workers_options o = {.count = g->jobs ? g->jobs : workers_default_count(),
                                      .stop = g->options.stop,
                                      .opaque = &x,
                                      .next = next,
                                      .job = job,
                                      .done = done};
    x.results = xcalloc(x.parts + 1, sizeof(*x.results));
    bignum_init(&g->sum.states, 0);
    int ret = workers_run(&o);
    for (size_t i = 0; i < x.parts; i++) {
        if (!ret)
            merge_part(g, &x.results[i]);
        bytes_free(&x.results[i]);
    }
    free(x.results);
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

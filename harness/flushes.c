/* flushes.c: see flushes.h. */
#include "harness/flushes.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "engine/design_text.h"
#include "harness/design_load.h"
#include "harness/workers.h"

/* What a worker tells of one test. */
struct told {
    bool unsafe, complete;
    enum verdict_class class; /* unsafe */
    double states_log2;
    uint64_t needed, adds; /* bit per weakening */
};

struct run {
    struct flushes *f;
    struct scn_error *err;
    size_t next, done;
    uint64_t found; /* weakenings that are known to be needed: later tests need not try them */
};

/* --- the weakenings ------------------------------------------------------------------------------------------------ */

static void add_weakening(struct flushes *f, enum qed_design_field field, unsigned to)
{
    char spec[QED_DESIGN_TEXT_MAX], word[64];
    if (f->weak_count == FLUSHES_MAX)
        return;
    struct flushes_weakening *w = &f->weak[f->weak_count++];
    *w = (struct flushes_weakening){.field = field, .from = f->design->value[field], .to = (uint8_t)to};
    w->design = *f->design;
    w->design.asked = NULL;
    w->design.value[field] = (uint8_t)to;
    if (design_is_file(f->design->name))
        qed_design_format(&w->design, spec);
    else
        snprintf(spec, sizeof(spec), "%s,%s=%s", f->design->name, qed_design_field_name(field),
                 qed_design_value_name(field, to, word));
    w->spec = xalloc_check(strdup(spec));
    w->design.name = w->spec;
}

static void list_weakenings(struct flushes *f)
{
    for (unsigned field = 0; field < QED_FIELD_COUNT; field++)
        for (unsigned v = 0; v < qed_design_field_values((enum qed_design_field)field); v++)
            if (qed_design_weaker((enum qed_design_field)field, v, f->design->value[field]))
                add_weakening(f, (enum qed_design_field)field, v);
}

/* --- one test, in a worker ----------------------------------------------------------------------------------------- */

/* Kinds of findings: class and missing order. */
struct kinds {
    uint64_t hashes[64];
    unsigned count;
};

static void take_kind(void *opaque, const struct store_finding *found)
{
    struct kinds *k = opaque;
    uint64_t hash = XXH3_64bits_withSeed(found->missing_order, strlen(found->missing_order), found->class);
    for (unsigned i = 0; i < k->count; i++)
        if (k->hashes[i] == hash)
            return;
    if (k->count < 64)
        k->hashes[k->count++] = hash;
}

static bool has_more(const struct kinds *a, const struct kinds *than)
{
    for (unsigned i = 0; i < a->count; i++) {
        bool found = false;
        for (unsigned k = 0; k < than->count; k++)
            found |= a->hashes[i] == than->hashes[k];
        if (!found)
            return true;
    }
    return false;
}

static int kinds_of(const struct flushes *f, size_t test, const struct qed_design *d, struct kinds *out,
                    struct scn_error *err)
{
    const struct bound_workload *w = &f->bound->workloads[test % f->bound->count];
    out->count = 0;
    return bound_findings(w, f->disks[test / f->bound->count], d, &f->cell, take_kind, out, err);
}

/* The design fails this test: does the weakening fail it in one more way? */
static int try_adding(const struct flushes *f, size_t test, uint64_t skip, struct told *t, struct scn_error *err)
{
    struct qed_design base = *f->design;
    struct qed_design_asked asked;
    struct kinds mine, theirs;
    qed_asked_begin(&asked);
    base.asked = &asked;
    int ret = kinds_of(f, test, &base, &mine, err);
    for (size_t i = 0; i < f->weak_count && !ret; i++) {
        if (skip >> i & 1 || qed_box_has(&asked.box, &f->weak[i].design))
            continue;
        ret = kinds_of(f, test, &f->weak[i].design, &theirs, err);
        if (!ret && has_more(&theirs, &mine))
            t->adds |= UINT64_C(1) << i;
    }
    return ret;
}

static int try_test(const struct flushes *f, size_t test, uint64_t skip, struct told *t, struct scn_error *err)
{
    const struct bound_workload *w = &f->bound->workloads[test % f->bound->count];
    const struct sim_disk_model *disk = f->disks[test / f->bound->count];
    struct probe_memo *memo = probe_memo_create();
    struct bound_result base, r;
    int ret = bound_test(w, disk, f->design, &f->cell, memo, &base, err);
    if (!ret) {
        t->unsafe = base.probe.unsafe;
        t->class = base.probe.class;
        t->complete = base.probe.complete;
        t->states_log2 = base.probe.states_log2;
    }
    if (!ret && t->unsafe)
        ret = try_adding(f, test, skip, t, err);
    for (size_t i = 0; i < f->weak_count && !ret && !t->unsafe; i++) {
        if (skip >> i & 1 || qed_box_has(&base.asked.box, &f->weak[i].design))
            continue;
        ret = bound_test(w, disk, &f->weak[i].design, &f->cell, memo, &r, err);
        if (!ret && r.probe.unsafe)
            t->needed |= UINT64_C(1) << i;
    }
    probe_memo_destroy(memo);
    return ret;
}

static void job(void *opaque, struct workers_self *self, size_t test, const uint8_t *request, size_t size,
                struct bytes *result)
{
    struct run *x = opaque;
    struct told t = {0};
    struct scn_error err = {0};
    struct bytes_reader in = {.at = request, .left = size};
    int ret = try_test(x->f, test, bytes_take_u64(&in), &t, &err);
    workers_beat(self, 1);
    bytes_put_u64(result, (uint64_t)(int64_t)ret);
    bytes_put_u64(result, t.unsafe | (uint64_t)t.complete << 1 | (uint64_t)t.class << 8);
    bytes_put_double(result, t.states_log2);
    bytes_put_u64(result, t.needed);
    bytes_put_u64(result, t.adds);
    bytes_put_text(result, err.text);
}

/* --- in the parent ------------------------------------------------------------------------------------------------- */

static enum workers_more next(void *opaque, size_t *test, struct bytes *request)
{
    struct run *x = opaque;
    uint64_t all = x->f->weak_count == 64 ? UINT64_MAX : (UINT64_C(1) << x->f->weak_count) - 1;
    if (x->next == x->f->bound->count * x->f->disk_count || x->found == all)
        return WORKERS_NONE;
    *test = x->next++;
    bytes_put_u64(request, x->found);
    return WORKERS_JOB;
}

/* The first test that shows it, whichever worker was faster. */
static void found(struct run *x, size_t test, uint64_t bits, bool adds)
{
    struct flushes *f = x->f;
    for (size_t i = 0; i < f->weak_count; i++) {
        struct flushes_weakening *w = &f->weak[i];
        size_t disk = test / f->bound->count, workload = test % f->bound->count;
        bool better = !w->needed || (w->adds && !adds) ||
                      (w->adds == adds && (disk < w->disk || (disk == w->disk && workload < w->workload)));
        if (!(bits >> i & 1) || !better)
            continue;
        w->needed = true;
        w->adds = adds;
        w->disk = disk;
        w->workload = workload;
    }
    if (!adds)
        x->found |= bits;
}

static double add_log2(double a, double b)
{
    double high = a > b ? a : b, low = a > b ? b : a;
    return isinf(low) ? high : high + log2(1 + exp2(low - high));
}

static void add_failed(struct flushes *f, size_t test, enum verdict_class class)
{
    uint64_t at = f->unsafe++;
    f->failed = xreallocarray(f->failed, f->unsafe, sizeof(*f->failed));
    for (; at && f->failed[at - 1].test > test; at--)
        f->failed[at] = f->failed[at - 1];
    f->failed[at] = (struct flushes_failed){.test = test, .class = class};
}

static int done(void *opaque, const struct workers_result *r)
{
    struct run *x = opaque;
    const struct bound_workload *w = &x->f->bound->workloads[r->job % x->f->bound->count];
    if (r->end != WORKERS_DONE) {
        snprintf(x->err->text, sizeof(x->err->text), "the process that judged %.100s %.120s", w->name, r->why);
        return -EIO;
    }
    struct bytes_reader in = {.at = r->data, .left = r->size};
    int ret = (int)(int64_t)bytes_take_u64(&in);
    uint64_t flags = bytes_take_u64(&in);
    double states = bytes_take_double(&in);
    uint64_t needed = bytes_take_u64(&in), adds = bytes_take_u64(&in);
    const char *text = bytes_take_text(&in);
    if (ret) {
        snprintf(x->err->text, sizeof(x->err->text), "%s", text ? text : "");
        return ret;
    }
    x->f->tests++;
    if (flags & 1)
        add_failed(x->f, r->job, (enum verdict_class)(flags >> 8));
    x->f->incomplete += !(flags & 2);
    x->f->states_log2 = add_log2(x->f->states_log2, states);
    found(x, r->job, needed, false);
    found(x, r->job, adds, true);
    if (x->f->progress)
        x->f->progress(x->f->opaque, ++x->done, x->f->bound->count * x->f->disk_count);
    return 0;
}

static void find_witnesses(struct flushes *f)
{
    for (size_t i = 0; i < f->weak_count; i++) {
        struct flushes_weakening *w = &f->weak[i];
        if (w->needed)
            bound_witness(&f->bound->workloads[w->workload], f->disks[w->disk], &w->design, &f->cell, &w->class, &w->id,
                          &w->why);
    }
}

int flushes_run(struct flushes *f, struct scn_error *err)
{
    struct run x = {.f = f, .err = err};
    const struct workers_options o = {.count = f->jobs ? f->jobs : workers_default_count(),
                                      .stop = f->cell.stop,
                                      .opaque = &x,
                                      .next = next,
                                      .job = job,
                                      .done = done};
    f->states_log2 = -INFINITY;
    list_weakenings(f);
    int ret = workers_run(&o);
    if (!ret)
        find_witnesses(f);
    return ret;
}

void flushes_free(struct flushes *f)
{
    for (size_t i = 0; i < f->weak_count; i++) {
        free(f->weak[i].spec);
        free(f->weak[i].id);
        free(f->weak[i].why);
    }
    free(f->failed);
    f->failed = NULL;
    f->weak_count = 0;
}

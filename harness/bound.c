/* bound.c: see bound.h. */
#include "harness/bound.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness/id.h"
#include "harness/library.h"
#include "harness/target.h"
#include "simdisk/xalloc.h"

void bound_add(struct bound *b, struct scenario *s, char *name)
{
    b->workloads = xgrow(b->workloads, b->count, &b->cap, sizeof(*b->workloads));
    b->workloads[b->count++] = (struct bound_workload){.scenario = s, .name = name, .all_schedules = s->all_schedules};
}

static bool has_later_lives(const struct scenario *s)
{
    for (size_t i = 0; i < s->stmt_count; i++)
        if (s->stmts[i].op == SCN_CRASH)
            return true;
    return false;
}

int bound_add_library(struct bound *b, const char *dir, bool one_life, struct scn_error *err)
{
    char **paths;
    long count = library_list(dir, &paths);
    int ret = 0;
    if (count < 0) {
        snprintf(err->text, sizeof(err->text), "%.200s: %s", dir, strerror((int)-count));
        return (int)count;
    }
    for (long i = 0; i < count && !ret; i++) {
        struct scenario *s;
        char *name;
        ret = target_scenario(paths[i], &s, &name, err);
        if (ret)
            break;
        if (!one_life || !has_later_lives(s)) {
            bound_add(b, s, name);
        } else {
            scenario_free(s);
            free(name);
        }
    }
    library_list_free(paths, count);
    return ret;
}

static bool side_by_side(const struct scenario *s)
{
    for (size_t i = 0; i < s->stmt_count; i++)
        if (s->stmts[i].aio)
            return true;
    return false;
}

int bound_add_generated(struct bound *b, const struct gen_bound *bound, bool shallow, struct scn_error *err)
{
    struct gen *g = gen_begin(bound);
    const struct gen_workload *w;
    int ret = 0;
    while (!ret && (w = gen_next(g))) {
        struct scenario *s;
        char name[GEN_NAME_MAX];
        ret = gen_scenario(w, &s, err);
        if (ret)
            break;
        bound_add(b, s, xalloc_check(strdup(gen_name(w, name, sizeof(name)))));
        b->workloads[b->count - 1].all_schedules = side_by_side(s);
        b->workloads[b->count - 1].shallow = shallow;
    }
    gen_end(g);
    return ret;
}

void bound_free(struct bound *b)
{
    for (size_t i = 0; i < b->count; i++) {
        scenario_free(b->workloads[i].scenario);
        free(b->workloads[i].name);
    }
    free(b->workloads);
    *b = (struct bound){0};
}

static struct cell_options options_of(const struct bound_workload *w, const struct cell_options *options)
{
    struct cell_options o = *options;
    o.id_scenario = w->name;
    if (w->all_schedules)
        o.schedule = ID_ALL_SCHEDULES;
    if (w->shallow) {
        o.first_life = true;
        o.nested = 0;
    }
    return o;
}

int bound_test(const struct bound_workload *w, const struct sim_disk_model *disk, const struct qed_design *design,
               const struct cell_options *options, struct probe_memo *memo, struct bound_result *out,
               struct scn_error *err)
{
    struct qed_design asked = *design;
    const struct cell_options o = options_of(w, options);
    qed_asked_begin(&out->asked);
    asked.asked = &out->asked;
    return cell_probe(w->scenario, &asked, disk, &o, memo, &out->probe, err);
}

int bound_spaces(const struct bound_workload *w, const struct sim_disk_model *disk, const struct qed_design *design,
                 const struct cell_options *options, struct qed_design_asked *asked, struct cell_spaces *out,
                 struct scn_error *err)
{
    struct qed_design d = *design;
    const struct cell_options o = options_of(w, options);
    qed_asked_begin(asked);
    d.asked = asked;
    return cell_list_spaces(w->scenario, &d, disk, &o, out, err);
}

int bound_findings(const struct bound_workload *w, const struct sim_disk_model *disk, const struct qed_design *design,
                   const struct cell_options *options, cell_finding_fn *take, void *opaque, struct scn_error *err)
{
    const struct cell_options o = options_of(w, options);
    return cell_findings(w->scenario, design, disk, &o, take, opaque, err);
}

struct best {
    struct store_finding finding;
    char *id, *why;
};

/* Fewest survivors; the first of equals. */
static void take(void *opaque, const struct store_finding *f)
{
    struct best *best = opaque;
    if (best->id && f->survivors >= best->finding.survivors)
        return;
    free(best->id);
    free(best->why);
    best->finding = *f;
    best->id = xalloc_check(strdup(f->id));
    best->why = xalloc_check(strdup(f->why));
}

bool bound_witness(const struct bound_workload *w, const struct sim_disk_model *disk, const struct qed_design *design,
                   const struct cell_options *options, enum verdict_class *class, char **id, char **why)
{
    struct best best = {.id = NULL};
    struct scn_error err;
    if (bound_findings(w, disk, design, options, take, &best, &err)) {
        free(best.id);
        free(best.why);
        best = (struct best){.id = NULL};
    }
    *id = best.id;
    *why = best.why;
    *class = best.id ? best.finding.class : VERDICT_OK;
    return best.id != NULL;
}

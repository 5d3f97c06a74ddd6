/* bound.c: see bound.h. */
#include "harness/bound.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness/library.h"
#include "harness/target.h"
#include "simdisk/xalloc.h"

void bound_add(struct bound *b, struct scenario *s, char *name)
{
    b->workloads = xgrow(b->workloads, b->count, &b->cap, sizeof(*b->workloads));
    b->workloads[b->count++] = (struct bound_workload){.scenario = s, .name = name};
}

int bound_add_library(struct bound *b, const char *dir, struct scn_error *err)
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
        if (!ret)
            bound_add(b, s, name);
    }
    library_list_free(paths, count);
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

int bound_test(const struct bound_workload *w, const struct sim_disk_model *disk, const struct qed_design *design,
               const struct cell_options *options, struct probe_memo *memo, struct bound_result *out,
               struct scn_error *err)
{
    struct qed_design asked = *design;
    struct cell_options o = *options;
    o.id_scenario = w->name;
    qed_asked_begin(&out->asked);
    asked.asked = &out->asked;
    return cell_probe(w->scenario, &asked, disk, &o, memo, &out->probe, err);
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
    struct cell_options o = *options;
    struct scn_error err;
    o.id_scenario = w->name;
    if (cell_findings(w->scenario, design, disk, &o, take, &best, &err)) {
        free(best.id);
        free(best.why);
        best = (struct best){.id = NULL};
    }
    *id = best.id;
    *why = best.why;
    *class = best.id ? best.finding.class : VERDICT_OK;
    return best.id != NULL;
}

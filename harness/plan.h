/* plan.h: the cells of a campaign, in one order: scenarios as given (a directory: by name), designs, disk models,
 * schedules. A cell's place in it is what the store knows it by.
 */
#ifndef HARNESS_PLAN_H
#define HARNESS_PLAN_H

#include "harness/options.h"
#include "scenarios/scenario.h"

struct plan_cell {
    const struct scenario *scenario;
    const char *name; /* how ids name the scenario */
    const struct qed_design *design;
    const struct sim_disk_model *disk;
    uint64_t schedule;
};

struct plan_scenario {
    struct scenario *scenario;
    char *name;
};

struct plan {
    struct plan_scenario *scenarios;
    size_t scenario_count, scenario_cap;
    struct plan_cell *cells;
    size_t count, cap;
    char inputs[33]; /* a sum over all that the verdicts depend on but version, seed and options: plan_seal() */
};

/* A scenario by path or name, or (plan_add_directory) all of a directory, with the designs, disk models and schedules that
 * the options name. What is there already is not added again. 0, or -EINVAL with err. */
int plan_add(struct plan *p, const char *text, const struct options *o, struct scn_error *err);
int plan_add_directory(struct plan *p, const char *dir, const struct options *o, struct scn_error *err);
void plan_seal(struct plan *p);
void plan_free(struct plan *p);

/* The caller frees. */
char *plan_id(const struct plan_cell *cell);
/* The options that verdicts depend on, in words; the caller frees. */
char *plan_options_text(const struct options *o);

#endif

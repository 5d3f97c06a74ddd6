/* target.h: what a person or an id names: a scenario, a design, a disk model. */
#ifndef HARNESS_TARGET_H
#define HARNESS_TARGET_H

#include "harness/design_load.h"
#include "harness/id.h"
#include "scenarios/scenario.h"
#include "simdisk/disk_model.h"

struct target {
    struct scenario *scenario;
    char *name; /* how ids name the scenario */
    const struct qed_design *design;
    const struct sim_disk_model *disk;
};

/* A library name, a file, or the directory of a recording. *out and *name are the caller's. 0, or -EINVAL with one sentence. */
int target_scenario(const char *text, struct scenario **out, char **name, struct scn_error *err);
/* All that an id names. On failure nothing is left to free. 0, or -EINVAL with one sentence. */
int target_load(const struct finding_id *id, struct target *t, struct scn_error *err);
void target_free(struct target *t);

#endif

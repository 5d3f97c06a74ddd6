/* bound.h: the tests of a bound. A *test* is a workload on a disk model; a bound is a list of them: "safe within this bound"
 * means that every one of them comes out safe, complete.
 */
#ifndef HARNESS_BOUND_H
#define HARNESS_BOUND_H

#include "engine/design_box.h"
#include "harness/cell.h"
#include "scenarios/generate.h"

struct bound_workload {
    struct scenario *scenario;
    char *name;         /* as in ids */
    bool all_schedules; /* requests run side by side: every order of them */
    bool late;          /* dear: `designs search` asks only the cheapest designs */
    bool shallow;       /* only what recovery shows: no second life, no second failure */
};

struct bound {
    struct bound_workload *workloads;
    size_t count, cap;
};

/* Every scenario of the library in `dir`; one_life: only those without `crash`, whose later lives multiply. 0, or -errno
 * with err. */
int bound_add_library(struct bound *b, const char *dir, bool one_life, struct scn_error *err);
/* All generated workloads of a bound (scenarios/generate.h); all_schedules where requests run side by
 * side. 0, or -errno with err. */
int bound_add_generated(struct bound *b, const struct gen_bound *g, bool shallow, struct scn_error *err);
/* One, which becomes the bound's. */
void bound_add(struct bound *b, struct scenario *s, char *name);
void bound_free(struct bound *b);

/* How a test came out for one design, and for which designs it comes out alike. */
struct bound_result {
    struct cell_probe probe;
    struct qed_design_asked asked;
};
/* options->id_scenario is ignored; memo: of this workload and disk model, or NULL. 0, -EINTR, or -errno with err. */
int bound_test(const struct bound_workload *w, const struct sim_disk_model *disk, const struct qed_design *design,
               const struct cell_options *options, struct probe_memo *memo, struct bound_result *out,
               struct scn_error *err);

/* Its first half, as cell_list_spaces(). */
int bound_spaces(const struct bound_workload *w, const struct sim_disk_model *disk, const struct qed_design *design,
                 const struct cell_options *options, struct qed_design_asked *asked, struct cell_spaces *out,
                 struct scn_error *err);
/* All findings of a test, as cell_findings() hands them out. */
int bound_findings(const struct bound_workload *w, const struct sim_disk_model *disk, const struct qed_design *design,
                   const struct cell_options *options, cell_finding_fn *take, void *opaque, struct scn_error *err);
/* The finding to show for it: of the first class, the one with the smallest witness. *id and *why are the caller's; false
 * (and NULL) if there is none after all. */
bool bound_witness(const struct bound_workload *w, const struct sim_disk_model *disk, const struct qed_design *design,
                   const struct cell_options *options, enum verdict_class *class, char **id, char **why);

#endif

/* shrink.h: the smallest workload that still shows a finding.
 *
 *   scenario ──▶ without some statements, with a shorter write, with no backing file, ...
 *                     │ printed and parsed again: an edit that makes no scenario is none
 *                     ▼
 *                a whole run ──▶ the same class, by the same missing order? ──▶ it is the scenario now
 *
 * Statements go first: half of them, a quarter, .. and one by one; then what is left gets simpler. All over again until a
 * round changes nothing, so that no statement can go any more. Each try is a complete run of a cell: what is shown in the
 * end is a finding like any other, with an id of its own.
 */
#ifndef HARNESS_SHRINK_H
#define HARNESS_SHRINK_H

#include "harness/cell.h"

/* A finding that outlives its cell. */
struct shrink_finding {
    enum verdict_class class;
    char order[96];
    char *id, *why, *story, *expected, *found;
    uint32_t survivors, crash_point;
    bool has_guest_sector;
    uint64_t guest_sector;
};

struct shrink {
    const struct qed_design *design;
    const struct sim_disk_model *disk;
    struct cell_options options; /* the schedule may become the first */
    uint64_t max_runs;           /* tries; 0: no bound */
    /* What must be shown. */
    enum verdict_class class;
    char order[96]; /* "": whatever order was missing */
    /* What came of it. */
    struct scenario *best;
    struct shrink_finding finding;
    uint64_t runs;
    bool stopped, at_limit; /* by a signal; by max_runs */
};

/* Does the scenario (taken over as `best`) show it? 0, -ENOENT if not, or -errno with err. */
int shrink_begin(struct shrink *x, struct scenario *s, struct scn_error *err);
/* As small as it gets. Its only expectation is what it shows. */
void shrink_run(struct shrink *x);
void shrink_free(struct shrink *x);

void shrink_finding_copy(struct shrink_finding *to, const struct store_finding *from);
void shrink_finding_free(struct shrink_finding *f);
/* Fewer survivors, then earlier, then the shorter id. */
bool shrink_finding_smaller(const struct store_finding *a, const struct shrink_finding *than);
/* Bytes that the requests of a scenario name. */
uint64_t shrink_bytes(const struct scenario *s);

#endif

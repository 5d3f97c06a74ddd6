/* gen_judge.h: a design x disk model over every generated workload of a bound.
 *
 *   workload ─▶ cell, every schedule, all states ─▶ findings ─▶ one per (class, missing order): the first, the smallest
 *
 * What is left without a finding is safe within the bound.
 */
#ifndef HARNESS_GEN_JUDGE_H
#define HARNESS_GEN_JUDGE_H

#include "harness/shrink.h"
#include "scenarios/generate.h"

/* All findings of one (class, missing order). */
struct gen_kind_found {
    enum verdict_class class;
    char order[96];
    uint64_t workload;              /* number of the workload that showed it first, from 1 */
    char name[GEN_NAME_MAX];        /* of that one */
    unsigned ops, words;            /* of that one */
    struct shrink_finding first;    /* of the first workload, the smallest */
    struct shrink_finding smallest; /* of all that have as few words */
};

struct gen_judge {
    const struct qed_design *design;
    const struct sim_disk_model *disk;
    struct gen_bound bound;
    struct cell_options options; /* as for a cell; id_scenario and sum are set here */
    unsigned jobs;               /* processes; 0: one for each processor. What comes of it is the same */
    /* What came of it. */
    struct gen_kind_found *kinds; /* in the order in which they were found */
    size_t kind_count, kind_cap;
    struct cell_sum sum;
};

/* 0; -EINTR when stopped; or -errno with one sentence. */
int gen_judge_run(struct gen_judge *g, struct scn_error *err);
void gen_judge_free(struct gen_judge *g);

#endif

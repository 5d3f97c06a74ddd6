/* gen_hunt.h: from an empty start to the first finding of one class, by generated workloads alone.
 *
 * Nothing of the bound is left out, but little work comes first: each workload has two turns, a *glance* (what recovery
 * shows, of some schedules) and a judgement in full (the second life, a second failure, every schedule).
 *
 *     words      1    2    3
 *     glance     1.   2.   4.
 *     in full    3.   5.   6.        the order of the turns
 */
#ifndef HARNESS_GEN_HUNT_H
#define HARNESS_GEN_HUNT_H

#include "harness/gen_judge.h"

struct gen_hunt {
    const struct qed_design *design;
    const struct sim_disk_model *disk;
    struct gen_bound bound;
    enum verdict_class class;
    const char *with;            /* only workloads whose name has this in it; NULL: all */
    struct cell_options options; /* of the judgement in full; schedule and id_scenario are set here */
    /* What came of it. */
    bool found;
    char name[GEN_NAME_MAX];
    unsigned words;
    uint64_t workload; /* its number in the enumeration, from 1 */
    uint64_t turns;    /* workloads judged up to there; two for one that had both turns */
    char *id, *why;    /* of its smallest witness */
};

/* 0, found or not; -EINTR when stopped; or -errno with one sentence. */
int gen_hunt_run(struct gen_hunt *h, struct scn_error *err);
void gen_hunt_free(struct gen_hunt *h);

#endif

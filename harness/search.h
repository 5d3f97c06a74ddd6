/* search.h: the whole design space against a bound of tests.
 *
 *   candidates  all designs ──test 1──▶ those it does not rule out ──test 2──▶ ...  ──▶ exactly the safe ones
 *
 * A test on a design asks the engine's questions in an order that is a decision tree: each inner node a question (is this
 * field one of these?), each leaf what came out. The tree is grown only where candidates are left, one run of the test per
 * leaf; an unsafe leaf takes all its designs out of the candidates at once. So every combination of the fields is decided,
 * and only combinations that behave differently are run.
 *
 * What the safe ones cost is found in the same way, on workloads that stand for a burst of allocating writes. Tests that
 * are dear (late) are asked of the frontier alone: what they rule out leaves it, and what it had beaten comes forward, until
 * all of the frontier has passed every test.
 */
#ifndef HARNESS_SEARCH_H
#define HARNESS_SEARCH_H

#include "harness/bound.h"
#include "harness/box_tree.h"

/* Per allocating write, or of all recoveries; less is better. */
struct search_cost {
    double flushes, writes; /* per allocating write of the cost workloads; writes: besides the guest's own */
    double scans;           /* part of the crash states in which recovery has to scan */
    double needless;        /* part of the crash states in which it does, and finds nothing */
};

/* Why a weaker value is not in the safe set. */
struct search_weaker {
    enum qed_design_field field;
    uint8_t value;
    size_t workload;
    enum verdict_class class;
    char *id, *why;
};

/* A point of the frontier: designs of equal cost that no safe design beats in all of it. */
struct search_point {
    struct search_cost cost;
    double designs;
    struct qed_design design; /* one of them, as weak as can be; name NULL */
    struct qed_design_box
        free; /* values that a field may take with all others as in `design`, without leaving the point */
    struct search_weaker *weaker;
    size_t weaker_count;
};

struct search_result {
    double designs, safe; /* in the space; and left by all tests that are not late */
    uint64_t runs, executions;
    size_t tests;
    bool complete;        /* every test that was passed was passed completely */
    size_t incomplete;    /* else: the first workload that some design passed, and not completely */
    struct box_list left; /* those */
    struct search_point *points;
    size_t point_count;
};

struct search_options {
    const struct bound *bound;
    const struct bound *cost; /* workloads that say what a design costs; among those of `bound` that are not late */
    struct qed_design_box space;
    struct cell_options cell;
    bool weaker;                                               /* find out what breaks around each point */
    void (*progress)(void *opaque, size_t tests, double left); /* may be NULL */
    void *opaque;
};

/* 0, -EINTR, or -errno with err. *out is the caller's. */
int search_disk(const struct search_options *o, const struct sim_disk_model *disk, struct search_result *out,
                struct scn_error *err);
void search_result_free(struct search_result *r);

#endif

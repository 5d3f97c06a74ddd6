/* flushes.h: which orderings of a design are needed.
 *
 * A *weakening* is the design with one field at a weaker value (engine/design_box.h). A test that the design passes and the
 * weakening fails shows that the ordering is needed. Where the design fails a test itself, the weakening must add to it: a
 * finding of a class and missing order that the design has not. A weakening that lies in the box of what a test asked of the
 * design comes out as the design does, and is not run.
 */
#ifndef HARNESS_FLUSHES_H
#define HARNESS_FLUSHES_H

#include "harness/bound.h"

#define FLUSHES_MAX 64

struct flushes_weakening {
    enum qed_design_field field;
    uint8_t from, to;
    struct qed_design design;
    char *spec; /* its name */
    bool needed;
    bool adds; /* needed, because it adds to findings of the design's own */
    size_t workload, disk;
    enum verdict_class class;
    char *id, *why;
};

struct flushes {
    const struct qed_design *design;
    const struct bound *bound;
    const struct sim_disk_model *const *disks;
    size_t disk_count;
    struct cell_options cell;
    unsigned jobs;
    void (*progress)(void *opaque, size_t done, size_t of); /* may be NULL */
    void *opaque;

    struct flushes_weakening weak[FLUSHES_MAX];
    size_t weak_count;
    uint64_t tests, unsafe; /* of the design itself */
    struct flushes_failed {
        size_t test; /* disk x workload, in this order */
        enum verdict_class class;
    } * failed; /* sorted; `unsafe` of them */
    uint64_t incomplete;
    double states_log2; /* of all tests of the design itself, in which the states do not count twice */
};

/* Everything above the blank line given. 0, -EINTR, or -errno with err. */
int flushes_run(struct flushes *f, struct scn_error *err);
void flushes_free(struct flushes *f);

#endif

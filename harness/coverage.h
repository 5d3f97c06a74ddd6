/* coverage.h: how many crash states a cell has, and how many of them its verdict covers; per epoch and in all.
 *
 * *States* are the choices of all spaces (crash_space_count). *Explored* are those the verdict speaks for: all of a space
 * that was explored completely, however few executions that took; those judged one by one; of a space that was left
 * half-way by the complete explorer, none. So where it is not exact it is too low.
 */
#ifndef HARNESS_COVERAGE_H
#define HARNESS_COVERAGE_H

#include "simdisk/crash_space.h"

struct coverage_epoch {
    uint32_t epoch; /* its first crash point */
    uint32_t last_point;
    struct bignum states, explored;
    uint64_t executions;
};

struct coverage {
    struct coverage_epoch *epochs;
    size_t count, cap;
    struct bignum states, explored;
    uint64_t spaces;
    bool totals_only; /* no epochs */
};

void coverage_init(struct coverage *c);
void coverage_free(struct coverage *c);
/* A space of that many states is next. */
void coverage_begin(struct coverage *c, const struct crash_space *space, const struct bignum *states);
/* So much of it was explored, and this is what it took. */
void coverage_add(struct coverage *c, const struct bignum *explored, uint64_t executions);
/* log2 of the part that was explored: 0 for all of it, -INFINITY for nothing. */
double coverage_log2(const struct bignum *explored, const struct bignum *states);
/* "2^-3.25 of 2^18.00 states" */
void coverage_text(const struct coverage *c, char *buf, size_t size);

/* A sample's budget: `limit` states over all spaces of a run. A space that can be enumerated within its share is, and
 * leaves the rest to the others, who share it in proportion to the logarithm of their size: the large ones get more, and
 * the small ones do not go without. Never 0. The caller frees the array; spaces in the order of the walk. */
uint64_t *coverage_share(const struct history *h, const struct sim_disk_model *model, uint64_t limit, size_t *count);

#endif

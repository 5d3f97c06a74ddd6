/* search_cost.h: the workloads on which designs are compared by what they cost: bursts of allocating writes, with and without
 * a backing file, into old tables and new ones, with pauses, and with the image closed between.
 */
#ifndef HARNESS_SEARCH_COST_H
#define HARNESS_SEARCH_COST_H

#include "harness/bound.h"

/* 0, or -errno with err. */
int search_cost_bound(struct bound *b, struct scn_error *err);

#endif

/* crash_features.h: what a fuzzer is told of a run beyond the edges it passed: states of the protocol, one feature each.
 *
 *     order      three operations of the image file in a row, by what they are: "L2 update, flush, L1 update"
 *     pending    two kinds of pending writes at the crash point, and what became of each: lost, survived, in part; and how
 *                many versions of one unit wait there
 *     recovery   how often it was opened, scanned, scanned for nothing, and left leaks
 *
 * Each goes with the number of writes in flight or the like in rough steps, so that there are some hundreds, not millions.
 */
#ifndef TESTS_FUZZ_CRASH_FEATURES_H
#define TESTS_FUZZ_CRASH_FEATURES_H

#include "harness/judge.h"
#include "simdisk/crash_state.h"

void crash_features_tell(const struct recording *rec, const struct crash_space *space, const struct crash_state *st,
                         const struct judge_counts *counts);

#endif

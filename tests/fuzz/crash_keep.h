/* crash_keep.h: what crash states are judged on, set up once. Most inputs of a fuzzer are one of a moment ago with another
 * crash state: the same workload under the same design, on the same disk, with the same schedule. Of the last few hundred
 * of these the scenario, the recording, the judge and the crash spaces are kept.
 *
 * What a case shows does not depend on what came before it (test_fuzz_crash).
 */
#ifndef TESTS_FUZZ_CRASH_KEEP_H
#define TESTS_FUZZ_CRASH_KEEP_H

#include "harness/judge.h"
#include "tests/fuzz/crash_case.h"

struct crash_keep;

struct crash_setup {
    struct recording recording;
    struct judge *judge;
};

struct crash_keep *crash_keep_create(void);
void crash_keep_destroy(struct crash_keep *k);
/* For the case's workload and schedule. The keep's, until the next call; NULL if the words cannot be played in this order.
 * The design must outlive the keep. */
struct crash_setup *crash_keep_get(struct crash_keep *k, const struct crash_case *c, const struct qed_design *design,
                                   const struct sim_disk_model *disk);
/* The crash space of that number, or the last; the setup's. */
const struct crash_space *crash_setup_space(struct crash_setup *s, unsigned number);

#endif

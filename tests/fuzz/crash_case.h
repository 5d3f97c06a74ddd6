/* crash_case.h: an input of fuzz_crash as a case: a generated workload (scenarios/generate.h), a design, a disk model, a
 * schedule, and bytes that choose the crash state. And back: what a seed is made of.
 */
#ifndef TESTS_FUZZ_CRASH_CASE_H
#define TESTS_FUZZ_CRASH_CASE_H

#include "engine/qed_design.h"
#include "scenarios/generate.h"
#include "simdisk/crash_state.h"
#include "tests/fuzz/crash_layout.h"

struct crash_case {
    struct gen_workload workload;
    uint8_t design, disk; /* as they stand in the input */
    uint8_t epoch, focus;
    uint8_t schedule[CRASH_CHOICES_MAX];
    uint32_t picks[CRASH_PICKS_MAX];
    uint8_t survivors[CRASH_SURVIVORS_MAX];
    unsigned schedule_len, pick_count, survivor_count;
};

void crash_case_decode(const uint8_t *data, size_t size, struct crash_case *c);
/* Returns the size, at most CRASH_INPUT_MAX. Decoding gives the same case. */
size_t crash_case_encode(const struct crash_case *c, uint8_t out[CRASH_INPUT_MAX]);

/* The crash state of this space that the survivors' bytes name; st is initialised. */
void crash_case_state(const struct crash_case *c, const struct crash_space *space, struct crash_state *st);

#endif

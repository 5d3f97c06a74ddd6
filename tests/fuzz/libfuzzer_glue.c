/* libfuzzer_glue.c: libFuzzer asks the target's own mutator, and counts its features. */
#include "tests/fuzz/fuzz.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
                                 size_t max, unsigned seed);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    return fuzz_mutate(data, size, max, seed);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
                                 size_t max, unsigned seed)
{
    return fuzz_crossover(a, a_size, b, b_size, out, max, seed);
}

/* libFuzzer clears this section before each run and takes it for counters of edges. */
static uint8_t features[FUZZ_FEATURES] __attribute__((section("__libfuzzer_extra_counters"), used));

void fuzz_feature(uint32_t feature)
{
    features[feature] += features[feature] < UINT8_MAX;
}

/* fuzz.h: what a fuzz target gives, whoever runs it.
 *
 *     fuzz_NAME.c     LLVMFuzzerTestOneInput, perhaps LLVMFuzzerInitialize; knows no fuzzer
 *     mutate_NAME.c   fuzz_mutate and fuzz_crossover; may be missing: then bytes are changed blindly
 *
 *     libfuzzer_glue.c   hands both to libFuzzer           build/fuzz/lib/fuzz_NAME
 *     afl_glue.c         the same for AFL++, as a library  build/fuzz/afl/fuzz_NAME, fuzz_NAME.mutator.so
 *     afl_edge_glue.c    fuzz_feature for AFL++, within the target
 *     replay_main.c      files and folders, once each      build/fuzz/replay/fuzz_NAME (make test)
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

/* A target calls it: this run was in that state, of its own kind. To the fuzzer it is as if an edge had been passed, and more
 * often than before counts too. feature < FUZZ_FEATURES; the replayer does nothing. */
#define FUZZ_FEATURES 4096u
void fuzz_feature(uint32_t feature);

/* Changes data in place; at most max bytes. The new size, at least 1 if max is. The same input and seed give the same
 * output. Uses nothing of the project but headers and mutate_kit: it is linked into a library of its own for AFL++. */
size_t fuzz_mutate(uint8_t *data, size_t size, size_t max, uint32_t seed);
/* A child of two inputs into out; its size, at most max. */
size_t fuzz_crossover(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out, size_t max,
                      uint32_t seed);

#endif

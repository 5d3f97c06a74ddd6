/* mutate_crash.c: changes inputs of fuzz_crash. */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mutate_kit.h"

size_t fuzz_mutate(uint8_t *data, size_t size, size_t max, uint32_t seed)
{
    struct mutate_rng rng = mutate_rng(seed);
    size_t at = mutate_below(&rng, (uint32_t)size + 1);
    if (at == size && !mutate_open_gap(data, &size, max, at, 1))
        return size;
    data[at] = (uint8_t)mutate_below(&rng, 256);
    return size;
}

size_t fuzz_crossover(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out, size_t max,
                      uint32_t seed)
{
    size_t n = a_size < max ? a_size : max;
    (void)b, (void)b_size, (void)seed;
    memcpy(out, a, n);
    return n;
}

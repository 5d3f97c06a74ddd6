/* afl_glue.c: AFL++ asks the target's own mutator (AFL_CUSTOM_MUTATOR_LIBRARY). Its interface: afl_custom_* in
 * docs/custom_mutators.md of AFL++. One call in four, where AFL++ offers a second input, is a crossover.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mutate_kit.h"

struct afl_glue {
    struct mutate_rng rng;
    uint8_t *out;
    size_t room;
};

void *afl_custom_init(void *afl, unsigned int seed);
size_t afl_custom_fuzz(void *opaque, uint8_t *buf, size_t size, uint8_t **out, uint8_t *other, size_t other_size,
                       size_t max);
void afl_custom_deinit(void *opaque);

void *afl_custom_init(void *afl, unsigned int seed)
{
    struct afl_glue *g = calloc(1, sizeof(*g));
    (void)afl;
    if (g)
        g->rng = mutate_rng(seed);
    return g;
}

/* 0 tells AFL++ to leave this input. */
size_t afl_custom_fuzz(void *opaque, uint8_t *buf, size_t size, uint8_t **out, uint8_t *other, size_t other_size,
                       size_t max)
{
    struct afl_glue *g = opaque;
    uint32_t seed = mutate_below(&g->rng, UINT32_MAX);
    if (g->room < max) {
        uint8_t *larger = realloc(g->out, max);
        if (!larger)
            return 0;
        g->out = larger;
        g->room = max;
    }
    *out = g->out;
    if (size > max)
        size = max;
    if (other && other_size && mutate_below(&g->rng, 4) == 0)
        return fuzz_crossover(buf, size, other, other_size, g->out, max, seed);
    memcpy(g->out, buf, size);
    for (uint32_t n = 1 + mutate_below(&g->rng, 5); n > 0; n--) /* as many as libFuzzer makes, by default, in a row */
        size = fuzz_mutate(g->out, size, max, seed++);
    return size;
}

void afl_custom_deinit(void *opaque)
{
    struct afl_glue *g = opaque;
    free(g->out);
    free(g);
}

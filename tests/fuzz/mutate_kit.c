/* mutate_kit.c: see mutate_kit.h. */
#include "tests/fuzz/mutate_kit.h"

#include <string.h>

struct mutate_rng mutate_rng(uint32_t seed)
{
    return (struct mutate_rng){.state = seed + UINT64_C(0x9e3779b97f4a7c15)};
}

/* splitmix64 */
uint32_t mutate_below(struct mutate_rng *rng, uint32_t n)
{
    uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)(((z ^ (z >> 31)) >> 32) * n >> 32);
}

bool mutate_open_gap(uint8_t *data, size_t *size, size_t max, size_t at, size_t count)
{
    if (*size > max || count > max - *size || at > *size)
        return false;
    memmove(data + at + count, data + at, *size - at);
    *size += count;
    return true;
}

void mutate_close_gap(uint8_t *data, size_t *size, size_t at, size_t count)
{
    memmove(data + at, data + at + count, *size - at - count);
    *size -= count;
}

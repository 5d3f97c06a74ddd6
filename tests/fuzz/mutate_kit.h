/* mutate_kit.h: small change for mutators: a seeded source of numbers, and moving bytes about. */
#ifndef TESTS_FUZZ_MUTATE_KIT_H
#define TESTS_FUZZ_MUTATE_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mutate_rng {
    uint64_t state;
};

struct mutate_rng mutate_rng(uint32_t seed);
/* Below n; 0 if n is 0. */
uint32_t mutate_below(struct mutate_rng *rng, uint32_t n);

/* Opens a gap of `count` bytes at `at`. False, and nothing is changed, if that would be more than max bytes. */
bool mutate_open_gap(uint8_t *data, size_t *size, size_t max, size_t at, size_t count);
void mutate_close_gap(uint8_t *data, size_t *size, size_t at, size_t count);

#endif

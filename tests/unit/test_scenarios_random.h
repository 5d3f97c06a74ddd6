/* test_scenarios_random.h: random scenarios that the parser must accept, in every spelling it allows. */
#ifndef TESTS_UNIT_TEST_SCENARIOS_RANDOM_H
#define TESTS_UNIT_TEST_SCENARIOS_RANDOM_H

#include <stdint.h>

/* One of 0..n-1. */
uint64_t scn_random_below(uint64_t *rng, uint64_t n);
/* The text of a scenario, a function of the seed; the caller's to free(). */
char *scn_random_text(uint64_t seed);

#endif

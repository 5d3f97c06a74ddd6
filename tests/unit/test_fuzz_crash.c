/* What fuzz_crash keeps between inputs: does a case show the same, and tell the fuzzer the same, whatever came before it? */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fuzz/crash_run.h"
#include "tests/fuzz/fuzz.h"

#define INPUTS 8000u

static uint8_t features[FUZZ_FEATURES];

void fuzz_feature(uint32_t feature)
{
    features[feature]++;
}

/* All that one case says. */
struct outcome {
    bool found;
    uint8_t features[FUZZ_FEATURES];
    char *text; /* the id and what was wrong; the caller's */
};

static void play(struct crash_run *run, const struct crash_case *c, struct outcome *out)
{
    size_t size;
    FILE *f = open_memstream(&out->text, &size);
    memset(features, 0, sizeof(features));
    out->found = crash_run_case(run, c);
    memcpy(out->features, features, sizeof(features));
    if (out->found)
        crash_run_tell(run, c, NULL, f);
    fclose(f);
}

static struct crash_run *create(const char *design)
{
    char why[200];
    struct crash_run *run = crash_run_create(design, why);
    assert_non_null(run);
    return run;
}

/* As under a fuzzer: some inputs change often, and most of the time one of them only a little. */
static size_t next_input(uint8_t inputs[8][CRASH_INPUT_MAX], size_t sizes[8], uint32_t n)
{
    size_t from = n % 11 % 8, to = n % 3 ? from : n / 3 % 8;
    memmove(inputs[to], inputs[from], CRASH_INPUT_MAX);
    sizes[to] = fuzz_mutate(inputs[to], sizes[from], CRASH_INPUT_MAX, n * 2654435761u);
    return to;
}

static unsigned compare(const char *design)
{
    uint8_t inputs[8][CRASH_INPUT_MAX] = {{0}};
    size_t sizes[8] = {0};
    struct crash_run *kept = create(design);
    unsigned found = 0;
    for (uint32_t n = 1; n <= INPUTS; n++) {
        struct outcome warm, fresh;
        struct crash_case c;
        size_t i = next_input(inputs, sizes, n);
        struct crash_run *run = create(design);
        crash_case_decode(inputs[i], sizes[i], &c);
        play(kept, &c, &warm);
        play(run, &c, &fresh);
        if (warm.found != fresh.found || strcmp(warm.text, fresh.text) != 0)
            fail_msg("input %" PRIu32 ": kept: '%s', alone: '%s'", n, warm.text, fresh.text);
        if (memcmp(warm.features, fresh.features, sizeof(warm.features)) != 0)
            fail_msg("input %" PRIu32 " tells the fuzzer other features when it is run alone", n);
        found += fresh.found;
        free(warm.text);
        free(fresh.text);
        crash_run_destroy(run);
    }
    crash_run_destroy(kept);
    return found;
}

static void test_bad_design(void **state)
{
    (void)state;
    assert_in_range(compare("upstream"), 10, INPUTS / 2);
}

static void test_safe_designs(void **state)
{
    (void)state;
    assert_int_equal(compare(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bad_design), cmocka_unit_test(test_safe_designs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

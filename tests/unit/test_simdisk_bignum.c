/* bignum: against what 128 bits can tell, and against numbers known by heart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "simdisk/bignum.h"

typedef unsigned __int128 u128;

static void is_number(const struct bignum *n, const char *digits)
{
    char *text = bignum_string(n);

    assert_string_equal(text, digits);
    free(text);
}

static void is_u128(const struct bignum *n, u128 value)
{
    char digits[48];
    size_t at = sizeof(digits) - 1;

    digits[at] = 0;
    do
        digits[--at] = (char)('0' + (int)(value % 10));
    while (value /= 10);
    is_number(n, digits + at);
}

static void test_small(void **state)
{
    static const uint64_t values[] = {0, 1, 9, 999999999, 1000000000, 1000000001, 123456789000000000, UINT64_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct bignum n;

        bignum_init(&n, values[i]);
        is_u128(&n, values[i]);
        assert_true(bignum_clamp(&n) == values[i]);
        bignum_free(&n);
    }
}

static void test_against_128_bits(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        struct bignum n, other;
        u128 plain = seed % 1000;

        bignum_init(&n, seed % 1000);
        for (unsigned i = 0; i < 5; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1;
            uint32_t factor = (uint32_t)(seed >> 33) % 50000;
            uint64_t term = seed >> 20;
            bignum_mul_small(&n, factor);
            bignum_init(&other, term);
            bignum_add(&n, &other);
            bignum_free(&other);
            plain = plain * factor + term;
        }
        is_u128(&n, plain);
        assert_true(bignum_clamp(&n) == (plain > UINT64_MAX ? UINT64_MAX : (uint64_t)plain));
        bignum_free(&n);
    }
}

static void test_zero(void **state)
{
    struct bignum n, zero;

    (void)state;
    bignum_init(&n, UINT64_MAX);
    bignum_mul_small(&n, 0);
    is_number(&n, "0");
    assert_true(bignum_clamp(&n) == 0);
    assert_true(bignum_log2(&n) < 0);
    bignum_init(&zero, 0);
    bignum_add(&n, &zero);
    is_number(&n, "0");
    bignum_mul_small(&n, 7);
    is_number(&n, "0");
    bignum_free(&n);
    bignum_free(&zero);
}

static void test_clamp_at_the_edge(void **state)
{
    struct bignum n, one;

    (void)state;
    bignum_init(&n, UINT64_MAX - 1);
    bignum_init(&one, 1);
    bignum_add(&n, &one);
    assert_true(bignum_clamp(&n) == UINT64_MAX);
    is_number(&n, "18446744073709551615");
    bignum_add(&n, &one);
    assert_true(bignum_clamp(&n) == UINT64_MAX);
    is_number(&n, "18446744073709551616");
    bignum_free(&n);
    bignum_free(&one);
}

static void test_huge(void **state)
{
    static const char two_to_200[] = "1606938044258990275541962092341162602522202993782792835301376";
    struct bignum n, twice;
    double bits;

    (void)state;
    bignum_init(&n, 1);
    for (unsigned i = 0; i < 200; i++)
        bignum_mul_small(&n, 2);
    is_number(&n, two_to_200);
    bits = bignum_log2(&n);
    assert_true(bits > 200 - 1e-6 && bits < 200 + 1e-6);
    bignum_init(&twice, 0);
    bignum_add(&twice, &n);
    bignum_add(&twice, &n);
    bignum_mul_small(&n, 2);
    char *a = bignum_string(&n), *b = bignum_string(&twice);
    assert_string_equal(a, b);
    free(a);
    free(b);
    for (unsigned i = 0; i < 5000; i++)
        bignum_mul_small(&n, 4294967295u);
    bits = bignum_log2(&n);
    assert_true(bits > 160200.99 && bits < 160201.0);
    bignum_free(&n);
    bignum_free(&twice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small), cmocka_unit_test(test_against_128_bits),  cmocka_unit_test(test_zero),
        cmocka_unit_test(test_huge),  cmocka_unit_test(test_clamp_at_the_edge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

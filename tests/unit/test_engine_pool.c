/* The pool: what is given back comes out again, zeroed memory is zero, hostile sizes are not kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/pool.h"

static void test_recycles(void **state)
{
    struct qed_pool *pool = qed_pool_create();
    void *a, *b;

    (void)state;
    assert_non_null(pool);
    assert_int_equal(qed_pool_misses(pool), 0);
    a = qed_pool_get(pool, 1000);
    b = qed_pool_get(pool, 1000);
    assert_ptr_not_equal(a, b);
    assert_int_equal(qed_pool_misses(pool), 2);
    qed_pool_put(pool, a);
    qed_pool_put(pool, b);
    assert_ptr_equal(qed_pool_get(pool, 1000), b);
    assert_ptr_equal(qed_pool_get(pool, 1000), a);
    assert_int_equal(qed_pool_misses(pool), 2);
    qed_pool_put(pool, a);
    qed_pool_put(pool, b);
    qed_pool_put(pool, NULL);
    qed_pool_put_zeroed(pool, NULL, 0, 0);
    qed_pool_destroy(pool);
    qed_pool_destroy(NULL);
}

/* Every size up to some, and around each power of two: all bytes usable, 16-aligned, never smaller than asked. */
static void test_every_size_is_usable(void **state)
{
    struct qed_pool *pool = qed_pool_create();

    (void)state;
    for (size_t bytes = 0; bytes < 3000; bytes++) {
        uint8_t *m = qed_pool_get(pool, bytes);

        assert_non_null(m);
        assert_int_equal((uintptr_t)m % 16, 0);
        memset(m, 0xaa, bytes);
        qed_pool_put(pool, m);
    }
    for (size_t power = 4096; power <= 2 * QED_POOL_MAX_BYTES; power *= 2) {
        for (int d = -1; d <= 1; d++) {
            size_t bytes = power + (size_t)d;
            uint8_t *m = qed_pool_get(pool, bytes);

            memset(m, 0x55, bytes);
            qed_pool_put(pool, m);
        }
    }
    qed_pool_destroy(pool);
}

static void assert_zero(const uint8_t *m, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(m[i], 0);
}

static void test_zeroed_memory_stays_apart_and_zero(void **state)
{
    struct qed_pool *pool = qed_pool_create();
    uint8_t *dirty = qed_pool_get(pool, 8192);
    uint8_t *zero;

    (void)state;
    memset(dirty, 0xff, 8192);
    qed_pool_put(pool, dirty);
    zero = qed_pool_get_zeroed(pool, 8192);
    assert_ptr_not_equal(zero, dirty);
    assert_zero(zero, 8192);
    memset(zero + 100, 1, 50);
    zero[8191] = 1;
    qed_pool_put_zeroed(pool, zero, 100, 8092);
    assert_ptr_equal(qed_pool_get_zeroed(pool, 8192), zero);
    assert_zero(zero, 8192);
    qed_pool_put_zeroed(pool, zero, 0, 0);
    /* another size of the same class */
    zero = qed_pool_get_zeroed(pool, 8000);
    assert_zero(zero, 8000);
    assert_int_equal(qed_pool_misses(pool), 2);
    memset(zero, 7, 8000);
    qed_pool_put_zeroed(pool, zero, 0, 8000);
    zero = qed_pool_get_zeroed(pool, 8192);
    assert_zero(zero, 8192);
    /* zeroed memory may also end on the dirty list */
    qed_pool_put(pool, zero);
    assert_ptr_equal(qed_pool_get(pool, 8192), zero);
    qed_pool_put(pool, zero);
    qed_pool_destroy(pool);
}

static void test_hostile_sizes_are_not_kept(void **state)
{
    struct qed_pool *pool = qed_pool_create();
    void *m;

    (void)state;
    for (unsigned i = 1; i <= 3; i++) {
        m = qed_pool_get(pool, QED_POOL_MAX_BYTES + 1);
        assert_non_null(m);
        qed_pool_put(pool, m);
        assert_int_equal(qed_pool_misses(pool), i);
    }
    m = qed_pool_get_zeroed(pool, 2 * QED_POOL_MAX_BYTES);
    assert_int_equal(qed_pool_misses(pool), 4);
    qed_pool_put_zeroed(pool, m, 0, 5);
    m = qed_pool_get(pool, QED_POOL_MAX_BYTES);
    qed_pool_put(pool, m);
    assert_ptr_equal(qed_pool_get(pool, QED_POOL_MAX_BYTES), m);
    assert_int_equal(qed_pool_misses(pool), 5);
    qed_pool_put(pool, m);
    assert_null(qed_pool_get(pool, SIZE_MAX));
    assert_null(qed_pool_get_zeroed(pool, SIZE_MAX - 8));
    qed_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recycles),
        cmocka_unit_test(test_every_size_is_usable),
        cmocka_unit_test(test_zeroed_memory_stays_apart_and_zero),
        cmocka_unit_test(test_hostile_sizes_are_not_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

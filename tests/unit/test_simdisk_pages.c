/* The page store: bytes go in and come out, snapshots stay apart, zeros and distance cost nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "simdisk/pages.h"
#include "simdisk/sim_loop.h"

#define PAGE ((uint64_t)SIM_PAGE_BYTES)

static const uint8_t zeros[3 * SIM_PAGE_BYTES];

static void write_byte(struct sim_pages *pages, uint64_t offset, uint8_t byte)
{
    sim_pages_write(pages, offset, &byte, 1);
}

static uint8_t read_byte(const struct sim_pages *pages, uint64_t offset)
{
    uint8_t byte = 0xee;

    sim_pages_read(pages, offset, &byte, 1);
    return byte;
}

static void test_empty_reads_zeros(void **state)
{
    struct sim_pages *pages = sim_pages_create();
    uint8_t buf[3 * SIM_PAGE_BYTES];

    (void)state;
    memset(buf, 1, sizeof(buf));
    sim_pages_read(pages, 77, buf, sizeof(buf));
    assert_memory_equal(buf, zeros, sizeof(buf));
    assert_int_equal(sim_pages_count(pages), 0);
    assert_int_equal(sim_pages_next_data(pages, 5, 1000), 1000);
    assert_memory_equal(sim_pages_at(pages, 12345), zeros, SIM_PAGE_BYTES);
    sim_pages_destroy(pages);
    sim_pages_destroy(NULL);
}

static void test_zeros_take_no_page(void **state)
{
    struct sim_pages *pages = sim_pages_create();

    (void)state;
    sim_pages_write(pages, 100, zeros, sizeof(zeros));
    sim_pages_write(pages, 8 * PAGE, zeros, PAGE);
    assert_int_equal(sim_pages_count(pages), 0);
    write_byte(pages, 9 * PAGE + 5, 7);
    assert_int_equal(sim_pages_count(pages), 10);
    write_byte(pages, 9 * PAGE + 5, 0); /* in part: the page may stay, its bytes are right */
    assert_int_equal(read_byte(pages, 9 * PAGE + 5), 0);
    sim_pages_write(pages, 9 * PAGE, zeros, PAGE);
    assert_int_equal(sim_pages_count(pages), 0);
    sim_pages_destroy(pages);
}

static void test_snapshots_stay_apart(void **state)
{
    struct sim_pages *a = sim_pages_create(), *b, *c;

    (void)state;
    write_byte(a, 10, 1);
    write_byte(a, PAGE, 2);
    b = sim_pages_snapshot(a);
    c = sim_pages_snapshot(b);
    assert_ptr_equal(sim_pages_at(a, 0), sim_pages_at(b, 0)); /* shared until written */
    write_byte(a, 10, 9);
    sim_pages_write(b, PAGE, zeros, PAGE);
    write_byte(c, 1000 * PAGE, 3);
    assert_int_equal(read_byte(a, 10), 9);
    assert_int_equal(read_byte(b, 10), 1);
    assert_int_equal(read_byte(c, 10), 1);
    assert_int_equal(read_byte(a, PAGE), 2);
    assert_int_equal(read_byte(b, PAGE), 0);
    assert_int_equal(read_byte(c, PAGE), 2);
    assert_int_equal(sim_pages_count(b), 1);
    assert_int_equal(sim_pages_count(c), 1001);
    sim_pages_destroy(a);
    assert_int_equal(read_byte(b, 10), 1);
    sim_pages_destroy(c);
    assert_int_equal(read_byte(b, 10), 1);
    sim_pages_destroy(b);
}

static void test_far_offsets_cost_nothing(void **state)
{
    struct sim_pages *pages = sim_pages_create();
    const uint64_t far[] = {UINT64_C(1) << 62, UINT64_C(64) << 40, (UINT64_C(1) << 50) + 4095, 0};

    (void)state;
    for (size_t i = 0; i < 4; i++)
        write_byte(pages, far[i], (uint8_t)(i + 1));
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(read_byte(pages, far[i]), i + 1);
    assert_int_equal(sim_pages_count(pages), (far[0] / PAGE) + 1);
    assert_int_equal(sim_pages_next_data(pages, PAGE, UINT64_MAX), far[1]);
    assert_int_equal(sim_pages_next_data(pages, far[1] + PAGE, UINT64_MAX), far[2] - 4095);
    assert_int_equal(sim_pages_next_data(pages, far[2] + 1, UINT64_MAX), far[0]);
    assert_int_equal(sim_pages_next_data(pages, far[0] + PAGE, UINT64_MAX), UINT64_MAX);
    sim_pages_cut(pages, far[1]);
    assert_int_equal(sim_pages_count(pages), 1);
    sim_pages_destroy(pages);
}

static void test_next_data(void **state)
{
    struct sim_pages *pages = sim_pages_create();

    (void)state;
    write_byte(pages, 3 * PAGE + 100, 1);
    write_byte(pages, 63 * PAGE, 1);
    write_byte(pages, 64 * PAGE, 1);
    assert_int_equal(sim_pages_next_data(pages, 0, 100 * PAGE), 3 * PAGE);
    assert_int_equal(sim_pages_next_data(pages, 0, 2 * PAGE), 2 * PAGE);
    assert_int_equal(sim_pages_next_data(pages, 3 * PAGE + 7, 100 * PAGE), 3 * PAGE + 7);
    assert_int_equal(sim_pages_next_data(pages, 4 * PAGE, 100 * PAGE), 63 * PAGE);
    assert_int_equal(sim_pages_next_data(pages, 64 * PAGE, 100 * PAGE), 64 * PAGE);
    assert_int_equal(sim_pages_next_data(pages, 65 * PAGE, 100 * PAGE), 100 * PAGE);
    assert_int_equal(sim_pages_next_data(pages, 3 * PAGE, 3 * PAGE), 3 * PAGE);
    sim_pages_destroy(pages);
}

static void test_cut(void **state)
{
    struct sim_pages *pages = sim_pages_create(), *snapshot;

    (void)state;
    for (uint64_t i = 0; i < 200; i++)
        write_byte(pages, i * PAGE + 100, 1);
    snapshot = sim_pages_snapshot(pages);
    sim_pages_cut(pages, 70 * PAGE + 101);
    assert_int_equal(sim_pages_count(pages), 71);
    assert_int_equal(read_byte(pages, 70 * PAGE + 100), 1);
    sim_pages_cut(pages, 70 * PAGE + 100);
    assert_int_equal(read_byte(pages, 70 * PAGE + 100), 0);
    sim_pages_cut(pages, 64 * PAGE);
    assert_int_equal(sim_pages_count(pages), 64);
    sim_pages_cut(pages, 0);
    assert_int_equal(sim_pages_count(pages), 0);
    sim_pages_cut(pages, 5);
    assert_int_equal(sim_pages_count(snapshot), 200);
    assert_int_equal(read_byte(snapshot, 199 * PAGE + 100), 1);
    sim_pages_destroy(snapshot);
    sim_pages_destroy(pages);
}

/* Against a flat array, with a snapshot taken now and then and compared at the end. */
#define FLAT_BYTES (160u * SIM_PAGE_BYTES)

struct pair {
    struct sim_pages *pages;
    uint8_t *flat;
};

static void check_pair(const struct pair *p)
{
    static uint8_t buf[FLAT_BYTES];
    uint64_t last = 0;

    sim_pages_read(p->pages, 0, buf, FLAT_BYTES);
    assert_memory_equal(buf, p->flat, FLAT_BYTES);
    for (uint64_t i = 0; i < FLAT_BYTES / PAGE; i++) {
        bool zero = memcmp(p->flat + i * PAGE, zeros, PAGE) == 0;

        assert_memory_equal(sim_pages_at(p->pages, i), p->flat + i * PAGE, PAGE);
        if (!zero) {
            assert_int_equal(sim_pages_next_data(p->pages, i * PAGE, FLAT_BYTES), i * PAGE);
            last = i + 1;
        }
    }
    assert_true(sim_pages_count(p->pages) >= last);
}

static struct pair snapshot_pair(const struct pair *p)
{
    struct pair copy = {sim_pages_snapshot(p->pages), malloc(FLAT_BYTES)};

    assert_non_null(copy.flat);
    memcpy(copy.flat, p->flat, FLAT_BYTES);
    return copy;
}

static void mutate(struct pair *p, uint64_t *rng)
{
    static uint8_t data[4 * SIM_PAGE_BYTES];
    size_t length = sim_rng_next(rng) % sizeof(data);
    uint64_t offset = sim_rng_next(rng) % (FLAT_BYTES - length);

    if (sim_rng_next(rng) % 4 == 0) { /* page aligned, so that pages vanish */
        offset -= offset % PAGE;
        length -= length % PAGE;
    }
    if (sim_rng_next(rng) % 50 == 0) {
        sim_pages_cut(p->pages, offset);
        memset(p->flat + offset, 0, FLAT_BYTES - offset);
        return;
    }
    memset(data, sim_rng_next(rng) % 3, length);
    sim_pages_write(p->pages, offset, data, length);
    memcpy(p->flat + offset, data, length);
}

static void test_like_a_flat_array(void **state)
{
    struct pair pairs[4] = {{sim_pages_create(), calloc(1, FLAT_BYTES)}};
    size_t count = 1;
    uint64_t rng = 42;

    (void)state;
    for (int step = 0; step < 3000; step++) {
        uint64_t which = sim_rng_next(&rng) % count;

        mutate(&pairs[which], &rng);
        if (sim_rng_next(&rng) % 100 == 0) {
            if (count == 4) {
                count--;
                check_pair(&pairs[count]);
                sim_pages_destroy(pairs[count].pages);
                free(pairs[count].flat);
            }
            pairs[count] = snapshot_pair(&pairs[sim_rng_next(&rng) % count]);
            count++;
        }
    }
    while (count-- > 0) {
        check_pair(&pairs[count]);
        sim_pages_destroy(pairs[count].pages);
        free(pairs[count].flat);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty_reads_zeros),
        cmocka_unit_test(test_zeros_take_no_page),
        cmocka_unit_test(test_snapshots_stay_apart),
        cmocka_unit_test(test_far_offsets_cost_nothing),
        cmocka_unit_test(test_next_data),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_like_a_flat_array),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The scan and the repair: the examples of spec section 10, in default geometry. Data at 0x50000 (guest 0) and its L2 at
 * 0x60000; file length 0xa0000.
 */
#include "tests/unit/test_engine_kit.h"

#define C     0x10000u
#define IMAGE (64u << 20)
#define L1    0x10000u
#define L2    0x60000u

static void image(struct kit *k, const char *design)
{
    kit_begin(k, design);
    kit_create(k, 3 * ((uint64_t)2 << 30), 0, 0, NULL); /* three L1 entries' worth */
    kit_open(k);
    ok(kit_write(k, 0, C, 0x11));
    kit_close(k);
    kit_log_clear(k);
}

static void mark(struct kit *k)
{
    test_dev_poke64(k->file, 16, test_dev_peek64(k->file, 16) | QED_F_NEED_CHECK);
}

static struct qed_check_result check(struct kit *k, bool fix)
{
    struct qed_check_result r;

    ok(qed_check(k->q, fix, &r));
    return r;
}

static void counts(struct qed_check_result r, uint64_t corruptions, uint64_t fixed, uint64_t leaks, uint64_t allocated)
{
    assert_int_equal(r.corruptions, corruptions);
    assert_int_equal(r.corruptions_fixed, fixed);
    assert_int_equal(r.leaks, leaks);
    assert_int_equal(r.allocated_clusters, allocated);
    assert_int_equal(r.check_errors, 0);
}

static void test_clean_image(void **state)
{
    struct qed_check_result r;
    struct kit k;

    (void)state;
    image(&k, "upstream");
    kit_open(&k);
    r = check(&k, false);
    counts(r, 0, 0, 0, 1);
    assert_int_equal(r.fragmented_clusters, 0);
    assert_int_equal(r.total_clusters, 3 * 32768);
    counts(check(&k, true), 0, 0, 0, 1);
    kit_log(&k, ""); /* nothing to repair, nothing written */
    kit_end(&k);
}

static void test_total_rounds_up(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k, "upstream");
    kit_create(&k, 10 * C + 512, 0, 0, NULL);
    kit_open(&k);
    assert_int_equal(check(&k, false).total_clusters, 11);
    kit_end(&k);
}

static void test_fragmentation(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "upstream");
    kit_open(&k);
    ok(kit_write(&k, 2 * C, C, 0x22)); /* 0xa0000: does not follow 0x50000 */
    ok(kit_write(&k, 3 * C, C, 0x22)); /* follows, a hole between the first two does not matter */
    ok(kit_write(&k, C, C, 0x22));     /* 0xc0000: neither follows nor is followed */
    assert_int_equal(check(&k, false).fragmented_clusters, 2);
    ok(kit_write(&k, (uint64_t)2 << 30, C, 0x22)); /* another table starts anew */
    assert_int_equal(check(&k, false).fragmented_clusters, 2);
    assert_int_equal(check(&k, false).allocated_clusters, 5);
    kit_end(&k);
}

/* Zero entries are no clusters; invalid ones are counted as allocated. */
static void test_invalid_data_entries(void **state)
{
    static const uint64_t invalid[] = {2, 0x200, 0x50001, 0xa0000, 0x7fff0000, UINT64_MAX, UINT64_C(1) << 63};
    uint8_t sector[512];

    (void)state;
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        struct kit k;

        image(&k, "upstream");
        test_dev_poke64(k.file, L2 + 8, invalid[i]);
        test_dev_poke64(k.file, L2 + 16, 1);
        kit_open(&k);
        assert_int_equal(kit_read(&k, C, 512, sector), -EINVAL);
        counts(check(&k, false), 1, 0, 0, 2);
        kit_log(&k, "");
        counts(check(&k, true), 0, 1, 0, 2);
        kit_log(&k, "w 60000+40000");
        counts(check(&k, true), 0, 0, 0, 1); /* repairing again finds nothing */
        kit_log(&k, "");
        kit_expect(&k, C, C, 0);
        kit_expect(&k, 0, C, 0x11);
        kit_end(&k);
    }
}

static void test_invalid_table_offsets(void **state)
{
    static const uint64_t invalid[] = {1, 2, 0x60200, 0x70000, 0xa0000, UINT64_MAX << 16};

    (void)state;
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        struct kit k;

        image(&k, "upstream");
        test_dev_poke64(k.file, L1 + 16, invalid[i]);
        kit_open(&k);
        assert_int_equal(kit_write(&k, (uint64_t)4 << 30, 512, 1), -EINVAL);
        counts(check(&k, false), 1, 0, 0, 1);
        kit_log_clear(&k);
        counts(check(&k, true), 0, 1, 0, 1);
        kit_log(&k, "w 10000+40000");
        assert_int_equal(test_dev_peek64(k.file, L1 + 16), 0);
        ok(kit_write(&k, (uint64_t)4 << 30, 512, 1));
        kit_end(&k);
    }
}

/* Two L1 entries name one L2: its clusters are named twice, and it is scanned once. */
static void test_one_l2_twice(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "upstream");
    test_dev_poke64(k.file, L1 + 8, L2);
    kit_open(&k);
    counts(check(&k, false), 4, 0, 0, 1);
    counts(check(&k, true), 4, 0, 0, 1); /* nobody knows whose they are */
    kit_log(&k, "");
    kit_end(&k);
}

/* A table that overlaps another is not scanned: what only it names counts as leaked. */
static void test_overlapping_l2_is_not_scanned(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "upstream");
    test_dev_poke64(k.file, L1 + 8, 0xa0000 - C);
    test_dev_set_length(k.file, 0xe0000); /* the second table: 0x90000 .. 0xd0000, 0x90000 being the first's */
    test_dev_poke64(k.file, 0xa0000 + 8, 0xd0000);
    kit_open(&k);
    counts(check(&k, false), 1, 0, 1, 1);
    kit_end(&k);
}

static void test_one_cluster_twice(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "upstream");
    test_dev_poke64(k.file, L2 + 24, 0x50000);
    test_dev_poke64(k.file, L2 + 32, L1);      /* a table's cluster as data */
    test_dev_poke64(k.file, L2 + 40, 0x70000); /* the L2's own second cluster */
    kit_open(&k);
    counts(check(&k, false), 3, 0, 0, 4);
    kit_end(&k);
}

/* Corruption that no repair can mend: may a clean close take the mark off? */
static void test_close_keeps_the_mark_of_a_corrupt_image(void **state)
{
    static const char *const designs[] = {"upstream", "careful"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct kit k;

        image(&k, designs[i]);
        test_dev_poke64(k.file, L2 + 24, 0x50000);
        test_dev_poke64(k.file, 16, QED_F_NEED_CHECK);
        kit_open(&k);
        assert_true(kit_marked(&k));
        kit_close(&k);
        assert_int_equal(kit_marked(&k), !k.design.clear_corrupt);
        kit_end(&k);
    }
}

static void test_leaks_are_counted_and_left(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "upstream");
    test_dev_set_length(k.file, 0xd0000);
    kit_open(&k);
    counts(check(&k, false), 0, 0, 3, 1);
    counts(check(&k, true), 0, 0, 3, 1);
    assert_int_equal(k.file->length, 0xd0000);
    kit_log(&k, "");
    kit_end(&k);
}

/* QEMU 7.2 divides by cs-1 and reports a leak here (quirk 2). */
static void test_no_false_leak_in_a_long_file(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k, "upstream");
    kit_create(&k, 4096u * 4100, 4096, 16, NULL);
    kit_open(&k);
    ok(kit_write(&k, 0, 4096u * 4100, 0x11));
    assert_true(k.file->length > 4095u * 4096);
    kit_check_is(&k, 0, 0);
    kit_end(&k);
}

static void test_repair_order_l2_in_l1_order_then_l1_then_flush_then_header(void **state)
{
    static const char *const designs[] = {"upstream", "careful", "v2"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct kit k;

        image(&k, designs[i]);
        kit_open(&k);
        ok(kit_write(&k, (uint64_t)2 << 30, C, 0x22)); /* data 0xa0000, L2 0xb0000 */
        kit_close(&k);
        mark(&k);
        test_dev_poke64(k.file, L2 + 8, 0x99990000);
        test_dev_poke64(k.file, 0xb0000 + 8, 0x99990000);
        test_dev_poke64(k.file, L1 + 16, 0x99990000);
        kit_log_clear(&k);
        kit_open(&k);
        kit_log(&k, "w 60000+40000; w b0000+40000; w 10000+40000; F; w 0+200");
        assert_int_equal(qed_opened(k.q)->check.corruptions_fixed, 3);
        assert_false(kit_marked(&k));
        kit_close(&k);
        kit_log(&k, "F");
        kit_open(&k);
        counts(check(&k, true), 0, 0, 0, 2);
        kit_log(&k, "");
        kit_end(&k);
    }
}

/* A marked image with nothing wrong: careful flushes before the mark goes, QEMU finds nothing to flush. */
static void test_mark_goes_after_a_clean_scan(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "careful");
    mark(&k);
    kit_open(&k);
    kit_log(&k, "F; w 0+200");
    kit_end(&k);
    image(&k, "upstream");
    mark(&k);
    kit_open(&k);
    kit_log(&k, "w 0+200");
    kit_end(&k);
}

static void test_mark_stays_while_corruption_is_left(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "upstream");
    mark(&k);
    test_dev_poke64(k.file, L2 + 8, 0x50000);
    k.options.check_mode = true;
    kit_open(&k);
    counts(check(&k, true), 1, 0, 0, 2);
    assert_true(qed_need_check(k.q));
    kit_log(&k, "");
    kit_abandon(&k);
    assert_true(kit_marked(&k));
    kit_end(&k);
}

/* Checking without fixing changes nothing, not even the mark. */
static void test_check_only(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "upstream");
    mark(&k);
    test_dev_poke64(k.file, L2 + 8, 0x99990000);
    kit_open_read_only(&k);
    counts(check(&k, false), 1, 0, 0, 2);
    {
        struct qed_check_result r;

        assert_true(qed_check(k.q, true, &r) < 0); /* nothing can be repaired read-only */
    }
    kit_close(&k);
    kit_log(&k, "");
    kit_end(&k);
}

static void test_io_errors(void **state)
{
    struct qed_check_result r;
    struct kit k;

    (void)state;
    image(&k, "upstream");
    kit_open(&k);
    ok(kit_write(&k, (uint64_t)2 << 30, C, 0x22));
    kit_close(&k);
    kit_open(&k);
    test_world_fail(k.world, BLK_EVENT_L2_LOAD, 1, EIO);
    qed_check(k.q, false, &r);
    assert_int_equal(r.check_errors, 1);
    assert_int_equal(r.leaks, 0);              /* unknown, so none are reported */
    assert_int_equal(r.allocated_clusters, 1); /* the other table was scanned */
    kit_close(&k);

    test_world_no_errors(k.world);
    mark(&k);
    test_dev_poke64(k.file, L2 + 8, 0x99990000);
    test_dev_poke64(k.file, L1 + 16, 0x99990000);
    {
        static const enum blk_event writes[] = {BLK_EVENT_L2_UPDATE, BLK_EVENT_L1_UPDATE, BLK_EVENT_FLUSH_TO_DISK,
                                                BLK_EVENT_HEADER_UPDATE};

        for (size_t i = 0; i < 4; i++) {
            struct test_dev *whole = k.file;

            k.file = test_dev_clone(k.world, whole);
            test_world_no_errors(k.world);
            test_world_fail(k.world, writes[i], 1, EIO);
            assert_int_equal(kit_try_open(&k), -EIO);
            assert_true(k.world->plans[0].fired);
            assert_true(kit_marked(&k));
            kit_open(&k); /* the next attempt mends the rest */
            assert_false(kit_marked(&k));
            counts(check(&k, false), 0, 0, 0, 2);
            kit_close(&k);
            test_dev_destroy(k.file);
            k.file = whole;
        }
    }
    kit_end(&k);
}

/* Entries repaired on disk must not live on in memory, resident or not. */
static void test_repair_reaches_resident_tables(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "upstream");
    kit_open(&k);
    kit_expect(&k, 0, C, 0x11);                  /* the table is resident now */
    test_dev_poke64(k.file, L2 + 8, 0x99990000); /* behind the engine's back */
    counts(check(&k, true), 0, 1, 0, 2);
    kit_expect(&k, C, C, 0);
    ok(kit_write(&k, C, C, 0x22));
    kit_expect(&k, C, C, 0x22);
    kit_end(&k);
}

static void test_check_turns_the_loop(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "careful");
    mark(&k);
    test_dev_poke64(k.file, L2 + 8, 0x99990000);
    k.world->delayed = true;
    kit_open(&k);
    assert_int_equal(qed_opened(k.q)->check.corruptions_fixed, 1);
    kit_start_write(&k, 2 * C, C, 0x22);
    counts(check(&k, false), 0, 0, 0, 2); /* waited for the write */
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean_image),
        cmocka_unit_test(test_total_rounds_up),
        cmocka_unit_test(test_fragmentation),
        cmocka_unit_test(test_invalid_data_entries),
        cmocka_unit_test(test_invalid_table_offsets),
        cmocka_unit_test(test_one_l2_twice),
        cmocka_unit_test(test_overlapping_l2_is_not_scanned),
        cmocka_unit_test(test_one_cluster_twice),
        cmocka_unit_test(test_close_keeps_the_mark_of_a_corrupt_image),
        cmocka_unit_test(test_leaks_are_counted_and_left),
        cmocka_unit_test(test_no_false_leak_in_a_long_file),
        cmocka_unit_test(test_repair_order_l2_in_l1_order_then_l1_then_flush_then_header),
        cmocka_unit_test(test_mark_goes_after_a_clean_scan),
        cmocka_unit_test(test_mark_stays_while_corruption_is_left),
        cmocka_unit_test(test_check_only),
        cmocka_unit_test(test_io_errors),
        cmocka_unit_test(test_repair_reaches_resident_tables),
        cmocka_unit_test(test_check_turns_the_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

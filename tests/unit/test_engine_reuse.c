/* Discard, and what becomes of the clusters it frees. */
#include "tests/unit/test_engine_kit.h"

#define C     0x10000u
#define IMAGE (64u << 20)

/* Guest clusters 0..3 at 0x50000..0x80000, their L2 at 0x90000; the next new cluster is 0xd0000. */
static void image(struct kit *k, const char *design, enum qed_reuse reuse, const char *backing)
{
    kit_begin(k, design);
    k->design.reuse = reuse;
    if (backing)
        kit_backing(k, backing, IMAGE, 0xbb);
    kit_create(k, IMAGE, 0, 0, backing);
    kit_open(k);
    ok(kit_write(k, 0, 4 * C, 0x11));
    kit_log_clear(k);
}

static uint64_t offset_of(struct kit *k, uint64_t pos)
{
    enum qed_map_kind kind;
    uint64_t offset, run;

    ok(qed_map(k->q, pos, C, &kind, &offset, &run));
    return kind == QED_MAP_DATA ? offset : 0;
}

static void test_discard_is_ignored(void **state)
{
    static const char *const designs[] = {"v2", "cow-flush", "upstream", "careful"};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct kit k;

        image(&k, designs[i], QED_REUSE_NEVER, NULL);
        ok(kit_discard(&k, 0, 4 * C));
        kit_log(&k, "");
        kit_expect(&k, 0, 4 * C, 0x11);
        kit_end(&k);
    }
}

static void test_entries_are_cleared(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "v2", QED_REUSE_AT_ONCE, NULL);
    ok(kit_discard(&k, C, 2 * C));
    kit_log(&k, "w 90000+200");
    assert_int_equal(test_dev_peek64(k.file, 0x90008), 0);
    assert_int_equal(test_dev_peek64(k.file, 0x90010), 0);
    kit_expect(&k, 0, C, 0x11);
    kit_expect(&k, C, 2 * C, 0);
    kit_expect(&k, 3 * C, C, 0x11);
    kit_check_is(&k, 0, 2); /* freed, not yet used again */
    kit_end(&k);
}

/* Only whole clusters: head and tail keep their bytes. */
static void test_partial_clusters_are_kept(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "v2", QED_REUSE_AT_ONCE, NULL);
    ok(kit_discard(&k, 512, C - 512));
    ok(kit_discard(&k, C, C - 512));
    ok(kit_discard(&k, 512, 512));
    kit_log(&k, "");
    ok(kit_discard(&k, C - 512, C + 1024));
    kit_expect(&k, 0, C, 0x11);
    kit_expect(&k, C, C, 0);
    kit_expect(&k, 2 * C, 2 * C, 0x11);
    kit_end(&k);
}

static void test_unallocated_ranges_change_nothing(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "v2", QED_REUSE_AT_ONCE, NULL);
    ok(kit_discard(&k, 8 * C, 100 * C));
    kit_log(&k, "");
    ok(kit_discard(&k, 0, IMAGE));
    kit_expect(&k, 0, IMAGE / 8, 0);
    kit_end(&k);
}

static void test_at_once(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "v2", QED_REUSE_AT_ONCE, NULL);
    ok(kit_discard(&k, C, C));
    ok(kit_write(&k, 10 * C, C, 0x22));
    assert_int_equal(offset_of(&k, 10 * C), 0x60000);
    ok(kit_write(&k, 11 * C, C, 0x33));
    assert_int_equal(offset_of(&k, 11 * C), 0xd0000); /* no more free ones */
    kit_expect(&k, C, C, 0);
    kit_expect(&k, 10 * C, C, 0x22);
    kit_check_is(&k, 0, 0);
    kit_end(&k);
}

static void test_after_flush(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "v2", QED_REUSE_AFTER_FLUSH, NULL);
    ok(kit_discard(&k, C, C));
    ok(kit_write(&k, 10 * C, C, 0x22));
    assert_int_equal(offset_of(&k, 10 * C), 0xd0000);
    ok(kit_flush(&k));
    ok(kit_write(&k, 11 * C, C, 0x33));
    assert_int_equal(offset_of(&k, 11 * C), 0x60000);
    kit_end(&k);
}

/* A flush submitted before the entry was cleared, or one that failed, does not cover it. */
static void test_flushes_that_do_not_cover(void **state)
{
    struct kit_op *flush;
    struct kit k;

    (void)state;
    image(&k, "v2", QED_REUSE_AFTER_FLUSH, NULL);
    k.world->delayed = true;
    flush = kit_start_flush(&k);
    k.world->order = TEST_LIFO;
    ok(kit_discard(&k, C, C));
    assert_false(flush->done);
    ok(kit_wait(flush));
    ok(kit_write(&k, 10 * C, C, 0x22));
    assert_int_equal(offset_of(&k, 10 * C), 0xd0000);
    test_world_fail(k.world, BLK_EVENT_FLUSH_TO_DISK, 1, EIO);
    assert_int_equal(kit_flush(&k), -EIO);
    ok(kit_write(&k, 11 * C, C, 0x33));
    assert_int_equal(offset_of(&k, 11 * C), 0xe0000);
    ok(kit_flush(&k));
    ok(kit_write(&k, 12 * C, C, 0x33));
    assert_int_equal(offset_of(&k, 12 * C), 0x60000);
    kit_end(&k);
}

/* Freed clusters lie anywhere, so a long write takes them one by one, then new space. */
static void test_long_write_over_freed_clusters(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "careful", QED_REUSE_AT_ONCE, NULL);
    ok(kit_discard(&k, 0, C));
    ok(kit_discard(&k, 2 * C, C));
    ok(kit_write(&k, 10 * C + 512, 4 * C, 0x22));
    kit_expect(&k, 10 * C, 512, 0);
    kit_expect(&k, 10 * C + 512, 4 * C, 0x22);
    kit_expect(&k, 14 * C + 512, C - 512, 0); /* and nothing of the freed clusters' bytes */
    kit_expect(&k, 0, C, 0);
    kit_expect(&k, C, C, 0x11);
    kit_check_is(&k, 0, 0);
    ok(kit_zero(&k, 20 * C, 2 * C));
    kit_expect(&k, 20 * C, 2 * C, 0);
    kit_end(&k);
}

/* New fills must be written where a cluster lived before, even by a design that trusts new space. */
static void test_reused_space_is_no_new_space(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "v2", QED_REUSE_AT_ONCE, NULL);
    k.design.zero_fill = QED_ZERO_FILL_SKIP_NEW_SPACE;
    k.design.data_flush = QED_DATA_FLUSH_REUSE;
    ok(kit_discard(&k, C, C));
    kit_log_clear(&k);
    ok(kit_write(&k, 10 * C + 512, 512, 0x22));
    kit_log(&k, "w 60000+200; w 60400+fc00; w 60200+200; F; w 90000+200");
    kit_expect(&k, 10 * C + 1024, C - 1024, 0);
    kit_end(&k);
}

/* Over a backing file a hole needs a zero entry: what the backing file holds was hidden and stays so. */
static void test_over_a_backing_file(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "upstream", QED_REUSE_AT_ONCE, "base.raw");
    ok(kit_discard(&k, C, C));
    assert_int_equal(test_dev_peek64(k.file, 0x90008), 1);
    kit_expect(&k, C, C, 0);
    ok(kit_discard(&k, 10 * C, C)); /* the backing file's bytes: left */
    kit_expect(&k, 10 * C, C, 0xbb);
    kit_end(&k);
    image(&k, "v2", QED_REUSE_AT_ONCE, "base.raw"); /* has no zero entries: ignored */
    ok(kit_discard(&k, C, C));
    kit_expect(&k, C, C, 0x11);
    kit_end(&k);
}

static void test_failed_discard(void **state)
{
    (void)state;
    for (unsigned failed = 0; failed < 2; failed++) {
        struct kit k;

        image(&k, "upstream", QED_REUSE_AT_ONCE, NULL);
        k.design.failed_table = (enum qed_failed_table)failed;
        test_world_fail(k.world, BLK_EVENT_L2_UPDATE, 1, EIO);
        assert_int_equal(kit_discard(&k, C, 2 * C), -EIO);
        test_world_no_errors(k.world);
        kit_expect(&k, C, 2 * C, failed == QED_FAILED_TABLE_ROLL_BACK ? 0x11 : 0);
        ok(kit_write(&k, 10 * C, C, 0x22)); /* the disk still names the clusters: not handed out */
        assert_int_equal(offset_of(&k, 10 * C), 0xd0000);
        kit_end(&k);
    }
}

/* Many: the list grows, across chunks and tables. */
static void test_many(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k, "v2");
    k.design.reuse = QED_REUSE_AT_ONCE;
    kit_create(&k, IMAGE, 4096, 1, NULL);
    kit_open(&k);
    ok(kit_write(&k, 0, 4u << 20, 0x11));
    ok(kit_discard(&k, 4096, (4u << 20) - 8192));
    kit_check_is(&k, 0, 1022);
    ok(kit_write(&k, 8u << 20, 1022 * 4096, 0x22));
    kit_expect(&k, 8u << 20, 1022 * 4096, 0x22);
    kit_expect(&k, 4096, 4096, 0);
    kit_check_is(&k, 0, 0);
    kit_end(&k);
}

/* A device of fixed size: allocation goes on behind what the tables name, whatever lies there. */
static void test_fixed_device(void **state)
{
    static uint8_t stale[C];
    struct kit k;

    (void)state;
    image(&k, "careful", QED_REUSE_NEVER, NULL);
    k.design.zero_fill = QED_ZERO_FILL_SKIP_NEW_SPACE;
    kit_close(&k);
    memset(stale, 0xee, sizeof(stale));
    test_dev_fix(k.file, 32 * C);
    for (unsigned i = 0xd; i < 32; i++)
        test_dev_poke(k.file, i * C, stale, C);
    kit_open(&k);
    ok(kit_write(&k, 10 * C + 512, 512, 0x22));
    assert_int_equal(offset_of(&k, 10 * C), 0xd0000);
    kit_expect(&k, 10 * C, 512, 0);
    kit_expect(&k, 10 * C + 1024, C - 1024, 0);
    for (unsigned i = 0; i < 18; i++)
        ok(kit_write(&k, (11 + i) * C, C, 0x33));
    assert_int_equal(kit_write(&k, 40 * C, C, 0x44), -ENOSPC);
    kit_reopen(&k);
    kit_expect(&k, 11 * C, 18 * C, 0x33);
    assert_int_equal(kit_write(&k, 40 * C, C, 0x44), -ENOSPC);
    kit_expect(&k, 40 * C, C, 0);
    kit_close(&k);
    {
        struct qed_create_options o = {.image_bytes = IMAGE};

        assert_true(qed_create(&k.file->dev, &o, &k.err) < 0); /* spec 2 */
    }
    kit_end(&k);
}

/* A device with none of the optional operations. */
static void test_plain_device(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k, "careful");
    test_dev_plain(k.file);
    kit_backing(&k, "base.raw", 8 * C, 0xbb);
    kit_create(&k, IMAGE, 0, 0, "base.raw");
    kit_open(&k);
    ok(kit_write(&k, 512, 512, 0x22));
    kit_reopen(&k);
    kit_expect(&k, 512, 512, 0x22);
    kit_expect(&k, 1024, 8 * C - 1024, 0xbb);
    kit_check_is(&k, 0, 0);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_discard_is_ignored),
        cmocka_unit_test(test_entries_are_cleared),
        cmocka_unit_test(test_partial_clusters_are_kept),
        cmocka_unit_test(test_unallocated_ranges_change_nothing),
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_after_flush),
        cmocka_unit_test(test_flushes_that_do_not_cover),
        cmocka_unit_test(test_long_write_over_freed_clusters),
        cmocka_unit_test(test_reused_space_is_no_new_space),
        cmocka_unit_test(test_over_a_backing_file),
        cmocka_unit_test(test_failed_discard),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_fixed_device),
        cmocka_unit_test(test_plain_device),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

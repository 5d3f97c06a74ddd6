/* The exact writes and flushes of spec section 11, one test a row: what QEMU 7.2 was observed to do (upstream), and what
 * the 2010 series does (v2). "w 50000+1000" is a write of 0x1000 bytes at file offset 0x50000, F a flush, T a resize.
 *
 * Geometry: 64 KiB clusters, 4 of them a table, 64 MiB image: L1 at 0x10000, first free cluster 0x50000.
 */
#include "tests/unit/test_engine_kit.h"

#define C     0x10000u    /* a cluster */
#define MARK  "w 0+200; " /* the header's sector, setting the mark: upstream without a backing file */
#define IMAGE (64u << 20)

/* What the engine wrote, where the row's "hdr" is the mark: upstream sets it, v2 has none. */
static void row(struct kit *k, const char *expected)
{
    const char *rest = expected;
    char text[512] = "";

    if (!strncmp(expected, "hdr; ", 5)) {
        rest += 5;
        if (k->design.need_check != QED_NEED_CHECK_OFF)
            strcpy(text, MARK);
    }
    strcat(text, rest);
    kit_log(k, text);
}

static void fresh(struct kit *k, const char *design)
{
    kit_begin(k, design);
    kit_create(k, IMAGE, 0, 0, NULL);
    kit_open(k);
    kit_log(k, "");
}

/* One cluster at `pos` allocated, so that data is 0x50000 and its L2 0x60000; then clean and reopened. */
static void with_l2(struct kit *k, const char *design, uint64_t pos)
{
    fresh(k, design);
    ok(kit_write(k, pos, C, 0x11));
    kit_reopen(k);
}

static void with_backing(struct kit *k, const char *design, uint64_t backing_bytes)
{
    kit_begin(k, design);
    kit_backing(k, "base.raw", backing_bytes, 0xbb);
    kit_create(k, IMAGE, 0, 0, "base.raw");
    kit_open(k);
    kit_log(k, "");
}

static void with_backing_and_l2(struct kit *k, const char *design, uint64_t backing_bytes)
{
    with_backing(k, design, backing_bytes);
    ok(kit_write(k, 0, C, 0x11));
    kit_reopen(k);
}

static const char *const both[] = {"v2", "upstream"};
#define FOR_BOTH(d) for (const char *const *d = both; d < both + 2; d++)

/* ---- 11.1 without a backing file ---- */

static void test_S1_first_allocation_partial(void **state)
{
    (void)state;
    FOR_BOTH(design)
    {
        struct kit k;

        fresh(&k, *design);
        ok(kit_write(&k, 0x1000, 512, 0xaa));
        row(&k, "hdr; w 50000+1000; w 51200+ee00; w 51000+200; w 60000+40000; F; w 10000+200");
        assert_int_equal(test_dev_peek64(k.file, 0x60000), 0x50000);
        assert_int_equal(test_dev_peek64(k.file, 0x10000), 0x60000);
        assert_true(test_dev_all(k.file, 0x51000, 512, 0xaa));
        kit_expect(&k, 0, 0x1000, 0);
        kit_expect(&k, 0x1000, 512, 0xaa);
        kit_expect(&k, 0x1200, 2 * C - 0x1200, 0);
        kit_end(&k);
    }
}

static void test_S1_events_in_the_words_of_blkdebug(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    k.world->log_events = true;
    ok(kit_write(&k, 0x1000, 512, 0xaa));
    kit_log(&k, "w header_update 0+200; w cow_write 50000+1000; w cow_write 51200+ee00; w write_aio 51000+200; "
                "w l2_alloc_write 60000+40000; F; w l1_update 10000+200");
    ok(kit_write(&k, 0x20000, C, 0xab));
    kit_log(&k, "w write_aio a0000+10000; w l2_update 60000+200");
    kit_end(&k);
}

static void test_S2_first_allocation_whole_cluster(void **state)
{
    (void)state;
    FOR_BOTH(design)
    {
        struct kit k;

        fresh(&k, *design);
        ok(kit_write(&k, 0, C, 0xaa));
        row(&k, "hdr; w 50000+10000; w 60000+40000; F; w 10000+200");
        kit_expect(&k, 0, C, 0xaa);
        kit_end(&k);
    }
}

static void test_S3_second_allocation_same_l2(void **state)
{
    (void)state;
    FOR_BOTH(design)
    {
        struct kit k;

        fresh(&k, *design);
        ok(kit_write(&k, 0, C, 0xaa));
        kit_log_clear(&k);
        ok(kit_write(&k, 0x11000, 512, 0xab));
        row(&k, "w a0000+1000; w a1200+ee00; w a1000+200; w 60000+200");
        kit_end(&k);
    }
}

static void test_S4_reopened_clean_allocation_in_existing_l2(void **state)
{
    (void)state;
    FOR_BOTH(design)
    {
        struct kit k;

        with_l2(&k, *design, 0);
        ok(kit_write(&k, 0x11000, 512, 0xab));
        row(&k, "hdr; w a0000+1000; w a1200+ee00; w a1000+200; w 60000+200");
        kit_end(&k);
    }
}

/* 64 entries a sector: the 64th cluster's entry is in the second one, and a run across both is one write. */
static void test_S3_l2_sectors_that_contain_the_entries(void **state)
{
    (void)state;
    FOR_BOTH(design)
    {
        struct kit k;

        fresh(&k, *design);
        ok(kit_write(&k, 0, C, 0xaa));
        kit_log_clear(&k);
        ok(kit_write(&k, 64 * C, C, 0xab));
        row(&k, "w a0000+10000; w 60200+200");
        ok(kit_write(&k, 127 * C, 2 * C, 0xac));
        row(&k, "w b0000+20000; w 60200+400");
        kit_end(&k);
    }
}

static void test_S5_in_place(void **state)
{
    (void)state;
    FOR_BOTH(design)
    {
        struct kit k;

        with_l2(&k, *design, 0);
        ok(kit_write(&k, 0x1000, 512, 0xac));
        row(&k, "w 51000+200");
        assert_false(kit_marked(&k));
        kit_end(&k);
    }
}

static void test_S6_guest_flush(void **state)
{
    (void)state;
    FOR_BOTH(design)
    {
        struct kit k;

        fresh(&k, *design);
        ok(kit_write(&k, 0, C, 0xaa));
        kit_log_clear(&k);
        ok(kit_flush(&k));
        kit_log(&k, "F");
        assert_int_equal(kit_marked(&k), k.design.need_check != QED_NEED_CHECK_OFF); /* a flush leaves it alone */
        kit_end(&k);
    }
}

/* Dropping a flush when nothing was written is QEMU's block layer above the driver (spec 8); the engine never does. */
static void test_S6_flush_with_nothing_written(void **state)
{
    (void)state;
    FOR_BOTH(design)
    {
        struct kit k;

        fresh(&k, *design);
        ok(kit_flush(&k));
        kit_log(&k, "F");
        kit_close(&k);
        kit_log(&k, "");
        kit_end(&k);
    }
}

static void test_S7_close_marked(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    ok(kit_write(&k, 0, C, 0xaa));
    assert_true(kit_marked(&k));
    kit_log_clear(&k);
    kit_close(&k);
    kit_log(&k, "F; w 0+200; F");
    assert_false(kit_marked(&k));
    kit_end(&k);
}

static void test_S7_close_clean_written(void **state)
{
    struct kit k;

    (void)state;
    with_l2(&k, "upstream", 0);
    ok(kit_write(&k, 0x1000, 512, 0xac));
    kit_log_clear(&k);
    kit_close(&k);
    kit_log(&k, "F");
    kit_end(&k);
}

static void test_S7_close_nothing_written(void **state)
{
    (void)state;
    FOR_BOTH(design)
    {
        struct kit k;

        with_l2(&k, *design, 0);
        kit_expect(&k, 0, C, 0x11);
        kit_close(&k);
        kit_log(&k, "");
        kit_end(&k);
    }
}

static void test_S8_zero_write_without_l2(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    ok(kit_zero(&k, 0, C));
    kit_log(&k, MARK "w 50000+40000; F; w 10000+200");
    assert_int_equal(test_dev_peek64(k.file, 0x50000), 1);
    kit_expect(&k, 0, C, 0);
    kit_end(&k);
}

static void test_S9_zero_write_with_l2(void **state)
{
    struct kit k;

    (void)state;
    with_l2(&k, "upstream", 0);
    ok(kit_zero(&k, C, C));
    kit_log(&k, MARK "w 60000+200");
    ok(kit_zero(&k, 2 * C, 3 * C));
    kit_log(&k, "w 60000+200");
    for (unsigned i = 1; i < 5; i++)
        assert_int_equal(test_dev_peek64(k.file, 0x60000 + 8 * i), 1);
    kit_end(&k);
}

static void test_S10_zero_write_on_allocated(void **state)
{
    struct kit k;

    (void)state;
    with_l2(&k, "upstream", 0);
    ok(kit_zero(&k, 0, C));
    kit_log(&k, "w 50000+10000");
    kit_expect(&k, 0, C, 0);
    assert_int_equal(test_dev_peek64(k.file, 0x60000), 0x50000); /* stays allocated */
    kit_end(&k);
}

static void test_S11_zero_write_on_zero_clusters(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    ok(kit_zero(&k, 0, 2 * C));
    kit_reopen(&k);
    ok(kit_zero(&k, 0, 2 * C));
    kit_log(&k, "");
    kit_end(&k);
}

static void test_S12_partial_data_into_zero_cluster(void **state)
{
    struct kit k;

    (void)state;
    with_l2(&k, "upstream", 0);
    ok(kit_zero(&k, C, C));
    kit_log_clear(&k);
    ok(kit_write(&k, 0x11000, 512, 0xab));
    kit_log(&k, "w a0000+1000; w a1200+ee00; w a1000+200; w 60000+200");
    kit_end(&k);
}

static void test_S13_chunk_spanning_two_l2_tables(void **state)
{
    (void)state;
    FOR_BOTH(design)
    {
        struct kit k;

        kit_begin(&k, *design);
        kit_create(&k, IMAGE, 4096, 2, NULL);
        kit_open(&k);
        ok(kit_write(&k, 0x3ff800, 4096, 0xaa));
        row(&k, "hdr; w 3000+800; w 3800+800; w 4000+2000; F; w 1000+200; "
                "w 6800+800; w 6000+800; w 7000+2000; F; w 1000+200");
        kit_expect(&k, 0x3ff000, 0x800, 0);
        kit_expect(&k, 0x3ff800, 4096, 0xaa);
        kit_expect(&k, 0x400800, 0x800, 0);
        kit_end(&k);
    }
}

static void test_S14_three_clusters_at_once(void **state)
{
    (void)state;
    FOR_BOTH(design)
    {
        struct kit k;

        fresh(&k, *design);
        ok(kit_write(&k, 0x18000, 0x20000, 0xaa));
        row(&k, "hdr; w 50000+8000; w 78000+8000; w 58000+20000; w 80000+40000; F; w 10000+200");
        kit_expect(&k, 0x18000, 0x20000, 0xaa);
        kit_expect(&k, 0x38000, 0x8000, 0);
        kit_end(&k);
    }
}

static void test_S15_over_an_allocated_cluster(void **state)
{
    (void)state;
    FOR_BOTH(design)
    {
        struct kit k;

        with_l2(&k, *design, C);
        ok(kit_write(&k, 0, 3 * C, 0xaa));
        row(&k, "hdr; w a0000+10000; w 60000+200; w 50000+10000; w b0000+10000; w 60000+200");
        kit_expect(&k, 0, 3 * C, 0xaa);
        kit_end(&k);
    }
}

static void test_S16_timer(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    ok(kit_write(&k, 0, C, 0xaa));
    kit_log_clear(&k);
    test_world_advance(k.world, 4999);
    kit_log(&k, "");
    test_world_advance(k.world, 1);
    kit_log(&k, "F; w 0+200; F");
    assert_false(kit_marked(&k));
    kit_end(&k);
}

static void test_S16_drain(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream");
    ok(kit_write(&k, 0, C, 0xaa));
    kit_log_clear(&k);
    ok(qed_drain(k.q));
    kit_log(&k, "F; w 0+200; F");
    assert_false(kit_marked(&k));
    ok(qed_drain(k.q));
    kit_close(&k);
    kit_log(&k, "");
    kit_end(&k);
}

static void test_S17_grow(void **state)
{
    (void)state;
    FOR_BOTH(design)
    {
        struct kit k;

        with_l2(&k, *design, 0);
        ok(qed_truncate(k.q, 2 * IMAGE, &k.err));
        kit_log(&k, "w 0+200");
        assert_int_equal(test_dev_peek64(k.file, 48), 2 * IMAGE);
        kit_close(&k);
        kit_log(&k, "F");
        kit_end(&k);
    }
}

static void test_S18_open_with_unknown_autoclear_bits(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k, "upstream");
    kit_create(&k, IMAGE, 0, 0, NULL);
    test_dev_poke64(k.file, 24, 0xc0ffee); /* compat: preserved */
    test_dev_poke64(k.file, 32, 0xff00);
    k.file->logged = true;
    kit_open(&k);
    kit_log(&k, "w 0+200; F");
    assert_int_equal(test_dev_peek64(k.file, 32), 0);
    assert_int_equal(test_dev_peek64(k.file, 24), 0xc0ffee);
    kit_end(&k);
}

/* Marked by hand. */
static void mark(struct kit *k)
{
    test_dev_poke64(k->file, 16, test_dev_peek64(k->file, 16) | QED_F_NEED_CHECK);
}

static void test_S19_open_marked_nothing_to_fix(void **state)
{
    struct kit k;

    (void)state;
    with_l2(&k, "upstream", 0);
    kit_close(&k);
    mark(&k);
    kit_open(&k);
    kit_log(&k, "w 0+200");
    assert_false(kit_marked(&k));
    assert_true(qed_opened(k.q)->scanned);
    kit_end(&k);
}

static void test_S20_open_marked_invalid_entries(void **state)
{
    struct kit k;

    (void)state;
    with_l2(&k, "upstream", 0);
    kit_close(&k);
    mark(&k);
    test_dev_poke64(k.file, 0x60008, 0x7770000); /* beyond the end */
    test_dev_poke64(k.file, 0x10008, 0x9990000);
    kit_open(&k);
    kit_log(&k, "w 60000+40000; w 10000+40000; F; w 0+200");
    assert_false(kit_marked(&k));
    assert_int_equal(test_dev_peek64(k.file, 0x60008), 0);
    assert_int_equal(test_dev_peek64(k.file, 0x10008), 0);
    assert_int_equal(test_dev_peek64(k.file, 0x60000), 0x50000);
    assert_int_equal(qed_opened(k.q)->check.corruptions_fixed, 2);
    kit_close(&k);
    kit_log(&k, "F");
    kit_end(&k);
}

/* ---- 11.2 with a backing file ---- */

static void test_T1_first_allocation_partial(void **state)
{
    struct kit k;

    (void)state;
    with_backing(&k, "upstream", IMAGE);
    ok(kit_write(&k, 0x1000, 512, 0xaa));
    kit_log(&k, "w 50000+1000; w 51200+ee00; w 51000+200; F; w 60000+40000; F; w 10000+200");
    kit_expect(&k, 0, 0x1000, 0xbb);
    kit_expect(&k, 0x1000, 512, 0xaa);
    kit_expect(&k, 0x1200, C, 0xbb);
    assert_true(test_dev_all(k.file, 0x50000, 0x1000, 0xbb));
    assert_false(kit_marked(&k));
    kit_end(&k);
    with_backing(&k, "v2", IMAGE);
    ok(kit_write(&k, 0x1000, 512, 0xaa));
    kit_log(&k, "w 50000+1000; w 51200+ee00; w 51000+200; w 60000+40000; F; w 10000+200");
    assert_true(test_dev_all(k.file, 0x51200, 0xee00, 0xbb));
    kit_end(&k);
}

static void test_T2_first_allocation_whole_cluster(void **state)
{
    struct kit k;

    (void)state;
    with_backing(&k, "upstream", IMAGE);
    ok(kit_write(&k, 0, C, 0xaa));
    kit_log(&k, "w 50000+10000; F; w 60000+40000; F; w 10000+200");
    kit_end(&k);
    with_backing(&k, "v2", IMAGE);
    ok(kit_write(&k, 0, C, 0xaa));
    kit_log(&k, "w 50000+10000; w 60000+40000; F; w 10000+200");
    kit_end(&k);
}

static void test_T3_second_allocation_same_l2(void **state)
{
    struct kit k;

    (void)state;
    with_backing_and_l2(&k, "upstream", IMAGE);
    ok(kit_write(&k, 0x11000, 512, 0xab));
    kit_log(&k, "w a0000+1000; w a1200+ee00; w a1000+200; F; w 60000+200");
    kit_end(&k);
    with_backing_and_l2(&k, "v2", IMAGE);
    ok(kit_write(&k, 0x11000, 512, 0xab));
    kit_log(&k, "w a0000+1000; w a1200+ee00; w a1000+200; w 60000+200");
    kit_end(&k);
}

static void test_T4_beyond_the_end_of_the_backing_file(void **state)
{
    struct kit k;

    (void)state;
    with_backing_and_l2(&k, "upstream", 16 * C);
    ok(kit_write(&k, 32 * C + 0x1000, 512, 0xab));
    kit_log(&k, "w a0000+1000; w a1200+ee00; w a1000+200; F; w 60000+200");
    kit_expect(&k, 32 * C, 0x1000, 0);
    kit_expect(&k, 32 * C + 0x1200, 2 * C, 0);
    kit_end(&k);
    with_backing_and_l2(&k, "v2", 16 * C);
    assert_int_equal(kit_write(&k, 32 * C + 0x1000, 512, 0xab), -EIO);
    kit_log(&k, "");
    kit_end(&k);
}

static void test_T5_straddling_the_end_of_the_backing_file(void **state)
{
    struct kit k;

    (void)state;
    with_backing_and_l2(&k, "upstream", 16 * C + 0x8000);
    ok(kit_write(&k, 16 * C + 0x1000, 512, 0xab));
    kit_log(&k, "w a0000+1000; w a1200+ee00; w a1000+200; F; w 60000+200");
    kit_expect(&k, 16 * C, 0x1000, 0xbb);
    kit_expect(&k, 16 * C + 0x1200, 0x8000 - 0x1200, 0xbb);
    kit_expect(&k, 16 * C + 0x8000, 0x8000, 0);
    kit_end(&k);
    with_backing_and_l2(&k, "v2", 16 * C + 0x8000);
    assert_int_equal(kit_write(&k, 16 * C + 0x1000, 512, 0xab), -EIO);
    kit_end(&k);
}

static void test_T6_zero_write_without_l2(void **state)
{
    struct kit k;

    (void)state;
    with_backing(&k, "upstream", IMAGE);
    ok(kit_zero(&k, 0, C));
    kit_log(&k, "w 50000+40000; F; w 10000+200");
    assert_false(kit_marked(&k));
    kit_expect(&k, 0, C, 0);
    kit_expect(&k, C, C, 0xbb);
    kit_end(&k);
}

static void test_T7_zero_write_with_l2(void **state)
{
    struct kit k;

    (void)state;
    with_backing_and_l2(&k, "upstream", IMAGE);
    ok(kit_zero(&k, C, C));
    kit_log(&k, "w 60000+200");
    kit_expect(&k, C, C, 0);
    kit_end(&k);
}

static void test_T8_close(void **state)
{
    struct kit k;

    (void)state;
    with_backing(&k, "upstream", IMAGE);
    ok(kit_write(&k, 0, C, 0xaa));
    kit_log_clear(&k);
    kit_close(&k);
    kit_log(&k, "F");
    kit_end(&k);
}

static void test_T9_partial_write_into_zero_cluster(void **state)
{
    struct kit k;

    (void)state;
    with_backing_and_l2(&k, "upstream", IMAGE);
    ok(kit_zero(&k, C, C));
    kit_log_clear(&k);
    ok(kit_write(&k, 0x11000, 512, 0xab));
    kit_log(&k, "w a0000+1000; w a1200+ee00; w a1000+200; F; w 60000+200");
    kit_expect(&k, C, 0x1000, 0xbb); /* QEMU 7.2's quirk 1: not zeros */
    kit_expect(&k, 0x11200, 0xee00, 0xbb);
    kit_end(&k);
    with_backing_and_l2(&k, "careful", IMAGE);
    ok(kit_zero(&k, C, C));
    ok(kit_write(&k, 0x11000, 512, 0xab));
    kit_expect(&k, C, 0x1000, 0);
    kit_expect(&k, 0x11200, 0xee00, 0);
    kit_end(&k);
}

static void test_T10_remove_the_backing_file(void **state)
{
    struct kit k;

    (void)state;
    with_backing_and_l2(&k, "upstream", 2 * C);
    ok(kit_write(&k, C, C, 0xcc));
    ok(qed_change_backing(k.q, NULL, false, &k.err));
    kit_log(&k, "w a0000+10000; F; w 60000+200; w 0+200; F");
    assert_int_equal(test_dev_peek64(k.file, 16), 0);
    assert_int_equal(test_dev_peek32(k.file, 56), 64);
    assert_int_equal(test_dev_peek32(k.file, 60), 0);
    assert_null(qed_backing_name(k.q));
    kit_end(&k);
    with_backing_and_l2(&k, "careful", 2 * C); /* flushes before the name goes */
    ok(kit_write(&k, 0, 512, 0xcc));
    kit_log_clear(&k);
    ok(qed_change_backing(k.q, NULL, false, &k.err));
    kit_log(&k, "F; w 0+200; F");
    kit_end(&k);
}

/* ---- the other designs' fields, at the same points ---- */

static void test_cow_flush_only_where_bytes_were_copied(void **state)
{
    struct kit k;

    (void)state;
    with_backing(&k, "cow-flush", 4 * C);
    ok(kit_write(&k, 0x1000, 512, 0xaa));
    kit_log(&k, "w 50000+1000; w 51200+ee00; w 51000+200; F; w 60000+40000; F; w 10000+200");
    ok(kit_write(&k, C, C, 0xaa)); /* nothing copied */
    kit_log(&k, "w a0000+10000; w 60000+200");
    kit_end(&k);
    fresh(&k, "cow-flush"); /* no backing file: fills of zeros are no copies */
    ok(kit_write(&k, 0x1000, 512, 0xaa));
    kit_log(&k, "w 50000+1000; w 51200+ee00; w 51000+200; w 60000+40000; F; w 10000+200");
    kit_end(&k);
}

static void test_careful_flushes_the_mark_and_the_data(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "careful");
    ok(kit_write(&k, 0x1000, 512, 0xaa));
    kit_log(&k, "w 0+200; F; w 50000+1000; w 51200+ee00; w 51000+200; F; w 60000+40000; F; w 10000+200");
    ok(kit_write(&k, C, C, 0xaa));
    kit_log(&k, "w a0000+10000; F; w 60000+200");
    kit_end(&k);
    with_backing(&k, "careful", IMAGE);
    ok(kit_write(&k, 0, C, 0xaa));
    kit_log(&k, "w 0+200; F; w 50000+10000; F; w 60000+40000; F; w 10000+200");
    kit_end(&k);
}

static void test_data_flush_partial(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k, "v2");
    k.design.data_flush = QED_DATA_FLUSH_PARTIAL;
    k.design.l1_flush = false;
    kit_create(&k, IMAGE, 0, 0, NULL);
    kit_open(&k);
    ok(kit_write(&k, 0, C, 0xaa));
    kit_log(&k, "w 50000+10000; w 60000+40000; w 10000+200");
    ok(kit_write(&k, C, 512, 0xaa));
    kit_log(&k, "w a0200+fe00; w a0000+200; F; w 60000+200");
    kit_end(&k);
}

/* Only a cluster that holds bytes of an earlier life: here, the partial one at the file's end. */
static void test_data_flush_reuse(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k, "v2");
    k.design.data_flush = QED_DATA_FLUSH_REUSE;
    kit_create(&k, IMAGE, 0, 0, NULL);
    test_dev_poke(k.file, 0x50000, "stale", 5);
    kit_open(&k);
    ok(kit_write(&k, 0, C, 0xaa));
    kit_log(&k, "w 50000+10000; F; w 60000+40000; F; w 10000+200");
    ok(kit_write(&k, C, C, 0xaa));
    kit_log(&k, "w a0000+10000; w 60000+200");
    kit_end(&k);
}

/* Where the backing file holds zeros the fill is neither written nor flushed. */
static void test_zero_fill_skipped_when_all_zero(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k, "cow-flush");
    k.design.zero_fill = QED_ZERO_FILL_SKIP_ALL_ZERO;
    test_dev_poke(kit_backing(&k, "base.raw", 4 * C, 0), 0x8000, "data", 4);
    kit_create(&k, IMAGE, 0, 0, "base.raw");
    kit_open(&k);
    ok(kit_write(&k, C + 0x1000, 512, 0xaa));
    kit_log(&k, "T 60000; w 51000+200; w 60000+40000; F; w 10000+200");
    ok(kit_write(&k, 0x1000, 512, 0xaa)); /* front zero, back not */
    kit_log(&k, "w a1200+ee00; w a1000+200; F; w 60000+200");
    kit_expect(&k, C, 0x1000, 0);
    kit_expect(&k, 0x1200, 0x8000 - 0x1200, 0);
    kit_end(&k);
}

static void test_zero_fill_skipped_in_new_space(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k, "v2");
    k.design.zero_fill = QED_ZERO_FILL_SKIP_NEW_SPACE;
    kit_create(&k, IMAGE, 0, 0, NULL);
    test_dev_poke(k.file, 0x58000, "stale", 5); /* a partial tail: old space */
    kit_open(&k);
    ok(kit_write(&k, 0x1000, 512, 0xaa));
    kit_log(&k, "w 50000+1000; w 51200+ee00; w 51000+200; w 60000+40000; F; w 10000+200");
    ok(kit_write(&k, C + 0x1000, 512, 0xaa));
    kit_log(&k, "T b0000; w a1000+200; w 60000+200"); /* the file keeps ending on a cluster */
    kit_expect(&k, 0x1200, 0xee00, 0);
    kit_expect(&k, C + 0x1200, 0xee00, 0);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_S1_first_allocation_partial),
        cmocka_unit_test(test_S1_events_in_the_words_of_blkdebug),
        cmocka_unit_test(test_S2_first_allocation_whole_cluster),
        cmocka_unit_test(test_S3_second_allocation_same_l2),
        cmocka_unit_test(test_S3_l2_sectors_that_contain_the_entries),
        cmocka_unit_test(test_S4_reopened_clean_allocation_in_existing_l2),
        cmocka_unit_test(test_S5_in_place),
        cmocka_unit_test(test_S6_guest_flush),
        cmocka_unit_test(test_S6_flush_with_nothing_written),
        cmocka_unit_test(test_S7_close_marked),
        cmocka_unit_test(test_S7_close_clean_written),
        cmocka_unit_test(test_S7_close_nothing_written),
        cmocka_unit_test(test_S8_zero_write_without_l2),
        cmocka_unit_test(test_S9_zero_write_with_l2),
        cmocka_unit_test(test_S10_zero_write_on_allocated),
        cmocka_unit_test(test_S11_zero_write_on_zero_clusters),
        cmocka_unit_test(test_S12_partial_data_into_zero_cluster),
        cmocka_unit_test(test_S13_chunk_spanning_two_l2_tables),
        cmocka_unit_test(test_S14_three_clusters_at_once),
        cmocka_unit_test(test_S15_over_an_allocated_cluster),
        cmocka_unit_test(test_S16_timer),
        cmocka_unit_test(test_S16_drain),
        cmocka_unit_test(test_S17_grow),
        cmocka_unit_test(test_S18_open_with_unknown_autoclear_bits),
        cmocka_unit_test(test_S19_open_marked_nothing_to_fix),
        cmocka_unit_test(test_S20_open_marked_invalid_entries),
        cmocka_unit_test(test_T1_first_allocation_partial),
        cmocka_unit_test(test_T2_first_allocation_whole_cluster),
        cmocka_unit_test(test_T3_second_allocation_same_l2),
        cmocka_unit_test(test_T4_beyond_the_end_of_the_backing_file),
        cmocka_unit_test(test_T5_straddling_the_end_of_the_backing_file),
        cmocka_unit_test(test_T6_zero_write_without_l2),
        cmocka_unit_test(test_T7_zero_write_with_l2),
        cmocka_unit_test(test_T8_close),
        cmocka_unit_test(test_T9_partial_write_into_zero_cluster),
        cmocka_unit_test(test_T10_remove_the_backing_file),
        cmocka_unit_test(test_cow_flush_only_where_bytes_were_copied),
        cmocka_unit_test(test_careful_flushes_the_mark_and_the_data),
        cmocka_unit_test(test_data_flush_partial),
        cmocka_unit_test(test_data_flush_reuse),
        cmocka_unit_test(test_zero_fill_skipped_when_all_zero),
        cmocka_unit_test(test_zero_fill_skipped_in_new_space),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

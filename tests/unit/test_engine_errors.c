/* An I/O error at each step of spec 7.5: what the guest is told, what memory holds, what the disk holds; for designs that
 * keep a failed entry in memory and designs that roll it back, publishing before and after the write.
 */
#include "tests/unit/test_engine_kit.h"

#define C     0x10000u
#define IMAGE (64u << 20)

static void fresh(struct kit *k, const char *design, enum qed_publish publish, enum qed_failed_table failed)
{
    kit_begin(k, design);
    k->design.publish = publish;
    k->design.failed_table = failed;
    kit_create(k, IMAGE, 0, 0, NULL);
    kit_open(k);
}

/* Data at 0x50000, its L2 at 0x60000; next cluster 0xa0000. */
static void with_l2(struct kit *k, const char *design, enum qed_publish publish, enum qed_failed_table failed)
{
    fresh(k, design, publish, failed);
    ok(kit_write(k, 0, C, 0x11));
    kit_log_clear(k);
}

static void with_backing(struct kit *k, const char *design)
{
    kit_begin(k, design);
    kit_backing(k, "base.raw", IMAGE, 0xbb);
    kit_create(k, IMAGE, 0, 0, "base.raw");
    kit_open(k);
    ok(kit_write(k, 0, C, 0x11));
    kit_log_clear(k);
}

static void fails_with(struct kit *k, enum blk_event event, unsigned nth, uint64_t pos, size_t length)
{
    test_world_no_errors(k->world);
    test_world_fail(k->world, event, nth, EIO);
    assert_int_equal(kit_write(k, pos, length, 0xee), -EIO);
    assert_true(k->world->plans[0].fired);
    test_world_no_errors(k->world);
}

static enum qed_map_kind kind_of(struct kit *k, uint64_t pos, uint64_t *offset)
{
    enum qed_map_kind kind;
    uint64_t run;

    ok(qed_map(k->q, pos, C, &kind, offset, &run));
    return kind;
}

static void test_mark_cannot_be_written(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream", QED_PUBLISH_BEFORE_WRITE, QED_FAILED_TABLE_KEEP);
    fails_with(&k, BLK_EVENT_HEADER_UPDATE, 1, 0, C);
    assert_true(qed_need_check(k.q)); /* memory goes on as if it were set */
    assert_false(kit_marked(&k));
    kit_log(&k, "w 0+200");
    ok(kit_write(&k, 0, C, 0x22));
    assert_false(kit_marked(&k));
    kit_end(&k);
    fresh(&k, "upstream", QED_PUBLISH_AFTER_WRITE, QED_FAILED_TABLE_ROLL_BACK);
    fails_with(&k, BLK_EVENT_HEADER_UPDATE, 1, 0, C);
    assert_false(qed_need_check(k.q));
    ok(kit_write(&k, 0, C, 0x22));
    assert_true(kit_marked(&k));
    kit_end(&k);
}

static void test_mark_cannot_be_read(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "careful", QED_PUBLISH_AFTER_WRITE, QED_FAILED_TABLE_ROLL_BACK);
    k.design.failed_flush = QED_FAILED_FLUSH_GO_ON;
    fails_with(&k, BLK_EVENT_HEADER_READ, 1, 0, C);
    kit_log(&k, "");
    fails_with(&k, BLK_EVENT_FLUSH_TO_DISK, 1, 0, C); /* careful flushes its mark */
    kit_log(&k, "w 0+200; F");
    ok(kit_write(&k, 0, C, 0x22));
    assert_true(kit_marked(&k));
    kit_expect(&k, 0, C, 0x22);
    kit_end(&k);
}

/* Prefill, postfill, data: an unlinked cluster is lost, nothing else happened; the next write takes new space. */
static void test_fill_and_data(void **state)
{
    static const struct {
        enum blk_event event;
        unsigned nth;
    } steps[] = {{BLK_EVENT_COW_WRITE, 1}, {BLK_EVENT_COW_WRITE, 2}, {BLK_EVENT_WRITE_AIO, 1}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        uint64_t offset;
        struct kit k;

        with_l2(&k, i % 2 ? "v2" : "upstream", QED_PUBLISH_BEFORE_WRITE, QED_FAILED_TABLE_KEEP);
        fails_with(&k, steps[i].event, steps[i].nth, C + 0x1000, 512);
        assert_int_equal(kind_of(&k, C, &offset), QED_MAP_UNALLOCATED);
        kit_expect(&k, C, C, 0);
        assert_int_equal(test_dev_peek64(k.file, 0x60008), 0);
        ok(kit_write(&k, C, C, 0x22));
        assert_int_equal(kind_of(&k, C, &offset), QED_MAP_DATA);
        assert_int_equal(offset, 0xb0000); /* file_size stays advanced */
        kit_expect(&k, C, C, 0x22);
        kit_check_is(&k, 0, 1);
        kit_end(&k);
    }
}

static void test_backing_read(void **state)
{
    uint8_t sector[512];
    uint64_t offset;
    struct kit k;

    (void)state;
    with_backing(&k, "upstream");
    fails_with(&k, BLK_EVENT_COW_READ, 1, C + 0x1000, 512);
    kit_log(&k, "");
    fails_with(&k, BLK_EVENT_COW_READ, 2, C + 0x1000, 512);
    kit_log(&k, "w b0000+1000");
    assert_int_equal(kind_of(&k, C, &offset), QED_MAP_UNALLOCATED);
    test_world_fail(k.world, BLK_EVENT_READ_BACKING_AIO, 1, EIO);
    assert_int_equal(kit_read(&k, C, 512, sector), -EIO);
    kit_expect(&k, C, C, 0xbb);
    test_world_fail(k.world, BLK_EVENT_READ_AIO, 1, EIO);
    assert_int_equal(kit_read(&k, 0, 512, sector), -EIO);
    kit_expect(&k, 0, C, 0x11);
    kit_end(&k);
}

static void test_data_flush(void **state)
{
    uint64_t offset;
    struct kit k;

    (void)state;
    with_backing(&k, "upstream");
    fails_with(&k, BLK_EVENT_FLUSH_TO_DISK, 1, C, C);
    kit_log(&k, "w a0000+10000; F");
    assert_int_equal(kind_of(&k, C, &offset), QED_MAP_UNALLOCATED);
    kit_expect(&k, C, C, 0xbb);
    kit_end(&k);
}

static void test_new_l2_table_or_its_flush(void **state)
{
    static const enum blk_event events[] = {BLK_EVENT_L2_ALLOC_WRITE, BLK_EVENT_FLUSH_TO_DISK};

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t offset;
        struct kit k;

        fresh(&k, "v2", (enum qed_publish)(i / 2 % 2), (enum qed_failed_table)(i / 4));
        fails_with(&k, events[i % 2], 1, 0, C);
        kit_log(&k, i % 2 ? "w 50000+10000; w 60000+40000; F" : "w 50000+10000; w 60000+40000");
        assert_int_equal(kind_of(&k, 0, &offset), QED_MAP_UNALLOCATED); /* the table was dropped, L1 is untouched */
        assert_int_equal(test_dev_peek64(k.file, 0x10000), 0);
        ok(kit_write(&k, 0, C, 0x22));
        assert_int_equal(test_dev_peek64(k.file, 0x10000), 0xb0000);
        kit_expect(&k, 0, C, 0x22);
        kit_check_is(&k, 0, 5);
        kit_end(&k);
    }
}

/* The one row where designs differ: is the entry in memory what the disk never got? */
static void test_l2_sector(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        enum qed_publish publish = (enum qed_publish)(i % 2);
        enum qed_failed_table failed = (enum qed_failed_table)(i / 2);
        bool kept = publish == QED_PUBLISH_BEFORE_WRITE && failed == QED_FAILED_TABLE_KEEP;
        uint64_t offset;
        struct kit k;

        with_l2(&k, "v2", publish, failed);
        fails_with(&k, BLK_EVENT_L2_UPDATE, 1, C, 2 * C);
        assert_int_equal(test_dev_peek64(k.file, 0x60008), 0);
        assert_int_equal(kind_of(&k, C, &offset), kept ? QED_MAP_DATA : QED_MAP_UNALLOCATED);
        kit_expect(&k, C, 2 * C, kept ? 0xee : 0);
        kit_log_clear(&k);
        ok(kit_write(&k, C, C, 0x22));
        kit_log(&k, kept ? "w a0000+10000" : "w c0000+10000; w 60000+200");
        kit_expect(&k, C, C, 0x22);
        kit_end(&k);
    }
}

static void test_l1_sector(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        enum qed_publish publish = (enum qed_publish)(i % 2);
        enum qed_failed_table failed = (enum qed_failed_table)(i / 2);
        bool kept = publish == QED_PUBLISH_BEFORE_WRITE && failed == QED_FAILED_TABLE_KEEP;
        uint64_t offset;
        struct kit k;

        fresh(&k, "v2", publish, failed);
        fails_with(&k, BLK_EVENT_L1_UPDATE, 1, 0, C);
        assert_int_equal(test_dev_peek64(k.file, 0x10000), 0);
        assert_int_equal(kind_of(&k, 0, &offset), kept ? QED_MAP_DATA : QED_MAP_UNALLOCATED);
        kit_log_clear(&k);
        ok(kit_write(&k, C, C, 0x22));
        kit_log(&k, kept ? "w a0000+10000; w 60000+200" : "w a0000+10000; w b0000+40000; F; w 10000+200");
        kit_expect(&k, 0, C, kept ? 0xee : 0);
        kit_expect(&k, C, C, 0x22);
        kit_end(&k);
    }
}

/* The failed L1 entry of a kept table reaches the disk with the next L1 sector. */
static void test_kept_l1_entry_is_written_by_the_next_update(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k, "v2");
    kit_create(&k, IMAGE, 4096, 2, NULL);
    kit_open(&k);
    fails_with(&k, BLK_EVENT_L1_UPDATE, 1, 0, 4096);
    ok(kit_write(&k, 4u << 20, 4096, 0x22));
    kit_reopen(&k);
    kit_expect(&k, 0, 4096, 0xee);
    kit_end(&k);
}

/* Zero entries take the same paths; rolling one back restores what was there. */
static void test_zero_entries(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t offset;
        struct kit k;

        with_l2(&k, "upstream", QED_PUBLISH_BEFORE_WRITE, (enum qed_failed_table)i);
        test_world_fail(k.world, BLK_EVENT_L2_UPDATE, 1, EIO);
        assert_int_equal(kit_zero(&k, C, C), -EIO);
        assert_int_equal(kind_of(&k, C, &offset), i ? QED_MAP_UNALLOCATED : QED_MAP_ZERO);
        test_world_no_errors(k.world);
        ok(kit_zero(&k, 4 * C, C));
        fails_with(&k, BLK_EVENT_L2_UPDATE, 1, 4 * C, 512); /* data into a zero cluster */
        assert_int_equal(kind_of(&k, 4 * C, &offset), i ? QED_MAP_ZERO : QED_MAP_DATA);
        kit_end(&k);
    }
}

/* Nothing is cached, and the next request tries again. */
static void test_l2_load(void **state)
{
    uint8_t sector[512];
    struct kit k;

    (void)state;
    with_l2(&k, "upstream", QED_PUBLISH_BEFORE_WRITE, QED_FAILED_TABLE_KEEP);
    kit_reopen(&k);
    test_world_fail(k.world, BLK_EVENT_L2_LOAD, 1, EIO);
    assert_int_equal(kit_read(&k, 0, 512, sector), -EIO);
    kit_expect(&k, 0, C, 0x11);
    kit_reopen(&k);
    fails_with(&k, BLK_EVENT_L2_LOAD, 1, C, C);
    kit_log(&k, "");
    ok(kit_write(&k, C, C, 0x22));
    kit_end(&k);
}

/* Earlier chunks stay written and linked. */
static void test_multi_chunk(void **state)
{
    struct kit k;

    (void)state;
    with_l2(&k, "v2", QED_PUBLISH_BEFORE_WRITE, QED_FAILED_TABLE_KEEP);
    ok(kit_write(&k, 2 * C, C, 0x22));
    fails_with(&k, BLK_EVENT_WRITE_AIO, 3, C, 3 * C); /* c1 new, c2 in place, c3 new */
    kit_expect(&k, C, 2 * C, 0xee);
    kit_expect(&k, 3 * C, C, 0);
    kit_end(&k);
}

static void test_in_place(void **state)
{
    struct kit k;

    (void)state;
    with_l2(&k, "v2", QED_PUBLISH_BEFORE_WRITE, QED_FAILED_TABLE_KEEP);
    fails_with(&k, BLK_EVENT_WRITE_AIO, 1, 0, 512);
    kit_expect(&k, 0, C, 0x11);
    kit_end(&k);
}

/* A failed flush promises nothing: what it should have covered is still to be flushed. */
static void test_guest_flush(void **state)
{
    struct kit k;

    (void)state;
    with_l2(&k, "v2", QED_PUBLISH_BEFORE_WRITE, QED_FAILED_TABLE_KEEP);
    test_world_fail(k.world, BLK_EVENT_FLUSH_TO_DISK, 1, EIO);
    assert_int_equal(kit_flush(&k), -EIO);
    kit_log_clear(&k);
    kit_close(&k);
    kit_log(&k, "F");
    kit_end(&k);
}

/* A write still in flight when a flush is submitted is not covered by it: close flushes once more. */
static void test_flush_does_not_cover_writes_in_flight(void **state)
{
    struct kit_op *write, *flush;
    struct kit k;

    (void)state;
    with_l2(&k, "v2", QED_PUBLISH_BEFORE_WRITE, QED_FAILED_TABLE_KEEP);
    ok(kit_flush(&k));
    k.world->delayed = true;
    write = kit_start_write(&k, 0, 512, 0x22);
    flush = kit_start_flush(&k);
    ok(kit_wait(write));
    ok(kit_wait(flush));
    kit_log_clear(&k);
    kit_close(&k);
    kit_log(&k, "F");
    kit_end(&k);
}

static void test_close_reports_errors_and_frees(void **state)
{
    static const struct {
        enum blk_event event;
        unsigned nth;
    } steps[] = {{BLK_EVENT_FLUSH_TO_DISK, 1},
                 {BLK_EVENT_HEADER_UPDATE, 1},
                 {BLK_EVENT_HEADER_READ, 1},
                 {BLK_EVENT_FLUSH_TO_DISK, 2}};
    static const char *const designs[] = {"upstream", "careful"};

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct kit k;
        struct qed *q;

        with_l2(&k, designs[i % 2], QED_PUBLISH_BEFORE_WRITE, QED_FAILED_TABLE_KEEP);
        test_world_fail(k.world, steps[i / 2].event, steps[i / 2].nth, EIO);
        q = k.q;
        k.q = NULL;
        assert_int_equal(qed_close(q), -EIO);
        if (i / 2 < 3)
            assert_true(kit_marked(&k));
        kit_end(&k);
    }
}

/* A close that must fail, and a new open. */
static void start_again(struct kit *k)
{
    struct qed *q = k->q;

    k->q = NULL;
    assert_int_equal(k->design.failed_flush, QED_FAILED_FLUSH_FAIL_STOP);
    assert_int_equal(qed_close(q), -EIO);
    kit_open(k);
}

/* From the failed flush on nothing is sent to the disk, nothing is promised, the mark stays; reads go on. */
static void test_fail_stop(void **state)
{
    (void)state;
    for (unsigned go_on = 0; go_on < 2; go_on++) {
        struct kit k;

        with_l2(&k, "careful", QED_PUBLISH_AFTER_WRITE, QED_FAILED_TABLE_ROLL_BACK);
        if (go_on)
            k.design.failed_flush = QED_FAILED_FLUSH_GO_ON;
        test_world_fail(k.world, BLK_EVENT_FLUSH_TO_DISK, 1, EIO);
        assert_int_equal(kit_flush(&k), -EIO);
        test_world_no_errors(k.world);
        kit_log_clear(&k);
        assert_int_equal(kit_flush(&k), go_on ? 0 : -EIO);
        assert_int_equal(kit_write(&k, 0, 512, 0x22), go_on ? 0 : -EIO);
        assert_int_equal(kit_write(&k, C, 512, 0x22), go_on ? 0 : -EIO);
        assert_int_equal(kit_zero(&k, 0, C), go_on ? 0 : -EIO);
        assert_int_equal(qed_truncate(k.q, IMAGE + C, NULL), go_on ? 0 : -EIO);
        assert_int_equal(qed_change_backing(k.q, NULL, false, NULL), go_on ? 0 : -EIO);
        kit_expect(&k, 0, C, go_on ? 0 : 0x11);
        assert_int_equal(qed_reopen(k.q, true, NULL), go_on ? 0 : -EIO);
        if (go_on) {
            kit_end(&k);
            continue;
        }
        kit_log(&k, "");
        start_again(&k);
        assert_true(qed_opened(k.q)->scanned);
        ok(kit_write(&k, 0, 512, 0x22));
        ok(kit_flush(&k));
        kit_expect(&k, 0, 512, 0x22);
        kit_end(&k);
    }
}

/* The flush that was under way beside it may have found nothing left to write: its success says as little. */
static void test_fail_stop_reaches_flushes_in_flight(void **state)
{
    struct kit_op *first, *second;
    struct kit k;

    (void)state;
    with_l2(&k, "careful", QED_PUBLISH_AFTER_WRITE, QED_FAILED_TABLE_ROLL_BACK);
    k.world->delayed = true;
    test_world_fail(k.world, BLK_EVENT_FLUSH_TO_DISK, 1, EIO);
    first = kit_start_flush(&k);
    second = kit_start_flush(&k);
    test_world_run(k.world);
    assert_int_equal(kit_wait(first), -EIO);
    assert_int_equal(kit_wait(second), -EIO);
    test_world_no_errors(k.world);
    start_again(&k);
    kit_end(&k);
}

/* A timer that clears the mark meets the failed flush too. */
static void test_fail_stop_keeps_the_mark(void **state)
{
    static const enum qed_clear_order orders[] = {QED_CLEAR_WITHOUT_FLUSH, QED_CLEAR_BEFORE_FLUSH,
                                                  QED_CLEAR_AFTER_FLUSH_IF_WRITTEN, QED_CLEAR_AFTER_FLUSH};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct kit k;

        with_l2(&k, "careful", QED_PUBLISH_AFTER_WRITE, QED_FAILED_TABLE_ROLL_BACK);
        k.design.clear_order = (uint8_t)orders[i];
        k.design.clear_on = 31;
        k.design.data_flush = QED_DATA_FLUSH_ALWAYS;
        test_world_fail(k.world, BLK_EVENT_FLUSH_TO_DISK, 1, EIO);
        assert_int_equal(kit_write(&k, C, C, 0x22), -EIO);
        test_world_no_errors(k.world);
        kit_log_clear(&k);
        assert_int_equal(kit_flush(&k), -EIO);
        test_world_advance(k.world, 20000);
        kit_log(&k, "");
        assert_true(kit_marked(&k));
        start_again(&k);
        kit_end(&k);
    }
}

/* A device that is full. */
static void test_no_space(void **state)
{
    struct kit k;

    (void)state;
    with_l2(&k, "careful", QED_PUBLISH_AFTER_WRITE, QED_FAILED_TABLE_ROLL_BACK);
    k.file->fixed = true;
    assert_int_equal(kit_write(&k, C, C, 0x22), -ENOSPC);
    kit_expect(&k, C, C, 0);
    k.file->fixed = false;
    ok(kit_write(&k, C, C, 0x22));
    kit_expect(&k, C, C, 0x22);
    kit_end(&k);
}

/* Whatever I/O fails, whichever the design: the guest is told, nothing hangs, and afterwards all works. */
static void test_every_single_io(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4 * 4; i++) {
        unsigned nth = 1;

        for (bool fired = true; fired; nth++) {
            struct kit k;
            int ret = 0;

            kit_begin(&k, qed_designs[i % 4].name);
            kit_backing(&k, "base.raw", IMAGE, 0xbb);
            kit_create(&k, IMAGE, 0, 0, i / 4 % 2 ? "base.raw" : NULL);
            k.world->delayed = i / 8;
            kit_open(&k);
            test_world_fail(k.world, BLK_EVENT_COUNT, nth, EIO);
            ret |= kit_write(&k, 0x1000, 512, 0x11);
            ret |= kit_write(&k, 0x8000, 3 * C, 0x12);
            ret |= kit_zero(&k, 6 * C, 3 * C);
            ret |= kit_write(&k, 6 * C + 512, 512, 0x13);
            ret |= kit_flush(&k);
            fired = k.world->plans[0].fired;
            test_world_no_errors(k.world);
            assert_int_equal(ret, fired ? -EIO : 0);
            if (kit_write(&k, 0, 10 * C, 0x14)) { /* a flush had failed, and careful remembers */
                start_again(&k);
                ok(kit_write(&k, 0, 10 * C, 0x14));
            }
            kit_expect(&k, 0, 10 * C, 0x14);
            kit_end(&k);
        }
        assert_true(nth > 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mark_cannot_be_written),
        cmocka_unit_test(test_mark_cannot_be_read),
        cmocka_unit_test(test_fill_and_data),
        cmocka_unit_test(test_backing_read),
        cmocka_unit_test(test_data_flush),
        cmocka_unit_test(test_new_l2_table_or_its_flush),
        cmocka_unit_test(test_l2_sector),
        cmocka_unit_test(test_l1_sector),
        cmocka_unit_test(test_kept_l1_entry_is_written_by_the_next_update),
        cmocka_unit_test(test_zero_entries),
        cmocka_unit_test(test_l2_load),
        cmocka_unit_test(test_multi_chunk),
        cmocka_unit_test(test_in_place),
        cmocka_unit_test(test_guest_flush),
        cmocka_unit_test(test_flush_does_not_cover_writes_in_flight),
        cmocka_unit_test(test_close_reports_errors_and_frees),
        cmocka_unit_test(test_fail_stop),
        cmocka_unit_test(test_fail_stop_reaches_flushes_in_flight),
        cmocka_unit_test(test_fail_stop_keeps_the_mark),
        cmocka_unit_test(test_no_space),
        cmocka_unit_test(test_every_single_io),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The needs-check mark: when it is set, who waits for it, and each way of clearing it. Spec section 9. */
#include "tests/unit/test_engine_kit.h"

#define C     0x10000u
#define IMAGE (64u << 20)

#define in_flight(k, event) test_world_pending((k)->world, event)

static void fresh(struct kit *k, const char *design, unsigned clear_on, enum qed_clear_order order)
{
    kit_begin(k, design);
    k->design.clear_on = clear_on;
    k->design.clear_order = order;
    kit_create(k, (uint64_t)8 << 30, 0, 0, NULL);
    kit_open(k);
}

/* ---- setting ---- */

static void test_set_once_a_session(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream", QED_CLEAR_ON_CLOSE, QED_CLEAR_AFTER_FLUSH);
    assert_false(qed_need_check(k.q));
    kit_expect(&k, 0, C, 0);
    ok(kit_flush(&k));
    assert_false(kit_marked(&k));
    ok(kit_write(&k, 0, C, 0x11));
    assert_true(qed_need_check(k.q) && kit_marked(&k));
    kit_log_clear(&k);
    ok(kit_write(&k, C, C, 0x11));
    kit_log(&k, "w a0000+10000; w 60000+200");
    kit_end(&k);
}

static void test_not_with_a_backing_file_unless_asked(void **state)
{
    (void)state;
    for (int asked = 0; asked < 2; asked++) {
        struct kit k;

        kit_begin(&k, "upstream");
        k.design.need_check_with_backing = asked;
        kit_backing(&k, "base.raw", IMAGE, 0xbb);
        kit_create(&k, IMAGE, 0, 0, "base.raw");
        kit_open(&k);
        ok(kit_write(&k, 0, C, 0x11));
        assert_int_equal(kit_marked(&k), asked);
        kit_end(&k);
    }
}

static void test_flushed_before_anything_else(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k, "upstream");
    k.design.need_check = QED_NEED_CHECK_FLUSHED;
    kit_create(&k, IMAGE, 0, 0, NULL);
    kit_open(&k);
    ok(kit_zero(&k, 0, C));
    kit_log(&k, "w 0+200; F; w 50000+40000; F; w 10000+200");
    kit_end(&k);
}

static void test_header_around_the_mark_is_preserved(void **state)
{
    uint8_t before[512];
    struct kit k;

    (void)state;
    kit_begin(&k, "upstream");
    kit_create(&k, IMAGE, 0, 0, NULL);
    test_dev_poke64(k.file, 24, 0x1234);
    test_dev_poke(k.file, 64, "somebody else's bytes", 21);
    memcpy(before, k.file->bytes, 512);
    kit_open(&k);
    ok(kit_write(&k, 0, C, 0x11));
    before[16] |= QED_F_NEED_CHECK;
    assert_memory_equal(k.file->bytes, before, 512);
    kit_close(&k);
    before[16] = 0;
    assert_memory_equal(k.file->bytes, before, 512);
    kit_end(&k);
}

/* ---- clearing at close ---- */

static void test_close_orders(void **state)
{
    static const char *const expected[] = {
        [QED_CLEAR_WITHOUT_FLUSH] = "w 0+200; F",
        [QED_CLEAR_BEFORE_FLUSH] = "w 0+200; F",
        [QED_CLEAR_AFTER_FLUSH_IF_WRITTEN] = "F; w 0+200; F",
        [QED_CLEAR_AFTER_FLUSH] = "F; w 0+200; F",
    };

    (void)state;
    for (unsigned order = 0; order <= QED_CLEAR_AFTER_FLUSH; order++) {
        struct kit k;

        fresh(&k, "upstream", QED_CLEAR_ON_CLOSE, (enum qed_clear_order)order);
        ok(kit_write(&k, 0, C, 0x11));
        kit_log_clear(&k);
        kit_close(&k);
        kit_log(&k, expected[order]);
        assert_false(kit_marked(&k));
        kit_end(&k);
    }
}

static void test_never_cleared(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream", 0, QED_CLEAR_AFTER_FLUSH);
    ok(kit_write(&k, 0, C, 0x11));
    ok(kit_flush(&k));
    ok(qed_drain(k.q));
    test_world_advance(k.world, 100000);
    kit_close(&k);
    assert_true(kit_marked(&k));
    kit_end(&k);
}

static void test_crash_leaves_the_mark(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream", QED_CLEAR_ON_CLOSE | QED_CLEAR_ON_TIMER, QED_CLEAR_AFTER_FLUSH);
    ok(kit_write(&k, 0, C, 0x11));
    kit_abandon(&k);
    assert_true(kit_marked(&k));
    kit_open(&k);
    assert_true(qed_opened(k.q)->scanned);
    assert_false(kit_marked(&k));
    kit_end(&k);
}

/* ---- timer ---- */

static void test_timer_starts_after_the_last_allocation(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream", QED_CLEAR_ON_TIMER, QED_CLEAR_AFTER_FLUSH);
    ok(kit_write(&k, 0, C, 0x11));
    test_world_advance(k.world, 4000);
    ok(kit_write(&k, C, C, 0x11)); /* an allocation puts it off */
    test_world_advance(k.world, 4000);
    ok(kit_write(&k, 0, C, 0x12)); /* a write in place does not */
    kit_expect(&k, 0, C, 0x12);
    assert_true(kit_marked(&k));
    test_world_advance(k.world, 1000);
    assert_false(kit_marked(&k));
    assert_false(qed_need_check(k.q));
    kit_log_clear(&k);
    ok(kit_write(&k, 2 * C, C, 0x11)); /* and round again */
    assert_true(kit_marked(&k));
    test_world_advance(k.world, 5000);
    assert_false(kit_marked(&k));
    kit_end(&k);
}

static void test_timer_orders(void **state)
{
    static const char *const expected[] = {
        [QED_CLEAR_WITHOUT_FLUSH] = "w 0+200",
        [QED_CLEAR_BEFORE_FLUSH] = "w 0+200; F",
        [QED_CLEAR_AFTER_FLUSH_IF_WRITTEN] = "F; w 0+200; F",
        [QED_CLEAR_AFTER_FLUSH] = "F; w 0+200; F",
    };

    (void)state;
    for (unsigned order = 0; order <= QED_CLEAR_AFTER_FLUSH; order++) {
        struct kit k;

        fresh(&k, "upstream", QED_CLEAR_ON_TIMER, (enum qed_clear_order)order);
        ok(kit_write(&k, 0, C, 0x11));
        kit_log_clear(&k);
        test_world_advance(k.world, 5000);
        kit_log(&k, expected[order]);
        kit_end(&k);
    }
}

/* Allocations that arrive while the mark is being cleared wait, and set it anew. */
static void test_allocation_waits_while_the_timer_clears(void **state)
{
    struct kit_op *write;
    struct kit k;

    (void)state;
    fresh(&k, "upstream", QED_CLEAR_ON_TIMER, QED_CLEAR_AFTER_FLUSH);
    ok(kit_write(&k, 0, C, 0x11));
    kit_log_clear(&k);
    k.world->delayed = true;
    k.world->now_ns += UINT64_C(5000000000);
    {
        struct blk_timer *timer = k.world->timers;

        assert_non_null(timer);
        k.world->loop.ops->timer_cancel(&k.world->loop, timer);
        timer->fire(timer->opaque);
    }
    assert_int_equal(k.world->npending, 1); /* its flush */
    write = kit_start_write(&k, C, C, 0x22);
    assert_int_equal(k.world->npending, 1); /* asleep */
    kit_expect(&k, 0, 512, 0x11);           /* reads are not held up */
    ok(kit_wait(write));
    assert_true(kit_marked(&k));
    kit_log(&k, "F; w 0+200; F; w 0+200; w a0000+10000; w 60000+200");
    kit_end(&k);
}

static void test_timer_keeps_the_mark_when_its_flush_fails(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream", QED_CLEAR_ON_TIMER, QED_CLEAR_AFTER_FLUSH);
    ok(kit_write(&k, 0, C, 0x11));
    kit_log_clear(&k);
    test_world_fail(k.world, BLK_EVENT_FLUSH_TO_DISK, 1, EIO);
    test_world_advance(k.world, 5000);
    assert_true(kit_marked(&k));
    assert_true(qed_need_check(k.q));
    test_world_no_errors(k.world);
    ok(kit_write(&k, C, C, 0x22)); /* not asleep for ever */
    test_world_advance(k.world, 5000);
    assert_false(kit_marked(&k));
    kit_end(&k);
}

static void test_timer_header_write_fails(void **state)
{
    (void)state;
    for (unsigned failed = 0; failed < 2; failed++) {
        struct kit k;

        fresh(&k, "upstream", QED_CLEAR_ON_TIMER, QED_CLEAR_AFTER_FLUSH);
        ok(kit_write(&k, 0, C, 0x11));
        kit_close(&k);
        k.design.failed_table = (enum qed_failed_table)failed;
        kit_open(&k);
        ok(kit_write(&k, C, C, 0x11));
        test_world_fail(k.world, BLK_EVENT_HEADER_UPDATE, 1, EIO);
        test_world_advance(k.world, 5000);
        test_world_no_errors(k.world);
        assert_true(kit_marked(&k));
        assert_int_equal(qed_need_check(k.q), failed == QED_FAILED_TABLE_ROLL_BACK);
        ok(kit_write(&k, 2 * C, C, 0x22));
        assert_true(kit_marked(&k));
        kit_end(&k);
    }
}

/* A marked image opened for check starts its timer; close must not leave it armed. */
static void test_timer_does_not_outlive_the_image(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream", QED_CLEAR_ON_TIMER, QED_CLEAR_AFTER_FLUSH);
    ok(kit_write(&k, 0, C, 0x11));
    assert_non_null(k.world->timers);
    qed_abandon(k.q);
    k.q = NULL;
    assert_null(k.world->timers);
    kit_end(&k);
}

static void test_drain_with_a_failing_flush(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream", QED_CLEAR_ON_TIMER, QED_CLEAR_AFTER_FLUSH);
    ok(kit_write(&k, 0, C, 0x11));
    test_world_fail(k.world, BLK_EVENT_FLUSH_TO_DISK, 1, EIO);
    assert_int_equal(qed_drain(k.q), -EIO);
    test_world_no_errors(k.world);
    assert_true(kit_marked(&k));
    ok(kit_write(&k, C, C, 0x22));
    ok(qed_drain(k.q));
    assert_false(kit_marked(&k));
    kit_end(&k);
}

/* ---- a flush that may be left out ---- */

/* With after-flush-if-written, what a guest flush has covered is not flushed again; what it has not covered, is. */
static void test_flush_left_out_only_if_nothing_was_written(void **state)
{
    static const struct {
        enum qed_clear_order order;
        bool write_again;
        const char *close, *timer;
    } cases[] = {
        {QED_CLEAR_AFTER_FLUSH_IF_WRITTEN, false, "w 0+200; F", "w 0+200; F"},
        {QED_CLEAR_AFTER_FLUSH_IF_WRITTEN, true, "F; w 0+200; F", "F; w 0+200; F"},
        {QED_CLEAR_AFTER_FLUSH, false, "F; w 0+200; F", "F; w 0+200; F"},
    };

    (void)state;
    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        struct kit k;

        fresh(&k, "upstream", QED_CLEAR_ON_CLOSE | QED_CLEAR_ON_TIMER, cases[i / 2].order);
        ok(kit_write(&k, 0, C, 0x11));
        ok(kit_flush(&k));
        if (cases[i / 2].write_again)
            ok(kit_write(&k, 0, C, 0x12)); /* in place */
        kit_log_clear(&k);
        if (i % 2)
            test_world_advance(k.world, 5000);
        else
            kit_close(&k);
        kit_log(&k, i % 2 ? cases[i / 2].timer : cases[i / 2].close);
        assert_false(kit_marked(&k));
        kit_end(&k);
    }
}

/* A flush that is still under way has not covered anything yet. */
static void test_flush_under_way_is_not_relied_on(void **state)
{
    struct kit_op *flush;
    struct blk_timer *timer;
    struct kit k;

    (void)state;
    fresh(&k, "upstream", QED_CLEAR_ON_TIMER, QED_CLEAR_AFTER_FLUSH_IF_WRITTEN);
    ok(kit_write(&k, 0, C, 0x11));
    kit_log_clear(&k);
    k.world->delayed = true;
    flush = kit_start_flush(&k);
    timer = k.world->timers;
    assert_non_null(timer);
    k.world->loop.ops->timer_cancel(&k.world->loop, timer);
    timer->fire(timer->opaque);
    assert_int_equal(in_flight(&k, BLK_EVENT_FLUSH_TO_DISK), 2);
    assert_int_equal(in_flight(&k, BLK_EVENT_HEADER_READ), 0);
    ok(kit_wait(flush));
    test_world_run(k.world);
    kit_log(&k, "F; F; w 0+200; F");
    kit_end(&k);
}

/* ---- quiet: the eight steps of claim A24 ---- */

static void test_eight_steps(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream", QED_CLEAR_ON_QUIET, QED_CLEAR_AFTER_FLUSH);
    k.design.need_check = QED_NEED_CHECK_FLUSHED;
    ok(kit_write(&k, 0, C, 0x11));
    kit_log(&k, "w 0+200; F; w 50000+10000; w 60000+40000; F; w 10000+200");
    test_world_advance(k.world, 100000);
    kit_log(&k, ""); /* nothing was flushed: no timer */
    assert_true(kit_marked(&k));
    ok(kit_flush(&k));                 /* 1, 2 */
    test_world_advance(k.world, 4999); /* 3 */
    kit_log(&k, "F");
    test_world_advance(k.world, 1); /* 4: without a flush */
    kit_log(&k, "w 0+200");
    assert_false(kit_marked(&k));
    test_world_advance(k.world, 100000); /* 5 */
    ok(kit_write(&k, 0, C, 0x12));       /* in place: no metadata */
    kit_log(&k, "w 50000+10000");
    ok(kit_write(&k, C, C, 0x11)); /* 6, 7, 8 */
    kit_log(&k, "w 0+200; F; w a0000+10000; w 60000+200");
    kit_end(&k);
}

/* Whatever is allocated after the flush, or while it is under way, takes the timer away. */
static void test_quiet_is_broken_by_allocations(void **state)
{
    (void)state;
    for (unsigned begun = 0; begun < 3; begun++) {
        struct kit_op *write = NULL, *flush;
        struct kit k;

        fresh(&k, "upstream", QED_CLEAR_ON_QUIET, QED_CLEAR_AFTER_FLUSH);
        ok(kit_write(&k, 0, C, 0x11));
        k.world->delayed = true;
        if (begun == 0) /* before the flush, and ends with it */
            write = kit_start_write(&k, C, C, 0x22);
        flush = kit_start_flush(&k);
        if (begun == 1) /* during the flush */
            write = kit_start_write(&k, C, C, 0x22);
        ok(kit_wait(flush));
        if (begun == 2)
            write = kit_start_write(&k, C, C, 0x22);
        ok(kit_wait(write));
        test_world_advance(k.world, 100000);
        assert_true(kit_marked(&k));
        ok(kit_flush(&k));
        test_world_advance(k.world, 5000);
        assert_false(kit_marked(&k));
        kit_end(&k);
    }
}

static void test_quiet_is_not_armed_by_a_failed_flush(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream", QED_CLEAR_ON_QUIET, QED_CLEAR_AFTER_FLUSH);
    ok(kit_write(&k, 0, C, 0x11));
    test_world_fail(k.world, BLK_EVENT_FLUSH_TO_DISK, 1, EIO);
    assert_int_equal(kit_flush(&k), -EIO);
    test_world_no_errors(k.world);
    test_world_advance(k.world, 100000);
    assert_true(kit_marked(&k));
    kit_end(&k);
}

/* Drained or closed, the timer need not be waited for: the flush has been. */
static void test_quiet_and_close(void **state)
{
    static const char *const expected[] = {"F", "w 0+200; F", "F; w 0+200; F", "w 0+200; F"};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct kit k;

        fresh(&k, "upstream", QED_CLEAR_ON_QUIET | (i / 2 ? QED_CLEAR_ON_CLOSE : 0), QED_CLEAR_AFTER_FLUSH);
        ok(kit_write(&k, 0, C, 0x11));
        if (i % 2)
            ok(kit_flush(&k));
        kit_log_clear(&k);
        kit_close(&k);
        kit_log(&k, expected[i]);
        assert_int_equal(kit_marked(&k), i == 0);
        kit_end(&k);
    }
}

/* A mark that is cleared by something else leaves no timer behind. */
static void test_a_cleared_mark_takes_its_timers_along(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream", QED_CLEAR_ON_GUEST_FLUSH | QED_CLEAR_ON_TIMER | QED_CLEAR_ON_QUIET, QED_CLEAR_AFTER_FLUSH);
    ok(kit_write(&k, 0, C, 0x11));
    assert_non_null(k.world->timers);
    kit_log_clear(&k);
    ok(kit_flush(&k));
    kit_log(&k, "F; w 0+200");
    assert_null(k.world->timers);
    kit_close(&k);
    kit_log(&k, "F");
    kit_end(&k);
}

/* ---- guest flush ---- */

static void test_guest_flush_orders(void **state)
{
    static const char *const expected[] = {
        [QED_CLEAR_WITHOUT_FLUSH] = "w 0+200; F", /* F is the guest's own */
        [QED_CLEAR_BEFORE_FLUSH] = "w 0+200; F",
        [QED_CLEAR_AFTER_FLUSH_IF_WRITTEN] = "F; w 0+200",
        [QED_CLEAR_AFTER_FLUSH] = "F; w 0+200",
    };

    (void)state;
    for (unsigned order = 0; order <= QED_CLEAR_AFTER_FLUSH; order++) {
        struct kit k;

        fresh(&k, "upstream", QED_CLEAR_ON_GUEST_FLUSH, (enum qed_clear_order)order);
        ok(kit_write(&k, 0, C, 0x11));
        kit_log_clear(&k);
        ok(kit_flush(&k));
        kit_log(&k, expected[order]);
        assert_false(kit_marked(&k));
        ok(kit_flush(&k));
        kit_log(&k, "F"); /* nothing to clear */
        ok(kit_write(&k, C, C, 0x11));
        assert_true(kit_marked(&k));
        kit_end(&k);
    }
}

static void test_guest_flush_that_fails_clears_nothing(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream", QED_CLEAR_ON_GUEST_FLUSH, QED_CLEAR_AFTER_FLUSH);
    ok(kit_write(&k, 0, C, 0x11));
    test_world_fail(k.world, BLK_EVENT_FLUSH_TO_DISK, 1, EIO);
    assert_int_equal(kit_flush(&k), -EIO);
    assert_true(kit_marked(&k));
    test_world_no_errors(k.world);
    ok(kit_flush(&k));
    assert_false(kit_marked(&k));
    kit_end(&k);
}

/* An allocation under way: the mark is still needed. */
static void test_guest_flush_during_an_allocation_leaves_the_mark(void **state)
{
    (void)state;
    for (unsigned order = 0; order <= QED_CLEAR_AFTER_FLUSH; order++) {
        struct kit_op *write, *flush;
        struct kit k;

        fresh(&k, "upstream", QED_CLEAR_ON_GUEST_FLUSH, (enum qed_clear_order)order);
        ok(kit_write(&k, 0, C, 0x11));
        k.world->delayed = true;
        write = kit_start_write(&k, C, C, 0x22);
        flush = kit_start_flush(&k);
        k.world->order = TEST_LIFO;
        ok(kit_wait(flush));
        assert_false(write->done);
        assert_true(kit_marked(&k) && qed_need_check(k.q));
        ok(kit_wait(write));
        kit_end(&k);
    }
}

/* An allocation that began after the flush was submitted, and ended before it completed, is not covered by it. */
static void test_guest_flush_does_not_vouch_for_later_allocations(void **state)
{
    (void)state;
    for (unsigned begun = 0; begun < 2; begun++) {
        struct kit_op *write = NULL, *flush;
        struct kit k;

        fresh(&k, "upstream", QED_CLEAR_ON_GUEST_FLUSH, QED_CLEAR_AFTER_FLUSH);
        ok(kit_write(&k, 0, C, 0x11));
        k.world->delayed = true;
        if (begun) /* or was under way already */
            write = kit_start_write(&k, C, C, 0x22);
        flush = kit_start_flush(&k);
        if (!begun)
            write = kit_start_write(&k, C, C, 0x22);
        while (!write->done) {
            size_t i = 0;

            while (k.world->pending[i].op == TEST_FLUSH)
                i++;
            test_world_deliver(k.world, i);
        }
        assert_false(flush->done);
        ok(kit_wait(flush));
        assert_true(kit_marked(&k) && qed_need_check(k.q));
        ok(kit_flush(&k));
        assert_false(kit_marked(&k));
        kit_end(&k);
    }
}

/* ---- L1 update ---- */

static void test_l1_update_orders(void **state)
{
    static const char *const expected[] = {
        [QED_CLEAR_WITHOUT_FLUSH] = "w 0+200",
        [QED_CLEAR_BEFORE_FLUSH] = "w 0+200; F",
        [QED_CLEAR_AFTER_FLUSH_IF_WRITTEN] = "F; w 0+200",
        [QED_CLEAR_AFTER_FLUSH] = "F; w 0+200",
    };

    (void)state;
    for (unsigned order = 0; order <= QED_CLEAR_AFTER_FLUSH; order++) {
        char text[200];
        struct kit k;

        fresh(&k, "upstream", QED_CLEAR_ON_L1_UPDATE, (enum qed_clear_order)order);
        ok(kit_write(&k, 0, C, 0x11));
        snprintf(text, sizeof(text), "w 0+200; w 50000+10000; w 60000+40000; F; w 10000+200; %s", expected[order]);
        kit_log(&k, text);
        assert_false(kit_marked(&k));
        ok(kit_write(&k, C, C, 0x22)); /* no L1 update: marked, and stays so */
        kit_log(&k, "w 0+200; w a0000+10000; w 60000+200");
        assert_true(kit_marked(&k));
        ok(kit_write(&k, (uint64_t)2 << 30, C, 0x33));
        assert_false(kit_marked(&k));
        kit_expect(&k, 0, C, 0x11);
        kit_expect(&k, C, C, 0x22);
        kit_expect(&k, (uint64_t)2 << 30, C, 0x33);
        kit_end(&k);
    }
}

/* A request over two tables clears after the first and sets again for the second. */
static void test_l1_update_within_a_request(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream", QED_CLEAR_ON_L1_UPDATE, QED_CLEAR_AFTER_FLUSH);
    k.world->delayed = true;
    ok(kit_write(&k, ((uint64_t)2 << 30) - C, 2 * C, 0x11));
    kit_log(&k, "w 0+200; w 50000+10000; w 60000+40000; F; w 10000+200; F; w 0+200; "
                "w 0+200; w a0000+10000; w b0000+40000; F; w 10000+200; F; w 0+200");
    kit_expect(&k, ((uint64_t)2 << 30) - C, 2 * C, 0x11);
    kit_end(&k);
}

static void test_l1_update_whose_flush_fails(void **state)
{
    struct kit k;

    (void)state;
    fresh(&k, "upstream", QED_CLEAR_ON_L1_UPDATE, QED_CLEAR_AFTER_FLUSH);
    test_world_fail(k.world, BLK_EVENT_FLUSH_TO_DISK, 2, EIO);
    assert_int_equal(kit_write(&k, 0, C, 0x11), -EIO);
    test_world_no_errors(k.world);
    assert_true(kit_marked(&k));
    ok(kit_write(&k, 0, C, 0x22));
    kit_expect(&k, 0, C, 0x22);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_once_a_session),
        cmocka_unit_test(test_not_with_a_backing_file_unless_asked),
        cmocka_unit_test(test_flushed_before_anything_else),
        cmocka_unit_test(test_header_around_the_mark_is_preserved),
        cmocka_unit_test(test_close_orders),
        cmocka_unit_test(test_never_cleared),
        cmocka_unit_test(test_crash_leaves_the_mark),
        cmocka_unit_test(test_timer_starts_after_the_last_allocation),
        cmocka_unit_test(test_timer_orders),
        cmocka_unit_test(test_allocation_waits_while_the_timer_clears),
        cmocka_unit_test(test_timer_keeps_the_mark_when_its_flush_fails),
        cmocka_unit_test(test_timer_header_write_fails),
        cmocka_unit_test(test_timer_does_not_outlive_the_image),
        cmocka_unit_test(test_drain_with_a_failing_flush),
        cmocka_unit_test(test_flush_left_out_only_if_nothing_was_written),
        cmocka_unit_test(test_flush_under_way_is_not_relied_on),
        cmocka_unit_test(test_eight_steps),
        cmocka_unit_test(test_quiet_is_broken_by_allocations),
        cmocka_unit_test(test_quiet_is_not_armed_by_a_failed_flush),
        cmocka_unit_test(test_quiet_and_close),
        cmocka_unit_test(test_a_cleared_mark_takes_its_timers_along),
        cmocka_unit_test(test_guest_flush_orders),
        cmocka_unit_test(test_guest_flush_that_fails_clears_nothing),
        cmocka_unit_test(test_guest_flush_during_an_allocation_leaves_the_mark),
        cmocka_unit_test(test_guest_flush_does_not_vouch_for_later_allocations),
        cmocka_unit_test(test_l1_update_orders),
        cmocka_unit_test(test_l1_update_within_a_request),
        cmocka_unit_test(test_l1_update_whose_flush_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Requests in flight together: who waits for whom, in which order they finish, and that nothing is lost or freed twice. */
#include "engine/design_box.h"
#include "tests/unit/test_engine_kit.h"

#define C     0x10000u
#define IMAGE (64u << 20)

static void fresh(struct kit *k, const char *design)
{
    kit_begin(k, design);
    kit_create(k, IMAGE, 0, 0, NULL);
    kit_open(k);
}

static void with_l2(struct kit *k, const char *design)
{
    fresh(k, design);
    ok(kit_write(k, 0, C, 0x11));
    kit_log_clear(k);
    k->world->delayed = true;
    k->finished = 0;
}

/* 4 KiB clusters, tables of 1: one L2 covers 2 MiB. L2 tables for the first `tables` of them exist. */
static void small(struct kit *k, const char *design, unsigned tables)
{
    kit_begin(k, design);
    kit_create(k, IMAGE, 4096, 1, NULL);
    kit_open(k);
    for (unsigned i = 0; i < tables; i++)
        ok(kit_write(k, (uint64_t)i << 21, 4096, 0x11));
    kit_log_clear(k);
    k->world->delayed = true;
    k->finished = 0;
}

static void deliver(struct kit *k, enum blk_event event)
{
    if (!test_world_deliver_event(k->world, event))
        fail_msg("no %s in flight", blk_event_name(event));
}

#define in_flight(k, event) test_world_pending((k)->world, event)

/* ---- one cluster ---- */

/* The second finds the cluster there and writes in place: no second cluster, no lost half. */
static void test_two_writes_into_one_new_cluster(void **state)
{
    static const char *const designs[] = {"v2", "upstream", "careful"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct kit_op *a, *b;
        struct kit k;

        with_l2(&k, designs[i]);
        a = kit_start_write(&k, C, 0x1000, 0xaa);
        b = kit_start_write(&k, C + 0x1000, 0x1000, 0xbb);
        assert_int_equal(k.world->npending, 1); /* b sleeps */
        ok(kit_wait(a));
        assert_false(b->done);
        ok(kit_wait(b));
        assert_int_equal(k.file->length, 0xb0000); /* one cluster more */
        kit_expect(&k, C, 0x1000, 0xaa);
        kit_expect(&k, C + 0x1000, 0x1000, 0xbb);
        kit_expect(&k, C + 0x2000, 0xe000, 0);
        kit_check_is(&k, 0, 0);
        kit_end(&k);
    }
}

/* Without a lock both allocate, and one of the two is lost: that is the bug this value is for. Memory stays sound. */
static void test_lock_none_loses_one_but_is_memory_safe(void **state)
{
    (void)state;
    for (unsigned order = 0; order < 20; order++) {
        struct kit_op *a, *b, *c, *d;
        struct kit k;

        kit_begin(&k, order % 2 ? "upstream" : "v2");
        k.design.lock = QED_LOCK_NONE;
        k.design.publish = (enum qed_publish)(order / 2 % 2);
        kit_create(&k, IMAGE, 4096, 1, NULL);
        kit_open(&k);
        k.world->delayed = true;
        k.world->order = TEST_RANDOM;
        k.world->random += order;
        a = kit_start_write(&k, 0, 512, 0xaa);
        b = kit_start_write(&k, 512, 512, 0xbb);
        c = kit_start_write(&k, 2 << 20, 8192, 0xcc);
        d = kit_start_zero(&k, 2 << 20, 8192);
        ok(kit_wait(a));
        ok(kit_wait(b));
        ok(kit_wait(c));
        ok(kit_wait(d));
        ok(kit_write(&k, 0, 4u << 20, 0xdd));
        kit_expect(&k, 0, 4u << 20, 0xdd);
        kit_end(&k);
    }
}

/* ---- v2: a lock per table ---- */

static void test_v2_allocations_in_different_tables_are_parallel(void **state)
{
    struct kit_op *a, *b;
    struct kit k;

    (void)state;
    small(&k, "v2", 2);
    a = kit_start_write(&k, 4096, 4096, 0xaa);
    b = kit_start_write(&k, (2u << 20) + 4096, 4096, 0xbb);
    assert_int_equal(in_flight(&k, BLK_EVENT_WRITE_AIO), 2);
    k.world->order = TEST_LIFO;
    test_world_run(k.world);
    assert_int_equal(b->finished_as, 1);
    assert_int_equal(a->finished_as, 2);
    kit_expect(&k, 4096, 4096, 0xaa);
    kit_expect(&k, (2u << 20) + 4096, 4096, 0xbb);
    kit_check_is(&k, 0, 0);
    kit_end(&k);
}

static void test_v2_same_table_is_first_come_first_served(void **state)
{
    struct kit_op *op[4];
    struct kit k;

    (void)state;
    small(&k, "v2", 1);
    for (unsigned i = 0; i < 4; i++)
        op[i] = kit_start_write(&k, 4096 * (4 - i), 4096, (uint8_t)(0xa0 + i));
    assert_int_equal(k.world->npending, 1);
    test_world_run(k.world);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(op[i]->finished_as, i + 1);
        kit_expect(&k, 4096 * (4 - i), 4096, (uint8_t)(0xa0 + i));
    }
    kit_end(&k);
}

/* Creating tables is serial, but parallel to allocations in tables that exist. */
static void test_v2_new_tables(void **state)
{
    struct kit_op *a, *b, *c;
    struct kit k;

    (void)state;
    small(&k, "v2", 1);
    a = kit_start_write(&k, 2u << 20, 4096, 0xaa);
    b = kit_start_write(&k, 4u << 20, 4096, 0xbb);
    c = kit_start_write(&k, 4096, 4096, 0xcc);
    assert_int_equal(in_flight(&k, BLK_EVENT_WRITE_AIO), 2); /* a and c */
    test_world_run(k.world);
    assert_true(a->done && b->done && c->done);
    assert_true(a->finished_as < b->finished_as);
    kit_expect(&k, 2u << 20, 4096, 0xaa);
    kit_expect(&k, 4u << 20, 4096, 0xbb);
    kit_expect(&k, 4096, 4096, 0xcc);
    kit_check_is(&k, 0, 0);
    kit_end(&k);
}

/* The second wanted to create a table that the first has created meanwhile: it moves on to the new table's lock. */
static void test_two_writes_under_one_new_table(void **state)
{
    static const char *const designs[] = {"v2", "upstream", "careful"};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct kit_op *a, *b, *c;
        struct kit k;

        small(&k, designs[i], 0);
        a = kit_start_write(&k, 0, 4096, 0xaa);
        b = kit_start_write(&k, 8192, 4096, 0xbb);
        c = kit_start_write(&k, 4096, 512, 0xcc);
        test_world_run(k.world);
        assert_true(a->done && b->done && c->done);
        kit_expect(&k, 0, 4096, 0xaa);
        kit_expect(&k, 4096, 512, 0xcc);
        kit_expect(&k, 4608, 3584, 0);
        kit_expect(&k, 8192, 4096, 0xbb);
        assert_int_equal(k.file->length, 6 * 4096);
        kit_check_is(&k, 0, 0);
        kit_end(&k);
    }
}

/* Requests that each span two tables, in opposite interleavings: one key at a time, so no deadlock. */
static void test_v2_requests_across_tables_do_not_deadlock(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 30; seed++) {
        struct kit_op *op[6];
        struct kit k;

        small(&k, seed % 3 ? "v2" : "careful", seed % 4);
        k.world->order = TEST_RANDOM;
        k.world->random += seed;
        for (unsigned i = 0; i < 6; i++)
            op[i] = kit_start_write(&k, (2u << 20) * (1 + i % 3) - 8192 - 4096 * (i / 3), 16384, (uint8_t)(1 + i));
        for (unsigned i = 0; i < 6; i++)
            ok(kit_wait(op[i]));
        kit_check_is(&k, 0, 0);
        kit_end(&k);
    }
}

/* Reads and writes in place take no lock at all. */
static void test_in_place_and_reads_pass_an_allocation(void **state)
{
    static const char *const designs[] = {"v2", "upstream", "careful"};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct kit_op *alloc, *write, *read, *flush;
        struct kit k;

        with_l2(&k, designs[i]);
        alloc = kit_start_write(&k, C, 512, 0xaa);
        write = kit_start_write(&k, 512, 512, 0xbb);
        read = kit_start_read(&k, 0, 512);
        flush = kit_start_flush(&k);
        assert_int_equal(k.world->npending, 4);
        k.world->order = TEST_LIFO;
        test_world_run(k.world);
        assert_int_equal(flush->finished_as, 1);
        assert_int_equal(read->finished_as, 2);
        assert_int_equal(write->finished_as, 3);
        assert_int_equal(alloc->finished_as, 4);
        kit_end(&k);
    }
}

/* ---- a lock per entry ---- */

static void test_entry_lock_is_parallel_within_a_table(void **state)
{
    struct kit_op *a, *b, *c;
    struct kit k;

    (void)state;
    kit_begin(&k, "upstream");
    k.design.lock = QED_LOCK_ENTRY;
    kit_create(&k, IMAGE, 4096, 1, NULL);
    kit_open(&k);
    ok(kit_write(&k, 0, 4096, 0x11));
    k.world->delayed = true;
    k.finished = 0;
    a = kit_start_write(&k, 4096, 4096, 0xaa);
    b = kit_start_write(&k, 8192, 4096, 0xbb);
    assert_int_equal(in_flight(&k, BLK_EVENT_WRITE_AIO), 2);
    c = kit_start_write(&k, 4096, 8192, 0xcc); /* meets both: sleeps, then writes in place */
    assert_int_equal(k.world->npending, 2);
    ok(kit_wait(a));
    ok(kit_wait(b));
    ok(kit_wait(c));
    kit_expect(&k, 4096, 8192, 0xcc);
    kit_check_is(&k, 0, 0);
    kit_end(&k);
}

/* Two requests that would make the same table: the second finds it made. Different tables are made side by side. */
static void test_entry_lock_and_new_tables(void **state)
{
    struct kit_op *a, *b, *c;
    struct kit k;

    (void)state;
    kit_begin(&k, "v2");
    k.design.lock = QED_LOCK_ENTRY;
    kit_create(&k, IMAGE, 4096, 1, NULL);
    kit_open(&k);
    k.world->delayed = true;
    k.finished = 0;
    a = kit_start_write(&k, 0, 4096, 0xaa);
    b = kit_start_write(&k, 4096, 4096, 0xbb);
    c = kit_start_write(&k, 2u << 20, 4096, 0xcc);
    assert_int_equal(in_flight(&k, BLK_EVENT_WRITE_AIO), 2); /* a and c */
    ok(kit_wait(b));
    ok(kit_wait(c));
    assert_true(a->done && a->finished_as < b->finished_as);
    assert_int_equal(k.file->length, 7 * 4096); /* header, L1, two tables, three clusters */
    kit_expect(&k, 0, 4096, 0xaa);
    kit_expect(&k, 4096, 4096, 0xbb);
    kit_expect(&k, 2u << 20, 4096, 0xcc);
    kit_check_is(&k, 0, 0);
    kit_end(&k);
}

/* A request gives up what it had before it asks for more: two that go the same way in chunks do not wait for ever, and one
 * that waits holds nothing. */
static void test_entry_lock_does_not_deadlock(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 60; seed++) {
        struct kit_op *op[8];
        struct kit k;

        small(&k, "v2", seed % 4);
        k.design.lock = QED_LOCK_ENTRY;
        k.world->order = TEST_RANDOM;
        k.world->random += seed;
        for (unsigned i = 0; i < 8; i++)
            op[i] = kit_start_write(&k, (2u << 20) * (1 + i % 3) - 8192 - 4096 * (i / 3), 20480, (uint8_t)(1 + i));
        for (unsigned i = 0; i < 8; i++)
            ok(kit_wait(op[i]));
        kit_end(&k);
    }
}

/* ---- what is asked ---- */

/* A request that meets no other is the same under every lock; one that meets another only says what it had to. */
static void test_lock_is_asked_only_when_two_meet(void **state)
{
    static const struct {
        uint64_t first, second;
        unsigned lock;
        uint64_t left;
    } cases[] = {
        {4096, 8192, QED_LOCK_ENTRY, QED_VALUE(QED_LOCK_NONE) | QED_VALUE(QED_LOCK_ENTRY)},
        {4096, 8192, QED_LOCK_GATE, QED_VALUE(QED_LOCK_TABLE) | QED_VALUE(QED_LOCK_GATE)},
        {4096, 4608, QED_LOCK_TABLE, QED_VALUE(QED_LOCK_TABLE) | QED_VALUE(QED_LOCK_GATE) | QED_VALUE(QED_LOCK_ENTRY)},
        {4096, (2u << 20) + 4096, QED_LOCK_NONE,
         QED_VALUE(QED_LOCK_NONE) | QED_VALUE(QED_LOCK_ENTRY) | QED_VALUE(QED_LOCK_TABLE)},
        {4096, (2u << 20) + 4096, QED_LOCK_GATE, QED_VALUE(QED_LOCK_GATE)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct qed_design_asked asked;
        struct kit_op *a, *b;
        struct kit k;

        kit_begin(&k, "upstream");
        k.design.lock = (uint8_t)cases[i].lock;
        qed_asked_begin(&asked);
        k.design.asked = &asked;
        kit_create(&k, IMAGE, 4096, 1, NULL);
        kit_open(&k);
        ok(kit_write(&k, 0, 4096, 0x11));
        ok(kit_write(&k, 2u << 20, 4096, 0x11));
        ok(kit_write(&k, 0, 16384, 0x12));
        ok(kit_flush(&k));
        assert_true(asked.box.allowed[QED_FIELD_lock] == qed_box_all().allowed[QED_FIELD_lock]);
        kit_reopen(&k);
        qed_asked_begin(&asked);
        k.world->delayed = true;
        a = kit_start_write(&k, cases[i].first + (4u << 20), 512, 0xaa);
        ok(kit_wait(a)); /* the first makes the table */
        assert_true(asked.box.allowed[QED_FIELD_lock] == qed_box_all().allowed[QED_FIELD_lock]);
        a = kit_start_write(&k, cases[i].first + 65536, 512, 0xaa);
        b = kit_start_write(&k, cases[i].second + 65536, 512, 0xbb);
        ok(kit_wait(a));
        ok(kit_wait(b));
        assert_int_equal(asked.box.allowed[QED_FIELD_lock], cases[i].left);
        kit_end(&k);
    }
}

/* ---- the gate ---- */

static void test_gate_lets_one_allocation_in(void **state)
{
    struct kit_op *op[3];
    struct kit k;

    (void)state;
    small(&k, "upstream", 2);
    op[0] = kit_start_write(&k, 4096, 4096, 0xaa);
    op[1] = kit_start_write(&k, (2u << 20) + 4096, 4096, 0xbb); /* another table: sleeps too */
    op[2] = kit_start_write(&k, 4u << 20, 4096, 0xcc);
    assert_int_equal(k.world->npending, 1);
    test_world_run(k.world);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(op[i]->finished_as, i + 1);
    kit_check_is(&k, 0, 0);
    kit_end(&k);
}

/* The owner keeps the gate until the whole guest request is done, over all its chunks. */
static void test_gate_is_kept_over_chunks(void **state)
{
    struct kit_op *a, *b;
    struct kit k;

    (void)state;
    small(&k, "upstream", 2);
    a = kit_start_write(&k, (2u << 20) - 4096, 4096 * 3, 0xaa); /* new, in place, new */
    b = kit_start_write(&k, 4096, 4096, 0xbb);
    while (!a->done) {
        assert_int_equal(k.world->npending, 1);
        test_world_deliver(k.world, 0);
    }
    assert_false(b->done);
    ok(kit_wait(b));
    kit_expect(&k, (2u << 20) - 4096, 4096 * 3, 0xaa);
    kit_end(&k);
}

/* Locks go before the callback runs: the next allocation has issued its I/O when the guest hears of the first. */
struct witness {
    struct kit *k;
    size_t pending;
    bool done;
};

static void look(void *opaque, int ret)
{
    struct witness *w = opaque;

    ok(ret);
    w->pending = w->k->world->npending;
    w->done = true;
}

static void test_next_allocation_starts_before_completion_is_told(void **state)
{
    static const char *const designs[] = {"v2", "upstream"};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        uint8_t buf[4096] = {0};
        struct iovec iov = {buf, sizeof(buf)};
        struct witness w = {0};
        struct kit_op *b;
        struct kit k;

        small(&k, designs[i], 1);
        w.k = &k;
        qed_writev(k.q, 4096, &iov, 1, look, &w);
        b = kit_start_write(&k, 8192, 4096, 0xbb);
        while (!w.done)
            test_world_deliver(k.world, 0);
        assert_int_equal(w.pending, 1);
        ok(kit_wait(b));
        kit_end(&k);
    }
}

static void test_sleeper_goes_on_after_the_owner_failed(void **state)
{
    static const char *const designs[] = {"v2", "upstream", "careful"};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct kit_op *a, *b;
        struct kit k;

        with_l2(&k, designs[i]);
        a = kit_start_write(&k, C, 512, 0xaa);
        b = kit_start_write(&k, C + 512, 512, 0xbb);
        test_world_fail(k.world, BLK_EVENT_WRITE_AIO, 1, EIO);
        assert_int_equal(kit_wait(a), -EIO);
        ok(kit_wait(b));
        kit_expect(&k, C, 512, 0);
        kit_expect(&k, C + 512, 512, 0xbb);
        kit_check_is(&k, 0, 1);
        kit_end(&k);
    }
}

/* ---- publish ---- */

/* While the L2 write is in flight, a read sees the new cluster, or not yet. */
static void test_publish_before_and_after(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct kit_op *write, *read;
        struct kit k;

        kit_begin(&k, "v2");
        k.design.publish = i ? QED_PUBLISH_AFTER_WRITE : QED_PUBLISH_BEFORE_WRITE;
        kit_create(&k, IMAGE, 0, 0, NULL);
        kit_open(&k);
        ok(kit_write(&k, 0, C, 0x11));
        k.world->delayed = true;
        write = kit_start_write(&k, C, C, 0xaa);
        deliver(&k, BLK_EVENT_WRITE_AIO);
        assert_int_equal(in_flight(&k, BLK_EVENT_L2_UPDATE), 1);
        read = kit_start_read(&k, C, 512);
        if (!read->done)
            deliver(&k, BLK_EVENT_READ_AIO);
        ok(kit_wait(read));
        assert_int_equal(read->buf[0], i ? 0 : 0xaa);
        assert_false(write->done);
        ok(kit_wait(write));
        kit_expect(&k, C, C, 0xaa);
        kit_end(&k);
    }
}

/* ---- waiting for all, for one, for none ---- */

static void test_drain_waits_for_sleepers_too(void **state)
{
    struct kit_op *op[5];
    struct kit k;

    (void)state;
    with_l2(&k, "upstream");
    for (unsigned i = 0; i < 5; i++)
        op[i] = kit_start_write(&k, C * (1 + i), 512, 0xaa);
    ok(qed_drain(k.q));
    for (unsigned i = 0; i < 5; i++)
        assert_true(op[i]->done);
    assert_false(kit_marked(&k));
    kit_end(&k);
}

static void test_close_waits(void **state)
{
    struct kit_op *a, *b, *c;
    struct kit k;

    (void)state;
    with_l2(&k, "v2");
    a = kit_start_write(&k, C, 512, 0xaa);
    b = kit_start_write(&k, C, 512, 0xab);
    c = kit_start_read(&k, 0, C);
    kit_close(&k);
    assert_true(a->done && b->done && c->done);
    kit_open(&k);
    kit_expect(&k, C, 512, 0xab);
    kit_end(&k);
}

/* Cancel is waiting: nothing is aborted or undone. */
static void test_cancel_waits_for_one(void **state)
{
    struct kit_op *a, *b;
    struct kit k;

    (void)state;
    small(&k, "v2", 2);
    a = kit_start_write(&k, 4096, 4096, 0xaa);
    b = kit_start_write(&k, 8192, 4096, 0xbb); /* sleeps behind a */
    qed_cancel(k.q, b->req);
    assert_true(a->done && b->done);
    ok(b->ret);
    kit_expect(&k, 8192, 4096, 0xbb);
    a = kit_start_read(&k, 0, 4096);
    assert_non_null(a->req);
    qed_cancel(k.q, a->req);
    assert_true(a->done);
    assert_int_equal(a->buf[0], 0x11);
    kit_end(&k);
}

static void test_abandon_drops_what_is_in_flight(void **state)
{
    static const char *const designs[] = {"v2", "upstream", "careful", "cow-flush"};

    (void)state;
    for (unsigned n = 0; n < 60; n++) {
        struct kit k;

        kit_begin(&k, designs[n % 4]);
        kit_backing(&k, "base.raw", IMAGE, 0xbb);
        kit_create(&k, IMAGE, 0, 0, n % 3 ? "base.raw" : NULL);
        kit_open(&k);
        k.world->delayed = true;
        kit_start_write(&k, 512, 512, 0xaa);
        kit_start_write(&k, 1024, 2 * C, 0xaa);
        kit_start_read(&k, 0, C);
        kit_start_zero(&k, 4 * C, 3 * C);
        kit_start_flush(&k);
        for (unsigned i = 0; i < n / 4 && k.world->npending; i++)
            test_world_deliver(k.world, 0);
        kit_abandon(&k);
        for (struct kit_op *op = k.ops; op; op = op->next)
            assert_true(!op->done || !op->ret);
        kit_open(&k);
        kit_end(&k);
    }
}

/* Two readers load one table at the same time; the second drops its copy, and sees what was changed since. */
static void test_two_loads_of_one_table(void **state)
{
    struct kit_op *a, *b, *c;
    struct kit k;

    (void)state;
    with_l2(&k, "v2");
    k.world->delayed = false;
    kit_reopen(&k);
    k.world->delayed = true;
    a = kit_start_write(&k, C, C, 0xaa);
    b = kit_start_read(&k, C, 512);
    assert_int_equal(in_flight(&k, BLK_EVENT_L2_LOAD), 2);
    deliver(&k, BLK_EVENT_L2_LOAD);
    while (!a->done)
        test_world_deliver(k.world, k.world->npending - 1); /* b's load is the oldest: left for last */
    while (!b->done)
        test_world_deliver(k.world, 0);
    assert_int_equal(b->buf[0], 0xaa);
    c = kit_start_write(&k, 2 * C, C, 0xcc);
    ok(kit_wait(c));
    kit_expect(&k, C, C, 0xaa);
    kit_check_is(&k, 0, 0);
    kit_end(&k);
}

/* First allocations on an unmarked image under table locks: the mark is written once, all wait for it. */
static void test_mark_is_set_once(void **state)
{
    struct kit_op *a, *b;
    struct kit k;

    (void)state;
    kit_begin(&k, "upstream");
    k.design.lock = QED_LOCK_TABLE;
    kit_create(&k, IMAGE, 4096, 1, NULL);
    kit_open(&k);
    ok(kit_write(&k, 0, 4096, 0x11));
    ok(kit_write(&k, 2u << 20, 4096, 0x11));
    kit_reopen(&k);
    kit_expect(&k, 0, 512, 0x11); /* both tables resident */
    kit_expect(&k, 2u << 20, 512, 0x11);
    k.world->delayed = true;
    a = kit_start_write(&k, 4096, 4096, 0xaa);
    b = kit_start_write(&k, (2u << 20) + 4096, 4096, 0xbb);
    assert_int_equal(k.world->npending, 1);
    ok(kit_wait(a));
    ok(kit_wait(b));
    /* who is first after the mark is not laid down */
    assert_non_null(strstr(test_world_log(k.world), "w 0+200; w 6000+1000; w 7000+1000; "));
    assert_null(strstr(test_world_log(k.world) + 1, "w 0+200"));
    kit_check_is(&k, 0, 0);
    kit_end(&k);
}

/* The header is one sector with many owners: a new size must not undo a mark that is being written, nor the reverse. */
static void test_header_changes_do_not_undo_each_other(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct kit_op *write;
        struct kit k;

        fresh(&k, i % 2 ? "careful" : "upstream");
        k.world->delayed = true;
        k.world->order = i / 2 ? TEST_LIFO : TEST_FIFO;
        write = kit_start_write(&k, 0, C, 0xaa);
        ok(qed_truncate(k.q, 2 * IMAGE, &k.err));
        ok(kit_wait(write));
        assert_true(kit_marked(&k) && qed_need_check(k.q));
        assert_int_equal(test_dev_peek64(k.file, 48), 2 * IMAGE);
        kit_reopen(&k);
        write = kit_start_write(&k, C, C, 0xbb);
        ok(qed_change_backing(k.q, "other.raw", true, &k.err));
        ok(kit_wait(write));
        assert_true(kit_marked(&k) && qed_need_check(k.q));
        assert_int_equal(test_dev_peek32(k.file, 60), 9);
        kit_end(&k);
    }
}

/* Sleepers that have nothing left to do when woken must not pile up on the stack. */
static void test_many_sleepers(void **state)
{
    struct kit_op *last = NULL;
    struct kit k;

    (void)state;
    small(&k, "upstream", 1);
    for (unsigned i = 0; i < 20000; i++)
        last = kit_start_zero(&k, 4096, 4096);
    ok(kit_wait(last));
    kit_end(&k);
}

/* In LIFO, FIFO and random order, with more requests than anything holds: all finish. */
static void test_a_crowd(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 24; i++) {
        struct kit_op *op[40];
        struct kit k;

        small(&k, qed_designs[i % 4].name, i % 5);
        k.world->order = (enum test_order)(i % 3);
        for (unsigned n = 0; n < 40; n++) {
            uint64_t pos = test_world_random(k.world) % (6u << 20) / 512 * 512;

            if (n % 5 == 4)
                op[n] = kit_start_flush(&k);
            else if (n % 5 == 3)
                op[n] = kit_start_zero(&k, pos, 8192);
            else if (n % 5 == 2)
                op[n] = kit_start_read(&k, pos, 8192);
            else
                op[n] = kit_start_write(&k, pos, 12288, 0xaa);
        }
        for (unsigned n = 0; n < 40; n++)
            ok(kit_wait(op[n]));
        kit_check_is(&k, 0, 0);
        kit_end(&k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_writes_into_one_new_cluster),
        cmocka_unit_test(test_lock_none_loses_one_but_is_memory_safe),
        cmocka_unit_test(test_v2_allocations_in_different_tables_are_parallel),
        cmocka_unit_test(test_v2_same_table_is_first_come_first_served),
        cmocka_unit_test(test_v2_new_tables),
        cmocka_unit_test(test_two_writes_under_one_new_table),
        cmocka_unit_test(test_v2_requests_across_tables_do_not_deadlock),
        cmocka_unit_test(test_in_place_and_reads_pass_an_allocation),
        cmocka_unit_test(test_entry_lock_is_parallel_within_a_table),
        cmocka_unit_test(test_entry_lock_and_new_tables),
        cmocka_unit_test(test_entry_lock_does_not_deadlock),
        cmocka_unit_test(test_lock_is_asked_only_when_two_meet),
        cmocka_unit_test(test_gate_lets_one_allocation_in),
        cmocka_unit_test(test_gate_is_kept_over_chunks),
        cmocka_unit_test(test_next_allocation_starts_before_completion_is_told),
        cmocka_unit_test(test_sleeper_goes_on_after_the_owner_failed),
        cmocka_unit_test(test_publish_before_and_after),
        cmocka_unit_test(test_drain_waits_for_sleepers_too),
        cmocka_unit_test(test_close_waits),
        cmocka_unit_test(test_cancel_waits_for_one),
        cmocka_unit_test(test_abandon_drops_what_is_in_flight),
        cmocka_unit_test(test_two_loads_of_one_table),
        cmocka_unit_test(test_mark_is_set_once),
        cmocka_unit_test(test_header_changes_do_not_undo_each_other),
        cmocka_unit_test(test_many_sleepers),
        cmocka_unit_test(test_a_crowd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

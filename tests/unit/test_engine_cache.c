/* Resident L2 tables: how many, which go first, what a busy one means; and buffers that outlive the image. */
#include "tests/unit/test_engine_kit.h"

#define LIMIT  50u
#define COVERS (2u << 20) /* one table of 4 KiB maps 512 clusters of 4 KiB */

/* `tables` L2 tables, each with its first cluster holding the table's number plus one. */
static void image(struct kit *k, const char *design, unsigned tables)
{
    kit_begin(k, design);
    kit_create(k, (uint64_t)COVERS * 100, 4096, 1, NULL);
    kit_open(k);
    for (unsigned i = 0; i < tables; i++)
        ok(kit_write(k, (uint64_t)i * COVERS, 4096, (uint8_t)(i + 1)));
    kit_reopen(k);
}

static void read_table(struct kit *k, unsigned i)
{
    kit_expect(k, (uint64_t)i * COVERS, 512, (uint8_t)(i + 1));
}

/* Reads of the file that one guest read costs: its data, and the table unless resident. */
static bool loads(struct kit *k, unsigned i)
{
    uint64_t before = k->file->reads;

    read_table(k, i);
    assert_in_range(k->file->reads - before, 1, 2);
    return k->file->reads - before == 2;
}

static void test_fifty_tables_stay(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "upstream", LIMIT);
    for (unsigned i = 0; i < LIMIT; i++)
        assert_true(loads(&k, i));
    for (unsigned i = 0; i < LIMIT; i++)
        assert_false(loads(&k, i));
    kit_end(&k);
}

static void test_oldest_goes_first_and_a_hit_does_not_save_it(void **state)
{
    struct kit k;

    (void)state;
    image(&k, "upstream", LIMIT + 2);
    for (unsigned i = 0; i < LIMIT; i++)
        read_table(&k, i);
    read_table(&k, 0);
    assert_true(loads(&k, LIMIT));
    assert_false(loads(&k, 1));
    assert_true(loads(&k, 0)); /* was evicted; its return evicts 1 */
    assert_true(loads(&k, 1));
    assert_false(loads(&k, LIMIT));
    kit_end(&k);
}

/* All tables in use: the cache grows for a while, and shrinks to its limit again. */
static void test_grows_while_all_are_busy(void **state)
{
    struct kit_op *op[60];
    struct kit k;
    unsigned again = 0;

    (void)state;
    image(&k, "upstream", 60);
    k.world->delayed = true;
    for (unsigned i = 0; i < 60; i++) {
        op[i] = kit_start_read(&k, (uint64_t)i * COVERS, 4096);
        while (test_world_deliver_event(k.world, BLK_EVENT_L2_LOAD))
            ; /* each read keeps its table while its data is in flight */
    }
    for (unsigned i = 0; i < 60; i++) {
        ok(kit_wait(op[i]));
        assert_int_equal(op[i]->buf[0], i + 1);
    }
    k.world->delayed = false;
    for (unsigned i = 60; i-- > 0;)
        again += loads(&k, i);
    assert_true(again <= 60);
    for (unsigned i = 0; i < LIMIT; i++)
        read_table(&k, i);
    for (unsigned i = 0; i < LIMIT; i++)
        assert_false(loads(&k, i));
    kit_end(&k);
}

/* Ordering point "evict": with it, a table in use may go, and what two copies' users change is lost. Memory is sound. */
static void evict_while_in_use(bool evict_referenced)
{
    struct kit_op *write;
    struct kit k;

    image(&k, "v2", 60);
    kit_close(&k);
    k.design.evict_referenced = evict_referenced;
    kit_open(&k);
    k.world->delayed = true;
    write = kit_start_write(&k, 4096, 4096, 0xaa); /* holds table 0 while its data is in flight */
    while (test_world_deliver_event(k.world, BLK_EVENT_L2_LOAD))
        ;
    assert_int_equal(test_world_pending(k.world, BLK_EVENT_WRITE_AIO), 1);
    k.world->order = TEST_LIFO;
    for (unsigned i = 1; i < 60; i++)
        read_table(&k, i);
    assert_false(write->done);
    kit_expect(&k, 8192, 512, 0); /* another copy of table 0, if it went */
    ok(kit_wait(write));
    if (!evict_referenced)
        kit_expect(&k, 4096, 4096, 0xaa);
    for (unsigned i = 0; i < 60; i++)
        read_table(&k, i);
    kit_reopen(&k);
    kit_expect(&k, 4096, 4096, 0xaa); /* on disk it is, either way */
    kit_end(&k);
}

static void test_tables_in_use_stay(void **state)
{
    (void)state;
    evict_while_in_use(false);
}

static void test_evicting_referenced_tables_is_memory_safe(void **state)
{
    (void)state;
    evict_while_in_use(true);
}

static void test_evict_referenced_under_load(void **state)
{
    (void)state;
    for (unsigned seed = 0; seed < 10; seed++) {
        struct kit_op *op[200];
        struct kit k;

        image(&k, seed % 2 ? "v2" : "careful", 70);
        kit_close(&k);
        k.design.evict_referenced = true;
        k.design.lock = QED_LOCK_TABLE;
        kit_open(&k);
        k.world->delayed = true;
        k.world->order = TEST_RANDOM;
        k.world->random += seed;
        for (unsigned i = 0; i < 200; i++) {
            uint64_t pos = test_world_random(k.world) % 70 * COVERS + test_world_random(k.world) % 6 * 4096;

            op[i] = i % 2 ? kit_start_write(&k, pos, 4096, 0xaa) : kit_start_read(&k, pos, 4096);
        }
        for (unsigned i = 0; i < 200; i++)
            ok(kit_wait(op[i]));
        kit_end(&k);
    }
}

/* ---- the pool ---- */

static void a_session(struct kit *k)
{
    kit_open(k);
    ok(kit_write(k, 512, 512, 0x11));
    ok(kit_write(k, COVERS - 4096, 8192, 0x22));
    kit_expect(k, 0, 512, 0);
    kit_expect(k, 512, 512, 0x11);
    ok(kit_flush(k));
    kit_check_is(k, 0, 0);
    kit_close(k);
}

static void test_second_open_allocates_nothing(void **state)
{
    static const char *const designs[] = {"v2", "cow-flush", "upstream", "careful"};

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        struct qed_pool *pool = qed_pool_create();
        struct test_dev *blank;
        struct kit k;
        uint64_t misses;

        kit_begin(&k, designs[i % 4]);
        k.options.pool = pool;
        kit_backing(&k, "base.raw", 4 * COVERS, 0);
        kit_create(&k, (uint64_t)COVERS * 100, 4096, 1, i / 4 ? "base.raw" : NULL);
        blank = test_dev_clone(k.world, k.file);
        a_session(&k);
        a_session(&k);
        misses = qed_pool_misses(pool);
        assert_true(misses > 0);
        for (unsigned n = 0; n < 3; n++)
            a_session(&k);
        assert_int_equal(qed_pool_misses(pool), misses);

        test_dev_destroy(k.file); /* another image of the same geometry, and a marked one */
        k.file = blank;
        a_session(&k);
        test_dev_poke64(k.file, 16, test_dev_peek64(k.file, 16) | QED_F_NEED_CHECK);
        a_session(&k);
        assert_int_equal(qed_pool_misses(pool), misses);
        kit_end(&k);
        qed_pool_destroy(pool);
    }
}

/* Abandoned in the middle of anything, every buffer comes back, and zeroed ones are zero. */
static void test_abandon_gives_everything_back(void **state)
{
    struct qed_pool *pool = qed_pool_create();
    struct kit k;
    uint64_t misses = 0;

    (void)state;
    kit_begin(&k, "careful");
    k.options.pool = pool;
    kit_create(&k, (uint64_t)COVERS * 100, 4096, 1, NULL);
    kit_open(&k);
    ok(kit_write(&k, 0, 4096, 0x11));
    kit_close(&k);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned n = 0; n < 12; n++) {
            struct test_dev *whole = k.file;

            k.file = test_dev_clone(k.world, whole);
            k.world->delayed = false;
            kit_open(&k);
            k.world->delayed = true;
            kit_start_write(&k, 4096 + 512, 512, 0x22);
            kit_start_write(&k, COVERS, 512, 0x33);
            kit_start_read(&k, 0, 4096);
            for (unsigned i = 0; i < n; i++)
                k.world->loop.ops->poll(&k.world->loop);
            kit_abandon(&k);
            test_dev_destroy(k.file);
            k.file = whole;
        }
        if (round)
            assert_int_equal(qed_pool_misses(pool), misses);
        misses = qed_pool_misses(pool);
    }
    k.world->delayed = false;
    kit_open(&k);
    kit_expect(&k, 0, 4096, 0x11);
    kit_expect(&k, 4096, COVERS, 0);
    kit_check_is(&k, 0, 0);
    kit_end(&k);
    qed_pool_destroy(pool);
}

/* A failed open gives everything back too. */
static void test_failed_open_gives_everything_back(void **state)
{
    struct qed_pool *pool = qed_pool_create();
    struct kit k;
    uint64_t misses = 0;

    (void)state;
    kit_begin(&k, "upstream");
    k.options.pool = pool;
    kit_create(&k, (uint64_t)COVERS * 100, 4096, 1, "gone.raw");
    for (unsigned n = 0; n < 5; n++) {
        assert_int_equal(kit_try_open(&k), -ENOENT);
        if (n)
            assert_int_equal(qed_pool_misses(pool), misses);
        misses = qed_pool_misses(pool);
    }
    kit_end(&k);
    qed_pool_destroy(pool);
}

/* The largest table there is: 16 clusters of 64 MiB would be a gigabyte of zeros to read. */
static void test_large_geometry(void **state)
{
    struct kit k;

    (void)state;
    kit_begin(&k, "careful");
    kit_create(&k, UINT64_C(1) << 50, 2u << 20, 4, NULL);
    kit_open(&k);
    ok(kit_write(&k, (UINT64_C(1) << 50) - 512, 512, 0x11));
    kit_reopen(&k);
    kit_expect(&k, (UINT64_C(1) << 50) - 512, 512, 0x11);
    kit_expect(&k, (UINT64_C(1) << 50) - 1024, 512, 0);
    kit_end(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fifty_tables_stay),
        cmocka_unit_test(test_oldest_goes_first_and_a_hit_does_not_save_it),
        cmocka_unit_test(test_grows_while_all_are_busy),
        cmocka_unit_test(test_tables_in_use_stay),
        cmocka_unit_test(test_evicting_referenced_tables_is_memory_safe),
        cmocka_unit_test(test_evict_referenced_under_load),
        cmocka_unit_test(test_second_open_allocates_nothing),
        cmocka_unit_test(test_abandon_gives_everything_back),
        cmocka_unit_test(test_failed_open_gives_everything_back),
        cmocka_unit_test(test_large_geometry),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

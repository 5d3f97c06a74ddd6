/* The engine against a flat array: random geometries, operations, designs, backing files and completion orders. */
#include "tests/unit/test_engine_kit.h"

#define SECTOR  512u
#define MAX_OPS 8

struct model {
    struct kit k;
    struct qed_pool *pool;
    uint32_t cs, ts;
    uint64_t bytes;
    uint8_t *flat;
    struct {
        struct kit_op *op;
        uint64_t pos, length;
        bool write;
        uint8_t *expected; /* of a read */
    } inflight[MAX_OPS];
    size_t count;
    uint8_t next_byte;
};

static uint64_t rnd(struct model *m, uint64_t below)
{
    return test_world_random(m->k.world) % below;
}

static void settle(struct model *m, size_t i)
{
    struct kit_op *op = m->inflight[i].op;

    ok(kit_wait(op));
    if (m->inflight[i].expected) {
        assert_memory_equal(op->buf, m->inflight[i].expected, m->inflight[i].length);
        free(m->inflight[i].expected);
    }
    m->inflight[i] = m->inflight[--m->count];
}

static void settle_all(struct model *m)
{
    while (m->count)
        settle(m, m->count - 1);
}

/* The guest keeps overlapping requests apart, unless both read. */
static void settle_overlapping(struct model *m, uint64_t pos, uint64_t length, bool write)
{
    for (size_t i = m->count; i-- > 0;) {
        bool apart = m->inflight[i].pos >= pos + length || pos >= m->inflight[i].pos + m->inflight[i].length;

        if (!apart && (write || m->inflight[i].write))
            settle(m, i);
    }
}

/* Most ranges are near table and cluster borders, or within a few clusters, so that they meet. */
static void choose_range(struct model *m, uint64_t *pos, uint64_t *length)
{
    uint64_t covered = (uint64_t)m->cs * m->cs * m->ts / 8;
    uint64_t at = rnd(m, 3) ? rnd(m, 12 * m->cs) : rnd(m, m->bytes);

    if (rnd(m, 4) == 0)
        at = covered - rnd(m, 3 * m->cs);
    if (rnd(m, 4) == 0)
        at -= at % m->cs;
    *length = rnd(m, 3) ? SECTOR * (1 + rnd(m, 2 * m->cs / SECTOR)) : m->cs * (1 + rnd(m, 4));
    at -= at % SECTOR;
    if (at >= m->bytes)
        at = rnd(m, m->bytes / SECTOR) * SECTOR;
    if (*length > m->bytes - at)
        *length = m->bytes - at;
    *pos = at;
}

static void track(struct model *m, struct kit_op *op, uint64_t pos, uint64_t length, bool write)
{
    if (m->count == MAX_OPS)
        settle(m, 0);
    m->inflight[m->count].op = op;
    m->inflight[m->count].pos = pos;
    m->inflight[m->count].length = length;
    m->inflight[m->count].write = write;
    m->inflight[m->count].expected = NULL;
    m->count++;
}

static void do_write(struct model *m)
{
    uint64_t pos, length;

    choose_range(m, &pos, &length);
    settle_overlapping(m, pos, length, true);
    m->next_byte = (uint8_t)(m->next_byte % 250 + 1);
    memset(m->flat + pos, m->next_byte, length);
    track(m, kit_start_write(&m->k, pos, length, m->next_byte), pos, length, true);
}

static void do_zero(struct model *m)
{
    uint64_t pos, length;

    choose_range(m, &pos, &length);
    settle_overlapping(m, pos, length, true);
    memset(m->flat + pos, 0, length);
    track(m, kit_start_zero(&m->k, pos, length), pos, length, true);
}

static void do_read(struct model *m)
{
    uint64_t pos, length;

    choose_range(m, &pos, &length);
    settle_overlapping(m, pos, length, false);
    track(m, kit_start_read(&m->k, pos, length), pos, length, false);
    m->inflight[m->count - 1].expected = malloc(length);
    memcpy(m->inflight[m->count - 1].expected, m->flat + pos, length);
}

/* Discard is ignored, or its clusters read zeros from then on: the model follows what the guest sees. */
static void do_discard(struct model *m)
{
    uint64_t pos, length;
    uint8_t *now;

    choose_range(m, &pos, &length);
    settle_overlapping(m, pos, length, true);
    ok(kit_discard(&m->k, pos, length));
    now = malloc(length);
    ok(kit_read(&m->k, pos, length, now));
    for (uint64_t i = 0; i < length; i++)
        assert_true(now[i] == 0 || now[i] == m->flat[pos + i]);
    memcpy(m->flat + pos, now, length);
    free(now);
}

static void do_reopen(struct model *m)
{
    struct qed_check_result r;

    settle_all(m);
    ok(qed_check(m->k.q, false, &r));
    assert_int_equal(r.corruptions, 0);
    assert_int_equal(r.check_errors, 0);
    if (m->k.design.reuse == QED_REUSE_NEVER)
        assert_int_equal(r.leaks, 0);
    kit_reopen(&m->k);
}

static void do_truncate(struct model *m)
{
    uint64_t grown = m->bytes + SECTOR * rnd(m, 200);

    settle_all(m);
    if (m->k.host.count && m->k.host.files[0].dev->length > m->bytes)
        return;
    ok(qed_truncate(m->k.q, grown, &m->k.err));
    m->flat = realloc(m->flat, grown);
    memset(m->flat + m->bytes, 0, grown - m->bytes);
    m->bytes = grown;
}

static void step(struct model *m)
{
    switch (rnd(m, 20)) {
    case 0:
        if (rnd(m, 4) == 0)
            do_reopen(m);
        break;
    case 1:
        if (rnd(m, 8) == 0)
            do_truncate(m);
        break;
    case 2:
        track(m, kit_start_flush(&m->k), 0, 0, false);
        break;
    case 3:
        do_discard(m);
        break;
    case 4:
    case 5:
    case 6:
        do_zero(m);
        break;
    case 7:
        test_world_advance(m->k.world, rnd(m, 6000));
        break;
    case 8:
        ok(qed_drain(m->k.q));
        break;
    case 9:
    case 10:
    case 11:
    case 12:
    case 13:
        do_read(m);
        break;
    default:
        do_write(m);
    }
}

static void start(struct model *m, const char *design, uint64_t seed, bool delayed)
{
    memset(m, 0, sizeof(*m));
    kit_begin(&m->k, design);
    m->k.world->random += seed * 7919;
    m->cs = 4096u << rnd(m, 2);
    m->ts = m->cs == 4096 ? 1u << rnd(m, 3) : 1;
    m->bytes = (uint64_t)m->cs * m->cs * m->ts / 8 + SECTOR * (1 + rnd(m, 300));
    m->pool = qed_pool_create();
    m->k.options.pool = m->pool;
    m->k.world->delayed = delayed;
    m->k.world->order = (enum test_order)rnd(m, 3);
}

/* A backing file shorter than, as long as, or longer than the image; not always whole sectors. */
static void add_backing(struct model *m)
{
    uint64_t length = rnd(m, 3) ? rnd(m, m->bytes + 100000) : rnd(m, 20 * m->cs);
    struct test_dev *dev = kit_backing(&m->k, "base.raw", length, 0);

    for (uint64_t i = 0; i < length; i++)
        dev->bytes[i] = (uint8_t)(1 + i / SECTOR % 255);
    memcpy(m->flat, dev->bytes, length < m->bytes ? length : m->bytes);
}

static void run_model(const char *design, uint64_t seed, bool delayed, bool backing, bool longer,
                      void (*tweak)(struct qed_design *))
{
    struct model m;

    start(&m, design, seed, delayed);
    if (tweak)
        tweak(&m.k.design);
    m.flat = calloc(1, m.bytes);
    if (backing)
        add_backing(&m);
    if (longer) /* the 2010 driver fails reads beyond the backing file's end */
        test_dev_set_length(m.k.host.files[0].dev, m.bytes + 0x40000);
    if (longer)
        memset(m.flat, 0, m.bytes), memcpy(m.flat, m.k.host.files[0].dev->bytes, m.bytes);
    kit_create(&m.k, m.bytes, m.cs, m.ts, backing ? "base.raw" : NULL);
    kit_open(&m.k);
    for (unsigned i = 0; i < 250; i++)
        step(&m);
    do_reopen(&m);
    for (uint64_t pos = 0; pos < m.bytes; pos += 64 * SECTOR) {
        uint64_t length = m.bytes - pos < 64 * SECTOR ? m.bytes - pos : 64 * SECTOR;
        uint8_t buf[64 * SECTOR];

        ok(kit_read(&m.k, pos, length, buf));
        if (memcmp(buf, m.flat + pos, length) != 0)
            fail_msg("design %s seed %llu: guest bytes at %llx differ", design, (unsigned long long)seed,
                     (unsigned long long)pos);
    }
    kit_end(&m.k);
    qed_pool_destroy(m.pool);
    free(m.flat);
}

static void all_ways(const char *design, bool backing, bool longer, void (*tweak)(struct qed_design *))
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        run_model(design, seed, seed % 3 != 0, backing, longer, tweak);
}

static void test_v2(void **state)
{
    (void)state;
    all_ways("v2", false, false, NULL);
    all_ways("v2", true, true, NULL);
}

static void test_cow_flush(void **state)
{
    (void)state;
    all_ways("cow-flush", false, false, NULL);
    all_ways("cow-flush", true, true, NULL);
}

static void test_careful(void **state)
{
    (void)state;
    all_ways("careful", false, false, NULL);
    all_ways("careful", true, false, NULL);
}

static void zeros_around_zero_clusters(struct qed_design *d)
{
    d->zero_cluster_fill = QED_ZERO_CLUSTER_FILL_ZEROS;
}

static void test_upstream(void **state)
{
    (void)state;
    all_ways("upstream", false, false, NULL);
    all_ways("upstream", true, false, zeros_around_zero_clusters); /* without QEMU 7.2's quirk 1 */
}

static void per_table(struct qed_design *d)
{
    d->lock = QED_LOCK_TABLE;
    d->zero_fill = QED_ZERO_FILL_SKIP_NEW_SPACE;
    d->clear_on = QED_CLEAR_ON_GUEST_FLUSH | QED_CLEAR_ON_TIMER | QED_CLEAR_ON_L1_UPDATE | QED_CLEAR_ON_CLOSE;
    d->clear_timer_ms = 100;
}

static void test_careful_with_table_locks(void **state)
{
    (void)state;
    all_ways("careful", false, false, per_table);
    all_ways("careful", true, false, per_table);
}

static void reusing(struct qed_design *d)
{
    d->reuse = QED_REUSE_AT_ONCE;
    d->lock = QED_LOCK_TABLE;
    d->data_flush = QED_DATA_FLUSH_REUSE;
}

static void reusing_later(struct qed_design *d)
{
    d->reuse = QED_REUSE_AFTER_FLUSH;
    d->clear_on |= QED_CLEAR_ON_GUEST_FLUSH;
    d->clear_order = QED_CLEAR_BEFORE_FLUSH;
    d->zero_fill = QED_ZERO_FILL_SKIP_NEW_SPACE;
}

/* A guest that keeps its overlapping requests apart sees nothing of reuse, as long as the power stays on. */
static void test_reuse(void **state)
{
    (void)state;
    all_ways("careful", false, false, reusing);
    all_ways("careful", true, false, reusing);
    all_ways("careful", false, false, reusing_later);
    all_ways("careful", true, false, reusing_later);
}

static void skipping(struct qed_design *d)
{
    d->zero_fill = QED_ZERO_FILL_SKIP_ALL_ZERO;
    d->data_flush = QED_DATA_FLUSH_PARTIAL;
    d->tail = QED_TAIL_ROUND_UP;
    d->lock = QED_LOCK_TABLE;
    d->need_check = QED_NEED_CHECK_WRITTEN;
}

static void test_skipping_zero_fills(void **state)
{
    (void)state;
    all_ways("careful", false, false, skipping);
    all_ways("careful", true, false, skipping);
}

static void real_zeros(struct qed_design *d)
{
    d->native_zero = false;
    d->clear_order = QED_CLEAR_WITHOUT_FLUSH;
    d->clear_on |= QED_CLEAR_ON_GUEST_FLUSH | QED_CLEAR_ON_L1_UPDATE;
}

static void test_without_zero_entries(void **state)
{
    (void)state;
    all_ways("careful", false, false, real_zeros);
    all_ways("careful", true, false, real_zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v2),
        cmocka_unit_test(test_cow_flush),
        cmocka_unit_test(test_careful),
        cmocka_unit_test(test_upstream),
        cmocka_unit_test(test_careful_with_table_locks),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_skipping_zero_fills),
        cmocka_unit_test(test_without_zero_entries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

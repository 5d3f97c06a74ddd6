/* The recording disk: when contents change, what the history says, which I/O an injected error hits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "simdisk/recorder.h"

#define SECTOR  BLK_SECTOR_BYTES
#define PENDING 12345

struct disk {
    struct sim_loop *loop;
    struct recorder *r;
    struct blockdev *blk;
};

static struct disk disk_with(const char *model, struct sim_pages *base, uint64_t length, struct sim_schedule schedule)
{
    struct disk d;

    d.loop = sim_loop_create(&schedule);
    d.r = recorder_create(d.loop, base, length, sim_disk_model_find(model));
    d.blk = recorder_blk(d.r);
    return d;
}

static struct disk disk_new(void)
{
    return disk_with("ssd", sim_pages_create(), 0, (struct sim_schedule){.number = 1});
}

static void disk_end(struct disk *d)
{
    history_destroy(recorder_finish(d->r));
    sim_loop_destroy(d->loop);
}

/* A request: its result is PENDING until done. */
struct req {
    int ret;
    uint8_t buf[2 * SECTOR];
    struct iovec iov[2];
};

static void done(void *opaque, int ret)
{
    struct req *q = opaque;

    assert_int_equal(q->ret, PENDING);
    q->ret = ret;
}

static void req_init(struct req *q, uint8_t byte)
{
    q->ret = PENDING;
    memset(q->buf, byte, sizeof(q->buf));
    q->iov[0] = (struct iovec){q->buf, 100};
    q->iov[1] = (struct iovec){q->buf + 100, sizeof(q->buf) - 100};
}

/* Two sectors of this byte. */
static void start_write(struct disk *d, struct req *q, uint64_t offset, uint8_t byte)
{
    req_init(q, byte);
    d->blk->ops->writev(d->blk, offset, q->iov, 2, done, q);
    memset(q->iov, 0xff, sizeof(q->iov)); /* the array is ours again */
}

static void start_read(struct disk *d, struct req *q, uint64_t offset)
{
    req_init(q, 0xee);
    d->blk->ops->readv(d->blk, offset, q->iov, 2, done, q);
    memset(q->iov, 0xff, sizeof(q->iov));
}

static void start_flush(struct disk *d, struct req *q)
{
    req_init(q, 0);
    d->blk->ops->flush(d->blk, done, q);
}

static void drain(struct disk *d)
{
    while (sim_loop_poll(d->loop))
        ;
}

static int write_now(struct disk *d, enum blk_event event, uint64_t offset, uint8_t byte)
{
    struct req q;

    if (event != BLK_EVENT_NONE)
        d->blk->ops->event(d->blk, event);
    start_write(d, &q, offset, byte);
    drain(d);
    return q.ret;
}

static int flush_now(struct disk *d, enum blk_event event)
{
    struct req q;

    if (event != BLK_EVENT_NONE)
        d->blk->ops->event(d->blk, event);
    start_flush(d, &q);
    drain(d);
    return q.ret;
}

/* The byte of two equal sectors. */
static int read_now(struct disk *d, uint64_t offset)
{
    struct req q;

    start_read(d, &q, offset);
    drain(d);
    for (size_t i = 1; i < sizeof(q.buf); i++)
        assert_int_equal(q.buf[i], q.buf[0]);
    return q.ret ? q.ret : q.buf[0];
}

static uint64_t length_now(struct disk *d)
{
    uint64_t length;

    assert_int_equal(d->blk->ops->length(d->blk, 1, &length), 0);
    return length;
}

static void inject(struct disk *d, enum blk_event event, int error, bool once, uint32_t after)
{
    recorder_inject(d->r, &(struct inject_rule){.event = event, .error = error, .once = once, .after = after});
}

/* ---- contents ---- */

static void test_contents_change_at_completion(void **state)
{
    static const uint8_t script[] = {1, 0}; /* of [write, read]: the read first */
    struct disk d = disk_with("ssd", sim_pages_create(), 0, (struct sim_schedule){.script = script, .script_len = 2});
    struct req w, r1, r2;
    uint64_t length;

    (void)state;
    start_write(&d, &w, 4096, 7);
    assert_int_equal(w.ret, PENDING);
    assert_int_equal(length_now(&d), 0);
    start_read(&d, &r1, 4096);
    assert_true(sim_loop_poll(d.loop));
    assert_int_equal(r1.ret, 0);
    assert_int_equal(r1.buf[0], 0);
    start_read(&d, &r2, 4096);
    drain(&d);
    assert_int_equal(w.ret, 0);
    assert_int_equal(r2.buf[0], 7);
    assert_int_equal(r2.buf[1023], 7);
    assert_int_equal(length_now(&d), 5120);
    assert_int_equal(d.blk->ops->length(d.blk, 4096, &length), 0);
    assert_int_equal(length, 4096);
    assert_int_equal(d.blk->ops->next_data(d.blk, 0, 8192), 4096);
    disk_end(&d);
}

static void test_completion_order_decides_overlapping_writes(void **state)
{
    static const uint8_t script[] = {1};
    struct disk d = disk_with("ssd", sim_pages_create(), 0, (struct sim_schedule){.script = script, .script_len = 1});
    struct req a, b;

    (void)state;
    start_write(&d, &a, 0, 1);
    start_write(&d, &b, 0, 2);
    drain(&d);
    assert_int_equal(read_now(&d, 0), 1);
    disk_end(&d);
}

static void test_base_stays_and_is_cut_at_the_length(void **state)
{
    struct sim_pages *base = sim_pages_create();
    uint8_t junk[4096];
    struct disk d;

    (void)state;
    memset(junk, 9, sizeof(junk));
    sim_pages_write(base, 0, junk, sizeof(junk));
    d = disk_with("ssd", base, 1024, (struct sim_schedule){.number = 1});
    assert_int_equal(read_now(&d, 0), 9);
    assert_int_equal(read_now(&d, 1024), 0);
    assert_int_equal(write_now(&d, BLK_EVENT_NONE, 0, 1), 0);
    assert_int_equal(sim_pages_at(recorder_history(d.r)->base, 0)[0], 9);
    assert_int_equal(sim_pages_at(recorder_history(d.r)->base, 0)[1024], 0);
    assert_int_equal(recorder_history(d.r)->base_length_bytes, 1024);
    disk_end(&d);
}

static void test_history_of_a_run(void **state)
{
    struct disk d = disk_new();
    struct history *h = recorder_history(d.r);
    struct req a, b, f;

    (void)state;
    d.blk->ops->event(d.blk, BLK_EVENT_L2_UPDATE);
    start_write(&d, &a, 0, 1);
    start_write(&d, &b, 4096, 2); /* not announced */
    d.blk->ops->event(d.blk, BLK_EVENT_FLUSH_TO_DISK);
    start_flush(&d, &f);
    drain(&d);
    assert_int_equal(d.blk->ops->resize(d.blk, 512), 0);
    assert_int_equal(h->op_count, 4);
    assert_int_equal(h->event_count, 8);
    assert_int_equal(h->ops[0].label, BLK_EVENT_L2_UPDATE);
    assert_int_equal(h->ops[1].label, BLK_EVENT_NONE);
    assert_int_equal(h->ops[1].offset_bytes, 4096);
    assert_int_equal(h->ops[1].length_bytes, 1024);
    assert_int_equal(h->ops[1].data[1023], 2);
    assert_int_equal(h->ops[2].kind, HIST_FLUSH);
    assert_int_equal(h->ops[2].label, BLK_EVENT_FLUSH_TO_DISK);
    assert_int_equal(h->ops[2].submitted, 2);
    assert_int_equal(h->ops[2].done, 5);
    assert_int_equal(h->ops[3].kind, HIST_RESIZE);
    assert_int_equal(h->ops[3].length_bytes, 512);
    assert_int_equal(h->ops[3].submitted + 1, h->ops[3].done);
    for (size_t i = 0; i < 4; i++) {
        assert_true(h->ops[i].reached_disk);
        assert_int_equal(h->ops[i].ret, 0);
    }
    disk_end(&d);
}

static void test_resize(void **state)
{
    struct disk d = disk_new();

    (void)state;
    assert_int_equal(write_now(&d, BLK_EVENT_NONE, 0, 5), 0);
    assert_int_equal(d.blk->ops->resize(d.blk, 8192), 0);
    assert_int_equal(length_now(&d), 8192);
    assert_int_equal(read_now(&d, 4096), 0);
    assert_int_equal(d.blk->ops->resize(d.blk, 0), 0);
    assert_int_equal(d.blk->ops->resize(d.blk, 1024), 0);
    assert_int_equal(read_now(&d, 0), 0);
    disk_end(&d);
}

static void test_fixed_size(void **state)
{
    struct disk d = disk_with("hostdev", sim_pages_create(), 8192, (struct sim_schedule){.number = 1});
    struct history *h = recorder_history(d.r);

    (void)state;
    assert_true(h->fixed_size);
    assert_null(d.blk->ops->resize);
    assert_int_equal(write_now(&d, BLK_EVENT_NONE, 7168, 1), 0);
    assert_int_equal(write_now(&d, BLK_EVENT_WRITE_AIO, 7680, 2), -ENOSPC);
    assert_int_equal(write_now(&d, BLK_EVENT_NONE, UINT64_MAX - 511, 2), -ENOSPC);
    assert_int_equal(read_now(&d, 7168), 1);
    assert_int_equal(read_now(&d, 8192), 0);
    assert_int_equal(length_now(&d), 8192);
    assert_int_equal(h->ops[1].ret, -ENOSPC);
    assert_false(h->ops[1].reached_disk);
    assert_int_equal(flush_now(&d, BLK_EVENT_NONE), 0);
    disk_end(&d);
}

/* ---- injected errors ---- */

static void test_a_failed_write_does_not_touch_the_disk(void **state)
{
    struct disk d = disk_new();
    struct history *h = recorder_history(d.r);

    (void)state;
    inject(&d, BLK_EVENT_L2_UPDATE, -EIO, true, 0);
    assert_int_equal(write_now(&d, BLK_EVENT_WRITE_AIO, 0, 1), 0);
    assert_int_equal(write_now(&d, BLK_EVENT_L2_UPDATE, 0, 2), -EIO);
    assert_int_equal(read_now(&d, 0), 1);
    assert_int_equal(write_now(&d, BLK_EVENT_L2_UPDATE, 0, 3), 0); /* once */
    assert_int_equal(recorder_injected(d.r), 1);
    assert_int_equal(h->ops[1].ret, -EIO);
    assert_false(h->ops[1].reached_disk);
    assert_int_equal(h->ops[1].data[0], 2);
    assert_true(h->ops[2].reached_disk);
    disk_end(&d);
}

static void test_always_and_after(void **state)
{
    struct disk d = disk_new();

    (void)state;
    inject(&d, BLK_EVENT_WRITE_AIO, -ENOSPC, false, 2);
    inject(&d, BLK_EVENT_COW_WRITE, -EIO, true, 1);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(write_now(&d, BLK_EVENT_WRITE_AIO, 0, 1), i < 2 ? 0 : -ENOSPC);
        assert_int_equal(write_now(&d, BLK_EVENT_COW_WRITE, 0, 1), i == 1 ? -EIO : 0);
    }
    assert_int_equal(recorder_injected(d.r), 5);
    disk_end(&d);
}

static void test_two_rules_on_one_event(void **state)
{
    struct disk d = disk_new();

    (void)state;
    inject(&d, BLK_EVENT_WRITE_AIO, -EIO, true, 1);
    inject(&d, BLK_EVENT_WRITE_AIO, -ENOSPC, true, 1);
    assert_int_equal(write_now(&d, BLK_EVENT_WRITE_AIO, 0, 1), 0);
    assert_int_equal(write_now(&d, BLK_EVENT_WRITE_AIO, 0, 1), -EIO);
    assert_int_equal(write_now(&d, BLK_EVENT_WRITE_AIO, 0, 1), -ENOSPC);
    assert_int_equal(write_now(&d, BLK_EVENT_WRITE_AIO, 0, 1), 0);
    disk_end(&d);
}

static void test_reads_flushes_and_resizes_fail_too(void **state)
{
    struct disk d = disk_new();
    struct history *h = recorder_history(d.r);
    struct req r;

    (void)state;
    inject(&d, BLK_EVENT_L2_LOAD, -EIO, true, 0);
    inject(&d, BLK_EVENT_FLUSH_TO_DISK, -EIO, true, 0);
    inject(&d, BLK_EVENT_TRUNCATE, -ENOSPC, true, 0);
    d.blk->ops->event(d.blk, BLK_EVENT_L2_LOAD);
    start_read(&d, &r, 0);
    assert_int_equal(r.ret, PENDING); /* an error, too, comes when it completes */
    drain(&d);
    assert_int_equal(r.ret, -EIO);
    assert_int_equal(r.buf[0], 0xee);
    assert_int_equal(flush_now(&d, BLK_EVENT_FLUSH_TO_DISK), -EIO);
    assert_int_equal(flush_now(&d, BLK_EVENT_FLUSH_TO_DISK), 0);
    d.blk->ops->event(d.blk, BLK_EVENT_TRUNCATE);
    assert_int_equal(d.blk->ops->resize(d.blk, 4096), -ENOSPC);
    assert_int_equal(length_now(&d), 0);
    assert_int_equal(h->ops[0].ret, -EIO);
    assert_false(h->ops[0].reached_disk);
    assert_true(h->ops[1].reached_disk);
    assert_int_equal(h->ops[2].ret, -ENOSPC);
    assert_false(h->ops[2].reached_disk);
    disk_end(&d);
}

static void test_an_announcement_without_io_arms_nothing(void **state)
{
    struct disk d = disk_new();
    struct history *h = recorder_history(d.r);

    (void)state;
    inject(&d, BLK_EVENT_L2_UPDATE, -EIO, false, 0);
    inject(&d, BLK_EVENT_CLUSTER_ALLOC, -EIO, false, 0);
    inject(&d, BLK_EVENT_NONE, -EIO, false, 0);
    d.blk->ops->event(d.blk, BLK_EVENT_L2_UPDATE);
    assert_int_equal(write_now(&d, BLK_EVENT_WRITE_AIO, 0, 1), 0); /* replaced */
    d.blk->ops->event(d.blk, BLK_EVENT_L2_UPDATE);
    d.blk->ops->event(d.blk, BLK_EVENT_CLUSTER_ALLOC);
    assert_int_equal(write_now(&d, BLK_EVENT_NONE, 0, 1), 0); /* replaced, and names no I/O itself */
    d.blk->ops->event(d.blk, BLK_EVENT_CLUSTER_FREE);
    assert_int_equal(write_now(&d, BLK_EVENT_NONE, 0, 1), 0);
    assert_int_equal(h->ops[1].label, BLK_EVENT_NONE);
    assert_int_equal(recorder_injected(d.r), 0);
    disk_end(&d);
}

static void test_backing_gate(void **state)
{
    struct disk d = disk_new();

    (void)state;
    inject(&d, BLK_EVENT_COW_READ, -EIO, true, 1);
    for (int i = 0; i < 3; i++) {
        d.blk->ops->event(d.blk, BLK_EVENT_COW_READ);
        assert_int_equal(d.blk->ops->backing_gate(d.blk), i == 1 ? -EIO : 0);
        /* The gate took the announcement: the next I/O is not hit, and not labelled. */
        assert_int_equal(write_now(&d, BLK_EVENT_NONE, 0, 1), 0);
        assert_int_equal(recorder_history(d.r)->ops[i].label, BLK_EVENT_NONE);
    }
    assert_int_equal(d.blk->ops->backing_gate(d.blk), 0);
    assert_int_equal(recorder_injected(d.r), 1);
    disk_end(&d);
}

static void trace(void *opaque, enum blk_event event)
{
    *(uint32_t *)opaque |= 1u << event;
}

static void test_trace(void **state)
{
    struct disk d = disk_new();
    uint32_t seen = 0;

    (void)state;
    recorder_trace(d.r, trace, &seen);
    d.blk->ops->event(d.blk, BLK_EVENT_L1_LOAD);
    d.blk->ops->event(d.blk, BLK_EVENT_CLUSTER_ALLOC);
    assert_int_equal(seen, 1u << BLK_EVENT_L1_LOAD | 1u << BLK_EVENT_CLUSTER_ALLOC);
    recorder_trace(d.r, NULL, NULL);
    d.blk->ops->event(d.blk, BLK_EVENT_L1_UPDATE);
    assert_int_equal(seen, 1u << BLK_EVENT_L1_LOAD | 1u << BLK_EVENT_CLUSTER_ALLOC);
    disk_end(&d);
}

/* ---- death ---- */

static void test_client_death(void **state)
{
    struct disk d = disk_new();
    struct history *h = recorder_history(d.r);
    struct req a, b, bad, r, f;
    struct req other;
    struct sim_pages *pages = sim_pages_create();
    struct blockdev *neighbour = mem_disk_create_async(d.loop, pages, 4096, false);

    (void)state;
    inject(&d, BLK_EVENT_L1_UPDATE, -EIO, true, 0);
    req_init(&other, 0xee);
    neighbour->ops->readv(neighbour, 0, other.iov, 2, done, &other);
    start_write(&d, &a, 0, 1);
    start_read(&d, &r, 0);
    start_flush(&d, &f);
    d.blk->ops->event(d.blk, BLK_EVENT_L1_UPDATE);
    start_write(&d, &bad, 0, 3);
    start_write(&d, &b, 512, 2);
    d.blk->ops->event(d.blk, BLK_EVENT_L2_UPDATE);
    recorder_client_died(d.r);
    assert_int_equal(a.ret, PENDING);
    assert_int_equal(b.ret, PENDING);
    assert_int_equal(r.buf[0], 0xee);
    assert_int_equal(h->ops[0].done, 4); /* oldest first */
    assert_int_equal(h->ops[0].ret, 0);
    assert_int_equal(h->ops[1].done, HIST_NEVER); /* the flush */
    assert_int_equal(h->ops[2].ret, -EIO);
    assert_int_equal(h->ops[3].done, 6);
    assert_int_equal(sim_loop_pending(d.loop), 1); /* the neighbour's is not ours to drop */
    d.blk->ops->close(d.blk);                      /* does nothing */
    /* The next client. */
    assert_int_equal(write_now(&d, BLK_EVENT_NONE, 8192, 4), 0);
    assert_int_equal(h->ops[4].label, BLK_EVENT_NONE); /* what the dead announced is forgotten */
    assert_int_equal(read_now(&d, 512), 2);
    assert_int_equal(other.ret, 0);
    neighbour->ops->close(neighbour);
    sim_pages_destroy(pages);
    disk_end(&d);
}

static void test_finish_leaves_the_rest_in_flight(void **state)
{
    struct disk d = disk_new();
    struct req w, r, f;
    struct history *h;

    (void)state;
    inject(&d, BLK_EVENT_L1_UPDATE, -EIO, true, 0);
    start_write(&d, &w, 0, 1);
    start_read(&d, &r, 0);
    start_flush(&d, &f);
    h = recorder_finish(d.r);
    assert_int_equal(sim_loop_pending(d.loop), 0);
    assert_int_equal(h->op_count, 2);
    assert_int_equal(h->event_count, 2);
    assert_int_equal(h->ops[0].done, HIST_NEVER);
    assert_int_equal(w.ret, PENDING);
    history_destroy(h);
    sim_loop_destroy(d.loop);
}

/* Same schedule, same history; the bytes of its events say so. */
static void record(uint64_t number, struct hist_event *events, size_t *count)
{
    struct disk d = disk_with("ssd", sim_pages_create(), 0, (struct sim_schedule){.number = number, .seed = 11});
    struct history *h = recorder_history(d.r);
    struct req q[12];

    for (size_t i = 0; i < 12; i++)
        start_write(&d, &q[i], i * 512, (uint8_t)i);
    drain(&d);
    *count = h->event_count;
    memcpy(events, h->events, h->event_count * sizeof(*events));
    disk_end(&d);
}

static void test_deterministic(void **state)
{
    struct hist_event a[64], b[64];
    size_t n, m;

    (void)state;
    memset(a, 0, sizeof(a));
    memset(b, 0, sizeof(b));
    record(4, a, &n);
    record(4, b, &m);
    assert_int_equal(n, 24);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n * sizeof(a[0]));
    record(5, b, &m);
    assert_memory_not_equal(a, b, n * sizeof(a[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents_change_at_completion),
        cmocka_unit_test(test_completion_order_decides_overlapping_writes),
        cmocka_unit_test(test_base_stays_and_is_cut_at_the_length),
        cmocka_unit_test(test_history_of_a_run),
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_fixed_size),
        cmocka_unit_test(test_a_failed_write_does_not_touch_the_disk),
        cmocka_unit_test(test_always_and_after),
        cmocka_unit_test(test_two_rules_on_one_event),
        cmocka_unit_test(test_reads_flushes_and_resizes_fail_too),
        cmocka_unit_test(test_an_announcement_without_io_arms_nothing),
        cmocka_unit_test(test_backing_gate),
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_client_death),
        cmocka_unit_test(test_finish_leaves_the_rest_in_flight),
        cmocka_unit_test(test_deterministic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The memory device: the same answers inline and through the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "simdisk/mem_disk.h"

#define PENDING 12345

static void done(void *opaque, int ret)
{
    assert_int_equal(*(int *)opaque, PENDING);
    *(int *)opaque = ret;
}

static void drain(struct sim_loop *loop)
{
    while (loop && sim_loop_poll(loop))
        ;
}

static int transfer(struct sim_loop *loop, struct blockdev *blk, bool write, uint64_t offset, uint8_t *buf)
{
    struct iovec iov[2] = {{buf, 512}, {buf + 512, 512}};
    int ret = PENDING;

    (write ? blk->ops->writev : blk->ops->readv)(blk, offset, iov, 2, done, &ret);
    assert_int_equal(ret == PENDING, loop != NULL);
    drain(loop);
    return ret;
}

static void try_all(struct sim_loop *loop)
{
    struct sim_pages *pages = sim_pages_create();
    struct blockdev *blk = loop ? mem_disk_create_async(loop, pages, 1000, false) : mem_disk_create(pages, 1000, false);
    uint8_t buf[1024];
    uint64_t length;
    int ret = PENDING;

    assert_ptr_equal(blk->loop, loop ? sim_loop_blk(loop) : NULL);
    assert_int_equal(blk->ops->length(blk, 512, &length), 0);
    assert_int_equal(length, 512);
    memset(buf, 3, sizeof(buf));
    assert_int_equal(transfer(loop, blk, true, 4096, buf), 0);
    assert_int_equal(mem_disk_length(blk), 5120);
    memset(buf, 0xee, sizeof(buf));
    assert_int_equal(transfer(loop, blk, false, 4608, buf), 0);
    assert_int_equal(buf[511], 3);
    assert_int_equal(buf[512], 0); /* beyond the end */
    assert_int_equal(blk->ops->next_data(blk, 0, 99999), 4096);
    blk->ops->flush(blk, done, &ret);
    drain(loop);
    assert_int_equal(ret, 0);
    assert_int_equal(blk->ops->resize(blk, 4096), 0);
    assert_int_equal(blk->ops->resize(blk, 8192), 0);
    assert_int_equal(mem_disk_length(blk), 8192);
    assert_int_equal(transfer(loop, blk, false, 4096, buf), 0);
    assert_int_equal(buf[0], 0);
    blk->ops->close(blk);
    sim_pages_destroy(pages);
}

static void test_inline(void **state)
{
    (void)state;
    try_all(NULL);
}

static void test_async(void **state)
{
    struct sim_loop *loop = sim_loop_create(&(struct sim_schedule){.number = 1});

    (void)state;
    try_all(loop);
    sim_loop_destroy(loop);
}

static void test_read_only(void **state)
{
    struct sim_pages *pages = sim_pages_create();
    struct blockdev *blk = mem_disk_create(pages, 1024, true);
    uint8_t buf[1024] = {1};

    (void)state;
    assert_int_equal(transfer(NULL, blk, true, 0, buf), -EACCES);
    assert_int_equal(blk->ops->resize(blk, 0), -EACCES);
    assert_int_equal(transfer(NULL, blk, false, 0, buf), 0);
    assert_int_equal(buf[0], 0);
    mem_disk_client_died(blk); /* nothing to forget */
    blk->ops->close(blk);
    sim_pages_destroy(pages);
}

static void test_death_and_close_deliver_nothing(void **state)
{
    struct sim_loop *loop = sim_loop_create(&(struct sim_schedule){.number = 1});
    struct sim_pages *pages = sim_pages_create();
    struct blockdev *blk = mem_disk_create_async(loop, pages, 1024, false);
    uint8_t out[512] = {5}, in[512] = {6};
    struct iovec to = {out, 512}, from = {in, 512};
    int w = PENDING, r = PENDING, f = PENDING;

    (void)state;
    blk->ops->writev(blk, 0, &to, 1, done, &w);
    blk->ops->readv(blk, 0, &from, 1, done, &r);
    blk->ops->flush(blk, done, &f);
    memset(out, 0, sizeof(out)); /* the dead client's memory is gone */
    mem_disk_client_died(blk);
    assert_int_equal(sim_loop_pending(loop), 0);
    assert_int_equal(sim_pages_at(pages, 0)[0], 5);
    assert_int_equal(in[0], 6);
    blk->ops->writev(blk, 512, &from, 1, done, &w);
    blk->ops->close(blk);
    assert_int_equal(sim_loop_pending(loop), 0);
    assert_int_equal(sim_pages_at(pages, 0)[512], 0);
    assert_int_equal(w, PENDING);
    assert_int_equal(r, PENDING);
    assert_int_equal(f, PENDING);
    sim_pages_destroy(pages);
    sim_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inline),
        cmocka_unit_test(test_async),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_death_and_close_deliver_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

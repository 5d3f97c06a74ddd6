/* test_engine_dev.c: the device in memory, its loop and its planned errors. */
#include "tests/unit/test_engine_dev.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000u

/* ---- the log ---- */

static void log_add(struct test_world *world, const char *format, ...)
{
    char text[128];
    va_list args;
    size_t n;

    va_start(args, format);
    n = (size_t)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (world->log_length + n + 3 > world->log_capacity) {
        world->log_capacity = 2 * world->log_capacity + 4096;
        world->log = realloc(world->log, world->log_capacity);
        assert(world->log);
    }
    if (world->log_length) {
        memcpy(world->log + world->log_length, "; ", 2);
        world->log_length += 2;
    }
    memcpy(world->log + world->log_length, text, n + 1);
    world->log_length += n;
}

const char *test_world_log(const struct test_world *world)
{
    return world->log_length ? world->log : "";
}

void test_world_log_clear(struct test_world *world)
{
    world->log_length = 0;
}

static void log_io(const struct test_io *io)
{
    static const char letters[] = "rwFdT";

    if (!io->dev->logged || (io->op == TEST_READ && !io->dev->log_reads))
        return;
    if (io->op == TEST_FLUSH)
        log_add(io->dev->world, "F");
    else if (io->op == TEST_RESIZE)
        log_add(io->dev->world, "T %llx", (unsigned long long)io->length);
    else
        log_add(io->dev->world, "%c %s%s%llx+%llx", letters[io->op],
                io->dev->world->log_events ? blk_event_name(io->event) : "", io->dev->world->log_events ? " " : "",
                (unsigned long long)io->offset, (unsigned long long)io->length);
}

/* ---- planned errors ---- */

struct test_plan *test_world_fail(struct test_world *world, enum blk_event event, unsigned nth, int error)
{
    struct test_plan *plan = &world->plans[world->nplans++];

    assert(world->nplans <= TEST_PLANS_MAX && nth);
    *plan = (struct test_plan){.event = event, .countdown = nth, .ret = -error};
    return plan;
}

void test_world_no_errors(struct test_world *world)
{
    world->nplans = 0;
}

static int planned(struct test_dev *dev, enum blk_event event)
{
    struct test_world *world = dev->world;
    int ret = 0;

    for (size_t i = 0; i < world->nplans; i++) {
        struct test_plan *plan = &world->plans[i];

        if ((plan->dev && plan->dev != dev) || (plan->event != event && plan->event != BLK_EVENT_COUNT))
            continue;
        if (plan->countdown && --plan->countdown == 0) {
            plan->fired = true;
            ret = plan->ret;
        } else if (plan->fired && plan->for_ever) {
            ret = plan->ret;
        }
    }
    return ret;
}

/* The event announced for the I/O that is being submitted. */
static enum blk_event take_event(struct test_dev *dev)
{
    enum blk_event event = dev->event;

    dev->event = BLK_EVENT_NONE;
    return event;
}

/* ---- bytes ---- */

static void grow(struct test_dev *dev, uint64_t length)
{
    if (length > dev->capacity) {
        dev->capacity = length + length / 2 + 4096;
        dev->bytes = realloc(dev->bytes, dev->capacity);
        assert(dev->bytes);
        memset(dev->bytes + dev->length, 0, dev->capacity - dev->length);
    }
    if (length > dev->length)
        dev->length = length;
}

static void copy_out(const struct test_dev *dev, uint64_t offset, uint8_t *to, size_t count)
{
    size_t there = 0;

    if (offset < dev->length)
        there = dev->length - offset < count ? dev->length - offset : count;
    if (there)
        memcpy(to, dev->bytes + offset, there);
    memset(to + there, 0, count - there);
}

static void do_read(struct test_io *io)
{
    uint64_t offset = io->offset;

    for (int i = 0; i < io->niov; i++) {
        copy_out(io->dev, offset, io->iov[i].iov_base, io->iov[i].iov_len);
        offset += io->iov[i].iov_len;
    }
}

static int do_write(struct test_io *io)
{
    struct test_dev *dev = io->dev;
    uint64_t at = 0;

    for (int i = 0; i < io->niov; i++) {
        if (memcmp(io->bytes + at, io->iov[i].iov_base, io->iov[i].iov_len))
            dev->world->changed_buffers++;
        at += io->iov[i].iov_len;
    }
    if (dev->fixed && io->offset + io->length > dev->length)
        return -ENOSPC;
    grow(dev, io->offset + io->length);
    memcpy(dev->bytes + io->offset, io->bytes, io->length);
    if (io->offset < dev->lowest_write)
        dev->lowest_write = io->offset;
    return 0;
}

static void do_discard(struct test_io *io)
{
    uint64_t end = io->offset + io->length;

    if (end > io->dev->length)
        end = io->dev->length;
    if (io->offset < end)
        memset(io->dev->bytes + io->offset, 0, end - io->offset);
}

static int move_bytes(struct test_io *io)
{
    if (io->ret)
        return io->ret;
    switch (io->op) {
    case TEST_READ:
        do_read(io);
        return 0;
    case TEST_WRITE:
        return do_write(io);
    case TEST_DISCARD:
        do_discard(io);
        return 0;
    case TEST_FLUSH:
    case TEST_RESIZE:
        return 0;
    }
    return 0;
}

static void finish(struct test_io io)
{
    int ret = move_bytes(&io);

    free(io.iov);
    free(io.bytes);
    io.dev->world->delivered++;
    io.done(io.opaque, ret);
}

/* ---- submitting ---- */

static void submit(struct test_io io)
{
    struct test_world *world = io.dev->world;

    io.event = take_event(io.dev);
    io.ret = planned(io.dev, io.event);
    log_io(&io);
    if (!world->delayed) {
        finish(io);
        return;
    }
    if (world->npending == world->capacity) {
        world->capacity = 2 * world->capacity + 16;
        world->pending = realloc(world->pending, world->capacity * sizeof(*world->pending));
        assert(world->pending);
    }
    world->pending[world->npending++] = io;
}

static void take_iov(struct test_io *io, const struct iovec *iov, int niov)
{
    size_t at = 0;

    io->iov = malloc((size_t)(niov ? niov : 1) * sizeof(*iov));
    assert(io->iov);
    io->niov = niov;
    for (int i = 0; i < niov; i++) {
        io->iov[i] = iov[i];
        io->length += iov[i].iov_len;
    }
    assert(io->length && io->offset % BLK_SECTOR_BYTES == 0 && io->length % BLK_SECTOR_BYTES == 0);
    if (io->op != TEST_WRITE)
        return;
    io->bytes = malloc(io->length);
    assert(io->bytes);
    for (int i = 0; i < niov; i++) {
        memcpy(io->bytes + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
}

static void dev_readv(struct blockdev *blk, uint64_t offset, const struct iovec *iov, int niov, blk_done *done,
                      void *opaque)
{
    struct test_dev *dev = (struct test_dev *)blk;
    struct test_io io = {.dev = dev, .op = TEST_READ, .offset = offset, .done = done, .opaque = opaque};

    dev->reads++;
    take_iov(&io, iov, niov);
    submit(io);
}

static void dev_writev(struct blockdev *blk, uint64_t offset, const struct iovec *iov, int niov, blk_done *done,
                       void *opaque)
{
    struct test_dev *dev = (struct test_dev *)blk;
    struct test_io io = {.dev = dev, .op = TEST_WRITE, .offset = offset, .done = done, .opaque = opaque};

    dev->writes++;
    take_iov(&io, iov, niov);
    submit(io);
}

static void dev_flush(struct blockdev *blk, blk_done *done, void *opaque)
{
    struct test_dev *dev = (struct test_dev *)blk;

    dev->flushes++;
    submit((struct test_io){.dev = dev, .op = TEST_FLUSH, .done = done, .opaque = opaque});
}

static void dev_discard(struct blockdev *blk, uint64_t offset, uint64_t length, blk_done *done, void *opaque)
{
    struct test_dev *dev = (struct test_dev *)blk;

    submit((struct test_io){
        .dev = dev, .op = TEST_DISCARD, .offset = offset, .length = length, .done = done, .opaque = opaque});
}

static int dev_length(struct blockdev *blk, uint64_t unit_bytes, uint64_t *length_bytes)
{
    struct test_dev *dev = (struct test_dev *)blk;

    assert(unit_bytes && (unit_bytes & (unit_bytes - 1)) == 0);
    *length_bytes = dev->length & ~(unit_bytes - 1);
    return 0;
}

static int dev_resize(struct blockdev *blk, uint64_t length)
{
    struct test_dev *dev = (struct test_dev *)blk;
    struct test_io io = {.dev = dev, .op = TEST_RESIZE, .length = length, .event = take_event(dev)};
    int ret = planned(dev, io.event);

    log_io(&io);
    if (ret)
        return ret;
    if (dev->fixed)
        return -ENOTSUP;
    test_dev_set_length(dev, length);
    return 0;
}

static uint64_t dev_next_data(struct blockdev *blk, uint64_t offset, uint64_t end)
{
    struct test_dev *dev = (struct test_dev *)blk;

    for (; offset < end && offset < dev->length; offset++) {
        if (dev->bytes[offset])
            return offset;
    }
    return end;
}

static void dev_event(struct blockdev *blk, enum blk_event event)
{
    struct test_dev *dev = (struct test_dev *)blk;

    dev->event = event;
    if (dev->on_event)
        dev->on_event(dev, event, dev->on_event_opaque);
}

static int dev_backing_gate(struct blockdev *blk)
{
    struct test_dev *dev = (struct test_dev *)blk;

    dev->gates++;
    return planned(dev, take_event(dev));
}

static void dev_close(struct blockdev *blk)
{
    test_dev_destroy((struct test_dev *)blk);
}

static const struct blockdev_ops dev_ops = {
    .readv = dev_readv,
    .writev = dev_writev,
    .flush = dev_flush,
    .discard = dev_discard,
    .length = dev_length,
    .resize = dev_resize,
    .next_data = dev_next_data,
    .event = dev_event,
    .backing_gate = dev_backing_gate,
    .close = dev_close,
};

static const struct blockdev_ops plain_ops = {
    .readv = dev_readv,
    .writev = dev_writev,
    .flush = dev_flush,
    .length = dev_length,
    .resize = dev_resize,
    .close = dev_close,
};

static const struct blockdev_ops fixed_ops = {
    .readv = dev_readv,
    .writev = dev_writev,
    .flush = dev_flush,
    .length = dev_length,
    .close = dev_close,
};

void test_dev_plain(struct test_dev *dev)
{
    dev->dev.ops = &plain_ops;
}

void test_dev_fix(struct test_dev *dev, uint64_t length)
{
    dev->dev.ops = &fixed_ops;
    dev->fixed = true;
    test_dev_set_length(dev, length);
}

/* ---- the loop ---- */

uint64_t test_world_random(struct test_world *world)
{
    uint64_t x = world->random;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    world->random = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}

void test_world_deliver(struct test_world *world, size_t index)
{
    struct test_io io;

    assert(index < world->npending);
    io = world->pending[index];
    memmove(world->pending + index, world->pending + index + 1, (world->npending - index - 1) * sizeof(io));
    world->npending--;
    finish(io);
}

bool test_world_deliver_event(struct test_world *world, enum blk_event event)
{
    for (size_t i = 0; i < world->npending; i++) {
        if (world->pending[i].event == event) {
            test_world_deliver(world, i);
            return true;
        }
    }
    return false;
}

size_t test_world_pending(const struct test_world *world, enum blk_event event)
{
    size_t n = 0;

    for (size_t i = 0; i < world->npending; i++)
        n += world->pending[i].event == event;
    return n;
}

static size_t choose(struct test_world *world)
{
    switch (world->order) {
    case TEST_FIFO:
        return 0;
    case TEST_LIFO:
        return world->npending - 1;
    case TEST_RANDOM:
        return test_world_random(world) % world->npending;
    case TEST_PICK:
        return world->pick(world, world->pick_opaque);
    }
    return 0;
}

static bool world_poll(struct blk_loop *loop)
{
    struct test_world *world = (struct test_world *)loop;

    if (!world->npending)
        return false;
    test_world_deliver(world, choose(world));
    return true;
}

void test_world_run(struct test_world *world)
{
    while (world_poll(&world->loop))
        ;
}

static void world_timer_cancel(struct blk_loop *loop, struct blk_timer *timer)
{
    struct blk_timer **at = &((struct test_world *)loop)->timers;

    for (; *at; at = &(*at)->next) {
        if (*at == timer) {
            *at = timer->next;
            break;
        }
    }
    timer->armed = false;
}

static void world_timer_set(struct blk_loop *loop, struct blk_timer *timer, uint64_t delay_ns)
{
    struct test_world *world = (struct test_world *)loop;

    world_timer_cancel(loop, timer);
    timer->armed = true;
    timer->deadline_ns = world->now_ns + delay_ns;
    timer->next = world->timers;
    world->timers = timer;
}

static struct blk_timer *earliest(struct test_world *world)
{
    struct blk_timer *best = world->timers;

    for (struct blk_timer *t = world->timers; t; t = t->next) {
        if (t->deadline_ns < best->deadline_ns)
            best = t;
    }
    return best;
}

void test_world_advance(struct test_world *world, uint64_t ms)
{
    uint64_t until = world->now_ns + ms * NS_PER_MS;
    struct blk_timer *timer;

    while ((timer = earliest(world)) && timer->deadline_ns <= until) {
        world->now_ns = timer->deadline_ns;
        world_timer_cancel(&world->loop, timer);
        timer->fire(timer->opaque);
        test_world_run(world);
    }
    world->now_ns = until;
}

static const struct blk_loop_ops loop_ops = {
    .timer_set = world_timer_set,
    .timer_cancel = world_timer_cancel,
    .poll = world_poll,
};

struct test_world *test_world_create(void)
{
    struct test_world *world = calloc(1, sizeof(*world));

    assert(world);
    world->loop.ops = &loop_ops;
    world->random = UINT64_C(0x9e3779b97f4a7c15);
    return world;
}

void test_world_drop(struct test_world *world)
{
    for (size_t i = 0; i < world->npending; i++) {
        free(world->pending[i].iov);
        free(world->pending[i].bytes);
    }
    world->npending = 0;
    world->timers = NULL;
}

void test_world_destroy(struct test_world *world)
{
    test_world_drop(world);
    free(world->pending);
    free(world->log);
    free(world);
}

/* ---- devices ---- */

struct test_dev *test_dev_create(struct test_world *world, uint64_t length)
{
    struct test_dev *dev = calloc(1, sizeof(*dev));

    assert(dev);
    dev->dev = (struct blockdev){.ops = &dev_ops, .loop = &world->loop};
    dev->world = world;
    dev->lowest_write = UINT64_MAX;
    grow(dev, length);
    return dev;
}

struct test_dev *test_dev_clone(struct test_world *world, const struct test_dev *from)
{
    struct test_dev *dev = test_dev_create(world, from->length);

    if (from->length)
        memcpy(dev->bytes, from->bytes, from->length);
    dev->fixed = from->fixed;
    return dev;
}

void test_dev_destroy(struct test_dev *dev)
{
    if (!dev)
        return;
    if (dev->closed)
        *dev->closed = true;
    free(dev->bytes);
    free(dev);
}

void test_dev_poke(struct test_dev *dev, uint64_t offset, const void *bytes, size_t count)
{
    grow(dev, offset + count);
    memcpy(dev->bytes + offset, bytes, count);
}

void test_dev_poke64(struct test_dev *dev, uint64_t offset, uint64_t value)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    test_dev_poke(dev, offset, bytes, 8);
}

void test_dev_poke32(struct test_dev *dev, uint64_t offset, uint32_t value)
{
    uint8_t bytes[4];

    for (unsigned i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    test_dev_poke(dev, offset, bytes, 4);
}

static uint64_t peek(const struct test_dev *dev, uint64_t offset, unsigned count)
{
    uint8_t bytes[8];
    uint64_t value = 0;

    copy_out(dev, offset, bytes, count);
    for (unsigned i = 0; i < count; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

uint64_t test_dev_peek64(const struct test_dev *dev, uint64_t offset)
{
    return peek(dev, offset, 8);
}

uint32_t test_dev_peek32(const struct test_dev *dev, uint64_t offset)
{
    return (uint32_t)peek(dev, offset, 4);
}

bool test_dev_all(const struct test_dev *dev, uint64_t offset, uint64_t count, uint8_t value)
{
    for (uint64_t i = offset; i < offset + count; i++) {
        if ((i < dev->length ? dev->bytes[i] : 0) != value)
            return false;
    }
    return true;
}

void test_dev_set_length(struct test_dev *dev, uint64_t length)
{
    if (length < dev->length)
        memset(dev->bytes + length, 0, dev->length - length);
    else
        grow(dev, length);
    dev->length = length;
}

void test_dev_dump(const struct test_dev *dev, uint64_t offset, uint64_t count)
{
    for (uint64_t i = offset; i < offset + count; i++) {
        if ((i - offset) % 16 == 0)
            fprintf(stderr, "%s%08llx", i == offset ? "" : "\n", (unsigned long long)i);
        fprintf(stderr, " %02x", i < dev->length ? dev->bytes[i] : 0);
    }
    fprintf(stderr, "\n");
}

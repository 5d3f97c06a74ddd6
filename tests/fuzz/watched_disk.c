/* watched_disk.c: see watched_disk.h. */
#include "tests/fuzz/watched_disk.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "simdisk/iov.h"

#define MOST_STEPS 400000u
#define MOST_BYTES (UINT64_C(1) << 30)

void fuzz_violation(const char *fmt, ...)
{
    va_list ap;
    fputs("violation: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}

static struct watched_disk *step(struct blockdev *dev, uint64_t offset, const struct iovec *iov, int niov)
{
    struct watched_disk *d = (struct watched_disk *)dev;
    uint64_t bytes = sim_iov_bytes(iov, niov);
    if (++d->steps > MOST_STEPS)
        fuzz_violation("%u transfers and no end: the engine hangs at %s", d->steps, blk_event_name(d->event));
    if ((offset | bytes) % BLK_SECTOR_BYTES)
        fuzz_violation("%s of %lu bytes at %lu is not of whole sectors", blk_event_name(d->event), bytes, offset);
    if (bytes > MOST_BYTES || offset > UINT64_MAX - bytes)
        fuzz_violation("%s of %lu bytes at %lu lies on no disk", blk_event_name(d->event), bytes, offset);
    return d;
}

static void watched_readv(struct blockdev *dev, uint64_t offset, const struct iovec *iov, int niov, blk_done *done,
                          void *opaque)
{
    struct watched_disk *d = step(dev, offset, iov, niov);
    sim_iov_from_pages(d->pages, offset, iov, niov);
    done(opaque, 0);
}

static void may_write(struct watched_disk *d, const char *what)
{
    d->writes++;
    if (d->read_only)
        fuzz_violation("%s (%s) where nothing may be written", what, blk_event_name(d->event));
}

static void watched_writev(struct blockdev *dev, uint64_t offset, const struct iovec *iov, int niov, blk_done *done,
                           void *opaque)
{
    struct watched_disk *d = step(dev, offset, iov, niov);
    uint64_t end = offset + sim_iov_bytes(iov, niov);
    may_write(d, "a write");
    if (offset < d->header_bytes && (d->event == BLK_EVENT_WRITE_AIO || d->event == BLK_EVENT_COW_WRITE))
        fuzz_violation("%s at %lu goes into the header", blk_event_name(d->event), offset);
    if (end > d->length_bytes && !dev->ops->resize) {
        done(opaque, -ENOSPC);
        return;
    }
    if (end > d->length_bytes + MOST_BYTES)
        fuzz_violation("%s at %lu is far behind the file's end %lu", blk_event_name(d->event), offset, d->length_bytes);
    sim_iov_to_pages(d->pages, offset, iov, niov);
    if (end > d->length_bytes)
        d->length_bytes = end;
    done(opaque, 0);
}

static void watched_flush(struct blockdev *dev, blk_done *done, void *opaque)
{
    step(dev, 0, NULL, 0);
    done(opaque, 0);
}

static int watched_length(struct blockdev *dev, uint64_t unit_bytes, uint64_t *length_bytes)
{
    struct watched_disk *d = (struct watched_disk *)dev;
    if (!unit_bytes || unit_bytes & (unit_bytes - 1))
        fuzz_violation("the length in units of %lu bytes was asked for", unit_bytes);
    *length_bytes = d->length_bytes & ~(unit_bytes - 1);
    return 0;
}

static int watched_resize(struct blockdev *dev, uint64_t length_bytes)
{
    struct watched_disk *d = (struct watched_disk *)dev;
    may_write(d, "a resize");
    if (length_bytes > d->length_bytes + MOST_BYTES)
        fuzz_violation("a resize from %lu to %lu", d->length_bytes, length_bytes);
    if (length_bytes < d->length_bytes)
        sim_pages_cut(d->pages, length_bytes);
    d->length_bytes = length_bytes;
    return 0;
}

static uint64_t watched_next_data(struct blockdev *dev, uint64_t offset, uint64_t end)
{
    return sim_pages_next_data(((struct watched_disk *)dev)->pages, offset, end);
}

static void watched_event(struct blockdev *dev, enum blk_event event)
{
    ((struct watched_disk *)dev)->event = event;
}

static void watched_close(struct blockdev *dev)
{
    free(dev);
}

#define COMMON                                                                                                         \
    .readv = watched_readv, .writev = watched_writev, .flush = watched_flush, .length = watched_length,                \
    .event = watched_event, .close = watched_close

static const struct blockdev_ops ops[2][2] = {
    {{COMMON, .resize = watched_resize}, {COMMON, .resize = watched_resize, .next_data = watched_next_data}},
    {{COMMON}, {COMMON, .next_data = watched_next_data}},
};

/* --- the loop: nothing is ever pending, timers alone ----------------------------------------------------------------- */

static struct watched_disk *disk_of(struct blk_loop *loop)
{
    return (struct watched_disk *)(void *)((char *)loop - offsetof(struct watched_disk, loop));
}

static void timer_cancel(struct blk_loop *loop, struct blk_timer *timer)
{
    for (struct blk_timer **at = &disk_of(loop)->timer; *at; at = &(*at)->next)
        if (*at == timer) {
            *at = timer->next;
            break;
        }
    timer->armed = false;
}

static void timer_set(struct blk_loop *loop, struct blk_timer *timer, uint64_t delay_ns)
{
    (void)delay_ns;
    timer_cancel(loop, timer);
    timer->armed = true;
    timer->next = disk_of(loop)->timer;
    disk_of(loop)->timer = timer;
}

static bool poll_nothing(struct blk_loop *loop)
{
    (void)loop;
    return false;
}

static const struct blk_loop_ops loop_ops = {
    .timer_set = timer_set, .timer_cancel = timer_cancel, .poll = poll_nothing};

void watched_disk_sleep(struct watched_disk *d)
{
    for (unsigned rounds = 0; d->timer; rounds++) {
        struct blk_timer *timer = d->timer;
        if (rounds == 16)
            return; /* one that re-arms itself for ever is its owner's right */
        timer_cancel(&d->loop, timer);
        timer->fire(timer->opaque);
    }
}

void watched_disk_init(struct watched_disk *d, struct sim_pages *pages, uint64_t length_bytes, struct watched_kind kind)
{
    *d = (struct watched_disk){.pages = pages, .length_bytes = length_bytes};
    d->loop.ops = &loop_ops;
    d->blk.ops = &ops[kind.fixed][kind.sparse];
    d->blk.loop = kind.timed ? &d->loop : NULL;
}

/* io.c: the engine's way to its image file. Every I/O is announced here, so that a device can label, trace or fail it. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/internal.h"

int qed_fail(struct qed_error *err, int ret, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(err->text, sizeof(err->text), fmt, ap);
        va_end(ap);
    }
    return ret;
}

void qed_announce(struct qed *q, enum blk_event event)
{
    if (q->file->ops->event)
        q->file->ops->event(q->file, event);
}

/* Ordering point "failed-flush": a flush has failed, and the design has no faith in what a later one would say. What is
 * written then could be promised no more, and might stand on what was lost. */
static bool stopped(const struct qed *q)
{
    return q->flush_failed && qed_design_is(q->design, QED_FIELD_failed_flush, QED_FAILED_FLUSH_FAIL_STOP);
}

void qed_file_read(struct qed_req *r, enum blk_event event, uint64_t offset, const struct iovec *iov, int niov,
                   qed_step *next)
{
    r->next = next;
    qed_announce(r->q, event);
    r->q->file->ops->readv(r->q->file, offset, iov, niov, qed_req_io_done, r);
}

static void write_completed(void *opaque, int ret)
{
    struct qed_req *r = opaque;
    r->q->writing--;
    qed_req_io_done(r, ret);
}

void qed_file_write(struct qed_req *r, enum blk_event event, uint64_t offset, const struct iovec *iov, int niov,
                    qed_step *next)
{
    r->next = next;
    if (stopped(r->q)) {
        qed_req_io_done(r, -EIO);
        return;
    }
    r->q->unflushed = r->q->wrote = true;
    r->q->writing++;
    qed_announce(r->q, event);
    r->q->file->ops->writev(r->q->file, offset, iov, niov, write_completed, r);
}

/* Nothing was promised, so nothing may be left out later. */
static void flush_has_failed(struct qed *q)
{
    q->unflushed = q->flush_failed = true;
}

static void flush_completed(struct qed_req *r, int ret)
{
    r->q->flushing--;
    if (!ret && stopped(r->q))
        ret = -EIO; /* submitted before, and over after the one that failed */
    if (ret)
        flush_has_failed(r->q);
    else
        qed_mark_flushed(r->q, r->flush_covers);
    r->after_flush(r, ret);
}

void qed_file_flush(struct qed_req *r, qed_step *next)
{
    if (stopped(r->q)) {
        r->next = next;
        qed_req_io_done(r, -EIO);
        return;
    }
    r->after_flush = next;
    r->next = flush_completed;
    /* What is still being written now, and what is written from here on, is not covered. */
    r->q->unflushed = r->q->writing > 0;
    r->q->flushing++;
    r->flush_covers = r->q->allocating ? UINT64_MAX : r->q->allocations;
    qed_announce(r->q, BLK_EVENT_FLUSH_TO_DISK);
    r->q->file->ops->flush(r->q->file, qed_req_io_done, r);
}

/* --- waiting ------------------------------------------------------------------------------------------------------- */

struct wait {
    bool done;
    int ret;
};

static void wait_done(void *opaque, int ret)
{
    struct wait *w = opaque;
    w->done = true;
    w->ret = ret;
}

static int turn_until(struct blk_loop *loop, const bool *flag)
{
    while (!*flag)
        if (!loop || !loop->ops->poll(loop))
            return -EDEADLK;
    return 0;
}

int qed_wait(struct qed *q, const bool *flag)
{
    return turn_until(q->file->loop, flag);
}

static int wait_for(struct blk_loop *loop, struct wait *w)
{
    int ret = turn_until(loop, &w->done);
    return ret ? ret : w->ret;
}

int qed_dev_read(struct blockdev *dev, struct blk_loop *loop, uint64_t offset, void *buf, size_t bytes)
{
    struct iovec iov = {.iov_base = buf, .iov_len = bytes};
    struct wait w = {0};
    dev->ops->readv(dev, offset, &iov, 1, wait_done, &w);
    return wait_for(loop, &w);
}

int qed_dev_write(struct blockdev *dev, struct blk_loop *loop, uint64_t offset, const void *buf, size_t bytes)
{
    struct iovec iov = {.iov_base = (void *)buf, .iov_len = bytes};
    struct wait w = {0};
    dev->ops->writev(dev, offset, &iov, 1, wait_done, &w);
    return wait_for(loop, &w);
}

int qed_dev_flush(struct blockdev *dev, struct blk_loop *loop)
{
    struct wait w = {0};
    dev->ops->flush(dev, wait_done, &w);
    return wait_for(loop, &w);
}

int qed_read_sync(struct qed *q, enum blk_event event, uint64_t offset, void *buf, size_t bytes)
{
    qed_announce(q, event);
    return qed_dev_read(q->file, q->file->loop, offset, buf, bytes);
}

int qed_write_sync(struct qed *q, enum blk_event event, uint64_t offset, const void *buf, size_t bytes)
{
    if (stopped(q))
        return -EIO;
    q->unflushed = q->wrote = true;
    qed_announce(q, event);
    return qed_dev_write(q->file, q->file->loop, offset, buf, bytes);
}

int qed_flush_sync(struct qed *q)
{
    if (stopped(q))
        return -EIO;
    q->unflushed = q->writing > 0;
    qed_announce(q, BLK_EVENT_FLUSH_TO_DISK);
    int ret = qed_dev_flush(q->file, q->file->loop);
    if (ret)
        flush_has_failed(q);
    return ret;
}

int qed_resize_sync(struct qed *q, uint64_t length)
{
    if (stopped(q))
        return -EIO;
    q->unflushed = q->wrote = true;
    qed_announce(q, BLK_EVENT_TRUNCATE);
    return q->file->ops->resize(q->file, length);
}

/* request.c: one guest request, chunk after chunk.
 *
 *     start ─▶ next_chunk ─▶ lookup ─▶ found ─┬─ read: file, zeros or backing
 *                 ▲                           ├─ write in place
 *                 │                           └─ allocate (alloc.c) ─▶ link (link.c)
 *                 └───────────────────────────────┘            finish ─▶ locks released ─▶ done
 *
 * Every step is a function (request, result of what it waited for). A completion that arrives while the request is
 * running only says "ready"; the loop in qed_req_run goes on from there. So a device that completes inline costs no
 * stack, however many chunks a request has.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "engine/internal.h"

/* --- the trampoline ------------------------------------------------------------------------------------------------ */

static void free_when_idle(struct qed_req *r)
{
    if (r->finished && !r->running && r->submitted)
        qed_req_free(r);
}

void qed_req_run(struct qed_req *r)
{
    if (r->running)
        return;
    r->running = true;
    while (r->ready && !r->finished) {
        r->ready = false;
        r->next(r, r->ret);
    }
    r->running = false;
    free_when_idle(r);
}

void qed_req_io_done(void *opaque, int ret)
{
    struct qed_req *r = opaque;
    r->ret = ret;
    r->ready = true;
    qed_req_run(r);
}

void qed_req_goto(struct qed_req *r, qed_step *next, int ret)
{
    r->next = next;
    r->ret = ret;
    r->ready = true;
    qed_req_run(r);
}

void qed_req_wake(struct qed_req *r)
{
    qed_req_goto(r, qed_req_next_chunk, 0);
}

/* --- birth and death ----------------------------------------------------------------------------------------------- */

struct qed_req *qed_req_create(struct qed *q, enum qed_req_kind kind, blk_done *done, void *opaque)
{
    struct qed_req *r = qed_pool_get(q->pool, sizeof(*r));
    if (!r)
        return NULL;
    memset(r, 0, sizeof(*r));
    r->q = q;
    r->kind = kind;
    r->done = done;
    r->opaque = opaque;
    r->next_in_flight = q->requests;
    if (q->requests)
        q->requests->prev = r;
    q->requests = r;
    return r;
}

void qed_req_free(struct qed_req *r)
{
    struct qed_pool *pool = r->q->pool;
    qed_table_unref(r->q, r->l2);
    qed_table_unref(r->q, r->loading);
    qed_table_unref(r->q, r->new_l2);
    qed_pool_put(pool, r->iov);
    qed_pool_put(pool, r->sub);
    qed_pool_put(pool, r->fill);
    qed_pool_put(pool, r->sector_buf);
    qed_pool_put(pool, r);
}

static void unlink_request(struct qed_req *r)
{
    if (r->prev)
        r->prev->next_in_flight = r->next_in_flight;
    else
        r->q->requests = r->next_in_flight;
    if (r->next_in_flight)
        r->next_in_flight->prev = r->prev;
}

/* Locks go first, so that the next allocating request has already started when the guest hears of this one. Spec 7.3. */
void qed_req_finish(struct qed_req *r, int ret)
{
    struct qed *q = r->q;
    assert(!r->finished);
    r->finished = true;
    unlink_request(r);
    if (r->counted) {
        q->allocating--;
        r->counted = false;
    }
    qed_lock_release(r);
    if (!q->allocating)
        qed_mark_timer_start(q);
    if (r->done)
        r->done(r->opaque, ret);
    free_when_idle(r);
}

struct qed_req *qed_req_start(struct qed_req *r, qed_step *first)
{
    qed_req_goto(r, first, 0);
    r->submitted = true;
    if (!r->finished)
        return r;
    qed_req_free(r);
    return NULL;
}

/* --- chunks -------------------------------------------------------------------------------------------------------- */

static void chunk_done(struct qed_req *r, int ret)
{
    if (ret) {
        qed_req_finish(r, ret);
        return;
    }
    r->pos += r->chunk_bytes;
    qed_req_goto(r, qed_req_next_chunk, 0);
}

/* The part of the guest's memory this chunk is about. */
static void slice_chunk(struct qed_req *r)
{
    r->nsub = qed_iov_slice(r->iov, r->niov, r->pos - r->start, r->chunk_bytes, r->sub);
}

static void read_chunk(struct qed_req *r)
{
    slice_chunk(r);
    switch (r->found) {
    case QED_FOUND_DATA:
        qed_file_read(r, BLK_EVENT_READ_AIO, r->offset, r->sub, r->nsub, chunk_done);
        return;
    case QED_FOUND_ZERO:
        qed_iov_zero(r->sub, r->nsub, 0, r->chunk_bytes);
        chunk_done(r, 0);
        return;
    case QED_FOUND_UNALLOCATED:
    case QED_FOUND_NO_L2:
        qed_backing_read(r, BLK_EVENT_READ_BACKING_AIO, r->pos, r->sub, r->nsub, chunk_done);
        return;
    }
}

/* Real zeros, for heads, tails and clusters that are allocated: the zeros come from one shared buffer. */
static int slice_zeros(struct qed_req *r)
{
    int n = 0;
    for (uint64_t left = r->chunk_bytes; left; n++) {
        uint64_t part = left < QED_ZEROS_BYTES ? left : QED_ZEROS_BYTES;
        r->sub[n] = (struct iovec){.iov_base = r->q->zeros, .iov_len = part};
        left -= part;
    }
    return n;
}

static void write_in_place(struct qed_req *r)
{
    qed_lock_give_up(r); /* nothing is allocated here; the gate, in contrast, is kept to the request's end */
    if (r->kind == QED_REQ_ZERO)
        r->nsub = slice_zeros(r);
    else
        slice_chunk(r);
    qed_file_write(r, BLK_EVENT_WRITE_AIO, r->offset, r->sub, r->nsub, chunk_done);
}

/* Is this chunk of a zero request made of whole clusters that get a zero entry? Ordering: spec 8. */
static bool zero_by_entry(const struct qed_req *r)
{
    uint64_t mask = r->q->g.cluster_bytes - 1;
    return r->kind == QED_REQ_ZERO && !((r->pos | r->chunk_bytes) & mask) &&
           qed_design_is(r->q->design, QED_FIELD_native_zero, true);
}

static void write_chunk(struct qed_req *r)
{
    if (r->found == QED_FOUND_DATA) {
        write_in_place(r);
        return;
    }
    if (zero_by_entry(r) && r->found == QED_FOUND_ZERO) {
        chunk_done(r, 0);
        return;
    }
    if (r->kind == QED_REQ_ZERO)
        r->nsub = slice_zeros(r);
    else
        slice_chunk(r);
    qed_alloc_chunk(r);
}

static void map_chunk(struct qed_req *r)
{
    *r->map_kind = r->found == QED_FOUND_DATA   ? QED_MAP_DATA
                   : r->found == QED_FOUND_ZERO ? QED_MAP_ZERO
                                                : QED_MAP_UNALLOCATED;
    qed_req_finish(r, 0);
}

static void chunk_found(struct qed_req *r, int ret)
{
    if (ret) {
        qed_req_finish(r, ret);
        return;
    }
    switch (r->kind) {
    case QED_REQ_READ:
        read_chunk(r);
        return;
    case QED_REQ_WRITE:
    case QED_REQ_ZERO:
        write_chunk(r);
        return;
    case QED_REQ_DISCARD:
        qed_discard_chunk(r);
        return;
    case QED_REQ_MAP:
        map_chunk(r);
        return;
    case QED_REQ_FLUSH:
    case QED_REQ_CLEAR:
        assert(!"has no chunks");
    }
}

/* A zero request goes head, whole clusters, tail; without zero entries it is a write of zeros, a bounded piece at a time.*/
static uint64_t zero_limit(const struct qed_req *r)
{
    uint64_t cs = r->q->g.cluster_bytes, left = r->end - r->pos, in = r->pos & (cs - 1);
    if (qed_design_is(r->q->design, QED_FIELD_native_zero, false))
        return left;
    if (in)
        return left < cs - in ? left : cs - in;
    return left >= cs ? left & ~(cs - 1) : left;
}

void qed_req_next_chunk(struct qed_req *r, int ret)
{
    (void)ret;
    if (r->pos == r->end && r->kind != QED_REQ_MAP) {
        qed_req_finish(r, 0);
        return;
    }
    r->filled = r->copied = r->reused = false;
    qed_lookup(r, r->kind == QED_REQ_ZERO ? zero_limit(r) : r->end - r->pos, chunk_found);
}

/* --- the public requests ------------------------------------------------------------------------------------------- */

static struct qed_req *refuse(blk_done *done, void *opaque, int ret)
{
    done(opaque, ret);
    return NULL;
}

static int range_error(const struct qed *q, uint64_t pos, uint64_t bytes, bool write)
{
    if ((pos | bytes) & (BLK_SECTOR_BYTES - 1))
        return -EINVAL;
    if (pos > q->header.image_size || bytes > q->header.image_size - pos)
        return -EIO;
    return write && q->read_only ? -EACCES : 0;
}

static bool take_range(struct qed_req *r, uint64_t pos, uint64_t bytes, const struct iovec *iov, int niov, size_t nsub)
{
    r->start = r->pos = pos;
    r->end = pos + bytes;
    r->niov = niov;
    r->sub = qed_pool_get(r->q->pool, nsub * sizeof(*r->sub));
    if (niov) {
        r->iov = qed_pool_get(r->q->pool, (size_t)niov * sizeof(*r->iov));
        if (r->iov)
            memcpy(r->iov, iov, (size_t)niov * sizeof(*r->iov));
    }
    return r->sub && (!niov || r->iov);
}

static struct qed_req *start_range(struct qed *q, enum qed_req_kind kind, uint64_t pos, uint64_t bytes,
                                   const struct iovec *iov, int niov, blk_done *done, void *opaque)
{
    int ret = range_error(q, pos, bytes, kind != QED_REQ_READ);
    if (ret)
        return refuse(done, opaque, ret);
    struct qed_req *r = qed_req_create(q, kind, done, opaque);
    if (!r)
        return refuse(done, opaque, -ENOMEM);
    size_t nsub = kind == QED_REQ_ZERO ? bytes / QED_ZEROS_BYTES + 2 : (size_t)niov + 1;
    if (!take_range(r, pos, bytes, iov, niov, nsub)) {
        qed_req_finish(r, -ENOMEM); /* not "submitted": it stays until freed here */
        qed_req_free(r);
        return NULL;
    }
    return qed_req_start(r, qed_req_next_chunk);
}

static uint64_t iov_total(const struct iovec *iov, int niov)
{
    uint64_t total = 0;
    for (int i = 0; i < niov; i++)
        total += iov[i].iov_len;
    return total;
}

struct qed_req *qed_readv(struct qed *q, uint64_t pos, const struct iovec *iov, int niov, blk_done *done, void *opaque)
{
    return start_range(q, QED_REQ_READ, pos, iov_total(iov, niov), iov, niov, done, opaque);
}

struct qed_req *qed_writev(struct qed *q, uint64_t pos, const struct iovec *iov, int niov, blk_done *done, void *opaque)
{
    return start_range(q, QED_REQ_WRITE, pos, iov_total(iov, niov), iov, niov, done, opaque);
}

struct qed_req *qed_write_zeroes(struct qed *q, uint64_t pos, uint64_t length, blk_done *done, void *opaque)
{
    return start_range(q, QED_REQ_ZERO, pos, length, NULL, 0, done, opaque);
}

/* Ordering point "reuse": without it a discard changes nothing. A hole over a backing file needs a zero entry. */
static bool discard_frees(const struct qed *q)
{
    return !qed_design_is(q->design, QED_FIELD_reuse, QED_REUSE_NEVER) &&
           (!q->backing.dev || qed_design_is(q->design, QED_FIELD_native_zero, true));
}

struct qed_req *qed_discard(struct qed *q, uint64_t pos, uint64_t length, blk_done *done, void *opaque)
{
    int ret = range_error(q, pos, length, true);
    uint64_t mask = q->g.cluster_bytes - 1;
    uint64_t from = (pos + mask) & ~mask, to = (pos + length) & ~mask;
    if (ret || !discard_frees(q) || from >= to)
        return refuse(done, opaque, ret);
    return start_range(q, QED_REQ_DISCARD, from, to - from, NULL, 0, done, opaque);
}

/* --- flush --------------------------------------------------------------------------------------------------------- */

static void flush_finish(struct qed_req *r, int ret)
{
    qed_req_finish(r, ret);
}

static void flush_done(struct qed_req *r, int ret)
{
    struct qed *q = r->q;
    if (!ret && r->clock > q->flushed_clock)
        q->flushed_clock = r->clock;
    if (!ret && qed_clears_on(q, QED_CLEAR_ON_GUEST_FLUSH) && qed_clears_after_flush(q))
        qed_mark_clear_in(r, true, flush_finish);
    else
        flush_finish(r, ret);
}

static void flush_submit(struct qed_req *r, int ret)
{
    if (ret) {
        flush_finish(r, ret);
        return;
    }
    r->clock = ++r->q->flush_clock;
    qed_mark_note_flush(r);
    qed_file_flush(r, flush_done);
}

/* Ordering point "need-check-clear" on a guest flush: the header write goes before the guest's own flush, or after. */
static void flush_start(struct qed_req *r, int ret)
{
    (void)ret;
    if (qed_clears_on(r->q, QED_CLEAR_ON_GUEST_FLUSH) && !qed_clears_after_flush(r->q))
        qed_mark_clear_in(r, true, flush_submit);
    else
        flush_submit(r, 0);
}

struct qed_req *qed_flush(struct qed *q, blk_done *done, void *opaque)
{
    struct qed_req *r = qed_req_create(q, QED_REQ_FLUSH, done, opaque);
    if (!r)
        return refuse(done, opaque, -ENOMEM);
    /* Ordering point "close-flush": nobody writes to a read-only image, but somebody may have before. */
    bool nothing = q->read_only && qed_design_is(q->design, QED_FIELD_close_flush, QED_CLOSE_FLUSH_IF_WRITTEN);
    return qed_req_start(r, nothing ? flush_finish : flush_start);
}

/* --- waiting and asking -------------------------------------------------------------------------------------------- */

static bool in_flight(const struct qed *q, const struct qed_req *req)
{
    for (const struct qed_req *r = q->requests; r; r = r->next_in_flight)
        if (r == req)
            return true;
    return false;
}

void qed_cancel(struct qed *q, struct qed_req *req)
{
    while (in_flight(q, req))
        if (!q->file->loop || !q->file->loop->ops->poll(q->file->loop))
            return; /* it can never finish: its owner sees that it is stuck */
}

struct map_wait {
    bool done;
    int ret;
};

static void map_done(void *opaque, int ret)
{
    struct map_wait *w = opaque;
    w->done = true;
    w->ret = ret;
}

int qed_map(struct qed *q, uint64_t pos, uint64_t length, enum qed_map_kind *kind, uint64_t *offset,
            uint64_t *run_bytes)
{
    int ret = range_error(q, pos, length, false);
    if (ret || !length)
        return ret ? ret : -EINVAL;
    struct map_wait w = {0};
    struct qed_req *r = qed_req_create(q, QED_REQ_MAP, map_done, &w);
    if (!r)
        return -ENOMEM;
    r->start = r->pos = pos;
    r->end = pos + length;
    r->map_kind = kind;
    qed_req_goto(r, qed_req_next_chunk, 0); /* not "submitted": it stays until its answer has been read */
    ret = qed_wait(q, &w.done);
    if (ret)
        return ret;
    *offset = r->found == QED_FOUND_DATA ? r->offset : 0;
    *run_bytes = r->chunk_bytes;
    qed_req_free(r);
    return w.ret;
}

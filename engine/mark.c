/* mark.c: the needs-check bit of the header ("the mark"): set before tables may become inconsistent, cleared when they
 * are known to be durable. Whether that makes a scan after a crash unnecessary, and in which order it may be cleared, is
 * what the design debate was about; the orders are the design's. Spec 9.
 */
#include <errno.h>
#include <string.h>

#include "engine/internal.h"

/* Ordering point "need-check-set": is this image to be marked before it allocates? */
bool qed_mark_wanted(const struct qed *q)
{
    if (qed_design_is(q->design, QED_FIELD_need_check, QED_NEED_CHECK_OFF))
        return false;
    return !(q->header.features & QED_F_BACKING_FILE) ||
           qed_design_is(q->design, QED_FIELD_need_check_with_backing, true);
}

/* The values of clear_on that have this bit. */
static uint64_t values_with(enum qed_clear_on when)
{
    uint64_t set = 0;
    for (unsigned v = 0; v < 2 * QED_CLEAR_ON_QUIET; v++)
        if (v & when)
            set |= QED_VALUE(v);
    return set;
}

/* Is there anything to clear? Without a mark, only E, which has been wrong since the first allocation. */
static bool is_set(const struct qed *q)
{
    return q->mark == QED_MARK_SET || (q->mark == QED_MARK_LEFT_OUT && qed_phys_size_in(q, QED_PHYS_SIZE_ANY));
}

bool qed_clears_on(const struct qed *q, enum qed_clear_on when)
{
    return !q->read_only && is_set(q) && qed_design_in(q->design, QED_FIELD_clear_on, values_with(when));
}

/* Ordering point "need-check-clear": is the mark cleared only after a flush? */
bool qed_clears_after_flush(const struct qed *q)
{
    return qed_design_in(q->design, QED_FIELD_clear_order,
                         QED_VALUE(QED_CLEAR_AFTER_FLUSH) | QED_VALUE(QED_CLEAR_AFTER_FLUSH_IF_WRITTEN));
}

/* ... and does it need one now, or has everything been flushed since it was written, by this session? */
static bool flushes_before_clearing(const struct qed *q)
{
    bool clean = !q->unflushed && !q->flushing;
    return clean ? qed_design_is(q->design, QED_FIELD_clear_order, QED_CLEAR_AFTER_FLUSH) : qed_clears_after_flush(q);
}

/* What the header is to say from its next write on; undo() takes it back. */
static void note(struct qed *q, bool marked)
{
    const struct qed_header *h = &q->header;
    q->undo = (struct qed_mark_undo){.mark = q->mark,
                                     .features = h->features,
                                     .compat_features = h->compat_features,
                                     .autoclear_features = h->autoclear_features,
                                     .phys_size = q->phys_size};
    qed_phys_size_note(q, marked);
    q->mark = marked ? QED_MARK_SETTING : QED_MARK_CLEAR;
    if (!marked)
        qed_mark_timer_cancel(q);
}

static void undo(struct qed *q)
{
    q->mark = q->undo.mark;
    q->header.features = q->undo.features;
    q->header.compat_features = q->undo.compat_features;
    q->header.autoclear_features = q->undo.autoclear_features;
    q->phys_size = q->undo.phys_size;
}

/* --- the header sector: read, patched, written --------------------------------------------------------------------- */

static void header_written(struct qed_req *r, int ret)
{
    qed_pool_put(r->q->pool, r->sector_buf);
    r->sector_buf = NULL;
    r->after_mark(r, ret);
}

static void header_read(struct qed_req *r, int ret)
{
    if (ret) {
        header_written(r, ret);
        return;
    }
    qed_header_put(r->q, r->sector_buf);
    struct iovec iov = {.iov_base = r->sector_buf, .iov_len = BLK_SECTOR_BYTES};
    qed_file_write(r, BLK_EVENT_HEADER_UPDATE, 0, &iov, 1, header_written);
}

static void write_header(struct qed_req *r, qed_step *after)
{
    r->after_mark = after;
    qed_pool_put(r->q->pool, r->sector_buf);
    r->sector_buf = qed_pool_get(r->q->pool, BLK_SECTOR_BYTES);
    if (!r->sector_buf) {
        after(r, -ENOMEM);
        return;
    }
    struct iovec iov = {.iov_base = r->sector_buf, .iov_len = BLK_SECTOR_BYTES};
    qed_file_read(r, BLK_EVENT_HEADER_READ, 0, &iov, 1, header_read);
}

int qed_header_write_sync(struct qed *q)
{
    uint8_t sector[BLK_SECTOR_BYTES];
    int ret = qed_read_sync(q, BLK_EVENT_HEADER_READ, 0, sector, sizeof(sector));
    if (ret)
        return ret;
    qed_header_put(q, sector);
    return qed_write_sync(q, BLK_EVENT_HEADER_UPDATE, 0, sector, sizeof(sector));
}

/* --- setting ------------------------------------------------------------------------------------------------------- */

static void set_finish(struct qed_req *r, int ret)
{
    struct qed *q = r->q;
    /* A header write that failed is a table write that failed: the old driver goes on as if it had happened. */
    if (!ret || qed_design_is(q->design, QED_FIELD_failed_table, QED_FAILED_TABLE_KEEP))
        q->mark = QED_MARK_SET;
    else
        undo(q);
    qed_wake_sleepers(q);
    r->after_link(r, ret); /* borrowed: nothing is being linked yet */
}

static void set_written(struct qed_req *r, int ret)
{
    /* Ordering point "need-check-set", flushed: the mark before the metadata it covers. Without the flush a crash may keep
     * a table update and lose the mark, and nobody will look. */
    if (!ret && qed_design_is(r->q->design, QED_FIELD_need_check, QED_NEED_CHECK_FLUSHED))
        qed_file_flush(r, set_finish);
    else
        set_finish(r, ret);
}

void qed_mark_set(struct qed_req *r, qed_step *after)
{
    struct qed *q = r->q;
    if (q->mark == QED_MARK_SETTING) {
        qed_sleep(r);
        return;
    }
    if (q->mark == QED_MARK_CLEAR && !qed_mark_wanted(q))
        q->mark = QED_MARK_LEFT_OUT;
    if (q->mark != QED_MARK_CLEAR) {
        after(r, 0);
        return;
    }
    note(q, true);
    r->after_link = after;
    write_header(r, set_written);
}

/* --- clearing ------------------------------------------------------------------------------------------------------ */

static void clear_finish(struct qed_req *r, int ret)
{
    r->q->plugged = false;
    qed_wake_sleepers(r->q);
    r->after_clear(r, ret);
}

static void clear_written(struct qed_req *r, int ret)
{
    if (ret && qed_design_is(r->q->design, QED_FIELD_failed_table, QED_FAILED_TABLE_ROLL_BACK))
        undo(r->q);
    if (!ret && r->trailing_flush)
        qed_file_flush(r, clear_finish);
    else
        clear_finish(r, ret);
}

/* Somebody besides r is allocating. */
static bool others_allocate(const struct qed_req *r)
{
    return r->q->allocating > (r->counted ? 1u : 0u);
}

void qed_mark_note_flush(struct qed_req *r)
{
    r->quiet_at = others_allocate(r) ? UINT64_MAX : r->q->allocations;
}

/* Does the flush r has waited for cover all that the mark vouches for? Not what was allocated while it was under way. */
static bool flush_covers(const struct qed_req *r)
{
    return r->quiet_at == r->q->allocations || !qed_clears_after_flush(r->q);
}

void qed_mark_clear_in(struct qed_req *r, bool flushed, qed_step *after)
{
    struct qed *q = r->q;
    /* The mark vouches for allocations under way too: while there are any besides our own, it stays. */
    if (!is_set(q) || q->plugged || others_allocate(r) || !flush_covers(r)) {
        after(r, 0);
        return;
    }
    q->plugged = true;
    note(q, false);
    r->after_clear = after;
    r->trailing_flush = !flushed;
    write_header(r, clear_written);
}

/* --- timers -------------------------------------------------------------------------------------------------------- */

/* Two of them, and whether the design has them is asked when they fire. One is armed by the end of the last allocation;
 * what was allocated must then be flushed, in the design's order. The other ("quiet") is armed by a flush, whatever it was
 * for, that covers all allocations: if none has begun since, the mark can go without a flush of its own. */

static void timer_finish(struct qed_req *r, int ret)
{
    qed_req_finish(r, ret);
}

/* After the mark is cleared the header itself is flushed, with nobody waiting for it. Spec 9. */
static void timer_cleared(struct qed_req *r, int ret)
{
    if (!ret && qed_clears_after_flush(r->q))
        qed_file_flush(r, timer_finish);
    else
        timer_finish(r, ret);
}

static void timer_clear(struct qed_req *r, int ret)
{
    r->q->plugged = false; /* taken again at once by qed_mark_clear_in */
    if (ret) {
        qed_wake_sleepers(r->q);
        timer_finish(r, ret);
        return;
    }
    qed_mark_clear_in(r, !qed_design_is(r->q->design, QED_FIELD_clear_order, QED_CLEAR_BEFORE_FLUSH), timer_cleared);
}

static void timer_start(struct qed_req *r, int ret)
{
    (void)ret;
    r->q->plugged = true;
    qed_mark_note_flush(r);
    /* Ordering point "need-check-clear", after a flush: the tables before the mark goes. Else a crash may find tables half
     * written and no mark. */
    if (flushes_before_clearing(r->q))
        qed_file_flush(r, timer_clear);
    else
        timer_clear(r, 0);
}

static void quiet_start(struct qed_req *r, int ret)
{
    (void)ret;
    qed_mark_note_flush(r);
    qed_mark_clear_in(r, true, timer_finish);
}

static void start_clearing(struct qed *q, qed_step *first, blk_done *done, void *opaque)
{
    struct qed_req *r = qed_req_create(q, QED_REQ_CLEAR, done, opaque);
    if (r)
        qed_req_start(r, first);
    else if (done)
        done(opaque, -ENOMEM);
}

static void timer_fired(void *opaque)
{
    struct qed *q = opaque;
    if (!q->allocating && !q->plugged && qed_clears_on(q, QED_CLEAR_ON_TIMER))
        start_clearing(q, timer_start, NULL, NULL);
}

static void quiet_fired(void *opaque)
{
    struct qed *q = opaque;
    if (!q->allocating && !q->plugged && qed_clears_on(q, QED_CLEAR_ON_QUIET))
        start_clearing(q, quiet_start, NULL, NULL);
}

void qed_mark_timer_init(struct qed *q)
{
    q->timer = (struct blk_timer){.fire = timer_fired, .opaque = q};
    q->quiet_timer = (struct blk_timer){.fire = quiet_fired, .opaque = q};
}

static void arm(struct qed *q, struct blk_timer *timer)
{
    bool may_be_set = q->mark == QED_MARK_SET || q->mark == QED_MARK_LEFT_OUT;
    if (q->file->loop && may_be_set && !q->read_only && !timer->armed && !q->plugged)
        q->file->loop->ops->timer_set(q->file->loop, timer, q->design->clear_timer_ms * UINT64_C(1000000));
}

void qed_mark_timer_start(struct qed *q)
{
    arm(q, &q->timer);
}

void qed_mark_flushed(struct qed *q, uint64_t allocations)
{
    if (!q->allocating && allocations == q->allocations)
        arm(q, &q->quiet_timer);
}

void qed_mark_timer_cancel(struct qed *q)
{
    if (q->timer.armed)
        q->file->loop->ops->timer_cancel(q->file->loop, &q->timer);
    if (q->quiet_timer.armed)
        q->file->loop->ops->timer_cancel(q->file->loop, &q->quiet_timer);
}

/* --- drain and close ----------------------------------------------------------------------------------------------- */

struct clear_wait {
    bool done;
    int ret;
};

static void clear_waited(void *opaque, int ret)
{
    struct clear_wait *w = opaque;
    w->done = true;
    w->ret = ret;
}

int qed_wait_for_requests(struct qed *q)
{
    while (q->requests)
        if (!q->file->loop || !q->file->loop->ops->poll(q->file->loop))
            return -EDEADLK;
    return 0;
}

int qed_drain(struct qed *q)
{
    int ret = qed_wait_for_requests(q);
    bool quiet = !ret && q->quiet_timer.armed && qed_clears_on(q, QED_CLEAR_ON_QUIET);
    bool timer = !ret && !quiet && q->timer.armed && qed_clears_on(q, QED_CLEAR_ON_TIMER);
    qed_mark_timer_cancel(q);
    if (!quiet && !timer)
        return ret;
    struct clear_wait w = {0};
    start_clearing(q, quiet ? quiet_start : timer_start, clear_waited, &w);
    ret = qed_wait(q, &w.done);
    return ret ? ret : w.ret;
}

int qed_mark_clear_header_sync(struct qed *q)
{
    note(q, false);
    int ret = qed_header_write_sync(q);
    if (ret)
        undo(q);
    return ret;
}

/* Ordering point "need-check-clear" at close. The flush after a cleared mark is the caller's last one. */
int qed_mark_clear_sync(struct qed *q)
{
    int ret = is_set(q) && flushes_before_clearing(q) ? qed_flush_sync(q) : 0;
    return ret || !is_set(q) ? ret : qed_mark_clear_header_sync(q);
}

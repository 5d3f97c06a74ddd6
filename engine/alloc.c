/* alloc.c: an allocating chunk. This is where the order of writes is decided.
 *
 *   lock ─▶ mark ─▶ reserve ─▶ prefill ─▶ postfill ─▶ guest data ─▶ [data flush] ─▶ link (link.c)
 *
 * Each stage waits for the one before it. The new cluster's file space is reserved in memory only and never given back
 * after an error: it leaks at worst. Spec 7.2, 7.3.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "engine/internal.h"

static void fail(struct qed_req *r, int ret)
{
    qed_req_finish(r, ret);
}

/* --- freed clusters ------------------------------------------------------------------------------------------------ */

void qed_freed_add(struct qed *q, uint64_t offset)
{
    if (q->freed_count == q->freed_cap) {
        size_t cap = q->freed_cap ? q->freed_cap * 2 : 16;
        struct qed_freed *grown = qed_pool_get(q->pool, cap * sizeof(*grown));
        if (!grown)
            return; /* it leaks, which is harmless */
        if (q->freed_count)
            memcpy(grown, q->freed, q->freed_count * sizeof(*grown));
        qed_pool_put(q->pool, q->freed);
        q->freed = grown;
        q->freed_cap = cap;
    }
    q->freed[q->freed_count++] = (struct qed_freed){.offset = offset, .freed_at = q->flush_clock};
}

/* Ordering point "reuse": a freed cluster may be handed out at once, or only once a flush has covered the entry that was
 * cleared; else a crash could bring that entry back and show its guest sector another one's data. */
static bool take_freed(struct qed *q, uint64_t *offset)
{
    for (size_t i = 0; i < q->freed_count; i++) {
        bool ready =
            q->flushed_clock > q->freed[i].freed_at || qed_design_is(q->design, QED_FIELD_reuse, QED_REUSE_AT_ONCE);
        if (!ready)
            continue;
        *offset = q->freed[i].offset;
        memmove(&q->freed[i], &q->freed[i + 1], (q->freed_count - i - 1) * sizeof(*q->freed));
        q->freed_count--;
        return true;
    }
    return false;
}

static void reserve(struct qed_req *r)
{
    struct qed *q = r->q;
    uint64_t in = r->pos & (q->g.cluster_bytes - 1);
    qed_announce(q, BLK_EVENT_CLUSTER_ALLOC);
    if (take_freed(q, &r->cluster)) { /* freed clusters lie anywhere: one at a time */
        if (r->chunk_bytes > q->g.cluster_bytes - in) {
            r->chunk_bytes = q->g.cluster_bytes - in;
            r->nsub = qed_iov_slice(r->sub, r->nsub, 0, r->chunk_bytes, r->sub);
        }
        r->clusters = 1;
        r->reused = true;
        return;
    }
    r->clusters = (in + r->chunk_bytes + q->g.cluster_bytes - 1) >> q->g.cluster_bits;
    r->cluster = q->file_size;
    r->reused = r->cluster < q->used_below;
    q->file_size += r->clusters << q->g.cluster_bits;
}

/* --- link ---------------------------------------------------------------------------------------------------------- */

static void linked(struct qed_req *r, int ret)
{
    if (ret) {
        fail(r, ret);
        return;
    }
    r->pos += r->chunk_bytes;
    qed_req_goto(r, qed_req_next_chunk, 0);
}

static void link_chunk(struct qed_req *r, int ret)
{
    if (ret) {
        fail(r, ret);
        return;
    }
    qed_link(r, linked);
}

/* Ordering point "data-flush": the data before the entry that names it. Without it a crash may keep the entry and lose
 * the data: the guest then reads whatever the cluster held, and where bytes were copied, loses what it never wrote. */
static bool data_flush_wanted(const struct qed_req *r)
{
    uint64_t flushes = QED_VALUE(QED_DATA_FLUSH_ALWAYS);
    if (r->copied)
        flushes |= QED_VALUE(QED_DATA_FLUSH_COW);
    if (r->filled)
        flushes |= QED_VALUE(QED_DATA_FLUSH_PARTIAL);
    if (r->reused)
        flushes |= QED_VALUE(QED_DATA_FLUSH_REUSE);
    if (r->q->backing.dev)
        flushes |= QED_VALUE(QED_DATA_FLUSH_BACKING);
    return qed_design_in(r->q->design, QED_FIELD_data_flush, flushes);
}

static void data_done(struct qed_req *r, int ret)
{
    if (ret)
        fail(r, ret);
    else if (data_flush_wanted(r))
        qed_file_flush(r, link_chunk);
    else
        link_chunk(r, 0);
}

static void write_data(struct qed_req *r, int ret)
{
    if (ret) {
        fail(r, ret);
        return;
    }
    uint64_t in = r->pos & (r->q->g.cluster_bytes - 1);
    qed_file_write(r, BLK_EVENT_WRITE_AIO, r->cluster + in, r->sub, r->nsub, data_done);
}

/* --- fill ---------------------------------------------------------------------------------------------------------- */

static bool all_zero(const uint8_t *bytes, uint64_t size)
{
    return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

/* Ordering point "fill": need a fill of zeros be written? Skipping relies on new space reading as zeros. */
static bool fill_skipped(const struct qed_req *r)
{
    if (!all_zero(r->fill, r->fill_bytes))
        return false;
    uint64_t skips = QED_VALUE(QED_ZERO_FILL_SKIP_ALL_ZERO);
    if (r->cluster >= r->q->size_at_open && !r->reused)
        skips |= QED_VALUE(QED_ZERO_FILL_SKIP_NEW_SPACE);
    return qed_design_in(r->q->design, QED_FIELD_zero_fill, skips);
}

static void fill_written(struct qed_req *r, int ret)
{
    qed_pool_put(r->q->pool, r->fill);
    r->fill = NULL;
    r->after_fill(r, ret);
}

/* A postfill that is not written must not leave the file ending inside its cluster: to the next open a partial last
 * cluster does not exist. */
static int cover_skipped_fill(struct qed_req *r)
{
    struct blockdev *file = r->q->file;
    uint64_t length, end = r->fill_file + r->fill_bytes;
    if (!file->ops->resize || (end & (r->q->g.cluster_bytes - 1)))
        return 0;
    int ret = file->ops->length(file, 1, &length);
    return ret || length >= end ? ret : qed_resize_sync(r->q, end);
}

static void fill_read(struct qed_req *r, int ret)
{
    if (ret || fill_skipped(r)) {
        fill_written(r, ret ? ret : cover_skipped_fill(r));
        return;
    }
    r->filled = true;
    r->copied |= r->fill_from_backing > 0;
    struct iovec iov = {.iov_base = r->fill, .iov_len = r->fill_bytes};
    qed_file_write(r, BLK_EVENT_COW_WRITE, r->fill_file, &iov, 1, fill_written);
}

/* Ordering point "zero-cluster-fill": around a partial write into a cluster that reads zero, zeros belong. QEMU 7.2 takes
 * the backing file's bytes, which the zero entry had hidden. */
static bool fill_is_zeros(const struct qed_req *r)
{
    return r->found == QED_FOUND_ZERO &&
           qed_design_is(r->q->design, QED_FIELD_zero_cluster_fill, QED_ZERO_CLUSTER_FILL_ZEROS);
}

static void fill(struct qed_req *r, uint64_t guest, uint64_t bytes, uint64_t file, qed_step *after)
{
    struct qed *q = r->q;
    r->after_fill = after;
    r->fill_guest = guest;
    r->fill_bytes = bytes;
    r->fill_file = file;
    r->fill = qed_pool_get(q->pool, bytes);
    if (!r->fill) {
        fail(r, -ENOMEM);
        return;
    }
    r->fill_from_backing = 0;
    if (fill_is_zeros(r) || !q->backing.dev) {
        memset(r->fill, 0, bytes);
        fill_read(r, 0);
        return;
    }
    if (guest < q->backing.bytes)
        r->fill_from_backing = bytes;
    r->sub[r->nsub] = (struct iovec){.iov_base = r->fill, .iov_len = bytes}; /* the spare entry of the slice */
    qed_backing_read(r, BLK_EVENT_COW_READ, guest, &r->sub[r->nsub], 1, fill_read);
}

static void postfill(struct qed_req *r, int ret)
{
    if (ret) {
        fail(r, ret);
        return;
    }
    struct qed *q = r->q;
    uint64_t in = r->pos & (q->g.cluster_bytes - 1);
    uint64_t end = in + r->chunk_bytes, room = r->clusters << q->g.cluster_bits;
    if (end < room)
        fill(r, r->pos + r->chunk_bytes, room - end, r->cluster + end, write_data);
    else
        write_data(r, 0);
}

static void prefill(struct qed_req *r, int ret)
{
    if (ret) {
        fail(r, ret);
        return;
    }
    uint64_t in = r->pos & (r->q->g.cluster_bytes - 1);
    if (in)
        fill(r, r->pos - in, in, r->cluster, postfill);
    else
        postfill(r, 0);
}

/* --- entry --------------------------------------------------------------------------------------------------------- */

static bool zero_by_entry(const struct qed_req *r)
{
    uint64_t mask = r->q->g.cluster_bytes - 1;
    return r->kind == QED_REQ_ZERO && !((r->pos | r->chunk_bytes) & mask) &&
           qed_design_is(r->q->design, QED_FIELD_native_zero, true);
}

/* The chunk's entries of its L2 table; or the L1 entry of the table that is to be made. */
static struct qed_claim claim_of_chunk(const struct qed_req *r)
{
    const struct qed_geometry *g = &r->q->g;
    if (!r->l2)
        return (struct qed_claim){.table = r->q->l1->offset, .first = qed_l1_index(g, r->pos), .count = 1};
    uint64_t last = (r->pos + r->chunk_bytes - 1) >> g->cluster_bits;
    return (struct qed_claim){
        .table = r->l2->offset, .first = qed_l2_index(g, r->pos), .count = last - (r->pos >> g->cluster_bits) + 1};
}

/* Counts r among the allocating requests and claims its entries. False: it sleeps and will look up again. */
static bool enter(struct qed_req *r)
{
    struct qed *q = r->q;
    if (!r->counted && q->plugged) {
        qed_sleep(r);
        return false;
    }
    struct qed_claim claim = claim_of_chunk(r);
    if (!qed_lock_acquire(r, &claim))
        return false;
    if (!r->counted) {
        r->counted = true;
        q->allocating++;
        q->allocations++;
    }
    qed_mark_timer_cancel(q);
    return true;
}

static void entries_for_data(struct qed_req *r)
{
    r->entry = r->cluster;
    r->entry_step = r->q->g.cluster_bytes;
    r->old_entry = r->found == QED_FOUND_ZERO ? QED_ENTRY_ZERO : QED_ENTRY_UNALLOCATED;
    r->old_step = 0;
}

static void marked(struct qed_req *r, int ret)
{
    if (ret) {
        fail(r, ret);
        return;
    }
    reserve(r);
    entries_for_data(r);
    prefill(r, 0);
}

void qed_alloc_chunk(struct qed_req *r)
{
    if (!enter(r))
        return;
    if (!zero_by_entry(r)) {
        qed_mark_set(r, marked);
        return;
    }
    r->clusters = r->chunk_bytes >> r->q->g.cluster_bits;
    r->entry = QED_ENTRY_ZERO;
    r->entry_step = 0;
    r->old_entry = QED_ENTRY_UNALLOCATED;
    r->old_step = 0;
    qed_mark_set(r, link_chunk);
}

/* --- discard ------------------------------------------------------------------------------------------------------- */

static void discarded(struct qed_req *r, int ret)
{
    if (!ret)
        for (uint64_t i = 0; i < r->clusters; i++)
            qed_freed_add(r->q, r->old_entry + i * r->q->g.cluster_bytes);
    linked(r, ret);
}

static void discard_link(struct qed_req *r, int ret)
{
    if (ret)
        fail(r, ret);
    else
        qed_link(r, discarded);
}

void qed_discard_chunk(struct qed_req *r)
{
    if (r->found != QED_FOUND_DATA) {
        linked(r, 0);
        return;
    }
    if (!enter(r))
        return;
    struct qed *q = r->q;
    qed_announce(q, BLK_EVENT_CLUSTER_FREE);
    r->clusters = r->chunk_bytes >> q->g.cluster_bits;
    r->old_entry = r->offset;
    r->old_step = q->g.cluster_bytes;
    r->entry = q->backing.dev ? QED_ENTRY_ZERO : QED_ENTRY_UNALLOCATED;
    r->entry_step = 0;
    qed_mark_set(r, discard_link);
}

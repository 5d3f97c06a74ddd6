/* open.c: opening, closing, reopening. Everything is read and validated before anything is written. Spec 3. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/internal.h"

/* --- reading and validating ---------------------------------------------------------------------------------------- */

static int read_header(struct qed *q, struct qed_error *err)
{
    uint8_t sector[BLK_SECTOR_BYTES];
    int ret = qed_read_sync(q, BLK_EVENT_HEADER_READ, 0, sector, sizeof(sector));
    if (ret)
        return qed_fail(err, ret, "Failed to read QED header: %s", strerror(-ret));
    qed_header_decode(sector, &q->header);
    const struct qed_header *h = &q->header;
    if (h->magic != QED_MAGIC)
        return qed_fail(err, -EINVAL, "Image not in QED format: expected the magic \"QED\\0\" at offset 0");
    if (h->features & ~(uint64_t)QED_F_KNOWN)
        return qed_fail(err, -ENOTSUP, "Unsupported QED features: %" PRIx64 "; a newer program made this image",
                        h->features & ~(uint64_t)QED_F_KNOWN);
    if (!qed_cluster_size_valid(h->cluster_size))
        return qed_fail(err, -EINVAL, "QED cluster size is invalid: %u; expected a power of two from %u to %u",
                        h->cluster_size, QED_MIN_CLUSTER_BYTES, QED_MAX_CLUSTER_BYTES);
    qed_phys_size_load(q, sector);
    return 0;
}

static int validate_geometry(struct qed *q, struct qed_error *err)
{
    const struct qed_header *h = &q->header;
    int ret = q->file->ops->length(q->file, h->cluster_size, &q->file_size);
    if (ret)
        return qed_fail(err, ret, "Failed to get file length: %s", strerror(-ret));
    if (!qed_table_size_valid(h->table_size))
        return qed_fail(err, -EINVAL, "QED table size is invalid: %u; expected a power of two from %u to %u",
                        h->table_size, QED_MIN_TABLE_CLUSTERS, QED_MAX_TABLE_CLUSTERS);
    qed_geometry_init(&q->g, h->cluster_size, h->table_size, h->header_size);
    if (h->image_size % BLK_SECTOR_BYTES || h->image_size > q->g.max_image_bytes)
        return qed_fail(err, -EINVAL,
                        "QED image size is invalid: %" PRIu64 "; expected a multiple of 512 of at most %" PRIu64,
                        h->image_size, q->g.max_image_bytes);
    if (!h->header_size || (uint64_t)h->header_size * h->cluster_size > UINT32_MAX)
        return qed_fail(err, -EINVAL, "QED header size is %s: %u clusters", h->header_size ? "too large" : "invalid",
                        h->header_size);
    if (!qed_table_offset_valid(&q->g, q->file_size, h->l1_table_offset))
        return qed_fail(err, -EINVAL,
                        "QED table offset is invalid: the L1 table at %" PRIu64
                        " does not lie cluster-aligned between the header and the file's end (%" PRIu64 ")",
                        h->l1_table_offset, q->file_size);
    return 0;
}

static int read_backing_name(struct qed *q, struct qed_error *err)
{
    const struct qed_header *h = &q->header;
    uint64_t offset = h->backing_filename_offset, size = h->backing_filename_size;
    if (!(h->features & QED_F_BACKING_FILE))
        return 0;
    if (offset + size > q->g.header_bytes)
        return qed_fail(err, -EINVAL,
                        "QED backing filename offset is invalid: %" PRIu64 " + %" PRIu64
                        " bytes do not lie inside the header's %" PRIu64,
                        offset, size, q->g.header_bytes);
    if (size > QED_MAX_BACKING_NAME_BYTES)
        return qed_fail(err, -EINVAL, "Failed to read backing filename: %" PRIu64 " bytes long; expected at most %u",
                        size, QED_MAX_BACKING_NAME_BYTES);
    if (!size)
        return 0;
    uint64_t from = offset & ~(uint64_t)(BLK_SECTOR_BYTES - 1);
    size_t span = (size_t)((offset + size - from + BLK_SECTOR_BYTES - 1) & ~(uint64_t)(BLK_SECTOR_BYTES - 1));
    char *buf = qed_pool_get(q->pool, span + 1);
    if (!buf)
        return -ENOMEM;
    int ret = qed_read_sync(q, BLK_EVENT_HEADER_READ, from, buf, span);
    if (ret) {
        qed_pool_put(q->pool, buf);
        return qed_fail(err, ret, "Failed to read backing filename: %s", strerror(-ret));
    }
    memmove(buf, buf + (offset - from), size);
    buf[size] = 0;
    q->backing_name = buf;
    return 0;
}

static int read_l1(struct qed *q, struct qed_error *err)
{
    q->l1 = qed_table_new(q, q->header.l1_table_offset);
    int ret = q->l1 ? qed_table_load_sync(q, BLK_EVENT_L1_LOAD, q->l1) : -ENOMEM;
    return ret ? qed_fail(err, ret, "Failed to read L1 table: %s", strerror(-ret)) : 0;
}

/* --- where allocation goes on -------------------------------------------------------------------------------------- */

/* A device of fixed length does not say where the last allocation ended; the tables do. */
static int find_end_by_scan(struct qed *q, struct qed_error *err)
{
    uint64_t limit = q->file_size, end = q->header.l1_table_offset + q->g.table_bytes;
    q->report.scanned = true;
    qed_look(q, q->l1->offset, q->g.table_entries, q->g.table_bytes);
    for (size_t i = q->l1->lo; i < q->l1->hi; i++) {
        uint64_t offset = q->l1->entries[i];
        if (!offset || !qed_table_offset_valid(&q->g, limit, offset))
            continue;
        end = offset + q->g.table_bytes > end ? offset + q->g.table_bytes : end;
        struct qed_table *t = qed_table_new(q, offset);
        int ret = t ? qed_table_load_sync(q, BLK_EVENT_L2_LOAD, t) : -ENOMEM;
        if (!ret) /* what is allocated next depends on all of it */
            qed_look(q, t->offset, q->g.table_entries, q->g.cluster_bytes);
        for (size_t k = ret ? 0 : t->lo; !ret && k < t->hi; k++)
            if (qed_data_offset_valid(&q->g, limit, t->entries[k]) && t->entries[k] + q->g.cluster_bytes > end)
                end = t->entries[k] + q->g.cluster_bytes;
        if (!ret)
            t = qed_cache_commit(q, t);
        qed_table_unref(q, t);
        if (ret)
            return qed_fail(err, ret, "Failed to read an L2 table: %s", strerror(-ret));
    }
    q->file_size = end;
    q->used_below = limit; /* a device's free space may hold anything */
    return 0;
}

/* A file's length says it; on a device of fixed length the header, or else the tables. */
static int find_end(struct qed *q, struct qed_error *err)
{
    if (q->file->ops->resize)
        return 0;
    if (q->phys_size > q->file_size || !qed_phys_size_valid(q))
        return find_end_by_scan(q, err);
    q->used_below = q->file_size;
    q->file_size = q->phys_size;
    return 0;
}

/* The exact length is one more thing a crash leaves open: only designs that act on it ask. */
static bool tail_matters(const struct qed *q)
{
    return !qed_design_is(q->design, QED_FIELD_tail, QED_TAIL_ROUND_DOWN) ||
           qed_design_is(q->design, QED_FIELD_data_flush, QED_DATA_FLUSH_REUSE) ||
           qed_design_is(q->design, QED_FIELD_zero_fill, QED_ZERO_FILL_SKIP_NEW_SPACE);
}

/* Ordering point "tail": the last, partial cluster of the file. Rounding down hands its bytes to the next allocation. */
static int settle_tail(struct qed *q, struct qed_error *err)
{
    if (q->read_only || !q->file->ops->resize || !tail_matters(q))
        return 0;
    uint64_t exact;
    int ret = q->file->ops->length(q->file, 1, &exact);
    if (ret)
        return qed_fail(err, ret, "Failed to get file length: %s", strerror(-ret));
    if (exact <= q->file_size) /* less: reserved and never written, or set aside before a reopen */
        return 0;
    q->report.tail_partial = true;
    if (qed_design_is(q->design, QED_FIELD_tail, QED_TAIL_ROUND_DOWN)) {
        q->used_below = q->file_size + q->g.cluster_bytes;
        return 0;
    }
    if (qed_design_is(q->design, QED_FIELD_tail, QED_TAIL_ROUND_UP)) {
        q->file_size += q->g.cluster_bytes;
        return 0;
    }
    ret = qed_resize_sync(q, q->file_size);
    return ret ? qed_fail(err, ret, "Failed to cut the file's partial last cluster: %s", strerror(-ret)) : 0;
}

/* --- first writes -------------------------------------------------------------------------------------------------- */

/* Bits we do not know the meaning of vouch for something we are about to change: they go, durably, before anything else
 * is written. */
static int clear_autoclear(struct qed *q, struct qed_error *err)
{
    uint64_t known = q->header.autoclear_features & QED_AUTOCLEAR_PHYS_SIZE;
    if (q->read_only || !q->header.autoclear_features)
        return 0;
    if (known && !qed_phys_size_in(q, QED_VALUE(QED_PHYS_SIZE_AUTOCLEAR_BIT)))
        known = 0;
    if (q->header.autoclear_features == known)
        return 0;
    q->header.autoclear_features = known;
    int ret = qed_header_write_sync(q);
    if (!ret)
        ret = qed_flush_sync(q);
    return ret ? qed_fail(err, ret, "Failed to update header: %s", strerror(-ret)) : 0;
}

/* Is the image marked, and is it to be scanned? Only who may write has to know. */
static int settle_mark(struct qed *q, struct qed_error *err)
{
    bool marked = q->header.features & QED_F_NEED_CHECK;
    if (!marked && !q->read_only && !(q->header.autoclear_features & QED_AUTOCLEAR_PHYS_SIZE))
        marked = qed_phys_size_in(q, QED_VALUE(QED_PHYS_SIZE_AUTOCLEAR_BIT));
    q->mark = marked ? QED_MARK_SET : QED_MARK_CLEAR;
    q->doubt = false;
    int ret = q->read_only ? 0 : qed_phys_size_doubt(q, marked, &q->doubt);
    return ret ? qed_fail(err, ret, "Failed to get file length: %s", strerror(-ret)) : 0;
}

static int repair_if_in_doubt(struct qed *q, struct qed_error *err)
{
    enum qed_mark_state mark = q->mark;
    if (q->read_only || !q->doubt)
        return 0;
    q->mark = QED_MARK_SET; /* all that is found wrong and mended counts as if it had been */
    q->report.scanned = true;
    q->report.check_ret = qed_check_run(q, true, false, &q->report.check);
    if (q->mark == QED_MARK_SET)
        q->mark = mark;
    if (q->report.check_ret)
        return qed_fail(err, q->report.check_ret, "Image corrupted: the check could not finish: %s",
                        strerror(-q->report.check_ret));
    return 0;
}

/* --- open ---------------------------------------------------------------------------------------------------------- */

static int load(struct qed *q, const struct qed_open_options *options, unsigned depth, struct qed_error *err)
{
    int ret = read_header(q, err);
    if (!ret)
        ret = validate_geometry(q, err);
    if (!ret)
        ret = read_backing_name(q, err);
    if (!ret)
        ret = read_l1(q, err);
    if (!ret)
        ret = qed_backing_open(q, options, depth, err);
    if (!ret)
        ret = find_end(q, err);
    if (!ret)
        ret = settle_mark(q, err);
    if (!ret)
        ret = clear_autoclear(q, err);
    if (!ret)
        ret = settle_tail(q, err);
    q->size_at_open = q->file_size;
    if (!ret && !options->check_mode)
        ret = repair_if_in_doubt(q, err);
    return ret;
}

static void release(struct qed *q)
{
    qed_mark_timer_cancel(q);
    while (q->requests) {
        struct qed_req *r = q->requests;
        q->requests = r->next_in_flight;
        qed_req_free(r);
    }
    qed_cache_drop_all(q);
    qed_table_unref(q, q->l1);
    qed_backing_close(q);
    qed_pool_put(q->pool, q->backing_name);
    qed_pool_put(q->pool, q->freed);
    qed_pool_put_zeroed(q->pool, q->zeros, 0, 0);
    struct qed_pool *pool = q->pool;
    bool own = q->own_pool;
    qed_pool_put(pool, q);
    if (own)
        qed_pool_destroy(pool);
}

static struct qed *allocate(struct blockdev *file, const struct qed_open_options *options)
{
    struct qed_pool *pool = options->pool ? options->pool : qed_pool_create();
    struct qed *q = pool ? qed_pool_get(pool, sizeof(*q)) : NULL;
    if (!q) {
        if (pool && !options->pool)
            qed_pool_destroy(pool);
        return NULL;
    }
    memset(q, 0, sizeof(*q));
    q->file = file;
    q->design = options->design;
    q->pool = pool;
    q->own_pool = !options->pool;
    q->read_only = options->read_only;
    q->zeros = qed_pool_get_zeroed(pool, QED_ZEROS_BYTES);
    qed_mark_timer_init(q);
    return q;
}

int qed_open_depth(struct blockdev *file, const struct qed_open_options *options, unsigned depth, struct qed **out,
                   struct qed_error *err)
{
    *out = NULL;
    if (err)
        err->text[0] = 0;
    struct qed *q = allocate(file, options);
    if (!q)
        return qed_fail(err, -ENOMEM, "Out of memory");
    int ret = q->zeros ? load(q, options, depth, err) : -ENOMEM;
    if (ret) {
        if (err && !err->text[0])
            qed_fail(err, ret, "Failed to open the image: %s", strerror(-ret));
        release(q);
        return ret;
    }
    qed_mark_timer_start(q);
    *out = q;
    return 0;
}

int qed_open(struct blockdev *file, const struct qed_open_options *options, struct qed **out, struct qed_error *err)
{
    return qed_open_depth(file, options, 0, out, err);
}

/* --- close --------------------------------------------------------------------------------------------------------- */

/* The file's own last flush: what close acknowledged is durable. Ordering point "close-flush": this session has written
 * nothing, but another process may have, and died. */
static int last_flush(struct qed *q)
{
    bool flush = q->unflushed || (!q->wrote && qed_design_is(q->design, QED_FIELD_close_flush, QED_CLOSE_FLUSH_ALWAYS));
    return flush ? qed_flush_sync(q) : 0;
}

static int leave(struct qed *q)
{
    int ret = qed_drain(q);
    if (ret || q->read_only)
        return ret ? ret : last_flush(q);
    bool corrupt = q->report.check.corruptions || q->report.check.check_errors;
    if (qed_clears_on(q, QED_CLEAR_ON_CLOSE) && (!corrupt || qed_design_is(q->design, QED_FIELD_clear_corrupt, true)))
        ret = qed_mark_clear_sync(q);
    return ret ? ret : last_flush(q);
}

int qed_close(struct qed *q)
{
    int ret = leave(q);
    release(q);
    return ret;
}

void qed_abandon(struct qed *q)
{
    release(q);
}

int qed_reopen(struct qed *q, bool read_only, struct qed_error *err)
{
    if (err)
        err->text[0] = 0;
    if (read_only == q->read_only)
        return 0;
    int ret = leave(q);
    if (ret)
        return qed_fail(err, ret, "Failed to finish what was written: %s", strerror(-ret));
    q->read_only = read_only;
    if (read_only)
        return 0;
    ret = settle_mark(q, err);
    if (!ret)
        ret = clear_autoclear(q, err);
    if (!ret)
        ret = settle_tail(q, err);
    /* Ordering point "check-on-reopen": a marked image that becomes writable without ever having been checked. */
    if (!ret && q->doubt && qed_design_is(q->design, QED_FIELD_check_on_reopen, true))
        ret = repair_if_in_doubt(q, err);
    if (ret)
        q->read_only = true;
    return ret;
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

int qed_probe(const uint8_t *bytes, size_t length)
{
    static const uint8_t magic[4] = {'Q', 'E', 'D', 0};
    return length >= QED_HEADER_BYTES && !memcmp(bytes, magic, sizeof(magic)) ? 100 : 0;
}

const struct qed_open_report *qed_opened(const struct qed *q)
{
    return &q->report;
}

const struct qed_header *qed_get_header(const struct qed *q)
{
    return &q->header;
}

const struct qed_geometry *qed_get_geometry(const struct qed *q)
{
    return &q->g;
}

uint64_t qed_image_bytes(const struct qed *q)
{
    return q->header.image_size;
}

const char *qed_backing_name(const struct qed *q)
{
    return q->backing_name;
}

bool qed_need_check(const struct qed *q)
{
    return q->header.features & QED_F_NEED_CHECK;
}

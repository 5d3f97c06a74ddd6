/* link.c: making new clusters visible: the L2 sectors, or a whole new L2 table and the L1 sector that names it.
 *
 *   existing L2:  [publish] ─▶ write sectors ─▶ [publish]
 *   new L2:       write table ─▶ [flush] ─▶ [publish] ─▶ write L1 sector ─▶ [publish] ─▶ table becomes resident
 *
 * Whether an entry is published before its write shows only if somebody looks at it meanwhile; so it is decided then.
 *
 * Ordering point "publish": before its write, an entry can be seen, and relied on, by requests that the disk will
 * remember longer than the entry; after it, nobody can use what the disk has not been given yet.
 * Ordering point "failed-table-write": an entry that stays in memory after its write failed makes later requests believe
 * that it is on disk.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "engine/internal.h"

#define ENTRIES_PER_SECTOR (BLK_SECTOR_BYTES / 8)

static void set_entries(struct qed_req *r, struct qed_table *t, uint64_t value, uint64_t step)
{
    uint64_t index = qed_l2_index(&r->q->g, r->pos);
    for (uint64_t i = 0; i < r->clusters; i++)
        qed_table_set(t, index + i, value + i * step);
}

static bool rolls_back(const struct qed_req *r)
{
    return qed_design_is(r->q->design, QED_FIELD_failed_table, QED_FAILED_TABLE_ROLL_BACK);
}

/* Are the entries under way seen by others? Where nobody has looked yet, nobody has asked either. */
static bool seen(struct qed_req *r)
{
    if (r->publication == QED_UNSEEN)
        r->publication =
            qed_design_is(r->q->design, QED_FIELD_publish, QED_PUBLISH_BEFORE_WRITE) ? QED_SEEN : QED_HIDDEN;
    return r->publication == QED_SEEN;
}

static void show(struct qed_req *r)
{
    if (r->new_l2)
        qed_table_set(r->q->l1, qed_l1_index(&r->q->g, r->pos), r->new_l2->offset);
    else
        set_entries(r, r->l2, r->entry, r->entry_step);
}

static void hide(struct qed_req *r)
{
    if (r->new_l2)
        qed_table_set(r->q->l1, qed_l1_index(&r->q->g, r->pos), 0);
    else
        set_entries(r, r->l2, r->old_entry, r->old_step);
}

static bool meets(const struct qed_req *r, const struct qed_table *t, uint64_t first, uint64_t count)
{
    const struct qed_geometry *g = &r->q->g;
    uint64_t index = r->new_l2 ? qed_l1_index(g, r->pos) : qed_l2_index(g, r->pos);
    uint64_t entries = r->new_l2 ? 1 : r->clusters;
    return (r->new_l2 ? r->q->l1 : r->l2) == t && index < first + count && first < index + entries;
}

void qed_link_look(struct qed *q, const struct qed_table *t, uint64_t first, uint64_t count)
{
    for (struct qed_req *r = q->requests; r; r = r->next_in_flight)
        if (r->publication == QED_UNSEEN && meets(r, t, first, count) && seen(r))
            show(r);
}

/* The write is over: what memory holds from now on. True if that is the new entries. */
static bool settle(struct qed_req *r, int ret)
{
    enum qed_publication was = r->publication;
    bool keep = !ret || (seen(r) && !rolls_back(r));
    r->publication = QED_NOT_LINKING;
    if (keep && was != QED_SEEN)
        show(r);
    else if (!keep && was == QED_SEEN)
        hide(r);
    return keep;
}

static void drop_buffer(struct qed_req *r)
{
    qed_pool_put(r->q->pool, r->sector_buf);
    r->sector_buf = NULL;
}

static void link_finish(struct qed_req *r, int ret)
{
    drop_buffer(r);
    r->after_link(r, ret);
}

/* --- existing table ------------------------------------------------------------------------------------------------ */

static void l2_written(struct qed_req *r, int ret)
{
    settle(r, ret);
    link_finish(r, ret);
}

/* The sectors of the table that hold the chunk's entries, with the new values in, little-endian. */
static bool encode_l2_sectors(struct qed_req *r, uint64_t *first, uint64_t *count)
{
    uint64_t index = qed_l2_index(&r->q->g, r->pos);
    *first = index / ENTRIES_PER_SECTOR * ENTRIES_PER_SECTOR;
    *count = (index + r->clusters + ENTRIES_PER_SECTOR - 1) / ENTRIES_PER_SECTOR * ENTRIES_PER_SECTOR - *first;
    r->sector_buf = qed_pool_get(r->q->pool, *count * 8);
    if (!r->sector_buf)
        return false;
    qed_link_look(r->q, r->l2, *first, *count);
    qed_table_encode(r->l2, *first, *count, r->sector_buf);
    for (uint64_t i = 0; i < r->clusters; i++) {
        uint64_t le = htole64(r->entry + i * r->entry_step);
        memcpy(r->sector_buf + (index - *first + i) * 8, &le, 8);
    }
    return true;
}

static void link_existing(struct qed_req *r)
{
    uint64_t first, count;
    if (!encode_l2_sectors(r, &first, &count)) {
        link_finish(r, -ENOMEM);
        return;
    }
    r->publication = QED_UNSEEN;
    struct iovec iov = {.iov_base = r->sector_buf, .iov_len = count * 8};
    qed_file_write(r, BLK_EVENT_L2_UPDATE, r->l2->offset + first * 8, &iov, 1, l2_written);
}

/* --- new table ----------------------------------------------------------------------------------------------------- */

static void new_table_failed(struct qed_req *r, int ret)
{
    qed_table_unref(r->q, r->new_l2);
    r->new_l2 = NULL;
    link_finish(r, ret);
}

static void l1_finish(struct qed_req *r, int ret)
{
    link_finish(r, ret);
}

static void l1_flushed(struct qed_req *r, int ret)
{
    if (ret)
        link_finish(r, ret);
    else
        qed_mark_clear_in(r, true, l1_finish);
}

/* Ordering point "need-check-clear" on an L1 update. */
static void clear_after_l1(struct qed_req *r)
{
    qed_mark_note_flush(r);
    if (!qed_clears_on(r->q, QED_CLEAR_ON_L1_UPDATE))
        link_finish(r, 0);
    else if (qed_clears_after_flush(r->q))
        qed_file_flush(r, l1_flushed);
    else
        qed_mark_clear_in(r, qed_design_is(r->q->design, QED_FIELD_clear_order, QED_CLEAR_WITHOUT_FLUSH), l1_finish);
}

static void l1_written(struct qed_req *r, int ret)
{
    if (!settle(r, ret)) {
        new_table_failed(r, ret);
        return;
    }
    struct qed_table *t = r->new_l2;
    r->new_l2 = NULL;
    qed_table_unref(r->q, qed_cache_commit(r->q, t));
    if (ret)
        link_finish(r, ret);
    else
        clear_after_l1(r);
}

static void link_l1(struct qed_req *r, int ret)
{
    struct qed *q = r->q;
    drop_buffer(r);
    if (ret) {
        new_table_failed(r, ret);
        return;
    }
    uint64_t index = qed_l1_index(&q->g, r->pos), first = index / ENTRIES_PER_SECTOR * ENTRIES_PER_SECTOR;
    r->sector_buf = qed_pool_get(q->pool, BLK_SECTOR_BYTES);
    if (!r->sector_buf) {
        new_table_failed(r, -ENOMEM);
        return;
    }
    qed_link_look(q, q->l1, first, ENTRIES_PER_SECTOR);
    qed_table_encode(q->l1, first, ENTRIES_PER_SECTOR, r->sector_buf);
    uint64_t le = htole64(r->new_l2->offset);
    memcpy(r->sector_buf + (index - first) * 8, &le, 8);
    r->publication = QED_UNSEEN;
    struct iovec iov = {.iov_base = r->sector_buf, .iov_len = BLK_SECTOR_BYTES};
    qed_file_write(r, BLK_EVENT_L1_UPDATE, q->l1->offset + first * 8, &iov, 1, l1_written);
}

/* Ordering point "l1-flush": the new table before the L1 entry that names it. Without it a crash may keep the link and
 * lose the table: everything under it reads as whatever lay there. */
static void table_written(struct qed_req *r, int ret)
{
    if (!ret && qed_design_is(r->q->design, QED_FIELD_l1_flush, true))
        qed_file_flush(r, link_l1);
    else
        link_l1(r, ret);
}

static void link_new(struct qed_req *r)
{
    struct qed *q = r->q;
    uint64_t offset = q->file_size;
    qed_announce(q, BLK_EVENT_CLUSTER_ALLOC);
    q->file_size += q->g.table_bytes;
    r->new_l2 = qed_table_new(q, offset);
    r->sector_buf = qed_pool_get(q->pool, q->g.table_bytes);
    if (!r->new_l2 || !r->sector_buf) {
        new_table_failed(r, -ENOMEM);
        return;
    }
    set_entries(r, r->new_l2, r->entry, r->entry_step);
    qed_table_encode(r->new_l2, 0, q->g.table_entries, r->sector_buf);
    struct iovec iov = {.iov_base = r->sector_buf, .iov_len = q->g.table_bytes};
    qed_file_write(r, BLK_EVENT_L2_ALLOC_WRITE, offset, &iov, 1, table_written);
}

void qed_link(struct qed_req *r, qed_step *after)
{
    r->after_link = after;
    if (r->l2)
        link_existing(r);
    else
        link_new(r);
}

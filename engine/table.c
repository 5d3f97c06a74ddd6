/* table.c: L1 and L2 tables in memory.
 *
 * Most of a table is zero. A table knows the extent outside of which it is, so that loading, scanning and clearing cost
 * what is in it, not what it could hold.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "engine/internal.h"

struct qed_table *qed_table_new(struct qed *q, uint64_t offset)
{
    struct qed_table *t = qed_pool_get(q->pool, sizeof(*t));
    uint64_t *entries = qed_pool_get_zeroed(q->pool, q->g.table_bytes);
    if (!t || !entries) {
        qed_pool_put(q->pool, t);
        if (entries)
            qed_pool_put_zeroed(q->pool, entries, 0, 0);
        return NULL;
    }
    *t = (struct qed_table){.offset = offset, .entries = entries, .refs = 1, .lo = q->g.table_entries};
    return t;
}

void qed_table_unref(struct qed *q, struct qed_table *t)
{
    if (!t)
        return;
    assert(t->refs);
    if (--t->refs)
        return;
    assert(!t->resident);
    size_t dirty = t->lo < t->hi ? (t->hi - t->lo) * 8 : 0;
    qed_pool_put_zeroed(q->pool, t->entries, dirty ? t->lo * 8 : 0, dirty);
    qed_pool_put(q->pool, t);
}

static void widen(struct qed_table *t, size_t lo, size_t hi)
{
    if (lo < t->lo)
        t->lo = lo;
    if (hi > t->hi)
        t->hi = hi;
}

void qed_table_set(struct qed_table *t, size_t index, uint64_t value)
{
    if (value)
        widen(t, index, index + 1);
    t->entries[index] = value;
}

bool qed_table_next_piece(const struct qed *q, const struct qed_table *t, uint64_t at, uint64_t *start, size_t *bytes)
{
    uint64_t end = q->g.table_bytes;
    if (!q->file->ops->next_data) {
        /* One read for all of it, but bounded, so that a hostile geometry costs no more memory than what is read. */
        *start = at;
        *bytes = end - at < (1u << 20) ? (size_t)(end - at) : 1u << 20;
        return at < end;
    }
    uint64_t before = at;
    if (at < end)
        at = q->file->ops->next_data(q->file, t->offset + at, t->offset + end) - t->offset;
    if (at >= end)
        return false;
    *start = at & ~(uint64_t)(BLK_SECTOR_BYTES - 1);
    uint64_t piece = QED_TABLE_PIECE_BYTES - *start % QED_TABLE_PIECE_BYTES;
    if (!q->file->loop) { /* pieces that cost no turn of a loop start small, and double as long as there is data */
        uint64_t small = *bytes && at == before ? *bytes * 2 : BLK_SECTOR_BYTES;
        piece = small < piece ? small : piece;
    }
    *bytes = (size_t)(piece < end - *start ? piece : end - *start);
    return true;
}

#define SECTOR_ENTRIES (BLK_SECTOR_BYTES / 8)

/* Most sectors of most tables are: memcmp sees that at a glance. */
static bool zero_sector(const uint64_t *entries)
{
    return !entries[0] && !memcmp(entries, entries + 1, BLK_SECTOR_BYTES - 8);
}

/* Whole sectors. */
void qed_table_decode(struct qed_table *t, uint64_t at_byte, size_t bytes)
{
    size_t lo = at_byte / 8, hi = lo + bytes / 8;
    while (lo < hi && zero_sector(t->entries + lo))
        lo += SECTOR_ENTRIES;
    while (lo < hi && zero_sector(t->entries + hi - SECTOR_ENTRIES))
        hi -= SECTOR_ENTRIES;
    for (size_t i = lo; i < hi; i++)
        t->entries[i] = le64toh(t->entries[i]);
    while (lo < hi && !t->entries[lo])
        lo++;
    while (lo < hi && !t->entries[hi - 1])
        hi--;
    if (lo < hi)
        widen(t, lo, hi);
}

void qed_table_encode(const struct qed_table *t, size_t first, size_t count, uint8_t *to)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t le = htole64(t->entries[first + i]);
        memcpy(to + i * 8, &le, 8);
    }
}

int qed_table_load_sync(struct qed *q, enum blk_event event, struct qed_table *t)
{
    uint64_t at = 0;
    size_t bytes = 0;
    while (qed_table_next_piece(q, t, at, &at, &bytes)) {
        int ret = qed_read_sync(q, event, t->offset + at, (uint8_t *)t->entries + at, bytes);
        if (ret) {
            t->lo = 0; /* whatever the failed read left there is cleared when the table goes */
            t->hi = q->g.table_entries;
            return ret;
        }
        qed_table_decode(t, at, bytes);
        at += bytes;
    }
    return 0;
}

int qed_table_write_sync(struct qed *q, enum blk_event event, const struct qed_table *t)
{
    uint8_t *buf = qed_pool_get(q->pool, q->g.table_bytes);
    if (!buf)
        return -ENOMEM;
    qed_table_encode(t, 0, q->g.table_entries, buf);
    int ret = qed_write_sync(q, event, t->offset, buf, q->g.table_bytes);
    qed_pool_put(q->pool, buf);
    return ret;
}

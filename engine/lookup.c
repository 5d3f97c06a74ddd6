/* lookup.c: from a guest position to an entry, loading L2 tables on the way. Spec 5.
 *
 * The result is a run: how many bytes from here on are of one kind, all inside one L2 table. Only the first offset of a
 * run of data clusters is validated; the others follow by contiguity.
 */
#include <errno.h>

#include "engine/internal.h"

static uint64_t bytes_left_in_table(const struct qed *q, uint64_t pos)
{
    uint64_t covered = q->g.table_entries * q->g.cluster_bytes;
    return covered - (pos & (covered - 1));
}

/* How many entries from index on are alike: all equal to a special value, or offsets one cluster apart. */
static uint64_t run_entries(const struct qed *q, const struct qed_table *t, uint64_t index, uint64_t limit)
{
    uint64_t first = t->entries[index];
    uint64_t step = first == QED_ENTRY_UNALLOCATED || first == QED_ENTRY_ZERO ? 0 : q->g.cluster_bytes;
    uint64_t n = 1;
    while (n < limit && t->entries[index + n] == first + n * step)
        n++;
    return n;
}

static void look_in_table(struct qed_req *r)
{
    struct qed *q = r->q;
    int ret = 0;
    uint64_t index = qed_l2_index(&q->g, r->pos);
    uint64_t in = r->pos & (q->g.cluster_bytes - 1);
    uint64_t limit = (in + r->chunk_bytes + q->g.cluster_bytes - 1) >> q->g.cluster_bits;
    qed_link_look(q, r->l2, index, limit);
    uint64_t entries = run_entries(q, r->l2, index, limit);
    uint64_t run = (entries << q->g.cluster_bits) - in;
    qed_look(q, r->l2->offset + index * 8, entries < limit ? entries + 1 : entries, q->g.cluster_bytes);
    if (r->chunk_bytes > run)
        r->chunk_bytes = run;
    uint64_t entry = r->l2->entries[index];
    if (entry == QED_ENTRY_UNALLOCATED) {
        r->found = QED_FOUND_UNALLOCATED;
    } else if (entry == QED_ENTRY_ZERO) {
        r->found = QED_FOUND_ZERO;
    } else if (qed_data_offset_valid(&q->g, q->file_size, entry)) {
        r->found = QED_FOUND_DATA;
        r->offset = entry + in;
    } else {
        ret = -EINVAL;
    }
    r->after_lookup(r, ret);
}

static void load_piece(struct qed_req *r, int ret);

static void table_loaded(struct qed_req *r)
{
    r->l2 = qed_cache_commit(r->q, r->loading);
    r->loading = NULL;
    look_in_table(r);
}

static void piece_done(struct qed_req *r, int ret)
{
    struct qed_table *t = r->loading;
    if (ret) { /* cache nothing; the next request tries again */
        t->lo = 0;
        t->hi = r->q->g.table_entries; /* whatever the failed read left is cleared when the table goes */
        qed_table_unref(r->q, t);
        r->loading = NULL;
        r->after_lookup(r, ret);
        return;
    }
    qed_table_decode(t, r->load_at, r->load_bytes);
    r->load_at += r->load_bytes;
    load_piece(r, 0);
}

static void load_piece(struct qed_req *r, int ret)
{
    (void)ret;
    struct qed_table *t = r->loading;
    if (!qed_table_next_piece(r->q, t, r->load_at, &r->load_at, &r->load_bytes)) {
        table_loaded(r);
        return;
    }
    struct iovec iov = {.iov_base = (uint8_t *)t->entries + r->load_at, .iov_len = r->load_bytes};
    qed_file_read(r, BLK_EVENT_L2_LOAD, t->offset + r->load_at, &iov, 1, piece_done);
}

void qed_lookup(struct qed_req *r, uint64_t bytes, qed_step *after)
{
    struct qed *q = r->q;
    r->after_lookup = after;
    uint64_t left = bytes_left_in_table(q, r->pos);
    r->chunk_bytes = bytes < left ? bytes : left;
    qed_table_unref(q, r->l2);
    r->l2 = NULL;
    uint64_t l1_index = qed_l1_index(&q->g, r->pos);
    qed_link_look(q, q->l1, l1_index, 1);
    uint64_t l2_offset = q->l1->entries[l1_index];
    qed_look(q, q->l1->offset + l1_index * 8, 1, q->g.table_bytes);
    if (!l2_offset) {
        r->found = QED_FOUND_NO_L2;
        after(r, 0);
        return;
    }
    if (!qed_table_offset_valid(&q->g, q->file_size, l2_offset)) {
        after(r, -EINVAL);
        return;
    }
    r->l2 = qed_cache_find(q, l2_offset);
    if (r->l2) {
        look_in_table(r);
        return;
    }
    r->loading = qed_table_new(q, l2_offset);
    r->load_at = r->load_bytes = 0;
    if (!r->loading) {
        after(r, -ENOMEM);
        return;
    }
    load_piece(r, 0);
}

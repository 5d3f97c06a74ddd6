/* check.c: the scan and the repair. Spec 10.
 *
 * Marks every cluster that a table names; what is named twice, or lies where nothing can lie, is a corruption; what
 * nothing names is a leak. Repair clears invalid entries and nothing else: a cleared entry shows the guest the backing
 * file, or zeros. Clusters named twice cannot be repaired, for nobody knows whose they are.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "engine/internal.h"

struct scan {
    struct qed *q;
    struct qed_check_result *result;
    bool fix, fresh;
    uint64_t *used; /* a bit per cluster of the file */
    size_t used_bytes;
};

/* True if it was marked already. */
static bool mark_cluster(struct scan *s, uint64_t offset)
{
    uint64_t index = offset >> s->q->g.cluster_bits;
    uint64_t bit = UINT64_C(1) << (index % 64);
    bool was = s->used[index / 64] & bit;
    s->used[index / 64] |= bit;
    return was;
}

static uint64_t mark_table(struct scan *s, uint64_t offset)
{
    uint64_t twice = 0;
    for (uint32_t i = 0; i < s->q->g.table_clusters; i++)
        twice += mark_cluster(s, offset + ((uint64_t)i << s->q->g.cluster_bits));
    return twice;
}

/* At open the cache is empty and what is read may stay; a later check wants what is on the disk. */
static int get_l2(struct scan *s, uint64_t offset, struct qed_table **out)
{
    struct qed *q = s->q;
    struct qed_table *t = s->fresh ? NULL : qed_cache_find(q, offset);
    if (!t) {
        t = qed_table_new(q, offset);
        if (!t)
            return -ENOMEM;
        int ret = qed_table_load_sync(q, BLK_EVENT_L2_LOAD, t);
        if (ret) {
            qed_table_unref(q, t);
            return ret;
        }
        if (!s->fresh)
            t = qed_cache_commit(q, t);
    }
    *out = t;
    return 0;
}

/* Number of invalid entries; cleared in memory when fixing. */
static uint64_t scan_entries(struct scan *s, struct qed_table *t)
{
    struct qed *q = s->q;
    uint64_t *entries = t->entries, invalid = 0, previous = 0;
    static_assert(QED_ENTRY_UNALLOCATED == 0 && QED_ENTRY_ZERO == 1, "what is greater names a place");
    for (size_t i = t->lo, end = t->hi; i < end; i++) {
        uint64_t entry = entries[i];
        if (entry <= QED_ENTRY_ZERO) /* most are: this line is where a scan's time goes */
            continue;
        s->result->allocated_clusters++;
        if (previous && entry != previous + q->g.cluster_bytes)
            s->result->fragmented_clusters++;
        previous = entry;
        if (qed_data_offset_valid(&q->g, q->file_size, entry)) {
            s->result->corruptions += mark_cluster(s, entry);
            continue;
        }
        invalid++;
        if (s->fix)
            entries[i] = QED_ENTRY_UNALLOCATED;
    }
    return invalid;
}

static void count_invalid(struct scan *s, uint64_t invalid)
{
    if (s->fix)
        s->result->corruptions_fixed += invalid;
    else
        s->result->corruptions += invalid;
}

static int scan_l2(struct scan *s, uint64_t offset)
{
    struct qed_table *t;
    int ret = get_l2(s, offset, &t);
    if (ret) {
        s->result->check_errors++;
        return ret;
    }
    uint64_t invalid = scan_entries(s, t);
    count_invalid(s, invalid);
    if (invalid && s->fix) {
        ret = qed_table_write_sync(s->q, BLK_EVENT_L2_UPDATE, t);
        if (ret)
            s->result->check_errors++;
    }
    qed_table_unref(s->q, t);
    return ret;
}

static int scan_l1(struct scan *s)
{
    struct qed *q = s->q;
    struct qed_table *l1 = q->l1;
    uint64_t invalid = 0;
    int first_error = 0;
    qed_look(q, l1->offset, q->g.table_entries, q->g.table_bytes);
    for (size_t i = l1->lo; i < l1->hi; i++) {
        uint64_t offset = l1->entries[i];
        if (!offset)
            continue;
        if (!qed_table_offset_valid(&q->g, q->file_size, offset)) {
            invalid++;
            if (s->fix)
                l1->entries[i] = 0;
            continue;
        }
        uint64_t twice = mark_table(s, offset);
        s->result->corruptions += twice;
        int ret = twice ? 0 : scan_l2(s, offset);
        if (ret && !first_error)
            first_error = ret;
    }
    count_invalid(s, invalid);
    if (invalid && s->fix) {
        int ret = qed_table_write_sync(q, BLK_EVENT_L1_UPDATE, l1);
        if (ret) {
            s->result->check_errors++;
            if (!first_error)
                first_error = ret;
        }
    }
    return first_error;
}

static void count_leaks(struct scan *s)
{
    struct qed *q = s->q;
    uint64_t clusters = q->file_size >> q->g.cluster_bits;
    uint64_t header = q->g.header_bytes >> q->g.cluster_bits, used = 0;
    for (size_t i = 0; i < s->used_bytes / 8; i++)
        used += (uint64_t)__builtin_popcountll(s->used[i]);
    if (clusters > header + used)
        s->result->leaks = clusters - header - used;
}

/* All is well again: what was repaired must be durable before the mark goes, or a second crash could bring it back with
 * nobody looking. Ordering point "repair-flush": QEMU leaves a flush out when the session wrote nothing. */
static int clear_mark(struct scan *s)
{
    struct qed *q = s->q;
    int ret = 0;
    if (q->unflushed || qed_design_is(q->design, QED_FIELD_repair_flush, true))
        ret = qed_flush_sync(q);
    return ret ? ret : qed_mark_clear_header_sync(q);
}

int qed_check_run(struct qed *q, bool fix, bool fresh, struct qed_check_result *result)
{
    struct scan s = {.q = q, .result = result, .fix = fix, .fresh = fresh};
    memset(result, 0, sizeof(*result));
    result->total_clusters =
        (q->header.image_size >> q->g.cluster_bits) + ((q->header.image_size & (q->g.cluster_bytes - 1)) != 0);
    uint64_t clusters = q->file_size >> q->g.cluster_bits;
    s.used_bytes = (clusters + 63) / 64 * 8;
    s.used = qed_pool_get_zeroed(q->pool, s.used_bytes);
    if (!s.used)
        return -ENOMEM;
    mark_table(&s, q->l1->offset);
    int ret = scan_l1(&s);
    if (!ret)
        count_leaks(&s);
    qed_pool_put_zeroed(q->pool, s.used, 0, s.used_bytes);
    if (fix && fresh)
        qed_cache_drop_all(q); /* resident tables may hold what was just repaired */
    if (!ret && fix && !result->corruptions && q->mark == QED_MARK_SET) {
        ret = clear_mark(&s);
        if (ret)
            result->check_errors++;
    }
    return ret;
}

int qed_check(struct qed *q, bool fix, struct qed_check_result *result)
{
    if (fix && q->read_only)
        return -EACCES;
    int ret = qed_wait_for_requests(q); /* not a drain: that would clear the mark before anything was checked */
    return ret ? ret : qed_check_run(q, fix, true, result);
}

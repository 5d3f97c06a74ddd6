/* l2cache.c: resident L2 tables. At most QED_L2_CACHE_TABLES, oldest out first; a hit moves nothing (spec 4.1).
 *
 * A resident table holds one reference of the cache's own, and one for each request that uses it. All tables are
 * write-through: the cache only saves reads.
 */
#include "engine/internal.h"

/* Ordering point "evict": may a table go that requests still use? If so they go on with their copy while others read a
 * second one from the disk, and neither sees what the other changes. */
static bool may_evict(const struct qed *q, const struct qed_table *t)
{
    return t->refs == 1 || qed_design_is(q->design, QED_FIELD_evict_referenced, true);
}

struct qed_table *qed_cache_find(struct qed *q, uint64_t offset)
{
    for (struct qed_table *t = q->cache_first; t; t = t->next)
        if (t->offset == offset) {
            t->refs++;
            return t;
        }
    return NULL;
}

static void remove_after(struct qed *q, struct qed_table *prev, struct qed_table *t)
{
    if (prev)
        prev->next = t->next;
    else
        q->cache_first = t->next;
    if (q->cache_last == t)
        q->cache_last = prev;
    q->cache_count--;
    t->resident = false;
    t->next = NULL;
    qed_table_unref(q, t);
}

static void evict(struct qed *q)
{
    struct qed_table *prev = NULL, *t = q->cache_first;
    while (t && q->cache_count >= QED_L2_CACHE_TABLES) {
        struct qed_table *next = t->next;
        if (may_evict(q, t))
            remove_after(q, prev, t);
        else
            prev = t;
        t = next;
    }
}

struct qed_table *qed_cache_commit(struct qed *q, struct qed_table *t)
{
    struct qed_table *resident = qed_cache_find(q, t->offset);
    if (resident) { /* two readers raced; the first one's copy is the one others have changed since */
        qed_table_unref(q, t);
        return resident;
    }
    evict(q); /* if all are busy, it grows for a while */
    t->refs++;
    t->resident = true;
    t->next = NULL;
    if (q->cache_last)
        q->cache_last->next = t;
    else
        q->cache_first = t;
    q->cache_last = t;
    q->cache_count++;
    return t;
}

void qed_cache_drop_all(struct qed *q)
{
    while (q->cache_first)
        remove_after(q, NULL, q->cache_first);
}

/* lock.c: who may allocate now.
 *
 * One holder per table, sleepers in order of arrival. A sleeper that is woken owns the lock and looks up again, because
 * what it wanted to allocate may be there by now. With one gate for all, every table has the same key. Spec 7.2, 7.3.
 */
#include "engine/internal.h"

/* Ordering point "lock". */
static bool lock_key(const struct qed *q, uint64_t table, uint64_t *key)
{
    if (qed_design_is(q->design, QED_FIELD_lock, QED_LOCK_NONE))
        return false;
    *key = qed_design_is(q->design, QED_FIELD_lock, QED_LOCK_TABLE) ? table : 0;
    return true;
}

static void append(struct qed_req **first, struct qed_req **last, struct qed_req *r)
{
    r->lock_next = NULL;
    if (*last)
        (*last)->lock_next = r;
    else
        *first = r;
    *last = r;
}

static struct qed_req *take_first(struct qed_req **first, struct qed_req **last)
{
    struct qed_req *r = *first;
    if (r) {
        *first = r->lock_next;
        if (!*first)
            *last = NULL;
        r->lock_next = NULL;
    }
    return r;
}

static struct qed_table_lock *find_lock(struct qed *q, uint64_t key)
{
    for (struct qed_table_lock *l = q->locks; l; l = l->next)
        if (l->key == key)
            return l;
    return NULL;
}

static struct qed_table_lock *new_lock(struct qed_req *r, uint64_t key)
{
    struct qed_table_lock *l = qed_pool_get(r->q->pool, sizeof(*l));
    if (!l)
        return NULL;
    *l = (struct qed_table_lock){.key = key, .holder = r, .next = r->q->locks};
    r->q->locks = l;
    return l;
}

bool qed_lock_acquire(struct qed_req *r, uint64_t table)
{
    uint64_t key;
    if (!lock_key(r->q, table, &key))
        return true;
    if (r->lock && r->lock->key == key)
        return true;
    qed_lock_release(r); /* one key at a time: no two requests can wait for each other */
    struct qed_table_lock *l = find_lock(r->q, key);
    if (l) {
        append(&l->first, &l->last, r);
        return false;
    }
    r->lock = new_lock(r, key);
    if (!r->lock) {
        qed_req_finish(r, -12 /* ENOMEM */);
        return false;
    }
    return true;
}

static void unlink_lock(struct qed *q, struct qed_table_lock *l)
{
    struct qed_table_lock **at = &q->locks;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    qed_pool_put(q->pool, l);
}

void qed_lock_release(struct qed_req *r)
{
    struct qed_table_lock *l = r->lock;
    if (!l)
        return;
    r->lock = NULL;
    struct qed_req *heir = take_first(&l->first, &l->last);
    l->holder = heir;
    if (!heir) {
        unlink_lock(r->q, l);
        return;
    }
    heir->lock = l;
    qed_req_wake(heir);
}

void qed_sleep(struct qed_req *r)
{
    append(&r->q->asleep_first, &r->q->asleep_last, r);
}

void qed_wake_sleepers(struct qed *q)
{
    /* Only those asleep now: one that goes back to sleep is behind the last of them. */
    struct qed_req *last = q->asleep_last;
    for (struct qed_req *r = NULL; r != last;) {
        r = take_first(&q->asleep_first, &q->asleep_last);
        if (!r)
            return;
        bool was_last = r == last;
        qed_req_wake(r);
        if (was_last)
            return;
    }
}

/* lock.c: who may allocate now.
 *
 * Every allocating request says what it is about to change: its *claim*, entries of one table. From its first claim to its
 * end it is also inside the image's gate. Whether a request has to wait for another's claim is the design's business,
 * and is asked only when two of them meet: a request that is alone behaves the same under every design.
 *
 * Sleepers stand in order of arrival. One whose way is free gets its claim, wakes and looks up again, because what it
 * wanted to allocate may be there by now. Spec 7.2, 7.3.
 */
#include "engine/internal.h"

static bool overlap(const struct qed_claim *a, const struct qed_claim *b)
{
    return b->count && a->first < b->first + b->count && b->first < a->first + a->count;
}

#define ANY_LOCK (QED_VALUE(QED_LOCK_GATE) | QED_VALUE(QED_LOCK_TABLE) | QED_VALUE(QED_LOCK_ENTRY))

/* The values of `lock` under which a request that wants `want` waits for one that has, or waits for, `other`. */
static uint64_t conflict(const struct qed_claim *want, const struct qed_claim *other)
{
    if (want->table != other->table)
        return QED_VALUE(QED_LOCK_GATE);
    return QED_VALUE(QED_LOCK_GATE) | QED_VALUE(QED_LOCK_TABLE) |
           (overlap(want, other) ? QED_VALUE(QED_LOCK_ENTRY) : 0);
}

/* The values under which r, which is in the gate, has what it wants already. */
static uint64_t has_already(const struct qed_req *r, const struct qed_claim *want)
{
    const struct qed_claim *have = &r->claim;
    uint64_t values = r->in_gate ? QED_VALUE(QED_LOCK_GATE) : 0;
    if (have->table != want->table)
        return values;
    values |= QED_VALUE(QED_LOCK_TABLE);
    if (want->first >= have->first && want->first + want->count <= have->first + have->count)
        values |= QED_VALUE(QED_LOCK_ENTRY);
    return values;
}

/* Ordering point "lock": must r, which wants `want` and has it already under the values `has`, wait? Those who wait already
 * and came before r go first. */
static bool must_wait(const struct qed_req *r, const struct qed_claim *want, uint64_t has)
{
    uint64_t values = 0;
    for (const struct qed_req *o = r->q->gate_first; o; o = o->gate_next)
        if (o != r)
            values |= conflict(want, &o->claim);
    for (const struct qed_req *o = r->q->waiting_first; o && o != r && values != ANY_LOCK; o = o->lock_next)
        values |= conflict(want, &o->wanted);
    values &= ~has;
    return values && qed_design_in(r->q->design, QED_FIELD_lock, values);
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

static void grant(struct qed_req *r, const struct qed_claim *claim)
{
    r->claim = *claim;
    if (r->in_gate)
        return;
    r->in_gate = true;
    r->gate_next = r->q->gate_first;
    r->q->gate_first = r;
}

static void leave_gate(struct qed_req *r)
{
    struct qed_req **at = &r->q->gate_first;
    while (*at != r)
        at = &(*at)->gate_next;
    *at = r->gate_next;
    r->in_gate = false;
}

/* Takes the first sleeper out of the queue that need not wait any more. */
static struct qed_req *take_free(struct qed *q)
{
    struct qed_req *before = NULL;
    for (struct qed_req *r = q->waiting_first; r; before = r, r = r->lock_next) {
        if (must_wait(r, &r->wanted, r->in_gate ? QED_VALUE(QED_LOCK_GATE) : 0))
            continue;
        if (before)
            before->lock_next = r->lock_next;
        else
            q->waiting_first = r->lock_next;
        if (q->waiting_last == r)
            q->waiting_last = before;
        r->lock_next = NULL;
        return r;
    }
    return NULL;
}

/* Whoever wakes may change everything before this goes on: hence from the start each time. */
static void wake_the_free(struct qed *q)
{
    for (struct qed_req *r; (r = take_free(q));) {
        grant(r, &r->wanted);
        qed_req_wake(r);
    }
}

bool qed_lock_acquire(struct qed_req *r, const struct qed_claim *want)
{
    uint64_t has = has_already(r, want);
    if (!(has & QED_VALUE(QED_LOCK_ENTRY))) {
        /* What it had goes first, and others take it: so no two requests can wait for each other. */
        r->claim = (struct qed_claim){.table = has & QED_VALUE(QED_LOCK_TABLE) ? want->table : 0};
        wake_the_free(r->q);
    }
    if (must_wait(r, want, has)) {
        r->wanted = *want;
        r->claim = (struct qed_claim){0};
        append(&r->q->waiting_first, &r->q->waiting_last, r);
        return false;
    }
    grant(r, want);
    return true;
}

void qed_lock_give_up(struct qed_req *r)
{
    r->claim = (struct qed_claim){0};
    wake_the_free(r->q);
}

void qed_lock_release(struct qed_req *r)
{
    if (!r->in_gate)
        return;
    leave_gate(r);
    qed_lock_give_up(r);
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

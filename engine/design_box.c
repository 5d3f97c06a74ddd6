/* design_box.c: see design_box.h. */
#include "engine/design_box.h"

#include <assert.h>

#include "engine/design_text.h"

static uint64_t all_values(unsigned field)
{
    return (UINT64_C(1) << qed_design_field_values((enum qed_design_field)field)) - 1;
}

struct qed_design_box qed_box_all(void)
{
    struct qed_design_box b;
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        b.allowed[f] = all_values(f);
    return b;
}

void qed_design_note(struct qed_design_asked *a, enum qed_design_field field, uint64_t set, bool in)
{
    uint64_t left = a->box.allowed[field] & (in ? set : ~set);
    if (left == a->box.allowed[field])
        return;
    a->box.allowed[field] = left;
    assert(a->count < QED_ASKED_MAX);
    a->steps[a->count++] = (struct qed_design_step){.field = (uint8_t)field, .in = in, .set = set};
}

void qed_asked_begin(struct qed_design_asked *a)
{
    a->box = qed_box_all();
    a->count = 0;
}

struct qed_design_box qed_box_of(const struct qed_design *d)
{
    struct qed_design_box b;
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        b.allowed[f] = QED_VALUE(d->value[f]);
    return b;
}

bool qed_box_empty(const struct qed_design_box *b)
{
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        if (!b->allowed[f])
            return true;
    return false;
}

bool qed_box_has(const struct qed_design_box *b, const struct qed_design *d)
{
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        if (!(b->allowed[f] >> d->value[f] & 1))
            return false;
    return true;
}

bool qed_box_meets(const struct qed_design_box *a, const struct qed_design_box *b)
{
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        if (!(a->allowed[f] & b->allowed[f]))
            return false;
    return true;
}

bool qed_box_within(const struct qed_design_box *inner, const struct qed_design_box *outer)
{
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        if (inner->allowed[f] & ~outer->allowed[f])
            return false;
    return true;
}

struct qed_design_box qed_box_and(const struct qed_design_box *a, const struct qed_design_box *b)
{
    struct qed_design_box c;
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        c.allowed[f] = a->allowed[f] & b->allowed[f];
    return c;
}

/* Field by field: what b does not allow goes out as a box of its own; what it does, is looked at in the next field. */
unsigned qed_box_minus(const struct qed_design_box *a, const struct qed_design_box *b,
                       struct qed_design_box out[QED_FIELD_COUNT])
{
    struct qed_design_box rest = *a;
    unsigned count = 0;
    if (!qed_box_meets(a, b)) {
        out[0] = *a;
        return !qed_box_empty(a);
    }
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++) {
        uint64_t outside = rest.allowed[f] & ~b->allowed[f];
        if (!outside)
            continue;
        out[count] = rest;
        out[count++].allowed[f] = outside;
        rest.allowed[f] &= b->allowed[f];
    }
    return count;
}

double qed_box_count(const struct qed_design_box *b)
{
    double count = 1;
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++)
        count *= __builtin_popcountll(b->allowed[f]);
    return count;
}

/* The fields whose first value is not the weakest. */
int qed_design_rank(enum qed_design_field field, unsigned value)
{
    static const int8_t zero_fill[] = {[QED_ZERO_FILL_WRITTEN] = 2, [QED_ZERO_FILL_SKIP_NEW_SPACE] = 1};
    static const int8_t reuse[] = {[QED_REUSE_NEVER] = 2, [QED_REUSE_AT_ONCE] = 0, [QED_REUSE_AFTER_FLUSH] = 1};
    static const int8_t size_check[] = {
        [QED_SIZE_CHECK_NEVER] = 1, [QED_SIZE_CHECK_MARKED] = 0, [QED_SIZE_CHECK_ALWAYS] = 2};
    if (field == QED_FIELD_size_check)
        return size_check[value];
    if (field == QED_FIELD_zero_fill)
        return value < sizeof(zero_fill) ? zero_fill[value] : 0;
    if (field == QED_FIELD_reuse)
        return reuse[value];
    if (field == QED_FIELD_clear_on)
        return -__builtin_popcount(value);
    if (field == QED_FIELD_clear_corrupt || field == QED_FIELD_evict_referenced)
        return !value;
    if (field == QED_FIELD_native_zero || field == QED_FIELD_backing_clip || field == QED_FIELD_phys_size)
        return 0;
    return (int)value;
}

bool qed_design_weaker(enum qed_design_field field, unsigned value, unsigned than)
{
    if (field == QED_FIELD_clear_on)
        return (value & than) == than && __builtin_popcount(value) == __builtin_popcount(than) + 1;
    return qed_design_rank(field, value) < qed_design_rank(field, than);
}

void qed_box_weakest(const struct qed_design_box *b, struct qed_design *d)
{
    for (unsigned f = 0; f < QED_FIELD_COUNT; f++) {
        unsigned best = 64;
        for (unsigned v = 0; v < qed_design_field_values((enum qed_design_field)f); v++)
            if (b->allowed[f] >> v & 1 && (best == 64 || qed_design_rank((enum qed_design_field)f, v) <
                                                             qed_design_rank((enum qed_design_field)f, best)))
                best = v;
        d->value[f] = (uint8_t)best;
    }
}

/* crash_enum.c: every state of a space, neighbours differing in one choice.
 *
 * Mixed-radix reflected Gray code, each step in constant time (Knuth, TAOCP 7.2.1.1, algorithm H). A digit is an atom, a
 * unit with versions of its own, or the length.
 */
#include "simdisk/crash_seen.h"
#include "simdisk/xalloc.h"

enum digit_kind { DIGIT_ATOM, DIGIT_UNIT, DIGIT_LENGTH };

struct digit {
    enum digit_kind kind;
    uint32_t index;
    uint32_t radix;
    uint32_t value;
    int32_t direction;
    uint32_t *versions; /* a unit's: value -> version; NULL: the same */
};

struct crash_enum {
    const struct crash_space *space;
    struct crash_disk *disk;
    struct crash_hasher *hasher; /* kept in step; may be NULL */
    struct crash_state state;
    struct digit *digits;
    size_t count, cap;
    uint32_t *focus;
};

static void add_digit(struct crash_enum *e, struct digit digit)
{
    digit.direction = 1;
    e->digits = xgrow(e->digits, e->count, &e->cap, sizeof(*e->digits));
    e->digits[e->count++] = digit;
}

static void add_unit(struct crash_enum *e, uint32_t unit)
{
    const struct crash_space *s = e->space;
    uint32_t own = 0, count = s->units[unit].version_count;
    uint32_t *versions = xmalloc(count * sizeof(*versions));
    for (uint32_t v = 0; v < count; v++)
        if (crash_unit_version(s, unit, v)->atom == CRASH_NO_ATOM)
            versions[own++] = v;
    if (own > 1)
        add_digit(e, (struct digit){.kind = DIGIT_UNIT, .index = unit, .radix = own, .versions = versions});
    else
        free(versions);
}

struct crash_enum *crash_enum_create(const struct crash_space *space, struct crash_disk *disk)
{
    struct crash_enum *e = xcalloc(1, sizeof(*e));
    e->space = space;
    e->disk = disk;
    crash_state_init(&e->state, space);
    for (uint32_t u = 0; u < space->unit_count; u++)
        add_unit(e, u);
    for (uint32_t a = 0; a < space->atom_count; a++)
        add_digit(e, (struct digit){.kind = DIGIT_ATOM, .index = a, .radix = 2});
    if (space->lengths && space->length_count > 1)
        add_digit(e, (struct digit){.kind = DIGIT_LENGTH, .radix = (uint32_t)space->length_count});
    e->focus = xmalloc((e->count + 1) * sizeof(*e->focus));
    for (uint32_t i = 0; i <= e->count; i++)
        e->focus[i] = i;
    crash_disk_rewind(disk, 0);
    crash_state_apply(space, &e->state, disk);
    return e;
}

void crash_enum_destroy(struct crash_enum *e)
{
    if (!e)
        return;
    for (size_t i = 0; i < e->count; i++)
        free(e->digits[i].versions);
    crash_state_free(&e->state);
    free(e->digits);
    free(e->focus);
    free(e);
}

const struct crash_state *crash_enum_state(const struct crash_enum *e)
{
    return &e->state;
}

void crash_enum_hash(struct crash_enum *e, struct crash_hasher *h)
{
    e->hasher = h;
    crash_hasher_set(h, &e->state);
}

static void put_unit(struct crash_enum *e, size_t unit)
{
    uint32_t version = crash_state_version(e->space, &e->state, unit);
    crash_disk_set_unit(e->disk, unit, version);
    if (e->hasher)
        crash_hasher_unit(e->hasher, unit, version);
}

static void put_digit(struct crash_enum *e, const struct digit *d)
{
    switch (d->kind) {
    case DIGIT_UNIT:
        e->state.own[d->index] = d->versions[d->value];
        put_unit(e, d->index);
        return;
    case DIGIT_ATOM:
        e->state.atom[d->index] = (uint8_t)d->value;
        crash_disk_set_atom(e->disk, d->index, d->value);
        for (uint32_t i = 0; i < e->space->atoms[d->index].unit_count; i++)
            put_unit(e, e->space->atoms[d->index].units[i]);
        return;
    case DIGIT_LENGTH:
        e->state.length = d->value;
        crash_disk_set_length(e->disk, d->value);
        if (e->hasher)
            crash_hasher_length(e->hasher, &e->state);
        return;
    }
}

bool crash_enum_next(struct crash_enum *e)
{
    crash_disk_rewind(e->disk, 0);
    uint32_t j = e->focus[0];
    e->focus[0] = 0;
    if (j == e->count)
        return false;
    struct digit *d = &e->digits[j];
    d->value = (uint32_t)((int32_t)d->value + d->direction);
    if (d->value == 0 || d->value == d->radix - 1) {
        d->direction = -d->direction;
        e->focus[j] = e->focus[j + 1];
        e->focus[j + 1] = j + 1;
    }
    put_digit(e, d);
    return true;
}

/* digest.c: see digest.h. */
#include "simdisk/digest.h"

#include "simdisk/xalloc.h"

static bool is_free(const struct digest *slot)
{
    return !slot->lane[0] && !slot->lane[1];
}

/* Where d is, or where it would go. */
static struct digest *find(struct digest *slots, size_t cap, struct digest d)
{
    size_t i = d.lane[0] & (cap - 1);

    while (!is_free(&slots[i]) && !digest_equal(slots[i], d))
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

static void make_room(struct digest_set *set)
{
    size_t cap = set->cap ? set->cap * 2 : 64;
    struct digest *slots = xcalloc(cap, sizeof(*slots));

    for (size_t i = 0; i < set->cap; i++)
        if (!is_free(&set->slots[i]))
            *find(slots, cap, set->slots[i]) = set->slots[i];
    free(set->slots);
    set->slots = slots;
    set->cap = cap;
}

bool digest_set_add(struct digest_set *set, struct digest d)
{
    struct digest *slot;

    if (is_free(&d))
        d.lane[1] = 1;
    if (2 * set->count >= set->cap)
        make_room(set);
    slot = find(set->slots, set->cap, d);
    if (!is_free(slot))
        return false;
    *slot = d;
    set->count++;
    return true;
}

void digest_set_free(struct digest_set *set)
{
    free(set->slots);
    *set = (struct digest_set){0};
}

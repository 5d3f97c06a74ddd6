/* coverage.c: see coverage.h. */
#include "harness/coverage.h"

#include <math.h>
#include <stdio.h>

#include "simdisk/xalloc.h"

void coverage_init(struct coverage *c)
{
    *c = (struct coverage){0};
    bignum_init(&c->states, 0);
    bignum_init(&c->explored, 0);
}

void coverage_free(struct coverage *c)
{
    for (size_t i = 0; i < c->count; i++) {
        bignum_free(&c->epochs[i].states);
        bignum_free(&c->epochs[i].explored);
    }
    bignum_free(&c->states);
    bignum_free(&c->explored);
    free(c->epochs);
    *c = (struct coverage){0};
}

static struct coverage_epoch *epoch_of(struct coverage *c, const struct crash_space *space)
{
    if (!c->count || c->epochs[c->count - 1].epoch != space->epoch) {
        c->epochs = xgrow(c->epochs, c->count, &c->cap, sizeof(*c->epochs));
        struct coverage_epoch *e = &c->epochs[c->count++];
        *e = (struct coverage_epoch){.epoch = space->epoch};
        bignum_init(&e->states, 0);
        bignum_init(&e->explored, 0);
    }
    return &c->epochs[c->count - 1];
}

void coverage_begin(struct coverage *c, const struct crash_space *space, const struct bignum *states)
{
    c->spaces++;
    bignum_add(&c->states, states);
    if (c->totals_only)
        return;
    struct coverage_epoch *e = epoch_of(c, space);
    if (space->last_point > e->last_point)
        e->last_point = space->last_point;
    bignum_add(&e->states, states);
}

void coverage_add(struct coverage *c, const struct bignum *explored, uint64_t executions)
{
    bignum_add(&c->explored, explored);
    if (c->totals_only)
        return;
    bignum_add(&c->epochs[c->count - 1].explored, explored);
    c->epochs[c->count - 1].executions += executions;
}

double coverage_log2(const struct bignum *explored, const struct bignum *states)
{
    if (!bignum_clamp(explored))
        return -INFINITY;
    double part = bignum_log2(explored) - bignum_log2(states);
    return part < 0 ? part : 0;
}

void coverage_text(const struct coverage *c, char *buf, size_t size)
{
    double part = coverage_log2(&c->explored, &c->states);
    if (isinf(part))
        snprintf(buf, size, "none of 2^%.2f states", bignum_log2(&c->states));
    else
        snprintf(buf, size, "2^%.2f of 2^%.2f states", part, bignum_log2(&c->states));
}

/* --- the budget ---------------------------------------------------------------------------------------------------- */

struct want {
    uint64_t states; /* or UINT64_MAX */
    uint64_t weight;
};

static struct want *collect(const struct history *h, const struct sim_disk_model *model, size_t *count)
{
    struct want *wants = NULL;
    size_t cap = 0;
    struct crash_walk *walk = crash_walk_create(h, model, false);
    struct crash_space *space;
    *count = 0;
    while ((space = crash_walk_next(walk))) {
        struct bignum n;
        crash_space_count(space, &n);
        wants = xgrow(wants, *count, &cap, sizeof(*wants));
        wants[(*count)++] = (struct want){.states = bignum_clamp(&n), .weight = 1 + (uint64_t)bignum_log2(&n)};
        bignum_free(&n);
        crash_space_free(space);
    }
    crash_walk_destroy(walk);
    return wants;
}

static uint64_t part_of(uint64_t limit, uint64_t weight, uint64_t weights)
{
    return weights ? (uint64_t)((unsigned __int128)limit * weight / weights) : 0;
}

uint64_t *coverage_share(const struct history *h, const struct sim_disk_model *model, uint64_t limit, size_t *count)
{
    struct want *wants = collect(h, model, count);
    uint64_t *shares = xcalloc(*count, sizeof(*shares)), weights = 0;
    for (size_t i = 0; i < *count; i++)
        weights += wants[i].weight;
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < *count; i++)
            if (!shares[i] && wants[i].states <= part_of(limit, wants[i].weight, weights)) {
                shares[i] = wants[i].states;
                limit -= wants[i].states;
                weights -= wants[i].weight;
                again = true;
            }
    }
    for (size_t i = 0; i < *count; i++)
        if (!shares[i])
            shares[i] = part_of(limit, wants[i].weight, weights) ? part_of(limit, wants[i].weight, weights) : 1;
    free(wants);
    return shares;
}

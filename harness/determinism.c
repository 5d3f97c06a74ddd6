/* determinism.c: see determinism.h. */
#include "harness/determinism.h"

#include <inttypes.h>
#include <stdio.h>

bool determinism_due(const char *id)
{
    struct digest d = DIGEST_INIT;
    digest_text(&d, id);
    return d.lane[0] % DETERMINISM_ONE_IN == 0;
}

static void digest_op(struct digest *d, const struct hist_op *op)
{
    digest_add(d, (uint64_t)op->kind << 32 | (uint64_t)op->label);
    digest_add(d, op->ordinal);
    digest_add(d, (uint64_t)op->submitted << 32 | op->done);
    digest_add(d, op->done == HIST_NEVER ? 0 : (uint64_t)(int64_t)op->ret);
    digest_add(d, op->reached_disk);
    digest_add(d, op->offset_bytes);
    digest_add(d, op->length_bytes);
    if (op->kind == HIST_WRITE)
        digest_bytes(d, op->data, op->length_bytes);
}

struct digest determinism_history(const struct history *h)
{
    struct digest d = DIGEST_INIT;
    digest_add(&d, h->base_length_bytes);
    digest_add(&d, sim_pages_count(h->base));
    for (uint64_t page = 0; page < sim_pages_count(h->base); page++)
        digest_bytes(&d, sim_pages_at(h->base, page), SIM_PAGE_BYTES);
    for (size_t i = 0; i < h->event_count; i++)
        digest_add(&d, (uint64_t)h->events[i].kind << 32 | h->events[i].op);
    for (size_t i = 0; i < h->op_count; i++)
        digest_op(&d, &h->ops[i]);
    for (size_t i = 0; i < h->mark_count; i++) {
        digest_add(&d, h->marks[i].boundary);
        digest_text(&d, h->marks[i].text);
    }
    return d;
}

static bool same_choices(const struct recording *a, const struct recording *b)
{
    return a->choice_count == b->choice_count &&
           (!a->choice_count || (!memcmp(a->choices, b->choices, a->choice_count) &&
                                 !memcmp(a->alternatives, b->alternatives, a->choice_count)));
}

bool determinism_equal(const struct recording *a, const struct recording *b, char *why, size_t size)
{
    static const char head[] = "the same run, recorded twice, differs: ";
    static const char tail[] = "; nothing this version says can be trusted, please report it";
    const struct history *x = a->history, *y = b->history;
    if (a->rng_state != b->rng_state)
        snprintf(why, size, "%sthe random generator ended at %016" PRIx64 " and at %016" PRIx64 "%s", head,
                 a->rng_state, b->rng_state, tail);
    else if (!same_choices(a, b))
        snprintf(why, size, "%sit made other choices (%zu and %zu)%s", head, a->choice_count, b->choice_count, tail);
    else if (x->event_count != y->event_count || x->op_count != y->op_count || x->mark_count != y->mark_count)
        snprintf(why, size, "%sit has %zu events of %zu operations, and %zu of %zu%s", head, x->event_count,
                 x->op_count, y->event_count, y->op_count, tail);
    else if (!digest_equal(determinism_history(x), determinism_history(y)))
        snprintf(why, size, "%sas many events, but other ones%s", head, tail);
    else if (a->live_count != b->live_count)
        snprintf(why, size, "%sthe live guest found %zu things wrong, and %zu%s", head, a->live_count, b->live_count,
                 tail);
    else
        return true;
    return false;
}

/* promise_digest.c: all that a judgement after a crash can depend on, in 128 bits. It states the rule of promise.h once
 * more, the plain way: for each segment the requests that a crash at `when` may show, and whether one of them is firm.
 * The order of requests does not enter, only what it leads to: two orders that lead to the same are to have one digest.
 */
#include "oracle/promise.h"
#include "oracle/promise_timeline.h"

static uint64_t mix(uint64_t state, uint64_t word, uint64_t factor)
{
    uint64_t x = (state ^ word) * factor;

    x ^= x >> 32;
    x *= factor;
    return (x ^ (x >> 29)) + 0x9e3779b97f4a7c15u;
}

static void add(struct promise_digest *d, uint64_t word)
{
    d->half[0] = mix(d->half[0], word, 0x8ebc6af09c88c6e3u);
    d->half[1] = mix(d->half[1], word, 0x589965cc75374cc3u);
}

static bool begun(const struct timeline_op *op, uint64_t when)
{
    return op->begin <= when;
}

static bool firm(const struct timeline_op *op, uint64_t when)
{
    return op->covered_at <= when;
}

/* Does some firm request hide this one? */
static bool hidden(const struct promise *p, uint32_t head, const struct timeline_op *op, uint64_t when)
{
    for (uint32_t node = head; node != TIMELINE_NONE; node = p->nodes[node].next) {
        const struct timeline_op *other = &p->ops[p->nodes[node].op];

        if (begun(other, when) && other->replaces && firm(other, when) && op->end_call < other->begin_call)
            return true;
    }
    return false;
}

static struct promise_digest content_of(const struct timeline_op *op)
{
    struct promise_digest d = {{1, 2}};

    add(&d, op->kind == TIMELINE_RESIZE);
    add(&d, op->content);
    if (op->kind == TIMELINE_RESIZE) {
        add(&d, op->image_bytes);
    } else if (op->content == TAG_GUEST) {
        add(&d, op->write_id);
        add(&d, op->generation);
    }
    return d;
}

/* One list of requests over the same sectors (or of sizes): what may be seen, what has begun, what is firm. */
static void add_list(struct promise_digest *d, const struct promise *p, uint32_t head, uint64_t when)
{
    struct promise_digest visible = {{0, 0}}, makers = {{0, 0}};
    bool replaced = false, written = false;

    for (uint32_t node = head; node != TIMELINE_NONE; node = p->nodes[node].next) {
        const struct timeline_op *op = &p->ops[p->nodes[node].op];
        struct promise_digest content = content_of(op);

        written = written || op->kind <= TIMELINE_DISCARD;
        if (!begun(op, when))
            continue;
        replaced = replaced || (op->replaces && firm(op, when));
        makers.half[0] += content.half[0];
        makers.half[1] += content.half[1];
        if (hidden(p, head, op, when))
            continue;
        visible.half[0] += content.half[0];
        visible.half[1] += content.half[1];
    }
    add(d, visible.half[0]);
    add(d, visible.half[1]);
    add(d, makers.half[0]);
    add(d, makers.half[1]);
    add(d, (uint64_t)replaced | (uint64_t)written << 1);
}

struct promise_digest promise_digest(const struct promise *p, uint64_t when)
{
    struct promise_digest d = {{3, 4}};
    bool rebase_begun = false, rebase_firm = false;

    add(&d, p->initial_bytes);
    add(&d, p->backing_sectors);
    for (size_t i = 0; i < p->segment_count; i++) {
        add(&d, p->segments[i].first_sector);
        add_list(&d, p, p->segments[i].head, when);
    }
    add_list(&d, p, p->resizes, when);
    for (uint32_t node = p->rebases; node != TIMELINE_NONE; node = p->nodes[node].next) {
        const struct timeline_op *rebase = &p->ops[p->nodes[node].op];

        rebase_begun = rebase_begun || begun(rebase, when);
        rebase_firm = rebase_firm || firm(rebase, when);
    }
    add(&d, (uint64_t)rebase_begun | (uint64_t)rebase_firm << 1);
    return d;
}

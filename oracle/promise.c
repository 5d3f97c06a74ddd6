/* promise.c: recording what the guest asked for and was told. The judging is in promise_judge.c. */
#include "oracle/promise.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/promise_timeline.h"

static void *not_null(void *memory)
{
    if (!memory) {
        fputs("qedcrash: out of memory for the promise\n", stderr);
        abort();
    }
    return memory;
}

static void *grow(void *array, size_t *capacity, size_t count, size_t element_bytes)
{
    if (count <= *capacity)
        return array;
    *capacity = count < 16 ? 16 : count + count / 2;
    return not_null(realloc(array, *capacity * element_bytes));
}

static struct promise *create_empty(void)
{
    struct promise *p = not_null(malloc(sizeof(*p)));

    *p = (struct promise){.resizes = TIMELINE_NONE, .rebases = TIMELINE_NONE};
    return p;
}

struct promise *promise_create(uint64_t image_bytes)
{
    struct promise *p = create_empty();

    p->initial_bytes = image_bytes;
    p->segments = grow(NULL, &p->segment_capacity, 1, sizeof(*p->segments));
    p->segments[p->segment_count++] = (struct timeline_segment){.head = TIMELINE_NONE};
    return p;
}

void promise_destroy(struct promise *p)
{
    if (!p)
        return;
    free(p->ops);
    free(p->nodes);
    free(p->segments);
    free(p);
}

struct promise *promise_clone(const struct promise *p)
{
    struct promise *copy = create_empty();

    promise_reset_to(copy, p);
    return copy;
}

void promise_reset_to(struct promise *dst, const struct promise *src)
{
    struct promise old = *dst;

    *dst = *src;
    dst->op_capacity = old.op_capacity;
    dst->node_capacity = old.node_capacity;
    dst->segment_capacity = old.segment_capacity;
    dst->ops = grow(old.ops, &dst->op_capacity, src->op_count, sizeof(*src->ops));
    dst->nodes = grow(old.nodes, &dst->node_capacity, src->node_count, sizeof(*src->nodes));
    dst->segments = grow(old.segments, &dst->segment_capacity, src->segment_count, sizeof(*src->segments));
    if (src->op_count)
        memcpy(dst->ops, src->ops, src->op_count * sizeof(*src->ops));
    if (src->node_count)
        memcpy(dst->nodes, src->nodes, src->node_count * sizeof(*src->nodes));
    memcpy(dst->segments, src->segments, src->segment_count * sizeof(*src->segments));
}

void promise_backing(struct promise *p, uint64_t sectors, bool zero)
{
    uint64_t image_sectors = p->initial_bytes / TAG_SECTOR_BYTES;

    assert(p->op_count == 0);
    p->backing_sectors = zero ? 0 : sectors < image_sectors ? sectors : image_sectors;
}

/* Every call that feeds goes through here: positions never decrease, and the calls are numbered. */
static uint32_t next_call(struct promise *p, uint64_t when)
{
    assert(when >= p->last_when && when != TIMELINE_NEVER);
    assert(p->last_call + 1 < TIMELINE_NONE);
    p->last_when = when;
    return ++p->last_call;
}

static uint32_t begin_op(struct promise *p, uint64_t when, enum timeline_kind kind)
{
    uint32_t call = next_call(p, when);

    p->ops = grow(p->ops, &p->op_capacity, p->op_count + 1, sizeof(*p->ops));
    p->ops[p->op_count] = (struct timeline_op){
        .begin = when,
        .end = TIMELINE_NEVER,
        .covered_at = TIMELINE_NEVER,
        .begin_call = call,
        .end_call = TIMELINE_NONE,
        .kind = (uint8_t)kind,
        .content = TAG_ZERO,
    };
    return (uint32_t)p->op_count++;
}

static void end_op(struct promise *p, uint64_t when, uint32_t handle, bool ok)
{
    uint32_t call = next_call(p, when);

    assert(handle < p->op_count);
    struct timeline_op *op = &p->ops[handle];
    assert(op->end == TIMELINE_NEVER);
    op->end = when;
    op->end_call = call;
    op->ok = ok;
}

static void push_node(struct promise *p, uint32_t *head, uint32_t op)
{
    p->nodes = grow(p->nodes, &p->node_capacity, p->node_count + 1, sizeof(*p->nodes));
    p->nodes[p->node_count] = (struct timeline_node){.op = op, .next = *head};
    *head = (uint32_t)p->node_count++;
}

/* The index of the segment that starts at this sector, made by splitting one if none does. */
static size_t split_at(struct promise *p, uint64_t sector)
{
    size_t low = 0, high = p->segment_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (p->segments[middle].first_sector < sector)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < p->segment_count && p->segments[low].first_sector == sector)
        return low;
    p->segments = grow(p->segments, &p->segment_capacity, p->segment_count + 1, sizeof(*p->segments));
    struct timeline_segment *at = &p->segments[low];
    memmove(at + 1, at, (p->segment_count - low) * sizeof(*at));
    *at = (struct timeline_segment){.first_sector = sector, .head = at[-1].head};
    p->segment_count++;
    return low;
}

static void cover_sectors(struct promise *p, uint32_t op, uint64_t first_sector, uint64_t count)
{
    if (count == 0)
        return;
    assert(first_sector + count > first_sector);
    size_t first = split_at(p, first_sector);
    size_t end = split_at(p, first_sector + count);
    for (size_t i = first; i < end; i++)
        push_node(p, &p->segments[i].head, op);
}

uint32_t promise_begin(struct promise *p, uint64_t when, enum promise_op op, uint64_t first_sector, uint64_t count,
                       uint32_t write_id, uint32_t generation)
{
    static const uint8_t kinds[] = {
        [PROMISE_WRITE] = TIMELINE_WRITE,
        [PROMISE_ZERO] = TIMELINE_ZERO,
        [PROMISE_DISCARD] = TIMELINE_DISCARD,
    };
    uint32_t handle = begin_op(p, when, (enum timeline_kind)kinds[op]);

    p->ops[handle].replaces = op != PROMISE_DISCARD;
    if (op == PROMISE_WRITE) {
        p->ops[handle].content = TAG_GUEST;
        p->ops[handle].write_id = write_id;
        p->ops[handle].generation = generation;
    }
    cover_sectors(p, handle, first_sector, count);
    return handle;
}

void promise_end(struct promise *p, uint64_t when, uint32_t handle, bool ok)
{
    end_op(p, when, handle, ok);
    assert(p->ops[handle].kind <= TIMELINE_REBASE && p->ops[handle].kind != TIMELINE_OBSERVED);
}

uint32_t promise_flush_begin(struct promise *p, uint64_t when)
{
    return begin_op(p, when, TIMELINE_FLUSH);
}

static void note_failed_flush(struct promise *p)
{
    p->flush_failed_call = p->last_call;
    p->flushed_since = false;
}

void promise_flush_failed(struct promise *p, uint64_t when)
{
    next_call(p, when);
    note_failed_flush(p);
}

void promise_flush_end(struct promise *p, uint64_t when, uint32_t flush, bool ok)
{
    end_op(p, when, flush, ok);
    assert(p->ops[flush].kind == TIMELINE_FLUSH);
    if (!ok) {
        note_failed_flush(p);
        return;
    }
    p->flushed_since = p->flushed_since || p->ops[flush].begin_call > p->flush_failed_call;
    /* Requests acknowledged before the flush was submitted also began before it: only lower handles. */
    for (uint32_t i = 0; i < flush; i++) {
        struct timeline_op *op = &p->ops[i];
        if (op->ok && !op->given_up && op->covered_at == TIMELINE_NEVER && op->end_call < p->ops[flush].begin_call)
            op->covered_at = when;
    }
}

static void begin_session(struct promise *p)
{
    p->flush_failed_call = 0;
    p->flushed_since = false;
}

/* A flush that succeeds after one that failed vouches for all that was begun since: what it stands on is durable then. */
void promise_session_end(struct promise *p, uint64_t when)
{
    uint32_t now = next_call(p, when);
    uint32_t given_up_before = p->flushed_since ? p->flush_failed_call : now;

    for (size_t i = 0; p->flush_failed_call && i < p->op_count; i++) {
        struct timeline_op *op = &p->ops[i];
        if (op->covered_at == TIMELINE_NEVER && op->begin_call < given_up_before)
            op->given_up = true;
    }
    begin_session(p);
}

uint32_t promise_resize_begin(struct promise *p, uint64_t when, uint64_t image_bytes)
{
    uint32_t handle = begin_op(p, when, TIMELINE_RESIZE);

    p->ops[handle].image_bytes = image_bytes;
    p->ops[handle].replaces = true;
    push_node(p, &p->resizes, handle);
    return handle;
}

void promise_resize_end(struct promise *p, uint64_t when, uint32_t resize, bool ok)
{
    end_op(p, when, resize, ok);
    assert(p->ops[resize].kind == TIMELINE_RESIZE);
}

uint32_t promise_rebase_begin(struct promise *p, uint64_t when)
{
    uint32_t handle = begin_op(p, when, TIMELINE_REBASE);

    push_node(p, &p->rebases, handle);
    return handle;
}

/* The handles from op_count on are forgotten. Newest first means: they stand in front of every list. */
static void drop_from_list(const struct promise *p, uint32_t *head)
{
    while (*head != TIMELINE_NONE && p->nodes[*head].op >= p->op_count)
        *head = p->nodes[*head].next;
}

/* Segments that a forgotten request had split become one again. */
static void merge_segments(struct promise *p)
{
    size_t kept = 1;

    for (size_t i = 1; i < p->segment_count; i++) {
        if (p->segments[i].head != p->segments[kept - 1].head)
            p->segments[kept++] = p->segments[i];
    }
    p->segment_count = kept;
}

void promise_cut(struct promise *p, uint64_t when)
{
    assert(when != TIMELINE_NEVER);
    while (p->op_count > 0 && p->ops[p->op_count - 1].begin > when)
        p->op_count--;
    for (size_t i = 0; i < p->segment_count; i++)
        drop_from_list(p, &p->segments[i].head);
    merge_segments(p);
    drop_from_list(p, &p->resizes);
    drop_from_list(p, &p->rebases);

    p->last_when = when;
    uint32_t call = next_call(p, when);
    begin_session(p);
    for (size_t i = 0; i < p->op_count; i++) {
        struct timeline_op *op = &p->ops[i];
        if (op->covered_at <= when)
            continue;
        op->covered_at = TIMELINE_NEVER;
        op->ok = false;
        if (op->end > when) {
            op->end = when;
            op->end_call = call;
        }
    }
}

bool promise_observe(struct promise *p, uint64_t when, uint64_t sector, const uint8_t bytes[TAG_SECTOR_BYTES])
{
    struct tag tag;

    tag_identify(bytes, &tag);
    if (tag.kind != TAG_ZERO && ((tag.kind != TAG_GUEST && tag.kind != TAG_BACKING) || tag.sector != sector))
        return false;
    uint32_t handle = begin_op(p, when, TIMELINE_OBSERVED);
    end_op(p, when, handle, true);
    struct timeline_op *op = &p->ops[handle];
    op->covered_at = when;
    op->replaces = true;
    op->content = (uint8_t)tag.kind;
    op->write_id = tag.write_id;
    op->generation = tag.generation;
    cover_sectors(p, handle, sector, 1);
    return true;
}

static uint64_t largest_size_sectors(const struct promise *p)
{
    uint64_t bytes = p->initial_bytes;

    for (uint32_t node = p->resizes; node != TIMELINE_NONE; node = p->nodes[node].next) {
        uint64_t asked = p->ops[p->nodes[node].op].image_bytes;
        if (asked > bytes)
            bytes = asked;
    }
    return bytes / TAG_SECTOR_BYTES;
}

/* The segment as whole units within the image; empty if it is beyond. The last segment is never touched. */
static struct promise_range segment_range(const struct promise *p, size_t segment, uint64_t unit, uint64_t limit)
{
    uint64_t first = p->segments[segment].first_sector / unit * unit;
    uint64_t end = p->segments[segment + 1].first_sector;

    end += (unit - end % unit) % unit;
    if (end > limit)
        end = limit;
    return (struct promise_range){.first_sector = first, .count = end > first ? end - first : 0};
}

size_t promise_touched(const struct promise *p, uint64_t unit_sectors, struct promise_range **ranges)
{
    size_t count = 0, capacity = 0;
    uint64_t limit = largest_size_sectors(p);
    struct promise_range *found = grow(NULL, &capacity, p->segment_count, sizeof(*found));

    for (size_t i = 0; i < p->segment_count; i++) {
        if (p->segments[i].head == TIMELINE_NONE)
            continue;
        struct promise_range range = segment_range(p, i, unit_sectors, limit);
        if (range.count == 0)
            continue;
        struct promise_range *last = count ? &found[count - 1] : NULL;
        if (!last || range.first_sector > last->first_sector + last->count)
            found[count++] = range;
        else if (range.first_sector + range.count > last->first_sector + last->count)
            last->count = range.first_sector + range.count - last->first_sector;
    }
    *ranges = found;
    return count;
}

bool promise_written(const struct promise *p, uint64_t sector)
{
    for (uint32_t node = timeline_head(p, sector); node != TIMELINE_NONE; node = p->nodes[node].next) {
        if (p->ops[p->nodes[node].op].kind <= TIMELINE_DISCARD)
            return true;
    }
    return false;
}

#include "simdisk/history.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "simdisk/xalloc.h"

struct history *history_create(struct sim_pages *base, uint64_t base_length_bytes, bool fixed_size)
{
    struct history *h = xcalloc(1, sizeof(*h));

    h->base = base;
    h->base_length_bytes = base_length_bytes;
    h->fixed_size = fixed_size;
    return h;
}

void history_destroy(struct history *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->op_count; i++)
        free(h->ops[i].data);
    sim_pages_destroy(h->base);
    free(h->ops);
    free(h->events);
    free(h->marks);
    free(h);
}

/* ---- names ---- */

static const char *write_name(enum blk_event label)
{
    /* Only a few labels have a name of their own, so this asks instead of switching over all. */
    static const struct {
        enum blk_event label;
        const char *name;
    } names[] = {
        {BLK_EVENT_HEADER_UPDATE, "hdr"},    {BLK_EVENT_L1_UPDATE, "L1"}, {BLK_EVENT_L2_UPDATE, "L2"},
        {BLK_EVENT_L2_ALLOC_WRITE, "NEWL2"}, {BLK_EVENT_COW_WRITE, "C"},  {BLK_EVENT_WRITE_AIO, "D"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].label == label)
            return names[i].name;
    }
    return "W";
}

/* One string literal a name, so that ops of one name can be told by comparing text. */
static const char *bare_name(const struct hist_op *op)
{
    switch (op->kind) {
    case HIST_WRITE:
        return write_name(op->label);
    case HIST_FLUSH:
        return "F";
    case HIST_RESIZE:
        return "R";
    }
    assert(!"no such kind of operation");
    return "?";
}

void history_op_name(const struct history *h, uint32_t op, char *buf, size_t size)
{
    const struct hist_op *o = &h->ops[op];

    if (o->ordinal == 1)
        snprintf(buf, size, "%s", bare_name(o));
    else
        snprintf(buf, size, "%s#%u", bare_name(o), o->ordinal);
}

uint32_t history_op_find(const struct history *h, const char *name, size_t length)
{
    char buf[24];

    for (size_t i = 0; i < h->op_count; i++) {
        history_op_name(h, (uint32_t)i, buf, sizeof(buf));
        if (strlen(buf) == length && memcmp(buf, name, length) == 0)
            return (uint32_t)i;
    }
    return HIST_NEVER;
}

static uint32_t next_ordinal(const struct history *h, const char *name)
{
    for (size_t i = h->op_count; i-- > 0;) {
        if (strcmp(bare_name(&h->ops[i]), name) == 0)
            return h->ops[i].ordinal + 1;
    }
    return 1;
}

/* ---- recording ---- */

static uint32_t add_event(struct history *h, enum hist_event_kind kind, uint32_t index)
{
    assert(h->event_count < HIST_NEVER);
    h->events = xgrow(h->events, h->event_count, &h->event_cap, sizeof(*h->events));
    h->events[h->event_count] = (struct hist_event){kind, index};
    return (uint32_t)h->event_count++;
}

uint32_t history_submit(struct history *h, const struct hist_op *proto)
{
    uint32_t index = (uint32_t)h->op_count;
    uint32_t ordinal = next_ordinal(h, bare_name(proto));
    struct hist_op *op;

    h->ops = xgrow(h->ops, h->op_count, &h->op_cap, sizeof(*h->ops));
    op = &h->ops[h->op_count++];
    *op = *proto;
    op->ordinal = ordinal;
    op->done = HIST_NEVER;
    op->ret = 0;
    op->submitted = add_event(h, HIST_SUBMIT, index);
    return index;
}

void history_done(struct history *h, uint32_t op, int ret)
{
    assert(op < h->op_count && h->ops[op].done == HIST_NEVER);
    h->ops[op].done = add_event(h, HIST_DONE, op);
    h->ops[op].ret = ret;
}

uint32_t history_mark(struct history *h, bool boundary, const char *fmt, ...)
{
    uint32_t index = (uint32_t)h->mark_count;
    struct hist_mark *mark;
    va_list ap;

    h->marks = xgrow(h->marks, h->mark_count, &h->mark_cap, sizeof(*h->marks));
    mark = &h->marks[h->mark_count++];
    mark->boundary = boundary;
    va_start(ap, fmt);
    vsnprintf(mark->text, sizeof(mark->text), fmt, ap);
    va_end(ap);
    return add_event(h, HIST_MARK, index);
}

/* history.h: all that was submitted to a disk and all that completed, in one order.
 *
 *   event   0        1        2        3         4        5          6
 *           submit   submit   done     submit    done     done       mark
 *           write A  write B  write A  flush F   write B  flush F    "guest: flush acknowledged"
 *
 * A crash point p is an index into the events: the power fails after events 0..p-1. A crash state is a pure function of
 * (history, crash point, choice of versions); so everything downstream can be redone from here. dm-log-writes files
 * hold less than this: they are an export.
 */
#ifndef SIMDISK_HISTORY_H
#define SIMDISK_HISTORY_H

#include "engine/blockdev.h"
#include "simdisk/pages.h"

enum hist_kind {
    HIST_WRITE, /* data, offset, length */
    HIST_FLUSH,
    HIST_RESIZE, /* length_bytes is the new length; submitted and done in adjacent events */
};

#define HIST_NEVER UINT32_MAX

/* One operation of the image file. */
struct hist_op {
    enum hist_kind kind;
    enum blk_event label; /* what the engine said it was about to do */
    uint32_t ordinal;     /* among the operations of this history with the same label, from 1 */
    uint32_t submitted;   /* event index */
    uint32_t done;        /* event index, or HIST_NEVER: still in flight at the end, or dropped */
    int ret;              /* valid when done; an injected error may leave the data written or not */
    bool reached_disk;    /* false: failed before touching the disk (data never pending) */
    uint64_t offset_bytes;
    uint64_t length_bytes;
    uint8_t *data; /* writes: length_bytes, owned by the history */
};

enum hist_event_kind { HIST_SUBMIT, HIST_DONE, HIST_MARK };

struct hist_event {
    enum hist_event_kind kind;
    uint32_t op; /* submit, done: index into ops; mark: index into marks */
};

/* Something that happened above the disk (a guest request submitted or acknowledged, an open, a close). */
struct hist_mark {
    bool boundary;  /* a promise tightened here (a guest flush was acknowledged) */
    char text[104]; /* "write 4608 512 submitted" */
};

struct history {
    struct sim_pages *base; /* contents before event 0, durable */
    uint64_t base_length_bytes;
    bool fixed_size; /* G3 */
    struct hist_op *ops;
    size_t op_count, op_cap;
    struct hist_event *events;
    size_t event_count, event_cap;
    struct hist_mark *marks;
    size_t mark_count, mark_cap;
};

/* Takes ownership of base. */
struct history *history_create(struct sim_pages *base, uint64_t base_length_bytes, bool fixed_size);
void history_destroy(struct history *h);

/* Short name of a write in ids: header_update "hdr", l1_update "L1", l2_update "L2", l2_alloc_write "NEWL2", cow_write
 * "C", write_aio "D", flush "F", others "W"; resize "R". The first of its kind stands bare, later ones carry "#n"
 * ("C#2"). buf of at least 24 bytes. */
void history_op_name(const struct history *h, uint32_t op, char *buf, size_t size);
/* The inverse; HIST_NEVER when no such operation. */
uint32_t history_op_find(const struct history *h, const char *name, size_t length);

/* Recording (used by the recording disk). */
uint32_t history_submit(struct history *h, const struct hist_op *proto); /* copies proto, takes proto->data; op index */
void history_done(struct history *h, uint32_t op, int ret);
/* Returns the event index of the mark. */
uint32_t history_mark(struct history *h, bool boundary, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Now: the crash point after everything recorded so far. */
static inline uint32_t history_now(const struct history *h)
{
    return (uint32_t)h->event_count;
}

#endif

/* promise_timeline.h: what promise.c records and promise_judge.c reads. For these two only.
 *
 * The guest's sectors are cut into segments at every request's edges; each segment has a list of the requests over it,
 * newest first. The lists are immutable chains that share their tails: splitting a segment copies one index, and a new
 * request is one node in front.
 *
 *   segments   0────────8──────16─────────▶     (up to the next one's first sector)
 *   heads      -        │       │
 *                       ▼       ▼
 *   nodes             {op 2}  {op 1}
 *                       └───▶{op 0}◀──┘
 */
#ifndef ORACLE_PROMISE_TIMELINE_H
#define ORACLE_PROMISE_TIMELINE_H

#include "oracle/promise.h"

#define TIMELINE_NEVER UINT64_MAX
#define TIMELINE_NONE  UINT32_MAX

enum timeline_kind {
    TIMELINE_WRITE,
    TIMELINE_ZERO,
    TIMELINE_DISCARD,
    TIMELINE_OBSERVED, /* shown by recovery */
    TIMELINE_REBASE,
    TIMELINE_RESIZE,
    TIMELINE_FLUSH,
};

struct timeline_op {
    uint64_t begin;                /* position at which it was submitted */
    uint64_t end;                  /* position of its acknowledgement, or TIMELINE_NEVER */
    uint64_t covered_at;           /* firm from this position on, or TIMELINE_NEVER */
    uint32_t begin_call, end_call; /* the calls' numbers, from 1: order within one position. TIMELINE_NONE for no end */
    union {
        struct {
            uint32_t write_id, generation; /* content TAG_GUEST */
        };
        uint64_t image_bytes; /* TIMELINE_RESIZE */
    };
    uint8_t kind;    /* enum timeline_kind */
    uint8_t content; /* enum tag_kind a sector shows if this request made it: TAG_GUEST, TAG_ZERO, TAG_BACKING */
    bool replaces;   /* once firm, what came before cannot be seen any more */
    bool ok;         /* acknowledged as successful, and not lost by a cut */
    bool given_up;   /* its session ended after a failed flush: no flush covers it any more */
};

struct timeline_node {
    uint32_t op, next;
};

struct timeline_segment {
    uint64_t first_sector;
    uint32_t head; /* TIMELINE_NONE: untouched */
};

struct promise {
    struct timeline_op *ops;
    struct timeline_node *nodes;
    struct timeline_segment *segments; /* sorted; the first starts at sector 0, the last has no end */
    size_t op_count, op_capacity;
    size_t node_count, node_capacity;
    size_t segment_count, segment_capacity;
    uint32_t resizes, rebases; /* lists of their own, newest first */
    uint32_t last_call;
    uint64_t last_when;
    /* Of the session that is going on: */
    uint32_t flush_failed_call; /* the call that last told of a failed flush, or 0 */
    bool flushed_since;         /* a flush submitted after that call has succeeded */
    uint64_t initial_bytes;
    uint64_t backing_sectors; /* sectors whose initial content is backing-tagged: [0, backing_sectors) */
};

/* The list of requests over this sector, or TIMELINE_NONE. */
static inline uint32_t timeline_head(const struct promise *p, uint64_t sector)
{
    const struct timeline_segment *segment = p->segments;

    /* Halving without a branch to mispredict: this is on the way of every judged sector. */
    for (size_t count = p->segment_count; count > 1; count -= count / 2)
        segment = segment[count / 2].first_sector <= sector ? segment + count / 2 : segment;
    return segment->head;
}

#endif

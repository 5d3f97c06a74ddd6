/* guest_lines.c: see guest_lines.h. */
#include "harness/guest_lines.h"

#include <inttypes.h>
#include <string.h>

#include "oracle/tag.h"
#include "simdisk/dm_log.h"
#include "simdisk/xalloc.h"

#define RECORDED_LIFE 1u

static const char *const words[SCN_OP_COUNT] = {
    [SCN_WRITE] = "write", [SCN_ZERO] = "zero", [SCN_DISCARD] = "discard",  [SCN_FLUSH] = "flush",
    [SCN_CLOSE] = "close", [SCN_OPEN] = "open", [SCN_TRUNCATE] = "truncate"};

static const struct scn_stmt *stmt_of(const struct recording *r, size_t i)
{
    return &r->scenario->stmts[r->guest_ops[i].stmt];
}

bool guest_lines_possible(const struct recording *r)
{
    for (size_t i = 0; i < r->guest_op_count; i++) {
        const struct run_guest_op *g = &r->guest_ops[i];
        enum scn_op op = stmt_of(r, i)->op;
        if (op != SCN_READ && (!words[op] || g->ret || g->end == HIST_NEVER))
            return false;
    }
    return true;
}

static uint8_t byte_of(uint32_t write_id)
{
    return (uint8_t)(1 + (write_id - 1) % 255);
}

/* At each crash point, how many entries the log has by then. */
static uint64_t *count_entries(const struct history *h)
{
    uint64_t *before = xcalloc(h->event_count + 1, sizeof(*before));
    for (size_t i = 0; i < h->event_count; i++) {
        const struct hist_event *e = &h->events[i];
        before[i + 1] = before[i] + (e->kind == HIST_DONE && dm_log_has(&h->ops[e->op]));
    }
    return before;
}

void guest_lines_write(FILE *out, const struct recording *r)
{
    uint64_t *before = count_entries(r->history);
    for (size_t i = 0; i < r->guest_op_count; i++) {
        const struct run_guest_op *g = &r->guest_ops[i];
        const struct scn_stmt *s = stmt_of(r, i);
        bool place = s->op == SCN_WRITE || s->op == SCN_ZERO || s->op == SCN_DISCARD;
        if (s->op == SCN_READ)
            continue;
        fprintf(out, "{\"op\":\"%s\",\"offset\":%" PRIu64 ",\"length\":%" PRIu64, words[s->op], place ? s->offset : 0,
                place || s->op == SCN_TRUNCATE ? s->length : 0);
        if (s->op == SCN_WRITE)
            fprintf(out, ",\"byte\":%u", byte_of(g->write_id));
        fprintf(out, ",\"log_start\":%" PRIu64 ",\"log_end\":%" PRIu64 "}\n", before[g->begin], before[g->end]);
    }
    free(before);
}

void guest_lines_fill(struct recording *r)
{
    for (size_t i = 0; i < r->history->op_count; i++) {
        const struct hist_op *op = &r->history->ops[i];
        for (uint64_t at = 0; op->kind == HIST_WRITE && at < op->length_bytes; at += TAG_SECTOR_BYTES) {
            struct tag tag;
            tag_identify(op->data + at, &tag);
            if (tag.kind == TAG_GUEST && tag.generation == RECORDED_LIFE)
                memset(op->data + at, byte_of(tag.write_id), TAG_SECTOR_BYTES);
        }
    }
}

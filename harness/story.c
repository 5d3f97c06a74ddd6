/* story.c: see story.h. */
#include "harness/story.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/design_text.h"
#include "simdisk/xalloc.h"

static const char *what_it_is(enum blk_event e)
{
    switch (e) {
    case BLK_EVENT_COW_WRITE:
        return "the copied bytes";
    case BLK_EVENT_WRITE_AIO:
        return "guest data";
    case BLK_EVENT_L2_UPDATE:
        return "the L2 entry";
    case BLK_EVENT_L2_ALLOC_WRITE:
        return "the new L2 table";
    case BLK_EVENT_L1_UPDATE:
        return "the L1 entry";
    case BLK_EVENT_HEADER_UPDATE:
        return "the header";
    case BLK_EVENT_FLUSH_TO_DISK:
        return "the guest's flush";
    case BLK_EVENT_TRUNCATE:
        return "the new file length";
    case BLK_EVENT_NONE:
    case BLK_EVENT_HEADER_READ:
    case BLK_EVENT_L1_LOAD:
    case BLK_EVENT_L2_LOAD:
    case BLK_EVENT_READ_AIO:
    case BLK_EVENT_READ_BACKING_AIO:
    case BLK_EVENT_COW_READ:
    case BLK_EVENT_CLUSTER_ALLOC:
    case BLK_EVENT_CLUSTER_FREE:
    case BLK_EVENT_COUNT:
        break;
    }
    return "a write";
}

static void tell_guest(FILE *out, const struct finding *f, const struct recording *r)
{
    fprintf(out, "the guest did:\n");
    for (size_t i = 0; i < r->guest_op_count; i++) {
        const struct run_guest_op *op = &r->guest_ops[i];
        if (op->begin > f->when)
            break;
        fprintf(out, "  %-28s %s\n", r->scenario->stmts[op->stmt].text,
                op->end == HIST_NEVER || op->end > f->when ? "still in flight"
                : op->ret                                  ? "failed"
                                                           : "acknowledged");
    }
    fprintf(out, "then the power failed, at crash point %" PRIu32 "\n", f->when);
}

struct tally {
    uint32_t pending, survived;
};

static struct tally tally_op(const struct crash_space *s, const struct crash_state *st, uint32_t op)
{
    struct tally t = {0};
    for (size_t u = 0; u < s->unit_count; u++)
        for (uint32_t v = 1; v < s->units[u].version_count; v++)
            if (crash_unit_version(s, u, v)->op == op) {
                t.pending++;
                t.survived += crash_state_version(s, st, u) == v;
            }
    return t;
}

static void tell_op(FILE *out, const struct crash_space *s, uint32_t op, struct tally t)
{
    const struct hist_op *o = &s->history->ops[op];
    char name[24];
    history_op_name(s->history, op, name, sizeof(name));
    const char *fate = !t.survived ? "lost" : t.survived == t.pending ? "survived" : "survived in part";
    fprintf(out, "  %-8s %-16s at %8" PRIu64 " + %-7" PRIu64 " %s", name, blk_event_name(o->label), o->offset_bytes,
            o->length_bytes, fate);
    if (t.survived && t.survived < t.pending)
        fprintf(out, " (%" PRIu32 " of %" PRIu32 " sectors)", t.survived, t.pending);
    fputc('\n', out);
}

static void tell_writes(FILE *out, const struct finding *f, const struct crash_space *s)
{
    fprintf(out, "of what the disk had not flushed:\n");
    for (uint32_t i = 0; i < s->prefix_ops; i++)
        tell_op(out, s, s->prefix[i], (struct tally){1, 1});
    for (uint32_t op = 0; op < s->history->op_count; op++) {
        struct tally t = tally_op(s, &f->state, op);
        if (t.pending && (s->history->ops[op].submitted < f->when || t.survived))
            tell_op(out, s, op, t);
    }
    if (s->lengths && f->state.length)
        fprintf(out, "  the file's new length of %" PRIu64 " bytes survived\n", s->lengths[f->state.length].bytes);
}

static void tell_guest_view(FILE *out, const struct finding *f)
{
    if (f->guest_sector == JUDGE_NO_SECTOR)
        fprintf(out, "after recovery: %s\n", f->what);
    else if (f->words.expected[0])
        fprintf(out, "%s: guest sector %" PRIu64 " holds %s; expected %s\n",
                f->second_life ? "after a second life" : "after recovery", f->guest_sector, f->words.found,
                f->words.expected);
    else
        fprintf(out, "after recovery: guest sector %" PRIu64 ": %s\n", f->guest_sector, f->what);
}

static void tell_lives(FILE *out, const struct recording *r)
{
    fprintf(out, "then the guest lived on:\n");
    for (size_t i = r->crash_stmt; i < r->scenario->stmt_count; i++)
        fprintf(out, "  %s%s\n", r->scenario->stmts[i].text,
                r->scenario->stmts[i].op == SCN_CRASH ? "  (how: behind the slash of the id)" : "");
}

char *story_tell(const struct finding *f, const struct crash_space *space, const struct recording *recording)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = xalloc_check(open_memstream(&text, &size));
    tell_guest(out, f, recording);
    tell_writes(out, f, space);
    if (recording->crash_stmt < recording->scenario->stmt_count)
        tell_lives(out, recording);
    else if (f->pick_count)
        fprintf(out,
                "while the image was being repaired, the power failed again, in epoch %" PRIu32
                " of the repair's writes\n",
                f->pick_count > 1 ? f->picks[1] : 0);
    tell_guest_view(out, f);
    fclose(out);
    return text;
}

static void effect(const struct finding *f, char *buf, size_t size)
{
    if (f->guest_sector == JUDGE_NO_SECTOR)
        snprintf(buf, size, "%s", f->what);
    else if (f->words.expected[0])
        snprintf(buf, size, "guest sector %" PRIu64 " %sholds %s instead of %s", f->guest_sector,
                 f->second_life ? "later " : "", f->words.found, f->words.expected);
    else
        snprintf(buf, size, "guest sector %" PRIu64 ": %s", f->guest_sector, f->what);
}

void finding_why(const struct finding *f, char *buf, size_t size)
{
    char seen[400];
    effect(f, seen, sizeof(seen));
    const char *lost = what_it_is(f->key.lost), *survivor = what_it_is(f->key.survivor);
    if (f->key.lost == BLK_EVENT_NONE)
        snprintf(buf, size, "Nothing pending was lost, and yet: %s.", seen);
    else if (f->key.survivor == BLK_EVENT_FLUSH_TO_DISK)
        snprintf(buf, size, "%c%s (%s) did not reach the disk: %s.", lost[0] - 'a' + 'A', lost + 1,
                 blk_event_name(f->key.lost), seen);
    else
        snprintf(buf, size, "%c%s (%s) reached the disk before %s (%s) did: %s.", survivor[0] - 'a' + 'A', survivor + 1,
                 blk_event_name(f->key.survivor), lost, blk_event_name(f->key.lost), seen);
}

/* The ordering point that stands between the two, and the design's value there; QED_FIELD_COUNT: none stands out. */
static enum qed_design_field ordering_field(const struct finding_key *key)
{
    if (key->survivor == BLK_EVENT_L1_UPDATE && key->lost == BLK_EVENT_L2_ALLOC_WRITE)
        return QED_FIELD_l1_flush;
    if (key->lost == BLK_EVENT_HEADER_UPDATE && key->survivor != BLK_EVENT_FLUSH_TO_DISK)
        return QED_FIELD_need_check;
    if ((key->lost == BLK_EVENT_COW_WRITE || key->lost == BLK_EVENT_WRITE_AIO) &&
        (key->survivor == BLK_EVENT_L2_UPDATE || key->survivor == BLK_EVENT_L2_ALLOC_WRITE))
        return QED_FIELD_data_flush;
    return QED_FIELD_COUNT;
}

void finding_because(const struct finding *f, const struct qed_design *design, const struct sim_disk_model *disk,
                     char *buf, size_t size)
{
    char word[64];
    enum qed_design_field field = ordering_field(&f->key);
    if (f->key.lost == BLK_EVENT_NONE) {
        snprintf(buf, size, "So no order on the disk is to blame, but what was written, or what recovery made of it.");
        return;
    }
    const char *survivor = what_it_is(f->key.survivor), *lost = what_it_is(f->key.lost);
    if (disk->cache == SIM_CACHE_LYING)
        snprintf(buf, size, "The disk says that a flush is done and keeps nothing by it");
    else if (f->key.survivor == BLK_EVENT_FLUSH_TO_DISK)
        snprintf(buf, size, "No flush that covers %s had completed, so the disk was free to lose it", lost);
    else
        snprintf(buf, size,
                 "No flush that covers %s had completed when %s was written, so the disk was free to keep one "
                 "without the other",
                 lost, survivor);
    size_t used = strlen(buf);
    if (field == QED_FIELD_COUNT)
        snprintf(buf + used, size - used, ".");
    else
        snprintf(buf + used, size - used, " (design %s: %s=%s).", design->name, qed_design_field_name(field),
                 qed_design_value_name(field, design->value[field], word));
}

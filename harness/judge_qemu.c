/* judge_qemu.c: the judge's scripts with the installed QEMU for an engine.
 *
 * The same questions as in judge.c, asked of an image instead of an open disk: so a state must be set. What QEMU answers
 * is the bench's (qemu_bench.h); here it is held against the promise, in the same words. What QEMU has and our engine
 * has not is `qemu-img check -r all`: where a check finds something broken, the repair must leave nothing broken, and
 * nothing that was right before may be gone.
 *
 * The power does not fail again during QEMU's recovery: nobody has recorded what that writes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "harness/judge_internal.h"
#include "harness/qemu_bench.h"
#include "scenarios/replay.h"
#include "simdisk/xalloc.h"

struct judge_qemu {
    struct qemu_bench *bench;
    struct qemu_place *places;
    size_t count;
    const struct replay *replay;
};

static void fresh_bytes(void *opaque, uint64_t sector, uint8_t *bytes)
{
    judge_fresh_bytes(opaque, sector, bytes);
}

static struct judge_qemu *make_places(const struct judge *j)
{
    struct judge_qemu *q = xcalloc(1, sizeof(*q));
    size_t cap = 0;
    for (size_t i = 0; i < j->range_count; i++)
        for (uint64_t k = 0; k < j->ranges[i].count; k += j->cluster_sectors) {
            uint64_t first = j->ranges[i].first_sector + k, left = j->ranges[i].count - k;
            uint64_t cluster = first / j->cluster_sectors;
            q->places = xgrow(q->places, q->count, &cap, sizeof(*q->places));
            q->places[q->count++] = (struct qemu_place){.first = first,
                                                        .count = left < j->cluster_sectors ? left : j->cluster_sectors,
                                                        .over = judge_over_sector(j, first),
                                                        .is_beside = j->beside != JUDGE_NO_SECTOR &&
                                                                     cluster == j->beside / j->cluster_sectors};
        }
    return q;
}

int judge_use_qemu(struct judge *j, unsigned jobs, volatile const int *stop, char *why, size_t why_size)
{
    const struct scenario *s = j->recording->scenario;
    struct judge_qemu *q = make_places(j);
    struct qemu_questions questions = {.format = replay_format(s->replay),
                                       .backing = j->backing.pages,
                                       .backing_bytes = j->backing.length_bytes,
                                       .places = q->places,
                                       .place_count = q->count,
                                       .beside = j->beside == JUDGE_NO_SECTOR ? QEMU_NO_SECTOR
                                                                              : j->beside + j->cluster_sectors / 2,
                                       .fresh = fresh_bytes,
                                       .opaque = j,
                                       .lives = j->second_life,
                                       .jobs = jobs ? jobs : 1,
                                       .stop = stop};
    q->replay = s->replay;
    q->bench = qemu_bench_create(&questions, why, why_size);
    if (!q->bench) {
        free(q->places);
        free(q);
        return -1;
    }
    j->qemu = q;
    return 0;
}

void judge_qemu_destroy(struct judge_qemu *q)
{
    if (!q)
        return;
    qemu_bench_destroy(q->bench);
    free(q->places);
    free(q);
}

bool judge_asks_qemu(const struct judge *j)
{
    return j->qemu;
}

const char *judge_qemu_error(const struct judge *j)
{
    return j->qemu ? qemu_bench_error(j->qemu->bench) : "";
}

void judge_ahead(struct judge *j, struct crash_disk *disk)
{
    crash_disk_rewind(disk, 0);
    qemu_bench_add(j->qemu->bench, crash_disk_blk(disk));
}

void judge_ahead_done(struct judge *j)
{
    qemu_bench_work(j->qemu->bench);
}

/* --- structure ----------------------------------------------------------------------------------------------------- */

static bool is_broken(const struct qemu_check *c)
{
    return c->exit == 2 || c->corruptions || c->exit == 1 || c->errors;
}

static void check_text(const struct qemu_check *c, char *buf, size_t size)
{
    if (c->exit == 1)
        snprintf(buf, size, "qemu-img check failed%s%s", c->words[0] ? ": " : "", c->words);
    else
        snprintf(buf, size, "qemu-img check counts %" PRIu64 " corruptions and %" PRIu64 " leaks", c->corruptions,
                 c->leaks);
}

/* True if nothing is broken. */
static bool judge_check(struct judge *j, const struct qemu_check *c, bool repaired, bool second)
{
    char words[240];
    if (!is_broken(c))
        return true;
    check_text(c, words, sizeof(words));
    if (repaired)
        judge_report_image(j, VERDICT_BAD_REPAIR, second, "the repair at open left broken tables", words);
    else
        judge_report_image(j, VERDICT_CORRUPT, second, "broken tables, and no mark that says so", words);
    return false;
}

static bool judge_first_look(struct judge *j, const struct qemu_look *look)
{
    bool right = true;
    j->counts.recoveries++;
    j->counts.scanned += look->marked;
    j->counts.needless += look->marked && !is_broken(&look->before);
    j->counts.leaky += look->after.leaks && !j->recording->history->fixed_size;
    if (!promise_size_allowed(j->recording->promise, j->when, look->image_bytes)) {
        judge_report_image(j, VERDICT_LOST_FLUSHED, false, "the image's size is none that was ever promised", NULL);
        right = false;
    }
    return judge_check(j, &look->after, look->marked, false) && right;
}

static void judge_beside(struct judge *j, const struct qemu_look *look)
{
    if (look->beside_check.exit < 0)
        return;
    judge_check(j, &look->beside_check, false, true);
    if (look->beside_open_error[0])
        judge_report_image(j, VERDICT_UNOPENABLE, true, "the recovered image opened once and now does not",
                           look->beside_open_error);
}

/* --- contents ------------------------------------------------------------------------------------------------------ */

static void judge_unread(struct judge *j, uint64_t first, uint64_t count, const char *error, bool second)
{
    char words[200];
    snprintf(words, sizeof(words), "it cannot be read (%s): its entry names no place in the file", error);
    for (uint64_t s = 0; s < count; s++)
        judge_report_sector(j, VERDICT_CORRUPT, first + s, second, false,
                            j->explain ? words : "it cannot be read: its entry names no place in the file");
}

/* What QEMU read, in tags. */
static const uint8_t *as_tags(const struct judge *j, uint64_t sector, const uint8_t *bytes, uint8_t *buf)
{
    memcpy(buf, bytes, SECTOR);
    replay_tag_sector(j->qemu->replay, sector, buf);
    return buf;
}

/* j->shown and j->right as in judge.c. True if any sector is right. */
static bool judge_reading(struct judge *j, const struct qemu_place *p, const struct qemu_reading *r)
{
    bool any = false;
    if (r->error[0])
        judge_unread(j, p->first, p->count, r->error, false);
    for (uint64_t s = 0; s < p->count; s++)
        j->right[s] = 0;
    uint64_t limit = j->image_sectors;
    for (uint64_t s = 0; r->sectors && s < p->count && p->first + s < limit; s++) {
        as_tags(j, p->first + s, r->sectors[s], j->shown + s * SECTOR);
        j->right[s] = judge_shown_sector(j, p->first + s, j->shown + s * SECTOR);
        any |= j->right[s];
    }
    return any;
}

static void judge_again(struct judge *j, uint64_t sector, const struct qemu_reading *r, uint64_t index,
                        const uint8_t *was)
{
    uint8_t now[SECTOR];
    if (r->error[0])
        judge_unread(j, sector, 1, r->error, true);
    else if (r->sectors)
        judge_changed_sector(j, sector, was, as_tags(j, sector, r->sectors[index], now));
}

static void judge_life(struct judge *j, const struct qemu_place *p, const struct qemu_life *life)
{
    uint8_t fresh[SECTOR];
    if (life->close_error[0])
        judge_report_image(j, VERDICT_BAD_REPAIR, true, "the recovered image cannot be closed", life->close_error);
    if (life->open_error[0]) {
        judge_report_image(j, VERDICT_UNOPENABLE, true, "the recovered image opened once and now does not",
                           life->open_error);
        return;
    }
    fresh_bytes(j, p->over, fresh);
    j->first = p->first;
    for (uint64_t s = 0; s < p->count; s++) {
        bool over = p->first + s == p->over;
        if (j->right[s] && !(over && !life->wrote_over))
            judge_again(j, p->first + s, &life->place, s, over ? fresh : j->shown + s * SECTOR);
    }
    uint64_t beside = j->beside + j->cluster_sectors / 2;
    if (!life->wrote_beside)
        return;
    fresh_bytes(j, beside, fresh);
    judge_again(j, beside, &life->beside, 0, fresh);
}

/* --- check -r all -------------------------------------------------------------------------------------------------- */

static void judge_repaired_place(struct judge *j, const struct qemu_place *p, const struct qemu_reading *before,
                                 const struct qemu_reading *after)
{
    uint8_t was[SECTOR], is[SECTOR];
    for (uint64_t s = 0; before->sectors && s < p->count && p->first + s < j->image_sectors; s++) {
        uint64_t sector = p->first + s;
        if (promise_judge(j->recording->promise, j->when, sector, as_tags(j, sector, before->sectors[s], was), NULL))
            continue;
        if (after->error[0] || (after->sectors && promise_judge(j->recording->promise, j->when, sector,
                                                                as_tags(j, sector, after->sectors[s], is), &j->words)))
            judge_report_sector(j, VERDICT_BAD_REPAIR, sector, false, !after->error[0],
                                "qemu-img check -r all took away what could be read before it");
    }
}

static void judge_repair(struct judge *j, const struct qemu_look *look)
{
    char words[240];
    if (look->repair.exit < 0)
        return;
    if (is_broken(&look->repaired)) {
        check_text(&look->repaired, words, sizeof(words));
        judge_report_image(j, VERDICT_BAD_REPAIR, false, "qemu-img check -r all left broken tables", words);
    }
    for (size_t i = 0; i < j->qemu->count && look->repaired_readings; i++)
        judge_repaired_place(j, &j->qemu->places[i], &look->readings[i], &look->repaired_readings[i]);
}

/* --- a state ------------------------------------------------------------------------------------------------------- */

static void judge_look(struct judge *j, const struct qemu_look *look)
{
    if (look->died[0]) {
        judge_report_image(j, VERDICT_DIED, false, "QEMU did not survive the image", look->died);
        return;
    }
    if (look->open_error[0]) {
        judge_report_image(j, VERDICT_UNOPENABLE, false, "the image does not open", look->open_error);
        return;
    }
    j->image_sectors = look->image_bytes / SECTOR;
    if (judge_first_look(j, look) && j->second_life)
        judge_beside(j, look);
    for (size_t i = 0; i < j->qemu->count; i++)
        if (judge_reading(j, &j->qemu->places[i], &look->readings[i]) && j->second_life)
            judge_life(j, &j->qemu->places[i], &look->lives[i]);
    judge_repair(j, look);
}

void judge_qemu_state(struct judge *j)
{
    crash_disk_rewind(j->disk, 0);
    const struct qemu_look *look = qemu_bench_look(j->qemu->bench, crash_disk_blk(j->disk));
    j->counts.executions++;
    j->pick_count = 0;
    if (look) /* else the cell asks why */
        judge_look(j, look);
    crash_disk_rewind(j->disk, 0);
}

uint64_t judge_qemu_place(struct judge *j, uint64_t sector)
{
    return j->explain ? qemu_bench_place(j->qemu->bench, crash_disk_blk(j->disk), sector) : JUDGE_NO_SECTOR;
}

/* --- telling ------------------------------------------------------------------------------------------------------- */

void judge_qemu_tell(struct judge *j, struct crash_disk *disk, char *buf, size_t size)
{
    crash_disk_rewind(disk, 0);
    const struct qemu_look *look = qemu_bench_look(j->qemu->bench, crash_disk_blk(disk));
    char before[240], after[240];
    buf[0] = 0;
    if (!look)
        return;
    check_text(&look->before, before, sizeof(before));
    check_text(&look->after, after, sizeof(after));
    if (look->died[0])
        snprintf(buf, size, "QEMU: %s.", look->died);
    else if (look->open_error[0])
        snprintf(buf, size, "QEMU does not open the image: %s.", look->open_error);
    else
        snprintf(buf, size, "The image is %smarked; %s.%s Opening it %s.%s%s%s", look->marked ? "" : "not ", before,
                 look->repair.exit < 0        ? ""
                 : is_broken(&look->repaired) ? " Its repair (-r all) leaves broken tables."
                                              : " Its repair (-r all) leaves sound tables.",
                 look->rewritten ? "and closing it changed the file" : "changed nothing",
                 look->rewritten ? " Then " : "", look->rewritten ? after : "", look->rewritten ? "." : "");
}

/* judge.c: see judge.h. */
#include "harness/judge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "oracle/walk.h"
#include "simdisk/xalloc.h"

#define SECTOR BLK_SECTOR_BYTES
#define SECOND_LIFE_GENERATION 1000u /* no scenario has that many lives */

struct judge {
    const struct recording *recording;
    const struct qed_design *design;
    struct qed_pool *pool;
    struct walk *walk;
    struct run_backing backing;
    struct promise_range *ranges; /* touched sectors, whole clusters */
    size_t range_count;
    uint64_t sector_total;        /* in all ranges */
    uint32_t cluster_sectors;
    uint64_t beside;              /* first sector of a cluster nobody touched, or JUDGE_NO_SECTOR */
    uint8_t *shown;               /* what recovery showed, range after range; then what must be seen */
    uint8_t *readable;            /* per sector: was it readable? */
    uint8_t *now;                 /* one cluster */
    bool explain, second_life;
    struct promise_explanation words;
    char what[320];
    struct judge_counts counts;

    /* The state being judged. */
    struct crash_disk *disk;
    uint32_t when;
    violation_fn *report;
    void *opaque;
};

/* --- birth --------------------------------------------------------------------------------------------------------- */

static bool touched(const struct judge *j, uint64_t sector)
{
    for (size_t i = 0; i < j->range_count; i++)
        if (sector >= j->ranges[i].first_sector && sector < j->ranges[i].first_sector + j->ranges[i].count)
            return true;
    return false;
}

/* Nobody's cluster is watched too: it must stay as it was, and the second life allocates it. */
static void add_beside(struct judge *j)
{
    uint64_t sectors = j->recording->scenario->image_bytes / SECTOR;
    j->beside = JUDGE_NO_SECTOR;
    for (uint64_t first = 0; first + j->cluster_sectors <= sectors; first += j->cluster_sectors) {
        if (touched(j, first))
            continue;
        j->beside = first;
        j->ranges = xreallocarray(j->ranges, j->range_count + 1, sizeof(*j->ranges));
        j->ranges[j->range_count++] = (struct promise_range){.first_sector = first, .count = j->cluster_sectors};
        return;
    }
}

struct judge *judge_create(const struct recording *recording, const struct qed_design *design)
{
    struct judge *j = xcalloc(1, sizeof(*j));
    j->recording = recording;
    j->design = design;
    j->pool = xalloc_check(qed_pool_create());
    j->walk = xalloc_check(walk_create());
    run_backing_init(&j->backing, recording->scenario, NULL);
    j->cluster_sectors = recording->scenario->cluster_bytes / SECTOR;
    j->range_count = promise_touched(recording->promise, j->cluster_sectors, &j->ranges);
    add_beside(j);
    for (size_t i = 0; i < j->range_count; i++)
        j->sector_total += j->ranges[i].count;
    j->shown = xmalloc(j->sector_total * SECTOR);
    j->readable = xmalloc(j->sector_total);
    j->now = xmalloc((size_t)j->cluster_sectors * SECTOR);
    j->second_life = true;
    return j;
}

void judge_destroy(struct judge *j)
{
    if (!j)
        return;
    run_backing_destroy(&j->backing);
    walk_destroy(j->walk);
    qed_pool_destroy(j->pool);
    free(j->ranges);
    free(j->shown);
    free(j->readable);
    free(j->now);
    free(j);
}

void judge_explain(struct judge *j, bool on)
{
    j->explain = on;
}

void judge_second_life(struct judge *j, bool on)
{
    j->second_life = on;
}

const struct judge_counts *judge_count(const struct judge *j)
{
    return &j->counts;
}

uint32_t judge_cluster_sectors(const struct judge *j)
{
    return j->cluster_sectors;
}

uint64_t judge_allocations(const struct judge *j)
{
    return qed_pool_misses(j->pool);
}

/* --- talking to the engine ----------------------------------------------------------------------------------------- */

static void take_ret(void *opaque, int ret)
{
    *(int *)opaque = ret;
}

static int read_guest(struct qed *q, uint64_t sector, uint64_t count, uint8_t *buf)
{
    struct iovec iov = {.iov_base = buf, .iov_len = count * SECTOR};
    int ret = -EDEADLK;
    qed_readv(q, sector * SECTOR, &iov, 1, take_ret, &ret);
    return ret;
}

static int write_guest(struct qed *q, uint64_t sector, const uint8_t *buf)
{
    struct iovec iov = {.iov_base = (void *)buf, .iov_len = SECTOR};
    int ret = -EDEADLK;
    qed_writev(q, sector * SECTOR, &iov, 1, take_ret, &ret);
    return ret;
}

static int open_image(struct judge *j, struct qed **q, struct qed_error *err)
{
    struct qed_open_options options = {.design = j->design, .pool = j->pool, .backing_host = &j->backing.host};
    return qed_open(crash_disk_blk(j->disk), &options, q, j->explain ? err : NULL);
}

static uint64_t image_sector_of(struct qed *q, uint64_t sector)
{
    enum qed_map_kind kind;
    uint64_t offset, run;
    if (!q || qed_map(q, sector * SECTOR, SECTOR, &kind, &offset, &run) || kind != QED_MAP_DATA)
        return JUDGE_NO_SECTOR;
    return offset / SECTOR;
}

/* --- reporting ----------------------------------------------------------------------------------------------------- */

static void report(struct judge *j, struct qed *q, enum verdict_class class, uint64_t sector, bool second, bool words,
                   const char *what)
{
    struct violation v = {.class = class,
                          .guest_sector = sector,
                          .image_sector = sector == JUDGE_NO_SECTOR ? sector : image_sector_of(q, sector),
                          .second_life = second,
                          .words = words && j->explain ? &j->words : NULL,
                          .what = what};
    j->report(j->opaque, &v);
}

static void report_image(struct judge *j, enum verdict_class class, bool second, const char *what, const char *detail)
{
    if (j->explain) {
        snprintf(j->what, sizeof(j->what), "%s%s%s", what, detail && *detail ? ": " : "", detail ? detail : "");
        what = j->what;
    }
    report(j, NULL, class, JUDGE_NO_SECTOR, second, false, what);
}

/* --- structure ----------------------------------------------------------------------------------------------------- */

/* Recovery is over; whatever is broken now stays broken. */
static void judge_structure(struct judge *j, struct qed *q, bool second)
{
    struct walk_result walk;
    int ret = walk_image(j->walk, crash_disk_blk(j->disk), &walk);
    if (ret) {
        report_image(j, VERDICT_CORRUPT, second, "the tables cannot be walked", walk.first_fault);
        return;
    }
    bool scanned = qed_opened(q)->scanned && qed_opened(q)->check.total_clusters;
    j->counts.leaky += walk.leaked && !second;
    if (walk_faults(&walk)) {
        if (scanned)
            report_image(j, VERDICT_BAD_REPAIR, second, "the repair at open left broken tables", walk.first_fault);
        else
            report_image(j, VERDICT_CORRUPT, second, "broken tables, and no mark that says so", walk.first_fault);
    }
    struct qed_check_result check;
    ret = qed_check(q, false, &check);
    if (ret)
        report_image(j, VERDICT_CORRUPT, second, "the engine's check failed", strerror(-ret));
    else if (check.corruptions != walk_faults(&walk) || check.leaks != walk.leaked)
        report_image(j, VERDICT_CORRUPT, second, "the engine's check and the oracle's walk disagree", walk.first_fault);
}

/* --- contents ------------------------------------------------------------------------------------------------------ */

static void judge_sector(struct judge *j, struct qed *q, uint64_t sector, const uint8_t *bytes)
{
    enum verdict_class c = promise_judge(j->recording->promise, j->when, sector, bytes, j->explain ? &j->words : NULL);
    if (c != VERDICT_OK)
        report(j, q, c, sector, false, true, verdict_class_meaning(c));
}

static void judge_unreadable(struct judge *j, struct qed *q, uint64_t sector, int ret, bool second)
{
    char detail[96];
    snprintf(detail, sizeof(detail), "guest sector cannot be read (%s): its entry names no place in the file",
             strerror(-ret));
    report(j, q, VERDICT_CORRUPT, sector, second, false, detail);
}

/* Reads whole clusters, or sector by sector where that fails. Whatever was shown is kept for the second life. */
static void judge_contents(struct judge *j, struct qed *q)
{
    uint64_t limit = qed_image_bytes(q) / SECTOR, at = 0;
    for (size_t i = 0; i < j->range_count; i++) {
        for (uint64_t k = 0; k < j->ranges[i].count; k += j->cluster_sectors) {
            uint64_t first = j->ranges[i].first_sector + k;
            uint64_t count = j->ranges[i].count - k < j->cluster_sectors ? j->ranges[i].count - k : j->cluster_sectors;
            uint64_t inside = first >= limit ? 0 : limit - first < count ? limit - first : count;
            uint8_t *bytes = j->shown + at * SECTOR;
            memset(j->readable + at, 0, count);
            int ret = inside ? read_guest(q, first, inside, bytes) : 0;
            if (ret) /* all sectors of a cluster share its entry */
                judge_unreadable(j, q, first, ret, false);
            for (uint64_t s = 0; !ret && s < inside; s++) {
                j->readable[at + s] = 1;
                judge_sector(j, q, first + s, bytes + s * SECTOR);
            }
            at += count;
        }
    }
}

/* --- second life --------------------------------------------------------------------------------------------------- */

static size_t place_of(const struct judge *j, uint64_t sector)
{
    size_t at = 0;
    for (size_t i = 0; i < j->range_count; i++) {
        if (sector >= j->ranges[i].first_sector && sector < j->ranges[i].first_sector + j->ranges[i].count)
            return at + (size_t)(sector - j->ranges[i].first_sector);
        at += (size_t)j->ranges[i].count;
    }
    return SIZE_MAX;
}

static void write_again(struct judge *j, struct qed *q, uint64_t sector)
{
    uint8_t bytes[SECTOR];
    size_t at = place_of(j, sector);
    if (sector >= qed_image_bytes(q) / SECTOR || !j->readable[at])
        return;
    struct tag tag = {.kind = TAG_GUEST,
                      .sector = sector,
                      .write_id = j->recording->next_write_id,
                      .generation = SECOND_LIFE_GENERATION};
    tag_fill(bytes, &tag);
    if (write_guest(q, sector, bytes))
        j->readable[at] = 0; /* a failed write may have happened or not */
    else
        memcpy(j->shown + at * SECTOR, bytes, SECTOR);
}

/* Over: one sector in the middle of each cluster. Beside: the cluster nobody touched, which is allocated now. */
static void live_again(struct judge *j, struct qed *q)
{
    if (j->beside != JUDGE_NO_SECTOR)
        write_again(j, q, j->beside + j->cluster_sectors / 2);
    for (size_t i = 0; i < j->range_count; i++)
        for (uint64_t k = 0; k < j->ranges[i].count; k += j->cluster_sectors)
            if (j->ranges[i].first_sector + k != j->beside)
                write_again(j, q, j->ranges[i].first_sector + k + (k / j->cluster_sectors + 1) % j->cluster_sectors);
}

/* The sector changed by itself after recovery had shown it. */
static enum verdict_class change_class(const struct judge *j, uint64_t sector, const uint8_t *was, const uint8_t *is)
{
    struct tag before, after;
    tag_identify(was, &before);
    tag_identify(is, &after);
    if (after.kind == TAG_MIXED)
        return VERDICT_TORN;
    if (after.kind == TAG_STALE || after.kind == TAG_FOREIGN ||
        ((after.kind == TAG_GUEST || after.kind == TAG_BACKING) && after.sector != sector))
        return VERDICT_DISCLOSURE;
    return before.kind == TAG_GUEST || promise_written(j->recording->promise, sector) ? VERDICT_LOST_FLUSHED
                                                                                       : VERDICT_LOST_COW;
}

static void judge_unchanged(struct judge *j, struct qed *q, uint64_t sector, const uint8_t *was, const uint8_t *is)
{
    if (!memcmp(was, is, SECTOR))
        return;
    if (j->explain) {
        struct tag tag;
        tag_identify(was, &tag);
        tag_describe(&tag, j->words.expected, sizeof(j->words.expected));
        tag_identify(is, &tag);
        tag_describe(&tag, j->words.found, sizeof(j->words.found));
    }
    report(j, q, change_class(j, sector, was, is), sector, true, true,
           "in the second life, contents that recovery had shown changed by themselves");
}

static void judge_again(struct judge *j, struct qed *q)
{
    uint64_t limit = qed_image_bytes(q) / SECTOR, at = 0;
    for (size_t i = 0; i < j->range_count; i++) {
        for (uint64_t k = 0; k < j->ranges[i].count; k += j->cluster_sectors) {
            uint64_t first = j->ranges[i].first_sector + k;
            uint64_t count = j->ranges[i].count - k < j->cluster_sectors ? j->ranges[i].count - k : j->cluster_sectors;
            uint64_t inside = first >= limit ? 0 : limit - first < count ? limit - first : count;
            int ret = inside ? read_guest(q, first, inside, j->now) : 0;
            if (ret && j->readable[at])
                judge_unreadable(j, q, first, ret, true);
            for (uint64_t s = 0; !ret && s < inside; s++)
                if (j->readable[at + s])
                    judge_unchanged(j, q, first + s, j->shown + (at + s) * SECTOR, j->now + s * SECTOR);
            at += count;
        }
    }
}

static void second_life(struct judge *j, struct qed *q)
{
    struct qed_error err;
    live_again(j, q);
    int ret = qed_close(q);
    if (ret)
        report_image(j, VERDICT_BAD_REPAIR, true, "the recovered image cannot be closed", strerror(-ret));
    ret = open_image(j, &q, &err);
    if (ret) {
        report_image(j, VERDICT_UNOPENABLE, true, "the recovered image opened once and now does not", err.text);
        return;
    }
    judge_again(j, q);
    judge_structure(j, q, true);
    qed_abandon(q);
}

/* --- one state ----------------------------------------------------------------------------------------------------- */

static void judge_repair(struct judge *j, struct qed *q)
{
    const struct qed_open_report *opened = qed_opened(q);
    j->counts.scanned += opened->scanned;
    if (opened->scanned && (opened->check.check_errors || opened->check_ret))
        report_image(j, VERDICT_BAD_REPAIR, false, "the repair at open failed", strerror(-opened->check_ret));
}

void judge_state(struct judge *j, struct crash_disk *disk, uint32_t when, violation_fn *fn, void *opaque)
{
    struct qed *q;
    struct qed_error err;
    j->disk = disk;
    j->when = when;
    j->report = fn;
    j->opaque = opaque;
    j->counts.executions++;
    int ret = open_image(j, &q, &err);
    if (ret) {
        report_image(j, VERDICT_UNOPENABLE, false, "the image does not open", err.text);
        return;
    }
    judge_repair(j, q);
    judge_structure(j, q, false);
    if (!promise_size_allowed(j->recording->promise, when, qed_image_bytes(q)))
        report_image(j, VERDICT_LOST_FLUSHED, false, "the image's size is none that was ever promised", NULL);
    judge_contents(j, q);
    if (j->second_life)
        second_life(j, q);
    else
        qed_abandon(q);
}

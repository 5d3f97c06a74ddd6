/* judge.c: see judge.h. */
#include "harness/judge.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "harness/judge_internal.h"
#include "oracle/walk.h"
#include "scenarios/replay.h"
#include "simdisk/xalloc.h"

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
    struct judge *j = judge_create_with(recording, design, xalloc_check(qed_pool_create()));
    j->own_pool = true;
    return j;
}

struct judge *judge_create_with(const struct recording *recording, const struct qed_design *design,
                                struct qed_pool *pool)
{
    struct judge *j = xcalloc(1, sizeof(*j));
    j->recording = recording;
    j->design = design;
    j->pool = pool;
    j->walk = xalloc_check(walk_create());
    walk_silent(j->walk, true);
    run_backing_init(&j->backing, recording->scenario, NULL);
    j->cluster_sectors = recording->scenario->cluster_bytes / SECTOR;
    j->range_count = promise_touched(recording->promise, j->cluster_sectors, &j->ranges);
    add_beside(j);
    if (recording->structure_only)
        j->range_count = 0; /* nobody can say what a sector should hold */
    for (size_t i = 0; i < j->range_count; i++)
        j->touched_clusters += (j->ranges[i].count + j->cluster_sectors - 1) / j->cluster_sectors;
    j->shown = xmalloc((size_t)j->cluster_sectors * SECTOR);
    j->now = xmalloc((size_t)j->cluster_sectors * SECTOR);
    j->right = xmalloc(j->cluster_sectors);
    j->heard = xcalloc(j->cluster_sectors, 1);
    j->fresh = xmalloc(SECTOR);
    j->second_life = true;
    j->nested = 1;
    j->many = MANY_CLUSTERS;
    j->focus = JUDGE_NO_SECTOR;
    j->own = explorer_create();
    if (lives_wanted(recording))
        lives_create(j);
    for (uint32_t i = 0; i < JUDGE_MAX_ALTERNATIVES; i++)
        j->numbers[i] = i;
    sweep_create(j);
    return j;
}

void judge_destroy(struct judge *j)
{
    if (!j)
        return;
    run_backing_destroy(&j->backing);
    walk_destroy(j->walk);
    if (j->own_pool)
        qed_pool_destroy(j->pool);
    explorer_destroy(j->own);
    lives_destroy(j);
    judge_qemu_destroy(j->qemu);
    sweep_destroy(j);
    free(j->ranges);
    free(j->shown);
    free(j->right);
    free(j->heard);
    free(j->fresh);
    free(j->now);
    free(j);
}

void judge_explain(struct judge *j, bool on)
{
    j->explain = on;
    walk_silent(j->walk, !on);
}

void judge_second_life(struct judge *j, bool on)
{
    j->second_life = on;
}

void judge_sweeps_from(struct judge *j, uint64_t clusters)
{
    j->many = clusters;
}

void judge_nested(struct judge *j, unsigned levels)
{
    j->nested = levels;
}

void judge_focus(struct judge *j, uint64_t sector)
{
    uint64_t first = sector / j->cluster_sectors * j->cluster_sectors;
    bool anywhere = sector == JUDGE_NO_SECTOR || j->life || first == j->beside;
    j->focus = anywhere ? JUDGE_NO_SECTOR : first;
}

void judge_force(struct judge *j, const uint32_t *picks, unsigned count)
{
    j->forced = picks;
    j->forced_count = count;
}

const struct judge_counts *judge_count(const struct judge *j)
{
    return &j->counts;
}

void judge_count_back(struct judge *j, const struct judge_counts *counts)
{
    j->counts = *counts;
}

uint32_t judge_cluster_sectors(const struct judge *j)
{
    return j->cluster_sectors;
}

const struct qed_design *judge_design(const struct judge *j)
{
    return j->design;
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
    err->text[0] = 0; /* filled only where the judge explains */
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

static void report_at(struct judge *j, enum verdict_class class, uint64_t sector, uint64_t image_sector, bool second,
                      bool words, const char *what)
{
    struct violation v = {.class = class,
                          .guest_sector = sector,
                          .image_sector = sector == JUDGE_NO_SECTOR ? sector : image_sector,
                          .second_life = second,
                          .words = words && j->explain ? &j->words : NULL,
                          .what = what,
                          .picks = j->picks,
                          .pick_count = j->pick_count};
    if (j->rehearsal) {
        j->rehearsal_found = true;
        if (sector >= j->first && sector - j->first < j->count)
            j->heard[sector % j->cluster_sectors] = 1;
    } else {
        j->reported = true;
        j->report(j->opaque, &v);
    }
}

static void report(struct judge *j, struct qed *q, enum verdict_class class, uint64_t sector, bool second, bool words,
                   const char *what)
{
    report_at(j, class, sector, image_sector_of(q, sector), second, words, what);
}

void judge_report_image(struct judge *j, enum verdict_class class, bool second, const char *what, const char *detail)
{
    if (j->explain) {
        snprintf(j->what, sizeof(j->what), "%s%s%s", what, detail && *detail ? ": " : "", detail ? detail : "");
        what = j->what;
    }
    report_at(j, class, JUDGE_NO_SECTOR, JUDGE_NO_SECTOR, second, false, what);
}

/* --- recovery, and the power failing again in it ------------------------------------------------------------------- */

uint32_t judge_ask(void *opaque, uint32_t n)
{
    struct judge *j = opaque;
    uint32_t pick = 0;
    j->counts.overflows += n > JUDGE_MAX_ALTERNATIVES || j->pick_count == JUDGE_MAX_PICKS;
    if (n > JUDGE_MAX_ALTERNATIVES)
        n = JUDGE_MAX_ALTERNATIVES;
    if (j->pick_count == JUDGE_MAX_PICKS)
        return 0;
    if (j->forced)
        pick = j->pick_count < j->forced_count && j->forced[j->pick_count] < n ? j->forced[j->pick_count] : 0;
    else if (n > 1)
        pick = j->chooser->choose(j->chooser, CRASH_CHOICE_NESTED, crash_disk_asking(j->disk), j->numbers, n);
    j->picks[j->pick_count++] = pick;
    return pick;
}

/* Opens the image. While it wrote something in doing so, and may, the power fails again and it is opened once more. */
int judge_recover(struct judge *j, struct qed **q, struct qed_error *err)
{
    j->pick_count = 0;
    j->lived = false;
    if (j->life && !lives_play(j))
        return -ECANCELED;
    for (unsigned level = 0;; level++) {
        bool log = level < j->nested;
        if (log)
            crash_disk_log_start(j->disk);
        int ret = open_image(j, q, err);
        uint32_t epochs = log && !ret ? crash_disk_log_epochs(j->disk) : 0;
        if (!epochs || !judge_ask(j, 2)) {
            crash_disk_log_stop(j->disk);
            if (level == 0 && !j->life)
                j->pick_count = 0; /* nothing happened that would have to be told */
            return ret;
        }
        qed_abandon(*q);
        crash_disk_fail_again(j->disk, judge_ask(j, epochs), judge_ask, j);
    }
}

static void judge_all_contents(struct judge *j, struct qed *q);

/* --- structure ----------------------------------------------------------------------------------------------------- */

static bool scanned_for_repair(const struct qed *q)
{
    return qed_opened(q)->scanned && qed_opened(q)->check.total_clusters;
}

/* Two judges, who must agree. A device of fixed size has no leaks to speak of: its free space is just not used yet. A
 * partial tail that was left alone is a leaked cluster to the engine, and none to the walk while the file ends in it. */
static bool judges_agree(const struct judge *j, struct qed *q, const struct walk_result *walk,
                         const struct qed_check_result *check)
{
    bool fixed = j->recording->history->fixed_size;
    uint64_t set_aside = j->design->tail == QED_TAIL_ROUND_UP && qed_opened(q)->tail_partial;
    return check->corruptions == walk_faults(walk) &&
           (fixed || check->leaks == walk->leaked || check->leaks == walk->leaked + set_aside);
}

/* Recovery is over; whatever is broken now stays broken. True if nothing is. */
static bool judge_tables(struct judge *j, struct qed *q, bool second)
{
    struct walk_result walk;
    struct qed_check_result check;
    int ret = walk_image(j->walk, crash_disk_blk(j->disk), &walk);
    if (ret) {
        judge_report_image(j, VERDICT_CORRUPT, second, "the tables cannot be walked", walk.first_fault);
        return false;
    }
    j->counts.leaky += walk.leaked && !second && !j->recording->history->fixed_size;
    if (walk_faults(&walk) && scanned_for_repair(q))
        judge_report_image(j, VERDICT_BAD_REPAIR, second, "the repair at open left broken tables", walk.first_fault);
    else if (walk_faults(&walk))
        judge_report_image(j, VERDICT_CORRUPT, second, "broken tables, and no mark that says so", walk.first_fault);
    ret = qed_check(q, false, &check);
    if (ret)
        judge_report_image(j, VERDICT_CORRUPT, second, "the engine's check failed", strerror(-ret));
    else if (!judges_agree(j, q, &walk, &check))
        judge_report_image(j, VERDICT_CORRUPT, second, "the engine's check and the oracle's walk disagree",
                           walk.first_fault);
    return !walk_faults(&walk) && !ret;
}

static const struct promise *promise_now(const struct judge *j)
{
    return j->lived ? j->life : j->recording->promise;
}

static uint32_t when_now(const struct judge *j)
{
    if (j->lived)
        return j->life_when;
    return j->open ? crash_disk_when(j->disk) : j->when;
}

static bool judge_recovery(struct judge *j, struct qed *q)
{
    const struct qed_open_report *opened = qed_opened(q);
    bool right = true;
    j->counts.recoveries++;
    j->counts.scanned += opened->scanned;
    j->counts.needless += opened->scanned && !opened->check.corruptions && !opened->check.corruptions_fixed;
    if (scanned_for_repair(q) && (opened->check.check_errors || opened->check_ret)) {
        judge_report_image(j, VERDICT_BAD_REPAIR, false, "the repair at open failed", strerror(-opened->check_ret));
        right = false;
    }
    if (!promise_size_allowed(promise_now(j), when_now(j), qed_image_bytes(q))) {
        judge_report_image(j, VERDICT_LOST_FLUSHED, false, "the image's size is none that was ever promised", NULL);
        right = false;
    }
    return judge_tables(j, q, false) && right;
}

/* --- second life --------------------------------------------------------------------------------------------------- */

void judge_fresh_bytes(const struct judge *j, uint64_t sector, uint8_t *bytes)
{
    struct tag tag = {.kind = TAG_GUEST,
                      .sector = sector,
                      .write_id = j->recording->next_write_id,
                      .generation = SECOND_LIFE_GENERATION};
    tag_fill(bytes, &tag);
}

static int write_again(struct judge *j, struct qed *q, uint64_t sector, uint8_t *bytes)
{
    if (sector >= qed_image_bytes(q) / SECTOR)
        return -EIO;
    judge_fresh_bytes(j, sector, bytes);
    return write_guest(q, sector, bytes);
}

/* Beside: in the middle of the cluster nobody has touched, which is allocated now. */
bool judge_write_beside(struct judge *j, struct qed *q)
{
    return j->beside != JUDGE_NO_SECTOR && !write_again(j, q, j->beside + j->cluster_sectors / 2, j->fresh);
}

/* Closes and opens again; NULL if that was reported as impossible. */
struct qed *judge_next_life(struct judge *j, struct qed *q)
{
    struct qed_error err;
    int ret = qed_close(q);
    if (ret)
        judge_report_image(j, VERDICT_BAD_REPAIR, true, "the recovered image cannot be closed", strerror(-ret));
    ret = open_image(j, &q, &err);
    if (ret)
        judge_report_image(j, VERDICT_UNOPENABLE, true, "the recovered image opened once and now does not", err.text);
    return q;
}

static bool structure(void *opaque, struct crash_disk *disk)
{
    struct judge *j = opaque;
    struct qed *q;
    struct qed_error err;
    j->disk = disk;
    j->counts.executions++;
    int ret = judge_recover(j, &q, &err);
    if (ret == -ECANCELED)
        return true;
    if (ret) {
        judge_report_image(j, VERDICT_UNOPENABLE, false, "the image does not open", err.text);
        return j->go_on(j->opaque);
    }
    bool right = judge_recovery(j, q);
    if (j->glance)
        judge_all_contents(j, q);
    if (right && j->second_life && judge_write_beside(j, q)) {
        q = judge_next_life(j, q);
        if (q)
            judge_tables(j, q, true);
    }
    if (q)
        qed_abandon(q);
    return j->go_on(j->opaque);
}

/* --- contents ------------------------------------------------------------------------------------------------------ */

static bool judge_sector(struct judge *j, struct qed *q, uint64_t sector, const uint8_t *bytes)
{
    enum verdict_class c = promise_judge(promise_now(j), when_now(j), sector, bytes, j->explain ? &j->words : NULL);
    if (c != VERDICT_OK)
        report(j, q, c, sector, false, true, verdict_class_meaning(c));
    return c == VERDICT_OK;
}

static void judge_unreadable(struct judge *j, struct qed *q, uint64_t sector, int ret, bool second)
{
    const char *what = "it cannot be read: its entry names no place in the file";
    if (j->explain) {
        snprintf(j->what, sizeof(j->what), "it cannot be read (%s): its entry names no place in the file",
                 strerror(-ret));
        what = j->what;
    }
    report(j, q, VERDICT_CORRUPT, sector, second, false, what);
}

/* Reads [first, first+count) and judges it; j->right says of which sectors nothing is wrong. True if any is right. */
bool judge_first_life(struct judge *j, struct qed *q)
{
    bool any = false;
    int ret = read_guest(q, j->first, j->count, j->shown);
    if (ret) { /* all sectors of a cluster share its entry */
        for (uint64_t s = 0; s < j->count; s++) {
            j->right[s] = 0;
            judge_unreadable(j, q, j->first + s, ret, false);
        }
        return false;
    }
    for (uint64_t s = 0; s < j->count; s++) {
        j->right[s] = judge_sector(j, q, j->first + s, j->shown + s * SECTOR);
        any |= j->right[s];
    }
    return any;
}

/* The touched cluster of that number, counted over all ranges; false if there are fewer. */
static bool select_cluster(struct judge *j, uint64_t number)
{
    for (size_t i = 0; i < j->range_count; i++) {
        uint64_t clusters = (j->ranges[i].count + j->cluster_sectors - 1) / j->cluster_sectors;
        if (number >= clusters) {
            number -= clusters;
            continue;
        }
        uint64_t before = number * j->cluster_sectors, left = j->ranges[i].count - before;
        j->first = j->ranges[i].first_sector + before;
        j->count = left < j->cluster_sectors ? left : j->cluster_sectors;
        return true;
    }
    return false;
}

static void judge_all_contents(struct judge *j, struct qed *q)
{
    uint64_t limit = qed_image_bytes(q) / SECTOR;
    for (uint64_t n = 0; select_cluster(j, n); n++)
        if (j->first + j->count <= limit)
            judge_first_life(j, q);
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
    return before.kind == TAG_GUEST || promise_written(promise_now(j), sector) ? VERDICT_LOST_FLUSHED
                                                                               : VERDICT_LOST_COW;
}

static void tell_change(struct judge *j, const uint8_t *was, const uint8_t *is)
{
    if (j->explain) {
        struct tag tag;
        tag_identify(was, &tag);
        tag_describe(&tag, j->words.expected, sizeof(j->words.expected));
        tag_identify(is, &tag);
        tag_describe(&tag, j->words.found, sizeof(j->words.found));
    }
}

static const char changed[] = "in the second life, contents that recovery had shown changed by themselves";

static void judge_unchanged(struct judge *j, struct qed *q, uint64_t sector, const uint8_t *was, const uint8_t *is)
{
    if (!memcmp(was, is, SECTOR))
        return;
    tell_change(j, was, is);
    report(j, q, change_class(j, sector, was, is), sector, true, true, changed);
}

static void judge_sector_again(struct judge *j, struct qed *q, uint64_t sector, const uint8_t *was)
{
    int ret = read_guest(q, sector, 1, j->now);
    if (ret)
        judge_unreadable(j, q, sector, ret, true);
    else
        judge_unchanged(j, q, sector, was, j->now);
}

/* The cluster in one request, where that shows nothing wrong. */
static bool is_unchanged(struct judge *j, struct qed *q, uint64_t over, const uint8_t *over_bytes)
{
    if (j->count == 1 || read_guest(q, j->first, j->count, j->now))
        return false;
    for (uint64_t s = 0; s < j->count; s++) {
        const uint8_t *was = j->first + s == over ? over_bytes : j->shown + s * SECTOR;
        if (j->right[s] && memcmp(was, j->now + s * SECTOR, SECTOR) != 0)
            return false;
    }
    return true;
}

void judge_second_life_of(struct judge *j, struct qed *q, uint64_t over, const uint8_t *over_bytes, bool beside)
{
    bool unchanged = is_unchanged(j, q, over, over_bytes);
    for (uint64_t s = 0; s < j->count && !unchanged; s++)
        if (j->right[s])
            judge_sector_again(j, q, j->first + s, j->first + s == over ? over_bytes : j->shown + s * SECTOR);
    if (over != JUDGE_NO_SECTOR && (over < j->first || over >= j->first + j->count))
        judge_sector_again(j, q, over, over_bytes);
    if (beside)
        judge_sector_again(j, q, j->beside + j->cluster_sectors / 2, j->fresh);
}

/* The sector of this cluster that the second life writes over: it moves from cluster to cluster. */
uint64_t judge_over_sector(const struct judge *j, uint64_t first)
{
    uint64_t cluster = first / j->cluster_sectors;
    return cluster * j->cluster_sectors + (cluster + 1) % j->cluster_sectors;
}

uint64_t judge_write_over(struct judge *j, struct qed *q, uint8_t bytes[SECTOR])
{
    uint64_t over = judge_over_sector(j, j->first);
    if (!write_again(j, q, over, bytes))
        return over;
    if (over >= j->first && over < j->first + j->count)
        j->right[over - j->first] = 0; /* it may have happened or not */
    return JUDGE_NO_SECTOR;
}

static struct qed *live_again(struct judge *j, struct qed *q)
{
    uint8_t over_bytes[SECTOR];
    bool is_beside = j->beside != JUDGE_NO_SECTOR && j->first / j->cluster_sectors == j->beside / j->cluster_sectors;
    bool beside = !is_beside && judge_write_beside(j, q);
    uint64_t over = judge_write_over(j, q, over_bytes);
    q = judge_next_life(j, q);
    if (q)
        judge_second_life_of(j, q, over, over_bytes, beside);
    return q;
}

static bool cluster(void *opaque, struct crash_disk *disk)
{
    struct judge *j = opaque;
    struct qed *q;
    j->disk = disk;
    j->counts.executions++;
    if (judge_recover(j, &q, &(struct qed_error){{0}}))
        return j->go_on(j->opaque); /* script_structure has said so */
    uint64_t limit = qed_image_bytes(q) / SECTOR, count = j->count;
    if (j->first < limit) {
        if (count > limit - j->first)
            j->count = limit - j->first;
        if (judge_first_life(j, q) && j->second_life)
            q = live_again(j, q);
        j->count = count;
    }
    if (q)
        qed_abandon(q);
    return j->go_on(j->opaque);
}

/* --- where QEMU recovers ------------------------------------------------------------------------------------------- */

/* The engine is asked for the place alone: that is what an order is read off. With what the second life writes. */
static uint64_t place_by_engine(struct judge *j, uint64_t sector, bool second)
{
    struct qed *q;
    uint8_t bytes[SECTOR];
    uint64_t place = JUDGE_NO_SECTOR;
    crash_disk_rewind(j->disk, 0);
    j->rehearsal = true; /* it reports nothing */
    if (!open_image(j, &q, &(struct qed_error){{0}})) {
        if (second) {
            if (j->beside != JUDGE_NO_SECTOR && j->first / j->cluster_sectors != j->beside / j->cluster_sectors)
                judge_write_beside(j, q);
            write_again(j, q, judge_over_sector(j, j->first), bytes);
            q = judge_next_life(j, q);
        }
        place = image_sector_of(q, sector);
        if (q)
            qed_abandon(q);
    }
    j->rehearsal = false;
    crash_disk_rewind(j->disk, 0);
    return place;
}

void judge_report_sector(struct judge *j, enum verdict_class class, uint64_t sector, bool second, bool words,
                         const char *what)
{
    bool ours = replay_is_qed(j->recording->scenario->replay);
    uint64_t place = ours ? place_by_engine(j, sector, second) : judge_qemu_place(j, sector);
    report_at(j, class, sector, place, second, words, what);
}

bool judge_shown_sector(struct judge *j, uint64_t sector, const uint8_t *bytes)
{
    enum verdict_class c = promise_judge(j->recording->promise, j->when, sector, bytes, j->explain ? &j->words : NULL);
    if (c != VERDICT_OK)
        judge_report_sector(j, c, sector, false, true, verdict_class_meaning(c));
    return c == VERDICT_OK;
}

void judge_changed_sector(struct judge *j, uint64_t sector, const uint8_t *was, const uint8_t *is)
{
    if (!memcmp(was, is, SECTOR))
        return;
    enum verdict_class c = change_class(j, sector, was, is);
    tell_change(j, was, is);
    judge_report_sector(j, c, sector, true, true, changed);
}

/* --- scripts ------------------------------------------------------------------------------------------------------- */

/* With later lives, what was promised depends on when the first failure was, and that on choices made as late as the last
 * read. So the script is rehearsed by the tightest promise; if that finds something, it is run once more with the same
 * answers, by the promise of the point that came out. */
static bool with_lives(struct judge *j, struct crash_disk *disk, explore_script *script)
{
    if (!j->life || !j->open)
        return script(j, disk);
    j->rehearsal = true;
    j->rehearsal_found = false;
    j->assumed_when = 0;
    bool go_on = script(j, disk);
    j->rehearsal = false;
    if (!j->rehearsal_found)
        return go_on;
    j->assumed_when = crash_disk_when(disk);
    explorer_again((struct explorer *)j->chooser);
    return script(j, disk);
}

static bool script_structure(void *opaque, struct crash_disk *disk)
{
    return with_lives(opaque, disk, structure);
}

static bool script_cluster(void *opaque, struct crash_disk *disk)
{
    return with_lives(opaque, disk, cluster);
}

/* --- one state, all states ----------------------------------------------------------------------------------------- */

static bool always(void *opaque)
{
    (void)opaque;
    return true;
}

static void begin(struct judge *j, struct crash_disk *disk, violation_fn *fn, judge_go_on *go_on, void *opaque)
{
    j->disk = disk;
    j->report = fn;
    j->go_on = go_on;
    j->opaque = opaque;
}

/* On a disk that is set, all that is open is whether the power fails again. */
static void run_set(struct judge *j, explore_script *script)
{
    bool stopped;
    crash_disk_rewind(j->disk, 0);
    if (j->forced)
        script(j, j->disk);
    else
        explorer_run(j->own, (struct explore_mode){0}, script, j, &stopped);
    crash_disk_rewind(j->disk, 0);
}

static void begin_state(struct judge *j, struct crash_disk *disk, uint32_t when, violation_fn *fn, void *opaque)
{
    begin(j, disk, fn, always, opaque);
    j->open = false;
    j->when = when;
    explorer_load(j->own, disk, 1);
    j->chooser = explorer_chooser(j->own);
}

void judge_state(struct judge *j, struct crash_disk *disk, uint32_t when, violation_fn *fn, void *opaque)
{
    begin_state(j, disk, when, fn, opaque);
    if (j->qemu) {
        judge_qemu_state(j);
        return;
    }
    uint64_t executions = j->counts.executions;
    if (j->focus == JUDGE_NO_SECTOR)
        run_set(j, script_structure);
    for (uint64_t n = 0; select_cluster(j, n); n++)
        if (j->focus == JUDGE_NO_SECTOR || j->focus == j->first)
            run_set(j, script_cluster);
    j->counts.executions = executions + 1; /* a state is one execution, however often its disk was opened */
}

void judge_state_in_part(struct judge *j, struct crash_disk *disk, uint32_t when, uint64_t number, violation_fn *fn,
                         void *opaque)
{
    begin_state(j, disk, when, fn, opaque);
    uint64_t executions = j->counts.executions;
    j->glance = true;
    run_set(j, script_structure);
    j->glance = false;
    uint64_t clusters = 0;
    while (select_cluster(j, clusters))
        clusters++;
    if (select_cluster(j, number % (clusters + 1)))
        run_set(j, script_cluster);
    j->counts.executions = executions + 1;
}

/* Several sectors of a cluster, without a word. Where that finds nothing, each by itself would not either: it does a part of
 * what they do. It is given up where it would take more runs than they. */
static bool script_quiet(void *opaque, struct crash_disk *disk)
{
    struct judge *j = opaque;
    j->rehearsal = true;
    j->rehearsal_found = false;
    j->interrupted = !cluster(j, disk);
    j->rehearsal = false;
    return !j->interrupted && !j->rehearsal_found && --j->quiet_runs > 0;
}

/* A cell that touches few clusters is over before this is worth it. The judge looks at each sector by itself and writes the
 * same whatever it reads, which is what data apart asks for. */
static bool is_quiet(struct judge *j, struct explorer *x, uint64_t first, uint64_t count, bool *stopped)
{
    bool given_up;
    *stopped = false;
    memset(j->heard + first % j->cluster_sectors, 0, count);
    if (j->life || j->touched_clusters < j->many)
        return false;
    j->first = first;
    j->count = count;
    j->quiet_runs = (uint32_t)count * QUIET_RUNS;
    explorer_run(x, (struct explore_mode){.prune = true, .data_apart = true}, script_quiet, j, &given_up);
    *stopped = j->interrupted;
    return !given_up;
}

static void judge_each(struct judge *j, struct explorer *x, uint64_t first, uint64_t count, bool *stopped)
{
    for (uint64_t k = 0; k < count && !*stopped; k++) {
        j->first = first + k;
        j->count = 1;
        explorer_run(x, (struct explore_mode){.prune = true}, script_cluster, j, stopped);
    }
}

/* One cluster at the most. The sectors that were heard are judged by themselves; those between them are asked to be quiet
 * again, and they are fewer. */
void judge_contents(struct judge *j, struct explorer *x, uint64_t first, uint64_t count, bool *stopped)
{
    const uint8_t *heard = j->heard + first % j->cluster_sectors;
    *stopped = false;
    if (count > 1 && is_quiet(j, x, first, count, stopped))
        return;
    if (count == 1 || !memchr(heard, 1, count)) {
        judge_each(j, x, first, count, stopped);
        return;
    }
    for (uint64_t k = 0, n; k < count && !*stopped; k += n) {
        for (n = 1; k + n < count && heard[k + n] == heard[k];)
            n++;
        if (heard[k])
            judge_each(j, x, first + k, n, stopped);
        else
            judge_contents(j, x, first + k, n, stopped);
    }
}

bool judge_space(struct judge *j, struct explorer *x, struct crash_disk *disk, violation_fn *fn, judge_go_on *go_on,
                 void *opaque)
{
    bool stopped;
    begin(j, disk, fn, go_on, opaque);
    j->open = true;
    explorer_load(x, disk, (uint64_t)j->cluster_sectors * SECTOR);
    j->chooser = explorer_chooser(x);
    explorer_run(x, (struct explore_mode){.tables_apart = true}, script_structure, j, &stopped);
    if (!stopped)
        sweep_contents(j, x, &stopped);
    return !stopped;
}

void judge_state_once(struct judge *j, struct crash_disk *disk, uint32_t when, violation_fn *fn, void *opaque)
{
    struct qed *q;
    begin(j, disk, fn, always, opaque);
    j->open = false;
    j->when = when;
    j->counts.executions++;
    if (open_image(j, &q, &(struct qed_error){{0}})) {
        judge_report_image(j, VERDICT_UNOPENABLE, false, "the image does not open", NULL);
        return;
    }
    judge_recovery(j, q);
    judge_all_contents(j, q);
    qed_abandon(q);
}

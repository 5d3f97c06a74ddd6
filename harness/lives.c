/* lives.c: the lives that a scenario itself gives the guest after a crash.
 *
 *     part 0 (recorded)   crash   part 1   crash   part 2 ...
 *
 * What stands behind `crash` is played on every crash state of what stands before it: on the open crashed disk, so that
 * it too only asks for what it reads. A further `crash` lets the power fail again anywhere in that part: the disk takes
 * back some of what the part wrote (crash_nested.c). After the last part without a crash the image is closed. Then the
 * script goes on as always: it is opened, judged, and lives the standard second life.
 *
 * The promise of a later life is the first one's, cut at the failure, with the new requests added. Positions in it:
 * each statement of a part begins at the player's position; a failure in an epoch that ended within a statement is one
 * at which that statement had begun and not ended.
 */
#include <errno.h>
#include <string.h>

#include "harness/judge_internal.h"
#include "simdisk/xalloc.h"

#define LIVES_MAX_EPOCHS 256u

bool lives_wanted(const struct recording *recording)
{
    return recording->crash_stmt < recording->scenario->stmt_count;
}

/* The clusters that later lives touch are judged too. */
static void add_range(struct judge *j, uint64_t first, uint64_t count)
{
    uint64_t cs = j->cluster_sectors, end = (first + count + cs - 1) / cs * cs;
    for (uint64_t at = first / cs * cs; at < end; at += cs) {
        bool known = false;
        for (size_t i = 0; i < j->range_count && !known; i++)
            known = at >= j->ranges[i].first_sector && at < j->ranges[i].first_sector + j->ranges[i].count;
        if (known)
            continue;
        j->ranges = xreallocarray(j->ranges, j->range_count + 1, sizeof(*j->ranges));
        j->ranges[j->range_count++] = (struct promise_range){.first_sector = at, .count = cs};
    }
}

void lives_create(struct judge *j)
{
    const struct scenario *s = j->recording->scenario;
    j->life = promise_clone(j->recording->promise);
    for (size_t i = j->recording->crash_stmt; i < s->stmt_count; i++)
        if (s->stmts[i].op == SCN_WRITE || s->stmts[i].op == SCN_ZERO || s->stmts[i].op == SCN_DISCARD)
            add_range(j, s->stmts[i].offset / SECTOR, s->stmts[i].length / SECTOR);
}

void lives_destroy(struct judge *j)
{
    if (j->life)
        promise_destroy(j->life);
}

struct part {
    struct player *player;
    uint32_t ends[LIVES_MAX_EPOCHS]; /* per epoch of what it wrote: the position at which it was still going on */
    uint32_t closed;
};

/* Plays [from, to) statement by statement, noting where epochs ended. */
static int play_part(struct judge *j, struct part *p, size_t from, size_t to)
{
    struct scn_error err;
    p->closed = 0;
    for (size_t i = from; i < to; i++) {
        uint32_t before = player_env(p->player)->position;
        int ret = player_run(p->player, i, i + 1, &err);
        if (ret)
            return ret;
        uint32_t position = player_env(p->player)->position; /* its acknowledgement was the last thing in it */
        uint32_t closed = crash_disk_log_closed(j->disk);
        for (; p->closed < closed && p->closed < LIVES_MAX_EPOCHS; p->closed++)
            p->ends[p->closed] = position > before ? position - 1 : before;
    }
    return 0;
}

static bool failed_to_open(const struct player *p)
{
    struct player_result r = player_result(p);
    for (size_t i = 0; i < r.live_count; i++)
        if (r.live[i].class == VERDICT_UNOPENABLE)
            return true;
    return false;
}

/* The power fails in one of the part's epochs, or when all of them are over. */
static void end_in_failure(struct judge *j, const struct part *p)
{
    uint32_t position = player_env(p->player)->position;
    uint32_t epoch = judge_ask(j, p->closed + 1);
    if (epoch < p->closed)
        position = p->ends[epoch];
    crash_disk_fail_again(j->disk, epoch, judge_ask, j);
    promise_cut(j->life, position);
    j->life_when = position;
}

static size_t part_end(const struct scenario *s, size_t from)
{
    while (from < s->stmt_count && s->stmts[from].op != SCN_CRASH)
        from++;
    return from;
}

bool lives_play(struct judge *j)
{
    const struct scenario *s = j->recording->scenario;
    struct player_env env = {.scenario = s,
                             .design = j->design,
                             .backing = &j->backing,
                             .promise = j->life,
                             .pool = j->pool,
                             .generation = 1,
                             .next_write_id = j->recording->next_write_id};
    uint32_t when = j->open ? crash_disk_when(j->disk) : j->when;
    j->life_when = when > j->assumed_when ? when : j->assumed_when;
    promise_reset_to(j->life, j->recording->promise);
    promise_cut(j->life, j->life_when);
    crash_disk_use_length(j->disk); /* where a part allocates may be where an entry of another life points */
    bool opened = true;
    for (size_t from = j->recording->crash_stmt; from < s->stmt_count && opened;) {
        size_t to = part_end(s, from);
        struct part part;
        env.disk = crash_disk_blk(j->disk);
        env.position = j->life_when;
        env.generation++;
        crash_disk_log_start(j->disk);
        part.player = player_create(&env);
        opened = !play_part(j, &part, from, to) && !failed_to_open(part.player);
        if (opened && to < s->stmt_count) {
            end_in_failure(j, &part);
        } else {
            player_close(part.player);
            j->life_when = player_env(part.player)->position;
            crash_disk_log_stop(j->disk);
        }
        env.next_write_id = player_env(part.player)->next_write_id;
        player_destroy(part.player);
        from = to + 1;
    }
    j->lived = true;
    if (!opened)
        judge_report_image(j, VERDICT_UNOPENABLE, true, "in a later life the image does not open", NULL);
    return opened;
}

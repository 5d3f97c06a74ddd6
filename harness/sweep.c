/* sweep.c: many guest clusters judged by one run of the disk.
 *
 * A long workload touches many clusters, and little of it is pending at any one time. To open the crashed disk once for each
 * cluster is then most of the work, and for a design that scans, all of it. So the clusters that no pending request reaches
 * are judged together, quietly: recovery; the first life of each; a write beside, and one over a sector of each; close, open;
 * each read once more. Where that finds nothing, the clusters by themselves would not either:
 *
 *   first life     reading changes nothing, so each cluster is read on the same disk as by itself; and the answers that
 *                  only the others ask for are tried earliest first, so it is judged by a promise as tight.
 *   second life    the write beside comes first here too and allocates the same cluster. The writes over the others can
 *                  break more than the one alone, and whatever is broken is somebody's who is read.
 *
 * Anything that is found there is found again by the cluster's own script, which alone reports. A cluster that showed
 * something is taken out and the others are tried again; it is judged by itself from then on, until it shows nothing.
 *
 * Which clusters a pending request reaches is a guess (from the guest's requests), and so is how many runs are worth while: a
 * sweep that takes more is halved. Both cost time if they are wrong, and nothing else.
 * tests/unit/test_explore_differential.c sweeps in every space.
 */
#include <string.h>

#include "harness/judge_internal.h"
#include "simdisk/xalloc.h"

#define AT_ONCE_BYTES (UINT64_C(512) << 10) /* of contents that are held, which should stay in a core's cache */
#define RUNS_ALWAYS   64u

enum how { TOGETHER, ALONE, JUDGED };

struct swept {
    uint64_t first, count; /* sectors */
    uint64_t over;         /* of the second life, or JUDGE_NO_SECTOR */
    enum how how;          /* in this space */
    bool loud;             /* it showed something when it was judged last */
};

struct sweep {
    struct swept *clusters;
    size_t count, cap, at_once;
    size_t from, to; /* the ones under way */
    uint8_t *shown, *right, *over;
    uint64_t limit;   /* where the image ends, in sectors */
    uint64_t runs;    /* left */
    bool found_loud;  /* in the run under way, one cluster or more; */
    bool found_other; /* something that is no cluster's */
};

void sweep_create(struct judge *j)
{
    struct sweep *s = xcalloc(1, sizeof(*s));
    size_t cluster_bytes = (size_t)j->cluster_sectors * SECTOR;
    j->sweep = s;
    for (size_t i = 0; i < j->range_count; i++)
        for (uint64_t k = 0; k < j->ranges[i].count; k += j->cluster_sectors) {
            uint64_t left = j->ranges[i].count - k;
            s->clusters = xgrow(s->clusters, s->count, &s->cap, sizeof(*s->clusters));
            s->clusters[s->count++] = (struct swept){.first = j->ranges[i].first_sector + k,
                                                     .count = left < j->cluster_sectors ? left : j->cluster_sectors};
        }
    s->at_once = AT_ONCE_BYTES / cluster_bytes < s->count ? AT_ONCE_BYTES / cluster_bytes : s->count;
}

void sweep_destroy(struct judge *j)
{
    free(j->sweep->clusters);
    free(j->sweep->shown);
    free(j->sweep->right);
    free(j->sweep->over);
    free(j->sweep);
}

/* --- the script ---------------------------------------------------------------------------------------------------- */

/* Makes it the cluster the script is about. False if it is not, or lies beyond the image's end. */
static bool turn_to(struct judge *j, size_t i)
{
    struct sweep *s = j->sweep;
    const struct swept *c = &s->clusters[i];
    if (c->how != TOGETHER || c->first >= s->limit)
        return false;
    j->first = c->first;
    j->count = c->count < s->limit - c->first ? c->count : s->limit - c->first;
    j->shown = s->shown + (i - s->from) * j->cluster_sectors * SECTOR;
    j->right = s->right + (i - s->from) * j->cluster_sectors;
    return true;
}

static void note(struct judge *j, size_t i)
{
    j->sweep->clusters[i].loud |= j->rehearsal_found;
    j->sweep->found_loud |= j->rehearsal_found;
    j->rehearsal_found = false;
}

static void first_lives(struct judge *j, struct qed *q)
{
    for (size_t i = j->sweep->from; i < j->sweep->to; i++)
        if (turn_to(j, i)) {
            judge_first_life(j, q);
            note(j, i);
        }
}

/* The image as it was opened again, or NULL. */
static struct qed *second_lives(struct judge *j, struct qed *q)
{
    struct sweep *s = j->sweep;
    bool beside = judge_write_beside(j, q);
    for (size_t i = s->from; i < s->to; i++)
        if (turn_to(j, i))
            s->clusters[i].over = judge_write_over(j, q, s->over + (i - s->from) * SECTOR);
    q = judge_next_life(j, q);
    s->found_other = j->rehearsal_found;
    for (size_t i = s->from; !s->found_other && i < s->to; i++)
        if (turn_to(j, i)) {
            judge_second_life_of(j, q, s->clusters[i].over, s->over + (i - s->from) * SECTOR, beside);
            note(j, i);
        }
    return q;
}

static bool sweep_script(void *opaque, struct crash_disk *disk)
{
    struct judge *j = opaque;
    struct sweep *s = j->sweep;
    struct qed *q;
    j->disk = disk;
    j->counts.executions++;
    if (!judge_recover(j, &q, &(struct qed_error){{0}})) { /* else script_structure has said so */
        s->limit = qed_image_bytes(q) / SECTOR;
        first_lives(j, q);
        if (!s->found_loud && j->second_life)
            q = second_lives(j, q);
        if (q)
            qed_abandon(q);
    }
    j->interrupted = !j->go_on(j->opaque);
    return !j->interrupted && !s->found_loud && !s->found_other && --s->runs > 0;
}

/* --- which, and how many ------------------------------------------------------------------------------------------- */

/* Where the earliest write that is pending in this space was submitted. */
static uint32_t pending_since(const struct crash_space *space)
{
    uint32_t since = HIST_NEVER;
    for (size_t i = 0; i < space->version_count; i++) {
        uint32_t op = space->versions[i].op;
        if (op != HIST_NEVER && space->history->ops[op].submitted < since)
            since = space->history->ops[op].submitted;
    }
    return since;
}

/* Those that have a byte of [offset, offset+length). */
static void set_alone(struct judge *j, uint64_t offset, uint64_t length)
{
    uint64_t cluster_bytes = (uint64_t)j->cluster_sectors * SECTOR;
    struct sweep *s = j->sweep;
    size_t low = 0, high = s->count;
    while (low < high) { /* the first that ends behind the offset */
        size_t middle = low + (high - low) / 2;
        if (s->clusters[middle].first * SECTOR + cluster_bytes <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < s->count && s->clusters[low].first * SECTOR < offset + length; low++)
        s->clusters[low].how = ALONE;
}

/* Those that a pending request reaches, those that showed something before, and the one for the write beside. */
static void choose_alone(struct judge *j)
{
    const struct recording *r = j->recording;
    const struct crash_space *space = crash_disk_space(j->disk);
    uint32_t since = pending_since(space);
    struct sweep *s = j->sweep;
    for (size_t i = 0; i < s->count; i++)
        s->clusters[i].how = s->clusters[i].loud || s->clusters[i].first == j->beside ? ALONE : TOGETHER;
    for (size_t i = 0; j->many && i < r->guest_op_count; i++) {
        const struct scn_stmt *stmt = &r->scenario->stmts[r->guest_ops[i].stmt];
        bool places = stmt->op == SCN_WRITE || stmt->op == SCN_ZERO || stmt->op == SCN_DISCARD;
        if (places && r->guest_ops[i].begin <= space->last_point && r->guest_ops[i].end >= since)
            set_alone(j, stmt->offset, stmt->length);
    }
}

/* Judged by its own script. Returns the number of runs. */
static uint64_t by_itself(struct judge *j, struct explorer *x, size_t i, bool *stopped)
{
    struct swept *c = &j->sweep->clusters[i];
    uint64_t before = j->counts.executions;
    j->reported = false;
    judge_contents(j, x, c->first, c->count, stopped);
    c->loud = j->reported;
    c->how = JUDGED;
    return j->counts.executions - before;
}

static size_t together(const struct sweep *s, size_t from, size_t to)
{
    size_t count = 0;
    for (size_t i = from; i < to; i++)
        count += s->clusters[i].how == TOGETHER;
    return count;
}

/* One sweep. True if it came to its end. Those that showed something are left to their own script. */
static bool sweep_once(struct judge *j, struct explorer *x, size_t from, size_t to, uint64_t worth)
{
    struct sweep *s = j->sweep;
    uint8_t *shown = j->shown, *right = j->right;
    bool given_up;
    s->from = from;
    s->to = to;
    s->runs = worth;
    s->found_loud = s->found_other = j->rehearsal_found = j->interrupted = false;
    j->rehearsal = true;
    explorer_run(x, (struct explore_mode){.prune = true}, sweep_script, j, &given_up);
    j->rehearsal = false;
    j->shown = shown;
    j->right = right;
    for (size_t i = from; i < to; i++)
        if (s->clusters[i].loud && s->clusters[i].how == TOGETHER)
            s->clusters[i].how = ALONE;
    return !given_up;
}

/* Leaves those that are to be judged by themselves. */
static void sweep(struct judge *j, struct explorer *x, size_t from, size_t to, uint64_t worth, bool *stopped)
{
    struct sweep *s = j->sweep;
    bool over = false;
    while (!over && together(s, from, to) > 1 && to - from <= s->at_once) {
        over = sweep_once(j, x, from, to, worth);
        *stopped = j->interrupted;
        if (*stopped)
            return;
        if (!over && !s->found_loud)
            break;
    }
    if (!over && together(s, from, to) > 1) {
        sweep(j, x, from, from + (to - from) / 2, worth, stopped);
        if (!*stopped)
            sweep(j, x, from + (to - from) / 2, to, worth, stopped);
        return;
    }
    for (size_t i = from; i < to; i++)
        if (s->clusters[i].how == TOGETHER)
            s->clusters[i].how = over ? JUDGED : ALONE;
}

static void take_room(struct judge *j)
{
    struct sweep *s = j->sweep;
    if (s->shown)
        return;
    s->shown = xmalloc(s->at_once * j->cluster_sectors * SECTOR);
    s->right = xmalloc(s->at_once * j->cluster_sectors);
    s->over = xmalloc(s->at_once * SECTOR);
}

/* What one of them takes by itself says how many runs the others should take. */
static void sweep_most(struct judge *j, struct explorer *x, bool *stopped)
{
    struct sweep *s = j->sweep;
    size_t pilot = 0;
    take_room(j);
    choose_alone(j);
    while (pilot < s->count && s->clusters[pilot].how != TOGETHER)
        pilot++;
    if (pilot == s->count)
        return;
    uint64_t worth = 4 * by_itself(j, x, pilot, stopped) + RUNS_ALWAYS;
    if (!*stopped)
        sweep(j, x, 0, s->count, worth, stopped);
}

void sweep_contents(struct judge *j, struct explorer *x, bool *stopped)
{
    struct sweep *s = j->sweep;
    for (size_t i = 0; i < s->count; i++)
        s->clusters[i].how = ALONE;
    if (!j->life && s->count >= j->many)
        sweep_most(j, x, stopped);
    for (size_t i = 0; i < s->count && !*stopped; i++)
        if (s->clusters[i].how == ALONE)
            by_itself(j, x, i, stopped);
}

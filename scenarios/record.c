/* record.c: the first life: the image is made and prepared, then the rest of the scenario is played on a recording
 * disk.
 *
 *   sim_pages ──qed_create──▶ prepare ... ──close──▶ base of the history ──recorder──▶ open, statements, power failure
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "scenarios/player_internal.h"
#include "scenarios/replay.h"
#include "simdisk/xalloc.h"

/* A fixed host device is at most this much larger than the prepared image: its stale bytes are held in memory. */
#define RUN_DEVICE_ROOM_MAX (64u << 20)

__attribute__((format(printf, 3, 4))) static int fail(const struct scenario *s, struct scn_error *err, const char *fmt,
                                                      ...)
{
    char message[220];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    if (err)
        snprintf(err->text, sizeof(err->text), "%.90s: %s", s->path ? s->path : s->name, message);
    return -EINVAL;
}

/* ---- the image before ---- */

/* A prepare statement that fails leaves nothing to judge: another image than the one the scenario means. */
static int check_prepared(const struct scenario *s, const struct player *p, struct scn_error *err)
{
    struct player_result result = player_result(p);
    char word[24];

    if (result.live_count)
        return fail(s, err, "preparing the image failed: %s", result.live[0].why);
    for (size_t i = 0; i < result.guest_op_count; i++) {
        const struct run_guest_op *op = &result.guest_ops[i];
        const struct scn_stmt *stmt = &s->stmts[op->stmt];

        if (op->ret == 0)
            continue;
        fail(s, err, "line %u: '%s' failed: %s", stmt->line, stmt->text,
             player_error_word(op->ret, word, sizeof(word)));
        return op->ret;
    }
    return 0;
}

static int play_prepare(const struct player_env *env, size_t count, struct recording *out, struct scn_error *err)
{
    struct player *p = player_create(env);
    char word[24];
    int ret = player_run(p, 0, count, err);

    if (ret == 0)
        ret = check_prepared(env->scenario, p, err);
    if (ret == 0) {
        ret = player_close(p);
        if (ret)
            fail(env->scenario, err, "closing the prepared image failed: %s",
                 player_error_word(ret, word, sizeof(word)));
    }
    out->next_write_id = player_env(p)->next_write_id;
    player_destroy(p);
    return ret;
}

/* Makes the image on `pages` and plays the first `count` statements on it; *length_bytes is the file's then. The loop
 * is only there for the timers an engine may set: the disk completes inline. */
static int prepare(const struct scenario *s, const struct run_options *options, size_t count, struct sim_pages *pages,
                   struct recording *out, uint64_t *length_bytes, struct scn_error *err)
{
    struct sim_schedule fifo = {.number = 1};
    struct sim_loop *loop = sim_loop_create(&fifo);
    struct blockdev *disk = mem_disk_create(pages, 0, false);
    struct qed_create_options create = {
        .image_bytes = s->image_bytes,
        .cluster_bytes = s->cluster_bytes,
        .table_clusters = s->table_clusters,
        .backing_name = s->backing == SCN_BACKING_NONE ? NULL : RUN_BACKING_NAME,
        .backing_raw = s->backing != SCN_BACKING_NONE,
    };
    struct qed_error qerr = {""};
    int ret;

    disk->loop = sim_loop_blk(loop);
    ret = qed_create(disk, &create, &qerr);
    if (ret) {
        fail(s, err, "the image cannot be made: %s", qerr.text);
    } else if (count) {
        struct player_env env = {
            .scenario = s,
            .design = options->prepared_by ? options->prepared_by : options->design,
            .disk = disk,
            .loop = loop,
            .backing = &out->backing,
            .promise = out->promise,
            .pool = options->pool,
            .next_write_id = out->next_write_id,
            .frozen = true,
        };

        ret = play_prepare(&env, count, out, err);
    }
    *length_bytes = mem_disk_length(disk);
    disk->ops->close(disk);
    sim_loop_destroy(loop);
    return ret;
}

/* ---- a host device of fixed size ---- */

/* What a request can allocate at most: its clusters, with one at each end for luck, and a table for each it reaches. */
static uint64_t room_of(const struct scn_stmt *stmt, const struct qed_geometry *g)
{
    uint64_t table_covers = g->table_entries << g->cluster_bits;
    uint64_t clusters = stmt->length / g->cluster_bytes + 2;
    uint64_t tables = (stmt->offset + stmt->length - 1) / table_covers - stmt->offset / table_covers + 1;

    return clusters * g->cluster_bytes + tables * g->table_bytes;
}

uint64_t run_device_bytes(const struct scenario *s, uint64_t prepared_bytes)
{
    struct qed_geometry g;
    uint64_t room;

    qed_geometry_init(&g, s->cluster_bytes, s->table_clusters, 1);
    room = 4 * (g.cluster_bytes + g.table_bytes);
    for (size_t i = 0; i < s->stmt_count && room < RUN_DEVICE_ROOM_MAX; i++) {
        const struct scn_stmt *stmt = &s->stmts[i];

        if (!stmt->prepare && (stmt->op == SCN_WRITE || stmt->op == SCN_ZERO))
            room += room_of(stmt, &g);
    }
    if (room > RUN_DEVICE_ROOM_MAX)
        room = RUN_DEVICE_ROOM_MAX;
    return (prepared_bytes + room + g.cluster_bytes - 1) / g.cluster_bytes * g.cluster_bytes;
}

void run_fill_stale(struct sim_pages *pages, uint64_t from_bytes, uint64_t to_bytes)
{
    uint64_t first = (from_bytes + BLK_SECTOR_BYTES - 1) / BLK_SECTOR_BYTES;

    for (uint64_t sector = first; sector < to_bytes / BLK_SECTOR_BYTES; sector++) {
        struct tag tag = {.kind = TAG_STALE, .sector = sector};
        uint8_t bytes[BLK_SECTOR_BYTES];

        tag_fill(bytes, &tag);
        sim_pages_write(pages, sector * BLK_SECTOR_BYTES, bytes, sizeof(bytes));
    }
}

/* ---- the life that is recorded ---- */

static void *copy_of(const void *data, size_t count, size_t element_bytes)
{
    void *copy = xcalloc(count, element_bytes);

    if (count)
        memcpy(copy, data, count * element_bytes);
    return copy;
}

static void keep_results(struct recording *out, const struct player *p, const struct sim_loop *loop)
{
    struct player_result result = player_result(p);
    const uint8_t *choices, *alternatives;

    out->live = copy_of(result.live, result.live_count, sizeof(*result.live));
    out->live_count = result.live_count;
    out->guest_ops = copy_of(result.guest_ops, result.guest_op_count, sizeof(*result.guest_ops));
    out->guest_op_count = result.guest_op_count;
    out->guest_writes = result.guest_writes;
    out->scans = result.scans;
    out->dirty_after_clean = result.dirty_after_clean;
    out->next_write_id = player_env(p)->next_write_id;
    choices = sim_loop_choices(loop, &alternatives, &out->choice_count);
    out->choices = copy_of(choices, out->choice_count, 1);
    out->alternatives = copy_of(alternatives, out->choice_count, 1);
    out->rng_state = sim_loop_rng_state(loop);
}

static void count_cost(struct recording *out)
{
    for (size_t i = 0; i < out->history->op_count; i++) {
        switch (out->history->ops[i].kind) {
        case HIST_WRITE:
            out->image_writes++;
            break;
        case HIST_FLUSH:
            out->flushes++;
            break;
        case HIST_RESIZE:
            break;
        }
    }
}

static int record(const struct scenario *s, const struct run_options *options, size_t from, size_t to,
                  struct sim_pages *base, uint64_t length_bytes, struct recording *out, struct scn_error *err)
{
    struct sim_loop *loop = sim_loop_create(&options->schedule);
    struct recorder *recorder = recorder_create(loop, base, length_bytes, options->disk);
    struct run_backing backing = out->backing; /* the same pages, completing through the loop */
    struct player_env env = {
        .scenario = s,
        .design = options->design,
        .disk = recorder_blk(recorder),
        .recorder = recorder,
        .loop = loop,
        .backing = &backing,
        .promise = out->promise,
        .pool = options->pool,
        .generation = 1,
        .next_write_id = out->next_write_id,
    };
    struct player *p = player_create(&env);
    int ret;

    backing.loop = loop;
    recorder_trace(recorder, options->trace, options->trace_opaque);
    ret = player_run(p, from, to, err);
    keep_results(out, p, loop);
    player_destroy(p);
    out->history = recorder_finish(recorder);
    count_cost(out);
    sim_loop_destroy(loop);
    return ret;
}

static size_t count_prepare(const struct scenario *s)
{
    size_t n = 0;

    while (n < s->stmt_count && s->stmts[n].prepare)
        n++;
    return n;
}

static size_t find_crash(const struct scenario *s)
{
    size_t i = 0;

    while (i < s->stmt_count && s->stmts[i].op != SCN_CRASH)
        i++;
    return i;
}

int scenario_record(const struct scenario *s, const struct run_options *options, struct recording *out,
                    struct scn_error *err)
{
    size_t first = count_prepare(s), crash = find_crash(s);
    struct sim_pages *pages = sim_pages_create();
    uint64_t length_bytes, backing_bytes = s->backing_bytes < s->image_bytes ? s->backing_bytes : s->image_bytes;
    int ret;

    if (s->replay) {
        sim_pages_destroy(pages);
        return replay_record(s, options, out, err);
    }
    *out = (struct recording){.scenario = s, .next_write_id = 1};
    out->crash_stmt = crash < s->stmt_count ? crash + 1 : s->stmt_count;
    out->promise = promise_create(s->image_bytes);
    run_backing_init(&out->backing, s, NULL);
    if (s->backing != SCN_BACKING_NONE)
        promise_backing(out->promise, backing_bytes / BLK_SECTOR_BYTES, s->backing == SCN_BACKING_ZERO);
    ret = prepare(s, options, first, pages, out, &length_bytes, err);
    if (ret) {
        sim_pages_destroy(pages);
    } else {
        if (options->disk->size == SIM_SIZE_FIXED) {
            uint64_t device = run_device_bytes(s, length_bytes);

            if (options->disk->fresh == SIM_FRESH_STALE)
                run_fill_stale(pages, length_bytes, device);
            length_bytes = device;
        }
        if (s->tail_bytes && options->disk->size != SIM_SIZE_FIXED) { /* a device has no end, and so no tail */
            run_fill_stale(pages, length_bytes, length_bytes + s->tail_bytes);
            length_bytes += s->tail_bytes;
        }
        ret = record(s, options, first, crash, pages, length_bytes, out, err);
    }
    if (ret)
        recording_free(out);
    return ret;
}

void recording_free(struct recording *r)
{
    if (r->history)
        history_destroy(r->history);
    promise_destroy(r->promise);
    run_backing_destroy(&r->backing);
    free(r->live);
    free(r->guest_ops);
    free(r->choices);
    free(r->alternatives);
    *r = (struct recording){0};
}

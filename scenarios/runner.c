/* runner.c: the player: what each statement does. Requests and the turning of the loop are in run_request.c. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "engine/design_text.h"
#include "scenarios/player_internal.h"
#include "simdisk/xalloc.h"

/* ---- open, close, kill ---- */

static bool header_is_marked(const uint8_t *sector)
{
    struct qed_header header;

    qed_header_decode(sector, &header);
    return header.magic == QED_MAGIC && (header.features & QED_F_NEED_CHECK);
}

struct peek {
    bool done;
    int ret;
};

static void peek_done(void *opaque, int ret)
{
    *(struct peek *)opaque = (struct peek){.done = true, .ret = ret};
}

/* Did a clean close leave the mark on the live disk? A read is no part of the history. */
static bool marked_on_disk(struct player *p)
{
    uint8_t sector[BLK_SECTOR_BYTES];
    struct iovec iov = {.iov_base = sector, .iov_len = sizeof(sector)};
    struct blockdev *disk = p->env.disk;
    struct peek peek = {0};

    disk->ops->readv(disk, 0, &iov, 1, peek_done, &peek);
    while (!peek.done && disk->loop && disk->loop->ops->poll(disk->loop))
        ;
    assert(peek.done);
    return peek.ret == 0 && header_is_marked(sector);
}

static void find_unopenable(struct player *p, const char *text, const struct qed_error *err, int ret)
{
    struct run_live_finding *f = player_find(p, VERDICT_UNOPENABLE, player_now(p));
    char word[24];

    snprintf(f->expected, sizeof(f->expected), "the image to open");
    snprintf(f->found, sizeof(f->found), "%s failed: %s", text, player_error_word(ret, word, sizeof(word)));
    snprintf(f->why, sizeof(f->why), "%.180s", err->text[0] ? err->text : "it gave no reason");
}

/* The program that an open names: another one than that under test, so nobody asks what it was asked. */
static const struct qed_design *program_of(struct player *p, const struct scn_stmt *stmt)
{
    if (!stmt || !stmt->program[0])
        return p->env.design;
    int ret = qed_design_parse(stmt->program, &p->program, NULL);
    assert(ret == 0); /* the parser of the scenario has tried it */
    (void)ret;
    return &p->program;
}

static void open_image(struct player *p, const char *text, enum scn_mode mode, const struct scn_stmt *stmt)
{
    struct qed_open_options options = {
        .design = program_of(p, stmt),
        .read_only = mode == SCN_MODE_RO,
        .check_mode = mode == SCN_MODE_CHECK,
        .backing_host = &p->env.backing->host,
        .pool = p->env.pool,
    };
    struct qed_error err = {""};
    uint32_t injected = player_injected(p);
    uint32_t begin = player_mark_begin(p, text, " begins");
    size_t guest_op = stmt ? player_story_begin(p, stmt, begin, 0) : 0;
    player_session_begins(p);
    int ret = qed_open(p->env.disk, &options, &p->image, &err);
    uint32_t end = player_mark_end(p, text, ret, false);

    if (stmt)
        player_story_end(p, guest_op, end, ret);
    if (ret)
        player_session_ends(p, end);
    p->lost = ret != 0;
    if (ret == 0) {
        p->scans += qed_opened(p->image)->scanned;
    } else if (player_injected(p) == injected) {
        find_unopenable(p, text, &err, ret);
    }
}

/* A cluster written in part was filled from the backing file, and keeps those bytes when the name goes. What counts is
 * what its sectors may hold: a discard writes none of them, and a write may have failed, or not have survived. */
static bool filled_from_backing(const struct player *p)
{
    uint64_t unit = p->env.scenario->cluster_bytes / BLK_SECTOR_BYTES;
    struct promise_range *ranges;
    size_t count = promise_touched(p->env.promise, unit, &ranges);
    bool filled = false;

    for (size_t i = 0; i < count && !filled; i++) {
        for (uint64_t k = 0; k < ranges[i].count && !filled; k++)
            filled = promise_maybe_initial(p->env.promise, player_now(p), ranges[i].first_sector + k);
    }
    free(ranges);
    return filled;
}

/* The chain of a rebased image stays open as it was until the image is closed: only then is the change over, and firm
 * with the next flush (zeros and nothing else where nothing was written). But if a cluster holds a copy of the backing
 * file's bytes, it stays open for ever which of the two a sector shows. */
static void end_rebase(struct player *p)
{
    if (p->rebased && p->env.promise && !filled_from_backing(p))
        promise_end(p->env.promise, player_now(p), p->rebase_handle, true);
    p->rebased = false;
}

/* A successful close promises what a flush submitted with it would; one that fails is a flush that failed. */
static int close_image(struct player *p, const struct scn_stmt *stmt)
{
    const char *text = stmt ? stmt->text : "close";
    uint32_t begin, end, handle = 0;
    size_t guest_op = 0;
    int ret;

    player_submit_queued(p, NULL);
    begin = player_mark_begin(p, text, " submitted");
    if (stmt)
        guest_op = player_story_begin(p, stmt, begin, 0);
    end_rebase(p);
    if (p->env.promise)
        handle = promise_flush_begin(p->env.promise, player_now(p));
    ret = qed_close(p->image);
    end = player_mark_end(p, text, ret, ret == 0);
    p->image = NULL;
    if (p->env.promise)
        promise_flush_end(p->env.promise, end, handle, ret == 0);
    player_session_ends(p, end);
    if (stmt)
        player_story_end(p, guest_op, end, ret);
    if (player_in_flight(p))
        player_stuck(p);
    else if (ret == 0 && p->env.recorder && marked_on_disk(p))
        p->dirty_after_clean = true;
    return ret;
}

static void reopen_image(struct player *p, const struct scn_stmt *stmt)
{
    bool scanned = qed_opened(p->image)->scanned;
    struct qed_error err = {""};
    uint32_t begin, end;
    size_t guest_op;
    int ret;

    player_submit_queued(p, NULL);
    begin = player_mark_begin(p, stmt->text, " begins");
    guest_op = player_story_begin(p, stmt, begin, 0);
    ret = qed_reopen(p->image, stmt->mode == SCN_MODE_RO, &err);
    end = player_mark_end(p, stmt->text, ret, false);
    player_story_end(p, guest_op, end, ret);
    p->scans += !scanned && qed_opened(p->image)->scanned;
}

/* The process dies. The disk must forget the completions first: they point into the engine's memory. */
static void abandon_image(struct player *p)
{
    if (p->env.loop)
        sim_loop_drop_timers(p->env.loop);
    if (p->env.recorder)
        recorder_client_died(p->env.recorder);
    if (p->image)
        qed_abandon(p->image);
    p->image = NULL;
    player_drop_requests(p);
}

static void kill_process(struct player *p, const struct scn_stmt *stmt)
{
    uint32_t begin = player_mark_begin(p, stmt->text, ": the process dies");
    size_t guest_op = player_story_begin(p, stmt, begin, 0);

    player_story_end(p, guest_op, player_now(p), 0);
    player_session_ends(p, player_now(p));
    abandon_image(p);
    end_rebase(p);
}

/* ---- the other statements that wait ---- */

static void truncate_image(struct player *p, const struct scn_stmt *stmt)
{
    struct promise *promise = p->env.promise;
    struct qed_error err = {""};
    uint32_t begin, end, handle = 0;
    size_t guest_op;
    int ret;

    player_submit_queued(p, NULL);
    begin = player_mark_begin(p, stmt->text, " submitted");
    guest_op = player_story_begin(p, stmt, begin, 0);
    if (promise)
        handle = promise_resize_begin(promise, begin, stmt->length);
    ret = qed_truncate(p->image, stmt->length, &err);
    end = player_mark_end(p, stmt->text, ret, false);
    if (promise)
        promise_resize_end(promise, end, handle, ret == 0);
    player_story_end(p, guest_op, end, ret);
}

/* The promise learns at once that the change is under way, and that it is over only when the chain is gone
 * (end_rebase). */
static void rebase_image(struct player *p, const struct scn_stmt *stmt)
{
    struct promise *promise = p->env.promise;
    struct qed_error err = {""};
    uint32_t begin, end;
    size_t guest_op;
    bool first = !p->rebased;
    int ret;

    player_submit_queued(p, NULL);
    begin = player_mark_begin(p, stmt->text, " submitted");
    guest_op = player_story_begin(p, stmt, begin, 0);
    if (promise && first)
        p->rebase_handle = promise_rebase_begin(promise, begin);
    ret = qed_change_backing(p->image, NULL, false, &err);
    end = player_mark_end(p, stmt->text, ret, false);
    if (promise && first && ret)
        promise_end(promise, end, p->rebase_handle, false);
    p->rebased = !first || ret == 0;
    player_story_end(p, guest_op, end, ret);
}

static void inject_error(struct player *p, const struct scn_stmt *stmt)
{
    struct inject_rule rule = {
        .event = stmt->event,
        .error = stmt->error,
        .once = stmt->once,
        .after = stmt->after,
    };

    player_mark_begin(p, stmt->text, "");
    recorder_inject(p->env.recorder, &rule);
}

static void cancel_request(struct player *p, const struct scn_stmt *stmt)
{
    struct player_req *req = player_find_request(p, stmt->name);

    if (!req)
        return;
    player_submit_queued(p, req);
    if (req->state == REQ_SUBMITTED)
        qed_cancel(p->image, req->qed_req);
    if (req->state != REQ_DONE)
        player_stuck(p);
}

static void wait_requests(struct player *p, const struct scn_stmt *stmt)
{
    bool ok = true;

    for (unsigned i = 0; ok && i < stmt->wait_count; i++) {
        struct player_req *req = player_find_request(p, stmt->wait_names[i]);

        ok = !req || player_wait_for(p, req);
    }
    for (struct player_req *req = p->requests; ok && stmt->wait_all && req; req = req->next)
        ok = player_wait_for(p, req);
    if (!ok)
        player_stuck(p);
}

static void sleep_a_while(struct player *p, const struct scn_stmt *stmt)
{
    player_submit_queued(p, NULL);
    if (p->env.loop)
        sim_loop_sleep(p->env.loop, stmt->length);
}

static void play_request(struct player *p, const struct scn_stmt *stmt)
{
    struct player_req *req = player_queue(p, stmt);

    if (!stmt->aio && !player_wait_for(p, req))
        player_stuck(p);
}

/* ---- the run ---- */

static int fail(struct player *p, const struct scn_stmt *stmt, struct scn_error *err, const char *why)
{
    const struct scenario *s = p->env.scenario;

    if (err)
        snprintf(err->text, sizeof(err->text), "%.120s:%u:1: '%s' %s", s->path ? s->path : s->name, stmt->line,
                 stmt->text, why);
    return -EINVAL;
}

static bool needs_open(enum scn_op op)
{
    switch (op) {
    case SCN_WRITE:
    case SCN_READ:
    case SCN_FLUSH:
    case SCN_ZERO:
    case SCN_DISCARD:
    case SCN_TRUNCATE:
    case SCN_REBASE:
    case SCN_CLOSE:
    case SCN_REOPEN:
    case SCN_KILL:
        return true;
    case SCN_WAIT:
    case SCN_SLEEP:
    case SCN_CANCEL:
    case SCN_INJECT:
    case SCN_OPEN:
    case SCN_CRASH:
    case SCN_OP_COUNT:
        break;
    }
    return false;
}

/* Does it make sense here? 0, -EINVAL, or 1: it is to be skipped, for want of an image. */
static int check_place(struct player *p, const struct scn_stmt *stmt, struct scn_error *err)
{
    if (!p->env.recorder && (stmt->op == SCN_INJECT || stmt->op == SCN_KILL))
        return fail(p, stmt, err, "is possible only in the recorded life");
    if (stmt->op == SCN_CRASH)
        return fail(p, stmt, err, "ends a life; it cannot be played");
    if (stmt->op == SCN_OPEN && p->image)
        return fail(p, stmt, err, "while the image is open");
    if (p->image || !needs_open(stmt->op))
        return 0;
    return p->lost ? 1 : fail(p, stmt, err, "while the image is closed");
}

static void play(struct player *p, const struct scn_stmt *stmt)
{
    switch (stmt->op) {
    case SCN_WRITE:
    case SCN_READ:
    case SCN_FLUSH:
    case SCN_ZERO:
    case SCN_DISCARD:
        play_request(p, stmt);
        break;
    case SCN_TRUNCATE:
        truncate_image(p, stmt);
        break;
    case SCN_WAIT:
        wait_requests(p, stmt);
        break;
    case SCN_SLEEP:
        sleep_a_while(p, stmt);
        break;
    case SCN_CANCEL:
        cancel_request(p, stmt);
        break;
    case SCN_INJECT:
        inject_error(p, stmt);
        break;
    case SCN_REBASE:
        rebase_image(p, stmt);
        break;
    case SCN_CLOSE:
        close_image(p, stmt);
        break;
    case SCN_OPEN:
        open_image(p, stmt->text, stmt->mode, stmt);
        break;
    case SCN_REOPEN:
        reopen_image(p, stmt);
        break;
    case SCN_KILL:
        kill_process(p, stmt);
        break;
    case SCN_CRASH:
    case SCN_OP_COUNT:
        break;
    }
}

/* The end of a run: everything submitted, everything delivered. */
static void drain(struct player *p)
{
    player_submit_queued(p, NULL);
    while (p->env.loop && sim_loop_poll(p->env.loop))
        ;
    if (player_in_flight(p))
        player_stuck(p);
    player_reap(p);
}

int player_run(struct player *p, size_t from, size_t to, struct scn_error *err)
{
    const struct scn_stmt *stmts = p->env.scenario->stmts;

    if (!p->started && !(from < to && stmts[from].op == SCN_OPEN))
        open_image(p, "open rw", SCN_MODE_RW, NULL);
    p->started = true;
    for (size_t i = from; i < to && !p->stuck; i++) {
        int ret = check_place(p, &stmts[i], err);

        if (ret < 0)
            return ret;
        if (ret == 0)
            play(p, &stmts[i]);
        if (!p->stuck)
            player_reap(p);
    }
    if (!p->stuck)
        drain(p);
    return 0;
}

int player_close(struct player *p)
{
    return p->image ? close_image(p, NULL) : 0;
}

struct player *player_create(const struct player_env *env)
{
    struct player *p = xcalloc(1, sizeof(*p));

    p->env = *env;
    return p;
}

void player_destroy(struct player *p)
{
    if (!p)
        return;
    /* A dead client's writes would still reach the disk and the history; here the power is what fails. */
    if (p->env.loop)
        sim_loop_drop_timers(p->env.loop);
    if (p->image)
        qed_abandon(p->image);
    player_drop_requests(p);
    free(p->live);
    free(p->guest_ops);
    free(p);
}

const struct player_env *player_env(const struct player *p)
{
    return &p->env;
}

struct qed *player_image(struct player *p)
{
    return p->image;
}

struct player_result player_result(const struct player *p)
{
    return (struct player_result){
        .live = p->live,
        .live_count = p->live_count,
        .guest_ops = p->guest_ops,
        .guest_op_count = p->guest_op_count,
        .guest_writes = p->guest_writes,
        .scans = p->scans,
        .dirty_after_clean = p->dirty_after_clean,
        .stuck = p->stuck,
    };
}

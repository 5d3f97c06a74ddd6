/* run_request.c: one guest request, from the queue to its acknowledgement; and the turning of the loop.
 *
 * The oracle must never be told less than the guest knew: a request begins at the position of its "submitted" mark,
 * before any of its I/O, and ends after its "acknowledged" mark, after all of it.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "scenarios/player_internal.h"
#include "simdisk/xalloc.h"

/* ---- positions and the story ---- */

const char *player_error_word(int ret, char *buf, size_t size)
{
    const char *word = scn_errno_word(-ret);

    if (word)
        return word;
    snprintf(buf, size, "error %d", -ret);
    return buf;
}

uint32_t player_now(const struct player *p)
{
    return p->env.recorder ? history_now(recorder_history(p->env.recorder)) : p->env.position;
}

uint32_t player_injected(const struct player *p)
{
    return p->env.recorder ? recorder_injected(p->env.recorder) : 0;
}

uint32_t player_mark_begin(struct player *p, const char *text, const char *what)
{
    uint32_t position = player_now(p);

    if (p->env.recorder)
        history_mark(recorder_history(p->env.recorder), false, "%s%s", text, what);
    else if (!p->env.frozen)
        p->env.position++;
    return position;
}

/* A failure is told, and a flush of the disk is at the bottom of it, one that the guest or the engine had asked for. */
static void tell_of_failed_flush(struct player *p, uint32_t when)
{
    uint32_t failed = p->env.recorder ? recorder_failed_flushes(p->env.recorder) : 0;

    if (p->env.promise && failed != p->failed_flushes)
        promise_flush_failed(p->env.promise, when);
    p->failed_flushes = failed;
}

void player_session_begins(struct player *p)
{
    p->failed_flushes = p->env.recorder ? recorder_failed_flushes(p->env.recorder) : 0;
}

/* Requests in flight would have been told of a flush that has failed. */
void player_session_ends(struct player *p, uint32_t when)
{
    if (player_in_flight(p))
        tell_of_failed_flush(p, when);
    if (p->env.promise)
        promise_session_end(p->env.promise, when);
}

static uint32_t mark_end(struct player *p, const char *text, int ret, bool boundary)
{
    char word[24];

    if (!p->env.recorder)
        return p->env.frozen ? p->env.position : ++p->env.position;
    if (ret)
        history_mark(recorder_history(p->env.recorder), boundary, "%s failed: %s", text,
                     player_error_word(ret, word, sizeof(word)));
    else
        history_mark(recorder_history(p->env.recorder), boundary, "%s acknowledged", text);
    return history_now(recorder_history(p->env.recorder));
}

uint32_t player_mark_end(struct player *p, const char *text, int ret, bool boundary)
{
    uint32_t when = mark_end(p, text, ret, boundary);

    if (ret)
        tell_of_failed_flush(p, when);
    return when;
}

size_t player_story_begin(struct player *p, const struct scn_stmt *stmt, uint32_t begin, uint32_t write_id)
{
    p->guest_ops = xgrow(p->guest_ops, p->guest_op_count, &p->guest_op_cap, sizeof(*p->guest_ops));
    p->guest_ops[p->guest_op_count] = (struct run_guest_op){
        .stmt = (unsigned)(stmt - p->env.scenario->stmts),
        .begin = begin,
        .end = HIST_NEVER,
        .write_id = write_id,
    };
    return p->guest_op_count++;
}

void player_story_end(struct player *p, size_t guest_op, uint32_t end, int ret)
{
    p->guest_ops[guest_op].end = end;
    p->guest_ops[guest_op].ret = ret;
}

struct run_live_finding *player_find(struct player *p, enum verdict_class class, uint32_t when)
{
    p->live = xgrow(p->live, p->live_count, &p->live_cap, sizeof(*p->live));
    p->live[p->live_count] = (struct run_live_finding){.class = class, .when = when, .guest_sector = UINT64_MAX};
    return &p->live[p->live_count++];
}

/* ---- the guest reads ---- */

/* One finding per guest cluster: its first wrong sector. */
static void judge_contents(const struct player_req *req, uint32_t when)
{
    struct player *p = req->player;
    uint64_t cluster_sectors = p->env.scenario->cluster_bytes / BLK_SECTOR_BYTES;
    uint64_t first = req->stmt->offset / BLK_SECTOR_BYTES, last_cluster = UINT64_MAX;
    struct promise_explanation why;

    for (uint64_t i = 0; i < req->stmt->length / BLK_SECTOR_BYTES; i++) {
        const uint8_t *bytes = req->buf + i * BLK_SECTOR_BYTES;
        enum verdict_class class = promise_judge_live(p->env.promise, req->begin, when, first + i, bytes, &why);
        struct run_live_finding *f;

        if (class == VERDICT_OK || (first + i) / cluster_sectors == last_cluster)
            continue;
        last_cluster = (first + i) / cluster_sectors;
        f = player_find(p, class, when);
        f->guest_sector = first + i;
        snprintf(f->expected, sizeof(f->expected), "%s", why.expected);
        snprintf(f->found, sizeof(f->found), "%s", why.found);
        snprintf(f->why, sizeof(f->why), "'%.55s' showed guest sector %" PRIu64 " as %.40s instead of %.40s",
                 req->stmt->text, first + i, why.found, why.expected);
    }
}

static void judge_read(const struct player_req *req, uint32_t when)
{
    struct player *p = req->player;
    struct run_live_finding *f;
    char word[24];

    if (req->ret == 0) {
        if (p->env.promise)
            judge_contents(req, when);
        return;
    }
    /* Part of the story: an injected error, or an image that a crash or a failed truncate left smaller. */
    if (player_injected(p) != req->injected || req->stmt->offset + req->stmt->length > qed_image_bytes(p->image))
        return;
    f = player_find(p, VERDICT_WRONG_READ, when);
    f->guest_sector = req->stmt->offset / BLK_SECTOR_BYTES;
    snprintf(f->expected, sizeof(f->expected), "the read to succeed");
    snprintf(f->found, sizeof(f->found), "read failed: %s", player_error_word(req->ret, word, sizeof(word)));
    snprintf(f->why, sizeof(f->why), "'%s' failed with %s although no error was injected", req->stmt->text,
             player_error_word(req->ret, word, sizeof(word)));
}

/* ---- what the oracle is told ---- */

static void promise_is_begun(struct player_req *req)
{
    struct promise *promise = req->player->env.promise;
    uint64_t first = req->stmt->offset / BLK_SECTOR_BYTES, count = req->stmt->length / BLK_SECTOR_BYTES;
    enum promise_op op = PROMISE_WRITE;

    if (!promise || req->stmt->op == SCN_READ)
        return;
    if (req->stmt->op == SCN_FLUSH) {
        req->handle = promise_flush_begin(promise, req->begin);
        return;
    }
    if (req->stmt->op == SCN_ZERO)
        op = PROMISE_ZERO;
    else if (req->stmt->op == SCN_DISCARD)
        op = PROMISE_DISCARD;
    req->handle = promise_begin(promise, req->begin, op, first, count, req->write_id, req->player->env.generation);
}

static void promise_is_over(const struct player_req *req, uint32_t when)
{
    struct promise *promise = req->player->env.promise;

    if (!promise || req->stmt->op == SCN_READ)
        return;
    if (req->stmt->op == SCN_FLUSH)
        promise_flush_end(promise, when, req->handle, req->ret == 0);
    else
        promise_end(promise, when, req->handle, req->ret == 0);
}

static void request_done(void *opaque, int ret)
{
    struct player_req *req = opaque;
    uint32_t when;

    req->state = REQ_DONE;
    req->qed_req = NULL;
    req->ret = ret;
    when = player_mark_end(req->player, req->stmt->text, ret, req->stmt->op == SCN_FLUSH && ret == 0);
    promise_is_over(req, when);
    player_story_end(req->player, req->guest_op, when, ret);
    if (req->stmt->op == SCN_READ)
        judge_read(req, when);
}

/* ---- queue and submit ---- */

static void fill_buffer(struct player_req *req)
{
    struct player *p = req->player;
    uint64_t first = req->stmt->offset / BLK_SECTOR_BYTES;

    req->buf = xcalloc(1, req->stmt->length);
    req->iov = (struct iovec){.iov_base = req->buf, .iov_len = req->stmt->length};
    if (req->stmt->op == SCN_READ)
        return;
    req->write_id = p->env.next_write_id++;
    for (uint64_t i = 0; i < req->stmt->length / BLK_SECTOR_BYTES; i++) {
        struct tag tag = {
            .kind = TAG_GUEST, .sector = first + i, .write_id = req->write_id, .generation = p->env.generation};

        tag_fill(req->buf + i * BLK_SECTOR_BYTES, &tag);
    }
}

struct player_req *player_queue(struct player *p, const struct scn_stmt *stmt)
{
    struct player_req *req = xcalloc(1, sizeof(*req)), **link = &p->requests;

    req->player = p;
    req->stmt = stmt;
    if (stmt->op == SCN_READ || stmt->op == SCN_WRITE)
        fill_buffer(req);
    while (*link)
        link = &(*link)->next;
    *link = req;
    return req;
}

void player_submit(struct player_req *req)
{
    struct player *p = req->player;
    const struct scn_stmt *stmt = req->stmt;
    struct qed_req *handle = NULL;

    req->state = REQ_SUBMITTED;
    req->injected = player_injected(p);
    req->begin = player_mark_begin(p, stmt->text, " submitted");
    req->guest_op = player_story_begin(p, stmt, req->begin, req->write_id);
    promise_is_begun(req);
    if (stmt->op == SCN_READ)
        handle = qed_readv(p->image, stmt->offset, &req->iov, 1, request_done, req);
    else if (stmt->op == SCN_WRITE)
        handle = qed_writev(p->image, stmt->offset, &req->iov, 1, request_done, req);
    else if (stmt->op == SCN_FLUSH)
        handle = qed_flush(p->image, request_done, req);
    else if (stmt->op == SCN_ZERO)
        handle = qed_write_zeroes(p->image, stmt->offset, stmt->length, request_done, req);
    else
        handle = qed_discard(p->image, stmt->offset, stmt->length, request_done, req);
    p->guest_writes += stmt->op == SCN_WRITE || stmt->op == SCN_ZERO || stmt->op == SCN_DISCARD;
    if (req->state == REQ_SUBMITTED)
        req->qed_req = handle;
}

static struct player_req *next_queued(const struct player *p, const struct player_req *except)
{
    struct player_req *req = p->requests;

    while (req && (req->state != REQ_QUEUED || req == except))
        req = req->next;
    return req;
}

void player_submit_queued(struct player *p, const struct player_req *last)
{
    struct player_req *req;

    while ((!last || last->state == REQ_QUEUED) && (req = next_queued(p, NULL)))
        player_submit(req);
}

/* ---- turning the loop ---- */

/* One step of the schedule (see runner.h). `waiting`, if not yet submitted, is an alternative of its own. false:
 * there is nothing to do. */
static bool turn(struct player *p, struct player_req *waiting)
{
    struct player_req *aio = next_queued(p, waiting);
    bool may_submit = waiting->state == REQ_QUEUED && !waiting->stmt->aio;
    size_t pending = p->env.loop ? sim_loop_pending(p->env.loop) : 0;
    size_t n, pick = 0;

    /* The one that is waited for may itself be the next aio. */
    if (waiting->stmt->aio)
        aio = next_queued(p, NULL);
    n = (aio ? 1 : 0) + (may_submit ? 1 : 0) + pending;
    if (n == 0)
        return false;
    if (p->env.loop)
        pick = sim_loop_choose(p->env.loop, n < 255 ? (unsigned)n : 255);
    if (aio && pick-- == 0)
        player_submit(aio);
    else if (may_submit && pick-- == 0)
        player_submit(waiting);
    else
        sim_loop_deliver(p->env.loop, pick);
    return true;
}

bool player_wait_for(struct player *p, struct player_req *req)
{
    while (req->state != REQ_DONE) {
        if (!turn(p, req))
            return false;
    }
    return true;
}

struct player_req *player_find_request(struct player *p, const char *name)
{
    for (struct player_req *req = p->requests; req; req = req->next) {
        if (req->state != REQ_DONE && req->stmt->aio && strcmp(req->stmt->name, name) == 0)
            return req;
    }
    return NULL;
}

bool player_in_flight(const struct player *p)
{
    for (const struct player_req *req = p->requests; req; req = req->next) {
        if (req->state == REQ_SUBMITTED)
            return true;
    }
    return false;
}

void player_stuck(struct player *p)
{
    p->stuck = true;
    for (const struct player_req *req = p->requests; req; req = req->next) {
        struct run_live_finding *f;

        if (req->state != REQ_SUBMITTED)
            continue;
        f = player_find(p, VERDICT_STUCK, player_now(p));
        if (req->stmt->op != SCN_FLUSH)
            f->guest_sector = req->stmt->offset / BLK_SECTOR_BYTES;
        snprintf(f->expected, sizeof(f->expected), "the request to complete");
        snprintf(f->found, sizeof(f->found), "no I/O pending that could complete it");
        snprintf(f->why, sizeof(f->why), "'%s' never completes: no I/O is pending any more", req->stmt->text);
    }
}

static void free_request(struct player_req *req)
{
    free(req->buf);
    free(req);
}

void player_reap(struct player *p)
{
    struct player_req **link = &p->requests;

    while (*link) {
        struct player_req *req = *link;

        if (req->state == REQ_DONE) {
            *link = req->next;
            free_request(req);
        } else {
            link = &req->next;
        }
    }
}

void player_drop_requests(struct player *p)
{
    while (p->requests) {
        struct player_req *req = p->requests;

        p->requests = req->next;
        free_request(req);
    }
}

/* player_internal.h: what the two halves of the player share.
 *
 *   run_request.c   one guest request, what the oracle is told of it, the turning of the loop
 *   runner.c        the statements
 */
#ifndef SCENARIOS_PLAYER_INTERNAL_H
#define SCENARIOS_PLAYER_INTERNAL_H

#include "scenarios/runner.h"
#include "scenarios/words.h"

enum req_state { REQ_QUEUED, REQ_SUBMITTED, REQ_DONE };

struct player_req {
    struct player *player;
    struct player_req *next; /* in the order of the statements */
    const struct scn_stmt *stmt;
    enum req_state state;
    uint8_t *buf; /* reads and writes */
    struct iovec iov;
    uint32_t write_id;
    uint32_t begin;    /* position of submission */
    uint32_t handle;   /* the promise's */
    size_t guest_op;   /* index */
    uint32_t injected; /* errors injected before its submission */
    struct qed_req *qed_req;
    int ret;
};

struct player {
    struct player_env env;
    struct qed *image;
    struct qed_design program; /* what opened it, where that is not env.design */
    bool started;              /* the first open has been tried */
    bool lost;                 /* the image could not be opened: its statements are skipped */
    bool stuck;
    bool rebased;           /* and not closed since: the chain is as it was */
    uint32_t rebase_handle; /* the promise's */
    bool dirty_after_clean;
    uint32_t failed_flushes;     /* of the disk, that the guest knows of or that an earlier session had */
    struct player_req *requests; /* queued, in flight, or done and not yet reaped */
    struct run_live_finding *live;
    size_t live_count, live_cap;
    struct run_guest_op *guest_ops;
    size_t guest_op_count, guest_op_cap;
    uint64_t guest_writes, scans;
};

/* ---- positions and the story ---- */

/* Something begins: a mark in the history (where there is one) and its position. */
uint32_t player_mark_begin(struct player *p, const char *text, const char *what);
/* Something is over: a mark "... acknowledged" or "... failed: EIO", and the position after it. */
uint32_t player_mark_end(struct player *p, const char *text, int ret, bool boundary);
size_t player_story_begin(struct player *p, const struct scn_stmt *stmt, uint32_t begin, uint32_t write_id);
void player_story_end(struct player *p, size_t guest_op, uint32_t end, int ret);
/* The guest's session, from an open to a close, a kill, or that open's failure. */
void player_session_begins(struct player *p);
void player_session_ends(struct player *p, uint32_t when);
/* The position at which something begun now would begin. */
uint32_t player_now(const struct player *p);
uint32_t player_injected(const struct player *p);
/* Room for one more finding: zeroed but for class, when, and no guest sector. */
struct run_live_finding *player_find(struct player *p, enum verdict_class class, uint32_t when);
/* -5 -> "EIO". buf of at least 24 bytes. */
const char *player_error_word(int ret, char *buf, size_t size);

/* ---- requests ---- */

/* A new request at the end of the queue. Writes take the next write id here: it depends on no choice. */
struct player_req *player_queue(struct player *p, const struct scn_stmt *stmt);
void player_submit(struct player_req *req);
/* Submits the queued ones, oldest first, up to and including `last` (NULL: all). */
void player_submit_queued(struct player *p, const struct player_req *last);
/* Turns the loop until req is done (the queue may be submitted before it or after it); false: stuck. */
bool player_wait_for(struct player *p, struct player_req *req);
/* The request of that name that is queued or in flight, or NULL. */
struct player_req *player_find_request(struct player *p, const char *name);
bool player_in_flight(const struct player *p);
/* Adds a finding for each request in flight, which nothing will ever complete, and ends the run. */
void player_stuck(struct player *p);
/* Frees the requests that are done. */
void player_reap(struct player *p);
/* Frees all requests; the image is gone. */
void player_drop_requests(struct player *p);

/* ---- a host device of fixed size (record.c) ---- */

/* As long as the prepared image and all that the scenario can add to it, and some more for a second life; a pure function
 * of the scenario. */
uint64_t run_device_bytes(const struct scenario *s, uint64_t prepared_bytes);
/* What an earlier owner of the device left there. */
void run_fill_stale(struct sim_pages *pages, uint64_t from_bytes, uint64_t to_bytes);

#endif

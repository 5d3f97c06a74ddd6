/* runner.h: plays the guest. Runs a scenario's statements against the engine on a simulated disk and tells the oracle
 * what was promised.
 *
 * Two layers: a *player* executes statements on any disk (the recording disk in the first life, a crashed disk in a
 * second one); scenario_record() is the first life: prepare the image, record the rest.
 *
 *   prepare ...            player on a plain disk, its clock standing still at 0
 *   write, aio, flush ...  player on the recording disk, its clock being the history
 *   crash
 *   write, flush ...       player on a crashed disk, its clock a counter
 *
 * What a schedule may choose. An aio statement queues its request; a request that waits stands behind the queue. Each
 * turn of the loop takes one of: submit the next queued aio; submit the waiting request itself, if it is not yet;
 * deliver one pending completion. The alternatives are numbered in this order, so that the first in, first out
 * schedule (always 0) submits everything at once and in order. Where there is one alternative there is no choice.
 */
#ifndef SCENARIOS_RUNNER_H
#define SCENARIOS_RUNNER_H

#include "engine/qed.h"
#include "oracle/promise.h"
#include "scenarios/scenario.h"
#include "simdisk/recorder.h"

#define RUN_BACKING_NAME "backing.raw" /* the name in the image's header; the player's backing host resolves it */

/* Something wrong that the live guest saw (wrong-read), or that kept it waiting (stuck), or an open that failed. */
struct run_live_finding {
    enum verdict_class class;
    uint32_t when;         /* history position */
    uint64_t guest_sector; /* UINT64_MAX: none in particular */
    char expected[80], found[80];
    char why[200];
};

/* One guest request as a line of the story. */
struct run_guest_op {
    unsigned stmt;       /* index into the scenario's statements */
    uint32_t begin, end; /* history positions; end HIST_NEVER: never completed */
    int ret;
    uint32_t write_id; /* writes: the tag's, else 0 */
};

/* The devices behind the backing name; a blk-level host the engine can open the chain through. */
struct run_backing {
    struct qed_backing_host host;
    struct sim_pages *pages; /* NULL: no backing file */
    uint64_t length_bytes;
    const char *name;           /* under which it is found; NULL: any */
    struct sim_loop *loop;      /* NULL: completes inline */
    struct blockdev inline_dev; /* then all opens share this one, which keeps nothing of its own */
};
/* Tagged (or zero) contents as the scenario says. `loop` may be NULL. */
void run_backing_init(struct run_backing *b, const struct scenario *s, struct sim_loop *loop);
void run_backing_destroy(struct run_backing *b);

struct player_env {
    const struct scenario *scenario;
    const struct qed_design *design;
    struct blockdev *disk;
    struct recorder *recorder; /* NULL in a second life: no history, inject and kill are errors there */
    struct sim_loop *loop;     /* NULL: everything completes inline, and nothing is a choice */
    struct run_backing *backing;
    struct promise *promise; /* NULL: nobody is told, and reads are not judged */
    struct qed_pool *pool;   /* NULL: private */
    uint32_t generation;     /* life number, goes into tags: 1 is the recorded one */
    uint32_t next_write_id;  /* in and out */
    uint32_t position;       /* in and out: the promise's clock where there is no recorder */
    bool frozen;             /* preparing: without a recorder, the clock stands still and everything is at `position` */
};

struct player;
struct player *player_create(const struct player_env *env);
/* Abandons an open image; requests in flight are dropped, their promise never ends. With a recorder, call this before
 * recorder_finish. */
void player_destroy(struct player *p);
/* Runs statements [from, to), then submits what is queued and delivers all that is pending; the image stays as it is.
 * The first call opens the image, read-write, unless its first statement is an open. A request that fails is part of
 * the story, and so is an image that cannot be opened (a live finding, unless an error was injected; statements that
 * need it are then skipped). Returns 0, or -errno with err when the run itself cannot go on (a statement that makes
 * no sense at that place: a write while closed). A request that never completes is a finding and ends the run. */
int player_run(struct player *p, size_t from, size_t to, struct scn_error *err);
/* Closes the image if it is open, as the statement does; qed_close()'s return value. */
int player_close(struct player *p);
const struct player_env *player_env(const struct player *p);
/* The open image, or NULL. */
struct qed *player_image(struct player *p);

/* What came of it so far; the arrays are the player's. */
struct player_result {
    const struct run_live_finding *live;
    size_t live_count;
    const struct run_guest_op *guest_ops;
    size_t guest_op_count;
    uint64_t guest_writes; /* write, zero and discard requests submitted */
    uint64_t scans;        /* opens that had to scan */
    bool dirty_after_clean;
    bool stuck; /* the run ended at a request that never completes */
};
struct player_result player_result(const struct player *p);

struct run_options {
    const struct qed_design *design;
    const struct qed_design *prepared_by; /* of the image before; NULL: the same */
    const struct sim_disk_model *disk;
    struct sim_schedule schedule;
    struct qed_pool *pool;                             /* NULL: private */
    void (*trace)(void *opaque, enum blk_event event); /* NULL: none */
    void *trace_opaque;
};

/* The first life, recorded. */
struct recording {
    const struct scenario *scenario;
    struct history *history;
    struct promise *promise;
    struct run_backing backing; /* inline, for recovery */
    struct run_live_finding *live;
    size_t live_count;
    struct run_guest_op *guest_ops;
    size_t guest_op_count;
    size_t crash_stmt; /* index of the statement after `crash`, or stmt_count */
    uint32_t next_write_id;
    uint64_t guest_writes, image_writes, flushes, scans; /* cost, over the recorded part */
    uint64_t rng_state;                                  /* final */
    uint8_t *choices, *alternatives;                     /* of the schedule */
    size_t choice_count;
    int dirty_after_clean; /* 1: the image was marked after a clean close; measured, not a failure */
    bool structure_only;   /* nobody knows what the guest was promised: contents are not judged */
};

/* Makes the image (size, geometry, backing name, raw), runs the prepare statements on it, flushes and closes it; then
 * opens it (rw, unless the first statement is an open) on a recording disk and runs the statements up to `crash` or the
 * end. There all that is in flight is delivered, so that the history has every crash point of a full run; the image is
 * not closed. 0, or -errno with err; a prepare statement that fails is such an error. */
int scenario_record(const struct scenario *s, const struct run_options *options, struct recording *out,
                    struct scn_error *err);
void recording_free(struct recording *r);

#endif

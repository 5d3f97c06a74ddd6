/* cell.h: one cell of the matrix: scenario x design x disk model (x schedule). Records the run, walks its crash spaces,
 * judges their states, and hands the result to the store.
 */
#ifndef HARNESS_CELL_H
#define HARNESS_CELL_H

#include "harness/probe_memo.h"
#include "reports/store.h"
#include "scenarios/runner.h"
#include "simdisk/bignum.h"
#include "simdisk/crash_state.h"

enum explore { EXPLORE_COMPLETE, EXPLORE_ENUMERATE, EXPLORE_SAMPLE };

/* What an exploration came to, over one cell or, added up, over many. */
struct cell_sum {
    struct bignum states; /* the caller's, to be freed */
    uint64_t cells, executions;
    uint64_t incomplete; /* cells of which not every state is spoken for */
};

struct cell_options {
    enum explore explore;
    uint64_t limit;        /* states judged per cell; what is left out is reported */
    uint64_t schedule;     /* number, from 1; ID_ALL_SCHEDULES: every one there is */
    const uint8_t *script; /* NULL, or the schedule itself (see sim_loop.h) */
    size_t script_len;
    uint64_t schedule_limit; /* of all schedules, run at most so many; 0: SCHEDULES_LIMIT */
    bool twice;              /* record twice and compare, whatever the cell's name says */
    uint64_t seed;
    uint64_t nested;                                 /* times the power may fail again during recovery */
    const struct qed_design *prepared_by;            /* of the image before; NULL: the design itself */
    unsigned qemu_jobs;                              /* where QEMU recovers: processes at the same time; 0: one */
    bool first_life;                                 /* judge what recovery shows, and no second life */
    const char *id_scenario;                         /* how ids name the scenario */
    volatile const int *stop;                        /* set by a signal: leave early; may be NULL */
    void (*beat)(void *opaque, uint64_t executions); /* may be NULL; called often: still at work, and so far */
    void *beat_opaque;
    struct cell_sum *sum; /* cell_findings adds to it; may be NULL */
};

/* Takes a cell's result, which lives for the call. 0, or -errno with one sentence in err. */
typedef int cell_take_fn(void *opaque, const struct store_cell *cell, struct scn_error *err);

/* 0; -EINTR when stopped (nothing is handed out); what take() returned; or -errno with one sentence in err. */
int cell_judge(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
               const struct cell_options *options, cell_take_fn *take, void *opaque, struct scn_error *err);

/* The result of a cell whose process came to no verdict: unsafe, unexpected, one finding of class `died'. `why` is a clause
 * whose subject is the process ("was killed by signal 11"). */
int cell_died(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
              const struct cell_options *options, const char *why, cell_take_fn *take, void *opaque,
              struct scn_error *err);

/* Judges into a store. */
int cell_run(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
             const struct cell_options *options, struct store *store, bool *unsafe, struct scn_error *err);

/* One state of a cell, named by its crash point and survivors. Puts a cell with that state's findings alone. -ENOENT when
 * the history has no such state. */
int cell_repro(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
               const struct cell_options *options, uint32_t point, const char *survivors, struct store *store,
               bool *unsafe, struct scn_error *err);

/* The same two for who wants the findings and no store: each is handed out, in the store's order, and lives for the call. */
typedef void cell_finding_fn(void *opaque, const struct store_finding *f);
int cell_findings(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
                  const struct cell_options *options, cell_finding_fn *take, void *opaque, struct scn_error *err);
/* minimal: with nothing in their witnesses that they do not need. */
int cell_state_findings(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
                        const struct cell_options *options, uint32_t point, const char *survivors, bool minimal,
                        cell_finding_fn *take, void *opaque, struct scn_error *err);

/* One state, for who wants to look at the disk itself: it is set to the state, and everything lives for the call. */
struct cell_state {
    const struct recording *recording;
    const struct crash_space *space;
    const struct crash_state *state;
    struct crash_disk *disk;
};
typedef int cell_state_fn(void *opaque, const struct cell_state *state, struct scn_error *err);
/* What `look` returns, or -errno before that; -ENOENT as above. Picks behind the survivors do not change the disk: they
 * are of a later failure. */
int cell_look(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
              const struct cell_options *options, uint32_t point, const char *survivors, cell_state_fn *look,
              void *opaque, struct scn_error *err);
/* Is anything wrong at all? Stops at the first violation and looks for no witness: for those who ask this many times. With
 * design->asked set, its box ends up as the set of designs for which the answer is the same. */
struct cell_probe {
    bool unsafe;
    enum verdict_class class; /* of the first violation */
    bool complete;            /* every state was spoken for, or one was found wrong */
    double states_log2;       /* of those there are up to where it stopped */
    uint64_t executions;
    uint64_t guest_writes, image_writes, flushes; /* of the recorded run (the first, of several schedules) */
    uint64_t recoveries, scans, needless;         /* opens after a crash; those that scanned; and found nothing */
};
/* The first half of a probe: the run is recorded, and its crash spaces (of all schedules, each once) are named, not judged.
 * design->asked is what that asked. */
struct cell_spaces {
    struct digest *digests; /* the caller frees them */
    size_t count, cap;
    bool unsafe; /* without a crash */
    bool one_order, complete;
    uint64_t guest_writes, image_writes, flushes;
};
int cell_list_spaces(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
                     const struct cell_options *options, struct cell_spaces *out, struct scn_error *err);

/* memo: of this workload and disk model; NULL: none. executions and recoveries are then those that were new. A sample is of options->limit states of each space. */
int cell_probe(const struct scenario *s, const struct qed_design *design, const struct sim_disk_model *disk,
               const struct cell_options *options, struct probe_memo *memo, struct cell_probe *out,
               struct scn_error *err);

#endif
